//! The integration suite: one binary, a module a topic.
//!
//! Every test runs the built program in a [`common::Sandbox`]: a scratch home, scratch folders for state and policy, an
//! empty environment. Nothing outside it is read or changed.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "helpers of tests fail by panicking, and write the stores that the tests are about"
)]

mod access;
mod all_users;
mod all_users_accounts;
mod all_users_attacks;
mod architecture;
mod bad_input;
mod bounds;
mod came_back;
mod certificate;
mod check;
mod commands;
mod common;
mod counts;
mod damage;
mod dates;
mod desktop;
mod documents;
mod enforce;
mod evasions;
mod exposure;
mod faults;
mod first_run;
mod fleet;
mod growth;
mod guards;
mod harden;
mod harness;

mod help;
mod hold_restore;
mod holds;
mod homes;
mod hostile_files;
mod install;
mod lines;
mod managed;
mod mistakes;
mod mounts;
mod moved;
mod nested;
mod own_files;
mod own_folders;
mod owned_files;
mod owners;
mod pages;
mod policy_kit;
mod policy_places;
mod protects;
mod purge;
mod purge_claims;
mod purge_hard;
mod purge_session;
mod races;
mod readme;
mod real_client;
mod release;
mod report_html;
mod roots;
mod rows;
mod schedule;
mod schedule_cli;
mod schedule_system;
mod screen;
mod seal;
mod seal_copies;
mod seal_flushes;
mod seal_kills;
mod services;
mod settling;
mod spelling;
mod stops;
mod unread_records;
mod untrusted;
mod verbose;
mod verbs_explain;
mod verbs_ledger;
mod verbs_status;
mod worlds;
