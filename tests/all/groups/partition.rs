//! Members in processes of their own, between which the network is cut.
//!
//! Each is a host in a network namespace, whose only neighbour is a router; what is cut is not
//! forwarded there any more, and there is no other path.

use std::{cell::RefCell, process::Command, time::Duration};

use mosaik::discovery::NodeTicket;
use mosaik_tests::{Process, eventually, netns, secs, unique_name};

/// Three hosts and the router between them, on which the script runs. `cut 2`, `heal 2`: all that the
/// second one sends and is sent.
const HOSTS: &str = r#"
set -e
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
for i in 1 2 3; do
    unshare -n sleep 600 &
    host[$i]=$!
    until [ "$(readlink /proc/${host[$i]}/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do
        sleep 0.02
    done
    ip link add v$i type veth peer name eth0 netns ${host[$i]}
    ip addr add 10.78.$i.1/24 dev v$i
    ip link set v$i up
    in="nsenter -t ${host[$i]} -n"
    $in ip link set lo up
    $in ip addr add 10.78.$i.2/24 dev eth0
    $in ip link set eth0 up
    $in ip route add default via 10.78.$i.1
done
cut() { ip route add blackhole 10.78.$1.2/32; echo 0 > /proc/sys/net/ipv4/conf/v$1/forwarding; }
heal() { ip route del blackhole 10.78.$1.2/32; echo 1 > /proc/sys/net/ipv4/conf/v$1/forwarding; }
"#;

/// Starts a member on each host, prints what they say with the host's number in front, and does
/// what it is told: `cut 2`, `heal 2`, `say 2 LINE`.
const MEMBERS: &str = r#"
for i in 1 2 3; do
    fifo=$(mktemp -u)
    mkfifo $fifo
    exec {fd}<>$fifo
    rm $fifo
    input[$i]=$fd
    nsenter -t ${host[$i]} -n "$NODE" "$NETWORK" far-group fast <&$fd | sed -u "s/^/$i /" &
done
while read -r what i line; do
    case $what in
        cut) cut $i ;;
        heal) heal $i ;;
        say) echo "$line" >&${input[$i]} ;;
    esac
done
"#;

const PLACES: [usize; 3] = [1, 2, 3];

/// The three, and the router, which is spoken with.
struct Hosts {
    router: Process,
    said: RefCell<Vec<String>>,
    tickets: Vec<NodeTicket>,
}

impl Hosts {
    async fn start() -> Self {
        let script = format!("{HOSTS}{MEMBERS}");
        let mut command = Command::new("unshare");
        command.args(netns::machine(&script));
        command.env("NODE", env!("CARGO_BIN_EXE_test-node")).env("NETWORK", unique_name());
        let router = Process::start(&mut command).unwrap();
        let mut hosts = Self { router, said: RefCell::default(), tickets: Vec::new() };
        for place in PLACES {
            let ticket = || hosts.lines(place).into_iter().next();
            eventually(secs(20), "a ticket", || ticket().is_some()).await;
            let ticket = ticket().unwrap().parse().unwrap();
            hosts.tickets.push(ticket);
        }
        for ticket in hosts.tickets.clone() {
            PLACES.iter().for_each(|place| hosts.say(*place, &format!("know {ticket}")));
        }
        hosts
    }

    /// What a member has said so far.
    fn lines(&self, place: usize) -> Vec<String> {
        let new = std::iter::from_fn(|| self.router.line_within(Duration::ZERO));
        let mut said = self.said.borrow_mut();
        said.extend(new);
        let of_it = |line: &String| Some(line.strip_prefix(&format!("{place} "))?.to_owned());
        said.iter().filter_map(of_it).collect()
    }

    fn has_said(&self, place: usize, line: &str) -> bool {
        self.lines(place).iter().any(|said| said == line)
    }

    /// The place of the one that a member has followed last.
    fn leader(&self, place: usize) -> Option<usize> {
        let lines = self.lines(place);
        let id = lines.iter().rev().find_map(|line| line.strip_prefix("leader "))?;
        let leads = |ticket: &NodeTicket| ticket.address().id.to_string() == id;
        self.tickets.iter().position(leads).map(|leader| PLACES[leader])
    }

    fn tell(&mut self, line: &str) {
        self.router.say(line).unwrap();
    }

    fn say(&mut self, place: usize, line: &str) {
        self.tell(&format!("say {place} {line}"));
    }

    async fn hears(&self, place: usize, line: &str) {
        eventually(secs(30), line, || self.has_said(place, line)).await;
    }
}

#[tokio::test]
async fn a_leader_behind_a_partition_is_replaced_and_nothing_is_lost() {
    if !netns::is_permitted(HOSTS, "a group on hosts between which the network is cut") {
        return;
    }
    let mut hosts = Hosts::start().await;
    for place in PLACES {
        hosts.say(place, "add 1");
    }
    for place in PLACES {
        hosts.hears(place, "total 3").await;
    }
    let first = hosts.leader(1).unwrap();
    hosts.tell(&format!("cut {first}"));
    let others: Vec<_> = PLACES.into_iter().filter(|place| *place != first).collect();
    let another = || {
        let [one, other] = [0, 1].map(|place| hosts.leader(others[place]));
        one != Some(first) && one == other
    };
    eventually(secs(20), "another leader", another).await;
    hosts.say(first, "add 100");
    hosts.say(others[0], "add 10");
    hosts.hears(others[0], "added 13").await;
    hosts.say(others[1], "add 20");
    hosts.hears(others[1], "added 33").await;
    // It has taken nothing by itself, and knows of nothing.
    let totals = |line: &String| line.starts_with("total ") || line.starts_with("added ");
    let known: Vec<_> = hosts.lines(first).into_iter().filter(totals).collect();
    assert_eq!(known.last().map(String::as_str), Some("total 3"), "{known:?}");

    hosts.tell(&format!("heal {first}"));
    hosts.hears(first, "added 133").await;
    for place in PLACES {
        hosts.hears(place, "total 133").await;
        assert!(hosts.leader(place).is_some_and(|leader| leader == hosts.leader(1).unwrap()));
    }
}
