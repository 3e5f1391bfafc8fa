//! `ccretain hold list`: the holds of all layers, and what they cover.

use super::sight::{Sight, copies};
use crate::cli::context::{Context, Exit, Failure};
use crate::escape::shown;
use crate::report::hold::HoldList;
use crate::run::Workspace;

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
    let list = HoldList::new(ctx.env.now, reports);
    if ctx.global.json {
        ctx.console.json(&list)?;
    } else {
        ctx.console.data(&list.text(ctx.paint()))?;
    }
    let mut exit = Exit::Done;
    for complaint in &ground.policy.complaints {
        ctx.console.error(complaint);
        exit = Exit::Failed;
    }
    for why in &unknown {
        ctx.console.error(why);
        exit = Exit::Failed;
    }
    for problem in &sight.inventory.problems {
        ctx.console.error(&format!("cannot {} '{}': {}", problem.doing, shown(&problem.path), problem.error));
        exit = Exit::Failed;
    }
    Ok(exit)
}
