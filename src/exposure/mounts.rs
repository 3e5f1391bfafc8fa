//! What is mounted where: `/proc/self/mountinfo` (proc(5)), and the list of `mount` on macOS.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Host;
use super::sight::reason;
use crate::platform::Platform;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub at: PathBuf,
    /// What, e.g. `/dev/mapper/vg-home`.
    pub source: String,
    /// The kind of file system, e.g. `ext4`.
    pub kind: String,
    /// The device numbers; 0 as the first for what is no block device.
    pub device: Option<(u32, u32)>,
}

/// Everything that is mounted; an error is a reason in words.
pub(super) fn all(platform: Platform, host: &dyn Host) -> Result<Vec<Mount>, String> {
    match platform {
        Platform::Linux => {
            let path = Path::new("/proc/self/mountinfo");
            match host.read(path) {
                Ok(Some(content)) => Ok(parse_mountinfo(&content)),
                Ok(None) => Err("/proc/self/mountinfo is not there".to_owned()),
                Err(error) => Err(format!("/proc/self/mountinfo cannot be read: {}", reason(&error))),
            }
        }
        Platform::Macos => match host.run("/sbin/mount", &[]) {
            Ok(listed) => Ok(parse_mount(&listed)),
            Err(error) => Err(format!("`mount` cannot be run: {}", reason(&error))),
        },
        Platform::Windows => Err("it is not looked for on Windows".to_owned()),
    }
}

/// The volume of macOS that firmlinks lead to: `/Users` and `/private` look as if they lay on the system's own, which is
/// sealed, so that nobody's file can lie there.
const DATA: &str = "/System/Volumes/Data";

/// The mount a real path lies on: the longest mount point above it, the last of several there.
pub(super) fn of<'m>(mounts: &'m [Mount], path: &Path) -> Option<&'m Mount> {
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.at));
    // `max_by_key` gives the last of equals, which is the one on top.
    let nearest = above.max_by_key(|mount| mount.at.components().count())?;
    let behind_firmlinks = || mounts.iter().find(|mount| mount.at == Path::new(DATA));
    match nearest.at.parent() {
        None => behind_firmlinks().or(Some(nearest)),
        Some(_) => Some(nearest),
    }
}

/// `36 35 98:0 /sub /mnt rw,noatime shared:1 - ext4 /dev/root rw,errors=continue`
fn parse_mountinfo(content: &[u8]) -> Vec<Mount> {
    let parse = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
        let dash = fields.iter().skip(6).position(|field| *field == b"-")? + 6;
        let text = |field: &[u8]| String::from_utf8_lossy(&unescape(field)).into_owned();
        let (major, minor) = std::str::from_utf8(fields.get(2)?).ok()?.split_once(':')?;
        Some(Mount {
            at: path(unescape(fields.get(4)?)),
            kind: text(fields.get(dash + 1)?),
            source: text(fields.get(dash + 2)?),
            device: Some((major.parse().ok()?, minor.parse().ok()?)),
        })
    };
    content.split(|b| *b == b'\n').filter_map(parse).collect()
}

/// Blanks, tabs, newlines and backslashes are written as `\040` and so on.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        if let (b'\\', Some([a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'])) = (first, tail.get(..3)) {
            out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
            rest = tail.get(3..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

#[cfg(unix)]
fn path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(not(unix))]
fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from(String::from_utf8_lossy(&bytes).into_owned()))
}

/// `/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)`
fn parse_mount(listed: &str) -> Vec<Mount> {
    let parse = |line: &str| {
        let (place, options) = line.trim_end().strip_suffix(')')?.rsplit_once(" (")?;
        let (source, at) = place.split_once(" on ")?;
        let kind = options.split(',').next()?.trim();
        Some(Mount { at: PathBuf::from(at), source: source.to_owned(), kind: kind.to_owned(), device: None })
    };
    listed.lines().filter_map(parse).collect()
}

/// Where the bytes of a file system lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On a disk of this machine, as far as the name tells.
    Local,
    Memory,
    /// On another machine, or the host of this virtual one.
    Network,
    /// Made by a program in user space.
    Fuse,
    /// On top of other file systems.
    Overlay,
}

/// Where the bytes of a kind of file system lie; names as the kernels give them.
pub(super) fn place(kind: &str) -> Place {
    match kind {
        "nfs" | "nfs4" | "cifs" | "smb3" | "smbfs" | "afs" | "afpfs" | "coda" | "ceph" | "9p" | "lustre"
        | "virtiofs" | "vboxsf" | "vmhgfs" | "prl_fs" | "drvfs" | "gpfs" | "beegfs" | "orangefs"
        | "ocfs2" | "gfs2" | "ncpfs" | "webdav" | "glusterfs" => Place::Network,
        "fuse.sshfs" | "fuse.glusterfs" | "fuse.rclone" | "fuse.davfs2" | "fuse.s3fs" | "fuse.ceph"
        | "fuse.vmhgfs-fuse" | "fuse.curlftpfs" | "fuse.juicefs" | "fuse.gcsfuse" | "fuse.smbnetfs"
        | "fuse.gvfsd-fuse" => Place::Network,
        "tmpfs" | "ramfs" | "rootfs" | "devtmpfs" => Place::Memory,
        "overlay" | "aufs" | "unionfs" => Place::Overlay,
        "fuse" | "macfuse" | "osxfuse" | "fuseblk" => Place::Fuse,
        // After those that are known: what a program makes may lie anywhere.
        other if other.starts_with("fuse.") || other.starts_with("macfuse") => Place::Fuse,
        // Whatever else there is lies on a disk: kernels name those that do not.
        _ => Place::Local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &[u8] = b"22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
98 27 0:44 /@home /home rw,relatime shared:51 - btrfs /dev/mapper/luks-1 rw,subvol=/@home
99 98 8:17 / /home/ann/my\\040disk rw,nosuid shared:60 master:3 - ext4 /dev/sdb1 rw
100 27 0:50 / /mnt rw - nfs4 srv:/export rw,vers=4.2
101 27 0:51 / /mnt rw - tmpfs tmpfs rw
not a line
7 7 7:7 / /cut
";

    #[test]
    fn the_mount_of_a_path_is_the_nearest_one_on_top() {
        let mounts = parse_mountinfo(INFO);
        let kind = |path: &str| of(&mounts, Path::new(path)).map(|mount| mount.kind.as_str());
        assert_eq!(mounts.len(), 6);
        assert_eq!(kind("/etc"), Some("ext4"));
        assert_eq!(kind("/home/ann/.claude"), Some("btrfs"));
        assert_eq!(kind("/home/ann/my disk/x"), Some("ext4"));
        assert_eq!(kind("/homework"), Some("ext4"));
        assert_eq!(kind("/mnt/x"), Some("tmpfs"), "the last of several is the one on top");
        assert_eq!(of(&mounts, Path::new("/home/ann/my disk")).unwrap().device, Some((8, 17)));
        assert_eq!(of(&[], Path::new("/")), None);
    }

    #[test]
    fn the_list_of_macos_is_read() {
        let mounts = parse_mount(
            "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n\
             /dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect, root data)\n\
             //ann@srv/share on /Volumes/share (2) (smbfs, nodev, nosuid, mounted by ann)\n\
             map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)\n",
        );
        assert_eq!(mounts.len(), 4);
        assert_eq!(mounts[1].source, "/dev/disk3s5");
        assert_eq!((mounts[2].at.to_str(), mounts[2].kind.as_str()), (Some("/Volumes/share (2)"), "smbfs"));
    }

    #[test]
    fn what_lies_behind_firmlinks_is_on_the_data_volume() {
        let of_data = parse_mount(include_str!("../../tests/recorded/macos/mount-data-volume.txt"));
        let at = |mounts: &[Mount], path: &str| of(mounts, Path::new(path)).unwrap().at.clone();
        for path in
            ["/Users/ann/.claude", "/private/tmp/claude-501", "/opt/x", "/System/Volumes/Data/Users/ann"]
        {
            assert_eq!(at(&of_data, path), Path::new(DATA), "{path}");
        }
        assert_eq!(at(&of_data, "/System/Volumes/Data/home/x"), Path::new("/System/Volumes/Data/home"));
        assert_eq!(at(&of_data, "/System/Volumes/VM/x"), Path::new("/System/Volumes/VM"));
        assert_eq!(of_data.iter().filter(|mount| mount.kind == "apfs").count(), 10);
        let of_one = parse_mount(include_str!("../../tests/recorded/macos/mount-one-volume.txt"));
        assert_eq!(at(&of_one, "/Users/ann/.claude"), Path::new("/"));
        let with_fuse = parse_mount(include_str!("../../tests/recorded/macos/mount-macfuse.txt"));
        let shown = of(&with_fuse, Path::new("/Volumes/Test/x")).unwrap();
        assert_eq!(place(&shown.kind), Place::Fuse);
    }

    #[test]
    fn kinds_have_places() {
        assert_eq!(place("ext4"), Place::Local);
        assert_eq!(place("fuse.gocryptfs"), Place::Fuse);
        assert_eq!(place("fuse.sshfs"), Place::Network);
        assert_eq!(place("nfs4"), Place::Network);
    }
}
