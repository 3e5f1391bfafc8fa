//! Memory that was written to a disk: swap and hibernation.

use std::path::{Path, PathBuf};

use super::mounts;
use super::sight::{Sight, reason};
use super::volume::{Encryption, encryption, line, of_device};
use super::{Finding, Host, Risk, Subject};
use crate::escape::shown;
use crate::platform::Platform;

/// Whether memory may lie in swap in plaintext.
pub(super) fn swap(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    match subject.platform {
        Platform::Linux => swap_of_linux(host, &mut sight),
        Platform::Macos => match host.run("/usr/sbin/sysctl", &["-n", "vm.swapusage"]) {
            Ok(said) if said.contains("(encrypted)") => sight.remark(None, "swap is encrypted by the system"),
            // macOS makes and removes swap files as it needs them.
            Ok(said) if said.trim_start().starts_with("total = 0.00M") => {
                sight.doubt("there is no swap now, and whether there was cannot be told");
            }
            Ok(said) if said.contains("total =") => sight.saw(None, "swap is not encrypted"),
            Ok(_) => sight.doubt("`sysctl vm.swapusage` says nothing that is known"),
            Err(error) => sight.doubt(format!("`sysctl vm.swapusage` cannot be run: {}", reason(&error))),
        },
        Platform::Windows => sight.doubt("it is not looked for on Windows"),
    }
    sight.finding(Risk::Swap)
}

/// An area of `/proc/swaps` (proc(5)).
struct Area {
    path: PathBuf,
    is_file: bool,
}

/// `Filename Type Size Used Priority`, blanks in names as `\040`.
fn areas(content: &str) -> Vec<Area> {
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let (name, kind) = (fields.next()?, fields.next()?);
        // A file that was deleted meanwhile is marked so.
        let kind = if kind == "(deleted)" { fields.next()? } else { kind };
        let name = name.strip_suffix("\\040(deleted)").unwrap_or(name).replace("\\040", " ");
        Some(Area { path: PathBuf::from(name), is_file: kind == "file" })
    };
    content.lines().skip(1).filter_map(parse).collect()
}

fn swap_of_linux(host: &dyn Host, sight: &mut Sight) {
    let path = Path::new("/proc/swaps");
    let content = match host.read(path) {
        Ok(Some(content)) => String::from_utf8_lossy(&content).into_owned(),
        Ok(None) => return sight.doubt("/proc/swaps is not there"),
        Err(error) => return sight.barred(path, &error),
    };
    for area in areas(&content) {
        match encryption_of(&area, host) {
            Encryption::By(how) => sight.remark(Some(&area.path), format!("it is encrypted: {how}")),
            Encryption::InMemory => in_memory(&area.path, host, sight),
            Encryption::None(_) => sight.saw(Some(&area.path), "it is in use and not encrypted"),
            Encryption::Unknown(reason) => {
                sight.doubt(format!("whether '{}' is encrypted cannot be told: {reason}", shown(&area.path)));
            }
        }
    }
}

/// zram stays in memory unless it writes back to a device.
fn in_memory(area: &Path, host: &dyn Host, sight: &mut Sight) {
    let name = area.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let backing = line(host, &Path::new("/sys/block").join(name).join("backing_dev"));
    match backing.filter(|device| device != "none") {
        None => sight.remark(Some(area), "it is compressed memory and not on a disk"),
        Some(device) => match of_path(Path::new(&device), host) {
            Encryption::By(how) => {
                sight.remark(
                    Some(area),
                    format!("it writes back to '{}', which is encrypted: {how}", shown(&device)),
                );
            }
            // What cannot be told of the device is taken for plain here, as it certainly is on a disk.
            _ => sight.saw(Some(area), format!("compressed memory that writes back to '{}'", shown(&device))),
        },
    }
}

fn encryption_of(area: &Area, host: &dyn Host) -> Encryption {
    // A swap file is as safe as the file system that it lies on.
    if area.is_file {
        return encryption(
            &host.resolve(&area.path),
            Platform::Linux,
            &mounts::all(Platform::Linux, host),
            host,
        );
    }
    of_path(&area.path, host)
}

/// Whether the device at a path is encrypted.
fn of_path(path: &Path, host: &dyn Host) -> Encryption {
    let mounts = mounts::all(Platform::Linux, host).unwrap_or_default();
    match host.resolve(path).file_name() {
        Some(name) => of_device(&name.to_string_lossy(), &mounts, host, 0),
        None => Encryption::Unknown("its device cannot be told".to_owned()),
    }
}

/// Whether memory may have been written to disk at hibernation.
pub(super) fn hibernation(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    match subject.platform {
        Platform::Linux => hibernation_of_linux(host, &mut sight),
        Platform::Macos => hibernation_of_macos(host, &mut sight),
        Platform::Windows => sight.doubt("it is not looked for on Windows"),
    }
    sight.finding(Risk::Hibernation)
}

/// `/sys/power/state` has `disk` where the kernel can hibernate, `/sys/power/disk` is
/// `[disabled]` where it may not, and `/sys/power/resume` names the device of the image.
fn hibernation_of_linux(host: &dyn Host, sight: &mut Sight) {
    let path = Path::new("/sys/power/state");
    let states = match host.read(path) {
        Ok(Some(content)) => String::from_utf8_lossy(&content).into_owned(),
        Ok(None) => return sight.doubt("/sys/power/state is not there, as in a container"),
        Err(error) => return sight.barred(path, &error),
    };
    if !states.split_whitespace().any(|state| state == "disk") {
        return sight.remark(Some(path), "the kernel cannot hibernate");
    }
    if line(host, Path::new("/sys/power/disk")).is_some_and(|modes| modes.contains("[disabled]")) {
        return sight.remark(Some(Path::new("/sys/power/disk")), "hibernation is disabled");
    }
    let resume = Path::new("/sys/power/resume");
    let Some(device) = line(host, resume).filter(|device| device != "0:0") else {
        // Some set-ups name the device only at the moment of hibernation, for which swap is needed.
        let swaps = host.read(Path::new("/proc/swaps")).ok().flatten();
        return match swaps.map(|content| areas(&String::from_utf8_lossy(&content))) {
            Some(areas) if areas.iter().all(|area| area.path.starts_with("/dev/zram0")) => {
                sight.remark(None, "there is no swap on a disk that could hold an image");
            }
            Some(_) => sight.doubt("the kernel can hibernate, and no device for the image is set"),
            None => sight.doubt("the kernel can hibernate, and /proc/swaps cannot be read"),
        };
    };
    let name = host.link(&Path::new("/sys/dev/block").join(&device)).ok().flatten();
    let mounts = mounts::all(Platform::Linux, host).unwrap_or_default();
    let found = match name.as_deref().and_then(Path::file_name) {
        Some(name) => of_device(&name.to_string_lossy(), &mounts, host, 0),
        None => Encryption::Unknown(format!("sysfs shows nothing about the device {device}")),
    };
    match found {
        Encryption::By(how) => {
            sight.remark(Some(resume), format!("the image lies on an encrypted device: {how}"))
        }
        Encryption::None(device) => sight.saw(Some(resume), format!("the image would lie on {device}")),
        Encryption::InMemory => sight.remark(Some(resume), "the image would not lie on a disk"),
        Encryption::Unknown(reason) => sight.doubt(reason),
    }
}

/// `pmset -g` has `hibernatemode`: 0 writes no image (pmset(1)).
fn hibernation_of_macos(host: &dyn Host, sight: &mut Sight) {
    let said = match host.run("/usr/bin/pmset", &["-g"]) {
        Ok(said) => said,
        Err(error) => return sight.doubt(format!("`pmset -g` cannot be run: {}", reason(&error))),
    };
    let mode = said.lines().find_map(|line| line.trim_start().strip_prefix("hibernatemode")).map(str::trim);
    let is_encrypted =
        host.run("/usr/sbin/sysctl", &["-n", "vm.swapusage"]).is_ok_and(|said| said.contains("(encrypted)"));
    match mode {
        None => sight.doubt("`pmset -g` names no hibernatemode"),
        Some("0") => sight.remark(None, "hibernatemode is 0: no image is written"),
        // The image lies beside swap and is encrypted with it (pmset(1)).
        Some(mode) if is_encrypted => {
            sight.remark(None, format!("hibernatemode is {mode}, and the image is encrypted as swap is"));
        }
        Some(mode) => sight.saw(Some(Path::new("/var/vm/sleepimage")), format!("hibernatemode is {mode}")),
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
