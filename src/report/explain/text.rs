//! The explanation in words.

use std::fmt::Write as _;

use super::{Dates, Explain, PRECEDENCE, Subject};
use crate::escape::shown;
use crate::plan::Action;
use crate::policy::{AgeBy, Source};
use crate::report::human::{counted, size, table};
use crate::report::style::{Hue, Paint};
use crate::report::when;

impl Explain {
    /// The report for people.
    #[must_use]
    pub fn text(&self, paint: Paint<'_>) -> String {
        let mut out = String::new();
        self.what.describe(&mut out, paint);
        if let Some(dates) = &self.dates {
            dates.describe(&mut out, paint);
        }
        for note in &self.notes {
            let _ = writeln!(out, "\nnote: {note}");
        }
        if let Some(decision) = &self.decision {
            if self.liveness.is_some() {
                self.precedence_text(&mut out, paint);
                self.rules_text(&mut out, paint);
            }
            let reason = decision.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let word = match decision.decision {
                "keep" => paint.good("keep"),
                word => paint.warn(word),
            };
            let _ = writeln!(out, "\n{}: {word}{reason}: {}", paint.strong("decision"), decision.because);
            if let (Some(due), Some(rule), Some(layer)) = (&decision.due, &decision.rule, &decision.layer) {
                let from = decision.path.as_ref().map(|path| format!(", {}", shown(path)));
                let when = match decision.decision {
                    "keep" => "falls due",
                    _ => "due since",
                };
                let _ =
                    writeln!(out, "{when}: {due}, by rule '{rule}' ({layer}{})", from.unwrap_or_default());
            }
        }
        if let (Some(step), Some(next)) = (self.coming, &self.next) {
            let what = match step.action {
                Action::Delete => "it is deleted",
                Action::Seal => "it is encrypted",
            };
            let on = when::moment(step.at, self.moment, paint);
            let away = when::away(step.at, self.moment);
            let _ = writeln!(out, "next: {what} on {on}, {away}, by rule '{}'", next.rule());
        }
        if !self.lines.is_empty() {
            let lines: Vec<String> = self
                .lines
                .iter()
                .map(|(word, count)| format!("{} {word}", counted(*count, "line")))
                .collect();
            let _ = writeln!(out, "lines: {}", lines.join(", "));
        }
        if let Some(client) = &self.client {
            let _ = match &client.removes {
                None => writeln!(out, "Claude Code itself never removes it: {}", client.because),
                Some(at) => {
                    let note = if client.before_us {
                        paint.warn(", before this policy does")
                    } else {
                        String::new()
                    };
                    writeln!(
                        out,
                        "Claude Code itself removes it at its first start after {at}{note}: {}",
                        client.because
                    )
                }
            };
        }
        out
    }

    fn precedence_text(&self, out: &mut String, paint: Paint<'_>) {
        let _ = writeln!(out, "\n{}: {}", paint.strong("precedence"), PRECEDENCE.join(" > "));
        let [hold, live, floor, delete, seal] = PRECEDENCE;
        let mut line = |name: &str, what: &str| {
            let _ = writeln!(out, "  {name:<14} {what}");
        };
        if self.holds.is_empty() {
            line(hold, "none covers it");
        }
        for each in &self.holds {
            let until =
                each.ends.as_ref().map_or_else(|| "without end".to_owned(), |at| format!("until {at}"));
            line(
                hold,
                &format!(
                    "'{}' ({}), {until}, binds {}: {}",
                    each.name,
                    from(&each.source),
                    each.binds,
                    each.reason
                ),
            );
        }
        if let Some(life) = &self.liveness {
            let quiet = match (&life.quiet_until, life.is_quiet) {
                (Some(until), true) => paint.warn(&format!("quiet until {until}")),
                (Some(until), false) => format!("quiet ended {until}"),
                (None, _) => "no file that was touched".to_owned(),
            };
            let evidence = if life.live { paint.warn(&life.evidence) } else { life.evidence.clone() };
            line(live, &format!("{evidence}; {quiet} (quiet {}, {})", life.quiet, from(&life.quiet_source)));
        }
        if self.keep_at_least.is_empty() {
            line(floor, "none");
        }
        for each in &self.keep_at_least {
            let until = match (&each.until, each.over) {
                (Some(until), true) => format!("ended {until}"),
                (Some(until), false) => format!("until {until}"),
                (None, _) => "without end".to_owned(),
            };
            line(floor, &format!("{} ({}), {until}", each.keep_at_least, from(&each.source)));
        }
        for (name, action) in [(delete, "delete"), (seal, "seal")] {
            let rule = self.rules.iter().find(|rule| rule.action == action && rule.decides);
            let words = rule.map_or_else(
                || "none applies".to_owned(),
                |rule| {
                    let state = if rule.is_due { "due since" } else { "due" };
                    let when = rule
                        .due
                        .as_ref()
                        .map_or_else(|| "never due".to_owned(), |due| format!("{state} {due}"));
                    format!("'{}' ({}): after {}, {when}", rule.name, from(&rule.source), rule.after)
                },
            );
            line(name, &words);
        }
    }

    fn rules_text(&self, out: &mut String, paint: Paint<'_>) {
        let _ = writeln!(out, "\n{}", paint.strong("rules considered"));
        if self.rules.is_empty() {
            let _ = writeln!(out, "  none");
            return;
        }
        let mut rows = table(&["rule", "from", "action", "after", "due", "standing"], &[]);
        for rule in &self.rules {
            let hue = if rule.decides && rule.is_due { Hue::Warn } else { Hue::Plain };
            rows.coloured(
                hue,
                [
                    rule.name.clone(),
                    from(&rule.source),
                    rule.action.to_owned(),
                    rule.after.clone(),
                    rule.due.clone().unwrap_or_else(|| "-".to_owned()),
                    rule.standing.clone(),
                ],
            );
        }
        out.push_str(&paint.table(&rows, 2));
    }
}

/// Where a value comes from: the layer and its file.
fn from(source: &Source) -> String {
    match &source.path {
        Some(path) => format!("{}, {}", source.layer, shown(path)),
        None => source.layer.to_string(),
    }
}

impl Subject {
    fn describe(&self, out: &mut String, paint: Paint<'_>) {
        let title = match (self.is, &self.session, &self.path) {
            ("session", Some(id), _) => format!("session {id}"),
            (_, _, Some(path)) => path.clone(),
            _ => String::new(),
        };
        let _ = writeln!(out, "{}", paint.strong(&title));
        let mut line = |name: &str, what: &str| {
            let _ = writeln!(out, "  {name:<14} {what}");
        };
        if let Some(kind) = self.kind {
            line("kind", kind);
        }
        if let (true, Some(id)) = (self.is != "session", &self.session) {
            line("session", id);
        }
        if let (Some(store), Some(kind)) = (&self.store, self.store_kind) {
            line("store", &format!("{store} ({kind})"));
        }
        if let Some(evidence) = self.evidence {
            let known = match evidence {
                "transcript" => "its transcript",
                "sealed" => "its sealed copy alone",
                "orphaned" => "files without a transcript in any known store (orphaned)",
                _ => "files whose transcript was not found, while not everything could be read",
            };
            let desktop = if self.desktop { ", written by the desktop application" } else { "" };
            line("known by", &format!("{known}{desktop}"));
            line("project", self.project.as_deref().unwrap_or("unknown: every project hold covers it"));
        } else if let Some(project) = &self.project {
            line("project", project);
        }
        for other in self.projects.iter().filter(|other| Some(*other) != self.project.as_ref()) {
            line("also", other);
        }
        if self.is == "session" || self.is == "folder" {
            let kinds: Vec<String> =
                self.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            let list = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
            line("files", &format!("{}, {}{list}", counted(self.files, "file"), size(self.bytes)));
        } else if self.is == "file" {
            line("size", &size(self.bytes));
        }
        if self.sealed {
            line("sealed", "yes");
        }
    }
}

impl Dates {
    fn describe(&self, out: &mut String, paint: Paint<'_>) {
        let _ = writeln!(out, "\n{}", paint.strong("dates"));
        let mut line = |name: &str, what: &str| {
            let _ = writeln!(out, "  {name:<14} {what}");
        };
        if let Some(record) = &self.record {
            line("last record", record);
        }
        line("modified", self.modified.as_deref().unwrap_or("-"));
        if self.touched != self.modified {
            line("last touched", self.touched.as_deref().unwrap_or("-"));
        }
        if let Some(damaged) = &self.damaged {
            line(
                "damaged",
                &format!("{damaged}, modification time of a file whose last lines cannot be read"),
            );
        }
        let counts = match self.counts {
            "record" => "the last record",
            "mtime" => "the modification time",
            "references" => "the newest line that refers to it",
            "first-seen" => "the first run that saw it, because nothing dates it",
            _ => "none",
        };
        let by = self.age_by.zip(self.age_by_source.as_ref()).map_or_else(String::new, |(by, source)| {
            let by = match by {
                AgeBy::Record => "record",
                AgeBy::Mtime => "mtime",
                AgeBy::Newest => "newest",
            };
            format!(" (ageBy {by}, {})", from(source))
        });
        match &self.last_activity {
            Some(last) => line("counts", &format!("{last}, {counts}{by}")),
            None => line("counts", &format!("none{by}")),
        }
        if let (true, Some(seconds)) = (self.differs, self.difference_seconds) {
            let days = counted(seconds.unsigned_abs() / 86_400, "day");
            let which = if seconds > 0 { "later" } else { "earlier" };
            line("difference", &paint.warn(&format!("the file is {days} {which} than its last record")));
        }
    }
}
