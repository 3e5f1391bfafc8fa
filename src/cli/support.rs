//! What a platform is not ready for is refused before anything is looked at.

use super::args::Command;
use super::context::{Exit, Failure};
use super::hold::HoldCommand;
use super::key::KeyCommand;
use super::schedule::Action;
use crate::platform::Platform;

/// Refuses a command that changes something where files cannot be told apart: there a second store is
/// taken for the first, and a certificate would be false.
///
/// # Errors
/// Exit 2: nothing was changed.
pub(super) fn refuse(command: &Command, platform: Platform) -> Result<(), Failure> {
    let Some(name) = changing(command).filter(|_| !platform.tells_files_apart()) else { return Ok(()) };
    Err(Failure::new(Exit::Usage, format!("cannot run '{name}': on Windows ccretain changes nothing yet"))
        .hint(
            "nothing was changed; `ccretain status`, `explain`, `check` and `policy` look at the data of Claude Code without changing it",
        ))
}

/// The command in words, if it can change data of Claude Code, or what ccretain keeps beside it.
pub(super) fn changing(command: &Command) -> Option<&'static str> {
    // Files that the caller names (reports, pages of the manual, the kit) are no such data.
    match command {
        Command::Enforce(_) => Some("enforce"),
        Command::Purge(_) => Some("purge"),
        Command::Seal(_) => Some("seal"),
        Command::Unseal(_) => Some("unseal"),
        Command::Resume(_) => Some("resume"),
        Command::Rekey(_) => Some("rekey"),
        Command::Check(args) => args.fix.then_some("check --fix"),
        Command::Hold { command } => match command {
            HoldCommand::List => None,
            HoldCommand::Add { .. } => Some("hold add"),
            HoldCommand::Release { .. } => Some("hold release"),
            HoldCommand::Restore(_) => Some("hold restore"),
        },
        Command::Key(command) => match command {
            KeyCommand::Show => None,
            // Nothing there keeps an identity from other accounts.
            KeyCommand::New { .. } => Some("key new"),
        },
        Command::Schedule(args) => match &args.action {
            Action::Status { .. } | Action::Print(_) => None,
            Action::Install(_) => Some("schedule install"),
            Action::Remove(_) => Some("schedule remove"),
        },
        Command::Status(_)
        | Command::List(_)
        | Command::Policy { .. }
        | Command::Harden(_)
        | Command::Report(_)
        | Command::Explain(_)
        | Command::Ledger(_)
        | Command::Cat(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Mdm { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::Cli;
    use super::*;

    fn refused(words: &str, platform: Platform) -> bool {
        let cli = Cli::typed(std::iter::once("ccretain").chain(words.split(' ')).map(Into::into)).unwrap();
        match refuse(&cli.command, platform) {
            Ok(()) => false,
            Err(failure) => {
                assert_eq!(failure.exit, Exit::Usage);
                assert!(failure.message.contains("on Windows"), "{failure:?}");
                true
            }
        }
    }

    #[test]
    fn where_files_cannot_be_told_apart_commands_look_and_change_nothing() {
        let id = "0b1c2d3e-0000-4000-8000-000000000001";
        let changing = [
            "enforce --yes",
            "enforce --dry-run",
            "purge --yes",
            "purge --dry-run",
            &format!("seal {id}"),
            "seal --idle 1d",
            &format!("unseal {id}"),
            &format!("resume {id}"),
            "rekey",
            "key new",
            "check --fix",
            "hold add --project /a --reason r",
            "hold release h --reason r",
            "schedule install",
            "schedule install --system",
            "schedule remove",
            "--all-users enforce --yes",
            "--store /a enforce --yes",
        ];
        let looking = [
            "status",
            "status --search /a",
            &format!("explain {id}"),
            &format!("cat {id}"),
            "check",
            "check --format jamf",
            "policy show",
            "policy check a.json",
            "policy client",
            "hold list",
            "key show",
            "ledger show",
            "ledger verify",
            "report --html a.html",
            "harden --emit",
            "schedule status",
            "schedule print",
        ];
        for words in changing {
            assert!(refused(words, Platform::Windows), "{words}");
            assert!(!refused(words, Platform::Linux) && !refused(words, Platform::Macos), "{words}");
        }
        for words in looking {
            assert!(!refused(words, Platform::Windows), "{words}");
        }
    }
}
