//! Keyed names: paths and ids as hashes that only the holder of the key can match.

use std::io::{self, Read as _};
use std::path::Path;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::LedgerError;
use crate::error::At as _;
use crate::files::{self, Draft};

/// The file of the key in the folder of state: 64 hex digits and a newline, mode 0600.
pub const KEY_FILE: &str = "ledger.key";

/// The key that turns names into hashes (`"names": "keyed"`).
///
/// A keyed name is `hmac-sha256:` and the HMAC-SHA256 (hex) of the name in the form the ledger
/// would have shown it. The same name gives the same hash as long as the key is kept, so records
/// can still be told apart, counted, and found by somebody who has both the key and the name.
#[derive(Clone)]
pub struct Names {
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names(..)")
    }
}

impl Names {
    /// How every keyed name begins.
    pub const MARK: &str = "hmac-sha256:";

    /// Reads the key; `None` where there is none.
    ///
    /// # Errors
    /// When the key is a link, somebody else's, unreadable or no key.
    pub fn load(state_dir: &Path) -> Result<Option<Self>, LedgerError> {
        let path = state_dir.join(KEY_FILE);
        // Opened as one's own and no link: with a key that somebody else chose, he can test every name that he
        // guesses.
        let Some(opened) = files::open_own(&path)? else { return Ok(None) };
        let mut text = String::new();
        // A key has 65 bytes; a file that somebody made large must not be read into memory.
        opened.take(256).read_to_string(&mut text).at("read", &path)?;
        let mut key = [0_u8; 32];
        let no_key = || io::Error::new(io::ErrorKind::InvalidData, "it does not hold 64 hex digits");
        hex::decode_to_slice(text.trim_end(), &mut key).map_err(|_| no_key()).at("read", &path)?;
        let mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| no_key()).at("read", &path)?;
        Ok(Some(Self { mac }))
    }

    /// Reads the key, and makes one where there is none.
    ///
    /// # Errors
    /// As [`Names::load`], and when the key cannot be written.
    pub fn load_or_create(state_dir: &Path) -> Result<Self, LedgerError> {
        if let Some(names) = Self::load(state_dir)? {
            return Ok(names);
        }
        files::private_dir(state_dir)?;
        let path = state_dir.join(KEY_FILE);
        let mut draft = Draft::private(state_dir).at("create", &path)?;
        draft.fill(format!("{}\n", hex::encode(files::random_key())).as_bytes()).at("write", &path)?;
        // Two runs may begin at once: the one whose key comes second goes by the first, as its records would
        // else be told apart from all others.
        match draft.create(&path) {
            Err((error, _)) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).at("create", &path).map_err(LedgerError::from);
            }
            _ => {}
        }
        // Before any record is written by it: names of a key that a crash took away can never be told again.
        files::sync_dir(state_dir)?;
        let vanished = || io::Error::from(io::ErrorKind::NotFound);
        Ok(Self::load(state_dir)?.ok_or_else(vanished).at("read", &path)?)
    }

    /// The keyed form of a name.
    pub fn keyed(&self, name: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(name.as_bytes());
        format!("{}{}", Self::MARK, hex::encode(mac.finalize().into_bytes()))
    }
}

/// An error message without the paths it quotes.
pub(super) fn without_paths(message: &str) -> String {
    // Everything from the first quote to the last is left out, because a path may hold a quote itself; so is
    // every other word that looks like a path.
    let unquoted = match (message.find('\''), message.rfind('\'')) {
        (Some(first), Some(last)) if first < last => {
            let (before, after) = (message.get(..first).unwrap_or(""), message.get(last + 1..).unwrap_or(""));
            format!("{before}'…'{after}")
        }
        _ => message.to_owned(),
    };
    let words: Vec<&str> =
        unquoted.split(' ').map(|word| if word.contains(['/', '\\']) { "…" } else { word }).collect();
    words.join(" ")
}
