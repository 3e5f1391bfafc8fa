//! What Claude Code leaves in and beside the projects that sessions were about.
//!
//! A project is its owner's to fill, and its path comes out of records: nothing is waited for, no link is
//! followed, and what belongs to somebody else is not looked into.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::sight::Sight;
use super::{Finding, Host, Inside, Risk, Subject};
use crate::escape::shown;

/// As many folders above a project are looked at: it may be a folder deep in a repository.
const MOST_ABOVE: usize = 40;
/// As many folders are looked at in all.
const MOST_FOLDERS: usize = 20_000;
/// As much of a list of references is read; a repository of 100,000 takes 8 MiB.
const MOST_REFERENCES: u64 = 16 << 20;
/// What leads from a work tree to its repository is a path.
const MOST_OF_A_PATH: u64 = 8 << 10;

/// The projects and the folders above them.
struct Folders {
    all: BTreeSet<PathBuf>,
    is_cut: bool,
}

impl Folders {
    fn of(subject: &Subject<'_>) -> Self {
        let mut all = BTreeSet::new();
        for project in subject.projects.iter().filter(|project| project.is_absolute()) {
            // What stands above the home, or is the home, is in no project.
            let above = project.ancestors().take(MOST_ABOVE);
            for folder in above.take_while(|folder| folder.parent().is_some()) {
                if all.len() >= MOST_FOLDERS {
                    return Self { all, is_cut: true };
                }
                if !subject.home.starts_with(folder) {
                    all.insert(folder.to_path_buf());
                }
            }
        }
        Self { all, is_cut: false }
    }

    /// Looks at a path below each folder.
    fn each(
        &self,
        below: &str,
        subject: &Subject<'_>,
        host: &dyn Host,
        sight: &mut Sight,
        mut found: impl FnMut(&mut Sight, &Path, Inside),
    ) {
        for folder in &self.all {
            match host.inside(folder, Path::new(below), subject.uid, MOST_OF_A_PATH) {
                Ok(Some(inside)) => found(sight, folder, inside),
                Ok(None) => {}
                // A folder above may be closed to us; what is a project's own is told.
                Err(error) if subject.projects.contains(folder) => sight.barred(&folder.join(below), &error),
                Err(_) => {}
            }
        }
        if self.is_cut {
            sight.doubt(format!(
                "there are more than {MOST_FOLDERS} folders to look at, and the others were not"
            ));
        }
    }
}

/// Whether there are copies of repositories to work in.
pub(super) fn worktrees(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    let note = |names: usize| format!("{names} copies of repositories, or what is left of them");
    match host.inside(subject.home, Path::new(".claude-worktrees"), subject.uid, 0) {
        Ok(Some(Inside::Folder(names))) if !names.is_empty() => {
            sight.saw(Some(&subject.home.join(".claude-worktrees")), note(names.len()));
        }
        Ok(_) => {}
        Err(error) => sight.barred(&subject.home.join(".claude-worktrees"), &error),
    }
    Folders::of(subject).each(".claude/worktrees", subject, host, &mut sight, |sight, folder, inside| {
        if let Inside::Folder(names) = inside
            && !names.is_empty()
        {
            sight.saw(Some(&folder.join(".claude/worktrees")), note(names.len()));
        }
    });
    sight.finding(Risk::AgentWorktrees)
}

/// Whether projects hold files with prompts or summaries.
pub(super) fn files(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    let folders = Folders::of(subject);
    for (below, what) in [
        (".claude/RESUME.md", "a summary of a session, to go on from"),
        (".claude/scheduled_tasks.json", "prompts of tasks that Claude Code runs by itself"),
    ] {
        folders.each(below, subject, host, &mut sight, |sight, folder, _| {
            sight.saw(Some(&folder.join(below)), what);
        });
    }
    sight.finding(Risk::ProjectFiles)
}

/// Whether repositories hold checkpoints, by their names alone; git is not run.
pub(super) fn checkpoints(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    let mut repositories = BTreeSet::new();
    Folders::of(subject).each(".git", subject, host, &mut sight, |_, folder, inside| {
        // Several work trees may lead to one repository, which is counted once.
        repositories.extend(repository(folder, &inside, subject, host));
    });
    for repository in &repositories {
        look_for_checkpoints(repository, subject, host, &mut sight);
    }
    sight.finding(Risk::Checkpoints)
}

/// The folder with the references of a work tree, whose `.git` may be a file that leads elsewhere
/// (gitrepository-layout(5)).
fn repository(top: &Path, mark: &Inside, subject: &Subject<'_>, host: &dyn Host) -> Option<PathBuf> {
    let Inside::File(content) = mark else { return Some(top.join(".git")) };
    let own = top.join(line(content)?.strip_prefix("gitdir:")?.trim());
    let common = host.inside(&own, Path::new("commondir"), subject.uid, MOST_OF_A_PATH);
    match common {
        Ok(Some(Inside::File(content))) => Some(own.join(line(&content)?)),
        _ => Some(own),
    }
}

/// The first line of a small file.
fn line(content: &[u8]) -> Option<&str> {
    std::str::from_utf8(content).ok()?.lines().next().map(str::trim)
}

fn look_for_checkpoints(repository: &Path, subject: &Subject<'_>, host: &dyn Host, sight: &mut Sight) {
    const NAME: &[u8] = b"refs/claude/checkpoint-";
    let mut look = |below: &str, bytes: u64, found: &mut dyn FnMut(&mut Sight, Inside)| match host.inside(
        repository,
        Path::new(below),
        subject.uid,
        bytes,
    ) {
        Ok(Some(inside)) => found(sight, inside),
        Ok(None) => {}
        Err(error) => sight.barred(&repository.join(below), &error),
    };
    look("refs/claude", 0, &mut |sight, inside| {
        let is_one = |name: &&std::ffi::OsString| name.as_encoded_bytes().starts_with(b"checkpoint-");
        if let Inside::Folder(names) = inside
            && let count @ 1.. = names.iter().filter(is_one).count()
        {
            sight.saw(Some(&repository.join("refs/claude")), format!("{count} checkpoints"));
        }
    });
    // git moves references from files into this one list when it cleans up.
    look("packed-refs", MOST_REFERENCES, &mut |sight, inside| {
        let Inside::File(content) = inside else { return };
        let count = memchr::memmem::find_iter(&content, NAME).count();
        if count > 0 {
            sight.saw(Some(&repository.join("packed-refs")), format!("{count} checkpoints"));
        } else if content.len() as u64 == MOST_REFERENCES {
            sight.doubt(format!("'{}' was not read to its end", shown(&repository.join("packed-refs"))));
        }
    });
    look("reftable", 0, &mut |sight, _| {
        sight.doubt(format!("the references of '{}' are in tables, which are not read", shown(repository)));
    });
}

#[cfg(test)]
#[path = "projects_tests.rs"]
mod tests;
