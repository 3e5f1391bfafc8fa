//! Sealing: zstd, then age, as streams; the one user of the age crate.
//!
//! Input: bytes and public keys, or bytes and private keys. Output: a sealed stream with its
//! digest, or the bytes again. Which files are sealed, where they lie and in which order the disk
//! is flushed is decided elsewhere: nothing here opens a file of a store. [`naming`] and
//! [`manifest`] say how sealed files are called and described; they touch no disk at all.
//!
//! What is written is an ordinary age file around an ordinary zstd frame, so that
//! `age -d -i KEY F.zst.age | zstd -d` gives the original back without this program.

mod compression;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod identities;
pub mod key;
pub mod manifest;
pub mod naming;
pub mod recipients;
mod sealer;
mod tally;
mod unseal;

pub use compression::Compression;
#[cfg(any(test, fuzzing))]
pub use identities::NobodyToAsk;
pub use identities::{Ask, Identities};
pub use recipients::{Family, Plugins, Recipient, RecipientError, Recipients};
pub use sealer::{SealError, Sealed, Sealer};
#[cfg(test)]
pub use unseal::Unsealed;
pub use unseal::{PlainSize, UnsealError};

/// Reads a passphrase, to compare it.
pub use age::secrecy::ExposeSecret;
/// A passphrase: wiped from memory when dropped, never printed.
pub use age::secrecy::SecretString;

#[cfg(test)]
pub(crate) mod tests;
