//! What the program knows of its surroundings: read once at the start, passed everywhere.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::platform::{self, Layout, Platform};

/// The account whose stores are handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name of the account, for reports.
    pub name: String,
    /// The numeric id; 0 on platforms without one.
    pub uid: u32,
    /// The home folder, as the environment gives it.
    pub home: PathBuf,
    /// The same with every link resolved, as programs started below it record it.
    pub real_home: PathBuf,
}

/// Surroundings of a run: platform, user, variables and the time, all of one moment.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Which row of every platform table applies.
    pub platform: Platform,
    /// Whose stores are looked at.
    pub user: User,
    /// The environment variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// The time of the run; nothing else reads a clock.
    pub now: DateTime<Utc>,
    /// The day this program was built; a clock before it is wrong.
    pub built: DateTime<Utc>,
    /// The folder the command was given in, against which relative arguments are read.
    pub working_dir: PathBuf,
    /// Whether this Linux runs inside of Windows, whose drives it then sees.
    pub is_wsl: bool,
}

impl Environment {
    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Where things lie on this platform.
    pub fn layout(&self) -> &'static Layout {
        platform::layout(self.platform)
    }

    /// The absolute path a place template of the platform table stands for, e.g.
    /// `${XDG_STATE_HOME:-~/.local/state}/ccretain`; `None` where a variable without a
    /// default is missing or the result is not absolute.
    pub fn expand(&self, template: &str) -> Option<PathBuf> {
        platform::expand(template, &self.user.home, &|name| self.variable(name).map(OsStr::to_os_string))
    }

    /// The folder of the user's own policy, holds and identity
    /// (`CCRETAIN_CONFIG_DIR`, else the platform's place).
    pub fn config_dir(&self) -> PathBuf {
        self.own_dir("CCRETAIN_CONFIG_DIR", self.layout().user_policy)
    }

    /// The variable that names the folder of the user's own files or one above it, and the folder it names.
    pub fn config_dir_named_by(&self) -> Option<(&'static str, PathBuf)> {
        const OWN: &str = "CCRETAIN_CONFIG_DIR";
        if let Some(dir) = self.variable(OWN) {
            return Some((OWN, self.working_dir.join(dir)));
        }
        let (name, _) = self.layout().user_policy.strip_prefix("${")?.split_once(":-")?;
        // One that is not absolute counts as unset.
        let dir = PathBuf::from(self.variable(name)?);
        dir.is_absolute().then_some((name, dir))
    }

    /// The folder of state (`CCRETAIN_STATE_DIR`, else the platform's place).
    pub fn state_dir(&self) -> PathBuf {
        self.own_dir("CCRETAIN_STATE_DIR", self.layout().state)
    }

    /// The folder of the ledger (`CCRETAIN_STATE_DIR`, else the platform's place).
    pub fn ledger_dir(&self) -> PathBuf {
        self.own_dir("CCRETAIN_STATE_DIR", self.layout().ledger)
    }

    /// The folder of the ledger of runs over all users (`CCRETAIN_STATE_DIR`, else the platform's
    /// place).
    pub fn system_ledger_dir(&self) -> PathBuf {
        self.own_dir("CCRETAIN_STATE_DIR", self.layout().system_ledger)
    }

    fn own_dir(&self, variable: &str, template: &str) -> PathBuf {
        self.variable(variable)
            .map(PathBuf::from)
            .map(|dir| self.working_dir.join(dir))
            .or_else(|| self.expand(template))
            .unwrap_or_else(|| self.user.home.join(".ccretain"))
    }

    /// A path argument made absolute against the working folder; `~/` is the user's home.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("~") {
            Ok(rest) => self.user.home.join(rest),
            Err(_) => self.working_dir.join(path),
        }
    }
}
