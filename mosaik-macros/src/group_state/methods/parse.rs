//! Reads an `impl` block. Bodies of functions stay as they were written: a half-typed one keeps its
//! completions, and does not take the handle away.

use proc_macro2::{Group, TokenStream};
use quote::{ToTokens, TokenStreamExt, quote};
use syn::{
    Attribute, Generics, ImplItem, Path, Result, Signature, Token, Type, Visibility, braced,
    parse::{Parse, ParseStream, discouraged::Speculative},
    token::Brace,
};

pub(super) struct ImplBlock {
    attrs: Vec<Attribute>,
    impl_token: Token![impl],
    pub(super) generics: Generics,
    /// The trait, if it is a trait's.
    pub(super) of_trait: Option<Type>,
    pub(super) self_ty: Type,
    brace: Brace,
    inner_attrs: Vec<Attribute>,
    pub(super) items: Vec<Item>,
}

pub(super) enum Item {
    Function(Box<Function>),
    /// Constants, types, macros: as they were written.
    Other(TokenStream),
}

pub(super) struct Function {
    pub(super) attrs: Vec<Attribute>,
    pub(super) vis: Visibility,
    pub(super) sig: Signature,
    body: Group,
}

pub(super) fn parse(tokens: TokenStream) -> Result<ImplBlock> {
    syn::parse2(tokens)
}

impl Parse for ImplBlock {
    fn parse(input: ParseStream) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        if input.peek(Token![unsafe]) {
            return Err(input.error("the methods of a group stand in a plain `impl` block"));
        }
        let impl_token = input.parse()?;
        let mut generics = input.parse::<Generics>()?;
        let mut self_ty = input.parse::<Type>()?;
        let mut of_trait = None;
        if input.parse::<Option<Token![for]>>()?.is_some() {
            of_trait = Some(std::mem::replace(&mut self_ty, input.parse()?));
        }
        generics.where_clause = input.parse()?;
        let content;
        let brace = braced!(content in input);
        let inner_attrs = content.call(Attribute::parse_inner)?;
        let mut items = Vec::new();
        while !content.is_empty() {
            items.push(content.parse()?);
        }
        Ok(Self { attrs, impl_token, generics, of_trait, self_ty, brace, inner_attrs, items })
    }
}

impl Parse for Item {
    fn parse(input: ParseStream) -> Result<Self> {
        let ahead = input.fork();
        match ahead.parse() {
            Ok(function) => {
                input.advance_to(&ahead);
                Ok(Self::Function(Box::new(function)))
            }
            Err(_) => Ok(Self::Other(input.parse::<ImplItem>()?.into_token_stream())),
        }
    }
}

impl Parse for Function {
    fn parse(input: ParseStream) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig = input.parse()?;
        // Without one it is no function of this kind: the compiler says what is missing.
        let body = input.parse()?;
        Ok(Self { attrs, vis, sig, body })
    }
}

impl ToTokens for ImplBlock {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, impl_token, generics, self_ty, brace, inner_attrs, items, .. } = self;
        let (bounds, of_trait) = (&generics.where_clause, self.of_trait.iter());
        tokens.append_all(quote! {
            #(#attrs)* #impl_token #generics #(#of_trait for)* #self_ty #bounds
        });
        brace.surround(tokens, |tokens| {
            tokens.append_all(inner_attrs);
            tokens.append_all(items);
        });
    }
}

impl ToTokens for Item {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Function(function) => {
                let Function { attrs, vis, sig, body } = &**function;
                tokens.append_all(quote!(#(#attrs)* #vis #sig #body));
            }
            Self::Other(item) => item.to_tokens(tokens),
        }
    }
}

impl ImplBlock {
    /// The name of the type, if it has one.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.self_ty {
            Type::Path(path) if path.qself.is_none() => Some(&path.path),
            _ => None,
        }
    }
}
