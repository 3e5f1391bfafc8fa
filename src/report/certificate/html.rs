//! The certificate as one page.

use crate::purge::certificate::{Certificate, Imprint};

pub(super) fn page(certificate: &Certificate, _imprint: &Imprint<'_>) -> String {
    format!("<!DOCTYPE html>\n<title>{}</title>\n", certificate.heading())
}
