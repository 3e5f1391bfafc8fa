//! Who besides the owner could read what lies in the stores: permission bits, on the way and on the
//! files themselves. Access lists beyond the bits are not looked at.
//!
//! The client writes several kinds of file readable by all (observed on client 2.1.330: tool results,
//! copies of edited files, background output, descriptions of subagents, pid files) and relies on the
//! folder above them; so what counts is whether others get as far as the file.

use std::path::{Path, PathBuf};

use crate::catalogue::{Class, Kind, Protection, Root, Sensitivity};
use crate::enforce::modes::Target;
use crate::inventory::{Artifact, ArtifactIndex, FolderIndex, Inventory, Oddity, StoreIndex, StoreView};

/// The bits that give anything to group or others.
const LOOSE: u32 = 0o077;

/// Folders below this many others are not looked at.
const DEEPEST: u32 = 64;

/// What was seen of permissions.
#[derive(Debug, Clone, Default)]
pub struct Modes {
    pub stores: Vec<StoreModes>,
    /// Files and folders of ccretain's own outside of the stores that others can read.
    pub own: Vec<OwnMode>,
    /// What others can write of the user's own policy, holds and identity.
    pub loose: Vec<crate::policy::own::Loose>,
}

/// A file or folder of ccretain's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnMode {
    /// Where it lies.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Whether it is the key that opens sealed files.
    pub is_identity: bool,
}

/// How far others get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nobody else gets there.
    #[default]
    Nobody,
    /// A group does.
    Group,
    /// Everybody does.
    Everybody,
}

#[derive(Debug, Clone, Default)]
pub struct StoreModes {
    /// Its root, as it is shown.
    pub root: String,
    /// The permission bits of its root.
    pub mode: u32,
    /// Whether the root is the store's own folder; a home or a desktop folder is the user's.
    pub is_own: bool,
    /// Who can look into the root.
    pub reach: Reach,
    /// Whether a group that gets there can write to the root.
    pub group_writes: bool,
    /// Files others can read.
    pub readable: Count,
    /// Files whose bits would let others read, were it not for a folder above them.
    pub behind: Count,
    /// Files with keys or tokens that are open to others, and who gets there.
    pub secrets: Vec<(PathBuf, u32, Reach)>,
}

/// Some files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What `--fix` would repair, and what it leaves and why.
#[derive(Debug, Default)]
pub struct Repair {
    /// What loses the access of group and others.
    pub targets: Vec<Target>,
    /// What keeps it, and why.
    pub left: Vec<(PathBuf, &'static str)>,
}

/// Whether a root is a folder of the client's, so that its permissions are the store's business.
fn is_own(kind: Root) -> bool {
    match kind {
        Root::Config | Root::Cache | Root::Temp | Root::Desktop => true,
        Root::Home | Root::HeapDumps | Root::TempNeighbours | Root::DebugLogs => false,
    }
}

/// Whether a file holds something that is nobody else's business.
fn is_private(kind: Kind, name: &str) -> bool {
    // What the user wrote for the client, skills say, may be shared on purpose.
    let row = kind.row();
    match row.protection {
        Protection::With(Class::Settings) => {
            row.kind != Kind::Settings && row.sensitivity > Sensitivity::Metadata || is_settings(kind, name)
        }
        _ => row.sensitivity > Sensitivity::None,
    }
}

/// Settings, whose `env` may hold keys.
fn is_settings(kind: Kind, name: &str) -> bool {
    kind == Kind::Settings && matches!(name, "settings.json" | "settings.local.json")
}

/// Whether a file is there to hold keys or tokens.
fn is_secret(kind: Kind, name: &str) -> bool {
    matches!(
        kind,
        Kind::Credentials | Kind::GlobalConfig | Kind::ConfigBackup | Kind::PeerKey | Kind::IdeLock
    ) || is_settings(kind, name)
}

/// What the bits of a folder let through: whoever may enter it.
fn through(reach: Reach, mode: u32) -> Reach {
    let own = if mode & 0o001 != 0 {
        Reach::Everybody
    } else if mode & 0o010 != 0 {
        Reach::Group
    } else {
        Reach::Nobody
    };
    reach.min(own)
}

/// Who can read a file that is reached by somebody.
fn reads(reach: Reach, mode: u32) -> Reach {
    let own = if mode & 0o004 != 0 {
        Reach::Everybody
    } else if mode & 0o040 != 0 {
        Reach::Group
    } else {
        Reach::Nobody
    };
    reach.min(own)
}

/// Who gets as far as a folder: the folders above it let them through.
#[cfg(unix)]
fn reach_of(root: &Path) -> Reach {
    use std::os::unix::fs::PermissionsExt as _;
    let above = root.ancestors().skip(1);
    above.fold(Reach::Everybody, |reach, folder| match fs_err::metadata(folder) {
        Ok(meta) => through(reach, meta.permissions().mode()),
        // What cannot be looked at is not believed to be closed.
        Err(_) => reach,
    })
}

#[cfg(not(unix))]
fn reach_of(_: &Path) -> Reach {
    Reach::Nobody
}

/// Looks at the permissions of everything in an inventory.
///
/// Folders are looked at where others get into the store at all, or for a repair.
pub fn look(inventory: &Inventory, repairs: bool) -> (Modes, Repair) {
    let mut modes = Modes::default();
    let mut repair = Repair::default();
    let roots: Vec<Reach> = inventory.stores.iter().map(|view| reach_of(&view.store.root)).collect();
    modes.stores = inventory.stores.iter().zip(&roots).map(|(view, above)| of_root(view, *above)).collect();
    let folders = folders(inventory, &modes, &roots, repairs);
    let mut holds = vec![false; inventory.folders.len()];
    for (at, artifact) in inventory.artifacts.iter().enumerate() {
        // The policy gave it to somebody else to look after: nothing in it is told of, and nothing is repaired.
        if inventory.store(inventory.store_of(artifact)).store.is_excluded {
            continue;
        }
        let mode = u32::from(artifact.mode);
        let Some(kind) = artifact.kind else {
            if mode & LOOSE != 0 && artifact.oddity == Oddity::None {
                count_left(inventory, artifact, "it is not in the catalogue", &mut repair, repairs);
            }
            continue;
        };
        let name = inventory.name(artifact).to_str().unwrap_or_default();
        if !is_private(kind, name) {
            continue;
        }
        mark(inventory, artifact.folder, &mut holds);
        if mode & LOOSE == 0 || artifact.oddity == Oddity::Link || artifact.oddity == Oddity::Special {
            continue;
        }
        let reach = folders[artifact.folder.at()].reach;
        let readers = reads(reach, mode);
        // A link in a session's own folder counts as a file of it, and has no permissions.
        if !artifact.is_regular() {
            continue;
        }
        let store = &mut modes.stores[inventory.store_of(artifact).at()];
        let count = if readers > Reach::Nobody {
            Some(&mut store.readable)
        } else if mode & 0o044 != 0 {
            Some(&mut store.behind)
        } else {
            None
        };
        if let Some(count) = count {
            count.files += 1;
            count.bytes += artifact.stamp.size;
        }
        if is_secret(kind, name) {
            // Who can write there could put keys of his own.
            let writers = if mode & 0o022 != 0 { reach } else { Reach::Nobody };
            store.secrets.push((inventory.full_path(artifact), mode, readers.max(writers)));
        }
        if artifact.oddity == Oddity::Foreign {
            count_left(inventory, artifact, "it belongs to another account", &mut repair, repairs);
        } else if artifact.hard_linked {
            let why = "it has another name elsewhere, where the change would be seen too";
            count_left(inventory, artifact, why, &mut repair, repairs);
        } else if repairs {
            repair.targets.push(Target::File(ArtifactIndex::of(at)));
        }
    }
    if repairs {
        folders_to_close(inventory, &modes, &folders, &holds, &mut repair);
    }
    // Those that the policy leaves out are the last.
    modes.stores.truncate(inventory.stores.iter().filter(|view| !view.store.is_excluded).count());
    (modes, repair)
}

/// A store by its root alone, where others get as far as to the folder above.
fn of_root(StoreView { store, .. }: &StoreView, above: Reach) -> StoreModes {
    // By the open folder: its path may lead elsewhere by now. One that cannot be asked is not called open, as
    // nothing was seen.
    let mode = store.dir.stat_self().map_or(0o700, |stat| stat.mode);
    StoreModes {
        root: crate::escape::text(&store.root),
        mode,
        is_own: is_own(store.kind),
        // To list its names is to look into it, to enter it suffices for names that are known.
        reach: through(above, mode).max(reads(above, mode)),
        group_writes: mode & 0o020 != 0,
        ..StoreModes::default()
    }
}

fn count_left(
    inventory: &Inventory,
    artifact: &Artifact,
    why: &'static str,
    repair: &mut Repair,
    repairs: bool,
) {
    if repairs {
        repair.left.push((inventory.full_path(artifact), why));
    }
}

/// Marks a folder and those it lies in as holding something private.
fn mark(inventory: &Inventory, folder: FolderIndex, holds: &mut [bool]) {
    let mut at = Some(folder);
    while let Some(index) = at {
        if std::mem::replace(&mut holds[index.at()], true) {
            return;
        }
        at = inventory.folder(index).parent;
    }
}

/// A folder: its bits, where they were looked at, and who gets into it.
#[derive(Debug, Clone, Copy)]
struct FolderModes {
    mode: u32,
    reach: Reach,
}

fn folders(inventory: &Inventory, modes: &Modes, roots: &[Reach], repairs: bool) -> Vec<FolderModes> {
    let mut found: Vec<FolderModes> = Vec::with_capacity(inventory.folders.len());
    let depths = inventory.depths();
    for (at, folder) in inventory.folders.iter().enumerate() {
        let store = folder.store.at();
        // A folder comes after the one it lies in.
        let (above, is_root) = match folder.parent {
            Some(parent) => (found[parent.at()].reach, false),
            None => (roots[store], true),
        };
        if depths[at] > DEEPEST {
            // Each is opened from the root down. Taken for open: others get as far as to those above.
            found.push(FolderModes { mode: 0o700, reach: above });
            continue;
        }
        let mode = if is_root {
            modes.stores[store].mode
        } else if above > Reach::Nobody || repairs {
            // Not in the inventory: nothing else asks for the bits of folders, and there are tens of thousands.
            let opened = inventory.open(FolderIndex::of(at)).and_then(|dir| dir.stat_self());
            opened.map_or(0o700, |stat| stat.mode)
        } else {
            0o700
        };
        found.push(FolderModes { mode, reach: through(above, mode) });
    }
    found
}

fn folders_to_close(
    inventory: &Inventory,
    modes: &Modes,
    folders: &[FolderModes],
    holds: &[bool],
    repair: &mut Repair,
) {
    for (at, folder) in inventory.folders.iter().enumerate() {
        let is_loose = folders[at].mode & LOOSE != 0;
        let is_root = folder.parent.is_none();
        if !is_loose || !(is_root || holds[at]) {
            continue;
        }
        let index = FolderIndex::of(at);
        // A home of mode 0755 is how the system made it, and other programs may rely on it.
        if is_root && !modes.stores[folder.store.at()].is_own {
            if modes.stores[folder.store.at()].readable.files > 0 {
                repair.left.push((
                    inventory.full_folder_path(index),
                    "it is a folder of the user's and not the store's own",
                ));
            }
        // What lies behind a link is not the store's, though the store's files are in it.
        } else if !is_root && folder.anchor.is_some() {
            repair.left.push((inventory.full_folder_path(index), "it is reached through a link"));
        } else {
            repair.targets.push(Target::Folder(index));
        }
    }
}

pub fn store_of(inventory: &Inventory, target: Target) -> StoreIndex {
    match target {
        Target::Folder(index) => inventory.folder(index).store,
        Target::File(index) => inventory.store_of(inventory.artifact(index)),
    }
}
