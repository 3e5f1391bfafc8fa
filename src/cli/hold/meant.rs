//! Which preservation copies are meant: those of a hold, or of a session.

use crate::catalogue::Root;
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::session;
use crate::enforce::preserve;
use crate::escape::{shown, text};
use crate::inventory::Inventory;
use crate::run::Workspace;
use crate::run::restore::Copies;

/// The copies that an argument means, and the stores that could not be asked. A hold of that very name is meant before
/// a session whose id begins so.
///
/// # Errors
/// Exit 2: there are none, or several sessions are meant.
pub(super) fn find(
    inventory: &Inventory,
    named: &str,
    ground: &Workspace,
    ctx: &Context,
) -> Result<(Copies, Vec<String>), Failure> {
    let (mut all, mut unlisted) = (Vec::new(), Vec::new());
    for (at, view) in inventory.stores.iter().enumerate() {
        if view.store.kind != Root::Config || !view.store.in_scope {
            continue;
        }
        match preserve::all(&view.store) {
            Ok(copies) => all.extend(copies.into_iter().map(|copy| (at, copy))),
            Err(error) => {
                let root = shown(&view.store.root);
                unlisted.push(format!("cannot look for preservation copies in '{root}': {error}"));
            }
        }
    }
    let is_hold = ground.policy.holds().any(|(hold, _)| hold.name == named)
        || all.iter().any(|(_, copy)| copy.hold == named);
    // Before sessions, as somebody may call a hold by the beginning of an id.
    if is_hold {
        all.retain(|(_, copy)| copy.hold == named);
        if all.is_empty() && unlisted.is_empty() {
            let message = format!("hold '{}' has no preservation copies", text(named));
            return Err(Failure::new(Exit::Usage, message)
                .hint("`ccretain hold add --preserve` makes them when a hold is placed"));
        }
    } else {
        let id = session::one_of(
            named,
            all.iter().map(|(_, copy)| copy.session),
            || "`ccretain hold list` shows the holds, and how many sessions each preserves",
        );
        // It may be among those that could not be listed.
        let id = id.map_err(|failure| match unlisted.as_slice() {
            [] => failure,
            some => Failure::new(Exit::Failed, format!("{}: {}", failure.message, some.join("; "))),
        })?;
        all.retain(|(_, copy)| copy.session == id);
        let mut stores: Vec<usize> = all.iter().map(|(at, _)| *at).collect();
        stores.dedup();
        if stores.len() > 1 && ctx.global.stores.is_empty() {
            let root = |at: &usize| Some(format!("'{}'", shown(&inventory.stores.get(*at)?.store.root)));
            let roots = stores.iter().filter_map(root).collect::<Vec<_>>();
            let message = format!("session {id} is preserved in several stores: {}", roots.join(", "));
            return Err(Failure::new(Exit::Usage, message).hint(session::in_store(&roots)));
        }
    }
    let mut copies = Copies::new();
    for (at, copy) in all {
        copies.entry((at, copy.session)).or_default().push(copy);
    }
    Ok((copies, unlisted))
}
