//! On what kind of file system a folder lies, as far as it matters for deleting there.

use crate::dir::Dir;

/// The kind of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// On a disk of this machine, as far as can be told.
    Local,
    /// Made by a program in user space, which may show things otherwise than they are.
    Fuse,
    /// On another machine, or perhaps there once it is mounted.
    Network,
    /// Shown by the kernel itself: nobody keeps files there.
    Kernel,
}

/// The flag of a file system on a disk of this machine, from macOS's `sys/mount.h`.
#[cfg(target_os = "macos")]
const MNT_LOCAL: u32 = 0x1000;

impl FileSystem {
    /// The name under which a root on it is refused; `None` where it is not.
    pub fn refused_name(self) -> Option<&'static str> {
        match self {
            Self::Local => None,
            Self::Fuse => Some("FUSE"),
            Self::Network => Some("network"),
            Self::Kernel => Some("kernel"),
        }
    }

    /// What an open folder lies on; `Local` where the system does not tell.
    #[cfg(target_os = "linux")]
    pub fn of(dir: &Dir) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "magic numbers are 32 bits wide"
        )]
        rustix::fs::fstatfs(dir).map_or(Self::Local, |stat| Self::of_magic(stat.f_type as u32))
    }

    /// What a magic number of Linux stands for.
    #[cfg(target_os = "linux")]
    fn of_magic(magic: u32) -> Self {
        // Numbers from linux/magic.h and the file systems' own headers, see statfs(2).
        const FUSE: u32 = 0x6573_5546;
        const NETWORK: [u32; 10] = [
            0x6969,      // NFS
            0x517B,      // SMB
            0xFF53_4D42, // CIFS
            0xFE53_4D42, // SMB2
            0x5346_414F, // AFS
            0x7375_7245, // Coda
            0x00C3_6400, // Ceph
            0x0102_1997, // 9p
            0x0BD0_0BD0, // Lustre
            0x0187,      // autofs
        ];
        const KERNEL: [u32; 16] = [
            0x9FA0,      // proc
            0x6265_6572, // sysfs
            0x6265_6570, // configfs
            0x0027_E0EB, // cgroup
            0x6367_7270, // cgroup2
            0x6462_6720, // debugfs
            0x7472_6163, // tracefs
            0x7363_6673, // securityfs
            0x1CD1,      // devpts
            0xCAFE_4A11, // bpf
            0x4249_4E4D, // binfmt_misc
            0x6165_676C, // pstore
            0xDE5E_81E4, // efivarfs
            0x1980_0202, // mqueue
            0x6573_5543, // fusectl
            0xF97C_FF8C, // selinuxfs
        ];
        match magic {
            FUSE => Self::Fuse,
            magic if NETWORK.contains(&magic) => Self::Network,
            magic if KERNEL.contains(&magic) => Self::Kernel,
            _ => Self::Local,
        }
    }

    /// What an open folder lies on; `Local` where the system does not tell.
    #[cfg(target_os = "macos")]
    pub fn of(dir: &Dir) -> Self {
        rustix::fs::fstatfs(dir).map_or(Self::Local, |stat| {
            let name: Vec<u8> = stat.f_fstypename.iter().map(|byte| byte.cast_unsigned()).collect();
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            Self::of_name(&String::from_utf8_lossy(name), stat.f_flags & MNT_LOCAL != 0)
        })
    }

    /// What a name of macOS stands for, as `mount` prints it.
    #[cfg(any(target_os = "macos", test))]
    fn of_name(name: &str, is_local: bool) -> Self {
        match name {
            "devfs" => Self::Kernel,
            // macFUSE, and its older names.
            name if name.contains("fuse") => Self::Fuse,
            // What is not local says so itself; these are the ones that may forget to.
            "nfs" | "smbfs" | "afpfs" | "webdav" | "ftp" | "autofs" => Self::Network,
            _ if !is_local => Self::Network,
            _ => Self::Local,
        }
    }

    /// What an open folder lies on; `Local` where the system does not tell.
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    pub fn of(_: &Dir) -> Self {
        Self::Local
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_lies_elsewhere_is_refused_and_disks_are_not() {
        for (magic, name) in [
            (0x6573_5546, Some("FUSE")),
            (0x6969, Some("network")),
            (0xFF53_4D42, Some("network")),
            (0x0102_1997, Some("network")),
            (0x9FA0, Some("kernel")),
            // ext4, XFS, btrfs, tmpfs, overlay, ZFS, vfat.
            (0xEF53, None),
            (0x5846_5342, None),
            (0x9123_683E, None),
            (0x0102_1994, None),
            (0x794C_7630, None),
            (0x2FC1_2FC1, None),
            (0x4D44, None),
        ] {
            assert_eq!(FileSystem::of_magic(magic).refused_name(), name, "{magic:x}");
        }
    }

    /// Names as `mount` of macOS 14 prints them.
    #[test]
    fn names_of_macos_are_told_apart() {
        for (name, is_local, refused) in [
            ("apfs", true, None),
            ("hfs", true, None),
            ("exfat", true, None),
            ("msdos", true, None),
            ("devfs", true, Some("kernel")),
            ("smbfs", false, Some("network")),
            ("nfs", false, Some("network")),
            ("autofs", true, Some("network")),
            ("webdav", false, Some("network")),
            ("macfuse", true, Some("FUSE")),
            ("osxfuse", false, Some("FUSE")),
            ("ltfs", false, Some("network")),
        ] {
            assert_eq!(FileSystem::of_name(name, is_local).refused_name(), refused, "{name}");
        }
    }
}
