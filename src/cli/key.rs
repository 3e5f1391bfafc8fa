//! `key new` and `key show`: the identity that opens what is sealed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;

use super::ask::Terminal;
use super::context::{Context, Exit, Failure};
use crate::environment::Environment;
use crate::error::{At as _, PathError};
use crate::escape::{self, shown};
use crate::files::{self, Draft};
use crate::policy::own;
use crate::seal::identities::identity_path;
use crate::seal::{Ask, SecretString, identities, key};

/// What to do with the identity.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make an identity beside the user's policy and print its recipient.
    ///
    /// The file is identity.age, readable by its owner alone; an existing one is never overwritten.
    /// Whoever loses it loses what is sealed: keep a copy in another place.
    New {
        /// Protect it by a passphrase, which is read from the terminal.
        ///
        /// Where nothing is typed, one is made and shown once. Sealing needs the recipient only: put it into
        /// "recipients" of the policy, and no passphrase is asked for.
        #[arg(long)]
        passphrase: bool,
    },
    /// Print the recipient of the identity, one line a key.
    Show,
}

/// The user's identity, if there is one: nobody else may be able to write it.
///
/// # Errors
/// Exit 2: it is out of reach, or somebody else may have written it.
pub fn own_identity(env: &Environment) -> Result<Option<PathBuf>, Failure> {
    let path = identity_path(env);
    if let Some(loose) = own::look(&path, env.user.uid) {
        let failure =
            Failure::new(Exit::Usage, format!("cannot use the identity '{}': {loose}", shown(&path)));
        return Err(
            failure.hint(format!("`{}` mends it, once you know that the file is yours", loose.remedy()))
        );
    }
    let absent = match path.symlink_metadata() {
        Ok(_) => return Ok(Some(path)),
        // A folder that may not be entered is no proof that there is no identity, and sealing would go to
        // another one.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => files::confirm_absence(&path),
        Err(error) => Err(error),
    };
    absent.at("look for", &path).map_err(|error| Failure::because(Exit::Usage, &error))?;
    Ok(None)
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    path: String,
    recipients: Vec<String>,
}

/// Runs `key`.
pub(super) fn run(what: KeyCommand, ctx: &Context) -> Result<Exit, Failure> {
    let path = identity_path(&ctx.env);
    let (schema, recipients) = match what {
        KeyCommand::New { passphrase } => {
            refuse_existing(&path)?;
            let passphrase = passphrase.then(|| Terminal::new(&ctx.console).new_passphrase()).transpose()?;
            let recipient = create(&ctx.env, &path, passphrase)?;
            ctx.console.note(&format!(
                "made '{}': keep a copy in another place; without it nothing that is sealed to it can be opened",
                shown(&path)
            ));
            ("ccretain.key-new/1", vec![recipient])
        }
        KeyCommand::Show => {
            own_identity(&ctx.env)?;
            let recipients = show(&path, &(Arc::new(Terminal::new(&ctx.console)) as Arc<dyn Ask>))?;
            if identities::is_exposed(&path)? {
                ctx.console.warning(&format!("'{}' can be read or changed by others", shown(&path)));
                ctx.console.hint(&format!("`chmod 600 '{}'` closes it", shown(&path)));
            }
            ("ccretain.key-show/1", recipients)
        }
    };
    if ctx.global.json {
        ctx.console.json(&Document { schema, path: escape::text(&path), recipients })?;
    } else {
        ctx.console.raw(format!("{}\n", recipients.join("\n")).as_bytes())?;
    }
    Ok(Exit::Done)
}

fn refuse_existing(path: &Path) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(PathError { path: path.into(), doing: "look for", source: error }.into()),
        Ok(_) => Err(Failure::new(Exit::Refused, format!("there is an identity already: '{}'", shown(path)))
            .hint("`ccretain key show` prints its recipient; to make another one, move it away first")),
    }
}

/// Makes the identity file, whole or not at all, and never in the place of another one.
fn create(env: &Environment, path: &Path, passphrase: Option<SecretString>) -> Result<String, Failure> {
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
    draft.create(path).map_err(|(error, _)| match error.kind() {
        // Two commands at once: the second must not take away what the first has printed the recipient of.
        io::ErrorKind::AlreadyExists => refuse_existing(path).err().unwrap_or_else(|| {
            Failure::new(Exit::Refused, format!("somebody else was about to make '{}'", shown(path)))
        }),
        _ => PathError { path: path.into(), doing: "create", source: error }.into(),
    })?;
    // Before the recipient is printed: whoever seals to it relies on the key.
    files::sync_dir(&dir)?;
    Ok(new.recipient)
}

/// The recipients of the identity file.
fn show(path: &Path, ask: &Arc<dyn Ask>) -> Result<Vec<String>, Failure> {
    key::recipients_in(path, ask).map_err(|error| {
        let missing = matches!(&error, identities::IdentityError::Read(inner)
            if inner.source.kind() == io::ErrorKind::NotFound);
        let failure = Failure::because(Exit::Failed, &error);
        if missing { failure.hint("`ccretain key new` makes an identity") } else { failure }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Platform;
    use crate::seal::NobodyToAsk;
    use crate::seal::identities::IDENTITY;

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
        assert_eq!(show(&path, &nobody()).unwrap(), [recipient]);
        assert_eq!(names(&env.config_dir()), [IDENTITY]);
        assert!(!identities::is_exposed(&path).unwrap());
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
        assert_eq!(refuse_existing(&path).unwrap_err().exit, Exit::Refused);
        // Also when it appears between the look and the deed.
        let failure = create(&env, &path, None).unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        assert!(failure.hint.is_some());
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
        assert_eq!(refuse_existing(&path).unwrap_err().exit, Exit::Refused);
        assert_eq!(create(&env, &path, None).unwrap_err().exit, Exit::Refused);
        assert!(!home.path().join("elsewhere").exists());
    }

    #[test]
    fn a_protected_identity_asks_and_a_missing_one_says_how_to_make_one() {
        let home = tempfile::tempdir().unwrap();
        let env = env(home.path());
        let path = identity_path(&env);
        let failure = show(&path, &nobody()).unwrap_err();
        assert_eq!(failure.exit, Exit::Failed);
        assert!(failure.hint.unwrap().contains("key new"));
        create(&env, &path, Some(SecretString::from("open sesame"))).unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(b"age-encryption.org/v1\n-> scrypt "));
        assert!(show(&path, &nobody()).unwrap_err().message.contains("nobody to ask"));
    }
}
