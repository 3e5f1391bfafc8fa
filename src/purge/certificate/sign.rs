//! Signing with `ssh-keygen -Y`, so that a certificate is verified with stock tools.
//!
//! The key is tried once before anything is touched: a purge is not to end without the signature
//! that was asked for. The signature itself says by which key it was made (SSHSIG, as OpenSSH's
//! `PROTOCOL.sshsig` describes it), so no second file has to be found for that.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::NAMESPACE;
use super::issuer::Signer;
use crate::escape::{shell, shown, text};
use crate::files;

/// The program, of OpenSSH 8.1 or later.
const PROGRAM: &str = "ssh-keygen";
/// The namespace of the signature that only tries the key.
const TRIAL: &str = "ccretain-trial";

/// Why a certificate cannot be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// There is no key.
    #[error("cannot read the key '{}'", shown(path))]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no `ssh-keygen`.
    #[error("cannot find `ssh-keygen`, which signs: install OpenSSH, 8.1 or later")]
    Program,
    /// It could not be run.
    #[error("cannot run '{}'", shown(path))]
    Run {
        /// The program.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It would not sign.
    #[error("cannot sign with '{}': {complaint}", shown(key))]
    Refused {
        /// The key.
        key: PathBuf,
        /// What it said.
        complaint: String,
    },
    /// What it gave is not a signature.
    #[error("what `ssh-keygen` gave for '{}' is not a signature", shown(key))]
    NoSignature {
        /// The key.
        key: PathBuf,
    },
}

/// A key that was tried and signs.
#[derive(Debug, Clone)]
pub struct Signing {
    program: PathBuf,
    key: PathBuf,
    signer: Signer,
}

impl Signing {
    /// Tries a key: a private key file, or a public one whose private half an agent holds.
    ///
    /// # Errors
    /// There is no such key or no `ssh-keygen`, or it does not sign.
    pub fn prepare(key: &Path, path: Option<&OsStr>) -> Result<Self, SignError> {
        // `path` is the variable `PATH`. Where the key has a passphrase `ssh-keygen` asks for it at the
        // terminal, once now and once when the certificate is signed.
        files::open(key).map_err(|source| SignError::Key { path: key.to_path_buf(), source })?;
        let program = path
            .into_iter()
            .flat_map(std::env::split_paths)
            // A relative folder in PATH is whatever folder the command was given in.
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX)))
            .find(|program| program.is_file())
            .ok_or(SignError::Program)?;
        // Tried before anything goes: a key that does not sign must not be found out when there is nothing left
        // to certify.
        let signature = run(&program, key, TRIAL, b"ccretain tries this key\n")?;
        let signer = signer(&signature).ok_or_else(|| SignError::NoSignature { key: key.to_path_buf() })?;
        Ok(Self { program, key: key.to_path_buf(), signer })
    }

    /// Which key it is, for the certificate.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The signature of a certificate, armoured, as `ssh-keygen` writes it into a `.sig` file.
    ///
    /// # Errors
    /// It does not sign any more, or with another key.
    pub fn sign(&self, content: &[u8]) -> Result<String, SignError> {
        let signature = run(&self.program, &self.key, NAMESPACE, content)?;
        match signer(&signature) {
            // The certificate names its key, and an agent may hold another one by now.
            Some(signer) if signer == self.signer => Ok(signature),
            _ => Err(SignError::NoSignature { key: self.key.clone() }),
        }
    }
}

fn run(program: &Path, key: &Path, namespace: &str, content: &[u8]) -> Result<String, SignError> {
    let failed = |source| SignError::Run { path: program.to_path_buf(), source };
    let mut child = Command::new(program)
        .args(["-Y", "sign", "-n", namespace, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut pipe) = child.stdin.take() {
        // The pipe is closed at the end of this block, without which `ssh-keygen` waits for more.
        match pipe.write_all(content) {
            // It tells by its exit code why it did not read.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(failed(error)),
            _ => {}
        }
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // It announces itself first; what went wrong comes last.
        let line = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no message");
        return Err(SignError::Refused { key: key.to_path_buf(), complaint: text(line) });
    }
    String::from_utf8(output.stdout).map_err(|_| SignError::NoSignature { key: key.to_path_buf() })
}

/// Which key made an armoured signature.
fn signer(armoured: &str) -> Option<Signer> {
    let body = armoured.trim().strip_prefix("-----BEGIN SSH SIGNATURE-----")?;
    let body = body.strip_suffix("-----END SSH SIGNATURE-----")?;
    let joined: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let blob = STANDARD.decode(joined).ok()?;
    // "SSHSIG", a version of 4 bytes, then the key as a string: its length in 4 bytes, and it.
    let rest = blob.strip_prefix(b"SSHSIG")?.get(4..)?;
    let (key, _) = string(rest)?;
    let (kind, _) = string(key)?;
    // It becomes part of a line that others paste into a file of trusted keys.
    let kind = std::str::from_utf8(kind).ok().filter(|kind| kind.bytes().all(|b| b.is_ascii_graphic()))?;
    Some(Signer {
        fingerprint: format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(key))),
        public_key: format!("{kind} {}", STANDARD.encode(key)),
        namespace: NAMESPACE.to_owned(),
    })
}

/// A string of the SSH wire format and what follows it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    bytes.get(4..)?.split_at_checked(usize::try_from(length).ok()?)
}

impl Signer {
    /// The line of an allowed signers file that trusts this key for certificates and nothing else.
    pub fn allowed_signer(&self) -> String {
        format!("purge namespaces=\"{}\" {}", self.namespace, self.public_key)
    }
}

/// The command that verifies the signature of a JSON document, for a POSIX shell; the allowed
/// signers file is the organisation's own.
pub fn verify_command(json: &str) -> String {
    let (file, signature) = (shell::word(json), shell::word(&format!("{json}.sig")));
    format!("ssh-keygen -Y verify -f allowed_signers -I purge -n {NAMESPACE} -s {signature} < {file}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with OpenSSH 9.2 for this test; its fingerprint is what `ssh-keygen -l` printed.
    const SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgu0vORHXvwIS7TDotWayifSTC+i
3JjpiosD5AuJl7jcIAAAAUY2NyZXRhaW4tY2VydGlmaWNhdGUAAAAAAAAABnNoYTUxMgAA
AFMAAAALc3NoLWVkMjU1MTkAAABA3+neC87i505nFokJZxi8E3+qt7D/Z006qIRRHGSaDJ
NAZvzestN/W0hZNL9EOleIuQc07UjnpWhNNVoHp5mMDQ==
-----END SSH SIGNATURE-----
";

    #[test]
    fn a_signature_says_who_made_it() {
        let signer = signer(SIGNATURE).unwrap();
        assert_eq!(signer.fingerprint, "SHA256:J4scpN0s46hheN+nzWXXhRogcBEKrM2eApDitQlFxN8");
        assert!(signer.public_key.starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILtLzkR178CE"));
        assert_eq!(
            verify_command("/tmp/it's.json"),
            "ssh-keygen -Y verify -f allowed_signers -I purge -n ccretain-certificate \
             -s '/tmp/it'\\''s.json.sig' < '/tmp/it'\\''s.json'"
        );
    }

    #[test]
    fn what_is_no_signature_is_none() {
        for wrong in ["", "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----", "U1NIU0lH"] {
            assert_eq!(signer(wrong), None);
        }
        for length in 0..SIGNATURE.len() {
            let _ = signer(&format!("{}\n-----END SSH SIGNATURE-----", &SIGNATURE[..length]));
        }
    }
}
