//! Handing in a machine: what a purge removes, and the certificate of what it did.
//!
//! What goes is decided in [`crate::plan::purge`] and removed by [`crate::enforce`]; here is what
//! has to be known before, and what it came to after a second look.

pub mod aftermath;
pub mod before;
pub mod certificate;
pub mod merge;

use crate::policy::{Layer, Mandate, MassGuard, Mode, Policy, Rule, RuleLayer, Source, Sourced};

/// What the one rule of a purge is called in reports and the ledger.
pub const RULE: &str = "purge";

/// The policy that a purge is carried out and reported by: the one in force, with the purge itself
/// as its only rule ([`crate::plan::purge::RULE`]).
#[must_use]
pub fn acting(policy: &Policy) -> Policy {
    let source = Source { layer: Layer::User, path: None };
    let mut acting = policy.clone();
    let Some(last) = acting.mandates.pop() else { return acting };
    let rule = Rule {
        name: RULE.to_owned(),
        selector: crate::policy::selector::Selector::default(),
        seal_after: None,
        delete_after: None,
    };
    acting.mandates = vec![Mandate {
        mode: Sourced { value: Mode::Enforce, source: source.clone() },
        layers: vec![RuleLayer { source: source.clone(), rules: vec![rule] }],
        holds: Vec::new(),
        keep_at_least: None,
        guard: Sourced { value: MassGuard::Off, source },
        guard_has_grace: false,
        ..last
    }];
    acting
}
