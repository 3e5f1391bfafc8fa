//! Against the real client: it writes a store, time passes, the program enforces, and the client is asked what is left.
//!
//! The clients are fetched by `tests/real_client/fetch` into `target/clients/` and talk to `api.py` on the loopback
//! address, in a network namespace without any other. Where one is missing the test says so and is skipped.

mod hook;
mod purge;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::common::sandbox::{has, has_namespaces, shield};
use crate::common::store::{age, age_link, encode, stamp};
use crate::common::{Sandbox, Tree, days, skip};

/// The newest client that was tried; see CONTRIBUTING.md for how to take in a later one.
const NEWEST: &str = "2.1.332";

/// A client at a version.
struct Client {
    program: PathBuf,
    node: bool,
}

impl Client {
    /// The client of a version, fetched when it is missing; `None`, loudly, where that is not possible.
    fn get(version: &str) -> Option<Self> {
        if !has("python3") || !has_namespaces() {
            skip("needs python3, root and namespaces");
            return None;
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.to_owned();
        let folder = target.join("clients").join(version).join("package");
        let find =
            || ["claude", "cli.js"].map(|name| folder.join(name)).into_iter().find(|path| path.is_file());
        if find().is_none() {
            let fetch = root.join("tests/real_client/fetch");
            let _ = Command::new(fetch).env("CARGO_TARGET_DIR", &target).stdout(Stdio::null()).status();
        }
        let Some(program) = find() else {
            skip("the client could not be fetched");
            return None;
        };
        let node = program.extension().is_some_and(|extension| extension == "js");
        if node && !has("node") {
            skip("needs node");
            return None;
        }
        Some(Self { program, node })
    }
}

/// The stand-in for the service, stopped when dropped; it runs where the client runs.
struct Desk<'a> {
    sandbox: &'a Sandbox,
    client: Client,
    project: PathBuf,
}

impl<'a> Desk<'a> {
    fn new(sandbox: &'a Sandbox, client: Client) -> Self {
        let project = sandbox.root().join("project");
        fs::create_dir_all(&project).unwrap();
        Self { sandbox, client, project }
    }

    /// Runs the client with arguments; what it said, and whether it ended well.
    fn run(&self, arguments: &[&str]) -> (String, bool) {
        self.run_through(&[], arguments)
    }

    /// Runs the client on a terminal and types at it.
    fn run_typing(&self, script: &str) -> (String, bool) {
        let typing = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_client/type.py");
        self.run_through(&["python3", typing, script, "--"], &[])
    }

    fn run_through(&self, wrapper: &[&str], arguments: &[&str]) -> (String, bool) {
        let script = r#"
            ip link set lo up 2>/dev/null || python3 -c '
import fcntl, socket, struct
s = socket.socket()
name = struct.pack("16sh14x", b"lo", 0)
flags = struct.unpack("16sh14x", fcntl.ioctl(s, 0x8913, name))[1]
fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))'
            port=$1; api=$2; shift 2
            rm -f "$port"
            python3 "$api" "$port" >/dev/null 2>&1 &
            service=$!
            for _ in $(seq 200); do [ -s "$port" ] && break; sleep 0.05; done
            ANTHROPIC_BASE_URL="http://127.0.0.1:$(cat "$port")" "$@" </dev/null
            code=$?
            kill $service
            exit $code"#;
        let api = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_client/api.py");
        let log = self.sandbox.root().join("said");
        let file = fs::File::create(&log).unwrap();
        // A hook of the client's starts the program, which looks at the account's own temp tree.
        let mut words = shield();
        words.extend(["unshare", "--net", "sh", "-c", script, "sh"].map(OsString::from));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(self.sandbox.root().join("port")).arg(api);
        command.args(wrapper);
        if self.client.node {
            command.arg("node");
        }
        command.arg(&self.client.program).args(arguments);
        command
            .env_clear()
            .env("HOME", self.sandbox.home())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TMPDIR", self.sandbox.tmp())
            .env("CLAUDE_CODE_TMPDIR", self.sandbox.tmp())
            .env("LANG", "C.UTF-8")
            .env("ANTHROPIC_API_KEY", "no-key")
            .env("DISABLE_TELEMETRY", "1")
            .env("DISABLE_AUTOUPDATER", "1")
            .env("DISABLE_ERROR_REPORTING", "1")
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .current_dir(&self.project)
            .stdin(Stdio::null())
            .stderr(file.try_clone().unwrap())
            .stdout(file);
        let mut child = command.spawn().unwrap();
        let ok = wait(&mut child, Duration::from_secs(120));
        (fs::read_to_string(&log).unwrap_or_default(), ok)
    }

    /// Has a conversation with tools; its session id.
    fn converse(&self, arguments: &[&str]) -> String {
        let before = self.sessions();
        let prompt = r#"hello CALL:[["Bash", {"command": "seq 1 60000", "description": "count"}],
            ["TodoWrite", {"todos": [{"content": "c", "status": "pending", "activeForm": "a"}]}],
            ["Workflow", {"script": "export const meta = {name: 'w', description: 'd', phases: [{title: 'A'}]}\nconst r = await agent('within', {label: 'a', phase: 'A'})\nreturn {r}"}]]"#;
        let mut all = vec!["-p", prompt, "--allowedTools", "Bash,TodoWrite,Workflow"];
        all.extend(arguments);
        let (said, ok) = self.run(&all);
        assert!(ok && said.contains("An answer."), "the client did not answer: {said}");
        let mut new: Vec<String> = self.sessions().into_iter().filter(|id| !before.contains(id)).collect();
        assert_eq!(new.len(), 1, "one new session expected, not {new:?}; the client said {said}");
        new.remove(0)
    }

    /// Whether the client can go on with a session.
    fn resumes(&self, session: &str) -> bool {
        let (said, ok) = self.run(&["--resume", session, "-p", "more"]);
        ok && said.contains("An answer.")
    }

    fn folder(&self) -> PathBuf {
        let real = fs::canonicalize(&self.project).unwrap();
        self.sandbox.home().join(".claude/projects").join(encode(real.to_str().unwrap()))
    }

    /// The ids of the sessions of the project.
    fn sessions(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder()) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        // 36 characters; older clients keep `agent-….jsonl` beside them.
        names
            .filter_map(|name| name.strip_suffix(".jsonl").filter(|id| id.len() == 36).map(str::to_owned))
            .collect()
    }

    /// Makes everything that names a session so many days older: the times of its files and those in its records.
    fn let_pass(&self, session: &str, number: i64) {
        let old = days(number);
        for root in [self.sandbox.home(), self.sandbox.tmp()] {
            for path in Tree::of(&root).0.keys() {
                let path = root.join(path);
                if !names(&path, session) {
                    continue;
                }
                let metadata = fs::symlink_metadata(&path).unwrap();
                if metadata.is_symlink() {
                    age_link(&path, old);
                    continue;
                }
                if metadata.is_file() && path.extension().is_some_and(|extension| extension == "jsonl") {
                    let text = fs::read_to_string(&path).unwrap();
                    fs::write(&path, shift(&text, old)).unwrap();
                }
                age(&path, old);
            }
        }
    }
}

/// Moves each timestamp of a text into the past.
fn shift(text: &str, old: chrono::Duration) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mark = "\"timestamp\":\"";
    while let Some(at) = rest.find(mark) {
        let (before, after) = rest.split_at(at + mark.len());
        out += before;
        let end = after.find('"').unwrap_or(0);
        match after[..end].parse::<DateTime<Utc>>() {
            Ok(time) => out += &stamp(time - old),
            Err(_) => out += &after[..end],
        }
        rest = &after[end..];
    }
    out + rest
}

fn wait(child: &mut Child, limit: Duration) -> bool {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a path names a session, or the file is a subagent's transcript whose records do; older clients keep those
/// beside the transcripts under names of their own.
fn names(path: &Path, session: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let agent = name.starts_with("agent-") && name.ends_with(".jsonl");
    path.to_str().is_some_and(|text| text.contains(session))
        || agent && fs::read_to_string(path).is_ok_and(|text| text.contains(session))
}

/// What lies in the sandbox and names a session.
fn traces(sandbox: &Sandbox, session: &str) -> Vec<PathBuf> {
    [sandbox.home(), sandbox.tmp()]
        .iter()
        .flat_map(|root| Tree::of(root).0.into_keys().map(|path| root.join(path)))
        .filter(|path| names(path, session))
        .collect()
}

/// Whether slow tests are to run; says so where they are not.
fn is_slow() -> bool {
    let is_set = std::env::var_os("CCRETAIN_SLOW_TESTS").is_some();
    if !is_set {
        skip("one more version takes a minute; set CCRETAIN_SLOW_TESTS to run it");
    }
    is_set
}

fn a_client_and_retention(version: &str) {
    let Some(client) = Client::get(version) else { return };
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, client);
    let old = desk.converse(&[]);
    let kept = desk.converse(&[]);
    desk.let_pass(&old, 40);
    desk.let_pass(&kept, 5);
    assert!(traces(&sandbox, &old).len() > 1, "the client kept nothing beside the transcript");

    let promised = sandbox.dry_run();
    promised.exits(0).quietly();
    assert_eq!(promised.summary("sessionsDeleted"), 1, "{promised}");
    // Every file that names a session is known to the catalogue.
    for item in promised.json()["items"].as_array().unwrap() {
        let path = item["path"].as_str().unwrap();
        let names_one = path.contains(&old) || path.contains(&kept);
        assert!(!names_one || item["reason"] != "unrecognised", "{path} is not in the catalogue");
    }

    let output = sandbox.enforce_verbosely();
    output.exits(0).quietly();
    assert_eq!(traces(&sandbox, &old), Vec::<PathBuf>::new(), "{output}");
    assert!(!traces(&sandbox, &kept).is_empty());
    assert_eq!(output.summary("partlyDeleted"), 0, "{output}");

    assert!(!desk.resumes(&old), "a deleted session was resumed");
    assert!(desk.resumes(&kept), "a kept session cannot be resumed");
    // And a new conversation starts as if nothing had happened.
    let new = desk.converse(&[]);
    assert_ne!(new, old);
    let again = sandbox.enforce();
    again.exits(0).quietly();
    assert_eq!(again.summary("sessionsDeleted"), 0, "{again}");
    assert!(desk.sessions().contains(&new) && desk.sessions().contains(&kept));
}

#[test]
fn the_newest_client() {
    a_client_and_retention(NEWEST);
}

#[test]
fn the_client_before_the_newest() {
    if is_slow() {
        a_client_and_retention("2.1.330");
    }
}

#[test]
fn a_client_of_before_pid_files() {
    a_client_and_retention("2.0.30");
}

#[test]
fn a_client_that_cleans_up_after_ten_minutes() {
    a_client_and_retention("2.1.50");
}

#[test]
fn a_client_at_work_keeps_its_session() {
    let Some(client) = Client::get(NEWEST) else { return };
    let sandbox = Sandbox::new();
    let desk = Desk::new(&sandbox, client);
    let session = desk.converse(&[]);
    desk.let_pass(&session, 40);
    let sleep = r#"go on CALL:[["Bash", {"command": "sleep 20", "description": "wait"}]]"#;
    thread::scope(|scope| {
        let working =
            scope.spawn(|| desk.run(&["--resume", &session, "-p", sleep, "--allowedTools", "Bash"]));
        let pid_files = sandbox.home().join(".claude/sessions");
        let start = Instant::now();
        let written = || {
            let files = fs::read_dir(&pid_files).into_iter().flatten().flatten();
            files
                .map(|file| fs::read_to_string(file.path()).unwrap_or_default())
                .any(|text| text.contains(&session))
        };
        while !written() && start.elapsed() < Duration::from_secs(60) && !working.is_finished() {
            thread::sleep(Duration::from_millis(50));
        }
        assert!(written(), "the client wrote no pid file");
        // Old in every way but for the process.
        desk.let_pass(&session, 40);
        let output = sandbox.enforce_verbosely();
        output.exits(0);
        let item = output.item(&format!("{session}.jsonl"));
        assert!(["live", "quiet"].contains(&item["reason"].as_str().unwrap_or_default()), "{item}");
        assert!(desk.sessions().contains(&session));
        let (said, ok) = working.join().unwrap();
        assert!(ok, "{said}");
    });
}

#[test]
fn times_are_moved_as_meant() {
    let text = r#"{"timestamp":"2026-11-22T21:03:49.165Z","x":1}{"timestamp":"soon"}"#;
    assert_eq!(
        shift(text, days(40)),
        r#"{"timestamp":"2026-10-13T21:03:49.165Z","x":1}{"timestamp":"soon"}"#
    );
}

/// What the client and a sealed session are to each other.
#[test]
fn the_client_and_a_sealed_session() {
    let Some(client) = Client::get(NEWEST) else { return };
    let sandbox = Sandbox::new();
    sandbox.sealing(r#""rules": [{"name": "all", "sealAfter": "1d", "deleteAfter": "90d"}]"#);
    let desk = Desk::new(&sandbox, client);
    let session = desk.converse(&[]);
    let old = desk.converse(&[]);
    desk.let_pass(&session, 5);
    desk.let_pass(&old, 50);
    let before: Vec<(PathBuf, Vec<u8>)> = traces(&sandbox, &session)
        .into_iter()
        .filter(|path| fs::symlink_metadata(path).unwrap().is_file())
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    let output = sandbox.enforce();
    output.exits(0).quietly();
    assert_eq!(output.summary("sessionsSealed"), 2, "{output}");
    assert!(!desk.sessions().contains(&session));
    assert!(!desk.resumes(&session), "a sealed session was resumed");

    // Its own sweep, run at once, leaves sealed files alone, however old.
    let sealed = sandbox.home().join(".claude/ccretain/sealed");
    let were = Tree::with_times(&sealed);
    let _ = fs::remove_file(sandbox.home().join(".claude/.last-cleanup"));
    let swept = desk.converse(&[]);
    let script = r#"wait CALL:[["Bash", {"command": "sleep 12", "description": "wait"}]]"#;
    let (said, ok) = desk.run(&["--resume", &swept, "-p", script, "--allowedTools", "Bash"]);
    assert!(ok, "{said}");
    assert!(sandbox.home().join(".claude/.last-cleanup").exists(), "the client did not sweep");
    were.is_unchanged(&Tree::with_times(&sealed));

    sandbox.run(["unseal", &session]).exits(0).quietly();
    for (path, bytes) in &before {
        assert!(fs::read(path).is_ok_and(|now| now == *bytes), "'{}' did not come back", path.display());
    }
    assert!(desk.resumes(&session), "an unsealed session cannot be resumed");
    sandbox.run(["unseal", &old]).exits(4).says("--touch");
    sandbox.run(["unseal", &old, "--touch"]).exits(0).quietly();
    assert!(desk.resumes(&old), "an unsealed session cannot be resumed");
}
