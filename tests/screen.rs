//! What people see on terminals of several widths, and what stands in a pipe.

use std::fs;

use serde_json::json;

use crate::common::output::settled;
use crate::common::sandbox::has;
use crate::common::{Output, Sandbox, StoreBuilder, days, hours, id, skip};

/// A store with sessions in projects of long names.
fn sandbox() -> (Sandbox, StoreBuilder) {
    let sandbox = Sandbox::new();
    sandbox.policy(
        r#"{"version": 1, "rules": [{"name": "logs", "kinds": ["debug-log"], "deleteAfter": "3d"},
            {"name": "default", "deleteAfter": "30d"}],
            "holds": [{"name": "case-14", "projects": ["/held"], "reason": "litigation"}]}"#,
    );
    let store = sandbox.store();
    let home = sandbox.home();
    let payments = home.join("work/acme/services/payments-api");
    let payments = payments.to_str().unwrap();
    store.session(1).cwd(payments).aged(days(40)).write().subagent("a1", days(40));
    store.session(2).cwd(payments).aged(days(33)).write();
    store.session(3).cwd("/work/acme/web").aged(days(27) + hours(1)).write();
    store.session(4).cwd("/held").aged(days(60)).write();
    store.session(5).cwd("/work/acme/web").aged(days(2)).write();
    store.history(Some(&id(1)), payments, days(40));
    (sandbox, store)
}

/// What stands on a terminal of so many columns.
fn on_terminal(sandbox: &Sandbox, columns: u32, words: &[&str]) -> Option<Output> {
    if !has("python3") {
        skip("there is no python3 for a terminal");
        return None;
    }
    let run = sandbox.command(words.iter().copied()).env("COLUMNS", columns.to_string());
    let mut output = run
        .env("LC_ALL", "C.UTF-8")
        .env("USER", "ada")
        .env("TZ", "UTC")
        .env("NO_COLOR", "1")
        .on_terminal("")
        .run();
    output.stdout = output.stdout.replace('\r', "");
    Some(output)
}

/// How many columns a line takes; no wide characters are in these stores.
fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    let (sandbox, _store) = sandbox();
    for columns in [40, 60, 80, 100, 120] {
        for words in [
            &["status"][..],
            &["status", "-v"],
            &["list"],
            &["enforce", "-n"],
            &["enforce", "-n", "-v"],
            &["enforce", "-n", "-vv"],
        ] {
            let Some(output) = on_terminal(&sandbox, columns, words) else { return };
            // The rows of the program's events on stderr are no report.
            let text: String =
                output.stdout.lines().filter(|line| !line.contains("DEBUG")).collect::<Vec<_>>().join("\n");
            assert!(widest(&text) <= columns as usize, "{words:?} at {columns}:\n{text}");
        }
    }
}

/// The reports whose ids and digests are longer than a narrow terminal is wide.
fn others() -> [Vec<String>; 10] {
    let of = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    [
        of("hold list -v"),
        of("policy show"),
        of("schedule status"),
        of("purge -n"),
        of("check -v"),
        of("check --services -v"),
        of("ledger verify"),
        of("ledger show"),
        of(&format!("explain {}", id(1))),
        of(&format!("explain {}", id(4))),
    ]
}

#[test]
fn no_report_is_wider_than_a_usual_terminal() {
    let (sandbox, _store) = sandbox();
    sandbox.run(["enforce", "--yes", "--store", "/nowhere"]);
    for columns in [80, 100, 120] {
        for words in others() {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let Some(output) = on_terminal(&sandbox, columns, &words) else { return };
            assert!(widest(&output.stdout) <= columns as usize, "{words:?} at {columns}:\n{output}");
        }
    }
}

/// Where a line is wider than a narrow terminal it is one word: a path or an id that must be whole to be copied.
#[test]
fn nothing_but_whole_words_is_wider_than_40_columns() {
    let (sandbox, _store) = sandbox();
    sandbox.run(["enforce", "--yes"]).exits(0);
    for words in others() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some(output) = on_terminal(&sandbox, 40, &words) else { return };
        let is_one_word = |line: &str| !line.trim().contains(' ');
        for line in output.stdout.lines().filter(|line| line.chars().count() > 40) {
            assert!(is_one_word(line), "{words:?}: {line}\n{output}");
        }
    }
    let Some(help) = on_terminal(&sandbox, 40, &["--help"]) else { return };
    assert!(widest(&help.stdout) <= 40, "{help}");
}

#[test]
fn other_reports_at_60_80_and_120_columns() {
    let (sandbox, _store) = sandbox();
    for columns in [60, 80, 120] {
        for words in [
            &["hold", "list", "-v"][..],
            &["policy", "show"],
            &["schedule", "status"],
            &["purge", "-n"],
            &["explain", "00000002"],
        ] {
            let Some(output) = on_terminal(&sandbox, columns, words) else { return };
            let name = format!("{}_{}_{columns}", words[0], words[1].trim_start_matches('-'));
            insta::assert_snapshot!(name, settled(&output.stdout));
        }
    }
}

#[test]
fn the_ledger_at_60_80_and_120_columns() {
    let (sandbox, _store) = sandbox();
    sandbox.run(["enforce", "--yes"]).exits(0);
    let run = sandbox.ledger_lines()[0]["run"].as_str().unwrap()[..8].to_owned();
    for columns in [60, 80, 120] {
        let Some(output) = on_terminal(&sandbox, columns, &["ledger", "show"]) else { return };
        insta::assert_snapshot!(
            format!("ledger_show_{columns}"),
            settled(&output.stdout.replace(&run, "[RUN]"))
        );
    }
}

#[test]
fn a_message_fits_the_terminal_and_is_whole_in_a_pipe() {
    let (sandbox, _store) = sandbox();
    let words = ["explain", "ffffffff"];
    let message = sandbox.run(words).exits(2).stderr.clone();
    assert!(widest(&message) > 40, "{message}");
    let Some(output) = on_terminal(&sandbox, 40, &words) else { return };
    let shown = output.stdout.replace('\r', "");
    assert!(widest(&shown) <= 40, "{shown}");
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(plain(&shown), plain(&message));
}

#[test]
fn times_are_local_for_people_and_utc_for_programs() {
    let (sandbox, _store) = sandbox();
    sandbox.run(["enforce", "--yes"]);
    for words in [vec!["explain".to_owned(), id(3)], vec!["ledger".into(), "show".into()]] {
        let at = |zone: &str| sandbox.command(words.iter()).env("TZ", zone).run();
        let (here, there) = (at("UTC"), at("Asia/Tokyo"));
        assert_ne!(here.exits(0).stdout, there.exits(0).stdout, "{words:?}");
        here.never_says("Z ").never_says("+00:00");
        let json = sandbox.command(words.iter()).arg("--json").env("TZ", "Asia/Tokyo").run();
        json.exits(0).says("Z\"").never_says("+09:00");
    }
}

#[test]
fn messages_fit_and_their_commands_stay_whole() {
    let (sandbox, _store) = sandbox();
    for columns in [40, 60, 80] {
        for (words, command) in [
            (&["explain", "123"][..], "`ccretain list`"),
            (&["enforce", "--force"], "`ccretain enforce --help`"),
            (&["seal", "00000003"], "`ccretain key new`"),
        ] {
            let Some(output) = on_terminal(&sandbox, columns, words) else { return };
            assert!(widest(&output.stdout) <= columns as usize, "{columns}: {output}");
            assert!(output.stdout.lines().any(|line| line.contains(command)), "{columns}: {output}");
        }
    }
}

#[test]
fn a_pipe_has_every_word() {
    let (sandbox, _store) = sandbox();
    let long = "work/acme/services/payments-api";
    for words in [&["status"][..], &["list"], &["enforce", "-n"], &["enforce", "-n", "-vv"]] {
        let output = sandbox.run(words.iter().copied());
        output.exits(0).says(long).never_says("…").never_says("\u{1b}[");
    }
}

#[test]
fn equal_runs_say_the_same_and_count_a_session_at_its_transcript() {
    let (sandbox, store) = sandbox();
    sandbox.policy(
        r#"{"version": 1, "guard": "off", "rules": [{"name": "logs", "kinds": ["debug-log"], "deleteAfter": "3d"},
            {"name": "default", "deleteAfter": "30d"}]}"#,
    );
    for number in 10..40 {
        store.session(number).cwd(&format!("/work/p{}", number % 7)).aged(days(50)).write().satellites();
    }
    let table = |output: &Output| output.exits(0).stdout.split("\n\n").next().unwrap().to_owned();
    let first = table(&sandbox.run(["enforce", "-n"]));
    for _ in 0..50 {
        assert_eq!(table(&sandbox.run(["enforce", "-n"])), first);
    }
    // As many sessions as are deleted, each in the row of its project.
    let sum: u64 = first
        .lines()
        .skip(1)
        .filter(|line| line.starts_with("delete"))
        .filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok())
        .sum();
    assert_eq!(sum, sandbox.dry_run().summary("sessionsDeleted"));
}

#[test]
fn at_80_columns() {
    let (sandbox, _store) = sandbox();
    let Some(status) = on_terminal(&sandbox, 80, &["status"]) else { return };
    insta::assert_snapshot!("status_80", settled(&status.stdout));
    insta::assert_snapshot!("list_80", settled(&on_terminal(&sandbox, 80, &["list"]).unwrap().stdout));
    insta::assert_snapshot!(
        "enforce_80",
        settled(&on_terminal(&sandbox, 80, &["enforce", "-n"]).unwrap().stdout)
    );
}

#[test]
fn at_60_and_120_columns() {
    let (sandbox, _store) = sandbox();
    for columns in [60, 120] {
        for verb in ["status", "list", "enforce"] {
            let words: &[&str] = if verb == "enforce" { &["enforce", "-n", "-v"] } else { &[verb] };
            let Some(output) = on_terminal(&sandbox, columns, words) else { return };
            insta::assert_snapshot!(format!("{verb}_{columns}"), settled(&output.stdout));
        }
    }
}

#[test]
fn the_question_names_the_act_and_no_is_no_error() {
    let (sandbox, _store) = sandbox();
    let before = sandbox.tree();
    let run = sandbox.command(["enforce"]).env("COLUMNS", "80").on_terminal("n\n").run();
    run.exits(4)
        .says("Permanently delete 2 sessions (")
        .says("remove 1 prompt from")
        .says("Type \"yes\" to continue")
        .says("cancelled: nothing was changed")
        .never_says("error");
    before.is_unchanged(&sandbox.tree().without(".claude/ccretain"));
    let run = sandbox.command(["enforce"]).env("COLUMNS", "80").on_terminal("yes\n").run();
    run.exits(0).says("deleted");
    assert_eq!(run.stdout.matches("ACTION").count(), 1, "the table is shown once: {run}");
    let run =
        sandbox.command(["ledger", "show", "--color", "never"]).env("COLUMNS", "80").on_terminal("").run();
    run.exits(0);
    let widest = run.stdout.lines().map(|line| line.trim_end().chars().count()).max();
    assert!(widest <= Some(80), "{widest:?}: {run}");
    let run = sandbox.command(["purge", "--project", "/work/acme/web"]).env("COLUMNS", "80");
    let run = run.on_terminal("n\n").run();
    run.exits(4).says("Permanently delete 2 sessions (").says(" session").never_says("all of this");
}

#[test]
fn a_list_has_ids_states_and_next_steps() {
    let (sandbox, store) = sandbox();
    let live = store.session(6).aged(days(50)).write();
    store.pid_file(std::process::id(), live.id(), json!({}));
    let document = sandbox.run(["list", "--json"]).exits(0).quietly().json();
    assert_eq!(document["schema"], "ccretain.list/1");
    let of = |number: u32| {
        let sessions = document["sessions"].as_array().unwrap();
        sessions.iter().find(|session| session["session"] == id(number)).unwrap().clone()
    };
    assert_eq!((&of(1)["state"], &of(1)["due"]), (&"plain".into(), &true.into()));
    assert_eq!((&of(1)["next"]["action"], &of(1)["next"]["rule"]), (&"delete".into(), &"default".into()));
    assert_eq!((&of(4)["state"], &of(4)["next"]), (&"held".into(), &serde_json::Value::Null));
    assert_eq!(of(6)["state"], "active");
    // A step that is told is the one that `explain` and `status` tell.
    let explained = sandbox.run(["explain", &id(3), "--json"]).exits(0).json();
    assert_eq!(explained["next"], of(3)["next"]);
    let status = sandbox.run(["status", "--json"]).exits(0).json();
    assert_eq!(status["due"]["next7Days"][0]["due"], of(3)["next"]["at"]);
    assert!(document.to_string().find("title").is_none(), "{document}");
}

#[test]
fn filters_of_the_list() {
    let (sandbox, _store) = sandbox();
    let ids = |words: &[&str]| -> Vec<String> {
        let words = ["list"].iter().chain(words).copied();
        let output = sandbox.run(words);
        let lines = output.exits(0).quietly().stdout.lines();
        lines.map(|line| line.split('\t').next().unwrap()[..8].to_owned()).collect()
    };
    assert_eq!(ids(&["--due"]), ["00000002", "00000001"]);
    assert_eq!(ids(&["--held"]), ["00000004"]);
    assert_eq!(ids(&["--project", "/work/acme/**"]), ["00000005", "00000003"]);
    assert_eq!(ids(&["--project", "work/**"]), ["00000002", "00000001"], "a relative one is below here");
    assert_eq!(ids(&["--older", "30d"]), ["00000002", "00000001", "00000004"]);
    assert!(ids(&["--encrypted"]).is_empty());
    let recipient = sandbox.run(["key", "new"]).exits(0).stdout.clone();
    let recipient = recipient.split_whitespace().find(|word| word.starts_with("age1")).unwrap().to_owned();
    let config = sandbox.config().join("policy.json");
    let mut policy: serde_json::Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    policy["recipients"] = json!([recipient]);
    fs::write(&config, policy.to_string()).unwrap();
    sandbox.run(["seal", &id(3), "--yes"]).exits(0);
    assert_eq!(ids(&["--encrypted"]), ["00000003"]);
    let sealed = sandbox.run(["list", "--encrypted", "--json"]).exits(0).json();
    assert_eq!(sealed["sessions"][0]["state"], "encrypted");
    assert_eq!(sandbox.run(["ls", "--due"]).stdout, sandbox.run(["sessions", "--due"]).stdout);
    sandbox.run(["list", "--older", "7"]).exits(2);
    sandbox.run(["list", "--project", "~bob/x"]).exits(2);
    let line = sandbox.run(["list", "--held"]).stdout;
    let cells: Vec<&str> = line.trim_end().split('\t').collect();
    assert_eq!((cells[0], cells[2], cells[4]), (id(4).as_str(), "/held", "held"), "{cells:?}");
}

#[test]
fn titles_are_for_people_who_look() {
    let (sandbox, store) = sandbox();
    let prompt = "Draft the motion to compel";
    store
        .session(7)
        .aged(days(3))
        .head(&json!({"type": "user", "message": {"role": "user", "content": prompt}}).to_string())
        .write();
    let mut tried = 0;
    for words in [
        &["list"][..],
        &["list", "--json"],
        &["status"],
        &["status", "-v"],
        &["enforce", "-n", "-vv"],
        &["explain", "00000007"],
    ] {
        sandbox.run(words.iter().copied()).exits(0).never_says("motion to compel");
        tried += 1;
    }
    assert_eq!(tried, 6);
    sandbox.run(["list", "--titles"]).exits(0).says(prompt);
    sandbox.run(["list", "--titles", "--json"]).exits(0).says(prompt);
    if let Some(output) = on_terminal(&sandbox, 120, &["list"]) {
        output.exits(0).says(prompt);
    }
    if let Some(output) = on_terminal(&sandbox, 120, &["enforce", "-n", "-v"]) {
        output.never_says("motion to compel");
    }
}

#[test]
fn a_list_of_none_says_of_how_many() {
    let (sandbox, _store) = sandbox();
    let Some(output) = on_terminal(&sandbox, 80, &["list", "--encrypted"]) else { return };
    output.exits(0).says("none of 5 sessions matches");
}

#[test]
fn notes_are_marked_and_fit() {
    let (sandbox, _store) = sandbox();
    let Some(made) = on_terminal(&sandbox, 60, &["key", "new"]) else { return };
    made.exits(0).says("ccretain: note: made\n");
    let broken = made.stdout.lines().filter(|line| !line.contains('\'') && !line.starts_with("age1"));
    assert!(broken.map(str::len).all(|length| length <= 60), "{made}");
    let sealed = on_terminal(&sandbox, 60, &["seal", "00000003", "--yes"]).unwrap();
    sealed.exits(0).says("ccretain: note: the policy names no recipient");
}

#[test]
fn reasons_are_the_same_words_at_every_depth() {
    let (sandbox, store) = sandbox();
    store.session(8).aged(chrono::TimeDelta::minutes(3)).write();
    for depth in ["-v", "-vv"] {
        let output = sandbox.run(["enforce", "-n", depth]);
        output.exits(0).says("active within the last hour").says("held by 'case-14'");
        assert!(!output.stdout.contains("not-due"), "{output}");
    }
}

#[test]
fn what_a_locale_cannot_show_is_a_question_mark() {
    let (sandbox, store) = sandbox();
    let head = json!({"type": "user", "message": {"role": "user", "content": "Straße 日本"}});
    store.session(7).aged(days(3)).head(&head.to_string()).write();
    if on_terminal(&sandbox, 120, &["list"]).is_none() {
        return;
    }
    let list = sandbox.command(["list"]).env("LC_ALL", "C").env("COLUMNS", "120").on_terminal("").run();
    list.exits(0).says("Stra?e ??");
    assert!(list.stdout.is_ascii(), "{list}");
}

#[test]
fn moments_in_a_pipe_have_their_year() {
    let (sandbox, _store) = sandbox();
    let explained = sandbox.run(["explain", &id(3)]);
    let counted = explained.stdout.lines().find(|line| line.contains("counts")).unwrap_or_default();
    let is_day = |word: &str| word.len() == 10 && word.starts_with("20") && word.matches('-').count() == 2;
    assert!(counted.split_whitespace().any(is_day), "{explained}");
}

#[test]
fn after_the_answer_a_purge_shows_what_it_came_to() {
    let (sandbox, _store) = sandbox();
    if on_terminal(&sandbox, 80, &["status"]).is_none() {
        return;
    }
    let words = ["purge", "--project", "/work/acme/web"];
    let run = sandbox.command(words).env("COLUMNS", "80").env("NO_COLOR", "1").on_terminal("purge\n").run();
    let said = &run.stdout;
    assert_eq!(said.matches("PROJECTS").count(), 1, "{run}");
    run.says("removed: 2 sessions").says("verdict: ");
    let answered = said.split("to continue:").nth(1).unwrap_or_default();
    assert!(!answered.contains("kept: "), "{run}");
}
