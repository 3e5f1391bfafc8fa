//! Making a release: what is unreleased gets a version, and nothing names an address that nobody serves.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::Sandbox;
use crate::common::sandbox::has;
use crate::common::skip;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a release changes, in a folder of its own.
fn tree(sandbox: &Sandbox) -> std::path::PathBuf {
    let tree = sandbox.root().join("tree");
    for file in [
        "Cargo.toml",
        "Cargo.lock",
        "CHANGELOG.md",
        "packaging/release",
        "packaging/publisher",
        "packaging/debian/changelog",
    ] {
        fs::create_dir_all(tree.join(file).parent().unwrap()).unwrap();
        fs::copy(root().join(file), tree.join(file)).unwrap();
    }
    fs::write(
        tree.join("CHANGELOG.md"),
        "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One thing.\n\n## [0.0.9] - 2026-01-01\n\n- Old.\n",
    )
    .unwrap();
    tree
}

fn release(tree: &Path, words: &[&str]) -> Output {
    Command::new("bash")
        .arg(tree.join("packaging/release"))
        .args(words)
        .env("SOURCE_DATE_EPOCH", "0")
        .output()
        .unwrap()
}

#[test]
fn cutting_gives_what_is_unreleased_a_version() {
    let sandbox = Sandbox::new();
    let tree = tree(&sandbox);
    let read = |file: &str| fs::read_to_string(tree.join(file)).unwrap();
    let first = release(&tree, &["--cut", "7.8.9"]);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let log = read("CHANGELOG.md");
    let heads: Vec<&str> = log.lines().filter(|line| line.starts_with("## ")).collect();
    assert_eq!(heads.len(), 3, "{log}");
    assert_eq!(heads[0], "## [Unreleased]");
    assert!(heads[1].starts_with("## [7.8.9] - 20"), "{log}");
    assert!(log.find("One thing.").unwrap() > log.find("[7.8.9]").unwrap(), "{log}");
    for (file, line) in [
        ("Cargo.toml", "\nversion = \"7.8.9\"\n"),
        ("Cargo.lock", "name = \"ccretain\"\nversion = \"7.8.9\"\n"),
        ("packaging/debian/changelog", "ccretain (7.8.9-1) unstable"),
    ] {
        assert!(read(file).contains(line), "{file}");
        assert_eq!(read(file).matches("7.8.9").count(), 1, "{file}");
    }
    assert!(read("packaging/debian/changelog").contains(&format!("ccretain ({VERSION}-1)")));
    for (why, is_there) in [("has 7.8.9 already", "7.8.9"), ("nothing that is unreleased", "8.0.0")] {
        let again = release(&tree, &["--cut", is_there]);
        assert_eq!(again.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&again.stderr).contains(why));
        assert_eq!(read("CHANGELOG.md"), log);
    }
}

#[test]
fn a_release_that_nobody_publishes_is_refused() {
    if !has("git") {
        return skip("needs git");
    }
    let sandbox = Sandbox::new();
    let tree = tree(&sandbox);
    let refused = |words: &[&str], why: &str| {
        let output = release(&tree, words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(!tree.join("target").exists());
    };
    refused(&[], "which version?");
    refused(&["0.0.1", "--sign", "k"], "--cut 0.0.1");
    refused(&[VERSION], "a release is signed");
    let git = "git init -q && git add -A && git -c user.name=x -c user.email=x commit -qm x";
    assert!(Command::new("sh").args(["-ec", git]).current_dir(&tree).status().unwrap().success());
    refused(&[VERSION, "--sign", "k"], "the changelog has no");
    assert!(release(&tree, &["--cut", VERSION]).status.success());
    refused(&[VERSION, "--sign", "k"], "the tree is not clean");
    assert!(Command::new("sh").args(["-ec", git]).current_dir(&tree).status().unwrap().success());
    refused(&[VERSION, "--sign", "k"], "the publisher's maintainer");
}

/// What `packaging/publisher` says to these words, of a manifest with these lines in place of its own.
fn publisher(sandbox: &Sandbox, lines: &[(&str, &str)], words: &[&str], template: &str) -> Output {
    let tree = tree(sandbox);
    let mut manifest = fs::read_to_string(tree.join("Cargo.toml")).unwrap();
    for (own, other) in lines {
        let line = manifest.lines().find(|line| line.starts_with(own)).unwrap().to_owned();
        manifest = manifest.replace(&line, other);
    }
    fs::write(tree.join("Cargo.toml"), manifest).unwrap();
    let from = fs::File::open(sandbox.write("template", template.as_bytes())).unwrap();
    Command::new("python3")
        .arg(tree.join("packaging/publisher"))
        .args(words)
        .current_dir(sandbox.root())
        .stdin(from)
        .output()
        .unwrap()
}

#[test]
fn what_a_publisher_fills_in_stands_everywhere_as_it_was_written() {
    if !has("python3") {
        return skip("needs python3");
    }
    let sandbox = Sandbox::new();
    let lines = [
        (
            "authors = ",
            "authors = ['A & B | \\1 \"C\" / D <d@example.com>']\nhomepage = 'https://example.com/?a=1&b=2'",
        ),
        ("download = ", "download = 'https://example.com/a&b|c'"),
    ];
    let fill = |file: &str, pairs: &[&str]| {
        let template = fs::read_to_string(root().join(file)).unwrap();
        let output = publisher(&sandbox, &lines, &[&["fill"], pairs].concat(), &template);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let maintainer = "A & B | \\1 \"C\" / D <d@example.com>";
    let copyright = fill("packaging/debian/copyright", &[]);
    assert!(copyright.contains(&format!("\nUpstream-Contact: {maintainer}\n")), "{copyright}");
    assert!(copyright.contains("\nSource: https://example.com/?a=1&b=2\n"), "{copyright}");
    assert!(fill("packaging/debian/changelog", &[]).contains(&format!("\n -- {maintainer}  Mon, ")));
    // A value that looks like a place is none.
    let formula = fill("packaging/homebrew/ccretain.rb", &["VERSION=1.2.3", "SHA256=@VERSION@"]);
    for line in [
        "homepage \"https://example.com/?a=1&b=2\"",
        "url \"https://example.com/a&b|c/",
        "-1.2.3.tar.gz\"",
        "sha256 \"@VERSION@\"",
    ] {
        assert!(formula.contains(line), "{formula}");
    }
    // The shell reads the address as it is; what nobody gave stays a place.
    let script = fill("packaging/install.sh", &[]);
    assert!(script.contains("\nkey='@KEY@'\n"), "{script}");
    let assignment = script.lines().find(|line| line.starts_with("from=")).unwrap();
    let shell =
        Command::new("sh").args(["-c", &format!("{assignment}; printf %s \"$from\"")]).env_clear().output();
    assert_eq!(String::from_utf8(shell.unwrap().stdout).unwrap(), "https://example.com/a&b|c");
}

#[test]
fn what_would_end_a_text_in_a_script_is_refused() {
    if !has("python3") {
        return skip("needs python3");
    }
    let sandbox = Sandbox::new();
    for (own, other, why) in [
        ("download = ", "download = \"https://example.com/'; id; '\"", "the download"),
        ("download = ", "download = \"http://example.com\"", "the download"),
        ("download = ", "download = \"/srv/a b\"", "the download"),
        ("license = ", "license = 'MIT'\nhomepage = 'https://example.com/#{id}'", "the homepage"),
        ("license = ", "license = 'MIT'\nhomepage = 'https://example.com/$(id)'", "the homepage"),
        ("team = ", "team = 'A<b>'", "the team"),
        ("authors = ", "authors = [\"A\\nB <a@b>\"]", "the maintainer"),
        ("authors = ", "authors = ['nobody']", "the maintainer"),
    ] {
        let output = publisher(&sandbox, &[(own, other)], &["team"], "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{other}: {said}");
    }
}

/// Addresses stand for what somebody else serves; the project's own are the publisher's to say, in one place.
#[test]
fn no_file_names_an_address_of_the_project() {
    let mut folders = vec![root().to_owned()];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type().unwrap().is_dir() {
                if name != "target" && name != ".git" {
                    folders.push(path);
                }
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            read += 1;
            let is_end = |c: char| c.is_whitespace() || "\"'`<>)".contains(c);
            for (at, _) in text.match_indices("http") {
                let address = text[at..].split(is_end).next().unwrap_or_default();
                if !address.starts_with("http://") && !address.starts_with("https://") {
                    continue;
                }
                assert!(!address.contains("ccretain"), "{} names {address}", path.display());
            }
            // Put together here, so that this file is not one of those that it looks for.
            assert!(!text.contains(&["users.", "noreply"].concat()), "{} names a mailbox", path.display());
        }
    }
    assert!(read > 300, "{read}");
}
