//! The verdict of `check`, printed as each of its readers wants it.
//!
//! # `ccretain.check/1`
//!
//! | key | meaning |
//! | --- | --- |
//! | `schema` | `ccretain.check/1` |
//! | `now` `version` `host` | when, by which version, on which machine |
//! | `machine` | the id of the machine (machine id, else serial number), keyed where the ledger's names are; null where it cannot be told |
//! | `user` | the account; null for a check over all users |
//! | `compliant` `verdict` | true and `compliant` where no finding is as severe as `failOn`, else false and `not-compliant` |
//! | `failOn` | the least severity that makes a machine not compliant |
//! | `mode` `policy` | `enforce` or `audit`; digest and layers; both null where the policy cannot be used |
//! | `stores` | `root` `kind` `owner` `sessions` `artifacts` `bytes` `oldest` (last activity of the oldest session) `oldestAgeDays` `overdue` `overdueBytes` |
//! | `lastRun` | `time` and `exit` of the last run that came to its end |
//! | `lastGoodRun` `nextRun` | when a run last ended well; when the next one starts |
//! | `schedules` | `backend` `system` `where` `next` |
//! | `summary` | how many findings there are of each severity |
//! | `findings` | `id` `area` `severity` `title` `evidence` (sentences) `remedy` `count` `bytes` `fixable`, and `user` in a check over all users |
//! | `client` | by config folder (`store`): `rows` of `subject` `setting` `state` `decidedBy` `path` `pinned` |
//! | `fixed` | with `--fix`: `files` `folders` closed, and what was `left` (`path`, `why`) |
//! | `users` | in a check over all users: `user` `uid` `home` `exit` `compliant` `error` |
//!
//! Keys are only ever added. No value of a variable and no content of a file is in it.

pub mod exporters;
pub mod osquery;
mod printable;
mod sqlite;
pub mod text;
#[cfg(unix)]
mod users;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::time;
use crate::check::client::ClientFacts;
use crate::check::repair::Fixed;
use crate::check::{Facts, Finding, Severity, is_compliant};
use crate::policy::{Mode, Policy};

/// The schema of the document.
pub const SCHEMA: &str = "ccretain.check/1";

/// The document; see the head of this module.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    pub schema: String,
    /// The moment.
    pub now: String,
    /// The version of the program.
    #[serde(default)]
    pub version: String,
    /// The name of the machine.
    #[serde(default)]
    pub host: String,
    /// What tells the machine from others of its name.
    #[serde(default)]
    pub machine: Option<String>,
    /// The account.
    #[serde(default)]
    pub user: Option<String>,
    /// The verdict.
    pub compliant: bool,
    /// The verdict in a word.
    #[serde(default)]
    pub verdict: String,
    /// The least severity that makes a machine not compliant.
    #[serde(default = "usual")]
    pub fail_on: Severity,
    /// Whether the policy acts.
    #[serde(default)]
    pub mode: Option<String>,
    /// Digest and layers of the policy.
    #[serde(default)]
    pub policy: Option<Value>,
    #[serde(default)]
    pub stores: Vec<Store>,
    #[serde(default)]
    pub last_run: Option<LastRun>,
    /// When a run last succeeded.
    #[serde(default)]
    pub last_good_run: Option<String>,
    /// When the next one starts.
    #[serde(default)]
    pub next_run: Option<String>,
    /// What starts runs.
    #[serde(default)]
    pub schedules: Vec<Schedule>,
    /// How many findings there are of each severity.
    #[serde(default)]
    pub summary: BTreeMap<String, u64>,
    /// The findings, the most severe first.
    pub findings: Vec<Found>,
    /// What the client does.
    #[serde(default)]
    pub client: Vec<Value>,
    /// What was repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Fixed>,
    /// The accounts, in a check over all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<Value>>,
}

fn usual() -> Severity {
    Severity::Medium
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    pub root: String,
    /// Which tree of the catalogue it is.
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    pub sessions: u64,
    /// Files in it.
    #[serde(default)]
    pub artifacts: u64,
    /// Their bytes.
    #[serde(default)]
    pub bytes: u64,
    /// The last activity of its oldest session.
    #[serde(default)]
    pub oldest: Option<String>,
    /// How many days ago that is.
    #[serde(default)]
    pub oldest_age_days: Option<i64>,
    /// Overdue files and lines.
    #[serde(default)]
    pub overdue: u64,
    /// Bytes of overdue files.
    #[serde(default)]
    pub overdue_bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastRun {
    /// When it ended.
    pub time: String,
    /// With what.
    #[serde(default)]
    pub exit: u64,
}

/// What starts runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Schedule {
    /// The scheduler.
    pub backend: String,
    /// Whether it is the whole machine's.
    #[serde(default)]
    pub system: bool,
    /// Where its unit lies.
    #[serde(default, rename = "where")]
    pub place: String,
    /// When it starts next.
    #[serde(default)]
    pub next: Option<String>,
}

/// A finding.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    pub id: String,
    /// Which part of the posture it is about.
    #[serde(default)]
    pub area: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is, in words.
    #[serde(default)]
    pub title: String,
    /// What was seen.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// What to do about it.
    #[serde(default)]
    pub remedy: String,
    /// How many things it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Their bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether `--fix` repairs it.
    #[serde(default)]
    pub fixable: bool,
    /// The account, in a check over all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Self {
        Self {
            id: finding.id.to_owned(),
            area: finding.area.word().to_owned(),
            severity: finding.severity,
            title: finding.title.to_owned(),
            evidence: finding.evidence,
            remedy: finding.remedy,
            count: finding.count,
            bytes: finding.bytes,
            fixable: finding.fixable,
            user: None,
        }
    }
}

/// Whose posture it is.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The name of the machine.
    pub host: &'a str,
    /// Its id, where it can be told.
    pub machine: Option<&'a str>,
    /// The account.
    pub user: Option<&'a str>,
    /// The least severity that makes a machine not compliant.
    pub fail_on: Severity,
}

impl Document {
    /// The document of some facts and what was found in them.
    pub fn new(
        subject: Subject<'_>,
        facts: &Facts,
        policy: Option<&Policy>,
        findings: Vec<Finding>,
        fixed: Option<Fixed>,
    ) -> Self {
        let compliant = is_compliant(&findings, subject.fail_on);
        let runs = &facts.runs;
        Self {
            schema: SCHEMA.to_owned(),
            now: time(facts.now),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: subject.host.to_owned(),
            machine: subject.machine.map(str::to_owned),
            user: subject.user.map(str::to_owned),
            compliant,
            verdict: verdict(compliant).to_owned(),
            fail_on: subject.fail_on,
            mode: policy.map(|policy| mode(policy.mode()).to_owned()),
            policy: policy
                .map(|policy| serde_json::json!({"sha256": policy.digest, "layers": policy.sources})),
            stores: facts.stores.iter().map(|store| of_store(store, facts.now)).collect(),
            last_run: runs.last.map(|(at, exit)| LastRun { time: time(at), exit }),
            last_good_run: runs.last_well.map(time),
            next_run: runs.schedules.iter().filter_map(|schedule| schedule.next).min().map(time),
            schedules: runs
                .schedules
                .iter()
                .map(|schedule| Schedule {
                    backend: schedule.backend.clone(),
                    system: schedule.is_system,
                    place: schedule.place.clone(),
                    next: schedule.next.map(time),
                })
                .collect(),
            summary: BTreeMap::new(),
            findings: findings.into_iter().map(Found::from).collect(),
            client: facts
                .clients
                .iter()
                .filter_map(|client: &ClientFacts| serde_json::to_value(client).ok())
                .collect(),
            fixed,
            users: None,
        }
        .counted()
    }

    /// The same with its summary and its verdict as its findings make them.
    pub fn counted(mut self) -> Self {
        self.findings.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| (&a.user, &a.area, &a.id).cmp(&(&b.user, &b.area, &b.id)))
        });
        self.compliant = self.findings.iter().all(|finding| finding.severity < self.fail_on);
        self.verdict = verdict(self.compliant).to_owned();
        let of = |severity: Severity| self.findings.iter().filter(|found| found.severity == severity).count();
        self.summary =
            Severity::ALL.iter().map(|severity| (severity.word().to_owned(), of(*severity) as u64)).collect();
        self
    }

    /// The findings that make it not compliant.
    pub fn failing(&self) -> impl Iterator<Item = &Found> {
        self.findings.iter().filter(|finding| finding.severity >= self.fail_on)
    }

    /// The ids of those, each once.
    pub fn failing_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = Vec::new();
        for finding in self.failing() {
            if !ids.contains(&finding.id.as_str()) {
                ids.push(&finding.id);
            }
        }
        ids
    }
}

fn verdict(compliant: bool) -> &'static str {
    if compliant { "compliant" } else { "not-compliant" }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Audit => "audit",
    }
}

fn of_store(store: &crate::check::facts::StoreFacts, now: DateTime<Utc>) -> Store {
    Store {
        root: store.root.clone(),
        kind: store.kind.to_owned(),
        owner: store.owner.clone(),
        sessions: store.sessions,
        artifacts: store.artifacts,
        bytes: store.bytes,
        oldest: store.oldest.map(time),
        oldest_age_days: store.oldest.map(|oldest| now.signed_duration_since(oldest).num_days()),
        overdue: store.overdue.files + store.overdue.lines,
        overdue_bytes: store.overdue.bytes,
    }
}
