//! Documents are made from the program and its tables, and checked: what is committed is what would be made today.
//!
//! With `CCRETAIN_BLESS` set the tests write the committed files anew instead of comparing them; all of those whose
//! names begin with `shipped` do: `CCRETAIN_BLESS=1 cargo test --test suite shipped`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ccretain::policy::keys::{KEYS, schema};

use crate::common::sandbox::has;
use crate::common::{Sandbox, skip};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder, by its path there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        for entry in
            fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).flatten()
        {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// Compares what is committed in a folder with what was made, or commits it where that is asked for.
fn compare(committed: &Path, made: &BTreeMap<PathBuf, Vec<u8>>, is_made: impl Fn(&Path) -> bool) {
    if std::env::var_os("CCRETAIN_BLESS").is_some() {
        fs::create_dir_all(committed).unwrap();
        for name in files(committed).into_keys().filter(|name| is_made(name) && !made.contains_key(name)) {
            fs::remove_file(committed.join(name)).unwrap();
        }
        for (name, content) in made {
            fs::create_dir_all(committed.join(name).parent().unwrap()).unwrap();
            fs::write(committed.join(name), content).unwrap();
        }
    }
    let found: BTreeMap<_, _> = files(committed).into_iter().filter(|(name, _)| is_made(name)).collect();
    for (name, content) in made {
        let there = found.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let made = String::from_utf8_lossy(content);
        assert!(
            there.as_deref() == Some(&*made),
            "{} is not what would be made today: CCRETAIN_BLESS=1 cargo test --test suite shipped",
            committed.join(name).display()
        );
    }
    let extra: Vec<_> = found.keys().filter(|name| !made.contains_key(*name)).collect();
    assert!(extra.is_empty(), "{}: nothing makes {extra:?}", committed.display());
}

#[test]
fn shipped_pages_are_what_the_program_writes() {
    let sandbox = Sandbox::new();
    let folder = sandbox.home().join("man");
    sandbox.command(["man"]).arg(&folder).run().exits(0).quietly();
    let made = files(&folder);
    assert!(made.len() > 10, "{:?}", made.keys());
    compare(&root().join("man"), &made, |_| true);
}

#[test]
fn pages_are_clean() {
    if !has("mandoc") {
        return skip("pages_are_clean", "no mandoc on this machine");
    }
    for name in files(&root().join("man")).keys() {
        let page = root().join("man").join(name);
        let output = Command::new("mandoc").args(["-T", "lint"]).arg(&page).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.is_empty(), "{said}");
        let output = Command::new("mandoc").args(["-T", "ascii"]).arg(&page).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("SEE ALSO") || text.contains("S\u{8}SE\u{8}EE\u{8}E"), "{text}");
    }
}

/// Every verb that the help names has a page, and a page names every option of its verb.
#[test]
fn pages_name_every_verb_and_option() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(["--help"]).stdout;
    let verbs: Vec<&str> = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.contains(&"enforce") && !verbs.contains(&"man"), "{verbs:?}");
    let program = fs::read_to_string(root().join("man/ccretain.1")).unwrap();
    for verb in verbs {
        let page = fs::read_to_string(root().join(format!("man/ccretain-{verb}.1"))).unwrap();
        let help = sandbox.run([verb, "--help"]).stdout;
        for word in help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
            if word.len() > 4 && word.starts_with("--") && !matches!(word, "--help" | "--version") {
                let escaped = word.replace('-', "\\-");
                assert!(page.contains(&escaped) || program.contains(&escaped), "{verb}: {word}");
            }
        }
        assert!(program.contains(&format!("ccretain\\-{verb}\\fR(1)")), "{verb}");
    }
}

#[test]
fn every_key_of_a_policy_is_in_the_manual_and_in_the_schema() {
    let page = fs::read_to_string(root().join("man/ccretain-policy.5")).unwrap();
    let schema = schema().to_string();
    for key in KEYS {
        assert!(page.contains(&format!("\\fB{}\\fR\\ (", key.path)), "{} is not in the manual", key.path);
        let name = key.path.rsplit('.').next().unwrap().trim_end_matches("[]");
        assert!(schema.contains(&format!("\"{name}\"")), "{} is not in the schema", key.path);
    }
}

/// All the policies that are shipped, or printed in a document, are policies.
#[test]
fn every_example_policy_is_valid() {
    let sandbox = Sandbox::new();
    let mut seen = 0;
    for (name, text) in files(&root().join("packaging/policies")) {
        let file = sandbox.write(name.to_str().unwrap(), text);
        sandbox.command(["policy", "check"]).arg(&file).run().exits(0).quietly();
        seen += 1;
    }
    assert!(seen >= 7, "{seen}");
}

#[test]
fn completions_are_scripts_of_their_shells() {
    let sandbox = Sandbox::new();
    for (shell, sign) in [
        ("bash", "complete -F _ccretain"),
        ("zsh", "#compdef ccretain"),
        ("fish", "complete -c ccretain"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let output = sandbox.run(["completions", shell]);
        output.exits(0).quietly().says(sign).says("dry-run");
        if shell == "powershell" || !has(shell) {
            continue;
        }
        let file = sandbox.write(shell, &output.stdout);
        let checked = Command::new(shell).arg("-n").arg(&file).output().unwrap();
        assert!(checked.status.success(), "{shell}: {}", String::from_utf8_lossy(&checked.stderr));
    }
}
