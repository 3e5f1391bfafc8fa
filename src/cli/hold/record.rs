//! What changes holds is in the ledger first; its lock is that of the holds, too.

use super::{Context, Exit, Failure, Ground, Sight};
use crate::guard::{self, ClockSight};
use crate::ledger::{self, Clock, Entry, Event, Ledger, Place, RunId};
use crate::state::{State, StateFile};

/// Opens the ledger, whose lock is that of the holds too, and records the beginning.
pub(super) fn open_ledger(ground: &Ground, sight: &Sight, ctx: &Context) -> Result<(Ledger, RunId), Failure> {
    let last =
        ledger::last_time(&ctx.env.ledger_dir()).map_err(|error| Failure::because(Exit::Refused, &error))?;
    let seen = ClockSight {
        now: ctx.env.now,
        built: ctx.env.built,
        ledger: last,
        stores: sight.inventory.newest_date,
    };
    let (verdict, _) = guard::clock(&seen, ground.state.state.clock.as_ref());
    let clock = if verdict.is_allowed() { Clock::Proven } else { Clock::Unproven };
    let place = Place { dir: ctx.env.ledger_dir(), state_dir: ctx.env.state_dir() };
    let run = RunId::random();
    let ledger = Ledger::open(&place, &ground.policy.ledger.value, &run, clock, ctx.env.now);
    let ledger = ledger.map_err(|error| {
        let exit = if error.is_locked() { Exit::Locked } else { Exit::Refused };
        Failure::because(exit, &error).hint("a hold that is not recorded is not changed")
    })?;
    Ok((ledger, run))
}

/// Records one step of the deed.
pub(super) fn record(
    ledger: &mut Ledger,
    event: Event,
    about: &Entry<'_>,
    verb: &'static str,
    ctx: &Context,
) -> Result<(), Failure> {
    let mut entry = about.clone();
    entry.event = event;
    entry.decision = Some(verb.into());
    ledger
        .append(&[entry], ctx.env.now)
        .map_err(|error| Failure::new(Exit::Refused, format!("cannot write the ledger: {error}")))
}

/// The holds could not be written: the ledger says so too.
pub(super) fn undone(
    mut ledger: Ledger,
    mut entry: Entry<'static>,
    verb: &'static str,
    error: &crate::error::PathError,
    ctx: &Context,
) -> Failure {
    entry.error = Some(crate::error::chain(error).into());
    entry.outcome = Some("failed".into());
    // The file is what it was; a ledger that cannot be written either changes nothing about that.
    let _ = record(&mut ledger, Event::Outcome, &entry, verb, ctx);
    Failure::because(Exit::Failed, error)
}

/// Closes the ledger, and remembers what is held and the ledger's head, by which one finds out that
/// it was cut.
pub(super) fn close(
    ledger: Ledger,
    run: &RunId,
    verb: &'static str,
    exit: Exit,
    ground: &Ground,
    ctx: &Context,
    remember: impl FnOnce(&mut State),
) -> Result<(), Failure> {
    let mut summary = Entry::new(Event::Summary);
    summary.policy = Some(ground.policy.digest.clone().into());
    summary.decision = Some(verb.into());
    summary.counts = vec![("exit".into(), u64::from(exit.code()))];
    tracing::debug!(run = run.0, verb, "recorded");
    let mut file =
        StateFile::load(&ctx.env.state_dir()).map_err(|error| Failure::because(Exit::Failed, &error))?;
    let head = ledger
        .close(summary, ctx.env.now)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot close the ledger: {error}")))?;
    if let Some(last) = &mut file.state.last_run {
        last.head = Some(head);
    }
    remember(&mut file.state);
    file.save().map_err(|error| Failure::because(Exit::Failed, &error))?;
    Ok(())
}
