//! Attributes of methods and arguments: what goes where else.

use syn::{Attribute, FnArg, Meta, PatType, Signature, Token, parse_quote, punctuated::Punctuated};

/// Documentation of arguments is not legal on a function; here it goes to the fields.
pub(super) fn take_argument_docs(sig: &mut Signature) -> Vec<Vec<Attribute>> {
    let take = |input: &mut FnArg| match input {
        FnArg::Typed(PatType { attrs, .. }) => {
            let docs = named(attrs, &["doc"]);
            attrs.retain(|attr| !attr.path().is_ident("doc"));
            docs
        }
        FnArg::Receiver(_) => Vec::new(),
    };
    sig.inputs.iter_mut().map(take).collect()
}

pub(super) fn named(attrs: &[Attribute], names: &[&str]) -> Vec<Attribute> {
    let is_named = |attr: &&Attribute| names.iter().any(|name| attr.path().is_ident(name));
    attrs.iter().filter(is_named).cloned().collect()
}

/// What is said to the compiler about the method, and to its callers, holds for the handle's, too.
/// What is expected need not happen there, though.
pub(super) fn lints(attrs: &[Attribute]) -> Vec<Attribute> {
    let mut lints = named(attrs, &["deprecated", "must_use", "allow", "expect"]);
    for attr in &mut lints {
        if let Meta::List(list) = &mut attr.meta
            && list.path.is_ident("expect")
        {
            list.path = parse_quote!(allow);
        }
    }
    lints
}

/// The conditions under which something is there: `cfg`, also inside of `cfg_attr`.
pub(super) fn cfgs(attrs: &[Attribute]) -> Vec<Attribute> {
    attrs
        .iter()
        .filter_map(|attr| {
            let meta = condition(&attr.meta)?;
            Some(parse_quote!(#[#meta]))
        })
        .collect()
}

fn condition(meta: &Meta) -> Option<Meta> {
    let Meta::List(list) = meta else { return None };
    if list.path.is_ident("cfg") {
        return Some(meta.clone());
    }
    if !list.path.is_ident("cfg_attr") {
        return None;
    }
    let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
    let (when, rest) = (parts.first()?, parts.iter().skip(1).filter_map(condition));
    let rest = rest.collect::<Vec<_>>();
    (!rest.is_empty()).then(|| parse_quote!(cfg_attr(#when, #(#rest),*)))
}
