//! Handing in a machine: what a purge removes, and the certificate of what it did.
//!
//! What goes is decided in [`crate::plan::purge`] and removed by [`crate::enforce`]; here is what
//! has to be known before, and what it came to after a second look.

pub mod aftermath;
pub mod before;
pub mod certificate;
pub mod exceptions;
#[cfg(unix)]
pub mod merge;
pub mod unknown;

use crate::policy::selector::Selector;
use crate::policy::{Mandate, Policy, Rule};

/// What the one rule of a purge is called in reports and the ledger.
pub const RULE: &str = "purge";

/// The policy that a purge is carried out and reported by: the one in force, with the purge itself
/// as its only rule ([`crate::plan::purge::RULE`]).
pub fn acting(policy: &Policy) -> Policy {
    // Whether rules name a period is nothing to a purge.
    let mut acting = Policy { suspended: None, ..policy.clone() };
    // The last one is the user's own; its settings for stores and sealing are those that the run goes by.
    let Some(last) = acting.mandates.pop() else { return acting };
    let rule =
        Rule { name: RULE.to_owned(), selector: Selector::default(), seal_after: None, delete_after: None };
    // One mandate and one rule: whatever the policy's own rules demand is not what was asked for.
    acting.mandates = vec![Mandate { holds: Vec::new(), ..last.with_only(rule) }];
    acting
}
