//! Homes: spelled through a link, missing, of the account, and of somebody else.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use crate::common::sandbox::{has_namespaces, is_root};
use crate::common::{Sandbox, Tree, days, hours, skip};

/// A home that is spelled through a link, with an old session below it.
fn through_a_link() -> (Sandbox, std::path::PathBuf) {
    let sandbox = Sandbox::new();
    let link = sandbox.root().join("spelled");
    symlink(sandbox.home(), &link).unwrap();
    (sandbox, link)
}

#[test]
fn a_hold_below_a_home_that_is_a_link_covers_what_records_call_by_its_real_name() {
    for is_spelled in [true, false] {
        let (sandbox, link) = through_a_link();
        let home = if is_spelled { link.clone() } else { fs::canonicalize(sandbox.home()).unwrap() };
        let cwd = home.join("work/acme");
        let session = sandbox.store().session(1).cwd(cwd.to_str().unwrap()).aged(days(60)).write();
        let other = sandbox.store().session(2).cwd("/work/other").aged(days(60)).write();
        sandbox.store().session(3).aged(days(1)).write();
        let run = |words: &[&str]| sandbox.command(words).env("HOME", &link).run();
        let added = run(&["hold", "add", "--project", "~/work/**", "--reason", "r", "--json"]);
        added.exits(0);
        assert_eq!(added.json()["hold"]["covers"]["sessions"], 1, "{added}");
        run(&["enforce", "--yes"]).exits(0);
        assert!(session.is_there() && !other.is_there(), "{cwd:?}");
    }
}

#[test]
fn a_rule_and_a_purge_below_a_home_that_is_a_link_find_what_they_name() {
    let (sandbox, link) = through_a_link();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"projects": ["~/work/**"], "deleteAfter": "7d"}, {"deleteAfter": "never"}]}"#,
    );
    let cwd = fs::canonicalize(sandbox.home()).unwrap().join("work/acme");
    let session = |number| sandbox.store().session(number).cwd(cwd.to_str().unwrap()).aged(days(20)).write();
    let (by_rule, other) = (session(1), sandbox.store().session(2).cwd("/work/x").aged(days(20)).write());
    let run = |words: &[&str]| sandbox.command(words).env("HOME", &link).run();
    run(&["enforce", "--yes"]).exits(0);
    assert!(!by_rule.is_there() && other.is_there());
    let purged = session(3);
    run(&["purge", "--yes", "--project", "~/work/**"]).exits(0);
    assert!(!purged.is_there() && other.is_there());
    // A purge of everything searches the home, wherever it leads.
    let hidden = crate::common::StoreBuilder::new(sandbox.home().join("deep/other"), sandbox.client_tmp());
    let hidden = hidden.session(4).aged(days(20)).write();
    run(&["purge", "--yes"]).exits(0).says("complete");
    assert!(!hidden.is_there() && !other.is_there());
}

#[test]
fn a_home_that_is_missing_is_not_made() {
    let sandbox = Sandbox::new();
    let gone = sandbox.root().join("gone");
    let temp = sandbox.client_tmp().join("-work-acme/5f0c2a6e-0000-4000-8000-000000000001/scratchpad/a");
    fs::create_dir_all(temp.parent().unwrap()).unwrap();
    fs::write(&temp, "x").unwrap();
    crate::common::store::age(&temp, days(60));
    for words in [
        &["enforce", "--yes"][..],
        &["enforce", "-n"],
        &["status"],
        &["purge", "--yes"],
        &["key", "new"],
        &["hold", "list"],
        &["check"],
        &["schedule", "install", "--backend", "cron"],
    ] {
        let output = sandbox.command(words).env("HOME", &gone).with_usual_places().run();
        assert_eq!(output.code, Some(2), "{words:?}: {output}");
        output.says("home");
        assert!(!gone.exists() && temp.exists(), "{words:?}");
    }
    // A dead link, and a file, are no homes either; what needs none goes on.
    let link = sandbox.root().join("dead");
    symlink(&gone, &link).unwrap();
    sandbox.command(["status"]).env("HOME", &link).run().exits(2);
    sandbox.command(["status"]).env("HOME", temp).run().exits(2);
    sandbox.command(["policy", "schema"]).env("HOME", &gone).run().exits(0);
    sandbox.command(["status"]).env("HOME", "relative").run().exits(2);
}

#[test]
fn root_changes_nothing_in_another_accounts_home() {
    if !is_root() {
        return skip("needs root");
    }
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(60)).write();
    sandbox.store().session(2).aged(hours(3)).write();
    sandbox.give_away();
    let command = |words: &[&str]| sandbox.command(words).with_usual_places();
    let before = Tree::of(sandbox.root());
    let add = ["hold", "add", "--project", "/x", "--reason", "r"];
    for words in [
        &["enforce", "--yes"][..],
        &["purge", "--yes"],
        &["key", "new"],
        &add,
        &["hold", "release", "x", "--reason", "r"],
        &["seal", "--idle", "1d"],
        &["unseal", "5f0c2a6e"],
        &["rekey"],
        &["check", "--fix"],
        &["schedule", "install", "--backend", "cron"],
        &["schedule", "remove"],
    ] {
        let output = command(words).run();
        assert_eq!(output.code, Some(2), "{words:?}: {output}");
        output.says("another account's home").says("--all-users");
    }
    for words in
        [&["status"][..], &["enforce", "--dry-run"], &["check"], &["hold", "list"], &["policy", "show"]]
    {
        let output = command(words).run();
        assert!(!output.stderr.contains("another account's home"), "{words:?}: {output}");
    }
    assert_eq!(before, Tree::of(sandbox.root()), "nothing was written");
    // In a container state and policy are root's, and the store is named.
    chown(sandbox.state(), Some(0), Some(0)).unwrap();
    chown(sandbox.config(), Some(0), Some(0)).unwrap();
    let named = sandbox.home().join(".claude");
    sandbox.command(["enforce", "--yes"]).run().exits(2);
    let output = sandbox.command(["enforce", "--yes", "--store"]).arg(&named).run();
    assert_ne!(output.code, Some(2), "{output}");
}

#[test]
fn without_home_that_of_the_account_is_taken() {
    if !has_namespaces() {
        return skip("needs root and mount namespaces");
    }
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(60)).write();
    sandbox.store().session(2).aged(days(1)).write();
    let etc = sandbox.root().join("etc");
    fs::create_dir(&etc).unwrap();
    let passwd = format!("root:x:0:0:root:{}:/bin/sh\n", sandbox.home().display());
    fs::write(etc.join("passwd"), passwd).unwrap();
    fs::write(etc.join("nsswitch.conf"), "passwd: files\ngroup: files\n").unwrap();
    // Among mounts of its own: the home of the account that runs the suite is nobody's to look at.
    for words in [&["-u", "HOME"][..], &["HOME="]] {
        let unset = std::iter::once("env").chain(words.iter().copied());
        let run = sandbox.command(["enforce", "-n", "-v"]).through(unset).with_over(&etc, "/etc");
        run.run().exits(0).says("would delete  1 session");
    }
}

#[test]
fn where_no_store_can_be_taken_what_is_remembered_stays_remembered() {
    let closed: [fn(&Sandbox); 3] = [
        |sandbox| {
            fs::set_permissions(sandbox.home(), fs::Permissions::from_mode(0o777)).unwrap();
            fs::remove_dir_all(sandbox.home().join(".claude")).unwrap();
        },
        |sandbox| {
            fs::set_permissions(sandbox.home(), fs::Permissions::from_mode(0o777)).unwrap();
            fs::set_permissions(sandbox.home().join(".claude"), fs::Permissions::from_mode(0o000)).unwrap();
        },
        |sandbox| fs::set_permissions(sandbox.home(), fs::Permissions::from_mode(0o000)).unwrap(),
    ];
    for (at, meanwhile) in closed.into_iter().enumerate() {
        let sandbox = Sandbox::new();
        sandbox.delete_after("300d");
        let session = sandbox.store().session(1).aged(days(3)).write();
        // No temp folder is a store either.
        fs::remove_dir_all(sandbox.client_tmp()).ok();
        sandbox.give_away();
        sandbox.command(["enforce", "--yes"]).unprivileged().run().exits(0);
        let memory = sandbox.state().join("sessions.json");
        assert!(fs::read_to_string(&memory).unwrap().contains(session.id()));
        meanwhile(&sandbox);
        for words in [
            &["status"][..],
            &["list"],
            &["check"],
            &["explain", session.id()],
            &["hold", "list"],
            &["hold", "add", "--session", session.id(), "--reason", "r"],
            &["purge", "--dry-run"],
            &["enforce", "--dry-run"],
            &["enforce", "--yes"],
        ] {
            let output = sandbox.command(words).unprivileged().run();
            assert!(!output.stderr.contains("panicked"), "{at} {words:?}: {output}");
        }
        assert!(fs::read_to_string(&memory).unwrap().contains(session.id()), "{at}");
    }
}
