//! `ccretain hold restore`: what Claude Code's own cleanup took of a held session comes back from its
//! preservation copies. The hold and the copies stay.

use clap::Args;

use super::meant;
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::identities::{self, IdentityArgs};
use crate::cli::vault::{self, Brought, DateArgs, Each, Head};
use crate::run::restore::{COMMAND, How, Target};
use crate::run::{self, SealedRun, Workspace, sealed};
use crate::seal::Identities;

/// What `hold restore` takes.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The name of a hold, or a session: its full id, or a prefix of 8 or more characters.
    #[arg(value_name = "NAME|SESSION")]
    pub named: String,
    #[command(flatten)]
    pub keys: IdentityArgs,
    #[command(flatten)]
    pub dates: DateArgs,
}

/// Runs `ccretain hold restore`.
///
/// # Errors
/// Exit 2: no such copy; 4: a date at which Claude Code would delete the session again. Nothing was
/// changed then.
pub(super) fn restore(args: &RestoreArgs, ground: &Workspace, ctx: &Context) -> Result<Exit, Failure> {
    let locks = run::lock_all(ground, ctx)?;
    let inventory = ground.inventory(ctx);
    let temps = sealed::temps(ctx, ground, &inventory);
    let (found, unlisted) = meant::find(&inventory, &args.named, ground, ctx)?;
    let targets: Vec<Target<'_>> = found
        .into_iter()
        .map(|((at, id), copies)| Target::open(&inventory, at, id, copies, &temps))
        .collect();
    if !args.dates.are_settled() {
        targets.iter().try_for_each(|target| target.is_safe_at_its_date(ctx))?;
    }
    let keys = if targets.iter().any(Target::is_wanting) {
        identities::read(ctx, &args.keys.identity)?
    } else {
        // Where nothing is to be opened, no key is asked for.
        Identities::new()
    };
    let mut deed = SealedRun::begin(COMMAND, ctx, ground, locks)?;
    let known = sealed::known_of(ctx, targets.iter().map(Target::id));
    let how = How { ctx, ground, keys: &keys, dates: args.dates.dates(ctx), temps: &temps, known: &known };
    let restore = |target: Target<'_>| target.restore(&how, &mut deed);
    let Each { items, exit: stopped, failure } = vault::each(ctx, targets, "restoring", restore);
    let failed = items.iter().filter(|item| item.error.is_some()).count() as u64 + unlisted.len() as u64;
    let errors: Vec<String> = ground.policy.complaints.iter().cloned().chain(unlisted).collect();
    let exit = vault::exit_of(&items, &errors).or(stopped);
    let head = Head::new("ccretain.hold-restore/1", &deed, ctx);
    let restored = items.iter().filter(|item| item.outcome == "restored").count() as u64;
    // Before anything is printed: a full disk behind stdout must not cost the ledger its last record.
    let closed = deed.end(&[("sessionsRestored", restored), ("failed", failed)], exit.code(), ctx);
    let exit = vault::end(ctx, exit, failure, closed);
    Brought { head, touched: args.dates.touch, sessions: &items, errors: &errors }.tell(ctx)?;
    for item in items.iter().filter(|item| item.error.is_none()) {
        ctx.console.sentences(&item.text())?;
    }
    Ok(exit)
}
