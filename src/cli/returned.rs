//! What came back although it was deleted: asked of the user's own ledger and, in a child, of that of all.

use super::context::Context;
use crate::check::facts::CameBack;
use crate::check::returned;
use crate::error::chain;
use crate::inventory::Inventory;
use crate::ledger::{self, Names};

/// What lies in the stores again although a ledger says that it was deleted.
///
/// # Errors
/// In words: a ledger or its key cannot be read.
pub(super) fn came_back(inventory: &Inventory, ctx: &Context) -> Result<Vec<CameBack>, String> {
    let (candidates, sought) = returned::candidates(inventory);
    let names = Names::load(&ctx.env.state_dir()).map_err(|error| chain(&error))?;
    let own = ledger::deletions(&ctx.env.ledger_dir(), names.as_ref(), None, &sought);
    let mut deletions = own.map_err(|error| chain(&error))?;
    if let Some(parent) = &ctx.parent {
        let of_all = parent.deletions(sought).map_err(|error| chain(&error))?;
        for (at, deletion) in of_all {
            match deletions.get(&at) {
                Some(own) if own.time >= deletion.time => {}
                _ => drop(deletions.insert(at, deletion)),
            }
        }
    }
    Ok(returned::came_back(inventory, &candidates, deletions))
}
