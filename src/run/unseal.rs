//! Sealed sessions become plain files again, one recorded step after the other.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::sealed::{self, Of};
use super::{Context, Ended, Error, SealedRun, Workspace};
use crate::catalogue::{Kind, SessionId};
use crate::client::{self, ClientPlaces, Written};
use crate::enforce::leftovers::Remains;
use crate::enforce::sealed::{SealedError, SealedSession};
use crate::enforce::unseal::{Dates, Existing, Restored, Restoring};
use crate::error::{PathError, chain};
use crate::escape::shown;
use crate::inventory::liveness::Liveness;
use crate::inventory::{Inventory, Problem, SessionIndex};
use crate::ledger::{Event, Failure as Failed, SealedRecords};
use crate::locate::Store;
use crate::policy::Hold;
use crate::seal::{Identities, naming};
use crate::words::counted;

/// The outcome of a session that was unsealed by a run that was interrupted right before its end.
pub const SETTLED: &str = "settled";

/// What became of one session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    #[serde(flatten)]
    pub of: Of,
    /// The holds whose preservation copies were looked into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<Vec<String>>,
    pub files: u64,
    pub bytes: u64,
    /// `unsealed`, `settled`, `restored`, `nothing-missing`, `refused` or `failed`.
    pub outcome: &'static str,
    pub warnings: Vec<String>,
    pub error: Option<String>,
    /// What to do about the error; empty where that has it.
    #[serde(skip)]
    pub hint: String,
}

impl Item {
    /// What is reported of a session of which nothing is done yet.
    pub fn new(of: Of, outcome: &'static str) -> Self {
        Self {
            of,
            holds: None,
            files: 0,
            bytes: 0,
            outcome,
            warnings: Vec::new(),
            error: None,
            hint: String::new(),
        }
    }

    /// With the reason why what became of it is not in the ledger.
    fn unrecorded(mut self, error: Error) -> Ended<Self> {
        self.error.get_or_insert_with(|| chain(&error));
        Ended { item: Some(Box::new(self)), error }
    }
}

/// How a session is brought back.
pub struct How<'a> {
    pub keys: &'a Identities,
    pub dates: Dates,
    pub after: After,
    /// The roots of temp trees into which may be restored.
    pub temps: &'a [PathBuf],
    /// What the ledger knows of the sessions.
    pub known: &'a Result<SealedRecords, String>,
}

/// What bringing a session back comes to.
#[derive(Debug)]
pub enum Way {
    Unseal,
    /// It is back, and an interrupted run left this of its sealed form.
    Settle(Remains),
}

/// Whether the sealed files go once the plain ones are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    Remove,
    Keep,
}

/// Why a session is not sealed or brought back; nothing was changed.
#[derive(Debug)]
pub enum Refusal {
    /// It is plain already.
    NotSealed(SessionId),
    /// A hold covers it.
    Held(SessionId, Box<Hold>),
    /// Claude Code has it open.
    Live(SessionId),
    /// Claude Code may have it open: what says so cannot be read.
    MayBeLive(SessionId, String),
    /// The plan keeps it as it is.
    Stays(SessionId, String),
    /// Its sealed files cannot be used, or a file is in the way.
    Unusable(SealedError),
    /// Claude Code would delete it again as soon as it is started.
    GoesAgain {
        session: SessionId,
        /// The date of its oldest transcript.
        oldest: DateTime<Utc>,
        /// For how long Claude Code keeps sessions.
        days: u64,
    },
}

/// Whether a session may be unsealed, and could be.
///
/// # Errors
/// Why not; nothing was changed.
pub fn may_unseal(
    ctx: &Context,
    ground: &Workspace,
    inventory: &Inventory,
    index: SessionIndex,
    temps: &[PathBuf],
    date_is_settled: bool,
) -> Result<Way, Refusal> {
    let session = inventory.session(index);
    let remains = Remains::of(inventory, index);
    if session.sealed == 0 && remains.is_none() {
        let root = &inventory.store(session.store).store.root;
        let unread = unread(inventory, root, session.id);
        return Err(unread.map_or(Refusal::NotSealed(session.id), Refusal::Unusable));
    }
    if let Some(hold) = sealed::hold_on(&ground.policy, inventory, session) {
        return Err(Refusal::Held(session.id, Box::new(hold.clone())));
    }
    if let Some(remains) = remains {
        return Ok(Way::Settle(remains));
    }
    if session.liveness == Liveness::Unread {
        return Err(Refusal::MayBeLive(session.id, why_unknown(inventory.unread_pid_files().next())));
    }
    if session.liveness.is_live() {
        return Err(Refusal::Live(session.id));
    }
    let store = &inventory.store(session.store).store;
    // Only now, as it reads the record: what was asked before needs no look at the disk.
    let sealed = SealedSession::open(store, session.id).map_err(Refusal::Unusable)?;
    sealed.is_whole().map_err(Refusal::Unusable)?;
    Restoring { session: &sealed, temps, dates: Dates::Original, existing: Existing::Compare }
        .check()
        .map_err(Refusal::Unusable)?;
    if date_is_settled {
        return Ok(Way::Unseal);
    }
    let newest = sealed.record.newest();
    let transcripts = newest.iter().filter(|file| file.kind == Kind::Transcript);
    let Some(oldest) = transcripts.map(|file| file.mtime).min() else { return Ok(Way::Unseal) };
    let project = sealed::project_folder(session);
    goes_again(ctx, store, session.id, project, oldest, inventory.written(session)).map(|()| Way::Unseal)
}

/// Why it cannot be told whether Claude Code has a session open, by what could not be read.
pub fn why_unknown(unread: Option<&Problem>) -> String {
    let why = unread.map(|problem| chain(&PathError::from(problem)));
    why.unwrap_or_else(|| "a file in its folder `sessions` that says so cannot be understood".to_owned())
}

/// What could not be read where the sealed form of a session would be.
pub fn unread(inventory: &Inventory, root: &Path, session: SessionId) -> Option<SealedError> {
    let folder = root.join(naming::session_folder(session));
    let problem = inventory.problems.iter().find(|problem| {
        let path = &problem.path;
        path.starts_with(&folder) || folder.starts_with(path)
    })?;
    Some(PathError::from(problem).into())
}

/// Refuses to bring files back with their own dates where Claude Code would delete them again as soon
/// as it is started.
///
/// # Errors
/// It would.
pub fn goes_again(
    ctx: &Context,
    store: &Store,
    session: SessionId,
    project: Option<&Path>,
    oldest: DateTime<Utc>,
    written: Written,
) -> Result<(), Refusal> {
    // A project's own settings may say another period than the user's.
    let project = project.filter(|path| path.is_absolute() && path.is_dir());
    let places = ClientPlaces { config_dirs: vec![store.root.clone()], ..ClientPlaces::new(&ctx.env) };
    let client = client::read(&places, project.map(Path::to_path_buf).as_slice());
    match client.removal(oldest, written) {
        Some(removal) if removal.at <= ctx.env.now => {
            Err(Refusal::GoesAgain { session, oldest, days: removal.days })
        }
        _ => Ok(()),
    }
}

/// Removes what an interrupted unsealing left of a session that is back; a failure is in the item.
///
/// # Errors
/// Exit 4: the ledger cannot be written.
pub fn settle(
    ctx: &Context,
    inventory: &Inventory,
    index: SessionIndex,
    remains: Remains,
    deed: &mut SealedRun,
) -> Result<Item, Ended<Item>> {
    let mut item = Item::new(Of::new(inventory, inventory.session(index)), SETTLED);
    let left = match remains.remove(inventory, &mut deed.run, ctx.env.now) {
        Ok(left) => left,
        Err(error) => {
            item.outcome = "failed";
            "the next run removes what is left of its sealed form".clone_into(&mut item.hint);
            return Err(item.unrecorded(deed.run.unrecorded(error)));
        }
    };
    if !left.is_empty() {
        let left: Vec<String> = left.iter().map(|(path, why)| format!("'{}': {why}", shown(path))).collect();
        item.outcome = "failed";
        item.error =
            Some(format!("it is back, and its sealed form could not be removed: {}", left.join("; ")));
        item.hint = "what is left holds no content; the next run tries again".to_owned();
    }
    Ok(item)
}

/// Unseals one session; its failure is in the item.
///
/// # Errors
/// The ledger or what is remembered cannot be written.
pub fn one(
    ctx: &Context,
    inventory: &Inventory,
    index: SessionIndex,
    how: &How<'_>,
    deed: &mut SealedRun,
) -> Result<(Item, Option<Restored>), Ended<Item>> {
    let session = inventory.session(index);
    let store = &inventory.store(session.store).store;
    let mut intent = Of::new(inventory, session).entry(Event::Intent, "unseal");
    intent.files = Some(u64::from(session.sealed));
    deed.run.record(&[intent], ctx)?;
    // Remembered before the files are there: a run that dies between the two must not take their new dates for
    // an activity.
    let before = deed.state.state.clone();
    let last_activity = session.modified.or(session.newest_record).unwrap_or(ctx.env.now);
    let recorded = session.newest_record.and(session.activity()).map(|(date, _)| date);
    deed.remember_unsealed(&store.root, session.id, last_activity, recorded, ctx)?;
    let How { temps, dates, known, .. } = *how;
    let mut left = None;
    let mut attempt = || -> Result<Restored, SealedError> {
        let sealed = sealed::vouched(SealedSession::open(store, session.id)?, known);
        let restored = Restoring { session: &sealed, temps, dates, existing: Existing::Compare };
        let restored = restored.restore(how.keys)?;
        // Last: until every file is back and on the disk, the sealed ones are the only copy.
        if how.after == After::Remove {
            left = sealed.remove(&restored.files).err();
        }
        Ok(restored)
    };
    let mut item = Item::new(Of::new(inventory, session), "unsealed");
    item.hint = "nothing of it was removed".to_owned();
    let mut outcome = Of::new(inventory, session).entry(Event::Outcome, "unseal");
    let restored = match attempt() {
        Ok(restored) => {
            (item.files, item.bytes) = (restored.digests.len() as u64, restored.bytes);
            item.warnings.extend(sealed::warn_unknown(session.id, known, &restored.digests));
            item.warnings.extend(sealed::warn_outdated(session.id, known, &restored.files));
            for path in &restored.missing {
                item.warnings
                    .push(format!("the sealed file '{}' is gone, the rest was restored", shown(path)));
            }
            if restored.older > 0 {
                let older = counted(restored.older as u64, "older sealed file");
                let stay = if restored.older == 1 { "stays" } else { "stay" };
                item.warnings.push(format!("{older} of session {} {stay} sealed", session.id));
            }
            if let Some(error) = left {
                item.error =
                    Some(format!("it is back, and its sealed form could not be removed: {}", chain(&error)));
                // Its own date: that of a file which is back already stays, and no date is asked for.
                item.hint = format!(
                    "both forms are there; once the sealed one can be removed, `ccretain unseal {} --keep-date` does",
                    session.id
                );
                outcome.failed =
                    vec![Failed { path: item.of.store.clone().into(), error: chain(&error).into() }];
            }
            Some(restored)
        }
        Err(error) => {
            deed.state.state = before;
            item.outcome = if matches!(error, SealedError::InTheWay { .. }) { "refused" } else { "failed" };
            item.error = Some(chain(&error));
            outcome.failed = vec![Failed { path: item.of.store.clone().into(), error: chain(&error).into() }];
            None
        }
    };
    outcome.outcome = Some(item.outcome.into());
    (outcome.files, outcome.bytes) = (Some(item.files), Some(item.bytes));
    match deed.run.record(&[outcome], ctx) {
        Ok(()) => Ok((item, restored)),
        Err(error) => {
            if restored.is_some() {
                "it is back, and only the record of that is missing".clone_into(&mut item.hint);
            }
            Err(item.unrecorded(error))
        }
    }
}
