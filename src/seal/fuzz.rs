//! Fuzz targets: sealed files and their records, which anybody can write who knows the public key.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::manifest::Manifest;
use super::naming::is_within;
use super::{
    Ask, Compression, Identities, NobodyToAsk, PlainSize, Plugins, Recipient, Recipients, Sealer, key,
};
use crate::catalogue::SessionId;
use crate::fuzzing::{Choices, Vocabulary, json, now};

const PLAIN: &[u8] = b"{\"type\":\"user\",\"message\":\"of one session\"}\n";

fn nobody() -> Arc<dyn Ask> {
    Arc::new(NobodyToAsk)
}

/// `session.json`.
pub fn manifest(data: &[u8]) {
    let mut choices = Choices::new(data);
    let id = SessionId::from_bytes(b"aaaaaaaa-0000-4000-8000-000000000001").unwrap();
    let text = match choices.below(3) {
        0 => choices.rest().to_vec(),
        _ => {
            let mut text =
                "{\"version\":1,\"session\":\"aaaaaaaa-0000-4000-8000-000000000001\",\"files\":[".to_owned();
            for at in 0..choices.below(4) {
                let path = choices.one_of(&["a.jsonl", "a/b", "../a", "/a", "", ".", "a/./b", "a//b"]);
                let digest = "0a".repeat(32);
                let comma = if at > 0 { "," } else { "" };
                let more = json(&mut choices, &WORDS);
                text.push_str(&format!("{comma}{{\"kind\":\"transcript\",\"path\":\"{path}\",\"sealed\":\"{path}.{at}.age\",\"size\":1,\"sealedSize\":2,\"mode\":\"0600\",\"mtime\":\"2026-05-01T00:00:00.5Z\",\"sha256\":\"{digest}\",\"acl\":{more}}}"));
            }
            text.push_str("],\"cwds\":");
            text.push_str(choices.one_of(&["[]", "[\"/w\"]"]));
            text.push_str(",\"links\":");
            text.push_str(&json(&mut choices, &WORDS));
            text.push('}');
            text.into_bytes()
        }
    };
    let Ok(manifest) = Manifest::parse(&text, id) else { return };
    assert_eq!(Manifest::parse(&manifest.to_json().unwrap(), id).unwrap(), manifest);
    let paths = manifest.files.iter().flat_map(|file| [&file.path, &file.sealed]);
    for path in paths.chain(manifest.links.iter().map(|link| &link.path)) {
        assert!(is_within(path) && Path::new("/s").join(path).starts_with("/s"), "{path:?}");
        assert!(!path.components().any(|part| part == std::path::Component::ParentDir), "{path:?}");
    }
    let _ = (manifest.bytes(), manifest.newest());
}

const WORDS: Vocabulary = Vocabulary {
    keys: &["path", "temp", "target", "mtime", "hex", "x"],
    values: &[
        "null",
        "\"00ff\"",
        "[{\"path\":\"l\",\"target\":\"/etc\",\"mtime\":\"2026-05-01T00:00:00Z\"}]",
        "{\"hex\":\"2e2e2f61\"}",
        "[{\"path\":{\"hex\":\"2e2e2f61\"},\"target\":\"x\",\"mtime\":\"2026-05-01T00:00:00Z\"}]",
        "\"../x\"",
    ],
};

/// A sealed file that was changed, or any bytes in its place.
pub fn sealed(data: &[u8]) {
    let mut choices = Choices::new(data);
    let compression = [Compression::Zstd, Compression::None][choices.below(2)];
    let (identities, files) = ours();
    let whole = &files[usize::from(compression == Compression::None)];
    let bytes = match choices.below(3) {
        0 => choices.rest().to_vec(),
        _ => {
            let mut bytes = whole.clone();
            for _ in 0..=choices.below(3) {
                let at = usize::from(choices.byte()) << 8 | usize::from(choices.byte());
                let at = at % bytes.len().max(1);
                match choices.below(5) {
                    0 => {
                        bytes.splice(at..at, choices.some().iter().copied());
                    }
                    1 => bytes.truncate(at),
                    2 => drop(bytes.drain(at..bytes.len().min(at + choices.below(256)))),
                    3 => bytes.extend(choices.some()),
                    _ => {
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte = choices.byte();
                        }
                    }
                }
            }
            bytes
        }
    };
    let mut plain = Vec::new();
    let opened = identities.unseal(&mut &bytes[..], compression, PlainSize::Unknown, &mut plain);
    if let Ok(opened) = opened {
        assert_eq!(plain, PLAIN, "what opens is what was sealed");
        assert_eq!(opened.plain_len, PLAIN.len() as u64);
    }
    assert!(PLAIN.starts_with(&plain), "no byte came out that was not sealed");
}

fn ours() -> &'static (Identities, [Vec<u8>; 2]) {
    static OURS: OnceLock<(Identities, [Vec<u8>; 2])> = OnceLock::new();
    OURS.get_or_init(|| {
        let new = key::generate(now());
        let mut identities = Identities::new();
        identities.add(&new.content, Path::new("identity.age"), &nobody()).unwrap();
        let to = Recipients::parse([(&*new.recipient, Plugins::Refused)]).unwrap();
        let seal = |compression| {
            let mut sealed = Vec::new();
            let mut sealer = Sealer::new(&to, compression).unwrap();
            sealer.seal(&mut &PLAIN[..], PLAIN.len() as u64, &mut sealed).unwrap();
            sealed
        };
        (identities, [seal(Compression::Zstd), seal(Compression::None)])
    })
}

/// A file of identities, and a recipient of a policy.
pub fn identity(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(recipient) = Recipient::parse(text.trim(), Plugins::Refused)
    {
        let _ = recipient.family();
    }
    // Whether a passphrase fits takes a second by design, and nobody is there to ask.
    let mut identities = Identities::new();
    let _ = identities.add(data, Path::new("identity.age"), &nobody());
}
