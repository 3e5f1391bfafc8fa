//! What schedulers, and the programs that keep them, answer.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::when::Calendar;

/// What a program left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether it ended with 0.
    pub fn ok(&self) -> bool {
        self.code == Some(0)
    }

    /// Standard output as text, trimmed.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// The first line of standard error that says something, escaped for a message.
    pub fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no message");
        crate::escape::text(Path::new(line))
    }
}

/// What a backend says of its unit.
pub(super) struct Found {
    /// The file or table it is in.
    pub place: PathBuf,
    /// The words of the command, the program first.
    pub words: Vec<String>,
    /// The command as it is written there.
    pub command: String,
    /// When it runs, as far as it can be read.
    pub calendar: Option<Calendar>,
    /// The next start, where the scheduler itself knows it.
    pub next: Option<DateTime<Utc>>,
    /// Whether the scheduler has it loaded; `None` where that cannot be known.
    pub active: Option<bool>,
}
