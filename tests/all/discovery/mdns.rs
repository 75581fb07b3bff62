//! Nodes on one LAN, without anything that tells them of each other.
//!
//! The LAN is a pair of virtual interfaces in network namespaces of the test's own, so that nothing
//! is sent on the real one.

use mosaik_tests::{NodeProcess, netns, unique_name};

/// Two hosts on one LAN: the first becomes the node whose output is read.
const LAN: &str = r#"
set -e
ip link set lo up
ip link add v0 type veth peer name v1
unshare -n sleep 600 &
other=$!
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do
    sleep 0.02
done
ip link set v1 netns $other
ip addr add 10.77.0.1/24 dev v0
ip link set v0 up
# As on every LAN with a router: multicast without an interface goes where the default route does.
ip route add default dev v0
there() { nsenter -t $other -n "$@"; }
there ip link set lo up
there ip addr add 10.77.0.2/24 dev v1
there ip link set v1 up
there ip route add default dev v1
"#;

fn is_permitted() -> bool {
    netns::is_permitted(LAN, "multicast on a LAN")
}

fn lan_of_two(first: &str, second: &str) -> NodeProcess {
    let node = env!("CARGO_BIN_EXE_test-node");
    let script = format!("{LAN}\nthere {node} {second} >/dev/null &\nexec {node} {first}");
    let arguments = netns::machine(&script);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    NodeProcess::start("unshare", &arguments)
}

#[test]
fn two_nodes_on_one_lan_find_each_other_offline() {
    if !is_permitted() {
        return;
    }
    let name = unique_name();
    let node = lan_of_two(&format!("{name} mdns"), &format!("{name} mdns"));
    let line = node.line();
    assert!(line.starts_with("discovered "), "{line}");
}

#[test]
fn nodes_of_other_networks_and_those_that_want_none_of_it_are_not_found() {
    if !is_permitted() {
        return;
    }
    let (name, other) = (unique_name(), unique_name());
    for (first, second) in [
        (format!("{name} mdns"), format!("{other} mdns")),
        (format!("{name} mdns"), format!("{name} no-mdns")),
    ] {
        let node = lan_of_two(&first, &second);
        // A LAN of two finds itself within a second or two.
        assert_eq!(node.line_within(mosaik_tests::secs(4)), None);
    }
}
