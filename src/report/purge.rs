//! The report of a purge: what goes, from where, and what stays; then what it came to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::Run;
use super::enforce::{question, whole};
use super::human::{counted, grouped, size, table};
use super::json::{Item, Policy, Store, time};
use crate::document::{Document as Docs, Hue, Line, Paint};
use crate::escape::text;
use crate::inventory::{SessionIndex, StoreIndex};
use crate::plan::Decision;
use crate::plan::Keep;
use crate::plan::purge::{Obstacle, Purging, Stop, Wanted};
use crate::purge::aftermath::Aftermath;
use crate::purge::certificate::{Counts, Exception, Remaining, RemainingKind, Verdict, Verification};
use crate::purge::exceptions::doubts;
use crate::purge::unknown::gathered;
use crate::run::link::{Note, Totals};
use crate::run::tally::{Fate, Tally};

/// How many projects and how many doubts are named before the rest is counted.
const MOST_NAMED: usize = 12;

/// Everything a report of a purge is made from.
#[derive(Debug)]
pub struct Purge<'a> {
    /// The run, with the plan of the purge.
    pub run: Run<'a>,
    /// What was decided.
    pub purging: &'a Purging,
    pub wanted: &'a Wanted,
    /// The classes that go too, as they were typed.
    pub with: Vec<String>,
    /// The policy in force, whose holds stand in the way.
    pub policy: &'a crate::policy::Policy,
    /// What it came to; `None` before it was done.
    pub aftermath: Option<&'a Aftermath>,
    /// What all of it comes to.
    pub verdict: Option<Verdict>,
    /// The files of the certificate.
    pub certificate: &'a [PathBuf],
    /// Whether it is a dry run.
    pub dry_run: bool,
    /// Whether whoever reads this was shown all of it when they were asked.
    pub was_shown: bool,
}

/// The report of `purge` (`ccretain.purge/1`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    schema: &'static str,
    run: String,
    now: String,
    dry_run: bool,
    partial: bool,
    policy: Policy,
    stores: Vec<Store>,
    summary: Tally,
    items: Vec<Item>,
    refusals: Vec<String>,
    broken: Vec<String>,
    exceptions: Vec<Exception>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<Verification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<Vec<Remaining>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    certificate: Vec<String>,
    errors: Vec<super::json::Error>,
}

#[derive(Default)]
struct Group {
    sessions: BTreeSet<SessionIndex>,
    projects: BTreeSet<String>,
    files: u64,
    lines: u64,
    bytes: u64,
}

/// What stands in the way, in words.
pub fn obstacle(stop: &Stop, policy: &crate::policy::Policy) -> String {
    let covers = format!("{} and {}", counted(stop.sessions, "session"), counted(stop.files, "file"));
    match stop.by {
        Obstacle::Hold(hold) => policy.hold(hold).map_or_else(String::new, |hold| {
            let (name, reason, layer) = (text(&hold.name), text(&hold.reason), hold.source.layer);
            format!("hold '{name}' ({layer}: {reason}) covers {covers} of what would go")
        }),
        Obstacle::Floor(mandate, until) => {
            let layer = policy
                .mandates
                .get(usize::from(mandate))
                .and_then(|mandate| mandate.keep_at_least.as_ref())
                .map_or_else(String::new, |floor| {
                    format!("{} of the {} layer", floor.value, floor.source.layer)
                });
            let until = until.map_or_else(String::new, |until| format!(", the last until {}", time(until)));
            format!("keepAtLeast {layer} covers {covers} of what would go{until}")
        }
    }
}

/// All groups together.
fn whole_of(groups: &BTreeMap<StoreIndex, Group>) -> Group {
    let mut all = Group::default();
    for group in groups.values() {
        all.sessions.extend(&group.sessions);
        (all.files, all.lines, all.bytes) =
            (all.files + group.files, all.lines + group.lines, all.bytes + group.bytes);
    }
    all
}

impl Purge<'_> {
    /// The whole report; kept items are listed only when asked for.
    pub fn json(&self, with_kept: bool) -> Document {
        let run = &self.run;
        let doubts = || doubts(run.inventory, &self.purging.doubts);
        Document {
            schema: "ccretain.purge/1",
            run: run.id.to_owned(),
            now: time(run.plan.now),
            dry_run: self.dry_run,
            partial: self.wanted.is_partial(),
            policy: Policy::of(run.policy),
            stores: run.json_stores(),
            summary: run.tally(),
            items: run.items(with_kept),
            refusals: run.refusals.to_vec(),
            broken: self.purging.broken.iter().map(|stop| obstacle(stop, self.policy)).collect(),
            exceptions: self.aftermath.map_or_else(doubts, |aftermath| aftermath.exceptions.clone()),
            counts: self.aftermath.map(|aftermath| aftermath.counts.clone()),
            verification: self.aftermath.map(|aftermath| aftermath.verification.clone()),
            remaining: self.aftermath.map(|aftermath| aftermath.remaining.clone()),
            verdict: self.verdict,
            certificate: self.certificate.iter().map(text).collect(),
            errors: run.json_errors(),
        }
    }

    /// What it comes to, for the report of all accounts: what was done as the certificate counts it.
    pub fn for_parent(&self) -> Totals {
        let mut notes: Vec<Note> = self
            .kept_as()
            .map(|(word, (files, _))| Note::counted(files, "file", format!("stay: {word}")))
            .collect();
        notes.extend(self.verdict.map(|verdict| Note::sentence(format!("verdict: {verdict}"))));
        let mut totals = self.run.for_parent(notes);
        if let Some(Aftermath { counts, .. }) = self.aftermath {
            let tally = &mut totals.tally;
            (tally.sessions_deleted, tally.deleted) = (counts.sessions, counts.files);
            (tally.pruned_lines, tally.bytes_freed) = (counts.lines, counts.bytes);
        }
        totals
    }

    /// What goes, from where, and what stays, for a person to judge.
    pub fn text(&self, paint: Paint<'_>) -> String {
        let mut document = Docs::default();
        let groups = self.groups();
        if self.was_shown {
            document.text(self.sum(&whole_of(&groups)));
            return document.print(paint);
        }
        document.text(Line::of(self.scope(), Hue::Strong));
        if groups.is_empty() {
            document.text(match self.run.outcomes {
                Some(_) => "nothing was removed: nothing was there to remove",
                None => "there is nothing to remove: `ccretain list` shows the sessions that are here",
            });
        } else {
            self.put_stores(&groups, &mut document);
        }
        self.put_stays(&mut document);
        for stop in &self.purging.broken {
            document.text(
                Line::of("broken", Hue::Warn).and(format!(": {}", obstacle(stop, self.policy)), Hue::Plain),
            );
        }
        for refusal in self.run.refusals {
            document.text(Line::of("refused", Hue::Warn).and(format!(": {refusal}"), Hue::Plain));
        }
        if self.dry_run && !groups.is_empty() && self.run.refusals.is_empty() {
            document.text("");
            document.text(Line::of(
                "nothing was removed; the same command without --dry-run asks, and does it",
                Hue::Dim,
            ));
        }
        document.print(paint)
    }

    /// The question before it is done, with the counts.
    pub fn question(&self) -> String {
        let all = whole_of(&self.groups());
        let deleted = whole(all.sessions.len() as u64, all.files, all.bytes);
        let tally = self.run.tally();
        format!("{}?", question(&tally, &deleted, &self.run.pruned_words(&tally)))
    }

    /// What was asked for, in a sentence.
    fn scope(&self) -> String {
        let mut scope = if self.wanted.is_partial() {
            "a part: sessions".to_owned()
        } else {
            "everything: every session at any date, sealed or not".to_owned()
        };
        if !self.wanted.projects.is_empty() {
            let globs: Vec<String> = self.wanted.projects.iter().map(|glob| text(glob.written())).collect();
            let _ = write!(scope, " of {}", globs.join(", "));
        }
        if let Some(session) = self.wanted.session {
            scope = format!("a part: session {session}");
        }
        if let Some(before) = self.wanted.before {
            let _ = write!(scope, " last active before {}", time(before));
        }
        if !self.with.is_empty() {
            let _ = write!(scope, ", with {}", self.with.join(", "));
        }
        scope
    }

    fn groups(&self) -> BTreeMap<StoreIndex, Group> {
        let run = &self.run;
        let freed = run.freed();
        let mut groups: BTreeMap<StoreIndex, Group> = BTreeMap::new();
        for (at, artifact) in run.inventory.artifacts.iter().enumerate() {
            let Some(Fate::Deleted | Fate::Pruned) = run.fate(at) else { continue };
            let group = groups.entry(run.inventory.store_of(artifact)).or_default();
            group.bytes += freed[at];
            // A file that only loses lines is there afterwards; the certificate counts alike.
            match run.plan.decisions[at] {
                Decision::Prune(_) => group.lines += run.pruned(at).0,
                _ => group.files += u64::from(!artifact.is_own()),
            }
            if let crate::inventory::Belongs::Session(index) = artifact.belongs
                && run.conversation_goes(run.inventory.session(index))
            {
                group.sessions.insert(index);
                let session = run.inventory.session(index);
                group.projects.extend(session.project.as_deref().map(text));
            }
        }
        groups
    }

    /// All that goes or went, in a line.
    fn sum(&self, whole: &Group) -> Line {
        let word = if self.run.outcomes.is_some() { "removed" } else { "would remove" };
        let lines =
            if whole.lines > 0 { format!(", {}", counted(whole.lines, "line")) } else { String::new() };
        let all = format!(
            ": {}, {}{lines}, {}",
            counted(whole.sessions.len() as u64, "session"),
            counted(whole.files, "file"),
            size(whole.bytes)
        );
        Line::of(word, Hue::Bad).and(all, Hue::Strong)
    }

    fn put_stores(&self, groups: &BTreeMap<StoreIndex, Group>, document: &mut Docs) {
        let mut rows =
            table(&["store", "sessions", "projects", "files", "lines", "on disk"], &[1, 2, 3, 4, 5]);
        let number = |count: usize| if count == 0 { "-".to_owned() } else { grouped(count as u64) };
        for (store, group) in groups {
            rows.row([
                text(&self.run.inventory.store(*store).store.root),
                number(group.sessions.len()),
                number(group.projects.len()),
                number(usize::try_from(group.files).unwrap_or(usize::MAX)),
                number(usize::try_from(group.lines).unwrap_or(usize::MAX)),
                size(group.bytes),
            ]);
        }
        let whole = whole_of(groups);
        let mut projects = BTreeMap::<&str, u64>::new();
        for index in &whole.sessions {
            let session = self.run.inventory.session(*index);
            *projects.entry(session.project.as_deref().unwrap_or("(unknown)")).or_default() += 1;
        }
        document.table(rows);
        document.text("");
        document.text(self.sum(&whole));
        let mut by_count: Vec<(&str, u64)> = projects.into_iter().collect();
        by_count.sort_by_key(|(project, count)| (std::cmp::Reverse(*count), *project));
        let mut named = table(&["project", "sessions"], &[1]);
        for (project, count) in by_count.iter().take(MOST_NAMED) {
            named.row([text(project), grouped(*count)]);
        }
        document.table(named);
        if by_count.len() > MOST_NAMED {
            document.text(format!("and {} more projects", grouped((by_count.len() - MOST_NAMED) as u64)));
        }
        document.text("");
        if self.run.outcomes.is_none() {
            let going = self.run.names_going();
            let artifacts = 0..self.run.inventory.artifacts.len();
            let linked = artifacts.filter(|at| self.run.data_remains(*at, &going)).count();
            if linked > 0 {
                let linked = counted(linked as u64, "file");
                document.text(format!("data remain under another name (hard link): {linked}"));
            }
        }
        if self.purging.quiet > 0 && self.run.outcomes.is_none() {
            let active = self.policy.active_within();
            let quiet = counted(self.purging.quiet as u64, "session");
            document.text(format!("{active}, perhaps still in use: {quiet}"));
        }
    }

    /// Files and bytes of what stays, by its class.
    fn kept_as(&self) -> impl Iterator<Item = (&'static str, (u64, u64))> {
        let mut kept: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (at, artifact) in self.run.inventory.artifacts.iter().enumerate() {
            let Decision::Keep(keep) = self.run.plan.decisions[at] else { continue };
            let Some(word) = stays_as(artifact.kind, keep) else { continue };
            let (files, bytes) = kept.entry(word).or_default();
            *files += 1;
            *bytes += artifact.stamp.size;
        }
        kept.into_iter()
    }

    /// What stays, and why.
    fn put_stays(&self, document: &mut Docs) {
        for (word, (files, bytes)) in self.kept_as() {
            document.text(format!("kept: {word} ({}, {})", counted(files, "file"), size(bytes)));
        }
        if self.aftermath.is_none() {
            let doubts = doubts(self.run.inventory, &self.purging.doubts);
            put_named("kept, though it may be meant", &doubts, document);
            let excepted = gathered(self.run.inventory, self.purging.excepted.iter().copied());
            for one in &excepted {
                let (path, files, size) = (text(&one.path), counted(one.files, "file"), size(one.bytes));
                document.text(format!("kept on your word: {path} ({files}, {size})"));
            }
        }
    }

    /// What it came to.
    pub fn verdict(&self, paint: Paint<'_>) -> String {
        let (Some(aftermath), Some(verdict)) = (self.aftermath, self.verdict) else { return String::new() };
        let mut document = Docs::default();
        document.text(format!(
            "looked again: {} in {}, {}",
            counted(aftermath.verification.files, "file"),
            counted(aftermath.verification.roots, "root"),
            aftermath.verification.result.words()
        ));
        let hue = if verdict == Verdict::Incomplete { Hue::Bad } else { Hue::Good };
        document.text(
            Line::from("verdict: ").and(verdict.to_string(), hue).and(", in the roots listed", Hue::Plain),
        );
        let kept = aftermath.remaining.iter().filter(|one| one.what == RemainingKind::Excepted);
        for one in kept {
            let (files, size) = (counted(one.files, "file"), size(one.bytes));
            document.text(format!("kept on your word: {} ({files}, {size})", one.path));
        }
        document.print(paint)
    }
}

/// The class something stays as; `None` for what has to be told otherwise.
fn stays_as(kind: Option<crate::catalogue::Kind>, keep: Keep) -> Option<&'static str> {
    use crate::catalogue::{Class, Protection};
    match (keep, kind.map(|kind| kind.row().protection)) {
        (Keep::Unrecognised, _) => Some("what the catalogue does not know (--with unrecognised)"),
        (Keep::Protected, Some(Protection::With(class))) => Some(match class {
            Class::Credentials => "credentials (--with credentials)",
            Class::Settings => "settings and Claude Code's own state (--with settings)",
            Class::Memory => "memory (--with memory)",
        }),
        _ => None,
    }
}

/// A list of exceptions, the first by name and the rest counted.
fn put_named(heading: &str, exceptions: &[Exception], document: &mut Docs) {
    if exceptions.is_empty() {
        return;
    }
    document.text(format!("{heading}: {}", grouped(exceptions.len() as u64)));
    let named = exceptions.iter().take(MOST_NAMED);
    let mut lines: Vec<Line> =
        named.map(|exception| format!("  {}: {}", exception.path, exception.detail).into()).collect();
    if exceptions.len() > MOST_NAMED {
        lines.push(format!("  and {} more (--json lists them)", exceptions.len() - MOST_NAMED).into());
    }
    document.list(lines);
}
