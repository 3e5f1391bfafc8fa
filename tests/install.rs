//! `packaging/install.sh` as it is shipped, with a release in a folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::Sandbox;
use crate::common::sandbox::{found, has, program};
use crate::common::skip;

const SCRIPT: &str = include_str!("../packaging/install.sh");
const VERSION: &str = concat!("ccretain ", env!("CARGO_PKG_VERSION"), "\n");

const ADDRESS: &str = "https://example.com/a release";

/// A folder that people install from, and where they do; both have a space in their names.
struct Release {
    sandbox: Sandbox,
    folder: PathBuf,
    archive: String,
}

impl Release {
    fn new() -> Self {
        let link = format!("#!/bin/sh\nexec '{}' \"$@\"\n", program().display());
        // A link to the program would be one in the archive.
        Self::with(&link)
    }

    /// A release with this text for a program.
    fn with(program: &str) -> Self {
        let sandbox = Sandbox::new();
        let folder = sandbox.root().join("a release");
        let machine = std::env::consts::ARCH;
        let name = format!("ccretain-{}-{machine}-unknown-linux-musl", env!("CARGO_PKG_VERSION"));
        let tree = sandbox.root().join(&name);
        for folder in [&folder, &tree, &sandbox.root().join("bin"), &sandbox.root().join("temp files")] {
            fs::create_dir_all(folder).unwrap();
        }
        executable(&tree.join("ccretain"), program);
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

    /// What `install.sh` runs with; programs in the sandbox's `bin` come before those of the machine.
    fn command(&self, script: &str) -> Command {
        let file = self.sandbox.write("install.sh", script.as_bytes());
        let mut command = Command::new("/bin/sh");
        command
            .arg(file)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.bin().display()))
            .env("HOME", self.sandbox.home())
            .env("TMPDIR", self.sandbox.root().join("temp files"))
            .env("CCRETAIN_STATE_DIR", self.sandbox.root().join("state"))
            .env("CCRETAIN_TO", self.place().parent().unwrap())
            .env("CCRETAIN_FROM", &self.folder);
        command
    }

    fn install(&self, script: &str) -> Output {
        self.run(&mut self.command(script))
    }

    /// Runs it; whatever happens, nothing temporary is left.
    fn run(&self, command: &mut Command) -> Output {
        let output = command.output().unwrap();
        let temporary: Vec<_> = fs::read_dir(self.sandbox.root().join("temp files")).unwrap().collect();
        assert!(temporary.is_empty(), "{temporary:?}");
        if let Ok(beside) = fs::read_dir(self.place().parent().unwrap()) {
            let names: Vec<_> = beside.map(|entry| entry.unwrap().file_name()).collect();
            assert!(names.iter().all(|name| name == "ccretain"), "{names:?}");
        }
        output
    }

    fn bin(&self) -> PathBuf {
        self.sandbox.root().join("bin")
    }

    /// A program of the machine, as this text has it.
    fn stand_in(&self, name: &str, text: &str) {
        executable(&self.bin().join(name), &format!("#!/bin/sh\n{text}\n"));
    }

    /// A path with what `install.sh` calls, without these.
    fn path_without(&self, missing: &[&str]) -> PathBuf {
        let folder = self.sandbox.root().join(format!("without {}", missing.join(" ")));
        fs::create_dir_all(&folder).unwrap();
        for name in
            ["uname", "id", "mktemp", "rm", "cp", "grep", "sha256sum", "tar", "gzip", "mkdir", "chmod", "mv"]
        {
            if !missing.contains(&name) {
                std::os::unix::fs::symlink(found(name), folder.join(name)).unwrap();
            }
        }
        folder
    }

    fn place(&self) -> PathBuf {
        self.sandbox.home().join("my programs/ccretain")
    }

    /// It says why, and leaves nothing behind.
    fn refuses(&self, script: &str, why: &str) {
        self.refuses_to_run(&mut self.command(script), why);
        assert!(!self.place().exists());
    }

    fn refuses_to_run(&self, command: &mut Command, why: &str) {
        let output = self.run(command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("install.sh: ") && last.ends_with("; nothing was installed"), "{said}");
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    /// It installs this version, and nothing else is there afterwards.
    fn installs(&self, command: &mut Command) -> String {
        let output = self.run(command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let run = Command::new(self.place()).arg("--version").output().unwrap();
        assert_eq!(String::from_utf8(run.stdout).unwrap(), VERSION);
        String::from_utf8(output.stdout).unwrap()
    }
}

fn executable(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_release_in_a_folder_is_installed_and_runs() {
    let release = Release::new();
    for _ in 0..2 {
        let said = release.installs(&mut release.command(SCRIPT));
        assert!(said.contains(VERSION.trim()) && said.contains("not in PATH"), "{said}");
    }
    assert!(SCRIPT.lines().count() <= 60);
    assert!(SCRIPT.lines().all(|line| line.len() <= 125));
    // A folder by a relative name, and one that is in the path.
    let mut command = release.command(SCRIPT);
    let path = format!("/usr/bin:/bin:{}", release.place().parent().unwrap().display());
    command.current_dir(release.sandbox.home()).env("CCRETAIN_TO", "my programs").env("PATH", path);
    let said = release.installs(&mut command);
    assert!(said.contains(&release.place().display().to_string()) && !said.contains("not in PATH"), "{said}");
}

#[test]
fn what_is_not_what_was_released_is_not_installed() {
    let release = Release::new();
    let archive = release.folder.join(&release.archive);
    let good = fs::read(&archive).unwrap();
    for bad in [[&good[..], b"x"].concat(), good[..good.len() / 2].to_vec(), Vec::new()] {
        fs::write(&archive, bad).unwrap();
        release.refuses(SCRIPT, "is not what SHA256SUMS says");
    }
    fs::remove_file(&archive).unwrap();
    release.refuses(SCRIPT, "there is no ccretain-");
    let sums = release.folder.join("SHA256SUMS");
    let line = fs::read_to_string(&sums).unwrap();
    // Another name for it is another file, wherever that would lie.
    for other in [
        String::new(),
        line.replace("  ", "  ../"),
        line.replace("  ", "  ../../x  "),
        line.replace("ccretain-", "ccretain-1.0/../"),
        line[1..].to_owned(),
    ] {
        fs::write(&sums, other).unwrap();
        release.refuses(SCRIPT, "SHA256SUMS has no");
    }
    fs::write(&sums, format!("{line}{}", line.replace("ccretain-0", "ccretain-9"))).unwrap();
    fs::write(&archive, &good).unwrap();
    release.refuses(SCRIPT, "SHA256SUMS has two for");
    fs::remove_file(sums).unwrap();
    release.refuses(SCRIPT, "there is no SHA256SUMS");
}

#[test]
fn an_older_program_is_replaced_or_stays_whole() {
    let old = "#!/bin/sh\necho ccretain 0.0.9\n";
    let stays = |release: &Release, command: &mut Command, why: &str| {
        release.refuses_to_run(command, why);
        assert_eq!(fs::read_to_string(release.place()).unwrap(), old);
    };
    let broken = Release::with("\x7fELF of another processor");
    let release = Release::new();
    for release in [&broken, &release] {
        fs::create_dir_all(release.place().parent().unwrap()).unwrap();
        executable(&release.place(), old);
    }
    stays(&broken, &mut broken.command(SCRIPT), "the program does not run");
    release.stand_in("mv", "exit 1");
    stays(&release, &mut release.command(SCRIPT), "cannot be replaced");
    fs::remove_file(release.bin().join("mv")).unwrap();
    // A disk that is full, in the middle of the copy.
    release.stand_in("cp", "case $1 in */SHA256SUMS | *.gz) exec /bin/cp \"$@\" ;; esac; : >\"$2\"; exit 1");
    stays(&release, &mut release.command(SCRIPT), "cannot be written");
    fs::remove_file(release.bin().join("cp")).unwrap();
    // Nobody writes there, not even root.
    stays(
        &release,
        release.command(SCRIPT).env("CCRETAIN_TO", "/proc"),
        "'/proc/ccretain' cannot be written",
    );
    stays(&release, release.command(SCRIPT).env("CCRETAIN_TO", "/proc/no/folder"), "cannot be written");
    let folder = release.sandbox.home().join("ccretain");
    fs::create_dir_all(&folder).unwrap();
    stays(&release, release.command(SCRIPT).env("CCRETAIN_TO", release.sandbox.home()), "cannot be written");
    assert!(fs::read_dir(folder).unwrap().next().is_none());
    release.installs(&mut release.command(SCRIPT));
}

#[test]
fn a_machine_that_lacks_something_is_told_what() {
    let release = Release::new();
    let at = |path: &Path| {
        let mut command = release.command(SCRIPT);
        command.env("PATH", path);
        command
    };
    release.installs(&mut at(&release.path_without(&[])));
    fs::remove_file(release.place()).unwrap();
    let bare = release.path_without(&["sha256sum"]);
    release.refuses_to_run(&mut at(&bare), "sha256sum is missing");
    // What a Mac has in its place.
    let sum = found("sha256sum");
    executable(
        &bare.join("shasum"),
        &format!("#!/bin/sh\n[ \"$1 $2\" = '-a 256' ] && shift 2 && exec '{}' \"$@\"\n", sum.display()),
    );
    release.installs(&mut at(&bare));
    fs::remove_file(release.place()).unwrap();
    release.refuses_to_run(&mut at(&release.path_without(&["tar"])), "cannot be unpacked");
    release.refuses_to_run(
        at(&release.path_without(&["curl", "wget"])).env("CCRETAIN_FROM", ADDRESS),
        "curl and wget are missing",
    );
    let keyed = SCRIPT.replace("@KEY@", "ssh-ed25519 AAAA");
    let mut command = release.command(&keyed);
    command.env("PATH", release.path_without(&["ssh-keygen"]));
    release.refuses_to_run(&mut command, "install openssh-client");

    // Somebody without a home, or with an empty name for it.
    release.stand_in("id", "echo 1000");
    let mut homeless = release.command(SCRIPT);
    homeless.env_remove("CCRETAIN_TO").env_remove("HOME");
    release.refuses_to_run(&mut homeless, "HOME is not set");
    release.refuses_to_run(homeless.env("HOME", ""), "HOME is not set");
    assert!(release.run(homeless.env("HOME", release.sandbox.home())).status.success());
    assert!(release.sandbox.home().join(".local/bin/ccretain").exists());
    release.installs(homeless.env_remove("HOME").env("CCRETAIN_TO", release.place().parent().unwrap()));
    fs::remove_file(release.place()).unwrap();

    for (machine, why) in [
        ("Linux armv7l", "there is no program for Linux armv7l"),
        ("Linux i686", "there is no program for Linux i686"),
        ("FreeBSD amd64", "there is no program for FreeBSD amd64"),
        ("Darwin arm64", "SHA256SUMS has no aarch64-apple-darwin"),
    ] {
        release.stand_in("uname", &format!("echo '{machine}'"));
        release.refuses(SCRIPT, why);
    }
    fs::remove_file(release.bin().join("uname")).unwrap();
    release.refuses_to_run(&mut at(&release.bin()), "there is no program for");
    for (from, why) in [
        ("http://example.com", "only https:// and folders"),
        ("ftp://example.com", "only https:// and folders"),
        ("/nowhere", "there is no SHA256SUMS in '/nowhere'"),
        ("", "say where the release lies"),
    ] {
        release.refuses_to_run(release.command(SCRIPT).env("CCRETAIN_FROM", from), why);
    }
}

#[test]
fn a_release_at_an_address_is_fetched_by_what_is_there() {
    let release = Release::new();
    let serve = |folder: &Path, name: &str, words: &str, then: &str| {
        let folder_of_release = release.folder.display();
        executable(
            &folder.join(name),
            &format!(
                "#!/bin/sh\n[ \"$#\" = {} ] && [ \"$1\" = {words} ] || exit 9\n\
                 for address; do :; done\n\
                 case $address in '{ADDRESS}/'*) ;; *) exit 8 ;; esac\n\
                 {then}\ncp '{folder_of_release}'/\"${{address##*/}}\" \"$2\"\n",
                if name == "curl" { 5 } else { 3 },
            ),
        );
    };
    let whole = |name: &str, words: &str| {
        let path = release.path_without(&["curl", "wget"]);
        serve(&path, name, words, "");
        release.installs(release.command(SCRIPT).env("CCRETAIN_FROM", ADDRESS).env("PATH", &path));
        fs::remove_file(release.place()).unwrap();
        fs::remove_dir_all(path).unwrap();
    };
    whole("curl", "-fsSLo");
    whole("wget", "-qO");

    let bin = release.bin();
    let mut command = release.command(SCRIPT);
    command.env("CCRETAIN_FROM", ADDRESS);
    let half = |and: &str| {
        format!(
            "case $address in *.gz) head -c 100 '{}'/*.gz >\"$2\"; {and} ;; esac",
            release.folder.display()
        )
    };
    // A connection that breaks, one that ends too soon and does not say so, and somebody who has waited long enough.
    serve(&bin, "curl", "-fsSLo", &half("exit 18"));
    release.refuses_to_run(&mut command, "there is no ccretain-");
    serve(&bin, "curl", "-fsSLo", &half("exit 0"));
    release.refuses_to_run(&mut command, "is not what SHA256SUMS says");
    for signal in ["HUP", "INT", "TERM"] {
        serve(&bin, "curl", "-fsSLo", &half(&format!("kill -{signal} $PPID; exit 0")));
        let output = release.run(&mut command);
        assert_eq!(output.status.code(), Some(1), "{signal}");
    }
    assert!(!release.place().exists());
}

/// A shell that reads it from a pipe runs what came before the pipe broke.
#[test]
fn a_script_that_breaks_off_does_nothing() {
    let release = Release::new();
    for (end, _) in SCRIPT.match_indices('\n') {
        if SCRIPT[end..].trim() == "" {
            break;
        }
        let output = release.install(&SCRIPT[..end]);
        assert!(output.stdout.is_empty() && !release.place().exists(), "{}", &SCRIPT[..end]);
    }
    assert!(!release.place().parent().unwrap().exists());
}

#[test]
fn sums_that_the_publisher_did_not_sign_install_nothing() {
    if !has("ssh-keygen") {
        return skip("needs ssh-keygen");
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
