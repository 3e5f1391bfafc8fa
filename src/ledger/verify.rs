//! Whether a ledger holds together, read from the first line to the last.

use std::borrow::Cow;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::LedgerError;
use super::cut::Cut;
use super::entry::{GENESIS, Head, digest};
use super::expiry::{Allowed, Boundary, Expiries, Expiry, KeepInForce, Said};
use super::segments;
use crate::error::At as _;

/// What `verify` cannot show without a head from outside; printed with every result.
pub const LIMITS: &str = "the chain cannot show that its newest records were removed or that its last line was changed: \
     compare with a head kept elsewhere, with --head";

/// What is wrong with a line, or with a segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Not JSON, or without the fields of a record, and no record says that it was torn.
    #[error("it is not a record of a ledger")]
    NoRecord,
    /// The last line lacks its end.
    #[error("the line is not finished: a run was cut off, or is writing now")]
    Unfinished,
    /// The sequence number does not follow.
    #[error("its number is {found}, but {expected} comes next: records were removed, inserted or reordered")]
    Sequence {
        /// The number that comes next.
        expected: u64,
        /// The number in the line.
        found: u64,
    },
    /// The hash of the line before does not fit.
    #[error(
        "its 'prev' is not the SHA-256 of the line before: one of the two was changed, or what was between is gone"
    )]
    Chain,
    /// A record that states a head states another one.
    #[error("the head it states is not that of the record before")]
    StatedHead,
    /// The first record is not the first, and no expiry accounts for what is missing.
    #[error("the records before number {0} are missing, and no later record says that they expired")]
    Beginning(u64),
    /// The first record is one that no segment begins with.
    #[error(
        "the ledger begins with record {0}, in the middle of a segment: an expiry drops whole segments, so the \
         records before it were removed by something else"
    )]
    CutInside(u64),
    /// A record says that others expired, and that cannot be.
    #[error("it says that records expired, but {0}")]
    Expiry(String),
    /// A segment other than the first does not begin with what it continues.
    #[error("a segment begins with the number and hash of the record before it, and this one does not")]
    SegmentStart,
    /// A segment without a line.
    #[error("the segment is empty")]
    Empty,
    /// There are closed segments and none that is written to.
    #[error("the segment that is written to is missing")]
    NoActive,
}

/// The first place that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    pub segment: PathBuf,
    /// The line in it, from 1.
    pub line: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// A line that a crash cut off and a later run closed and recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    pub segment: PathBuf,
    /// The line of the record that says so, from 1.
    pub line: u64,
}

/// Where a head from outside lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// It is the newest record.
    Newest,
    /// It is this record, and `after` records follow it.
    Inside {
        /// Its sequence number.
        seq: u64,
        /// How many records follow.
        after: u64,
    },
    /// It is the last record that expired.
    Expired,
    /// It is not in the chain: records were removed or changed, or it is of another ledger.
    Absent,
}

/// What reading a ledger from end to end has shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Number of files read.
    pub segments: usize,
    /// Number of records that fit.
    pub records: u64,
    /// The first sequence number.
    pub first: Option<u64>,
    /// The last record that fits.
    pub head: Option<Head>,
    /// The first line that does not fit.
    pub broken: Option<Break>,
    /// Lines that crashes cut off.
    pub closed: Vec<Closed>,
    /// The records that say that others were removed.
    pub cuts: Vec<Cut>,
    /// The records that are gone because they expired, the oldest first.
    pub gone: Vec<Expiry>,
    /// Where the head that was asked for lies.
    pub given: Option<Given>,
}

/// What a ledger is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// A head from outside: SHA-256 (hex) from a summary, a certificate or `status`.
    pub head: Option<&'a str>,
    /// How long records are kept; `None` where the policy cannot be used.
    pub keep: Option<KeepInForce<'a>>,
    /// The time: nothing can have expired after it.
    pub now: DateTime<Utc>,
}

impl Verification {
    /// Whether every line fits, what is gone may be gone, and the head asked for, if one was, is in the
    /// chain.
    pub fn is_sound(&self) -> bool {
        self.broken.is_none()
            && self.cuts.is_empty()
            && self.disallowed().is_none()
            && self.given != Some(Given::Absent)
    }

    /// The first expiry that `keep` does not allow.
    pub fn disallowed(&self) -> Option<&Expiry> {
        self.gone.iter().find(|expiry| expiry.allowed == Allowed::No)
    }

    /// The last sequence number that fits.
    pub fn last(&self) -> Option<u64> {
        self.head.as_ref().map(|head| head.seq)
    }
}

/// The fields that hold the chain together.
#[derive(Deserialize)]
struct Link<'a> {
    seq: u64,
    #[serde(borrow)]
    prev: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    sha256: Option<Cow<'a, str>>,
    #[serde(borrow)]
    run: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    clock: Option<Cow<'a, str>>,
    #[serde(borrow)]
    policy: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    until: Option<DateTime<Utc>>,
    head: Option<Head>,
}

impl Link<'_> {
    /// Whether a segment begins with it; it may account for what a crash left in its place, too.
    fn begins_segment(&self) -> bool {
        self.event == "segment"
    }

    /// When it was written.
    fn written(&self) -> Option<DateTime<Utc>> {
        self.time.as_deref()?.parse().ok()
    }
}

/// Lines that are no records, until a record accounts for them.
struct Pending {
    line: u64,
    bytes: Sha256,
    last: String,
}

struct Walk<'a> {
    result: Verification,
    /// The hash that the next line must name.
    before: String,
    pending: Option<Pending>,
    expiries: Expiries<'a>,
    given: Option<String>,
    given_at: Option<u64>,
}

/// Reads all segments in order and names the first line that does not fit.
///
/// With a head from outside the result also says whether that record is in the chain. A ledger that does
/// not exist has no records. No lock is taken, so a run that writes meanwhile can show as an unfinished
/// last line.
///
/// # Errors
/// When the folder or a segment cannot be read; a damaged ledger is a result and no error.
pub fn verify(dir: &Path, expected: &Expected<'_>) -> Result<Verification, LedgerError> {
    let segments = segments::open_all(dir)?;
    let mut walk = Walk {
        result: Verification { segments: segments.len(), ..Verification::default() },
        before: GENESIS.to_owned(),
        pending: None,
        expiries: Expiries::new(expected.now, expected.keep),
        given: expected.head.map(|text| text.trim().to_ascii_lowercase()),
        given_at: None,
    };
    let mut buffer = Vec::new();
    let mut place = None;
    'all: for segment in &segments {
        let mut reader = BufReader::with_capacity(256 * 1024, &segment.file);
        let mut line = 0;
        loop {
            buffer.clear();
            if reader.read_until(b'\n', &mut buffer).at("read", &segment.path)? == 0 {
                break;
            }
            line += 1;
            let fault = match buffer.strip_suffix(b"\n") {
                Some(bytes) => walk.line(&segment.path, line, bytes).err(),
                None => Some(Fault::Unfinished),
            };
            if let Some(fault) = fault {
                // Lines that nothing accounts for come before the one that shows it.
                let line = walk.pending.as_ref().map_or(line, |pending| pending.line);
                walk.result.broken = Some(Break { segment: segment.path.clone(), line, fault });
                break 'all;
            }
        }
        let fault = match &walk.pending {
            Some(pending) => Some((pending.line, Fault::NoRecord)),
            None if line == 0 => Some((1, Fault::Empty)),
            None => None,
        };
        if let Some((line, fault)) = fault {
            walk.result.broken = Some(Break { segment: segment.path.clone(), line, fault });
            break;
        }
        place.get_or_insert_with(|| segment.path.clone());
    }
    if walk.result.broken.is_none() {
        let missing_active = segments.last().filter(|last| !last.active);
        let fault = match (&walk.expiries.origin, place, missing_active) {
            (Some(origin), Some(first), _) if !walk.expiries.account_for_origin() => {
                Some((first, Fault::Beginning(origin.seq + 1)))
            }
            (_, _, Some(_)) => Some((dir.join(segments::ACTIVE), Fault::NoActive)),
            _ => None,
        };
        walk.result.broken = fault.map(|(segment, fault)| Break { segment, line: 1, fault });
    }
    Ok(walk.finish())
}

impl Walk<'_> {
    fn line(&mut self, segment: &Path, line: u64, bytes: &[u8]) -> Result<(), Fault> {
        let hash = digest(bytes);
        let Ok(link) = serde_json::from_slice::<Link<'_>>(bytes) else {
            match &mut self.pending {
                Some(pending) => {
                    pending.bytes.update(b"\n");
                    pending.bytes.update(bytes);
                    pending.last = hash;
                }
                None => {
                    self.pending = Some(Pending { line, bytes: Sha256::new_with_prefix(bytes), last: hash });
                }
            }
            return Ok(());
        };
        let beginning = line == 1 || self.pending.as_ref().is_some_and(|pending| pending.line == 1);
        let started = self.result.first.is_some();
        if let Some(pending) = &self.pending {
            // Bytes that are no record are allowed only where a later run has hashed them: else anything could
            // be written between two records.
            let accounted = (link.event == "torn" || link.begins_segment())
                && link.prev == pending.last
                && link.sha256.as_deref() == Some(hex::encode(pending.bytes.clone().finalize()).as_str());
            if !accounted {
                return Err(Fault::NoRecord);
            }
        }
        if !started && link.seq > 1 {
            // The oldest segment that is left: what it continues must be said, and have expired.
            let origin = link.head.clone().filter(|head| head.seq + 1 == link.seq);
            // Expiry drops whole segments, so a ledger that begins in the middle of one was cut by something
            // else.
            let origin = origin.filter(|_| link.begins_segment()).ok_or(Fault::CutInside(link.seq))?;
            // What it says it continues must be what it is chained to; with torn lines in between `prev` is of
            // those.
            if self.pending.is_none() && origin.sha256 != link.prev {
                return Err(Fault::StatedHead);
            }
            self.expiries.origin = Some(origin);
        } else {
            let expected = self.result.head.as_ref().map_or(0, |head| head.seq).saturating_add(1);
            if link.seq != expected {
                return Err(Fault::Sequence { expected, found: link.seq });
            }
            if self.pending.is_none() && link.prev != self.before {
                return Err(Fault::Chain);
            }
            // Without it the segment could be exchanged as a whole for one that fits the numbers.
            if beginning && started && link.head.is_none() {
                return Err(Fault::SegmentStart);
            }
            let before = || self.result.head.clone().unwrap_or_else(Head::genesis);
            // An expiry states the last record dropped, a cut the one that is missing; every other head is the record
            // before.
            if !matches!(&*link.event, "expired" | "ledger-cut")
                && link.head.as_ref().is_some_and(|stated| *stated != before())
            {
                return Err(Fault::StatedHead);
            }
        }
        self.expiry(&link)?;
        if link.event == "torn" || self.pending.is_some() {
            self.result.closed.push(Closed { segment: segment.to_path_buf(), line });
        }
        if link.event == "ledger-cut" {
            let missing = link.head.clone();
            self.result.cuts.push(Cut { segment: segment.to_path_buf(), line, missing });
        }
        self.pending = None;
        if self.given.as_deref() == Some(hash.as_str()) {
            self.given_at = Some(link.seq);
        }
        self.result.first.get_or_insert(link.seq);
        self.result.records += 1;
        self.before.clone_from(&hash);
        self.result.head = Some(Head { seq: link.seq, sha256: hash });
        Ok(())
    }

    /// Takes note of what bears on expiry.
    fn expiry(&mut self, link: &Link<'_>) -> Result<(), Fault> {
        let run = link.run.as_deref().unwrap_or_default();
        match (&*link.event, &link.head) {
            ("segment", Some(head)) => {
                // A time of an unproven clock dates nothing.
                let written = link.written().filter(|_| link.clock.is_none());
                self.expiries.boundary(Boundary::new(head.clone(), link.until, written));
            }
            ("expired", dropped) => {
                let said = Said {
                    record: link.seq,
                    time: link.written(),
                    run,
                    is_proven: link.clock.is_none(),
                    dropped: dropped.as_ref(),
                    reason: link.reason.as_deref(),
                };
                self.expiries.expired(&said).map_err(Fault::Expiry)?;
            }
            _ => {}
        }
        if let Some(policy) = link.policy.as_deref() {
            self.expiries.policy(run, policy);
        }
        Ok(())
    }

    fn finish(mut self) -> Verification {
        self.result.gone = self.expiries.gone();
        let is_origin =
            |given: &String| self.expiries.origin.as_ref().is_some_and(|head| head.sha256 == *given);
        let last = self.result.last().unwrap_or(0);
        self.result.given = self.given.map(|given| match self.given_at {
            Some(seq) if seq == last && self.result.broken.is_none() => Given::Newest,
            Some(seq) => Given::Inside { seq, after: last - seq },
            None if self.expiries.account_for_origin() && is_origin(&given) => Given::Expired,
            None => Given::Absent,
        });
        self.result
    }
}
