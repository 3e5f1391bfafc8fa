//! The schedule: renders what makes a machine call `ccretain enforce --yes`, puts it in place,
//! takes it away without a trace, and says what is there.
//!
//! Rendering is pure: a [`Job`] becomes [`Unit`]s, and what `print` shows, `install` writes and
//! the packages ship are the same units. Everything else goes through a small [`Host`]. Nothing
//! here knows what a run does, and no stage of a run knows that this room exists: a run decides
//! by dates and never by "since last run", so one that was missed is made up by the next.

mod auto;
mod claude_hook;
mod cron;
mod files;
mod found;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod host;
mod job;
mod launchd;
mod places;
mod quote;
mod splice;
mod status;
mod systemd;
mod trust;
mod version;
mod when;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::PathError;
use crate::escape::shown;

pub use found::Output;
pub use host::{Host, SystemHost};
pub use job::{Job, JobError, LogFormat, Scope};
pub use places::{NAME, Places};
pub use status::{Installed, Program, document, installed};
pub use trust::only_root_can_replace;
pub use when::{At, Every};

/// What starts the runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Backend {
    /// A systemd service and timer.
    Systemd,
    /// A launchd agent or daemon.
    Launchd,
    /// A line of a cron table.
    Cron,
    /// A hook in the settings of Claude Code, run when a session ends.
    ClaudeHook,
}

impl Backend {
    /// Every backend, in the order they are looked for.
    pub const ALL: [Self; 4] = [Self::Systemd, Self::Launchd, Self::Cron, Self::ClaudeHook];

    /// Its name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|backend| backend.name() == text).ok_or_else(|| {
            format!("'{text}' is not a backend: write auto, systemd, launchd, cron or claude-hook")
        })
    }
}

/// A file, or the part of a shared file that is ours, as a backend wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The name of the file, without its folder.
    pub name: String,
    /// Its content, ending in a line break.
    pub content: String,
}

/// Why a schedule cannot be installed, removed or looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The job has no written form.
    #[error("the schedule cannot be written")]
    Job(#[from] JobError),
    /// A unit file cannot be read or changed.
    #[error(transparent)]
    File(#[from] PathError),
    /// A unit cannot be put into its format.
    #[error("the {0} unit cannot be written")]
    Format(Backend, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The machine runs none of the schedulers this program knows.
    #[error("no scheduler runs on this machine")]
    NoScheduler,
    /// The scheduler's own program is missing or cannot be started.
    #[error("cannot run '{program}', which {backend} needs")]
    NoProgram {
        /// The backend that was asked for.
        backend: Backend,
        program: &'static str,
        /// Why it did not start.
        #[source]
        source: io::Error,
    },
    /// The scheduler is there but does not answer.
    #[error("the systemd manager of the {} cannot be reached: {complaint}", scope_word(*.scope))]
    NoManager {
        /// Whose manager.
        scope: Scope,
        /// What systemctl said.
        complaint: String,
    },
    /// The scheduler did not do what it was asked.
    #[error("'{command}' failed: {complaint}")]
    Refused {
        /// The command, for repeating it by hand.
        command: String,
        /// Its first line of complaint.
        complaint: String,
    },
    /// What `crontab -l` printed may not be what the table holds.
    #[error(
        "the crontab was not changed: line {line} of `crontab -l` has '\\r', which some programs print for a carriage \
         return, so writing the table back could change that line; {by_hand}"
    )]
    Ambiguous {
        /// The first such line, from 1.
        line: usize,
        /// What the user can do instead.
        by_hand: String,
    },
    /// Hooks are switched off, so a hook would never run.
    #[error("hooks are switched off by '{key}' in '{}'", shown(.path))]
    HooksOff {
        /// The settings file.
        path: PathBuf,
        /// The key that does it.
        key: &'static str,
    },
    /// The client's settings cannot be edited safely.
    #[error("'{}' was left as it is: {why}", shown(.path))]
    Settings {
        /// The settings file.
        path: PathBuf,
        /// What is wrong with it.
        why: splice::SpliceError,
    },
    /// A backend that this scope or platform does not have.
    #[error("{backend} has no {} schedule here", scope_word(*.scope))]
    Unsupported {
        backend: Backend,
        /// The scope that was asked for.
        scope: Scope,
    },
}

fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::User => "user",
        Scope::System => "system",
    }
}

impl ScheduleError {
    /// What to do about it, where something can be done.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoScheduler => {
                "start a cron daemon or log in where systemd runs, use --backend claude-hook, or call `ccretain enforce --yes` from the scheduler you have"
            }
            Self::NoProgram { backend: Backend::Cron, .. } => {
                "install a cron daemon (package cron, cronie or busybox) or choose another --backend"
            }
            Self::NoProgram { backend: Backend::Systemd, .. } => {
                "this machine has no systemd: use --backend cron"
            }
            Self::NoProgram { backend: Backend::Launchd, .. } => {
                "launchd is part of macOS: use --backend systemd or cron"
            }
            Self::NoManager { scope: Scope::User, .. } => {
                "log in through a session that systemd manages, or have 'loginctl enable-linger' run for this user; else use --backend cron, or --system as root"
            }
            Self::NoManager { scope: Scope::System, .. } => {
                "systemd is not running this machine: use --backend cron"
            }
            Self::Refused { complaint, .. } if complaint.contains("not allowed") => {
                "an administrator says in /etc/cron.allow or /etc/cron.deny who may use cron: have this account let in, or choose another --backend"
            }
            Self::Refused { complaint, .. } if complaint.contains("masked") => {
                "the unit is masked: 'systemctl unmask ccretain.timer' (with --user for your own) lets it be enabled again"
            }
            Self::HooksOff { .. } => "choose another --backend: a timer does not depend on Claude Code",
            Self::Settings { .. } => {
                "repair the file, or add what `ccretain schedule print --backend claude-hook` shows by hand"
            }
            Self::Unsupported { backend: Backend::ClaudeHook, .. } => {
                "a hook belongs to one user: leave --system away"
            }
            _ => return None,
        })
    }
}

/// The units of a backend for a job, in the order they are shown.
///
/// # Errors
/// A job that has no written form; a hook for the whole system.
pub fn render(backend: Backend, job: &Job) -> Result<Vec<Unit>, ScheduleError> {
    match backend {
        Backend::Systemd => systemd::render(job),
        Backend::Launchd => launchd::render(job),
        Backend::Cron => cron::render(job),
        Backend::ClaudeHook => claude_hook::render(job),
    }
}

/// Units as `print` shows them: each headed by a line with its file name.
pub fn printed(units: &[Unit]) -> String {
    units.iter().map(|unit| format!("# {}\n{}", unit.name, unit.content)).collect::<Vec<_>>().join("\n")
}

/// What an installation or a removal did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether anything is different now.
    pub changed: bool,
    /// Where the unit lies, or lay.
    pub places: Vec<String>,
    /// What the user should know, a sentence each.
    pub notes: Vec<String>,
}

/// The schedulers of one machine, for one user or the whole system.
#[derive(Clone, Copy)]
pub struct Scheduler<'a> {
    /// The machine.
    pub host: &'a dyn Host,
    /// Where units lie.
    pub places: &'a Places,
    /// Whose schedule.
    pub scope: Scope,
}

impl Scheduler<'_> {
    /// Puts a job in place; doing it twice is doing it once. A failure leaves nothing behind.
    ///
    /// # Errors
    /// The scheduler is missing, disabled or refuses; a file cannot be written.
    pub fn install(&self, backend: Backend, job: &Job) -> Result<Report, ScheduleError> {
        match backend {
            Backend::Systemd => systemd::install(self, job),
            Backend::Launchd => launchd::install(self, job),
            Backend::Cron => cron::install(self, job),
            Backend::ClaudeHook => claude_hook::install(self, job),
        }
    }

    /// Takes away what a backend has of ours, and nothing else; fine where there is nothing.
    ///
    /// # Errors
    /// A file cannot be removed; the scheduler refuses.
    pub fn remove(&self, backend: Backend) -> Result<Report, ScheduleError> {
        match backend {
            Backend::Systemd => systemd::remove(self),
            Backend::Launchd => launchd::remove(self),
            Backend::Cron => cron::remove(self),
            Backend::ClaudeHook => claude_hook::remove(self),
        }
    }

    /// Runs a scheduler's own program.
    fn call(
        &self,
        backend: Backend,
        program: &'static str,
        arguments: &[&str],
    ) -> Result<Output, ScheduleError> {
        self.host.run(program, arguments, b"").map_err(|source| ScheduleError::NoProgram {
            backend,
            program,
            source,
        })
    }

    /// Runs a scheduler's own program that must succeed.
    fn must(
        &self,
        backend: Backend,
        program: &'static str,
        arguments: &[&str],
    ) -> Result<Output, ScheduleError> {
        let output = self.call(backend, program, arguments)?;
        if output.ok() {
            return Ok(output);
        }
        let command = format!("{program} {}", arguments.join(" "));
        Err(ScheduleError::Refused { command, complaint: output.complaint() })
    }
}
