//! `--all-users`: every account with its own rights, and root in nobody's tree.
//!
//! The accounts are of the run's own: it sees an `/etc/passwd` that has no others, and empty folders in the place of
//! the homes of this machine.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::sandbox::{Run, has_namespaces, program};
use crate::common::store::StoreBuilder;
use crate::common::{Output, Sandbox, days, hours, id, skip};

const ANN: u32 = 58_001;
const BOB: u32 = 58_002;
const EVE: u32 = 58_003;
// Looked for among all processes, so each of one test alone.
const WATCHED: u32 = 58_004;
const KILLED: u32 = 58_005;

/// A sandbox with accounts of its own.
pub struct Machine {
    pub sandbox: Sandbox,
    pub passwd: String,
}

/// A new one; `None`, loudly, where none can be made.
pub fn machine() -> Option<Machine> {
    if !has_namespaces() {
        skip("needs root and mount namespaces");
        return None;
    }
    let sandbox = Sandbox::new();
    fs::set_permissions(sandbox.root(), fs::Permissions::from_mode(0o755)).unwrap();
    for folder in ["etc/ccretain", "log", "homes"] {
        fs::create_dir_all(sandbox.root().join(folder)).unwrap();
    }
    Some(Machine { sandbox, passwd: String::new() })
}

/// Gives a tree to an account, links themselves and not what they lead to.
pub fn give(path: &Path, uid: u32) {
    lchown(path, Some(uid), Some(uid)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap().flatten() {
            give(&entry.path(), uid);
        }
    }
}

impl Machine {
    pub fn home(&self, name: &str) -> PathBuf {
        self.sandbox.root().join("homes").join(name)
    }

    /// An account with a home that is not there yet.
    pub fn account(&mut self, name: &str, uid: u32) -> PathBuf {
        let home = self.home(name);
        self.passwd += &format!("{name}:x:{uid}:{uid}:{name}:{}:/bin/sh\n", home.display());
        home
    }

    /// An account with a home of its own, and its store.
    pub fn person(&mut self, name: &str, uid: u32) -> StoreBuilder {
        let home = self.account(name, uid);
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let store = StoreBuilder::new(home.join(".claude"), home.join("tmp"));
        store.session(900).cwd("/work/anchor").aged(hours(3)).write();
        give(&home, uid);
        store
    }

    /// Writes a user's own file.
    pub fn write(&self, name: &str, uid: u32, path: &str, text: &str) {
        let file = self.home(name).join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        give(&self.home(name), uid);
    }

    fn policy(&self, name: &str, uid: u32, text: &str) {
        self.write(name, uid, ".config/ccretain/policy.json", text);
    }

    /// Writes a file of the system folder.
    pub fn system(&self, name: &str, text: &str) {
        fs::write(self.sandbox.root().join("etc/ccretain").join(name), text).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Run<'_> {
        self.alone(&[&["--all-users"], arguments].concat())
    }

    /// A run on the machine of any verb.
    pub fn alone(&self, arguments: &[&str]) -> Run<'_> {
        let etc = self.sandbox.root().join("etc");
        fs::write(
            etc.join("passwd"),
            format!("root:x:0:0:root:{}:/bin/sh\n{}", self.home("root").display(), self.passwd),
        )
        .unwrap();
        fs::write(etc.join("nsswitch.conf"), "passwd: files\ngroup: files\n").unwrap();
        // The tests may have been built below one of the folders that are hidden.
        let built = program().parent().unwrap().to_owned();
        let script = r#"set -e; root=$1; built=$2; shift 2; exec 9<"$built"
            mount -t overlay overlay -o "lowerdir=$root/etc:/etc" /etc
            [ "$(getent passwd)" = "$(cat "$root/etc/passwd")" ] || exit 99
            for real in /root /home; do mount -t tmpfs tmpfs "$real"; done
            mount --bind "$root/log" /var/log
            # A temp folder in which nothing lies but this sandbox.
            mount -t tmpfs tmpfs /mnt
            mkdir -p "/mnt/${root#/tmp/}"
            mount --rbind "$root" "/mnt/${root#/tmp/}"
            mount --rbind /mnt /tmp
            [ -d "$built" ] || { mkdir -p "$built"; mount --bind /proc/self/fd/9 "$built"; }
            exec 9<&-
            [ ! -f "$root/before" ] || . "$root/before"
            exec "$@""#;
        self.sandbox.command(arguments).among_mounts(script, [self.sandbox.root(), &built])
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).run()
    }

    pub fn enforce(&self) -> Output {
        self.run(&["enforce", "--yes", "--json"])
    }

    /// Starts it, and gives the child of an account as `/proc` shows it once it is where it should be.
    pub fn watch(
        &self,
        arguments: &[&str],
        uid: u32,
        is_there: impl Fn() -> bool,
    ) -> (Child, String, PathBuf) {
        let mut command = self.command(arguments).command();
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            let seen = fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
                let status = fs::read_to_string(entry.path().join("status")).ok()?;
                let is_his = status.contains(&format!("\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n"));
                (is_his && is_there()).then(|| (status, entry.path()))
            });
            if let Some((status, path)) = seen {
                return (process, status, path);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        process.kill().unwrap();
        process.wait().unwrap();
        panic!("the child was not seen");
    }
}

/// A policy of a week.
pub const WEEK: &str = r#"{"version": 1, "rules": [{"name": "week", "deleteAfter": "7d"}]}"#;

pub fn user<'v>(document: &'v Value, name: &str) -> &'v Value {
    let users = document["users"].as_array().expect("users");
    users.iter().find(|user| user["user"] == name).unwrap_or_else(|| panic!("no {name} in {document}"))
}

#[test]
fn each_account_has_its_own_policy_and_one_failure_stops_nobody() {
    let Some(mut machine) = machine() else { return };
    let (ann, bob, eve) =
        (machine.person("ann", ANN), machine.person("bob", BOB), machine.person("eve", EVE));
    let sessions: Vec<_> = [(&ann, ANN), (&bob, BOB), (&eve, EVE)]
        .map(|(store, _)| store.session(1).aged(days(20)).write())
        .into();
    let old = eve.session(2).aged(days(40)).write();
    machine.policy("ann", ANN, WEEK);
    machine.policy("bob", BOB, "{ broken");
    give(&machine.home("eve"), EVE);
    let output = machine.enforce();
    output.exits(1);
    let json = output.json();
    assert!(!sessions[0].is_there(), "{output}");
    assert!(sessions[1].is_there() && sessions[2].is_there() && !old.is_there());
    assert_eq!((&user(&json, "ann")["exit"], &user(&json, "eve")["exit"]), (&0.into(), &0.into()));
    assert_eq!(user(&json, "bob")["exit"], 2);
    assert!(output.stderr.contains("bob: error:"), "{output}");
    assert_eq!(json["schema"], "ccretain.enforce/1");
    assert_eq!(json["summary"]["sessionsDeleted"], 2);
    let owners: Vec<_> =
        json["stores"].as_array().unwrap().iter().map(|store| store["owner"].as_str().unwrap()).collect();
    assert!(owners.contains(&"ann") && owners.contains(&"eve"), "{owners:?}");
    for item in json["items"].as_array().unwrap() {
        let store = &json["stores"][item["store"].as_u64().unwrap() as usize];
        let whose = if item["session"] == id(2) { "eve" } else { "ann" };
        assert_eq!(store["owner"], whose, "{item}");
    }
    // One ledger, root's, that holds together; each record of an account says so.
    let lines = machine.sandbox.ledger_lines();
    let users: Vec<_> =
        lines.iter().filter(|line| line["event"] == "intent").map(|line| &line["user"]).collect();
    assert!(users.contains(&&"ann".into()) && users.contains(&&"eve".into()), "{lines:?}");
    assert!(lines.iter().all(|line| line["run"] == json["run"]));
    for name in ["ann", "eve"] {
        assert!(!machine.home(name).join(".local/state/ccretain/ledger.jsonl").exists());
        assert!(machine.home(name).join(".local/state/ccretain/state.json").exists());
    }
    // Root left nothing of its own in a home.
    for (name, uid) in [("ann", ANN), ("bob", BOB), ("eve", EVE)] {
        let mut open = vec![machine.home(name)];
        while let Some(path) = open.pop() {
            let meta = path.symlink_metadata().unwrap();
            assert_eq!((meta.uid(), meta.gid()), (uid, uid), "{}", path.display());
            if meta.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
            }
        }
    }
}

#[test]
fn a_home_that_is_not_an_accounts_own_is_refused_and_the_others_are_done() {
    let Some(mut machine) = machine() else { return };
    let old = |store: &StoreBuilder| store.session(1).aged(days(40)).write();
    let fine = machine.person("fine", 58_010);
    let mounted = machine.account("mounted", 58_011);
    fs::create_dir(&mounted).unwrap();
    let stores = [
        ("open", machine.person("open", 58_012), 58_012),
        ("linked", machine.person("linked", 58_013), 58_013),
        ("others", machine.person("others", 58_014), 58_014),
        ("shared", machine.person("shared", 58_015), 58_015),
    ];
    machine.account("gone", 58_016);
    let shared = machine.home("shared");
    machine.passwd += &format!("second:x:58017:58017::{}:/bin/sh\n", shared.display());
    machine.passwd += &format!("daemon:x:500:500::{}:/bin/sh\n", machine.home("fine").display());
    let kept: Vec<_> = stores
        .iter()
        .map(|(name, store, uid)| {
            let session = old(store);
            give(&machine.home(name), *uid);
            session
        })
        .collect();
    let done = old(&fine);
    give(&machine.home("fine"), 58_010);
    fs::set_permissions(machine.home("open"), fs::Permissions::from_mode(0o777)).unwrap();
    lchown(machine.home("others"), Some(58_010), None).unwrap();
    fs::rename(machine.home("linked"), machine.sandbox.root().join("elsewhere")).unwrap();
    symlink(machine.sandbox.root().join("elsewhere"), machine.home("linked")).unwrap();
    // A home on a disk of its own is no less its owner's.
    let before = r#"mount -t tmpfs -o "uid=58011,gid=58011,mode=700" tmpfs "$root/homes/mounted"
        cp -a "$root/homes/fine/.claude" "$root/homes/mounted/"; chown -R 58011:58011 "$root/homes/mounted""#;
    fs::write(machine.sandbox.root().join("before"), before).unwrap();
    let output = machine.enforce();
    output.exits(1);
    let json = output.json();
    assert!(!done.is_there());
    for session in &kept[..1] {
        assert!(session.is_there());
    }
    let elsewhere = machine.sandbox.root().join("elsewhere/.claude/projects");
    assert!(fs::read_dir(elsewhere).unwrap().count() == 2, "what the link leads to is as it was");
    assert!(kept[2].is_there() && kept[3].is_there());
    let mut refused: Vec<_> =
        json["refused"].as_array().unwrap().iter().map(|row| row["user"].as_str().unwrap()).collect();
    refused.sort_unstable();
    // Nothing of the account without a home lies here, so there is nothing to tell.
    assert_eq!(refused, ["linked", "open", "others", "second", "shared"], "{json}");
    assert_eq!(user(&json, "mounted")["exit"], 0);
    assert_eq!(json["summary"]["sessionsDeleted"], 2);
    output.says("its home is a link").says("writable by everyone");
    output.says("belongs to uid 58010").says("is also that of");
}

#[test]
fn a_child_has_given_up_everything_of_root_before_it_works() {
    let Some(mut machine) = machine() else { return };
    let ann = machine.person("ann", WATCHED);
    let session = ann.session(1).aged(days(40)).write();
    ann.history(Some(session.id()), "/work/acme", days(40));
    // Somebody's lock on the line file, for which the child waits.
    fs::create_dir(ann.path("history.jsonl.lock")).unwrap();
    give(&machine.home("ann"), WATCHED);
    let (mut process, status, path) = machine.watch(&["enforce", "--yes"], WATCHED, || !session.is_there());
    assert!(status.contains(&format!("\nGid:\t{WATCHED}\t{WATCHED}\t{WATCHED}\t{WATCHED}\n")), "{status}");
    let line = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim().to_owned()
    };
    assert_eq!(line("Groups:"), "", "{status}");
    assert_eq!(line("CapEff:"), "0000000000000000");
    assert_eq!(line("CapPrm:"), "0000000000000000");
    assert_eq!(line("NoNewPrivs:"), "1");
    let limits = fs::read_to_string(path.join("limits")).unwrap();
    let bound =
        |name: &str| limits.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert!(bound("Max data size").starts_with("2147483648"), "{limits}");
    assert!(bound("Max core file size").starts_with('0'), "{limits}");
    let environment = String::from_utf8_lossy(&fs::read(path.join("environ")).unwrap()).into_owned();
    let mut names: Vec<&str> =
        environment.split('\0').filter_map(|pair| Some(pair.split_once('=')?.0)).collect();
    names.sort_unstable();
    let expected = ["CCRETAIN_CHILD_OF_ALL_USERS", "HOME", "LOGNAME", "PATH", "TZ", "USER"];
    assert_eq!(names, expected, "nothing of root's");
    let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(fields[4], "0", "it has no terminal");
    process.wait().unwrap();
}

#[test]
fn a_user_who_swaps_folders_for_links_reaches_nothing_outside() {
    let Some(mut machine) = machine() else { return };
    let ann = machine.person("ann", ANN);
    machine.policy(
        "ann",
        ANN,
        r#"{"version": 1, "guard": "off", "rules": [{"name": "w", "deleteAfter": "7d"}]}"#,
    );
    // What lies outside: root's, and the user's own, which only the handles protect.
    let outside = |name: &str, uid: u32| {
        let folder = machine.sandbox.root().join(name);
        let store = StoreBuilder::new(folder.join("store"), folder.join("tmp"));
        for number in 1..=40 {
            store.session(number).cwd("/work/acme").aged(days(40)).write();
        }
        give(&folder, uid);
        folder
    };
    let (roots, anns) = (outside("of-root", 0), outside("of-ann", ANN));
    let count = |folder: &Path| fs::read_dir(folder.join("store/projects/-work-acme")).unwrap().count();
    let projects = ann.path("projects");
    let mut deleted = 0;
    for round in 0..6 {
        for number in 1..=40 {
            ann.session(number).cwd("/work/acme").aged(days(40)).write().satellites();
        }
        give(&machine.home("ann"), ANN);
        // The user's own link in place of a project's folder is followed, and so is none further down.
        let own = round % 2 == 0;
        let at = if own { projects.join("-work-acme") } else { projects.clone() };
        let folder = at.join(if own { id(1) } else { "-work-acme".to_owned() });
        let (aside, link) = (at.join("-work-aside"), at.join("-work-link"));
        let target = if own { &anns } else { &roots };
        symlink(target.join("store/projects/-work-acme"), &link).unwrap();
        lchown(&link, Some(ANN), Some(ANN)).unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // Folder → link → folder, each by a rename, as fast as it goes.
                    let _ = fs::rename(&folder, &aside);
                    let _ = fs::rename(&link, &folder);
                    let _ = fs::rename(&folder, &link);
                    let _ = fs::rename(&aside, &folder);
                }
            });
            let output = machine.run(&["enforce", "--yes", "--json"]);
            stop.store(true, Ordering::Relaxed);
            assert!(matches!(output.code, Some(0 | 1)), "{output}");
            deleted += output.summary("sessionsDeleted");
        });
        assert_eq!((count(&roots), count(&anns)), (40, 40), "round {round}");
        for path in [folder, aside, link] {
            match path.symlink_metadata() {
                Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).unwrap(),
                Ok(_) => fs::remove_file(path).unwrap(),
                Err(_) => {}
            }
        }
    }
    assert!(deleted > 0, "the runs did what they could");
}

#[test]
fn a_users_policy_and_holds_apply_under_the_managed_layer() {
    let Some(mut machine) = machine() else { return };
    machine.system(
        "managed-policy.json",
        r#"{"version": 1, "userHolds": true, "rules": [{"name": "corp", "deleteAfter": "14d"}]}"#,
    );
    let (ann, bob) = (machine.person("ann", ANN), machine.person("bob", BOB));
    let held = ann.session(1).cwd("/work/acme").aged(days(20)).write();
    let tightened = ann.session(2).cwd("/work/other").aged(days(10)).write();
    let plain = bob.session(3).cwd("/work/acme").aged(days(20)).write();
    let young = bob.session(4).cwd("/work/acme").aged(days(10)).write();
    machine.policy("ann", ANN, WEEK);
    machine.policy("bob", BOB, r#"{"version": 1, "rules": [{"name": "b", "deleteAfter": "400d"}]}"#);
    machine.write(
        "ann",
        ANN,
        ".config/ccretain/holds.json",
        r#"[{"name": "mine", "projects": ["/work/acme"], "reason": "x"}]"#,
    );
    let output = machine.enforce();
    output.exits(0).quietly();
    assert!(held.is_there() && !tightened.is_there(), "{output}");
    assert!(!plain.is_there() && young.is_there(), "{output}");
}

#[test]
fn a_dry_run_and_a_broken_system_policy_touch_nobody() {
    let Some(mut machine) = machine() else { return };
    let ann = machine.person("ann", ANN);
    let session = ann.session(1).aged(days(40)).write();
    give(&machine.home("ann"), ANN);
    let output = machine.run(&["enforce", "--dry-run", "--json"]);
    output.exits(0).quietly();
    assert_eq!(output.json()["summary"]["sessionsDeleted"], 1);
    assert_eq!(output.json()["dryRun"], true);
    let text = machine.run(&["enforce", "--dry-run"]);
    text.exits(0).quietly().says("1 account: 2 sessions").says("would delete  1 session");
    assert!(!machine.sandbox.ledger().exists());
    machine.run(&["enforce"]).exits(4).says("--yes");
    machine.run(&["enforce", "--yes", "--store", "/x"]).exits(2);
    machine.run(&["policy", "show"]).exits(2).says("--all-users is for enforce");
    machine.system("managed-policy.json", "{ broken");
    machine.enforce().exits(2).says("managed-policy.json");
    assert!(session.is_there());
}

#[test]
fn a_child_that_is_killed_stops_nobody_else_and_is_recorded() {
    let Some(mut machine) = machine() else { return };
    let (ann, bob) = (machine.person("ann", KILLED), machine.person("bob", BOB));
    let first = ann.session(1).aged(days(40)).write();
    ann.history(Some(first.id()), "/work/acme", days(40));
    fs::create_dir(ann.path("history.jsonl.lock")).unwrap();
    give(&machine.home("ann"), KILLED);
    let second = bob.session(2).aged(days(40)).write();
    give(&machine.home("bob"), BOB);
    let (process, _, path) = machine.watch(&["enforce", "--yes", "--json"], KILLED, || !first.is_there());
    let pid: i32 = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!second.is_there());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(user(&json, "ann")["error"].as_str().unwrap().contains("signal"), "{json}");
    assert_eq!(user(&json, "bob")["exit"], 0);
    let lines = machine.sandbox.ledger_lines();
    let ended =
        lines.iter().find(|line| line["event"] == "summary" && line["user"] == "ann").expect("a summary");
    assert!(ended["error"].is_string(), "{ended}");
    machine.run(&["ledger", "verify"]).exits(0);
}

#[test]
fn a_managed_policy_that_users_may_not_read_is_an_error_and_not_no_policy() {
    let Some(mut machine) = machine() else { return };
    let ann = machine.person("ann", ANN);
    let session = ann.session(1).aged(days(40)).write();
    give(&machine.home("ann"), ANN);
    machine.system("managed-policy.json", r#"{"version": 1}"#);
    let file = machine.sandbox.root().join("etc/ccretain/managed-policy.json");
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    machine.enforce().exits(2).says("managed-policy.json");
    assert!(session.is_there());
}

#[test]
fn without_the_ledger_of_all_nobody_is_touched() {
    let Some(mut machine) = machine() else { return };
    let ann = machine.person("ann", ANN);
    let session = ann.session(1).aged(days(40)).write();
    give(&machine.home("ann"), ANN);
    fs::create_dir(machine.sandbox.ledger()).unwrap();
    machine.enforce().exits(4);
    assert!(session.is_there());
}

#[test]
fn a_ledger_of_all_that_was_cut_is_told() {
    let Some(mut machine) = machine() else { return };
    machine.person("ann", 4001).session(1).aged(days(40)).write();
    machine.enforce().exits(0);
    let text = fs::read_to_string(machine.sandbox.ledger()).unwrap();
    fs::write(machine.sandbox.ledger(), text.split_inclusive('\n').take(2).collect::<String>()).unwrap();
    let cut = |json: &Value| json["findings"].as_array().unwrap().iter().any(|one| one["id"] == "ledger-cut");
    assert!(cut(&machine.run(&["check", "--json"]).json()));
    machine.enforce();
    machine.run(&["ledger", "verify"]).exits(1).says("cut");
    assert!(cut(&machine.run(&["check", "--json"]).json()));
}

#[test]
fn the_ledger_of_all_lies_where_the_system_keeps_logs() {
    let Some(mut machine) = machine() else { return };
    let ann = machine.person("ann", ANN);
    let session = ann.session(1).aged(days(40)).write();
    give(&machine.home("ann"), ANN);
    let output = machine.command(&["enforce", "--yes"]).env("CCRETAIN_STATE_DIR", "").run();
    output.exits(0).quietly();
    assert!(!session.is_there());
    let folder = machine.sandbox.root().join("log/ccretain");
    assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
    let file = folder.join("ledger.jsonl").metadata().unwrap();
    assert_eq!((file.mode() & 0o777, file.uid()), (0o600, 0));
}

#[test]
fn the_verbs_that_look_do_so_for_all() {
    let Some(mut machine) = machine() else { return };
    machine.person("ann", ANN);
    machine.person("bob", BOB);
    machine.enforce().exits(0).quietly();
    let status = machine.run(&["status", "--json"]);
    status.exits(0).quietly();
    let json = status.json();
    assert_eq!(json["schema"], "ccretain.status-all-users/1");
    for name in ["ann", "bob"] {
        let report = &user(&json, name)["report"];
        assert_eq!(report["schema"], "ccretain.status/1");
        assert_eq!(report["lastRun"]["exit"], 0, "{report}");
    }
    machine.run(&["status"]).exits(0).quietly().says("2 accounts: ").never_says("bob (uid");
    machine.run(&["status", "-v"]).exits(0).says("bob (uid");
    let verified = machine.run(&["ledger", "verify"]);
    verified.exits(0).quietly();
    let shown = machine.run(&["ledger", "show", "--json"]);
    assert!(shown.stdout.contains(r#""user":"bob""#), "{shown}");
    // The user's own ledger is none the worse: nothing of that of all is expected in it.
    let home = machine.home("ann");
    let own = machine
        .sandbox
        .command(["ledger", "verify"])
        .env("CCRETAIN_STATE_DIR", home.join(".local/state/ccretain"));
    assert!(!own.run().stderr.contains("not in the chain"));
}

#[test]
fn figures_and_log_are_roots_to_write() {
    let Some(mut machine) = machine() else { return };
    machine.person("ann", ANN);
    machine.person("bob", BOB);
    let file = machine.sandbox.root().join("log/ccretain.prom");
    let output =
        machine.run(&["enforce", "--yes", "--log-format", "json", "--metrics", file.to_str().unwrap()]);
    output.exits(0);
    assert_eq!(file.metadata().unwrap().uid(), 0);
    let figures = fs::read_to_string(&file).unwrap();
    assert!(figures.contains("\nccretain_sessions_kept 2\n"), "{figures}");
    let lines: Vec<Value> =
        output.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let users: Vec<_> = lines.iter().map(|line| &line["user"]).collect();
    assert_eq!(users, ["ann", "bob"]);
}

#[test]
fn roots_own_store_is_handled_where_there_is_one() {
    let Some(mut machine) = machine() else { return };
    machine.person("ann", ANN);
    let home = machine.home("root");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(machine.enforce().json()["users"].as_array().unwrap().len(), 1);
    let store = StoreBuilder::new(home.join(".claude"), home.join("tmp"));
    store.session(900).aged(hours(3)).write();
    let session = store.session(1).aged(days(40)).write();
    let output = machine.enforce();
    output.exits(0);
    assert!(!session.is_there());
    assert_eq!(user(&output.json(), "root")["exit"], 0);
}

#[test]
fn only_root_may() {
    let sandbox = Sandbox::new();
    sandbox.give_away();
    let output = sandbox.command(["--all-users", "enforce", "--dry-run"]).unprivileged().run();
    output.exits(2).says("root alone");
}

#[test]
fn one_check_for_all_accounts() {
    let Some(mut machine) = machine() else { return };
    let (ann, _) = (machine.person("ann", ANN), machine.person("bob", BOB));
    ann.session(1).aged(days(40)).write();
    give(&machine.home("ann"), ANN);
    machine.policy("ann", ANN, WEEK);
    machine.policy("bob", BOB, "{ broken");
    fs::write(machine.account("gone", EVE), "no folder").unwrap();
    let output = machine.run(&["check", "--json"]);
    output.exits(3).quietly();
    let json = output.json();
    assert_eq!((&json["schema"], &json["user"]), (&"ccretain.check/1".into(), &Value::Null));
    let of = |user: &str| -> Vec<&str> {
        let findings = json["findings"].as_array().unwrap().iter();
        findings.filter(|found| found["user"] == user).map(|found| found["id"].as_str().unwrap()).collect()
    };
    assert!(of("ann").contains(&"overdue") && !of("ann").contains(&"policy-invalid"), "{json:#}");
    assert!(of("bob").contains(&"policy-invalid") && !of("bob").contains(&"overdue"), "{json:#}");
    assert_eq!(of("gone"), ["account-unchecked"]);
    assert_eq!(
        (&user(&json, "ann")["compliant"], &user(&json, "gone")["compliant"]),
        (&false.into(), &Value::Null)
    );
    // Every format is the parent's to print, and so is the style.
    let output = machine.run(&["check", "--exit-style", "intune"]);
    output.exits(1).quietly().says("overdue");
    machine.run(&["check", "--exit-style", "munki"]).exits(0).quietly();
    machine.run(&["check", "--format", "jamf"]).exits(3).says("<result>not-compliant: ");
    // With a repair, each account's own child does it and root records it.
    fs::set_permissions(&ann.root, fs::Permissions::from_mode(0o755)).unwrap();
    let json = machine.run(&["check", "--fix", "--json"]).json();
    assert_eq!(ann.root.metadata().unwrap().mode() & 0o777, 0o700, "{json:#}");
    let lines = machine.sandbox.ledger_lines();
    assert!(lines.iter().any(|line| line["decision"] == "close" && line["user"] == "ann"), "{lines:?}");
    assert!(!machine.home("ann").join(".local/state/ccretain/ledger.jsonl").exists());
    // Root's own ledger is looked at by root.
    let ledger = machine.sandbox.ledger();
    let text = fs::read_to_string(&ledger).unwrap();
    fs::write(&ledger, text.replacen("\"event\":\"started\"", "\"event\":\"intent\"", 1)).unwrap();
    let json = machine.run(&["check", "--json"]).json();
    let broken = json["findings"].as_array().unwrap().iter().find(|found| found["id"] == "ledger-broken");
    assert_eq!(broken.unwrap().get("user"), None);
    // Neither a ledger nor a policy that cannot be read keeps it from telling.
    fs::remove_file(&ledger).unwrap();
    fs::create_dir(&ledger).unwrap();
    machine.system("policy.json", "{ broken");
    let output = machine.run(&["check", "--json"]);
    let json = output.exits(3).json();
    for id in ["ledger-unreadable", "policy-invalid"] {
        let is_root = |found: &&Value| found["id"] == id && found.get("user").is_none();
        assert!(json["findings"].as_array().unwrap().iter().any(|found| is_root(&found)), "{id} in {json:#}");
    }
}

#[test]
fn one_session_of_one_account_is_purged_and_nobody_else_is_touched() {
    let Some(mut machine) = machine() else { return };
    let (ann, bob) = (machine.person("ann", ANN), machine.person("bob", BOB));
    let [gone, of_ann] = [1, 2].map(|number| ann.session(number).aged(days(20)).write());
    let of_bob = bob.session(3).aged(days(20)).write();
    for (name, uid) in [("ann", ANN), ("bob", BOB)] {
        give(&machine.home(name), uid);
    }
    let certificate = machine.sandbox.root().join("one.json");
    let file = certificate.to_str().unwrap();
    // No account has it: nothing is changed, and nothing is certified as gone.
    let none = ["purge", "--yes", "--json", "--session", &crate::common::id(9), "--certificate", file];
    let output = machine.run(&none);
    output.exits(1).says("no account has anything of session");
    assert!(gone.is_there() && of_ann.is_there() && of_bob.is_there());
    let file = certificate.with_extension("second.json");
    let file = file.to_str().unwrap();
    let output = machine.run(&["purge", "--yes", "--json", "--session", gone.id(), "--certificate", file]);
    assert!(!gone.is_there() && of_ann.is_there() && of_bob.is_there(), "{output}");
    output.exits(0);
    let text = fs::read_to_string(file).unwrap();
    let certificate: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(certificate["verdict"], "partial", "{text}");
    assert_eq!(certificate["counts"]["sessions"], 1, "{text}");
    machine.run(&["ledger", "verify", "--certificate", file]).exits(0);
}

#[test]
fn everything_of_everybody_is_purged_and_certified_once() {
    let Some(mut machine) = machine() else { return };
    let (ann, bob) = (machine.person("ann", ANN), machine.person("bob", BOB));
    let sessions: Vec<_> = [(&ann, "ann", ANN), (&bob, "bob", BOB)]
        .map(|(store, name, uid)| {
            let session = store.session(1).aged(days(20)).write();
            store.history(Some(session.id()), "/work/acme", days(20));
            give(&machine.home(name), uid);
            session
        })
        .into();
    machine.run(&["purge"]).exits(4).says("--dry-run");
    let certificate = machine.sandbox.root().join("all.json");
    let file = certificate.to_str().unwrap();
    let looked = machine.run(&["purge", "--dry-run", "--json"]);
    looked.exits(0);
    assert!(sessions.iter().all(super::common::store::Session::is_there));
    // A hold of one user's stops his purge and nobody else's.
    machine.write(
        "bob",
        BOB,
        ".config/ccretain/holds.json",
        r#"{"version": 1, "holds": [{"name": "mine", "projects": ["/work/**"], "reason": "r"}]}"#,
    );
    let output = machine.run(&["purge", "--yes", "--json", "--certificate", file]);
    output.exits(1).says("mine");
    assert_eq!(user(&output.json(), "bob")["exit"], 4);
    assert!(!sessions[0].is_there() && sessions[1].is_there());
    let first: Value = serde_json::from_slice(&fs::read(&certificate).unwrap()).unwrap();
    assert_eq!(first["verdict"], "incomplete");
    assert!(first["exceptions"].to_string().contains("/bob"), "{first}");
    // Root breaks it, for a reason.
    let second = machine.sandbox.root().join("second.json");
    let file = second.to_str().unwrap();
    let output = machine.run(&["purge", "--yes", "--break-holds", "they left", "--certificate", file]);
    output.exits(0);
    assert!(!sessions[1].is_there());
    let second: Value = serde_json::from_slice(&fs::read(&second).unwrap()).unwrap();
    assert_eq!((&second["verdict"], &second["operator"]["allUsers"]), (&"complete".into(), &true.into()));
    let owners: Vec<&str> =
        second["stores"].as_array().unwrap().iter().map(|store| store["owner"].as_str().unwrap()).collect();
    assert!(owners.contains(&"ann") && owners.contains(&"bob"), "{owners:?}");
    machine.run(&["ledger", "verify", "--certificate", file]).exits(0);
}

#[test]
fn a_report_for_all_has_sums_first_and_tells_a_finding_once() {
    let Some(mut machine) = machine() else { return };
    let (ann, bob) = (machine.person("ann", ANN), machine.person("bob", BOB));
    machine.person("eve", EVE);
    for (number, store) in [(1, &ann), (2, &bob), (3, &bob)] {
        store.session(number).cwd("/work/acme").aged(days(40)).write();
    }
    for (name, uid) in [("ann", ANN), ("bob", BOB)] {
        let missing = machine.home(name).join("nowhere");
        machine.policy(
            name,
            uid,
            &format!(
                r#"{{"version": 1, "rules": [{{"name": "week", "deleteAfter": "7d"}}], "stores": {{"extra": ["{}"]}}}}"#,
                missing.display()
            ),
        );
    }
    fs::write(machine.account("gone", EVE), "no folder").unwrap();
    let dry = machine.run(&["enforce", "--dry-run"]);
    dry.exits(1);
    let at = |text: &str| dry.stdout.find(text).unwrap_or_else(|| panic!("no {text:?} in {dry}"));
    assert!(
        at("4 accounts: 6 sessions") < at("would delete  3 sessions") && at("would delete") < at("ACCOUNT")
    );
    assert!(at("ACCOUNT") < at("notes, with the accounts"), "{dry}");
    dry.says("policy: user: delete after 7d: ann, bob").says("left out");
    // What two accounts complain of is said once, with both.
    assert_eq!(dry.stderr.matches("nowhere").count(), 1, "{dry}");
    dry.says("ann, bob: error: '~/nowhere'");
    let status = machine.run(&["status"]);
    status.says("3 sessions due").says("not scheduled: ann, bob, eve");
    let verdict = machine.run(&["check"]);
    verdict.says("4 accounts: 6 sessions");
    // The question has the act, the counts and how many accounts it is about.
    let no = machine.command(&["enforce"]).env("COLUMNS", "80").on_terminal("n\n").run();
    no.says("Permanently delete 3 sessions (").says("of 2 accounts?").says("cancelled: nothing was changed");
    no.exits(4);
    let purge = machine.command(&["purge"]).env("COLUMNS", "80").on_terminal("n\n").run();
    purge.says("Permanently delete 6 sessions (").says("of 3 accounts?").exits(4);
    let yes = machine.command(&["enforce"]).env("COLUMNS", "80").on_terminal("yes\n").run();
    yes.exits(1).says("deleted  3 sessions");
    // Nothing is left to ask about.
    let again = machine.command(&["enforce"]).env("COLUMNS", "80").on_terminal("").run();
    again.exits(1).says("nothing is due").never_says("Permanently");
    // Where nothing is left a purge asks nothing, and goes on to its verdict.
    let all = machine.command(&["purge"]).env("COLUMNS", "80").on_terminal("purge\n").run();
    all.says("Permanently delete");
    let none = machine.command(&["purge"]).env("COLUMNS", "80").on_terminal("").run();
    none.says("there is nothing to remove").never_says("Permanently").never_says("there is no terminal");
}
