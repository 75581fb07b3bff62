use insta::assert_snapshot;
use quote::quote;

use super::main;
use crate::testing::{messages, pretty};

#[test]
fn a_network_and_arguments() {
    let item = quote! {
        /// The program.
        async fn main(network: Network, args: Args) -> anyhow::Result<()> {
            serve(network, args).await
        }
    };
    let attribute = quote!(
        "my-app",
        tags = ["matcher", TAG],
        worker_threads = 4,
        offline = true,
        data_dir = data_dir(),
        log = "warn"
    );
    assert_snapshot!(pretty(main(attribute, item)));
}

#[test]
fn nothing_but_a_body() {
    let item = quote!(
        async fn main() {}
    );
    assert_snapshot!(pretty(main(quote!(flavor = "current_thread"), item)));
}

#[test]
fn a_body_with_syntax_of_the_future_passes_through() {
    let item = quote!(
        async fn main(network: Network) {
            let a = @ 3 @ @ ;
        }
    );
    let expansion = main(quote!(), item).to_string();
    assert!(expansion.contains("let a = @ 3 @ @ ;"), "{expansion}");
    assert!(!expansion.contains("compile_error"), "{expansion}");
}

#[test]
fn a_wrong_signature_keeps_the_body() {
    let function = quote!(
        fn main<T>(a: A, b: B, c: C) {
            let kept = 1;
        }
    );
    let expansion = main(quote!(), function);
    assert_eq!(messages(expansion.clone()).len(), 3);
    assert!(expansion.to_string().contains("kept"));
}
