//! Keys in the bytes of lines: only records that can add something are parsed.

use std::borrow::Cow;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use memchr::memmem::Finder;

use crate::catalogue::Version;
use crate::inventory::lenient::Lenient;

pub(super) static CWD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"cwd\""));
pub(super) static SESSION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"sessionId\""));
pub(super) static ENTRYPOINT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"entrypoint\""));
pub(super) static VERSION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"version\""));
pub(super) static PROMPT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"{\"display\":"));
pub(super) static TIMESTAMP: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"timestamp\""));

/// Where the value of a key begins, everywhere the key is written; `key` has its quotes.
pub(super) fn values<'b>(key: &'static Finder<'static>, bytes: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    key.find_iter(bytes).filter_map(|at| {
        let mut at = at + key.needle().len();
        let blank = |at: usize| bytes.get(at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\r'));
        while blank(at) {
            at += 1;
        }
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        at += 1;
        while blank(at) {
            at += 1;
        }
        Some(at)
    })
}

pub(super) fn version_of(text: &[u8]) -> Option<Version> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The text that begins at a place, if it is a string without escapes.
pub(super) fn plain_text(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let text = bytes.get(at..)?.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', text)?;
    (text[end] == b'"').then(|| &text[..end])
}

/// The date that begins at a place, in a string or as a number.
pub(super) fn date_at(bytes: &[u8], at: usize) -> Option<DateTime<Utc>> {
    if let Some(text) = plain_text(bytes, at) {
        let text = std::str::from_utf8(text).ok()?;
        return Lenient::Text(Cow::Borrowed(text)).date();
    }
    let is_of_number = |b: &&u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let length = bytes.get(at..)?.iter().take_while(is_of_number).count();
    serde_json::from_slice::<Lenient<'_>>(bytes.get(at..at + length)?).ok()?.date()
}
