//! Which folders are mounted, for a process that cannot ask the kernel for the mount of a handle.
//!
//! Before Linux 5.8 only `/proc/self/fdinfo` tells that, and a child of a run over all users, which is
//! closed to its user, cannot read it any more. So what is mounted is noted while it still is root.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{AtFlags, StatxFlags};

/// Device and inode of every folder that something is mounted on; the source of a bind mount has the
/// same, and counts as one, too.
static NOTED: OnceLock<HashSet<(u64, u64)>> = OnceLock::new();

/// File systems that have a device of their own, and may not answer.
const ELSEWHERE: [&[u8]; 9] =
    [b"nfs", b"nfs4", b"cifs", b"smb3", b"autofs", b"9p", b"ceph", b"afs", b"glusterfs"];

/// Notes what is mounted now, where this kernel does not tell the mount of a handle.
pub fn note() {
    let told = rustix::fs::statx(rustix::fs::CWD, c"/", AtFlags::empty(), StatxFlags::MNT_ID);
    if told.is_ok_and(|stat| StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID)) {
        return;
    }
    let Ok(table) = std::fs::read("/proc/self/mountinfo") else { return };
    let noted = table.split(|byte| *byte == b'\n').filter_map(|line| {
        let point = mount_point(line)?;
        let stat = rustix::fs::stat(Path::new(OsStr::from_bytes(&point))).ok()?;
        Some((stat.st_dev, stat.st_ino))
    });
    let _ = NOTED.set(noted.collect());
}

/// Whether something is mounted on a folder; `None` where nothing was noted.
pub(super) fn is_mounted(device: u64, inode: u64) -> Option<bool> {
    NOTED.get().map(|noted| noted.contains(&(device, inode)))
}

/// The mount point in a line of `/proc/self/mountinfo` (proc(5)), if it may be asked about.
fn mount_point(line: &[u8]) -> Option<Vec<u8>> {
    let mut fields = line.split(|byte| *byte == b' ');
    let written = fields.nth(4)?;
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    if ELSEWHERE.contains(&kind) || kind.starts_with(b"fuse") {
        return None;
    }
    let (mut point, mut rest) = (Vec::with_capacity(written.len()), written);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let escaped = if byte == b'\\' { after.get(..3) } else { None };
        let number = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match number.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(meant) => {
                point.push(meant);
                rest = after.get(3..)?;
            }
            None => point.push(byte),
        }
    }
    Some(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_and_what_may_hang_is_not() {
        let point = |line: &str| mount_point(line.as_bytes()).map(|point| String::from_utf8(point).unwrap());
        let line = r"36 35 98:0 /mnt1 /mnt\040a\134b rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(point(line).as_deref(), Some(r"/mnt a\b"));
        assert_eq!(point("36 35 0:40 / /net rw - nfs4 host:/x rw"), None);
        assert_eq!(point("36 35 0:40 / /f rw - fuse.sshfs host:/x rw"), None);
        assert_eq!(point("short"), None);
    }
}
