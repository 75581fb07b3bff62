//! The error that ends a pass.

use std::fmt::{self, Display};

use serde::de;

/// Why a value could not be built in this pass.
#[derive(Debug)]
pub(super) enum Stop {
    /// The type refused a value that it was given.
    Refused,
    /// There is no value to give, or a part of one had to be left out.
    Incomplete,
    /// A struct has been given this field before, under another name.
    DuplicateField(&'static str),
}

impl Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no sample value could be built")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: Display>(_complaint: T) -> Self {
        Self::Refused
    }

    fn missing_field(_field: &'static str) -> Self {
        Self::Incomplete
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::DuplicateField(field)
    }
}
