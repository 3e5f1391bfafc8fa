//! Fields of a record with texts of their own, which it needs to outlive whoever made it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

/// A field with texts of its own.
pub(super) trait Own {
    type Static;

    fn own(self) -> Self::Static;
}

impl<T: Own> Own for Option<T> {
    type Static = Option<T::Static>;

    fn own(self) -> Self::Static {
        self.map(Own::own)
    }
}

impl<T: Own> Own for Vec<T> {
    type Static = Vec<T::Static>;

    fn own(self) -> Self::Static {
        self.into_iter().map(Own::own).collect()
    }
}

impl Own for Cow<'_, str> {
    type Static = Cow<'static, str>;

    fn own(self) -> Self::Static {
        Cow::Owned(self.into_owned())
    }
}

impl Own for (Cow<'_, str>, u64) {
    type Static = (Cow<'static, str>, u64);

    fn own(self) -> Self::Static {
        (self.0.own(), self.1)
    }
}

macro_rules! owned_already {
    ($($type:ty)*) => {
        $(impl Own for $type {
            type Static = Self;

            fn own(self) -> Self {
                self
            }
        })*
    };
}

owned_already! { bool u64 DateTime<Utc> }
