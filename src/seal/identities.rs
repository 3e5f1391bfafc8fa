//! Private keys: what sealed files are opened with.
//!
//! Input: identity files of age (plain or protected by a passphrase) and SSH private keys. Output:
//! keys to open files with, which all workers can share. Passphrases are asked for through
//! [`Ask`], once a file, when it is read. No message repeats what a file holds.

use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use age::secrecy::SecretString;
use age::secrecy::zeroize::Zeroizing;

use crate::environment::Environment;
use crate::error::{At as _, PathError};
use crate::escape::{self, shown};
use crate::files;

/// The identity's name, beside the user's policy.
pub const IDENTITY: &str = "identity.age";

/// Where the user's identity lies.
pub fn identity_path(env: &Environment) -> PathBuf {
    env.config_dir().join(IDENTITY)
}

/// The largest identity file that is read, in bytes; the age library's own bound.
const LARGEST: u64 = 16 << 20;

/// The largest scrypt work factor that is worked off: 2^22 takes some seconds and 4 GiB, and is
/// where the age command stops too.
const MAX_WORK: u8 = 22;

/// Somebody at a terminal, or nobody.
pub trait Ask: Send + Sync {
    /// The passphrase of what is named; `None` where there is nobody to ask.
    fn passphrase(&self, what: &str) -> Option<SecretString>;

    /// Shows what a plugin has to say, such as "touch the key".
    fn tell(&self, message: &str);

    /// Whether the person agrees; `None` where there is nobody to ask.
    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool>;

    /// What the person answers, shown while it is typed; `None` where there is nobody to ask.
    fn answer(&self, question: &str) -> Option<String>;
}

/// The answer of a run that nobody attends.
#[cfg(any(test, fuzzing))]
#[derive(Debug, Clone, Copy)]
pub struct NobodyToAsk;

#[cfg(any(test, fuzzing))]
impl Ask for NobodyToAsk {
    fn passphrase(&self, _: &str) -> Option<SecretString> {
        None
    }

    fn tell(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn answer(&self, _: &str) -> Option<String> {
        None
    }
}

/// Why an identity file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] PathError),
    /// A line is neither a comment nor a private key.
    #[error("identity file '{}' has something else than a key on line {line}", shown(path))]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A native post-quantum identity, which the age library has not learnt yet.
    #[error(
        "identity file '{}' has a post-quantum key on line {line}, which the age library in use does not support; \
         the plugin age-plugin-pq converts it",
        shown(path)
    )]
    NativePostQuantum {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// It holds no private key.
    #[error("identity file '{}' holds no key", shown(path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It holds no text.
    #[error("'{}' is not an identity file", shown(path))]
    NotAnIdentity {
        /// The file.
        path: PathBuf,
    },
    /// It is protected and nobody could be asked.
    #[error("identity file '{}' is protected by a passphrase and there is nobody to ask", shown(path))]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase does not open it.
    #[error("the passphrase does not open identity file '{}'", shown(path))]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// An SSH key that cannot be used.
    #[error("the SSH key '{}' cannot be used: {why}", shown(path))]
    Ssh {
        /// The file.
        path: PathBuf,
        /// Why; from a fixed list.
        why: &'static str,
    },
    /// The program of a plugin is not installed.
    #[error("identity file '{}' needs the plugin '{plugin}', which is not installed", shown(path))]
    PluginMissing {
        /// The file.
        path: PathBuf,
        /// The plugin's program.
        plugin: String,
    },
    /// The key has no recipient that can be written down.
    #[error("only the plugin '{plugin}' can tell the recipient of identity file '{}'", shown(path))]
    PluginRecipient {
        /// The file.
        path: PathBuf,
        /// The plugin's program.
        plugin: String,
    },
}

type Boxed = Box<dyn age::Identity + Send + Sync>;

/// The private keys of one or more files.
#[derive(Default)]
pub struct Identities {
    keys: Vec<Boxed>,
    /// Plugins come last: they may want a hand on a device, and one that fails ends the search.
    of_plugins: Vec<Boxed>,
}

impl Identities {
    /// No key yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.of_plugins.is_empty()
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.keys.iter().chain(&self.of_plugins).map(|one| &**one as &dyn age::Identity)
    }

    /// Reads an identity file or an SSH private key and adds its keys.
    ///
    /// # Errors
    /// Any reason why the file gives no keys; then nothing is added.
    pub fn load(&mut self, path: &Path, ask: &Arc<dyn Ask>) -> Result<(), IdentityError> {
        self.add(&read_file(path)?, path, ask)
    }

    /// Adds the keys of a file's content; the path is for messages only.
    ///
    /// # Errors
    /// Any reason why the content gives no keys; then nothing is added.
    pub fn add(&mut self, content: &[u8], path: &Path, ask: &Arc<dyn Ask>) -> Result<(), IdentityError> {
        match parse(content, path, ask)? {
            Parsed::Ssh(key) => {
                self.keys.push(Box::new(key));
                Ok(())
            }
            Parsed::Age { file, has_plugin } => {
                let found = file
                    .with_callbacks(Callbacks(Arc::clone(ask)))
                    .into_identities()
                    .map_err(|error| plugin_error(&error, path))?;
                let list = if has_plugin { &mut self.of_plugins } else { &mut self.keys };
                list.extend(found);
                Ok(())
            }
        }
    }
}

/// The recipients of an identity file or an SSH private key, one for each key, as texts.
///
/// # Errors
/// Any reason why the file gives no keys; a plugin's key, whose recipient only the plugin knows.
pub fn recipients_of(content: &[u8], path: &Path, ask: &Arc<dyn Ask>) -> Result<Vec<String>, IdentityError> {
    match parse(content, path, ask)? {
        Parsed::Ssh(key) => {
            age::ssh::Recipient::try_from(key).map(|recipient| vec![recipient.to_string()]).map_err(|_| {
                IdentityError::Ssh { path: path.into(), why: "its public half cannot be sealed to" }
            })
        }
        Parsed::Age { file, .. } => {
            let mut text = Vec::new();
            match file.write_recipients_file(&mut text) {
                Ok(()) => Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()),
                Err(age::IdentityFileConvertError::IdentityFileContainsPlugin { plugin_name, .. }) => {
                    Err(IdentityError::PluginRecipient {
                        path: path.into(),
                        plugin: format!("age-plugin-{plugin_name}"),
                    })
                }
                Err(_) => Err(IdentityError::Empty { path: path.into() }),
            }
        }
    }
}

/// Whether others than the owner can read or write the file (Unix; elsewhere never known).
///
/// # Errors
/// The file's metadata cannot be read.
pub fn is_exposed(path: &Path) -> Result<bool, PathError> {
    let metadata = std::fs::metadata(path).at("look at", path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        Ok(metadata.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        Ok(false)
    }
}

/// Keeps the memory of this process, which is about to hold a key, out of core dumps.
pub fn forbid_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        // The hard limit stays, so that Claude Code can raise its own.
        let maximum = getrlimit(Resource::Core).maximum;
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    }
}

/// Reads a file that holds a secret, up to the bound for such files; wiped when dropped.
pub(super) fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    forbid_core_dumps();
    // `--identity <(…)` and `/dev/stdin` are the caller's own descriptors, and are waited for.
    let is_given = path.starts_with("/dev/fd") || path == Path::new("/dev/stdin");
    let file = if is_given { std::fs::File::open(path) } else { files::open(path) }.at("open", path)?;
    let mut content = Zeroizing::new(Vec::new());
    file.take(LARGEST).read_to_end(&mut content).at("read", path)?;
    Ok(content)
}

enum Parsed {
    Ssh(age::ssh::Identity),
    Age { file: age::IdentityFile<age::NoCallbacks>, has_plugin: bool },
}

fn parse(content: &[u8], path: &Path, ask: &Arc<dyn Ask>) -> Result<Parsed, IdentityError> {
    let start = content.trim_ascii_start();
    if start.starts_with(b"age-encryption.org/") || start.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----") {
        parse_keys(&unlock(start, path, ask)?, path)
    } else if start.starts_with(b"-----BEGIN ") {
        parse_ssh(start, path, ask)
    } else {
        parse_keys(content, path)
    }
}

/// Opens a protected identity file.
fn unlock(content: &[u8], path: &Path, ask: &Arc<dyn Ask>) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let broken = || IdentityError::NotAnIdentity { path: path.into() };
    let wrong = || IdentityError::WrongPassphrase { path: path.into() };
    let armored = age::armor::ArmoredReader::new(BufReader::new(content));
    let decryptor = age::Decryptor::new_buffered(armored).map_err(|_| broken())?;
    if !decryptor.is_scrypt() {
        return Err(broken());
    }
    let passphrase = ask
        .passphrase(&format!("passphrase of '{}'", shown(path)))
        .ok_or_else(|| IdentityError::Locked { path: path.into() })?;
    let mut identity = age::scrypt::Identity::new(passphrase);
    // The file says how much work it wants; more would stop this program for hours.
    identity.set_max_work_factor(MAX_WORK);
    let mut reader = decryptor.decrypt(std::iter::once(&identity as _)).map_err(|error| match error {
        age::DecryptError::DecryptionFailed
        | age::DecryptError::KeyDecryptionFailed
        | age::DecryptError::NoMatchingKeys => wrong(),
        _ => broken(),
    })?;
    let mut plain = Zeroizing::new(Vec::new());
    reader.by_ref().take(LARGEST).read_to_end(&mut plain).map_err(|_| broken())?;
    Ok(plain)
}

fn parse_keys(content: &[u8], path: &Path) -> Result<Parsed, IdentityError> {
    let text =
        std::str::from_utf8(content).map_err(|_| IdentityError::NotAnIdentity { path: path.into() })?;
    let (mut keys, mut has_plugin) = (0usize, false);
    for (at, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        keys += 1;
        let (path, line_number) = (path.to_path_buf(), at + 1);
        if line.starts_with("AGE-SECRET-KEY-PQ-") {
            return Err(IdentityError::NativePostQuantum { path, line: line_number });
        }
        if line.parse::<age::x25519::Identity>().is_err() {
            if line.parse::<age::plugin::Identity>().is_err() {
                return Err(IdentityError::Line { path, line: line_number });
            }
            has_plugin = true;
        }
    }
    if keys == 0 {
        return Err(IdentityError::Empty { path: path.into() });
    }
    let file = age::IdentityFile::from_buffer(content)
        .map_err(|_| IdentityError::NotAnIdentity { path: path.into() })?;
    Ok(Parsed::Age { file, has_plugin })
}

fn parse_ssh(content: &[u8], path: &Path, ask: &Arc<dyn Ask>) -> Result<Parsed, IdentityError> {
    use age::ssh::{Identity, UnsupportedKey};
    let fail = |why| IdentityError::Ssh { path: path.into(), why };
    // The parser of the library wants to see what follows the last line.
    let content = Zeroizing::new([content.trim_ascii_end(), b"\n"].concat());
    let key = Identity::from_buffer(&content[..], None).map_err(|_| fail("it is malformed or no SSH key"))?;
    match key {
        Identity::Unencrypted(_) => Ok(Parsed::Ssh(key)),
        Identity::Encrypted(key) => {
            let passphrase = ask
                .passphrase(&format!("passphrase of '{}'", shown(path)))
                .ok_or_else(|| IdentityError::Locked { path: path.into() })?;
            key.decrypt(passphrase)
                .map(|key| Parsed::Ssh(key.into()))
                .map_err(|_| IdentityError::WrongPassphrase { path: path.into() })
        }
        Identity::Unsupported(UnsupportedKey::EncryptedPem) => {
            Err(fail("it is protected in an old form, `ssh-keygen -o -p` brings it into the new one"))
        }
        Identity::Unsupported(UnsupportedKey::EncryptedSsh(_)) => {
            Err(fail("it is protected by an unknown cipher"))
        }
        Identity::Unsupported(UnsupportedKey::Hardware(_)) => {
            Err(fail("it lives on a security key, which age reaches only through a plugin"))
        }
        Identity::Unsupported(_) => Err(fail("only ssh-ed25519 and ssh-rsa keys can be used")),
    }
}

fn plugin_error(error: &age::DecryptError, path: &Path) -> IdentityError {
    match error {
        age::DecryptError::PluginResolve(age::plugin::ResolveError::MissingPlugin { binary_name }) => {
            IdentityError::PluginMissing { path: path.into(), plugin: binary_name.clone() }
        }
        _ => IdentityError::NotAnIdentity { path: path.into() },
    }
}

/// [`Ask`] in the form in which the library's plugins want it; what they say is escaped, because
/// it is printed on a terminal.
#[derive(Clone)]
struct Callbacks(Arc<dyn Ask>);

impl age::Callbacks for Callbacks {
    fn display_message(&self, message: &str) {
        self.0.tell(&escape::text(message));
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.0.confirm(&escape::text(message), &escape::text(yes), no.map(escape::text).as_deref())
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.0.answer(&escape::text(description))
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        self.0.passphrase(&escape::text(description))
    }
}
