//! Stores inside folders that keep versions or send copies elsewhere: version control, clouds.

use std::path::{Path, PathBuf};

use super::sight::Sight;
use super::{Finding, Host, Risk, Subject};
use crate::escape::shown;
use crate::platform::Platform;

/// Names at the top of a work tree, and the system they tell of.
const WORK_TREES: &[(&str, &str)] = &[
    (".git", "git"),
    (".jj", "Jujutsu"),
    (".hg", "Mercurial"),
    (".sl", "Sapling"),
    (".svn", "Subversion"),
    (".bzr", "Bazaar"),
    (".pijul", "Pijul"),
    ("_darcs", "Darcs"),
    (".fslckout", "Fossil"),
];

/// Repositories that dotfile managers keep apart from their work tree, the home.
const DOTFILES: &[&str] = &[
    "${XDG_DATA_HOME:-~/.local/share}/yadm/repo.git",
    "${XDG_CONFIG_HOME:-~/.config}/yadm/repo.git",
    "~/.yadm/repo.git",
];

/// Folders of the source of a dotfile manager that stand for `~/.claude`.
const COPIES: &[&str] = &[
    "${XDG_DATA_HOME:-~/.local/share}/chezmoi/dot_claude",
    "${XDG_DATA_HOME:-~/.local/share}/chezmoi/private_dot_claude",
    "${XDG_DATA_HOME:-~/.local/share}/chezmoi/exact_dot_claude",
    "${XDG_DATA_HOME:-~/.local/share}/chezmoi/exact_private_dot_claude",
];

/// Whether a store lies in a work tree, or a repository of dotfiles may hold it.
pub(super) fn version_control(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    let roots = subject.own_roots();
    for root in &roots {
        for above in root.ancestors() {
            for (name, system) in WORK_TREES {
                let mark = above.join(name);
                match host.exists(&mark) {
                    Ok(true) if *name == ".git" => {
                        let tracked = tracked(&index_of(&mark, host), above, root, host);
                        sight.saw(
                            Some(&mark),
                            format!("'{}' lies in a work tree of git{tracked}", shown(root)),
                        );
                    }
                    Ok(true) => {
                        sight.saw(Some(&mark), format!("'{}' lies in a work tree of {system}", shown(root)));
                    }
                    Ok(false) => {}
                    Err(error) => sight.barred(&mark, &error),
                }
            }
        }
    }
    for copy in COPIES.iter().filter_map(|template| subject.expand(template)) {
        if matches!(host.exists(&copy), Ok(true)) {
            sight.saw(Some(&copy), "a copy of the store among the sources of chezmoi");
        }
    }
    let in_home: Vec<&PathBuf> = roots.iter().filter(|root| root.starts_with(subject.home)).collect();
    for repository in bare_repositories(subject, host) {
        for root in &in_home {
            match tracked(&repository.join("index"), subject.home, root, host) {
                YES => sight.saw(
                    Some(&repository),
                    format!("a repository whose work tree is the home holds files of '{}'", shown(root)),
                ),
                _ => sight.doubt(format!(
                    "'{}' is a repository apart from its work tree, which may be the home; its history was not read",
                    shown(&repository)
                )),
            }
        }
    }
    sight.finding(Risk::VersionControl)
}

/// Repositories without a work tree of their own that were used with one: they have an index.
fn bare_repositories(subject: &Subject<'_>, host: &dyn Host) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = DOTFILES.iter().filter_map(|place| subject.expand(place)).collect();
    // A bare repository for dotfiles has any name; it is known by what lies in it.
    let names = host.list(subject.home).ok().flatten().unwrap_or_default();
    found.extend(names.into_iter().filter(|name| name != ".git").map(|name| subject.home.join(name)));
    if let Some(vcsh) = subject.expand("${XDG_CONFIG_HOME:-~/.config}/vcsh/repo.d") {
        let names = host.list(&vcsh).ok().flatten().unwrap_or_default();
        found.extend(names.into_iter().map(|name| vcsh.join(name)));
    }
    found.retain(|folder| {
        ["HEAD", "objects", "refs", "index"]
            .iter()
            .all(|name| matches!(host.exists(&folder.join(name)), Ok(true)))
    });
    found
}

/// The index of a work tree, whose `.git` may be a file that leads elsewhere (gitrepository-layout(5)).
fn index_of(mark: &Path, host: &dyn Host) -> PathBuf {
    let leads = host.read(mark).ok().flatten().and_then(|content| {
        let text = String::from_utf8_lossy(&content).into_owned();
        text.strip_prefix("gitdir:").map(|path| PathBuf::from(path.trim()))
    });
    match (leads, mark.parent()) {
        (Some(folder), Some(top)) => top.join(folder).join("index"),
        _ => mark.join("index"),
    }
}

const YES: &str = ", whose index names files of it";

/// Whether an index names files below a root now, in words; nothing where that cannot be told.
fn tracked(index: &Path, top: &Path, root: &Path, host: &dyn Host) -> &'static str {
    // Only names are looked for. An index of version 4 shortens them, so it tells nothing (gitformat-index(5)).
    let Ok(Some(content)) = host.read(index) else { return "" };
    let Ok(inside) = root.strip_prefix(top) else { return "" };
    let version = content.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    if !content.starts_with(b"DIRC") || !matches!(version, Some(2 | 3)) {
        return "";
    }
    let mut name = inside.as_os_str().as_encoded_bytes().to_vec();
    if !name.is_empty() {
        name.push(b'/');
    }
    // An entry has 62 bytes before its name, of which the last two hold flags and the name's length.
    // Found anywhere: a false alarm is possible and costs a look, and nothing that is in it is missed.
    if memchr::memmem::find(&content, &name).is_some() {
        YES
    } else {
        ", whose index names no file of it now"
    }
}

/// Files at the top of a synchronised folder, and the service that leaves them.
const MARKS: &[(&str, &str)] = &[
    (".stfolder", "Syncthing"),
    (".dropbox", "Dropbox"),
    (".dropbox.cache", "Dropbox"),
    (".nextcloudsync.log", "Nextcloud"),
    (".owncloudsync.log", "ownCloud"),
    (".tmp.driveupload", "Google Drive"),
    (".tmp.drivedownload", "Google Drive"),
    (".SynologyWorkingDirectory", "Synology Drive"),
    (".megaignore", "MEGA"),
    (".849C9593-D756-4E56-8D6E-42412F2A707B", "OneDrive"),
];

/// Folders of the home that services of this name synchronise unless told otherwise.
const NAMES: &[(&str, &str)] = &[
    ("Dropbox", "Dropbox"),
    ("OneDrive", "OneDrive"),
    ("Google Drive", "Google Drive"),
    ("GoogleDrive", "Google Drive"),
    ("My Drive", "Google Drive"),
    ("Nextcloud", "Nextcloud"),
    ("ownCloud", "ownCloud"),
    ("iCloudDrive", "iCloud"),
    ("Box", "Box"),
    ("Box Sync", "Box"),
    ("MEGA", "MEGA"),
    ("MEGAsync", "MEGA"),
    ("pCloudDrive", "pCloud"),
    ("Proton Drive", "Proton Drive"),
    ("Seafile", "Seafile"),
    ("SynologyDrive", "Synology Drive"),
    ("Resilio Sync", "Resilio Sync"),
    ("Yandex.Disk", "Yandex Disk"),
    ("Tresorit", "Tresorit"),
    ("Insync", "Insync"),
];

/// Whether a store lies below a folder that is synchronised.
pub(super) fn cloud(subject: &Subject<'_>, host: &dyn Host) -> Finding {
    let mut sight = Sight::default();
    let known = known_folders(subject, host);
    for root in subject.roots {
        for (folder, service) in known.iter().filter(|(folder, _)| root.starts_with(folder)) {
            sight.saw(Some(folder), format!("{service} synchronises it, and '{}' lies in it", shown(root)));
        }
        for above in root.ancestors() {
            marked(above, root, host, &mut sight);
            named(above, root, subject, &mut sight);
        }
    }
    sight.finding(Risk::CloudSync)
}

/// Marks that a service leaves at the top of its folder.
fn marked(above: &Path, root: &Path, host: &dyn Host, sight: &mut Sight) {
    for (name, service) in MARKS {
        // The settings of Dropbox lie in `~/.dropbox`, which is no mark of the home.
        let mark = above.join(name);
        match host.exists(&mark) {
            Ok(true) if *name == ".dropbox" && matches!(host.exists(&mark.join("info.json")), Ok(true)) => {}
            Ok(true) => sight.saw(
                Some(&mark),
                format!("{service} synchronises this folder, and '{}' lies in it", shown(root)),
            ),
            Ok(false) => {}
            Err(error) => sight.barred(&mark, &error),
        }
    }
    // The journals of the ownCloud family: `.sync_<hex>.db`, and `._sync_<hex>.db` of older ones.
    for name in host.list(above).ok().flatten().unwrap_or_default() {
        let text = name.to_string_lossy();
        let is_journal = text
            .strip_prefix(".sync_")
            .or_else(|| text.strip_prefix("._sync_"))
            .and_then(|rest| rest.strip_suffix(".db"))
            .is_some_and(|hash| hash.len() >= 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
        if is_journal {
            let note =
                format!("Nextcloud or ownCloud synchronises this folder, and '{}' lies in it", shown(root));
            sight.saw(Some(&above.join(&name)), note);
        }
    }
}

/// Names that services give their folders: a place of the system itself tells for sure, a mere
/// name only that somebody should look.
fn named(above: &Path, root: &Path, subject: &Subject<'_>, sight: &mut Sight) {
    let (Some(parent), Some(name)) = (above.parent(), above.file_name()) else { return };
    if subject.platform == Platform::Macos {
        let library = subject.home.join("Library");
        if parent == library.join("CloudStorage") || parent == library.join("Mobile Documents") {
            sight.saw(Some(above), format!("the system synchronises it, and '{}' lies in it", shown(root)));
            return;
        }
    }
    if parent != subject.home {
        return;
    }
    let name = name.to_string_lossy();
    // `OneDrive - Company` and `Dropbox (Company)` are those of an organisation.
    let plain = name.split(" - ").next().unwrap_or(&name).split(" (").next().unwrap_or(&name);
    if let Some((_, service)) = NAMES.iter().find(|(known, _)| *known == plain) {
        // A name proves nothing: somebody may have moved his files there and have ended the service.
        sight.remark(Some(above), format!("its name is that of a folder of {service}"));
        sight.doubt(format!("'{}' has the name of a folder of {service}, and no mark of it", shown(above)));
    } else if subject.platform == Platform::Macos && matches!(plain, "Desktop" | "Documents") {
        sight.doubt(format!("whether iCloud synchronises '{}' cannot be told", shown(above)));
    }
}

/// Folders that the services' own settings name.
fn known_folders(subject: &Subject<'_>, host: &dyn Host) -> Vec<(PathBuf, &'static str)> {
    let read = |template: &str| {
        let path = subject.expand(template)?;
        let content = host.read(&path).ok().flatten()?;
        Some(String::from_utf8_lossy(&content).into_owned())
    };
    let mut found = Vec::new();
    for place in ["~/.dropbox/info.json", "${APPDATA}/Dropbox/info.json", "${LOCALAPPDATA}/Dropbox/info.json"]
    {
        let Some(text) = read(place) else { continue };
        // One of a company beside one's own, each with its folder.
        let accounts: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        for account in accounts.as_object().into_iter().flat_map(serde_json::Map::values) {
            found.extend(
                account.get("path").and_then(|path| path.as_str()).map(|path| (path.into(), "Dropbox")),
            );
        }
    }
    for (place, service) in [
        ("${XDG_CONFIG_HOME:-~/.config}/Nextcloud/nextcloud.cfg", "Nextcloud"),
        ("~/Library/Preferences/Nextcloud/nextcloud.cfg", "Nextcloud"),
        ("${XDG_CONFIG_HOME:-~/.config}/ownCloud/owncloud.cfg", "ownCloud"),
    ] {
        for line in read(place).unwrap_or_default().lines() {
            let path = line.split_once('=').filter(|(key, _)| key.trim_end().ends_with("localPath"));
            found.extend(path.map(|(_, path)| (PathBuf::from(path.trim()), service)));
        }
    }
    if let Some(text) = read("${XDG_CONFIG_HOME:-~/.config}/onedrive/config") {
        for line in text.lines() {
            if let Some((_, value)) = line.split_once('=').filter(|(key, _)| key.trim() == "sync_dir") {
                let value = value.trim().trim_matches('"');
                let path =
                    value.strip_prefix("~/").map_or_else(|| value.into(), |rest| subject.home.join(rest));
                found.push((path, "OneDrive"));
            }
        }
    }
    // A folder of the root of all would be everybody's; a relative one is nobody's.
    found.retain(|(path, _)| path.is_absolute() && path.parent().is_some());
    for (path, _) in &mut found {
        // The roots are real paths, and what is compared with them must be, too.
        *path = host.resolve(path);
    }
    found
}

#[cfg(test)]
#[path = "folders_tests.rs"]
mod tests;
