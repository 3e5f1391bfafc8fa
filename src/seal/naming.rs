//! How sealed files are called, and what a sealed file's name says of its original. Pure.
//!
//! A session's sealed files lie in [`session_folder`] under their path in the store, with endings
//! that say what undoes them: `.age` alone, or `.zst.age`. Its temp tree is under `temp/`. The
//! name alone is enough to bring a file back; `session.json` knows more and is believed first.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::Compression;
use crate::catalogue::{Cursor, Kind, Match, Root, SessionId};

/// The folder of sealed sessions, in a store.
pub const FOLDER: &str = "ccretain/sealed";

/// The folder of a session's temp tree, in the session's sealed folder.
pub const TEMP: &str = "temp";

/// The record of a sealed session, in the session's sealed folder.
pub const RECORD: &str = "session.json";

/// The longest name of a sealed file, in bytes: that of the usual file systems (255), with room for
/// `.` and `.part`.
const NAME_MAX: usize = 255 - ".".len() - ".part".len();

/// Which tree an original lay in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tree {
    Store,
    /// The session's own folder below a temp folder (`claude-<uid>/<P>/<S>`).
    Temp,
}

/// Why an original can have no sealed name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The path is empty, absolute, or leads upwards.
    #[error("the path does not lie in the tree")]
    NotWithin,
    /// The path would be taken for one of the temp tree.
    #[error("the path has the name of the temp tree")]
    Reserved,
    /// The file system could not hold the name.
    #[error("its name is {} too long for the ending of a sealed file", bytes(*.0))]
    TooLong(usize),
}

/// Whether the name of an original leaves room for the endings of its sealed file, also of one beside another.
pub fn has_room(name: &OsStr) -> bool {
    const COPY: usize = ".9".len();
    name.len() + COPY + ending(fitting(name, COPY, Compression::Zstd)).len() <= NAME_MAX
}

/// How an original of this name is compressed, whose sealed name has so many bytes more before its ending.
fn fitting(name: &OsStr, more: usize, wanted: Compression) -> Compression {
    match wanted {
        // Else its sealed name would say that it is compressed.
        _ if name.as_encoded_bytes().ends_with(b".zst") => Compression::Zstd,
        Compression::Zstd if name.len() + more + ending(Compression::Zstd).len() > NAME_MAX => {
            Compression::None
        }
        wanted => wanted,
    }
}

fn ending(compression: Compression) -> &'static str {
    match compression {
        Compression::Zstd => ".zst.age",
        Compression::None => ".age",
    }
}

fn bytes(count: usize) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}

/// Where an original goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedName {
    /// The path in the session's sealed folder.
    pub path: PathBuf,
    /// What the name promises; the file must be sealed so.
    pub compression: Compression,
}

/// Where a sealed file came from, as far as its name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    pub tree: Tree,
    /// The path in the tree.
    pub path: PathBuf,
    /// What the sealed file holds.
    pub compression: Compression,
    /// Which of several sealed files of the same original it is: 0 for the first.
    pub copy: u32,
    /// What the original is; `None` where the catalogue does not know it.
    pub kind: Option<Kind>,
}

/// The sealed folder of a session, relative to its store.
pub fn session_folder(session: SessionId) -> PathBuf {
    Path::new(FOLDER).join(session.to_string())
}

/// The sealed name of an original, relative to the session's sealed folder.
///
/// `copy` is 0, or the first number from 1 whose name is free. An original whose own name ends in
/// `.zst` is compressed always, since otherwise its sealed name would say that it is; one whose name leaves no room for
/// the longer ending never is.
///
/// # Errors
/// The path is none in that tree, or its name leaves no room for an ending.
pub fn sealed_name(
    tree: Tree,
    original: &Path,
    compression: Compression,
    copy: u32,
) -> Result<SealedName, NameError> {
    if !is_within(original) {
        return Err(NameError::NotWithin);
    }
    let name = original.file_name().ok_or(NameError::NotWithin)?;
    if tree == Tree::Store && original.components().next() == Some(Component::Normal(OsStr::new(TEMP))) {
        return Err(NameError::Reserved);
    }
    let mut sealed = name.to_os_string();
    if copy > 0 {
        sealed.push(format!(".{copy}"));
    }
    let compression = fitting(name, sealed.len() - name.len(), compression);
    sealed.push(ending(compression));
    if sealed.len() > NAME_MAX {
        return Err(NameError::TooLong(sealed.len() - NAME_MAX));
    }
    let path = original.with_file_name(sealed);
    Ok(SealedName { path: if tree == Tree::Temp { Path::new(TEMP).join(path) } else { path }, compression })
}

/// Whether a file in a folder two levels below a temp tree may be a session's: the folder is called by its id in the
/// folder of a project, or by its digits where paths have to be short, or it is that of all output of a project.
pub fn is_temp_place_of(folder: &Path, path: &Path, session: SessionId) -> bool {
    let is_called = |name: String| folder.file_name() == Some(OsStr::new(&name));
    let is_short = folder.parent().and_then(Path::file_name) == Some(OsStr::new("s"));
    is_called(session.to_string()) || is_short && is_called(session.digits()) || is_output(folder, path)
}

/// Whether a file is the output of a command that names no session.
fn is_output(folder: &Path, path: &Path) -> bool {
    let project = folder.parent().and_then(Path::file_name);
    let (Some(project), Some(name)) = (project, folder.file_name()) else { return false };
    let mut cursor = Cursor::at(Root::Temp);
    for part in [project, name].into_iter().chain(path.parent().into_iter().flat_map(Path::iter)) {
        cursor = cursor.enter(part.as_encoded_bytes());
    }
    let found = path.file_name().and_then(|name| cursor.classify(name.as_encoded_bytes()));
    found.is_some_and(|found| found.kind == Kind::TempFile && found.session.is_none() && name == "tasks")
}

/// The name of an unfinished file, in the folder of the finished one.
pub fn part_name(name: &OsStr) -> OsString {
    let mut part = OsString::from(".");
    part.push(name);
    part.push(".part");
    part
}

/// Whether a name is one of an unfinished file.
pub fn is_part(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.len() > ".".len() + ".part".len() && name.starts_with(b".") && name.ends_with(b".part")
}

/// What begins the name of an unfinished original, after the dot.
const UNFINISHED: &str = "ccretain-";
/// How many hexadecimal digits follow.
const DIGITS: usize = 16;

/// The name of an unfinished original, in the folder of the finished one: there any name may be the user's, `.<name>.part`
/// too, so it is one that nobody gives by chance. The same original has the same, so that the next try replaces it.
pub fn unfinished_name(session: SessionId, tree: Tree, original: &Path) -> OsString {
    let tree: &[u8] = match tree {
        Tree::Store => b"store",
        Tree::Temp => b"temp",
    };
    let of = [session.to_string().as_bytes(), tree, original.as_os_str().as_encoded_bytes()].join(&0);
    let hash: String = Sha256::digest(of).iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
    part_name(OsStr::new(&format!("{UNFINISHED}{hash}")))
}

/// Whether a name is one of an unfinished original.
pub fn is_unfinished(name: &OsStr) -> bool {
    let digits = name
        .to_str()
        .and_then(|name| name.strip_prefix('.')?.strip_suffix(".part")?.strip_prefix(UNFINISHED));
    digits.is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// What the name of a sealed file says of its original; `sealed` is relative to the session's sealed folder. `None`
/// where it is no sealed file.
pub fn original(sealed: &Path) -> Option<Original> {
    // A number before the ending may be the original's own (`log.1`) or ours. It is ours only where the
    // catalogue knows the name without it and not the name with it; in doubt the file comes back under the
    // longer name, where it overwrites nothing.
    if !is_within(sealed) {
        return None;
    }
    let (tree, below) = match sealed.strip_prefix(TEMP) {
        Ok(below) => (Tree::Temp, below),
        Err(_) => (Tree::Store, sealed),
    };
    let name = below.file_name()?;
    let (compression, ending) = strip_endings(name.as_encoded_bytes())?;
    let whole = below.with_file_name(without_tail(name, ending)?);
    let kind = kind_of(tree, &whole);
    let own = Original { tree, path: whole.clone(), compression, copy: 0, kind };
    if kind.is_some_and(|kind| !kind.is_by_place()) {
        return Some(own);
    }
    let Some((stem, copy)) = whole.file_name().and_then(split_copy) else { return Some(own) };
    let path = whole.with_file_name(stem);
    match kind_of(tree, &path).filter(|kind| !kind.is_by_place()) {
        Some(kind) => Some(Original { tree, path, compression, copy, kind: Some(kind) }),
        None => Some(own),
    }
}

/// What a file of this path is, if the catalogue knows it.
pub fn kind_of(tree: Tree, path: &Path) -> Option<Kind> {
    recognise(tree, path).map(|found| found.kind)
}

/// The same with the session that the path names.
pub fn recognise(tree: Tree, path: &Path) -> Option<Match> {
    let mut cursor = match tree {
        Tree::Store => Cursor::at(Root::Config),
        // Below a project folder and a session, whatever their names.
        Tree::Temp => Cursor::at(Root::Temp).enter(b"P").enter(b"00000000-0000-4000-8000-000000000000"),
    };
    if let Some(folder) = path.parent() {
        for part in folder.components() {
            cursor = cursor.enter(part.as_os_str().as_encoded_bytes());
        }
    }
    cursor.classify(path.file_name()?.as_encoded_bytes())
}

/// Whether a path leads downwards from where it begins, and somewhere.
pub(super) fn is_within(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_))) && path.file_name().is_some()
}

/// The compression and the length of the endings of a sealed name; something must precede them.
fn strip_endings(name: &[u8]) -> Option<(Compression, usize)> {
    let (compression, ending) = if name.ends_with(b".zst.age") {
        (Compression::Zstd, ".zst.age".len())
    } else if name.ends_with(b".age") {
        (Compression::None, ".age".len())
    } else {
        return None;
    };
    (name.len() > ending).then_some((compression, ending))
}

/// A name and the number at its end: `F.12` is (`F`, 12). The first copy is `.1`.
fn split_copy(name: &OsStr) -> Option<(OsString, u32)> {
    let bytes = name.as_encoded_bytes();
    let dot = bytes.iter().rposition(|b| *b == b'.')?;
    let digits = std::str::from_utf8(bytes.get(dot + 1..)?).ok()?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let copy = digits.parse().ok().filter(|_| plain && dot > 0)?;
    Some((without_tail(name, bytes.len() - dot)?, copy))
}

/// A name without its last `tail` bytes, which must be ASCII.
fn without_tail(name: &OsStr, tail: usize) -> Option<OsString> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        let bytes = name.as_bytes();
        Some(OsStr::from_bytes(bytes.get(..bytes.len().checked_sub(tail)?)?).to_os_string())
    }
    #[cfg(windows)]
    {
        use std::os::windows::ffi::{OsStrExt as _, OsStringExt as _};
        let units: Vec<u16> = name.encode_wide().collect();
        Some(OsString::from_wide(units.get(..units.len().checked_sub(tail)?)?))
    }
}
