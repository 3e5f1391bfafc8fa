//! Clients newer than the catalogue, and the shapes of the names that it does not hold.

use std::collections::BTreeMap;

use crate::catalogue::{NEWEST_TRIED, Root, SessionId, Version};
use crate::escape::text;
use crate::inventory::{Inventory, Oddity};

use super::{Finding, FindingId, some};

/// What newer clients wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Untried {
    /// Their versions, the newest first, with the number of sessions that each wrote in last.
    pub versions: Vec<(Version, u64)>,
    /// The shapes of names that the catalogue does not hold, the most frequent first.
    pub shapes: Vec<(String, u64)>,
}

/// Looks for clients that the catalogue was not tried with.
pub fn look(inventory: &Inventory) -> Untried {
    let mut versions: BTreeMap<Version, u64> = BTreeMap::new();
    for version in inventory.sessions.iter().filter_map(|session| session.untried) {
        *versions.entry(version).or_default() += 1;
    }
    if versions.is_empty() {
        return Untried::default();
    }
    let mut shapes: BTreeMap<String, u64> = BTreeMap::new();
    for artifact in &inventory.artifacts {
        let store = &inventory.store(inventory.store_of(artifact)).store;
        if artifact.kind.is_none() && artifact.oddity == Oddity::None && !store.kind.is_everybodys() {
            let path = inventory.path(artifact);
            let names: Vec<String> = path.iter().map(|name| text(name.to_string_lossy().as_ref())).collect();
            *shapes.entry(shape(store.kind, &names)).or_default() += 1;
        }
    }
    let mut shapes: Vec<(String, u64)> = shapes.into_iter().collect();
    // By their text where they are equal in number: two looks at the same store print the same.
    shapes.sort_by(|(one, of_one), (other, of_other)| of_other.cmp(of_one).then_with(|| one.cmp(other)));
    Untried { versions: versions.into_iter().rev().collect(), shapes }
}

impl Untried {
    /// Adds what is found.
    pub(super) fn evaluate(&self, findings: &mut Vec<Finding>) {
        if self.versions.is_empty() {
            return;
        }
        let versions = self.versions.iter().map(|(version, sessions)| {
            let word = if *sessions == 1 { "session" } else { "sessions" };
            format!(
                "Claude Code {version} wrote in {sessions} {word}; the newest version known is {NEWEST_TRIED}"
            )
        });
        let mut lines = some(versions);
        let shapes = self.shapes.iter().map(|(shape, files)| {
            let word = if *files == 1 { "file" } else { "files" };
            format!("{files} {word} named like '{shape}'")
        });
        lines.extend(some(shapes));
        findings.push(Finding::new(FindingId::ClientNewer, lines));
    }
}

/// A path without what tells one file of a kind from another: ids, hashes, numbers, and the names of projects.
fn shape(root: Root, names: &[String]) -> String {
    // Such shapes are sent to whoever extends the catalogue, so names of projects are not among them.
    let is_project = |at: usize| match root {
        Root::Config => at == 1 && names[0] == "projects" && names.len() > 2,
        Root::Cache | Root::Temp => at == 0 && names.len() > 1,
        _ => false,
    };
    let shown = names
        .iter()
        .enumerate()
        .map(|(at, name)| if is_project(at) { "<project>".to_owned() } else { shape_of(name) });
    shown.collect::<Vec<_>>().join("/")
}

fn shape_of(name: &str) -> String {
    let mut shape = String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        if rest.get(..36).is_some_and(|id| SessionId::from_bytes(id.as_bytes()).is_some()) {
            shape.push_str("<uuid>");
            rest = &rest[36..];
            continue;
        }
        let run = |fits: fn(&char) -> bool| rest.chars().take_while(fits).map(char::len_utf8).sum::<usize>();
        let (hex, digits) = (run(char::is_ascii_hexdigit), run(char::is_ascii_digit));
        // Words such as `deface` have no digit.
        let is_hex = hex >= 6 && rest[..hex].bytes().any(|byte| byte.is_ascii_digit()) && hex > digits;
        let (word, length) = if is_hex {
            ("<hex>", hex)
        } else if digits > 0 {
            ("<n>", digits)
        } else {
            // A whole word, so that no part of it is taken for a number.
            let letters = run(char::is_ascii_alphabetic).max(first.len_utf8());
            shape.push_str(&rest[..letters]);
            rest = &rest[letters..];
            continue;
        };
        shape.push_str(word);
        rest = &rest[length..];
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_one_file_from_another_is_left_out_of_a_shape() {
        let of =
            |root: Root, path: &str| shape(root, &path.split('/').map(str::to_owned).collect::<Vec<_>>());
        let id = "01234567-89ab-4cde-8f01-23456789abcd";
        assert_eq!(
            of(Root::Config, &format!("projects/-home-ann-secret/{id}/new/x-17.json")),
            "projects/<project>/<uuid>/new/x-<n>.json"
        );
        assert_eq!(of(Root::Config, "new-cache/0a1b2c3d4e5f.bin"), "new-cache/<hex>.bin");
        assert_eq!(of(Root::Config, "faded/2026-11-26T10.log"), "faded/<n>-<n>-<n>T<n>.log");
        assert_eq!(of(Root::Temp, "-home-ann/x"), "<project>/x");
        assert_eq!(of(Root::Temp, "x.9"), "x.<n>");
    }
}
