mod keys;
mod manifest;
mod naming;
mod outsiders;
#[cfg(unix)]
mod plugins;
pub(crate) mod recipients;
mod streams;

use std::path::Path;
use std::sync::Arc;

use super::Compression;
use super::{Ask, Identities, NobodyToAsk, PlainSize, Plugins, Recipients, Sealed, Sealer, SecretString};
use super::{SealError, UnsealError, Unsealed, key};

const EACH: [Compression; 2] = [Compression::Zstd, Compression::None];

fn nobody() -> Arc<dyn Ask> {
    Arc::new(NobodyToAsk)
}

/// Somebody who knows one passphrase.
struct Knows(&'static str);

impl Ask for Knows {
    fn passphrase(&self, _: &str) -> Option<SecretString> {
        Some(SecretString::from(self.0))
    }

    fn tell(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn answer(&self, _: &str) -> Option<String> {
        None
    }
}

fn now() -> chrono::DateTime<chrono::Utc> {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn recipients(text: &str) -> Recipients {
    Recipients::parse([(text, Plugins::Refused)]).unwrap()
}

fn pair() -> (Recipients, Identities) {
    let new = key::generate(now());
    let mut identities = Identities::new();
    identities.add(&new.content, Path::new("identity.age"), &nobody()).unwrap();
    (recipients(&new.recipient), identities)
}

fn seal(plain: &[u8], to: &Recipients, compression: Compression) -> (Vec<u8>, Sealed) {
    let mut sealed = Vec::new();
    let what =
        Sealer::new(to, compression).unwrap().seal(&mut &plain[..], plain.len() as u64, &mut sealed).unwrap();
    (sealed, what)
}

fn open(
    sealed: &[u8],
    with: &Identities,
    compression: Compression,
    size: PlainSize,
) -> Result<(Vec<u8>, Unsealed), UnsealError> {
    let mut plain = Vec::new();
    let what = with.unseal(&mut &sealed[..], compression, size, &mut plain)?;
    Ok((plain, what))
}

/// Bytes that look like a transcript to a compressor.
fn text(len: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(len + 100);
    let mut number = 1u64;
    while text.len() < len {
        number = number.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        text.extend_from_slice(
            format!("{{\"type\":\"user\",\"uuid\":\"{number:016x}\",\"text\":\"ok\"}}\n").as_bytes(),
        );
    }
    text.truncate(len);
    text
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut number = 88172645463325252u64;
    (0..len)
        .map(|_| {
            number ^= number << 13;
            number ^= number >> 7;
            number ^= number << 17;
            (number >> 32) as u8
        })
        .collect()
}
