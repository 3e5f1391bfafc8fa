//! `ccretain hold list`: the holds of all layers, and what they cover.

use super::sight::Sight;
use crate::cli::context::{Context, Exit, Failure};
use crate::escape::shown;
use crate::report::hold::HoldList;
use crate::run::Workspace;
use crate::run::holding::copies;

pub(super) fn list(ground: &Workspace, sight: &Sight, ctx: &Context) -> Result<Exit, Failure> {
    let with_items = ctx.global.verbose > 0;
    let mut unknown = Vec::new();
    let reports = ground
        .policy
        .holds()
        .map(|(hold, binds_all)| {
            let mut report = sight.report(hold, binds_all, with_items);
            let (count, unread) = copies(ground, &hold.name);
            report.preserved = count;
            unknown.extend(unread);
            report
        })
        .collect();
    let looked = sight
        .inventory
        .problems
        .iter()
        .map(|problem| format!("cannot {} '{}': {}", problem.doing, shown(&problem.path), problem.error));
    let errors: Vec<String> = ground.policy.complaints.iter().cloned().chain(unknown).chain(looked).collect();
    let exit = if errors.is_empty() { Exit::Done } else { Exit::Failed };
    let list = HoldList::new(ctx.env.now, reports, errors);
    if ctx.global.json {
        ctx.console.json(&list)?;
    } else {
        ctx.console.data(&list.text(ctx.paint()))?;
    }
    list.errors.iter().for_each(|error| ctx.console.error(error));
    Ok(exit)
}
