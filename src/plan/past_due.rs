//! What managed rules have wanted gone, or sealed, for longer than a grace and what keeps it. A plan keeps
//! it in silence, since doubt keeps; but its owner may have made the doubt.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::judge::{Judge, judges};
use super::rules::Subject;
use super::{Action, Decision, Keep, References, Verdict};
use crate::catalogue::{Kind, Root, SessionId};
use crate::inventory::{Artifact, ArtifactIndex, Evidence, Inventory, Oddity, Session};
use crate::policy::{Mode, Policy, RuleRef};

/// The reason where a session is in plaintext past the date on which it should have been sealed.
const NOT_SEALED: &str = "not-sealed";
/// The reason where the project that rules go by is another than before, than that of the folder, or
/// none, and others are stricter.
const OTHER_PROJECT: &str = "other-project";
/// The reason where the last line of a transcript is damaged, and its file new.
const NOT_UNDERSTOOD: &str = "not-understood";
/// The reason where the transcript is gone, and what it left was written to since.
const TOUCHED: &str = "touched";
/// The reason where a sealed session was sealed again, with a later date.
const SEALED_AGAIN: &str = "sealed-again";
/// The reason where what another session left lies among the files of one that is in use.
const OTHER_SESSION: &str = "other-session";
/// The reason where a preservation copy is of no hold that the organisation knows.
const PRESERVED: &str = "preserved";

/// A transcript without any date that is no more than notes is shorter than this, in bytes.
const NOTES: u64 = 16 << 10;

/// A file that holds a transcript and does not lie where one belongs.
#[derive(Debug, Clone)]
pub struct Parked {
    /// The file.
    pub artifact: ArtifactIndex,
    /// Its newest record; `None` where it has no date, or only later ones.
    pub date: Option<DateTime<Utc>>,
    /// The project it names.
    pub project: Option<String>,
}

/// How many sessions are kept past the date of a managed rule, by reason; those of which the plan demands
/// what the rule does are not among them. Lines and copies of them are counted with them.
pub fn past_due(
    inventory: &Inventory,
    policy: &Policy,
    parked: &[Parked],
    now: DateTime<Utc>,
    grace: TimeDelta,
) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    let mut count = |reason: &'static str| *counts.entry(reason).or_default() += 1;
    // What a user keeps by the user's own rules is the user's business.
    if !policy.is_managed() {
        return counts;
    }
    let references = References::new(inventory);
    let all = judges(inventory, &references, policy, now);
    let enforced = |judge: &&Judge<'_>| judge.mandate.is_managed && judge.mandate.mode.value == Mode::Enforce;
    for judge in all.iter().filter(enforced) {
        let past = PastDue { judge, grace };
        inventory.sessions.iter().filter_map(|session| past.session(session)).for_each(&mut count);
        past.lines().into_iter().for_each(&mut count);
        let links = inventory.artifacts.iter().filter(|artifact| past.is_history_behind_a_link(artifact));
        links.for_each(|_| count(Keep::Link.reason()));
        let is_parked: HashSet<ArtifactIndex> =
            parked.iter().filter(|parked| past.is_parked(parked)).map(|parked| parked.artifact).collect();
        let own = past.own_folders();
        for (at, artifact) in inventory.artifacts.iter().enumerate() {
            if is_parked.contains(&ArtifactIndex::of(at))
                || own[artifact.folder.at()] && past.is_hidden_among_ours(artifact)
                || past.is_renamed_transcript(artifact)
            {
                count(Keep::Unrecognised.reason());
            }
        }
        for (hold, _) in inventory.preserved() {
            if !past.counts(&hold) {
                count(PRESERVED);
            }
        }
    }
    counts
}

struct PastDue<'a> {
    judge: &'a Judge<'a>,
    grace: TimeDelta,
}

impl PastDue<'_> {
    fn is_past(&self, due: Option<(DateTime<Utc>, RuleRef)>) -> bool {
        due.is_some_and(|(due, _)| self.judge.now.signed_duration_since(due) > self.grace)
    }

    /// Why a session is still there; `None` where it may be.
    fn session(&self, session: &Session) -> Option<&'static str> {
        let judge = self.judge;
        let decision = judge.session(session).decision;
        match decision {
            // What the plan does is overdue, or not sealed yet, and counted so; what the organisation itself
            // leaves alone is not late.
            Decision::Delete(_) | Decision::Seal(_) | Decision::Prune(_) => return None,
            Decision::Keep(Keep::OutOfScope | Keep::KeepAtLeast(_)) => return None,
            Decision::Keep(Keep::Held(_)) => {}
            Decision::Keep(_) => {
                // Whoever takes the dates away, or puts a link in the place of the file, can do so each week.
                if self.is_behind_a_link(session) {
                    return Some(Keep::Link.reason());
                }
                // A record that lies ahead dates it anew once it is past.
                let is_ahead = |date: &DateTime<Utc>| date.signed_duration_since(judge.now) > self.grace;
                if session.later.dates().iter().any(is_ahead) {
                    return Some(Keep::FutureDated.reason());
                }
                if self.has_lost_its_dates(session) {
                    return Some(Keep::Undated.reason());
                }
            }
        }
        let date = judge.date(session).ok().or_else(|| self.fallback(session))?;
        let goes = judge.latest(session, Kind::Transcript, date, Action::Delete).1;
        let sealing = judge.latest(session, Kind::Transcript, date, Action::Seal).1;
        let is_unsealed = session.plain + session.unsealable > 0 && self.is_past(sealing);
        match decision {
            Decision::Keep(Keep::NotDue(..) | Keep::Unsealable(_) | Keep::NoRule) if is_unsealed => {
                Some(NOT_SEALED)
            }
            Decision::Keep(Keep::NotDue(..) | Keep::Unsealable(_))
                if self.is_past(self.due_by_records(session)) =>
            {
                let is_left = session.before.is_some() || session.evidence == Evidence::Orphaned;
                Some(if is_left { TOUCHED } else { NOT_UNDERSTOOD })
            }
            Decision::Keep(Keep::NotDue(..) | Keep::Unsealable(_))
                if self.is_past(self.due_at_sealing(session)) =>
            {
                Some(SEALED_AGAIN)
            }
            Decision::Keep(Keep::NotDue(..) | Keep::Unsealable(_))
                if self.is_past(self.due_of_stranger(session)) =>
            {
                Some(OTHER_SESSION)
            }
            Decision::Keep(Keep::NotDue(..) | Keep::Unsealable(_) | Keep::NoRule) => {
                self.is_spared_by_project(session, date).then_some(OTHER_PROJECT)
            }
            Decision::Keep(keep) => {
                let is_late = self.is_past(goes) || is_unsealed || self.is_past(self.due_at_sealing(session));
                is_late.then(|| keep.reason())
            }
            _ => None,
        }
    }

    /// Whether a transcript is a link, of which nobody knows what it leads to.
    fn is_behind_a_link(&self, session: &Session) -> bool {
        self.transcripts(session).any(|file| file.oddity == Oddity::Link)
    }

    /// Whether what was said in a session has no date.
    fn has_lost_its_dates(&self, session: &Session) -> bool {
        // Claude Code dates every record of that; only notes about a conversation have none.
        if session.evidence != Evidence::Transcript || session.newest_record.is_some() {
            return false;
        }
        let size: u64 = self.transcripts(session).map(|file| file.stamp.size).sum();
        !session.is_unreadable && !session.is_foreign && (session.talks || size > NOTES)
    }

    fn transcripts<'s>(&'s self, session: &'s Session) -> impl Iterator<Item = &'s Artifact> {
        let inventory = self.judge.inventory;
        let files = inventory.files(session).iter().map(|file| inventory.artifact(*file));
        files.filter(|file| file.kind == Some(Kind::Transcript) && !file.sealed)
    }

    /// When a session would go by its records alone, where files that were written later are what keeps it: those it
    /// left without its transcript, or one whose last line is damaged.
    fn due_by_records(&self, session: &Session) -> Option<(DateTime<Utc>, RuleRef)> {
        // A byte more makes them new.
        let record = match &session.before {
            Some(before) => before.record,
            None if session.evidence == Evidence::Orphaned => session.newest_record,
            None => session.damaged.and(session.newest_record),
        };
        self.judge.latest(session, Kind::Transcript, record?, Action::Delete).1
    }

    /// When the records of another session among its own would be due.
    fn due_of_stranger(&self, session: &Session) -> Option<(DateTime<Utc>, RuleRef)> {
        // Claude Code writes the id of a session into every record of its subagents and of copies that it sets
        // aside.
        self.judge.latest(session, Kind::Transcript, session.stranger?, Action::Delete).1
    }

    /// When a sealed session would go by what was known when it was sealed first.
    fn due_at_sealing(&self, session: &Session) -> Option<(DateTime<Utc>, RuleRef)> {
        let clocks = session.dated_at_sealing()?;
        let date = clocks.record.or(clocks.modified)?;
        self.judge.latest(session, Kind::Transcript, date, Action::Delete).1
    }

    /// Whether rules spare a session for a project that is not, or not surely, its own.
    fn is_spared_by_project(&self, session: &Session, date: DateTime<Utc>) -> bool {
        let judge = self.judge;
        let is_stricter = |project: &str| {
            let subject = Subject {
                kind: Kind::Transcript,
                project: Some(project),
                session: Some(session.id),
                is_desktop_deleted: session.is_desktop_deleted,
            };
            self.is_past(judge.earliest(&subject, date, Action::Delete))
        };
        // Claude Code writes the folder into every record of what is said.
        if session.project.is_none() && session.evidence == Evidence::Transcript && session.talks {
            return self.is_past(judge.earliest_of_any_project(session.id, date));
        }
        if session.earlier.iter().any(|project| is_stricter(project)) {
            return true;
        }
        let mut others = session.projects.iter().filter(|project| session.project.as_ref() != Some(*project));
        others.any(|project| is_stricter(project)) && !self.lies_in_its_folder(session)
    }

    /// A date for a session that has none that counts: when its files were last written, else when anything
    /// of them was last changed on this disk, which nobody sets back.
    fn fallback(&self, session: &Session) -> Option<DateTime<Utc>> {
        let past = |date: &DateTime<Utc>| *date <= self.judge.now;
        let inventory = self.judge.inventory;
        let changed = || {
            let files = inventory.files(session).iter();
            files.filter_map(|file| inventory.artifact(*file).stamp.changed.date()).max()
        };
        // No program sets the change time of an inode; only whoever owns the clock can.
        session.modified.filter(past).or_else(|| changed().filter(past))
    }

    /// Whether a transcript lies in the folder that Claude Code makes for the project that rules go by, which
    /// is told by the first record.
    fn lies_in_its_folder(&self, session: &Session) -> bool {
        let inventory = self.judge.inventory;
        let Some(project) = &session.project else { return true };
        let folder: String =
            project.encode_utf16().map(|unit| u8::try_from(unit).map_or('-', encoded)).take(200).collect();
        self.transcripts(session).all(|file| {
            let name = inventory.folder_name(inventory.folder(file.folder));
            name.to_str().is_some_and(|name| name.starts_with(&folder))
        })
    }

    /// Why lines of prompts stay of which no date says when they go: those that have none, counted from the
    /// day on which a run first saw some in their file, and those dated ahead.
    fn lines(&self) -> Vec<&'static str> {
        let (judge, inventory) = (self.judge, self.judge.inventory);
        let mut verdicts: Option<Vec<Verdict>> = None;
        let mut reasons = Vec::new();
        for file in &inventory.line_files {
            let artifact = inventory.artifact(file.artifact);
            if artifact.kind != Some(Kind::History) {
                continue;
            }
            let seen = inventory.first_seen.get(&(artifact.folder, artifact.name)).copied();
            let is_late = |since: DateTime<Utc>| {
                let subject =
                    Subject { kind: Kind::History, project: None, session: None, is_desktop_deleted: false };
                self.is_past(judge.earliest(&subject, since, Action::Delete))
            };
            let is_old = seen.is_some_and(is_late);
            let is_ahead = |date: DateTime<Utc>| date.signed_duration_since(judge.now) > self.grace;
            for line in file.content.lines.iter().filter(|line| match line.date {
                None => is_old,
                Some(date) => is_ahead(date),
            }) {
                let verdicts = verdicts.get_or_insert_with(|| {
                    let absent = inventory.absent.sessions.iter().map(|(session, _)| session);
                    inventory.sessions.iter().chain(absent).map(|session| judge.session(session)).collect()
                });
                // Also where it would go with its session, which is in use: Claude Code dates every prompt.
                if let Decision::Keep(
                    Keep::Undated | Keep::FutureDated | Keep::NotDue(..) | Keep::Live | Keep::Quiet,
                ) = judge.line(file, inventory.store_of(artifact), line, verdicts)
                {
                    let keep = line.date.map_or(Keep::Undated, |_| Keep::FutureDated);
                    reasons.push(keep.reason());
                }
            }
        }
        reasons
    }

    /// Whether a link stands in the place of a history: Claude Code writes through it, and no run follows it.
    fn is_history_behind_a_link(&self, artifact: &Artifact) -> bool {
        let store = self.judge.inventory.store_of(artifact);
        artifact.kind == Some(Kind::History)
            && artifact.oddity == Oddity::Link
            && !self.judge.is_out_of_scope(store)
    }

    /// Whether a transcript out of its place is as old as one that should have gone, or has no date.
    fn is_parked(&self, parked: &Parked) -> bool {
        let (judge, inventory) = (self.judge, self.judge.inventory);
        if judge.is_out_of_scope(inventory.store_of(inventory.artifact(parked.artifact))) {
            return false;
        }
        let Some(date) = parked.date else { return true };
        let subject = Subject {
            kind: Kind::Transcript,
            project: parked.project.as_deref(),
            session: None,
            is_desktop_deleted: false,
        };
        self.is_past(judge.earliest(&subject, date, Action::Delete))
    }

    /// Which folders are our own in a store, or lie in it.
    fn own_folders(&self) -> Vec<bool> {
        let inventory = self.judge.inventory;
        let mut own: Vec<bool> = Vec::with_capacity(inventory.folders.len());
        // A folder comes after the one it lies in.
        for folder in &inventory.folders {
            let above =
                folder.parent.map(|above| (inventory.folder(above).parent.is_none(), own[above.at()]));
            let is_config = || inventory.store(folder.store).store.kind == Root::Config;
            own.push(match above {
                Some((true, _)) => is_config() && inventory.folder_name(folder) == "ccretain",
                Some((false, is_own)) => is_own,
                None => false,
            });
        }
        own
    }

    /// Whether a file that is not ours lies in our own folder, where nobody else has anything; some systems
    /// leave a file of their own in every folder that was looked into.
    fn is_hidden_among_ours(&self, artifact: &Artifact) -> bool {
        const SYSTEMS: u64 = 16 << 10;
        let inventory = self.judge.inventory;
        let is_systems = inventory.name(artifact) == ".DS_Store" && artifact.stamp.size <= SYSTEMS;
        artifact.kind.is_none() && !is_systems && !self.judge.is_out_of_scope(inventory.store_of(artifact))
    }

    /// Whether a file that the catalogue does not know lies where transcripts do, bears the id of a session and
    /// is as old as one that should have gone.
    fn is_renamed_transcript(&self, artifact: &Artifact) -> bool {
        let (judge, inventory) = (self.judge, self.judge.inventory);
        if artifact.kind.is_some()
            || !artifact.is_regular()
            || judge.is_out_of_scope(inventory.store_of(artifact))
        {
            return false;
        }
        let folder = inventory.folder(artifact.folder);
        let above = folder.parent.map(|above| inventory.folder(above));
        let is_of_a_project = above.is_some_and(|above| {
            let top = above.parent.map(|root| inventory.folder(root));
            top.is_some_and(|root| root.parent.is_none()) && inventory.folder_name(above) == "projects"
        });
        let name = inventory.name(artifact).as_encoded_bytes();
        if !is_of_a_project || !name.windows(36).any(|part| SessionId::from_bytes(part).is_some()) {
            return false;
        }
        let past = |date: &DateTime<Utc>| *date <= judge.now;
        let dates = [artifact.stamp.modified.date(), artifact.stamp.changed.date()];
        let subject =
            Subject { kind: Kind::Transcript, project: None, session: None, is_desktop_deleted: false };
        let date = dates.into_iter().flatten().find(past);
        self.is_past(date.and_then(|date| judge.earliest(&subject, date, Action::Delete)))
    }

    /// Whether a hold of this name counts against the organisation's rules.
    fn counts(&self, hold: &str) -> bool {
        let mandate = self.judge.mandate;
        mandate.holds.iter().any(|known| known.name == hold && known.is_active(self.judge.now))
    }
}

/// A unit of a project's path as Claude Code writes it into the name of a folder.
fn encoded(unit: u8) -> char {
    if unit.is_ascii_alphanumeric() { char::from(unit) } else { '-' }
}
