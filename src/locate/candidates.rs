//! Every place where a store may be.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{FoundBy, Request, real, temp};
use crate::catalogue::{Cursor, Root};
use crate::environment::Environment;

/// A place to look at.
pub(super) struct Candidate {
    pub path: PathBuf,
    pub kind: Root,
    pub found_by: FoundBy,
}

/// Every place to look at, the surest first, so that what is found twice bears the surest name.
pub(super) fn candidates(env: &Environment, request: &Request) -> Vec<Candidate> {
    let layout = env.layout();
    let mut found: Vec<Candidate> = Vec::new();
    let mut add = |path: Option<PathBuf>, kind: Root, found_by: FoundBy| {
        if let Some(path) = path {
            found.push(Candidate { path, kind, found_by });
        }
    };
    add(env.expand(layout.client_config), Root::Config, FoundBy::Default);
    for path in &request.extra {
        add(Some(path.clone()), Root::Config, FoundBy::Policy);
    }
    for path in &request.only {
        let kind = kind_of_named(path);
        add(Some(path.clone()), kind, FoundBy::Argument);
    }
    let moved = env.variable("CLAUDE_CONFIG_DIR").map(|path| env.working_dir.join(path));
    add(moved, Root::Config, FoundBy::Environment);
    add(Some(env.user.home.clone()), Root::Home, FoundBy::Default);
    add(env.expand(layout.client_cache), Root::Cache, FoundBy::Default);
    for template in layout.temp {
        let found_by = if template.starts_with('$') { FoundBy::Environment } else { FoundBy::Default };
        add(env.expand(template).map(|temp| temp.join(temp_name(env))), Root::Temp, found_by);
    }
    for temp in layout.temp_of_accounts.iter().flat_map(|all| temp::of_account(Path::new(all), env.user.uid))
    {
        add(Some(temp.join(temp_name(env))), Root::Temp, FoundBy::Default);
    }
    for template in layout.desktop {
        add(env.expand(template), Root::Desktop, FoundBy::Default);
    }
    add(env.expand(layout.heap_dumps), Root::HeapDumps, FoundBy::Default);
    for (path, kind) in &request.settings {
        let path = if *kind == Root::Temp { path.join(temp_name(env)) } else { path.clone() };
        add(Some(path), *kind, FoundBy::Settings);
    }
    for (path, kind) in &request.remembered {
        add(Some(path.clone()), *kind, FoundBy::Remembered);
    }
    for (path, kind) in &request.found {
        add(Some(path.clone()), *kind, FoundBy::Search);
    }
    let neighbours = neighbours(&found);
    found.extend(neighbours);
    found
}

/// Whether a file of Claude Code has this name in this folder, whose path is resolved: in a place where it keeps files, or
/// in any folder that looks like such a place.
pub fn is_of_claude_code(env: &Environment, folder: &Path, name: &OsStr) -> bool {
    let known = candidates(env, &Request::default()).into_iter();
    let known = known.map(|place| (place.path.canonicalize().unwrap_or(place.path), place.kind));
    let looks_so = |root: &&Path| {
        root.file_name().is_some_and(|name| name == ".claude") || root.join("projects").is_dir()
    };
    let found = folder.ancestors().filter(looks_so).map(|root| (root.to_path_buf(), Root::Config));
    known.chain(found).any(|(root, kind)| {
        folder.strip_prefix(root).is_ok_and(|below| {
            let cursor = below.iter().fold(Cursor::at(kind), |at, name| at.enter(name.as_encoded_bytes()));
            cursor.classify(name.as_encoded_bytes()).is_some()
        })
    })
}

/// The temp folders above the trees of Claude Code that are looked for.
fn neighbours(candidates: &[Candidate]) -> Vec<Candidate> {
    let mut seen = HashSet::new();
    let trees = candidates.iter().filter(|candidate| candidate.kind == Root::Temp);
    trees
        .filter_map(|tree| Some((tree.path.parent()?, tree.found_by)))
        .filter(|(folder, _)| folder.parent().is_some() && seen.insert(folder.to_path_buf()))
        .map(|(folder, found_by)| {
            // Who named the tree in it did not name the folder.
            let found_by = if found_by == FoundBy::Argument { FoundBy::Default } else { found_by };
            Candidate { path: folder.to_path_buf(), kind: Root::TempNeighbours, found_by }
        })
        .collect()
}

/// The client's folder below a temp folder.
fn temp_name(env: &Environment) -> String {
    format!("claude-{}", env.user.uid)
}

/// Whether a root that an earlier run remembered still bears the name that its kind has: what was
/// once taken for one by a link in a shared folder must not be one for ever.
pub fn bears_its_name(env: &Environment, path: &Path, kind: Root) -> bool {
    kind != Root::Temp || path.file_name() == Some(OsStr::new(&temp_name(env)))
}

/// Whether a path, by its name or its place, is that of another tree than a config folder.
pub fn is_no_config(env: &Environment, path: &Path) -> bool {
    let is_at = |one: &Candidate| one.kind != Root::Config && real(&one.path) == path;
    kind_of_named(path) != Root::Config || candidates(env, &Request::default()).iter().any(is_at)
}

/// A folder named on the command line is a config folder unless its name says otherwise.
pub(super) fn kind_of_named(path: &Path) -> Root {
    // By its name alone: nothing of it has been opened yet.
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let digits = name
        .strip_prefix("claude-")
        .is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()));
    match name {
        "claude-cli-nodejs" => Root::Cache,
        _ if digits => Root::Temp,
        _ => Root::Config,
    }
}

/// The self-contained config folders below the desktop application's data.
pub(super) fn cowork_stores(desktop: &Path) -> Vec<Candidate> {
    let top = desktop.join("local-agent-mode-sessions");
    let below = |path: &Path| -> Vec<PathBuf> {
        fs_err::read_dir(path)
            .map(|entries| {
                entries
                    .filter_map(Result::ok)
                    .filter(|entry| entry.file_type().is_ok_and(|file_type| file_type.is_dir()))
                    .map(|entry| entry.path())
                    .collect()
            })
            .unwrap_or_default()
    };
    below(&top)
        .iter()
        .flat_map(|account| below(account))
        .flat_map(|organisation| below(&organisation))
        .flat_map(|session| {
            // Those that an agent keeps lie one level deeper.
            let deeper = if session.ends_with("agent") { below(&session) } else { Vec::new() };
            deeper.into_iter().chain([session])
        })
        .map(|session| session.join(".claude"))
        .filter(|config| config.is_dir())
        .map(|path| Candidate { path, kind: Root::Config, found_by: FoundBy::Desktop })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_temp_folder_is_looked_at_once() {
        let of = |path: &str, kind, found_by| Candidate { path: path.into(), kind, found_by };
        let candidates = [
            of("/tmp/claude-1", Root::Temp, FoundBy::Default),
            of("/tmp/claude-1", Root::Temp, FoundBy::Remembered),
            of("/x/claude-1", Root::Temp, FoundBy::Argument),
            of("/claude-1", Root::Temp, FoundBy::Environment),
            of("/home/ann/.claude", Root::Config, FoundBy::Default),
        ];
        let found = neighbours(&candidates);
        let paths: Vec<&Path> = found.iter().map(|candidate| candidate.path.as_path()).collect();
        assert_eq!(paths, [Path::new("/tmp"), Path::new("/x")]);
        assert!(found.iter().all(|candidate| candidate.kind == Root::TempNeighbours));
        // Who named the tree did not name the folder.
        assert_eq!(found[1].found_by, FoundBy::Default);
    }
}
