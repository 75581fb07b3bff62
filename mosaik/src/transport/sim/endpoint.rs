//! A node's place on the simulated network.

use std::{
    sync::{Arc, Mutex as StdMutex},
    time::Duration,
};

use iroh::EndpointAddr;
use tokio::{
    sync::{Mutex, mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{connection::Connection, faults::with, net::SimNet, path::Path};
use crate::{
    id::PeerId,
    transport::{connection::Lane, error::DialError},
};

/// How often a packet of a handshake is sent that finds no way, or nobody.
const RESEND: Duration = Duration::from_millis(100);
/// The bytes of a handshake from one side.
const HANDSHAKE_BYTES: usize = 1200;

#[derive(Debug)]
pub(in crate::transport) struct Endpoint {
    id: PeerId,
    net: SimNet,
    number: u64,
    addr: watch::Sender<EndpointAddr>,
    incoming: Mutex<mpsc::UnboundedReceiver<(Lane, Connection)>>,
}

impl Endpoint {
    pub(in crate::transport) fn bind(id: PeerId, net: SimNet) -> Self {
        let (number, incoming) = net.join(id);
        let incoming = Mutex::new(incoming);
        Self { id, net, number, addr: watch::Sender::new(EndpointAddr::new(id)), incoming }
    }

    pub(in crate::transport) fn addr(&self) -> watch::Receiver<EndpointAddr> {
        self.addr.subscribe()
    }

    /// A simulated node is found by its id alone.
    pub(in crate::transport) async fn connect(
        &self,
        to: EndpointAddr,
        lane: Lane,
    ) -> Result<Connection, DialError> {
        if to.id == self.id {
            return Err(DialError::Myself);
        }
        let (there, back) = (self.net.path(self.id, to.id), self.net.path(to.id, self.id));
        let attempt = async {
            loop {
                travel(&there).await;
                let (near, far) = Connection::pair(&self.net, self.id, to.id);
                if self.net.deliver(to.id, lane, far) {
                    travel(&back).await;
                    return near;
                }
                sleep(RESEND).await;
            }
        };
        timeout(self.net.config().idle_timeout, attempt).await.map_err(|_| DialError::TimedOut)
    }

    /// The next connection; `None` once this node has left the network.
    pub(in crate::transport) async fn accept(&self) -> Option<(Lane, Connection)> {
        self.incoming.lock().await.recv().await
    }

    pub(in crate::transport) fn close(&self) {
        self.net.leave(self.id, self.number);
    }
}

/// Takes as long as a packet of the handshake does.
async fn travel(path: &Arc<StdMutex<Path>>) {
    loop {
        let now = Instant::now();
        let arrival = with(path, |path| {
            path.dead_since().is_none().then(|| path.arrival(now, HANDSHAKE_BYTES))
        });
        let Some(at) = arrival else {
            sleep(RESEND).await;
            continue;
        };
        sleep_until(at).await;
        // Lost if the path died before it came through.
        if with(path, |path| path.is_through(at, Instant::now())) {
            return;
        }
    }
}
