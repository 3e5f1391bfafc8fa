//! What becomes of each session and each file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;

use super::{Doubt, Fate, LOCK, Taking};
use crate::catalogue::{Class, Kind, Owner, Protection, Root, Sensitivity, SessionId};
use crate::inventory::lines::Line;
use crate::inventory::{
    Artifact, ArtifactIndex, Belongs, FolderIndex, Oddity, Session, SessionIndex, StoreIndex,
};
use crate::plan::Keep;

impl Taking<'_> {
    /// Whether only a person's word removes a kind, and it was not given.
    pub(super) fn is_protected(&self, kind: Kind) -> bool {
        match kind.row().protection {
            Protection::With(class) => !self.wanted.with.contains(&class),
            _ => false,
        }
    }

    /// Whether the client's global file itself goes: it is nothing but settings and credentials.
    pub(super) fn takes_global(&self) -> bool {
        !self.wanted.is_partial()
            && [Class::Settings, Class::Credentials].iter().all(|class| self.wanted.with.contains(class))
    }

    pub(super) fn session(&self, session: &Session) -> Fate {
        let wanted = self.wanted;
        if let Some(id) = wanted.session {
            return if session.id == id { Fate::Goes } else { Fate::OUTSIDE };
        }
        if wanted.before.is_some() {
            match self.judge.map(|judge| judge.date(session)) {
                Some(Ok(date)) => {
                    if wanted.before.is_some_and(|before| date >= before) {
                        return Fate::OUTSIDE;
                    }
                }
                // Neither when nor of what it was is known, but perhaps of what it was not.
                _ if self.is_elsewhere(session) => return Fate::OUTSIDE,
                Some(Err(Keep::FutureDated)) => return Fate::Doubtful(Doubt::FutureDated),
                Some(Err(Keep::Foreign)) => return Fate::Doubtful(Doubt::Foreign),
                Some(Err(Keep::OwnerUnknown)) => return Fate::Doubtful(Doubt::NoProject),
                _ => return Fate::Doubtful(Doubt::Undated),
            }
        }
        if wanted.projects.is_empty() {
            return Fate::Goes;
        }
        match session.project.as_deref() {
            Some(project) if wanted.has_project(project) && !session.project_in_doubt => Fate::Goes,
            _ if self.is_elsewhere(session) => Fate::OUTSIDE,
            Some(_) if !session.is_unreadable => Fate::Doubtful(Doubt::Mixed),
            _ => Fate::Doubtful(Doubt::NoProject),
        }
    }

    /// Whether a session is known to have to do with none of the selected projects.
    fn is_elsewhere(&self, session: &Session) -> bool {
        let known = !session.may_be_of_any_project();
        known && !session.projects.iter().any(|project| self.wanted.has_project(project))
    }

    /// Whether an excluded store reaches a file, or the transcript of its session, too.
    fn is_of_excluded(&self, artifact: &Artifact) -> bool {
        let is_of_one = |index: SessionIndex| self.of_excluded.get(index.at()).copied().unwrap_or(true);
        matches!(artifact.belongs, Belongs::Session(index) if is_of_one(index))
            || self.inventory.is_reached_from(artifact, |store| self.inventory.store(store).store.is_excluded)
    }

    pub(super) fn artifact(&self, index: ArtifactIndex, artifact: &Artifact) -> Fate {
        let store = self.inventory.store_of(artifact);
        // Before anything else: neither a word nor `--with` reaches what the command was not told to change.
        if !self.inventory.store(store).store.in_scope || self.is_of_excluded(artifact) {
            return Fate::OUTSIDE;
        }
        let fate = match artifact.kind {
            Some(kind) => self.known(index, artifact, kind),
            None => self.unknown(index, artifact),
        };
        if fate != Fate::Goes {
            return fate;
        }
        match artifact.oddity {
            Oddity::Foreign => Fate::Doubtful(Doubt::Foreign),
            Oddity::OutOfReach => Fate::Doubtful(Doubt::OutOfReach),
            Oddity::Link if artifact.kind.is_some() && !self.wanted.inner_links.contains(&index) => {
                Fate::Doubtful(Doubt::Link)
            }
            _ => self.unless_live(artifact, store),
        }
    }

    /// Locks and keys of programs that run stay, whoever says that this does not matter.
    fn unless_live(&self, artifact: &Artifact, store: StoreIndex) -> Fate {
        let Some(kind) = artifact.kind.filter(|kind| kind.row().protection == Protection::UnlessLive) else {
            return Fate::Goes;
        };
        // The purge has asked the operator about running clients; this is what would break under them.
        let in_use = match (kind, artifact.belongs) {
            // Its session's content, however its state is.
            (Kind::Job, _) => false,
            (_, Belongs::Session(session)) => self.inventory.session(session).liveness.is_live(),
            // One that is only feared to run, since the list of workers cannot be read, keeps no content.
            (Kind::DaemonFile, _) => {
                let mut workers = self.inventory.store(store).workers.iter();
                workers.any(|worker| worker.liveness.is_certain())
            }
            (_, Belongs::Loose) => {
                artifact.oddity == Oddity::InUse || !self.inventory.store(store).live.is_empty()
            }
        };
        if in_use { Fate::Doubtful(Doubt::Live) } else { Fate::Goes }
    }

    fn known(&self, index: ArtifactIndex, artifact: &Artifact, kind: Kind) -> Fate {
        let is_partial = self.wanted.is_partial();
        match kind {
            Kind::GlobalConfig if self.takes_global() => return Fate::Goes,
            Kind::ConfigBackup | Kind::GlobalConfig => return self.global(index, artifact, kind),
            Kind::History => return self.lines_alone(index, artifact),
            Kind::SessionsIndex if is_partial => {
                // An index of nothing tells of a project all the same.
                let is_emptied = self.lines.get(&index).is_some_and(|(_, whole)| {
                    !whole.is_damaged
                        && !whole.fates.is_empty()
                        && whole.fates.iter().all(|fate| *fate == Fate::Goes)
                });
                return if is_emptied { Fate::Goes } else { self.lines_alone(index, artifact) };
            }
            Kind::Own | Kind::Preserved | Kind::OwnLeftover | Kind::SealedFile => {
                return self.own(artifact, kind);
            }
            _ if self.is_protected(kind) => return Fate::Stays(Keep::Protected),
            _ => {}
        }
        if let Belongs::Session(session) = artifact.belongs {
            return self.sessions.get(session.at()).copied().unwrap_or(Fate::OUTSIDE);
        }
        if matches!(kind.row().owner, Owner::References | Owner::Named) && is_partial {
            return self.paste(artifact, kind);
        }
        self.loose(artifact)
    }

    /// A file that stays, whatever becomes of its lines; one that could not be read is in doubt.
    fn lines_alone(&self, index: ArtifactIndex, artifact: &Artifact) -> Fate {
        match self.lines.get(&index) {
            Some((_, whole)) if !whole.is_damaged => Fate::Stays(Keep::NoRule),
            _ => Fate::Doubtful(untaken(artifact)),
        }
    }

    /// The client's global file stays without what is purged of it.
    fn global(&self, index: ArtifactIndex, artifact: &Artifact, kind: Kind) -> Fate {
        // A copy that cannot be taken apart goes whole.
        let is_copy = kind == Kind::ConfigBackup;
        let stays = Fate::Stays(if is_copy { Keep::NoRule } else { Keep::Protected });
        match self.lines.get(&index) {
            _ if is_copy && self.takes_global() => Fate::Goes,
            Some((_, whole)) if !whole.is_damaged => stays,
            _ if is_copy && !self.wanted.is_partial() => Fate::Goes,
            _ => Fate::Doubtful(untaken(artifact)),
        }
    }

    /// What this program itself keeps in a store: sealed files, preservation copies, unfinished files; the lock stays.
    fn own(&self, artifact: &Artifact, kind: Kind) -> Fate {
        let path = self.inventory.path(artifact);
        if path == Path::new(LOCK) {
            return Fate::Stays(Keep::Protected);
        }
        if let (Belongs::Session(session), true) = (artifact.belongs, kind == Kind::SealedFile) {
            return self.sessions.get(session.at()).copied().unwrap_or(Fate::OUTSIDE);
        }
        // Whoever wrote what is unfinished is gone, since this run has the lock.
        if !self.wanted.is_partial() || kind == Kind::OwnLeftover {
            return Fate::Goes;
        }
        let store = self.inventory.store_of(artifact);
        match place_of(&path) {
            Some((hold, session)) => self.of_session(store, hold, session),
            None => Fate::Doubtful(Doubt::NoProject),
        }
    }

    /// What lies in the folder of a session of ours.
    fn of_session(&self, store: StoreIndex, hold: Option<&str>, session: SessionId) -> Fate {
        let known = self.references.sessions.get(&session);
        let own = known.and_then(|known| {
            let own = known.iter().find(|at| self.inventory.sessions[**at].store == store);
            own.or_else(|| known.first())
        });
        if let Some(fate) = own.and_then(|at| self.sessions.get(*at)) {
            return *fate;
        }
        let copied = hold.and_then(|hold| self.wanted.copies.get(&(store, hold.to_owned(), session)));
        if let Some(id) = self.wanted.session {
            return if session == id { Fate::Goes } else { Fate::OUTSIDE };
        }
        let Some(copied) = copied else { return Fate::Doubtful(Doubt::NoProject) };
        if let Some(before) = self.wanted.before {
            match copied.last_activity {
                None => return Fate::Doubtful(Doubt::Undated),
                Some(date) if date >= before => return Fate::OUTSIDE,
                Some(_) => {}
            }
        }
        match copied.project.as_deref() {
            _ if self.wanted.projects.is_empty() => Fate::Goes,
            None => Fate::Doubtful(Doubt::NoProject),
            Some(project) if self.wanted.has_project(project) => Fate::Goes,
            Some(_) => Fate::OUTSIDE,
        }
    }

    /// A file of no session: its own date, and its project where it or its folder tells.
    fn loose(&self, artifact: &Artifact) -> Fate {
        if self.wanted.session.is_some() {
            return Fate::OUTSIDE;
        }
        let is_content = artifact.kind.is_none_or(|kind| kind.row().sensitivity >= Sensitivity::Content);
        let doubt = |doubt| if is_content { Fate::Doubtful(doubt) } else { Fate::OUTSIDE };
        let project = match (self.inventory.project_named(artifact), self.wanted.projects.is_empty()) {
            (_, true) => Some(true),
            (Some(project), _) => Some(self.wanted.has_project(project)),
            (None, _) => self.of_project_folder(artifact.folder),
        };
        if project == Some(false) {
            return Fate::OUTSIDE;
        }
        if let Some(before) = self.wanted.before {
            match self.inventory.dated(artifact) {
                None => return doubt(Doubt::Undated),
                Some(date) if date > self.now => return doubt(Doubt::FutureDated),
                Some(date) if date >= before => return Fate::OUTSIDE,
                Some(_) => {}
            }
        }
        if project == Some(true) { Fate::Goes } else { doubt(Doubt::NoProject) }
    }

    /// A paste goes with the lines that refer to it.
    fn paste(&self, artifact: &Artifact, kind: Kind) -> Fate {
        let store = self.inventory.store_of(artifact);
        if self.references.are_incomplete(self.inventory, artifact) {
            return Fate::Doubtful(match self.wanted.session {
                Some(_) => Doubt::NoSession,
                None => Doubt::NoProject,
            });
        }
        if kind != Kind::Paste {
            return self.of_named(artifact, store);
        }
        let Some(lines) = self.judge.and_then(|judge| judge.referring(artifact)) else {
            return self.loose(artifact);
        };
        let fates: Vec<Fate> = lines.iter().map(|line| self.line(line, store, kind)).collect();
        if fates.iter().all(|fate| *fate == Fate::Goes) {
            Fate::Goes
        } else if let Some(doubtful) = fates.iter().find(|fate| matches!(fate, Fate::Doubtful(_))) {
            *doubtful
        } else if fates.contains(&Fate::Goes) {
            Fate::Doubtful(Doubt::Shared)
        } else {
            Fate::OUTSIDE
        }
    }

    /// A plan or a log goes with the sessions that it belongs to or names, as far as they are known.
    fn of_named(&self, artifact: &Artifact, store: StoreIndex) -> Fate {
        let lines = self.judge.and_then(|judge| judge.referring(artifact)).unwrap_or_default();
        let session = |line: &&Line| self.judge.and_then(|judge| judge.session_of(line, store));
        let fates: Vec<Fate> =
            lines.iter().filter_map(session).filter_map(|at| self.sessions.get(at).copied()).collect();
        let log = self.inventory.logs.get(&artifact.key());
        let goes = fates.contains(&Fate::Goes);
        let is_partly_read = log.is_some_and(|log| !log.is_whole);
        if is_partly_read && self.wanted.session.is_some() && !goes {
            return Fate::Doubtful(Doubt::NoSession);
        }
        if fates.is_empty() || is_partly_read && !goes {
            return self.loose(artifact);
        }
        if let Some(doubtful) = fates.iter().find(|fate| matches!(fate, Fate::Doubtful(_))) {
            *doubtful
        } else if !goes {
            Fate::OUTSIDE
        } else if fates.iter().all(|fate| *fate == Fate::Goes) && !is_partly_read {
            Fate::Goes
        } else {
            Fate::Doubtful(Doubt::Shared)
        }
    }

    /// What the catalogue does not know goes only at a person's word, and where nothing but the client's own lies.
    fn unknown(&self, index: ArtifactIndex, artifact: &Artifact) -> Fate {
        // That it stays is a doubt: in any place of a whole purge, else in those of what was selected.
        match artifact.oddity {
            Oddity::Foreign => return Fate::Doubtful(Doubt::Foreign),
            Oddity::OutOfReach => return Fate::Doubtful(Doubt::OutOfReach),
            _ => {}
        }
        if artifact.oddity == Oddity::Link && !self.wanted.inner_links.contains(&index) {
            // It stands where a folder of content would.
            let behind = self
                .inventory
                .cursor(artifact.folder)
                .enter(self.inventory.name(artifact).as_encoded_bytes());
            if behind.kinds().any(|kind| !self.is_protected(kind)) {
                return Fate::Doubtful(Doubt::Link);
            }
        }
        let (folder, store) = (self.inventory.folder(artifact.folder), self.inventory.store_of(artifact));
        let store = &self.inventory.store(store).store;
        let is_among_content = folder.session.is_some()
            || matches!(store.kind, Root::Cache | Root::Temp)
            || self.project_folder(artifact.folder).is_some();
        let path = self.inventory.path(artifact);
        let is_in_a_place = self.is_in_a_place(artifact, &path, is_among_content);
        // The operator knows the name that nobody else is shown.
        let real = self.inventory.secret_path(artifact);
        if self.wanted.except.iter().any(|except| except.keeps(&path) || except.keeps(&real)) {
            return if is_in_a_place { Fate::Excepted } else { Fate::Stays(Keep::Unrecognised) };
        }
        // In a folder of everybody's a name proves nothing: other programs give such names, too.
        let is_certain = store.is_certain && !store.kind.is_everybodys() || self.is_in_desktop(&store.root);
        // A word is not enough in a folder that other programs fill as well.
        let may_go = self.wanted.unrecognised && (is_among_content || is_certain);
        match is_in_a_place {
            true if may_go => Fate::Goes,
            true => Fate::Doubtful(Doubt::Unrecognised),
            // Nobody asked for it.
            false if !may_go => Fate::Stays(Keep::Unrecognised),
            false => match self.loose(artifact) {
                Fate::Stays(_) => Fate::Stays(Keep::Unrecognised),
                // By its own date or project it may be meant.
                fate => fate,
            },
        }
    }

    /// Whether a store lies in the desktop application's folder, where nobody else has files.
    fn is_in_desktop(&self, root: &Path) -> bool {
        let mut stores = self.inventory.stores.iter().map(|view| &view.store);
        stores.any(|store| store.kind == Root::Desktop && root != store.root && root.starts_with(&store.root))
    }

    /// Whether a file that the catalogue does not know lies in a place of what was selected: in a folder of a session
    /// that goes, under a name that holds its id, or in a project's folder with sessions that were selected.
    fn is_in_a_place(&self, artifact: &Artifact, path: &Path, is_among_content: bool) -> bool {
        if !self.wanted.is_partial() {
            return true;
        }
        let goes = |id: SessionId| {
            let known = self.references.sessions.get(&id);
            self.wanted.session == Some(id)
                || known.is_some_and(|known| known.iter().any(|at| self.sessions[*at] == Fate::Goes))
        };
        if self.inventory.folder(artifact.folder).session.is_some_and(goes) || ids_in(path).any(goes) {
            return true;
        }
        if self.wanted.projects.is_empty() {
            return self.wanted.before.is_some() && is_among_content && self.loose(artifact) == Fate::Goes;
        }
        let of_folder = self.project_folder(artifact.folder).and_then(|name| self.of_folder.get(name));
        // Without a date that says otherwise; of a mixed folder it may be of what was selected.
        of_folder.is_some_and(|all| *all != Some(false)) && self.loose(artifact) != Fate::OUTSIDE
    }

    /// The folder of a project that a folder is or lies in: by its place, `projects/<P>` in a
    /// config folder and `<P>` in a cache.
    fn project_folder(&self, folder: FolderIndex) -> Option<&OsStr> {
        let (mut at, mut below) = (folder, Vec::new());
        while let Some(parent) = self.inventory.folder(at).parent {
            below.push(at);
            at = parent;
        }
        let store = &self.inventory.store(self.inventory.folder(at).store).store;
        let name = |index: FolderIndex| self.inventory.folder_name(self.inventory.folder(index));
        let mut from_top = below.iter().rev();
        match store.kind {
            Root::Cache | Root::Temp => from_top.next().map(|index| name(*index)),
            Root::Config => {
                let top = from_top.next()?;
                (name(*top) == "projects").then(|| from_top.next().map(|index| name(*index)))?
            }
            _ => None,
        }
    }

    /// Whether a file of a project's folder is of a selected project, as far as the sessions there
    /// tell.
    fn of_project_folder(&self, folder: FolderIndex) -> Option<bool> {
        self.of_folder.get(self.project_folder(folder)?).copied().flatten()
    }

    /// What the sessions in the folders of projects tell of each: all selected, none, or mixed.
    pub(super) fn project_folders(&self) -> HashMap<Box<OsStr>, Option<bool>> {
        let mut of: HashMap<Box<OsStr>, Option<bool>> = HashMap::new();
        if self.wanted.projects.is_empty() {
            return of;
        }
        for session in &self.inventory.sessions {
            let project = session.project.as_deref().map(|project| self.wanted.has_project(project));
            for index in self.inventory.files(session) {
                let artifact = self.inventory.artifact(*index);
                if artifact.kind != Some(Kind::Transcript) || artifact.sealed {
                    continue;
                }
                let Some(name) = self.project_folder(artifact.folder) else { continue };
                let known = of.entry(Box::from(name)).or_insert(project);
                if *known != project {
                    *known = None;
                }
            }
        }
        of
    }
}

/// Why a file was not taken apart.
fn untaken(artifact: &Artifact) -> Doubt {
    match artifact.oddity {
        Oddity::Link => Doubt::Link,
        Oddity::Foreign => Doubt::Foreign,
        Oddity::OutOfReach => Doubt::OutOfReach,
        _ => Doubt::Damaged,
    }
}

/// The hold, if it is a preservation copy, and the session of a file of ours, by its path.
pub(super) fn place_of(path: &Path) -> Option<(Option<&str>, SessionId)> {
    let mut names = path.iter().map(|name| name.to_str().unwrap_or_default());
    if names.next() != Some("ccretain") {
        return None;
    }
    let hold = match names.next()? {
        "sealed" => None,
        "held" => Some(names.next()?),
        _ => return None,
    };
    Some((hold, names.next()?.parse().ok()?))
}

/// The ids of sessions that the names of a path hold.
fn ids_in(path: &Path) -> impl Iterator<Item = SessionId> {
    const LENGTH: usize = 36;
    let names = path.iter().map(OsStr::as_encoded_bytes);
    names.flat_map(|name| name.windows(LENGTH)).filter_map(SessionId::from_bytes)
}
