//! Opening a candidate: a store, nothing, or a refusal.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::candidates::{Candidate, kind_of_named};
use super::refusal::{Refusal, unreachable};
use super::{Crossings, FileSystem, FoundBy, Request, Store, is_empty, marks, real, temp};
use crate::catalogue::Root;
use crate::dir::{Dir, FileType, Link, LinkPlace, Reached, Unreached};
use crate::environment::Environment;

/// The path of a folder named on the command line without links, as it is for the store it names.
pub(super) fn named(env: &Environment, path: &Path) -> PathBuf {
    let kind = kind_of_named(path);
    Dir::reach(path, &|link| is_followed(env, kind, link))
        .map_or_else(|_| path.to_path_buf(), |reached| reached.path)
}

/// Whether a link on the way to a root is followed: in place of one that lies among others never,
/// above it where root made it; in place of any other where its owner made it.
fn is_followed(env: &Environment, kind: Root, link: &Link) -> bool {
    if kind.is_everybodys() {
        // The folder itself, where root made it a link to another.
        return link.place != LinkPlace::Beyond && link.owner == 0;
    }
    if kind.lies_among_others() {
        return link.leads_among_others();
    }
    match link.place {
        LinkPlace::Above => true,
        LinkPlace::Entry => link.owner == env.user.uid,
        LinkPlace::Beyond => link.owner == env.user.uid || link.owner == 0,
    }
}

/// Reaches the folder of a candidate; `None` where nothing is there that could be a store.
fn reach(env: &Environment, candidate: &Candidate) -> Result<Option<Reached>, Refusal> {
    let Candidate { path, kind, found_by } = candidate;
    let is_named = matches!(found_by, FoundBy::Policy | FoundBy::Argument);
    // What the client keeps there now lies where nobody looks, or comes back once nobody does.
    let is_blocked = || {
        let is_clients = matches!(found_by, FoundBy::Default | FoundBy::Environment | FoundBy::Settings);
        is_clients && *kind == Root::Config && path.symlink_metadata().is_ok()
    };
    match Dir::reach(path, &|link| is_followed(env, *kind, link)) {
        Ok(reached) => Ok(Some(reached)),
        Err(Unreached::Link(link)) if kind.lies_among_others() => match link.place {
            LinkPlace::Above => Err(Refusal::LinkAbove(link.path)),
            _ if link.owner == env.user.uid || is_named => Err(Refusal::Link),
            _ => of_another(*kind, link.owner),
        },
        Err(Unreached::Link(link)) => Err(Refusal::NotOurs(link.owner)),
        Err(Unreached::Io(error)) if error.kind() == io::ErrorKind::NotFound && !is_named => match found_by {
            // Caches and temp trees come and go by themselves.
            FoundBy::Remembered if matches!(kind, Root::Config | Root::Desktop) => Err(Refusal::Missing),
            _ if is_blocked() => Err(Refusal::NoFolder),
            _ => Ok(None),
        },
        Err(Unreached::NoFolder) if !is_named && is_blocked() => Err(Refusal::NoFolder),
        // A file in the place of a temp tree keeps Claude Code from it as well as a folder does.
        Err(Unreached::NoFolder) if !is_named => match squatter(env, candidate) {
            Some(owner) => Err(Refusal::Squatted(owner)),
            None => Ok(None),
        },
        Err(Unreached::NoFolder) => Err(Refusal::Unreachable(io::ErrorKind::NotADirectory.into())),
        Err(Unreached::Io(error)) => Err(unreachable(env.platform, error)),
    }
}

/// Opens a candidate: a store, nothing there, or a refusal.
pub(super) fn open(
    env: &Environment,
    request: &Request,
    candidate: &Candidate,
) -> Result<Option<Store>, Refusal> {
    let named = matches!(candidate.found_by, FoundBy::Policy | FoundBy::Argument);
    let Some(Reached { dir, path: root }) = reach(env, candidate)? else { return Ok(None) };
    let stat = dir.stat_self().map_err(Refusal::Unreachable)?;
    debug_assert_eq!(stat.file_type, FileType::Folder);
    if !candidate.kind.is_shared() {
        // Whatever marks it may bear: a mistake in a variable must not make a whole disk a store.
        if root.parent().is_none() {
            return Err(Refusal::FileSystemRoot);
        }
        if is_home(env, &root) {
            return Err(Refusal::Home);
        }
    }
    let was_seen = || request.remembered.iter().any(|(path, kind)| (path, *kind) == (&root, candidate.kind));
    // Whoever owns the mount point of a volume that is not mounted; caches and temp trees come and go by themselves.
    if matches!(candidate.kind, Root::Config | Root::Desktop) && was_seen() && is_empty(&dir) {
        return Err(Refusal::Emptied);
    }
    if candidate.kind.is_everybodys() {
        // Most hold nothing of Claude Code's, and then it does not matter what they are.
        if !temp::holds_something_of(&dir, env.user.uid) {
            return Ok(None);
        }
    } else if stat.owner != env.user.uid {
        return if candidate.kind.lies_among_others() && !named {
            of_another(candidate.kind, stat.owner)
        } else {
            Err(Refusal::NotOurs(stat.owner))
        };
    }
    // Where everybody can put files, what looks like Claude Code's is anybody's, and so is what its dates say.
    if stat.mode & 0o002 != 0 && candidate.kind != Root::HeapDumps && !candidate.kind.is_everybodys() {
        return Err(Refusal::WorldWritable(stat.mode));
    }
    // Whoever names a store with --store may have it in the policy as well, which says that it is one.
    let is_policys =
        candidate.found_by == FoundBy::Policy || request.extra.iter().any(|extra| real(extra) == root);
    if !is_policys && let Some(name) = FileSystem::of(&dir).refused_name() {
        return Err(Refusal::FileSystem(name));
    }
    let is_default = env.expand(env.layout().client_config).is_some_and(|path| real(&path) == root);
    let is_certain = candidate.kind != Root::Config || is_default || is_policys;
    // Its marks may have gone with the sessions that an earlier run removed, and something else be left.
    if !is_certain && !marks::has_mark(&dir) && !was_seen() {
        return match candidate.found_by {
            FoundBy::Argument if !is_empty(&dir) => Err(Refusal::NoMark),
            _ => Ok(None),
        };
    }
    Ok(Some(Store {
        root,
        kind: candidate.kind,
        owner: if candidate.kind.is_everybodys() { env.user.uid } else { stat.owner },
        owner_name: env.user.name.clone(),
        found_by: candidate.found_by,
        dir: Arc::new(dir),
        // By the open folder: two paths, or two variables, may lead to one store.
        identity: (stat.stamp.device, stat.stamp.inode),
        is_certain,
        in_scope: true,
        crossings: Crossings::default(),
        is_excluded: false,
    }))
}

/// What somebody else's folder or link is at a place that others can write to.
fn of_another<T>(kind: Root, owner: u32) -> Result<Option<T>, Refusal> {
    // The name of a temp tree is ours alone, so whoever takes it keeps Claude Code from it, or waits for what
    // it will write there.
    if kind == Root::Temp { Err(Refusal::Squatted(owner)) } else { Ok(None) }
}

/// Whose file or link lies in the place of a temp tree, where it is another's.
fn squatter(env: &Environment, candidate: &Candidate) -> Option<u32> {
    let (folder, name) = (candidate.path.parent()?, candidate.path.file_name()?);
    let owner = Dir::among_others(folder).and_then(|dir| dir.stat(name)).ok()?.owner;
    (candidate.kind == Root::Temp && owner != env.user.uid).then_some(owner)
}

/// Whether a folder is a home: ours by identity, or a folder in the place where homes lie.
fn is_home(env: &Environment, root: &Path) -> bool {
    root == real(&env.user.home)
        || root.parent().is_some_and(|parent| {
            [Path::new("/home"), Path::new("/Users"), Path::new("C:\\Users")].contains(&parent)
        })
        || root == Path::new("/root")
}
