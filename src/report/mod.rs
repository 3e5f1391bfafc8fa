//! Printings of plans, outcomes and findings: numbers first, then JSON, then words for people.

pub mod accounts;
mod actions;
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
pub mod services;
pub mod status;
pub mod style;
pub mod verification;
pub mod when;

pub use crate::run::Run;
