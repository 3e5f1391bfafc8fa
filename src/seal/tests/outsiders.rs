//! The age and zstd commands as judges: they open what is sealed here, and what they seal is opened.
//! Skipped, with a word about it, where they are not installed.
#![expect(clippy::disallowed_methods, reason = "the files are those of a scratch folder")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

/// A program of the system, or a loud word that it is missing.
pub(super) fn tool(name: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: '{name}' is not installed, so what it would judge is not judged");
    }
    found
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
fn the_age_and_zstd_commands_open_what_is_sealed_here() {
    let (Some(age), Some(zstd)) = (tool("age"), tool("zstd")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let new = key::generate(now());
    std::fs::write(dir.path().join("key"), &*new.content).unwrap();
    let to = super::recipients(&new.recipient);
    for len in [0, 1, 65_536, 200_000, 9 << 20] {
        let plain = text(len);
        let (sealed, _) = seal(&plain, &to, Compression::Zstd);
        let packed = run(&age, dir.path(), &["-d", "-i", "key"], &sealed).unwrap();
        assert!(run(&zstd, dir.path(), &["-d", "-c"], &packed).unwrap() == plain, "{len}");
        // The checksum and the size are in the frame.
        std::fs::write(dir.path().join("f.zst"), &packed).unwrap();
        let listed = String::from_utf8(run(&zstd, dir.path(), &["-lv", "f.zst"], b"").unwrap()).unwrap();
        assert!(listed.contains("XXH64"), "{listed}");
        assert!(listed.contains(&format!("({len} B)")), "{listed}");
        let (sealed, _) = seal(&plain, &to, Compression::None);
        assert!(run(&age, dir.path(), &["-d", "-i", "key"], &sealed).unwrap() == plain, "{len}");
    }
}

#[test]
fn what_the_age_and_zstd_commands_seal_is_opened_here() {
    let (Some(age), Some(zstd)) = (tool("age"), tool("zstd")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let new = key::generate(now());
    let mut with = Identities::new();
    with.add(&new.content, Path::new("key"), &nobody()).unwrap();
    for len in [0, 1, 65_536, 200_000, 3 << 20] {
        let plain = text(len);
        for level in ["-1", "-3", "-19"] {
            let packed = run(&zstd, dir.path(), &[level, "-c"], &plain).unwrap();
            let sealed = run(&age, dir.path(), &["-r", &new.recipient], &packed).unwrap();
            let (back, _) = open(&sealed, &with, Compression::Zstd, PlainSize::Exactly(len as u64)).unwrap();
            assert!(back == plain, "{len} {level}");
        }
        let sealed = run(&age, dir.path(), &["-r", &new.recipient], &plain).unwrap();
        assert!(open(&sealed, &with, Compression::None, PlainSize::Unknown).unwrap().0 == plain);
    }
    // A window as large as the zstd command takes without being told to.
    let plain = text(1 << 20);
    let packed = run(&zstd, dir.path(), &["--long=27", "-c"], &plain).unwrap();
    let sealed = run(&age, dir.path(), &["-r", &new.recipient], &packed).unwrap();
    assert!(open(&sealed, &with, Compression::Zstd, PlainSize::Unknown).unwrap().0 == plain);
}

#[test]
fn keys_of_the_ssh_and_age_tools_work_both_ways() {
    let (Some(age), Some(keygen), Some(ssh)) = (tool("age"), tool("age-keygen"), tool("ssh-keygen")) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let made = run(&keygen, dir.path(), &[], b"").unwrap();
    let native = key::recipients_of(&made, Path::new("key"), &nobody()).unwrap().remove(0);
    assert!(String::from_utf8_lossy(&made).contains(&native), "the recipient in its comment");
    std::fs::write(dir.path().join("native"), &made).unwrap();
    // Ours is read by theirs.
    let ours = key::generate(now());
    std::fs::write(dir.path().join("ours"), &*ours.content).unwrap();
    let told = run(&keygen, dir.path(), &["-y", "ours"], b"").unwrap();
    assert_eq!(String::from_utf8_lossy(&told).trim(), ours.recipient);

    let mut all = vec![("native", native)];
    for kind in ["ed25519", "rsa"] {
        run(&ssh, dir.path(), &["-q", "-t", kind, "-N", "", "-f", kind], b"").unwrap();
        all.push((kind, std::fs::read_to_string(dir.path().join(format!("{kind}.pub"))).unwrap()));
    }
    for (file, recipient) in all {
        let (sealed, _) = seal(b"to and fro", &super::recipients(&recipient), Compression::None);
        assert_eq!(run(&age, dir.path(), &["-d", "-i", file], &sealed).unwrap(), b"to and fro", "{file}");
        let theirs = run(&age, dir.path(), &["-r", recipient.trim()], b"to and fro").unwrap();
        let mut with = Identities::new();
        with.load(&dir.path().join(file), &nobody()).unwrap();
        assert_eq!(
            open(&theirs, &with, Compression::None, PlainSize::Unknown).unwrap().0,
            b"to and fro",
            "{file}"
        );
    }
}
