//! `-vv`: what the program does.

use crate::common::store::CONTENT;
use crate::common::{Sandbox, days, hours};

#[test]
fn twice_verbose_says_what_the_program_does_and_no_content() {
    let sandbox = Sandbox::new();
    sandbox.delete_after("30d");
    let store = sandbox.store();
    store.session(1).aged(days(40)).write();
    store.session(2).aged(hours(3)).write();
    sandbox.run(["enforce", "--dry-run", "-v"]).exits(0).quietly();
    let looked = sandbox.run(["enforce", "--dry-run", "-vv"]);
    looked.exits(0);
    for event in ["found a store", "looked into the stores", "sessions=2"] {
        assert!(looked.stderr.contains(event), "{event} in {}", looked.stderr);
    }
    assert!(!looked.stdout.contains("found a store"), "data goes to stdout, events to stderr");
    let done = sandbox.run(["enforce", "--yes", "-vv", "--json"]);
    done.exits(0).json();
    assert!(
        done.stderr.contains("opening the ledger") && done.stderr.contains("carried out the plan"),
        "{}",
        done.stderr
    );
    assert!(!(looked.stderr.clone() + &done.stderr).contains(CONTENT));
}
