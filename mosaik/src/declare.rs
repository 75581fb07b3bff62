//! Declarations apart from types: the bang forms of the attributes.
//!
//! The attributes own the names at the crate's root, since a module holds one macro of a name.

/// Declares a stream of an existing type under a name of its own.
///
/// ```text
/// stream!(ATTR* VIS? (producer | consumer)? NAME GENERICS? = DATUM (, ID)? (, ENTRY)* ,?)
/// ```
///
/// `NAME` becomes a type without values, with the constructors of
/// [`#[stream]`](macro@crate::stream): `producer`, `consumer`, `online_producer`,
/// `online_consumer`. With a side in front of the name only that side is declared.
///
/// `ID` is a string literal (hashed at compile time; 64 hexadecimal digits are the id itself) or
/// an expression that converts into a [`StreamId`](crate::StreamId); without one the datum's own
/// is used.
///
/// `ENTRY` is `(producer | consumer)? KEY: EXPR`:
///
/// | Key | Configures |
/// |---|---|
/// | `require: \|peer\| …` | what a peer must satisfy. The side in front names *who must satisfy it*: `consumer require` is checked by the producer. Without one both sides check. Repeatable; all must hold |
/// | `require_ticket: validator` | what the tickets of a peer must pass; the side in front names *who must have them*, as with `require` |
/// | `online_when: \|c\| …` | when the side is online; without a side in front, both |
/// | `max_consumers: 8`, `buffer_size: 1024` | the producer |
/// | `disconnect_lagging: true` | the producer: a consumer that is further behind is cut (`true`) or skips (`false`); without it the producer waits |
/// | `criteria: …` | the consumer |
/// | `backoff: …` | the consumer: the pauses between its attempts |
///
/// ```
/// use mosaik::{StreamId, declare, unique_id};
///
/// const PRICES: StreamId = unique_id!("prices");
///
/// declare::stream!(
///     /// Prices in cents.
///     pub Prices = u64, PRICES,
///     producer online_when: |c| c.minimum_of(2),
///     max_consumers: 8,
/// );
/// declare::stream!(pub consumer PricesIn = u64, "prices");
///
/// assert_eq!(PricesIn::STREAM_ID, PRICES);
/// ```
pub use crate::__declare_stream as stream;
