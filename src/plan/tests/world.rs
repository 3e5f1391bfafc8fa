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
<<<<<<< HEAD

impl World {
    pub fn inventory(&self) -> Inventory {
        let store = |(at, spec): (usize, &StoreSpec)| StoreView {
            store: Store {
                // As they are located: nothing of such a store is changed.
                in_scope: !(spec.is_out_of_scope || spec.is_excluded || spec.lacks_own),
                is_excluded: spec.is_excluded,
                kind: if spec.is_temp { Root::Temp } else { Root::Config },
                crossings: Crossings {
                    out_of_reach: spec.lacks_own.then(lost_own_folder).into_iter().collect(),
                    reached_from: spec
                        .reached_from
                        .map(|other| (Default::default(), root(other)))
                        .into_iter()
                        .collect(),
                    ..Crossings::default()
                },
                ..config_store(at)
            },
            live: spec
                .client
                .map(|is_checked| LiveClient {
                    pid: 7,
                    session: None,
                    liveness: Liveness::Process(7),
                    is_checked,
                    started: None,
                })
                .into_iter()
                .collect(),
            workers: Vec::new(),
            has_empty_projects: spec.has_empty_projects,
        };
        let folder = |at: usize| Folder {
            store: StoreIndex::of(at),
            parent: None,
            name: Name::default(),
            anchor: None,
            session: None,
            hides_names: false,
        };
        let mut line_files = Vec::new();
        for (at, file) in self.files.iter().enumerate() {
            let Some((format, specs)) = &file.lines else { continue };
            let mut content = Lines { format: *format, is_well_formed: true, ..Lines::default() };
            for spec in specs {
                let place = u32::try_from(content.lines.len()).unwrap();
                // Only a prompt history refers to pastes by hash.
                let pastes = spec.pastes.iter().filter(|_| *format == Format::JsonLines);
                content.references.extend(pastes.map(|hash| (format!("{hash:016x}").into(), place)));
                content.lines.push(Line {
                    date: spec.date.map(before),
                    project: spec.project.map(Arc::from),
                    session: spec.session.map(id),
                    ..Line::default()
                });
            }
            line_files.push(LineFile { artifact: ArtifactIndex::of(at), content });
        }
        let (mut names, mut projects, mut grouped) = (Names::default(), Vec::new(), Vec::new());
        let artifacts: Vec<Artifact> =
            self.files.iter().map(|spec| artifact(spec, &mut names, &mut projects)).collect();
        let specs = || artifacts.iter().zip(&self.files);
        let plans = specs().filter(|(artifact, _)| artifact.kind == Some(Kind::Plan));
        let plans = plans.map(|(artifact, spec)| (artifact.key(), [slug(spec.number)].into())).collect();
        let is_log = |kind: Kind| kind.row().owner == Owner::Named;
        let logs = specs().filter(|(artifact, _)| artifact.kind.is_some_and(is_log));
        let logs = logs.map(|(artifact, spec)| {
            let (named, newest, is_whole) = &spec.named;
            let mut sessions: Vec<SessionId> = named.iter().map(|number| id(*number)).collect();
            sessions.dedup();
            let projects = spec.project.into_iter().map(Arc::from).collect();
            let newest = newest.map(before).filter(|date| *date <= NOW());
            (artifact.key(), Log { sessions, projects, newest, is_whole: *is_whole, ..Log::default() })
        });
        let logs = logs.collect();
        let sessions = self.sessions.iter().enumerate();
        let sessions = sessions.map(|(at, spec)| self.session(at, spec, &mut grouped)).collect();
        Inventory {
            taken: NOW(),
            stores: self.stores.iter().enumerate().map(store).collect(),
            folders: (0..STORES).map(folder).collect(),
            folder_names: Names::default(),
            artifacts,
            names,
            projects,
            sessions,
            grouped,
            line_files,
            plans,
            slug_key: None,
            logs,
            first_seen: FirstSeen::default(),
            problems: Vec::new(),
            is_complete: self.is_complete,
            absent: Default::default(),
            origins: Default::default(),
        }
    }

    fn session(&self, at: usize, spec: &SessionSpec, grouped: &mut Vec<ArtifactIndex>) -> Session {
        let own = self.files.iter().enumerate().filter(|(_, file)| file.session == Some(at));
        let count = |of: &dyn Fn(&FileSpec) -> bool| {
            u32::try_from(own.clone().filter(|(_, file)| of(file)).count()).unwrap()
        };
        let sealed = count(&|file| file.sealed);
        let is_content = |file: &FileSpec| !file.sealed && file.kind.is_some_and(|kind| kind.row().sealable);
        let has_transcript = spec.evidence == Evidence::Transcript
            || count(&|file| file.kind == Some(Kind::Transcript) && file.oddity == Oddity::None) > 0;
        let is_shown = matches!(spec.evidence, Evidence::Transcript | Evidence::Sealed);
        // What lies in another store is not sealed with a transcript.
        let is_here = |file: &FileSpec| file.store == spec.store || !(is_shown && has_transcript);
        let plain = count(&|file| {
            let is_free = file.oddity == Oddity::None && !(file.hard_linked && file.is_regular);
            is_content(file) && is_here(file) && is_free
        });
        let unsealable = count(&|file| {
            let is_linked = file.oddity == Oddity::None && file.hard_linked && file.is_regular;
            is_content(file) && is_here(file) && (is_linked || file.oddity == Oddity::Foreign)
        });
        let start = u32::try_from(grouped.len()).unwrap();
        grouped.extend(own.clone().map(|(at, _)| ArtifactIndex::of(at)));
        Session {
            id: id(spec.id),
            store: StoreIndex::of(spec.store),
            evidence: spec.evidence,
            project: spec.projects.first().map(|project| Arc::from(*project)),
            rivals: spec
                .projects
                .iter()
                .skip(1)
                .take(spec.rivals)
                .map(|project| Arc::from(*project))
                .collect(),
            project_in_doubt: false,
            lacks_projects: false,
            is_told: true,
            before: None,
            files_before: None,
            found: None,
            projects: spec.projects.iter().map(|project| Arc::from(*project)).collect(),
            slugs: spec.slugs.iter().map(|number| slug(*number)).collect(),
            slugs_of: Box::default(),
            newest_record: spec.record.map(before),
            stranger: None,
            later: Default::default(),
            modified: spec.modified.map(before),
            damaged: spec.damaged.map(before),
            first_seen: spec.first_seen.map(before),
            touched: spec.touched.map(before),
            touched_ahead: spec.touched_ahead.map(before),
            liveness: if spec.is_live { Liveness::Process(1) } else { Liveness::Dead },
            checked: if spec.is_live && spec.is_checked { Liveness::Process(1) } else { Liveness::Dead },
            is_unreadable: spec.is_unreadable,
            is_foreign: false,
            is_desktop: false,
            is_desktop_deleted: spec.is_desktop_deleted,
            released: None,
            files: start..u32::try_from(grouped.len()).unwrap(),
            unrecognised: 0,
            untried: None,
            has_record: sealed > 0,
            has_transcript,
            sealing: None,
            earlier: Arc::default(),
            talks: false,
            plain,
            unsealable,
            sealed,
            unsealed: spec.unsealed.map(before),
        }
    }

    /// Carries a plan out on the model.
    pub fn apply(&mut self, plan: &Plan) {
        let mut at_lines = 0;
        for file in &mut self.files {
            let Some((_, lines)) = &mut file.lines else { continue };
            let mut decisions = plan.lines[at_lines].iter();
            lines.retain(|_| decisions.next().unwrap().due().is_none());
            at_lines += 1;
        }
        for (file, decision) in self.files.iter_mut().zip(&plan.decisions) {
            file.sealed |= matches!(decision, Decision::Seal(_));
        }
        let mut decisions = plan.decisions.iter();
        self.files.retain(|_| !matches!(decisions.next().unwrap(), Decision::Delete(_)));
        // Sessions of which the conversation went are gone, with what was still kept of them.
        let stays: Vec<bool> =
            plan.sessions.iter().map(|verdict| !matches!(verdict.decision, Decision::Delete(_))).collect();
        let place = |at: usize| stays[..at].iter().filter(|stays| **stays).count();
        self.files.retain(|file| file.session.is_none_or(|at| stays[at]));
        for file in &mut self.files {
            file.session = file.session.map(place);
        }
        let mut each = stays.iter();
        self.sessions.retain(|_| *each.next().unwrap());
    }
}

fn artifact(spec: &FileSpec, names: &mut Names, projects: &mut Vec<Arc<str>>) -> Artifact {
    let modified = match spec.modified {
        Some(hours) => FileTime::of(before(hours)),
        // A moment that dates cannot hold.
        None => FileTime::new(i64::MAX, 0),
    };
    Artifact {
        folder: FolderIndex::of(spec.store),
        name: names.add(std::ffi::OsStr::new(&spec.name)),
        stamp: FileStamp { modified, ..FileStamp::default() },
        mode: 0o600,
        // In a session's own folder a link is content like the rest.
        file_type: if spec.is_regular { FileType::File } else { FileType::Link },
        hard_linked: spec.hard_linked,
        links: 1 + u32::from(spec.hard_linked),
        allocated: 0,
        oddity: spec.oddity,
        kind: spec.kind,
        belongs: spec.session.map_or(Belongs::Loose, |at| Belongs::Session(SessionIndex::of(at))),
        sealed: spec.sealed,
        project: spec.project.map(|project| {
            projects.push(Arc::from(project));
            ProjectIndex::of(projects.len() - 1)
        }),
    }
}
=======
>>>>>>> 3bf62c6 (plan: give what is built and what is shared files of their own in its tests)
