//! What an inventory and a plan say about the posture. Reads no file but the records of what is
//! sealed.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::facts::{SealedFacts, StoreFacts, Unruled};
use crate::catalogue::Kind;
use crate::enforce::preserve;
use crate::enforce::sealed::SealedSession;
use crate::error::chain;
use crate::escape::{shown, text};
use crate::inventory::{Artifact, Belongs, Inventory, Oddity};
use crate::plan::{Decision, Keep, Plan, has_delete_rule};
use crate::policy::Policy;
use crate::seal::{Recipients, naming};

/// An unfinished file younger than this is a run's that is working now.
const AT_WORK: TimeDelta = TimeDelta::hours(1);

/// The stores, with what is due in each for longer than `grace`; `plan` is `None` where there is no
/// policy to judge by.
pub fn stores(
    inventory: &Inventory,
    plan: Option<&Plan>,
    now: DateTime<Utc>,
    grace: TimeDelta,
) -> Vec<StoreFacts> {
    let mut stores: Vec<StoreFacts> = inventory
        .stores
        .iter()
        .map(|view| StoreFacts {
            root: text(&view.store.root),
            kind: view.store.kind.word(),
            owner: text(&view.store.owner_name),
            ..StoreFacts::default()
        })
        .collect();
    let is_over = |since: DateTime<Utc>| now.signed_duration_since(since) > grace;
    let mut counted = HashSet::new();
    let mut sessions = Vec::new();
    for (at, artifact) in inventory.artifacts.iter().enumerate() {
        let store = &mut stores[inventory.store_of(artifact).at()];
        count_file(store, artifact, inventory.name(artifact), now);
        let Some(decision) = plan.and_then(|plan| plan.decisions.get(at)) else { continue };
        let amount = match decision {
            Decision::Delete(_) => &mut store.overdue,
            Decision::Seal(_) => &mut store.unsealed,
            Decision::Keep(_) | Decision::Prune(_) => continue,
        };
        let Some(due) = decision.due().filter(|due| is_over(due.since())) else { continue };
        if !artifact.is_own() {
            amount.files += 1;
            amount.bytes += artifact.stamp.size;
        }
        amount.saw(due.since());
        if let Belongs::Session(session) = artifact.belongs
            && counted.insert(session)
        {
            sessions.push((session, *decision));
        }
    }
    // A session counts once, in the store that it is of, wherever its files lie.
    for (session, decision) in sessions {
        let store = &mut stores[inventory.session(session).store.at()];
        match decision {
            Decision::Seal(_) => store.unsealed.sessions += 1,
            _ => store.overdue.sessions += 1,
        }
    }
    for (at, session) in inventory.sessions.iter().enumerate() {
        let store = &mut stores[session.store.at()];
        store.sessions += 1;
        let date = plan.and_then(|plan| plan.sessions.get(at)?.date).or(session.newest_record);
        if let Some(date) = date.filter(|date| *date <= now) {
            store.oldest = Some(store.oldest.map_or(date, |oldest| oldest.min(date)));
        }
    }
    let lines = plan.map(|plan| &plan.lines).into_iter().flatten();
    for (file, lines) in inventory.line_files.iter().zip(lines) {
        let store = &mut stores[inventory.store_of(inventory.artifact(file.artifact)).at()];
        for due in lines.iter().filter_map(|line| line.due()).filter(|due| is_over(due.since())) {
            store.overdue.lines += 1;
            store.overdue.saw(due.since());
        }
    }
    stores
}

/// Counts one file, whatever is decided about it.
fn count_file(store: &mut StoreFacts, artifact: &Artifact, name: &OsStr, now: DateTime<Utc>) {
    if !artifact.is_own() {
        store.artifacts += 1;
        store.bytes += artifact.stamp.size;
    }
    if artifact.kind == Some(Kind::HeapSnapshot) && artifact.oddity == Oddity::None {
        store.heap.files += 1;
        store.heap.bytes += artifact.stamp.size;
    }
    let written = artifact.stamp.changed.date();
    let is_left = artifact.kind == Some(Kind::OwnLeftover)
        // A finished copy in the same folder is no leftover; only drafts have such names.
        && naming::is_part(name)
        && written.is_none_or(|written| now.signed_duration_since(written) > AT_WORK);
    if is_left {
        store.leftovers.files += 1;
        store.leftovers.bytes += artifact.stamp.size;
        if let Some(written) = written {
            store.leftovers.saw(written);
        }
    }
}

/// What no rule reaches.
pub fn unruled(inventory: &Inventory, plan: &Plan, policy: &Policy) -> Unruled {
    let mut unruled = Unruled::default();
    for (session, verdict) in inventory.sessions.iter().zip(&plan.sessions) {
        unruled.no_delete_rule += u64::from(!has_delete_rule(policy, session));
        match verdict.decision {
            Decision::Keep(Keep::FutureDated) => {
                unruled.future_dated += 1;
                unruled.future_is_managed |= policy.is_managed();
            }
            Decision::Keep(Keep::Undated) => unruled.undated += 1,
            Decision::Keep(Keep::OwnerUnknown) => unruled.owner_unknown += 1,
            _ => {}
        }
    }
    for (artifact, decision) in inventory.artifacts.iter().zip(&plan.decisions) {
        if let Decision::Keep(Keep::Unrecognised) = decision {
            unruled.unrecognised += 1;
            unruled.unrecognised_bytes += artifact.stamp.size;
        }
    }
    unruled
}

/// Preservation copies of holds that there are none of: a sentence a hold with what removes them, and how many.
pub fn left_copies(inventory: &Inventory, policy: &Policy) -> (Vec<String>, u64) {
    let mut left: BTreeMap<String, (u64, PathBuf)> = BTreeMap::new();
    for (hold, path) in inventory.preserved() {
        if policy.holds().all(|(known, _)| known.name != hold) {
            left.entry(hold).or_insert((0, path)).0 += 1;
        }
    }
    let count = left.values().map(|(count, _)| count).sum();
    let sentence = |(hold, (count, path)): (String, (u64, PathBuf))| {
        let sessions = if count == 1 { "session" } else { "sessions" };
        let name = text(&hold);
        let how = if preserve::can_be_folder(&hold) {
            format!("`ccretain hold release {name} --reason TEXT` removes them")
        } else {
            format!("remove '{}' by hand", shown(path.parent().unwrap_or(&path)))
        };
        format!("hold '{name}', {count} {sessions}: {how}")
    };
    (left.into_iter().map(sentence).collect(), count)
}

/// To whom what is sealed is sealed, as far as its records say.
pub fn sealed(inventory: &Inventory, recipients: Option<&Recipients>) -> SealedFacts {
    let today = recipients.map(Recipients::digest);
    let mut sealed = SealedFacts { has_recipients: today.is_some(), ..SealedFacts::default() };
    for session in inventory.sessions.iter().filter(|session| session.sealed > 0) {
        sealed.sessions += 1;
        sealed.redated += u64::from(session.dated_at_sealing().is_some());
        let store = &inventory.store(session.store).store;
        let files = inventory.files(session).iter().map(|index| inventory.artifact(*index));
        let files = files.map(|artifact| inventory.path(artifact));
        let opened = SealedSession::open(store, session.id).and_then(|opened| {
            let below = |path: PathBuf| path.strip_prefix(&opened.below).ok().map(Path::to_path_buf);
            opened.names_all(files.filter_map(below))?;
            Ok(opened)
        });
        match opened {
            Err(error) => sealed.unreadable.push((session.id.to_string(), chain(&error))),
            Ok(opened) => match (&opened.record.recipients, &today) {
                // Not told as "to others": records before this key was written are no fault of anybody's.
                (None, _) => sealed.to_unknown += 1,
                (Some(then), Some(today)) if then != today => sealed.to_others += 1,
                _ => {}
            },
        }
    }
    sealed
}
