//! The id of a session: a UUID, as the client names its transcripts.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The id of one conversation; prints in lower case with dashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Reads the 36 bytes of an id with dashes, as a file name carries it.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != 36 {
            return None;
        }
        Uuid::try_parse_ascii(bytes).ok().map(Self)
    }

    /// The twelve digits by which Claude Code calls the scratch folder of a session where paths have to be short: the
    /// first eight bytes of the SHA-256 of the id, as a number without what is above twelve digits (observed on
    /// client 2.1.332).
    pub fn digits(self) -> String {
        const TWELVE_DIGITS: u64 = 1_000_000_000_000;
        let digest = Sha256::digest(self.to_string());
        let number = digest.iter().take(8).fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        format!("{:012}", number % TWELVE_DIGITS)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A text that is not a session id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a session id (36 characters, such as 01234567-89ab-4cde-8f01-23456789abcd)")]
pub struct NoSessionId(String);

impl FromStr for SessionId {
    type Err = NoSessionId;

    fn from_str(text: &str) -> Result<Self, NoSessionId> {
        Self::from_bytes(text.as_bytes()).ok_or_else(|| NoSessionId(text.to_owned()))
    }
}

impl serde::Serialize for SessionId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for SessionId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
