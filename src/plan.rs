//! The decision: `plan(inventory, policy, now)` gives every artifact exactly one, with its reason.
//!
//! Pure: no disk, no environment, no clock, no log. A dry run is not calling the next stage.
//! The precedence is hold > live or quiet > `keepAtLeast` (which stops deleting and pruning,
//! never sealing) > delete rule > seal rule. Doubt keeps.
//!
//! Where a policy has two mandates, each is judged by itself and the stronger verdict is taken;
//! so nothing that may delay the one can delay the other.

pub mod purge;
mod why;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use rustc_hash::{FxBuildHasher, FxHashMap};
use smallvec::SmallVec;

use crate::catalogue::{Disposal, Kind, Owner, Protection, SessionId};
use crate::inventory::lines::{Format, Line, LineFile};
use crate::inventory::{Artifact, Belongs, Evidence, Inventory, Oddity, Session, StoreIndex};
use crate::period::Period;
use crate::policy::{AgeBy, HoldRef, Mandate, Policy, Rule, RuleRef};

pub use why::{Action, Considered, Opinion, Standing, What, has_delete_rule, opinions};

/// What is to be done with an artifact, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// It stays as it is.
    Keep(Keep),
    /// It is encrypted, with its whole session.
    Seal(Due),
    /// Lines of it go.
    Prune(Due),
    /// It goes.
    Delete(Due),
}

/// Why something stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// A hold covers it.
    Held(HoldRef),
    /// A client has it open.
    Live,
    /// It was touched a moment ago.
    Quiet,
    /// A rule wants it gone, and `keepAtLeast` says not before this moment.
    KeepAtLeast(DateTime<Utc>),
    /// Its time has not come; it will at this moment, by this rule.
    NotDue(DateTime<Utc>, RuleRef),
    /// No rule ever wants it gone.
    NoRule,
    /// The catalogue protects its kind.
    Protected,
    /// The catalogue does not know it.
    Unrecognised,
    /// It has no date.
    Undated,
    /// Its date lies in the future.
    FutureDated,
    /// What it belongs to could not be found out.
    OwnerUnknown,
    /// It is a link.
    Link,
    /// It is another owner's, on another file system, or no regular file.
    Foreign,
    /// The command was told to change other stores only.
    OutOfScope,
}

impl Keep {
    /// The word reports use.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Held(_) => "held",
            Self::Live => "live",
            Self::Quiet => "quiet",
            Self::KeepAtLeast(_) => "keep-at-least",
            Self::NotDue(..) => "not-due",
            Self::NoRule => "no-rule",
            Self::Protected => "protected",
            Self::Unrecognised => "unrecognised",
            Self::Undated => "undated",
            Self::FutureDated => "future-dated",
            Self::OwnerUnknown => "owner-unknown",
            Self::Link => "link",
            Self::Foreign => "foreign",
            Self::OutOfScope => "out-of-scope",
        }
    }
}

/// A demand of a rule whose time has come. Only a plan makes one, so that nothing can be removed
/// that no rule demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    rule: RuleRef,
    since: DateTime<Utc>,
}

impl Due {
    /// The rule that demands it.
    #[must_use]
    pub fn rule(self) -> RuleRef {
        self.rule
    }

    /// Since when.
    #[must_use]
    pub fn since(self) -> DateTime<Utc> {
        self.since
    }
}

/// A decision for every artifact and every line.
#[derive(Debug)]
pub struct Plan {
    /// The moment it was made for.
    pub now: DateTime<Utc>,
    /// One for each artifact of the inventory, in its order.
    pub decisions: Vec<Decision>,
    /// One for each line file of the inventory, in its order: a decision a line.
    pub lines: Vec<Vec<Decision>>,
    /// One for each session of the inventory, in its order.
    pub sessions: Vec<Verdict>,
    /// What a purge does besides; `None` where rules decided.
    pub purge: Option<purge::Extent>,
}

/// What becomes of a session as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What is done with the conversation itself.
    pub decision: Decision,
    /// Its last activity, by the clock the policy names.
    pub date: Option<DateTime<Utc>>,
    /// When it is due for deletion, whatever delays it.
    pub deletion: Option<(DateTime<Utc>, RuleRef)>,
}

/// Decides about everything in an inventory.
#[must_use]
pub fn plan(inventory: &Inventory, policy: &Policy, now: DateTime<Utc>) -> Plan {
    let references = References::new(inventory);
    let judges = judges(inventory, &references, policy, now);
    let verdicts: Vec<Vec<Verdict>> = judges
        .iter()
        .map(|judge| inventory.sessions.iter().map(|session| judge.session(session)).collect())
        .collect();
    let sessions: Vec<Verdict> = (0..inventory.sessions.len())
        .map(|at| {
            let of_mandates = verdicts.iter().filter_map(|verdicts| verdicts.get(at)).copied();
            of_mandates.reduce(Verdict::stronger).unwrap_or(Verdict::NONE)
        })
        .collect();
    let lines: Vec<Vec<Decision>> = inventory
        .line_files
        .iter()
        .map(|file| {
            let store = inventory.store_of(inventory.artifact(file.artifact));
            let decide = |line: &Line| {
                let of_mandates =
                    judges.iter().zip(&verdicts).map(|(judge, of)| judge.line(file, store, line, of));
                strongest(of_mandates)
            };
            file.content.lines.iter().map(decide).collect()
        })
        .collect();
    let mut decisions: Vec<Decision> = inventory
        .artifacts
        .iter()
        .map(|artifact| {
            strongest(
                judges.iter().zip(&verdicts).map(|(judge, of_mandate)| judge.artifact(artifact, of_mandate)),
            )
        })
        .collect();
    for (file, lines) in inventory.line_files.iter().zip(&lines) {
        let decision = &mut decisions[file.artifact.at()];
        if matches!(decision, Decision::Keep(_)) {
            let first = lines.iter().filter_map(|line| line.due()).min_by_key(|due| due.since);
            if let Some(due) = first {
                *decision = Decision::Prune(due);
            }
        }
    }
    Plan { now, decisions, lines, sessions, purge: None }
}

/// One judge a mandate.
fn judges<'a>(
    inventory: &'a Inventory,
    references: &'a References<'a>,
    policy: &'a Policy,
    now: DateTime<Utc>,
) -> Vec<Judge<'a>> {
    policy
        .mandates
        .iter()
        .enumerate()
        .map(|(at, mandate)| Judge {
            inventory,
            references,
            mandate,
            index: u8::try_from(at).unwrap_or(u8::MAX),
            by_kind: mandate
                .layers
                .iter()
                .flat_map(|layer| &layer.rules)
                .any(|rule| rule.selector.kinds.is_some())
                || mandate.holds.iter().any(|hold| hold.selector.kinds.is_some()),
            now,
        })
        .collect()
}

impl Plan {
    /// The same plan without anything that removes: what a doubted clock leaves of it.
    #[must_use]
    pub fn without_removals(mut self) -> Self {
        let keep = |decision: &mut Decision| {
            if let Decision::Delete(due) | Decision::Prune(due) = decision {
                *decision = Decision::Keep(Keep::NotDue(due.since, due.rule));
            }
        };
        self.decisions.iter_mut().for_each(keep);
        self.lines.iter_mut().flatten().for_each(keep);
        self.sessions.iter_mut().for_each(|verdict| keep(&mut verdict.decision));
        self
    }

    /// Whether anything at all would change.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.decisions.iter().all(|decision| matches!(decision, Decision::Keep(_)))
    }
}

impl Decision {
    /// The demand behind it; `None` for what stays.
    #[must_use]
    pub fn due(self) -> Option<Due> {
        match self {
            Self::Keep(_) => None,
            Self::Seal(due) | Self::Prune(due) | Self::Delete(due) => Some(due),
        }
    }

    /// The word reports use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep(_) => "keep",
            Self::Seal(_) => "seal",
            Self::Prune(_) => "prune",
            Self::Delete(_) => "delete",
        }
    }

    fn strength(self) -> u8 {
        match self {
            Self::Keep(_) => 0,
            Self::Seal(_) => 1,
            Self::Prune(_) => 2,
            Self::Delete(_) => 3,
        }
    }

    /// The stronger of two mandates' decisions. Of two that keep, the one that will act first
    /// names the reason; one that never acts has nothing to say.
    fn stronger(self, other: Self) -> Self {
        match (self, other) {
            (Self::Keep(Keep::NotDue(mine, _)), Self::Keep(Keep::NotDue(theirs, _))) => {
                if theirs < mine {
                    other
                } else {
                    self
                }
            }
            (Self::Keep(_), Self::Keep(Keep::NotDue(..))) | (Self::Keep(Keep::NoRule), Self::Keep(_)) => {
                other
            }
            (Self::Keep(_), Self::Keep(_)) => self,
            _ if other.strength() > self.strength() => other,
            (Self::Seal(mine) | Self::Prune(mine) | Self::Delete(mine), _) => match other.due() {
                Some(theirs) if other.strength() == self.strength() && theirs.since < mine.since => other,
                _ => self,
            },
            (Self::Keep(_), _) => self,
        }
    }
}

fn strongest(decisions: impl Iterator<Item = Decision>) -> Decision {
    decisions.reduce(Decision::stronger).unwrap_or(Decision::Keep(Keep::NoRule))
}

impl Verdict {
    const NONE: Self = Self { decision: Decision::Keep(Keep::NoRule), date: None, deletion: None };

    fn stronger(self, other: Self) -> Self {
        let deletion = match (self.deletion, other.deletion) {
            (Some(mine), Some(theirs)) => Some(if theirs.0 < mine.0 { theirs } else { mine }),
            (mine, theirs) => mine.or(theirs),
        };
        Self { decision: self.decision.stronger(other.decision), date: self.date.or(other.date), deletion }
    }
}

/// Who refers to what across the inventory.
struct References<'a> {
    pastes: FxHashMap<(StoreIndex, &'a str), Vec<&'a Line>>,
    /// Stores with a file of references that could not be read.
    unknown: HashSet<StoreIndex>,
    /// Mostly one, but an id may be known in several stores.
    sessions: FxHashMap<SessionId, SmallVec<[usize; 1]>>,
}

impl<'a> References<'a> {
    fn new(inventory: &'a Inventory) -> Self {
        let mut pastes: FxHashMap<_, Vec<&Line>> = FxHashMap::default();
        let mut sessions: FxHashMap<_, SmallVec<[usize; 1]>> =
            FxHashMap::with_capacity_and_hasher(inventory.sessions.len(), FxBuildHasher);
        let mut read = HashSet::new();
        for file in &inventory.line_files {
            let store = inventory.store_of(inventory.artifact(file.artifact));
            read.insert(file.artifact.at());
            for (hash, line) in &file.content.references {
                let line = file.content.lines.get(*line as usize);
                pastes.entry((store, &**hash)).or_default().extend(line);
            }
        }
        for (at, session) in inventory.sessions.iter().enumerate() {
            sessions.entry(session.id).or_default().push(at);
        }
        let unread = inventory
            .artifacts
            .iter()
            .enumerate()
            .filter(|(at, artifact)| artifact.kind == Some(Kind::History) && !read.contains(at));
        let unknown = unread.map(|(_, artifact)| inventory.store_of(artifact)).collect();
        Self { pastes, unknown, sessions }
    }
}

/// One mandate, and what it judges.
struct Judge<'a> {
    inventory: &'a Inventory,
    references: &'a References<'a>,
    mandate: &'a Mandate,
    index: u8,
    /// Whether any rule or hold asks for kinds, so that a session's files may differ.
    by_kind: bool,
    now: DateTime<Utc>,
}

/// What an artifact is judged by.
struct Subject<'s> {
    kind: Kind,
    project: Option<&'s str>,
    session: Option<SessionId>,
}

impl Subject<'_> {
    fn is_selected_by(&self, rule: &Rule) -> bool {
        rule.selector.selects(self.kind, self.project, self.session)
    }
}

impl<'a> Judge<'a> {
    /// The first rule of each layer that matches decides; across layers the earliest date wins.
    fn earliest(
        &self,
        subject: &Subject<'_>,
        date: DateTime<Utc>,
        period: impl Fn(&Rule) -> Option<&Period>,
    ) -> Option<(DateTime<Utc>, RuleRef)> {
        let dues = self.mandate.layers.iter().enumerate().filter_map(|(layer, rules)| {
            let (rule, period) = rules
                .rules
                .iter()
                .enumerate()
                .filter_map(|(at, rule)| Some((at, rule, period(rule)?)))
                .find(|(_, rule, _)| subject.is_selected_by(rule))
                .map(|(at, _, period)| (at, period))?;
            let place = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
            Some((
                period.after(date)?,
                RuleRef { mandate: self.index, layer: place(layer), rule: place(rule) },
            ))
        });
        dues.min_by_key(|(due, _)| *due)
    }

    /// Whether the mandate has no say in a store: the command is for others, or it is excluded.
    fn is_out_of_scope(&self, store: StoreIndex) -> bool {
        let store = &self.inventory.store(store).store;
        !store.in_scope || self.mandate.excluded_stores.iter().any(|excluded| excluded.value == store.root)
    }

    fn held<'p>(
        &self,
        kind: Kind,
        projects: impl Iterator<Item = &'p str> + Clone,
        unknown: bool,
        session: Option<SessionId>,
    ) -> Option<Keep> {
        let hold = self.mandate.holds.iter().position(|hold| {
            hold.is_active(self.now) && hold.selector.covers(kind, projects.clone(), unknown, session)
        })?;
        Some(Keep::Held(HoldRef { mandate: self.index, hold: u16::try_from(hold).unwrap_or(u16::MAX) }))
    }

    fn session_held(&self, session: &Session, kind: Kind) -> Option<Keep> {
        let projects = session.projects.iter().map(|project| &**project);
        // Where a record could not be read, projects may be missing.
        let unknown = session.projects.is_empty() || session.is_unreadable;
        self.held(kind, projects, unknown, Some(session.id))
    }

    /// Whether a moment is within the quiet period, on either side of now.
    fn is_quiet(&self, touched: Option<DateTime<Utc>>) -> bool {
        touched.is_some_and(|touched| {
            let (from, to) = if touched <= self.now { (touched, self.now) } else { (self.now, touched) };
            self.mandate.quiet.value.after(from).is_none_or(|end| to < end)
        })
    }

    /// When `keepAtLeast` lets go of something of this date; `None` if it does already.
    fn floor(&self, date: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let floor = self.mandate.keep_at_least.as_ref()?;
        let end = floor.value.after(date).unwrap_or(DateTime::<Utc>::MAX_UTC);
        (end > self.now).then_some(end)
    }

    /// The last activity of a session, by the clock of the mandate.
    fn date(&self, session: &Session) -> Result<DateTime<Utc>, Keep> {
        if session.is_unreadable {
            return Err(Keep::Undated);
        }
        let by_file = || match session.modified {
            Some(modified) if modified > self.now => Err(Keep::FutureDated),
            Some(modified) => Ok(modified),
            None => Err(Keep::Undated),
        };
        match (session.evidence, self.mandate.age_by.value) {
            (Evidence::Unknown, _) => Err(Keep::OwnerUnknown),
            (Evidence::Orphaned, _) | (_, AgeBy::Mtime) => by_file(),
            (_, AgeBy::Record) => {
                session.newest_record.filter(|date| *date <= self.now).map_or_else(by_file, Ok)
            }
            (_, AgeBy::Newest) => {
                Ok(by_file()?.max(session.newest_record.unwrap_or(DateTime::<Utc>::MIN_UTC)))
            }
        }
    }

    fn session(&self, session: &Session) -> Verdict {
        let date = self.date(session);
        let subject = Subject {
            kind: Kind::Transcript,
            project: session.project.as_deref(),
            session: Some(session.id),
        };
        let deletion =
            date.ok().and_then(|date| self.earliest(&subject, date, |rule| rule.delete_after.as_ref()));
        let decision = self.of_session(session, Kind::Transcript, date, deletion);
        Verdict { decision, date: date.ok(), deletion }
    }

    /// What becomes of a kind of file of a session, once its own due date is known.
    fn of_session(
        &self,
        session: &Session,
        kind: Kind,
        date: Result<DateTime<Utc>, Keep>,
        deletion: Option<(DateTime<Utc>, RuleRef)>,
    ) -> Decision {
        if self.is_out_of_scope(session.store) {
            return Decision::Keep(Keep::OutOfScope);
        }
        if let Some(held) = self.session_held(session, kind) {
            return Decision::Keep(held);
        }
        if session.liveness.is_live() {
            return Decision::Keep(Keep::Live);
        }
        if self.is_quiet(session.touched) || self.is_quiet(session.unsealed) {
            return Decision::Keep(Keep::Quiet);
        }
        let date = match date {
            Ok(date) => date,
            Err(keep) => return Decision::Keep(keep),
        };
        let subject = Subject { kind, project: session.project.as_deref(), session: Some(session.id) };
        let delete = self.timely(date, deletion);
        match delete {
            Decision::Keep(keep) if kind.row().sealable && session.plain > 0 => {
                // What was unsealed counts as touched then, for sealing alone.
                let rested = session.unsealed.map_or(date, |unsealed| unsealed.max(date));
                let sealing = self.earliest(&subject, rested, |rule| rule.seal_after.as_ref());
                match sealing.filter(|(due, _)| *due <= self.now) {
                    Some((since, rule)) => Decision::Seal(Due { rule, since }),
                    None => Decision::Keep(keep),
                }
            }
            other => other,
        }
    }

    /// Deletion when its time has come and the floor lets it.
    fn timely(&self, date: DateTime<Utc>, deletion: Option<(DateTime<Utc>, RuleRef)>) -> Decision {
        match deletion {
            None => Decision::Keep(Keep::NoRule),
            Some((due, rule)) if due > self.now => Decision::Keep(Keep::NotDue(due, rule)),
            Some((since, rule)) => match self.floor(date) {
                Some(end) => Decision::Keep(Keep::KeepAtLeast(end)),
                None => Decision::Delete(Due { rule, since }),
            },
        }
    }

    fn artifact(&self, artifact: &Artifact, verdicts: &[Verdict]) -> Decision {
        match artifact.oddity {
            Oddity::Link => return Decision::Keep(Keep::Link),
            Oddity::Special | Oddity::Foreign => return Decision::Keep(Keep::Foreign),
            Oddity::InUse => return Decision::Keep(Keep::Protected),
            Oddity::None => {}
        }
        let Some(kind) = artifact.kind else { return Decision::Keep(Keep::Unrecognised) };
        let row = kind.row();
        if kind.is_protected() {
            return Decision::Keep(Keep::Protected);
        }
        // Also for a part of a session of another store, such as its temp folder.
        let store = self.inventory.store_of(artifact);
        if self.is_out_of_scope(store) {
            return Decision::Keep(Keep::OutOfScope);
        }
        if let Belongs::Session(index) = artifact.belongs {
            let session = self.inventory.session(index);
            let verdict = verdicts.get(index.at()).copied().unwrap_or(Verdict::NONE);
            return self.part(artifact, kind, session, verdict);
        }
        if row.protection == Protection::UnlessLive && !self.inventory.store(store).live.is_empty() {
            return Decision::Keep(Keep::Live);
        }
        if row.disposal != Disposal::File && kind != Kind::ConfigBackup {
            // The file itself stays; its lines are decided one by one.
            return Decision::Keep(Keep::NoRule);
        }
        if row.owner == Owner::References {
            return self.paste(artifact, kind, verdicts);
        }
        self.loose(artifact, kind)
    }

    /// A file of a session: it goes with the session, or earlier if a rule for its kind says so.
    fn part(&self, artifact: &Artifact, kind: Kind, session: &Session, verdict: Verdict) -> Decision {
        let (mut decision, mut deletion) = (verdict.decision, verdict.deletion);
        if self.by_kind && kind != Kind::Transcript {
            let subject = Subject { kind, project: session.project.as_deref(), session: Some(session.id) };
            let own = verdict
                .date
                .and_then(|date| self.earliest(&subject, date, |rule| rule.delete_after.as_ref()));
            deletion = match (own, verdict.deletion) {
                (Some(own), Some(whole)) => Some(if own.0 < whole.0 { own } else { whole }),
                (own, whole) => own.or(whole),
            };
            let date = match (verdict.date, verdict.decision) {
                (Some(date), _) => Ok(date),
                (None, Decision::Keep(keep)) => Err(keep),
                (None, _) => Err(Keep::Undated),
            };
            // A session is sealed as a whole or not at all, so sealing is not asked again here.
            match self.of_session(session, kind, date, deletion) {
                own @ (Decision::Delete(_) | Decision::Keep(Keep::Held(_))) => decision = own,
                // Its own reason, since it may go sooner than the whole.
                own @ Decision::Keep(_) if matches!(decision, Decision::Keep(_)) => decision = own,
                _ => {}
            }
        }
        match decision {
            // What is not sealed waits for its deletion, whatever delays that.
            Decision::Seal(_) if !artifact.can_be_sealed() => {
                verdict.date.map_or(Decision::Keep(Keep::NoRule), |date| self.timely(date, deletion))
            }
            other => other,
        }
    }

    /// A file of nobody: its own modification time dates it.
    fn loose(&self, artifact: &Artifact, kind: Kind) -> Decision {
        let modified = artifact.stamp.modified.date();
        let project = self.inventory.project_named(artifact);
        let unknown = self.may_be_anyones(artifact, kind);
        if let Some(held) = self.held(kind, project.into_iter(), unknown, None) {
            return Decision::Keep(held);
        }
        let date = match modified {
            None => return Decision::Keep(Keep::Undated),
            _ if self.is_quiet(modified) => return Decision::Keep(Keep::Quiet),
            Some(date) if date > self.now => return Decision::Keep(Keep::FutureDated),
            Some(date) => date,
        };
        let subject = Subject { kind, project, session: None };
        self.timely(date, self.earliest(&subject, date, |rule| rule.delete_after.as_ref()))
    }

    /// Whether a file of nobody may hold any project's content, so that every hold covers it.
    fn may_be_anyones(&self, artifact: &Artifact, kind: Kind) -> bool {
        artifact.project.is_none()
            && kind.row().sensitivity >= crate::catalogue::Sensitivity::Content
            && kind != Kind::OwnLeftover
    }

    /// The history lines that refer to a paste.
    fn referring<'s>(&'s self, artifact: &'s Artifact) -> Option<&'s [&'s Line]> {
        let name = self.inventory.name(artifact).to_str().unwrap_or_default();
        let hash = name.split_once('.').map_or(name, |(hash, _)| hash);
        let key = (self.inventory.store_of(artifact), hash);
        self.references.pastes.get(&key).map(Vec::as_slice)
    }

    /// A paste: held if any line that refers to it is, due at the latest of their dates.
    fn paste(&self, artifact: &Artifact, kind: Kind, verdicts: &[Verdict]) -> Decision {
        let store = self.inventory.store_of(artifact);
        if self.references.unknown.contains(&store) {
            return Decision::Keep(Keep::OwnerUnknown);
        }
        let Some(owners) = self.referring(artifact) else {
            return self.loose(artifact, kind);
        };
        let mut latest: Option<(DateTime<Utc>, DateTime<Utc>, RuleRef)> = None;
        for line in owners {
            if let Some(keep) = self.line_stays(line, kind, store) {
                return Decision::Keep(keep);
            }
            let of_session = self.session_of(line, store).and_then(|at| verdicts.get(at)?.date);
            let Some(date) = of_session.or(line.date) else { return Decision::Keep(Keep::Undated) };
            if date > self.now {
                return Decision::Keep(Keep::FutureDated);
            }
            let subject = Subject { kind, project: line.project.as_deref(), session: line.session };
            match self.earliest(&subject, date, |rule| rule.delete_after.as_ref()) {
                None => return Decision::Keep(Keep::NoRule),
                Some((due, rule)) if latest.is_none_or(|(known, ..)| due > known) => {
                    latest = Some((due, latest.map_or(date, |(_, known, _)| known.max(date)), rule));
                }
                Some((due, rule)) => {
                    latest = latest
                        .map(|(known, newest, by)| (known, newest.max(date), by))
                        .or(Some((due, date, rule)));
                }
            }
        }
        if self.is_quiet(artifact.stamp.modified.date()) {
            return Decision::Keep(Keep::Quiet);
        }
        latest.map_or(Decision::Keep(Keep::NoRule), |(due, date, rule)| self.timely(date, Some((due, rule))))
    }

    /// The session a line names: the one in its own store, else any of that id.
    fn session_of(&self, line: &Line, store: StoreIndex) -> Option<usize> {
        let known = self.references.sessions.get(&line.session?)?;
        let own = known.iter().find(|at| self.inventory.sessions[**at].store == store);
        own.or_else(|| known.first()).copied()
    }

    /// Why a line stays whatever its age: a hold on it, or its session's hold or life.
    fn line_stays(&self, line: &Line, kind: Kind, store: StoreIndex) -> Option<Keep> {
        let projects = line.project.iter().map(|project| &**project);
        if let Some(held) = self.held(kind, projects, line.project.is_none(), line.session) {
            return Some(held);
        }
        let session = &self.inventory.sessions[self.session_of(line, store)?];
        if let Some(held) = self.session_held(session, Kind::Transcript) {
            return Some(held);
        }
        if session.liveness.is_live() {
            return Some(Keep::Live);
        }
        (self.is_quiet(session.touched) || self.is_quiet(session.unsealed)).then_some(Keep::Quiet)
    }

    fn line(&self, file: &LineFile, store: StoreIndex, line: &Line, verdicts: &[Verdict]) -> Decision {
        let session = self.session_of(line, store);
        if self.is_out_of_scope(store) {
            return Decision::Keep(Keep::OutOfScope);
        }
        let is_index = file.content.format == Format::Entries;
        let kind = if is_index { Kind::SessionsIndex } else { Kind::History };
        if let Some(keep) = self.line_stays(line, kind, store) {
            return Decision::Keep(keep);
        }
        let whole = session.and_then(|at| verdicts.get(at));
        match whole.map(|verdict| verdict.decision) {
            Some(Decision::Delete(due)) => return Decision::Delete(due),
            // An entry of an index stays as long as its session does.
            Some(decision) if is_index => {
                return Decision::Keep(match decision {
                    Decision::Keep(keep) => keep,
                    _ => Keep::NoRule,
                });
            }
            None if is_index && !self.inventory.is_complete => return Decision::Keep(Keep::OwnerUnknown),
            _ => {}
        }
        match line.date {
            None => Decision::Keep(Keep::Undated),
            Some(date) if date > self.now => Decision::Keep(Keep::FutureDated),
            Some(date) => {
                let subject = Subject { kind, project: line.project.as_deref(), session: line.session };
                let own = self.timely(date, self.earliest(&subject, date, |rule| rule.delete_after.as_ref()));
                let of_session = whole.and_then(|verdict| match verdict.decision {
                    Decision::Keep(Keep::NotDue(..)) | Decision::Seal(_) => verdict.deletion,
                    Decision::Keep(Keep::KeepAtLeast(end)) => verdict.deletion.map(|(_, rule)| (end, rule)),
                    _ => None,
                });
                match (own, of_session) {
                    // It goes with its session, if that goes sooner.
                    (Decision::Keep(Keep::NotDue(..) | Keep::NoRule), Some((due, rule)))
                        if due > self.now =>
                    {
                        own.stronger(Decision::Keep(Keep::NotDue(due, rule)))
                    }
                    _ => own,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
