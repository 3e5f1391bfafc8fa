//! Sessions as far as a walk has seen them: what a file says about its session is noted while the
//! file is at hand, so that only what needs the whole picture is left when everything was seen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::content::Said;
use super::date;
use super::sealing::{Clocks, Sealing};
use super::transcript::{Facts, Projects};
use super::{Artifact, Evidence, Oddity, PartIndex, ProjectIndex, Session, StoreIndex};
use crate::catalogue::{Kind, SessionId, Slug};
use crate::client::Release;
use crate::seal::manifest::{DatedBy, Manifest};

/// One for each first digit of an id; two threads seldom want the same one.
const SHELVES: usize = 16;

/// There is room for so many sessions, as many as a large store has; what is not used costs nothing.
const ROOM: usize = 14_000;

/// More projects than this are looked for in a set: there may be as many as files or lines.
pub(super) const FEW: usize = 32;

/// Sessions as far as they were seen, by store and id; all threads of a walk add to them.
#[derive(Debug)]
pub(super) struct Parts {
    /// When the walk began.
    now: DateTime<Utc>,
    /// A session is on the shelf that its id says.
    shelves: [Mutex<Shelf>; SHELVES],
}

/// Some of the sessions.
#[derive(Debug)]
struct Shelf {
    list: Vec<Part>,
    by_id: FxHashMap<(StoreIndex, SessionId), u32>,
}

/// The part that a thread noted something in before, which is mostly that of the next file too.
#[derive(Debug, Default)]
pub(super) struct Last(Option<Near>);

#[derive(Debug, Clone, Copy)]
struct Near {
    store: StoreIndex,
    id: SessionId,
    shelf: usize,
    at: usize,
}

/// Where in the one list of all parts those of each shelf are.
#[derive(Debug)]
pub(super) struct Places {
    by_id: [FxHashMap<(StoreIndex, SessionId), u32>; SHELVES],
    starts: [u32; SHELVES],
}

impl Places {
    /// The place of a session of a store, if it was seen.
    pub fn find(&self, store: StoreIndex, id: SessionId) -> Option<u32> {
        let shelf = shelf_of(id);
        let at = self.by_id[shelf].get(&(store, id))?;
        Some(self.starts[shelf].saturating_add(*at))
    }

    /// The place of the part of a number.
    pub fn of(&self, number: PartIndex) -> u32 {
        let (at, shelf) = (number.at() / SHELVES, number.at() % SHELVES);
        self.starts[shelf].saturating_add(u32::try_from(at).unwrap_or(u32::MAX))
    }
}

/// The shelf of an id.
fn shelf_of(id: SessionId) -> usize {
    usize::from(id.first_digit()) % SHELVES
}

impl Parts {
    /// None yet, of a walk that begins now.
    pub fn new(now: DateTime<Utc>) -> Self {
        let by_id = || FxHashMap::with_capacity_and_hasher(ROOM / SHELVES, FxBuildHasher);
        let shelf = |_| Mutex::new(Shelf { list: Vec::with_capacity(ROOM / SHELVES), by_id: by_id() });
        Self { now, shelves: std::array::from_fn(shelf) }
    }

    /// Finds the part of the session that an artifact is of, and lets it know of the artifact.
    pub fn place(
        &self,
        last: &mut Last,
        artifact: &mut Artifact,
        projects: &mut Vec<Arc<str>>,
        store: StoreIndex,
        owner: Option<SessionId>,
        said: &Said,
    ) -> Option<PartIndex> {
        let part = match (artifact.kind, owner) {
            (Some(kind), Some(id)) if kind.is_of_session() => {
                let (number, ()) = self.at(last, store, id, |part| part.take(artifact, kind, said, self.now));
                Some(number)
            }
            // An unknown name in a session's own folder is not the session's, but is counted, and
            // shows that the session is in use.
            (None, Some(id)) => {
                self.at(last, store, id, |part| {
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
        let shelf = self.shelf(shelf_of(id));
        shelf.by_id.get(&(store, id)).is_some_and(|at| shelf.list[*at as usize].session.has_transcript)
    }

    /// Takes note that a folder of a session's own could not be seen whole.
    pub fn misses_files(&self, store: StoreIndex, id: SessionId) {
        self.at(&mut Last::default(), store, id, |part| part.session.unsealable += 1);
    }

    /// Takes note of a sealed copy.
    pub fn show_sealed(&self, store: StoreIndex, id: SessionId) {
        self.at(&mut Last::default(), store, id, |part| {
            if !part.session.is_shown() {
                part.session.evidence = Evidence::Sealed;
            }
        });
    }

    /// Lets the part of a session of a store, which is made if it is new, know of something.
    fn at<T>(
        &self,
        last: &mut Last,
        store: StoreIndex,
        id: SessionId,
        learn: impl FnOnce(&mut Part) -> T,
    ) -> (PartIndex, T) {
        let near = match last.0.filter(|near| near.id == id && near.store == store) {
            Some(near) => near,
            None => {
                let shelf = shelf_of(id);
                Near { store, id, shelf, at: self.shelf(shelf).find_or_add(store, id) }
            }
        };
        last.0 = Some(near);
        let said = learn(&mut self.shelf(near.shelf).list[near.at]);
        (PartIndex::of(near.at * SHELVES + near.shelf), said)
    }

    fn shelf(&self, number: usize) -> MutexGuard<'_, Shelf> {
        self.shelves[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids of all sessions that were seen.
    pub fn ids(&self) -> Vec<SessionId> {
        (0..SHELVES).flat_map(|shelf| self.shelf(shelf).ids()).collect()
    }

    /// The session that a part is of.
    pub fn id_of(&self, number: PartIndex) -> Option<SessionId> {
        let (at, shelf) = (number.at() / SHELVES, number.at() % SHELVES);
        self.shelf(shelf).list.get(at).map(|part| part.session.id)
    }

    /// All in one list, and where in it they are.
    pub fn into_list(self) -> (Vec<Part>, Places) {
        let mut shelves =
            self.shelves.map(|shelf| shelf.into_inner().unwrap_or_else(PoisonError::into_inner));
        let mut list = Vec::with_capacity(shelves.iter().map(|shelf| shelf.list.len()).sum());
        let mut starts = [0; SHELVES];
        for (start, shelf) in starts.iter_mut().zip(&mut shelves) {
            *start = u32::try_from(list.len()).unwrap_or(u32::MAX);
            list.append(&mut std::mem::take(&mut shelf.list));
        }
        let by_id = shelves.map(|shelf| shelf.by_id);
        (list, Places { by_id, starts })
    }
}

impl Shelf {
    fn ids(&self) -> Vec<SessionId> {
        self.list.iter().map(|part| part.session.id).collect()
    }

    fn find_or_add(&mut self, store: StoreIndex, id: SessionId) -> usize {
        let at = self.by_id.entry((store, id)).or_insert_with(|| {
            self.list.push(Part::new(store, id));
            u32::try_from(self.list.len() - 1).unwrap_or(u32::MAX)
        });
        *at as usize
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
