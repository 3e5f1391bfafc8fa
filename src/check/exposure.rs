//! Who else could read the data: permissions, and what [`crate::exposure`] finds out about the
//! machine.

use super::facts::Facts;
use super::modes::{Reach, StoreModes};
use super::{Area, Finding, FindingId, Severity, some};
use crate::escape::shown;
use crate::exposure::{Evidence, Risk, Seen};
use crate::words::{by_note, counted, size};

/// Adds what is found.
pub(super) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    for store in &facts.modes.stores {
        of_store(store, findings);
    }
    files(facts, findings);
    secrets(facts, findings);
    own(facts, findings);
    loose(facts, findings);
    heap(facts, findings);
    machine(facts, findings);
}

fn of_store(store: &StoreModes, findings: &mut Vec<Finding>) {
    // What is the user's own folder is the user's business; the files in it are looked at.
    if !store.is_own || store.mode & 0o077 == 0 {
        return;
    }
    let who = match store.reach {
        Reach::Everybody => "everybody on this machine can look into it",
        Reach::Group => "a group can look into it",
        Reach::Nobody => "others still cannot reach it, because a parent folder is closed",
    };
    let line = format!("'{}' has mode {:04o}; {who}", store.root, store.mode);
    let severity = match store.reach {
        Reach::Everybody => Severity::High,
        Reach::Group => Severity::Medium,
        Reach::Nobody => Severity::Low,
    };
    findings.push(Finding::new(FindingId::StoreReadable, vec![line]).severity(severity).fixable(true));
    if store.group_writes {
        let line = format!("'{}' has mode {:04o}", store.root, store.mode);
        let severity = if store.reach == Reach::Nobody { Severity::Low } else { Severity::Medium };
        findings
            .push(Finding::new(FindingId::StoreGroupWritable, vec![line]).severity(severity).fixable(true));
    }
}

fn files(facts: &Facts, findings: &mut Vec<Finding>) {
    let stores = &facts.modes.stores;
    for (is_reached, severity) in [(true, Severity::Medium), (false, Severity::Info)] {
        let of = |store: &StoreModes| if is_reached { store.readable } else { store.behind };
        let lines: Vec<String> = stores
            .iter()
            .filter(|store| of(store).files > 0)
            .map(|store| {
                let behind = if is_reached { "" } else { ", behind a folder that is closed to others" };
                let (files, bytes) = (counted(of(store).files, "file"), size(of(store).bytes));
                format!("'{}': {files}, {bytes}{behind}", store.root)
            })
            .collect();
        if !lines.is_empty() {
            let files = stores.iter().map(|store| of(store).files).sum();
            let bytes = stores.iter().map(|store| of(store).bytes).sum();
            let finding = Finding::new(FindingId::FilesReadable, some(lines)).severity(severity);
            findings.push(finding.count(files).bytes(bytes).fixable(true));
        }
    }
}

fn secrets(facts: &Facts, findings: &mut Vec<Finding>) {
    let secrets = || facts.modes.stores.iter().flat_map(|store| &store.secrets);
    let lines: Vec<String> =
        secrets().map(|(path, mode, _)| format!("'{}' has mode {mode:04o}", shown(path))).collect();
    if lines.is_empty() {
        return;
    }
    let reach = secrets().map(|(_, _, reach)| *reach).max().unwrap_or_default();
    // A token is of use to whoever can read it for a moment, so a closed folder above it is all that makes the
    // difference.
    let severity = if reach == Reach::Nobody { Severity::Low } else { Severity::High };
    let count = lines.len() as u64;
    findings.push(
        Finding::new(FindingId::CredentialsLoose, some(lines)).severity(severity).count(count).fixable(true),
    );
}

fn own(facts: &Facts, findings: &mut Vec<Finding>) {
    for (id, is_identity) in [(FindingId::IdentityLoose, true), (FindingId::OwnFilesLoose, false)] {
        let lines: Vec<String> = facts
            .modes
            .own
            .iter()
            .filter(|own| own.is_identity == is_identity)
            .map(|own| format!("'{}' has mode {:04o}", shown(&own.path), own.mode))
            .collect();
        if !lines.is_empty() {
            findings.push(Finding::new(id, some(lines)));
        }
    }
}

fn loose(facts: &Facts, findings: &mut Vec<Finding>) {
    let lines: Vec<String> = facts.modes.loose.iter().map(ToString::to_string).collect();
    if !lines.is_empty() {
        findings.push(Finding::new(FindingId::PolicyWritable, some(lines)));
    }
}

fn heap(facts: &Facts, findings: &mut Vec<Finding>) {
    let found: Vec<_> = facts.stores.iter().filter(|store| store.heap.files > 0).collect();
    if found.is_empty() {
        return;
    }
    let lines = found.iter().map(|store| {
        format!("'{}': {}, {}", store.root, counted(store.heap.files, "file"), size(store.heap.bytes))
    });
    let files = found.iter().map(|store| store.heap.files).sum();
    let bytes = found.iter().map(|store| store.heap.bytes).sum();
    findings.push(Finding::new(FindingId::HeapSnapshot, some(lines)).count(files).bytes(bytes));
}

/// How a risk is told of while the data is still in use: its severity, its title and its remedy.
struct Told {
    severity: Severity,
    title: &'static str,
    remedy: &'static str,
}

/// `None` for what matters only once the data is deleted, or is told of elsewhere.
fn told(risk: Risk) -> Option<Told> {
    // The words of `crate::exposure::RISKS` are those of a certificate; what concerns live stores has its own.
    let told = |severity, title, remedy| Some(Told { severity, title, remedy });
    let row = risk.row();
    match risk {
        Risk::VersionControl => told(
            Severity::Medium,
            "a store lies in the work tree of a version control system",
            "keep it out with an ignore rule, and see whether files of it were committed (git log --all -- PATH)",
        ),
        Risk::CloudSync => told(
            Severity::Medium,
            "a store lies in a folder that is synchronised",
            "exclude it there, or move it out (CLAUDE_CONFIG_DIR); what was synchronised is at the service",
        ),
        Risk::NetworkFileSystem => told(
            Severity::Medium,
            "a store lies on a network file system",
            "move it to a disk of this machine (CLAUDE_CONFIG_DIR): the server has its own access rules and snapshots",
        ),
        Risk::UnencryptedVolume => told(
            Severity::Low,
            "a store lies on a volume that is not encrypted",
            "encrypt the volume (LUKS, FileVault, BitLocker): transcripts are plaintext to whoever has the disk",
        ),
        Risk::MovedData => told(
            Severity::Low,
            "settings of Claude Code put content where ccretain does not look",
            "take the setting away, so that the content lies in a store; or keep the place to the policy by other means",
        ),
        Risk::OtherTools => {
            told(Severity::Low, "other tools keep copies of transcripts of their own", row.remedy)
        }
        Risk::Trash => {
            told(Severity::Low, "files of a store that other programs deleted lie in the trash", row.remedy)
        }
        Risk::CoreDumps => told(
            Severity::Low,
            "dumps of a crashed client hold its memory, and so the conversation",
            row.remedy,
        ),
        Risk::BtrfsSnapshots
        | Risk::ZfsSnapshots
        | Risk::LvmSnapshots
        | Risk::Timeshift
        | Risk::ApfsSnapshots
        | Risk::TimeMachine
        | Risk::ShadowCopies
        | Risk::Backups
        | Risk::OpenDeletedFiles
        | Risk::Swap
        | Risk::Hibernation => told(Severity::Info, row.title, row.remedy),
        Risk::CoworkDisk
        | Risk::AgentWorktrees
        | Risk::Checkpoints
        | Risk::ProjectFiles
        | Risk::FreedBlocks
        | Risk::ServerSide => None,
    }
}

fn machine(facts: &Facts, findings: &mut Vec<Finding>) {
    for seen in &facts.exposure {
        let Some(Told { severity, title, remedy }) = told(seen.risk) else { continue };
        let sighting =
            |one: &Evidence| (one.path.as_ref().map(|path| shown(path).to_string()), one.note.clone());
        let lines = by_note(seen.evidence.iter().map(sighting));
        let (severity, lines): (Severity, Vec<String>) = match &seen.seen {
            Seen::Yes => (severity, lines),
            // Something speaks for it and does not prove it: worth a look, and no verdict.
            Seen::Unknown(why)
                if severity > Severity::Info && seen.evidence.iter().any(|one| one.path.is_some()) =>
            {
                (Severity::Info, [vec![format!("it cannot be told: {why}")], lines].concat())
            }
            Seen::No | Seen::Unknown(_) => continue,
        };
        findings.push(Finding {
            id: seen.risk.row().id,
            area: Area::Exposure,
            severity,
            title,
            evidence: some(lines),
            remedy: remedy.to_owned(),
            count: None,
            bytes: None,
            fixable: false,
        });
    }
}
