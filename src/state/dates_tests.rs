#![expect(clippy::disallowed_methods, reason = "the files are those of a scratch folder")]

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn stamp(inode: u64, changed: i64) -> FileStamp {
    let changed = FileTime::of(at(changed));
    FileStamp { device: 7, inode, size: 100, modified: FileTime::of(at(-500)), changed }
}

fn facts(newest: i64, projects: &[&str]) -> Facts {
    Facts {
        newest: Some(at(newest)),
        projects: projects.iter().map(|project| Arc::from(*project)).collect(),
        is_of_client: true,
        ..Facts::default()
    }
}

fn kept(dir: &Path, all: &[(FileStamp, Facts)], now: i64) {
    DateFile::new(dir, at(now)).keep(&mut all.iter().map(|(stamp, facts)| (stamp, facts)));
}

#[test]
fn what_was_said_is_found_for_the_same_state_alone() {
    let dir = tempfile::tempdir().unwrap();
    let said = facts(-400, &["/w", "/v"]);
    kept(dir.path(), &[(stamp(2, -300), said.clone()), (stamp(1, -300), facts(-10, &[]))], 0);
    let dates = DateFile::new(dir.path(), at(10));
    let state = stamp(2, -300);
    assert_eq!(dates.find(&state), Some(said));
    assert_eq!(dates.find(&stamp(1, -300)).unwrap().newest, Some(at(-10)));
    let others = [
        FileStamp { device: 8, ..state },
        FileStamp { inode: 3, ..state },
        FileStamp { size: 101, ..state },
        FileStamp { modified: FileTime::of(at(-501)), ..state },
        FileStamp { modified: FileTime::new(state.modified.seconds(), 1), ..state },
        FileStamp { changed: FileTime::of(at(-299)), ..state },
    ];
    assert!(others.iter().all(|other| dates.find(other).is_none()));
}

#[test]
fn what_may_still_change_unseen_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let later = Facts { has_later: true, ..facts(-400, &["/w"]) };
    kept(
        dir.path(),
        &[
            (stamp(1, -1), facts(-400, &["/w"])),
            (stamp(2, 50), facts(-400, &["/w"])),
            (stamp(3, -300), later),
            (stamp(4, -300), facts(-400, &["/w"])),
        ],
        0,
    );
    let dates = DateFile::new(dir.path(), at(10));
    assert!((1..4).all(|inode| dates.find(&stamp(inode, -300)).is_none()));
    assert!(dates.find(&stamp(1, -1)).is_none() && dates.find(&stamp(2, 50)).is_none());
    assert!(dates.find(&stamp(4, -300)).is_some());
}

#[test]
fn a_clock_set_back_asks_the_file_again() {
    let dir = tempfile::tempdir().unwrap();
    kept(dir.path(), &[(stamp(1, -300), facts(-400, &[]))], 0);
    assert!(DateFile::new(dir.path(), at(-399)).find(&stamp(1, -300)).is_some());
    assert!(DateFile::new(dir.path(), at(-401)).find(&stamp(1, -300)).is_none());
}

#[test]
fn what_is_gone_is_forgotten_and_nothing_is_written_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    kept(dir.path(), &[(stamp(1, -300), facts(-400, &[])), (stamp(2, -300), facts(-400, &[]))], 0);
    let mut dates = DateFile::new(dir.path(), at(1));
    let found = dates.find(&stamp(1, -300)).unwrap();
    dates.keep(&mut [(&stamp(1, -300), &found)].into_iter());
    let text = std::fs::read_to_string(&path).unwrap();
    let mut dates = DateFile::new(dir.path(), at(2));
    let found = dates.find(&stamp(1, -300)).unwrap();
    assert!(dates.find(&stamp(2, -300)).is_none());
    std::fs::write(&path, text.clone() + "\n").unwrap();
    dates.keep(&mut [(&stamp(1, -300), &found)].into_iter());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text + "\n");
}

#[test]
fn a_damaged_file_or_one_of_another_version_is_as_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    kept(dir.path(), &[(stamp(1, -300), facts(-400, &[]))], 0);
    let text = std::fs::read_to_string(&path).unwrap();
    let rewritten = |from: &str, to: &str| {
        let dates = String::from_utf8(guarded(text.as_bytes()).unwrap().to_vec()).unwrap();
        assert!(dates.contains(from), "{dates}");
        let mut bytes = Vec::new();
        write_guarded(&mut bytes, dates.replace(from, to).as_bytes()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(rewritten(PROGRAM, PROGRAM), text);
    for damaged in [
        String::new(),
        text[..text.len() / 2].to_owned(),
        rewritten(&format!("\"version\":{VERSION}"), "\"version\":9"),
        rewritten(PROGRAM, "0.0.1"),
    ] {
        std::fs::write(&path, damaged).unwrap();
        assert!(DateFile::new(dir.path(), at(1)).find(&stamp(1, -300)).is_none());
        kept(dir.path(), &[(stamp(1, -300), facts(-400, &[]))], 0);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn no_bit_can_flip_unnoticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    kept(dir.path(), &[(stamp(1, -300), facts(-400, &["/w"]))], 0);
    let bytes = std::fs::read(&path).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, damaged).unwrap();
        assert!(DateFile::new(dir.path(), at(1)).find(&stamp(1, -300)).is_none(), "bit {bit}");
    }
}
