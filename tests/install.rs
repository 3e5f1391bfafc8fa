//! `packaging/install.sh` as it is shipped, with a release in a folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::Sandbox;
use crate::common::sandbox::{has, program};
use crate::common::skip;

const SCRIPT: &str = include_str!("../packaging/install.sh");

/// A folder that people install from, and where they do.
struct Release {
    sandbox: Sandbox,
    folder: PathBuf,
    archive: String,
}

impl Release {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let folder = sandbox.root().join("release");
        let machine = std::env::consts::ARCH;
        let name = format!("ccretain-{}-{machine}-unknown-linux-musl", env!("CARGO_PKG_VERSION"));
        let tree = sandbox.root().join(&name);
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir(&tree).unwrap();
        // A link of the program's would be one in the archive.
        fs::write(tree.join("ccretain"), format!("#!/bin/sh\nexec '{}' \"$@\"\n", program().display()))
            .unwrap();
        fs::set_permissions(tree.join("ccretain"), fs::Permissions::from_mode(0o755)).unwrap();
        let archive = format!("{name}.tar.gz");
        let release = Self { sandbox, folder, archive };
        release.sh(&format!("tar -C .. -czf {} {name} && sha256sum *.tar.gz >SHA256SUMS", release.archive));
        release
    }

    /// Runs a line of shell in the folder.
    fn sh(&self, line: &str) {
        let done = Command::new("sh").args(["-ec", line]).current_dir(&self.folder).status().unwrap();
        assert!(done.success(), "{line}");
    }

    fn install(&self, script: &str) -> Output {
        let file = self.sandbox.write("install.sh", script.as_bytes());
        Command::new("sh")
            .arg(file)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.sandbox.home())
            .env("TMPDIR", self.sandbox.root())
            .env("CCRETAIN_STATE_DIR", self.sandbox.root().join("state"))
            .env("CCRETAIN_TO", self.place().parent().unwrap())
            .env("CCRETAIN_FROM", &self.folder)
            .output()
            .unwrap()
    }

    fn place(&self) -> PathBuf {
        self.sandbox.home().join(".local/bin/ccretain")
    }

    /// It says why, and leaves nothing behind.
    fn refuses(&self, script: &str, why: &str) {
        let output = self.install(script);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(!self.place().exists());
    }
}

#[test]
fn a_release_in_a_folder_is_installed_and_runs() {
    let release = Release::new();
    for _ in 0..2 {
        let output = release.install(SCRIPT);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(
            said.contains(concat!("ccretain ", env!("CARGO_PKG_VERSION"))) && said.contains("not in PATH"),
            "{said}"
        );
        assert!(release.place().exists());
    }
    let beside: Vec<_> = fs::read_dir(release.place().parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1);
    assert!(SCRIPT.lines().count() <= 60);
}

#[test]
fn what_is_not_what_was_released_is_not_installed() {
    let release = Release::new();
    let archive = release.folder.join(&release.archive);
    let good = fs::read(&archive).unwrap();
    fs::write(&archive, [&good[..], b"x"].concat()).unwrap();
    release.refuses(SCRIPT, "is not what SHA256SUMS says");
    fs::remove_file(&archive).unwrap();
    release.refuses(SCRIPT, "there is no ccretain-");
    fs::write(release.folder.join("SHA256SUMS"), "").unwrap();
    release.refuses(SCRIPT, "no archive for");
    fs::remove_file(release.folder.join("SHA256SUMS")).unwrap();
    release.refuses(SCRIPT, "there is no SHA256SUMS");
}

#[test]
fn sums_that_the_publisher_did_not_sign_install_nothing() {
    if !has("ssh-keygen") {
        return skip("sums_that_the_publisher_did_not_sign_install_nothing", "needs ssh-keygen");
    }
    let release = Release::new();
    let keys = release.sandbox.root().join("keys");
    fs::create_dir(&keys).unwrap();
    let sign = |key: &str| {
        release.sh(&format!(
            "[ -e ../keys/{key} ] || ssh-keygen -q -t ed25519 -N '' -f ../keys/{key}; rm -f SHA256SUMS.sig
             ssh-keygen -q -Y sign -n ccretain-release -f ../keys/{key} SHA256SUMS 2>/dev/null"
        ));
        fs::read_to_string(Path::new(&keys).join(format!("{key}.pub"))).unwrap().trim().to_owned()
    };
    let theirs = sign("other");
    let ours = sign("publisher");
    let script = SCRIPT.replace("@KEY@", &ours);
    assert!(release.install(&script).status.success());
    fs::remove_file(release.place()).unwrap();
    release.refuses(&SCRIPT.replace("@KEY@", &theirs), "not signed by the publisher");
    sign("other");
    release.refuses(&script, "not signed by the publisher");
    fs::remove_file(release.folder.join("SHA256SUMS.sig")).unwrap();
    release.refuses(&script, "there is no SHA256SUMS.sig");
}
