use insta::assert_snapshot;
use quote::quote;

use super::network_test;
use crate::testing::pretty;

#[test]
fn nodes_on_loopback() {
    let item = quote! {
        #[should_panic]
        async fn they_meet(nodes: [Network; 3], other: Network) -> anyhow::Result<()> {
            Ok(())
        }
    };
    assert_snapshot!(pretty(network_test(quote!(timeout = "2m"), item)));
}

#[test]
fn nodes_in_a_simulation() {
    let item = quote!(
        async fn they_meet(nodes: [Network; 3]) {}
    );
    assert_snapshot!(pretty(network_test(quote!(sim, seed = 7, seeds = 100), item)));
}
