//! What the ledger is told of a purge.

use std::io;

use super::{COMMAND, PurgeRun};
use crate::escape::text;
use crate::ledger::{Clock, Entry, Event, Journal as _};
use crate::plan::purge::{self as taking, Obstacle};
use crate::purge::aftermath::Aftermath;
use crate::run::Error;
use crate::run::journal::{self, RunJournal};

impl PurgeRun<'_> {
    /// Records that nothing is done, and why; gives what kept it from being recorded.
    ///
    /// # Errors
    /// As [`RunJournal::open`].
    pub fn record_refusals(&self, refusals: &[String], exit: u8) -> Result<io::Result<()>, Error> {
        let (ctx, policy) = (self.ctx, &self.workspace.policy);
        let clock = if self.clock.verdict.is_allowed() { Clock::Proven } else { Clock::Unproven };
        let mut ledger = RunJournal::open(ctx, &policy.ledger.value, &self.id, clock)?;
        let mut entries = vec![self.started()];
        entries.extend(refusals.iter().map(|refusal| {
            let mut entry = Entry::new(Event::Refused);
            entry.decision = Some(COMMAND.into());
            entry.reason = Some(refusal.clone().into());
            entry
        }));
        let summary = journal::summary(&policy.digest, COMMAND, &[], exit);
        // Recorded though nothing was done: who tried to purge what is held is a matter for whoever holds it.
        let recorded = ledger.append(&entries, ctx.env.now);
        Ok(recorded.and_then(|()| ledger.close(summary, ctx.env.now)).map(drop))
    }

    /// The record that closes the run.
    pub(super) fn summary(&self, aftermath: &Aftermath, exit: u8) -> Entry<'static> {
        let counts = [
            ("sessionsDeleted", aftermath.counts.sessions),
            ("deleted", aftermath.counts.files),
            ("prunedLines", aftermath.counts.lines),
            ("bytesFreed", aftermath.counts.bytes),
            ("exceptions", aftermath.exceptions.len() as u64),
            ("left", aftermath.verification.left.files),
        ];
        journal::summary(&self.workspace.policy.digest, COMMAND, &counts, exit)
    }

    pub(super) fn started(&self) -> Entry<'static> {
        journal::started(&self.workspace.policy.digest, Some(COMMAND))
    }

    /// The record of a hold or floor that is broken.
    pub(super) fn broken(&self, stop: &taking::Stop) -> Entry<'static> {
        // As a release, so that whoever looks for the end of a hold finds it.
        let mut entry = Entry::new(Event::HoldReleased);
        entry.decision = Some("break".into());
        entry.reason = self.request.break_holds.clone().map(Into::into);
        entry.hold = Some(match stop.by {
            Obstacle::Hold(hold) => {
                self.workspace.policy.hold(hold).map_or_else(String::new, |hold| text(&hold.name)).into()
            }
            Obstacle::Floor(..) => "keepAtLeast".into(),
        });
        entry.files = Some(stop.files);
        entry
    }
}
