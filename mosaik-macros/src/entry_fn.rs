//! Functions that an attribute turns into an entry point: `#[main]`, `#[network_test]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, FnArg, Ident, Result, ReturnType, Signature, Type, Visibility,
    parse::{Parse, ParseStream},
    visit_mut::VisitMut,
};

use crate::{errors::Errors, type_item::Ungroup};

/// A function whose body stays as it was written: a half-typed one keeps its completions, and
/// syntax newer than the parser passes through.
pub(crate) struct EntryFn {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: TokenStream,
}

impl Parse for EntryFn {
    fn parse(input: ParseStream) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let mut sig = input.parse()?;
        Ungroup.visit_signature_mut(&mut sig);
        Ok(Self { attrs, vis, sig, body: input.parse()? })
    }
}

impl EntryFn {
    /// `None` after an error: the item then passes through as it is. `form` shows how to write it.
    pub(crate) fn read(
        tokens: TokenStream,
        attribute: &str,
        form: &str,
        errors: &mut Errors,
    ) -> Option<Self> {
        if let Ok(function) = syn::parse2::<Self>(tokens.clone()) {
            return Some(function);
        }
        errors.at(
            tokens.into_iter().next(),
            format!("`#[{attribute}]` goes on a function: `{form}`"),
        );
        None
    }

    /// What no entry point can be.
    pub(crate) fn check(&self, attribute: &str, form: &str, errors: &mut Errors) {
        let sig = &self.sig;
        if sig.asyncness.is_none() {
            errors
                .at(sig.fn_token, format!("`#[{attribute}]` needs an `async fn`: write `{form}`"));
        }
        if !sig.generics.params.is_empty() {
            errors.at(&sig.generics, format!("the function of `#[{attribute}]` cannot be generic"));
        }
        if let Some(receiver) = sig.receiver() {
            errors.at(receiver, format!("the function of `#[{attribute}]` has no `self`"));
        }
    }

    /// The types of the parameters.
    pub(crate) fn parameters(&self) -> Vec<&Type> {
        self.sig
            .inputs
            .iter()
            .filter_map(|input| match input {
                FnArg::Typed(typed) => Some(&*typed.ty),
                FnArg::Receiver(_) => None,
            })
            .collect()
    }

    pub(crate) fn output(&self) -> &ReturnType {
        &self.sig.output
    }

    /// The user's function under a name of ours, to stand inside of the generated one.
    pub(crate) fn inner(&self, name: &Ident) -> TokenStream {
        let Signature { asyncness, fn_token, inputs, output, .. } = &self.sig;
        let body = &self.body;
        quote! {
            #[allow(clippy::unused_async)]
            #asyncness #fn_token #name(#inputs) #output #body
        }
    }

    /// A function of that name that only keeps the body in sight, after an error in the signature.
    pub(crate) fn unsound(&self, inner_name: &Ident) -> TokenStream {
        let (attrs, vis, name) = (&self.attrs, &self.vis, &self.sig.ident);
        // With `self` the compiler would complain once more.
        let inner = self.sig.receiver().is_none().then(|| {
            let inner = self.inner(inner_name);
            quote!(#[allow(dead_code)] #inner)
        });
        quote!(#(#attrs)* #vis fn #name() { #inner })
    }
}
