//! Preservation copies of what a hold covers, out of the reach of Claude Code's own cleanup.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Context, Error, LedgeredRun, Workspace};
use crate::catalogue::Root;
use crate::enforce::preserve::{Preserved, Preserving};
use crate::escape::text;
use crate::hold;
use crate::inventory::{Inventory, Problem};
use crate::ledger::{self, Entry, Event};
use crate::policy::Hold;
use crate::seal::Recipients;

/// Copies what a hold covers now, each session recorded before and after; gives what failed.
///
/// # Errors
/// The ledger cannot be written.
pub fn keep_copies(
    hold: &Hold,
    ground: &Workspace,
    inventory: &Inventory,
    recipients: &Recipients,
    run: &mut LedgeredRun,
    ctx: &Context,
) -> Result<Vec<(PathBuf, String)>, Error> {
    let preserving = Preserving {
        inventory,
        hold: &hold.name,
        recipients,
        compression: ground.policy.compression.value,
        now: ctx.env.now,
    };
    let (mut all_failed, mut stores) = (Vec::new(), BTreeSet::new());
    for index in hold::coverage(inventory, hold).sessions {
        let session = inventory.session(index);
        stores.insert(session.store);
        let store = &inventory.store(session.store).store;
        // What is sealed already is out of the client's reach.
        if session.plain + session.unsealable == 0 || !store.in_scope || store.kind != Root::Config {
            continue;
        }
        let mut entry = Entry::new(Event::Intent);
        entry.hold = Some(text(&hold.name).into());
        entry.session = Some(session.id.to_string().into());
        entry.store = Some(text(&store.root).into());
        entry.decision = Some("preserve".into());
        run.record(std::slice::from_ref(&entry), ctx)?;
        let Preserved { bytes, sealed, failed } = preserving.session(index);
        entry.files = Some(sealed.len() as u64);
        entry.bytes = Some(bytes);
        entry.sealed = sealed;
        entry.outcome = Some(if failed.is_empty() { "preserved" } else { "failed" }.into());
        entry.failed = failed
            .iter()
            .map(|(path, why)| ledger::Failure { path: text(path).into(), error: why.clone().into() })
            .collect();
        entry.event = Event::Outcome;
        run.record(&[entry], ctx)?;
        all_failed.extend(failed);
    }
    // What could not be read in the store of a session, or in a folder that every store may use, may be the session's,
    // and of what its copy lacks nobody would hear.
    let may_hold = |store| stores.contains(&store) || inventory.store(store).store.kind != Root::Config;
    let is_there = |problem: &&Problem| problem.store.is_some_and(may_hold);
    let unread = inventory.problems.iter().filter(is_there);
    all_failed.extend(
        unread
            .map(|Problem { path, doing, error, .. }| (path.clone(), format!("cannot {doing} it: {error}"))),
    );
    Ok(all_failed)
}
