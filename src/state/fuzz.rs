//! Fuzz targets: what earlier runs remembered, which its user can write.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use super::StateFile;
use super::file::{parse, written};
use super::sessions::Remembered;
use crate::fuzzing::{Choices, Vocabulary, filled, now};

/// `state.json` and `sessions.json`.
pub fn state(data: &[u8]) {
    let mut choices = Choices::new(data);
    let text = match choices.below(3) {
        0 => choices.rest().to_vec(),
        _ => {
            let shell = choices.one_of(&[
                "V",
                "{\"version\":1,\"roots\":[V,V],\"held\":V,\"x\":V}",
                "{\"version\":1,\"roots\":[{\"path\":V,\"kind\":\"config\",\"firstSeen\":V,\"lastSeen\":V,\"y\":V}]}",
                "{\"version\":1,\"unsealed\":[V],\"firstSeen\":[V],\"lastRun\":V,\"clock\":V,\"mass\":[V]}",
            ]);
            filled(&mut choices, &WORDS, shell).into_bytes()
        }
    };
    let path = Path::new("/state.json");
    if let Ok(state) = parse(&text, path) {
        let again = written(&state, path).unwrap();
        assert_eq!(parse(again.as_bytes(), path).unwrap(), state, "{again}");
        let (account, errors) = StateFile::of_account(Err(parse(b"", path).unwrap_err()), &again, now());
        assert_eq!(errors.len(), 1);
        assert!(account.kept().is_ok());
    }
    if let Ok(remembered) = Remembered::parse(&text, path.to_owned(), now())
        && remembered.damage.is_none()
        && let Some(again) = remembered.changed(crate::inventory::memory::Memory::default()).unwrap()
    {
        assert!(Remembered::parse(again.as_bytes(), path.to_owned(), now()).unwrap().damage.is_none());
    }
}

/// `dates.json` with a right digest, which a flipped bit has not.
pub fn dates(data: &[u8]) {
    super::dates::fuzz(data);
}

const WORDS: Vocabulary = Vocabulary {
    keys: &[
        "version",
        "roots",
        "path",
        "hex",
        "kind",
        "firstSeen",
        "lastSeen",
        "followed",
        "device",
        "inode",
        "store",
        "session",
        "lastActivity",
        "unsealedAt",
        "hold",
        "sessions",
        "run",
        "time",
        "exit",
        "head",
        "begun",
    ],
    values: &[
        "1",
        "2",
        "\"/home/u/.claude\"",
        "{\"hex\":\"2f746d70ff\"}",
        "\"2026-05-01T00:00:00Z\"",
        "\"config\"",
        "[\"aaaaaaaa-0000-4000-8000-000000000001\"]",
        "{\"path\":\"/r\",\"kind\":\"config\",\"firstSeen\":\"2026-05-01T00:00:00Z\",\"lastSeen\":\"2026-05-01T00:00:00Z\"}",
        "{\"hold\":\"h\",\"store\":\"/s\",\"sessions\":[]}",
        "{\"seq\":1,\"sha256\":\"00\"}",
    ],
};
