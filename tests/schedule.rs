//! The schedule before outside judges: systemd, plist readers, and schedulers that really fire.
//!
//! What is not on the machine is skipped loudly. The tests that wait for a scheduler run only
//! with `CCRETAIN_SLOW_TESTS` set and as root: each runs itself again inside namespaces of its
//! own, where it covers every real table and unit folder before it starts anything.

#![expect(
    clippy::disallowed_methods,
    reason = "tests write scratch files and look at the variables that switch them on"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use ccretain::internals::platform::Platform;
use ccretain::internals::schedule::{
    At, Backend, Every, Job, LogFormat, Places, Program, Scheduler, Scope, SystemHost, render,
};
use chrono::{Local, Utc};

/// The units the packages ship: where they lie and what they are rendered from.
fn shipped() -> Vec<(&'static str, Backend, Job)> {
    vec![
        ("systemd/system", Backend::Systemd, Job::new("/usr/bin/ccretain", Scope::System)),
        ("systemd/user", Backend::Systemd, Job::new("/usr/bin/ccretain", Scope::User)),
        (
            "launchd/daemon",
            Backend::Launchd,
            Job {
                log: Some("/Library/Logs/ccretain/schedule.log".into()),
                ..Job::new("/opt/ccretain/bin/ccretain", Scope::System)
            },
        ),
        // One agent for every user has no home to log to.
        ("launchd/agent", Backend::Launchd, Job::new("/opt/ccretain/bin/ccretain", Scope::User)),
    ]
}

/// With `CCRETAIN_BLESS` set, writes the shipped units anew instead of comparing them.
#[test]
fn shipped_units_are_what_install_writes() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    for (folder, backend, job) in shipped() {
        let folder = packaging.join(folder);
        let units = render(backend, &job).unwrap();
        let mut names: Vec<_> = units.iter().map(|unit| unit.name.clone()).collect();
        for unit in units {
            let path = folder.join(&unit.name);
            if std::env::var_os("CCRETAIN_BLESS").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, &unit.content).unwrap();
            }
            let found =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(found, unit.content, "{} has drifted: run with CCRETAIN_BLESS=1", path.display());
        }
        let mut there: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        there.sort();
        assert_eq!(there, names, "{}", folder.display());
    }
}

/// Runs an outsider; `None`, and a loud line, where it is not on the machine.
fn judge(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).env("LC_ALL", "C").env("TZ", "UTC").output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("SKIPPED: no {program} on this machine");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A job with everything in it that can go wrong in a unit file.
fn odd(folder: &Path, scope: Scope) -> Job {
    let program = folder.join("a b%h$HOME/ccretain");
    stand_in(&program, &folder.join("mark"));
    Job {
        stores: vec!["/s t/%n/$x".into(), "/quo'te\"/$$HOME".into()],
        policy: Some("/p'q".into()),
        log_format: Some(LogFormat::Json),
        metrics: Some("/m/x.prom".into()),
        max_runtime: Some("30min".into()),
        environment: vec![("CCRETAIN_STATE_DIR".into(), "/st ate/100%".into())],
        ..Job::new(program, scope)
    }
}

/// A program that writes down how it was called.
fn stand_in(program: &Path, mark: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo stand-in 1; exit; fi\n\
         {{ for word; do printf '%s\\n' \"$word\"; done; printf '%s\\n' \"$CCRETAIN_STATE_DIR\"; }} >'{0}.new'\n\
         mv '{0}.new' '{0}'\necho noise\n",
        mark.display()
    );
    fs::write(program, script).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What the stand-in writes down for a job.
fn expected(job: &Job) -> String {
    let command = job.command().unwrap();
    let state = job.environment.first().map_or("", |(_, value)| value);
    command.get(1..).unwrap().join("\n") + "\n" + state + "\n"
}

#[test]
fn systemd_accepts_the_units() {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir_all(scratch.path().join("run")).unwrap();
    let verify = |at: &str, files: &[PathBuf]| {
        let run = Command::new("systemd-analyze")
            .arg(format!("--{at}"))
            .arg("verify")
            .args(files)
            .env("HOME", scratch.path())
            .env("XDG_RUNTIME_DIR", scratch.path().join("run"))
            .env("LC_ALL", "C")
            .output();
        run.map(|output| (output.status.success(), said(&output)))
    };
    for (at, scope) in [("user", Scope::User), ("system", Scope::System)] {
        for job in [Job::new("/bin/true", scope), odd(scratch.path(), scope)] {
            let mut files = Vec::new();
            for unit in render(Backend::Systemd, &job).unwrap() {
                // The manual page is not installed where the tests run.
                let content = unit.content.replace("Documentation=man:ccretain(1)\n", "");
                let path = scratch.path().join(&unit.name);
                fs::write(&path, content).unwrap();
                files.push(path);
            }
            let Ok((success, text)) = verify(at, &files) else {
                eprintln!("SKIPPED: no systemd-analyze on this machine");
                return;
            };
            // Other units of this machine may be at fault; ours must not be named.
            let ours: Vec<_> = text.lines().filter(|line| line.contains("ccretain")).collect();
            assert!(success && ours.is_empty(), "{text}");
        }
    }
    // The judge does judge: a broken unit is named.
    let bad = scratch.path().join("ccretain.service");
    fs::write(&bad, "[Service]\nType=oneshot\nExecStart=relative enforce\nNicer=1\n").unwrap();
    let (success, text) = verify("user", &[bad]).unwrap();
    assert!(!success && text.contains("Nicer"), "{text}");
}

#[test]
fn systemd_reads_the_calendar_as_we_do() {
    for (every, at) in [
        ("daily", "12:30"),
        ("weekly", "03:05"),
        ("hourly", "00:07"),
        ("6h", "14:00"),
        ("8h", "23:59"),
        ("20min", "00:30"),
        ("1min", "00:00"),
    ] {
        let job =
            Job { every: every.parse().unwrap(), at: at.parse().unwrap(), ..Job::new("/x", Scope::User) };
        let calendar = job.calendar();
        let base = "2026-06-03 10:00:00 UTC";
        let arguments = ["calendar", "--iterations=3", "--base-time", base, &calendar.systemd()];
        let Some(output) = judge("systemd-analyze", &arguments) else { return };
        assert!(output.status.success(), "{}", said(&output));
        let text = said(&output);
        let theirs: Vec<_> = text
            .lines()
            .filter_map(|line| {
                let line = line.trim();
                let time = line
                    .strip_prefix("Next elapse: ")
                    .or_else(|| line.split_once("Iter. #")?.1.split_once(": ").map(|(_, t)| t))?;
                Some(time.to_owned())
            })
            .collect();
        assert_eq!(theirs.len(), 3, "{text}");
        let mut after: chrono::DateTime<Utc> = "2026-06-03T10:00:00Z".parse().unwrap();
        for their in theirs {
            after = calendar.next(&after).unwrap();
            assert_eq!(their, after.format("%a %Y-%m-%d %H:%M:%S UTC").to_string(), "{every} {at}");
        }
    }
}

#[test]
fn plist_readers_accept_the_job() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("job.plist");
    let job = Job {
        every: "6h".parse().unwrap(),
        log: Some("/Library/Logs/a & b <c>.log".into()),
        ..odd(scratch.path(), Scope::System)
    };
    let unit = render(Backend::Launchd, &job).unwrap().remove(0);
    fs::write(&path, &unit.content).unwrap();
    let path = path.to_str().unwrap();

    let script = "import json,plistlib,sys; print(json.dumps(plistlib.load(open(sys.argv[1],'rb'))))";
    if let Some(output) = judge("python3", &["-c", script, path]) {
        assert!(output.status.success(), "{}", said(&output));
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let arguments: Vec<_> = job.command().unwrap().into_iter().map(serde_json::Value::from).collect();
        assert_eq!(value["ProgramArguments"], serde_json::Value::Array(arguments));
        assert_eq!(value["ProgramArguments"][1], "enforce");
        assert_eq!(value["Label"], "io.github.ccretain");
        assert_eq!(value["RunAtLoad"], true);
        assert_eq!(value["StandardErrorPath"], "/Library/Logs/a & b <c>.log");
        assert_eq!(value["EnvironmentVariables"]["CCRETAIN_STATE_DIR"], "/st ate/100%");
        let starts = value["StartCalendarInterval"].as_array().unwrap();
        assert_eq!(starts.len(), 4);
        assert_eq!(starts[0], serde_json::json!({"Hour": 0, "Minute": 30}));
    }
    if let Some(output) = judge("plistutil", &["-i", path, "-f", "xml"]) {
        // Judged by whether it reads: the text it writes back is its own.
        assert!(output.status.success() && said(&output).contains("ProgramArguments"), "{}", said(&output));
    }
}

/// The name of the variable that tells a test it is inside its namespaces, and where its scratch folder is.
const INSIDE: &str = "CCRETAIN_TEST_NAMESPACE";

/// Runs a test of this file again in mount, process and cgroup namespaces of its own; `Some` inside of them.
fn within_namespaces(test: &str) -> Option<PathBuf> {
    let namespace = || fs::read_link("/proc/self/ns/mnt").unwrap().into_os_string().into_string().unwrap();
    if let Ok(told) = std::env::var(INSIDE) {
        let (outer, scratch) = told.split_once(' ').unwrap();
        assert_ne!(outer, namespace(), "still in the machine's own mount namespace");
        return Some(scratch.into());
    }
    if std::env::var_os("CCRETAIN_SLOW_TESTS").is_none() {
        eprintln!("SKIPPED: {test} waits for a scheduler; set CCRETAIN_SLOW_TESTS to run it");
        return None;
    }
    if judge("id", &["-u"]).is_none_or(|output| said(&output).trim() != "0") {
        eprintln!("SKIPPED: {test} needs root to make namespaces");
        return None;
    }
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["-mpfC", "--mount-proc", "--propagation", "private", "--kill-child"])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, format!("{} {}", namespace(), scratch.path().display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    eprintln!("{}", said(&output));
    None
}

/// Covers a folder with an empty one, or a file with an empty one, in this namespace alone.
fn cover(path: &str, scratch: &Path) {
    let path = Path::new(path);
    let arguments: Vec<std::ffi::OsString> = if path.is_dir() {
        ["-t", "tmpfs", "-o", "mode=0755", "none"].into_iter().map(Into::into).collect()
    } else if path.exists() {
        fs::write(scratch.join("empty"), "").unwrap();
        vec!["--bind".into(), scratch.join("empty").into()]
    } else {
        return;
    };
    let status = Command::new("mount").args(arguments).arg(path).status().unwrap();
    assert!(status.success(), "{}", path.display());
}

fn wait_for(mark: &Path, limit: Duration) -> String {
    let start = Instant::now();
    loop {
        if let Ok(text) = fs::read_to_string(mark) {
            return text;
        }
        assert!(start.elapsed() < limit, "nothing ran within {} s", limit.as_secs());
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn places(home: &Path) -> Places {
    Places::new(Platform::Linux, ("root", 0), home, &|_| None, &home.join("state"))
}

fn every_minute(job: Job) -> Job {
    Job { every: Every::Minutes(1), at: At::DEFAULT, ..job }
}

/// What an installation must leave: the tree of a folder with the content of each file.
fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut entries: Vec<_> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .map(|path| (path.clone(), fs::read(path).unwrap_or_default()))
        .collect();
    entries.sort();
    entries
}

#[test]
fn a_real_cron_fires_the_line_within_two_minutes() {
    let Some(scratch) = within_namespaces("schedule::a_real_cron_fires_the_line_within_two_minutes") else {
        return;
    };
    if judge("crontab", &["-V"]).is_none() {
        return;
    }
    for path in ["/var/spool", "/run", "/etc/cron.d", "/etc/crontab"] {
        cover(path, &scratch);
    }
    fs::create_dir_all("/var/spool/cron/crontabs").unwrap();
    let home = scratch.join("home");
    fs::create_dir_all(&home).unwrap();
    let table = "# mine, 100 % mine\nSHELL=/bin/sh\n5 5 * * * true \\% # ccretain\n";
    let host = SystemHost::default();
    let crontab = |arguments: &[&str], stdin: &str| {
        let output =
            ccretain::internals::schedule::Host::run(&host, "crontab", arguments, stdin.as_bytes()).unwrap();
        (output.code, String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(crontab(&["-"], table).0, Some(0));
    let before = crontab(&["-l"], "").1;
    assert!(before.ends_with(table), "{before}");

    let daemon = ["cron", "crond"].into_iter().find_map(|name| Command::new(name).arg("-f").spawn().ok());
    let Some(mut daemon) = daemon else {
        eprintln!("SKIPPED: no cron daemon on this machine");
        return;
    };
    let places = places(&home);
    let with = Scheduler { host: &host, places: &places, scope: Scope::User };
    std::thread::sleep(Duration::from_secs(1));
    let job = every_minute(odd(&scratch, Scope::User));
    let report = with.install(Backend::Cron, &job).unwrap();
    assert!(report.changed && report.notes.is_empty(), "{report:?}");
    assert!(!with.install(Backend::Cron, &job).unwrap().changed);
    let [installed] = with.status(&Local::now(), "stand-in 1", None).unwrap().try_into().unwrap();
    assert_eq!((installed.program, installed.active), (Program::Current, Some(true)));
    let promised = installed.next.unwrap();
    assert_eq!(wait_for(&scratch.join("mark"), Duration::from_secs(125)), expected(&job));
    let late = Utc::now() - promised;
    assert!(late > chrono::TimeDelta::zero() && late < chrono::TimeDelta::seconds(70), "{late}");
    with.remove(Backend::Cron).unwrap();
    assert_eq!(crontab(&["-l"], "").1, before);
    assert!(tree(&home).len() == 1, "{:?}", tree(&home));

    // Without a table of the user's own, none is left.
    assert_eq!(crontab(&["-r"], "").0, Some(0));
    assert!(with.install(Backend::Cron, &job).unwrap().changed);
    assert!(with.remove(Backend::Cron).unwrap().changed);
    assert_eq!(crontab(&["-l"], "").0, Some(1));
    assert!(tree(&home).len() == 1, "{:?}", tree(&home));
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    eprintln!("cron fired {late} after the promised time");
}

/// The program itself, under the rules of the unit, on a store with one expired session in it.
fn the_sandbox_lets_it_do_its_job(with: &Scheduler<'_>, scratch: &Path, runtime: &Path) {
    let home = scratch.join("owner");
    let project = home.join(".claude/projects/-work");
    fs::create_dir_all(&project).unwrap();
    let id = "0b5f1c1e-3f43-4d3e-9c58-6f2a51f0a001";
    let transcript = project.join(format!("{id}.jsonl"));
    let record = format!(
        "{{\"type\":\"user\",\"sessionId\":\"{id}\",\"cwd\":\"/work\",\"uuid\":\"{id}\",\"timestamp\":\"2020-01-01T00:00:00.000Z\"}}\n"
    );
    fs::write(&transcript, record).unwrap();
    // A second one of today, so that the clock is believed.
    let today = transcript.with_file_name("0b5f1c1e-3f43-4d3e-9c58-6f2a51f0a002.jsonl");
    let now = Utc::now().format("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    let record = fs::read_to_string(&transcript).unwrap();
    fs::write(&today, record.replace("a001", "a002").replace("2020-01-01T00:00:00.000Z", &now)).unwrap();
    let old = Command::new("touch").args(["-d", "2020-01-01"]).arg(&transcript).status().unwrap();
    assert!(old.success());

    fs::create_dir_all(home.join("config")).unwrap();
    let variable = |name: &str, path: &Path| (name.to_owned(), path.to_str().unwrap().to_owned());
    let job = Job {
        environment: vec![
            variable("HOME", &home),
            variable("CCRETAIN_STATE_DIR", &home.join("state")),
            variable("CCRETAIN_CONFIG_DIR", &home.join("config")),
        ],
        ..Job::new(env!("CARGO_BIN_EXE_ccretain"), Scope::User)
    };
    with.install(Backend::Systemd, &job).unwrap();
    let systemctl = |arguments: &[&str]| {
        let output = Command::new("systemctl")
            .arg("--user")
            .args(arguments)
            .env("XDG_RUNTIME_DIR", runtime)
            .output()
            .unwrap();
        said(&output)
    };
    let started = systemctl(&["start", "ccretain.service"]);
    let shown = systemctl(&["show", "ccretain.service", "--property=Result,ExecMainStatus,NoNewPrivileges"]);
    assert!(shown.contains("Result=success") && shown.contains("ExecMainStatus=0"), "{started}{shown}");
    assert!(shown.contains("NoNewPrivileges=yes"), "{shown}");
    assert!(!transcript.exists() && today.exists(), "{started}{shown}");
}

#[test]
fn a_real_systemd_user_manager_fires_the_timer() {
    let Some(scratch) = within_namespaces("schedule::a_real_systemd_user_manager_fires_the_timer") else {
        return;
    };
    let manager = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let Some(manager) = manager else {
        eprintln!("SKIPPED: no systemd on this machine");
        return;
    };
    // A cgroup tree and a runtime folder of its own: what a login session would give it. The real
    // temp tree of the account is a store, too, wherever it points to.
    for path in ["/run", "/sys/fs/cgroup", "/tmp/claude-0"] {
        cover(path, &scratch);
    }
    fs::create_dir_all("/run/systemd/system").unwrap();
    fs::create_dir_all("/sys/fs/cgroup/systemd").unwrap();
    let mount = ["-t", "cgroup", "-o", "none,name=systemd", "cgroup", "/sys/fs/cgroup/systemd"];
    if !Command::new("mount").args(mount).status().unwrap().success() {
        eprintln!("SKIPPED: no cgroup tree for a manager can be mounted here");
        return;
    }
    let (home, runtime) = (scratch.join("home"), scratch.join("run"));
    for folder in [&home, &runtime] {
        fs::create_dir_all(folder).unwrap();
    }
    let host = SystemHost {
        variables: vec![("XDG_RUNTIME_DIR".into(), runtime.clone().into())],
        is_confined: false,
    };
    let mut daemon = Command::new(manager)
        .arg("--user")
        .envs([("HOME", &home), ("XDG_RUNTIME_DIR", &runtime)])
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_DATA_HOME")
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .spawn()
        .unwrap();
    let places = places(&home);
    let with = Scheduler { host: &host, places: &places, scope: Scope::User };
    let start = Instant::now();
    while with.detect().is_err() {
        if start.elapsed() > Duration::from_secs(20) {
            eprintln!("SKIPPED: no systemd user manager starts here");
            daemon.kill().unwrap();
            daemon.wait().unwrap();
            return;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(with.detect().unwrap(), Backend::Systemd);
    let before = tree(&home);
    let job = every_minute(odd(&scratch, Scope::User));
    let report = with.install(Backend::Systemd, &Job { every: Every::Weekly, ..job.clone() }).unwrap();
    assert!(report.changed && report.notes.iter().any(|note| note.contains("linger")), "{report:?}");
    // Installed anew with another calendar: the running timer has to take it over.
    assert!(with.install(Backend::Systemd, &job).unwrap().changed);
    assert!(!with.install(Backend::Systemd, &job).unwrap().changed);
    let [installed] = with.status(&Local::now(), "stand-in 1", None).unwrap().try_into().unwrap();
    assert_eq!((installed.program, installed.active), (Program::Current, Some(true)));
    let promised = installed.next.unwrap();
    let away = promised - Utc::now();
    assert!(away <= chrono::TimeDelta::seconds(61), "{away}");
    assert_eq!(wait_for(&scratch.join("mark"), Duration::from_secs(130)), expected(&job));
    eprintln!("systemd fired {} after the promised time", Utc::now() - promised);
    the_sandbox_lets_it_do_its_job(&with, &scratch, &runtime);
    with.remove(Backend::Systemd).unwrap();
    assert_eq!(tree(&home), before);
    assert!(with.status(&Local::now(), "", None).unwrap().is_empty());
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}
