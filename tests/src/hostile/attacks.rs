//! What hostile peers do, each until its time is over.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::bail;
use futures::future::join_all;
use iroh::{EndpointAddr, endpoint::VarInt};
use mosaik::UniqueId;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::peer::{Attacker, entered, noise, say};
use super::wire;

mod acceptor;
mod discovery;
mod streams;

/// How many identities attack at once.
const ATTACKERS: usize = 4;

macro_rules! attacks {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// One way to attack a node.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Attack {
            $($(#[$doc])* $name,)*
        }

        impl Attack {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

attacks! {
    /// Noise, oversized and truncated messages instead of the hello.
    HelloGarbage = "hello-garbage",
    /// A hello of another network.
    WrongMac = "wrong-mac",
    /// Hundreds of connections that say nothing.
    SilentConnections = "silent-connections",
    /// A hello, byte by byte.
    SlowHello = "slow-hello",
    /// A right hello whose offer or bodies are noise, too large, or somebody else's.
    BodiesGarbage = "bodies-garbage",
    /// As many identities as get in.
    Crowd = "crowd",
    /// Streams of unknown kinds, and kinds followed by noise, oversized and truncated messages.
    StreamGarbage = "stream-garbage",
    /// 10,000 subscriptions (each peer may have 4,096) that say no more.
    HalfOpenStreams = "half-open-streams",
    /// Noise where the lanes are arranged, once it was let in.
    SignalGarbage = "signal-garbage",
    /// Bulk lanes without token, with a wrong one, and with streams for nobody or without header.
    BulkGarbage = "bulk-garbage",
    /// Subscribers that never read.
    NeverReads = "never-reads",
    /// Subscribers that read everything and never say so.
    NeverAcknowledges = "never-acknowledges",
    /// Subscribers that talk nonsense.
    WordGarbage = "word-garbage",
    /// Producers that send noise, frames without end, and far more than the window.
    LyingProducer = "lying-producer",
    /// Peers that the node dials: noise, lies and half a hello from the other end.
    HostileAcceptor = "hostile-acceptor",
    /// Entries that are forged, foreign, from the future, replayed, about the node itself.
    SyncLies = "sync-lies",
    /// Pages that are noise, or out of turn, in the later turns of a sync.
    SyncTurns = "sync-turns",
    /// Large entries of ever new identities, rightly signed.
    SyncFlood = "sync-flood",
    /// Summaries of tens of thousands of peers that do not exist.
    SyncPhantoms = "sync-phantoms",
    /// Gossip frames that are forged, foreign, replayed or noise.
    GossipLies = "gossip-lies",
    /// Rightly signed announcements of ever new identities, and offers without end.
    GossipFlood = "gossip-flood",
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Attack {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Self::ALL.iter().find(|attack| attack.name() == text) {
            Some(attack) => Ok(*attack),
            None => bail!("no attack is called {text}"),
        }
    }
}

/// Against whom, and for how long.
#[derive(Clone, Debug)]
pub(super) struct Aim {
    pub(super) network: String,
    pub(super) target: EndpointAddr,
    pub(super) until: Instant,
}

impl Aim {
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    pub(super) async fn attacker(&self) -> anyhow::Result<Attacker> {
        Attacker::new(&self.network, self.target.clone()).await
    }

    /// Does it again and again; a refusal is no reason to stop. Says how often it was done.
    pub(super) async fn again(&self, mut once: impl AsyncFnMut(u64) -> anyhow::Result<()>) -> u64 {
        let mut times = 0;
        while !self.is_over() {
            match timeout_at(self.until, once(times)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    if std::env::var_os("HOSTILE_TRACE").is_some() {
                        eprintln!("{error:#}");
                    }
                    sleep(Duration::from_millis(2)).await;
                }
                Err(_) => break,
            }
            times += 1;
        }
        times
    }
}

impl Attack {
    /// Whether the attackers must have been let in for this.
    #[must_use]
    pub const fn is_from_within(self) -> bool {
        !matches!(
            self,
            Self::HelloGarbage
                | Self::WrongMac
                | Self::SilentConnections
                | Self::SlowHello
                | Self::BodiesGarbage
        )
    }

    /// What the node must count as refused: one reason of each list.
    #[must_use]
    pub const fn expected(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::WrongMac => &[&["different_network"]],
            Self::SilentConnections | Self::SlowHello => {
                &[&["timeout", "no_capacity", "unexpected_close"]]
            }
            Self::HalfOpenStreams => &[&["timeout", "no_capacity"]],
            Self::HelloGarbage
            | Self::BodiesGarbage
            | Self::StreamGarbage
            | Self::SignalGarbage => &[&["protocol_violation"]],
            Self::BulkGarbage => &[&["protocol_violation"], &["stream_not_found"]],
            Self::WordGarbage => &[&["unknown_messages"]],
            Self::LyingProducer => &[&["too_long"], &["undecodable"]],
            Self::SyncLies => &[&["forged"], &["foreign"], &["future"]],
            Self::GossipLies => &[&["forged", "malformed"]],
            // These are refused when they have gone on for long.
            Self::Crowd
            | Self::NeverReads
            | Self::NeverAcknowledges
            | Self::HostileAcceptor
            | Self::SyncTurns
            | Self::SyncFlood
            | Self::SyncPhantoms
            | Self::GossipFlood => &[],
        }
    }

    /// How long it must last to show what it is for.
    #[must_use]
    pub const fn least(self) -> Duration {
        match self {
            // A subscription that says nothing has five seconds.
            Self::HalfOpenStreams => Duration::from_millis(7500),
            _ => Duration::ZERO,
        }
    }

    /// Attacks a node of a network for a while; says how often it tried, and how often attackers
    /// of this process have been let in.
    pub async fn run(self, network: &str, target: EndpointAddr, span: Duration) -> (u64, u64) {
        let aim = Aim { network: network.into(), target, until: Instant::now() + span };
        let attackers = (0..ATTACKERS).map(|number| self.attack(&aim, number));
        (join_all(attackers).await.into_iter().sum(), entered())
    }

    async fn attack(self, aim: &Aim, number: usize) -> u64 {
        match self {
            Self::HelloGarbage => hello_garbage(aim).await,
            Self::WrongMac => wrong_mac(aim).await,
            Self::SilentConnections => silent_connections(aim).await,
            Self::SlowHello => slow_hello(aim).await,
            Self::BodiesGarbage => discovery::bodies_garbage(aim).await,
            Self::Crowd => crowd(aim).await,
            Self::StreamGarbage => stream_garbage(aim).await,
            Self::HalfOpenStreams => half_open_streams(aim).await,
            Self::BulkGarbage => streams::bulk_garbage(aim).await,
            Self::SyncLies => discovery::sync_lies(aim).await,
            Self::SyncFlood => discovery::sync_flood(aim).await,
            Self::SyncPhantoms => discovery::sync_phantoms(aim).await,
            Self::GossipLies => discovery::gossip_lies(aim).await,
            Self::GossipFlood => discovery::gossip_flood(aim).await,
            Self::SignalGarbage => signal_garbage(aim).await,
            Self::NeverAcknowledges => streams::never_acknowledges(aim).await,
            Self::WordGarbage => streams::word_garbage(aim).await,
            Self::HostileAcceptor => acceptor::hostile_acceptor(aim).await,
            Self::SyncTurns => discovery::sync_turns(aim).await,
            Self::NeverReads => streams::never_reads(aim).await,
            Self::LyingProducer => streams::lying_producer(aim, number).await,
        }
    }
}

/// Messages that are none, by number: noise, a length without end, one too large, a truncated one.
pub(super) fn garbage(number: u64) -> Vec<u8> {
    match number % 5 {
        0 => noise(200),
        1 => vec![0xff; 64],
        2 => [wire::length(u64::from(u32::MAX)), noise(2000)].concat(),
        3 => [wire::length(100), noise(40)].concat(),
        _ => wire::framed(&noise(60)),
    }
}

async fn hello_garbage(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    aim.again(async |number| {
        let conn = attacker.dial(wire::CONTROL).await?;
        let (mut send, mut recv) = conn.open_bi().await?;
        send.write_all(&garbage(number)).await?;
        send.finish()?;
        let _ = recv.read_to_end(1000).await;
        conn.close(VarInt::from_u32(0), b"");
        Ok(())
    })
    .await
}

async fn wrong_mac(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    aim.again(async |_| {
        let conn = attacker.dial(wire::CONTROL).await?;
        let (mut send, mut recv) = conn.open_bi().await?;
        let mut opening = attacker.opening(&conn, wire::DIALLER)?;
        opening.mac[7] ^= 1;
        say(&mut send, &wire::Hello::Opening(opening, None)).await?;
        let answer = recv.read_to_end(1000).await;
        anyhow::ensure!(answer.is_err(), "nothing is shown to a stranger");
        Ok(())
    })
    .await
}

async fn silent_connections(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let silences = (0..100).map(|_| {
        aim.again(async |_| {
            let conn = attacker.dial(wire::CONTROL).await?;
            conn.closed().await;
            Ok(())
        })
    });
    join_all(silences).await.into_iter().sum()
}

async fn slow_hello(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let hellos = (0..50).map(|_| {
        aim.again(async |_| {
            let conn = attacker.dial(wire::CONTROL).await?;
            let (mut send, _recv) = conn.open_bi().await?;
            let hello = wire::Hello::Opening(attacker.opening(&conn, wire::DIALLER)?, None);
            for byte in wire::framed(&wire::encode(&hello)) {
                send.write_all(&[byte]).await?;
                sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        })
    });
    join_all(hellos).await.into_iter().sum()
}

async fn crowd(aim: &Aim) -> u64 {
    let mut inside = Vec::new();
    let mut entered = 0;
    while !aim.is_over() {
        let Ok(attacker) = aim.attacker().await else { break };
        match timeout_at(aim.until, attacker.enter()).await {
            Ok(Ok(session)) => {
                entered += 1;
                inside.push((attacker, session));
            }
            Ok(Err(_)) => sleep(Duration::from_millis(10)).await,
            Err(_) => break,
        }
    }
    entered
}

async fn stream_garbage(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    aim.again(async |_| {
        let session = attacker.enter().await?;
        for number in 0..500 {
            let kind = [wire::GOSSIP, wire::SYNC, wire::SUBSCRIBE, 4, 0, 255][number as usize % 6];
            let (mut send, mut recv) = session.open(kind).await?;
            send.write_all(&garbage(number / 6)).await?;
            let _ = send.finish();
            if number % 2 == 0 {
                let _ = recv.stop(VarInt::from_u32(1));
            }
        }
        Ok(())
    })
    .await
}

async fn signal_garbage(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    aim.again(async |number| {
        let mut session = attacker.enter().await?;
        if number % 6 == 5 {
            // A token from the wrong side.
            say(&mut session.send, &wire::Signal::BulkToken([7; 16])).await?;
        } else {
            session.send.write_all(&garbage(number)).await?;
        }
        let _ = timeout(Duration::from_millis(200), session.conn.closed()).await;
        Ok(())
    })
    .await
}

async fn half_open_streams(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let mut opened = 0;
    while !aim.is_over() {
        let Ok(session) = attacker.enter().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let mut streams = Vec::new();
        while !aim.is_over() && session.conn.close_reason().is_none() {
            // The other kinds have few places: what is more is refused at once.
            match timeout_at(aim.until, session.open(wire::SUBSCRIBE)).await {
                Ok(Ok(stream)) => streams.push(stream),
                // As many as the node allows are open: they are given up, for others.
                Ok(Err(_)) => streams.clear(),
                Err(_) => break,
            }
            opened += 1;
            if streams.len() >= 10_000 / ATTACKERS {
                // Until the node has had enough of them.
                sleep(Duration::from_secs(6)).await;
                streams.clear();
            }
        }
    }
    opened
}

pub(super) fn stream_id(name: &str) -> UniqueId {
    UniqueId::from(name)
}
