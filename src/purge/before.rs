//! What a purge has to know that no inventory tells: where links lead, and what preservation
//! copies are of. Read-only.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use crate::catalogue::{Kind, SessionId};
use crate::files;
use crate::inventory::{ArtifactIndex, Inventory, Oddity, StoreIndex};
use crate::plan::purge::{Copied, Wanted};
use crate::seal::manifest::Manifest;
use crate::seal::naming;

/// What is wanted, with what deciding on it needs beside the inventory.
pub fn with_seen(wanted: Wanted, inventory: &Inventory) -> Wanted {
    Wanted { inner_links: inner_links(inventory), copies: copies(inventory), ..wanted }
}

/// The links of the inventory that lead to a place in a store, whether or not anything is there:
/// that place is decided on for itself, so that nothing is lost sight of with the link.
fn inner_links(inventory: &Inventory) -> HashSet<ArtifactIndex> {
    let roots: Vec<&Path> = inventory
        .stores
        .iter()
        .filter(|view| !view.store.kind.is_shared())
        .map(|view| view.store.root.as_path())
        .collect();
    let leads_inside = |path: &Path| {
        // By a path, as nothing is opened or removed by it: a link that is another by then is compared with its
        // stamp before it goes.
        let Ok(target) = fs_err::read_link(path) else { return false };
        let whole = path.parent().unwrap_or(path).join(target);
        // Where a folder on the way is a link too, only the resolved path tells.
        let resolved = fs_err::canonicalize(&whole).unwrap_or_else(|_| plain(&whole));
        roots.iter().any(|root| resolved.starts_with(root))
    };
    let links = inventory.artifacts.iter().enumerate();
    links
        .filter(|(_, artifact)| {
            let root = &inventory.store(inventory.store_of(artifact)).store.root;
            artifact.oddity == Oddity::Link && leads_inside(&root.join(inventory.secret_path(artifact)))
        })
        .map(|(at, _)| ArtifactIndex::of(at))
        .collect()
}

/// A path without `.` and `..`, by its words alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// What the records of preservation copies say, by store, hold and session; what cannot be read is
/// not among them.
fn copies(inventory: &Inventory) -> HashMap<(StoreIndex, String, SessionId), Copied> {
    let mut known = HashMap::new();
    for artifact in &inventory.artifacts {
        if artifact.kind != Some(Kind::Own) || *inventory.name(artifact) != *naming::RECORD {
            continue;
        }
        let path = inventory.folder_path(artifact.folder);
        let names: Vec<&str> = path.iter().map(|name| name.to_str().unwrap_or_default()).collect();
        let ["ccretain", "held", hold, id] = names.as_slice() else { continue };
        let Ok(id) = id.parse::<SessionId>() else { continue };
        let file = inventory.open(artifact.folder).and_then(|folder| folder.read(inventory.name(artifact)));
        let read = file.and_then(|file| files::contents(&file, files::DOCUMENT));
        let Some(record) = read.ok().and_then(|text| Manifest::parse(&text, id).ok()) else { continue };
        let copied = Copied {
            project: match record.project_in_doubt {
                true => None,
                false => record.project.or_else(|| record.cwds.first().cloned()),
            },
            last_activity: record.last_activity,
        };
        known.insert((inventory.store_of(artifact), (*hold).to_owned(), id), copied);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_made_plain_by_its_words() {
        assert_eq!(plain(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(plain(Path::new("/../x")), Path::new("/x"));
    }
}
