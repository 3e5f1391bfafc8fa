//! The verb `schedule` from outside: a scratch home, and stand-ins for cron and systemd in `PATH`.

#![expect(clippy::disallowed_methods, reason = "tests write scratch files")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::sandbox::shield;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ccretain");

struct Sandbox {
    dir: tempfile::TempDir,
}

#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    #[track_caller]
    fn with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    #[track_caller]
    fn json(self) -> Value {
        let ended = self.with(0);
        assert_eq!(ended.stderr, "");
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
    }
}

impl Sandbox {
    fn new() -> Self {
        let sandbox = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["home/.claude", "bin", "state", "config", "tmp"] {
            fs::create_dir_all(sandbox.path(folder)).unwrap();
        }
        sandbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A program in `PATH`; `$0.data` is its memory.
    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn cron(&self) {
        self.program(
            "crontab",
            "case $1 in\n-l) cat \"$0.data\" 2>/dev/null || { echo 'no crontab for me' >&2; exit 1; } ;;\n\
             -) cat >\"$0.data\" ;;\n-r) rm \"$0.data\" ;;\nesac",
        );
    }

    fn table(&self) -> Option<Vec<u8>> {
        fs::read(self.path("bin/crontab.data")).ok()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = shielded(program);
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", self.path("bin"))
            .env("TMPDIR", self.path("tmp"))
            .env("CCRETAIN_STATE_DIR", self.path("state"))
            .env("CCRETAIN_CONFIG_DIR", self.path("config"))
            .env("TZ", "UTC")
            .current_dir(self.path("tmp"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(PROGRAM).args(arguments).output().unwrap();
        Ended {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn schedule(&self, arguments: &[&str]) -> Ended {
        self.run(&[&["schedule"], arguments].concat())
    }

    /// Everything in the home and what cron knows.
    fn traces(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        walkdir::WalkDir::new(self.path("home"))
            .sort_by_file_name()
            .into_iter()
            .map(|entry| entry.unwrap().into_path())
            .map(|path| (path.clone(), fs::read(path).ok()))
            .chain([("crontab".into(), self.table())])
            .collect()
    }

    fn state(&self) -> Value {
        let text = fs::read(self.path("state/state.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

/// A program kept from the account's real temp tree, which a run visits wherever `TMPDIR` points.
fn shielded(program: &str) -> Command {
    let mut words = shield();
    words.push(program.into());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// Waits for something that happens in the background.
fn eventually(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn a_cron_line_is_installed_once_and_taken_away_byte_for_byte() {
    for table in [None, Some(&b"# mine\n5 5 * * * true \\%\n"[..]), Some(b"no end"), Some(b"")] {
        let sandbox = Sandbox::new();
        sandbox.cron();
        if let Some(table) = table {
            fs::write(sandbox.path("bin/crontab.data"), table).unwrap();
        }
        let before = sandbox.traces();
        let install = ["install", "--backend", "cron", "--every", "6h", "--at", "3:15"];
        let first = sandbox.schedule(&[&install[..], &["--json"]].concat()).json();
        assert_eq!(first["schedules"][0]["changed"], true);
        let once = sandbox.table().unwrap();
        let again = sandbox.schedule(&install).with(0);
        assert!(again.stdout.contains("already installed"), "{}", again.stdout);
        assert_eq!(sandbox.table().unwrap(), once);

        // What print shows is the line, and it is there once.
        let printed = sandbox.schedule(&[&["print"], &install[1..]].concat()).with(0).stdout;
        let line = printed.strip_prefix("# crontab\n").unwrap();
        let text = String::from_utf8(once).unwrap();
        assert_eq!(text.matches(line).count(), 1, "{text}");
        assert!(line.starts_with("15 3,9,15,21 * * * ") && line.ends_with("# ccretain\n"), "{line}");
        assert!(line.contains(&format!("{PROGRAM} enforce --yes ")), "{line}");

        let status = sandbox.schedule(&["status", "--json"]).json();
        assert_eq!(status["schema"], "ccretain.schedule-status/1");
        assert_eq!(status["installed"].as_array().unwrap().len(), 1);
        assert_eq!(status["installed"][0]["backend"], "cron");
        assert_eq!(status["installed"][0]["program"], "current");
        assert!(status["installed"][0]["where"].as_str().unwrap().contains("crontab"));
        let next = status["installed"][0]["next"].as_str().unwrap();
        assert!(
            ["03", "09", "15", "21"].iter().any(|hour| next.contains(&format!("T{hour}:15:00Z"))),
            "{next}"
        );
        assert_eq!(status["lastRun"], Value::Null);

        let removed = sandbox.schedule(&["remove"]).with(0);
        assert!(removed.stdout.starts_with("removed: cron\n"), "{}", removed.stdout);
        assert_eq!(sandbox.traces(), before);
        assert!(!sandbox.path("state/schedule.json").exists());
        assert_eq!(sandbox.schedule(&["remove"]).with(0).stdout, "nothing was installed\n");
        let status = sandbox.schedule(&["status", "--json"]).json();
        assert_eq!(status["installed"], json!([]));
    }
}

#[test]
fn a_table_whose_listing_hides_a_carriage_return_is_left_as_it_is() {
    // As Debian's program prints it.
    let debian = "case $1 in\n-l) [ -e \"$0.data\" ] || { echo 'no crontab for me' >&2; exit 1; }\n\
         sed 's/\\r/\\\\r/g' \"$0.data\" ;;\n-) cat >\"$0.data\" ;;\n-r) rm \"$0.data\" ;;\nesac";
    for table in [&b"# mine\n5 5 * * * true\r\n"[..], b"# mine\n5 5 * * * tr -d '\\r'\n", b"\n# a\rb\n"] {
        let sandbox = Sandbox::new();
        sandbox.program("crontab", debian);
        let data = sandbox.path("bin/crontab.data");
        fs::write(&data, table).unwrap();
        let before = sandbox.traces();
        let ended = sandbox.schedule(&["install", "--backend", "cron"]).with(4);
        assert_eq!(sandbox.traces(), before);
        assert!(ended.stderr.contains("line 2 of `crontab -l`"), "{}", ended.stderr);
        // The line it names does the same by hand, and is known from then on.
        let line = ended.stderr.lines().find_map(|text| text.split_once("`crontab -e`: ")).unwrap().1;
        assert!(line.ends_with("# ccretain"), "{line}");
        fs::write(&data, [table, line.as_bytes(), b"\n"].concat()).unwrap();
        let status = sandbox.schedule(&["status", "--json"]).json();
        assert_eq!(status["installed"][0]["backend"], "cron");
        let by_hand = sandbox.traces();
        let again = sandbox.schedule(&["install", "--backend", "cron"]).with(0);
        assert!(again.stdout.contains("already installed"), "{}", again.stdout);
        sandbox.schedule(&["install", "--backend", "cron", "--every", "6h"]).with(4);
        let ended = sandbox.schedule(&["remove"]).with(4);
        assert!(ended.stderr.contains("delete the line that ends with '# ccretain'"), "{}", ended.stderr);
        assert_eq!(sandbox.traces(), by_hand);
        // Without a line of ours there is nothing to write.
        fs::write(&data, table).unwrap();
        sandbox.schedule(&["remove"]).with(0);
        assert_eq!(sandbox.traces(), before);
    }
    // A program that prints them as they are hides nothing.
    let sandbox = Sandbox::new();
    sandbox.cron();
    fs::write(sandbox.path("bin/crontab.data"), b"5 5 * * * true\r\n# \\r\n").unwrap();
    let before = sandbox.traces();
    sandbox.schedule(&["install", "--backend", "cron"]).with(0);
    sandbox.schedule(&["remove"]).with(0);
    assert_eq!(sandbox.traces(), before);
}

/// The line that cron would hand to its shell, as cron would hand it over.
fn of_cron(table: &[u8]) -> String {
    let line = String::from_utf8(table.to_vec()).unwrap();
    line.splitn(6, ' ').nth(5).unwrap().replace("\\%", "%")
}

#[test]
fn the_line_really_enforces_with_nothing_but_its_own_variables() {
    let sandbox = Sandbox::new();
    sandbox.cron();
    // A store that only a variable names: the run will not see the variable.
    let moved = sandbox.path("tmp/moved 100%");
    fs::create_dir_all(moved.join("projects/-p")).unwrap();
    fs::write(moved.join(".claude.json"), "{\"numStartups\": 1}").unwrap();
    let output = sandbox
        .command(PROGRAM)
        .args(["schedule", "install", "--backend", "cron"])
        .env("CLAUDE_CONFIG_DIR", &moved)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let roots = sandbox.state()["roots"].to_string();
    assert!(roots.contains("moved 100%"), "{roots}");

    let line = of_cron(&sandbox.table().unwrap());
    let run = shielded("/bin/sh")
        .args(["-c", &line])
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0), "{line}\n{run:?}");
    assert_eq!((run.stdout.len(), run.stderr.len()), (0, 0), "{run:?}");
    let status = sandbox.schedule(&["status", "--json"]).json();
    assert_eq!(status["lastRun"]["exit"], 0);
    assert_eq!(status["installed"][0]["missed"], 0);
    let text = sandbox.schedule(&["status"]).with(0).stdout;
    assert!(text.contains("last run") && text.contains("exit 0"), "{text}");
}

#[test]
fn systemd_units_are_what_print_shows() {
    let sandbox = Sandbox::new();
    sandbox.program("systemctl", "echo \"$@\" >>\"$0.data\"");
    let before = sandbox.traces();
    let report = sandbox.schedule(&["install", "--every", "weekly", "--json"]).json();
    assert_eq!(report["schedules"][0]["backend"], "systemd");
    let note = report["schedules"][0]["notes"][0].as_str().unwrap();
    assert!(note.contains("loginctl enable-linger"), "{note}");
    let folder = sandbox.path("home/.config/systemd/user");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let printed = sandbox.schedule(&["print", "--every", "weekly"]).with(0).stdout;
    assert_eq!(
        printed,
        format!(
            "# ccretain.service\n{}\n# ccretain.timer\n{}",
            read("ccretain.service"),
            read("ccretain.timer")
        )
    );
    assert!(printed.contains(&format!("ExecStart={PROGRAM} enforce --yes\n")), "{printed}");
    assert!(printed.contains("OnCalendar=Mon *-*-* 12:30:00\n"));
    let calls = fs::read_to_string(sandbox.path("bin/systemctl.data")).unwrap();
    assert!(calls.contains("--user daemon-reload\n--user enable --now ccretain.timer\n"), "{calls}");

    sandbox.schedule(&["remove"]).with(0);
    assert_eq!(sandbox.traces(), before);
    let calls = fs::read_to_string(sandbox.path("bin/systemctl.data")).unwrap();
    assert!(calls.contains("--user disable --now ccretain.timer\n"), "{calls}");
}

/// What cannot be looked for is not gone.
#[test]
fn a_schedule_that_cannot_be_seen_is_not_said_to_be_removed() {
    let sandbox = Sandbox::new();
    sandbox.program("systemctl", "echo \"$@\" >>\"$0.data\"");
    sandbox.schedule(&["install", "--backend", "systemd"]).with(0);
    let (folder, moved) = (sandbox.path("home/.config/systemd"), sandbox.path("home/moved"));
    fs::rename(&folder, &moved).unwrap();
    // A link to itself: nobody sees what lies behind, not even root.
    std::os::unix::fs::symlink("systemd", &folder).unwrap();
    for words in [&["remove", "--backend", "systemd"][..], &["install", "--backend", "systemd"]] {
        let ended = sandbox.schedule(words).with(1);
        assert!(ended.stderr.contains("levels of symbolic links"), "{ended:?}");
    }
    fs::remove_file(&folder).unwrap();
    fs::rename(&moved, &folder).unwrap();
    sandbox.schedule(&["remove", "--backend", "systemd"]).with(0);
    assert!(!folder.exists());
}

#[test]
fn a_machine_without_a_scheduler_is_told_what_to_do() {
    let sandbox = Sandbox::new();
    let before = sandbox.traces();
    for (arguments, word) in [
        (vec!["install", "--backend", "cron"], "crontab"),
        (vec!["install", "--backend", "systemd"], "systemctl"),
        (vec!["install", "--backend", "launchd"], "launchctl"),
    ] {
        let ended = sandbox.schedule(&arguments).with(1);
        assert!(ended.stderr.contains(word) && ended.stderr.contains("ccretain: hint: "), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    // Without systemd and crontab, auto has nothing to choose, whatever else runs here.
    let ended = sandbox.schedule(&["install"]).with(1);
    assert!(ended.stderr.contains("no scheduler runs") && ended.stderr.contains("hint"), "{}", ended.stderr);
    // To print, no scheduler is needed.
    for (backend, head) in [
        ("systemd", "# ccretain.service\n"),
        ("launchd", "# io.github.ccretain.plist\n"),
        ("cron", "# crontab\n"),
        ("claude-hook", "# settings.json\n"),
        ("auto", "# ccretain.service\n"),
    ] {
        let ended = sandbox.schedule(&["print", "--backend", backend]).with(0);
        assert!(ended.stdout.starts_with(head), "{}", ended.stdout);
        let value = sandbox.schedule(&["print", "--backend", backend, "--json"]).json();
        assert!(value["units"][0]["content"].as_str().is_some_and(|text| text.contains("enforce")));
    }
    for arguments in [
        vec!["install", "--every", "5h"],
        vec!["install", "--every", "30"],
        vec!["install", "--at", "25:00"],
        vec!["install", "--backend", "anacron"],
        vec!["install", "--backend", "claude-hook", "--system", "--write"],
        vec!["print", "--backend", "claude-hook", "--system"],
    ] {
        let ended = sandbox.schedule(&arguments).with(2);
        assert!(!ended.stderr.is_empty());
    }
    assert_eq!(sandbox.traces(), before);
}

#[test]
fn the_hook_is_shown_then_written_then_taken_out() {
    let sandbox = Sandbox::new();
    let settings = sandbox.path("home/.claude/settings.json");
    let original = "{\n  \"z\": 1.10,\n  \"hooks\": {\"SessionEnd\": []},\n\t\"a\": \"\\u00e9\"\n}";
    fs::write(&settings, original).unwrap();
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o640)).unwrap();
    let before = sandbox.traces();
    let install = ["install", "--backend", "claude-hook"];
    let shown = sandbox.schedule(&install).with(0);
    let value: Value = serde_json::from_str(shown.stdout.strip_prefix("# settings.json\n").unwrap()).unwrap();
    assert_eq!(sandbox.traces(), before);

    let install = [&install[..], &["--write"]].concat();
    sandbox.schedule(&install).with(0);
    let written = fs::read_to_string(&settings).unwrap();
    let merged: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(merged["hooks"]["SessionEnd"], value["hooks"]["SessionEnd"]);
    assert!(written.contains("\"z\": 1.10,") && written.ends_with(",\n\t\"a\": \"\\u00e9\"\n}"), "{written}");
    assert_eq!(fs::metadata(&settings).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(sandbox.schedule(&install).with(0).stdout.starts_with("already installed"));
    let status = sandbox.schedule(&["status", "--json"]).json();
    assert_eq!(status["installed"][0]["backend"], "claude-hook");
    assert_eq!(status["installed"][0]["next"], Value::Null);
    assert_eq!(status["installed"][0]["program"], "current");

    // The command of the hook ends at once and without a word; the run goes on by itself.
    let command = merged["hooks"]["SessionEnd"][0]["hooks"][0]["command"].as_str().unwrap();
    let start = Instant::now();
    let output =
        sandbox.command("/bin/sh").env("PATH", "/usr/bin:/bin").args(["-c", command]).output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(
        (output.status.code(), output.stdout.len(), output.stderr.len()),
        (Some(0), 0, 0),
        "{output:?}"
    );
    let ran = || sandbox.schedule(&["status", "--json"]).json()["lastRun"]["exit"] == 0;
    assert!(eventually(Duration::from_secs(20), ran), "{command}");

    // Only with --write is it taken out.
    let shown = sandbox.schedule(&["remove", "--backend", "claude-hook"]).with(1);
    assert!(
        shown.stdout.contains("not removed") && shown.stdout.contains("claude-hook --write"),
        "{}",
        shown.stdout
    );
    assert_eq!(fs::read_to_string(&settings).unwrap(), written);
    sandbox.schedule(&["remove", "--backend", "claude-hook", "--write"]).with(0);
    assert_eq!(fs::read_to_string(&settings).unwrap(), original);
    assert_eq!(fs::metadata(&settings).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_settings_file_that_is_a_link_stays_one() {
    let sandbox = Sandbox::new();
    let real = sandbox.path("home/dotfiles.json");
    let settings = sandbox.path("home/.claude/settings.json");
    fs::write(&real, "{}\n").unwrap();
    std::os::unix::fs::symlink(&real, &settings).unwrap();
    sandbox.schedule(&["install", "--backend", "claude-hook", "--write"]).with(0);
    assert!(fs::symlink_metadata(&settings).unwrap().is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("enforce --yes"));
    sandbox.schedule(&["remove", "--backend", "claude-hook", "--write"]).with(0);
    assert!(fs::symlink_metadata(&settings).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), "{}\n");
}

#[test]
fn broken_settings_are_refused_and_kept() {
    let sandbox = Sandbox::new();
    let settings = sandbox.path("home/.claude/settings.json");
    fs::write(&settings, "{\"secret\": \"s3cr3t\",}").unwrap();
    let ended = sandbox.schedule(&["install", "--backend", "claude-hook", "--write"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("not valid JSON") && !ended.stderr.contains("s3cr3t"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&settings).unwrap(), "{\"secret\": \"s3cr3t\",}");
}

#[test]
fn an_invalid_policy_is_not_put_on_a_schedule() {
    let sandbox = Sandbox::new();
    sandbox.cron();
    fs::write(sandbox.path("config/policy.json"), "{\"version\": 1, \"rulez\": []}").unwrap();
    let ended = sandbox.schedule(&["install", "--backend", "cron"]).with(2);
    assert!(ended.stderr.contains("rulez"), "{}", ended.stderr);
    assert_eq!(sandbox.table(), None);
}

/// Whatever a schedule is told to run, the program has to understand.
#[test]
fn every_command_that_is_written_is_understood() {
    let sandbox = Sandbox::new();
    let all = [
        "--store",
        "s",
        "--policy",
        "p 1.json",
        "--max-runtime",
        "10min",
        "--log-format",
        "json",
        "--metrics",
        "m.prom",
    ];
    fs::write(sandbox.path("tmp/p 1.json"), "{\"version\": 1}").unwrap();
    for (options, expected) in [
        (vec![], vec!["enforce", "--yes"]),
        (
            all.to_vec(),
            vec!["--store", "--policy", "--max-runtime", "10min", "--log-format", "json", "--metrics"],
        ),
        (vec!["--log-format", "text"], vec!["--log-format", "text"]),
        ([&all[2..], &["--system"]].concat(), vec!["--all-users", "--metrics", "--log-format", "--policy"]),
    ] {
        let arguments = [&["print", "--backend", "launchd", "--json"][..], &options].concat();
        let value = sandbox.schedule(&arguments).json();
        let words = words_of_plist(value["units"][0]["content"].as_str().unwrap());
        assert_eq!(words.get(1).map(String::as_str), Some("enforce"));
        for word in expected {
            assert!(words.iter().any(|one| one == word), "{word} is missing in {words:?}");
        }
        // It is taken apart as it would be at a start, and not merely looked through for `--help`.
        let mut command: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        let ended = sandbox.run(&[&command[..], &["--no-such-option"]].concat()).with(2);
        assert!(ended.stderr.contains("--no-such-option"), "{ended:?}");
        command.push("--help");
        let ended = sandbox.run(&command).with(0);
        assert!(ended.stdout.contains("Usage"), "{ended:?}");
        for (option, file) in [("--store", "s"), ("--policy", "p 1.json"), ("--metrics", "m.prom")] {
            let at = words.iter().position(|word| word == option);
            let path = at.map(|at| Path::new(&words[at + 1]).to_owned());
            assert!(path.is_none_or(|path| path == sandbox.path("tmp").join(file)), "{option} in {words:?}");
        }
    }
}

fn words_of_plist(text: &str) -> Vec<String> {
    let value = plist::Value::from_reader(std::io::Cursor::new(text.as_bytes())).unwrap();
    let words = value.as_dictionary().unwrap().get("ProgramArguments").unwrap().as_array().unwrap();
    words.iter().map(|word| word.as_string().unwrap().to_owned()).collect()
}
