//! A world as files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use chrono::{Duration, Timelike, Utc};
use serde_json::{Value, json};

use super::{Client, File, Kind, Line, PROJECTS, Place, Rule, World};
use crate::common::sandbox::Run;
use crate::common::store::{encode, put, stamp, start_of};
use crate::common::{Sandbox, StoreBuilder, id};

/// A world on a disk.
pub struct Disk {
    pub sandbox: Sandbox,
    /// How far its now lies ahead.
    ahead: Duration,
    /// The files in the order of the world.
    pub files: Vec<PathBuf>,
    pub owned: Vec<PathBuf>,
    histories: [PathBuf; 2],
}

impl Disk {
    pub fn root(sandbox: &Sandbox, place: Place) -> PathBuf {
        match place {
            Place::Home => sandbox.home().join(".claude"),
            Place::Other => sandbox.home().join("alt"),
            Place::Temp => sandbox.client_tmp(),
        }
    }

    /// The world, with a now that lies so far ahead.
    pub fn of(world: &World, ahead: Duration) -> Self {
        let sandbox = Sandbox::new();
        // By it the clock is beyond doubt, and the other store is one.
        sandbox.store().session(900).cwd("/work/anchor").aged(Duration::hours(3) - ahead).write();
        let other = StoreBuilder::new(Self::root(&sandbox, Place::Other), sandbox.client_tmp());
        if let Some(shared) = world.shared {
            fs::create_dir_all(&other.root).unwrap();
            let _ = fs::remove_dir(other.root.join(shared));
            fs::create_dir_all(sandbox.store().root.join(shared)).unwrap();
            symlink(sandbox.store().root.join(shared), other.root.join(shared)).unwrap();
        }
        other.session(901).cwd("/work/anchor").aged(Duration::hours(4) - ahead).write();
        let files =
            world.files.iter().enumerate().map(|(at, file)| write(&sandbox, at, file, ahead)).collect();
        let histories = [Place::Home, Place::Other].map(|place| {
            let path = Self::root(&sandbox, place).join("history.jsonl");
            let lines = world.lines.iter().enumerate().filter(|(_, line)| line.place == place);
            let text: String = lines.map(|(at, line)| written(at, line, ahead)).collect();
            if !text.is_empty() {
                put(&path, text, Duration::days(2) - ahead);
            }
            path
        });
        if sandbox.client_tmp().exists() {
            fs::set_permissions(sandbox.client_tmp(), fs::Permissions::from_mode(0o700)).unwrap();
        }
        let owned = world.owned.iter().map(|one| {
            let path = Self::root(&sandbox, one.place).join(match one.is_plan {
                true => format!("plans/{}.md", slug(one.number)),
                false => format!("paste-cache/{}.txt", paste(one.number)),
            });
            put(&path, "content", Duration::minutes(one.modified) - ahead);
            path
        });
        let owned = owned.collect();
        sandbox.policy(&policy(world, &sandbox, ahead).to_string());
        let disk = Self { sandbox, ahead, files, owned, histories };
        if let Some(system) = &world.system {
            let mut text =
                json!({"version": 1, "rules": json_of("s", &system.rules), "userHolds": system.user_holds});
            if let Some(floor) = system.floor {
                text["keepAtLeast"] = json!(floor);
            }
            disk.system_file("policy.json", &text);
        }
        if let Some(managed) = &world.managed {
            let rules = json_of("m", &managed.rules);
            let text = json!({"version": 1, "rules": rules, "userHolds": managed.user_holds, "guard": "off"});
            disk.system_file("managed-policy.json", &text);
        }
        disk
    }

    /// Writes a file of the system's policy folder.
    pub fn system_file(&self, name: &str, text: &Value) {
        let folder = self.sandbox.root().join("system");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), text.to_string()).unwrap();
    }

    pub fn run<'a>(&'a self, arguments: &[&str]) -> Run<'a> {
        let run = self.sandbox.command(arguments).env("CLAUDE_CONFIG_DIR", self.sandbox.home().join("alt"));
        let system = self.sandbox.root().join("system");
        // What is laid there is a copy, which must not outlive a file that has been removed.
        let _ = fs::remove_dir_all(system.join("etc"));
        if system.exists() { run.with_system_folder(&system) } else { run }
    }

    /// The same at its now and so many minutes later.
    pub fn later<'a>(&'a self, arguments: &[&str], minutes: i64) -> Run<'a> {
        self.run(arguments).at(Utc::now() + self.ahead + Duration::minutes(minutes))
    }

    /// The name that a report gives the root of a store.
    pub fn shown_root(&self, place: Place) -> String {
        let root = Self::root(&self.sandbox, place).display().to_string();
        ["home", "tmp"].iter().fold(root, |root, folder| {
            let real = self.sandbox.root().join(folder).display().to_string();
            root.replace(&real, &format!("[{}]", folder.to_uppercase()))
        })
    }

    /// The lines of the world that are still there.
    pub fn lines(&self) -> Vec<usize> {
        let texts = self.histories.iter().map(|path| fs::read_to_string(path).unwrap_or_default());
        let at = |line: &str| -> usize {
            let line: Value = serde_json::from_str(line).unwrap();
            line["display"].as_str().unwrap().parse().unwrap()
        };
        texts.flat_map(|text| text.lines().map(at).collect::<Vec<_>>()).collect()
    }

    pub fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.sandbox.home(), self.sandbox.tmp()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let file_type = entry.file_type().unwrap();
                // Locks of ours say when they were taken.
                if file_type.is_dir() {
                    open.push(entry.path());
                } else if file_type.is_file() && name != "lock" {
                    found.insert(entry.path(), fs::read(entry.path()).unwrap());
                }
            }
        }
        found
    }
}

fn slug(number: u32) -> String {
    format!("brisk-jumping-otter{number}")
}

fn paste(number: u32) -> String {
    format!("0123456789abcde{number}")
}

fn written(at: usize, line: &Line, ahead: Duration) -> String {
    let pasted = line.paste.map_or_else(
        || json!({}),
        |number| json!({"1": {"id": 1, "type": "text", "contentHash": paste(number)}}),
    );
    let mut text = json!({
        "display": at.to_string(), "pastedContents": pasted, "project": PROJECTS[line.project],
        "timestamp": (Utc::now() + ahead - Duration::minutes(line.date)).timestamp_millis(),
    });
    if let Some(session) = line.session {
        text["sessionId"] = json!(id(session));
    }
    text.to_string() + "\n"
}

pub fn write(sandbox: &Sandbox, at: usize, file: &File, ahead: Duration) -> PathBuf {
    let (root, id) = (Disk::root(sandbox, file.place), id(file.session));
    let project = encode(PROJECTS[file.project]);
    let path = match file.kind {
        // A set-aside copy where there is one already in the same project.
        Kind::Transcript => {
            let path = root.join(format!("projects/{project}/{id}.jsonl"));
            if path.exists() { path.with_file_name(format!("{id}.jsonl.superseded-{at}")) } else { path }
        }
        Kind::Subagent => root.join(format!("projects/{project}/{id}/subagents/agent-a{at:08x}.jsonl")),
        Kind::FileHistory => root.join(format!("file-history/{id}/{at:016x}@v1")),
        Kind::DebugLog => root.join(format!("debug/{id}.txt")),
        Kind::TempFile => root.join(format!("{project}/{id}/scratchpad/{at}.txt")),
        Kind::PidFile(client) => root.join(format!("sessions/{}.json", pid(client, at))),
    };
    let before = |minutes: i64| Utc::now() + ahead - Duration::minutes(minutes);
    let record = |minutes: &i64| {
        json!({"type": "user", "sessionId": id, "cwd": PROJECTS[file.project], "uuid": "u",
            "timestamp": stamp(before(*minutes))})
        .to_string()
    };
    let text = match file.kind {
        Kind::Transcript | Kind::Subagent => {
            // The oldest first, as they are written; one without a date where there is none.
            let mut records = file.records.clone();
            records.sort_unstable_by_key(|minutes| -minutes);
            let mut first = json!({"type": "user", "sessionId": id, "cwd": PROJECTS[file.project]});
            if let Some(plan) = file.plan {
                first["slug"] = json!(slug(plan));
            }
            let mut lines = vec![first.to_string()];
            lines.extend(records.iter().map(record));
            let end = if file.is_damaged { "\n{\"type\":\"user\",\"sess" } else { "\n" };
            lines.join("\n") + end
        }
        Kind::PidFile(client) => {
            let pid = pid(client, at);
            let start = if client == Client::Alive { start_of(pid) } else { "5".to_owned() };
            let mut text = json!({"pid": pid, "sessionId": id, "cwd": PROJECTS[file.project],
                "procStart": start, "startedAt": before(file.modified).timestamp_millis(), "kind": "interactive"});
            let is_elsewhere = client == Client::Elsewhere;
            text["pidDomain"] =
                json!(if is_elsewhere { "linux:another-machine:pid:[1]".to_owned() } else { domain() });
            text.to_string()
        }
        _ => "content".to_owned(),
    };
    put(&path, text, Duration::minutes(file.modified) - ahead);
    path
}

/// The pid of a client: this process lives as long as the test does.
fn pid(client: Client, at: usize) -> u32 {
    match client {
        Client::Alive => std::process::id(),
        _ => 4_000_000 + u32::try_from(at).unwrap(),
    }
}

/// The pid domain of this machine.
fn domain() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("linux:{}:{}", boot.trim(), namespace.display())
}

impl Rule {
    pub fn json(&self, name: &str) -> Value {
        let mut value = json!({"name": name});
        for (key, list) in [("projects", self.projects), ("kinds", self.kinds)] {
            if let Some(one) = list {
                value[key] = json!([one]);
            }
        }
        if let Some(session) = self.session {
            value["sessions"] = json!([id(session)]);
        }
        for (key, period) in [("deleteAfter", self.delete), ("sealAfter", self.seal)] {
            if let Some(period) = period {
                value[key] = json!(period);
            }
        }
        value
    }
}

/// To whom is sealed: nothing here is opened again.
const RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

fn json_of(name: &str, rules: &[Rule]) -> Vec<Value> {
    rules.iter().enumerate().map(|(at, rule)| rule.json(&format!("{name}{at}"))).collect()
}

fn policy(world: &World, sandbox: &Sandbox, ahead: Duration) -> Value {
    let rules = json_of("r", &world.rules);
    let holds: Vec<Value> = world
        .holds
        .iter()
        .enumerate()
        .map(|(at, hold)| {
            let mut value = json!({"name": format!("h{at}"), "reason": "r"});
            if let Some(project) = hold.projects {
                value["projects"] = json!([project]);
            }
            if let Some(session) = hold.session {
                value["sessions"] = json!([id(session)]);
            }
            let until = Utc::now() + ahead + Duration::days(if hold.is_over { -1 } else { 1 });
            value["until"] = json!(stamp(until.with_nanosecond(0).unwrap()));
            value
        })
        .collect();
    let mut value = json!({"version": 1, "rules": rules, "holds": holds, "quiet": world.quiet,
        "guard": {"maxShare": 1.0, "minSessions": 1000}, "recipients": [RECIPIENT]});
    if let Some(floor) = world.floor {
        value["keepAtLeast"] = json!(floor);
    }
    if let Some(place) = world.excluded {
        value["stores"] = json!({"exclude": [Disk::root(sandbox, place)]});
    }
    value
}
