//! Identity files: made, protected, and asked for their recipient.
//!
//! Nothing here writes a file; the content goes to whoever creates one.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use age::secrecy::zeroize::Zeroizing;
use age::secrecy::{ExposeSecret as _, SecretString};
use chrono::{DateTime, SecondsFormat, Utc};

pub use super::identities::recipients_of;
use super::identities::{Ask, IdentityError, read_file};

/// Bytes that are wiped from memory when dropped.
pub type Secret = Zeroizing<Vec<u8>>;

/// The scrypt work factor of protected files: what the age command uses, about a second and 256 MiB.
const WORK: u8 = 18;

/// A new key pair.
pub struct NewIdentity {
    /// The public half, as a policy's `recipients` take it.
    pub recipient: String,
    /// The identity file, in the form in which `age-keygen` writes one; wiped when dropped.
    pub content: Secret,
}

/// Makes a new X25519 identity; the time is for the comment in its file.
pub fn generate(now: DateTime<Utc>) -> NewIdentity {
    // By the library, which alone knows what a key of its own must be.
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let head =
        format!("# created: {}\n# public key: {recipient}\n", now.to_rfc3339_opts(SecondsFormat::Secs, true));
    let secret = identity.to_string();
    // As large as it will be, so that no copy is left behind by growing.
    let mut content = Zeroizing::new(Vec::with_capacity(head.len() + secret.expose_secret().len() + 1));
    content.extend_from_slice(head.as_bytes());
    content.extend_from_slice(secret.expose_secret().as_bytes());
    content.push(b'\n');
    NewIdentity { recipient, content }
}

/// A passphrase that nobody guesses: 20 digits of a key that is used for nothing else, 100 bits, in groups as people
/// copy them.
pub fn passphrase() -> SecretString {
    const DIGITS: usize = 20;
    const GROUP: usize = 4;
    let key = age::x25519::Identity::generate().to_string();
    // What follows the last `1` are the digits, in an alphabet without those that look alike.
    let digits = key.expose_secret().rsplit('1').next().unwrap_or_default().to_ascii_lowercase();
    let digits = Zeroizing::new(digits);
    let mut made = String::with_capacity(DIGITS + DIGITS / GROUP);
    for (place, digit) in digits.chars().take(DIGITS).enumerate() {
        if place > 0 && place % GROUP == 0 {
            made.push('-');
        }
        made.push(digit);
    }
    SecretString::from(made)
}

/// The recipients of an identity file or an SSH private key, one for each key, as texts.
///
/// # Errors
/// It cannot be read, gives no keys, or is a plugin's, whose recipient only the plugin knows.
pub fn recipients_in(path: &Path, ask: &Arc<dyn Ask>) -> Result<Vec<String>, IdentityError> {
    recipients_of(&read_file(path)?, path, ask)
}

/// The content of an identity file as an age file that a passphrase opens (`age -d` does too).
///
/// # Errors
/// Memory short.
pub fn protect(content: &[u8], passphrase: SecretString) -> io::Result<Vec<u8>> {
    protect_with(content, passphrase, WORK)
}

fn protect_with(content: &[u8], passphrase: SecretString, work: u8) -> io::Result<Vec<u8>> {
    let mut recipient = age::scrypt::Recipient::new(passphrase);
    recipient.set_work_factor(work);
    let mut protected = Vec::new();
    let mut encrypting = age::Encryptor::with_recipients(std::iter::once(&recipient as _))
        .map_err(io::Error::other)?
        .wrap_output(&mut protected)?;
    encrypting.write_all(content)?;
    encrypting.finish()?;
    Ok(protected)
}

/// A cheap lock, so that tests are quick.
#[cfg(test)]
pub(super) fn protect_with_work(content: &[u8], passphrase: SecretString, work: u8) -> Vec<u8> {
    protect_with(content, passphrase, work).unwrap()
}
