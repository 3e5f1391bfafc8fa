//! The same where folders have no handles that could be changed by.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::dir::{Dir, FileTime};

pub fn unlink(dir: &Dir, name: &OsStr) -> io::Result<()> {
    std::fs::remove_file(dir.path().join(name))
}

pub fn remove_folder(dir: &Dir, name: &OsStr) -> io::Result<()> {
    std::fs::remove_dir(dir.path().join(name))
}

pub fn make_folder(dir: &Dir, name: &OsStr, _: u32) -> io::Result<()> {
    std::fs::create_dir(dir.path().join(name))
}

pub fn create_new(dir: &Dir, name: &OsStr, _: u32) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).open(dir.path().join(name))
}

pub fn open_or_create(dir: &Dir, name: &OsStr, _: u32) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(dir.path().join(name))
}

pub fn make_link(_: &Dir, _: &OsStr, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub fn date_link(_: &Dir, _: &OsStr, _: FileTime) -> io::Result<()> {
    Ok(())
}

pub fn touch(_: &File) -> io::Result<()> {
    Ok(())
}

pub fn rename(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    std::fs::rename(dir.path().join(from), dir.path().join(to))
}

pub fn rename_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    let target = dir.path().join(to);
    if target.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(dir.path().join(from), target)
}

pub fn rename_folder_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    make_folder(dir, to, 0o700)?;
    remove_folder(dir, from)
}

pub fn mark(_: &Dir, _: &OsStr) -> io::Result<()> {
    Ok(())
}

pub fn create_like(dir: &Dir, name: &OsStr, _: &File) -> io::Result<File> {
    super::create_part(dir, name)
}

pub fn sync(_: &Dir) -> io::Result<()> {
    Ok(())
}

pub fn close<T>(_: &T, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
