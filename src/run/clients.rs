//! Claude Code's settings for what lies in the stores.

use std::path::PathBuf;

use super::Context;
use crate::catalogue::Root;
use crate::client::{self, ClientPlaces, ClientSettings};
use crate::inventory::Inventory;

/// Claude Code's settings for each config store: those of the machine, the store's own, and those
/// of every project that it holds sessions of.
pub fn clients(inventory: &Inventory, ctx: &Context) -> Vec<(usize, ClientSettings)> {
    let stores = inventory.stores.iter().enumerate();
    let machine = client::Machine::read(&ClientPlaces::new(&ctx.env));
    stores
        .filter(|(_, view)| view.store.kind == Root::Config && !view.store.is_excluded)
        .map(|(at, view)| {
            let mut projects: Vec<PathBuf> = inventory
                .sessions
                .iter()
                .filter(|session| session.store.at() == at)
                .filter_map(|session| session.project.as_deref().map(PathBuf::from))
                .filter(|project| project.is_absolute())
                .collect();
            projects.sort();
            projects.dedup();
            let places =
                ClientPlaces { config_dirs: vec![view.store.root.clone()], ..ClientPlaces::new(&ctx.env) };
            (at, client::read_beside(&machine, &places, &projects))
        })
        .collect()
}
