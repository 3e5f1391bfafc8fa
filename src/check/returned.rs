//! Sessions that this program deleted and that lie in a store again: a restore, a sync program, a
//! checkout or a client that had one open puts them back.

use std::collections::BTreeMap;

use super::facts::{CameBack, Facts, What};
use super::{Finding, FindingId, some};
use crate::catalogue::{Kind, SessionId};
use crate::error::chain;
use crate::escape::text;
use crate::exposure::{self, Risk, Seen};
use crate::inventory::{ArtifactIndex, Evidence, Inventory, SessionIndex, StoreIndex};
use crate::ledger::{self, Deletion, Names, Sought};
use crate::run::Context;

/// Parts of the names of copies, and who gives them. Checked without regard to case.
const CONFLICTS: &[(&str, &str)] = &[
    ("conflicted copy", "Dropbox or Nextcloud"),
    ("case conflict", "Dropbox"),
    (".sync-conflict-", "Syncthing"),
    ("_conflict-", "ownCloud"),
    ("sfconflict", "Seafile"),
    (".conflict", "Resilio Sync"),
    ("[conflict]", "Google Drive"),
];

/// Folders in which systems show snapshots.
const SNAPSHOTS: &[&str] =
    &[".snapshots", ".snapshot", ".zfs", "@GMT", "timeshift", "Backups.backupdb", ".timemachine"];

/// Who gives copies such a name; `None` where it is no name of a copy.
fn namer(name: &str) -> Option<&'static str> {
    // Programs change the case of their words from release to release.
    let name = name.to_lowercase();
    CONFLICTS.iter().find(|(part, _)| name.contains(part)).map(|(_, namer)| *namer).or_else(|| {
        // `<id> (1).jsonl`, `<id> 2.jsonl`, `<id> - Copy.jsonl`: what file managers and clouds make.
        let rest = name.get(36..)?.strip_suffix(".jsonl")?.strip_prefix(' ')?;
        let number = rest.trim_start_matches('(').trim_end_matches(')');
        let is_copy = rest.starts_with("- copy") || rest == "copy" || number.parse::<u32>().is_ok();
        is_copy.then_some("a file manager or a sync program")
    })
}

/// What lies in the stores again although a ledger says that it was deleted.
///
/// # Errors
/// In words: a ledger or its key cannot be read.
pub fn look(inventory: &Inventory, ctx: &Context) -> Result<Vec<CameBack>, String> {
    let (candidates, sought) = candidates(inventory);
    let names = Names::load(&ctx.env.state_dir()).map_err(|error| chain(&error))?;
    let own = ledger::deletions(&ctx.env.ledger_dir(), names.as_ref(), None, &sought);
    let mut deletions = own.map_err(|error| chain(&error))?;
    if let Some(parent) = &ctx.parent {
        let of_all = parent.deletions(sought).map_err(|error| chain(&error))?;
        for (at, deletion) in of_all {
            match deletions.get(&at) {
                Some(own) if own.time >= deletion.time => {}
                _ => drop(deletions.insert(at, deletion)),
            }
        }
    }
    Ok(came_back(inventory, &candidates, deletions))
}

/// Everything that may have come back, and how records would name it.
fn candidates(inventory: &Inventory) -> (Vec<What>, Vec<Sought>) {
    let sought = |store: StoreIndex, id: SessionId| Sought {
        store: text(&inventory.store(store).store.root),
        session: id.to_string(),
    };
    let is_there =
        // Only by its conversation: files beside it may have been left on purpose when it went.
        |at: &usize| matches!(inventory.sessions[*at].evidence, Evidence::Transcript | Evidence::Sealed);
    let sessions = (0..inventory.sessions.len()).filter(is_there).map(|at| {
        let session = &inventory.sessions[at];
        (What::Session(SessionIndex::of(at)), sought(session.store, session.id))
    });
    // A name that the catalogue takes for no session's.
    let is_stray = |kind: Option<Kind>| matches!(kind, None | Some(Kind::StrayTranscript));
    let copies = inventory.artifacts.iter().enumerate().filter(|(_, artifact)| is_stray(artifact.kind));
    let copies = copies.filter_map(|(at, artifact)| {
        let (id, _) = copy_of(inventory, ArtifactIndex::of(at))?;
        Some((What::Copy(ArtifactIndex::of(at)), sought(inventory.store_of(artifact), id)))
    });
    sessions.chain(copies).unzip()
}

/// The session of which a file is a copy by its name, and the name.
fn copy_of(inventory: &Inventory, at: ArtifactIndex) -> Option<(SessionId, String)> {
    let name = inventory.name(inventory.artifact(at)).to_str()?;
    let id = SessionId::from_bytes(name.as_bytes().get(..36)?)?;
    namer(name).map(|_| (id, text(name)))
}

/// What did come back, given what a ledger says of [`candidates`] by their positions.
fn came_back(
    inventory: &Inventory,
    candidates: &[What],
    mut deletions: BTreeMap<usize, Deletion>,
) -> Vec<CameBack> {
    let of = |(at, what): (usize, &What)| {
        let deletion = deletions.remove(&at)?;
        let (store, session, copy) = match *what {
            What::Session(at) => (inventory.session(at).store, inventory.session(at).id, None),
            What::Copy(at) => {
                let (id, name) = copy_of(inventory, at)?;
                (inventory.store_of(inventory.artifact(at)), id, Some(name))
            }
        };
        let store = text(&inventory.store(store).store.root);
        Some(CameBack { what: *what, store, session, copy, deletion })
    };
    candidates.iter().enumerate().filter_map(of).collect()
}

/// Adds what is found.
pub(super) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    if facts.came_back.is_empty() {
        return;
    }
    let lines = facts.came_back.iter().map(|back| {
        let day = back.deletion.time.format("%Y-%m-%d");
        format!(
            "session {} in '{}', deleted on {day}: {}",
            back.session,
            back.store,
            source(back, &facts.exposure)
        )
    });
    findings.push(Finding::new(FindingId::CameBack, some(lines)).count(facts.came_back.len() as u64));
}

/// What most likely brought something back.
fn source(back: &CameBack, exposure: &[exposure::Finding]) -> String {
    if let Some(name) = &back.copy {
        let namer = namer(name).unwrap_or("another program");
        return format!("by its name '{name}' a copy that {namer} made");
    }
    let is_in_snapshot =
        back.store.split(['/', '\\']).any(|part| SNAPSHOTS.iter().any(|name| part.starts_with(name)));
    if is_in_snapshot {
        return "the store lies in a folder of snapshots".to_owned();
    }
    let seen = |risk: Risk, words: &str| {
        let found = exposure.iter().find(|found| found.risk == risk && found.seen == Seen::Yes)?;
        // What is said of this very store comes first.
        let of_store = |evidence: &&exposure::Evidence| {
            evidence.note.contains(&back.store)
                || evidence.path.as_ref().is_some_and(|path| back.store.starts_with(&*text(path)))
        };
        // Several stores may be exposed, each in its own way.
        let evidence = found.evidence.iter().find(of_store).or_else(|| found.evidence.first());
        let place = evidence.and_then(|evidence| evidence.path.as_deref());
        Some(format!("{words}{}", place.map_or_else(String::new, |path| format!(" ('{}')", text(path)))))
    };
    SOURCES.iter().find_map(|(risk, words)| seen(*risk, words)).unwrap_or_else(|| {
        "no sync program, work tree or snapshot is seen here: a restore or a copy by hand, or Claude Code, which \
         writes a session anew that it has open"
            .to_owned()
    })
}

/// What brings files back, the likeliest first.
const SOURCES: &[(Risk, &str)] = &[
    (Risk::VersionControl, "the store lies in a work tree of version control, and a checkout restores files"),
    (Risk::CloudSync, "the store lies in a synchronised folder, and another device may send files back"),
    (Risk::NetworkFileSystem, "the store lies on another machine, which may restore files"),
    (Risk::Timeshift, "snapshots of Timeshift may have been restored"),
    (Risk::BtrfsSnapshots, "a snapshot of btrfs may have been restored"),
    (Risk::ZfsSnapshots, "a snapshot of ZFS may have been restored"),
    (Risk::LvmSnapshots, "a snapshot of LVM may have been restored"),
    (Risk::ApfsSnapshots, "a snapshot of APFS may have been restored"),
    (Risk::TimeMachine, "a backup of Time Machine may have been restored"),
    (Risk::ShadowCopies, "a shadow copy may have been restored"),
    (Risk::Backups, "a backup may have been restored"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_copies_are_known_and_others_are_not() {
        let id = "0a0b0c0d-0000-4000-8000-000000000001";
        for (rest, by) in [
            (" (conflicted copy 2026-11-26 101010).jsonl", "Dropbox or Nextcloud"),
            (" (Ann's Conflicted Copy 2026-11-26).jsonl", "Dropbox or Nextcloud"),
            (".sync-conflict-20261126-101010-ABCDEFG.jsonl", "Syncthing"),
            ("_conflict-20261126-101010.jsonl", "ownCloud"),
            (" (SFConflict ann 2026-11-26-10-10-10).jsonl", "Seafile"),
            (" (1).jsonl", "a file manager or a sync program"),
            (" 2.jsonl", "a file manager or a sync program"),
            (" - Copy.jsonl", "a file manager or a sync program"),
        ] {
            assert_eq!(namer(&format!("{id}{rest}")), Some(by), "{rest}");
        }
        for rest in [".jsonl", ".notes", ".jsonl.superseded-1", " x.jsonl", ".jsonl.age", ""] {
            assert_eq!(namer(&format!("{id}{rest}")), None, "{rest}");
        }
    }
}
