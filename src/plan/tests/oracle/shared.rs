//! What several sessions share: lines, pastes, plans and logs.

use super::*;

impl Demand<'_> {
    /// The session a line names: that of its own store, else the newest of that id, else one that is
    /// remembered.
    pub(in crate::plan::tests) fn session_named(&self, line: &Line, store: StoreIndex) -> Option<&Session> {
        let of_id = || self.inventory.sessions.iter().filter(|session| Some(session.id) == line.session);
        let age = |session: &Session| {
            let before = session.before.as_ref().and_then(|before| before.record.or(before.modified));
            let date = session.newest_record.or(before).or(session.modified);
            (is_shown(session), date, std::cmp::Reverse(session.store))
        };
        let absent = self.inventory.absent.sessions.iter().map(|(session, _)| session);
        let absent = absent.filter(|session| Some(session.id) == line.session);
        of_id()
            .find(|session| session.store == store)
            .or_else(|| of_id().max_by_key(|session| age(session)))
            .or_else(|| absent.max_by_key(|session| age(session)))
    }

    /// A line that names no project is of its session's.
    pub(in crate::plan::tests) fn holds_line(
        &self,
        kind: Kind,
        line: &Line,
        session: Option<&Session>,
    ) -> bool {
        let projects: Vec<&str> = line.project.iter().map(|project| &**project).collect();
        let unknown = projects.is_empty() && session.is_none_or(|session| session.projects.is_empty());
        self.holds(kind, &projects, unknown || self.is_out_of_sight(line, session), line.session)
    }

    /// Whether a line names a session that was not found where something could not be read.
    fn is_out_of_sight(&self, line: &Line, session: Option<&Session>) -> bool {
        session.is_none() && line.session.is_some() && !self.inventory.is_complete
    }

    pub(in crate::plan::tests) fn line_due(
        &self,
        kind: Kind,
        line: &Line,
        session: Option<&Session>,
        date: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        match (&line.project, session) {
            (None, Some(session)) => self.session_due(kind, session, date),
            (project, _) => {
                let is_deleted = session.is_some_and(|session| session.is_desktop_deleted);
                self.due(kind, project.as_deref(), line.session, is_deleted, date)
            }
        }
    }

    /// When a paste may go for one of the lines that refer to it; `None` if it has to stay for that one.
    pub(in crate::plan::tests) fn due_by_owner(
        &self,
        kind: Kind,
        line: &Line,
        store: StoreIndex,
    ) -> Option<DateTime<Utc>> {
        let session = self.session_named(line, store);
        let is_bound = session.is_some_and(|of| {
            self.holds_session(of, Kind::Transcript) || self.is_in_use(of) || self.is_unknown(of)
        });
        if is_bound || self.holds_line(kind, line, session) {
            return None;
        }
        let date = match session {
            Some(session) => self.date(session)?,
            None if self.is_out_of_sight(line, session) => return None,
            None => line.date?,
        };
        let with_owner = match session {
            Some(session) => self.session_due(Kind::Transcript, session, date),
            None => self.line_due(Kind::History, line, None, date),
        };
        let due = self.line_due(kind, line, session, date).into_iter().chain(with_owner).min();
        due.filter(|due| date <= self.now && *due <= self.now && self.is_old_enough(date))
    }

    /// Since when a paste is due: when the last of the lines that refer to it lets go of it.
    pub(in crate::plan::tests) fn paste_due(&self, artifact: &Artifact, kind: Kind) -> Option<DateTime<Utc>> {
        let store = self.inventory.store_of(artifact);
        if lacks_references(self.inventory, store) || self.is_quiet(artifact.modified()) {
            return None;
        }
        let dues: Option<Vec<_>> = referring(self.inventory, artifact)
            .into_iter()
            .map(|line| self.due_by_owner(kind, line, store))
            .collect();
        dues?.into_iter().max()
    }

    /// The sessions that belong to a plan, or that a log names, as far as they are known.
    pub(in crate::plan::tests) fn owners(&self, artifact: &Artifact) -> Vec<&Session> {
        let store = self.inventory.store_of(artifact);
        let mut ids: Vec<SessionId> = match self.inventory.logs.get(&artifact.key()) {
            Some(log) => log.sessions.clone(),
            None => {
                let own = self.inventory.plans.get(&artifact.key()).into_iter().flatten();
                let own: Vec<_> = own.chain([&Slug::ANY]).collect();
                let all = self.inventory.sessions.iter();
                let named = all.filter(|session| session.slugs.iter().any(|slug| own.contains(&slug)));
                named.map(|session| session.id).collect()
            }
        };
        ids.sort_unstable();
        ids.dedup();
        let named = |id: SessionId| Line { session: Some(id), ..Line::default() };
        ids.into_iter().filter_map(|id| self.session_named(&named(id), store)).collect()
    }

    /// Since when a plan is due: when the last of its sessions lets go of it.
    pub(in crate::plan::tests) fn plan_due(&self, artifact: &Artifact) -> Option<DateTime<Utc>> {
        if self.is_quiet(artifact.modified()) {
            return None;
        }
        let due = |session: &Session| {
            let is_held = self.holds(Kind::Plan, &[], session.projects.is_empty(), Some(session.id))
                || self.holds_session(session, Kind::Transcript);
            if is_held || self.is_in_use(session) || self.is_unknown(session) {
                return None;
            }
            let date = self.date(session)?;
            let dues = [Kind::Plan, Kind::Transcript].map(|kind| self.session_due(kind, session, date));
            let due = dues.into_iter().flatten().min()?;
            (due <= self.now && self.is_old_enough(date)).then_some(due)
        };
        let dues: Option<Vec<_>> = self.owners(artifact).into_iter().map(due).collect();
        dues?.into_iter().max()
    }

    pub(in crate::plan::tests) fn log_goes(&self, artifact: &Artifact, kind: Kind) -> bool {
        let log = &self.inventory.logs[&artifact.key()];
        let project = self.inventory.project_named(artifact);
        let projects: Vec<&str> = project.into_iter().collect();
        let owners = self.owners(artifact);
        let is_held = self.holds(kind, &projects, projects.is_empty(), None)
            || log.sessions.iter().any(|id| {
                let line = Line { session: Some(*id), ..Line::default() };
                let session = self.session_named(&line, self.inventory.store_of(artifact));
                self.holds(kind, &projects, self.is_out_of_sight(&line, session), Some(*id))
            })
            || owners.iter().any(|session| self.holds_session(session, Kind::Transcript))
            || !log.is_whole
                && self.of.holds.iter().any(|hold| hold.until.is_none_or(|until| until > self.now));
        // The clients of these worlds say neither what they have open nor since when.
        let has_clients = self.has_clients(self.inventory.stores.iter());
        let is_used = !log.is_whole && has_clients
            || owners.iter().any(|session| self.is_unknown(session) || self.is_in_use(session));
        let Some(date) = log.newest.or(artifact.modified()).filter(|date| *date <= self.now) else {
            return false;
        };
        if is_held || is_used || self.is_quiet(artifact.modified()) {
            return false;
        }
        let last: Option<Vec<_>> = owners
            .iter()
            .map(|session| {
                let date = self.date(session)?;
                Some((date, self.session_due(Kind::Transcript, session, date)?))
            })
            .collect();
        let is_known = log.is_whole && owners.len() == log.sessions.len() && !owners.is_empty();
        let last = last.filter(|_| is_known).unwrap_or_default();
        let newest = last.iter().map(|(date, _)| *date).chain([date]).max().unwrap();
        let with_last = last.iter().map(|(_, due)| *due).max();
        let is_due = |due: Option<DateTime<Utc>>| due.is_some_and(|due| due <= self.now);
        is_due(self.due(kind, project, None, false, date)) && self.is_old_enough(date)
            || is_due(with_last) && self.is_old_enough(newest)
    }
}

pub(in crate::plan::tests) fn is_paste(artifact: &Artifact) -> bool {
    artifact.kind == Some(Kind::Paste)
}

/// The lines that refer to a paste by its hash.
pub(in crate::plan::tests) fn referring<'a>(inventory: &'a Inventory, artifact: &Artifact) -> Vec<&'a Line> {
    let store = inventory.store_of(artifact);
    let hash = inventory.name(artifact).to_str().unwrap().split('.').next().unwrap();
    let files = inventory.line_files.iter();
    files
        .filter(|file| inventory.store_of(inventory.artifact(file.artifact)) == store)
        .flat_map(|file| {
            file.content.references.iter().map(move |(of, line)| (of, &file.content.lines[*line as usize]))
        })
        .filter(|(of, _)| &***of == hash)
        .map(|(_, line)| line)
        .chain(
            inventory
                .absent
                .lines
                .iter()
                .filter(|(at, of, _)| *at == store && **of == *hash)
                .map(|(.., line)| line),
        )
        .collect()
}

/// Whether a store has a file of references that could not be read.
pub(in crate::plan::tests) fn lacks_references(inventory: &Inventory, store: StoreIndex) -> bool {
    inventory.artifacts.iter().enumerate().any(|(at, artifact)| {
        artifact.kind == Some(Kind::History)
            && inventory.store_of(artifact) == store
            && inventory.line_files.iter().all(|file| file.artifact.at() != at)
    })
}
