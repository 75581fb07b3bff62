//! serde on a user's type: which derives are missing, and what the wire format cannot carry.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Attribute, Data, DeriveInput, Expr, Field, Lit, Meta, Path, Token, Type, TypeArray,
    TypeReference, parse_quote,
    punctuated::Punctuated,
    visit_mut::{VisitMut, visit_type_array_mut, visit_type_path_mut},
};

use crate::{crate_path::CratePath, errors::Errors, type_item::TypeItem, values::literal};

/// serde implements its traits for arrays up to this length.
pub(crate) const LONGEST_ARRAY: u64 = 32;

/// What makes an item serde's.
pub(crate) struct Derives {
    serialize: bool,
    deserialize: bool,
    form: Form,
}

/// How the missing traits are given.
enum Form {
    /// By serde's derives; the flag says whether they are told where serde is.
    Derived { set_crate: bool },
    /// By impls without content, after an error that serde's derives would repeat in other words.
    StandIns,
}

impl Derives {
    /// Looks at an item, and reports what cannot travel.
    pub(crate) fn plan(
        input: &DeriveInput,
        enabled: bool,
        krate: &CratePath,
        errors: &mut Errors,
    ) -> Self {
        check_attributes(input, errors);
        let derived = derived_names(&input.attrs);
        let enabled = enabled && !is_derived_above(&input.attrs, krate);
        let missing = |name: &str| enabled && !derived.iter().any(|known| known == name);
        let (serialize, deserialize) = (missing("Serialize"), missing("Deserialize"));
        let set_crate = !serde_metas(&input.attrs).any(|meta| meta.path().is_ident("crate"));
        let before = errors.count();
        if enabled {
            for field in fields(&input.data) {
                check_field(field, errors);
            }
        }
        if (serialize || deserialize) && set_crate && krate.is_dollar_crate() {
            errors.at(
                krate.path(),
                "serde takes no `$crate`: write `serde = false` and the serde derives, or name \
                 mosaik by a path that begins with `::`",
            );
        }
        let form = match errors.count() == before {
            true => Form::Derived { set_crate },
            false => Form::StandIns,
        };
        Self { serialize, deserialize, form }
    }

    /// The item with what it lacks.
    pub(crate) fn apply(&self, item: &TypeItem, krate: &CratePath) -> TokenStream {
        let tokens = &item.tokens;
        if !self.serialize && !self.deserialize {
            return tokens.clone();
        }
        match self.form {
            Form::Derived { set_crate } => {
                let derives = self.derives(set_crate, krate);
                quote!(#derives #tokens)
            }
            Form::StandIns => {
                let item = without_serde(&item.input);
                let stand_ins = self.stand_ins(&item, krate);
                quote!(#item #stand_ins)
            }
        }
    }

    fn derives(&self, set_crate: bool, krate: &CratePath) -> TokenStream {
        let private = krate.private();
        let serialize = self.serialize.then(|| quote!(#private::serde::Serialize,));
        let deserialize = self.deserialize.then(|| quote!(#private::serde::Deserialize,));
        let path = krate.serde();
        let set_crate = set_crate.then(|| quote!(#[serde(crate = #path)]));
        quote!(#[derive(#serialize #deserialize)] #set_crate)
    }

    fn stand_ins(&self, item: &DeriveInput, krate: &CratePath) -> TokenStream {
        let private = krate.private();
        let name = &item.ident;
        let (impl_generics, type_generics, bounds) = item.generics.split_for_impl();
        let serialize = self.serialize.then(|| {
            quote! {
                impl #impl_generics #private::serde::Serialize for #name #type_generics #bounds {
                    fn serialize<__S: #private::serde::Serializer>(
                        &self,
                        _: __S,
                    ) -> #private::core::result::Result<__S::Ok, __S::Error> {
                        loop {}
                    }
                }
            }
        });
        let mut generics = item.generics.clone();
        generics.params.insert(0, parse_quote!('__de));
        let (impl_generics, ..) = generics.split_for_impl();
        let deserialize = self.deserialize.then(|| {
            quote! {
                impl #impl_generics #private::serde::Deserialize<'__de> for #name #type_generics
                #bounds
                {
                    fn deserialize<__D: #private::serde::Deserializer<'__de>>(
                        _: __D,
                    ) -> #private::core::result::Result<Self, __D::Error> {
                        loop {}
                    }
                }
            }
        });
        quote!(#serialize #deserialize)
    }
}

/// The item without the attributes that only serde's derives understand.
fn without_serde(item: &DeriveInput) -> DeriveInput {
    let mut item = item.clone();
    let strip = |attrs: &mut Vec<Attribute>| {
        attrs.retain(|attr| flatten(attr.meta.clone()).is_empty());
    };
    strip(&mut item.attrs);
    match &mut item.data {
        Data::Struct(data) => data.fields.iter_mut().for_each(|field| strip(&mut field.attrs)),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                strip(&mut variant.attrs);
                variant.fields.iter_mut().for_each(|field| strip(&mut field.attrs));
            }
        }
        Data::Union(_) => {}
    }
    item
}

fn fields(data: &Data) -> Vec<&Field> {
    match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(_) => Vec::new(),
    }
}

/// The last segments of the paths in `#[derive(…)]`: `serde::Serialize` counts as `Serialize`.
fn derived_names(attrs: &[Attribute]) -> Vec<String> {
    attrs
        .iter()
        .filter(|attr| attr.path().is_ident("derive"))
        .filter_map(|attr| {
            attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok()
        })
        .flatten()
        .filter_map(|path| path.segments.last().map(|segment| segment.ident.to_string()))
        .collect()
}

/// Whether another attribute of ours, further up, has added the derives: they are expanded first,
/// and leave this behind.
fn is_derived_above(attrs: &[Attribute], krate: &CratePath) -> bool {
    serde_metas(attrs).any(|meta| match meta {
        Meta::NameValue(pair) if pair.path.is_ident("crate") => {
            matches!(literal(&pair.value), Some(Lit::Str(path)) if path.value() == krate.serde())
        }
        _ => false,
    })
}

/// What stands in `#[serde(…)]`, also inside `cfg_attr`, which is not expanded on fields.
fn serde_metas(attrs: &[Attribute]) -> impl Iterator<Item = Meta> {
    attrs.iter().flat_map(|attr| flatten(attr.meta.clone()))
}

fn flatten(meta: Meta) -> Vec<Meta> {
    let Meta::List(list) = &meta else { return Vec::new() };
    let nested = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    let Ok(nested) = nested else { return Vec::new() };
    if list.path.is_ident("serde") {
        nested.into_iter().collect()
    } else if list.path.is_ident("cfg_attr") {
        nested.into_iter().skip(1).flat_map(flatten).collect()
    } else {
        Vec::new()
    }
}

/// Attributes that write what cannot be read back: the format has neither names nor type marks.
fn check_attributes(input: &DeriveInput, errors: &mut Errors) {
    for meta in serde_metas(&input.attrs) {
        let path = meta.path();
        if ["untagged", "tag", "content"].iter().any(|name| path.is_ident(name)) {
            errors.at(&meta, cannot_carry(path, "enums travel by the number of their variant"));
        }
    }
    if let Data::Enum(data) = &input.data {
        for variant in &data.variants {
            for meta in serde_metas(&variant.attrs).filter(|m| m.path().is_ident("untagged")) {
                let why = "enums travel by the number of their variant";
                errors.at(&meta, cannot_carry(meta.path(), why));
            }
        }
    }
    for field in fields(&input.data) {
        let metas = serde_metas(&field.attrs).collect::<Vec<_>>();
        let has = |name: &str| metas.iter().any(|meta| meta.path().is_ident(name));
        for meta in &metas {
            let path = meta.path();
            let why = if path.is_ident("skip_serializing_if") {
                "a field that is left out shifts all that follow"
            } else if path.is_ident("flatten") {
                "fields travel by their position, without names"
            } else if path.is_ident("skip_serializing") && !has("skip_deserializing")
                || path.is_ident("skip_deserializing") && !has("skip_serializing")
            {
                "a field is skipped on both sides, by `skip`, or on neither"
            } else {
                continue;
            };
            errors.at(meta, cannot_carry(path, why));
        }
    }
}

fn cannot_carry(attribute: &Path, why: &str) -> String {
    let name = attribute.to_token_stream();
    format!("`{name}` does not work in mosaik's binary format: {why}")
}

/// Types that serde would refuse with errors far from the field.
fn check_field(field: &Field, errors: &mut Errors) {
    let by_hand = ["skip", "with", "serialize_with", "deserialize_with", "skip_serializing"];
    if serde_metas(&field.attrs).any(|meta| by_hand.iter().any(|n| meta.path().is_ident(n))) {
        return;
    }
    FieldCheck(errors).visit_type_mut(&mut field.ty.clone());
}

struct FieldCheck<'e>(&'e mut Errors);

impl VisitMut for FieldCheck<'_> {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        let owned = owned_form(&reference.elem);
        self.0.at(reference, format!("what travels between nodes cannot borrow: write `{owned}`"));
    }

    fn visit_type_array_mut(&mut self, array: &mut TypeArray) {
        if let Expr::Lit(len) = &array.len
            && let Lit::Int(len) = &len.lit
            && len.base10_parse().is_ok_and(|len: u64| len > LONGEST_ARRAY)
        {
            let element = array.elem.to_token_stream();
            self.0.at(
                &*array,
                format!(
                    "serde stops at arrays of {LONGEST_ARRAY} elements: write `Vec<{element}>`, \
                     or give the field a `#[serde(with = \"…\")]`"
                ),
            );
        }
        visit_type_array_mut(self, array);
    }

    /// `PhantomData<&T>` holds nothing, and `dyn`, `fn` and pointers are serde's to refuse.
    fn visit_type_path_mut(&mut self, path: &mut syn::TypePath) {
        if path.path.segments.last().is_none_or(|last| last.ident != "PhantomData") {
            visit_type_path_mut(self, path);
        }
    }

    fn visit_type_bare_fn_mut(&mut self, _: &mut syn::TypeBareFn) {}
}

/// The type to write instead of a reference to `ty`.
pub(crate) fn owned_form(ty: &Type) -> String {
    match ty {
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        Type::Slice(slice) => format!("Vec<{}>", slice.elem.to_token_stream()),
        other => other.to_token_stream().to_string(),
    }
}
