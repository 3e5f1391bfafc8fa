//! Random small worlds on a disk, the program run on each, and what it did judged from outside.
//!
//! The oracle knows what the contract says and nothing of the program; the rest are relations between runs: a dry run
//! says what the run does, a second run does nothing, nothing goes that the first kept, a layer more only strengthens,
//! and three weeks later the same world is judged as an older one.

mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chrono::{Duration, Timelike, Utc};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::common::sandbox::{Run, has, has_namespaces};
use crate::common::store::{age, encode, put, stamp};
use crate::common::{Sandbox, StoreBuilder, id};
use oracle::Fate;

/// The projects; the last is that of a worktree in the first.
const PROJECTS: [&str; 3] = ["/work/acme/app", "/work/beta", "/work/acme/app/.claude/worktrees/w"];
/// So many hours ago; less than 0 lies ahead. None is near to a period of a policy.
const AGES: [i64; 9] = [2, 5, 26, 130, 480, 960, 2_400, -5, -100];
/// The sessions of a world.
const SESSIONS: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Home,
    Other,
    Temp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Transcript,
    Subagent,
    FileHistory,
    DebugLog,
    TempFile,
    /// Of a client in another pid domain, or of one that has ended.
    PidFile {
        is_elsewhere: bool,
    },
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Transcript => "transcript",
            Self::Subagent => "subagent",
            Self::FileHistory => "file-history",
            Self::DebugLog => "debug-log",
            Self::TempFile => "temp-file",
            Self::PidFile { .. } => "pid-file",
        }
    }

    fn has_records(self) -> bool {
        matches!(self, Self::Transcript | Self::Subagent)
    }
}

/// A file of a session, with the dates of its records in minutes before now.
#[derive(Debug, Clone)]
struct File {
    place: Place,
    kind: Kind,
    session: u32,
    project: usize,
    modified: i64,
    records: Vec<i64>,
    is_damaged: bool,
    /// The plan that the records of a transcript name.
    plan: Option<u32>,
}

/// A line of a history.
#[derive(Debug, Clone)]
struct Line {
    place: Place,
    session: Option<u32>,
    project: usize,
    date: i64,
    /// The paste that it refers to.
    paste: Option<u32>,
}

/// A file that those who name it own: the records of transcripts a plan, lines a paste.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Owned {
    place: Place,
    is_plan: bool,
    number: u32,
    modified: i64,
}

/// What the organisation adds to a user's policy.
#[derive(Debug, Clone)]
struct Managed {
    rules: Vec<Rule>,
    user_holds: bool,
}

#[derive(Debug, Clone)]
struct Rule {
    projects: Option<&'static str>,
    kinds: Option<&'static str>,
    session: Option<u32>,
    delete: Option<&'static str>,
    seal: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Hold {
    projects: Option<&'static str>,
    session: Option<u32>,
    is_over: bool,
}

#[derive(Debug, Clone)]
struct World {
    files: Vec<File>,
    lines: Vec<Line>,
    rules: Vec<Rule>,
    holds: Vec<Hold>,
    floor: Option<&'static str>,
    quiet: &'static str,
    excluded: Option<Place>,
    owned: Vec<Owned>,
    managed: Option<Managed>,
}

fn file() -> impl Strategy<Value = File> {
    let kind = prop_oneof![
        5 => Just(Kind::Transcript), 2 => Just(Kind::Subagent), 2 => Just(Kind::FileHistory),
        1 => Just(Kind::DebugLog), 2 => Just(Kind::TempFile),
        1 => any::<bool>().prop_map(|is_elsewhere| Kind::PidFile { is_elsewhere })
    ];
    let records = prop::collection::vec(select(&AGES[..]), 0..3);
    let place = prop_oneof![3 => Just(Place::Home), 1 => Just(Place::Other)];
    let odd = (prop::bool::weighted(0.2), prop::option::weighted(0.4, 0..2_u32));
    (kind, place, 0..SESSIONS, 0..PROJECTS.len(), select(&AGES[..]), records, odd).prop_map(
        |(kind, place, session, project, modified, records, (is_damaged, plan))| File {
            // A plan is sought where it lies, which is at home here.
            plan: plan.filter(|_| kind == Kind::Transcript && place == Place::Home),
            place: if kind == Kind::TempFile { Place::Temp } else { place },
            kind,
            session,
            project,
            modified: modified * 60,
            records: if kind.has_records() {
                records.into_iter().map(|hours| hours * 60).collect()
            } else {
                Vec::new()
            },
            is_damaged: is_damaged && kind.has_records(),
        },
    )
}

fn line() -> impl Strategy<Value = Line> {
    let place = prop_oneof![3 => Just(Place::Home), 1 => Just(Place::Other)];
    let paste = prop::option::weighted(0.4, 0..2_u32);
    (place, prop::option::weighted(0.8, 0..SESSIONS), 0..PROJECTS.len(), select(&AGES[..]), paste).prop_map(
        |(place, session, project, hours, paste)| Line { place, session, project, date: hours * 60, paste },
    )
}

fn owned() -> impl Strategy<Value = Owned> {
    let place = prop_oneof![3 => Just(Place::Home), 1 => Just(Place::Other)];
    // Its own time counts only where nobody owns it; one that was just written is another matter.
    (any::<bool>(), place, 0..2_u32, select(&[480_i64, 960, 2_400][..])).prop_map(
        |(is_plan, place, number, hours)| Owned {
            place: if is_plan { Place::Home } else { place },
            is_plan,
            number,
            modified: hours * 60,
        },
    )
}

fn managed() -> impl Strategy<Value = Managed> {
    let rule = (prop::option::weighted(0.3, Just("/work/acme/**")), select(&["1d", "7d", "30d", "90d"][..]))
        .prop_map(|(projects, delete)| Rule {
            projects,
            kinds: None,
            session: None,
            delete: Some(delete),
            seal: None,
        });
    (prop::collection::vec(rule, 1..3), any::<bool>())
        .prop_map(|(rules, user_holds)| Managed { rules, user_holds })
}

fn rule() -> impl Strategy<Value = Rule> {
    let projects = prop::option::weighted(0.3, select(&["/work/acme/**", "/work/beta", "/work/*"][..]));
    let session = prop::option::weighted(0.15, 0..SESSIONS);
    let whole = (select(&["1d", "7d", "30d", "90d", "never"][..]), prop::option::weighted(0.3, Just("1h")))
        .prop_map(|(delete, seal)| (None, Some(delete), seal));
    // A rule with kinds can only make them go earlier.
    let kinds = select(&["subagent", "file-history", "debug-log", "temp-file", "history"][..])
        .prop_map(|kind| (Some(kind), Some("1h"), None));
    (projects, session, prop_oneof![4 => whole, 1 => kinds]).prop_map(
        |(projects, session, (kinds, delete, seal))| Rule { projects, kinds, session, delete, seal },
    )
}

fn hold() -> impl Strategy<Value = Hold> {
    let project = select(&["/work/acme/**", "/work/beta", "/work/acme/app", "/nowhere/**"][..]);
    (any::<bool>(), project, 0..SESSIONS, prop::bool::weighted(0.3)).prop_map(
        |(is_of_project, project, session, is_over)| Hold {
            projects: is_of_project.then_some(project),
            session: (!is_of_project).then_some(session),
            is_over,
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    (
        prop::collection::vec(file(), 1..9),
        prop::collection::vec(line(), 0..4),
        prop::collection::vec(rule(), 0..4),
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(hold(), 1..3)],
        prop::option::weighted(0.2, select(&["1d", "14d"][..])),
        select(&["1h", "1h", "3d"][..]),
        prop::option::weighted(0.2, select(&[Place::Other, Place::Temp][..])),
        prop::collection::vec(owned(), 0..4),
        prop::option::weighted(0.3, managed()),
    )
        .prop_map(|(mut files, mut lines, rules, holds, floor, quiet, excluded, mut owned, managed)| {
            owned.sort_unstable();
            owned.dedup_by_key(|one| (one.place, one.is_plan, one.number));
            // No two moments are one, so that nothing depends on what is equally new.
            let mut minute = 0;
            let mut apart = |moment: &mut i64| {
                minute += 1;
                *moment += minute;
            };
            let mut logs = BTreeSet::new();
            for file in &mut files {
                // A session has one log in a store.
                if file.kind == Kind::DebugLog && !logs.insert((file.place, file.session)) {
                    file.kind = Kind::FileHistory;
                }
                apart(&mut file.modified);
                file.records.iter_mut().for_each(&mut apart);
            }
            lines.iter_mut().for_each(|line| apart(&mut line.date));
            owned.iter_mut().for_each(|one| apart(&mut one.modified));
            World { files, lines, rules, holds, floor, quiet, excluded, owned, managed }
        })
}

/// A world on a disk.
struct Disk {
    sandbox: Sandbox,
    /// The files in the order of the world, and then the histories of both stores.
    files: Vec<PathBuf>,
    owned: Vec<PathBuf>,
    histories: [(Place, PathBuf); 2],
}

impl Disk {
    fn root(sandbox: &Sandbox, place: Place) -> PathBuf {
        match place {
            Place::Home => sandbox.home().join(".claude"),
            Place::Other => sandbox.home().join("alt"),
            Place::Temp => sandbox.client_tmp(),
        }
    }

    fn of(world: &World) -> Self {
        let sandbox = Sandbox::new();
        // By it the clock is beyond doubt, and the other store is one.
        sandbox.store().session(900).cwd("/work/anchor").aged(Duration::hours(3)).write();
        let other = StoreBuilder::new(Self::root(&sandbox, Place::Other), sandbox.client_tmp());
        other.session(901).cwd("/work/anchor").aged(Duration::hours(4)).write();
        let files = world.files.iter().enumerate().map(|(at, file)| write(&sandbox, at, file)).collect();
        let histories = [Place::Home, Place::Other].map(|place| {
            let path = Self::root(&sandbox, place).join("history.jsonl");
            let lines = world.lines.iter().enumerate().filter(|(_, line)| line.place == place);
            let text: String = lines.map(|(at, line)| written(at, line)).collect();
            if !text.is_empty() {
                put(&path, text, Duration::days(2));
            }
            (place, path)
        });
        if sandbox.client_tmp().exists() {
            fs::set_permissions(sandbox.client_tmp(), fs::Permissions::from_mode(0o700)).unwrap();
        }
        let owned = world.owned.iter().map(|one| {
            let path = Self::root(&sandbox, one.place).join(match one.is_plan {
                true => format!("plans/{}.md", slug(one.number)),
                false => format!("paste-cache/{}.txt", paste(one.number)),
            });
            put(&path, "content", Duration::minutes(one.modified));
            path
        });
        let owned = owned.collect();
        sandbox.policy(&policy(world, &sandbox).to_string());
        if let Some(managed) = &world.managed {
            fs::create_dir(sandbox.root().join("system")).unwrap();
            let rules: Vec<Value> =
                managed.rules.iter().enumerate().map(|(at, rule)| rule.json(&format!("m{at}"))).collect();
            let text = json!({"version": 1, "rules": rules, "userHolds": managed.user_holds, "guard": "off"});
            fs::write(sandbox.root().join("system/managed-policy.json"), text.to_string()).unwrap();
        }
        Self { sandbox, files, owned, histories }
    }

    fn run<'a>(&'a self, arguments: &[&str]) -> Run<'a> {
        let run = self.sandbox.command(arguments).env("CLAUDE_CONFIG_DIR", self.sandbox.home().join("alt"));
        let system = self.sandbox.root().join("system");
        if system.join("managed-policy.json").exists() { run.with_system_folder(&system) } else { run }
    }

    /// The lines of the world that are still there.
    fn lines(&self) -> Vec<usize> {
        let texts = self.histories.iter().map(|(_, path)| fs::read_to_string(path).unwrap_or_default());
        let at = |line: &str| -> usize {
            let line: Value = serde_json::from_str(line).unwrap();
            line["display"].as_str().unwrap().parse().unwrap()
        };
        texts.flat_map(|text| text.lines().map(at).collect::<Vec<_>>()).collect()
    }

    fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.sandbox.home(), self.sandbox.tmp()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                match entry.file_type().unwrap().is_dir() {
                    true => open.push(entry.path()),
                    // Locks of ours say when they were taken.
                    false if name == "lock" => {}
                    false => _ = found.insert(entry.path(), fs::read(entry.path()).unwrap()),
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

fn written(at: usize, line: &Line) -> String {
    let pasted = line.paste.map_or_else(
        || json!({}),
        |number| json!({"1": {"id": 1, "type": "text", "contentHash": paste(number)}}),
    );
    let mut text = json!({
        "display": at.to_string(), "pastedContents": pasted, "project": PROJECTS[line.project],
        "timestamp": (Utc::now() - Duration::minutes(line.date)).timestamp_millis(),
    });
    if let Some(session) = line.session {
        text["sessionId"] = json!(id(session));
    }
    text.to_string() + "\n"
}

fn write(sandbox: &Sandbox, at: usize, file: &File) -> PathBuf {
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
        Kind::PidFile { .. } => root.join(format!("sessions/{}.json", 4_000_000 + at)),
    };
    let record = |minutes: &i64| {
        json!({"type": "user", "sessionId": id, "cwd": PROJECTS[file.project], "uuid": "u",
            "timestamp": stamp(Utc::now() - Duration::minutes(*minutes))})
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
        Kind::PidFile { is_elsewhere } => {
            let started = Utc::now() - Duration::minutes(file.modified);
            let mut text = json!({"pid": 4_000_000 + at, "sessionId": id, "cwd": PROJECTS[file.project],
                "procStart": "5", "startedAt": started.timestamp_millis(), "kind": "interactive"});
            text["pidDomain"] =
                json!(if is_elsewhere { "linux:another-machine:pid:[1]".to_owned() } else { domain() });
            text.to_string()
        }
        _ => "content".to_owned(),
    };
    put(&path, text, Duration::minutes(file.modified));
    path
}

/// The pid domain of this machine.
fn domain() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("linux:{}:{}", boot.trim(), namespace.display())
}

impl Rule {
    fn json(&self, name: &str) -> Value {
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

fn policy(world: &World, sandbox: &Sandbox) -> Value {
    let rules: Vec<Value> =
        world.rules.iter().enumerate().map(|(at, rule)| rule.json(&format!("r{at}"))).collect();
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
            let until = Utc::now() + Duration::days(if hold.is_over { -1 } else { 1 });
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

/// What a document of `enforce` decided, by path; items of one path are in different stores.
fn decisions(document: &Value) -> BTreeMap<(String, String), (String, Value)> {
    let stores = document["stores"].as_array().unwrap();
    let root = |item: &Value| {
        let at = usize::try_from(item["store"].as_u64().unwrap()).unwrap();
        stores[at]["root"].as_str().unwrap().to_owned()
    };
    let items = document["items"].as_array().unwrap().iter();
    let decided = |item: &Value| {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        ((root(item), text("path")), (text("decision"), item["reason"].clone()))
    };
    // What is ours is there from the first run on.
    items.map(decided).filter(|((_, path), _)| !path.starts_with("ccretain/")).collect()
}

/// What a dry run three weeks later says, by which no date and no date of a hold comes near to a period.
fn judge_later(world: &World, disk: &Disk) -> Result<(), String> {
    const WEEKS: i64 = 20 * 24 * 60;
    let mut older = world.clone();
    let file = |file: &mut File| {
        file.modified += WEEKS;
        file.records.iter_mut().for_each(|record| *record += WEEKS);
    };
    older.files.iter_mut().for_each(file);
    older.lines.iter_mut().for_each(|line| line.date += WEEKS);
    older.owned.iter_mut().for_each(|one| one.modified += WEEKS);
    older.holds.iter_mut().for_each(|hold| hold.is_over = true);
    let later = disk.run(&["-v", "enforce", "-n", "--json"]).at(Utc::now() + Duration::minutes(WEEKS)).run();
    let found = decisions(&later.json());
    let decided = |place: Place, path: &Path| -> Option<&str> {
        let root = Disk::root(&disk.sandbox, place);
        let below = path.strip_prefix(&root).unwrap().display().to_string();
        let root = ["home", "tmp"].iter().fold(root.display().to_string(), |root, folder| {
            let real = disk.sandbox.root().join(folder).display().to_string();
            root.replace(&real, &format!("[{}]", folder.to_uppercase()))
        });
        found.get(&(root, below)).map(|(decision, _)| decision.as_str())
    };
    let expected = oracle::fates(&older);
    for ((file, path), fate) in older.files.iter().zip(&disk.files).zip(&expected.files) {
        let found = match decided(file.place, path) {
            Some("delete") => Fate::Goes,
            Some("seal") => Fate::Sealed,
            _ => Fate::Stays,
        };
        if found != *fate {
            return Err(format!("later: {file:?} at {path:?} {fate:?}, and in fact {found:?}: {later}"));
        }
    }
    for ((owned, path), goes) in older.owned.iter().zip(&disk.owned).zip(&expected.owned) {
        // The name of a plan is content, and not shown.
        if !owned.is_plan && (decided(owned.place, path) == Some("delete")) != *goes {
            return Err(format!("later: {owned:?} at {path:?} goes: {goes}, and in fact not: {later}"));
        }
    }
    Ok(())
}

/// What the run and the contract say of each file and line; the text of the first difference.
fn judge(world: &World, disk: &Disk, second_layer: bool) -> Result<(), String> {
    let before = disk.snapshot();
    let dry = disk.run(&["-v", "enforce", "-n", "--json"]).run();
    if dry.code == Some(2) {
        return Ok(());
    }
    let dry = dry.json();
    if before != disk.snapshot() {
        return Err("a dry run changed something".to_owned());
    }
    if second_layer && world.managed.is_none() {
        let folder = disk.sandbox.root().join("system");
        fs::create_dir_all(&folder).unwrap();
        let text = r#"{"version": 1, "rules": [{"name": "s", "deleteAfter": "14d"}]}"#;
        fs::write(folder.join("policy.json"), text).unwrap();
        let stronger = disk.run(&["-v", "enforce", "-n", "--json"]).with_system_folder(&folder).run().json();
        let stronger = decisions(&stronger);
        for (path, (decision, _)) in decisions(&dry) {
            let then = stronger.get(&path).map(|(decision, _)| decision.as_str());
            let is_weaker = match decision.as_str() {
                "delete" => then != Some("delete"),
                "seal" => !matches!(then, Some("seal" | "delete")),
                "prune" => !matches!(then, Some("prune" | "delete")),
                _ => false,
            };
            if is_weaker {
                return Err(format!("{path:?}: {decision}, and with a layer more {then:?}"));
            }
        }
    }
    if has("faketime") {
        judge_later(world, disk)?;
    }
    let output = disk.run(&["-v", "enforce", "--yes", "--json"]).run();
    let run = output.json();
    if decisions(&dry) != decisions(&run) {
        return Err(format!("the dry run said {:#?}, and the run {:#?}", decisions(&dry), decisions(&run)));
    }
    let expected = oracle::fates(world);
    for ((file, path), fate) in world.files.iter().zip(&disk.files).zip(&expected.files) {
        let found = match (path.exists(), sealed(disk, file, path)) {
            (true, false) => Fate::Stays,
            (false, true) => Fate::Sealed,
            (false, false) => Fate::Goes,
            (true, true) => return Err(format!("{path:?} is there twice")),
        };
        if found != *fate {
            return Err(format!("{file:?} at {path:?} {fate:?}, and in fact {found:?}: {output}"));
        }
        if found == Fate::Stays && before.get(path) != fs::read(path).ok().as_ref() {
            return Err(format!("{path:?} was kept and changed"));
        }
    }
    for ((owned, path), goes) in world.owned.iter().zip(&disk.owned).zip(&expected.owned) {
        if path.exists() == *goes {
            return Err(format!("{owned:?} at {path:?} goes: {goes}, and in fact not: {output}"));
        }
    }
    let left = disk.lines();
    for (at, (line, stays)) in world.lines.iter().zip(&expected.lines).enumerate() {
        if left.contains(&at) != *stays {
            return Err(format!("{line:?} stays: {stays}, and in fact {}: {output}", !stays));
        }
    }
    let after = disk.snapshot();
    let again = disk.run(&["-v", "enforce", "--yes", "--json"]).run();
    let summary = again.json()["summary"].clone();
    let did_nothing = ["deleted", "pruned", "sealed", "failed"].iter().all(|count| summary[count] == 0);
    if !did_nothing || after != disk.snapshot() {
        return Err(format!("the second run did something: {again}"));
    }
    Ok(())
}

/// Whether a file is sealed, by its place in the sealed folder of either store.
fn sealed(disk: &Disk, file: &File, path: &Path) -> bool {
    let root = Disk::root(&disk.sandbox, file.place);
    let below = path.strip_prefix(&root).unwrap();
    let name = match file.place {
        Place::Temp => Path::new("temp").join(below.iter().skip(2).collect::<PathBuf>()),
        _ => below.to_owned(),
    };
    let is_own = |place: &&Place| file.place == Place::Temp || file.place == **place;
    [Place::Home, Place::Other].iter().filter(is_own).any(|place| {
        let sealed =
            Disk::root(&disk.sandbox, *place).join("ccretain/sealed").join(id(file.session)).join(&name);
        PathBuf::from(format!("{}.zst.age", sealed.display())).exists()
    })
}

/// How many worlds each of the tests below tries; the gate has to be quick.
fn cases() -> u32 {
    if let Some(worlds) = std::env::var("CCRETAIN_WORLDS").ok().and_then(|worlds| worlds.parse().ok()) {
        return worlds;
    }
    if std::env::var_os("CCRETAIN_SLOW_TESTS").is_some() { 500 } else { 8 }
}

macro_rules! worlds {
    ($($name:ident)*) => {$(
        proptest! {
            #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

            #[test]
            fn $name(world in world()) {
                let disk = Disk::of(&world);
                let verdict = judge(&world, &disk, has_namespaces());
                prop_assert!(verdict.is_ok(), "{}", verdict.unwrap_err());
            }
        }
    )*};
}

// Several tests, so that they run at the same time.
worlds! {
    the_program_does_what_the_contract_says
    the_program_does_what_the_contract_says_in_others
    the_program_does_what_the_contract_says_in_further_ones
    the_program_does_what_the_contract_says_in_still_others
}

/// The folders of a world keep no time of their own.
#[test]
fn a_world_is_written_as_it_is_described() {
    let sandbox = Sandbox::new();
    let file = File {
        place: Place::Home,
        kind: Kind::Subagent,
        session: 1,
        project: 0,
        modified: 60,
        records: vec![120],
        is_damaged: true,
        plan: None,
    };
    let path = write(&sandbox, 3, &file);
    age(&path, Duration::minutes(file.modified));
    let text = fs::read_to_string(&path).unwrap();
    assert!(path.ends_with("subagents/agent-a00000003.jsonl") && text.lines().count() == 3, "{text}");
}
