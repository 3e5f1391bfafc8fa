//! launchd: an agent for a user, a daemon for the system.
//!
//! `StartCalendarInterval` runs once after the machine wakes when starts were slept through, but
//! not when it was off (launchd.plist(5)); `RunAtLoad` makes up for that at the next login or boot.

use std::io::Cursor;
use std::time::Duration;

use plist::{Dictionary, Value};

use super::files::{Made, missing, read};
use super::places::LABEL;
use super::when::Calendar;
use super::{Backend, Job, Report, ScheduleError, Scheduler, Scope, Unit, quote};
use crate::error::At as _;

const BACKEND: Backend = Backend::Launchd;

/// How often launchd is asked again, and how long between two times: a job that runs is ended before it is unloaded, and
/// until then `bootstrap` fails with error 5, "Input/output error".
const TRIES: u32 = 40;
const BETWEEN: Duration = Duration::from_millis(500);

/// The job file.
pub(super) fn render(job: &Job) -> Result<Vec<Unit>, ScheduleError> {
    let mut dict = Dictionary::new();
    let mut set = |key: &str, value: Value| drop(dict.insert(key.to_owned(), value));
    let words = job.command()?;
    set("Label", LABEL.into());
    set("ProgramArguments", Value::Array(words.into_iter().map(Value::from).collect()));
    if !job.environment.is_empty() {
        let variables: Dictionary =
            job.environment.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        set("EnvironmentVariables", Value::Dictionary(variables));
    }
    // launchd makes up one start that the machine slept through, and none that it was off for; a run at each
    // login is what is left.
    set("RunAtLoad", true.into());
    let starts = job.calendar().launchd().into_iter().map(|(weekday, hour, minute)| {
        let parts = [("Weekday", weekday), ("Hour", hour), ("Minute", Some(minute))];
        let parts =
            parts.into_iter().filter_map(|(key, number)| Some((key.to_owned(), Value::from(number?))));
        Value::Dictionary(parts.collect())
    });
    set("StartCalendarInterval", Value::Array(starts.collect()));
    set("ProcessType", "Background".into());
    // A run is never worth a wait of the person at the machine.
    set("LowPriorityIO", true.into());
    set("Nice", 19.into());
    // launchd makes the log, which names sessions.
    set("Umask", 0o077.into());
    if let Some(log) = &job.log {
        let log = super::job::written(log)?;
        set("StandardOutPath", log.as_str().into());
        set("StandardErrorPath", log.as_str().into());
    }
    let mut content = Vec::new();
    Value::Dictionary(dict)
        .to_writer_xml(&mut content)
        .map_err(|error| ScheduleError::Format(BACKEND, Box::new(error)))?;
    content.push(b'\n');
    let content =
        String::from_utf8(content).map_err(|error| ScheduleError::Format(BACKEND, Box::new(error)))?;
    Ok(vec![Unit { name: format!("{LABEL}.plist"), content }])
}

fn domain(with: &Scheduler<'_>) -> String {
    match with.scope {
        Scope::User => format!("gui/{}", with.places.uid),
        Scope::System => "system".to_owned(),
    }
}

fn loaded(with: &Scheduler<'_>, target: &str) -> Result<bool, ScheduleError> {
    Ok(with.call(BACKEND, "launchctl", &["print", target])?.ok())
}

/// Unloads the job and waits until launchd has let go of it.
fn unload(with: &Scheduler<'_>, target: &str) -> Result<(), ScheduleError> {
    // Its answer counts only if the job is still there at the end: 36 means that it is being unloaded.
    let asked = with.must(BACKEND, "launchctl", &["bootout", target]);
    for _ in 0..TRIES {
        if !loaded(with, target)? {
            return Ok(());
        }
        with.host.pause(BETWEEN);
    }
    asked.map(drop)
}

/// Loads the job, again and again while launchd has not let go of the one before.
fn load(with: &Scheduler<'_>, domain: &str, path: &str) -> Result<(), ScheduleError> {
    let target = format!("{domain}/{LABEL}");
    // A job that somebody disabled once stays disabled by its label, and bootstrap fails.
    with.must(BACKEND, "launchctl", &["enable", &target])?;
    let mut last = with.must(BACKEND, "launchctl", &["bootstrap", domain, path]);
    for _ in 1..TRIES {
        // One that answered with an error may be loaded all the same.
        if last.is_ok() || loaded(with, &target)? {
            return Ok(());
        }
        with.host.pause(BETWEEN);
        last = with.must(BACKEND, "launchctl", &["bootstrap", domain, path]);
    }
    last.map(drop)
}

pub(super) fn install(with: &Scheduler<'_>, job: &Job) -> Result<Report, ScheduleError> {
    let mut job = job.clone();
    let log = job.log.get_or_insert_with(|| with.places.launchd_log(with.scope)).clone();
    let units = render(&job)?;
    let domain = domain(with);
    let target = format!("{domain}/{LABEL}");
    let was_loaded = loaded(with, &target)?;
    let path = with.places.launchd(with.scope);
    let log_folder = log.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
    let folders = missing(with.host, path.parent().into_iter().chain([log_folder.as_path()]))?;
    with.remember(BACKEND, Made { folders, ..Made::default() })?;
    let files: Vec<_> = units.into_iter().map(|unit| (path.clone(), unit.content)).collect();
    let placed = super::files::make_dirs(with.host, &log_folder).and_then(|()| with.put(&files));
    let before = placed.inspect_err(|_| drop(with.forget(BACKEND)))?;
    let text = crate::escape::text(&path);
    let places = vec![text];
    // Loading it anew would start a run at once, for nothing.
    if was_loaded && !before.changed() {
        return Ok(Report { changed: false, places, notes: Vec::new() });
    }
    let path_text = super::job::written(&path)?;
    let unloaded = if was_loaded { unload(with, &target) } else { Ok(()) };
    if let Err(error) = unloaded.and_then(|()| load(with, &domain, &path_text)) {
        before.restore(with.host);
        if before.replaced() {
            // The job that was there is not left unloaded.
            let _ = load(with, &domain, &path_text);
        } else {
            let _ = with.forget(BACKEND);
        }
        return Err(error);
    }
    Ok(Report { changed: true, places, notes: Vec::new() })
}

pub(super) fn remove(with: &Scheduler<'_>) -> Result<Report, ScheduleError> {
    let path = with.places.launchd(with.scope);
    let mut report = Report::default();
    if with.host.exists(&path).at("look for", &path)? {
        let target = format!("{}/{LABEL}", domain(with));
        // Where launchctl does not answer, the file goes all the same: without it nothing is started at the
        // next login.
        if loaded(with, &target).unwrap_or(false) {
            unload(with, &target)?;
        }
        with.host.remove(&path).at("remove", &path)?;
        let log = with.places.launchd_log(with.scope);
        with.host.remove(&log).at("remove", &log)?;
        report.changed = true;
        report.places.push(crate::escape::text(&path));
    }
    with.forget(BACKEND)?;
    Ok(report)
}

/// Where the job lies, its command and its calendar; `None` where none is installed.
pub(super) fn found(with: &Scheduler<'_>) -> Result<Option<super::found::Found>, ScheduleError> {
    let path = with.places.launchd(with.scope);
    let Some(content) = read(with.host, &path)? else { return Ok(None) };
    let dict =
        Value::from_reader(Cursor::new(content)).ok().and_then(Value::into_dictionary).unwrap_or_default();
    let words: Vec<String> = dict
        .get("ProgramArguments")
        .and_then(Value::as_array)
        .map(|words| words.iter().filter_map(Value::as_string).map(str::to_owned).collect())
        .unwrap_or_default();
    let number = |dict: &Dictionary, key: &str| match dict.get(key) {
        None => Ok(None),
        Some(value) => value.as_unsigned_integer().and_then(|n| u32::try_from(n).ok()).map(Some).ok_or(()),
    };
    let entry = |value: &Value| {
        let dict = value.as_dictionary()?;
        // Somebody else's entry with days of the month is no calendar of ours, and no next start is guessed
        // from it.
        let foreign = dict.keys().any(|key| !["Weekday", "Hour", "Minute"].contains(&key.as_str()));
        let [weekday, hour, minute] = ["Weekday", "Hour", "Minute"].map(|key| number(dict, key));
        (!foreign).then_some((weekday.ok()?, hour.ok()?, minute.ok()??))
    };
    let entries = match dict.get("StartCalendarInterval") {
        Some(Value::Array(entries)) => entries.iter().map(entry).collect::<Option<Vec<_>>>(),
        Some(single) => entry(single).map(|one| vec![one]),
        None => None,
    };
    Ok(Some(super::found::Found {
        place: path,
        command: quote::shell(&words),
        words,
        calendar: entries.and_then(|entries| Calendar::from_launchd(&entries)),
        next: None,
        active: loaded(with, &format!("{}/{LABEL}", domain(with))).ok(),
    }))
}
