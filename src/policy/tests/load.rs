use std::io::Write as _;

use super::*;
use crate::policy::error::LoadError;
use crate::policy::load::{Places, UserPlace, load};

struct Machine {
    dir: tempfile::TempDir,
    owner: u32,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["sys", "user", "prefs/ann"] {
            fs_err::create_dir_all(dir.path().join(folder)).unwrap();
        }
        #[cfg(unix)]
        let owner = std::os::unix::fs::MetadataExt::uid(&fs_err::metadata(dir.path()).unwrap());
        #[cfg(not(unix))]
        let owner = 0;
        let machine = Self { dir, owner };
        for folder in ["sys", "prefs", "prefs/ann"] {
            machine.mode(folder, 0o755);
        }
        machine
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        let whole = self.at(path);
        fs_err::create_dir_all(whole.parent().unwrap()).unwrap();
        std::fs::File::create(&whole).unwrap().write_all(text.as_bytes()).unwrap();
        self.mode(path, 0o644);
        self.mode(Path::new(path).parent().unwrap().to_str().unwrap(), 0o755);
    }

    fn mode(&self, path: &str, mode: u32) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs_err::set_permissions(self.at(path), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let _ = (path, mode);
    }

    fn load(&self, named: Option<&str>) -> Result<Loaded, LoadError> {
        let places = Places {
            system_dir: self.at("sys"),
            user: Some(UserPlace { dir: self.at("user"), named_by: None, uid: self.owner }),
            managed_prefs: Some(self.at("prefs")),
            user_name: "ann".into(),
            trusted_owner: self.owner,
        };
        load(&places, named.map(|name| self.at(name)).as_deref())
    }

    fn refused(&self) -> String {
        crate::error::chain(&self.load(None).unwrap_err())
    }
}

const EMPTY: &str = "{\"version\": 1}";

#[test]
fn every_layer_is_found_in_its_order() {
    let machine = Machine::new();
    assert!(machine.load(None).unwrap().layers.is_empty());
    for path in [
        "sys/policy.json",
        "sys/policy.d/b.json",
        "sys/policy.d/a.json",
        "user/policy.json",
        "sys/managed-policy.json",
    ] {
        machine.put(path, EMPTY);
    }
    machine.put("sys/policy.d/note.txt", "no policy");
    machine.put("sys/policy.d/.a.json.swp", "no policy");
    machine.put("user/holds.json", "[{\"name\": \"a\", \"reason\": \"r\"}]");
    let list = "<?xml version=\"1.0\"?><plist version=\"1.0\"><dict><key>quiet</key><string>2h</string></dict></plist>";
    machine.put("prefs/io.github.ccretain.plist", list);
    machine.put("prefs/ann/io.github.ccretain.plist", list);
    let loaded = machine.load(None).unwrap();
    let found: Vec<_> = loaded
        .layers
        .iter()
        .map(|layer| {
            layer.source.path.as_deref().unwrap().strip_prefix(machine.dir.path()).unwrap().to_str().unwrap()
        })
        .collect();
    assert_eq!(
        found,
        [
            "sys/policy.json",
            "sys/policy.d/a.json",
            "sys/policy.d/b.json",
            "user/policy.json",
            "sys/managed-policy.json",
            "prefs/io.github.ccretain.plist",
            "prefs/ann/io.github.ccretain.plist"
        ]
    );
    assert_eq!(loaded.holds.unwrap().1.len(), 1);
}

#[test]
fn a_named_file_takes_the_place_of_the_users() {
    let machine = Machine::new();
    machine.put("user/policy.json", "{\"quiet\": \"2h\"}");
    machine.put("mine.json", "{\"quiet\": \"3h\"}");
    let loaded = machine.load(Some("mine.json")).unwrap();
    assert_eq!(loaded.layers.len(), 1);
    assert_eq!(loaded.layers[0].settings.quiet.as_ref().unwrap().to_string(), "3h");
    assert!(matches!(machine.load(Some("absent.json")), Err(LoadError::Missing { .. })));
}

#[cfg(unix)]
#[test]
fn files_of_the_organisation_must_be_its_alone() {
    for path in ["sys/managed-policy.json", "sys/policy.json", "sys/policy.d/x.json"] {
        let machine = Machine::new();
        machine.put(path, EMPTY);
        for mode in [0o666, 0o646, 0o664] {
            machine.mode(path, mode);
            assert!(machine.refused().contains("others may write"), "{path} {mode:o}");
        }
        machine.mode(path, 0o644);
        assert!(machine.load(None).is_ok());
        for folder in
            ["sys", "sys/policy.d"].into_iter().filter(|folder| path.starts_with(&format!("{folder}/")))
        {
            for mode in [0o777, 0o1777, 0o775] {
                machine.mode(folder, mode);
                assert!(machine.refused().contains("others may write"), "{folder} {mode:o}");
            }
            machine.mode(folder, 0o755);
        }
        let mut theirs = machine;
        theirs.owner += 1;
        assert!(theirs.refused().contains("belongs to uid"), "{path}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_plain_file_is_refused() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::os::unix::fs::symlink;
    let machine = Machine::new();
    machine.put("real.json", EMPTY);
    symlink(machine.at("real.json"), machine.at("sys/managed-policy.json")).unwrap();
    assert!(machine.refused().contains("it is a link"));

    let machine = Machine::new();
    fs_err::create_dir(machine.at("sys/policy.json")).unwrap();
    machine.mode("sys/policy.json", 0o755);
    assert!(machine.refused().contains("not a regular file"));

    let machine = Machine::new();
    let pipe = machine.at("sys/policy.json");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    assert!(machine.refused().contains("not a regular file"));

    let machine = Machine::new();
    rustix::fs::rename(machine.at("sys"), machine.at("elsewhere")).unwrap();
    symlink(machine.at("elsewhere"), machine.at("sys")).unwrap();
    assert!(machine.refused().contains("link or not a folder"));

    // The user's own may be a link, as dotfile managers make them, but not a dangling one.
    let machine = Machine::new();
    machine.put("dotfiles/policy.json", EMPTY);
    symlink(machine.at("dotfiles/policy.json"), machine.at("user/policy.json")).unwrap();
    assert_eq!(machine.load(None).unwrap().layers.len(), 1);
    rustix::fs::rename(machine.at("dotfiles"), machine.at("gone")).unwrap();
    assert!(!machine.load(None).unwrap().faults.is_empty());
}

#[test]
fn damaged_files_are_errors_and_the_users_are_told_apart() {
    for (text, want) in [
        ("", "the file is empty"),
        ("{\"rules\": [", "EOF"),
        ("{\"version\": 2}", "version 2 is not known"),
        ("{\"Rules\": []}", "did you mean 'rules'?"),
        ("{\"rules\": [{\"deleteAfter\": 30}]}", "write '30d'"),
    ] {
        let machine = Machine::new();
        machine.put("sys/managed-policy.json", text);
        assert!(machine.refused().contains(want), "{text}: {}", machine.refused());
        let machine = Machine::new();
        machine.put("user/policy.json", text);
        let error = machine.load(None).unwrap().faults.remove(0);
        assert!(crate::error::chain(&error).contains(want), "{text}");
    }
    let machine = Machine::new();
    machine.put("user/policy.json", &format!("{}{EMPTY}", " ".repeat(5 << 20)));
    assert!(crate::error::chain(&machine.load(None).unwrap().faults[0]).contains("larger than"));
}
