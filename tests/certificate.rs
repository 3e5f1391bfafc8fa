//! Certificates of a purge against real ledgers and stock tools.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ccretain::internals::exposure::{self, Subject, System};
use ccretain::internals::ledger::{Clock, Ledger, Place, RunId};
use ccretain::internals::platform::Platform;
use ccretain::internals::policy::LedgerPolicy;
use ccretain::internals::purge::certificate::{
    Certificate, FileError, Files, Form, Format, Machine, Parts, ResidualRisk, Signing, digest, schema,
    verify_command,
};
use ccretain::internals::report::certificate::print;
use serde_json::{Value, json};

use crate::common::{Sandbox, days, hours, id};

/// A sandbox in which two sessions of one file each were deleted by one run.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let store = sandbox.store();
    store.session(999).aged(hours(3)).write();
    store.session(0xAAAA_0001).aged(days(40)).write();
    store.session(0xBBBB_0002).aged(days(50)).write();
    sandbox.enforce().exits(0);
    sandbox
}

/// A certificate of the last run of a sandbox.
fn certificate(sandbox: &Sandbox) -> Certificate {
    let lines = sandbox.ledger_lines();
    let last = lines.last().unwrap();
    let text = fs::read_to_string(sandbox.ledger()).unwrap();
    let head = digest(text.lines().last().unwrap().as_bytes());
    let policy = &lines.iter().find(|line| line["event"] == "started").unwrap()["policy"];
    let parts = json!({
        "id": id(7), "tool": {"name": "ccretain", "version": env!("CARGO_PKG_VERSION"), "built": "2026-11-22"},
        "policy": {"sha256": policy, "layers": []},
        "operator": {"name": "ann", "uid": 1000, "consent": "terminal", "allUsers": false},
        "host": Machine::look(Platform::Linux, &System),
        "started": last["time"], "ended": last["time"], "stores": [],
        "method": {
            "files": "unlink", "lines": "rewrite", "overwritten": false, "identity": "none",
            "scope": {"projects": [], "before": null, "leftOut": [], "with": [], "evenLive": false, "breakHolds": null},
        },
        "counts": {
            "sessions": 0, "projects": 0, "files": 0, "lines": 0, "bytes": 0, "folders": 0, "kinds": {},
            "forms": {
                "plaintext": {"files": 0, "lines": 0, "bytes": 0},
                "sealedAfterPlaintext": {"files": 0, "lines": 0, "bytes": 0},
                "onlySealed": {"files": 0, "lines": 0, "bytes": 0},
            },
        },
        "verification": {
            "method": "second-scan", "time": last["time"], "result": "nothing-left", "roots": 1, "files": 1,
            "left": {"sessions": 0, "files": 0, "lines": 0, "bytes": 0},
        },
        "exceptions": [], "remaining": [], "residualRisks": risks(sandbox),
        "ledger": {"path": sandbox.state(), "run": last["run"], "head": {"seq": last["seq"], "sha256": head}},
    });
    let mut parts: Parts = serde_json::from_value(parts).unwrap();
    for _ in 0..2 {
        parts.counts.file(Some(ccretain::internals::catalogue::Kind::Transcript), Form::Plaintext, 900);
    }
    parts.counts.sessions = 2;
    Certificate::issue(parts)
}

/// What this very machine shows of the risks.
fn risks(sandbox: &Sandbox) -> Vec<ResidualRisk> {
    let roots = [sandbox.home().join(".claude")];
    let subject = Subject {
        platform: Platform::Linux,
        home: &sandbox.home(),
        uid: rustix::process::getuid().as_raw(),
        variables: &std::collections::BTreeMap::new(),
        roots: &roots,
        projects: &[],
        moved: &[],
    };
    exposure::look(&subject, &System).iter().map(ResidualRisk::from).collect()
}

/// Writes a certificate as files and records it in the ledger, as a purge does.
fn issue(sandbox: &Sandbox, names: &[&str], signing: Option<Signing>) -> Certificate {
    let mut certificate = certificate(sandbox);
    certificate.parts.operator.signer = signing.as_ref().map(|signing| signing.signer().clone());
    let paths: Vec<PathBuf> = names.iter().map(|name| sandbox.root().join(name)).collect();
    let files = Files::prepare(&paths, signing).unwrap();
    let written = files.write(&certificate, &|format, imprint| print(&certificate, format, imprint)).unwrap();
    let place = Place { dir: sandbox.state(), state_dir: sandbox.state(), is_of_all: false };
    let run = RunId(certificate.parts.ledger.run.clone());
    let now = certificate.parts.ended;
    let mut ledger = Ledger::open(&place, &LedgerPolicy::default(), &run, Clock::Proven, now).unwrap();
    ledger.append(&[certificate.entry(&written.sha256, written.json.as_deref())], now).unwrap();
    certificate
}

fn verify(sandbox: &Sandbox, file: &str) -> crate::common::Output {
    sandbox.command(["ledger", "verify", "--certificate"]).arg(sandbox.root().join(file)).run()
}

/// Changes a text of a file.
fn change(sandbox: &Sandbox, file: &str, from: &str, to: &str) {
    let path = sandbox.root().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_certificate_belongs_to_the_ledger_of_its_run() {
    let sandbox = sandbox();
    issue(&sandbox, &["hand-in.json", "hand-in.html", "hand-in.txt"], None);
    for file in ["hand-in.json", "hand-in.html"] {
        verify(&sandbox, file).exits(0).quietly().says("certificate: belongs to this ledger");
        let mode = fs::metadata(sandbox.root().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "it follows the umask: {file}");
    }
    let mut asked = sandbox.command(["ledger", "verify", "--json", "--certificate"]);
    asked = asked.arg(sandbox.root().join("hand-in.json"));
    let found = asked.run().exits(0).quietly().json();
    assert_eq!(found["sound"], true);
    assert_eq!(found["certificate"]["belongs"], true);
    assert_eq!(found["certificate"]["recorded"], found["last"]);
    assert_eq!(found["certificate"]["differs"], json!([]));
    // Later runs change nothing about it.
    sandbox.enforce().exits(0);
    verify(&sandbox, "hand-in.json").exits(0);
    let plain = sandbox.run(["ledger", "verify", "--json"]).exits(0).json();
    assert_eq!(plain.get("certificate"), None, "nobody asked");
}

#[test]
fn one_that_was_changed_does_not() {
    let sandbox = sandbox();
    issue(&sandbox, &["a.json", "a.html", "b.html"], None);
    change(&sandbox, "a.json", "\"name\": \"ann\"", "\"name\": \"bob\"");
    verify(&sandbox, "a.json").exits(1).says("does not belong").says("changed after it was issued");
    change(&sandbox, "a.html", "COMPLETE", "COMPLETE AND ERASED");
    verify(&sandbox, "a.html").exits(1).says("the page shows something else");
    change(&sandbox, "b.html", "\"files\": 2", "\"files\": 3");
    let output = verify(&sandbox, "b.html");
    output.exits(1).says("sums").says("changed after it was issued");
    let mut asked = sandbox.command(["ledger", "verify", "--json", "--certificate"]);
    asked = asked.arg(sandbox.root().join("b.html"));
    let output = asked.run();
    let found = output.exits(1).json();
    assert_eq!((&found["sound"], &found["certificate"]["belongs"]), (&json!(false), &json!(false)));
    assert!(found["certificate"]["differs"].as_array().unwrap().len() >= 2, "{found}");
}

#[test]
fn one_of_another_ledger_does_not() {
    let (one, other) = (sandbox(), sandbox());
    issue(&one, &["a.json"], None);
    issue(&other, &["a.json"], None);
    fs::copy(one.root().join("a.json"), other.root().join("theirs.json")).unwrap();
    verify(&other, "theirs.json").exits(1).says("another than the head").says("no record of the run");
    let empty = Sandbox::new();
    fs::copy(one.root().join("a.json"), empty.root().join("a.json")).unwrap();
    verify(&empty, "a.json").exits(1).says("the ledger has no record");
}

#[test]
fn a_ledger_that_was_changed_is_told_with_the_certificate_too() {
    let sandbox = sandbox();
    issue(&sandbox, &["a.json"], None);
    let text = fs::read_to_string(sandbox.ledger()).unwrap();
    // The newest records are cut off, which the chain alone does not show.
    let cut: Vec<&str> = text.lines().collect();
    fs::write(sandbox.ledger(), format!("{}\n", cut[..cut.len() - 2].join("\n"))).unwrap();
    verify(&sandbox, "a.json").exits(1).says("has no record");
    fs::write(sandbox.ledger(), text.replacen("deleted", "deletex", 1)).unwrap();
    verify(&sandbox, "a.json").exits(1).says("the ledger does not hold together");
}

#[test]
fn what_is_no_certificate_is_wrong_usage() {
    let sandbox = sandbox();
    issue(&sandbox, &["a.json", "a.txt"], None);
    verify(&sandbox, "a.txt").exits(2).says("is not a certificate").says("not the .txt");
    verify(&sandbox, "nothing.json").exits(2).says("cannot read");
    verify(&sandbox, "home").exits(2);
    for (name, content) in
        [("b.json", "{}"), ("c.json", "{\"schema\":"), ("d.html", "<p>x</p>"), ("e.json", "\u{1b}[31m{}")]
    {
        fs::write(sandbox.root().join(name), content).unwrap();
        verify(&sandbox, name).exits(2).never_says("\u{1b}");
    }
    change(&sandbox, "a.json", "ccretain.certificate/1", "ccretain.certificate/9\\u001b[31m");
    verify(&sandbox, "a.json").exits(2).says("certificate/9").never_says("\u{1b}");
}

/// A key for tests, or `None` where there is no `ssh-keygen`.
fn key(sandbox: &Sandbox, kind: &str) -> Option<PathBuf> {
    let key = sandbox.root().join(format!("key_{kind}"));
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-C", "", "-f"]).arg(&key).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there is no ssh-keygen");
        return None;
    }
    Some(key)
}

fn path_variable() -> Option<std::ffi::OsString> {
    std::env::var_os("PATH")
}

/// Runs the very command that the certificate prints, in the sandbox.
fn ssh_verifies(sandbox: &Sandbox, certificate: &Certificate, json: &str) -> bool {
    let signer = certificate.parts.operator.signer.as_ref().unwrap();
    fs::write(sandbox.root().join("allowed_signers"), format!("{}\n", signer.allowed_signer())).unwrap();
    let ran = Command::new("sh").arg("-c").arg(verify_command(json)).current_dir(sandbox.root()).output();
    ran.unwrap().status.success()
}

#[test]
fn stock_tools_verify_the_signature_and_see_tampering() {
    let sandbox = sandbox();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let Some(key) = key(&sandbox, kind) else { return };
        let listed = Command::new("ssh-keygen").arg("-lf").arg(key.with_extension("pub")).output().unwrap();
        let signing = Signing::prepare(&key, path_variable().as_deref()).unwrap();
        let fingerprint = signing.signer().fingerprint.clone();
        assert!(String::from_utf8_lossy(&listed.stdout).contains(&fingerprint), "{kind}: {fingerprint}");
        // Only a page was asked for: what is signed is written beside it.
        let name = format!("it's {kind}");
        let certificate = issue(&sandbox, &[&format!("{name}.html")], Some(signing));
        let json = format!("{name}.json");
        assert!(ssh_verifies(&sandbox, &certificate, &json), "{kind}");
        let page = fs::read_to_string(sandbox.root().join(format!("{name}.html"))).unwrap();
        assert!(page.contains(&fingerprint) && page.contains("ssh-keygen -Y verify"), "{kind}");
        verify(&sandbox, &json).exits(0).says(&fingerprint);
        verify(&sandbox, &format!("{name}.html")).exits(0);
        change(&sandbox, &json, "complete", "Complete");
        assert!(!ssh_verifies(&sandbox, &certificate, &json), "{kind}");
    }
}

#[test]
fn a_key_that_does_not_sign_is_known_before_anything_is_touched() {
    let sandbox = sandbox();
    let Some(good) = key(&sandbox, "ed25519") else { return };
    let refused = |key: &Path, path: Option<&str>| {
        let path = path.map(Into::into).or_else(path_variable);
        Signing::prepare(key, path.as_deref()).unwrap_err().to_string()
    };
    assert!(refused(&sandbox.root().join("none"), None).contains("cannot read the key"));
    assert!(refused(&good, Some("/nonexistent:relative")).contains("cannot find `ssh-keygen`"));
    let text = sandbox.root().join("text");
    fs::write(&text, "no key\n").unwrap();
    fs::set_permissions(&text, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(refused(&text, None).contains("cannot sign with"));
    // The public half alone, and no agent that holds the other.
    let public = sandbox.root().join("only.pub");
    fs::copy(good.with_extension("pub"), &public).unwrap();
    assert!(refused(&public, None).contains("cannot sign with"));
}

#[test]
fn a_signature_is_never_written_over_either() {
    let sandbox = sandbox();
    let Some(key) = key(&sandbox, "ed25519") else { return };
    let signing = Signing::prepare(&key, path_variable().as_deref()).unwrap();
    fs::write(sandbox.root().join("a.json.sig"), "an earlier one").unwrap();
    let refused = Files::prepare(&[sandbox.root().join("a.json")], Some(signing)).unwrap_err();
    assert!(matches!(refused, FileError::Exists { .. }) && refused.is_usage(), "{refused}");
    assert_eq!(Format::of(Path::new("X.HTM")), Some(Format::Html));
}

/// With `CCRETAIN_BLESS` set, writes the published schema anew instead of comparing it.
#[test]
fn the_published_schema_is_that_of_the_certificate() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("packaging")
        .join("schemas")
        .join("certificate.schema.json");
    let mut text = serde_json::to_string_pretty(&schema()).unwrap();
    text.push('\n');
    if std::env::var_os("CCRETAIN_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(found == text, "{} has drifted: run with CCRETAIN_BLESS=1", path.display());
    let sandbox = sandbox();
    issue(&sandbox, &["a.json"], None);
    let document: Value =
        serde_json::from_str(&fs::read_to_string(sandbox.root().join("a.json")).unwrap()).unwrap();
    let required = schema()["required"].as_array().unwrap().clone();
    assert_eq!(required.len(), document.as_object().unwrap().len(), "every key is always there");
    for key in required {
        assert!(document.get(key.as_str().unwrap()).is_some(), "{key}");
    }
    // Where a validator is installed, it judges.
    let script = "import json, sys\n\
                  try:\n    import jsonschema\nexcept ImportError:\n    print('SKIPPED: no jsonschema'); sys.exit(0)\n\
                  schema, document = (json.load(open(name)) for name in sys.argv[1:3])\n\
                  validator = jsonschema.Draft202012Validator(schema)\n\
                  jsonschema.Draft202012Validator.check_schema(schema)\n\
                  errors = [error.message for error in validator.iter_errors(document)]\n\
                  print(errors)\n\
                  document['verdict'] = 'fine'; del document['ledger']\n\
                  sys.exit(0 if not errors and len(list(validator.iter_errors(document))) == 2 else 1)\n";
    let ran = Command::new("python3")
        .args(["-c", script])
        .arg(&path)
        .arg(sandbox.root().join("a.json"))
        .stdin(Stdio::null())
        .output();
    match ran {
        Ok(ran) => assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout)),
        Err(_) => eprintln!("SKIPPED: there is no python3"),
    }
}

/// A sandbox with two sessions, one of them sealed by its name alone, and a key that signs.
fn to_purge() -> Sandbox {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(0xAAAA_0001).aged(days(40)).write();
    store.session(0xBBBB_0002).aged(days(2)).write();
    sandbox
}

#[test]
fn a_purge_hands_over_what_stock_tools_verify() {
    let sandbox = to_purge();
    let Some(key) = key(&sandbox, "ed25519") else { return };
    let page = sandbox.root().join("hand-in.html");
    let purge = |page: &Path| {
        let asked = sandbox.command(["purge", "--yes", "--certificate"]).arg(page);
        asked.arg("--sign").arg(&key).run()
    };
    let output = purge(&page);
    output.exits(0).says("[ROOT]/hand-in.html").says("[ROOT]/hand-in.json").says("[ROOT]/hand-in.json.sig");
    // The command is printed, and does what it says.
    output.says("ssh-keygen -Y verify -f allowed_signers -I purge -n ccretain-certificate -s ");
    let json = fs::read_to_string(sandbox.root().join("hand-in.json")).unwrap();
    let certificate = Certificate::parse(&json).unwrap();
    assert!(ssh_verifies(&sandbox, &certificate, "hand-in.json"));
    assert_eq!(certificate.verdict.to_string(), "complete", "{:?}", certificate.parts.exceptions);
    for file in ["hand-in.json", "hand-in.html"] {
        verify(&sandbox, file).exits(0).quietly().says("belongs to this ledger");
    }
    change(&sandbox, "hand-in.json", "\"uid\": ", "\"uid\": 1");
    assert!(!ssh_verifies(&sandbox, &certificate, "hand-in.json"));
    verify(&sandbox, "hand-in.json").exits(1).says("changed after it was issued");
    // A second purge does not write over it, and says so before it touches anything.
    let store = sandbox.store();
    let session = store.session(0xCCCC_0003).aged(days(1)).write();
    purge(&page).exits(2).says("never written over anything");
    assert!(session.is_there());
    // A key that is none stops it likewise.
    let none = sandbox.root().join("no key");
    fs::write(&none, "x").unwrap();
    let second = sandbox.root().join("second.json");
    let asked = sandbox.command(["purge", "--yes", "--certificate"]).arg(&second).arg("--sign").arg(&none);
    assert_eq!(asked.run().code, Some(2));
    assert!(session.is_there() && !second.exists());
}

#[test]
fn a_purge_of_a_home_in_git_and_syncthing_says_so() {
    let sandbox = to_purge();
    fs::create_dir(sandbox.home().join(".stfolder")).unwrap();
    sandbox.write(".git/HEAD", "ref: refs/heads/main\n");
    sandbox.write(".claude-mem/claude-mem.db", "x");
    sandbox.write(".local/share/Trash/info/a.trashinfo", "[Trash Info]\nPath=/x/.claude/projects/a.jsonl\n");
    let held = sandbox.home().join(".claude/projects/held-open");
    fs::write(&held, "x").unwrap();
    let mut child =
        Command::new("sleep").arg("60").stdin(fs::File::open(&held).unwrap()).spawn().expect("a process");
    fs::remove_file(&held).unwrap();
    let file = sandbox.root().join("a.json");
    let output = sandbox.command(["purge", "--yes", "--certificate"]).arg(&file).run();
    child.kill().unwrap();
    child.wait().unwrap();
    output.exits(0);
    let found: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let risk = |id: &str| {
        let all = found["residualRisks"].as_array().unwrap();
        all.iter().find(|risk| risk["id"] == id).unwrap_or_else(|| panic!("{id} is missing")).clone()
    };
    for id in ["cloud-sync", "version-control", "other-tools", "trash", "open-deleted-files"] {
        let risk = risk(id);
        assert_eq!(risk["seen"], "yes", "{risk}");
        assert!(!risk["evidence"].as_array().unwrap().is_empty() && risk["remedy"].is_string(), "{risk}");
    }
    assert!(risk("open-deleted-files")["evidence"][0]["note"].as_str().unwrap().contains("(sleep)"));
    assert_eq!(risk("server-side-retention")["seen"], "unknown");
    assert!(risk("server-side-retention")["reason"].is_string());
}
