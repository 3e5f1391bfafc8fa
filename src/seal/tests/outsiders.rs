//! The commands of others as judges: they open what is sealed here, and what they seal is opened.
//! Skipped, with a word about it, where they are not installed.
#![expect(clippy::disallowed_methods, reason = "the files are those of a scratch folder")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

/// A program of the system, or of those that the gate builds, or a loud word that it is missing.
pub(super) fn tool(name: &str) -> Option<PathBuf> {
    let usual = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let found = usual.into_iter().chain(built()).map(|dir| dir.join(name)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: '{name}' is not installed, so what it would judge is not judged");
    }
    found
}

/// Where programs lie of which the system has no package: in `PATH`, or where `.ci/run` puts them.
fn built() -> Vec<PathBuf> {
    let own = std::env::var_os("CCRETAIN_CI_CACHE").map(PathBuf::from);
    let shared = || std::env::var_os("XDG_CACHE_HOME").filter(|set| !set.is_empty()).map(PathBuf::from);
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    let cache = own.or_else(|| Some(shared().or_else(home)?.join("ccretain-ci")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(cache.map(|cache| cache.join("bin"))).collect()
}

/// A program that speaks age.
struct Judge {
    name: &'static str,
    program: PathBuf,
    keygen: PathBuf,
    /// Whether it takes the keys of SSH: an option of rage that the gate does not build.
    takes_ssh: bool,
}

/// Every judge that is installed.
fn judges() -> impl Iterator<Item = Judge> {
    [("age", "age-keygen", true), ("rage", "rage-keygen", false)].into_iter().filter_map(
        |(name, keygen, takes_ssh)| {
            Some(Judge { name, program: tool(name)?, keygen: tool(keygen)?, takes_ssh })
        },
    )
}

fn run(tool: &Path, dir: &Path, args: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
    use std::io::Write as _;
    let mut child = Command::new(tool)
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = feeder.join();
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn the_commands_of_others_open_what_is_sealed_here() {
    let Some(zstd) = tool("zstd") else { return };
    let dir = tempfile::tempdir().unwrap();
    let new = key::generate(now());
    std::fs::write(dir.path().join("key"), &*new.content).unwrap();
    let to = super::recipients(&new.recipient);
    for Judge { name, program, .. } in judges() {
        for len in [0, 1, 65_536, 200_000, 9 << 20] {
            let plain = text(len);
            let (sealed, _) = seal(&plain, &to, Compression::Zstd);
            let packed = run(&program, dir.path(), &["-d", "-i", "key"], &sealed).unwrap();
            assert!(run(&zstd, dir.path(), &["-d", "-c"], &packed).unwrap() == plain, "{name} {len}");
            // The checksum and the size are in the frame.
            std::fs::write(dir.path().join("f.zst"), &packed).unwrap();
            let listed = String::from_utf8(run(&zstd, dir.path(), &["-lv", "f.zst"], b"").unwrap()).unwrap();
            assert!(listed.contains("XXH64"), "{name}: {listed}");
            assert!(listed.contains(&format!("({len} B)")), "{name}: {listed}");
            let (sealed, _) = seal(&plain, &to, Compression::None);
            let opened = run(&program, dir.path(), &["-d", "-i", "key"], &sealed).unwrap();
            assert!(opened == plain, "{name} {len}");
        }
        // A judge that takes anything is none.
        let (mut sealed, _) = seal(&text(200_000), &to, Compression::None);
        sealed[150_000] ^= 1;
        assert!(run(&program, dir.path(), &["-d", "-i", "key"], &sealed).is_err(), "{name}");
    }
}

#[test]
fn what_the_commands_of_others_seal_is_opened_here() {
    let Some(zstd) = tool("zstd") else { return };
    let dir = tempfile::tempdir().unwrap();
    let new = key::generate(now());
    let mut with = Identities::new();
    with.add(&new.content, Path::new("key"), &nobody()).unwrap();
    for Judge { name, program, .. } in judges() {
        let encrypt = |bytes: &[u8]| run(&program, dir.path(), &["-r", &new.recipient], bytes).unwrap();
        for len in [0, 1, 65_536, 200_000, 3 << 20] {
            let plain = text(len);
            for level in ["-1", "-3", "-19"] {
                let sealed = encrypt(&run(&zstd, dir.path(), &[level, "-c"], &plain).unwrap());
                let size = PlainSize::Exactly(len as u64);
                let (back, _) = open(&sealed, &with, Compression::Zstd, size).unwrap();
                assert!(back == plain, "{name} {len} {level}");
            }
            let sealed = encrypt(&plain);
            let (back, _) = open(&sealed, &with, Compression::None, PlainSize::Unknown).unwrap();
            assert!(back == plain, "{name} {len}");
        }
        // A window as large as the zstd command takes without being told to.
        let plain = text(1 << 20);
        let sealed = encrypt(&run(&zstd, dir.path(), &["--long=27", "-c"], &plain).unwrap());
        let (back, _) = open(&sealed, &with, Compression::Zstd, PlainSize::Unknown).unwrap();
        assert!(back == plain, "{name}");
    }
}

#[test]
fn keys_of_the_ssh_and_age_tools_work_both_ways() {
    let Some(ssh) = tool("ssh-keygen") else { return };
    let dir = tempfile::tempdir().unwrap();
    let ours = key::generate(now());
    std::fs::write(dir.path().join("ours"), &*ours.content).unwrap();
    let mut ssh_keys = Vec::new();
    for kind in ["ed25519", "rsa"] {
        run(&ssh, dir.path(), &["-q", "-t", kind, "-N", "", "-f", kind], b"").unwrap();
        ssh_keys.push((kind, std::fs::read_to_string(dir.path().join(format!("{kind}.pub"))).unwrap()));
    }
    for Judge { name, program, keygen, takes_ssh } in judges() {
        let made = run(&keygen, dir.path(), &[], b"").unwrap();
        let native = key::recipients_of(&made, Path::new("key"), &nobody()).unwrap().remove(0);
        assert!(String::from_utf8_lossy(&made).contains(&native), "the recipient in its comment");
        std::fs::write(dir.path().join("native"), &made).unwrap();
        // Ours is read by theirs.
        let told = run(&keygen, dir.path(), &["-y", "ours"], b"").unwrap();
        assert_eq!(String::from_utf8_lossy(&told).trim(), ours.recipient, "{name}");

        let mut all = vec![("native", native)];
        all.extend(ssh_keys.iter().filter(|_| takes_ssh).cloned());
        for (file, recipient) in all {
            let (sealed, _) = seal(b"to and fro", &super::recipients(&recipient), Compression::None);
            let opened = run(&program, dir.path(), &["-d", "-i", file], &sealed).unwrap();
            assert_eq!(opened, b"to and fro", "{name} {file}");
            let theirs = run(&program, dir.path(), &["-r", recipient.trim()], b"to and fro").unwrap();
            let mut with = Identities::new();
            with.load(&dir.path().join(file), &nobody()).unwrap();
            let (back, _) = open(&theirs, &with, Compression::None, PlainSize::Unknown).unwrap();
            assert_eq!(back, b"to and fro", "{name} {file}");
        }
    }
}
