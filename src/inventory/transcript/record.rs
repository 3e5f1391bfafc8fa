//! One record, as far as anything is believed of it.

use serde::Deserialize;

use crate::inventory::lenient::{self, Lenient};

/// A record of a line in memory.
#[derive(Deserialize)]
pub(in crate::inventory) struct Record<'a> {
    #[serde(borrow, default)]
    pub timestamp: Lenient<'a>,
    #[serde(borrow, default)]
    pub cwd: Lenient<'a>,
    #[serde(borrow, default, rename = "sessionId")]
    pub session: Lenient<'a>,
    #[serde(borrow, default)]
    pub entrypoint: Lenient<'a>,
    #[serde(borrow, default)]
    pub version: Lenient<'a>,
    #[serde(borrow, default, rename = "type")]
    pub kind: Lenient<'a>,
}

/// A record that borrows nothing, for streams.
#[derive(Deserialize)]
pub(super) struct OwnedRecord {
    #[serde(default, deserialize_with = "lenient::owned")]
    pub timestamp: Lenient<'static>,
    #[serde(default, deserialize_with = "lenient::owned")]
    pub cwd: Lenient<'static>,
    #[serde(default, deserialize_with = "lenient::owned", rename = "sessionId")]
    pub session: Lenient<'static>,
    #[serde(default, deserialize_with = "lenient::owned")]
    pub entrypoint: Lenient<'static>,
    #[serde(default, deserialize_with = "lenient::owned")]
    pub version: Lenient<'static>,
    #[serde(default, deserialize_with = "lenient::owned", rename = "type")]
    pub kind: Lenient<'static>,
}

impl From<OwnedRecord> for Record<'static> {
    fn from(record: OwnedRecord) -> Self {
        let OwnedRecord { timestamp, cwd, session, entrypoint, version, kind } = record;
        Self { timestamp, cwd, session, entrypoint, version, kind }
    }
}
