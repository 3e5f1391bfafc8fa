//! The page about many machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::{Fleet, Key, LONGEST, Row, Spread, cut};
use crate::check::Severity;
use crate::document::{self, Bar, Column, Document as Printed, Hue, Line, Table, escaped as esc};
use crate::report::check::{Document, Found};
use crate::report::html::page::{bars, cards, page, table};
use crate::report::human::{counted, grouped, size};
use crate::report::ledger::short;

/// As many findings are drawn.
const DRAWN: usize = 20;
/// As many machines have a row; a browser is slow with more, and nobody reads them.
const WORST: usize = 500;
/// As many rows has every other table.
const LISTED: usize = 100;
/// So much is shown of what was found on one machine, in bytes of the page.
const DETAILS: usize = 6 << 10;
/// So many lines of evidence of one finding are shown.
const EVIDENCE: usize = 6;

impl Row {
    /// The row of the page, with what is folded below it.
    fn printed(&self, who: String, more: Option<(String, Printed)>, now: DateTime<Utc>) -> document::Row {
        let is_stale = self.is_stale(now);
        let (verdict, of_verdict) = match (self.compliant, is_stale) {
            (false, _) => ("not compliant", Hue::Bad),
            (true, true) => ("not checked for a week", Hue::Warn),
            (true, false) => ("compliant", Hue::Good),
        };
        let mut cells = vec![who, verdict.to_owned()];
        let mut marks = vec![Hue::Plain, of_verdict];
        for (severity, count) in
            [Severity::High, Severity::Medium, Severity::Low].into_iter().zip(self.counts)
        {
            cells.push(count.to_string());
            marks.push(if count > 0 { hue(severity) } else { Hue::Plain });
        }
        cells.extend([
            grouped(self.sessions),
            size(self.bytes),
            grouped(self.overdue),
            self.oldest.map_or_else(|| "–".to_owned(), |days| days.to_string()),
            self.last_good.as_deref().unwrap_or("none").to_owned(),
            self.checked.to_string(),
            self.version.to_string(),
        ]);
        marks.resize(cells.len() - 2, Hue::Plain);
        marks.push(if is_stale { Hue::Warn } else { Hue::Plain });
        document::Row { cells, marks, more, ..Default::default() }
    }
}

impl Fleet {
    /// The page; `read` reads a document again.
    pub fn html(&self, read: &dyn Fn(&Path) -> Option<Document>) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "<header><h1>Claude Code session data: {}</h1>",
            counted(self.len() as u64, "machine")
        );
        let _ = writeln!(
            out,
            "<p class=\"muted\">{} · ccretain {}</p></header>\n<main>",
            esc(&crate::report::json::time(self.now)),
            env!("CARGO_PKG_VERSION")
        );
        self.cards(&mut out);
        self.plots(&mut out);
        self.by_finding(&mut out);
        self.table(&mut out, read);
        self.versions_tables(&mut out);
        self.left_out(&mut out);
        out.push_str("</main>\n");
        page("ccretain: fleet", &out)
    }

    fn cards(&self, out: &mut String) {
        let (all, well) = (self.len(), self.compliant());
        let share = (well * 100).checked_div(all).unwrap_or(0);
        let share = format!("{} of {} ({share} %)", grouped(well as u64), grouped(all as u64));
        let (overdue, stale, bad) =
            (self.sum(|row| row.overdue), self.stale() as u64, self.unreadable.len() as u64);
        let any = |count: u64, hue: Hue| if count > 0 { hue } else { Hue::Plain };
        let rest = (all - well) as u64;
        let not_compliant = self.machines.values().filter(|row| !row.compliant).count() as u64;
        cards(
            out,
            [
                ("compliant", share, if rest == 0 { Hue::Good } else { Hue::Bad }),
                ("not compliant", grouped(not_compliant), any(not_compliant, Hue::Bad)),
                ("overdue files and lines", grouped(overdue), any(overdue, Hue::Bad)),
                ("sessions", grouped(self.sum(|row| row.sessions)), Hue::Plain),
                ("not checked for a week", grouped(stale), any(stale, Hue::Warn)),
                ("files that could not be read", grouped(bad), any(bad, Hue::Bad)),
            ],
        );
    }

    /// The verdicts, and how many machines have each finding.
    fn plots(&self, out: &mut String) {
        let (all, well) = (self.len(), self.compliant());
        // Compliant when it was checked, which is too long ago to say so.
        let unknown = self.machines.values().filter(|row| row.compliant).count() - well;
        let bad = all - well - unknown;
        let bar = |name: &str, amount: u64, hue: Hue| Bar {
            name: name.to_owned(),
            amount,
            shown: grouped(amount),
            hue,
        };
        let mut verdicts =
            vec![bar("compliant", well as u64, Hue::Good), bar("not compliant", bad as u64, Hue::Bad)];
        verdicts.extend((unknown > 0).then(|| bar("not checked for a week", unknown as u64, Hue::Dim)));
        out.push_str("<div class=\"plots\">\n");
        bars(out, ("Verdicts", "how many machines have each"), verdicts);
        let found = self.spread();
        let found = found.iter().take(DRAWN).map(|found| {
            let hue = match found.severity {
                Severity::High => Hue::Bad,
                Severity::Medium => Hue::Plain,
                Severity::Low | Severity::Info => Hue::Dim,
            };
            bar(found.id, found.machines, hue)
        });
        let about = "how many machines have each, the most severe first; in red what is high";
        let found: Vec<Bar> = found.collect();
        if !found.is_empty() {
            bars(out, ("Machines by finding", about), found);
        }
        out.push_str("</div>\n");
    }

    fn by_finding(&self, out: &mut String) {
        let found = self.spread();
        if found.is_empty() {
            return;
        }
        out.push_str("<section><h2>Findings</h2>\n");
        let row = |found: &Spread<'_>| {
            vec![
                found.severity.word().to_owned(),
                found.id.to_owned(),
                found.title.to_owned(),
                grouped(found.machines),
            ]
        };
        let rows: Vec<Vec<String>> = found.iter().take(LISTED).map(row).collect();
        table(out, &["severity", "finding", "what it is", "machines"], &[3], &rows);
        out.push_str("</section>\n");
    }

    fn table(&self, out: &mut String, read: &dyn Fn(&Path) -> Option<Document>) {
        let mut section = Printed::default();
        section.heading("Machines, the worst first");
        let text = [Column::head("machine"), Column::new("verdict")];
        let numbers =
            ["high", "medium", "low", "sessions", "size", "overdue", "oldest, days"].map(Column::number);
        let dates = ["last good run", "checked", "version"].map(Column::new);
        let mut table = Table::new(text.into_iter().chain(numbers).chain(dates).collect());
        let machines = self.worst();
        let mut names: BTreeMap<(&str, Option<&str>), u32> = BTreeMap::new();
        for (key, _) in &machines {
            *names.entry((&key.host, key.user.as_deref())).or_default() += 1;
        }
        for (key, row) in machines.iter().take(WORST) {
            let is_double = names.get(&(&*key.host, key.user.as_deref())).is_some_and(|count| *count > 1);
            // What has been written over in the meantime is another document.
            let again = read(&row.path).map(|document| document.printable().counted());
            let again = again.filter(|document| Key::of(document) == **key);
            let more = again.and_then(|document| details(&document.findings));
            table.rows.push(row.printed(name(key, is_double), more, self.now));
        }
        section.table(table);
        if machines.len() > WORST {
            let more = counted((machines.len() - WORST) as u64, "machine");
            let why = format!("{more} more: in the numbers above, and without a row here.");
            section.text(Line::of(why, Hue::Dim));
        }
        out.push_str(&section.html());
    }

    fn versions_tables(&self, out: &mut String) {
        out.push_str("<section><h2>Versions and policies</h2>\n");
        for (what, counts) in ["version", "policy"].into_iter().zip(self.versions()) {
            let mut rows: Vec<(&str, u64)> = counts.into_iter().collect();
            if rows.len() > LISTED {
                rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            }
            let rows = rows.iter().take(LISTED);
            let rows: Vec<Vec<String>> =
                rows.map(|(name, count)| vec![(*name).to_owned(), grouped(*count)]).collect();
            table(out, &[what, "machines"], &[1], &rows);
        }
        out.push_str("</section>\n");
    }

    fn left_out(&self, out: &mut String) {
        if self.older > 0 {
            let _ = writeln!(
                out,
                "<p class=\"muted\">{} left out, because there is a newer one of the same machine and account.</p>",
                counted(self.older as u64, "document")
            );
        }
        if self.unreadable.is_empty() {
            return;
        }
        out.push_str("<section><h2>Files that could not be read</h2>\n");
        let rows: Vec<Vec<String>> = self
            .unreadable
            .iter()
            .take(LISTED)
            .map(|bad| vec![cut(&bad.path, LONGEST), cut(&bad.why, LONGEST)])
            .collect();
        table(out, &["file", "why"], &[], &rows);
        if self.unreadable.len() > LISTED {
            let _ = writeln!(out, "<p class=\"muted\">and {} more</p>", self.unreadable.len() - LISTED);
        }
        out.push_str("</section>\n");
    }
}

/// The machine and account of a row, with the beginning of its id where another has its name.
fn name(key: &Key, is_double: bool) -> String {
    let who = match &key.user {
        Some(user) => format!("{} ({user})", key.host),
        None => key.host.to_string(),
    };
    match &key.machine {
        Some(id) if is_double => format!("{who} {}", short(id)),
        _ => who,
    }
}

/// What was found on a machine, the most severe first, as far as there is room, with its title; `None` where nothing was.
fn details(findings: &[Found]) -> Option<(String, Printed)> {
    let told: Vec<_> = findings.iter().filter(|found| found.severity > Severity::Info).collect();
    let (mut all, mut room, mut left) = (Printed::default(), DETAILS, told.len());
    for found in &told {
        let one = detail(found);
        let Some(rest) = room.checked_sub(one.html().len()) else { break };
        all.blocks.extend(one.blocks);
        (room, left) = (rest, left - 1);
    }
    if left > 0 {
        all.text(Line::of(format!("and {} more", counted(left as u64, "finding")), Hue::Dim));
    }
    (!told.is_empty()).then(|| (counted(told.len() as u64, "finding"), all))
}

fn detail(found: &Found) -> Printed {
    let mut one = Printed::default();
    let user = found.user.as_deref().map_or_else(String::new, |user| format!("{}: ", cut(user, LONGEST)));
    let title = format!(" {user}{} ", cut(&found.title, LONGEST));
    let id = format!("[{}]", cut(&found.id, LONGEST));
    one.text(Line::of(found.severity.word(), hue(found.severity)).and(title, Hue::Strong).and(id, Hue::Dim));
    let shown = |line: &String| Line::from(cut(line, 2 * LONGEST));
    let mut evidence: Vec<Line> = found.evidence.iter().take(EVIDENCE).map(shown).collect();
    if found.evidence.len() > EVIDENCE {
        evidence.push(format!("and {} more", found.evidence.len() - EVIDENCE).into());
    }
    one.list(evidence);
    if !found.remedy.is_empty() {
        one.text(Line::of(cut(&found.remedy, 2 * LONGEST), Hue::Dim));
    }
    one
}

fn hue(severity: Severity) -> Hue {
    match severity {
        Severity::High => Hue::Bad,
        Severity::Medium => Hue::Warn,
        Severity::Low => Hue::Plain,
        Severity::Info => Hue::Dim,
    }
}
