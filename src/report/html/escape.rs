//! Text in HTML.

pub(in crate::report) use crate::document::escaped as esc;
