//! The options that all commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options of all verbs.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Change only this store (repeatable); others are read, not changed.
    #[arg(long = "store", value_name = "DIR", global = true, help_heading = "Global options")]
    pub stores: Vec<PathBuf>,
    /// Run for every account on this machine, with that account's privileges (root only; for enforce,
    /// purge, status, check, and the ledger of all).
    #[arg(long, global = true, help_heading = "Global options")]
    pub all_users: bool,
    /// Use this file instead of the user's policy.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub policy: Option<PathBuf>,
    /// Print one JSON document to stdout, also for errors.
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Tell more: a line a session (-vv: a line a file, and what the program does, on stderr).
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = "Global options")]
    pub verbose: u8,
    /// Print errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    pub quiet: bool,
    /// When to use colour.
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        global = true,
        help_heading = "Global options"
    )]
    pub color: Colour,
    /// Show no progress.
    #[arg(long, global = true, help_heading = "Global options")]
    pub no_progress: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
