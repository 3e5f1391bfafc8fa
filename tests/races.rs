//! The world moves on between the plan and the deed: what was swapped, changed or came to life is left alone, and nothing
//! outside a store is ever touched.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use serde_json::json;

use ccretain::internals::enforce::{Effect, Outcome, Outcomes, Skip, Tools, enforce};
use ccretain::internals::environment::{Environment, User};
use ccretain::internals::inventory::liveness::System;
use ccretain::internals::inventory::{self, Earlier, Inventory, Unremembered};
use ccretain::internals::ledger::{Clock, Ledger, Place, RunId};
use ccretain::internals::locate::{self, Request};
use ccretain::internals::plan::{Plan, plan};
use ccretain::internals::platform::Platform;
use ccretain::internals::policy::{self, Policy, load::Places};
use ccretain::internals::seal::{Plugins, Recipients};

use crate::common::store::put;
use crate::common::{Sandbox, StoreBuilder, days, id, now};

/// The library on a sandbox, a step at a time.
struct Bench<'a> {
    sandbox: &'a Sandbox,
    env: Environment,
    policy: Policy,
}

impl<'a> Bench<'a> {
    fn new(sandbox: &'a Sandbox) -> Self {
        let home = fs::canonicalize(sandbox.home()).unwrap();
        let uid = rustix::process::getuid().as_raw();
        let variables = BTreeMap::from([
            ("TMPDIR".into(), sandbox.tmp().into()),
            ("CLAUDE_CODE_TMPDIR".into(), sandbox.tmp().into()),
            ("CCRETAIN_STATE_DIR".into(), sandbox.state().into()),
            ("CCRETAIN_CONFIG_DIR".into(), sandbox.config().into()),
        ]);
        let env = Environment {
            platform: Platform::Linux,
            user: User { name: "tester".to_owned(), uid, home: home.clone(), real_home: home.clone() },
            variables,
            now: now(),
            built: DateTime::from_timestamp(0, 0).unwrap(),
            working_dir: home,
            is_wsl: false,
        };
        let policy = policy::of(&env, &Places::new(&env), None).unwrap();
        Self { sandbox, env, policy }
    }

    fn look(&self) -> (Inventory, Plan) {
        let located = locate::locate(&self.env, &Request::default());
        let inventory = inventory::take(
            located.stores,
            true,
            now(),
            &System::default(),
            Earlier { dates: &mut Unremembered, saw_transcript: &|_, _| false },
        );
        let plan = plan(&inventory, &self.policy, now());
        (inventory, plan)
    }

    fn enforce(&self, inventory: &Inventory, plan: &Plan) -> Outcomes {
        self.enforce_with(inventory, plan, None, &|_| {})
    }

    /// The same with someone to seal to, and something that happens whenever a session is a step further.
    fn enforce_with(
        &self,
        inventory: &Inventory,
        plan: &Plan,
        recipient: Option<&str>,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Outcomes {
        let recipients =
            recipient.map(|recipient| Recipients::parse([(recipient, Plugins::Refused)]).unwrap());
        let place = Place { dir: self.env.ledger_dir(), state_dir: self.env.state_dir(), is_of_all: false };
        let run = RunId(format!("run-{}", now().timestamp_nanos_opt().unwrap()));
        // A program that another test starts at this moment holds the lock with us until it runs.
        let mut ledger = (0..200)
            .find_map(|_| {
                let opened = Ledger::open(&place, &self.policy.ledger.value, &run, Clock::Proven, now());
                if opened.as_ref().is_err_and(ccretain::internals::ledger::LedgerError::is_locked) {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                    return None;
                }
                Some(opened.unwrap())
            })
            .expect("the ledger stays locked");
        let mut tools = Tools {
            recipients: recipients.as_ref(),
            ledger: &mut ledger,
            processes: &System::default(),
            progress,
            stop: &|| None,
            now: now(),
        };
        enforce(inventory, plan, &self.policy, &mut tools)
    }

    /// Plans, lets something happen, and carries the plan out.
    fn run(&self, meanwhile: impl FnOnce()) -> BTreeMap<PathBuf, Outcome> {
        let (inventory, plan) = self.look();
        assert!(!plan.changes_nothing());
        meanwhile();
        let outcomes = self.enforce(&inventory, &plan);
        assert!(outcomes.stopped.is_none());
        let root = fs::canonicalize(self.sandbox.home()).unwrap();
        inventory
            .artifacts
            .iter()
            .zip(outcomes.iter().map(Option::<&Outcome>::cloned))
            .filter_map(|(artifact, outcome)| {
                let path = inventory.full_path(artifact);
                Some((path.strip_prefix(&root).map(Path::to_owned).unwrap_or(path), outcome?))
            })
            .collect()
    }
}

fn old_session(store: &StoreBuilder, number: u32) -> crate::common::store::Session {
    let session = store.session(number).aged(days(40)).write();
    session.satellites();
    session
}

fn outcome<'o>(outcomes: &'o BTreeMap<PathBuf, Outcome>, end: &str) -> &'o Outcome {
    let found: Vec<_> =
        outcomes.iter().filter(|(path, _)| path.to_str().is_some_and(|p| p.ends_with(end))).collect();
    assert_eq!(found.len(), 1, "{end} in {outcomes:?}");
    found[0].1
}

#[test]
fn a_session_that_is_written_to_meanwhile_is_left_whole() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = old_session(&store, 1);
    store.history(Some(session.id()), "/work/acme", days(40));
    let before = sandbox.tree();
    let bench = Bench::new(&sandbox);
    let outcomes = bench.run(|| {
        let mut text = fs::read(&session.transcript).unwrap();
        text.extend_from_slice(b"{}\n");
        fs::write(&session.transcript, text).unwrap();
    });
    assert!(session.is_there());
    assert!(outcomes.values().all(|outcome| matches!(outcome, Outcome::Skipped(_))), "{outcomes:?}");
    assert_eq!(before.0.keys().collect::<Vec<_>>(), sandbox.tree().0.keys().collect::<Vec<_>>());
    // Its lines stay with it.
    assert_eq!(store.history_lines().len(), 1);
}

#[test]
fn a_file_of_the_same_size_and_time_but_another_inode_is_another_file() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = old_session(&store, 1);
    let bench = Bench::new(&sandbox);
    let (inventory, plan) = bench.look();
    let stat = fs::metadata(&session.transcript).unwrap();
    let copy = session.transcript.with_extension("copy");
    fs::copy(&session.transcript, &copy).unwrap();
    let times = fs::FileTimes::new().set_modified(stat.modified().unwrap());
    fs::File::options().append(true).open(&copy).unwrap().set_times(times).unwrap();
    fs::rename(&copy, &session.transcript).unwrap();
    bench.enforce(&inventory, &plan);
    assert!(session.is_there());
}

/// What is reported as deleted is gone: a name that was made meanwhile would keep the data.
#[test]
fn a_file_that_got_another_name_meanwhile_is_left() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = old_session(&store, 1);
    let output = session.side().join("tool-results/byvcankqz.txt");
    let kept = sandbox.home().join("kept.txt");
    let outcomes = Bench::new(&sandbox).run(|| fs::hard_link(&output, &kept).unwrap());
    assert_eq!(*outcome(&outcomes, "byvcankqz.txt"), Outcome::Skipped(Skip::ChangedSincePlan));
    assert!(session.is_there(), "{outcomes:?}");
}

#[test]
fn an_unfinished_file_that_got_another_name_meanwhile_is_left() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    old_session(&store, 1);
    let part = format!("ccretain/sealed/{}/.x.jsonl.zst.age.part", id(7));
    store.put(&part, "half", days(2));
    let kept = sandbox.home().join("kept.txt");
    let outcomes = Bench::new(&sandbox).run(|| fs::hard_link(store.path(&part), &kept).unwrap());
    assert_eq!(*outcome(&outcomes, ".part"), Outcome::Skipped(Skip::ChangedSincePlan));
    assert!(store.has(&part));
    // With both names seen beforehand it goes, and that its data remain is said.
    old_session(&store, 2);
    let outcomes = Bench::new(&sandbox).run(|| ());
    assert_eq!(*outcome(&outcomes, ".part"), Outcome::Done(Effect::DataRemains));
    assert!(!store.has(&part) && kept.exists());
}

/// The other name would keep the plaintext, of which the sealed form tells that it is gone.
#[test]
fn a_file_that_gets_another_name_while_it_is_sealed_is_not_sealed() {
    let sandbox = Sandbox::new();
    let recipient = crate::seal::identity(&sandbox);
    crate::seal::seals(&sandbox, &recipient, "");
    let session = sandbox.store().session(1).aged(days(5)).write();
    let kept = sandbox.home().join("kept.txt");
    let bench = Bench::new(&sandbox);
    let (inventory, plan) = bench.look();
    let link = |_| fs::hard_link(&session.transcript, &kept).unwrap_or_default();
    let outcomes = bench.enforce_with(&inventory, &plan, Some(&recipient), &link);
    assert!(kept.exists() && session.is_there());
    assert!(outcomes.iter().flatten().all(|outcome| *outcome == Outcome::Skipped(Skip::ChangedSincePlan)));
    assert!(crate::seal::sealed_files(&sandbox, &session).is_empty());
}

#[test]
fn a_change_of_permissions_alone_is_no_change() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = old_session(&store, 1);
    let bench = Bench::new(&sandbox);
    bench.run(|| fs::set_permissions(&session.transcript, fs::Permissions::from_mode(0o644)).unwrap());
    assert!(!session.is_there());
}

#[test]
fn what_has_vanished_meanwhile_hinders_nothing() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = old_session(&store, 1);
    let bench = Bench::new(&sandbox);
    let outcomes = bench.run(|| {
        fs::remove_file(store.path(format!("debug/{}.txt", session.id()))).unwrap();
        fs::remove_dir_all(session.side()).unwrap();
    });
    let vanished = Outcome::Skipped(Skip::Vanished);
    assert_eq!(*outcome(&outcomes, &format!("debug/{}.txt", session.id())), vanished);
    assert_eq!(*outcome(&outcomes, "byvcankqz.txt"), vanished);
    assert!(!session.is_there());
    assert_eq!(*outcome(&outcomes, &format!("{}.jsonl", session.id())), Outcome::Done(Effect::Deleted));
}

#[test]
fn a_client_that_starts_meanwhile_saves_its_session() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let [session, other] = [1, 2].map(|number| old_session(&store, number));
    store.history(Some(session.id()), "/work/acme", days(40));
    // There is no `sessions` folder until the client starts.
    assert!(!store.has("sessions"));
    let bench = Bench::new(&sandbox);
    let outcomes = bench.run(|| {
        store.pid_file(std::process::id(), session.id(), json!({}));
    });
    assert!(session.is_there() && !other.is_there());
    assert_eq!(
        *outcome(&outcomes, &format!("acme/{}.jsonl", session.id())),
        Outcome::Skipped(Skip::BecameLive)
    );
    assert_eq!(store.history_lines().len(), 1);
}

#[test]
fn a_folder_that_becomes_a_link_is_not_followed() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = old_session(&store, 1);
    let outside = sandbox.home().join("outside");
    // The very same files, by hard links, so that only the way to them differs.
    let side = session.side();
    let bench = Bench::new(&sandbox);
    let outcomes = bench.run(|| {
        fs::rename(&side, &outside).unwrap();
        symlink(&outside, &side).unwrap();
    });
    assert!(outside.join("tool-results/byvcankqz.txt").exists());
    assert!(session.is_there(), "{outcomes:?}");
    assert_eq!(*outcome(&outcomes, "byvcankqz.txt"), Outcome::Skipped(Skip::ChangedSincePlan));

    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = old_session(&store, 1);
    let outside = sandbox.home().join("outside");
    Bench::new(&sandbox).run(|| {
        fs::rename(store.path("projects"), &outside).unwrap();
        symlink(&outside, store.path("projects")).unwrap();
    });
    assert!(outside.join(&session.folder).join(format!("{}.jsonl", session.id())).exists());
}

#[test]
fn nothing_outside_is_touched_however_often_folders_become_links() {
    const PATHS: [&str; 3] = ["tool-results/a.txt", "subagents/agent-1.jsonl", "tool-results/b.txt"];
    let sandbox = Sandbox::new();
    sandbox.delete_after("immediately");
    let store = sandbox.store();
    // Outside lies a tree with the very names of the store's, and every file of it could be
    // taken for one of the store's by all but its way there.
    let outside = sandbox.root().join("outside");
    let inside = sandbox.root().join("inside");
    for tree in [&outside, &inside] {
        for number in 1..=4 {
            for path in PATHS {
                put(&tree.join(id(number)).join(path), "content", days(90));
            }
            put(&tree.join(format!("{}.jsonl", id(number))), "content", days(90));
        }
    }
    let count = |folder: &Path| {
        walkdir::WalkDir::new(folder).into_iter().flatten().filter(|e| e.file_type().is_file()).count()
    };
    let precious = count(&outside);
    let project = store.path("projects/-work-acme");
    let side = project.join(id(3));
    // One of the two folders is swapped at a time, or the test itself would reach outside.
    let (over, swapped, busy) = (AtomicBool::new(false), AtomicUsize::new(usize::MAX), AtomicUsize::new(0));
    let start = std::time::Instant::now();
    let mut deleted = 0;
    std::thread::scope(|scope| {
        for (at, (path, target)) in
            [(&project, outside.clone()), (&side, outside.join(id(3)))].into_iter().enumerate()
        {
            let (over, swapped, busy) = (&over, &swapped, &busy);
            let aside = store.root.join(format!("aside-{}", path.file_name().unwrap().display()));
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    busy.fetch_add(1, Ordering::SeqCst);
                    if swapped.load(Ordering::SeqCst) != at || fs::rename(path, &aside).is_err() {
                        busy.fetch_sub(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        continue;
                    }
                    let _ = symlink(&target, path);
                    std::thread::sleep(std::time::Duration::from_micros(50));
                    let _ = fs::remove_file(path);
                    let _ = fs::rename(&aside, path);
                    busy.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
        let bench = Bench::new(&sandbox);
        let mut rounds = || {
            for round in 0..400 {
                swapped.store(usize::MAX, Ordering::SeqCst);
                while busy.load(Ordering::SeqCst) > 0 {
                    std::thread::yield_now();
                }
                for left in fs::read_dir(&store.root).unwrap().flatten() {
                    if left.file_name().to_string_lossy().starts_with("aside-") {
                        let _ = fs::remove_dir_all(left.path());
                    }
                }
                // Whatever the swaps left of it goes, but never what a link leads to.
                match fs::symlink_metadata(&project) {
                    Ok(found) if found.is_symlink() => fs::remove_file(&project).unwrap(),
                    Ok(_) => fs::remove_dir_all(&project).unwrap(),
                    Err(_) => {}
                }
                fs::create_dir_all(store.path("projects")).unwrap();
                let copied =
                    std::process::Command::new("cp").arg("-a").args([&inside, &project]).status().unwrap();
                assert!(copied.success());
                let (inventory, plan) = bench.look();
                swapped.store(round % 2, Ordering::SeqCst);
                let outcomes = bench.enforce(&inventory, &plan);
                deleted += outcomes.iter().flatten().filter(|o| matches!(o, Outcome::Done(_))).count();
                if count(&outside) != precious || start.elapsed().as_secs() > 8 {
                    break;
                }
            }
        };
        // The threads have to end whatever happens here.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut rounds));
        over.store(true, Ordering::SeqCst);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    assert_eq!(count(&outside), precious);
    assert!(deleted > 0);
}

/// A walk has no more folders open than a small limit allows, however deep and wide a tree is.
#[test]
fn a_deep_tree_needs_few_descriptors() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = old_session(&store, 1);
    store.session(2).aged(days(1)).write();
    let mut path = store.path(format!("uploads/{}", session.id()));
    for level in 0..600 {
        // File systems list in either order, and either may be the one that keeps more open.
        let names = if level % 2 == 0 { ["a/b", "m", "z/b"] } else { ["m", "a/b", "z/b"] };
        for name in names {
            fs::create_dir_all(path.join(name)).unwrap();
        }
        path.push("m");
    }
    let output = sandbox
        .command(["enforce", "--yes", "--json"])
        .through(["sh", "-c", "ulimit -n 256; exec \"$@\"", "sh"])
        .run();
    output.exits(0).quietly();
    assert!(!session.is_there());
    assert!(!store.has(format!("uploads/{}", session.id())));
}

#[test]
fn no_session_is_orphaned_while_projects_lie_behind_a_link_that_leads_nowhere() {
    for (link, target) in [("projects", "/nowhere/projects"), ("projects/-mounted", "/nowhere/acme")] {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        if link == "projects" {
            fs::remove_dir(store.path("projects")).unwrap();
        }
        store.link(link, target);
        let satellite = store.put(format!("file-history/{}/0123abcd@v1", id(1)), "content", days(90));
        let output = sandbox.enforce_verbosely();
        assert!(satellite.exists(), "{link}: {output}");
        assert_eq!(output.item("0123abcd@v1")["reason"], "owner-unknown");
    }
}

#[test]
fn another_name_of_a_project_folder_hides_nothing() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(2).aged(days(1)).write();
    store.link("projects/-old-name", "-work-acme");
    store.link("projects/notes", "-work-acme/x");
    put(&store.path("projects/-work-acme/x"), "content", days(1));
    let satellite = store.put(format!("file-history/{}/0123abcd@v1", id(1)), "content", days(90));
    sandbox.enforce();
    assert!(!satellite.exists());
}

#[test]
fn no_session_is_orphaned_while_a_project_can_be_listed_but_not_looked_into() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = old_session(&store, 1);
    store.session(2).aged(days(1)).write();
    let project = session.transcript.parent().unwrap().to_owned();
    let satellite = store.path(format!("file-history/{}/0123abcd@v1", session.id()));
    sandbox.give_away();
    fs::set_permissions(&project, fs::Permissions::from_mode(0o400)).unwrap();
    let output = sandbox.command(["enforce", "--yes", "--json"]).unprivileged().run();
    fs::set_permissions(&project, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(session.is_there());
    assert!(satellite.exists(), "{output}");
    output.exits(1);
}

#[test]
fn a_store_that_was_not_named_keeps_its_part_of_a_session() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = old_session(&store, 1);
    let temp = session.temp().join("tasks/b1.output");
    sandbox.run(["enforce", "--yes", "--json", "--store", store.root.to_str().unwrap()]).exits(0);
    assert!(!session.is_there());
    assert!(temp.exists());
}

#[test]
fn a_lock_that_a_killed_run_left_is_taken_over_and_no_other() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = old_session(&store, 1);
    store.history(Some(session.id()), "/work/acme", days(40));
    let lock = store.path("history.jsonl.lock");
    fs::create_dir(&lock).unwrap();
    let ours =
        std::time::UNIX_EPOCH + std::time::Duration::new(Utc::now().timestamp() as u64 - 60, 271_828_183);
    let open = fs::File::open(&lock).unwrap();
    open.set_times(fs::FileTimes::new().set_modified(ours + std::time::Duration::from_nanos(1))).unwrap();
    sandbox.enforce().exits(1);
    assert!(lock.exists());
    assert_eq!(store.history_lines().len(), 1);
    open.set_times(fs::FileTimes::new().set_modified(ours)).unwrap();
    sandbox.enforce().exits(0);
    assert!(!lock.exists() && !store.has(".history.jsonl.lock.part"));
    assert!(store.history_lines().is_empty());
    // Killed after the file had its new content: there is nothing to cut any more.
    store.history(None, "/work/acme", days(1));
    for left in [lock.clone(), store.path(".history.jsonl.lock.part")] {
        fs::create_dir(&left).unwrap();
        fs::File::open(&left).unwrap().set_times(fs::FileTimes::new().set_modified(ours)).unwrap();
    }
    sandbox.run(["enforce", "--dry-run"]).exits(0);
    assert!(lock.exists());
    sandbox.enforce().exits(0);
    assert!(!lock.exists() && !store.has(".history.jsonl.lock.part"));
    // Somebody else's stays, and stops nothing.
    fs::create_dir(&lock).unwrap();
    sandbox.enforce().exits(0);
    assert!(lock.exists());
    assert_eq!(store.history_lines().len(), 1);
}

/// Killed at any moment, a run leaves what the next one finishes: the store settles, the ledger verifies, and nothing is lost
/// that was to be kept.
#[test]
fn a_run_may_be_killed_at_any_moment() {
    let sandbox = Sandbox::new();
    sandbox.policy(r#"{"version": 1, "rules": [{"deleteAfter": "30d"}], "guard": "off"}"#);
    let store = sandbox.store();
    let young = store.session(900).aged(days(1)).write();
    let satellites = young.satellites();
    store.history(Some(young.id()), "/work/acme", days(1));
    let kept = store.history_lines();
    let text = fs::read(&young.transcript).unwrap();
    let mut longest = std::time::Duration::from_millis(40);
    let mut killed = 0;
    for round in 0u32..200 {
        for number in 1..=6 {
            old_session(&store, number);
            store.history(Some(&id(number)), "/work/acme", days(40));
        }
        let mut child = sandbox
            .command(["enforce", "--yes"])
            .command()
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let start = std::time::Instant::now();
        let wait = longest.mul_f64(f64::from(round * 37 % 110) / 110.0);
        std::thread::sleep(wait);
        if child.try_wait().unwrap().is_none() {
            killed += 1;
            let _ = child.kill();
        } else {
            longest = longest.mul_f64(0.9).max(start.elapsed().mul_f64(0.9).min(longest));
        }
        child.wait().unwrap();
        if round % 10 == 9 {
            let output = sandbox.enforce();
            output.exits(0);
            let lines = store.history_lines();
            assert_eq!(lines, kept, "{output}");
            let left = walkdir::WalkDir::new(store.path("projects")).into_iter().flatten();
            let transcripts = left.filter(|entry| entry.path().extension().is_some_and(|e| e == "jsonl"));
            assert_eq!(transcripts.filter(|entry| entry.depth() == 2).count(), 1, "{output}");
            assert!(!store.has("history.jsonl.lock") && !store.has(".history.jsonl.part"));
        }
        assert_eq!(fs::read(&young.transcript).unwrap(), text);
        assert!(satellites.iter().all(|path| path.exists()));
        assert!(kept.iter().all(|line| store.history_lines().contains(line)), "round {round}");
    }
    assert!(killed >= 50, "only {killed} of the runs were killed");
    eprintln!("{killed} of 200 runs were killed");
    let last = sandbox.enforce();
    last.exits(0);
    assert_eq!(last.summary("deleted"), 0);
    let place = Place { dir: sandbox.state(), state_dir: sandbox.state(), is_of_all: false };
    let verified = ccretain::internals::ledger::verify(
        &place.dir,
        &ccretain::internals::ledger::Expected { head: None, keep: None, now: Utc::now() },
    )
    .unwrap();
    assert!(verified.is_sound() && verified.records > 0, "{verified:?}");
}
