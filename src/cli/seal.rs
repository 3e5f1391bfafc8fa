//! `ccretain seal`: encrypts sessions now, through the plan and the deeds of `enforce`.

use std::collections::HashSet;

use clap::Args;
use serde::Serialize;

use super::context::{Context, Exit, Failure};
use super::enforce::interrupted;
use super::identities;
use super::session;
use super::vault::{self, Head};
use crate::inventory::SessionIndex;
use crate::period::Period;
use crate::plan;
use crate::report::Run;
use crate::report::enforce::Detail;
use crate::report::readable::Readable;
use crate::report::sealing::{self as told, Sealed};
use crate::run::{self, CancelToken, Execution, SealedRun, sealing};

/// What `seal` takes.
#[derive(Debug, Clone, Args)]
pub struct SealArgs {
    /// The sessions: full ids, or prefixes of 8 or more characters.
    #[arg(value_name = "SESSION", required_unless_present = "idle", conflicts_with = "idle")]
    pub sessions: Vec<String>,
    /// Every session without activity for this period.
    #[arg(long, value_name = "PERIOD")]
    pub idle: Option<Period>,
    /// Accepted for scripts: this command never asks.
    #[arg(short, long, hide = true)]
    pub yes: bool,
}

#[derive(Serialize)]
struct Wrong {
    path: String,
    error: String,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head,
    sessions: &'a [Sealed],
    errors: Vec<Wrong>,
    /// What stays readable of sessions that are encrypted.
    readable: Readable,
}

/// Runs the verb.
///
/// # Errors
/// What kept it from starting: nothing was changed then.
pub fn run(args: &SealArgs, ctx: &Context) -> Result<Exit, Failure> {
    let ground = run::prepare(ctx)?;
    let recipients = identities::recipients(ctx, &ground.policy)?;
    let locks = run::lock_all(&ground, ctx)?;
    let inventory = ground.inventory(ctx);
    let named = args.sessions.iter().map(|named| session::find(&inventory, named, ctx));
    let mut wanted: HashSet<SessionIndex> = named.collect::<Result<_, _>>()?;
    let named = args.idle.is_none();
    if !named {
        wanted.extend((0..inventory.sessions.len()).map(SessionIndex::of));
    }
    let policy = sealing::policy(&ground.policy, &inventory, &wanted, args.idle.clone());
    let mut plan = plan::plan(&inventory, &policy, ctx.env.now);
    sealing::only(&mut plan, &inventory, &wanted);
    if named {
        // Who names a session wants to know why it cannot be sealed; of all idle ones some never can.
        sealing::may_seal(&policy, &inventory, &plan, &wanted)?;
    }
    let mut deed = SealedRun::begin("seal", ctx, &ground, locks)?;
    let deeds = Execution {
        ctx,
        inventory: &inventory,
        plan: &plan,
        policy: &policy,
        recipients: Some(&recipients),
        stop: CancelToken::new(None),
        doing: "sealing",
    };
    let outcomes = deeds.run(&mut deed.run);
    let id = deed.run.id().to_owned();
    let (outcomes, refused) = (Some(&outcomes), ground.refused.as_slice());
    let done = Run { id: &id, outcomes, ..Run::planned(&inventory, &plan, &policy, refused, &[]) };
    report(ctx, &done, deed, named)
}

fn report(ctx: &Context, report: &Run<'_>, deed: SealedRun, named: bool) -> Result<Exit, Failure> {
    let errors = report.errors();
    let exit = if errors.is_empty() { Exit::Done } else { Exit::Failed };
    let items = told::of_sessions(report, named);
    let exit = exit.or(interrupted(report.outcomes, ctx));
    let head = Head::new("ccretain.seal/1", &deed, ctx);
    let tally = report.tally();
    let counts = [
        ("sealed", tally.sealed),
        ("skipped", tally.skipped),
        ("failed", tally.failed),
        ("sessionsSealed", tally.sessions_sealed),
    ];
    // Before anything is printed: a full disk behind stdout must not cost the ledger its last record.
    let closed = deed.end(&counts, exit.code(), ctx);
    let exit = vault::end(ctx, exit, None, closed);
    for (path, error) in &errors {
        ctx.console.error_about(path, error);
    }
    if report.stopped().is_some() {
        ctx.console.warning("stopped as asked; the same command continues");
    }
    if ctx.global.json {
        let errors = errors.iter().map(|(path, error)| Wrong { path: path.clone(), error: error.clone() });
        ctx.console.json(&Document {
            head,
            sessions: &items,
            errors: errors.collect(),
            readable: report.readable(),
        })?;
    }
    if named || ctx.global.verbose > 0 {
        ctx.console.sentences(&report.text_of_sessions(&items, named))?;
    } else {
        ctx.console.data(&report.text(ctx.paint(), Detail::Projects))?;
    }
    Ok(exit)
}
