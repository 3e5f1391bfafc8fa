//! Why a root is no store.

use std::io;
use std::path::PathBuf;

use crate::catalogue::Root;
use crate::error::{PathError, chain};
use crate::escape::shown;
use crate::platform::Platform;

/// A root that was not taken.
#[derive(Debug)]
pub struct Refused {
    /// The folder.
    pub path: PathBuf,
    /// Which tree of the catalogue it would be.
    pub kind: Root,
    pub why: Refusal,
}

/// Why a root is no store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    #[error("it is the root of the file system")]
    FileSystemRoot,
    /// A home folder.
    #[error("it is a home folder")]
    Home,
    /// Another owner.
    #[error("it belongs to user {0}, not to you")]
    NotOurs(u32),
    /// Anyone may write there.
    #[error("it is writable by everyone (mode {0:o}): `chmod o-w` it first")]
    WorldWritable(u32),
    /// FUSE or the network.
    #[error("it lies on a {0} file system: name it in `stores.extra` if that is meant")]
    FileSystem(&'static str),
    /// A link where others could have put it.
    #[error(
        "it is a link, and none is followed where others could have put it: make it a folder, or leave it out with `stores.exclude`"
    )]
    Link,
    /// A link above it, which others could have put there.
    #[error("'{}' is a link that root did not make, and none is followed where others could have put it: use the real path", shown(.0))]
    LinkAbove(PathBuf),
    /// Nothing there is the client's.
    #[error("it shows no mark of Claude Code: name it in `stores.extra` if it is a store")]
    NoMark,
    /// A root seen before is gone.
    #[error(
        "it was a store when last seen and is missing: exclude it with `stores.exclude` if it is gone for good"
    )]
    Missing,
    /// A root seen before is there, and nothing is in it.
    #[error(
        "it was a store when last seen and is an empty folder: mount its volume if it is on one, \
         or exclude it with `stores.exclude` if it is gone for good"
    )]
    Emptied,
    /// Somebody else has taken a name in a shared folder that is ours.
    #[error(
        "user {0} has taken the place of Claude Code's temp folder of yours: only that user or root can remove it"
    )]
    Squatted(u32),
    /// Something else lies where the client would make its folder, or a link that leads nowhere.
    #[error("it is not a folder, or a link that leads to none: remove or repair it")]
    NoFolder,
    /// The policy leaves it out, and it was named.
    #[error("`stores.exclude` of the policy leaves it out")]
    Excluded,
    /// The system says no.
    #[error("it cannot be opened: {0}")]
    Unreachable(#[source] io::Error),
    /// macOS guards it, whoever asks, until somebody allows it ("Transparency, Consent, and Control").
    #[error(
        "macOS does not let this program look into it ({0}): allow it in System Settings, Privacy & Security, \
         Full Disk Access, or on many Macs by the profile `privacy.mobileconfig` of `ccretain mdm`"
    )]
    Guarded(#[source] io::Error),
    /// Its lock and its sealed files cannot be reached.
    #[error("'ccretain' in it is out of reach, so nothing of it is changed: {0}")]
    OwnFolder(String),
    /// It is to be changed only while a store is locked that cannot be.
    #[error("it shares a folder with '{}', which cannot be locked, so nothing of it is changed", shown(.0))]
    SharedUnlockable(PathBuf),
    /// It can be read, and its lock cannot be made.
    #[error("it cannot be locked, so nothing of it is changed: {}", chain(.0))]
    Unlockable(#[source] PathError),
}

impl Refusal {
    /// Whether a root seen before is not there: it is told, and stops nothing.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Missing | Self::Emptied)
    }
}

/// The refusal of what the system does not let be opened.
pub(super) fn unreachable(platform: Platform, error: io::Error) -> Refusal {
    // Modes give EACCES; EPERM comes from the guards of macOS alone, for which nobody has to be asked.
    let is_guarded = platform == Platform::Macos && error.raw_os_error() == Some(1);
    if is_guarded { Refusal::Guarded(error) } else { Refusal::Unreachable(error) }
}

impl Refused {
    /// Whether it is only noted: a folder that is looked into because it might hold something, as the desktop for heap
    /// dumps is, and that macOS guards.
    pub fn is_note(&self) -> bool {
        matches!(self.why, Refusal::Guarded(_)) && self.kind != Root::Config
    }

    /// One line for people.
    pub fn message(&self) -> String {
        format!("'{}' is refused as a store: {}", shown(&self.path), self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_macos_guards_is_noted_and_a_store_of_it_told_as_an_error() {
        let refused = |platform, code, kind| {
            let why = unreachable(platform, io::Error::from_raw_os_error(code));
            Refused { path: "/Users/ann/Desktop".into(), kind, why }
        };
        let guarded = refused(Platform::Macos, 1, Root::HeapDumps);
        assert!(guarded.is_note() && guarded.message().contains("Full Disk Access"), "{}", guarded.message());
        let store = refused(Platform::Macos, 1, Root::Config);
        assert!(!store.is_note() && store.message().contains("Full Disk Access"));
        for (platform, code) in [(Platform::Macos, 13), (Platform::Linux, 1), (Platform::Linux, 13)] {
            let refused = refused(platform, code, Root::HeapDumps);
            assert!(!refused.is_note() && matches!(refused.why, Refusal::Unreachable(_)));
        }
    }
}
