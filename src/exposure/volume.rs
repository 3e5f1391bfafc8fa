//! On what a folder lies, and whether that is encrypted.
//!
//! On Linux the devices below a file system are walked in sysfs: device mapper names itself in
//! `dm/uuid` (`CRYPT-LUKS2-…` by cryptsetup, `LVM-…` by LVM), a partition lies in the folder of its
//! disk, `slaves` lists what a device is made of, and a loop device names its file. On macOS
//! `fdesetup` tells about the volume of the system.

use std::path::{Path, PathBuf};

use super::mounts::{self, Mount, Place};
use super::sight::Sight;
use super::{Finding, Host, Risk, Seen, Subject, Volume};
use crate::escape::shown;
use crate::platform::Platform;

/// No stack of devices is deeper; a circle ends there.
const DEEPEST: usize = 24;

/// Whether what is stored is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Encryption {
    /// It is, in this way.
    By(String),
    /// No encryption is visible from the file system down to this device.
    None(String),
    /// It is not on a disk.
    InMemory,
    /// It cannot be told.
    Unknown(String),
}

/// On what a folder lies.
pub fn volume(path: &Path, platform: Platform, host: &dyn Host) -> Volume {
    let path = host.resolve(path);
    let mounts = mounts::all(platform, host);
    let mount = mounts.as_ref().ok().and_then(|mounts| mounts::of(mounts, &path));
    let encrypted = match encryption(&path, platform, &mounts, host) {
        Encryption::By(_) => Seen::Yes,
        Encryption::None(_) => Seen::No,
        Encryption::InMemory => Seen::Unknown("it lies in memory and not on a disk".to_owned()),
        Encryption::Unknown(reason) => Seen::Unknown(reason),
    };
    Volume {
        mounted_at: mount.map(|mount| mount.at.clone()),
        source: mount.map(|mount| mount.source.clone()),
        file_system: mount.map(|mount| mount.kind.clone()),
        encrypted,
    }
}

/// Whether any store lies on a volume that is not encrypted.
pub(super) fn unencrypted(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mounts = mounts::all(subject.platform, host);
    let mut sight = Sight::default();
    for root in subject.roots {
        match encryption(root, subject.platform, &mounts, host) {
            Encryption::By(how) => sight.remark(Some(root), how),
            Encryption::None(device) => sight.saw(
                Some(root),
                format!(
                    "no encryption is visible between it and {device}; a drive or a host that encrypts by itself \
                     cannot be seen"
                ),
            ),
            Encryption::InMemory => sight.remark(Some(root), "it lies in memory and not on a disk"),
            Encryption::Unknown(reason) => sight.doubt(format!("of '{}': {reason}", shown(root))),
        }
    }
    sight.finding(Risk::UnencryptedVolume)
}

/// Whether any store lies on another machine.
pub(super) fn network(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    match mounts::all(subject.platform, host) {
        Err(reason) => sight.doubt(reason),
        Ok(mounts) => {
            for root in subject.roots {
                let Some(mount) = mounts::of(&mounts, root) else {
                    sight.doubt(format!("no mount is listed for '{}'", shown(root)));
                    continue;
                };
                match mounts::place(&mount.kind) {
                    Place::Network => {
                        sight.saw(
                            Some(root),
                            format!("it lies on '{}' ({})", shown(&mount.source), mount.kind),
                        );
                    }
                    Place::Fuse => sight.doubt(format!(
                        "'{}' is shown by a program ({}), and where that keeps it cannot be seen",
                        shown(root),
                        mount.kind
                    )),
                    Place::Local | Place::Memory | Place::Overlay => {}
                }
            }
        }
    }
    sight.finding(Risk::NetworkFileSystem)
}

/// Whether what is stored at a real path is encrypted.
pub(super) fn encryption(
    path: &Path,
    platform: Platform,
    mounts: &Result<Vec<Mount>, String>,
    host: &dyn Host,
) -> Encryption {
    let mounts = match mounts {
        Ok(mounts) => mounts,
        Err(reason) => return Encryption::Unknown(reason.clone()),
    };
    match platform {
        Platform::Linux => on_linux(path, mounts, host, 0),
        Platform::Macos => on_macos(path, mounts, host),
        Platform::Windows => Encryption::Unknown("it is not looked for on Windows".to_owned()),
    }
}

fn on_linux(path: &Path, mounts: &[Mount], host: &dyn Host, depth: usize) -> Encryption {
    if host.encrypts(path) == Some(true) {
        return Encryption::By("the file system encrypts this folder (fscrypt)".to_owned());
    }
    let Some(mount) = mounts::of(mounts, path) else {
        return Encryption::Unknown("no mount is listed for it".to_owned());
    };
    match (mount.kind.as_str(), mounts::place(&mount.kind)) {
        ("ecryptfs" | "fuse.gocryptfs" | "fuse.encfs" | "fuse.cryfs" | "fuse.securefs", _) => {
            Encryption::By(format!("the file system encrypts it ({})", mount.kind))
        }
        ("zfs", _) => Encryption::Unknown(
            "ZFS tells only by `zfs get encryption` whether a dataset is encrypted".to_owned(),
        ),
        (_, Place::Memory) => Encryption::InMemory,
        (kind, Place::Network) => Encryption::Unknown(format!("it lies on another machine ({kind})")),
        (kind, Place::Fuse) => Encryption::Unknown(format!("a program shows it ({kind})")),
        (kind, Place::Overlay) => {
            Encryption::Unknown(format!("what lies below the {kind} file system cannot be seen from here"))
        }
        (kind, Place::Local) => {
            let found = of_devices(&devices(mount, host), mounts, host, depth);
            match found {
                // It can encrypt by itself, which nothing to be read tells.
                Encryption::None(_) if kind == "bcachefs" => {
                    Encryption::Unknown("bcachefs does not tell whether it encrypts".to_owned())
                }
                found => found,
            }
        }
    }
}

/// The names of the block devices a file system lies on, as sysfs has them.
pub(super) fn devices(mount: &Mount, host: &dyn Host) -> Vec<String> {
    let name_of = |path: PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let by_number = mount.device.filter(|(major, _)| *major != 0).and_then(|(major, minor)| {
        let link = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
        host.link(&link).ok().flatten().and_then(name_of)
    });
    let by_name = || {
        let source = Path::new(&mount.source);
        source.starts_with("/dev").then(|| name_of(host.resolve(source))).flatten()
    };
    let Some(name) = by_number.or_else(by_name) else { return Vec::new() };
    if mount.kind == "btrfs" {
        // One of several, perhaps: each file system of btrfs lists its devices.
        let all = Path::new("/sys/fs/btrfs");
        for id in host.list(all).ok().flatten().unwrap_or_default() {
            let listed = host.list(&all.join(id).join("devices")).ok().flatten().unwrap_or_default();
            let listed: Vec<String> = listed.iter().map(|name| name.to_string_lossy().into_owned()).collect();
            if listed.contains(&name) {
                return listed;
            }
        }
    }
    vec![name]
}

/// All of them must be encrypted for what lies on them to be.
fn of_devices(devices: &[String], mounts: &[Mount], host: &dyn Host, depth: usize) -> Encryption {
    let mut found = None;
    for device in devices {
        match of_device(device, mounts, host, depth) {
            by @ Encryption::By(_) => found = found.or(Some(by)),
            other => return other,
        }
    }
    found.unwrap_or_else(|| Encryption::Unknown("the device it lies on cannot be told".to_owned()))
}

/// Whether a block device is encrypted, by itself or by what it is made of.
pub(super) fn of_device(device: &str, mounts: &[Mount], host: &dyn Host, depth: usize) -> Encryption {
    if depth > DEEPEST {
        return Encryption::Unknown("the devices below it are too many".to_owned());
    }
    let folder = Path::new("/sys/class/block").join(device);
    if !matches!(host.exists(&folder), Ok(true)) {
        return Encryption::Unknown(format!("sysfs shows nothing about the device '{}'", shown(device)));
    }
    if device.starts_with("zram") || device.starts_with("ram") {
        return Encryption::InMemory;
    }
    let dm = line(host, &folder.join("dm/uuid"));
    if let Some(scheme) = dm.as_deref().and_then(|uuid| uuid.strip_prefix("CRYPT-")) {
        let scheme = scheme.split('-').next().unwrap_or_default();
        // These check data and do not hide them.
        if !matches!(scheme, "VERITY" | "INTEGRITY" | "SUBDEV") {
            return Encryption::By(format!("{scheme} on '{}' (dm-crypt)", shown(device)));
        }
    }
    if let Some(file) = line(host, &folder.join("loop/backing_file")) {
        return on_linux(&host.resolve(Path::new(&file)), mounts, host, depth + 1);
    }
    let slaves = host.list(&folder.join("slaves")).ok().flatten().unwrap_or_default();
    if !slaves.is_empty() {
        let slaves: Vec<String> = slaves.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        return of_devices(&slaves, mounts, host, depth + 1);
    }
    if matches!(host.exists(&folder.join("partition")), Ok(true))
        && let Some(disk) = host.resolve(&folder).parent().and_then(Path::file_name)
    {
        return match of_device(&disk.to_string_lossy(), mounts, host, depth + 1) {
            // The partition is what people know it by.
            Encryption::None(_) => Encryption::None(format!("'/dev/{}'", shown(device))),
            other => other,
        };
    }
    if dm.is_some() {
        return Encryption::Unknown(format!("sysfs does not show what '{}' is made of", shown(device)));
    }
    Encryption::None(format!("'/dev/{}'", shown(device)))
}

/// The first line of a file, where it has one.
pub(super) fn line(host: &dyn Host, path: &Path) -> Option<String> {
    let content = host.read(path).ok().flatten()?;
    let text = String::from_utf8_lossy(&content);
    text.lines().next().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned)
}

fn on_macos(path: &Path, mounts: &[Mount], host: &dyn Host) -> Encryption {
    let kind = mounts::of(mounts, path).map(|mount| mount.kind.as_str());
    match kind.map(mounts::place) {
        Some(Place::Network) => return Encryption::Unknown("it lies on another machine".to_owned()),
        Some(Place::Fuse) => return Encryption::Unknown("a program shows it".to_owned()),
        Some(Place::Memory) => return Encryption::InMemory,
        _ => {}
    }
    if path.starts_with("/Volumes") {
        return Encryption::Unknown(
            "FileVault tells of the system's own volume; see `diskutil info` for this one".to_owned(),
        );
    }
    match host.run("/usr/bin/fdesetup", &["status"]) {
        Ok(said) => filevault(&said),
        Err(error) => {
            Encryption::Unknown(format!("`fdesetup status` cannot be run: {}", super::sight::reason(&error)))
        }
    }
}

/// What `fdesetup status` says.
fn filevault(said: &str) -> Encryption {
    let lines = || said.lines().map(str::trim);
    if lines()
        .any(|line| line.starts_with("Encryption in progress") || line.starts_with("Decryption in progress"))
    {
        Encryption::Unknown("FileVault is being turned on or off".to_owned())
    } else if lines().any(|line| line == "FileVault is On.") {
        Encryption::By("FileVault is on".to_owned())
    } else if lines().any(|line| line.starts_with("FileVault is Off")) {
        // Also where it is to be turned on at the next start: until then it is off.
        Encryption::None("the disk of the system (FileVault is off)".to_owned())
    } else {
        Encryption::Unknown("`fdesetup status` says neither on nor off".to_owned())
    }
}

#[cfg(test)]
#[path = "volume_tests.rs"]
mod tests;
