//! How peers are found in the first place. All sources run at once, and none of them ever stops:
//! what they find is united, so that one that is isolated or hostile cannot hide the rest.

mod bootstrap;
mod directory;
mod local;
#[cfg(feature = "mdns")]
mod mdns;
#[cfg(test)]
mod tests;

use futures::future::BoxFuture;

pub(super) use bootstrap::BootstrapSource;
pub(super) use directory::LocalDirectory;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use directory::peer_of_entry;
pub(super) use local::{LocalSource, publish};
#[cfg(feature = "mdns")]
pub(super) use mdns::MdnsSource;

use super::reach::Reach;

/// One way of finding peers, and of being found.
pub(super) trait Source: Send + 'static {
    /// What its task is called.
    fn name(&self) -> &'static str;

    /// Looks for peers and tells [`Reach`] of them, until it is dropped.
    fn run(self: Box<Self>, reach: Reach) -> BoxFuture<'static, ()>;
}
