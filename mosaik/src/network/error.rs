//! What can keep a node from starting.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{discovery, groups, streams, transport::BindError};

/// What keeps a node from starting, in which case nothing was started, or from going on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No network was named: call `with_network_id`, or begin with `Network::builder(id)`.
    #[error("the network has no name: call with_network_id")]
    MissingNetworkId,
    /// The node's socket could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The discovery configuration contradicts itself.
    #[error("discovery: {0}")]
    DiscoveryConfig(#[from] discovery::ConfigBuilderError),
    /// The streams configuration contradicts itself.
    #[error("streams: {0}")]
    StreamsConfig(#[from] streams::ConfigBuilderError),
    /// The configuration of groups contradicts itself.
    #[error("groups: {0}")]
    GroupsConfig(#[from] groups::ConfigBuilderError),
    /// Discovery could not be started.
    #[error("discovery: {0}")]
    Discovery(#[from] discovery::Error),
    /// The address for metrics cannot be served, most often because another process has it: choose
    /// a free one, or port 0.
    #[cfg(feature = "prometheus")]
    #[error("metrics cannot be served: {0}")]
    Prometheus(String),
    /// The data directory is used by another running node: give each node its own.
    #[error("the data directory {} is used by another node", path.display())]
    DataDirInUse {
        /// The directory.
        path: PathBuf,
    },
    /// The data directory, or a file in it, cannot be used.
    #[error("{}: {reason}", path.display())]
    DataDir {
        /// The directory or file.
        path: PathBuf,
        /// What the operating system says of it.
        reason: io::Error,
    },
    /// Another node with this node's key has started later, and this one has stopped: it has told
    /// nobody anything since. Give each node its own key. After a restart this is not met: a node
    /// takes its past life's place.
    #[error("another node with the same key has started later, and has taken this one's place")]
    Superseded,
    /// The node's key cannot be used: its file must hold 64 hex digits and be readable by its
    /// owner only.
    #[error("the node's key in {} cannot be used: {reason}", path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// The same under the name that the published API has beside it.
pub type NetworkError = Error;
