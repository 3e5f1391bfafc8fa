//! What changes holds is in the ledger first; its lock is that of the holds, too.

use super::sight::Sight;
use crate::cli::context::{Context, Exit, Failure};
use crate::ledger::{Clock, Entry, Event, Ledger, RunId};
use crate::run::Workspace;
use crate::run::guards;
use crate::run::journal;
use crate::state::{State, StateFile};

/// Opens the ledger, whose lock is that of the holds too, and records the beginning.
pub(super) fn open_ledger(
    ground: &Workspace,
    sight: &Sight,
    ctx: &Context,
) -> Result<(Ledger, RunId), Failure> {
    let (verdict, _) = guards::clock(&ground.state.state, &sight.inventory, ctx)?;
    // A doubted clock keeps nobody from placing a hold: it only must not vouch for itself in the ledger.
    let clock = if verdict.is_allowed() { Clock::Proven } else { Clock::Unproven };
    let run = RunId::random();
    let ledger = journal::own_ledger(ctx, &ground.policy.ledger.value, &run, clock).map_err(Failure::from)?;
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
    // What is recorded after the intent has been done.
    let exit = if event == Event::Intent { Exit::Refused } else { Exit::Failed };
    ledger
        .append(&[entry], ctx.env.now)
        .map_err(|error| Failure::new(exit, format!("cannot write the ledger: {error}")))
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
    ground: &Workspace,
    ctx: &Context,
    remember: impl FnOnce(&mut State),
) -> Result<(), Failure> {
    let summary = journal::summary(&ground.policy.digest, verb, &[], exit.code());
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
