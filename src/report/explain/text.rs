//! The explanation in words.

use super::{Dates, Explain, PRECEDENCE, Subject};
use crate::document::{Column, Document, Fact, Hue, Line, Paint, Table, with_tilde};
use crate::escape::text;
use crate::plan::Action;
use crate::policy::{AgeBy, Source};
use crate::report::human::{counted, size};
use crate::report::when;

impl Explain {
    /// The report for people.
    pub fn text(&self, paint: Paint<'_>) -> String {
        let told = |at: &str| when::told(at, self.moment, paint);
        let mut document = Document::default();
        self.what.describe(&mut document);
        if let Some(dates) = &self.dates {
            dates.describe(&mut document, &told, paint);
        }
        if !self.notes.is_empty() {
            document.heading("notes");
            document.list(self.notes.iter().map(|note| Line::from(note.as_str())).collect());
        }
        if self.decision.is_some() && self.liveness.is_some() {
            self.put_precedence(&mut document, &told, paint);
            self.put_rules(&mut document, &told);
        }
        let facts = [self.decided(&told), self.coming_text(paint), self.lines_and_client(&told)].concat();
        if !facts.is_empty() {
            document.heading("decision");
        }
        document.facts(facts);
        document.print(paint)
    }

    /// What is decided now.
    fn decided(&self, told: &dyn Fn(&str) -> String) -> Vec<Fact> {
        let Some(decision) = &self.decision else { return Vec::new() };
        let reason = decision.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let hue = if decision.decision == "keep" { Hue::Good } else { Hue::Warn };
        let word = Line::of(decision.decision, hue);
        let mut facts =
            vec![Fact::new("now", word.and(format!("{reason}: {}", decision.because), Hue::Plain))];
        if let (Some(due), Some(rule), Some(layer)) = (&decision.due, &decision.rule, &decision.layer) {
            let when = match decision.decision {
                "keep" => "falls due",
                _ => "due since",
            };
            let by = format!("{}, by rule '{rule}' ({layer})", told(due));
            facts.push(Fact::new(when, by));
        }
        facts
    }

    /// What happens next, and when.
    fn coming_text(&self, paint: Paint<'_>) -> Vec<Fact> {
        let (Some(step), Some(next)) = (self.coming, &self.next) else { return Vec::new() };
        let what = match step.action {
            Action::Delete => "it is deleted",
            Action::Seal => "it is encrypted",
        };
        let on = when::moment(step.at, self.moment, paint);
        let away = when::away(step.at, self.moment);
        vec![Fact::new("next", format!("{what} on {on}, {away}, by rule '{}'", next.rule()))]
    }

    /// What is decided about lines, and what Claude Code itself does.
    fn lines_and_client(&self, told: &dyn Fn(&str) -> String) -> Vec<Fact> {
        let mut facts = Vec::new();
        if !self.lines.is_empty() {
            let lines = self.lines.iter().map(|(word, count)| format!("{} {word}", counted(*count, "line")));
            facts.push(Fact::new("lines", lines.collect::<Vec<_>>().join(", ")));
        }
        if let Some(client) = &self.client {
            let value = match &client.removes {
                None => Line::from(format!("never removes it: {}", client.because)),
                Some(at) => {
                    let line = Line::from(format!("removes it at its first start after {}", told(at)));
                    let note = if client.before_us { ", before this policy does" } else { "" };
                    line.and(note, Hue::Warn).and(format!(": {}", client.because), Hue::Plain)
                }
            };
            facts.push(Fact::new("Claude Code itself", value));
        }
        facts
    }

    fn put_precedence(&self, document: &mut Document, told: &dyn Fn(&str) -> String, paint: Paint<'_>) {
        let from = |source: &Source| from(source, paint);
        document.heading(format!("precedence: {}", PRECEDENCE.join(" > ")));
        let [hold, live, floor, delete, seal] = PRECEDENCE;
        let mut facts: Vec<Fact> = Vec::new();
        if self.holds.is_empty() {
            facts.push(Fact::new(hold, "none covers it"));
        }
        for each in &self.holds {
            let until =
                each.ends.as_ref().map_or_else(|| "without end".to_owned(), |at| format!("until {at}"));
            let by = from(&each.source);
            let what = format!("'{}' ({by}), {until}, binds {}: {}", each.name, each.binds, each.reason);
            facts.push(Fact::new(hold, what));
        }
        if let Some(life) = &self.liveness {
            let (quiet, hue) = match (&life.quiet_until, life.is_quiet) {
                (Some(until), true) => (format!("it counts as active until {}", told(until)), Hue::Warn),
                (Some(until), false) => (format!("it counted as active until {}", told(until)), Hue::Plain),
                (None, _) => ("none of its files tells when it was active".to_owned(), Hue::Plain),
            };
            let evidence = Line::of(life.evidence.clone(), if life.live { Hue::Warn } else { Hue::Plain });
            let by = format!(" (`quiet` {}, {})", life.quiet, from(&life.quiet_source));
            facts.push(Fact::new(live, evidence.and("; ", Hue::Plain).and(quiet, hue).and(by, Hue::Plain)));
        }
        if self.keep_at_least.is_empty() {
            facts.push(Fact::new(floor, "none"));
        }
        for each in &self.keep_at_least {
            let until = match (&each.until, each.over) {
                (Some(until), true) => format!("ended {}", told(until)),
                (Some(until), false) => format!("until {}", told(until)),
                (None, _) => "without end".to_owned(),
            };
            let what = format!("{} ({}), {until}", each.keep_at_least, from(&each.source));
            facts.push(Fact::new(floor, what));
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
                        .map_or_else(|| "never due".to_owned(), |due| format!("{state} {}", told(due)));
                    format!("'{}' ({}): after {}, {when}", rule.name, from(&rule.source), rule.after)
                },
            );
            facts.push(Fact::new(name, words));
        }
        document.facts(facts);
    }

    fn put_rules(&self, document: &mut Document, told: &dyn Fn(&str) -> String) {
        document.heading("rules considered");
        if self.rules.is_empty() {
            document.text("none");
        }
        let mut rows = Table::new(vec![
            Column::text("rule"),
            Column::new("from").rank(3),
            Column::new("action"),
            Column::new("after").rank(1),
            Column::new("due").rank(2),
            Column::text("standing"),
        ]);
        for rule in &self.rules {
            let hue = if rule.decides && rule.is_due { Hue::Warn } else { Hue::Plain };
            rows.coloured(
                hue,
                [
                    rule.name.clone(),
                    rule.source.layer.to_string(),
                    rule.action.to_owned(),
                    rule.after.clone(),
                    rule.due.as_deref().map_or_else(|| "-".to_owned(), told),
                    rule.standing.clone(),
                ],
            );
        }
        document.table(rows);
    }
}

/// Where a value comes from: the layer and its file.
fn from(source: &Source, paint: Paint<'_>) -> String {
    match &source.path {
        Some(path) => format!("{}, {}", source.layer, with_tilde(&text(path), paint.home)),
        None => source.layer.to_string(),
    }
}

impl Subject {
    fn describe(&self, document: &mut Document) {
        let title = match (self.is, &self.session, &self.path) {
            ("session", Some(id), _) => format!("session {id}"),
            (_, _, Some(path)) => path.clone(),
            _ => String::new(),
        };
        document.heading(title);
        let mut facts: Vec<Fact> = Vec::new();
        let mut line = |name: &str, what: &str| facts.push(Fact::new(name, what));
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
        document.facts(facts);
    }
}

impl Dates {
    fn describe(&self, document: &mut Document, told: &dyn Fn(&str) -> String, paint: Paint<'_>) {
        document.heading("dates");
        let mut facts: Vec<Fact> = Vec::new();
        let mut line = |name: &str, what: &str| facts.push(Fact::new(name, what));
        let or_dash = |at: &Option<String>| at.as_deref().map_or_else(|| "-".to_owned(), told);
        if let Some(record) = &self.record {
            line("last record", &told(record));
        }
        line("modified", &or_dash(&self.modified));
        if self.touched != self.modified {
            line("last touched", &or_dash(&self.touched));
        }
        if let Some(damaged) = &self.damaged {
            line(
                "damaged",
                &format!("{}, modification time of a file whose last lines cannot be read", told(damaged)),
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
            format!(" (`ageBy` {by}, {})", from(source, paint))
        });
        match &self.last_activity {
            Some(last) => line("counts", &format!("{}, {counts}{by}", told(last))),
            None => line("counts", &format!("none{by}")),
        }
        if let (true, Some(seconds)) = (self.differs, self.difference_seconds) {
            let days = counted(seconds.unsigned_abs() / 86_400, "day");
            let which = if seconds > 0 { "later" } else { "earlier" };
            let what = format!("the file is {days} {which} than its last record");
            facts.push(Fact::new("difference", Line::of(what, Hue::Warn)));
        }
        document.facts(facts);
    }
}
