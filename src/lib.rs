//! ccretain enforces retention on the session data that Claude Code leaves on a disk.
//!
//! This is the library that is the product; the program is its [`cli`]. The main verb reads as the
//! pipeline, and every other verb is a part of it:
//!
//! ```text
//! policy (layers) ─┐
//! locate ► inventory ─► plan ─► guard ─► enforce ─► report
//!                        └── a dry run stops here  │ ledger: intent, outcome
//! schedule: installs what calls `ccretain enforce`; no other room knows it exists
//! ```
//!
//! | room | what it does |
//! | --- | --- |
//! | [`catalogue`] | the one table of what the client leaves on disk, and how a name is recognised by it |
//! | [`platform`], [`environment`], [`period`], [`error`], [`escape`] | where things lie; who, where and when; spans of time; errors with paths; names fit to be shown |
//! | [`files`] | reading what others may have put somewhere, without waiting and up to a bound; files of our own |
//! | [`words`] | counts, sizes and sightings as people read them |
//! | [`findings`] | every finding of a check there can be |
//! | [`services`] | what the vendor keeps on its servers and what is sent there by default: facts of its pages, with dates |
//! | `fuzzing` | what the fuzz targets of the rooms share, each in its module `fuzz`; in no ordinary build |
//! | [`threads`] | the few threads that share work which goes over many files |
//! | [`client`] | Claude Code's own settings: its periods, its switches, and what they move |
//! | [`policy`] | what the layers say, and what they mean together |
//! | [`dir`] | folder handles, read only; nothing below a store is reached by a path |
//! | [`locate`] | the stores, by marks of the client, and what is refused as one |
//! | [`inventory`] | what is there at one moment, with its evidence |
//! | [`mod@plan`] | a decision and its reason for every artifact, by rules or for a purge; pure, and the file to read first |
//! | [`guard`] | what stops an unattended run; pure |
//! | [`enforce`] | the only room that changes a store |
//! | [`seal`] | compression and encryption as streams; the only user of the age crate |
//! | [`ledger`], [`state`] | the hash-chained record of what was done; what later runs must know |
//! | [`exposure`] | what makes content readable or recoverable elsewhere than in a store |
//! | [`purge`] | handing in a machine: the certificate of what was removed and what nobody can say |
//! | [`run`] | the stages that commands share: prepare, guard, execute, record; the parent of a run over all users |
//! | [`check`] | the posture of an account: facts gathered, findings made of them, and one verdict |
//! | [`document`] | reports as headings, facts, tables and plots, and their printing for a terminal, a pipe and a page |
//! | [`report`] | printings of plans, outcomes and findings |
//! | [`schedule`] | units and tables of schedulers |
//! | [`kit`] | files for device management, from a policy and the table of its keys |
//! | [`manual`] | the man pages, from the command line's definition and the tables of policies and the ledger |
//! | [`cli`] | what may be typed; the only room that reads the environment and the clock, and that prints |
//!
//! What a reader may rely on everywhere:
//!
//! - Doubt keeps. What is unknown, undated, in the future, in use, or not what it was when the plan
//!   was made, is not touched, and the report says why.
//! - Deciding and doing are apart. [`plan::Due`] can be made by the plan alone, so nothing can be
//!   removed that no rule demands; and it is consumed by [`enforce`], which compares every file
//!   with what the inventory saw before it acts.
//! - Nothing is touched before its intent is in the ledger and on disk.
//! - Platform differences are data, except where a system call differs.
//! - No content of a transcript reaches a message, a log, the ledger or a report.

mod catalogue;
mod check;
pub mod cli;
mod client;
mod dir;
// Its printers come into use report by report.
mod document;
mod enforce;
mod environment;
mod error;
mod escape;
mod exposure;
mod files;
mod findings;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod guard;
mod hold;
mod inventory;
mod kit;
mod ledger;
mod locate;
mod manual;
mod period;
mod plan;
mod platform;
mod policy;
mod purge;
mod report;
mod run;
mod schedule;
mod seal;
mod services;
mod state;
mod threads;
mod words;

/// What is fuzzed: every reader of bytes that others write. A name is that of a target in `fuzz/` and of a folder of
/// seeds; the function panics where a promise is broken.
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod targets {
    pub type Target = fn(&[u8]);

    pub const ALL: &[(&str, Target)] = &[
        ("client_settings", crate::client::fuzz::settings),
        ("crontab", crate::schedule::fuzz::crontab),
        ("dates", crate::cli::fuzz::dates),
        ("entries", crate::enforce::fuzz::entries),
        ("entry", crate::ledger::fuzz::entry),
        ("fleet", crate::report::html::fuzz::fleet),
        ("glob", crate::policy::fuzz::glob),
        ("history", crate::enforce::fuzz::history),
        ("holds", crate::policy::fuzz::holds),
        ("hook", crate::schedule::fuzz::settings),
        ("identity", crate::seal::fuzz::identity),
        ("ledger", crate::ledger::fuzz::ledger),
        ("log", crate::inventory::fuzz::log),
        ("manifest", crate::seal::fuzz::manifest),
        ("notes", crate::inventory::fuzz::notes),
        ("pid", crate::inventory::fuzz::pid),
        ("plist", crate::policy::fuzz::plist),
        ("policy", crate::policy::fuzz::policy),
        ("project_lists", crate::enforce::fuzz::project_lists),
        ("remembered_dates", crate::state::fuzz::dates),
        ("sealed", crate::seal::fuzz::sealed),
        ("state", crate::state::fuzz::state),
        ("transcript", crate::inventory::fuzz::transcript),
    ];

    /// Runs one of them.
    #[cfg(fuzzing)]
    pub fn run(name: &str, data: &[u8]) {
        let target = ALL.iter().find(|(known, _)| *known == name);
        target.unwrap_or_else(|| panic!("there is no target {name}")).1(data);
    }
}

/// What the project's own tests and benches look into; no interface for others.
#[doc(hidden)]
pub mod internals {
    pub mod catalogue {
        pub use crate::catalogue::Kind;
    }
    pub mod enforce {
        pub use crate::enforce::{Effect, Outcome, Outcomes, Skip, Tools, enforce};
    }
    pub mod environment {
        pub use crate::environment::{Environment, User};
    }
    pub mod exposure {
        pub use crate::exposure::{Finding, Risk, Seen, Subject, System, look, look_for, volume};
    }
    pub mod inventory {
        pub use crate::inventory::{Earlier, Inventory, Unremembered, take};
        pub mod liveness {
            pub use crate::inventory::liveness::System;
        }
    }
    pub mod ledger {
        pub use crate::ledger::{Clock, Expected, Ledger, LedgerError, Place, RunId, verify};
    }
    pub mod locate {
        pub use crate::locate::{Request, locate};
    }
    pub mod plan {
        pub use crate::plan::{Plan, plan};
    }
    pub mod platform {
        pub use crate::platform::Platform;
    }
    pub mod policy {
        pub use crate::policy::{Compression, Layer, LedgerPolicy, Policy, built_in, of};
        pub mod keys {
            pub use crate::policy::keys::{KEYS, schema};
        }
        pub mod load {
            pub use crate::policy::load::Places;
        }
        pub mod managed {
            pub use crate::policy::managed::{DOMAIN, read};
        }
        pub mod parse {
            pub use crate::policy::parse::policy;
        }
    }
    pub mod purge {
        pub mod certificate {
            pub use crate::purge::certificate::{
                Certificate, FileError, Files, Form, Format, Machine, Parts, ResidualRisk, Signing, digest,
                schema, verify_command,
            };
        }
    }
    pub mod report {
        pub mod certificate {
            pub use crate::report::certificate::print;
        }
    }
    pub mod schedule {
        pub use crate::schedule::{
            At, Backend, Every, Host, Job, LogFormat, Places, Program, Scheduler, Scope, SystemHost, render,
        };
    }
    pub mod seal {
        pub use crate::seal::{Plugins, Recipients, Sealer};
        pub mod key {
            pub use crate::seal::key::*;
        }
    }
    pub mod services {
        pub use crate::services::{KEPT, PROVIDERS, SERVICES};
    }
}
