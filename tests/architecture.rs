//! Who may import whom: the rooms of the library, in the order of the pipeline.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Words and small types that every room may use, and that use no room but each other.
const COMMON: &[&str] = &[
    "catalogue",
    "environment",
    "error",
    "escape",
    "files",
    "findings",
    "fuzzing",
    "period",
    "platform",
    "words",
];

/// A row a room: its name and what it imports beside [`COMMON`]. What no file of it imports any more is no permission.
///
/// `plan` decides without seeing a disk, `inventory` looks without knowing a policy's rules, only `enforce` changes a
/// store, nobody knows the command line, and no stage of the pipeline knows that a schedule exists.
const ROOMS: &[(&str, &[&str])] = &[
    // What has no room above it imports only its own kind.
    ("catalogue", &[]),
    ("escape", &[]),
    ("words", &[]),
    ("period", &[]),
    ("platform", &[]),
    ("error", &[]),
    ("files", &[]),
    ("environment", &[]),
    ("threads", &[]),
    // What fuzz targets share; in no ordinary build.
    ("fuzzing", &[]),
    // Every finding of a check, by name.
    ("findings", &[]),
    // Claude Code's own settings.
    ("client", &[]),
    // How reports are laid out, whatever they say.
    ("document", &[]),
    // Facts of the vendor's pages.
    ("services", &[]),
    // Handles on folders: how a store is read and changed without following a link.
    ("dir", &[]),
    // What makes content readable elsewhere; looks at the machine and knows no store's content.
    // Folders of projects are reached by handles, without links.
    ("exposure", &["dir", "services"]),
    ("seal", &[]),
    ("policy", &["client", "dir", "seal"]),
    ("locate", &["dir"]),
    ("inventory", &["client", "dir", "locate", "seal", "threads"]),
    ("plan", &["inventory", "policy"]),
    ("guard", &["policy"]),
    ("ledger", &["policy"]),
    ("state", &["dir", "guard", "inventory"]),
    // It keeps the journal as it goes, so that no deed is without its intent.
    ("enforce", &["dir", "inventory", "ledger", "locate", "plan", "policy", "seal", "threads"]),
    // What a hold covers, and what of it has vanished.
    ("hold", &["client", "enforce", "inventory", "policy", "state"]),
    ("schedule", &[]),
    // The pages of the manual are printings of tables.
    ("manual", &["ledger", "policy", "services"]),
    ("kit", &["client", "policy"]),
    ("purge", &["enforce", "exposure", "inventory", "ledger", "locate", "plan", "policy", "seal"]),
    // The stages that commands share.
    (
        "run",
        &[
            "client",
            "dir",
            "enforce",
            // What else makes content readable is a part of a certificate.
            "exposure",
            "guard",
            "hold",
            "inventory",
            "ledger",
            "locate",
            "plan",
            "policy",
            "purge",
            "seal",
            "state",
        ],
    ),
    (
        "check",
        &[
            "client",
            "dir",
            "enforce",
            "exposure",
            "hold",
            "inventory",
            "ledger",
            "locate",
            "plan",
            "policy",
            "purge",
            "run",
            // When the next run starts is part of a verdict.
            "schedule",
            "seal",
            "services",
            "state",
        ],
    ),
    (
        "report",
        &[
            "check",
            "client",
            "document",
            "enforce",
            "exposure",
            "guard",
            "hold",
            "inventory",
            "ledger",
            "locate",
            "plan",
            "policy",
            "purge",
            "run",
            "services",
        ],
    ),
    // The command line, which nobody imports.
    (
        "cli",
        &[
            "check",
            "client",
            "document",
            "enforce",
            "hold",
            "inventory",
            "kit",
            "ledger",
            "locate",
            "manual",
            "plan",
            "policy",
            "purge",
            "report",
            "run",
            "schedule",
            "seal",
            "state",
        ],
    ),
];

/// The room of a file below `src`, and how many modules deep the file's own module is.
fn room(relative: &Path) -> (String, usize) {
    let parts: Vec<String> =
        relative.with_extension("").iter().map(|part| part.to_str().expect("UTF-8").to_owned()).collect();
    let depth = parts.len() - usize::from(parts.last().is_some_and(|last| last == "mod"));
    (parts[0].clone(), depth)
}

/// The code of a file without comments, and without the unit tests at its end, which may use anything.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines()
        .map(|line| if line.trim_start().starts_with("//") { "" } else { line })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The names that follow each `prefix` in a text: `crate::a::b` gives `a`, `crate::{a, b::c}` gives `a` and `b`.
fn names_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices(prefix) {
        if text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$') {
            continue;
        }
        let rest = &text[at + prefix.len()..];
        let first = |part: &str| -> String {
            part.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
        };
        if let Some(group) = rest.strip_prefix('{') {
            let mut level = 0_i32;
            let mut part = String::new();
            for character in group.chars() {
                match character {
                    '}' if level == 0 => break,
                    '{' => level += 1,
                    '}' => level -= 1,
                    ',' if level == 0 => {
                        names.insert(first(&part));
                        part.clear();
                        continue;
                    }
                    _ => {}
                }
                part.push(character);
            }
            names.insert(first(&part));
        } else {
            names.insert(first(rest));
        }
    }
    names.remove("");
    names
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn rooms_import_only_what_they_may() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed: BTreeMap<&str, BTreeSet<&str>> = ROOMS
        .iter()
        .map(|(name, imports)| (*name, imports.iter().chain(COMMON).copied().chain([*name]).collect()))
        .collect();
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    let mut unused: BTreeSet<(&str, &str)> =
        ROOMS.iter().flat_map(|(name, imports)| imports.iter().map(|import| (*name, *import))).collect();
    for file in sources(&src) {
        let relative = file.strip_prefix(&src).unwrap();
        let (name, depth) = room(relative);
        if name == "lib" {
            continue;
        }
        let text = code(&fs::read_to_string(&file).unwrap());
        if name == "main" {
            let used = names_after(&text, "ccretain::");
            assert!(used.iter().all(|name| name == "cli"), "main.rs starts the command line, not {used:?}");
            continue;
        }
        if relative.iter().any(|part| part == "tests" || part == "tests.rs") {
            continue;
        }
        looked_at += 1;
        let Some(may) = allowed.get(name.as_str()) else {
            wrong.push(format!("{}: the room `{name}` is in no row of the table", relative.display()));
            continue;
        };
        let to_root = "super::".repeat(depth);
        for used in names_after(&text, "crate::").into_iter().chain(names_after(&text, &to_root)) {
            unused.retain(|(room, import)| (*room, *import) != (&*name, &*used));
            // A chain of `super` that is longer than the path to the root would not compile.
            if used != "super" && !may.contains(used.as_str()) && is_room(&src, &used) {
                wrong.push(format!("{}: `{name}` may not import `{used}`", relative.display()));
            }
        }
    }
    assert!(looked_at > 5, "only {looked_at} files were looked at");
    wrong.extend(unused.iter().map(|(name, import)| format!("`{name}` may import `{import}` and does not")));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether a name of the crate's root is a room; macros and constants of the root are not.
fn is_room(src: &Path, name: &str) -> bool {
    src.join(format!("{name}.rs")).is_file() || src.join(name).is_dir()
}

/// Where the path of an artifact may be had as it is, name and all: to open or to compare it. Everywhere else it is
/// had as it may be shown, so that no message, report or record can hold a name that is content.
const SECRET_PATHS: &[&str] =
    &["inventory/paths.rs", "inventory/first_seen.rs", "plan/purge/pick.rs", "purge/before.rs"];

#[test]
fn names_that_are_content_are_had_in_few_places() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&src) {
        let relative = file.strip_prefix(&src).unwrap().to_str().unwrap();
        let uses = code(&fs::read_to_string(&file).unwrap()).contains("secret_path(");
        assert!(!uses || SECRET_PATHS.contains(&relative), "{relative}: show `path`, not `secret_path`");
    }
}

/// Every path that a text after `crate::` or `super::` names, `{…}` taken apart.
fn paths(text: &str) -> Vec<Vec<String>> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let mut found = Vec::new();
        let (mut level, mut part) = (0_i32, String::new());
        for character in group.chars() {
            match character {
                '}' if level == 0 => break,
                '{' => level += 1,
                '}' => level -= 1,
                ',' if level == 0 => {
                    found.extend(paths(&std::mem::take(&mut part)));
                    continue;
                }
                _ => {}
            }
            part.push(character);
        }
        found.extend(paths(&part));
        return found;
    }
    let first: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    if first.is_empty() {
        return Vec::new();
    }
    let rest = text[first.len()..].strip_prefix("::").map(paths).unwrap_or_default();
    if rest.is_empty() {
        return vec![vec![first]];
    }
    rest.into_iter().map(|rest| [vec![first.clone()], rest].concat()).collect()
}

/// The module of a file below `src`.
fn module(relative: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        relative.with_extension("").iter().map(|part| part.to_str().expect("UTF-8").to_owned()).collect();
    parts.pop_if(|last| last == "mod");
    parts
}

/// The modules whose names a module uses; not those above it and those in it, which are one with it.
fn used_by(module: &[String], text: &str, modules: &BTreeSet<Vec<String>>) -> BTreeSet<Vec<String>> {
    let mut used = BTreeSet::new();
    for (start, root) in [("crate::", true), ("super::", false)] {
        for (at, _) in text.match_indices(start) {
            if text[..at].ends_with(|before: char| before.is_alphanumeric() || "_$:".contains(before)) {
                continue;
            }
            let mut rest = &text[at + start.len()..];
            let mut above = module.len().saturating_sub(usize::from(!root));
            while let Some(further) = rest.strip_prefix("super::") {
                (rest, above) = (further, above.saturating_sub(1));
            }
            let base = if root { &[][..] } else { &module[..above] };
            for path in paths(rest) {
                let mut full = [base, &path].concat();
                while !full.is_empty() && !modules.contains(&full) {
                    full.pop();
                }
                if !full.is_empty() && !module.starts_with(&full) && !full.starts_with(module) {
                    used.insert(full);
                }
            }
        }
    }
    used
}

#[test]
fn files_import_each_other_in_no_circle() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_test = |path: &Path| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        path.iter().any(|part| part == "tests")
            || matches!(stem, "tests" | "fake" | "samples")
            || stem.ends_with("_tests")
    };
    let texts: BTreeMap<Vec<String>, String> = sources(&src)
        .into_iter()
        .filter(|file| !is_test(file.strip_prefix(&src).unwrap()))
        .map(|file| (module(file.strip_prefix(&src).unwrap()), code(&fs::read_to_string(&file).unwrap())))
        .collect();
    let modules: BTreeSet<Vec<String>> = texts.keys().cloned().collect();
    let mut left: BTreeMap<&Vec<String>, BTreeSet<Vec<String>>> =
        texts.iter().map(|(module, text)| (module, used_by(module, text, &modules))).collect();
    assert!(left.len() > 100 && left.values().map(BTreeSet::len).sum::<usize>() > 1_000);
    // What uses nothing that is left is in no circle.
    loop {
        let there: BTreeSet<Vec<String>> = left.keys().map(|module| (*module).clone()).collect();
        let before = left.len();
        left.retain(|_, used| used.iter().any(|used| there.contains(used)));
        if left.len() == before {
            break;
        }
    }
    assert!(left.is_empty(), "{left:#?}");
}

/// Only these write files whole or not at all, and open without following links.
#[test]
fn files_are_opened_and_written_in_few_places() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&src) {
        let relative = file.strip_prefix(&src).unwrap();
        if relative.starts_with("files") || relative.iter().any(|part| part == "tests") {
            continue;
        }
        let text = code(&fs::read_to_string(&file).unwrap());
        assert!(!text.contains(".persist"), "{}: use `files::Draft`", relative.display());
        let has_handles = relative.starts_with("dir") || relative.starts_with("enforce/dir");
        let opens = text.contains("OFlags::NOFOLLOW");
        assert!(has_handles || !opens, "{}: open by `files` or a `Dir`", relative.display());
    }
}

/// A room imports only rooms above it in the table, so there can be no circle.
#[test]
fn the_table_has_an_order() {
    for (number, (name, imports)) in ROOMS.iter().enumerate() {
        for import in *imports {
            let above = ROOMS[..number].iter().any(|(other, _)| other == import);
            assert!(above, "`{name}` imports `{import}`, which is not above it");
        }
    }
}

#[test]
fn imports_are_found_however_they_are_written() {
    let text = code(
        "use crate::plan::{Decision, Due};\nuse crate::{guard, report::{human, json}};\n// crate::cli is a word here\nfn f() -> crate::ledger::Entry {}\nmacro_crate::other!();\n",
    );
    let expected = ["plan", "guard", "report", "ledger"].map(str::to_owned);
    assert_eq!(names_after(&text, "crate::"), BTreeSet::from(expected));
    assert_eq!(
        names_after("use super::super::cli::Args;", "super::super::"),
        BTreeSet::from(["cli".to_owned()])
    );
}

#[test]
fn a_file_knows_its_room() {
    assert_eq!(room(Path::new("plan.rs")), ("plan".to_owned(), 1));
    assert_eq!(room(Path::new("policy/mod.rs")), ("policy".to_owned(), 1));
    assert_eq!(room(Path::new("policy/load.rs")), ("policy".to_owned(), 2));
}
