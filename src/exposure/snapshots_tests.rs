use super::super::fake::{Fake, with};
use super::super::{Finding, Seen};
use super::*;
use crate::platform::Platform;

const ROOT: &str = "/home/ann/.claude";

fn mounted_as(line: &str) -> Fake {
    Fake::default().file("/proc/self/mountinfo", format!("27 1 8:1 / / rw - ext4 /dev/sda1 rw\n{line}\n"))
}

fn look(host: &Fake, how: fn(&Subject<'_>, &dyn Host) -> Finding) -> Finding {
    with(Platform::Linux, ROOT, |subject| how(subject, host))
}

#[test]
fn snapshots_of_snapper_are_seen_and_others_cannot_be_ruled_out() {
    let on = |host: Fake| look(&host, btrfs);
    let line = "98 27 0:44 /@home /home rw - btrfs /dev/sda2 rw,subvol=/@home";
    assert_eq!(on(mounted_as("")).seen, Seen::No);
    assert!(matches!(on(mounted_as(line)).seen, Seen::Unknown(_)));
    let found = on(mounted_as(line).folder("/home/.snapshots/17/snapshot"));
    assert_eq!(found.seen, Seen::Yes);
    assert_eq!(found.evidence[1].path.as_deref(), Some(Path::new("/home/.snapshots")));
    let nested = on(mounted_as(line).folder("/home/ann/.snapshots/1"));
    assert_eq!(nested.seen, Seen::Yes, "a subvolume need not be a mount");
    let elsewhere = on(mounted_as(line).folder("/.snapshots/1"));
    assert!(matches!(elsewhere.seen, Seen::Unknown(_)), "those of another volume are not of this one");
    let Seen::Unknown(reason) =
        on(mounted_as(line).folder("/home/.snapshots").denied("/home/.snapshots")).seen
    else {
        panic!("what may not be listed is not known");
    };
    assert!(reason.contains("permission denied"), "{reason}");
}

#[test]
fn a_dataset_of_zfs_shows_its_own_snapshots() {
    let line = "98 27 0:44 / /home rw - zfs rpool/USERDATA/ann rw";
    let on = |host: Fake| look(&host, zfs);
    assert_eq!(on(mounted_as(line).folder("/home/.zfs/snapshot")).seen, Seen::No);
    let found = on(mounted_as(line)
        .folder("/home/.zfs/snapshot/autosnap_1")
        .folder("/home/.zfs/snapshot/autosnap_2"));
    assert_eq!(found.seen, Seen::Yes);
    assert!(found.evidence[0].note.starts_with("2 ('autosnap_1', 'autosnap_2')"), "{found:?}");
    assert!(matches!(on(mounted_as(line)).seen, Seen::Unknown(_)));
    assert!(matches!(on(mounted_as(line).denied("/home/.zfs")).seen, Seen::Unknown(_)));
    assert_eq!(on(mounted_as("")).seen, Seen::No);
}

/// sysfs as the kernel shows it for `lvcreate -s -n snap vg/home`.
fn with_lvm(suffix: &str) -> Fake {
    mounted_as("98 27 254:2 / /home rw - ext4 /dev/mapper/vg-home rw")
        .to("/sys/dev/block/254:2", "../../devices/virtual/block/dm-2")
        .to("/sys/dev/block/8:1", "../../devices/pci0/block/sda/sda1")
        .file("/sys/class/block/dm-2/dm/uuid", "LVM-AAAABBBB\n")
        .file("/sys/class/block/dm-2/dm/name", "vg-home\n")
        .folder("/sys/class/block/dm-2/slaves/dm-1")
        .file("/sys/class/block/dm-1/dm/uuid", format!("LVM-AAAABBBB{suffix}\n"))
        .file("/sys/class/block/dm-1/dm/name", "vg-home-real\n")
        .folder("/sys/class/block/dm-1/slaves/sda3")
        .folder("/sys/class/block/sda3/slaves")
}

#[test]
fn an_origin_with_snapshots_is_told_by_the_device_below_it() {
    assert_eq!(look(&with_lvm("-real"), lvm).seen, Seen::Yes);
    assert_eq!(
        look(&with_lvm("").file("/sys/class/block/dm-1/dm/uuid", "CRYPT-LUKS2-x\n"), lvm).seen,
        Seen::No
    );
    assert!(matches!(look(&with_lvm("-tpool"), lvm).seen, Seen::Unknown(_)), "thin pools do not tell");
    let unseen = mounted_as("98 27 254:2 / /home rw - ext4 /dev/mapper/vg-home rw");
    assert!(matches!(look(&unseen, lvm).seen, Seen::Unknown(_)), "sysfs does not show it");
}

#[test]
fn timeshift_is_seen_by_its_snapshots_or_its_settings() {
    assert_eq!(timeshift(&Fake::default()).seen, Seen::No);
    let set_up = Fake::default().file("/etc/timeshift/timeshift.json", "{}");
    assert!(matches!(timeshift(&set_up).seen, Seen::Unknown(_)));
    for place in ["/timeshift/snapshots/2026-01-01", "/run/timeshift/4711/backup/timeshift-btrfs/snapshots/x"]
    {
        assert_eq!(timeshift(&Fake::default().folder(place)).seen, Seen::Yes, "{place}");
    }
}

#[test]
fn tmutil_lists_snapshots_and_destinations() {
    let said = "Snapshots for disk /System/Volumes/Data:\ncom.apple.TimeMachine.2026-11-01-101500.local\n\
                com.bombich.ccc.B1.2026-11-02-080000\n";
    assert_eq!(local_snapshots(said).map(|names| names.len()), Some(2));
    assert_eq!(local_snapshots("Snapshots for disk /:\n").map(|names| names.len()), Some(0));
    assert_eq!(local_snapshots("tmutil: error\n"), None);
    let recorded = include_str!("../../tests/recorded/macos/tmutil-listlocalsnapshots.txt");
    assert_eq!(local_snapshots(recorded).map(|names| names.len()), Some(7));
    assert_eq!(destinations("tmutil: No destinations configured.\n"), Some(0));
    assert_eq!(
        destinations("=====\nName          : Backup\nKind          : Local\nID            : A-B-C\n"),
        Some(1)
    );
    assert_eq!(destinations("?"), None);
    let one = without_head(include_str!("../../tests/recorded/macos/tmutil-destinationinfo.txt"));
    assert_eq!(destinations(&one), Some(1));
    let mac = |excluded: &str| {
        Fake::default()
            .program("/usr/bin/tmutil destinationinfo", &one)
            .program("/usr/bin/tmutil isexcluded /Users/ann/.claude", excluded)
    };
    let seen =
        |host: &Fake| with(Platform::Macos, "/Users/ann/.claude", |subject| time_machine(subject, host)).seen;
    let is_left_out = without_head(include_str!("../../tests/recorded/macos/tmutil-isexcluded.txt"));
    let is_backed_up = without_head(include_str!("../../tests/recorded/macos/tmutil-isexcluded-not.txt"));
    assert_eq!(seen(&mac(&is_backed_up)), Seen::Yes);
    assert!(matches!(seen(&mac(&is_left_out)), Seen::Unknown(_)));
    assert!(matches!(seen(&Fake::default()), Seen::Unknown(_)));
}

/// What was recorded, without where it comes from.
fn without_head(recorded: &str) -> String {
    recorded.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}
