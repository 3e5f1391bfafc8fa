//! What later runs must know: read before a run and kept after it, in the user's own files or with the parent of a
//! run over all users.

use std::path::PathBuf;

use super::{Context, Error, Workspace, journal};
use crate::catalogue::Root;
use crate::error::chain;
use crate::escape::shown;
use crate::inventory::memory::Memory;
use crate::locate::{self, Followed, FoundBy, Store};
use crate::policy::Policy;
use crate::state::sessions::{self, Remembered};
use crate::state::{self, RememberedFolder, RememberedRoot, State, StateError, StateFile};

/// What earlier runs remembered, and what of it could not be used and was begun anew.
///
/// # Errors
/// State that cannot be read is exit 4.
pub fn remembered(policy: &Policy, ctx: &Context) -> Result<(StateFile, Vec<String>), Error> {
    let (mut file, complaints) = loaded(policy, ctx)?;
    forget_misnamed(&mut file.state, ctx);
    Ok((file, complaints))
}

pub(super) fn loaded(policy: &Policy, ctx: &Context) -> Result<(StateFile, Vec<String>), Error> {
    let dir = ctx.env.state_dir();
    // Read in any case: under a run over all users it may still protect, for a day at most.
    let own = StateFile::load(&dir);
    if let Some(kept) = ctx.parent.as_ref().and_then(|parent| parent.kept(state::FILE)) {
        let (file, errors) = StateFile::of_account(own, kept, ctx.env.now);
        let complaint = |error| format!("what earlier runs remembered is not used: {}", chain(&error));
        return Ok((file, errors.into_iter().map(complaint).collect()));
    }
    match own {
        Ok(own) if own.is_there() => Ok((own, Vec::new())),
        Ok(own) => Ok(without_state(own, ctx)),
        // No user may stop what the organisation demands.
        Err(error) if policy.is_managed() => {
            let mut file = StateFile::anew(&dir, ctx.env.now);
            remember_from_ledger(&mut file.state, &journal::roots(ctx), ctx);
            let complaint = format!(
                "what earlier runs remembered cannot be used and is started afresh, \
                 so for 7 days nothing goes that has lost its transcript: {}",
                chain(&error)
            );
            Ok((file, vec![complaint]))
        }
        Err(error) => Err(Error::StateRefused(error)),
    }
}

/// Leaves a state before the first change of a first run: one that is killed before its end must not look like one
/// whose state somebody removed.
pub fn begin(workspace: &Workspace, ctx: &Context) {
    if ctx.parent.is_some() || workspace.state.is_there() {
        return;
    }
    let mut file = workspace.state.clone();
    workspace.remember_roots_in(&mut file.state, ctx);
    // On a full disk there is room only when something has gone.
    let _ = file.save();
}

/// Remembers the roots that the ledger names.
fn remember_from_ledger(state: &mut State, roots: &[PathBuf], ctx: &Context) {
    for root in roots {
        // What it is shows when it is looked at; a temp tree has no mark but its name.
        let is_temp = locate::bears_its_name(&ctx.env, root, Root::Temp);
        let kind = if is_temp { Root::Temp } else { Root::Config };
        state.saw_root(root, kind.word(), ctx.env.now);
    }
}

/// No state is there: that of a first run, or of one after somebody removed it, which the ledger tells.
fn without_state(mut own: StateFile, ctx: &Context) -> (StateFile, Vec<String>) {
    let roots = journal::roots(ctx);
    if roots.is_empty() {
        return (own, Vec::new());
    }
    // A first run that was killed has left a ledger, and no state yet.
    let complaint = journal::any_run_ended(ctx).then(|| {
        format!(
            "'{}' is gone, so what earlier runs remembered is started afresh: stores are those that the ledger names, \
             and for 7 days nothing goes that has lost its transcript",
            shown(&state::path(&ctx.env.state_dir()))
        )
    });
    own.state.begun = Some(ctx.env.now);
    remember_from_ledger(&mut own.state, &roots, ctx);
    (own, complaint.into_iter().collect())
}

/// Saves what is remembered: in the user's own file, and with root where root keeps its own.
///
/// # Errors
/// Exit 1: it cannot be written, or the parent is gone.
pub fn save(file: &mut StateFile, ctx: &Context) -> Result<(), Error> {
    if let Some(parent) = ctx.parent.as_ref().filter(|parent| parent.kept(state::FILE).is_some()) {
        let kept = file.kept().map_err(Error::State)?;
        // Root's first: it is the one that managed rules go by, and the user's may fail by the user's doing.
        parent.keep(state::FILE, &kept).map_err(unkept("keep"))?;
    }
    file.save().map(drop).map_err(Error::State)
}

/// What earlier runs remembered of sessions; with root where root keeps its own.
///
/// # Errors
/// It is there and cannot be read.
pub fn sessions_remembered(ctx: &Context) -> Result<Remembered, StateError> {
    match ctx.parent.as_ref().and_then(|parent| parent.kept(sessions::FILE)) {
        Some(kept) => Remembered::parse(kept.as_bytes(), sessions::FILE.into(), ctx.env.now),
        None => Remembered::load(&ctx.env.state_dir(), ctx.env.now),
    }
}

/// Replaces what is remembered of sessions: in the user's own file, and with root where root keeps its own.
///
/// # Errors
/// Exit 1: it cannot be written. A file of the user's stops nothing where root keeps its own.
pub fn remember_sessions(remembered: &Remembered, memory: Memory, ctx: &Context) -> Result<(), Error> {
    let Some(text) = remembered.changed(memory).map_err(Error::State)? else { return Ok(()) };
    let own = sessions::save(&ctx.env.state_dir(), &text);
    let Some(parent) = ctx.parent.as_ref().filter(|parent| parent.kept(sessions::FILE).is_some()) else {
        // On a full disk deletions come first: they make room.
        return match own {
            Err(StateError::File(error)) if error.source.kind() == std::io::ErrorKind::StorageFull => {
                ctx.screen.warning(&chain(&error));
                Ok(())
            }
            own => own.map_err(Error::State),
        };
    };
    if let Err(error) = own {
        ctx.screen.warning(&chain(&error));
    }
    parent.keep(sessions::FILE, &text).map_err(unkept("keep"))
}

/// Forgets every session: where a purge has passed, not even their projects' paths stay.
///
/// # Errors
/// Exit 1: it is there and cannot be removed.
pub fn forget_sessions(ctx: &Context) -> Result<(), Error> {
    if let Some(parent) = ctx.parent.as_ref().filter(|parent| parent.kept(sessions::FILE).is_some()) {
        parent.keep(sessions::FILE, "").map_err(unkept("forget"))?;
    }
    sessions::forget(&ctx.env.state_dir()).map_err(|error| Error::State(error.into()))
}

/// Forgets roots that cannot be what they were remembered as; gives their paths.
pub(super) fn forget_misnamed(state: &mut State, ctx: &Context) -> Vec<PathBuf> {
    let is_misnamed = |root: &mut RememberedRoot| {
        root_of_word(&root.kind).is_some_and(|kind| !locate::bears_its_name(&ctx.env, &root.path, kind))
    };
    state.roots.extract_if(.., is_misnamed).map(|root| root.path).collect()
}

fn unkept(doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::KeptByParent { doing, source }
}

pub(super) fn root_of_word(word: &str) -> Option<Root> {
    Root::ALL.into_iter().find(|root| root.word() == word)
}

pub(super) fn remember(stores: &[Store], state: &mut State, ctx: &Context) {
    forget_misnamed(state, ctx);
    for store in stores.iter().filter(|store| is_remembered(store, ctx)) {
        state.saw_root(&store.root, store.kind.word(), ctx.env.now);
        if let Some(root) = state.roots.iter_mut().find(|root| root.path == store.root) {
            remember_followed(store, root);
        }
    }
    // No lock of ours stays in it, so that it is empty once all that was Claude Code's has gone.
    let emptied = |store: &&Store| store.kind == Root::Desktop && is_empty(store);
    for store in stores.iter().filter(emptied) {
        state.roots.retain(|root| root.path != store.root);
    }
}

/// The folders of a root that lay elsewhere when it was last seen.
pub(super) fn followed(root: &RememberedRoot) -> impl Iterator<Item = Followed> {
    root.followed.iter().map(|folder| Followed {
        root: root.path.clone(),
        path: folder.path.clone(),
        identity: (folder.device, folder.inode),
    })
}

/// Remembers which folders of a store lie elsewhere; one that is out of reach today stays remembered.
fn remember_followed(store: &Store, root: &mut RememberedRoot) {
    root.followed.retain(|folder| store.crossings.why_not(&folder.path).is_some());
    root.followed.extend(store.followed().into_iter().map(|followed| {
        let (device, inode) = followed.identity;
        RememberedFolder { path: followed.path, device, inode, unknown: serde_json::Map::new() }
    }));
    root.followed.sort_by(|a, b| a.path.cmp(&b.path));
}

/// Whether later runs visit a store because this one saw it.
pub(super) fn is_remembered(store: &Store, ctx: &Context) -> bool {
    let derived = matches!(store.kind, Root::Home | Root::HeapDumps | Root::TempNeighbours | Root::DebugLogs)
        || matches!(store.found_by, FoundBy::Desktop | FoundBy::Search);
    // Whoever finds it empty later must know that something was in it.
    let is_nothing = matches!(store.kind, Root::Config | Root::Desktop) && is_empty(store);
    !derived && locate::bears_its_name(&ctx.env, &store.root, store.kind) && !is_nothing
}

fn is_empty(store: &Store) -> bool {
    crate::dir::Dir::open(&store.root).and_then(|dir| dir.entries()).is_ok_and(|entries| entries.is_empty())
}
