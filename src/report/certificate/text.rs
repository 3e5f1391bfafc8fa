//! The certificate as text.

use super::parts::{Extent, document, verdict};
use crate::document::{Document, Hue, Line, Paint};
use crate::purge::certificate::{Certificate, Imprint};

/// Longer lines are broken, where blanks let them be: a file has no terminal to fit.
const WIDTH: usize = 100;

const EXTENT: Extent =
    Extent { lines: usize::MAX, sightings: usize::MAX, rest: "in the document as JSON", own: None };

pub(super) fn page(certificate: &Certificate, imprint: &Imprint<'_>) -> String {
    let mut head = Document::default();
    head.text(Line::of(certificate.heading().to_uppercase(), Hue::Strong));
    head.text("");
    head.text(verdict(certificate));
    head.text("");
    head.blocks.extend(document(certificate, imprint, EXTENT).blocks);
    head.print(Paint::for_file(WIDTH))
}
