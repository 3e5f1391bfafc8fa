//! What commands about sealed sessions share: dates, one session after the other, how they end.

use clap::Args;
use serde::Serialize;

use super::context::{Context, Exit, Failure};
use super::remedy;
use crate::enforce::Stop;
use crate::enforce::unseal::Dates;
use crate::locate::Refused;
use crate::report::human::counted;
use crate::report::json::time;
use crate::run::unseal::Item;
use crate::run::{CancelToken, Ended, STOPPING, SealedRun};

/// Which date files get that come back.
#[derive(Debug, Clone, Copy, Args)]
#[command(about = None, long_about = None)]
pub struct DateArgs {
    /// Give the files today's date, so that Claude Code does not delete them; the true one is
    /// remembered.
    #[arg(long, conflicts_with = "keep_date")]
    pub touch: bool,
    /// Give the files their own date, even if Claude Code will delete them at its next start.
    #[arg(long)]
    pub keep_date: bool,
}

impl DateArgs {
    /// The date they get.
    pub fn dates(self, ctx: &Context) -> Dates {
        if self.touch { Dates::Touch(ctx.env.now) } else { Dates::Original }
    }

    /// Whether somebody has said which.
    pub fn are_settled(self) -> bool {
        self.touch || self.keep_date
    }
}

/// What became of the sessions that a command did one after the other.
pub struct Each<Item> {
    pub items: Vec<Item>,
    /// How the command ends where some were not reached.
    pub exit: Exit,
    /// Why none may follow those that were done.
    pub failure: Option<Failure>,
}

/// Does one after the other, with progress, until all are done, one fails that none may follow, or somebody asks it to
/// stop. Whatever it came to is then to be recorded and told.
pub fn each<T, Item>(
    ctx: &Context,
    all: Vec<T>,
    doing: &'static str,
    mut one: impl FnMut(T) -> Result<Item, Ended<Item>>,
) -> Each<Item> {
    let (stop, count) = (CancelToken::new(None), all.len());
    let bar = ctx.console.progress(count as u64, doing);
    let mut items = Vec::new();
    let tell = || bar.suspend(|| ctx.console.note(STOPPING));
    let done = stop.answering(tell, || -> Result<(), Failure> {
        for target in all.into_iter().take_while(|_| stop.asked().is_none()) {
            match one(target) {
                Ok(item) => items.push(item),
                Err(ended) => {
                    // What was done is told, although its record is missing.
                    items.extend(ended.item.map(|item| *item));
                    return Err(ended.error.into());
                }
            }
            bar.inc(1);
        }
        Ok(())
    });
    bar.finish_and_clear();
    match done {
        Err(failure) => Each { items, exit: failure.exit, failure: Some(failure) },
        Ok(()) => {
            let exit = ended(ctx, &stop, count - items.len());
            Each { items, exit, failure: None }
        }
    }
}

/// Says what ended a command early or kept its end from the ledger; gives how it ends. Before anything goes to stdout,
/// which may take nothing.
pub fn end(
    ctx: &Context,
    exit: Exit,
    failure: Option<Failure>,
    closed: Result<(), impl Into<Failure>>,
) -> Exit {
    let failures = failure.into_iter().chain(closed.err().map(Into::into));
    failures.fold(exit, |exit, failure| {
        ctx.console.failure(&failure);
        exit.or(failure.exit)
    })
}

/// How a command ends that a person stopped before it reached some sessions, of which that is said.
fn ended(ctx: &Context, stop: &CancelToken, unreached: usize) -> Exit {
    let Some(why) = stop.asked().filter(|_| unreached > 0) else { return Exit::Done };
    let left = counted(unreached as u64, "session");
    ctx.console.warning(&format!("stopped as asked: {left} not reached; the same command continues"));
    let is_persons = matches!(why, Stop::Interrupt) && ctx.console.can_ask();
    if is_persons { Exit::Interrupted } else { Exit::Done }
}

/// Says what to do about folders that were refused as stores, each thing once.
pub fn advise(refused: &[Refused], ctx: &Context) {
    let hints = refused.iter().filter(|refused| !refused.is_note()).filter_map(remedy::of_refused);
    for hint in hints.collect::<std::collections::BTreeSet<_>>() {
        ctx.console.hint(&hint);
    }
}

/// The head of what a verb about sealed sessions prints as JSON.
#[derive(Debug, Serialize)]
pub struct Head {
    schema: &'static str,
    run: String,
    now: String,
}

impl Head {
    /// The head of a document about a run.
    pub fn new(schema: &'static str, deed: &SealedRun, ctx: &Context) -> Self {
        Self { schema, run: deed.run.id().to_owned(), now: time(ctx.env.now) }
    }
}

/// What a command that brings sessions back prints as JSON.
#[derive(Serialize)]
pub struct Brought<'a> {
    #[serde(flatten)]
    pub head: Head,
    pub touched: bool,
    pub sessions: &'a [Item],
    /// What could not be looked into, and what is wrong with the policy.
    pub errors: &'a [String],
}

impl Brought<'_> {
    /// Says what went wrong, and prints the document where one was asked for.
    pub fn tell(&self, ctx: &Context) -> Result<(), Failure> {
        self.sessions.iter().for_each(|item| item.say_problems(ctx));
        self.errors.iter().for_each(|error| ctx.console.error(error));
        if ctx.global.json { ctx.console.json(self) } else { Ok(()) }
    }
}

/// How a command that brings sessions back ends: one session says that by itself, of several it is only that some failed.
pub fn exit_of(items: &[Item], errors: &[String]) -> Exit {
    let exit = match items {
        [item] => item.exit(),
        _ if items.iter().any(|item| item.error.is_some()) => Exit::Failed,
        _ => Exit::Done,
    };
    if errors.is_empty() { exit } else { exit.or(Exit::Failed) }
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
        let Some(error) = &self.error else { return };
        ctx.console.error(&format!("session {}: {error}", self.of.session));
        if !self.hint.is_empty() {
            ctx.console.hint(&self.hint);
        }
    }
}
