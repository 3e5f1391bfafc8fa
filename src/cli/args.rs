//! What may be typed.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::{Args, Command as Definition, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::period::{Length, Period};

/// Enforces retention on the session data that Claude Code leaves on a disk.
///
/// ccretain finds every store, deletes what is older than the policy allows (30 days when nobody
/// says otherwise), runs on a schedule while Claude Code itself is not running, and proves what
/// it did. Deleted means unlinked: there is no trash.
#[derive(Debug, Parser)]
#[command(name = "ccretain", version, propagate_version = false, max_term_width = 100)]
pub struct Cli {
    /// Options of all verbs.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of all verbs.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Change only this store (repeatable); the others are still read.
    #[arg(long = "store", value_name = "DIR", global = true, help_heading = "Global options")]
    pub stores: Vec<PathBuf>,
    /// Do it for every account of this machine, each with its own rights (root only; for enforce,
    /// purge, status, check, and the ledger of all).
    #[arg(long, global = true, help_heading = "Global options")]
    pub all_users: bool,
    /// Use this file instead of the user's policy.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub policy: Option<PathBuf>,
    /// Print one JSON document to stdout.
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Say more: kept items and their reasons (-vv: what the program does).
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = "Global options")]
    pub verbose: u8,
    /// Say nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    pub quiet: bool,
    /// When to use colour.
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        global = true,
        help_heading = "Global options"
    )]
    pub color: Colour,
    /// Show no progress.
    #[arg(long, global = true, help_heading = "Global options")]
    pub no_progress: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show how things stand: stores, sessions by age, what is due and when, what stays and why.
    ///
    /// Reads only: takes no lock and writes nothing.
    Status(StatusArgs),
    /// Show, check and start policies.
    Policy {
        /// What of it.
        #[command(subcommand)]
        command: super::policy::PolicyCommand,
    },
    /// Keep the stores to the policy: delete, prune and seal what is due.
    ///
    /// Look first with --dry-run. Asks before the first change where there is a terminal;
    /// without one it needs --yes.
    Enforce(EnforceArgs),
    /// Check this account, or with --all-users the machine, against the policy: one verdict.
    ///
    /// Overdue data, missing runs and schedules, a broken ledger, access of others, and what Claude
    /// Code itself keeps and sends. Exits with 0 where it is compliant and 3 where it is not. Reads
    /// only, but for --fix.
    #[command(after_help = "Examples:\n  \
        ccretain check                                   the findings, and what to do about each\n  \
        ccretain check --fix                             take the access of others away\n  \
        ccretain check --json > check.json               for `ccretain report --html`\n  \
        ccretain check --format jamf                     an extension attribute\n  \
        ccretain check --exit-style intune               a detection script\n  \
        ccretain check --format prometheus --output /var/lib/node_exporter/ccretain_check.prom")]
    Check(super::check::CheckArgs),
    /// Print managed settings of Claude Code that keep it to the policy and stop what it sends.
    ///
    /// Its period is the longest of the policy's, so that it never removes first and still removes
    /// where ccretain does not run; metrics, error reports, feedback and surveys are off. Prints only.
    #[command(after_help = "Examples:\n  \
        ccretain harden --emit > /etc/claude-code/managed-settings.d/50-ccretain.json\n  \
        ccretain harden --emit --format plist            for the domain com.anthropic.claudecode\n  \
        ccretain harden --emit --keep-updates            without the switch that also stops updates")]
    Harden(super::harden::HardenArgs),
    /// Write one page that holds everything: plots, what falls due, runs, findings.
    ///
    /// It fetches nothing, so it can be opened from a file, printed and passed on; it names projects,
    /// and no word of a conversation. With the documents of checks it is about those machines.
    #[command(after_help = "Examples:\n  \
        ccretain report --html report.html\n  \
        ccretain report --html fleet.html checks/        every *.json in the folder\n  \
        ccretain report --html - a.json b.json > fleet.html")]
    Report(super::report::ReportArgs),
    /// Exceptions: what a hold covers is neither changed nor removed.
    Hold {
        /// What of them.
        #[command(subcommand)]
        command: super::hold::HoldCommand,
    },
    /// Tell which rule, hold or guard decides about a session or a file, from which file, and when.
    ///
    /// Also tells when the client itself would remove it. Reads only.
    Explain(ExplainArgs),
    /// Show what the ledger has recorded, or verify that its records hold together.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Run enforce on a schedule: systemd, launchd, cron, or a hook of Claude Code.
    Schedule(super::schedule::ScheduleArgs),
    /// Encrypt sessions now.
    ///
    /// The plaintext goes once the sealed files are on disk. Sessions that are held or open stay.
    Seal(SealArgs),
    /// Bring sealed sessions back, bit for bit.
    Unseal(UnsealArgs),
    /// Print the newest transcript of a session, sealed or not; the disk is not touched.
    Cat(CatArgs),
    /// Bring a session back and go on with it in Claude Code.
    ///
    /// The sealed copy goes once the client has ended well. What follows -- is passed on.
    Resume(ResumeArgs),
    /// Encrypt what is sealed anew, to today's recipients.
    ///
    /// Needs an identity that opens the sealed files. Held sessions are included, and so are the
    /// copies that holds preserve.
    Rekey(RekeyArgs),
    /// Make the identity that opens sealed files, or print its recipient.
    #[command(subcommand)]
    Key(Key),
    /// Remove everything, look again, and certify: for handing in a machine.
    ///
    /// All session content of every store that is known or found by its marks below the home, at
    /// any date, sealed or not; lists of prompts are emptied. Settings, credentials, memory and
    /// what ccretain does not know stay unless --with names them. Look first with --dry-run. Holds,
    /// floors of the organisation and running clients stop it before anything is touched.
    #[command(after_help = PURGE_EXAMPLES)]
    Purge(PurgeArgs),
    /// Print completions for a shell.
    #[command(hide = true)]
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder.
    #[command(hide = true)]
    Man {
        /// The folder.
        dir: PathBuf,
    },
    /// Write the kit for device management into a folder, for the policy that --policy names.
    #[command(hide = true)]
    Mdm {
        /// The folder.
        dir: PathBuf,
    },
}

/// Shown below the help of `purge`.
const PURGE_EXAMPLES: &str = "\
Examples:
  ccretain purge --dry-run                          what would go, from where, and what stays
  ccretain purge --certificate purge.html --certificate purge.json
                                                    remove it, look again, write the certificate
  ccretain purge --yes --with credentials,settings,memory,unrecognised,identity --certificate purge.json
                                                    leave nothing of the client's, unattended
  ccretain purge --project '/work/acme/**' --before 2026-07-01
                                                    a part of it; the certificate is headed so

Exits with 0 where nothing is left, 1 where anything is (each is named), 4 where it was refused.";

/// What `purge` takes.
#[derive(Debug, Clone, Args)]
pub struct PurgeArgs {
    /// Only say what would go.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(short, long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Only sessions of projects that match this glob (repeatable).
    #[arg(long = "project", value_name = "GLOB")]
    pub projects: Vec<String>,
    /// Only what was last active before this time (2026-01-31 or 2026-01-31T12:00:00Z).
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub before: Option<DateTime<Utc>>,
    /// Remove these too (separated by commas).
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CLASS")]
    pub with: Vec<With>,
    /// Do not stop for a client that is running; its locks and keys stay.
    #[arg(long)]
    pub even_live: bool,
    /// Break the user's own holds, for this reason; root breaks all, and the organisation's floors.
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub break_holds: Option<String>,
    /// Write the certificate: FILE.json, FILE.html or FILE.txt (repeatable).
    #[arg(long, value_name = "FILE")]
    pub certificate: Vec<PathBuf>,
    /// Sign the certificate with this SSH key (`ssh-keygen -Y sign`).
    #[arg(long, value_name = "KEY", requires = "certificate")]
    pub sign: Option<PathBuf>,
}

/// What a purge takes only when told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum With {
    /// Tokens of the client's account.
    Credentials,
    /// What the user wrote or installed, and the client's own state.
    Settings,
    /// Notes the client keeps about the user and the projects.
    Memory,
    /// Files that the catalogue does not know.
    Unrecognised,
    /// The key that opens sealed files, once nothing sealed is left.
    Identity,
}

fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    match since(text) {
        Ok(Since::Time(time)) => Ok(time),
        _ => Err("write a time (2026-01-31 or 2026-01-31T12:00:00Z)".to_owned()),
    }
}

/// What `enforce` takes.
#[derive(Debug, Clone, Args)]
pub struct EnforceArgs {
    /// Only say what would be done.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask; the guards against a wrong clock and mass deletion stay.
    #[arg(short, long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Stop after this period, as at SIGTERM: between two items and with exit 0; the rest waits for the next run.
    #[arg(long, value_name = "PERIOD")]
    pub max_runtime: Option<Period>,
    /// Leave figures for a Prometheus textfile collector.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Write a line of log about the run to stderr, and errors in the same form.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<super::schedule::LogFormatArg>,
}

/// What `status` takes.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Also find stores anywhere below this folder by the marks the client leaves.
    #[arg(long, value_name = "DIR")]
    pub search: Option<PathBuf>,
}

/// What `explain` takes.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The id of a session or 8 or more of its first characters, or the path of a file.
    #[arg(value_name = "SESSION|PATH")]
    pub what: PathBuf,
}

/// What to do with the ledger.
#[derive(Debug, Clone, Subcommand)]
pub enum LedgerCommand {
    /// Show the records, oldest first.
    Show(LedgerShow),
    /// Read the chain from end to end and name the first line that does not fit.
    ///
    /// Exits with 0 where it holds together and 1 where it does not. The chain alone cannot show
    /// that its newest records were removed; a head that was kept elsewhere can.
    Verify(LedgerVerify),
}

/// What `ledger verify` takes.
#[derive(Debug, Clone, Args)]
pub struct LedgerVerify {
    /// A head kept elsewhere (SHA-256, 64 hex digits), which must be in the chain.
    #[arg(long, value_name = "HASH", value_parser = head)]
    pub head: Option<String>,
    /// A certificate of a purge (.json or .html), which must belong to this ledger.
    ///
    /// The ledger holds its hash, so one that was changed is told apart. Whether it is signed by
    /// the right key is for `ssh-keygen -Y verify`, as the certificate says.
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
}

/// What `ledger show` takes.
#[derive(Debug, Clone, Args)]
pub struct LedgerShow {
    /// Only what was written since this time, or within this period (such as 7d).
    #[arg(long, value_name = "TIME|PERIOD", value_parser = since)]
    pub since: Option<Since>,
    /// Only this many records, the newest.
    #[arg(short = 'n', value_name = "N")]
    pub newest: Option<usize>,
    /// Only what concerns this session (a whole id, or 8 or more of its first characters).
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Only what this run wrote.
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
}

/// A moment, or how long ago it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A moment.
    Time(DateTime<Utc>),
    /// So long before now.
    Ago(TimeDelta),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(Since::Time(time.to_utc()));
    }
    if let Some(midnight) = text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0)) {
        return Ok(Since::Time(midnight.and_utc()));
    }
    match text.parse::<Period>().map(|period| period.length()) {
        Ok(Length::Span(span)) => Ok(Since::Ago(span)),
        _ => Err("write a time (2026-01-31 or 2026-01-31T12:00:00Z) or a period (7d)".to_owned()),
    }
}

fn head(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a head is a SHA-256: 64 hex digits".to_owned())
    }
}

/// What `seal` takes.
#[derive(Debug, Clone, Args)]
pub struct SealArgs {
    /// The sessions: full ids, or prefixes of 8 or more characters.
    #[arg(value_name = "SESSION", required_unless_present = "idle", conflicts_with = "idle")]
    pub sessions: Vec<String>,
    /// Every session without activity for this period.
    #[arg(long, value_name = "PERIOD")]
    pub idle: Option<Period>,
    /// Taken for the sake of scripts: sealing takes nothing away, so it never asks.
    #[arg(short, long, hide = true)]
    pub yes: bool,
}

/// What `unseal` takes.
#[derive(Debug, Clone, Args)]
pub struct UnsealArgs {
    /// The sessions: full ids, or prefixes of 8 or more characters.
    #[arg(value_name = "SESSION", required = true)]
    pub sessions: Vec<String>,
    /// A file with the private key (repeatable); else identity.age beside the user's policy.
    #[arg(short, long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
    /// Give the files today's date, so that the client does not delete them; the true one is
    /// remembered.
    #[arg(long, conflicts_with = "keep_date")]
    pub touch: bool,
    /// Give the files their own date, even if the client will delete them at its next start.
    #[arg(long)]
    pub keep_date: bool,
}

/// What `cat` takes.
#[derive(Debug, Clone, Args)]
pub struct CatArgs {
    /// The session: a full id, or a prefix of 8 or more characters.
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// A file with the private key (repeatable); else identity.age beside the user's policy.
    #[arg(short, long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
}

/// What `resume` takes.
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// The session: a full id, or a prefix of 8 or more characters.
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// A file with the private key (repeatable); else identity.age beside the user's policy.
    #[arg(short, long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
    /// What the client gets besides `--resume SESSION`.
    #[arg(last = true, value_name = "ARGS")]
    pub client: Vec<std::ffi::OsString>,
}

/// What `rekey` takes.
#[derive(Debug, Clone, Args)]
pub struct RekeyArgs {
    /// A file with a private key that opens what is sealed (repeatable); else identity.age beside
    /// the user's policy.
    #[arg(short, long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
    /// Also what is recorded as sealed to exactly today's recipients.
    #[arg(long)]
    pub all: bool,
    /// Taken for the sake of scripts: it never asks.
    #[arg(short, long, hide = true)]
    pub yes: bool,
}

/// What to do with the identity.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make an identity beside the user's policy and print its recipient.
    ///
    /// The file is identity.age, readable by its owner alone; an existing one is never overwritten.
    /// Whoever loses it loses what is sealed: keep a copy in another place.
    New {
        /// Protect it by a passphrase, which is read from the terminal.
        #[arg(long)]
        passphrase: bool,
    },
    /// Print the recipient of the identity, one line a key.
    Show,
}

/// The definition of the whole command line.
#[must_use]
pub fn command() -> Definition {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_definition_is_consistent() {
        super::command().debug_assert();
    }
}
