//! What may stand in `recipients`: the syntax of age recipients, checked without encrypting anything.
//!
//! Sources: the age format (C2SP `age.md`: Bech32 without a length limit, X25519 and plugin
//! recipients, tagged recipients), RFC 4253 6.6 and RFC 8709 4 for SSH keys. No message repeats
//! the text, which may be a secret put in the wrong place.

/// What a recipient can be mixed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// X25519, SSH and tagged P-256 keys.
    Classic,
    /// Keys that also resist quantum computers; the format asks not to mix them with classic ones.
    PostQuantum,
    /// Keys that a plugin knows; what they can be mixed with is not known here.
    Plugin,
}

/// Why a text is no recipient that can be sealed to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientError {
    /// A private key.
    #[error(
        "this is an identity, which is secret: put its recipient here ('age1…' or the .pub line) and make a new key"
    )]
    Secret,
    /// A file name.
    #[error("this is a path: put the recipient itself here, not the file that holds it")]
    Path,
    /// A post-quantum recipient without the plugin's name.
    #[error(
        "'age1pq' recipients cannot be written by this version; they need age-plugin-pq: use an 'age1…', 'age1tagpq…' or ssh key"
    )]
    PostQuantum,
    /// A kind of SSH key age does not encrypt to.
    #[error("age encrypts to ssh-ed25519 and ssh-rsa keys only, not to '{0}'")]
    SshKind(String),
    /// An SSH key that cannot be read.
    #[error("the ssh key is damaged: {0}")]
    Ssh(&'static str),
    /// Damaged Bech32.
    #[error("the age recipient is damaged: {0}")]
    Bech32(&'static str),
    /// A plugin name that is none.
    #[error("the plugin name in this recipient has characters no plugin name can have")]
    PluginName,
    /// Anything else, a passphrase for instance.
    #[error(
        "this is no age recipient ('age1…', 'ssh-ed25519 …', 'ssh-rsa …'); a passphrase protects an identity file, never a sealed file"
    )]
    Unknown,
}

/// Checks the syntax of a recipient and says what it can be mixed with.
///
/// # Errors
/// Anything age cannot encrypt to, with the reason.
pub fn check(text: &str) -> Result<Class, RecipientError> {
    let upper = text.to_ascii_uppercase();
    if upper.starts_with("AGE-") || text.contains("PRIVATE KEY") {
        return Err(RecipientError::Secret);
    }
    if let Some(kind) = text.split_whitespace().next().filter(|kind| is_ssh_kind(kind)) {
        return ssh(kind, text);
    }
    if text.starts_with("age1") {
        return bech32(text);
    }
    if text.contains(['/', '\\']) {
        return Err(RecipientError::Path);
    }
    Err(RecipientError::Unknown)
}

/// The part of a recipient that says who it is, so that comments do not make two of one.
#[must_use]
pub fn essence(text: &str) -> String {
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn is_ssh_kind(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| word.starts_with(start))
}

fn ssh(kind: &str, text: &str) -> Result<Class, RecipientError> {
    if !matches!(kind, "ssh-ed25519" | "ssh-rsa") {
        let plain: String = kind.chars().filter(char::is_ascii_graphic).take(40).collect();
        return Err(RecipientError::SshKind(plain));
    }
    let encoded = text.split_whitespace().nth(1).ok_or(RecipientError::Ssh("its second word is missing"))?;
    let blob = base64(encoded).ok_or(RecipientError::Ssh("its second word is no base64"))?;
    let cut = RecipientError::Ssh("it is cut off");
    let (name, rest) = field(&blob).ok_or(cut.clone())?;
    if name != kind.as_bytes() {
        return Err(RecipientError::Ssh("its two words name different kinds"));
    }
    let (first, rest) = field(rest).ok_or(cut.clone())?;
    if kind == "ssh-ed25519" {
        return if first.len() == 32 && rest.is_empty() { Ok(Class::Classic) } else { Err(cut) };
    }
    let (modulus, rest) = field(rest).ok_or(cut.clone())?;
    if !rest.is_empty() {
        return Err(cut);
    }
    let significant = modulus.iter().skip_while(|byte| **byte == 0).count();
    if significant < 256 {
        return Err(RecipientError::Ssh("an RSA key needs 2048 bits or more"));
    }
    Ok(Class::Classic)
}

/// The first field of an SSH wire blob (a length in four bytes, then that many) and what follows.
fn field(blob: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xfff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    (held < 6).then_some(out)
}

fn bech32(text: &str) -> Result<Class, RecipientError> {
    const LETTERS: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let damaged = RecipientError::Bech32;
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(damaged("it must be in lower case"));
    }
    let (prefix, data) = text.rsplit_once('1').ok_or(RecipientError::Unknown)?;
    let name = prefix.strip_prefix("age1");
    if prefix != "age" && !name.is_some_and(is_plugin_name) {
        return Err(RecipientError::PluginName);
    }
    if name == Some("pq") {
        return Err(RecipientError::PostQuantum);
    }
    let values: Vec<u8> = data
        .bytes()
        .map(|byte| LETTERS.iter().position(|letter| *letter == byte).and_then(|at| u8::try_from(at).ok()))
        .collect::<Option<_>>()
        .ok_or(damaged("it has a character that Bech32 does not use"))?;
    if values.len() < 6 || checksum(prefix, &values) != 1 {
        return Err(damaged("its checksum does not fit, so it was mistyped or cut off"));
    }
    let payload = (values.len() - 6) * 5 / 8;
    match name {
        None if payload == 32 => Ok(Class::Classic),
        None => Err(damaged("its length is wrong")),
        Some("tag") => Ok(Class::Classic),
        Some("tagpq") => Ok(Class::PostQuantum),
        Some(_) => Ok(Class::Plugin),
    }
}

fn is_plugin_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b))
}

/// The Bech32 checksum (BIP 173) over prefix and data; 1 where it fits.
fn checksum(prefix: &str, values: &[u8]) -> u32 {
    let high = prefix.bytes().map(|b| b >> 5);
    let low = prefix.bytes().map(|b| b & 31);
    high.chain([0]).chain(low).chain(values.iter().copied()).fold(1u32, |sum, value| {
        let top = sum >> 25;
        let shifted = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
        [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3]
            .iter()
            .enumerate()
            .filter(|(bit, _)| top >> bit & 1 == 1)
            .fold(shifted, |sum, (_, generator)| sum ^ generator)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::policy) const X25519: &str =
        "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    pub(in crate::policy) const SSH: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";

    /// A well-formed Bech32 text with a payload of zeros.
    pub(in crate::policy) fn made(prefix: &str, bytes: usize) -> String {
        let letters = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
        let mut values = vec![0u8; (bytes * 8).div_ceil(5)];
        values.extend([0; 6]);
        let sum = checksum(prefix, &values) ^ 1;
        let at = values.len() - 6;
        for (i, value) in values[at..].iter_mut().enumerate() {
            *value = (sum >> (5 * (5 - i)) & 31) as u8;
        }
        format!(
            "{prefix}1{}",
            values.iter().map(|v| char::from(letters[usize::from(*v)])).collect::<String>()
        )
    }

    #[test]
    fn accepts_what_age_encrypts_to() {
        assert_eq!(check(X25519), Ok(Class::Classic));
        assert_eq!(check(SSH), Ok(Class::Classic));
        assert_eq!(check(&format!("{SSH} ann@desk")), Ok(Class::Classic));
        assert_eq!(check(&made("age1tag", 33)), Ok(Class::Classic));
        assert_eq!(check(&made("age1tagpq", 1249)), Ok(Class::PostQuantum));
        assert_eq!(check(&made("age1yubikey", 33)), Ok(Class::Plugin));
    }

    #[test]
    fn refuses_the_rest_and_says_why_without_repeating_it() {
        let last_changed = format!("{}q", &X25519[..X25519.len() - 1]);
        for (text, want) in [
            ("correct horse battery staple".to_owned(), RecipientError::Unknown),
            (String::new(), RecipientError::Unknown),
            ("AGE-SECRET-KEY-1QQQQ".into(), RecipientError::Secret),
            ("age-plugin-x-1qqq".into(), RecipientError::Secret),
            ("-----BEGIN OPENSSH PRIVATE KEY-----".into(), RecipientError::Secret),
            ("~/.ssh/id_ed25519.pub".into(), RecipientError::Path),
            (made("age1pq", 1216), RecipientError::PostQuantum),
            (made("age1../../bin/x", 33), RecipientError::PluginName),
            (made("age1a\\b", 33), RecipientError::PluginName),
            (made("age", 31), RecipientError::Bech32("its length is wrong")),
            (
                last_changed,
                RecipientError::Bech32("its checksum does not fit, so it was mistyped or cut off"),
            ),
            ("ecdsa-sha2-nistp256 AAAA".into(), RecipientError::SshKind("ecdsa-sha2-nistp256".into())),
            ("ssh-ed25519".into(), RecipientError::Ssh("its second word is missing")),
            (SSH[..SSH.len() - 8].into(), RecipientError::Ssh("it is cut off")),
            (
                SSH.replacen("ssh-ed25519", "ssh-rsa", 1),
                RecipientError::Ssh("its two words name different kinds"),
            ),
        ] {
            assert_eq!(check(&text), Err(want), "{text}");
        }
        let error = check("my secret phrase").unwrap_err().to_string();
        assert!(!error.contains("my secret"), "{error}");
    }

    #[test]
    fn a_comment_makes_no_second_recipient() {
        assert_eq!(essence(&format!("{SSH} ann@desk")), essence(SSH));
    }
}
