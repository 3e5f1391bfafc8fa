use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::naming::*;
use super::*;
use crate::catalogue::{Kind, SessionId};

const S: &str = "01234567-89ab-4cde-8f01-23456789abcd";

fn name(tree: Tree, path: &str, compression: Compression, copy: u32) -> String {
    sealed_name(tree, Path::new(path), compression, copy).unwrap().path.to_str().unwrap().to_owned()
}

#[test]
fn names_are_those_of_the_contract() {
    let transcript = format!("projects/-work-acme/{S}.jsonl");
    assert_eq!(session_folder(S.parse().unwrap()), Path::new("ccretain/sealed").join(S));
    assert_eq!(name(Tree::Store, &transcript, Compression::Zstd, 0), format!("{transcript}.zst.age"));
    assert_eq!(name(Tree::Store, &transcript, Compression::None, 0), format!("{transcript}.age"));
    assert_eq!(name(Tree::Store, &transcript, Compression::Zstd, 1), format!("{transcript}.1.zst.age"));
    assert_eq!(name(Tree::Temp, "tasks/a.output", Compression::Zstd, 0), "temp/tasks/a.output.zst.age");
    assert_eq!(part_name(OsStr::new("F.zst.age")), ".F.zst.age.part");
    assert!(is_part(OsStr::new(".F.zst.age.part")));
    for not in ["F.zst.age", ".part", "F.part", ".F"] {
        assert!(!is_part(OsStr::new(not)), "{not}");
    }
    let unfinished = |tree, path: &str| unfinished_name(S.parse().unwrap(), tree, Path::new(path));
    let one = unfinished(Tree::Store, "tool-results/a");
    assert!(is_part(&one) && is_unfinished(&one), "{one:?}");
    assert_ne!(one, unfinished(Tree::Temp, "tool-results/a"));
    assert_ne!(one, unfinished(Tree::Store, "tool-results/b"));
    for not in [
        ".a.part",
        ".ccretain-backup.part",
        ".ccretain-0123456789ABCDEF.part",
        "ccretain-0123456789abcdef.part",
    ] {
        assert!(!is_unfinished(OsStr::new(not)), "{not}");
    }
}

#[test]
fn paths_that_lead_elsewhere_have_no_name() {
    for path in ["", "/etc/passwd", "../x", "a/../b", "./x", "a/..", "."] {
        assert_eq!(
            sealed_name(Tree::Store, Path::new(path), Compression::Zstd, 0),
            Err(NameError::NotWithin),
            "{path}"
        );
        assert_eq!(original(Path::new(&format!("{path}/x.zst.age").replace("//", "/../"))), None, "{path}");
    }
    assert_eq!(sealed_name(Tree::Store, Path::new("temp/x"), Compression::Zstd, 0), Err(NameError::Reserved));
    let long = "x".repeat(250);
    assert_eq!(sealed_name(Tree::Store, Path::new(&long), Compression::Zstd, 0), Err(NameError::TooLong(5)));
    let fits = "x".repeat(241);
    let sealed = sealed_name(Tree::Store, Path::new(&fits), Compression::Zstd, 0).unwrap();
    assert_eq!(part_name(sealed.path.as_os_str()).len(), 255);
}

#[test]
fn the_way_back_knows_kinds_and_numbers() {
    let back = |path: &str| original(Path::new(path)).unwrap();
    let one = back(&format!("projects/P/{S}.jsonl.zst.age"));
    assert_eq!((one.tree, one.kind, one.copy), (Tree::Store, Some(Kind::Transcript), 0));
    assert_eq!(one.path, Path::new("projects/P").join(format!("{S}.jsonl")));
    let two = back(&format!("projects/P/{S}.jsonl.2.age"));
    assert_eq!((two.kind, two.copy, two.compression), (Some(Kind::Transcript), 2, Compression::None));
    assert_eq!(two.path, one.path);
    // The number is the original's own.
    let log = back("temp/scratchpad/log.1.zst.age");
    assert_eq!((log.tree, log.path, log.copy), (Tree::Temp, PathBuf::from("scratchpad/log.1"), 0));
    assert_eq!(log.kind, Some(Kind::TempFile));
    // Not known with or without the number.
    let odd = back("somewhere/x.1.zst.age");
    assert_eq!((odd.path, odd.copy, odd.kind), (PathBuf::from("somewhere/x.1"), 0, None));
    for not in
        ["session.json", "projects/P/.age", "projects/P/.zst.age", "a/.x.zst.age.part", "x.zst", "/x.age"]
    {
        assert_eq!(original(Path::new(not)), None, "{not}");
    }
}

#[test]
fn a_name_that_ends_in_zst_says_the_truth() {
    let sealed = sealed_name(Tree::Temp, Path::new("scratchpad/data.zst"), Compression::None, 0).unwrap();
    assert_eq!(
        (sealed.path.to_str().unwrap(), sealed.compression),
        ("temp/scratchpad/data.zst.zst.age", Compression::Zstd)
    );
    let back = original(&sealed.path).unwrap();
    assert_eq!((back.path.to_str().unwrap(), back.compression), ("scratchpad/data.zst", Compression::Zstd));
}

/// A path in a session's temp tree, where any name is content.
#[cfg(unix)]
fn any_path() -> impl Strategy<Value = PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = proptest::collection::vec(1u8..=255, 1..12).prop_map(|mut bytes| {
        bytes.iter_mut().filter(|b| **b == b'/').for_each(|b| *b = 0xff);
        bytes
    });
    let odd = prop_oneof![
        Just(b".zst".to_vec()),
        Just(b"x.age".to_vec()),
        Just(b"x.zst.age".to_vec()),
        Just(b"log.1".to_vec()),
        Just(b".1".to_vec()),
        Just(b"a.1.zst".to_vec()),
        Just(b"temp".to_vec()),
        Just(b"session.json".to_vec()),
        Just(b".x.part".to_vec()),
        Just(b"...".to_vec()),
        Just(b"a\nb".to_vec()),
        Just(b" ".to_vec()),
    ];
    let part = prop_oneof![bytes, odd]
        .prop_filter("folders of their own meaning", |part| !matches!(&part[..], b"." | b".."));
    proptest::collection::vec(part, 1..4)
        .prop_map(|parts| parts.into_iter().map(std::ffi::OsString::from_vec).collect())
}

#[cfg(unix)]
proptest! {
    #[test]
    fn any_path_comes_back_from_its_name(path in any_path(), none in any::<bool>()) {
        let compression = if none { Compression::None } else { Compression::Zstd };
        let sealed = sealed_name(Tree::Temp, &path, compression, 0).unwrap();
        let back = original(&sealed.path).unwrap();
        prop_assert_eq!(back.path, path);
        prop_assert_eq!((back.tree, back.compression, back.copy), (Tree::Temp, sealed.compression, 0));
        prop_assert!(!is_part(sealed.path.file_name().unwrap()));
    }

    #[test]
    fn a_copy_has_the_kind_of_its_original_and_no_two_names_meet(copy in 1u32..5000, none in any::<bool>()) {
        let compression = if none { Compression::None } else { Compression::Zstd };
        for path in [
            format!("projects/P/{S}.jsonl"), format!("projects/P/{S}/subagents/agent-a.jsonl"),
            format!("projects/P/{S}/tool-results/t.txt"), format!("debug/{S}.txt"),
        ] {
            let sealed = sealed_name(Tree::Store, Path::new(&path), compression, copy).unwrap();
            prop_assert_ne!(&sealed.path, &sealed_name(Tree::Store, Path::new(&path), compression, copy - 1).unwrap().path);
            let back = original(&sealed.path).unwrap();
            prop_assert_eq!(back.kind, kind_of(Tree::Store, Path::new(&path)));
            prop_assert!(back.kind.is_some());
            // Where any name is content the number may be the original's own.
            let numbered = kind_of(Tree::Store, Path::new(&format!("{path}.{copy}")));
            if numbered.is_none_or(Kind::is_by_place) {
                prop_assert_eq!((back.copy, back.path), (copy, PathBuf::from(&path)));
            } else {
                prop_assert!(path.contains("tool-results"), "{}", path);
            }
        }
    }
}

#[test]
fn only_folders_of_a_session_in_a_temp_tree_are_places_of_its_files() {
    let id: SessionId = "aaaaaaaa-0000-4000-8000-000000000001".parse().unwrap();
    let is_place = |folder: &str, path: &str| is_temp_place_of(Path::new(folder), Path::new(path), id);
    let digits = id.digits();
    assert!(is_place(&format!("/tmp/claude-0/-p/{id}"), "scratchpad/any/name"));
    assert!(is_place(&format!("/tmp/claude-0/s/{digits}"), "scratchpad/x"));
    // Output of old versions lies beside that of other sessions, under exactly its names.
    assert!(is_place("/tmp/claude-0/-p/tasks", "b1.output"));
    for (folder, path) in [
        ("/tmp/claude-0/-p/tasks", "b1.txt"),
        ("/tmp/claude-0/-p/tasks", "deep/b1.output"),
        ("/tmp/claude-0/-p/tasks", ".."),
        ("/tmp/claude-0/-p/background-commands", "b1.output"),
        ("/tmp/claude-0/-p/aaaaaaaa-0000-4000-8000-000000000002", "x"),
        ("/tmp/claude-0/s/123456789012", "scratchpad/x"),
        ("/tasks", "b1.output"),
    ] {
        assert!(!is_place(folder, path), "{folder} {path}");
    }
    assert!(!is_place(&format!("/tmp/claude-0/-p/{digits}"), "x"));
}
