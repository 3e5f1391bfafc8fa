//! What was seen of one session in one store: each file adds what it says.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use super::content::Said;
use super::date;
use super::sealing::{Clocks, Sealing};
use super::transcript::{Facts, Projects};
use super::{Artifact, Evidence, Oddity, Session, StoreIndex};
use crate::catalogue::{Kind, SessionId};
use crate::client::Release;
use crate::seal::manifest::{DatedBy, Manifest};

/// More projects than this are looked for in a set: there may be as many as files or lines.
pub(super) const FEW: usize = 32;

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
    /// Whether a copy that is as new as any may be of a project that nobody read.
    lacks_told: bool,
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
            lacks_told: false,
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
        session.project_in_doubt = self.lacks_told;
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
    pub fn take(&mut self, artifact: &Artifact, kind: Kind, said: &Said, now: DateTime<Utc>) {
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
        let Self { session: theirs, told_by, told, lacks_told, further, latest, files } = other;
        self.is_told(told_by, told.iter(), lacks_told);
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
        mine.lacks_projects |= theirs.lacks_projects;
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
        // The folders that holds go by do not tell what nobody read before it was sealed.
        let own = projects.iter().filter(|_| !record.project_in_doubt || record.project.is_some());
        self.is_told((Teller::Transcript, date), own, record.project_in_doubt);
        let session = &mut self.session;
        let plain = session.clocks();
        session.lacks_projects |= record.lacks_projects;
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
        self.is_told((teller, date), facts.project().into_iter(), facts.lacks_first_project);
        let session = &mut self.session;
        session.newest_record = session.newest_record.max(facts.newest);
        if facts.session.is_some_and(|id| id != session.id) {
            session.stranger = session.stranger.into_iter().chain(facts.newest).min();
        }
        session.lacks_projects |= facts.lacks_first_project;
        session.later.add(facts.later.dates().iter().copied());
        session.damaged = session.damaged.max(damaged);
        session.untried = session.untried.max(facts.untried);
        session.is_desktop |= facts.is_desktop && kind == Kind::Transcript;
        session.talks |= facts.talks && kind == Kind::Transcript;
        self.learn(&facts.projects);
    }

    fn learn(&mut self, projects: &Projects) {
        if self.session.projects.len() < FEW {
            self.session.learn_all(projects);
        } else {
            let known = &self.session.projects;
            self.further.extend(projects.iter().filter(|project| !known.contains(project)).cloned());
        }
    }

    /// Takes the projects of a copy for those that rules go by, if none that is newer told others; it may lack one.
    fn is_told<'p>(
        &mut self,
        by: (Teller, CopyDate),
        projects: impl Iterator<Item = &'p Arc<str>>,
        lacks_one: bool,
    ) {
        let mut projects = projects.peekable();
        if projects.peek().is_none() && !lacks_one || by < self.told_by {
            return;
        }
        if by > self.told_by {
            self.told_by = by;
            self.told.clear();
            self.lacks_told = false;
            self.session.is_told = by.0 == Teller::Transcript;
        }
        self.lacks_told |= lacks_one;
        let known = self.told.last().cloned();
        self.told.extend(projects.filter(|project| known.as_ref() != Some(*project)).cloned());
    }
}
