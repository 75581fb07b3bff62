//! A node in a process of its own. Prints its ticket, then what it is asked for.
//!
//! `test-node NETWORK produce`: streams rising numbers.
//! `test-node NETWORK consume`: prints the numbers that it receives.
//! `test-node NETWORK cycles`: subscribes and unsubscribes 1,000 times; prints, after 200 and after
//! 1,000 cycles, how many tasks run and how many bytes are resident.
//! `test-node NETWORK watch DIRECTORY`: finds others through the local directory, prints them.
//! `test-node NETWORK mdns`: listens on all interfaces, finds others on the LAN, prints them.
//! `test-node NETWORK no-mdns`: listens on all interfaces, and finds nobody by itself.
//! `test-node NETWORK group PROFILE`: a voter of a `Strict(3)` group with the times of that profile,
//! `fast` or `default`; reads `know TICKET` lines, prints `total N` when its state has changed, and as
//! leader `voter ID` when somebody votes from now on.
//! `test-node NETWORK far-group PROFILE`: the same on all interfaces; also reads `add N`, gives that
//! command until it is answered, and prints `added TOTAL`; prints `leader ID` when another leads.
//! `test-node NETWORK fill COMMANDS`: gives a group of three members in this process so many commands,
//! and prints, after each quarter of them, how many those were and how many bytes are resident.
//! `test-node NETWORK announce MILLISECONDS`: gives a sign of life that often.

use std::time::Duration;

use mosaik::{
    Bytes, Network, UniqueId,
    discovery::{Config, Event, NodeTicket},
    futures::{StreamExt, future::try_join_all},
    groups::{
        ApplyContext, CommandError, ConsensusConfig, Group, GroupEvent, GroupKey, Quorum,
        StateMachine, decode_state, encode_state,
    },
    primitives::encoding::{DecodeError, EncodeError},
};
use mosaik_tests::Counter;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::broadcast::error::RecvError,
};

const USAGE: &str = "usage: test-node NETWORK \
    produce | consume | cycles | group PROFILE | far-group PROFILE | fill COMMANDS | watch DIRECTORY | mdns | no-mdns | announce MILLISECONDS";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [name, "produce"] => produce(lone(name).await?).await,
        [name, "consume"] => consume(lone(name).await?).await,
        [name, "cycles"] => cycles(name).await,
        [name, "group", profile] => group(lone(name).await?, profile).await,
        [name, "far-group", profile] => group(on_lan(name, false).await?, profile).await,
        [name, "fill", commands] => fill(name, commands.parse()?).await,
        [name, "watch", directory] => watch(local(name, directory).await?).await,
        [name, "mdns"] => watch(on_lan(name, true).await?).await,
        [name, "no-mdns"] => watch(on_lan(name, false).await?).await,
        [name, "announce", interval] => watch(announcer(name, interval.parse()?).await?).await,
        _ => anyhow::bail!("{USAGE}"),
    }
}

async fn lone(name: &str) -> anyhow::Result<Network> {
    start(name, Config::builder().with_local(false).with_mdns(false)).await
}

async fn local(name: &str, directory: &str) -> anyhow::Result<Network> {
    start(name, Config::builder().with_local_directory(directory).with_mdns(false)).await
}

async fn announcer(name: &str, interval_ms: u64) -> anyhow::Result<Network> {
    let interval = Duration::from_millis(interval_ms);
    start(
        name,
        Config::builder().with_local(false).with_mdns(false).with_announce_interval(interval),
    )
    .await
}

async fn on_lan(name: &str, mdns: bool) -> anyhow::Result<Network> {
    mosaik_tests::trace();
    let discovery = Config::builder().with_local(false).with_mdns(mdns);
    let network = Network::builder(name).offline().with_discovery(discovery).build().await?;
    println!("{}", network.local().ticket());
    Ok(network)
}

async fn start(name: &str, discovery: mosaik::discovery::ConfigBuilder) -> anyhow::Result<Network> {
    mosaik_tests::trace();
    let builder = Network::builder(name).offline().bind("127.0.0.1:0".parse()?);
    let network = builder.with_discovery(discovery).build().await?;
    println!("{}", network.local().ticket());
    Ok(network)
}

async fn produce(network: Network) -> anyhow::Result<()> {
    let producer = network.streams().produce::<u64>();
    for number in 0.. {
        producer.send(number).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

async fn consume(network: Network) -> anyhow::Result<()> {
    let mut consumer = network.streams().consume::<u64>();
    while let Some(number) = consumer.next().await {
        println!("{number}");
    }
    Ok(())
}

async fn cycles(name: &str) -> anyhow::Result<()> {
    let (here, there) = (lone(name).await?, mosaik_tests::lone(name).build().await?);
    there.discovery().sync_with(here.local().addr()).await?;
    let producer = here.streams().produce::<u64>();
    for cycle in 1..=1_000 {
        let mut consumer = there.streams().consume::<u64>();
        producer.send(cycle).await?;
        anyhow::ensure!(consumer.next().await == Some(cycle), "cycle {cycle} was lost");
        drop(consumer);
        producer.when().unsubscribed().await;
        if cycle == 200 || cycle == 1_000 {
            // The tasks of the last subscription end on their own time.
            tokio::time::sleep(Duration::from_millis(500)).await;
            let tasks = here.running_tasks() + there.running_tasks();
            println!("{cycle} {tasks} {}", mosaik_tests::resident_bytes());
        }
    }
    Ok(())
}

async fn watch(network: Network) -> anyhow::Result<()> {
    let mut events = network.discovery().events();
    while let Ok(event) = events.recv().await {
        match event {
            Event::PeerDiscovered(entry) => println!("discovered {}", entry.id()),
            Event::PeerUpdated(entry) => println!("updated {}", entry.id()),
            Event::PeerDeparted(id) => println!("departed {id}"),
        }
    }
    Ok(())
}

async fn group(network: Network, profile: &str) -> anyhow::Result<()> {
    let mut consensus = match profile {
        "fast" => ConsensusConfig::fast(),
        "default" => ConsensusConfig::default(),
        _ => anyhow::bail!("{USAGE}"),
    };
    // A voter that was killed is to be replaced soon.
    consensus.evict_after = Duration::from_secs(1);
    let group = network
        .groups()
        .with_key(GroupKey::from_secret("tests"))
        .with_state_machine(Counter::default())
        .with_quorum(Quorum::Strict(3))
        .with_consensus_config(consensus)
        .join();
    let mut events = group.events();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut shown = 0;
    let mut followed = None;
    loop {
        let total = group.read(|counter| counter.total);
        if total != shown {
            shown = total;
            println!("total {total}");
        }
        let leader = group.leader();
        if leader != followed
            && let Some(leader) = leader
        {
            println!("leader {leader}");
        }
        followed = leader;
        tokio::select! {
            line = lines.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                if let Some(ticket) = line.strip_prefix("know ") {
                    let ticket: NodeTicket = ticket.parse()?;
                    network.discovery().dial(ticket.address().clone()).await;
                }
                if let Some(number) = line.strip_prefix("add ") {
                    tokio::spawn(add(group.clone(), number.parse()?));
                }
            }
            event = events.recv() => match event {
                Ok(GroupEvent::VoterAdded(peer, _)) => println!("voter {peer}"),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
}

async fn add(group: Group<Counter>, number: u64) {
    match surely(&group, number).await {
        Ok(total) => println!("added {total}"),
        Err(error) => println!("failed {error}"),
    }
}

/// Executes a command until it is answered.
async fn surely<M>(group: &Group<M>, number: u64) -> Result<u64, CommandError<M>>
where
    M: StateMachine<Command = u64, Response = u64>,
{
    let mut answer = group.execute(number).await.map(|committed| *committed);
    loop {
        answer = match answer {
            Err(CommandError::Timeout(pending)) => {
                pending.retry().await.map(|committed| committed[0])
            }
            Err(CommandError::Offline(_)) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                group.execute(number).await.map(|committed| *committed)
            }
            other => return other,
        };
    }
}

/// Adds up, and takes as much room however long it does.
#[derive(Clone, Default)]
struct Sum(u64);

impl StateMachine for Sum {
    type Command = u64;
    type Response = u64;
    type Query = ();
    type QueryResult = u64;

    fn signature(&self) -> UniqueId {
        "tests.sum".into()
    }

    fn apply(&mut self, by: u64, _: &ApplyContext) -> u64 {
        self.0 += by;
        self.0
    }

    fn query(&self, (): ()) -> u64 {
        self.0
    }

    fn snapshot(&self) -> Result<Bytes, EncodeError> {
        encode_state(&self.0)
    }

    fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_state(bytes).map(Self)
    }
}

async fn fill(name: &str, commands: u64) -> anyhow::Result<()> {
    const MEMBERS: usize = 3;
    const AT_ONCE: u64 = 250;
    let mut nodes = vec![lone(name).await?];
    while nodes.len() < MEMBERS {
        let node = mosaik_tests::lone(name).build().await?;
        node.discovery().sync_with(nodes[0].local().addr()).await?;
        nodes.push(node);
    }
    let join = |node: &Network| {
        let builder = node.groups().with_key(GroupKey::from_secret("tests"));
        let builder = builder.with_state_machine(Sum::default()).snapshot_every(commands / 20);
        builder.with_quorum(Quorum::Strict(MEMBERS)).join()
    };
    let groups: Vec<_> = nodes.iter().map(join).collect();
    for quarter in 1..=4 {
        for _ in 0..commands / 4 / AT_ONCE {
            try_join_all((0..AT_ONCE).map(|_| surely(&groups[0], 1))).await?;
        }
        let given = quarter * (commands / 4 / AT_ONCE) * AT_ONCE;
        anyhow::ensure!(groups[0].read(|sum| sum.0) == given, "some were lost or doubled");
        println!("{given} {}", mosaik_tests::resident_bytes());
    }
    Ok(())
}
