//! One page that holds everything it shows: no script, no font, no picture from elsewhere, and a
//! policy in its head that forbids the browser to fetch any. Light and dark by what the reader
//! prefers, and black on white on paper.
//!
//! The plots are plain SVG, made here: they take the colours of the page, every mark tells its value
//! when it is pointed at, and each plot has a table of its numbers beside it for those who do not see
//! it. Every text is escaped where it is put into the page.

mod data;
mod fleet;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod machine;
mod page;
mod style;
mod svg;

#[cfg(test)]
mod tests;

pub use data::{Machine, Run};
pub use fleet::{Fleet, Unreadable};
