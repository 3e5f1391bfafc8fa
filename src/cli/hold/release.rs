//! `ccretain hold release`: a hold of one's own ends, and its copies go.

use super::sight::{Sight, given};
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::vault;
use crate::enforce::lock::Locks;
use crate::escape::{shown, text};
use crate::ledger::Event;
use crate::policy::{Hold, Layer};
use crate::report::hold::HoldDone;
use crate::run::Workspace;
use crate::run::holding::{Holding, copies};

pub(super) fn release(
    name: &str,
    reason: &str,
    ground: &Workspace,
    sight: &Sight,
    locks: Locks,
    ctx: &Context,
) -> Result<Exit, Failure> {
    given("reason", reason)?;
    let mut holding = Holding::begin("hold-release", ground, &sight.inventory, locks, ctx)?;
    // Of a name that several layers use only the user's own is released here.
    let at = holding.own.iter().position(|hold| hold.name == name);
    // Copies of a hold that somebody took out of its file would stay for ever.
    let is_known = ground.policy.holds().any(|(hold, _)| hold.name == name);
    if at.is_none() && (is_known || copies(ground, name).0 == 0) {
        return Err(not_own(name, ground));
    }
    let is_this = |hold: &Hold| hold.name == name && hold.source.path.as_ref() == Some(&holding.path);
    let report = ground
        .policy
        .holds()
        .find(|(hold, _)| is_this(hold))
        .map(|(hold, binds_all)| sight.report(hold, binds_all, ctx.global.verbose > 0));
    if let Some(at) = at {
        holding.own.remove(at);
        holding.write(Event::HoldReleased, name, reason)?;
    }
    let failed = holding.remove_copies(name, ground)?;
    let errors: Vec<String> = ground.policy.complaints.iter().cloned().chain(failed).collect();
    let exit = if errors.is_empty() { Exit::Done } else { Exit::Failed };
    let closed = holding.end(exit.code(), |state| {
        // What is no longer held may go, and is then not told of as vanished.
        state.held.retain(|held| held.hold != name);
    });
    let exit = vault::end(ctx, exit, None, closed);
    errors.iter().for_each(|error| ctx.console.error(error));
    match report {
        Some(hold) if ctx.global.json => {
            let because = Some(text(reason));
            ctx.console.json(&HoldDone { schema: "ccretain.hold-release/1", hold, because, errors })?;
        }
        None if ctx.global.json => ctx.console.json(&serde_json::json!({
            "schema": "ccretain.hold-release/1", "hold": {"name": text(name)}, "because": text(reason), "errors": errors,
        }))?,
        _ => ctx.console.sentences(&format!("hold '{}' released\n", text(name)))?,
    }
    Ok(exit)
}

/// Why a hold that is not in the user's own file is not released.
fn not_own(name: &str, ground: &Workspace) -> Failure {
    let found = ground.policy.holds().map(|(hold, _)| hold).find(|hold| hold.name == name);
    let Some(hold) = found else {
        return Failure::new(Exit::Usage, format!("there is no hold named '{}'", text(name)))
            .hint("`ccretain hold list` shows the holds");
    };
    let place = hold.source.path.as_ref().map(|path| format!(" '{}'", shown(path))).unwrap_or_default();
    let message = format!(
        "hold '{}' is not released: it stands in the {} policy{place}",
        text(name),
        hold.source.layer
    );
    let hint = match hold.source.layer {
        Layer::User => "take it out of that file",
        Layer::BuiltIn | Layer::System | Layer::Managed => "only whoever keeps that policy can release it",
    };
    Failure::new(Exit::Refused, message).hint(hint)
}
