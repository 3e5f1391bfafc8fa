//! One mandate as a judge: what it goes by, whatever it judges.

use std::sync::OnceLock;

use chrono::{DateTime, TimeDelta, Utc};

use super::references::{Known, References};
use super::{Action, Decision, Due, Keep};
use crate::catalogue::{Kind, Root, SessionId};
use crate::inventory::{Artifact, Inventory, Session, StoreIndex};
use crate::policy::{HoldRef, Mandate, Policy, RuleRef};

/// One mandate, and what it judges.
pub(super) struct Judge<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) references: &'a References<'a>,
    pub(super) mandate: &'a Mandate,
    pub(super) index: u8,
    /// Whether any rule asks for kinds, so that a session's files may differ; a hold covers whole sessions.
    pub(super) by_kind: bool,
    /// Whether the transcript of what looks like an orphan may lie in an excluded store.
    pub(super) lacks_transcripts: bool,
    /// Whether a client runs that counts here, for each store.
    pub(super) in_use: Vec<bool>,
    pub(super) now: DateTime<Utc>,
    /// The first hold on each session, found or remembered, once it was looked for: each of its lines asks, and
    /// it may name as many projects.
    held: Vec<OnceLock<Option<HoldRef>>>,
}

/// One judge a mandate.
pub(super) fn judges<'a>(
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
                .any(|rule| rule.selector.kinds.is_some()),
            lacks_transcripts: lacks_transcripts(inventory, mandate),
            in_use: inventory
                .stores
                .iter()
                .map(|view| view.live.iter().any(|client| client.is_checked || !mandate.is_managed))
                .collect(),
            now,
            held: (0..inventory.sessions.len() + inventory.absent.sessions.len())
                .map(|_| OnceLock::new())
                .collect(),
        })
        .collect()
}

/// Whether a store that a mandate leaves out has an empty folder where projects or transcripts were: that may be a
/// volume that is not mounted today, and nobody is told of it, because the store is nobody's concern.
fn lacks_transcripts(inventory: &Inventory, mandate: &Mandate) -> bool {
    let stores = inventory.stores.iter().enumerate().filter(|(_, view)| view.has_empty_projects);
    stores.map(|(at, _)| StoreIndex::of(at)).any(|store| is_excluded(inventory, mandate, store))
}

/// How long what the user's own state says protects something past the date of a managed rule.
const STATE_COUNTS: TimeDelta = TimeDelta::hours(24);

impl Judge<'_> {
    /// When a session was touched, before and after now, and when what was sealed of it was last
    /// unsealed, which counts as much.
    pub(super) fn touches(&self, session: &Session) -> [Option<DateTime<Utc>>; 3] {
        let due = || {
            let date = self.date(session).ok()?;
            let goes = self.latest(session, Kind::Transcript, date, Action::Delete).1;
            let sealing = self.latest(session, Kind::Transcript, date, Action::Seal).1;
            goes.into_iter().chain(sealing).map(|(due, _)| due).min()
        };
        [session.touched, session.touched_ahead, self.unsealed(session, due)]
    }

    /// When a session was last unsealed, by the user's own state, which cannot delay a managed rule for
    /// long past the date on which that is `due`.
    pub(super) fn unsealed(
        &self,
        session: &Session,
        due: impl FnOnce() -> Option<DateTime<Utc>>,
    ) -> Option<DateTime<Utc>> {
        let counts = || due().is_none_or(|due| self.is_within_a_day(due));
        session.unsealed.filter(|_| !self.mandate.is_managed || counts())
    }

    /// Whether a client has a session open.
    pub(super) fn is_live(&self, session: &Session) -> bool {
        if self.mandate.is_managed { session.checked } else { session.liveness }.is_live()
    }

    /// Whether the mandate has no say in a store: the command is for others, or it is excluded.
    pub(super) fn is_out_of_scope(&self, store: StoreIndex) -> bool {
        is_out_of_scope(self.inventory, self.mandate, store)
    }

    /// Whether a layer of the mandate, or all, leave a store out.
    pub(super) fn is_excluded(&self, store: StoreIndex) -> bool {
        is_excluded(self.inventory, self.mandate, store)
    }

    /// Whether the mandate has no say over a session.
    pub(super) fn is_elsewhere(&self, session: &Session) -> bool {
        // One without a transcript is of no store more than of another.
        let files = self.inventory.files(session).iter().map(|index| self.inventory.artifact(*index));
        let mut files = files.filter(|artifact| artifact.kind != Some(Kind::SealedRecord)).peekable();
        if session.is_conversation() || files.peek().is_none() {
            return self.is_out_of_scope(session.store) || self.is_session_reached_from_excluded(session);
        }
        files.all(|artifact| self.is_beyond(artifact))
    }

    /// What is decided with what is remembered.
    pub(super) fn within_a_day(&self, decision: Decision, found: impl FnOnce() -> Decision) -> Decision {
        // Where that is a user's word, it delays a managed rule for no more than a day beyond what was found
        // without it.
        let is_bound = self.inventory.absent.is_users_word && self.mandate.is_managed;
        if !is_bound || !matches!(decision, Decision::Keep(_)) {
            return decision;
        }
        match found() {
            Decision::Delete(due) if !self.is_within_a_day(due.since) => Decision::Delete(due),
            _ => decision,
        }
    }

    /// Whether the user's own state still counts, past the date on which a managed rule is due.
    fn is_within_a_day(&self, due: DateTime<Utc>) -> bool {
        self.now.signed_duration_since(due) < STATE_COUNTS
    }

    /// Whether a file lies in a folder that an excluded store reaches too.
    pub(super) fn is_reached_from_excluded(&self, artifact: &Artifact) -> bool {
        self.inventory.is_reached_from(artifact, |store| self.is_excluded(store))
    }

    /// Whether a transcript of a session lies in a folder that an excluded store reaches too.
    pub(super) fn is_session_reached_from_excluded(&self, session: &Session) -> bool {
        self.inventory.is_session_reached_from(session, |store| self.is_excluded(store))
    }

    /// Whether what is nobody's in a tree beside the stores may be of one of which nothing may be changed.
    pub(super) fn may_be_of_a_store_out_of_reach(&self, store: StoreIndex) -> bool {
        let is_beside = self.inventory.store(store).store.kind != Root::Config;
        is_beside && self.inventory.stores.iter().any(|view| view.store.without_own_folder().is_some())
    }

    /// The holds in force that cover something, in their order.
    pub(super) fn holds<'p>(
        &self,
        kind: Kind,
        projects: impl Iterator<Item = &'p str> + Clone,
        unknown: bool,
        session: Option<SessionId>,
    ) -> impl Iterator<Item = HoldRef> {
        let holds = self.mandate.holds.iter().enumerate().filter(move |(_, hold)| {
            hold.is_active(self.now) && hold.selector.covers(kind, projects.clone(), unknown, session)
        });
        holds.map(|(at, _)| HoldRef { mandate: self.index, hold: u16::try_from(at).unwrap_or(u16::MAX) })
    }

    pub(super) fn holds_in_force(&self) -> impl Iterator<Item = HoldRef> {
        let holds = self.mandate.holds.iter().enumerate().filter(|(_, hold)| hold.is_active(self.now));
        holds.map(|(at, _)| HoldRef { mandate: self.index, hold: u16::try_from(at).unwrap_or(u16::MAX) })
    }

    /// The holds in force that cover a kind of file of a session.
    pub(super) fn holds_of(&self, session: &Session, kind: Kind) -> impl Iterator<Item = HoldRef> {
        let projects = session.projects.iter().map(|project| &**project);
        // Where a record could not be read, projects may be missing.
        let unknown = session.may_be_of_any_project();
        self.holds(kind, projects, unknown, Some(session.id))
    }

    /// The first hold in force that covers the conversation of a session.
    pub(super) fn first_hold(&self, known: Known<'_>) -> Option<HoldRef> {
        let look = || self.holds_of(known.session, Kind::Transcript).next();
        self.held.get(known.at).map_or_else(look, |held| *held.get_or_init(look))
    }

    /// Whether a moment is within the quiet period, on either side of now.
    pub(super) fn is_quiet(&self, touched: Option<DateTime<Utc>>) -> bool {
        touched.is_some_and(|touched| {
            let (from, to) = if touched <= self.now { (touched, self.now) } else { (self.now, touched) };
            self.mandate.quiet.value.after(from).is_none_or(|end| to < end)
        })
    }

    /// Until when a touch is quiet; may be past. `None` where it lies further ahead than the
    /// quiet period, so that it says nothing, or where the period never ends.
    pub(super) fn quiet_until(&self, touched: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        let says = |touched: &DateTime<Utc>| *touched <= self.now || self.is_quiet(Some(*touched));
        self.mandate.quiet.value.after(touched.filter(says)?)
    }

    /// Whether a session was touched within the quiet period.
    pub(super) fn is_session_quiet(&self, session: &Session) -> bool {
        self.touches(session).into_iter().any(|touched| self.is_quiet(touched))
    }

    /// When `keepAtLeast` lets go of something of this date; may be past.
    pub(super) fn floor_end(&self, date: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let floor = self.mandate.keep_at_least.as_ref()?;
        Some(floor.value.after(date).unwrap_or(DateTime::<Utc>::MAX_UTC))
    }

    /// The same where it has not let go yet.
    pub(super) fn floor(&self, date: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.floor_end(date).filter(|end| *end > self.now)
    }

    /// Deletion when its time has come and the floor lets it.
    pub(super) fn timely(&self, date: DateTime<Utc>, deletion: Option<(DateTime<Utc>, RuleRef)>) -> Decision {
        match deletion {
            None => Decision::Keep(Keep::NoRule),
            Some((due, rule)) if due > self.now => Decision::Keep(Keep::NotDue(due, rule)),
            Some((since, rule)) => match self.floor(date) {
                Some(end) => Decision::Keep(Keep::KeepAtLeast(end)),
                None => Decision::Delete(Due { rule, since }),
            },
        }
    }
}

/// Whether a mandate has no say in a store: the command is for others, or it is excluded.
pub(super) fn is_out_of_scope(inventory: &Inventory, mandate: &Mandate, store: StoreIndex) -> bool {
    !inventory.store(store).store.in_scope || is_excluded(inventory, mandate, store)
}

/// Whether a layer of a mandate, or all, leave a store out.
fn is_excluded(inventory: &Inventory, mandate: &Mandate, store: StoreIndex) -> bool {
    let store = &inventory.store(store).store;
    store.is_excluded
        || mandate.excluded_stores.iter().any(|excluded| store.root.starts_with(&excluded.value))
}
