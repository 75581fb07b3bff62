//! Tokens that admit the lanes beside control: given out on a control connection, used once,
//! bound to the lane, the peer and the connection.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::{
    connection::Side,
    hello::Tag,
    link::{Inner, Link},
};
use crate::{id::PeerId, random::Random};

/// Tokens that were given out and not yet used.
#[derive(Debug)]
pub(super) struct Tokens {
    given: Mutex<HashMap<Tag, Given>>,
    random: Random,
}

#[derive(Debug)]
struct Given {
    side: Side,
    link: Weak<Inner>,
}

impl Tokens {
    pub(super) fn new(random: Random) -> Self {
        Self { given: Mutex::default(), random }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Tag, Given>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link's token for a lane: the one that is not used yet, if there is one. A peer that
    /// keeps asking holds no memory, and what it is told twice is the same.
    pub(super) fn issue(&self, side: Side, link: &Arc<Inner>) -> Tag {
        let fresh = self.random.bytes();
        let mut given = self.lock();
        given.retain(|_, known| known.link.strong_count() > 0);
        let is_of = |known: &Given| {
            known.side == side && std::ptr::eq(known.link.as_ptr(), Arc::as_ptr(link))
        };
        match given.iter().find(|(_, known)| is_of(known)) {
            Some((token, _)) => *token,
            None => {
                given.insert(fresh, Given { side, link: Arc::downgrade(link) });
                fresh
            }
        }
    }

    /// The link that the token was given out on for this lane, if it is still up and leads to
    /// `peer`.
    pub(super) fn redeem(&self, token: &Tag, side: Side, peer: &PeerId) -> Option<Link> {
        let given = self.lock().remove(token)?;
        let link = Link(given.link.upgrade()?);
        (given.side == side && link.peer() == *peer && !link.is_closed()).then_some(link)
    }
}
