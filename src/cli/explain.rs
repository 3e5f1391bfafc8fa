//! `ccretain explain`: which rule, hold or guard decides about a session or a file, and when.

use std::path::{Path, PathBuf};

use clap::Args;

use super::context::{Context, Exit, Failure};
use super::session;
use crate::check::returned;
use crate::escape::shown;
use crate::inventory::{Inventory, StoreIndex};
use crate::plan::{self, What};
use crate::report::Run;
use crate::report::explain::{Asked, Explained};
use crate::run;

/// What `explain` takes.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The id of a session or 8 or more of its first characters, or the path of a file.
    #[arg(value_name = "SESSION|PATH")]
    pub what: PathBuf,
}

/// Runs the verb. Takes no lock and writes nothing.
///
/// # Errors
/// An invalid policy, and a session or file that is not there or not one alone, are exit 2.
pub fn run(args: &ExplainArgs, ctx: &Context) -> Result<Exit, Failure> {
    let ground = run::prepare_to_look(ctx)?;
    let inventory = ground.inventory(ctx);
    let asked = asked(&inventory, &args.what, ctx)?;
    let what = match &asked {
        Asked::Session(at) => Some(What::Session(*at)),
        Asked::File(at) => Some(What::Artifact(*at)),
        Asked::Folder { .. } | Asked::Outside { .. } | Asked::Unlisted { .. } => None,
    };
    let (plan, opinions) = plan::explained(&inventory, &ground.policy, ctx.env.now, what.as_slice());
    let explained = Explained {
        run: Run::planned(&inventory, &plan, &ground.policy, &ground.refused, &[]),
        clients: run::clients(&inventory, ctx),
        opinions: opinions.concat(),
        asked,
        // A ledger that cannot be read is for `status` and `check` to tell.
        came_back: returned::look(&inventory, ctx).unwrap_or_default(),
    };
    let document = explained.explain();
    if ctx.global.json {
        ctx.console.json(&document)?;
    } else {
        ctx.console.data(&document.text(ctx.paint()))?;
    }
    Ok(ctx.tell_errors(&document.errors))
}

/// What the argument means: a session if it can only be one, else a path.
fn asked(inventory: &Inventory, named: &Path, ctx: &Context) -> Result<Asked, Failure> {
    let path = ctx.env.absolute(named);
    if let Some(id) = named.to_str().filter(|named| session::looks_like_one(named)) {
        let found = session::find(inventory, id, ctx);
        // A file of such a name in this folder is meant only where no session is.
        return match found {
            Err(_) if path.symlink_metadata().is_ok() => of_path(inventory, &path),
            found => found.map(Asked::Session),
        };
    }
    of_path(inventory, &path)
}

/// The file, the session or the folder of a store that lies at a path.
fn of_path(inventory: &Inventory, path: &Path) -> Result<Asked, Failure> {
    let exists = path.symlink_metadata().is_ok();
    // The folder is resolved, the name itself is not: a link is an artifact too.
    let real = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            fs_err::canonicalize(parent).map_or_else(|_| path.to_path_buf(), |parent| parent.join(name))
        }
        _ => path.to_path_buf(),
    };
    let nearest = inventory
        .stores
        .iter()
        .enumerate()
        .filter_map(|(at, view)| Some((at, real.strip_prefix(&view.store.root).ok()?.to_path_buf())))
        .collect::<Vec<_>>();
    if let Some(artifact) =
        nearest.iter().find_map(|(at, below)| inventory.file_at(StoreIndex::of(*at), below))
    {
        return Ok(Asked::File(artifact));
    }
    if let Some((folder, below)) = nearest
        .iter()
        .filter(|(_, below)| !below.as_os_str().is_empty())
        .find_map(|(at, below)| Some((inventory.folder_at(StoreIndex::of(*at), below)?, below)))
    {
        if let Some(session) = inventory.session_of_folder(folder) {
            return Ok(Asked::Session(session));
        }
        let store = inventory.folder(folder).store;
        return Ok(Asked::Folder { folder, store, below: below.clone() });
    }
    if !exists {
        let message = format!("there is no session and no file '{}'", shown(&real));
        return Err(Failure::new(Exit::Usage, message)
            .hint("give the path of a file, or an id of those that `ccretain list` shows"));
    }
    // The root that lies deepest is the store it is in; the trees below homes are only looked at in part.
    let within = nearest.iter().max_by_key(|(at, _)| inventory.stores[*at].store.root.as_os_str().len());
    Ok(match within.filter(|(at, _)| !inventory.stores[*at].store.kind.is_shared()) {
        Some((at, _)) => Asked::Unlisted { path: real, store: StoreIndex::of(*at) },
        None => Asked::Outside { path: real },
    })
}
