//! What forbids a purge: holds that cover something it would take, and floors of the organisation.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::{Breaks, Fate, Taking, pick};
use crate::catalogue::{Kind, SessionId};
use crate::inventory::lines::Line;
use crate::inventory::members::Place;
use crate::inventory::{Artifact, ArtifactIndex, Belongs, LiveClient, Session, StoreIndex};
use crate::plan::Judge;
use crate::plan::artifacts::covering_loose;
use crate::policy::{Hold, HoldRef, Layer, Policy};

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    Hold(HoldRef),
    /// `keepAtLeast` of the system or managed layer: the mandate's place, and when the last of it
    /// would be let go; `None` for never, or where that cannot be told.
    Floor(u8, Option<DateTime<Utc>>),
}

/// Something in the way of a purge, and how much it covers of what would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    pub by: Obstacle,
    /// Sessions that would go.
    pub sessions: u64,
    /// Files that would go or be changed.
    pub files: u64,
}

/// What forbids, and what would and is broken.
pub(super) fn find(
    taking: &Taking<'_>,
    judges: &[Judge<'_>],
    policy: &Policy,
    fates: &[Fate],
) -> (Vec<Stop>, Vec<Stop>) {
    let (mut stops, mut broken) = (Vec::new(), Vec::new());
    let breaks = taking.wanted.breaks;
    // The last mandate is bound by every hold.
    let last = policy.mandates.len().saturating_sub(1);
    let holds = policy.mandates.get(last).into_iter().flat_map(|mandate| mandate.holds.iter().enumerate());
    for (at, hold) in holds.filter(|(_, hold)| hold.is_active(taking.now)) {
        let touch = Touch { taking, fates, covers: &Covering::Hold(hold) };
        let (sessions, files) = touch.count();
        // A hold on a project that is not here stops nothing.
        if files == 0 {
            continue;
        }
        let hold_ref = HoldRef {
            mandate: u8::try_from(last).unwrap_or(u8::MAX),
            hold: u16::try_from(at).unwrap_or(u16::MAX),
        };
        // A user may break what the user alone has placed.
        let is_broken = breaks == Breaks::All || breaks == Breaks::Own && hold.source.layer == Layer::User;
        let into = if is_broken { &mut broken } else { &mut stops };
        into.push(Stop { by: Obstacle::Hold(hold_ref), sessions, files });
    }
    for (at, judge) in judges.iter().enumerate() {
        let floor = judge.mandate.keep_at_least.as_ref();
        if !floor.is_some_and(|floor| matches!(floor.source.layer, Layer::System | Layer::Managed)) {
            continue;
        }
        let latest = std::cell::Cell::new(Some(DateTime::<Utc>::MIN_UTC));
        let touch = Touch { taking, fates, covers: &Covering::Floor(judge, &latest) };
        let (sessions, files) = touch.count();
        if files > 0 {
            let until = latest.get().filter(|until| *until < DateTime::<Utc>::MAX_UTC);
            let at = u8::try_from(at).unwrap_or(u8::MAX);
            let into = if breaks == Breaks::All { &mut broken } else { &mut stops };
            into.push(Stop { by: Obstacle::Floor(at, until), sessions, files });
        }
    }
    (stops, broken)
}

/// What is asked whether it covers.
enum Covering<'a> {
    Hold(&'a Hold),
    Floor(&'a Judge<'a>, &'a std::cell::Cell<Option<DateTime<Utc>>>),
}

/// Counts what something covers of what would go.
struct Touch<'a> {
    taking: &'a Taking<'a>,
    fates: &'a [Fate],
    covers: &'a Covering<'a>,
}

impl Touch<'_> {
    fn count(&self) -> (u64, u64) {
        let inventory = self.taking.inventory;
        let mut sessions = std::collections::BTreeSet::new();
        let mut files = 0;
        for (at, artifact) in inventory.artifacts.iter().enumerate() {
            let index = ArtifactIndex::of(at);
            let is_touched = if self.fates.get(at) == Some(&Fate::Goes) {
                let covers = self.file(index, artifact);
                if let (true, Belongs::Session(session)) = (covers, artifact.belongs) {
                    sessions.insert(session);
                }
                covers
            } else {
                self.lines(index, artifact)
            };
            files += u64::from(is_touched);
        }
        (sessions.len() as u64, files)
    }

    fn file(&self, index: ArtifactIndex, artifact: &Artifact) -> bool {
        let inventory = self.taking.inventory;
        // Every run removes what is unfinished, whatever is held.
        if artifact.kind == Some(Kind::OwnLeftover) {
            return false;
        }
        if let (Some(Kind::SessionsIndex), Some((_, whole))) = (artifact.kind, self.taking.lines.get(&index))
            && !whole.is_damaged
        {
            return self.lines(index, artifact);
        }
        match self.covers {
            Covering::Hold(hold) => {
                // What nobody knows may be a copy of what is held: its path may say of which session.
                if artifact.kind.is_none()
                    && named_in(&inventory.path(artifact)).any(|id| self.holds_copy(hold, None, id))
                {
                    return true;
                }
                let kind = artifact.kind.unwrap_or(Kind::SessionSide);
                if let Belongs::Session(session) = artifact.belongs {
                    return holds_session(hold, inventory.session(session), kind);
                }
                if matches!(kind, Kind::Own | Kind::Preserved)
                    && let Some((of, id)) = pick::place_of(&inventory.path(artifact))
                {
                    // A copy that a hold keeps, whatever else it covers.
                    return of == Some(&hold.name) || self.holds_copy(hold, of, id);
                }
                // An owner that nobody knows may be held.
                if self.taking.references.are_incomplete(inventory, artifact) {
                    return true;
                }
                if kind == Kind::Paste
                    && let Some(lines) = self.taking.judge.and_then(|judge| judge.referring(artifact))
                {
                    let store = inventory.store_of(artifact);
                    return lines.iter().any(|line| self.holds_line(hold, line, store, kind));
                }
                let owned = kind.row().owner == crate::catalogue::Owner::References
                    && self.taking.judge.is_some_and(|judge| judge.referring(artifact).is_some());
                if self.holds_named(hold, artifact, kind) {
                    return true;
                } else if owned {
                    // Its owners are known, and so are their projects.
                    return false;
                }
                // As for a run: what it may not delete because of a hold, no purge takes.
                covering_loose(inventory, artifact, kind)(hold)
            }
            Covering::Floor(judge, latest) => {
                let date = match artifact.belongs {
                    Belongs::Session(session) => {
                        let session = inventory.session(session);
                        // Without a date of its own it is as young as anything of it.
                        let of_any = session.touched.max(session.modified).max(session.newest_record);
                        judge.date(session).ok().or(of_any.max(session.first_seen))
                    }
                    Belongs::Loose => inventory.dated(artifact),
                };
                self.is_young(judge, latest, date)
            }
        }
    }

    /// Whether a hold covers a session that a plan belongs to, or that a log names.
    fn holds_named(&self, hold: &Hold, artifact: &Artifact, kind: Kind) -> bool {
        let inventory = self.taking.inventory;
        if inventory.logs.get(&artifact.key()).is_some_and(|log| !log.is_whole) {
            return true;
        }
        let (judge, store) = (self.taking.judge, inventory.store_of(artifact));
        let lines = judge.and_then(|judge| judge.referring(artifact)).unwrap_or_default();
        lines.iter().any(|line| {
            let known = judge.and_then(|judge| judge.known_to(line, store));
            hold.selector.covers(kind, std::iter::empty(), false, line.session)
                || known.is_some_and(|known| holds_session(hold, known.session, Kind::Transcript))
        })
    }

    fn holds_copy(&self, hold: &Hold, of: Option<&str>, id: SessionId) -> bool {
        let inventory = self.taking.inventory;
        let mut known = inventory.sessions.iter().filter(|session| session.id == id).peekable();
        if known.peek().is_some() {
            return known.any(|session| holds_session(hold, session, Kind::Transcript));
        }
        let mut copies = self.taking.wanted.copies.iter();
        let project = copies
            .find(|((_, name, session), _)| *session == id && of.is_none_or(|of| of == name))
            .and_then(|(_, copied)| copied.project.as_deref());
        hold.selector.covers(Kind::Transcript, project.into_iter(), project.is_none(), Some(id))
    }

    /// Whether anything is covered that would be taken out of a file.
    fn lines(&self, index: ArtifactIndex, artifact: &Artifact) -> bool {
        let Some((at, whole)) =
            self.taking.lines.get(&index).filter(|(_, whole)| !whole.cut.ranges.is_empty())
        else {
            return false;
        };
        if matches!(self.fates.get(index.at()), Some(Fate::Doubtful(_))) {
            return false;
        }
        let inventory = self.taking.inventory;
        let (store, kind) = (inventory.store_of(artifact), artifact.kind.unwrap_or(Kind::History));
        let content = &inventory.line_files[*at].content;
        let lines = content.lines.iter().zip(&whole.fates).filter(|(_, fate)| **fate == Fate::Goes);
        let any_line = match self.covers {
            Covering::Hold(hold) => {
                lines.into_iter().any(|(line, _)| self.holds_line(hold, line, store, kind))
            }
            Covering::Floor(judge, latest) => {
                // Nothing in a file is younger than the file.
                let of_file = artifact.modified();
                let young =
                    lines.into_iter().filter(|(line, _)| self.is_young(judge, latest, line.date.or(of_file)));
                young.count() > 0
            }
        };
        any_line
            || content.objects.iter().any(|object| {
                object.members.iter().filter(|member| self.taking.member_goes(object, member)).any(|member| {
                    match self.covers {
                        Covering::Hold(hold) => {
                            let project = match &object.place {
                                Place::Project(project) => Some(&**project),
                                Place::Projects => Some(&*member.key),
                                Place::Top => None,
                            };
                            // A key of nobody's project is the account's or a setting.
                            project.is_some()
                                && hold.selector.covers(kind, project.into_iter(), false, member.session)
                        }
                        // What a project's last session was and cost is not content.
                        Covering::Floor(..) => false,
                    }
                })
            })
    }

    fn holds_line(&self, hold: &Hold, line: &Line, store: StoreIndex, kind: Kind) -> bool {
        let (project, judge) = (line.project.as_deref(), self.taking.judge);
        let is_out_of_sight =
            line.session.zip(judge).is_some_and(|(id, judge)| judge.may_be_out_of_sight(id));
        let unknown = project.is_none() || is_out_of_sight;
        if hold.selector.covers(kind, project.into_iter(), unknown, line.session) {
            return true;
        }
        let session = judge.and_then(|judge| judge.session_of(line, store));
        session.is_some_and(|at| holds_session(hold, &self.taking.inventory.sessions[at], Kind::Transcript))
    }

    /// Whether a floor keeps something of this date; what cannot be dated it keeps.
    fn is_young(
        &self,
        judge: &Judge<'_>,
        latest: &std::cell::Cell<Option<DateTime<Utc>>>,
        date: Option<DateTime<Utc>>,
    ) -> bool {
        let Some(date) = date else {
            latest.set(None);
            return true;
        };
        let Some(end) = judge.floor(date) else { return false };
        latest.set(latest.get().map(|known| known.max(end)));
        true
    }
}

/// The sessions that a path names: a folder or a file is called by the id, whatever follows it.
fn named_in(path: &Path) -> impl Iterator<Item = SessionId> {
    const LENGTH: usize = 36;
    path.iter().filter_map(|name| SessionId::from_bytes(name.as_encoded_bytes().get(..LENGTH)?))
}

fn holds_session(hold: &Hold, session: &Session, kind: Kind) -> bool {
    // Where a record could not be read, projects may be missing.
    let unknown = session.may_be_of_any_project();
    hold.selector.covers(kind, session.projects.iter().map(|project| &**project), unknown, Some(session.id))
}

/// The clients that run in the stores that a purge would change.
pub fn clients(inventory: &crate::inventory::Inventory) -> impl Iterator<Item = (StoreIndex, &LiveClient)> {
    let in_scope = inventory.stores.iter().enumerate().filter(|(_, view)| view.store.in_scope);
    in_scope.flat_map(|(at, view)| view.live.iter().map(move |client| (StoreIndex::of(at), client)))
}
