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
const EVE: u32 = 58_012;

/// The file of the table, where it lies outside the machine.
fn table(machine: &Machine) -> PathBuf {
    machine.sandbox.root().join("cron.d/ccretain")
}

/// Where the program lies on the machine: only root can write there, which is not so of a scratch folder.
const PROGRAM: &str = "/opt/bin/ccretain";

fn schedule(machine: &Machine, arguments: &[&str]) -> Output {
    machine.alone(&[&["schedule"], arguments].concat()).by(PROGRAM).run()
}

/// Makes the machine's own folder of tables and its own `/opt`, with the program; then runs `more`.
fn prepare(machine: &Machine, more: &str) {
    let root = machine.sandbox.root();
    for folder in ["cron.d", "etc/cron.d"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let script = format!(
        r#"mount --bind "$root/cron.d" /etc/cron.d
        mount -t tmpfs -o mode=755 tmpfs /opt; mkdir -m 755 /opt/bin; cp '{}' {PROGRAM}; chmod 755 {PROGRAM}
        {more}"#,
        program().display()
    );
    fs::write(root.join("before"), script).unwrap();
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
    let Some(mut machine) = machine() else { return };
    let root = machine.sandbox.root().to_owned();
    prepare(&machine, r#"[ ! -f "$root/line" ] || exec sh -c "$(cat "$root/line")""#);
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
    machine.alone(&["status"]).run().exits(0).says("scheduled (cron)").never_says("not scheduled");

    // A machine that was off for three days has missed a dozen.
    let state = machine.sandbox.state().join("state.json");
    let mut remembered: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    remembered["lastRunOfAll"]["time"] = (chrono::Utc::now() - days(3)).to_rfc3339().into();
    fs::write(&state, remembered.to_string()).unwrap();
    let missed = status(&machine, &["--system"])["installed"][0]["missed"].as_u64().unwrap();
    assert!((11..=12).contains(&missed), "{missed}");
    schedule(&machine, &["status", "--system"]).exits(0).says(&format!("{missed} since the last run"));

    // Another version, then none.
    let other = root.join("other");
    fs::write(&other, "#!/bin/sh\necho ccretain 0.0.1\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(table(&machine), written.replace(PROGRAM, other.to_str().unwrap())).unwrap();
    assert_eq!(status(&machine, &["--system"])["installed"][0]["program"], "other-version");
    schedule(&machine, &["status", "--system"])
        .says("the program there is 'ccretain 0.0.1', not this one")
        .says("`ccretain schedule install --system` renews it");
    fs::remove_file(&other).unwrap();
    assert_eq!(status(&machine, &["--system"])["installed"][0]["program"], "missing");
    machine.alone(&["status"]).run().exits(0).says("the program is not there");

    schedule(&machine, &["remove", "--system"]).exits(0).quietly().says("removed: cron");
    assert_eq!(fs::read_dir(root.join("cron.d")).unwrap().count(), 0);
    schedule(&machine, &["remove", "--system"]).exits(0).says("nothing was installed");
}

#[test]
fn root_is_scheduled_to_run_only_what_nobody_else_can_replace() {
    let Some(mut machine) = machine() else { return };
    let store = machine.person("eve", EVE);
    store.session(1).aged(days(1)).write();
    give(&machine.home("eve"), EVE);
    let install = ["install", "--system", "--backend", "cron"];
    let eve = r#"mkdir -m 755 /opt/eve; cp -p /opt/bin/ccretain /opt/eve/; chown 58012 /opt/eve;"#;
    let at = |machine: &Machine, program: &str| {
        machine.alone(&[&["schedule"], &install[..]].concat()).by(program).run()
    };
    for (what, more, program, why) in [
        ("hers", "chown 58012 /opt/eve/ccretain", "/opt/eve/ccretain", "'/opt/eve' belongs to uid 58012"),
        ("her folder", "", "/opt/eve/ccretain", "'/opt/eve' belongs to uid 58012"),
        (
            "a link of root's to hers",
            "ln -s /opt/eve/ccretain /opt/bin/other",
            "/opt/bin/other",
            "'/opt/eve' belongs to uid 58012",
        ),
        ("a shared folder", "chmod 1777 /opt/bin", PROGRAM, "'/opt/bin' is mode 1777"),
        ("a folder of a group", "chmod 775 /opt", PROGRAM, "'/opt' is mode 0775"),
        ("a program of a group", "chmod 775 /opt/bin/ccretain", PROGRAM, "'/opt/bin/ccretain' is mode 0775"),
    ] {
        prepare(&machine, &format!("{eve} {more}"));
        let output = at(&machine, program);
        output.exits(4);
        assert!(output.stderr.contains(why), "{what}: {output}");
        assert!(output.stderr.contains("others could replace it"), "{what}: {output}");
        assert!(!table(&machine).exists(), "{what}: {output}");
    }
    // By a name in PATH that leads there: a link of hers is passed over, one of root's is taken.
    for (more, command) in [
        (
            "rm /opt/eve/ccretain; ln -s /opt/bin/ccretain /opt/eve/ccretain; chown -h 58012 /opt/eve/ccretain",
            PROGRAM,
        ),
        (
            "chown 0 /opt/eve; rm /opt/eve/ccretain; ln -s ../bin/ccretain /opt/eve/ccretain",
            "/opt/eve/ccretain",
        ),
    ] {
        prepare(&machine, &format!("{eve} {more}"));
        let arguments = [&["schedule"], &install[..]].concat();
        let output = machine.alone(&arguments).env("PATH", "/opt/eve:/usr/bin:/bin:/sbin").by(PROGRAM).run();
        output.exits(0);
        let line = fs::read_to_string(table(&machine)).unwrap();
        assert!(line.contains(&format!(" {command} enforce")), "{line}");
        fs::remove_file(table(&machine)).unwrap();
    }
    // Nor does root go by a policy that she can replace.
    let policy = machine.home("eve").join("policy.json");
    fs::write(&policy, r#"{"version": 1}"#).unwrap();
    let output = schedule(&machine, &[&install[..], &["--policy", policy.to_str().unwrap()]].concat());
    output.exits(4);
    assert!(output.stderr.contains("cannot schedule the policy"), "{output}");
}
