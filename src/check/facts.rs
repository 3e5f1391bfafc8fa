//! What a verdict is made from: plain values, so that every finding can be shown to appear.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};

use super::client::ClientFacts;
use super::modes::Modes;
use super::untried::Untried;
use crate::catalogue::SessionId;
use crate::inventory::{ArtifactIndex, SessionIndex};
use crate::ledger::Deletion;

/// Everything that is looked at.
#[derive(Debug, Default)]
pub struct Facts {
    /// The moment.
    pub now: DateTime<Utc>,
    /// How long something may be due before it is overdue.
    pub grace: TimeDelta,
    pub policy: PolicyFacts,
    /// The stores, in the order in which they were located.
    pub stores: Vec<StoreFacts>,
    /// Sessions and files that no rule reaches.
    pub unruled: Unruled,
    /// Sessions that are kept past the date of a managed rule, by reason.
    pub past_due: BTreeMap<&'static str, u64>,
    /// Clients that the catalogue was not tried with.
    pub untried: Untried,
    /// Runs, schedules, the ledger.
    pub runs: RunFacts,
    pub sealed: SealedFacts,
    /// Roots that were not taken.
    pub refused: Vec<RefusedFact>,
    /// What could not be read: path and reason.
    pub unread: Vec<(String, String)>,
    /// What lies behind mount points and links that are not followed, and why.
    pub out_of_reach: Vec<(String, String)>,
    /// What was held and is gone, a sentence each.
    pub vanished: Vec<String>,
    /// What lies there again although it was deleted.
    pub came_back: Vec<CameBack>,
    /// Preservation copies of holds that there are none of, a sentence each, and how many.
    pub left_copies: (Vec<String>, u64),
    /// Permissions.
    pub modes: Modes,
    /// What makes content readable elsewhere.
    pub exposure: Vec<crate::exposure::Finding>,
    /// What the client keeps, sends and writes.
    pub clients: Vec<ClientFacts>,
}

/// What is known of the policy.
#[derive(Debug, Default)]
pub struct PolicyFacts {
    /// Why it cannot be used; nothing is judged by it then.
    pub invalid: Option<String>,
    /// What is wrong with parts of it.
    pub complaints: Vec<String>,
    /// Files among the system's policies that are none by their names.
    pub ignored: Vec<String>,
    /// Why nothing is deleted.
    pub suspended: Option<String>,
    /// Whether it only reports.
    pub audits: bool,
}

/// A number of things with their bytes, and the time of the oldest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Sessions among them.
    pub sessions: u64,
    pub files: u64,
    /// Lines of line files.
    pub lines: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// The oldest moment, such as the first due date.
    pub oldest: Option<DateTime<Utc>>,
}

impl Amount {
    /// Whether it is nothing.
    pub fn is_none(&self) -> bool {
        self.files == 0 && self.lines == 0
    }

    /// Takes a moment in.
    pub fn saw(&mut self, at: DateTime<Utc>) {
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
    }

    /// Both together.
    pub fn plus(mut self, other: &Self) -> Self {
        self.sessions += other.sessions;
        self.files += other.files;
        self.lines += other.lines;
        self.bytes += other.bytes;
        if let Some(oldest) = other.oldest {
            self.saw(oldest);
        }
        self
    }
}

#[derive(Debug, Clone, Default)]
pub struct StoreFacts {
    /// Its root, as it is shown.
    pub root: String,
    /// Which tree of the catalogue it is.
    pub kind: &'static str,
    /// The name of its owner.
    pub owner: String,
    pub sessions: u64,
    /// Files in it.
    pub artifacts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The last activity of its oldest session.
    pub oldest: Option<DateTime<Utc>>,
    /// What is due for longer than the grace; the oldest due date.
    pub overdue: Amount,
    /// What should be sealed for longer than the grace.
    pub unsealed: Amount,
    /// What an interrupted run left.
    pub leftovers: Amount,
    /// Memory snapshots.
    pub heap: Amount,
}

/// Sessions and files that no rule reaches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unruled {
    /// Sessions that no rule ever deletes.
    pub no_delete_rule: u64,
    /// Sessions dated in the future.
    pub future_dated: u64,
    /// Whether managed rules are among those that this keeps from acting.
    pub future_is_managed: bool,
    /// Sessions without a date.
    pub undated: u64,
    /// Sessions of which it is not known whether they are gone.
    pub owner_unknown: u64,
    /// Files that are not in the catalogue.
    pub unrecognised: u64,
    /// Their bytes.
    pub unrecognised_bytes: u64,
    /// How many of them there were in the oldest run of the last 30 days.
    pub unrecognised_before: Option<u64>,
}

/// Runs, schedules, the ledger.
#[derive(Debug, Clone, Default)]
pub struct RunFacts {
    /// When the last run ended, and with what.
    pub last: Option<(DateTime<Utc>, u64)>,
    /// When the last run ended that ended well, as far as that is recorded.
    pub last_well: Option<DateTime<Utc>>,
    /// What the last run was refused, and what a run would be refused now.
    pub refusals: Vec<String>,
    /// What starts runs.
    pub schedules: Vec<ScheduleFact>,
    /// Why that cannot be found out.
    pub schedules_unknown: Option<String>,
    pub ledger: LedgerFact,
    /// Why it cannot be written.
    pub unwritable: Option<String>,
    /// Why the state cannot be read.
    pub state: Option<String>,
    /// Stores that have been locked for too long, and since when.
    pub locked: Vec<(String, DateTime<Utc>)>,
}

/// Something that starts runs.
#[derive(Debug, Clone, Default)]
pub struct ScheduleFact {
    /// The scheduler, such as `systemd`.
    pub backend: String,
    /// Whether it is the whole machine's.
    pub is_system: bool,
    /// Where its unit lies, as it is shown.
    pub place: String,
    /// Whether its program is there and starts.
    pub starts: bool,
    /// What the program says where it is another version.
    pub other_version: Option<String>,
    /// Whether the scheduler has it running; `None` where that cannot be known.
    pub active: Option<bool>,
    /// When it starts next.
    pub next: Option<DateTime<Utc>>,
    /// Starts that no run answered.
    pub missed: Option<u32>,
}

/// How the ledger is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LedgerFact {
    /// It holds together, or there is none yet.
    #[default]
    Sound,
    /// It is somebody else's: that of a run over all users.
    Elsewhere,
    /// A line does not fit: where, and what is wrong.
    Broken(String),
    /// The head that the last run left is not in it, or records say that one of an earlier run was not: which.
    Cut(Vec<String>),
    /// It cannot be read.
    Unreadable(String),
}

#[derive(Debug, Clone, Default)]
pub struct SealedFacts {
    /// Sealed sessions.
    pub sessions: u64,
    /// Recorded as sealed to others than today's recipients.
    pub to_others: u64,
    /// Of which it is not recorded.
    pub to_unknown: u64,
    /// Of which the record says a later date than was known when they were sealed.
    pub redated: u64,
    /// Of which the record cannot be read, with the reason.
    pub unreadable: Vec<(String, String)>,
    /// Whether the policy names recipients.
    pub has_recipients: bool,
}

/// A root that was not taken.
#[derive(Debug, Clone)]
pub struct RefusedFact {
    /// The folder.
    pub path: PathBuf,
    pub why: String,
    /// Whether it is not there any more.
    pub is_missing: bool,
}

/// What may have come back: a session, or a copy of a transcript under a name beside its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A session whose transcript is there, plain or sealed.
    Session(SessionIndex),
    /// A file whose name is that of a transcript and more.
    Copy(ArtifactIndex),
}

/// Something that was deleted and is there again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameBack {
    pub what: What,
    /// The root of its store, as it is shown.
    pub store: String,
    pub session: SessionId,
    /// The name of the copy.
    pub copy: Option<String>,
    /// When it was deleted, and by which run.
    pub deletion: Deletion,
}
