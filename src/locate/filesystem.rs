//! On what kind of file system a folder lies, as far as it matters for deleting there.

use crate::dir::Dir;

/// The kind of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// On a disk of this machine, as far as can be told.
    Local,
    /// Made by a program in user space, which may show things otherwise than they are.
    Fuse,
    /// On another machine.
    Network,
}

impl FileSystem {
    /// The name under which a root on it is refused; `None` where it is not.
    #[must_use]
    pub fn refused_name(self) -> Option<&'static str> {
        match self {
            Self::Local => None,
            Self::Fuse => Some("FUSE"),
            Self::Network => Some("network"),
        }
    }

    /// What an open folder lies on; `Local` where the system does not tell.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn of(dir: &Dir) -> Self {
        // Numbers from linux/magic.h and the file systems' own headers, see statfs(2).
        const FUSE: u32 = 0x6573_5546;
        const NETWORK: [u32; 9] = [
            0x6969,      // NFS
            0x517B,      // SMB
            0xFF53_4D42, // CIFS
            0xFE53_4D42, // SMB2
            0x5346_414F, // AFS
            0x7375_7245, // Coda
            0x00C3_6400, // Ceph
            0x0102_1997, // 9p
            0x0BD0_0BD0, // Lustre
        ];
        let Ok(stat) = rustix::fs::fstatfs(dir) else { return Self::Local };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "magic numbers are 32 bits wide"
        )]
        match stat.f_type as u32 {
            FUSE => Self::Fuse,
            magic if NETWORK.contains(&magic) => Self::Network,
            _ => Self::Local,
        }
    }

    /// What an open folder lies on; `Local` where the system does not tell.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn of(_: &Dir) -> Self {
        Self::Local
    }
}
