//! The verdict for people, and for Intune, which stores no more than a few lines of it.

use std::fmt::Write as _;

use super::{Document, Found, Store};
use crate::check::Severity;
use crate::report::human::{counted, grouped, wrapped};
use crate::report::style::Paint;

/// What Intune keeps of the output of a detection script, in characters (its console cuts what is
/// longer; learn.microsoft.com, "Remediations").
const KEPT_BY_INTUNE: usize = 2_048;

/// How wide the report is where no terminal says so, as far as blanks let it be.
const WIDTH: usize = 80;
/// So many lines of evidence of one finding are shown; JSON has all.
const EVIDENCE: usize = 12;

/// Findings that say the same of several accounts or stores, in the order of the first.
fn groups<'f>(findings: impl Iterator<Item = &'f Found>) -> Vec<Vec<&'f Found>> {
    let mut groups: Vec<Vec<&Found>> = Vec::new();
    for finding in findings {
        let is_same = |group: &&mut Vec<&Found>| {
            group.first().is_some_and(|first| first.id == finding.id && first.title == finding.title)
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups
}

/// One block: the finding, the accounts that have it, their evidence and what to do.
fn group_text(out: &mut String, group: &[&Found], paint: Paint<'_>) {
    let Some(first) = group.first() else { return };
    let width = paint.width.unwrap_or(WIDTH);
    let word = format!("{:<6}", first.severity.word());
    let word = match first.severity {
        Severity::High => paint.bad(&word),
        Severity::Medium => paint.warn(&word),
        Severity::Low | Severity::Info => word,
    };
    let mut users: Vec<&str> = group.iter().filter_map(|finding| finding.user.as_deref()).collect();
    users.dedup();
    let whose = if users.is_empty() { String::new() } else { format!("  {}", users.join(", ")) };
    let title = wrapped(&format!("       {} [{}]{whose}", first.title, first.id), "       ", width);
    let _ = write!(out, "\n{word} {}", title.trim_start());
    // What is so for the whole machine is told once, and not once an account.
    let mut lines: Vec<(Vec<&str>, &str)> = Vec::new();
    for finding in group {
        let user = finding.user.as_deref();
        for line in &finding.evidence {
            match lines.iter_mut().find(|(_, known)| known == line) {
                Some((of, _)) => of.extend(user.filter(|user| !of.contains(user))),
                None => lines.push((user.into_iter().collect(), line)),
            }
        }
    }
    let hidden = if group.len() > 1 { lines.len().saturating_sub(EVIDENCE) } else { 0 };
    for (of, line) in lines.iter().take(lines.len() - hidden) {
        let of = if users.len() > 1 && of.len() < users.len() {
            format!("{}: ", of.join(", "))
        } else {
            String::new()
        };
        out.push_str(&wrapped(&format!("       {of}{line}"), "         ", width));
    }
    if hidden > 0 {
        let _ = writeln!(out, "       and {hidden} more (--json lists them)");
    }
    if first.severity > Severity::Info {
        out.push_str(&wrapped(&format!("       {} {}", paint.arrow(), first.remedy), "         ", width));
    }
}

impl Document {
    /// The report for people; `everything` also names what is only worth knowing.
    #[must_use]
    pub fn text(&self, paint: Paint<'_>, everything: bool) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}", paint.strong(&self.headline()));
        if let Some(users) = &self.users {
            let sum = |of: fn(&Store) -> u64| self.stores.iter().map(of).fold(0, u64::saturating_add);
            let _ = writeln!(
                out,
                "{}: {}, {} overdue",
                counted(users.len() as u64, "account"),
                counted(sum(|store| store.sessions), "session"),
                grouped(sum(|store| store.overdue))
            );
        }
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
        for group in groups(self.findings.iter().filter(is_told)) {
            group_text(&mut out, &group, paint);
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
            let _ = writeln!(out, "  --fix repairs permissions only");
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
