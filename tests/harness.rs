//! The suite itself: every file is part of it, and its sandbox is one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::common::{Sandbox, Tree, days, id, store};

/// A file that `main.rs` does not name would not even be compiled, and its tests would pass for ever.
#[test]
fn every_file_is_a_module_of_the_suite() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    let modules: BTreeSet<String> = main
        .lines()
        .filter_map(|line| line.trim().strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned))
        .collect();
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        let path = entry.path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_module =
            path.extension().is_some_and(|extension| extension == "rs") || path.join("mod.rs").is_file();
        if is_module && stem != "main" {
            files.insert(stem);
        }
    }
    assert_eq!(modules, files);
}

#[test]
fn the_environment_of_a_run_is_the_sandbox_and_nothing_else() {
    let sandbox = Sandbox::new();
    let command = sandbox.command(["status"]).command();
    for (name, value) in command.get_envs() {
        let value = Path::new(value.unwrap_or_default());
        let inside = value.starts_with(sandbox.root());
        assert!(inside || name == "TZ" || name == "PATH", "{name:?} is {}", value.display());
    }
    assert!(command.get_current_dir().unwrap().starts_with(sandbox.root()));
}

#[test]
fn a_tree_tells_what_changed() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(3)).write();
    store.put("kept", "x", days(1));
    let before = sandbox.tree();
    assert!(before.has(format!(".claude/projects/-work-acme/{}.jsonl", id(1))));
    fs::remove_file(&session.transcript).unwrap();
    store.put("kept", "y", days(1));
    store.put("new", "z", days(1));
    let difference = before.difference(&Tree::of(&sandbox.home()));
    assert_eq!(difference.len(), 3, "{difference:?}");
    assert!(difference[0].starts_with("~ .claude/kept"), "{difference:?}");
    assert!(difference[1].starts_with("- .claude/projects"), "{difference:?}");
    assert!(difference[2].starts_with("+ .claude/new"), "{difference:?}");
}

#[test]
fn folder_names_are_the_clients() {
    assert_eq!(store::encode("/tmp/Ünï cödé_x.y (1)"), "-tmp--n--c-d--x-y--1-");
    assert_eq!(store::encode("/a/🙂"), "-a---");
}
