use std::collections::BTreeMap;

use super::super::Seen;
use super::super::fake::{Fake, with};
use super::*;

const ROOT: &str = "/home/ann/.claude";

fn on_linux(host: &Fake, look: fn(&Subject<'_>, &dyn Host) -> Finding) -> Finding {
    with(Platform::Linux, ROOT, |subject| look(subject, host))
}

#[test]
fn archives_are_found_where_their_tools_keep_them() {
    let none = on_linux(&Fake::default(), other_tools);
    assert_eq!(none.seen, Seen::No);
    assert!(none.evidence[0].note.contains("claude-mem"), "what was looked for is said");
    for place in [
        "/home/ann/.claude-mem/claude-mem.db",
        "/home/ann/.local/share/coding-agent-search/agent_search.db",
        "/home/ann/.cc-janitor/.trash/x",
        "/home/ann/.claude/vault.db",
    ] {
        let found = on_linux(&Fake::default().file(place, "x"), other_tools);
        assert_eq!(found.seen, Seen::Yes, "{place}");
    }
    assert_eq!(
        on_linux(&Fake::default().folder("/home/ann/.claude-mem"), other_tools).seen,
        Seen::No,
        "empty"
    );
    let denied = Fake::default().folder("/home/ann/.carryon").denied("/home/ann/.carryon");
    assert!(matches!(on_linux(&denied, other_tools).seen, Seen::Unknown(_)));
}

#[test]
fn folders_that_others_use_are_no_stores() {
    for place in ["/home/ann/vault.db", "/home/ann/claude-mem/src/main.ts"] {
        assert_eq!(on_linux(&Fake::default().file(place, "x"), other_tools).seen, Seen::No, "{place}");
    }
    let desktop = PathBuf::from("/home/ann/.config/Claude");
    let roots =
        [desktop.clone(), "/home/ann/Desktop".into(), "/home/ann".into(), "/home".into(), ROOT.into()];
    with(Platform::Linux, ROOT, |subject| {
        let own = Subject { roots: &roots, ..*subject }.own_roots();
        let sessions = ["claude-code-sessions", "local-agent-mode-sessions"].map(|name| desktop.join(name));
        assert_eq!(own, [&sessions[..], &[ROOT.into()]].concat());
    });
}

#[test]
fn places_move_with_their_variables_and_projects_are_looked_at() {
    let host = Fake::default()
        .file("/data/coding-agent-search/a.db", "x")
        .file("/work/p/.specstory/history/a.md", "");
    let (roots, projects) = ([PathBuf::from(ROOT)], [PathBuf::from("/work/p")]);
    let variables = BTreeMap::from([("XDG_DATA_HOME".into(), "/data".into())]);
    let subject = Subject {
        platform: Platform::Linux,
        home: Path::new("/home/ann"),
        uid: 1000,
        variables: &variables,
        roots: &roots,
        projects: &projects,
        moved: &[],
    };
    let found = other_tools(&subject, &host);
    let paths: Vec<_> = found.evidence.iter().filter_map(|each| each.path.as_deref()).collect();
    assert_eq!(paths, [Path::new("/data/coding-agent-search"), Path::new("/work/p/.specstory/history")]);
}

#[test]
fn no_sign_of_a_backup_is_no_proof_of_none() {
    assert!(matches!(on_linux(&Fake::default(), backups).seen, Seen::Unknown(_)));
    assert_eq!(on_linux(&Fake::default().file("/home/ann/.cache/restic/x", ""), backups).seen, Seen::Yes);
}

#[test]
fn the_trash_says_where_things_came_from() {
    let info = "/home/ann/.local/share/Trash/info";
    let with_path = |path: &str| {
        let host =
            Fake::default().file(&format!("{info}/a.trashinfo"), format!("[Trash Info]\nPath={path}\n"));
        on_linux(&host, trash).seen
    };
    assert_eq!(on_linux(&Fake::default(), trash).seen, Seen::No);
    assert_eq!(with_path("/home/ann/.claude/projects/p/a.jsonl"), Seen::Yes);
    assert_eq!(with_path("/home/ann/%2Eclaude"), Seen::Yes, "names are written with escapes");
    assert_eq!(with_path("/home/ann/notes%ZZ.txt"), Seen::No);
    let denied = Fake::default().folder(info).denied(info);
    assert!(matches!(on_linux(&denied, trash).seen, Seen::Unknown(_)));
    let of_volume = Fake::default()
        .file(
            "/proc/self/mountinfo",
            "27 1 8:1 / / rw - ext4 /dev/sda1 rw\n28 27 8:2 / /home rw - ext4 /dev/sda2 rw\n",
        )
        .file("/home/.Trash-1000/info/x.trashinfo", "Path=ann/.claude/history.jsonl\n");
    assert_eq!(on_linux(&of_volume, trash).seen, Seen::Yes);
    let mac = Fake::default().file("/Users/ann/.Trash/0f8fad5b-d9cb-469f-a165-70867728950e.jsonl", "");
    assert_eq!(with(Platform::Macos, "/Users/ann/.claude", |subject| trash(subject, &mac)).seen, Seen::Yes);
    let mac = Fake::default().folder("/Users/ann/.Trash").denied("/Users/ann/.Trash");
    assert!(matches!(
        with(Platform::Macos, "/Users/ann/.claude", |subject| trash(subject, &mac)).seen,
        Seen::Unknown(_)
    ));
}

#[test]
fn dumps_are_told_by_their_names() {
    let boot = "0123456789abcdef0123456789abcdef";
    assert_eq!(dumped(&format!("core.claude.1000.{boot}.4711.1700000000000000.zst"), 1000), Some(true));
    assert_eq!(dumped(&format!("core.claude.1000.{boot}.4711.1700000000000000"), 1000), Some(true));
    assert_eq!(dumped(&format!("core.node.1000.{boot}.4711.1700000000000000.lz4"), 1000), Some(false));
    assert_eq!(
        dumped(&format!("core.claude.1001.{boot}.4711.1700000000000000.zst"), 1000),
        None,
        "of another"
    );
    assert_eq!(dumped(&format!("core.bash.1000.{boot}.4711.1700000000000000.zst"), 1000), None);
    assert_eq!(dumped("_home_ann_.local_bin_claude.1000.crash", 1000), Some(true));
    assert_eq!(dumped("core", 1000), None);
    assert_eq!(dumped("core.1.2", 1000), None);
    let host = Fake::default().file(&format!("/var/lib/systemd/coredump/core.node.1000.{boot}.4.5.zst"), "");
    assert!(matches!(on_linux(&host, core_dumps).seen, Seen::Unknown(_)), "not every node is a client");
}
