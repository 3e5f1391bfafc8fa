//! What the front page says must be so.

use std::fs;
use std::path::Path;

use crate::common::{Sandbox, days, hours};

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The fenced blocks of a language, in order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().trim_end().to_owned()).collect()
}

#[test]
fn the_first_two_commands_run_the_main_job_and_the_tests() {
    let blocks = blocks(&readme(), "sh");
    assert_eq!(blocks[0], "cargo run --release --locked -- enforce --dry-run");
    assert_eq!(blocks[1], "cargo test --locked");
}

#[test]
fn its_policies_are_policies() {
    let text = readme();
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(hours(3)).write();
    let mut policies = blocks(&text, "json");
    // And the one that is written by a command.
    policies.extend(
        text.lines().filter_map(|line| Some(line.split_once("echo '")?.1.split_once("' >")?.0.to_owned())),
    );
    assert_eq!(policies.len(), 2);
    for policy in policies {
        let file = sandbox.write("example.json", &policy);
        sandbox.command(["enforce", "--dry-run", "--policy"]).arg(&file).run().exits(0).quietly();
    }
}

#[test]
fn handing_in_a_laptop_takes_all_that_is_not_in_use() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(hours(3)).write();
    let working = sandbox.store().session(2).aged(days(0)).write();
    let policy = readme().split("echo '").nth(1).unwrap().split("' >").next().unwrap().to_owned();
    let file = sandbox.write("all.json", policy);
    sandbox.command(["enforce", "--yes", "--policy"]).arg(&file).run().exits(0);
    assert!(!session.is_there());
    assert!(working.is_there());
}
