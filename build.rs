//! Tells the program the day it was built, so that a clock before that day is known to be wrong.

#![expect(clippy::disallowed_methods, reason = "a build happens at a time, and may be told one")]

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-changed=Cargo.toml");
    let built =
        std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or_else(
            || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs()),
        );
    // Midnight, so that a build and a run on the same day never disagree.
    println!("cargo::rustc-env=CCRETAIN_BUILT={}", built / 86_400 * 86_400);
}
