//! `ccretain hold restore`: what Claude Code's own cleanup took of a held session comes back from its
//! preservation copies. The hold and the copies stay.

use clap::Args;
use serde::Serialize;

use super::meant;
use crate::cli::context::{Context, Exit, Failure};
use crate::cli::identities::{self, IdentityArgs};
use crate::cli::vault::{self, DateArgs, Each, Head};
use crate::report::human::{counted, size};
use crate::run::restore::{COMMAND, How, Item, Target};
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

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head,
    touched: bool,
    sessions: &'a [Item],
    /// What could not be looked into, and what is wrong with the policy.
    errors: &'a [String],
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
    let faults = ground.policy.complaints.clone();
    let exit = match items.as_slice() {
        [item] if item.outcome == "refused" => Exit::Refused,
        _ if failed > 0 || !faults.is_empty() => Exit::Failed,
        _ => Exit::Done,
    };
    let exit = exit.or(stopped);
    let head = Head::new("ccretain.hold-restore/1", &deed, ctx);
    let restored = items.iter().filter(|item| item.outcome == "restored").count() as u64;
    // Before anything is printed: a full disk behind stdout must not cost the ledger its last record.
    let closed = deed.end(&[("sessionsRestored", restored), ("failed", failed)], exit.code(), ctx);
    let exit = vault::end(ctx, exit, failure, closed);
    items.iter().for_each(|item| item.say_problems(ctx));
    let errors: Vec<String> = faults.into_iter().chain(unlisted).collect();
    errors.iter().for_each(|error| ctx.console.error(error));
    if ctx.global.json {
        let touched = args.dates.touch;
        ctx.console.json(&Document { head, touched, sessions: &items, errors: &errors })?;
    }
    for item in items.iter().filter(|item| item.error.is_none()) {
        ctx.console.sentences(&item.text())?;
    }
    Ok(exit)
}

impl Item {
    /// Says what went wrong, and what is worth knowing.
    fn say_problems(&self, ctx: &Context) {
        for warning in &self.warnings {
            ctx.console.warning(warning);
        }
        let Some(error) = &self.error else { return };
        ctx.console.error(&format!("session {}: {error}", self.of.session));
        if self.outcome == "failed" {
            ctx.console
                .hint("nothing was overwritten; `age -d -i KEY FILE | zstd -d` opens single files of a copy");
        }
    }

    /// What became of it, where that is well.
    fn text(&self) -> String {
        let session = &self.of.session;
        if self.outcome == "nothing-missing" {
            return format!("session {session}: nothing is missing\n");
        }
        format!("restored {session}: {}, {}\n", counted(self.files, "file"), size(self.bytes))
    }
}
