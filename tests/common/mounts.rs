//! Runs of the program among mounts of their own, which nobody else sees and which go with the run.

use std::ffi::OsStr;
use std::path::Path;

use super::Output;
use super::sandbox::Run;

impl Run<'_> {
    /// Runs it at the end of a script of `sh` that may mount what it likes; see `has_namespaces`.
    ///
    /// The script is given the words, and after them the command to end with.
    pub fn among_mounts<'w>(self, script: &'w str, words: impl IntoIterator<Item = &'w Path>) -> Self {
        let before = ["unshare", "--mount", "sh", "-c", script, "sh"].map(OsStr::new);
        self.through(before.into_iter().chain(words.into_iter().map(Path::as_os_str)))
    }

    /// Runs it where a folder lies over `/etc/ccretain`; see `has_namespaces`.
    pub fn with_system_folder(self, folder: &Path) -> Self {
        let script = r#"set -e; folder=$1; shift
            mkdir -p "$folder/etc/ccretain"; cp "$folder"/*.json "$folder/etc/ccretain/"
            [ ! -d "$folder/policy.d" ] || cp -r "$folder/policy.d" "$folder/etc/ccretain/"
            mount -t overlay overlay -o "lowerdir=$folder/etc:/etc" /etc
            exec "$@""#;
        self.among_mounts(script, [folder])
    }

    /// Runs it where a folder lies over another, which may be changed and stays as it was; see `has_namespaces`.
    pub fn with_over(self, folder: &Path, place: &str) -> Self {
        let script = r#"set -e; folder=$1; place=$2; shift 2
            mount -t overlay overlay -o "lowerdir=$folder:$place" "$place"
            exec "$@""#;
        self.among_mounts(script, [folder, Path::new(place)])
    }

    /// Runs it where home and state lie on a disk of this size that is full (`12m`), and returns what was said and how
    /// many transcripts were left there; see `has_namespaces`.
    pub fn on_a_full_disk(self, size: &str) -> (Output, usize) {
        let script = r#"set -e
            root=$1; size=$2; shift 2
            mkdir "$root/disk"
            mount -t tmpfs -o "size=$size" tmpfs "$root/disk"
            cp -a "$root/home" "$root/state" "$root/disk/"
            mount --bind "$root/disk/home" "$root/home"
            mount --bind "$root/disk/state" "$root/state"
            dd if=/dev/zero of="$root/disk/filler" bs=4k >/dev/null 2>&1 || true
            code=0; "$@" || code=$?
            find "$root/home/.claude/projects" -name '*.jsonl' | sed 's/^/LEFT /' >&2
            exit $code"#;
        let root = self.root().to_owned();
        let output = self.among_mounts(script, [root.as_path(), Path::new(size)]).run();
        let left = output.stderr.lines().filter(|line| line.starts_with("LEFT")).count();
        (output, left)
    }
}
