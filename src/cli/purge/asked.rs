//! What was typed as what is wanted.

use super::args::{PurgeArgs, With};
use crate::catalogue::{Class, SessionId};
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::{remedy, session};
use crate::error::chain;
use crate::escape::shown;
use crate::inventory::Inventory;
use crate::inventory::lines::LineFile;
use crate::locate::{Refusal, Refused};
use crate::plan::purge::{Breaks, Except, Wanted};
use crate::policy::compile::Globs;

/// What was typed, as what is wanted.
pub(super) fn wanted(args: &PurgeArgs, ctx: &Context) -> Result<Wanted, Failure> {
    let globs = args.projects.iter().map(|glob| Globs::new(&ctx.env).compile(glob));
    let projects = globs.collect::<Result<Vec<_>, _>>().map_err(|error| {
        Failure::because(Exit::Usage, &error)
            .hint("give the whole path, with ** for all below: `--project '/work/acme/**'`")
    })?;
    let except = args.except.iter().map(|glob| {
        Except::parse(glob).map_err(|error| {
            let message = format!("cannot keep '{}' by --except: {}", shown(glob), chain(&error));
            Failure::new(Exit::Usage, message).hint("`ccretain purge --dry-run` lists what is not recognised")
        })
    });
    let except = except.collect::<Result<Vec<_>, _>>()?;
    let class = |with: &With| match with {
        With::Credentials => Some(Class::Credentials),
        With::Settings => Some(Class::Settings),
        With::Memory => Some(Class::Memory),
        With::Unrecognised | With::Identity => None,
    };
    // The parent of a run over all users is root, and said so.
    let is_root = ctx.env.user.uid == 0 || ctx.parent.is_some();
    Ok(Wanted {
        projects,
        before: args.before,
        with: args.with.iter().filter_map(class).collect(),
        unrecognised: args.with.contains(&With::Unrecognised),
        except,
        even_live: args.even_live,
        breaks: match args.break_holds {
            None => Breaks::Nothing,
            // What binds the organisation is no user's to break, and root can remove the policy itself.
            Some(_) if is_root => Breaks::All,
            Some(_) => Breaks::Own,
        },
        ..Wanted::default()
    })
}

/// The session that was named; it may be known by its lines alone.
pub(super) fn session(
    args: &PurgeArgs,
    ctx: &Context,
    inventory: &Inventory,
    refused: &[Refused],
) -> Result<Option<SessionId>, Failure> {
    let Some(named) = &args.session else { return Ok(None) };
    let missing = match session::find(inventory, named, ctx) {
        Ok(found) => return Ok(Some(inventory.session(found).id)),
        Err(failure) => failure,
    };
    // A prefix could mean several; only a whole id is taken for one of which nothing but lines is left.
    let Ok(id) = named.parse::<SessionId>() else { return Err(missing) };
    // It is there, in a store that was not named: to find no lines of it here would look like a purge of it.
    let is_elsewhere = inventory.sessions.iter().any(|session| session.id == id);
    let in_scope = |file: &&LineFile| {
        let store = inventory.store_of(inventory.artifact(file.artifact));
        inventory.store(store).store.in_scope
    };
    let mut lines = inventory.line_files.iter().filter(in_scope).flat_map(|file| &file.content.lines);
    // Of many accounts few have the session.
    let is_of_another_account = ctx.parent.is_some();
    if !is_elsewhere && (is_of_another_account || lines.any(|line| line.session == Some(id))) {
        return Ok(Some(id));
    }
    // It may be in a store that was to be taken, and could not be.
    let unlocked = refused.iter().find(|refused| matches!(refused.why, Refusal::Unlockable(_)));
    let Some(refused) = unlocked else { return Err(missing) };
    let Refused { path, why, .. } = refused;
    let message = format!("{}: '{}' was refused as a store: {}", missing.message, shown(path), chain(why));
    Err(Failure { hint: remedy::of_refused(refused), ..Failure::new(Exit::Refused, message) })
}
