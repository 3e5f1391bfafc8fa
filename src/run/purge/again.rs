//! The second look of a purge, and what both looks come to.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::PurgeRun;
use crate::catalogue::SessionId;
use crate::dir::Dir;
use crate::enforce::Outcomes;
use crate::escape::text;
use crate::inventory::{Inventory, Problem};
use crate::ledger::SealedRecords;
use crate::locate::{Refusal, Refused, Store};
use crate::plan::purge::{self as taking, Purging};
use crate::purge::aftermath::{Aftermath, Looked};
use crate::purge::before;
use crate::run::{self, Context, Error};

/// A second look.
pub struct After {
    pub inventory: Inventory,
    pub purging: Purging,
    /// What was not taken, of what was asked for.
    pub refused: Vec<Refused>,
    /// What was not taken beside the stores that were named.
    pub refused_beside: Vec<Refused>,
}

impl PurgeRun<'_> {
    /// Locates and looks anew.
    pub(super) fn look_again(&self) -> After {
        // A root whose marks went with its content is looked at all the same.
        let mut ctx = self.ctx.clone();
        // Else what was written meanwhile would be dated ahead.
        ctx.env.now = self.now();
        // By what was read before the first change: a policy or a state that somebody breaks meanwhile must not
        // cost the purge its proof.
        let (policy, state) = (self.workspace.policy.clone(), self.workspace.state.clone());
        let mut ground = run::locate(&ctx, policy, state, self.found.clone());
        let known: HashSet<_> = ground.stores.iter().map(|store| (store.identity, store.kind)).collect();
        for store in
            self.workspace.stores.iter().filter(|store| !known.contains(&(store.identity, store.kind)))
        {
            let again = Dir::open(&store.root).and_then(|dir| dir.stat_self().map(|stat| (dir, stat.stamp)));
            if let Ok((dir, stamp)) = again
                // The very folder: a new one of that name was made after the first look, and is judged by its
                // own marks.
                && (stamp.device, stamp.inode) == store.identity
            {
                ground.stores.push(Store { dir: Arc::new(dir), ..store.clone() });
            }
        }
        let mut inventory = ground.inventory(&ctx);
        // The search is not made twice; what it could not see then it has not seen since. What this look met as well
        // is told once.
        let is_known = |problem: &&Problem| {
            let mut met = inventory.problems.iter();
            met.any(|met| (&met.path, met.doing) == (&problem.path, problem.doing))
        };
        let unsearched = self.inventory.problems.iter().filter(|problem| problem.store.is_none());
        let unsearched = unsearched.filter(|problem| !is_known(problem)).map(|problem| Problem {
            store: None,
            path: problem.path.clone(),
            doing: problem.doing,
            error: std::io::Error::other(problem.error.to_string()),
        });
        let unsearched: Vec<Problem> = unsearched.collect();
        inventory.problems.extend(unsearched);
        // Links and copies are numbered anew, as the two looks do not see the same files.
        let wanted = before::with_seen(self.wanted.clone(), &inventory);
        let purging = taking::purge(&inventory, &self.workspace.policy, &wanted, ctx.env.now);
        // What was a store before needs no mark to be one now, and nothing in it.
        let roots: Vec<&PathBuf> = inventory.stores.iter().map(|view| &view.store.root).collect();
        let was_taken = |refused: &Refused| {
            matches!(refused.why, Refusal::NoMark | Refusal::Emptied)
                && fs_err::canonicalize(&refused.path).is_ok_and(|path| roots.contains(&&path))
        };
        ground.refused.retain(|refused| !was_taken(refused));
        let (refused, refused_beside) =
            ground.refused.into_iter().partition(|refused| self.is_meant(refused));
        After { inventory, purging, refused, refused_beside }
    }

    /// What was done and what is left, by both looks and the ledger.
    pub(super) fn sum_up(&self, outcomes: &Outcomes, after: &After) -> Aftermath {
        // The parent's ledger is not the user's to read: what it may say is taken for said.
        let was_plain = |session: SessionId| {
            self.sealed_here.as_ref().is_none_or(|sealed| sealed.may_know(&session.to_string()))
        };
        let looked = Looked {
            before: &self.inventory,
            purging: &self.purging,
            outcomes,
            after: &after.inventory,
            again: &after.purging,
            refused: &after.refused,
            time: self.now(),
        };
        looked.sum_up(&was_plain)
    }
}

/// What was sealed on this machine, by the user's own ledger; `None` in a child of a run over all users.
///
/// # Errors
/// Exit 4: the ledger or its key cannot be read.
pub(super) fn sealed_here(ctx: &Context, inventory: &Inventory) -> Result<Option<SealedRecords>, Error> {
    if ctx.parent.is_some() {
        return Ok(None);
    }
    let roots: Vec<String> = inventory.stores.iter().map(|view| text(&view.store.root)).collect();
    SealedRecords::load(&ctx.env.ledger_dir(), &ctx.env.state_dir(), &[], &roots)
        .map(Some)
        .map_err(Error::LedgerUnread)
}
