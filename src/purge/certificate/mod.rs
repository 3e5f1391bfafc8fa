//! The certificate of a purge: what was removed, what was looked at again, what is left, and what
//! nobody can say.
//!
//! [`Certificate::issue`] is pure: facts in, certificate out, the verdict with it. It speaks of
//! the roots listed and never of everything, and it claims nothing about the medium: NIST SP
//! 800-88 speaks of media, not of files. The printings are in the room `report`.

mod amounts;
mod belongs;
mod exceptions;
mod files;
mod issuer;
mod machine;
mod method;
mod remaining;
mod risks;
mod scan;
mod schema;
mod sign;
mod stores;
mod verdict;

#[cfg(test)]
#[path = "tests/samples.rs"]
pub mod samples;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use amounts::{Amount, Counts, Form};
pub use belongs::{Comparison, LedgerRef};
pub use exceptions::{Exception, ExceptionReason};
pub use files::{FileError, Files, Format, Imprint, digest};
pub use issuer::{Operator, PolicyRef, Signer, Tool, Witness};
pub use machine::{Machine, machine_id};
pub use method::{Identity, Method, Scope};
pub use remaining::{Remaining, RemainingKind};
#[cfg(test)]
pub use risks::Sighting;
pub use risks::{ResidualRisk, SeenWord};
pub use scan::{Left, Proof, Verification};
pub use schema::schema;
pub use sign::{Signing, verify_command};
pub use stores::{FolderEntry, Origin, StoreEntry};
pub use verdict::{NOT_CLAIMED, Verdict, judge};

/// The name of this form of certificate.
pub const SCHEMA: &str = "ccretain.certificate/1";

/// The namespace of its signatures (`ssh-keygen -Y sign -n`).
pub const NAMESPACE: &str = "ccretain-certificate";

/// The facts of a purge: everything a certificate is issued from, and all of it that is not a
/// judgement.
///
/// Names and paths are given in the form of [`crate::escape::text`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parts {
    /// The id of this certificate, a UUID.
    pub id: String,
    /// The program that issued it.
    pub tool: Tool,
    /// The policy in force.
    pub policy: PolicyRef,
    /// Who had it done.
    pub operator: Operator,
    /// On which machine.
    pub host: Machine,
    /// When the run began (RFC 3339, UTC, by the clock of the machine).
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started: DateTime<Utc>,
    /// When the second scan had ended.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub ended: DateTime<Utc>,
    /// The roots this certificate speaks of, and no others.
    pub stores: Vec<StoreEntry>,
    /// What was asked for and how it was removed.
    pub method: Method,
    /// What was removed, by kind and by form.
    pub counts: Counts,
    /// What a second scan of the same roots found.
    pub verification: Verification,
    /// What was not removed although it should have been, or is not wholly gone; any makes the
    /// verdict `incomplete`.
    pub exceptions: Vec<Exception>,
    /// What stays because it is not session content, was not asked for, or is evidence.
    pub remaining: Vec<Remaining>,
    /// What makes content readable or recoverable elsewhere, as far as it can be seen.
    pub residual_risks: Vec<ResidualRisk>,
    /// The ledger that recorded the run, and its head when this was issued.
    pub ledger: LedgerRef,
}

/// The certificate of a purge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// The form: `ccretain.certificate/1`.
    #[schemars(extend("const" = "ccretain.certificate/1"))]
    schema: String,
    /// What it was issued from.
    #[serde(flatten)]
    pub parts: Parts,
    /// What all of it comes to.
    pub verdict: Verdict,
    /// What this certificate does not claim.
    pub not_claimed: Vec<String>,
}

impl Certificate {
    /// Issues a certificate: sorts what it lists, so that equal facts give equal bytes, and judges.
    pub fn issue(mut parts: Parts) -> Self {
        parts.stores.sort_by(|a, b| (&a.root, &a.kind).cmp(&(&b.root, &b.kind)));
        parts.exceptions.sort_by(|a, b| (a.reason, &a.path, &a.detail).cmp(&(b.reason, &b.path, &b.detail)));
        // Two stores may reach one folder, and each tells what is wrong with it.
        parts.exceptions.dedup();
        parts.remaining.sort_by(|a, b| (a.what, &a.path).cmp(&(b.what, &b.path)));
        let verdict = judge(&parts.method.scope, &parts.exceptions, &parts.remaining, &parts.verification);
        Self {
            schema: SCHEMA.to_owned(),
            parts,
            verdict,
            not_claimed: NOT_CLAIMED.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    /// The name of the form it was written in.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Its heading: a partial purge's says so.
    pub fn heading(&self) -> &'static str {
        if self.parts.method.scope.is_partial() {
            "Certificate of a partial purge"
        } else {
            "Certificate of a purge"
        }
    }

    /// The document, as it is written, signed and recorded.
    pub fn json(&self) -> String {
        // `<`, `>` and `&` are written as escapes, so that a page can hold the document unchanged.
        let mut text = crate::escape::json::pretty(self).unwrap_or_default();
        text.push('\n');
        // None of them is part of JSON itself: where they stand, they stand in a text.
        text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
    }

    /// Reads a document.
    ///
    /// # Errors
    /// It is no certificate of this form.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let certificate: Self = serde_json::from_str(text)?;
        if certificate.schema != SCHEMA {
            return Err(ParseError::Schema(certificate.schema));
        }
        Ok(certificate)
    }
}

/// Why a document is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It is not of the form.
    #[error("it is not a certificate")]
    Form(#[from] serde_json::Error),
    /// It is of another form.
    #[error("it is of the form '{}', and this program knows {SCHEMA}", crate::escape::shown(.0))]
    Schema(String),
}
