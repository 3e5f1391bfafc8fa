//! `ccretain seal`: encrypts sessions now, through the plan and the deeds of `enforce`.

use std::collections::HashSet;

use clap::Args;
use serde::Serialize;

use super::context::{Context, Exit, Failure};
use super::enforce::interrupted;
use super::session;
use super::vault::{self, Head};
use crate::inventory::liveness::Liveness;
use crate::inventory::{Inventory, SessionIndex};
use crate::period::Period;
use crate::plan::{self, Decision, Keep, Plan};
use crate::policy::Policy;
use crate::report::Run;
use crate::report::enforce::Detail;
use crate::report::human::{counted, size};
use crate::report::readable::Readable;
use crate::report::sealing::{Sealed, of_sessions};
use crate::run::unseal::{Refusal, why_unknown};
use crate::run::{self, CancelToken, Execution, SealedRun, sealed, sealing};

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
    let recipients = vault::recipients(ctx, &ground.policy)?;
    let locks = run::lock_all(&ground, ctx)?;
    let inventory = ground.inventory(ctx);
    let mut wanted: HashSet<SessionIndex> = HashSet::new();
    for argument in &args.sessions {
        wanted.insert(session::find(&inventory, argument, ctx)?);
    }
    let named = args.idle.is_none();
    if !named {
        wanted.extend((0..inventory.sessions.len()).map(SessionIndex::of));
    }
    let policy = sealing::policy(&ground.policy, &inventory, &wanted, args.idle.clone());
    let mut plan = plan::plan(&inventory, &policy, ctx.env.now);
    sealing::only(&mut plan, &inventory, &wanted);
    if named {
        // Who names a session wants to know why it cannot be sealed; of all idle ones some never can.
        may_seal(&policy, &inventory, &plan, &wanted)?;
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

/// Whether every named session can be sealed, or is sealed already.
fn may_seal(
    policy: &Policy,
    inventory: &Inventory,
    plan: &Plan,
    wanted: &HashSet<SessionIndex>,
) -> Result<(), Failure> {
    for index in wanted {
        let session = inventory.session(*index);
        if let Some(hold) = sealed::hold_on(policy, inventory, session) {
            return Err(Failure::held(session.id, hold));
        }
        let refused = |why: &str| {
            Err(Failure::new(Exit::Refused, format!("session {} {why}: nothing was changed", session.id)))
        };
        match plan.sessions[index.at()].decision {
            Decision::Seal(_) => {}
            // What is asked for is the case already, so that a script can ask twice.
            _ if session.plain == 0 && session.sealed > 0 => {}
            Decision::Keep(Keep::Live) if session.liveness == Liveness::Unread => {
                let why = why_unknown(inventory.unread_pid_files().next());
                return Err(Refusal::MayBeLive(session.id, why).into());
            }
            Decision::Keep(Keep::Live) => {
                return refused("is open in Claude Code")
                    .map_err(|failure| failure.hint("close it there, then try again"));
            }
            Decision::Keep(Keep::Quiet) => {
                let active = crate::report::policy::active_within(policy);
                return refused(&format!("is {active} (`quiet`)")).map_err(|failure| {
                    failure.hint(format!("`ccretain explain {}` says until when", session.id))
                });
            }
            Decision::Keep(Keep::NoRule | Keep::NotDue(..)) if session.plain == 0 => {
                return refused("has nothing that could be sealed");
            }
            Decision::Keep(keep) => {
                let unread = session::unread(inventory).map(|unread| format!(", as {unread}"));
                let why = format!("stays as it is ({}){}", keep.reason(), unread.unwrap_or_default());
                return refused(&why);
            }
            _ => {}
        }
    }
    Ok(())
}

fn report(ctx: &Context, report: &Run<'_>, deed: SealedRun, named: bool) -> Result<Exit, Failure> {
    let errors = report.errors();
    let exit = if errors.is_empty() { Exit::Done } else { Exit::Failed };
    let items = of_sessions(report, named);
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
    let in_full = named || ctx.global.verbose > 0;
    for one in items.iter().filter(|one| in_full && (named || one.outcome != "kept")) {
        let line = match one.outcome {
            "sealed" => {
                format!("sealed {}: {}, {}", one.of.session, counted(one.files, "file"), size(one.bytes))
            }
            other => format!("{other} {}", one.of.session),
        };
        ctx.console.sentences(&format!("{line}\n"))?;
    }
    if !in_full {
        ctx.console.data(&report.text(ctx.paint(), Detail::Projects))?;
    } else if !named {
        let sealed = items.iter().filter(|one| one.outcome == "sealed");
        let (count, bytes) = sealed.fold((0, 0), |(count, bytes), one| (count + 1, bytes + one.bytes));
        ctx.console.sentences(&format!("{} sealed, {}\n", counted(count, "session"), size(bytes)))?;
    }
    let readable = report.readable();
    if in_full && !readable.is_empty() {
        ctx.console.sentences(&format!("still readable of encrypted sessions: {}\n", readable.words()))?;
    }
    Ok(exit)
}
