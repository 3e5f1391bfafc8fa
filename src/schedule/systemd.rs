//! systemd: a oneshot service and a timer, for a user or for the system.
//!
//! The sandbox differs by scope. A system service gets a mount namespace and few capabilities. A
//! user service gets only what a filter on system calls can do: in a user manager every mount
//! option implies a user namespace (systemd.exec(5), `PrivateUsers=`), in which root's files seem
//! to belong to nobody, so that managed policies could no longer be told from forged ones; and
//! where such namespaces are forbidden the service would not start at all. In neither scope is
//! `/tmp` private or the home hidden: that is where the stores are.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::files::{Made, missing, read};
use super::places::NAME;
use super::when::Calendar;
use super::{Backend, Job, JobError, Report, ScheduleError, Scheduler, Scope, Unit, quote, scope_word};
use crate::error::At as _;

const BACKEND: Backend = Backend::Systemd;

/// The service and the timer.
pub(super) fn render(job: &Job) -> Result<Vec<Unit>, ScheduleError> {
    let unit = |ending: &str, content| Unit { name: format!("{NAME}.{ending}"), content };
    Ok(vec![unit("service", service(job)?), unit("timer", timer(job))])
}

fn service(job: &Job) -> Result<String, ScheduleError> {
    let words = job.command()?;
    if let Some(program) = words.first().filter(|program| program.contains(['"', '\'', '\\'])) {
        return Err(JobError::Quotes(program.clone()).into());
    }
    // With the prefix `:` a `$` in a path is a letter like any other.
    let colon = if words.iter().any(|word| word.contains('$')) { ":" } else { "" };
    let command = format!("{colon}{}", quote::systemd(&words));
    let environment: String = job
        .environment
        .iter()
        .map(|(name, value)| format!("Environment={}\n", quote::systemd(&[format!("{name}={value}")])))
        .collect();
    let (ordering, sandbox) = match job.scope {
        Scope::User => ("", ""),
        Scope::System => ("After=local-fs.target remote-fs.target nss-user-lookup.target\n", SYSTEM_SANDBOX),
    };
    Ok(format!(
        "[Unit]\n\
         Description=Enforce retention on Claude Code session data\n\
         Documentation=man:ccretain(1)\n\
         {ordering}\n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart={command}\n\
         {environment}\
         # Another run holds the lock and does the work.\n\
         SuccessExitStatus=75\n\
         TimeoutStartSec=2h\n\
         # More is taken by no store that was seen; one that would take it must not take the machine with it.\n\
         MemoryMax=1G\n\
         OOMPolicy=continue\n\
         Nice=19\n\
         CPUSchedulingPolicy=batch\n\
         IOSchedulingClass=idle\n\
         UMask=0077\n\
         \n\
         {COMMON_SANDBOX}{sandbox}"
    ))
}

const COMMON_SANDBOX: &str = "\
# The home and /tmp stay visible and writable: the stores are there. No network.
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
";

// Capabilities: entering every home, and becoming each user before touching anything.
const SYSTEM_SANDBOX: &str = "\
CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_SETUID CAP_SETGID CAP_KILL
ProtectSystem=full
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateDevices=yes
PrivateNetwork=yes
IPAddressDeny=any
PrivateTmp=no
ProtectHome=no
";

fn timer(job: &Job) -> String {
    // A tenth of the span, an hour at most: enough to spread a fleet, too little to skip a turn.
    // A fleet that starts at one minute reads one file server at one minute.
    let delay = (job.every.minutes() / 10).min(60);
    format!(
        "[Unit]\n\
         Description=Enforce retention on Claude Code session data ({every})\n\
         Documentation=man:ccretain(1)\n\
         \n\
         [Timer]\n\
         OnCalendar={calendar}\n\
         Persistent=true\n\
         RandomizedDelaySec={delay}min\n\
         FixedRandomDelay=true\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n",
        every = job.every,
        calendar = job.calendar().systemd(),
    )
}

/// The files of the service and the timer.
fn paths(with: &Scheduler<'_>) -> [PathBuf; 2] {
    files_in(with.places.systemd(with.scope))
}

fn files_in(folder: &Path) -> [PathBuf; 2] {
    ["service", "timer"].map(|ending| folder.join(format!("{NAME}.{ending}")))
}

/// The link by which `systemctl enable` makes the timer start.
fn wants(with: &Scheduler<'_>) -> PathBuf {
    with.places.systemd(with.scope).join("timers.target.wants").join(format!("{NAME}.timer"))
}

const TIMER: &str = "ccretain.timer";
const SERVICE: &str = "ccretain.service";

fn flag(scope: Scope) -> &'static str {
    match scope {
        Scope::User => "--user",
        Scope::System => "--system",
    }
}

/// Whether the manager of this scope answers.
pub(super) fn reachable(with: &Scheduler<'_>) -> Result<(), ScheduleError> {
    let output = with.call(BACKEND, "systemctl", &[flag(with.scope), "show", "--property=Version"])?;
    if output.ok() {
        return Ok(());
    }
    Err(ScheduleError::NoManager { scope: with.scope, complaint: output.complaint() })
}

pub(super) fn install(with: &Scheduler<'_>, job: &Job) -> Result<Report, ScheduleError> {
    let units = render(job)?;
    reachable(with)?;
    let scope = flag(with.scope);
    let stamp = with.places.systemd_stamp(with.scope);
    let folders = missing(with.host, [wants(with), stamp].iter().filter_map(|path| path.parent()))?;
    // Before anything is made, so that a removal knows what was not there, also after a failure.
    with.remember(BACKEND, Made { folders, ..Made::default() })?;
    let files: Vec<_> = paths(with).into_iter().zip(units).map(|(path, unit)| (path, unit.content)).collect();
    let undo = |error| {
        let _ = with.forget(BACKEND);
        error
    };
    let before = with.put(&files).map_err(|error| undo(error.into()))?;
    let enable = || {
        with.must(BACKEND, "systemctl", &[scope, "daemon-reload"])?;
        with.must(BACKEND, "systemctl", &[scope, "enable", "--now", TIMER])?;
        if before.replaced() {
            // A running timer keeps its old calendar until it is started anew.
            with.must(BACKEND, "systemctl", &[scope, "restart", TIMER])?;
        }
        Ok(())
    };
    if let Err(error) = enable() {
        if !before.replaced() && before.changed() {
            let _ = with.call(BACKEND, "systemctl", &[scope, "disable", "--now", TIMER]);
            let _ = with.host.remove(&wants(with));
        }
        // Back to the old files, and systemd is told: one that still holds the new ones would run what is on no
        // disk.
        before.restore(with.host);
        let _ = with.call(BACKEND, "systemctl", &[scope, "daemon-reload"]);
        return Err(if before.replaced() { error } else { undo(error) });
    }
    let places = files.iter().map(|(path, _)| crate::escape::text(path)).collect();
    Ok(Report { changed: before.changed(), places, notes: lingering(with).into_iter().collect() })
}

/// What to know about a user manager that ends with the last session.
fn lingering(with: &Scheduler<'_>) -> Option<String> {
    if with.scope == Scope::System {
        return None;
    }
    let user = with.places.user.as_str();
    let arguments = ["show-user", user, "--property=Linger", "--value"];
    let lingers = with.host.run("loginctl", &arguments, b"").is_ok_and(|output| output.text() == "yes");
    (!lingers).then(|| {
        format!(
            "lingering is off for {user}: runs happen only while you are logged in, and a missed one is made up at the next login; 'loginctl enable-linger {user}' makes them independent of logins"
        )
    })
}

pub(super) fn remove(with: &Scheduler<'_>) -> Result<Report, ScheduleError> {
    let files = paths(with);
    let mut report = Report::default();
    let mut ours = false;
    for path in files.iter().chain([&wants(with)]) {
        // What cannot be looked for may be there: it must not be said that nothing was.
        ours |= with.host.exists(path).at("look for", path)?;
    }
    if !ours {
        with.forget(BACKEND)?;
        return Ok(report);
    }
    let scope = flag(with.scope);
    // Without a manager nothing runs that could be stopped; the files go all the same.
    let managed = reachable(with).is_ok();
    if managed {
        // While its files are there: without them systemctl no longer knows what to take out of
        // `timers.target.wants`.
        with.must(BACKEND, "systemctl", &[scope, "disable", "--now", TIMER])?;
    } else {
        report.notes.push(format!(
            "the systemd manager of the {} was not reachable; only files were removed",
            scope_word(with.scope)
        ));
    }
    let stamp = with.places.systemd_stamp(with.scope);
    // The stamp too: a timer installed later would take the last start of this one for its own, and run at
    // once.
    for path in [&wants(with), &stamp].into_iter().chain(&files) {
        if with.host.remove(path).at("remove", path)? {
            report.places.push(crate::escape::text(path));
        }
    }
    with.forget(BACKEND)?;
    if managed {
        with.must(BACKEND, "systemctl", &[scope, "daemon-reload"])?;
        // A failed run would keep the unit's name in the manager's list.
        let _ = with.call(BACKEND, "systemctl", &[scope, "reset-failed", SERVICE]);
    }
    report.changed = true;
    Ok(report)
}

/// Where the timer lies, its command and its calendar; `None` where none is installed.
pub(super) fn found(with: &Scheduler<'_>) -> Result<Option<super::found::Found>, ScheduleError> {
    let own = paths(with);
    let shipped = with.places.systemd_shipped(with.scope).iter().map(|folder| files_in(folder.as_ref()));
    for (at, files) in std::iter::once(own).chain(shipped).enumerate() {
        let [service, timer] = files;
        let Some(timer_text) = read(with.host, &timer)? else { continue };
        let active = is_active(with);
        // What a package ships is installed where somebody has switched it on.
        if at > 0 && active != Some(true) {
            continue;
        }
        let service_text = read(with.host, &service)?.unwrap_or_default();
        return Ok(Some(described(with, timer, &timer_text, &service_text, active)));
    }
    Ok(None)
}

/// What two unit files say.
fn described(
    with: &Scheduler<'_>,
    timer: PathBuf,
    timer_text: &[u8],
    service_text: &[u8],
    active: Option<bool>,
) -> super::found::Found {
    let value = |content: &[u8], key: &str| {
        String::from_utf8_lossy(content)
            .lines()
            .find_map(|line| line.strip_prefix(key).map(|value| value.trim().to_owned()))
    };
    let command = value(service_text, "ExecStart=").unwrap_or_default();
    let words = quote::split(command.trim_start_matches(':'))
        .into_iter()
        .map(|word| word.replace("%%", "%"))
        .collect();
    super::found::Found {
        place: timer,
        words,
        command,
        calendar: value(timer_text, "OnCalendar=").and_then(|text| Calendar::from_systemd(&text)),
        next: next(with),
        active,
    }
}

/// When the manager will start the service next, as it says itself.
fn next(with: &Scheduler<'_>) -> Option<DateTime<Utc>> {
    let arguments =
        [flag(with.scope), "show", TIMER, "--property=NextElapseUSecRealtime", "--value", "--timestamp=unix"];
    let output = with.host.run("systemctl", &arguments, b"").ok().filter(super::Output::ok)?;
    DateTime::from_timestamp(output.text().strip_prefix('@')?.parse().ok()?, 0)
}

fn is_active(with: &Scheduler<'_>) -> Option<bool> {
    let output = with.host.run("systemctl", &[flag(with.scope), "is-active", TIMER], b"").ok()?;
    match output.text().as_str() {
        "active" => Some(true),
        "inactive" | "failed" => Some(false),
        _ => None,
    }
}
