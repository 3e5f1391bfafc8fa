//! Reports for people: aligned tables, totals, restrained colour.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset, NaiveTime, Utc};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::BinaryBytes;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::Run;
use crate::escape::text;
use crate::inventory::{Artifact, Belongs, Oddity, StoreIndex};
use crate::plan::Decision;
use crate::policy::RuleRef;
use crate::run::tally::{Fate, Tally};

/// A count with its noun.
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// A number with thin groups of three digits: `12,345`.
#[must_use]
pub fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// Bytes as people read them: `1.2 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} B") } else { BinaryBytes(bytes).to_string() }
}

/// A day as people read it, in UTC.
#[must_use]
pub fn day(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}

/// A moment with its zone, as people read it: midnight is the end of a day.
#[must_use]
pub fn in_zone(at: DateTime<FixedOffset>) -> String {
    let zone = match at.offset().local_minus_utc() {
        0 => "UTC".to_owned(),
        _ => format!("UTC{}", at.format("%:z")),
    };
    let day_before = at.date_naive().pred_opt().filter(|_| at.time() == NaiveTime::MIN);
    match day_before {
        Some(day) => format!("the end of {day} ({zone})"),
        None => format!("{} ({zone})", at.format("%Y-%m-%d %H:%M")),
    }
}

/// A table without lines, its numbers to the right.
#[must_use]
pub fn table(header: &[&str], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().map(|cell| cell.to_uppercase()));
    for at in numbers {
        if let Some(column) = table.column_mut(*at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The lines of a table, without the blanks at their ends.
#[must_use]
pub fn lines(table: &Table) -> String {
    table.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

/// Breaks a text at blanks; a word that is longer than a line has one of its own.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// A line that is broken at blanks where it is longer than `width`; the lines after the first begin with `indent`.
/// Blanks at its beginning stay.
#[must_use]
pub fn wrapped(line: &str, indent: &str, width: usize) -> String {
    let text = line.trim_start();
    let begin = line.get(..line.len() - text.len()).unwrap_or_default();
    // All lines are broken as wide as the one that has the least room.
    let room = width.saturating_sub(begin.len().max(indent.len())).max(1);
    let mut out = String::new();
    for (at, line) in wrap(text, room).iter().enumerate() {
        let _ = writeln!(out, "{}{line}", if at == 0 { begin } else { indent });
    }
    out
}

/// So many files of other accounts are named.
const FOREIGN_NAMED: usize = 5;
/// So many artifacts are worth a thread.
const ARTIFACTS_AT_ONCE: usize = 4096;

/// What goes of one project of a store.
#[derive(Default)]
struct Group {
    sessions: u64,
    files: u64,
    lines: u64,
    bytes: u64,
    oldest: Option<DateTime<Utc>>,
    rules: Vec<RuleRef>,
}

impl Group {
    /// Counts an artifact.
    fn take(&mut self, run: &Run<'_>, at: usize, artifact: &Artifact) {
        let decision = run.plan.decisions[at];
        let (lines, bytes) = match decision {
            Decision::Prune(_) => run.pruned(at),
            _ => (0, artifact.stamp.size),
        };
        self.files += 1;
        self.lines += lines;
        self.bytes += bytes;
        let (date, is_first) = match artifact.belongs {
            Belongs::Session(index) => {
                let verdict = &run.plan.sessions[index.at()];
                let session = run.inventory.session(index);
                let first = run.inventory.files(session).first();
                let is_first = first.is_some_and(|first| first.at() == at);
                (verdict.date, is_first && run.is_done(session, verdict))
            }
            Belongs::Loose => (run.inventory.dated(artifact), false),
        };
        self.sessions += u64::from(is_first);
        self.oldest = [self.oldest, date].into_iter().flatten().min();
        self.name(decision.due().map(|due| due.rule()));
    }

    fn name(&mut self, rules: impl IntoIterator<Item = RuleRef>) {
        for rule in rules {
            if !self.rules.contains(&rule) {
                self.rules.push(rule);
            }
        }
    }

    /// Takes in what was counted elsewhere.
    fn join(&mut self, other: Self) {
        let Self { sessions, files, lines, bytes, oldest, rules } = other;
        self.sessions += sessions;
        self.files += files;
        self.lines += lines;
        self.bytes += bytes;
        self.oldest = [self.oldest, oldest].into_iter().flatten().min();
        self.name(rules);
    }
}

impl Run<'_> {
    /// The report of `enforce` for people.
    #[must_use]
    pub fn text(&self) -> String {
        let (tally, groups) = rayon::join(|| self.tally(), || self.groups());
        let mut text = String::new();
        for refusal in self.refusals {
            let _ = writeln!(text, "refused: {refusal}");
        }
        if groups.is_empty() {
            let word = match self.outcomes {
                Some(_) if !self.refusals.is_empty() => "nothing was changed",
                Some(_) => "nothing to do",
                None => "nothing is due",
            };
            let _ = writeln!(text, "{word}");
        } else {
            let mut table = table(
                &["store", "project", "sessions", "files", "lines", "size", "oldest", "rule"],
                &[2, 3, 4, 5],
            );
            for ((store, project), group) in &groups {
                table.add_row([
                    crate::escape::text(&self.inventory.store(*store).store.root),
                    project.map_or_else(|| "-".to_owned(), crate::escape::text),
                    number(group.sessions),
                    number(group.files),
                    number(group.lines),
                    size(group.bytes),
                    group.oldest.map_or_else(|| "-".to_owned(), day),
                    self.rule_names(&group.rules).join(", "),
                ]);
            }
            text.push_str(&lines(&table));
            text.push('\n');
        }
        for (store, crossing) in self.inventory.crossings() {
            let root = crate::escape::text(&self.inventory.store(store).store.root);
            let (way, path) = (crossing.way.word(), crate::escape::text(&crossing.path));
            let _ = writeln!(text, "{way} followed in {root}: {path}");
        }
        text.push_str(&self.totals(&tally));
        text
    }

    /// What goes, by store and project.
    fn groups(&self) -> BTreeMap<(StoreIndex, Option<&str>), Group> {
        let artifacts = self.inventory.artifacts.par_iter().enumerate().with_min_len(ARTIFACTS_AT_ONCE);
        let some = artifacts.fold(FxHashMap::default, |mut groups: FxHashMap<_, Group>, (at, artifact)| {
            if let Some(Fate::Deleted | Fate::Sealed | Fate::Pruned | Fate::Audited) = self.fate(at)
                && !artifact.is_own()
            {
                groups.entry(self.group_of(artifact)).or_default().take(self, at, artifact);
            }
            groups
        });
        let groups = some.reduce(FxHashMap::default, |mut groups, others| {
            for (key, group) in others {
                groups.entry(key).or_default().join(group);
            }
            groups
        });
        groups.into_iter().collect()
    }

    fn group_of(&self, artifact: &Artifact) -> (StoreIndex, Option<&str>) {
        let session = self.inventory.session_of(artifact);
        let project =
            session.map_or(self.inventory.project_named(artifact), |session| session.project.as_deref());
        (self.inventory.store_of(artifact), project)
    }

    /// The names of rules, each once: layers may have rules of one name.
    fn rule_names(&self, rules: &[RuleRef]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in rules.iter().map(|rule| self.policy.rule_name(*rule)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    fn totals(&self, tally: &Tally) -> String {
        let mut text = String::new();
        let would = if self.outcomes.is_some() { "" } else { "would be " };
        let done = [
            (tally.sessions_deleted, tally.deleted, "deleted"),
            (tally.sessions_sealed, tally.sealed, "sealed"),
        ];
        for (sessions, files, word) in done.into_iter().filter(|(_, files, _)| *files > 0) {
            let _ =
                writeln!(text, "{would}{word}: {}, {}", counted(sessions, "session"), counted(files, "file"));
        }
        if tally.pruned_lines > 0 {
            let (lines, files) = (counted(tally.pruned_lines, "line"), counted(tally.pruned, "file"));
            let _ = writeln!(text, "{would}pruned: {lines} of {files}");
        }
        if tally.audit > 0 {
            let (sessions, files) = (counted(tally.audit_sessions, "session"), counted(tally.audit, "file"));
            let _ = writeln!(text, "due by rules in audit mode, which only report: {sessions}, {files}");
        }
        if tally.bytes_freed > 0 {
            let _ = writeln!(text, "{would}freed: {}", size(tally.bytes_freed));
        }
        let mut kept =
            format!("kept: {}, {}", counted(tally.sessions_kept, "session"), counted(tally.kept, "file"));
        for (count, word) in [
            (tally.held, "held"),
            (tally.live, "live"),
            (tally.desktop, "written by the desktop application"),
        ] {
            if count > 0 {
                let _ = write!(kept, ", {count} {word}");
            }
        }
        let _ = writeln!(text, "{kept}");
        let asides = [
            (
                tally.partly_deleted - tally.partly_failed,
                "session",
                "deleted except for files that ccretain does not know or cannot reach",
            ),
            (tally.partly_failed, "session", "deleted except for files that could not be removed"),
            (
                tally.unsealable,
                "session",
                "not sealed: a file has a hard link elsewhere, belongs to another account or is out of reach",
            ),
            (tally.skipped, "file", "left alone: changed, gone or opened since the plan was made"),
            (tally.data_remains, "file", "whose data remain under another name (hard link)"),
            (tally.undated_lines, "line", "without a date, which stay"),
            (tally.dates_differ, "session", "of which records and file times differ by more than a day"),
        ];
        for (count, noun, what) in asides {
            if count > 0 {
                let _ = writeln!(text, "{} {what}", counted(count, noun));
            }
        }
        if tally.unrecognised > 0 {
            let (files, bytes) = (counted(tally.unrecognised, "file"), size(tally.unrecognised_bytes));
            let _ = writeln!(text, "unrecognised, never touched: {files}, {bytes} (-v lists them)");
        }
        if tally.foreign > 0 {
            let _ =
                writeln!(text, "owned by another account, never touched: {}", counted(tally.foreign, "file"));
            for path in self.foreign().take(FOREIGN_NAMED) {
                let _ = writeln!(text, "  {path}");
            }
            if tally.foreign > FOREIGN_NAMED as u64 {
                let _ = writeln!(text, "  and {} more (-v lists them)", tally.foreign - FOREIGN_NAMED as u64);
            }
        }
        text.push_str(&self.next());
        text
    }

    /// The files that belong to another account, e.g. transcripts of sessions that were run with `sudo`.
    fn foreign(&self) -> impl Iterator<Item = String> {
        let all = self.inventory.artifacts.iter().enumerate();
        let seen =
            all.filter(|(at, artifact)| artifact.oddity == Oddity::Foreign && self.fate(*at).is_some());
        seen.map(move |(_, artifact)| format!("'{}'", text(&self.inventory.full_path(artifact))))
    }

    /// What falls due for deletion next.
    fn next(&self) -> String {
        let coming = || {
            let dues = self.plan.sessions.iter().filter_map(|verdict| verdict.deletion);
            dues.map(|(due, _)| due).filter(|due| *due > self.plan.now)
        };
        coming().min().map_or_else(String::new, |next| {
            let count = coming().filter(|due| due.date_naive() == next.date_naive()).count() as u64;
            format!("next due: {} ({})\n", day(next), counted(count, "session"))
        })
    }

    /// Everything that stays, each with its reason, for `-v`.
    #[must_use]
    pub fn kept(&self) -> String {
        let mut table = table(&["kept because", "path"], &[]);
        let mut rows: Vec<(&str, String)> = Vec::new();
        for (at, artifact) in self.inventory.artifacts.iter().enumerate() {
            if let (Some(Fate::Kept), Decision::Keep(keep)) = (self.fate(at), self.plan.decisions[at]) {
                rows.push((keep.reason(), text(&self.inventory.full_path(artifact))));
            }
        }
        rows.sort();
        for (reason, path) in rows {
            table.add_row([reason.to_owned(), path]);
        }
        lines(&table)
    }
}

fn number(count: u64) -> String {
    if count == 0 { "-".to_owned() } else { grouped(count) }
}
