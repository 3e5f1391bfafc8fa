//! `ccretain seal`: encrypts sessions now, through the plan and the deeds of `enforce`.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::ask::Terminal;
use super::context::{Context, Exit, Failure};
use super::enforce::interrupted;
use super::key::own_identity;
use super::session;
use super::vault::{self, Head};
use crate::enforce::Outcome;
use crate::escape::shown;
use crate::inventory::{Inventory, Session, SessionIndex};
use crate::period::Period;
use crate::plan::{self, Decision, Keep, Plan};
use crate::policy::selector::Selector;
use crate::policy::{Mandate, Policy, Rule};
use crate::report::Run;
use crate::report::enforce::Detail;
use crate::report::human::{counted, size};
use crate::report::readable::Readable;
use crate::run::sealed::{self, Of};
use crate::run::{self, CancelToken, Execution, SealedRun, Workspace};
use crate::seal::{Ask, Plugins, Recipient, Recipients, key};

/// What the rule of the command is called in the ledger.
const RULE: &str = "command line";

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

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[serde(flatten)]
    of: Of,
    files: u64,
    bytes: u64,
    outcome: &'static str,
    reason: Option<&'static str>,
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
    sessions: &'a [Item],
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
    let recipients = recipients(ctx, &ground.policy)?;
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
    let policy = synthetic(&ground, &inventory, &wanted, args.idle.clone());
    let mut plan = plan::plan(&inventory, &policy, ctx.env.now);
    sealed::only(&mut plan, &inventory, &wanted);
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

/// To whom is sealed: whom the policy names, else the owner of the identity beside it.
pub(super) fn recipients(ctx: &Context, policy: &Policy) -> Result<Recipients, Failure> {
    if let Some(recipients) = run::recipients(policy)? {
        return Ok(recipients);
    }
    let own = own_identity(&ctx.env)?;
    let ask: Arc<dyn Ask> = Arc::new(Terminal::new(&ctx.console));
    let nobody = || {
        Failure::new(Exit::Usage, "the policy names no recipient to seal to, so nothing was changed")
            .hint("`ccretain key new` makes a key pair; for runs by the policy, name its recipient in \"recipients\"")
    };
    let path = own.ok_or_else(nobody)?;
    // From the private key itself: a recipient in a file beside it could be exchanged for somebody else's.
    let texts = key::recipients_in(&path, &ask).map_err(|error| Failure::because(Exit::Usage, &error))?;
    let parsed: Result<Vec<Recipient>, _> =
        texts.iter().map(|text| Recipient::parse(text, Plugins::Refused)).collect();
    let recipients =
        parsed.and_then(Recipients::new).map_err(|error| Failure::because(Exit::Usage, &error))?;
    ctx.console
        .notice(&format!("the policy names no recipient: sealing to the own one of '{}'", shown(&path)));
    Ok(recipients)
}

/// A policy of one rule, bound by every hold and the longest quiet period of the one in force.
fn synthetic(
    ground: &Workspace,
    inventory: &Inventory,
    wanted: &HashSet<SessionIndex>,
    idle: Option<Period>,
) -> Policy {
    let mut policy = ground.policy.clone();
    // A command knows no mandates, and no mandate's own caution may be undercut by typing.
    let longest = policy.mandates.iter().max_by_key(|mandate| mandate.quiet.value.length()).cloned();
    let immediately = "immediately".parse().unwrap_or_else(|_| Period::hours(0));
    let sessions: BTreeSet<_> = wanted.iter().map(|index| inventory.session(*index).id).collect();
    let rule = Rule {
        name: RULE.to_owned(),
        selector: Selector { sessions: idle.is_none().then_some(sessions), ..Selector::default() },
        seal_after: Some(idle.unwrap_or(immediately)),
        delete_after: None,
    };
    let holds = policy.mandates.iter().flat_map(|mandate| mandate.holds.clone()).collect();
    let excluded = policy.mandates.iter().flat_map(|mandate| mandate.excluded_stores.clone()).collect();
    let Some(longest) = longest else { return policy };
    policy.mandates = vec![Mandate { holds, excluded_stores: excluded, ..longest.with_only(rule) }];
    policy
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
    let (inventory, plan) = (report.inventory, report.plan);
    let errors = report.errors();
    let exit = if errors.is_empty() { Exit::Done } else { Exit::Failed };
    let sessions = inventory.sessions.iter().zip(&plan.sessions);
    let items: Vec<Item> =
        sessions.filter_map(|(session, verdict)| item(report, session, verdict.decision, named)).collect();
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

/// What became of one session; `None` for those that were none of this run's business.
fn item(report: &Run<'_>, session: &Session, decision: Decision, named: bool) -> Option<Item> {
    let inventory = report.inventory;
    let outcomes = report.outcomes?;
    let of: Vec<(&Outcome, u64)> = inventory
        .files(session)
        .iter()
        .filter_map(|index| {
            let outcome = outcomes.of(*index)?;
            Some((outcome, inventory.artifact(*index).stamp.size))
        })
        .collect();
    let done: Vec<u64> =
        of.iter().filter(|(outcome, _)| matches!(outcome, Outcome::Done(_))).map(|(_, size)| *size).collect();
    let (outcome, reason) = match (decision, of.iter().find(|(one, _)| !matches!(one, Outcome::Done(_)))) {
        (Decision::Keep(Keep::OutOfScope), _) => return None,
        (_, Some((worst, _))) => (worst.word(), None),
        (Decision::Seal(_), None) if !done.is_empty() => ("sealed", None),
        _ if session.sealed > 0 && session.plain == 0 => ("already-sealed", None),
        (Decision::Keep(keep), None) => ("kept", Some(keep.reason())),
        _ => ("kept", None),
    };
    if !named && outcome == "already-sealed" {
        return None;
    }
    Some(Item {
        of: Of::new(inventory, session),
        files: done.len() as u64,
        bytes: done.iter().sum(),
        outcome,
        reason,
    })
}
