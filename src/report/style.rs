//! How reports are coloured and made to fit.

pub use crate::document::{Hue, Paint};
