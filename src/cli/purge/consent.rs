//! Whether it may be done: refused with a record, or consented to.

use std::collections::{BTreeMap, BTreeSet};

use super::Printing;
use crate::cli::console::Console;
use crate::cli::context::{Exit, Failure};
use crate::enforce::Outcomes;
use crate::escape::{shown, text};
use crate::inventory::liveness::Liveness;
use crate::locate::{Refusal, Refused};
use crate::plan::purge::{self as taking, Obstacle};
use crate::policy::Layer;
use crate::purge::certificate::Witness;
use crate::report::purge::{Purge, obstacle};
use crate::run::purge::PurgeRun;
use crate::run::unseal::why_unknown;

/// What has to be typed at a terminal.
const WORD: &str = "purge";

/// Everything that forbids it, in words.
pub(super) fn refusals(run: &PurgeRun<'_>, console: &Console) -> Vec<String> {
    let is_meant = |refused: &&Refused| run.is_meant(refused);
    // What is not there, and what another user could put there at any time, keeps nobody from the rest.
    let is_refused = |refused: &&Refused| {
        !(refused.why.is_absence()
            || matches!(refused.why, Refusal::Unreachable(_) | Refusal::Guarded(_) | Refusal::Squatted(_)))
    };
    let mut refusals: Vec<String> =
        run.workspace.refused.iter().filter(is_meant).filter(is_refused).map(Refused::message).collect();
    if !run.wanted.even_live {
        let mut by_store: BTreeMap<_, BTreeSet<u32>> = BTreeMap::new();
        let mut unread = BTreeSet::new();
        for (store, client) in taking::clients(&run.inventory) {
            match client.liveness {
                Liveness::Unread => drop(unread.insert(store)),
                _ => drop(by_store.entry(store).or_default().insert(client.pid)),
            }
        }
        let root = |store| shown(&run.inventory.store(store).store.root).to_string();
        for (store, pids) in by_store {
            let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
            let noun = if pids.len() == 1 { "pid" } else { "pids" };
            refusals.push(format!(
                "Claude Code is running in '{}' ({noun} {})",
                root(store),
                pids.join(", ")
            ));
        }
        refusals.extend(unread.into_iter().map(|store| {
            let unread = run.inventory.unread_pid_files().find(|problem| problem.store == Some(store));
            format!("Claude Code may be running in '{}': {}", root(store), why_unknown(unread))
        }));
    }
    refusals.extend(run.purging.stops.iter().map(|stop| obstacle(stop, &run.workspace.policy)));
    // A person at a terminal is shown the doubt and decides.
    refusals.extend(run.clock.refusal().filter(|_| !console.can_ask()));
    refusals
}

impl Printing<'_> {
    /// Ends without touching anything, and leaves a record of why.
    pub(super) fn refuse(&self) -> Result<Exit, Failure> {
        let (ctx, run) = (self.ctx, self.run);
        let recorded = run.record_refusals(&self.refusals, Exit::Refused.code())?;
        if ctx.global.json {
            // What it would have done is not what it did.
            let untouched = Outcomes::new(run.inventory.artifacts.len());
            let view = run.view(Some(&untouched), &self.refusals);
            let report = Purge { run: view, ..self.report(None, &[]) };
            ctx.console.json(&report.json(ctx.global.verbose > 0))?;
        }
        for refusal in &self.refusals {
            ctx.console.error(&format!("nothing was changed: {refusal}"));
        }
        ctx.console.hint(&way_out(run));
        if let Err(error) = recorded {
            ctx.console.error(&format!("cannot record the refusal: {error}"));
        }
        Ok(Exit::Refused)
    }

    /// Asks, unless that was answered on the command line.
    pub(super) fn consent(&self, yes: bool) -> Result<Witness, Failure> {
        let console = &self.ctx.console;
        // Nothing goes, so there is nothing to ask about; that it was looked for can be certified all the same.
        if !yes && self.run.purging.plan.changes_nothing() && !self.run.request.destroys_identity {
            return Ok(Witness::Unneeded);
        }
        let doubted = self.run.clock.refusal();
        if yes && (doubted.is_none() || !console.can_ask()) {
            return Ok(Witness::CommandLine);
        }
        if !console.can_ask() {
            return Err(Failure::unattended());
        }
        let report = self.report(None, &[]);
        console.notice(&report.text(self.ctx.paint_messages()));
        console.notice("");
        if let Some(doubt) = doubted {
            console.warning(&doubt);
        }
        // A word and not a letter: nothing brings back what goes.
        if !console.confirm_by(&report.question(), WORD) {
            return Err(Failure::cancelled());
        }
        Ok(Witness::Terminal)
    }
}

/// What to do where it is refused.
fn way_out(run: &PurgeRun<'_>) -> String {
    let mut ways = Vec::new();
    if !run.wanted.even_live && taking::clients(&run.inventory).next().is_some() {
        ways.push("close Claude Code, or add `--even-live`".to_owned());
    }
    let held = |stop: &taking::Stop| match stop.by {
        Obstacle::Hold(hold) => {
            run.workspace.policy.hold(hold).is_some_and(|hold| hold.source.layer == Layer::User)
        }
        Obstacle::Floor(..) => false,
    };
    if run.purging.stops.iter().any(held) {
        let own = run.purging.stops.iter().filter(|stop| held(stop)).find_map(|stop| match stop.by {
            Obstacle::Hold(hold) => run.workspace.policy.hold(hold).map(|hold| text(&hold.name)),
            Obstacle::Floor(..) => None,
        });
        ways.push(format!(
            "release the hold (`ccretain hold release {} --reason REASON`), or add `--break-holds REASON`",
            own.unwrap_or_default()
        ));
    }
    if run.purging.stops.iter().any(|stop| !held(stop)) {
        ways.push("only root breaks what the organisation holds".to_owned());
    }
    // What is left are refused stores and a doubted clock, whose own messages say why.
    if ways.is_empty() {
        ways.push("`ccretain purge --dry-run` shows what it would do; --store names the stores".to_owned());
    }
    ways.join("; ")
}
