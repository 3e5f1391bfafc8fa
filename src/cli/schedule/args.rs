//! What may be typed about schedules.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::period::Period;
use crate::schedule::{At, Backend, Every};

/// Run enforce on a schedule.
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with the schedule.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Install the schedule (safe to repeat).
    Install(JobArgs),
    /// Remove the schedule and its files.
    #[command(mut_arg("backend", |arg| arg.help("The scheduler; auto is every one that is installed")))]
    #[command(mut_arg("write", |arg| arg.help("With claude-hook: change the user's settings; without it the hook stays")))]
    Remove(WhereArgs),
    /// Show what is installed, when it runs next, and how the last run ended.
    Status {
        /// The schedule of the whole system.
        #[arg(long)]
        system: bool,
    },
    /// Print the units without installing them.
    #[command(mut_arg("write", |arg| arg.hide(true)))]
    Print(JobArgs),
}

/// Which scheduler, and whose.
#[derive(Debug, Args)]
pub struct WhereArgs {
    /// The scheduler; auto is the one this machine runs.
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    pub backend: BackendArg,
    /// The schedule of the whole system, for all users; needs root.
    #[arg(long)]
    pub system: bool,
    /// With claude-hook: change the user's settings instead of printing the change.
    #[arg(long)]
    pub write: bool,
}

/// What to run, and when.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// Which scheduler, and whose.
    #[command(flatten)]
    pub place: WhereArgs,
    /// How often: hourly, daily, weekly, or a span such as 6h or 30min.
    #[arg(long, default_value = "daily", value_name = "SPAN")]
    pub every: Every,
    /// At what local time.
    #[arg(long, default_value_t = At::DEFAULT, value_name = "HH:MM")]
    pub at: At,
    /// Log format of the runs.
    #[arg(long, value_enum, value_name = "FORM")]
    pub log_format: Option<LogFormatArg>,
    /// The Prometheus text file that runs leave.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Stop a run after this long.
    #[arg(long, value_name = "PERIOD")]
    pub max_runtime: Option<Period>,
}

/// A scheduler by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum BackendArg {
    /// The one this machine runs.
    #[default]
    Auto,
    /// A systemd service and timer.
    Systemd,
    /// A launchd agent or daemon.
    Launchd,
    /// A line of a cron table.
    Cron,
    /// A `SessionEnd` hook in the settings of Claude Code.
    ClaudeHook,
}

impl BackendArg {
    pub(super) fn named(self) -> Option<Backend> {
        match self {
            Self::Auto => None,
            Self::Systemd => Some(Backend::Systemd),
            Self::Launchd => Some(Backend::Launchd),
            Self::Cron => Some(Backend::Cron),
            Self::ClaudeHook => Some(Backend::ClaudeHook),
        }
    }
}

/// The form of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormatArg {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl ScheduleArgs {
    /// Whether it is about the schedule of the whole system.
    pub fn is_of_system(&self) -> bool {
        match &self.action {
            Action::Install(job) | Action::Print(job) => job.place.system,
            Action::Remove(place) => place.system,
            Action::Status { system } => *system,
        }
    }
}
