//! Writes the methods out: the block as it was, the types that travel, the machine and the handle.

mod enums;
mod handle;
mod machine;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Generics, Ident, parse_quote};

use super::model::{Kind, Model};
use crate::generics::travelling;

pub(super) fn expand(model: &Model) -> TokenStream {
    let block = &model.block;
    let rest = model.sound.then(|| {
        let names = Names::of(&model.name);
        let enums = enums::expand(model, &names);
        let machine = machine::expand(model, &names);
        let handle = handle::expand(model, &names);
        quote!(#enums #machine #handle)
    });
    // First, because of several errors about one name the first is read.
    let only_block = model.sound.then(|| only_block(&model.name));
    quote!(#only_block #block #rest)
}

/// What is generated.
struct Names {
    command: Ident,
    query: Ident,
    reply: Ident,
    answer: Ident,
    handle: Ident,
}

impl Names {
    fn of(state: &Ident) -> Self {
        Self {
            command: format_ident!("{state}Command"),
            query: format_ident!("{state}Query"),
            reply: format_ident!("{state}Reply"),
            answer: format_ident!("{state}Answer"),
            handle: format_ident!("{state}Handle"),
        }
    }

    /// What is asked, and what comes back.
    fn pair(&self, kind: Kind) -> (&Ident, &Ident) {
        match kind {
            Kind::Command => (&self.command, &self.reply),
            Kind::Query => (&self.query, &self.answer),
        }
    }
}

/// A name that says, when it is there twice, what is wrong.
fn only_block(state: &Ident) -> TokenStream {
    let name = format_ident!("{state}_has_two_group_state_impl_blocks__put_all_its_methods_in_one");
    quote! {
        #[doc(hidden)]
        #[allow(
            dead_code,
            missing_debug_implementations,
            non_camel_case_types,
            unreachable_pub,
            clippy::all,
            clippy::pedantic,
        )]
        pub struct #name;
    }
}

/// The parameters with all bounds that a state has, and for parameters that the other half is there:
/// without any, a bound would be reported wherever it is needed.
fn bounded(model: &Model) -> Generics {
    let private = model.krate.private();
    let mut generics = travelling(model.generics(), &private);
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(#private::core::marker::Sync));
        parameter.bounds.push(parse_quote!(#private::core::clone::Clone));
    }
    if generics.type_params().next().is_some() {
        let state = &model.block.self_ty;
        let bound = parse_quote!(#state: #private::groups::GroupStateStruct);
        generics.make_where_clause().predicates.push(bound);
    }
    generics
}
