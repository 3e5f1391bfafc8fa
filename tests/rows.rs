//! What newer and older clients leave beside sessions: each goes after 40 days, and what only looks like it stays.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::common::sandbox::{NOBODY, is_root};
use crate::common::store::{CONTENT, Session, age, age_link, put, start_of};
use crate::common::{Sandbox, days, id, skip};

/// The rules of a policy that seals and then deletes.
const SEALS: &str = r#""rules": [{"name": "s", "sealAfter": "1d", "deleteAfter": "30d"}]"#;

fn tmp(sandbox: &Sandbox, path: &str) -> PathBuf {
    sandbox.tmp().join(path)
}

/// Makes files 40 days old, runs once, and says which are still there.
fn left(sandbox: &Sandbox, files: &[PathBuf]) -> Vec<String> {
    for file in files {
        if !file.exists() {
            put(file, CONTENT, days(40));
        }
    }
    sandbox.delete_after("30d");
    sandbox.enforce().exits(0);
    let there = files.iter().filter(|file| file.symlink_metadata().is_ok());
    there.map(|file| file.strip_prefix(sandbox.root()).unwrap().display().to_string()).collect()
}

#[test]
fn content_of_the_store_goes_by_age_under_exactly_its_names() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let (one, uuid) = (id(1), id(77));
    let goes = [
        format!("debug/{one}.1.txt"),
        format!("debug/sdk-{one}.txt"),
        "jobs/.draft-9a881e9f".to_owned(),
        "projects/-work-acme/cloud-snapshots/archive-sync/x".to_owned(),
        "projects/-work-acme/bagel/x".to_owned(),
        "projects/-work-acme/background-commands/x".to_owned(),
        "__store.db".to_owned(),
        "__store.db-wal".to_owned(),
        "__store.db-shm".to_owned(),
        ".automode_decisions.jsonl".to_owned(),
        "gh-pr-status-cache.json".to_owned(),
        format!("teams/demo.deleted-{uuid}/inboxes/mate.json"),
        format!("teams/demo.deleted-{uuid}/x"),
        // Unfinished writes are of the kind of what they were to become.
        "plans/words-of-a-prompt.md.tmp.1a2b3c4d".to_owned(),
        "history.jsonl.tmp.1a2b3c4d".to_owned(),
        ".claude.json.tmp".to_owned(),
        ".claude.json.tmp.1a2b3c4d".to_owned(),
        ".claude.json.tmp.123.abc".to_owned(),
        format!("debug/{one}.txt.tmp.1a2b3c4d"),
        "sessions/123.json.tmp.1a2b3c4d".to_owned(),
        "paste-cache/0123456789abcdef.txt.tmp.1a2b3c4d".to_owned(),
        "usage-data/report.html.tmp.1a2b3c4d".to_owned(),
        "feedback/drafts/x.json.tmp.1a2b3c4d".to_owned(),
        "jobs/.draft-12345678.tmp.1a2b3c4d".to_owned(),
    ];
    let stays = [
        "debug/mine.1.txt",
        "debug/sdk-notes.txt",
        "jobs/.draft-mine",
        "projects/-work-acme/snapshots/x",
        "__store.db.copy",
        "plans/words-of-a-prompt.md.tmp.1a2b3c4",
        "plans/words-of-a-prompt.md.tmp.1A2B3C4D",
        "plans/words-of-a-prompt.txt.tmp.1a2b3c4d",
        // Of the kind of their bases, which never go by age.
        "settings.json.tmp.1a2b3c4d",
        ".credentials.json.tmp.1a2b3c4d",
        "scheduled_tasks.json",
        ".device-keys.json",
        "remote/run/x",
        "bridge-spawn/s-abc/mcp.json",
        "daemon-auth-status.json",
        "server-sessions.json",
        "active-time.json",
        "cowork_plugins/x/plugin.json",
        "state/repeat-command-days.json",
        "state/repeat-command-mark.json",
    ];
    let files =
        |names: &mut dyn Iterator<Item = String>| names.map(|name| store.path(name)).collect::<Vec<_>>();
    let kept = files(&mut stays.iter().map(ToString::to_string));
    for file in &kept {
        put(file, CONTENT, days(40));
    }
    assert_eq!(left(&sandbox, &files(&mut goes.iter().cloned())), [""; 0]);
    for file in kept {
        assert!(file.exists(), "{} is gone", file.display());
    }
}

#[test]
fn rows_without_an_id_apply_only_where_the_folder_is_certainly_the_clients() {
    let sandbox = Sandbox::new();
    let _ = sandbox.store();
    let moved = sandbox.home().join("moved");
    // A mark, so that it is a store.
    put(&moved.join("history.jsonl"), r#"{"display":"x","timestamp":1700000000000,"project":"/w"}"#, days(1));
    let uncertain = ["__store.db", "jobs/.draft-mine", "scheduled_tasks.json", "teams/t/config.json"];
    for name in uncertain {
        put(&moved.join(name), CONTENT, days(40));
    }
    put(&moved.join("jobs/.draft-9a881e9f"), CONTENT, days(40));
    sandbox.delete_after("30d");
    sandbox.command(["enforce", "--yes"]).env("CLAUDE_CONFIG_DIR", &moved).run().exits(0);
    for name in uncertain {
        assert!(moved.join(name).exists(), "{name} is gone");
    }
    assert!(!moved.join("jobs/.draft-9a881e9f").exists());
}

#[test]
fn the_short_scratch_folder_goes_with_the_session_of_its_digits() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(3)).write();
    let of = |digits: &str| sandbox.client_tmp().join(format!("s/{digits}/scratchpad/any name"));
    let (known, other) = (digits(session.id()), "123456789012");
    for digits in [known.as_str(), other, "12345"] {
        put(&of(digits), CONTENT, days(40));
    }
    sandbox.delete_after("30d");
    sandbox.enforce().exits(0);
    assert!(of(&known).exists(), "its session lives on");
    assert!(!of(other).exists(), "nobody's goes by age");
    assert!(of("12345").exists(), "these digits stand for nobody");
    sandbox.delete_after("1d");
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(!of(&known).exists(), "{output}");
    assert!(!of(&known).parent().unwrap().parent().unwrap().exists());
}

#[test]
fn a_hold_on_a_session_covers_scratch_files_that_are_all_that_is_left_of_it() {
    let sandbox = Sandbox::new();
    let _ = sandbox.store();
    let scratch = |number: u32| sandbox.client_tmp().join(format!("s/{}/scratchpad/x", digits(&id(number))));
    // Output of old versions may be any session's.
    let output = sandbox.client_tmp().join("-work-acme/tasks/b1.output");
    for file in [scratch(1), scratch(2), output.clone()] {
        put(&file, CONTENT, days(40));
    }
    sandbox.delete_after("30d");
    sandbox
        .run(["hold", "add", "--session", &id(1), "--reason", "case", "--name", "case"])
        .exits(0)
        .says("covers 0 sessions, 1 file");
    let said = sandbox.enforce_verbosely();
    said.exits(0);
    assert!(scratch(1).exists() && output.exists() && !scratch(2).exists(), "{said}");
    assert_eq!(said.item(&format!("s/{}/scratchpad/x", digits(&id(1))))["reason"], "held");
    sandbox.run(["explain".as_ref(), scratch(1).as_os_str()]).exits(0).says("case");
    // A purge takes nothing that a run would keep because of a hold.
    sandbox.run(["purge", "--yes"]).exits(4).says("case");
    assert!(scratch(1).exists() && output.exists());
    sandbox.run(["hold", "release", "case", "--reason", "over"]).exits(0);
    sandbox.enforce().exits(0);
    assert!(!scratch(1).exists() && !output.exists());
}

/// The digits that stand for a session, as client 2.1.332 computes them.
fn digits(id: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(id);
    let number = u64::from_be_bytes(digest[..8].try_into().unwrap());
    format!("{:012}", number % 1_000_000_000_000)
}

#[test]
fn a_short_scratch_folder_is_sealed_and_comes_back() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(3)).write();
    let note = sandbox.client_tmp().join(format!("s/{}/scratchpad/note", digits(session.id())));
    put(&note, CONTENT, days(3));
    sandbox.sealing(SEALS);
    sandbox.enforce().exits(0);
    assert!(!note.exists() && !session.is_there());
    sandbox.run(["unseal", session.id()]).exits(0);
    assert_eq!(fs::read_to_string(&note).unwrap(), CONTENT);
}

/// A session of a version that keeps large output under two names: among its own files, and in the temp tree.
fn with_output(sandbox: &Sandbox, number: u32, old: i64) -> (Session, PathBuf) {
    let session = sandbox.store().session(number).aged(days(old)).write();
    let result = session.side_file(&format!("tool-results/b{number}.txt"), CONTENT);
    let output = sandbox.client_tmp().join(format!("-work-acme/tasks/b{number}.output"));
    fs::create_dir_all(output.parent().unwrap()).unwrap();
    fs::hard_link(&result, &output).unwrap();
    age(&output, days(old));
    session.settle();
    (session, output)
}

#[test]
fn output_with_a_second_name_among_a_sessions_own_files_is_the_sessions() {
    let sandbox = Sandbox::new();
    let (old, gone) = with_output(&sandbox, 1, 40);
    let (young, stays) = with_output(&sandbox, 2, 3);
    // Nothing tells whose these are.
    let loose = |old: i64| {
        let path = sandbox.client_tmp().join(format!("-work-acme/tasks/loose{old}.output"));
        put(&path, CONTENT, days(old));
        path
    };
    let (loose_old, loose_young) = (loose(40), loose(3));
    let mine = sandbox.client_tmp().join("-work-acme/tasks/mine.txt");
    put(&mine, CONTENT, days(40));
    sandbox.delete_after("30d");
    let promised = sandbox.dry_run();
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(!old.is_there() && !gone.exists() && !loose_old.exists(), "{output}");
    assert!(young.is_there() && stays.exists() && loose_young.exists() && mine.exists(), "{output}");
    for output in [&promised, &output] {
        for path in [format!("tool-results/b{}.txt", 1), "tasks/b1.output".to_owned()] {
            let item = output.item(&path);
            assert_eq!((&item["session"], &item["dataRemains"]), (&json!(id(1)), &json!(null)), "{item}");
        }
    }
    sandbox.run(["hold", "add", "--session", &id(2), "--reason", "case", "--name", "case"]).exits(0);
    sandbox.delete_after("1d");
    sandbox.enforce().exits(0);
    assert!(stays.exists() && loose_young.exists(), "it may be of the session that is held");
    sandbox.run(["hold", "release", "case", "--reason", "over"]).exits(0);
    sandbox.enforce().exits(0);
    assert!(!stays.exists() && !loose_young.exists());
}

#[test]
fn output_of_an_agent_is_a_link_to_its_transcript_and_the_sessions() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let link = |number: u32, target: &Path| {
        let link = sandbox.client_tmp().join(format!("-work-acme/tasks/a{number}.output"));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, &link).unwrap();
        age_link(&link, days(3));
        link
    };
    let old = store.session(1).aged(days(40)).write();
    let young = store.session(2).aged(days(3)).write();
    let (gone, stays) = (link(1, &old.subagent("a1", days(40))), link(2, &young.subagent("a2", days(3))));
    let elsewhere = link(3, &sandbox.home().join("notes.txt"));
    sandbox.delete_after("30d");
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(gone.symlink_metadata().is_err() && stays.symlink_metadata().is_ok(), "{output}");
    assert_eq!(output.item("tasks/a3.output")["reason"], "link");
    assert!(elsewhere.symlink_metadata().is_ok());
    sandbox.sealing(SEALS);
    assert_eq!(sandbox.enforce().exits(0).summary("sessionsSealed"), 1);
    assert!(stays.symlink_metadata().is_err());
    sandbox.run(["unseal", young.id()]).exits(0);
    assert!(fs::read_link(&stays).unwrap().ends_with("agent-a2.jsonl"));
}

#[test]
fn output_with_two_names_is_sealed_under_both_and_comes_back() {
    let sandbox = Sandbox::new();
    let (session, output) = with_output(&sandbox, 1, 3);
    let result = session.side().join("tool-results/b1.txt");
    sandbox.sealing(SEALS);
    assert_eq!(sandbox.enforce().exits(0).summary("sessionsSealed"), 1);
    assert!(!output.exists() && !session.is_there());
    sandbox.run(["unseal", session.id()]).exits(0);
    for path in [&output, &result] {
        assert_eq!(fs::read_to_string(path).unwrap(), CONTENT);
    }
}

#[test]
fn leftovers_in_the_clients_temp_tree_go_by_age() {
    let sandbox = Sandbox::new();
    let _ = sandbox.store();
    let names = [
        "response.md",
        "copy.md",
        "copy.txt",
        "copy.py",
        "claude-prompt-0123.md",
        "claude-settings-0123456789abcdef.json",
        "-work-acme/steward-branch-0a0b0c0d.json",
        "-work-acme/background-commands/x",
    ];
    let files: Vec<PathBuf> = names.iter().map(|name| sandbox.client_tmp().join(name)).collect();
    let stays: Vec<PathBuf> = ["response.txt", "mine.md", "-work-acme/steward.json", "claude-prompts.md"]
        .iter()
        .map(|name| sandbox.client_tmp().join(name))
        .collect();
    for file in &stays {
        put(file, CONTENT, days(40));
    }
    assert_eq!(left(&sandbox, &files), [""; 0]);
    assert!(stays.iter().all(|file| file.exists()), "{stays:?}");
}

/// What lies beside the tree, and what only looks like it.
const BESIDE: [&str; 11] = [
    "claude-paste-0123456789abcdef0123456789abcdef/clipboard.png",
    "claude-preview-aB3xYz/page",
    "claude-pdf-aB3xYz/p-1.jpg",
    "cc-history-prefetch-aB3xYz/x",
    "cc-history-prefetch-4711/x",
    "claude-chrome-screenshots-aB3xYz/screenshot-1.png",
    "claude-resume-aaaaaaaa-0000-4000-8000-000000000001/projects/x/y.jsonl",
    "cc-daemon-0/01234567/pty/x.sock.err",
    "cc-daemon-0/01234567/pty/x.sock.err.read",
    "cc-daemon-aB3xYz/stderr.log",
    "claude/-work-acme/tasks/b1.output",
];
const NOT_BESIDE: [&str; 11] = [
    "claude-paste-notes/clipboard.png",
    "claude-preview-my-notes/page",
    "claude-pdf-invoices/p-1.jpg",
    "claude-pdf-aB3xYy",
    "claude-resume-mine/y.jsonl",
    "claude-chrome-screenshots/x.png",
    "cc-daemon-0/01234567/pty/x.sock",
    "cc-daemon-aB3xYz/other.log",
    "claude/mine/x",
    "my-claude-paste-0123456789abcdef0123456789abcdef/x",
    "s/123456789012/scratchpad/x",
];

#[test]
fn leftovers_beside_the_clients_temp_tree_go_under_exactly_their_names() {
    let sandbox = Sandbox::new();
    let _ = sandbox.store();
    let stays: Vec<PathBuf> = NOT_BESIDE.iter().map(|name| tmp(&sandbox, name)).collect();
    for file in &stays {
        put(file, CONTENT, days(40));
    }
    let files: Vec<PathBuf> = BESIDE.iter().map(|name| tmp(&sandbox, name)).collect();
    assert_eq!(left(&sandbox, &files), [""; 0]);
    assert!(stays.iter().all(|file| file.exists()), "{stays:?}");
    assert!(!tmp(&sandbox, "claude-preview-aB3xYz").exists(), "folders that became empty go, too");
    assert!(sandbox.tmp().exists());
}

#[test]
fn a_temp_folder_that_is_remembered_is_looked_at_for_its_neighbours() {
    let sandbox = Sandbox::new();
    let _ = sandbox.store();
    put(&sandbox.client_tmp().join("response.md"), CONTENT, days(1));
    sandbox.delete_after("30d");
    sandbox.enforce().exits(0);
    let file = tmp(&sandbox, BESIDE[1]);
    put(&file, CONTENT, days(40));
    // As a timer starts it.
    sandbox.command(["enforce", "--yes"]).env("TMPDIR", "").env("CLAUDE_CODE_TMPDIR", "").run().exits(0);
    assert!(!file.exists());
}

#[test]
fn what_others_put_beside_the_temp_tree_is_none_of_our_business() {
    if !is_root() {
        return skip("needs root");
    }
    let sandbox = Sandbox::new();
    let _ = sandbox.store();
    fs::set_permissions(sandbox.tmp(), fs::Permissions::from_mode(0o1777)).unwrap();
    let own = sandbox.home().join("own");
    put(&own.join("page"), CONTENT, days(40));
    // Another's folder, another's file in a folder of ours, and links to a folder of ours.
    let theirs = tmp(&sandbox, "claude-preview-theirs/page");
    put(&theirs, CONTENT, days(40));
    lchown(theirs.parent().unwrap(), Some(NOBODY), Some(NOBODY)).unwrap();
    let in_ours = tmp(&sandbox, "claude-pdf-aB3xYz/theirs.jpg");
    put(&in_ours, CONTENT, days(40));
    lchown(&in_ours, Some(NOBODY), Some(NOBODY)).unwrap();
    let link = tmp(&sandbox, "claude-preview-aB3xYz");
    symlink(&own, &link).unwrap();
    lchown(&link, Some(NOBODY), Some(NOBODY)).unwrap();
    // The shared tree is another's; an entry of it is ours, another is not.
    let shared = tmp(&sandbox, "claude/-work-acme/tasks/b1.output");
    put(&shared, CONTENT, days(40));
    let of_another = tmp(&sandbox, "claude/-work-other/tasks/b1.output");
    put(&of_another, CONTENT, days(40));
    lchown(of_another.parent().unwrap().parent().unwrap(), Some(NOBODY), Some(NOBODY)).unwrap();
    lchown(tmp(&sandbox, "claude"), Some(NOBODY), Some(NOBODY)).unwrap();
    sandbox.delete_after("30d");
    sandbox.enforce().exits(0).quietly();
    for stays in [&theirs, &in_ours, &of_another, &own.join("page")] {
        assert!(stays.exists(), "{} is gone", stays.display());
    }
    assert!(link.symlink_metadata().is_ok());
    assert!(!shared.exists());
    assert!(tmp(&sandbox, "claude").exists(), "the folder is another's");
}

#[test]
fn a_team_goes_with_its_leader_and_stays_while_a_message_does() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let team = |lead: &str| {
        json!({"name": "t", "leadSessionId": lead, "members": [{"prompt": CONTENT}]}).to_string()
    };
    let (old, young) = (store.session(1).aged(days(40)).write(), store.session(2).aged(days(2)).write());
    let of = |name: &str, lead: &str| store.put(format!("teams/{name}/config.json"), team(lead), days(40));
    let goes = [
        of("gone", old.id()),
        of(&format!("gone.deleted-{}", id(8)), old.id()),
        // Whose leader left nothing.
        of("orphaned", &id(9)),
    ];
    let stays = [
        of("young", young.id()),
        of("talking", old.id()),
        store.put("teams/damaged/config.json", "{\"leadSessionId\": ", days(40)),
        store.put("teams/notes/readme.md", CONTENT, days(40)),
    ];
    store.put("teams/talking/inboxes/mate.json", "[]", days(2));
    store.put("teams/gone/inboxes/mate.json", "[]", days(40));
    sandbox.delete_after("30d");
    let output = sandbox.enforce_verbosely();
    output.exits(0);
    assert!(goes.iter().all(|file| !file.exists()), "{output}");
    assert!(stays.iter().all(|file| file.exists()), "{output}");
    assert_eq!(output.item("teams/damaged/config.json")["reason"], "owner-unknown");
    // At a purge always.
    sandbox.run(["purge", "--yes"]);
    assert!(stays[..3].iter().all(|file| !file.exists()));
}

#[test]
fn files_of_the_daemon_go_by_age_where_no_worker_lives() {
    let names = [
        "daemon/roster.json.corrupt.1",
        "daemon/dispatch/x.json",
        "daemon/dispatch/rejected/x.json",
        "daemon/auth/x.json",
    ];
    let roster = |pid: u32, start: &str| {
        json!({"workers": {"95f10823": {"pid": pid, "procStart": start}}}).to_string()
    };
    let me = std::process::id();
    for (text, lives) in [
        (Some(roster(me, &start_of(me))), true),
        (Some(roster(me, "1")), false),
        (Some(json!({"workers": {}}).to_string()), false),
        (Some("{\"workers\": ".to_owned()), false),
        (None, false),
    ] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        if let Some(text) = &text {
            store.put("daemon/roster.json", text, days(40));
        }
        for name in names {
            store.put(name, CONTENT, days(40));
        }
        store.put("daemon/gateway-routed/j9", CONTENT, days(40));
        sandbox.delete_after("30d");
        let output = sandbox.enforce_verbosely();
        output.exits(0);
        for name in names {
            assert_eq!(store.has(name), lives, "{name} beside {text:?}: {output}");
        }
        assert_eq!(store.has("daemon/roster.json"), lives);
        assert!(store.has("daemon/gateway-routed/j9"));
    }
    // A client that is no worker does not matter.
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).aged(days(40)).write();
    store.pid_file(me, &id(1), json!({}));
    store.put("daemon/dispatch/x.json", CONTENT, days(40));
    sandbox.delete_after("30d");
    sandbox.enforce().exits(0);
    assert!(!store.has("daemon/dispatch/x.json"));
    // One that cannot be understood and is new may be of a service that runs.
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.put("daemon/roster.json", "{\"workers\": ", days(2));
    store.put("daemon/dispatch/x.json", CONTENT, days(40));
    sandbox.delete_after("30d");
    sandbox.enforce().exits(0);
    assert!(store.has("daemon/dispatch/x.json"));
    // A purge takes it all the same.
    sandbox.run(["purge", "--yes"]).exits(0);
    assert!(!store.has("daemon/dispatch/x.json") && !store.has("daemon/roster.json"));
}

#[test]
fn cowork_is_known_one_level_deeper_and_in_the_other_data_folder() {
    let sandbox = Sandbox::new();
    let _ = sandbox.store();
    let mut files = Vec::new();
    let mut live = Vec::new();
    for (at, desktop) in ["Claude", "Claude-3p"].into_iter().enumerate() {
        let top =
            sandbox.home().join(format!(".config/{desktop}/local-agent-mode-sessions/{}/{}", id(50), id(51)));
        for (deeper, base, name) in [(0, top.clone(), "local_"), (1, top.join("agent"), "local_ditto_")] {
            for old in [true, false] {
                let session = id(60 + 10 * at as u32 + 2 * deeper + u32::from(old));
                let name = format!("{name}{session}");
                let record = json!({
                    "cwd": "/x", "sessionId": session, "type": "user", "uuid": session, "entrypoint": "local-agent",
                    "timestamp": (chrono::Utc::now() - if old { days(60) } else { days(2) }).to_rfc3339(),
                });
                let index = json!({"sessionId": name, "cliSessionId": session, "title": CONTENT}).to_string();
                let mut put_one = |path: PathBuf, text: &str| {
                    put(&path, text, days(60));
                    if old { &mut files } else { &mut live }.push(path);
                };
                put_one(base.join(format!("{name}.json")), &index);
                put_one(
                    base.join(&name).join(format!(".claude/projects/-x/{session}.jsonl")),
                    &record.to_string(),
                );
                put_one(base.join(&name).join("uploads/any name.pdf"), CONTENT);
                put_one(base.join(&name).join("outputs/deep/b.txt"), CONTENT);
            }
        }
        let audit = top.join(format!("agent/local_ditto_{}/audit.jsonl", id(60 + 10 * at as u32 + 3)));
        put(&audit, CONTENT, days(60));
        files.push(audit);
        // Where there is no index any more, nobody's.
        let alone = top.join("local_alone/uploads/x");
        put(&alone, CONTENT, days(60));
        files.push(alone);
        let keys = top.join("local_alone/.audit-key");
        put(&keys, CONTENT, days(60));
        live.push(keys);
    }
    assert_eq!(left(&sandbox, &files), [""; 0]);
    for file in live {
        assert!(file.exists(), "{} is gone", file.display());
    }
}

#[test]
fn a_purge_takes_tasks_and_leaves_keys_to_be_asked_for() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    for name in
        ["scheduled_tasks.json", "server-sessions.json", "__store.db", ".device-keys.json", "remote/run/x"]
    {
        store.put(name, CONTENT, days(1));
    }
    sandbox.write(".claude-custom-oauth.json", "{}");
    sandbox.run(["purge", "--yes"]);
    for name in ["scheduled_tasks.json", "server-sessions.json", "__store.db"] {
        assert!(!store.has(name), "{name} is left");
    }
    for name in [".device-keys.json", "remote/run/x"] {
        assert!(store.has(name), "{name} is gone");
    }
    sandbox.run(["purge", "--yes", "--with", "credentials"]);
    for name in [".device-keys.json", "remote/run/x"] {
        assert!(!store.has(name), "{name} is left");
    }
    assert!(!sandbox.home().join(".claude-custom-oauth.json").exists());
}

#[test]
fn an_unfinished_write_of_a_session_ages_with_it() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(2)).write();
    let half = session.side_file("tool-results/x.txt.tmp.1a2b3c4d", CONTENT);
    let image = store.put(format!("image-cache/{}/1.png.tmp.1a2b3c4d", session.id()), CONTENT, days(40));
    let log = store.put(format!("debug/{}.txt.tmp.1a2b3c4d", session.id()), CONTENT, days(40));
    age(&half, days(40));
    sandbox.delete_after("30d");
    sandbox.enforce().exits(0);
    assert!([&half, &image, &log].iter().all(|file: &&PathBuf| Path::exists(file)));
    sandbox.delete_after("1d");
    sandbox.enforce().exits(0);
    assert!(![&half, &image, &log].iter().any(|file: &&PathBuf| Path::exists(file)));
}
