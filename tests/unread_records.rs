//! What belongs to sessions by what records say, where not every record could be read: an owner that nobody knows
//! may be held, or not due.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::common::sandbox::{deleting, recent};
use crate::common::store::{CONTENT, Session, put, stamp};
use crate::common::{Sandbox, StoreBuilder, days, id, now};
use crate::seal::{identity, seals};

const SLUG: &str = "calm-fox";
const PASTE: &str = "00000000000000ab";

/// A session of ten days with a plan, one of an agent of it, a paste and a log, all of which are old by themselves.
struct World {
    sandbox: Sandbox,
    store: StoreBuilder,
    session: Session,
    owned: Vec<PathBuf>,
}

impl World {
    fn new(is_sealed: bool) -> Self {
        let (sandbox, store) = if is_sealed { recent() } else { deleting() };
        let named = json!({"type": "mode", "sessionId": id(1), "slug": SLUG}).to_string();
        let session = store.session(1).head(&named).aged(days(10)).write();
        let owned = vec![
            store.put(format!("plans/{SLUG}.md"), CONTENT, days(400)),
            store.put(format!("plans/{SLUG}-agent-a1.md"), CONTENT, days(400)),
            store.paste(PASTE, session.id(), days(40)),
        ];
        if is_sealed {
            seals(&sandbox, &identity(&sandbox), "");
            sandbox.run(["seal", session.id()]).exits(0);
            assert!(!session.is_there());
            sandbox.delete_after("30d");
        }
        Self { sandbox, store, session, owned }
    }

    fn sealed(&self) -> PathBuf {
        self.store.path("ccretain/sealed").join(self.session.id())
    }

    /// Runs as an account that permissions bind.
    fn enforce(&self) -> crate::common::Output {
        self.sandbox.give_away();
        let run = self.sandbox.command(["-v", "enforce", "--yes", "--json"]).unprivileged();
        run.run()
    }

    fn keeps(&self, case: &str) {
        let output = self.enforce();
        for file in &self.owned {
            assert!(file.exists(), "{case}: {} was deleted\n{output}", file.display());
        }
    }
}

fn closed(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o0)).unwrap();
}

/// Puts a link in the place of something, which is moved away.
fn linked(path: &Path, target: &Path) {
    fs::rename(path, path.with_file_name("moved-away")).or_else(|_| fs::remove_file(path)).unwrap();
    symlink(target, path).unwrap();
}

type Damage = fn(&World);

const PLAIN: [(&str, Damage); 7] = [
    ("a transcript that cannot be read", |world| closed(&world.session.transcript)),
    ("a project's folder that cannot be entered", |world| closed(world.session.transcript.parent().unwrap())),
    ("a projects folder that cannot be entered", |world| closed(&world.store.path("projects"))),
    ("a project's folder that is a dead link", |world| {
        let folder = world.session.transcript.parent().unwrap();
        fs::rename(folder, world.sandbox.home().join("away")).unwrap();
        symlink("/nowhere", folder).unwrap();
    }),
    ("a transcript that is a dead link", |world| {
        fs::remove_file(&world.session.transcript).unwrap();
        symlink("/nowhere", &world.session.transcript).unwrap();
    }),
    ("a transcript that is a link", |world| {
        let away = world.sandbox.home().join("away.jsonl");
        fs::rename(&world.session.transcript, &away).unwrap();
        symlink(&away, &world.session.transcript).unwrap();
    }),
    ("a transcript that is a FIFO", |world| {
        let name = format!("projects/{}/{}.jsonl", world.session.folder, world.session.id());
        fs::remove_file(&world.session.transcript).unwrap();
        world.store.fifo(name);
    }),
];

const SEALED: [(&str, Damage); 7] = [
    ("a record that cannot be read", |world| closed(&world.sealed().join("session.json"))),
    ("a record that is missing", |world| fs::remove_file(world.sealed().join("session.json")).unwrap()),
    ("a record that is damaged", |world| fs::write(world.sealed().join("session.json"), "{").unwrap()),
    ("a sealed folder that cannot be entered", |world| closed(&world.sealed())),
    ("sealed folders that cannot be listed", |world| closed(&world.store.path("ccretain/sealed"))),
    ("a dead link for all sealed folders", |world| {
        linked(&world.store.path("ccretain/sealed"), Path::new("/nowhere"))
    }),
    ("a link for a sealed folder", |world| {
        let away = world.sandbox.home().join("away");
        fs::rename(world.sealed(), &away).unwrap();
        symlink(&away, world.sealed()).unwrap();
    }),
];

#[test]
fn nothing_of_a_session_goes_where_its_records_cannot_be_read() {
    for (is_sealed, cases) in [(false, &PLAIN[..]), (true, &SEALED[..])] {
        for (case, damage) in cases {
            let world = World::new(is_sealed);
            damage(&world);
            world.keeps(case);
        }
    }
}

#[test]
fn nothing_of_a_held_session_goes_where_its_records_cannot_be_read() {
    for (is_sealed, cases) in [(false, &PLAIN[..]), (true, &SEALED[..])] {
        for (case, damage) in cases {
            let world = World::new(is_sealed);
            let held = ["hold", "add", "--session", world.session.id(), "--reason", "case"];
            world.sandbox.run(held).exits(0);
            damage(&world);
            // By its own date it is due then.
            world.sandbox.give_away();
            let late = world.sandbox.command(["enforce", "--yes", "--json"]).unprivileged();
            let output = late.at(now() + days(25)).run();
            for file in &world.owned {
                assert!(file.exists(), "{case}: {} was deleted\n{output}", file.display());
            }
        }
    }
}

/// What lies behind a link in a session's own folder is never read, and may be a subagent.
#[test]
fn a_plan_stays_where_a_subagent_may_lie_behind_a_link() {
    for link in ["", "subagents", "subagents/agent-a1.jsonl", "subagents/workflows"] {
        let (sandbox, store) = deleting();
        let session = store.session(1).aged(days(10)).write();
        let away = sandbox.home().join("away");
        fs::create_dir(&away).unwrap();
        let link = if link.is_empty() { session.side() } else { session.side().join(link) };
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&away, &link).unwrap();
        let plan = store.put(format!("plans/{SLUG}.md"), CONTENT, days(400));
        sandbox.enforce();
        assert!(plan.exists(), "{}", link.display());
    }
}

#[test]
fn scratch_files_stay_where_their_session_may_lie() {
    let (sandbox, store) = deleting();
    let session = store.session(1).aged(days(10)).write();
    let scratch = sandbox.client_tmp().join("s/123456789012/scratchpad/x");
    put(&scratch, CONTENT, days(400));
    let (folder, away) = (session.transcript.parent().unwrap(), sandbox.home().join("away"));
    fs::rename(folder, &away).unwrap();
    symlink("/nowhere", folder).unwrap();
    let output = sandbox.enforce();
    assert!(scratch.exists(), "{output}");
    fs::remove_file(folder).unwrap();
    fs::rename(away, folder).unwrap();
    let output = sandbox.enforce();
    assert!(!scratch.exists(), "no session that is known has it\n{output}");
}

#[test]
fn what_is_in_doubt_goes_once_everything_can_be_read() {
    let world = World::new(false);
    let folder = world.session.transcript.parent().unwrap().to_owned();
    closed(&folder);
    world.keeps("closed");
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
    world.keeps("open again");
    let loose = world.store.put("plans/nobodys.md", CONTENT, days(40));
    world.enforce();
    assert!(!loose.exists(), "nothing is in doubt any more");
    world.sandbox.give_away();
    let late = world.sandbox.command(["-v", "enforce", "--yes", "--json"]).unprivileged();
    let output = late.at(now() + days(25)).run();
    assert!(world.owned.iter().all(|file| !file.exists()), "they go with their session\n{output}");
}

/// A transcript under a name of its own, and one that names no session, own a plan as any other does.
#[test]
fn a_plan_belongs_to_whatever_records_name_its_slug() {
    let (sandbox, store) = deleting();
    let record = |session: bool| {
        let mut record = json!({"type": "user", "slug": SLUG, "timestamp": stamp(now() - days(10)), "cwd": "/work/acme", "message": {}});
        if session {
            record["sessionId"] = json!(id(1));
        }
        record.to_string() + "\n"
    };
    for (name, session) in [("copy-of-one.jsonl", true), ("agent-0123abcd.jsonl", false)] {
        let transcript = store.put(format!("projects/-work-acme/{name}"), record(session), days(10));
        let plan = store.put(format!("plans/{SLUG}.md"), CONTENT, days(400));
        sandbox.enforce().exits(0);
        assert!(transcript.exists() && plan.exists(), "{name}");
        fs::remove_file(transcript).unwrap();
    }
}

#[test]
fn a_partial_purge_leaves_what_may_be_somebody_elses_and_says_so() {
    let world = World::new(false);
    let other = world.store.session(2).cwd("/work/other").aged(days(10)).write();
    closed(world.session.transcript.parent().unwrap());
    world.sandbox.give_away();
    let yesterday = (now() - days(1)).format("%Y-%m-%d").to_string();
    for selection in [["--session", other.id()], ["--before", &yesterday]] {
        let purge = ["purge", "--yes", "--json", selection[0], selection[1]];
        let output = world.sandbox.command(purge).unprivileged().run();
        assert!(world.owned.iter().take(2).all(|file| file.exists()), "{output}");
        assert_eq!(output.code, Some(1), "{output}");
        assert!(output.stdout.contains("plans/#"), "{output}");
    }
}

#[test]
fn a_hold_stops_a_purge_that_would_take_a_plan_of_which_the_owner_is_not_known() {
    let world = World::new(false);
    world.sandbox.run(["hold", "add", "--session", world.session.id(), "--reason", "case"]).exits(0);
    // Its line is held by the id that it names.
    fs::remove_file(world.store.path("history.jsonl")).unwrap();
    closed(world.session.transcript.parent().unwrap());
    world.sandbox.give_away();
    let output = world.sandbox.command(["purge", "--yes", "--json"]).unprivileged().run();
    assert_eq!(output.code, Some(4), "{output}");
    assert!(world.owned.iter().all(|file| file.exists()), "{output}");
}

#[test]
fn a_line_of_a_session_that_is_out_of_sight_is_covered_by_every_hold_on_projects() {
    let (sandbox, store) = deleting();
    let session = store.session(1).cwd("/work/court").aged(days(40)).write();
    store.history(Some(session.id()), "/work/elsewhere", days(40));
    sandbox.run(["hold", "add", "--project", "/work/court/**", "--reason", "case"]).exits(0);
    closed(session.transcript.parent().unwrap());
    sandbox.give_away();
    sandbox.command(["enforce", "--yes"]).unprivileged().run();
    assert_eq!(store.history_lines().len(), 1);
}

/// A transcript of which the first project lies behind more records without one than are read of its head, and the
/// last records name another.
fn with_a_large_head(store: &StoreBuilder) -> Session {
    let blob = json!({"type": "x", "text": "x".repeat(9 << 20)}).to_string();
    let of = |cwd: &str| {
        let record = json!({"type": "user", "timestamp": stamp(now() - days(10)), "cwd": cwd, "sessionId": id(1), "message": {}});
        record.to_string()
    };
    let session = store.session(1).cwd("/work/noise").head(&blob).head(&of("/work/acme"));
    (0..800).fold(session, |session, _| session.head(&of("/work/noise"))).aged(days(10)).write()
}

#[test]
fn no_rule_for_a_project_decides_where_the_first_one_was_not_read() {
    let (sandbox, store) = recent();
    let rules = |rest: &str| {
        format!(
            r#"{{"version": 1, {rest} "rules": [{{"name": "noise", "projects": ["/work/noise/**"], "deleteAfter": "1d"}},
                {{"name": "acme", "projects": ["/work/acme/**"], "deleteAfter": "20d"}}, {{"name": "rest", "deleteAfter": "30d"}}]}}"#
        )
    };
    sandbox.policy(&rules(""));
    let session = with_a_large_head(&store);
    store.history(Some(session.id()), "/work/noise", days(0));
    // By what was read and by what is remembered.
    for _ in 0..2 {
        sandbox.enforce().exits(0);
        assert!(session.is_there());
    }
    let output = sandbox.run(["explain", session.id()]);
    assert!(output.exits(0).stdout.contains("unknown: every project hold covers it"), "{output}");
    assert!(output.stdout.contains("/work/noise"), "{output}");
    let purge = sandbox.run(["purge", "-n", "--project", "/work/acme/**"]);
    assert!(purge.stdout.contains("it names no project"), "{purge}");
    // Encrypted, it is no better known.
    let recipient = identity(&sandbox);
    sandbox.policy(&rules(&format!("\"recipients\": [\"{recipient}\"],")));
    sandbox.run(["seal", session.id()]).exits(0);
    assert!(!session.is_there());
    let sealed = store.path("ccretain/sealed").join(session.id());
    sandbox.enforce().exits(0);
    assert!(sealed.exists());
    sandbox.command(["enforce", "--yes"]).at(now() + days(25)).run().exits(0);
    assert!(!sealed.exists(), "the rule for everything counts");
}

#[test]
fn every_hold_on_projects_covers_a_session_of_which_the_first_project_was_not_read() {
    let (sandbox, store) = recent();
    sandbox.delete_after("1d");
    let session = with_a_large_head(&store);
    let line = store.history(Some(session.id()), "/work/noise", days(10));
    sandbox.run(["hold", "add", "--project", "/work/acme/**", "--reason", "case"]).exits(0);
    for _ in 0..2 {
        sandbox.enforce().exits(0);
        assert!(session.is_there() && store.history_lines().contains(&line));
    }
    let purge = sandbox.run(["purge", "--yes", "--session", session.id()]);
    assert_eq!(purge.code, Some(4), "{purge}");
}
