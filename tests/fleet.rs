//! What the kit in `packaging/mdm` ships, against what the program does.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::all_users::{Machine, give, machine};
use crate::common::sandbox::{found, has, has_namespaces, program};
use crate::common::{Output, Sandbox, days, skip};

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")
}

fn shipped(file: &str) -> String {
    fs::read_to_string(packaging().join("mdm/fleet").join(file)).unwrap()
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
        return skip("needs python3");
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
    // Fleet: a policy passes where its query has a row.
    let policies = shipped("osquery/fleet-policies.yml");
    let passes = policies.lines().find_map(|line| line.trim().strip_prefix("query: ")).unwrap();
    let script =
        "import sqlite3, sys\nprint(len(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall()))";
    let rows = |file: &Path| {
        let output = Command::new("python3").args(["-c", script]).arg(file).arg(passes).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(rows(&file), "0");
    let is_compliant = "import sqlite3, sys\nd = sqlite3.connect(sys.argv[1])\nd.execute(\"update ccretain_check set compliant = '1'\")\nd.commit()";
    assert!(Command::new("python3").args(["-c", is_compliant]).arg(&file).status().unwrap().success());
    assert_eq!(rows(&file), "1");
    // The unit writes the file where the table is sought; on a Mac, after what the page says is done to it.
    let unit = shipped("osquery/ccretain-osquery.service");
    let path = table["path"].as_str().unwrap();
    assert!(unit.contains(&format!("--output {path}")));
    let (linux, mac) = ("/var/lib/ccretain", "/Library/Application Support/ccretain");
    assert!(shipped("README.md").contains(&format!("s|{linux}|{mac}|")));
    let job = plist::Value::from_reader_xml(shipped("osquery/io.github.ccretain.osquery.plist").as_bytes())
        .unwrap();
    let words = job.as_dictionary().unwrap()["ProgramArguments"].as_array().unwrap();
    let words: Vec<&str> = words.iter().filter_map(plist::Value::as_string).collect();
    assert_eq!(*words.last().unwrap(), path.replace(linux, mac));
    let of_unit = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/ccretain ")).unwrap();
    assert_eq!(words[1..].join(" "), of_unit.replace(linux, mac));
}

/// What runs as root over every home can do little else.
#[test]
fn units_of_the_system_are_closed() {
    let mut units = vec![packaging().join("systemd/system/ccretain.service")];
    units.extend(
        ["osquery/ccretain-osquery.service", "prometheus/ccretain-check.service"]
            .map(|unit| packaging().join("mdm/fleet").join(unit)),
    );
    for unit in units {
        let text = fs::read_to_string(&unit).unwrap();
        assert!(
            text.contains("PrivateNetwork=yes") && text.contains("IPAddressDeny=any"),
            "{}",
            unit.display()
        );
        let judge = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--threshold=30", "--no-pager"])
            .arg(&unit)
            .env("LC_ALL", "C")
            .output();
        let Ok(judge) = judge else { return skip("needs systemd-analyze") };
        let said = String::from_utf8_lossy(&judge.stderr);
        if said.contains("unrecognized option") {
            return skip("this systemd-analyze judges no file");
        }
        assert!(judge.status.success(), "{}: {}", unit.display(), String::from_utf8_lossy(&judge.stdout));
    }
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

const ANN: u32 = 58_006;

/// A machine with which nothing is wrong: an account with a schedule, and a run that ended well.
fn sound() -> Option<Machine> {
    let mut machine = machine()?;
    machine.system("policy.json", r#"{"version": 1, "rules": [{"name": "corp", "deleteAfter": "30d"}]}"#);
    let store = machine.person("ann", ANN);
    let hook = ["schedule", "install", "--backend", "claude-hook", "--write"];
    // Root makes nothing in another account's home.
    give(&machine.home("ann"), 0);
    machine.sandbox.command(hook).env("HOME", machine.home("ann")).run().exits(0);
    fs::set_permissions(store.path("settings.json"), fs::Permissions::from_mode(0o600)).unwrap();
    give(&machine.home("ann"), ANN);
    machine.alone(&["--all-users", "enforce", "--yes"]).run().exits(0);
    Some(machine)
}

/// Leaves a session there that is long overdue.
fn spoil(machine: &Machine) {
    let home = machine.home("ann");
    crate::common::StoreBuilder::new(home.join(".claude"), home.join("tmp"))
        .session(1)
        .aged(days(90))
        .write();
    give(&home, ANN);
}

/// Runs a script of the kit, as it is shipped, on a machine that has these programs where the package puts them.
fn script(machine: &Machine, script: &Path, programs: &Path) -> Output {
    let opt = machine.sandbox.root().join("opt");
    fs::create_dir_all(opt.join("ccretain/bin")).unwrap();
    let command = machine.alone(&[script.to_str().unwrap()]).by("/bin/sh");
    // What the scripts ask beside the program is found by PATH.
    command
        .with_over(programs, "/usr/local/bin")
        .with_over(programs, "/opt/ccretain/bin")
        .with_over(&opt, "/opt")
        .run()
}

/// Puts a program in a folder as `ccretain`: a file of its own, because a link is not run as root.
fn place(program: &Path, folder: &Path) {
    // By another process: this one would hold it open while a thread starts a program.
    let done = std::process::Command::new("cp").arg("-L").arg(program).arg(folder.join("ccretain")).status();
    assert!(done.is_ok_and(|status| status.success()), "no copy of the program");
}

/// A folder with the program, and one without.
fn programs(machine: &Machine) -> [PathBuf; 2] {
    let [with, without] = ["with", "without"].map(|name| machine.sandbox.root().join(name));
    for folder in [&with, &without] {
        fs::create_dir(folder).unwrap();
    }
    place(&program(), &with);
    [with, without]
}

#[test]
fn jamf_is_given_a_result_whatever_there_is() {
    let Some(machine) = sound() else { return };
    let [with, without] = programs(&machine);
    let attribute = packaging().join("mdm/jamf/extension-attribute.sh");
    let result = |programs: &Path| {
        let output = script(&machine, &attribute, programs);
        output.exits(0).quietly();
        output.stdout
    };
    assert_eq!(result(&without), "<result>not installed</result>\n");
    assert_eq!(result(&with), "<result>compliant</result>\n");
    spoil(&machine);
    assert_eq!(result(&with), "<result>not-compliant: overdue</result>\n");
    // A program that ends without a verdict leaves no blank.
    fs::remove_file(with.join("ccretain")).unwrap();
    place(Path::new("/bin/false"), &with);
    assert_eq!(result(&with), "<result>unknown</result>\n");
}

#[test]
fn kandji_passes_what_is_scheduled_and_compliant() {
    let Some(machine) = sound() else { return };
    let [with, without] = programs(&machine);
    let audit = |programs: &Path| script(&machine, &packaging().join("mdm/kandji/audit.sh"), programs);
    audit(&without).exits(1).quietly().says("not installed");
    audit(&with).exits(1).quietly().says("not scheduled");
    // What asks launchd, on a machine that has none.
    symlink("/bin/true", with.join("launchctl")).unwrap();
    audit(&with).exits(0).quietly().says("compliant");
    spoil(&machine);
    audit(&with).exits(1).quietly().says("not compliant: ").says("overdue");
    let remediate = script(&machine, &packaging().join("mdm/kandji/remediate.sh"), &without);
    remediate.exits(1).quietly().says("not installed");
    script(&machine, &packaging().join("mdm/kandji/remediate.sh"), &with)
        .exits(1)
        .says("no policy is there yet");
}

#[test]
fn munki_installs_another_version_and_leaves_this_one() {
    let Some(machine) = machine() else { return };
    let [with, without] = programs(&machine);
    let info: plist::Value = plist::from_file(packaging().join("mdm/munki/ccretain.pkginfo")).unwrap();
    let text = info.as_dictionary().unwrap()["installcheck_script"].as_string().unwrap();
    let file = machine.sandbox.root().join("installcheck");
    fs::write(&file, text).unwrap();
    let check = |programs: &Path| script(&machine, &file, programs);
    check(&without).exits(0).quietly();
    check(&with).exits(1).quietly();
    for (wanted, code) in [("99.0.0", 0), ("0.10.0", 0), ("0.0.9", 1)] {
        fs::write(&file, text.replace(env!("CARGO_PKG_VERSION"), wanted)).unwrap();
        check(&with).exits(code).quietly();
    }
}

/// Every script that root runs asks first whether somebody else could have put the program there.
#[test]
fn scripts_of_root_run_no_program_that_others_can_replace() {
    let Some(machine) = machine() else { return };
    let root = machine.sandbox.root().to_owned();
    let ran = root.join("ran");
    let fake = root.join("fake");
    fs::write(&fake, format!("#!/bin/sh\ntouch '{}'\necho ccretain 99.0.0\n", ran.display())).unwrap();
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let info: plist::Value = plist::from_file(packaging().join("mdm/munki/ccretain.pkginfo")).unwrap();
    let text = info.as_dictionary().unwrap()["installcheck_script"].as_string().unwrap();
    fs::write(root.join("installcheck"), text).unwrap();
    let uninstall = fs::read_to_string(packaging().join("macos/uninstall")).unwrap();
    // Up to where it would take files of this machine away.
    let uninstall = uninstall.split("launchctl bootout").next().unwrap().to_owned();
    fs::write(root.join("uninstall"), uninstall).unwrap();
    let scripts = [
        packaging().join("mdm/jamf/extension-attribute.sh"),
        packaging().join("mdm/kandji/audit.sh"),
        packaging().join("mdm/kandji/remediate.sh"),
        root.join("installcheck"),
        root.join("uninstall"),
    ];
    type Spoil = fn(&Path);
    let spoils: [(&str, Spoil); 6] = [
        ("nothing", |_| {}),
        ("hers", |folder| std::os::unix::fs::chown(folder.join("ccretain"), Some(ANN), None).unwrap()),
        ("of all", |folder| mode(&folder.join("ccretain"), 0o757)),
        ("her folder", |folder| std::os::unix::fs::chown(folder, Some(ANN), None).unwrap()),
        ("a folder of a group", |folder| mode(folder, 0o775)),
        ("a link", |folder| {
            fs::rename(folder.join("ccretain"), folder.join("real")).unwrap();
            symlink("real", folder.join("ccretain")).unwrap();
        }),
    ];
    for (at, (what, spoil)) in spoils.into_iter().enumerate() {
        let folder = root.join(format!("programs-{at}"));
        fs::create_dir(&folder).unwrap();
        place(&fake, &folder);
        symlink("/bin/true", folder.join("launchctl")).unwrap();
        spoil(&folder);
        for path in &scripts {
            let _ = fs::remove_file(&ran);
            let output = script(&machine, path, &folder);
            // The remediation stops before, for there is no policy here.
            let may_run = what == "nothing" && !path.ends_with("remediate.sh");
            assert_eq!(ran.exists(), may_run, "{what} {}: {output}", path.display());
        }
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// There is no PowerShell to run them with, so what they run is run.
#[test]
fn intune_is_answered_by_what_its_scripts_run() {
    let calls = |file: &str| -> Vec<Vec<String>> {
        let text = fs::read_to_string(packaging().join("mdm/intune").join(file)).unwrap();
        let lines =
            text.lines().filter_map(|line| line.strip_prefix("& $program ")?.strip_suffix(" 2>$null"));
        lines.map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    };
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let store = sandbox.store();
    store.session(999).aged(days(1)).write();
    sandbox.run(["schedule", "install", "--backend", "claude-hook", "--write"]).exits(0);
    fs::set_permissions(store.path("settings.json"), fs::Permissions::from_mode(0o600)).unwrap();
    let [detect] = calls("detect.ps1").try_into().unwrap();
    // On Windows nothing is changed, so nothing is called that would.
    assert!(calls("remediate.ps1").is_empty());
    // Not compliant, with what is wrong; once it is put right, it is found so.
    let found = sandbox.run(&detect);
    found.exits(1).quietly().says("not compliant: ").says("run-missing");
    sandbox.enforce().exits(0);
    let found = sandbox.run(&detect);
    found.exits(0).quietly();
    assert_eq!(found.stdout, "compliant\n");
}

#[test]
fn the_role_puts_no_broken_policy_in_the_place_of_a_good_one() {
    if !has("ansible-playbook") || !has_namespaces() {
        return skip("needs ansible-playbook, root and mount namespaces");
    }
    let sandbox = Sandbox::new();
    let root = sandbox.root();
    // Facts of a system of neither package manager, so that nothing is installed.
    let play = root.join("play.yml");
    let facts = "{os_family: Other, service_mgr: none, cacheable: true}";
    fs::write(
        &play,
        format!(
            "- hosts: localhost\n  gather_facts: false\n  pre_tasks:\n    - ansible.builtin.set_fact: {facts}\n  \
             roles: [ccretain]\n"
        ),
    )
    .unwrap();
    fs::create_dir(root.join("bin")).unwrap();
    symlink(program(), root.join("bin/ccretain")).unwrap();
    // Each run of the role says how it ended, and what policy there is then.
    let script = r#"root=$1; ansible=$2; shift 2
        mkdir "$root/over"; mount -t tmpfs tmpfs "$root/over" && mkdir "$root/over/etc" "$root/over/work" &&
        mount -t overlay overlay -o "lowerdir=/etc,upperdir=$root/over/etc,workdir=$root/over/work" /etc &&
        mount -t overlay overlay -o "lowerdir=$root/bin:/usr/bin" /usr/bin || exit 99
        for period in 30d soon 31d; do
            policy="{\"ccretain_policy\": {\"version\": 1, \"rules\": [{\"name\": \"all\", \"deleteAfter\": \"$period\"}]}}"
            code=0; "$ansible" -i localhost, -c local "$root/play.yml" -e "$policy" >"$root/$period.log" 2>&1 || code=$?
            echo "$period $code $(grep -o '[0-9]*d"\|soon' /etc/ccretain/managed-policy.json)"
        done"#;
    let output = sandbox
        .command([""; 0])
        .env("LC_ALL", "C.UTF-8")
        .env("ANSIBLE_HOME", root.join("ansible"))
        .env("ANSIBLE_REMOTE_TEMP", root.join("ansible/tmp"))
        .env("ANSIBLE_ROLES_PATH", packaging().join("mdm/ansible/roles"))
        .among_mounts(script, [root, &found("ansible-playbook")])
        .run();
    let log = |period: &str| fs::read_to_string(root.join(format!("{period}.log"))).unwrap_or_default();
    let expected = "30d 0 30d\"\nsoon 2 30d\"\n31d 0 31d\"\n";
    assert_eq!(output.stdout, expected, "{output} {} {}", log("30d"), log("soon"));
    assert!(log("soon").contains("is not a duration"), "{}", log("soon"));
}

#[test]
fn a_document_says_which_machine_it_is_of() {
    let Some(mut machine) = machine() else { return };
    machine.person("ann", ANN);
    give(&machine.home("ann"), ANN);
    let id = "0123456789abcdef0123456789abcdef";
    let file = machine.sandbox.root().join("etc/machine-id");
    let said =
        |machine: &Machine, arguments: &[&str]| machine.alone(arguments).run().json()["machine"].clone();
    fs::write(&file, format!("{id}\n")).unwrap();
    assert_eq!(said(&machine, &["check", "--json"]), id);
    assert_eq!(said(&machine, &["--all-users", "check", "--json"]), id);
    // Where names are keyed there is none until a run has made the key, and then a keyed one.
    machine.system("policy.json", r#"{"version": 1, "ledger": {"names": "keyed"}}"#);
    assert!(said(&machine, &["check", "--json"]).is_null());
    machine.alone(&["enforce", "--yes"]).run();
    let keyed = said(&machine, &["check", "--json"]);
    assert!(
        keyed.as_str().unwrap().starts_with("hmac-sha256:") && !keyed.to_string().contains(id),
        "{keyed}"
    );
    // A machine that was never set up has no id of its own.
    fs::write(&file, "uninitialized\n").unwrap();
    fs::remove_file(machine.sandbox.root().join("etc/ccretain/policy.json")).unwrap();
    assert_ne!(said(&machine, &["check", "--json"]), "uninitialized");
}
