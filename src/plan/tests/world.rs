//! Random inventories.

mod built;

use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::catalogue::{KINDS, Root, Slug, SlugKey};
use crate::dir::{Dir, FileStamp, FileTime, FileType};
use crate::inventory::Belongs;
use crate::inventory::lines::Lines;
use crate::inventory::liveness::Liveness;
use crate::inventory::{
    ArtifactIndex, FirstSeen, Folder, FolderIndex, LiveClient, Log, Name, Names, ProjectIndex, SessionIndex,
    StoreView,
};
use crate::locate::{Crossings, FoundBy, OutOfReach, Store};
use std::collections::HashSet;

/// The time of every plan.
#[expect(non_snake_case, reason = "a constant that cannot be const")]
pub fn NOW() -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000, 0).unwrap()
}

pub const STORES: usize = 3;
pub const IDS: u8 = 5;
pub const PROJECTS: [&str; 4] = ["/work/acme", "/work/acme/app", "/work/beta", "/home/x/.claude/worktrees/w"];

#[derive(Debug, Clone)]
pub struct SessionSpec {
    store: usize,
    id: u8,
    evidence: Evidence,
    projects: Vec<&'static str>,
    /// How many of the projects after the first are of copies as new as that of the first.
    rivals: usize,
    record: Option<i64>,
    modified: Option<i64>,
    damaged: Option<i64>,
    first_seen: Option<i64>,
    touched: Option<i64>,
    touched_ahead: Option<i64>,
    is_live: bool,
    /// Whether its client could be checked.
    is_checked: bool,
    is_unreadable: bool,
    unsealed: Option<i64>,
    is_desktop_deleted: bool,
    /// The plans that its records name, by number; one more is any plan's.
    slugs: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct FileSpec {
    store: usize,
    /// The session, by its place in the list; nobody's if there is none.
    session: Option<usize>,
    kind: Option<Kind>,
    name: String,
    oddity: Oddity,
    modified: Option<i64>,
    project: Option<&'static str>,
    sealed: bool,
    hard_linked: bool,
    is_regular: bool,
    /// The sessions that a log names, with the date of its last record; whether it was read whole.
    named: (Vec<u8>, Option<i64>, bool),
    /// The number of a plan or a paste.
    number: u8,
    /// The lines, for a line file that could be read.
    lines: Option<(Format, Vec<LineSpec>)>,
}

#[derive(Debug, Clone)]
pub struct LineSpec {
    date: Option<i64>,
    project: Option<&'static str>,
    session: Option<u8>,
    pastes: Vec<u8>,
}

/// A store; the last may be a temp tree.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreSpec {
    is_out_of_scope: bool,
    /// Whether a client runs in it, and whether that could be checked.
    client: Option<bool>,
    is_excluded: bool,
    is_temp: bool,
    /// Whether its folder for what is ours is out of reach.
    lacks_own: bool,
    has_empty_projects: bool,
    /// The store that reaches its folders too.
    reached_from: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct World {
    stores: Vec<StoreSpec>,
    sessions: Vec<SessionSpec>,
    files: Vec<FileSpec>,
    is_complete: bool,
}

/// Hours before now; some after it.
pub fn age(future: bool) -> impl Strategy<Value = i64> {
    let past = prop_oneof![0i64..4, Just(24), Just(72), 20i64..80, 160i64..180, 600i64..800, 0i64..5000];
    if future { prop_oneof![9 => past, 1 => -300i64..-1].boxed() } else { past.boxed() }
}

pub fn some<T: std::fmt::Debug + Clone + 'static>(
    of: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    prop_oneof![4 => of.prop_map(Some), 1 => Just(None)].boxed()
}

fn session(future: bool) -> impl Strategy<Value = SessionSpec> {
    let evidence = prop_oneof![
        6 => Just(Evidence::Transcript), 1 => Just(Evidence::Orphaned), 1 => Just(Evidence::Unknown)
    ];
    (
        (0..STORES, 0..IDS, evidence, prop::collection::vec(select(&PROJECTS[..]), 0..3)),
        (some(age(false)), some(age(future)), prop::option::weighted(0.2, age(false)), some(age(false))),
        (
            prop::option::weighted(0.3, -300i64..0).prop_map(move |ahead| ahead.filter(|_| future)),
            (prop::bool::weighted(0.1), any::<bool>()),
            prop::bool::weighted(0.05),
            prop::option::weighted(0.3, age(false)),
            prop::option::weighted(0.2, age(false)),
        ),
        (prop_oneof![2 => Just(0usize), 1 => 1usize..3], prop::collection::vec(0u8..4, 0..3)),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(
                (store, id, evidence, projects),
                (record, modified, damaged, touched),
                (touched_ahead, (is_live, is_checked), is_unreadable, unsealed, first_seen),
                (rivals, slugs),
                is_desktop_deleted,
            )| {
                // What has records has a transcript, and is no orphan.
                let of_transcript = |hours: Option<i64>| hours.filter(|_| evidence != Evidence::Orphaned);
                SessionSpec {
                    store,
                    id,
                    evidence,
                    projects,
                    rivals,
                    record: of_transcript(record),
                    modified,
                    damaged: of_transcript(damaged),
                    first_seen,
                    touched,
                    touched_ahead,
                    is_live,
                    is_checked,
                    is_unreadable,
                    unsealed,
                    is_desktop_deleted,
                    slugs,
                }
            },
        )
}

fn oddity() -> impl Strategy<Value = Oddity> {
    prop_oneof![
        20 => Just(Oddity::None), 1 => Just(Oddity::Link), 1 => Just(Oddity::Special),
        1 => Just(Oddity::Foreign), 1 => Just(Oddity::InUse)
    ]
}

fn kinds_of_sessions() -> Vec<Kind> {
    let others = KINDS.iter().map(|row| row.kind).filter(|kind| kind.is_of_session());
    // Transcripts more often than their share of the table.
    others.chain([Kind::Transcript; 6]).collect()
}

fn loose_kinds() -> Vec<Option<Kind>> {
    let known = KINDS.iter().map(|row| row.kind);
    known
        .filter(|kind| !matches!(kind.row().owner, Owner::Session | Owner::References))
        .map(Some)
        .chain([None])
        .collect()
}

fn file(future: bool) -> impl Strategy<Value = FileSpec> {
    let of_session = (0usize..8, select(kinds_of_sessions())).prop_map(|(at, kind)| (Some(at), Some(kind)));
    let loose = select(loose_kinds()).prop_map(|kind| (None, kind));
    let owned = select(vec![Kind::Paste, Kind::Paste, Kind::Plan, Kind::McpLog, Kind::ErrorLog]);
    let owned = owned.prop_map(|kind| (None, Some(kind)));
    (
        prop_oneof![5 => of_session, 2 => loose, 4 => owned],
        (0..STORES, oddity(), some(age(future)), prop::option::of(select(&PROJECTS[..]))),
        (prop::bool::weighted(0.1), prop::bool::weighted(0.1), prop::bool::weighted(0.9), 0u8..3),
        (prop::collection::vec(0..IDS, 0..3), some(age(future)), prop::bool::weighted(0.8)),
    )
        .prop_map(
            |(
                (session, kind),
                (store, oddity, modified, project),
                (sealed, hard_linked, is_regular, number),
                named,
            )| {
                let name = match kind {
                    Some(Kind::Paste) => format!("{number:016x}.txt"),
                    _ => "file".to_owned(),
                };
                FileSpec {
                    store,
                    session,
                    kind,
                    name,
                    oddity,
                    modified,
                    project,
                    sealed,
                    hard_linked,
                    is_regular,
                    named,
                    number,
                    lines: None,
                }
            },
        )
}

/// An ordinary file of no session in the first store, without lines.
fn nobodys(kind: Kind, name: String, modified: i64) -> FileSpec {
    FileSpec {
        store: 0,
        session: None,
        kind: Some(kind),
        name,
        oddity: Oddity::None,
        modified: Some(modified),
        project: None,
        sealed: false,
        hard_linked: false,
        is_regular: true,
        named: (Vec::new(), None, true),
        number: 0,
        lines: None,
    }
}

fn line_file(future: bool) -> impl Strategy<Value = FileSpec> {
    let line =
        (some(age(future)), some(select(&PROJECTS[..])), some(0..IDS), prop::collection::vec(0u8..3, 0..2))
            .prop_map(|(date, project, session, pastes)| LineSpec { date, project, session, pastes });
    let format = select(vec![
        (Kind::History, Format::JsonLines),
        (Kind::History, Format::JsonLines),
        (Kind::History, Format::JsonLines),
        (Kind::GlobalConfig, Format::ProjectLists),
        (Kind::SessionsIndex, Format::Entries),
        (Kind::ConfigBackup, Format::ProjectLists),
    ]);
    (0..STORES, format, some(prop::collection::vec(line, 0..5)), age(future)).prop_map(
        |(store, (kind, format), lines, modified)| FileSpec {
            store,
            lines: lines.map(|lines| (format, lines)),
            ..nobodys(kind, "lines".to_owned(), modified)
        },
    )
}

fn store() -> impl Strategy<Value = StoreSpec> {
    let rare = || prop::bool::weighted(0.05);
    (
        prop::bool::weighted(0.1),
        prop::option::weighted(0.2, any::<bool>()),
        rare(),
        any::<bool>(),
        rare(),
        rare(),
        prop::option::weighted(0.2, 0..STORES),
    )
        .prop_map(
            |(is_out_of_scope, client, is_excluded, is_temp, lacks_own, has_empty_projects, reached_from)| {
                StoreSpec {
                    is_out_of_scope,
                    client,
                    is_excluded,
                    is_temp,
                    lacks_own,
                    has_empty_projects,
                    reached_from,
                }
            },
        )
}

/// A random inventory; with files and sessions dated in the future, if they are asked for.
pub fn world(future: bool) -> impl Strategy<Value = World> {
    (
        prop::collection::vec(store(), STORES),
        prop::collection::vec(session(future), 0..6),
        prop::collection::vec(file(future), 0..16),
        prop::collection::vec(line_file(future), 0..3),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(mut stores, mut sessions, mut files, lines, is_complete)| {
            for (at, store) in stores.iter_mut().enumerate() {
                // Only a config store has transcripts and sealed files.
                let has_transcripts =
                    sessions.iter().any(|of| of.store == at && of.evidence == Evidence::Transcript)
                        || files.iter().any(|of| of.store == at && of.kind == Some(Kind::Transcript));
                store.is_temp &= at + 1 == STORES && !has_transcripts;
                store.lacks_own &= !store.is_temp;
                store.reached_from = store.reached_from.filter(|other| *other != at);
            }
            let mut seen = HashSet::new();
            sessions.retain(|session| seen.insert((session.store, session.id)));
            // What lies in several stores of a session is one, and no orphan where its transcript lies in any.
            sessions.sort_by_key(|session| session.evidence == Evidence::Orphaned);
            let mut present = HashSet::new();
            sessions.retain(|session| present.insert(session.id) || session.evidence != Evidence::Orphaned);
            for file in &mut files {
                file.session = file.session.and_then(|at| at.checked_rem(sessions.len()));
            }
            // A file that is of a session by its name alone has to have one.
            let owned = |file: &FileSpec| {
                file.session.is_some() || file.kind.is_none_or(|kind| kind.row().owner != Owner::Session)
            };
            files.retain(owned);
            files.extend(lines);
            World { stores, sessions, files, is_complete }
        })
}

/// One paste and several prompts that refer to it, none of which names a session.
pub fn shared_paste() -> impl Strategy<Value = World> {
    let line = (age(false), some(select(&PROJECTS[..])));
    (prop::collection::vec(line, 2..5), 24i64..5000).prop_map(|(lines, modified)| {
        let lines = lines.into_iter().map(|(date, project)| LineSpec {
            date: Some(date),
            project,
            session: None,
            pastes: vec![0],
        });
        let history = (Format::JsonLines, lines.collect());
        let files = vec![
            nobodys(Kind::Paste, format!("{:016x}.txt", 0), modified),
            FileSpec { lines: Some(history), ..nobodys(Kind::History, "lines".to_owned(), modified) },
        ];
        World { stores: vec![StoreSpec::default(); STORES], sessions: Vec::new(), files, is_complete: true }
    })
}

/// One sealed session with its record, which is the first file.
pub fn sealed_session() -> impl Strategy<Value = World> {
    let kinds = subsequence(vec![Kind::Transcript, Kind::Subagent, Kind::FileHistory, Kind::DebugLog], 1..=4);
    (session(false), kinds, 24i64..5000).prop_map(|(session, kinds, modified)| {
        let record =
            FileSpec { session: Some(0), ..nobodys(Kind::SealedRecord, "session.json".into(), modified) };
        let sealed = kinds.into_iter().map(|kind| FileSpec {
            session: Some(0),
            sealed: true,
            ..nobodys(kind, "file".to_owned(), modified)
        });
        let session = SessionSpec { store: 0, evidence: Evidence::Sealed, is_live: false, ..session };
        World {
            stores: vec![StoreSpec::default(); STORES],
            sessions: vec![session],
            files: std::iter::once(record).chain(sealed).collect(),
            is_complete: true,
        }
    })
}

fn root_dir() -> Arc<Dir> {
    static DIR: OnceLock<Arc<Dir>> = OnceLock::new();
    Arc::clone(DIR.get_or_init(|| Arc::new(Dir::open(std::path::Path::new("/")).unwrap())))
}

pub fn id(number: u8) -> SessionId {
    format!("aaaaaaaa-0000-4000-8000-0000000000{number:02x}").parse().unwrap()
}

/// The slug of a plan of a number; of a number that no plan has, any.
fn slug(number: u8) -> Slug {
    let key: SlugKey = serde_json::from_str(&format!("\"{}\"", "07".repeat(32))).unwrap();
    if number < 3 { key.slug(&[b'a' + number]) } else { Slug::ANY }
}

pub fn root(store: usize) -> std::path::PathBuf {
    format!("/stores/{store}").into()
}

pub fn before(hours: i64) -> DateTime<Utc> {
    NOW() - TimeDelta::hours(hours)
}

/// What is said of a store whose folder for what is ours cannot be reached.
fn lost_own_folder() -> OutOfReach {
    OutOfReach { path: "ccretain".into(), why: "it is a mount".into() }
}

/// A config store that may be changed.
pub fn config_store(at: usize) -> Store {
    Store {
        root: root(at),
        kind: Root::Config,
        owner: 0,
        owner_name: String::new(),
        found_by: FoundBy::Default,
        dir: root_dir(),
        identity: (0, at as u64),
        is_certain: true,
        in_scope: true,
        crossings: Crossings::default(),
        is_excluded: false,
    }
}
