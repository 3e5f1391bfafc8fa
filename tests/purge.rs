//! Handing in a machine: everything goes, it is looked at again, and what stays is what was to stay.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::store::{CONTENT, age, encode, put, shown_plan};
use crate::common::{Output, Sandbox, StoreBuilder, Tree, days, hours, id};

/// A file of the user's own in the store that [`full`] makes.
pub const NOTES: &str = "notes of my own.txt";

/// Every file below a folder that holds the words of a conversation.
pub fn with_content(root: &Path) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        fs::read(root.join(path))
            .is_ok_and(|bytes| bytes.windows(CONTENT.len()).any(|window| window == CONTENT.as_bytes()))
    };
    Tree::of(root).0.into_keys().filter(holds).collect()
}

/// A store with something of everything; what must survive a purge, by path below the home.
pub fn full(sandbox: &Sandbox) -> StoreBuilder {
    let store = sandbox.store();
    for (number, cwd, old) in [(1, "/work/acme", 50), (2, "/work/acme/app", 1), (3, "/work/beta", 400)] {
        let session = store.session(number).cwd(cwd).aged(days(old)).write();
        session.satellites();
        store.history(Some(session.id()), cwd, days(old));
    }
    store.session(4).cwd("/work/beta").undated().files_aged(days(-3)).write();
    store.paste("0123456789abcdef", &id(1), days(50));
    store.put("paste-cache/fedcba9876543210.txt", CONTENT, days(1));
    store.history_line("not json the-words-of-a-conversation");
    store.history_line(&json!({"display": CONTENT, "project": "/work/acme"}).to_string());
    store.index("/work/acme", &[&id(1), &id(9)]);
    store.put(format!("file-history/{}/0123abcd@v1", id(77)), CONTENT, days(2));
    fs::create_dir_all(store.path(format!("session-env/{}", id(2)))).unwrap();
    for path in [
        "plans/plan.md",
        "shell-snapshots/snapshot-bash-1795381268484-abc123.sh",
        "debug/x-is-unknown.txt.not",
        "telemetry/1.json",
        "teams/alpha/inboxes/lead.json",
        "tasks/alpha/1.json",
        "shares/x/page.html",
        "feedback-bundles/one.zip",
        "jobs/settled/one.json",
        "usage-data/report.html",
        "daemon/roster.json",
        "file-transfers/a",
        "logs/x.log",
    ] {
        if path != "debug/x-is-unknown.txt.not" {
            store.put(path, CONTENT, days(3));
        }
    }
    store.put(
        "jobs/aaaaaaaa/state.json",
        json!({"state": "running", "intent": CONTENT}).to_string(),
        days(3),
    );
    symlink(format!("{}.txt", id(1)), store.path("debug/latest")).unwrap();
    let log = sandbox.home().join(".cache/claude-cli-nodejs").join(encode("/work/acme"));
    put(
        &log.join("mcp-logs-srv/2026-01-02T21-03-49-165Z.jsonl"),
        format!("{{\"debug\":\"{CONTENT}\",\"cwd\":\"/work/acme\"}}\n"),
        days(3),
    );
    put(&store.tmp.join("cc-transcript-1.txt"), CONTENT, days(3));
    // What stays.
    store.put("settings.json", "{}", days(3));
    store.put("CLAUDE.md", "mine", days(3));
    store.put("skills/one/SKILL.md", "mine", days(3));
    fs::create_dir_all(store.path("commands")).unwrap();
    store.put(".credentials.json", "{\"token\":1}", days(3));
    store.put(format!("projects/{}/memory/MEMORY.md", encode("/work/acme")), "a note", days(3));
    store.put(NOTES, "mine", days(3));
    sandbox.write(".claude.json", global());
    sandbox.write(".claude/backups/.claude.json.backup.1795381260711", global());
    sandbox.write(
        ".claude/backups/.claude.json.corrupted.1795381260712",
        format!("{{ \"history\": [\"{CONTENT}"),
    );
    store
}

/// The client's global file as old and new clients write it.
fn global() -> String {
    let global = json!({
        "numStartups": 3, "userID": "u", "oauthAccount": {"emailAddress": "a@b"},
        "projects": {
            "/work/acme": {
                "allowedTools": ["Bash"], "history": [{"display": CONTENT, "pastedContents": {}}, CONTENT],
                "lastCost": 1.5, "lastSessionId": id(1), "lastModelUsage": {"m": {"inputTokens": 3}},
                "hasTrustDialogAccepted": true, "activeWorktreeSession": {"sessionId": id(1)},
            },
            "/work/beta": {"history": [], "mcpServers": {}, "exampleFiles": ["a.rs"]},
        },
        "theme": "dark",
    });
    serde_json::to_string_pretty(&global).unwrap()
}

fn scrubbed() -> Value {
    json!({
        "numStartups": 3, "userID": "u", "oauthAccount": {"emailAddress": "a@b"},
        "projects": {
            "/work/acme": {"allowedTools": ["Bash"], "hasTrustDialogAccepted": true},
            "/work/beta": {"mcpServers": {}},
        },
        "theme": "dark",
    })
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The files that are left below the home, but for the lock.
fn left(sandbox: &Sandbox) -> Vec<String> {
    let tree = Tree::of(&sandbox.home());
    let files = tree.0.iter().filter(|(_, what)| !what.starts_with("folder"));
    let paths = files.map(|(path, _)| path.to_str().unwrap().to_owned());
    paths.filter(|path| !path.ends_with("ccretain/lock")).collect()
}

#[track_caller]
pub fn verdict(output: &Output, expected: &str) {
    assert_eq!(output.json()["verdict"], expected, "{output}");
}

#[test]
fn everything_goes_and_what_is_no_content_stays_byte_for_byte() {
    let sandbox = Sandbox::new();
    sandbox.sealing(r#""rules": [{"name": "all", "sealAfter": "300d", "deleteAfter": "900d"}]"#);
    let store = full(&sandbox);
    let acme = store.path("projects").join(encode("/work/acme"));
    // One of them is sealed.
    sandbox.run(["enforce", "--yes", "--json"]).exits(0);
    assert!(store.has(format!("ccretain/sealed/{}/session.json", id(3))));
    put(&store.path(format!("ccretain/sealed/{}/.x.part", id(3))), CONTENT, days(1));
    let before = sandbox.tree();

    let promised = sandbox.run(["purge", "--dry-run", "--json"]);
    promised.exits(0).quietly();
    assert_eq!(promised.json()["dryRun"], true);
    before.is_unchanged(&sandbox.tree());

    let arguments = ["purge", "--yes", "--json", "--except", NOTES, "--certificate", "certificate.json"];
    let output = sandbox.run(arguments);
    output.exits(0).quietly();
    verdict(&output, "complete-except-as-listed");
    assert_eq!(with_content(&sandbox.home()), Vec::<PathBuf>::new());
    assert_eq!(with_content(&sandbox.tmp()), Vec::<PathBuf>::new());
    assert_eq!(with_content(&sandbox.state()), Vec::<PathBuf>::new());
    assert_eq!(
        left(&sandbox),
        [
            ".claude/.credentials.json",
            ".claude/CLAUDE.md",
            ".claude/backups/.claude.json.backup.1795381260711",
            ".claude/history.jsonl",
            ".claude/notes of my own.txt",
            &format!(".claude/projects/{}/memory/MEMORY.md", encode("/work/acme")),
            ".claude/settings.json",
            ".claude/skills/one/SKILL.md",
            ".claude.json",
            "certificate.json",
        ]
    );
    assert_eq!(fs::read(store.path("history.jsonl")).unwrap(), b"");
    assert_eq!(fs::metadata(store.path("history.jsonl")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(read_json(&sandbox.home().join(".claude.json")), scrubbed());
    assert_eq!(read_json(&store.path("backups/.claude.json.backup.1795381260711")), scrubbed());
    // Folders that hold nothing are gone, too, but not those of the user.
    assert!(acme.is_dir() && store.has("commands"));
    for gone in
        ["plans", "session-env", "file-history", "ccretain/sealed", "teams", "debug", "shell-snapshots"]
    {
        assert!(!store.has(gone), "{gone} is left");
    }
    let after = sandbox.tree();
    for path in [".claude/settings.json", ".claude/skills/one/SKILL.md", ".claude/notes of my own.txt"] {
        assert_eq!(before.0.get(Path::new(path)), after.0.get(Path::new(path)));
    }
    // Nothing of a session is in the report and the ledger either, and the counts are what went.
    output.never_says(CONTENT);
    let json = output.json();
    assert_eq!(json["verification"]["result"], "nothing-left");
    assert_eq!(json["exceptions"], json!([]));
    assert!(json["counts"]["forms"]["sealedAfterPlaintext"]["files"].as_u64().unwrap() > 3, "{output}");
    assert_eq!(json["counts"]["forms"]["onlySealed"]["files"], 0);
    let certificate = read_json(&sandbox.home().join("certificate.json"));
    assert_eq!(certificate["schema"], "ccretain.certificate/1");
    assert_eq!(certificate["verdict"], "complete-except-as-listed");
    assert_eq!(certificate["counts"], json["counts"]);
    let lines = sandbox.ledger_lines();
    let summary = lines.iter().rfind(|line| line["event"] == "summary").unwrap();
    assert_eq!(certificate["ledger"]["head"]["seq"], summary["seq"]);
    assert_eq!(lines.last().unwrap()["event"], "certificate");
    sandbox.run(["ledger", "verify"]).exits(0);

    // Once more: nothing to do, and still complete.
    let again = sandbox.run(["purge", "--yes", "--json", "--except", NOTES]);
    again.exits(0).quietly();
    verdict(&again, "complete-except-as-listed");
    assert_eq!(again.json()["counts"]["files"], 0);
    after.without("certificate.json").is_unchanged(&sandbox.tree().without("certificate.json"));
}

#[test]
fn classes_go_only_when_they_are_named() {
    let sandbox = Sandbox::new();
    let key = sandbox.run(["key", "new"]);
    key.exits(0);
    let store = full(&sandbox);
    let output = sandbox.run([
        "purge",
        "--yes",
        "--json",
        "--with",
        "credentials,settings,memory,unrecognised,identity",
    ]);
    output.exits(0).quietly();
    verdict(&output, "complete");
    assert_eq!(left(&sandbox), [".claude/history.jsonl"], "{output}");
    assert!(!sandbox.config().join("identity.age").exists());
    assert!(store.path("history.jsonl").exists());

    let sandbox = Sandbox::new();
    let store = full(&sandbox);
    sandbox.run(["purge", "--yes", "--with", "settings", "--except", NOTES]).exits(0).quietly();
    assert!(store.has(".credentials.json") && !store.has("settings.json") && !store.has("skills"));
    let global = read_json(&sandbox.home().join(".claude.json"));
    assert_eq!(global["projects"], json!({}));
    assert_eq!(global["oauthAccount"], json!({"emailAddress": "a@b"}));
}

#[test]
fn it_asks_and_without_an_answer_it_touches_nothing() {
    let sandbox = Sandbox::new();
    full(&sandbox);
    let before = sandbox.tree();
    let output = sandbox.run(["purge"]);
    output.exits(4).says("--dry-run").says("--yes");
    before.is_unchanged(&sandbox.tree().without(".claude/ccretain"));
}

#[test]
fn at_a_terminal_a_word_is_typed() {
    let sandbox = Sandbox::new();
    let store = full(&sandbox);
    let before = sandbox.tree();
    for typed in ["yes\n", "\n", "\u{4}"] {
        let output = sandbox.command(["purge"]).on_terminal(typed).run();
        output.exits(4).says("cancelled: nothing was changed").never_says("error");
    }
    before.is_unchanged(&sandbox.tree().without(".claude/ccretain"));
    let output = sandbox.command(["purge", "--except", NOTES]).on_terminal("purge\n").run();
    output.exits(0).says("/work/acme").says("memory (--with memory)");
    assert!(!store.has("plans/plan.md"));
    let lines = sandbox.ledger_lines();
    assert!(lines.iter().filter(|line| line["event"] == "summary").count() == 1);
}

#[test]
fn a_part_goes_by_project_and_by_date_and_nothing_else_is_touched() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let acme = store.session(1).cwd("/work/acme").aged(days(50)).write();
    acme.satellites();
    let young = store.session(2).cwd("/work/acme/app").aged(days(1)).write();
    let beta = store.session(3).cwd("/work/beta").aged(days(50)).write();
    beta.satellites();
    for session in [&acme, &young, &beta] {
        store.history(
            Some(session.id()),
            if session.id() == beta.id() { "/work/beta" } else { "/work/acme" },
            days(1),
        );
    }
    store.paste("0123456789abcdef", acme.id(), days(50));
    let line = json!({
        "display": "x", "pastedContents": {"1": {"contentHash": "fedcba9876543210"}}, "timestamp": 1_700_000_000_000_u64,
        "project": "/work/beta", "sessionId": beta.id(),
    });
    store.history_line(&line.to_string());
    store.put("paste-cache/fedcba9876543210.txt", CONTENT, days(50));
    store.put(format!("projects/{}/connector-downloads/x.pdf", acme.folder), "x", days(50));
    store.index("/work/acme", &[acme.id(), young.id()]);
    sandbox.write(".claude.json", global());
    let before = sandbox.tree();
    let output =
        sandbox.run(["purge", "--yes", "--json", "--project", "/work/acme", "--before", "2099-01-01"]);
    assert!(!acme.is_there() && young.is_there() && beta.is_there(), "{output}");
    let again = sandbox.run(["purge", "--yes", "--json", "--project", "/work/acme/**"]);
    again.exits(0).quietly();
    verdict(&again, "partial");
    assert_eq!(again.json()["partial"], true);
    assert!(!young.is_there() && beta.is_there());
    let gone: Vec<String> = before.difference(&sandbox.tree());
    for line in &gone {
        assert!(!line.contains(beta.id()) && !line.contains(&beta.folder), "{line}");
    }
    assert!(!store.has("paste-cache/0123456789abcdef.txt") && store.has("paste-cache/fedcba9876543210.txt"));
    assert!(!store.has(format!("projects/{}", acme.folder)), "{:?}", sandbox.tree());
    assert_eq!(store.history_lines().len(), 2);
    let global = read_json(&sandbox.home().join(".claude.json"));
    assert_eq!(global["projects"]["/work/acme"], scrubbed()["projects"]["/work/acme"]);
    assert_eq!(global["projects"]["/work/beta"]["exampleFiles"], json!(["a.rs"]));
}

#[test]
fn what_cannot_be_attributed_stays_and_makes_a_part_incomplete() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).cwd("/work/acme").aged(days(50)).write();
    store.put("plans/plan.md", CONTENT, days(50));
    store.history_line("no json");
    let output = sandbox.run(["purge", "--yes", "--json", "--project", "/work/acme"]);
    output.exits(1).says(&shown_plan("plan.md")).says("history.jsonl");
    verdict(&output, "incomplete");
    assert!(store.has("plans/plan.md"));
    let reasons: Vec<Value> =
        output.json()["exceptions"].as_array().unwrap().iter().map(|one| one["reason"].clone()).collect();
    assert_eq!(reasons, ["unattributed", "unattributed"]);
}

#[test]
fn a_paste_that_others_refer_to_too_stays_and_is_named() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let acme = store.session(1).cwd("/work/acme").aged(days(50)).write();
    let beta = store.session(2).cwd("/work/beta").aged(days(50)).write();
    store.paste("0123456789abcdef", acme.id(), days(50));
    let line = json!({
        "display": "x", "pastedContents": {"1": {"contentHash": "0123456789abcdef"}}, "timestamp": 1_700_000_000_000_u64,
        "project": "/work/beta", "sessionId": beta.id(),
    });
    store.history_line(&line.to_string());
    let output = sandbox.run(["purge", "--yes", "--json", "--project", "/work/acme"]);
    assert!(!acme.is_there() && beta.is_there(), "{output}");
    assert!(store.has("paste-cache/0123456789abcdef.txt"));
    // The line that told that it is of the project too is gone by the second look.
    output.exits(1).says("0123456789abcdef.txt");
    verdict(&output, "incomplete");
    let exceptions = output.json()["exceptions"].as_array().unwrap().clone();
    assert_eq!(exceptions.len(), 1, "{output}");
    assert_eq!(exceptions[0]["reason"], "shared");
}

#[test]
fn holds_stop_what_they_touch_and_a_reason_breaks_ones_own() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let acme = store.session(1).cwd("/work/acme").aged(days(50)).write();
    let beta = store.session(2).cwd("/work/beta").aged(days(50)).write();
    sandbox
        .run(["hold", "add", "--project", "/work/acme/**", "--reason", "case 14", "--name", "case"])
        .exits(0);
    sandbox.run(["enforce", "--yes"]);
    let before = sandbox.tree();
    let output = sandbox.run(["purge", "--yes"]);
    output.exits(4).says("case").says("case 14").says("--break-holds");
    before.without(".claude/ccretain").is_unchanged(&sandbox.tree().without(".claude/ccretain"));
    assert!(sandbox.ledger_lines().iter().any(|line| line["event"] == "refused"));
    // Counts tell what happened.
    let refused = sandbox.run(["purge", "--yes", "--json"]);
    for what in ["deleted", "sessionsDeleted", "pruned", "bytesFreed"] {
        assert_eq!(refused.exits(4).summary(what), 0, "{what}: {refused}");
    }

    sandbox.run(["purge", "--yes", "--project", "/work/beta"]).exits(0).quietly();
    assert!(acme.is_there() && !beta.is_there());

    sandbox.run(["purge", "--yes", "--break-holds", "the case is closed"]).exits(0).quietly();
    assert!(!acme.is_there());
    let lines = sandbox.ledger_lines();
    let broken = lines.iter().find(|line| line["event"] == "hold-released").unwrap();
    assert_eq!((&broken["hold"], &broken["reason"]), (&json!("case"), &json!("the case is closed")));
    // And nobody says afterwards that something held has vanished.
    sandbox.run(["enforce", "--yes"]).exits(0).quietly();
}

#[test]
fn a_running_client_stops_it() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(50)).write();
    let own = std::process::id();
    store.pid_file(own, session.id(), json!({}));
    let before = sandbox.tree();
    let output = sandbox.run(["purge", "--yes"]);
    output.exits(4).says(&own.to_string()).says("--even-live");
    before.is_unchanged(&sandbox.tree().without(".claude/ccretain"));
    // Even then its own record stays, and is told.
    let output = sandbox.run(["purge", "--yes", "--even-live", "--json"]);
    output.exits(1);
    verdict(&output, "incomplete");
    assert!(!session.is_there() && store.has(format!("sessions/{own}.json")));
}

#[test]
fn quiet_alone_is_answered_by_yes() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(hours(0)).write();
    sandbox.run(["purge", "--dry-run"]).exits(0).says("perhaps still in use");
    sandbox.run(["purge", "--yes"]).exits(0).quietly();
    assert!(!session.is_there());
}

#[test]
fn what_leads_elsewhere_is_told() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let session = store.session(1).aged(days(50)).write();
    // A hard link: gone here, and there under another name.
    fs::hard_link(&session.transcript, sandbox.root().join("another name")).unwrap();
    // A link out of the store.
    let target = sandbox.root().join("elsewhere.jsonl");
    put(&target, CONTENT, days(50));
    symlink(&target, session.transcript.with_file_name(format!("{}.jsonl", id(5)))).unwrap();
    let output = sandbox.run(["purge", "--yes", "--json"]);
    output.exits(1);
    verdict(&output, "incomplete");
    let json = output.json();
    let reasons: Vec<&str> =
        json["exceptions"].as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["hard-linked", "linked"], "{output}");
    assert!(!session.is_there() && target.exists());
}

#[test]
fn stores_anywhere_below_the_home_are_found_and_looked_at_again() {
    let sandbox = Sandbox::new();
    let moved = StoreBuilder::new(sandbox.home().join("a/b/.claude-work"), sandbox.client_tmp());
    let session = moved.session(1).aged(days(50)).write();
    session.satellites();
    moved.put("plans/mine.md", "perhaps the user's", days(50));
    let output = sandbox.run(["purge", "--yes", "--json", "--except", "plans/mine.md"]);
    output.exits(0).quietly();
    verdict(&output, "complete-except-as-listed");
    assert!(!session.is_there() && moved.has("plans/mine.md"), "{output}");
    let stores: Vec<Value> = output.json()["stores"].as_array().unwrap().clone();
    assert!(stores.iter().any(|store| store["foundBy"] == "search" && store["sessions"] == 1), "{output}");
    let roots = output.json()["verification"]["roots"].as_u64().unwrap();
    assert_eq!(roots, stores.len() as u64);
}

#[test]
fn a_refused_root_stops_it_and_a_missing_one_is_an_exception() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(days(50)).write();
    let open = StoreBuilder::new(sandbox.home().join("open"), sandbox.client_tmp());
    open.session(2).aged(days(50)).write();
    fs::set_permissions(&open.root, fs::Permissions::from_mode(0o777)).unwrap();
    let output = sandbox.run(["purge", "--yes"]);
    output.exits(4).says("writable by everyone");
    assert!(session.is_there());
    fs::set_permissions(&open.root, fs::Permissions::from_mode(0o700)).unwrap();
    // A run remembers a root that is gone by the next.
    let gone = StoreBuilder::new(sandbox.root().join("gone"), sandbox.client_tmp());
    gone.session(3).aged(days(1)).write();
    sandbox.command(["enforce", "--yes"]).env("CLAUDE_CONFIG_DIR", &gone.root).run().exits(0);
    fs::rename(&gone.root, sandbox.root().join("unplugged")).unwrap();
    let output = sandbox.run(["purge", "--yes", "--json"]);
    output.exits(1).says("missing");
    verdict(&output, "incomplete");
    assert!(!session.is_there());
}

#[test]
fn only_the_named_store_is_changed() {
    let sandbox = Sandbox::new();
    let kept = sandbox.store().session(1).aged(days(50)).write();
    let other = StoreBuilder::new(sandbox.home().join("other"), sandbox.client_tmp());
    let gone = other.session(2).aged(days(50)).write();
    sandbox.write(".claude.json", global());
    let root = other.root.to_str().unwrap().to_owned();
    let output = sandbox.run(["purge", "--yes", "--json", "--store", &root, "--certificate", "c.json"]);
    output.exits(0).quietly();
    assert!(kept.is_there() && !gone.is_there());
    let certificate = read_json(&sandbox.home().join("c.json"));
    assert_eq!(certificate["verdict"], "partial");
    assert_eq!(certificate["stores"].as_array().unwrap().len(), 1);
}

#[test]
fn usage_is_told_before_anything_is_touched() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(days(50)).write();
    sandbox.run(["purge", "--yes", "--project", "acme"]).exits(2).says("whole path");
    sandbox.run(["purge", "--yes", "--before", "30d"]).exits(2);
    sandbox.run(["purge", "--yes", "--with", "everything"]).exits(2).says("credentials");
    sandbox.run(["purge", "--yes", "--break-holds", ""]).exits(2);
    sandbox.run(["purge", "--yes", "--certificate", "c.pdf"]).exits(2).says("c.pdf");
    sandbox.run(["purge", "--yes", "--certificate", ".claude/c.json"]).exits(2).says("lies in a store");
    sandbox.run(["purge", "--yes", "--certificate", "no/such/c.json"]).exits(4);
    sandbox.run(["purge", "--yes", "--sign", "key"]).exits(2);
    assert!(session.is_there());
    let mut clash = sandbox.store();
    clash.root = sandbox.home();
    age(&session.transcript, days(50));
}

#[test]
fn a_ledger_with_keyed_names_says_what_was_sealed_here_to_whoever_has_its_key() {
    // How many files were plaintext here, and how many were always sealed as far as anybody knows.
    let forms = |meanwhile: fn(&Sandbox)| {
        let sandbox = Sandbox::new();
        sandbox.sealing(r#""ledger": {"names": "keyed"}, "rules": [{"name": "all", "sealAfter": "1d"}]"#);
        let store = sandbox.store();
        // Of this one the ledger says nothing, as if it had come from elsewhere.
        store.session(1).aged(days(5)).write();
        sandbox.enforce().exits(0);
        fs::remove_file(sandbox.ledger()).unwrap();
        store.session(2).aged(days(5)).write();
        // A ledger that is gone is told, and nothing else is amiss.
        sandbox.enforce().exits(1);
        for number in [1, 2] {
            assert!(store.has(format!("ccretain/sealed/{}/session.json", id(number))));
        }
        meanwhile(&sandbox);
        let output = sandbox.run(["purge", "--yes", "--json"]);
        let forms = output.exits(0).json()["counts"]["forms"].clone();
        ["sealedAfterPlaintext", "onlySealed"].map(|form| forms[form]["files"].as_u64().unwrap())
    };
    assert_eq!(forms(|_| {}), [1, 1]);
    // The key is lost: nobody can tell which of them it was.
    assert_eq!(forms(|sandbox| fs::remove_file(sandbox.state().join("ledger.key")).unwrap()), [2, 0]);
}

/// The report and the certificate are read side by side.
#[test]
fn the_report_and_the_certificate_count_alike() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).cwd("/work/acme").aged(days(3)).write().satellites();
    store.history(Some(&id(1)), "/work/acme", days(3));
    store.history(Some(&id(1)), "/work/acme", days(2));
    let output = sandbox.run(["purge", "--yes", "--certificate", "c.json"]);
    output.exits(0);
    let certificate: Value =
        serde_json::from_slice(&fs::read(sandbox.home().join("c.json")).unwrap()).unwrap();
    let counts = &certificate["counts"];
    assert_eq!(counts["lines"], 2, "{counts}");
    output.says(&format!("removed: 1 session, {} files, 2 lines,", counts["files"]));
}

#[test]
fn where_nothing_is_left_nobody_is_asked_and_it_is_certified_all_the_same() {
    let sandbox = Sandbox::new();
    sandbox.store().session(1).aged(hours(3)).write();
    sandbox.run(["purge", "--yes"]).exits(0);
    let output = sandbox.run(["purge", "--certificate", "again.json"]);
    output.exits(0).says("nothing was there to remove").says("verdict: complete").never_says("0 session");
    let certificate = read_json(&sandbox.home().join("again.json"));
    assert_eq!(certificate["operator"]["consent"], "unneeded");
    // What is there is asked about.
    sandbox.store().session(2).aged(hours(3)).write();
    sandbox.run(["purge"]).exits(4);
}

#[test]
fn a_ledger_or_a_key_that_cannot_be_used_is_found_out_before_anything_goes() {
    let broken: [fn(&Sandbox); 4] = [
        |sandbox| fs::create_dir(sandbox.state().join("ledger.key")).unwrap(),
        |sandbox| fs::write(sandbox.state().join("ledger.key"), "x").unwrap(),
        |sandbox| symlink("/dev/null", sandbox.state().join("ledger.key")).unwrap(),
        |sandbox| fs::create_dir(sandbox.state().join("ledger-000000000001.jsonl")).unwrap(),
    ];
    for meanwhile in broken {
        let sandbox = Sandbox::new();
        let session = sandbox.store().session(1).aged(days(3)).write();
        sandbox.enforce().exits(0);
        meanwhile(&sandbox);
        let before = sandbox.tree();
        for words in [&["purge", "--dry-run"][..], &["purge", "--yes", "--certificate", "c.json"]] {
            sandbox.run(words).exits(4).says("ledger");
            assert!(session.is_there());
        }
        before.is_unchanged(&sandbox.tree());
        let summaries = || sandbox.ledger_lines().iter().filter(|line| line["event"] == "summary").count();
        assert_eq!(summaries(), 1, "no purge has begun");
    }
}

#[test]
fn a_stdout_that_takes_nothing_leaves_nothing_in_mind() {
    let sandbox = Sandbox::new();
    let session = sandbox.store().session(1).aged(days(3)).write();
    sandbox.store().session(2).aged(hours(3)).write();
    sandbox.enforce().exits(0);
    let memory = sandbox.state().join("sessions.json");
    assert!(memory.exists());
    let purge = sandbox.command(["purge", "--yes", "--certificate", "c.json"]);
    purge.inner(["sh", "-c", "exec \"$@\" > /dev/full", "sh"]).run().exits(1).says("cannot write to stdout");
    assert!(!session.is_there() && sandbox.home().join("c.json").exists());
    assert!(!memory.exists());
}
