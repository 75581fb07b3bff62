//! The list in an attribute's brackets: `"intent", key = value, flag, group(key = value)`.

use proc_macro2::TokenStream;
use syn::{
    Expr, Ident, Lit, LitStr, Path, Result, Token, Type,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    token,
};

use crate::errors::Errors;

/// What one attribute accepts.
pub(crate) struct Spec {
    /// As a reader writes it, for messages: `stream`.
    pub(crate) attribute: &'static str,
    pub(crate) intent: bool,
    pub(crate) keys: &'static [Key],
}

/// One option.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) repeats: bool,
    /// How to write it, for messages.
    pub(crate) example: &'static str,
}

impl Key {
    /// `name = expression`, once.
    pub(crate) const fn expr(name: &'static str, example: &'static str) -> Self {
        Self { name, kind: Kind::Expr, repeats: false, example }
    }

    /// `name = expression`, as often as one likes.
    pub(crate) const fn exprs(name: &'static str, example: &'static str) -> Self {
        Self { name, kind: Kind::Expr, repeats: true, example }
    }

    pub(crate) const fn group(
        name: &'static str,
        keys: &'static [Key],
        example: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Group(keys), repeats: false, example }
    }

    pub(crate) const fn ty(name: &'static str, example: &'static str) -> Self {
        Self { name, kind: Kind::Type, repeats: false, example }
    }

    pub(crate) const fn flag(name: &'static str) -> Self {
        Self { name, kind: Kind::Flag, repeats: false, example: name }
    }

    /// Every attribute has this one.
    pub(crate) const CRATE: Key =
        Self { name: "crate", kind: Kind::Path, repeats: false, example: "crate = ::mosaik" };
}

pub(crate) enum Kind {
    Expr,
    /// A type: read as an expression, `Vec<Price>` would be a comparison.
    Type,
    Path,
    Flag,
    Group(&'static [Key]),
}

/// What was written.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) intent: Option<LitStr>,
    entries: Vec<(Ident, Value)>,
    /// The known names that stand there, also with values of a wrong form.
    mentioned: Vec<Ident>,
    /// Whether a syntax error ended the list early.
    broken: bool,
}

enum Value {
    Expr(Expr),
    Type(Type),
    Path(Path),
    Flag,
    Group(Options),
}

impl Options {
    /// Reads a whole list. The first syntax error ends the list; all other errors are collected,
    /// and what was understood stands.
    pub(crate) fn read(tokens: TokenStream, spec: &Spec, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        let mut inner = Errors::default();
        let parsed = (|input: ParseStream| options.list(input, spec, &mut inner)).parse2(tokens);
        inner.move_to(errors);
        if let Err(error) = parsed {
            options.broken = true;
            errors.push(error);
        }
        options
    }

    pub(crate) fn expr<'s>(&'s self, name: &'s str) -> Option<&'s Expr> {
        self.exprs(name).next()
    }

    pub(crate) fn exprs<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Expr> {
        self.values(name).filter_map(|value| match value {
            Value::Expr(expr) => Some(expr),
            _ => None,
        })
    }

    pub(crate) fn ty<'s>(&'s self, name: &'s str) -> Option<&'s Type> {
        self.values(name).find_map(|value| match value {
            Value::Type(ty) => Some(ty),
            _ => None,
        })
    }

    pub(crate) fn crate_path(&self) -> Option<&Path> {
        self.values("crate").find_map(|value| match value {
            Value::Path(path) => Some(path),
            _ => None,
        })
    }

    pub(crate) fn group<'s>(&'s self, name: &'s str) -> Option<&'s Options> {
        self.values(name).find_map(|value| match value {
            Value::Group(group) => Some(group),
            _ => None,
        })
    }

    /// The key itself, to point at.
    pub(crate) fn key(&self, name: &str) -> Option<&Ident> {
        self.entries.iter().map(|(key, _)| key).find(|key| *key == name)
    }

    /// Whether an option was not given, as far as the list could be read.
    pub(crate) fn lacks(&self, name: &str) -> bool {
        !self.broken && !self.mentioned.iter().any(|known| known == name)
    }

    fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Value> {
        self.entries.iter().filter(move |(key, _)| key == name).map(|(_, value)| value)
    }

    fn list(&mut self, input: ParseStream, spec: &Spec, errors: &mut Errors) -> Result<()> {
        while !input.is_empty() {
            self.entry(input, spec, errors)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, input: ParseStream, spec: &Spec, errors: &mut Errors) -> Result<()> {
        if input.peek(Lit) {
            let lit = input.parse::<Lit>()?;
            self.literal(lit, spec, errors);
            return Ok(());
        }
        let first = self.entries.is_empty() && self.intent.is_none();
        let fork = input.fork();
        let name = fork.call(Ident::parse_any).ok();
        let ends = fork.is_empty() || fork.peek(Token![,]);
        let key = name.as_ref().and_then(|name| spec.keys.iter().find(|key| name == key.name));
        let looks_like_option = ends || fork.peek(Token![=]) || fork.peek(token::Paren);
        match (name, key) {
            (Some(_), Some(key)) if looks_like_option => self.option(input, key, spec, errors),
            // A bare name in the first place was meant as the intent.
            (Some(name), None) if looks_like_option && !(ends && first && spec.intent) => {
                let keys = spec.keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ");
                errors.at(&name, format!("unknown option `{name}`; expected one of: {keys}"));
                input.call(Ident::parse_any)?;
                skip_value(input)
            }
            _ if first && spec.intent && input.fork().parse::<Expr>().is_ok() => {
                let expr = input.parse::<Expr>()?;
                errors.at(
                    expr,
                    "an intent is a string literal; for a const id leave it out and open the \
                     stream by `with_stream_id`",
                );
                Ok(())
            }
            _ => Err(input.error("expected an option, written `name = value`")),
        }
    }

    fn literal(&mut self, lit: Lit, spec: &Spec, errors: &mut Errors) {
        let attribute = spec.attribute;
        match lit {
            _ if !spec.intent => {
                errors.at(lit, format!("`#[{attribute}]` takes no name here; remove it"));
            }
            Lit::Str(_) if self.intent.is_some() => {
                errors.at(lit, "there can be only one intent");
            }
            Lit::Str(_) if !self.entries.is_empty() => {
                errors.at(lit, format!("the intent comes first: `#[{attribute}(\"…\", …)]`"));
            }
            Lit::Str(text) => self.intent = Some(text),
            other => errors.at(other, "an intent is a string literal"),
        }
    }

    fn option(
        &mut self,
        input: ParseStream,
        key: &'static Key,
        spec: &Spec,
        errors: &mut Errors,
    ) -> Result<()> {
        let name = input.call(Ident::parse_any)?;
        if !key.repeats && self.key(key.name).is_some() {
            errors.at(&name, format!("option `{name}` is given twice"));
            return skip_value(input);
        }
        self.mentioned.push(name.clone());
        let assigned = input.peek(Token![=]);
        let value = match key.kind {
            Kind::Flag if !assigned && !input.peek(token::Paren) => Value::Flag,
            Kind::Group(keys) if input.peek(token::Paren) => {
                let content;
                syn::parenthesized!(content in input);
                let mut group = Options::default();
                let spec = Spec { attribute: spec.attribute, intent: false, keys };
                group.list(&content, &spec, errors)?;
                Value::Group(group)
            }
            Kind::Expr | Kind::Type | Kind::Path if assigned => {
                input.parse::<Token![=]>()?;
                if matches!(key.kind, Kind::Type | Kind::Path) && input.peek(Lit) {
                    errors.at(input.parse::<Lit>()?, wrong_form(key));
                    return Ok(());
                }
                match key.kind {
                    Kind::Type => Value::Type(input.parse()?),
                    Kind::Path => Value::Path(input.call(Path::parse_mod_style)?),
                    _ => Value::Expr(input.parse()?),
                }
            }
            _ => {
                errors.at(&name, wrong_form(key));
                return skip_value(input);
            }
        };
        self.entries.push((name, value));
        Ok(())
    }
}

/// The message for an option of a known name and a wrong form.
pub(crate) fn wrong_form(key: &Key) -> String {
    format!("write `{}`", key.example)
}

/// Passes over the value of an option that is reported already.
fn skip_value(input: ParseStream) -> Result<()> {
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        if input.fork().parse::<Expr>().is_ok() {
            input.parse::<Expr>()?;
        }
    }
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}
