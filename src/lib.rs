//! ccretain enforces retention on the session data that Claude Code leaves on a disk.

pub mod catalogue;
pub mod cli;
pub mod dir;
pub mod environment;
pub mod error;
pub mod escape;
pub mod inventory;
pub mod locate;
pub mod period;
pub mod plan;
pub mod platform;
pub mod policy;
pub mod schedule;
