use super::file::UNUSABLE;
use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn full(dir: &Path) -> StateFile {
    let mut file = StateFile::load(dir).unwrap();
    file.state.saw_root(Path::new("/z"), "config", at(0));
    file.state.saw_root(Path::new("/a"), "temp", at(1));
    file.state.clock = Some(ClockDoubt { since: at(2), latest: at(3) });
    file.state.mass = vec![MassReport { policy: "p".into(), first_reported: at(4), times: 2 }];
    file.state.last_run = Some(LastRun {
        run: "r".into(),
        time: at(5),
        exit: 4,
        is_recorded_elsewhere: true,
        refusals: vec!["no".into()],
        unfinished: Vec::new(),
        unknown: Map::new(),
    });
    file.state.remember_unsealed(Unsealed {
        store: "/z".into(),
        session: "s".into(),
        last_activity: at(-9),
        unsealed_at: at(6),
        recorded: Some(at(-8)),
        unknown: Map::new(),
    });
    file
}

#[test]
fn what_is_saved_comes_back_and_only_changes_are_saved() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("new/state");
    let mut file = full(&below);
    assert!(file.save().unwrap());
    assert!(!file.save().unwrap());
    let mut again = StateFile::load(&below).unwrap();
    assert_eq!(again.state, file.state);
    assert!(!again.save().unwrap());
    again.state.saw_root(Path::new("/a"), "temp", at(90));
    assert_eq!(again.state.roots[0].first_seen, at(1));
    assert_eq!(again.state.roots[0].last_seen, at(90));
    assert_eq!(again.state.roots.len(), 2);
    assert!(again.save().unwrap());
    again.state.forget_unsealed(Path::new("/z"), "s");
    assert!(again.state.all_unsealed().is_empty());
}

#[test]
fn nothing_remembered_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("none");
    let mut file = StateFile::load(&below).unwrap();
    assert_eq!(file.state, State::default());
    assert!(!file.save().unwrap());
    assert!(!below.exists());
}

#[test]
fn keys_of_a_later_version_survive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    full(dir.path()).save().unwrap();
    let mut value: Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    value["later"] = serde_json::json!({"x": 1});
    value["roots"][0]["label"] = "mine".into();
    write(&path, value.to_string().as_bytes());
    let mut file = StateFile::load(dir.path()).unwrap();
    file.state.clock = None;
    assert!(file.save().unwrap());
    let value: Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    assert_eq!(value["later"]["x"], 1);
    assert_eq!(value["roots"][0]["label"], "mine");
    assert_eq!(value["version"], 1);
    assert!(value.get("clock").is_none());
}

#[test]
fn damaged_or_newer_is_an_error_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    for (text, hint) in [
        ("", "repair it"),
        ("{", "repair it"),
        ("[]", "repair it"),
        ("{}", "repair it"),
        (r#"{"version":0}"#, "repair it"),
        (r#"{"version":"1"}"#, "repair it"),
        (r#"{"version":1,"roots":[{"path":1}]}"#, "repair it"),
        (r#"{"version":1,"roots":"#, "repair it"),
        (r#"{"version":2,"roots":{}}"#, "version 2"),
    ] {
        write(&path, text.as_bytes());
        let error = StateFile::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(hint), "{text}: {error}");
        assert_eq!(fs_err::read(&path).unwrap(), text.as_bytes());
    }
    write(&path, br#"{"version":1}"#);
    assert_eq!(StateFile::load(dir.path()).unwrap().state, State::default());
}

#[cfg(unix)]
#[test]
fn private_lossless_and_no_link() {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let odd = Path::new(std::ffi::OsStr::from_bytes(b"/odd-\xff"));
    let mut file = StateFile::load(dir.path()).unwrap();
    file.state.saw_root(odd, "config", at(0));
    file.save().unwrap();
    assert_eq!(StateFile::load(dir.path()).unwrap().state.roots[0].path, odd);
    let path = dir.path().join(FILE);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let other = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&path, other.path().join(FILE)).unwrap();
    let error = crate::error::chain(&StateFile::load(other.path()).unwrap_err());
    assert!(error.contains("it is a link"), "{error}");
}

#[expect(clippy::disallowed_methods, reason = "a scratch folder")]
fn write(path: &Path, bytes: &[u8]) {
    fs_err::write(path, bytes).unwrap();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a scratch folder")]
fn what_root_keeps_of_an_account_is_not_the_users_to_write() {
    let dir = tempfile::tempdir().unwrap();
    let report = |policy: &str| MassReport { policy: policy.into(), first_reported: at(0), times: 1 };
    let now = at(0);
    let unsealed = Unsealed {
        store: "/s".into(),
        session: "a".into(),
        last_activity: now,
        unsealed_at: now,
        recorded: None,
        unknown: Map::default(),
    };
    let mut own = StateFile::load(dir.path()).unwrap();
    own.state.saw_root(Path::new("/own"), "config", now);
    own.state.mass.push(report("forged"));
    own.state.remember_unsealed(unsealed.clone());
    own.save().unwrap();
    let load = || StateFile::load(dir.path());
    // Before the first run.
    let (mut file, errors) = StateFile::of_account(load(), "", now);
    assert!(errors.is_empty() && file.state.mass.is_empty());
    assert_eq!(file.state.roots.len(), 1);
    file.state.mass.push(report("ours"));
    file.state.saw_root(Path::new("/ours"), "config", now);
    let kept = file.kept().unwrap();
    file.save().unwrap();
    assert!(!kept.contains("unsealed"), "{kept}");
    // The user takes away what was written, and adds what may count.
    std::fs::remove_file(dir.path().join(FILE)).unwrap();
    let (file, errors) = StateFile::of_account(load(), &kept, now);
    assert!(errors.is_empty() && file.state.unsealed.is_empty());
    assert_eq!((file.state.roots.len(), file.state.mass.as_slice()), (2, [report("ours")].as_slice()));
    // What cannot be used, of either, is begun anew, and the user's stays as it is.
    std::fs::write(dir.path().join(FILE), "garbage").unwrap();
    let (mut file, errors) = StateFile::of_account(load(), &kept, now);
    assert_eq!((errors.len(), file.state.mass.len()), (1, 1));
    file.state.mass.clear();
    assert!(!file.save().unwrap());
    assert_eq!(std::fs::read_to_string(dir.path().join(FILE)).unwrap(), "garbage");
    let (file, errors) = StateFile::of_account(load(), "garbage", now);
    assert_eq!((errors.len(), file.state), (2, State { begun: Some(now), ..State::default() }));
}

#[cfg(unix)]
#[test]
fn what_cannot_be_used_is_put_aside_and_begun_anew() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let fifo = || mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let put: [&dyn Fn(); 4] = [
        &|| write(&path, b"{"),
        &|| write(&path, br#"{"version":99}"#),
        &|| fs_err::create_dir_all(path.join("full")).unwrap(),
        &fifo,
    ];
    for (at, put) in put.iter().cycle().take(12).enumerate() {
        put();
        assert!(StateFile::load(dir.path()).is_err());
        let mut anew = StateFile::anew(dir.path(), at_day(0));
        anew.state.saw_root(Path::new("/a"), "config", at_day(0));
        // A look changes nothing.
        assert!(StateFile::load(dir.path()).is_err());
        anew.save().unwrap_or_else(|error| panic!("{at}: {error}"));
        let again = StateFile::load(dir.path()).unwrap();
        assert_eq!((again.state.begun, again.state.roots.len()), (Some(at_day(0)), 1));
        crate::files::remove_own(&path).unwrap();
    }
    assert_eq!(fs_err::read(dir.path().join(UNUSABLE)).unwrap(), b"{");
}

#[test]
fn a_state_begun_anew_learns_for_a_week() {
    let state = StateFile::anew(Path::new("/x"), at_day(0)).state;
    assert!(state.is_learning(at_day(0)) && state.is_learning(at_day(7) - TimeDelta::seconds(1)));
    assert!(!state.is_learning(at_day(7)));
    // One that says it will be begun tomorrow was written by somebody else.
    assert!(!state.is_learning(at_day(-1)));
}

fn at_day(days: i64) -> DateTime<Utc> {
    at(days * 86_400)
}
