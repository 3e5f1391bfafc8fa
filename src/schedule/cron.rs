//! cron: one line with a marker in the user's table, or a file of its own in `/etc/cron.d`.
//!
//! The line needs no anacron: a run decides by dates, so the next one makes up for any missed.

use std::path::Path;

use super::files::{Made, read};
use super::found::Found;
use super::places::NAME;
use super::when::Calendar;
use super::{Backend, Job, JobError, Report, ScheduleError, Scheduler, Scope, Unit, quote};
use crate::error::At as _;

const BACKEND: Backend = Backend::Cron;

/// What ends our line; the shell that cron starts takes it for a comment.
const MARKER: &str = " # ccretain";
/// What our line holds besides, so that somebody's own line with such a comment stays theirs.
const COMMAND: &str = " enforce --yes";

/// The line, or the file, of the cron table.
pub(super) fn render(job: &Job) -> Result<Vec<Unit>, ScheduleError> {
    let fields = job.calendar().cron();
    let command = job.line()?;
    // crons disagree on what a doubled backslash, or one before a percent sign, stands for.
    if command.contains("\\\\") || command.contains("\\%") {
        return Err(JobError::Unwritable(command).into());
    }
    // Unescaped, a percent sign ends the command and starts its input (crontab(5)). What a run
    // prints is dropped, or cron would mail it every time; complaints go to stderr and are mailed.
    let command = format!("{command} >/dev/null{MARKER}").replace('%', "\\%");
    Ok(vec![match job.scope {
        Scope::User => Unit { name: "crontab".to_owned(), content: format!("{fields} {command}\n") },
        Scope::System => Unit { name: NAME.to_owned(), content: format!("{fields} root {command}\n") },
    }])
}

/// Whether a line of a table is the one an installation writes.
pub(super) fn ours(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    !line.starts_with(b"#")
        && line.ends_with(MARKER.as_bytes())
        && memchr::memmem::find(line, COMMAND.as_bytes()).is_some()
}

/// The lines of a table, each with its line break as far as it has one.
fn lines(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    table.split_inclusive(|byte| *byte == b'\n')
}

/// A table without our line; every other byte stays.
pub(super) fn without(table: &[u8]) -> Vec<u8> {
    lines(table).filter(|line| !ours(line)).collect::<Vec<_>>().concat()
}

/// A table with exactly one line of ours.
pub(super) fn with_line(table: &[u8], line: &str) -> Vec<u8> {
    // It takes the place of an earlier one; else it is the last, or the first where the last line is not ended:
    // so taking it away gives the same bytes again.
    let mut seen = false;
    let mut result: Vec<u8> = Vec::with_capacity(table.len() + line.len());
    for old in lines(table) {
        if !ours(old) {
            result.extend(old);
        } else if !seen {
            seen = true;
            result.extend(line.as_bytes());
        }
    }
    match result.last() {
        _ if seen => result,
        None | Some(b'\n') => [result.as_slice(), line.as_bytes()].concat(),
        Some(_) => [line.as_bytes(), result.as_slice()].concat(),
    }
}

/// The user's table; `None` where there is none.
fn table(with: &Scheduler<'_>) -> Result<Option<Vec<u8>>, ScheduleError> {
    let output = with.call(BACKEND, "crontab", &["-l"])?;
    if output.ok() {
        return Ok(Some(output.stdout));
    }
    // Debian, cronie and macOS say "no crontab for NAME", busybox "can't open 'NAME'".
    // No exit code tells it: an empty table and one that cannot be read both fail with 1.
    let complaint = String::from_utf8_lossy(&output.stderr).to_lowercase();
    if complaint.contains("no crontab for") || complaint.contains("can't open") {
        return Ok(None);
    }
    Err(ScheduleError::Refused { command: "crontab -l".to_owned(), complaint: output.complaint() })
}

/// Refuses a table that cannot be written back byte for byte, and says what to do by hand.
fn must_be_exact(table: &[u8], by_hand: impl FnOnce() -> String) -> Result<(), ScheduleError> {
    // Debian's program prints a carriage return, and nothing else, as these two characters. One that prints it as it is
    // does so everywhere.
    if table.contains(&b'\r') {
        return Ok(());
    }
    let is_unclear = |line: &[u8]| !ours(line) && memchr::memmem::find(line, b"\\r").is_some();
    match lines(table).position(is_unclear) {
        Some(at) => Err(ScheduleError::Ambiguous { line: at + 1, by_hand: by_hand() }),
        None => Ok(()),
    }
}

fn write_table(with: &Scheduler<'_>, table: &[u8]) -> Result<(), ScheduleError> {
    let output = with.host.run("crontab", &["-"], table).map_err(|source| ScheduleError::NoProgram {
        backend: BACKEND,
        program: "crontab",
        source,
    })?;
    let refused = |complaint| Err(ScheduleError::Refused { command: "crontab -".to_owned(), complaint });
    if !output.ok() {
        return refused(output.complaint());
    }
    // One that could not read what it was given may say that all is well.
    let taken = self::table(with)?.unwrap_or_default();
    if !lines(&taken).filter(|line| ours(line)).eq(lines(table).filter(|line| ours(line))) {
        return refused("`crontab -l` does not show what it was given".to_owned());
    }
    Ok(())
}

/// Whether a cron daemon runs, by the names the known ones have.
pub(super) fn daemon(with: &Scheduler<'_>) -> bool {
    let names = ["cron", "crond", "fcron", "dcron", "bcron-sched"];
    with.host.programs().iter().any(|program| names.contains(&program.as_str()))
}

pub(super) fn install(with: &Scheduler<'_>, job: &Job) -> Result<Report, ScheduleError> {
    let units = render(job)?;
    let line = units.into_iter().map(|unit| unit.content).collect::<String>();
    let mut report = Report::default();
    if !daemon(with) {
        report
            .notes
            .push("no cron daemon was seen running: until one is started, nothing will run".to_owned());
    }
    match with.scope {
        Scope::System => {
            let path = with.places.cron_d();
            let folder = path.parent().unwrap_or(Path::new("/"));
            if !with.host.exists(folder).at("look for", folder)? {
                let source = std::io::Error::from(std::io::ErrorKind::NotFound);
                return Err(ScheduleError::NoProgram { backend: BACKEND, program: "/etc/cron.d", source });
            }
            report.places.push(crate::escape::text(&path));
            report.changed = with.put(&[(path, line)])?.changed();
        }
        Scope::User => {
            let old = table(with)?;
            let new = with_line(old.as_deref().unwrap_or_default(), &line);
            report.places.push(place(with));
            if old.as_deref() != Some(new.as_slice()) {
                must_be_exact(old.as_deref().unwrap_or_default(), || {
                    let instead = if old.as_deref().is_some_and(|old| lines(old).any(ours)) {
                        "put this line in the place of the one that ends with '# ccretain'"
                    } else {
                        "add this line"
                    };
                    format!("{instead}, with `crontab -e`: {}", crate::escape::text(line.trim_end()))
                })?;
                // So that a removal knows that the table, empty then, was made for this and goes, too.
                if old.is_none() {
                    with.remember(BACKEND, Made { container: true, ..Made::default() })?;
                }
                let written = write_table(with, &new);
                if written.is_err() && old.is_none() {
                    let _ = with.forget(BACKEND);
                }
                written?;
                report.changed = true;
            }
        }
    }
    Ok(report)
}

pub(super) fn remove(with: &Scheduler<'_>) -> Result<Report, ScheduleError> {
    let mut report = Report::default();
    match with.scope {
        Scope::System => {
            let path = with.places.cron_d();
            report.changed = with.host.remove(&path).at("remove", &path)?;
            report.places.extend(report.changed.then(|| crate::escape::text(&path)));
        }
        Scope::User => {
            let old = match table(with) {
                // Where there is no crontab program there is no line either.
                Err(ScheduleError::NoProgram { .. }) => None,
                table => table?,
            };
            let Some(old) = old else {
                with.forget(BACKEND)?;
                return Ok(report);
            };
            let new = without(&old);
            if new != old {
                must_be_exact(&old, || {
                    "delete the line that ends with '# ccretain', with `crontab -e`".to_owned()
                })?;
                if new.is_empty() && with.made(BACKEND).container {
                    // An empty table would be left behind by writing one; `-r` takes away only what this
                    // program made.
                    with.must(BACKEND, "crontab", &["-r"])?;
                } else {
                    write_table(with, &new)?;
                }
                report.changed = true;
                report.places.push(place(with));
            }
        }
    }
    with.forget(BACKEND)?;
    Ok(report)
}

fn place(with: &Scheduler<'_>) -> String {
    format!("crontab of {}", with.places.user)
}

/// Where the line lies, its command and its calendar; `None` where none is installed.
pub(super) fn found(with: &Scheduler<'_>) -> Result<Option<Found>, ScheduleError> {
    let (content, place) = match with.scope {
        Scope::System => (read(with.host, &with.places.cron_d())?, with.places.cron_d()),
        Scope::User => match table(with) {
            // Where there is no crontab program there is no line either.
            Err(ScheduleError::NoProgram { .. }) => return Ok(None),
            content => (content?, place(with).into()),
        },
    };
    let content = content.unwrap_or_default();
    let Some(line) = lines(&content).find(|line| ours(line)) else { return Ok(None) };
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let fields: Vec<&str> = words.by_ref().take(5).collect();
    let skipped = fields.len() + usize::from(with.scope == Scope::System);
    let mut command = line.trim();
    for _ in 0..skipped {
        command = command.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start());
    }
    let command = command.trim_end_matches(MARKER).trim_end_matches(" >/dev/null").replace("\\%", "%");
    // The variables in front of the program are not the program.
    let mut words = quote::split(&command);
    if words.first().is_some_and(|word| word == "env") {
        let program =
            words.iter().skip(1).position(|word| word.starts_with('/')).map_or(words.len(), |at| at + 1);
        words.drain(..program);
    }
    Ok(Some(Found {
        place,
        words,
        command,
        calendar: Calendar::from_cron(&fields),
        next: None,
        active: (!with.host.programs().is_empty()).then(|| daemon(with)),
    }))
}
