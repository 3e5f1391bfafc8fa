//! The locks of the stores that a run may change.

use super::{Context, Error, Workspace};
use crate::catalogue::Root;
use crate::enforce::lock::{self, LockError};
use crate::locate::{Refusal, Refused, Store};

/// Takes the locks of the stores that may be changed.
///
/// # Errors
/// Exit 75 where another run works or seems to hang, exit 1 where a store cannot be locked; nothing was changed.
pub fn lock_all(ground: &Workspace, ctx: &Context) -> Result<lock::Locks, Error> {
    let mut locks = lock::Locks::default();
    for at in to_lock(&ground.stores) {
        locks.take(&ground.stores[at]).map_err(|error| unlocked(error, ctx))?;
    }
    Ok(locks)
}

/// The stores that a run locks, always in one order: config folders that may be changed, and those that share a folder
/// with one.
fn to_lock(stores: &[Store]) -> Vec<usize> {
    // What lies beside them goes with them.
    let is_changed = |store: &&Store| store.kind == Root::Config && store.in_scope;
    let has_lock = |store: &Store| {
        is_changed(&store)
            || (store.without_own_folder().is_none()
                && stores.iter().filter(is_changed).any(|other| store.shares_with(other)))
    };
    let mut found: Vec<usize> = (0..stores.len()).filter(|at| has_lock(&stores[*at])).collect();
    // One order for all runs, whatever paths they reach the stores by: two that lock two stores crosswise would
    // each find the other.
    found.sort_by_key(|at| stores[*at].identity);
    found
}

fn unlocked(error: LockError, ctx: &Context) -> Error {
    match error {
        LockError::Held { store, since: Some(since) } if lock::is_stuck(since, ctx.env.now) => {
            Error::LockStuck { file: store.join("ccretain/lock"), since, now: ctx.env.now }
        }
        error => Error::Lock(error),
    }
}

/// Takes the locks for a run over all stores: one that cannot be written to is refused, and the others are done.
///
/// # Errors
/// Exit 75 where another run works, exit 4 where what is remembered cannot be read.
pub fn lock_writable(ground: &mut Workspace, ctx: &Context) -> Result<lock::Locks, Error> {
    // Then reads again what is remembered: what another run remembered until the locks were ours must not be
    // lost.
    let mut locks = lock::Locks::default();
    let Workspace { stores, refused, .. } = ground;
    for at in to_lock(stores) {
        match locks.take(&stores[at]) {
            Ok(()) => {}
            Err(LockError::File(error)) => {
                let failed = stores[at].clone();
                refuse(&mut stores[at], Refusal::Unlockable(error), refused);
                // A folder that it reaches is to be changed only under both locks.
                for store in stores.iter_mut().filter(|store| store.in_scope && store.shares_with(&failed)) {
                    refuse(store, Refusal::SharedUnlockable(failed.root.clone()), refused);
                }
            }
            Err(error) => return Err(unlocked(error, ctx)),
        }
    }
    ground.reload_state(ctx)?;
    Ok(locks)
}

fn refuse(store: &mut Store, why: Refusal, refused: &mut Vec<Refused>) {
    store.in_scope = false;
    refused.push(Refused { path: store.root.clone(), kind: store.kind, why });
}
