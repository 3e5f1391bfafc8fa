//! Why a run could not go on: each cause by its kind, so that one place gives it an exit code and a hint.

use std::io;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::enforce::lock::LockError;
use crate::error::PathError;
use crate::escape::shown;
use crate::ledger::LedgerError;
use crate::policy::error::LoadError;
use crate::policy::resolve::PolicyError;
use crate::purge::certificate::FileError;
use crate::seal::RecipientError;
use crate::seal::identities::IdentityError;
use crate::state::StateError;
use crate::words::counted;

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The policy is not valid.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Policy or holds are others than those by which it was decided what goes.
    #[error("the policy or a hold changed after this was decided, so the stores are as they were")]
    PolicyChanged,
    /// The user's own holds cannot be read.
    #[error(transparent)]
    Holds(LoadError),
    /// A recipient of the policy cannot be used.
    #[error(transparent)]
    Recipient(#[from] RecipientError),
    /// What earlier runs remembered cannot be used, and without it nothing may be changed.
    #[error(transparent)]
    StateRefused(StateError),
    /// What runs remember cannot be read, or cannot be kept for later ones.
    #[error(transparent)]
    State(StateError),
    /// The parent does not keep what later runs must know.
    #[error("cannot {doing} what is remembered")]
    KeptByParent {
        /// What was being done, as an infinitive.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The ledger cannot be opened for writing.
    #[error(transparent)]
    Ledger(LedgerError),
    /// The parent does not open its ledger.
    #[error("{0}")]
    ParentLedger(io::Error),
    /// The ledger cannot be read.
    #[error(transparent)]
    LedgerUnread(LedgerError),
    /// The next step cannot be recorded.
    #[error("cannot write the ledger")]
    Unrecorded(#[source] io::Error),
    /// What was done cannot be recorded.
    #[error("cannot record what was done")]
    OutcomeUnrecorded(#[source] io::Error),
    /// The end of the run cannot be recorded.
    #[error("cannot close the ledger")]
    Unclosed(#[source] io::Error),
    /// The end of a purge cannot be recorded, which its certificate would name.
    #[error("cannot close the ledger, so there is no certificate")]
    NoCertificate(#[source] io::Error),
    /// The ledger cannot be opened again after the accounts' purges, whose certificate would name its head.
    #[error("what the accounts came to is done and recorded, but there is no certificate")]
    CertificateUnopened(#[source] LedgerError),
    /// A file of a certificate cannot be written.
    #[error(transparent)]
    Certificate(FileError),
    /// A certificate cannot be recorded.
    #[error("cannot record the certificate in the ledger")]
    CertificateUnrecorded(#[source] io::Error),
    /// The parent does not answer.
    #[error("cannot reach the parent")]
    ParentGone(#[source] io::Error),
    /// A store is locked, or its lock cannot be made.
    #[error(transparent)]
    Lock(LockError),
    /// A store has been locked for so long that its run seems to hang.
    #[error(
        "another run seems to hang: the lock '{}' has been held since {}, for {}",
        shown(file),
        since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        counted(now.signed_duration_since(since).num_days().unsigned_abs(), "day")
    )]
    LockStuck {
        /// The lock.
        file: PathBuf,
        /// Since when.
        since: DateTime<Utc>,
        now: DateTime<Utc>,
    },
    /// The system does not list its accounts.
    #[error("the accounts of this machine cannot be listed")]
    AccountsUnlisted,
    /// A file or folder cannot be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Another identity would be lost.
    #[error("there is an identity already: '{}'", shown(.0))]
    IdentityExists(PathBuf),
    /// An identity gives no recipients.
    #[error(transparent)]
    Identity(IdentityError),
    /// This is no child of a run over all users, or could not become one.
    #[error("{0}")]
    NoChild(String),
}
