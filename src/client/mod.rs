//! The client's own retention settings, read only: what its sweep would do, and who decides that.
//!
//! Facts: clients 1.0.128 to 2.1.330 as run with settings of every kind; the order of sources and
//! the meaning of `desktopSessionCleanupPeriodDays` from the client's public documentation. Of a
//! settings file only the two periods, what moves content ([`movers`]) and the meaning of a few switches
//! ([`switches`]) are kept, never anything else.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod movers;
pub mod regimes;
mod source;
pub mod switches;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::environment::Environment;
use crate::escape::shown;
use crate::period::Period;
use crate::platform::Platform;
pub use source::{FileState, Number, SettingsFile, SourceKind};

/// The period of the client when nothing sets one, in days.
pub const DEFAULT_DAYS: u64 = 30;

/// Where the client's settings lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPlaces {
    /// The client's config folders; the first is the one in force.
    pub config_dirs: Vec<PathBuf>,
    /// The folder that `CLAUDE_CONFIG_DIR` names: it must be there.
    pub named: Option<PathBuf>,
    /// The folder of `managed-settings.json`.
    pub managed_dir: PathBuf,
    /// The folder of managed preferences, where the platform has one.
    pub managed_prefs: Option<PathBuf>,
    /// The account whose managed preferences count.
    pub user_name: String,
}

impl ClientPlaces {
    /// The places of the platform, for the user of the environment: the folder that
    /// `CLAUDE_CONFIG_DIR` names, if it does, and the default one.
    pub fn new(env: &Environment) -> Self {
        let layout = env.layout();
        let moved = env.variable("CLAUDE_CONFIG_DIR").map(|dir| env.working_dir.join(dir));
        let usual = env.expand(layout.client_config);
        let mut config_dirs: Vec<PathBuf> = moved.iter().cloned().chain(usual).collect();
        config_dirs.dedup();
        Self {
            config_dirs,
            named: moved,
            managed_dir: env.expand(layout.client_managed).unwrap_or_else(|| layout.client_managed.into()),
            managed_prefs: (env.platform == Platform::Macos)
                .then(|| PathBuf::from("/Library/Managed Preferences")),
            user_name: env.user.name.clone(),
        }
    }
}

/// The period of the rule that applies while no policy names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltIn {
    pub delete_after: Period,
    /// The client's settings file that gives it; `None` for the default of 30 days.
    pub path: Option<PathBuf>,
}

impl Default for BuiltIn {
    fn default() -> Self {
        Self { delete_after: Period::days(30), path: None }
    }
}

/// What the client's settings say, by source.
#[derive(Debug, Clone, Default)]
pub struct ClientSettings {
    /// The managed source in force for Claude Code; one with drop-ins has a file for each.
    pub managed: Vec<SettingsFile>,
    /// The managed source of the machine, whatever lies in the user's own folder.
    pub machine: Vec<SettingsFile>,
    /// `settings.json` of each config folder, the one in force first.
    pub users: Vec<SettingsFile>,
    /// For each project looked at: its local and its checked-in settings, the stronger first.
    pub projects: BTreeMap<PathBuf, Vec<SettingsFile>>,
    /// The rules of the organisation that Claude Code's own cache names.
    pub regimes: Vec<regimes::Regime>,
    /// The shortest period of all projects, of other sessions and of those of the desktop application.
    shortest: OnceLock<[Option<Shortest>; 2]>,
    /// The strongest file that turns off what a key stands for.
    off: OnceLock<BTreeMap<&'static str, (SourceKind, PathBuf)>>,
}

/// A period in days, and the file that sets it; `None` for the default.
type Shortest = (u64, Option<PathBuf>);

/// What the client's sweep goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Sweep {
    /// It removes what is older than this.
    Runs {
        /// The period in days.
        days: u64,
        /// The file that sets it; `None` for the default.
        #[serde(serialize_with = "crate::escape::json::some_path")]
        path: Option<PathBuf>,
    },
    /// It removes nothing while this lasts; clients before 2.1.89 delete everything at a period of 0.
    Paused {
        /// What pauses it.
        reason: String,
    },
}

/// What the desktop application has said of a session of its own that it no longer shows, in
/// `<session>.desktop-released.json` (read in client 2.1.332).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Its user archived it: it stays until this file's own date is past the period, too.
    Archived(DateTime<Utc>),
    /// Its user deleted it: it is exempt no longer.
    Deleted,
}

impl Release {
    /// The one that frees the transcript sooner.
    pub fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::Archived(one), Self::Archived(two)) => Self::Archived(one.min(two)),
            _ => Self::Deleted,
        }
    }
}

/// What the client's sweep goes by beside the date of a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Whether the desktop application wrote it.
    pub by_desktop: bool,
    /// What the desktop application has said of it since.
    pub released: Option<Release>,
    /// Whether it is empty, with no folder of the session beside it.
    pub is_empty: bool,
}

/// When the client would remove something, and which file says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Removal {
    /// The earliest moment; the client must be started for it to happen.
    pub at: DateTime<Utc>,
    /// The period in days.
    pub days: u64,
    /// The file that sets it; `None` for the default.
    #[serde(serialize_with = "crate::escape::json::some_path")]
    pub path: Option<PathBuf>,
}

/// Reads the client's settings, those checked in to the given projects too.
///
/// What cannot be read is part of the answer, so this cannot fail.
pub fn read(places: &ClientPlaces, projects: &[PathBuf]) -> ClientSettings {
    read_beside(&Machine::read(places), places, projects)
}

/// The settings that hold for the whole machine, read once for several config folders.
#[derive(Debug, Clone)]
pub struct Machine(Vec<SettingsFile>);

impl Machine {
    /// Reads them.
    pub fn read(places: &ClientPlaces) -> Self {
        Self(source::machine(places))
    }
}

/// The same as [`read`], with the machine's settings at hand.
pub fn read_beside(machine: &Machine, places: &ClientPlaces, projects: &[PathBuf]) -> ClientSettings {
    let mut dirs = places.config_dirs.clone();
    let mut must_exist: Vec<PathBuf> = places.named.iter().cloned().collect();
    let mut users: Vec<SettingsFile> = Vec::new();
    let mut next = 0;
    while let Some(dir) = dirs.get(next).cloned() {
        let file = SettingsFile::of_folder(&dir, must_exist.contains(&dir));
        // A folder that is not there says nothing, except the one in force.
        if next == 0 || file.state != FileState::Missing || dir.is_dir() {
            // Settings may name another config folder, which has settings of its own.
            let named = file.variable("CLAUDE_CONFIG_DIR").map(PathBuf::from);
            // Each may name a further one; a ring of them ends where all are known, and a chain at some number.
            if let Some(named) = named.filter(|named| named.is_absolute() && dirs.len() < 64) {
                if !dirs.contains(&named) {
                    dirs.push(named.clone());
                }
                must_exist.push(named);
            }
            users.push(file);
        }
        next += 1;
    }
    let of_project = |project: &PathBuf| {
        let folder = project.join(".claude");
        let local = SettingsFile::read(SourceKind::Local, &folder.join("settings.local.json"));
        let shared = SettingsFile::read(SourceKind::Project, &folder.join("settings.json"));
        (project.clone(), vec![local, shared])
    };
    let machine = machine.0.clone();
    let managed = source::server(places).map_or_else(|| machine.clone(), |server| vec![server]);
    let projects = projects.iter().map(of_project).collect();
    let regimes = regimes::read(places);
    ClientSettings { managed, machine, users, projects, regimes, ..ClientSettings::default() }
}

impl ClientSettings {
    /// What the sweep of a client started in this project goes by; `None` is a folder without
    /// settings of its own.
    pub fn sweep(&self, project: Option<&Path>) -> Sweep {
        // A managed period pins the sweep, and keeps it going whatever else is broken.
        match period_of(&self.managed) {
            Some(Ok((days, path))) => return Sweep::Runs { days, path: Some(path) },
            Some(Err(reason)) => return Sweep::Paused { reason },
            None => {}
        }
        let own = project.and_then(|project| self.projects.get(project)).into_iter().flatten();
        let files: Vec<&SettingsFile> = own.chain(self.users.first()).collect();
        // As the client does it: with settings that it cannot read it deletes nothing.
        if let Some(reason) = files.iter().find_map(|file| file.trouble()) {
            return Sweep::Paused { reason };
        }
        let decides = files.iter().find_map(|file| Some((file.cleanup().days()?, file.path.clone())));
        let (days, path) = match decides {
            Some((days, path)) => (days, Some(path)),
            None => (DEFAULT_DAYS, None),
        };
        Sweep::Runs { days, path }
    }

    /// The earliest date at which the client's own sweep may remove a file last written at `last_mtime`; `None` where
    /// it never would.
    pub fn removal(&self, last_mtime: DateTime<Utc>, written: Written) -> Option<Removal> {
        // A sweep covers the whole store by the settings of the project in which the client was started, so the
        // shortest period of all projects looked at counts.
        // Looked for once: there may be as many projects as sessions, and each session asks.
        let [usual, limit] = self.shortest.get_or_init(|| [self.shortest(false), self.shortest(true)]);
        let after = |date: DateTime<Utc>, period: &Option<Shortest>| {
            let (days, path) = period.clone()?;
            let span = TimeDelta::try_days(i64::try_from(days).ok()?)?;
            Some(Removal { at: date.checked_add_signed(span)?, days, path })
        };
        // Under an organisation's rules the desktop application's sessions are as all others.
        let is_desktop = self.regimes.is_empty();
        let is_exempt = match written.released {
            Some(Release::Deleted) => false,
            Some(Release::Archived(_)) => is_desktop,
            None => written.by_desktop && is_desktop || written.is_empty,
        };
        if !is_exempt || matches!(period_of(&self.managed), Some(Ok(_))) {
            return after(last_mtime, usual);
        }
        // An archived session goes at the end of its grace or at the limit of all exempt ones.
        let grace = match written.released {
            Some(Release::Archived(at)) => after(last_mtime.max(at), usual),
            _ => None,
        };
        grace.into_iter().chain(after(last_mtime, limit)).min_by_key(|removal| removal.at)
    }

    /// The shortest period of a client started in a project, or in a folder without settings; of exempt
    /// transcripts their limit.
    fn shortest(&self, is_exempt: bool) -> Option<Shortest> {
        let projects = self.projects.keys().map(|project| Some(project.as_path()));
        let sweeps = std::iter::once(None).chain(projects).map(|project| (self.sweep(project), project));
        let periods = sweeps.filter_map(|(sweep, project)| match sweep {
            Sweep::Runs { days, path } if is_exempt => self.desktop_period(days, path, project),
            Sweep::Runs { days, path } => Some((days, path)),
            Sweep::Paused { .. } => None,
        });
        periods.min_by_key(|(days, _)| *days)
    }

    /// Exempt transcripts are kept without limit unless `desktopSessionCleanupPeriodDays` gives one; then
    /// the longer of the two counts.
    fn desktop_period(
        &self,
        days: u64,
        path: Option<PathBuf>,
        project: Option<&Path>,
    ) -> Option<(u64, Option<PathBuf>)> {
        let own = project.and_then(|project| self.projects.get(project)).into_iter().flatten();
        let files = self.managed.iter().rev().chain(own).chain(self.users.first());
        let limit = files
            .filter_map(|file| file.desktop().limit().map(|limit| (limit, file.path.clone())))
            .next()
            .filter(|(limit, _)| *limit > 0)?;
        Some(if limit.0 >= days { (limit.0, Some(limit.1)) } else { (days, path) })
    }

    /// The period of the built-in rule: the machine's managed one, else the user's, else 30 days.
    ///
    /// # Errors
    /// Why there is none: settings that cannot be read, or a period that is none.
    pub fn built_in(&self) -> Result<BuiltIn, String> {
        // Of several config folders the longest counts. What a server manages is cached in the user's own
        // folder, where anybody may have written it: it can only shorten the period.
        let of = |days: u64, path: PathBuf| BuiltIn {
            delete_after: Period::days(u32::try_from(days).unwrap_or(u32::MAX)),
            path: Some(path),
        };
        let server = self.managed.iter().filter(|file| file.kind == SourceKind::Server);
        let shorter = server.filter_map(|file| Some(of(file.cleanup().days()?, file.path.clone())));
        let own = match period_of(&self.machine) {
            Some(managed) => managed.map(|(days, path)| of(days, path))?,
            None => self.users_period(of)?,
        };
        let all = [own].into_iter().chain(shorter);
        Ok(all.min_by(|a, b| a.delete_after.length().cmp(&b.delete_after.length())).unwrap_or_default())
    }

    fn users_period(&self, of: impl Fn(u64, PathBuf) -> BuiltIn) -> Result<BuiltIn, String> {
        // A typing error in one's settings must not turn "a year" into the default of 30 days.
        if let Some(reason) = self.users.iter().find_map(SettingsFile::trouble) {
            return Err(reason);
        }
        let longest = self
            .users
            .iter()
            .map(|file| match file.cleanup().days() {
                Some(days) => of(days, file.path.clone()),
                None => BuiltIn::default(),
            })
            // Of several folders nobody knows which one a client was started with.
            .max_by_key(|built_in| built_in.delete_after.length());
        Ok(longest.unwrap_or_default())
    }

    /// Values of a folder variable in the `env` of managed and user settings
    /// (`CLAUDE_CONFIG_DIR`, `CLAUDE_CODE_TMPDIR`), the strongest first, with their files.
    #[cfg(test)]
    pub fn variable<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a Path)> {
        let files = self.managed.iter().rev().chain(&self.users);
        files.filter_map(move |file| Some((file.variable(name)?, file.path.as_path())))
    }

    /// The strongest file that turns off what a key stands for.
    pub fn turning_off(&self, name: &str) -> Option<&(SourceKind, PathBuf)> {
        // Looked for once: each project asks, and may have files of its own.
        let off = self.off.get_or_init(|| {
            let mut off = BTreeMap::new();
            for file in self.files() {
                for name in file.turned_off() {
                    off.entry(*name).or_insert_with(|| (file.kind, file.path.clone()));
                }
            }
            off
        });
        off.get(name)
    }

    /// Every file that was looked at, strongest first.
    pub fn files(&self) -> impl Iterator<Item = &SettingsFile> {
        self.managed.iter().rev().chain(self.projects.values().flatten()).chain(&self.users)
    }

    /// What is worth telling of single values: periods that are none, and such that stand for never.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<String> = self.regime_remark().into_iter().collect();
        for file in self.files() {
            let path = shown(&file.path);
            if let Some(reason) = file.trouble() {
                remarks.push(reason);
            }
            match file.cleanup() {
                Number::Zero => remarks.push(format!(
                    "'{path}': at a period of 0 clients before 2.1.89 delete every transcript at their next start"
                )),
                Number::Days(days) if days >= 36_500 => {
                    remarks.push(format!("'{path}': {days} days means never, as some tools set it"));
                }
                _ => {}
            }
        }
        remarks
    }
}

/// The period of a managed source and its file; an error where its settings cannot be read.
fn period_of(managed: &[SettingsFile]) -> Option<Result<(u64, PathBuf), String>> {
    if let Some(reason) = managed.iter().find_map(SettingsFile::trouble) {
        return Some(Err(reason));
    }
    // Later files of one source win, drop-ins over the base file.
    let found = managed.iter().rev();
    found.filter_map(|file| Some((file.cleanup().days()?, file.path.clone()))).next().map(Ok)
}

/// A fragment for the client's `managed-settings.json` that keeps its sweep from removing what
/// the policy keeps: the longest of the given periods in whole days, rounded up; without an end
/// it is 99999, which the client takes for never.
pub fn emit<'a>(periods: impl Iterator<Item = &'a Period>) -> serde_json::Value {
    const NEVER: u64 = 99_999;
    let days =
        periods.map(|period| period.whole_days().unwrap_or(NEVER)).max().unwrap_or(NEVER).clamp(1, NEVER);
    serde_json::json!({"cleanupPeriodDays": days, "desktopSessionCleanupPeriodDays": days})
}

#[cfg(test)]
mod tests;
