//! Reads `$crate, ATTR* VIS? SIDE? NAME GENERICS? = DATUM (, ID)? (, SIDE? KEY: EXPR)*`.

use proc_macro2::TokenStream;
use syn::{
    Attribute, Expr, Generics, Ident, Path, Result, Token, Type, Visibility,
    parse::{ParseStream, Parser},
};

use crate::{crate_path::CratePath, errors::Errors};

pub(super) struct Declaration {
    pub(super) krate: CratePath,
    pub(super) attrs: Vec<Attribute>,
    pub(super) vis: Visibility,
    /// The only side that is declared, if not both.
    pub(super) side: Option<Side>,
    pub(super) name: Ident,
    pub(super) generics: Generics,
    pub(super) datum: Type,
    pub(super) id: Option<Expr>,
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Producer,
    Consumer,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Producer => Self::Consumer,
            Self::Consumer => Self::Producer,
        }
    }
}

/// `side key: value`.
pub(super) struct Entry {
    pub(super) side: Option<(Side, Ident)>,
    pub(super) key: Ident,
    pub(super) value: Expr,
}

/// `None` after an error in the part that names things. An error among the entries is reported,
/// and those before it stand.
pub(super) fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<Declaration> {
    let whole = |input: ParseStream| {
        let mut declaration = head(input)?;
        if let Err(error) = tail(input, &mut declaration) {
            errors.push(error);
            input.parse::<TokenStream>()?;
        }
        Ok(declaration)
    };
    match whole.parse2(tokens) {
        Ok(declaration) => Some(declaration),
        Err(error) => {
            errors.push(error);
            None
        }
    }
}

fn head(input: ParseStream) -> Result<Declaration> {
    let path = input.call(Path::parse_mod_style)?;
    input.parse::<Token![,]>()?;
    let attrs = input.call(Attribute::parse_outer)?;
    let vis = input.parse()?;
    // A name may be a side word itself: only a word before the name is a side.
    let side = if side_word(input).is_some() && input.peek2(syn::Ident) {
        take_side(input)?.map(|(side, _)| side)
    } else {
        None
    };
    let name = input.parse()?;
    let generics = input.parse()?;
    input.parse::<Token![=]>()?;
    let datum = input.parse()?;
    let krate = CratePath::new(Some(&path));
    Ok(Declaration { krate, attrs, vis, side, name, generics, datum, id: None, entries: vec![] })
}

fn tail(input: ParseStream, declaration: &mut Declaration) -> Result<()> {
    while !input.is_empty() {
        input.parse::<Token![,]>()?;
        if input.is_empty() {
            break;
        }
        if starts_entry(input) {
            let side = if starts_key(input) { None } else { take_side(input)? };
            let key = input.parse()?;
            input.parse::<Token![:]>()?;
            declaration.entries.push(Entry { side, key, value: input.parse()? });
        } else if declaration.id.is_none() && declaration.entries.is_empty() {
            declaration.id = Some(input.parse()?);
        } else {
            return Err(input.error("expected `key: value`"));
        }
    }
    Ok(())
}

/// `key:`, and not the first segment of a path; syn takes the `:` of `::` for one.
fn starts_key(input: ParseStream) -> bool {
    input.peek(syn::Ident) && input.peek2(Token![:]) && !input.peek2(Token![::])
}

fn starts_entry(input: ParseStream) -> bool {
    starts_key(input) || side_word(input).is_some() && input.peek2(syn::Ident)
}

fn side_word(input: ParseStream) -> Option<Side> {
    let word = input.fork().parse::<Ident>().ok()?;
    [Side::Producer, Side::Consumer].into_iter().find(|side| word == side.name())
}

fn take_side(input: ParseStream) -> Result<Option<(Side, Ident)>> {
    match side_word(input) {
        Some(side) => Ok(Some((side, input.parse()?))),
        None => Ok(None),
    }
}
