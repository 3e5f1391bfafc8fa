//! What the command line says of itself: every `--help`, reviewed.

use std::fs;
use std::path::Path;

use crate::common::Sandbox;

/// The commands that a help names, in its order.
fn commands(help: &str) -> Vec<String> {
    // Those of the program stand in groups, of which this is the first.
    let list = help.split_once("\nCommands:\n").or_else(|| help.split_once("\nLook:\n"));
    let Some((_, list)) = list else { return Vec::new() };
    let is_group = |line: &str| line.ends_with(':') && line != "Options:";
    let lines = list.lines().take_while(|line| line.is_empty() || line.starts_with("  ") || is_group(line));
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The help of a command and of all below it.
fn all(sandbox: &Sandbox, words: &[String], out: &mut String) {
    let asked: Vec<String> = words.iter().cloned().chain(["--help".to_owned()]).collect();
    let help = sandbox.run(&asked).exits(0).quietly().stdout.clone();
    *out += &format!("$ ccretain {}\n{help}\n", asked.join(" "));
    for name in commands(&help) {
        all(sandbox, &[words, &[name]].concat(), out);
    }
}

/// Every `--help`, so that a change of the words is seen in review: `CCRETAIN_BLESS=1` writes it anew.
#[test]
fn shipped_help_is_what_was_reviewed() {
    let mut made = String::new();
    all(&Sandbox::new(), &[], &mut made);
    assert!(made.matches("$ ccretain").count() > 30, "{made}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help.txt");
    if std::env::var_os("CCRETAIN_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let reviewed = fs::read_to_string(&path).unwrap_or_default();
    let differs = reviewed.lines().zip(made.lines()).find(|(old, new)| old != new);
    assert!(
        reviewed == made,
        "the help is not what was reviewed, first at {differs:?}: CCRETAIN_BLESS=1 cargo test --test suite shipped"
    );
}
