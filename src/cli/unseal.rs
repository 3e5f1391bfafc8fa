//! `ccretain unseal`: sealed sessions become plain files again.

use std::path::Path;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::context::{Context, Exit, Failure};
use super::session;
use super::vault::{self, DateArgs, Head, IdentityArgs, Of};
use crate::catalogue::{Kind, SessionId};
use crate::client::{self, ClientPlaces, Written};
use crate::enforce::leftovers::Remains;
use crate::enforce::sealed::{SealedError, SealedSession};
use crate::enforce::unseal::{Dates, Existing, Restored, Restoring};
use crate::error::chain;
use crate::escape::shown;
use crate::inventory::{Inventory, SessionIndex};
use crate::ledger::{Event, Failure as Failed};
use crate::locate::Store;
use crate::report::human::{counted, day, size};
use crate::run::LedgeredRun;
use crate::run::{self, Workspace};
use crate::seal::{Identities, UnsealError};

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

/// The outcome of a session that was unsealed by a run that was interrupted right before its end.
const SETTLED: &str = "settled";

/// What became of one session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    #[serde(flatten)]
    of: Of,
    files: u64,
    bytes: u64,
    outcome: &'static str,
    warnings: Vec<String>,
    error: Option<String>,
    #[serde(skip)]
    hint: &'static str,
}

impl Item {
    /// What is reported of a session of which nothing is done yet.
    fn new(inventory: &Inventory, index: SessionIndex, outcome: &'static str) -> Self {
        Self {
            of: Of::new(inventory, inventory.session(index)),
            files: 0,
            bytes: 0,
            outcome,
            warnings: Vec::new(),
            error: None,
            hint: "nothing of it was removed",
        }
    }

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
            ctx.console.hint(self.hint);
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

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head,
    touched: bool,
    sessions: &'a [Item],
}

/// How a session is brought back.
pub(super) struct How<'a> {
    pub keys: &'a Identities,
    pub dates: Dates,
    pub after: After,
}

/// Whether the sealed files go once the plain ones are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Remove,
    Keep,
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
    for index in &sessions {
        // All before the first is touched, so that a refusal leaves everything as it was.
        may_unseal(ctx, &ground, &inventory, *index, args.dates.are_settled())?;
    }
    let is_left = |index: &SessionIndex| Remains::of(&inventory, *index).is_some();
    // Where nothing is to be opened, no key is asked for.
    let keys = if sessions.iter().all(is_left) {
        Identities::new()
    } else {
        vault::identities(ctx, &args.keys.identity)?
    };
    let mut deed = LedgeredRun::begin("unseal", ctx, &ground, locks)?;
    let how = How { keys: &keys, dates: args.dates.dates(ctx), after: After::Remove };
    let (items, stopped) =
        vault::each(ctx, sessions, "unsealing", |index| match Remains::of(&inventory, index) {
            Some(remains) => settle(ctx, &inventory, index, remains, &mut deed),
            None => Ok(one(ctx, &ground, &inventory, index, &how, &mut deed)?.0),
        })?;
    let failed = items.iter().filter(|item| item.error.is_some()).count() as u64;
    let settled = items.iter().filter(|item| item.outcome == SETTLED).count() as u64;
    let exit = match items.as_slice() {
        [item] => item.exit(),
        _ if failed > 0 => Exit::Failed,
        _ => Exit::Done,
    };
    if ctx.global.json {
        let head = Head::new("ccretain.unseal/1", &deed, ctx);
        ctx.console.json(&Document { head, touched: args.dates.touch, sessions: &items })?;
    }
    for item in &items {
        item.say_problems(ctx);
        if item.error.is_none() {
            ctx.console.data(&item.text())?;
        }
    }
    let unsealed = items.len() as u64 - failed - settled;
    let counts = [("sessionsUnsealed", unsealed), ("sessionsSettled", settled), ("failed", failed)];
    let exit = exit.or(stopped);
    deed.end(&counts, exit.code(), ctx)?;
    Ok(exit)
}

/// Whether a session may be unsealed, and could be.
///
/// # Errors
/// Exit 2 if it is not sealed; 4 for a hold, a running client, a file in the way, and for a date at
/// which Claude Code would delete it at once. Nothing was changed.
pub(super) fn may_unseal(
    ctx: &Context,
    ground: &Workspace,
    inventory: &Inventory,
    index: SessionIndex,
    date_is_settled: bool,
) -> Result<(), Failure> {
    let session = inventory.session(index);
    let is_left = session.sealed == 0 && Remains::of(inventory, index).is_some();
    if session.sealed == 0 && !is_left {
        return Err(Failure::new(Exit::Usage, format!("session {} is not sealed", session.id)).hint(
            format!(
                "`ccretain cat {}` reads it as it is; `ccretain list --encrypted` lists sealed ones",
                session.id
            ),
        ));
    }
    if let Some(hold) = vault::hold_on(&ground.policy, inventory, session) {
        return Err(vault::held(session.id, hold));
    }
    if is_left {
        return Ok(());
    }
    if session.liveness.is_live() {
        let message = format!("Claude Code has session {} open, so nothing was changed", session.id);
        return Err(Failure::new(Exit::Refused, message).hint(format!(
            "close it there, then try again; `ccretain cat {}` reads it meanwhile",
            session.id
        )));
    }
    let store = &inventory.store(session.store).store;
    let sealed = SealedSession::open(store, session.id).map_err(|error| failure(&error))?;
    restoring(&sealed, vault::temps(ctx, ground, inventory), Dates::Original, Existing::Compare)
        .check()
        .map_err(|error| failure(&error))?;
    if date_is_settled {
        return Ok(());
    }
    let newest = sealed.record.newest();
    let transcripts = newest.iter().filter(|file| file.kind == Kind::Transcript);
    let Some(oldest) = transcripts.map(|file| file.mtime).min() else { return Ok(()) };
    let project = vault::project_folder(session);
    goes_again(ctx, store, session.id, project, oldest, inventory.written(session))
}

/// Refuses to bring files back with their own dates where Claude Code would delete them again as soon
/// as it is started.
///
/// # Errors
/// Exit 4: it would.
pub(super) fn goes_again(
    ctx: &Context,
    store: &Store,
    session: SessionId,
    project: Option<&Path>,
    oldest: DateTime<Utc>,
    written: Written,
) -> Result<(), Failure> {
    // A project's own settings may say another period than the user's.
    let project = project.filter(|path| path.is_absolute() && path.is_dir());
    let places = ClientPlaces { config_dirs: vec![store.root.clone()], ..ClientPlaces::new(&ctx.env) };
    let client = client::read(&places, project.map(Path::to_path_buf).as_slice());
    match client.removal(oldest, written) {
        Some(removal) if removal.at <= ctx.env.now => Err(Failure::new(
            Exit::Refused,
            format!(
                "session {session} was last written on {}, and Claude Code deletes what is older than {} \
                 seconds after its next start: nothing was changed",
                day(oldest),
                counted(removal.days, "day"),
            ),
        )
        .hint(
            "add `--touch` for today's date (its true age is remembered), or `--keep-date` to restore it all the same",
        )),
        _ => Ok(()),
    }
}

/// Removes what an interrupted unsealing left of a session that is back; a failure is in the item.
///
/// # Errors
/// Exit 4: the ledger cannot be written.
pub(super) fn settle(
    ctx: &Context,
    inventory: &Inventory,
    index: SessionIndex,
    remains: Remains,
    deed: &mut LedgeredRun,
) -> Result<Item, Failure> {
    let mut item = Item::new(inventory, index, SETTLED);
    let left = remains.remove(inventory, &mut deed.ledger, ctx.env.now);
    let left = left.map_err(run::Error::Unrecorded)?;
    if !left.is_empty() {
        let left: Vec<String> = left.iter().map(|(path, why)| format!("'{}': {why}", shown(path))).collect();
        item.outcome = "failed";
        item.error =
            Some(format!("it is back, and its sealed form could not be removed: {}", left.join("; ")));
        item.hint = "what is left holds no content; the next run tries again";
    }
    Ok(item)
}

pub(super) fn restoring<'a>(
    session: &'a SealedSession<'a>,
    temps: Vec<std::path::PathBuf>,
    dates: Dates,
    existing: Existing,
) -> Restoring<'a> {
    Restoring { session, temps, dates, existing }
}

/// Unseals one session; its failure is in the item.
pub(super) fn one(
    ctx: &Context,
    ground: &Workspace,
    inventory: &Inventory,
    index: SessionIndex,
    how: &How<'_>,
    deed: &mut LedgeredRun,
) -> Result<(Item, Option<Restored>), Failure> {
    let session = inventory.session(index);
    let store = &inventory.store(session.store).store;
    let mut intent = Of::new(inventory, session).entry(Event::Intent, "unseal");
    intent.files = Some(u64::from(session.sealed));
    deed.record(&[intent], ctx)?;
    // Remembered before the files are there: a run that dies between the two must not take their new dates for
    // an activity.
    let before = deed.state.state.clone();
    let last_activity = session.modified.or(session.newest_record).unwrap_or(ctx.env.now);
    let recorded = session.newest_record.and(session.activity()).map(|(date, _)| date);
    deed.remember_unsealed(&store.root, session.id, last_activity, recorded, ctx)?;
    let known = vault::known_of(ctx, session.id);
    let mut is_back = false;
    let mut attempt = || -> Result<Restored, SealedError> {
        let sealed = vault::vouched(SealedSession::open(store, session.id)?, &known);
        let restored = restoring(&sealed, vault::temps(ctx, ground, inventory), how.dates, Existing::Compare)
            .restore(how.keys)?;
        is_back = true;
        // Last: until every file is back and on the disk, the sealed ones are the only copy.
        if how.after == After::Remove {
            sealed.remove(&restored.files)?;
        }
        Ok(restored)
    };
    let done = attempt();
    let mut item = Item::new(inventory, index, "unsealed");
    let mut outcome = Of::new(inventory, session).entry(Event::Outcome, "unseal");
    let restored = match done {
        Ok(restored) => {
            item.files = restored.digests.len() as u64;
            item.bytes = restored.bytes;
            item.warnings.extend(vault::warn_unknown(session.id, &known, &restored.digests));
            item.warnings.extend(vault::warn_outdated(session.id, &known, &restored.files));
            for path in &restored.missing {
                item.warnings
                    .push(format!("the sealed file '{}' is gone, the rest was restored", shown(path)));
            }
            if restored.older > 0 {
                let older = counted(restored.older as u64, "older sealed file");
                item.warnings.push(format!("{older} of session {} stay sealed", session.id));
            }
            Some(restored)
        }
        Err(error) => {
            // Where only what was sealed could not be removed, it is unsealed all the same.
            if !is_back {
                deed.state.state = before;
            }
            item.outcome = if matches!(error, SealedError::InTheWay { .. }) { "refused" } else { "failed" };
            item.error = Some(chain(&error));
            outcome.failed = vec![Failed { path: item.of.store.clone().into(), error: chain(&error).into() }];
            None
        }
    };
    outcome.outcome = Some(item.outcome.into());
    outcome.files = Some(item.files);
    outcome.bytes = Some(item.bytes);
    deed.record(&[outcome], ctx)?;
    Ok((item, restored))
}

/// What an error of opening means for the exit code.
pub(super) fn failure(error: &SealedError) -> Failure {
    match error {
        SealedError::InTheWay { .. } => Failure::because(Exit::Refused, error)
            .hint("nothing was changed; move it away to bring back what was sealed, or keep working with it"),
        SealedError::Open { source: UnsealError::WrongKey | UnsealError::NoIdentity, .. } => {
            Failure::because(Exit::Failed, error)
                .hint("nothing was changed; name the file that holds the key: `--identity FILE`")
        }
        _ => Failure::because(Exit::Failed, error)
            .hint("nothing was changed; `age -d -i KEY FILE | zstd -d` opens single sealed files"),
    }
}
