//! Whether it may be done: refused with a record, or consented to.

use super::asked::{ClockSays, With};
use super::{DEED, WORD, Work};
use crate::cli::context::{Exit, Failure};
use crate::escape::text;
use crate::ledger::{Clock, Entry, Event, Journal as _};
use crate::plan::purge::{self as taking, Obstacle};
use crate::policy::Layer;
use crate::purge::certificate::Witness;
use crate::run::journal::{self, RunJournal};

impl Work<'_> {
    /// Ends without touching anything, and leaves a record of why.
    pub(super) fn refuse(&self, clock: &ClockSays) -> Result<Exit, Failure> {
        let (ctx, policy) = (self.ctx, &self.ground.policy);
        let clock = if clock.verdict.is_allowed() { Clock::Proven } else { Clock::Unproven };
        let mut ledger = RunJournal::open(ctx, &policy.ledger.value, self.id, clock)?;
        let mut entries = vec![self.started()];
        entries.extend(self.refusals.iter().map(|refusal| {
            let mut entry = Entry::new(Event::Refused);
            entry.decision = Some(DEED.into());
            entry.reason = Some(refusal.clone().into());
            entry
        }));
        let summary = journal::summary(&policy.digest, DEED, &[], Exit::Refused.code());
        // Recorded though nothing was done: who tried to purge what is held is a matter for whoever holds it.
        let recorded = ledger.append(&entries, ctx.env.now).and_then(|()| ledger.close(summary, ctx.env.now));
        if ctx.global.json {
            ctx.console.json(&self.report(None).json(ctx.global.verbose > 0))?;
        }
        for refusal in &self.refusals {
            ctx.console.error(&format!("nothing was touched: {refusal}"));
        }
        ctx.console.hint(&self.way_out());
        if let Err(error) = recorded {
            ctx.console.error(&format!("cannot record the refusal: {error}"));
        }
        Ok(Exit::Refused)
    }

    pub(super) fn way_out(&self) -> String {
        let mut ways = Vec::new();
        if !self.wanted.even_live && taking::clients(self.inventory).next().is_some() {
            ways.push("close Claude Code, or add `--even-live`".to_owned());
        }
        let held = |stop: &taking::Stop| match stop.by {
            Obstacle::Hold(hold) => {
                self.ground.policy.hold(hold).is_some_and(|hold| hold.source.layer == Layer::User)
            }
            Obstacle::Floor(..) => false,
        };
        if self.purging.stops.iter().any(held) {
            let own = self.purging.stops.iter().filter(|stop| held(stop)).find_map(|stop| match stop.by {
                Obstacle::Hold(hold) => self.ground.policy.hold(hold).map(|hold| text(&hold.name)),
                Obstacle::Floor(..) => None,
            });
            ways.push(format!(
                "release the hold (`ccretain hold release {} --reason REASON`), or add `--break-holds REASON`",
                own.unwrap_or_default()
            ));
        }
        if self.purging.stops.iter().any(|stop| !held(stop)) {
            ways.push("only root breaks what the organisation holds".to_owned());
        }
        if ways.is_empty() {
            ways.push(
                "`ccretain purge --dry-run` shows what it would do; --store names the stores".to_owned(),
            );
        }
        ways.join("; ")
    }

    /// Asks, unless that was answered on the command line.
    pub(super) fn consent(&self, clock: &ClockSays) -> Result<Witness, Failure> {
        let console = &self.ctx.console;
        // Nothing goes, so there is nothing to ask about; that it was looked for can be certified all the same.
        if !self.args.yes && self.purging.plan.changes_nothing() && !self.args.with.contains(&With::Identity)
        {
            return Ok(Witness::Unneeded);
        }
        let doubted = clock.refusal();
        if self.args.yes && (doubted.is_none() || !console.can_ask()) {
            return Ok(Witness::CommandLine);
        }
        if !console.can_ask() {
            return Err(Failure::unattended());
        }
        console.notice(&self.report(None).text(self.ctx.paint_messages()));
        if let Some(doubt) = doubted {
            console.warning(&doubt);
        }
        // A word and not a letter: nothing brings back what goes.
        if !console.confirm_by(&self.report(None).question(), WORD) {
            return Err(Failure::cancelled());
        }
        Ok(Witness::Terminal)
    }

    pub(super) fn started(&self) -> Entry<'static> {
        journal::started(&self.ground.policy.digest, Some(DEED))
    }

    /// The record of a hold or floor that is broken.
    pub(super) fn broken(&self, stop: &taking::Stop) -> Entry<'static> {
        let mut entry = Entry::new(Event::HoldReleased);
        entry.decision = Some("break".into());
        entry.reason = self.args.break_holds.clone().map(Into::into);
        entry.hold = Some(match stop.by {
            Obstacle::Hold(hold) => {
                self.ground.policy.hold(hold).map_or_else(String::new, |hold| text(&hold.name)).into()
            }
            Obstacle::Floor(..) => "keepAtLeast".into(),
        });
        entry.files = Some(stop.files);
        entry
    }
}
