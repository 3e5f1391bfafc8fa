//! Where things lie on Linux, macOS and Windows: one table, which takes the platform as a value.
//!
//! A place is a template: `~` is the home, `${NAME}` a variable, `${NAME:-other}` a variable with
//! a default (which may hold templates again). A value that is not absolute counts as unset, as
//! the XDG base directory specification asks. Sources: `STORE` facts 1.1 and 1.5 of the client
//! (observed on Linux, read in the client's code for the others), XDG 0.8, Apple's and
//! Microsoft's folder conventions.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A family of operating systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Linux, WSL included.
    Linux,
    /// macOS.
    Macos,
    Windows,
}

impl Platform {
    /// The platform this program was built for.
    pub const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_os = "macos") {
        Self::Macos
    } else {
        Self::Linux
    };

    /// Whether two files can be told apart whatever their names: on Windows device and inode are not to be
    /// had without a handle, and everything has the same.
    pub fn tells_files_apart(self) -> bool {
        !matches!(self, Self::Windows)
    }

    /// Whether file names that differ only in case are the same file by default.
    pub fn ignores_case(self) -> bool {
        !matches!(self, Self::Linux)
    }
}

/// The places of one platform, as templates.
#[derive(Debug)]
pub struct Layout {
    /// The user's own policy folder.
    pub user_policy: &'static str,
    /// The folder of system and managed policies.
    pub system_policy: &'static str,
    /// The folder of per-user state.
    pub state: &'static str,
    /// The folder of the per-user ledger.
    pub ledger: &'static str,
    /// The folder of the ledger of a run over all users.
    pub system_ledger: &'static str,
    /// The client's config folder when nothing moves it.
    pub client_config: &'static str,
    /// The client's cache of MCP and error logs.
    pub client_cache: &'static str,
    /// The temp folders below which the client keeps a tree of its own, most specific first.
    pub temp: &'static [&'static str],
    /// Where the system keeps a temp folder of each account's own, which no variable tells a timer or a run over
    /// all users: `<here>/<2 letters>/<account>/T`.
    pub temp_of_accounts: Option<&'static str>,
    /// The folders that homes lie in, for runs over all users.
    pub homes: &'static [&'static str],
    /// The temp folder that all accounts share.
    pub shared_temp: &'static str,
    /// Data folders of the desktop application.
    pub desktop: &'static [&'static str],
    /// The folder heap snapshots of the client are written to.
    pub heap_dumps: &'static str,
    /// The folder of the client's file-based managed settings.
    pub client_managed: &'static str,
}

const LINUX: Layout = Layout {
    user_policy: "${XDG_CONFIG_HOME:-~/.config}/ccretain",
    system_policy: "/etc/ccretain",
    state: "${XDG_STATE_HOME:-~/.local/state}/ccretain",
    ledger: "${XDG_STATE_HOME:-~/.local/state}/ccretain",
    system_ledger: "/var/log/ccretain",
    client_config: "~/.claude",
    client_cache: "${XDG_CACHE_HOME:-~/.cache}/claude-cli-nodejs",
    temp: &["${CLAUDE_CODE_TMPDIR}", "${TMPDIR}", "/tmp"],
    temp_of_accounts: None,
    // `/var/home` is where image-based systems keep them, `/home` then a link to it.
    homes: &["/home", "/var/home"],
    shared_temp: "/tmp",
    desktop: &["${XDG_CONFIG_HOME:-~/.config}/Claude", "${XDG_CONFIG_HOME:-~/.config}/Claude-3p"],
    heap_dumps: "~/Desktop",
    client_managed: "/etc/claude-code",
};

const MACOS: Layout = Layout {
    user_policy: "~/Library/Application Support/ccretain",
    system_policy: "/Library/Application Support/ccretain",
    state: "~/Library/Application Support/ccretain",
    ledger: "~/Library/Logs/ccretain",
    system_ledger: "/Library/Logs/ccretain",
    client_config: "~/.claude",
    client_cache: "~/Library/Caches/claude-cli-nodejs",
    temp: &["${CLAUDE_CODE_TMPDIR}", "${TMPDIR}", "/private/tmp"],
    temp_of_accounts: Some("/private/var/folders"),
    homes: &["/Users"],
    shared_temp: "/private/tmp",
    desktop: &["~/Library/Application Support/Claude", "~/Library/Application Support/Claude-3p"],
    heap_dumps: "~/Desktop",
    client_managed: "/Library/Application Support/ClaudeCode",
};

const WINDOWS: Layout = Layout {
    user_policy: "${APPDATA:-~/AppData/Roaming}/ccretain",
    system_policy: "${ProgramData:-C:/ProgramData}/ccretain",
    state: "${LOCALAPPDATA:-~/AppData/Local}/ccretain",
    ledger: "${LOCALAPPDATA:-~/AppData/Local}/ccretain",
    system_ledger: "${ProgramData:-C:/ProgramData}/ccretain/log",
    client_config: "~/.claude",
    client_cache: "${LOCALAPPDATA:-~/AppData/Local}/claude-cli-nodejs/Cache",
    temp: &["${CLAUDE_CODE_TMPDIR}", "${TEMP}", "${TMP}"],
    temp_of_accounts: None,
    homes: &[],
    shared_temp: "C:/Windows/Temp",
    desktop: &[
        "${APPDATA:-~/AppData/Roaming}/Claude",
        "${APPDATA:-~/AppData/Roaming}/Claude-3p",
        "${LOCALAPPDATA:-~/AppData/Local}/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude",
    ],
    heap_dumps: "~/Desktop",
    client_managed: "C:/Program Files/ClaudeCode",
};

/// The places of a platform.
pub fn layout(platform: Platform) -> &'static Layout {
    match platform {
        Platform::Linux => &LINUX,
        Platform::Macos => &MACOS,
        Platform::Windows => &WINDOWS,
    }
}

/// The absolute path a template stands for; `None` where a variable without a default is unset
/// or the result is not absolute.
pub fn expand(template: &str, home: &Path, variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = if let Some(rest) = template.strip_prefix("${") {
        let close = closing_brace(rest)?;
        let (inside, tail) = (rest.get(..close)?, rest.get(close + 1..)?);
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let base = variable(name)
            .map(PathBuf::from)
            .filter(|value| is_absolute(value))
            .or_else(|| expand(default?, home, variable))?;
        let tail = tail.trim_start_matches('/');
        if tail.is_empty() { base } else { base.join(tail) }
    } else if let Some(rest) = template.strip_prefix('~') {
        home.join(rest.trim_start_matches('/'))
    } else {
        PathBuf::from(template)
    };
    is_absolute(&path).then_some(path)
}

/// Absolute on this platform, or with a drive letter, so that the Windows row can be tested anywhere.
fn is_absolute(path: &Path) -> bool {
    path.is_absolute() || path.as_os_str().as_encoded_bytes().get(1) == Some(&b':')
}

/// Where the brace that was opened just before `text` closes.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(template: &str, variables: &[(&str, &str)]) -> Option<String> {
        let home = Path::new("/home/ann");
        let look = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        expand(template, home, &look).map(|path| path.display().to_string())
    }

    #[test]
    fn templates_expand_with_defaults() {
        let state = LINUX.state;
        assert_eq!(at(state, &[]).as_deref(), Some("/home/ann/.local/state/ccretain"));
        assert_eq!(at(state, &[("XDG_STATE_HOME", "/s")]).as_deref(), Some("/s/ccretain"));
        assert_eq!(
            at(state, &[("XDG_STATE_HOME", "relative")]).as_deref(),
            Some("/home/ann/.local/state/ccretain")
        );
        assert_eq!(at("${TMPDIR}", &[]), None);
        assert_eq!(at("${A:-${B:-~/b}}/c", &[("B", "/bb")]).as_deref(), Some("/bb/c"));
        assert_eq!(at("${A:-${B:-~/b}}/c", &[]).as_deref(), Some("/home/ann/b/c"));
    }

    #[test]
    fn every_place_of_every_platform_has_a_path() {
        for layout in [&LINUX, &MACOS, &WINDOWS] {
            for place in [
                layout.user_policy,
                layout.system_policy,
                layout.state,
                layout.ledger,
                layout.system_ledger,
                layout.client_config,
                layout.client_cache,
                layout.heap_dumps,
                layout.client_managed,
            ] {
                assert!(at(place, &[]).is_some(), "{place}");
            }
            assert!(layout.desktop.iter().all(|place| at(place, &[]).is_some()));
        }
    }
}
