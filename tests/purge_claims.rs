//! A certificate that says *complete* leaves no place out in silence: volumes, other roots, other users, names that
//! the catalogue does not know.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::sandbox::{has_namespaces, is_root};
use crate::common::store::{CONTENT, put};
use crate::common::{Output, Sandbox, StoreBuilder, days, hours, skip};
use crate::purge::{verdict, with_content};

const MALLORY: u32 = 4242;

fn reasons(output: &Output) -> Vec<(String, String)> {
    let of = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let json = output.json();
    json["exceptions"].as_array().unwrap().iter().map(|one| (of(one, "reason"), of(one, "path"))).collect()
}

#[test]
fn a_store_on_a_volume_below_the_home_is_found() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    let sandbox = Sandbox::new();
    let volume = StoreBuilder::new(sandbox.root().join("volume/a/moved"), sandbox.client_tmp());
    volume.session(1).aged(days(5)).write().satellites();
    volume.session(2).aged(days(5)).write();
    for folder in ["disk/deep", "disk", "empty"] {
        fs::create_dir_all(sandbox.home().join(folder)).unwrap();
    }
    // A volume, one mounted in it, and what the kernel shows, in which nobody keeps anything.
    let script = r#"set -e; root=$1; shift
        mount -t tmpfs tmpfs "$root/home/disk"
        cp -a "$root/volume/." "$root/home/disk/"
        mkdir -p "$root/home/disk/deep"
        mount -t tmpfs tmpfs "$root/home/disk/deep"
        cp -a "$root/volume/." "$root/home/disk/deep/"
        mount -t proc proc "$root/home/empty"
        code=0; "$@" || code=$?
        find "$root/home/disk" -name '*.jsonl' | sed 's/^/LEFT /' >&2
        exit $code"#;
    let run = sandbox.command(["purge", "--yes", "--json"]);
    let output = run.among_mounts(script, [sandbox.root()]).run();
    output.exits(0).never_says("LEFT");
    verdict(&output, "complete");
    let stores = output.json()["stores"].as_array().unwrap().clone();
    assert_eq!(stores.iter().filter(|store| store["foundBy"] == "search").count(), 2, "{output}");
    // Whoever leaves the volume out is told that it was.
    let disk = sandbox.home().join("disk");
    sandbox.policy(&format!(r#"{{"version": 1, "stores": {{"exclude": ["{}"]}}}}"#, disk.display()));
    let run = sandbox.command(["purge", "--yes", "--json", "--certificate", "c.json"]);
    let output = run.among_mounts(script, [sandbox.root()]).run();
    output.exits(0).says("LEFT");
    verdict(&output, "partial");
}

#[test]
fn a_global_file_that_is_not_understood_is_told_wherever_it_lies() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(5)).write();
    let file = sandbox.write("some/folder/.claude.json", "{\"projects\":{");
    fs::File::options().write(true).open(&file).unwrap().set_len(65 << 20).unwrap();
    let output = sandbox.run(["purge", "--yes", "--json"]);
    output.exits(1).says("larger than 64 MiB");
    verdict(&output, "incomplete");
    assert_eq!(reasons(&output), [("unreadable".to_owned(), "[HOME]/some/folder/.claude.json".to_owned())]);
    // One that is no global file is nobody's.
    fs::write(&file, "{}").unwrap();
    let output = sandbox.run(["purge", "--yes", "--json"]);
    output.exits(0);
    verdict(&output, "complete");
}

#[test]
fn a_root_that_is_an_empty_folder_today_is_not_complete() {
    // The usual store and another; a mount point of a volume that is not mounted is empty.
    for is_usual in [true, false] {
        let sandbox = Sandbox::new();
        let root = if is_usual { sandbox.home().join(".claude") } else { sandbox.root().join("moved") };
        let store = StoreBuilder::new(root.clone(), sandbox.client_tmp());
        let session = store.session(1).aged(days(1)).write();
        let run = sandbox.command(["enforce", "--yes"]).env("CLAUDE_CONFIG_DIR", &root);
        run.run().exits(0);
        let elsewhere = sandbox.root().join("unplugged");
        fs::rename(&root, &elsewhere).unwrap();
        fs::create_dir(&root).unwrap();
        for _ in 0..2 {
            sandbox.enforce().exits(1).says("is an empty folder");
            let output = sandbox.run(["purge", "--yes", "--json"]);
            output.exits(1).says("is an empty folder");
            verdict(&output, "incomplete");
            // What is made in a mount point is hidden once the volume is mounted, and would hide this, too.
            assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
        }
        let check = sandbox.run(["check", "--json"]);
        assert!(check.stdout.contains("is an empty folder"), "{check}");
        fs::remove_dir(&root).unwrap();
        fs::rename(&elsewhere, &root).unwrap();
        assert!(session.is_there());
        verdict(&sandbox.run(["purge", "--yes", "--json"]), "complete");
        assert!(!session.is_there());
    }
}

#[test]
fn a_folder_of_which_the_volume_is_not_mounted_today_is_not_complete() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    const BIND: &str = r#"set -e; mount --bind "$1" "$2"; shift 2; exec "$@""#;
    for folder in ["projects", "projects/-work-acme", "file-history", "ccretain"] {
        for is_link in [false, true] {
            let sandbox = Sandbox::new();
            let store = sandbox.store();
            store.session(9).cwd("/work/other").aged(days(1)).write();
            let session = store.session(1).cwd("/work/acme").aged(days(1)).write();
            session.satellites();
            sandbox.run(["enforce", "--yes"]).exits(0);
            let (inside, volume) = (store.path(folder), sandbox.root().join("volume"));
            fs::rename(&inside, &volume).unwrap();
            let point = if is_link { sandbox.root().join("point") } else { inside.clone() };
            fs::create_dir(&point).unwrap();
            if is_link {
                symlink(&point, &inside).unwrap();
            }
            let run = |args: &[&str], is_mounted: bool| {
                let command = sandbox.command(args);
                if is_mounted {
                    command.among_mounts(BIND, [volume.as_path(), point.as_path()]).run()
                } else {
                    command.run()
                }
            };
            run(&["enforce", "--yes"], true).exits(0);
            let there = with_content(&volume);
            for _ in 0..2 {
                run(&["enforce", "--yes"], false).exits(1).says("mount its volume");
            }
            if folder != "ccretain" {
                let output = run(&["purge", "--yes", "--json", "--certificate", "out.json"], false);
                output.exits(1).says("mount its volume");
                verdict(&output, "incomplete");
                let place = ("unreadable".to_owned(), format!("[HOME]/.claude/{folder}"));
                assert!(reasons(&output).contains(&place), "{folder} {is_link}: {output}");
            }
            assert_eq!(with_content(&volume), there, "{folder}");
            // Once it is mounted everything goes, and that it is empty then is our own deed.
            for certificate in ["one.json", "two.json"] {
                let output = run(&["purge", "--yes", "--json", "--certificate", certificate], true);
                output.exits(0);
                verdict(&output, "complete");
                let text = fs::read_to_string(sandbox.home().join(certificate)).unwrap();
                let certificate: Value = serde_json::from_str(&text).unwrap();
                let way = if is_link { "link" } else { "mount" };
                let stores = certificate["stores"].as_array().unwrap();
                let store = stores.iter().find(|store| store["kind"] == "config").unwrap();
                let listed = &store["folders"][0];
                assert_eq!((&listed["path"], &listed["way"]), (&json!(folder), &json!(way)), "{text}");
            }
            assert_eq!(with_content(&volume), Vec::<&Path>::new(), "{folder}");
            // Nor does it matter once nothing is remembered to have been there.
            if folder != "ccretain" {
                run(&["purge", "--yes", "--json"], false).exits(0);
            }
        }
    }
}

#[test]
fn roots_come_from_the_ledger_where_the_state_was_removed() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let moved = StoreBuilder::new(sandbox.root().join("moved"), sandbox.client_tmp());
    let session = moved.session(1).aged(days(1)).write();
    sandbox.command(["enforce", "--yes"]).env("CLAUDE_CONFIG_DIR", &moved.root).run().exits(0);
    fs::remove_file(sandbox.state().join("state.json")).unwrap();
    // An orphan, of which nobody knows any more what was known.
    let orphan =
        sandbox.store().put(format!("file-history/{}/0123abcd@v1", crate::common::id(7)), CONTENT, days(60));
    sandbox.enforce().exits(1).says("is gone, so what earlier runs remembered is started afresh");
    assert!(orphan.exists());
    sandbox.enforce().exits(0).quietly();
    assert!(orphan.exists());
    fs::remove_file(sandbox.state().join("state.json")).unwrap();
    let output = sandbox.run(["purge", "--yes", "--json"]);
    assert!(!session.is_there() && !orphan.exists(), "{output}");
    output.exits(1).says("is gone");

    // One that is not there is told, too.
    let sandbox = Sandbox::new();
    let moved = StoreBuilder::new(sandbox.root().join("moved"), sandbox.client_tmp());
    moved.session(1).aged(days(1)).write();
    sandbox.command(["enforce", "--yes"]).env("CLAUDE_CONFIG_DIR", &moved.root).run().exits(0);
    fs::rename(&moved.root, sandbox.root().join("unplugged")).unwrap();
    fs::remove_file(sandbox.state().join("state.json")).unwrap();
    let output = sandbox.run(["purge", "--yes", "--json"]);
    output.exits(1).says("missing");
    verdict(&output, "incomplete");
}

#[test]
fn a_first_run_that_was_killed_is_no_removed_state() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(days(1)).write();
    sandbox.enforce().exits(0);
    let ledger = fs::read_to_string(sandbox.ledger()).unwrap();
    let lines: Vec<&str> = ledger.lines().filter(|line| !line.contains("\"summary\"")).collect();
    fs::write(sandbox.ledger(), lines.join("\n") + "\n").unwrap();
    for file in ["state.json", "head.json"] {
        fs::remove_file(sandbox.state().join(file)).unwrap();
    }
    sandbox.run(["purge", "--yes", "--json"]).exits(0).quietly();
    assert!(!session.is_there());
}

#[test]
fn a_purge_of_one_store_is_partial_and_names_the_others() {
    let sandbox = Sandbox::new();
    let kept = sandbox.store().session(1).aged(days(50)).write();
    let other = StoreBuilder::new(sandbox.root().join("other"), sandbox.client_tmp());
    other.session(2).aged(days(50)).write();
    let root = sandbox.home().join(".claude");
    let root = root.to_str().unwrap();
    // Nothing else is known, and it was not looked for either.
    let output = sandbox.run(["purge", "--yes", "--json", "--store", other.root.to_str().unwrap()]);
    output.exits(0);
    verdict(&output, "partial");
    assert!(kept.is_there());
    // A root that is known and cannot be reached is none of its business, and is named.
    let gone = StoreBuilder::new(sandbox.root().join("gone"), sandbox.client_tmp());
    gone.session(3).aged(days(1)).write();
    sandbox.command(["enforce", "--yes"]).env("CLAUDE_CONFIG_DIR", &gone.root).run().exits(0);
    fs::rename(&gone.root, sandbox.root().join("unplugged")).unwrap();
    let output = sandbox.run([
        "purge",
        "--yes",
        "--json",
        "--store",
        root,
        "--certificate",
        "c.json",
        "--certificate",
        "c.txt",
    ]);
    output.exits(0);
    verdict(&output, "partial");
    assert!(!kept.is_there());
    let certificate: Value =
        serde_json::from_slice(&fs::read(sandbox.home().join("c.json")).unwrap()).unwrap();
    let scope = &certificate["method"]["scope"];
    assert_eq!(scope["stores"], json!([root]));
    assert!(scope["leftOut"].to_string().contains("/gone"), "{scope}");
    let text = fs::read_to_string(sandbox.home().join("c.txt")).unwrap();
    assert!(text.contains("CERTIFICATE OF A PARTIAL PURGE") && text.contains("/gone"), "{text}");
}

#[test]
fn a_temp_tree_in_the_hands_of_somebody_else_is_named_and_stops_nobody() {
    if !is_root() {
        return skip("needs root");
    }
    for is_link in [false, true] {
        let sandbox = Sandbox::new();
        let session = sandbox.store().session(1).aged(hours(3)).write();
        let squatted = sandbox.client_tmp();
        if is_link {
            symlink(sandbox.home(), &squatted).unwrap();
        } else {
            fs::create_dir_all(&squatted).unwrap();
        }
        std::os::unix::fs::lchown(&squatted, Some(MALLORY), Some(MALLORY)).unwrap();
        sandbox.enforce().exits(1).says("user 4242 has taken the place");
        let output = sandbox.run(["purge", "--yes", "--json", "--certificate", "c.txt"]);
        output.exits(1);
        verdict(&output, "incomplete");
        assert_eq!(reasons(&output), [("foreign".to_owned(), "[TMP]/claude-0".to_owned())]);
        assert!(!session.is_there() && squatted.symlink_metadata().is_ok());
        assert!(fs::read_to_string(sandbox.home().join("c.txt")).unwrap().contains("user 4242"));
    }
}

#[test]
fn unknown_names_are_told_in_every_kind_of_root_at_any_depth() {
    // Where it lies below the home or the temp folder, and by what it is told.
    let places = [
        ("home", ".claude/new.db", ".claude/new.db"),
        ("home", ".claude/projects/-p/new/a/b", ".claude/projects/-p/new"),
        ("home", ".claude/state/new/a", ".claude/state/new"),
        ("home", ".claude/ccretain/new", ".claude/ccretain/new"),
        ("home", ".claude.json.new", ".claude.json.new"),
        ("home", ".claude.json.d/a/b", ".claude.json.d"),
        ("home", ".cache/claude-cli-nodejs/new.log", ".cache/claude-cli-nodejs/new.log"),
        ("home", ".cache/claude-cli-nodejs/-p/new/a", ".cache/claude-cli-nodejs/-p/new"),
        ("home", ".config/Claude/claude-code-sessions/new", ".config/Claude/claude-code-sessions/new"),
        ("home", ".config/Claude/claude-code-sessions/o/a/b/c", ".config/Claude/claude-code-sessions/o/a/b"),
        ("home", ".config/Claude/new-sessions/o/a", ".config/Claude/new-sessions"),
        ("home", ".config/Claude/cowork-sessions-v2/a", ".config/Claude/cowork-sessions-v2"),
        (
            "home",
            ".config/Claude-3p/local-agent-mode-sessions/x",
            ".config/Claude-3p/local-agent-mode-sessions/x",
        ),
        ("tmp", "claude-new", "claude-new"),
        ("tmp", "claude-new-abc/deep/er", "claude-new-abc"),
        ("tmp", "claude/loose", "claude/loose"),
        ("tmp", "cc-daemon-0/new.log", "cc-daemon-0/new.log"),
    ];
    for (base, path, told) in places {
        let sandbox = Sandbox::new();
        let file = if base == "home" { sandbox.home() } else { sandbox.tmp() }.join(path);
        sandbox.store().session(1).aged(days(5)).write();
        put(&file, CONTENT, days(50));
        sandbox.enforce();
        assert!(file.exists(), "{path} is touched by age");
        let output = sandbox.run(["purge", "--yes", "--json"]);
        verdict(&output, "incomplete");
        output.exits(1);
        let place = format!("[{}]/{told}", base.to_uppercase());
        assert_eq!(reasons(&output), [("unrecognised".to_owned(), place)], "{path}");
        // Where a name proves nothing it goes at nobody's word.
        let output = sandbox.run(["purge", "--yes", "--json", "--with", "unrecognised"]);
        verdict(&output, if base == "tmp" { "incomplete" } else { "complete" });
        assert_eq!(file.exists(), base == "tmp", "{path}");
        put(&file, CONTENT, days(50));
        let roots = [".claude/", ".cache/claude-cli-nodejs/", ".config/Claude/", ".config/Claude-3p/"];
        let below = roots.iter().find_map(|root| path.strip_prefix(root)).unwrap_or(path);
        let output = sandbox.run(["purge", "--yes", "--json", &format!("--except={below}")]);
        verdict(&output, "complete-except-as-listed");
        output.exits(0);
    }
}

#[test]
fn names_that_are_others_stay_unseen_in_folders_shared_with_others() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(5)).write();
    let others = [
        sandbox.home().join("notes.txt"),
        sandbox.home().join(".claude-mine/a"),
        sandbox.home().join("Desktop/report.heapsnapshot"),
        sandbox.home().join(".config/Claude/Preferences"),
        sandbox.home().join(".config/Claude/Session Storage/a"),
        sandbox.home().join(".config/Claude/Cache/a"),
        sandbox.tmp().join("notes/a"),
        sandbox.tmp().join("claude-4711/-p/a"),
        sandbox.tmp().join("claudette"),
    ];
    for path in &others {
        put(path, CONTENT, days(50));
    }
    let output = sandbox.run(["purge", "--yes", "--json", "--with", "unrecognised"]);
    verdict(&output, "complete");
    output.exits(0);
    for path in &others {
        assert!(path.exists(), "{} is gone", path.display());
    }
}

#[test]
fn sockets_of_the_background_service_are_no_unknown_files() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(5)).write();
    let folder = sandbox.tmp().join("cc-daemon-0/s");
    fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("x.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let output = sandbox.run(["purge", "--yes", "--json"]);
    verdict(&output, "complete");
    output.exits(0);
    // A file under its name may hold anything.
    fs::remove_file(&socket).unwrap();
    put(&socket, CONTENT, days(50));
    verdict(&sandbox.run(["purge", "--yes", "--json"]), "incomplete");
}

#[test]
fn a_store_in_the_folder_of_the_desktop_application_is_judged_by_itself() {
    let sandbox = Sandbox::new();
    let folder = sandbox.home().join(".config/Claude/local-agent-mode-sessions/org/account");
    put(&folder.join("local_1.json"), "{}", days(5));
    put(&folder.join("local_1/audit.jsonl"), CONTENT, days(5));
    put(&folder.join("local_1/new/prompt.txt"), CONTENT, days(5));
    let inner = StoreBuilder::new(folder.join("local_1/.claude"), sandbox.client_tmp());
    let session = inner.session(1).aged(days(5)).write();
    let shown = "[HOME]/.config/Claude/local-agent-mode-sessions/org/account";
    let told = |name: &str| ("unrecognised".to_owned(), format!("{shown}/{name}"));
    // One that is excluded is nobody's business, in the folder around it, too.
    sandbox.policy(&format!(r#"{{"version": 1, "stores": {{"exclude": ["{}"]}}}}"#, inner.root.display()));
    let output = sandbox.run(["purge", "--yes", "--json", "--with", "unrecognised"]);
    assert!(session.is_there(), "{output}");
    assert!(!folder.join("local_1/new/prompt.txt").exists() && !folder.join("local_1/audit.jsonl").exists());
    sandbox.policy(r#"{"version": 1}"#);
    put(&folder.join("local_1/new/prompt.txt"), CONTENT, days(5));
    let output = sandbox.run(["purge", "--yes", "--json"]);
    output.exits(1);
    assert_eq!(reasons(&output), [told("local_1/new")], "{output}");
    assert!(!session.is_there());
    // One without a mark is none, and is told by the folder around it.
    put(&folder.join("local_2/.claude/file-history/a/b"), CONTENT, days(5));
    let output = sandbox.run(["purge", "--yes", "--json"]);
    assert_eq!(reasons(&output), [told("local_1/new"), told("local_2/.claude/file-history")], "{output}");
    // At the operator's word what is unknown goes in such a store, too.
    let again = inner.session(2).aged(days(5)).write();
    for path in ["plans/words.md", "file-history/new", "new/deep/er"] {
        inner.put(path, CONTENT, days(5));
    }
    let output = sandbox.run(["purge", "--yes", "--json"]);
    assert_eq!(reasons(&output).len(), 5, "{output}");
    inner.session(2).aged(days(5)).write();
    let output = sandbox.run(["purge", "--yes", "--json", "--with", "unrecognised"]);
    verdict(&output, "complete");
    assert!(!again.is_there() && with_content(&folder).is_empty(), "{output}");
    let output = sandbox.run(["purge", "--yes", "--json"]);
    verdict(&output, "complete");
    // Nor is our own lock unknown in one of which nothing else is left.
    assert!(!inner.path("ccretain").exists());
}

/// A store with files of names that nobody knows.
fn with_unknown(sandbox: &Sandbox) -> StoreBuilder {
    let store = sandbox.store();
    store.session(1).aged(days(5)).write();
    store.put("prompts.db", CONTENT, days(5));
    store.put("my-repo/src/main.rs", "mine", days(5));
    store.put("my-repo/README.md", "mine too", days(5));
    store
}

#[test]
fn what_is_not_recognised_is_never_complete() {
    let sandbox = Sandbox::new();
    let store = with_unknown(&sandbox);
    let looked = sandbox.run(["purge", "--dry-run"]);
    looked.exits(0);
    assert!(looked.stdout.contains("my-repo: ccretain does not know this folder (2 files)"), "{looked}");
    let output = sandbox.run(["purge", "--yes", "--json"]);
    output.exits(1).says("--with unrecognised").says("--except");
    verdict(&output, "incomplete");
    let of = |name: &str| ("unrecognised".to_owned(), format!("[HOME]/.claude/{name}"));
    assert_eq!(reasons(&output), [of("my-repo"), of("prompts.db")]);
    assert_eq!(output.json()["exceptions"][0]["bytes"], 12);
    assert!(store.has("prompts.db"));
    let output = sandbox.run(["purge", "--yes", "--json", "--with", "unrecognised"]);
    output.exits(0).quietly();
    verdict(&output, "complete");
    assert!(!store.has("prompts.db") && !store.has("my-repo/README.md"));

    // A root that is known by its marks alone: nothing is taken that may be the user's, and it is not complete.
    let moved = StoreBuilder::new(sandbox.home().join("moved"), sandbox.client_tmp());
    moved.session(2).aged(days(5)).write();
    moved.put("plans/mine.md", "perhaps the user's", days(50));
    let output = sandbox.run(["purge", "--yes", "--json", "--with", "unrecognised"]);
    output.exits(1);
    verdict(&output, "incomplete");
    assert!(moved.has("plans/mine.md"));
}

#[test]
fn the_operator_may_name_what_stays_and_it_is_listed() {
    let sandbox = Sandbox::new();
    let store = with_unknown(&sandbox);
    for wildcard in
        ["*", "**", "?rompts.db", "[p]rompts.db", "{a,b}", "/etc", "../x", "my-repo/", "./prompts.db", ""]
    {
        let output = sandbox.run(["purge", "--yes", "--except", wildcard]);
        output.exits(2).says("--except");
    }
    assert!(store.has("projects"));
    // One of two is not enough.
    let output = sandbox.run(["purge", "--yes", "--json", "--except", "my-repo/**"]);
    output.exits(1);
    verdict(&output, "incomplete");
    let output = sandbox.run([
        "purge",
        "--yes",
        "--json",
        "--except",
        "my-repo/**",
        "--except",
        "prompts.*",
        "--certificate",
        "c.json",
        "--certificate",
        "c.txt",
        "--certificate",
        "c.html",
    ]);
    output.exits(0).quietly();
    verdict(&output, "complete-except-as-listed");
    let read = |name: &str| fs::read_to_string(sandbox.home().join(name)).unwrap();
    let certificate: Value = serde_json::from_str(&read("c.json")).unwrap();
    assert_eq!(certificate["method"]["scope"]["except"], json!(["my-repo/**", "prompts.*"]));
    let kept: Vec<(String, u64)> = certificate["remaining"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["what"] == "excepted")
        .map(|one| {
            (
                one["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned(),
                one["bytes"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(kept, [("my-repo".to_owned(), 12), ("prompts.db".to_owned(), CONTENT.len() as u64)]);
    for page in ["c.txt", "c.html"] {
        let text = read(page);
        assert!(text.contains("COMPLETE EXCEPT AS LISTED") && text.contains("prompts.db"), "{text}");
    }
    sandbox.run(["ledger", "verify", "--certificate", "c.json"]).exits(0);
    // It keeps what nobody knows, and nothing else.
    let again = store.session(3).aged(days(5)).write();
    let transcript = again.transcript.strip_prefix(&store.root).unwrap().to_str().unwrap().to_owned();
    let output = sandbox.run([
        "purge",
        "--yes",
        "--json",
        "--except",
        &transcript,
        "--except",
        "my-repo/**",
        "--except",
        "prompts.db",
    ]);
    output.exits(0);
    assert!(!again.is_there());
    // Whoever names it and asks for what is unknown, too, keeps it.
    sandbox.run(["purge", "--yes", "--with", "unrecognised", "--except", "prompts.db"]).exits(0);
    assert!(store.has("prompts.db") && !store.has("my-repo/README.md"));
}

#[test]
fn leftovers_of_our_own_go_with_a_part_too_and_are_never_unknown() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).cwd("/work/acme").aged(days(5)).write();
    let kept = store.session(2).cwd("/work/beta").aged(days(5)).write();
    sandbox.run(["hold", "add", "--project", "/work/beta", "--reason", "r"]).exits(0);
    for part in [
        ".history.jsonl.part",
        "..claude.json.part",
        "backups/..claude.json.backup.1.part",
        "projects/-work-acme/.sessions-index.json.part",
    ] {
        store.put(part, CONTENT, days(1));
    }
    fs::create_dir_all(store.path("ccretain/sealed")).unwrap();
    put(&store.path(format!("ccretain/sealed/{}/.x.zst.age.part", crate::common::id(9))), CONTENT, days(1));
    let output = sandbox.run(["purge", "--yes", "--json", "--project", "/work/acme"]);
    output.exits(0);
    verdict(&output, "partial");
    let left: Vec<_> = with_content(&store.root)
        .into_iter()
        .filter(|path| path.to_str().unwrap().ends_with(".part"))
        .collect();
    assert_eq!(left, Vec::<&Path>::new());
    assert!(kept.is_there());
}

#[test]
fn what_lies_beside_the_stores_is_a_residual_risk() {
    let sandbox = Sandbox::new();
    let project = sandbox.root().join("work/acme");
    let cwd = project.to_str().unwrap();
    sandbox.store().session(1).cwd(cwd).aged(days(5)).write();
    let gone = sandbox.root().join("work/old");
    sandbox.store().history(None, gone.to_str().unwrap(), days(90));
    put(&project.join(".git/packed-refs"), "0123 refs/claude/checkpoint-1\n", days(1));
    put(&project.join(".claude/worktrees/one/a"), "", days(1));
    put(&project.join(".claude/scheduled_tasks.json"), "[]", days(1));
    put(&gone.join(".claude/RESUME.md"), "", days(1));
    sandbox.write(".sessionkeep/sessions/x.md", "");
    sandbox.write(".config/Claude/vm_bundles/claudevm.bundle/sessiondata.img", "");
    // Whatever stands in the place of a file is no reason to wait, and no link is followed.
    let hostile = sandbox.root().join("work/hostile");
    sandbox.store().session(2).cwd(hostile.to_str().unwrap()).aged(days(5)).write();
    fs::create_dir_all(hostile.join(".git")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        hostile.join(".git/packed-refs"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    symlink(project.join(".git/refs"), hostile.join(".git/refs")).unwrap();
    symlink("/dev/zero", hostile.join(".git/commondir")).unwrap();
    let output = sandbox.run(["purge", "--yes", "--json", "--certificate", "c.json"]);
    output.exits(0).quietly();
    let certificate: Value =
        serde_json::from_slice(&fs::read(sandbox.home().join("c.json")).unwrap()).unwrap();
    let risk = |id: &str| {
        certificate["residualRisks"].as_array().unwrap().iter().find(|risk| risk["id"] == id).unwrap().clone()
    };
    for (id, place) in [
        ("checkpoint-refs", "work/acme/.git/packed-refs"),
        ("agent-worktrees", "work/acme/.claude/worktrees"),
        ("project-files", "work/acme/.claude/scheduled_tasks.json"),
        ("project-files", "work/old/.claude/RESUME.md"),
        ("other-tools", ".sessionkeep/sessions"),
        ("cowork-vm-disk", "sessiondata.img"),
    ] {
        let risk = risk(id);
        assert!(risk["seen"] == "yes" && risk["evidence"].to_string().contains(place), "{id}: {risk}");
    }
    // What the service holds is told by another row.
    assert!(risk("server-side-retention")["evidence"].to_string().contains("Compliance API"));
}
