//! One session or file: what it is, what dates and protects it, which rule decides, and when.

mod client;
mod decides;
mod subject;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::Run;
use super::json::{Policy as PolicyJson, time};
use super::ledger::short;
use crate::catalogue::{Disposal, Kind};
use crate::check::facts::CameBack;
use crate::client::ClientSettings;
use crate::inventory::{ArtifactIndex, FolderIndex, Session, SessionIndex, StoreIndex};
use crate::plan::{Decision, Keep, Opinion};
use crate::policy::{AgeBy, Source};

/// The order in which things decide.
pub const PRECEDENCE: [&str; 5] = ["hold", "live or quiet", "keepAtLeast", "delete rule", "seal rule"];

/// What is asked about.
#[derive(Debug)]
pub enum Asked {
    Session(SessionIndex),
    /// A file of a store.
    File(ArtifactIndex),
    /// A folder of a store that is no session's.
    Folder {
        folder: FolderIndex,
        store: StoreIndex,
        /// Its path below the root.
        below: PathBuf,
    },
    /// Something that lies below a store's root and was not listed there.
    Unlisted {
        path: PathBuf,
        store: StoreIndex,
    },
    /// Something in no store.
    Outside {
        path: PathBuf,
    },
}

/// Everything `explain` is made from.
#[derive(Debug)]
pub struct Explained<'a> {
    /// Stores, plan and policy; never carried out.
    pub run: Run<'a>,
    /// The client's settings, by the position of the config store they are for.
    pub clients: Vec<(usize, ClientSettings)>,
    /// What each mandate has to say.
    pub opinions: Vec<Opinion>,
    /// What is asked about.
    pub asked: Asked,
    /// What lies in the stores again although it was deleted.
    pub came_back: Vec<CameBack>,
}

/// The report (`ccretain.explain/1`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explain {
    schema: &'static str,
    now: String,
    #[serde(skip)]
    moment: chrono::DateTime<chrono::Utc>,
    policy: PolicyJson,
    what: Subject,
    dates: Option<Dates>,
    liveness: Option<Life>,
    precedence: [&'static str; 5],
    holds: Vec<HoldJson>,
    keep_at_least: Vec<Floor>,
    rules: Vec<RuleJson>,
    decision: Option<DecisionJson>,
    /// What happens to the session next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<super::list::Next>,
    #[serde(skip)]
    coming: Option<crate::plan::Step>,
    /// Of a file of lines: what is decided about them.
    lines: BTreeMap<&'static str, u64>,
    client: Option<ClientJson>,
    notes: Vec<String>,
    /// What is wrong with the policy.
    pub errors: Vec<String>,
}

/// What something is.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// `session`, `file`, `folder` or `outside`.
    is: &'static str,
    kind: Option<&'static str>,
    path: Option<String>,
    session: Option<String>,
    store: Option<String>,
    store_kind: Option<&'static str>,
    project: Option<String>,
    projects: Vec<String>,
    evidence: Option<&'static str>,
    files: u64,
    bytes: u64,
    kinds: BTreeMap<&'static str, u64>,
    unrecognised: u32,
    desktop: bool,
    sealed: bool,
}

/// The dates of something.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dates {
    record: Option<String>,
    modified: Option<String>,
    touched: Option<String>,
    /// The modification time of a transcript or subagent of which the newest record may be lost.
    damaged: Option<String>,
    /// When a run first saw what has no date.
    first_seen: Option<String>,
    last_activity: Option<String>,
    /// Which date of a session the policy goes by; a file of nobody has only its own.
    age_by: Option<AgeBy>,
    age_by_source: Option<Source>,
    counts: &'static str,
    difference_seconds: Option<i64>,
    differs: bool,
}

/// Whether something is in use.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Life {
    live: bool,
    pid: Option<u32>,
    evidence: String,
    quiet: String,
    quiet_source: Source,
    quiet_until: Option<String>,
    is_quiet: bool,
}

/// A hold that covers it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldJson {
    name: String,
    reason: String,
    until: Option<String>,
    /// The same with its zone, for people.
    #[serde(skip)]
    ends: Option<String>,
    #[serde(flatten)]
    source: Source,
    binds: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Floor {
    keep_at_least: String,
    until: Option<String>,
    over: bool,
    #[serde(flatten)]
    source: Source,
}

/// A rule that was considered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleJson {
    name: String,
    #[serde(flatten)]
    source: Source,
    action: &'static str,
    after: String,
    standing: String,
    decides: bool,
    due: Option<String>,
    is_due: bool,
}

/// What is decided.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionJson {
    decision: &'static str,
    reason: Option<&'static str>,
    because: String,
    rule: Option<String>,
    layer: Option<String>,
    path: Option<PathBuf>,
    due: Option<String>,
}

/// What the client itself does with it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientJson {
    /// The earliest moment at which its sweep removes it; `None` for never.
    removes: Option<String>,
    days: Option<u64>,
    path: Option<PathBuf>,
    before_us: bool,
    because: String,
}

impl Explained<'_> {
    /// The report, facts first.
    pub fn explain(&self) -> Explain {
        let decision = self.decision();
        let mut explain = Explain {
            schema: "ccretain.explain/1",
            now: time(self.run.plan.now),
            moment: self.run.plan.now,
            policy: PolicyJson::of(self.run.policy),
            what: self.subject(),
            dates: None,
            liveness: None,
            precedence: PRECEDENCE,
            holds: Vec::new(),
            keep_at_least: Vec::new(),
            rules: Vec::new(),
            decision: decision.map(|decision| self.decided(decision)),
            next: self.next().map(|step| super::list::Next::of(step, &self.run)),
            coming: self.next().filter(|step| step.at > self.run.plan.now),
            lines: self.lines(),
            client: None,
            notes: self.notes(),
            errors: self.run.policy.faults(),
        };
        if self.is_dated() {
            explain.dates = self.dates();
        }
        if self.is_ruled() {
            explain.liveness = self.life();
            explain.holds = self.holds();
            explain.keep_at_least = self.floors();
            explain.rules = self.rules(decision);
            explain.client = self.client();
        }
        explain
    }

    /// Whether one date decides about it: not about files of which the lines are artifacts.
    fn is_dated(&self) -> bool {
        match self.asked {
            Asked::Session(_) => true,
            Asked::File(at) => self
                .run
                .inventory
                .artifact(at)
                .kind
                .is_some_and(|kind| kind.row().disposal == Disposal::File || kind == Kind::ConfigBackup),
            _ => false,
        }
    }

    /// Whether rules decide about it.
    fn is_ruled(&self) -> bool {
        self.is_dated()
            && match self.decision() {
                Some(Decision::Keep(Keep::Protected | Keep::Link | Keep::Foreign | Keep::OutOfReach))
                | None => false,
                Some(_) => true,
            }
    }

    fn session(&self) -> Option<(usize, &Session)> {
        let inventory = self.run.inventory;
        match self.asked {
            Asked::Session(at) => Some((at.at(), inventory.session(at))),
            Asked::File(at) => match inventory.artifact(at).belongs {
                crate::inventory::Belongs::Session(at) => Some((at.at(), inventory.session(at))),
                crate::inventory::Belongs::Loose => None,
            },
            _ => None,
        }
    }

    /// The next step of the session that is asked about.
    fn next(&self) -> Option<crate::plan::Step> {
        let Asked::Session(at) = self.asked else { return None };
        self.run.plan.sessions.get(at.at())?.next
    }

    fn decision(&self) -> Option<Decision> {
        match self.asked {
            Asked::Session(at) => self.run.plan.sessions.get(at.at()).map(|verdict| verdict.decision),
            Asked::File(at) => self.run.plan.decisions.get(at.at()).copied(),
            _ => None,
        }
    }

    fn lines(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        let Asked::File(at) = self.asked else { return counts };
        for (file, lines) in self.run.inventory.line_files.iter().zip(&self.run.plan.lines) {
            if file.artifact == at {
                for decision in lines {
                    let word = match decision {
                        Decision::Keep(keep) => keep.reason(),
                        _ => "prune",
                    };
                    *counts.entry(word).or_default() += 1;
                }
            }
        }
        counts
    }
}
