//! `#[stream]`: every form, sending through it.

use futures::StreamExt;
use mosaik::{
    ConsumerOf, Datum, Network, ProducerOf, StreamId, StreamProducer, Tag, data, stream, tag,
};

const TRUSTED: Tag = tag!("trusted");

#[stream("ui.reading")]
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub sensor: u64,
    pub celsius: f64,
}

#[stream]
#[derive(Debug, Clone, PartialEq)]
pub enum Tick {
    Up(u8),
    Down { by: u16 },
    Stop,
}

#[stream("ui.wrapper")]
#[derive(Debug, Clone, PartialEq)]
pub struct Wrapper<T: Clone, const N: u32 = 3>
where
    T: PartialEq,
{
    pub value: T,
}

#[data]
#[derive(Debug, Clone, PartialEq)]
pub struct Price(f64);

#[stream("ui.eth", datum = Price)]
pub struct EthPrice;

#[stream("ui.btc", datum = Price)]
pub struct BtcPrice;

#[stream("ui.prices", datum = Vec<Price>)]
pub struct Prices;

#[stream(
    "ui.busy",
    buffer = 4 * 4,
    max_consumers = 8,
    on_lag = "disconnect",
    retain = 20,
    online_when = |c| c.minimum_of(1),
    require = |peer| !peer.tags().contains(&TRUSTED),
    require = reachable,
    producer(online_when = |c| c.minimum_of(1), require = |peer| peer.network_id().len() == 32),
    consumer(online_when = |c| c.minimum_of(0), require = |_| true),
)]
#[derive(Debug, PartialEq)]
pub struct Busy(u8);

fn reachable(_: &mosaik::discovery::PeerInfo) -> bool {
    true
}

#[mosaik::network_test(sim)]
async fn a_struct_travels(nodes: [Network; 2]) {
    let out = Reading::producer(&nodes[0]);
    let mut inp = Reading::consumer(&nodes[1]);
    out.when().online().await;
    let reading = Reading { sensor: 1, celsius: 21.5 };
    out.send(reading.clone()).await.unwrap();
    assert_eq!(inp.next().await, Some(reading));
}

#[mosaik::network_test(sim)]
async fn an_enum_travels(nodes: [Network; 2]) {
    let mut inp = Tick::consumer(&nodes[1]);
    let out = Tick::online_producer(&nodes[0]).await;
    for tick in [Tick::Up(1), Tick::Down { by: 2 }, Tick::Stop] {
        out.send(tick.clone()).await.unwrap();
        assert_eq!(inp.next().await, Some(tick));
    }
}

#[mosaik::network_test(sim)]
async fn a_generic_type_travels_under_an_id_of_its_own(nodes: [Network; 2]) {
    let mut inp: ConsumerOf<Wrapper<Reading>> = Wrapper::consumer(&nodes[1]);
    let out: ProducerOf<Wrapper<Reading>> = Wrapper::online_producer(&nodes[0]).await;
    let value = Wrapper { value: Reading { sensor: 2, celsius: 0.0 } };
    out.send(value.clone()).await.unwrap();
    assert_eq!(inp.next().await, Some(value));

    let ids = [
        Wrapper::<Reading>::derived_stream_id(),
        Wrapper::<Reading, 4>::derived_stream_id(),
        Wrapper::<u8>::derived_stream_id(),
        Wrapper::<Wrapper<u8>>::derived_stream_id(),
    ];
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
    assert_eq!(Wrapper::<u8>::INTENT, "ui.wrapper");
}

#[mosaik::network_test(sim)]
async fn one_type_has_several_names(nodes: [Network; 2]) {
    let mut eth_in = EthPrice::consumer(&nodes[1]);
    let mut btc_in = BtcPrice::consumer(&nodes[1]);
    let mut all_in = Prices::consumer(&nodes[1]);
    let eth = EthPrice::online_producer(&nodes[0]).await;
    let btc = BtcPrice::online_producer(&nodes[0]).await;
    let all = <Prices as StreamProducer>::online_producer(&nodes[0]).await;
    eth.send(Price(1.0)).await.unwrap();
    btc.send(Price(2.0)).await.unwrap();
    all.send(vec![Price(3.0)]).await.unwrap();
    assert_eq!(eth_in.next().await, Some(Price(1.0)));
    assert_eq!(btc_in.next().await, Some(Price(2.0)));
    assert_eq!(all_in.next().await, Some(vec![Price(3.0)]));
    assert_eq!(eth.stream_id(), &EthPrice::STREAM_ID);
    assert_eq!(EthPrice::STREAM_ID, StreamId::from("ui.eth"));
}

#[mosaik::network_test(sim)]
async fn options_reach_the_handles(nodes: [Network; 2]) {
    let mut inp = Busy::online_consumer(&nodes[1]).await;
    let out = Busy::producer(&nodes[0]);
    assert_eq!(out.config().buffer_size, 16);
    assert_eq!(out.config().max_consumers, 8);
    assert_eq!(out.config().on_lag, mosaik::streams::producer::OnLag::Disconnect);
    assert_eq!(out.config().retain, 20);
    out.when().online().await;
    out.send(Busy(1)).await.unwrap();
    assert_eq!(inp.next().await, Some(Busy(1)));
}

#[mosaik::network_test(sim)]
async fn a_second_producer_is_the_first(network: Network) {
    let first = Reading::producer(&network);
    let second = network.streams().produce::<Reading>();
    assert_eq!(first.stream_id(), second.stream_id());
}

#[test]
fn names_are_what_was_written() {
    assert_eq!(Reading::INTENT, "ui.reading");
    assert_eq!(Reading::STREAM_ID, StreamId::from("ui.reading"));
    assert_eq!(Reading::intent(), "ui.reading");
    assert_eq!(Tick::INTENT, "mosaik-ui-tests::Tick");
    assert_eq!(Tick::derived_stream_id(), Tick::STREAM_ID);
}
