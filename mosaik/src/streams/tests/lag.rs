//! Consumers that do not keep up.

use tokio::{sync::broadcast, time::Instant};

use super::*;
use crate::streams::{consumer::Event, producer::OnLag};

/// Beyond what the transport holds of a stream that nobody reads.
const LARGE: usize = 50_000;

fn datum(number: u64) -> Vec<u8> {
    let mut datum = vec![7; LARGE];
    datum[..8].copy_from_slice(&number.to_le_bytes());
    datum
}

fn number(datum: &[u8]) -> u64 {
    u64::from_le_bytes(datum[..8].try_into().unwrap())
}

async fn pair(n: &[Network], on_lag: OnLag) -> (Producer<Vec<u8>>, Consumer<Vec<u8>>) {
    let builder = n[0].streams().producer::<Vec<u8>>().with_buffer_size(16).on_lag(on_lag);
    let producer = builder.build().unwrap();
    let consumer = n[1].streams().consume::<Vec<u8>>();
    soon(producer.when().online()).await;
    (producer, consumer)
}

async fn until_too_slow(events: &mut broadcast::Receiver<Event>) {
    while !matches!(
        soon(events.recv()).await.unwrap(),
        Event::Disconnected { error: SubscribeError::TooSlow, .. }
    ) {}
}

#[tokio::test(start_paused = true)]
async fn under_drop_oldest_the_producer_never_waits_and_the_consumer_knows_what_it_missed() {
    let n = nodes(2).await;
    let (producer, mut consumer) = pair(&n, OnLag::DropOldest).await;
    for i in 0..200 {
        timeout(Duration::from_millis(1), producer.send(datum(i))).await.unwrap().unwrap();
        producer.try_send(datum(i)).unwrap();
    }
    let (mut received, mut last) = (0, None);
    while last != Some(199) || received % 2 == 1 {
        let next = number(&soon(consumer.recv()).await.unwrap());
        assert!(last.is_none_or(|last| last <= next), "in order");
        (received, last) = (received + 1, Some(next));
        if received + consumer.missed() == 400 {
            break;
        }
    }
    assert_eq!((received + consumer.missed(), last), (400, Some(199)));
    assert!(consumer.missed() > 100, "{}", consumer.missed());
    assert_eq!(producer.consumers().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn under_disconnect_the_consumer_is_cut_and_comes_back_for_what_is_new() {
    let n = nodes(2).await;
    let (producer, mut consumer) = pair(&n, OnLag::Disconnect).await;
    let mut events = consumer.events();
    soon(consumer.when().subscribed()).await;
    for i in 0..200 {
        // It comes back meanwhile, or not.
        let sent = producer.send_timeout(datum(i), Duration::from_millis(1)).await;
        assert!(matches!(sent, Ok(()) | Err(SendError::Offline(_))));
    }
    until_too_slow(&mut events).await;
    soon(producer.when().online()).await;
    producer.send(datum(1000)).await.unwrap();
    while number(&soon(consumer.recv()).await.unwrap()) != 1000 {}
    assert!(consumer.missed() > 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_before_anything_has_arrived_knows_what_it_missed() {
    let n = nodes(2).await;
    let (producer, mut consumer) = pair(&n, OnLag::Disconnect).await;
    let mut sent = 0;
    while producer.try_send(datum(sent)).is_ok() {
        sent += 1;
        // The consumer does not run meanwhile, the producer's tasks do.
        if producer.consumers().count() == 0 || sent == 100 {
            break;
        }
    }
    soon(producer.when().unsubscribed()).await;
    soon(producer.when().online()).await;
    producer.send(datum(1000)).await.unwrap();
    let mut received = 0;
    while number(&soon(consumer.recv()).await.unwrap()) != 1000 {
        received += 1;
    }
    assert_eq!(received + consumer.missed(), sent);
}

#[tokio::test(start_paused = true)]
async fn a_burst_does_not_cut_who_reads_all_the_time() {
    for on_lag in [OnLag::Disconnect, OnLag::DropOldest] {
        let n = nodes(7).await;
        let producer = n[0].streams().producer::<u64>().on_lag(on_lag).build().unwrap();
        let consumers = n[1..].iter().map(|node| node.streams().consume::<u64>());
        let consumers: Vec<_> = consumers.collect();
        soon(producer.when().subscribed().minimum_of(6)).await;
        for i in 0..5000 {
            producer.send(i).await.unwrap();
        }
        for mut consumer in consumers {
            for i in 0..5000 {
                assert_eq!(soon(consumer.recv()).await, Some(i));
            }
            assert_eq!(consumer.missed(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_stalls_is_cut_and_does_not_hold_the_producer_again_before_it_has_caught_up() {
    let n = nodes(3).await;
    let (producer, mut stalled) = pair(&n, OnLag::Block).await;
    let mut other = n[2].streams().consume::<Vec<u8>>();
    soon(producer.when().subscribed().minimum_of(2)).await;
    let mut events = stalled.events();
    let reading = tokio::spawn(async move {
        let mut expected = 0;
        while let Some(datum) = other.recv().await {
            assert_eq!(number(&datum), expected);
            expected += 1;
        }
    });
    let started = Instant::now();
    for i in 0..100 {
        producer.send(datum(i)).await.unwrap();
    }
    let waited = started.elapsed();
    assert!(waited > Duration::from_secs(30) && waited < Duration::from_secs(40), "{waited:?}");
    until_too_slow(&mut events).await;
    soon(producer.when().subscribed().minimum_of(2)).await;
    let started = Instant::now();
    for i in 100..200 {
        producer.send(datum(i)).await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // Once it reads again nothing is lost any more.
    soon(producer.when().subscribed().minimum_of(2)).await;
    let sender = producer.clone();
    tokio::spawn(async move {
        for i in 200.. {
            sleep(Duration::from_millis(5)).await;
            if sender.send(datum(i)).await.is_err() {
                return;
            }
        }
    });
    let mut last = None;
    for _ in 0..200 {
        last = Some(number(&soon(stalled.recv()).await.unwrap()));
    }
    let missed = stalled.missed();
    assert!(missed > 0);
    for i in last.unwrap() + 1..last.unwrap() + 300 {
        assert_eq!(number(&soon(stalled.recv()).await.unwrap()), i);
    }
    assert_eq!(stalled.missed(), missed);
    assert!(!reading.is_finished());
}

#[tokio::test(start_paused = true)]
async fn who_reads_now_and_then_is_not_cut() {
    let n = nodes(2).await;
    let (producer, mut consumer) = pair(&n, OnLag::Block).await;
    let sending = tokio::spawn(async move {
        for i in 0..80 {
            producer.send(datum(i)).await.unwrap();
        }
        producer
    });
    for i in 0..80 {
        if i < 10 {
            sleep(Duration::from_secs(25)).await;
        }
        assert_eq!(number(&soon(consumer.recv()).await.unwrap()), i);
    }
    soon(sending).await.unwrap();
    assert_eq!(consumer.missed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_send_gives_the_datum_back_after_its_time() {
    let n = nodes(2).await;
    let producer = n[0].streams().produce::<u64>();
    let started = Instant::now();
    let sent = producer.send_timeout(1, Duration::from_secs(3)).await;
    assert!(matches!(sent, Err(SendError::Offline(1))));
    assert_eq!(started.elapsed(), Duration::from_secs(3));
    let mut consumer = n[1].streams().consume::<u64>();
    producer.send_timeout(2, Duration::from_secs(10)).await.unwrap();
    assert_eq!(soon(consumer.recv()).await, Some(2));
    let (producer, _consumer) = pair(&n, OnLag::Block).await;
    let full = async {
        for i in 0.. {
            match producer.send_timeout(datum(i), Duration::from_millis(100)).await {
                Ok(()) => {}
                Err(error) => return error,
            }
        }
        unreachable!()
    };
    assert!(matches!(soon(full).await, SendError::Full(_)));
}

#[tokio::test(start_paused = true)]
async fn a_send_with_a_time_ends_though_the_window_has_shrunk_meanwhile() {
    let n = nodes(2).await;
    let builder = n[0].streams().producer::<u64>().with_buffer_size(8);
    let producer = builder.online_when(|c| c.minimum_of(0)).build().unwrap();
    let _consumer = n[1].streams().consume::<u64>();
    soon(producer.when().subscribed()).await;
    for i in 0..20 {
        soon(producer.send(i)).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    let net = n[0].sim().unwrap().clone();
    net.partition(&[vec![n[0].local().id()], vec![n[1].local().id()]]);
    soon(producer.when().unsubscribed()).await;
    let started = Instant::now();
    let sent = producer.send_timeout(20, Duration::from_secs(1)).await;
    assert!(matches!(sent, Err(SendError::Full(20))), "{sent:?}");
    assert_eq!(started.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn the_longest_times_mean_for_ever_and_no_time_at_all_cuts_nobody_who_reads() {
    let n = nodes(2).await;
    let builder = n[0].streams().producer::<u64>().with_resume_window(Duration::MAX);
    let builder = builder.online_when(|c| c.minimum_of(0)).with_stall_timeout(Duration::MAX);
    let producer = builder.build().unwrap();
    let mut consumer = n[1].streams().consume::<u64>();
    soon(producer.when().subscribed()).await;
    producer.send_timeout(1, Duration::MAX).await.unwrap();
    assert_eq!(soon(consumer.recv()).await, Some(1));
    let net = n[0].sim().unwrap().clone();
    net.partition(&[vec![n[0].local().id()], vec![n[1].local().id()]]);
    soon(producer.when().unsubscribed()).await;
    producer.send_timeout(2, Duration::MAX).await.unwrap();
    sleep(Duration::from_secs(100)).await;
    net.heal();
    let received = timeout(Duration::from_secs(60), consumer.recv()).await;
    assert_eq!((received.unwrap(), consumer.missed()), (Some(2), 0));

    let builder = n[0].streams().producer::<u32>().with_stall_timeout(Duration::ZERO);
    let producer = builder.build().unwrap();
    let mut consumer = n[1].streams().consume::<u32>();
    soon(producer.when().subscribed()).await;
    let reading = tokio::spawn(async move {
        for i in 0..5000 {
            assert_eq!(soon(consumer.recv()).await, Some(i));
        }
    });
    for i in 0..5000 {
        producer.send(i).await.unwrap();
    }
    soon(reading).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sink_sends_as_much_as_there_is_room_for_to_a_consumer_that_does_not_read() {
    for on_lag in [OnLag::Block, OnLag::DropOldest, OnLag::Disconnect] {
        let n = nodes(2).await;
        let builder = n[0].streams().producer::<u64>().on_lag(on_lag);
        let mut producer = builder.build().unwrap();
        let mut consumer = n[1].streams().consume::<u64>();
        soon(producer.when().online()).await;
        for i in 0..1000 {
            soon(SinkExt::send(&mut producer, i)).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        for i in 0..1000 {
            assert_eq!(soon(consumer.recv()).await, Some(i));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_cut_and_has_caught_up_loses_nothing_again() {
    let n = nodes(2).await;
    let (producer, mut consumer) = pair(&n, OnLag::Block).await;
    let mut events = consumer.events();
    for i in 0..100 {
        let sent = producer.send_timeout(datum(i), Duration::from_secs(60)).await;
        assert!(matches!(sent, Ok(()) | Err(SendError::Offline(_))), "{sent:?}");
    }
    until_too_slow(&mut events).await;
    let sender = producer.clone();
    tokio::spawn(async move {
        for i in 1000.. {
            sleep(Duration::from_millis(5)).await;
            if sender.send(datum(i)).await.is_err() {
                return;
            }
        }
    });
    let mut last = 0;
    while last < 1100 {
        last = number(&soon(consumer.recv()).await.unwrap());
    }
    let missed = consumer.missed();
    assert!(missed > 0);
    // As much waits for it as its window and the transport hold when its connection breaks.
    sleep(Duration::from_secs(5)).await;
    let net = n[0].sim().unwrap().clone();
    net.partition(&[vec![n[0].local().id()], vec![n[1].local().id()]]);
    soon(producer.when().offline()).await;
    net.heal();
    for i in last + 1..last + 200 {
        let received = timeout(Duration::from_secs(60), consumer.recv()).await;
        assert_eq!(number(&received.unwrap().unwrap()), i);
    }
    assert_eq!(consumer.missed(), missed);
}

#[tokio::test(start_paused = true)]
async fn a_flush_ends_though_nobody_reads_where_the_producer_waits_for_nobody() {
    for on_lag in [OnLag::DropOldest, OnLag::Disconnect] {
        let n = nodes(2).await;
        let (mut producer, _consumer) = pair(&n, on_lag).await;
        for i in 0..200 {
            // Under `disconnect` the consumer is cut, and comes back.
            let sending = SinkExt::send(&mut producer, datum(i));
            soon(sending).await.unwrap();
        }
        let closing = SinkExt::<Vec<u8>>::close(&mut producer);
        timeout(Duration::from_millis(1), closing).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn with_no_time_to_stall_who_does_not_read_holds_the_producer_for_a_tenth_of_a_second() {
    let n = nodes(2).await;
    let builder = n[0].streams().producer::<Vec<u8>>().with_buffer_size(16);
    let producer = builder.with_stall_timeout(Duration::ZERO).build().unwrap();
    let consumer = n[1].streams().consume::<Vec<u8>>();
    soon(producer.when().online()).await;
    let mut events = consumer.events();
    let started = Instant::now();
    for i in 0..100 {
        let sent = producer.send_timeout(datum(i), Duration::from_secs(5)).await;
        assert!(matches!(sent, Ok(()) | Err(SendError::Offline(_))), "{sent:?}");
    }
    until_too_slow(&mut events).await;
    let held = started.elapsed();
    assert!(held >= Duration::from_millis(100) && held < Duration::from_secs(2), "{held:?}");
}
