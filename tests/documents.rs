//! Documents are made from the program and its tables, and checked: what is committed is what would be made today.
//!
//! With `CCRETAIN_BLESS` set the tests write the committed files anew instead of comparing them; all of those whose
//! names begin with `shipped` do: `CCRETAIN_BLESS=1 cargo test --test suite shipped`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ccretain::internals::policy::keys::{KEYS, schema};
use ccretain::internals::services::KEPT;

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
fn shipped_schema_of_policies_is_what_the_program_writes() {
    let name = Path::new("policy.schema.json");
    let made = Sandbox::new().run(["policy", "schema"]).exits(0).stdout.clone();
    compare(
        &root().join("packaging/schemas"),
        &BTreeMap::from([(name.to_owned(), made.into_bytes())]),
        |file| file == name,
    );
}

#[test]
fn pages_are_clean() {
    if !has("mandoc") {
        return skip("no mandoc on this machine");
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
        .split("Look:")
        .nth(1)
        .unwrap()
        .split("Options:")
        .next()
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.contains(&"enforce") && verbs.contains(&"man"), "{verbs:?}");
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

/// The table of what servers keep in the page on limits, from the one table of the program.
#[test]
fn shipped_limits_say_what_servers_keep() {
    const BEGIN: &str = "<!-- made from src/services.rs -->\n";
    let path = root().join("LIMITS.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the mark");
    let (_, after) = rest.split_once("<!-- end -->").expect("the end of it");
    let mut table = "| what | kept for | what ends it | taken from |\n| --- | --- | --- | --- |\n".to_owned();
    for kept in KEPT {
        let page = format!("[{}](https://{}), {}", kept.page.name(), kept.page.url, kept.page.date);
        table += &format!("| {} | {} | {} | {page} |\n", kept.what, kept.period, kept.deleted_by);
    }
    let made = format!("{before}{BEGIN}{table}<!-- end -->{after}");
    if std::env::var_os("CCRETAIN_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == made, "CCRETAIN_BLESS=1 cargo test --test suite shipped");
}

/// What the front pages link to is there, and every picture and page is linked to by a name that is right.
#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for name in ["README.md", "LIMITS.md", "packaging/mdm/README.md"] {
        let page = root().join(name);
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            if file.is_empty() {
                let heading =
                    |line: &str| line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-");
                assert!(
                    text.lines().any(|line| line.starts_with('#') && heading(line) == part),
                    "{name}: {link}"
                );
            } else {
                assert!(page.parent().unwrap().join(file).exists(), "{name}: {link}");
            }
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
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

/// The kit that a policy gives, written by the program.
fn kit(sandbox: &Sandbox, policy: Option<&Path>) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = sandbox.home().join("kit");
    let _ = fs::remove_dir_all(&folder);
    let run = sandbox.command(["mdm"]).arg(&folder);
    let run = match policy {
        Some(policy) => run.arg("--policy").arg(policy),
        None => run,
    };
    run.run().exits(0).quietly();
    files(&folder)
}

#[test]
fn shipped_kit_is_what_the_program_writes() {
    let made = kit(&Sandbox::new(), None);
    compare(&root().join("packaging/mdm"), &made, |name| name != Path::new("README.md"));
    let page = fs::read_to_string(root().join("packaging/mdm/README.md")).unwrap();
    let of_fleet = fs::read_to_string(root().join("packaging/mdm/fleet/README.md")).unwrap();
    for name in made.keys().map(|name| name.to_str().unwrap()).filter(|name| !name.starts_with("ansible/")) {
        let is_explained = match name.strip_prefix("fleet/") {
            Some("README.md") => page.contains(&format!("]({name})")),
            Some(name) => {
                of_fleet.contains(&format!("`{}`", Path::new(name).file_name().unwrap().to_str().unwrap()))
            }
            None => page.contains(&format!("`{name}`")),
        };
        assert!(is_explained, "{name} is not explained");
    }
}

/// The preferences that a profile forces, as the system would lay them down.
fn forced(profile: &[u8], domain: &str) -> plist::Value {
    let profile: plist::Value = plist::from_bytes(profile).unwrap();
    let payload = &profile.as_dictionary().unwrap()["PayloadContent"].as_array().unwrap()[0];
    let content = &payload.as_dictionary().unwrap()["PayloadContent"].as_dictionary().unwrap()[domain];
    let forced = &content.as_dictionary().unwrap()["Forced"].as_array().unwrap()[0];
    forced.as_dictionary().unwrap()["mcx_preference_settings"].clone()
}

/// What a profile forces is what the managed layer reads back, whatever the policy has in it.
#[test]
fn a_profile_says_the_same_as_its_policy() {
    use ccretain::internals::policy::{Layer, managed, parse};
    let sandbox = Sandbox::new();
    let mut policies = files(&root().join("packaging/policies"));
    policies.extend(files(&root().join("tests/policies/valid")));
    let mut seen = 0;
    for (name, text) in policies {
        let path = sandbox.write(name.to_str().unwrap(), &text);
        let kit = kit(&sandbox, Some(&path));
        // As the system lays it down, with a key of its own.
        let preferences = sandbox.root().join("Managed Preferences");
        fs::create_dir_all(&preferences).unwrap();
        let mut list = forced(&kit[Path::new("io.github.ccretain.mobileconfig")], managed::DOMAIN);
        list.as_dictionary_mut().unwrap().insert("PayloadUUID".into(), "x".into());
        list.to_file_binary(preferences.join("io.github.ccretain.plist")).unwrap();
        let owner = rustix::process::geteuid().as_raw();
        let layers = managed::read(&preferences, "ann", owner).unwrap();
        let [layer] = layers.as_slice() else { panic!("{}: {layers:?}", name.display()) };
        assert_eq!(layer.source.layer, Layer::Managed);
        let mut said = parse::policy(&text).unwrap();
        // Remarks are not pushed.
        (said.schema, said.comment) = (None, None);
        said.rules.iter_mut().flatten().for_each(|rule| rule.comment = None);
        said.holds.iter_mut().flatten().for_each(|hold| hold.comment = None);
        assert_eq!(layer.settings, said, "{}", name.display());
        assert_eq!(parse::policy(&kit[Path::new("managed-policy.json")]).unwrap(), said);
        // And the plain list, by the verb an administrator would ask.
        let list = sandbox.write("list.plist", &kit[Path::new("io.github.ccretain.plist")]);
        sandbox.command(["policy", "check"]).arg(&list).run().exits(0);
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

/// The client's settings in the kit are those that `policy client --emit` gives for the same policy.
#[test]
fn the_kit_matches_the_client() {
    let sandbox = Sandbox::new();
    for (name, text) in files(&root().join("packaging/policies")) {
        let path = sandbox.write(name.to_str().unwrap(), &text);
        let kit = kit(&sandbox, Some(&path));
        let settings: serde_json::Value =
            serde_json::from_slice(&kit[Path::new("managed-settings.json")]).unwrap();
        let emitted = sandbox.command(["policy", "client", "--emit", "--policy"]).arg(&path).run();
        assert_eq!(settings, emitted.exits(0).json(), "{}", name.display());
        let profile = &kit[Path::new("com.anthropic.claudecode.mobileconfig")];
        let list = forced(profile, "com.anthropic.claudecode");
        let days = list.as_dictionary().unwrap()["cleanupPeriodDays"].as_unsigned_integer();
        assert_eq!(days, settings["cleanupPeriodDays"].as_u64());
    }
}

#[test]
fn the_manifest_has_every_key() {
    let kit = kit(&Sandbox::new(), None);
    let manifest: serde_json::Value =
        serde_json::from_slice(&kit[Path::new("jamf/io.github.ccretain.json")]).unwrap();
    for key in KEYS {
        let mut place = &manifest;
        for step in key.path.split('.') {
            let options = place["anyOf"].as_array();
            let place_of =
                options.and_then(|options| options.iter().find(|option| option["properties"].is_object()));
            place = &place_of.unwrap_or(place)["properties"][step.trim_end_matches("[]")];
            if step.ends_with("[]") {
                assert!(place["items"].is_object(), "{}", key.path);
                place = &place["items"];
            }
        }
        assert_eq!(place["description"], key.description, "{}", key.path);
        assert!(place["property_order"].is_u64() && (place["type"].is_string() || place["anyOf"].is_array()));
    }
}

#[test]
fn lists_are_lists_to_others_too() {
    if !has("python3") {
        return skip("no python3 on this machine");
    }
    let mut seen = 0;
    for folder in ["packaging/mdm", "packaging/launchd", "packaging/macos"] {
        for (name, text) in files(&root().join(folder)) {
            if !String::from_utf8_lossy(&text).contains("<!DOCTYPE plist") {
                continue;
            }
            let path = root().join(folder).join(name);
            let script = "import plistlib, sys; assert plistlib.load(open(sys.argv[1], 'rb'))";
            let output = Command::new("python3").args(["-c", script]).arg(&path).output().unwrap();
            assert!(
                output.status.success(),
                "{}: {}",
                path.display(),
                String::from_utf8_lossy(&output.stderr)
            );
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

/// Scripts that are shipped and cannot be run here are at least scripts, and call what there is.
#[test]
fn shipped_scripts_are_sound() {
    let sandbox = Sandbox::new();
    let has_check = sandbox.run(["check", "--help"]).code == Some(0);
    if !has_check {
        skip("calls of 'check' are not tried: the verb is not there");
    }
    let mut calls = 0;
    for folder in ["packaging", ".ci"] {
        for (name, text) in files(&root().join(folder)) {
            let Ok(text) = String::from_utf8(text) else { continue };
            let path = root().join(folder).join(&name);
            if text.starts_with("#!/bin/sh")
                || text.starts_with("#!/usr/bin/env bash")
                || name.starts_with("rpm")
            {
                let shell = if text.starts_with("#!/usr/bin/env bash") { "bash" } else { "sh" };
                let output = Command::new(shell).arg("-n").arg(&path).output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                if has("shellcheck") {
                    let output =
                        Command::new("shellcheck").args(["-x", "-s", shell]).arg(&path).output().unwrap();
                    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
                }
            }
            if !path.starts_with(root().join("packaging/mdm")) {
                continue;
            }
            // What follows the program's name up to the first thing that is not an argument.
            for rest in text.split("\"$program\" ").skip(1) {
                let words: Vec<&str> = rest
                    .lines()
                    .next()
                    .unwrap()
                    .split_whitespace()
                    .take_while(|word| {
                        word.trim_end_matches(')').starts_with(|c: char| c.is_alphanumeric() || c == '-')
                    })
                    .take_while(|word| !word.contains(['>', '|', ']']))
                    .map(|word| word.trim_end_matches(')'))
                    .collect();
                if words.is_empty() || (words.contains(&"check") && !has_check) {
                    continue;
                }
                sandbox.command(&words).arg("--help").run().exits(0);
                calls += 1;
            }
        }
    }
    assert!(calls >= 2, "{calls}");
}

/// What `SECURITY.md` names as the repetition of an attack is a test of the suite.
#[test]
fn the_tests_that_the_security_page_names_are_there() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let named: Vec<(&str, &str)> =
        text.split('`').skip(1).step_by(2).filter_map(|word| word.split_once("::")).collect();
    assert!(named.len() > 20, "{named:?}");
    for (module, test) in named {
        let source = fs::read_to_string(root().join(format!("tests/{module}.rs"))).unwrap();
        assert!(source.contains(&format!("fn {test}(")), "{module}::{test}");
    }
}

/// What other systems' programs print is taken from somebody who showed it, and read by a test.
#[test]
fn each_recorded_output_says_where_it_is_from() {
    let sources: Vec<u8> = files(&root().join("src")).into_values().flatten().collect();
    let sources = String::from_utf8(sources).unwrap();
    let mut recorded = files(&root().join("tests/recorded/macos"));
    recorded.retain(|name, _| name.extension().is_some_and(|ending| ending == "txt"));
    assert!(recorded.len() > 10, "{}", recorded.len());
    for (name, text) in recorded {
        let (name, text) = (name.display(), String::from_utf8(text).unwrap());
        for (at, head) in ["# command: ", "# version: ", "# source: http"].iter().enumerate() {
            assert!(text.lines().nth(at).is_some_and(|line| line.starts_with(head)), "{name} lacks '{head}'");
        }
        assert!(sources.contains(&format!("recorded/macos/{name}")), "no test reads {name}");
    }
}
