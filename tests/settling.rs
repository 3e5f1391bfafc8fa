//! Decisions survive what they do: a second run at the same time does nothing, and nothing goes that the first kept.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::all_users::{give, machine};
use crate::common::sandbox::{files_below, has, has_namespaces};
use crate::common::store::put;
use crate::common::{Output, Sandbox, StoreBuilder, days, hours, id, now, skip};
use crate::seal::{identity, seals};

const ANN: u32 = 58_061;

/// A sandbox with a policy and a session of today, so that the clock is beyond doubt.
fn sandbox(rules: &str) -> (Sandbox, StoreBuilder) {
    let sandbox = Sandbox::new();
    sandbox.policy(&format!(r#"{{"version": 1, "rules": {rules}}}"#));
    let store = sandbox.store();
    store.session(9).cwd("/work/anchor").aged(hours(3)).write();
    (sandbox, store)
}

fn changes_nothing(output: &Output) {
    output.exits(0);
    for count in ["deleted", "pruned", "sealed"] {
        assert_eq!(output.summary(count), 0, "{count}: {output}");
    }
}

#[test]
fn what_a_subagent_dated_stays_dated_when_the_subagent_is_gone() {
    let (sandbox, store) = sandbox(
        r#"[{"name": "k", "kinds": ["subagent"], "deleteAfter": "1d"}, {"name": "d", "deleteAfter": "30d"}]"#,
    );
    let session = store.session(1).aged(days(40)).write();
    session.subagent("a1b2c3", days(2));
    assert_eq!(sandbox.enforce().summary("deleted"), 1);
    changes_nothing(&sandbox.enforce());
    assert!(session.is_there());
}

/// A managed rule is delayed by no word of a user's, but what root keeps of an account is none.
#[test]
fn what_root_remembers_of_an_account_outlives_its_runs() {
    let Some(mut machine) = machine() else { return };
    machine.system(
        "managed-policy.json",
        r#"{"version": 1, "rules": [{"name": "k", "kinds": ["subagent"], "deleteAfter": "15d"},
            {"name": "d", "deleteAfter": "30d"}]}"#,
    );
    let session = machine.person("ann", ANN).session(1).aged(days(60)).write();
    let agent = session.subagent("a1b2c3", days(20));
    give(&machine.home("ann"), ANN);
    for _ in 0..2 {
        machine.enforce().exits(0);
        assert!(session.is_there() && !agent.exists());
    }
}

#[test]
fn a_project_that_only_a_line_told_is_known_when_the_line_is_gone() {
    let (sandbox, store) = sandbox(
        r#"[{"name": "lines", "kinds": ["history"], "deleteAfter": "7d"},
            {"name": "acme", "projects": ["/work/acme/**"], "deleteAfter": "90d"}, {"name": "rest", "deleteAfter": "7d"}]"#,
    );
    let file = store.put(format!("file-history/{}/aaaaaaaaaaaaaaaa@v1", id(1)), "edited", days(20));
    store.history(Some(&id(1)), "/work/acme", days(20));
    assert_eq!(sandbox.enforce().summary("prunedLines"), 1);
    changes_nothing(&sandbox.enforce());
    assert!(file.exists());
}

#[test]
fn a_paste_stays_for_its_session_when_its_line_is_gone() {
    let (sandbox, store) = sandbox(r#"[{"name": "d", "deleteAfter": "30d"}]"#);
    store.session(1).aged(days(5)).write();
    let hash = "0123456789abcdef";
    let paste = store.put(format!("paste-cache/{hash}.txt"), "pasted", days(60));
    store.history_line(
        &json!({
            "display": "d", "pastedContents": {"1": {"id": 1, "type": "text", "contentHash": hash}},
            "timestamp": (now() - days(50)).timestamp_millis(), "project": "/work/acme", "sessionId": id(1),
        })
        .to_string(),
    );
    assert_eq!(sandbox.enforce().summary("prunedLines"), 1);
    changes_nothing(&sandbox.enforce());
    assert!(paste.exists());
    // When its session goes, so does the paste.
    sandbox.policy(r#"{"version": 1, "rules": [{"name": "d", "deleteAfter": "3d"}]}"#);
    sandbox.enforce().exits(0);
    assert!(!paste.exists(), "its last owner is gone");
}

#[test]
fn satellites_outlive_a_volume_that_is_not_mounted() {
    for whole in [true, false] {
        let (sandbox, store) = sandbox(r#"[{"name": "d", "deleteAfter": "30d"}]"#);
        let session = store.session(1).aged(days(5)).write();
        let hash = "0123456789abcdef";
        let paste = store.put(format!("paste-cache/{hash}.txt"), "pasted", days(60));
        let line = json!({
            "display": "d", "pastedContents": {"1": {"id": 1, "type": "text", "contentHash": hash}},
            "timestamp": (now() - days(20)).timestamp_millis(), "project": "/work/acme", "sessionId": id(1),
        });
        store.history_line(&line.to_string());
        let history = store.put(format!("file-history/{}/aaaaaaaaaaaaaaaa@v1", id(1)), "edited", days(60));
        let temp = store.tmp.join(format!("-work-acme/{}/scratchpad/a.py", id(1)));
        put(&temp, "scratch", days(60));
        changes_nothing(&sandbox.enforce());
        let below = if whole { "projects" } else { "projects/-work-acme" };
        fs::rename(store.path(below), sandbox.root().join("unmounted")).unwrap();
        fs::create_dir(store.path(below)).unwrap();
        changes_nothing(&sandbox.enforce());
        changes_nothing(&sandbox.enforce());
        assert!(history.exists() && temp.exists() && paste.exists());
        // Once the session itself is due, so are they.
        sandbox.policy(r#"{"version": 1, "rules": [{"name": "d", "deleteAfter": "4d"}]}"#);
        sandbox.enforce().exits(0);
        assert!(!history.exists() && !temp.exists() && !paste.exists());
        assert!(!session.is_there());
    }
}

#[test]
fn a_session_that_its_user_removed_goes_with_its_own_date() {
    let (sandbox, store) = sandbox(r#"[{"name": "d", "deleteAfter": "30d"}]"#);
    let session = store.session(1).aged(days(29)).write();
    let history = store.put(format!("file-history/{}/aaaaaaaaaaaaaaaa@v1", id(1)), "edited", days(60));
    changes_nothing(&sandbox.enforce());
    fs::remove_file(&session.transcript).unwrap();
    changes_nothing(&sandbox.enforce());
    sandbox.policy(r#"{"version": 1, "rules": [{"name": "d", "deleteAfter": "28d"}]}"#);
    sandbox.enforce().exits(0);
    assert!(!history.exists());
    // Nothing is left of it, here neither.
    sandbox.enforce().exits(0);
    let remembered = fs::read_to_string(sandbox.state().join("sessions.json")).unwrap();
    assert!(remembered.contains(&id(9)) && !remembered.contains(&id(1)), "{remembered}");
}

/// Its files may come back, and want their project.
#[test]
fn what_is_known_by_its_project_alone_is_remembered_while_its_store_is_away() {
    let (sandbox, store) = sandbox(
        r#"[{"name": "long", "projects": ["/work/long"], "deleteAfter": "90d"}, {"name": "d", "deleteAfter": "30d"}]"#,
    );
    store.session(9).aged(hours(3)).write();
    let other = StoreBuilder::new(sandbox.home().join("alt"), store.tmp.clone());
    other.session(8).aged(hours(4)).write();
    let orphan = other.put(format!("file-history/{}/aaaaaaaaaaaaaaaa@v1", id(1)), "edited", days(40));
    other.history(Some(&id(1)), "/work/long", days(2));
    let run = |arguments: &[&str]| sandbox.command(arguments).env("CLAUDE_CONFIG_DIR", &other.root).run();
    run(&["enforce", "--yes"]).exits(0);
    assert!(orphan.exists());
    fs::remove_file(other.path("history.jsonl")).unwrap();
    let away = sandbox.root().join("away");
    fs::rename(&other.root, &away).unwrap();
    sandbox.enforce().exits(1);
    fs::rename(&away, &other.root).unwrap();
    run(&["enforce", "--yes"]).exits(0);
    assert!(orphan.exists(), "the rule of its project keeps it");
}

#[test]
fn damaged_memory_begins_anew_and_spares_orphans() {
    let (sandbox, store) = sandbox(r#"[{"name": "d", "deleteAfter": "30d"}]"#);
    let history = store.put(format!("file-history/{}/aaaaaaaaaaaaaaaa@v1", id(1)), "edited", days(60));
    fs::write(sandbox.state().join("sessions.json"), "{\"version\":1,\"sess").unwrap();
    sandbox.enforce().exits(1).says("sessions.json");
    assert!(history.exists());
    sandbox.enforce().exits(0);
    assert!(history.exists(), "a transcript may have been seen by a run that is forgotten");
}

#[test]
fn a_purge_leaves_nothing_remembered_of_what_it_removed() {
    let (sandbox, store) = sandbox(r#"[{"name": "d", "deleteAfter": "30d"}]"#);
    store.session(1).aged(days(5)).write();
    sandbox.enforce().exits(0);
    let file = sandbox.state().join("sessions.json");
    assert!(fs::read_to_string(&file).unwrap().contains(&id(1)));
    sandbox.run(["purge", "--yes", "--project", "/work/acme/**"]).exits(0);
    assert!(!fs::read_to_string(&file).unwrap().contains(&id(1)));
    sandbox.run(["purge", "--yes"]).exits(0);
    assert!(!file.exists());
}

#[test]
fn a_session_of_an_excluded_store_is_still_a_session() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(9).aged(hours(3)).write();
    let other = StoreBuilder::new(sandbox.home().join("alt"), store.tmp.clone());
    other.session(1).aged(hours(4)).write();
    let temp = store.tmp.join(format!("-work-acme/{}/scratchpad/a.py", id(1)));
    put(&temp, "scratch", days(60));
    let lost = store.tmp.join(format!("-work-acme/{}/scratchpad/a.py", id(2)));
    put(&lost, "scratch", days(60));
    let alt = other.root.to_str().unwrap();
    sandbox.policy(&format!(r#"{{"version": 1, "stores": {{"exclude": ["{alt}"]}}}}"#));
    let run = |arguments: &[&str]| sandbox.command(arguments).env("CLAUDE_CONFIG_DIR", alt).run();
    let plan = run(&["enforce", "-n", "--json", "-v"]).json();
    assert_eq!(plan["stores"].as_array().unwrap().iter().filter(|store| store["root"] == alt).count(), 0);
    let item = plan["items"].as_array().unwrap().iter().find(|item| item["session"] == id(1)).unwrap();
    assert_eq!(item["reason"], "owner-unknown");
    run(&["enforce", "--yes"]).exits(0);
    assert!(temp.exists());
    assert!(!lost.exists(), "one that is of no session anywhere goes");
    assert!(!other.path("ccretain").exists(), "what is left out is not even locked");
}

/// A volume that is not mounted today leaves an empty folder, and what it holds may be the transcript of any orphan.
#[test]
fn an_orphan_may_be_of_an_excluded_store_that_shows_no_projects_today() {
    for (empty, mark, is_seen_before) in [
        ("projects", true, true),
        ("projects", true, false),
        ("projects", false, false),
        ("projects/-work-acme", true, false),
        ("projects/-work-acme", true, true),
    ] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        store.session(9).cwd("/work/anchor").aged(hours(3)).write();
        let other = StoreBuilder::new(sandbox.home().join("alt"), store.tmp.clone());
        other.session(1).cwd("/work/acme").aged(hours(4)).write();
        other.session(3).cwd("/work/beta").aged(hours(4)).write();
        if mark {
            put(&other.path("history.jsonl"), "", days(2));
        }
        let temp = store.tmp.join(format!("-work-acme/{}/scratchpad/a.py", id(1)));
        put(&temp, "scratch", days(60));
        let alt = other.root.to_str().unwrap();
        sandbox.policy(&format!(r#"{{"version": 1, "stores": {{"exclude": ["{alt}"]}}}}"#));
        let run =
            || sandbox.command(["-v", "enforce", "--yes", "--json"]).env("CLAUDE_CONFIG_DIR", alt).run();
        if is_seen_before {
            run().exits(0);
        }
        let (path, away) = (other.path(empty), sandbox.home().join("volume"));
        fs::rename(&path, &away).unwrap();
        fs::create_dir(&path).unwrap();
        for _ in 0..2 {
            let output = run();
            output.exits(0);
            assert!(temp.exists(), "{empty} {mark} {is_seen_before}: {output}");
        }
        // Without the exclusion it is a session of which nothing is known, or one that is remembered.
        fs::remove_dir(&path).unwrap();
        fs::rename(&away, &path).unwrap();
        run().exits(0);
        assert!(temp.exists(), "{empty} {mark} {is_seen_before}");
        // Its own project gone for good, in a store that shows others, it is an orphan.
        fs::remove_dir_all(other.path("projects/-work-acme")).unwrap();
        fs::remove_file(sandbox.state().join("sessions.json")).unwrap();
        run().exits(0);
        assert!(!temp.exists(), "{empty} {mark} {is_seen_before}");
    }
}

#[test]
fn an_index_entry_without_a_project_is_of_its_session() {
    let (sandbox, store) = sandbox(r#"[{"name": "d", "deleteAfter": "30d"}]"#);
    let session = store.session(1).aged(days(40)).write();
    let index = session.transcript.with_file_name("sessions-index.json");
    let entries = json!({"version": 1, "entries": [{"sessionId": id(1), "firstPrompt": "p"}]});
    put(&index, entries.to_string(), days(40));
    for (project, goes) in [("/work/acme/**", false), ("/nowhere/**", true)] {
        sandbox.policy(&format!(
            r#"{{"version": 1, "holds": [{{"name": "h", "projects": ["{project}"], "reason": "r"}}]}}"#
        ));
        sandbox.enforce().exits(0);
        assert_eq!(!fs::read_to_string(&index).unwrap().contains(&id(1)), goes, "{project}");
    }
}

#[test]
fn a_history_without_dated_lines_keeps_its_kind() {
    let sandbox = Sandbox::new();
    sandbox.store().session(9).aged(hours(3)).write();
    for content in
        ["", "{\"display\":\"d\",\"pastedContents\":{},\"sessionId\":\"ID\"}\n", "{\"display\":\"to"]
    {
        let other = StoreBuilder::new(sandbox.home().join("alt"), sandbox.client_tmp());
        other.session(1).aged(days(2)).write();
        put(&other.path("history.jsonl"), content.replace("ID", &id(1)), days(2));
        let alt = other.root.to_str().unwrap();
        let plan =
            sandbox.command(["enforce", "-n", "--json", "-v"]).env("CLAUDE_CONFIG_DIR", alt).run().json();
        let items = plan["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["path"] == "history.jsonl").unwrap();
        assert_eq!(item["kind"], "history", "{content:?}");
    }
}

/// What lies in a folder, with what is in each file.
fn contents_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = files_below(&[folder.to_owned()]).into_iter();
    files.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

#[test]
fn an_orphan_over_config_and_temp_trees_is_sealed_whole_and_comes_back() {
    // Over both, over two temp trees, and in a temp tree alone.
    for places in [&["config", "temp"][..], &["temp", "other"], &["temp"]] {
        let sandbox = Sandbox::new();
        seals(&sandbox, &identity(&sandbox), "");
        let store = sandbox.store();
        store.session(9).cwd("/work/anchor").aged(hours(3)).write();
        let other = sandbox.root().join("other");
        let other_temp = other.join(store.tmp.file_name().unwrap());
        for place in places {
            let (path, text) = match *place {
                "config" => (store.path(format!("file-history/{}/aaaaaaaaaaaaaaaa@v1", id(1))), "edited"),
                "temp" => (store.tmp.join(format!("-work-acme/{}/images/1.png", id(1))), "image"),
                _ => (other_temp.join(format!("-work-acme/{}/images/1.png", id(1))), "another image"),
            };
            put(&path, text, days(5));
        }
        fs::create_dir_all(&other_temp).unwrap();
        for folder in [&store.tmp, &other_temp, &other] {
            let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
        }
        let of_session = || -> BTreeMap<PathBuf, Vec<u8>> {
            let mut all = contents_below(sandbox.root());
            all.retain(|path, _| {
                let text = path.to_str().unwrap();
                text.contains(&id(1)) && !text.contains("/ccretain/")
            });
            all
        };
        let before = of_session();
        assert_eq!(before.len(), places.len());
        let run = |arguments: &[&str]| sandbox.command(arguments).env("TMPDIR", &other).run();
        let sealed = run(&["enforce", "--yes", "--json"]);
        assert_eq!(sealed.summary("sealed"), places.len() as u64, "{places:?} {sealed}");
        assert_eq!(of_session().len(), 0, "{places:?}: nothing stays plain");
        let own = sandbox.home().join(".claude/ccretain/sealed").join(id(1));
        assert!(own.join("session.json").exists() && own.join("temp").exists());
        assert!(!store.tmp.join("ccretain").exists() && !other_temp.join("ccretain").exists());
        let again = run(&["enforce", "--yes", "--json"]);
        changes_nothing(&again);
        run(&["unseal", &id(1), "--keep-date"]).exits(0);
        assert_eq!(of_session(), before, "{places:?}");
    }
}

#[test]
fn what_was_sealed_into_a_temp_tree_is_found_again() {
    let sandbox = Sandbox::new();
    seals(&sandbox, &identity(&sandbox), "");
    let store = sandbox.store();
    store.session(9).cwd("/work/anchor").aged(hours(3)).write();
    let file = store.tmp.join(format!("-work-acme/{}/images/1.png", id(1)));
    put(&file, "image", days(5));
    fs::set_permissions(&store.tmp, fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.enforce().exits(0);
    // As earlier versions did it.
    fs::create_dir_all(store.tmp.join("ccretain/sealed")).unwrap();
    let [from, to] = [&store.root, &store.tmp].map(|root| root.join("ccretain/sealed").join(id(1)));
    fs::rename(from, &to).unwrap();
    changes_nothing(&sandbox.enforce());
    sandbox.run(["unseal", &id(1), "--keep-date"]).exits(0);
    assert_eq!(fs::read(&file).unwrap(), b"image");
    assert!(!to.exists());
}

/// What a layer excludes it must not touch, wherever the rules of another layer put it.
#[test]
fn what_another_layer_seals_out_of_an_excluded_store_stays() {
    if !has_namespaces() {
        skip("needs root and mount namespaces");
        return;
    }
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    let store = sandbox.store();
    store.session(9).cwd("/work/anchor").aged(hours(3)).write();
    let managed = sandbox.root().join("managed");
    fs::create_dir(&managed).unwrap();
    let text = format!(
        r#"{{"version": 1, "recipients": ["{recipient}"], "rules": [{{"name": "s", "sealAfter": "1d"}}]}}"#
    );
    fs::write(managed.join("managed-policy.json"), text).unwrap();
    let deletes_after = |period: &str| {
        let rules = r#"{"name": "temp", "kinds": ["temp-file"], "deleteAfter": "2d"}, {"name": "d", "deleteAfter": "PERIOD"}"#;
        let (rules, tmp) = (rules.replace("PERIOD", period), store.tmp.to_str().unwrap());
        sandbox
            .policy(&format!(r#"{{"version": 1, "rules": [{rules}], "stores": {{"exclude": ["{tmp}"]}}}}"#));
    };
    deletes_after("20d");
    let session = store.session(1).aged(days(5)).write();
    let of_session = session.temp().join("scratchpad/a.py");
    let alone = store.tmp.join(format!("-work-acme/{}/scratchpad/b.py", id(2)));
    for temp in [&of_session, &alone] {
        put(temp, "scratch", days(5));
    }
    fs::set_permissions(&store.tmp, fs::Permissions::from_mode(0o700)).unwrap();
    let run = || sandbox.command(["enforce", "--yes", "--json"]).with_system_folder(&managed).run();
    run().exits(0);
    let sealed = |of: u32| store.path(format!("ccretain/sealed/{}", id(of)));
    let temp = |of: u32, name: &str| sealed(of).join(format!("temp/scratchpad/{name}.zst.age"));
    let exists = |of: &Path| of.exists();
    assert!(!exists(&session.transcript) && !exists(&of_session) && !exists(&alone));
    assert!(exists(&temp(1, "a.py")) && exists(&temp(2, "b.py")));
    changes_nothing(&run());
    assert!(temp(1, "a.py").exists() && temp(2, "b.py").exists());
    // The session goes, what came from the excluded store does not, and with it stays its record.
    deletes_after("4d");
    run().exits(0);
    for (of, name) in [(1, "a.py"), (2, "b.py")] {
        assert!(temp(of, name).exists() && sealed(of).join("session.json").exists());
    }
    assert_eq!(contents_below(&sealed(1)).len(), 2);
    changes_nothing(&run());
}

#[test]
fn satellites_over_two_stores_are_sealed_where_they_lie() {
    let sandbox = Sandbox::new();
    seals(&sandbox, &identity(&sandbox), "");
    let store = sandbox.store();
    store.session(9).cwd("/work/anchor").aged(hours(3)).write();
    let other = StoreBuilder::new(sandbox.home().join("alt"), store.tmp.clone());
    other.session(8).cwd("/work/anchor").aged(hours(4)).write();
    let files = [&store, &other]
        .map(|store| store.put(format!("file-history/{}/aaaaaaaaaaaaaaaa@v1", id(1)), "edited", days(5)));
    let run = |arguments: &[&str]| sandbox.command(arguments).env("CLAUDE_CONFIG_DIR", &other.root).run();
    let output = run(&["enforce", "--yes", "--json"]);
    assert_eq!((output.summary("sealed"), output.summary("sessionsSealed")), (2, 1), "{output}");
    for (store, file) in [&store, &other].into_iter().zip(&files) {
        assert!(!file.exists() && store.path(format!("ccretain/sealed/{}/session.json", id(1))).exists());
    }
    changes_nothing(&run(&["enforce", "--yes", "--json"]));
    // As any session that is in two stores.
    run(&["unseal", &id(1), "--keep-date"]).exits(2);
    for (store, file) in [&store, &other].into_iter().zip(&files) {
        run(&["unseal", &id(1), "--keep-date", "--store", store.root.to_str().unwrap()]).exits(0);
        assert_eq!(fs::read(file).unwrap(), b"edited");
    }
}

/// A clock that was ahead dates nothing until its time has come, sealed or not.
#[test]
fn a_record_ahead_dates_a_sealed_session_once_its_time_has_come() {
    if !has("faketime") {
        skip("needs faketime");
        return;
    }
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    let store = sandbox.store();
    let ahead = (now() + days(3)).format("%Y-%m-%dT%H:%M:%S.000Z");
    let write = |number: u32| {
        let line = json!({"type": "user", "sessionId": id(number), "cwd": "/work/acme", "timestamp": ahead.to_string()});
        store.session(number).aged(days(20)).head(&line.to_string()).write()
    };
    let sealed_one = write(1);
    seals(&sandbox, &recipient, "");
    assert_eq!(sandbox.enforce().summary("sessionsSealed"), 1);
    assert!(!sealed_one.is_there());
    let plain_one = write(2);
    sandbox.delete_after("30d");
    let record = store.path(format!("ccretain/sealed/{}/session.json", id(1)));
    for (later, is_there) in [(15, true), (32, true), (34, false)] {
        sandbox.command(["enforce", "--yes", "--json"]).at(now() + days(later)).run();
        assert_eq!((record.exists(), plain_one.is_there()), (is_there, is_there), "after {later} days");
    }
}
