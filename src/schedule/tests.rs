//! Tests of installing, removing and looking, on a made-up machine.

mod tables;

use super::fake::{FakeHost, Machine, places, scheduler};
use super::*;
use crate::platform::Platform;
use chrono::{DateTime, FixedOffset, Utc};
use serde_json::json;

fn job(scope: Scope) -> Job {
    Job::new("/usr/bin/ccretain", scope)
}

fn now() -> DateTime<FixedOffset> {
    "2026-06-01T10:00:00+02:00".parse().unwrap()
}

/// Every backend and scope that can be installed, on a machine that has its scheduler.
fn all() -> Vec<(Backend, Scope, Platform, FakeHost)> {
    let linux = || FakeHost::with(&["systemctl", "loginctl", "crontab"]);
    let mac = || {
        let host = FakeHost::with(&["launchctl"]);
        for folder in ["/Library", "/Library/LaunchDaemons", "/Library/Logs"] {
            host.machine.borrow_mut().folders.insert(folder.into());
        }
        host
    };
    vec![
        (Backend::Systemd, Scope::User, Platform::Linux, linux()),
        (Backend::Systemd, Scope::System, Platform::Linux, linux()),
        (Backend::Cron, Scope::User, Platform::Linux, linux()),
        (Backend::Cron, Scope::System, Platform::Linux, linux()),
        (Backend::Launchd, Scope::User, Platform::Macos, mac()),
        (Backend::Launchd, Scope::System, Platform::Macos, mac()),
        (Backend::ClaudeHook, Scope::User, Platform::Linux, linux()),
    ]
}

/// The machine without what systemd itself keeps of its own folders' ancestors.
fn snapshot(host: &FakeHost) -> Machine {
    host.machine.borrow().clone()
}

#[test]
fn installing_twice_is_installing_once_and_removing_leaves_no_trace() {
    for (backend, scope, platform, host) in all() {
        let places = places(platform);
        let with = scheduler(&host, &places, scope);
        let before = snapshot(&host);
        assert!(with.installed().unwrap().is_empty());
        assert!(!with.remove(backend).unwrap().changed, "{backend}");
        assert_eq!(snapshot(&host), before);

        assert!(with.install(backend, &job(scope)).unwrap().changed);
        let once = snapshot(&host);
        assert_ne!(once, before, "{backend}");
        assert_eq!(with.installed().unwrap(), [backend]);
        assert!(!with.install(backend, &job(scope)).unwrap().changed, "{backend}");
        assert_eq!(snapshot(&host), once, "{backend} {scope:?}");

        // Another time of the day replaces what is there.
        let other = Job { at: "04:05".parse().unwrap(), policy: Some("/p.json".into()), ..job(scope) };
        assert!(with.install(backend, &other).unwrap().changed);
        assert_ne!(snapshot(&host), once);
        assert!(with.install(backend, &job(scope)).unwrap().changed);
        assert_eq!(snapshot(&host), once, "{backend} {scope:?}");

        let removed = with.remove(backend).unwrap();
        assert!(removed.changed && !removed.places.is_empty());
        assert_eq!(snapshot(&host), before, "{backend} {scope:?}");
    }
}

#[test]
fn launchd_is_waited_for_while_it_lets_go_of_a_job_that_runs() {
    let places = places(Platform::Macos);
    for scope in [Scope::User, Scope::System] {
        let (.., host) =
            all().into_iter().find(|(backend, of, ..)| *backend == Backend::Launchd && *of == scope).unwrap();
        let with = scheduler(&host, &places, scope);
        with.install(Backend::Launchd, &job(scope)).unwrap();
        let loaded = host.machine.borrow().loaded.clone();
        host.lingering.set(7);
        let other = Job { at: "04:05".parse().unwrap(), ..job(scope) };
        assert!(with.install(Backend::Launchd, &other).unwrap().changed);
        assert_eq!(host.machine.borrow().loaded, loaded, "it is loaded again");
        assert_eq!(host.called("bootstrap"), 2, "and nothing was tried while it was leaving");
        // Where it never lets go, what was there stays there, file and job.
        let before = snapshot(&host);
        host.lingering.set(10_000);
        with.install(Backend::Launchd, &job(scope)).unwrap_err();
        assert_eq!(snapshot(&host), before);
        *host.leaving.borrow_mut() = None;
        host.lingering.set(3);
        assert!(with.remove(Backend::Launchd).unwrap().changed);
        assert!(host.machine.borrow().loaded.is_empty());
    }
}

#[test]
fn a_scheduler_that_refuses_leaves_the_machine_as_it_was() {
    for (backend, scope, broken) in [
        (Backend::Systemd, Scope::User, "enable"),
        (Backend::Systemd, Scope::System, "daemon-reload"),
        (Backend::Launchd, Scope::User, "bootstrap"),
        (Backend::Cron, Scope::User, "crontab -"),
    ] {
        let (_, _, platform, host) =
            all().into_iter().find(|item| item.0 == backend && item.1 == scope).unwrap();
        let places = places(platform);
        let with = scheduler(&host, &places, scope);
        let before = snapshot(&host);
        host.broken.borrow_mut().push(broken);
        let error = with.install(backend, &job(scope)).unwrap_err();
        assert!(matches!(error, ScheduleError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains("it did not work"), "{error}");
        assert_eq!(snapshot(&host), before, "{backend}");

        // With an installation in place, that one stays.
        host.broken.borrow_mut().clear();
        with.install(backend, &job(scope)).unwrap();
        let once = snapshot(&host);
        host.broken.borrow_mut().push(broken);
        let other = Job { every: Every::Weekly, ..job(scope) };
        assert!(with.install(backend, &other).is_err());
        host.broken.borrow_mut().clear();
        assert_eq!(snapshot(&host).files, once.files, "{backend}");
        assert_eq!(snapshot(&host).crontab, once.crontab, "{backend}");
    }
}

#[test]
fn a_file_that_cannot_be_written_undoes_the_one_before_it() {
    let host = FakeHost::with(&["systemctl"]);
    let places = places(Platform::Linux);
    let with = scheduler(&host, &places, Scope::User);
    let before = snapshot(&host);
    host.read_only.borrow_mut().push("/home/ann/.config/systemd/user/ccretain.timer".into());
    let error = with.install(Backend::Systemd, &job(Scope::User)).unwrap_err();
    assert!(matches!(error, ScheduleError::File(_)));
    assert_eq!(snapshot(&host), before);
}

#[test]
fn auto_takes_what_runs() {
    let linux = places(Platform::Linux);
    let mut host = FakeHost::with(&["systemctl", "crontab"]);
    assert_eq!(scheduler(&host, &linux, Scope::User).detect().unwrap(), Backend::Systemd);
    // systemctl is there, its manager is not.
    host.broken.borrow_mut().push("--user show");
    assert_eq!(scheduler(&host, &linux, Scope::User).detect().unwrap(), Backend::Cron);
    assert_eq!(scheduler(&host, &linux, Scope::System).detect().unwrap(), Backend::Systemd);
    host.broken.borrow_mut().push("--system show");
    assert_eq!(scheduler(&host, &linux, Scope::System).detect().unwrap(), Backend::Cron);
    // A table that no daemon reads is no scheduler.
    host.running = vec!["sh".into()];
    for scope in [Scope::User, Scope::System] {
        let error = scheduler(&host, &linux, scope).detect().unwrap_err();
        assert!(matches!(error, ScheduleError::NoScheduler));
        assert!(error.hint().unwrap().contains("start a cron daemon"));
    }
    assert_eq!(scheduler(&host, &linux, Scope::User).likely(), Backend::Systemd);
    let mac = places(Platform::Macos);
    assert_eq!(scheduler(&host, &mac, Scope::User).detect().unwrap(), Backend::Launchd);
    let windows = places(Platform::Windows);
    assert!(scheduler(&host, &windows, Scope::User).detect().is_err());
}

#[test]
fn a_missing_scheduler_says_what_to_do() {
    let host = FakeHost::with(&[]);
    let places = places(Platform::Linux);
    let with = scheduler(&host, &places, Scope::User);
    let before = snapshot(&host);
    for backend in [Backend::Systemd, Backend::Cron, Backend::Launchd] {
        let error = with.install(backend, &job(Scope::User)).unwrap_err();
        assert!(matches!(error, ScheduleError::NoProgram { .. }) && error.hint().is_some(), "{error}");
        assert!(!with.remove(backend).unwrap().changed);
    }
    let host = FakeHost::with(&["systemctl"]);
    host.broken.borrow_mut().push("show");
    let error =
        scheduler(&host, &places, Scope::User).install(Backend::Systemd, &job(Scope::User)).unwrap_err();
    assert_eq!(error.to_string(), "the systemd manager of the user cannot be reached: it did not work");
    assert!(error.hint().unwrap().contains("enable-linger"));
    assert_eq!(snapshot(&host), before);
    // A cron without a daemon is installed where it is asked for by name, and says so.
    let mut host = FakeHost::with(&["crontab"]);
    host.running.clear();
    let report = scheduler(&host, &places, Scope::User).install(Backend::Cron, &job(Scope::User)).unwrap();
    assert!(report.changed && report.notes.iter().any(|note| note.contains("no cron daemon")));
}

#[test]
fn a_table_that_was_not_taken_is_no_success() {
    let host = FakeHost::with(&["crontab"]);
    let places = places(Platform::Linux);
    let with = scheduler(&host, &places, Scope::User);
    host.forgets.set(true);
    let error = with.install(Backend::Cron, &job(Scope::User)).unwrap_err();
    assert!(error.to_string().contains("does not show what it was given"), "{error}");
}

#[test]
fn a_scheduler_that_is_switched_off_for_the_account_says_what_to_do() {
    for (complaint, says) in [
        ("You (ann) are not allowed to use this program (crontab)", "/etc/cron.allow"),
        ("Failed to enable unit: Unit file ccretain.timer is masked.", "systemctl unmask"),
    ] {
        let error = ScheduleError::Refused { command: "x".into(), complaint: complaint.into() };
        assert!(error.hint().unwrap().contains(says) && error.to_string().contains(complaint));
    }
    let error = ScheduleError::Refused { command: "x".into(), complaint: "it is Monday".into() };
    assert_eq!(error.hint(), None);
}

#[test]
fn systemd_units_go_even_without_a_manager() {
    let host = FakeHost::with(&["systemctl", "loginctl"]);
    let places = places(Platform::Linux);
    let with = scheduler(&host, &places, Scope::User);
    let before = snapshot(&host);
    let report = with.install(Backend::Systemd, &job(Scope::User)).unwrap();
    assert!(report.notes.iter().any(|note| note.contains("loginctl enable-linger ann")), "{report:?}");
    assert_eq!(host.called("systemctl --user enable --now ccretain.timer"), 1);
    host.broken.borrow_mut().push("show --property=Version");
    let report = with.remove(Backend::Systemd).unwrap();
    assert!(report.notes.iter().any(|note| note.contains("not reachable")));
    let after = snapshot(&host);
    assert_eq!((after.files, after.folders), (before.files, before.folders));
}

#[test]
fn units_of_a_package_count_once_they_are_switched_on() {
    let host = FakeHost::with(&["systemctl"]);
    let places = places(Platform::Linux);
    let with = scheduler(&host, &places, Scope::System);
    for unit in render(Backend::Systemd, &job(Scope::System)).unwrap() {
        let path = std::path::Path::new("/usr/lib/systemd/system").join(unit.name);
        host.machine.borrow_mut().files.insert(path, unit.content.into_bytes());
    }
    assert!(with.installed().unwrap().is_empty());
    host.machine.borrow_mut().loaded.insert("ccretain.timer".to_owned());
    let [found] = with.status(&now(), "ccretain 1.0.0", None).unwrap().try_into().unwrap();
    assert_eq!((found.place.as_str(), found.active), ("/usr/lib/systemd/system/ccretain.timer", Some(true)));
    assert_eq!((found.scope, found.complaints().len()), (Scope::System, 1), "{:?}", found.complaints());
}

#[test]
fn folders_with_other_files_stay() {
    let host = FakeHost::with(&["systemctl"]);
    let places = places(Platform::Linux);
    let with = scheduler(&host, &places, Scope::User);
    with.install(Backend::Systemd, &job(Scope::User)).unwrap();
    host.machine.borrow_mut().files.insert("/home/ann/.config/systemd/user/other.service".into(), vec![]);
    with.remove(Backend::Systemd).unwrap();
    let after = snapshot(&host);
    assert!(after.files.keys().eq([std::path::Path::new("/home/ann/.config/systemd/user/other.service")]));
    assert!(after.folders.contains(std::path::Path::new("/home/ann/.config/systemd/user")));
    assert!(!after.folders.contains(std::path::Path::new("/home/ann/.local")));
}

#[test]
fn status_tells_next_and_missed_and_whether_the_program_is_there() {
    for (backend, scope, platform, host) in all() {
        let places = places(platform);
        let with = scheduler(&host, &places, scope);
        let odd = Job {
            program: "/opt/my tools/100% $x/ccretain".into(),
            stores: vec!["/s t".into()],
            environment: vec![("CCRETAIN_STATE_DIR".into(), "/st ate".into())],
            ..job(scope)
        };
        with.install(backend, &odd).unwrap();
        let last = "2026-05-29T10:31:00Z".parse().ok();
        let status =
            |host: &FakeHost| scheduler(host, &places, scope).status(&now(), "ccretain 1.0.0", last).unwrap();
        let [found] = status(&host).try_into().unwrap();
        assert_eq!((found.backend, found.program), (backend, Program::Missing));
        assert!(found.command.contains("enforce --yes"), "{}", found.command);
        host.machine.borrow_mut().files.insert(odd.program.clone(), vec![]);
        let [found] = status(&host).try_into().unwrap();
        assert_eq!(found.program, Program::Current, "{backend} {}", found.command);
        let mut host = host;
        host.version = "ccretain 0.9.0";
        let [found] = status(&host).try_into().unwrap();
        assert_eq!(found.program, Program::Other("ccretain 0.9.0".into()));
        let next: Option<DateTime<Utc>> = match backend {
            // What the manager itself says wins over the calendar.
            Backend::Systemd => DateTime::from_timestamp(1_800_000_000, 0),
            Backend::ClaudeHook => None,
            Backend::Cron | Backend::Launchd => "2026-06-01T10:30:00Z".parse().ok(),
        };
        assert_eq!(found.next, next, "{backend}");
        // 30 and 31 May had no run; today's is not due yet.
        assert_eq!(found.missed, (backend != Backend::ClaudeHook).then_some(2), "{backend}");
        if backend == Backend::Systemd {
            host.broken.borrow_mut().push("NextElapse");
            let [found] = status(&host).try_into().unwrap();
            assert_eq!(found.next, "2026-06-01T10:30:00Z".parse().ok());
        }
        let value = document(&[found], json!({"run": "r"}));
        assert_eq!(value["schema"], "ccretain.schedule-status/1");
        assert_eq!(value["installed"][0]["backend"], backend.name());
        assert_eq!(value["lastRun"]["run"], "r");
    }
}

#[test]
fn what_no_unit_can_hold_is_refused() {
    for bad in ["relative/ccretain", "/a\nExecStart=/bin/sh", "/tab\there"] {
        for backend in Backend::ALL {
            let error = render(backend, &Job::new(bad, Scope::User)).unwrap_err();
            assert!(matches!(error, ScheduleError::Job(_)), "{bad}");
            assert!(!crate::error::chain(&error).contains('\n'));
        }
    }
    let error = render(Backend::Systemd, &Job::new("/it's/ccretain", Scope::User)).unwrap_err();
    assert!(matches!(error, ScheduleError::Job(JobError::Quotes(_))));
    let error = render(Backend::Cron, &Job::new("/a\\\\b/ccretain", Scope::User)).unwrap_err();
    assert!(matches!(error, ScheduleError::Job(JobError::Unwritable(_))));
    let job = Job { environment: vec![("CCRETAIN_STATE_DIR".into(), "/a\nb".into())], ..job(Scope::User) };
    assert!(Backend::ALL.into_iter().all(|backend| render(backend, &job).is_err()));
}

#[test]
fn print_heads_each_unit_with_its_file_name() {
    for (backend, scope, names) in [
        (Backend::Systemd, Scope::User, vec!["# ccretain.service", "# ccretain.timer"]),
        (Backend::Launchd, Scope::User, vec!["# io.github.ccretain.plist"]),
        (Backend::Cron, Scope::User, vec!["# crontab"]),
        (Backend::Cron, Scope::System, vec!["# ccretain"]),
        (Backend::ClaudeHook, Scope::User, vec!["# settings.json"]),
    ] {
        let text = printed(&render(backend, &job(scope)).unwrap());
        let heads: Vec<_> = text.lines().filter(|line| names.contains(line)).collect();
        assert_eq!(heads, names);
        assert!(text.starts_with(names[0]) && text.ends_with('\n'));
    }
}

#[test]
fn the_options_of_a_run_are_passed_on() {
    let full = Job {
        stores: vec!["/a".into(), "/b c".into()],
        policy: Some("/p".into()),
        log_format: Some(LogFormat::Json),
        metrics: Some("/m.prom".into()),
        max_runtime: Some("10min".into()),
        ..job(Scope::System)
    };
    let command = "/usr/bin/ccretain enforce --yes --store /a --store '/b c' --policy /p --log-format json --metrics /m.prom --max-runtime 10min --all-users";
    let units = render(Backend::Cron, &full).unwrap();
    assert_eq!(units[0].content, format!("30 12 * * * root {command} >/dev/null # ccretain\n"));
    let units = render(Backend::Systemd, &full).unwrap();
    assert!(units[0].content.contains(&format!("ExecStart={}\n", command.replace('\'', "\""))));
}

#[test]
fn percent_signs_are_escaped_as_each_scheduler_wants() {
    let odd = Job::new("/100%/ccretain", Scope::User);
    let line = render(Backend::Cron, &odd).unwrap().remove(0).content;
    assert_eq!(line, "30 12 * * * '/100\\%/ccretain' enforce --yes >/dev/null # ccretain\n");
    let service = render(Backend::Systemd, &odd).unwrap().remove(0).content;
    assert!(service.contains("ExecStart=\"/100%%/ccretain\" enforce --yes\n"), "{service}");
}

#[test]
fn a_running_timer_is_started_anew_only_for_another_calendar() {
    let host = FakeHost::with(&["systemctl"]);
    let places = places(Platform::Linux);
    let with = scheduler(&host, &places, Scope::User);
    for (every, restarts) in [(Every::Daily, 0), (Every::Daily, 0), (Every::Weekly, 1)] {
        with.install(Backend::Systemd, &Job { every, ..job(Scope::User) }).unwrap();
        assert_eq!(host.called("systemctl --user restart ccretain.timer"), restarts);
    }
}

#[test]
fn hooks_that_are_switched_off_are_no_trigger() {
    let places = places(Platform::Linux);
    for (path, text) in [
        ("/home/ann/.claude/settings.json", r#"{"disableAllHooks": true}"#),
        ("/etc/claude-code/managed-settings.json", r#"{"allowManagedHooksOnly": true}"#),
    ] {
        let host = FakeHost::with(&[]);
        host.machine.borrow_mut().files.insert(path.into(), text.into());
        let before = snapshot(&host);
        let error = scheduler(&host, &places, Scope::User)
            .install(Backend::ClaudeHook, &job(Scope::User))
            .unwrap_err();
        assert!(error.to_string().contains(path) && error.hint().is_some(), "{error}");
        assert_eq!(snapshot(&host), before);
    }
    let host = FakeHost::with(&[]);
    let error = scheduler(&host, &places, Scope::System)
        .install(Backend::ClaudeHook, &job(Scope::System))
        .unwrap_err();
    assert!(matches!(error, ScheduleError::Unsupported { .. }));
}

#[test]
fn settings_that_cannot_be_read_are_left_alone() {
    let places = places(Platform::Linux);
    for text in ["{\"a\": 1,}", "", "{} // x", "\u{feff}{}"] {
        let host = FakeHost::with(&[]);
        host.machine.borrow_mut().files.insert(places.client_settings.clone(), text.into());
        let before = snapshot(&host);
        let with = scheduler(&host, &places, Scope::User);
        let error = with.install(Backend::ClaudeHook, &job(Scope::User)).unwrap_err();
        assert!(matches!(error, ScheduleError::Settings { .. }), "{error}");
        assert!(with.status(&now(), "", None).unwrap().is_empty());
        assert_eq!(snapshot(&host), before);
    }
}
