//! `key new` and `key show`: the identity that opens what is sealed.

use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;

use super::ask::Terminal;
use super::context::{Context, Exit, Failure};
use super::identities;
use crate::escape::{self, shown};
use crate::run::identity;
use crate::seal::Ask;
use crate::seal::identities::identity_path;

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
            identity::refuse_existing(&path)?;
            let passphrase = passphrase.then(|| Terminal::new(&ctx.console).new_passphrase()).transpose()?;
            let recipient = identity::create(&ctx.env, &path, passphrase)?;
            ctx.console.note(&format!(
                "made '{}': keep a copy in another place; without it nothing that is sealed to it can be opened",
                shown(&path)
            ));
            ("ccretain.key-new/1", vec![recipient])
        }
        KeyCommand::Show => {
            identities::own(&ctx.env)?;
            let recipients =
                identity::recipients(&path, &(Arc::new(Terminal::new(&ctx.console)) as Arc<dyn Ask>))?;
            identities::warn_of_exposed(&path, ctx)?;
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
