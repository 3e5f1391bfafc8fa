//! The options that all commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options of all verbs.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Change only this store (repeatable); the others are still read.
    #[arg(long = "store", value_name = "DIR", global = true, help_heading = "Global options")]
    pub stores: Vec<PathBuf>,
    /// Do it for every account of this machine, each with its own rights (root only; for enforce,
    /// purge, status, check, and the ledger of all).
    #[arg(long, global = true, help_heading = "Global options")]
    pub all_users: bool,
    /// Use this file instead of the user's policy.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub policy: Option<PathBuf>,
    /// Print one JSON document to stdout; of a failure, too.
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Say more: kept items and their reasons (-vv: also what the program does, on stderr).
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = "Global options")]
    pub verbose: u8,
    /// Say nothing but errors.
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
