//! The marks by which a folder shows that the client keeps sessions there.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::crossing::is_followed;
use crate::catalogue::SessionId;
use crate::dir::{Dir, FileType, Unreached};
use crate::files::{Budget, Document};

/// The global file of a client.
pub const GLOBAL: &str = ".claude.json";

/// How much of a file is looked at: a first prompt with pasted text or an image takes megabytes.
const LOOK: u64 = 8 << 20;

/// Something by which a config folder shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Mark {
    /// A transcript whose record names the id that its file name bears.
    #[serde(rename = "transcript")]
    Transcript,
    /// A well-formed `history.jsonl`.
    #[serde(rename = "history.jsonl")]
    History,
    /// A well-formed `.claude.json`.
    #[serde(rename = ".claude.json")]
    Global,
    /// Sessions that this program has sealed.
    #[serde(rename = "sealed sessions")]
    Sealed,
}

impl Mark {
    /// The word reports use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Transcript => "transcript",
            Self::History => "history.jsonl",
            Self::Global => GLOBAL,
            Self::Sealed => "sealed sessions",
        }
    }
}

/// Whether a folder holds a transcript whose record names its own id, a well-formed
/// `history.jsonl` or `.claude.json`, or sessions that were sealed there.
pub fn has_mark(dir: &Dir) -> bool {
    let has_global = || has_global(dir, &mut Budget::default()).unwrap_or_default();
    has_history(dir) || has_global() || has_sealed(dir) || has_transcript(dir)
}

/// Every mark a folder bears, and why its global file is not understood, if it has one that may be Claude Code's.
pub fn marks(dir: &Dir, budget: &mut Budget) -> (Vec<Mark>, Option<io::Error>) {
    let global = has_global(dir, budget);
    let marks = [
        (has_transcript(dir), Mark::Transcript),
        (has_history(dir), Mark::History),
        (matches!(global, Ok(true)), Mark::Global),
        (has_sealed(dir), Mark::Sealed),
    ];
    (marks.into_iter().filter_map(|(bears, mark)| bears.then_some(mark)).collect(), global.err())
}

fn open(dir: &Dir, name: &str) -> Option<File> {
    let name = OsStr::new(name);
    (dir.stat(name).ok()?.file_type == FileType::File).then(|| dir.read(name).ok())?
}

fn head(file: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What could be read is judged; a folder is no store by what could not.
    let _ = file.take(LOOK).read_to_end(&mut bytes);
    bytes
}

fn has_history(dir: &Dir) -> bool {
    #[derive(Deserialize)]
    struct Prompt {
        #[serde(rename = "display")]
        _display: String,
        #[serde(rename = "timestamp")]
        _timestamp: u64,
        #[serde(rename = "project")]
        _project: String,
    }
    open(dir, "history.jsonl").is_some_and(|file| {
        let head = head(file);
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
        text.split(|b| *b == b'\n').any(|line| serde_json::from_slice::<Prompt>(line).is_ok())
    })
}

/// Whether a folder has a global file; an error where the file may be one and cannot be read.
fn has_global(dir: &Dir, budget: &mut Budget) -> io::Result<bool> {
    let name = OsStr::new(GLOBAL);
    let Some(stat) = dir.stat(name).ok().filter(|stat| stat.file_type == FileType::File) else {
        return Ok(false);
    };
    budget.take(stat.stamp.size)?;
    Ok(is_global(&Document::read(&dir.read(name)?)?))
}

/// Whether a text is an object with a key that clients of every version write.
fn is_global(text: &[u8]) -> bool {
    // Nothing of it is kept: any folder may hold a file of that name.
    const KEYS: [&str; 6] =
        ["firstStartTime", "machineID", "userID", "numStartups", "projects", "hasCompletedOnboarding"];
    struct Known(bool);
    impl<'de> Deserialize<'de> for Known {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Object;
            impl<'de> Visitor<'de> for Object {
                type Value = bool;

                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("an object")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
                    let mut is_known = false;
                    while let Some((key, IgnoredAny)) = map.next_entry::<Cow<'de, str>, IgnoredAny>()? {
                        is_known |= KEYS.contains(&&*key);
                    }
                    Ok(is_known)
                }
            }
            from.deserialize_map(Object).map(Self)
        }
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    serde_json::from_slice::<Known>(text).is_ok_and(|known| known.0)
}

/// A store of which every session is sealed, and which has no history, has no other mark.
fn has_sealed(dir: &Dir) -> bool {
    let sealed = through(dir, "ccretain").and_then(|own| own.child(OsStr::new("sealed")));
    let Ok(sessions) = sealed.and_then(|sealed| sealed.entries()) else { return false };
    sessions.iter().any(|session| SessionId::from_bytes(session.name.as_encoded_bytes()).is_some())
}

fn has_transcript(dir: &Dir) -> bool {
    let Ok(projects) = through(dir, "projects") else { return false };
    let Ok(folders) = projects.entries() else { return false };
    folders.iter().any(|folder| {
        let Ok(project) = through(&projects, &folder.name) else { return false };
        let Ok(files) = project.entries() else { return false };
        files.iter().any(|entry| {
            let name = entry.name.as_encoded_bytes();
            let Some(id) = name.strip_suffix(b".jsonl").and_then(SessionId::from_bytes) else { return false };
            is_regular(&project, &entry.name)
                && project.read(&entry.name).is_ok_and(|file| names_itself(file, id))
        })
    })
}

/// Opens a folder that may be a link of its owner or a mount point.
fn through(dir: &Dir, name: impl AsRef<OsStr>) -> io::Result<Dir> {
    let owner = dir.stat_self()?.owner;
    dir.follow(name.as_ref(), &|link| is_followed(owner, link)).map_err(Unreached::into_io)
}

fn is_regular(dir: &Dir, name: &OsStr) -> bool {
    dir.stat(name).is_ok_and(|stat| stat.file_type == FileType::File)
}

/// Whether a record of the transcript names the id that its file name bears.
fn names_itself(file: File, id: SessionId) -> bool {
    #[derive(Deserialize)]
    struct Record {
        #[serde(rename = "sessionId")]
        session: SessionId,
    }
    head(file)
        .split(|b| *b == b'\n')
        .any(|line| serde_json::from_slice::<Record>(line).is_ok_and(|record| record.session == id))
}
