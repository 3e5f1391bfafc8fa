//! The certificate as text.

use crate::purge::certificate::{Certificate, Imprint};

pub(super) fn page(certificate: &Certificate, _imprint: &Imprint<'_>) -> String {
    format!("{}\n", certificate.heading())
}
