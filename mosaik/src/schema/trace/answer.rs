//! The deserializer that answers with samples.

use std::{any::type_name, cell::RefCell};

use serde::de::{DeserializeSeed, Deserializer, Visitor};

use super::{
    access::{Elements, Pairs, Variant, read_fields},
    plan::{Asked, Form, Group, PlaceId, Plan, TypeId, TypeKey},
    samples::{BYTE_STRINGS, TEXTS, integers},
    stop::Stop,
};
use crate::schema::shape::Leaf;

/// How deep values may be nested; types that can only be deeper have no finite values.
const MAX_DEPTH: u8 = 64;

type Result<T> = std::result::Result<T, Stop>;

/// Answers what is asked at one place.
#[derive(Clone, Copy)]
pub(super) struct Tracer<'a> {
    plan: &'a RefCell<Plan>,
    place: PlaceId,
    explore: bool,
    depth: u8,
}

/// The places inside a shape, from the view of one pass.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) plan: &'a RefCell<Plan>,
    pub(super) group: Group,
    /// Whether to look everywhere, or to give the smallest value.
    pub(super) explore: bool,
    depth: u8,
}

impl<'a> Scope<'a> {
    pub(super) fn child(&self, index: u32) -> Result<Tracer<'a>> {
        let mut plan = self.plan.borrow_mut();
        if self.depth >= MAX_DEPTH || !plan.tick() {
            return Err(Stop::Incomplete);
        }
        let place = plan.place(self.group, index);
        Ok(Tracer { plan: self.plan, place, explore: self.explore, depth: self.depth + 1 })
    }

    /// Lets `read` build what is at a place. If it fails, the value given last is suspected.
    pub(super) fn read<T>(
        &self,
        index: u32,
        read: impl FnOnce(Tracer<'a>) -> Result<T>,
    ) -> Result<T> {
        let since = self.plan.borrow().now();
        let result = read(self.child(index)?);
        if let Err(Stop::Refused) = result {
            self.plan.borrow_mut().blame_value_since(since);
        }
        result
    }

    pub(super) fn seed<'de, S: DeserializeSeed<'de>>(
        &self,
        index: u32,
        seed: S,
    ) -> Result<S::Value> {
        self.read(index, |tracer| seed.deserialize(tracer))
    }

    pub(super) fn with_group(&self, group: Group) -> Self {
        Self { group, ..*self }
    }
}

impl<'a> Tracer<'a> {
    pub(super) fn at_root(plan: &'a RefCell<Plan>) -> Self {
        let place = plan.borrow_mut().place(Group::Root, 0);
        Self { plan, place, explore: true, depth: 0 }
    }

    fn note(&self, asked: Asked) {
        self.plan.borrow_mut().note(self.place, asked);
    }

    fn inside(&self) -> Scope<'a> {
        let group = Group::Inside(self.place);
        Scope { plan: self.plan, group, explore: self.explore, depth: self.depth }
    }

    fn leaf<'de, V: Visitor<'de>, S: Copy>(
        self,
        leaf: Leaf,
        samples: &[S],
        visitor: V,
        visit: impl FnOnce(V, S) -> Result<V::Value>,
    ) -> Result<V::Value> {
        self.note(Asked::Leaf(leaf));
        let rust_name = type_name::<V::Value>();
        let chosen = self.plan.borrow_mut().choose_sample(self.place, rust_name, samples.len());
        let sample = chosen.ok_or(Stop::Incomplete)?;
        let result = visit(visitor, samples[sample]);
        let mut plan = self.plan.borrow_mut();
        match &result {
            Ok(_) => plan.sample_accepted(rust_name, sample),
            Err(_) => plan.sample_refused(self.place, sample),
        }
        result
    }

    /// Enters a struct or an enum, which `V` is about to build.
    fn named<'de, V: Visitor<'de>>(
        self,
        name: &'static str,
        form: Form,
        read: impl FnOnce(Scope<'a>, TypeId) -> Result<V::Value>,
    ) -> Result<V::Value> {
        let key = TypeKey { rust_name: type_name::<V::Value>(), name, form };
        let (ty, explore) = self.plan.borrow_mut().enter_type(key, self.explore);
        self.note(Asked::Named(ty));
        let group = Group::Type(ty);
        read(Scope { plan: self.plan, group, explore, depth: self.depth }, ty)
    }

    /// Builds an option or a list with content, or without where there is none to be had.
    fn optional<T>(
        self,
        asked: Asked,
        read: impl FnOnce(Option<Scope<'a>>) -> Result<T>,
    ) -> Result<T> {
        self.note(asked);
        if !self.explore || self.plan.borrow().places[self.place].left_empty {
            return read(None);
        }
        let result = read(Some(self.inside()));
        if result.is_err() {
            self.plan.borrow_mut().leave_empty(self.place);
        }
        result
    }
}

macro_rules! leaves {
    ($($method:ident $visit:ident $leaf:ident $samples:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.leaf(Leaf::$leaf, $samples, visitor, |visitor, value| visitor.$visit(value))
        }
    )*};
}

macro_rules! self_describing {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value> {
            self.note(Asked::Dynamic);
            Err(Stop::Incomplete)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Stop;

    fn is_human_readable(&self) -> bool {
        false
    }

    self_describing! { deserialize_any deserialize_identifier deserialize_ignored_any }

    leaves! {
        deserialize_bool visit_bool Bool &[false, true];
        deserialize_i8 visit_i8 I8 integers!();
        deserialize_i16 visit_i16 I16 integers!();
        deserialize_i32 visit_i32 I32 integers!();
        deserialize_i64 visit_i64 I64 integers!();
        deserialize_i128 visit_i128 I128 integers!();
        deserialize_u8 visit_u8 U8 integers!();
        deserialize_u16 visit_u16 U16 integers!();
        deserialize_u32 visit_u32 U32 integers!();
        deserialize_u64 visit_u64 U64 integers!();
        deserialize_u128 visit_u128 U128 integers!();
        deserialize_f32 visit_f32 F32 &[0.0, 1.0];
        deserialize_f64 visit_f64 F64 &[0.0, 1.0];
        deserialize_char visit_char Char &['a'];
        deserialize_str visit_borrowed_str Str TEXTS;
        deserialize_string visit_borrowed_str Str TEXTS;
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.leaf(Leaf::Bytes, BYTE_STRINGS, visitor, |visitor, len| {
            visitor.visit_byte_buf(vec![0; len])
        })
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.note(Asked::Leaf(Leaf::Unit));
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.optional(Asked::Option, |content| match content {
            Some(scope) => scope.read(0, |tracer| visitor.visit_some(tracer)),
            None => visitor.visit_none(),
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let empty = Elements::new(self.inside(), 0);
        self.optional(Asked::Seq, |content| {
            visitor.visit_seq(content.map_or(empty, |scope| Elements::new(scope, 1)))
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.optional(Asked::Map, |content| visitor.visit_map(Pairs::new(content)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.note(Asked::Tuple(len as u32));
        visitor.visit_seq(Elements::new(self.inside(), len as u32))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.named::<V>(name, Form::Newtype, |scope, _| {
            scope.read(0, |tracer| visitor.visit_newtype_struct(tracer))
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.named::<V>(name, Form::Tuple(len as u32), |scope, _| {
            visitor.visit_seq(Elements::new(scope, len as u32))
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.named::<V>(name, Form::Struct(fields), |scope, _| read_fields(scope, fields, visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.named::<V>(name, Form::Enum(variants), |scope, ty| {
            let chosen = scope.plan.borrow_mut().choose_variant(ty, scope.explore);
            let index = chosen.ok_or(Stop::Incomplete)?;
            let result = visitor.visit_enum(Variant::new(scope, ty, index));
            if scope.explore {
                let mut plan = scope.plan.borrow_mut();
                match &result {
                    Ok(_) => plan.variant_built(ty, index),
                    Err(_) => plan.variant_failed(ty, index),
                }
            }
            result
        })
    }
}
