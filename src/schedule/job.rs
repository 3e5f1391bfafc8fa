//! What every backend is told to run: one command, its surroundings and its calendar.

use std::path::{Path, PathBuf};

use super::quote;
use super::when::{At, Calendar, Every};

/// Whose runs are scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The stores of the user who installs it, by that user's own scheduler.
    User,
    /// The stores of every user, by the system's scheduler, as root.
    System,
}

/// The form of the log that a scheduled run writes to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    fn word(self) -> &'static str {
        self.into()
    }
}

/// A scheduled run, the same for every backend.
#[derive(Debug, Clone)]
pub struct Job {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// How often.
    pub every: Every,
    /// At what local time; of an hourly run only the minute counts.
    pub at: At,
    /// Whose stores.
    pub scope: Scope,
    /// Only these stores are changed (`--store`); all known ones where empty.
    pub stores: Vec<PathBuf>,
    /// The policy instead of the user's (`--policy`).
    pub policy: Option<PathBuf>,
    /// The form of the log (`--log-format`).
    pub log_format: Option<LogFormat>,
    /// Where the run leaves its Prometheus text file (`--metrics`).
    pub metrics: Option<PathBuf>,
    /// Stop a run after this long (`--max-runtime`), a period as written.
    pub max_runtime: Option<String>,
    /// Variables that move state, policy and stores, as they are set where the schedule is
    /// installed: a timer starts without them.
    pub environment: Vec<(String, String)>,
    /// Where launchd sends what the run prints; it has no journal of its own.
    pub log: Option<PathBuf>,
}

/// Why a job cannot be written as a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// A scheduler starts programs from a folder of its own choice.
    #[error("the program path '{0}' is not absolute")]
    Relative(String),
    /// Unit files are text and end a value at a line break.
    #[error("'{0}' holds control characters or is not UTF-8 and cannot be written in a unit file")]
    Unwritable(String),
    /// systemd takes no quotes and backslashes in the name of a program, however they are escaped.
    #[error("the program path '{0}' holds quotes or backslashes, which systemd refuses")]
    Quotes(String),
}

impl Job {
    /// A job with defaults for everything but program and scope: daily at [`At::DEFAULT`].
    pub fn new(program: impl Into<PathBuf>, scope: Scope) -> Self {
        Self {
            program: program.into(),
            every: Every::Daily,
            at: At::DEFAULT,
            scope,
            stores: Vec::new(),
            policy: None,
            log_format: None,
            metrics: None,
            max_runtime: None,
            environment: Vec::new(),
            log: None,
        }
    }

    /// When it runs.
    pub fn calendar(&self) -> Calendar {
        Calendar::new(self.every, self.at)
    }

    /// The command as one line for a shell, which sets the variables of its environment.
    ///
    /// # Errors
    /// As [`Job::command`].
    pub fn line(&self) -> Result<String, JobError> {
        let command = quote::shell(&self.command()?);
        if self.environment.is_empty() {
            return Ok(command);
        }
        let variables: Vec<_> =
            self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(format!("env {} {command}", quote::shell(&variables)))
    }

    /// The command: the program and `enforce --yes` with what was asked for.
    ///
    /// # Errors
    /// A program path that is not absolute; text that no unit file can hold.
    pub fn command(&self) -> Result<Vec<String>, JobError> {
        // Asked of the text, so that the row of another platform can be rendered here.
        if !self.program.as_os_str().as_encoded_bytes().starts_with(b"/") {
            return Err(JobError::Relative(crate::escape::text(&self.program)));
        }
        let mut words = vec![written(&self.program)?, "enforce".to_owned(), "--yes".to_owned()];
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        for store in &self.stores {
            option("--store", written(store)?);
        }
        if let Some(policy) = &self.policy {
            option("--policy", written(policy)?);
        }
        if let Some(format) = self.log_format {
            option("--log-format", format.word().to_owned());
        }
        if let Some(metrics) = &self.metrics {
            option("--metrics", written(metrics)?);
        }
        if let Some(period) = &self.max_runtime {
            option("--max-runtime", written(Path::new(period))?);
        }
        if self.scope == Scope::System {
            words.push("--all-users".to_owned());
        }
        for (_, value) in &self.environment {
            written(Path::new(value))?;
        }
        Ok(words)
    }
}

/// A path as a unit file can hold it.
pub(super) fn written(path: &Path) -> Result<String, JobError> {
    path.to_str()
        .filter(|text| !text.chars().any(char::is_control))
        .map(str::to_owned)
        .ok_or_else(|| JobError::Unwritable(crate::escape::text(path)))
}
