//! Strings that occur thousands of times, held once.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashSet;

/// A set of shared strings; safe to use from several threads.
#[derive(Debug, Default)]
pub struct Interner(Mutex<FxHashSet<Arc<str>>>);

impl Interner {
    /// The shared copy of a text.
    pub fn intern(&self, text: &str) -> Arc<str> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = known.get(text) {
            return Arc::clone(shared);
        }
        let shared: Arc<str> = Arc::from(text);
        known.insert(Arc::clone(&shared));
        shared
    }
}
