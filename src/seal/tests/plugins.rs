//! A plugin that hides nothing, to see that plugins are spoken to; run in a process of its own, whose
//! PATH leads to it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::*;

/// Wraps a file key as itself, by the age plugin protocol (C2SP `age-plugin.md`). A stanza is a line
/// `-> …` and a body of base64 that ends with a short line.
const PLUGIN: &str = r#"#!/bin/sh
key=
while read -r arrow command rest; do
    body=
    while read -r line; do
        body=$body$line
        [ ${#line} -lt 64 ] && break
    done
    case "$command" in
        wrap-file-key) key=$body ;;
        recipient-stanza) case "$rest" in *clear*) key=$body ;; esac ;;
        done) break ;;
    esac
done
case "$1" in
    --age-plugin=recipient-v1) answer='recipient-stanza 0 clear' ;;
    --age-plugin=identity-v1) answer='file-key 0' ;;
esac
if [ "$key" ]; then
    printf -- '-> %s\n%s\n' "$answer" "$key"
    read -r ok; read -r empty
fi
printf -- '-> done\n\n'
"#;

const SPOKEN_TO: &str = "the plugin was spoken to";

const RUN_INSIDE: &str = "seal::tests::plugins::inside_a_process_whose_path_has_the_plugin";

#[test]
fn a_plugin_seals_and_opens() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("age-plugin-clear");
    let mut file = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
    std::io::Write::write_all(&mut file, PLUGIN.as_bytes()).unwrap();
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o700)).unwrap();
    drop(file.persist_noclobber(&program).unwrap());
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", RUN_INSIDE])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", dir.path().display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success() && said.contains(SPOKEN_TO),
        "{said}{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

#[test]
fn inside_a_process_whose_path_has_the_plugin() {
    let public = recipients::bech32("age1clear", &[1; 10]);
    let private = recipients::bech32("age-plugin-clear-", &[1; 10]).to_uppercase();
    let other = key::generate(now());
    let to =
        Recipients::parse([(&*public, Plugins::Allowed), (&*other.recipient, Plugins::Allowed)]).unwrap();
    // Anywhere else than where the test above runs it there is nothing to speak to.
    let Ok(mut sealer) = Sealer::new(&to, Compression::Zstd) else { return };
    let mut with = Identities::new();
    with.add(private.as_bytes(), Path::new("k"), &nobody()).unwrap();
    for plain in ["one file", "and another"] {
        let mut sealed = Vec::new();
        sealer.seal(&mut plain.as_bytes(), plain.len() as u64, &mut sealed).unwrap();
        assert_eq!(open(&sealed, &with, Compression::Zstd, PlainSize::Unknown).unwrap().0, plain.as_bytes());
        let mut native = Identities::new();
        native.add(&other.content, Path::new("k"), &nobody()).unwrap();
        open(&sealed, &native, Compression::Zstd, PlainSize::Unknown).unwrap();
    }
    // Sealed to others only: the plugin has nothing to say.
    let (foreign, _) = seal(b"x", &super::recipients(&other.recipient), Compression::Zstd);
    let error = open(&foreign, &with, Compression::Zstd, PlainSize::Unknown).unwrap_err();
    assert!(matches!(error, UnsealError::WrongKey), "{error}");
    println!("{SPOKEN_TO}");
}
