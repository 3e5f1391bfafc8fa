//! Random small worlds on a disk, the program run on each, and what it did judged from outside.
//!
//! The oracle knows what the contract says and nothing of the program; the rest are relations between runs: a dry run
//! says what the run does, a second run does nothing, nothing goes that the first kept, a layer more only strengthens,
//! three weeks later the same world is judged as an older one, whether or not a run came between, and a world that is
//! all of it so many days later is the same world.

mod disk;
mod oracle;
mod relations;

use std::collections::BTreeSet;

use chrono::Duration;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::common::Sandbox;
use crate::common::sandbox::has_namespaces;
use crate::common::store::age;
use disk::{Disk, write};
use relations::judge;

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
    PidFile(Client),
}

/// What a pid file says of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Client {
    /// It is in another pid domain.
    Elsewhere,
    Ended,
    Alive,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Transcript => "transcript",
            Self::Subagent => "subagent",
            Self::FileHistory => "file-history",
            Self::DebugLog => "debug-log",
            Self::TempFile => "temp-file",
            Self::PidFile(_) => "pid-file",
        }
    }

    /// The folder of a store that it lies in; of the temp tree, none.
    fn folder(self) -> &'static str {
        match self {
            Self::Transcript | Self::Subagent => "projects",
            Self::FileHistory => "file-history",
            Self::DebugLog => "debug",
            Self::TempFile => "",
            Self::PidFile(_) => "sessions",
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

/// What the machine's administrator adds to a user's policy.
#[derive(Debug, Clone)]
struct System {
    rules: Vec<Rule>,
    floor: Option<&'static str>,
    user_holds: bool,
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
    system: Option<System>,
    managed: Option<Managed>,
    /// A folder of the other store that is a link to that at home.
    shared: Option<&'static str>,
}

impl World {
    /// The same as if so many minutes more had gone by.
    fn older(&self, minutes: i64) -> Self {
        let mut older = self.clone();
        for file in &mut older.files {
            file.modified += minutes;
            file.records.iter_mut().for_each(|record| *record += minutes);
        }
        older.lines.iter_mut().for_each(|line| line.date += minutes);
        older.owned.iter_mut().for_each(|one| one.modified += minutes);
        older
    }

    /// Whether anything lies ahead of now.
    fn has_future(&self) -> bool {
        let mut files = self.files.iter().flat_map(|file| file.records.iter().chain([&file.modified]));
        files.any(|minutes| *minutes < 0) || self.lines.iter().any(|line| line.date < 0)
    }

    /// Whether a folder of a store is one that the policy leaves out, or that such a one reaches too.
    fn is_left_out(&self, place: Place, folder: &str) -> bool {
        let is_reached = self.excluded == Some(Place::Other) && place == Place::Home;
        self.excluded == Some(place) || is_reached && self.shared == Some(folder)
    }
}

fn file() -> impl Strategy<Value = File> {
    let kind = prop_oneof![
        5 => Just(Kind::Transcript), 2 => Just(Kind::Subagent), 2 => Just(Kind::FileHistory),
        1 => Just(Kind::DebugLog), 2 => Just(Kind::TempFile),
        1 => select(&[Client::Elsewhere, Client::Ended, Client::Alive][..]).prop_map(Kind::PidFile)
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

fn system() -> impl Strategy<Value = System> {
    (prop::collection::vec(rule(), 0..3), prop::option::weighted(0.2, Just("1d")), prop::bool::weighted(0.6))
        .prop_map(|(rules, floor, user_holds)| System { rules, floor, user_holds })
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
        (prop::option::weighted(0.3, system()), prop::option::weighted(0.3, managed())),
        prop::option::weighted(0.2, select(&["projects", "file-history", "debug"][..])),
        prop::option::weighted(0.25, first()),
    )
        .prop_map(
            |(
                mut files,
                mut lines,
                mut rules,
                holds,
                floor,
                quiet,
                excluded,
                mut owned,
                layers,
                shared,
                first,
            )| {
                if let Some(first) = first {
                    first.add(&mut files, &mut rules);
                }
                let (mut system, managed) = layers;
                if let (Some(system), Some(_)) = (&mut system, &managed) {
                    // What holds which of two layers then is said by each for itself.
                    system.user_holds = true;
                }
                owned.sort_unstable();
                owned.dedup_by_key(|one| (one.place, one.is_plan, one.number));
                // No two moments are one, so that nothing depends on what is equally new.
                let mut minute = 0;
                let mut apart = |moment: &mut i64| {
                    minute += 1;
                    *moment += minute;
                };
                let (mut logs, mut alive) = (BTreeSet::new(), BTreeSet::new());
                for file in &mut files {
                    // What two stores share is of the one that contains it.
                    if file.place == Place::Other && shared == Some(file.kind.folder()) {
                        file.place = Place::Home;
                    }
                    // A client has one file in a store.
                    if file.kind == Kind::PidFile(Client::Alive) && !alive.insert(file.place) {
                        file.kind = Kind::PidFile(Client::Ended);
                    }
                    // A session has one log in a store.
                    if file.kind == Kind::DebugLog && !logs.insert((file.place, file.session)) {
                        file.kind = Kind::FileHistory;
                    }
                    apart(&mut file.modified);
                    file.records.iter_mut().for_each(&mut apart);
                }
                lines.iter_mut().for_each(|line| apart(&mut line.date));
                owned.iter_mut().for_each(|one| apart(&mut one.modified));
                World { files, lines, rules, holds, floor, quiet, excluded, owned, system, managed, shared }
            },
        )
}

/// A file more of a session of the world, which a rule for its kind takes before the rest: what dated the session, or told
/// its project, is then known only from before.
#[derive(Debug, Clone)]
struct First {
    of: Index,
    kind: Kind,
    modified: i64,
    record: i64,
}

fn first() -> impl Strategy<Value = First> {
    let kind =
        select(&[Kind::Subagent, Kind::Subagent, Kind::FileHistory, Kind::DebugLog, Kind::TempFile][..]);
    // It has to be a date of the past that goes.
    let hours = || select(&AGES[..AGES.len() - 2]);
    (any::<Index>(), kind, hours(), hours()).prop_map(|(of, kind, modified, record)| First {
        of,
        kind,
        modified: modified * 60,
        record: record * 60,
    })
}

impl First {
    fn add(&self, files: &mut Vec<File>, rules: &mut Vec<Rule>) {
        let of = self.of.get(files);
        files.push(File {
            place: match (self.kind, of.place) {
                (Kind::TempFile, _) => Place::Temp,
                (_, Place::Temp) => Place::Home,
                (_, place) => place,
            },
            kind: self.kind,
            session: of.session,
            project: of.project,
            modified: self.modified,
            records: if self.kind.has_records() { vec![self.record] } else { Vec::new() },
            is_damaged: false,
            plan: None,
        });
        let kinds = Some(self.kind.name());
        rules.insert(0, Rule { projects: None, kinds, session: None, delete: Some("1h"), seal: None });
    }
}

/// How many worlds each of the tests below tries; the gate has to be quick.
fn cases() -> u32 {
    if let Some(worlds) = std::env::var("CCRETAIN_WORLDS").ok().and_then(|worlds| worlds.parse().ok()) {
        return worlds;
    }
    if std::env::var_os("CCRETAIN_SLOW_TESTS").is_some() { 500 } else { 8 }
}

fn config() -> ProptestConfig {
    let known = ProptestConfig::default();
    // Each step runs the program several times; whoever asks for fewer or more is heard.
    let is_asked = std::env::var_os("PROPTEST_MAX_SHRINK_ITERS").is_some();
    let max_shrink_iters = if is_asked { known.max_shrink_iters } else { 300 };
    ProptestConfig { cases: cases(), max_shrink_iters, failure_persistence: None, ..known }
}

macro_rules! worlds {
    ($($name:ident)*) => {$(
        proptest! {
            #![proptest_config(config())]

            #[test]
            fn $name(world in world()) {
                // Layers of the organisation need a folder laid over the real one.
                prop_assume!(has_namespaces() || world.system.is_none() && world.managed.is_none());
                let verdict = judge(&world, &Disk::of(&world, Duration::zero()), has_namespaces());
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
    let path = write(&sandbox, 3, &file, Duration::zero());
    age(&path, Duration::minutes(file.modified));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(path.ends_with("subagents/agent-a00000003.jsonl") && text.lines().count() == 3, "{text}");
}
