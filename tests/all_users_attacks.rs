//! `--all-users` against the users themselves: what the owner of a home can do to the child that works in it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::all_users::{Machine, give, machine, user};
use crate::common::sandbox::has;
use crate::common::{days, skip};

// Looked for among all processes, so each of one test alone.
const TRACER: u32 = 58_021;
const HALTED: u32 = 58_022;
const ZOMBIE: u32 = 58_023;
const CALLER: u32 = 58_024;
const RUNNER: u32 = 58_025;
const ORPHANED: u32 = 58_119;
const STARTED: u32 = 58_026;
const WAITED: u32 = 58_027;
const BOB: u32 = 58_028;
const GRACED: u32 = 58_029;
const NAMER: u32 = 58_030;
const OLD_KERNEL: u32 = 58_031;
const PURGED: u32 = 58_032;
const CLOSED: u32 = 58_033;

/// What a user can do in Python, who waits for the first process of an account that is not his own.
const PRELUDE: &str = r"
import ctypes, os, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
whose = int(sys.argv[1])
def child():
    end = time.time() + 30
    while time.time() < end:
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                status = open('/proc/' + pid + '/status').read()
            except OSError:
                continue
            if int(pid) != os.getpid() and '\nUid:\t' + '\t'.join([str(whose)] * 4) + '\n' in status:
                return int(pid)
        time.sleep(0.002)
    sys.exit('no child was seen')
def call(function, *arguments):
    ctypes.set_errno(0)
    result = function(*arguments)
    return 'done' if result >= 0 else os.strerror(ctypes.get_errno())
";

impl Machine {
    /// An account whose child has to wait for a few seconds, as somebody else holds the lock of a line file.
    fn busy(&mut self, name: &str, uid: u32) {
        let store = self.person(name, uid);
        let session = store.session(1).aged(days(40)).write();
        store.history(Some(session.id()), "/work/acme", days(40));
        fs::create_dir(store.path("history.jsonl.lock")).unwrap();
        give(&self.home(name), uid);
    }

    /// Runs a script beside the run that follows, as root or as the account it is about.
    fn beside(&self, script: &str, whose: u32, as_root: bool) {
        let root = self.sandbox.root();
        fs::write(root.join("attack.py"), format!("{PRELUDE}{script}")).unwrap();
        fs::write(root.join("seen"), "").unwrap();
        fs::set_permissions(root.join("seen"), fs::Permissions::from_mode(0o666)).unwrap();
        let who = match as_root {
            true => String::new(),
            false => format!("setpriv --reuid {whose} --regid {whose} --clear-groups "),
        };
        let line = format!(
            r#"{who}/usr/bin/python3 "$root/attack.py" {whose} >"$root/seen" 2>&1 </dev/null 3>&- & "#
        );
        fs::write(root.join("before"), line).unwrap();
    }

    fn seen(&self) -> String {
        fs::read_to_string(self.sandbox.root().join("seen")).unwrap()
    }
}

/// A machine on which Python is there for everybody.
fn attacked() -> Option<Machine> {
    if !Path::new("/usr/bin/python3").exists() || !has("setpriv") {
        skip("needs /usr/bin/python3 and setpriv");
        return None;
    }
    machine()
}

fn is_slow_allowed() -> bool {
    let allowed = std::env::var_os("CCRETAIN_SLOW_TESTS").is_some();
    if !allowed {
        skip("takes more than a minute; set CCRETAIN_SLOW_TESTS to run it");
    }
    allowed
}

#[test]
fn a_user_can_neither_trace_his_child_nor_take_its_pipes() {
    let Some(mut machine) = attacked() else { return };
    machine.busy("ann", TRACER);
    machine.beside(
        r"
pid = child()
print('seize:', call(libc.ptrace, 0x4206, pid, 0, 0))
print('attach:', call(libc.ptrace, 16, pid, 0, 0))
handle = libc.syscall(434, pid, 0)
print('take:', call(libc.syscall, 438, handle, 1, 0))
for name in ['mem', 'fd', 'environ', 'maps']:
    try:
        path = '/proc/%d/%s' % (pid, name)
        os.listdir(path) if name == 'fd' else open(path, 'rb').read(1)
        print(name, 'done')
    except PermissionError:
        print(name, 'no')
",
        TRACER,
        false,
    );
    machine.enforce();
    let seen = machine.seen();
    let lines: Vec<&str> = seen.lines().collect();
    let no = "Operation not permitted";
    let expected = [format!("seize: {no}"), format!("attach: {no}"), format!("take: {no}")];
    assert_eq!(lines[..3], expected, "{seen}");
    assert_eq!(lines[3..], ["mem no", "fd no", "environ no", "maps no"], "{seen}");
}

#[test]
fn a_child_has_no_descriptor_of_whoever_called_root() {
    let Some(mut machine) = machine() else { return };
    machine.busy("ann", CALLER);
    let root = machine.sandbox.root();
    fs::write(root.join("secret"), "of root").unwrap();
    fs::write(root.join("before"), r#"exec 7<"$root/secret" 9<"$root/secret""#).unwrap();
    let first = machine.home("ann").join(".claude/projects/-work-acme");
    let gone = || fs::read_dir(&first).map_or(0, Iterator::count) == 0;
    let (mut process, _, path) = machine.watch(&["enforce", "--yes"], CALLER, gone);
    let open: Vec<_> = fs::read_dir(path.join("fd"))
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .collect();
    process.wait().unwrap();
    assert!(open.len() > 3, "{open:?}");
    assert!(!open.iter().any(|file| file.ends_with("secret")), "{open:?}");
}

#[test]
fn a_child_starts_no_program() {
    let Some(mut machine) = machine() else { return };
    machine.busy("ann", RUNNER);
    let root = machine.sandbox.root().to_owned();
    let (bin, mark) = (root.join("bin"), root.join("mark"));
    fs::create_dir(&bin).unwrap();
    fs::write(&mark, "").unwrap();
    fs::set_permissions(&mark, fs::Permissions::from_mode(0o666)).unwrap();
    for name in ["systemctl", "crontab", "loginctl", "hostname", "ps", "age-plugin-x", "ccretain", "old"] {
        let file = bin.join(name);
        let script = format!("#!/bin/sh\necho {name} $(id -u) >> {}\n", mark.display());
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(root.join("before"), r#"mount --bind "$root/bin" /usr/local/bin"#).unwrap();
    let unit = ".config/systemd/user/ccretain";
    machine.write("ann", RUNNER, &format!("{unit}.timer"), "[Timer]\nOnCalendar=daily\n");
    let service = "[Service]\nExecStart=/usr/local/bin/old enforce --yes\n";
    machine.write("ann", RUNNER, &format!("{unit}.service"), service);
    machine.system(
        "managed-policy.json",
        r#"{"version": 1, "recipients": ["age1x1qcrqvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrqvpsxqcrqvpsz7acc5"],
            "rules": [{"name": "s", "sealAfter": "1d"}]}"#,
    );
    machine.enforce();
    let check = machine.run(&["check", "--json"]);
    assert!(!check.stdout.contains("\"schedule-broken\""), "{check}");
    machine.run(&["status"]);
    fs::remove_file(root.join("etc/ccretain/managed-policy.json")).unwrap();
    let certificate = root.join("all.json");
    machine.run(&["purge", "--yes", "--certificate", certificate.to_str().unwrap()]);
    let mark = fs::read_to_string(mark).unwrap();
    assert!(!mark.contains(&RUNNER.to_string()), "{mark}");
}

#[test]
fn a_child_that_is_halted_is_ended_after_a_minute_and_the_others_are_done() {
    if !is_slow_allowed() {
        return;
    }
    let Some(mut machine) = attacked() else { return };
    machine.busy("ann", HALTED);
    let second = machine.person("bob", BOB).session(2).aged(days(40)).write();
    give(&machine.home("bob"), BOB);
    machine.beside("os.kill(child(), signal.SIGSTOP)\n", HALTED, false);
    let start = Instant::now();
    let output = machine.enforce();
    assert!(start.elapsed() < Duration::from_secs(100), "{:?}", start.elapsed());
    output.exits(1);
    assert!(!second.is_there());
    let json = output.json();
    assert!(user(&json, "ann")["error"].as_str().unwrap().contains("held up"), "{json}");
    assert_eq!(user(&json, "bob")["exit"], 0);
    machine.run(&["ledger", "verify"]).exits(0);
}

/// A child that nobody but its tracer can bury, as root itself can make one, and a hanging file system.
#[test]
fn a_child_that_cannot_be_buried_is_left_behind() {
    if !is_slow_allowed() {
        return;
    }
    let Some(mut machine) = attacked() else { return };
    machine.busy("ann", ZOMBIE);
    let second = machine.person("bob", BOB).session(2).aged(days(40)).write();
    give(&machine.home("bob"), BOB);
    machine.beside(
        "print('seize:', call(libc.ptrace, 0x4206, child(), 0, 0), flush=True)\ntime.sleep(100)\n",
        ZOMBIE,
        true,
    );
    let start = Instant::now();
    let output = machine.enforce();
    assert!(start.elapsed() < Duration::from_secs(95), "{:?}", start.elapsed());
    assert_eq!(machine.seen().trim(), "seize: done");
    output.exits(1);
    assert!(!second.is_there());
    let json = output.json();
    assert!(user(&json, "ann")["error"].as_str().unwrap().contains("left behind"), "{json}");
    assert_eq!(user(&json, "bob")["exit"], 0);
}

#[test]
fn who_was_not_reached_is_named_and_is_first_in_the_next_run() {
    let Some(mut machine) = machine() else { return };
    machine.busy("ann", WAITED);
    let second = machine.person("bob", BOB).session(2).aged(days(40)).write();
    give(&machine.home("bob"), BOB);
    let (process, _, _) = machine.watch(&["enforce", "--yes", "--json"], WAITED, || true);
    let pid = rustix::process::Pid::from_child(&process);
    std::thread::sleep(Duration::from_millis(500));
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = process.wait_with_output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(second.is_there(), "{json}");
    assert_eq!(json["notReached"][0]["user"], "bob", "{json}");
    assert_eq!(json["summary"]["accountsNotReached"], 1);
    let check = machine.run(&["check", "--json"]).json();
    let left: Vec<_> = check["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|found| found["id"] == "account-left-out")
        .map(|found| (&found["user"], &found["severity"]))
        .collect();
    assert_eq!(left, [(&Value::from("bob"), &Value::from("medium"))], "{check}");
    let output = machine.run(&["-v", "enforce", "--yes"]);
    assert!(!second.is_there());
    let at = |name: &str| output.stdout.find(&format!("{name} (uid")).expect(name);
    assert!(at("bob") < at("ann"), "{output}");
    let check = machine.run(&["check", "--json"]);
    assert!(!check.stdout.contains("account-left-out"), "{check}");
}

#[test]
fn a_stop_while_a_child_starts_is_a_stop() {
    let Some(mut machine) = machine() else { return };
    machine.person("ann", STARTED);
    for round in 0..25 {
        let mut command = machine.command(&["enforce", "--yes", "--json"]).command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let process = command.spawn().unwrap();
        let group = rustix::process::Pid::from_child(&process);
        // As soon as the child is there, and then later and later: as systemd does it, to both.
        let is_childs = |entry: &fs::DirEntry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let parent = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent =
                parent.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)).map(str::to_owned);
            line.starts_with(b"ccretain\0enforce") && parent == Some(group.to_string())
        };
        let start = Instant::now();
        while !fs::read_dir("/proc").unwrap().flatten().any(|entry| is_childs(&entry)) {
            if start.elapsed() > Duration::from_secs(20) {
                break;
            }
        }
        std::thread::sleep(Duration::from_micros(400 * round));
        rustix::process::kill_process_group(group, rustix::process::Signal::TERM).unwrap();
        let output = process.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "round {round}: {said}{text}");
        assert!(!text.contains("signal") && !said.contains("signal"), "round {round}: {said}{text}");
    }
}

#[test]
fn a_child_ends_with_its_parent() {
    let Some(mut machine) = machine() else { return };
    let store = machine.person("ann", ORPHANED);
    // So much that it is at work for a while.
    for file in 0..5_000 {
        store.put(format!("skills/{}/{file}", file % 50), "x", days(1));
    }
    give(&machine.home("ann"), ORPHANED);
    let (mut parent, _, child) = machine.watch(&["check", "--json"], ORPHANED, || true);
    // It has further threads once it looks at files, and asked for its end before.
    let start = Instant::now();
    let works = || fs::read_dir(child.join("task")).map_or(0, Iterator::count) > 1;
    while !works() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
    // It would wait for ever, and does not get so far.
    let pid = child.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    let start = Instant::now();
    // A process that has ended may be listed until somebody has asked for it.
    let is_alive = || {
        let stat = fs::read_to_string(child.join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    };
    while is_alive() && start.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let goes_on = is_alive();
    if goes_on {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    assert!(!goes_on, "it goes on without its parent");
}

/// A machine policy whose mass guard has the first run wait for a day.
const MONTH: &str = r#"{"version": 1, "rules": [{"name": "m", "deleteAfter": "30d"}]}"#;

#[test]
fn the_day_of_grace_is_root_s_to_count() {
    let Some(mut machine) = machine() else { return };
    machine.system("managed-policy.json", MONTH);
    let store = machine.person("ann", GRACED);
    let sessions: Vec<_> = (1..=25).map(|number| store.session(number).aged(days(60)).write()).collect();
    give(&machine.home("ann"), GRACED);
    machine.enforce();
    assert!(sessions.iter().all(crate::common::store::Session::is_there), "refused at first");
    let own = machine.home("ann").join(".local/state/ccretain/state.json");
    let kept = machine.sandbox.state().join(format!("accounts/{GRACED}/state.json"));
    let reported = |file: &Path| -> Value {
        let state: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        state["mass"][0]["firstReported"].clone()
    };
    let first = reported(&kept);
    assert!(first.is_string(), "{}", fs::read_to_string(&kept).unwrap());
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // The user begins anew: that does not.
    fs::remove_file(&own).unwrap();
    machine.enforce();
    assert_eq!(reported(&kept), first);
    // The user's own file cannot be used at all: that is a complaint, and no more.
    for garbage in ["garbage", r#"{"version": 99}"#] {
        fs::write(&own, garbage).unwrap();
        give(&own, GRACED);
        let output = machine.enforce();
        output.says("what earlier runs remembered is not used");
        assert_eq!(reported(&kept), first, "{output}");
    }
    // Nor can the user make the day shorter: what root's file says is what counts.
    let old = "2020-01-01T00:00:00Z";
    let forged = fs::read_to_string(&kept).unwrap().replace(first.as_str().unwrap(), old);
    fs::write(&own, &forged).unwrap();
    give(&own, GRACED);
    machine.enforce();
    assert!(
        sessions.iter().all(crate::common::store::Session::is_there),
        "the user's file is none of root's"
    );
    fs::remove_file(&own).unwrap();
    fs::write(&kept, &forged).unwrap();
    // What sessions were is root's to remember as well.
    let memory = own.with_file_name("sessions.json");
    fs::write(&memory, "garbage").unwrap();
    give(&memory, GRACED);
    let output = machine.enforce();
    assert!(!output.stderr.contains("sessions.json"), "{output}");
    assert!(kept.with_file_name("sessions.json").exists(), "{output}");
    assert!(!sessions.iter().any(crate::common::store::Session::is_there), "the day is over");
    // What root keeps and cannot be used is begun anew, and said.
    fs::write(&kept, "garbage").unwrap();
    let output = machine.enforce();
    output.exits(1).says("root's state of this account");
    assert!(reported_is_json(&kept));
}

fn reported_is_json(file: &Path) -> bool {
    serde_json::from_slice::<Value>(&fs::read(file).unwrap()).is_ok()
}

/// What acts on a terminal, in names that a user may choose.
const ACTING: &str = "x\u{1b}[31m\u{9b}31m\u{202e}\u{200b}y";

fn acts(text: &str) -> bool {
    text.chars().any(|c| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{200b}'))
}

#[test]
fn nothing_that_a_user_names_acts_on_the_screen_of_root() {
    let Some(mut machine) = machine() else { return };
    let store = machine.person("ann", NAMER);
    let session = store.session(1).cwd(&format!("/work/{ACTING}")).aged(days(40)).write();
    store.history(Some(session.id()), &format!("/work/{ACTING}"), days(40));
    fs::write(store.path(format!("projects/{ACTING}")), "no folder").unwrap();
    let rules = serde_json::json!({"version": 1, "rules": [{"name": ACTING, "deleteAfter": "7d"}]});
    machine.write("ann", NAMER, ".config/ccretain/policy.json", &rules.to_string());
    give(&machine.home("ann"), NAMER);
    let file = machine.sandbox.root().join("log/ccretain.prom");
    let figures = ["--metrics", file.to_str().unwrap()];
    for arguments in [
        &["-v", "enforce", "--dry-run", "--json"][..],
        &["-v", "enforce", "--dry-run"],
        &["check", "--json"],
        &["check"],
        &["status", "--json"],
        &["status"],
        &[&["-v", "enforce", "--yes", "--json", "--log-format", "json"][..], &figures].concat(),
        &["ledger", "show", "--json"],
        &["ledger", "show"],
    ] {
        let output = machine.run(arguments);
        assert!(!output.stdout.is_empty() && !acts(&output.stdout), "{arguments:?}: {output}");
        assert!(!acts(&output.stderr), "{arguments:?}: {output}");
    }
    assert!(!session.is_there());
    let ledger = fs::read_to_string(machine.sandbox.ledger()).unwrap();
    assert!(ledger.contains("31m") && !acts(&ledger), "{ledger}");
    let figures = fs::read_to_string(file).unwrap();
    assert!(!acts(&figures) && figures.contains("\nccretain_files{"), "{figures}");
    for name in ["all.json", "all.txt"] {
        // A second name of a file is an exception, with its path.
        let session = store.session(3).cwd("/work/acme").aged(days(1)).write();
        let folder = store.path(format!("projects/-work-acme/{}/tool-results", session.id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{ACTING}.txt")), "content").unwrap();
        fs::hard_link(folder.join(format!("{ACTING}.txt")), machine.home("ann").join(name)).unwrap();
        give(&machine.home("ann"), NAMER);
        let certificate = machine.sandbox.root().join(name);
        machine.run(&["purge", "--yes", "--certificate", certificate.to_str().unwrap()]);
        let text = fs::read_to_string(certificate).unwrap();
        assert!(text.contains("31m") && !acts(&text), "{text}");
    }
}

#[test]
fn mounts_are_told_from_folders_on_old_kernels_too() {
    if !has("strace") {
        return skip("needs strace");
    }
    let Some(mut machine) = machine() else { return };
    let store = machine.person("ann", OLD_KERNEL);
    let due = store.session(1).cwd("/work/acme").aged(days(40)).write();
    let mounted = store.session(2).cwd("/work/acme").aged(days(40)).write();
    let folder = store.path(format!("projects/-work-acme/{}/tool-results", mounted.id()));
    fs::create_dir_all(&folder).unwrap();
    let other = machine.home("ann").join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("mine.txt"), "not of the session").unwrap();
    std::process::Command::new("touch")
        .arg("-d")
        .arg("60 days ago")
        .arg(other.join("mine.txt"))
        .status()
        .unwrap();
    give(&machine.home("ann"), OLD_KERNEL);
    let before = format!(r#"mount --bind "{}" "{}""#, other.display(), folder.display());
    fs::write(machine.sandbox.root().join("before"), before).unwrap();
    let trace = machine.sandbox.root().join("trace");
    let words = ["strace", "-f", "-o", trace.to_str().unwrap(), "-e", "trace=openat2,statx"];
    let faults = ["-e", "inject=openat2:error=ENOSYS", "-e", "inject=statx:error=ENOSYS"];
    let output = machine.command(&["enforce", "--yes", "--json"]).inner(words.iter().chain(&faults)).run();
    let faults = fs::read_to_string(trace).unwrap();
    assert!(faults.contains("openat2") && faults.contains("INJECTED"), "{output}");
    assert!(!due.is_there(), "{output}");
    assert!(other.join("mine.txt").exists(), "{output}");
}

#[test]
fn a_user_cannot_keep_a_purge_from_its_certificate() {
    // A folder of state that is a pipe, and a key of the ledger that is a folder.
    for (name, breaks) in [("pipe", "mkfifo ccretain"), ("key", "mkdir -p ccretain/ledger.key")] {
        let Some(mut machine) = machine() else { return };
        let store = machine.person("ann", PURGED);
        let session = store.session(1).aged(days(40)).write();
        store.history(Some(session.id()), "/work/acme", days(40));
        machine.enforce();
        let state = machine.home("ann").join(".local/state");
        fs::remove_dir_all(state.join("ccretain")).ok();
        fs::create_dir_all(&state).unwrap();
        let broken = Command::new("sh").args(["-c", breaks]).current_dir(&state).status().unwrap();
        assert!(broken.success());
        give(&machine.home("ann"), PURGED);
        let certificate = machine.sandbox.root().join("all.json");
        let file = certificate.to_str().unwrap();
        let output = machine.run(&["purge", "--yes", "--json", "--certificate", file]);
        assert!(!session.is_there(), "{name}: {output}");
        let issued: Value = serde_json::from_slice(&fs::read(&certificate).unwrap()).unwrap();
        assert_eq!(issued["counts"]["sessions"], 2, "{name}: {issued:#}");
        assert_eq!(issued["verdict"], "complete", "{name}: {issued:#}");
        let report = user(&output.json(), "ann")["report"].clone();
        assert_eq!(report["counts"]["sessions"], 2, "{name}: {output}");
        // Root keeps nothing in mind of what has gone, whatever the user's own folder is.
        let kept = machine.sandbox.state().join(format!("accounts/{PURGED}/sessions.json"));
        let kept = fs::read_to_string(kept).unwrap_or_default();
        assert!(!kept.contains(session.id()), "{name}: {kept}");
        machine.run(&["ledger", "verify", "--certificate", file]).exits(0);
    }
}

#[test]
fn a_home_that_its_owner_closes_is_told_and_stops_nobody() {
    let Some(mut machine) = machine() else { return };
    machine.system("managed-policy.json", MONTH);
    machine.person("ann", CLOSED);
    machine.enforce().exits(0);
    let home = machine.home("ann");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o000)).unwrap();
    let output = machine.enforce();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    output.exits(1).says(home.file_name().unwrap().to_str().unwrap());
    assert!(!output.stderr.contains("panicked"), "{output}");
    assert_eq!(user(&output.json(), "ann")["exit"], 1, "{output}");
    let kept = machine.sandbox.state().join(format!("accounts/{CLOSED}/sessions.json"));
    assert!(fs::read_to_string(kept).unwrap().contains(&crate::common::id(900)), "it is remembered");
}
