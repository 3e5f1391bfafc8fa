//! Locks, modes, links, and a disk that is full.

use super::*;

#[test]
fn a_second_run_is_told_that_it_is_locked() {
    let bench = Bench::new();
    let first = bench.open(0);
    let error = bench.try_open(1, Clock::Proven).unwrap_err();
    assert!(error.is_locked(), "{error}");
    drop(first);
    assert!(bench.try_open(1, Clock::Proven).is_ok());
}

#[cfg(unix)]
#[test]
fn everything_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut bench = Bench::new();
    bench.policy.names = policy::Names::Keyed;
    bench.run(0, 1);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(bench.dir()), 0o700);
    assert_eq!(mode(&bench.place.state_dir), 0o700);
    assert_eq!(mode(&bench.place.state_dir.join(KEY_FILE)), 0o600);
    let mut names: Vec<_> =
        fs_err::read_dir(bench.dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let shown: Vec<_> = names.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(shown, ["ledger.jsonl", "ledger.lock", "ledger.reserve"]);
    for path in &names {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    assert_eq!(bench.dir().join(Reserve::FILE).metadata().unwrap().len(), Reserve::SIZE);
    // A mode that somebody loosened is tightened.
    std::fs::set_permissions(bench.active(), std::fs::Permissions::from_mode(0o644)).unwrap();
    bench.run(1, 1);
    assert_eq!(mode(&bench.active()), 0o600);
}

#[cfg(unix)]
#[test]
fn links_pipes_and_folders_are_refused_and_left() {
    for name in ["ledger.jsonl", "ledger.lock"] {
        let bench = Bench::new();
        let target = bench.temp.path().join("target");
        write(&target, b"mine");
        fs_err::create_dir_all(bench.dir()).unwrap();
        let place = bench.dir().join(name);
        std::os::unix::fs::symlink(&target, &place).unwrap();
        let error = chain(&bench.try_open(0, Clock::Proven).unwrap_err());
        assert!(error.contains("it is a link"), "{error}");
        assert_eq!(fs_err::read(&target).unwrap(), b"mine");
        files::remove_own(&place).unwrap();

        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{CWD, FileType, mknodat};
            mknodat(CWD, &place, FileType::Fifo, 0o600.into(), 0).unwrap();
            let error = chain(&bench.try_open(0, Clock::Proven).unwrap_err());
            assert!(error.contains("regular"), "{error}");
            files::remove_own(&place).unwrap();
        }

        fs_err::create_dir(&place).unwrap();
        assert!(bench.try_open(0, Clock::Proven).is_err());
    }
    // A link in the place of the reserve is replaced, and what it leads to stays.
    let bench = Bench::new();
    let target = bench.temp.path().join("target");
    write(&target, b"mine");
    fs_err::create_dir_all(bench.dir()).unwrap();
    std::os::unix::fs::symlink(&target, bench.dir().join(Reserve::FILE)).unwrap();
    assert!(bench.open(0).complaints().is_empty());
    assert_eq!(fs_err::read(&target).unwrap(), b"mine");
    assert!(fs_err::symlink_metadata(bench.dir().join(Reserve::FILE)).unwrap().is_file());
}

#[cfg(unix)]
#[test]
fn a_file_of_somebody_else_and_a_folder_of_everybody_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    bench.run(0, 1);
    std::fs::set_permissions(bench.dir(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = chain(&bench.try_open(1, Clock::Proven).unwrap_err());
    assert!(error.contains("everybody"), "{error}");
    std::fs::set_permissions(bench.dir(), std::fs::Permissions::from_mode(0o700)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(bench.active(), Some(12_345), None).unwrap();
        let error = chain(&bench.try_open(1, Clock::Proven).unwrap_err());
        assert!(error.contains("somebody else"), "{error}");
        assert!(bench.verify().is_sound(), "an auditor may read it");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_with_its_path() {
    let bench = Bench::new();
    write(bench.dir(), b"a file");
    let error = bench.try_open(0, Clock::Proven).unwrap_err();
    assert!(!error.is_locked());
    assert!(error.to_string().contains("ledger'"), "{error}");
}

/// A disk with `room` bytes left, which takes what fits and then says that it is full.
struct Small {
    written: Vec<u8>,
    room: usize,
    cuts: bool,
}

impl file::Sink for Small {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fits = bytes.len().min(self.room - self.written.len());
        self.written.extend(&bytes[..fits]);
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
    fn flush_to_disk(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        if !self.cuts {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.written.truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

#[test]
fn a_batch_on_a_full_disk_is_whole_or_absent() {
    let mut disk = Small { written: b"old".to_vec(), room: 8, cuts: true };
    let lost = file::put_durably(&mut disk, 3, b"0123456789", || false);
    assert!(matches!(lost, Err(Lost::Clean(error)) if file::is_full(&error)));
    assert_eq!(disk.written, b"old");
    let mut asked = 0;
    let lost = file::put_durably(&mut disk, 3, b"0123456789", || {
        asked += 1;
        true
    });
    assert!(lost.is_err() && asked == 1 && disk.written == b"old");
    disk.cuts = false;
    assert!(matches!(file::put_durably(&mut disk, 3, b"0123456789", || true), Err(Lost::Dirty(_))));
}

/// A real full disk: a small file system in a mount namespace, where the system allows that.
#[cfg(target_os = "linux")]
#[test]
fn the_reserve_carries_the_ledger_over_a_full_disk() {
    let bench = Bench::new();
    fs_err::create_dir(bench.dir()).unwrap();
    let script = "mount -t tmpfs -o size=2m none \"$CCRETAIN_TEST_FULL_DISK\" && exec \"$0\" --ignored --exact ledger::tests::disk::on_a_full_disk";
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("CCRETAIN_TEST_FULL_DISK", bench.dir())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        }
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(!text.contains("running 1 test"), "{text}");
            eprintln!("skipped: no mount namespace here");
        }
        Err(error) => eprintln!("skipped: {error}"),
    }
}

#[test]
#[ignore = "run by the test above, inside a mount namespace"]
#[expect(clippy::disallowed_methods, reason = "the folder comes from the test above")]
fn on_a_full_disk() {
    let dir = PathBuf::from(std::env::var_os("CCRETAIN_TEST_FULL_DISK").unwrap());
    let mut bench = Bench::new();
    bench.place.dir = dir.clone();
    let fill = |name: &str| {
        let mut file = OpenOptions::new().append(true).create(true).open(dir.join(name)).unwrap();
        while file.write_all(&[7; 4096]).is_ok() {}
        while file.write_all(&[7]).is_ok() {}
    };
    let mut ledger = bench.open(0);
    fill("a");
    let batch: Vec<_> = (0..50).map(|index| intent(&index.to_string())).collect();
    while !ledger.reserve_used() {
        ledger.append(&batch, at(0)).unwrap();
    }
    assert!(!dir.join(Reserve::FILE).exists());
    ledger.append(&batch, at(1)).unwrap();
    // Now even the reserve is full: a batch fails, and none of it remains.
    fill("b");
    let head = ledger.head().clone();
    let mut failed = false;
    for _ in 0..10 {
        failed |= ledger.append(&batch, at(2)).is_err();
    }
    assert!(failed && ledger.head().seq >= head.seq);
    assert!(bench.verify().is_sound());
    files::remove_own(&dir.join("b")).unwrap();
    files::remove_own(&dir.join("a")).unwrap();
    let head = ledger.close(Entry::new(Event::Summary), at(3)).unwrap();
    assert_eq!(verify(&dir, Some(&head.sha256)).unwrap().given, Some(Given::Newest));
    assert_eq!(dir.join(Reserve::FILE).metadata().unwrap().len(), Reserve::SIZE);
    drop(ledger);
    // Full before the first run of all: no reserve, but a ledger if there is a page for it.
    fill("c");
    assert!(bench.run(4, 1).seq > head.seq);
}

/// Not a bound, a figure: `cargo test --release -- --ignored --nocapture ten_thousand`.
#[test]
#[ignore = "prints how long a large batch takes"]
fn ten_thousand_records_at_once() {
    let bench = Bench::new();
    let mut ledger = bench.open(0);
    let batch: Vec<_> =
        (0..10_000).map(|index| intent(&format!("0b1c2d3e-0000-0000-0000-{index:012}"))).collect();
    let start = std::time::Instant::now();
    let shared = Batch { time: entry::stamp(at(0)), run: &ledger.run.0, clock: Clock::Proven, names: None };
    let (mut head, mut lines) = (ledger.head().clone(), Vec::new());
    batch.iter().for_each(|entry| shared.encode(entry, &mut head, &mut lines).unwrap());
    eprintln!("encode: {:?}, {} bytes", start.elapsed(), lines.len());
    let start = std::time::Instant::now();
    ledger.append(&batch, at(0)).unwrap();
    eprintln!("append: {:?}", start.elapsed());
    let start = std::time::Instant::now();
    assert!(bench.verify().is_sound());
    eprintln!("verify: {:?}", start.elapsed());
}

/// What has another name elsewhere would be changed there too.
#[cfg(unix)]
#[test]
fn a_second_name_in_the_place_of_a_file_of_ours_is_never_written_to() {
    for name in [ACTIVE, "ledger.lock", Reserve::FILE] {
        let bench = Bench::new();
        let target = bench.temp.path().join("target");
        write(&target, b"mine");
        fs_err::create_dir_all(bench.dir()).unwrap();
        fs_err::hard_link(&target, bench.dir().join(name)).unwrap();
        let opened = bench.try_open(0, Clock::Proven).map_err(|error| chain(&error));
        assert_eq!(fs_err::read(&target).unwrap(), b"mine", "{name}");
        if name == Reserve::FILE {
            assert!(opened.unwrap().complaints().is_empty());
            let size = fs_err::metadata(bench.dir().join(name)).unwrap().len();
            assert_eq!(size, Reserve::SIZE, "a reserve of its own");
        } else {
            assert!(opened.unwrap_err().contains("second name"), "{name}");
        }
    }
    // Nor is a reserve that got one later cut off to nothing.
    let bench = Bench::new();
    bench.run(0, 1);
    let other = bench.temp.path().join("other");
    fs_err::hard_link(bench.dir().join(Reserve::FILE), &other).unwrap();
    assert!(!Reserve::new(bench.dir()).release());
    assert_eq!(fs_err::metadata(&other).unwrap().len(), Reserve::SIZE);
}
