//! The identity file of a user: made whole or not at all, and asked for its recipients.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Error;
use crate::environment::Environment;
use crate::error::At as _;
use crate::files::{self, Draft};
use crate::seal::{Ask, SecretString, key};

/// Refuses to make an identity where there is one.
pub fn refuse_existing(path: &Path) -> Result<(), Error> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        found => found.at("look for", path).map_err(Error::Path).and(Err(Error::IdentityExists(path.into()))),
    }
}

/// Makes the identity file, never in the place of another one; gives its recipient.
pub fn create(env: &Environment, path: &Path, passphrase: Option<SecretString>) -> Result<String, Error> {
    let new = key::generate(env.now);
    let content = match passphrase {
        Some(passphrase) => key::Secret::new(key::protect(&new.content, passphrase).at("protect", path)?),
        None => new.content,
    };
    let dir = env.config_dir();
    files::private_dir(&dir)?;
    // Never readable for others, not even while it is written.
    let mut draft = Draft::private(&dir).at("write to", &dir)?;
    draft.fill(&content).at("write", path)?;
    match draft.create(path) {
        // Two commands at once: the second must not take away what the first has printed the recipient of.
        Err((error, _)) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::IdentityExists(path.into()));
        }
        created => created.map_err(|(error, _)| error).at("create", path)?,
    }
    // Before the recipient is printed: whoever seals to it relies on the key.
    files::sync_dir(&dir)?;
    Ok(new.recipient)
}

/// The recipients of the identity file, one for each key.
pub fn recipients(path: &Path, ask: &Arc<dyn Ask>) -> Result<Vec<String>, Error> {
    key::recipients_in(path, ask).map_err(Error::Identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Platform;
    use crate::seal::NobodyToAsk;
    use crate::seal::identities::{IDENTITY, IdentityError, identity_path, is_exposed};

    fn env(home: &Path) -> Environment {
        Environment {
            platform: Platform::HERE,
            user: crate::environment::User {
                name: "ann".into(),
                uid: 1000,
                home: home.into(),
                real_home: home.into(),
            },
            variables: [("CCRETAIN_CONFIG_DIR".into(), home.join("a/config").into())].into(),
            now: "2026-11-22T10:00:00Z".parse().unwrap(),
            built: chrono::DateTime::UNIX_EPOCH,
            working_dir: home.into(),
            is_wsl: false,
        }
    }

    fn nobody() -> Arc<dyn Ask> {
        Arc::new(NobodyToAsk)
    }

    fn names(dir: &Path) -> Vec<std::ffi::OsString> {
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_new_identity_is_private_and_shows_its_recipient() {
        let home = tempfile::tempdir().unwrap();
        let env = env(home.path());
        let path = identity_path(&env);
        assert_eq!(path, home.path().join("a/config/identity.age"));
        refuse_existing(&path).unwrap();
        let recipient = create(&env, &path, None).unwrap();
        assert!(recipient.starts_with("age1"));
        assert_eq!(recipients(&path, &nobody()).unwrap(), [recipient]);
        assert_eq!(names(&env.config_dir()), [IDENTITY]);
        assert!(!is_exposed(&path).unwrap());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode(&path), 0o600);
            assert_eq!(mode(&env.config_dir()), 0o700);
        }
    }

    #[test]
    fn an_identity_is_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let env = env(home.path());
        let path = identity_path(&env);
        create(&env, &path, None).unwrap();
        let before = std::fs::read(&path).unwrap();
        let exists = |done: Result<String, Error>| matches!(done, Err(Error::IdentityExists(_)));
        assert!(exists(refuse_existing(&path).map(|()| String::new())));
        // Also when it appears between the look and the deed.
        assert!(exists(create(&env, &path, None)));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(names(&env.config_dir()), [IDENTITY], "nothing is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_nowhere_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let env = env(home.path());
        let path = identity_path(&env);
        std::fs::create_dir_all(env.config_dir()).unwrap();
        std::os::unix::fs::symlink(home.path().join("elsewhere"), &path).unwrap();
        assert!(matches!(refuse_existing(&path), Err(Error::IdentityExists(_))));
        assert!(matches!(create(&env, &path, None), Err(Error::IdentityExists(_))));
        assert!(!home.path().join("elsewhere").exists());
    }

    #[test]
    fn a_protected_identity_asks_and_a_missing_one_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let env = env(home.path());
        let path = identity_path(&env);
        assert!(matches!(recipients(&path, &nobody()), Err(Error::Identity(IdentityError::Read(_)))));
        create(&env, &path, Some(SecretString::from("open sesame"))).unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(b"age-encryption.org/v1\n-> scrypt "));
        let refused = crate::error::chain(&recipients(&path, &nobody()).unwrap_err());
        assert!(refused.contains("nobody to ask"), "{refused}");
    }
}
