//! Who is let in: a bounded number of strangers at a time.
//!
//! A stranger costs memory for as long as it takes over its handshake and hello. When all places
//! are taken, the address that has the most of them gives one to a newcomer from elsewhere, and
//! whoever has taken long gives way to anybody: hundreds of connections that say nothing do not
//! keep an honest peer out, which needs milliseconds.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// For so long a stranger keeps its place, however many from the same address wait for it.
const UNDISTURBED: Duration = Duration::from_millis(500);

/// The strangers of one node. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Strangers(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    max: usize,
    next: u64,
    /// In the order in which they came.
    places: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    since: Instant,
    /// None behind a relay.
    from: Option<IpAddr>,
    gives_way: CancellationToken,
}

/// A stranger's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    strangers: Strangers,
    number: u64,
    gives_way: CancellationToken,
}

impl Strangers {
    pub(super) fn new(max: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner { max, next: 0, places: BTreeMap::new() })))
    }

    /// A place for one more; none if all are taken by strangers who came just now, and from no
    /// address that has more than its share.
    pub(super) fn admit(&self, from: Option<IpAddr>, now: Instant) -> Option<Place> {
        let from = from.map(site_of);
        let mut inner = self.lock();
        if inner.places.len() >= inner.max {
            let number = inner.who_gives_way(from, now)?;
            inner.places.remove(&number)?.gives_way.cancel();
        }
        let number = inner.next;
        inner.next += 1;
        let gives_way = CancellationToken::new();
        let taken = Taken { since: now, from, gives_way: gives_way.clone() };
        inner.places.insert(number, taken);
        Some(Place { strangers: self.clone(), number, gives_way })
    }

    /// Whether half of the places are taken.
    pub(super) fn is_crowded(&self) -> bool {
        let inner = self.lock();
        2 * inner.places.len() >= inner.max
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn who_gives_way(&self, newcomer: Option<IpAddr>, now: Instant) -> Option<u64> {
        let mut held: HashMap<Option<IpAddr>, usize> = HashMap::new();
        for taken in self.places.values() {
            *held.entry(taken.from).or_default() += 1;
        }
        let (crowd, most) = held.iter().max_by_key(|(_, count)| **count)?;
        if held.get(&newcomer).copied().unwrap_or(0) + 1 < *most {
            let of_crowd = self.places.iter().find(|(_, taken)| taken.from == *crowd);
            return of_crowd.map(|(number, _)| *number);
        }
        let (number, oldest) = self.places.first_key_value()?;
        (oldest.since + UNDISTURBED <= now).then_some(*number)
    }
}

/// What an address is counted under: in IPv6 whoever has one usually has a /64 of them.
fn site_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

impl Place {
    /// Does what the place is for, unless it has to give way: then `None`.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.gives_way.run_until_cancelled(work).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.strangers.lock().places.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u8) -> Option<IpAddr> {
        Some([192, 0, 2, last].into())
    }

    #[tokio::test]
    async fn whoever_takes_longest_gives_way() {
        let strangers = Strangers::new(2);
        let now = Instant::now();
        let slow = strangers.admit(None, now).expect("there is room");
        let other = strangers.admit(None, now).expect("there is room");
        assert!(strangers.admit(None, now).is_none(), "both came just now");
        let later = now + UNDISTURBED;
        let newcomer = strangers.admit(None, later).expect("one gives way");
        assert_eq!(slow.during(std::future::pending::<()>()).await, None);
        assert_eq!(other.during(async { 7 }).await, Some(7));
        assert_eq!(newcomer.during(async { 7 }).await, Some(7));
        drop(slow);
        assert_eq!(strangers.lock().places.len(), 2);
    }

    #[tokio::test]
    async fn a_crowd_from_one_address_gives_way_to_others_at_once() {
        let strangers = Strangers::new(4);
        let now = Instant::now();
        let crowd: Vec<_> = (0..4).map(|_| strangers.admit(from(1), now)).collect();
        assert!(crowd.iter().all(Option::is_some));
        assert!(strangers.admit(from(1), now).is_none());
        let guest = strangers.admit(from(2), now).expect("the crowd gives way");
        let first = crowd[0].as_ref().expect("it was admitted");
        assert_eq!(first.during(std::future::pending::<()>()).await, None);
        assert!(strangers.admit(from(2), now).is_some(), "two each");
        assert_eq!(guest.during(async { 7 }).await, Some(7));
        let third = [from(3), from(3)].map(|from| strangers.admit(from, now));
        assert!(third[0].is_some() && third[1].is_none());
    }

    #[tokio::test]
    async fn the_addresses_of_one_ipv6_site_are_one_crowd() {
        let of_site =
            |site: u16, host: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, site, 0, 0, 0, host]));
        let strangers = Strangers::new(4);
        let now = Instant::now();
        let mut crowd = Vec::new();
        for host in 0..4 {
            assert_eq!(strangers.is_crowded(), host >= 2);
            crowd.push(strangers.admit(of_site(1, host), now).expect("there is room"));
        }
        assert!(strangers.admit(of_site(1, 9), now).is_none());
        assert!(strangers.admit(of_site(2, 1), now).is_some());
        assert_eq!(crowd[0].during(std::future::pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn a_place_is_given_back() {
        let strangers = Strangers::new(1);
        let now = Instant::now();
        drop(strangers.admit(None, now));
        assert!(strangers.admit(None, now).is_some());
    }
}
