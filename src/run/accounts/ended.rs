//! What became of one account.

use crate::ledger::{Entry, Event};
use crate::locate::users::Account;
use crate::purge::certificate::Parts;
use crate::run::link::Totals;

/// What became of an account.
#[derive(Debug)]
pub(crate) struct Ended {
    pub account: Account,
    /// What the child exited with; `None` where it never began or was ended.
    pub exit: Option<u8>,
    /// What it would have printed.
    pub output: String,
    /// Whether that was too long, and was dropped.
    pub is_cut: bool,
    /// What its run comes to.
    pub totals: Option<Box<Totals>>,
    /// The figures of its run, for a collector.
    pub figures: String,
    /// The facts of its certificate, after a purge.
    pub parts: Option<Box<Parts>>,
    /// What the ledger got of what it removed.
    pub recorded: Recorded,
    /// What it said on standard error, line by line.
    pub messages: Vec<String>,
    /// What went wrong with the child itself.
    pub error: Option<String>,
    /// Whether it was not through with the account when its time was up or the run was stopped.
    pub is_unfinished: bool,
}

impl Ended {
    /// Nothing has become of it yet.
    pub(super) fn new(account: &Account) -> Self {
        Self {
            account: account.clone(),
            exit: None,
            output: String::new(),
            is_cut: false,
            totals: None,
            figures: String::new(),
            parts: None,
            recorded: Recorded::default(),
            messages: Vec::new(),
            error: None,
            is_unfinished: false,
        }
    }
}

/// What the ledger got from one child of what was removed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Recorded {
    files: u64,
    lines: u64,
    sealed: u64,
    bytes: u64,
}

/// So much more than its size may a file take of a disk: its last block, of the largest that file systems have.
const LAST_BLOCK: u64 = 1 << 20;

impl Recorded {
    pub(super) fn note(&mut self, entry: &Entry<'_>) {
        if entry.event != Event::Outcome {
            return;
        }
        let files = entry.files.unwrap_or(0);
        let count =
            if entry.decision.as_deref() == Some("seal") { &mut self.sealed } else { &mut self.files };
        *count = count.saturating_add(files);
        self.lines = self.lines.saturating_add(entry.lines.unwrap_or(0));
        self.bytes = self.bytes.saturating_add(entry.bytes.unwrap_or(0));
    }

    /// Whether so many files and lines were recorded as removed, and so many files as sealed.
    pub(super) fn covers(self, files: u64, lines: u64, sealed: u64) -> bool {
        files <= self.files && lines <= self.lines && sealed <= self.sealed
    }

    /// The most that can have become free by what was recorded.
    pub(super) fn freed(self) -> u64 {
        let files = self.files.saturating_add(self.lines).saturating_add(self.sealed);
        self.bytes.saturating_add(files.saturating_mul(LAST_BLOCK))
    }

    /// Whether the counts of a report are of what was recorded; one of a run that only looked has none.
    pub(crate) fn covers_report(self, report: &serde_json::Value) -> bool {
        let acted = report["dryRun"] == false && report["mode"] == "enforce";
        let count = |key: &str| report["summary"][key].as_u64().unwrap_or(0);
        !acted || self.covers(count("deleted"), count("prunedLines"), count("sealed"))
    }
}
