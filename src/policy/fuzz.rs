//! Fuzz targets: what people and device management write.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use super::compile::Globs;
use super::selector::ProjectGlob;
use super::settings::Settings;
use super::spelling::Paths;
use super::{Layer, check, holds as own_holds, managed, mistakes, parse};
use crate::fuzzing::{Choices, Vocabulary, filled, json};

const HOME: &str = "/home/ann";

fn globs() -> Globs<'static> {
    Globs { home: Path::new(HOME), real_home: Path::new("/data/ann"), paths: Paths::default() }
}

/// A policy file, as each layer.
pub fn policy(data: &[u8]) {
    let mut choices = Choices::new(data);
    let text = text(&mut choices);
    let layer = [Layer::System, Layer::User, Layer::Managed][choices.below(3)];
    match parse::policy(&text) {
        Ok(settings) => {
            assert_eq!(again(&settings), Ok(said(&settings)), "what is written is read again");
            assert!(mistakes::all(&text).is_empty());
        }
        Err(error) => {
            let lines = text.split(|byte| *byte == b'\n').count();
            assert!((1..=lines).contains(&error.line) && error.column >= 1, "{error:?} of {lines} lines");
            let all = mistakes::all(&text);
            assert!(!all.is_empty(), "a text that is no policy has a mistake");
            for mistake in &all {
                assert!(!mistake.message.contains(char::is_control), "{mistake:?}");
                let _ = mistakes::excerpt(&text, mistake.line, mistake.column);
            }
        }
    }
    for message in check::judge(Path::new("p.json"), &text, layer, globs()).err().into_iter().flatten() {
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}

/// `holds.json`, and holds in a policy that is otherwise invalid.
pub fn holds(data: &[u8]) {
    let mut choices = Choices::new(data);
    let text = text(&mut choices);
    let path = Path::new("/holds.json");
    let rescued = own_holds::rescue(&text);
    let Ok(holds) = own_holds::parse(path, &text) else { return };
    let file = own_holds::HoldsFile { version: 1, holds: holds.clone() };
    assert_eq!(own_holds::parse(path, &serde_json::to_vec(&file).unwrap()).unwrap(), holds);
    let (found, is_all) = rescued;
    assert!(!is_all || found == holds, "{found:?} are said to be all of {holds:?}");
}

/// Managed preferences of macOS, and the same as JSON.
pub fn plist(data: &[u8]) {
    let mut choices = Choices::new(data);
    if choices.below(4) == 3 {
        let _ = managed::from_plist(choices.rest());
        return;
    }
    let text = text(&mut choices);
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&text) else {
        let _ = managed::from_plist(&text);
        return;
    };
    let mut list = Vec::new();
    if plist::to_writer_xml(&mut list, &value).is_err() {
        return;
    }
    let of_list = managed::from_plist(&list);
    // An empty text says nothing there, and neither do keys of the system.
    if value.to_string().contains("\"\"") {
        return;
    }
    let of_json = parse::policy(value.to_string().as_bytes());
    if let Ok(settings) = of_json {
        assert_eq!(of_list.as_ref(), Ok(&settings), "{value}");
    }
}

/// A glob and the path of a project.
pub fn glob(data: &[u8]) {
    let mut choices = Choices::new(data);
    let paths = Paths { ignore_case: choices.below(2) == 1, has_drives: choices.below(2) == 1 };
    let written = path(&mut choices, true);
    let project = path(&mut choices, false);
    let homes = [Path::new(HOME)];
    if let Ok(glob) = ProjectGlob::new(&project, &homes, paths) {
        let is_plain = project.starts_with('/') && !project.contains(['*', '?', '[', ']', '{', '}', '\\']);
        assert!(!is_plain || glob.matches(&project), "{project:?} matches itself");
        assert!(glob.may_overlap(&glob));
    }
    let Ok(glob) = ProjectGlob::new(&written, &homes, paths) else { return };
    let matches = glob.matches(&project);
    assert!(!matches || glob.covers(&project), "a hold of {written:?} covers less than a rule: {project:?}");
    if let Some(folder) = written.strip_suffix("/**").filter(|folder| !folder.is_empty())
        && !folder.contains(['*', '?', '[', ']', '{', '}', '\\', '~'])
    {
        assert!(glob.matches(folder), "{written:?} matches the folder itself");
    }
    if let Ok(other) = ProjectGlob::new(&project, &homes, paths)
        && matches
        && !project.contains(['*', '?', '[', ']', '{', '}', '\\', '~'])
    {
        assert!(glob.may_overlap(&other) && other.may_overlap(&glob), "{written:?} {project:?}");
    }
}

fn path(choices: &mut Choices<'_>, is_glob: bool) -> String {
    const PARTS: &[&str] = &[
        "/",
        "/",
        "work",
        "acme",
        "a",
        "..",
        ".claude/worktrees",
        "wt",
        "C:",
        "c:",
        "mnt/c",
        "wsl$",
        "wsl.localhost",
        "e\u{301}",
        "\u{e9}",
        "\u{130}",
        "\u{df}",
        "SS",
        " ",
        "//",
        "home/ann",
        "\\",
        "\\\\",
    ];
    const GLOBS: &[&str] = &["**", "*", "~/", "?", "[a-c]", "{a,b}", "[!", "/**", "~ann"];
    let mut text = choices.one_of(&["/", "/work", "C:\\", "\\\\", "~/", ""]).to_owned();
    for _ in 0..choices.below(8) {
        match choices.below(8) {
            0 | 1 if is_glob => text.push_str(choices.one_of(GLOBS)),
            2 => text.push_str(&String::from_utf8_lossy(choices.some())),
            _ => text.push_str(choices.one_of(PARTS)),
        }
    }
    text
}

/// The settings written down and read again.
fn again(settings: &Settings) -> Result<Settings, parse::SyntaxError> {
    parse::policy(&serde_json::to_vec(settings).unwrap())
}

/// What is written of settings: remarks are not.
fn said(settings: &Settings) -> Settings {
    let mut said = Settings { schema: None, comment: None, ..settings.clone() };
    for rule in said.rules.iter_mut().flatten() {
        rule.comment = None;
    }
    said
}

fn text(choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.below(4) {
        3 => choices.rest().to_vec(),
        2 => json(choices, &WORDS).into_bytes(),
        _ => {
            let mut shell = "{\"version\":1".to_owned();
            for _ in 0..choices.below(6) {
                let member = choices.one_of(&[
                    "\"rules\":[V,V]",
                    "\"holds\":[V]",
                    "\"rules\":[{\"name\":\"a\",\"deleteAfter\":\"7d\",\"projects\":V}]",
                    "\"holds\":[{\"name\":\"h\",\"reason\":\"r\",\"until\":V,\"projects\":V}]",
                    "\"guard\":V",
                    "\"ledger\":{\"keep\":V,\"names\":\"keyed\"}",
                    "\"stores\":{\"extra\":V}",
                    "\"recipients\":[V]",
                    "\"keepAtLeast\":V",
                ]);
                shell.push(',');
                shell.push_str(&filled(choices, &WORDS, member));
            }
            shell.push('}');
            shell.into_bytes()
        }
    }
}

const WORDS: Vocabulary = Vocabulary {
    keys: &[
        "name",
        "projects",
        "kinds",
        "sessions",
        "deleteAfter",
        "sealAfter",
        "reason",
        "until",
        "maxShare",
        "minSessions",
        "keep",
        "detail",
        "names",
        "extra",
        "exclude",
        "$comment",
        "rules",
        "holds",
        "mode",
        "quiet",
        "delteAfter",
    ],
    values: &[
        "\"30d\"",
        "\"1h\"",
        "\"never\"",
        "\"immediately\"",
        "\"30 days\"",
        "\"0d\"",
        "\"99999999999w\"",
        "\"audit\"",
        "\"off\"",
        "[\"/work/**\"]",
        "[\"~/x\",\"C:\\\\x\"]",
        "[\"debug-log\",\"transcript\"]",
        "[\"aaaaaaaa-0000-4000-8000-000000000001\"]",
        "\"2027-03-01T00:00:00Z\"",
        "\"2027-03-01\"",
        "0.5",
        "\"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\"",
        "{\"name\":\"a\",\"deleteAfter\":\"7d\"}",
        "{\"name\":\"h\",\"reason\":\"r\",\"projects\":[\"/w\"]}",
    ],
};
