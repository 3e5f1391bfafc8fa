//! `ccretain hold release`: a hold of one's own ends, and its copies go.

use super::record::{close, open, record, undone};
use super::sight::{Sight, copies, given};
use crate::catalogue::Root;
use crate::cli::context::{Context, Exit, Failure};
use crate::enforce::lock::Locks;
use crate::enforce::preserve;
use crate::escape::{shown, text};
use crate::ledger::{Entry, Event};
use crate::policy::{Hold, Layer, holds};
use crate::report::hold::HoldDone;
use crate::run::{LedgeredRun, Workspace};

pub(super) fn release(
    name: &str,
    reason: &str,
    ground: &Workspace,
    sight: &Sight,
    locks: Locks,
    ctx: &Context,
) -> Result<Exit, Failure> {
    given("reason", reason)?;
    let path = holds::path(&ctx.env.config_dir());
    let mut run = open("hold-release", ground, sight, locks, ctx)?;
    let mut own =
        holds::read(&path).map_err(|error| Failure::because(Exit::Usage, &error))?.unwrap_or_default();
    // Of a name that several layers use only the user's own is released here.
    let at = own.iter().position(|hold| hold.name == name);
    // Copies of a hold that somebody took out of its file would stay for ever.
    let is_known = ground.policy.holds().any(|(hold, _)| hold.name == name);
    if at.is_none() && (is_known || copies(ground, name).0 == 0) {
        return Err(not_own(name, ground));
    }
    let is_this = |hold: &Hold| hold.name == name && hold.source.path.as_ref() == Some(&path);
    let report = ground
        .policy
        .holds()
        .find(|(hold, _)| is_this(hold))
        .map(|(hold, binds_all)| sight.report(hold, binds_all, ctx.global.verbose > 0));
    let mut entry = Entry::new(Event::HoldReleased);
    entry.hold = Some(text(name).into());
    entry.reason = Some(text(reason).into());
    entry.path = Some(text(&path).into());
    if let Some(at) = at {
        own.remove(at);
        record(&mut run, Event::Intent, &entry, "hold-release", ctx)?;
        if let Err(error) = holds::write(&path, &own) {
            return Err(undone(run, entry, "hold-release", &error, ctx));
        }
        record(&mut run, Event::HoldReleased, &entry, "hold-release", ctx)?;
    }
    let failed = remove_copies(name, ground, &mut run, ctx)?;
    let errors: Vec<String> = ground.policy.complaints.iter().cloned().chain(failed).collect();
    let exit = if errors.is_empty() { Exit::Done } else { Exit::Failed };
    let closed = close(run, exit, ctx, |state| {
        // What is no longer held may go, and is then not told of as vanished.
        state.held.retain(|held| held.hold != name);
    });
    let exit = crate::cli::vault::end(ctx, exit, None, closed);
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

/// Removes the copies of a hold, recorded before and after; gives what failed.
fn remove_copies(
    name: &str,
    ground: &Workspace,
    run: &mut LedgeredRun,
    ctx: &Context,
) -> Result<Vec<String>, Failure> {
    let mut failed = Vec::new();
    // After the hold: copies without a hold are found and removed later, a hold without its copies would
    // promise what is gone.
    for store in ground.stores.iter().filter(|store| store.kind == Root::Config) {
        if preserve::count(store, name).is_ok_and(|count| count == 0) {
            continue;
        }
        let mut entry = Entry::new(Event::Intent);
        entry.hold = Some(text(name).into());
        entry.store = Some(text(&store.root).into());
        record(run, Event::Intent, &entry, "remove-copies", ctx)?;
        match preserve::remove(store, name) {
            Ok(files) => {
                entry.files = Some(files);
                entry.outcome = Some("deleted".into());
            }
            Err(error) => {
                entry.outcome = Some("failed".into());
                entry.error = Some(error.to_string().into());
                failed.push(format!("cannot remove the copies in '{}': {error}", shown(&store.root)));
            }
        }
        record(run, Event::Outcome, &entry, "remove-copies", ctx)?;
    }
    Ok(failed)
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
