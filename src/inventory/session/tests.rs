//! Which thread met a file, and in which order, makes no difference to what is known of sessions.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::batch::{Batch, Met};
use super::super::transcript::Facts;
use super::super::{Evidence, ProjectIndex};
use super::*;
use crate::dir::FileType;
use crate::dir::{FileStamp, FileTime};
use crate::inventory::FolderIndex;
use crate::inventory::Log;
use crate::inventory::content::Said;
use std::ffi::OsStr;
use std::sync::Arc;

/// A file, and by which of the threads it is met.
#[derive(Debug, Clone)]
struct Spec {
    kind: Option<Kind>,
    store: usize,
    owner: Option<u8>,
    project: u8,
    thread: usize,
    is_desktop: bool,
    /// When it was written, where files may be of one moment.
    moment: usize,
}

fn spec() -> impl Strategy<Value = Spec> {
    let kind = prop_oneof![
        2 => Just(Some(Kind::Transcript)),
        2 => Just(Some(Kind::Subagent)),
        2 => Just(Some(Kind::ToolResult)),
        1 => Just(Some(Kind::McpLog)),
        1 => Just(None),
    ];
    let owner = prop::option::weighted(0.9, 0..4_u8);
    (kind, 0..2_usize, owner, 0..3_u8, 0..3_usize, any::<bool>(), 0..3_usize).prop_map(
        |(kind, store, owner, project, thread, is_desktop, moment)| Spec {
            kind,
            store,
            owner,
            project,
            thread,
            is_desktop,
            moment,
        },
    )
}

fn id(number: u8) -> SessionId {
    SessionId::from_bytes(format!("{number:08}-0000-4000-8000-000000000000").as_bytes()).unwrap()
}

fn at(seconds: usize) -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000 + seconds as i64, 0).unwrap()
}

/// What is known of a session, whatever the order: of an orphan the store is not said.
type Known = (Option<StoreIndex>, SessionId);

/// In seconds: the walk begins among the files, so that some are dated ahead of it.
const WALK: usize = 30;

#[derive(Debug, PartialEq)]
struct Picture {
    sessions: BTreeMap<Known, String>,
    /// Of each session: by a damaged file, last touched, first touched ahead.
    times: BTreeMap<Known, [Option<DateTime<Utc>>; 3]>,
    /// By the name of the file: its session, and the project it names.
    files: BTreeMap<String, (Option<Known>, Option<String>)>,
}

fn known(session: &Session) -> Known {
    (session.is_shown().then_some(session.store), session.id)
}

/// Makes of every file one of another moment, so that the newest is never a matter of order.
fn apart(mut specs: Vec<Spec>) -> Vec<Spec> {
    specs.iter_mut().enumerate().for_each(|(place, spec)| spec.moment = place);
    specs
}

fn picture(specs: &[Spec], threads: usize, backwards: bool) -> Picture {
    let mut batches: Vec<Batch> = (0..threads).map(|_| Batch::default()).collect();
    let parts = Parts::new(at(WALK));
    let mut found = Found::with_room();
    let mut order: Vec<usize> = (0..specs.len()).collect();
    if backwards {
        order.reverse();
    }
    for place in order {
        let Spec { kind, store, owner, project, thread, is_desktop, moment } = specs[place].clone();
        let (modified, newest) = (at(2 * moment), Some(at(2 * moment + 1)));
        let artifact = Artifact {
            folder: FolderIndex::of(0),
            name: Default::default(),
            stamp: FileStamp { modified: FileTime::of(modified), ..FileStamp::default() },
            mode: 0o600,
            file_type: FileType::File,
            hard_linked: false,
            links: 1,
            allocated: 0,
            oddity: Oddity::None,
            kind,
            belongs: Belongs::Loose,
            sealed: false,
            project: None,
        };
        let project: Arc<str> = Arc::from(format!("/p{project}"));
        let said = match kind {
            Some(Kind::Transcript | Kind::Subagent) => {
                let is_damaged = moment % 3 == 0;
                Said::Facts(Facts {
                    newest,
                    projects: Arc::from([project]),
                    is_desktop,
                    is_damaged,
                    ..Facts::default()
                })
            }
            Some(Kind::McpLog) => {
                Said::Log(Box::new(Log { projects: Arc::from([project]), ..Log::default() }))
            }
            _ => Said::Nothing,
        };
        let name = place.to_string();
        let met = Met {
            name: OsStr::new(&name),
            store: StoreIndex::of(store),
            owner: owner.map(id),
            said,
            is_datable: true,
        };
        if let Some(full) = batches[thread % threads].add(artifact, met, &parts) {
            found.append(full);
        }
    }
    for batch in batches {
        found.append(batch.into_found());
    }
    let mut units = Units::of(parts, true, |store| store.at() == 1);
    let counts = units.tell_owners(&mut found.artifacts, &found.parts);
    let grouped = units.give_out(&found.artifacts, counts);
    let name = |artifact: &Artifact| found.names.get(artifact.name).to_str().unwrap().to_owned();
    let sessions = units.sessions.iter().map(|session| {
        let files = &grouped[session.files.start as usize..session.files.end as usize];
        let files: BTreeSet<String> = files.iter().map(|index| name(&found.artifacts[index.at()])).collect();
        let projects: BTreeSet<&Arc<str>> = session.projects.iter().collect();
        assert_eq!(projects.len(), session.projects.len(), "a project is known once");
        let projects = (&session.project, &session.rivals, &session.projects, session.store);
        let told = format!(
            "{:?} {projects:?} {:?} {:?} {:?} {} {} {} {files:?}",
            session.evidence,
            session.newest_record,
            session.modified,
            session.touched,
            session.is_desktop,
            session.plain,
            session.unrecognised,
        );
        (known(session), told)
    });
    let times = |session: &Session| [session.damaged, session.touched, session.touched_ahead];
    let times = units.sessions.iter().map(|session| (known(session), times(session))).collect();
    let files = found.artifacts.iter().map(|artifact| {
        let session = match artifact.belongs {
            Belongs::Session(index) => Some(known(&units.sessions[index.at()])),
            Belongs::Loose => None,
        };
        let project = artifact.project.map(|index: ProjectIndex| found.projects[index.at()].to_string());
        (name(artifact), (session, project))
    });
    Picture { sessions: sessions.collect(), times, files: files.collect() }
}

proptest! {
    #[test]
    fn threads_and_order_make_no_difference(specs in prop::collection::vec(spec(), 0..40), threads in 2..4_usize) {
        let alone = picture(&specs, 1, false);
        prop_assert_eq!(&alone, &picture(&specs, 1, true));
        prop_assert_eq!(&alone, &picture(&specs, threads, false));
        prop_assert_eq!(&alone, &picture(&specs, threads, true));
    }

    /// Nothing that lies ahead of the walk hides what does not, in whatever file.
    #[test]
    fn times_ahead_hide_no_other(specs in prop::collection::vec(spec(), 0..40)) {
        let specs = apart(specs);
        let picture = picture(&specs, 3, false);
        for (key, times) in &picture.times {
            let own = |of: &dyn Fn(&Spec) -> bool| -> Vec<usize> {
                let all = specs.iter().enumerate().filter(|(place, spec)| {
                    // An unknown name shows life of a session of its id, in its own store or the newest.
                    let is_unknown = spec.kind.is_none() && spec.owner.map(id) == Some(key.1);
                    (picture.files[&place.to_string()].0 == Some(*key) || is_unknown) && of(spec)
                });
                all.map(|(_, spec)| 2 * spec.moment).collect()
            };
            let past = |moments: Vec<usize>| moments.into_iter().filter(|moment| *moment <= WALK).max().map(at);
            let says = |spec: &Spec| matches!(spec.kind, Some(Kind::Transcript | Kind::Subagent));
            prop_assert_eq!(times[0], past(own(&|spec| says(spec) && spec.moment % 3 == 0)));
            let ahead = |moments: Vec<usize>| moments.into_iter().filter(|moment| *moment > WALK).min().map(at);
            let (all, known) = (own(&|_| true), own(&|spec| spec.kind.is_some()));
            prop_assert!(times[1] >= past(known.clone()) && times[1] <= past(all.clone()));
            prop_assert!(times[2].is_none_or(|first| Some(first) >= ahead(all)));
            prop_assert!(ahead(known).is_none_or(|known| times[2].is_some_and(|first| first <= known)));
        }
    }

    /// Rules go by the project of the newest copy, or by those of all that are as new.
    #[test]
    fn the_newest_copy_tells_the_project(specs in prop::collection::vec(spec(), 0..40)) {
        let picture = picture(&specs, 3, false);
        for (key, told) in &picture.sessions {
            let Some(store) = key.0 else { continue };
            let of_session = |other: &&Spec| {
                other.kind == Some(Kind::Transcript) && other.owner.map(id) == Some(key.1) && other.store == store.at()
            };
            let newest = specs.iter().filter(of_session).map(|other| other.moment).max();
            let projects: BTreeSet<u8> = specs.iter().filter(of_session).filter(|other| Some(other.moment) == newest).map(|other| other.project).collect();
            let mut named = projects.iter().map(|project| format!("\"/p{project}\""));
            let (first, rivals) = (named.next().unwrap(), named.collect::<Vec<_>>().join(", "));
            prop_assert!(told.contains(&format!("(Some({first}), [{rivals}]")), "{} {:?}", told, projects);
        }
    }

    /// Of one id, satellites go to the transcript of their own store, else to the newest.
    #[test]
    fn satellites_find_their_transcript(specs in prop::collection::vec(spec(), 0..40)) {
        let specs = apart(specs);
        let picture = picture(&specs, 3, false);
        for (place, spec) in specs.iter().enumerate() {
            let Some(kind) = spec.kind.filter(|kind| kind.is_of_session()) else { continue };
            let transcripts = || specs.iter().enumerate().filter(|(_, other)| {
                other.kind == Some(Kind::Transcript) && other.owner == spec.owner
            });
            let Some(owner) = spec.owner else {
                prop_assert_eq!(&picture.files[&place.to_string()].0, &None, "{:?}", kind);
                continue;
            };
            let is_own = transcripts().any(|(_, other)| other.store == spec.store);
            // The newest record of the sessions that a transcript shows, subagents included.
            let newest = specs.iter().enumerate().rev().find(|(_, other)| {
                matches!(other.kind, Some(Kind::Transcript | Kind::Subagent))
                    && other.owner == spec.owner
                    && transcripts().any(|(_, shown)| shown.store == other.store)
            });
            let store = if is_own { Some(spec.store) } else { newest.map(|(_, other)| other.store) };
            let expected = Some((store.map(StoreIndex::of), id(owner)));
            prop_assert_eq!(&picture.files[&place.to_string()].0, &expected);
        }
        let orphans = picture.sessions.iter().filter(|((store, _), _)| store.is_none());
        for (_, told) in orphans {
            prop_assert!(told.starts_with(&format!("{:?}", Evidence::Orphaned)), "{}", told);
        }
    }
}
