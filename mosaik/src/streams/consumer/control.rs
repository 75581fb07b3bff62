//! The control stream of one subscription, at the consumer.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    Core,
    source::{Ended, TakenSignal},
    subscription::{ANSWER_TIMEOUT, SETTLE_INTERVAL},
};
use crate::{
    streams::protocol::{ANSWER_LIMIT, Answer, Word, next_known},
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
}

impl Control {
    pub(super) fn new(send: SendStream, recv: RecvStream) -> Self {
        let reader = MessageReader::new(recv, ANSWER_LIMIT);
        Self { writer: MessageWriter::new(send), reader, said: None }
    }

    /// What the producer says next. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Answer>, MessageError> {
        Self::next_of(&mut self.reader, &mut self.said).await
    }

    /// The same, while something is said.
    pub(super) async fn next_of(
        reader: &mut MessageReader,
        said: &mut Option<Answer>,
    ) -> Result<Option<Answer>, MessageError> {
        match said.take() {
            Some(answer) => Ok(Some(answer)),
            None => next_known(reader).await,
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
            said = next_known(&mut control.reader), if control.said.is_none() => match said {
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

/// Waits until the data of a subscription that is over have been read, and tells the producer as
/// long as there is something to say it on: what it has sent must not be lost with the link.
pub(super) async fn linger(
    core: Arc<Core>,
    number: u64,
    control: Option<Control>,
    mut ended: oneshot::Receiver<Ended>,
    taken: Arc<TakenSignal>,
) {
    let Some(Control { mut writer, .. }) = control else {
        let _ = ended.await;
        return;
    };
    let end = {
        let acknowledging = acknowledge(&core, number, &mut writer, &taken);
        tokio::pin!(acknowledging);
        let mut told = false;
        loop {
            tokio::select! {
                end = &mut ended => break end.ok(),
                () = &mut acknowledging, if !told => told = true,
                () = sleep(SETTLE_INTERVAL) => core.reader().settle(number),
            }
        }
    };
    if let Some(Ended { taken, .. }) = end
        && writer.send(&Word::Taken(taken)).await.is_ok()
    {
        writer.finish();
    }
}
