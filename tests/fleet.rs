//! What `packaging/fleet` ships, against what the program writes.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::sandbox::has;
use crate::common::{Sandbox, days, skip};

fn shipped(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/fleet").join(file)).unwrap()
}

/// A machine with something to say: a session long overdue.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(days(90)).write();
    sandbox
}

#[test]
fn the_table_of_osquery_has_the_columns_of_its_configuration() {
    if !has("python3") {
        return skip("the_table_of_osquery_has_the_columns_of_its_configuration", "needs python3");
    }
    let sandbox = sandbox();
    let file = sandbox.root().join("check.sqlite");
    sandbox.command(["check", "--format", "osquery", "--output"]).arg(&file).run().exits(3);
    let conf: Value = serde_json::from_str(&shipped("osquery/ccretain.conf")).unwrap();
    let table = &conf["auto_table_construction"]["ccretain_check"];
    let scheduled = conf["schedule"]["ccretain_not_compliant"]["query"].as_str().unwrap();
    let script = "import sqlite3, json, sys\n\
        d = sqlite3.connect(sys.argv[1])\n\
        c = d.execute(sys.argv[2]); rows = c.fetchall()\n\
        print(json.dumps([[n[0] for n in c.description], len(rows), len(d.execute(sys.argv[3]).fetchall())]))";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(&file)
        .args([table["query"].as_str().unwrap(), scheduled])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said[0], table["columns"]);
    let (all, bad) = (said[1].as_u64().unwrap(), said[2].as_u64().unwrap());
    assert!(bad > 0 && bad <= all, "{said}");
}

#[test]
fn the_unit_for_prometheus_writes_what_a_collector_reads() {
    let sandbox = sandbox();
    let unit = shipped("prometheus/ccretain-check.service");
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/ccretain ")).unwrap();
    let words: Vec<&str> = command.split(' ').filter(|word| *word != "--all-users").collect();
    let (target, words) = words.split_last().unwrap();
    assert!(target.ends_with(".prom"));
    let file = sandbox.root().join("check.prom");
    let output = sandbox.command(words).arg(&file).run();
    // What the unit takes for success.
    output.exits(3).quietly();
    assert!(unit.contains("SuccessExitStatus=3"));
    let text = fs::read_to_string(&file).unwrap();
    let alert = shipped("README.md");
    for name in ["ccretain_check_compliant", "ccretain_check_timestamp_seconds"] {
        let line =
            text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        assert!(alert.contains(name));
    }
}
