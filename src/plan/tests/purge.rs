//! The properties of a purge's decisions, on random inventories and random policies.

use std::collections::HashSet;
use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::policies::policy;
use super::world::{IDS, NOW, id, world};
use super::*;
use crate::catalogue::Class;
use crate::inventory::ArtifactIndex;
use crate::plan::purge::{Breaks, Obstacle, Purging, Wanted, purge};
use crate::policy::Layer;
use crate::policy::selector::{ProjectGlob, repository_of_worktree};

fn glob(text: &str) -> ProjectGlob {
    ProjectGlob::new(text, &[std::path::Path::new("/home/x")], Default::default()).unwrap()
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let globs = select(vec!["/work/acme/**", "/work/*", "/work/beta", "~/**", "/home/x"]);
    let classes = subsequence(vec![Class::Credentials, Class::Settings, Class::Memory], 0..=3);
    (
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(globs, 1..3)],
        prop::option::weighted(0.3, -100i64..4000),
        classes,
        (any::<bool>(), any::<bool>()),
        select(vec![Breaks::Nothing, Breaks::Own, Breaks::All]),
        prop::option::weighted(0.2, 0..IDS),
    )
        .prop_map(|(globs, before, with, (unrecognised, even_live), breaks, session)| Wanted {
            // One session is asked for alone.
            projects: globs.into_iter().filter(|_| session.is_none()).map(glob).collect(),
            before: before.filter(|_| session.is_none()).map(|hours| NOW() - TimeDelta::hours(hours)),
            session: session.map(id),
            with: with.into_iter().collect(),
            unrecognised,
            even_live,
            breaks,
            ..Wanted::default()
        })
}

fn everything(wanted: &Wanted) -> Wanted {
    Wanted { projects: Vec::new(), before: None, session: None, ..wanted.clone() }
}

/// The classes and the protected own files that stay whatever is selected.
fn stays_by_class(artifact: &Artifact, wanted: &Wanted) -> bool {
    match artifact.kind {
        None => !wanted.unrecognised,
        // Lines of it may go; the file goes only with both of what it is.
        Some(Kind::GlobalConfig) => {
            !wanted.with.contains(&Class::Settings) || !wanted.with.contains(&Class::Credentials)
        }
        Some(kind) => match kind.row().protection {
            Protection::With(class) => !wanted.with.contains(&class),
            _ => false,
        },
    }
}

/// Whether a store that is left out reaches the folders of another, too.
fn is_reached(inventory: &Inventory, store: StoreIndex) -> bool {
    let roots = &inventory.store(store).store.crossings.reached_from;
    let mut excluded = inventory.stores.iter().filter(|view| view.store.is_excluded);
    excluded.any(|view| roots.iter().any(|(_, root)| *root == view.store.root))
}

/// Whether its transcript lies where a store that is left out reaches it.
fn is_of_reached(inventory: &Inventory, session: &Session) -> bool {
    let files = inventory.files(session).iter().map(|index| inventory.artifact(*index));
    let mut transcripts = files.filter(|file| file.kind == Some(Kind::Transcript));
    !inventory.store(session.store).store.crossings.reached_from.is_empty()
        && transcripts.any(|file| is_reached(inventory, inventory.store_of(file)))
}

/// Whether a file is of a store that may not be changed, or of one that is left out and reaches it.
fn is_left_out(inventory: &Inventory, artifact: &Artifact) -> bool {
    let store = inventory.store_of(artifact);
    !inventory.store(store).store.in_scope
        || is_reached(inventory, store)
        || inventory.session_of(artifact).is_some_and(|session| is_of_reached(inventory, session))
}

fn goes(decision: &Decision) -> bool {
    decision.due().is_some()
}

fn selected(wanted: &Wanted, project: Option<&str>) -> bool {
    let fits = |project: &str| wanted.projects.iter().any(|glob| glob.matches(project));
    wanted.projects.is_empty()
        || project.is_some_and(|project| fits(project) || repository_of_worktree(project).is_some_and(fits))
}

/// What a purge takes, decided a second time. What is in doubt stays.
struct Selection<'a> {
    demand: Demand<'a>,
    wanted: &'a Wanted,
}

impl Selection<'_> {
    fn is_before(&self, date: Option<DateTime<Utc>>) -> bool {
        self.wanted.before.is_none_or(|before| date.is_some_and(|date| date < before && date <= NOW()))
    }

    fn session(&self, session: &Session) -> bool {
        match self.wanted.session {
            Some(id) => session.id == id,
            None => {
                let is_old = self.wanted.before.is_none() || self.is_before(self.demand.date(session));
                is_old && selected(self.wanted, session.project.as_deref())
            }
        }
    }

    /// A line goes with its session, or by its own project and date.
    fn line(&self, line: &Line, store: StoreIndex, is_index: bool) -> bool {
        let sessions = &self.demand.inventory.sessions;
        let session = self.demand.session_named(line, store);
        let session = session.filter(|of| sessions.iter().any(|found| std::ptr::eq(found, *of)));
        if !self.wanted.is_partial() || session.is_some_and(|session| self.session(session)) {
            return true;
        }
        if self.wanted.session.is_some() || is_index && session.is_some() {
            return self.wanted.session.is_some() && line.session == self.wanted.session;
        }
        selected(self.wanted, line.project.as_deref()) && self.is_before(line.date)
    }

    fn loose(&self, artifact: &Artifact) -> bool {
        let inventory = self.demand.inventory;
        self.wanted.session.is_none()
            && selected(self.wanted, inventory.project_named(artifact))
            && self.is_before(artifact.modified())
    }

    /// What has owners goes with all of them.
    fn owned(&self, artifact: &Artifact) -> bool {
        let inventory = self.demand.inventory;
        let store = inventory.store_of(artifact);
        if is_paste(artifact) {
            let lines = referring(inventory, artifact);
            return !lacks_references(inventory, store)
                && if lines.is_empty() {
                    self.loose(artifact)
                } else {
                    lines.into_iter().all(|line| self.line(line, store, false))
                };
        }
        let owners = self.demand.owners(artifact);
        let is_whole = inventory.logs.get(&artifact.key()).is_none_or(|log| log.is_whole);
        if owners.is_empty() || !is_whole && !owners.iter().any(|session| self.session(session)) {
            return self.loose(artifact);
        }
        is_whole && owners.into_iter().all(|session| self.session(session))
    }

    /// Whether a file of a kind that is no line file goes.
    fn file(&self, artifact: &Artifact, kind: Kind) -> bool {
        let inventory = self.demand.inventory;
        if kind == Kind::OwnLeftover {
            return true;
        }
        match inventory.session_of(artifact) {
            Some(session) => self.session(session),
            None if !self.wanted.is_partial() => true,
            None if matches!(kind.row().owner, Owner::References | Owner::Named) => self.owned(artifact),
            None => self.loose(artifact),
        }
    }
}

fn decide(inventory: &Inventory, policy: &Policy, wanted: &Wanted) -> Purging {
    purge(inventory, policy, wanted, NOW())
}

proptest! {
    #![proptest_config(worlds(512))]

    /// A decision for every artifact, line and session; doubts are told and are what stays.
    #[test]
    fn total(world in world(true), policy in policy(), wanted in wanted()) {
        let inventory = world.inventory();
        let purging = decide(&inventory, &policy, &wanted);
        prop_assert_eq!(purging.plan.decisions.len(), inventory.artifacts.len());
        prop_assert_eq!(purging.plan.sessions.len(), inventory.sessions.len());
        prop_assert_eq!(purging.plan.lines.len(), inventory.line_files.len());
        for (file, lines) in inventory.line_files.iter().zip(&purging.plan.lines) {
            prop_assert_eq!(file.content.lines.len(), lines.len());
        }
        for doubt in purging.doubts.iter().filter(|doubt| doubt.lines == 0) {
            prop_assert!(!matches!(purging.plan.decisions[doubt.artifact.at()], Decision::Delete(_)));
        }
    }

    /// What stays by its class, another owner's and what is out of scope is never touched.
    #[test]
    fn what_stays_stays(world in world(true), policy in policy(), wanted in wanted()) {
        let inventory = world.inventory();
        let purging = decide(&inventory, &policy, &wanted);
        for (artifact, decision) in inventory.artifacts.iter().zip(&purging.plan.decisions) {
            let store = &inventory.store(inventory.store_of(artifact)).store;
            let never = stays_by_class(artifact, &wanted)
                || artifact.oddity == Oddity::Foreign
                || artifact.kind.is_some() && artifact.oddity == Oddity::Link;
            if never {
                prop_assert!(!matches!(decision, Decision::Delete(_)), "{:?}", artifact);
            }
            if !store.in_scope {
                prop_assert_eq!(*decision, Decision::Keep(Keep::OutOfScope));
            }
        }
    }

    /// What was selected goes, and nothing else does.
    #[test]
    fn what_is_selected_goes_and_nothing_else(world in world(true), policy in policy(), wanted in wanted()) {
        let inventory = world.inventory();
        let purging = decide(&inventory, &policy, &wanted);
        let selection = Selection { demand: Demand { of: policy.mandates.last().unwrap(), inventory: &inventory, now: NOW() }, wanted: &wanted };
        for (artifact, decision) in inventory.artifacts.iter().zip(&purging.plan.decisions) {
            let Some(kind) = artifact.kind.filter(|_| artifact.oddity == Oddity::None) else { continue };
            // Judged elsewhere: files of lines by their lines, and what is ours by its path, which these worlds do not have.
            let is_of_lines = kind.row().disposal != Disposal::File;
            let is_ours = matches!(kind, Kind::Own | Kind::Preserved | Kind::SealedFile) && inventory.session_of(artifact).is_none();
            if is_of_lines || is_ours || stays_by_class(artifact, &wanted) || kind.row().protection == Protection::UnlessLive {
                continue;
            }
            let goes = matches!(decision, Decision::Delete(_));
            let expected = !is_left_out(&inventory, artifact) && selection.file(artifact, kind);
            prop_assert_eq!(goes, expected, "{:?} {:?} {:?}", artifact, decision, wanted);
        }
        for (file, decisions) in inventory.line_files.iter().zip(&purging.plan.lines) {
            let artifact = inventory.artifact(file.artifact);
            let store = inventory.store_of(artifact);
            let of_file = purging.plan.decisions[file.artifact.at()];
            if !inventory.store(store).store.in_scope || matches!(of_file, Decision::Delete(_)) {
                continue;
            }
            let is_index = artifact.kind == Some(Kind::SessionsIndex);
            for (line, decision) in file.content.lines.iter().zip(decisions) {
                prop_assert_eq!(goes(decision), selection.line(line, store, is_index), "{:?} {:?} {:?}", line, decision, wanted);
            }
        }
        for (session, verdict) in inventory.sessions.iter().zip(&purging.plan.sessions) {
            let is_in_scope =
                inventory.store(session.store).store.in_scope && !is_of_reached(&inventory, session);
            prop_assert_eq!(goes(&verdict.decision), is_in_scope && selection.session(session), "{:?} {:?}", session, wanted);
        }
    }

    /// A full purge leaves nothing of any kind that is content, whatever its date and owner.
    #[test]
    fn a_full_purge_is_complete(world in world(true), policy in policy(), wanted in wanted()) {
        let wanted = everything(&wanted);
        let inventory = world.inventory();
        let purging = decide(&inventory, &policy, &wanted);
        let doubted: HashSet<ArtifactIndex> = purging.doubts.iter().map(|doubt| doubt.artifact).collect();
        for (at, (artifact, decision)) in inventory.artifacts.iter().zip(&purging.plan.decisions).enumerate() {
            let Some(kind) = artifact.kind.filter(|_| !is_left_out(&inventory, artifact)) else { continue };
            let is_line_file = kind.row().disposal == Disposal::Lines;
            if stays_by_class(artifact, &wanted) || is_line_file || matches!(kind, Kind::Own | Kind::Preserved) {
                continue;
            }
            let live = kind.row().protection == Protection::UnlessLive;
            if artifact.oddity == Oddity::None && !live {
                prop_assert!(matches!(decision, Decision::Delete(_)), "{:?}: {:?}", artifact, decision);
            } else {
                // What else stays is told.
                prop_assert!(goes(decision) || doubted.contains(&ArtifactIndex::of(at)), "{:?}", artifact);
            }
        }
        for (file, lines) in inventory.line_files.iter().zip(&purging.plan.lines) {
            let in_scope = inventory.store(inventory.store_of(inventory.artifact(file.artifact))).store.in_scope;
            let is_damaged = doubted.contains(&file.artifact);
            prop_assert!(lines.iter().all(|line| goes(line) == in_scope || is_damaged));
        }
        for (session, verdict) in inventory.sessions.iter().zip(&purging.plan.sessions) {
            let is_in_scope = inventory.store(session.store).store.in_scope;
            prop_assert_eq!(goes(&verdict.decision), is_in_scope && !is_of_reached(&inventory, session));
        }
    }

    /// A partial purge takes less than a full one, and nothing outside its selector.
    #[test]
    fn a_part_stays_within_its_selector(world in world(true), policy in policy(), wanted in wanted()) {
        let inventory = world.inventory();
        let part = decide(&inventory, &policy, &wanted);
        let whole = decide(&inventory, &policy, &everything(&wanted));
        for (at, decision) in part.plan.decisions.iter().enumerate() {
            let artifact = &inventory.artifacts[at];
            if goes(decision) {
                prop_assert!(goes(&whole.plan.decisions[at]), "{:?}", artifact);
            }
            // What is unfinished and ours is of no selection.
            if !matches!(decision, Decision::Delete(_)) || artifact.kind == Some(Kind::OwnLeftover) {
                continue;
            }
            if let Some(id) = wanted.session {
                let owned = artifact.kind.is_some_and(|kind| matches!(kind.row().owner, Owner::References | Owner::Named));
                prop_assert!(owned || inventory.session_of(artifact).is_none_or(|session| session.id == id));
            } else if let Some(session) = inventory.session_of(artifact) {
                prop_assert!(selected(&wanted, session.project.as_deref()), "{:?}", session);
                if let (Some(before), false) = (wanted.before, session.newest_record.is_none() && session.modified.is_none()) {
                    let newest = [session.newest_record, session.modified, session.first_seen].into_iter().flatten().min();
                    prop_assert!(newest.is_some_and(|newest| newest < before));
                }
            } else if let Some(project) = inventory.project_named(artifact) {
                // What has owners goes with them, whatever project it names itself.
                let has_owners = artifact.kind.is_some_and(|kind| matches!(kind.row().owner, Owner::References | Owner::Named));
                prop_assert!(has_owners || selected(&wanted, Some(project)));
            }
        }
        for (file, lines) in inventory.line_files.iter().zip(&part.plan.lines) {
            for (line, decision) in file.content.lines.iter().zip(lines) {
                let with_session = inventory.sessions.iter().zip(&part.plan.sessions).any(|(session, verdict)| {
                    Some(session.id) == line.session && goes(&verdict.decision)
                        || Some(session.id) == line.session && selected(&wanted, session.project.as_deref())
                });
                if goes(decision) && !with_session {
                    prop_assert!(selected(&wanted, line.project.as_deref()), "{:?}", line);
                    prop_assert!(wanted.before.is_none_or(|before| line.date.is_some_and(|date| date < before)));
                }
            }
        }
    }

    /// Holds that cover what would go stop it and others do not; what is broken stops nothing.
    #[test]
    fn holds_stop_what_they_touch(world in world(true), policy in policy(), wanted in wanted()) {
        let inventory = world.inventory();
        let purging = decide(&inventory, &policy, &wanted);
        let told: HashSet<u16> = purging
            .stops
            .iter()
            .chain(&purging.broken)
            .filter_map(|stop| match stop.by {
                Obstacle::Hold(hold) => Some(hold.hold),
                Obstacle::Floor(..) => None,
            })
            .collect();
        let holds = &policy.mandates.last().unwrap().holds;
        for (at, hold) in holds.iter().enumerate() {
            let is_told = told.contains(&u16::try_from(at).unwrap());
            // By sessions alone, decided a second time.
            let touches = inventory.artifacts.iter().zip(&purging.plan.decisions).any(|(artifact, decision)| {
                let Some(session) = inventory.session_of(artifact) else { return false };
                let projects: Vec<&str> = session.projects.iter().map(|project| &**project).collect();
                let unknown = projects.is_empty() || session.is_unreadable;
                matches!(decision, Decision::Delete(_))
                    && artifact.kind.is_some_and(|kind| {
                        hold.selector.covers(kind, projects.iter().copied(), unknown, Some(session.id))
                    })
            });
            if !hold.is_active(NOW()) {
                prop_assert!(!is_told);
            } else if touches {
                prop_assert!(is_told, "{:?}", hold);
            }
            let nothing = !purging.plan.decisions.iter().any(goes);
            prop_assert!(!(nothing && is_told));
        }
        // Every hold of these policies is the user's.
        if wanted.breaks != Breaks::Nothing {
            prop_assert!(purging.stops.iter().all(|stop| !matches!(stop.by, Obstacle::Hold(_))));
        } else {
            prop_assert!(purging.broken.is_empty());
        }
    }

    /// A hold on a project of which nothing is there, and nothing that might be, stops nothing.
    #[test]
    fn other_holds_do_not_stop(world in world(false), policy in policy(), wanted in wanted()) {
        let mut inventory = world.inventory();
        // Of a log that was not read whole every hold may be meant.
        inventory.logs.values_mut().for_each(|log| log.is_whole = true);
        let mut policy = policy;
        let selector = crate::policy::selector::Selector {
            sessions: Some([world::id(200)].into_iter().collect()), ..Default::default()
        };
        for mandate in &mut policy.mandates {
            mandate.holds = vec![crate::policy::Hold {
                name: "other".into(), selector: selector.clone(), reason: "r".into(), until: None,
                source: crate::policy::Source { layer: Layer::Managed, path: None },
            }];
            mandate.keep_at_least = None;
        }
        // And of a paste where a file of references was not read.
        let mut pastes = inventory.artifacts.iter().filter(|artifact| is_paste(artifact));
        prop_assume!(!pastes.any(|paste| lacks_references(&inventory, inventory.store_of(paste))));
        let purging = decide(&inventory, &policy, &Wanted { breaks: Breaks::Nothing, ..wanted });
        prop_assert!(purging.stops.is_empty());
    }

    /// A floor of the organisation stops exactly what it covers, and only root breaks it.
    #[test]
    fn floors_of_the_organisation_stop(world in world(true), policy in policy(), wanted in wanted(), layer in select(vec![Layer::User, Layer::System, Layer::Managed])) {
        let inventory = world.inventory();
        let mut policy = policy;
        let wanted = Wanted { breaks: if wanted.breaks == Breaks::All { Breaks::Own } else { wanted.breaks }, ..wanted };
        for mandate in &mut policy.mandates {
            mandate.holds.clear();
            if let Some(floor) = &mut mandate.keep_at_least {
                floor.source.layer = layer;
            }
        }
        let purging = decide(&inventory, &policy, &wanted);
        let sessions = |goes_only: bool| inventory.sessions.iter().zip(&purging.plan.sessions).filter(move |(_, verdict)| goes(&verdict.decision) || !goes_only);
        let young = sessions(true).any(|(session, _)| {
            let has_files = inventory.files(session).iter().any(|index| matches!(purging.plan.decisions[index.at()], Decision::Delete(_)));
            has_files && policy.mandates.iter().any(|mandate| {
                let date = session.newest_record.max(session.modified).max(session.touched);
                let oldest = [session.newest_record, session.modified, session.damaged, session.first_seen].into_iter().flatten().min();
                mandate.keep_at_least.as_ref().is_some_and(|floor| {
                    let until = oldest.or(date).map(|date| floor.value.after(date).unwrap_or(DateTime::<Utc>::MAX_UTC));
                    until.is_none_or(|until| until > NOW())
                })
            })
        });
        if layer == Layer::User {
            prop_assert!(purging.stops.is_empty());
        } else if young {
            prop_assert!(!purging.stops.is_empty());
        }
        let broken = decide(&inventory, &policy, &Wanted { breaks: Breaks::All, ..wanted.clone() });
        prop_assert!(broken.stops.is_empty());
        prop_assert_eq!(broken.broken.len(), purging.stops.len());
    }

    /// Cuts are in order, apart, and of the files that lose lines.
    #[test]
    fn cuts_are_in_order(world in world(true), policy in policy(), wanted in wanted()) {
        let inventory = world.inventory();
        let purging = decide(&inventory, &policy, &wanted);
        for (at, cut) in &purging.plan.purge.as_ref().unwrap().cuts {
            let file = &inventory.line_files[*at];
            prop_assert!(matches!(purging.plan.decisions[file.artifact.at()], Decision::Prune(_)));
            let apart = |pair: &[Range<u64>]| pair[0].end < pair[1].start;
            prop_assert!(cut.ranges.windows(2).all(apart));
        }
    }
}
