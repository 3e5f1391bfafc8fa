//! The private keys of a command, and to whom is sealed where no policy says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::ask::Terminal;
use super::context::{Context, Exit, Failure};
use crate::environment::Environment;
use crate::error::{At as _, PathError};
use crate::escape::shown;
use crate::files;
use crate::policy::Policy;
use crate::policy::own::look;
use crate::run;
use crate::seal::identities::{IdentityError, identity_path, is_exposed};
use crate::seal::{Ask, Identities, Plugins, Recipient, Recipients, key};

/// The private keys of a command that opens what is sealed.
#[derive(Debug, Clone, Args)]
#[command(about = None, long_about = None)]
pub struct IdentityArgs {
    /// A file with the private key (repeatable); else identity.age beside the user's policy.
    #[arg(short, long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
}

/// Reads the private keys: those named, else the user's own.
///
/// # Errors
/// Exit 2: a file that cannot be used; nothing was changed.
pub fn read(ctx: &Context, named: &[PathBuf]) -> Result<Identities, Failure> {
    let ask: Arc<dyn Ask> = Arc::new(Terminal::new(&ctx.console));
    let mut keys = Identities::new();
    let mut paths: Vec<PathBuf> = named.iter().map(|path| ctx.env.absolute(path)).collect();
    if named.is_empty() {
        own(&ctx.env)?;
        paths.push(identity_path(&ctx.env));
    }
    for path in &paths {
        keys.load(path, &ask).map_err(|error| {
            let failure = Failure::because(Exit::Usage, &error);
            match error {
                // One that is there and closed can be opened.
                IdentityError::Read(_) if path.symlink_metadata().is_ok() => failure,
                _ => failure.hint("name the file that holds the key: `--identity FILE`"),
            }
        })?;
        // Told and not refused: what it opens is needed now, and was exposed before.
        let _ = warn_of_exposed(path, ctx);
    }
    Ok(keys)
}

/// The user's identity, if there is one: nobody else may be able to write it.
///
/// # Errors
/// Exit 2: it is out of reach, or somebody else may have written it.
pub fn own(env: &Environment) -> Result<Option<PathBuf>, Failure> {
    let path = identity_path(env);
    if let Some(loose) = look(&path, env.user.uid) {
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

/// Warns of a private key that others can get at.
pub fn warn_of_exposed(path: &Path, ctx: &Context) -> Result<(), PathError> {
    if is_exposed(path)? {
        ctx.console.warning(&format!("'{}' can be read or changed by others", shown(path)));
        ctx.console.hint(&format!("`chmod 600 '{}'` closes it", shown(path)));
    }
    Ok(())
}

/// To whom is sealed: whom the policy names, else the owner of the identity beside it.
pub(super) fn recipients(ctx: &Context, policy: &Policy) -> Result<Recipients, Failure> {
    if let Some(recipients) = run::recipients(policy)? {
        return Ok(recipients);
    }
    let own = own(&ctx.env)?;
    let ask: Arc<dyn Ask> = Arc::new(Terminal::new(&ctx.console));
    let nobody = || {
        Failure::new(Exit::Usage, "the policy names no recipient to seal to, so nothing was changed")
            .hint("`ccretain key new` makes a key pair; for runs by the policy, name its recipient in \"recipients\"")
    };
    let path = own.ok_or_else(nobody)?;
    // From the private key itself: a recipient in a file beside it could be exchanged for somebody else's.
    let texts = key::recipients_in(&path, &ask).map_err(|error| Failure::because(Exit::Usage, &error))?;
    let parsed: Result<Vec<Recipient>, _> =
        texts.iter().map(|text| Recipient::parse(text, Plugins::Refused)).collect();
    let recipients =
        parsed.and_then(Recipients::new).map_err(|error| Failure::because(Exit::Usage, &error))?;
    ctx.console.note(&format!("the policy names no recipient: sealing to the own one of '{}'", shown(&path)));
    Ok(recipients)
}
