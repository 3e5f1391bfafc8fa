//! Finding stores anywhere below a folder, by their marks.
//!
//! Any depth; no link is followed. Other file systems are entered where they are on a disk of this
//! machine. A store that was found is not searched further, except for the self-contained ones that
//! the desktop application keeps in its own. Read-only.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::FileSystem;
use super::marks::{self, GLOBAL, Mark};
use crate::catalogue::{Root, SessionId};
use crate::dir::Dir;
use crate::error::PathError;
use crate::files::Budget;

/// A tree that shows itself as the client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it lies.
    pub root: PathBuf,
    /// Which tree of the catalogue it is.
    pub kind: Root,
    /// The id of its owner; 0 on platforms without one.
    pub owner: u32,
    /// By what it shows itself.
    pub marks: Vec<&'static str>,
    /// How many sessions it names.
    pub sessions: u64,
    /// How many files lie in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a search has found.
#[derive(Debug, Default)]
pub struct Search {
    /// Trees of the client, in the order of their paths.
    pub found: Vec<Found>,
    /// What could not be looked into.
    pub unreadable: Vec<PathError>,
    /// How many folders were looked into, those inside found stores not counted.
    pub folders: u64,
    /// What is left for large global files: any folder may have one.
    budget: Budget,
    /// Where other file systems are mounted that are still to be looked at.
    mounts: Vec<PathBuf>,
}

/// Looks for stores in a folder and everything below it, on every file system of this machine that is mounted there and
/// that is not among those left out.
pub fn search(dir: &Path, left_out: &[PathBuf]) -> Search {
    // What cannot be read is part of the result, and so is a file system that is not on a disk of this machine:
    // a server or a program that hangs would stop the search, and what it shows may not be what it keeps.
    let mut search = Search::default();
    search.walk(dir);
    while let Some(mount) = search.mounts.pop() {
        if !left_out.contains(&mount) {
            search.cross(&mount);
        }
    }
    search.found.sort_by(|a, b| a.root.cmp(&b.root));
    search
}

impl Search {
    /// Looks for stores on the file system that is mounted at a folder.
    fn cross(&mut self, mount: &Path) {
        let refused = |why: String| PathError {
            path: mount.to_path_buf(),
            doing: "look into",
            source: io::Error::new(io::ErrorKind::Unsupported, why),
        };
        match Dir::open(mount).map(|dir| FileSystem::of(&dir)) {
            Ok(FileSystem::Local) => self.walk(mount),
            // `/proc` and the like: nobody keeps files there, and it has no end.
            Ok(FileSystem::Kernel) => {}
            Ok(other) => {
                let name = other.refused_name().unwrap_or_default();
                self.unreadable.push(refused(format!(
                    "a {name} file system is mounted there, which is not searched: \
                     name stores on it with --store, or leave it out with `stores.exclude`"
                )));
            }
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => self.unreadable.push(PathError { source, ..refused(String::new()) }),
        }
    }

    fn walk(&mut self, dir: &Path) {
        let device = device(dir);
        let mut dumps: BTreeMap<PathBuf, Vec<DirEntry>> = BTreeMap::new();
        // By paths, as nothing is done here but looking; what is found is opened anew by a handle.
        let mut walk = WalkDir::new(dir).follow_links(false).same_file_system(true).into_iter();
        while let Some(entry) = walk.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.unreadable.extend(unreadable(error, dir));
                    continue;
                }
            };
            if entry.file_type().is_file() {
                if is_heap_dump(entry.file_name()) {
                    let folder = entry.path().parent().unwrap_or(dir).to_path_buf();
                    dumps.entry(folder).or_default().push(entry);
                }
                continue;
            }
            if !entry.file_type().is_dir() {
                continue;
            }
            if entry.depth() > 0 && is_mount(&entry, device) {
                self.mounts.push(entry.path().to_path_buf());
                continue;
            }
            self.folders += 1;
            let (kind, marks) = match what(entry.path(), &mut self.budget) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                // Whether its folder is a store cannot be told.
                Err(source) => {
                    let path = entry.path().join(GLOBAL);
                    self.unreadable.push(PathError { path, doing: "look into", source });
                    continue;
                }
            };
            let path = entry.path().to_path_buf();
            if kind == Root::Home {
                // The file alone is the store; everything else is the user's, and may hold more.
                let file = path.join(GLOBAL);
                let bytes = fs_err::symlink_metadata(&file).map_or(0, |meta| meta.len());
                let owner = owner(&path);
                self.found.push(Found { root: path, kind, owner, marks, sessions: 0, files: 1, bytes });
                continue;
            }
            walk.skip_current_dir();
            let (sessions, files, bytes) = self.measure(&path, kind);
            let owner = owner(&path);
            self.found.push(Found { root: path.clone(), kind, owner, marks, sessions, files, bytes });
            if kind == Root::Desktop {
                self.walk_inner(&path);
            }
        }
        for (root, files) in dumps {
            let bytes = files.iter().filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum();
            let sessions: HashSet<_> = files.iter().filter_map(|file| id_before(file.file_name())).collect();
            self.found.push(Found {
                owner: owner(&root),
                root,
                kind: Root::HeapDumps,
                marks: vec!["heap snapshot"],
                sessions: sessions.len() as u64,
                files: files.len() as u64,
                bytes,
            });
        }
    }

    /// Looks for the self-contained config folders inside the desktop application's own.
    fn walk_inner(&mut self, desktop: &Path) {
        let inner = desktop.join("local-agent-mode-sessions");
        if inner.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            self.walk(&inner);
        }
    }

    /// Sessions, files and bytes of a tree.
    fn measure(&mut self, root: &Path, kind: Root) -> (u64, u64, u64) {
        let mut sessions = HashSet::new();
        let (mut files, mut bytes) = (0, 0);
        for entry in WalkDir::new(root).follow_links(false).same_file_system(true) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.unreadable.extend(unreadable(error, root));
                    continue;
                }
            };
            let below: Vec<&OsStr> =
                entry.path().strip_prefix(root).into_iter().flat_map(Path::iter).collect();
            sessions.extend(session(kind, &below, entry.file_type().is_dir()));
            if entry.file_type().is_file() {
                files += 1;
                match entry.metadata() {
                    Ok(meta) => bytes += meta.len(),
                    Err(error) => self.unreadable.extend(unreadable(error, root)),
                }
            }
        }
        (sessions.len() as u64, files, bytes)
    }
}

/// The session that an entry of a tree stands for.
fn session(kind: Root, below: &[&OsStr], is_dir: bool) -> Option<SessionId> {
    let whole = |name: &OsStr| SessionId::from_bytes(name.as_encoded_bytes());
    match (kind, below) {
        (Root::Config, [top, _, name]) if *top == "projects" && !is_dir => {
            SessionId::from_bytes(name.as_encoded_bytes().strip_suffix(b".jsonl")?)
        }
        (Root::Config, [own, sealed, name]) if *own == "ccretain" && *sealed == "sealed" && is_dir => {
            whole(name)
        }
        (Root::Temp, [_, name]) if is_dir => whole(name),
        (Root::Desktop, [_, _, _, name]) if !is_dir => {
            let name = name.as_encoded_bytes();
            SessionId::from_bytes(name.strip_prefix(b"local_")?.strip_suffix(b".json")?)
        }
        _ => None,
    }
}

/// What a folder is, and by what it shows itself.
///
/// # Errors
/// Nothing else shows it, and its global file, which may be Claude Code's, is too large or closed to us.
fn what(path: &Path, budget: &mut Budget) -> io::Result<Option<(Root, Vec<&'static str>)>> {
    let Ok(dir) = Dir::open(path) else { return Ok(None) };
    let has = |name: &str| dir.child(OsStr::new(name)).is_ok();
    let (found, not_understood) = marks::marks(&dir, budget);
    if found == [Mark::Global] {
        // A home has this file beside its `.claude`; a moved config folder has it inside.
        let is_home = has(".claude") || !["projects", "sessions", "backups"].iter().any(|name| has(name));
        return Ok(Some((if is_home { Root::Home } else { Root::Config }, vec![Mark::Global.word()])));
    }
    if !found.is_empty() {
        return Ok(Some((Root::Config, found.into_iter().map(Mark::word).collect())));
    }
    match (by_place(path, &dir), not_understood) {
        (None, Some(error)) => Err(error),
        (found, _) => Ok(found),
    }
}

/// The same for trees without marks, which are known by their name or by the names in them.
fn by_place(path: &Path, dir: &Dir) -> Option<(Root, Vec<&'static str>)> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    if name == "claude-cli-nodejs" {
        return Some((Root::Cache, vec!["claude-cli-nodejs"]));
    }
    let is_temp = name
        .strip_prefix("claude-")
        .is_some_and(|uid| !uid.is_empty() && uid.bytes().all(|byte| byte.is_ascii_digit()));
    if is_temp && has_grandchild(dir, 2, &|name| SessionId::from_bytes(name).is_some()) {
        return Some((Root::Temp, vec!["session folder"]));
    }
    let is_index = |name: &[u8]| name.starts_with(b"local_") && name.ends_with(b".json");
    let mut marks = Vec::new();
    for folder in ["claude-code-sessions", "local-agent-mode-sessions"] {
        let child = dir.child(OsStr::new(folder));
        if child.is_ok_and(|child| has_grandchild(&child, 3, &is_index)) {
            marks.push(folder);
        }
    }
    (!marks.is_empty()).then_some((Root::Desktop, marks))
}

/// Whether something exactly so many levels below a folder has a fitting name.
fn has_grandchild(dir: &Dir, levels: u32, fits: &dyn Fn(&[u8]) -> bool) -> bool {
    let Ok(entries) = dir.entries() else { return false };
    entries.iter().any(|entry| match levels {
        0 | 1 => fits(entry.name.as_encoded_bytes()),
        _ => dir.child(&entry.name).is_ok_and(|child| has_grandchild(&child, levels - 1, fits)),
    })
}

/// Whether a name is that of a heap snapshot of the client, or of what it writes beside it.
fn is_heap_dump(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    [b".heapsnapshot".as_slice(), b"-diagnostics.json"]
        .iter()
        .any(|end| bytes.strip_suffix(*end).is_some_and(|id| SessionId::from_bytes(id).is_some()))
}

fn id_before(name: &OsStr) -> Option<SessionId> {
    name.as_encoded_bytes().get(..36).and_then(SessionId::from_bytes)
}

/// Whether another file system begins at a folder of a walk; where that cannot be told, the walk does not enter it.
#[cfg(unix)]
fn is_mount(entry: &DirEntry, device: Option<u64>) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    entry.metadata().is_ok_and(|meta| Some(meta.dev()) != device)
}

#[cfg(not(unix))]
fn is_mount(_: &DirEntry, _: Option<u64>) -> bool {
    false
}

#[cfg(unix)]
fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    fs_err::metadata(path).ok().map(|meta| meta.dev())
}

#[cfg(not(unix))]
fn device(_: &Path) -> Option<u64> {
    None
}

#[cfg(unix)]
fn owner(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    fs_err::symlink_metadata(path).map_or(0, |meta| meta.uid())
}

#[cfg(not(unix))]
fn owner(_: &Path) -> u32 {
    0
}

/// A failure of the walk with its path; what vanished meanwhile is none.
fn unreadable(error: walkdir::Error, root: &Path) -> Option<PathError> {
    let path = error.path().unwrap_or(root).to_path_buf();
    let source = error.into_io_error()?;
    (source.kind() != std::io::ErrorKind::NotFound || path == root).then_some(PathError {
        path,
        doing: "look into",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01020304-0506-4708-890a-0b0c0d0e0f10";

    #[expect(clippy::disallowed_methods, reason = "a test makes the store it searches")]
    fn put(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }

    fn roots(search: &Search, below: &Path) -> Vec<(String, Root, u64)> {
        let relative = |path: &Path| path.strip_prefix(below).unwrap().display().to_string();
        search.found.iter().map(|found| (relative(&found.root), found.kind, found.sessions)).collect()
    }

    #[test]
    fn every_kind_of_tree_is_found_at_any_depth_and_not_twice() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        let record = format!("{{\"sessionId\":\"{ID}\"}}\n");
        put(at, &format!("a/b/c/d/store/projects/-x/{ID}.jsonl"), &record);
        // A store in a store is part of it.
        put(at, &format!("a/b/c/d/store/uploads/inner/projects/-x/{ID}.jsonl"), &record);
        // Looks alike and names another id, or nothing.
        put(at, &format!("not/projects/-x/{ID}.jsonl"), "{\"sessionId\":\"x\"}\n");
        put(at, "neither/history.jsonl", "{\"display\":1}\n");
        put(at, "cache/claude-cli-nodejs/-x/mcp-logs-y/1.jsonl", "{}");
        put(at, &format!("tmp/claude-1000/-x/{ID}/tasks/b.output"), "x");
        put(at, "tmp/claude-1001/-x/other/b.output", "x");
        put(at, &format!("Claude/claude-code-sessions/a/o/local_{ID}.json"), "{}");
        let cowork = format!("Claude/local-agent-mode-sessions/a/o/local_{ID}");
        put(at, &format!("{cowork}.json"), "{}");
        put(at, &format!("{cowork}/.claude/projects/-y/{ID}.jsonl"), &record);
        put(at, &format!("Desktop/{ID}.heapsnapshot"), "{}");
        put(at, "Desktop/mine.heapsnapshot", "{}");
        put(at, "home/.claude.json", "{\"numStartups\":1}");
        put(at, "home/.claude/settings.json", "{}");
        let search = search(at, &[]);
        let expected = [
            ("Claude".to_owned(), Root::Desktop, 1),
            (format!("{cowork}/.claude"), Root::Config, 1),
            ("Desktop".to_owned(), Root::HeapDumps, 1),
            ("a/b/c/d/store".to_owned(), Root::Config, 1),
            ("cache/claude-cli-nodejs".to_owned(), Root::Cache, 0),
            ("home".to_owned(), Root::Home, 0),
            ("tmp/claude-1000".to_owned(), Root::Temp, 1),
        ];
        assert_eq!(roots(&search, at), expected);
        assert!(search.unreadable.is_empty());
    }

    #[test]
    fn a_global_file_beyond_the_budget_hides_no_other_mark() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..6 {
            let folder = dir.path().join(number.to_string());
            put(&folder, "history.jsonl", "{\"display\":\"x\",\"timestamp\":1,\"project\":\"/w\"}\n");
            let global = fs_err::File::create(folder.join(GLOBAL)).unwrap();
            global.set_len(crate::files::DOCUMENT).unwrap();
        }
        let other = dir.path().join("7");
        fs_err::create_dir(&other).unwrap();
        fs_err::File::create(other.join(GLOBAL)).unwrap().set_len(crate::files::DOCUMENT + 1).unwrap();
        let search = search(dir.path(), &[]);
        assert_eq!(search.found.len(), 6);
        assert_eq!(search.unreadable.len(), 1, "{:?}", search.unreadable);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        put(at, &format!("real/projects/-x/{ID}.jsonl"), &format!("{{\"sessionId\":\"{ID}\"}}\n"));
        fs_err::create_dir(at.join("from")).unwrap();
        std::os::unix::fs::symlink("../real", at.join("from/link")).unwrap();
        std::os::unix::fs::symlink("..", at.join("from/loop")).unwrap();
        assert!(search(&at.join("from"), &[]).found.is_empty());
        assert_eq!(search(at, &[]).found.len(), 1);
    }
}
