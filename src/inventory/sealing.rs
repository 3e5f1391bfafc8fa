//! What the record of a sealed session claims, against what was known when it was sealed.
//!
//! `session.json` lies in the user's store, and whoever writes a later date into it would keep the
//! session for ever. Nothing happens in a sealed session, so a later date with the same sealed files
//! is no use of it; with other files it may have been used and sealed again.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Session;
use crate::seal::manifest::{DatedBy, Manifest, SealedFile, VERSION};

/// Dates that differ by less say the same: a file system may round them.
const SAME: TimeDelta = TimeDelta::minutes(1);

/// The two clocks of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Clocks {
    /// The newest record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<DateTime<Utc>>,
    /// The newest modification time of a transcript.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<DateTime<Utc>>,
}

/// What was known of a session when it was sealed, or first seen sealed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KnownSealing {
    /// What dated it.
    #[serde(flatten)]
    pub clocks: Clocks,
    /// Records of it that lay ahead then, and date it once they are past.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<DateTime<Utc>>,
    /// A digest of its sealed files; absent until a run has seen them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<String>,
}

/// The dates of a session that is sealed, by where they come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sealing {
    /// What its record says.
    pub(super) claimed: Clocks,
    /// What is there in plaintext.
    pub(super) plain: Clocks,
    /// A digest of the sealed files that the record names.
    pub(super) files: String,
    /// What earlier runs knew.
    pub(super) known: Option<KnownSealing>,
}

impl Clocks {
    fn max(self, other: Self) -> Self {
        Self { record: self.record.max(other.record), modified: self.modified.max(other.modified) }
    }

    /// Whether this is later than what was known.
    fn exceeds(self, known: Self) -> bool {
        let is_later = |claimed: Option<DateTime<Utc>>, known: Option<DateTime<Utc>>| match (claimed, known) {
            (Some(claimed), Some(known)) => claimed.signed_duration_since(known) > SAME,
            (claimed, None) => claimed.is_some(),
            (None, _) => false,
        };
        // A modification time beside a record dates nothing.
        match known.record {
            Some(_) => is_later(self.record, known.record),
            None => is_later(self.record.or(self.modified), known.modified),
        }
    }
}

impl KnownSealing {
    /// The same with what is past now.
    pub(super) fn at(mut self, now: DateTime<Utc>) -> Self {
        let past = self.later.iter().copied().filter(|date| *date <= now).max();
        self.clocks.record = self.clocks.record.max(past);
        self
    }
}

impl Sealing {
    /// What a record says, beside what is there in plaintext.
    pub(super) fn of(record: &Manifest, claimed: Clocks, plain: Clocks) -> Self {
        let mut digests: Vec<[u8; 32]> = record.files.iter().map(|file| file.sha256).collect();
        digests.sort_unstable();
        let digest = Sha256::digest(digests.concat());
        let files = hex::encode(digest.get(..8).unwrap_or_default());
        Self { claimed, plain, files, known: None }
    }

    /// Takes in the parts of the same session elsewhere.
    pub(super) fn join(mine: &mut Option<Box<Self>>, theirs: Option<Box<Self>>, plain: [Clocks; 2]) {
        let [own, other] = plain;
        let own = mine.as_ref().map_or(own, |sealing| sealing.plain);
        let other = theirs.as_ref().map_or(other, |sealing| sealing.plain);
        let claimed = theirs.as_ref().map(|sealing| sealing.claimed);
        if mine.is_none() {
            *mine = theirs;
        }
        let Some(sealing) = mine else { return };
        sealing.plain = own.max(other);
        sealing.claimed = sealing.claimed.max(claimed.unwrap_or_default());
    }

    /// Whether the record claims more than was known.
    fn claims_more(&self) -> Option<&KnownSealing> {
        self.known.as_ref().filter(|known| self.claimed.exceeds(known.clocks))
    }

    fn is_same(&self, known: &KnownSealing) -> bool {
        known.files.as_ref().is_none_or(|files| *files == self.files)
    }

    fn clocks_by(&self, known: &KnownSealing) -> Clocks {
        self.plain.max(known.clocks)
    }
}

impl Session {
    /// Its two clocks, as its files and records say.
    pub fn clocks(&self) -> Clocks {
        Clocks { record: self.newest_record, modified: self.modified }
    }

    /// The same without a later date that somebody wrote into the record of its sealed files.
    pub fn vouched(&self) -> Clocks {
        let sealing = self.sealing.as_ref();
        let forged = sealing.and_then(|sealing| Some((sealing, sealing.claims_more()?)));
        match forged.filter(|(sealing, known)| sealing.is_same(known)) {
            // Nothing happens in a sealed session: with the same files a later date was written by a hand.
            Some((sealing, known)) => sealing.clocks_by(known),
            None => self.clocks(),
        }
    }

    /// What dated it when it was sealed, where its record now says more.
    pub fn dated_at_sealing(&self) -> Option<Clocks> {
        let sealing = self.sealing.as_ref()?;
        Some(sealing.clocks_by(sealing.claims_more()?))
    }

    /// What later runs must know of its sealing; `None` where it is not sealed.
    pub(super) fn known_sealing(&self) -> Option<KnownSealing> {
        let sealing = self.sealing.as_ref()?;
        let now = || Some(sealing.files.clone());
        match (&sealing.known, sealing.claims_more()) {
            (Some(known), Some(_)) => {
                Some(KnownSealing { files: known.files.clone().or_else(now), ..known.clone() })
            }
            (Some(known), None) => Some(KnownSealing { files: now(), ..known.clone() }),
            (None, _) => Some(KnownSealing { files: now(), ..self.sealed_now()? }),
        }
    }

    /// The same where it is sealed now.
    pub fn sealed_now(&self) -> Option<KnownSealing> {
        let (date, by) = self.activity()?;
        let clocks = match by {
            DatedBy::Record => Clocks { record: Some(date), modified: self.modified },
            DatedBy::Mtime => Clocks { record: None, modified: Some(date) },
        };
        Some(KnownSealing { clocks, later: self.later.dates().to_vec(), files: None })
    }
}

impl Session {
    /// The record (`session.json`) of the session as it is now, with these sealed files.
    pub fn record(&self, files: Vec<SealedFile>) -> Manifest {
        let (last_activity, last_activity_from) = self.activity().unzip();
        Manifest {
            version: VERSION,
            session: self.id,
            project: self.project.as_deref().map(str::to_owned),
            rivals: self.rivals.iter().map(|project| project.to_string()).collect(),
            project_in_doubt: self.project_in_doubt,
            lacks_projects: self.lacks_projects,
            cwds: self.projects.iter().map(|project| project.to_string()).collect(),
            last_activity,
            last_activity_from,
            later: self.later.dates().to_vec(),
            desktop: self.is_desktop,
            desktop_deleted: self.is_desktop_deleted,
            sealed_at: None,
            recipients: None,
            slugs: self.slugs.to_vec(),
            files,
            links: Vec::new(),
        }
    }
}
