//! What Claude Code leaves on disk: ONE table, a row a kind.
//!
//! When the client adds a file, `table.rs` is the only thing that changes. Names are matched
//! exactly as the client writes them; a name the table does not hold is *unrecognised* and is
//! reported, never touched. The facts were observed on clients 1.0.128 to 2.1.332.

macro_rules! catalogue {
    ($( $(#[doc = $doc:literal])* $kind:ident $name:literal: $owner:ident $disposal:ident $sensitivity:ident
        $seal:ident $protection:ident $($nameless:ident)? => [$($root:ident $pattern:literal),* $(,)?]; )*) => {
        /// A kind of artifact: a row of the catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Kind { $( $(#[doc = $doc])* $kind, )* }

        /// Every row, in the order in which patterns are tried.
        pub static KINDS: &[Row] = &[ $( Row {
            kind: Kind::$kind,
            name: $name,
            about: concat!($($doc),*),
            owner: Owner::$owner,
            disposal: Disposal::$disposal,
            sensitivity: Sensitivity::$sensitivity,
            sealable: catalogue!(@$seal),
            protection: $protection,
            name_is_content: catalogue!(@name $($nameless)?),
            patterns: &[$(($root, $pattern)),*],
        }, )* ];
    };
    (@seal) => { true };
    (@plain) => { false };
    (@name) => { false };
    (@name nameless) => { true };
}

mod pattern;
mod root;
mod session_id;
mod slug;
mod table;
mod version;

pub use pattern::{Cursor, Match};
pub use root::Root;
pub use session_id::SessionId;
pub use slug::{Slug, SlugKey, is_slug};
pub use table::{KINDS, Kind};
pub use version::{NEWEST_TRIED, Version};

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// What an artifact of a kind belongs to, and so what decides its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The session whose id is in the path.
    Session,
    /// The session that the file's own content names; loose where it names none.
    Content,
    /// The session that its name or the index beside its folder stands for; loose where none is known.
    Found,
    /// What refers to it: history lines to a paste by its hash, records of sessions to a plan by its slug; loose
    /// where none does.
    References,
    /// Nobody: it has its own date, and does not outlive the last of the sessions that its records name.
    Named,
    /// Nobody: it has its own modification time.
    Loose,
}

/// How an artifact of a kind is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposal {
    /// The file goes whole.
    File,
    /// The file stays and loses lines, each of which is an artifact.
    Lines,
    /// The file stays and loses the entries of sessions that go.
    Index,
}

/// What a file of a kind gives away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sensitivity {
    /// Nothing.
    None,
    /// Titles, paths, ids, counts.
    Metadata,
    /// Conversation, code, tool output.
    Content,
    /// Keys, tokens.
    Secret,
}

/// What may remove an artifact of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    ByAge,
    /// Its age, once the process it belongs to is gone.
    UnlessLive,
    /// Never its age; a purge removes it.
    UntilPurge,
    /// Never its age; a purge only with `--with` this class.
    With(Class),
}

/// The classes of protected things that a purge takes with it only when told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Tokens of the client's account.
    Credentials,
    /// What the user wrote or installed, and the client's own state.
    Settings,
    /// Notes the client keeps about the user and the projects.
    Memory,
}

/// A row of the catalogue.
#[derive(Debug)]
pub struct Row {
    /// The kind this row describes.
    pub kind: Kind,
    /// Its name in policies, reports and the ledger.
    pub name: &'static str,
    /// What it is, in a sentence for the manual.
    pub about: &'static str,
    /// What it belongs to.
    pub owner: Owner,
    /// How it is removed.
    pub disposal: Disposal,
    /// What it gives away.
    pub sensitivity: Sensitivity,
    /// Whether sealing a session encrypts it.
    pub sealable: bool,
    /// What may remove it.
    pub protection: Protection,
    /// Whether the names of its files are content, made of words of a prompt say.
    pub name_is_content: bool,
    /// Where it lies: patterns relative to a root (see `pattern.rs`).
    pub patterns: &'static [(Root, &'static str)],
}

impl Kind {
    /// The row of this kind.
    pub fn row(self) -> &'static Row {
        // A kind's number is its row's: both come from one macro.
        &KINDS[self as usize]
    }

    /// The name, as policies, reports and the ledger write it.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether files of this kind are parts of one session.
    pub fn is_of_session(self) -> bool {
        matches!(self.row().owner, Owner::Session | Owner::Content | Owner::Found)
    }

    /// Whether files are of this kind by their place alone, whatever their names, so that something must
    /// show that the place is a session's.
    pub fn is_by_place(self) -> bool {
        self == Self::SessionFile
    }

    /// Whether the names of files of this kind are content, which no output may show.
    pub fn name_is_content(self) -> bool {
        self.row().name_is_content
    }

    /// Whether only a purge that names its class, or nothing at all, removes it.
    pub fn is_protected(self) -> bool {
        matches!(self.row().protection, Protection::UntilPurge | Protection::With(_))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What stands for a name that is content: the same for the same name, and no more can be told from it.
pub fn hidden(name: &Path) -> OsString {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(name.as_os_str().as_encoded_bytes());
    format!("#{}", hex::encode(digest.get(..4).unwrap_or_default())).into()
}

/// A kind name that the catalogue does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind '{name}'{}", nearest.map(|kind| format!(", did you mean '{kind}'?")).unwrap_or_default())]
pub struct UnknownKind {
    name: String,
    nearest: Option<&'static str>,
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        KINDS.iter().find(|row| row.name == name).map(|row| row.kind).ok_or_else(|| UnknownKind {
            name: name.to_owned(),
            nearest: KINDS
                .iter()
                .map(|row| row.name)
                .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b))),
        })
    }
}

#[cfg(test)]
mod tests;
