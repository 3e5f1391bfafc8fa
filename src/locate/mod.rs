//! Finding the stores of a user: known places, settings, remembered roots, and named folders.
//!
//! What is a store is decided by marks the client leaves, never by a name alone; a root of the
//! wrong kind is refused and reported, and the others are done.

mod candidates;
mod crossing;
mod filesystem;
pub mod marks;
mod opening;
mod refusal;
pub mod search;
mod temp;
#[cfg(unix)]
pub mod users;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalogue::Root;
use crate::dir::Dir;
use crate::environment::Environment;
use candidates::{Candidate, candidates, cowork_stores};
use opening::{named, open};

pub use candidates::{bears_its_name, is_no_config, is_of_claude_code};
#[cfg(test)]
pub use crossing::OutOfReach;
pub use crossing::{Crossing, Crossings, Followed, Way};
pub use filesystem::FileSystem;
pub use refusal::{Refusal, Refused};
pub use temp::SHARED_TREE;

/// A tree where the client keeps session data of one user.
#[derive(Debug, Clone)]
pub struct Store {
    /// Its real path.
    pub root: PathBuf,
    /// Which tree of the catalogue it is.
    pub kind: Root,
    /// The id of its owner.
    pub owner: u32,
    pub owner_name: String,
    /// How it was found.
    pub found_by: FoundBy,
    /// The handle through which everything in it is reached.
    pub dir: Arc<Dir>,
    /// Device and inode, which identify it.
    pub identity: (u64, u64),
    /// Whether it is certainly the client's alone, so that names without an id count too.
    pub is_certain: bool,
    /// Whether it may be changed; the others are only read.
    pub in_scope: bool,
    /// What of it lies behind links and mount points.
    pub crossings: Crossings,
    /// Whether the policy leaves it out: it is only looked into, since what lies elsewhere may belong
    /// to a session of it.
    pub is_excluded: bool,
}

/// How a store was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoundBy {
    /// It is where the client keeps it by default.
    Default,
    /// An environment variable names it.
    Environment,
    /// The client's own settings name it.
    Settings,
    /// The policy names it in `stores.extra`.
    Policy,
    /// The command line names it.
    Argument,
    /// An earlier run saw it.
    Remembered,
    /// It lies in a folder of the desktop application.
    Desktop,
    /// A search found it by its marks.
    Search,
}

/// Where to look, and what may be changed.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Folders named with `--store`; when there are any, only these are changed.
    pub only: Vec<PathBuf>,
    /// `stores.extra` of the policy.
    pub extra: Vec<PathBuf>,
    /// `stores.exclude` of the policy.
    pub exclude: Vec<PathBuf>,
    /// Roots that earlier runs saw.
    pub remembered: Vec<(PathBuf, Root)>,
    /// Folders of them that lay elsewhere then, with something in them.
    pub followed: Vec<Followed>,
    /// Roots that the client's settings name: config folders and temp folders.
    pub settings: Vec<(PathBuf, Root)>,
    /// Roots that a search by marks has found.
    pub found: Vec<(PathBuf, Root)>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Located {
    pub stores: Vec<Store>,
    /// Those that the policy leaves out.
    pub excluded: Vec<Store>,
    /// Whether one that the policy leaves out is there and cannot be looked into.
    pub lacks_excluded: bool,
    /// What was refused or could not be reached.
    pub refused: Vec<Refused>,
}

/// A store that is seen and not worked on.
fn left_out(store: Store) -> Store {
    Store { in_scope: false, is_excluded: true, ..store }
}

impl Located {
    /// Leaves out what lies in a folder that is to be left alone, and the store around it.
    fn leave_out(
        &mut self,
        path: PathBuf,
        env: &Environment,
        request: &Request,
        seen: &mut HashSet<((u64, u64), Root)>,
    ) {
        // One that lies in a store is known by being left out, and is none of that store's to change.
        let candidate = Candidate { path, kind: Root::Config, found_by: FoundBy::Policy };
        if candidate.path.join("projects").is_dir()
            && is_within(&self.stores, &candidate.path)
            && let Ok(Some(store)) = open(env, request, &candidate)
            && seen.insert((store.identity, store.kind))
        {
            self.excluded.push(left_out(store));
        }
        let root = store_around(&candidate.path, self.stores.iter().chain(&self.excluded));
        let stores = std::mem::take(&mut self.stores);
        let (out, stores): (Vec<Store>, _) =
            stores.into_iter().partition(|store| root.as_ref() == Some(&store.root));
        self.stores = stores;
        self.excluded.extend(out.into_iter().map(left_out));
    }

    /// Leaves alone what has its lock and its sealed files where they cannot be reached, or where
    /// another store has its own.
    fn refuse_without_own_folder(&mut self) {
        for store in &mut self.stores {
            let Some(why) = store.without_own_folder() else { continue };
            let why = Refusal::OwnFolder(why.to_owned());
            store.in_scope = false;
            self.refused.push(Refused { path: store.root.clone(), kind: store.kind, why });
        }
    }
}

/// Finds the stores of a user.
pub fn locate(env: &Environment, request: &Request) -> Located {
    let mut located = Located::default();
    let mut seen = HashSet::new();
    let only: Vec<PathBuf> = request.only.iter().map(|path| named(env, path)).collect();
    let exclude: Vec<PathBuf> = request.exclude.iter().map(|path| real(path)).collect();
    let mut queue = candidates(env, request);
    let mut refused = HashSet::new();
    let mut at = 0;
    while let Some(candidate) = queue.get(at) {
        at += 1;
        let is_left_out = |path: &Path| exclude.iter().any(|folder| path.starts_with(folder));
        let is_excluded = is_left_out(&real(&candidate.path)) || is_left_out(&candidate.path);
        let opened = match open(env, request, candidate) {
            Ok(Some(store)) if is_excluded || is_left_out(&store.root) => {
                if seen.insert((store.identity, store.kind)) {
                    located.excluded.push(left_out(store));
                }
                Err(Refusal::Excluded)
            }
            Err(why) if is_excluded => {
                located.lacks_excluded |= !why.is_absence();
                Err(Refusal::Excluded)
            }
            Ok(None) if is_excluded => {
                // Its only mark may be on a volume that is not mounted.
                located.lacks_excluded |=
                    candidate.kind == Root::Config && candidate.path.join("projects").is_dir();
                Err(Refusal::Excluded)
            }
            other => other,
        };
        match opened {
            // Who names it must not take it for done.
            Err(Refusal::Excluded) if candidate.found_by != FoundBy::Argument => {}
            // It lies in a store, by which its files are known.
            Ok(Some(store)) if store.kind == Root::DebugLogs && is_within(&located.stores, &store.root) => {}
            Ok(Some(store)) => {
                if seen.insert((store.identity, store.kind)) {
                    if store.kind == Root::Desktop {
                        queue.extend(cowork_stores(&store.root));
                    }
                    located.stores.push(store);
                }
            }
            Ok(None) => {}
            // It would be said of the tree in it, too.
            Err(Refusal::Link | Refusal::LinkAbove(_)) if candidate.kind.is_everybodys() => {}
            Err(why) => {
                if refused.insert(candidate.path.clone()) {
                    let (path, kind) = (candidate.path.clone(), candidate.kind);
                    located.refused.push(Refused { path, kind, why });
                }
            }
        }
    }
    for path in exclude {
        located.leave_out(path, env, request, &mut seen);
    }
    let Located { stores, excluded, .. } = &mut located;
    crossing::resolve(&mut stores.iter_mut().chain(excluded).collect::<Vec<_>>());
    for store in &mut located.stores {
        store.miss_emptied(&request.followed);
    }
    if !only.is_empty() {
        for store in &mut located.stores {
            store.in_scope = only.contains(&store.root);
        }
    }
    located.refuse_without_own_folder();
    located
}

fn is_within(stores: &[Store], path: &Path) -> bool {
    stores.iter().any(|store| !store.kind.is_shared() && path.starts_with(&store.root))
}

/// The store in which a folder that is left out lies without being a store: a store is left out as a whole, and
/// whoever leaves a part of one out wants that at least.
pub fn store_around<'a>(folder: &Path, stores: impl Iterator<Item = &'a Store>) -> Option<PathBuf> {
    let roots = stores.map(|store| &store.root).filter(|root| folder.starts_with(root));
    let around = roots.max_by_key(|root| root.components().count())?;
    (around != folder && folder.symlink_metadata().is_ok()).then(|| around.clone())
}

/// Whether nothing is at a path, or an empty folder is.
pub fn is_gone(path: &Path) -> bool {
    match fs_err::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// The real path, or the path itself where there is none.
pub(crate) fn real(path: &Path) -> PathBuf {
    fs_err::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

fn is_empty(dir: &Dir) -> bool {
    dir.entries().is_ok_and(|entries| entries.is_empty())
}
