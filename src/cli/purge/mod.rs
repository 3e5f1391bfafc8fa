//! `ccretain purge`: removes everything, looks again, and certifies.

mod args;
mod asked;
mod consent;
mod printing;

use std::path::PathBuf;
use std::time::Instant;

use super::context::{Context, Exit, Failure};
use super::enforce::{interrupted, refused};
use crate::purge::before;
use crate::purge::certificate::{Verdict, Witness};
use crate::report::certificate;
use crate::run::purge::{Located, PurgeRun};
pub(super) use args::{PurgeArgs, reserve};
use printing::Printing;

/// Runs the verb.
///
/// # Errors
/// What kept it from starting: nothing was changed then. What could not be removed is in the
/// report and makes exit 1.
pub fn run(args: &PurgeArgs, ctx: &Context) -> Result<Exit, Failure> {
    let began = Instant::now();
    let mut wanted = asked::wanted(args, ctx)?;
    let located = Located::new(ctx)?;
    // Before the locks and the look: a certificate that cannot be written must be found out while nothing
    // is touched. The parent of a run over all users writes the one certificate.
    let mut files = if ctx.parent.is_some() { None } else { args.files(ctx, &located.roots())? };
    let look = located.look(ctx, args.dry_run)?;
    wanted.session = asked::session(args, ctx, &look.inventory, &look.workspace.refused)?;
    let wanted = before::with_seen(wanted, &look.inventory);
    let request = args.request();
    let run = PurgeRun::plan(ctx, &request, look, wanted, began)?;
    let refusals = consent::refusals(&run, &ctx.console);
    let mut printing = Printing { ctx, run: &run, refusals, dry_run: args.dry_run, was_shown: false };
    if args.dry_run {
        return printing.tell(None, &[]);
    }
    if !printing.refusals.is_empty() {
        return printing.refuse();
    }
    let witness = printing.consent(args.yes)?;
    reserve(&mut files)?;
    printing.was_shown = witness == Witness::Terminal && ctx.console.has_terminal();
    let mut ledger = run.open_ledger(witness)?;
    let done = run.execute(witness, &mut ledger);
    let is_well = done.verdict != Verdict::Incomplete && run.workspace.policy.complaints.is_empty();
    // What a stopped purge left is no failure of it; a script must not take it for done.
    let mut exit = match interrupted(Some(&done.outcomes), ctx) {
        Exit::Done if !is_well => refused(&run.view(Some(&done.outcomes), &[])).unwrap_or(Exit::Failed),
        exit => exit,
    };
    // Before the report, which names its files.
    let issued = run.certify(files, certificate::print, &done, &mut ledger, exit.code());
    let mut must = |failure: Failure| {
        ctx.console.failure(&failure);
        // What fails after nothing was done has changed nothing either.
        if exit != Exit::Refused {
            exit = Exit::Failed;
        }
    };
    let issued: Vec<PathBuf> = issued.map_err(|error| must(error.into())).unwrap_or_default();
    // A closed pipe must not keep in mind what has gone.
    let told = printing.tell(Some(&done), &issued);
    run.remember(&done.after.inventory).into_iter().for_each(|error| must(error.into()));
    // Whose lock is that of what is remembered, too.
    drop(ledger);
    Ok(exit.or(told?))
}
