//! The verdict for people, and for Intune, which stores no more than a few lines of it.

use std::fmt::Write as _;

use super::{Document, Found};
use crate::check::Severity;
use crate::report::human::{counted, wrapped};
use crate::report::style::Paint;

/// What Intune keeps of the output of a detection script, in characters (its console cuts what is
/// longer; learn.microsoft.com, "Remediations").
const KEPT_BY_INTUNE: usize = 2_048;

/// How wide the report for people is, as far as blanks let it be.
const WIDTH: usize = 80;

impl Document {
    /// The report for people; `everything` also names what is only worth knowing.
    #[must_use]
    pub fn text(&self, paint: Paint<'_>, everything: bool) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}", paint.strong(&self.headline()));
        for store in &self.stores {
            if store.sessions == 0 && store.artifacts == 0 {
                continue;
            }
            let oldest = store.oldest_age_days.map_or_else(String::new, |days| {
                format!(", the oldest {} old", counted(days.unsigned_abs(), "day"))
            });
            let sessions = counted(store.sessions, "session");
            let _ = writeln!(out, "  {} ({}): {sessions}{oldest}", store.root, store.kind);
        }
        let is_told = |finding: &&Found| everything || finding.severity > Severity::Info;
        for finding in self.findings.iter().filter(is_told) {
            let word = format!("{:<6}", finding.severity.word());
            let word = match finding.severity {
                Severity::High => paint.bad(&word),
                Severity::Medium => paint.warn(&word),
                Severity::Low | Severity::Info => word,
            };
            let whose = finding.user.as_ref().map_or_else(String::new, |user| format!("{user}: "));
            let _ = writeln!(out, "\n{word} {whose}{} [{}]", finding.title, finding.id);
            for line in &finding.evidence {
                out.push_str(&wrapped(&format!("       {line}"), "         ", WIDTH));
            }
            if finding.severity > Severity::Info {
                let _ = writeln!(out, "       → {}", finding.remedy);
            }
        }
        let hidden = self.findings.iter().filter(|finding| !is_told(finding)).count();
        if hidden > 0 {
            let _ = writeln!(out, "\n{hidden} more worth knowing: -v names them");
        }
        if let Some(fixed) = &self.fixed {
            let _ = writeln!(
                out,
                "\n{}: {} and {} closed to others",
                paint.strong("fixed"),
                counted(fixed.files, "file"),
                counted(fixed.folders, "folder")
            );
            for left in fixed.left.iter().take(if everything { usize::MAX } else { 10 }) {
                let _ = writeln!(out, "  left '{}': {}", left.path, left.why);
            }
            if !everything && fixed.left.len() > 10 {
                let _ = writeln!(out, "  and {} more were left: -v names them", fixed.left.len() - 10);
            }
            let _ = writeln!(
                out,
                "  only permissions are repaired: everything else is for you, or for a run, to decide"
            );
        }
        out
    }

    /// The verdict in a line.
    #[must_use]
    pub fn headline(&self) -> String {
        if self.compliant {
            return "compliant".to_owned();
        }
        let count = |severity: Severity| self.failing().filter(|found| found.severity == severity).count();
        let counts: Vec<String> = Severity::ALL
            .iter()
            .rev()
            .filter(|severity| count(**severity) > 0)
            .map(|severity| format!("{} {}", count(*severity), severity.word()))
            .collect();
        format!("not compliant: {}", counts.join(", "))
    }

    /// The verdict as a detection script prints it: the ids first, what was seen as far as there is
    /// room.
    #[must_use]
    pub fn short(&self) -> String {
        let mut out = self.headline();
        if !self.compliant {
            let _ = write!(out, " ({})", self.failing_ids().join(" "));
        }
        for finding in self.failing() {
            let line = format!("\n{}: {}", finding.id, finding.evidence.join("; "));
            if out.chars().count() + line.chars().count() + 1 > KEPT_BY_INTUNE {
                break;
            }
            out.push_str(&line);
        }
        let mut out: String = out.chars().take(KEPT_BY_INTUNE - 1).collect();
        out.push('\n');
        out
    }
}
