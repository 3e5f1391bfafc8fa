//! A made-up machine for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::{Host, Inside, Subject};
use crate::platform::Platform;

/// Files, links, and what may not be looked at.
#[derive(Debug, Default)]
pub struct Fake {
    files: BTreeMap<PathBuf, Vec<u8>>,
    folders: BTreeSet<PathBuf>,
    links: BTreeMap<PathBuf, PathBuf>,
    denied: BTreeSet<PathBuf>,
    unlinked: BTreeSet<PathBuf>,
    owners: BTreeMap<PathBuf, u32>,
    encrypted: BTreeSet<PathBuf>,
    programs: BTreeMap<String, String>,
}

impl Fake {
    pub fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.into(), content.as_ref().to_vec());
        let above = Path::new(path).parent().unwrap().to_owned();
        self.make(&above);
        self
    }

    pub fn folder(mut self, path: &str) -> Self {
        self.make(Path::new(path));
        self
    }

    fn make(&mut self, path: &Path) {
        self.folders.extend(path.ancestors().map(Path::to_path_buf));
    }

    pub fn to(mut self, path: &str, target: &str) -> Self {
        self.links.insert(path.into(), target.into());
        let above = Path::new(path).parent().unwrap().to_owned();
        self.make(&above);
        self
    }

    pub fn denied(mut self, path: &str) -> Self {
        self.denied.insert(path.into());
        self
    }

    pub fn unlinked(mut self, path: &str) -> Self {
        self.unlinked.insert(path.into());
        self
    }

    pub fn owned(mut self, path: &str, uid: u32) -> Self {
        self.owners.insert(path.into(), uid);
        self.folder(path)
    }

    pub fn encrypted(mut self, path: &str) -> Self {
        self.encrypted.insert(path.into());
        self
    }

    pub fn program(mut self, line: &str, output: &str) -> Self {
        self.programs.insert(line.into(), output.into());
        self
    }

    fn allowed(&self, path: &Path) -> io::Result<()> {
        match path.ancestors().any(|above| self.denied.contains(above)) {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok(()),
        }
    }

    /// The path with the links of this machine followed.
    fn real(&self, path: &Path) -> PathBuf {
        let mut real = PathBuf::new();
        for part in path.components() {
            if part.as_os_str() == ".." {
                real.pop();
                continue;
            }
            real.push(part);
            if let Some(target) = self.links.get(&real) {
                let target = real.parent().unwrap_or(Path::new("/")).join(target);
                real = self.real(&target);
            }
        }
        real
    }

    fn parent_real(&self, path: &Path) -> PathBuf {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => self.real(parent).join(name),
            _ => path.to_path_buf(),
        }
    }
}

impl Host for Fake {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let path = self.real(path);
        self.allowed(&path)?;
        Ok(self.files.get(&path).cloned())
    }

    fn list(&self, path: &Path) -> io::Result<Option<Vec<OsString>>> {
        let path = self.real(path);
        self.allowed(&path)?;
        if !self.folders.contains(&path) {
            return Ok(None);
        }
        let all = self.files.keys().chain(&self.folders).chain(self.links.keys());
        let names: BTreeSet<OsString> = all
            .filter(|each| each.parent() == Some(&path))
            .filter_map(|each| each.file_name().map(ToOwned::to_owned))
            .collect();
        Ok(Some(names.into_iter().collect()))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let path = self.parent_real(path);
        if let Some(parent) = path.parent() {
            self.allowed(parent)?;
        }
        Ok(self.files.contains_key(&path) || self.folders.contains(&path) || self.links.contains_key(&path))
    }

    fn inside(&self, folder: &Path, below: &Path, owner: u32, bytes: u64) -> io::Result<Option<Inside>> {
        let path = folder.join(below);
        self.allowed(&path)?;
        if self.links.keys().any(|link| path.starts_with(link)) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let path = self.real(&path);
        if self.owners.get(&path).is_some_and(|other| *other != owner) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if let Some(content) = self.files.get(&path) {
            let length = usize::try_from(bytes).unwrap_or(usize::MAX).min(content.len());
            return Ok(Some(Inside::File(content[..length].to_vec())));
        }
        Ok(self.list(&path)?.map(Inside::Folder))
    }

    fn link(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let path = self.parent_real(path);
        self.allowed(&path)?;
        Ok(self.links.get(&path).cloned())
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        self.real(path)
    }

    fn owner(&self, path: &Path) -> Option<u32> {
        self.owners.get(path).copied()
    }

    fn is_unlinked(&self, path: &Path) -> Option<bool> {
        Some(self.unlinked.contains(path))
    }

    fn encrypts(&self, path: &Path) -> Option<bool> {
        Some(path.ancestors().any(|above| self.encrypted.contains(above)))
    }

    fn own_pid(&self) -> u32 {
        1
    }

    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<String> {
        let line = std::iter::once(&program).chain(arguments).copied().collect::<Vec<_>>().join(" ");
        self.programs.get(&line).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Looks at a made-up machine as `ann` (1000) with one store.
///
/// The home is among the roots, as callers give it.
pub fn with<T>(platform: Platform, root: &str, look: impl FnOnce(&Subject<'_>) -> T) -> T {
    let home = Path::new(if platform == Platform::Macos { "/Users/ann" } else { "/home/ann" });
    let (roots, variables) = ([PathBuf::from(root), home.to_path_buf()], BTreeMap::new());
    look(&Subject {
        platform,
        home,
        uid: 1000,
        variables: &variables,
        roots: &roots,
        projects: &[],
        moved: &[],
    })
}
