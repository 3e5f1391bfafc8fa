//! Records that expired: which are gone, by which record, and whether `keep` allows that.

use chrono::{DateTime, TimeDelta, Utc};

use super::entry::Head;
use crate::period::Period;
use crate::policy::Policy;

/// What every `expired` record says before the `keep` that it went by.
pub(super) const REASON: &str = "older than ";

/// A clock may be set back by this much without a doubt of the clock guard.
const CLOCK_SLACK: TimeDelta = TimeDelta::days(1);

/// Segments of older versions do not say how old the record before them is; it may be older than they
/// are by the time between two runs.
const BETWEEN_RUNS: TimeDelta = TimeDelta::days(7);

/// The `keep` that is in force when a ledger is verified.
#[derive(Debug, Clone, Copy)]
pub struct KeepInForce<'a> {
    /// How long records are kept.
    pub keep: &'a Period,
    /// The digest of the policy that says so.
    pub policy: &'a str,
}

impl<'a> KeepInForce<'a> {
    /// What a policy says.
    pub fn of(policy: &'a Policy) -> Self {
        Self { keep: &policy.ledger.value.keep, policy: &policy.digest }
    }
}

/// Whether `keep` allows an expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Allowed {
    /// What is left of the ledger shows that the records were old enough.
    Yes,
    /// The `keep` in force is longer, but the run went by another policy.
    ByAnotherPolicy,
    /// What would show it has expired itself.
    Unknown,
    /// The `keep` in force is longer, and no other policy is on record for that run.
    No,
}

impl Allowed {
    /// The word of reports.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// Records that are gone, and the record that says that they expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The first record that is gone by it.
    pub first: u64,
    pub last: u64,
    /// The number of the `expired` record.
    pub record: u64,
    /// When it was written.
    pub time: DateTime<Utc>,
    /// The `keep` that it went by, where it says so.
    pub keep: Option<Period>,
    /// Whether `keep` allows it.
    pub allowed: Allowed,
}

/// The end of a segment, as the `segment` record after it tells.
pub(super) struct Boundary {
    /// The last record before it.
    pub before: Head,
    /// The time of the newest record before it, or a bound on that time.
    pub newest: Option<DateTime<Utc>>,
}

impl Boundary {
    /// `until` is what the `segment` record says, `time` when a proven clock wrote it.
    pub(super) fn new(before: Head, until: Option<DateTime<Utc>>, time: Option<DateTime<Utc>>) -> Self {
        let bound = || time.and_then(|time| time.checked_sub_signed(BETWEEN_RUNS));
        Self { before, newest: until.or_else(bound) }
    }
}

/// An `expired` record.
pub(super) struct Expired {
    record: u64,
    time: DateTime<Utc>,
    run: String,
    last: u64,
    keep: Option<Period>,
    /// The time of the newest record that it dropped, where what is left tells it.
    newest: Option<DateTime<Utc>>,
    /// The policies that its run is on record with.
    policies: Vec<String>,
}

/// What an `expired` record says of itself.
pub(super) struct Said<'a> {
    pub record: u64,
    pub time: Option<DateTime<Utc>>,
    pub run: &'a str,
    pub is_proven: bool,
    pub dropped: Option<&'a Head>,
    pub reason: Option<&'a str>,
}

/// Everything in a chain that bears on expiry, collected from its first record to its last.
pub(super) struct Expiries<'a> {
    now: DateTime<Utc>,
    in_force: Option<KeepInForce<'a>>,
    boundaries: Vec<Boundary>,
    expired: Vec<Expired>,
    /// What the first record follows, where it is not the first ever.
    pub origin: Option<Head>,
}

impl<'a> Expiries<'a> {
    pub(super) fn new(now: DateTime<Utc>, in_force: Option<KeepInForce<'a>>) -> Self {
        Self { now, in_force, boundaries: Vec::new(), expired: Vec::new(), origin: None }
    }

    /// Takes note of a `segment` record.
    pub(super) fn boundary(&mut self, boundary: Boundary) {
        self.boundaries.push(boundary);
    }

    /// Takes note of the policy that a run is on record with.
    pub(super) fn policy(&mut self, run: &str, policy: &str) {
        if let Some(expired) = self.expired.last_mut().filter(|expired| expired.run == run) {
            expired.policies.push(policy.to_owned());
        }
    }

    /// Takes note of an `expired` record.
    ///
    /// # Errors
    /// Why no run can have written it.
    pub(super) fn expired(&mut self, said: &Said<'_>) -> Result<(), String> {
        let dropped = said.dropped.ok_or("it does not name the last of them")?;
        let time = said.time.ok_or("it has no time")?;
        // Whoever sets the clock ahead and lets a run expire everything must not get a sound ledger for it.
        if !said.is_proven {
            return Err("the clock of its run was not proven, and by such a clock nothing expires".into());
        }
        if self.now.checked_add_signed(CLOCK_SLACK).is_some_and(|latest| time > latest) {
            return Err(format!("it is dated {}, which is in the future", time.format("%Y-%m-%d")));
        }
        if self.expired.last().is_some_and(|before| before.last > dropped.seq) {
            return Err(format!("an earlier record names later ones than {}", dropped.seq));
        }
        let keep: Option<Period> = said.reason.and_then(|why| why.strip_prefix(REASON)?.parse().ok());
        let mut newest = None;
        // Of an expiry before the one that made this beginning nothing is left to compare with.
        if dropped.seq >= self.origin.as_ref().map_or(0, |origin| origin.seq) {
            let boundary = self.boundaries.iter().find(|boundary| boundary.before == *dropped);
            let boundary =
                boundary.ok_or_else(|| format!("record {} does not end a segment", dropped.seq))?;
            newest = boundary.newest;
            let keep = keep.as_ref().or(self.in_force.as_ref().map(|in_force| in_force.keep));
            if let (Some(newest), Some(keep)) = (newest, keep)
                && keep.after(newest).is_none_or(|end| end > time)
            {
                return Err(format!(
                    "on {} the newest of them, of {}, was not older than {keep}",
                    time.format("%Y-%m-%d"),
                    newest.format("%Y-%m-%d")
                ));
            }
        }
        let (record, run, last) = (said.record, said.run.to_owned(), dropped.seq);
        self.expired.push(Expired { record, time, run, last, keep, newest, policies: Vec::new() });
        Ok(())
    }

    /// Whether a record accounts for what the first one follows.
    pub(super) fn account_for_origin(&self) -> bool {
        let first = self.origin.as_ref().map_or(0, |origin| origin.seq);
        // A run that was cut off while it dropped segments has left the newer of them.
        first == 0 || self.expired.last().is_some_and(|expired| expired.last >= first)
    }

    /// The records that are gone, the oldest first.
    pub(super) fn gone(&self) -> Vec<Expiry> {
        let end = self.origin.as_ref().map_or(0, |origin| origin.seq);
        let mut gone = Vec::new();
        let mut first = 1;
        for expired in &self.expired {
            let last = expired.last.min(end);
            if first > last {
                continue;
            }
            let (record, time, keep) = (expired.record, expired.time, expired.keep.clone());
            gone.push(Expiry { first, last, record, time, keep, allowed: self.allowed(expired) });
            first = last + 1;
        }
        gone
    }

    fn allowed(&self, expired: &Expired) -> Allowed {
        let Some(KeepInForce { keep, policy }) = self.in_force else { return Allowed::Unknown };
        let is_old = |newest| keep.after(newest).is_some_and(|end| end <= expired.time);
        let stated = expired.keep.as_ref().is_some_and(|stated| stated.length() >= keep.length());
        match expired.newest.map(is_old) {
            Some(true) => Allowed::Yes,
            None if stated => Allowed::Unknown,
            _ if expired.policies.is_empty() || expired.policies.iter().any(|known| known == policy) => {
                Allowed::No
            }
            _ => Allowed::ByAnotherPolicy,
        }
    }
}
