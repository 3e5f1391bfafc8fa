//! Where the members of the client's global file begin and end, so that some of them can be taken
//! out and every other byte is kept.
//!
//! Only three levels are looked at: the file itself, its `projects`, and each project. A key that
//! is written twice is found twice: a parser would show the second and hide the first.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use serde::de::IgnoredAny;

use super::intern::Interner;
use crate::catalogue::SessionId;

/// An object of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub place: Place,
    /// Its members, in the order of the file.
    pub members: Vec<Member>,
}

/// Which object of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The file itself.
    Top,
    /// The projects, by their paths.
    Projects,
    /// One project, of this path.
    Project(Arc<str>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub key: Box<str>,
    /// Where the key begins, in bytes.
    pub start: u64,
    /// Where the value ends.
    pub end: u64,
    /// The session that the value is the id of.
    pub session: Option<SessionId>,
}

/// A global file of the client, taken apart.
#[derive(Debug, Default)]
pub struct Global {
    /// Its objects; none where it is no JSON object.
    pub objects: Vec<Object>,
    /// Where each project's value lies, in bytes, in the order of the file.
    pub projects: Vec<(Arc<str>, Range<usize>)>,
    /// Whether it is an object, and its projects are one.
    pub is_well_formed: bool,
}

/// More members of a file are not held: it is not understood.
const MOST_MEMBERS: usize = 100_000;
/// Nor are keys of more bytes together.
const MOST_KEYS: usize = 8 << 20;

/// Takes a global file of the client apart.
///
/// # Errors
/// `FileTooLarge` for more members or longer keys than can be held.
pub fn read(text: &str, interner: &Interner) -> io::Result<Global> {
    let mut global = Global::default();
    let text_from = text.len() - text.strip_prefix('\u{feff}').unwrap_or(text).len();
    // Once by a whole parser: from here on the text is known to be valid, and is only counted through.
    if serde_json::from_str::<IgnoredAny>(&text[text_from..]).is_err() {
        return Ok(global);
    }
    let mut room = Room { members: MOST_MEMBERS, keys: MOST_KEYS };
    let Some(top) = members(text, text_from, &mut room)? else { return Ok(global) };
    global.is_well_formed = true;
    for (member, value) in &top {
        // Every one of that name, as a file that others write may have it twice, and readers disagree on which
        // counts.
        if &*member.key != "projects" {
            continue;
        }
        let Some(projects) = members(text, value.start, &mut room)? else {
            global.is_well_formed = false;
            continue;
        };
        for (project, value) in &projects {
            let path = interner.intern(&project.key);
            global.projects.push((Arc::clone(&path), value.clone()));
            if let Some(inside) = members(text, value.start, &mut room)? {
                global.objects.push(Object { place: Place::Project(path), members: only(inside) });
            }
        }
        global.objects.push(Object { place: Place::Projects, members: only(projects) });
    }
    global.objects.push(Object { place: Place::Top, members: only(top) });
    Ok(global)
}

/// Members, each with where its value lies.
type Members = Vec<(Member, Range<usize>)>;

/// How much more of a file can be held.
struct Room {
    members: usize,
    keys: usize,
}

impl Room {
    fn take(&mut self, key: &str) -> io::Result<()> {
        match (self.members.checked_sub(1), self.keys.checked_sub(key.len())) {
            (Some(members), Some(keys)) => {
                (self.members, self.keys) = (members, keys);
                Ok(())
            }
            _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more keys than can be held")),
        }
    }
}

fn only(members: Members) -> Vec<Member> {
    members.into_iter().map(|(member, _)| member).collect()
}

impl Object {
    /// The byte ranges to leave out so that the chosen members are gone, each with its comma.
    pub fn cuts(&self, goes: impl Fn(&Member) -> bool) -> Vec<Range<u64>> {
        let mut cuts: Vec<Range<u64>> = Vec::new();
        let mut kept_end = None;
        for (at, member) in self.members.iter().enumerate() {
            if !goes(member) {
                kept_end = Some(member.end);
                continue;
            }
            // Up to the next member, or, for the last one, from the end of the last that stays.
            let cut = match self.members.get(at + 1) {
                Some(next) => member.start..next.start,
                // With the comma before it: JSON has none behind the last member.
                None => kept_end.unwrap_or(member.start)..member.end,
            };
            cuts.push(cut);
        }
        merged(cuts)
    }
}

/// Ranges in their order, without overlaps.
pub fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut whole: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match whole.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => whole.push(range),
        }
    }
    whole
}

/// The members of the object that begins at or after a place, with where their values lie; `None`
/// where something else begins there. The text is valid JSON.
fn members(text: &str, from: usize, room: &mut Room) -> io::Result<Option<Members>> {
    let bytes = text.as_bytes();
    let mut at = blank(bytes, from);
    if bytes.get(at) != Some(&b'{') {
        return Ok(None);
    }
    at = blank(bytes, at + 1);
    let mut found = Vec::new();
    while bytes.get(at) == Some(&b'"') {
        let start = at;
        let key_end = value_end(bytes, at);
        let key: Option<String> = text.get(start..key_end).and_then(|key| serde_json::from_str(key).ok());
        let Some(key) = key else { return Ok(None) };
        // A key may be as short as two bytes, so a file within its limit could take many times its length.
        room.take(&key)?;
        let colon = blank(bytes, key_end);
        let value = blank(bytes, colon + 1);
        let end = value_end(bytes, value);
        let session = text.get(value..end).and_then(|raw| serde_json::from_str::<SessionId>(raw).ok());
        let member = Member { key: key.into(), start: start as u64, end: end as u64, session };
        found.push((member, value..end));
        at = blank(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = blank(bytes, at + 1);
        }
    }
    Ok(Some(found))
}

fn blank(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Where the value that begins at a place ends; by counting, so that depth costs no stack.
fn value_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while let Some(byte) = bytes.get(at).filter(|byte| **byte != b'"') {
                    at += if *byte == b'\\' { 2 } else { 1 };
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
        if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
            return at;
        }
    }
    at.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn without(text: &str, cuts: &[Range<u64>]) -> String {
        String::from_utf8(crate::fuzzing::without(text.as_bytes(), cuts)).unwrap()
    }

    fn cut(text: &str, goes: impl Fn(&Place, &Member) -> bool) -> String {
        let objects = read(text, &Interner::default()).unwrap().objects;
        let cuts = objects.iter().flat_map(|object| object.cuts(|member| goes(&object.place, member)));
        without(text, &merged(cuts.collect()))
    }

    #[test]
    fn members_go_with_their_commas_and_every_other_byte_stays() {
        let text = r#"{ "a" : "}\"," , "projects": {"/w":{"lastCost":1.5e3,"x":[{}],"history":["p","q"]} , "/v": { "history" : [] }, "/u": 7}, "z": null}"#;
        let traces = |_: &Place, member: &Member| &*member.key == "history" || member.key.starts_with("last");
        let left = cut(text, |place, member| matches!(place, Place::Project(_)) && traces(place, member));
        assert_eq!(
            left,
            r#"{ "a" : "}\"," , "projects": {"/w":{"x":[{}]} , "/v": {  }, "/u": 7}, "z": null}"#
        );
        assert_eq!(
            cut(text, |place, _| *place == Place::Projects),
            r#"{ "a" : "}\"," , "projects": {}, "z": null}"#
        );
        // Keys written twice, or with escapes, are the same keys.
        let twice = r#"{"projects":{"/w":{"history":["p"],"h\u0069story":["q"],"lastSessionId":"aaaaaaaa-0000-4000-8000-000000000001"}}}"#;
        assert_eq!(
            cut(twice, |place, member| matches!(place, Place::Project(_)) && traces(place, member)),
            r#"{"projects":{"/w":{}}}"#
        );
        let objects = read(twice, &Interner::default()).unwrap().objects;
        assert!(objects[0].members[2].session.is_some());
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for text in ["", "[]", "7", "{\"a\":", "{\"projects\":{\"/w\":{\"a\":1}", "\u{0}"] {
            assert!(read(text, &Interner::default()).unwrap().objects.is_empty(), "{text}");
        }
        assert_eq!(read("{\"projects\":[1]}", &Interner::default()).unwrap().objects.len(), 1);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\],: ]{0,8}".prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"{},]{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever goes, the rest is the same object without it.
        #[test]
        fn cuts_leave_the_same_without_the_chosen(
            projects in prop::collection::btree_map("/[a-z\"]{1,3}", prop::collection::btree_map("[a-c]|history|last[AB]", value(), 0..6), 0..4),
            rest in value(), pretty in any::<bool>(), keys in prop::collection::btree_set("[a-c]|history|last[AB]", 0..4),
        ) {
            let file = json!({"a": rest, "projects": projects, "z": rest});
            let text = if pretty { serde_json::to_string_pretty(&file).unwrap() } else { file.to_string() };
            let left = cut(&text, |place, member| matches!(place, Place::Project(_)) && keys.contains(&*member.key));
            let mut expected = file;
            for (_, project) in expected["projects"].as_object_mut().unwrap() {
                project.as_object_mut().unwrap().retain(|key, _| !keys.contains(key));
            }
            prop_assert_eq!(serde_json::from_str::<Value>(&left).unwrap(), expected);
        }
    }
}
