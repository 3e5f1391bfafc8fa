//! The first look of a purge: every store below the home, locked.

use std::path::PathBuf;

use crate::catalogue::Root;
use crate::enforce::lock::Locks;
use crate::error::PathError;
use crate::inventory::{Inventory, Problem};
use crate::locate::search;
use crate::policy::Policy;
use crate::run::{self, Context, Error, Workspace};

/// The roots that a search of the home has found.
pub type Found = Vec<(PathBuf, Root)>;

/// What a purge works on.
pub struct Look {
    pub workspace: Workspace,
    pub inventory: Inventory,
    pub(super) found: Found,
    pub(super) locks: Option<Locks>,
}

/// The stores below the home, which are yet to be locked and looked into.
pub struct Located {
    pub workspace: Workspace,
    found: Found,
    unreadable: Vec<PathError>,
}

impl Located {
    /// Looks for stores below the home, beside those that are known.
    ///
    /// # Errors
    /// As [`run::prepare()`].
    pub fn new(ctx: &Context) -> Result<Self, Error> {
        let policy = run::in_force(ctx)?;
        let searched = search_home(ctx, &policy);
        let found: Found = searched.found.iter().map(|one| (one.root.clone(), one.kind)).collect();
        // Located with those that are known, so that a root that is reached in two ways is one store.
        let workspace = run::prepare_with(ctx, policy, found.clone())?;
        Ok(Self { workspace, found, unreadable: searched.unreadable })
    }

    /// The folders in which a certificate would be one of the files that it speaks of.
    pub fn roots(&self) -> Vec<PathBuf> {
        let whole = self.workspace.stores.iter().filter(|store| !store.kind.is_shared());
        whole.map(|store| store.root.clone()).collect()
    }

    /// Takes the locks, unless nothing is to be changed, and looks.
    ///
    /// # Errors
    /// As [`run::lock_writable`].
    pub fn look(mut self, ctx: &Context, dry_run: bool) -> Result<Look, Error> {
        // Before the look: what is found must be what is there when it is removed.
        let locks = if dry_run { None } else { Some(run::lock_writable(&mut self.workspace, ctx)?) };
        let mut inventory = self.workspace.inventory(ctx);
        // A folder that could not be searched may hold a store, so a purge beside it is not complete.
        inventory.problems.extend(self.unreadable.into_iter().map(unsearched));
        Ok(Look { workspace: self.workspace, inventory, found: self.found, locks })
    }
}

/// Looks for stores below the home; not where the stores are named.
fn search_home(ctx: &Context, policy: &Policy) -> search::Search {
    // Who names stores wants those, and none that happens to lie around.
    if !ctx.stores.is_empty() {
        return search::Search::default();
    }
    let left_out: Vec<PathBuf> =
        policy.excluded_stores.iter().map(|excluded| ctx.env.absolute(&excluded.value)).collect();
    let bar = ctx.screen.progress(1, "looking for stores below the home");
    let found = search::search(&ctx.env.user.real_home, &left_out);
    bar.finish_and_clear();
    found
}

/// A folder below the home that could not be looked into, so that a store may be there.
fn unsearched(error: PathError) -> Problem {
    Problem { store: None, path: error.path, doing: "look for stores in", error: error.source }
}
