use super::*;
use proptest::prelude::*;

const ID: &str = "aaaaaaaa-0000-4000-8000-000000000001";

fn classify(root: Root, path: &str) -> Option<Match> {
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap();
    let mut cursor = Cursor::at(root);
    for part in parts {
        cursor = cursor.enter(part.as_bytes());
    }
    cursor.classify(name.as_bytes())
}

#[test]
fn rows_are_numbered_like_their_kinds_and_names_are_unique() {
    for (at, row) in KINDS.iter().enumerate() {
        assert_eq!(row.kind as usize, at);
        assert_eq!(row.name.parse::<Kind>(), Ok(row.kind));
        assert!(row.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", row.name);
        assert!(!row.patterns.is_empty(), "{}", row.name);
    }
}

/// Every pattern is reachable: a path made from it is classified as its own row,
/// unless an earlier row is more exact.
#[test]
fn every_pattern_is_recognised_as_its_row() {
    for row in KINDS {
        for (root, pattern) in row.patterns {
            let path = pattern
                .replace("<S>", ID)
                .replace("<P>", "-home-x")
                .replace("<ms>", "1700000000000")
                .replace("<n>", "1700000000000")
                .replace("<date>", "2026-01-01T00-00-00-000Z")
                .replace("<hex>", "0123456789abcdef")
                .replace("<4hex>", "0123")
                .replace("<8hex>", "01234567")
                .replace("<32hex>", "0123456789abcdef0123456789abcdef")
                .replace("<6rand>", "aB3xYz")
                .replace("<uuid>", "bbbbbbbb-0000-4000-8000-000000000002")
                .replace("<digits>", "000123456789")
                .replace("<**>.", "deep/er/file.")
                .replace("<**>", "deep/er/file.bin")
                .replace("<*>", "x");
            let found = classify(*root, &path).unwrap_or_else(|| panic!("{path} is not recognised"));
            assert_eq!(found.kind, row.kind, "{path}");
            let named = pattern.contains("<S>");
            assert_eq!(found.session.is_some(), named, "{path}");
            // The digits stand for a session that only its id can tell, and output for one that has it, too.
            let is_told_later = pattern.contains("<digits>") || pattern.starts_with("<P>/tasks/");
            if row.owner == Owner::Session && !is_told_later {
                assert!(named, "{} has no session in '{pattern}'", row.name);
            }
        }
    }
}

#[test]
fn names_the_client_does_not_write_are_unrecognised() {
    for path in [
        "projects/loose.jsonl",
        "projects/-p/notes.txt",
        "projects/-p/x.jsonl.age",
        "projects/-p/aaaaaaaa-0000-4000-8000-000000000001.jsonl.age",
        "history.jsonl.bak",
        "sessions/notes.txt",
        "sessions/1x.json",
        "sessions/2026-plan.json",
        "plans/keep.txt",
        "shell-snapshots/x.txt",
        "unknown/x",
        "paste-cache/short.txt",
        "file-history/loose@v1",
        "uploads/loose.pdf",
        "todos/x.txt",
        "debug/x.log",
        "ide/x.lock",
        "session-env/loose.sh",
        "image-cache/loose.png",
        "logs",
        "settings.json/x",
        "ccretain/x",
        "ccretain/lock/x",
        "ccretain/held/x",
        "ccretain/held/case/x.age",
        "ccretain/held/case/aaaaaaaa-0000-4000-8000-000000000001/x.jsonl",
        "ccretain/held/case/aaaaaaaa-0000-4000-8000-000000000001/.age",
        "ccretain/sealed/mine/x.age",
    ] {
        assert_eq!(classify(Root::Config, path), None, "{path}");
    }
    // Never removed by age, and gone with everything else.
    for path in ["debug/latest", "plugins/store/cc-plugin-tips_builtin-0123456789ab.json"] {
        assert_eq!(classify(Root::Config, path).map(|found| found.kind), Some(Kind::SessionTrace), "{path}");
    }
    for path in ["-p/mcp-logs-s/notes.txt", "x.jsonl", "-p/other/2026-01-01.jsonl"] {
        assert_eq!(classify(Root::Cache, path), None, "{path}");
    }
    assert_eq!(classify(Root::Temp, "-p/loose.txt"), None);
    // In a folder that is everybody's exactly the names by which Claude Code looks for its own.
    for path in [
        "claude-paste-0123456789abcdef/x",
        "claude-paste-0123456789ABCDEF0123456789ABCDEF/x",
        "claude-preview-abcdefg/x",
        "claude-preview-abc_ef/x",
        "claude-preview-abcdef",
        "claude-pdf-abcde/x",
        "cc-history-prefetch-/x",
        "claude-resume-abcdef/x",
        "cc-daemon-x/a.err",
        "cc-daemon-0/a.error",
        "cc-daemon-0/a.err.readme",
        "cc-daemon-aB3xYz/stderr.log.1",
        "cc-daemon-aB3xYz/other.log",
        "claude/work/x",
        "claude-1000/-p/x",
        "response.md",
    ] {
        assert_eq!(classify(Root::TempNeighbours, path), None, "{path}");
    }
    for path in ["notes.txt", "latest", "aaaaaaaa-0000-4000-8000-000000000001.log"] {
        assert_eq!(classify(Root::DebugLogs, path), None, "{path}");
    }
    assert_eq!(classify(Root::Home, ".claude.json.mine"), None);
    assert_eq!(classify(Root::Desktop, "Cookies"), None);
}

#[test]
fn whatever_lies_in_a_sessions_own_folder_is_known_by_its_place() {
    let kind =
        |path: &str| classify(Root::Config, &format!("projects/-p/{ID}/{path}")).map(|found| found.kind);
    let agent = "subagents/workflows/wf_1/agent-a1.jsonl";
    assert_eq!(kind(agent), Some(Kind::Subagent));
    assert_eq!(kind("subagents/workflows/wf_1/journal.jsonl"), Some(Kind::SessionState));
    for path in
        ["unknown.bin", "before-cleanup/1-0123abcd.jsonl.replaced", "a/b/c/d", "subagents/x/agent-a1.jsonl"]
    {
        assert_eq!(kind(path), Some(Kind::SessionFile), "{path}");
    }
    assert_eq!(classify(Root::Config, "projects/-p/no-id/unknown.bin"), None);
}

#[test]
fn an_unfinished_write_is_of_the_kind_of_its_file() {
    let kind = |path: &str| classify(Root::Config, path).map(|found| found.kind);
    for (path, expected) in [
        ("plans/a-plan.md.tmp.0123abcd", Some(Kind::Plan)),
        ("settings.json.tmp.0123abcd", Some(Kind::Settings)),
        (".credentials.json.tmp.0123abcd", Some(Kind::Credentials)),
        ("history.jsonl.tmp.0123abcd", Some(Kind::Leftover)),
        // Line files are those of exactly these names; an unfinished one goes whole.
        ("projects/-p/sessions-index.json.tmp.0123abcd", Some(Kind::Leftover)),
        ("plans/a-plan.md.tmp.0123ABCD", None),
        ("plans/a-plan.md.tmp.0123abc", None),
        ("plans/a-plan.md.tmp.0123abcde", None),
        ("plans/.tmp.0123abcd", None),
        ("unknown.tmp.0123abcd", None),
        ("plans/a-plan.md.tmp.20.0123456789ab", Some(Kind::Plan)),
        ("plans/a-plan.md.tmp.17.1795748806095", Some(Kind::Plan)),
        ("plans/a-plan.md.tmp.17.0123", None),
        ("plans/a-plan.md.tmp.x7.0123456789ab", None),
        ("plans/a-plan.md.tmp.17.0123456789ab.md", Some(Kind::Plan)),
    ] {
        assert_eq!(kind(path), expected, "{path}");
    }
    let side = classify(Root::Config, &format!("projects/-p/{ID}/custom-title.json.tmp.0123abcd")).unwrap();
    assert_eq!((side.kind, side.session), (Kind::SessionSide, ID.parse().ok()));
}

#[test]
fn only_names_with_an_id_hash_or_time_are_distinctive() {
    let distinctive = |path: &str| classify(Root::Config, path).unwrap().distinctive;
    assert!(distinctive(&format!("projects/-p/{ID}.jsonl")));
    assert!(distinctive("paste-cache/0123456789abcdef.txt"));
    assert!(distinctive("shell-snapshots/snapshot-bash-1700000000000-abc123.sh"));
    assert!(!distinctive("shell-snapshots/snapshot-mine.sh"));
    assert!(!distinctive("plans/a.md"));
    assert!(!distinctive("logs/x.log"));
}

#[test]
fn the_first_id_in_a_path_owns() {
    let other = "bbbbbbbb-0000-4000-8000-000000000002";
    let found = classify(Root::Config, &format!("todos/{ID}-agent-{other}.json")).unwrap();
    assert_eq!(found.session, ID.parse().ok());
    let found = classify(Root::Config, &format!("file-history/{ID}/{other}/x@v1")).unwrap();
    assert_eq!(found.session, ID.parse().ok());
}

#[test]
fn unknown_kinds_are_answered_with_the_nearest() {
    let error = "debug-logs".parse::<Kind>().unwrap_err();
    assert!(error.to_string().contains("did you mean 'debug-log'"), "{error}");
}

proptest! {
    #[test]
    fn no_name_makes_the_matcher_fail(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..6)) {
        for root in Root::ALL {
            let mut cursor = Cursor::at(root);
            for part in &parts {
                let _ = cursor.classify(part);
                cursor = cursor.enter(part);
            }
        }
    }
}
