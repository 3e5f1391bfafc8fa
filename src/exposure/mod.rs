//! What makes content readable or recoverable elsewhere than in a store: what a purge cannot undo.
//!
//! One table of kinds ([`RISKS`]), and for each a look at the machine through a small [`Host`], so
//! that every platform's detection is tested anywhere. What cannot be seen is said to be unknown,
//! with the reason, and never guessed. Nothing is changed, and no file is read beyond what tells
//! whether a risk is there.

mod copies;
#[cfg(test)]
mod fake;
mod folders;
pub mod host;
mod memory;
mod mounts;
mod processes;
mod projects;
mod risks;
mod sight;
mod snapshots;
mod volume;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

pub use host::{Host, Inside, System};
pub use risks::{RISKS, Risk};
pub use volume::volume;

use crate::environment::Environment;
use crate::platform::{self, Platform};
use crate::services::{KEPT, Kept};

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
    /// The real paths of the stores, and of folders that links at their top lead to; folders that
    /// are shared with others, such as the home, may be among them.
    pub roots: &'a [PathBuf],
    /// The folders that sessions were about, as far as they are known; some tools leave copies there.
    pub projects: &'a [PathBuf],
    /// What settings of Claude Code put elsewhere than in a store.
    pub moved: &'a [Evidence],
}

impl<'a> Subject<'a> {
    /// The user of an environment, with these stores.
    pub fn of(env: &'a Environment, roots: &'a [PathBuf]) -> Self {
        Self {
            platform: env.platform,
            home: &env.user.home,
            uid: env.user.uid,
            variables: &env.variables,
            roots,
            projects: &[],
            moved: &[],
        }
    }

    /// The same, with the folders that sessions were about.
    pub fn about(self, projects: &'a [PathBuf]) -> Self {
        Self { projects, ..self }
    }

    /// The same, with what settings of Claude Code put elsewhere.
    pub fn with_moved(self, moved: &'a [Evidence]) -> Self {
        Self { moved, ..self }
    }

    /// The roots that are the client's alone.
    fn own_roots(&self) -> Vec<PathBuf> {
        // Of a folder that others use too, such as the home or that of the desktop application, only what is
        // the client's there.
        let layout = platform::layout(self.platform);
        // A home in a work tree is no store in one: only what is the client's alone is asked about.
        let dumps = self.expand(layout.heap_dumps);
        let desktop: Vec<PathBuf> = layout.desktop.iter().filter_map(|place| self.expand(place)).collect();
        let mut own = Vec::new();
        for root in self.roots {
            if desktop.contains(root) {
                own.extend(DESKTOP_SESSIONS.iter().map(|name| root.join(name)));
            } else if !self.home.starts_with(root) && dumps.as_ref() != Some(root) {
                own.push(root.clone());
            }
        }
        own
    }

    /// The path a place template stands for, see [`platform::expand`].
    fn expand(&self, template: &str) -> Option<PathBuf> {
        let variable =
            |name: &str| self.variables.get(OsStr::new(name)).filter(|value| !value.is_empty()).cloned();
        platform::expand(template, self.home, &variable)
    }
}

/// What the desktop application keeps of sessions in its folder.
const DESKTOP_SESSIONS: [&str; 2] = ["claude-code-sessions", "local-agent-mode-sessions"];

/// Whether a risk is there.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
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
    pub fn word(&self) -> &'static str {
        self.into()
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
    pub risk: Risk,
    pub seen: Seen,
    /// What that rests on.
    pub evidence: Vec<Evidence>,
}

/// Looks for every risk of the subject's platform; findings come in the order of [`RISKS`].
pub fn look(subject: &Subject<'_>, host: &dyn Host) -> Vec<Finding> {
    let rows = RISKS.iter().filter(|row| row.platforms.contains(&subject.platform));
    rows.map(|row| look_for(row.risk, subject, host)).collect()
}

pub fn look_for(risk: Risk, subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let unseen =
        |reason: &str| Finding { risk, seen: Seen::Unknown(reason.to_owned()), evidence: Vec::new() };
    match risk {
        Risk::BtrfsSnapshots => snapshots::btrfs(subject, host),
        Risk::ZfsSnapshots => snapshots::zfs(subject, host),
        Risk::LvmSnapshots => snapshots::lvm(subject, host),
        Risk::Timeshift => snapshots::timeshift(host),
        Risk::ApfsSnapshots => snapshots::apfs(subject, host),
        Risk::TimeMachine => snapshots::time_machine(subject, host),
        Risk::ShadowCopies => unseen("it is not looked for"),
        Risk::Backups => copies::backups(subject, host),
        Risk::VersionControl => folders::version_control(subject, host),
        Risk::CloudSync => folders::cloud(subject, host),
        Risk::NetworkFileSystem => volume::network(subject, host),
        Risk::MovedData => {
            let seen = if subject.moved.is_empty() { Seen::No } else { Seen::Yes };
            Finding { risk, seen, evidence: subject.moved.to_vec() }
        }
        Risk::OtherTools => copies::other_tools(subject, host),
        Risk::CoworkDisk => copies::cowork_disk(subject, host),
        Risk::AgentWorktrees => projects::worktrees(subject, host),
        Risk::Checkpoints => projects::checkpoints(subject, host),
        Risk::ProjectFiles => projects::files(subject, host),
        Risk::Trash => copies::trash(subject, host),
        Risk::OpenDeletedFiles => processes::open_deleted(subject, host),
        Risk::CoreDumps => copies::core_dumps(subject, host),
        Risk::Swap => memory::swap(subject, host),
        Risk::Hibernation => memory::hibernation(subject, host),
        Risk::UnencryptedVolume => volume::unencrypted(subject, host),
        Risk::FreedBlocks => unseen("a file system does not show what is left in its free blocks"),
        Risk::ServerSide => {
            let note = |kept: &Kept| Evidence { path: None, note: kept.sentence() };
            let what = unseen("it lies with the service and cannot be seen from this machine");
            Finding { evidence: KEPT.iter().map(note).collect(), ..what }
        }
    }
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
