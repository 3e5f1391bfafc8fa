//! Every sample in `tests/policies` is read: the valid ones are valid, each invalid one says what
//! the text beside it says.

use super::*;
use crate::client::ClientSettings;
use crate::policy::check::{Against, Checked, Start, check, init};

fn checked(path: &Path) -> Checked {
    let client = ClientSettings::default();
    let against =
        Against { globs: context().globs, known: &[], client: &client, now: chrono::DateTime::UNIX_EPOCH };
    check(path, None, &against).unwrap()
}

fn samples(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies").join(folder);
    let mut paths: Vec<PathBuf> =
        fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    assert!(paths.len() > 5, "samples are found");
    paths
}

#[test]
fn valid_samples_are_valid() {
    for path in samples("valid") {
        assert_eq!(checked(&path).problems, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn invalid_samples_say_what_is_wrong() {
    let mut different = Vec::new();
    for path in samples("invalid") {
        let expected = fs_err::read_to_string(path.with_extension("txt")).unwrap_or_default();
        let found = checked(&path).problems.join("\n");
        if found != expected.trim_end() || found.is_empty() {
            different.push(format!("{}\n{found}\n", path.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn each_start_is_valid_for_what_it_is() {
    use crate::policy::Mode;
    for (start, layer, mode) in [
        (Start::User, Layer::User, Mode::Enforce),
        (Start::Audit, Layer::User, Mode::Audit),
        (Start::Managed, Layer::Managed, Mode::Audit),
    ] {
        let text = init(start);
        let settings = crate::policy::parse::policy(text.as_bytes()).unwrap();
        assert_eq!(settings.mode, Some(mode));
        crate::policy::check::judge(Path::new("p.json"), text.as_bytes(), layer, context().globs).unwrap();
    }
}

#[test]
fn what_only_a_managed_layer_forbids_is_found_as_one() {
    let says = br#"{"keepAtLeast": "60d", "rules": [{"name": "o", "deleteAfter": "30d"}]}"#;
    let judged = |layer| crate::policy::check::judge(Path::new("p.json"), says, layer, context().globs);
    assert!(judged(Layer::System).is_ok() && judged(Layer::User).is_ok());
    assert!(judged(Layer::Managed).unwrap_err()[0].contains("keepAtLeast 60d is longer"));
}

#[test]
fn a_check_warns_of_what_may_surprise() {
    use crate::policy::check::Known;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.json");
    let text = r#"{"keepAtLeast": "2d", "rules": [
        {"name": "a", "projects": ["/work/a/**", "/work/typo/**"], "deleteAfter": "1d"},
        {"name": "b", "projects": ["/work/b"], "deleteAfter": "60d"}],
        "holds": [{"name": "h", "reason": "r", "until": "1969-01-01T00:00:00Z", "projects": ["/work/b"]}]}"#;
    std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text.as_bytes()).unwrap();
    let known: Vec<Known> = ["/work/a/x", "/work/b", "/work/c"]
        .map(|project| Known { project: Some(project.into()), session: None, ..Known::default() })
        .into_iter()
        .chain([Known::default()])
        .collect();
    let client = ClientSettings::default();
    let against =
        Against { globs: context().globs, known: &known, client: &client, now: chrono::DateTime::UNIX_EPOCH };
    let found = check(&path, None, &against).unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!(found.sessions_without_rule, 2);
    assert_eq!(
        found.warnings,
        [
            "'/work/typo/**' of rule 'a' matches no known project",
            "hold 'h' has ended",
            "keepAtLeast 2d delays rule 'a'",
            "rule 'b' keeps for 60d, but Claude Code itself removes transcripts after 30 days",
        ]
    );
}
