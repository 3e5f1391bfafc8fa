//! The verdict for people, and for Intune, which stores no more than a few lines of it.

use std::fmt::Write as _;

use super::{Found, Store};
use crate::check::Severity;
use crate::document::{Document, Hue, Line, Paint};
use crate::report::human::named;
use crate::report::human::{counted, grouped};
use crate::report::json::is_worth_a_row;

/// What Intune keeps of the output of a detection script, in characters (its console cuts what is
/// longer; learn.microsoft.com, "Remediations").
const KEPT_BY_INTUNE: usize = 2_048;

/// So many lines of evidence of one finding are shown; JSON has all.
const EVIDENCE: usize = 12;
/// So much that was left as it is.
const LEFT: usize = 10;

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
fn put_group(document: &mut Document, group: &[&Found], paint: Paint<'_>) {
    let Some(first) = group.first() else { return };
    let hue = match first.severity {
        Severity::High => Hue::Bad,
        Severity::Medium => Hue::Warn,
        Severity::Low | Severity::Info => Hue::Strong,
    };
    let mut users: Vec<&str> = group.iter().filter_map(|finding| finding.user.as_deref()).collect();
    users.dedup();
    let whose = if users.is_empty() { String::new() } else { format!("  {}", named(&users)) };
    let title = format!(": {} [{}]{whose}", first.title, first.id);
    document.heading(Line::of(first.severity.word(), hue).and(title, Hue::Plain));
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
    let shown = lines.iter().take(lines.len() - hidden).map(|(of, line)| {
        let is_of_some = users.len() > 1 && of.len() < users.len();
        if is_of_some { format!("{}: {line}", named(of)) } else { (*line).to_owned() }
    });
    let more = (hidden > 0).then(|| format!("and {hidden} more (--json lists them)"));
    let remedy = (first.severity > Severity::Info).then(|| format!("{} {}", paint.arrow(), first.remedy));
    document.list(shown.chain(more).chain(remedy).map(Line::from).collect());
}

impl super::Document {
    /// The report for people; `everything` also names what is only worth knowing.
    pub fn text(&self, paint: Paint<'_>, everything: bool) -> String {
        let mut document = Document::default();
        document.text(Line::of(self.headline(), Hue::Strong));
        if let Some(users) = &self.users {
            let sum = |of: fn(&Store) -> u64| self.stores.iter().map(of).fold(0, u64::saturating_add);
            document.text(format!(
                "{}: {}; files and lines overdue: {}",
                counted(users.len() as u64, "account"),
                counted(sum(|store| store.sessions), "session"),
                grouped(sum(|store| store.overdue))
            ));
        }
        let filled =
            self.stores.iter().filter(|store| is_worth_a_row(store.sessions, store.artifacts, &store.kind));
        let store = |store: &Store| {
            let oldest = store.oldest_age_days.map_or_else(String::new, |days| {
                format!(", the oldest {} old", counted(days.unsigned_abs(), "day"))
            });
            let sessions = counted(store.sessions, "session");
            Line::from(format!("{} ({}): {sessions}{oldest}", store.root, store.kind))
        };
        document.list(filled.map(store).collect());
        let is_told = |finding: &&Found| everything || finding.severity > Severity::Info;
        for group in groups(self.findings.iter().filter(is_told)) {
            put_group(&mut document, &group, paint);
        }
        let hidden = self.findings.iter().filter(|finding| !is_told(finding)).count();
        if let Some(fixed) = &self.fixed {
            document.heading("fixed");
            document.text(format!(
                "{} and {} closed to others",
                counted(fixed.files, "file"),
                counted(fixed.folders, "folder")
            ));
            let shown = if everything { usize::MAX } else { LEFT };
            let left =
                fixed.left.iter().take(shown).map(|left| format!("left '{}': {}", left.path, left.why));
            let more = fixed.left.len().saturating_sub(shown);
            let more = (more > 0).then(|| format!("and {more} more were left: `-v` names them"));
            document.list(left.chain(more).map(Line::from).collect());
            document.text("--fix repairs permissions only");
        }
        let mut out = document.print(paint);
        if hidden > 0 {
            let them = if hidden == 1 { "it" } else { "them" };
            let _ = writeln!(out, "\n{hidden} more worth knowing: `-v` names {them}");
        }
        out
    }

    /// The verdict in a line.
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
