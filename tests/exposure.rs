//! What makes content recoverable elsewhere, on real file systems and repositories.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ccretain::internals::exposure::{Finding, Risk, Seen, Subject, System, look, look_for, volume};
use ccretain::internals::platform::Platform;

use crate::common::Sandbox;

/// Asked of a copy of this suite that runs in a mount namespace: on what this folder lies.
const ASKED: &str = "CCRETAIN_TEST_VOLUME";

fn find(sandbox: &Sandbox, risk: Risk) -> Finding {
    let home = fs::canonicalize(sandbox.home()).unwrap();
    let roots = [home.join(".claude")];
    let subject = Subject {
        platform: Platform::Linux,
        home: &home,
        uid: rustix::process::getuid().as_raw(),
        variables: &BTreeMap::new(),
        roots: &roots,
        projects: &[],
        moved: &[],
    };
    look_for(risk, &subject, &System)
}

#[test]
fn nothing_is_left_by_looking() {
    let sandbox = Sandbox::new();
    sandbox.write(".claude/x", "x");
    let before = sandbox.tree();
    let roots = [sandbox.home().join(".claude")];
    let subject = Subject {
        platform: Platform::Linux,
        home: &sandbox.home(),
        uid: rustix::process::getuid().as_raw(),
        variables: &BTreeMap::new(),
        roots: &roots,
        projects: &[],
        moved: &[],
    };
    let found = look(&subject, &System);
    assert!(found.iter().any(|one| one.risk == Risk::ServerSide), "what cannot be seen is said as well");
    for one in found.iter().filter(|one| matches!(one.seen, Seen::Yes)) {
        assert!(!one.evidence.is_empty(), "{one:?}");
    }
    assert_eq!(sandbox.tree(), before);
}

/// Runs git in a folder; `false` where there is none.
fn git(folder: &Path, arguments: &[&str]) -> bool {
    let ran = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output();
    let Ok(ran) = ran else {
        eprintln!("SKIPPED: there is no git");
        return false;
    };
    assert!(ran.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    true
}

#[test]
fn a_home_in_git_says_whether_the_store_is_committed() {
    let sandbox = Sandbox::new();
    sandbox.write(".claude/history.jsonl", "x");
    sandbox.write(".bashrc", "x");
    assert_eq!(find(&sandbox, Risk::VersionControl).seen, Seen::No);
    if !git(&sandbox.home(), &["init", "-q"]) {
        return;
    }
    git(&sandbox.home(), &["add", ".bashrc"]);
    let found = find(&sandbox, Risk::VersionControl);
    assert_eq!(found.seen, Seen::Yes);
    assert!(found.evidence[0].note.contains("names no file of it now"), "{found:?}");
    git(&sandbox.home(), &["add", "-f", ".claude"]);
    let found = find(&sandbox, Risk::VersionControl);
    assert!(found.evidence[0].note.contains("names files of it"), "{found:?}");
}

#[test]
fn a_repository_of_dotfiles_is_found_apart_from_its_work_tree() {
    let sandbox = Sandbox::new();
    sandbox.write(".claude/settings.json", "{}");
    if !git(&sandbox.home(), &["init", "-q", "--bare", ".cfg"]) {
        return;
    }
    assert_eq!(find(&sandbox, Risk::VersionControl).seen, Seen::No, "never used with a work tree");
    git(&sandbox.home(), &["--git-dir=.cfg", "--work-tree=.", "add", ".claude/settings.json"]);
    let found = find(&sandbox, Risk::VersionControl);
    assert_eq!(found.seen, Seen::Yes);
    assert!(found.evidence[0].path.as_ref().unwrap().ends_with(".cfg"), "{found:?}");
}

/// A file system in a file, mounted for this test alone.
#[test]
fn a_loop_device_leads_to_the_disk_below_it() {
    if let Some(folder) = std::env::var_os(ASKED) {
        let found = volume(&PathBuf::from(folder), Platform::Linux, &System);
        println!("found {found:?}");
        return;
    }
    let sandbox = Sandbox::new();
    let (image, folder) = (sandbox.root().join("image"), sandbox.root().join("mounted"));
    fs::create_dir(&folder).unwrap();
    fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
    // A sandbox in memory lies on no disk; what is below the loop device is judged by it.
    let below = volume(&image, Platform::Linux, &System);
    let script = "mkfs.ext4 -q -F \"$1\" && mount -o loop \"$1\" \"$2\" || exit 77; shift 2; exec \"$@\"";
    let ran = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .args([&image, &folder])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "exposure::a_loop_device_leads_to_the_disk_below_it", "--nocapture"])
        .env(ASKED, folder.join("deeper"))
        .output();
    let said = match ran {
        Ok(ran) if ran.status.success() => String::from_utf8_lossy(&ran.stdout).into_owned(),
        _ => {
            eprintln!("SKIPPED: no loop device can be mounted here");
            return;
        }
    };
    let line = said.lines().find(|line| line.contains("found ")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("file_system: Some(\"ext4\")") && line.contains("/dev/loop"), "{line}");
    assert!(line.contains(&format!("encrypted: {:?}", below.encrypted)), "{line} and below: {below:?}");
}
