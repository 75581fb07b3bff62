//! "One or many": arguments that take one value, or any collection of them.

use std::iter;

/// One value that converts into `X`, or any collection of such values.
///
/// Methods such as [`ConfigBuilder::with_tags`](crate::discovery::ConfigBuilder::with_tags) take
/// it, so that both `with_tags("a")` and `with_tags(["a", "b"])` read well. `V` tells the two
/// forms apart and is always inferred. It cannot be implemented outside this crate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither something that converts into `{X}` nor a collection of such",
    label = "expected one `{X}` or a collection of them"
)]
pub trait IntoIterOrSingle<X, V>: sealed::Sealed<X, V> {
    #[doc(hidden)]
    fn into_many(self) -> impl Iterator<Item = X>;
}

/// Marks the form with one value.
#[derive(Debug)]
pub struct Single;

/// Marks the form with a collection.
#[derive(Debug)]
pub struct Many;

impl<X, T: Into<X>> IntoIterOrSingle<X, Single> for T {
    fn into_many(self) -> impl Iterator<Item = X> {
        iter::once(self.into())
    }
}

impl<X, I> IntoIterOrSingle<X, Many> for I
where
    I: IntoIterator,
    I::Item: Into<X>,
{
    fn into_many(self) -> impl Iterator<Item = X> {
        self.into_iter().map(Into::into)
    }
}

mod sealed {
    use super::{Many, Single};

    pub trait Sealed<X, V> {}

    impl<X, T: Into<X>> Sealed<X, Single> for T {}

    impl<X, I> Sealed<X, Many> for I
    where
        I: IntoIterator,
        I::Item: Into<X>,
    {
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Tag;

    fn tags<V>(tags: impl IntoIterOrSingle<Tag, V>) -> Vec<Tag> {
        tags.into_many().collect()
    }

    #[test]
    fn one_value_and_collections_are_both_taken() {
        let a = Tag::from("a");
        assert_eq!(tags("a"), [a]);
        assert_eq!(tags(a), [a]);
        assert_eq!(tags(["a", "b"]), [a, Tag::from("b")]);
        assert_eq!(tags(vec![a]), [a]);
        assert_eq!(tags(Some(a)), [a]);
        assert!(tags(Vec::<Tag>::new()).is_empty());
    }
}
