//! The certificate as one page: nothing is fetched, nothing runs, and it prints on a sheet of A4.
//!
//! The page holds the JSON document byte for byte, so that `ledger verify` can be given the page.

use std::fmt::Write as _;

use super::super::html::escape::esc;
use super::super::human::{counted, size};
use super::super::json::time;
use crate::purge::certificate::{Certificate, Imprint, Parts, ResidualRisk, SeenWord, Verdict};

const STYLE: &str = include_str!("style.css");

/// What stands before the JSON document in a page, and after it; between them the name of the JSON file
/// may stand, which the page's commands speak of.
const OPEN: &str = "<script type=\"application/json\" id=\"certificate\" data-file=\"";
const INNER: &str = "\">";
const CLOSE: &str = "</script>";

/// A certificate that a page holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded<'p> {
    /// The JSON document, byte for byte.
    pub json: &'p str,
    /// The name of the JSON file that was written with the page; `None` where none was.
    pub name: Option<String>,
}

/// The certificate that a page holds; `None` where it holds none.
pub fn embedded(page: &str) -> Option<Embedded<'_>> {
    // Neither the name nor the document has a `<` or a quote of its own there, so the first end is theirs.
    let (name, rest) = page.split_once(OPEN)?.1.split_once(INNER)?;
    let (json, _) = rest.split_once(CLOSE)?;
    Some(Embedded { json, name: (!name.is_empty()).then(|| unesc(name)) })
}

/// The reverse of [`esc`].
fn unesc(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    plain.replace("&amp;", "&")
}

/// As many lines of one list are shown, so that the page stays one; the document in it has all.
const MOST: usize = 12;
/// As many places of one risk are.
const SIGHTINGS: usize = 4;

pub(super) fn page(certificate: &Certificate, imprint: &Imprint<'_>) -> String {
    let parts = &certificate.parts;
    let mut out = String::new();
    let heading = certificate.heading();
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{heading}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{heading}</h1>\n",
        esc(&parts.id)
    );
    let class = match certificate.verdict {
        Verdict::Complete => "good",
        Verdict::Partial | Verdict::CompleteExceptAsListed => "note",
        Verdict::Incomplete => "bad",
    };
    let _ = writeln!(
        out,
        "<p class=\"verdict {class}\"><strong>{}</strong> {}</p>",
        esc(&certificate.verdict.to_string().to_uppercase()),
        esc(&super::statement(certificate))
    );
    facts(parts, &mut out);
    roots(parts, &mut out);
    removed(parts, &mut out);
    list(&mut out, "Looked at again", &[super::verification(parts)]);
    exceptions(parts, &mut out);
    remaining(parts, &mut out);
    risks(parts, &mut out);
    ledger(parts, imprint, &mut out);
    list(&mut out, "Not claimed", &certificate.not_claimed);
    let name = esc(imprint.json_name.unwrap_or_default());
    let _ = write!(out, "</main>\n{OPEN}{name}{INNER}{}{CLOSE}\n</body>\n</html>\n", imprint.json);
    out
}

fn facts(parts: &Parts, out: &mut String) {
    out.push_str("<dl>\n");
    let tool = &parts.tool;
    for (name, value) in [
        ("Id", parts.id.clone()),
        ("Tool", format!("{} {} (built {})", tool.name, tool.version, tool.built)),
        ("Operator", super::operator(parts)),
        ("Machine", super::machine(&parts.host)),
        ("Time", format!("{} to {}", time(parts.started), time(parts.ended))),
        ("Asked for", super::asked(&parts.method.scope)),
        (
            "Method",
            "files unlinked, lines left out by writing their files anew; nothing overwritten".to_owned(),
        ),
        ("Policy", format!("sha256 {}", parts.policy.sha256)),
    ] {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", esc(&value));
    }
    out.push_str("</dl>\n");
}

fn list(out: &mut String, heading: &str, items: &[String]) {
    let _ = writeln!(out, "<section><h2>{heading}</h2>\n<ul>");
    for item in items {
        let _ = writeln!(out, "<li>{}</li>", esc(item));
    }
    out.push_str("</ul></section>\n");
}

fn head(out: &mut String, heading: &str, columns: &[(&str, bool)]) {
    let _ = write!(out, "<section><h2>{heading}</h2>\n<table>\n<thead><tr>");
    for (column, is_number) in columns {
        let class = if *is_number { " class=\"number\"" } else { "" };
        let _ = write!(out, "<th scope=\"col\"{class}>{column}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
}

fn roots(parts: &Parts, out: &mut String) {
    if parts.stores.is_empty() {
        return list(out, "Roots this speaks of", &["none was found".to_owned()]);
    }
    let columns = ["Root", "Tree", "Owner", "Device", "File system", "Volume", "Encrypted"];
    head(out, "Roots this speaks of", &columns.map(|column| (column, column == "Device")));
    for row in super::root_rows(parts) {
        let [root, tree, owner, device, file_system, volume, encrypted] = row.map(|cell| esc(&cell));
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\"><code>{root}</code></th><td>{tree}</td><td>{owner}</td>\
             <td class=\"number\">{device}</td><td>{file_system}</td><td><code>{volume}</code></td>\
             <td>{encrypted}</td></tr>"
        );
    }
    out.push_str("</tbody></table></section>\n");
}

fn removed(parts: &Parts, out: &mut String) {
    let counts = &parts.counts;
    let _ = writeln!(
        out,
        "<section><h2>Removed</h2>\n<p><strong>{} of {} in {}</strong>; {} became empty and went. By kind:</p>",
        esc(&super::amount(&counts.total())),
        counted(counts.sessions, "session"),
        counted(counts.projects, "project"),
        counted(counts.folders, "folder")
    );
    out.push_str("<ul class=\"kinds\">\n");
    for (kind, amount) in &counts.kinds {
        let _ = writeln!(out, "<li><b>{}</b> {}</li>", esc(kind), esc(&super::amount(amount)));
    }
    out.push_str("</ul>\n<ul>\n");
    for form in super::forms(parts) {
        let _ = writeln!(out, "<li>{}</li>", esc(&form));
    }
    out.push_str("</ul></section>\n");
}

fn exceptions(parts: &Parts, out: &mut String) {
    let shown = parts.exceptions.iter().take(MOST).map(|exception| {
        let path = if exception.path.is_empty() { String::new() } else { format!("'{}': ", exception.path) };
        format!("{}: {path}{}", exception.reason.word(), exception.detail)
    });
    list(out, "Exceptions", &cut(shown.collect(), parts.exceptions.len(), "none"));
}

fn remaining(parts: &Parts, out: &mut String) {
    let shown = parts.remaining.iter().take(MOST).map(|remaining| {
        let much = format!("{}, {}", counted(remaining.files, "file"), size(remaining.bytes));
        format!("{}: '{}' ({much})", remaining.what.words(), remaining.path)
    });
    list(out, "What stays", &cut(shown.collect(), parts.remaining.len(), "nothing that is known"));
}

/// A list that was cut says so; an empty one says what that means.
fn cut(mut items: Vec<String>, count: usize, nothing: &str) -> Vec<String> {
    if count == 0 {
        items.push(nothing.to_owned());
    } else if count > items.len() {
        items.push(format!("and {} more, in the document that this page holds", count - items.len()));
    }
    items
}

fn risks(parts: &Parts, out: &mut String) {
    let (shown, absent) = super::risks(parts);
    out.push_str("<section><h2>Residual risks: what can make content recoverable elsewhere</h2>\n");
    out.push_str("<ul class=\"risks\">\n");
    for risk in shown {
        one_risk(risk, out);
    }
    if !absent.is_empty() {
        let _ = writeln!(out, "<li>Looked for and not seen: {}</li>", esc(&absent.join(", ")));
    }
    out.push_str("</ul></section>\n");
}

fn one_risk(risk: &ResidualRisk, out: &mut String) {
    let (class, word) = if risk.seen == SeenWord::Yes { ("bad", "Seen") } else { ("note", "Not known") };
    let _ = write!(out, "<li><strong class=\"{class}\">{word}:</strong> {}", esc(&risk.title));
    let mut said: Vec<String> = risk.reason.iter().map(|reason| esc(reason)).collect();
    for sighting in risk.evidence.iter().take(SIGHTINGS) {
        let path =
            sighting.path.as_ref().map_or_else(String::new, |path| format!("<code>{}</code>: ", esc(path)));
        said.push(format!("{path}{}", esc(&sighting.note)));
    }
    if risk.evidence.len() > SIGHTINGS {
        said.push(format!(
            "and {} more, in the document that this page holds",
            risk.evidence.len() - SIGHTINGS
        ));
    }
    if said.is_empty() {
        out.push('.');
    } else {
        let _ = write!(out, " <span class=\"why\">({})</span>.", said.join("; "));
    }
    // On paper the remedy of what was not seen is left out, so that the page stays one.
    let class = if risk.seen == SeenWord::Yes { "remedy" } else { "remedy screen" };
    let _ = writeln!(out, " <span class=\"{class}\">To do: {}.</span></li>", esc(&risk.remedy));
}

fn ledger(parts: &Parts, imprint: &Imprint<'_>, out: &mut String) {
    let ledger = &parts.ledger;
    out.push_str("<section><h2>Ledger and proof</h2>\n<dl>\n");
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd><code>{}</code></dd></div>", esc(value));
    };
    fact("Ledger", &format!("{} (run {})", ledger.path, ledger.run));
    fact("Its head", &format!("record {}, sha256 {}", ledger.head.seq, ledger.head.sha256));
    fact("This as JSON", &format!("sha256 {}", imprint.sha256));
    fact("Compare", &super::comparing(imprint, Some("THIS-PAGE.html")));
    if let Some([by, signers, command]) = super::signature(parts, imprint) {
        fact("Signature", &by);
        fact("allowed_signers", &signers);
        fact("Verify", &command);
    }
    out.push_str("</dl></section>\n");
}
