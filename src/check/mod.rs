//! The posture of one account on one machine: facts in, findings and one verdict out.
//!
//! [`facts`] says what is looked at, [`retention`], [`returned`], [`exposure`] and [`client`] make findings of it,
//! and [`crate::findings`] names every finding there can be. All of them are pure; [`gather`] looks at the machine,
//! and [`repair`] makes stores private. A machine is compliant when no finding is as severe as the
//! threshold it is asked for ([`Severity::Medium`] unless told otherwise).

pub mod client;
pub mod exposure;
pub mod facts;
pub mod gather;
pub mod look;
pub mod modes;
pub mod parked;
pub mod repair;
pub mod retention;
pub mod returned;
pub mod untried;

#[cfg(test)]
mod tests;

use serde::Serialize;

pub use crate::findings::{Area, FindingId, Severity};
pub use facts::Facts;

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What it is: a row of [`crate::findings::TABLE`].
    pub id: &'static str,
    /// Which part of the posture it is about.
    pub area: Area,
    /// How much it matters here.
    pub severity: Severity,
    /// What it is, in words that do not change.
    pub title: &'static str,
    /// What was seen, a sentence each.
    pub evidence: Vec<String>,
    /// What to do about it.
    pub remedy: String,
    /// How many things it is about, where they can be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How many bytes they have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether `check --fix` repairs it, or some of it.
    pub fixable: bool,
}

impl Finding {
    /// A finding of the table, as severe as the table says.
    pub fn new(id: FindingId, evidence: Vec<String>) -> Self {
        let known = id.known();
        Self {
            id: known.id,
            area: known.area,
            severity: known.severity,
            title: known.title,
            evidence,
            remedy: known.remedy.to_owned(),
            count: None,
            bytes: None,
            fixable: false,
        }
    }

    /// The same with another severity than the usual one.
    pub fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// The same with a remedy for this very case.
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }

    /// The same with a number of things.
    pub fn count(self, count: u64) -> Self {
        Self { count: Some(count), ..self }
    }

    /// The same with a number of bytes.
    pub fn bytes(self, bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    /// The same as something that `check --fix` repairs.
    pub fn fixable(self, fixable: bool) -> Self {
        Self { fixable, ..self }
    }
}

/// Everything that is to be found in the facts, the most severe first.
pub fn evaluate(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    retention::evaluate(facts, &mut findings);
    returned::evaluate(facts, &mut findings);
    exposure::evaluate(facts, &mut findings);
    client::evaluate(facts, &mut findings);
    facts.untried.evaluate(&mut findings);
    // A stable order, so that two reports of one state are the same.
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| (a.area, a.id).cmp(&(b.area, b.id))));
    findings
}

/// Whether nothing is as severe as the threshold.
pub fn is_compliant(findings: &[Finding], threshold: Severity) -> bool {
    findings.iter().all(|finding| finding.severity < threshold)
}

/// At most this many lines of evidence are written out; the rest is counted.
const NAMED: usize = 8;

/// Lines of evidence, of which only so many are named.
fn some(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().collect();
    if lines.len() > NAMED {
        let more = lines.len() - NAMED;
        lines.truncate(NAMED);
        lines.push(format!("and {more} more"));
    }
    lines
}
