//! Many machines, each by the document of its check, and the page about them.
//!
//! Of a document no more is kept than a row; the worst machines are read a second time for what was found there, so
//! that neither memory nor the page grow with what the documents say.

mod page;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::machine::date;
use crate::check::Severity;
use crate::report::check::{Document, Found};

/// A document this much older than the page is stale: what it says was true then.
const STALE: TimeDelta = TimeDelta::days(7);
/// A clock may be ahead by this much; a document further ahead would never be stale.
const AHEAD: TimeDelta = TimeDelta::days(1);
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
}
