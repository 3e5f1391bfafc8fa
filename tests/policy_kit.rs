//! Policies to start from, and as what they are checked before they are put in place.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::Sandbox;
use crate::common::sandbox::program;

fn packaging(path: &str) -> String {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    fs::read_to_string(root.join(path)).unwrap()
}

/// The kit's first step, word by word: it ends with a policy that reports and changes nothing.
#[test]
fn the_first_step_of_the_kit_ends_in_audit_mode() {
    let page = packaging("mdm/README.md");
    let step = page.split("**1. ").nth(1).and_then(|rest| rest.split("**2. ").next()).expect("a first step");
    let words = step.split("```sh").nth(1).and_then(|rest| rest.split("```").next()).expect("its commands");
    let sandbox = Sandbox::new();
    let folder = sandbox.root().join("step");
    fs::create_dir(&folder).unwrap();
    let script = format!("set -e; cd \"$FOLDER\"; ccretain() {{ \"$PROGRAM\" \"$@\"; }}\n{words}");
    let run = sandbox.command(["unused"]).env("PROGRAM", program()).env("FOLDER", &folder).by("/bin/true");
    run.through(["sh", "-c", &script, "sh"]).run().exits(0).says("is valid as a managed policy");
    let policy = folder.join("my-policy.json");
    let says: serde_json::Value = serde_json::from_slice(&fs::read(&policy).unwrap()).unwrap();
    assert_eq!((&says["mode"], &says["rules"][0]["deleteAfter"]), (&"audit".into(), &"30d".into()));
    // The same file makes the kit.
    sandbox.command(["mdm"]).arg(folder.join("kit")).arg("--policy").arg(&policy).run().exits(0);
}

#[test]
fn a_policy_that_only_the_managed_layer_forbids_passes_nowhere_as_one() {
    let sandbox = Sandbox::new();
    let says = r#"{"version": 1, "keepAtLeast": "60d", "rules": [{"name": "o", "deleteAfter": "30d"}]}"#;
    let bad = sandbox.write("bad.json", says);
    let bad = bad.to_str().unwrap();
    for layer in ["user", "system"] {
        sandbox
            .run(["policy", "check", "--as", layer, bad])
            .exits(0)
            .says(&format!("valid as a {layer} policy"));
    }
    sandbox.run(["policy", "check", "--as", "managed", bad]).exits(2).says("keepAtLeast 60d is longer");
    let kit = sandbox.root().join("kit");
    sandbox.command(["--policy", bad, "mdm"]).arg(&kit).run().exits(2).says("not valid as a managed policy");
    assert!(!kit.exists());
    let role = packaging("mdm/ansible/roles/ccretain/tasks/main.yml");
    assert!(role.contains("validate: ccretain policy check --as managed %s"));
    assert_eq!(role.matches("policy check").count(), role.matches("policy check --as managed").count());
}

#[test]
fn without_a_file_those_in_place_are_checked() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(["policy", "check"]);
    output.exits(0).quietly().shows("no policy is in place").shows("due for deletion by it: 0 now");
    assert_eq!(sandbox.run(["policy", "check", "--json"]).exits(0).json()["files"], serde_json::json!([]));
    sandbox.run(["policy", "check", "--as", "managed"]).exits(2).says("there is no managed policy");
    sandbox.policy(r#"{"rules": [{"name": "x"}]}"#);
    sandbox.run(["policy", "check"]).exits(2).says("does nothing");
    for start in [&["policy", "init"][..], &["policy", "init", "--audit"]] {
        let text = sandbox.run(start).stdout;
        sandbox.policy(&text);
        sandbox.run(["policy", "check"]).exits(0).says("is valid as a user policy");
        assert_eq!(text.contains(r#""mode": "audit""#), start.len() == 3);
    }
}
