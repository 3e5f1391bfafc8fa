//! One folder and its many spellings: what a hold or a rule names is found, however a record calls it.

use crate::common::{Sandbox, days};

/// Whether a hold on this glob keeps, and a rule for it deletes, a session that records call by this path.
fn tried(glob: &str, cwd: &str) -> (bool, bool) {
    let held = {
        let sandbox = Sandbox::new();
        sandbox.delete_after("7d");
        let session = sandbox.store().session(1).cwd(cwd).aged(days(20)).write();
        sandbox.run(["hold", "add", "--project", glob, "--reason", "r"]).exits(0);
        sandbox.enforce().exits(0);
        session.is_there()
    };
    let sandbox = Sandbox::new();
    let glob = serde_json::Value::from(glob);
    sandbox.policy(&format!(
        r#"{{"version": 1, "rules": [{{"projects": [{glob}], "deleteAfter": "7d"}}, {{"deleteAfter": "never"}}]}}"#
    ));
    let session = sandbox.store().session(1).cwd(cwd).aged(days(20)).write();
    sandbox.enforce().exits(0);
    (held, !session.is_there())
}

#[test]
fn holds_and_rules_find_a_project_however_it_is_spelled() {
    let nfc = "/work/caf\u{e9}";
    let nfd = "/work/cafe\u{301}";
    for (glob, cwd, is_held, is_ruled) in [
        (nfd, nfc, true, true),
        (nfc, nfd, true, true),
        ("/work//acme/**/", "/work/acme", true, true),
        ("/work/acme/**", "/work//acme/app/", true, true),
        (r"C:\work\acme\**", r"C:\work\acme", true, true),
        (r"C:\work\acme\**", r"c:\Work\ACME\app", true, true),
        (r"C:\work\acme\**", "/mnt/c/work/acme/app", true, true),
        (r"C:\work\acme\**", "/c/work/acme/app", true, true),
        ("/mnt/c/work/acme/**", r"C:\work\acme", true, true),
        ("/mnt/*/work/**", r"D:\work\acme", true, true),
        ("/home/ann/acme/**", r"\\wsl$\Ubuntu\home\ann\acme", true, true),
        (r"\\wsl.localhost\Ubuntu\home\ann\**", "/home/ann/acme", true, true),
        (r"\\wsl$\Ubuntu\home\ann\acme", r"\\wsl.localhost\ubuntu\home\ann\acme", true, true),
        // Without a drive in sight a letter is a folder: a hold takes it for both, a rule does not.
        ("/mnt/c/work/**", "/c/work/acme", true, false),
        ("/work/acme", "/work/Acme", false, false),
        ("/work/acme", "/work/acme2", false, false),
        (r"C:\work\acme\**", r"D:\work\acme", false, false),
    ] {
        assert_eq!(tried(glob, cwd), (is_held, is_ruled), "{glob} {cwd}");
    }
}

#[test]
fn globs_that_mean_nothing_are_errors() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(1)).write();
    for glob in ["", "work/**", "/work/../acme", "~ann/work", r"C:\work\..\acme"] {
        sandbox
            .run(["hold", "add", "--project", glob, "--reason", "r"])
            .exits(2)
            .says("is not a project glob");
        let glob = serde_json::Value::from(glob);
        sandbox.policy(&format!(
            r#"{{"version": 1, "rules": [{{"projects": [{glob}], "deleteAfter": "7d"}}]}}"#
        ));
        sandbox.run(["enforce", "--yes"]).exits(2).says("is not a project glob").says("line 1");
        sandbox.policy("{}");
    }
}
