//! One record: what a caller says, and how it becomes a line.

use std::borrow::Cow;
use std::io;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::names::Names;

/// The `prev` of the very first record: there is no line before it.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The id of a run (a UUID); every record of a run carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId(pub String);

impl RunId {
    /// A new random id.
    #[must_use]
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
    #[must_use]
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

/// What a caller records; `seq`, `time`, `run` and `prev` are filled in by the ledger.
///
/// Paths are given in the form of [`crate::escape::text`]. Absent fields are left out of the line.
/// It can be sent from a child to the parent that holds the ledger; that form is not a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<'a> {
    /// What the record is about.
    pub event: Event,
    /// The account, in the ledger of a run over all users.
    pub user: Option<Cow<'a, str>>,
    /// The root of the store.
    pub store: Option<Cow<'a, str>>,
    /// The session.
    pub session: Option<Cow<'a, str>>,
    /// The project's real path.
    pub project: Option<Cow<'a, str>>,
    /// The kind of artifact, for loose artifacts and single files.
    pub kind: Option<Cow<'a, str>>,
    /// The rule that decided.
    pub rule: Option<Cow<'a, str>>,
    /// The hold that is concerned.
    pub hold: Option<Cow<'a, str>>,
    /// What was decided: `delete`, `seal`, `prune`, or the verb of another command.
    pub decision: Option<Cow<'a, str>>,
    /// What happened: `deleted`, `sealed`, `failed` …
    pub outcome: Option<Cow<'a, str>>,
    /// Whether the conversation of a session is gone by it: its transcript, plain or sealed.
    #[serde(default)]
    pub whole: bool,
    /// Number of files.
    pub files: Option<u64>,
    /// Number of bytes.
    pub bytes: Option<u64>,
    /// Number of lines of line files.
    pub lines: Option<u64>,
    /// SHA-256 (hex) of the one file that is concerned, e.g. of a ciphertext.
    pub sha256: Option<Cow<'a, str>>,
    /// SHA-256 (hex) of the policy in force.
    pub policy: Option<Cow<'a, str>>,
    /// Why something was refused, held or released.
    pub reason: Option<Cow<'a, str>>,
    /// The error with its causes.
    pub error: Option<Cow<'a, str>>,
    /// The one path that is concerned.
    pub path: Option<Cow<'a, str>>,
    /// Every path that failed.
    pub failed: Vec<Failure<'a>>,
    /// Every file that was sealed.
    pub sealed: Vec<Ciphertext<'a>>,
    /// Counts of a summary, in the order given.
    pub counts: Vec<(Cow<'a, str>, u64)>,
    /// The time of the newest record before a segment.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// A place in the chain; filled in by the ledger for summaries.
    pub head: Option<Head>,
}

impl Entry<'_> {
    /// A record of an event with no other field.
    #[must_use]
    pub fn new(event: Event) -> Self {
        Self {
            event,
            user: None,
            store: None,
            session: None,
            project: None,
            kind: None,
            rule: None,
            hold: None,
            decision: None,
            outcome: None,
            whole: false,
            files: None,
            bytes: None,
            lines: None,
            sha256: None,
            policy: None,
            reason: None,
            error: None,
            path: None,
            failed: Vec::new(),
            sealed: Vec::new(),
            counts: Vec::new(),
            until: None,
            head: None,
        }
    }

    /// The same record with texts of its own.
    #[must_use]
    pub fn into_owned(self) -> Entry<'static> {
        fn own(text: Option<Cow<'_, str>>) -> Option<Cow<'static, str>> {
            text.map(|text| Cow::Owned(text.into_owned()))
        }
        let failed = self.failed.into_iter().map(|each| Failure {
            path: Cow::Owned(each.path.into_owned()),
            error: Cow::Owned(each.error.into_owned()),
        });
        let sealed = self
            .sealed
            .into_iter()
            .map(|each| Ciphertext { path: Cow::Owned(each.path.into_owned()), sha256: each.sha256 });
        let counts = self.counts.into_iter().map(|(name, count)| (Cow::Owned(name.into_owned()), count));
        Entry {
            event: self.event,
            user: own(self.user),
            store: own(self.store),
            session: own(self.session),
            project: own(self.project),
            kind: own(self.kind),
            rule: own(self.rule),
            hold: own(self.hold),
            decision: own(self.decision),
            outcome: own(self.outcome),
            whole: self.whole,
            files: self.files,
            bytes: self.bytes,
            lines: self.lines,
            sha256: own(self.sha256),
            policy: own(self.policy),
            reason: own(self.reason),
            error: own(self.error),
            path: own(self.path),
            failed: failed.collect(),
            sealed: sealed.collect(),
            counts: counts.collect(),
            until: self.until,
            head: self.head,
        }
    }
}

impl Entry<'static> {
    /// About how many bytes the record takes as a message to the parent that holds the ledger.
    #[must_use]
    pub fn weight(&self) -> usize {
        let lists = self.failed.iter().map(Failure::weight).chain(self.sealed.iter().map(Ciphertext::weight));
        1024 + lists.sum::<usize>()
    }

    /// The record in parts of about this weight: a session may have a million files. The first part
    /// has the counts; the others repeat what they are about, and hold the rest of the lists.
    #[must_use]
    pub fn split(mut self, most: usize) -> Vec<Self> {
        let (mut failed, mut sealed) =
            (std::mem::take(&mut self.failed).into_iter(), std::mem::take(&mut self.sealed).into_iter());
        let rest = Self { files: None, bytes: None, lines: None, counts: Vec::new(), ..self.clone() };
        let mut parts = Vec::new();
        let mut part = self;
        loop {
            let mut left = most.saturating_sub(part.weight());
            part.failed = take(&mut failed, &mut left, Failure::weight);
            part.sealed = take(&mut sealed, &mut left, Ciphertext::weight);
            parts.push(part);
            if failed.as_slice().is_empty() && sealed.as_slice().is_empty() {
                return parts;
            }
            part = rest.clone();
        }
    }
}

/// Takes what fits from a list, and at least one.
fn take<T>(from: &mut std::vec::IntoIter<T>, left: &mut usize, weight: fn(&T) -> usize) -> Vec<T> {
    let mut taken = Vec::new();
    while let Some(first) = from.as_slice().first() {
        let first = weight(first);
        if !taken.is_empty() && first > *left {
            break;
        }
        *left = left.saturating_sub(first);
        taken.extend(from.next());
    }
    taken
}

impl Failure<'_> {
    // A backslash and a quotation mark are two bytes in JSON.
    fn weight(&self) -> usize {
        32 + 2 * (self.path.len() + self.error.len())
    }
}

impl Ciphertext<'_> {
    fn weight(&self) -> usize {
        96 + 2 * self.path.len()
    }
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
        let seq = head.seq.checked_add(1).ok_or_else(|| io::Error::other("sequence numbers are used up"))?;
        // All of it by name, so that a new field does not compile until its place is decided.
        #[rustfmt::skip]
        let Entry {
            event, user, store, session, project, kind, rule, hold, decision, outcome, whole, files, bytes,
            lines, sha256, policy, reason, error, path, failed, sealed, counts, until, head: stated,
        } = entry;
        let line = Line {
            seq,
            time: &self.time,
            run: self.run,
            event: *event,
            prev: &head.sha256,
            clock: (self.clock == Clock::Unproven).then_some("unproven"),
            user: user.as_deref().map(|text| self.name(text)),
            store: store.as_deref().map(|text| self.name(text)),
            session: session.as_deref().map(|text| self.name(text)),
            project: project.as_deref().map(|text| self.name(text)),
            kind: kind.as_deref(),
            rule: rule.as_deref(),
            hold: hold.as_deref(),
            decision: decision.as_deref(),
            outcome: outcome.as_deref(),
            whole: *whole,
            files: *files,
            bytes: *bytes,
            lines: *lines,
            sha256: sha256.as_deref(),
            policy: policy.as_deref(),
            reason: reason.as_deref(),
            error: error.as_deref().map(|text| self.message(text)),
            path: path.as_deref().map(|text| self.name(text)),
            failed: failed
                .iter()
                .map(|each| FailedLine { path: self.name(&each.path), error: self.message(&each.error) })
                .collect(),
            sealed: sealed
                .iter()
                .map(|each| SealedLine { path: self.name(&each.path), sha256: &each.sha256 })
                .collect(),
            counts: Counts(counts),
            until: until.map(stamp),
            head: stated.as_ref(),
        };
        crate::escape::json::to_writer(&mut *out, &line)?;
        let bytes = out.get(start..).unwrap_or_default();
        *head = Head { seq, sha256: digest(bytes) };
        out.push(b'\n');
        Ok(())
    }

    fn name<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.names.map_or(Cow::Borrowed(text), |names| Cow::Owned(names.keyed(text)))
    }

    fn message<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.names.is_some() { Cow::Owned(super::names::without_paths(text)) } else { Cow::Borrowed(text) }
    }
}

/// A line in the order of its keys.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    time: &'a str,
    run: &'a str,
    event: Event,
    prev: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    whole: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<FailedLine<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sealed: Vec<SealedLine<'a>>,
    #[serde(skip_serializing_if = "Counts::is_empty")]
    counts: Counts<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<&'a Head>,
}

#[derive(Serialize)]
struct FailedLine<'a> {
    path: Cow<'a, str>,
    error: Cow<'a, str>,
}

#[derive(Serialize)]
struct SealedLine<'a> {
    path: Cow<'a, str>,
    sha256: &'a str,
}

struct Counts<'a>(&'a [(Cow<'a, str>, u64)]);

impl Counts<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, count) in self.0 {
            map.serialize_entry(name, count)?;
        }
        map.end()
    }
}
