//! `#[mosaik::main]` and `#[mosaik::network_test]`: every signature.

use mosaik::Network;

/// They compile; running one would take over this process's arguments and signals.
#[allow(dead_code)]
mod programs {
    mod bare {
        #[mosaik::main]
        async fn main() {}
    }

    mod with_a_network {
        #[mosaik::main(
            "app",
            tags = ["matcher", mosaik::tag!("other")],
            offline = true,
            data_dir = std::path::PathBuf::from("/var/lib/app"),
            log = "warn"
        )]
        async fn main(network: mosaik::Network) -> anyhow::Result<()> {
            anyhow::ensure!(network.network_id().len() == 32);
            Ok(())
        }
    }

    mod with_a_shared_network {
        #[mosaik::main(worker_threads = 1 + 1)]
        async fn main(network: std::sync::Arc<mosaik::Network>) -> Result<(), String> {
            drop(network);
            Err("a text is an error, too".to_owned())
        }
    }

    mod with_arguments {
        use mosaik::clap;

        #[derive(clap::Parser)]
        struct Args {
            #[arg(long)]
            nickname: Option<String>,
        }

        #[mosaik::main(flavor = "current_thread")]
        async fn main(
            _network: mosaik::Network,
            Args { nickname }: Args,
        ) -> std::process::ExitCode {
            drop(nickname);
            std::process::ExitCode::SUCCESS
        }
    }

    mod with_an_error_that_is_only_debug {
        #[derive(Debug)]
        struct OnlyDebug;

        #[mosaik::main]
        async fn main() -> Result<(), OnlyDebug> {
            Err(OnlyDebug)
        }
    }

    mod with_a_boxed_error {
        #[mosaik::main]
        async fn main() -> Result<(), Box<dyn std::error::Error>> {
            Err("boxed".into())
        }
    }
}

#[mosaik::network_test]
async fn nodes_on_loopback_know_each_other(nodes: [Network; 3]) {
    for node in &nodes {
        assert_eq!(node.discovery().catalog().peers_count(), 2);
    }
}

#[mosaik::network_test(timeout = "20s")]
async fn a_single_node_is_alone(network: Network) {
    assert_eq!(network.discovery().catalog().peers_count(), 0);
}

#[mosaik::network_test(sim, seed = 7, seeds = 3)]
async fn parameters_are_chosen_by_type(
    [first, _]: [Network; 2],
    second: Network,
) -> anyhow::Result<()> {
    anyhow::ensure!(first.discovery().catalog().peers_count() == 2);
    anyhow::ensure!(second.discovery().catalog().peers_count() == 2);
    Ok(())
}

type Pair = [Network; 2];

#[mosaik::network_test(sim)]
#[should_panic = "on purpose"]
async fn a_panic_is_the_tests(nodes: Pair) {
    assert!(nodes.is_empty(), "on purpose");
}

#[mosaik::network_test(sim, timeout = "5s")]
#[should_panic = "took longer than"]
async fn a_test_that_hangs_fails(_network: Network) {
    std::future::pending::<()>().await;
}

#[mosaik::network_test(sim)]
async fn a_partition_is_noticed_and_heals(nodes: [Network; 3]) {
    let out = nodes[0].streams().produce::<String>();
    let _inp = nodes[1].streams().consume::<String>();
    out.when().online().await;
    nodes.partition(&[&[0], &[1, 2]]);
    out.when().offline().await;
    nodes.heal();
    out.when().online().await;
}
