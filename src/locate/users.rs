//! The accounts of a machine that have a home of their own, for runs over all users.
//!
//! Root looks at the homes themselves: whether each is a folder that belongs to the account alone, and
//! whether a store of that name lies in it. It opens nothing in them.

mod database;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::FileSystem;
use crate::dir::Dir;
use crate::error::{At as _, PathError};
use crate::escape::shown;
use crate::platform::Platform;

pub use database::{from_dscl, from_master_passwd, from_passwd};

/// An account, as the system's database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// Its home folder.
    pub home: PathBuf,
}

/// Why an account is left out; the others are done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeRefusal {
    /// Nothing is there.
    #[error("its home is missing")]
    Missing,
    /// The path itself is a link.
    #[error("its home is a link")]
    Link,
    /// There is something else.
    #[error("its home is not a folder")]
    NoFolder,
    /// Another account's.
    #[error("its home belongs to uid {0}")]
    NotOwn(u32),
    /// Anybody may put things there.
    #[error("its home is writable by everyone (mode {0:04o}): `chmod o-w` it first")]
    WorldWritable(u32),
    /// Two accounts.
    #[error("its home is also that of '{0}'")]
    Shared(String),
    /// FUSE or the network.
    #[error("its home lies on a {0} file system")]
    FileSystem(&'static str),
    /// The system says no.
    #[error("its home cannot be opened")]
    Unreachable(#[source] io::Error),
    /// A store in a home that no account has.
    #[error(
        "Claude Code data lies in '{}', and no account that can be handled covers it: give it to its account, or remove it",
        shown(_0)
    )]
    NoAccount(PathBuf),
}

impl HomeRefusal {
    /// Whether a store is left out that belongs to no account, rather than an account.
    pub fn is_of_a_store(&self) -> bool {
        matches!(self, Self::NoAccount(_))
    }
}

/// The ids that people have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// The lowest.
    pub least: u32,
    /// The highest.
    pub most: u32,
}

/// Homes that mean "none", as distributions write them.
const NO_HOME: [&str; 4] = ["/", "/nonexistent", "/dev/null", "/var/empty"];
/// The accounts that stand for nobody: of a file system that knows no owners, of 16 bits, of none.
const NOBODY: [u32; 4] = [65_534, 65_535, u32::MAX - 1, u32::MAX];

impl Ids {
    /// The ids of a platform: `UID_MIN` and `UID_MAX` of `/etc/login.defs` on Linux (1000 and 60000
    /// where it does not say, as in login.defs(5)), from 501 on macOS.
    pub fn new(platform: Platform, login_defs: &str) -> Self {
        if platform == Platform::Macos {
            return Self { least: 501, most: u32::MAX - 2 };
        }
        let value = |key: &str| {
            login_defs.lines().find_map(|line| {
                let mut words = line.split_whitespace();
                (words.next() == Some(key)).then(|| words.next()?.parse().ok()).flatten()
            })
        };
        Self { least: value("UID_MIN").unwrap_or(1_000), most: value("UID_MAX").unwrap_or(60_000) }
    }

    fn has(self, uid: u32) -> bool {
        !NOBODY.contains(&uid) && (self.least..=self.most).contains(&uid)
    }

    /// Whether it may be an account of a directory (Active Directory, LDAP, systemd-homed), whose
    /// ids lie above those that the system gives to people; services of the system have such, too.
    fn may_be_of_a_directory(self, uid: u32) -> bool {
        !NOBODY.contains(&uid) && uid > self.most
    }
}

/// What tells people from services, where an id does not.
pub trait Homes {
    /// Whether a folder is a home that belongs to the account.
    fn is_own(&self, account: &Account) -> bool;
    /// Whether root has a store.
    fn root_has_store(&self, home: &Path) -> bool;
}

/// The accounts of people with a home, those of directories among them, and root where it has a
/// store: elsewhere nobody would be told that it is left out.
pub fn of_people(accounts: Vec<Account>, ids: Ids, homes: &dyn Homes) -> Vec<Account> {
    let mut seen = HashSet::new();
    let is_person = |account: &Account| {
        ids.has(account.uid)
            || (ids.may_be_of_a_directory(account.uid) && homes.is_own(account))
            || (account.uid == 0 && homes.root_has_store(&account.home))
    };
    accounts
        .into_iter()
        .filter(|account| account.home.is_absolute())
        .filter(|account| !NO_HOME.iter().any(|none| account.home == Path::new(none)))
        .filter(is_person)
        // Another name of the same account and home.
        .filter(|account| seen.insert((account.uid, account.home.clone())))
        .collect()
}

/// A folder that looks like somebody's home, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeFolder {
    /// Where it lies.
    pub path: PathBuf,
    /// Who owns it.
    pub owner: u32,
    /// Device and inode: one folder may have several paths.
    pub identity: (u64, u64),
    /// Whether a store lies in it.
    pub has_store: bool,
}

/// How deep homes lie below their place: `/home/DOMAIN/name` is what directories make of it.
const DEPTH: usize = 2;
/// The name of a store in a home.
const STORE: &str = ".claude";

/// The folders in the places of homes, by their names and owners alone; nothing in them is opened.
///
/// # Errors
/// A place that is there and cannot be listed.
pub fn home_folders(places: &[PathBuf]) -> Result<Vec<HomeFolder>, PathError> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for place in places {
        list_homes(place, DEPTH, &mut seen, &mut found)?;
    }
    Ok(found)
}

fn list_homes(
    place: &Path,
    depth: usize,
    seen: &mut HashSet<(u64, u64)>,
    found: &mut Vec<HomeFolder>,
) -> Result<(), PathError> {
    use std::os::unix::fs::MetadataExt as _;
    let entries = match std::fs::read_dir(place) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        entries => entries.at("list", place)?,
    };
    for entry in entries {
        let path = entry.at("list", place)?.path();
        // A home may be a link; only root can have made it, in a folder that is root's.
        let Ok(meta) = path.metadata() else { continue };
        if !meta.is_dir() || !seen.insert((meta.dev(), meta.ino())) {
            continue;
        }
        let has_store = path.join(STORE).symlink_metadata().is_ok();
        if meta.uid() == 0 && !has_store && depth > 1 && !path.is_symlink() {
            list_homes(&path, depth - 1, seen, found)?;
        } else {
            let identity = (meta.dev(), meta.ino());
            found.push(HomeFolder { path, owner: meta.uid(), identity, has_store });
        }
    }
    Ok(())
}

/// The owners of `claude-<uid>` folders in the temp folder that all share; one that is another's
/// than its name says is no tree of Claude Code.
pub fn owners_of_temp_trees(temp: &Path) -> Vec<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = std::fs::read_dir(temp) else { return Vec::new() };
    let owner = |entry: std::fs::DirEntry| {
        let uid = entry.file_name().to_str()?.strip_prefix("claude-")?.parse().ok()?;
        let meta = entry.path().symlink_metadata().ok()?;
        // Anybody can make a folder of another's name in a folder that all share.
        (meta.is_dir() && meta.uid() == uid).then_some(uid)
    };
    entries.flatten().filter_map(owner).collect()
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    fs_err::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Stores that none of the accounts covers, each with its owner: those in the places of homes, and
/// the trees of Claude Code in the shared temp folder.
pub fn uncovered(
    folders: &[HomeFolder],
    temp: &Path,
    owners_of_trees: &[u32],
    accounts: &[&Account],
) -> Vec<(Account, HomeRefusal)> {
    let homes: HashSet<(u64, u64)> = accounts.iter().filter_map(|account| identity(&account.home)).collect();
    let is_covered = |folder: &HomeFolder| homes.contains(&folder.identity);
    let in_homes = folders.iter().filter(|folder| folder.has_store && !is_covered(folder));
    let in_homes = in_homes.map(|folder| (folder.owner, folder.path.clone()));
    let in_temp = owners_of_trees.iter().filter(|uid| accounts.iter().all(|account| account.uid != **uid));
    let in_temp = in_temp.map(|uid| (*uid, temp.join(format!("claude-{uid}"))));
    let refusal = |(uid, path): (u32, PathBuf)| {
        let known = accounts.iter().find(|account| account.uid == uid);
        let name = known.map_or_else(|| format!("uid {uid}"), |account| account.name.clone());
        (Account { name, uid, gid: uid, home: path.clone() }, HomeRefusal::NoAccount(path))
    };
    in_homes.chain(in_temp).map(refusal).collect()
}

/// Leaves out accounts whose home is missing, as databases have many: they are named where something of theirs
/// lies on the machine all the same.
pub fn worth_naming(
    refused: Vec<(Account, HomeRefusal)>,
    folders: &[HomeFolder],
    owners_of_trees: &[u32],
) -> Vec<(Account, HomeRefusal)> {
    let has_something = |uid: u32| {
        let owns = |folder: &HomeFolder| folder.has_store && folder.owner == uid;
        owners_of_trees.contains(&uid) || folders.iter().any(owns)
    };
    let is_named = |(account, why): &(Account, HomeRefusal)| {
        !matches!(why, HomeRefusal::Missing) || has_something(account.uid)
    };
    refused.into_iter().filter(is_named).collect()
}

/// Looks at the homes: which accounts can be handled, and why the others cannot.
pub fn with_homes(accounts: Vec<Account>) -> (Vec<Account>, Vec<(Account, HomeRefusal)>) {
    let mut owners: HashMap<(u64, u64), Vec<String>> = HashMap::new();
    let looked: Vec<_> = accounts
        .into_iter()
        .map(|account| {
            let (identity, found) = look(&account);
            if let Some(identity) = identity {
                owners.entry(identity).or_default().push(account.name.clone());
            }
            (account, identity, found)
        })
        .collect();
    let (mut fit, mut refused) = (Vec::new(), Vec::new());
    for (account, identity, found) in looked {
        let names = identity.and_then(|identity| owners.get(&identity));
        let other = names.into_iter().flatten().find(|name| **name != account.name);
        match (other, found) {
            (Some(other), _) => {
                let why = HomeRefusal::Shared(other.clone());
                refused.push((account, why));
            }
            (None, Err(why)) => refused.push((account, why)),
            (None, Ok(())) => fit.push(account),
        }
    }
    (fit, refused)
}

/// What identifies a home, where there is a folder, and whether it is the account's alone.
fn look(account: &Account) -> (Option<(u64, u64)>, Result<(), HomeRefusal>) {
    let dir = match Dir::open(&account.home) {
        Ok(dir) => dir,
        Err(error) => return (None, Err(unreachable(&account.home, error))),
    };
    let stat = match dir.stat_self() {
        Ok(stat) => stat,
        Err(error) => return (None, Err(HomeRefusal::Unreachable(error))),
    };
    let identity = Some((stat.stamp.device, stat.stamp.inode));
    let found = if stat.owner != account.uid {
        Err(HomeRefusal::NotOwn(stat.owner))
    } else if stat.mode & 0o002 != 0 {
        Err(HomeRefusal::WorldWritable(stat.mode & 0o7777))
    } else if let Some(name) = FileSystem::of(&dir).refused_name() {
        Err(HomeRefusal::FileSystem(name))
    } else {
        Ok(())
    };
    (identity, found)
}

fn unreachable(home: &Path, error: io::Error) -> HomeRefusal {
    match fs_err::symlink_metadata(home) {
        Ok(meta) if meta.is_symlink() => HomeRefusal::Link,
        Ok(meta) if !meta.is_dir() => HomeRefusal::NoFolder,
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => HomeRefusal::Missing,
        _ => HomeRefusal::Unreachable(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, uid: u32, home: impl Into<PathBuf>) -> Account {
        Account { name: name.into(), uid, gid: uid, home: home.into() }
    }

    #[test]
    fn only_people_count_and_root_where_it_has_a_store() {
        let ids = Ids::new(Platform::Linux, "#UID_MIN 5\nUID_MIN\t\t 1000\nUID_MAX 60000\nSYS_UID_MIN 1\n");
        assert_eq!(ids, Ids { least: 1000, most: 60_000 });
        assert_eq!(Ids::new(Platform::Linux, ""), ids);
        assert_eq!(Ids::new(Platform::Macos, "").least, 501);
        let all = vec![
            account("root", 0, "/root"),
            account("daemon", 1, "/usr/sbin"),
            account("ann", 1000, "/home/ann"),
            account("alias", 1000, "/home/ann"),
            account("none", 1001, "/nonexistent"),
            account("slash", 1002, "/"),
            account("relative", 1003, "home"),
            account("nobody", 65_534, "/home/nobody"),
            account("far", 100_000, "/home/far"),
            account("service", 64_055, "/var/lib/service"),
            account("none2", u32::MAX - 1, "/home/none2"),
        ];
        struct Made(bool);
        impl Homes for Made {
            fn is_own(&self, account: &Account) -> bool {
                account.home.starts_with("/home")
            }
            fn root_has_store(&self, _: &Path) -> bool {
                self.0
            }
        }
        let names = |root_has_store: bool| -> Vec<String> {
            of_people(all.clone(), ids, &Made(root_has_store)).into_iter().map(|a| a.name).collect()
        };
        assert_eq!(names(false), ["ann", "far"]);
        assert_eq!(names(true), ["root", "ann", "far"]);
    }

    #[test]
    fn stores_that_no_account_covers_are_told_whatever_folder_of_a_domain_they_lie_in() {
        use std::os::unix::fs::MetadataExt as _;
        let place = tempfile::tempdir().unwrap();
        let uid = place.path().metadata().unwrap().uid();
        let home = |name: &str| {
            let path = place.path().join(name);
            fs_err::create_dir_all(path.join(STORE)).unwrap();
            path
        };
        let (ann, gone) = (home("ann"), home("gone"));
        fs_err::create_dir(place.path().join("empty")).unwrap();
        std::os::unix::fs::symlink(&ann, place.path().join("same")).unwrap();
        let folders = home_folders(&[place.path().to_owned(), place.path().join("none")]).unwrap();
        let stores = folders.iter().filter(|folder| folder.has_store).count();
        assert_eq!(stores, 2, "{folders:?}");
        assert!(folders.iter().all(|folder| folder.owner == uid));
        let account = account("ann", uid, ann);
        let left = uncovered(&folders, Path::new("/tmp"), &[uid, uid + 7], &[&account]);
        let homes: Vec<_> = left.iter().map(|(account, _)| account.home.clone()).collect();
        assert_eq!(homes, [gone, PathBuf::from(format!("/tmp/claude-{}", uid + 7))]);
        assert!(left[0].1.is_of_a_store());
    }

    #[test]
    fn an_account_without_a_home_is_named_where_something_of_it_lies_here() {
        let gone = |uid| (account("gone", uid, "/home/gone"), HomeRefusal::Missing);
        let refused =
            || vec![gone(1), gone(2), gone(3), (account("link", 4, "/home/link"), HomeRefusal::Link)];
        let folder =
            |owner| HomeFolder { path: "/home/x".into(), owner, identity: (1, 1), has_store: owner == 3 };
        let named = worth_naming(refused(), &[folder(1), folder(3)], &[2]);
        assert_eq!(named.iter().map(|(account, _)| account.uid).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn a_home_must_be_a_folder_of_the_account_alone() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
        let root = tempfile::tempdir().unwrap();
        let uid = root.path().metadata().unwrap().uid();
        let home = |name: &str, mode: u32| {
            let path = root.path().join(name);
            fs_err::create_dir(&path).unwrap();
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let link = root.path().join("link");
        symlink(home("target", 0o700), &link).unwrap();
        let file = root.path().join("file");
        fs_err::File::create(&file).unwrap();
        let shared = home("shared", 0o700);
        let accounts = vec![
            account("fine", uid, home("fine", 0o755)),
            account("open", uid, home("open", 0o777)),
            account("gone", uid, root.path().join("gone")),
            account("linked", uid, link),
            account("file", uid, file),
            account("other", uid + 1, home("other", 0o700)),
            account("one", uid, shared.clone()),
            account("two", uid + 1, shared),
        ];
        let (fit, refused) = with_homes(accounts);
        assert_eq!(fit.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["fine"]);
        let why: Vec<String> = refused.iter().map(|(a, why)| format!("{}: {why}", a.name)).collect();
        let uid = uid.to_string();
        assert_eq!(
            why,
            [
                "open: its home is writable by everyone (mode 0777): `chmod o-w` it first".to_owned(),
                "gone: its home is missing".into(),
                "linked: its home is a link".into(),
                "file: its home is not a folder".into(),
                format!("other: its home belongs to uid {uid}"),
                "one: its home is also that of 'two'".into(),
                "two: its home is also that of 'one'".into(),
            ]
        );
    }
}
