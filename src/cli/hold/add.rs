//! `ccretain hold add`: a hold is placed, and copies are kept where that is asked.

use std::path::PathBuf;

use super::new::{New, compiled, recipients};
use super::sight::Sight;
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::vault;
use crate::enforce::lock::Locks;
use crate::escape::{shown, text};
use crate::hold;
use crate::ledger::Event;
use crate::report::hold::HoldDone;
use crate::run::Workspace;
use crate::run::holding::{Holding, copies};
use crate::run::preserve::keep_copies;

pub(super) fn add(
    new: New,
    ground: &Workspace,
    sight: &Sight,
    locks: Locks,
    ctx: &Context,
) -> Result<Exit, Failure> {
    let mut settings = new.settings(sight, ctx)?;
    let recipients = recipients(&new, ground)?;
    let mut holding = Holding::begin("hold-add", ground, &sight.inventory, locks, ctx)?;
    // By the file as it is now: two commands may add a hold of the day at once.
    settings.name = new.free_name(&holding.own, ground, ctx)?;
    let hold = compiled(&settings, &holding.path, ctx)?;
    holding.own.push(settings);
    holding.write(Event::HoldAdded, &hold.name, &hold.reason)?;
    // After the hold is written: it holds, too, where a copy fails or this command is killed.
    let failed = match &recipients {
        Some(recipients) => keep_copies(&hold, ground, &sight.inventory, recipients, &mut holding.run, ctx)?,
        None => Vec::new(),
    };
    let without = |(path, why): &(PathBuf, String)| format!("'{}' has no copy: {why}", shown(path));
    let errors: Vec<String> =
        ground.policy.complaints.iter().cloned().chain(failed.iter().map(without)).collect();
    let exit = if errors.is_empty() { Exit::Done } else { Exit::Failed };
    // So that the next run can tell what of it has vanished meanwhile.
    let held = hold::covered_by(&sight.inventory, &hold);
    let closed = holding.end(exit.code(), |state| state.held.extend(held));
    // The hold is in force, and is shown, whatever became of its records.
    let exit = vault::end(ctx, exit, None, closed);
    errors.iter().for_each(|error| ctx.console.error(error));
    if !failed.is_empty() {
        ctx.console.hint(&format!(
            "hold '{}' is in force, and keeps its copies; once all can be read, `ccretain hold add --preserve` with another \
             name copies the rest",
            text(&hold.name)
        ));
    }
    let mut report = sight.report(&hold, ground.policy.user_holds.value, ctx.global.verbose > 0);
    report.preserved = copies(ground, &hold.name).0;
    if ctx.global.json {
        ctx.console.json(&HoldDone { schema: "ccretain.hold-add/1", hold: report, because: None, errors })?;
    } else {
        let mut out = format!("hold '{}' added\n", text(&hold.name));
        for line in report.coverage() {
            out.push_str(&format!("  {line}\n"));
        }
        ctx.console.sentences(&out)?;
    }
    Ok(exit)
}
