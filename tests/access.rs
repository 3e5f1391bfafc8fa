//! What gives or takes access beside owner and mode is kept when a file is written anew or a session comes back: judged
//! by stock `getfacl` and `getfattr`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::common::sandbox::{NOBODY, has, is_root};
use crate::common::{Sandbox, days, id, skip};
use crate::seal::{identity, seals};

fn said(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(path).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn acl(path: &Path) -> String {
    said("getfacl", &["--absolute-names", "--omit-header", "--numeric"], path)
}

/// All extended attributes, but those that measure the content.
fn attributes(path: &Path) -> String {
    let all = said("getfattr", &["--absolute-names", "-d", "-m", "-", "-e", "hex"], path);
    all.lines().filter(|line| !line.starts_with("security.ima")).collect::<Vec<_>>().join("\n")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Whether the tools are there and the file system of the tests keeps ACLs.
fn can() -> bool {
    let sandbox = Sandbox::new();
    let works = has("setfacl")
        && has("setfattr")
        && Command::new("setfacl")
            .args(["-m", "u:1:r"])
            .arg(sandbox.home())
            .status()
            .is_ok_and(|s| s.success());
    if !works {
        skip("needs setfacl and setfattr, and a file system that keeps ACLs");
    }
    works
}

/// A store in which every file that is rewritten loses something, and those files.
fn rewritten(sandbox: &Sandbox) -> Vec<std::path::PathBuf> {
    sandbox.delete_after("30d");
    let store = sandbox.store();
    for (number, old) in [(1, 40), (2, 2)] {
        store.session(number).aged(days(old)).write();
        store.history(Some(&id(number)), "/work/acme", days(old));
    }
    let index = store.index("/work/acme", &[&id(1), &id(2)]);
    let millis = (crate::common::now() - days(40)).timestamp_millis();
    let global =
        serde_json::json!({"projects": {"/work/acme": {"history": [{"display": "x", "timestamp": millis}]}}});
    let global = sandbox.write(".claude.json", format!("\u{feff}{global}"));
    vec![store.path("history.jsonl"), index, global]
}

#[test]
fn what_is_written_anew_keeps_its_acl_its_attributes_and_its_flags() {
    if !can() {
        return;
    }
    let sandbox = Sandbox::new();
    let files = rewritten(&sandbox);
    // What a folder hands down must not reach a file that had none.
    let plain = &files[1];
    said("setfacl", &["-d", "-m", "u:7:rwx"], plain.parent().unwrap());
    fs::set_permissions(plain, fs::Permissions::from_mode(0o660)).unwrap();
    for file in [&files[0], &files[2]] {
        // The mask is 0660; the group itself may do nothing.
        said("setfacl", &["-m", "u:1:rw,g::-,m::rw,o::-"], file);
        said("setfattr", &["-n", "user.note", "-v", "kept"], file);
        if is_root() {
            said("setfattr", &["-n", "security.selinux", "-v", "user_u:object_r:secret_t:s0"], file);
        }
        assert_eq!(mode(file), 0o660);
    }
    let has_flags = has("chattr")
        && Command::new("chattr").args(["+d"]).arg(&files[0]).status().is_ok_and(|s| s.success());
    let before: Vec<_> = files.iter().map(|file| (acl(file), attributes(file), mode(file))).collect();
    let flags = |file| if has_flags { said("lsattr", &[], file) } else { String::new() };
    let flags_before = flags(&files[0]);
    let sizes: Vec<_> = files.iter().map(|file| fs::metadata(file).unwrap().len()).collect();
    let output = sandbox.enforce();
    output.exits(0).quietly();
    assert_eq!(output.summary("pruned"), 3, "{output}");
    for (at, file) in files.iter().enumerate() {
        assert!(fs::metadata(file).unwrap().len() < sizes[at], "{} was not written anew", file.display());
        assert_eq!((acl(file), attributes(file), mode(file)), before[at], "{}", file.display());
    }
    assert_eq!(flags(&files[0]), flags_before);
    assert!(!acl(plain).contains("user:7"), "a default ACL gave access");
    // The byte order mark is the file's.
    assert!(fs::read_to_string(&files[2]).unwrap().starts_with('\u{feff}'));
}

#[test]
fn a_label_that_cannot_be_kept_stops_the_rewriting() {
    if !is_root() || !can() {
        return skip("only root can set a label that a user cannot set again");
    }
    let sandbox = Sandbox::new();
    let files = rewritten(&sandbox);
    // A label of a module that is not in force, which only root may set.
    said("setfattr", &["-n", "security.SMACK64", "-v", "secret"], &files[0]);
    sandbox.give_away();
    let before = fs::read(&files[0]).unwrap();
    let output = sandbox.command(["enforce", "--yes", "--json"]).unprivileged().run();
    output.exits(1).says("label");
    assert_eq!(fs::read(&files[0]).unwrap(), before);
    assert!(attributes(&files[0]).contains("security.SMACK64"));
    let left: Vec<_> =
        fs::read_dir(files[0].parent().unwrap()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{left:?}");
    // The owner is asked for, too: it was not root that wrote.
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(&files[0]).unwrap()), NOBODY);
}

#[test]
fn a_session_comes_back_with_its_acl() {
    if !can() {
        return;
    }
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    let session = sandbox.store().session(1).aged(days(5)).write();
    let plain = sandbox.store().session(2).aged(days(5)).write();
    let (file, other) = (session.transcript.clone(), plain.transcript.clone());
    said("setfacl", &["-m", "u:1:r,g::-,m::rw,o::-"], &file);
    fs::set_permissions(&other, fs::Permissions::from_mode(0o640)).unwrap();
    said("setfacl", &["-d", "-m", "u:7:rwx"], file.parent().unwrap());
    let before = [&file, &other].map(|file| (acl(file), mode(file)));
    for session in [&session, &plain] {
        sandbox.run(["seal", session.id()]).exits(0);
        assert!(!session.transcript.exists());
        sandbox.run(["unseal", session.id(), "--keep-date"]).exits(0);
    }
    assert_eq!([&file, &other].map(|file| (acl(file), mode(file))), before);
    // A record of an ACL that cannot be set: nobody but the owner gets in.
    let forged = sandbox.store().session(3).aged(days(5)).write();
    fs::set_permissions(&forged.transcript, fs::Permissions::from_mode(0o644)).unwrap();
    sandbox.run(["seal", forged.id()]).exits(0);
    let record = sandbox.home().join(".claude/ccretain/sealed").join(forged.id()).join("session.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    json["files"][0]["acl"] = "00".into();
    fs::write(&record, json.to_string()).unwrap();
    sandbox.run(["unseal", forged.id(), "--keep-date"]).exits(0);
    assert_eq!(mode(&forged.transcript), 0o600);
}
