//! A hook in the client's own settings: enforce when a session ends, in the background.
//!
//! The hook's command only starts the run and ends at once, with nothing of the run attached to
//! the client: no terminal, no pipe, no exit code. So the client is neither slowed nor failed by it.

use serde_json::{Value, json};

use super::files::{Made, missing, read};
use super::found::Found;
use super::{Backend, Job, Report, ScheduleError, Scheduler, Scope, Unit, quote, splice};
use crate::error::At as _;

const BACKEND: Backend = Backend::ClaudeHook;
const MARKER: &str = " # ccretain";

/// Seconds after which the client gives the hook up; it needs a few milliseconds.
const TIMEOUT: u32 = 5;

pub(super) fn ours(command: &str) -> bool {
    command.ends_with(MARKER) && command.contains(" enforce --yes")
}

fn group(job: &Job) -> Result<Value, ScheduleError> {
    if job.scope == Scope::System {
        // A hook runs as the user whose client ends, and only in that user's home.
        return Err(ScheduleError::Unsupported { backend: BACKEND, scope: job.scope });
    }
    let line = job.line()?;
    // The subshell ends at once, so the run is nobody's child; nohup lets it outlive the terminal.
    let command = format!("(nohup {line} </dev/null >/dev/null 2>&1 &){MARKER}");
    Ok(json!({ "hooks": [{ "type": "command", "command": command, "timeout": TIMEOUT }] }))
}

/// The part of `settings.json` that holds the hook.
pub(super) fn render(job: &Job) -> Result<Vec<Unit>, ScheduleError> {
    let settings = json!({ "hooks": { "SessionEnd": [group(job)?] } });
    let content = serde_json::to_string_pretty(&settings)
        .map_err(|error| ScheduleError::Format(BACKEND, Box::new(error)))?;
    Ok(vec![Unit { name: "settings.json".to_owned(), content: content + "\n" }])
}

/// The settings as text; `None` where there is no file.
fn settings(with: &Scheduler<'_>) -> Result<(std::path::PathBuf, Option<String>), ScheduleError> {
    // Dotfile managers put a link here, which has to stay one.
    let path = with.host.resolve(&with.places.client_settings);
    let text = match read(with.host, &path)? {
        None => None,
        Some(content) => Some(String::from_utf8(content).map_err(|_| ScheduleError::Settings {
            path: path.clone(),
            why: splice::SpliceError::NotJson(1, 1),
        })?),
    };
    Ok((path, text))
}

/// Hooks that are switched off would make an installed hook a promise that nobody keeps.
fn hooks_run(with: &Scheduler<'_>, own: &str) -> Result<(), ScheduleError> {
    let managed = with.places.client_managed.join("managed-settings.json");
    let managed_text = read(with.host, &managed)?.unwrap_or_default();
    let on = |text: &[u8], key: &str| {
        serde_json::from_slice::<Value>(text).is_ok_and(|value| value.get(key) == Some(&Value::Bool(true)))
    };
    for (path, text, key) in [
        (&with.places.client_settings, own.as_bytes(), "disableAllHooks"),
        (&managed, managed_text.as_slice(), "disableAllHooks"),
        (&managed, managed_text.as_slice(), "allowManagedHooksOnly"),
    ] {
        if on(text, key) {
            return Err(ScheduleError::HooksOff { path: path.clone(), key });
        }
    }
    Ok(())
}

pub(super) fn install(with: &Scheduler<'_>, job: &Job) -> Result<Report, ScheduleError> {
    let group = group(job)?;
    let (path, old) = settings(with)?;
    let bad = |why| ScheduleError::Settings { path: path.clone(), why };
    let text = old.clone().unwrap_or_else(|| "{}\n".to_owned());
    // Before anything is written: a file with a hook that never runs would look like a schedule.
    hooks_run(with, &text)?;
    let places = vec![crate::escape::text(&path)];
    let same = |hook: &Value| group.pointer("/hooks/0") == Some(hook);
    let installed = splice::installed(&text, &ours).map_err(bad)?;
    if installed.as_ref().is_some_and(same) {
        return Ok(Report { changed: false, places, notes: Vec::new() });
    }
    let made = with.made(BACKEND);
    // An earlier hook goes first, so that there is never more than one and the new text stands where a fresh
    // one would.
    let clean = splice::remove(&text, &ours, made.inserted.as_deref()).map_err(bad)?.unwrap_or(text);
    let insertion = splice::insert(&clean, &group).map_err(bad)?;
    let folder = path.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
    with.remember(
        BACKEND,
        Made {
            // Remembered before anything is made, so that one that dies in between leaves a receipt of too much
            // and not a folder that nobody takes away.
            folders: missing(with.host, [folder.as_path()])?,
            container: old.is_none(),
            inserted: Some(insertion.text.clone()),
        },
    )?;
    // The client writes this file, too; what it wrote in between must not be lost.
    if settings(with)?.1 != old {
        return Err(bad(splice::SpliceError::Changed));
    }
    let written = super::files::make_dirs(with.host, &folder)
        .and_then(|()| with.host.write(&path, insertion.apply(&clean).as_bytes(), 0o600).at("write", &path));
    // Only of a first installation: where a hook was, the receipt still describes it.
    if installed.is_none() && written.is_err() {
        let _ = with.forget(BACKEND);
    }
    written?;
    Ok(Report { changed: true, places, notes: Vec::new() })
}

pub(super) fn remove(with: &Scheduler<'_>) -> Result<Report, ScheduleError> {
    let (path, old) = settings(with)?;
    let made = with.made(BACKEND);
    let mut report = Report::default();
    let removed = splice::remove(old.as_deref().unwrap_or("{}"), &ours, made.inserted.as_deref());
    if let Some(text) = removed.map_err(|why| ScheduleError::Settings { path: path.clone(), why })? {
        // Only what was made for the hook goes: somebody may have written other settings into the file since.
        if made.container && serde_json::from_str(&text).is_ok_and(|value: Value| value == json!({})) {
            with.host.remove(&path).at("remove", &path)?;
        } else {
            with.host.write(&path, text.as_bytes(), 0o600).at("write", &path)?;
        }
        report.changed = true;
        report.places.push(crate::escape::text(&path));
    }
    with.forget(BACKEND)?;
    Ok(report)
}

/// Where the hook lies and its command; `None` where none is installed.
pub(super) fn found(with: &Scheduler<'_>) -> Result<Option<Found>, ScheduleError> {
    if with.scope == Scope::System {
        return Ok(None);
    }
    let (path, text) = settings(with)?;
    // Settings that cannot be read have no hook that runs.
    let hook = text.and_then(|text| splice::installed(&text, &ours).ok().flatten());
    let Some(command) = hook.as_ref().and_then(|hook| hook.get("command")).and_then(Value::as_str) else {
        return Ok(None);
    };
    // Only to find the program, which is the first word that is a path; `env` and its variables stand before
    // it.
    let inner = command.trim_start_matches('(').trim_start_matches("nohup ");
    let mut words = quote::split(inner);
    let program = words.iter().position(|word| word.starts_with('/')).unwrap_or(words.len());
    words.drain(..program);
    Ok(Some(Found {
        place: path,
        words,
        command: command.to_owned(),
        calendar: None,
        next: None,
        active: None,
    }))
}
