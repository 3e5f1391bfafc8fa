//! What is installed, whether it would still work, and when it runs next.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Local, SecondsFormat, TimeDelta, TimeZone, Utc};
use serde_json::{Value, json};

use super::found::Found;
use super::when::Calendar;
use super::{
    Backend, Places, ScheduleError, Scheduler, Scope, SystemHost, claude_hook, cron, launchd, systemd,
};
use crate::environment::Environment;
use crate::escape;

/// Whether the program of an installed command is the one that is running now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// It is there and has this version.
    Current,
    /// It is there and says something else.
    Other(String),
    /// It is there and belongs to somebody else, so it was not started to be asked.
    NotAsked,
    /// It is not there, or does not start.
    Missing,
    /// It was not asked.
    Unknown,
}

impl Installed {
    /// What keeps it from starting this program, a sentence each.
    pub fn complaints(&self) -> Vec<String> {
        let renewed = match self.scope {
            Scope::User => "`ccretain schedule install`",
            Scope::System => "`ccretain schedule install --system`",
        };
        let program = match &self.program {
            Program::Current | Program::Unknown => None,
            Program::Other(version) => {
                Some(format!("the program there is '{version}', not this one; {renewed} renews it"))
            }
            Program::NotAsked => {
                Some(format!("the program belongs to another user and was not started; {renewed} renews it"))
            }
            Program::Missing => {
                Some(format!("the program is not there or does not start; {renewed} renews it"))
            }
        };
        let idle = match (self.active, self.backend) {
            (Some(false), Backend::Cron) => {
                Some("no cron daemon was seen running: until one is started, nothing will run".to_owned())
            }
            (Some(false), _) => Some(format!("the scheduler does not have it running; {renewed} starts it")),
            (Some(true) | None, _) => None,
        };
        program.into_iter().chain(idle).collect()
    }
}

impl Program {
    /// The word for it in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Other(_) => "other-version",
            Self::NotAsked => "not-asked",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// An installed schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    pub backend: Backend,
    pub scope: Scope,
    /// The file or table it is in, printable.
    pub place: String,
    /// The command as it is written there, printable.
    pub command: String,
    /// Whether that command still works.
    pub program: Program,
    /// Whether the scheduler has it loaded; `None` where that cannot be known.
    pub active: Option<bool>,
    /// The next start; `None` for a hook, and for a calendar somebody else wrote.
    pub next: Option<DateTime<Utc>>,
    /// Starts since the last run that no run answered; `None` where there is no calendar or no last run.
    pub missed: Option<u32>,
}

/// The spread of a timer and the length of a run: a start this old has had its run.
const PATIENCE: TimeDelta = TimeDelta::hours(3);
/// Starts are counted up to here; more say nothing more.
const MANY: u32 = 1_000;

/// What is installed for a user, by the user or for the whole system; read only. `is_confined` as [`SystemHost`] has it.
pub fn installed(
    env: &Environment,
    is_confined: bool,
    last_run: Option<DateTime<Utc>>,
) -> Result<Vec<Installed>, ScheduleError> {
    let (host, places) = (SystemHost::of(env, is_confined), Places::of(env));
    Scheduler { host: &host, places: &places, scope: Scope::User }.all(env.now, last_run)
}

impl Scheduler<'_> {
    /// What is installed of ours; for a user also what is for the whole system, which runs for him, too.
    pub fn all(
        &self,
        now: DateTime<Utc>,
        last_run: Option<DateTime<Utc>>,
    ) -> Result<Vec<Installed>, ScheduleError> {
        let (now, version) = (now.with_timezone(&Local), concat!("ccretain ", env!("CARGO_PKG_VERSION")));
        let mut installed = self.status(&now, version, last_run)?;
        if self.scope == Scope::User {
            // A system unit that this account may not read is no business of its own.
            let system = Scheduler { scope: Scope::System, ..*self }.status(&now, version, last_run);
            installed.extend(system.unwrap_or_default());
        }
        Ok(installed)
    }

    /// What is installed of ours, in every backend of this scope. `now` carries the machine's
    /// time zone; `version` is what the running program answers to `--version`; `last_run` is
    /// when a run last ended.
    ///
    /// # Errors
    /// A unit file cannot be read.
    pub fn status<Tz: TimeZone>(
        &self,
        now: &DateTime<Tz>,
        version: &str,
        last_run: Option<DateTime<Utc>>,
    ) -> Result<Vec<Installed>, ScheduleError> {
        let mut installed = Vec::new();
        for backend in Backend::ALL {
            let Some(found) = self.found(backend)? else { continue };
            let calendar = found.calendar.as_ref();
            installed.push(Installed {
                backend,
                scope: self.scope,
                place: escape::text(&found.place),
                command: escape::text(&PathBuf::from(&found.command)),
                program: self.program(found.words.first().map_or("", String::as_str), version),
                active: found.active,
                next: found.next.or_else(|| calendar?.next(now)),
                missed: calendar.zip(last_run).map(|(calendar, last)| missed(calendar, last, now)),
            });
        }
        Ok(installed)
    }

    /// The backends that have something of ours.
    ///
    /// # Errors
    /// A unit file cannot be read.
    pub fn installed(&self) -> Result<Vec<Backend>, ScheduleError> {
        let mut backends = Vec::new();
        for backend in Backend::ALL {
            if self.found(backend)?.is_some() {
                backends.push(backend);
            }
        }
        Ok(backends)
    }

    fn found(&self, backend: Backend) -> Result<Option<Found>, ScheduleError> {
        match backend {
            Backend::Systemd => systemd::found(self),
            Backend::Launchd => launchd::found(self),
            Backend::Cron => cron::found(self),
            Backend::ClaudeHook => claude_hook::found(self),
        }
    }

    fn program(&self, program: &str, version: &str) -> Program {
        if !program.starts_with('/') {
            return Program::Missing;
        }
        // Asked and not compared by its path: an update puts another program in the same place, and a package
        // manager may take it away.
        match self.host.version(Path::new(program)) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Program::NotAsked,
            Ok(output) if output.ok() && output.text() == version => Program::Current,
            Ok(output) if output.ok() => Program::Other(escape::text(&PathBuf::from(output.text()))),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Program::Unknown,
            Ok(_) | Err(_) => Program::Missing,
        }
    }
}

/// Starts after the last run that are old enough to have had one.
fn missed<Tz: TimeZone>(calendar: &Calendar, last: DateTime<Utc>, now: &DateTime<Tz>) -> u32 {
    let zone = now.timezone();
    // A start of a minute ago is no missed one: its run may be waiting out the spread or be at work.
    let due = now.to_utc() - PATIENCE;
    let starts = std::iter::successors(calendar.next(&last.with_timezone(&zone)), |start| {
        calendar.next(&start.with_timezone(&zone))
    });
    let count = starts.take_while(|start| *start < due).take(MANY as usize).count();
    u32::try_from(count).unwrap_or(MANY)
}

/// The document of `schedule status --json`; `last_run` as the ledger or state has it.
pub fn document(installed: &[Installed], last_run: Value) -> Value {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let one = |item: &Installed| {
        json!({
            "backend": item.backend.name(),
            "scope": super::scope_word(item.scope),
            "where": item.place,
            "command": item.command,
            "next": item.next.map(time),
            "program": item.program.name(),
            "active": item.active,
            "missed": item.missed,
        })
    };
    json!({
        "schema": "ccretain.schedule-status/1",
        "installed": installed.iter().map(one).collect::<Vec<_>>(),
        "lastRun": last_run,
    })
}
