use super::*;

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new(files: &[(&str, &str)]) -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        for (path, text) in files {
            let path = home.dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), text.as_bytes()).unwrap();
        }
        home
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn read(&self, projects: &[&str]) -> ClientSettings {
        let places = ClientPlaces {
            named: None,
            config_dirs: vec![self.at("claude"), self.at("other")],
            managed_dir: self.at("managed"),
            managed_prefs: Some(self.at("prefs")),
            user_name: "ann".into(),
        };
        let projects: Vec<PathBuf> = projects.iter().map(|project| self.at(project)).collect();
        read(&places, &projects)
    }
}

fn days(sweep: &Sweep) -> Option<u64> {
    match sweep {
        Sweep::Runs { days, .. } => Some(*days),
        Sweep::Paused { .. } => None,
    }
}

const USER: &str = "claude/settings.json";
const MANAGED: &str = "managed/managed-settings.json";
const DROP_IN: &str = "managed/managed-settings.d/20-x.json";

#[test]
fn every_row_of_the_clients_own_behaviour() {
    let of = |n: &str| format!("{{\"cleanupPeriodDays\": {n}}}");
    // User settings, what the sweep goes by, and what the built-in rule goes by.
    for (user, sweep) in [
        (None, Some(30)),
        (Some(of("1")), Some(1)),
        (Some(of("99999")), Some(99_999)),
        (Some(of("0")), None),
        (Some(of("-5")), None),
        (Some(of("1.5")), None),
        (Some(of("30.0")), Some(30)),
        (Some(of("\"thirty\"")), None),
        (Some(of("null")), None),
        (Some("{ broken".into()), None),
        (Some(String::new()), None),
        (Some("[]".into()), None),
        (Some("{}".into()), Some(30)),
    ] {
        let files: Vec<(&str, &str)> = user.iter().map(|text| (USER, text.as_str())).collect();
        let client = Home::new(&files).read(&[]);
        assert_eq!(days(&client.sweep(None)), sweep, "{user:?}");
        let wanted = sweep.map(|days| Period::days(u32::try_from(days).unwrap()).length());
        assert_eq!(client.built_in().ok().map(|it| it.delete_after.length()), wanted, "{user:?}");
    }
}

#[test]
fn a_project_overrides_its_user_and_only_managed_settings_override_it() {
    let (one, many) = ("{\"cleanupPeriodDays\": 1}", "{\"cleanupPeriodDays\": 99999}");
    let home =
        Home::new(&[(USER, many), ("p/.claude/settings.json", one), ("q/.claude/settings.local.json", "{")]);
    let client = home.read(&["p", "q"]);
    assert_eq!(days(&client.sweep(None)), Some(99_999));
    assert_eq!(days(&client.sweep(Some(&home.at("p")))), Some(1));
    assert_eq!(days(&client.sweep(Some(&home.at("q")))), None);
    // The built-in rule goes by the user's, which a repository cannot change.
    assert_eq!(client.built_in().unwrap().delete_after.to_string(), "99999d");
    let removal = client.removal(DateTime::UNIX_EPOCH, Written::default()).unwrap();
    assert_eq!((removal.days, removal.path), (1, Some(home.at("p/.claude/settings.json"))));

    let home = Home::new(&[(USER, one), (MANAGED, one), (DROP_IN, many), ("p/.claude/settings.json", "{")]);
    let client = home.read(&["p"]);
    let runs = Sweep::Runs { days: 99_999, path: Some(home.at(DROP_IN)) };
    assert_eq!(client.sweep(Some(&home.at("p"))), runs);
    assert_eq!(client.built_in().unwrap().path, Some(home.at(DROP_IN)));
}

#[test]
fn broken_managed_settings_pause_and_a_server_beats_a_file() {
    let client = Home::new(&[(MANAGED, "{"), (USER, "{\"cleanupPeriodDays\": 3}")]).read(&[]);
    assert!(client.built_in().unwrap_err().contains("broken"));
    assert_eq!(days(&client.sweep(None)), None);
    let client = Home::new(&[
        ("claude/remote-settings.json", "{\"settings\": {\"cleanupPeriodDays\": 9}}"),
        (MANAGED, "{\"cleanupPeriodDays\": 3}"),
    ])
    .read(&[]);
    assert_eq!(days(&client.sweep(None)), Some(9));
    let list = "<?xml version=\"1.0\"?><plist version=\"1.0\"><dict><key>cleanupPeriodDays</key><integer>4</integer></dict></plist>";
    let client = Home::new(&[
        ("prefs/ann/com.anthropic.claudecode.plist", list),
        (MANAGED, "{\"cleanupPeriodDays\": 3}"),
    ])
    .read(&[]);
    assert_eq!(days(&client.sweep(None)), Some(4));
}

/// What a server manages is cached in the user's own folder.
#[test]
fn a_users_own_file_shortens_the_built_in_period_and_never_stops_it() {
    const SERVER: &str = "claude/remote-settings.json";
    let of = |days: u32| format!("{{\"cleanupPeriodDays\": {days}}}");
    for (server, user, managed, expected) in [
        (of(9), None, None, 9),
        (of(99_999), None, None, 30),
        (of(99_999), Some(of(20)), None, 20),
        (of(9), Some(of(20)), None, 9),
        (of(99_999), Some(of(20)), Some(of(5)), 5),
        (of(3), None, Some(of(5)), 3),
        (of(0), None, None, 30),
        ("{ broken".to_owned(), None, Some(of(5)), 5),
        ("[]".to_owned(), None, None, 30),
        ("{\"cleanupPeriodDays\": \"x\"}".to_owned(), None, None, 30),
    ] {
        let mut files = vec![(SERVER, server.as_str())];
        files.extend(user.as_deref().map(|text| (USER, text)));
        files.extend(managed.as_deref().map(|text| (MANAGED, text)));
        let built_in = Home::new(&files).read(&[]).built_in().unwrap();
        assert_eq!(built_in.delete_after.length(), Period::days(expected).length(), "{files:?}");
    }
}

#[test]
fn the_desktop_is_exempt_unless_managed_or_limited() {
    let removes = |files: &[(&str, &str)]| {
        Home::new(files).read(&[]).removal(DateTime::UNIX_EPOCH, DESKTOP).map(|removal| removal.days)
    };
    assert_eq!(removes(&[]), None);
    assert_eq!(removes(&[(USER, "{\"cleanupPeriodDays\": 3}")]), None);
    assert_eq!(removes(&[(MANAGED, "{\"cleanupPeriodDays\": 3}")]), Some(3));
    assert_eq!(removes(&[(USER, "{\"desktopSessionCleanupPeriodDays\": 60}")]), Some(60));
    assert_eq!(removes(&[(USER, "{\"desktopSessionCleanupPeriodDays\": 6}")]), Some(30));
    assert_eq!(removes(&[(USER, "{\"desktopSessionCleanupPeriodDays\": 0}")]), None);
}

#[test]
fn the_longest_of_several_config_folders_counts_and_no_secret_is_kept() {
    let home = Home::new(&[
        (
            USER,
            "{\"cleanupPeriodDays\": 5, \"env\": {\"CLAUDE_CODE_TMPDIR\": \"/t\", \"TOKEN\": \"s3cret\"}}",
        ),
        ("other/settings.json", "{\"cleanupPeriodDays\": 7}"),
    ]);
    let client = home.read(&[]);
    assert_eq!(client.built_in().unwrap().delete_after.to_string(), "7d");
    let found: Vec<_> = client.variable("CLAUDE_CODE_TMPDIR").collect();
    assert_eq!(found, [("/t", home.at(USER).as_path())]);
    assert!(!format!("{client:?}").contains("s3cret"));
    let broken = Home::new(&[(USER, "{\"apiKey\": \"s3cret\" oops")]).read(&[]);
    assert!(!format!("{broken:?}").contains("s3cret"));
}

#[test]
fn what_is_emitted_never_lets_the_client_delete_first() {
    let days = |periods: &[&str]| {
        let periods: Vec<Period> = periods.iter().map(|period| period.parse().unwrap()).collect();
        emit(periods.iter())["cleanupPeriodDays"].as_i64().unwrap()
    };
    assert_eq!(days(&["30d", "7d"]), 30);
    assert_eq!(days(&["25h"]), 2);
    assert_eq!(days(&["1h"]), 1);
    assert_eq!(days(&["immediately"]), 1);
    assert_eq!(days(&["30d", "never"]), 99_999);
    assert_eq!(days(&[]), 99_999);
}

#[test]
fn a_config_folder_that_settings_or_earlier_runs_name_counts() {
    let home = Home::new(&[
        ("far/settings.json", "{\"cleanupPeriodDays\": 365}"),
        (USER, "{\"cleanupPeriodDays\": 3}"),
    ]);
    let places = ClientPlaces {
        named: None,
        config_dirs: vec![home.at("claude")],
        managed_dir: home.at("managed"),
        managed_prefs: None,
        user_name: "ann".into(),
    };
    let period = |places: &ClientPlaces| read(places, &[]).built_in().unwrap().delete_after.to_string();
    assert_eq!(period(&places), "3d");
    let further = [places.config_dirs.clone(), vec![home.at("far")]].concat();
    assert_eq!(period(&ClientPlaces { config_dirs: further, ..places.clone() }), "365d");
    let text =
        serde_json::json!({"cleanupPeriodDays": 3, "env": {"CLAUDE_CONFIG_DIR": home.at("far")}}).to_string();
    std::io::Write::write_all(&mut std::fs::File::create(home.at(USER)).unwrap(), text.as_bytes()).unwrap();
    assert_eq!(period(&places), "365d");
}

const DESKTOP: Written = Written { by_desktop: true, released: None, is_empty: false };

/// The day of 1970 on which a transcript of its first day goes.
fn goes_on(settings: &str, written: Written) -> Option<i64> {
    let client = Home::new(&[(USER, settings)]).read(&[]);
    let removal = client.removal(DateTime::UNIX_EPOCH, written)?;
    Some(removal.at.signed_duration_since(DateTime::UNIX_EPOCH).num_days())
}

#[test]
fn what_the_desktop_application_released_goes_as_it_said() {
    let day = |day: i64| DateTime::UNIX_EPOCH + TimeDelta::days(day);
    let archived = |at: i64| Written { released: Some(Release::Archived(day(at))), ..DESKTOP };
    let deleted = Written { released: Some(Release::Deleted), ..DESKTOP };
    let empty = Written { is_empty: true, ..Written::default() };
    let others = |written: Written| Written { by_desktop: false, ..written };
    let limited = r#"{"desktopSessionCleanupPeriodDays": 50}"#;
    for (settings, written, goes) in [
        ("{}", Written::default(), Some(30)),
        ("{}", DESKTOP, None),
        ("{}", deleted, Some(30)),
        ("{}", others(deleted), Some(30)),
        ("{}", archived(-9), Some(30)),
        ("{}", archived(9), Some(39)),
        // Grace is for whatever the application archived.
        ("{}", others(archived(9)), Some(39)),
        ("{}", empty, None),
        ("{}", Written { released: Some(Release::Deleted), ..empty }, Some(30)),
        (limited, DESKTOP, Some(50)),
        (limited, empty, Some(50)),
        (limited, archived(9), Some(39)),
        (limited, archived(40), Some(50)),
        (limited, deleted, Some(30)),
    ] {
        assert_eq!(goes_on(settings, written), goes, "{settings} {written:?}");
    }
}

#[test]
fn a_managed_period_ends_every_exemption() {
    let client = Home::new(&[(MANAGED, r#"{"cleanupPeriodDays": 7}"#)]).read(&[]);
    let archived = Release::Archived(DateTime::UNIX_EPOCH + TimeDelta::days(99));
    for written in [
        DESKTOP,
        Written { released: Some(archived), ..DESKTOP },
        Written { is_empty: true, ..Written::default() },
    ] {
        let removal = client.removal(DateTime::UNIX_EPOCH, written).unwrap();
        assert_eq!((removal.days, removal.at), (7, DateTime::UNIX_EPOCH + TimeDelta::days(7)));
    }
}

#[test]
fn settings_of_megabytes_are_read_for_what_is_looked_at() {
    let filler = "0,".repeat(3 << 20);
    let text = format!(
        r#"{{"a": [{filler}0], "env": {{"CLAUDE_CONFIG_DIR": "/x"}}, "plansDirectory": "/p", "cleanupPeriodDays": 7}}"#
    );
    let home = Home::new(&[("claude/settings.json", &text)]);
    let settings = home.read(&[]);
    assert_eq!(days(&settings.sweep(None)), Some(7));
    assert_eq!(settings.variable("CLAUDE_CONFIG_DIR").count(), 1);
    assert_eq!(settings.variable("plansDirectory").count(), 1);
    // A value of megabytes is no number of days, and not one that is not there.
    let home = Home::new(&[("claude/settings.json", &format!(r#"{{"cleanupPeriodDays": [{filler}0]}}"#))]);
    assert_eq!(days(&home.read(&[]).sweep(None)), None);
}

#[test]
fn an_organisations_rules_end_the_exemption_of_the_desktop_application() {
    let goes = |limits: &str, written: Written| {
        let settings = Home::new(&[(USER, "{}"), ("claude/policy-limits.json", limits)]).read(&[]);
        let told = settings.remarks().iter().any(|remark| remark.contains("policy-limits.json"));
        (settings.removal(DateTime::UNIX_EPOCH, written).is_some(), told)
    };
    let of = |words: &str| format!(r#"{{"restrictions": {{}}, "compliance_taints": {words}}}"#);
    for words in [r#"["hipaa"]"#, r#"["zdr"]"#, r#"["new", "ZDR", 7]"#] {
        assert_eq!(goes(&of(words), DESKTOP), (true, true), "{words}");
        assert_eq!(
            goes(&of(words), Written { is_empty: true, ..Written::default() }),
            (false, true),
            "{words}"
        );
    }
    for limits in [of("[]"), of("null"), of(r#"["new"]"#), of(r#""hipaa""#), "[".into(), "[]".into()] {
        assert_eq!(goes(&limits, DESKTOP), (false, false), "{limits}");
    }
}
