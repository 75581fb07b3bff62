//! Binding, dialling and accepting with iroh.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use iroh::{
    EndpointAddr, NetReportConfig, RelayMode, SecretKey, TransportAddr, Watcher,
    endpoint::{
        self, ConnectOptions, ConnectWithOptsError, ConnectingError, IdleTimeout, PortmapperConfig,
        QuicTransportConfig, ServerConfig, VarInt, presets,
    },
};
use thiserror::Error;
use tokio::sync::watch;

use super::connection::{Connection, reason_of};
use crate::{
    tasks::Tasks,
    transport::{
        config::Config,
        connection::{Allowance, Lane, Side},
        error::DialError,
    },
};

/// Bytes that one connection may have sent and not yet had acknowledged. Above any stream window,
/// because at this limit QUIC blocks the writes of every stream.
const SEND_WINDOW: u64 = 16 * 1024 * 1024;
/// The first estimate of a round trip; iroh's 333 ms makes a lost first packet cost a second.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// What an endpoint is bound with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) secret_key: SecretKey,
    /// Empty: all interfaces, a random port.
    pub(crate) bind: BTreeSet<SocketAddr>,
    /// Addresses under which others reach this node beside those it finds itself.
    pub(crate) advertise: BTreeSet<SocketAddr>,
    /// `None`: no relays, no address services, no port mapping.
    pub(crate) relays: Option<RelayMode>,
}

/// The node's socket could not be bound. Nothing was started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is not one that can be bound.
    #[error("{addr} cannot be bound: {reason}")]
    InvalidAddress {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused: most often the port is in use, or the address is not local.
    #[error("the node's socket could not be bound: {0}")]
    Bind(String),
}

#[derive(Clone, Debug)]
pub(in crate::transport) struct Endpoint {
    inner: endpoint::Endpoint,
    addr: watch::Receiver<EndpointAddr>,
    sides: Arc<Sides>,
    config: Arc<Config>,
}

impl Endpoint {
    pub(in crate::transport) async fn bind(
        options: Options,
        config: &Config,
        tasks: &Tasks,
    ) -> Result<Self, BindError> {
        let inner = builder(&options, config)?
            .bind()
            .await
            .map_err(|error| BindError::Bind(format!("{error:#}")))?;
        let addr = follow_addr(&inner, &options, tasks);
        let sides = Arc::new(Sides::new(&inner, config));
        Ok(Self { inner, addr, sides, config: Arc::new(config.clone()) })
    }

    pub(in crate::transport) fn inner(&self) -> &endpoint::Endpoint {
        &self.inner
    }

    pub(in crate::transport) fn addr(&self) -> watch::Receiver<EndpointAddr> {
        self.addr.clone()
    }

    pub(in crate::transport) async fn connect(
        &self,
        to: EndpointAddr,
        lane: Lane,
    ) -> Result<Connection, DialError> {
        let options = ConnectOptions::new().with_transport_config(quic_config(&self.config, lane));
        let connecting = self
            .inner
            .connect_with_opts(to, lane.alpn(), options)
            .await
            .map_err(|error| dial_error(&error))?;
        match connecting.await {
            Ok(connection) => Ok(Connection::new(connection)),
            Err(error) => Err(handshake_error(&error)),
        }
    }

    /// The next connection attempt; `None` once the endpoint is closed.
    pub(in crate::transport) async fn accept(&self) -> Option<Incoming> {
        let inner = self.inner.accept().await?;
        Some(Incoming { inner, sides: self.sides.clone() })
    }

    pub(in crate::transport) async fn close(&self) {
        self.inner.close().await;
    }
}

/// With what the lanes beside control are accepted.
#[derive(Debug)]
struct Sides {
    bulk: Arc<ServerConfig>,
    log: Arc<ServerConfig>,
}

impl Sides {
    fn new(inner: &endpoint::Endpoint, config: &Config) -> Self {
        let accept = |lane: Lane| {
            let builder = inner.create_server_config_builder(vec![lane.alpn().to_vec()]);
            Arc::new(builder.set_transport_config(quic_config(config, lane)).build())
        };
        Self { bulk: accept(Lane::Side(Side::Bulk)), log: accept(Lane::Side(Side::Log)) }
    }

    fn config(&self, side: Side) -> Arc<ServerConfig> {
        match side {
            Side::Bulk => self.bulk.clone(),
            Side::Log => self.log.clone(),
        }
    }
}

/// A connection attempt whose handshake has not begun.
#[derive(Debug)]
pub(in crate::transport) struct Incoming {
    inner: endpoint::Incoming,
    sides: Arc<Sides>,
}

impl Incoming {
    /// The address that it comes from, if it does so directly.
    pub(in crate::transport) fn source(&self) -> Option<IpAddr> {
        match self.inner.remote_addr() {
            endpoint::IncomingAddr::Ip(addr) => Some(addr.ip().to_canonical()),
            _ => None,
        }
    }

    /// Completes the handshake. `None`: it failed, or asked for a lane we do not know.
    pub(in crate::transport) async fn establish(self) -> Option<(Lane, Connection)> {
        let accepting = match asks_for(&self.inner) {
            Some(side) => self.inner.accept_with(self.sides.config(side)),
            None => self.inner.accept(),
        };
        let connection = accepting.ok()?.await.ok()?;
        let lane = Lane::from_alpn(connection.alpn())?;
        Some((lane, Connection::new(connection)))
    }

    /// Whether the dialler has shown that it is where it seems to be.
    pub(in crate::transport) fn is_validated(&self) -> bool {
        self.inner.remote_addr_validated()
    }

    /// Lets the dialler show that it is where it seems to be.
    pub(in crate::transport) fn retry(self) {
        // It fails only for those who have shown it.
        let _ = self.inner.retry();
    }

    pub(in crate::transport) fn refuse(self) {
        self.inner.refuse();
    }
}

/// The windows must be chosen before the handshake, by what the first packet asks for: a lane
/// beside control, or `None`.
fn asks_for(incoming: &endpoint::Incoming) -> Option<Side> {
    let initial = incoming.decrypt()?;
    initial.alpns()?.flatten().find_map(|alpn| match Lane::from_alpn(alpn.as_ref())? {
        Lane::Side(side) => Some(side),
        Lane::Control => None,
    })
}

fn builder(options: &Options, config: &Config) -> Result<endpoint::Builder, BindError> {
    let mut builder = match &options.relays {
        Some(mode) => endpoint::Endpoint::builder(presets::N0).relay_mode(mode.clone()),
        None => endpoint::Endpoint::builder(presets::Minimal)
            .relay_mode(RelayMode::Disabled)
            .portmapper_config(PortmapperConfig::Disabled)
            .net_report_config(NetReportConfig::minimal()),
    };
    if !options.bind.is_empty() {
        builder = builder.clear_ip_transports();
    }
    for addr in &options.bind {
        builder = builder.bind_addr(*addr).map_err(|error| BindError::InvalidAddress {
            addr: *addr,
            reason: format!("{error:#}"),
        })?;
    }
    Ok(builder
        .secret_key(options.secret_key.clone())
        .transport_config(quic_config(config, Lane::Control))
        .alpns(Lane::ALL.iter().map(|lane| lane.alpn().to_vec()).collect()))
}

/// What a peer may do before its hello: the rest is allowed as it proves itself.
fn quic_config(config: &Config, lane: Lane) -> QuicTransportConfig {
    let stranger = Allowance::STRANGER;
    // A time-out beyond QUIC's range (146 years in ms) means none.
    let idle = IdleTimeout::try_from(config.idle_timeout).ok();
    QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(VarInt::from_u32(stranger.bi_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(stranger.uni_streams))
        .receive_window(stranger.window_bytes.map_or(VarInt::MAX, VarInt::from_u32))
        .stream_receive_window(VarInt::from_u32(lane.stream_window()))
        .send_window(SEND_WINDOW)
        .max_idle_timeout(idle)
        .keep_alive_interval(config.keep_alive)
        .default_path_keep_alive_interval(config.keep_alive)
        .initial_rtt(INITIAL_RTT)
        .datagram_receive_buffer_size(None)
        .build()
}

/// The endpoint's addresses as they change, with the ones that only the operator knows.
fn follow_addr(
    inner: &endpoint::Endpoint,
    options: &Options,
    tasks: &Tasks,
) -> watch::Receiver<EndpointAddr> {
    let advertise: Vec<_> = options.advertise.iter().copied().map(TransportAddr::Ip).collect();
    let complete = move |mut addr: EndpointAddr| {
        addr.addrs.extend(advertise.iter().cloned());
        addr
    };
    let mut watcher = inner.watch_addr();
    let (sender, receiver) = watch::channel(complete(watcher.get()));
    tasks.spawn("transport.addr", async move {
        while let Ok(addr) = watcher.updated().await {
            sender.send_if_modified(|known| {
                let addr = complete(addr);
                let changed = *known != addr;
                *known = addr;
                changed
            });
        }
    });
    receiver
}

fn dial_error(error: &ConnectWithOptsError) -> DialError {
    match error {
        ConnectWithOptsError::SelfConnect { .. } => DialError::Myself,
        ConnectWithOptsError::NoAddress { .. } => DialError::NoAddress,
        ConnectWithOptsError::EndpointClosed { .. } => DialError::ShuttingDown,
        other => DialError::Failed(format!("{other:#}")),
    }
}

fn handshake_error(error: &ConnectingError) -> DialError {
    match error {
        ConnectingError::ConnectionError { source, .. } => match reason_of(source.clone()) {
            crate::transport::close::CloseReason::TimedOut => DialError::TimedOut,
            crate::transport::close::CloseReason::Failed => DialError::Failed(format!("{error:#}")),
            reason => DialError::Refused(reason),
        },
        other => DialError::Failed(format!("{other:#}")),
    }
}
