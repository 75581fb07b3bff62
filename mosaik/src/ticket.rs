//! Tickets as plain data: what entries carry, and until when it is good.

use std::{fmt, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    clock,
    fmt::{Short, ShortFmtExt},
    id::UniqueId,
};

/// The kind of a ticket: a validator looks at tickets of its own class only.
pub type TicketClass = UniqueId;

/// The most that the tickets of one peer take together, in bytes.
pub(crate) const MAX_TICKETS_BYTES: usize = 64 * 1024;
/// What each ticket counts beside its data, in bytes.
const TICKET_OVERHEAD: usize = 64;

/// Something that a peer shows to prove that it may do something: bytes of a class, which only the
/// [validators](crate::tickets::TicketValidator) of that class understand.
///
/// The tickets of a node travel to the others beside its entry, which is signed and names them by
/// their digests. They are no secrets: whoever takes part in the network can see them, so a ticket
/// has to say itself for which peer it was made.
///
/// ```
/// use mosaik::{Bytes, unique_id, tickets::Ticket};
///
/// let ticket = Ticket::new(unique_id!("door"), Bytes::from_static(b"let me in"));
/// assert_eq!(ticket.data(), b"let me in");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket {
    /// The kind of ticket.
    pub class: TicketClass,
    /// What its validators read.
    pub data: Bytes,
}

impl Ticket {
    /// A ticket of this class.
    #[must_use]
    pub const fn new(class: TicketClass, data: Bytes) -> Self {
        Self { class, data }
    }

    /// Names the ticket: the blake3 hash of its class and its data.
    #[must_use]
    pub fn id(&self) -> UniqueId {
        self.class.derive(&self.data)
    }

    /// What its validators read.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// What the entry says of it.
    pub(crate) fn digest(&self) -> TicketDigest {
        TicketDigest { id: self.id(), class: self.class, size: self.data.len() as u64 }
    }

    /// What it counts towards the limit of a peer.
    pub(crate) fn weight(&self) -> usize {
        self.data.len().saturating_add(TICKET_OVERHEAD)
    }
}

/// The beginnings of class and id.
impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.class.short(), self.id().short())
    }
}

/// Without the data, which may be long and is nothing for a log.
impl fmt::Debug for Short<&Ticket> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.0)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("class", &self.class.short())
            .field("id", &self.id().short())
            .field("bytes", &self.data.len())
            .finish()
    }
}

/// What the signed part of an entry says of a ticket; its body travels beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct TicketDigest {
    pub(crate) id: UniqueId,
    pub(crate) class: TicketClass,
    /// The length of the data, in bytes.
    pub(crate) size: u64,
}

impl TicketDigest {
    /// What the ticket counts towards the limit of a peer.
    pub(crate) fn weight(&self) -> usize {
        usize::try_from(self.size).unwrap_or(usize::MAX).saturating_add(TICKET_OVERHEAD)
    }
}

/// Until when something is good; `Never` is later than any date.
///
/// "Now" is the date of this machine; inside a
/// [validator](crate::tickets::TicketValidator::validate) it is the date of the node that asks, and
/// in a [simulated test](crate::network_test) that of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Expiration {
    /// Good until just before this date.
    At(DateTime<Utc>),
    /// Good for ever.
    Never,
}

impl Expiration {
    /// Good for ever.
    #[must_use]
    pub const fn never() -> Self {
        Self::Never
    }

    /// Not good any more.
    #[must_use]
    pub const fn already_expired() -> Self {
        Self::At(DateTime::UNIX_EPOCH)
    }

    /// Good for this span from now on; a span that leads beyond the calendar is cut to it.
    #[must_use]
    pub fn after(span: impl Into<TimeDelta>) -> Self {
        let span = span.into();
        let beyond = if span < TimeDelta::zero() {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        };
        Self::At(clock::now().checked_add_signed(span).unwrap_or(beyond))
    }

    /// Good for so many hours from now on.
    #[must_use]
    pub fn in_n_hours(hours: i64) -> Self {
        let cut = if hours < 0 { TimeDelta::MIN } else { TimeDelta::MAX };
        Self::after(TimeDelta::try_hours(hours).unwrap_or(cut))
    }

    /// Good for an hour from now on.
    #[must_use]
    pub fn in_1h() -> Self {
        Self::in_n_hours(1)
    }

    /// Good for three hours from now on.
    #[must_use]
    pub fn in_3h() -> Self {
        Self::in_n_hours(3)
    }

    /// Good for six hours from now on.
    #[must_use]
    pub fn in_6h() -> Self {
        Self::in_n_hours(6)
    }

    /// Good for a day from now on.
    #[must_use]
    pub fn in_24h() -> Self {
        Self::in_n_hours(24)
    }

    /// Whether the date has come.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.is_expired_at(clock::now())
    }

    /// How long it is still good: zero once it has expired, `None` if it never does.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.remaining_at(clock::now())
    }

    pub(crate) fn is_expired_at(&self, now: DateTime<Utc>) -> bool {
        matches!(self, Self::At(date) if *date <= now)
    }

    pub(crate) fn remaining_at(&self, now: DateTime<Utc>) -> Option<Duration> {
        match self {
            Self::At(date) => Some((*date - now).to_std().unwrap_or_default()),
            Self::Never => None,
        }
    }
}

impl From<DateTime<Utc>> for Expiration {
    fn from(date: DateTime<Utc>) -> Self {
        Self::At(date)
    }
}

impl fmt::Display for Expiration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(date) => date.fmt(f),
            Self::Never => f.write_str("never"),
        }
    }
}

/// What the tickets of a peer come to, when all that they have to pass is put to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They pass until then.
    Valid(Expiration),
    /// A body is not here yet that may decide it.
    Pending,
    /// One is missing, or does not pass.
    Invalid,
}

/// Why a peer is not given what its tickets are to give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// Its tickets are not here yet.
    Pending,
    /// It has no valid tickets.
    Invalid,
}

impl Verdict {
    /// Until when the peer has access that it was given before until `held`: while new tickets are
    /// on their way, what was granted stands, so that a refresh never interrupts.
    pub(crate) fn renew(
        self,
        held: Option<Expiration>,
        now: DateTime<Utc>,
    ) -> Result<Expiration, Denial> {
        match (self, held) {
            (Self::Valid(until), _) if !until.is_expired_at(now) => Ok(until),
            (Self::Pending, Some(until)) if !until.is_expired_at(now) => Ok(until),
            (Self::Pending, _) => Err(Denial::Pending),
            (Self::Valid(_) | Self::Invalid, _) => Err(Denial::Invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_ticket_is_named_by_its_class_and_its_data() {
        let ticket = |class: &str, data: &'static [u8]| {
            Ticket::new(TicketClass::from(class), Bytes::from_static(data))
        };
        assert_eq!(ticket("a", b"x").id(), ticket("a", b"x").id());
        assert_ne!(ticket("a", b"x").id(), ticket("b", b"x").id());
        assert_ne!(ticket("a", b"x").id(), ticket("a", b"y").id());
        let long = Ticket::new("a".into(), vec![7; 9000].into());
        assert!(format!("{long:?} {long}").len() < 200);
        let json = serde_json::to_string(&long).unwrap();
        assert_eq!(serde_json::from_str::<Ticket>(&json).unwrap(), long);
    }

    #[test]
    fn never_is_later_than_every_date() {
        assert!(Expiration::Never > Expiration::At(DateTime::<Utc>::MAX_UTC));
        assert!(Expiration::At(at(2)) > Expiration::At(at(1)));
        assert!(Expiration::already_expired().is_expired());
        assert_eq!(Expiration::Never.remaining(), None);
        assert_eq!(Expiration::already_expired().remaining(), Some(Duration::ZERO));
    }

    #[test]
    fn now_is_the_date_that_was_set_for_the_thread() {
        let date = Clock::fixed(at(1000)).set_for_thread();
        assert_eq!(Expiration::in_1h(), Expiration::At(at(4600)));
        assert!(Expiration::At(at(1000)).is_expired());
        assert!(!Expiration::At(at(1001)).is_expired());
        let inner = Clock::fixed(at(2000)).set_for_thread();
        assert!(Expiration::At(at(1001)).is_expired());
        drop(inner);
        assert_eq!(Expiration::At(at(1002)).remaining(), Some(Duration::from_secs(2)));
        drop(date);
        assert!(Expiration::At(at(1002)).is_expired());
    }

    #[test]
    fn spans_beyond_the_calendar_are_cut_to_it() {
        assert!(!Expiration::in_n_hours(i64::MAX).is_expired());
        assert!(Expiration::in_n_hours(i64::MIN).is_expired());
        assert!(!Expiration::after(TimeDelta::MAX).is_expired());
    }

    #[test]
    fn what_was_granted_stands_while_new_tickets_are_on_their_way() {
        let (old, new) = (Expiration::At(at(10)), Expiration::At(at(20)));
        assert_eq!(Verdict::Valid(new).renew(Some(old), at(5)), Ok(new));
        assert_eq!(Verdict::Pending.renew(Some(old), at(9)), Ok(old));
        assert_eq!(Verdict::Pending.renew(Some(old), at(10)), Err(Denial::Pending));
        assert_eq!(Verdict::Pending.renew(None, at(5)), Err(Denial::Pending));
        assert_eq!(Verdict::Invalid.renew(Some(old), at(5)), Err(Denial::Invalid));
        assert_eq!(Verdict::Valid(old).renew(None, at(10)), Err(Denial::Invalid));
    }
}
