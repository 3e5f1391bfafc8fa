//! What did happen.

use std::io;
use std::path::PathBuf;

/// What did happen to one artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done(Effect),
    /// It was left alone, because it is not what was planned for any more.
    Skipped(Skip),
    /// It could not be done; the text says what and why, and nothing of the content.
    Failed(String),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is gone.
    Deleted,
    /// It is gone under this name, and its data remain under another: it had hard links.
    DataRemains,
    /// It is encrypted, and the plaintext is gone.
    Sealed,
    /// Lines of it are gone: how many, and how many bytes.
    Pruned {
        /// Lines or entries.
        lines: u64,
        /// Bytes.
        bytes: u64,
    },
}

/// Why something planned was left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// It, or something of its session, is not what the inventory saw.
    ChangedSincePlan,
    /// A client opened the session meanwhile.
    BecameLive,
    /// It was gone already.
    Vanished,
}

/// Why a run ended before its plan did.
#[derive(Debug)]
pub enum Stop {
    /// The ledger could not be written; nothing that is not in it was touched.
    Ledger(io::Error),
    /// Somebody asked it to stop.
    Signal,
    /// `--max-runtime` is over.
    MaxRuntime,
}

impl Stop {
    /// The word reports use.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ledger(_) => "ledger",
            Self::Signal => "signal",
            Self::MaxRuntime => "max-runtime",
        }
    }
}

impl Outcome {
    /// The word reports use.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done(Effect::Deleted | Effect::DataRemains) => "deleted",
            Self::Done(Effect::Sealed) => "sealed",
            Self::Done(Effect::Pruned { .. }) => "pruned",
            Self::Skipped(Skip::ChangedSincePlan) => "changed-since-plan",
            Self::Skipped(Skip::BecameLive) => "became-live",
            Self::Skipped(Skip::Vanished) => "vanished",
            Self::Failed(_) => "failed",
        }
    }

    /// A failure in words: what was being done, and the system's reason.
    pub(super) fn failed(doing: &str, error: &io::Error) -> Self {
        Self::Failed(format!("cannot {doing}: {error}"))
    }
}

/// What did happen to everything.
#[derive(Debug)]
pub struct Outcomes {
    /// One for each artifact of the inventory, in its order; `None` for what was not to be touched.
    pub of_artifacts: Vec<Option<Outcome>>,
    /// How many folders went because they became empty.
    pub folders_removed: u64,
    /// What went wrong beside the artifacts.
    pub problems: Vec<(PathBuf, io::Error)>,
    /// Why not everything was tried.
    pub stopped: Option<Stop>,
}

impl Outcomes {
    /// Nothing was done, for this reason.
    #[must_use]
    pub fn stopped_by(artifacts: usize, stop: Stop) -> Self {
        Self { stopped: Some(stop), ..Self::new(artifacts) }
    }

    /// Nothing has happened yet.
    pub(super) fn new(artifacts: usize) -> Self {
        Self { of_artifacts: vec![None; artifacts], folders_removed: 0, problems: Vec::new(), stopped: None }
    }
}
