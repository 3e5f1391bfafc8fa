//! A place of its own for each test: home, state, policy, temp folder and an empty environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::{Output, StoreBuilder, Tree, hours};

/// The account that tests about permissions run the program as, where the suite runs as root.
pub const NOBODY: u32 = 65_534;

/// How long a run may take; a hang (a FIFO opened for reading, say) is a failure and not a wait for ever.
const LIMIT: Duration = Duration::from_secs(120);

/// A scratch machine for one test; removed when dropped.
pub struct Sandbox {
    root: TempDir,
}

/// A sandbox with a recent session in its store, so that the clock is beyond doubt.
pub fn recent() -> (Sandbox, StoreBuilder) {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    store.session(999).cwd("/work/anchor").aged(hours(3)).write();
    (sandbox, store)
}

/// The same with a policy that deletes after 30 days.
pub fn deleting() -> (Sandbox, StoreBuilder) {
    let (sandbox, store) = recent();
    sandbox.delete_after("30d");
    (sandbox, store)
}

/// Every file below some folders; links are not followed.
pub fn files_below(folders: &[PathBuf]) -> Vec<PathBuf> {
    let all = folders.iter().flat_map(walkdir::WalkDir::new).flatten();
    all.filter(|entry| !entry.file_type().is_dir()).map(walkdir::DirEntry::into_path).collect()
}

impl Sandbox {
    /// A new one with an empty home.
    pub fn new() -> Self {
        // Not below `target`: an unprivileged account must be able to reach it.
        let root = tempfile::Builder::new().prefix("ccretain-test-").tempdir().expect("a scratch folder");
        let sandbox = Self { root };
        for folder in ["home", "tmp", "state", "config"] {
            fs::create_dir(sandbox.root().join(folder)).expect("a folder of the sandbox");
        }
        for folder in ["home", "tmp", "state", "config"] {
            fs::set_permissions(sandbox.root().join(folder), fs::Permissions::from_mode(0o700))
                .expect("its mode");
        }
        sandbox
    }

    /// The folder that holds everything.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The home folder.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// `TMPDIR`.
    pub fn tmp(&self) -> PathBuf {
        self.root().join("tmp")
    }

    /// `CCRETAIN_STATE_DIR`.
    pub fn state(&self) -> PathBuf {
        self.root().join("state")
    }

    /// `CCRETAIN_CONFIG_DIR`.
    pub fn config(&self) -> PathBuf {
        self.root().join("config")
    }

    /// The ledger.
    pub fn ledger(&self) -> PathBuf {
        self.state().join("ledger.jsonl")
    }

    /// The lines of the ledger.
    pub fn ledger_lines(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.ledger()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a ledger line is JSON")).collect()
    }

    /// The default store, `~/.claude`.
    pub fn store(&self) -> StoreBuilder {
        StoreBuilder::new(self.home().join(".claude"), self.client_tmp())
    }

    /// The client's folder in the temp folder.
    pub fn client_tmp(&self) -> PathBuf {
        self.tmp().join(format!("claude-{}", rustix::process::getuid().as_raw()))
    }

    /// Writes the user's policy.
    pub fn policy(&self, text: &str) -> PathBuf {
        let path = self.config().join("policy.json");
        fs::write(&path, text).expect("the policy");
        path
    }

    /// Writes a policy with one rule: delete everything after a period.
    pub fn delete_after(&self, period: &str) -> PathBuf {
        self.policy(&format!(r#"{{"version": 1, "rules": [{{"name": "all", "deleteAfter": "{period}"}}]}}"#))
    }

    /// Makes an identity, and writes a policy of these keys that seals to it; gives its recipient.
    pub fn sealing(&self, keys: &str) -> String {
        let recipient = self.run(["key", "new"]).exits(0).stdout.trim().to_owned();
        let keys = if keys.is_empty() { String::new() } else { format!(", {keys}") };
        self.policy(&format!(r#"{{"version": 1, "recipients": ["{recipient}"]{keys}}}"#));
        recipient
    }

    /// A file anywhere in the home, with its folders.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folders");
        fs::write(&path, content).expect("the file");
        path
    }

    /// What lies in the home.
    pub fn tree(&self) -> Tree {
        Tree::of(&self.home())
    }

    /// A run of the program, to be described further.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run<'_> {
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let home = self.home();
        let mut variables = BTreeMap::new();
        let mut set =
            |name: &str, value: &Path| variables.insert(OsString::from(name), value.as_os_str().to_owned());
        set("HOME", &home);
        set("XDG_CONFIG_HOME", &home.join(".config"));
        set("XDG_STATE_HOME", &home.join(".local/state"));
        set("XDG_CACHE_HOME", &home.join(".cache"));
        set("XDG_DATA_HOME", &home.join(".local/share"));
        set("TMPDIR", &self.tmp());
        set("CLAUDE_CODE_TMPDIR", &self.tmp());
        set("CCRETAIN_STATE_DIR", &self.state());
        set("CCRETAIN_CONFIG_DIR", &self.config());
        set("TZ", Path::new("UTC"));
        set("PATH", Path::new("/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"));
        Run { sandbox: self, arguments, variables, wrapper: shield(), stdin: None, program: program() }
    }

    /// Runs the program with arguments.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.command(arguments).run()
    }

    /// Runs `enforce --yes --json`.
    pub fn enforce(&self) -> Output {
        self.run(["enforce", "--yes", "--json"])
    }

    /// Runs `enforce --yes --json -v`: kept items are listed too.
    pub fn enforce_verbosely(&self) -> Output {
        self.run(["-v", "enforce", "--yes", "--json"])
    }

    /// Runs `enforce --dry-run --json -v`.
    pub fn dry_run(&self) -> Output {
        self.run(["-v", "enforce", "--dry-run", "--json"])
    }

    /// Gives the whole sandbox to the unprivileged account, for [`Run::unprivileged`].
    pub fn give_away(&self) {
        if !is_root() {
            return;
        }
        let mut open = vec![self.root().to_owned()];
        while let Some(path) = open.pop() {
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.is_symlink() {
                let _ = std::os::unix::fs::lchown(&path, Some(NOBODY), Some(NOBODY));
                continue;
            }
            let _ = chown(&path, Some(NOBODY), Some(NOBODY));
            if metadata.is_dir() {
                open.extend(fs::read_dir(&path).expect("its entries").flatten().map(|entry| entry.path()));
            }
        }
    }

    fn rewrite(&self, text: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(text).into_owned();
        let real = fs::canonicalize(self.root()).unwrap_or_else(|_| self.root().to_owned());
        for root in [real.as_path(), self.root()] {
            for (folder, word) in [
                ("home", "[HOME]"),
                ("tmp", "[TMP]"),
                ("state", "[STATE]"),
                ("config", "[CONFIG]"),
                ("", "[ROOT]"),
            ] {
                let path = if folder.is_empty() { root.to_owned() } else { root.join(folder) };
                text = text.replace(path.to_str().expect("a scratch folder in UTF-8"), word);
            }
        }
        text
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // What a test made unreadable must not be left behind where the suite is not root.
        let mut open = vec![self.root.path().to_owned()];
        while let Some(path) = open.pop() {
            let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o700));
            let Ok(children) = fs::read_dir(&path) else { continue };
            for child in children.flatten() {
                if child.file_type().is_ok_and(|kind| kind.is_dir()) && open.len() < 4_000 {
                    open.push(child.path());
                }
            }
        }
    }
}

/// One run of the program in a sandbox.
pub struct Run<'a> {
    sandbox: &'a Sandbox,
    arguments: Vec<OsString>,
    variables: BTreeMap<OsString, OsString>,
    wrapper: Vec<OsString>,
    stdin: Option<Vec<u8>>,
    program: PathBuf,
}

impl Run<'_> {
    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Sets a variable.
    /// With policy and state where they lie when no variable names a place.
    pub fn with_usual_places(self) -> Self {
        let names = ["CCRETAIN_CONFIG_DIR", "CCRETAIN_STATE_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"];
        names.into_iter().fold(self, |run, name| run.env(name, ""))
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// Gives it something to read.
    pub fn stdin(mut self, text: impl AsRef<[u8]>) -> Self {
        self.stdin = Some(text.as_ref().to_owned());
        self
    }

    /// Runs it through another program, outermost last.
    pub fn through<S: AsRef<OsStr>>(mut self, wrapper: impl IntoIterator<Item = S>) -> Self {
        let mut words: Vec<OsString> = wrapper.into_iter().map(|word| word.as_ref().to_owned()).collect();
        words.append(&mut self.wrapper);
        self.wrapper = words;
        self
    }

    /// Runs it through another program that is started within all others.
    pub fn inner<S: AsRef<OsStr>>(mut self, wrapper: impl IntoIterator<Item = S>) -> Self {
        self.wrapper.extend(wrapper.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Runs another program with the arguments, one that runs the program under test itself.
    pub fn by(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Runs it with the clock at another time; see [`has`] for `faketime`.
    pub fn at(self, time: DateTime<Utc>) -> Self {
        // `-f` with `@` starts there and goes on; the format is that of libfaketime.
        let time = format!("@{}", time.format("%Y-%m-%d %H:%M:%S"));
        self.through(["faketime", "-f", &time])
    }

    /// Runs it as an account without privileges, so that permissions bind it even where the suite is root. The sandbox
    /// must have been given away.
    pub fn unprivileged(mut self) -> Self {
        if !is_root() {
            return self;
        }
        // The build folder may lie where that account cannot reach it.
        let copy = self.sandbox.root().join("ccretain");
        if !copy.exists() {
            // By another process: a file that this one holds open for writing while a thread starts a program of its
            // own would be busy for that moment.
            let done = Command::new("cp").arg(program()).arg(&copy).status();
            assert!(done.is_ok_and(|status| status.success()), "no copy of the program");
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("its mode");
        }
        self.program = copy;
        // The shield needs privileges, and that account has no client.
        self.wrapper.clear();
        let id = NOBODY.to_string();
        self.through(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"])
    }

    /// Runs it on a pseudo terminal, typing the given text; both streams end up on `stdout`.
    pub fn on_terminal(self, typed: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/terminal.py");
        self.stdin(typed).through(["python3", script])
    }

    /// The command to start, with the environment of the sandbox and nothing else.
    pub fn command(&self) -> Command {
        let mut words = self.wrapper.iter().cloned();
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.args(&self.arguments).env_clear().envs(&self.variables).current_dir(self.sandbox.home());
        command
    }

    /// The folder that holds everything.
    pub fn root(&self) -> &Path {
        self.sandbox.root()
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Output {
        let [stdout, stderr] = ["stdout", "stderr"]
            .map(|name| tempfile::Builder::new().prefix(name).tempfile().expect("a file"));
        let mut command = self.command();
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(stdout.reopen().expect("it again")).stderr(stderr.reopen().expect("it again"));
        let shown = format!("{command:?}").split("ccretain\"").last().unwrap_or_default().trim().to_owned();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        if let (Some(text), Some(mut stdin)) = (&self.stdin, child.stdin.take()) {
            let _ = stdin.write_all(text);
        }
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("its state") {
                break status;
            }
            if start.elapsed() > LIMIT {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{shown} did not end within {LIMIT:?}");
            }
            thread::sleep(Duration::from_millis(5));
        };
        let read = |file: &tempfile::NamedTempFile| {
            self.sandbox.rewrite(&fs::read(file.path()).expect("what it said"))
        };
        Output { command: shown, code: status.code(), stdout: read(&stdout), stderr: read(&stderr) }
    }
}

/// What keeps the program from the real temp tree of whoever runs the suite.
///
/// `/tmp/claude-<uid>` is a store wherever `TMPDIR` points, and what Claude Code leaves beside it is looked at, too.
/// Where there is any, an empty folder is laid over each in a namespace of the run's own; where that cannot be done,
/// nothing is run at all.
pub fn shield() -> Vec<OsString> {
    let real = real_leftovers();
    if real.is_empty() {
        return Vec::new();
    }
    // Somebody else's, so that the program passes it over as if it were not there. The programs by
    // their paths, since a test may give the program a PATH of its own.
    let owner = if is_root() { ",uid=65533" } else { "" };
    let mount = found("mount").display().to_string();
    // A test may have laid something else over the whole temp folder before.
    let script = format!(
        r#"while [ "$1" != -- ]; do [ ! -d "$1" ] || {mount} -t tmpfs -o mode=700{owner} tmpfs "$1" || exit 1; shift; done; shift; exec "$@""#
    );
    let how: &[&str] = if is_root() { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] };
    let mut words: Vec<OsString> = vec![found("unshare").into_os_string()];
    words.extend(how.iter().map(Into::into));
    words.extend(["/bin/sh", "-c"].map(OsString::from));
    let back = if is_root() {
        script
    } else {
        // In a namespace within, the account is itself again.
        let id = rustix::process::getuid().as_raw();
        let group = rustix::process::getgid().as_raw();
        script.replace(
            "exec ",
            &format!("exec {} --user --map-user={id} --map-group={group} ", found("unshare").display()),
        )
    };
    words.extend([back.into(), OsString::from("sh")]);
    words.extend(real.iter().cloned().map(PathBuf::into_os_string));
    words.push("--".into());
    let works = Command::new(&words[0]).args(&words[1..]).arg("true").stderr(Stdio::null()).status();
    assert!(
        works.is_ok_and(|status| status.success()),
        "{real:?} exist and cannot be hidden from the program: the tests are not run, so that they cannot reach them",
    );
    words
}

/// What lies in the real temp folder that the program under test would take for Claude Code's.
fn real_leftovers() -> Vec<PathBuf> {
    const BEGINNINGS: [&str; 7] = [
        "claude-paste-",
        "claude-preview-",
        "claude-pdf-",
        "cc-history-prefetch-",
        "claude-chrome-screenshots-",
        "claude-resume-",
        "cc-daemon-",
    ];
    let own = format!("claude-{}", rustix::process::getuid().as_raw());
    let is_known = |name: &str| {
        name == own || name == "claude" || BEGINNINGS.iter().any(|begins| name.starts_with(begins))
    };
    let entries = fs::read_dir("/tmp").into_iter().flatten().flatten();
    let known = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_known));
    known.map(|entry| entry.path()).filter(|path| path.is_dir() && !path.is_symlink()).collect()
}

/// The program under test.
pub fn program() -> PathBuf {
    // The lab asks the suite about other builds.
    std::env::var_os("CCRETAIN_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_ccretain").into(), PathBuf::from)
}

/// Whether the suite runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where a program of this machine lies, or one that the gate built; its bare name where it is not found.
pub fn found(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain(built()).map(|folder| folder.join(name));
    places.find(|place| place.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

/// Where `.ci/run` keeps the programs of which the system has no package.
fn built() -> Option<PathBuf> {
    let own = std::env::var_os("CCRETAIN_CI_CACHE").map(PathBuf::from);
    let shared = || std::env::var_os("XDG_CACHE_HOME").filter(|set| !set.is_empty()).map(PathBuf::from);
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    own.or_else(|| Some(shared().or_else(home)?.join("ccretain-ci"))).map(|cache| cache.join("bin"))
}

/// Whether a program is installed.
pub fn has(name: &str) -> bool {
    found(name).is_absolute()
}

/// Whether mount namespaces can be made here.
pub fn has_namespaces() -> bool {
    is_root()
        && Command::new("unshare")
            .args(["--mount", "true"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
}

/// Says loudly that a test did not run: past the harness, which swallows what a test that passes prints.
pub fn skip(why: &str) {
    // The harness names the thread of a test by it.
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let _ = std::io::stderr().write_all(format!("SKIPPED: {test}: {why}\n").as_bytes());
}
