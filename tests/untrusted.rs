//! Policies of the machine that cannot be trusted, read or meant: nothing is changed by them or without them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use crate::common::sandbox::has_namespaces;
use crate::common::{Output, Sandbox, days, hours, skip};

const MANAGED: &str = r#"{"version": 1, "rules": [{"name": "corp", "deleteAfter": "14d"}]}"#;

/// Runs `enforce` where a folder that was prepared lies at `/etc/ccretain`, as it is, modes and links included.
fn enforce(sandbox: &Sandbox, prepare: impl FnOnce(&Path)) -> Output {
    let etc = sandbox.root().join("etc");
    let folder = etc.join("ccretain");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o755)).unwrap();
    prepare(&folder);
    let script = r#"set -e; etc=$1; shift; mount -t overlay overlay -o "lowerdir=$etc:/etc" /etc; exec "$@""#;
    sandbox.command(["enforce", "--yes", "--json"]).among_mounts(script, [etc.as_path()]).run()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What is done to a good managed file or its folder, and what must be said of it.
type Case = (&'static str, fn(&Path, &Path), &'static str);

const UNTRUSTED: &[Case] = &[
    ("writable by all", |_, file| mode(file, 0o666), "others may write to it"),
    ("writable by a group", |_, file| mode(file, 0o664), "others may write to it"),
    (
        "owned by a user",
        |_, file| chown(file, Some(58_001), None).unwrap(),
        "it belongs to uid 58001, not to root",
    ),
    (
        "a link to what root owns",
        |folder, file| {
            fs::rename(file, folder.join("other.txt")).unwrap();
            symlink("other.txt", file).unwrap();
        },
        "it is a link",
    ),
    (
        "a link that leads nowhere",
        |_, file| {
            fs::remove_file(file).unwrap();
            symlink("/nowhere", file).unwrap();
        },
        "it is a link",
    ),
    (
        "a folder",
        |_, file| {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        },
        "managed-policy.json",
    ),
    (
        "a pipe",
        |_, file| {
            fs::remove_file(file).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(file).status().unwrap().success());
        },
        "it is not a regular file",
    ),
    ("cut off", |_, file| fs::write(file, &MANAGED[..40]).unwrap(), "line 1"),
    ("empty", |_, file| fs::write(file, "").unwrap(), "the file is empty"),
    (
        "an unknown key",
        |_, file| {
            fs::write(file, MANAGED.replace("deleteAfter", "deleteAftr")).unwrap();
        },
        "did you mean 'deleteAfter'?",
    ),
    (
        "an unknown version",
        |_, file| {
            fs::write(file, MANAGED.replace(r#""version": 1"#, r#""version": 2"#)).unwrap();
        },
        "version 2 is not known",
    ),
    (
        "two rules of one name",
        |_, file| {
            fs::write(file, MANAGED.replace("}]", r#"}, {"name": "corp", "deleteAfter": "1d"}]"#)).unwrap();
        },
        "two rules are named 'corp'",
    ),
    ("a folder others may write in", |folder, _| mode(folder, 0o777), "others may write to it"),
    ("a folder of a user", |folder, _| chown(folder, Some(58_001), None).unwrap(), "it belongs to uid 58001"),
    (
        "a folder that is a link",
        |folder, _| {
            fs::rename(folder, folder.with_extension("real")).unwrap();
            symlink("ccretain.real", folder).unwrap();
        },
        "it is a link or not a folder",
    ),
    (
        "a broken drop-in",
        |folder, _| {
            fs::create_dir(folder.join("policy.d")).unwrap();
            fs::write(folder.join("policy.d/50.json"), "{").unwrap();
        },
        "50.json",
    ),
    (
        "a floor above the rule",
        |folder, _| {
            fs::write(folder.join("policy.json"), r#"{"version": 1, "keepAtLeast": "60d"}"#).unwrap();
        },
        "keepAtLeast 60d is longer than the managed deleteAfter 14d",
    ),
    (
        "sealing for nobody",
        |_, file| {
            fs::write(file, MANAGED.replace("deleteAfter", r#"sealAfter": "1d", "deleteAfter"#)).unwrap();
        },
        "no recipient",
    ),
];

#[test]
fn a_policy_of_the_machine_that_cannot_be_trusted_stops_everything() {
    if !has_namespaces() {
        skip("needs root and mount namespaces");
        return;
    }
    for (what, change, says) in UNTRUSTED {
        let sandbox = Sandbox::new();
        // The user's own rules would delete it, too: an error is never "no policy".
        sandbox.delete_after("7d");
        let session = sandbox.store().session(1).aged(days(400)).write();
        let output = enforce(&sandbox, |folder| {
            let file = folder.join("managed-policy.json");
            fs::write(&file, MANAGED).unwrap();
            change(folder, &file);
        });
        assert_eq!(output.code, Some(2), "{what}: {output}");
        assert!(output.stderr.contains(says), "{what}: {says:?} is missing in {output}");
        assert_eq!(output.json()["schema"], "ccretain.error/1", "{what}");
        assert!(session.is_there(), "{what}");
        assert!(!sandbox.ledger().exists(), "{what}");
    }
}

#[test]
fn a_recipient_of_the_users_that_cannot_be_mixed_stops_no_managed_rule() {
    if !has_namespaces() {
        skip("needs root and mount namespaces");
        return;
    }
    let sandbox = Sandbox::new();
    let mixed: serde_json::Value =
        serde_json::from_str(include_str!("policies/invalid/mixed-recipients.json")).unwrap();
    let quantum = mixed["recipients"][1].as_str().unwrap();
    sandbox.policy(&format!(r#"{{"version": 1, "recipients": ["{quantum}"]}}"#));
    sandbox.store().session(2).aged(hours(3)).write();
    let session = sandbox.store().session(1).aged(days(20)).write();
    let managed = r#"{"version": 1, "rules": [{"name": "corp", "deleteAfter": "14d"}],
        "recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]}"#;
    let output = enforce(&sandbox, |folder| fs::write(folder.join("managed-policy.json"), managed).unwrap());
    assert!(!session.is_there(), "{output}");
    output.exits(1).says("recipient 'age1tagpq1").says("left out");
}

#[test]
fn a_glob_that_matches_nothing_is_a_warning_for_the_administrator() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).cwd("/work/acme").aged(hours(3)).write();
    let file = sandbox.write(
        "managed-policy.json",
        r#"{"version": 1, "rules": [
            {"name": "typo", "projects": ["/work/amce/**"], "deleteAfter": "7d"},
            {"name": "fine", "projects": ["/work/acme/**"], "deleteAfter": "7d"}]}"#,
    );
    let output = sandbox.run(["policy", "check", file.to_str().unwrap(), "--json"]);
    output.exits(0);
    let warnings = output.json()["warnings"].as_array().unwrap().clone();
    assert_eq!(warnings.len(), 1, "{output}");
    assert!(
        warnings[0].as_str().unwrap().contains("'/work/amce/**' of rule 'typo' matches no known project")
    );
}
