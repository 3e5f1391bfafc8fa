use super::super::Seen;
use super::super::fake::{Fake, with};
use super::*;

const ROOT: &str = "/home/ann/.claude";

fn git(host: &Fake) -> Finding {
    with(Platform::Linux, ROOT, |subject| version_control(subject, host))
}

fn clouds(host: &Fake, root: &str) -> Finding {
    with(Platform::Linux, root, |subject| cloud(subject, host))
}

fn index(version: u32, name: &str) -> Vec<u8> {
    let mut bytes = b"DIRC".to_vec();
    bytes.extend(version.to_be_bytes());
    bytes.extend([0; 66]);
    bytes.extend(name.as_bytes());
    bytes
}

#[test]
fn a_work_tree_is_found_at_the_store_and_anywhere_above_it() {
    assert_eq!(git(&Fake::default()).seen, Seen::No);
    for mark in ["/home/ann/.claude/.git", "/home/ann/.git", "/.git"] {
        assert_eq!(git(&Fake::default().folder(mark)).seen, Seen::Yes, "{mark}");
    }
    assert_eq!(git(&Fake::default().file("/home/ann/.git", "gitdir: /elsewhere/x.git\n")).seen, Seen::Yes);
    assert_eq!(git(&Fake::default().folder("/home/ann/.jj")).seen, Seen::Yes);
    assert_eq!(
        git(&Fake::default().folder("/home/ann/.claude/projects/.git")).seen,
        Seen::No,
        "below is no above"
    );
    assert_eq!(git(&Fake::default().folder("/home/bob/.git")).seen, Seen::No);
}

#[test]
fn an_index_says_whether_the_store_is_in_it_now() {
    let note =
        |content: &[u8]| git(&Fake::default().file("/home/ann/.git/index", content)).evidence[0].note.clone();
    assert!(note(&index(2, ".claude/history.jsonl\0")).ends_with("names files of it"));
    assert!(note(&index(2, ".clauderc\0")).ends_with("names no file of it now"));
    assert!(
        note(&index(4, ".claude/history.jsonl\0")).ends_with("work tree of git"),
        "version 4 shortens names"
    );
    assert!(note(b"garbage").ends_with("work tree of git"));
    let moved = Fake::default()
        .file("/home/ann/.git", "gitdir: store/dot.git\n")
        .file("/home/ann/store/dot.git/index", index(2, ".claude/x"));
    assert!(git(&moved).evidence[0].note.ends_with("names files of it"));
}

#[test]
fn repositories_of_dotfiles_lie_apart_from_their_work_tree() {
    let bare = |at: &str, index: Option<Vec<u8>>| {
        let host = Fake::default()
            .file(&format!("{at}/HEAD"), "ref: refs/heads/main\n")
            .folder(&format!("{at}/objects"))
            .folder(&format!("{at}/refs"));
        match index {
            Some(index) => host.file(&format!("{at}/index"), index),
            None => host,
        }
    };
    for at in
        ["/home/ann/.cfg", "/home/ann/.local/share/yadm/repo.git", "/home/ann/.config/vcsh/repo.d/c.git"]
    {
        assert_eq!(git(&bare(at, Some(index(2, ".claude/settings.json")))).seen, Seen::Yes, "{at}");
        assert!(matches!(git(&bare(at, Some(index(2, ".bashrc")))).seen, Seen::Unknown(_)), "{at}");
        assert_eq!(git(&bare(at, None)).seen, Seen::No, "never used with a work tree: {at}");
    }
    assert_eq!(git(&Fake::default().folder("/home/ann/.local/share/chezmoi/dot_claude")).seen, Seen::Yes);
}

#[test]
fn marks_of_services_are_found_above_a_store() {
    assert_eq!(clouds(&Fake::default(), ROOT).seen, Seen::No);
    for mark in ["/home/ann/.stfolder", "/home/ann/.claude/.stfolder", "/home/ann/.dropbox.cache"] {
        assert_eq!(clouds(&Fake::default().folder(mark), ROOT).seen, Seen::Yes, "{mark}");
    }
    for mark in ["/home/ann/.sync_1234abcd5678.db", "/home/ann/._sync_ab12cd34ef56.db"] {
        assert_eq!(clouds(&Fake::default().file(mark, ""), ROOT).seen, Seen::Yes, "{mark}");
    }
    assert_eq!(clouds(&Fake::default().file("/home/ann/.sync_notes.db", ""), ROOT).seen, Seen::No);
    let settings =
        Fake::default().file("/home/ann/.dropbox/info.json", r#"{"personal":{"path":"/home/ann/Dropbox"}}"#);
    assert_eq!(clouds(&settings, ROOT).seen, Seen::No, "the settings of Dropbox make no home a Dropbox");
    assert_eq!(clouds(&settings, "/home/ann/Dropbox/.claude").seen, Seen::Yes);
}

#[test]
fn settings_of_services_name_their_folders() {
    let nextcloud = Fake::default().file(
        "/home/ann/.config/Nextcloud/nextcloud.cfg",
        "[Accounts]\n0\\Folders\\1\\localPath=/home/ann/work/\n0\\Folders\\1\\paused=false\n",
    );
    assert_eq!(clouds(&nextcloud, "/home/ann/work/.claude").seen, Seen::Yes);
    assert_eq!(clouds(&nextcloud, ROOT).seen, Seen::No);
    let onedrive = Fake::default().file("/home/ann/.config/onedrive/config", "# x\nsync_dir = \"~/Sync\"\n");
    assert_eq!(clouds(&onedrive, "/home/ann/Sync/.claude").seen, Seen::Yes);
    let linked = Fake::default()
        .to("/home/ann/Sync", "/data/sync")
        .file("/home/ann/.config/onedrive/config", "sync_dir = \"~/Sync\"\n");
    assert_eq!(clouds(&linked, "/data/sync/.claude").seen, Seen::Yes, "links are followed");
}

#[test]
fn a_name_alone_is_no_proof() {
    for root in ["/home/ann/OneDrive - Acme/.claude", "/home/ann/Dropbox (Acme)/x/.claude"] {
        assert!(matches!(clouds(&Fake::default(), root).seen, Seen::Unknown(_)), "{root}");
    }
    assert_eq!(clouds(&Fake::default(), "/data/Dropbox/.claude").seen, Seen::No);
    let mac = |root: &str| with(Platform::Macos, root, |subject| cloud(subject, &Fake::default())).seen;
    assert_eq!(mac("/Users/ann/Library/CloudStorage/OneDrive-Acme/.claude"), Seen::Yes);
    assert_eq!(mac("/Users/ann/Library/Mobile Documents/com~apple~CloudDocs/.claude"), Seen::Yes);
    assert!(matches!(mac("/Users/ann/Documents/.claude"), Seen::Unknown(_)));
    assert_eq!(mac("/Users/ann/.claude"), Seen::No);
}
