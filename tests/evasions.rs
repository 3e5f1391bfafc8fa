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

/// A policy that spares some projects.
const LENIENT: &str = r#"{"version": 1, "guard": "off", "rules": [
    {"name": "long", "projects": ["/work/long/**"], "deleteAfter": "400d"}, {"name": "corp", "deleteAfter": "14d"}]}"#;
/// The folder of the project.
const ACME: &str = ".claude/projects/-work-acme";

/// A policy that seals.
fn sealing(seal: &str, delete: &str) -> String {
    format!(
        r#"{{"version": 1, "guard": "off", "recipients": ["{RECIPIENT}"],
            "rules": [{{"name": "corp", "sealAfter": "{seal}", "deleteAfter": "{delete}"}}]}}"#
    )
}

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

/// A process that ends with the test.
struct Sleeper(std::process::Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A way: what it is, what it must come to, and what the user does.
type Row = (&'static str, Comes, fn(&mut Case));

impl Case {
    fn new() -> Option<Self> {
        let mut machine = machine()?;
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

    /// Where a copy of a session under a new id lies.
    fn copy(&self, session: &Session, ending: &str) -> PathBuf {
        let number = self.sessions.iter().position(|known| known.id() == session.id()).unwrap();
        let name = format!("{}.{ending}", id(u32::try_from(number).unwrap() + 11));
        session.transcript.with_file_name(name)
    }

    /// Moves every transcript to a folder below the home, or anywhere, with another ending behind its own.
    fn moved(&self, folder: &str, ending: &str) {
        self.shell(&format!("mkdir -p {folder}; [ {folder} = {ACME} ] || mv {ACME}/*.jsonl {folder}/; rm -rf {ACME}/*cafe; cd {folder}; [ -z '{ending}' ] || for each in *.jsonl; do mv $each $each{ending}; done"));
    }

    /// A session that is in use, which is not counted as gone.
    fn in_use(&self) -> Session {
        self.store.session(20).aged(hours(3)).write()
    }

    /// A process of the user's, with the file that Claude Code would have written of itself.
    fn lives(&mut self, session: u32) {
        let mut sleep = std::process::Command::new("setpriv");
        sleep.args(["--reuid", &ANN.to_string(), "--clear-groups", "sleep", "600"]);
        let child = Sleeper(sleep.spawn().unwrap());
        // It is another program until it has become the user's.
        std::thread::sleep(std::time::Duration::from_millis(300));
        let pid = child.0.id();
        let record = json!({"pid": pid, "sessionId": id(session), "procStart": start_of(pid), "pidDomain": pid_domain()});
        self.store.put(format!("sessions/{pid}.json"), record.to_string(), days(40));
        self.keeps.push(Box::new(child));
    }

    /// Moves every transcript to the name that a command of the shell makes of its number, `$n`, below the store.
    fn renamed(&self, name: &str) {
        self.shell(&format!(
            "cd .claude; rm -rf projects/-work-acme/*cafe; n=0; for each in projects/-work-acme/*.jsonl; do n=$((n+1)); to={name}; mkdir -p $(dirname $to); mv $each $to; done"
        ));
    }

    /// A run by which nothing is due, so that root knows the sessions.
    fn first_run(&self) {
        self.machine.system(
            "managed-policy.json",
            r#"{"version": 1, "guard": "off", "rules": [{"name": "corp", "deleteAfter": "300d"}]}"#,
        );
        self.shell(&format!("chown -hR {ANN}:{ANN} ."));
        self.machine.enforce().exits(0);
    }

    /// The folders of sealed sessions.
    fn sealed(&self) -> Vec<PathBuf> {
        let folder = self.home.join(".claude/ccretain/sealed");
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
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
            let name = name.to_lowercase();
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
fn stand(rows: &[Row]) {
    let Some(plain) = Case::new() else { return };
    let (run, usual) = plain.run();
    run.exits(0);
    assert_eq!(plain.left(), 0);
    let mut wrong = Vec::new();
    for (name, comes, act) in rows {
        let mut case = Case::new().unwrap();
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

const LIFE: &[Row] = &[
    ("pid file naming pid 1, without start and domain", Seen, |case| {
        case.pid_files(|session| json!({"pid": 1, "sessionId": session}), days(2));
    }),
    ("pid file naming pid 1 with its true start", Seen, |case| {
        case.pid_files(|session| json!({"pid": 1, "sessionId": session, "procStart": start_of(1)}), hours(0));
    }),
    ("the same in our own domain", Closed, |case| {
        let record = |session: &str| json!({"pid": 1, "sessionId": session, "procStart": start_of(1), "pidDomain": pid_domain()});
        case.pid_files(record, days(2));
    }),
    ("pid file of another host", Closed, |case| {
        let record = |session: &str| json!({"pid": 77, "sessionId": session, "pidDomain": "linux:x:pid:[1]"});
        case.pid_files(record, days(40));
    }),
    ("the same, transcripts touched two days ago", Closed, |case| {
        let record = |session: &str| json!({"pid": 77, "sessionId": session, "pidDomain": "linux:x:pid:[1]"});
        case.pid_files(record, days(40));
        case.each(|session| age(&session.transcript, days(2)));
    }),
    ("the same, said to have started in 2099", Closed, |case| {
        let record = |session: &str| json!({"pid": 77, "sessionId": session, "pidDomain": "linux:x:pid:[1]", "startedAt": 4_085_000_000_000_u64});
        case.pid_files(record, days(40));
    }),
    ("the same, written now", Seen, |case| {
        let record = |session: &str| json!({"pid": 77, "sessionId": session, "pidDomain": "linux:x:pid:[1]"});
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
    ("records of each week that is to come", Seen, |case| {
        case.each(|session| {
            let week = |week: i64| record(session, &stamp(now() + days(7 * week)), "/work/acme") + "\n";
            put(&session.transcript, (-1..20).map(week).collect::<String>(), days(40));
            session.settle();
        });
    }),
    ("copies without any date, under new ids", Seen, |case| {
        case.each(|session| {
            let text = record(session, "", "/work/acme").replace(r#""timestamp":"","#, "");
            put(&case.copy(session, "jsonl"), text + "\n", hours(5));
            fs::remove_file(&session.transcript).unwrap();
        });
    }),
    ("a large transcript without any date or known record", Seen, |case| {
        case.each(|session| {
            let line = json!({"type": "x", "sessionId": session.id(), "message": "x".repeat(900)});
            put(&case.copy(session, "jsonl"), format!("{line}\n").repeat(30), hours(5));
            fs::remove_file(&session.transcript).unwrap();
        });
    }),
    ("links in the place of transcripts", Seen, |case| {
        case.shell(&format!("mkdir kept; for each in {ACME}/*.jsonl; do mv $each kept/x$(basename $each); ln -s ../../../kept/x$(basename $each) $each; done"));
    }),
    ("what is left of sessions is touched, with a record in it", Seen, |case| {
        case.each(|session| {
            let text = fs::read_to_string(&session.transcript).unwrap();
            put(&session.side().join("subagents/agent-a620f2408346b1f5b.jsonl"), text, hours(5));
            fs::remove_file(&session.transcript).unwrap();
        });
    }),
    ("a process of one's own in the place of Claude Code", Seen, |case| {
        case.lives(1);
    }),
    ("transcripts as set-aside copies of a session in use", Seen, |case| {
        case.renamed(&format!("projects/-work-acme/{}.jsonl.superseded-$n", id(20)));
        case.in_use();
    }),
    ("transcripts as subagents of a session in use", Seen, |case| {
        case.renamed(&format!("projects/-work-acme/{}/subagents/agent-a620f2408346b1f$n.jsonl", id(20)));
        case.in_use();
    }),
    ("transcripts in the folder of a session in use", Seen, |case| {
        case.renamed(&format!("projects/-work-acme/{}/mine/$n", id(20)));
        case.in_use();
    }),
    ("transcripts as images of a session in use", Seen, |case| {
        case.renamed(&format!("image-cache/{}/$n.png", id(20)));
        case.in_use();
    }),
    ("transcripts as pastes of a prompt of today", Seen, |case| {
        case.renamed("paste-cache/0123456789abcde$n.txt");
        let pasted = |n: u32| {
            (n.to_string(), json!({"id": n, "type": "text", "contentHash": format!("0123456789abcde{n}")}))
        };
        let pasted: serde_json::Map<String, Value> = (1..=SESSIONS).map(pasted).collect();
        let line = json!({"display": "x", "pastedContents": pasted, "project": "/work/acme",
            "timestamp": now().timestamp_millis(), "sessionId": id(20)});
        case.store.history_line(&line.to_string());
        case.in_use();
    }),
    ("transcripts as shell snapshots while a process lives", Seen, |case| {
        case.renamed("shell-snapshots/snapshot-bash-170000000000$n-abc.sh");
        case.lives(20);
        case.in_use();
    }),
    ("a running job and an editor's lock of pid 1", Closed, |case| {
        for (at, session) in case.sessions.iter().enumerate() {
            let job = json!({"sessionId": session.id(), "status": "running"}).to_string();
            case.store.put(format!("jobs/{at:08}/state.json"), job, days(40));
            case.store.put(format!("ide/{at}.lock"), json!({"pid": 1}).to_string(), days(40));
        }
    }),
];

#[test]
fn life_and_dates_stop_no_managed_rule_unseen() {
    stand(LIFE);
}

const STATE: &[Row] = &[
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

#[test]
fn state_and_locks_stop_no_managed_rule_unseen() {
    stand(STATE);
}

const PLACES: &[Row] = &[
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
    ("transcripts beside the projects", Seen, |case| case.moved(".claude/projects", "")),
    ("transcripts with their ending twice, touched", Seen, |case| {
        case.moved(ACME, ".jsonl");
        case.shell(&format!("touch {ACME}/*"));
    }),
    ("transcripts renamed, touched", Seen, |case| {
        case.moved(ACME, ".old");
        case.shell(&format!("touch {ACME}/*"));
    }),
    ("transcripts in a skill", Seen, |case| case.moved(".claude/skills/mine", "")),
    ("transcripts in the memory of a project", Seen, |case| case.moved(&format!("{ACME}/memory"), "")),
    ("transcripts in the store itself", Seen, |case| case.moved(".claude", "")),
    ("transcripts in a plugin, far down", Seen, |case| {
        case.moved(&format!(".claude/plugins/{}", "d/".repeat(300)), ".txt");
    }),
    ("transcripts in a job that is said to run", Seen, |case| {
        case.moved(".claude/jobs/0a1b2c3d", "");
        case.store.put("jobs/0a1b2c3d/state.json", r#"{"state": "running"}"#, hours(0));
    }),
    ("transcripts among sealed files, under no id", Seen, |case| {
        case.moved(".claude/ccretain/sealed/mine", ".age");
    }),
    ("transcripts in our own folder", Seen, |case| case.moved(".claude/ccretain", ".x")),
    ("transcripts as preservation copies", Seen, |case| {
        case.each(|session| {
            let folder = format!(".claude/ccretain/held/mine/{}", session.id());
            case.shell(&format!(
                "mkdir -p {folder}; mv {} {folder}/x.jsonl.age; echo '{{}}' > {folder}/session.json",
                session.transcript.display()
            ));
        });
    }),
    ("transcripts in another folder of projects", Seen, |case| {
        case.shell("mv .claude/projects .claude/projects.old; find .claude -exec touch {} +");
    }),
    ("transcripts as plans, touched", Seen, |case| {
        case.moved(".claude/plans", ".md");
        case.shell("touch .claude/plans/*");
    }),
    ("transcripts as debug logs of sessions that are gone, touched", Seen, |case| {
        case.each(|session| {
            case.shell(&format!(
                "mkdir -p .claude/debug; mv {} .claude/debug/{}.txt; rm -r {}",
                session.transcript.display(),
                session.id(),
                session.side().display()
            ));
        });
        case.shell("touch .claude/debug/*; mkdir kept; cd .claude/debug; for each in *; do ln $each ../../kept/${each%.txt}.jsonl; done");
    }),
    ("transcripts as task lists of sessions that are gone, touched", Seen, |case| {
        case.each(|session| {
            case.shell(&format!(
                "mkdir -p .claude/todos; mv {} .claude/todos/{}.json; rm -r {}",
                session.transcript.display(),
                session.id(),
                session.side().display()
            ));
        });
        case.shell("touch .claude/todos/*; mkdir kept; cd .claude/todos; for each in *; do ln $each ../../kept/${each%.json}.jsonl; done");
    }),
    ("transcripts with their ids in capitals", Seen, |case| {
        case.renamed("projects/-work-acme/$(basename ${each%.jsonl} | tr a-f A-F).jsonl");
        case.shell(&format!("touch {ACME}/*"));
    }),
    ("a project's folder of which the name is no text", Closed, |case| {
        case.shell(r#"cd .claude/projects; mv -- -work-acme "$(printf -- '-work\377\n\033acme')""#);
    }),
    ("the store renamed, which a run has seen", Seen, |case| {
        case.first_run();
        case.machine.system("managed-policy.json", MANAGED);
        case.shell("mv .claude .claude-kept");
    }),
    ("the store moved, which its settings tell", Closed, |case| {
        case.shell(r#"mv .claude moved; mkdir .claude; echo "{\"env\": {\"CLAUDE_CONFIG_DIR\": \"$PWD/moved\"}}" > .claude/settings.json"#);
    }),
    ("folders in the place of transcripts", Seen, |case| {
        case.each(|session| {
            let path = session.transcript.display();
            case.shell(&format!("mv {path} kept; mkdir {path}; mv kept {path}/{}.jsonl", session.id()));
        });
    }),
    ("transcripts in the temp tree", Seen, |case| {
        let folder = case.home.join(format!("tmp/claude-{ANN}/mine"));
        case.user_policy("echo '{\"version\": 1}' > policy.json; chmod 600 policy.json");
        case.moved(&folder.display().to_string(), ".bin");
        case.shell(&format!("mkdir -p .claude; chmod 700 tmp tmp/claude-{ANN}; echo '{{\"env\": {{\"CLAUDE_CODE_TMPDIR\": \"{}/tmp\"}}}}' > .claude/settings.json", case.home.display()));
    }),
    ("the store is a link that leads nowhere", Seen, |case| {
        case.shell("mv .claude kept; ln -s gone .claude");
    }),
    ("the store is a file", Seen, |case| case.shell("mv .claude kept; echo > .claude")),
    ("sealing: one more name for each transcript", Seen, |case| {
        case.machine.system("managed-policy.json", &sealing("14d", "400d"));
        case.each(|session| fs::remove_dir_all(session.side()).unwrap());
        case.shell(&format!(
            "mkdir kept; for each in {ACME}/*.jsonl; do ln $each kept/x$(basename $each); done"
        ));
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

#[test]
fn places_and_modes_stop_no_managed_rule_unseen() {
    stand(PLACES);
}

const POLICIES: &[Row] = &[
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
    ("managed hold of a session: transcripts as copies of it", Seen, |case| {
        let hold = format!(r#"{{"name": "case", "sessions": ["{}"], "reason": "x"}}"#, id(20));
        let rules = r#""rules": [{"name": "corp", "deleteAfter": "14d"}]"#;
        case.machine.system(
            "managed-policy.json",
            &format!(r#"{{"version": 1, "guard": "off", {rules}, "holds": [{hold}]}}"#),
        );
        case.renamed(&format!("projects/-work-acme/{}.jsonl.superseded-$n", id(20)));
    }),
    ("managed lenient rule: a first record with its folder", Seen, |case| {
        case.machine.system("managed-policy.json", LENIENT);
        case.each(|session| {
            let text = fs::read_to_string(&session.transcript).unwrap();
            let text = record(session, &stamp(now() - days(41)), "/work/long") + "\n" + &text;
            put(&session.transcript, text, days(40));
        });
    }),
    ("managed lenient rule: folder and records changed together after a run", Seen, |case| {
        case.first_run();
        case.each(|session| {
            let text = fs::read_to_string(&session.transcript).unwrap();
            put(&session.transcript, text.replace("/work/acme", "/work/long"), days(40));
        });
        case.shell("cd .claude/projects; mv -- -work-acme -work-long");
        case.machine.system("managed-policy.json", LENIENT);
    }),
    ("managed rule of projects: records without a folder", Seen, |case| {
        case.machine.system(
                "managed-policy.json",
                r#"{"version": 1, "guard": "off", "rules": [{"name": "corp", "projects": ["/**"], "deleteAfter": "14d"}]}"#,
            );
        case.each(|session| {
            let text = fs::read_to_string(&session.transcript).unwrap();
            put(&session.transcript, text.replace(r#""cwd""#, r#""was""#), days(40));
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

#[test]
fn policies_and_settings_stop_no_managed_rule_unseen() {
    stand(POLICIES);
}

/// What the user does with a sealed session, whether it must go all the same, and whether a run looks in between.
type SealedRow = (&'static str, Comes, bool, fn(&mut Value, &PathBuf));

const SEALED: &[SealedRow] = &[
    ("sealed: a later activity, right after the sealing", Closed, false, |record, _| {
        record["lastActivity"] = stamp(now() - days(1)).into();
    }),
    ("sealed: a later activity, after a run has seen it", Closed, true, |record, _| {
        record["lastActivity"] = stamp(now() - days(1)).into();
    }),
    ("sealed: an activity in the future", Closed, true, |record, _| {
        record["lastActivity"] = "2099-01-01T00:00:00Z".into();
    }),
    ("sealed: no activity, and later files", Closed, true, |record, _| {
        record["lastActivityFrom"] = "mtime".into();
        record["lastActivity"] = stamp(now() - days(1)).into();
        for file in record["files"].as_array_mut().unwrap() {
            file["mtime"] = "2026-11-25T00:00:00.000000000Z".into();
        }
    }),
    ("sealed: another content with a later date", Seen, true, |record, folder| {
        record["lastActivity"] = stamp(now() - days(1)).into();
        record["files"][0]["sha256"] = "00".repeat(32).into();
        let file = folder.join(record["files"][0]["sealed"].as_str().unwrap());
        fs::write(file, "age").unwrap();
    }),
    ("sealed: no record", Seen, false, |record, folder| {
        *record = Value::Null;
        fs::remove_file(folder.join("session.json")).unwrap();
    }),
    ("sealed: under another id", Seen, false, |record, folder| {
        *record = Value::Null;
        fs::rename(
            folder,
            folder.with_file_name(folder.file_name().unwrap().to_str().unwrap().replace("cafe", "beef")),
        )
        .unwrap();
    }),
    ("sealed: under no id", Seen, false, |record, folder| {
        *record = Value::Null;
        let name = folder.file_name().unwrap().to_str().unwrap();
        fs::rename(folder, folder.with_file_name(format!("mine-{name}"))).unwrap();
    }),
    ("sealed: as a preservation copy", Seen, false, |record, folder| {
        *record = Value::Null;
        let held = folder.parent().unwrap().with_file_name("held/mine");
        fs::create_dir_all(&held).unwrap();
        fs::rename(folder, held.join(folder.file_name().unwrap())).unwrap();
    }),
];

#[test]
fn nothing_written_beside_sealed_files_keeps_them_unseen() {
    let mut wrong = Vec::new();
    for (name, comes, is_seen_before, act) in SEALED {
        let Some(case) = Case::new() else { return };
        case.machine.system("managed-policy.json", &sealing("14d", "300d"));
        case.shell(&format!("chown -hR {ANN}:{ANN} ."));
        case.machine.enforce().exits(0);
        assert_eq!(case.sealed().len(), SESSIONS as usize, "{name}");
        if *is_seen_before {
            case.machine.enforce().exits(0);
        }
        for folder in case.sealed() {
            let path = folder.join("session.json");
            let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            act(&mut record, &folder);
            if !record.is_null() {
                fs::write(&path, record.to_string()).unwrap();
            }
        }
        case.machine.system("managed-policy.json", &sealing("14d", "30d"));
        // A run forgets nothing that the next one has to know.
        case.run();
        let (run, findings) = case.run();
        let left = case.store.path("ccretain").join("sealed").exists() || case.store.has("ccretain/held");
        let told = ["kept-past-due", "sealed-redated", "unreadable", "run-failed"];
        let is_told = run.code != Some(0) || findings.iter().any(|found| told.contains(&found.as_str()));
        eprintln!("{name}: left {left}, exit {:?}, {findings:?}", run.code);
        if if *comes == Closed { left } else { left && !is_told } {
            wrong.push(format!("{name}: exit {:?}, {findings:?}", run.code));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the user does with the prompts, which lie in the history.
const PROMPTS: &[Row] = &[
    ("prompts under another name", Seen, |case| case.shell("cd .claude; mv history.jsonl history.jsonl.bak")),
    ("prompts in a folder in the place of the history", Seen, |case| {
        case.shell("cd .claude; mv history.jsonl h; mkdir history.jsonl; mv h history.jsonl/history.jsonl");
    }),
    ("prompts behind a link to an own file", Seen, |case| {
        case.shell("mv .claude/history.jsonl kept; ln -s ../kept .claude/history.jsonl");
    }),
    ("prompts as the memory of a project", Seen, |case| {
        case.shell(&format!("mkdir -p {ACME}/memory; mv .claude/history.jsonl {ACME}/memory/MEMORY.md"));
    }),
    ("prompts as the global file", Seen, |case| {
        case.shell("mv .claude/history.jsonl .claude/.claude.json");
    }),
    ("prompts as the list of a project's sessions", Seen, |case| {
        case.shell(&format!("mv .claude/history.jsonl {ACME}/sessions-index.json"));
    }),
    ("prompts in a backup of the global file", Seen, |case| {
        case.shell("mkdir .claude/backups; mv .claude/history.jsonl .claude/backups/.claude.json.backup.1700000000000");
    }),
    ("prompts unreadable", Seen, |case| case.shell("chmod 0 .claude/history.jsonl")),
    ("prompts of the time to come", Seen, |case| {
        case.shell(&format!(
            "sed -i 's/\"timestamp\":/\"timestamp\":9/; s/{}/{}/' .claude/history.jsonl",
            id(1),
            id(20)
        ));
        case.in_use();
    }),
    ("prompts of a session in use", Closed, |case| {
        case.shell(&format!("sed -i 's/{}/{}/' .claude/history.jsonl", id(1), id(20)));
        case.in_use();
    }),
];

#[test]
fn prompts_are_kept_by_no_way_unseen() {
    let mut wrong = Vec::new();
    for (name, comes, act) in PROMPTS {
        let Some(mut case) = Case::new() else { return };
        for old in [20, 30, 40] {
            let line = json!({"display": "canary-of-a-prompt", "pastedContents": {}, "project": "/work/acme",
                "timestamp": (now() - days(old)).timestamp_millis(), "sessionId": id(1)});
            case.store.history_line(&line.to_string());
        }
        act(&mut case);
        let (run, findings) = case.run();
        let found = std::process::Command::new("grep")
            .args(["-rlq", "canary-of-a-prompt"])
            .arg(&case.home)
            .status()
            .unwrap();
        let is_seen = run.code != Some(0) || findings.contains(&"kept-past-due".to_owned());
        let left = found.success();
        eprintln!("{name}: left {left}, exit {:?}, {findings:?}", run.code);
        if left && (*comes == Closed || !is_seen) {
            wrong.push(format!("{name}: exit {:?}, {findings:?}", run.code));
        }
        case.shell("chmod -R u+rwX . 2>/dev/null || :");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A run that could not delete a file took the transcript, which says how old that file's session is.
#[test]
fn what_could_not_be_deleted_is_seen_ever_after() {
    let Some(case) = Case::new() else { return };
    let copies: Vec<PathBuf> = (1..=SESSIONS)
        .map(|number| {
            case.store.put(format!("file-history/{}/0123456789abcdef@v1", id(number)), "x", hours(3))
        })
        .collect();
    case.shell(&format!("chown -hR {ANN}:{ANN} .; chmod 555 .claude/file-history/*"));
    case.machine.enforce().exits(1);
    assert!(
        case.sessions.iter().all(|session| !session.is_there()) && copies.iter().all(|copy| copy.exists())
    );
    for _ in 0..2 {
        copies.iter().for_each(|copy| age(copy, hours(2)));
        let (run, findings) = case.run();
        assert!(run.code != Some(0) || findings.contains(&"kept-past-due".to_owned()), "{findings:?} {run}");
    }
    case.shell("chmod -R u+rwX .");
}

#[test]
fn prompts_without_a_date_are_counted_once_they_are_old() {
    if !crate::common::sandbox::has("faketime") || !crate::common::sandbox::has_namespaces() {
        return crate::common::skip("needs faketime, and root with mount namespaces");
    }
    let sandbox = crate::common::Sandbox::new();
    let store = sandbox.store();
    let system = sandbox.root().join("etc");
    put(&system.join("managed-policy.json"), MANAGED, hours(1));
    let line = json!({"display": "x", "pastedContents": {}, "project": "/work/acme"});
    store.put("history.jsonl", format!("{line}\n{{\"display\": \"torn\n"), hours(0));
    let reasons = |at: chrono::DateTime<chrono::Utc>| {
        // Somebody uses it, so that the clock is believed.
        store.session(900).aged(now() - at + hours(3)).write();
        sandbox.command(["enforce", "--yes"]).with_system_folder(&system).at(at).run().exits(0);
        let check = sandbox.command(["check", "--json"]).with_system_folder(&system).at(at).run().json();
        let findings = check["findings"].as_array().unwrap().clone();
        let found = findings.iter().find(|found| found["id"] == "kept-past-due");
        found.map(|found| found["evidence"].to_string()).unwrap_or_default()
    };
    assert_eq!(reasons(now()), "", "a torn line of today is no delay");
    let later = reasons(now() + days(16));
    assert!(later.contains("undated: 2"), "{later}");
    let ahead = json!({"display": "x", "timestamp": 4_085_000_000_000_u64, "project": "/work/acme"});
    store.history_line(&ahead.to_string());
    let later = reasons(now() + days(16));
    assert!(later.contains("future-dated: 1"), "{later}");
}

#[test]
fn what_ordinary_users_have_is_not_taken_for_a_hidden_transcript() {
    let Some(case) = Case::new() else { return };
    let example = r#"{"type": "user", "sessionId": "example-session", "message": "x", "timestamp": "2024-05-01T00:00:00Z"}"#;
    case.store.put("skills/mine/example.jsonl", format!("{example}\n").repeat(20), days(400));
    case.store.put(
        "skills/mine/data.jsonl",
        "{\"prompt\": \"x\", \"completion\": \"y\"}\n".repeat(99),
        days(400),
    );
    case.store.put(
        "projects/-work-acme/memory/MEMORY.md",
        "# sessionId and \"type\"\n".repeat(20),
        days(400),
    );
    case.store.put("ccretain/.DS_Store", "x".repeat(6148), days(1));
    // Notes of Claude Code, which have no date.
    let notes = json!({"type": "summary", "summary": "x", "leafUuid": "u"}).to_string() + "\n";
    case.store.put(format!("projects/-work-acme/{}.jsonl", id(40)), notes, days(2));
    let (run, findings) = case.run();
    run.exits(0);
    assert!(!findings.contains(&"kept-past-due".to_owned()), "{findings:?}");
}

#[test]
fn the_page_on_security_has_the_ways_of_this_table() {
    let page = include_str!("../SECURITY.md");
    let plain = [LIFE, STATE, PLACES, POLICIES, PROMPTS]
        .into_iter()
        .flatten()
        .map(|(name, comes, _)| (*name, *comes));
    let sealed = SEALED.iter().map(|(name, comes, ..)| (*name, *comes));
    let table: String = plain
        .chain(sealed)
        .map(|(name, comes)| format!("| {name} | {} |\n", format!("{comes:?}").to_lowercase()))
        .collect();
    assert!(page.contains(&table), "the page has other ways than these:\n{table}");
}
