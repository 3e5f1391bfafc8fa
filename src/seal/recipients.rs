//! Public keys: what files are sealed to.
//!
//! Input: the texts of a policy's `recipients`. Output: keys that every worker can have a copy of,
//! or the reason why one is refused. No message repeats the text, since a secret may have been
//! pasted in the place of a public key.

use std::fmt;

use crate::escape;

/// Whether a layer may name plugins: only the system's and the organisation's may, because the
/// name decides which program is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugins {
    /// The text comes from a system or managed layer.
    Allowed,
    /// The text comes from a user.
    Refused,
}

/// What a recipient can be sealed together with: a file whose key is also wrapped for a classic
/// recipient is only as strong as that one, so age refuses the mixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Elliptic curves or RSA.
    Classic,
    /// Hybrid with a post-quantum part.
    PostQuantum,
    /// A plugin's: known only when the plugin runs.
    Plugin,
}

/// Why a text is refused as a recipient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// The text has no form of a public key.
    #[error(
        "this is not an age recipient ('age1…', 'ssh-ed25519 …', 'ssh-rsa …'); a passphrase protects an identity \
         file, never a sealed file"
    )]
    NotARecipient,
    /// The text is the private half of a key.
    #[error(
        "this is an identity, which is secret: put its recipient here ('age1…' or the .pub line) and make a new key"
    )]
    SecretKey,
    /// The text is a file name.
    #[error("this is a path: put the recipient itself here, not the file that holds it")]
    Path,
    /// The text looks like an age recipient and is none.
    #[error("malformed age recipient, check that it was copied whole")]
    Malformed,
    /// The text looks like an SSH public key and is none.
    #[error("malformed SSH public key, check that it was copied whole")]
    MalformedSsh,
    /// An RSA key of a length that is not used.
    #[error("RSA keys must have 2048 to 4096 bits")]
    RsaSize,
    /// An SSH key of a type that age cannot encrypt to.
    #[error("SSH keys of type '{0}' cannot be sealed to, only ssh-ed25519 and ssh-rsa can")]
    SshType(String),
    /// A native post-quantum recipient (`age1pq1…`), which the age library has not learnt yet.
    #[error(
        "post-quantum recipients of the form age1pq1… are not supported by the age library in use; \
         the plugin age-plugin-pq handles them for the age command, and a tagged one (age1tagpq1…) can be used here"
    )]
    NativePostQuantum,
    /// A plugin's recipient in a layer that may not name plugins.
    #[error("recipients of a plugin ('age-plugin-{0}') are taken only from system and managed policies")]
    PluginRefused(String),
    /// A plugin name that could lead out of the folders programs are looked for in.
    #[error("'{0}' is not the name of an age plugin")]
    PluginName(String),
    /// The program of a plugin is not installed.
    #[error("the plugin 'age-plugin-{0}' is not installed")]
    PluginMissing(String),
    /// There is nothing to seal to.
    #[error("no recipient to seal to")]
    None,
    /// Classic and post-quantum recipients together.
    #[error(
        "classic and post-quantum recipients cannot be mixed: the file would be no stronger than the classic one"
    )]
    Mixed,
}

/// One public key.
#[derive(Clone)]
pub struct Recipient(Key);

#[derive(Clone)]
enum Key {
    X25519(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
    Tag(age::tag::Recipient),
    // Boxed: an ML-KEM key is over a kilobyte, the others are a few dozen bytes.
    TagPq(Box<age::tagpq::Recipient>),
    Plugin(age::plugin::Recipient),
}

impl Recipient {
    /// Reads a recipient as a policy writes it; white space around it and a comment after an SSH
    /// key are ignored.
    ///
    /// # Errors
    /// The reason why the text is refused; it never repeats the text.
    pub fn parse(text: &str, plugins: Plugins) -> Result<Self, RecipientError> {
        let text = text.trim();
        if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("AGE-"))
            || text.contains("PRIVATE KEY")
        {
            return Err(RecipientError::SecretKey);
        }
        if text.starts_with("age1") {
            return Self::parse_age(text, plugins);
        }
        if text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-") {
            return Self::parse_ssh(text);
        }
        Err(if text.contains(['/', '\\']) { RecipientError::Path } else { RecipientError::NotARecipient })
    }

    fn parse_age(text: &str, plugins: Plugins) -> Result<Self, RecipientError> {
        // The human-readable part of Bech32 ends at the last '1' (BIP 173), here at least the one
        // of "age1": `age1<data>` is X25519, `age1<name>1<data>` everything else.
        let hrp = text.rsplit_once('1').map_or("", |(hrp, _)| hrp);
        let Some(name) = hrp.strip_prefix("age1") else {
            return text.parse().map(Key::X25519).map(Self).map_err(|_| RecipientError::Malformed);
        };
        match name {
            "tag" => text.parse().map(Key::Tag).map(Self).map_err(|_| RecipientError::Malformed),
            "tagpq" => {
                text.parse().map(|key| Self(Key::TagPq(Box::new(key)))).map_err(|_| RecipientError::Malformed)
            }
            "pq" => Err(RecipientError::NativePostQuantum),
            _ if !is_plugin_name(name) => Err(RecipientError::PluginName(escape::text(name))),
            _ if plugins == Plugins::Refused => Err(RecipientError::PluginRefused(name.to_owned())),
            _ => text.parse().map(Key::Plugin).map(Self).map_err(|_| RecipientError::Malformed),
        }
    }

    fn parse_ssh(text: &str) -> Result<Self, RecipientError> {
        use age::ssh::ParseRecipientKeyError as Refused;
        // The parser of the library wants more text after the key to know that it has ended.
        match format!("{text}\n").parse() {
            Ok(key) => Ok(Self(Key::Ssh(key))),
            Err(Refused::RsaModulusTooLarge | Refused::RsaModulusTooSmall) => Err(RecipientError::RsaSize),
            Err(Refused::Unsupported(_)) => {
                let kind = text.split_whitespace().next().unwrap_or_default();
                Err(RecipientError::SshType(escape::text(kind)))
            }
            Err(_) => Err(RecipientError::MalformedSsh),
        }
    }

    /// What it can be sealed together with.
    pub fn family(&self) -> Family {
        match self.0 {
            Key::X25519(_) | Key::Ssh(_) | Key::Tag(_) => Family::Classic,
            Key::TagPq(_) => Family::PostQuantum,
            Key::Plugin(_) => Family::Plugin,
        }
    }

    /// Whether it and another one can open the same file; a plugin's are found out only when the
    /// plugin runs.
    pub fn mixes_with(&self, other: &Self) -> bool {
        let (one, two) = (self.family(), other.family());
        one == two || one == Family::Plugin || two == Family::Plugin
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Key::X25519(key) => key.fmt(f),
            Key::Ssh(key) => key.fmt(f),
            Key::Tag(key) => key.fmt(f),
            Key::TagPq(key) => key.fmt(f),
            Key::Plugin(key) => key.fmt(f),
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

/// A plugin's name is the end of a program's name, so it may hold nothing that means something to
/// a path; it also begins with a letter or digit, so that it is never taken for an option or a folder.
fn is_plugin_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_'))
}

/// Everybody a file is sealed to, without repetitions; cheap to copy to each worker.
#[derive(Debug, Clone)]
pub struct Recipients(Vec<Recipient>);

impl Recipients {
    /// Takes recipients that can be used together.
    ///
    /// # Errors
    /// [`RecipientError::None`] and [`RecipientError::Mixed`].
    pub fn new(recipients: impl IntoIterator<Item = Recipient>) -> Result<Self, RecipientError> {
        let mut seen = std::collections::HashSet::new();
        let mut list = recipients.into_iter().collect::<Vec<_>>();
        // Two layers may name one key; a file need not have two stanzas for it.
        list.retain(|one| seen.insert(one.to_string()));
        if list.is_empty() {
            return Err(RecipientError::None);
        }
        let mixed = |family| list.iter().any(|one| one.family() == family);
        if mixed(Family::Classic) && mixed(Family::PostQuantum) {
            return Err(RecipientError::Mixed);
        }
        Ok(Self(list))
    }

    /// Reads and takes the texts of a policy, each with what its layer may name.
    ///
    /// # Errors
    /// The first refusal, with the position of its text from 0; the number of texts where it is
    /// about all of them.
    pub fn parse<'a>(
        texts: impl IntoIterator<Item = (&'a str, Plugins)>,
    ) -> Result<Self, (usize, RecipientError)> {
        let mut list = Vec::new();
        for (at, (text, plugins)) in texts.into_iter().enumerate() {
            list.push(Recipient::parse(text, plugins).map_err(|error| (at, error))?);
        }
        let all = list.len();
        Self::new(list).map_err(|error| (all, error))
    }

    /// The recipients, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &Recipient> {
        self.0.iter()
    }

    /// Whether a plugin has to be run for one of them.
    pub fn need_programs(&self) -> bool {
        self.0.iter().any(|one| one.family() == Family::Plugin)
    }

    /// SHA-256 (hex) over the recipients, whatever their order.
    pub fn digest(&self) -> String {
        use sha2::{Digest as _, Sha256};
        let mut texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        // The order of layers may change without anybody having lost access.
        texts.sort_unstable();
        hex::encode(Sha256::digest(texts.join("\n")))
    }

    /// What one worker encrypts to.
    pub(super) fn boxes(&self) -> Result<Vec<Box<dyn age::Recipient + Send>>, RecipientError> {
        // The library's boxes cannot be shared between threads, so each worker has its own, made once and used
        // for every file.
        let mut boxes: Vec<Box<dyn age::Recipient + Send>> = Vec::with_capacity(self.0.len());
        let mut of_plugins = Vec::new();
        for one in &self.0 {
            match &one.0 {
                Key::X25519(key) => boxes.push(Box::new(key.clone())),
                Key::Ssh(key) => boxes.push(Box::new(key.clone())),
                Key::Tag(key) => boxes.push(Box::new(key.clone())),
                Key::TagPq(key) => boxes.push(Box::new((**key).clone())),
                Key::Plugin(key) => of_plugins.push(key.clone()),
            }
        }
        // One process a plugin and file, whatever the number of its recipients.
        let mut names: Vec<String> = of_plugins.iter().map(|key| key.plugin().to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            // Nobody sits at an unattended run: a plugin that needs an answer fails.
            let plugin = age::plugin::RecipientPluginV1::new(&name, &of_plugins, &[], age::NoCallbacks)
                .map_err(|_| RecipientError::PluginMissing(name))?;
            boxes.push(Box::new(plugin));
        }
        Ok(boxes)
    }
}
