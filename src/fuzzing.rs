//! What the fuzz targets of the rooms share: bytes as a source of choices, JSON composed from them, and files in memory.
//!
//! Each room that reads bytes of others has a module `fuzz` with its targets: a function of bytes that panics where a
//! promise is broken. `fuzz/` runs them under libFuzzer; the tests here run every seed and some mutations of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::io::{Seek as _, Write as _};

/// Bytes from which choices are taken; when they are used up, every choice is the first.
#[derive(Debug, Clone)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    pub fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    pub fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    /// Some of the bytes as they are, at most 255.
    pub fn some(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// What keys and texts of a composed document are drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary {
    pub keys: &'static [&'static str],
    /// Values as they are written, quotes and all.
    pub values: &'static [&'static str],
}

/// Composes a JSON value, valid as a rule: with odd white space, escapes, keys that come twice, and depth.
pub fn json(choices: &mut Choices<'_>, words: &Vocabulary) -> String {
    let mut text = String::new();
    value(choices, words, 0, &mut text);
    text
}

/// A document with composed values where its shell has a `V`.
pub fn filled(choices: &mut Choices<'_>, words: &Vocabulary, shell: &str) -> String {
    // Of the shell alone: what a composed value holds is no place for another.
    let mut parts = shell.split('V');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(&json(choices, words));
        text.push_str(part);
    }
    text
}

fn value(choices: &mut Choices<'_>, words: &Vocabulary, depth: usize, text: &mut String) {
    match choices.below(if depth < 6 { 8 } else { 4 }) {
        0 => text.push_str(choices.one_of(words.values)),
        1 => {
            text.push_str(choices.one_of(&["null", "true", "0", "-1", "1.5e3", "1780000000000", "[]", "{}"]))
        }
        2 => text.push_str(&string(choices)),
        3 => key(choices, words, text),
        4 | 5 => list(choices, ('{', '}'), text, |choices, text| {
            key(choices, words, text);
            blank(choices, text);
            text.push(':');
            blank(choices, text);
            value(choices, words, depth + 1, text);
        }),
        _ => list(choices, ('[', ']'), text, |choices, text| value(choices, words, depth + 1, text)),
    }
}

fn list(
    choices: &mut Choices<'_>,
    (open, close): (char, char),
    text: &mut String,
    mut item: impl FnMut(&mut Choices<'_>, &mut String),
) {
    text.push(open);
    blank(choices, text);
    for at in 0..choices.below(6) {
        if at > 0 {
            text.push(',');
            blank(choices, text);
        }
        item(choices, text);
        blank(choices, text);
    }
    text.push(close);
}

fn key(choices: &mut Choices<'_>, words: &Vocabulary, text: &mut String) {
    let key = choices.one_of(words.keys);
    text.push('"');
    match key.split_at_checked(1) {
        Some((first, rest)) if choices.below(16) == 15 => {
            // The same key as a parser reads it, and not as it is searched for.
            text.push_str(&format!("\\u{:04x}{rest}", u32::from(first.chars().next().unwrap_or('x'))));
        }
        _ => text.push_str(key),
    }
    text.push('"');
}

fn string(choices: &mut Choices<'_>) -> String {
    serde_json::to_string(&String::from_utf8_lossy(choices.some())).unwrap()
}

fn blank(choices: &mut Choices<'_>, text: &mut String) {
    text.push_str(choices.one_of(&["", "", "", "", " ", "\n  ", "\r\n", "\t"]));
}

/// A text without some ranges of it.
pub fn without(text: &[u8], cuts: &[std::ops::Range<u64>]) -> Vec<u8> {
    let mut left = Vec::new();
    let mut at = 0;
    for cut in cuts {
        assert!(at <= cut.start && cut.start <= cut.end, "ranges in order, without overlaps");
        left.extend_from_slice(&text[usize::try_from(at).unwrap()..usize::try_from(cut.start).unwrap()]);
        at = cut.end;
    }
    left.extend_from_slice(&text[usize::try_from(at).unwrap()..]);
    left
}

/// An open file that holds a text and lies on no disk.
pub fn file(text: &[u8]) -> File {
    let mut file = memory();
    file.write_all(text).unwrap();
    file.rewind().unwrap();
    file
}

#[cfg(target_os = "linux")]
fn memory() -> File {
    rustix::fs::memfd_create("fuzzing", rustix::fs::MemfdFlags::CLOEXEC).unwrap().into()
}

#[cfg(not(target_os = "linux"))]
fn memory() -> File {
    tempfile::tempfile().unwrap()
}

/// The same moment for every input, 2026-05-28.
pub fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1_780_000_000, 0).unwrap()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::targets::ALL;

    /// Mutations of each seed; libFuzzer makes millions more.
    const MUTATIONS: u64 = 20;

    #[test]
    fn every_target_has_its_file_and_its_seeds() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let list = fs_err::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        for (name, _) in ALL {
            let file = fs_err::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(file.contains(&format!("run(\"{name}\", data)")), "{name}");
            assert!(list.contains(&format!("name = \"{name}\"\n")), "{name} is in fuzz/Cargo.toml");
            assert!(!seeds(name).is_empty(), "{name} has seeds");
        }
        assert_eq!(list.matches("[[bin]]").count(), ALL.len());
    }

    #[test]
    fn no_seed_and_no_mutation_of_one_breaks_a_promise() {
        let mut number = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            number ^= number << 13;
            number ^= number >> 7;
            number ^= number << 17;
            usize::try_from(number >> 33).unwrap() % below.max(1)
        };
        let mut broken = Vec::new();
        for (name, target) in ALL {
            for seed in seeds(name) {
                for round in 0..MUTATIONS {
                    let mut bytes = seed.clone();
                    for _ in 0..random(4).min(usize::try_from(round).unwrap()) {
                        let at = random(bytes.len() + 1);
                        match random(4) {
                            0 => bytes.insert(at, random(256) as u8),
                            1 => bytes.truncate(at),
                            2 => bytes.extend_from_within(at..),
                            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = random(256) as u8),
                        }
                    }
                    if std::panic::catch_unwind(|| target(&bytes)).is_err() {
                        broken.push((*name, bytes.escape_ascii().to_string()));
                        break;
                    }
                }
            }
        }
        assert!(broken.is_empty(), "{broken:#?}");
    }

    fn seeds(name: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
        let mut paths: Vec<_> =
            fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| fs_err::read(path).unwrap()).collect()
    }
}
