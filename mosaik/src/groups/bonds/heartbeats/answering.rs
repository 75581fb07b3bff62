//! Heartbeats that come in.

use std::{sync::Weak, time::Duration};

use bytes::Bytes;
use futures::{
    FutureExt,
    future::{BoxFuture, ready},
    stream::{FuturesUnordered, StreamExt},
};
use tokio::time::timeout;

use super::{BEAT_LIMIT, Beat, Echo, FRAME_BYTES, FRAME_LIMIT, MAX_BEATS, read};
use crate::{
    groups::bonds::{
        frames::{FrameReader, FrameWriter},
        protocol::Outcome,
        registry::Shared,
        served::Gone,
        session::reason_of,
        transfer::outcome_of,
    },
    schema,
    transport::{Link, MessageError, RecvStream, SendStream},
};

/// A Raft node that takes longer does not answer at all.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Answers the heartbeats of one peer, until its stream ends.
pub(in crate::groups::bonds) async fn serve(
    shared: Weak<Shared>,
    link: Link,
    send: SendStream,
    recv: RecvStream,
) {
    let mut answering = Answering { shared, link, answers: FuturesUnordered::new() };
    let (mut reader, mut writer) = (FrameReader::new(recv, FRAME_LIMIT), FrameWriter::new(send));
    match answering.run(&mut reader, &mut writer).await {
        Ok(()) => writer.finish(),
        Err(error) => {
            tracing::debug!(peer = %answering.link.peer(), %error, "no more heartbeats");
            writer.reset(reason_of(&error));
            reader.stop(reason_of(&error));
        }
    }
}

struct Answering {
    shared: Weak<Shared>,
    link: Link,
    answers: FuturesUnordered<BoxFuture<'static, Echo>>,
}

impl Answering {
    async fn run(
        &mut self,
        reader: &mut FrameReader,
        writer: &mut FrameWriter,
    ) -> Result<(), MessageError> {
        loop {
            tokio::select! {
                frame = reader.next(), if self.answers.len() < MAX_BEATS => {
                    let Some(frame) = frame? else { return Ok(()) };
                    let beats = read(&frame)?;
                    self.answers.extend(beats.into_iter().map(|beat| answer(&self.shared, &self.link, beat)));
                }
                Some(first) = self.answers.next() => {
                    let frame = self.gather(first);
                    let frame = schema::encode(&frame).map_err(|_| MessageError::Encoding)?;
                    writer.send(frame).await?;
                }
            }
        }
    }

    /// What is answered by now, into one frame.
    fn gather(&mut self, first: Echo) -> Vec<Echo> {
        let mut bytes = first.answer.len();
        let mut echoes = vec![first];
        while bytes < FRAME_BYTES
            && let Some(Some(next)) = self.answers.next().now_or_never()
        {
            bytes += next.answer.len();
            echoes.push(next);
        }
        echoes
    }
}

fn answer(shared: &Weak<Shared>, link: &Link, beat: Beat) -> BoxFuture<'static, Echo> {
    let Beat { id, bond, request } = beat;
    let group = shared.upgrade().and_then(|shared| shared.numbered(bond, &link.peer()));
    let Some(served) = group.and_then(|group| group.served()) else {
        return ready(Echo { id, outcome: Outcome::Gone, answer: Bytes::new() }).boxed();
    };
    async move {
        let answer = timeout(ANSWER_LIMIT, served.answer(request)).await.unwrap_or(Err(Gone));
        let answer = answer
            .and_then(|answer| if answer.len() <= BEAT_LIMIT { Ok(answer) } else { Err(Gone) });
        let (outcome, answer) = outcome_of(answer);
        Echo { id, outcome, answer }
    }
    .boxed()
}
