//! Deleted files that a process still has open: whoever holds one can read it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::sight::{Sight, reason};
use super::volume::line;
use super::{Finding, Host, Risk, Subject};
use crate::escape::shown;
use crate::platform::Platform;

/// What the kernel writes behind the name of a deleted file (proc_pid_fd(5)).
const DELETED: &[u8] = b" (deleted)";

/// Whether any process of the account has a deleted file of a store open.
pub(super) fn open_deleted(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    match subject.platform {
        Platform::Linux => on_linux(subject, host, &mut sight),
        Platform::Macos => on_macos(subject, host, &mut sight),
        Platform::Windows => sight.doubt("it is not looked for on Windows"),
    }
    sight.finding(Risk::OpenDeletedFiles)
}

fn on_linux(subject: &Subject<'_>, host: &dyn Host, sight: &mut Sight) {
    let proc = Path::new("/proc");
    let names = match host.list(proc) {
        Ok(Some(names)) => names,
        Ok(None) => return sight.doubt("/proc is not there"),
        Err(error) => return sight.barred(proc, &error),
    };
    let roots = subject.own_roots();
    let mut closed = 0_u32;
    let mut seen_any = false;
    for pid in names.iter().filter_map(|name| name.to_str()?.parse::<u32>().ok()) {
        let folder = proc.join(pid.to_string());
        // Others' tables of files are closed, and what others have open of this account's store is a matter of
        // its modes.
        if pid == host.own_pid() || host.owner(&folder) != Some(subject.uid) {
            continue;
        }
        let table = folder.join("fd");
        let descriptors = match host.list(&table) {
            Ok(Some(descriptors)) => descriptors,
            // It ended meanwhile.
            Ok(None) => continue,
            Err(_) => {
                closed += 1;
                continue;
            }
        };
        seen_any = true;
        let mut files: Vec<PathBuf> = Vec::new();
        for descriptor in descriptors {
            let descriptor = table.join(descriptor);
            let target = host.link(&descriptor).ok().flatten();
            let Some(file) = target.as_deref().and_then(deleted) else { continue };
            // A name may really end so; then the file has a name.
            if roots.iter().any(|root| file.starts_with(root))
                && host.is_unlinked(&descriptor) != Some(false)
                // A process may have one file open many times.
                && !files.contains(&file)
            {
                files.push(file);
            }
        }
        if let Some(first) = files.first() {
            let name = line(host, &folder.join("comm")).unwrap_or_else(|| "?".to_owned());
            let more = if files.len() > 1 { format!(" and {} more", files.len() - 1) } else { String::new() };
            sight.saw(Some(first), format!("process {pid} ({}) has it open{more}", shown(&name)));
        }
    }
    if closed > 0 {
        sight.doubt(format!("{closed} processes of the account do not show what they have open"));
    } else if !seen_any {
        sight.doubt("/proc shows no other process of the account");
    }
}

/// The name a deleted file had.
fn deleted(target: &Path) -> Option<PathBuf> {
    let bytes = target.as_os_str().as_encoded_bytes().strip_suffix(DELETED)?;
    if bytes.starts_with(b"/") { of_bytes(bytes).map(PathBuf::from) } else { None }
}

#[cfg(unix)]
fn of_bytes(bytes: &[u8]) -> Option<&OsStr> {
    use std::os::unix::ffi::OsStrExt as _;
    Some(OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn of_bytes(bytes: &[u8]) -> Option<&OsStr> {
    std::str::from_utf8(bytes).ok().map(OsStr::new)
}

/// `lsof +L1` lists what is open and has no name any more; `-F pcn` gives a field a line.
fn on_macos(subject: &Subject<'_>, host: &dyn Host, sight: &mut Sight) {
    let uid = subject.uid.to_string();
    match host.run("/usr/sbin/lsof", &["-n", "-P", "-a", "+L1", "-u", &uid, "-F", "pcn"]) {
        Ok(said) => {
            let roots = subject.own_roots();
            for (pid, name, file) in open_files(&said) {
                if roots.iter().any(|root| file.starts_with(root)) {
                    sight.saw(Some(&file), format!("process {pid} ({}) has it open", shown(&name)));
                }
            }
        }
        // It ends so where it found nothing.
        Err(error) if error.kind() == std::io::ErrorKind::Other => {}
        Err(error) => sight.doubt(format!("`lsof` cannot be run: {}", reason(&error))),
    }
}

/// Process id, its name and the file, for each file of the field output of lsof(8).
fn open_files(said: &str) -> Vec<(u32, String, PathBuf)> {
    let (mut pid, mut name) = (0, String::new());
    let mut found = Vec::new();
    for line in said.lines() {
        let Some((field, value)) = line.split_at_checked(1) else { continue };
        match field {
            "p" => pid = value.parse().unwrap_or_default(),
            "c" => value.clone_into(&mut name),
            "n" if value.starts_with('/') => found.push((pid, name.clone(), PathBuf::from(value))),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
#[path = "processes_tests.rs"]
mod tests;
