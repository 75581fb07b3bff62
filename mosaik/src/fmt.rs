//! Wrappers that print a value in another way than its own `Display` and `Debug`.

use std::fmt::{self, Debug, Display, Formatter};

use iroh::{EndpointAddr, TransportAddr};

/// Prints the beginning of something long: the first 5 bytes as ten hexadecimal digits.
///
/// ```
/// use mosaik::{UniqueId, primitives::ShortFmtExt};
///
/// let id = UniqueId::from_bytes([0xab; 32]);
/// assert_eq!(id.short().to_string(), "ababababab");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Short<T>(pub T);

impl<T> Short<T> {
    /// Prints the items as a bracketed list, each of them short.
    pub fn iter<I: IntoIterator<Item = T>>(items: I) -> FmtIter<Self, I> {
        FmtIter::new(items)
    }
}

impl<T> From<T> for Short<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: AsRef<[u8]>> Display for Short<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_ref();
        write_hex(f, &bytes[..bytes.len().min(5)])
    }
}

impl<T: AsRef<[u8]>> Debug for Short<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// Adds [`short`](ShortFmtExt::short) to everything.
pub trait ShortFmtExt {
    /// Prints the beginning only, see [`Short`].
    fn short(&self) -> Short<&Self> {
        Short(self)
    }
}

impl<T: ?Sized> ShortFmtExt for T {}

/// Prints a value for people: in more words, or over several lines.
#[derive(Clone, Copy)]
pub struct Pretty<'a, T: ?Sized>(pub &'a T);

/// `id at address, address`; an address without paths is the id alone.
impl Display for Pretty<'_, EndpointAddr> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.id)?;
        for (i, addr) in self.0.addrs.iter().enumerate() {
            f.write_str(if i == 0 { " at " } else { ", " })?;
            match addr {
                TransportAddr::Ip(addr) => write!(f, "{addr}")?,
                TransportAddr::Relay(url) => write!(f, "relay {url}")?,
                other => write!(f, "{other:?}")?,
            }
        }
        Ok(())
    }
}

impl Debug for Pretty<'_, EndpointAddr> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// Adds [`pretty`](PrettyFmtExt::pretty) to everything.
pub trait PrettyFmtExt {
    /// Prints the value for people, see [`Pretty`].
    fn pretty(&self) -> Pretty<'_, Self> {
        Pretty(self)
    }
}

impl<T: ?Sized> PrettyFmtExt for T {}

/// Prints the first and the last `LEN` bytes in hexadecimal with two dots between; everything when
/// that is no longer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Abbreviated<const LEN: usize, T>(pub T);

impl<const LEN: usize, T: AsRef<[u8]>> Display for Abbreviated<LEN, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_ref();
        if bytes.len() <= LEN.saturating_mul(2) {
            return write_hex(f, bytes);
        }
        write_hex(f, &bytes[..LEN])?;
        f.write_str("..")?;
        write_hex(f, &bytes[bytes.len() - LEN..])
    }
}

impl<const LEN: usize, T: AsRef<[u8]>> Debug for Abbreviated<LEN, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// Prints `<redacted>` whatever the value is, so that a secret does not reach a log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Redacted<T>(pub T);

impl<T> Display for Redacted<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad("<redacted>")
    }
}

impl<T> Debug for Redacted<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// Adds [`redacted`](RedactedFmtExt::redacted) to everything.
pub trait RedactedFmtExt {
    /// Prints a placeholder, see [`Redacted`].
    fn redacted(&self) -> Redacted<&Self> {
        Redacted(self)
    }
}

impl<T: ?Sized> RedactedFmtExt for T {}

/// Prints items as a bracketed list, each through the wrapper `W`: `[ab, cd]`.
///
/// The items are gone through anew at each print, so `I` is best a reference to a collection or a
/// cheap iterator.
#[derive(Clone, Copy)]
pub struct FmtIter<W, I> {
    items: I,
    wrapper: std::marker::PhantomData<fn() -> W>,
}

impl<W, I> FmtIter<W, I> {
    /// Wraps the items; nothing is read before it is printed.
    pub fn new(items: I) -> Self {
        Self { items, wrapper: std::marker::PhantomData }
    }
}

impl<W, I> Display for FmtIter<W, I>
where
    I: IntoIterator + Clone,
    W: From<I::Item> + Display,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, item) in self.items.clone().into_iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}", W::from(item))?;
        }
        f.write_str("]")
    }
}

impl<W, I> Debug for FmtIter<W, I>
where
    Self: Display,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

fn write_hex(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::UniqueId;

    #[test]
    fn short_prints_five_bytes() {
        assert_eq!(UniqueId::from_u8(7).short().to_string(), "0000000000");
        assert_eq!(format!("{:?}", Short([1, 2])), "0102");
        let ids = [UniqueId::zero(), UniqueId::from_bytes([0xff; 32])];
        assert_eq!(Short::iter(&ids).to_string(), "[0000000000, ffffffffff]");
        assert_eq!(Short::<[u8; 1]>::iter([]).to_string(), "[]");
    }

    #[test]
    fn abbreviated_prints_head_and_tail() {
        assert_eq!(Abbreviated::<2, _>([1, 2, 3, 4, 5]).to_string(), "0102..0405");
        assert_eq!(Abbreviated::<2, _>([1, 2, 3, 4]).to_string(), "01020304");
        assert_eq!(Abbreviated::<{ usize::MAX }, _>([1]).to_string(), "01");
    }

    #[test]
    fn redacted_prints_nothing_of_the_value() {
        assert_eq!(format!("{} {:?}", "secret".redacted(), Redacted(7)), "<redacted> <redacted>");
    }

    #[test]
    fn pretty_prints_every_address() {
        let id = iroh::SecretKey::from_bytes(&[1; 32]).public();
        let addr = EndpointAddr::new(id);
        assert_eq!(addr.pretty().to_string(), id.to_string());
        let addr = addr.with_ip_addr("127.0.0.1:7".parse().unwrap());
        let addr = addr.with_ip_addr("[::1]:8".parse().unwrap());
        assert_eq!(addr.pretty().to_string(), format!("{id} at 127.0.0.1:7, [::1]:8"));
    }
}
