//! The handle: a `Group` with a method for each command and query.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::Ident;

use super::{
    super::model::{Argument, Kind, Method, Model},
    Names, bounded,
};

pub(super) fn expand(model: &Model, names: &Names) -> TokenStream {
    let (declaration, methods) = (declaration(model, names), methods(model, names));
    let impls = impls(model, names);
    quote!(#declaration #methods #impls)
}

/// Generic over the machine, with the state as the default: so no impl names the state's type,
/// which may be private while the handle is not.
fn declaration(model: &Model, names: &Names) -> TokenStream {
    let private = model.krate.private();
    let (handle, state) = (&names.handle, &model.block.self_ty);
    let doc = format!(
        "A handle to the group of [`{name}`]: its commands and queries as methods of the same \
         names.\n\nIt is also a [`Group`]({krate}::groups::Group), with all of its methods.",
        name = model.name,
        krate = model.krate.path().to_token_stream().to_string().replace(' ', ""),
    );
    let default = model.generics().params.is_empty().then(|| quote!(= #state));
    quote! {
        #[doc = #doc]
        #[allow(
            dead_code,
            deprecated,
            private_bounds,
            private_interfaces,
            unreachable_pub,
            rustdoc::broken_intra_doc_links,
        )]
        pub struct #handle<__M: #private::groups::StateMachine #default>(#private::groups::Group<__M>);
    }
}

fn methods(model: &Model, names: &Names) -> TokenStream {
    let (handle, state) = (&names.handle, &model.block.self_ty);
    let generics = bounded(model);
    let (impl_generics, _, bounds) = generics.split_for_impl();
    let methods = model.methods.iter().map(|method| self::method(model, names, method));
    quote! {
        #[automatically_derived]
        #[allow(
            dead_code,
            deprecated,
            missing_docs,
            private_bounds,
            private_interfaces,
            unreachable_patterns,
            unreachable_pub,
            rustdoc::broken_intra_doc_links,
            clippy::all,
            clippy::pedantic,
        )]
        impl #impl_generics #handle<#state> #bounds {
            #(#methods)*
        }
    }
}

/// Not an `async fn`: what is asked is on its way when the method is called, so calls keep their
/// order.
fn method(model: &Model, names: &Names, method: &Method) -> TokenStream {
    let (private, state) = (model.krate.private(), &model.block.self_ty);
    let Method { cfgs, docs, lints, vis, name, variant, arguments, output, .. } = method;
    let (question, result) = names.pair(method.kind);
    let (call, error) = match method.kind {
        Kind::Command => (quote!(command), quote!(CommandError)),
        Kind::Query => (quote!(query), quote!(QueryError)),
    };
    let parameters =
        arguments.iter().map(|Argument { cfgs, field, ty, .. }| quote!(#(#cfgs)* #field: #ty));
    let fields = arguments.iter().map(|Argument { cfgs, field, .. }| quote!(#(#cfgs)* #field));
    let value = Ident::new("value", Span::mixed_site());
    quote! {
        #(#cfgs)*
        #(#docs)*
        #(#lints)*
        #vis fn #name(
            &self,
            #(#parameters,)*
        ) -> impl #private::core::future::Future<
            Output = #private::core::result::Result<#output, #private::groups::#error<#state>>,
        > + #private::core::marker::Send + #private::core::marker::Sync + 'static {
            #private::groups::#call(
                &self.0,
                #question::#variant { #(#fields,)* },
                |#value| match #value {
                    #result::#variant(#value) => #private::core::option::Option::Some(#value),
                    _ => #private::core::option::Option::None,
                },
            )
        }
    }
}

fn impls(model: &Model, names: &Names) -> TokenStream {
    let private = model.krate.private();
    let (handle, state) = (&names.handle, &model.block.self_ty);
    let generics = bounded(model);
    let (impl_generics, _, bounds) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::groups::GroupStateImplBlock for #state #bounds {
            type Handle = #handle<Self>;

            fn open(group: #private::groups::Group<Self>) -> Self::Handle {
                #handle(group)
            }
        }

        #[automatically_derived]
        impl<__M: #private::groups::StateMachine> #private::core::ops::Deref for #handle<__M> {
            type Target = #private::groups::Group<__M>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        #[automatically_derived]
        impl<__M: #private::groups::StateMachine>
            #private::core::convert::From<#private::groups::Group<__M>> for #handle<__M>
        {
            fn from(group: #private::groups::Group<__M>) -> Self {
                Self(group)
            }
        }

        #[automatically_derived]
        impl<__M: #private::groups::StateMachine> #private::core::clone::Clone for #handle<__M> {
            fn clone(&self) -> Self {
                Self(#private::core::clone::Clone::clone(&self.0))
            }
        }

        #[automatically_derived]
        impl<__M: #private::groups::StateMachine> #private::core::fmt::Debug for #handle<__M> {
            fn fmt(
                &self,
                f: &mut #private::core::fmt::Formatter<'_>,
            ) -> #private::core::fmt::Result {
                #private::core::fmt::Debug::fmt(&self.0, f)
            }
        }

        #[automatically_derived]
        impl<__M: #private::groups::StateMachine> #private::core::fmt::Display for #handle<__M> {
            fn fmt(
                &self,
                f: &mut #private::core::fmt::Formatter<'_>,
            ) -> #private::core::fmt::Result {
                #private::core::fmt::Display::fmt(&self.0, f)
            }
        }
    }
}
