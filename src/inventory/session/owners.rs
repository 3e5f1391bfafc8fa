//! Files whose session neither their own path nor their own content names.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};

use rustc_hash::FxHashMap;

use super::super::batch::{Found, Later};
use super::super::content::Said;
use super::super::parts::Parts;
use super::super::{Artifact, FolderIndex, Oddity};
use super::Folders;
use crate::catalogue::{Kind, SessionId};

/// Whether a file lists the workers of the service for background sessions.
pub(super) fn is_roster(kind: Option<Kind>, name: &OsStr) -> bool {
    kind == Some(Kind::DaemonFile) && name == "roster.json"
}

/// Tells output of commands, scratch files and files of Cowork sessions whose they are.
pub(super) fn tell(folders: &Folders, found: &mut Found, parts: &Parts, later: &mut [Later]) {
    tell_output(found, parts, later);
    tell_scratch_files(folders, found, parts, later);
    tell_cowork_files(folders, found, later);
}

/// The names of a folder and of those above it, up to the root of its store.
fn names(folders: &Folders, folder: FolderIndex) -> Vec<(FolderIndex, &OsStr)> {
    let mut names = Vec::new();
    let mut at = Some(folder);
    while let Some(index) = at {
        let folder = &folders.list[index.at()];
        names.push((index, folders.names.get(folder.name)));
        at = folder.parent;
    }
    names
}

/// Output of a command is of the session that has the same file under another name among its own.
fn tell_output(found: &Found, parts: &Parts, later: &mut [Later]) {
    let inode = |artifact: &Artifact| (artifact.stamp.device, artifact.stamp.inode);
    let is_second_name = |later: &Later| {
        let artifact = &found.artifacts[later.artifact.at()];
        artifact.kind == Some(Kind::TempFile) && later.owner.is_none() && artifact.hard_linked
    };
    // Most stores have none, and a look at every file would be for nothing.
    if !later.iter().any(is_second_name) {
        return;
    }
    let mut owners: FxHashMap<(u64, u64), SessionId> = FxHashMap::default();
    for (artifact, part) in found.artifacts.iter().zip(&found.parts) {
        if artifact.hard_linked
            && artifact.kind == Some(Kind::ToolResult)
            && let Some(id) = part.and_then(|part| parts.id_of(part))
        {
            owners.insert(inode(artifact), id);
        }
    }
    for later in later.iter_mut().filter(|later| is_second_name(later)) {
        later.owner = owners.get(&inode(&found.artifacts[later.artifact.at()])).copied();
    }
}

/// Scratch files in a folder that is called by digits are of the known session that has those.
fn tell_scratch_files(folders: &Folders, found: &Found, parts: &Parts, later: &mut [Later]) {
    let is_scratch = |later: &Later| {
        found.artifacts[later.artifact.at()].kind == Some(Kind::TempFile) && later.owner.is_none()
    };
    if !later.iter().any(is_scratch) {
        return;
    }
    let named_by_lines = later.iter().filter_map(|later| match &later.said {
        Said::Lines(content) => Some(content.lines.iter().filter_map(|line| line.session)),
        _ => None,
    });
    let owners = later.iter().filter_map(|later| later.owner);
    let ids = parts.ids().into_iter().chain(owners).chain(named_by_lines.flatten());
    // The digits are a hash of the id, so that they cannot be turned back; every id that is known is tried.
    let by_digits: HashMap<String, SessionId> = ids.map(|id| (id.digits(), id)).collect();
    for later in later.iter_mut().filter(|later| is_scratch(later)) {
        let names = names(folders, found.artifacts[later.artifact.at()].folder);
        // The root, `s`, and the digits.
        let digits = names.iter().rev().nth(2).and_then(|(_, name)| name.to_str());
        later.owner = digits.and_then(|digits| by_digits.get(digits).copied());
    }
}

/// Files of a Cowork session are of the session that the index beside its folder names: `local_X.json` beside
/// `local_X/`.
fn tell_cowork_files(folders: &Folders, found: &mut Found, later: &mut [Later]) {
    // Where there is no index any more, they are nobody's.
    let kind = |found: &Found, later: &Later| found.artifacts[later.artifact.at()].kind;
    if !later.iter().any(|later| kind(found, later) == Some(Kind::CoworkFile)) {
        return;
    }
    let indexes = later.iter().filter(|later| kind(found, later) == Some(Kind::DesktopIndex));
    let indexes: HashMap<(FolderIndex, OsString), Option<SessionId>> = indexes
        .filter_map(|later| {
            let artifact = &found.artifacts[later.artifact.at()];
            let name = found.names.get(artifact.name).to_str()?.strip_suffix(".json")?;
            Some(((artifact.folder, OsString::from(name)), later.owner))
        })
        .collect();
    for later in later.iter_mut() {
        let artifact = &mut found.artifacts[later.artifact.at()];
        if artifact.kind != Some(Kind::CoworkFile) {
            continue;
        }
        let names = names(folders, artifact.folder);
        let index = names.windows(2).find_map(|pair| match pair {
            [(_, name), (above, _)] => indexes.get(&(*above, name.to_os_string())),
            _ => None,
        });
        match index {
            Some(Some(owner)) => later.owner = Some(*owner),
            // Somebody's, and it cannot be told whose.
            Some(None) => artifact.oddity = Oddity::InUse,
            None => {}
        }
    }
}
