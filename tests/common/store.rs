//! Stores made in code: sessions with records of any age, what belongs to them, and hostile things.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::days;

/// Stands in every record, paste and tool output; must never reach a message, a report or the ledger.
pub const CONTENT: &str = "the-words-of-a-conversation";

/// The session id with a number.
pub fn id(number: u32) -> String {
    format!("{number:08x}-0000-4000-8000-00000000cafe")
}

/// How a plan of a name is shown: the name is made of words of a prompt.
pub fn shown_plan(name: &str) -> String {
    use sha2::{Digest, Sha256};
    format!("plans/#{}", hex::encode(&Sha256::digest(name)[..4]))
}

/// The folder name the client makes of a working folder.
pub fn encode(cwd: &str) -> String {
    cwd.encode_utf16()
        .map(|unit| u8::try_from(unit).ok().filter(u8::is_ascii_alphanumeric).map_or('-', char::from))
        .collect()
}

/// A time as records carry it.
pub fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Sets the modification time of anything but a link to so long ago; negative ages lie in the future.
pub fn age(path: &Path, age: Duration) {
    let time = std::time::SystemTime::from(Utc::now() - age);
    let file = File::open(path).unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
    file.set_modified(time).expect("its modification time");
}

fn times(old: Duration) -> rustix::fs::Timestamps {
    let time = rustix::fs::Timespec { tv_sec: (Utc::now() - old).timestamp(), tv_nsec: 0 };
    rustix::fs::Timestamps { last_access: time, last_modification: time }
}

/// Sets the modification time of a link itself.
pub fn age_link(path: &Path, old: Duration) {
    use rustix::fs::{AtFlags, CWD, utimensat};
    utimensat(CWD, path, &times(old), AtFlags::SYMLINK_NOFOLLOW).expect("its modification time");
}

/// Writes a file with its folders, so long ago.
pub fn put(path: &Path, content: impl AsRef<[u8]>, old: Duration) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("the folders");
    fs::write(path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    age(path, old);
}

/// A config folder of the client and its temp folder.
#[derive(Debug, Clone)]
pub struct StoreBuilder {
    /// The config folder.
    pub root: PathBuf,
    /// The client's temp folder, `claude-<uid>`.
    pub tmp: PathBuf,
}

impl StoreBuilder {
    /// A store at a place; the folder is made.
    pub fn new(root: PathBuf, tmp: PathBuf) -> Self {
        fs::create_dir_all(root.join("projects")).expect("the store");
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).expect("its mode");
        Self { root, tmp }
    }

    /// A path in the store.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Another session whose id begins as that of the number does.
    pub fn twin(&self, number: u32) -> String {
        let twin = format!("{number:08x}-0000-4000-8000-00000000beef");
        let record = json!({"type": "user", "sessionId": twin, "cwd": "/work/acme", "timestamp": "2026-11-01T00:00:00Z"});
        self.put(format!("projects/-work-acme/{twin}.jsonl"), record.to_string() + "\n", days(4));
        twin
    }

    /// Whether a path in the store is there, links that lead nowhere included.
    pub fn has(&self, relative: impl AsRef<Path>) -> bool {
        fs::symlink_metadata(self.path(relative)).is_ok()
    }

    /// A file in the store, so long ago.
    pub fn put(&self, relative: impl AsRef<Path>, content: impl AsRef<[u8]>, old: Duration) -> PathBuf {
        let path = self.path(relative);
        put(&path, content, old);
        path
    }

    /// A session to be described further.
    pub fn session(&self, number: u32) -> SessionBuilder {
        SessionBuilder {
            store: self.clone(),
            id: id(number),
            cwd: "/work/acme".to_owned(),
            first: None,
            last: Duration::zero(),
            mtime: None,
            dated: true,
            entrypoint: "cli".to_owned(),
            name: None,
            head: Vec::new(),
        }
    }

    /// Appends a line to `history.jsonl`.
    pub fn history(&self, session: Option<&str>, project: &str, old: Duration) -> String {
        let mut line = json!({
            "display": CONTENT, "pastedContents": {}, "timestamp": (Utc::now() - old).timestamp_millis(), "project": project,
        });
        if let Some(session) = session {
            line["sessionId"] = json!(session);
        }
        self.history_line(&line.to_string());
        line.to_string()
    }

    /// Appends a line to `history.jsonl` as it is.
    pub fn history_line(&self, line: &str) {
        let path = self.path("history.jsonl");
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).expect("the history");
        writeln!(file, "{line}").expect("its line");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    /// The lines of `history.jsonl`.
    pub fn history_lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("history.jsonl")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// A line of history that refers to a paste, and the paste.
    pub fn paste(&self, hash: &str, session: &str, old: Duration) -> PathBuf {
        let line = json!({
            "display": "[Pasted text #1 +99 lines]",
            "pastedContents": {"1": {"id": 1, "type": "text", "contentHash": hash}},
            "timestamp": (Utc::now() - old).timestamp_millis(), "project": "/work/acme", "sessionId": session,
        });
        self.history_line(&line.to_string());
        self.put(format!("paste-cache/{hash}.txt"), CONTENT, old)
    }

    /// The record of a client that started 40 days ago, unless the changes say otherwise: that it starts is a touch.
    pub fn pid_file(&self, pid: u32, session: &str, changes: Value) -> PathBuf {
        let started = Utc::now() - Duration::days(40);
        let mut record = json!({
            "pid": pid, "sessionId": session, "cwd": "/work/acme", "startedAt": started.timestamp_millis(),
            "procStart": start_of(pid), "version": "2.1.330", "kind": "interactive", "entrypoint": "cli",
            "pidDomain": pid_domain(), "status": "idle", "updatedAt": Utc::now().timestamp_millis(),
        });
        for (key, value) in changes.as_object().into_iter().flatten() {
            if value.is_null() {
                record.as_object_mut().expect("an object").remove(key);
            } else {
                record[key] = value.clone();
            }
        }
        self.put(format!("sessions/{pid}.json"), record.to_string(), Duration::days(40))
    }

    /// The index of a project folder with an entry a session.
    pub fn index(&self, cwd: &str, sessions: &[&str]) -> PathBuf {
        let entries: Vec<Value> = sessions
            .iter()
            .map(|session| {
                json!({
                    "sessionId": session, "leafUuid": id(9), "fullPath": format!("/x/{session}.jsonl"), "fileMtime": 1.0,
                    "firstPrompt": CONTENT, "messageCount": 2, "created": "2026-01-01T00:00:00.000Z",
                    "modified": "2026-01-01T00:00:00.000Z", "gitBranch": "main", "projectPath": cwd, "isSidechain": false,
                })
            })
            .collect();
        let text =
            serde_json::to_string_pretty(&json!({"version": 1, "entries": entries})).expect("an index");
        self.put(format!("projects/{}/sessions-index.json", encode(cwd)), text, Duration::days(1))
    }

    /// A link in the store.
    pub fn link(&self, relative: impl AsRef<Path>, target: impl AsRef<Path>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folders");
        symlink(target, &path).expect("a link");
        path
    }

    /// A FIFO in the store.
    pub fn fifo(&self, relative: impl AsRef<Path>) -> PathBuf {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folders");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a fifo");
        path
    }

    /// A socket in the store; its listener must be kept for as long as somebody should listen.
    pub fn socket(&self, relative: impl AsRef<Path>) -> std::os::unix::net::UnixListener {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folders");
        // The path of a socket is bounded; a relative one always fits.
        let short = tempfile::Builder::new().prefix("s").tempdir_in("/tmp").expect("a folder");
        let name = short.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&name).expect("a socket");
        fs::rename(&name, &path).expect("the socket in its place");
        listener
    }

    /// Folders within folders, this many; the path of the innermost is longer than a path may be, so it is made step by step.
    pub fn deep(&self, relative: impl AsRef<Path>, levels: usize) {
        use rustix::fs::{Mode, OFlags, mkdirat, openat};
        let top = self.path(relative);
        fs::create_dir_all(&top).expect("the top");
        let mut folder =
            rustix::fs::open(&top, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).expect("it");
        for _ in 0..levels {
            mkdirat(&folder, "d", Mode::from_raw_mode(0o755)).expect("a level");
            folder = openat(&folder, "d", OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).expect("it");
        }
        let file = openat(&folder, "leaf.txt", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o600))
            .expect("a leaf");
        rustix::io::write(&file, CONTENT.as_bytes()).expect("its content");
        rustix::fs::futimens(&file, &times(Duration::days(40))).expect("its modification time");
    }
}

/// How a pid file names the place where a pid means something: the machine and the pid namespace.
pub fn pid_domain() -> String {
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("linux:{}:{}", machine.trim(), space.display())
}

/// The start of a process in ticks since the boot, as text; empty where there is none.
pub fn start_of(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Field 22; the second may hold spaces and ends with the last parenthesis.
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19)).unwrap_or_default().to_owned()
}

/// A pid that nobody has.
pub fn dead_pid() -> u32 {
    let mut child = std::process::Command::new("true").spawn().expect("a process");
    child.wait().expect("its end");
    child.id()
}

/// A session to be written.
#[derive(Debug, Clone)]
pub struct SessionBuilder {
    store: StoreBuilder,
    id: String,
    cwd: String,
    first: Option<Duration>,
    last: Duration,
    mtime: Option<Duration>,
    dated: bool,
    entrypoint: String,
    name: Option<String>,
    head: Vec<String>,
}

impl SessionBuilder {
    /// The age of its last record, and of its files unless [`Self::files_aged`] says otherwise.
    pub fn aged(mut self, age: Duration) -> Self {
        self.last = age;
        self
    }

    /// The age of its first record; an hour before the last unless said.
    pub fn begun(mut self, age: Duration) -> Self {
        self.first = Some(age);
        self
    }

    /// The age of its files.
    pub fn files_aged(mut self, age: Duration) -> Self {
        self.mtime = Some(age);
        self
    }

    /// The folder it ran in.
    pub fn cwd(mut self, cwd: &str) -> Self {
        cwd.clone_into(&mut self.cwd);
        self
    }

    /// Records without any timestamp.
    pub fn undated(mut self) -> Self {
        self.dated = false;
        self
    }

    /// Who ran it: `cli`, `claude-desktop`, ….
    pub fn entrypoint(mut self, entrypoint: &str) -> Self {
        entrypoint.clone_into(&mut self.entrypoint);
        self
    }

    /// The file name of the transcript where it is not `<id>.jsonl`.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Lines before the records, as they are.
    pub fn head(mut self, line: &str) -> Self {
        self.head.push(line.to_owned());
        self
    }

    fn record(&self, role: &str, old: Duration, agent: Option<&str>) -> String {
        let mut record = json!({
            "parentUuid": null, "isSidechain": agent.is_some(), "userType": "external", "cwd": self.cwd, "sessionId": self.id,
            "version": "2.1.330", "entrypoint": self.entrypoint, "gitBranch": "main", "type": role,
            "message": {"role": role, "content": CONTENT}, "uuid": uuid::Uuid::new_v4().to_string(),
        });
        if self.dated {
            record["timestamp"] = json!(stamp(Utc::now() - old));
        }
        if let Some(agent) = agent {
            record["agentId"] = json!(agent);
        }
        record.to_string()
    }

    /// Writes the transcript.
    pub fn write(self) -> Session {
        let folder = encode(&self.cwd);
        let name = self.name.clone().unwrap_or_else(|| format!("{}.jsonl", self.id));
        let project = self.store.path("projects").join(&folder);
        let mtime = self.mtime.unwrap_or(self.last);
        let first = self.first.unwrap_or(self.last + Duration::hours(1));
        let mut lines = self.head.clone();
        lines.push(json!({"type": "mode", "mode": "default", "sessionId": self.id}).to_string());
        lines.push(self.record("user", first, None));
        lines.push(self.record("assistant", self.last, None));
        lines.push(json!({"type": "last-prompt", "lastPrompt": CONTENT, "sessionId": self.id}).to_string());
        let transcript = project.join(name);
        put(&transcript, lines.join("\n") + "\n", mtime);
        fs::set_permissions(&transcript, fs::Permissions::from_mode(0o600)).expect("its mode");
        let session = Session { folder, mtime, transcript, builder: self };
        session.settle();
        session
    }
}

/// A session that was written.
#[derive(Debug, Clone)]
pub struct Session {
    /// The name of its project folder.
    pub folder: String,
    mtime: Duration,
    /// Its transcript.
    pub transcript: PathBuf,
    builder: SessionBuilder,
}

impl Session {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.builder.id
    }

    /// Its folder beside the transcript.
    pub fn side(&self) -> PathBuf {
        self.builder.store.path("projects").join(&self.folder).join(self.id())
    }

    /// Its folder in the temp tree.
    pub fn temp(&self) -> PathBuf {
        self.builder.store.tmp.join(&self.folder).join(self.id())
    }

    /// Whether its transcript is there.
    pub fn is_there(&self) -> bool {
        self.transcript.exists()
    }

    /// A subagent's transcript with its description.
    pub fn subagent(&self, agent: &str, old: Duration) -> PathBuf {
        let path = self.side().join(format!("subagents/agent-{agent}.jsonl"));
        let lines = self.builder.record("user", old + Duration::minutes(1), Some(agent))
            + "\n"
            + &self.builder.record("assistant", old, Some(agent))
            + "\n";
        put(&path, lines, self.mtime);
        put(&path.with_extension("meta.json"), r#"{"agentType":"general-purpose"}"#, self.mtime);
        self.settle();
        path
    }

    /// Everything the client keeps beside a transcript, one file of each; their paths.
    pub fn satellites(&self) -> Vec<PathBuf> {
        let id = self.id();
        let store = &self.builder.store;
        self.subagent("a620f2408346b1f5b", self.builder.last);
        let mut paths = vec![
            self.side().join("subagents/agent-a620f2408346b1f5b.jsonl"),
            self.side().join("subagents/agent-a620f2408346b1f5b.meta.json"),
        ];
        for path in [
            self.side().join("tool-results/byvcankqz.txt"),
            self.side().join("custom-title.json"),
            store.path(format!("file-history/{id}/0123abcd@v1")),
            store.path(format!("tasks/{id}/1.json")),
            store.path(format!("session-env/{id}/sessionstart-hook-1.sh")),
            store.path(format!("debug/{id}.txt")),
            store.path(format!("todos/{id}-agent-{id}.json")),
            store.path(format!("image-cache/{id}/1.png")),
            store.path(format!("uploads/{id}/any name.pdf")),
            self.temp().join("tasks/b1.output"),
            self.temp().join("scratchpad/any name.bin"),
        ] {
            put(&path, CONTENT, self.mtime);
            paths.push(path);
        }
        self.settle();
        paths
    }

    /// A file below its side folder.
    pub fn side_file(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.side().join(relative);
        put(&path, content, self.mtime);
        path
    }

    /// Makes the folders around it as old as it is, as they would be.
    pub fn settle(&self) {
        for folder in [self.side(), self.transcript.parent().expect("a folder").to_owned()] {
            if folder.is_dir() {
                age(&folder, self.mtime);
            }
        }
    }
}
