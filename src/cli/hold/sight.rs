//! What the commands about holds look at.

use std::collections::HashMap;

use crate::cli::context::{Context, Exit, Failure};
use crate::client::ClientSettings;
use crate::hold::{self, Coverage};
use crate::inventory::Inventory;
use crate::policy::Hold;
use crate::report::hold::HoldReport;
use crate::run::{self, Workspace};

/// What lies in the stores, and what Claude Code is set to do with it.
pub(super) struct Sight {
    pub inventory: Inventory,
    clients: HashMap<usize, ClientSettings>,
}

impl Sight {
    pub(super) fn new(ground: &Workspace, ctx: &Context) -> Self {
        let inventory = ground.inventory(ctx);
        let clients = run::clients(&inventory, ctx).into_iter().collect();
        Self { inventory, clients }
    }

    pub(super) fn report(&self, hold: &Hold, binds_all: bool, with_items: bool) -> HoldReport {
        let coverage: Coverage = hold::coverage(&self.inventory, hold);
        let sweeping = hold::sweeping(&self.inventory, hold, &coverage, &self.clients);
        HoldReport::new(hold, binds_all, &self.inventory, &coverage, &sweeping, with_items)
    }
}

pub(super) fn given(what: &str, said: &str) -> Result<(), Failure> {
    if said.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, format!("the {what} is empty")));
    }
    Ok(())
}
