//! What a purge comes to: a pure function of its facts.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exceptions::Exception;
use super::method::Scope;
use super::remaining::{Remaining, RemainingKind};
use super::scan::{Proof, Verification};

/// What a purge comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// In the roots listed, the second scan found nothing that was to be removed, and there is no
    /// exception.
    Complete,
    /// The same, but for files that the catalogue does not know and the operator named to be kept:
    /// each is listed with its size.
    CompleteExceptAsListed,
    /// The same for the part that was asked for; the rest was not touched.
    Partial,
    /// There are exceptions, or the second scan found something or could not be made.
    Incomplete,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "complete",
            Self::CompleteExceptAsListed => "complete except as listed",
            Self::Partial => "partial",
            Self::Incomplete => "incomplete",
        })
    }
}

/// Judges a purge: any exception, anything left and any doubt makes it incomplete.
pub fn judge(
    scope: &Scope,
    exceptions: &[Exception],
    remaining: &[Remaining],
    verification: &Verification,
) -> Verdict {
    let clean = verification.result == Proof::NothingLeft && verification.left.is_nothing();
    // First, so that nothing which was asked to be left out can hide that something failed.
    if !exceptions.is_empty() || !clean {
        Verdict::Incomplete
    } else if scope.is_partial() {
        Verdict::Partial
    } else if remaining.iter().any(|one| one.what == RemainingKind::Excepted) {
        Verdict::CompleteExceptAsListed
    } else {
        Verdict::Complete
    }
}

/// What no certificate claims.
pub const NOT_CLAIMED: &[&str] = &[
    "It speaks of the roots listed and of nothing outside them.",
    "It does not speak of what mounted file systems hide in the folders on which they are mounted.",
    "It is not a certificate of media sanitization: files were unlinked, no medium was cleared, purged or \
     destroyed in the sense of NIST SP 800-88, which speaks of media and not of files.",
    "It does not say that content cannot be recovered from the device, from snapshots, backups, \
     synchronised copies or other tools' archives.",
    "It does not say anything about data held by Anthropic or by any other service.",
    "Its times are those of the machine's own clock, and its facts those its operating system gave.",
];
