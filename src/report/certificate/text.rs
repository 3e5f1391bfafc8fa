//! The certificate as text.

use std::fmt::Write as _;

use super::super::human::{counted, grouped, lines, size, table, wrap};
use super::super::json::time;
use crate::purge::certificate::{Certificate, ExceptionReason, Imprint, Parts, SeenWord};

/// Longer lines are broken, where blanks let them be.
const WIDTH: usize = 100;
/// So many files that were not reached are named.
const UNREACHED: usize = 10;
/// Where the facts at the top begin.
const INDENT: usize = 11;

pub(super) fn page(certificate: &Certificate, imprint: &Imprint<'_>) -> String {
    let parts = &certificate.parts;
    let mut out = String::new();
    let heading = certificate.heading().to_uppercase();
    let _ = writeln!(out, "{heading}\n{}\n", "=".repeat(heading.len()));
    let policy = &parts.policy;
    for (name, value) in [
        (
            "Verdict",
            format!("{}. {}", certificate.verdict.to_string().to_uppercase(), super::statement(certificate)),
        ),
        ("Id", parts.id.clone()),
        ("Tool", format!("{} {} (built {})", parts.tool.name, parts.tool.version, parts.tool.built)),
        ("Operator", super::operator(parts)),
        ("Machine", super::machine(&parts.host)),
        ("Time", format!("{} to {}", time(parts.started), time(parts.ended))),
        ("Asked for", super::asked(&parts.method.scope)),
        (
            "Method",
            "files were unlinked, lines left out by writing their files anew; nothing was overwritten"
                .to_owned(),
        ),
        ("Policy", format!("sha256 {}", policy.sha256)),
    ] {
        fact(&mut out, name, &value);
    }
    roots(parts, &mut out);
    removed(parts, &mut out);
    section(&mut out, "Looked at again");
    item(&mut out, &super::verification(parts));
    exceptions(parts, &mut out);
    remaining(parts, &mut out);
    risks(parts, &mut out);
    section(&mut out, "Ledger");
    let ledger = &parts.ledger;
    item(&mut out, &format!("'{}', run {}", ledger.path, ledger.run));
    item(
        &mut out,
        &format!("head when this was issued: record {}, sha256 {}", ledger.head.seq, ledger.head.sha256),
    );
    item(&mut out, &format!("sha256 of the certificate as JSON: {}", imprint.sha256));
    item(&mut out, &format!("compare: {}", super::comparing(imprint, None)));
    if let Some([by, signers, command]) = super::signature(parts, imprint) {
        section(&mut out, "Signature");
        item(&mut out, &by);
        let _ = writeln!(
            out,
            "  allowed_signers, once the key is known to be the organisation's:\n    {signers}"
        );
        let _ = writeln!(out, "  verify:\n    {command}");
    }
    section(&mut out, "Not claimed");
    for line in &certificate.not_claimed {
        item(&mut out, line);
    }
    out
}

fn section(out: &mut String, name: &str) {
    let _ = writeln!(out, "\n{}\n{}", name, "-".repeat(name.len()));
}

fn fact(out: &mut String, name: &str, value: &str) {
    for (at, line) in wrap(value, WIDTH - INDENT).iter().enumerate() {
        let name = if at == 0 { name } else { "" };
        let _ = writeln!(out, "{name:<INDENT$}{line}");
    }
}

fn item(out: &mut String, text: &str) {
    for (at, line) in wrap(text, WIDTH - 2).iter().enumerate() {
        let _ = writeln!(out, "{}{line}", if at == 0 { "- " } else { "  " });
    }
}

fn roots(parts: &Parts, out: &mut String) {
    section(out, "Roots this speaks of");
    let mut rows = table(&["root", "tree", "owner", "device", "file system", "volume", "encrypted"], &[3]);
    for row in super::root_rows(parts) {
        rows.row(row.to_vec());
    }
    if parts.stores.is_empty() {
        item(out, "none was found");
    } else {
        out.push_str(&lines(&rows));
    }
}

fn removed(parts: &Parts, out: &mut String) {
    section(out, "Removed");
    let counts = &parts.counts;
    let mut rows = table(&["kind", "files", "lines", "freed"], &[1, 2, 3]);
    for (kind, amount) in &counts.kinds {
        rows.row(vec![kind.clone(), grouped(amount.files), grouped(amount.lines), size(amount.bytes)]);
    }
    rows.row(vec!["total".to_owned(), grouped(counts.files), grouped(counts.lines), size(counts.bytes)]);
    out.push_str(&lines(&rows));
    item(
        out,
        &format!(
            "of {} in {}; {} became empty and went",
            counted(counts.sessions, "session"),
            counted(counts.projects, "project"),
            counted(counts.folders, "folder")
        ),
    );
    for form in super::forms(parts) {
        item(out, &form);
    }
}

fn exceptions(parts: &Parts, out: &mut String) {
    section(out, "Exceptions");
    if parts.exceptions.is_empty() {
        item(out, "none");
    }
    let unreached = parts.exceptions.iter().filter(|one| one.reason == ExceptionReason::Stopped);
    for exception in unreached.clone().take(UNREACHED) {
        item(out, &format!("{}: '{}'", exception.reason.word(), exception.path));
    }
    let rest = unreached.count().saturating_sub(UNREACHED) as u64;
    if rest > 0 {
        item(
            out,
            &format!("stopped: {} more were not reached (the JSON form lists them)", counted(rest, "file")),
        );
    }
    for exception in parts.exceptions.iter().filter(|one| one.reason != ExceptionReason::Stopped) {
        let path = if exception.path.is_empty() { String::new() } else { format!("'{}': ", exception.path) };
        let bytes = exception.bytes.map_or_else(String::new, |bytes| format!(" ({})", size(bytes)));
        item(out, &format!("{}: {path}{}{bytes}", exception.reason.word(), exception.detail));
    }
}

fn remaining(parts: &Parts, out: &mut String) {
    section(out, "What stays");
    if parts.remaining.is_empty() {
        item(out, "nothing that is known");
    }
    for remaining in &parts.remaining {
        let what = remaining.what.words();
        let much = format!("{}, {}", counted(remaining.files, "file"), size(remaining.bytes));
        item(out, &format!("{what}: '{}' ({much})", remaining.path));
    }
}

fn risks(parts: &Parts, out: &mut String) {
    section(out, "Residual risks: what can make content recoverable elsewhere");
    let (shown, absent) = super::risks(parts);
    for risk in shown {
        let word = if risk.seen == SeenWord::Yes { "SEEN" } else { "not known" };
        item(out, &format!("{word}: {} [{}]", risk.title, risk.id));
        let mut below = |text: &str| {
            for line in wrap(text, WIDTH - 4) {
                let _ = writeln!(out, "    {line}");
            }
        };
        if let Some(reason) = &risk.reason {
            below(&format!("why: {reason}"));
        }
        for sighting in &risk.evidence {
            let path = sighting.path.as_ref().map_or_else(String::new, |path| format!("'{path}': "));
            below(&format!("{path}{}", sighting.note));
        }
        below(&format!("do: {}", risk.remedy));
    }
    if !absent.is_empty() {
        item(out, &format!("looked for and not seen: {}", absent.join(", ")));
    }
}
