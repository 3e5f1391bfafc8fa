use super::*;

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_file_is_read_up_to_its_bound() {
    let dir = scratch();
    let path = dir.path().join("f");
    replace(&path, b"four", 0o600).unwrap();
    assert_eq!(read(&path, 4).unwrap().unwrap(), b"four");
    let error = read(&path, 3).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(read(&dir.path().join("none"), 4).unwrap(), None);
    assert!(read(&path.join("below"), 4).is_err(), "below a file nothing can be");
    assert_eq!(head(&open(&path).unwrap(), 2).unwrap(), b"fo");
}

#[test]
fn a_sparse_file_above_the_bound_is_not_read() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(Document::read(&file).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}

#[cfg(unix)]
#[test]
fn holes_are_passed_over_where_the_system_tells_them() {
    use std::os::unix::fs::FileExt as _;
    const MIB: u64 = 1 << 20;
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(b"x", 0).unwrap();
    file.write_all_at(b"y", 8 * MIB).unwrap();
    file.set_len(1 << 40).unwrap();
    let first = data_from(&file, 0).unwrap().unwrap();
    if first.end > 8 * MIB {
        return; // This file system tells none.
    }
    assert_eq!(first.start, 0);
    let second = data_from(&file, first.end).unwrap().unwrap();
    assert!(second.start <= 8 * MIB && second.end > 8 * MIB && second.end < 16 * MIB, "{second:?}");
    assert_eq!(data_from(&file, second.end).unwrap(), None);
    assert_eq!(data_before(&file, 1 << 40).unwrap(), second.end);
    assert_eq!(data_before(&file, 7 * MIB).unwrap(), first.end);
    assert_eq!(data_before(&file, 1).unwrap(), 1);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    /// "File exists" would be no reason.
    #[test]
    fn a_folder_that_cannot_be_looked_for_is_not_said_to_exist() {
        let dir = scratch();
        let link = dir.path().join("link");
        symlink("link", &link).unwrap();
        for made in [private_dir(&link.join("a")), named_dir(&link.join("a")), named_dir(&link)] {
            let error = made.unwrap_err();
            assert!(error.source.to_string().contains("symbolic links"), "{error:?}");
        }
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let dir = scratch();
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let link = dir.path().join("link");
        symlink("/dev/zero", &link).unwrap();
        for path in [&fifo, &link, dir.path()] {
            assert_eq!(read(path, 4).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{}", path.display());
        }
        assert!(open_own(&fifo).unwrap_err().source.to_string().contains("not a regular file"));
        assert!(open_own(&link).unwrap_err().source.to_string().contains("a link"));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_not_absent() {
        let dir = scratch();
        let link = dir.path().join("link");
        symlink(dir.path().join("none"), &link).unwrap();
        assert!(read(&link, 4).is_err());
    }

    #[test]
    fn a_file_of_ours_has_one_name() {
        let dir = scratch();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        replace(&one, b"x", 0o644).unwrap();
        assert!(open_own(&one).unwrap().is_some());
        let mode = one.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "what lets others read is tightened");
        std::fs::hard_link(&one, &two).unwrap();
        assert!(open_own(&one).unwrap_err().source.to_string().contains("second name"));
        let mut options = private_options();
        assert!(open_private(options.append(true), &one).is_err());
    }

    #[test]
    fn folders_made_are_private_and_one_that_anybody_may_write_to_is_refused() {
        let dir = scratch();
        let deep = dir.path().join("a/b/c");
        private_dir(&deep).unwrap();
        for folder in [dir.path().join("a"), dir.path().join("a/b"), deep.clone()] {
            assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        }
        std::fs::set_permissions(&deep, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(private_dir(&deep).is_err());
    }
}
