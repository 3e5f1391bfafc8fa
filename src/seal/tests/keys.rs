use super::super::identities::{IdentityError, is_exposed, recipients_of};
use super::*;

/// An ssh-ed25519 key, plain, and the same kind protected by "open sesame".
fn ssh_keygen(dir: &Path, name: &str, kind: &str, passphrase: &str) -> Option<(Vec<u8>, String)> {
    let tool = outsiders::tool("ssh-keygen")?;
    let file = dir.join(name);
    let run = std::process::Command::new(tool)
        .env_clear()
        .env("HOME", dir)
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some((std::fs::read(&file).unwrap(), std::fs::read_to_string(file.with_extension("pub")).unwrap()))
}

fn load(content: &[u8], ask: &Arc<dyn Ask>) -> Result<Identities, IdentityError> {
    let mut identities = Identities::new();
    identities.add(content, Path::new("some/key"), ask)?;
    Ok(identities)
}

#[test]
fn a_new_identity_has_the_form_of_age_keygen_and_opens_what_is_sealed_to_it() {
    let new = key::generate(now());
    let text = std::str::from_utf8(&new.content).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "# created: 2026-11-22T10:00:00Z");
    assert_eq!(lines[1], format!("# public key: {}", new.recipient));
    assert!(lines[2].starts_with("AGE-SECRET-KEY-1") && text.ends_with('\n'));
    assert_ne!(*new.content, *key::generate(now()).content);
    assert_eq!(recipients_of(&new.content, Path::new("k"), &nobody()).unwrap(), [&*new.recipient]);
}

#[test]
fn a_file_may_hold_several_keys_comments_and_other_line_ends() {
    let (one, two) = (key::generate(now()), key::generate(now()));
    let both = [&one.content[..], b"\n# another\n\n", &two.content[..]].concat();
    let windows = String::from_utf8(both.clone()).unwrap().replace('\n', "\r\n");
    for content in [both, windows.into_bytes()] {
        let with = load(&content, &nobody()).unwrap();
        for new in [&one, &two] {
            let (sealed, _) = seal(b"x", &recipients(&new.recipient), Compression::Zstd);
            open(&sealed, &with, Compression::Zstd, PlainSize::Exactly(1)).unwrap();
        }
        let all = recipients_of(&content, Path::new("k"), &nobody()).unwrap();
        assert_eq!(all, [&*one.recipient, &*two.recipient]);
    }
}

#[test]
fn a_protected_identity_needs_its_passphrase() {
    let new = key::generate(now());
    let locked = key::protect_with_work(&new.content, SecretString::from("open sesame"), 4);
    let knows: Arc<dyn Ask> = Arc::new(Knows("open sesame"));
    let with = load(&locked, &knows).unwrap();
    let (sealed, _) = seal(b"x", &recipients(&new.recipient), Compression::Zstd);
    open(&sealed, &with, Compression::Zstd, PlainSize::Exactly(1)).unwrap();
    assert_eq!(recipients_of(&locked, Path::new("k"), &knows).unwrap(), [&*new.recipient]);

    let wrong: Arc<dyn Ask> = Arc::new(Knows("sesame"));
    assert!(matches!(load(&locked, &wrong), Err(IdentityError::WrongPassphrase { .. })));
    assert!(matches!(load(&locked, &nobody()), Err(IdentityError::Locked { .. })));
    let mut bent = locked.clone();
    *bent.last_mut().unwrap() ^= 1;
    assert!(matches!(load(&bent, &knows), Err(IdentityError::NotAnIdentity { .. })));
}

#[test]
fn the_real_protection_opens_too() {
    let new = key::generate(now());
    let locked = key::protect(&new.content, SecretString::from("open sesame")).unwrap();
    assert!(String::from_utf8_lossy(&locked).contains(" 18\n"), "the work factor of the age command");
    load(&locked, &(Arc::new(Knows("open sesame")) as Arc<dyn Ask>)).unwrap();
}

#[test]
fn refusals_name_the_file_and_the_line_and_never_the_content() {
    let new = key::generate(now());
    let cases: [(&[u8], &str); 6] = [
        (b"# nothing\n\n", "holds no key"),
        (b"", "holds no key"),
        (b"# x\nhunter2\n", "on line 2"),
        (b"\xff\xfe", "is not an identity file"),
        (b"AGE-SECRET-KEY-PQ-1QQQ", "age-plugin-pq"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\n", "malformed"),
    ];
    for (content, part) in cases {
        let error = load(content, &nobody()).err().unwrap().to_string();
        assert!(error.contains(part) && error.contains("some/key") && !error.contains("hunter2"), "{error}");
    }
    // A sealed file in the place of an identity.
    let (sealed, _) = seal(b"x", &recipients(&new.recipient), Compression::Zstd);
    assert!(matches!(load(&sealed, &nobody()), Err(IdentityError::NotAnIdentity { .. })));
    // A bad line adds nothing of the good ones before it.
    let mut identities = Identities::new();
    let mixed = [&new.content[..], b"hunter2\n"].concat();
    identities.add(&mixed, Path::new("k"), &nobody()).unwrap_err();
    assert!(identities.is_empty());
}

#[test]
fn ssh_keys_open_what_is_sealed_to_them() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["ed25519", "rsa"] {
        for passphrase in ["", "open sesame"] {
            let name = format!("{kind}{}", passphrase.len());
            let Some((private, public)) = ssh_keygen(dir.path(), &name, kind, passphrase) else { return };
            let ask: Arc<dyn Ask> =
                if passphrase.is_empty() { nobody() } else { Arc::new(Knows("open sesame")) };
            let (sealed, _) = seal(b"x", &recipients(&public), Compression::Zstd);
            let with = load(&private, &ask).unwrap();
            open(&sealed, &with, Compression::Zstd, PlainSize::Exactly(1)).unwrap();
            let told = recipients_of(&private, Path::new("k"), &ask).unwrap();
            assert!(told.len() == 1 && public.starts_with(&told[0]), "{told:?}");
            if !passphrase.is_empty() {
                assert!(matches!(load(&private, &nobody()), Err(IdentityError::Locked { .. })));
                let wrong: Arc<dyn Ask> = Arc::new(Knows("sesame"));
                assert!(matches!(load(&private, &wrong), Err(IdentityError::WrongPassphrase { .. })));
            }
        }
    }
}

#[test]
fn a_key_of_a_plugin_that_is_not_there_is_said_so() {
    let text =
        recipients::bech32("AGE-PLUGIN-CCRETAIN-NOWHERE-".to_lowercase().as_str(), &[1; 8]).to_uppercase();
    let error = load(text.as_bytes(), &nobody()).err().unwrap();
    assert!(matches!(error, IdentityError::PluginMissing { .. }), "{error}");
    let error = recipients_of(text.as_bytes(), Path::new("k"), &nobody()).unwrap_err();
    assert!(matches!(error, IdentityError::PluginRecipient { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_is_exposed() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = tempfile::NamedTempFile::new().unwrap();
    for (mode, exposed) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o620, true)] {
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(is_exposed(file.path()).unwrap(), exposed, "{mode:o}");
    }
    assert!(is_exposed(Path::new("/nonexistent/key")).is_err());
    let mut identities = Identities::new();
    assert!(matches!(identities.load(Path::new("/nonexistent/key"), &nobody()), Err(IdentityError::Read(_))));
}
