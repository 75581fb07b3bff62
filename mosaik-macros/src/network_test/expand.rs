//! Writes a `#[network_test]` function out.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

use super::model::Model;

pub(super) fn expand(model: &Model) -> TokenStream {
    let private = model.krate.private();
    let inner_name = Ident::new("__mosaik_test", Span::mixed_site());
    if !model.sound {
        return model.function.unsound(&inner_name);
    }
    let inner = model.function.inner(&inner_name);
    let (attrs, vis, name) =
        (&model.function.attrs, &model.function.vis, &model.function.sig.ident);
    let scenario = scenario(model);
    let output = model.function.output();
    let nodes = Ident::new("nodes", Span::mixed_site());
    let parameters = model.function.parameters();
    quote! {
        #[#private::core::prelude::v1::test]
        #(#attrs)*
        #vis fn #name() #output {
            #[allow(unused_imports)]
            use #private::testing::Faults as _;
            #inner
            #private::testing::run(
                #scenario #(.nodes::<#parameters>())*,
                |#nodes| #inner_name(#(#nodes.take::<#parameters>()),*),
            )
        }
    }
}

fn scenario(model: &Model) -> TokenStream {
    let private = model.krate.private();
    let simulated = model.simulation.as_ref().map(|simulation| {
        let (seed, runs) = (simulation.first_seed, simulation.runs);
        quote!(.simulated(#seed, #runs))
    });
    let timeout = model.timeout.map(|timeout| {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        quote!(.timeout(#private::core::time::Duration::from_millis(#millis)))
    });
    let name = &model.function.sig.ident;
    quote! {
        #private::testing::Scenario::new()
            .of(
                #private::core::option_env!("CARGO_PKG_NAME"),
                #private::core::concat!(
                    #private::core::module_path!(), "::", #private::core::stringify!(#name)
                ),
            )
            #simulated
            #timeout
    }
}
