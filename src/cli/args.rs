//! What may be typed: the verbs, and the options of all of them. What one verb takes stands with the verb.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Command as Definition, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::global::Global;
use super::{examples, groups};

/// Enforces retention on the session data that Claude Code leaves on a disk.
///
/// ccretain finds every store, deletes what is older than the policy allows (30 days when nobody
/// says otherwise), encrypts what is idle where the policy asks for it, runs on a schedule while
/// Claude Code itself is not running, and proves what it did. Deleted means unlinked: there is no
/// trash.
#[derive(Debug, Parser)]
#[command(name = "ccretain", version, propagate_version = false, max_term_width = 100)]
pub struct Cli {
    /// Options of all commands.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what is there and due, by which policy, and the next run.
    ///
    /// Reads only: takes no lock and writes nothing.
    Status(super::status::StatusArgs),
    /// List the sessions, and what happens to each next.
    ///
    /// On a terminal with titles, newest first. In a pipe a line a session without a heading: the id,
    /// the last activity, the project, the bytes, the state (held, active, encrypted or plain), the
    /// next action and its time, between tabs. Reads only: takes no lock and writes nothing.
    #[command(visible_aliases = ["ls", "sessions"])]
    List(super::list::ListArgs),
    /// Show, check and start policies.
    Policy {
        /// What to do with policies.
        #[command(subcommand)]
        command: super::policy::PolicyCommand,
    },
    /// Delete and encrypt what the policy says is due.
    ///
    /// Look first with --dry-run. Asks before the first change where there is a terminal;
    /// without one it needs --yes.
    Enforce(super::enforce::EnforceArgs),
    /// Check this account (or machine) against the policy: one verdict.
    ///
    /// Overdue data, missing runs and schedules, a broken ledger, access of others, and what Claude
    /// Code itself keeps and sends. Exits with 0 where it is compliant and 3 where it is not. Reads
    /// only, but for --fix.
    Check(super::check::CheckArgs),
    /// Print settings for Claude Code that match the policy.
    ///
    /// Its period is the longest of the policy's, so that it never removes first and still removes
    /// where ccretain does not run; metrics, error reports, feedback and surveys are off. Prints only.
    Harden(super::harden::HardenArgs),
    /// Write one HTML page: plots, what is due, runs, findings.
    ///
    /// It fetches nothing, so it can be opened from a file, printed and passed on; it names projects,
    /// and no word of a conversation. With the documents of checks it is about those machines.
    Report(super::report::ReportArgs),
    /// Keep sessions from being changed or removed.
    Hold {
        /// What to do with holds.
        #[command(subcommand)]
        command: super::hold::HoldCommand,
    },
    /// Explain which rule or hold decides about a session, and when.
    ///
    /// Also tells when Claude Code itself would remove it. Reads only.
    Explain(super::explain::ExplainArgs),
    /// Show what the ledger recorded, or verify its hash chain.
    #[command(subcommand)]
    Ledger(super::ledger::LedgerCommand),
    /// Run enforce on a schedule: systemd, launchd, cron, or a hook.
    Schedule(super::schedule::ScheduleArgs),
    /// Seal (encrypt) sessions now.
    ///
    /// The plaintext goes once the sealed files are on disk. Sessions that are held or open stay. Prompts in
    /// history.jsonl, pasted texts and plans lie in files that sessions share, and stay readable until a rule deletes
    /// them.
    Seal(super::seal::SealArgs),
    /// Bring sealed sessions back, bit for bit.
    Unseal(super::unseal::UnsealArgs),
    /// Print the transcript of a session, sealed or not, to stdout.
    Cat(super::cat::CatArgs),
    /// Bring a session back and continue it in Claude Code.
    ///
    /// The sealed copy is removed once Claude Code has exited with 0. What follows -- is passed on.
    Resume(super::resume::ResumeArgs),
    /// Re-encrypt sealed sessions to the policy's current recipients.
    ///
    /// Needs an identity that opens the sealed files. Held sessions are included, and so are the
    /// copies that holds preserve.
    Rekey(super::rekey::RekeyArgs),
    /// Make the identity that opens sealed files, or print its recipient.
    #[command(subcommand)]
    Key(super::key::KeyCommand),
    /// Remove everything and certify it: for handing in a machine.
    ///
    /// All session content of every store that is known or found by its marks below the home, at
    /// any date, sealed or not; lists of prompts are emptied. Settings, credentials, memory and
    /// what ccretain does not know stay unless --with names them. Look first with --dry-run. Holds,
    /// floors of the organisation and running clients stop it before anything is touched.
    Purge(super::purge::PurgeArgs),
    /// Print completions for a shell.
    ///
    /// They complete commands, options and the ids of sessions.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder.
    Man {
        /// The folder.
        dir: PathBuf,
    },
    /// Write the kit for device management (MDM) into a folder.
    ///
    /// For the policy that --policy names, else for one that only reports.
    Mdm {
        /// The folder.
        dir: PathBuf,
    },
}

/// The definition of the whole command line.
pub fn command() -> Definition {
    groups::added_to(examples::added_to(Cli::command()), super::console::width())
}

impl Cli {
    /// What was typed.
    ///
    /// # Errors
    /// What clap says of words that make no sense, or that ask for help.
    pub fn typed(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut definition = command();
        let mut found = definition.try_get_matches_from_mut(words)?;
        Self::from_arg_matches_mut(&mut found).map_err(|error| error.format(&mut definition))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_definition_is_consistent() {
        super::command().debug_assert();
    }
}
