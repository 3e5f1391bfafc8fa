use super::*;
use crate::purge::certificate::samples::{at, exception, parts};
use crate::purge::certificate::{ExceptionReason, Left, Method, Operator, Signer, Verification, digest};

fn printed(parts: Parts, format: Format) -> String {
    let certificate = Certificate::issue(parts);
    let json = certificate.json();
    // In the golden texts the hash is no news, and changes with every version.
    let sha256 = if format == Format::Text { "[SHA256]".to_owned() } else { digest(json.as_bytes()) };
    let said = print(
        &certificate,
        format,
        &Imprint { json: &json, sha256: &sha256, json_name: Some("hand-in.json") },
    );
    if format == Format::Text { said.replace(env!("CARGO_PKG_VERSION"), "[VERSION]") } else { said }
}

fn signed() -> Parts {
    let signer = Signer {
        fingerprint: "SHA256:J4scpN0s46hheN".to_owned(),
        public_key: "ssh-ed25519 AAAAC3".to_owned(),
        namespace: "ccretain-certificate".to_owned(),
    };
    let operator = Operator { signer: Some(signer), ..parts().operator };
    Parts { operator, ..parts() }
}

fn incomplete() -> Parts {
    let scope = Scope { projects: vec!["/work/acme/**".to_owned()], ..Scope::default() };
    let failed = (0..15).map(|n| exception(ExceptionReason::Failed, &format!("/x/{n:02}<&>\"'")));
    let left = Left { sessions: 1, files: 15, lines: 0, bytes: 135 };
    Parts {
        method: Method::new(scope, Identity::None),
        exceptions: failed.collect(),
        verification: Verification::scanned(at(3), 1, 19, left, true),
        ..parts()
    }
}

#[test]
fn a_complete_one_as_text() {
    insta::assert_snapshot!(printed(signed(), Format::Text), @r#"
    CERTIFICATE OF A PURGE

    COMPLETE. In the roots listed, what was to be removed was removed, and a second scan found none of
    it.

    Id         6e0c1a52-6f6e-4f0e-9f83-0a4d7c1f2b11
    Tool       ccretain [VERSION] (built 2026-11-22)
    Operator   ann (uid 1000), consented on the command line (--yes)
    Machine    laptop-17, LENOVO 21HM, serial not readable, Debian GNU/Linux 13 (trixie), kernel 6.12.0,
               x86_64
    Time       2027-01-15T08:00:00Z to 2027-01-15T08:00:04Z
    Asked for  session content of the roots listed, at any date, sealed or not
    Method     files were unlinked, lines left out by rewriting their files; nothing was overwritten
    Policy     sha256 abababababababababababababababababababababababababababababababab

    Scope
      ROOT               TREE    OWNER  DEVICE  FILE SYSTEM  VOLUME               ENCRYPTED
      /home/ann/.claude  config  ann     65026  ext4         /dev/mapper/vg-home  yes

    Removed
      KIND        FILES  LINES    FREED
      history         0      7    700 B
      transcript      2      0  2.5 KiB
      total           2      7  3.1 KiB
      of 2 sessions in 1 project; 3 folders became empty and went
      plaintext until it was removed: 1 file, 7 lines, 2.6 KiB
      sealed when it was removed, and plaintext on this machine before: 1 file, 512 B; destroying a key
        does not reach what the plaintext left on the medium

    Second scan
      a second scan of 1 root (4 files), ended 2027-01-15T08:00:03Z, found nothing that was to be
      removed

    Exceptions
      none

    What stays
      ledger of ccretain (paths, ids and times, no content): '/home/ann/.local/state/ccretain' (1 file,
        4.0 KiB)

    Residual risks: what can make content recoverable elsewhere
      SEEN: What swap means [swap] ('/dev/sda2': it is in use and not encrypted). To do: do something
        about it.
      not known: What backups means [backups] (a backup made from elsewhere leaves no sign). To do: do
        something about it.
      looked for and not seen: trash

    Ledger and proof
      Ledger           '/home/ann/.local/state/ccretain', run 11111111-2222-4333-8444-555555555555
      Its head         record 41, sha256
                       cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd
      As JSON          sha256 [SHA256]
      Compare          `ccretain ledger verify --certificate hand-in.json`
      Signature        hand-in.json is signed by the key SHA256:J4scpN0s46hheN
      allowed_signers  `purge namespaces="ccretain-certificate" ssh-ed25519 AAAAC3`
      Verify
                       `ssh-keygen -Y verify -f allowed_signers -I purge -n ccretain-certificate -s hand-in.json.sig < hand-in.json`

    Not claimed
      It speaks of the roots listed and of nothing outside them.
      It does not speak of what mounted file systems hide in the folders on which they are mounted.
      It is not a certificate of media sanitization: files were unlinked, no medium was cleared, purged
        or destroyed in the sense of NIST SP 800-88, which speaks of media and not of files.
      It does not say that content cannot be recovered from the device, from snapshots, backups,
        synchronised copies or other tools' archives.
      It does not say anything about data held by Anthropic or by any other service.
      Its times are those of the machine's own clock, and its facts those its operating system gave.
    "#);
}

#[test]
fn a_partial_one_with_exceptions_as_text() {
    let text = printed(incomplete(), Format::Text);
    assert_eq!(text.matches("failed: '/x/").count(), 15, "the text lists all of them");
    // The head and what it removed; all else in them is that of the complete one.
    let complete = printed(parts(), Format::Text);
    let until = text.find("\nSecond scan").unwrap();
    let own: Vec<&str> =
        text[..until].lines().filter(|line| !complete.lines().any(|one| one == *line)).collect();
    insta::assert_snapshot!(own.join("\n"), @r"
    CERTIFICATE OF A PARTIAL PURGE
    INCOMPLETE. In the roots listed, not everything that was to be removed is known to be gone: there
    are 15 exceptions, and the second scan found something that was to be removed. The purge was
    partial: the rest was not touched.
    Asked for  only sessions of projects /work/acme/**
    ");
}

#[test]
fn lines_are_not_longer_than_they_need_be() {
    for line in printed(incomplete(), Format::Text).lines() {
        assert!(line.chars().count() <= 100 || !line.trim().contains("  "), "{line}");
    }
}

/// Every element that is opened is closed, in order; what is void is known.
fn well_formed(page: &str) -> Vec<String> {
    let void = ["meta", "!DOCTYPE"];
    let mut open: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "in order, at </{name}>");
        } else {
            let name = tag.split_whitespace().next().expect("a name").to_owned();
            seen.push(name.clone());
            if name == "style" || name == "script" {
                rest = &rest[rest.find(&format!("</{name}>")).expect("its end")..];
            }
            if !void.contains(&name.as_str()) {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    seen
}

#[test]
fn the_page_is_well_formed_and_fetches_nothing() {
    for parts in [signed(), incomplete()] {
        let page = printed(parts, Format::Html);
        let elements = well_formed(&page);
        for forbidden in ["link", "img", "iframe", "object", "base", "form", "svg"] {
            assert!(!elements.iter().any(|name| name == forbidden), "{forbidden}");
        }
        assert_eq!(
            elements.iter().filter(|name| *name == "script").count(),
            1,
            "the document, which does not run"
        );
        for forbidden in ["http:", "https:", "url(", "@import", " on", "javascript:", " src=", " href="] {
            let outside = page.replace(embedded(&page).unwrap().json, "");
            let found = outside.split('<').any(|tag| tag.split('>').next().unwrap_or("").contains(forbidden));
            assert!(!found, "{forbidden}");
        }
        for needed in [
            "<html lang=\"en\">",
            "<title>",
            "prefers-color-scheme: dark",
            "@media print",
            "size: A4",
            "scope=\"col\"",
        ] {
            assert!(page.contains(needed), "{needed}");
        }
    }
}

#[test]
fn names_are_escaped_in_the_page() {
    let page = printed(incomplete(), Format::Html);
    assert!(page.contains("/x/00&lt;&amp;&gt;&quot;&#39;"));
    assert!(page.contains("and 3 more, in the document"));
    assert!(!page.contains("/x/00<"));
}

#[test]
fn a_page_holds_its_certificate_and_shows_nothing_else() {
    let certificate = Certificate::issue(incomplete());
    let page = printed(incomplete(), Format::Html);
    let found = embedded(&page).unwrap();
    assert_eq!(found.json, certificate.json());
    assert_eq!(found.name.as_deref(), Some("hand-in.json"));
    let compare = |page: &str| {
        let found = embedded(page).unwrap();
        compare_page(&Certificate::parse(found.json).unwrap(), &found, page)
    };
    assert_eq!(compare(&page), Ok(()));
    assert!(compare(&page.replace("INCOMPLETE", "COMPLETE")).is_err());
    assert!(compare(&page.replace("hand-in.json\">", "other.json\">")).is_err());
    let later =
        page.replace(&format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION")), "\"version\": \"99.0.0\"");
    assert_eq!(compare(&later), Ok(()), "another version words it otherwise");
    assert!(embedded("<p>no certificate</p>").is_none());
}

#[test]
fn none_of_them_says_all() {
    for parts in [parts(), signed(), incomplete()] {
        for format in [Format::Text, Format::Html] {
            let said = printed(parts.clone(), format);
            let words = said.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
            assert!(!words.map(str::to_lowercase).any(|word| word == "all"), "{said}");
        }
    }
}

#[test]
fn every_printing_says_the_same_of_what_matters() {
    for (parts, verdict) in [(parts(), "COMPLETE"), (incomplete(), "INCOMPLETE")] {
        for format in [Format::Html, Format::Text] {
            let said = printed(parts.clone(), format);
            for words in [
                verdict,
                "oots listed",
                "NIST SP 800-88",
                "serial not readable",
                "/home/ann/.claude",
                "record 41",
            ] {
                assert!(said.contains(words), "{format:?}: {words}");
            }
        }
    }
}
