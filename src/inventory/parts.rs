//! Sessions as far as a walk has seen them: what a file says about its session is noted while the
//! file is at hand, so that only what needs the whole picture is left when everything was seen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::content::Said;
use super::date;
use super::sealing::{Clocks, Sealing};
use super::transcript::{Facts, Projects};
use super::{Artifact, Evidence, Oddity, PartIndex, ProjectIndex, Session, StoreIndex};
use crate::catalogue::{Kind, SessionId, Slug};
use crate::client::Release;
use crate::seal::manifest::{DatedBy, Manifest};

/// More projects than this are looked for in a set: there may be as many as files or lines.
pub(super) const FEW: usize = 32;

/// Sessions as far as they were seen, by store and id; all threads of a walk add to them.
#[derive(Debug)]
pub(super) struct Parts {
    /// When the walk began.
    now: DateTime<Utc>,
    // One lock for all threads: sixteen, by the first digit of an id, make a look at a hundred
    // thousand files 3 % shorter at most, and were a hundred lines.
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    list: Vec<Part>,
    by_id: ById,
}

/// The place of each part in the list of all.
pub(super) type ById = FxHashMap<(StoreIndex, SessionId), PartIndex>;

impl Parts {
    /// None yet, of a walk that begins now.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { now, seen: Mutex::default() }
    }

    /// Finds the part of the session that an artifact is of, and lets it know of the artifact.
    pub fn place(
        &self,
        artifact: &mut Artifact,
        projects: &mut Vec<Arc<str>>,
        store: StoreIndex,
        owner: Option<SessionId>,
        said: &Said,
    ) -> Option<PartIndex> {
        let part = match (artifact.kind, owner) {
            (Some(kind), Some(id)) if kind.is_of_session() => {
                Some(self.at(store, id, |part| part.take(artifact, kind, said, self.now)))
            }
            // An unknown name in a session's own folder is not the session's, but is counted, and
            // shows that the session is in use.
            (None, Some(id)) => {
                self.at(store, id, |part| {
                    part.session.unrecognised += 1;
                    part.session.unsealable += u32::from(artifact.oddity == Oddity::OutOfReach);
                    part.session.touch(artifact.modified(), self.now);
                });
                None
            }
            _ => None,
        };
        let project = match said {
            Said::Log(log) => log.projects.first(),
            Said::Facts(facts) if part.is_none() => facts.projects.first(),
            _ => None,
        };
        artifact.project = project.map(|project| {
            projects.push(Arc::clone(project));
            ProjectIndex::of(projects.len() - 1)
        });
        part
    }

    /// Whether a transcript of a session, plain or sealed, was found in a store.
    pub fn has_transcript(&self, store: StoreIndex, id: SessionId) -> bool {
        let seen = self.seen();
        seen.by_id.get(&(store, id)).is_some_and(|at| seen.list[at.at()].session.has_transcript)
    }

    /// Takes note that a folder of a session's own could not be seen whole.
    pub fn misses_files(&self, store: StoreIndex, id: SessionId) {
        self.at(store, id, |part| part.session.unsealable += 1);
    }

    /// Takes note of a sealed copy.
    pub fn show_sealed(&self, store: StoreIndex, id: SessionId) {
        self.at(store, id, |part| {
            if !part.session.is_shown() {
                part.session.evidence = Evidence::Sealed;
            }
        });
    }

    /// Lets the part of a session of a store, which is made if it is new, know of something.
    fn at(&self, store: StoreIndex, id: SessionId, learn: impl FnOnce(&mut Part)) -> PartIndex {
        let mut seen = self.seen();
        let Seen { list, by_id } = &mut *seen;
        let at = *by_id.entry((store, id)).or_insert_with(|| {
            list.push(Part::new(store, id));
            PartIndex::of(list.len() - 1)
        });
        learn(&mut list[at.at()]);
        at
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids of all sessions that were seen.
    pub fn ids(&self) -> Vec<SessionId> {
        self.seen().list.iter().map(|part| part.session.id).collect()
    }

    /// The session that a part is of.
    pub fn id_of(&self, number: PartIndex) -> Option<SessionId> {
        self.seen().list.get(number.at()).map(|part| part.session.id)
    }

    /// All in one list, and where in it they are.
    pub fn into_list(self) -> (Vec<Part>, ById) {
        let Seen { list, by_id } = self.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        (list, by_id)
    }
}

/// Which file told the project of a session; the later ones are believed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Teller {
    #[default]
    Nobody,
    Subagent,
    Transcript,
}

/// The date of a copy: a record's goes before any modification time.
type CopyDate = Option<(bool, DateTime<Utc>)>;

/// What was seen of one session in one store.
#[derive(Debug)]
pub(super) struct Part {
    /// The session, as if this were all of it; shown by a transcript, by a sealed copy, or unknown.
    pub session: Session,
    /// What told the projects that rules go by.
    // Threads meet copies in any order, so that the newest is known only by its date.
    told_by: (Teller, CopyDate),
    /// What it told, as often as copies did.
    told: SmallVec<[Arc<str>; 1]>,
    /// Projects beyond the first few, of which there may be as many as files.
    further: FxHashSet<Arc<str>>,
    /// The newest modification time of any of its files.
    pub latest: Option<DateTime<Utc>>,
    /// How many files it has here.
    pub files: u32,
}

impl Part {
    pub fn new(store: StoreIndex, id: SessionId) -> Self {
        Self {
            session: Session::new(store, id),
            told_by: Default::default(),
            told: SmallVec::new(),
            further: FxHashSet::default(),
            latest: None,
            files: 0,
        }
    }

    /// Whether a transcript or a sealed copy shows that there is such a session here.
    pub fn is_shown(&self) -> bool {
        self.session.is_shown()
    }

    /// The session, once all parts of it are one.
    pub fn into_session(self, is_complete: bool) -> Session {
        let mut session = self.session;
        session.may_be_of(self.told.iter());
        if !self.further.is_empty() {
            session.learn_all(&self.further.into_iter().collect());
        }
        if !session.is_shown() {
            session.evidence = if is_complete { Evidence::Orphaned } else { Evidence::Unknown };
            // Without a transcript, all of its files date it.
            session.modified = self.latest;
        }
        session.sort_projects();
        session
    }

    /// Takes note of a file.
    fn take(&mut self, artifact: &Artifact, kind: Kind, said: &Said, now: DateTime<Utc>) {
        let modified = artifact.modified();
        let session = &mut self.session;
        self.files += 1;
        self.latest = self.latest.max(modified);
        let is_record = kind == Kind::SealedRecord;
        session.is_desktop_deleted |=
            kind == Kind::DesktopTombstone || matches!(said, Said::Released(Release::Deleted));
        // A record tells of the sealing, not of the conversation.
        if !is_record {
            session.touch(modified, now);
        }
        session.sealed += u32::from(artifact.sealed && !is_record);
        // A link of that name, or another's file, shows nothing.
        session.has_transcript |= kind == Kind::Transcript && artifact.oddity == Oddity::None;
        // What was a transcript before it was sealed is dated by the record.
        if kind == Kind::Transcript && !artifact.sealed {
            session.evidence = Evidence::Transcript;
            session.modified = session.modified.max(modified);
        }
        match said {
            Said::Facts(facts) => {
                let damaged = modified.filter(|date| facts.is_damaged && *date <= now);
                self.hear(facts, kind, modified, damaged);
            }
            Said::Pid(record) => session.touch(record.started_at, now),
            Said::Manifest(record) => self.read_record(record, now),
            Said::Released(release) => session.released = Some(session.soonest(*release)),
            Said::Unreadable => session.is_unreadable = true,
            _ if kind == Kind::Transcript => {
                session.is_unreadable |= artifact.oddity != Oddity::None;
                session.is_foreign |= artifact.oddity == Oddity::Foreign;
            }
            _ => {}
        }
    }

    /// Takes in what is known of the same session elsewhere.
    pub fn join(&mut self, other: Self) {
        let Self { session: theirs, told_by, told, further, latest, files } = other;
        self.is_told(told_by, told.iter());
        self.learn(&theirs.projects);
        self.further.extend(further);
        let mine = &mut self.session;
        let clocks = [mine.clocks(), theirs.clocks()];
        Sealing::join(&mut mine.sealing, theirs.sealing.clone(), clocks);
        mine.evidence = match (mine.evidence, theirs.evidence) {
            (Evidence::Transcript, _) | (_, Evidence::Transcript) => Evidence::Transcript,
            (Evidence::Sealed, _) | (_, Evidence::Sealed) => Evidence::Sealed,
            (mine, _) => mine,
        };
        mine.newest_record = mine.newest_record.max(theirs.newest_record);
        mine.stranger = mine.stranger.into_iter().chain(theirs.stranger).min();
        mine.later.add(theirs.later.dates().iter().copied());
        mine.modified = mine.modified.max(theirs.modified);
        mine.damaged = mine.damaged.max(theirs.damaged);
        mine.touched = mine.touched.max(theirs.touched);
        mine.touched_ahead = [mine.touched_ahead, theirs.touched_ahead].into_iter().flatten().min();
        // Doubt about a part is doubt about the whole.
        mine.is_unreadable |= theirs.is_unreadable;
        mine.is_foreign |= theirs.is_foreign;
        mine.is_desktop |= theirs.is_desktop;
        mine.is_desktop_deleted |= theirs.is_desktop_deleted;
        mine.released = theirs.released.map_or(mine.released, |release| Some(mine.soonest(release)));
        mine.untried = mine.untried.max(theirs.untried);
        mine.has_record |= theirs.has_record;
        mine.unsealable += theirs.unsealable;
        mine.talks |= theirs.talks;
        mine.learn_slugs(&theirs.slugs);
        mine.sealed += theirs.sealed;
        mine.unrecognised += theirs.unrecognised;
        self.latest = self.latest.max(latest);
        self.files += files;
    }

    /// Takes what the record of a sealed session says.
    fn read_record(&mut self, record: &Manifest, now: DateTime<Utc>) {
        let by_record = record.last_activity_from != Some(DatedBy::Mtime);
        let own: Vec<&String> = record.project.iter().chain(&record.rivals).collect();
        let own = if own.is_empty() { record.cwds.iter().collect() } else { own };
        let projects: Vec<Arc<str>> = own.into_iter().map(|project| Arc::from(project.as_str())).collect();
        // Anybody can write the record: a date that cannot be is none.
        let last_activity = record.last_activity.and_then(date::valid);
        let date = last_activity.map(|date| (by_record, date));
        self.is_told((Teller::Transcript, date), projects.iter());
        let session = &mut self.session;
        let plain = session.clocks();
        session.is_desktop |= record.desktop;
        session.is_desktop_deleted |= record.desktop_deleted;
        let cwds = record.cwds.iter().map(|cwd| Arc::from(cwd.as_str()));
        session.learn_all(&projects.iter().cloned().chain(cwds).collect());
        // What lay ahead when it was sealed dates it once it is past.
        let (past, later): (Vec<_>, Vec<_>) =
            record.later.iter().copied().filter_map(date::valid).partition(|date| *date <= now);
        // Satellites without a transcript are dated as a whole, not by what a subagent among them said.
        let is_of_satellites = record.files.iter().all(|file| file.kind != Kind::Transcript);
        let by_records = last_activity.filter(|_| by_record || is_of_satellites).max(past.into_iter().max());
        session.later.add(later);
        let transcripts = record.files.iter().filter(|file| file.kind == Kind::Transcript);
        session.learn_slugs(&record.slugs);
        session.has_transcript |= transcripts.clone().next().is_some();
        let modified = transcripts.filter_map(|file| date::valid(file.mtime)).max();
        // Where nothing but a file's date was known, it is that of before the session was unsealed
        // and touched; else the dates of the files are, as for a session that is not sealed.
        let modified = if by_record { modified.or(last_activity) } else { last_activity.or(modified) };
        let claimed = Clocks { record: by_records, modified };
        session.newest_record = session.newest_record.max(claimed.record);
        session.modified = session.modified.max(claimed.modified);
        session.sealing = Some(Box::new(Sealing::of(record, claimed, plain)));
        session.has_record = true;
    }

    fn hear(
        &mut self,
        facts: &Facts,
        kind: Kind,
        modified: Option<DateTime<Utc>>,
        damaged: Option<DateTime<Utc>>,
    ) {
        let teller = if kind == Kind::Transcript { Teller::Transcript } else { Teller::Subagent };
        let newest = facts.newest.max(damaged);
        let date = newest.map(|date| (true, date)).or(modified.map(|date| (false, date)));
        self.is_told((teller, date), facts.projects.first().into_iter());
        let session = &mut self.session;
        session.newest_record = session.newest_record.max(facts.newest);
        if facts.session.is_some_and(|id| id != session.id) {
            session.stranger = session.stranger.into_iter().chain(facts.newest).min();
        }
        session.later.add(facts.later.dates().iter().copied());
        session.damaged = session.damaged.max(damaged);
        session.untried = session.untried.max(facts.untried);
        session.is_desktop |= facts.is_desktop && kind == Kind::Transcript;
        session.talks |= facts.talks && kind == Kind::Transcript;
        self.learn(&facts.projects);
    }

    /// Learns of projects.
    fn learn(&mut self, projects: &Projects) {
        if self.session.projects.len() < FEW {
            self.session.learn_all(projects);
        } else {
            let known = &self.session.projects;
            self.further.extend(projects.iter().filter(|project| !known.contains(project)).cloned());
        }
    }

    /// Takes the projects of a copy for those that rules go by, if none that is newer told others.
    fn is_told<'p>(&mut self, by: (Teller, CopyDate), projects: impl Iterator<Item = &'p Arc<str>>) {
        let mut projects = projects.peekable();
        if projects.peek().is_none() || by < self.told_by {
            return;
        }
        if by > self.told_by {
            self.told_by = by;
            self.told.clear();
            self.session.is_told = by.0 == Teller::Transcript;
        }
        let known = self.told.last().cloned();
        self.told.extend(projects.filter(|project| known.as_ref() != Some(*project)).cloned());
    }
}

impl Session {
    fn soonest(&self, release: Release) -> Release {
        self.released.map_or(release, |known| known.sooner(release))
    }

    /// Whether a transcript or a sealed copy shows that there is such a session.
    pub fn is_shown(&self) -> bool {
        matches!(self.evidence, Evidence::Transcript | Evidence::Sealed)
    }

    /// Takes projects for such that rules may go by; the first by name is the one that is shown.
    pub(super) fn may_be_of<'p>(&mut self, projects: impl Iterator<Item = &'p Arc<str>>) {
        let mut all: SmallVec<[Arc<str>; 1]> = self.rule_projects().cloned().collect();
        all.extend(projects.cloned());
        all.sort_unstable();
        all.dedup();
        let mut all = all.into_iter();
        self.project = all.next();
        // Mostly there is one, and an empty list of its own would be an allocation.
        if all.len() > 0 {
            self.rivals = all.collect();
        }
    }

    /// Takes note of a moment at which something of it was touched.
    fn touch(&mut self, moment: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        match moment {
            Some(ahead) if ahead > now => {
                self.touched_ahead = Some(self.touched_ahead.map_or(ahead, |known| known.min(ahead)));
            }
            moment => self.touched = self.touched.max(moment),
        }
    }

    /// Its last activity by its records, or by its files where no record is dated, whatever a policy prefers.
    pub fn activity(&self) -> Option<(DateTime<Utc>, DatedBy)> {
        // A damaged end may have been the newest record, so it counts with either.
        let (date, by) = self.said_of_activity();
        Some((date.or(self.first_seen)?, by))
    }

    /// Whether neither a record nor a file dates it.
    pub(super) fn is_undated(&self) -> bool {
        self.said_of_activity().0.is_none()
    }

    fn said_of_activity(&self) -> (Option<DateTime<Utc>>, DatedBy) {
        match self.newest_record {
            Some(record) if self.evidence != Evidence::Orphaned => {
                (Some(record).max(self.damaged), DatedBy::Record)
            }
            // A transcript that is out of sight still dates them.
            _ if self.before.is_some() => {
                let before = self.before.as_deref().and_then(|before| before.record.or(before.modified));
                (self.modified.max(before), DatedBy::Mtime)
            }
            _ => (self.modified.max(self.damaged), DatedBy::Mtime),
        }
    }

    /// Learns of slugs that records name.
    pub(super) fn learn_slugs(&mut self, slugs: &[Slug]) {
        if slugs.iter().all(|slug| self.slugs.contains(slug)) {
            return;
        }
        let mut all: Vec<Slug> = self.slugs.iter().chain(slugs).copied().collect();
        all.sort_unstable();
        all.dedup();
        self.slugs = all.into();
    }

    /// Puts the projects in an order that no thread decides.
    pub(super) fn sort_projects(&mut self) {
        if !self.projects.is_sorted() {
            let mut sorted = self.projects.to_vec();
            sorted.sort_unstable();
            self.projects = sorted.into();
        }
    }

    /// Learns of projects; mostly they are those it knows.
    pub(super) fn learn_all(&mut self, projects: &Projects) {
        if self.projects.is_empty() {
            self.projects = Arc::clone(projects);
            return;
        }
        if projects.len() > FEW {
            let known: FxHashSet<&Arc<str>> = self.projects.iter().collect();
            let new: FxHashSet<_> = projects.iter().filter(|project| !known.contains(project)).collect();
            self.projects = self.projects.iter().chain(new).cloned().collect();
            return;
        }
        let new = projects.iter().filter(|project| !self.projects.contains(project));
        if new.clone().next().is_some() {
            let new: Vec<_> = new.cloned().collect();
            self.projects = self.projects.iter().cloned().chain(new).collect();
        }
    }
}
