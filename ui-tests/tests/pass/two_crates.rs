//! Two crates that declare the same stream on their own, with types of different names, talk.

use futures::StreamExt;
use mosaik::{Datum, Network};

/// What `mosaik-ui-strict` calls `Reading`.
#[mosaik::stream("sensors.temperature")]
#[derive(Debug, PartialEq)]
struct Measurement {
    sensor: u64,
    celsius: f64,
    position: Point,
}

#[mosaik::data]
#[derive(Debug, PartialEq)]
struct Point {
    x: f32,
    y: f32,
}

#[test]
fn their_ids_and_schemas_agree() {
    use mosaik_ui_strict::Reading;

    assert_eq!(Measurement::STREAM_ID, Reading::STREAM_ID);
    assert_eq!(
        Measurement::schema().unwrap().fingerprint(),
        Reading::schema().unwrap().fingerprint(),
    );
}

#[mosaik::network_test(sim)]
async fn they_understand_each_other(nodes: [Network; 2]) {
    use mosaik_ui_strict::{Position, Reading};

    let mut inp = Measurement::consumer(&nodes[1]);
    let out = Reading::online_producer(&nodes[0]).await;
    let position = Position { x: 1.0, y: 2.0 };
    out.send(Reading { sensor: 1, celsius: 21.5, position }).await.unwrap();
    let position = Point { x: 1.0, y: 2.0 };
    assert_eq!(inp.next().await, Some(Measurement { sensor: 1, celsius: 21.5, position }));
}
