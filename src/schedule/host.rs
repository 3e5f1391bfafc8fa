//! The little of the machine a scheduler needs: files, programs, and who is running.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::found::Output;
use super::version;
use crate::environment::Environment;
use crate::files::{self, Draft};

/// No unit, table or settings file is longer, in bytes; settings are parsed whole, to many times their length.
const LARGEST: u64 = 4 << 20;

/// The machine as a scheduler sees it; tests pass a made-up one.
pub trait Host {
    /// Runs a program with arguments and standard input, and waits for it.
    ///
    /// # Errors
    /// The program cannot be started; `NotFound` when there is none of that name.
    fn run(&self, program: &str, arguments: &[&str], stdin: &[u8]) -> io::Result<Output>;

    /// What a program answers to `--version`.
    ///
    /// # Errors
    /// It cannot be started; `PermissionDenied` where it belongs to somebody else, `TimedOut` where it does not
    /// end, `InvalidData` where its answer has no end.
    fn version(&self, program: &Path) -> io::Result<Output>;

    /// The content of a file; `None` when there is none.
    ///
    /// # Errors
    /// It exists and cannot be read.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// Puts a file in place in one step, so that nobody ever sees half of it; keeps the mode of a
    /// file that is there and gives a new one `mode`.
    ///
    /// # Errors
    /// The folder is missing or cannot be written.
    fn write(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()>;

    /// Removes a file or link; `false` when there was none.
    ///
    /// # Errors
    /// It exists and cannot be removed.
    fn remove(&self, path: &Path) -> io::Result<bool>;

    /// Whether something is there; a link counts by itself, whatever it points to.
    ///
    /// # Errors
    /// That cannot be seen.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes one folder.
    ///
    /// # Errors
    /// It cannot be made.
    fn make_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder that is empty; `false` when it is not, or not there.
    fn remove_empty_dir(&self, path: &Path) -> bool;

    /// The path with every link resolved; the path itself where there is nothing.
    fn resolve(&self, path: &Path) -> PathBuf;

    /// The names of running programs, shortened as the kernel shortens them.
    fn programs(&self) -> Vec<String>;

    /// Waits, for what a scheduler does after it answered.
    fn pause(&self, time: Duration);
}

/// The machine this program runs on.
#[derive(Debug, Clone, Default)]
pub struct SystemHost {
    /// Variables added for the programs that are run, e.g. `XDG_RUNTIME_DIR`, without which
    /// `systemctl --user` does not find its manager.
    pub variables: Vec<(OsString, OsString)>,
    /// Whether no program may be run: a child of a run over all users has been closed to its user,
    /// and a program that it starts would not be.
    pub is_confined: bool,
}

impl SystemHost {
    /// The machine as a user has it.
    pub fn of(env: &Environment, is_confined: bool) -> Self {
        // After su or in a cron job the variable is missing although the user's manager runs.
        let runtime = PathBuf::from(format!("/run/user/{}", env.user.uid));
        let missing = env.variable("XDG_RUNTIME_DIR").is_none() && runtime.is_dir();
        let variables = missing.then(|| ("XDG_RUNTIME_DIR".into(), runtime.into())).into_iter().collect();
        Self { variables, is_confined }
    }

    fn may_run(&self) -> io::Result<()> {
        match self.is_confined {
            true => Err(io::Error::new(io::ErrorKind::Unsupported, "a run over all users starts no program")),
            false => Ok(()),
        }
    }
}

impl Host for SystemHost {
    fn run(&self, program: &str, arguments: &[&str], stdin: &[u8]) -> io::Result<Output> {
        self.may_run()?;
        let mut child = Command::new(program)
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            // Answers are compared and dates are read; both change with the language.
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            match pipe.write_all(stdin) {
                // A program that reads nothing tells by its exit code whether that is fine.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                _ => {}
            }
        }
        // Standard input is closed by now: a program that reads it to the end would wait for ever.
        let output = child.wait_with_output()?;
        Ok(Output { code: output.status.code(), stdout: output.stdout, stderr: output.stderr })
    }

    fn version(&self, program: &Path) -> io::Result<Output> {
        self.may_run()?;
        version::ask(program)
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        files::read(path, LARGEST)
    }

    fn write(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        // Beside it and renamed: a scheduler that reads half a unit runs nothing, and says so nowhere.
        let mut draft = Draft::private(folder)?;
        // Before it has its name, so that it is never readable for others than it should be.
        set_mode(draft.file(), path, mode)?;
        draft.fill(content)?;
        draft.replace(path)?;
        // The name is on the disk only when its folder is.
        files::sync_dir(folder).map_err(|error| error.source)
    }

    #[expect(clippy::disallowed_methods, reason = "removes unit files, never a file of a store")]
    fn remove(&self, path: &Path) -> io::Result<bool> {
        match fs_err::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if files::is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match std::fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(error) if files::is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            // Folders of the system are for everybody to read; those of a user are nobody else's.
            let is_of_system =
                ["/etc", "/Library", "/usr", "/var"].iter().any(|system| path.starts_with(system));
            let mode = if is_of_system { 0o755 } else { 0o700 };
            std::fs::DirBuilder::new().mode(mode).create(path)
        }
        #[cfg(not(unix))]
        fs_err::create_dir(path)
    }

    #[expect(clippy::disallowed_methods, reason = "removes unit folders it made, and only empty ones")]
    fn remove_empty_dir(&self, path: &Path) -> bool {
        fs_err::remove_dir(path).is_ok()
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        fs_err::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
    }

    fn programs(&self) -> Vec<String> {
        let Ok(entries) = fs_err::read_dir("/proc") else {
            // No /proc on macOS, where nothing asks, nor in a bare chroot.
            return Vec::new();
        };
        entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
            .filter_map(|entry| fs_err::read_to_string(entry.path().join("comm")).ok())
            .map(|name| name.trim_end().to_owned())
            .collect()
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The mode of the file that is replaced, else the one asked for.
#[cfg(unix)]
fn set_mode(file: &std::fs::File, replaces: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    // Somebody's own choice to let fewer read the file outlives a renewal.
    let permissions = match fs_err::metadata(replaces) {
        // Nobody else may say what runs.
        Ok(existing) => std::fs::Permissions::from_mode(existing.permissions().mode() & !0o022),
        Err(_) => std::fs::Permissions::from_mode(mode),
    };
    file.set_permissions(permissions)
}

#[cfg(not(unix))]
fn set_mode(_: &std::fs::File, _: &Path, _: u32) -> io::Result<()> {
    Ok(())
}
