//! The frame of a page, and pieces that both kinds of page have.

use std::fmt::Write as _;

use super::style::CSS;
use crate::check::Severity;
use crate::document::{Bar, Block, Column, Document, Fact, Hue, Line, Table, escaped as esc};
use crate::report::check::Found;

/// A whole page.
pub(super) fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"generator\" content=\"ccretain {}\">\n\
         <title>{}</title>\n<style>{CSS}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        esc(title)
    )
}

/// Numbers that stand for themselves, each on a card.
pub(super) fn cards<const N: usize>(out: &mut String, cards: [(&str, String, Hue); N]) {
    let mut document = Document::default();
    document.facts(cards.map(|(what, value, hue)| Fact::new(what, Line::of(value, hue))).into());
    let _ = write!(out, "<div class=\"cards\">\n{}</div>\n", document.html());
}

/// Bars below each other, each with its name and its value.
pub(super) fn bars(out: &mut String, (title, about): (&str, &str), bars: Vec<Bar>) {
    let document = Document { blocks: vec![Block::Plot(bars)] };
    let _ = writeln!(
        out,
        "<figure><h3>{}</h3><p class=\"muted\">{}</p>\n{}</figure>",
        esc(title),
        esc(about),
        document.html()
    );
}

pub(super) fn class(severity: Severity) -> &'static str {
    severity.word()
}

/// A finding with its evidence and its remedy.
pub(super) fn finding(out: &mut String, found: &Found) {
    let class = class(found.severity);
    let user = found.user.as_ref().map_or_else(String::new, |user| format!("{}: ", esc(user)));
    let _ = writeln!(
        out,
        "<article class=\"{class}\"><h3><span class=\"tag {class}\">{class}</span> {user}{} <code>{}</code></h3>",
        esc(&found.title),
        esc(&found.id)
    );
    if !found.evidence.is_empty() {
        out.push_str("<ul>");
        for line in &found.evidence {
            let _ = write!(out, "<li>{}</li>", esc(line));
        }
        out.push_str("</ul>\n");
    }
    if !found.remedy.is_empty() {
        let _ = writeln!(out, "<p class=\"muted\">{}</p>", Line::from(found.remedy.as_str()).html());
    }
    out.push_str("</article>\n");
}

/// A table; the columns named in `numbers` are aligned to the right.
pub(super) fn table(out: &mut String, header: &[&str], numbers: &[usize], rows: &[Vec<String>]) {
    let column =
        |(at, title): (usize, &&str)| Column { is_number: numbers.contains(&at), ..Column::new(*title) };
    let mut table = Table::new(header.iter().enumerate().map(column).collect());
    rows.iter().for_each(|row| table.row(row.clone()));
    let mut document = Document::default();
    document.table(table);
    out.push_str(&document.html());
}

/// A plot with its numbers in a table.
pub(super) fn figure(out: &mut String, plot: &super::svg::Plot, header: [&str; 2], rows: &[Vec<String>]) {
    let _ = writeln!(out, "<figure><h3>{}</h3><p class=\"muted\">{}</p>", esc(&plot.title), esc(&plot.about));
    out.push_str(&plot.svg);
    if !rows.is_empty() {
        out.push_str("<details class=\"numbers\"><summary>numbers</summary>\n");
        table(out, &header, &[1], rows);
        out.push_str("</details>");
    }
    out.push_str("</figure>\n");
}
