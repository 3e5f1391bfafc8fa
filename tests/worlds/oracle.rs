//! What becomes of a small world, by the contract alone.

use std::collections::BTreeSet;

use super::{Client, File, Kind, Line, Owned, PROJECTS, Place, Rule, World};

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Stays,
    Sealed,
    Goes,
}

/// What becomes of everything, in the order of the world.
pub struct Fates {
    pub files: Vec<Fate>,
    /// Whether each line stays.
    pub lines: Vec<bool>,
    /// Whether each plan and paste goes.
    pub owned: Vec<bool>,
}

/// A world as one set of rules sees it.
struct View {
    world: World,
    /// The rules, by layers.
    layers: Vec<Vec<Rule>>,
    /// Whether the rules are the organisation's: what a user writes counts for less.
    is_managed: bool,
    /// Whether a rule of another set deletes, so that the built-in one does not apply.
    has_others: bool,
}

/// One conversation: its files, by their places in the world.
struct Session<'w> {
    view: &'w View,
    world: &'w World,
    id: u32,
    /// The store of its transcript; `None` for satellites alone.
    store: Option<Place>,
    files: Vec<usize>,
}

const HOUR: i64 = 60;

fn minutes(period: &str) -> Option<i64> {
    Some(match period {
        "1h" => HOUR,
        "1d" => 24 * HOUR,
        "3d" => 72 * HOUR,
        "7d" => 168 * HOUR,
        "14d" => 336 * HOUR,
        "30d" => 720 * HOUR,
        "90d" => 2_160 * HOUR,
        _ => return None,
    })
}

/// Whether a path lies in what a glob of these tests names.
fn fits(glob: &str, path: &str) -> bool {
    match (glob.strip_suffix("/**"), glob.strip_suffix("/*")) {
        (Some(folder), _) => path == folder || path.starts_with(&format!("{folder}/")),
        (_, Some(folder)) => path.strip_prefix(&format!("{folder}/")).is_some_and(|rest| !rest.contains('/')),
        _ => path == glob,
    }
}

/// Each set of rules by itself; whatever one of them wants done is done.
pub fn fates(world: &World) -> Fates {
    let (system, managed) = (world.system.as_ref(), world.managed.as_ref());
    let of_system = system.map(|system| system.rules.clone()).unwrap_or_default();
    let floor_of_system = system.and_then(|system| system.floor);
    let mut own = world.clone();
    // The longest counts.
    own.floor = [world.floor, floor_of_system].into_iter().flatten().max_by_key(|period| minutes(period));
    let deletes = |rules: &[Rule]| rules.iter().any(|rule| rule.delete.is_some());
    let has_others = deletes(&of_system) || managed.is_some();
    let view = |world: World, layers, has_others, is_managed| View { world, layers, is_managed, has_others };
    let mut views = Vec::new();
    if system.is_some_and(|system| !system.user_holds) {
        let mut unheld = own.clone();
        unheld.holds.clear();
        views.push(view(unheld, vec![of_system], true, false));
        views.push(view(own, vec![world.rules.clone()], has_others, false));
    } else {
        views.push(view(own, vec![world.rules.clone(), of_system], has_others, false));
    }
    if let Some(managed) = managed {
        let mut world = world.clone();
        if !managed.user_holds {
            world.holds.clear();
        }
        (world.floor, world.quiet, world.excluded) = (floor_of_system, "1h", None);
        views.push(view(world, vec![managed.rules.clone()], true, true));
    }
    let all: Vec<Fates> = views.iter().map(of_view).collect();
    let files = (0..world.files.len()).map(|at| {
        let mut fates = all.iter().map(|fates| fates.files[at]);
        fates.clone().find(|fate| *fate == Fate::Goes).or_else(|| fates.find(|fate| *fate == Fate::Sealed))
    });
    Fates {
        files: files.map(|fate| fate.unwrap_or(Fate::Stays)).collect(),
        lines: (0..world.lines.len()).map(|at| all.iter().all(|fates| fates.lines[at])).collect(),
        owned: (0..world.owned.len()).map(|at| all.iter().any(|fates| fates.owned[at])).collect(),
    }
}

fn of_view(view: &View) -> Fates {
    let world = &view.world;
    let sessions = sessions(view);
    let files = (0..world.files.len())
        .map(|at| match sessions.iter().find(|session| session.files.contains(&at)) {
            Some(session) => session.fate(at),
            None => Fate::Stays,
        })
        .collect();
    let lines = world.lines.iter().map(|line| !goes(view, &sessions, line)).collect();
    let owned = world.owned.iter().map(|owned| owned_goes(view, &sessions, owned)).collect();
    Fates { files, lines, owned }
}

/// Held where an owner is, due at the latest of their dates; where nobody owns it, by its own time.
fn owned_goes(view: &View, sessions: &[Session<'_>], owned: &Owned) -> bool {
    let world = &view.world;
    if Some(owned.place) == world.excluded {
        return false;
    }
    let floor = world.floor.and_then(minutes).unwrap_or(0);
    if owned.is_plan {
        let names = |session: &&Session<'_>| session.all().any(|file| file.plan == Some(owned.number));
        let owners: Vec<&Session<'_>> = sessions.iter().filter(names).collect();
        if !owners.is_empty() {
            return owners.iter().all(|session| session.goes());
        }
    } else {
        // Of stores that share a folder the lines count for both.
        let is_near = |line: &Line| line.place == owned.place || world.shared.is_some();
        let names = |line: &&Line| is_near(line) && line.paste == Some(owned.number);
        let owners: Vec<&Line> = world.lines.iter().filter(names).collect();
        if !owners.is_empty() {
            return owners.iter().all(|line| lets_go(view, sessions, line));
        }
    }
    // It may be of any project.
    let is_held = world.holds.iter().any(|hold| !hold.is_over && hold.projects.is_some());
    let kind = if owned.is_plan { "plan" } else { "paste" };
    let due = due(view, kind, None, None, |rule| rule.delete);
    !is_held && owned.modified >= floor && due.is_some_and(|due| owned.modified >= due)
}

/// Whether a line lets go of its paste: a line of a session when that goes.
fn lets_go(view: &View, sessions: &[Session<'_>], line: &Line) -> bool {
    let Some(session) = session_of(sessions, line) else { return goes(view, sessions, line) };
    let Some(age) = session.age() else { return false };
    let floor = view.world.floor.and_then(minutes).unwrap_or(0);
    let own = due(view, "paste", Some(PROJECTS[line.project]), line.session, |rule| rule.delete);
    let with_owner = due(view, "transcript", session.project(), line.session, |rule| rule.delete);
    let due = own.into_iter().chain(with_owner).min();
    !is_line_held(&view.world, line)
        && !session.is_kept()
        && age >= floor
        && due.is_some_and(|due| age >= due)
}

fn sessions(view: &View) -> Vec<Session<'_>> {
    let world = &view.world;
    let ids: BTreeSet<u32> = world.files.iter().map(|file| file.session).collect();
    let mut all = Vec::new();
    for id in ids {
        let of_id = |at: &usize| world.files[*at].session == id;
        let own = |place: Place| -> Vec<usize> {
            (0..world.files.len()).filter(of_id).filter(|at| world.files[*at].place == place).collect()
        };
        let is_transcript = |at: &usize| world.files[*at].kind == Kind::Transcript;
        let mut shown: Vec<Session<'_>> = [Place::Home, Place::Other]
            .into_iter()
            .map(|place| Session { view, world, id, store: Some(place), files: own(place) })
            .filter(|session| session.files.iter().any(is_transcript))
            .collect();
        let taken: Vec<usize> = shown.iter().flat_map(|session| session.files.clone()).collect();
        let rest: Vec<usize> =
            (0..world.files.len()).filter(of_id).filter(|at| !taken.contains(at)).collect();
        // The newest has what lies elsewhere.
        match shown.iter_mut().min_by_key(|session| session.activity()) {
            Some(newest) => newest.files.extend(rest),
            None => shown.push(Session { view, world, id, store: None, files: rest }),
        }
        all.extend(shown);
    }
    all
}

impl Session<'_> {
    fn all(&self) -> impl Iterator<Item = &File> {
        self.files.iter().map(|at| &self.world.files[*at])
    }

    fn transcripts(&self) -> impl Iterator<Item = &File> {
        self.all().filter(|file| file.kind == Kind::Transcript)
    }

    /// How old it is by records and damaged ends, else by its transcripts.
    fn activity(&self) -> Option<i64> {
        self.by_records().or_else(|| self.transcripts().map(|file| file.modified).min())
    }

    fn by_records(&self) -> Option<i64> {
        let record =
            self.all().flat_map(|file| &file.records).copied().filter(|minutes| *minutes >= 0).min()?;
        Some(self.damaged().map_or(record, |damaged| damaged.min(record)))
    }

    fn damaged(&self) -> Option<i64> {
        self.all().filter(|file| file.is_damaged && file.modified >= 0).map(|file| file.modified).min()
    }

    /// How old it is; `None` where nothing says.
    fn age(&self) -> Option<i64> {
        if self.store.is_none() {
            return self.all().map(|file| file.modified).min().filter(|minutes| *minutes >= 0);
        }
        self.by_records().or_else(|| {
            let modified =
                self.transcripts().map(|file| file.modified).min().filter(|minutes| *minutes >= 0)?;
            Some(self.damaged().map_or(modified, |damaged| damaged.min(modified)))
        })
    }

    /// The projects of all that names one.
    fn projects(&self) -> BTreeSet<&'static str> {
        let files = self.all().filter(|file| file.kind.has_records()).map(|file| PROJECTS[file.project]);
        files.chain(self.lines().map(|line| PROJECTS[line.project])).collect()
    }

    /// The lines that mean this session.
    fn lines(&self) -> impl Iterator<Item = &Line> {
        let lines = self.world.lines.iter().filter(|line| line.session == Some(self.id));
        lines.filter(|line| meant(&sessions_of(self), line).is_some_and(|meant| meant == self.store))
    }

    /// The project that rules go by: of the newest transcript, else of the newest subagent, else of the newest line.
    fn project(&self) -> Option<&'static str> {
        let newest = |files: &mut dyn Iterator<Item = &File>| {
            let rank = |file: &File| {
                let damaged = Some(file.modified).filter(|minutes| file.is_damaged && *minutes >= 0);
                let record =
                    file.records.iter().copied().filter(|minutes| *minutes >= 0).chain(damaged).min();
                (record.is_none(), record.unwrap_or(file.modified))
            };
            files.min_by_key(|file| rank(file)).map(|file| PROJECTS[file.project])
        };
        newest(&mut self.transcripts())
            .or_else(|| newest(&mut self.all().filter(|file| file.kind == Kind::Subagent)))
            .or_else(|| self.lines().min_by_key(|line| line.date).map(|line| PROJECTS[line.project]))
    }

    fn is_held(&self) -> bool {
        let projects = self.projects();
        self.world.holds.iter().filter(|hold| !hold.is_over).any(|hold| {
            // What is in a worktree is of the repository, too.
            let covers = |glob: &str| {
                let above = |path: &'static str| path.split("/.claude/worktrees/").next().unwrap_or(path);
                projects.is_empty() || projects.iter().any(|path| fits(glob, path) || fits(glob, above(path)))
            };
            hold.session == Some(self.id) || hold.projects.is_some_and(covers)
        })
    }

    /// Whether a client has it open, or it was touched a moment ago.
    fn is_in_use(&self) -> bool {
        let quiet = minutes(self.world.quiet).unwrap();
        let is_quiet = self.all().any(|file| file.modified.abs() < quiet);
        let of_id = || self.world.files.iter().filter(|file| file.session == self.id);
        let has_client = of_id().any(|file| file.kind == Kind::PidFile(Client::Elsewhere));
        let is_alive = of_id().any(|file| file.kind == Kind::PidFile(Client::Alive));
        // One that cannot be checked counts from its own time, and one that lies ahead says nothing.
        let of_client = |file: &File| {
            file.kind == Kind::PidFile(Client::Elsewhere) && (0..7 * 24 * HOUR).contains(&file.modified)
        };
        if self.view.is_managed {
            return is_quiet || is_alive || of_id().any(of_client);
        }
        let touched = of_id().map(|file| file.modified).filter(|minutes| *minutes >= 0).min();
        is_quiet || is_alive || has_client && touched.is_none_or(|touched| touched < 7 * 24 * HOUR)
    }

    fn is_excluded(&self) -> bool {
        self.store.is_some_and(|place| self.world.is_left_out(place, Kind::Transcript.folder()))
    }

    fn is_out_of_reach(&self, file: &File) -> bool {
        self.is_excluded() || self.world.is_left_out(file.place, file.kind.folder())
    }

    fn goes_as(&self, kind: &str) -> bool {
        let Some(age) = self.age() else { return false };
        let floor = self.world.floor.and_then(minutes);
        let due = due(self.view, kind, self.project(), Some(self.id), |rule| rule.delete);
        age >= floor.unwrap_or(0) && due.is_some_and(|due| age >= due)
    }

    fn is_kept(&self) -> bool {
        self.is_excluded() || self.is_held() || self.is_in_use()
    }

    fn goes(&self) -> bool {
        let is_elsewhere = self.all().all(|file| self.world.is_left_out(file.place, file.kind.folder()));
        !self.is_kept() && !is_elsewhere && self.goes_as("transcript")
    }

    fn fate(&self, at: usize) -> Fate {
        let file = &self.world.files[at];
        if self.is_kept() || self.is_out_of_reach(file) {
            return Fate::Stays;
        }
        if self.goes_as("transcript") || self.goes_as(file.kind.name()) {
            return Fate::Goes;
        }
        let seal = due(self.view, "transcript", self.project(), Some(self.id), |rule| rule.seal);
        let is_due = self.age().zip(seal).is_some_and(|(age, due)| age >= due);
        let has_place = match self.store {
            Some(store) => file.place == store || file.place == Place::Temp,
            None => true,
        };
        let is_sealable = !matches!(file.kind, Kind::PidFile(_));
        if is_due && has_place && is_sealable { Fate::Sealed } else { Fate::Stays }
    }
}

/// The sessions of the same id.
fn sessions_of<'w>(session: &Session<'w>) -> Vec<(Option<Place>, Option<i64>)> {
    let of_id = sessions_without_lines(session.view, session.id);
    of_id.iter().map(|session| (session.store, session.activity())).collect()
}

fn sessions_without_lines(view: &View, id: u32) -> Vec<Session<'_>> {
    sessions(view).into_iter().filter(|session| session.id == id).collect()
}

/// The store of the session that a line means: that of its own store, else the newest.
fn meant(sessions: &[(Option<Place>, Option<i64>)], line: &Line) -> Option<Option<Place>> {
    let own = sessions.iter().find(|(store, _)| *store == Some(line.place));
    own.or_else(|| sessions.iter().min_by_key(|(_, age)| *age)).map(|(store, _)| *store)
}

/// After how long something is due: by the first rule of a layer that matches and has the action, in the layer where
/// that is soonest.
fn due(
    view: &View,
    kind: &str,
    project: Option<&str>,
    session: Option<u32>,
    action: impl Fn(&Rule) -> Option<&'static str>,
) -> Option<i64> {
    let matches = |rule: &&Rule| {
        action(rule).is_some()
            && rule.kinds.is_none_or(|one| one == kind)
            && rule.projects.is_none_or(|glob| project.is_some_and(|project| fits(glob, project)))
            && rule.session.is_none_or(|one| session == Some(one))
    };
    let has_any = view.has_others || view.layers.iter().flatten().any(|rule| rule.delete.is_some());
    let mut decides: Vec<&Rule> = view.layers.iter().filter_map(|rules| rules.iter().find(matches)).collect();
    // The built-in rule, while no other deletes anything.
    let built_in = Rule { projects: None, kinds: None, session: None, delete: Some("30d"), seal: None };
    if !has_any {
        decides.push(&built_in);
    }
    decides.into_iter().filter_map(&action).filter_map(minutes).min()
}

/// The session that a line means.
fn session_of<'s, 'w>(sessions: &'s [Session<'w>], line: &Line) -> Option<&'s Session<'w>> {
    let of_id: Vec<&Session<'_>> =
        sessions.iter().filter(|session| Some(session.id) == line.session).collect();
    let known: Vec<_> = of_id.iter().map(|session| (session.store, session.activity())).collect();
    let store = meant(&known, line);
    of_id.into_iter().find(|session| Some(session.store) == store)
}

fn is_line_held(world: &World, line: &Line) -> bool {
    let path = PROJECTS[line.project];
    let above = path.split("/.claude/worktrees/").next().unwrap_or(path);
    world.holds.iter().filter(|hold| !hold.is_over).any(|hold| {
        hold.session.is_some() && hold.session == line.session
            || hold.projects.is_some_and(|glob| fits(glob, path) || fits(glob, above))
    })
}

fn goes(view: &View, sessions: &[Session<'_>], line: &Line) -> bool {
    let world = &view.world;
    if Some(line.place) == world.excluded {
        return false;
    }
    let session = session_of(sessions, line);
    if is_line_held(world, line) || session.is_some_and(Session::is_kept) {
        return false;
    }
    let floor = world.floor.and_then(minutes).unwrap_or(0);
    let due = due(view, "history", Some(PROJECTS[line.project]), line.session, |rule| rule.delete);
    let by_itself = line.date >= 0 && line.date >= floor && due.is_some_and(|due| line.date >= due);
    by_itself || session.is_some_and(Session::goes)
}
