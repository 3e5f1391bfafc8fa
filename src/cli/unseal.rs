//! `ccretain unseal`: sealed sessions become plain files again.

use clap::Args;
use serde::Serialize;

use super::context::{Context, Exit, Failure};
use super::identities::{self, IdentityArgs};
use super::session;
use super::vault::{self, DateArgs, Each, Head};
use crate::inventory::SessionIndex;
use crate::report::human::{counted, size};
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

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head,
    touched: bool,
    sessions: &'a [Item],
    /// What is wrong with the policy.
    errors: &'a [String],
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
    // One session says by itself how it ended; of several it is only that some failed.
    let exit = match items.as_slice() {
        [item] => item.exit(),
        _ if failed > 0 => Exit::Failed,
        _ => Exit::Done,
    };
    let errors = &ground.policy.complaints;
    let exit = if errors.is_empty() { exit } else { exit.or(Exit::Failed) };
    let exit = exit.or(stopped);
    let head = Head::new("ccretain.unseal/1", &deed, ctx);
    let unsealed = items.len() as u64 - failed - settled;
    let counts = [("sessionsUnsealed", unsealed), ("sessionsSettled", settled), ("failed", failed)];
    // Before anything is printed: a full disk behind stdout must not cost the ledger its last record.
    let closed = deed.end(&counts, exit.code(), ctx);
    let exit = vault::end(ctx, exit, failure, closed);
    items.iter().for_each(|item| item.say_problems(ctx));
    errors.iter().for_each(|error| ctx.console.error(error));
    if ctx.global.json {
        let touched = args.dates.touch;
        ctx.console.json(&Document { head, touched, sessions: &items, errors })?;
    }
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

/// What became of many sessions, in a line or two.
fn in_short(items: &[&Item]) -> String {
    let (settled, unsealed): (Vec<&Item>, Vec<&Item>) =
        items.iter().copied().partition(|item| item.outcome == SETTLED);
    let sessions = |items: &[&Item]| counted(items.len() as u64, "session");
    let files = counted(unsealed.iter().map(|item| item.files).sum(), "file");
    let bytes = size(unsealed.iter().map(|item| item.bytes).sum());
    let mut text = format!("unsealed {}: {files}, {bytes}\n", sessions(&unsealed));
    if !settled.is_empty() {
        text += &format!("settled {}: they were back already\n", sessions(&settled));
    }
    text
}

impl Item {
    /// What it means for the exit code.
    pub(super) fn exit(&self) -> Exit {
        match (&self.error, self.outcome) {
            (None, _) => Exit::Done,
            (_, "refused") => Exit::Refused,
            _ => Exit::Failed,
        }
    }

    /// Says what went wrong, and what is worth knowing.
    pub(super) fn say_problems(&self, ctx: &Context) {
        for warning in &self.warnings {
            ctx.console.warning(warning);
        }
        if let Some(error) = &self.error {
            ctx.console.error(&format!("session {}: {error}", self.of.session));
            ctx.console.hint(&self.hint);
        }
    }

    /// The line for people, where all went well.
    fn text(&self) -> String {
        let session = &self.of.session;
        match self.outcome {
            SETTLED => format!(
                "settled {session}: it was back already, and what an interrupted run had left of its \
                 sealed form is removed\n"
            ),
            _ => format!("unsealed {session}: {}, {}\n", counted(self.files, "file"), size(self.bytes)),
        }
    }
}
