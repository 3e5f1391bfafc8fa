//! What the commands about holds look at.

use std::collections::HashMap;

use crate::catalogue::Root;
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::status;
use crate::client::ClientSettings;
use crate::enforce::preserve;
use crate::escape::shown;
use crate::hold::{self, Coverage};
use crate::inventory::Inventory;
use crate::policy::Hold;
use crate::report::hold::HoldReport;
use crate::run::Workspace;

/// What lies in the stores, and what Claude Code is set to do with it.
pub(super) struct Sight {
    pub inventory: Inventory,
    clients: HashMap<usize, ClientSettings>,
}

impl Sight {
    pub(super) fn new(ground: &Workspace, ctx: &Context) -> Self {
        let inventory = ground.inventory(ctx);
        let clients = status::clients(&inventory, ctx).into_iter().collect();
        Self { inventory, clients }
    }

    pub(super) fn report(&self, hold: &Hold, binds_all: bool, with_items: bool) -> HoldReport {
        let coverage: Coverage = hold::coverage(&self.inventory, hold);
        let sweeping = hold::sweeping(&self.inventory, hold, &coverage, &self.clients);
        HoldReport::new(hold, binds_all, &self.inventory, &coverage, &sweeping, with_items)
    }
}

/// How many sessions of a hold have a copy, and the stores that could not be asked.
pub(super) fn copies(ground: &Workspace, name: &str) -> (usize, Vec<String>) {
    let (mut found, mut unknown) = (0, Vec::new());
    for store in ground.stores.iter().filter(|store| store.kind == Root::Config) {
        match preserve::count(store, name) {
            Ok(count) => found += count,
            Err(error) => {
                unknown.push(format!("cannot look for copies in '{}': {error}", shown(&store.root)))
            }
        }
    }
    (found, unknown)
}

pub(super) fn given(what: &str, said: &str) -> Result<(), Failure> {
    if said.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, format!("the {what} is empty")));
    }
    Ok(())
}
