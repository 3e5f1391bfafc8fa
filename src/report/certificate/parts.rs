//! The certificate as a document, which both of its printings show.

use super::super::human::{counted, grouped, size, table};
use super::super::json::time;
use crate::document::{Document, Fact, Hue, Line};
use crate::purge::certificate::{
    Certificate, Exception, ExceptionReason, Imprint, Parts, ResidualRisk, SeenWord, Verdict,
};
use crate::words::by_note;

/// So many files that were not reached are named.
const UNREACHED: usize = 10;

/// How a printing of a certificate differs from the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// As many lines of one list are shown, where the document is beside them.
    pub lines: usize,
    /// As many places of one risk are.
    pub sightings: usize,
    /// Where the rest is, in words.
    pub rest: &'static str,
    /// What `ledger verify` is given where no JSON file was written.
    pub own: Option<&'static str>,
}

/// Everything below the heading and the verdict.
pub(super) fn document(certificate: &Certificate, imprint: &Imprint<'_>, extent: Extent) -> Document {
    let parts = &certificate.parts;
    let mut document = Document::default();
    let tool = &parts.tool;
    let facts = [
        ("Id", parts.id.clone()),
        ("Tool", format!("{} {} (built {})", tool.name, tool.version, tool.built)),
        ("Operator", super::operator(parts)),
        ("Machine", super::machine(&parts.host)),
        ("Time", format!("{} to {}", time(parts.started), time(parts.ended))),
        ("Asked for", super::asked(&parts.method.scope)),
        (
            "Method",
            "files were unlinked, lines left out by rewriting their files; nothing was overwritten"
                .to_owned(),
        ),
        ("Policy", format!("sha256 {}", parts.policy.sha256)),
    ];
    document.facts(facts.into_iter().map(|(name, value)| Fact::new(name, value)).collect());
    document.heading("Scope");
    roots(parts, &mut document);
    document.heading("Removed");
    removed(parts, &mut document);
    document.heading("Second scan");
    document.text(super::verification(parts));
    document.heading("Exceptions");
    document.list(exceptions(&parts.exceptions, extent));
    document.heading("What stays");
    document.list(remaining(parts, extent));
    document.heading("Residual risks: what can make content recoverable elsewhere");
    document.list(risks(parts, extent));
    document.heading("Ledger and proof");
    document.facts(proof(parts, imprint, extent));
    document.heading("Not claimed");
    document.list(certificate.not_claimed.iter().map(|line| Line::from(line.as_str())).collect());
    document
}

/// The verdict with what it means.
pub(super) fn verdict(certificate: &Certificate) -> Line {
    let hue = match certificate.verdict {
        Verdict::Complete => Hue::Good,
        Verdict::Partial | Verdict::CompleteExceptAsListed => Hue::Warn,
        Verdict::Incomplete => Hue::Bad,
    };
    let word = certificate.verdict.to_string().to_uppercase();
    Line::of(word, hue).and(format!(". {}", super::statement(certificate)), Hue::Plain)
}

fn roots(parts: &Parts, document: &mut Document) {
    if parts.stores.is_empty() {
        return document.text("none was found");
    }
    let mut rows = table(&["root", "tree", "owner", "device", "file system", "volume", "encrypted"], &[3]);
    super::root_rows(parts).into_iter().for_each(|row| rows.row(row));
    document.table(rows);
}

fn removed(parts: &Parts, document: &mut Document) {
    let counts = &parts.counts;
    let mut rows = table(&["kind", "files", "lines", "freed"], &[1, 2, 3]);
    for (kind, amount) in &counts.kinds {
        rows.row([kind.clone(), grouped(amount.files), grouped(amount.lines), size(amount.bytes)]);
    }
    rows.coloured(
        Hue::Strong,
        ["total".to_owned(), grouped(counts.files), grouped(counts.lines), size(counts.bytes)],
    );
    document.table(rows);
    let whole = format!(
        "of {} in {}; {} became empty and went",
        counted(counts.sessions, "session"),
        counted(counts.projects, "project"),
        counted(counts.folders, "folder")
    );
    document.list(std::iter::once(whole).chain(super::forms(parts)).map(Line::from).collect());
}

/// A list that was cut says so; an empty one says what that means.
fn cut(mut lines: Vec<Line>, extent: Extent, nothing: &str) -> Vec<Line> {
    let all = lines.len();
    if all == 0 {
        lines.push(nothing.into());
    } else if all > extent.lines {
        lines.truncate(extent.lines);
        lines.push(format!("and {} more, {}", all - extent.lines, extent.rest).into());
    }
    lines
}

fn exceptions(exceptions: &[Exception], extent: Extent) -> Vec<Line> {
    let is_unreached = |one: &&Exception| one.reason == ExceptionReason::Stopped;
    let unreached: Vec<&Exception> = exceptions.iter().filter(is_unreached).collect();
    let mut lines: Vec<Line> = unreached
        .iter()
        .take(UNREACHED)
        .map(|one| format!("{}: '{}'", one.reason.word(), one.path).into())
        .collect();
    if unreached.len() > UNREACHED {
        let rest = counted((unreached.len() - UNREACHED) as u64, "file");
        lines.push(format!("stopped: {rest} more were not reached (the JSON form lists them)").into());
    }
    for one in exceptions.iter().filter(|one| !is_unreached(one)) {
        let path = if one.path.is_empty() { String::new() } else { format!("'{}': ", one.path) };
        let bytes = one.bytes.map_or_else(String::new, |bytes| format!(" ({})", size(bytes)));
        lines.push(format!("{}: {path}{}{bytes}", one.reason.word(), one.detail).into());
    }
    cut(lines, extent, "none")
}

fn remaining(parts: &Parts, extent: Extent) -> Vec<Line> {
    let line = |one: &crate::purge::certificate::Remaining| {
        let much = format!("{}, {}", counted(one.files, "file"), size(one.bytes));
        Line::from(format!("{}: '{}' ({much})", one.what.words(), one.path))
    };
    cut(parts.remaining.iter().map(line).collect(), extent, "nothing that is known")
}

fn risks(parts: &Parts, extent: Extent) -> Vec<Line> {
    let (shown, absent) = super::risks(parts);
    let mut lines: Vec<Line> = shown.into_iter().map(|one| risk(one, extent)).collect();
    if !absent.is_empty() {
        lines.push(format!("looked for and not seen: {}", absent.join(", ")).into());
    }
    lines
}

fn risk(risk: &ResidualRisk, extent: Extent) -> Line {
    let is_seen = risk.seen == SeenWord::Yes;
    let (word, hue) = if is_seen { ("SEEN", Hue::Bad) } else { ("not known", Hue::Warn) };
    let mut said: Vec<String> = risk.reason.iter().cloned().collect();
    let sightings = risk.evidence.iter().take(extent.sightings);
    said.extend(by_note(sightings.map(|one| (one.path.clone(), one.note.clone()))));
    if risk.evidence.len() > extent.sightings {
        said.push(format!("and {} more, {}", risk.evidence.len() - extent.sightings, extent.rest));
    }
    let why = if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) };
    let line = Line::of(word, hue).and(format!(": {} [{}]{why}.", risk.title, risk.id), Hue::Plain);
    // On paper the remedy of what was not seen is left out, so that the page stays one.
    line.and(format!(" To do: {}.", risk.remedy), if is_seen { Hue::Plain } else { Hue::Dim })
}

fn proof(parts: &Parts, imprint: &Imprint<'_>, extent: Extent) -> Vec<Fact> {
    let ledger = &parts.ledger;
    let mut facts = vec![
        Fact::new("Ledger", format!("'{}', run {}", ledger.path, ledger.run)),
        Fact::new("Its head", format!("record {}, sha256 {}", ledger.head.seq, ledger.head.sha256)),
        Fact::new("As JSON", format!("sha256 {}", imprint.sha256)),
        Fact::new("Compare", super::comparing(imprint, extent.own)),
    ];
    if let Some([by, signers, command]) = super::signature(parts, imprint) {
        facts.push(Fact::new("Signature", by));
        facts.push(Fact::new("allowed_signers", format!("`{signers}`")));
        facts.push(Fact::new("Verify", format!("`{command}`")));
    }
    facts
}
