//! The first stage of every run: policy, state, stores, inventory. Nothing is changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::seen::Seen;
use super::{Context, Error, home, remembered};
use crate::catalogue::Root;
use crate::client;
use crate::client::movers::Moved;
use crate::escape::shown;
use crate::inventory::liveness::System;
use crate::inventory::{self, Dates, Earlier, Inventory, Problem, Unremembered};
use crate::locate::{self, Located, Refusal, Refused, Request, Store};
use crate::policy::{self, Layer, Policy, load::Places};
use crate::seal::{Plugins, Recipient, Recipients};
use crate::state::dates::DateFile;
use crate::state::sessions::{self, Remembered};
use crate::state::{State, StateFile};

/// What a run works on, before it looks into the stores.
#[derive(Debug)]
pub struct Workspace {
    /// The policy in force.
    pub policy: Policy,
    /// What earlier runs remembered.
    pub state: StateFile,
    /// The client's own settings.
    pub client: client::ClientSettings,
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
pub fn prepare(ctx: &Context) -> Result<Workspace, Error> {
    prepare_with(ctx, in_force(ctx)?, Vec::new())
}

/// The same by a policy that was read, and with the roots that a search has found.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_with(
    ctx: &Context,
    mut policy: Policy,
    found: Vec<(PathBuf, Root)>,
) -> Result<Workspace, Error> {
    let (mut state, complaints) = remembered::loaded(&policy, ctx)?;
    policy.complaints.extend(complaints);
    for path in remembered::forget_misnamed(&mut state.state, ctx) {
        ctx.screen.warning(&format!(
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
pub fn in_force(ctx: &Context) -> Result<Policy, Error> {
    let named = ctx.policy.as_ref().map(|path| ctx.env.absolute(path));
    Ok(policy::of(&ctx.env, &Places::new(&ctx.env), named.as_deref())?)
}

/// Looks whether policy and holds are still those by which it was decided what goes. With the ledger open, whose lock
/// is that of the holds: a hold may have been placed while a person was asked.
///
/// # Errors
/// They are others, or cannot be read; nothing was changed.
pub fn must_be_unchanged(policy: &Policy, ctx: &Context) -> Result<(), Error> {
    if in_force(ctx)?.digest == policy.digest { Ok(()) } else { Err(Error::PolicyChanged) }
}

/// The same for a command that only looks: an invalid layer of the user's is left out and reported. A file that
/// was named must be valid.
///
/// # Errors
/// As [`in_force`].
pub fn in_force_to_look(ctx: &Context) -> Result<Policy, Error> {
    if ctx.policy.is_some() {
        return in_force(ctx);
    }
    Ok(policy::of_valid_layers(&ctx.env, &Places::new(&ctx.env))?)
}

/// Finds the stores by a policy, what earlier runs remembered, and what a search has found.
pub fn locate(ctx: &Context, mut policy: Policy, state: StateFile, found: Vec<(PathBuf, Root)>) -> Workspace {
    let env = &ctx.env;
    let client = client::read(&client::ClientPlaces::new(env), &[]);
    let request = Request {
        only: ctx.stores.iter().map(|path| env.absolute(path)).collect(),
        extra: policy.extra_stores.iter().map(|extra| env.absolute(&extra.value)).collect(),
        exclude: policy.excluded_stores.iter().map(|excluded| env.absolute(&excluded.value)).collect(),
        remembered: state
            .state
            .roots
            .iter()
            .filter_map(|root| Some((root.path.clone(), remembered::root_of_word(&root.kind)?)))
            .collect(),
        followed: state.state.roots.iter().flat_map(remembered::followed).collect(),
        // A timer starts without the variables of the user's shell, but the settings file has them.
        settings: named_in_settings(ctx, &client),
        found,
    };
    let Located { stores, excluded: left_out, lacks_excluded, refused } = locate::locate(env, &request);
    // A store is known by its real path, and may be left out by a link to it.
    for excluded in policy.mandates.iter_mut().flat_map(|mandate| &mut mandate.excluded_stores) {
        // Here and not in the policy: which paths are links is known only on the machine.
        excluded.value = locate::real(&env.absolute(&excluded.value));
        if let Some(root) = locate::store_around(&excluded.value, stores.iter().chain(&left_out)) {
            excluded.value = root;
        }
    }
    for store in &stores {
        tracing::debug!(kind = store.kind.word(), root = %shown(&store.root), "found a store");
    }
    for refused in &refused {
        tracing::debug!(path = %shown(&refused.path), why = %refused.why, "refused a store");
    }
    Workspace { policy, state, client, stores, excluded: left_out, lacks_excluded, refused }
}

/// The same for a verb that only looks.
///
/// # Errors
/// An invalid policy is exit 2. Nothing was to be touched, so that what cannot be read is a failure
/// (1) and no refusal.
pub fn prepare_to_look(ctx: &Context) -> Result<Workspace, Error> {
    let mut policy = in_force_to_look(ctx)?;
    let (state, complaints) = remembered::remembered(&policy, ctx).map_err(|error| match error {
        Error::StateRefused(error) => Error::State(error),
        other => other,
    })?;
    policy.complaints.extend(complaints);
    Ok(locate(ctx, policy, state, Vec::new()))
}

/// Folders that the `env` of the client's own settings names.
fn named_in_settings(ctx: &Context, client: &client::ClientSettings) -> Vec<(PathBuf, Root)> {
    let moved = client.moved().into_iter();
    moved.filter_map(|moved| Some((ctx.env.absolute(moved.value.as_ref()), moved.mover.root?))).collect()
}

impl Workspace {
    /// What Claude Code's own settings put where this run does not look: elsewhere than in a store.
    pub fn not_covered(&self, ctx: &Context) -> Vec<Moved> {
        let is_covered = |moved: &Moved| {
            let path = moved.path(&ctx.env.user.home);
            let real = locate::real(&path);
            let kind = moved.mover.root;
            self.stores.iter().any(|store| {
                // What is beside and in a temp tree is one place.
                let is_it = real.starts_with(&store.root) && !store.kind.is_shared()
                    || kind == Some(store.kind) && (real == store.root || kind == Some(Root::Temp));
                is_it && path.is_absolute()
            })
        };
        // A folder that is not there, or holds nothing of Claude Code's, is no store and nothing to be named.
        let is_looked_for = |moved: &Moved| matches!(moved.mover.root, Some(Root::Config | Root::Temp));
        let mut moved = self.client.moved();
        moved.retain(|moved| !is_looked_for(moved) && !is_covered(moved));
        moved.dedup();
        moved
    }

    /// Whether a folder has, or had, anything of Claude Code's in it or lies in a store, as far as is known here.
    pub fn is_known(&self, folder: &Path) -> bool {
        let stores = || self.stores.iter().chain(&self.excluded);
        let roots = stores().map(|store| store.root.clone());
        let refused = self.refused.iter().map(|refused| locate::real(&refused.path));
        let remembered = self.state.state.roots.iter().map(|root| root.path.clone());
        roots.chain(refused).chain(remembered).any(|root| root.starts_with(folder))
            || locate::store_around(folder, stores()).is_some()
    }

    /// The folders that a policy leaves out and that are none, so that it may mean others.
    pub fn left_out_in_vain(&self, policy: &Policy, ctx: &Context) -> BTreeSet<PathBuf> {
        let of_layers = policy.mandates.iter().flat_map(|mandate| &mandate.excluded_stores);
        let all = policy.excluded_stores.iter().chain(of_layers);
        let all = all.map(|excluded| locate::real(&ctx.env.absolute(&excluded.value)));
        all.filter(|folder| !self.is_known(folder)).collect()
    }

    /// Looks into the stores.
    pub fn inventory(&self, ctx: &Context) -> Inventory {
        self.inventory_and_memory(ctx).0
    }

    /// Looks into the stores; what earlier runs remembered of sessions is in it, and comes along so
    /// that it can be replaced. `None` where it cannot be read.
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
        let remembered = remembered::sessions_remembered(ctx);
        let is_blind = remembered.as_ref().map_or(true, |remembered| remembered.is_blind(ctx.env.now));
        let stores = self.stores.iter().chain(&self.excluded).cloned().collect();
        let seen = Seen::new(remembered.as_ref().ok(), ctx);
        let earlier = Earlier { dates, saw_transcript: &|root, id| seen.transcript(root, id) };
        // A large store takes seconds, and whoever sees nothing presses Ctrl-C.
        let bar = ctx.screen.progress(1, "reading the session data");
        let mut inventory = inventory::take(stores, all_reached, ctx.env.now, &System::default(), earlier);
        let is_blind = is_blind || self.state.state.is_learning(ctx.env.now);
        if is_blind {
            // Without memory a file whose session is not there looks like one whose session has gone, and is
            // not known to be.
            inventory.doubt_orphans();
        }
        // What the policy leaves out is no failure of a run.
        let of_excluded = |problem: &Problem| {
            problem.store.is_some_and(|store| inventory.stores[store.at()].store.is_excluded)
        };
        let kept: Vec<bool> = inventory.problems.iter().map(|problem| !of_excluded(problem)).collect();
        let mut kept = kept.into_iter();
        inventory.problems.retain(|_| kept.next().unwrap_or(true));
        let unsealed = self.state.state.all_unsealed();
        if !unsealed.is_empty() {
            inventory.remember_unsealed(|store, id| {
                let id = id.to_string();
                let unsealed = unsealed.get(&(store.store.root.as_path(), id.as_str()))?;
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
        // What root keeps of an account, and root's own file, no user has written.
        let is_roots = ctx.env.user.uid == 0
            || ctx.parent.as_ref().is_some_and(|parent| parent.kept(sessions::FILE).is_some());
        if let Some(remembered) = &remembered {
            inventory.recall(&remembered.memory, !is_roots);
        }
        inventory.find_plans(is_roots || !forgets, is_blind);
        bar.finish_and_clear();
        tracing::debug!(
            sessions = inventory.sessions.len(),
            files = inventory.artifacts.len(),
            problems = inventory.problems.len(),
            "looked into the stores"
        );
        (inventory, remembered)
    }

    /// Reads again what is remembered, once the locks are taken.
    ///
    /// # Errors
    /// Exit 4: it cannot be read.
    pub fn reload_state(&mut self, ctx: &Context) -> Result<(), Error> {
        // The run that held the locks may have written it while this one waited.
        self.state = remembered::remembered(&self.policy, ctx)?.0;
        Ok(())
    }

    /// Forgets the true dates of unsealed sessions that are no longer there.
    pub fn forget_gone(&mut self, inventory: &Inventory) {
        // A store that could not be looked into has not lost its sessions.
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
        self.stores
            .iter()
            .filter(|store| remembered::is_remembered(store, ctx))
            .filter(move |store| !is_known(store))
    }

    /// Remembers the roots of this run for later ones, which may not see the same variables.
    pub fn remember_roots(&mut self, ctx: &Context) {
        remembered::remember(&self.stores, &mut self.state.state, ctx);
    }

    /// The same in a state that was loaded anew.
    pub fn remember_roots_in(&self, state: &mut State, ctx: &Context) {
        remembered::remember(&self.stores, state, ctx);
    }
}

/// To whom sessions are sealed; `None` where the policy names nobody.
///
/// # Errors
/// A recipient that cannot be used is exit 2: nothing was changed.
pub fn recipients(policy: &Policy) -> Result<Option<Recipients>, Error> {
    if policy.recipients.is_empty() {
        return Ok(None);
    }
    let parsed = policy.recipients.iter().map(|recipient| {
        let plugins = match recipient.source.layer {
            Layer::System | Layer::Managed => Plugins::Allowed,
            // A plugin is a program that runs with every sealing; a user's file must not name one for root.
            Layer::BuiltIn | Layer::User => Plugins::Refused,
        };
        Recipient::parse(&recipient.value, plugins)
    });
    let parsed: Result<Vec<Recipient>, _> = parsed.collect();
    Ok(Some(parsed.and_then(Recipients::new)?))
}
