//! The exporter: `/metrics`, `/healthz` and `/readyz` over HTTP, for all networks of the process
//! that ask for the same address.

mod recorders;
mod server;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    net::{SocketAddr, TcpListener as StdTcpListener},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(super) use self::recorders::{publish, tidy};
use self::{recorders::Exporting, server::Limits};
use super::sampler::network_label;
use crate::{id::NetworkId, tasks::Tasks};

/// The addresses that are served, and for whom.
static SITES: LazyLock<Mutex<HashMap<SocketAddr, Arc<Site>>>> = LazyLock::new(Mutex::default);

/// One address. Every network that asked for it accepts clients of it in a task of its own, each
/// on its own runtime, so that it does not matter which of them ends first; the socket is closed
/// with the last one.
#[derive(Debug)]
struct Site {
    address: SocketAddr,
    socket: StdTcpListener,
    networks: Mutex<BTreeMap<u64, Arc<Member>>>,
}

/// A network at an address.
#[derive(Debug)]
struct Member {
    label: String,
    is_up: AtomicBool,
    leaving: CancellationToken,
}

impl Site {
    fn networks(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Member>>> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why not every network is ready; `None` if all are.
    fn unready(&self) -> Option<String> {
        let networks = self.networks();
        let reasons: String = networks.values().filter_map(|member| member.unready()).collect();
        (!reasons.is_empty()).then_some(reasons)
    }
}

impl Member {
    fn unready(&self) -> Option<String> {
        let reason = match (self.leaving.is_cancelled(), self.is_up.load(Ordering::Acquire)) {
            (true, _) => "is leaving",
            (false, false) => "is starting",
            (false, true) => return None,
        };
        Some(format!("network {} {reason}\n", self.label))
    }
}

/// A network's part in the exporter; it takes its leave when dropped.
pub(crate) struct Exporter {
    site: Arc<Site>,
    number: u64,
    member: Arc<Member>,
    /// Its own, on the runtime that it was made on.
    listener: TcpListener,
    _exporting: Exporting,
}

impl Exporter {
    /// Takes the address, or a share in it if another network of this process has it. Clients that
    /// come before [`Exporter::serve`] wait, or are told that the network is starting.
    ///
    /// `leaving` is cancelled when the network begins to leave.
    pub(crate) fn open(
        address: SocketAddr,
        network: &NetworkId,
        leaving: CancellationToken,
    ) -> io::Result<Self> {
        let label = network_label(network);
        let member = Arc::new(Member { label, is_up: AtomicBool::new(false), leaving });
        let mut sites = sites();
        let site = match sites.get(&address) {
            Some(site) => site.clone(),
            None => {
                let socket = StdTcpListener::bind(address)?;
                socket.set_nonblocking(true)?;
                let address = socket.local_addr()?;
                Arc::new(Site { address, socket, networks: Mutex::default() })
            }
        };
        let listener = TcpListener::from_std(site.socket.try_clone()?)?;
        sites.insert(site.address, site.clone());
        let number = {
            let mut networks = site.networks();
            let number = networks.last_key_value().map_or(0, |(last, _)| last + 1);
            networks.insert(number, member.clone());
            number
        };
        Ok(Self { site, number, member, listener, _exporting: Exporting::begin() })
    }

    /// The network is up: from now on clients are answered, until its tasks end. Says where.
    pub(crate) fn serve(self, tasks: &Tasks) -> SocketAddr {
        self.member.is_up.store(true, Ordering::Release);
        let (clients, address) = (tasks.clone(), self.site.address);
        tracing::info!("metrics are served at http://{address}/metrics");
        tasks.spawn("telemetry.exporter", async move {
            server::run(&self.listener, &self.site, &clients, Limits::default()).await;
        });
        address
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let mut sites = sites();
        let mut networks = self.site.networks();
        networks.remove(&self.number);
        if networks.is_empty() {
            sites.remove(&self.site.address);
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("address", &self.site.address).finish_non_exhaustive()
    }
}

fn sites() -> MutexGuard<'static, HashMap<SocketAddr, Arc<Site>>> {
    SITES.lock().unwrap_or_else(PoisonError::into_inner)
}
