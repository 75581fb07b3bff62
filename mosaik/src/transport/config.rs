//! The transport's times and limits.

use std::time::Duration;

/// Times and limits of the connections between peers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// A peer that is silent for this long is gone. Default 5 s.
    ///
    /// A killed process is noticed after this time and at most one `keep_alive` more.
    pub idle_timeout: Duration,
    /// How often an idle connection is kept alive. Default 1 s; well below `idle_timeout`.
    pub keep_alive: Duration,
    /// How long a dial may take, handshake and hello included. Default 5 s.
    pub dial_timeout: Duration,
    /// How long a peer may take for its part of the hello. Default 5 s.
    pub hello_timeout: Duration,
    /// A connection that nothing uses is closed after this time. Default 30 s.
    pub unused_after: Duration,
    /// How many connections may be in their handshake at once. Default 128; beyond that
    /// the address that has the most of them gives one up, or whoever takes longest.
    pub max_handshakes: usize,
    /// How many peers may be connected at once. Default 512; more are refused with
    /// [`CloseReason::NoCapacity`](crate::network::CloseReason::NoCapacity), but this node may
    /// still dial others.
    pub max_peers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(1),
            dial_timeout: Duration::from_secs(5),
            hello_timeout: Duration::from_secs(5),
            unused_after: Duration::from_secs(30),
            max_handshakes: 128,
            max_peers: 512,
        }
    }
}

impl Config {
    /// Sets [`Config::idle_timeout`].
    #[must_use]
    pub fn with_idle_timeout(mut self, value: Duration) -> Self {
        self.idle_timeout = value;
        self
    }

    /// Sets [`Config::keep_alive`].
    #[must_use]
    pub fn with_keep_alive(mut self, value: Duration) -> Self {
        self.keep_alive = value;
        self
    }

    /// Sets [`Config::dial_timeout`].
    #[must_use]
    pub fn with_dial_timeout(mut self, value: Duration) -> Self {
        self.dial_timeout = value;
        self
    }

    /// Sets [`Config::hello_timeout`].
    #[must_use]
    pub fn with_hello_timeout(mut self, value: Duration) -> Self {
        self.hello_timeout = value;
        self
    }

    /// Sets [`Config::unused_after`].
    #[must_use]
    pub fn with_unused_after(mut self, value: Duration) -> Self {
        self.unused_after = value;
        self
    }

    /// Sets [`Config::max_handshakes`].
    #[must_use]
    pub fn with_max_handshakes(mut self, value: usize) -> Self {
        self.max_handshakes = value;
        self
    }

    /// Sets [`Config::max_peers`].
    #[must_use]
    pub fn with_max_peers(mut self, value: usize) -> Self {
        self.max_peers = value;
        self
    }
}
