//! Copies that other programs keep: archives of transcripts, backups, the trash, memory dumps.

use std::path::{Path, PathBuf};

use super::mounts;
use super::sight::Sight;
use super::{Finding, Host, Risk, Subject};
use crate::escape::shown;
use crate::platform::Platform;

/// Archives of tools that copy transcripts, as their own documents and sources name them.
const ARCHIVES: &[(&str, &str)] = &[
    ("~/.claude-mem", "claude-mem"),
    ("~/.agentsview", "AgentsView"),
    ("${CASS_DATA_DIR:-${XDG_DATA_HOME:-~/.local/share}/coding-agent-search}", "coding-agent-search"),
    ("~/Library/Application Support/com.coding-agent-search.coding-agent-search", "coding-agent-search"),
    ("${CLAUDE_CELLAR_STORE_DIR:-${XDG_DATA_HOME:-~/.local/share}/claude-cellar/store}", "claude-cellar"),
    ("${CC_JANITOR_HOME:-~/.cc-janitor}/.trash", "cc-janitor"),
    ("${CC_JANITOR_HOME:-~/.cc-janitor}/backups", "cc-janitor"),
    ("~/.agentscrub/backups", "agentscrub"),
    ("~/.claude-vault", "claude-vault"),
    ("${SESSIONKEEP_DIR:-~/.sessionkeep/sessions}", "sessionkeep"),
    ("${SIGILLION_STORE:-~/.sigillion/claude-code}", "Sigillion"),
    ("~/.claude-recall", "claude-recall"),
    ("~/.carryon", "carryon"),
    ("~/.agent-hygiene", "agent-hygiene"),
    ("~/.agent-hygiene-backups", "agent-hygiene"),
    ("~/.crispy/recall", "crispy"),
    ("~/Documents/ClaudeVault", "Claude-Backup"),
    ("~/.specstory", "SpecStory"),
    ("${CODEBURN_CACHE_DIR:-~/.cache/codeburn}", "codeburn"),
    ("${XDG_DATA_HOME:-~/.local/share}/vibe-kanban", "Vibe Kanban"),
    ("~/Library/Application Support/ai.bloop.vibe-kanban", "Vibe Kanban"),
];

/// The same inside a store, where a purge leaves them as unrecognised unless told otherwise.
const INSIDE: &[(&str, &str)] = &[
    ("vault.db", "claude-session-vault or recall"),
    ("agentsview", "AgentsView"),
    ("claude-mem", "claude-mem"),
    ("csb-logs", "claude-session-backup"),
    ("session-archive", "session-archive"),
];

/// The same inside the projects that sessions were about.
const IN_PROJECTS: &[(&str, &str)] =
    &[(".specstory/history", "SpecStory"), (".claude-trace", "claude-trace"), (".claude/vault.db", "vault")];

/// Whether other tools keep archives.
pub(super) fn other_tools(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    let homes = ARCHIVES.iter().filter_map(|(place, tool)| Some((subject.expand(place)?, *tool)));
    let roots = subject.own_roots();
    let inside = roots.iter().flat_map(|root| INSIDE.iter().map(|(name, tool)| (root.join(name), *tool)));
    let projects = subject
        .projects
        .iter()
        .flat_map(|project| IN_PROJECTS.iter().map(|(name, tool)| (project.join(name), *tool)));
    for (place, tool) in homes.chain(inside).chain(projects) {
        match holds_something(&place, host) {
            Ok(true) => sight.saw(Some(&place), format!("an archive of {tool}")),
            Ok(false) => {}
            Err(error) => sight.barred(&place, &error),
        }
    }
    for root in &roots {
        beside_transcripts(root, host, &mut sight);
    }
    let finding = sight.finding(Risk::OtherTools);
    if finding.evidence.is_empty() {
        let mut tools: Vec<&str> =
            ARCHIVES.iter().chain(INSIDE).chain(IN_PROJECTS).map(|row| row.1).collect();
        // A finding of nothing is only worth what was looked for, so that is told with it.
        tools.sort_unstable();
        tools.dedup();
        let note = format!("looked for archives of {}; others are not known", tools.join(", "));
        return Finding { evidence: vec![super::Evidence { path: None, note }], ..finding };
    }
    finding
}

/// As many project folders are looked into for copies beside transcripts.
const MOST_PROJECTS: usize = 10_000;

/// Transcripts as they were before agentsweep took secrets out of them, which it leaves beside them.
fn beside_transcripts(root: &Path, host: &dyn Host, sight: &mut Sight) {
    let projects = root.join("projects");
    for project in host.list(&projects).ok().flatten().unwrap_or_default().into_iter().take(MOST_PROJECTS) {
        let folder = projects.join(project);
        let names = host.list(&folder).ok().flatten().unwrap_or_default();
        let copies = names.iter().filter(|name| name.as_encoded_bytes().ends_with(b".jsonl.bak")).count();
        if copies > 0 {
            sight.saw(Some(&folder), format!("{copies} files of agentsweep (*.jsonl.bak)"));
        }
    }
}

/// Disks of the virtual machine in which Cowork runs, in the desktop application's folder.
const VM_DISKS: [&str; 2] = ["sessiondata.img", "sessiondata.vhdx"];

/// Whether the desktop application has a virtual machine, of which the disk holds sessions.
pub(super) fn cowork_disk(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    let desktop = crate::platform::layout(subject.platform).desktop;
    let known = desktop.iter().filter_map(|place| subject.expand(place));
    let folders: std::collections::BTreeSet<PathBuf> = known.chain(subject.roots.iter().cloned()).collect();
    for folder in folders {
        // Third-party providers have a folder of their own beside.
        let beside =
            folder.file_name().filter(|name| *name == "Claude").map(|_| folder.with_file_name("Claude-3p"));
        for folder in std::iter::once(folder).chain(beside) {
            for name in VM_DISKS {
                let disk = folder.join("vm_bundles/claudevm.bundle").join(name);
                match host.exists(&disk) {
                    Ok(true) => sight.saw(Some(&disk), "the disk of Cowork's virtual machine"),
                    Ok(false) => {}
                    Err(error) => sight.barred(&disk, &error),
                }
            }
        }
    }
    sight.finding(Risk::CoworkDisk)
}

/// Whether a file is there, or a folder that is not empty.
fn holds_something(path: &Path, host: &dyn Host) -> std::io::Result<bool> {
    if !host.exists(path)? {
        return Ok(false);
    }
    Ok(host.list(path)?.is_none_or(|names| !names.is_empty()))
}

/// Signs that a backup program is set up.
// Most can back up to anywhere, so none of them missing says that there is no backup.
const BACKUPS: &[(&str, &str)] = &[
    ("${XDG_CACHE_HOME:-~/.cache}/restic", "restic"),
    ("${XDG_CONFIG_HOME:-~/.config}/resticprofile", "restic"),
    ("${XDG_CONFIG_HOME:-~/.config}/rustic", "rustic"),
    ("${XDG_CACHE_HOME:-~/.cache}/rustic", "rustic"),
    ("${XDG_CONFIG_HOME:-~/.config}/borg", "Borg"),
    ("${XDG_CACHE_HOME:-~/.cache}/borg", "Borg"),
    ("${XDG_CONFIG_HOME:-~/.config}/borgmatic", "borgmatic"),
    ("/etc/borgmatic", "borgmatic"),
    ("${XDG_DATA_HOME:-~/.local/share}/Vorta", "Vorta"),
    ("~/.var/app/org.gnome.World.PikaBackup", "Pika Backup"),
    ("${XDG_CACHE_HOME:-~/.cache}/deja-dup", "Déjà Dup"),
    ("${XDG_CACHE_HOME:-~/.cache}/duplicity", "duplicity"),
    ("${XDG_CONFIG_HOME:-~/.config}/Duplicati", "Duplicati"),
    ("${XDG_CONFIG_HOME:-~/.config}/kopia", "Kopia"),
    ("~/Library/Application Support/kopia", "Kopia"),
    ("${XDG_CONFIG_HOME:-~/.config}/backintime", "Back In Time"),
    ("/etc/rsnapshot.conf", "rsnapshot"),
    ("/etc/btrbk/btrbk.conf", "btrbk"),
    ("/etc/snapper/configs", "snapper"),
    ("/etc/sanoid/sanoid.conf", "sanoid"),
    ("/etc/urbackup", "UrBackup"),
    ("/etc/bacula/bacula-fd.conf", "Bacula"),
    ("/etc/bareos/bareos-fd.d", "Bareos"),
    ("/opt/veeam", "Veeam"),
    ("/etc/veeam", "Veeam"),
    ("/usr/local/crashplan", "CrashPlan"),
    ("/Library/Application Support/CrashPlan", "CrashPlan"),
    ("/Library/Backblaze.bzpkg", "Backblaze"),
    ("/Library/Application Support/ArqAgent", "Arq"),
    ("~/Library/Application Support/com.bombich.ccc", "Carbon Copy Cloner"),
];

/// Whether a backup program is set up.
pub(super) fn backups(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    for (place, program) in BACKUPS.iter().filter_map(|(place, name)| Some((subject.expand(place)?, *name))) {
        match holds_something(&place, host) {
            Ok(true) => sight.saw(
                Some(&place),
                format!("{program} was set up or used; whether it includes the stores was not read"),
            ),
            Ok(false) => {}
            Err(error) => sight.barred(&place, &error),
        }
    }
    sight.doubt("no known backup program left a sign, and a backup made from elsewhere leaves none");
    sight.finding(Risk::Backups)
}

/// Whether files of a store lie in the trash (freedesktop.org trash specification 1.0).
pub(super) fn trash(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    if subject.platform == Platform::Macos {
        trash_of_macos(subject, host, &mut sight);
        return sight.finding(Risk::Trash);
    }
    let roots = subject.own_roots();
    let mut places: Vec<(PathBuf, PathBuf)> = subject
        .expand("${XDG_DATA_HOME:-~/.local/share}/Trash")
        .map(|trash| (trash, PathBuf::from("/")))
        .into_iter()
        .collect();
    // A volume has a trash of its own at its top, as a file is moved there without being copied.
    for mount in mounts::all(subject.platform, host).unwrap_or_default() {
        if roots.iter().any(|root| root.starts_with(&mount.at)) {
            for name in [format!(".Trash-{}", subject.uid), format!(".Trash/{}", subject.uid)] {
                places.push((mount.at.join(name), mount.at.clone()));
            }
        }
    }
    for (trash, top) in places {
        let info = trash.join("info");
        match host.list(&info) {
            Ok(names) => {
                let notes = names.unwrap_or_default();
                let of_store = notes.iter().filter(|name| {
                    let content = host.read(&info.join(name)).ok().flatten().unwrap_or_default();
                    // By the note beside it: in the trash a file has another name than it had.
                    original(&content, &top).is_some_and(|path| is_of_store(&path, &roots))
                });
                let count = of_store.count();
                if count > 0 {
                    sight.saw(Some(&trash.join("files")), format!("{count} files or folders of a store"));
                }
            }
            Err(error) => sight.barred(&info, &error),
        }
    }
    sight.finding(Risk::Trash)
}

/// Where a thing in the trash came from; relative paths count from the top of its volume.
fn original(note: &[u8], top: &Path) -> Option<PathBuf> {
    let text = std::str::from_utf8(note).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("Path="))?;
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    Some(top.join(String::from_utf8_lossy(&bytes).as_ref()))
}

fn is_of_store(path: &Path, roots: &[PathBuf]) -> bool {
    let named =
        |name: &std::ffi::OsStr| name == ".claude" || name == ".claude.json" || name == "claude-cli-nodejs";
    roots.iter().any(|root| path.starts_with(root)) || path.iter().any(named)
}

fn trash_of_macos(subject: &Subject<'_>, host: &dyn Host, sight: &mut Sight) {
    let trash = subject.home.join(".Trash");
    match host.list(&trash) {
        Ok(names) => {
            for name in names.unwrap_or_default() {
                let text = name.to_string_lossy();
                let is_transcript = text
                    .strip_suffix(".jsonl")
                    .is_some_and(|stem| crate::catalogue::SessionId::from_bytes(stem.as_bytes()).is_some());
                if is_transcript || text.starts_with(".claude") || text == "history.jsonl" {
                    sight.saw(Some(&trash.join(&name)), "by its name it is of a store");
                }
            }
        }
        Err(error) => sight.barred(&trash, &error),
    }
}

/// Whether dumps of a client lie where the system keeps dumps.
pub(super) fn core_dumps(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    for folder in ["/var/lib/systemd/coredump", "/var/crash"].map(Path::new) {
        match host.list(folder) {
            Ok(names) => {
                for name in names.unwrap_or_default() {
                    let text = name.to_string_lossy();
                    let path = folder.join(&name);
                    match dumped(&text, subject.uid) {
                        Some(true) => sight.saw(Some(&path), "a dump of Claude Code"),
                        Some(false) => {
                            sight.doubt(format!(
                                "'{}' is a dump of a program that may be Claude Code",
                                shown(&path)
                            ));
                        }
                        None => {}
                    }
                }
            }
            Err(error) => sight.barred(folder, &error),
        }
    }
    sight.finding(Risk::CoreDumps)
}

/// Whether a dump is of a client, or of a program that runs clients; `None` for others.
///
/// systemd writes `core.<program>.<uid>.<boot>.<pid>.<time>`, and a suffix where it compresses,, apport
/// `<path with _ for />.<uid>.crash`.
fn dumped(name: &str, uid: u32) -> Option<bool> {
    let program = if let Some(rest) = name.strip_prefix("core.") {
        let ends_in_digits =
            rest.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        let rest = if ends_in_digits { rest } else { rest.rsplit_once('.')?.0 };
        let parts: Vec<&str> = rest.rsplitn(5, '.').collect();
        let (owner, program) = (parts.get(3)?, parts.get(4)?);
        // Another account's dump holds nothing of these stores.
        (owner.parse() == Ok(uid)).then_some(*program)?
    } else {
        let (program, owner) = name.strip_suffix(".crash")?.rsplit_once('.')?;
        (owner.parse() == Ok(uid)).then(|| program.rsplit('_').next())??
    };
    match program {
        "claude" | "claude.exe" => Some(true),
        // Claude Code is run by these where it was installed from npm, and so are many other programs.
        "node" | "bun" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
#[path = "copies_tests.rs"]
mod tests;
