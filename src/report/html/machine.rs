//! The page about one account.

use crate::document::{Bar, Hue, escaped as esc};
use std::fmt::Write as _;

use super::data::{AHEAD, Machine, Share};
use super::page::{bars, cards, figure, finding, page, table};
use super::svg::{self, Mark, Plot};
use crate::check::Severity;
use crate::report::human::{counted, day, grouped, size};
use crate::report::json::{is_worth_a_row, time};

/// As many runs are drawn one by one.
const DRAWN: usize = 60;

#[allow(clippy::cast_precision_loss, reason = "a plot is no more exact than a pixel")]
fn float(number: u64) -> f64 {
    number as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a value of an axis")]
fn whole(value: f64) -> String {
    grouped(value.max(0.0).round() as u64)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a value of an axis")]
fn bytes(value: f64) -> String {
    // An axis has round numbers, so that their decimals say nothing.
    size(value.max(0.0).round() as u64).replace(".00 ", " ")
}

impl Machine {
    /// The page.
    pub fn html(&self) -> String {
        let mut out = String::new();
        let check = &self.check;
        let who = match &check.user {
            Some(user) => format!("{user} on {}", check.host),
            None => check.host.clone(),
        };
        let _ = writeln!(out, "<header><h1>Claude Code session data: {}</h1>", esc(&who));
        let _ = writeln!(
            out,
            "<p class=\"muted\">{} · ccretain {} · {}</p></header>\n<main>",
            esc(&check.now),
            esc(&check.version),
            esc(&self.policy())
        );
        self.cards(&mut out);
        self.findings(&mut out);
        self.plots(&mut out);
        self.stores(&mut out);
        self.runs(&mut out);
        self.client(&mut out);
        out.push_str("</main>\n");
        page(&format!("ccretain: {who}"), &out)
    }

    fn policy(&self) -> String {
        let digest = self.check.policy.as_ref().and_then(|policy| policy.get("sha256")?.as_str());
        match (digest, self.check.mode.as_deref()) {
            (Some(digest), mode) => {
                format!("policy {} ({})", digest.get(..12).unwrap_or(digest), mode.unwrap_or("enforce"))
            }
            (None, _) => "no usable policy".to_owned(),
        }
    }

    fn cards(&self, out: &mut String) {
        let check = &self.check;
        let sessions: u64 = check.stores.iter().map(|store| store.sessions).sum();
        let all: u64 = check.stores.iter().map(|store| store.bytes).sum();
        let overdue: u64 = check.stores.iter().map(|store| store.overdue).sum();
        let verdict = if check.compliant { Hue::Good } else { Hue::Bad };
        let bad = |is_bad: bool| if is_bad { Hue::Bad } else { Hue::Plain };
        let day = |time: &Option<String>, none: &str| time.as_deref().map_or(none, date).to_owned();
        cards(
            out,
            [
                ("verdict", check.verdict.replace('-', " "), verdict),
                ("sessions", grouped(sessions), Hue::Plain),
                ("size", size(all), Hue::Plain),
                ("overdue files and lines", grouped(overdue), bad(overdue > 0)),
                ("due now", counted(self.due.0.sessions, "session"), Hue::Plain),
                ("last good run", day(&check.last_good_run, "none"), Hue::Plain),
                ("next run", day(&check.next_run, "none known"), Hue::Plain),
            ],
        );
    }

    fn findings(&self, out: &mut String) {
        out.push_str("<section><h2>Findings</h2>\n");
        let (known, told): (Vec<_>, Vec<_>) =
            self.check.findings.iter().partition(|found| found.severity <= Severity::Info);
        let (low, told): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|found| found.severity <= Severity::Low);
        if told.is_empty() && low.is_empty() {
            out.push_str("<p class=\"ok\">Nothing is wrong.</p>\n");
        }
        told.iter().for_each(|found| finding(out, found));
        for (folded, what) in [(low, "of low severity"), (known, "more worth knowing")] {
            if folded.is_empty() {
                continue;
            }
            let _ = writeln!(out, "<details><summary>{} {what}</summary>", folded.len());
            folded.iter().for_each(|found| finding(out, found));
            out.push_str("</details>\n");
        }
        out.push_str("</section>\n");
    }

    fn plots(&self, out: &mut String) {
        out.push_str("<section><h2>What is there, and when it goes</h2>\n<div class=\"plots\">\n");
        let rows = |marks: &[Mark]| -> Vec<Vec<String>> {
            marks.iter().map(|mark| vec![mark.name.clone(), mark.text.clone()]).collect()
        };
        let mut put =
            |plot: Plot, header: [&str; 2], marks: &[Mark]| figure(out, &plot, header, &rows(marks));
        for (id, title, is_bytes) in
            [("ages", "Sessions by age", false), ("age-bytes", "Bytes of sessions by age", true)]
        {
            let of_age = |age: &super::data::Age| {
                let due = mark(&age.label, age.due, is_bytes);
                let all = mark(&age.label, age.all, is_bytes).bad(due.value);
                let text = if due.value > 0.0 { format!("{}, {} due", all.text, due.text) } else { all.text };
                Mark { text, ..all }
            };
            let marks: Vec<Mark> = self.ages.iter().map(of_age).collect();
            let undated = match self.undated.sessions {
                0 => String::new(),
                count => format!("; {} without a date", counted(count, "session")),
            };
            let about = format!("days since the last activity; in red what is due{undated}");
            let words = if is_bytes { bytes } else { whole };
            put(
                svg::columns(id, (title, &about), &marks, (words, is_bytes), 1),
                ["days", "sessions"],
                &marks,
            );
        }
        for (id, title, is_bytes) in
            [("due", "Sessions that fall due", false), ("due-bytes", "Bytes that fall due", true)]
        {
            let mut marks = vec![mark("now", self.due.0, is_bytes).class("bad")];
            marks.extend(
                self.due
                    .1
                    .iter()
                    .map(|(day, share)| mark(&day.format("%m-%d").to_string(), *share, is_bytes)),
            );
            let about = format!("now, and in the next {AHEAD} days; what is held or live is not among them");
            let words = if is_bytes { bytes } else { whole };
            put(svg::columns(id, (title, &about), &marks, (words, is_bytes), 5), ["day", "sessions"], &marks);
        }
        let others = |count: usize, what: &str| match count {
            0 => String::new(),
            count => format!("; {count} more {what}"),
        };
        let bar = |(name, share): &(String, Share)| Bar {
            name: name.clone(),
            amount: share.bytes,
            shown: size(share.bytes),
            hue: Hue::Plain,
        };
        let about = format!("by the folder the session began in{}", others(self.projects.1, "projects"));
        bars(out, ("Bytes by project", &about), self.projects.0.iter().map(bar).collect());
        let about = format!("of all stores{}", others(self.kinds.1, "kinds"));
        bars(out, ("Bytes by kind of file", &about), self.kinds.0.iter().map(bar).collect());
        out.push_str("</div></section>\n");
    }

    fn stores(&self, out: &mut String) {
        out.push_str("<section><h2>Stores</h2>\n");
        let rows: Vec<Vec<String>> = self
            .check
            .stores
            .iter()
            .filter(|store| is_worth_a_row(store.sessions, store.artifacts, &store.kind))
            .map(|store| {
                vec![
                    store.root.clone(),
                    store.kind.clone(),
                    store.owner.clone(),
                    grouped(store.sessions),
                    grouped(store.artifacts),
                    size(store.bytes),
                    store.oldest.as_deref().map_or("–", date).to_owned(),
                    grouped(store.overdue),
                ]
            })
            .collect();
        let header = ["store", "kind", "owner", "sessions", "files", "size", "oldest", "overdue"];
        table(out, &header, &[3, 4, 5, 7], &rows);
        out.push_str("</section>\n");
    }

    fn runs(&self, out: &mut String) {
        out.push_str("<section><h2>Runs</h2>\n");
        if self.runs.is_empty() {
            out.push_str("<p class=\"muted\">The ledger of this account records no run.</p></section>\n");
            return;
        }
        let newest = &self.runs[self.runs.len().saturating_sub(DRAWN)..];
        let first = newest.first().map(|run| day(run.at)).unwrap_or_default();
        let last = newest.last().map(|run| day(run.at)).unwrap_or_default();
        let every = newest.len().div_ceil(8);
        out.push_str("<div class=\"plots\">\n");
        let name = |run: &super::Run| run.at.format("%m-%d").to_string();
        let of = |of: fn(&super::Run) -> (f64, String)| -> Vec<Mark> {
            let mark = |run: &super::Run| {
                let (value, text) = of(run);
                let ended = if run.exit == 0 { String::new() } else { format!(" (exit {})", run.exit) };
                let mark = Mark::new(name(run), value, text + &ended);
                if run.exit == 0 { mark } else { mark.class("bad") }
            };
            newest.iter().map(mark).collect()
        };
        let rows = |marks: &[Mark]| -> Vec<Vec<String>> {
            marks.iter().map(|mark| vec![mark.name.clone(), mark.text.clone()]).collect()
        };
        let about = format!("each column a run, from {first} to {last}; in red what failed");
        let marks = of(|run| (float(run.deleted), counted(run.deleted, "session")));
        let plot =
            svg::columns("deleted", ("Sessions deleted by run", &about), &marks, (whole, false), every);
        figure(out, &plot, ["run", "sessions"], &rows(&marks));
        let marks = of(|run| (float(run.freed), size(run.freed)));
        let plot = svg::columns("freed", ("Bytes freed by run", &about), &marks, (bytes, true), every);
        figure(out, &plot, ["run", "bytes"], &rows(&marks));
        self.trend(out);
        out.push_str("</div>\n<details><summary>all runs</summary>\n");
        let rows: Vec<Vec<String>> = self
            .runs
            .iter()
            .rev()
            .map(|run| {
                vec![
                    time(run.at),
                    run.verb.clone(),
                    run.exit.to_string(),
                    grouped(run.deleted),
                    grouped(run.sealed),
                    grouped(run.pruned),
                    size(run.freed),
                ]
            })
            .collect();
        let header = ["ended", "what", "exit", "deleted", "sealed", "lines pruned", "freed"];
        table(out, &header, &[2, 3, 4, 5, 6], &rows);
        out.push_str("</details></section>\n");
    }

    /// How many sessions stayed, run by run.
    fn trend(&self, out: &mut String) {
        let kept: Vec<_> = self.runs.iter().filter_map(|run| Some((run.at, run.kept?))).collect();
        let (Some((first, _)), Some((last, _))) = (kept.first(), kept.last()) else { return };
        #[allow(clippy::cast_precision_loss, reason = "a plot is no more exact than a pixel")]
        let seconds = |span: chrono::TimeDelta| span.num_seconds() as f64;
        let span = seconds(last.signed_duration_since(*first)).max(1.0);
        let points: Vec<(f64, Mark)> = kept
            .iter()
            .map(|(at, kept)| {
                let part = seconds(at.signed_duration_since(*first)) / span;
                (part, Mark::new(day(*at), float(*kept), counted(*kept, "session")))
            })
            .collect();
        let about = "how many sessions each run left";
        let ends = [day(*first), day(*last)];
        let plot = svg::curve(
            "trend",
            ("Sessions kept over time", about),
            &points,
            (whole, false),
            [&ends[0], &ends[1]],
        );
        let rows: Vec<Vec<String>> =
            points.iter().map(|(_, mark)| vec![mark.name.clone(), mark.text.clone()]).collect();
        figure(out, &plot, ["run", "sessions"], &rows);
    }

    fn client(&self, out: &mut String) {
        let mut rows: Vec<Vec<String>> = Vec::new();
        for client in &self.check.client {
            let store = client.get("store").and_then(|store| store.as_str()).unwrap_or_default();
            for row in client.get("rows").and_then(|rows| rows.as_array()).into_iter().flatten() {
                let text =
                    |key: &str| row.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
                let pinned = row.get("pinned").and_then(serde_json::Value::as_bool) == Some(true);
                rows.push(vec![
                    store.to_owned(),
                    text("subject"),
                    text("state"),
                    if pinned { format!("{} (pinned)", text("decidedBy")) } else { text("decidedBy") },
                    text("path"),
                ]);
            }
        }
        if rows.is_empty() {
            return;
        }
        out.push_str("<section><h2>What Claude Code keeps, sends and writes</h2>\n");
        table(out, &["config folder", "subject", "state", "decided by", "file"], &[], &rows);
        out.push_str("</section>\n");
    }
}

/// The day of a time.
pub(super) fn date(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

fn mark(name: &str, share: Share, is_bytes: bool) -> Mark {
    if is_bytes {
        Mark::new(name, float(share.bytes), size(share.bytes))
    } else {
        Mark::new(name, float(share.sessions), counted(share.sessions, "session"))
    }
}
