use std::collections::BTreeMap;

use super::super::fake::Fake;
use super::super::{Seen, Subject};
use super::*;
use crate::platform::Platform;

fn looked(host: &Fake, projects: &[&str], look: fn(&Subject<'_>, &dyn Host) -> Finding) -> Finding {
    let (variables, roots) = (BTreeMap::new(), Vec::new());
    let projects: Vec<PathBuf> = projects.iter().map(PathBuf::from).collect();
    let home = Path::new("/home/ann");
    let subject = Subject {
        platform: Platform::Linux,
        home,
        uid: 1000,
        variables: &variables,
        roots: &roots,
        projects: &projects,
        moved: &[],
    };
    look(&subject, host)
}

fn places(finding: &Finding) -> Vec<String> {
    finding.evidence.iter().filter_map(|one| Some(one.path.as_ref()?.display().to_string())).collect()
}

#[test]
fn checkpoints_are_found_loose_and_packed_above_a_project_and_behind_a_work_tree() {
    let name = "refs/claude/checkpoint-1";
    let packed = format!("# pack-refs with: peeled\n0123 {name}\n0124 {name}2\n");
    let host = Fake::default()
        .file("/work/a/.git/refs/claude/checkpoint-1", "0123")
        .file("/work/b/.git/packed-refs", &packed)
        .file("/work/b/deep/er/x", "")
        .file("/work/c/.git", "gitdir: ../main/.git/worktrees/c\n")
        .file("/work/main/.git/worktrees/c/commondir", "../..\n")
        .file("/work/main/.git/packed-refs", &packed)
        .file("/work/none/.git/packed-refs", "0123 refs/heads/claude/checkpoint-1\n");
    let seen = looked(&host, &["/work/a", "/work/b/deep/er", "/work/c", "/work/none"], checkpoints);
    assert_eq!(seen.seen, Seen::Yes);
    assert_eq!(
        places(&seen),
        [
            "/work/a/.git/refs/claude",
            "/work/b/.git/packed-refs",
            "/work/c/../main/.git/worktrees/c/../../packed-refs"
        ]
    );
    assert_eq!(looked(&host, &["/work/none"], checkpoints).seen, Seen::No);
    assert_eq!(looked(&host, &["relative", "/nowhere"], checkpoints).seen, Seen::No);
}

#[test]
fn what_is_somebody_elses_or_cannot_be_read_is_a_doubt() {
    let host = Fake::default()
        .file("/work/a/.git/packed-refs", "refs/claude/checkpoint-1")
        .owned("/work/a/.git", 1001)
        .file("/work/b/.git/reftable/1.ref", "")
        .denied("/work/c/.claude");
    assert!(matches!(looked(&host, &["/work/a"], checkpoints).seen, Seen::Unknown(_)));
    assert!(matches!(looked(&host, &["/work/b"], checkpoints).seen, Seen::Unknown(_)));
    assert!(matches!(looked(&host, &["/work/c"], worktrees).seen, Seen::Unknown(_)));
    // A folder above that is closed to us says nothing of the project.
    let host = Fake::default().folder("/work/d/e").denied("/work/d/.claude");
    assert_eq!(looked(&host, &["/work/d/e"], worktrees).seen, Seen::No);
}

#[test]
fn copies_of_repositories_and_files_with_prompts_are_named() {
    let host = Fake::default()
        .file("/home/ann/.claude-worktrees/x/a", "")
        .file("/work/a/.claude/worktrees/w1/a", "")
        .folder("/work/b/.claude/worktrees")
        .file("/work/a/.claude/RESUME.md", "")
        .file("/work/b/.claude/scheduled_tasks.json", "");
    let projects = ["/work/a/.claude/worktrees/w1", "/work/b"];
    let seen = looked(&host, &projects, worktrees);
    assert_eq!(places(&seen), ["/home/ann/.claude-worktrees", "/work/a/.claude/worktrees"]);
    let seen = looked(&host, &projects, files);
    assert_eq!(places(&seen), ["/work/a/.claude/RESUME.md", "/work/b/.claude/scheduled_tasks.json"]);
}
