//! A schema as plain data.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{codec, fingerprint};
use crate::id::UniqueId;

/// How many structs and enums a schema from elsewhere may list.
const MAX_TYPES: usize = 1024;
/// How long it may be, encoded.
const MAX_BYTES: usize = 64 * 1024;

/// Tells whether two types look the same on the wire, see [`Schema::fingerprint`].
pub type Fingerprint = UniqueId;

/// What a type looks like on the wire: which values follow each other, and their names.
///
/// It is learnt from the type's serde `Deserialize` ([`schema_of`](super::schema_of)) and can be
/// stored and sent: up to 64 KiB of it, encoded, and 1,024 structs and enums. Larger ones are not
/// taken by others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Schema {
    parts: Parts,
    fingerprint: Fingerprint,
}

impl Schema {
    /// The parts must be consistent: each [`Shape::Named`] is the index of a type.
    pub(super) fn new(parts: Parts) -> Self {
        Self { fingerprint: fingerprint::of(&parts), parts }
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// A digest of all that matters for reading each other's bytes: the kinds of values, the names
    /// and the order of fields and variants. The names of the types and the modules they are in do
    /// not matter, nor does how often a shape is written down: types that are declared apart but
    /// look the same have the same fingerprint, on every platform and with every compiler.
    ///
    /// `Vec` and `HashSet`, or `String` and a date that travels as text, look the same here.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The schema as it is sent; none if others would not take it.
    pub(crate) fn to_send(&self) -> Option<Bytes> {
        self.parts.check_size().ok()?;
        codec::encode(&self.parts).ok()
    }

    /// Whether every part of the type is known. The rest is either hidden behind values that the
    /// type refused, or self-describing, and such types cannot be decoded at all.
    pub fn is_complete(&self) -> bool {
        self.parts.is_complete()
    }
}

/// What a schema consists of: the types that have names, and the outermost shape.
///
/// A type is listed once however often it occurs, also within itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parts {
    pub(super) root: Shape,
    pub(super) types: Vec<NamedType>,
}

/// A struct or an enum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NamedType {
    /// As serde calls it; for people only.
    pub(super) name: String,
    pub(super) content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Content {
    Newtype(Shape),
    Tuple(Vec<Shape>),
    Struct(Vec<Field>),
    Enum(Vec<Variant>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) content: VariantContent,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum VariantContent {
    /// The tracer never got here.
    Unknown,
    Unit,
    Newtype(Shape),
    Tuple(Vec<Shape>),
    Struct(Vec<Field>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Shape {
    /// The tracer never got here: a value before it was refused.
    Unknown,
    /// Only a self-describing format can carry it.
    Dynamic,
    Leaf(Leaf),
    Option(Box<Shape>),
    Seq(Box<Shape>),
    Map(Box<Shape>, Box<Shape>),
    Tuple(Vec<Shape>),
    /// A tuple of more than two elements that are all the same.
    Array(u32, Box<Shape>),
    /// The type at this index.
    Named(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Leaf {
    Unit,
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Str,
    Bytes,
}

impl Parts {
    fn is_complete(&self) -> bool {
        let mut complete = true;
        self.each_shape(&mut |shape| {
            complete &= !matches!(shape, Shape::Unknown | Shape::Dynamic);
        });
        complete && !self.types.iter().any(|ty| ty.content.has_unknown_variant())
    }

    /// Calls `visit` for every shape, at every depth.
    fn each_shape(&self, visit: &mut dyn FnMut(&Shape)) {
        self.root.each(visit);
        for ty in &self.types {
            match &ty.content {
                Content::Newtype(shape) => shape.each(visit),
                Content::Tuple(shapes) => shapes.iter().for_each(|shape| shape.each(visit)),
                Content::Struct(fields) => fields.iter().for_each(|field| field.shape.each(visit)),
                Content::Enum(variants) => variants.iter().for_each(|variant| variant.each(visit)),
            }
        }
    }
}

impl Content {
    fn has_unknown_variant(&self) -> bool {
        let Self::Enum(variants) = self else { return false };
        variants.iter().any(|variant| variant.content == VariantContent::Unknown)
    }
}

impl Variant {
    fn each(&self, visit: &mut dyn FnMut(&Shape)) {
        match &self.content {
            VariantContent::Unknown | VariantContent::Unit => {}
            VariantContent::Newtype(shape) => shape.each(visit),
            VariantContent::Tuple(shapes) => shapes.iter().for_each(|shape| shape.each(visit)),
            VariantContent::Struct(fields) => {
                fields.iter().for_each(|field| field.shape.each(visit));
            }
        }
    }
}

impl Shape {
    fn each(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        match self {
            Self::Unknown | Self::Dynamic | Self::Leaf(_) | Self::Named(_) => {}
            Self::Option(inner) | Self::Seq(inner) | Self::Array(_, inner) => inner.each(visit),
            Self::Map(key, value) => {
                key.each(visit);
                value.each(visit);
            }
            Self::Tuple(inner) => inner.iter().for_each(|shape| shape.each(visit)),
        }
    }
}

/// A schema from elsewhere that is none, or too large.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadSchema {
    #[error("the schema refers to type {index} of {count}")]
    MissingType { index: u32, count: usize },
    #[error("the schema has {count} types, more than {MAX_TYPES}")]
    TooManyTypes { count: usize },
    #[error("the schema has {bytes} bytes, more than {MAX_BYTES}")]
    TooLarge { bytes: usize },
}

impl Parts {
    /// Whether they can be told to others, who do not take more.
    fn check_size(&self) -> Result<(), BadSchema> {
        let count = self.types.len();
        if count > MAX_TYPES {
            return Err(BadSchema::TooManyTypes { count });
        }
        let bytes = codec::encode(self).map_or(usize::MAX, |bytes| bytes.len());
        if bytes > MAX_BYTES { Err(BadSchema::TooLarge { bytes }) } else { Ok(()) }
    }
}

// Schemas come from other nodes as well. Their depth is limited by the decoder; what is left to
// check is their size, and that every reference leads somewhere.
impl TryFrom<Parts> for Schema {
    type Error = BadSchema;

    fn try_from(parts: Parts) -> Result<Self, BadSchema> {
        parts.check_size()?;
        let count = parts.types.len();
        let mut missing = None;
        parts.each_shape(&mut |shape| {
            if let Shape::Named(index) = *shape
                && index as usize >= count
            {
                missing = Some(BadSchema::MissingType { index, count });
            }
        });
        match missing {
            Some(error) => Err(error),
            None => Ok(Self::new(parts)),
        }
    }
}

impl From<Schema> for Parts {
    fn from(schema: Schema) -> Self {
        schema.parts
    }
}
