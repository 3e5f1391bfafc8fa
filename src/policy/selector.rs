//! What a rule or a hold applies to: projects, kinds, sessions; all that are given must match.

use std::collections::BTreeSet;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use crate::catalogue::{Kind, SessionId};

/// A compiled selector; without any part it selects everything.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// Globs over the whole real path of a project.
    pub projects: Option<Vec<ProjectGlob>>,
    /// Kinds of artifact.
    pub kinds: Option<BTreeSet<Kind>>,
    /// Sessions by full id.
    pub sessions: Option<BTreeSet<SessionId>>,
}

/// A glob over project paths; `*` stops at `/`, `X/**` also matches `X`.
#[derive(Debug, Clone)]
pub struct ProjectGlob {
    written: String,
    /// The pattern with the home put in, in lower case where case is ignored.
    whole: String,
    ignore_case: bool,
    matchers: Vec<GlobMatcher>,
}

/// A pattern that is no glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{pattern}' is no project glob: {reason}")]
pub struct BadGlob {
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl ProjectGlob {
    /// Compiles a glob; `~/` at its start is `home`.
    ///
    /// # Errors
    /// When the pattern is no glob, or neither absolute nor below `~/`.
    pub fn new(written: &str, home: &Path, ignore_case: bool) -> Result<Self, BadGlob> {
        let bad = |reason: &str| BadGlob { pattern: written.to_owned(), reason: reason.to_owned() };
        let mut whole = match written.strip_prefix("~/") {
            Some(rest) => format!("{}/{rest}", globset::escape(&home.to_string_lossy())),
            None if written == "~" => globset::escape(&home.to_string_lossy()),
            None => written.to_owned(),
        };
        // Whoever writes a folder with a slash at its end means the folder; no project ends with one.
        while whole.len() > 1 && whole.ends_with('/') {
            whole.pop();
        }
        if ignore_case {
            // The matcher knows the case of ASCII letters alone.
            whole = whole.to_lowercase();
        }
        let anchored = whole.starts_with(['/', '*', '\\']) || whole.get(1..2) == Some(":");
        if !anchored {
            return Err(bad("it is matched against whole paths, so it must begin with '/', '~/' or '*'"));
        }
        let compile = |pattern: &str| {
            GlobBuilder::new(pattern)
                .literal_separator(true)
                .case_insensitive(ignore_case)
                .build()
                .map(|glob| glob.compile_matcher())
                .map_err(|error| bad(&error.kind().to_string()))
        };
        let mut matchers = vec![compile(&whole)?];
        if let Some(parent) = whole.strip_suffix("/**").filter(|parent| !parent.is_empty()) {
            matchers.push(compile(parent)?);
        }
        Ok(Self { written: written.to_owned(), whole, ignore_case, matchers })
    }

    /// Whether some project may match both globs: `false` only where that is certain.
    #[must_use]
    pub fn may_overlap(&self, other: &Self) -> bool {
        const SPECIAL: [char; 5] = ['*', '?', '[', '{', '\\'];
        let head = |glob: &Self| glob.whole.find(SPECIAL);
        match (head(self), head(other)) {
            (None, _) => other.matches(&self.whole),
            (_, None) => self.matches(&other.whole),
            (Some(a), Some(b)) => {
                let common = a.min(b);
                // `/work/a/**` matches `/work/a` too, so the slash before the first star does not divide.
                let cut = |glob: &Self| glob.whole.as_bytes().get(..common).unwrap_or_default().to_vec();
                let trim = |mut bytes: Vec<u8>| {
                    if bytes.last() == Some(&b'/') {
                        bytes.pop();
                    }
                    bytes
                };
                let (a, b) = (trim(cut(self)), trim(cut(other)));
                let shorter = a.len().min(b.len());
                a.get(..shorter) == b.get(..shorter)
            }
        }
    }

    /// The glob as it was written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Whether a project path matches.
    #[must_use]
    pub fn matches(&self, project: &str) -> bool {
        let project = match project.trim_end_matches('/') {
            "" => project,
            trimmed => trimmed,
        };
        let lowered = self.ignore_case.then(|| project.to_lowercase());
        let project = lowered.as_deref().unwrap_or(project);
        self.matchers.iter().any(|matcher| matcher.is_match(project))
    }
}

impl Selector {
    /// Whether some session may be selected by both, by its project and its id.
    #[must_use]
    pub fn may_share_sessions(&self, other: &Self) -> bool {
        let sessions = match (&self.sessions, &other.sessions) {
            (Some(a), Some(b)) => !a.is_disjoint(b),
            _ => true,
        };
        let projects = match (&self.projects, &other.projects) {
            (Some(a), Some(b)) => a.iter().any(|a| b.iter().any(|b| a.may_overlap(b))),
            _ => true,
        };
        sessions && projects
    }

    /// Whether a *rule* with this selector applies; an unknown project matches no glob.
    #[must_use]
    pub fn selects(&self, kind: Kind, project: Option<&str>, session: Option<SessionId>) -> bool {
        self.fits_kind(kind)
            && self.fits_session(session)
            && self.projects.as_ref().is_none_or(|globs| {
                project.is_some_and(|project| globs.iter().any(|glob| glob.matches(project)))
            })
    }

    /// Whether a *hold* with this selector covers; it is tested against every project path
    /// found, a worktree counts as its repository too, and unknown projects are covered.
    #[must_use]
    pub fn covers<'a>(
        &self,
        kind: Kind,
        mut projects: impl Iterator<Item = &'a str>,
        project_unknown: bool,
        session: Option<SessionId>,
    ) -> bool {
        self.fits_kind(kind)
            && self.fits_session(session)
            && self.projects.as_ref().is_none_or(|globs| {
                project_unknown
                    || projects.any(|project| {
                        globs.iter().any(|glob| {
                            glob.matches(project)
                                || repository_of_worktree(project)
                                    .is_some_and(|repository| glob.matches(repository))
                        })
                    })
            })
    }

    fn fits_kind(&self, kind: Kind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }

    fn fits_session(&self, session: Option<SessionId>) -> bool {
        self.sessions.as_ref().is_none_or(|ids| session.is_some_and(|id| ids.contains(&id)))
    }
}

/// The repository a worktree of the client belongs to: what lies above `.claude/worktrees/`.
#[must_use]
pub fn repository_of_worktree(project: &str) -> Option<&str> {
    ["/.claude/worktrees/", "\\.claude\\worktrees\\"]
        .iter()
        .filter_map(|mark| project.find(mark))
        .min()
        .and_then(|at| project.get(..at))
        .filter(|repository| !repository.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(pattern: &str) -> ProjectGlob {
        ProjectGlob::new(pattern, Path::new("/home/a[b]"), false).unwrap()
    }

    #[test]
    fn a_star_stops_at_a_slash_and_two_stars_include_the_folder() {
        assert!(glob("/work/*").matches("/work/acme"));
        assert!(!glob("/work/*").matches("/work/acme/app"));
        assert!(!glob("/work/*").matches("/work"));
        for project in ["/work/acme", "/work/acme/", "/work/acme/app", "/work/acme/a/b"] {
            assert!(glob("/work/acme/**").matches(project), "{project}");
        }
        assert!(!glob("/work/acme/**").matches("/work/acme2"));
        assert!(glob("~/src/**").matches("/home/a[b]/src/x"));
        assert!(glob("~/src").matches("/home/a[b]/src"));
        assert!(!glob("/Work/**").matches("/work/x"));
        assert!(ProjectGlob::new("/Work/**", Path::new("/"), true).unwrap().matches("/work/X"));
    }

    #[test]
    fn a_slash_at_the_end_means_the_folder() {
        assert!(glob("/work/acme/").matches("/work/acme"));
        assert!(glob("~/src/").matches("/home/a[b]/src"));
        assert!(glob("/work/acme/**/").matches("/work/acme/app"));
        assert!(glob("/work/acme/**/").matches("/work/acme"));
        assert!(glob("/work/acme//").may_overlap(&glob("/work/acme")));
        assert!(!glob("/work/acme/").matches("/work/acme/app"));
        assert!(glob("/").matches("/"));
    }

    #[test]
    fn where_case_is_ignored_it_is_that_of_every_script() {
        let written = |pattern| ProjectGlob::new(pattern, Path::new("/Users/Zoë"), true).unwrap();
        assert!(written("/Work/ÜBER/**").matches("/work/über/x"));
        assert!(written("/work/über").matches("/Work/ÜBER"));
        assert!(written("~/ДЕЛО").matches("/users/ZOË/дело"));
        assert!(!ProjectGlob::new("/ÜBER", Path::new("/"), false).unwrap().matches("/über"));
    }

    #[test]
    fn a_relative_or_broken_glob_is_an_error() {
        for pattern in ["work/**", "", "acme", "/work/[a"] {
            assert!(ProjectGlob::new(pattern, Path::new("/"), false).is_err(), "{pattern}");
        }
    }

    #[test]
    fn globs_are_apart_only_where_their_beginnings_are() {
        for (a, b, overlap) in [
            ("/work/a/**", "/work/b/**", false),
            ("/work/a/**", "/work/a", true),
            ("/work/a", "/work/ab/**", false),
            ("/work/a/**", "/work/**", true),
            ("/work/*/x", "/work/a/**", true),
            ("**", "/work/a/**", true),
            ("/work/a*", "/work/ab*", true),
        ] {
            assert_eq!(glob(a).may_overlap(&glob(b)), overlap, "{a} {b}");
            assert_eq!(glob(b).may_overlap(&glob(a)), overlap, "{b} {a}");
        }
    }

    #[test]
    fn a_worktree_is_held_with_its_repository() {
        let selector = Selector { projects: Some(vec![glob("/work/acme")]), ..Selector::default() };
        let tree = "/work/acme/.claude/worktrees/wt1";
        assert!(selector.covers(Kind::Transcript, [tree].into_iter(), false, None));
        assert!(!selector.selects(Kind::Transcript, Some(tree), None));
        assert!(selector.covers(Kind::Transcript, std::iter::empty(), true, None));
        assert!(!selector.selects(Kind::Transcript, None, None));
    }
}
