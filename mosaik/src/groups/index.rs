//! Where something stands in a group's log: terms, indices, positions.

use std::{
    cmp::Ordering,
    fmt::{self, Debug, Display, Formatter},
    ops::{Add, RangeInclusive, Sub},
};

use serde::{Deserialize, Serialize};

use crate::fmt::Pretty;

/// The number of a leadership: each election that has a winner begins a higher one.
///
/// ```
/// use mosaik::groups::Term;
///
/// assert!(Term::one() > Term::zero());
/// assert_eq!(Term(3).next(), 4_u64);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term(
    /// The number itself.
    pub u64,
);

/// The number of a command in a group's log: the first one has 1, and nothing but commands of the
/// application counts.
///
/// It compares with integers, adds up with them, and prints as a number.
///
/// ```
/// use mosaik::groups::Index;
///
/// let index = Index(5);
/// assert_eq!(index, 5);
/// assert_eq!(index + 2_u64, Index(7));
/// assert_eq!(index - 9_u64, Index::zero());
/// assert_eq!(index.distance(&Index(2)), 3);
/// assert_eq!(Index::from(-1), 0);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Index(
    /// The number itself.
    pub u64,
);

/// Indices from the first to the last, both of them included.
pub type IndexRange = RangeInclusive<Index>;

/// A position in a log: a term and an index. A later term is the later position, whatever the
/// index.
///
/// ```
/// use mosaik::groups::{Cursor, Index, Term};
///
/// let position = Cursor::new(Term(1), Index(2));
/// assert!(position.is_behind(&Cursor::new(Term(2), Index(1))));
/// assert_eq!(position, Index(2));
/// assert_eq!(position.to_string(), "(t:1,i:2)");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cursor(
    /// The term.
    pub Term,
    /// The index.
    pub Index,
);

macro_rules! number {
    ($name:ident) => {
        impl $name {
            /// 0: before the first.
            pub const fn zero() -> Self {
                Self(0)
            }

            /// 1: the first.
            pub const fn one() -> Self {
                Self(1)
            }

            /// Whether it is 0.
            pub const fn is_zero(&self) -> bool {
                self.0 == 0
            }

            /// The one before; 0 is its own.
            #[must_use]
            pub const fn prev(self) -> Self {
                Self(self.0.saturating_sub(1))
            }

            /// The one after; the highest is its own.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The number as a `usize`; the highest one if it is too large for that.
            pub const fn as_usize(&self) -> usize {
                if self.0 > usize::MAX as u64 { usize::MAX } else { self.0 as usize }
            }

            /// How far it is from here to there, whichever comes first.
            pub const fn distance(&self, other: &Self) -> u64 {
                self.0.abs_diff(other.0)
            }
        }

        impl Display for $name {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                Display::fmt(&self.0, f)
            }
        }

        impl Debug for $name {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                Debug::fmt(&self.0, f)
            }
        }

        /// `[first..last]`
        impl Display for Pretty<'_, RangeInclusive<$name>> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                write!(f, "[{}..{}]", self.0.start(), self.0.end())
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> Self {
                number.0
            }
        }

        impl From<$name> for usize {
            fn from(number: $name) -> Self {
                number.as_usize()
            }
        }

        impl Add for $name {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }

        impl Sub for $name {
            type Output = Self;

            fn sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }

        from_integers!($name: u8 u16 u32 u64 usize i8 i16 i32 i64);
        add_integers!($name: u8 u16 u32 u64 usize);
        compare_with!($name, |number| number.0 as i128;
            u8 |n| n as i128, u16 |n| n as i128, u32 |n| n as i128, u64 |n| n as i128,
            i8 |n| n as i128, i16 |n| n as i128, i32 |n| n as i128, i64 |n| n as i128);
    };
}

macro_rules! from_integers {
    ($name:ident: $($integer:ty)*) => {$(
        /// Less than 0 counts as 0.
        impl From<$integer> for $name {
            fn from(number: $integer) -> Self {
                Self(u64::try_from(number).unwrap_or(0))
            }
        }

        /// Less than 0 counts as 0.
        impl From<&$integer> for $name {
            fn from(number: &$integer) -> Self {
                Self::from(*number)
            }
        }
    )*};
}

macro_rules! add_integers {
    ($name:ident: $($integer:ty)*) => {$(
        impl Add<$integer> for $name {
            type Output = Self;

            fn add(self, other: $integer) -> Self {
                self + Self::from(other)
            }
        }

        /// Not below 0.
        impl Sub<$integer> for $name {
            type Output = Self;

            fn sub(self, other: $integer) -> Self {
                self - Self::from(other)
            }
        }
    )*};
}

/// Compares by what both are turned into.
macro_rules! compare_with {
    ($name:ident, |$this:ident| $key:expr; $($other:ty |$that:ident| $other_key:expr),* $(,)?) => {$(
        impl PartialEq<$other> for $name {
            fn eq(&self, other: &$other) -> bool {
                let ($this, $that) = (*self, *other);
                $key == $other_key
            }
        }

        impl PartialEq<&$other> for $name {
            fn eq(&self, other: &&$other) -> bool {
                *self == **other
            }
        }

        impl PartialEq<$other> for &$name {
            fn eq(&self, other: &$other) -> bool {
                **self == *other
            }
        }

        impl PartialOrd<$other> for $name {
            fn partial_cmp(&self, other: &$other) -> Option<Ordering> {
                let ($this, $that) = (*self, *other);
                $key.partial_cmp(&$other_key)
            }
        }

        impl PartialOrd<&$other> for $name {
            fn partial_cmp(&self, other: &&$other) -> Option<Ordering> {
                self.partial_cmp(*other)
            }
        }

        impl PartialOrd<$other> for &$name {
            fn partial_cmp(&self, other: &$other) -> Option<Ordering> {
                (**self).partial_cmp(other)
            }
        }
    )*};
}

number!(Term);
number!(Index);

impl Cursor {
    /// The position of this index in this term.
    pub const fn new(term: Term, index: Index) -> Self {
        Self(term, index)
    }

    /// Before everything.
    pub const fn zero() -> Self {
        Self(Term::zero(), Index::zero())
    }

    /// Whether it is before everything.
    pub const fn is_zero(&self) -> bool {
        self.0.is_zero() && self.1.is_zero()
    }

    /// The term.
    pub const fn term(&self) -> Term {
        self.0
    }

    /// The index.
    pub const fn index(&self) -> Index {
        self.1
    }

    /// Whether the other one is further on.
    pub fn is_behind(&self, other: &Self) -> bool {
        self < other
    }
}

compare_with!(Cursor, |cursor| cursor.1; Index |index| index);
compare_with!(Cursor, |cursor| cursor.0; Term |term| term);

impl From<Cursor> for Index {
    fn from(cursor: Cursor) -> Self {
        cursor.1
    }
}

impl Display for Cursor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "(t:{},i:{})", self.0, self.1)
    }
}

impl Debug for Cursor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmt::PrettyFmtExt;

    #[test]
    #[allow(clippy::op_ref, reason = "references are what is tested")]
    fn indices_compare_with_integers_by_value_and_by_reference() {
        let index = Index(7);
        assert!(index == 7 && index == 7_u8 && index == &7_u64 && &index == 7_i64);
        assert!(index > 6_u16 && index < &8_i32 && &index >= 7_u32 && &index <= &8_u64);
        assert!(index != -7 && index > -8_i64 && Index(u64::MAX) > i64::MAX);
        assert!(Index(u64::MAX) != -1_i64);
    }

    #[test]
    fn nothing_goes_below_zero_or_beyond_the_highest() {
        assert_eq!(Index::from(-3_i8), Index::zero());
        assert_eq!(Index::from(&-3_i64), Index::zero());
        assert_eq!(Index(2) - 3_u8, 0);
        assert_eq!(Index(2) - Index(3), 0);
        assert_eq!(Index::zero().prev(), 0);
        assert_eq!(Term(u64::MAX).next(), u64::MAX);
        assert_eq!(Index(u64::MAX) + 1_usize, u64::MAX);
        assert_eq!(Index(2).distance(&Index(5)), Index(5).distance(&Index(2)));
        assert_eq!((u64::from(Index(3)), usize::from(Term(4))), (3, 4));
    }

    #[test]
    fn positions_are_ordered_by_term_then_index() {
        let position = Cursor::new(Term(2), Index(1));
        assert!(Cursor::new(Term(1), Index(9)).is_behind(&position));
        assert!(!position.is_behind(&position));
        assert!(position == Index(1) && position == Term(2) && position < Index(2));
        assert!(Cursor::zero().is_zero() && Cursor::default().is_zero());
        assert_eq!(format!("{position} {position:?}"), "(t:2,i:1) Cursor(t:2,i:1)");
        assert_eq!((Index(1)..=Index(3)).pretty().to_string(), "[1..3]");
    }
}
