//! Folders of a store behind links and mount points: followed once where they may be, and told where they may not.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::{Path, PathBuf};

use crate::common::sandbox::{Run, has_namespaces, is_root, recent};
use crate::common::store::{CONTENT, put};
use crate::common::{Output, Sandbox, StoreBuilder, days, id, skip};

/// Binds folders over others, two words a pair, and then runs what follows `--`.
const BIND: &str = r#"set -e
    while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done; shift; exec "$@""#;

fn bound<'r>(run: Run<'r>, pairs: &[(&Path, &Path)]) -> Output {
    let words: Vec<&Path> =
        pairs.iter().flat_map(|(from, to)| [*from, *to]).chain([Path::new("--")]).collect();
    run.among_mounts(BIND, words).run()
}

/// Moves a folder of a store elsewhere, with another user's hands where it was.
fn moved(sandbox: &Sandbox, store: &StoreBuilder, path: &str) -> (PathBuf, PathBuf) {
    let (from, to) = (store.path(path), sandbox.home().join("volumes").join(path));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::rename(&from, &to).unwrap();
    (from, to)
}

#[test]
fn a_top_folder_or_a_projects_may_be_a_mount_point_or_a_link() {
    for path in ["projects", "projects/-work-acme", "file-history", "tasks", "debug", "todos", "ccretain"] {
        for way in ["link", "mount"] {
            if way == "mount" && !has_namespaces() {
                skip("needs root and mount namespaces");
                continue;
            }
            let (sandbox, store) = recent();
            sandbox.enforce().exits(0);
            let session = store.session(1).aged(days(40)).write();
            let files = session.satellites();
            let (from, to) = moved(&sandbox, &store, path);
            let named = format!("{way} followed in [HOME]/.claude: {path}");
            if way == "link" {
                symlink(&to, &from).unwrap();
                sandbox.run(["enforce", "--yes"]).exits(0).quietly().says(&named);
                fs::remove_file(&from).unwrap();
            } else {
                fs::create_dir(&from).unwrap();
                let run = sandbox.command(["enforce", "--yes"]);
                bound(run, &[(&to, &from)]).exits(0).quietly().says(&named);
                fs::remove_dir(&from).unwrap();
            }
            assert!(to.exists(), "{path} as a {way}");
            fs::rename(&to, &from).unwrap();
            assert!(!session.is_there(), "{path} as a {way}");
            let left: Vec<_> = files.iter().filter(|file| file.exists()).collect();
            assert!(left.is_empty(), "{path} as a {way}: {left:?}");
        }
    }
}

#[test]
fn what_is_sealed_lies_behind_the_link_of_our_own_folder_and_comes_back() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(3)).write();
    let text = fs::read(&session.transcript).unwrap();
    fs::create_dir_all(sandbox.home().join("volumes/own")).unwrap();
    symlink(sandbox.home().join("volumes/own"), store.path("ccretain")).unwrap();
    sandbox.sealing(r#""rules": [{"name": "s", "sealAfter": "1d"}]"#);
    sandbox.enforce().exits(0);
    assert!(!session.is_there());
    let sealed = sandbox.home().join("volumes/own/sealed").join(session.id());
    assert!(sealed.join("session.json").exists());
    sandbox.run(["unseal", "--keep-date", session.id()]).exits(0);
    assert_eq!(fs::read(&session.transcript).unwrap(), text);
    assert!(!sealed.exists());
}

#[test]
fn a_deeper_mount_is_out_of_reach_and_never_silence() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(40)).write();
    session.satellites();
    let outside = sandbox.home().join("outside");
    put(&outside.join("byvcankqz.txt"), CONTENT, days(40));
    let over = session.side().join("tool-results");
    let pairs: [(&Path, &Path); 1] = [(&outside, &over)];
    let check = bound(sandbox.command(["check", "--json"]), &pairs);
    let findings = check.json()["findings"].clone();
    let finding = findings.as_array().unwrap().iter().find(|finding| finding["id"] == "out-of-reach");
    assert_eq!(finding.unwrap_or_else(|| panic!("{check}"))["severity"], "high");
    let dry = bound(sandbox.command(["-v", "enforce", "--dry-run", "--json"]), &pairs);
    dry.exits(1);
    assert_eq!(dry.item("tool-results")["reason"], "out-of-reach");
    let output = bound(sandbox.command(["enforce", "--yes", "--json"]), &pairs);
    output.exits(1).says("tool-results").says("another file system is mounted there");
    assert_eq!((output.summary("sessionsDeleted"), output.summary("partlyDeleted")), (1, 1), "{output}");
    assert!(!session.is_there() && outside.join("byvcankqz.txt").exists());
}

#[test]
fn a_dead_link_in_place_of_a_folder_of_sessions_is_told() {
    for path in ["projects/-gone", "file-history"] {
        let (sandbox, store) = recent();
        let session = store.session(1).aged(days(40)).write();
        store.link(path, "/nowhere");
        let output = sandbox.enforce_verbosely();
        output.exits(1).says(path).says("a link that leads nowhere");
        assert_eq!(output.item(path)["reason"], "out-of-reach");
        assert!(!session.is_there());
        // What may lie behind it of that session is still there.
        assert_eq!(output.summary("partlyDeleted"), u64::from(path == "file-history"), "{output}");
    }
    // What is never touched is none of it.
    let (sandbox, store) = recent();
    store.link("skills", "/nowhere");
    store.link("CLAUDE.md", "/nowhere");
    sandbox.enforce().exits(0);
}

#[test]
fn a_store_whose_own_folder_is_out_of_reach_is_left_alone_with_all_that_may_be_its() {
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(40)).write();
    session.satellites();
    let history = store.history(Some(session.id()), "/work/acme", days(40));
    let loose = sandbox.client_tmp().join("claude-paste-1");
    put(&loose, CONTENT, days(60));
    let orphan = sandbox.client_tmp().join("-work-acme").join(id(44)).join("tasks/b.output");
    put(&orphan, CONTENT, days(60));
    let other = StoreBuilder::new(sandbox.home().join("other"), sandbox.client_tmp());
    let gone = other.session(5).aged(days(40)).write();
    store.link("ccretain", "/nowhere");
    let before = sandbox.tree();
    let run = |arguments: &[&str]| sandbox.command(arguments).env("CLAUDE_CONFIG_DIR", &other.root).run();
    run(&["purge", "--yes"]).exits(4);
    let output = run(&["enforce", "--yes", "--json"]);
    output.exits(1).says("'ccretain' in it is out of reach");
    assert!(session.is_there() && loose.exists() && orphan.exists() && session.temp().exists(), "{output}");
    assert_eq!(store.history_lines(), [history]);
    assert!(!gone.is_there());
    let kept = before.0.keys().filter(|path| path.to_str().unwrap().contains(".claude/"));
    let after = sandbox.tree();
    assert!(kept.clone().count() > 10 && kept.clone().all(|path| after.0.contains_key(path)));
    let check = run(&["check", "--json"]);
    let findings = check.json()["findings"].clone();
    assert!(findings.as_array().unwrap().iter().any(|finding| finding["id"] == "out-of-reach"), "{check}");
}

#[test]
fn a_link_or_a_folder_of_somebody_else_is_not_followed() {
    if !is_root() {
        return skip("needs root, to give it away");
    }
    for (gives_link, says) in [(true, "is a link of user 58093"), (false, "belongs to user 58093")] {
        let (sandbox, store) = recent();
        let session = store.session(1).aged(days(40)).write();
        let (from, to) = moved(&sandbox, &store, "projects/-work-acme");
        symlink(&to, &from).unwrap();
        lchown(if gives_link { &from } else { &to }, Some(58_093), None).unwrap();
        sandbox.enforce().exits(1).says(says);
        assert!(session.is_there());
    }
}

/// A second store that reaches the projects of the first.
fn sharing(sandbox: &Sandbox, store: &StoreBuilder) -> StoreBuilder {
    let second = StoreBuilder::new(sandbox.home().join("a-second"), sandbox.client_tmp());
    fs::remove_dir(second.path("projects")).unwrap();
    symlink(store.path("projects"), second.path("projects")).unwrap();
    second
}

#[test]
fn a_folder_that_two_stores_reach_is_one_and_both_have_a_say() {
    for what in ["a hold by a line", "a running client", "a lock"] {
        let (sandbox, store) = recent();
        let session = store.session(1).aged(days(40)).write();
        let second = sharing(&sandbox, &store);
        let mut lock = None;
        match what {
            "a hold by a line" => {
                sandbox.policy(
                    r#"{"version": 1, "holds": [{"name": "h", "projects": ["/only/there/**"], "reason": "x"}]}"#,
                );
                second.history(Some(session.id()), "/only/there", days(50));
            }
            "a running client" => {
                second.pid_file(std::process::id(), session.id(), serde_json::json!({}));
                second.history(None, "/work/x", days(1));
            }
            _ => {
                second.history(None, "/work/x", days(1));
                fs::create_dir(second.path("ccretain")).unwrap();
                let file = fs::File::create(second.path("ccretain/lock")).unwrap();
                file.lock().unwrap();
                lock = Some(file);
            }
        }
        let output = sandbox
            .command(["-v", "enforce", "--yes", "--json", "--store"])
            .arg(&store.root)
            .env("CLAUDE_CONFIG_DIR", &second.root)
            .run();
        output.exits(if lock.is_some() { 75 } else { 0 });
        assert!(session.is_there(), "{what}: {output}");
        drop(lock);
    }
    let (sandbox, store) = recent();
    let session = store.session(1).aged(days(40)).write();
    let second = sharing(&sandbox, &store);
    second.history(Some(session.id()), "/work/acme", days(40));
    let output = sandbox.command(["enforce", "--yes", "--json"]).env("CLAUDE_CONFIG_DIR", &second.root).run();
    output.exits(0);
    assert_eq!(output.summary("sessionsDeleted"), 1, "{output}");
    assert!(!session.is_there() && second.history_lines().is_empty());
    assert!(fs::symlink_metadata(second.path("projects")).unwrap().is_symlink());
}

#[test]
fn our_own_folder_is_of_one_store_alone() {
    let (sandbox, store) = recent();
    sandbox.enforce().exits(0);
    let first = store.session(1).aged(days(40)).write();
    let second = StoreBuilder::new(sandbox.home().join("a-second"), sandbox.client_tmp());
    let kept = second.session(2).aged(days(40)).write();
    symlink(store.path("ccretain"), second.path("ccretain")).unwrap();
    let output = sandbox.command(["enforce", "--yes", "--json"]).env("CLAUDE_CONFIG_DIR", &second.root).run();
    output.exits(1).says("another store reaches it too");
    assert!(!first.is_there() && kept.is_there(), "{output}");
}

/// A store that the policy excludes, with a line of its prompts; its folder of projects is that of another store.
fn excluded_beside(sandbox: &Sandbox, store: &StoreBuilder, is_real: bool) -> (StoreBuilder, String) {
    let second = StoreBuilder::new(sandbox.home().join("a-second"), sandbox.client_tmp());
    let line = second.history(None, "/work/x", days(1));
    fs::remove_dir(second.path("projects")).unwrap();
    if is_real {
        fs::rename(store.path("projects"), second.path("projects")).unwrap();
        symlink(second.path("projects"), store.path("projects")).unwrap();
    } else {
        symlink(store.path("projects"), second.path("projects")).unwrap();
    }
    let exclude = second.root.display();
    sandbox.policy(&format!(r#"{{"version": 1, "stores": {{"exclude": ["{exclude}"]}}}}"#));
    (second, line)
}

#[test]
fn what_an_excluded_store_reaches_is_left_alone() {
    // Whichever of the two really contains the folder.
    for is_real in [true, false] {
        let (sandbox, store) = recent();
        let session = store.session(1).aged(days(40)).write();
        // One that names the session, with which it stays, whatever its own age.
        let line = store.history(Some(session.id()), "/work/acme", days(40));
        let (second, _) = excluded_beside(&sandbox, &store, is_real);
        let run = |sandbox: &Sandbox| {
            let command = sandbox.command(["enforce", "--yes", "--json"]);
            command.env("CLAUDE_CONFIG_DIR", &second.root).run()
        };
        let output = run(&sandbox);
        output.exits(0);
        assert!(session.is_there() && store.history_lines() == [line], "{is_real}: {output}");
        sandbox.policy(r#"{"version": 1}"#);
        run(&sandbox).exits(0);
        assert!(!session.is_there() && store.history_lines().is_empty());
    }
}

/// Runs the program where a folder of a store lies on a disk in memory, and says which files are left on it.
fn on_another_device(sandbox: &Sandbox, from: &Path, over: &Path) -> (Output, Vec<String>) {
    let script = r#"from=$1; over=$2; left=$3; shift 3
        mount -t tmpfs -o mode=700 tmpfs "$over" && cp -a "$from"/. "$over" || exit 99
        "$@"; code=$?
        (cd "$over" && find . -type f) > "$left"; exit $code"#;
    let left = sandbox.root().join("left");
    let output = sandbox
        .command(["-v", "enforce", "--yes", "--json"])
        .among_mounts(script, [from, over, &*left])
        .run();
    let left = fs::read_to_string(left).unwrap();
    (output, left.lines().map(str::to_owned).collect())
}

#[test]
fn a_folder_of_another_device_is_followed_once() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    for path in ["file-history", "projects/-work-acme", "projects"] {
        let (sandbox, store) = recent();
        sandbox.enforce().exits(0);
        let old = store.session(1).aged(days(40)).write();
        old.satellites();
        let young = store.session(2).aged(days(5)).write();
        let kept = store.put(format!("file-history/{}/aaaaaaaaaaaaaaaa@v1", id(2)), CONTENT, days(60));
        let (from, to) = moved(&sandbox, &store, path);
        fs::create_dir(&from).unwrap();
        let (output, left) = on_another_device(&sandbox, &to, &from);
        output.exits(0);
        assert_eq!(output.summary("sessionsDeleted"), 1, "{path}: {output}");
        assert!(!left.iter().any(|file| file.contains(old.id())), "{path}: {left:?}");
        let stays = if path == "file-history" { &kept } else { &young.transcript };
        let name = stays.file_name().unwrap().to_str().unwrap();
        assert!(left.iter().any(|file| file.ends_with(name)), "{path}: {left:?}");
    }
}

/// A volume of FUSE whose program has ended, as it looks after a crash of it.
#[test]
fn a_dead_volume_of_fuse_is_out_of_reach_and_told() {
    let script = r#"over=$1; shift
        mount -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 none "$over" 3<>/dev/fuse || exit 99
        exec "$@""#;
    for path in ["file-history", "projects/-work-acme"] {
        if !has_namespaces() {
            return skip("needs root and mount namespaces");
        }
        let (sandbox, store) = recent();
        let session = store.session(1).aged(days(40)).write();
        let temp = session.temp().join("scratchpad/a.py");
        put(&temp, CONTENT, days(40));
        fs::create_dir_all(store.path(path)).unwrap();
        let over = store.path(path);
        let output =
            sandbox.command(["-v", "enforce", "--yes", "--json"]).among_mounts(script, [&*over]).run();
        if output.code == Some(99) {
            return skip("needs /dev/fuse");
        }
        output.exits(1).says(path);
        if path == "file-history" {
            assert_eq!(output.summary("partlyDeleted"), 1, "{output}");
        } else {
            assert!(session.is_there() && temp.exists(), "{output}");
        }
    }
}

#[test]
fn a_purge_takes_nothing_that_an_excluded_store_reaches() {
    // Whichever of the two really contains the folder.
    for is_real in [true, false] {
        let (sandbox, store) = recent();
        let session = store.session(1).aged(days(40)).write();
        let own = store.history(None, "/work/acme", days(3));
        let (second, line) = excluded_beside(&sandbox, &store, is_real);
        let run = |words: &[&str]| sandbox.command(words).env("CLAUDE_CONFIG_DIR", &second.root).run();
        let output = run(&["purge", "--yes"]);
        assert!(session.is_there() && second.history_lines() == [line.clone()], "{is_real}: {output}");
        assert!(store.history_lines().is_empty() && !own.is_empty());
        assert!(!output.stdout.contains("verdict: complete"), "{is_real}: {output}");
    }
}

/// The state has no folder behind a dead link: what is remembered is out of reach, and not nothing.
#[test]
fn a_state_folder_behind_a_dead_link_is_no_empty_one() {
    for above in ["state", "."] {
        let (sandbox, store) = recent();
        let session = store.session(1).aged(days(40)).write();
        let place = sandbox.root().join("of-state");
        let state = place.join("state");
        fs::create_dir_all(&state).unwrap();
        let dead = place.join(above);
        let away = sandbox.root().join("not-mounted");
        fs::rename(&dead, &away).unwrap_or_else(|_| fs::rename(&place, &away).unwrap());
        let link = if above == "." { place.clone() } else { state.clone() };
        symlink(sandbox.root().join("nowhere"), link).unwrap();
        let output = sandbox.command(["enforce", "--yes", "--json"]).env("CCRETAIN_STATE_DIR", &state).run();
        assert!(session.is_there() && output.code != Some(0), "{above}: {output}");
        assert!(!sandbox.root().join("nowhere").exists(), "{above}");
    }
}
