//! What the front page says must be so.

use std::fs;
use std::path::Path;

use crate::common::{Sandbox, hours};

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
    let policies = blocks(&text, "json");
    assert_eq!(policies.len(), 1);
    for policy in policies {
        let file = sandbox.write("example.json", &policy);
        sandbox.command(["enforce", "--dry-run", "--policy"]).arg(&file).run().exits(0).quietly();
    }
}

/// The commands of the section run as they stand, without a terminal only with --yes.
#[test]
fn handing_in_a_laptop_takes_everything_and_certifies_it() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(hours(3)).write();
    let text = readme();
    let section = text.split("## Hand in a laptop").nth(1).unwrap();
    let block = blocks(section, "sh").remove(0);
    for line in block.lines() {
        let mut words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().skip(1).collect();
        if words[0] == "purge" && !words.contains(&"--dry-run") {
            words.push("--yes");
        }
        sandbox.run(words).exits(0).quietly();
    }
    assert!(!session.is_there());
    assert!(sandbox.home().join("purge.html").exists());
}

#[test]
fn it_is_short_and_in_order() {
    let text = readme();
    assert!(text.lines().count() <= 150, "{} lines", text.lines().count());
    let headings: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let expected = [
        "Install",
        "Start",
        "Encrypt what is idle",
        "Beside Claude Code's own cleanup",
        "Hand in a laptop",
        "Many machines",
        "More",
    ];
    assert_eq!(headings, expected);
}

/// What the page names in its sentences works with the policy that it shows.
#[test]
fn its_policy_is_checked_and_explains() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(hours(3)).write();
    sandbox.policy(&blocks(&readme(), "json")[0]);
    for command in ["policy init", "policy check", "completions bash", "explain 00000001"] {
        sandbox.run(command.split(' ')).exits(0);
    }
}
