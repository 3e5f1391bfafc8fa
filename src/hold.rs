//! What a hold covers, when the client would remove it, and what of it has vanished.
//!
//! A hold binds this program and nothing else: the client's own sweep does not know of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::catalogue::Kind;
use crate::client::{ClientSettings, Removal};
use crate::enforce::{Effect, Outcome, Outcomes};
use crate::inventory::{Artifact, Belongs, Evidence, Inventory, Session, SessionIndex};
use crate::policy::{Hold, Policy};
use crate::state::Held;

/// What a hold covers at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The sessions, whole or in part.
    pub sessions: Vec<SessionIndex>,
    /// How many files, those of no session included.
    pub files: u64,
}

/// What a hold covers; whether it has ended does not matter here.
pub fn coverage(inventory: &Inventory, hold: &Hold) -> Coverage {
    let mut sessions = BTreeSet::new();
    let mut files = 0;
    let owners: Vec<&Session> =
        inventory.sessions.iter().filter(|session| covers(hold, session, Kind::Transcript)).collect();
    for artifact in &inventory.artifacts {
        // What the catalogue does not know is never touched, held or not.
        let Some(kind) = artifact.kind.filter(|kind| !kind.is_protected()) else { continue };
        let covers = match artifact.belongs {
            Belongs::Session(index) => {
                let covers = covers(hold, inventory.session(index), kind);
                if covers {
                    sessions.insert(index);
                }
                covers
            }
            Belongs::Loose => {
                // One that names no project is kept in doubt, and not counted as what is meant.
                hold.selector.covers(kind, inventory.project_named(artifact).into_iter(), false, None)
                    || is_of_any(inventory, artifact, &owners)
                    // All that is left of a session that the hold names.
                    || kind == Kind::TempFile
                        && inventory
                            .scratch_digits(artifact)
                            .is_some_and(|digits| hold.selector.names_digits(&digits))
            }
        };
        files += u64::from(covers);
    }
    Coverage { sessions: sessions.into_iter().collect(), files }
}

/// Whether a file of no session is a plan of one of these, or a log that names one.
fn is_of_any(inventory: &Inventory, artifact: &Artifact, owners: &[&Session]) -> bool {
    let key = artifact.key();
    let log = inventory.logs.get(&key);
    let slugs = inventory.plans.get(&key).map(|slugs| slugs.as_slice()).unwrap_or_default();
    if log.is_none() && slugs.is_empty() {
        return false;
    }
    owners.iter().any(|session| {
        log.is_some_and(|log| log.sessions.contains(&session.id))
            || session.slugs.iter().any(|slug| slugs.iter().any(|plan| slug.may_be(*plan)))
    })
}

fn covers(hold: &Hold, session: &Session, kind: Kind) -> bool {
    // Where a record could not be read, projects may be missing.
    let unknown = session.may_be_of_any_project();
    hold.selector.covers(kind, session.projects.iter().map(|project| &**project), unknown, Some(session.id))
}

/// When the client's own sweep would remove what is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweeping {
    /// The sessions it would remove, the first to go first.
    pub sessions: Vec<(SessionIndex, Removal)>,
}

/// When the client would remove the sessions of a hold, as long as the hold lasts; `clients` gives
/// the settings for each store.
pub fn sweeping(
    inventory: &Inventory,
    hold: &Hold,
    coverage: &Coverage,
    clients: &HashMap<usize, ClientSettings>,
) -> Sweeping {
    let of = |index: &SessionIndex| {
        let session = inventory.session(*index);
        // The client's sweep never removes a name that it does not know, and no sealed file is one.
        if session.evidence != Evidence::Transcript {
            return None;
        }
        let client = clients.get(&session.store.at())?;
        let removal = client.removal(session.modified?, inventory.written(session))?;
        hold.is_active(removal.at).then_some((*index, removal))
    };
    let mut sessions: Vec<_> = coverage.sessions.iter().filter_map(of).collect();
    sessions.sort_by_key(|(index, removal)| (removal.at, *index));
    Sweeping { sessions }
}

/// A session that was held at the end of the last run and is nowhere now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vanished {
    /// The hold that covered it.
    pub hold: String,
    /// The root of the store it was in.
    pub store: PathBuf,
    /// Its id.
    pub session: String,
}

/// What was held and has vanished. Where not everything could be read nothing is known to have.
pub fn vanished(
    remembered: &[Held],
    inventory: &Inventory,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Vec<Vanished> {
    // A volume that is not mounted today must not look like a deletion.
    if !inventory.is_complete || remembered.is_empty() {
        return Vec::new();
    }
    missing(remembered, inventory, policy, now)
        .map(|(held, session)| Vanished {
            hold: held.hold.clone(),
            store: held.store.clone(),
            session: session.clone(),
        })
        .collect()
}

/// Remembered sessions of holds still in force that are in no store now.
fn missing<'h>(
    remembered: &'h [Held],
    inventory: &Inventory,
    policy: &Policy,
    now: DateTime<Utc>,
) -> impl Iterator<Item = (&'h Held, &'h String)> {
    let there: BTreeSet<String> =
        inventory.sessions.iter().filter(|session| is_there(session)).map(|s| s.id.to_string()).collect();
    let active: BTreeSet<String> =
        policy.holds().filter(|(hold, _)| hold.is_active(now)).map(|(hold, _)| hold.name.clone()).collect();
    remembered
        .iter()
        .filter(move |held| active.contains(&held.hold))
        .flat_map(|held| held.sessions.iter().map(move |session| (held, session)))
        .filter(move |(_, session)| !there.contains(*session))
}

/// Whether the conversation itself is there, plain or sealed.
fn is_there(session: &Session) -> bool {
    matches!(session.evidence, Evidence::Transcript | Evidence::Sealed)
}

/// What one hold covers, to be remembered from the moment it is placed.
pub fn covered_by(inventory: &Inventory, hold: &Hold) -> Vec<Held> {
    let mut of: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for index in coverage(inventory, hold).sessions {
        let session = inventory.session(index);
        if is_there(session) {
            let store = inventory.store(session.store).store.root.clone();
            of.entry(store).or_default().insert(session.id.to_string());
        }
    }
    of.into_iter()
        .map(|(store, sessions)| Held {
            hold: hold.name.clone(),
            store,
            sessions: sessions.into_iter().collect(),
            unknown: serde_json::Map::default(),
        })
        .collect()
}

/// What is held at the end of a run, to be remembered for the next.
pub fn remember(
    remembered: &[Held],
    inventory: &Inventory,
    policy: &Policy,
    outcomes: Option<&Outcomes>,
    now: DateTime<Utc>,
) -> Vec<Held> {
    let mut held: BTreeMap<(String, PathBuf), BTreeSet<String>> = BTreeMap::new();
    for (hold, _) in policy.holds().filter(|(hold, _)| hold.is_active(now)) {
        for index in coverage(inventory, hold).sessions {
            let session = inventory.session(index);
            if is_there(session) && !was_deleted(inventory, session, outcomes) {
                let store = inventory.store(session.store).store.root.clone();
                held.entry((hold.name.clone(), store)).or_default().insert(session.id.to_string());
            }
        }
    }
    if !inventory.is_complete {
        for (of, session) in missing(remembered, inventory, policy, now) {
            // Kept in memory until a look that was complete: else a dead mount for a day would end the watch
            // over it.
            held.entry((of.hold.clone(), of.store.clone())).or_default().insert(session.clone());
        }
    }
    held.into_iter()
        .map(|((hold, store), sessions)| Held {
            hold,
            store,
            sessions: sessions.into_iter().collect(),
            unknown: serde_json::Map::default(),
        })
        .collect()
}

/// Whether this run removed the conversation: a hold that is advisory does not keep it.
fn was_deleted(inventory: &Inventory, session: &Session, outcomes: Option<&Outcomes>) -> bool {
    let Some(outcomes) = outcomes else { return false };
    inventory.files(session).iter().any(|index| {
        inventory.artifact(*index).kind == Some(Kind::Transcript)
            && matches!(outcomes.of(*index), Some(Outcome::Done(Effect::Deleted | Effect::DataRemains)))
    })
}
