//! What a rule or a hold applies to: projects, kinds, sessions; all that are given must match.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;

use globset::{GlobBuilder, GlobMatcher};

use super::spelling::{Paths, equivalents, in_wsl, plain, spellings, windows, without_case};

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
    /// The digits of those, once somebody asked for them.
    pub digits: OnceLock<HashSet<String>>,
    /// Only sessions that were deleted in the desktop application, of which the inventory knows.
    pub desktop_deleted: bool,
}

/// A glob over project paths; `*` stops at `/`, `X/**` also matches `X`.
#[derive(Debug, Clone)]
pub struct ProjectGlob {
    written: String,
    /// The pattern with the home put in, as spelled and as resolved, and inside of WSL.
    patterns: Vec<Pattern>,
    paths: Paths,
}

/// One pattern of a glob.
#[derive(Debug, Clone)]
struct Pattern {
    text: String,
    /// The same without case.
    folded: String,
    /// It is written as Windows writes paths.
    is_windows: bool,
    exact: Vec<GlobMatcher>,
    in_any_case: Vec<GlobMatcher>,
}

/// A pattern that is no glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a project glob: {reason}", crate::escape::shown(pattern))]
pub struct BadGlob {
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl ProjectGlob {
    /// Compiles a glob; `~/` at its start is any of the `homes`, which are spellings of one.
    ///
    /// # Errors
    /// When the pattern is no glob, or neither absolute nor below `~/`.
    pub fn new(written: &str, homes: &[&Path], paths: Paths) -> Result<Self, BadGlob> {
        let bad = |reason: &str| BadGlob { pattern: written.to_owned(), reason: reason.to_owned() };
        let mut patterns: Vec<Pattern> = Vec::new();
        for (text, is_windows) in texts(written, homes).map_err(&bad)? {
            let text = plain(&text).into_owned();
            if text.split('/').any(|part| part == "..") {
                // Globs are compared by their words: `/work/../etc` would match nothing, and a rule that
                // silently matches nothing keeps what it should delete.
                return Err(bad("'..' is not resolved: write the path without it"));
            }
            if patterns.iter().all(|known| known.text != text) {
                patterns.push(Pattern::new(text, is_windows).map_err(|reason| bad(&reason))?);
            }
        }
        Ok(Self { written: written.to_owned(), patterns, paths })
    }

    /// Whether some project may match both globs: `false` only where that is certain.
    pub fn may_overlap(&self, other: &Self) -> bool {
        let has_windows = |glob: &Self| glob.patterns.iter().any(|pattern| pattern.is_windows);
        let has_drives = self.paths.has_drives || has_windows(self) || has_windows(other);
        let ignores_case = self.paths.ignore_case || has_windows(self) || has_windows(other);
        let all = |glob: &Self| -> Vec<String> {
            let of =
                |pattern: &Pattern| if ignores_case { pattern.folded.clone() } else { pattern.text.clone() };
            let texts: Vec<String> = glob.patterns.iter().map(of).collect();
            let more =
                texts.iter().filter(|_| has_drives).flat_map(|text| equivalents(text).unwrap_or_default());
            more.chain(texts.iter().cloned()).collect()
        };
        let others = all(other);
        all(self).iter().any(|a| others.iter().any(|b| overlap(a, b)))
    }

    /// The glob as it was written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Whether a project path matches, for a rule: on a machine without drives a letter alone is none.
    pub fn matches(&self, project: &str) -> bool {
        self.fits(project, self.paths.has_drives)
    }

    /// Whether a project path matches, for a hold: in doubt it does.
    pub fn covers(&self, project: &str) -> bool {
        // To hold too much can be undone, and to hold too little cannot.
        self.fits(project, true)
    }

    fn fits(&self, project: &str, guesses: bool) -> bool {
        let spellings = spellings(project);
        self.patterns.iter().any(|pattern| {
            spellings.iter().any(|spelling| {
                if spelling.is_guess && !guesses && !pattern.is_windows {
                    return false;
                }
                if self.paths.ignore_case || spelling.ignores_case || pattern.is_windows {
                    let folded = without_case(&spelling.text);
                    pattern.in_any_case.iter().any(|matcher| matcher.is_match(&folded))
                } else {
                    pattern.exact.iter().any(|matcher| matcher.is_match(&*spelling.text))
                }
            })
        })
    }
}

impl Pattern {
    fn new(text: String, is_windows: bool) -> Result<Self, String> {
        let folded = without_case(&text);
        let compile = |pattern: &str| {
            GlobBuilder::new(pattern)
                // Else `/work/*` would take in every folder below a project as well.
                .literal_separator(true)
                .backslash_escape(!is_windows)
                .build()
                .map(|glob| glob.compile_matcher())
                .map_err(|error| error.kind().to_string())
        };
        let with_folder = |text: &str| -> Result<Vec<GlobMatcher>, String> {
            // Folders are named `[slug]`: whoever copies such a path means it, and not what it says as a pattern.
            let literal = to_the_letter(text, is_windows);
            [text, &literal]
                .into_iter()
                .flat_map(|text| std::iter::once(text).chain(text.strip_suffix("/**")))
                .map(|text| compile(if text.is_empty() { "/" } else { text }))
                .collect()
        };
        let (exact, in_any_case) = (with_folder(&text)?, with_folder(&folded)?);
        Ok(Self { text, folded, is_windows, exact, in_any_case })
    }
}

/// A pattern in which only stars say more than themselves.
fn to_the_letter(text: &str, is_windows: bool) -> String {
    let pieces: Vec<String> = text.split('*').map(globset::escape).collect();
    let literal = pieces.join("*");
    if is_windows { literal } else { literal.replace('\\', r"\\") }
}

/// The patterns that a written glob stands for, each with whether it is written as Windows does.
fn texts(written: &str, homes: &[&Path]) -> Result<Vec<(String, bool)>, &'static str> {
    if written.is_empty() {
        return Err("it is empty");
    }
    if let Some(rest) = written.strip_prefix('~') {
        let is_windows = rest.starts_with('\\');
        if !rest.is_empty() && !rest.starts_with(['/', '\\']) {
            return Err("only the home of the store's owner has a short form, '~/': write the whole path");
        }
        let rest = if is_windows { rest.replace('\\', "/") } else { rest.to_owned() };
        let below = |home: &&Path| {
            let home = home.to_string_lossy();
            match windows(&home) {
                // A home of a name with brackets is a path and no pattern.
                Some(home) => (format!("{}{rest}", globset::escape(&home)), true),
                None => {
                    let home = globset::escape(&home);
                    // `DOMAIN\user`, as directory services name homes.
                    let home = if is_windows { home } else { home.replace('\\', r"\\") };
                    (format!("{home}{rest}"), is_windows)
                }
            }
        };
        return Ok(homes.iter().map(below).collect());
    }
    if let Some(text) = windows(written) {
        let inner = in_wsl(&text).map(|inner| (inner.to_owned(), true));
        return Ok(std::iter::once((text.clone(), true)).chain(inner).collect());
    }
    if written.starts_with('*') {
        // Only a separator stands before a letter: nobody escapes one.
        let is_separator = |at: usize| written[at + 1..].starts_with(char::is_alphanumeric);
        let is_windows = written.match_indices('\\').any(|(at, _)| is_separator(at));
        let text = if is_windows { written.replace('\\', "/") } else { written.to_owned() };
        return Ok(vec![(text, is_windows)]);
    }
    if written.starts_with('/') {
        return Ok(vec![(written.to_owned(), false)]);
    }
    Err("it is matched against whole paths, so it must begin with '/', '~/' or '*'")
}

/// Whether some path may match both texts of globs.
fn overlap(a: &str, b: &str) -> bool {
    const SPECIAL: [char; 5] = ['*', '?', '[', '{', '\\'];
    let is_match = |glob: &str, path: &str| {
        Pattern::new(glob.to_owned(), false)
            .is_ok_and(|pattern| pattern.exact.iter().any(|matcher| matcher.is_match(path)))
    };
    match (a.find(SPECIAL), b.find(SPECIAL)) {
        (None, _) => is_match(b, a),
        (_, None) => is_match(a, b),
        (Some(to_a), Some(to_b)) => {
            let common = to_a.min(to_b);
            // `/work/a/**` matches `/work/a` too, so the slash before the first star does not divide.
            let trimmed = |text: &str| {
                let head = text.as_bytes().get(..common).unwrap_or_default();
                head.strip_suffix(b"/").unwrap_or(head).to_vec()
            };
            let (a, b) = (trimmed(a), trimmed(b));
            let shorter = a.len().min(b.len());
            // Only what stands before the first special sign is compared; what comes after may match anything,
            // so the answer errs to "yes".
            a.get(..shorter) == b.get(..shorter)
        }
    }
}

impl Selector {
    /// Whether some session may be selected by both, by its project and its id.
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
    pub fn selects(&self, kind: Kind, project: Option<&str>, session: Option<SessionId>) -> bool {
        !self.desktop_deleted && self.selects_deleted(kind, project, session)
    }

    /// The same for a session that was deleted in the desktop application.
    pub fn selects_deleted(&self, kind: Kind, project: Option<&str>, session: Option<SessionId>) -> bool {
        self.fits_kind(kind)
            && self.fits_session(session)
            && self.projects.as_ref().is_none_or(|globs| {
                project.is_some_and(|project| globs.iter().any(|glob| glob.matches(project)))
            })
    }

    /// The same for a session of which the project is in doubt: it may be any.
    pub fn selects_in_any_project(&self, kind: Kind, session: Option<SessionId>) -> bool {
        self.fits_kind(kind) && self.fits_session(session) && !self.desktop_deleted
    }

    /// Whether a *hold* with this selector covers; it is tested against every project path
    /// found, a worktree counts as its repository too, and unknown projects are covered.
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
                    // A session may have worked in several folders; a hold on one of them means all of it.
                    || projects.any(|project| {
                        globs.iter().any(|glob| {
                            glob.covers(project)
                                || repository_of_worktree(&plain(project))
                                    .is_some_and(|repository| glob.covers(repository))
                        })
                    })
            })
    }

    /// Whether it names a session that scratch files in a folder of these digits may be of.
    pub fn names_digits(&self, digits: &OsStr) -> bool {
        // A hash for each session: asked for each of many loose files, and mostly for none.
        let known = || self.sessions.iter().flatten().map(|id| id.digits()).collect();
        digits.to_str().is_some_and(|digits| self.digits.get_or_init(known).contains(digits))
    }

    fn fits_kind(&self, kind: Kind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }

    fn fits_session(&self, session: Option<SessionId>) -> bool {
        self.sessions.as_ref().is_none_or(|ids| session.is_some_and(|id| ids.contains(&id)))
    }
}

/// The repository a worktree of the client belongs to: what lies above `.claude/worktrees/`.
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
        ProjectGlob::new(pattern, &[Path::new("/home/a[b]")], Paths::default()).unwrap()
    }

    const ANY_CASE: Paths = Paths { ignore_case: true, has_drives: false };

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
        assert!(ProjectGlob::new("/Work/**", &[], ANY_CASE).unwrap().matches("/work/X"));
    }

    #[test]
    fn a_path_means_itself_too_whatever_it_says_as_a_pattern() {
        for path in
            ["/work/app/[slug]", "/work/{x}", "/work/what?", r"/work/a\b", "/work/[!a]b", "/work/[a]{b}?"]
        {
            for (written, project) in
                [(path.to_owned(), path.to_owned()), (format!("{path}/**"), format!("{path}/x"))]
            {
                assert!(glob(&written).matches(&project) && glob(&written).covers(&project), "{written}");
                assert!(glob(&written).may_overlap(&glob(&written)), "{written}");
            }
            assert!(glob(&format!("{path}/**")).matches(path), "{path}");
        }
        assert!(glob("/work/a[bc]").matches("/work/ab") && !glob("/work/a[bc]").matches("/work/a[b"));
        assert!(glob("/work/{a,b}/*").matches("/work/b/x") && glob("/work/{a,b}/*").matches("/work/{a,b}/x"));
    }

    #[test]
    fn a_home_may_have_any_name() {
        for home in [r"/home/DOM\user", "/home/a[b", "/home/a{b", "/home/[!a]b", "/home/a*b", r"/home/a\"] {
            let glob = |written| ProjectGlob::new(written, &[Path::new(home)], Paths::default()).unwrap();
            for written in ["~/held/**", "~/**", "~/held/x"] {
                assert!(glob(written).matches(&format!("{home}/held/x")), "{home} {written}");
                assert!(!glob(written).matches("/home/other/held/x"), "{home} {written}");
            }
        }
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
        let written = |pattern| ProjectGlob::new(pattern, &[Path::new("/Users/Zoë")], ANY_CASE).unwrap();
        assert!(written("/Work/ÜBER/**").matches("/work/über/x"));
        assert!(written("/work/über").matches("/Work/ÜBER"));
        assert!(written("~/ДЕЛО").matches("/users/ZOË/дело"));
        assert!(!ProjectGlob::new("/ÜBER", &[], Paths::default()).unwrap().matches("/über"));
    }

    #[test]
    fn a_relative_or_broken_glob_is_an_error() {
        for pattern in
            ["work/**", "", "acme", "/work/[a", "~bob/x", "/work/../x", "~/..", r"C:\x\..\y", "{/a,/b}"]
        {
            assert!(ProjectGlob::new(pattern, &[Path::new("/")], Paths::default()).is_err(), "{pattern}");
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
