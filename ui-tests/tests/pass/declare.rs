//! `declare::stream!`: the published grammar.

use futures::StreamExt;
use mosaik::*;

const NUMBERS: StreamId = unique_id!("declared.numbers");

declare::stream!(
    /// By the datum's own name.
    pub Texts = String
);

declare::stream!(pub(crate) Numbers = u64, NUMBERS);

declare::stream!(
    #[derive(Debug, Clone)]
    Listed = Vec<Option<u8>>, "declared.listed",
    require: |peer| peer.network_id().len() == 32,
    producer require: |_| true,
    consumer require: |peer| !peer.tags().contains(&tag!("banned")),
    producer online_when: |c| c.minimum_of(1),
    consumer online_when: |c| c.minimum_of(0),
    criteria: Criteria::default(),
    buffer_size: 16,
    disconnect_lagging: false,
    backoff: mosaik::streams::backoff::ConstantBuilder::default(),
    max_consumers: 8,
);

declare::stream!(producer NumbersOut = u64, NUMBERS, online_when: |c| c.minimum_of(1));
declare::stream!(consumer NumbersIn = u64, NUMBERS,);

declare::stream!(Called = u64, StreamId::from("declared.called"));
declare::stream!(producer = u64, "a side word may be a name");
declare::stream!(Generic<T: Datum> = T, "declared.generic");

#[mosaik::network_test(sim)]
async fn both_ends_meet(nodes: [Network; 2]) {
    let mut inp = Listed::consumer(&nodes[1]);
    let out = Listed::online_producer(&nodes[0]).await;
    assert_eq!(out.config().buffer_size, 16);
    assert_eq!(out.config().on_lag, mosaik::streams::producer::OnLag::DropOldest);
    out.send(vec![None, Some(1)]).await.unwrap();
    assert_eq!(inp.next().await, Some(vec![None, Some(1)]));
}

#[mosaik::network_test(sim)]
async fn sides_are_declared_apart(nodes: [Network; 2]) {
    let mut inp = NumbersIn::consumer(&nodes[1]);
    let out: ProducerOf<NumbersOut> = NumbersOut::online_producer(&nodes[0]).await;
    out.send(7).await.unwrap();
    assert_eq!(inp.next().await, Some(7));
    assert_eq!(Numbers::producer(&nodes[0]).stream_id(), &NUMBERS);
}

#[mosaik::network_test(sim)]
async fn ids_come_from_wherever_it_says(network: Network) {
    assert_eq!(Texts::consumer(&network).stream_id(), &String::derived_stream_id());
    assert_eq!(Called::consumer(&network).stream_id(), &StreamId::from("declared.called"));
    assert_eq!(producer::consumer(&network).stream_id(), &producer::STREAM_ID);
    let generic = Generic::<String>::consumer(&network);
    assert_eq!(generic.stream_id(), &StreamId::from("declared.generic"));
}
