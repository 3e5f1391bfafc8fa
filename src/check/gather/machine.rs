//! What the machine exposes, and what Claude Code does on it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::check::client::{self, ClientFacts, PolicyPeriods, Seen};
use crate::check::modes::OwnMode;
use crate::client::{ClientSettings, FileState, switches};
use crate::escape::text;
use crate::exposure;
use crate::inventory::Inventory;
use crate::ledger::Names;
use crate::plan::Plan;
use crate::policy::own::{self, Loose};
use crate::policy::{self, Policy, holds};
use crate::purge::certificate;
use crate::run::{self, Context, Workspace};
use crate::seal::identities::identity_path;

/// What of ccretain's own lies outside the stores and is open to others.
pub(super) fn readable(ctx: &Context) -> Vec<OwnMode> {
    let identity = identity_path(&ctx.env);
    let mut folders = vec![ctx.env.state_dir()];
    // Of a run over all users the ledger is root's, and no finding of a user's.
    if ctx.parent.is_none() && ctx.env.ledger_dir() != folders[0] {
        folders.push(ctx.env.ledger_dir());
    }
    let all = folders.into_iter().map(|path| (path, false)).chain([(identity, true)]);
    all.filter_map(|(path, is_identity)| {
        let mode = mode_of(&path)?;
        (mode & 0o077 != 0).then_some(OwnMode { path, mode, is_identity })
    })
    .collect()
}

/// What others can write of the user's own policy, holds and identity, each once.
pub(super) fn loose(ctx: &Context) -> Vec<Loose> {
    let dir = ctx.env.config_dir();
    let named = ctx.policy.as_ref().map(|path| ctx.env.absolute(path));
    let files =
        [named.unwrap_or_else(|| dir.join("policy.json")), holds::path(&dir), identity_path(&ctx.env)];
    let mut found: Vec<Loose> = Vec::new();
    for loose in files.iter().filter_map(|path| own::look(path, ctx.env.user.uid)) {
        if !found.contains(&loose) {
            found.push(loose);
        }
    }
    found
}

#[cfg(unix)]
fn mode_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(fs_err::metadata(path).ok()?.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode_of(_: &Path) -> Option<u32> {
    None
}

/// What makes content readable elsewhere.
pub(super) fn exposed(
    roots: &[std::path::PathBuf],
    moved: &[exposure::Evidence],
    ctx: &Context,
) -> Vec<exposure::Finding> {
    // What matters only for what was deleted, and takes a look at every process, is left to certificates.
    use exposure::Risk;
    let subject = exposure::Subject::of(&ctx.env, roots).with_moved(moved);
    let is_for_certificates = |risk: Risk| {
        matches!(
            risk,
            Risk::OpenDeletedFiles
                | Risk::CoworkDisk
                | Risk::AgentWorktrees
                | Risk::Checkpoints
                | Risk::ProjectFiles
                | Risk::FreedBlocks
                | Risk::ServerSide
        )
    };
    let rows = exposure::RISKS.iter().filter(|row| row.platforms.contains(&subject.platform));
    rows.filter(|row| !is_for_certificates(row.risk))
        .map(|row| exposure::look_for(row.risk, &subject, &exposure::System))
        .collect()
}

/// What the clients of each config folder do.
pub(super) fn clients(
    ground: &Workspace,
    inventory: &Inventory,
    plan: Option<&Plan>,
    ctx: &Context,
) -> Vec<ClientFacts> {
    let environment = switches::of_environment(|name| ctx.env.variable(name));
    let periods = match plan {
        Some(_) => PolicyPeriods::of(&ground.policy),
        None => PolicyPeriods::default(),
    };
    let of = |client: &ClientSettings, root: &str| {
        client::look(root, &Seen { client, environment: &environment }, &periods)
    };
    let mut found: BTreeMap<String, ClientFacts> = BTreeMap::new();
    for (at, client) in run::clients(inventory, ctx) {
        let Some(view) = inventory.stores.get(at) else { continue };
        let root = text(&view.store.root);
        let mut facts = of(&client, &root);
        if let Some(plan) = plan {
            facts.count(&client, at, inventory, plan, &ground.policy);
        }
        found.insert(root, facts);
    }
    // Settings without a store: a client that was installed and not used yet.
    if found.is_empty() && ground.client.files().any(|file| file.state != FileState::Missing) {
        found.insert(String::new(), of(&ground.client, ""));
    }
    found.into_values().collect()
}

/// What tells this machine from others of its name, keyed where the names of the ledger are.
pub fn machine_id(policy: &Policy, ctx: &Context) -> Option<String> {
    // A child of a run over all users leaves it to its parent.
    if ctx.parent.is_some() {
        return None;
    }
    let id = certificate::machine_id(ctx.env.platform, &exposure::System)?;
    match policy.ledger.value.names {
        policy::Names::Plain => Some(id),
        // Without a key yet there is no name to give.
        policy::Names::Keyed => Some(Names::load(&ctx.env.state_dir()).ok()??.keyed(&id)),
    }
}

/// The name of this machine.
pub fn host(ctx: &Context) -> String {
    let of_kernel = || fs_err::read_to_string("/proc/sys/kernel/hostname").ok();
    let of_variable = || ctx.env.variable("COMPUTERNAME").map(|name| name.to_string_lossy().into_owned());
    let of_program = || {
        if ctx.parent.is_some() {
            return None;
        }
        let output = std::process::Command::new("/bin/hostname").output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let name = of_kernel().or_else(of_variable).or_else(of_program).unwrap_or_default();
    text(name.trim())
}
