//! Why bytes are not a value.

use std::fmt::{self, Display, Write};

use serde::de;

/// The longest text, in bytes, that is kept of a type's own complaint.
const MAX_COMPLAINT: usize = 256;

/// Bytes that are not a value of the wanted type.
///
/// Nothing was delivered. The sender has another version of the type, or is broken; other values
/// of the same sender may well decode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end in the middle of the value.
    #[error("the value is cut off")]
    UnexpectedEnd,

    /// There are bytes behind the value.
    #[error("{count} bytes too many")]
    TrailingBytes {
        /// How many bytes were left.
        count: usize,
    },

    /// An integer that is too large for its type or not in its shortest form.
    #[error("an integer is too large or not in its shortest form")]
    BadInteger,

    /// A `bool` that is neither 0 nor 1.
    #[error("a bool is neither 0 nor 1")]
    BadBool,

    /// An `Option` that begins with neither 0 nor 1.
    #[error("an option begins with neither 0 nor 1")]
    BadOption,

    /// A string that is not UTF-8, or a `char` that is not one character.
    #[error("a text is not UTF-8, or a char not one character")]
    BadText,

    /// A length beyond what the bytes that follow can hold.
    #[error("a length goes beyond the end of the value")]
    TooLong,

    /// The value is nested deeper than 128 levels. Let the sender flatten it, for example a linked
    /// list into a `Vec`.
    #[error("the value is nested too deeply")]
    TooDeep,

    /// The type asks the format what comes next (`flatten`, `untagged`, tagged enums,
    /// `serde_json::Value`), which this format does not tell. Use another type on the wire.
    #[error("the type can only be read from a self-describing format")]
    SelfDescribing,

    /// A variant that the enum does not have: the sender may be of a later version.
    #[error("the enum has no variant {index}")]
    UnknownVariant {
        /// The variant's number, from 0.
        index: u32,
    },

    /// The type's own `Deserialize` refused what it was given, for example a name in a text.
    /// Holds its complaint, at most 256 bytes of it.
    #[error("{0}")]
    Refused(Box<str>),
}

impl de::Error for DecodeError {
    #[cold]
    fn custom<T: Display>(complaint: T) -> Self {
        let mut text = Limited(String::new());
        // An error means that the limit was reached: what fits is kept.
        let _ = write!(text, "{complaint}");
        Self::Refused(text.0.into())
    }
}

/// Takes text up to a limit: complaints may quote the sender's bytes.
struct Limited(String);

impl Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_COMPLAINT - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        self.0.push_str(&text[..end]);
        Err(fmt::Error)
    }
}
