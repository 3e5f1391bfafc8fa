//! Sealing and bringing back, on the command line: what goes, what comes back, what is refused.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::common::judges::{Judge, judges};
use crate::common::sandbox::{files_below, has, has_namespaces};
use crate::common::store::{CONTENT, Session, age, put};
use crate::common::{Sandbox, Tree, days, hours, id, skip};

/// Makes the user's identity; its recipient.
pub fn identity(sandbox: &Sandbox) -> String {
    let output = sandbox.run(["key", "new"]);
    output.exits(0).quietly();
    output.stdout.trim().to_owned()
}

/// A policy that seals to a recipient.
pub fn seals(sandbox: &Sandbox, recipient: &str, rest: &str) {
    sandbox.policy(&format!(
        r#"{{"version": 1, "recipients": ["{recipient}"], {rest}
            "rules": [{{"name": "all", "sealAfter": "1d", "deleteAfter": "30d"}}]}}"#
    ));
}

/// The sealed folder of a session.
pub fn sealed(sandbox: &Sandbox, session: &Session) -> PathBuf {
    sandbox.home().join(".claude/ccretain/sealed").join(session.id())
}

/// Every sealed file of a session.
pub fn sealed_files(sandbox: &Sandbox, session: &Session) -> Vec<PathBuf> {
    let mut files = files_below(&[sealed(sandbox, session)]);
    files.retain(|path| path.extension() == Some(OsStr::new("age")));
    files.sort();
    files
}

/// The trees without our own folder, with times.
fn plain(sandbox: &Sandbox) -> (Tree, Tree) {
    let strip = |mut tree: Tree| {
        tree.0.retain(|path, _| !path.starts_with(".claude/ccretain"));
        // Folders may be made anew: their own times are of no account, and empty ones may go.
        tree.0.retain(|_, what| !what.starts_with("folder"));
        tree
    };
    (strip(Tree::with_times(&sandbox.home())), strip(Tree::with_times(&sandbox.tmp())))
}

fn record(sandbox: &Sandbox, session: &Session) -> Value {
    let text = fs::read_to_string(sealed(sandbox, session).join("session.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn shell(script: &str, arguments: &[&Path]) -> Vec<u8> {
    let output = Command::new("sh").args(["-e", "-c", script, "sh"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn a_session_comes_back_bit_for_bit() {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    let session = sandbox.store().session(1).aged(days(5)).write();
    session.satellites();
    session.side_file("tool-results/empty.txt", "");
    let odd = session.temp().join("scratchpad").join(OsStr::from_bytes(b"no-\xff-text"));
    put(&odd, "x", days(5));
    fs::set_permissions(&odd, fs::Permissions::from_mode(0o751)).unwrap();
    let large: Vec<u8> =
        (0u32..3 << 20).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
    let large = session.side_file("tool-results/large.bin", large);
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_795_000_000 - 30 * 86_400, 123_456_789);
    fs::File::options().write(true).open(&large).unwrap().set_modified(time).unwrap();
    let before = plain(&sandbox);
    let output = sandbox.enforce();
    output.exits(0).quietly();
    assert_eq!(output.summary("sessionsSealed"), 1);
    assert!(!session.is_there() && !odd.exists() && !session.temp().exists());
    assert!(sealed_files(&sandbox, &session).len() >= 15);
    for path in sealed_files(&sandbox, &session) {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600, "{}", path.display());
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o7777, 0o700);
    }
    fs::remove_dir_all(sandbox.client_tmp()).unwrap();
    let output = sandbox.run(["unseal", session.id(), "--json"]);
    output.exits(0).quietly();
    assert_eq!(output.json()["schema"], "ccretain.unseal/1");
    assert_eq!(output.json()["sessions"][0]["outcome"], "unsealed");
    let after = plain(&sandbox);
    before.0.is_unchanged(&after.0);
    before.1.is_unchanged(&after.1);
    assert!(!sealed(&sandbox, &session).exists(), "something of it stayed sealed");
    output.never_says(CONTENT);
    let ledger = fs::read_to_string(sandbox.ledger()).unwrap();
    assert!(!ledger.contains(CONTENT));
    // It counts as touched now: nothing is sealed again at once.
    let again = sandbox.enforce();
    again.exits(0).quietly();
    assert_eq!(again.summary("sessionsSealed"), 0);
    // And it was unsealed without being touched, so it is still deleted when its time comes.
    let state: Value =
        serde_json::from_str(&fs::read_to_string(sandbox.state().join("state.json")).unwrap()).unwrap();
    assert_eq!(state["unsealed"][0]["session"], session.id());
}

#[test]
fn stock_tools_open_what_is_sealed_and_theirs_is_opened() {
    if !has("zstd") {
        return skip("needs zstd");
    }
    for Judge { name, program, .. } in judges() {
        println!("{name}");
        let sandbox = Sandbox::new();
        let recipient = identity(&sandbox);
        seals(&sandbox, &recipient, "");
        let session = sandbox.store().session(1).aged(days(5)).write();
        let bytes = fs::read(&session.transcript).unwrap();
        sandbox.enforce().exits(0);
        let file = sealed_files(&sandbox, &session).remove(0);
        let key = sandbox.config().join("identity.age");
        let opened = shell(r#""$1" -d -i "$2" "$3" | zstd -dcq"#, &[&program, &key, &file]);
        assert_eq!(opened, bytes);
        // The same file sealed by others, its record brought up to date: it opens, and is not known.
        let plain = sandbox.root().join("plain");
        fs::write(&plain, &bytes).unwrap();
        let script = format!(r#"zstd -19 -qc "$2" | "$1" -r {recipient} >"$3""#);
        shell(&script, &[&program, &plain, &file]);
        let digest = shell(r#"sha256sum "$1" | cut -c1-64"#, &[&file]);
        let mut record = record(&sandbox, &session);
        record["files"][0]["sha256"] = String::from_utf8(digest).unwrap().trim().into();
        record["files"][0]["sealedSize"] = fs::metadata(&file).unwrap().len().into();
        fs::write(sealed(&sandbox, &session).join("session.json"), record.to_string()).unwrap();
        let cat = sandbox.run(["cat", session.id()]);
        cat.exits(0).says("does not know");
        assert_eq!(cat.stdout.as_bytes(), bytes);
        sandbox.run(["unseal", session.id()]).exits(0).says("does not know");
        assert_eq!(fs::read(&session.transcript).unwrap(), bytes);
    }
}

#[test]
fn keys_of_stock_tools_are_recipients_and_identities() {
    if !has("zstd") {
        return skip("needs zstd");
    }
    for Judge { name, program, keygen } in judges() {
        println!("{name}");
        let sandbox = Sandbox::new();
        let key = sandbox.root().join("key");
        // Made by them, and read by no one else, as their own manual has it.
        shell(r#"umask 077; "$1" -o "$2" 2>/dev/null"#, &[&keygen, &key]);
        let recipient = String::from_utf8(shell(r#""$1" -y "$2""#, &[&keygen, &key])).unwrap();
        seals(&sandbox, recipient.trim(), "");
        let session = sandbox.store().session(1).aged(days(5)).write();
        session.satellites();
        let (bytes, before) = (fs::read(&session.transcript).unwrap(), plain(&sandbox));
        assert_eq!(sandbox.enforce().exits(0).quietly().summary("sessionsSealed"), 1);
        for file in sealed_files(&sandbox, &session) {
            shell(r#""$1" -d -i "$2" "$3" | zstd -tq"#, &[&program, &key, &file]);
        }
        let cat = sandbox.command(["cat", session.id(), "--identity"]).arg(&key).run();
        assert_eq!(cat.exits(0).quietly().stdout.as_bytes(), bytes);
        // The own identity is another one.
        identity(&sandbox);
        sandbox.run(["unseal", session.id()]).exits(1).says("none of the identities");
        sandbox.command(["unseal", session.id(), "--identity"]).arg(&key).run().exits(0).quietly();
        let after = plain(&sandbox);
        before.0.is_unchanged(&after.0);
        before.1.is_unchanged(&after.1);
    }
}

#[test]
fn cat_touches_nothing_and_shows_plain_and_sealed_alike() {
    let sandbox = Sandbox::new();
    identity(&sandbox);
    let session = sandbox.store().session(1).aged(days(5)).write();
    session.satellites();
    let bytes = fs::read_to_string(&session.transcript).unwrap();
    assert_eq!(sandbox.run(["cat", &session.id()[..8]]).exits(0).quietly().stdout, bytes);
    sandbox.run(["seal", session.id()]).exits(0);
    let before = Tree::with_times(&sandbox.home());
    let output = sandbox.run(["cat", session.id()]);
    output.exits(0).quietly();
    assert_eq!(output.stdout, bytes);
    before.is_unchanged(&Tree::with_times(&sandbox.home()));
}

/// One session sealed by the command line; another identity lies beside the first.
fn one_sealed(sandbox: &Sandbox) -> Session {
    identity(sandbox);
    let session = sandbox.store().session(1).aged(days(5)).write();
    session.satellites();
    sandbox.run(["seal", session.id()]).exits(0).quietly();
    assert!(!session.is_there());
    session
}

#[track_caller]
fn refuses_and_changes_nothing(sandbox: &Sandbox, session: &Session, code: i32, says: &str) {
    // The time of the lock says since when a run holds it.
    let home = || {
        let mut tree = Tree::with_times(&sandbox.home());
        tree.0.remove(Path::new(".claude/ccretain/lock"));
        tree
    };
    let before = (home(), Tree::with_times(&sandbox.tmp()));
    let output = sandbox.run(["unseal", session.id()]);
    output.exits(code).says(says).never_says(CONTENT);
    before.0.is_unchanged(&home());
    before.1.is_unchanged(&Tree::with_times(&sandbox.tmp()));
}

#[test]
fn a_wrong_key_or_none_changes_nothing() {
    let sandbox = Sandbox::new();
    let session = one_sealed(&sandbox);
    let key = sandbox.config().join("identity.age");
    let own = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    refuses_and_changes_nothing(&sandbox, &session, 2, "--identity");
    identity(&sandbox);
    refuses_and_changes_nothing(&sandbox, &session, 1, "none of the identities opens it");
    sandbox.run(["cat", session.id()]).exits(1).says("none of the identities");
    let saved = sandbox.root().join("saved.txt");
    fs::write(&saved, own).unwrap();
    fs::set_permissions(&saved, fs::Permissions::from_mode(0o600)).unwrap();
    sandbox.command(["unseal", session.id(), "--identity"]).arg(&saved).run().exits(0).quietly();
    assert!(session.is_there());
}

#[test]
fn what_was_damaged_changes_nothing() {
    type Damage = fn(&[PathBuf]);
    let damages: [(&str, Damage, &str); 5] = [
        (
            "tampered",
            |files| {
                let mut bytes = fs::read(&files[0]).unwrap();
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                fs::write(&files[0], bytes).unwrap();
            },
            "is not the file that was sealed",
        ),
        (
            "truncated",
            |files| {
                let bytes = fs::read(&files[0]).unwrap();
                fs::write(&files[0], &bytes[..bytes.len() - 20]).unwrap();
            },
            "is not the file that was sealed",
        ),
        ("emptied", |files| fs::write(&files[0], "").unwrap(), "is not the file that was sealed"),
        (
            "swapped",
            |files| {
                let (one, two) = (fs::read(&files[0]).unwrap(), fs::read(&files[1]).unwrap());
                fs::write(&files[0], two).unwrap();
                fs::write(&files[1], one).unwrap();
            },
            "",
        ),
        (
            "a link",
            |files| {
                let moved = files[0].with_extension("moved");
                fs::rename(&files[0], &moved).unwrap();
                std::os::unix::fs::symlink(&moved, &files[0]).unwrap();
            },
            "",
        ),
    ];
    for (what, damage, says) in damages {
        let sandbox = Sandbox::new();
        let session = one_sealed(&sandbox);
        damage(&sealed_files(&sandbox, &session));
        println!("{what}");
        refuses_and_changes_nothing(&sandbox, &session, 1, says);
    }
}

#[test]
fn a_forged_record_restores_nothing_elsewhere() {
    let places = [
        ("settings.json", None),
        ("projects/-work-acme/memory/MEMORY.md", None),
        ("x", Some("/etc/claude-0")),
    ];
    for (path, temp) in places {
        let sandbox = Sandbox::new();
        let session = one_sealed(&sandbox);
        let mut record = record(&sandbox, &session);
        let files = record["files"].as_array_mut().unwrap();
        let entry = files.iter_mut().find(|file| file["kind"] == "transcript").unwrap();
        entry["path"] = path.into();
        fs::create_dir(sandbox.root().join("elsewhere")).unwrap();
        if let Some(temp) = temp {
            entry["temp"] = sandbox.root().join(temp).join("P").join(id(1)).to_str().into();
        }
        fs::write(sealed(&sandbox, &session).join("session.json"), record.to_string()).unwrap();
        refuses_and_changes_nothing(&sandbox, &session, 1, "is not a place");
        assert!(fs::read_dir(sandbox.root().join("elsewhere")).unwrap().next().is_none());
    }
}

#[test]
fn nothing_is_overwritten() {
    let sandbox = Sandbox::new();
    let session = one_sealed(&sandbox);
    for content in ["something else", ""] {
        put(&session.transcript, content, days(1));
        refuses_and_changes_nothing(&sandbox, &session, 4, "is in the way: it is newer than what was sealed");
    }
    // What is there already, as after an interrupted run, is no obstacle.
    let bytes = sandbox.run(["cat", session.id(), "--identity"]);
    bytes.exits(2);
    fs::remove_file(&session.transcript).unwrap();
    let bytes = sandbox.run(["cat", session.id()]).stdout;
    put(&session.transcript, bytes.replace("assistant", "Assistant"), days(90));
    refuses_and_changes_nothing(&sandbox, &session, 4, "is in the way: it is not what was sealed");
    put(&session.transcript, &bytes, days(5));
    sandbox.run(["unseal", session.id()]).exits(0).quietly();
    assert_eq!(fs::read_to_string(&session.transcript).unwrap(), bytes);
}

#[test]
fn a_hold_stops_sealing_and_unsealing_but_neither_cat_nor_rekey() {
    let hold = r#""holds": [{"name": "case-14", "projects": ["/work/acme/**"], "reason": "litigation"}],"#;
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    let session = sandbox.store().session(1).aged(days(5)).write();
    seals(&sandbox, &recipient, hold);
    assert_eq!(sandbox.enforce().exits(0).summary("sessionsSealed"), 0);
    sandbox.run(["seal", session.id()]).exits(4).says("case-14");
    sandbox.run(["seal", "--idle", "1d"]).exits(0);
    assert!(session.is_there());
    seals(&sandbox, &recipient, "");
    sandbox.enforce().exits(0);
    assert!(!session.is_there());
    seals(&sandbox, &recipient, hold);
    sandbox.run(["unseal", session.id()]).exits(4).says("case-14");
    sandbox.run(["resume", session.id()]).exits(4).says("case-14");
    sandbox.run(["cat", session.id()]).exits(0).quietly();
    let before = fs::read(&sealed_files(&sandbox, &session)[0]).unwrap();
    sandbox.run(["rekey", "--all"]).exits(0).quietly();
    assert_ne!(fs::read(&sealed_files(&sandbox, &session)[0]).unwrap(), before);
    sandbox.run(["cat", session.id()]).exits(0).quietly();
    assert!(!session.is_there());
}

#[test]
fn sealed_sessions_keep_their_date_rules_and_holds() {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    let old = sandbox.store().session(1).aged(days(20)).cwd("/work/acme/x").write();
    let other = sandbox.store().session(2).aged(days(20)).cwd("/work/other").write();
    old.satellites();
    seals(&sandbox, &recipient, "");
    assert_eq!(sandbox.enforce().exits(0).summary("sessionsSealed"), 2);
    let item = sandbox.dry_run().item(&format!("-work-other/{}.jsonl.zst.age", other.id()));
    assert_eq!(item["kind"], "transcript");
    assert_eq!(item["reason"], "not-due");
    sandbox.policy(&format!(
        r#"{{"version": 1, "recipients": ["{recipient}"],
            "holds": [{{"name": "h", "projects": ["/work/acme/**"], "reason": "r"}}],
            "rules": [{{"name": "all", "sealAfter": "1d", "deleteAfter": "19d"}}]}}"#
    ));
    sandbox.enforce().exits(0).quietly();
    assert!(sealed(&sandbox, &old).exists() && !sealed(&sandbox, &other).exists());
    sandbox.delete_after("19d");
    assert_eq!(sandbox.enforce().exits(0).summary("sessionsDeleted"), 1);
    assert!(!sealed(&sandbox, &old).exists());
}

#[test]
fn what_the_client_would_delete_at_once_needs_a_word() {
    let sandbox = Sandbox::new();
    identity(&sandbox);
    sandbox.policy(r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "90d"}]}"#);
    let session = sandbox.store().session(1).aged(days(40)).write();
    sandbox.run(["seal", session.id()]).exits(0).quietly();
    refuses_and_changes_nothing(&sandbox, &session, 4, "--touch");
    sandbox.run(["unseal", session.id(), "--touch"]).exits(0).quietly();
    let age = fs::metadata(&session.transcript).unwrap().modified().unwrap().elapsed().unwrap();
    assert!(age.as_secs() < 300);
    // Its true age still counts for deletion.
    assert_eq!(sandbox.dry_run().items(".jsonl")[0]["decision"], "keep");
    let sandbox = Sandbox::new();
    identity(&sandbox);
    sandbox.policy(r#"{"version": 1, "rules": [{"name": "all", "deleteAfter": "90d"}]}"#);
    sandbox.write(".claude/settings.json", r#"{"cleanupPeriodDays": 99999}"#);
    let session = sandbox.store().session(1).aged(days(40)).write();
    sandbox.run(["seal", session.id()]).exits(0).quietly();
    sandbox.run(["unseal", session.id()]).exits(0).quietly();
    age_of(&session.transcript, 40);
    sandbox.run(["unseal", session.id(), "--keep-date", "--touch"]).exits(2);
}

#[track_caller]
fn age_of(path: &Path, days: u64) {
    let age = fs::metadata(path).unwrap().modified().unwrap().elapsed().unwrap().as_secs();
    assert_eq!(age / 86_400, days, "the age of {}", path.display());
}

#[test]
fn a_touch_never_restarts_the_period_of_a_session_without_dates() {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, r#""quiet": "1h","#);
    let session = sandbox.store().session(1).undated().aged(days(20)).write();
    sandbox.enforce().exits(0);
    assert!(!session.is_there());
    sandbox.run(["unseal", session.id(), "--touch"]).exits(0).quietly();
    if !has("faketime") {
        return skip("needs faketime");
    }
    let later = crate::common::now() + days(2);
    let sealing = sandbox.command(["enforce", "--yes", "--json"]).at(later).run();
    assert_eq!(sealing.exits(0).summary("sessionsSealed"), 1, "{sealing}");
    let due = crate::common::now() + days(11);
    let deleting = sandbox.command(["enforce", "--yes", "--json"]).at(due).run();
    assert_eq!(deleting.exits(0).summary("sessionsDeleted"), 1, "{deleting}");
}

#[test]
fn a_session_is_named_by_a_prefix_and_its_store() {
    let sandbox = Sandbox::new();
    identity(&sandbox);
    let session = sandbox.store().session(1).aged(days(5)).write();
    let elsewhere = sandbox.home().join("other");
    let second = crate::common::StoreBuilder::new(elsewhere.clone(), sandbox.client_tmp());
    second.session(1).aged(days(5)).write();
    second.session(2).aged(days(5)).write();
    let run = |arguments: &[&str]| sandbox.command(arguments).env("CLAUDE_CONFIG_DIR", &elsewhere).run();
    run(&["cat", session.id()]).exits(2).says("--store").says("[HOME]/other").says("[HOME]/.claude");
    run(&["cat", session.id(), "--store", elsewhere.to_str().unwrap()]).exits(0).quietly();
    run(&["cat", "0123456"]).exits(2);
    run(&["cat", "ffffffff-0000"]).exits(2).says("no session");
    run(&["cat", "../../etc/passwd"]).exits(2);
}

#[test]
fn a_name_without_room_for_an_ending_keeps_its_session_plain_and_says_what_to_do() {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    let session = sandbox.store().session(1).aged(days(5)).write();
    let long = session.side_file(&format!("tool-results/{}.txt", "n".repeat(240)), CONTENT);
    let fits = session.side_file(&format!("tool-results/{}.txt", "m".repeat(237)), CONTENT);
    let other = sandbox.store().session(2).aged(days(5)).write();
    for _ in 0..2 {
        let output = sandbox.enforce();
        output.exits(0).quietly();
        assert_eq!((output.summary("unsealable"), output.summary("failed")), (1, 0));
    }
    assert!(session.is_there() && long.exists() && fits.exists() && !other.is_there());
    assert!(sealed_files(&sandbox, &session).is_empty());
    assert!(!sealed(&sandbox, &session).exists(), "nothing was begun");
    sandbox.run(["explain", session.id()]).exits(0).says("has too long a name");
    sandbox.run(["seal", session.id()]).exits(4).says("unsealable");
    fs::remove_file(&long).unwrap();
    assert_eq!(sandbox.enforce().exits(0).quietly().summary("sessionsSealed"), 1);
    assert!(!session.is_there() && !fits.exists());
    sandbox.run(["unseal", session.id()]).exits(0).quietly();
    assert!(session.is_there() && fits.exists());
}

#[test]
fn without_a_recipient_the_own_identity_is_used_and_without_both_nothing_happens() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(days(5)).write();
    let before = Tree::with_times(&sandbox.home());
    sandbox.run(["seal", session.id()]).exits(2).says("ccretain key new");
    before.is_unchanged(&Tree::with_times(&sandbox.home()));
    identity(&sandbox);
    sandbox.store().session(7).aged(days(1)).write();
    // Nobody runs it again in a day.
    sandbox.run(["seal", "--idle", "30d"]).exits(0).never_says("next ");
    let output = sandbox.run(["seal", "--idle", "2d", "--json"]);
    output.exits(0).quietly();
    assert_eq!(output.json()["schema"], "ccretain.seal/1");
    let sessions = output.json()["sessions"].clone();
    let of =
        |id: &str| sessions.as_array().unwrap().iter().find(|one| one["session"] == id).cloned().unwrap();
    assert_eq!(of(session.id())["outcome"], "sealed");
    sandbox.run(["seal", session.id()]).exits(0).says("already-sealed");
    sandbox.run(["seal"]).exits(2);
    sandbox.run(["seal", session.id(), "--idle", "1d"]).exits(2);
}

#[test]
fn agents_of_old_clients_beside_the_transcripts_are_sealed_with_their_session() {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    let session = sandbox.store().session(1).aged(days(5)).write();
    let record = fs::read(&session.transcript).unwrap();
    // Names as 2.1.1 and 2.0.30 write them.
    let agents = ["agent-a047adc.jsonl", "agent-5d912abf.jsonl"].map(|name| {
        let path = session.transcript.with_file_name(name);
        put(&path, &record, days(5));
        path
    });
    sandbox.enforce().exits(0);
    assert!(!session.transcript.exists());
    for agent in &agents {
        assert!(!agent.exists(), "{} is in plaintext", agent.display());
    }
}

#[test]
fn live_and_young_sessions_are_not_sealed() {
    let sandbox = Sandbox::new();
    identity(&sandbox);
    let store = sandbox.store();
    let live = store.session(1).aged(days(5)).write();
    store.pid_file(std::process::id(), live.id(), serde_json::json!({}));
    let quiet = store.session(2).aged(days(5)).files_aged(hours(0)).write();
    let young = store.session(3).aged(days(1)).write();
    sandbox.run(["seal", live.id()]).exits(4).says("open");
    sandbox.run(["seal", quiet.id()]).exits(4).says("quiet");
    sandbox.run(["seal", "--idle", "2d"]).exits(0);
    assert!(live.is_there() && quiet.is_there() && young.is_there());
    sandbox.run(["seal", young.id()]).exits(0);
    assert!(!young.is_there());
}

#[test]
fn a_second_sealing_of_the_same_name_loses_neither() {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    let session = sandbox.store().session(1).aged(days(5)).write();
    sandbox.enforce().exits(0).quietly();
    // It comes back, from a backup say, and longer.
    let again = sandbox.store().session(1).aged(days(4)).head(r#"{"type":"summary"}"#).write();
    let bytes = fs::read_to_string(&again.transcript).unwrap();
    assert_eq!(sandbox.enforce().exits(0).quietly().summary("sessionsSealed"), 1);
    assert_eq!(sealed_files(&sandbox, &session).len(), 2);
    sandbox.enforce().exits(0).quietly();
    assert_eq!(sandbox.run(["cat", session.id()]).exits(0).stdout, bytes);
    sandbox.run(["unseal", session.id()]).exits(0).says("1 older sealed file").says("stays sealed");
    assert_eq!(fs::read_to_string(&session.transcript).unwrap(), bytes);
    assert_eq!(sealed_files(&sandbox, &session).len(), 1);
    sandbox.enforce().exits(0).quietly();
}

#[test]
fn rekey_opens_to_today_s_recipients() {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    let sessions: Vec<Session> =
        (1..4).map(|number| sandbox.store().session(number).aged(days(5)).write()).collect();
    sessions[0].satellites();
    let before = plain(&sandbox);
    sandbox.enforce().exits(0);
    let old = sandbox.root().join("old.age");
    fs::rename(sandbox.config().join("identity.age"), &old).unwrap();
    let new = identity(&sandbox);
    seals(&sandbox, &new, "");
    sandbox.run(["rekey"]).exits(1).says("none of the identities");
    let output = sandbox.command(["rekey", "--json", "--identity"]).arg(&old).run();
    output.exits(0).quietly();
    assert_eq!(output.json()["schema"], "ccretain.rekey/1");
    assert_eq!(output.json()["sessions"].as_array().unwrap().len(), 3);
    let again = sandbox.run(["rekey", "--json"]);
    assert_eq!(again.exits(0).json()["sessions"][0]["outcome"], "already");
    for session in &sessions {
        sandbox.command(["cat", session.id(), "--identity"]).arg(&old).run().exits(1);
        sandbox.run(["unseal", session.id()]).exits(0).quietly();
    }
    let after = plain(&sandbox);
    before.0.is_unchanged(&after.0);
    before.1.is_unchanged(&after.1);
}

/// A program that stands for the client, first in `PATH`.
pub fn client(sandbox: &Sandbox, script: &str) -> String {
    let folder = sandbox.root().join("bin");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("claude"), format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(folder.join("claude"), fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/bin:/bin", folder.display())
}

#[test]
fn resume_keeps_the_sealed_copy_until_the_client_ended_well() {
    let sandbox = Sandbox::new();
    identity(&sandbox);
    let project = sandbox.root().join("project");
    fs::create_dir(&project).unwrap();
    let session = sandbox.store().session(1).aged(days(50)).cwd(project.to_str().unwrap()).write();
    sandbox.run(["seal", session.id()]).exits(0);
    let path = client(&sandbox, r#"pwd; echo "$@"; exit "${CODE:-0}""#);
    sandbox.command(["resume", session.id()]).env("PATH", "/nowhere").run().exits(2).says("PATH");
    assert!(!session.is_there());
    // As a shell does, what cannot be run is passed by.
    let first = sandbox.root().join("first");
    fs::create_dir(&first).unwrap();
    fs::write(first.join("claude"), "no program").unwrap();
    let path = format!("{}:{path}", first.display());
    let resume = |code: &str| {
        let run = sandbox.command(["resume", session.id(), "--", "-p", "more"]);
        run.env("PATH", &path).env("CODE", code).run()
    };
    let output = resume("7");
    output.exits(7).says("[ROOT]/project").says(&format!("--resume {} -p more", session.id()));
    assert!(session.is_there() && sealed(&sandbox, &session).exists());
    let age = fs::metadata(&session.transcript).unwrap().modified().unwrap().elapsed().unwrap();
    assert!(age.as_secs() < 300);
    resume("0").exits(0).quietly();
    assert!(session.is_there() && !sealed(&sandbox, &session).exists());
    resume("0").exits(0).quietly();
}

#[test]
fn what_an_interrupted_unsealing_left_is_settled_by_the_next_and_by_resume() {
    let sandbox = Sandbox::new();
    identity(&sandbox);
    let project = sandbox.root().join("project");
    fs::create_dir(&project).unwrap();
    let session = sandbox.store().session(1).aged(days(5)).cwd(project.to_str().unwrap()).write();
    session.side_file("tool-results/b1.txt", "x");
    sandbox.run(["seal", session.id()]).exits(0);
    let folder = sealed(&sandbox, &session);
    let record = fs::read(folder.join("session.json")).unwrap();
    sandbox.run(["unseal", session.id()]).exits(0);
    assert!(session.is_there() && !folder.exists());
    // As a run leaves it that is killed between the last sealed file and the record.
    let interrupt = || {
        fs::create_dir_all(folder.join("projects/empty")).unwrap();
        fs::write(folder.join("session.json"), &record).unwrap();
        fs::write(folder.join("projects/.a.zst.age.part"), "half").unwrap();
    };
    // Nothing is opened, so no key is needed.
    fs::remove_file(sandbox.config().join("identity.age")).unwrap();
    interrupt();
    sandbox.run(["hold", "add", "--session", session.id(), "--reason", "case", "--name", "h"]).exits(0);
    sandbox.run(["unseal", session.id()]).exits(4).says("held by 'h'");
    assert!(folder.join("session.json").exists());
    sandbox.run(["hold", "release", "h", "--reason", "over"]).exits(0);
    let output = sandbox.run(["unseal", session.id(), "--json"]);
    output.exits(0).quietly();
    assert_eq!(output.json()["sessions"][0]["outcome"], "settled", "{output}");
    assert!(session.is_there() && !folder.exists());
    let lines = sandbox.ledger_lines();
    let of_record = lines.iter().filter(|line| line["kind"] == "ccretain-leftover").collect::<Vec<_>>();
    assert_eq!(of_record.len(), 2, "{lines:#?}");
    assert_eq!((&of_record[0]["event"], &of_record[1]["event"]), (&"intent".into(), &"outcome".into()));
    assert_eq!(lines.last().unwrap()["counts"]["sessionsSettled"], 1, "{lines:#?}");
    interrupt();
    sandbox.run(["unseal", session.id()]).exits(0).says("was back already");
    assert!(!folder.exists());
    sandbox.run(["unseal", session.id()]).exits(2).says("is not sealed");
    // An empty folder is all that is left by one that is killed after the record.
    fs::create_dir_all(&folder).unwrap();
    sandbox.run(["unseal", session.id()]).exits(0).quietly();
    assert!(!folder.exists());
    interrupt();
    let path = client(&sandbox, "exit 0");
    sandbox.command(["resume", session.id()]).env("PATH", &path).run().exits(0).quietly();
    assert!(session.is_there() && !folder.exists());
    // Where something else lies there too, nothing of it is touched.
    interrupt();
    fs::write(folder.join("projects/notes.txt"), "mine").unwrap();
    sandbox.run(["unseal", session.id()]).exits(2).says("identity.age");
    assert!(folder.join("session.json").exists() && folder.join("projects/notes.txt").exists());
    sandbox.run(["ledger", "verify"]).exits(0);
}

#[test]
fn a_full_disk_loses_nothing() {
    if !has_namespaces() {
        return skip("needs root and namespaces");
    }
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    // Within a small file system of its own, prepared by the wrapper: the store is copied there.
    let noise = |seed: u32| -> Vec<u8> {
        (0u32..200_000).flat_map(|n| ((n ^ seed).wrapping_mul(2_654_435_761) >> 3).to_le_bytes()).collect()
    };
    for number in 1..=4 {
        let session = sandbox.store().session(number).aged(days(5)).write();
        session.side_file("tool-results/noise.bin", noise(number));
    }
    let copy = sandbox.root().join("copy");
    let script = r#"set -e; store=$1; out=$2; shift 2
        cp -a "$store" "$out.in"; mount -t tmpfs -o size=4800k tmpfs "$store"
        cp -a "$out.in/." "$store/"
        "$@" && code=0 || code=$?
        rm -rf "$out"; cp -a "$store" "$out"; exit $code"#;
    let store = sandbox.home().join(".claude");
    let before = Tree::with_times(&store);
    let output = sandbox
        .command(["enforce", "--yes", "--json"])
        .through([
            OsStr::new("unshare"),
            OsStr::new("--mount"),
            OsStr::new("sh"),
            OsStr::new("-c"),
            OsStr::new(script),
            OsStr::new("sh"),
            store.as_os_str(),
            copy.as_os_str(),
        ])
        .run();
    output.exits(1).says("space");
    let after = Tree::with_times(&copy);
    let is_sealed = |path: &Path| {
        let name = format!("{}.zst.age", path.display());
        after.0.keys().any(|other| other.ends_with(&name))
    };
    for (path, what) in before.0.iter().filter(|(_, what)| !what.starts_with("folder")) {
        let kept = after.0.get(path) == Some(what);
        assert!(kept != is_sealed(path), "{} must be there or sealed, not both: {output}", path.display());
    }
    assert!(!after.0.keys().any(|path| path.to_string_lossy().ends_with(".part")), "{after:?}");
}

#[test]
fn what_is_written_to_meanwhile_is_left_alone() {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    // Without the quiet period, so that it is the change itself that is noticed.
    seals(&sandbox, &recipient, r#""quiet": "immediately","#);
    let session = sandbox.store().session(1).aged(days(5)).write();
    let big = session.side_file("tool-results/big.txt", vec![b'x'; 64 << 20]);
    age(&session.transcript, days(5));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write as _;
            let mut file = fs::File::options().append(true).open(&session.transcript).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                file.write_all(b"{}\n").unwrap();
                // As if the clock stood still: only the size tells.
                age(&session.transcript, days(5));
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        let output = sandbox.enforce();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(output.exits(0).summary("sessionsSealed"), 0, "{output}");
        assert!(output.summary("skipped") > 0, "{output}");
    });
    assert!(session.is_there() && big.exists());
    assert!(sealed_files(&sandbox, &session).is_empty());
}

/// An older sealed copy, with its record, in the place of the newest: it opens, and was made here, but is not all.
#[test]
fn an_older_copy_that_was_put_back_is_noticed() {
    if !has("faketime") {
        return skip("needs faketime");
    }
    let sandbox = Sandbox::new();
    let session = one_sealed(&sandbox);
    let (folder, kept) = (sealed(&sandbox, &session), sandbox.root().join("kept"));
    shell("cp -a \"$1\" \"$2\"", &[&folder, &kept]);
    let old = record(&sandbox, &session);
    sandbox.run(["unseal", session.id(), "--keep-date"]).exits(0).quietly();
    let mut transcript = fs::OpenOptions::new().append(true).open(&session.transcript).unwrap();
    std::io::Write::write_all(&mut transcript, b"{\"type\":\"user\",\"message\":{}}\n").unwrap();
    drop(transcript);
    age(&session.transcript, days(4));
    let later = crate::common::now() + days(2);
    sandbox.command(["seal", session.id()]).at(later).run().exits(0).quietly();
    assert_ne!(record(&sandbox, &session), old);
    // The newest itself is fine.
    sandbox.command(["cat", session.id()]).at(later).run().exits(0).quietly();
    shell("rm -r \"$1\"; mv \"$2\" \"$1\"", &[&folder, &kept]);
    sandbox.command(["cat", session.id()]).at(later).run().exits(0).says("was sealed again after this copy");
    let output = sandbox.command(["unseal", session.id(), "--keep-date"]).at(later).run();
    output.exits(0).says("was sealed again after this copy").never_says("does not know");
}

/// What this program sealed comes back however well it was compressed; of anybody else's no more than a thousand
/// times its length.
#[test]
fn only_what_the_ledger_vouches_for_unpacks_without_bound() {
    let sandbox = Sandbox::new();
    identity(&sandbox);
    let session = sandbox.store().session(1).aged(days(5)).write();
    let zeros = sandbox.store().path(format!("projects/-work-acme/{}/tool-results/zeros.txt", session.id()));
    fs::create_dir_all(zeros.parent().unwrap()).unwrap();
    fs::File::create(&zeros).unwrap().set_len(96 << 20).unwrap();
    age(&zeros, days(5));
    sandbox.run(["seal", session.id()]).exits(0).quietly();
    assert!(!zeros.exists());
    let ledger = fs::read(sandbox.ledger()).unwrap();
    fs::remove_file(sandbox.ledger()).unwrap();
    refuses_and_changes_nothing(&sandbox, &session, 1, "it unpacks to more than");
    fs::write(sandbox.ledger(), ledger).unwrap();
    sandbox.run(["unseal", session.id(), "--keep-date"]).exits(0);
    assert_eq!(fs::metadata(&zeros).unwrap().len(), 96 << 20);
}

/// While Claude Code runs, no key is left in the memory of `resume`, and none gets into a core dump.
#[test]
fn resume_holds_no_key_while_it_waits() {
    if !has("python3") {
        return skip("needs python3");
    }
    let sandbox = Sandbox::new();
    let session = one_sealed(&sandbox);
    let script = r#"#!/usr/bin/env python3
import os, re, sys
charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
text = open(os.environ["CCRETAIN_CONFIG_DIR"] + "/identity.age").read()
key = re.search("AGE-SECRET-KEY-1([0-9A-Z]+)", text).group(1).lower()
bits = "".join(format(charset.index(c), "05b") for c in key[:-6])
raw = bytes(int(bits[at:at + 8], 2) for at in range(0, 256, 8))
pid = os.getppid()
core = [line for line in open(f"/proc/{pid}/limits") if line.startswith("Max core")][0].split()[4]
found = []
try:
    memory = open(f"/proc/{pid}/mem", "rb")
except PermissionError:
    print("memory not readable"); sys.exit(0)
for line in open(f"/proc/{pid}/maps"):
    span, rights = line.split()[:2]
    if "r" not in rights or "[v" in line: continue
    start, end = (int(part, 16) for part in span.split("-"))
    try:
        memory.seek(start); part = memory.read(end - start)
    except (OSError, ValueError, OverflowError):
        continue
    found += [what for what, sought in (("raw key", raw), ("key", b"AGE-SECRET-KEY-1" + key.upper().encode())) if sought in part]
print("core", core, "found", found)
"#;
    let program = sandbox.write("bin/claude", script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let output = sandbox.command(["resume", session.id()]).env("PATH", path).run();
    output.exits(0);
    assert!(output.stdout.contains("core 0 found []") || output.stdout.contains("not readable"), "{output}");
}

#[test]
fn what_lies_in_the_temp_tree_that_accounts_share_stays_plain_and_is_told() {
    for is_run in [false, true] {
        let sandbox = Sandbox::new();
        let recipient = identity(&sandbox);
        seals(&sandbox, &recipient, "");
        let session = sandbox.store().session(1).aged(days(5)).write();
        let transcript = fs::read(&session.transcript).unwrap();
        let folder = sandbox.tmp().join("claude/-work-acme").join(session.id());
        put(&folder.join("tasks/b.output"), "TEMP OUTPUT", days(5));
        let seal = if is_run { ["enforce", "--yes"] } else { ["seal", session.id()] };
        sandbox.run(seal).exits(0);
        assert!(!session.transcript.exists());
        assert_eq!(fs::read_to_string(folder.join("tasks/b.output")).unwrap(), "TEMP OUTPUT");
        let status = sandbox.run(["status"]);
        assert!(status.stdout.contains("1 file of encrypted sessions in plaintext"), "{status}");
        sandbox.run(["unseal", session.id()]).exits(0);
        assert_eq!(fs::read(&session.transcript).unwrap(), transcript);
        // It goes with its session all the same.
        sandbox.run(["purge", "--yes"]).exits(0);
        assert!(!session.is_there() && !folder.exists());
    }
}

#[test]
fn a_passphrase_is_made_where_none_is_typed() {
    if !has("python3") {
        return skip("there is no python3 for a terminal");
    }
    let make = || {
        let sandbox = Sandbox::new();
        let run = sandbox.command(["key", "new", "--passphrase"]).env("TYPE_AFTER", "made for you");
        let made = run.on_terminal("\n").run();
        made.exits(0).says("it is not shown again");
        let said = made.stdout.rsplit("passphrase: ").next().unwrap();
        (said.lines().next().unwrap().trim().to_owned(), made.stdout.clone(), sandbox)
    };
    let (passphrase, said, sandbox) = make();
    let groups: Vec<&str> = passphrase.split('-').collect();
    assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [4; 5], "{said}");
    assert!(
        groups
            .iter()
            .all(|group| group.bytes().all(|digit| b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".contains(&digit)))
    );
    assert_ne!(make().0, passphrase);
    // It opens what it protects, and nothing else does.
    let recipient = said.lines().rev().find(|line| line.starts_with("age1")).unwrap().trim().to_owned();
    let show = |typed: &str| sandbox.command(["key", "show"]).on_terminal(&format!("{typed}\n")).run();
    show(&passphrase).exits(0).says(&recipient);
    show("something else").exits(1);
    let kept = fs::read(sandbox.config().join("identity.age")).unwrap();
    assert!(!String::from_utf8_lossy(&kept).contains(&passphrase));
    let short = sandbox.root().join("short");
    fs::create_dir(&short).unwrap();
    let run = sandbox.command(["key", "new", "--passphrase"]).env("CCRETAIN_CONFIG_DIR", &short);
    run.on_terminal("short\nshort\n").run().exits(0).says("fewer than 12").says("type nothing");
}

#[test]
fn a_stdout_that_takes_nothing_does_not_cost_the_ledger_its_summary() {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    let session = sandbox.store().session(1).aged(days(3)).write();
    sandbox
        .run(["hold", "add", "--preserve", "--name", "h", "--reason", "r", "--session", session.id()])
        .exits(0);
    fs::remove_file(&session.transcript).unwrap();
    let sealed = sandbox.store().session(2).aged(days(3)).write();
    for words in [
        &["hold", "restore", session.id(), "--touch"][..],
        &["seal", sealed.id()],
        &["rekey", "--all"],
        &["unseal", sealed.id(), "--touch"],
    ] {
        for form in [&[][..], &["--json"]] {
            let last = sandbox.ledger_lines().len();
            let command = sandbox.command([words, form].concat());
            let output = command.inner(["sh", "-c", "exec \"$@\" > /dev/full", "sh"]).run();
            // Done once, the second time may find nothing to do.
            if sandbox.ledger_lines().len() == last {
                continue;
            }
            output.exits(1).says("cannot write to stdout");
            let end = sandbox.ledger_lines().pop().unwrap();
            assert_eq!(end["event"], "summary", "{words:?}: {end}");
        }
    }
    assert!(session.is_there() && sealed.is_there());
}

#[test]
fn a_state_that_cannot_be_saved_does_not_cost_the_ledger_its_summary() {
    let sandbox = Sandbox::new();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    let sessions = [1, 2].map(|number| sandbox.store().session(number).aged(days(3)).write());
    sandbox.give_away();
    sandbox.command(["seal", sessions[0].id()]).unprivileged().run().exits(0);
    // The ledger can be written, and no other file.
    fs::remove_file(sandbox.state().join("state.json")).unwrap();
    fs::set_permissions(sandbox.state(), fs::Permissions::from_mode(0o500)).unwrap();
    let output = sandbox.command(["seal", sessions[1].id()]).unprivileged().run();
    output.exits(1).says("state.json");
    assert!(sealed(&sandbox, &sessions[1]).exists());
    let end = sandbox.ledger_lines().pop().unwrap();
    assert_eq!((&end["event"], &end["counts"]["exit"]), (&"summary".into(), &1.into()), "{end}");
}
