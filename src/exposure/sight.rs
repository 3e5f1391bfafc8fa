//! Gathering what was seen, what speaks for nothing, and what could not be told.

use std::io;
use std::path::Path;

use super::{Evidence, Finding, Risk, Seen};
use crate::escape::shown;

/// What a look has gathered so far.
#[derive(Debug, Default)]
pub(super) struct Sight {
    is_seen: bool,
    evidence: Vec<Evidence>,
    doubts: Vec<String>,
}

impl Sight {
    /// The risk is there.
    pub fn saw(&mut self, path: Option<&Path>, note: impl Into<String>) {
        self.is_seen = true;
        self.remark(path, note);
    }

    /// Something worth saying that does not make the risk a fact.
    pub fn remark(&mut self, path: Option<&Path>, note: impl Into<String>) {
        let evidence = Evidence { path: path.map(Path::to_path_buf), note: note.into() };
        if !self.evidence.contains(&evidence) {
            self.evidence.push(evidence);
        }
    }

    /// A part of it cannot be told.
    pub fn doubt(&mut self, reason: impl Into<String>) {
        let reason = reason.into();
        if !self.doubts.contains(&reason) {
            self.doubts.push(reason);
        }
    }

    /// A part of it cannot be told, because the system does not let it.
    pub fn barred(&mut self, path: &Path, error: &io::Error) {
        self.doubt(format!("'{}' cannot be read: {}", shown(path), reason(error)));
    }

    /// Seen where anything was; else unknown where anything could not be told; else not there.
    pub fn finding(self, risk: Risk) -> Finding {
        let seen = if self.is_seen {
            Seen::Yes
        } else if self.doubts.is_empty() {
            Seen::No
        } else {
            Seen::Unknown(self.doubts.join("; "))
        };
        Finding { risk, seen, evidence: self.evidence }
    }
}

/// The system's own words, in lower case and without the number and the path.
pub(super) fn reason(error: &io::Error) -> String {
    error.kind().to_string()
}
