//! Taking the access of group and others away from what lies in a store.
//!
//! Through the handle of the folder, never through a link; only what the inventory saw, what belongs
//! to the owner of the store, and files with one name alone, since a change of a file that has
//! another name elsewhere is a change there too. Bits of the owner are left as they are.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::dir;
use crate::dir::{Dir, FileType, Stat};
use crate::escape::text;
use crate::inventory::{ArtifactIndex, FolderIndex, Inventory, StoreIndex};
use crate::ledger::{Entry, Event, Failure, Journal};

/// What loses the access of group and others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A folder; that of a root is the root itself.
    Folder(FolderIndex),
    File(ArtifactIndex),
}

/// What became of the targets.
#[derive(Debug, Default)]
pub struct Tightened {
    /// Folders that are closed now.
    pub folders: u64,
    /// Files that are closed now.
    pub files: u64,
    /// What was not changed, and why.
    pub failed: Vec<(PathBuf, String)>,
}

/// Closes the targets; each store's intent is in the ledger before the first of it is touched.
///
/// # Errors
/// The ledger cannot be written: what is not recorded was not touched.
pub fn tighten(
    inventory: &Inventory,
    targets: &[Target],
    ledger: &mut dyn Journal,
    now: DateTime<Utc>,
) -> io::Result<Tightened> {
    let mut by_store: BTreeMap<StoreIndex, Vec<Target>> = BTreeMap::new();
    for target in targets {
        by_store.entry(store_of(inventory, *target)).or_default().push(*target);
    }
    let mut all = Tightened::default();
    for (store, targets) in by_store {
        let mut entry = Entry::new(Event::Intent);
        entry.store = Some(text(&inventory.store(store).store.root).into());
        entry.decision = Some("close".into());
        entry.reason = Some("others than the owner had access".into());
        entry.files = Some(targets.len() as u64);
        ledger.append(&[entry.clone()], now)?;
        let mut done = 0;
        for target in targets {
            match close(inventory, store, target) {
                Ok(()) => {
                    done += 1;
                    match target {
                        Target::Folder(_) => all.folders += 1,
                        Target::File(_) => all.files += 1,
                    }
                }
                Err(error) => {
                    let path = path_of(inventory, target);
                    entry.failed.push(Failure { path: text(&path).into(), error: error.to_string().into() });
                    all.failed.push((path, error.to_string()));
                }
            }
        }
        entry.event = Event::Outcome;
        entry.outcome = Some(if entry.failed.is_empty() { "closed" } else { "failed" }.into());
        entry.files = Some(done);
        ledger.append(&[entry], now)?;
    }
    Ok(all)
}

fn store_of(inventory: &Inventory, target: Target) -> StoreIndex {
    match target {
        Target::Folder(index) => inventory.folder(index).store,
        Target::File(index) => inventory.store_of(inventory.artifact(index)),
    }
}

fn path_of(inventory: &Inventory, target: Target) -> PathBuf {
    match target {
        Target::Folder(index) => inventory.full_folder_path(index),
        Target::File(index) => inventory.full_path(inventory.artifact(index)),
    }
}

fn close(inventory: &Inventory, store: StoreIndex, target: Target) -> io::Result<()> {
    let owner = inventory.store(store).store.owner;
    let other = |why: &'static str| Err(io::Error::other(why));
    let is_owners = |stat: &Stat| stat.owner == owner;
    match target {
        Target::Folder(index) => {
            let folder = inventory.open(index)?;
            let stat = folder.stat_self()?;
            if !is_owners(&stat) {
                return other("it belongs to another account");
            }
            dir::close_folder(&folder, stat.mode & 0o700)
        }
        Target::File(index) => {
            let artifact = inventory.artifact(index);
            let file = inventory.open(artifact.folder)?.read(inventory.name(artifact))?;
            let stat = Dir::stat_open(&file)?;
            // The content may have changed, and the mode is wrong all the same; another inode is another file.
            let is_it =
                stat.stamp.device == artifact.stamp.device && stat.stamp.inode == artifact.stamp.inode;
            if !is_it || stat.file_type != FileType::File {
                return other("it is another file than a moment ago");
            }
            if !is_owners(&stat) {
                return other("it belongs to another account");
            }
            // Its other name may be a program's or another user's, who needs that access.
            if stat.links > 1 {
                return other("it has another name elsewhere");
            }
            // By the open file: a `chmod` of the name would follow whatever bears it by now.
            dir::close_file(&file, stat.mode & 0o700)
        }
    }
}
