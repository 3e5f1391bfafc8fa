//! The links of a sealed session: they come back once its files are there.

use std::io;
use std::path::Path;

use super::{Dates, Existing, Made, Restoring, dir, in_the_way};
use crate::dir::{FileTime, FileType};
use crate::enforce::sealed::SealedError;
use crate::error::At as _;
use crate::seal::manifest::SealedLink;

impl Restoring<'_> {
    /// Looks whether every link can have its place, without changing anything; gives how many are to be made.
    pub(super) fn check_links(&self) -> Result<usize, SealedError> {
        let mut missing = 0;
        for link in &self.session.record.links {
            missing += usize::from(self.is_missing(link)?);
        }
        Ok(missing)
    }

    /// Whether nothing is in a link's place; the same link may be there from an earlier run.
    fn is_missing(&self, link: &SealedLink) -> Result<bool, SealedError> {
        self.is_a_place(link.tree(), &link.path, link.temp.as_deref())?;
        let path = self.target(link.temp.as_deref(), &link.path);
        let name = link.path.file_name().unwrap_or_default();
        let found = self.folder(&link.temp, link.path.parent(), None).and_then(|folder| {
            let stat = folder.stat(name)?;
            let is_it = stat.file_type == FileType::Link && folder.read_link(name)? == link.target;
            Ok((stat, is_it))
        });
        match found {
            Ok((_, is_it)) if is_it || self.existing == Existing::Leave => Ok(false),
            Ok((stat, _)) => Err(in_the_way(path, link.mtime, Some(&stat))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error).at("look at", path).map_err(SealedError::File),
        }
    }

    /// Makes every link that is not there.
    pub(super) fn restore_links(&self, made: &mut Vec<Made>) -> Result<(), SealedError> {
        for link in &self.session.record.links {
            if !self.is_missing(link)? {
                continue;
            }
            let path = self.target(link.temp.as_deref(), &link.path);
            let modified = match self.dates {
                Dates::Original => Some(FileTime::of(link.mtime)),
                // A link that is made now has the present date already.
                Dates::Touch(_) => None,
            };
            let folder = self.folder(&link.temp, link.path.parent(), Some(made));
            let name = link.path.file_name().unwrap_or_default();
            folder
                .and_then(|folder| make(&folder, name, &link.target, modified))
                .at("make the link", path)
                .map_err(SealedError::File)?;
        }
        Ok(())
    }
}

fn make(
    folder: &crate::dir::Dir,
    name: &std::ffi::OsStr,
    target: &Path,
    modified: Option<FileTime>,
) -> io::Result<()> {
    dir::make_link(folder, name, target, modified)?;
    if dir::FLUSHES_WHOLE { Ok(()) } else { dir::sync(folder) }
}
