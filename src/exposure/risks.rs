//! The table of risks: one row a kind.

use crate::platform::Platform;

/// What makes content readable or recoverable elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Risk {
    /// Snapshots of btrfs subvolumes.
    BtrfsSnapshots,
    /// Snapshots of ZFS datasets.
    ZfsSnapshots,
    /// Snapshots of LVM volumes.
    LvmSnapshots,
    /// Snapshots made by Timeshift.
    Timeshift,
    /// Local snapshots of APFS volumes.
    ApfsSnapshots,
    /// Backups by Time Machine.
    TimeMachine,
    /// Shadow copies of Windows volumes.
    ShadowCopies,
    /// Backups by other programs.
    Backups,
    /// A store in the work tree of a version control system.
    VersionControl,
    /// A store below a folder that is synchronised with a cloud or another machine.
    CloudSync,
    /// A store on a network file system.
    NetworkFileSystem,
    /// Content that settings of Claude Code put elsewhere.
    MovedData,
    /// Copies that other tools keep.
    OtherTools,
    /// The disk of the virtual machine in which the desktop application works.
    CoworkDisk,
    /// Copies of repositories that Claude Code has made to work in.
    AgentWorktrees,
    /// States of repositories that Claude Code has kept in them.
    Checkpoints,
    /// Files that Claude Code has written into projects.
    ProjectFiles,
    /// Deleted files of a store in the trash.
    Trash,
    /// Deleted files that a process still has open.
    OpenDeletedFiles,
    /// Memory dumps of a client.
    CoreDumps,
    /// Memory that was swapped to disk.
    Swap,
    /// Memory that was written to disk at hibernation.
    Hibernation,
    /// A volume that is not encrypted.
    UnencryptedVolume,
    /// Blocks of deleted files that have not been overwritten.
    FreedBlocks,
    /// What the service keeps.
    ServerSide,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub risk: Risk,
    /// Its id in JSON, in kebab case.
    pub id: &'static str,
    /// What it means for what was deleted, in one line.
    pub title: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// Where it can exist.
    pub platforms: &'static [Platform],
}

const LINUX: &[Platform] = &[Platform::Linux];
const MACOS: &[Platform] = &[Platform::Macos];
const WINDOWS: &[Platform] = &[Platform::Windows];
const UNIX: &[Platform] = &[Platform::Linux, Platform::Macos];
const ALL: &[Platform] = &[Platform::Linux, Platform::Macos, Platform::Windows];

/// Every risk, in the order of reports.
#[rustfmt::skip]
pub const RISKS: &[Row] = &[
    Row { risk: Risk::BtrfsSnapshots, id: "btrfs-snapshots", platforms: LINUX,
        title: "Snapshots of btrfs keep the files as they were",
        remedy: "list them with `btrfs subvolume list -s MOUNT` as root, delete those made before the purge with `btrfs subvolume delete`, `snapper delete` or the program that made them" },
    Row { risk: Risk::ZfsSnapshots, id: "zfs-snapshots", platforms: LINUX,
        title: "Snapshots of ZFS keep the files as they were",
        remedy: "list them with `zfs list -t snapshot`, delete those made before the purge with `zfs destroy`; ask whoever receives replicas of the dataset to do the same" },
    Row { risk: Risk::LvmSnapshots, id: "lvm-snapshots", platforms: LINUX,
        title: "Snapshots of the LVM volume keep the blocks as they were",
        remedy: "list them with `lvs -o lv_name,origin,lv_time` as root, remove those made before the purge with `lvremove`" },
    Row { risk: Risk::Timeshift, id: "timeshift", platforms: LINUX,
        title: "Snapshots of Timeshift may hold the files",
        remedy: "list them with `timeshift --list` as root, delete those that include the home with `timeshift --delete`" },
    Row { risk: Risk::ApfsSnapshots, id: "apfs-snapshots", platforms: MACOS,
        title: "Local snapshots of APFS keep the files as they were",
        remedy: "list them with `tmutil listlocalsnapshots /`, delete each with `tmutil deletelocalsnapshots DATE`; the system drops them by itself after about 24 hours, others made with `diskutil` or backup programs stay" },
    Row { risk: Risk::TimeMachine, id: "time-machine", platforms: MACOS,
        title: "Backups of Time Machine hold the files",
        remedy: "see `tmutil destinationinfo`; delete the stores from each backup with `tmutil delete -p`, or erase the backup disk; `tmutil addexclusion` keeps them out of later ones" },
    Row { risk: Risk::ShadowCopies, id: "shadow-copies", platforms: WINDOWS,
        title: "Shadow copies and File History may hold the files",
        remedy: "list shadow copies with `vssadmin list shadows` as administrator, delete those made before the purge; look at the destination of File History" },
    Row { risk: Risk::Backups, id: "backups", platforms: ALL,
        title: "Backups made before the purge hold the files",
        remedy: "delete the stores from every backup of this machine, or let the backups expire, and note by when; exclude the stores from later ones" },
    Row { risk: Risk::VersionControl, id: "version-control", platforms: ALL,
        title: "A store lies in the work tree of a version control system, whose history may hold the files",
        remedy: "see whether files of the store were ever committed (`git log --all -- PATH`); rewrite the history (`git filter-repo`) here and wherever it was pushed to, expire the reflog and run `git gc --prune=now`; keep the store out with an ignore rule" },
    Row { risk: Risk::CloudSync, id: "cloud-sync", platforms: ALL,
        title: "A store lies below a synchronised folder, so copies and earlier versions are elsewhere",
        remedy: "delete the files at the service and on every other device, trash and earlier versions included; move the store out of the folder or exclude it" },
    Row { risk: Risk::NetworkFileSystem, id: "network-file-system", platforms: ALL,
        title: "A store lies on another machine, whose snapshots and backups cannot be seen from here",
        remedy: "ask whoever runs the server to delete snapshots and backups of the folder made before the purge" },
    Row { risk: Risk::MovedData, id: "moved-data", platforms: ALL,
        title: "Settings of Claude Code put content where ccretain does not look",
        remedy: "look at the places named, and delete there what Claude Code wrote; take the setting away so that it lies in a store" },
    Row { risk: Risk::OtherTools, id: "other-tools", platforms: ALL,
        title: "Other tools keep copies of transcripts of their own",
        remedy: "delete the archives named, with the tool that made them where it has a command for it" },
    Row { risk: Risk::CoworkDisk, id: "cowork-vm-disk", platforms: ALL,
        title: "The disk of the virtual machine of Cowork holds whole sessions, and is not looked into",
        remedy: "quit the desktop application and delete the disk named; it makes a new one when it is needed" },
    Row { risk: Risk::AgentWorktrees, id: "agent-worktrees", platforms: ALL,
        title: "Copies of repositories that Claude Code has made to work in hold what it wrote there",
        remedy: "see `git worktree list`, keep what you want of each, and remove it with `git worktree remove`" },
    Row { risk: Risk::Checkpoints, id: "checkpoint-refs", platforms: ALL,
        title: "Repositories hold checkpoints of Claude Code: states of the files as it changed them",
        remedy: "list them with `git for-each-ref refs/claude`, delete each with `git update-ref -d REF`, then run `git gc --prune=now`" },
    Row { risk: Risk::ProjectFiles, id: "project-files", platforms: ALL,
        title: "Files of Claude Code in projects hold prompts or summaries of sessions",
        remedy: "delete the files named; see whether they were committed (`git log --all -- PATH`)" },
    Row { risk: Risk::Trash, id: "trash", platforms: UNIX,
        title: "Files of a store that were deleted by other programs lie in the trash",
        remedy: "empty the trash" },
    Row { risk: Risk::OpenDeletedFiles, id: "open-deleted-files", platforms: UNIX,
        title: "A process still has deleted files open and can read them",
        remedy: "end the processes named, or restart the machine" },
    Row { risk: Risk::CoreDumps, id: "core-dumps", platforms: LINUX,
        title: "Dumps of a crashed client hold its memory, and so the conversation",
        remedy: "delete the dumps named (`coredumpctl list`, as root)" },
    Row { risk: Risk::Swap, id: "swap", platforms: ALL,
        title: "Memory of Claude Code may have been written to swap in plaintext",
        remedy: "swap off, overwrite the swap area and make it again (`swapoff`, `blkdiscard` or `dd`, `mkswap`), or encrypt it; erase the whole disk when the machine is handed in" },
    Row { risk: Risk::Hibernation, id: "hibernation", platforms: ALL,
        title: "Memory of Claude Code may have been written to disk at hibernation",
        remedy: "turn hibernation off or encrypt the image; restart the machine, and erase the whole disk when it is handed in" },
    Row { risk: Risk::UnencryptedVolume, id: "unencrypted-volume", platforms: ALL,
        title: "The volume is not encrypted: whoever has the disk can look for what was deleted",
        remedy: "erase the whole device by its own means (ATA or NVMe sanitize) before it is handed in; encrypt the next one from the start (LUKS, FileVault, BitLocker)" },
    Row { risk: Risk::FreedBlocks, id: "freed-blocks", platforms: ALL,
        title: "Deleted files stay in freed blocks until the device overwrites or discards them",
        remedy: "run `fstrim` where the device supports it; only erasing the whole device, or destroying the key of an encrypted volume, reaches every copy" },
    Row { risk: Risk::ServerSide, id: "server-side-retention", platforms: ALL,
        title: "What was sent to the service is kept there by its own terms",
        remedy: "it is not covered by this purge: what is kept, for how long and what deletes it is listed here, each with the page and the date it was taken from; delete there what can be deleted" },
];

impl Risk {
    pub fn row(self) -> &'static Row {
        // Every risk has a row, which a test proves; the first stands in for none.
        RISKS.iter().find(|row| row.risk == self).unwrap_or(&RISKS[0])
    }

    pub fn id(self) -> &'static str {
        self.row().id
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_is_its_own() {
        let ids: HashSet<_> = RISKS.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), RISKS.len());
        for row in RISKS {
            assert_eq!(row.risk.row().id, row.id);
            assert!(row.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", row.id);
            assert!(!row.platforms.is_empty() && !row.title.ends_with('.') && !row.remedy.ends_with('.'));
        }
    }
}
