//! Fuzz target: documents of checks of a fleet, which its machines send.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use super::Fleet;
use crate::fuzzing::{Choices, Vocabulary, filled, now};
use crate::report::check::Document;

/// Documents of several machines, as a page.
pub fn fleet(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut documents = Vec::new();
    while !choices.is_empty() && documents.len() < 8 {
        let text = match choices.below(3) {
            0 => choices.some().to_vec(),
            _ => {
                let shell = choices.one_of(&[
                    "{\"schema\":\"ccretain.check/1\",\"now\":V,\"host\":V,\"user\":V,\"compliant\":false,\"findings\":[V,V]}",
                    "{\"schema\":\"ccretain.check/1\",\"now\":\"2026-05-28T00:00:00Z\",\"compliant\":true,\"stores\":[V],\"findings\":[{\"id\":V,\"severity\":\"high\",\"title\":V,\"area\":V,\"evidence\":[V]}],\"lastRun\":V,\"schedules\":V}",
                    "{\"schema\":\"ccretain.check/1\",\"now\":\"2026-05-01T00:00:00Z\",\"host\":\"h\",\"compliant\":true,\"findings\":[],\"stores\":[{\"root\":\"/r\",\"kind\":\"config\",\"sessions\":V,\"bytes\":V,\"overdue\":V}]}",
                ]);
                filled(&mut choices, &WORDS, shell).into_bytes()
            }
        };
        documents.extend(serde_json::from_slice::<Document>(&text));
    }
    let mut fleet = Fleet::new(now());
    for (number, document) in documents.iter().enumerate() {
        fleet.add(document.clone(), Path::new(&number.to_string()));
    }
    assert!(
        fleet.len() <= documents.len() && fleet.compliant() <= fleet.len() && fleet.stale() <= fleet.len()
    );
    assert_eq!(fleet.json()["machines"], fleet.len());
    let html = fleet.html(&|path| documents.get(path.to_str()?.parse::<usize>().ok()?).cloned());
    assert!(!html.contains("<script") && !html.contains("onx="), "nothing of a document is markup");
    assert!(!html.contains("NaN"), "each number is one");
    assert!(!html.contains(|c: char| c.is_control() && c != '\n'), "no control character is left");
}

const WORDS: Vocabulary = Vocabulary {
    keys: &[
        "id", "severity", "title", "evidence", "root", "kind", "sessions", "bytes", "overdue", "time",
        "exit", "backend",
    ],
    values: &[
        "\"</title><script>alert(1)</script>\"",
        "\"\\\" onx=\\\"1\"",
        "\"high\"",
        "\"\\u001b[31m\"",
        "\"2026-05-27T00:00:00Z\"",
        "18446744073709551615",
        "1e308",
        "{\"id\":\"no-schedule\",\"severity\":\"low\",\"title\":\"t\",\"area\":\"a\",\"evidence\":[],\"remedy\":\"r\"}",
    ],
};
