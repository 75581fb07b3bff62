//! What hostile peers do, each until its time is over.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use anyhow::bail;
use futures::future::join_all;
use iroh::EndpointAddr;
use mosaik::UniqueId;
use tokio::time::{Instant, sleep, timeout_at};

use super::peer::{Attacker, Session, entered, noise};
use super::wire;

mod acceptor;
mod discovery;
mod files;
mod producers;
mod strangers;
mod streams;

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
    /// The same on log lanes, with tokens for the other lane among them.
    LogGarbage = "log-garbage",
    /// Subscribers that never read.
    NeverReads = "never-reads",
    /// Subscribers that read everything and never say so.
    NeverAcknowledges = "never-acknowledges",
    /// Subscribers that talk nonsense.
    WordGarbage = "word-garbage",
    /// Producers that send noise, frames without end, and far more than the window.
    LyingProducer = "lying-producer",
    /// Sixteen producers that begin the longest datum, and never send its last byte.
    BegunDatums = "begun-datums",
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
    /// Files and links that no node would write, in the local directory.
    LocalFiles = "local-files",
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

/// Who is attacked.
#[derive(Clone, Debug)]
pub struct Victim {
    /// The name of its network.
    pub network: String,
    /// Where it listens.
    pub address: EndpointAddr,
    /// Through which it finds nodes of the same machine.
    pub directory: Option<PathBuf>,
}

/// Against whom, and for how long.
#[derive(Debug)]
struct Aim<'a> {
    victim: &'a Victim,
    until: Instant,
}

impl Aim<'_> {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    async fn attacker(&self) -> anyhow::Result<Attacker> {
        Attacker::new(&self.victim.network, self.victim.address.clone()).await
    }

    /// Does it again and again; a refusal is no reason to stop. Says how often it was done.
    async fn again(&self, mut once: impl AsyncFnMut(u64) -> anyhow::Result<()>) -> u64 {
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

    /// Does it again and again as the same peer.
    async fn alone(&self, mut once: impl AsyncFnMut(&Attacker, u64) -> anyhow::Result<()>) -> u64 {
        let Ok(attacker) = self.attacker().await else { return 0 };
        self.again(async |round| once(&attacker, round).await).await
    }

    /// The same, each time let in anew.
    async fn inside(
        &self,
        mut once: impl AsyncFnMut(&Attacker, Session) -> anyhow::Result<()>,
    ) -> u64 {
        self.alone(async |attacker, _| once(attacker, attacker.enter().await?).await).await
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
                | Self::LocalFiles
        )
    }

    /// How many identities attack at once.
    const fn identities(self) -> usize {
        match self {
            Self::BegunDatums => 16,
            _ => 4,
        }
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
            Self::BulkGarbage | Self::LogGarbage => {
                &[&["protocol_violation"], &["stream_not_found"]]
            }
            Self::WordGarbage => &[&["unknown_messages"]],
            Self::LyingProducer => &[&["too_long"], &["undecodable"]],
            Self::SyncLies => &[&["forged"], &["foreign"], &["future"]],
            Self::BegunDatums => &[&["truncated"]],
            Self::HostileAcceptor => &[&["malformed", "oversized"]],
            Self::SyncTurns => &[&["malformed"]],
            Self::GossipLies => &[&["forged", "malformed"]],
            Self::GossipFlood => &[&["flooded"]],
            Self::LocalFiles => &[&["malformed"], &["oversized"], &["forged"], &["foreign"]],
            // These are refused when they have gone on for long.
            Self::Crowd
            | Self::NeverReads
            | Self::NeverAcknowledges
            | Self::SyncFlood
            | Self::SyncPhantoms => &[],
        }
    }

    /// How long it must last to show what it is for.
    #[must_use]
    pub const fn least(self) -> Duration {
        match self {
            // A subscription that says nothing has five seconds.
            Self::HalfOpenStreams => Duration::from_millis(7500),
            // The datums are begun, and then broken off in time to be counted.
            Self::BegunDatums => producers::BROKEN_OFF.saturating_mul(2),
            _ => Duration::ZERO,
        }
    }

    /// Attacks a node for a while; says how often it tried, and how often attackers of this process
    /// have been let in.
    pub async fn run(self, victim: &Victim, span: Duration) -> (u64, u64) {
        let aim = Aim { victim, until: Instant::now() + span };
        let attackers = (0..self.identities()).map(|number| self.attack(&aim, number));
        (join_all(attackers).await.into_iter().sum(), entered())
    }

    async fn attack(self, aim: &Aim<'_>, number: usize) -> u64 {
        match self {
            Self::HelloGarbage => strangers::hello_garbage(aim).await,
            Self::WrongMac => strangers::wrong_mac(aim).await,
            Self::SilentConnections => strangers::silent_connections(aim).await,
            Self::SlowHello => strangers::slow_hello(aim).await,
            Self::BodiesGarbage => strangers::bodies_garbage(aim).await,
            Self::Crowd => strangers::crowd(aim).await,
            Self::StreamGarbage => streams::stream_garbage(aim).await,
            Self::HalfOpenStreams => streams::half_open_streams(aim, self.identities()).await,
            Self::SignalGarbage => streams::signal_garbage(aim).await,
            Self::BulkGarbage => streams::bulk_garbage(aim).await,
            Self::LogGarbage => streams::log_garbage(aim).await,
            Self::NeverReads => streams::never_reads(aim).await,
            Self::NeverAcknowledges => streams::never_acknowledges(aim).await,
            Self::WordGarbage => streams::word_garbage(aim).await,
            Self::LyingProducer => producers::lying_producer(aim, number).await,
            Self::BegunDatums => producers::begun_datums(aim).await,
            Self::HostileAcceptor => acceptor::hostile_acceptor(aim, number).await,
            Self::SyncLies => discovery::sync_lies(aim).await,
            Self::SyncTurns => discovery::sync_turns(aim).await,
            Self::SyncFlood => discovery::sync_flood(aim).await,
            Self::SyncPhantoms => discovery::sync_phantoms(aim).await,
            Self::GossipLies => discovery::gossip_lies(aim).await,
            Self::GossipFlood => discovery::gossip_flood(aim).await,
            Self::LocalFiles => files::local_files(aim).await,
        }
    }
}

/// Messages that are none, by number: noise, a length without end, one too large, a truncated one.
fn garbage(number: u64) -> Vec<u8> {
    match number % 5 {
        0 => noise(200),
        1 => vec![0xff; 64],
        2 => [wire::length(u64::from(u32::MAX)), noise(2000)].concat(),
        3 => [wire::length(100), noise(40)].concat(),
        _ => wire::framed(&noise(60)),
    }
}

fn stream_id(name: &str) -> UniqueId {
    UniqueId::from(name)
}
