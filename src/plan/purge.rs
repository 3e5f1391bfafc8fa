//! What a purge takes: everything of every session at any date, or what a person selected of that.
//!
//! Pure like the rest of the plan, and the only other place that makes a [`Due`]. Dates, life and
//! rules do not matter here; holds and the organisation's floors do, and are told as [`Stop`]s.
//! What might be meant and cannot be told stays, and is told as a [`Doubt`].

mod except;
mod lines;
mod pick;
mod stops;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use chrono::{DateTime, Utc};

use super::{Decision, Due, Judge, Keep, Plan, References, Verdict, judges};
use crate::catalogue::{Class, Kind, SessionId};
use crate::inventory::{ArtifactIndex, Belongs, FolderIndex, Inventory, StoreIndex};
use crate::policy::selector::{ProjectGlob, repository_of_worktree};
use crate::policy::{Policy, RuleRef};

pub use except::Except;
pub use stops::{Obstacle, Stop, clients};

/// The place of the one rule of a purge in the policy that its reports are made with.
pub const RULE: RuleRef = RuleRef { mandate: 0, layer: 0, rule: 0 };

/// The lock of this program in a store: whoever waits for it waits on that very file, so it stays.
pub const LOCK: &str = "ccretain/lock";

/// What a person wants gone.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only of these projects; of all where there is none.
    pub projects: Vec<ProjectGlob>,
    /// Only this session.
    pub session: Option<SessionId>,
    /// Only what was last active before this moment.
    pub before: Option<DateTime<Utc>>,
    /// Classes of protected things that go too.
    pub with: HashSet<Class>,
    /// Whether files that the catalogue does not know go too.
    pub unrecognised: bool,
    /// Which of those stay on the operator's word.
    pub except: Vec<Except>,
    /// Whether running clients do not matter.
    pub even_live: bool,
    /// Which holds are broken.
    pub breaks: Breaks,
    /// Links that lead to a file of a store, which is decided on for itself.
    pub inner_links: HashSet<ArtifactIndex>,
    /// What is known of preservation copies, by store, hold and session.
    pub copies: HashMap<(StoreIndex, String, SessionId), Copied>,
}

/// What the record of a preservation copy says of its session.
#[derive(Debug, Clone, Default)]
pub struct Copied {
    /// The project by which rules go.
    pub project: Option<String>,
    pub last_activity: Option<DateTime<Utc>>,
}

/// Which holds and floors are broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Breaks {
    /// None: what they cover stops the purge.
    #[default]
    Nothing,
    /// The user's own holds.
    Own,
    /// All holds, and the floors of the organisation; for root alone.
    All,
}

impl Wanted {
    /// Whether only a part is wanted.
    pub fn is_partial(&self) -> bool {
        !self.projects.is_empty() || self.session.is_some() || self.before.is_some()
    }

    fn has_project(&self, project: &str) -> bool {
        let fits = |project| self.projects.iter().any(|glob| glob.matches(project));
        self.projects.is_empty() || fits(project) || repository_of_worktree(project).is_some_and(fits)
    }
}

/// What a purge does besides deleting files and lines, which no rule can demand.
#[derive(Debug, Clone, Default)]
pub struct Extent {
    /// What is left out of line files, by their place in the inventory.
    pub cuts: BTreeMap<usize, Cut>,
    /// Empty folders of the client's, which go too.
    pub folders: Vec<FolderIndex>,
    /// Whether sessions go though a client has them open.
    pub even_live: bool,
}

impl Extent {
    /// How many lines and bytes are left out of an artifact.
    pub fn left_out_of(&self, inventory: &Inventory, artifact: usize) -> (u64, u64) {
        let file = inventory.line_files.iter().position(|file| file.artifact.at() == artifact);
        // A file without a cut is rewritten by nobody: a decision to prune is only made with one.
        file.and_then(|file| self.cuts.get(&file))
            .map_or((0, 0), |cut| (cut.count, cut.ranges.iter().map(|range| range.end - range.start).sum()))
    }
}

/// What is left out of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// The bytes, in order and without overlaps.
    pub ranges: Vec<Range<u64>>,
    /// How many lines, entries and keys they are.
    pub count: u64,
}

/// Why something that may be meant stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doubt {
    /// It is a link that leads out of the stores.
    Link,
    /// It is another owner's, or on another file system.
    Foreign,
    /// It lies behind a mount point or a link that is not followed.
    OutOfReach,
    /// It names no project.
    NoProject,
    /// It names no session, and may be of the one that was selected.
    NoSession,
    /// It is of a selected project and of others too.
    Mixed,
    /// Sessions outside of what was selected share it.
    Shared,
    /// It has no date.
    Undated,
    /// Its date lies in the future.
    FutureDated,
    /// A running client needs it.
    Live,
    /// It is not what it should be, so that no part of it can be taken out.
    Damaged,
    /// The catalogue does not know it.
    Unrecognised,
}

impl Doubt {
    /// What it means.
    pub fn words(self) -> &'static str {
        match self {
            Self::Link => "it is a link, and what it leads to lies in no store",
            Self::Foreign => "it is another owner's",
            Self::OutOfReach => "it lies behind a mount point or a link that is not followed",
            Self::NoProject => "it names no project",
            Self::NoSession => "it names no session, and may be of this one",
            Self::Mixed => "it is of other projects too",
            Self::Shared => "sessions that were not selected share it",
            Self::Undated => "it has no date",
            Self::FutureDated => "its date lies in the future",
            Self::Live => "a running program uses it",
            Self::Damaged => "it cannot be taken apart",
            Self::Unrecognised => "ccretain does not know what it is",
        }
    }

    fn keep(self) -> Keep {
        match self {
            Self::Link => Keep::Link,
            Self::Foreign => Keep::Foreign,
            Self::OutOfReach => Keep::OutOfReach,
            Self::NoProject | Self::NoSession | Self::Mixed | Self::Shared | Self::Damaged => {
                Keep::OwnerUnknown
            }
            Self::Undated => Keep::Undated,
            Self::FutureDated => Keep::FutureDated,
            Self::Live => Keep::Live,
            Self::Unrecognised => Keep::Unrecognised,
        }
    }
}

/// Something that may be meant and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubtful {
    /// The file.
    pub artifact: ArtifactIndex,
    /// Why it stays.
    pub why: Doubt,
    /// How many lines of it stay for that; 0 where it is the file.
    pub lines: u64,
}

/// What a purge would do, and what is in its way.
#[derive(Debug)]
pub struct Purging {
    /// A decision for every artifact and every line.
    pub plan: Plan,
    /// What forbids it; nothing may be touched then.
    pub stops: Vec<Stop>,
    /// What would forbid it and is broken.
    pub broken: Vec<Stop>,
    /// What stays though it may be meant.
    pub doubts: Vec<Doubtful>,
    /// What would be a doubt and stays on the operator's word.
    pub excepted: Vec<ArtifactIndex>,
    /// Sessions that go and were in use within the quiet period.
    pub quiet: usize,
}

/// What becomes of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Goes,
    Stays(Keep),
    /// On the operator's word.
    Excepted,
    Doubtful(Doubt),
}

impl Fate {
    /// What is no part of what was selected.
    const OUTSIDE: Self = Self::Stays(Keep::OutOfScope);
}

/// Decides what a purge takes from an inventory.
pub fn purge(inventory: &Inventory, policy: &Policy, wanted: &Wanted, now: DateTime<Utc>) -> Purging {
    let references = References::new(inventory);
    let judges = judges(inventory, &references, policy, now);
    let mut taking = Taking {
        inventory,
        references: &references,
        wanted,
        // The user's own preferences date; where there is but one mandate, it is his.
        judge: judges.last(),
        now,
        due: Due { rule: RULE, since: now },
        sessions: Vec::new(),
        of_excluded: inventory
            .sessions
            .iter()
            .map(|session| {
                inventory.is_session_reached_from(session, |store| inventory.store(store).store.is_excluded)
            })
            .collect(),
        of_folder: HashMap::new(),
        lines: HashMap::new(),
        nameless: lines::Nameless::of(inventory, wanted.session),
    };
    taking.sessions = inventory.sessions.iter().map(|session| taking.session(session)).collect();
    taking.of_folder = taking.project_folders();
    taking.lines = inventory
        .line_files
        .iter()
        .enumerate()
        .map(|(at, file)| (file.artifact, (at, taking.file_of_lines(file))))
        .collect();
    let fates: Vec<Fate> = inventory
        .artifacts
        .iter()
        .enumerate()
        .map(|(at, one)| taking.artifact(ArtifactIndex::of(at), one))
        .collect();
    let (stops, broken) = stops::find(&taking, &judges, policy, &fates);
    let plan = taking.plan(&fates);
    let quiet = inventory.sessions.iter().zip(&taking.sessions).filter(|(session, fate)| {
        **fate == Fate::Goes && judges.iter().any(|judge| judge.is_session_quiet(session))
    });
    let quiet = quiet.count();
    let excepted = fates.iter().enumerate().filter(|(_, fate)| **fate == Fate::Excepted);
    let excepted = excepted.map(|(at, _)| ArtifactIndex::of(at)).collect();
    Purging { doubts: taking.doubts(&fates), excepted, plan, stops, broken, quiet }
}

/// What decides.
struct Taking<'a> {
    inventory: &'a Inventory,
    references: &'a References<'a>,
    wanted: &'a Wanted,
    judge: Option<&'a Judge<'a>>,
    now: DateTime<Utc>,
    due: Due,
    sessions: Vec<Fate>,
    /// By session, whether an excluded store reaches its transcript, too.
    of_excluded: Vec<bool>,
    /// Whether the sessions of a project's folder are all of selected projects, by its name.
    of_folder: HashMap<Box<std::ffi::OsStr>, Option<bool>>,
    /// By line file: its place, and what becomes of it and of its lines.
    lines: HashMap<ArtifactIndex, (usize, lines::Whole)>,
    /// What lines that name no session are measured by, where one session is wanted.
    nameless: Option<lines::Nameless<'a>>,
}

impl Taking<'_> {
    fn decision(&self, fate: Fate) -> Decision {
        match fate {
            Fate::Goes => Decision::Delete(self.due),
            Fate::Stays(keep) => Decision::Keep(keep),
            Fate::Excepted => Decision::Keep(Keep::Unrecognised),
            Fate::Doubtful(doubt) => Decision::Keep(doubt.keep()),
        }
    }

    fn plan(&self, fates: &[Fate]) -> Plan {
        let mut extent = Extent { even_live: self.wanted.even_live, ..Extent::default() };
        let mut decisions: Vec<Decision> = fates.iter().map(|fate| self.decision(*fate)).collect();
        let mut lines = Vec::with_capacity(self.inventory.line_files.len());
        for (at, file) in self.inventory.line_files.iter().enumerate() {
            let whole = self.lines.get(&file.artifact).map(|(_, whole)| whole);
            let decision = &mut decisions[file.artifact.at()];
            let of_lines = whole.map(|whole| whole.fates.as_slice()).unwrap_or_default();
            let stays = matches!(decision, Decision::Keep(_));
            lines.push(match (*decision, whole) {
                (Decision::Keep(_), Some(whole)) if !whole.cut.ranges.is_empty() => {
                    *decision = Decision::Prune(self.due);
                    extent.cuts.insert(at, whole.cut.clone());
                    of_lines.iter().map(|fate| self.decision(*fate)).collect()
                }
                // They stay or go with the file.
                (decision, _) if !stays => vec![decision; of_lines.len()],
                _ => of_lines.iter().map(|fate| self.decision(*fate)).collect(),
            });
        }
        if !self.wanted.is_partial() {
            extent.folders = self.empty_folders();
        }
        let sessions = self.inventory.sessions.iter().zip(&self.sessions).zip(&self.of_excluded);
        let sessions = sessions.map(|((session, fate), of_excluded)| {
            let is_out = !self.inventory.store(session.store).store.in_scope || *of_excluded;
            let fate = if is_out { Fate::OUTSIDE } else { *fate };
            let date = self.judge.and_then(|judge| judge.date(session).ok());
            Verdict { decision: self.decision(fate), date, deletion: None, next: None }
        });
        Plan {
            now: self.now,
            decisions,
            lines,
            sessions: sessions.collect(),
            absent: Vec::new(),
            demanded: Vec::new(),
            purge: Some(extent),
        }
    }

    fn doubts(&self, fates: &[Fate]) -> Vec<Doubtful> {
        let mut doubts = Vec::new();
        for (at, fate) in fates.iter().enumerate() {
            let artifact = ArtifactIndex::of(at);
            if let Fate::Doubtful(why) = *fate
                && self.stands_for_all(artifact, *fate)
            {
                doubts.push(Doubtful { artifact, why, lines: 0 });
            }
            let Some((_, whole)) = self.lines.get(&artifact).filter(|_| *fate != Fate::Goes) else {
                continue;
            };
            let mut of_lines: BTreeMap<Doubt, u64> = BTreeMap::new();
            for fate in &whole.fates {
                if let Fate::Doubtful(why) = fate {
                    *of_lines.entry(*why).or_default() += 1;
                }
            }
            doubts.extend(of_lines.into_iter().map(|(why, lines)| Doubtful { artifact, why, lines }));
        }
        doubts
    }

    /// Whether a doubt is told by this file: one about a whole session is told once.
    fn stands_for_all(&self, index: ArtifactIndex, fate: Fate) -> bool {
        let Belongs::Session(at) = self.inventory.artifact(index).belongs else { return true };
        if self.sessions.get(at.at()) != Some(&fate) {
            return true;
        }
        let files = self.inventory.files(self.inventory.session(at));
        let is_transcript =
            |index: &&ArtifactIndex| self.inventory.artifact(**index).kind == Some(Kind::Transcript);
        files.iter().find(is_transcript).or(files.first()) == Some(&index)
    }

    /// Folders without anything in them that are the client's for what goes.
    fn empty_folders(&self) -> Vec<FolderIndex> {
        let inventory = self.inventory;
        let mut is_leaf = vec![true; inventory.folders.len()];
        for folder in inventory.folders.iter().filter_map(|folder| folder.parent) {
            is_leaf[folder.at()] = false;
        }
        for artifact in &inventory.artifacts {
            is_leaf[artifact.folder.at()] = false;
        }
        let goes = |index: FolderIndex| {
            let folder = inventory.folder(index);
            let store = &inventory.store(folder.store).store;
            if folder.parent.is_none() || folder.anchor.is_some() || !store.in_scope {
                return false;
            }
            let path = inventory.folder_path(index);
            let cursor = inventory.cursor(index);
            // What is the client's by its name alone is so only where nothing else lies.
            let is_its_own = store.is_certain || path.iter().next().is_some_and(|top| top == "projects");
            is_its_own && cursor.kinds().any(|kind| kind == Kind::Memory || !self.is_protected(kind))
        };
        let leaves = is_leaf.iter().enumerate().filter(|(_, is_leaf)| **is_leaf);
        leaves.map(|(at, _)| FolderIndex::of(at)).filter(|index| goes(*index)).collect()
    }
}
