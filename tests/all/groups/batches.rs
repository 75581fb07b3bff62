//! A state machine that applies batches in its own way, and commands that are refused before they
//! are sent.

use mosaik::{
    Bytes, Group, GroupKey, Network, UniqueId,
    groups::{
        ApplyContext, CommandError, ConsensusConfig, Index, Quorum, StateMachine, decode_state,
        encode_state,
    },
    primitives::encoding::{DecodeError, EncodeError},
};
use mosaik_tests::{eventually, secs, within};
use serde::{Deserialize, Serialize, Serializer, ser};

const LIMIT: usize = 8 * 1024 * 1024;

/// Cannot be encoded if it is empty.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Word(String);

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return Err(ser::Error::custom("there is no word"));
        }
        serializer.serialize_newtype_struct("Word", &self.0)
    }
}

/// Remembers the lengths of words, how many batches there were, and where each word stood.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Words {
    lengths: Vec<usize>,
    batches: u64,
    places: Vec<Index>,
}

impl StateMachine for Words {
    type Command = Word;
    type Response = usize;
    type Query = ();
    type QueryResult = u64;

    fn signature(&self) -> UniqueId {
        "tests.words".into()
    }

    fn apply(&mut self, Word(word): Word, ctx: &ApplyContext) -> usize {
        self.lengths.push(word.len());
        self.places.push(ctx.index());
        word.len()
    }

    fn apply_batch(
        &mut self,
        commands: impl IntoIterator<Item = Word>,
        ctx: &ApplyContext,
    ) -> Vec<usize> {
        self.batches += 1;
        let mut ctx = ctx.clone();
        let mut responses = Vec::new();
        for command in commands {
            let silent = command.0 == "silent";
            let response = self.apply(command, &ctx);
            ctx.advance();
            // One that breaks the rule: it is not answered.
            if !silent {
                responses.push(response);
            }
        }
        responses
    }

    fn query(&self, (): ()) -> u64 {
        self.batches
    }

    fn snapshot(&self) -> Result<Bytes, EncodeError> {
        encode_state(self)
    }

    fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_state(bytes)
    }
}

fn join(node: &Network) -> Group<Words> {
    let builder = node.groups().with_key(GroupKey::from_secret("tests"));
    let builder = builder.with_state_machine(Words::default()).with_quorum(Quorum::Strict(3));
    builder.with_consensus_config(ConsensusConfig::fast()).join()
}

fn words(words: &[&str]) -> Vec<Word> {
    words.iter().map(|word| Word((*word).to_owned())).collect()
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_machine_s_own_way_with_batches_is_taken_on_every_member(nodes: [Network; 3]) {
    let groups = nodes.each_ref().map(join);
    for group in &groups {
        within(secs(20), "its start", group.when().online()).await;
    }
    for group in &groups {
        let batch = group.execute_many(words(&["a", "bcd", "ef"]));
        let batch = within(secs(5), "a batch", batch).await.unwrap();
        assert_eq!(batch[..], [1, 3, 2]);
    }
    // One by itself is no batch.
    let one = within(secs(5), "a command", groups[0].execute(Word("g".into()))).await.unwrap();
    assert_eq!((one.index(), *one), (Index(10), 1));
    let mismatched = groups[1].execute_many(words(&["h", "silent"]));
    let mismatched = within(secs(5), "a batch", mismatched).await;
    let told = matches!(mismatched, Err(CommandError::Undecodable { index }) if index == 11);
    assert!(told, "{mismatched:?}");
    for group in &groups {
        eventually(secs(5), "all of them", || group.committed() == 12).await;
        let state = group.read(Clone::clone);
        assert_eq!(state.batches, 4);
        assert_eq!(state.lengths, [1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 1, 6]);
        assert_eq!(state.places, (1..=12).map(Index).collect::<Vec<_>>());
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 1)]
async fn what_cannot_be_encoded_or_is_too_large_comes_back(nodes: [Network; 3]) {
    let groups = nodes.each_ref().map(join);
    let group = &groups[0];
    within(secs(20), "its start", group.when().online()).await;
    let nothing = words(&["a", ""]);
    match within(secs(5), "a refusal", group.execute_many(nothing.clone())).await {
        Err(CommandError::Encoding(back, _)) => assert_eq!(back, nothing),
        other => panic!("{other:?}"),
    }
    let fed = within(secs(5), "a refusal", group.feed(Word(String::new()))).await;
    assert!(matches!(fed, Err(CommandError::Encoding(..))), "{fed:?}");
    let large = Word("x".repeat(LIMIT));
    match within(secs(5), "a refusal", group.execute(large.clone())).await {
        Err(CommandError::TooLarge { commands, size, limit }) => {
            assert_eq!((limit, commands), (LIMIT, vec![large]));
            assert!(size > limit && size < limit + 16, "{size}");
        }
        other => panic!("{:?}", other.map(|done| done.index())),
    }
    // Together they are, although neither is.
    let halves = [Word("x".repeat(LIMIT / 2)), Word("y".repeat(LIMIT / 2))];
    let fed = within(secs(5), "a refusal", group.feed_many(halves)).await;
    assert!(matches!(fed, Err(CommandError::TooLarge { .. })), "{fed:?}");
    let next = within(secs(5), "a command", group.execute(Word("a".into()))).await.unwrap();
    assert_eq!(next.index(), 1);
}
