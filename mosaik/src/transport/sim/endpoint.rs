//! A node's place on the simulated network.

use iroh::EndpointAddr;
use tokio::{
    sync::{Mutex, mpsc, watch},
    time::{sleep, timeout},
};

use super::{connection::Connection, net::SimNet};
use crate::{
    id::PeerId,
    transport::{connection::Lane, error::DialError},
};

#[derive(Debug)]
pub(in crate::transport) struct Endpoint {
    id: PeerId,
    net: SimNet,
    addr: watch::Sender<EndpointAddr>,
    incoming: Mutex<mpsc::UnboundedReceiver<(Lane, Connection)>>,
}

impl Endpoint {
    pub(in crate::transport) fn bind(id: PeerId, net: SimNet) -> Self {
        let incoming = Mutex::new(net.join(id));
        Self { id, net, addr: watch::Sender::new(EndpointAddr::new(id)), incoming }
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
        let latency = self.net.latency(self.id, to.id);
        let patience = self.net.config().idle_timeout;
        let attempt = async {
            // A packet that meets a cut link is sent again until it gets through.
            while self.net.is_cut((self.id, to.id)) {
                sleep(latency.max(patience / 50)).await;
            }
            sleep(latency).await;
            let (near, far) = Connection::pair(&self.net, self.id, to.id);
            if !self.net.deliver(to.id, lane, far) {
                std::future::pending::<()>().await;
            }
            sleep(latency).await;
            near
        };
        timeout(patience, attempt).await.map_err(|_| DialError::TimedOut)
    }

    /// The next connection; `None` once this node has left the network.
    pub(in crate::transport) async fn accept(&self) -> Option<(Lane, Connection)> {
        self.incoming.lock().await.recv().await
    }

    pub(in crate::transport) fn close(&self) {
        self.net.leave(self.id);
    }
}
