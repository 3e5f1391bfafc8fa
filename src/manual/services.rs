//! What servers keep, as the manual has it.

use super::roff::Roff;
use crate::services::{DATA_USAGE, KEPT, PROVIDERS, SERVICES};

/// Adds the section.
pub fn section(out: &mut Roff) {
    out.section("what servers keep").paragraph(
        "No command reaches what was sent to a server, and no certificate covers it. By the vendor's pages:",
    );
    for kept in KEPT {
        out.item(&kept.sentence());
    }
    out.paragraph(&format!(
        "Beside conversations Claude Code sends, by default ({}, {}):",
        DATA_USAGE.url, DATA_USAGE.date
    ));
    for service in &SERVICES {
        let defaults: Vec<String> = PROVIDERS
            .iter()
            .rev()
            .map(|provider| format!("{} with {}", service.usual(provider).word(), provider.name))
            .collect();
        out.term(service.name, &format!("{}. Off by: {}.", defaults.join(", "), service.setting));
        if let Some(changed) = service.changed {
            out.more(&format!("It changed: {changed}."));
        }
    }
    out.paragraph(
        "`ccretain check --services` says what holds on this machine, and which file decides that.",
    );
}
