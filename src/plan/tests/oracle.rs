//! What must go, decided a second time and in another way.

mod shared;

use chrono::{DateTime, Utc};

pub(super) use shared::{is_paste, lacks_references, referring};

use super::*;

/// The oracle: one mandate and what it says of each thing.
pub(super) struct Demand<'a> {
    pub(super) of: &'a Mandate,
    pub(super) inventory: &'a Inventory,
    pub(super) now: DateTime<Utc>,
}

impl Demand<'_> {
    pub(super) fn may_touch(&self, store: StoreIndex) -> bool {
        self.inventory.store(store).store.in_scope && !self.leaves_out(store)
    }

    pub(super) fn leaves_out(&self, store: StoreIndex) -> bool {
        let store = &self.inventory.store(store).store;
        store.is_excluded || self.of.excluded_stores.iter().any(|excluded| excluded.value == store.root)
    }

    /// A file may be touched where it lies, and where it lay before it was sealed.
    pub(super) fn may_touch_file(&self, artifact: &Artifact) -> bool {
        let from = self.inventory.origin(artifact);
        let mut left_out: Vec<&std::path::Path> =
            self.of.excluded_stores.iter().map(|excluded| excluded.value.as_path()).collect();
        let stores = self.inventory.stores.iter();
        left_out.extend(stores.filter(|view| view.store.is_excluded).map(|view| view.store.root.as_path()));
        let store = self.inventory.store_of(artifact);
        self.may_touch(store)
            && !self.is_reached_by_left_out(store)
            && from.is_none_or(|from| !from.ancestors().any(|above| left_out.contains(&above)))
    }

    /// Whether a store that is left out reaches the folders of another, too.
    fn is_reached_by_left_out(&self, store: StoreIndex) -> bool {
        let mut all = (0..self.inventory.stores.len()).map(StoreIndex::of);
        let reached = &self.inventory.store(store).store.crossings.reached_from;
        all.any(|at| {
            let root = &self.inventory.store(at).store.root;
            self.leaves_out(at) && reached.iter().any(|(_, from)| from == root)
        })
    }

    /// Whether its transcript lies where a store that is left out reaches it.
    fn is_shared_with_left_out(&self, session: &Session) -> bool {
        let mut files = self.inventory.files(session).iter().map(|index| self.inventory.artifact(*index));
        // Two stores with a transcript of one id have two sessions.
        !self.inventory.store(session.store).store.crossings.reached_from.is_empty()
            && files.any(|file| {
                file.kind == Some(Kind::Transcript)
                    && self.is_reached_by_left_out(self.inventory.store_of(file))
            })
    }

    /// A session with a transcript is of its store, satellites alone of every one that they lie in or come from.
    pub(super) fn may_touch_session(&self, session: &Session) -> bool {
        let files = self.inventory.files(session).iter().map(|index| self.inventory.artifact(*index));
        let files: Vec<&Artifact> = files.filter(|file| file.kind != Some(Kind::SealedRecord)).collect();
        if self.is_conversation(session) || files.is_empty() {
            return self.may_touch(session.store) && !self.is_shared_with_left_out(session);
        }
        files.into_iter().any(|file| self.may_touch_file(file))
    }

    fn is_conversation(&self, session: &Session) -> bool {
        let mut files = self.inventory.files(session).iter().map(|index| self.inventory.artifact(*index));
        let is_transcript =
            |file: &Artifact| file.kind == Some(Kind::Transcript) && file.oddity == Oddity::None;
        session.evidence == Evidence::Transcript || is_shown(session) && files.any(is_transcript)
    }

    /// Satellites are sealed where they lie, or with their transcript, and those of a temp tree in a config store; links
    /// are where there is anything else.
    pub(super) fn has_place(&self, artifact: &Artifact, session: &Session) -> bool {
        let store = self.inventory.store_of(artifact);
        let is_temp = |at: StoreIndex| self.inventory.store(at).store.kind == crate::catalogue::Root::Temp;
        if self.is_conversation(session) {
            return self.may_touch(session.store) && (store == session.store || is_temp(store));
        }
        if is_temp(store) {
            let mut all = (0..self.inventory.stores.len()).map(StoreIndex::of);
            return all.any(|at| !is_temp(at) && self.may_touch(at));
        }
        let mut files = self.inventory.files(session).iter().map(|index| self.inventory.artifact(*index));
        let is_beside = |file: &Artifact| {
            let is_file = file.sealed || file.is_regular() && file.can_be_sealed();
            is_file && self.inventory.store_of(file) == store
        };
        self.may_touch(store) && (artifact.is_regular() || files.any(is_beside))
    }

    /// Whether a session is of a store that the mandate leaves out, so that it knows nothing of what
    /// belongs to it elsewhere.
    pub(super) fn is_unknown(&self, session: &Session) -> bool {
        match &session.before {
            None => {
                is_shown(session) && (self.leaves_out(session.store) || self.is_shared_with_left_out(session))
            }
            Some(before) => {
                let root = std::path::Path::new(&before.root);
                let of_root = (0..self.inventory.stores.len()).map(StoreIndex::of);
                of_root
                    .filter(|at| self.inventory.store(*at).store.root == root)
                    .any(|at| self.leaves_out(at))
            }
        }
    }

    pub(super) fn holds(&self, kind: Kind, projects: &[&str], unknown: bool, id: Option<SessionId>) -> bool {
        self.of.holds.iter().any(|hold| {
            hold.until.is_none_or(|until| until > self.now)
                && hold.selector.covers(kind, projects.iter().copied(), unknown, id)
        })
    }

    pub(super) fn holds_session(&self, session: &Session, kind: Kind) -> bool {
        let projects: Vec<&str> = session.projects.iter().map(|project| &**project).collect();
        let unknown = projects.is_empty() || session.is_unreadable;
        self.holds(kind, &projects, unknown, Some(session.id))
    }

    pub(super) fn is_quiet(&self, touched: Option<DateTime<Utc>>) -> bool {
        let Some(touched) = touched else { return false };
        let distance = (self.now - touched).abs();
        match self.of.quiet.value.length() {
            crate::period::Length::Immediately => false,
            crate::period::Length::Span(span) => distance < span,
            crate::period::Length::Never => true,
        }
    }

    /// When a session was unsealed, by the user's own state: that protects for a day past the date of a managed rule.
    pub(super) fn unsealed(&self, session: &Session, due: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        let counts = !self.of.is_managed || due.is_none_or(|due| self.now < due + chrono::TimeDelta::days(1));
        session.unsealed.filter(|_| counts)
    }

    /// The earliest of what the rules want with a session as a whole, whatever is in the way.
    fn first_due(&self, session: &Session) -> Option<DateTime<Utc>> {
        let date = self.date(session)?;
        let delete = self.session_due(Kind::Transcript, session, date);
        delete.into_iter().chain(self.seal_due(session, date)).min()
    }

    /// Whether a client that counts has it open: what cannot be checked is the user's word.
    pub(super) fn is_live(&self, session: &Session) -> bool {
        let liveness = if self.of.is_managed { session.checked } else { session.liveness };
        liveness.is_live()
    }

    pub(super) fn touches(&self, session: &Session) -> [Option<DateTime<Utc>>; 3] {
        [session.touched, session.touched_ahead, self.unsealed(session, self.first_due(session))]
    }

    pub(super) fn is_in_use(&self, session: &Session) -> bool {
        self.is_live(session) || self.touches(session).iter().any(|at| self.is_quiet(*at))
    }

    /// Whether a client that counts runs in any of these stores.
    fn has_clients<'v>(&self, mut stores: impl Iterator<Item = &'v StoreView>) -> bool {
        stores.any(|view| view.live.iter().any(|client| client.is_checked || !self.of.is_managed))
    }

    /// Whether what is nobody's in a temp tree may be of a store of which nothing may be changed.
    pub(super) fn is_out_of_reach(&self, store: StoreIndex) -> bool {
        let lacks_own = |view: &StoreView| {
            view.store
                .crossings
                .out_of_reach
                .iter()
                .any(|missed| missed.path == std::path::Path::new("ccretain"))
        };
        self.inventory.store(store).store.kind == crate::catalogue::Root::Temp
            && self.inventory.stores.iter().any(lacks_own)
    }

    /// Whether a store that is left out looks as if a volume with transcripts were not mounted.
    pub(super) fn may_lack_transcripts(&self) -> bool {
        let mut all = (0..self.inventory.stores.len()).map(StoreIndex::of);
        all.any(|at| self.inventory.store(at).has_empty_projects && self.leaves_out(at))
    }

    pub(super) fn date(&self, session: &Session) -> Option<DateTime<Utc>> {
        if session.is_unreadable || session.evidence == Evidence::Unknown {
            return None;
        }
        let file = session.modified.filter(|date| *date <= self.now);
        if session.evidence == Evidence::Orphaned {
            let Some(before) = &session.before else {
                if self.may_lack_transcripts() {
                    return None;
                }
                return if session.modified.is_none() { session.first_seen } else { file };
            };
            let goes_by_file = self.of.age_by.value != AgeBy::Record || before.record.is_none();
            if goes_by_file && before.modified > Some(self.now) {
                return None;
            }
            let transcript = match self.of.age_by.value {
                AgeBy::Mtime => before.modified.or(before.record)?,
                AgeBy::Record => before.record.or(before.modified)?,
                AgeBy::Newest => before.modified.into_iter().chain(before.record).max()?,
            };
            return match session.modified {
                Some(modified) if modified > self.now => None,
                modified => Some(modified.map_or(transcript, |modified| modified.max(transcript))),
            };
        }
        let record = session.newest_record.filter(|date| *date <= self.now);
        if record.is_some() && self.of.age_by.value == AgeBy::Record {
            return record.max(session.damaged);
        }
        // A file's own time in the future is no reason to go by another.
        if session.modified > Some(self.now) {
            return None;
        }
        match self.of.age_by.value {
            AgeBy::Mtime if file.is_some() => file,
            _ => [file, record, session.damaged].into_iter().flatten().max().or(session.first_seen),
        }
    }

    pub(super) fn due(
        &self,
        kind: Kind,
        project: Option<&str>,
        id: Option<SessionId>,
        is_deleted: bool,
        date: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        self.due_of(|rule| rule.delete_after.as_ref(), kind, project, id, is_deleted, date)
    }

    fn due_of(
        &self,
        period: impl Fn(&Rule) -> Option<&Period>,
        kind: Kind,
        project: Option<&str>,
        id: Option<SessionId>,
        is_deleted: bool,
        date: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let mut earliest: Option<DateTime<Utc>> = None;
        for layer in &self.of.layers {
            for rule in &layer.rules {
                let Some(period) = period(rule) else { continue };
                if rule.selector.selects_deleted(kind, project, id)
                    && (is_deleted || !rule.selector.desktop_deleted)
                {
                    if let Some(due) = period.after(date) {
                        earliest = Some(earliest.map_or(due, |known| known.min(due)));
                    }
                    break;
                }
            }
        }
        earliest
    }

    /// The latest of the due dates by the projects that are equally the session's; never, if by any
    /// of them it is never due.
    pub(super) fn session_due(
        &self,
        kind: Kind,
        session: &Session,
        date: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        self.session_due_of(|rule| rule.delete_after.as_ref(), kind, session, date)
    }

    /// The same for sealing.
    pub(super) fn seal_due(&self, session: &Session, date: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.session_due_of(|rule| rule.seal_after.as_ref(), Kind::Transcript, session, date)
    }

    fn session_due_of(
        &self,
        period: impl Fn(&Rule) -> Option<&Period> + Copy,
        kind: Kind,
        session: &Session,
        date: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let mut projects: Vec<Option<&str>> = vec![session.project.as_deref()];
        projects.extend(session.rivals.iter().map(|project| Some(&**project)));
        let dues: Option<Vec<_>> = projects
            .into_iter()
            .map(|project| {
                self.due_of(period, kind, project, Some(session.id), session.is_desktop_deleted, date)
            })
            .collect();
        dues?.into_iter().max()
    }

    pub(super) fn is_old_enough(&self, date: DateTime<Utc>) -> bool {
        self.of
            .keep_at_least
            .as_ref()
            .is_none_or(|floor| floor.value.after(date).is_some_and(|end| end <= self.now))
    }

    pub(super) fn part_goes(&self, session: &Session, kind: Kind) -> bool {
        let kind = of_whole(kind);
        if !self.may_touch_session(session)
            || self.is_unknown(session)
            || self.holds_session(session, kind)
            || self.is_in_use(session)
        {
            return false;
        }
        let Some(date) = self.date(session) else { return false };
        self.is_old_enough(date)
            && [Kind::Transcript, kind]
                .into_iter()
                .filter_map(|kind| self.session_due(kind, session, date))
                .any(|due| due <= self.now)
    }

    pub(super) fn loose_goes(&self, artifact: &Artifact, kind: Kind) -> bool {
        let store = self.inventory.store_of(artifact);
        let view = self.inventory.store(store);
        let live = kind != Kind::DaemonFile && self.has_clients(std::iter::once(view));
        let in_lines = kind.row().disposal != Disposal::File && kind != Kind::ConfigBackup;
        let is_hidden = kind.row().owner == Owner::Session && !self.inventory.is_complete;
        let is_someones = kind.row().owner == Owner::Content && kind != Kind::PidFile || is_hidden;
        if is_someones || in_lines || (kind.row().protection == Protection::UnlessLive && live) {
            return false;
        }
        let project = self.inventory.project_named(artifact);
        // Metadata is nobody's, but for a pointer to a remote session, which is of some project by its place.
        let may_be_anyones = kind.row().sensitivity >= Sensitivity::Content || kind == Kind::BridgePointer;
        let unknown = project.is_none() && may_be_anyones && kind != Kind::OwnLeftover;
        let projects: Vec<&str> = project.into_iter().collect();
        let modified = artifact.modified();
        if self.holds(kind, &projects, unknown, None) || self.is_quiet(modified) {
            return false;
        }
        modified.filter(|date| *date <= self.now).is_some_and(|date| {
            self.is_old_enough(date)
                && self.due(kind, project, None, false, date).is_some_and(|due| due <= self.now)
        })
    }

    pub(super) fn artifact_goes(&self, artifact: &Artifact) -> bool {
        let Some(kind) = artifact.kind else { return false };
        // A background session goes whole with its conversation, and before it only once it is over.
        let is_job_in_use = kind == Kind::Job && artifact.oddity == Oddity::InUse;
        let goes_whole = |session: &Session| !is_job_in_use || self.part_goes(session, Kind::Transcript);
        if kind.is_protected()
            || artifact.oddity != Oddity::None && !is_job_in_use
            || !self.may_touch_file(artifact)
        {
            return false;
        }
        match self.inventory.session_of(artifact) {
            Some(session) => self.part_goes(session, kind) && goes_whole(session),
            None if is_job_in_use || self.is_out_of_reach(self.inventory.store_of(artifact)) => false,
            None if kind == Kind::Plan && !self.owners(artifact).is_empty() => {
                self.plan_due(artifact).is_some()
            }
            None if self.inventory.logs.contains_key(&artifact.key()) => self.log_goes(artifact, kind),
            None if is_paste(artifact) && !referring(self.inventory, artifact).is_empty() => {
                self.paste_due(artifact, kind).is_some()
            }
            None if is_paste(artifact)
                && lacks_references(self.inventory, self.inventory.store_of(artifact)) =>
            {
                false
            }
            None => self.loose_goes(artifact, kind),
        }
    }

    pub(super) fn line_goes(&self, file: &LineFile, line: &Line) -> bool {
        let store = self.inventory.store_of(self.inventory.artifact(file.artifact));
        if !self.may_touch(store) || self.is_out_of_reach(store) {
            return false;
        }
        let is_index = file.content.format == Format::Entries;
        let kind = if is_index { Kind::SessionsIndex } else { Kind::History };
        let session = self.session_named(line, store);
        if self.holds_line(kind, line, session) {
            return false;
        }
        if let Some(session) = session {
            let is_in_use = self.holds_session(session, Kind::Transcript) || self.is_in_use(session);
            if is_in_use || self.is_unknown(session) {
                return false;
            }
            if self.part_goes(session, Kind::Transcript) {
                return true;
            }
            if is_index {
                return false;
            }
        }
        if session.is_none() && is_index && (line.session.is_none() || !self.inventory.is_complete) {
            return false;
        }
        line.date.filter(|date| *date <= self.now).is_some_and(|date| {
            let due = self.line_due(kind, line, session, date);
            self.is_old_enough(date) && due.is_some_and(|due| due <= self.now)
        })
    }
}

/// The kind by which a file of a session is judged: the record of a sealed one goes with the whole.
pub(super) fn of_whole(kind: Kind) -> Kind {
    if kind == Kind::SealedRecord { Kind::Transcript } else { kind }
}

/// Whether a file goes by any of them. The record of sealed files goes with the last of them.
pub(super) fn goes(demands: &[Demand<'_>], artifact: &Artifact) -> bool {
    let any = |artifact: &Artifact| demands.iter().any(|demand| demand.artifact_goes(artifact));
    let Some(first) = demands.first() else { return false };
    let inventory = first.inventory;
    match inventory.session_of(artifact) {
        Some(session)
            if artifact.kind == Some(Kind::SealedRecord)
                && artifact.oddity == Oddity::None
                && session.has_record =>
        {
            let files = inventory.files(session).iter().map(|index| inventory.artifact(*index));
            let mut described = files
                .filter(|file| file.sealed && !matches!(file.oddity, Oddity::Link | Oddity::Special))
                .filter(|file| inventory.store_of(file) == inventory.store_of(artifact))
                .filter(|file| !std::ptr::eq(*file, artifact))
                .peekable();
            if described.peek().is_none() { any(artifact) } else { described.all(any) }
        }
        _ => any(artifact),
    }
}

pub(super) fn is_shown(session: &Session) -> bool {
    matches!(session.evidence, Evidence::Transcript | Evidence::Sealed)
}

pub(super) fn demands<'a>(
    inventory: &'a Inventory,
    policy: &'a Policy,
    now: DateTime<Utc>,
) -> Vec<Demand<'a>> {
    policy.mandates.iter().map(|of| Demand { of, inventory, now }).collect()
}
