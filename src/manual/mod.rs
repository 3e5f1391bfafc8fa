//! The manual: pages of section 1 from the definition of the command line, pages of section 5 from
//! the tables of policies and of the ledger, so that none of them can drift. Pure.

mod ledger;
mod places;
mod policy;
mod roff;
mod services;
mod verbs;

use clap::Command;

/// The date in the pages: that of the newest change to their words, and never of the clock, so
/// that the same sources give the same pages.
const DATE: &str = "2026-11-27";

/// A page of the manual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its file name, such as `ccretain.1`.
    pub name: String,
    /// Its text in the man macros.
    pub text: String,
}

/// Every page, from the definition of the command line as it was declared (not yet built).
pub fn pages(definition: &Command) -> Vec<Page> {
    let mut pages = vec![verbs::program(definition)];
    pages.extend(verbs::visible(definition).map(|verb| verbs::verb(definition, verb)));
    pages.push(policy::format());
    pages.push(ledger::format());
    pages
}

/// A page with the title every page has.
fn page(name: &str, section: u8) -> roff::Roff {
    roff::Roff::new(name, section, DATE, concat!("ccretain ", env!("CARGO_PKG_VERSION")))
}
