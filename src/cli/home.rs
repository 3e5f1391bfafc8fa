//! Whose home a command is about: it must be there, and root changes nothing in another's.

use super::args::Command;
use super::context::{Exit, Failure};
use super::global::Global;
use super::policy::PolicyCommand;
use super::support;
use super::surroundings;
use crate::environment::Environment;
use crate::escape::shown;
use crate::run::home::{is_foreign, is_of_another};

/// Whether the command is about the machine, and so about the account's own home whatever `HOME` says.
pub(super) fn is_of_machine(command: &Command, global: &Global) -> bool {
    global.all_users || matches!(command, Command::Schedule(args) if args.is_of_system())
}

/// Whether the command needs no home.
fn needs_none(command: &Command) -> bool {
    match command {
        Command::Completions { .. } | Command::Man { .. } | Command::Mdm { .. } => true,
        Command::Policy { command } => matches!(command, PolicyCommand::Schema | PolicyCommand::Init { .. }),
        _ => false,
    }
}

/// Whether the command changes a user's store, state or policy.
fn changes(command: &Command) -> bool {
    let only_looks = match command {
        Command::Enforce(args) => args.dry_run,
        Command::Purge(args) => args.dry_run,
        Command::Schedule(args) => args.is_of_system(),
        _ => false,
    };
    !only_looks && support::changing(command).is_some()
}

/// What shows for all accounts what the command would meet: doing it for all is no cure of a slip.
fn of_all(command: &Command) -> &'static str {
    match command {
        Command::Enforce(_) => "enforce --dry-run",
        Command::Purge(_) => "purge --dry-run",
        Command::Check(_) => "check",
        _ => "status",
    }
}

/// Refuses a home that is not there, and what root would change in another's home.
///
/// # Errors
/// Exit 2; nothing was changed.
pub(super) fn check(command: &Command, global: &Global, env: &Environment) -> Result<(), Failure> {
    if needs_none(command) {
        return Ok(());
    }
    let home = &env.user.home;
    let why = match home.metadata() {
        Ok(found) if found.is_dir() => None,
        Ok(_) => Some("it is not a folder".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(why) = why {
        let message = format!("cannot use the home folder '{}': {why}", shown(home));
        return Err(Failure::new(Exit::Usage, message).hint(surroundings::where_home_is(env.user.uid)));
    }
    let is_named = !is_foreign(env) && !global.stores.is_empty();
    if is_of_another(home, env.user.uid) && changes(command) && !is_named {
        let message = format!(
            "'{}' is another account's home, and what root makes in it that account cannot use",
            shown(home)
        );
        return Err(Failure::new(Exit::Usage, message).hint(format!(
            "run it without sudo; `ccretain --all-users {}` shows what there is for every account",
            of_all(command)
        )));
    }
    Ok(())
}
