//! What the next run must know so that its plan agrees with this one. Pure.

use std::collections::{BTreeSet, HashSet};

use chrono::TimeDelta;

use super::{Decision, Plan};
use crate::catalogue::{Kind, SessionId};
use crate::escape::text;
use crate::inventory::memory::{Memory, RememberedLine, RememberedSession};
use crate::inventory::{Inventory, StoreIndex};
use crate::policy::Policy;

/// How long a session of which nothing is left is remembered where no rule ever deletes it.
const KEPT: TimeDelta = TimeDelta::days(400);

/// What is to be remembered of sessions once a plan is carried out.
#[must_use]
pub fn memory(inventory: &Inventory, plan: &Plan, policy: &Policy) -> Memory {
    // What is only reported stays.
    let is_acted_on = |decision: &Decision| decision.due().is_some_and(|due| !policy.audits(due.rule()));
    let goes = |decision: &Decision| matches!(decision, Decision::Delete(_)) && is_acted_on(decision);
    let hash = |at: usize| {
        let name = inventory.name(&inventory.artifacts[at]).to_str().unwrap_or_default();
        name.split_once('.').map_or(name, |(hash, _)| hash)
    };
    let kept_pastes: HashSet<(StoreIndex, &str)> = inventory
        .artifacts
        .iter()
        .zip(&plan.decisions)
        .enumerate()
        .filter(|(_, (artifact, decision))| artifact.kind == Some(Kind::Paste) && !goes(decision))
        .map(|(at, (artifact, _))| (inventory.store_of(artifact), hash(at)))
        .collect();
    let mut lines: Vec<RememberedLine> = inventory.absent.elsewhere.clone();
    let mut named: HashSet<SessionId> = HashSet::new();
    let root = |store: StoreIndex| text(&inventory.store(store).store.root);
    let remember = |store: StoreIndex, hash: &str, line: &crate::inventory::lines::Line| RememberedLine {
        root: root(store),
        paste: hash.to_owned(),
        date: line.date,
        project: line.project.as_deref().map(str::to_owned),
        session: line.session,
    };
    for (file, decisions) in inventory.line_files.iter().zip(&plan.lines) {
        let store = inventory.store_of(inventory.artifact(file.artifact));
        let content = &file.content;
        let stays = content.lines.iter().zip(decisions).filter(|(_, decision)| !is_acted_on(decision));
        named.extend(stays.filter_map(|(line, _)| line.session));
        for (hash, at) in &content.references {
            let at = *at as usize;
            if let (Some(line), Some(decision)) = (content.lines.get(at), decisions.get(at))
                && is_acted_on(decision)
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
    let is_left = |at: usize| {
        let session = &inventory.sessions[at];
        let mut files = inventory.files(session).iter();
        named.contains(&session.id) || files.any(|index| !plan.decisions.get(index.at()).is_some_and(goes))
    };
    let found = (0..inventory.sessions.len()).filter(|at| is_left(*at));
    let rows = |at: usize| {
        let session = &inventory.sessions[at];
        let files = inventory.files(session);
        let mut row = inventory.remembered(session);
        // The newest may be among what goes.
        if !session.is_shown() && files.iter().any(|index| plan.decisions.get(index.at()).is_some_and(goes)) {
            row.files = session.modified;
        }
        let sealed = files.iter().filter_map(|index| plan.sealing_store(inventory, policy, *index));
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
        row.record = plan.sessions.get(at).and_then(|verdict| verdict.date);
        sealed.into_iter().map(|store| RememberedSession { root: root(store), ..row.clone() }).collect()
    };
    let mut sessions: Vec<_> = found.flat_map(rows).collect();
    for ((session, root), verdict) in inventory.absent.sessions.iter().zip(&plan.absent) {
        let is_over = match (verdict.decision, verdict.deletion) {
            _ if !inventory.is_complete || named.contains(&session.id) => false,
            (Decision::Delete(_), _) => true,
            (_, Some(_)) => false,
            (_, None) => verdict.date.is_none_or(|date| plan.now.signed_duration_since(date) > KEPT),
        };
        if !is_over {
            sessions.push(session.remembered(root.clone()));
        }
    }
    sessions.sort_unstable();
    Memory { sessions, slug_key: inventory.slug_key.clone(), lines }
}
