//! The page about many machines, each by the document of its check.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};

use super::escape::esc;
use super::machine::date;
use super::page::{card, class, finding, page, table};
use super::svg::{self, Mark};
use crate::check::Severity;
use crate::report::check::Document;
use crate::report::human::{counted, grouped, size};

/// A document this much older than the page is stale: what it says was true then.
const STALE: TimeDelta = TimeDelta::days(7);
/// A clock may be ahead by this much; a document further ahead would never be stale.
const AHEAD: TimeDelta = TimeDelta::days(1);
/// As many findings are drawn.
const DRAWN: usize = 20;

/// A file that is no document of a check.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// Its path, as it is shown.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// Many machines.
#[derive(Debug)]
pub struct Fleet {
    /// One a machine and account, the worst first.
    machines: Vec<Document>,
    /// How many documents were left out because there is a newer one of the same machine.
    older: usize,
    /// Names that several machines have.
    doubles: BTreeSet<(String, Option<String>)>,
    unreadable: Vec<Unreadable>,
    now: DateTime<Utc>,
}

#[allow(clippy::cast_precision_loss, reason = "a plot is no more exact than a pixel")]
fn float(number: usize) -> f64 {
    number as f64
}

fn at(document: &Document) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(&document.now).ok().map(|at| at.to_utc())
}

/// Whether a document is too old, or has too wrong a date, to say how its machine is now.
fn is_stale(document: &Document, now: DateTime<Utc>) -> bool {
    at(document).is_none_or(|at| {
        let age = now.signed_duration_since(at);
        age > STALE || age < -AHEAD
    })
}

impl Fleet {
    /// Puts documents together; of several of one machine and account the newest counts.
    pub fn new(documents: Vec<Document>, unreadable: Vec<Unreadable>, now: DateTime<Utc>) -> Self {
        let all = documents.len();
        let mut newest: BTreeMap<(String, Option<String>, Option<String>), Document> = BTreeMap::new();
        for document in documents {
            // The verdict follows from the findings, whatever the document says of itself.
            let document = document.printable().counted();
            // Names are given twice, and so are ids, by images that machines are made from: what differs in
            // either is another machine, so that none hides behind another.
            let key = (document.host.clone(), document.machine.clone(), document.user.clone());
            let is_newer = newest.get(&key).is_none_or(|known| at(known) < at(&document));
            if is_newer {
                newest.insert(key, document);
            }
        }
        let mut machines: Vec<Document> = newest.into_values().collect();
        let count = |document: &Document, severity: Severity| {
            document.findings.iter().filter(|found| found.severity == severity).count()
        };
        let is_well = |document: &Document| document.compliant && !is_stale(document, now);
        machines.sort_by(|a, b| {
            is_well(a)
                .cmp(&is_well(b))
                .then_with(|| a.compliant.cmp(&b.compliant))
                .then_with(|| count(b, Severity::High).cmp(&count(a, Severity::High)))
                .then_with(|| count(b, Severity::Medium).cmp(&count(a, Severity::Medium)))
                .then_with(|| count(b, Severity::Low).cmp(&count(a, Severity::Low)))
                .then_with(|| (&a.host, &a.user, &a.machine).cmp(&(&b.host, &b.user, &b.machine)))
        });
        let (mut names, mut doubles) = (BTreeSet::new(), BTreeSet::new());
        for machine in &machines {
            let name = (machine.host.clone(), machine.user.clone());
            if !names.insert(name.clone()) {
                doubles.insert(name);
            }
        }
        Self { older: all - machines.len(), machines, doubles, unreadable, now }
    }

    /// How many machines there are.
    pub fn len(&self) -> usize {
        self.machines.len()
    }

    /// How many of them are compliant: of one that was not checked for a week nobody knows.
    pub fn compliant(&self) -> usize {
        self.machines.iter().filter(|machine| machine.compliant && !self.is_stale(machine)).count()
    }

    /// How many were not checked for a week.
    pub fn stale(&self) -> usize {
        self.machines.iter().filter(|machine| self.is_stale(machine)).count()
    }

    fn is_stale(&self, document: &Document) -> bool {
        is_stale(document, self.now)
    }

    /// The machine and account of a row, with the beginning of its id where another has its name.
    fn name(&self, machine: &Document) -> String {
        let who = match &machine.user {
            Some(user) => format!("{} ({user})", machine.host),
            None => machine.host.clone(),
        };
        let is_double = self.doubles.contains(&(machine.host.clone(), machine.user.clone()));
        match &machine.machine {
            Some(id) if is_double => format!("{who} {}", crate::report::ledger::short(id)),
            _ => who,
        }
    }

    /// The page.
    pub fn html(&self) -> String {
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
        self.verdicts(&mut out);
        self.by_finding(&mut out);
        self.table(&mut out);
        self.versions(&mut out);
        self.left_out(&mut out);
        out.push_str("</main>\n");
        page("ccretain: fleet", &out)
    }

    fn cards(&self, out: &mut String) {
        let (all, well) = (self.len(), self.compliant());
        out.push_str("<div class=\"cards\">\n");
        let share = (well * 100).checked_div(all).unwrap_or(0);
        card(
            out,
            "compliant",
            &format!("{well} of {all} ({share} %)"),
            if well == all { "ok" } else { "high" },
        );
        card(out, "not compliant", &grouped((all - well) as u64), if well == all { "" } else { "high" });
        let overdue: u64 =
            self.machines.iter().flat_map(|machine| &machine.stores).map(|store| store.overdue).sum();
        card(out, "overdue files and lines", &grouped(overdue), if overdue > 0 { "high" } else { "" });
        let sessions: u64 =
            self.machines.iter().flat_map(|machine| &machine.stores).map(|store| store.sessions).sum();
        card(out, "sessions", &grouped(sessions), "");
        let stale = self.stale();
        card(out, "not checked for a week", &grouped(stale as u64), if stale > 0 { "medium" } else { "" });
        let bad = self.unreadable.len();
        card(out, "files that could not be read", &grouped(bad as u64), if bad > 0 { "high" } else { "" });
        out.push_str("</div>\n");
    }

    fn verdicts(&self, out: &mut String) {
        let (all, well) = (self.len(), self.compliant());
        // Compliant when it was checked, which is too long ago to say so.
        let unknown = self.machines.iter().filter(|machine| machine.compliant).count() - well;
        let bad = all - well - unknown;
        let mark = |name: &'static str, count: usize| {
            Mark::new(name, float(count), counted(count as u64, "machine"))
        };
        let mut marks = vec![mark("compliant", well).class("good"), mark("not compliant", bad).class("bad")];
        if unknown > 0 {
            marks.push(mark("not checked for a week", unknown).class("soft"));
        }
        let about = format!("{well} compliant, {bad} not, {unknown} not checked for a week");
        let plot = svg::parts("verdicts", ("Verdicts", &about), &marks);
        let rows: Vec<Vec<String>> =
            marks.iter().map(|mark| vec![mark.name.clone(), mark.text.clone()]).collect();
        super::page::figure(out, &plot, ["verdict", "machines"], &rows);
    }

    fn by_finding(&self, out: &mut String) {
        // A machine counts once, however many accounts of it have the finding.
        let mut found: BTreeMap<&str, (Severity, &str, usize)> = BTreeMap::new();
        for machine in &self.machines {
            let mut of_machine: BTreeMap<&str, (Severity, &str)> = BTreeMap::new();
            for finding in machine.findings.iter().filter(|finding| finding.severity > Severity::Info) {
                let known = of_machine.entry(&finding.id).or_insert((finding.severity, &finding.title));
                known.0 = known.0.max(finding.severity);
            }
            for (id, (severity, title)) in of_machine {
                let known = found.entry(id).or_insert((severity, title, 0));
                known.0 = known.0.max(severity);
                known.2 += 1;
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(b.1.2.cmp(&a.1.2)).then(a.0.cmp(b.0)));
        if found.is_empty() {
            return;
        }
        out.push_str("<section><h2>Findings</h2>\n");
        let marks: Vec<Mark> = found
            .iter()
            .take(DRAWN)
            .map(|(id, (severity, _, count))| {
                let mark = Mark::new(*id, float(*count), counted(*count as u64, "machine"));
                match severity {
                    Severity::High => mark.class("bad"),
                    Severity::Medium => mark,
                    Severity::Low | Severity::Info => mark.class("soft"),
                }
            })
            .collect();
        let about = "how many machines have each, the most severe first; in red what is high";
        let plot = svg::bars("findings", ("Machines by finding", about), &marks);
        super::page::figure(out, &plot, ["finding", "machines"], &[]);
        let rows: Vec<Vec<String>> = found
            .iter()
            .map(|(id, (severity, title, count))| {
                vec![
                    severity.word().to_owned(),
                    (*id).to_owned(),
                    (*title).to_owned(),
                    grouped(*count as u64),
                ]
            })
            .collect();
        table(out, "", &["severity", "finding", "what it is", "machines"], &[3], &rows);
        out.push_str("</section>\n");
    }

    fn table(&self, out: &mut String) {
        out.push_str("<section><h2>Machines, the worst first</h2>\n<div class=\"wide\"><table><thead><tr>");
        for (name, is_number) in [
            ("machine", false),
            ("verdict", false),
            ("high", true),
            ("medium", true),
            ("low", true),
            ("sessions", true),
            ("size", true),
            ("overdue", true),
            ("oldest, days", true),
            ("last good run", false),
            ("checked", false),
            ("version", false),
        ] {
            let _ =
                write!(out, "<th scope=\"col\"{}>{name}</th>", if is_number { " class=\"n\"" } else { "" });
        }
        out.push_str("</tr></thead><tbody>\n");
        for machine in &self.machines {
            self.row(out, machine);
        }
        out.push_str("</tbody></table></div></section>\n");
    }

    fn row(&self, out: &mut String, machine: &Document) {
        let who = self.name(machine);
        let count =
            |severity: Severity| machine.findings.iter().filter(|found| found.severity == severity).count();
        let sum = |of: fn(&crate::report::check::Store) -> u64| machine.stores.iter().map(of).sum::<u64>();
        let oldest = machine.stores.iter().filter_map(|store| store.oldest_age_days).max();
        let (verdict, look) = match (machine.compliant, self.is_stale(machine)) {
            (false, _) => ("not compliant", "high"),
            (true, true) => ("not checked for a week", "medium"),
            (true, false) => ("compliant", "ok"),
        };
        let _ =
            write!(out, "<tr><th scope=\"row\">{}</th><td class=\"tag {look}\">{verdict}</td>", esc(&who));
        for severity in [Severity::High, Severity::Medium, Severity::Low] {
            let count = count(severity);
            let look = if count > 0 { class(severity) } else { "" };
            let _ = write!(out, "<td class=\"n {look}\">{count}</td>");
        }
        let stale = if self.is_stale(machine) { " medium" } else { "" };
        let _ = writeln!(
            out,
            "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"d\">{}</td><td class=\"d{stale}\">{}</td><td class=\"d\">{}</td></tr>",
            grouped(sum(|store| store.sessions)),
            esc(&size(sum(|store| store.bytes))),
            grouped(sum(|store| store.overdue)),
            oldest.map_or_else(|| "–".to_owned(), |days| days.to_string()),
            esc(machine.last_good_run.as_deref().map_or("none", date)),
            esc(date(&machine.now)),
            esc(&machine.version)
        );
        let told: Vec<_> = machine.findings.iter().filter(|found| found.severity > Severity::Info).collect();
        if !told.is_empty() {
            let count = counted(told.len() as u64, "finding");
            let _ = write!(out, "<tr class=\"more\"><td colspan=\"12\"><details><summary>{count}</summary>");
            told.iter().for_each(|found| finding(out, found));
            out.push_str("</details></td></tr>\n");
        }
    }

    fn versions(&self, out: &mut String) {
        out.push_str("<section><h2>Versions and policies</h2>\n");
        let mut versions: BTreeMap<String, u64> = BTreeMap::new();
        let mut policies: BTreeMap<String, u64> = BTreeMap::new();
        for machine in &self.machines {
            *versions.entry(machine.version.clone()).or_default() += 1;
            let digest = machine.policy.as_ref().and_then(|policy| policy.get("sha256")?.as_str());
            let digest = digest.map_or("none that can be used", |digest| digest.get(..12).unwrap_or(digest));
            *policies.entry(crate::escape::text(digest)).or_default() += 1;
        }
        let rows = |counts: BTreeMap<String, u64>| -> Vec<Vec<String>> {
            counts.into_iter().map(|(name, count)| vec![name, grouped(count)]).collect()
        };
        table(out, "", &["version", "machines"], &[1], &rows(versions));
        table(out, "", &["policy", "machines"], &[1], &rows(policies));
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
        let rows: Vec<Vec<String>> =
            self.unreadable.iter().map(|bad| vec![bad.path.clone(), bad.why.clone()]).collect();
        table(out, "", &["file", "why"], &[], &rows);
        out.push_str("</section>\n");
    }
}
