//! The bulk lane's streams: each goes one way, once, to a slot that the receiver reserved.

use tokio::sync::oneshot;

use super::{
    close::CloseReason,
    connection::Side,
    error::OpenError,
    link::Link,
    slots::{Reserved, Slot, write_header},
    stream::{RecvStream, SendStream},
};

/// A stream that this side expects on the bulk lane. Keep it as long as the stream is read: the
/// peer may open as many streams as there are slots.
#[derive(Debug)]
pub(crate) struct BulkSlot {
    reserved: Reserved,
    arrival: oneshot::Receiver<RecvStream>,
}

impl BulkSlot {
    /// What the peer names the stream by.
    pub(crate) fn id(&self) -> u64 {
        self.reserved.id()
    }

    /// Waits for the stream. Cancel safe.
    pub(crate) async fn stream(&mut self) -> Result<RecvStream, OpenError> {
        tokio::select! {
            biased;
            arrived = &mut self.arrival => {
                arrived.map_err(|_| OpenError::Lost(CloseReason::UnexpectedClose))
            }
            reason = self.reserved.link().closed() => Err(OpenError::Lost(reason)),
        }
    }
}

impl Link {
    /// Reserves an id for a stream that the peer is about to open towards us.
    pub(crate) fn reserve_bulk(&self) -> BulkSlot {
        let (sender, arrival) = oneshot::channel();
        BulkSlot { reserved: self.reserve(Side::Bulk, Slot::Once(sender)), arrival }
    }

    /// Opens a stream on the bulk lane for the id that the receiver reserved.
    pub(crate) async fn open_bulk(&self, id: u64) -> Result<SendStream, OpenError> {
        self.open_in_time(async {
            let connection = self.lane(Side::Bulk).await?;
            let mut send = connection.open_uni().await?;
            write_header(&mut send, id).await?;
            Ok(send.holding(self.hold()))
        })
        .await
    }
}
