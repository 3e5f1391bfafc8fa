//! One file in a store, and the folder it lies in.

use std::sync::Arc;

use super::index::{FolderIndex, ProjectIndex, SessionIndex, StoreIndex};
use super::names::Name;
use crate::catalogue::{Kind, SessionId};
use crate::dir::{Dir, FileStamp, FileType};

/// A folder that was entered.
#[derive(Debug)]
pub struct Folder {
    /// The store it lies in.
    pub store: StoreIndex,
    /// The folder it lies in; `None` for the root.
    pub parent: Option<FolderIndex>,
    /// Its name, as [`Inventory::folder_name`](super::Inventory::folder_name) gives it; empty for the root.
    pub name: Name,
    /// The handle, for roots and for what was followed.
    pub anchor: Option<Arc<Dir>>,
    /// The session whose own folder this is, or lies in.
    pub session: Option<SessionId>,
    /// Whether names in it are content, which no output may show.
    pub hides_names: bool,
}

/// What an artifact is besides a regular file of the store's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// Nothing unusual.
    None,
    /// A symbolic link.
    Link,
    /// A FIFO, socket or device.
    Special,
    /// Another owner's.
    Foreign,
    /// Something behind a mount point or a link that is not followed.
    OutOfReach,
    /// Protected although its kind is not: the newest usable backup, a lock of a live process.
    InUse,
}

/// A file, by the folder it lies in and its name.
pub type FileKey = (FolderIndex, Name);

/// What an artifact belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Belongs {
    Session(SessionIndex),
    /// Nobody.
    Loose,
}

/// One file in a store.
#[derive(Debug)]
pub struct Artifact {
    /// The folder it lies in.
    pub folder: FolderIndex,
    /// Its name, as [`Inventory::name`](super::Inventory::name) gives it.
    pub name: Name,
    /// Its identity and state when it was seen; checked again before it is touched.
    pub stamp: FileStamp,
    /// The permission bits.
    pub mode: u16,
    /// What it is; in a session's own folder it may be a link, FIFO or socket.
    pub file_type: FileType,
    /// Whether it has a hard link that is not of the same session.
    pub hard_linked: bool,
    /// How many names it has.
    pub links: u32,
    /// How many bytes it takes of the disk.
    pub allocated: u64,
    /// What is unusual about it.
    pub oddity: Oddity,
    /// Its row of the catalogue; `None` for names the catalogue does not hold.
    pub kind: Option<Kind>,
    pub belongs: Belongs,
    /// Whether it is the sealed form of a file.
    pub sealed: bool,
    /// The project it names, for loose artifacts that name one; [`Inventory::project_named`](super::Inventory::project_named) gives it.
    pub project: Option<ProjectIndex>,
}

impl Artifact {
    /// What tells it from all others.
    pub fn key(&self) -> FileKey {
        (self.folder, self.name)
    }

    /// Whether it is a file of our own, which no count of files or bytes includes: the one place that says so. What is
    /// sealed or preserved is content, and counts.
    pub fn is_own(&self) -> bool {
        matches!(self.kind, Some(Kind::Own | Kind::OwnLeftover | Kind::SealedRecord))
    }

    /// Whether it is a regular file.
    pub fn is_regular(&self) -> bool {
        self.file_type == FileType::File
    }

    /// Whether it can be sealed: a plain file of a kind that holds a session's content, or a link of the session's own.
    pub fn can_be_sealed(&self) -> bool {
        // A file of which a name elsewhere would keep the plaintext cannot.
        self.is_to_be_sealed()
            && self.oddity == Oddity::None
            && match self.file_type {
                FileType::File => !self.hard_linked,
                FileType::Link => true,
                FileType::Folder | FileType::Special => false,
            }
    }

    /// Whether it is in the way of sealing its session: content that cannot be sealed with the rest.
    pub fn hinders_sealing(&self) -> bool {
        let is_linked = self.oddity == Oddity::None && self.is_regular() && self.hard_linked;
        self.is_to_be_sealed() && (is_linked || self.oddity == Oddity::Foreign)
    }

    pub(super) fn is_to_be_sealed(&self) -> bool {
        !self.sealed && self.kind.is_some_and(|kind| kind.row().sealable)
    }
}
