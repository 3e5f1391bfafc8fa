//! Matching names against the catalogue's patterns, one folder level at a time.
//!
//! A pattern is a path of components. Within a component these stand for variable parts:
//!
//! | token | stands for |
//! | --- | --- |
//! | `<S>` | a session id; the first one in a path is the owner |
//! | `<P>` | a project folder's name |
//! | `<*>` | one or more bytes |
//! | `<n>` | one or more digits |
//! | `<ms>` | a time in milliseconds: 12 or more digits |
//! | `<date>` | a name that begins with `YYYY-MM-DD` |
//! | `<hex>` | 7 or more lower-case hexadecimal digits |
//! | `<8hex>`, `<32hex>` | so many lower-case hexadecimal digits |
//! | `<6rand>` | the six letters and digits that `mkdtemp` makes |
//! | `<uuid>` | a UUID that is no session's |
//! | `<digits>` | the twelve digits that stand for a session, see [`SessionId::digits`] |
//! | `<**>` | as a whole last component: any name at any depth; what follows it is the end of that name |
//!
//! A name that no pattern fits and that ends in `.tmp.` and 8 hexadecimal digits, or a pid and 12 or 13 of them, is
//! an unfinished write of Claude Code's: it is what the name without that ending is.
//!
//! A scan carries a [`Cursor`] down the tree, so that each name is compared only with the
//! patterns that its folder leaves possible.

use std::sync::LazyLock;

use super::root::Root;
use super::{Disposal, KINDS, Kind, SessionId};

/// Names that Claude Code gives in folders that it shares with others, beside those of the rows: what bears one
/// is told where no row knows it.
static CLAIMED: &[(Root, &str)] = &[
    (Root::Home, ".claude.json<*>"),
    (Root::Home, "..claude.json<*>"),
    (Root::Desktop, "<*>-sessions"),
    (Root::Desktop, "<*>-sessions-<*>"),
    (Root::TempNeighbours, "claude-<*>"),
];

/// What a name was recognised as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// The kind of file.
    pub kind: Kind,
    /// The session named in the path.
    pub session: Option<SessionId>,
    /// Whether the matched pattern has an id, hash or time in it that only the client would write;
    /// the others apply only in folders that are certainly the client's.
    pub distinctive: bool,
    /// Whether it lies in the session's own folder, in which links are unlinked with the rest.
    pub in_session_folder: bool,
}

/// The patterns that are still possible in one folder.
#[derive(Debug, Clone)]
pub struct Cursor {
    root: Root,
    is_top: bool,
    /// Whether it lies, in a folder shared with others, in one that only Claude Code fills.
    is_claimed: bool,
    active: Vec<Active>,
}

#[derive(Debug, Clone, Copy)]
struct Active {
    pattern: u16,
    segment: u8,
    session: Option<SessionId>,
    /// Whether the folder, or one above it, is a session's own.
    is_of_a_session: bool,
}

#[derive(Debug)]
struct Pattern {
    root: Root,
    kind: Kind,
    distinctive: bool,
    segments: Vec<Segment>,
}

#[derive(Debug)]
enum Segment {
    /// Any names at any depth, of which the last one ends so.
    Rest(&'static str),
    Tokens(Vec<Token>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Literal(&'static str),
    Session,
    Any,
    Digits,
    Millis,
    Date,
    Hex,
    HexOf(usize),
    Random,
    Uuid,
    SessionDigits,
}

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    KINDS
        .iter()
        .flat_map(|row| row.patterns.iter().map(move |(root, text)| compile(*root, row.kind, text)))
        .collect()
});

static CLAIMS: LazyLock<Vec<(Root, Vec<Token>)>> =
    LazyLock::new(|| CLAIMED.iter().map(|(root, name)| (*root, tokens(name))).collect());

/// Whether the name of something directly in a shared folder is one that only Claude Code gives.
fn is_claimed(root: Root, name: &[u8]) -> bool {
    // The temp tree of an account is a store of its own, whoever's it is.
    let is_tree = name.strip_prefix(b"claude-").is_some_and(|id| id.iter().all(u8::is_ascii_digit));
    let mut claims = CLAIMS.iter().filter(|(of, _)| *of == root);
    !is_tree && claims.any(|(_, tokens)| matches(tokens, name, &mut None))
}

fn compile(root: Root, kind: Kind, text: &'static str) -> Pattern {
    let segments: Vec<Segment> = text
        .split('/')
        .map(|part| match part.strip_prefix("<**>") {
            Some(end) => Segment::Rest(end),
            None => Segment::Tokens(tokens(part)),
        })
        .collect();
    // Any program may have a file of such a name in a folder that may be somebody else's; an id is nobody
    // else's.
    let distinctive = root != Root::Config
        || segments.iter().any(|segment| match segment {
            Segment::Rest(_) => false,
            Segment::Tokens(tokens) => tokens.iter().any(|token| {
                matches!(token, Token::Session | Token::Millis | Token::Hex | Token::HexOf(_) | Token::Uuid)
            }),
        });
    Pattern { root, kind, distinctive, segments }
}

fn tokens(mut part: &'static str) -> Vec<Token> {
    const NAMED: [(&str, Token); 13] = [
        ("<S>", Token::Session),
        ("<P>", Token::Any),
        ("<*>", Token::Any),
        ("<n>", Token::Digits),
        ("<ms>", Token::Millis),
        ("<date>", Token::Date),
        ("<hex>", Token::Hex),
        ("<4hex>", Token::HexOf(4)),
        ("<8hex>", Token::HexOf(8)),
        ("<32hex>", Token::HexOf(32)),
        ("<6rand>", Token::Random),
        ("<uuid>", Token::Uuid),
        ("<digits>", Token::SessionDigits),
    ];
    let mut found = Vec::new();
    while !part.is_empty() {
        if let Some((name, token)) = NAMED.iter().find(|(name, _)| part.starts_with(name)) {
            found.push(*token);
            part = &part[name.len()..];
        } else {
            let end = part[1..].find('<').map_or(part.len(), |at| at + 1);
            found.push(Token::Literal(&part[..end]));
            part = &part[end..];
        }
    }
    found
}

impl Cursor {
    /// The cursor at the top of a tree.
    pub fn at(root: Root) -> Self {
        let active = PATTERNS
            .iter()
            .enumerate()
            .filter(|(_, pattern)| pattern.root == root)
            .filter_map(|(at, _)| {
                Some(Active {
                    pattern: u16::try_from(at).ok()?,
                    segment: 0,
                    session: None,
                    is_of_a_session: false,
                })
            })
            .collect();
        Self { root, is_top: true, is_claimed: false, active }
    }

    /// Whether a file or folder of this name is Claude Code's here, whether or not a row knows it.
    pub fn claims(&self, name: &[u8]) -> bool {
        // What a later version calls something must not make it invisible.
        !self.root.is_shared() || self.is_claimed || self.is_top && is_claimed(self.root, name)
    }

    /// Whether nothing below this folder can be recognised.
    pub fn is_dead(&self) -> bool {
        self.active.is_empty()
    }

    /// The session whose own folder this is, or lies in.
    pub fn session(&self) -> Option<SessionId> {
        self.active.iter().find_map(|active| active.session)
    }

    /// The kinds of what may lie in this folder or below it.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.active.iter().map(|active| active.pattern().kind)
    }

    /// Whether names in this folder are content, whatever else lies there.
    pub fn names_are_content(&self) -> bool {
        self.active.iter().any(|active| {
            let pattern = active.pattern();
            // A file of such a kind is called by a prompt's own words.
            pattern.kind.name_is_content() && usize::from(active.segment) + 1 == pattern.segments.len()
        })
    }

    /// The cursor of a folder of this name.
    pub fn enter(&self, name: &[u8]) -> Self {
        let mut next = Vec::new();
        for active in &self.active {
            let pattern = active.pattern();
            match pattern.segments.get(usize::from(active.segment)) {
                Some(Segment::Rest(_)) => next.push(*active),
                Some(Segment::Tokens(tokens)) if usize::from(active.segment) + 1 < pattern.segments.len() => {
                    let mut session = None;
                    if matches(tokens, name, &mut session) {
                        let stands_for_one = tokens.contains(&Token::SessionDigits);
                        next.push(Active {
                            segment: active.segment + 1,
                            session: active.session.or(session),
                            is_of_a_session: active.is_of_a_session || session.is_some() || stands_for_one,
                            ..*active
                        });
                    }
                }
                _ => {}
            }
        }
        // Whatever lies in a folder that a row leads into was put there by Claude Code.
        let is_claimed = self.is_claimed || self.is_top && (!next.is_empty() || self.claims(name));
        Self { root: self.root, is_top: false, is_claimed, active: next }
    }

    /// What a file of this name is, if the catalogue knows it; the first row that fits wins.
    pub fn classify(&self, name: &[u8]) -> Option<Match> {
        // The unfinished write of a file, as a crash leaves it, is what the file is.
        let found = self.named(name);
        if found.is_some_and(|found| !found.kind.is_by_place()) {
            return found;
        }
        let unfinished = unfinished(name).and_then(|base| self.named(base)).map(|of| {
            // Its lines are nobody's: it goes whole or stays.
            let is_whole = of.kind.row().disposal == Disposal::File;
            if is_whole { of } else { Match { kind: Kind::Leftover, session: None, ..of } }
        });
        unfinished.or(found)
    }

    fn named(&self, name: &[u8]) -> Option<Match> {
        self.active.iter().find_map(|active| {
            let pattern = active.pattern();
            match pattern.segments.get(usize::from(active.segment))? {
                Segment::Rest(end) => {
                    let has_stem = end.is_empty() || name.len() > end.len();
                    (has_stem && name.ends_with(end.as_bytes()))
                        .then(|| active.matched(pattern, active.session))
                }
                Segment::Tokens(tokens) if usize::from(active.segment) + 1 == pattern.segments.len() => {
                    let mut session = None;
                    matches(tokens, name, &mut session)
                        .then(|| active.matched(pattern, active.session.or(session)))
                }
                Segment::Tokens(_) => None,
            }
        })
    }
}

/// The name of the file that an unfinished write was to replace: `<name>.tmp.<8 hex>`, or
/// `<name>.tmp.<pid>.<12 hex or 13 digits>` for some files, and for all of older clients.
fn unfinished(name: &[u8]) -> Option<&[u8]> {
    const MARK: &[u8] = b".tmp.";
    let at = name.windows(MARK.len()).rposition(|part| part == MARK)?;
    let (base, rest) = name.split_at_checked(at)?;
    let mut parts = rest.strip_prefix(MARK)?.split(|byte| *byte == b'.');
    let is_ending = match (parts.next()?, parts.next(), parts.next()) {
        (digits, None, None) => digits.len() == 8 && digits.iter().all(is_hex),
        (pid, Some(digits), None) => {
            (1..=10).contains(&pid.len())
                && pid.iter().all(u8::is_ascii_digit)
                && (12..=13).contains(&digits.len())
                && digits.iter().all(is_hex)
        }
        _ => false,
    };
    Some(base).filter(|base| is_ending && !base.is_empty())
}

impl Active {
    fn pattern(&self) -> &'static Pattern {
        // Indexes are made from the table's own length, in `Cursor::at`.
        &PATTERNS[usize::from(self.pattern)]
    }

    fn matched(&self, pattern: &Pattern, session: Option<SessionId>) -> Match {
        let in_session_folder = self.is_of_a_session;
        Match { kind: pattern.kind, session, distinctive: pattern.distinctive, in_session_folder }
    }
}

fn is_hex(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Whether a name is made of these tokens; notes the first session id it holds.
fn matches(tokens: &[Token], name: &[u8], session: &mut Option<SessionId>) -> bool {
    let Some((first, rest)) = tokens.split_first() else { return name.is_empty() };
    match first {
        Token::Literal(text) => {
            name.strip_prefix(text.as_bytes()).is_some_and(|tail| matches(rest, tail, session))
        }
        Token::Session => {
            let Some((id, tail)) = name.split_at_checked(36) else { return false };
            let Some(id) = SessionId::from_bytes(id) else { return false };
            if session.is_none() {
                *session = Some(id);
            }
            matches(rest, tail, session)
        }
        Token::Any => some_prefix(rest, name, session, 1, |_| true),
        Token::Digits => some_prefix(rest, name, session, 1, |b| b.is_ascii_digit()),
        // Twelve digits are a moment of 1973 or later: a smaller number is a counter of somebody's.
        Token::Millis => some_prefix(rest, name, session, 12, |b| b.is_ascii_digit()),
        // Agents of 2.1.1 have seven, of 2.0.30 eight.
        Token::Hex => some_prefix(rest, name, session, 7, |b| is_hex(&b)),
        Token::HexOf(length) => one_prefix(rest, name, session, *length, is_hex),
        Token::Random => one_prefix(rest, name, session, 6, u8::is_ascii_alphanumeric),
        Token::SessionDigits => one_prefix(rest, name, session, 12, u8::is_ascii_digit),
        Token::Uuid => name
            .split_at_checked(36)
            .is_some_and(|(id, tail)| SessionId::from_bytes(id).is_some() && matches(rest, tail, session)),
        Token::Date => {
            let shape = b"dddd-dd-dd";
            name.len() >= shape.len()
                && shape.iter().zip(name).all(|(s, b)| if *s == b'd' { b.is_ascii_digit() } else { s == b })
                && some_prefix(rest, &name[shape.len()..], session, 0, |_| true)
        }
    }
}

/// Takes the prefix of one length that fits.
fn one_prefix(
    rest: &[Token],
    name: &[u8],
    session: &mut Option<SessionId>,
    length: usize,
    fits: impl Fn(&u8) -> bool,
) -> bool {
    name.split_at_checked(length)
        .is_some_and(|(prefix, tail)| prefix.iter().all(fits) && matches(rest, tail, session))
}

/// Tries every prefix of at least `least` bytes that `fits`, the longest first.
fn some_prefix(
    rest: &[Token],
    name: &[u8],
    session: &mut Option<SessionId>,
    least: usize,
    fits: impl Fn(u8) -> bool,
) -> bool {
    let most = name.iter().position(|b| !fits(*b)).unwrap_or(name.len());
    if rest.is_empty() {
        return most == name.len() && most >= least;
    }
    // The longest first, as what follows may begin with the same signs.
    (least..=most).rev().any(|length| matches(rest, &name[length..], session))
}
