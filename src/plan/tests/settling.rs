//! Decisions survive what they do, on random files: of sessions with copies in several project folders, of orphans
//! over several stores, of clients in other pid domains, with times ahead, in stores that are left out.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use proptest::sample::select;

use super::policies::{one_kind_first, policy};
use super::world::{IDS, NOW, PROJECTS, age, before, config_store, id, some};
use super::*;
use crate::catalogue::Root;
use crate::inventory::ArtifactIndex;
use crate::inventory::lines::Line;
use crate::inventory::memory::Memory;
use crate::inventory::model::{self, Content, File};
use crate::locate::Store;

/// The last store is a temp tree.
const TEMP: usize = 2;

/// Files in stores, of which each may be out of scope or left out.
#[derive(Debug, Clone)]
struct Files {
    stores: Vec<(bool, bool)>,
    files: Vec<File>,
    is_complete: bool,
}

fn hash(number: u8) -> String {
    format!("{number:016x}")
}

fn file_of_session() -> impl Strategy<Value = File> {
    let kind = prop_oneof![
        5 => Just(Kind::Transcript), 3 => Just(Kind::Subagent), 1 => Just(Kind::FileHistory),
        1 => Just(Kind::DebugLog), 2 => Just(Kind::TempFile), 1 => Just(Kind::PidFile)
    ];
    let records = (some(age(true)), some(select(&PROJECTS[..])));
    (kind, 0..TEMP, 0..IDS, age(true), records, any::<bool>()).prop_map(
        |(kind, store, session, modified, (newest, project), is_elsewhere)| File {
            store: if kind == Kind::TempFile { TEMP } else { store },
            kind,
            session: Some(id(session)),
            name: String::new(),
            modified: before(modified),
            sealed: false,
            content: match kind {
                Kind::Transcript | Kind::Subagent => Content::Records(newest.map(before), project),
                Kind::PidFile => Content::Client(before(newest.unwrap_or(modified)), is_elsewhere),
                _ => Content::Nothing,
            },
        },
    )
}

fn loose(kind: Kind, store: usize, name: String, modified: i64, content: Content) -> File {
    File { store, kind, session: None, name, modified: before(modified), sealed: false, content }
}

fn line_file() -> impl Strategy<Value = File> {
    let line =
        (some(age(true)), some(select(&PROJECTS[..])), some(0..IDS), prop::collection::vec(0u8..3, 0..2))
            .prop_map(|(date, project, session, pastes)| {
                let line = Line {
                    date: date.map(before),
                    project: project.map(|project| project.into()),
                    session: session.map(id),
                    ..Line::default()
                };
                (line, pastes)
            });
    (0..TEMP, prop::bool::weighted(0.7), prop::collection::vec(line, 0..5), age(false)).prop_map(
        |(store, is_history, lines, modified)| {
            let (kind, format) = match is_history {
                true => (Kind::History, Format::JsonLines),
                false => (Kind::SessionsIndex, Format::Entries),
            };
            let lines = lines
                .into_iter()
                .map(|(line, pastes)| (line, pastes.into_iter().filter(|_| is_history).map(hash).collect()));
            loose(kind, store, "lines".to_owned(), modified, Content::Lines(format, lines.collect()))
        },
    )
}

fn files() -> impl Strategy<Value = Files> {
    let paste = (0..TEMP, 0u8..3, age(true)).prop_map(|(store, number, modified)| {
        loose(Kind::Paste, store, format!("{}.txt", hash(number)), modified, Content::Nothing)
    });
    (
        prop::collection::vec((prop::bool::weighted(0.9), prop::bool::weighted(0.1)), TEMP + 1),
        prop::collection::vec(file_of_session(), 0..14),
        prop::collection::vec(line_file(), 0..3),
        prop::collection::vec(paste, 0..3),
        prop::bool::weighted(0.9),
    )
        .prop_map(|(stores, mut files, lines, pastes, is_complete)| {
            for (at, file) in files.iter_mut().enumerate() {
                file.name = format!("file-{at}");
            }
            files.extend(lines);
            files.extend(pastes);
            Files { stores, files, is_complete }
        })
}

impl Files {
    fn inventory(&self, memory: &Memory) -> Inventory {
        self.recalling(memory, false)
    }

    fn recalling(&self, memory: &Memory, is_users_word: bool) -> Inventory {
        let store = |(at, (in_scope, is_excluded)): (usize, &(bool, bool))| Store {
            kind: if at == TEMP { Root::Temp } else { Root::Config },
            in_scope: *in_scope && !is_excluded,
            is_excluded: *is_excluded,
            ..config_store(at)
        };
        let stores = self.stores.iter().enumerate().map(store).collect();
        let mut inventory = model::inventory(stores, &self.files, self.is_complete, NOW());
        inventory.recall(memory, is_users_word);
        inventory
    }

    /// The same with the files of others.
    fn with(&self, others: &Self) -> Self {
        let mut all = self.clone();
        all.files.extend(others.files.iter().cloned());
        for (at, file) in all.files.iter_mut().enumerate().filter(|(_, file)| file.session.is_some()) {
            file.name = format!("file-{at}");
        }
        all
    }

    /// Carries a plan out.
    fn apply(&mut self, inventory: &Inventory, plan: &Plan, policy: &Policy) {
        let lines = inventory.line_files.iter().zip(&plan.lines);
        for (file, decisions) in lines {
            let Content::Lines(_, lines) = &mut self.files[file.artifact.at()].content else { continue };
            let mut decisions = decisions.iter();
            lines.retain(|_| decisions.next().unwrap().due().is_none());
        }
        let mut sealed: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (at, artifact) in inventory.artifacts.iter().enumerate() {
            if let (Some(home), crate::inventory::Belongs::Session(session)) =
                (plan.sealing_store(inventory, policy, ArtifactIndex::of(at)), artifact.belongs)
            {
                sealed.entry((session.at(), home.at())).or_default().push(at);
            }
        }
        let mut gone: Vec<bool> =
            plan.decisions.iter().map(|decision| matches!(decision, Decision::Delete(_))).collect();
        for ((session, home), files) in sealed {
            let session = &inventory.sessions[session];
            let is_record = |file: &File| {
                file.kind == Kind::SealedRecord && file.store == home && file.session == Some(session.id)
            };
            let at = self.files.iter().position(is_record);
            let old = at.and_then(|at| match &self.files[at].content {
                Content::Record(record) => Some((**record).clone()),
                _ => None,
            });
            let of_session: Vec<&File> = files.iter().map(|at| &self.files[*at]).collect();
            let record = model::record(session, old.as_ref(), &of_session, &inventory.stores);
            for at in files {
                let file = &mut self.files[at];
                (file.store, file.sealed, file.content) = (home, true, Content::Nothing);
            }
            if let Some(at) = at {
                gone[at] = true;
            }
            gone.push(false);
            self.files.push(File {
                session: Some(session.id),
                sealed: true,
                ..loose(
                    Kind::SealedRecord,
                    home,
                    "session.json".to_owned(),
                    0,
                    Content::Record(Box::new(record)),
                )
            });
        }
        let mut gone = gone.into_iter();
        self.files.retain(|_| !gone.next().unwrap());
    }
}

proptest! {
    #![proptest_config(worlds(2_000))]

    /// A second run at the same time does nothing, so that nothing goes that the first plan kept.
    #[test]
    fn a_second_run_at_the_same_time_does_nothing(files in files(), policy in prop_oneof![policy(), one_kind_first()]) {
        let found = files.inventory(&Memory::default());
        let first = plan(&found, &policy, NOW());
        let memory = memory_after(&found, &first, &policy);
        let mut left = files.clone();
        left.apply(&found, &first, &policy);
        let inventory = left.inventory(&memory);
        let second = plan(&inventory, &policy, NOW());
        // What lies in a third store of two conversations of one id is sealed with the other, once one of them went.
        let went: HashSet<SessionId> = found.sessions.iter().zip(&first.sessions)
            .filter(|(_, verdict)| matches!(verdict.decision, Decision::Delete(_)))
            .map(|(session, _)| session.id)
            .collect();
        for (artifact, decision) in inventory.artifacts.iter().zip(&second.decisions) {
            let of_other = |session: &Session| session.store != inventory.store_of(artifact) && went.contains(&session.id);
            let is_of_other = inventory.session_of(artifact).is_some_and(of_other);
            let stays = matches!(decision, Decision::Keep(_)) || is_of_other && matches!(decision, Decision::Seal(_));
            prop_assert!(stays, "{artifact:?} {decision:?} {memory:?}");
        }
        for (file, lines) in inventory.line_files.iter().zip(&second.lines) {
            for (line, decision) in file.content.lines.iter().zip(lines) {
                prop_assert!(decision.due().is_none(), "{line:?} {decision:?} {memory:?}");
            }
        }
    }

    /// What a user's own state remembers of files that are not there protects, from a managed rule for a day.
    #[test]
    fn what_a_user_remembers_delays_a_managed_rule_for_a_day(
        files in files(), gone in prop::option::of(files()), ahead in prop::option::of(1i64..4000), mut policy in policy(),
    ) {
        policy.mandates.truncate(1);
        let all = gone.map_or(files.clone(), |gone| files.with(&gone)).inventory(&Memory::default());
        let mut memory = memory_after(&all, &plan(&all, &policy, NOW()), &policy);
        // A state that a user wrote himself, before each run.
        if let Some(minutes) = ahead {
            memory.sessions.iter_mut().for_each(|row| row.touched_ahead = Some(NOW() + TimeDelta::minutes(minutes)));
        }
        let sessions = |inventory: &Inventory| plan(inventory, &policy, NOW()).sessions;
        let found = sessions(&files.inventory(&Memory::default()));
        let trusted = sessions(&files.inventory(&memory));
        let bound = sessions(&files.recalling(&memory, true));
        for ((bound, trusted), found) in bound.into_iter().zip(trusted).zip(found) {
            let is_kept = matches!(trusted.decision, Decision::Keep(_));
            let is_overdue =
                matches!(found.decision, Decision::Delete(due) if NOW() - due.since() >= TimeDelta::days(1));
            let counts = !(policy.mandates[0].is_managed && is_kept && is_overdue);
            prop_assert_eq!(bound.decision, if counts { trusted.decision } else { found.decision });
        }
    }

    /// What is due of such files goes, and nothing else does.
    #[test]
    fn of_files_what_is_due_goes_and_nothing_else(files in files(), policy in policy()) {
        let inventory = files.inventory(&Memory::default());
        let plan = plan(&inventory, &policy, NOW());
        let demands = demands(&inventory, &policy, NOW());
        for (artifact, decision) in inventory.artifacts.iter().zip(&plan.decisions) {
            let expected = oracle::goes(&demands, artifact);
            prop_assert_eq!(matches!(decision, Decision::Delete(_)), expected, "{:?} {:?}", artifact, decision);
        }
        for (file, decisions) in inventory.line_files.iter().zip(&plan.lines) {
            for (line, decision) in file.content.lines.iter().zip(decisions) {
                let expected = demands.iter().any(|demand| demand.line_goes(file, line));
                prop_assert_eq!(decision.due().is_some(), expected, "{:?} {:?}", line, decision);
            }
        }
    }
}
