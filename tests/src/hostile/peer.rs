//! A peer made by hand: it knows the network's id, so it is let in, and then says what it likes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use iroh::{
    Endpoint, EndpointAddr, NetReportConfig, RelayMode, SecretKey,
    endpoint::{
        ConnectOptions, Connection, PortmapperConfig, QuicTransportConfig, RecvStream, SendStream,
        VarInt, presets,
    },
};
use mosaik::UniqueId;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::wire::{self, Hello, Offer, Opening, RawEntry, Verdict};

/// How often an attacker of this process was let in.
static ENTERED: AtomicU64 = AtomicU64::new(0);

pub(super) fn entered() -> u64 {
    ENTERED.load(Ordering::Relaxed)
}

/// How long an attacker waits for an answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// One hostile identity with a socket of its own.
#[derive(Debug)]
pub struct Attacker {
    pub(super) key: SecretKey,
    pub(super) endpoint: Endpoint,
    pub(super) network: UniqueId,
    pub(super) target: EndpointAddr,
    pub(super) start: u64,
    /// What its entry says that it produces.
    pub(super) streams: Vec<UniqueId>,
}

/// An admitted connection.
#[derive(Debug)]
pub struct Session {
    /// The control connection.
    pub conn: Connection,
    pub(super) send: SendStream,
    pub(super) recv: RecvStream,
}

impl Attacker {
    /// A new identity on loopback, out for this node of this network.
    ///
    /// # Errors
    /// When no socket can be bound.
    pub async fn new(network: &str, target: EndpointAddr) -> anyhow::Result<Self> {
        let key = SecretKey::generate();
        let transport = QuicTransportConfig::builder()
            .max_concurrent_bidi_streams(VarInt::from_u32(1000))
            .max_concurrent_uni_streams(VarInt::from_u32(1000))
            .keep_alive_interval(Duration::from_secs(1))
            .build();
        let endpoint = Endpoint::builder(presets::Minimal)
            .relay_mode(RelayMode::Disabled)
            .portmapper_config(PortmapperConfig::Disabled)
            .net_report_config(NetReportConfig::minimal())
            .clear_ip_transports()
            .bind_addr("127.0.0.1:0")?
            .secret_key(key.clone())
            .transport_config(transport)
            .alpns([wire::CONTROL, wire::BULK, wire::LOG].map(<[u8]>::to_vec).into())
            .bind()
            .await?;
        let network = UniqueId::from(network);
        Ok(Self { key, endpoint, network, target, start: wire::now(), streams: Vec::new() })
    }

    /// A connection as any stranger gets one.
    ///
    /// # Errors
    /// When it is refused, or nobody answers.
    pub async fn dial(&self, alpn: &[u8]) -> anyhow::Result<Connection> {
        let dialling = async {
            let options = ConnectOptions::new();
            let connecting =
                self.endpoint.connect_with_opts(self.target.clone(), alpn, options).await?;
            anyhow::Ok(connecting.await?)
        };
        timeout(PATIENCE, dialling).await.context("nobody answered")?
    }

    pub(super) fn mac(&self, conn: &Connection, role: u8) -> anyhow::Result<[u8; 32]> {
        let mut binding = [0; 32];
        conn.export_keying_material(&mut binding, b"EXPORTER-mosaik-hello", b"")
            .map_err(|_| anyhow::anyhow!("the connection has no secret"))?;
        let key = blake3::derive_key("mosaik 2026-11 hello", self.network.as_bytes());
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(&binding).update(&[role]);
        hasher.update(self.key.public().as_bytes()).update(self.target.id.as_bytes());
        Ok(*hasher.finalize().as_bytes())
    }

    /// What an honest node says first.
    pub(super) fn opening(&self, conn: &Connection, role: u8) -> anyhow::Result<Opening> {
        Ok(Opening {
            version: 1,
            capabilities: 0,
            start: self.start,
            clock_ms: i64::try_from(wire::now() / 1000)?,
            holds: None,
            mac: self.mac(conn, role)?,
        })
    }

    pub(super) fn version(&self) -> wire::Version {
        (self.start, wire::now())
    }

    /// An entry of its own, with a fresh sign of life.
    pub(super) fn entry(&self, tags: usize) -> RawEntry {
        self.entry_at(self.version(), tags)
    }

    /// What it offers in the hello: its entry.
    pub(super) fn offer(&self) -> (Offer, RawEntry) {
        let version = self.version();
        let entry = self.entry_at(version, 0);
        let digest = *blake3::hash(&entry.bytes).as_bytes();
        (Offer { version, digest, known: None, held: Vec::new() }, entry)
    }

    fn entry_at(&self, version: wire::Version, tags: usize) -> RawEntry {
        let mut body =
            wire::Body::new(&self.network, version, self.endpoint.addr()).with_tags(tags);
        body.streams.clone_from(&self.streams);
        body.streams.sort_unstable();
        let beat = wire::sign_beat(&self.key, &self.network, version, wire::now());
        wire::sign_entry(&self.key, &body, Some(beat))
    }

    /// Dials and goes through the hello as an honest node would.
    ///
    /// # Errors
    /// When the node does not let it in.
    pub async fn enter(&self) -> anyhow::Result<Session> {
        let conn = self.dial(wire::CONTROL).await?;
        let entered = timeout(PATIENCE, self.greet(conn)).await;
        let session = entered.context("the hello took too long")??;
        ENTERED.fetch_add(1, Ordering::Relaxed);
        Ok(session)
    }

    async fn greet(&self, conn: Connection) -> anyhow::Result<Session> {
        let (mut send, mut recv) = conn.open_bi().await?;
        say(&mut send, &Hello::Opening(self.opening(&conn, wire::DIALLER)?, None)).await?;
        let Hello::Opening(_, verdict) = hear(&mut recv).await? else { bail!("not an opening") };
        ensure!(matches!(verdict, None | Some(Verdict::Keep)), "not kept: {verdict:?}");
        let (offer, entry) = self.offer();
        let ours = verdict.is_none().then_some(Verdict::Keep);
        say(&mut send, &Hello::Offer(ours, wire::encode(&offer).into())).await?;
        let bodies = wire::Bodies { entry: Some(entry), tickets: Vec::new() };
        let Hello::Offer(..) = hear(&mut recv).await? else { bail!("not an offer") };
        say(&mut send, &Hello::Bodies(wire::encode(&bodies).into())).await?;
        let Hello::Bodies(_) = hear(&mut recv).await? else { bail!("not the bodies") };
        say(&mut send, &Hello::Admitted).await?;
        match hear(&mut recv).await? {
            Hello::Admitted => Ok(Session { conn, send, recv }),
            other => bail!("not let in: {other:?}"),
        }
    }

    /// Asks for the bulk lane, and shows the token that comes.
    ///
    /// # Errors
    /// When it is not granted.
    pub async fn bulk(&self, session: &mut Session) -> anyhow::Result<Connection> {
        say(&mut session.send, &wire::Signal::AskBulk).await?;
        let token = timeout(PATIENCE, hear::<wire::Signal>(&mut session.recv)).await??;
        let wire::Signal::BulkToken(token) = token else { bail!("not a token") };
        self.show(wire::BULK, token).await
    }

    /// Asks for the log lane, and shows the token that comes.
    ///
    /// # Errors
    /// When it is not granted.
    pub async fn log(&self, session: &mut Session) -> anyhow::Result<Connection> {
        say(&mut session.send, &wire::Signal::AskLog).await?;
        let token = timeout(PATIENCE, hear::<wire::Signal>(&mut session.recv)).await??;
        let wire::Signal::LogToken(token) = token else { bail!("not a token") };
        self.show(wire::LOG, token).await
    }

    async fn show(&self, lane: &'static [u8], token: [u8; 16]) -> anyhow::Result<Connection> {
        let conn = self.dial(lane).await?;
        let (mut send, mut recv) = conn.open_bi().await?;
        send.write_all(&token).await?;
        send.finish()?;
        ensure!(recv.read_to_end(1).await?.is_empty(), "the token is good");
        Ok(conn)
    }
}

impl Session {
    /// A stream that begins with this byte.
    ///
    /// # Errors
    /// When the node closed the connection.
    pub async fn open(&self, kind: u8) -> anyhow::Result<(SendStream, RecvStream)> {
        let (mut send, recv) = timeout(PATIENCE, self.conn.open_bi()).await??;
        send.write_all(&[kind]).await?;
        Ok((send, recv))
    }
}

/// Writes a message.
pub(super) async fn say<T: serde::Serialize>(
    send: &mut SendStream,
    message: &T,
) -> anyhow::Result<()> {
    Ok(send.write_all(&wire::framed(&wire::encode(message))).await?)
}

/// Reads a message.
pub(super) async fn hear<T: DeserializeOwned>(recv: &mut RecvStream) -> anyhow::Result<T> {
    let mut length = 0_usize;
    for shift in (0..).step_by(7) {
        let mut byte = [0];
        recv.read_exact(&mut byte).await?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            break;
        }
        ensure!(shift < 28, "a length without end");
    }
    let mut body = vec![0; length];
    recv.read_exact(&mut body).await?;
    Ok(postcard::from_bytes(&body)?)
}

/// Reads what comes, and forgets it.
pub(super) fn drain(mut recv: RecvStream) {
    tokio::spawn(async move {
        let mut sink = vec![0; 64 * 1024];
        while let Ok(Some(_)) = recv.read(&mut sink).await {}
    });
}

/// Random bytes.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut rng = StdRng::from_rng(&mut rand::rng());
    (0..length).map(|_| rng.random()).collect()
}
