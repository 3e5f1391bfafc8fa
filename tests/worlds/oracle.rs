//! What becomes of a small world, by the contract alone.

use std::collections::BTreeSet;

use super::{File, Kind, Line, PROJECTS, Place, Rule, World};

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
}

/// One conversation: its files, by their places in the world.
struct Session<'w> {
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

pub fn fates(world: &World) -> Fates {
    let sessions = sessions(world);
    let files = (0..world.files.len())
        .map(|at| match sessions.iter().find(|session| session.files.contains(&at)) {
            Some(session) => session.fate(at),
            None => Fate::Stays,
        })
        .collect();
    let lines = world.lines.iter().map(|line| !goes(world, &sessions, line)).collect();
    Fates { files, lines }
}

fn sessions(world: &World) -> Vec<Session<'_>> {
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
            .map(|place| Session { world, id, store: Some(place), files: own(place) })
            .filter(|session| session.files.iter().any(is_transcript))
            .collect();
        let taken: Vec<usize> = shown.iter().flat_map(|session| session.files.clone()).collect();
        let rest: Vec<usize> =
            (0..world.files.len()).filter(of_id).filter(|at| !taken.contains(at)).collect();
        // The newest has what lies elsewhere.
        match shown.iter_mut().min_by_key(|session| session.activity()) {
            Some(newest) => newest.files.extend(rest),
            None => shown.push(Session { world, id, store: None, files: rest }),
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
        let has_client = of_id().any(|file| matches!(file.kind, Kind::PidFile { is_elsewhere: true }));
        let touched = of_id().map(|file| file.modified).filter(|minutes| *minutes >= 0).min();
        is_quiet || has_client && touched.is_none_or(|touched| touched < 7 * 24 * HOUR)
    }

    fn is_excluded(&self) -> bool {
        self.store.is_some() && self.store == self.world.excluded
    }

    fn is_out_of_reach(&self, file: &File) -> bool {
        self.is_excluded() || Some(file.place) == self.world.excluded
    }

    fn goes_as(&self, kind: &str) -> bool {
        let Some(age) = self.age() else { return false };
        let floor = self.world.floor.and_then(minutes);
        let due = due(&self.world.rules, kind, self.project(), Some(self.id), |rule| rule.delete);
        age >= floor.unwrap_or(0) && due.is_some_and(|due| age >= due)
    }

    fn is_kept(&self) -> bool {
        self.is_excluded() || self.is_held() || self.is_in_use()
    }

    fn goes(&self) -> bool {
        let is_elsewhere = self.all().all(|file| Some(file.place) == self.world.excluded);
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
        let seal = due(&self.world.rules, "transcript", self.project(), Some(self.id), |rule| rule.seal);
        let is_due = self.age().zip(seal).is_some_and(|(age, due)| age >= due);
        let has_place = match self.store {
            Some(store) => file.place == store || file.place == Place::Temp,
            None => true,
        };
        let is_sealable = !matches!(file.kind, Kind::PidFile { .. });
        if is_due && has_place && is_sealable { Fate::Sealed } else { Fate::Stays }
    }
}

/// The sessions of the same id.
fn sessions_of<'w>(session: &Session<'w>) -> Vec<(Option<Place>, Option<i64>)> {
    let of_id = sessions_without_lines(session.world, session.id);
    of_id.iter().map(|session| (session.store, session.activity())).collect()
}

fn sessions_without_lines(world: &World, id: u32) -> Vec<Session<'_>> {
    sessions(world).into_iter().filter(|session| session.id == id).collect()
}

/// The store of the session that a line means: that of its own store, else the newest.
fn meant(sessions: &[(Option<Place>, Option<i64>)], line: &Line) -> Option<Option<Place>> {
    let own = sessions.iter().find(|(store, _)| *store == Some(line.place));
    own.or_else(|| sessions.iter().min_by_key(|(_, age)| *age)).map(|(store, _)| *store)
}

/// After how long something is due: by the first rule that matches and has the action.
fn due(
    rules: &[Rule],
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
    let has_any = rules.iter().any(|rule| rule.delete.is_some());
    match rules.iter().find(matches) {
        Some(rule) => minutes(action(rule)?),
        // The built-in rule, while no other deletes anything.
        None if !has_any && kind != "seal" => {
            action(&Rule { projects: None, kinds: None, session: None, delete: Some("30d"), seal: None })
                .and_then(minutes)
        }
        None => None,
    }
}

fn goes(world: &World, sessions: &[Session<'_>], line: &Line) -> bool {
    if Some(line.place) == world.excluded {
        return false;
    }
    let of_id: Vec<&Session<'_>> =
        sessions.iter().filter(|session| Some(session.id) == line.session).collect();
    let known: Vec<_> = of_id.iter().map(|session| (session.store, session.activity())).collect();
    let store = meant(&known, line);
    let session = of_id.into_iter().find(|session| Some(session.store) == store);
    let path = PROJECTS[line.project];
    let above = path.split("/.claude/worktrees/").next().unwrap_or(path);
    let is_held = world.holds.iter().filter(|hold| !hold.is_over).any(|hold| {
        hold.session.is_some() && hold.session == line.session
            || hold.projects.is_some_and(|glob| fits(glob, path) || fits(glob, above))
    });
    if is_held || session.is_some_and(Session::is_kept) {
        return false;
    }
    let floor = world.floor.and_then(minutes).unwrap_or(0);
    let due = due(&world.rules, "history", Some(path), line.session, |rule| rule.delete);
    let by_itself = line.date >= 0 && line.date >= floor && due.is_some_and(|due| line.date >= due);
    by_itself || session.is_some_and(Session::goes)
}
