//! What makes content readable or recoverable elsewhere than in a store: what a purge cannot undo.
//!
//! One table of kinds ([`RISKS`]), and for each a look at the machine through a small [`Host`], so
//! that every platform's detection is tested anywhere. What cannot be seen is said to be unknown,
//! with the reason, and never guessed. Nothing is changed, and no file is read beyond what tells
//! whether a risk is there.

pub mod host;
mod risks;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

pub use host::{Host, System};
pub use risks::{RISKS, Risk, Row};

use crate::environment::Environment;
use crate::platform::{self, Platform};

/// Whose stores are looked at; root may ask for others.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Which row of every platform table applies.
    pub platform: Platform,
    /// The home folder.
    pub home: &'a Path,
    /// The numeric id of the account.
    pub uid: u32,
    /// The account's environment variables, as far as they are known; they move places.
    pub variables: &'a BTreeMap<OsString, OsString>,
    /// The real paths of the stores, and of folders that links at their top lead to.
    pub roots: &'a [PathBuf],
}

impl<'a> Subject<'a> {
    /// The user of an environment, with these stores.
    #[must_use]
    pub fn of(env: &'a Environment, roots: &'a [PathBuf]) -> Self {
        Self {
            platform: env.platform,
            home: &env.user.home,
            uid: env.user.uid,
            variables: &env.variables,
            roots,
        }
    }

    #[expect(dead_code, reason = "the detection that needs it comes next")]
    /// The path a place template stands for, see [`platform::expand`].
    fn expand(&self, template: &str) -> Option<PathBuf> {
        let variable =
            |name: &str| self.variables.get(OsStr::new(name)).filter(|value| !value.is_empty()).cloned();
        platform::expand(template, self.home, &variable)
    }
}

/// Whether a risk is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is; the evidence says where.
    Yes,
    /// It was looked for and is not there.
    No,
    /// It cannot be told, for this reason.
    Unknown(String),
}

impl Seen {
    /// The word reports use: `yes`, `no`, `unknown`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// What a finding rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Where it was seen.
    pub path: Option<PathBuf>,
    /// What was seen there; never content of a file.
    pub note: String,
}

/// What was found out about one risk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub risk: Risk,
    /// Whether it is there.
    pub seen: Seen,
    /// What that rests on.
    pub evidence: Vec<Evidence>,
}

/// Looks for every risk of the subject's platform; findings come in the order of [`RISKS`].
#[must_use]
pub fn look(subject: &Subject<'_>, _host: &dyn Host) -> Vec<Finding> {
    RISKS
        .iter()
        .filter(|row| row.platforms.contains(&subject.platform))
        .map(|row| Finding {
            risk: row.risk,
            seen: Seen::Unknown("it is not looked for yet".to_owned()),
            evidence: Vec::new(),
        })
        .collect()
}

/// On what a store lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where its file system is mounted; `None` where that cannot be told.
    pub mounted_at: Option<PathBuf>,
    /// What is mounted there, e.g. `/dev/mapper/vg-home`; `None` where that cannot be told.
    pub source: Option<String>,
    /// The kind of file system, e.g. `ext4`; `None` where that cannot be told.
    pub file_system: Option<String>,
    /// Whether what is stored there is encrypted below the file system or by it.
    pub encrypted: Seen,
}

/// On what a folder lies.
#[must_use]
pub fn volume(_path: &Path, _platform: Platform, _host: &dyn Host) -> Volume {
    Volume {
        mounted_at: None,
        source: None,
        file_system: None,
        encrypted: Seen::Unknown("it is not looked for yet".to_owned()),
    }
}
