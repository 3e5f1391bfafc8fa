//! Settings by which Claude Code writes content elsewhere than in its stores.
//!
//! Facts: client 2.1.332. `AUTOMODE_DECISION_LOG` is not among them: it takes no path, and what it turns on lies in the
//! store. A folder is followed only where every name that Claude Code writes there has the id of a session; any other
//! name may be the user's own file.

use std::path::{Path, PathBuf};

use super::ClientSettings;
use crate::catalogue::Root;

/// A setting, or a variable in the `env` of settings, that moves something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mover {
    /// The key, or the name of the variable.
    pub name: &'static str,
    /// What lies there.
    pub what: &'static str,
    /// Whether it is a key of its own, and not a variable.
    pub is_key: bool,
    /// The tree of the catalogue that it names, where it is followed.
    pub root: Option<Root>,
    /// What stands before the path.
    prefix: &'static str,
}

const fn variable(name: &'static str, what: &'static str, root: Option<Root>) -> Mover {
    Mover { name, what, is_key: false, root, prefix: "" }
}

/// Every mover.
pub const MOVERS: [Mover; 9] = [
    variable("CLAUDE_CONFIG_DIR", "sessions", Some(Root::Config)),
    variable("CLAUDE_CODE_TMPDIR", "temporary files", Some(Root::Temp)),
    // The path of a file, or of a folder that gets a file a session.
    variable("CLAUDE_CODE_DEBUG_LOGS_DIR", "debug logs", Some(Root::DebugLogs)),
    variable("CLAUDE_CODE_SCRATCHPAD_DIR", "scratch files", None),
    variable("CLAUDE_CODE_DIAGNOSTICS_FILE", "diagnostics", None),
    variable("CLAUDE_PTY_RECORD", "recordings of terminals", None),
    Mover { prefix: "file:", ..variable("OTEL_LOG_RAW_API_BODIES", "requests and answers", None) },
    Mover { is_key: true, ..variable("plansDirectory", "plans", None) },
    Mover { is_key: true, ..variable("autoMemoryDirectory", "memory", None) },
];

/// Where settings put something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What moves it.
    pub mover: Mover,
    /// The place, as the settings name it.
    pub value: String,
    /// The settings file.
    pub file: PathBuf,
}

impl Moved {
    /// The place as a path; one that is not absolute is relative to each project.
    pub fn path(&self, home: &Path) -> PathBuf {
        match self.value.strip_prefix("~/") {
            Some(below) => home.join(below),
            None => PathBuf::from(&self.value),
        }
    }
}

impl ClientSettings {
    /// Where managed and user settings put something, the strongest first.
    pub fn moved(&self) -> Vec<Moved> {
        let files = || self.managed.iter().rev().chain(&self.users);
        let of = |mover: Mover| {
            files().filter_map(move |file| {
                let value = file.variable(mover.name)?.strip_prefix(mover.prefix)?;
                Some(Moved { mover, value: value.to_owned(), file: file.path.clone() })
            })
        };
        MOVERS.into_iter().flat_map(of).collect()
    }
}
