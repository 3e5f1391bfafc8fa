//! One entry of a folder: what it is, by its name, by its state and by what it says itself.

use std::ffi::OsStr;
use std::path::Path;

use super::large::Room;
use super::{Place, Walk};
use crate::catalogue::{Cursor, Kind, Match, SessionId};
use crate::dir::{FileType, Stat};
use crate::inventory::batch::{Batch, Met};
use crate::inventory::content::{Known, Said};
use crate::inventory::{Artifact, Belongs, FolderIndex, Name, Oddity};
use crate::seal::naming;

/// What an interrupted unsealing left.
fn leftover(cursor: &Cursor, name: &OsStr) -> Option<Match> {
    let is_it = naming::is_unfinished(name) && !cursor.is_dead();
    is_it.then_some(Match {
        kind: Kind::OwnLeftover,
        session: None,
        distinctive: true,
        in_session_folder: false,
    })
}

/// The session into whose own folder a link leads: the output of an agent is its transcript.
fn named_by(target: &Path) -> Option<SessionId> {
    target.iter().find_map(|name| SessionId::from_bytes(name.as_encoded_bytes()))
}

/// What a file of this name is in a folder.
#[inline]
pub(super) fn recognise(cursor: &Cursor, name: &OsStr) -> Option<Match> {
    leftover(cursor, name).or_else(|| cursor.classify(name.as_encoded_bytes()))
}

impl Place {
    /// What a file of this name is here.
    #[inline]
    pub(super) fn recognise(&self, name: &OsStr) -> Option<Match> {
        recognise(&self.cursor, name)
    }

    /// Whether a folder of this name here would hold sealed sessions, or one.
    pub(super) fn holds_sealed(&self, name: &OsStr) -> bool {
        self.cursor.enter(name.as_encoded_bytes()).kinds().any(|kind| kind == Kind::SealedRecord)
    }

    /// Whether a file that was recognised as this is somebody else's, in a folder shared with others.
    #[inline]
    pub(super) fn is_others(&self, name: &OsStr, recognised: Option<Match>) -> bool {
        recognised.is_none() && !self.cursor.claims(name.as_encoded_bytes())
    }
}

impl Walk<'_> {
    /// Notes one file that is seen as it is, and of which `recognised` says what its name is; where it is a large
    /// document, within the room that is left for those.
    #[inline]
    pub(super) fn note(
        &self,
        batch: &mut Batch,
        place: &Place,
        name: &OsStr,
        stat: &Stat,
        recognised: Option<Match>,
        mut room: Option<&mut Room>,
    ) {
        let store = self.store(place.store);
        let linked = recognised.filter(|found| found.kind == Kind::TempFile && found.session.is_none());
        let linked = linked.filter(|_| stat.file_type == FileType::Link);
        let linked = linked.and_then(|_| named_by(&place.dir.read_link(name).ok()?));
        let oddity = match stat.file_type {
            // Before all else: what somebody else put there is not read, whatever it is.
            _ if stat.owner != store.owner => Oddity::Foreign,
            FileType::File => Oddity::None,
            // In a session's own folders links, FIFOs and sockets are content like the rest.
            FileType::Link | FileType::Special if recognised.is_some_and(|found| found.in_session_folder) => {
                Oddity::None
            }
            FileType::Link if linked.is_some() => Oddity::None,
            FileType::Link => Oddity::Link,
            _ => Oddity::Special,
        };
        let mut known = Known {
            kind: recognised.map(|found| found.kind),
            session: recognised.and_then(|found| found.session).or(linked).or(place.session),
            said: Said::Nothing,
        };
        if let Some(recognised) = recognised {
            if stat.file_type == FileType::File
                // Whoever a pid file is of, the session that it names is open.
                && (oddity == Oddity::None || recognised.kind == Kind::PidFile)
                && let Err(error) =
                    (room.as_deref_mut().map_or(Ok(()), |room| room.bytes.take(stat.stamp.size)))
                        .and_then(|()| known.read(&place.dir, name, &stat.stamp, &self.reading()))
                        .and_then(|()| room.map_or(Ok(()), |room| room.hold(&known.said)))
            {
                self.problem(place.store, place.index, Some(name), "read", error);
                // It is noted all the same: a file that cannot be read still belongs to somebody and takes its
                // place.
                known.said = Said::Unreadable;
            }
            // In a folder that may be anybody's, a name such as `config.json` proves nothing by itself.
            if !(recognised.distinctive || store.is_certain || known.is_certain()) {
                known.kind = None;
            }
        }
        let artifact = artifact(place.index, stat, known.kind, oddity);
        let is_datable = Known::is_datable(known.kind, known.session);
        let Known { session: owner, said, .. } = known;
        self.add(batch, artifact, Met { name, store: place.store, owner, said, is_datable });
    }
}

/// An artifact of which no more is known than its state.
#[inline]
pub(super) fn artifact(folder: FolderIndex, stat: &Stat, kind: Option<Kind>, oddity: Oddity) -> Artifact {
    Artifact {
        folder,
        name: Name::default(),
        stamp: stat.stamp,
        mode: u16::try_from(stat.mode).unwrap_or(0o600),
        file_type: stat.file_type,
        hard_linked: stat.links > 1,
        links: u32::try_from(stat.links).unwrap_or(u32::MAX),
        allocated: stat.allocated,
        oddity,
        kind,
        belongs: Belongs::Loose,
        sealed: matches!(kind, Some(Kind::SealedFile | Kind::SealedRecord)),
        project: None,
    }
}
