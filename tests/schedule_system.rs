//! The schedule of the whole system, on a machine of the run's own: its table is written, its line is run as cron would
//! run it, and what became of it is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::all_users::{Machine, WEEK, give, machine};
use crate::common::sandbox::program;
use crate::common::{Output, days};

const ANN: u32 = 58_011;

/// The file of the table, where it lies outside the machine.
fn table(machine: &Machine) -> PathBuf {
    machine.sandbox.root().join("cron.d/ccretain")
}

fn schedule(machine: &Machine, arguments: &[&str]) -> Output {
    machine.alone(&[&["schedule"], arguments].concat()).run()
}

fn status(machine: &Machine, arguments: &[&str]) -> Value {
    let output = schedule(machine, &[&["status", "--json"], arguments].concat());
    output.exits(0).quietly();
    output.json()
}

/// Runs the line of the table as cron does: the fields and the account taken off, percent signs as they were meant.
fn fire(machine: &Machine) -> Output {
    let line = fs::read_to_string(table(machine)).unwrap();
    let mut words = line.splitn(7, ' ');
    assert_eq!(words.nth(5), Some("root"), "{line}");
    let command = words.next().unwrap();
    let bare = command.replace("\\%", "");
    assert!(!bare.contains('%'), "cron ends the command at a percent sign: {line}");
    let file = machine.sandbox.root().join("line");
    fs::write(&file, command.replace("\\%", "%")).unwrap();
    let output = machine.alone(&[]).run();
    fs::remove_file(file).unwrap();
    output
}

#[test]
fn the_table_of_the_system_runs_for_all_and_is_told_of() {
    let Some(mut machine) = machine("the_table_of_the_system_runs_for_all_and_is_told_of") else { return };
    let root = machine.sandbox.root().to_owned();
    for folder in ["cron.d", "etc/cron.d"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let script = r#"mount --bind "$root/cron.d" /etc/cron.d
        [ ! -f "$root/line" ] || exec sh -c "$(cat "$root/line")""#;
    fs::write(root.join("before"), script).unwrap();
    machine.system("managed-policy.json", WEEK);
    let store = machine.person("ann", ANN);
    let old = store.session(1).aged(days(40)).write();
    give(&machine.home("ann"), ANN);
    let figures = root.join("all 100%.prom");
    let options = [
        "--system",
        "--backend",
        "cron",
        "--every",
        "6h",
        "--log-format",
        "json",
        "--metrics",
        figures.to_str().unwrap(),
    ];
    let install = [&["install"], &options[..]].concat();
    schedule(&machine, &install)
        .exits(0)
        .quietly()
        .says("installed: cron, 6h at 12:30")
        .says("/etc/cron.d/ccretain");
    let written = fs::read_to_string(table(&machine)).unwrap();
    assert!(
        written.starts_with("30 0,6,12,18 * * * root ") && written.ends_with(" # ccretain\n"),
        "{written}"
    );
    assert!(written.contains("all 100\\%.prom"), "{written}");
    assert_eq!(fs::metadata(table(&machine)).unwrap().permissions().mode() & 0o777, 0o644);
    schedule(&machine, &install).exits(0).says("already installed");
    assert_eq!(fs::read_to_string(table(&machine)).unwrap(), written);
    let before = status(&machine, &["--system"]);
    assert_eq!(before["installed"][0]["where"], "/etc/cron.d/ccretain");
    assert_eq!((&before["installed"][0]["scope"], &before["lastRun"]), (&"system".into(), &Value::Null));

    let output = fire(&machine);
    output.exits(0);
    assert_eq!(output.stdout, "");
    assert!(!old.is_there(), "{output}");
    let logged: Vec<Value> = output.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(logged.iter().any(|line| line["user"] == "ann" && line["exit"] == 0), "{output}");
    let text = fs::read_to_string(&figures).unwrap();
    let gone = text.lines().find(|line| {
        line.contains("/ann/.claude\",kind=\"transcript\",outcome=\"deleted\"}") && line.ends_with(" 1")
    });
    assert!(gone.is_some() && text.contains("\nccretain_last_run_timestamp_seconds "), "{text}");

    // Root's own last run is not what is asked for; nor is it hidden from the user that somebody else takes care.
    let after = status(&machine, &["--system"]);
    assert_eq!((&after["lastRun"]["exit"], &after["installed"][0]["missed"]), (&0.into(), &0.into()));
    let own = status(&machine, &[]);
    assert_eq!(
        (&own["installed"][0]["scope"], &own["installed"][0]["backend"]),
        (&"system".into(), &"cron".into())
    );
    machine
        .alone(&["status"])
        .run()
        .exits(0)
        .says("(cron, /etc/cron.d/ccretain)")
        .never_says("none is scheduled");

    // A machine that was off for three days has missed a dozen.
    let state = machine.sandbox.state().join("state.json");
    let mut remembered: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    remembered["lastRunOfAll"]["time"] = (chrono::Utc::now() - days(3)).to_rfc3339().into();
    fs::write(&state, remembered.to_string()).unwrap();
    let missed = status(&machine, &["--system"])["installed"][0]["missed"].as_u64().unwrap();
    assert!((11..=12).contains(&missed), "{missed}");
    schedule(&machine, &["status", "--system"])
        .exits(0)
        .says(&format!("missed     {missed} since the last run"));

    // Another version, then none.
    let other = root.join("other");
    fs::write(&other, "#!/bin/sh\necho ccretain 0.0.1\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(table(&machine), written.replace(program().to_str().unwrap(), other.to_str().unwrap()))
        .unwrap();
    assert_eq!(status(&machine, &["--system"])["installed"][0]["program"], "other-version");
    schedule(&machine, &["status", "--system"])
        .says("the program there is 'ccretain 0.0.1', not this one")
        .says("'ccretain schedule install --system' renews it");
    fs::remove_file(&other).unwrap();
    assert_eq!(status(&machine, &["--system"])["installed"][0]["program"], "missing");
    machine.alone(&["status"]).run().exits(0).says("attention: the program is not there");

    schedule(&machine, &["remove", "--system"]).exits(0).quietly().says("removed: cron");
    assert_eq!(fs::read_dir(root.join("cron.d")).unwrap().count(), 0);
    schedule(&machine, &["remove", "--system"]).exits(0).says("nothing was installed");
}
