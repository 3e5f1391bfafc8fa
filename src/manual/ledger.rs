//! `ccretain-ledger.5`: the format of the ledger, from its tables.

use super::{Page, page};
use crate::ledger::{EVENTS, fields};

const BEFORE: &str = include_str!("words/ledger.txt");
const AFTER: &str = include_str!("words/chain.txt");

pub fn format() -> Page {
    let mut out = page("ccretain-ledger", 5);
    out.section("name").paragraph("ccretain-ledger - the hash-chained log of what ccretain intended and did");
    out.marked(BEFORE);
    out.section("keys");
    for (name, meaning) in fields() {
        out.term(&format!("`{name}`"), meaning);
    }
    out.section("events");
    for (event, meaning) in EVENTS {
        let name = serde_json::to_value(event).ok();
        let name = name.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        out.term(&format!("`{name}`"), meaning);
    }
    out.marked(AFTER);
    Page { name: "ccretain-ledger.5".into(), text: out.finish() }
}
