//! Adds a hook to a JSON settings file and takes it out again by cutting bytes, so that order,
//! unknown keys, indentation and every other byte stay as their owner wrote them. Pure.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The event whose hooks are edited.
const EVENT: &str = "SessionEnd";

/// Why a settings file cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpliceError {
    /// Not JSON; the client would not read it either.
    #[error("it is not valid JSON (line {0}, column {1})")]
    NotJson(usize, usize),
    /// A value of another type than hooks have.
    #[error("'{0}' in it is not what hooks look like")]
    Shape(&'static str),
    /// A key that is there twice: readers disagree on which one counts.
    #[error("the key '{0}' is in it twice")]
    Twice(&'static str),
    /// Somebody else wrote it at the same moment.
    #[error("it was changed meanwhile: try again")]
    Changed,
}

/// Text to put in at one place; nothing is taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insertion {
    /// The offset in bytes.
    pub at: usize,
    /// What to put there.
    pub text: String,
}

impl Insertion {
    /// The text with the insertion made.
    pub fn apply(&self, to: &str) -> String {
        let (head, tail) = to.split_at_checked(self.at).unwrap_or((to, ""));
        [head, &self.text, tail].concat()
    }
}

/// An object or array in the text: where its inside begins and ends, and its items.
struct List {
    inside: Range<usize>,
    items: Vec<(String, Range<usize>)>,
}

impl List {
    fn get(&self, key: &'static str) -> Result<Option<Range<usize>>, SpliceError> {
        let mut found = self.items.iter().filter(|(name, _)| name == key);
        let first = found.next().map(|(_, span)| span.clone());
        // The client takes the last of two and others the first: a hook put into one of them may never be read.
        if found.next().is_some() { Err(SpliceError::Twice(key)) } else { Ok(first) }
    }

    /// What to cut so that an item is gone and its neighbours stay.
    fn cut(&self, text: &str, index: usize) -> Range<usize> {
        let end = |at: usize| self.items.get(at).map(|(_, span)| span.end);
        match (index.checked_sub(1).and_then(end), end(index)) {
            (Some(before), Some(this)) => before..this,
            (None, Some(this)) if self.items.len() > 1 => {
                let start = skip_space(text, self.inside.start);
                start..skip_space(text, skip_space(text, this) + 1)
            }
            _ => self.inside.clone(),
        }
    }
}

fn skip_space(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + (rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len())
}

/// The items of an object or an array, still as text.
struct Items<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Items<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or an array")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = map.next_entry()? {
                    items.push(item);
                }
                Ok(Items(items))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push((String::new(), item));
                }
                Ok(Items(items))
            }
        }
        from.deserialize_any(Reader)
    }
}

/// Reads the value at `span` as an object (`{`) or array (`[`).
fn list(text: &str, span: Range<usize>, open: char, name: &'static str) -> Result<List, SpliceError> {
    let part = text.get(span.clone()).unwrap_or_default();
    if !part.starts_with(open) {
        return Err(SpliceError::Shape(name));
    }
    // Parsed and not searched: a brace or our own command within a string is no structure.
    let Items(items) = serde_json::from_str(part).map_err(|_| SpliceError::Shape(name))?;
    let base = text.as_ptr() as usize;
    let items = items.into_iter().map(|(key, value)| {
        // A raw value borrows from the text, so its address tells its place.
        let start = value.get().as_ptr() as usize - base;
        (key, start..start + value.get().len())
    });
    Ok(List { inside: span.start + 1..span.end - 1, items: items.collect() })
}

fn whole(text: &str) -> Result<List, SpliceError> {
    serde_json::from_str::<Value>(text)
        .map_err(|error| SpliceError::NotJson(error.line(), error.column()))?;
    let start = skip_space(text, 0);
    let end = text.trim_end_matches([' ', '\t', '\r', '\n']).len();
    list(text, start..end, '{', "the file")
}

/// Where our hook is: the group in the event's list, and the hook in the group.
struct Found {
    top: List,
    hooks: List,
    event: List,
    group: usize,
    handlers: List,
    handler: usize,
}

fn find(text: &str, ours: &dyn Fn(&str) -> bool) -> Result<Option<Found>, SpliceError> {
    let top = whole(text)?;
    let Some(span) = top.get("hooks")? else { return Ok(None) };
    let hooks = list(text, span, '{', "hooks")?;
    let Some(span) = hooks.get(EVENT)? else { return Ok(None) };
    let event = list(text, span, '[', EVENT)?;
    for (group, (_, span)) in event.items.iter().enumerate() {
        let inner = list(text, span.clone(), '{', EVENT)?;
        let Some(span) = inner.get("hooks")? else { continue };
        let handlers = list(text, span, '[', EVENT)?;
        let command = |span: &Range<usize>| {
            let value: Value = serde_json::from_str(text.get(span.clone())?).ok()?;
            value.get("command")?.as_str().map(str::to_owned)
        };
        let at = handlers.items.iter().position(|(_, span)| command(span).is_some_and(|text| ours(&text)));
        if let Some(handler) = at {
            return Ok(Some(Found { top, hooks, event, group, handlers, handler }));
        }
    }
    Ok(None)
}

/// Our hook as it stands in the file; `None` where there is none.
///
/// # Errors
/// The file is no settings file.
pub fn installed(text: &str, ours: &dyn Fn(&str) -> bool) -> Result<Option<Value>, SpliceError> {
    let found = find(text, ours)?;
    Ok(found.and_then(|found| {
        let (_, span) = found.handlers.items.get(found.handler)?;
        serde_json::from_str(text.get(span.clone())?).ok()
    }))
}

/// Where and how a group of hooks is added to the event's list.
///
/// # Errors
/// The file is no settings file.
pub fn insert(text: &str, group: &Value) -> Result<Insertion, SpliceError> {
    let top = whole(text)?;
    // The file is somebody's own, often under version control: the change shall be the lines that were added
    // and no others.
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let unit = match (indent(text, &top), top.items.is_empty()) {
        (None, false) => None,
        (found, _) => Some(found.filter(|unit| !unit.is_empty()).unwrap_or_else(|| "  ".to_owned())),
    };
    let style = Style { newline, unit };
    let Some(span) = top.get("hooks")? else {
        return Ok(style.add(text, &top, 0, Some("hooks"), &serde_json::json!({ EVENT: [group] })));
    };
    let hooks = list(text, span, '{', "hooks")?;
    let Some(span) = hooks.get(EVENT)? else {
        return Ok(style.add(text, &hooks, 1, Some(EVENT), &serde_json::json!([group])));
    };
    let event = list(text, span, '[', EVENT)?;
    Ok(style.add(text, &event, 2, None, group))
}

/// The white space before the first item of a list that is spread over lines.
fn indent(text: &str, list: &List) -> Option<String> {
    let space = text.get(list.inside.start..skip_space(text, list.inside.start))?;
    let (_, indent) = space.rsplit_once('\n')?;
    (!list.items.is_empty()).then(|| indent.to_owned())
}

struct Style<'a> {
    newline: &'a str,
    /// The white space of one level; `None` where the file is one line.
    unit: Option<String>,
}

impl Style<'_> {
    fn add(&self, text: &str, list: &List, depth: usize, key: Option<&str>, value: &Value) -> Insertion {
        let here = indent(text, list);
        let spread = self.unit.as_ref().filter(|_| list.items.is_empty() || here.is_some());
        let compact = || match key {
            Some(key) => format!("\"{key}\":{value}"),
            None => value.to_string(),
        };
        let last = list.items.last().map(|(_, span)| span.end);
        let Some(unit) = spread else {
            let comma = if last.is_some() { "," } else { "" };
            return Insertion {
                at: last.unwrap_or(list.inside.start),
                text: format!("{comma}{}", compact()),
            };
        };
        let inner = here.unwrap_or_else(|| unit.repeat(depth + 1));
        let key = key.map_or_else(String::new, |key| format!("\"{key}\": "));
        let value = pretty(value, unit).replace('\n', &format!("{}{inner}", self.newline));
        let line = format!("{}{inner}{key}{value}", self.newline);
        match last {
            Some(at) => Insertion { at, text: format!(",{line}") },
            None => {
                let inside = text.get(list.inside.clone()).unwrap_or_default();
                let tail = if inside.contains('\n') {
                    String::new()
                } else {
                    format!("{}{}", self.newline, unit.repeat(depth))
                };
                Insertion { at: list.inside.start, text: line + &tail }
            }
        }
    }
}

fn pretty(value: &Value, unit: &str) -> String {
    use serde::Serialize as _;
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(unit.as_bytes());
    let written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, format));
    match (written, String::from_utf8(text)) {
        (Ok(()), Ok(text)) => text,
        // Writing a value to memory does not fail; the compact form is the same value.
        _ => value.to_string(),
    }
}

/// The text without our hook, and without the lists that held nothing else; `None` where it has none.
/// `inserted` is what an earlier [`insert`] added: where it is still there as it was, exactly that goes.
///
/// # Errors
/// The file is no settings file.
pub fn remove(
    text: &str,
    ours: &dyn Fn(&str) -> bool,
    inserted: Option<&str>,
) -> Result<Option<String>, SpliceError> {
    if find(text, ours)?.is_none() {
        return Ok(None);
    }
    if let Some(inserted) = inserted.filter(|inserted| text.matches(*inserted).count() == 1) {
        let exact = text.replacen(inserted, "", 1);
        // Elsewhere in the file the same bytes may have become part of something else.
        if matches!(find(&exact, ours), Ok(None)) {
            return Ok(Some(exact));
        }
    }
    let mut text = text.to_owned();
    // Somebody may have copied the hook. Each cut is of one whole item, so the text is JSON after every round.
    while let Some(found) = find(&text, ours)? {
        let cut = if found.handlers.items.len() > 1 {
            found.handlers.cut(&text, found.handler)
        } else if found.event.items.len() > 1 {
            found.event.cut(&text, found.group)
        } else if found.hooks.items.len() > 1 {
            cut_member(&found.hooks, &text, EVENT)
        } else {
            cut_member(&found.top, &text, "hooks")
        };
        text.replace_range(cut, "");
    }
    Ok(Some(text))
}

fn cut_member(list: &List, text: &str, key: &str) -> Range<usize> {
    let index = list.items.iter().position(|(name, _)| name == key);
    list.cut(text, index.unwrap_or(list.items.len()))
}

#[cfg(test)]
#[path = "splice_tests.rs"]
mod tests;
