//! What the methods of a group are: commands, queries, and what stays local.

use syn::{
    Attribute, FnArg, GenericParam, Generics, Ident, Pat, PatType, Path, Receiver, ReturnType,
    Signature, Type, Visibility, ext::IdentExt, parse_quote, spanned::Spanned,
};

use super::{
    attrs::{cfgs, lints, named, take_argument_docs},
    names,
    parse::{Function, ImplBlock, Item},
    travel::Travels,
};
use crate::{crate_path::CratePath, errors::Errors};

/// The block, and what is made of its methods.
pub(super) struct Model {
    pub(super) krate: CratePath,
    pub(super) block: ImplBlock,
    /// The name of the state's type.
    pub(super) name: Ident,
    pub(super) methods: Vec<Method>,
    /// Whether the derives of serde can be told where serde is.
    pub(super) sound: bool,
}

impl Model {
    pub(super) fn generics(&self) -> &Generics {
        &self.block.generics
    }

    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Method> {
        self.methods.iter().filter(move |method| method.kind == kind)
    }
}

/// A method that others can call.
pub(super) struct Method {
    pub(super) kind: Kind,
    pub(super) cfgs: Vec<Attribute>,
    pub(super) docs: Vec<Attribute>,
    pub(super) lints: Vec<Attribute>,
    pub(super) vis: Visibility,
    pub(super) name: Ident,
    pub(super) variant: Ident,
    pub(super) arguments: Vec<Argument>,
    /// Whether it is given the context.
    pub(super) context: bool,
    pub(super) output: Type,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Command,
    Query,
}

impl Kind {
    fn noun(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Query => "query",
        }
    }
}

pub(super) struct Argument {
    pub(super) cfgs: Vec<Attribute>,
    pub(super) docs: Vec<Attribute>,
    pub(super) field: Ident,
    pub(super) ty: Type,
}

/// `None` after an error that leaves nothing to build upon.
pub(super) fn model(krate: CratePath, mut block: ImplBlock, errors: &mut Errors) -> Option<Model> {
    if let Some(of_trait) = &block.of_trait {
        errors.at(
            of_trait,
            "`#[mosaik::group_state]` goes on the type's own `impl` block, not on a trait's",
        );
        return None;
    }
    let Some(name) = block.path().and_then(|path| path.segments.last()) else {
        errors.at(&block.self_ty, "expected the name of the type that is the group's state");
        return None;
    };
    let name = name.ident.clone();
    let sound = !krate.is_dollar_crate();
    if !sound {
        errors.at(
            krate.path(),
            "serde takes no `$crate`: name mosaik by a path that begins with `::`",
        );
    }
    let state = block.self_ty.clone();
    let mut methods = Vec::new();
    for item in &mut block.items {
        if let Item::Function(function) = item {
            let reader = Reader { name: &name, state: &state };
            methods.extend(reader.function(function, errors));
        }
    }
    let methods = without_doubles(methods, errors);
    Some(Model { krate, block, name, methods, sound })
}

/// Drops methods whose variant is another's of the kind. Those that are not always there are left
/// to the compiler.
fn without_doubles(methods: Vec<Method>, errors: &mut Errors) -> Vec<Method> {
    let mut kept: Vec<Method> = Vec::with_capacity(methods.len());
    for method in methods {
        let same = kept.iter().find(|earlier| {
            earlier.kind == method.kind
                && earlier.variant == method.variant
                && earlier.name != method.name
                && earlier.cfgs.is_empty()
                && method.cfgs.is_empty()
        });
        let Some(Method { name: earlier, variant, .. }) = same else {
            kept.push(method);
            continue;
        };
        let name = &method.name;
        errors.at(
            name,
            format!("`{earlier}` and `{name}` would both be the variant `{variant}`: rename one"),
        );
    }
    kept
}

struct Reader<'a> {
    name: &'a Ident,
    state: &'a Type,
}

impl Reader<'_> {
    /// Reads one function, and takes off it what the compiler would refuse.
    fn function(&self, function: &mut Function, errors: &mut Errors) -> Option<Method> {
        let docs = take_argument_docs(&mut function.sig);
        self.check_name(&function.sig, errors);
        if is_private(&function.vis) {
            return None;
        }
        let kind = kind(function.sig.receiver()?, errors)?;
        let before = errors.count();
        check_signature(&function.sig, kind, errors);
        let (arguments, context) = self.arguments(&function.sig, docs, kind, errors);
        let output = match &function.sig.output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, ty) => {
                let what = format!("the result of a {}", kind.noun());
                Travels { what: &what, state: self.state }.outside(ty, errors)
            }
        };
        if errors.count() > before {
            return None;
        }
        let method = Method {
            kind,
            cfgs: cfgs(&function.attrs),
            docs: named(&function.attrs, &["doc"]),
            lints: lints(&function.attrs),
            vis: function.vis.clone(),
            name: function.sig.ident.clone(),
            variant: names::variant(&function.sig.ident),
            arguments,
            context,
            output,
        };
        if kind == Kind::Query {
            // The attribute forces them to be public; whether results are used is the caller's.
            function.attrs.push(parse_quote!(#[allow(clippy::must_use_candidate)]));
        }
        Some(method)
    }

    fn check_name(&self, sig: &Signature, errors: &mut Errors) {
        let ident = &sig.ident;
        let name = ident.unraw().to_string();
        if name == "merge" && sig.receiver().is_some() {
            errors.at(
                ident,
                "`merge` is the rule by which two groups that meet become one, which comes with a \
                 later version: rename this method, and write `on_rivals = \"keep-winner\"`",
            );
        } else if names::OF_STATE.contains(&name.as_str()) {
            let state = self.name;
            errors.at(ident, format!("`{state}::{name}` joins the group: rename this method"));
        }
    }

    fn arguments(
        &self,
        sig: &Signature,
        mut docs: Vec<Vec<Attribute>>,
        kind: Kind,
        errors: &mut Errors,
    ) -> (Vec<Argument>, bool) {
        let what = format!("an argument of a {}", kind.noun());
        let travels = Travels { what: &what, state: self.state };
        let mut arguments: Vec<Argument> = Vec::new();
        let mut context = false;
        for (at, input) in sig.inputs.iter().enumerate() {
            let FnArg::Typed(PatType { attrs, pat, ty, .. }) = input else { continue };
            if is_context(ty) {
                check_context(ty, at + 1 == sig.inputs.len(), kind, errors);
                context = true;
                continue;
            }
            let field = field(pat, at, |name| {
                let taken = arguments.iter().any(|argument| argument.field == *name);
                taken || names_of(sig).any(|known| known == name)
            });
            arguments.push(Argument {
                cfgs: cfgs(attrs),
                docs: std::mem::take(&mut docs[at]),
                field,
                ty: travels.outside(ty, errors),
            });
        }
        (arguments, context)
    }
}

fn is_private(vis: &Visibility) -> bool {
    match vis {
        Visibility::Inherited => true,
        Visibility::Restricted(restricted) => restricted.path.is_ident("self"),
        Visibility::Public(_) => false,
    }
}

fn kind(receiver: &Receiver, errors: &mut Errors) -> Option<Kind> {
    match &*receiver.ty {
        Type::Reference(reference) if reference.mutability.is_some() => Some(Kind::Command),
        Type::Reference(_) => Some(Kind::Query),
        _ => {
            errors.at(
                receiver,
                "a public method takes `&mut self`, which makes it a command, or `&self`, which \
                 makes it a query; a private one stays local",
            );
            None
        }
    }
}

fn check_signature(sig: &Signature, kind: Kind, errors: &mut Errors) {
    let noun = kind.noun();
    let name = sig.ident.unraw().to_string();
    if names::OF_GROUP.contains(&name.as_str()) {
        errors.at(
            &sig.ident,
            format!(
                "`{name}` is a method of `Group`, which this {noun} would hide on the handle: \
                 rename it, or make it private to keep it local"
            ),
        );
    }
    if let Some(word) = &sig.asyncness {
        errors.at(
            word,
            format!("a {noun} runs inside of the replicated state and cannot wait: remove `async`"),
        );
    }
    if let Some(word) = &sig.unsafety {
        errors.at(
            word,
            format!("a {noun} is called by the group itself and cannot be `unsafe`: remove it"),
        );
    }
    for parameter in &sig.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            errors.at(
                parameter,
                format!(
                    "a {noun} travels to other nodes as plain data and cannot be generic: write \
                     one method for each type"
                ),
            );
        }
    }
}

/// `&ApplyContext`, by the last part of its path.
fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    let last = |path: &Path| path.segments.last().is_some_and(|last| last.ident == "ApplyContext");
    matches!(&*reference.elem, Type::Path(path) if last(&path.path))
}

fn check_context(ty: &Type, is_last: bool, kind: Kind, errors: &mut Errors) {
    if kind == Kind::Query {
        errors
            .at(ty, "a query is answered outside of the log and has no `ApplyContext`: remove it");
    } else if !is_last {
        errors.at(ty, "the `&ApplyContext` is the last parameter: move it to the end");
    }
}

/// The name of the field that holds an argument: its own, or a number for what has none.
fn field(pat: &Pat, at: usize, is_taken: impl Fn(&Ident) -> bool) -> Ident {
    if let Pat::Ident(pat) = pat {
        return pat.ident.clone();
    }
    let mut name = format!("arg{at}");
    loop {
        let ident = Ident::new(&name, pat.span());
        if !is_taken(&ident) {
            return ident;
        }
        name.push('_');
    }
}

fn names_of(sig: &Signature) -> impl Iterator<Item = &Ident> {
    sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(PatType { pat, .. }) => match &**pat {
            Pat::Ident(pat) => Some(&pat.ident),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    })
}
