//! Snapshots of volumes: what keeps files as they were below the file system or beside it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::mounts::{self, Mount};
use super::sight::{Sight, reason};
use super::volume::{devices, line};
use super::{Finding, Host, Risk, Subject};
use crate::escape::shown;

/// The mount of every root, or why there is none; each mount once.
fn mounted(subject: &Subject<'_>, host: &dyn Host, sight: &mut Sight) -> Vec<(PathBuf, Mount)> {
    let mounts = match mounts::all(subject.platform, host) {
        Ok(mounts) => mounts,
        Err(reason) => {
            sight.doubt(reason);
            return Vec::new();
        }
    };
    let mut found: Vec<(PathBuf, Mount)> = Vec::new();
    for root in subject.roots {
        match mounts::of(&mounts, root) {
            None => sight.doubt(format!("no mount is listed for '{}'", shown(root))),
            Some(mount) if !found.iter().any(|(_, known)| known == mount) => {
                found.push((root.clone(), mount.clone()));
            }
            Some(_) => {}
        }
    }
    found
}

/// Snapshots of btrfs: where snapper and others keep them; the kernel's own list is for root alone.
pub(super) fn btrfs(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    for (root, mount) in mounted(subject, host, &mut sight) {
        if mount.kind != "btrfs" {
            continue;
        }
        sight.remark(Some(&mount.at), format!("'{}' lies on btrfs", shown(&root)));
        // A subvolume need not be a mount, so each folder above may be the top of one.
        for above in root.ancestors().take_while(|above| above.starts_with(&mount.at)) {
            let folder = above.join(".snapshots");
            match host.list(&folder) {
                Ok(Some(names)) if !names.is_empty() => {
                    sight.saw(Some(&folder), format!("{} entries (snapper)", names.len()));
                }
                Ok(_) => {}
                Err(error) => sight.barred(&folder, &error),
            }
        }
        sight.doubt(format!(
            "the snapshots of '{}' are listed to root only, by `btrfs subvolume list -s`",
            shown(&mount.at)
        ));
    }
    sight.finding(Risk::BtrfsSnapshots)
}

/// Snapshots of ZFS: every dataset shows its own in a hidden folder.
pub(super) fn zfs(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    for (_, mount) in mounted(subject, host, &mut sight) {
        if mount.kind != "zfs" {
            continue;
        }
        let folder = mount.at.join(".zfs/snapshot");
        match host.list(&folder) {
            Ok(Some(names)) if names.is_empty() => {
                sight.remark(Some(&folder), format!("no snapshot of '{}'", shown(&mount.source)));
            }
            Ok(Some(names)) => {
                sight.saw(Some(&folder), format!("{} of '{}'", some_of(&names), shown(&mount.source)));
            }
            Ok(None) => sight.doubt(format!("'{}' shows no snapshot folder", shown(&mount.at))),
            Err(error) => sight.barred(&folder, &error),
        }
    }
    sight.finding(Risk::ZfsSnapshots)
}

/// How many, and the first few by name.
fn some_of(names: &[impl AsRef<OsStr>]) -> String {
    let first: Vec<String> = names.iter().take(3).map(|name| format!("'{}'", shown(name.as_ref()))).collect();
    let more = if names.len() > first.len() { " …" } else { "" };
    format!("{} ({}{more})", names.len(), first.join(", "))
}

/// Snapshots of LVM: device mapper puts a device `…-real` below an origin that has any; whether a
/// thin volume has some is known to LVM alone.
pub(super) fn lvm(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    let all = Path::new("/sys/class/block");
    for (root, mount) in mounted(subject, host, &mut sight) {
        if mounts::place(&mount.kind) != mounts::Place::Local {
            continue;
        }
        let mut stack = devices(&mount, host);
        if stack.is_empty() {
            sight.doubt(format!("the device of '{}' cannot be told", shown(&root)));
        }
        let mut at = 0;
        while let Some(device) = stack.get(at).cloned() {
            at += 1;
            let folder = all.join(&device);
            if !matches!(host.exists(&folder), Ok(true)) {
                sight.doubt(format!("sysfs shows nothing about the device '{}'", shown(&device)));
                continue;
            }
            let below = host.list(&folder.join("slaves")).ok().flatten().unwrap_or_default();
            for name in below.iter().map(|name| name.to_string_lossy().into_owned()) {
                if !stack.contains(&name) && stack.len() < 64 {
                    stack.push(name);
                }
            }
            let Some(uuid) = line(host, &folder.join("dm/uuid")) else { continue };
            if !uuid.starts_with("LVM-") {
                continue;
            }
            let name = line(host, &folder.join("dm/name")).unwrap_or(device);
            if uuid.ends_with("-real") {
                sight.saw(Some(&folder), format!("'{}' lies below a volume with snapshots", shown(&name)));
            } else if uuid.ends_with("-tpool") || uuid.ends_with("-pool") {
                sight.doubt(format!(
                    "'{}' lies in a thin pool, whose snapshots only `lvs` lists, as root",
                    shown(&root)
                ));
            }
        }
    }
    sight.finding(Risk::LvmSnapshots)
}

/// Snapshots of Timeshift, which copies or snapshots the whole system.
pub(super) fn timeshift(host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    let mut set_up = false;
    for path in ["/etc/timeshift/timeshift.json", "/etc/timeshift.json"].map(Path::new) {
        match host.exists(path) {
            Ok(true) => {
                set_up = true;
                sight.remark(Some(path), "Timeshift is set up");
            }
            Ok(false) => {}
            Err(error) => sight.barred(path, &error),
        }
    }
    let mut places: Vec<PathBuf> =
        ["/timeshift/snapshots", "/timeshift-btrfs/snapshots"].map(PathBuf::from).to_vec();
    let run = Path::new("/run/timeshift");
    match host.list(run) {
        Ok(names) => {
            for name in names.unwrap_or_default() {
                let backup = run.join(name).join("backup");
                places.extend(["timeshift/snapshots", "timeshift-btrfs/snapshots"].map(|at| backup.join(at)));
            }
        }
        Err(error) => sight.barred(run, &error),
    }
    for place in places {
        match host.list(&place) {
            Ok(Some(names)) if !names.is_empty() => sight.saw(Some(&place), some_of(&names)),
            Ok(_) => {}
            Err(error) => sight.barred(&place, &error),
        }
    }
    if set_up {
        sight.doubt("Timeshift is set up, and its snapshots lie on a volume that is not mounted now");
    }
    sight.finding(Risk::Timeshift)
}

/// Local snapshots of APFS, by `tmutil`.
pub(super) fn apfs(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    for (_, mount) in mounted(subject, host, &mut sight) {
        if mount.kind != "apfs" {
            continue;
        }
        let at = mount.at.to_string_lossy().into_owned();
        match host.run("/usr/bin/tmutil", &["listlocalsnapshots", &at]) {
            Ok(said) => match local_snapshots(&said) {
                Some(names) if names.is_empty() => {}
                Some(names) => sight.saw(Some(&mount.at), some_of(&names)),
                None => sight.doubt("`tmutil listlocalsnapshots` says nothing that is known"),
            },
            Err(error) => {
                sight.doubt(format!("`tmutil listlocalsnapshots` cannot be run: {}", reason(&error)));
            }
        }
    }
    sight.finding(Risk::ApfsSnapshots)
}

/// The names `tmutil listlocalsnapshots` gives below its heading; `None` without the heading.
fn local_snapshots(said: &str) -> Option<Vec<String>> {
    let mut lines = said.lines().map(str::trim);
    lines.find(|line| line.starts_with("Snapshots for"))?;
    Some(lines.filter(|line| line.starts_with("com.")).map(str::to_owned).collect())
}

/// Backups of Time Machine, by `tmutil`: whether any is set up, and whether the store is left out.
pub(super) fn time_machine(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    match host.run("/usr/bin/tmutil", &["destinationinfo"]) {
        Err(error) => sight.doubt(format!("`tmutil destinationinfo` cannot be run: {}", reason(&error))),
        Ok(said) => match destinations(&said) {
            Some(0) => sight.remark(None, "no destination is set up now; earlier ones cannot be seen"),
            Some(count) => {
                for root in &subject.own_roots() {
                    let at = root.to_string_lossy().into_owned();
                    let asked = host.run("/usr/bin/tmutil", &["isexcluded", &at]);
                    match asked.as_deref().map(str::trim_start) {
                        Ok(said) if said.starts_with("[Excluded]") => {
                            sight.doubt(format!(
                                "'{}' is excluded from backups now, and since when cannot be told",
                                shown(root)
                            ));
                        }
                        _ => sight.saw(Some(root), format!("it is not excluded from {count} destinations")),
                    }
                }
            }
            None => sight.doubt("`tmutil destinationinfo` says nothing that is known"),
        },
    }
    sight.finding(Risk::TimeMachine)
}

/// How many destinations `tmutil destinationinfo` lists.
fn destinations(said: &str) -> Option<usize> {
    if said.contains("No destinations configured") {
        return Some(0);
    }
    let names = said.lines().filter(|line| line.split(':').next().is_some_and(|key| key.trim() == "ID"));
    Some(names.count()).filter(|count| *count > 0)
}

#[cfg(test)]
#[path = "snapshots_tests.rs"]
mod tests;
