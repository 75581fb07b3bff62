//! The bang macros at the crate's root. They are `macro_rules!` so that `$crate` tells the
//! procedural ones where this crate is, however it was renamed.

/// The [`UniqueId`](crate::UniqueId) of a string literal, hashed at compile time.
///
/// 64 hexadecimal digits are the id itself; other text, of at most 1,024 bytes, is hashed, as
/// `UniqueId::from` does at run time.
///
/// ```
/// use mosaik::{UniqueId, unique_id};
///
/// const PRICES: UniqueId = unique_id!("prices");
/// assert_eq!(PRICES, UniqueId::from("prices"));
/// ```
#[macro_export]
macro_rules! unique_id {
    ($($text:tt)*) => { $crate::private::__id!($crate, unique_id, $($text)*) };
}

/// The same as [`unique_id!`](crate::unique_id!).
#[macro_export]
macro_rules! id {
    ($($text:tt)*) => { $crate::private::__id!($crate, id, $($text)*) };
}

/// The [`Tag`](crate::Tag) of a string literal, hashed at compile time.
///
/// ```
/// use mosaik::{Tag, tag};
///
/// const MATCHER: Tag = tag!("matcher");
/// assert_eq!(MATCHER, Tag::from("matcher"));
/// ```
#[macro_export]
macro_rules! tag {
    ($($text:tt)*) => { $crate::private::__id!($crate, tag, $($text)*) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __declare_stream {
    ($($declaration:tt)*) => { $crate::private::__declare_stream!($crate, $($declaration)*); };
}
