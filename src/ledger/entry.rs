//! One record: what a caller says, and how it becomes a line.

use std::borrow::Cow;
use std::io;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::names::Names;
use super::own::Own;

/// The `prev` of the very first record: there is no line before it.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The id of a run (a UUID); every record of a run carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId(pub String);

impl RunId {
    /// A new random id.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }
}

/// Whether the clock guard vouches for the time of a run.
///
/// Records of an unproven clock say so (`"clock":"unproven"`): they never count as the time last
/// seen, so a wrong clock cannot vouch for itself, and no segment expires by such a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The guard allowed it, or a person confirmed it.
    Proven,
    /// The guard doubts it, or was not asked.
    Unproven,
}

/// What a record is about; written in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A run begins.
    Started,
    /// A store was seen for the first time; every later run visits it.
    RootSeen,
    /// Something will be done; synced to disk before the deed.
    Intent,
    /// What did happen, with counts and every failed path.
    Outcome,
    /// A guard refused, or a hold or a lock stopped the run.
    Refused,
    /// A hold was added.
    HoldAdded,
    /// A hold was released or broken.
    HoldReleased,
    /// Something held is no longer there, and it was not this program that removed it.
    HeldVanished,
    /// A certificate was issued; `sha256` is that of the certificate.
    Certificate,
    /// The last record of a run: counts, and the head of the chain before it.
    Summary,
    /// The first record of a segment: the last sequence number and hash of the one before.
    Segment,
    /// A line that a crash had cut off was closed.
    Torn,
    /// Old segments were dropped; `head` is the last record dropped.
    Expired,
    /// The ledger was cut or replaced; `head` is the record that is missing.
    LedgerCut,
}

/// A place in the chain: a sequence number and the hash of that record's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The sequence number; 0 before the first record.
    pub seq: u64,
    /// SHA-256 (hex) of the bytes of the line, without its newline; 64 zeros before the first.
    pub sha256: String,
}

impl Head {
    /// The place before the first record.
    pub fn genesis() -> Self {
        Self { seq: 0, sha256: GENESIS.to_owned() }
    }
}

/// A path that could not be handled, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure<'a> {
    /// The path, in the form of [`crate::escape::text`].
    pub path: Cow<'a, str>,
    /// The error with its causes ([`crate::error::chain`]); never content of a file.
    pub error: Cow<'a, str>,
}

/// A file that was sealed, and what its ciphertext hashes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ciphertext<'a> {
    /// The path of the sealed file in its store, in the form of [`crate::escape::text`].
    pub path: Cow<'a, str>,
    /// SHA-256 (hex) of the sealed file.
    pub sha256: String,
}

impl Own for Head {
    type Static = Self;

    fn own(self) -> Self {
        self
    }
}

impl Own for Failure<'_> {
    type Static = Failure<'static>;

    fn own(self) -> Self::Static {
        Failure { path: self.path.own(), error: self.error.own() }
    }
}

impl Own for Ciphertext<'_> {
    type Static = Ciphertext<'static>;

    fn own(self) -> Self::Static {
        Ciphertext { path: self.path.own(), sha256: self.sha256 }
    }
}

/// The fields of a record: how each is written in a line, and what it means, for the manual.
macro_rules! entry {
    ($( $(#[$meta:meta])* $field:ident: $kind:ident $type:ty = $meaning:literal; )*) => {
        /// What a caller records; `seq`, `time`, `run` and `prev` are filled in by the ledger.
        ///
        /// Paths are given in the form of [`crate::escape::text`]. Absent fields are left out of the line.
        /// It can be sent from a child to the parent that holds the ledger; that form is not a line.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Entry<'a> {
            /// What the record is about.
            pub event: Event,
            $( $(#[$meta])* pub $field: $type ),*
        }

        impl Entry<'_> {
            /// A record of an event with no other field.
            pub fn new(event: Event) -> Self {
                Self { event, $( $field: Default::default() ),* }
            }

            /// The same record with texts of its own.
            pub fn into_owned(self) -> Entry<'static> {
                Entry { event: self.event, $( $field: self.$field.own() ),* }
            }

            /// Writes every field that is there, in the order of the table.
            fn write<M: SerializeMap>(&self, out: &mut Keys<'_, M>) -> Result<(), M::Error> {
                $( out.$kind(stringify!($field), &self.$field)?; )*
                Ok(())
            }
        }

        /// The keys that callers set, with what they mean.
        pub(super) const SET_BY_CALLERS: &[(&str, &str)] = &[$( (stringify!($field), $meaning) ),*];
    };
}

entry! {
    /// The account, in the ledger of a run over all users.
    user: name Option<Cow<'a, str>> = "The account, in the ledger of a run over all users.";
    /// The root of the store.
    store: name Option<Cow<'a, str>> = "The root of the store.";
    /// The session.
    session: name Option<Cow<'a, str>> = "The id of the session.";
    /// The project's real path.
    project: name Option<Cow<'a, str>> = "The real path of the project.";
    /// The kind of artifact, for loose artifacts and single files.
    kind: word Option<Cow<'a, str>> = "The kind of artifact, for single files and for loose artifacts (one record a kind).";
    /// The rule that decided.
    rule: word Option<Cow<'a, str>> = "The name of the rule that decided.";
    /// The hold that is concerned.
    hold: word Option<Cow<'a, str>> = "The name of the hold that is concerned.";
    /// What was decided: `delete`, `seal`, `prune`, or the name of another command.
    decision: word Option<Cow<'a, str>> = "What was decided: `delete`, `seal`, `prune`, or the name of another command.";
    /// What happened: `deleted`, `sealed`, `failed` …
    outcome: word Option<Cow<'a, str>> = "What did happen: `deleted`, `sealed`, `pruned`, `kept`, `changed-since-plan`, `became-live`, `vanished`, \
         `failed`. That of a whole session is that of its worst part.";
    /// Whether the conversation of a session is gone by it: its transcript, plain or sealed.
    #[serde(default)]
    whole: flag bool = "`true` in the outcome of a session whose conversation is gone by it: the transcript, plain or sealed. What \
         lies there again later has come back.";
    /// Number of files.
    files: number Option<u64> = "How many files.";
    /// Number of bytes.
    bytes: number Option<u64> = "How many bytes. In `torn`, those of the torn line.";
    /// Number of lines of line files.
    lines: number Option<u64> = "How many lines of a line file.";
    /// SHA-256 (hex) of the one file that is concerned, e.g. of a ciphertext.
    sha256: word Option<Cow<'a, str>> = "SHA-256 (hex) of the one file that is concerned, a ciphertext or a certificate. In `torn`, of the torn \
         bytes; so in a `segment` that was begun anew because a crash left nothing whole of it.";
    /// SHA-256 (hex) of the policy in force.
    policy: word Option<Cow<'a, str>> = "The digest of the policy in force.";
    /// Why something was refused, held or released.
    reason: word Option<Cow<'a, str>> = "Why something was refused, held or released.";
    /// The error with its causes.
    error: message Option<Cow<'a, str>> = "The error with its causes.";
    /// The one path that is concerned.
    path: name Option<Cow<'a, str>> = "The one path that is concerned.";
    /// Every path that failed.
    failed: failures Vec<Failure<'a>> = "Every path that failed, as a list of objects with `path` and `error`.";
    /// Every file that was sealed.
    sealed: ciphertexts Vec<Ciphertext<'a>> = "Every file that was sealed, as a list of objects with `path` and the ciphertext's `sha256`.";
    /// Counts of a summary, in the order given.
    counts: counts Vec<(Cow<'a, str>, u64)> = "The counts of a summary, as an object.";
    /// The time of the newest record before a segment.
    #[serde(default)]
    until: time Option<DateTime<Utc>> = "In `segment`, the time of the newest record before it whose clock was proven.";
    /// A place in the chain; filled in by the ledger for summaries.
    head: head Option<Head> = "A place in the chain, as an object with `seq` and `sha256`: the record before this one in `summary`, \
         `segment` and `torn`; the last record dropped in `expired`; the record that is missing in `ledger-cut`.";
}

/// How a time is written in the ledger: RFC 3339, UTC, milliseconds.
pub(super) fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// SHA-256 of bytes in hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    // Once a line: written into one buffer, which is several times faster than a digit at a time.
    let mut text = [0_u8; 64];
    match hex::encode_to_slice(Sha256::digest(bytes), &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

/// What all records of one batch share.
pub(super) struct Batch<'a> {
    pub time: String,
    pub run: &'a str,
    pub clock: Clock,
    pub names: Option<&'a Names>,
}

impl Batch<'_> {
    /// Appends the line of an entry, newline included, to `out` and moves `head` onto it.
    pub(super) fn encode(&self, entry: &Entry<'_>, head: &mut Head, out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        // To begin again at 0 would let two records claim one place of the chain.
        let seq = head.seq.checked_add(1).ok_or_else(|| io::Error::other("sequence numbers are used up"))?;
        let line = Line { batch: self, seq, prev: &head.sha256, entry };
        crate::escape::json::to_writer(&mut *out, &line)?;
        let bytes = out.get(start..).unwrap_or_default();
        // Before the newline, so that a reader which splits the file into lines hashes the same bytes.
        *head = Head { seq, sha256: digest(bytes) };
        out.push(b'\n');
        Ok(())
    }
}

/// A line in the order of its keys.
struct Line<'a> {
    batch: &'a Batch<'a>,
    seq: u64,
    prev: &'a str,
    entry: &'a Entry<'a>,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { batch, seq, prev, entry } = self;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("seq", seq)?;
        map.serialize_entry("time", &batch.time)?;
        map.serialize_entry("run", batch.run)?;
        map.serialize_entry("event", &entry.event)?;
        map.serialize_entry("prev", prev)?;
        // Only the exception is written: a line of every file that went is read for years.
        if batch.clock == Clock::Unproven {
            map.serialize_entry("clock", "unproven")?;
        }
        let mut keys = Keys { map, names: batch.names };
        entry.write(&mut keys)?;
        keys.map.end()
    }
}

/// Keys that are being written, names plain or as keyed hashes.
struct Keys<'a, M> {
    map: M,
    names: Option<&'a Names>,
}

type Text<'a> = Option<Cow<'a, str>>;

impl<M: SerializeMap> Keys<'_, M> {
    fn keyed<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.names.map_or(Cow::Borrowed(text), |names| Cow::Owned(names.keyed(text)))
    }

    /// An error may name paths within its words.
    fn said<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.names.is_some() { Cow::Owned(super::names::without_paths(text)) } else { Cow::Borrowed(text) }
    }

    fn some(&mut self, key: &str, value: Option<impl Serialize>) -> Result<(), M::Error> {
        value.map_or(Ok(()), |value| self.map.serialize_entry(key, &value))
    }

    fn name(&mut self, key: &str, text: &Text<'_>) -> Result<(), M::Error> {
        let keyed = text.as_deref().map(|text| self.keyed(text));
        self.some(key, keyed)
    }

    fn message(&mut self, key: &str, text: &Text<'_>) -> Result<(), M::Error> {
        let said = text.as_deref().map(|text| self.said(text));
        self.some(key, said)
    }

    fn word(&mut self, key: &str, text: &Text<'_>) -> Result<(), M::Error> {
        self.some(key, text.as_deref())
    }

    fn number(&mut self, key: &str, number: &Option<u64>) -> Result<(), M::Error> {
        self.some(key, *number)
    }

    fn flag(&mut self, key: &str, is: &bool) -> Result<(), M::Error> {
        self.some(key, is.then_some(true))
    }

    fn time(&mut self, key: &str, time: &Option<DateTime<Utc>>) -> Result<(), M::Error> {
        self.some(key, time.map(stamp))
    }

    fn head(&mut self, key: &str, head: &Option<Head>) -> Result<(), M::Error> {
        self.some(key, head.as_ref())
    }

    fn failures(&mut self, key: &str, failures: &[Failure<'_>]) -> Result<(), M::Error> {
        // The system's words for an error repeat the path, so a hash beside them would hide nothing.
        let line = |each: &Failure<'_>| (self.keyed(&each.path).own(), self.said(&each.error).own());
        let lines = failures.iter().map(line).map(|(path, error)| Failure { path, error });
        let lines: Vec<_> = lines.collect();
        self.some(key, (!lines.is_empty()).then_some(lines))
    }

    fn ciphertexts(&mut self, key: &str, files: &[Ciphertext<'_>]) -> Result<(), M::Error> {
        let line = |each: &Ciphertext<'_>| (self.keyed(&each.path).own(), each.sha256.clone());
        let lines = files.iter().map(line).map(|(path, sha256)| Ciphertext { path, sha256 });
        let lines: Vec<_> = lines.collect();
        self.some(key, (!lines.is_empty()).then_some(lines))
    }

    fn counts(&mut self, key: &str, counts: &[(Cow<'_, str>, u64)]) -> Result<(), M::Error> {
        self.some(key, (!counts.is_empty()).then_some(Counts(counts)))
    }
}

struct Counts<'a>(&'a [(Cow<'a, str>, u64)]);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, count)| (name, count)))
    }
}
