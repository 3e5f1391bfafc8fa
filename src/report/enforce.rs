//! The report of `enforce` for people: what is done, what stays, what comes next.

use std::collections::BTreeMap;

use super::Run;
use super::human::{counted, grouped, size};
use super::remarks::{DATES_DIFFER, UNDATED_LINES, UNKNOWN, UNSEALABLE};
use super::when;
use crate::document::{Document, Fact, Hue, Line, Paint};
use crate::escape::text;
use crate::inventory::Oddity;
use crate::plan::{Action, Step};
use crate::policy::Mode;
use crate::run::link::Note;
use crate::run::tally::{Fate, Tally};

/// So many files of other accounts are named.
const FOREIGN_NAMED: usize = 5;

/// How much a report of a run tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// The totals, where a person has just seen the table.
    Totals,
    /// A row a project and action.
    Projects,
    /// A line a session besides.
    Sessions,
    /// A line a file besides.
    Files,
}

impl Detail {
    /// What was asked for with so many `-v`.
    pub fn of(verbose: u8) -> Self {
        match verbose {
            0 => Self::Projects,
            1 => Self::Sessions,
            _ => Self::Files,
        }
    }
}

impl Run<'_> {
    /// The report.
    pub fn text(&self, paint: Paint<'_>, detail: Detail) -> String {
        self.document(paint, detail).print(paint)
    }

    /// What a person is asked about before the first change.
    pub fn preview(&self, paint: Paint<'_>) -> String {
        let mut document = Document::default();
        document.table(self.actions(paint));
        document.facts(self.asides(&self.tally()));
        document.print(paint)
    }

    /// A line a file, what cannot be undone first.
    pub fn list_of_files(&self, paint: Paint<'_>) -> String {
        paint.table(&self.file_rows(), 0)
    }

    /// The question before the first change: what it does, and how much of it.
    pub fn question(&self) -> String {
        let tally = self.tally();
        let deleted = whole(tally.sessions_deleted, tally.deleted, self.bytes_of(Fate::Deleted));
        format!("{}?", question(&tally, &deleted, &self.pruned_words(&tally)))
    }

    fn document(&self, paint: Paint<'_>, detail: Detail) -> Document {
        let tally = self.tally();
        let actions = self.actions(paint);
        let mut document = Document::default();
        for refusal in self.refusals {
            document.text(Line::of("refused: ", Hue::Warn).and(refusal.clone(), Hue::Plain));
        }
        if self.only_audits() {
            document.text("audit mode: the policy only reports, and nothing was changed");
        }
        if actions.rows.is_empty() {
            document.text(self.nothing(&tally));
        } else if detail > Detail::Totals {
            document.table(actions);
        }
        if detail >= Detail::Files {
            document.heading("files");
            document.table(self.file_rows());
        } else if detail >= Detail::Sessions {
            document.heading("sessions");
            document.table(self.session_rows(paint));
        }
        for (store, crossing) in self.inventory.crossings() {
            let root = text(&self.inventory.store(store).store.root);
            document.text(format!("{} followed in {root}: {}", crossing.way.word(), text(&crossing.path)));
        }
        if detail >= Detail::Sessions {
            document.heading("total");
        } else if detail > Detail::Totals && !document.blocks.is_empty() {
            document.text("");
        }
        document.facts([self.totals(&tally, paint), self.asides(&tally)].concat());
        self.foreign_text(&mut document, &tally);
        if let Some(next) = self.next_command(&tally) {
            document.text("");
            document.text(next);
        }
        document
    }

    /// Whether the policy as a whole only reports, and this run was one that could have acted.
    fn only_audits(&self) -> bool {
        self.policy.mode() == Mode::Audit && self.outcomes.is_none()
    }

    /// Why the table is empty: that nothing is due is one reason of several.
    fn nothing(&self, tally: &Tally) -> &'static str {
        let could_not_look = !self.inventory.problems.is_empty() || !self.refused.is_empty();
        // In this order: what was refused or failed explains an empty table better than that nothing was due.
        match () {
            () if !self.refusals.is_empty() => "nothing was changed: see the refusal above",
            () if tally.failed > 0 => "nothing was changed: what is due could not be done",
            () if tally.skipped > 0 => "nothing was changed: what was due has changed or is in use",
            () if self.stopped().is_some() => "nothing was changed before the run was stopped",
            () if could_not_look => "nothing is due in what could be read",
            () => "nothing is due",
        }
    }

    /// What is or was done and what stays, in numbers.
    fn totals(&self, tally: &Tally, paint: Paint<'_>) -> Vec<Fact> {
        let mut facts = amounts(tally, self.outcomes.is_some(), self.pruned_words(tally));
        let readable = self.readable();
        if !readable.is_empty() {
            let value = Line::of(readable.words(), Hue::Plain).and(" of encrypted sessions", Hue::Plain);
            facts.push(Fact::new("readable", value));
        }
        facts.extend(self.coming(paint));
        facts
    }

    /// What happens next, and when.
    fn coming(&self, paint: Paint<'_>) -> Option<Fact> {
        let now = self.plan.now;
        // What is due now is in the table already; this is what comes after the run. Nothing does of what a
        // policy only reports.
        if self.policy.mode() == Mode::Audit {
            return None;
        }
        let coming = || self.plan.sessions.iter().filter_map(|verdict| verdict.coming(now));
        let next: Step = coming().min_by_key(|step| step.at)?;
        let day = when::day(next.at, self.plan.now, paint);
        let is_same =
            |step: &Step| step.action == next.action && when::day(step.at, self.plan.now, paint) == day;
        let count = coming().filter(is_same).count() as u64;
        let what = format!(
            "{} {} on {day}, {}",
            word(next.action),
            counted(count, "session"),
            when::away(next.at, now)
        );
        Some(Fact::new("next", what))
    }

    /// What the report of all accounts tells of this one beside its numbers.
    pub fn notes(&self) -> Vec<Note> {
        let tally = self.tally();
        let mut notes =
            vec![Note::sentence(format!("policy: {}", super::policy::sentence(self.policy).plain()))];
        notes.extend(self.refusals.iter().map(|refusal| Note::sentence(format!("refused: {refusal}"))));
        notes.extend(unusual(&tally).map(|(count, noun, what)| Note::counted(count, noun, what)));
        if tally.unrecognised > 0 {
            notes.push(Note::counted(tally.unrecognised, UNKNOWN.0, UNKNOWN.1));
        }
        notes
    }

    /// What is unusual, each where there is any.
    fn asides(&self, tally: &Tally) -> Vec<Fact> {
        let mut facts: Vec<Fact> = unusual(tally)
            .map(|(count, noun, what)| Fact::new("note", format!("{} {what}", counted(count, noun))))
            .collect();
        if tally.unrecognised > 0 {
            let (files, bytes) = (counted(tally.unrecognised, "file"), size(tally.unrecognised_bytes));
            facts.push(Fact::new("unknown", format!("{files}, {bytes}: never touched (-vv lists them)")));
        }
        facts
    }

    fn foreign_text(&self, document: &mut Document, tally: &Tally) {
        if tally.foreign == 0 {
            return;
        }
        let files = counted(tally.foreign, "file");
        document.text(format!("owned by another account, never touched: {files}"));
        let mut named: Vec<Line> = self.foreign().take(FOREIGN_NAMED).map(Line::from).collect();
        if tally.foreign > FOREIGN_NAMED as u64 {
            let more = grouped(tally.foreign - FOREIGN_NAMED as u64);
            named.push(format!("and {more} more (-vv lists them)").into());
        }
        document.list(named);
    }

    /// The files that belong to another account, e.g. transcripts of sessions that were run with `sudo`.
    fn foreign(&self) -> impl Iterator<Item = String> {
        let all = self.inventory.artifacts.iter().enumerate();
        let seen =
            all.filter(|(at, artifact)| artifact.oddity == Oddity::Foreign && self.fate(*at).is_some());
        seen.map(move |(_, artifact)| format!("  '{}'", text(&self.inventory.full_path(artifact))))
    }

    /// The command that comes next; `None` where there is nothing to type.
    fn next_command(&self, tally: &Tally) -> Option<Line> {
        let is_due = tally.deleted + tally.sealed + tally.pruned > 0;
        let (why, command) = match self.outcomes {
            // No command does what a policy only reports.
            None if self.policy.mode() == Mode::Audit => return None,
            None if is_due => ("nothing was changed; to do it: ", "`ccretain enforce`"),
            Some(_) if is_due && !self.plan.decisions.is_empty() => {
                ("what was done: ", "`ccretain ledger show`")
            }
            _ => return None,
        };
        Some(Line::of(why, Hue::Dim).and(command, Hue::Strong))
    }

    fn bytes_of(&self, fate: Fate) -> u64 {
        // By the size of the files: what the disk gains is a line of its own, and less where blocks are shared.
        let artifacts = self.inventory.artifacts.iter().enumerate();
        let of = artifacts.filter(|(at, artifact)| self.fate(*at) == Some(fate) && !artifact.is_own());
        of.map(|(_, artifact)| artifact.stamp.size).sum()
    }

    /// What is removed from which files: `4 prompts from history.jsonl`.
    pub(super) fn pruned_words(&self, tally: &Tally) -> String {
        let mut files: BTreeMap<String, u64> = BTreeMap::new();
        for (at, artifact) in self.inventory.artifacts.iter().enumerate() {
            if self.fate(at) == Some(Fate::Pruned) {
                let name = text(self.inventory.name(artifact));
                *files.entry(name).or_default() += self.pruned(at).0;
            }
        }
        // Prompts only where all of it is the history: other line files hold entries and settings.
        let are_prompts = files.keys().all(|name| name == "history.jsonl");
        let lines = counted(tally.pruned_lines, if are_prompts { "prompt" } else { "line" });
        match files.len() {
            1 => format!("{lines} from {}", files.into_keys().next().unwrap_or_default()),
            count => format!("{lines} from {}", counted(count as u64, "file")),
        }
    }
}

/// What is or was done and what stays, in numbers; `pruned` is how much is removed from what.
pub(super) fn amounts(tally: &Tally, is_done: bool, pruned: String) -> Vec<Fact> {
    let name = |done: &str, planned: &str| if is_done { done.to_owned() } else { format!("would {planned}") };
    let mut facts = Vec::new();
    if tally.deleted > 0 {
        let value =
            format!("{}, {}", counted(tally.sessions_deleted, "session"), counted(tally.deleted, "file"));
        facts.push(Fact::new(name("deleted", "delete"), value));
    }
    if tally.pruned_lines > 0 {
        facts.push(Fact::new(name("removed", "remove"), pruned));
    }
    if tally.sealed > 0 {
        let value =
            format!("{}, {}", counted(tally.sessions_sealed, "session"), counted(tally.sealed, "file"));
        facts.push(Fact::new(name("encrypted", "encrypt"), value));
    }
    if tally.audit > 0 {
        let value = format!(
            "{}, {} are due by rules in audit mode, which only report",
            counted(tally.audit_sessions, "session"),
            counted(tally.audit, "file")
        );
        facts.push(Fact::new("audit", value));
    }
    if tally.bytes_freed > 0 {
        facts.push(Fact::new(name("freed", "free"), format!("{} of disk", size(tally.bytes_freed))));
    }
    let mut kept = format!("{}, {}", counted(tally.sessions_kept, "session"), counted(tally.kept, "file"));
    for (count, word) in
        [(tally.held, "held"), (tally.live, "active"), (tally.desktop, "written by the desktop application")]
    {
        if count > 0 {
            kept.push_str(&format!(", {} {word}", grouped(count)));
        }
    }
    facts.push(Fact::new("kept", kept));
    facts
}

/// So many sessions with their files: what a question is about.
pub(super) fn whole(sessions: u64, files: u64, bytes: u64) -> String {
    let (files, bytes) = (counted(files, "file"), size(bytes));
    match sessions {
        0 => format!("{files} ({bytes})"),
        sessions => format!("{} ({files}, {bytes})", counted(sessions, "session")),
    }
}

/// What a run does, as a question without its mark.
pub(super) fn question(tally: &Tally, deleted: &str, pruned: &str) -> String {
    let mut parts = Vec::new();
    if tally.deleted > 0 {
        parts.push(format!("permanently delete {deleted}"));
    }
    if tally.sealed > 0 {
        parts.push(format!("encrypt {}", counted(tally.sessions_sealed, "session")));
    }
    if tally.pruned_lines > 0 {
        parts.push(format!("remove {pruned}"));
    }
    let mut sentence = joined(&parts);
    // By its first byte: each part begins with an ASCII word of ours.
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}

/// What is unusual: how much of what.
fn unusual(tally: &Tally) -> impl Iterator<Item = (u64, &'static str, &'static str)> {
    let all = [
        (
            tally.partly_deleted - tally.partly_failed,
            ("session", "deleted except for files that ccretain does not know or cannot reach"),
        ),
        (tally.partly_failed, ("session", "deleted except for files that could not be removed")),
        (tally.unsealable, UNSEALABLE),
        (tally.skipped, ("file", "left alone: changed, gone or opened since the plan was made")),
        (tally.data_remains, ("file", "whose data remain under another name (hard link)")),
        (tally.undated_lines, UNDATED_LINES),
        (tally.dates_differ, DATES_DIFFER),
    ];
    all.into_iter().filter(|(count, _)| *count > 0).map(|(count, (noun, what))| (count, noun, what))
}

/// The word people read for a step.
pub fn word(action: Action) -> &'static str {
    match action {
        Action::Delete => "delete",
        Action::Seal => "encrypt",
    }
}

/// Parts of a sentence with commas and an `and`.
fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first, second] => format!("{first} and {second}"),
        [first @ .., last] => format!("{}, and {last}", first.join(", ")),
    }
}
