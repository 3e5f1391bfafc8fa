//! What people know a session by: the title they gave it, or its first prompt.
//!
//! A title is content. Only `list` asks for one, and shows it where a person looks.
//! Shapes observed on clients 2.0.30 to 2.1.332: `custom-title` and `summary` records, prompts of type `user`.

use std::io::{self, Read as _, Seek as _, SeekFrom};

use serde_json::Value;

use super::{Artifact, Inventory, Session};
use crate::catalogue::Kind;
use crate::files;

/// So much of the beginning and of the end of a transcript is looked into.
const READ: u64 = 64 << 10;
/// A title is no longer than this.
const LONGEST: usize = 120;

impl Inventory {
    /// The title of a session whose transcript is readable; `None` where it is not, or says nothing.
    pub fn title(&self, session: &Session) -> Option<String> {
        let files = self.files(session).iter().map(|index| self.artifact(*index));
        let plain =
            |file: &&Artifact| file.kind == Some(Kind::Transcript) && !file.sealed && file.is_regular();
        // A session may have a transcript in several projects; its client goes on in the newest.
        let newest = files.filter(plain).max_by_key(|file| file.modified())?;
        let file = self.open(newest.folder).and_then(|dir| dir.read(self.name(newest))).ok()?;
        let (head, tail) = ends(file, newest.stamp.size).ok()?;
        let records = |bytes: &[u8]| -> Vec<Value> {
            bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
        };
        let (head, tail) = (records(&head), records(&tail));
        let last = |kind: &str, key: &str| {
            let all = head.iter().chain(&tail).rev();
            let named = all.filter(|record| record["type"] == kind);
            named.filter_map(|record| one_line(record.get(key)?.as_str()?)).next()
        };
        // What a person gave goes before what a program did.
        last("custom-title", "customTitle")
            .or_else(|| last("ai-title", "aiTitle"))
            .or_else(|| last("summary", "summary"))
            .or_else(|| head.iter().find_map(prompt))
    }
}

fn ends(mut file: std::fs::File, size: u64) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let head = files::head(&file, READ)?;
    let mut tail = Vec::new();
    if size > READ {
        file.seek(SeekFrom::Start(size.saturating_sub(READ).max(READ)))?;
        file.take(READ).read_to_end(&mut tail)?;
    }
    Ok((head, tail))
}

/// The prompt of a record, unless Claude Code put it there.
fn prompt(record: &Value) -> Option<String> {
    let by_client = record["isMeta"] == true || record["isSidechain"] == true || record["type"] != "user";
    if by_client {
        return None;
    }
    let content = &record["message"]["content"];
    let text = content.as_str().or_else(|| {
        let texts = content.as_array()?.iter().filter(|part| part["type"] == "text");
        texts.filter_map(|part| part["text"].as_str()).next()
    })?;
    // Commands and their output stand in tags.
    if text.trim_start().starts_with('<') || text.starts_with("Caveat:") { None } else { one_line(text) }
}

fn one_line(text: &str) -> Option<String> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(LONGEST).collect();
    (!short.is_empty()).then_some(short)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_prompt_is_what_a_person_typed() {
        let user = |content: Value| json!({"type": "user", "message": {"content": content}});
        assert_eq!(prompt(&user(json!("fix\n the  build"))), Some("fix the build".to_owned()));
        assert_eq!(prompt(&user(json!([{"type": "text", "text": "look"}]))), Some("look".to_owned()));
        assert_eq!(prompt(&user(json!("<command-name>/clear</command-name>"))), None);
        assert_eq!(prompt(&user(json!([{"type": "tool_result", "content": "x"}]))), None);
        assert_eq!(prompt(&json!({"type": "user", "isMeta": true, "message": {"content": "x"}})), None);
        assert_eq!(prompt(&user(json!("x".repeat(500)))).map(|text| text.len()), Some(LONGEST));
    }
}
