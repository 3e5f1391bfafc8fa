//! Reports as JSON: the shapes other programs rely on.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::Run;
use crate::catalogue::Root;
use crate::enforce::Outcome;
use crate::escape::text;
use crate::inventory::{ArtifactIndex, Belongs};
use crate::locate::Way;
use crate::plan::{Decision, Keep};
use crate::policy::Mode;
use crate::run::link::{Note, Totals};
use crate::run::tally::{Fate, NamesGoing, Tally};

/// A moment as reports write it: RFC 3339, UTC, whole seconds.
pub fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The report of `enforce` (`ccretain.enforce/1`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Enforce {
    schema: &'static str,
    run: String,
    now: String,
    dry_run: bool,
    mode: Mode,
    policy: Policy,
    stores: Vec<Store>,
    summary: Tally,
    items: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<&'static str>,
    refusals: Vec<String>,
    errors: Vec<Error>,
}

/// Which policy decided.
#[derive(Debug, Serialize)]
pub struct Policy {
    sha256: String,
    layers: Vec<crate::policy::Source>,
}

impl Policy {
    /// The digest and the layers of a policy.
    pub fn of(policy: &crate::policy::Policy) -> Self {
        Self { sha256: policy.digest.clone(), layers: policy.sources.clone() }
    }
}

/// A store and how much lies in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    pub root: String,
    /// The name of its owner.
    pub owner: String,
    /// Which tree of the catalogue it is.
    pub kind: &'static str,
    /// How it was found.
    pub found_by: crate::locate::FoundBy,
    pub sessions: usize,
    /// How many files lie in it.
    pub artifacts: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Folders that are links and were followed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// Folders that are mount points.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
}

impl Store {
    /// Whether people are shown a row of it.
    pub fn is_worth_a_row(&self) -> bool {
        is_worth_a_row(self.sessions as u64, self.artifacts as u64, self.kind)
    }
}

/// Whether people are shown a row of a store: each has a home, in which no session lies but by mistake.
pub fn is_worth_a_row(sessions: u64, artifacts: u64, kind: &str) -> bool {
    sessions > 0 || artifacts > 0 && kind != Root::Home.word()
}

/// One artifact and what became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    store: usize,
    path: String,
    kind: Option<&'static str>,
    session: Option<String>,
    project: Option<String>,
    last_activity: Option<String>,
    bytes: u64,
    decision: &'static str,
    rule: Option<String>,
    layer: Option<String>,
    due: Option<String>,
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    error: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    audit: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    data_remains: bool,
}

/// Something that went wrong.
#[derive(Debug, Serialize)]
pub struct Error {
    /// The path; empty where none is concerned.
    pub path: String,
    /// What went wrong, with its causes.
    pub error: String,
}

impl Error {
    /// What went wrong with a path.
    pub fn new(path: String, error: String) -> Self {
        Self { path, error }
    }
}

impl Run<'_> {
    /// The whole report; kept items are listed only when asked for.
    pub fn json(&self, with_kept: bool) -> Enforce {
        Enforce {
            schema: "ccretain.enforce/1",
            run: self.id.to_owned(),
            now: time(self.plan.now),
            dry_run: self.is_dry,
            mode: self.policy.mode(),
            policy: Policy::of(self.policy),
            stores: self.json_stores(),
            summary: self.tally(),
            items: self.items(with_kept),
            stopped: self.stopped(),
            refusals: self.refusals.to_vec(),
            errors: self.json_errors(),
        }
    }

    /// What makes the exit code 1.
    pub fn json_errors(&self) -> Vec<Error> {
        self.errors().into_iter().map(|(path, error)| Error::new(path, error)).collect()
    }

    /// What this run comes to, for the report of all accounts.
    pub fn for_parent(&self, notes: Vec<Note>) -> Totals {
        let stores = self.json_stores();
        Totals {
            sessions: stores.iter().map(|store| store.sessions as u64).sum(),
            files: stores.iter().map(|store| store.artifacts as u64).sum(),
            bytes: stores.iter().map(|store| store.bytes).sum(),
            is_done: self.outcomes.is_some(),
            tally: self.tally(),
            notes,
        }
    }

    /// The stores with what lies in them.
    pub fn json_stores(&self) -> Vec<Store> {
        let inventory = self.inventory;
        let mut stores: Vec<Store> = inventory
            .stores
            .iter()
            // Those that the policy leaves out are the last.
            .take_while(|view| !view.store.is_excluded)
            .map(|view| Store {
                root: text(&view.store.root),
                owner: view.store.owner_name.clone(),
                kind: view.store.kind.word(),
                found_by: view.store.found_by,
                sessions: 0,
                artifacts: 0,
                bytes: 0,
                links: Vec::new(),
                mounts: Vec::new(),
            })
            .collect();
        for artifact in inventory.artifacts.iter().filter(|artifact| !artifact.is_own()) {
            if let Some(store) = stores.get_mut(inventory.store_of(artifact).at()) {
                store.artifacts += 1;
                store.bytes += artifact.stamp.size;
            }
        }
        for session in &inventory.sessions {
            if let Some(store) = stores.get_mut(session.store.at()) {
                store.sessions += 1;
            }
        }
        for (store, crossing) in inventory.crossings() {
            let Some(store) = stores.get_mut(store.at()) else { continue };
            let list = match crossing.way {
                Way::Link => &mut store.links,
                Way::Mount => &mut store.mounts,
            };
            list.push(text(&crossing.path));
        }
        stores
    }

    /// Every artifact that was acted on or was to be; kept ones only when asked for.
    pub fn items(&self, with_kept: bool) -> Vec<Item> {
        let mut listed: Vec<usize> = (0..self.inventory.artifacts.len())
            .filter(|at| {
                let planned = self.plan.decisions[*at].due().is_some();
                self.fate(*at).is_some_and(|fate| with_kept || planned || fate != Fate::Kept)
            })
            .collect();
        let key = |at: usize| {
            let artifact = &self.inventory.artifacts[at];
            (self.inventory.store_of(artifact), self.inventory.path(artifact))
        };
        listed.sort_by_cached_key(|at| key(*at));
        let going = self.names_going();
        listed.into_iter().map(|at| self.item(at, &going)).collect()
    }

    fn item(&self, at: usize, going: &NamesGoing) -> Item {
        let artifact = &self.inventory.artifacts[at];
        let decision = self.plan.decisions[at];
        let session = match artifact.belongs {
            Belongs::Session(index) => Some(index),
            Belongs::Loose => None,
        };
        let (rule, due) = match decision {
            Decision::Keep(Keep::NotDue(due, rule)) => (Some(rule), Some(due)),
            Decision::Keep(Keep::Refused(due)) => (Some(due.rule()), Some(due.since())),
            decision => (decision.due().map(|due| due.rule()), decision.due().map(|due| due.since())),
        };
        let layer =
            rule.and_then(|rule| self.policy.rule(rule)).map(|(layer, _)| layer.source.layer.to_string());
        let outcome = self.outcomes.and_then(|outcomes| outcomes.of(ArtifactIndex::of(at)));
        let activity = match session {
            Some(index) => self.plan.sessions[index.at()].date,
            None => self.inventory.dated(artifact),
        };
        let project = match session {
            Some(index) => self.inventory.session(index).project.as_deref(),
            None => self.inventory.project_named(artifact),
        };
        Item {
            store: self.inventory.store_of(artifact).at(),
            path: text(&self.inventory.path(artifact)),
            kind: artifact.kind.map(crate::catalogue::Kind::name),
            session: session.map(|index| self.inventory.session(index).id.to_string()),
            project: project.map(text),
            last_activity: activity.map(time),
            bytes: artifact.stamp.size,
            decision: decision.word(),
            rule: rule.map(|rule| self.policy.rule_name(rule)),
            layer,
            due: due.map(time),
            reason: match decision {
                Decision::Keep(keep) => Some(keep.reason()),
                _ => None,
            },
            // A run of a policy that only reports keeps all.
            outcome: (!self.is_dry || self.outcomes.is_some()).then(|| outcome.map_or("kept", Outcome::word)),
            error: match outcome {
                Some(Outcome::Failed(error)) => Some(error.clone()),
                _ => None,
            },
            audit: self.is_audited(decision),
            lines: matches!(decision, Decision::Prune(_)).then(|| self.pruned(at).0),
            data_remains: self.data_remains(at, going),
        }
    }
}
