//! One question to a peer and its answer, on a stream of its own.
//!
//! A question that a peer does not know, because it is older, is answered so: nothing breaks.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use super::{
    catalog::SyncItem,
    description::Description,
    entry::RawEntry,
    refusal::Refusal,
    shared::Shared,
    skew::ClockSkew,
    version::{PeerEntryVersion, date},
};
use crate::{
    id::{PeerId, UniqueId},
    ticket::Ticket,
    transport::{
        Link, MessageError, MessageReader, MessageWriter, OpenError, RecvStream, SendStream,
        StreamKind, decode_message,
    },
};

/// How long each side may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest question: for as many tickets as a peer can have, by their ids.
const QUESTION_LIMIT: usize = 40 * 1024;
/// The largest answer: one entry of the largest size, and what comes with it.
const ANSWER_LIMIT: usize = 320 * 1024;
/// The largest description of an id.
const DESCRIPTION_LIMIT: usize = 64 * 1024;
/// The largest answer that only says that the question was heard; a later version may add to it.
const HEARD_LIMIT: usize = 1024;

/// What peers ask each other. Later versions append variants, and fields to variants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Question {
    /// Are you there? The time that the answer takes is the round-trip time.
    Ping,
    /// What does this id stand for?
    Describe(UniqueId),
    /// What is the newest entry of this peer?
    Fetch(PeerId),
    /// Our clocks differ too much, in microseconds since 1970.
    Skew { ours: u64, yours: u64 },
    /// What is in these tickets of yours?
    Tickets(BTreeSet<UniqueId>),
    /// My tickets have changed: there is this version of my entry now.
    TicketsChanged(PeerEntryVersion),
}

/// What the other side says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The question is of a later version.
    Unknown,
    /// To a ping or a statement: it was heard.
    Heard,
    Description(Option<Description>),
    Entry(Option<RawEntry>),
    /// Those that are still there.
    Tickets(Vec<Ticket>),
}

/// Which answer it is: the same variants, without what they carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum AnswerKind {
    Unknown,
    Heard,
    Description,
    Entry,
    Tickets,
}

impl Question {
    /// What answers this question, if it is known.
    fn answer_kind(&self) -> AnswerKind {
        match self {
            Self::Ping | Self::Skew { .. } | Self::TicketsChanged(_) => AnswerKind::Heard,
            Self::Describe(_) => AnswerKind::Description,
            Self::Fetch(_) => AnswerKind::Entry,
            Self::Tickets(_) => AnswerKind::Tickets,
        }
    }

    /// The largest answer to this question, in bytes.
    fn answer_limit(&self) -> usize {
        match self.answer_kind() {
            AnswerKind::Unknown | AnswerKind::Heard => HEARD_LIMIT,
            AnswerKind::Description => DESCRIPTION_LIMIT,
            AnswerKind::Entry | AnswerKind::Tickets => ANSWER_LIMIT,
        }
    }
}

/// A question that was not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("the peer closed the stream without an answer")]
    NoAnswer,
    #[error("the peer does not know this question")]
    Unknown,
    #[error("the peer answered another question")]
    Mismatch,
    #[error("the peer did not answer in time")]
    TimedOut,
}

impl AskError {
    /// As what it is counted, if the peer is to blame.
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Message(error) => Refusal::of_message(error),
            Self::Mismatch => Some(Refusal::Malformed),
            Self::Open(_) | Self::NoAnswer | Self::Unknown | Self::TimedOut => None,
        }
    }
}

/// Asks, and waits for the answer; tells how long that took.
pub(super) async fn ask(
    shared: &Shared,
    link: &Link,
    question: &Question,
) -> Result<(Answer, Duration), AskError> {
    let exchange = async {
        let (send, recv) = link.open(StreamKind::Ask).await?;
        let mut writer = MessageWriter::new(send);
        let begun = Instant::now();
        writer.send(question).await?;
        writer.finish();
        let mut reader = MessageReader::new(recv, question.answer_limit());
        let bytes = reader.next_bytes().await?.ok_or(AskError::NoAnswer)?;
        // Only what was asked for is decoded any further.
        let kind: AnswerKind = decode_message(&bytes)?;
        if kind == AnswerKind::Unknown {
            return Err(AskError::Unknown);
        }
        if kind != question.answer_kind() {
            return Err(AskError::Mismatch);
        }
        let answer: Answer = decode_message(&bytes)?;
        match (question, &answer) {
            (Question::Fetch(peer), Answer::Entry(Some(entry))) if entry.peer() != Some(*peer) => {
                Err(AskError::Mismatch)
            }
            _ => Ok((answer, begun.elapsed())),
        }
    };
    let outcome = timeout(TIMEOUT, exchange).await.unwrap_or(Err(AskError::TimedOut));
    if let Some(refusal) = outcome.as_ref().err().and_then(AskError::refusal) {
        shared.refusals().count(refusal);
    }
    outcome
}

/// Answers one question of a peer; what cannot be read, and what is not known, is counted.
pub(super) async fn answer(shared: &Shared, link: &Link, send: SendStream, recv: RecvStream) {
    let mut reader = MessageReader::new(recv, QUESTION_LIMIT);
    let mut writer = MessageWriter::new(send);
    let count = |refusal: Option<Refusal>| {
        refusal.into_iter().for_each(|refusal| shared.refusals().count(refusal));
    };
    let exchange = async {
        if let Some(question) = reader.next_bytes().await? {
            let answer = match decode_message(&question) {
                Ok(question) => shared.answer(&link.peer(), question),
                Err(error) => {
                    count(Refusal::of_message(&error));
                    Answer::Unknown
                }
            };
            writer.send(&answer).await?;
            writer.finish();
        }
        Ok::<_, MessageError>(())
    };
    match timeout(TIMEOUT, exchange).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            count(Refusal::of_message(&error));
            tracing::debug!(peer = %link.peer(), %error, "a question failed");
        }
        Err(_) => {
            count(Some(Refusal::TimedOut));
            tracing::debug!(peer = %link.peer(), "a question took too long");
        }
    }
}

impl Shared {
    /// What this node answers.
    fn answer(&self, from: &PeerId, question: Question) -> Answer {
        match question {
            Question::Ping => Answer::Heard,
            Question::Describe(id) => Answer::Description(self.description(&id)),
            Question::Fetch(peer) => {
                let record = self.read(|state| state.record(&peer));
                Answer::Entry(record.map(|record| record.to_raw()))
            }
            Question::Skew { ours, yours } => {
                let (theirs, ours) = (date(ours), date(yours));
                self.compare_clocks(ClockSkew { peer: *from, ours, theirs });
                Answer::Heard
            }
            Question::Tickets(ids) => {
                let local = self.read(|state| state.local().clone());
                let wanted = local.tickets().iter().filter(|(id, _)| ids.contains(id));
                Answer::Tickets(wanted.map(|(_, ticket)| ticket.clone()).collect())
            }
            Question::TicketsChanged(version) => {
                self.want_newer(*from, version);
                Answer::Heard
            }
        }
    }

    /// Takes in the entry that was fetched; says whether it is here now.
    pub(super) fn take_fetched(&self, answer: Answer) -> bool {
        match answer {
            Answer::Entry(Some(entry)) => self.take(SyncItem::Entry(entry)).is_ok(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema;

    /// What a later version may ask.
    #[derive(Serialize)]
    enum Later {
        Ping {
            since: u64,
        },
        #[expect(dead_code, reason = "keeps the numbers of the variants")]
        B,
        #[expect(dead_code, reason = "keeps the numbers of the variants")]
        C,
        #[expect(dead_code, reason = "keeps the numbers of the variants")]
        D,
        #[expect(dead_code, reason = "keeps the numbers of the variants")]
        E,
        #[expect(dead_code, reason = "keeps the numbers of the variants")]
        F,
        Weather(String),
    }

    #[test]
    fn questions_of_a_later_version_are_understood_as_far_as_they_are_known() {
        let decode =
            |later: &Later| schema::decode_prefix::<Question>(&schema::encode(later).unwrap());
        assert_eq!(decode(&Later::Ping { since: 7 }), Ok(Question::Ping));
        assert!(decode(&Later::Weather("fine?".into())).is_err());
    }

    #[test]
    fn an_answer_is_known_by_its_first_byte() {
        let kind = |answer: Answer| {
            schema::decode_prefix::<AnswerKind>(&schema::encode(&answer).unwrap()).unwrap()
        };
        assert_eq!(kind(Answer::Unknown), AnswerKind::Unknown);
        assert_eq!(kind(Answer::Heard), AnswerKind::Heard);
        let described = Some(Description::new("prices"));
        assert_eq!(kind(Answer::Description(described)), AnswerKind::Description);
        assert_eq!(kind(Answer::Entry(None)), AnswerKind::Entry);
        assert_eq!(kind(Answer::Tickets(Vec::new())), AnswerKind::Tickets);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = schema::decode_prefix::<Question>(&bytes);
            let _ = schema::decode_prefix::<Answer>(&bytes);
        }
    }
}
