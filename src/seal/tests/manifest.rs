use std::path::PathBuf;

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::super::manifest::*;
use super::super::naming::Tree;
use super::*;
use crate::catalogue::{Kind, SessionId};

const S: &str = "01234567-89ab-4cde-8f01-23456789abcd";

fn id() -> SessionId {
    S.parse().unwrap()
}

fn file(path: &str) -> SealedFile {
    SealedFile {
        kind: Kind::Transcript,
        path: path.into(),
        temp: None,
        sealed: format!("{path}.zst.age").into(),
        compression: Compression::Zstd,
        size: 1234,
        sealed_size: 567,
        mode: 0o600,
        acl: None,
        mtime: "2026-11-20T08:00:00.123456789Z".parse().unwrap(),
        changed: None,
        sha256: [0xab; 32],
        becoming: None,
    }
}

fn record(files: Vec<SealedFile>) -> Manifest {
    Manifest {
        version: VERSION,
        session: id(),
        project: Some("/work/acme".into()),
        rivals: Vec::new(),
        project_in_doubt: false,
        lacks_projects: false,
        cwds: vec!["/work/acme".into()],
        last_activity: Some("2026-11-20T08:00:00Z".parse().unwrap()),
        last_activity_from: Some(DatedBy::Record),
        later: Vec::new(),
        desktop: false,
        desktop_deleted: false,
        sealed_at: Some(now()),
        recipients: None,
        slugs: Vec::new(),
        files,
        links: Vec::new(),
    }
}

#[test]
fn the_record_reads_as_documented() {
    let json = String::from_utf8(record(vec![file("projects/P/x.jsonl")]).to_json().unwrap()).unwrap();
    let expected = r#"{
  "version": 1,
  "session": "01234567-89ab-4cde-8f01-23456789abcd",
  "project": "/work/acme",
  "cwds": [
    "/work/acme"
  ],
  "lastActivity": "2026-11-20T08:00:00Z",
  "lastActivityFrom": "record",
  "sealedAt": "2026-11-22T10:00:00Z",
  "files": [
    {
      "kind": "transcript",
      "path": "projects/P/x.jsonl",
      "sealed": "projects/P/x.jsonl.zst.age",
      "compression": "zstd",
      "size": 1234,
      "sealedSize": 567,
      "mode": "0600",
      "mtime": "2026-11-20T08:00:00.123456789Z",
      "sha256": "abababababababababababababababababababababababababababababababab"
    }
  ]
}
"#;
    assert_eq!(json, expected);
}

#[test]
fn a_later_key_is_passed_over_and_a_later_version_is_not() {
    let json = String::from_utf8(record(vec![file("a/b")]).to_json().unwrap()).unwrap();
    let later = json
        .replace("\"cwds\"", "\"colour\": {\"x\": [1]}, \"cwds\"")
        .replace("\"size\"", "\"y\": 1, \"size\"");
    assert_eq!(Manifest::parse(later.as_bytes(), id()).unwrap(), record(vec![file("a/b")]));
    for version in ["0", "2", "4000000000"] {
        let other = json.replace("\"version\": 1", &format!("\"version\": {version}"));
        assert!(
            matches!(Manifest::parse(other.as_bytes(), id()), Err(ManifestError::Version(_))),
            "{version}"
        );
    }
}

#[test]
fn a_bad_record_is_an_error() {
    let good = record(vec![file("a/b")]);
    let json = String::from_utf8(good.to_json().unwrap()).unwrap();
    assert!(Manifest::parse(json.as_bytes(), id()).is_ok());
    for (from, to) in [
        ("\"transcript\"", "\"no-such-kind\""),
        ("\"0600\"", "\"0900\""),
        ("\"0600\"", "\"70600\""),
        ("1234", "-1"),
        ("abab", "ab"),
        ("\"a/b\"", "\"a\\u0000b\""),
        ("\"a/b\"", "{\"hex\": \"zz\"}"),
        ("T08:00:00.1", " 08h00.1"),
        ("\"version\": 1,", ""),
        ("\"files\"", "\"filez\""),
        ("}\n", ""),
    ] {
        let bad = json.replacen(from, to, 1);
        assert_ne!(bad, json);
        let error = Manifest::parse(bad.as_bytes(), id()).unwrap_err();
        assert!(matches!(error, ManifestError::Malformed { .. }), "{to}: {error}");
    }
    for cut in 0..json.trim_end().len() {
        assert!(Manifest::parse(&json.as_bytes()[..cut], id()).is_err(), "{cut}");
    }
    let other = "11234567-89ab-4cde-8f01-23456789abcd".parse().unwrap();
    assert!(matches!(Manifest::parse(json.as_bytes(), other), Err(ManifestError::OtherSession(_))));
}

#[test]
fn no_path_in_a_record_leads_elsewhere() {
    for path in ["../x", "/etc/passwd", "a/../../x", "", ".", "./a"] {
        for change in [0, 1] {
            let mut one = file("a/b");
            if change == 0 {
                one.path = path.into()
            } else {
                one.sealed = path.into()
            }
            let json = record(vec![file("c"), one]).to_json().unwrap();
            assert!(matches!(Manifest::parse(&json, id()), Err(ManifestError::Path(1))), "{path}");
        }
    }
    let mut one = file("a/b");
    one.temp = Some("relative".into());
    assert!(matches!(
        Manifest::parse(&record(vec![one]).to_json().unwrap(), id()),
        Err(ManifestError::Path(0))
    ));
    let twice = record(vec![file("a"), file("a")]).to_json().unwrap();
    assert!(matches!(Manifest::parse(&twice, id()), Err(ManifestError::Twice(1))));
}

#[test]
fn times_beyond_the_usual_years_come_back() {
    for time in ["1969-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00.000000001Z", "+12026-01-01T00:00:00Z"]
    {
        let mut one = file("a");
        one.mtime = time.parse().unwrap();
        let good = record(vec![one]);
        assert_eq!(Manifest::parse(&good.to_json().unwrap(), id()).unwrap(), good, "{time}");
    }
}

#[cfg(unix)]
proptest! {
    #[test]
    fn any_record_comes_back(
        names in proptest::collection::hash_set(proptest::collection::vec(1u8..=255, 1..20), 0..6),
        size in any::<u64>(),
        mode in 0u32..=0o7777,
        seconds in -10_000_000_000i64..100_000_000_000,
        nanos in 0u32..1_000_000_000,
        sha256 in any::<[u8; 32]>(),
        cwds in proptest::collection::vec(".{0,20}", 0..4),
        in_temp in any::<bool>(),
    ) {
        use std::os::unix::ffi::OsStringExt as _;
        let files = names
            .into_iter()
            .map(|name| -> PathBuf { std::ffi::OsString::from_vec(name).into() })
            .filter(|path| path.components().all(|part| matches!(part, std::path::Component::Normal(_))))
            .map(|path| SealedFile {
                kind: Kind::TempFile,
                sealed: super::super::naming::sealed_name(Tree::Temp, &path, Compression::Zstd, 0).unwrap().path,
                path,
                temp: in_temp.then(|| {
                    std::ffi::OsString::from_vec(b"/tmp/claude-0/\xffP".to_vec()).into()
                }),
                compression: Compression::None,
                size,
                sealed_size: size,
                mode,
                acl: (size % 2 == 0).then(|| sha256.to_vec()),
                mtime: DateTime::<Utc>::from_timestamp(seconds, nanos).unwrap(),
                changed: DateTime::<Utc>::from_timestamp(seconds, nanos).filter(|_| in_temp),
                sha256,
                becoming: None,
            })
            .collect();
        let mut good = record(files);
        good.project = cwds.first().cloned();
        good.cwds = cwds;
        good.desktop = in_temp;
        let back = Manifest::parse(&good.to_json().unwrap(), id());
        // Two spellings of one path are the same file.
        if !matches!(back, Err(ManifestError::Twice(_))) {
            prop_assert_eq!(back.unwrap(), good);
        }
    }
}
