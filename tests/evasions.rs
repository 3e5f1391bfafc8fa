//! Ways in which a user may try to stop or delay a managed rule. The files are the user's, so that not every way
//! can be closed; but each must be seen: none may end with exit 0, sessions kept and *compliant*, but for what is
//! inherent, because it cannot be told from use.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::all_users::{Machine, machine};
use crate::common::store::{Session, StoreBuilder, age, pid_domain, put, stamp, start_of};
use crate::common::{Output, days, hours, id, now};

const ANN: u32 = 58_010;
const SESSIONS: u32 = 6;
const MANAGED: &str = r#"{"version": 1, "guard": "off", "rules": [{"name": "corp", "deleteAfter": "14d"}]}"#;
const RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

/// What a row must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    /// The sessions go, whatever was tried.
    Closed,
    /// Something stays, and is told: by the exit code, or by a finding that is no lower than medium.
    Seen,
    /// It cannot be told from use.
    Inherent,
}

use Comes::{Closed, Inherent, Seen};

/// An account with sessions that are due, before somebody does something about them.
struct Case {
    machine: Machine,
    store: StoreBuilder,
    home: PathBuf,
    sessions: Vec<Session>,
    /// Kept until the runs are over: a held lock, a socket.
    keeps: Vec<Box<dyn std::any::Any>>,
}

/// A way: what it is, what it must come to, and what the user does.
type Row = (&'static str, Comes, fn(&mut Case));

impl Case {
    fn new(test: &str) -> Option<Self> {
        let mut machine = machine(test)?;
        machine.system("managed-policy.json", MANAGED);
        // What starts the runs of the machine.
        let wants = machine.sandbox.root().join("etc/systemd/system/timers.target.wants");
        fs::create_dir_all(&wants).unwrap();
        fs::write(wants.join("ccretain.timer"), "").unwrap();
        let store = machine.person("ann", ANN);
        let home = machine.home("ann");
        let mut case = Self { machine, store, home, sessions: Vec::new(), keeps: Vec::new() };
        case.sessions = (1..=SESSIONS).map(|number| case.due(number)).collect();
        Some(case)
    }

    fn due(&self, number: u32) -> Session {
        let session = self.store.session(number).aged(days(40)).write();
        session.side_file("tool-results/toolu_1.txt", "x");
        session
    }

    fn each(&self, act: impl Fn(&Session)) {
        self.sessions.iter().for_each(act);
    }

    fn state(&self, name: &str) -> PathBuf {
        self.home.join(".local/state/ccretain").join(name)
    }

    fn write_state(&self, state: &Value) {
        put(&self.state("state.json"), state.to_string(), hours(1));
        fs::set_permissions(self.state(""), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(self.state("state.json"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn unsealed(&self, at: chrono::DateTime<chrono::Utc>, activity: chrono::DateTime<chrono::Utc>) {
        let each = |session: &Session| json!({"store": self.store.root, "session": session.id(), "lastActivity": stamp(activity), "unsealedAt": stamp(at)});
        let all: Vec<Value> = self.sessions.iter().map(each).collect();
        self.write_state(&json!({"version": 1, "unsealed": all}));
    }

    fn pid_files(&self, record: impl Fn(&str) -> Value, old: chrono::Duration) {
        for (at, session) in self.sessions.iter().enumerate() {
            self.store.put(format!("sessions/{}.json", 100 + at), record(session.id()).to_string(), old);
        }
    }

    /// A name in the place of another, by a command of the shell.
    fn shell(&self, script: &str) {
        let done =
            std::process::Command::new("sh").args(["-ec", script]).current_dir(&self.home).status().unwrap();
        assert!(done.success(), "{script}");
    }

    fn user_policy(&self, script: &str) {
        self.shell(&format!(
            "mkdir -p .config/ccretain; chmod 700 .config/ccretain; cd .config/ccretain; {script}"
        ));
    }

    fn rewrite(&self, line: impl Fn(&Session) -> String) {
        self.each(|session| {
            put(&session.transcript, line(session) + "\n", days(40));
            session.settle();
        });
    }

    /// The transcripts in plaintext that are still there, wherever they were put.
    fn left(&self) -> usize {
        let is_due = |name: &str| {
            let is_plain = name.contains(".jsonl") && !name.ends_with(".age") && !name.starts_with('x');
            is_plain && (1..=30).any(|number| name.starts_with(&id(number)))
        };
        let mut open = vec![(self.home.clone(), 0)];
        let mut left = 0;
        while let Some((folder, depth)) = open.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    true if depth < 20 => open.push((entry.path(), depth + 1)),
                    true => {}
                    false => left += usize::from(is_due(&entry.file_name().to_string_lossy())),
                }
            }
        }
        left
    }

    fn run(&self) -> (Output, Vec<String>) {
        // Paths may be longer than one may be, so that another way than by them is needed.
        self.shell(&format!("chown -hR {ANN}:{ANN} ."));
        let run = self.machine.enforce();
        let check = self.machine.run(&["check", "--json"]);
        let findings = check.json()["findings"].as_array().cloned().unwrap_or_default();
        let is_grave = |found: &Value| found["severity"] == "medium" || found["severity"] == "high";
        let ids = findings
            .iter()
            .filter(|found| is_grave(found))
            .map(|found| found["id"].as_str().unwrap().to_owned());
        (run, ids.collect())
    }
}

fn record(session: &Session, time: &str, cwd: &str) -> String {
    json!({"type": "user", "uuid": "u", "timestamp": time, "cwd": cwd, "sessionId": session.id(),
        "message": {"role": "user", "content": "x"}})
    .to_string()
}

/// Each way in turn, against what an account without any comes to.
fn stand(test: &str, rows: &[Row]) {
    let Some(plain) = Case::new(test) else { return };
    let (run, usual) = plain.run();
    run.exits(0);
    assert_eq!(plain.left(), 0);
    let mut wrong = Vec::new();
    for (name, comes, act) in rows {
        let mut case = Case::new(test).unwrap();
        act(&mut case);
        let (run, findings) = case.run();
        let new: Vec<&String> = findings.iter().filter(|found| !usual.contains(found)).collect();
        let is_seen = run.code != Some(0) || !new.is_empty();
        let left = case.left();
        let is_right = match comes {
            Closed => left == 0,
            Seen => left == 0 || is_seen,
            Inherent => true,
        };
        eprintln!("{name}: {left} left, exit {:?}, {new:?}", run.code);
        if !is_right {
            wrong.push(format!("{name}: {left} left, exit {:?}, {new:?}", run.code));
        }
        // What the user made unreadable is not the test's to leave behind.
        case.shell("chmod -R u+rwX . 2>/dev/null || :");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn life_and_dates_stop_no_managed_rule_unseen() {
    let rows: &[Row] = &[
        ("pid file naming pid 1, without start and domain", Seen, |case| {
            case.pid_files(|session| json!({"pid": 1, "sessionId": session}), days(2));
        }),
        ("pid file naming pid 1 with its true start", Seen, |case| {
            case.pid_files(
                |session| json!({"pid": 1, "sessionId": session, "procStart": start_of(1)}),
                hours(0),
            );
        }),
        ("the same in our own domain", Closed, |case| {
            let record = |session: &str| json!({"pid": 1, "sessionId": session, "procStart": start_of(1), "pidDomain": pid_domain()});
            case.pid_files(record, days(2));
        }),
        ("pid file of another host", Closed, |case| {
            let record =
                |session: &str| json!({"pid": 77, "sessionId": session, "pidDomain": "linux:x:pid:[1]"});
            case.pid_files(record, days(40));
        }),
        ("the same, transcripts touched two days ago", Closed, |case| {
            let record =
                |session: &str| json!({"pid": 77, "sessionId": session, "pidDomain": "linux:x:pid:[1]"});
            case.pid_files(record, days(40));
            case.each(|session| age(&session.transcript, days(2)));
        }),
        ("the same, said to have started in 2099", Closed, |case| {
            let record = |session: &str| json!({"pid": 77, "sessionId": session, "pidDomain": "linux:x:pid:[1]", "startedAt": 4_085_000_000_000_u64});
            case.pid_files(record, days(40));
        }),
        ("the same, written now", Seen, |case| {
            let record =
                |session: &str| json!({"pid": 77, "sessionId": session, "pidDomain": "linux:x:pid:[1]"});
            case.pid_files(record, hours(0));
        }),
        ("a byte behind the last line of every transcript, hours ago", Seen, |case| {
            case.each(|session| {
                let text = fs::read_to_string(&session.transcript).unwrap();
                fs::write(&session.transcript, text + "x").unwrap();
                age(&session.transcript, hours(3));
            });
        }),
        ("touch every transcript", Seen, |case| case.each(|session| age(&session.transcript, hours(0)))),
        ("touch one satellite of each session", Seen, |case| {
            case.each(|session| age(&session.side().join("tool-results/toolu_1.txt"), hours(0)));
        }),
        ("append a record dated now", Inherent, |case| {
            case.each(|session| {
                let text = fs::read_to_string(&session.transcript).unwrap();
                let text = text + &record(session, &stamp(now()), "/work/acme") + "\n";
                put(&session.transcript, text, days(40));
            });
        }),
        ("records and modification time in the future", Seen, |case| {
            case.rewrite(|session| record(session, "2099-01-01T00:00:00.000Z", "/work/acme"));
            case.each(|session| age(&session.transcript, -days(9000)));
        }),
        ("no dates in records, modification time in the future", Seen, |case| {
            case.rewrite(|session| record(session, "", "/work/acme"));
            case.each(|session| age(&session.transcript, -days(9000)));
        }),
        ("a fresh copy, a set-aside copy, a subagent of today", Inherent, |case| {
            case.each(|session| drop(session.subagent("a620f2408346b1f5b", hours(2))));
        }),
        ("a running job and an editor's lock of pid 1", Closed, |case| {
            for (at, session) in case.sessions.iter().enumerate() {
                let job = json!({"sessionId": session.id(), "status": "running"}).to_string();
                case.store.put(format!("jobs/{at:08}/state.json"), job, days(40));
                case.store.put(format!("ide/{at}.lock"), json!({"pid": 1}).to_string(), days(40));
            }
        }),
    ];
    stand("life_and_dates_stop_no_managed_rule_unseen", rows);
}

#[test]
fn state_and_locks_stop_no_managed_rule_unseen() {
    let rows: &[Row] = &[
        ("state: unsealed a minute ago", Closed, |case| case.unsealed(now() - hours(0), now() - days(1))),
        ("state: a later activity of undated sessions", Closed, |case| {
            case.rewrite(|session| record(session, "", "/work/acme"));
            case.unsealed(now() - hours(5), now() - days(1));
        }),
        ("state is garbage", Closed, |case| {
            case.shell("mkdir -p .local/state/ccretain; chmod 700 .local/state/ccretain; echo '{' > .local/state/ccretain/state.json")
        }),
        ("state of version 99", Closed, |case| case.write_state(&json!({"version": 99}))),
        ("state is a folder", Closed, |case| {
            case.shell("mkdir -p .local/state/ccretain/state.json; chmod 700 .local/state/ccretain")
        }),
        ("state is a FIFO", Closed, |case| {
            case.shell("mkdir -p .local/state/ccretain; chmod 700 .local/state/ccretain; mkfifo .local/state/ccretain/state.json")
        }),
        ("state folder writable by all", Seen, |case| {
            case.shell("mkdir -p .local/state/ccretain; chmod 777 .local/state/ccretain")
        }),
        ("state folder is a file", Seen, |case| {
            case.shell("mkdir -p .local/state; echo > .local/state/ccretain")
        }),
        ("store writable by all", Seen, |case| case.shell("chmod 777 .claude")),
        ("home writable by all", Seen, |case| case.shell("chmod 777 .")),
        ("lock of the store held for ever", Seen, |case| {
            let path = case.store.put("ccretain/lock", "", days(3));
            let file = fs::File::open(path).unwrap();
            file.lock().unwrap();
            case.keeps.push(Box::new(file));
        }),
        ("'ccretain' in the store is a file", Seen, |case| case.shell("echo > .claude/ccretain")),
        ("lock is a FIFO", Seen, |case| case.shell("mkdir .claude/ccretain; mkfifo .claude/ccretain/lock")),
        ("lock is a link", Seen, |case| {
            case.shell("mkdir .claude/ccretain; ln -s /etc/passwd .claude/ccretain/lock")
        }),
        ("lock is a socket", Seen, |case| {
            let socket = case.store.socket("ccretain/lock");
            case.keeps.push(Box::new(socket));
        }),
        ("history.jsonl.lock held for ever", Seen, |case| {
            case.store.history(Some(&id(1)), "/work/acme", days(40));
            case.shell("mkdir .claude/history.jsonl.lock");
        }),
        ("sealing: unsealed in 2099", Closed, |case| {
            let policy = format!(
                r#"{{"version": 1, "guard": "off", "recipients": ["{RECIPIENT}"], "rules": [{{"name": "corp", "sealAfter": "14d"}}]}}"#
            );
            case.machine.system("managed-policy.json", &policy);
            case.unsealed("2099-01-01T00:00:00Z".parse().unwrap(), now() - days(40));
        }),
        ("sealing: unsealed a minute ago", Closed, |case| {
            let policy = format!(
                r#"{{"version": 1, "guard": "off", "recipients": ["{RECIPIENT}"], "rules": [{{"name": "corp", "sealAfter": "14d"}}]}}"#
            );
            case.machine.system("managed-policy.json", &policy);
            case.unsealed(now(), now() - days(40));
        }),
    ];
    stand("state_and_locks_stop_no_managed_rule_unseen", rows);
}

#[test]
fn places_and_modes_stop_no_managed_rule_unseen() {
    let rows: &[Row] = &[
        ("project folder read-only", Seen, |case| case.shell("chmod 500 .claude/projects/-work-acme")),
        ("project folder unreadable", Seen, |case| case.shell("chmod 0 .claude/projects/-work-acme")),
        ("transcripts unreadable", Seen, |case| case.shell("chmod 0 .claude/projects/-work-acme/*.jsonl")),
        ("second hard link elsewhere", Closed, |case| {
            case.shell("mkdir kept; for each in .claude/projects/-work-acme/*.jsonl; do ln $each kept/$(basename $each).other; done");
            // The other name is the user's own file, in no store.
            case.shell("for each in kept/*; do mv $each kept/x$(basename $each); done");
        }),
        ("store moved, which a shell alone knows", Inherent, |case| {
            case.shell("mv .claude moved; mkdir .claude; echo 'export CLAUDE_CONFIG_DIR=~/moved' > .bashrc");
        }),
        ("'projects' is a link to an own folder", Seen, |case| {
            case.shell("mv .claude/projects elsewhere; ln -s ../elsewhere .claude/projects");
        }),
        ("project folders are links", Seen, |case| {
            case.shell("mv .claude/projects/-work-acme acme; ln -s ../../acme .claude/projects/-work-acme");
        }),
        ("transcripts renamed to .bak", Seen, |case| {
            case.shell("cd .claude/projects/-work-acme; for each in *.jsonl; do mv $each $each.bak; done");
        }),
        ("the store is a link to an own folder", Closed, |case| {
            case.shell("mv .claude data; ln -s data .claude")
        }),
        ("sessions folder unreadable", Seen, |case| {
            case.shell("mkdir .claude/sessions; chmod 0 .claude/sessions")
        }),
        ("sessions is a link to a folder of root", Seen, |case| case.shell("ln -s /etc .claude/sessions")),
        ("sessions is a link to itself", Seen, |case| case.shell("ln -s sessions .claude/sessions")),
        ("one satellite folder read-only", Seen, |case| {
            case.shell(&format!("chmod 500 .claude/projects/-work-acme/{}/tool-results", id(1)));
        }),
        ("a tree 3,000 folders deep", Closed, |case| case.store.deep("projects/-work-acme/deep", 3000)),
    ];
    stand("places_and_modes_stop_no_managed_rule_unseen", rows);
}

#[test]
fn policies_and_settings_stop_no_managed_rule_unseen() {
    let rows: &[Row] = &[
        ("holds of the user", Closed, |case| {
            let hold = r#"{"version": 1, "holds": [{"name": "mine", "projects": ["/**"], "reason": "x"}]}"#;
            case.user_policy(&format!("echo '{hold}' > holds.json; chmod 600 holds.json"));
        }),
        ("policy of the user with everything that delays", Closed, |case| {
            let policy = r#"{"version": 1, "mode": "audit", "keepAtLeast": "900d", "quiet": "900d", "ageBy": "newest",
                "guard": {"maxShare": 0.01, "minSessions": 1}, "stores": {"exclude": ["~/.claude"]},
                "holds": [{"name": "mine", "projects": ["/**"], "reason": "x"}], "rules": [{"name": "r", "deleteAfter": "never"}]}"#;
            case.user_policy(&format!("echo '{policy}' > policy.json; chmod 600 policy.json"));
        }),
        ("policy of the user is huge", Closed, |case| case.user_policy("truncate -s 1G policy.json")),
        ("policy of the user is deep", Closed, |case| {
            case.user_policy("head -c 100000 /dev/zero | tr '\\0' '[' > policy.json");
        }),
        ("policy of the user is a FIFO", Closed, |case| case.user_policy("mkfifo policy.json")),
        ("policy of the user is a link to /dev/zero", Closed, |case| {
            case.user_policy("ln -s /dev/zero policy.json")
        }),
        ("managed hold: history lines put every session under it", Seen, |case| {
            case.machine.system(
                "managed-policy.json",
                r#"{"version": 1, "guard": "off", "rules": [{"name": "corp", "deleteAfter": "14d"}],
                    "holds": [{"name": "case", "projects": ["/work/held/**"], "reason": "x"}]}"#,
            );
            case.each(|session| drop(case.store.history(Some(session.id()), "/work/held", days(1))));
        }),
        ("managed lenient rule: a first record with its folder", Seen, |case| {
            case.machine.system(
                "managed-policy.json",
                r#"{"version": 1, "guard": "off", "rules": [
                    {"name": "long", "projects": ["/work/long/**"], "deleteAfter": "400d"}, {"name": "corp", "deleteAfter": "14d"}]}"#,
            );
            case.each(|session| {
                let text = fs::read_to_string(&session.transcript).unwrap();
                let text = record(session, &stamp(now() - days(41)), "/work/long") + "\n" + &text;
                put(&session.transcript, text, days(40));
            });
        }),
        ("a mass that the managed guard refuses", Seen, |case| {
            case.machine.system(
                "managed-policy.json",
                r#"{"version": 1, "rules": [{"name": "corp", "deleteAfter": "14d"}]}"#,
            );
            (10..=30).for_each(|number| drop(case.due(number)));
        }),
        ("settings of Claude Code are broken", Closed, |case| case.shell("echo '{' > .claude/settings.json")),
        ("the same without any policy", Seen, |case| {
            fs::remove_file(case.machine.sandbox.root().join("etc/ccretain/managed-policy.json")).unwrap();
            case.shell("echo '{' > .claude/settings.json");
        }),
        ("remote-settings.json with 99999 days, without any policy", Closed, |case| {
            fs::remove_file(case.machine.sandbox.root().join("etc/ccretain/managed-policy.json")).unwrap();
            case.shell(r#"echo '{"cleanupPeriodDays": 99999}' > .claude/remote-settings.json"#);
        }),
    ];
    stand("policies_and_settings_stop_no_managed_rule_unseen", rows);
}
