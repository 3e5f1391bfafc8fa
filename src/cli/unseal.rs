//! `ccretain unseal`: sealed sessions become plain files again.

use clap::Args;

use super::context::{Context, Exit, Failure};
use super::identities::{self, IdentityArgs};
use super::session;
use super::vault::{self, Brought, DateArgs, Each, Head};
use crate::inventory::SessionIndex;
use crate::report::sealing::in_short;
use crate::run::unseal::{After, How, Item, Refusal, SETTLED, Way, may_unseal, one, settle};
use crate::run::{self, SealedRun};
use crate::seal::Identities;

/// What `unseal` takes.
#[derive(Debug, Clone, Args)]
pub struct UnsealArgs {
    /// The sessions: full ids, or prefixes of 8 or more characters.
    #[arg(value_name = "SESSION", required = true)]
    pub sessions: Vec<String>,
    #[command(flatten)]
    pub keys: IdentityArgs,
    #[command(flatten)]
    pub dates: DateArgs,
}

/// Runs the verb.
///
/// # Errors
/// What kept it from starting: nothing was changed then.
pub fn run(args: &UnsealArgs, ctx: &Context) -> Result<Exit, Failure> {
    let ground = run::prepare(ctx)?;
    let locks = run::lock_all(&ground, ctx)?;
    let inventory = ground.inventory(ctx);
    let mut sessions = Vec::new();
    for argument in &args.sessions {
        let index = session::find(&inventory, argument, ctx)?;
        if !sessions.contains(&index) {
            sessions.push(index);
        }
    }
    let temps = run::sealed::temps(ctx, &ground, &inventory);
    // All before the first is changed, so that a refusal leaves everything as it was.
    let ways = sessions.into_iter().map(|index| {
        Ok((index, may_unseal(ctx, &ground, &inventory, index, &temps, args.dates.are_settled())?))
    });
    let ways = ways.collect::<Result<Vec<(SessionIndex, Way)>, Refusal>>()?;
    // Where nothing is to be opened, no key is asked for.
    let keys = if ways.iter().all(|(_, way)| matches!(way, Way::Settle(_))) {
        Identities::new()
    } else {
        identities::read(ctx, &args.keys.identity)?
    };
    let mut deed = SealedRun::begin("unseal", ctx, &ground, locks)?;
    let known = run::sealed::known_of(ctx, ways.iter().map(|(index, _)| inventory.session(*index).id));
    let dates = args.dates.dates(ctx);
    let how = How { keys: &keys, dates, after: After::Remove, temps: &temps, known: &known };
    let Each { items, exit: stopped, failure } =
        vault::each(ctx, ways, "unsealing", |(index, way)| match way {
            Way::Settle(remains) => settle(ctx, &inventory, index, remains, &mut deed),
            Way::Unseal => Ok(one(ctx, &inventory, index, &how, &mut deed)?.0),
        });
    let failed = items.iter().filter(|item| item.error.is_some()).count() as u64;
    let settled = items.iter().filter(|item| item.outcome == SETTLED).count() as u64;
    let errors = &ground.policy.complaints;
    let exit = vault::exit_of(&items, errors).or(stopped);
    let head = Head::new("ccretain.unseal/1", &deed, ctx);
    let unsealed = items.len() as u64 - failed - settled;
    let counts = [("sessionsUnsealed", unsealed), ("sessionsSettled", settled), ("failed", failed)];
    // Before anything is printed: a full disk behind stdout must not cost the ledger its last record.
    let closed = deed.end(&counts, exit.code(), ctx);
    let exit = vault::end(ctx, exit, failure, closed);
    Brought { head, touched: args.dates.touch, sessions: &items, errors }.tell(ctx)?;
    let well: Vec<&Item> = items.iter().filter(|item| item.error.is_none()).collect();
    if well.len() > MOST_NAMED && ctx.global.verbose == 0 {
        ctx.console.data(&in_short(&well))?;
    } else {
        well.iter().try_for_each(|item| ctx.console.data(&item.text()))?;
    }
    Ok(exit)
}

/// How many sessions have a line each where nobody asked for more.
const MOST_NAMED: usize = 10;
