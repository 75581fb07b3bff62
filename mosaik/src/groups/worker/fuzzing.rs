//! The decoders of what workers say to each other.

use bytes::Bytes;

use super::messages::{Answer, Mark, Question, Word, decode, encode};
use crate::{
    decoder::Decoder,
    groups::{
        formation::{Message, Stage, Status},
        index::{Index, Term},
        member::{IncarnationId, MemberId},
        raft::{ReadPoint, Timing},
        state::SessionId,
    },
    id::Digest,
};

pub(crate) fn decoders() -> Vec<Decoder> {
    let (incarnation, member) = (IncarnationId::new(7, [7; 16]), MemberId::default());
    let timing = Timing::default();
    let found = Message::Found { nonce: 7, incarnation, voters: vec![member; 3], timing };
    let mark = Mark { index: Index(7), term: Term(7), time_us: 7 };
    let digest = Word::Digest { incarnation, mark, digest: Digest::zero() };
    let words = Decoder::new("groups/word", |bytes| decode::<Word>(bytes).is_some())
        .sample(encode(&Word::Formation(found)))
        .sample(encode(&Word::Leaving { incarnation }))
        .sample(encode(&digest))
        .sample(encode(&Word::Unwanted { incarnation, evict: vec![member], barred: vec![member] }));
    let run = Bytes::from_static(&[7; 40]);
    let questions = Decoder::new("groups/question", |bytes| decode::<Question>(bytes).is_some())
        .sample(encode(&Question::Append { incarnation, run }))
        .sample(encode(&Question::Open { incarnation, session: SessionId(7) }))
        .sample(encode(&Question::Read { incarnation }))
        .sample(encode(&Question::Heard));
    let point = ReadPoint { term: Term(7), entry: 7 };
    let answers = Decoder::new("groups/answer", |bytes| decode::<Answer>(bytes).is_some())
        .sample(encode(&Answer::Appended { first: Index(7) }))
        .sample(encode(&Answer::Read(point)));
    let status = Status {
        member,
        observer: false,
        reluctant: false,
        stage: Stage::Member,
        incarnation: Some(incarnation),
        leader: Some(member),
        leading: true,
        open: true,
        yielded_to: None,
        index: 7,
        voters: 3,
        timing,
        poisoned: false,
    };
    let statuses = Decoder::new("groups/status", |bytes| decode::<Status>(bytes).is_some())
        .sample(encode(&status));
    vec![words, questions, answers, statuses]
}
