//! ccretain enforces retention on the session data that Claude Code leaves on a disk.

pub mod catalogue;
pub mod cli;
pub mod dir;
pub mod enforce;
pub mod environment;
pub mod error;
pub mod escape;
pub mod guard;
pub mod hold;
pub mod inventory;
pub mod ledger;
pub mod locate;
pub mod period;
pub mod plan;
pub mod platform;
pub mod policy;
pub mod report;
pub mod schedule;
pub mod seal;
pub mod state;
