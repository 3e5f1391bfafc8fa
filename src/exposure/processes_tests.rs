use super::super::Seen;
use super::super::fake::{Fake, with};
use super::*;

fn look(host: &Fake) -> Finding {
    with(Platform::Linux, "/home/ann/.claude", |subject| open_deleted(subject, host))
}

fn process(target: &str) -> Fake {
    Fake::default()
        .owned("/proc/42", 1000)
        .file("/proc/42/comm", "tail\n")
        .to("/proc/42/fd/3", target)
        .to("/proc/42/fd/0", "/dev/null")
        .owned("/proc/1", 1000)
        .to("/proc/1/fd/9", "/home/ann/.claude/own (deleted)")
        .owned("/proc/77", 0)
        .to("/proc/77/fd/3", "/home/ann/.claude/of root (deleted)")
        .unlinked("/proc/42/fd/3")
}

#[test]
fn a_deleted_file_of_a_store_is_seen_with_its_process() {
    let found = look(&process("/home/ann/.claude/projects/p/a.jsonl (deleted)"));
    assert_eq!(found.seen, Seen::Yes);
    assert_eq!(found.evidence.len(), 1, "neither our own nor those of others: {found:?}");
    assert_eq!(found.evidence[0].path.as_deref(), Some(Path::new("/home/ann/.claude/projects/p/a.jsonl")));
    assert!(found.evidence[0].note.contains("process 42 (tail)"), "{found:?}");
}

#[test]
fn others_are_not() {
    for target in [
        "/home/ann/.claude/projects/p/a.jsonl",
        "/home/ann/other (deleted)",
        "/home/ann/.claude2/x (deleted)",
        "socket:[4711]",
        "/memfd:x (deleted)",
        " (deleted)",
        // The home is a root too, for `.claude.json`, and other programs work there.
        "/home/ann/.cache/browser/x (deleted)",
    ] {
        assert_eq!(look(&process(target)).seen, Seen::No, "{target}");
    }
    let named = Fake::default().owned("/proc/42", 1000).to("/proc/42/fd/3", "/home/ann/.claude/x (deleted)");
    assert_eq!(look(&named).seen, Seen::No, "a name may really end so");
}

#[test]
fn a_process_that_hides_is_a_doubt() {
    let hidden = process("/x").owned("/proc/43", 1000).folder("/proc/43/fd").denied("/proc/43/fd");
    assert!(matches!(look(&hidden).seen, Seen::Unknown(_)));
    assert!(matches!(look(&Fake::default()).seen, Seen::Unknown(_)), "no /proc");
    assert!(matches!(look(&Fake::default().folder("/proc")).seen, Seen::Unknown(_)), "hidden by hidepid");
}

#[test]
fn lsof_lists_what_has_no_name() {
    let said = "p501\ncnode\nf12\nn/Users/ann/.claude/projects/p/a.jsonl\nf13\nn/Users/ann/other\np502\ncvim\nf4\nnpipe\n";
    assert_eq!(open_files(said).len(), 2);
    let mac = Fake::default().program("/usr/sbin/lsof -n -P -a +L1 -u 1000 -F pcn", said);
    let found = with(Platform::Macos, "/Users/ann/.claude", |subject| open_deleted(subject, &mac));
    assert_eq!(found.seen, Seen::Yes);
    assert_eq!(found.evidence.len(), 1);
    let none = with(Platform::Macos, "/Users/ann/.claude", |subject| open_deleted(subject, &Fake::default()));
    assert!(matches!(none.seen, Seen::Unknown(_)));
}

/// On this machine: a child that holds a file whose name goes.
#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::disallowed_methods, reason = "a file of the test's own loses its name")]
fn a_real_process_is_seen() {
    use super::super::System;
    let scratch = tempfile::tempdir().unwrap();
    let root = std::fs::canonicalize(scratch.path()).unwrap();
    let file = root.join("gone.jsonl");
    std::fs::write(&file, "x").unwrap();
    let open = std::fs::File::open(&file).unwrap();
    let mut child = std::process::Command::new("sleep").arg("60").stdin(open).spawn().unwrap();
    std::fs::remove_file(&file).unwrap();
    let roots = [root];
    let variables = std::collections::BTreeMap::new();
    let subject = Subject {
        platform: Platform::Linux,
        home: Path::new("/nonexistent"),
        uid: rustix::process::getuid().as_raw(),
        variables: &variables,
        roots: &roots,
        projects: &[],
        moved: &[],
    };
    let found = open_deleted(&subject, &System);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(found.seen, Seen::Yes, "{found:?}");
    assert_eq!(found.evidence[0].path.as_deref(), Some(file.as_path()));
    let note = &found.evidence[0].note;
    assert!(note.contains(&format!("process {} (sleep)", child.id())), "{note}");
    assert_ne!(open_deleted(&subject, &System).seen, Seen::Yes, "it ended");
}
