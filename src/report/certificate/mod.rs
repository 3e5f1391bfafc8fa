//! The certificate of a purge in words: as text, and as one page for a browser or a printer.

mod html;
mod text;

use crate::purge::certificate::{Certificate, Format, Imprint};

/// A printing of a certificate; JSON is the certificate itself.
#[must_use]
pub fn print(certificate: &Certificate, format: Format, imprint: &Imprint<'_>) -> String {
    match format {
        Format::Json => imprint.json.to_owned(),
        Format::Html => html::page(certificate, imprint),
        Format::Text => text::page(certificate, imprint),
    }
}
