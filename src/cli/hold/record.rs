//! What changes holds is in the ledger first; its lock is that of the holds, too.

use super::sight::Sight;
use crate::cli::context::{Context, Exit, Failure};
use crate::enforce::lock::Locks;
use crate::ledger::{Clock, Entry, Event};
use crate::run::guards;
use crate::run::{self, LedgeredRun, Workspace};
use crate::state::{State, StateFile};

/// Opens the ledger, whose lock is that of the holds too.
pub(super) fn open(
    command: &'static str,
    ground: &Workspace,
    sight: &Sight,
    locks: Locks,
    ctx: &Context,
) -> Result<LedgeredRun, Failure> {
    let (verdict, _) = guards::clock(&ground.state.state, &sight.inventory, ctx)?;
    // A doubted clock keeps nobody from placing a hold: it only must not vouch for itself in the ledger.
    let clock = if verdict.is_allowed() { Clock::Proven } else { Clock::Unproven };
    Ok(LedgeredRun::open(command, ctx, &ground.policy, clock, locks)?)
}

/// Records one step of the command.
pub(super) fn record(
    run: &mut LedgeredRun,
    event: Event,
    about: &Entry<'_>,
    verb: &'static str,
    ctx: &Context,
) -> Result<(), run::Error> {
    let mut entry = about.clone();
    entry.event = event;
    entry.decision = Some(verb.into());
    run.record(&[entry], ctx)
}

/// The holds could not be written: the ledger says so too.
pub(super) fn undone(
    mut run: LedgeredRun,
    mut entry: Entry<'static>,
    verb: &'static str,
    error: &crate::error::PathError,
    ctx: &Context,
) -> Failure {
    entry.error = Some(crate::error::chain(error).into());
    entry.outcome = Some("failed".into());
    // The file is what it was; a ledger that cannot be written either changes nothing about that.
    let _ = record(&mut run, Event::Outcome, &entry, verb, ctx);
    Failure::because(Exit::Failed, error)
}

/// Remembers what is held, and closes the ledger.
pub(super) fn close(
    run: LedgeredRun,
    exit: Exit,
    ctx: &Context,
    remember: impl FnOnce(&mut State),
) -> Result<(), Failure> {
    // Before the ledger is closed, whose lock is that of the state as well.
    let saved = StateFile::load(&ctx.env.state_dir()).and_then(|mut file| {
        remember(&mut file.state);
        file.save()
    });
    let exit = if saved.is_ok() { exit } else { Exit::Failed };
    run.end(&[], exit.code(), ctx)?;
    saved.map(drop).map_err(|error| Failure::from(run::Error::State(error)))
}
