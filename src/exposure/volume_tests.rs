use super::super::fake::{Fake, with};
use super::*;

/// A home on LVM on LUKS on a partition, as a Debian or Fedora installer makes it.
fn laptop() -> Fake {
    Fake::default()
        .file(
            "/proc/self/mountinfo",
            "27 1 254:1 / / rw - ext4 /dev/mapper/vg-root rw\n\
             30 27 254:2 / /home rw - ext4 /dev/mapper/vg-home rw\n\
             31 27 8:2 / /boot rw - ext4 /dev/sda2 rw\n\
             32 27 0:40 / /tmp rw - tmpfs tmpfs rw\n",
        )
        .to("/sys/dev/block/254:2", "../../devices/virtual/block/dm-2")
        .to("/sys/dev/block/8:2", "../../devices/pci0/block/sda/sda2")
        .to("/sys/class/block/dm-2", "/sys/devices/virtual/block/dm-2")
        .to("/sys/class/block/dm-0", "/sys/devices/virtual/block/dm-0")
        .to("/sys/class/block/sda2", "/sys/devices/pci0/block/sda/sda2")
        .to("/sys/class/block/sda", "/sys/devices/pci0/block/sda")
        .file(
            "/sys/devices/virtual/block/dm-2/dm/uuid",
            "LVM-kEmDgSgMZsBbA7VzSPfl9pGn2V6QW0qYx1N3hMxvTFbYhWwRj1sJrZ8nR5mQp2uX\n",
        )
        .file("/sys/devices/virtual/block/dm-2/dm/name", "vg-home\n")
        .to("/sys/devices/virtual/block/dm-2/slaves/dm-0", "../../dm-0")
        .file(
            "/sys/devices/virtual/block/dm-0/dm/uuid",
            "CRYPT-LUKS2-0a1b2c3d4e5f60718293a4b5c6d7e8f9-sda3_crypt\n",
        )
        .folder("/sys/devices/virtual/block/dm-0/slaves")
        .file("/sys/devices/pci0/block/sda/sda2/partition", "2\n")
        .folder("/sys/devices/pci0/block/sda/slaves")
}

fn seen(host: &Fake, root: &str) -> Finding {
    with(Platform::Linux, root, |subject| unencrypted(subject, host))
}

#[test]
fn luks_below_lvm_is_encrypted_and_a_partition_is_not() {
    let host = laptop();
    let home = volume(Path::new("/home/ann/.claude"), Platform::Linux, &host);
    assert_eq!(home.encrypted, Seen::Yes);
    assert_eq!(home.source.as_deref(), Some("/dev/mapper/vg-home"));
    assert_eq!(home.file_system.as_deref(), Some("ext4"));
    let finding = seen(&host, "/home/ann/.claude");
    assert_eq!(finding.seen, Seen::No, "the risk is that it is not encrypted");
    assert!(finding.evidence[0].note.contains("LUKS2"), "{finding:?}");
    let finding = seen(&host, "/boot/x");
    assert_eq!(finding.seen, Seen::Yes);
    assert!(finding.evidence[0].note.contains("'/dev/sda2'"), "{finding:?}");
    assert!(matches!(
        volume(Path::new("/tmp/claude-1000"), Platform::Linux, &host).encrypted,
        Seen::Unknown(_)
    ));
    assert_eq!(seen(&host, "/tmp/claude-1000").seen, Seen::No, "memory is no disk");
}

#[test]
fn what_sysfs_does_not_show_is_not_guessed() {
    let bare = Fake::default().file("/proc/self/mountinfo", "27 1 254:1 / / rw - ext4 /dev/vda1 rw\n");
    assert!(matches!(seen(&bare, "/home/ann/.claude").seen, Seen::Unknown(_)));
    assert!(matches!(seen(&Fake::default(), "/home/ann/.claude").seen, Seen::Unknown(_)));
    let denied = laptop().denied("/proc/self/mountinfo");
    assert!(matches!(seen(&denied, "/home/ann/.claude").seen, Seen::Unknown(_)));
    for kind in
        ["zfs tank/home", "overlay overlay", "nfs4 srv:/home", "fuse.mergerfs x", "bcachefs /dev/sda2"]
    {
        let host = laptop().file("/proc/self/mountinfo", format!("27 1 0:40 / / rw - {kind} rw\n"));
        let found = volume(Path::new("/home/ann/.claude"), Platform::Linux, &host).encrypted;
        assert!(matches!(found, Seen::Unknown(_)), "{kind}: {found:?}");
    }
}

#[test]
fn file_systems_that_encrypt_are_known() {
    for kind in ["ecryptfs /home/.ecryptfs/ann/.Private", "fuse.gocryptfs /home/ann/.cipher"] {
        let host = Fake::default().file("/proc/self/mountinfo", format!("27 1 0:40 / / rw - {kind} rw\n"));
        assert_eq!(
            volume(Path::new("/home/ann/.claude"), Platform::Linux, &host).encrypted,
            Seen::Yes,
            "{kind}"
        );
    }
    let fscrypt = laptop().encrypted("/boot/ann");
    assert_eq!(seen(&fscrypt, "/boot/ann/.claude").seen, Seen::No);
    assert_eq!(seen(&fscrypt, "/boot/bob/.claude").seen, Seen::Yes);
}

#[test]
fn checksums_of_device_mapper_hide_nothing() {
    let host = laptop().file("/sys/devices/virtual/block/dm-0/dm/uuid", "CRYPT-INTEGRITY-x\n");
    assert!(matches!(seen(&host, "/home/ann/.claude").seen, Seen::Unknown(_)), "its slaves are not shown");
    let host = host.to("/sys/devices/virtual/block/dm-0/slaves/sda2", "../../../../pci0/block/sda/sda2");
    assert_eq!(seen(&host, "/home/ann/.claude").seen, Seen::Yes);
}

#[test]
fn every_device_of_btrfs_counts_and_a_circle_ends() {
    let btrfs = |host: Fake| {
        host.file("/proc/self/mountinfo", "27 1 0:33 /@ / rw - btrfs /dev/mapper/luks-a rw,subvol=/@\n")
            .to("/dev/mapper/luks-a", "../dm-0")
            .folder("/dev")
    };
    let one = btrfs(laptop());
    assert_eq!(seen(&one, "/home/ann/.claude").seen, Seen::No);
    let two = btrfs(laptop())
        .folder("/sys/fs/btrfs/9f-uuid/devices/dm-0")
        .folder("/sys/fs/btrfs/9f-uuid/devices/sda2")
        .folder("/sys/fs/btrfs/features");
    assert_eq!(seen(&two, "/home/ann/.claude").seen, Seen::Yes, "one of the two is not encrypted");
    let circle = Fake::default()
        .file("/proc/self/mountinfo", "27 1 7:0 / / rw - ext4 /dev/loop0 rw\n")
        .to("/sys/dev/block/7:0", "../../devices/virtual/block/loop0")
        .file("/sys/class/block/loop0/loop/backing_file", "/images/disk.img\n");
    assert!(matches!(seen(&circle, "/home/ann/.claude").seen, Seen::Unknown(_)));
}

#[test]
fn network_file_systems_are_told_from_local_ones() {
    let look = |kind: &str| {
        let host = Fake::default().file("/proc/self/mountinfo", format!("27 1 0:9 / / rw - {kind} rw\n"));
        with(Platform::Linux, "/home/ann/.claude", |subject| network(subject, &host)).seen
    };
    assert_eq!(look("nfs4 srv:/home"), Seen::Yes);
    assert_eq!(look("cifs //srv/home"), Seen::Yes);
    assert_eq!(look("fuse.sshfs ann@srv:"), Seen::Yes);
    assert_eq!(look("ext4 /dev/sda1"), Seen::No);
    assert!(matches!(look("fuse.mergerfs a:b"), Seen::Unknown(_)));
}

#[test]
fn filevault_says_on_off_or_neither() {
    assert!(matches!(filevault("FileVault is On.\n"), Encryption::By(_)));
    assert!(matches!(
        filevault(include_str!("../../tests/recorded/macos/fdesetup-on.txt")),
        Encryption::By(_)
    ));
    for on_the_way in [
        include_str!("../../tests/recorded/macos/fdesetup-encrypting.txt"),
        include_str!("../../tests/recorded/macos/fdesetup-decrypting.txt"),
    ] {
        assert!(matches!(filevault(on_the_way), Encryption::Unknown(_)), "{on_the_way}");
    }
    let at_the_next_start = "FileVault is Off, but will be enabled after the next restart.\n";
    assert!(matches!(filevault(at_the_next_start), Encryption::None(_)));
    assert!(matches!(
        filevault("FileVault is Off.\nDeferred enablement appears to be active for user 'ann'.\n"),
        Encryption::None(_)
    ));
    assert!(matches!(
        filevault("FileVault is On.\nDecryption in progress: Percent completed = 4\n"),
        Encryption::Unknown(_)
    ));
    assert!(matches!(filevault(""), Encryption::Unknown(_)));
    let mac = Fake::default()
        .program(
            "/sbin/mount",
            "/dev/disk3s5 on /System/Volumes/Data (apfs, local)\n/dev/disk3s1 on / (apfs, local)\n",
        )
        .program("/usr/bin/fdesetup status", "FileVault is Off.\n");
    let found = with(Platform::Macos, "/Users/ann/.claude", |subject| unencrypted(subject, &mac));
    assert_eq!(found.seen, Seen::Yes);
    let stick = volume(Path::new("/Volumes/Stick/.claude"), Platform::Macos, &mac);
    assert!(matches!(stick.encrypted, Seen::Unknown(_)), "FileVault tells of the system's volume");
}
