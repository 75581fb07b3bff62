//! Writes a `#[main]` function out.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

use super::model::{Model, Tag};

pub(super) fn expand(model: &Model) -> TokenStream {
    let private = model.krate.private();
    let inner_name = Ident::new("__mosaik_main", Span::mixed_site());
    if !model.sound {
        return model.function.unsound(&inner_name);
    }
    let inner = model.function.inner(&inner_name);
    let (attrs, vis, name) =
        (&model.function.attrs, &model.function.vis, &model.function.sig.ident);
    let program = program(model);
    let parameters = model.function.parameters();
    let run = match parameters[..] {
        [] => quote!(run(#program, #inner_name)),
        [network] => quote!(run_with_network::<#network, _>(#program, #inner_name)),
        [network, args, ..] => {
            quote!(run_with_args::<#network, #args, _>(#program, #inner_name))
        }
    };
    quote! {
        #(#attrs)*
        #vis fn #name() -> #private::std::process::ExitCode {
            #inner
            #private::main::#run.exit_code()
        }
    }
}

fn program(model: &Model) -> TokenStream {
    let private = model.krate.private();
    let network = match &model.network {
        Some(name) => quote!(#name),
        None => quote!(#private::core::env!("CARGO_PKG_NAME")),
    };
    let threads = model.worker_threads.iter();
    let current_thread = model.current_thread.then(|| quote!(.current_thread()));
    let (offline, data_dir, log) = (model.offline.iter(), model.data_dir.iter(), model.log.iter());
    let tags = model.tags.iter().map(|tag| match tag {
        Tag::Literal(id) => id.tokens(&model.krate),
        Tag::Expr(expr) => quote!(#expr),
    });
    quote! {
        #private::main::Program::new(#network)
            #(.worker_threads(#threads))*
            #current_thread
            #(.tag(#tags))*
            #(.offline(#offline))*
            #(.data_dir(#data_dir))*
            #(.log(#log))*
    }
}
