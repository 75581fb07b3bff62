//! This node.

use std::{fmt, sync::Arc};

use iroh::{EndpointAddr, SecretKey};

use crate::{
    discovery::NodeTicket,
    id::{NetworkId, PeerId},
    transport::Transport,
};

/// This node as others see it, and its key.
#[derive(Clone)]
pub struct LocalNode(Arc<Inner>);

struct Inner {
    network_id: NetworkId,
    secret_key: SecretKey,
    transport: Transport,
}

impl LocalNode {
    pub(super) fn new(network_id: NetworkId, secret_key: SecretKey, transport: Transport) -> Self {
        Self(Arc::new(Inner { network_id, secret_key, transport }))
    }

    /// The network that this node is in.
    #[must_use]
    pub fn network_id(&self) -> &NetworkId {
        &self.0.network_id
    }

    /// This node's id: the public half of its key.
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.0.transport.id()
    }

    /// The id and all addresses at which this node is reached at the moment.
    #[must_use]
    pub fn addr(&self) -> EndpointAddr {
        self.0.transport.addr().borrow().clone()
    }

    /// The same as one line of text, for another node's `--bootstrap`. It lets nobody in who does
    /// not know the network.
    #[must_use]
    pub fn ticket(&self) -> NodeTicket {
        NodeTicket::from(self.addr())
    }

    /// The node's key. Whoever has it can pose as this node.
    #[must_use]
    pub fn secret_key(&self) -> &SecretKey {
        &self.0.secret_key
    }

    /// The iroh endpoint under this node.
    ///
    /// # Panics
    /// If the node is simulated: it has none.
    #[must_use]
    pub fn endpoint(&self) -> &iroh::Endpoint {
        self.0.transport.iroh_endpoint().expect("a simulated node has no iroh endpoint")
    }

    /// Waits until the node is bound and serves, which it does from the start.
    pub async fn online(&self) {}
}

impl fmt::Debug for LocalNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalNode").field("id", &self.id()).field("addr", &self.addr()).finish()
    }
}

impl fmt::Display for LocalNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id().fmt(f)
    }
}
