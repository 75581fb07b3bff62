//! Where two schemas differ, in words.

use std::{collections::HashSet, fmt};

use super::{
    codec,
    shape::{Content, Field, Leaf, Parts, Schema, Shape, Variant, VariantContent},
};

/// How many steps inwards from the outermost type are compared: values cannot be nested deeper.
const MAX_DEPTH: usize = 128;

/// The first place where two schemas differ.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Where: names of fields, variants and elements, from the outside in, such as
    /// `` `Reading.position.0` ``.
    pub path: String,
    /// What is there in the first schema, such as `u32` or `no field`.
    pub left: String,
    /// What is there in the second.
    pub right: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {} on one side and {} on the other", self.path, self.left, self.right)
    }
}

impl Schema {
    /// The first place where this schema differs from another one in what matters for reading each
    /// other's bytes. `None` if they look the same, or differ only more than 128 levels deep.
    pub fn difference(&self, other: &Self) -> Option<Difference> {
        difference(self.parts(), other.parts())
    }

    /// The first place where an encoded schema, on the left, differs from this one. `None` also if
    /// the bytes are no schema. The bytes may be anybody's.
    pub(crate) fn difference_of(&self, encoded: &[u8]) -> Option<Difference> {
        difference(&codec::decode_prefix(encoded).ok()?, self.parts())
    }
}

fn difference(left: &Parts, right: &Parts) -> Option<Difference> {
    let root = match (&left.root, &right.root) {
        (_, Shape::Named(ty)) => right.types.get(*ty as usize).map(|ty| ty.name.clone()),
        _ => None,
    };
    let path = vec![root.unwrap_or_else(|| "the type".into())];
    Walk { left, right, path, seen: HashSet::new() }.shapes(&left.root, &right.root)
}

/// Goes through both schemas at once.
struct Walk<'a> {
    left: &'a Parts,
    right: &'a Parts,
    path: Vec<String>,
    /// Pairs of types that have been, or are being, compared.
    seen: HashSet<(u32, u32)>,
}

impl Walk<'_> {
    fn differ(&self, left: impl Into<String>, right: impl Into<String>) -> Option<Difference> {
        let path = format!("`{}`", self.path.join("."));
        Some(Difference { path, left: left.into(), right: right.into() })
    }

    fn within(
        &mut self,
        name: impl Into<String>,
        compare: impl FnOnce(&mut Self) -> Option<Difference>,
    ) -> Option<Difference> {
        // The other schema may be made to overflow the stack.
        if self.path.len() > MAX_DEPTH {
            return None;
        }
        self.path.push(name.into());
        let found = compare(self);
        self.path.pop();
        found
    }

    fn shapes(&mut self, left: &Shape, right: &Shape) -> Option<Difference> {
        match (left, right) {
            (Shape::Named(a), Shape::Named(b)) => {
                if !self.seen.insert((*a, *b)) {
                    return None;
                }
                let types = (self.left.types.get(*a as usize), self.right.types.get(*b as usize));
                // A schema from elsewhere may name a type that it does not have.
                let (Some(a), Some(b)) = types else { return self.differ("unknown", "unknown") };
                self.contents(&a.content, &b.content)
            }
            (Shape::Option(a), Shape::Option(b)) | (Shape::Seq(a), Shape::Seq(b)) => {
                self.within("_", |walk| walk.shapes(a, b))
            }
            (Shape::Array(n, a), Shape::Array(m, b)) if n == m => {
                self.within("_", |walk| walk.shapes(a, b))
            }
            (Shape::Map(a, x), Shape::Map(b, y)) => self
                .within("key", |walk| walk.shapes(a, b))
                .or_else(|| self.within("value", |walk| walk.shapes(x, y))),
            (Shape::Tuple(a), Shape::Tuple(b)) => self.tuples(a, b),
            (a, b) if a == b => None,
            (a, b) => self.differ(in_words(a, self.left), in_words(b, self.right)),
        }
    }

    fn contents(&mut self, left: &Content, right: &Content) -> Option<Difference> {
        match (left, right) {
            (Content::Newtype(a), Content::Newtype(b)) => {
                self.within("0", |walk| walk.shapes(a, b))
            }
            (Content::Tuple(a), Content::Tuple(b)) => self.tuples(a, b),
            (Content::Struct(a), Content::Struct(b)) => self.fields(a, b),
            (Content::Enum(a), Content::Enum(b)) => self.variants(a, b),
            (a, b) => self.differ(kind(a), kind(b)),
        }
    }

    fn tuples(&mut self, left: &[Shape], right: &[Shape]) -> Option<Difference> {
        for (i, (a, b)) in left.iter().zip(right).enumerate() {
            let found = self.within(i.to_string(), |walk| walk.shapes(a, b));
            if found.is_some() {
                return found;
            }
        }
        let elements = |shapes: &[Shape]| format!("a tuple of {}", shapes.len());
        if left.len() == right.len() { None } else { self.differ(elements(left), elements(right)) }
    }

    fn fields(&mut self, left: &[Field], right: &[Field]) -> Option<Difference> {
        for i in 0..left.len().max(right.len()) {
            match (left.get(i), right.get(i)) {
                (Some(a), Some(b)) if a.name == b.name => {
                    let found = self.within(&a.name, |walk| walk.shapes(&a.shape, &b.shape));
                    if found.is_some() {
                        return found;
                    }
                }
                (Some(a), Some(b)) => {
                    let place = |field: &Field| format!("`{}` as field {i}", field.name);
                    return self.differ(place(a), place(b));
                }
                (Some(field), None) => {
                    let shape = in_words(&field.shape, self.left);
                    return self.within(&field.name, |walk| walk.differ(shape, "no field"));
                }
                (None, Some(field)) => {
                    let shape = in_words(&field.shape, self.right);
                    return self.within(&field.name, |walk| walk.differ("no field", shape));
                }
                (None, None) => {}
            }
        }
        None
    }

    fn variants(&mut self, left: &[Variant], right: &[Variant]) -> Option<Difference> {
        for i in 0..left.len().max(right.len()) {
            match (left.get(i), right.get(i)) {
                (Some(a), Some(b)) if a.name == b.name => {
                    let found = self.within(&a.name, |walk| walk.variant(&a.content, &b.content));
                    if found.is_some() {
                        return found;
                    }
                }
                (a, b) => {
                    let name = |variant: Option<&Variant>| match variant {
                        Some(variant) => format!("`{}` as variant {i}", variant.name),
                        None => format!("an enum without a variant {i}"),
                    };
                    return self.differ(name(a), name(b));
                }
            }
        }
        None
    }

    fn variant(&mut self, left: &VariantContent, right: &VariantContent) -> Option<Difference> {
        match (left, right) {
            (VariantContent::Newtype(a), VariantContent::Newtype(b)) => {
                self.within("0", |walk| walk.shapes(a, b))
            }
            (VariantContent::Tuple(a), VariantContent::Tuple(b)) => self.tuples(a, b),
            (VariantContent::Struct(a), VariantContent::Struct(b)) => self.fields(a, b),
            (a, b) if a == b => None,
            (a, b) => self.differ(variant_kind(a), variant_kind(b)),
        }
    }
}

fn kind(content: &Content) -> &'static str {
    match content {
        Content::Newtype(_) => "a newtype",
        Content::Tuple(_) => "a tuple struct",
        Content::Struct(_) => "a struct",
        Content::Enum(_) => "an enum",
    }
}

fn variant_kind(content: &VariantContent) -> &'static str {
    match content {
        VariantContent::Unknown => "of unknown content",
        VariantContent::Unit => "without content",
        VariantContent::Newtype(_) => "with one value",
        VariantContent::Tuple(_) => "with a tuple",
        VariantContent::Struct(_) => "with fields",
    }
}

fn in_words(shape: &Shape, parts: &Parts) -> String {
    match shape {
        Shape::Unknown => "unknown".into(),
        Shape::Dynamic => "self-describing".into(),
        Shape::Leaf(leaf) => name(*leaf).into(),
        Shape::Option(_) => "an option".into(),
        Shape::Seq(_) => "a sequence".into(),
        Shape::Map(..) => "a map".into(),
        Shape::Tuple(shapes) => format!("a tuple of {}", shapes.len()),
        Shape::Array(count, _) => format!("an array of {count}"),
        Shape::Named(ty) => match parts.types.get(*ty as usize) {
            Some(ty) => format!("`{}`, {}", ty.name, kind(&ty.content)),
            None => "unknown".into(),
        },
    }
}

fn name(leaf: Leaf) -> &'static str {
    match leaf {
        Leaf::Unit => "()",
        Leaf::Bool => "bool",
        Leaf::I8 => "i8",
        Leaf::I16 => "i16",
        Leaf::I32 => "i32",
        Leaf::I64 => "i64",
        Leaf::I128 => "i128",
        Leaf::U8 => "u8",
        Leaf::U16 => "u16",
        Leaf::U32 => "u32",
        Leaf::U64 => "u64",
        Leaf::U128 => "u128",
        Leaf::F32 => "f32",
        Leaf::F64 => "f64",
        Leaf::Char => "char",
        Leaf::Str => "a string",
        Leaf::Bytes => "bytes",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::schema::{encode, schema_of, shape::NamedType};

    /// The difference of two types, in one line; and that it is found from the encoding as well.
    fn between<A, B>() -> Option<String>
    where
        A: serde::de::DeserializeOwned + 'static,
        B: serde::de::DeserializeOwned + 'static,
    {
        let (a, b) = (schema_of::<A>(), schema_of::<B>());
        let found = a.difference(&b);
        assert_eq!(found.is_none(), a.fingerprint() == b.fingerprint());
        assert_eq!(b.difference_of(&encode(&*a).unwrap()), found);
        found.map(|Difference { path, left, right }| format!("{path}: {left} | {right}"))
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Reading<T> {
        sensor: u32,
        values: Vec<T>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Longer {
        sensor: u32,
        values: Vec<f32>,
        unit: String,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Renamed {
        id: u32,
        values: Vec<f32>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    enum List<T> {
        End,
        More(T, Box<Self>),
    }

    #[test]
    fn the_field_that_differs_is_named() {
        let same = between::<Reading<f32>, Reading<f32>>();
        assert_eq!(same, None);
        let element = between::<Reading<f32>, Reading<f64>>();
        assert_eq!(element.unwrap(), "`Reading.values._`: f32 | f64");
        let appended = between::<Reading<f32>, Longer>();
        assert_eq!(appended.unwrap(), "`Longer.unit`: no field | a string");
        let removed = between::<Longer, Reading<f32>>();
        assert_eq!(removed.unwrap(), "`Reading.unit`: a string | no field");
        let renamed = between::<Reading<f32>, Renamed>().unwrap();
        assert_eq!(renamed, "`Renamed`: `sensor` as field 0 | `id` as field 0");
    }

    #[test]
    fn other_kinds_of_types_are_named_too() {
        assert_eq!(between::<u32, String>().unwrap(), "`the type`: u32 | a string");
        assert_eq!(between::<(u8, i8), (u8, u8)>().unwrap(), "`the type.1`: i8 | u8");
        let map = between::<BTreeMap<u8, u8>, BTreeMap<u8, u16>>();
        assert_eq!(map.unwrap(), "`the type.value`: u8 | u16");
        assert_eq!(between::<List<u8>, List<u16>>().unwrap(), "`List.More.0`: u8 | u16");
        assert_eq!(between::<List<u8>, List<u8>>(), None);
        let kinds = between::<Option<Renamed>, Option<List<u8>>>().unwrap();
        assert_eq!(kinds, "`the type._`: a struct | an enum");
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Chain(Option<Box<Self>>);

    /// A chain of so many types that each hold the next one, and the last a number.
    fn chain(types: u32) -> Parts {
        let link = |ty| match ty {
            0 => Shape::Leaf(Leaf::U8),
            _ => Shape::Option(Box::new(Shape::Named(ty))),
        };
        let next = (1..=types).map(|ty| NamedType {
            name: String::new(),
            content: Content::Newtype(link(ty % types)),
        });
        Parts { root: Shape::Named(0), types: next.collect() }
    }

    #[test]
    fn what_differs_too_deep_does_not_overflow_the_stack() {
        let ours = schema_of::<Chain>();
        assert_eq!(difference(&chain(1_000_000), ours.parts()), None);
        let found = difference(&chain(20), ours.parts()).expect("they differ");
        assert_eq!(found.left, "u8");
        assert!(found.path.len() > 20);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(0u8..12, 0..200)) {
            let _ = schema_of::<List<Reading<u8>>>().difference_of(&bytes);
        }
    }
}
