//! What a page about one account shows: numbers out of the inventory, the plan and the ledger. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::escape::text;
use crate::inventory::{Inventory, SessionIndex};
use crate::ledger::Record;
use crate::plan::{Decision, Plan, Verdict};
use crate::report::check::Document;
use crate::report::weight;

/// The ages, in days, at which sessions are put apart.
const AGES: [i64; 10] = [1, 4, 7, 14, 21, 30, 60, 90, 180, i64::MAX];
/// As many projects and kinds are named.
const NAMED: usize = 12;
/// As many days are looked ahead.
pub(super) const AHEAD: i64 = 30;

/// Sessions and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    pub sessions: u64,
    pub files: u64,
    pub bytes: u64,
}

/// A run, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// What ran.
    pub verb: String,
    /// With what it ended.
    pub exit: u64,
    /// Sessions that were deleted.
    pub deleted: u64,
    /// Sessions that were sealed.
    pub sealed: u64,
    /// Lines that were pruned.
    pub pruned: u64,
    /// Bytes that were freed.
    pub freed: u64,
    /// Sessions that stayed; `None` where the record does not say.
    pub kept: Option<u64>,
}

impl Run {
    /// The run that a summary closes.
    pub fn of(record: &Record) -> Self {
        let counts = record.fields.get("counts");
        let count = |name: &str| counts.and_then(|counts| counts.get(name)?.as_u64());
        Self {
            at: record.time,
            verb: text(record.text("decision").unwrap_or("run")),
            exit: count("exit").unwrap_or(0),
            deleted: count("sessionsDeleted").unwrap_or(0),
            sealed: count("sessionsSealed").unwrap_or(0),
            pruned: count("prunedLines").unwrap_or(0),
            freed: count("bytesFreed").unwrap_or(0),
            kept: count("sessionsKept"),
        }
    }
}

/// The sessions of an age.
#[derive(Debug, Default)]
pub(super) struct Age {
    /// The days, in words.
    pub label: String,
    /// The fewest days.
    from: i64,
    /// All of them.
    pub all: Share,
    /// Those of them that are due for deletion.
    pub due: Share,
}

/// A page about one account.
#[derive(Debug)]
pub struct Machine {
    /// The verdict and its findings.
    pub(super) check: Document,
    /// Sessions by age.
    pub(super) ages: Vec<Age>,
    /// Sessions without a date.
    pub(super) undated: Share,
    /// The projects with the most bytes, and how many others there are.
    pub(super) projects: (Vec<(String, Share)>, usize),
    /// The kinds with the most bytes.
    pub(super) kinds: (Vec<(String, Share)>, usize),
    /// What is due now, and on each of the next days.
    pub(super) due: (Share, Vec<(NaiveDate, Share)>),
    /// The runs, the oldest first.
    pub(super) runs: Vec<Run>,
}

impl Machine {
    /// Counts everything; `plan` is `None` where there is no policy to judge by, and `runs` come the
    /// newest first, as they are read.
    pub fn new(check: Document, inventory: &Inventory, plan: Option<&Plan>, runs: Vec<Run>) -> Self {
        let now = inventory.taken;
        let mut ages = bounds();
        let mut undated = Share::default();
        let mut due = (Share::default(), days(now));
        let mut projects: BTreeMap<String, Share> = BTreeMap::new();
        for (at, session) in inventory.sessions.iter().enumerate() {
            let (files, bytes) = weight(inventory, session);
            let share = Share { sessions: 1, files, bytes };
            let verdict = plan.and_then(|plan| plan.sessions.get(SessionIndex::of(at).at()));
            let date = verdict.and_then(|verdict| verdict.date).or(session.newest_record);
            let age = date.map(|date| now.signed_duration_since(date).num_days());
            match age.and_then(|age| ages.iter_mut().rev().find(|bin| age >= bin.from)) {
                Some(bin) => {
                    add(&mut bin.all, share);
                    if let Some(Decision::Delete(_)) = verdict.map(|verdict| verdict.decision) {
                        add(&mut bin.due, share);
                    }
                }
                None => add(&mut undated, share),
            }
            let project = session.project.as_deref().map_or_else(|| "(unknown)".to_owned(), text);
            add(projects.entry(project).or_default(), share);
            if let Some(verdict) = verdict {
                fall_due(&mut due, verdict, now, share);
            }
        }
        let mut kinds: BTreeMap<String, Share> = BTreeMap::new();
        for artifact in inventory.artifacts.iter().filter(|artifact| !artifact.is_own()) {
            let kind = artifact.kind.map_or("unrecognised", crate::catalogue::Kind::name);
            let share = Share { sessions: 0, files: 1, bytes: artifact.stamp.size };
            add(kinds.entry(kind.to_owned()).or_default(), share);
        }
        let mut runs = runs;
        runs.reverse();
        Self { check, ages, undated, projects: most(projects), kinds: most(kinds), due, runs }
    }
}

fn add(to: &mut Share, share: Share) {
    to.sessions += share.sessions;
    to.files += share.files;
    to.bytes += share.bytes;
}

fn bounds() -> Vec<Age> {
    let mut from = 0;
    AGES.iter()
        .map(|to| {
            let label = if *to == i64::MAX {
                format!("{from}+")
            } else if to - from == 1 {
                format!("{from}")
            } else {
                format!("{from}–{}", to - 1)
            };
            let bin = Age { label, from, ..Age::default() };
            from = *to;
            bin
        })
        .collect()
}

fn days(now: DateTime<Utc>) -> Vec<(NaiveDate, Share)> {
    (0..=AHEAD)
        .filter_map(|day| {
            Some((now.checked_add_signed(TimeDelta::days(day))?.date_naive(), Share::default()))
        })
        .collect()
}

/// When something goes or is encrypted, if it is within the days that are looked ahead.
fn fall_due(
    (now, days): &mut (Share, Vec<(NaiveDate, Share)>),
    verdict: &Verdict,
    at: DateTime<Utc>,
    share: Share,
) {
    if verdict.decision.due().is_some() {
        return add(now, share);
    }
    let step = verdict.coming(at);
    if let Some((_, day)) =
        step.and_then(|step| days.iter_mut().find(|(day, _)| *day == step.at.date_naive()))
    {
        add(day, share);
    }
}

/// Those with the most bytes, and how many others there are.
fn most(shares: BTreeMap<String, Share>) -> (Vec<(String, Share)>, usize) {
    let mut shares: Vec<(String, Share)> = shares.into_iter().filter(|(_, share)| share.files > 0).collect();
    shares.sort_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then_with(|| a.0.cmp(&b.0)));
    let others = shares.len().saturating_sub(NAMED);
    shares.truncate(NAMED);
    (shares, others)
}
