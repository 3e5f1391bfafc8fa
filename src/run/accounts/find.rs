//! The accounts that a run over all users is for: the system's own list, and whoever owns a home or a
//! temp tree without being on it.
//!
//! Directories (Active Directory, LDAP) list nobody and answer only when they are asked for one
//! account; so the owners of what lies in the places of homes are asked for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::locate::users::{self, Account, HomeFolder, HomeRefusal, Homes, Ids};
use crate::platform::Platform;
use crate::run::{Context, Error};

/// As many accounts are asked for at once.
const AT_ONCE: usize = 200;

/// Who is handled, and who or what is left out, and why.
pub(crate) struct Accounts {
    pub fit: Vec<Account>,
    pub refused: Vec<(Account, HomeRefusal)>,
}

/// Finds the accounts of this machine.
///
/// # Errors
/// The system's list, or a folder that homes lie in, cannot be read.
pub(crate) fn find(ctx: &Context) -> Result<Accounts, Error> {
    let platform = ctx.env.platform;
    let layout = ctx.env.layout();
    let listed = listed(platform).ok_or(Error::AccountsUnlisted)?;
    let ids = Ids::new(platform, &fs_err::read_to_string("/etc/login.defs").unwrap_or_default());
    let temp = Path::new(layout.shared_temp);
    let trees = users::owners_of_temp_trees(temp);
    let on_disk = OnDisk { trees: &trees };
    let of_list = users::of_people(listed.clone(), ids, &on_disk);
    let mut places: BTreeSet<PathBuf> = layout.homes.iter().map(PathBuf::from).collect();
    // What lies at the top of the file system, or beside a service's files, is no home for lying there.
    let usual = |account: &&Account| account.uid != 0 && on_disk.is_own(account);
    let parents = of_list.iter().filter(usual).filter_map(|account| account.home.parent());
    places.extend(parents.filter(|place| place.parent().is_some()).map(Path::to_path_buf));
    let places: Vec<PathBuf> = places.into_iter().collect();
    let folders = users::home_folders(&places).map_err(Error::Path)?;
    let known: BTreeSet<u32> = listed.iter().map(|account| account.uid).collect();
    let owners: BTreeSet<u32> =
        folders.iter().map(|folder: &HomeFolder| folder.owner).chain(trees.iter().copied()).collect();
    let asked: Vec<u32> = owners.difference(&known).copied().collect();
    let found = asked_for(platform, &asked);
    let people = users::of_people(listed.into_iter().chain(found).collect(), ids, &on_disk);
    let (fit, mut refused) = users::with_homes(people);
    let all: Vec<&Account> = fit.iter().chain(refused.iter().map(|(account, _)| account)).collect();
    let left = users::uncovered(&folders, temp, &trees, &all);
    refused.extend(left);
    let refused = users::worth_naming(refused, &folders, &trees);
    Ok(Accounts { fit, refused })
}

/// What the disk says of homes.
struct OnDisk<'a> {
    trees: &'a [u32],
}

impl Homes for OnDisk<'_> {
    fn is_own(&self, account: &Account) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        fs_err::metadata(&account.home).is_ok_and(|meta| meta.is_dir() && meta.uid() == account.uid)
    }

    fn root_has_store(&self, home: &Path) -> bool {
        home.join(".claude").symlink_metadata().is_ok() || self.trees.contains(&0)
    }
}

/// The accounts that the system lists.
fn listed(platform: Platform) -> Option<Vec<Account>> {
    if platform == Platform::Macos {
        let keys = ["RecordName", "UniqueID", "PrimaryGroupID", "NFSHomeDirectory"];
        let words = [".", "-readall", "/Users"].into_iter().chain(keys).map(str::to_owned);
        return said("/usr/bin/dscl", words).filter(|said| said.0).map(|said| users::from_dscl(&said.1));
    }
    // It knows accounts that no file has; a system without it has no others.
    said("/usr/bin/getent", ["passwd".to_owned()])
        .filter(|said| said.0)
        .map(|said| said.1)
        .or_else(|| fs_err::read_to_string("/etc/passwd").ok())
        .map(|text| users::from_passwd(&text))
}

/// The accounts of ids that the system does not list.
fn asked_for(platform: Platform, uids: &[u32]) -> Vec<Account> {
    let of = |uids: &[u32]| -> Vec<Account> {
        let words = uids.iter().map(u32::to_string);
        // One that nobody has makes it fail, and the others are there all the same.
        let answer = match platform {
            Platform::Macos => said("/usr/bin/id", std::iter::once("-P".to_owned()).chain(words)),
            _ => said("/usr/bin/getent", std::iter::once("passwd".to_owned()).chain(words)),
        };
        let text = answer.map(|said| said.1).unwrap_or_default();
        match platform {
            Platform::Macos => users::from_master_passwd(&text),
            _ => users::from_passwd(&text),
        }
    };
    let at_once = if platform == Platform::Macos { 1 } else { AT_ONCE };
    uids.chunks(at_once).flat_map(of).filter(|account| uids.contains(&account.uid)).collect()
}

/// Whether a program of the system ended well, and what it prints; `None` where it is not there.
fn said(program: &str, arguments: impl IntoIterator<Item = String>) -> Option<(bool, String)> {
    let output = Command::new(program).args(arguments).env_clear().output().ok()?;
    Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
}
