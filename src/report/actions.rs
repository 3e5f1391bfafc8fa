//! What a run does, a row a project and action: the table of `status`, of a dry run and of a run.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rayon::prelude::*;

use super::Run;
use super::human::{grouped, size};
use super::when;
use crate::catalogue::Root;
use crate::document::{Column, Hue, Paint, Table};
use crate::escape::text;
use crate::inventory::{Artifact, Belongs, StoreIndex};
use crate::plan::Decision;
use crate::run::tally::Fate;

/// So many artifacts are worth a thread.
const AT_ONCE: usize = 4096;

/// What is done, in the order in which it is shown: what cannot be undone comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Act {
    /// Files go.
    Delete,
    /// Lines go.
    Prune,
    /// Files are encrypted.
    Encrypt,
}

impl Act {
    /// The word people read.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Its colour.
    pub fn hue(self) -> Hue {
        match self {
            Self::Delete => Hue::Bad,
            Self::Prune => Hue::Warn,
            Self::Encrypt => Hue::Plain,
        }
    }

    /// What a decision does.
    pub fn of(decision: Decision) -> Option<Self> {
        match decision {
            Decision::Keep(_) => None,
            Decision::Delete(_) => Some(Self::Delete),
            Decision::Prune(_) => Some(Self::Prune),
            Decision::Seal(_) => Some(Self::Encrypt),
        }
    }
}

/// Which row something is counted in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    act: Act,
    is_audit: bool,
    /// The store, where there are several with sessions.
    store: Option<StoreIndex>,
    /// The project; of a file that loses lines its path, and nothing where neither is known.
    place: Option<String>,
}

/// What one row counts.
#[derive(Debug, Default)]
struct Counts {
    sessions: u64,
    files: u64,
    lines: u64,
    bytes: u64,
    since: Option<DateTime<Utc>>,
    rules: Vec<String>,
}

impl Counts {
    fn join(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.files += other.files;
        self.lines += other.lines;
        self.bytes += other.bytes;
        self.since = [self.since, other.since].into_iter().flatten().min();
        for rule in other.rules {
            self.name(rule);
        }
    }

    /// In the order of the alphabet, so that equal runs say the same.
    fn name(&mut self, rule: String) {
        if let Err(at) = self.rules.binary_search(&rule) {
            self.rules.insert(at, rule);
        }
    }
}

impl Run<'_> {
    /// The table of what is done; without rows where nothing is.
    pub fn actions(&self, paint: Paint<'_>) -> Table {
        let rows = self.rows();
        let (stores, lines) =
            (rows.keys().any(|key| key.store.is_some()), rows.values().any(|counts| counts.lines > 0));
        let mut columns = vec![Column::new("action"), Column::path("project")];
        columns.extend(stores.then(|| Column::path("store").rank(2)));
        columns.extend([Column::number("sessions"), Column::number("files").rank(5)]);
        columns.extend(lines.then(|| Column::number("lines").rank(4)));
        columns.extend([
            Column::number("size").rank(1),
            Column::new("due since").rank(3),
            Column::text("rule").rank(6),
        ]);
        let mut table = Table::new(columns);
        for (key, counts) in rows {
            let word = if key.is_audit { "audit" } else { key.act.word() };
            let mut cells = vec![word.to_owned(), key.place.unwrap_or_else(|| "-".to_owned())];
            if stores {
                cells.push(
                    key.store.map_or_else(String::new, |store| text(&self.inventory.store(store).store.root)),
                );
            }
            cells.extend([number(counts.sessions), number(counts.files)]);
            cells.extend(lines.then(|| number(counts.lines)));
            cells.extend([
                size(counts.bytes),
                counts.since.map_or_else(|| "-".to_owned(), |since| when::day(since, self.plan.now, paint)),
                counts.rules.join(", "),
            ]);
            table.coloured(if key.is_audit { Hue::Plain } else { key.act.hue() }, cells);
        }
        table
    }

    fn rows(&self) -> BTreeMap<Key, Counts> {
        let several = self.has_several_stores();
        let artifacts = self.inventory.artifacts.par_iter().enumerate().with_min_len(AT_ONCE);
        let some = artifacts.fold(BTreeMap::default, |mut rows: BTreeMap<Key, Counts>, (at, artifact)| {
            let acts =
                matches!(self.fate(at), Some(Fate::Deleted | Fate::Sealed | Fate::Pruned | Fate::Audited));
            if acts
                && !artifact.is_own()
                && let Some((key, counts)) = self.row_of(at, artifact, several)
            {
                rows.entry(key).or_default().join(counts);
            }
            rows
        });
        let mut rows = some.reduce(BTreeMap::default, |mut rows, others| {
            for (key, counts) in others {
                rows.entry(key).or_default().join(counts);
            }
            rows
        });
        // A session is counted once, where its conversation lies, and not by one of its files.
        for (session, verdict) in self.sessions() {
            let Some(act) = Act::of(verdict.decision).filter(|_| self.is_done(session, verdict)) else {
                continue;
            };
            let key = Key {
                act,
                is_audit: self.is_audited(verdict.decision),
                store: several.then_some(session.store),
                place: session.project.as_deref().map(text),
            };
            if let Some(counts) = rows.get_mut(&key) {
                counts.sessions += 1;
            }
        }
        rows
    }

    fn row_of(&self, at: usize, artifact: &Artifact, several: bool) -> Option<(Key, Counts)> {
        let decision = *self.plan.decisions.get(at)?;
        let act = Act::of(decision)?;
        let (lines, bytes) = if act == Act::Prune { self.pruned(at) } else { (0, artifact.stamp.size) };
        let (store, place) = match (act, artifact.belongs) {
            (Act::Prune, _) => {
                (self.inventory.store_of(artifact), Some(text(&self.inventory.full_path(artifact))))
            }
            (_, Belongs::Session(index)) => {
                let session = self.inventory.session(index);
                (session.store, session.project.as_deref().map(text))
            }
            (_, Belongs::Loose) => {
                (self.inventory.store_of(artifact), self.inventory.project_named(artifact).map(text))
            }
        };
        let due = decision.due();
        let counts = Counts {
            files: 1,
            lines,
            bytes,
            since: due.map(|due| due.since()),
            rules: due.map(|due| text(&self.policy.rule_name(due.rule()))).into_iter().collect(),
            ..Counts::default()
        };
        let key = Key { act, is_audit: self.is_audited(decision), store: several.then_some(store), place };
        Some((key, counts))
    }

    /// Whether sessions lie in more than one folder of Claude Code.
    pub(super) fn has_several_stores(&self) -> bool {
        let mut stores = self.inventory.sessions.iter().map(|session| session.store);
        let config = |store: &StoreIndex| self.inventory.store(*store).store.kind == Root::Config;
        let first = stores.find(config);
        stores.any(|store| config(&store) && Some(store) != first)
    }
}

fn number(count: u64) -> String {
    if count == 0 { "-".to_owned() } else { grouped(count) }
}
