//! The control stream of one subscription, at the consumer.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    Core,
    source::{Ended, SourceEnd, TakenSignal},
    subscription::{ANSWER_TIMEOUT, SETTLE_INTERVAL},
};
use crate::{
    streams::{
        meter::ConsumerMeter,
        protocol::{ANSWER_LIMIT, Answer, Word, next_known},
    },
    transport::{BulkSlot, MessageError, MessageReader, MessageWriter, RecvStream, SendStream},
};

/// What the application takes is acknowledged this much later, together with what follows.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(10);

/// How long the beginning of the data may take when their end has been told already.
const DATA_AFTER_END: Duration = Duration::from_secs(1);

/// An open control stream. Dropped, it ends the subscription.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) writer: MessageWriter,
    pub(super) reader: MessageReader,
    /// What the producer said while something else was waited for.
    pub(super) said: Option<Answer>,
    meter: Arc<ConsumerMeter>,
}

impl Control {
    pub(super) fn new(send: SendStream, recv: RecvStream, meter: Arc<ConsumerMeter>) -> Self {
        let reader = MessageReader::new(recv, ANSWER_LIMIT);
        Self { writer: MessageWriter::new(send), reader, said: None, meter }
    }

    /// What the producer says next. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Answer>, MessageError> {
        Self::next_of(&mut self.reader, &mut self.said, &self.meter).await
    }

    /// The same, while something is said.
    pub(super) async fn next_of(
        reader: &mut MessageReader,
        said: &mut Option<Answer>,
        meter: &ConsumerMeter,
    ) -> Result<Option<Answer>, MessageError> {
        match said.take() {
            Some(answer) => Ok(Some(answer)),
            None => next_known(reader, &meter.unknown).await,
        }
    }
}

/// Resolves when the producer says that asking again makes sense; never if it does not.
pub(super) async fn invited(control: Option<Box<Control>>) {
    if let Some(mut control) = control
        && let Ok(Some(Answer::AskAgain)) = control.next().await
    {
        return;
    }
    std::future::pending().await
}

/// The stream of data, if it comes while the producer keeps the subscription up.
pub(super) async fn arrival(slot: &mut BulkSlot, control: &mut Control) -> Option<RecvStream> {
    let watched = async {
        tokio::select! {
            biased;
            stream = slot.stream() => return stream.ok(),
            said = next_known(&mut control.reader, &control.meter.unknown), if control.said.is_none() => match said {
                Ok(Some(answer)) => control.said = Some(answer),
                Ok(None) | Err(_) => return None,
            },
        }
        // The data may be on their way all the same, on the other lane; unless they were given up.
        timeout(DATA_AFTER_END, slot.stream()).await.ok()?.ok()
    };
    timeout(ANSWER_TIMEOUT, watched).await.ok().flatten()
}

/// Tells the producer how far the application has come, whenever that has changed; until it cannot
/// be told any more.
pub(super) async fn acknowledge(
    core: &Core,
    number: u64,
    writer: &mut MessageWriter,
    taken: &Arc<TakenSignal>,
) {
    loop {
        taken.some().await;
        let _ = timeout(ACKNOWLEDGE_AFTER, taken.much()).await;
        let acknowledged = core.reader().acknowledge(number, taken);
        if let Some(next) = acknowledged
            && writer.send(&Word::Taken(next)).await.is_err()
        {
            return;
        }
    }
}

/// How the data of a subscription end. A oneshot tells that once and panics when it is asked
/// again; this can be asked by whoever watches the subscription, and by whoever lingers after it.
pub(super) struct DataEnd {
    told: oneshot::Receiver<Ended>,
    taken: Option<u64>,
}

impl DataEnd {
    pub(super) fn new(told: oneshot::Receiver<Ended>) -> Self {
        Self { told, taken: None }
    }

    /// Waits for the end; `None` if it was told before, or never will be. Cancel safe.
    pub(super) async fn end(&mut self) -> Option<SourceEnd> {
        if self.told.is_terminated() {
            return None;
        }
        let Ended { end, taken } = (&mut self.told).await.ok()?;
        self.taken = Some(taken);
        Some(end)
    }

    /// Waits for the end, and says how far the application has come by then. Cancel safe.
    async fn taken(&mut self) -> Option<u64> {
        self.end().await;
        self.taken
    }
}

/// Waits until the data of a subscription that is over have been read, and tells the producer as
/// long as there is something to say it on: what it has sent must not be lost with the link.
pub(super) async fn linger(
    core: Arc<Core>,
    number: u64,
    control: Option<Control>,
    mut ended: DataEnd,
    taken: Arc<TakenSignal>,
) {
    let Some(Control { mut writer, .. }) = control else {
        ended.taken().await;
        return;
    };
    let next = {
        let acknowledging = acknowledge(&core, number, &mut writer, &taken);
        tokio::pin!(acknowledging);
        let mut told = false;
        loop {
            tokio::select! {
                next = ended.taken() => break next,
                () = &mut acknowledging, if !told => told = true,
                () = sleep(SETTLE_INTERVAL) => core.reader().settle(number),
            }
        }
    };
    if let Some(next) = next
        && writer.send(&Word::Taken(next)).await.is_ok()
    {
        writer.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_that_was_heard_can_be_asked_for_again() {
        let (sender, told) = oneshot::channel();
        let mut ended = DataEnd::new(told);
        assert!(sender.send(Ended { end: SourceEnd::Complete, taken: 7 }).is_ok());
        assert!(ended.end().await.is_some());
        assert!(ended.end().await.is_none());
        assert_eq!(ended.taken().await, Some(7));
        let mut never = DataEnd::new(oneshot::channel().1);
        assert!(never.end().await.is_none());
        assert_eq!(never.taken().await, None);
    }
}
