//! Printings of plans, outcomes and findings: numbers first, then JSON, then words for people.

#[cfg(unix)]
pub mod accounts;
mod actions;
#[cfg(unix)]
pub mod all_users;
pub mod certificate;
pub mod check;
pub mod enforce;
pub mod explain;
pub mod hold;
pub mod html;
pub mod human;
pub mod json;
pub mod ledger;
pub mod list;
pub mod metrics;
pub mod policy;
pub mod purge;
pub mod readable;
mod remarks;
mod rows;
pub mod sealing;
pub mod services;
pub mod status;
pub mod verification;
pub mod when;

use crate::inventory::{Inventory, Session};
pub use crate::run::Run;

/// How many files a session has, and how many bytes, but for our own.
fn weight(inventory: &Inventory, session: &Session) -> (u64, u64) {
    let files = inventory.files(session).iter().map(|index| inventory.artifact(*index));
    let sizes = files.filter(|file| !file.is_own()).map(|file| file.stamp.size);
    sizes.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size))
}
