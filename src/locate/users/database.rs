//! The system's database of accounts, as each platform prints it.

use std::path::PathBuf;

use super::Account;

/// Reads the lines of `passwd(5)`; what does not fit is left out.
pub fn from_passwd(text: &str) -> Vec<Account> {
    let account = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
        // `+name` and `-name` refer to NIS and are no accounts of their own.
        if name.is_empty() || name.starts_with(['+', '-', '#']) {
            return None;
        }
        Some(Account {
            name: (*name).to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: PathBuf::from(home),
        })
    };
    text.lines().filter_map(account).collect()
}

/// Reads what `dscl . -readall /Users RecordName UniqueID PrimaryGroupID NFSHomeDirectory` prints:
/// a block a record, divided by lines of one dash.
pub fn from_dscl(text: &str) -> Vec<Account> {
    let account = |block: &str| {
        let value = |key: &str| {
            let mut lines = block.lines();
            let line = lines.by_ref().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            // A value with a space in it stands on a line of its own.
            let line = if line.trim().is_empty() { lines.next()? } else { line };
            Some(line.trim().to_owned())
        };
        Some(Account {
            name: value("RecordName")?.split_whitespace().next()?.to_owned(),
            uid: value("UniqueID")?.parse().ok()?,
            gid: value("PrimaryGroupID")?.parse().ok()?,
            home: PathBuf::from(value("NFSHomeDirectory")?),
        })
    };
    text.split("\n-\n").filter_map(account).collect()
}

/// Reads what `id -P UID` prints on macOS: the ten fields of `master.passwd(5)`.
pub fn from_master_passwd(text: &str) -> Vec<Account> {
    let account = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, _, _, _, home, _] = fields.as_slice() else { return None };
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        Some(Account { name: (*name).to_owned(), uid, gid, home: PathBuf::from(home) })
    };
    text.lines().filter_map(account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, uid: u32, home: impl Into<PathBuf>) -> Account {
        Account { name: name.into(), uid, gid: uid, home: home.into() }
    }

    #[test]
    fn accounts_are_read_and_what_does_not_fit_is_not() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:100:Ann,,:/home/ann:/bin/zsh\n\
             # a remark\n+::::::\nbroken:x:none:1::/home/b:/bin/sh\nshort:x:1\n\nbob:x:1001:1001::/home/bob:\n";
        let names: Vec<_> = from_passwd(passwd).into_iter().map(|a| (a.name, a.uid, a.gid)).collect();
        assert_eq!(names, [("root".into(), 0, 0), ("ann".into(), 1000, 100), ("bob".into(), 1001, 1001)]);
        let dscl = "NFSHomeDirectory: /Users/ann\nPrimaryGroupID: 20\nRecordName: ann ann@x\nUniqueID: 501\n-\n\
             NFSHomeDirectory:\n /Users/b c\nPrimaryGroupID: 20\nRecordName: bc\nUniqueID: 502\n-\nUniqueID: -2\n";
        assert_eq!(
            from_dscl(dscl),
            [
                Account { gid: 20, ..account("ann", 501, "/Users/ann") },
                Account { gid: 20, ..account("bc", 502, "/Users/b c") },
            ]
        );
    }

    /// The values of other keys, some of which have lines of their own, are passed over.
    #[test]
    fn a_record_of_macos_is_read_with_whatever_else_it_has() {
        let recorded = include_str!("../../../tests/recorded/macos/dscl-read.txt");
        let expected = Account { gid: 30_000, ..account("_nixbld1", 401, "/var/empty") };
        assert_eq!(from_dscl(recorded), [expected]);
    }

    #[test]
    fn an_account_of_a_directory_is_read_from_its_ten_fields() {
        let read = from_master_passwd("ann:*:501:20::0:0:Ann B:/Users/ann:/bin/zsh\nshort:x:1\n");
        assert_eq!(read, [Account { gid: 20, ..account("ann", 501, "/Users/ann") }]);
        let recorded = include_str!("../../../tests/recorded/macos/id-p.txt");
        let expected = Account { gid: 20, ..account("netbird", 501, "/Users/netbird") };
        assert_eq!(from_master_passwd(recorded), [expected]);
    }
}
