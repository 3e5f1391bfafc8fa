//! ccretain enforces retention on the session data that Claude Code leaves on a disk.

pub mod catalogue;
pub mod environment;
pub mod error;
pub mod escape;
pub mod period;
pub mod platform;
pub mod policy;
pub mod schedule;
