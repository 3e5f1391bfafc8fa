//! `packaging/macos/first-run`, as far as Linux can try it: the program is real, what only a Mac has is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::common::Sandbox;
use crate::common::sandbox::program;

/// What a Mac has otherwise, in the words that the script says to it.
const STAND_INS: [(&str, &str); 9] = [
    ("uname", "case $1 in -s) echo Darwin ;; *) echo arm64 ;; esac"),
    ("sw_vers", "echo 14.0"),
    ("codesign", "exit 0"),
    ("plutil", "grep -q '</plist>'"),
    ("shasum", "exec sha1sum \"$@\""),
    (
        "date",
        "for word; do shift; case $word in -v-*d) day=${word#-v-}; set -- \"$@\" -d \"${day%d} days ago\" ;; \
         *) set -- \"$@\" \"$word\" ;; esac; done; exec /bin/date \"$@\"",
    ),
    ("sed", "if [ \"$1 $2\" = '-i ' ]; then shift 2; exec /bin/sed -i \"$@\"; fi; exec /bin/sed \"$@\""),
    ("chmod", "[ \"$1\" != +a ] || exit 0; exec /bin/chmod \"$@\""),
    ("ls", "[ \"$1\" != -le ] || { echo ' 0: group:everyone deny execute'; exit; }; exec /bin/ls \"$@\""),
];

#[test]
fn the_first_run_on_a_mac_says_what_the_program_understands() {
    let sandbox = Sandbox::new();
    let bin = sandbox.root().join("bin");
    let temporary = sandbox.root().join("temp files");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(&temporary).unwrap();
    for (name, text) in STAND_INS {
        fs::write(bin.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new("bash")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/macos/first-run"))
        .arg(program())
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("HOME", sandbox.home())
        .env("USER", "ann")
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let checks: Vec<&str> =
        said.lines().filter(|line| line.starts_with(|c: char| c == ' ' || c.is_ascii_digit())).collect();
    let is_ok = |line: &&&str| line.contains(" ok    ");
    // Only a Mac has a home by two names.
    assert_eq!(checks.iter().filter(is_ok).count(), 14, "{said}");
    assert!(said.contains("14 WRONG the home by its other name"), "{said}");
    assert!(said.ends_with("1 of 15 were not as expected\n"), "{said}");
    assert!(fs::read_dir(temporary).unwrap().next().is_none());
}
