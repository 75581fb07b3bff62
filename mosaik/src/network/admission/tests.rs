//! Whole nodes that require tickets of everybody, on the simulated network.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use futures::StreamExt;
use iroh::SecretKey;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::{
    Network, UniqueId,
    clock::Clock,
    discovery::{Config, Error, Event},
    ticket::{Expiration, Ticket, TicketClass},
    tickets::InvalidTicket,
    transport::{
        DialError,
        sim::{SimConfig, SimNet},
    },
};

/// Passes tickets that begin with this word; the rest is their expiry in seconds since 1970.
struct Word(&'static str);

impl TicketValidator for Word {
    fn class(&self) -> TicketClass {
        TicketClass::from("word")
    }

    fn signature(&self) -> UniqueId {
        self.class().derive(self.0)
    }

    fn validate(&self, ticket: &[u8], _: &PeerEntry) -> Result<Expiration, InvalidTicket> {
        let text = std::str::from_utf8(ticket).map_err(|_| InvalidTicket)?;
        let (word, date) = text.trim_end().split_once(' ').ok_or(InvalidTicket)?;
        let date = date.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        date.filter(|_| word == self.0).map(Expiration::At).ok_or(InvalidTicket)
    }
}

struct World {
    net: SimNet,
    clock: Clock,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = Clock::starting_at(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        Self { net: SimNet::new(seed, SimConfig::default()), clock }
    }

    /// A ticket that is good for so many seconds; as large as one that nobody passes on, if wanted.
    fn ticket(&self, seconds: i64, large: bool) -> Ticket {
        let date = self.clock.now() + TimeDelta::seconds(seconds);
        let rest = " ".repeat(if large { 20_000 } else { 0 });
        let text = format!("open {}{rest}", date.timestamp());
        Ticket::new(Word("").class(), text.into_bytes().into())
    }

    async fn node(&self, seed: u8, gated: bool, tickets: &[Ticket]) -> Network {
        let first = key(1).public();
        let mut config = Config::builder().with_tickets(tickets.to_vec());
        if seed != 1 {
            config = config.with_bootstrap(first);
        }
        let builder = Network::builder("gated")
            .with_secret_key(key(seed))
            .with_discovery(config)
            .simulated(&self.net, self.clock.clone());
        let builder = if gated { builder.require_ticket(Word("open")) } else { builder };
        builder.build().await.unwrap()
    }
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32])
}

fn knows(a: &Network, b: &Network) -> bool {
    a.discovery().catalog().get(&b.local().id()).is_some()
}

/// Waits until a condition holds; says how long that took.
async fn until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    let holds = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let limit = Duration::from_secs(300);
    timeout(limit, holds).await.unwrap_or_else(|_| panic!("{what} did not come to pass"));
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_valid_ticket_is_refused_and_one_with_it_is_let_in() {
    let world = World::new(1);
    let good = world.ticket(1000, false);
    let a = world.node(1, true, &[]).await;
    let b = world.node(2, false, std::slice::from_ref(&good)).await;
    until("the meeting", || knows(&a, &b) && knows(&b, &a)).await;
    let expired = world.ticket(-1, false);
    let wrong = Ticket::new(good.class, "shut 99999999999".into());
    for tickets in [vec![], vec![expired], vec![wrong]] {
        let c = world.node(3, false, &tickets).await;
        let error = c.discovery().sync_with(a.local().addr()).await.unwrap_err();
        let Error::Unreachable { source, .. } = error else { panic!("{error}") };
        let refused = source.downcast::<DialError>().unwrap();
        assert_eq!(*refused, DialError::Refused(CloseReason::NoTicket));
        assert!(!knows(&a, &c));
        c.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_loses_its_ticket_is_disconnected_and_comes_back_with_another() {
    let world = World::new(2);
    let a = world.node(1, true, &[]).await;
    let b = world.node(2, false, &[world.ticket(100_000, false)]).await;
    let producer = b.streams().produce::<u64>();
    let mut consumer = a.streams().consume::<u64>();
    producer.send(1).await.unwrap();
    assert_eq!(consumer.next().await, Some(1));
    let mut events = a.discovery().events();
    b.discovery().remove_tickets_of(Word("").class());
    let cut = || !knows(&a, &b) && consumer.producers().count() == 0;
    let took = until("the end", cut).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(events.recv().await.unwrap(), Event::PeerDeparted(b.local().id()));
    until("its view of it", || producer.consumers().count() == 0).await;
    sleep(Duration::from_secs(60)).await;
    assert!(!knows(&a, &b));
    b.discovery().add_ticket(world.ticket(100_000, true)).unwrap();
    producer.send(2).await.unwrap();
    assert_eq!(consumer.next().await, Some(2));
    assert!(matches!(events.recv().await.unwrap(), Event::PeerDiscovered(_)));
}

#[tokio::test(start_paused = true)]
async fn a_ticket_that_expires_ends_the_connection_and_a_refresh_before_that_interrupts_nothing() {
    for (seed, large) in [(3, false), (4, true)] {
        let world = World::new(seed);
        let begun = Instant::now();
        let a = world.node(1, true, &[]).await;
        let b = world.node(2, false, &[world.ticket(30, large)]).await;
        let (producer, mut consumer) = (a.streams().produce::<u64>(), b.streams().consume::<u64>());
        producer.when().subscribed().await;
        let mut events = a.discovery().events();
        let mut unsubscribed = producer.when().unsubscribed();
        for datum in 0..100 {
            if datum % 20 == 19 {
                b.discovery().replace_ticket(world.ticket(30, large)).unwrap();
            }
            producer.send(datum).await.unwrap();
            assert_eq!(consumer.next().await, Some(datum));
            sleep(Duration::from_secs(1)).await;
        }
        while let Ok(event) = events.try_recv() {
            assert!(matches!(event, Event::PeerUpdated(_)), "{event:?}");
        }
        assert!(futures::poll!(&mut unsubscribed).is_pending());
        unsubscribed.await;
        let ended = begun.elapsed().as_secs();
        assert!((128..132).contains(&ended), "{ended}");
        until("the end", || !knows(&a, &b)).await;
        sleep(Duration::from_secs(10)).await;
        assert_eq!(producer.consumers().count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_tell_of_a_node_without_a_ticket_is_not_used() {
    let world = World::new(5);
    let open = world.node(1, false, &[world.ticket(100_000, false)]).await;
    let gated = world.node(2, true, &[]).await;
    let stranger = world.node(3, false, &[]).await;
    let producer = stranger.streams().produce::<u64>();
    let mut consumer = gated.streams().consume::<u64>();
    until("the meetings", || knows(&gated, &open) && knows(&open, &stranger)).await;
    gated.discovery().sync_with(open.local().addr()).await.unwrap();
    sleep(Duration::from_secs(60)).await;
    assert!(!knows(&gated, &stranger) && knows(&open, &gated));
    assert_eq!(producer.consumers().count(), 0);
    stranger.discovery().add_ticket(world.ticket(100_000, true)).unwrap();
    producer.send(5).await.unwrap();
    assert_eq!(consumer.next().await, Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_node_needs_its_ticket_again() {
    let world = World::new(6);
    let ticket = world.ticket(100_000, true);
    let a = world.node(1, true, &[]).await;
    let b = world.node(2, true, std::slice::from_ref(&ticket)).await;
    // It is not asked for itself: only the other has to show one.
    a.discovery().add_ticket(ticket.clone()).unwrap();
    until("the meeting", || knows(&a, &b) && knows(&b, &a)).await;
    b.shutdown().await;
    sleep(Duration::from_secs(1)).await;
    let b = world.node(2, true, &[]).await;
    assert!(b.discovery().sync_with(a.local().addr()).await.is_err());
    assert!(!knows(&a, &b));
    b.shutdown().await;
    sleep(Duration::from_secs(1)).await;
    let b = world.node(2, true, std::slice::from_ref(&ticket)).await;
    let took = until("the meeting", || knows(&a, &b) && knows(&b, &a)).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}
