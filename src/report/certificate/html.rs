//! The certificate as one page: nothing is fetched, nothing runs, and it prints on a sheet of A4.
//!
//! The page holds the JSON document byte for byte, so that `ledger verify` can be given the page.

use std::fmt::Write as _;

use super::parts::{Extent, document};
use crate::document::{Document, escaped as esc};
use crate::purge::certificate::{Certificate, Imprint};

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

/// So much is shown that the page stays one; the document in it has all.
const EXTENT: Extent = Extent {
    lines: 12,
    sightings: 4,
    rest: "in the document that this page holds",
    own: Some("THIS-PAGE.html"),
};

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
    let mut verdict = Document::default();
    verdict.text(super::parts::verdict(certificate));
    let _ = writeln!(out, "<div class=\"verdict\">{}</div>", verdict.html().trim_end());
    out.push_str(&document(certificate, imprint, EXTENT).html());
    let name = esc(imprint.json_name.unwrap_or_default());
    let _ = write!(out, "</main>\n{OPEN}{name}{INNER}{}{CLOSE}\n</body>\n</html>\n", imprint.json);
    out
}
