//! The page about many machines, each by the document of its check.
//!
//! Of a document no more is kept than a row; the worst machines are read a second time for what was found there, so
//! that neither memory nor the page grow with what the documents say.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::machine::date;
use super::page::{bars, cards, page, table};
use crate::check::Severity;
use crate::document::{Bar, Column, Document as Printed, Hue, Line, Table, escaped as esc};
use crate::report::check::{Document, Found};
use crate::report::human::{counted, grouped, size};

/// A document this much older than the page is stale: what it says was true then.
const STALE: TimeDelta = TimeDelta::days(7);
/// A clock may be ahead by this much; a document further ahead would never be stale.
const AHEAD: TimeDelta = TimeDelta::days(1);
/// As many findings are drawn.
const DRAWN: usize = 20;
/// As many machines have a row; a browser is slow with more, and nobody reads them.
const WORST: usize = 500;
/// As many rows has every other table.
const LISTED: usize = 100;
/// So much is shown of what was found on one machine, in bytes of the page.
const DETAILS: usize = 6 << 10;
/// So many lines of evidence of one finding are shown.
const EVIDENCE: usize = 6;
/// So many findings are told apart: a newer version may know others, and a document may say anything.
const KNOWN: usize = 500;
/// The longest name that is kept of a document, in characters.
const LONGEST: usize = 200;

/// A file that is no document of a check.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Its path, as it is shown.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// What tells a machine and account from others. Names are given twice, and so are ids, by images that machines are
/// made from: what differs in either is another machine, so that none hides behind another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    host: Box<str>,
    user: Option<Box<str>>,
    machine: Option<Box<str>>,
}

/// What is kept of a document.
#[derive(Debug)]
struct Row {
    /// The file it was read from.
    path: PathBuf,
    at: Option<DateTime<Utc>>,
    checked: Box<str>,
    version: Box<str>,
    policy: Option<Box<str>>,
    last_good: Option<Box<str>>,
    compliant: bool,
    /// High, medium and low ones.
    counts: [u32; 3],
    /// The findings by their places in the fleet's list, each once.
    findings: Vec<(usize, Severity)>,
    sessions: u64,
    bytes: u64,
    overdue: u64,
    oldest: Option<i64>,
}

/// Many machines.
#[derive(Debug)]
pub struct Fleet {
    now: DateTime<Utc>,
    machines: BTreeMap<Key, Row>,
    /// The findings there are, by their ids, and the names of those.
    ids: BTreeMap<String, usize>,
    titles: Vec<(String, String)>,
    /// How many documents were left out because there is a newer one of the same machine.
    older: usize,
    unreadable: Vec<Unreadable>,
}

/// A finding with how many machines have it.
struct Spread<'a> {
    id: &'a str,
    title: &'a str,
    severity: Severity,
    machines: u64,
}

/// As much of a text as is kept, or shown.
fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

fn kept(text: &str) -> Box<str> {
    cut(text, LONGEST).into()
}

impl Key {
    fn of(document: &Document) -> Self {
        let Document { host, user, machine, .. } = document;
        Self { host: kept(host), user: user.as_deref().map(kept), machine: machine.as_deref().map(kept) }
    }
}

impl Row {
    /// Whether a document is too old, or has too wrong a date, to say how its machine is now.
    fn is_stale(&self, now: DateTime<Utc>) -> bool {
        self.at.is_none_or(|at| {
            let age = now.signed_duration_since(at);
            age > STALE || age < -AHEAD
        })
    }

    /// Of a machine that was not checked for a week nobody knows.
    fn is_well(&self, now: DateTime<Utc>) -> bool {
        self.compliant && !self.is_stale(now)
    }

    /// The row of the page, with what is folded below it.
    fn printed(
        &self,
        who: String,
        more: Option<(String, Printed)>,
        now: DateTime<Utc>,
    ) -> crate::document::Row {
        let is_stale = self.is_stale(now);
        let (verdict, of_verdict) = match (self.compliant, is_stale) {
            (false, _) => ("not compliant", Hue::Bad),
            (true, true) => ("not checked for a week", Hue::Warn),
            (true, false) => ("compliant", Hue::Good),
        };
        let mut cells = vec![who, verdict.to_owned()];
        let mut marks = vec![Hue::Plain, of_verdict];
        for (severity, count) in
            [Severity::High, Severity::Medium, Severity::Low].into_iter().zip(self.counts)
        {
            cells.push(count.to_string());
            marks.push(if count > 0 { hue(severity) } else { Hue::Plain });
        }
        cells.extend([
            grouped(self.sessions),
            size(self.bytes),
            grouped(self.overdue),
            self.oldest.map_or_else(|| "–".to_owned(), |days| days.to_string()),
            self.last_good.as_deref().unwrap_or("none").to_owned(),
            self.checked.to_string(),
            self.version.to_string(),
        ]);
        marks.resize(cells.len() - 2, Hue::Plain);
        marks.push(if is_stale { Hue::Warn } else { Hue::Plain });
        crate::document::Row { cells, marks, more, ..Default::default() }
    }
}

impl Fleet {
    /// No machines yet.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            now,
            machines: BTreeMap::new(),
            ids: BTreeMap::new(),
            titles: Vec::new(),
            older: 0,
            unreadable: Vec::new(),
        }
    }

    /// Adds the document of a file; of several of one machine and account the newest counts.
    pub fn add(&mut self, document: Document, path: &Path) {
        // The verdict follows from the findings, whatever the document says of itself.
        let document = document.printable().counted();
        let at = DateTime::parse_from_rfc3339(&document.now).ok().map(|at| at.to_utc());
        let key = Key::of(&document);
        if self.machines.get(&key).is_some_and(|known| known.at >= at) {
            self.older += 1;
            return;
        }
        let row = self.row_of(&document, at, path);
        match self.machines.entry(key) {
            Entry::Vacant(place) => drop(place.insert(row)),
            Entry::Occupied(mut place) => {
                self.older += 1;
                place.insert(row);
            }
        }
    }

    /// Notes a file that could not be used.
    pub fn add_unreadable(&mut self, unreadable: Unreadable) {
        self.unreadable.push(unreadable);
    }

    fn row_of(&mut self, document: &Document, at: Option<DateTime<Utc>>, path: &Path) -> Row {
        let mut counts = [0_u32; 3];
        let mut findings: Vec<(usize, Severity)> = Vec::new();
        for found in &document.findings {
            let place = match found.severity {
                Severity::High => 0,
                Severity::Medium => 1,
                Severity::Low => 2,
                Severity::Info => continue,
            };
            counts[place] = counts[place].saturating_add(1);
            let Some(finding) = self.place_of(found) else { continue };
            // A machine counts once, however many accounts of it have the finding.
            match findings.iter_mut().find(|(known, _)| *known == finding) {
                Some((_, severity)) => *severity = (*severity).max(found.severity),
                None => findings.push((finding, found.severity)),
            }
        }
        let sum = |of: fn(&crate::report::check::Store) -> u64| {
            document.stores.iter().map(of).fold(0, u64::saturating_add)
        };
        let digest = document.policy.as_ref().and_then(|policy| policy.get("sha256")?.as_str());
        Row {
            path: path.to_path_buf(),
            at,
            checked: kept(date(&document.now)),
            version: kept(&document.version),
            policy: digest.map(|digest| kept(&crate::escape::text(digest.get(..12).unwrap_or(digest)))),
            last_good: document.last_good_run.as_deref().map(|time| kept(date(time))),
            compliant: document.compliant,
            counts,
            findings,
            sessions: sum(|store| store.sessions),
            bytes: sum(|store| store.bytes),
            overdue: sum(|store| store.overdue),
            oldest: document.stores.iter().filter_map(|store| store.oldest_age_days).max(),
        }
    }

    /// The place of a finding in the list of all; `None` where that is full.
    fn place_of(&mut self, found: &Found) -> Option<usize> {
        let id = cut(&found.id, LONGEST);
        if let Some(place) = self.ids.get(&id) {
            return Some(*place);
        }
        let place = self.titles.len();
        (place < KNOWN).then(|| {
            self.ids.insert(id.clone(), place);
            self.titles.push((id, cut(&found.title, LONGEST)));
            place
        })
    }

    /// How many machines there are.
    pub fn len(&self) -> usize {
        self.machines.len()
    }

    /// How many of them are compliant.
    pub fn compliant(&self) -> usize {
        self.machines.values().filter(|row| row.is_well(self.now)).count()
    }

    /// How many were not checked for a week.
    pub fn stale(&self) -> usize {
        self.machines.values().filter(|row| row.is_stale(self.now)).count()
    }

    fn sum(&self, of: fn(&Row) -> u64) -> u64 {
        self.machines.values().map(of).fold(0, u64::saturating_add)
    }

    /// The machines, the worst first.
    fn worst(&self) -> Vec<(&Key, &Row)> {
        let mut all: Vec<(&Key, &Row)> = self.machines.iter().collect();
        // The keys are in order, and equal ones stay so.
        all.sort_by_key(|(_, row)| (row.is_well(self.now), row.compliant, row.counts.map(std::cmp::Reverse)));
        all
    }

    /// The findings, the most severe and most frequent first.
    fn spread(&self) -> Vec<Spread<'_>> {
        let mut all: Vec<Spread<'_>> = self
            .titles
            .iter()
            .map(|(id, title)| Spread { id, title, severity: Severity::Info, machines: 0 })
            .collect();
        for (finding, severity) in self.machines.values().flat_map(|row| &row.findings) {
            if let Some(known) = all.get_mut(*finding) {
                known.severity = known.severity.max(*severity);
                known.machines += 1;
            }
        }
        all.retain(|finding| finding.machines > 0);
        all.sort_by(|a, b| {
            b.severity.cmp(&a.severity).then(b.machines.cmp(&a.machines)).then(a.id.cmp(b.id))
        });
        all
    }

    /// How many machines have each version, and each policy.
    fn versions(&self) -> [BTreeMap<&str, u64>; 2] {
        let (mut versions, mut policies) = (BTreeMap::new(), BTreeMap::new());
        for row in self.machines.values() {
            *versions.entry(&*row.version).or_default() += 1;
            *policies.entry(row.policy.as_deref().unwrap_or("none that can be used")).or_default() += 1;
        }
        [versions, policies]
    }

    /// The numbers of the page.
    pub fn json(&self) -> Value {
        let [versions, policies] = self.versions();
        let findings: Vec<Value> = self
            .spread()
            .iter()
            .map(|found| {
                json!({
                    "id": found.id, "title": found.title, "severity": found.severity, "machines": found.machines,
                })
            })
            .collect();
        json!({
            "machines": self.len(),
            "compliant": self.compliant(),
            "stale": self.stale(),
            "older": self.older,
            "unreadable": self.unreadable.iter().map(|bad| &bad.path).collect::<Vec<_>>(),
            "sessions": self.sum(|row| row.sessions),
            "bytes": self.sum(|row| row.bytes),
            "overdue": self.sum(|row| row.overdue),
            "findings": findings,
            "versions": versions,
            "policies": policies,
        })
    }

    /// The page; `read` reads a document again.
    pub fn html(&self, read: &dyn Fn(&Path) -> Option<Document>) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "<header><h1>Claude Code session data: {}</h1>",
            counted(self.len() as u64, "machine")
        );
        let _ = writeln!(
            out,
            "<p class=\"muted\">{} · ccretain {}</p></header>\n<main>",
            esc(&crate::report::json::time(self.now)),
            env!("CARGO_PKG_VERSION")
        );
        self.cards(&mut out);
        self.plots(&mut out);
        self.by_finding(&mut out);
        self.table(&mut out, read);
        self.versions_tables(&mut out);
        self.left_out(&mut out);
        out.push_str("</main>\n");
        page("ccretain: fleet", &out)
    }

    fn cards(&self, out: &mut String) {
        let (all, well) = (self.len(), self.compliant());
        let share = (well * 100).checked_div(all).unwrap_or(0);
        let share = format!("{} of {} ({share} %)", grouped(well as u64), grouped(all as u64));
        let (overdue, stale, bad) =
            (self.sum(|row| row.overdue), self.stale() as u64, self.unreadable.len() as u64);
        let any = |count: u64, hue: Hue| if count > 0 { hue } else { Hue::Plain };
        let rest = (all - well) as u64;
        let not_compliant = self.machines.values().filter(|row| !row.compliant).count() as u64;
        cards(
            out,
            [
                ("compliant", share, if rest == 0 { Hue::Good } else { Hue::Bad }),
                ("not compliant", grouped(not_compliant), any(not_compliant, Hue::Bad)),
                ("overdue files and lines", grouped(overdue), any(overdue, Hue::Bad)),
                ("sessions", grouped(self.sum(|row| row.sessions)), Hue::Plain),
                ("not checked for a week", grouped(stale), any(stale, Hue::Warn)),
                ("files that could not be read", grouped(bad), any(bad, Hue::Bad)),
            ],
        );
    }

    /// The verdicts, and how many machines have each finding.
    fn plots(&self, out: &mut String) {
        let (all, well) = (self.len(), self.compliant());
        // Compliant when it was checked, which is too long ago to say so.
        let unknown = self.machines.values().filter(|row| row.compliant).count() - well;
        let bad = all - well - unknown;
        let bar = |name: &str, amount: u64, hue: Hue| Bar {
            name: name.to_owned(),
            amount,
            shown: grouped(amount),
            hue,
        };
        let mut verdicts =
            vec![bar("compliant", well as u64, Hue::Good), bar("not compliant", bad as u64, Hue::Bad)];
        verdicts.extend((unknown > 0).then(|| bar("not checked for a week", unknown as u64, Hue::Dim)));
        out.push_str("<div class=\"plots\">\n");
        bars(out, ("Verdicts", "how many machines have each"), verdicts);
        let found = self.spread();
        let found = found.iter().take(DRAWN).map(|found| {
            let hue = match found.severity {
                Severity::High => Hue::Bad,
                Severity::Medium => Hue::Plain,
                Severity::Low | Severity::Info => Hue::Dim,
            };
            bar(found.id, found.machines, hue)
        });
        let about = "how many machines have each, the most severe first; in red what is high";
        let found: Vec<Bar> = found.collect();
        if !found.is_empty() {
            bars(out, ("Machines by finding", about), found);
        }
        out.push_str("</div>\n");
    }

    fn by_finding(&self, out: &mut String) {
        let found = self.spread();
        if found.is_empty() {
            return;
        }
        out.push_str("<section><h2>Findings</h2>\n");
        let row = |found: &Spread<'_>| {
            vec![
                found.severity.word().to_owned(),
                found.id.to_owned(),
                found.title.to_owned(),
                grouped(found.machines),
            ]
        };
        let rows: Vec<Vec<String>> = found.iter().take(LISTED).map(row).collect();
        table(out, &["severity", "finding", "what it is", "machines"], &[3], &rows);
        out.push_str("</section>\n");
    }

    fn table(&self, out: &mut String, read: &dyn Fn(&Path) -> Option<Document>) {
        let mut section = Printed::default();
        section.heading("Machines, the worst first");
        let text = [Column::head("machine"), Column::new("verdict")];
        let numbers =
            ["high", "medium", "low", "sessions", "size", "overdue", "oldest, days"].map(Column::number);
        let dates = ["last good run", "checked", "version"].map(Column::new);
        let mut table = Table::new(text.into_iter().chain(numbers).chain(dates).collect());
        let machines = self.worst();
        let mut names: BTreeMap<(&str, Option<&str>), u32> = BTreeMap::new();
        for (key, _) in &machines {
            *names.entry((&key.host, key.user.as_deref())).or_default() += 1;
        }
        for (key, row) in machines.iter().take(WORST) {
            let is_double = names.get(&(&*key.host, key.user.as_deref())).is_some_and(|count| *count > 1);
            // What has been written over in the meantime is another document.
            let again = read(&row.path).map(|document| document.printable().counted());
            let again = again.filter(|document| Key::of(document) == **key);
            let more = again.and_then(|document| details(&document.findings));
            table.rows.push(row.printed(name(key, is_double), more, self.now));
        }
        section.table(table);
        if machines.len() > WORST {
            let more = counted((machines.len() - WORST) as u64, "machine");
            let why = format!("{more} more: in the numbers above, and without a row here.");
            section.text(Line::of(why, Hue::Dim));
        }
        out.push_str(&section.html());
    }

    fn versions_tables(&self, out: &mut String) {
        out.push_str("<section><h2>Versions and policies</h2>\n");
        for (what, counts) in ["version", "policy"].into_iter().zip(self.versions()) {
            let mut rows: Vec<(&str, u64)> = counts.into_iter().collect();
            if rows.len() > LISTED {
                rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            }
            let rows = rows.iter().take(LISTED);
            let rows: Vec<Vec<String>> =
                rows.map(|(name, count)| vec![(*name).to_owned(), grouped(*count)]).collect();
            table(out, &[what, "machines"], &[1], &rows);
        }
        out.push_str("</section>\n");
    }

    fn left_out(&self, out: &mut String) {
        if self.older > 0 {
            let _ = writeln!(
                out,
                "<p class=\"muted\">{} left out, because there is a newer one of the same machine and account.</p>",
                counted(self.older as u64, "document")
            );
        }
        if self.unreadable.is_empty() {
            return;
        }
        out.push_str("<section><h2>Files that could not be read</h2>\n");
        let rows: Vec<Vec<String>> = self
            .unreadable
            .iter()
            .take(LISTED)
            .map(|bad| vec![cut(&bad.path, LONGEST), cut(&bad.why, LONGEST)])
            .collect();
        table(out, &["file", "why"], &[], &rows);
        if self.unreadable.len() > LISTED {
            let _ = writeln!(out, "<p class=\"muted\">and {} more</p>", self.unreadable.len() - LISTED);
        }
        out.push_str("</section>\n");
    }
}

/// The machine and account of a row, with the beginning of its id where another has its name.
fn name(key: &Key, is_double: bool) -> String {
    let who = match &key.user {
        Some(user) => format!("{} ({user})", key.host),
        None => key.host.to_string(),
    };
    match &key.machine {
        Some(id) if is_double => format!("{who} {}", crate::report::ledger::short(id)),
        _ => who,
    }
}

/// What was found on a machine, the most severe first, as far as there is room, with its title; `None` where nothing was.
fn details(findings: &[Found]) -> Option<(String, Printed)> {
    let told: Vec<_> = findings.iter().filter(|found| found.severity > Severity::Info).collect();
    let (mut all, mut room, mut left) = (Printed::default(), DETAILS, told.len());
    for found in &told {
        let one = detail(found);
        let Some(rest) = room.checked_sub(one.html().len()) else { break };
        all.blocks.extend(one.blocks);
        (room, left) = (rest, left - 1);
    }
    if left > 0 {
        all.text(Line::of(format!("and {} more", counted(left as u64, "finding")), Hue::Dim));
    }
    (!told.is_empty()).then(|| (counted(told.len() as u64, "finding"), all))
}

fn detail(found: &Found) -> Printed {
    let mut one = Printed::default();
    let user = found.user.as_deref().map_or_else(String::new, |user| format!("{}: ", cut(user, LONGEST)));
    let title = format!(" {user}{} ", cut(&found.title, LONGEST));
    let id = format!("[{}]", cut(&found.id, LONGEST));
    one.text(Line::of(found.severity.word(), hue(found.severity)).and(title, Hue::Strong).and(id, Hue::Dim));
    let shown = |line: &String| Line::from(cut(line, 2 * LONGEST));
    let mut evidence: Vec<Line> = found.evidence.iter().take(EVIDENCE).map(shown).collect();
    if found.evidence.len() > EVIDENCE {
        evidence.push(format!("and {} more", found.evidence.len() - EVIDENCE).into());
    }
    one.list(evidence);
    if !found.remedy.is_empty() {
        one.text(Line::of(cut(&found.remedy, 2 * LONGEST), Hue::Dim));
    }
    one
}

fn hue(severity: Severity) -> Hue {
    match severity {
        Severity::High => Hue::Bad,
        Severity::Medium => Hue::Warn,
        Severity::Low => Hue::Plain,
        Severity::Info => Hue::Dim,
    }
}
