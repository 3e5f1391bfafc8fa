use super::super::Seen;
use super::super::fake::{Fake, with};
use super::*;

const HEAD: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

fn look(host: &Fake, how: fn(&Subject<'_>, &dyn Host) -> Finding) -> Finding {
    with(Platform::Linux, "/home/ann/.claude", |subject| how(subject, host))
}

fn swaps(lines: &str) -> Fake {
    Fake::default()
        .file("/proc/swaps", format!("{HEAD}{lines}"))
        .file("/proc/self/mountinfo", "27 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
        .to("/sys/dev/block/8:1", "../../devices/block/sda/sda1")
        .to("/sys/dev/block/8:2", "../../devices/block/sda/sda2")
        .folder("/sys/class/block/sda1")
        .folder("/sys/class/block/sda2")
        .folder("/sys/class/block/zram0")
        .file("/sys/class/block/dm-1/dm/uuid", "CRYPT-PLAIN-cryptswap\n")
        .to("/dev/mapper/cryptswap", "../dm-1")
        .folder("/dev")
}

#[test]
fn swap_on_a_disk_is_seen_and_encrypted_swap_is_not() {
    let seen = |lines: &str| look(&swaps(lines), swap).seen;
    assert_eq!(seen(""), Seen::No);
    assert_eq!(seen("/dev/sda2                               partition\t8388604\t\t0\t\t-2\n"), Seen::Yes);
    assert_eq!(seen("/swap\\040file                           file\t\t8388604\t\t512\t\t-2\n"), Seen::Yes);
    assert_eq!(seen("/dev/dm-1                               partition\t8388604\t\t0\t\t-2\n"), Seen::No);
    assert_eq!(seen("/dev/mapper/cryptswap                   partition\t8388604\t\t0\t\t-2\n"), Seen::No);
    assert!(matches!(seen("/dev/nvme9n1p9 partition 1 0 -2\n"), Seen::Unknown(_)), "sysfs does not show it");
    assert!(matches!(look(&Fake::default(), swap).seen, Seen::Unknown(_)));
    assert!(matches!(look(&swaps("").denied("/proc/swaps"), swap).seen, Seen::Unknown(_)));
}

#[test]
fn compressed_memory_is_no_disk_unless_it_writes_back() {
    let line = "/dev/zram0                              partition\t4194300\t\t0\t\t100\n";
    assert_eq!(look(&swaps(line), swap).seen, Seen::No);
    assert_eq!(look(&swaps(line).file("/sys/block/zram0/backing_dev", "none\n"), swap).seen, Seen::No);
    assert_eq!(look(&swaps(line).file("/sys/block/zram0/backing_dev", "/dev/sda2\n"), swap).seen, Seen::Yes);
    assert_eq!(look(&swaps(line).file("/sys/block/zram0/backing_dev", "/dev/dm-1\n"), swap).seen, Seen::No);
}

#[test]
fn hibernation_needs_a_kernel_that_can_and_a_place() {
    let power = |state: &str, resume: &str| {
        swaps("/dev/sda2 partition 1 0 -2\n")
            .file("/sys/power/state", format!("{state}\n"))
            .file("/sys/power/disk", "[platform] shutdown reboot suspend test_resume \n")
            .file("/sys/power/resume", format!("{resume}\n"))
            .to("/sys/dev/block/254:1", "../../devices/virtual/block/dm-1")
    };
    let seen = |host: &Fake| look(host, hibernation).seen;
    assert_eq!(seen(&power("freeze mem", "0:0")), Seen::No);
    assert_eq!(seen(&power("freeze mem disk", "8:2")), Seen::Yes);
    assert_eq!(seen(&power("freeze mem disk", "254:1")), Seen::No, "encrypted");
    assert!(matches!(seen(&power("freeze mem disk", "0:0")), Seen::Unknown(_)));
    assert!(matches!(seen(&power("freeze mem disk", "9:9")), Seen::Unknown(_)));
    assert_eq!(
        seen(&power("freeze mem disk", "0:0").file("/proc/swaps", HEAD)),
        Seen::No,
        "no place for an image"
    );
    assert_eq!(seen(&power("freeze mem disk", "8:2").file("/sys/power/disk", "[disabled]\n")), Seen::No);
    assert!(matches!(seen(&Fake::default()), Seen::Unknown(_)));
}

#[test]
fn macos_is_asked_by_its_own_programs() {
    let mac = |usage: &str, mode: &str| {
        Fake::default().program("/usr/sbin/sysctl -n vm.swapusage", usage).program(
            "/usr/bin/pmset -g",
            &format!("System-wide power settings:\n hibernatemode        {mode}\n"),
        )
    };
    let seen = |host: &Fake, how: fn(&Subject<'_>, &dyn Host) -> Finding| {
        with(Platform::Macos, "/Users/ann/.claude", |subject| how(subject, host)).seen
    };
    let encrypted = mac("total = 2048.00M  used = 1.00M  free = 2047.00M  (encrypted)\n", "3");
    assert_eq!((seen(&encrypted, swap), seen(&encrypted, hibernation)), (Seen::No, Seen::No));
    let plain = mac("total = 2048.00M  used = 1.00M  free = 2047.00M\n", "25");
    assert_eq!((seen(&plain, swap), seen(&plain, hibernation)), (Seen::Yes, Seen::Yes));
    assert_eq!(seen(&mac("total = 2048.00M\n", "0"), hibernation), Seen::No);
    assert!(matches!(seen(&Fake::default(), swap), Seen::Unknown(_)));
    assert!(matches!(seen(&Fake::default(), hibernation), Seen::Unknown(_)));
}
