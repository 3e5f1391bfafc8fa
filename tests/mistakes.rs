//! Mistakes that people make: each ends in one sentence and a next step, and the next step works when it is typed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::common::sandbox::{has_namespaces, is_root, program};
use crate::common::store::CONTENT;
use crate::common::{Output, Sandbox, StoreBuilder, days, hours, id, skip};
use crate::seal::{identity, seals};

/// Who makes the mistake.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    /// Whoever runs the suite.
    Me,
    /// An account that permissions bind.
    Unprivileged,
}
use Who::{Me, Unprivileged};

/// Some sessions, one of them due.
fn sandbox() -> (Sandbox, StoreBuilder) {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(1).cwd("/work/acme").aged(days(40)).write();
    store.session(2).cwd("/work/acme").aged(days(3)).write();
    store.session(3).cwd("/work/web").aged(days(3)).write();
    (sandbox, store)
}

fn typed(sandbox: &Sandbox, who: Who, words: &[String]) -> Output {
    let run = sandbox.command(words);
    if who == Unprivileged { run.unprivileged().run() } else { run.run() }
}

/// What is advised by a run, in its order.
fn advice(output: &Output) -> Vec<String> {
    let hints = output.stderr.lines().filter_map(|line| line.strip_prefix("ccretain: hint: "));
    hints.flat_map(|hint| hint.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// One sentence of what is wrong, and what to type next.
#[track_caller]
fn is_told_well(output: &Output) -> Vec<String> {
    let errors: Vec<&str> =
        output.stderr.lines().filter_map(|line| line.strip_prefix("ccretain: error: ")).collect();
    assert_eq!(errors.len(), 1, "one sentence is expected of {output}");
    for line in output.stderr.lines() {
        assert!(line.starts_with("ccretain: "), "a line without the prefix: {output}");
    }
    for private in ["panicked", ".ccretain-", "at path", "failed to ", CONTENT] {
        output.never_says(private);
    }
    assert!(!errors[0].contains("'ccretain "), "commands stand in backquotes: {output}");
    let advised = advice(output);
    assert!(!advised.is_empty(), "a next step is expected of {output}");
    advised
}

/// Types what is advised, as a shell takes it, with what the person has to fill in.
#[track_caller]
fn follow(sandbox: &Sandbox, who: Who, words: &[String], advised: &str, output: &Output) {
    let command = places(sandbox, advised);
    // What is for a whole machine is not for the one that the suite runs on.
    if ["--all-users", "--system", "schedule install"].iter().any(|whole| command.contains(whole)) {
        let words = command.trim_start_matches("sudo ").trim_start_matches("ccretain ");
        let help = sandbox.run(shell_words(words).iter().map(String::as_str).chain(["--help"]));
        assert_eq!(help.code, Some(0), "`{command}` is advised by {output}: {help}");
        return;
    }
    assert!(!command.contains("sudo") || command.contains(sandbox.root().to_str().unwrap()), "{command}");
    if advised.starts_with("--") {
        // One more option for what was typed, or another value of it.
        let more = shell_words(&command);
        let at = words.iter().position(|word| *word == more[0]).unwrap_or(words.len());
        let rest = words.iter().skip(at + more.len());
        let again: Vec<String> = words[..at].iter().chain(&more).chain(rest).cloned().collect();
        let again = typed(sandbox, who, &again);
        assert!(again.code == Some(0), "{advised} is advised by {output} and does not work: {again}");
        return;
    }
    let command = command.replace("SESSION", &id(2)).replace("FILE", "unused.json").replace("NAME", "case");
    let asks = ["ccretain enforce", "ccretain purge", "ccretain hold release"];
    let consents = asks[..2].iter().any(|asks| command.starts_with(asks)) && !command.contains(" -");
    let command = if consents { format!("{command} --yes") } else { command };
    let script = format!("ccretain() {{ \"$PROGRAM\" \"$@\"; }}\nsudo() {{ \"$@\"; }}\n{command}");
    let needs_root = who == Me || command.starts_with("sudo ");
    let program = if needs_root { program() } else { sandbox.root().join("ccretain") };
    let run = sandbox.command(["unused"]).env("PROGRAM", program).env("USER", "nobody").by("/bin/true");
    let shell = ["bash", "-c", &script, "bash"];
    let run = if needs_root {
        run.through(shell)
    } else {
        let id = crate::common::sandbox::NOBODY.to_string();
        run.through(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"].iter().chain(&shell))
    };
    let done = run.run();
    let is_done = done.code == Some(0) || command.contains("ccretain check") && done.code == Some(3);
    assert!(is_done, "`{command}` is advised by {output} and does not work: {done}");
}

/// A text with the sandbox's real paths, which an output has words for.
fn places(sandbox: &Sandbox, text: &str) -> String {
    [("[HOME]", "home"), ("[TMP]", "tmp"), ("[STATE]", "state"), ("[CONFIG]", "config"), ("[ROOT]", "")]
        .iter()
        .fold(text.to_owned(), |text, (word, folder)| {
            let place = sandbox.root().join(folder);
            text.replace(word, place.to_str().unwrap().trim_end_matches('/'))
        })
}

/// Words as a shell splits them, as far as quotes of one kind go.
fn shell_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in text.split('\'').enumerate() {
        if place % 2 == 1 {
            words.push(part.to_owned())
        } else {
            words.extend(part.split_whitespace().map(str::to_owned))
        }
    }
    words
}

/// A mistake: how it ends, and how the same ends once what it advises was done; `None` where that cannot mend it.
#[track_caller]
fn mistake(sandbox: &Sandbox, who: Who, words: &[&str], code: i32, then: Option<i32>) {
    let words: Vec<String> = words.iter().map(|word| places(sandbox, word)).collect();
    let output = typed(sandbox, who, &words);
    output.exits(code);
    for advised in is_told_well(&output) {
        follow(sandbox, who, &words, &advised, &output);
    }
    if let Some(then) = then {
        let again = typed(sandbox, who, &words);
        assert_eq!(again.code, Some(then), "after the advice of {output}: {again}");
    }
}

#[test]
fn words_that_are_no_commands_and_options() {
    let (sandbox, _store) = sandbox();
    for words in [
        &["stauts"][..],
        &["clean"],
        &["delete"],
        &["config"],
        &["frobnicate"],
        &["enforce", "--force"],
        &["enforce", "--dryrun"],
        &["purge", "--force", "--dry-run"],
        &["list", "--older-than", "7d"],
        &["-n", "enforce"],
        &["enforce", "--no-such-flag"],
        &["explain"],
        &["ledger", "frobnicate"],
        &["completions", "ksh"],
        &["check", "--format", "xml"],
        &["check", "--json", "--format", "jamf"],
        &["cat", "00000002", "--json"],
    ] {
        mistake(&sandbox, Me, words, 2, Some(2));
    }
}

#[test]
fn ids_that_name_no_session_or_several() {
    let (sandbox, store) = sandbox();
    store.session(5).aged(days(4)).write();
    store.twin(5);
    for command in ["explain", "seal", "unseal", "cat"] {
        if command == "seal" {
            sandbox.run(["key", "new"]).exits(0);
        }
        for named in ["123", "deadbeef", "00000005", &id(77)] {
            mistake(&sandbox, Me, &[command, named], 2, Some(2));
        }
    }
    mistake(&sandbox, Me, &["hold", "add", "--reason", "x", "--session", "00000005"], 2, Some(2));
    mistake(&sandbox, Me, &["ledger", "show", "--session", "123"], 2, Some(2));
    mistake(&sandbox, Me, &["ledger", "show", "--session", "deadbeef"], 2, Some(2));
    mistake(&sandbox, Me, &["unseal", &id(2)], 2, Some(2));
    mistake(&sandbox, Me, &["explain", "nowhere/at/all.jsonl"], 2, Some(2));
}

#[test]
fn one_id_in_two_stores() {
    let (sandbox, store) = sandbox();
    let other = StoreBuilder::new(sandbox.home().join("other"), sandbox.client_tmp());
    other.session(5).aged(days(2)).write();
    store.session(5).aged(days(3)).write();
    sandbox.policy(
        r#"{"version": 1, "stores": {"extra": ["~/other"]}, "rules": [{"name": "x", "deleteAfter": "30d"}]}"#,
    );
    mistake(&sandbox, Me, &["explain", &id(5)], 2, Some(2));
}

#[test]
fn places_that_are_not_there() {
    let (sandbox, _store) = sandbox();
    sandbox.write("a file", "x");
    for words in [
        &["--store", "/nowhere", "enforce", "-n"][..],
        &["--store", "[HOME]/a file", "enforce", "-n"],
        &["--store", "/", "enforce", "-n"],
    ] {
        mistake(&sandbox, Me, words, 1, Some(1));
    }
    mistake(&sandbox, Me, &["report", "--html", "[HOME]/no/such/folder/page.html"], 1, Some(0));
    mistake(&sandbox, Me, &["report", "--html", "[HOME]/a file/page.html"], 1, Some(1));
    mistake(&sandbox, Me, &["report", "--html", "[HOME]"], 1, Some(1));
    mistake(&sandbox, Me, &["report", "--html", "x.html", "[HOME]/no.json"], 1, Some(1));
    mistake(&sandbox, Me, &["mdm", "[HOME]/a file/kit"], 1, Some(1));
    mistake(&sandbox, Me, &["man", "[HOME]/a file/man"], 1, Some(1));
    mistake(&sandbox, Me, &["status", "--search", "/nowhere"], 2, Some(2));
    mistake(&sandbox, Me, &["purge", "--yes", "--certificate", "x.pdf"], 2, Some(2));
    mistake(&sandbox, Me, &["purge", "--yes", "--certificate", "[HOME]/none/x.html"], 4, Some(0));
    mistake(&sandbox, Me, &["ledger", "verify", "--certificate", "/etc/passwd"], 2, Some(2));
    mistake(&sandbox, Me, &["ledger", "verify", "--certificate", "none.json"], 2, Some(2));
    mistake(&sandbox, Me, &["purge", "--dry-run", "--project", "work/**"], 2, Some(2));
}

#[test]
fn a_home_that_is_not_there() {
    let (sandbox, _store) = sandbox();
    for home in ["/nowhere/at/all", "relative", "/etc/passwd"] {
        let output = sandbox.command(["status"]).env("HOME", home).run();
        output.exits(2);
        for advised in is_told_well(&output) {
            follow(&sandbox, Me, &[], &advised, &output);
        }
    }
}

#[test]
fn files_where_folders_should_be() {
    let (sandbox, _store) = sandbox();
    let own = |variable: &str, words: &[&str]| {
        let file = sandbox.write("in the way", "x");
        let output = sandbox.command(words).env(variable, &file).run();
        assert!(matches!(output.code, Some(1 | 2 | 4)), "{output}");
        for advised in is_told_well(&output) {
            follow(&sandbox, Me, &[], &advised, &output);
        }
    };
    own("CCRETAIN_CONFIG_DIR", &["key", "new"]);
    own("CCRETAIN_CONFIG_DIR", &["hold", "add", "--session", &id(1), "--reason", "x"]);
    own("CCRETAIN_STATE_DIR", &["enforce", "--yes"]);
    own("CCRETAIN_STATE_DIR", &["status"]);
}

#[test]
fn durations_and_dates_with_typos() {
    let (sandbox, _store) = sandbox();
    for words in [
        &["list", "--older", "7"][..],
        &["list", "--older", "never"],
        &["enforce", "--yes", "--max-runtime", "5"],
        &["seal", "--idle", "2 weeks"],
        &["hold", "add", "--session", "00000002", "--reason", "x", "--until", "2027-13-01"],
        &["hold", "add", "--session", "00000002", "--reason", "x", "--until", "2020-01-01"],
        &["purge", "--dry-run", "--before", "yesterday"],
        &["schedule", "install", "--at", "25:00"],
        &["ledger", "show", "--since", "last week"],
    ] {
        mistake(&sandbox, Me, words, 2, Some(2));
    }
}

#[test]
fn what_nothing_fits() {
    let (sandbox, _store) = sandbox();
    for words in [
        &["hold", "release", "none", "--reason", "x"][..],
        &["hold", "restore", "none"],
        &["hold", "add", "--session", "00000002", "--reason", ""],
        &["hold", "add", "--project", "~bob/x", "--reason", "x"],
        &["list", "--project", "~bob/x"],
        &["purge", "--yes", "--except", "*.txt"],
    ] {
        mistake(&sandbox, Me, words, 2, Some(2));
    }
    // A project that nothing is of is an answer, and a next step goes with it.
    sandbox.run(["purge", "-n", "--project", "/nowhere/**"]).exits(0).says("`ccretain list`");
    let listed = sandbox.command(["list", "--project", "/nowhere/**"]).on_terminal("").run();
    listed.exits(0).says("`ccretain list`");
}

#[test]
fn policies_that_are_wrong() {
    let (sandbox, _store) = sandbox();
    mistake(&sandbox, Me, &["--policy", "[HOME]/none.json", "enforce", "-n"], 2, Some(0));
    fs::remove_file(sandbox.home().join("none.json")).unwrap();
    mistake(&sandbox, Me, &["policy", "check", "[HOME]/none.json"], 2, Some(0));
    for wrong in [
        r#"{"version": 1, "rules": [{"name": "a", "deletAfter": "30d"}]}"#,
        r#"{"version": 1, "rules": [{"name": "a", "deleteAfter": "30 days"}]}"#,
        r#"{"version": 1, "rules": [{"name": "a", "sealAfter": "1d"}]}"#,
        "{",
    ] {
        let file = sandbox.policy(wrong);
        let output = sandbox.run(["enforce", "--yes"]);
        output.exits(2);
        let advised = is_told_well_first(&output);
        // What is advised shows the mistakes, so it ends as they do.
        assert!(advised.iter().any(|advised| advised.starts_with("ccretain policy check")), "{output}");
        sandbox.command(["policy", "check"]).arg(&file).run().exits(2);
    }
    sandbox.policy(r#"{"version": 1, "rules": [{"name": "a", "deleteAfter": "30d"}]}"#);
    let file = sandbox.config().join("policy.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    mistake(&sandbox, Me, &["enforce", "--yes"], 2, Some(0));
}

/// As [`is_told_well`], where the sentence may be followed by the place in the file.
#[track_caller]
fn is_told_well_first(output: &Output) -> Vec<String> {
    assert!(output.stderr.starts_with("ccretain: error: "), "{output}");
    let advised = advice(output);
    assert!(!advised.is_empty(), "a next step is expected of {output}");
    advised
}

#[test]
fn a_policy_of_the_machine_that_others_can_write() {
    if !has_namespaces() {
        return skip("needs mount namespaces");
    }
    let (sandbox, _store) = sandbox();
    let folder = sandbox.root().join("system");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("managed-policy.json");
    fs::write(&file, r#"{"version": 1, "rules": [{"name": "a", "deleteAfter": "30d"}]}"#).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let script = r#"set -e; folder=$1; shift
        mkdir -p "$folder/etc/ccretain"; cp -p "$folder"/*.json "$folder/etc/ccretain/"
        mount -t overlay overlay -o "lowerdir=$folder/etc:/etc" /etc
        exec "$@""#;
    let output = sandbox.command(["enforce", "--yes"]).among_mounts(script, [folder.as_path()]).run();
    output.exits(2);
    let advised = is_told_well(&output);
    assert!(
        advised.iter().any(|advised| advised.contains("chmod go-w '/etc/ccretain/managed-policy.json'")),
        "{output}"
    );
}

#[test]
fn rights_that_are_lacking() {
    if !is_root() {
        return skip("needs root to give files away");
    }
    let closed = |path: &std::path::Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let given = || {
        let (sandbox, store) = sandbox();
        sandbox.policy(r#"{"version": 1, "guard": "off", "rules": [{"name": "a", "deleteAfter": "30d"}]}"#);
        sandbox.give_away();
        (sandbox, store)
    };
    // A run with sudo left a state that is root's.
    let (lent, _store) = given();
    lent.command(["enforce", "--yes"]).unprivileged().run().exits(0);
    let _ = std::process::Command::new("chown").args(["-R", "root:root"]).arg(lent.state()).status();
    for words in [&["status"][..], &["enforce", "--yes"]] {
        let output = lent.command(words).unprivileged().run();
        assert!(matches!(output.code, Some(1 | 4)), "{output}");
        let advised = is_told_well(&output);
        assert!(advised.iter().any(|advised| advised.starts_with("sudo chown -R ")), "{output}");
    }
    mistake(&lent, Unprivileged, &["enforce", "--yes"], 4, Some(0));
    // A store, a policy, a key that their owner closed.
    let (shut, store) = given();
    closed(&store.root, 0o000);
    mistake(&shut, Unprivileged, &["enforce", "--yes"], 1, Some(0));
    let (shut, _store) = given();
    closed(&shut.config().join("policy.json"), 0o000);
    mistake(&shut, Unprivileged, &["enforce", "--yes"], 2, Some(0));
    let (shut, _store) = given();
    shut.command(["key", "new"]).unprivileged().run().exits(0);
    closed(&shut.config().join("identity.age"), 0o000);
    mistake(&shut, Unprivileged, &["key", "show"], 1, Some(0));
    let (shut, _store) = given();
    closed(&shut.config(), 0o500);
    mistake(&shut, Unprivileged, &["key", "new"], 1, Some(0));
    mistake(&shut, Unprivileged, &["report", "--html", "/etc/page.html"], 1, Some(1));
    mistake(&shut, Unprivileged, &["--all-users", "status"], 2, Some(2));
    mistake(&shut, Unprivileged, &["schedule", "install", "--system"], 2, None);
}

#[test]
fn root_in_the_home_of_another() {
    if !is_root() {
        return skip("needs root");
    }
    let (sandbox, _store) = sandbox();
    sandbox.give_away();
    let output = sandbox.run(["enforce", "--yes"]);
    output.exits(2);
    let advised = is_told_well(&output);
    assert!(advised.iter().any(|advised| advised == "ccretain --all-users enforce --dry-run"), "{output}");
}

#[test]
fn keys_that_are_not_there_or_not_right() {
    let (sandbox, _store) = sandbox();
    mistake(&sandbox, Me, &["key", "show"], 1, Some(0));
    let (sandbox, _store) = self::sandbox();
    // What is advised makes the key, so that the same works afterwards.
    mistake(&sandbox, Me, &["seal", &id(2)], 2, Some(0));
    mistake(&sandbox, Me, &["key", "new"], 4, Some(4));
    let own = sandbox.config().join("identity.age");
    let elsewhere = sandbox.home().join("key-elsewhere");
    fs::rename(&own, &elsewhere).unwrap();
    let output = sandbox.run(["cat", &id(2)]);
    output.exits(2);
    let advised = is_told_well(&output);
    assert!(advised.iter().any(|advised| advised == "--identity FILE"), "{output}");
    sandbox.command(["cat", &id(2), "--identity"]).arg(&elsewhere).run().exits(0);
    fs::write(&own, "no key\n").unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).unwrap();
    let output = sandbox.run(["cat", &id(2)]);
    assert!(is_told_well(&output).iter().any(|advised| advised == "--identity FILE"), "{output}");
    fs::remove_file(&own).unwrap();
    sandbox.run(["key", "new"]).exits(0);
    let output = sandbox.run(["cat", &id(2)]);
    assert!(
        is_told_well(&output).iter().any(|advised| advised == "--identity FILE"),
        "another's key: {output}"
    );
    // No Claude Code to resume with.
    fs::rename(&elsewhere, &own).unwrap();
    mistake(&sandbox, Me, &["resume", &id(2)], 2, None);
}

#[test]
fn nobody_to_ask() {
    let (sandbox, _store) = sandbox();
    mistake(&sandbox, Me, &["key", "new", "--passphrase"], 2, None);
    mistake(&sandbox, Me, &["enforce"], 4, Some(0));
    let (sandbox, _store) = self::sandbox();
    mistake(&sandbox, Me, &["purge"], 4, None);
}

#[test]
fn what_is_refused_on_purpose() {
    let (sandbox, store) = sandbox();
    sandbox.run(["hold", "add", "--session", &id(1), "--reason", "court", "--name", "case"]).exits(0);
    identity(&sandbox);
    mistake(&sandbox, Me, &["seal", &id(1)], 4, Some(4));
    mistake(
        &sandbox,
        Me,
        &["hold", "add", "--session", &id(1), "--reason", "x", "--name", "case"],
        2,
        Some(2),
    );
    let output = sandbox.run(["purge", "--yes"]);
    output.exits(4);
    assert!(
        is_told_well(&output).contains(&"ccretain hold release case --reason REASON".to_owned()),
        "{output}"
    );
    sandbox.run(["hold", "release", "case", "--reason", "over"]).exits(0);
    let live = store.session(6).aged(days(50)).write();
    store.pid_file(std::process::id(), live.id(), json!({}));
    let output = sandbox.run(["purge", "--yes"]);
    output.exits(4);
    assert!(is_told_well(&output).contains(&"--even-live".to_owned()), "{output}");
    // It is done then, and says that what is open stays.
    sandbox.run(["purge", "--yes", "--even-live"]).exits(1).says("verdict: incomplete");
    // Sealed long ago: Claude Code would delete it at its next start.
    let (sandbox, _store) = self::sandbox();
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    sandbox.run(["seal", &id(1)]).exits(0);
    let output = sandbox.run(["unseal", &id(1)]);
    output.exits(4);
    assert_eq!(is_told_well(&output), ["--touch", "--keep-date"]);
    sandbox.run(["unseal", &id(1), "--touch"]).exits(0);
}

#[test]
fn a_guard_that_stops_a_run() {
    let (sandbox, store) = sandbox();
    for number in 10..40 {
        store.session(number).aged(days(40)).write();
    }
    let output = sandbox.run(["enforce", "--yes"]);
    output.exits(4);
    let advised = is_told_well(&output);
    assert!(advised.contains(&"ccretain enforce".to_owned()), "{output}");
    let confirmed = sandbox.command(["enforce"]).on_terminal("yes\n").run();
    confirmed.exits(0);
}

#[test]
fn another_run_is_at_work() {
    let (sandbox, store) = sandbox();
    sandbox.run(["enforce", "-n"]).exits(0);
    let lock = store.put("ccretain/lock", "", hours(0));
    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let output = sandbox.run(["enforce", "--yes"]);
    output.exits(75);
    is_told_well(&output);
    drop(held);
    sandbox.run(["enforce", "--yes"]).exits(0);
}

#[test]
fn disks_that_are_full_or_read_only() {
    if !has_namespaces() {
        return skip("needs mount namespaces");
    }
    let (sandbox, _store) = sandbox();
    sandbox.write(".config/ccretain/policy.json", r#"{"rules": [{"name": "a", "deleteAfter": "30d"}]}"#);
    for words in
        [&["enforce", "--yes"][..], &["key", "new"], &["hold", "add", "--session", &id(2), "--reason", "x"]]
    {
        let (output, _) = sandbox
            .command(words)
            .env("CCRETAIN_CONFIG_DIR", sandbox.home().join(".config/ccretain"))
            .on_a_full_disk("4m");
        let said: Vec<&str> = output.stderr.lines().filter(|line| !line.starts_with("LEFT")).collect();
        let output = Output { stderr: said.join("\n"), ..output };
        assert!(matches!(output.code, Some(1 | 4)), "{output}");
        assert!(is_told_well(&output).iter().any(|advised| advised.starts_with("df ")), "{output}");
        let _ = fs::remove_dir(sandbox.root().join("disk"));
    }
    let script = r#"set -e; home=$1; state=$2; shift 2
        mount --bind "$home" "$home"; mount -o remount,ro,bind "$home"
        mount --bind "$state" "$state"; mount -o remount,ro,bind "$state"
        exec "$@""#;
    for words in [&["enforce", "--yes"][..], &["purge", "--yes"], &["report", "--html", "page.html"]] {
        let (home, state) = (sandbox.home(), sandbox.state());
        let output = sandbox.command(words).among_mounts(script, [home.as_path(), state.as_path()]).run();
        assert!(matches!(output.code, Some(1 | 2 | 4)), "{output}");
        assert!(is_told_well(&output).iter().any(|advised| advised.starts_with("df ")), "{output}");
    }
}

#[test]
fn pipes_that_are_closed() {
    let (sandbox, _store) = sandbox();
    for words in
        ["status", "list", "enforce -n -v", "explain 00000002", "check", "cat 00000002", "policy schema"]
    {
        let script = format!("\"$0\" {words} | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}");
        let run = sandbox.command(["unused"]).by("/bin/true").env("PROGRAM", program());
        let output = run.through(["bash", "-c", &script.replace("$0", "$PROGRAM")]).run();
        assert!(matches!(output.code, Some(0 | 3)), "{words}: {output}");
        assert_eq!(output.stderr, "", "{words}: {output}");
    }
    for words in ["status", "list", "enforce -n", "cat 00000002"] {
        let script = format!("\"$PROGRAM\" {words} >/dev/full");
        let run = sandbox.command(["unused"]).by("/bin/true").env("PROGRAM", program());
        let output = run.through(["bash", "-c", &script]).run();
        output.exits(1);
        let errors = output.stderr.lines().filter(|line| line.starts_with("ccretain: error: ")).count();
        assert_eq!(errors, 1, "{words}: {output}");
    }
}

#[test]
fn arguments_that_are_missing_or_contradict() {
    let (sandbox, _store) = sandbox();
    for words in [
        &["seal"][..],
        &["resume"],
        &["explain", ""],
        &["hold", "add", "--reason", "x"],
        &["hold", "add", "--session", "00000002"],
        &["hold", "release", "case"],
        &["hold", "restore"],
        &["purge", "--session", "00000002", "--project", "/x/**"],
        &["purge", "--sign", "key"],
        &["enforce", "--yes", "--dry-run"],
        &["enforce", "--max-runtime"],
        &["unseal", "00000002", "--touch", "--keep-date"],
        &["seal", "00000002", "--idle", "7d"],
        &["report"],
        &["completions"],
        &["mdm"],
        &["status", "--store"],
    ] {
        mistake(&sandbox, Me, words, 2, Some(2));
    }
}

#[test]
fn values_that_are_none_of_those() {
    let (sandbox, _store) = sandbox();
    for words in [
        &["ledger", "verify", "--head", "123"][..],
        &["ledger", "show", "-n", "many"],
        &["policy", "check", "--as", "boss"],
        &["schedule", "install", "--every", "fortnight"],
        &["schedule", "install", "--backend", "crontab"],
        &["--color", "sometimes", "status"],
        &["purge", "--with", "everything"],
        &["check", "--fail-on", "terrible"],
        &["key", "new", "--passphrase=secret"],
        &["hold", "add", "--session", "00000002", "--reason", "x", "--until", "tomorrow"],
    ] {
        mistake(&sandbox, Me, words, 2, Some(2));
    }
    sandbox.run(["ledger", "show", "-n", "many"]).never_says("invalid digit");
}

#[test]
fn words_in_the_wrong_place() {
    let (sandbox, _store) = sandbox();
    for words in [
        &["status", "everything"][..],
        &["purge", "everything"],
        &["explain", "00000002", "00000003"],
        &["help", "nonsense"],
        &["--json", "frobnicate"],
        &["--all-users", "list"],
        &["--all-users", "check", "--services"],
        &["--all-users", "--store", "/nowhere", "status"],
    ] {
        mistake(&sandbox, Me, words, 2, Some(2));
    }
    mistake(&sandbox, Me, &["list", "00000002"], 2, Some(2));
    let output = sandbox.run(["list", "00000002"]);
    assert_eq!(is_told_well(&output), ["ccretain explain 00000002"]);
}

#[test]
fn files_that_are_something_else() {
    let (sandbox, _store) = sandbox();
    for words in [
        &["--policy", "/etc/passwd", "enforce", "-n"][..],
        &["--policy", "/etc", "enforce", "-n"],
        &["policy", "check", "/etc"],
        &["ledger", "verify", "--certificate", "/etc"],
        &["purge", "--yes", "--certificate", "x.json", "--sign", "/nowhere/key"],
    ] {
        let output = sandbox.run(words);
        output.exits(2);
        is_told_well(&output);
    }
    // To read what is not there, no folder helps.
    let output = sandbox.run(["purge", "--yes", "--certificate", "x.json", "--sign", "/nowhere/key"]);
    output.never_says("mkdir");
    fs::create_dir(sandbox.home().join("empty")).unwrap();
    mistake(&sandbox, Me, &["report", "--html", "x.html", "[HOME]/empty"], 1, Some(1));
    mistake(&sandbox, Me, &["enforce", "--yes", "--metrics", "[HOME]/no/such/figures"], 1, Some(0));
    let recipient = identity(&sandbox);
    seals(&sandbox, &recipient, "");
    sandbox.run(["seal", &id(2)]).exits(0);
    let output = sandbox.run(["unseal", &id(2), "--identity", "/etc/passwd"]);
    output.exits(2);
    assert_eq!(is_told_well(&output), ["--identity FILE"]);
}
