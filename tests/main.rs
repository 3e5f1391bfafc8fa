//! The integration suite: one binary, a module a topic.

mod schedule;
mod schedule_cli;
