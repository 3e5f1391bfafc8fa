//! What the tests stand on: a sealed-off place to run the program in, and stores to run it on.

pub mod judges;
pub mod mounts;
pub mod output;
pub mod sandbox;
pub mod store;
pub mod tree;

pub use output::Output;
pub use sandbox::{Sandbox, skip};
pub use store::{StoreBuilder, id};
pub use tree::Tree;

use chrono::{DateTime, Duration, Utc};

/// A span of days.
pub fn days(days: i64) -> Duration {
    Duration::days(days)
}

/// A span of hours.
pub fn hours(hours: i64) -> Duration {
    Duration::hours(hours)
}

/// The time of the test.
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
