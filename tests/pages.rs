//! Commands that pages tell people to type run word by word, on a machine of the run's own; what is for another system
//! is understood by the program at least.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::all_users::{Machine, machine};
use crate::common::sandbox::{has, program};
use crate::common::store::StoreBuilder;
use crate::common::{Output, Sandbox, days, hours, skip};

/// What a head of a ledger looks like.
const HEAD: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The session that the front page takes as its example.
const EXAMPLE: u32 = 0x3f2a_9c1e;

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn page(path: &str) -> String {
    fs::read_to_string(source(path)).unwrap()
}

/// The lines of a page's shell blocks that are commands, without what is said beside them.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" # ").next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// What stands in for the programs that the pages name and this machine has not, or may not run here.
const STAND_INS: &[(&str, &str)] = &[
    ("sudo", "exec \"$@\""),
    ("less", "exec cat"),
    ("claude", "exit 0"),
    ("systemctl", "exit 0"),
    // The tests are running, and what they build is the program.
    (
        "cargo",
        "while [ $# -gt 0 ] && [ \"$1\" != -- ]; do shift; done; [ $# = 0 ] || shift; [ $# = 0 ] || exec ccretain \"$@\"",
    ),
    (
        "crontab",
        "case $1 in -l) cat /opt/table 2>/dev/null || { echo 'no crontab for me' >&2; exit 1; } ;; -) cat >/opt/table ;; esac",
    ),
];

/// A machine of root's own with a store, on which a page's commands are typed; what each ended with, by command.
fn typed(machine: &Machine, folder: &Path, commands: &[String]) -> Vec<(String, i32, String)> {
    let root = machine.sandbox.root();
    for made in ["cron.d", "etc/cron.d", "etc/systemd/system", "bin"] {
        fs::create_dir_all(root.join(made)).unwrap();
    }
    for (name, script) in STAND_INS {
        let path = root.join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let before = format!(
        "mount --bind \"$root/cron.d\" /etc/cron.d; mount -t tmpfs tmpfs /etc/systemd/system
        mount -t tmpfs -o mode=755 tmpfs /opt; mkdir -m 755 /opt/bin; cp '{}' /opt/bin/ccretain; cp \"$root\"/bin/* /opt/bin/",
        program().display()
    );
    fs::write(root.join("before"), before).unwrap();
    let mut script = format!(
        "set -o pipefail; export PATH=/opt/bin:$PATH HOME='{}'; unset ${{!CCRETAIN_*}} ${{!XDG_*}}; cd '{}'\n",
        machine.home("root").display(),
        folder.display()
    );
    for command in commands {
        script += &format!("echo \"TYPED\"; {command}\necho \"ENDED $?\"\n");
    }
    let run = machine.alone(&["-c", &script]).by("/bin/bash").env("TYPE_AFTER", "to continue:");
    let said = run.on_terminal("purge\n").run();
    let ended: Vec<&str> = said.stdout.split("TYPED\r\n").skip(1).collect();
    assert_eq!(ended.len(), commands.len(), "{said}");
    let code = |said: &str| {
        let code = said.rsplit("ENDED ").next().and_then(|rest| rest.lines().next());
        code.and_then(|code| code.trim().parse().ok()).unwrap_or(-1)
    };
    commands.iter().zip(ended).map(|(command, said)| (command.clone(), code(said), said.to_owned())).collect()
}

/// Root's own home with sessions in it, the example among them.
fn with_store(machine: &Machine) -> StoreBuilder {
    let home = machine.home("root");
    fs::create_dir_all(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    let store = StoreBuilder::new(home.join(".claude"), home.join("tmp"));
    store.session(900).cwd("/work/anchor").aged(hours(3)).write();
    store.session(EXAMPLE).cwd("/work/acme").aged(days(10)).write();
    store.session(901).cwd("/work/acme").aged(days(40)).write();
    store
}

#[track_caller]
fn all_work(ended: &[(String, i32, String)]) {
    for (command, code, said) in ended {
        // A machine that is not compliant is what a check may find.
        let is_verdict = command.contains(" check") && !command.contains("policy check") && *code == 3;
        assert!(*code == 0 || is_verdict, "`{command}` ends with {code}:\n{said}");
        assert!(!said.contains("error:"), "`{command}`:\n{said}");
    }
}

#[test]
fn the_front_page_is_typed_word_by_word() {
    if !has("python3") {
        return skip("there is no python3 for a terminal");
    }
    let Some(machine) = machine() else { return };
    let store = with_store(&machine);
    let folder = machine.home("root").join("there");
    fs::create_dir_all(folder.join("checks")).unwrap();
    fs::write(folder.join("checks/one.json"), machine.sandbox.run(["check", "--json"]).stdout).unwrap();
    let commands = commands(&page("README.md"));
    assert!(commands.len() >= 17, "{commands:?}");
    all_work(&typed(&machine, &folder, &commands));
    for left in ["purge.html", "purge.json", "fleet.html"] {
        assert!(folder.join(left).is_file(), "{left}");
    }
    let left = fs::read_dir(store.path("projects")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "the purge of the page leaves nothing");
    assert!(machine.home("root").join(".config/ccretain/identity.age").is_file(), "the key is made");
}

#[test]
fn the_pages_for_administrators_are_typed_word_by_word() {
    if !has("python3") {
        return skip("there is no python3 for a terminal");
    }
    let Some(machine) = machine() else { return };
    with_store(&machine);
    let folder = machine.home("root").join("there");
    fs::create_dir_all(&folder).unwrap();
    // The page begins with what the first step makes.
    let first = "ccretain policy init --managed > my-policy.json".to_owned();
    let written = page("packaging/mdm/README.md");
    let mut typed_there = vec![first];
    typed_there.extend(commands(&written));
    // The third step has its command in the sentence.
    typed_there.push("ccretain --policy my-policy.json mdm kit".to_owned());
    assert!(written.contains("`ccretain --policy my-policy.json mdm kit`"));
    assert!(typed_there.len() >= 9, "{typed_there:?}");
    all_work(&typed(&machine, &folder, &typed_there));
    assert!(folder.join("kit/managed-policy.json").is_file());
    let mut others = commands(&page("packaging/README.md"));
    // What is for a Mac has no place here.
    let is_for_mac = |line: &String| line.contains("/Library/") || line.starts_with("launchctl ");
    others.extend(
        commands(&page("packaging/mdm/fleet/README.md")).into_iter().filter(|line| !is_for_mac(line)),
    );
    let copy = machine.home("root").join("fleet");
    let done =
        std::process::Command::new("cp").arg("-r").arg(source("packaging/mdm/fleet")).arg(&copy).status();
    assert!(done.is_ok_and(|status| status.success()));
    all_work(&typed(&machine, &copy, &others));
}

/// Every page that is shipped, and the units.
fn shipped() -> Vec<PathBuf> {
    let pages = ["README.md", "LIMITS.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(source);
    let packaged = walkdir::WalkDir::new(source("packaging")).into_iter().flatten();
    let is_page = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        [".md", ".service"].iter().any(|end| name.ends_with(end))
    };
    let packaged = packaged.map(walkdir::DirEntry::into_path).filter(|path| is_page(path));
    pages.into_iter().chain(packaged).collect()
}

/// The calls of the program in a page: between backquotes, and what a unit starts.
fn calls(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let started = text.lines().filter_map(|line| line.strip_prefix("ExecStart="));
    quoted.chain(started).filter_map(program_call).collect()
}

/// What the program is called with, where it is what is called.
fn program_call(line: &str) -> Option<String> {
    let call = line
        .trim()
        .trim_start_matches("sudo ")
        .trim_start_matches("/usr/bin/")
        .trim_start_matches("/opt/ccretain/bin/");
    call.strip_prefix("ccretain ").filter(|rest| !rest.contains('\n')).map(str::to_owned)
}

#[test]
fn every_command_of_every_page_is_understood() {
    let sandbox = Sandbox::new();
    let mut tried = 0;
    for path in shipped() {
        let text = fs::read_to_string(&path).unwrap();
        let plain =
            text.replace("```sh", "").replace("```json", "").replace("```yaml", "").replace("```", "");
        let lines = commands(&text);
        let typed = lines.iter().flat_map(|line| line.split(['|', ';', '&'])).filter_map(program_call);
        for call in calls(&plain).into_iter().chain(typed) {
            let words = call
                .split(" > ")
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .map(|word| word.trim_matches('\''));
            // Of several that may stand there, the first.
            let words = words.map(|word| word.split('|').next().unwrap_or(word));
            // A head has a form of its own.
            let words: Vec<&str> = words.map(|word| if word == "HASH" { HEAD } else { word }).collect();
            let output: Output = sandbox.run(words.iter().copied().chain(["--help"]));
            assert_eq!(output.code, Some(0), "`ccretain {call}` of {}: {output}", path.display());
            tried += 1;
        }
    }
    assert!(tried >= 20, "{tried}");
}
