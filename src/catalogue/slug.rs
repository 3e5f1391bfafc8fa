//! Slugs as keyed hashes: by one, records name the plan of a session. Made of the words of a prompt, it is
//! content, so what is remembered of it tells nobody but the holder of the key which it was.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::files;

/// The keyed hash of a slug, with a mark of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slug {
    key: [u8; 4],
    hash: [u8; 8],
}

/// The key; it lies with what is remembered of sessions.
#[derive(Clone, PartialEq, Eq)]
pub struct SlugKey([u8; 32]);

impl Slug {
    /// Any slug at all: of a session whose own could not be found out.
    pub const ANY: Self = Self { key: [0; 4], hash: [0; 8] };

    /// Whether it may be the slug of a plan, which is known to the holder of the key. One of another key may be any.
    pub fn may_be(self, plan: Self) -> bool {
        self == plan || self.key != plan.key
    }
}

impl SlugKey {
    /// A new one.
    pub fn random() -> Self {
        Self(files::random_key())
    }

    /// The keyed hash of a slug.
    pub fn slug(&self, text: &[u8]) -> Slug {
        let (mut key, mut hash) = ([0; 4], [0; 8]);
        key.copy_from_slice(Sha256::digest(self.0).get(..4).unwrap_or(&[0; 4]));
        // Zeros are no key's: they mark any slug at all.
        key[0] |= 1;
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            mac.update(text);
            hash.copy_from_slice(mac.finalize().into_bytes().get(..8).unwrap_or(&[0; 8]));
        }
        Slug { key, hash }
    }
}

/// Whether a text is one that Claude Code makes the name of a plan of: no path, and nothing hidden.
pub fn is_slug(text: &[u8]) -> bool {
    let is_of_name = |byte: &u8| !matches!(byte, b'/' | b'\\' | b'\0'..=b'\x1f');
    (1..=200).contains(&text.len()) && text[0] != b'.' && text.iter().all(is_of_name)
}

impl fmt::Debug for SlugKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlugKey(..)")
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", hex::encode(self.key), hex::encode(self.hash))
    }
}

/// A text that is no keyed hash.
#[derive(Debug, thiserror::Error)]
#[error("it is no keyed hash")]
pub struct NoSlug;

impl FromStr for Slug {
    type Err = NoSlug;

    fn from_str(text: &str) -> Result<Self, NoSlug> {
        let (key, hash) = text.split_once('-').ok_or(NoSlug)?;
        let mut slug = Self::ANY;
        hex::decode_to_slice(key, &mut slug.key).map_err(|_| NoSlug)?;
        hex::decode_to_slice(hash, &mut slug.hash).map_err(|_| NoSlug)?;
        Ok(slug)
    }
}

impl Serialize for Slug {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Slug {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for SlugKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for SlugKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut key = [0; 32];
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        hex::decode_to_slice(&*text, &mut key).map_err(serde::de::Error::custom)?;
        Ok(Self(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_plans_own_or_that_of_an_unknown_key() {
        let (key, other) = (SlugKey::random(), SlugKey::random());
        let plan = key.slug(b"a-plan");
        assert!(key.slug(b"a-plan").may_be(plan) && Slug::ANY.may_be(plan) && other.slug(b"x").may_be(plan));
        assert!(!key.slug(b"another").may_be(plan));
        assert_eq!(plan.to_string().parse::<Slug>().unwrap(), plan);
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<SlugKey>(&text).unwrap(), key);
        assert!(!text.contains("a-plan") && !plan.to_string().contains("plan"));
    }

    #[test]
    fn a_slug_names_nothing_elsewhere() {
        for good in ["a", "a-plan", "canaryq7 plan", "\u{e4}"] {
            assert!(is_slug(good.as_bytes()), "{good}");
        }
        for bad in
            ["", ".", "..", ".hidden", "../x", "a/b", "a\\b", "/etc/passwd", "a\0", "a\nb", &"x".repeat(201)]
        {
            assert!(!is_slug(bad.as_bytes()), "{bad:?}");
        }
    }
}
