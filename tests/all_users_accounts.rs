//! `--all-users`: whose homes a run is for, where a directory knows more accounts than the system lists.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::all_users::{Machine, give, machine, user};
use crate::common::days;
use crate::common::store::StoreBuilder;

const ANN: u32 = 58_001;
const DOMAIN: u32 = 1_234_567;
const HOMED: u32 = 60_001;
const SERVICE: u32 = 998;
const GONE: u32 = 58_050;

/// Accounts that only a question for them finds, as SSSD and systemd-homed answer.
fn directory(machine: &Machine, accounts: &[(&str, u32, &str)]) {
    let root = machine.sandbox.root();
    let lines: String =
        accounts.iter().map(|(name, uid, home)| format!("{name}:x:{uid}:{uid}::{home}:/bin/sh\n")).collect();
    fs::write(root.join("directory"), lines).unwrap();
    let getent = format!(
        "#!/bin/sh\n[ $# -gt 1 ] || exec cat /etc/passwd\nshift; rc=0\nfor id; do\n\
         grep -h \"^[^:]*:[^:]*:$id:\" /etc/passwd {} || rc=2; done\nexit $rc\n",
        root.join("directory").display()
    );
    fs::write(root.join("getent"), getent).unwrap();
    fs::set_permissions(root.join("getent"), fs::Permissions::from_mode(0o755)).unwrap();
    let before = r#"mount --bind "$root/getent" /usr/bin/getent; mount --bind "$root/homes" /home"#;
    fs::write(root.join("before"), before).unwrap();
}

/// A home with a store and a session that is long due.
fn home(machine: &Machine, name: &str, uid: u32) -> PathBuf {
    let home = machine.home(name);
    fs::create_dir_all(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    StoreBuilder::new(home.join(".claude"), home.join("tmp")).session(1).aged(days(40)).write();
    give(&home, uid);
    home.join(".claude/projects")
}

fn transcripts(projects: &PathBuf) -> usize {
    let folders = fs::read_dir(projects).into_iter().flatten().flatten();
    folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten()).count()
}

fn left_out(check: &Value) -> Vec<&str> {
    let findings = check["findings"].as_array().unwrap().iter();
    let found = findings.filter(|found| found["id"] == "account-left-out");
    found.map(|found| found["user"].as_str().unwrap_or("-")).collect()
}

#[test]
fn accounts_of_directories_are_handled() {
    let Some(mut machine) = machine() else { return };
    machine.person("ann", ANN);
    let domain = home(&machine, "CORP/dom", DOMAIN);
    let homed = home(&machine, "homed", HOMED);
    directory(&machine, &[("dom@corp", DOMAIN, "/home/CORP/dom"), ("homed", HOMED, "/home/homed")]);
    let output = machine.enforce();
    output.exits(0).quietly();
    let json = output.json();
    assert_eq!((&user(&json, "dom@corp")["exit"], &user(&json, "homed")["exit"]), (&0.into(), &0.into()));
    assert_eq!((transcripts(&domain), transcripts(&homed)), (0, 0), "{json:#}");
}

#[test]
fn a_machine_with_accounts_of_a_directory_alone_is_not_compliant_for_that() {
    let Some(machine) = machine() else { return };
    let projects = home(&machine, "dom", DOMAIN);
    directory(&machine, &[("dom", DOMAIN, "/home/dom")]);
    let check = machine.run(&["check", "--json"]);
    let json = check.exits(3).json();
    assert_eq!(user(&json, "dom")["compliant"], false, "{json:#}");
    machine.enforce().exits(0);
    assert_eq!(transcripts(&projects), 0);
}

#[test]
fn no_account_at_all_is_not_compliance() {
    let Some(machine) = machine() else { return };
    let json = machine.run(&["check", "--json"]).exits(3).json();
    assert_eq!(left_out(&json), ["-"], "{json:#}");
}

#[test]
fn a_store_that_no_account_covers_is_told() {
    let Some(mut machine) = machine() else { return };
    machine.person("ann", ANN);
    let stores = [
        home(&machine, "gone", GONE),
        home(&machine, "CORP/unknown", DOMAIN),
        home(&machine, "service", SERVICE),
        home(&machine, "old-ann", ANN),
    ];
    // A service whose id is above those of people, and which has no home of its own.
    machine.passwd += "virt:x:64055:64055::/var/lib/virt:/bin/false\n";
    machine.passwd += &format!("service:x:{SERVICE}:{SERVICE}::/home/service:/bin/sh\n");
    directory(&machine, &[]);
    let before = fs::read_to_string(machine.sandbox.root().join("before")).unwrap();
    let tree = "/tmp/claude-58051";
    let squat = "/tmp/claude-58052";
    let trees = format!("{before}\nmkdir {tree} {squat}; chown 58051 {tree}; chown 58053 {squat}");
    fs::write(machine.sandbox.root().join("before"), trees).unwrap();
    let output = machine.enforce();
    output.exits(1);
    let json = output.json();
    assert_eq!(user(&json, "ann")["exit"], 0);
    let mut refused: Vec<&str> =
        json["refused"].as_array().unwrap().iter().map(|row| row["home"].as_str().unwrap()).collect();
    refused.sort_unstable();
    let expected = ["/home/CORP/unknown", "/home/gone", "/home/old-ann", "/home/service", tree];
    assert_eq!(refused, expected, "{json:#}");
    assert!(stores.iter().all(|store| transcripts(store) > 0));
    fs::write(machine.sandbox.root().join("before"), before).unwrap();
    let check = machine.run(&["check", "--json"]).exits(3).json();
    let mut users = left_out(&check);
    users.sort_unstable();
    assert_eq!(users, ["ann", "uid 1234567", "uid 58050", "uid 998"], "{check:#}");
    let medium = |found: &&Value| found["id"] == "account-left-out" && found["severity"] == "medium";
    assert_eq!(check["findings"].as_array().unwrap().iter().filter(medium).count(), 4);
}
