//! The first half of every verb: policy, state, stores, inventory. Nothing is changed.

use std::path::PathBuf;

use super::{Context, Exit, Failure, evidence, home};
use crate::catalogue::Root;
use crate::error::chain;
use crate::escape::shown;
use crate::inventory::liveness::System;
use crate::inventory::memory::Memory;
use crate::inventory::{self, Dates, Inventory, Problem, Unremembered};
use crate::locate::{self, FoundBy, Located, Refusal, Refused, Request, Store};
use crate::policy::{self, Layer, Policy, claude, load::Places};
use crate::seal::{Plugins, Recipient, Recipients};
use crate::state::dates::DateFile;
use crate::state::sessions::{self, Remembered};
use crate::state::{self, RememberedRoot, State, StateError, StateFile};

/// What a verb knows before it looks into the stores.
#[derive(Debug)]
pub struct Ground {
    /// The policy in force.
    pub policy: Policy,
    /// What earlier runs remembered.
    pub state: StateFile,
    /// The client's own settings.
    pub client: claude::ClientSettings,
    /// The stores.
    pub stores: Vec<Store>,
    /// Stores that the policy leaves out, which are only looked into.
    pub excluded: Vec<Store>,
    /// Whether one of those cannot be looked into.
    pub lacks_excluded: bool,
    /// What was refused as a store.
    pub refused: Vec<Refused>,
}

/// Reads policy and state and finds the stores.
///
/// # Errors
/// An invalid policy is exit 2; state that cannot be read is exit 4. Nothing was touched.
pub fn ground(ctx: &Context) -> Result<Ground, Failure> {
    ground_with(ctx, Vec::new())
}

/// The same with the roots that a search has found.
///
/// # Errors
/// As [`ground`].
pub fn ground_with(ctx: &Context, found: Vec<(PathBuf, Root)>) -> Result<Ground, Failure> {
    let mut policy = in_force(ctx)?;
    let (mut state, complaints) = loaded(&policy, ctx)?;
    policy.complaints.extend(complaints);
    for path in forget_misnamed(&mut state.state, ctx) {
        ctx.console.warning(&format!(
            "'{}' was remembered as a temp folder of Claude Code, which it cannot be by its name: it is no longer visited",
            shown(&path)
        ));
    }
    Ok(locate(ctx, policy, state, found))
}

/// The policy in force.
///
/// # Errors
/// An invalid one is exit 2.
pub fn in_force(ctx: &Context) -> Result<Policy, Failure> {
    let named = ctx.global.policy.as_ref().map(|path| ctx.env.absolute(path));
    policy::of(&ctx.env, &Places::new(&ctx.env), named.as_deref())
        .map_err(|error| Failure::because(Exit::Usage, &error))
}

/// The same for a command that only looks: an invalid layer of the user's is left out and reported. A file that
/// was named must be valid.
///
/// # Errors
/// As [`in_force`].
pub fn in_force_to_look(ctx: &Context) -> Result<Policy, Failure> {
    if ctx.global.policy.is_some() {
        return in_force(ctx);
    }
    policy::of_valid_layers(&ctx.env, &Places::new(&ctx.env))
        .map_err(|error| Failure::because(Exit::Usage, &error))
}

/// What earlier runs remembered, and what of it could not be used and was begun anew.
///
/// # Errors
/// State that cannot be read is exit 4.
pub fn remembered(policy: &Policy, ctx: &Context) -> Result<(StateFile, Vec<String>), Failure> {
    let (mut file, complaints) = loaded(policy, ctx)?;
    forget_misnamed(&mut file.state, ctx);
    Ok((file, complaints))
}

fn loaded(policy: &Policy, ctx: &Context) -> Result<(StateFile, Vec<String>), Failure> {
    let dir = ctx.env.state_dir();
    let own = StateFile::load(&dir);
    if let Some(kept) = ctx.parent.as_ref().and_then(|parent| parent.kept(state::FILE)) {
        let (file, errors) = StateFile::of_account(own, kept, ctx.env.now);
        let complaint = |error| format!("what earlier runs remembered is not used: {}", chain(&error));
        return Ok((file, errors.into_iter().map(complaint).collect()));
    }
    match own {
        Ok(own) => Ok((own, Vec::new())),
        // No user may stop what the organisation demands.
        Err(error) if policy.is_managed() => {
            let mut file = StateFile::anew(&dir, ctx.env.now);
            for root in evidence::roots(ctx) {
                // What it is shows when it is looked at; a temp tree has no mark but its name.
                let is_temp = locate::bears_its_name(&ctx.env, &root, Root::Temp);
                let kind = if is_temp { Root::Temp } else { Root::Config };
                file.state.saw_root(&root, kind.word(), ctx.env.now);
            }
            let complaint = format!(
                "what earlier runs remembered cannot be used and is begun anew, \
                 so for 7 days nothing goes that has lost its transcript: {}",
                chain(&error)
            );
            Ok((file, vec![complaint]))
        }
        Err(error) => Err(Failure::because(Exit::Refused, &error)),
    }
}

/// Saves what is remembered: in the user's own file, and with root where root keeps its own.
///
/// # Errors
/// Exit 1: it cannot be written, or the parent is gone.
pub(super) fn save(file: &mut StateFile, ctx: &Context) -> Result<(), Failure> {
    let failed = |error: &StateError| Failure::because(Exit::Failed, error);
    if let Some(parent) = ctx.parent.as_ref().filter(|parent| parent.kept(state::FILE).is_some()) {
        let kept = file.kept().map_err(|error| failed(&error))?;
        parent.keep(state::FILE, &kept).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot keep what is remembered: {error}"))
        })?;
    }
    file.save().map(drop).map_err(|error| failed(&error))
}

/// What earlier runs remembered of sessions; with root where root keeps its own.
///
/// # Errors
/// It is there and cannot be read.
pub(super) fn sessions_remembered(ctx: &Context) -> Result<Remembered, StateError> {
    match ctx.parent.as_ref().and_then(|parent| parent.kept(sessions::FILE)) {
        Some(kept) => Remembered::parse(kept.as_bytes(), sessions::FILE.into(), ctx.env.now),
        None => Remembered::load(&ctx.env.state_dir(), ctx.env.now),
    }
}

/// Replaces what is remembered of sessions: in the user's own file, and with root where root keeps its own.
///
/// # Errors
/// Exit 1: it cannot be written. A file of the user's stops nothing where root keeps its own.
pub(super) fn remember_sessions(
    remembered: &Remembered,
    memory: Memory,
    ctx: &Context,
) -> Result<(), Failure> {
    let failed = |error: &StateError| Failure::because(Exit::Failed, error);
    let Some(text) = remembered.changed(memory).map_err(|error| failed(&error))? else { return Ok(()) };
    let own = sessions::save(&ctx.env.state_dir(), &text);
    let Some(parent) = ctx.parent.as_ref().filter(|parent| parent.kept(sessions::FILE).is_some()) else {
        // On a full disk deletions come first: they make room.
        return match own {
            Err(StateError::File(error)) if error.source.kind() == std::io::ErrorKind::StorageFull => {
                ctx.console.warning(&chain(&error));
                Ok(())
            }
            own => own.map_err(|error| failed(&error)),
        };
    };
    if let Err(error) = own {
        ctx.console.warning(&chain(&error));
    }
    parent
        .keep(sessions::FILE, &text)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot keep what is remembered: {error}")))
}

/// Forgets every session: where a purge has passed, not even their projects' paths stay.
///
/// # Errors
/// Exit 1: it is there and cannot be removed.
pub(super) fn forget_sessions(ctx: &Context) -> Result<(), Failure> {
    if let Some(parent) = ctx.parent.as_ref().filter(|parent| parent.kept(sessions::FILE).is_some()) {
        parent.keep(sessions::FILE, "").map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot forget what is remembered: {error}"))
        })?;
    }
    sessions::forget(&ctx.env.state_dir()).map_err(|error| Failure::because(Exit::Failed, &error))
}

/// Forgets roots that cannot be what they were remembered as; gives their paths.
fn forget_misnamed(state: &mut State, ctx: &Context) -> Vec<PathBuf> {
    let is_misnamed = |root: &mut RememberedRoot| {
        root_of_word(&root.kind).is_some_and(|kind| !locate::bears_its_name(&ctx.env, &root.path, kind))
    };
    state.roots.extract_if(.., is_misnamed).map(|root| root.path).collect()
}

/// Finds the stores by a policy, what earlier runs remembered, and what a search has found.
#[must_use]
pub fn locate(ctx: &Context, mut policy: Policy, state: StateFile, found: Vec<(PathBuf, Root)>) -> Ground {
    let env = &ctx.env;
    let client = claude::read(&claude::ClientPlaces::new(env), &[]);
    let request = Request {
        only: ctx.global.stores.iter().map(|path| env.absolute(path)).collect(),
        extra: policy.extra_stores.iter().map(|extra| env.absolute(&extra.value)).collect(),
        exclude: policy.excluded_stores.iter().map(|excluded| env.absolute(&excluded.value)).collect(),
        remembered: state
            .state
            .roots
            .iter()
            .filter_map(|root| Some((root.path.clone(), root_of_word(&root.kind)?)))
            .collect(),
        settings: named_in_settings(ctx, &client),
        found,
    };
    let Located { stores, excluded, lacks_excluded, refused } = locate::locate(env, &request);
    // A store is known by its real path, and may be left out by a link to it.
    for excluded in policy.mandates.iter_mut().flat_map(|mandate| &mut mandate.excluded_stores) {
        excluded.value = locate::real(&env.absolute(&excluded.value));
    }
    Ground { policy, state, client, stores, excluded, lacks_excluded, refused }
}

/// The same for a verb that only looks.
///
/// # Errors
/// An invalid policy is exit 2. Nothing was to be touched, so that what cannot be read is a failure
/// (1) and no refusal.
pub fn ground_to_look(ctx: &Context) -> Result<Ground, Failure> {
    let mut policy = in_force_to_look(ctx)?;
    let (state, complaints) =
        remembered(&policy, ctx).map_err(|failure| Failure { exit: Exit::Failed, ..failure })?;
    policy.complaints.extend(complaints);
    Ok(locate(ctx, policy, state, Vec::new()))
}

/// Folders that the `env` of the client's own settings names.
fn named_in_settings(ctx: &Context, client: &claude::ClientSettings) -> Vec<(PathBuf, Root)> {
    [("CLAUDE_CONFIG_DIR", Root::Config), ("CLAUDE_CODE_TMPDIR", Root::Temp)]
        .into_iter()
        .flat_map(|(name, root)| {
            let values: Vec<PathBuf> =
                client.variable(name).map(|(value, _)| ctx.env.absolute(value.as_ref())).collect();
            values.into_iter().map(move |path| (path, root))
        })
        .collect()
}

fn root_of_word(word: &str) -> Option<Root> {
    Root::ALL.into_iter().find(|root| root.word() == word)
}

impl Ground {
    /// Looks into the stores.
    #[must_use]
    pub fn inventory(&self, ctx: &Context) -> Inventory {
        self.inventory_and_memory(ctx).0
    }

    /// Looks into the stores; what earlier runs remembered of sessions is in it, and comes along so
    /// that it can be replaced. `None` where it cannot be read.
    #[must_use]
    pub fn inventory_and_memory(&self, ctx: &Context) -> (Inventory, Option<Remembered>) {
        // A config folder that could not be looked into may hold the transcript of any session.
        let is_unread = |refused: &&Refused| {
            refused.kind == Root::Config && !matches!(refused.why, Refusal::Unlockable(_))
        };
        let all_reached = !self.lacks_excluded && !self.refused.iter().any(|refused| is_unread(&refused));
        let mut dates_before = DateFile::new(&ctx.env.state_dir(), ctx.env.now);
        // The file is the user's, and nothing of his may delay what the organisation demands.
        let mut layers = self.policy.mandates.iter().flat_map(|mandate| &mandate.layers);
        let forgets = layers.any(|layer| layer.source.layer == Layer::Managed)
            || home::is_foreign(&ctx.env)
            // Where all files look the same, the date of one would be taken for that of another.
            || !ctx.env.platform.tells_files_apart();
        let dates: &mut dyn Dates = match forgets {
            true => &mut Unremembered,
            false => &mut dates_before,
        };
        let remembered = sessions_remembered(ctx);
        let is_blind = remembered.as_ref().map_or(true, |remembered| remembered.is_blind(ctx.env.now));
        let stores = self.stores.iter().chain(&self.excluded).cloned().collect();
        let mut inventory = inventory::take(stores, all_reached, ctx.env.now, &System, dates);
        if is_blind || self.state.state.is_learning(ctx.env.now) {
            inventory.doubt_orphans();
        }
        // What the policy leaves out is no failure of a run.
        let of_excluded = |problem: &Problem| {
            problem.store.is_some_and(|store| inventory.stores[store.at()].store.is_excluded)
        };
        let kept: Vec<bool> = inventory.problems.iter().map(|problem| !of_excluded(problem)).collect();
        let mut kept = kept.into_iter();
        inventory.problems.retain(|_| kept.next().unwrap_or(true));
        if self.state.state.has_unsealed() {
            inventory.remember_unsealed(|store, id| {
                let unsealed = self.state.state.unsealed(&store.store.root, &id.to_string())?;
                Some((unsealed.unsealed_at, unsealed.last_activity, unsealed.recorded))
            });
        }
        let first_seen = self.state.state.first_seen();
        if !first_seen.is_empty() {
            inventory.remember_first_seen(|store, key| first_seen.get(&(store, key)).copied());
        }
        let (why, remembered) = match remembered {
            Ok(mut remembered) => (remembered.damage.take().map(std::io::Error::from), Some(remembered)),
            Err(error) => (Some(std::io::Error::other(crate::error::chain(&error))), None),
        };
        if let Some(error) = why {
            let path = sessions::path(&ctx.env.state_dir());
            inventory.problems.push(Problem { store: None, path, doing: "use", error });
        }
        if let Some(remembered) = &remembered {
            // What root keeps of an account, and root's own file, no user has written.
            let is_roots = ctx.env.user.uid == 0
                || ctx.parent.as_ref().is_some_and(|parent| parent.kept(sessions::FILE).is_some());
            inventory.recall(&remembered.memory, !is_roots);
        }
        (inventory, remembered)
    }

    /// What is wrong with the policy, and why it deletes nothing.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let suspended = self.policy.suspended.iter().map(|why| {
            format!(
                "no policy names a period and the client's own settings give none, so nothing is deleted: {why}"
            )
        });
        self.policy.complaints.iter().cloned().chain(suspended).collect()
    }

    /// Reads again what is remembered, once the locks are taken.
    ///
    /// # Errors
    /// Exit 4: it cannot be read.
    pub fn reload_state(&mut self, ctx: &Context) -> Result<(), Failure> {
        self.state = remembered(&self.policy, ctx)?.0;
        Ok(())
    }

    /// Forgets the true dates of unsealed sessions that are no longer there.
    pub fn forget_gone(&mut self, inventory: &Inventory) {
        if !inventory.is_complete {
            return;
        }
        let sessions: std::collections::HashSet<_> = inventory
            .sessions
            .iter()
            .map(|session| (&inventory.store(session.store).store.root, session.id.to_string()))
            .collect();
        let roots: Vec<&PathBuf> = inventory.stores.iter().map(|view| &view.store.root).collect();
        self.state.state.unsealed.retain(|each| {
            !roots.contains(&&each.store) || sessions.contains(&(&each.store, each.session.clone()))
        });
    }

    /// The stores that later runs will visit because this one sees them for the first time.
    pub fn new_roots(&self, ctx: &Context) -> impl Iterator<Item = &Store> {
        let is_known = |store: &&Store| self.state.state.roots.iter().any(|root| root.path == store.root);
        self.stores.iter().filter(|store| is_remembered(store, ctx)).filter(move |store| !is_known(store))
    }

    /// Remembers the roots of this run for later ones, which may not see the same variables.
    pub fn remember_roots(&mut self, ctx: &Context) {
        remember(&self.stores, &mut self.state.state, ctx);
    }

    /// The same in a state that was loaded anew.
    pub fn remember_roots_in(&self, state: &mut State, ctx: &Context) {
        remember(&self.stores, state, ctx);
    }
}

fn remember(stores: &[Store], state: &mut State, ctx: &Context) {
    forget_misnamed(state, ctx);
    for store in stores.iter().filter(|store| is_remembered(store, ctx)) {
        state.saw_root(&store.root, store.kind.word(), ctx.env.now);
    }
}

/// Whether later runs visit a store because this one saw it.
fn is_remembered(store: &Store, ctx: &Context) -> bool {
    let derived = matches!(store.kind, Root::Home | Root::HeapDumps)
        || matches!(store.found_by, FoundBy::Desktop | FoundBy::Search);
    !derived && locate::bears_its_name(&ctx.env, &store.root, store.kind)
}

/// To whom sessions are sealed; `None` where the policy names nobody.
///
/// # Errors
/// A recipient that cannot be used is exit 2: nothing was touched.
pub fn recipients(policy: &Policy) -> Result<Option<Recipients>, Failure> {
    if policy.recipients.is_empty() {
        return Ok(None);
    }
    let parsed = policy.recipients.iter().map(|recipient| {
        let plugins = match recipient.source.layer {
            Layer::System | Layer::Managed => Plugins::Allowed,
            Layer::BuiltIn | Layer::User => Plugins::Refused,
        };
        Recipient::parse(&recipient.value, plugins)
    });
    let parsed: Result<Vec<Recipient>, _> = parsed.collect();
    parsed.and_then(Recipients::new).map(Some).map_err(|error| Failure::because(Exit::Usage, &error))
}
