//! The log lane's streams: each goes both ways, to a slot that the receiver reserved and for which
//! it takes one after the other.

use std::sync::Arc;

use super::{
    connection::Side,
    error::OpenError,
    link::Link,
    slots::{Reserved, Slot, Waiting, write_header},
    stream::{RecvStream, SendStream},
};

/// Streams that this side expects on the log lane, usually one at a time: whoever opens another
/// one has given the last one up. Keep it as long as any of them is read.
#[derive(Debug)]
pub(crate) struct LogSlot {
    reserved: Reserved,
    waiting: Arc<Waiting>,
}

impl LogSlot {
    /// What the peer names the streams by.
    pub(crate) fn id(&self) -> u64 {
        self.reserved.id()
    }

    /// Waits for the next stream, also across the lane's end: the peer opens it again. Fails only
    /// when the link has ended. Cancel safe.
    pub(crate) async fn accept(&mut self) -> Result<(SendStream, RecvStream), OpenError> {
        let (send, recv) = tokio::select! {
            biased;
            streams = self.waiting.next() => streams,
            reason = self.reserved.link().closed() => return Err(OpenError::Lost(reason)),
        };
        let hold = self.reserved.hold();
        Ok((send.holding(hold.clone()), recv.holding(hold.clone())))
    }
}

impl Link {
    /// Reserves an id for streams that the peer is about to open towards us.
    pub(crate) fn reserve_log(&self) -> LogSlot {
        let waiting = Arc::new(Waiting::default());
        LogSlot { reserved: self.reserve(Side::Log, Slot::Again(waiting.clone())), waiting }
    }

    /// Opens a stream both ways on the log lane for the id that the receiver reserved. If there is
    /// no such slot (any more), the stream is reset with `StreamNotFound` when it has arrived.
    ///
    /// Bounded to 5 s. Cancel safe.
    pub(crate) async fn open_log(&self, id: u64) -> Result<(SendStream, RecvStream), OpenError> {
        self.open_in_time(async {
            let connection = self.lane(Side::Log).await?;
            let (mut send, recv) = connection.open_bi().await?;
            write_header(&mut send, id).await?;
            let hold = self.hold();
            Ok((send.holding(hold.clone()), recv.holding(hold)))
        })
        .await
    }
}
