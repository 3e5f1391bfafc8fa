//! What the next run must know so that its plan agrees with this one. Pure.

use std::collections::{BTreeSet, HashSet};

use chrono::TimeDelta;

use super::{Decision, Plan};
use crate::catalogue::{Kind, SessionId};
use crate::escape::text;
use crate::inventory::lines::Line;
use crate::inventory::memory::{Memory, RememberedLine, RememberedSession};
use crate::inventory::{ArtifactIndex, Inventory, Session, StoreIndex};
use crate::policy::Policy;

/// How long a session of which nothing is left is remembered where no rule ever deletes it.
const KEPT: TimeDelta = TimeDelta::days(400);

/// What is to be remembered of sessions beside a plan, of which `is_gone` says what was carried out: as long as a file of
/// a session is there, it is known what dated it.
pub fn memory(
    inventory: &Inventory,
    plan: &Plan,
    policy: &Policy,
    is_gone: &dyn Fn(ArtifactIndex) -> bool,
) -> Memory {
    let going = Going { inventory, plan, policy };
    let (lines, named) = going.lines();
    let mut sessions = going.sessions(&named, is_gone);
    sessions.extend(going.absent(&named));
    sessions.extend(inventory.absent.unplaced.iter().cloned());
    sessions.sort_unstable();
    Memory { sessions, slug_key: inventory.slug_key.clone(), lines }
}

/// A plan as one that is carried out: what is only reported stays.
struct Going<'a> {
    inventory: &'a Inventory,
    plan: &'a Plan,
    policy: &'a Policy,
}

impl Going<'_> {
    fn is_acted_on(&self, decision: &Decision) -> bool {
        decision.due().is_some_and(|due| !self.policy.audits(due.rule()))
    }

    fn is_deleted(&self, decision: &Decision) -> bool {
        matches!(decision, Decision::Delete(_)) && self.is_acted_on(decision)
    }

    fn goes(&self, index: ArtifactIndex) -> bool {
        self.plan.decisions.get(index.at()).is_some_and(|decision| self.is_deleted(decision))
    }

    fn root(&self, store: StoreIndex) -> String {
        text(&self.inventory.store(store).store.root)
    }

    /// The pastes that stay, by their hashes.
    fn kept_pastes(&self) -> HashSet<(StoreIndex, &str)> {
        let inventory = self.inventory;
        let pastes =
            inventory.artifacts.iter().zip(&self.plan.decisions).filter(|(artifact, decision)| {
                artifact.kind == Some(Kind::Paste) && !self.is_deleted(decision)
            });
        pastes
            .map(|(artifact, _)| {
                let name = inventory.name(artifact).to_str().unwrap_or_default();
                let hash = name.split_once('.').map_or(name, |(hash, _)| hash);
                (inventory.store_of(artifact), hash)
            })
            .collect()
    }

    /// The lines that go and refer to a paste that stays; and the sessions that lines name which stay.
    fn lines(&self) -> (Vec<RememberedLine>, HashSet<SessionId>) {
        let inventory = self.inventory;
        let kept_pastes = self.kept_pastes();
        let mut lines: Vec<RememberedLine> = inventory.absent.elsewhere.clone();
        let mut named: HashSet<SessionId> = HashSet::new();
        let remember = |store: StoreIndex, hash: &str, line: &Line| RememberedLine {
            root: self.root(store),
            paste: hash.to_owned(),
            date: line.date,
            project: line.project.as_deref().map(str::to_owned),
            session: line.session,
        };
        for (file, decisions) in inventory.line_files.iter().zip(&self.plan.lines) {
            let store = inventory.store_of(inventory.artifact(file.artifact));
            let content = &file.content;
            let stays =
                content.lines.iter().zip(decisions).filter(|(_, decision)| !self.is_acted_on(decision));
            named.extend(stays.filter_map(|(line, _)| line.session));
            for (hash, at) in &content.references {
                let at = *at as usize;
                if let (Some(line), Some(decision)) = (content.lines.get(at), decisions.get(at))
                    && self.is_acted_on(decision)
                    && kept_pastes.contains(&(store, &**hash))
                {
                    lines.push(remember(store, hash, line));
                }
            }
        }
        let absent = inventory.absent.lines.iter();
        let absent = absent.filter(|(store, hash, _)| kept_pastes.contains(&(*store, &**hash)));
        lines.extend(absent.map(|(store, hash, line)| remember(*store, hash, line)));
        lines.sort_unstable();
        lines.dedup();
        named.extend(lines.iter().filter_map(|line| line.session));
        (lines, named)
    }

    /// The sessions of which anything stays, or which a line names that does.
    fn sessions(
        &self,
        named: &HashSet<SessionId>,
        is_gone: &dyn Fn(ArtifactIndex) -> bool,
    ) -> Vec<RememberedSession> {
        let all = self.inventory.sessions.iter().enumerate();
        let is_left = |session: &Session| {
            named.contains(&session.id) || self.inventory.files(session).iter().any(|index| !is_gone(*index))
        };
        let left = all.filter(|(_, session)| is_left(session));
        left.flat_map(|(at, session)| self.rows(at, session)).collect()
    }

    /// What is remembered of one session: a row a store that it will be of.
    fn rows(&self, at: usize, session: &Session) -> Vec<RememberedSession> {
        let files = self.inventory.files(session);
        let mut row = self.inventory.remembered(session);
        // The newest may be among what goes.
        if !session.is_shown() && files.iter().any(|index| self.goes(*index)) {
            // Else what is left would be dated earlier at the next run, and go before its time.
            row.files = session.modified;
        }
        let sealed =
            files.iter().filter_map(|index| self.plan.sealing_store(self.inventory, self.policy, *index));
        let mut sealed: BTreeSet<StoreIndex> = sealed.collect();
        if !sealed.is_empty() {
            // What its record says later is held against this.
            row.sealing = row.sealing.or_else(|| session.sealed_now());
        }
        if session.is_shown() {
            sealed.clear();
        }
        if sealed.is_empty() {
            return vec![row];
        }
        // Sealed, it is no orphan any more, and what stays plain of it may be dated earlier.
        row.record = self.plan.sessions.get(at).and_then(|verdict| verdict.date);
        sealed.into_iter().map(|store| RememberedSession { root: self.root(store), ..row.clone() }).collect()
    }

    /// The sessions that were not found and are remembered all the same.
    fn absent(&self, named: &HashSet<SessionId>) -> impl Iterator<Item = RememberedSession> {
        let (inventory, plan) = (self.inventory, self.plan);
        let rows = inventory.absent.sessions.iter().zip(&plan.absent);
        rows.filter_map(|((session, root), verdict)| {
            let is_over = match (verdict.decision, verdict.deletion) {
                // What could not be looked into may still hold it, and a line that stays goes by its date.
                _ if !inventory.is_complete || named.contains(&session.id) => false,
                (Decision::Delete(_), _) => true,
                (_, Some(_)) => false,
                (_, None) => verdict.date.is_none_or(|date| plan.now.signed_duration_since(date) > KEPT),
            };
            (!is_over).then(|| session.remembered(root.clone()))
        })
    }
}
