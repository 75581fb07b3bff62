//! From what was learnt to the schema.

use std::collections::HashMap;

use super::plan::{Asked, Form, Group, PlaceId, Plan, TypeId, VariantAsked, VariantState};
use crate::schema::{
    Schema,
    shape::{Content, Field, NamedType, Parts, Shape, Variant, VariantContent},
};

pub(super) fn schema(plan: &Plan) -> Schema {
    let mut builder = Builder { plan, numbers: HashMap::new(), order: Vec::new() };
    let root = builder.shape(Group::Root, 0);
    let mut types = Vec::new();
    // Each type may mention further ones, which get the next numbers.
    while let Some(&ty) = builder.order.get(types.len()) {
        let name = plan.types[ty].key.name.to_owned();
        types.push(NamedType { name, content: builder.content(ty) });
    }
    Schema::new(Parts { root, types })
}

struct Builder<'a> {
    plan: &'a Plan,
    /// The numbers of types in the schema.
    numbers: HashMap<TypeId, u32>,
    /// The types by number.
    order: Vec<TypeId>,
}

impl Builder<'_> {
    fn number(&mut self, ty: TypeId) -> u32 {
        *self.numbers.entry(ty).or_insert_with(|| {
            self.order.push(ty);
            self.order.len() as u32 - 1
        })
    }

    fn content(&mut self, ty: TypeId) -> Content {
        let group = Group::Type(ty);
        match self.plan.types[ty].key.form {
            Form::Newtype => Content::Newtype(self.shape(group, 0)),
            Form::Tuple(len) => Content::Tuple(self.shapes(group, len)),
            Form::Struct(names) => Content::Struct(self.fields(group, names)),
            Form::Enum(names) => Content::Enum(self.variants(ty, names)),
        }
    }

    fn variants(&mut self, ty: TypeId, names: &[&str]) -> Vec<Variant> {
        let plans = &self.plan.types[ty].variants;
        // With aliases there are more names than variants, and no way to tell which belong
        // together: then the variants go by number.
        let has_aliases = plans.iter().any(|plan| plan.state == VariantState::Absent);
        (0u32..)
            .zip(names.iter().zip(plans))
            .filter(|(_, (_, plan))| plan.state != VariantState::Absent)
            .map(|(index, (name, plan))| Variant {
                name: if has_aliases { index.to_string() } else { (*name).to_owned() },
                content: self.variant(Group::Variant(ty, index), plan.asked),
            })
            .collect()
    }

    fn variant(&mut self, group: Group, asked: Option<VariantAsked>) -> VariantContent {
        match asked {
            None => VariantContent::Unknown,
            Some(VariantAsked::Unit) => VariantContent::Unit,
            Some(VariantAsked::Newtype) => VariantContent::Newtype(self.shape(group, 0)),
            Some(VariantAsked::Tuple(len)) => VariantContent::Tuple(self.shapes(group, len)),
            Some(VariantAsked::Struct(names)) => VariantContent::Struct(self.fields(group, names)),
        }
    }

    fn fields(&mut self, group: Group, names: &[&str]) -> Vec<Field> {
        (0u32..)
            .zip(names)
            .filter(|&(index, _)| !self.plan.is_alias(group, index))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|(index, name)| Field {
                name: (*name).to_owned(),
                shape: self.shape(group, index),
            })
            .collect()
    }

    fn shapes(&mut self, group: Group, len: u32) -> Vec<Shape> {
        (0..len).map(|index| self.shape(group, index)).collect()
    }

    fn shape(&mut self, group: Group, index: u32) -> Shape {
        let Some(place) = self.plan.find_place(group, index) else { return Shape::Unknown };
        self.shape_at(place)
    }

    fn shape_at(&mut self, place: PlaceId) -> Shape {
        let inside = Group::Inside(place);
        match self.plan.places[place].asked {
            None => Shape::Unknown,
            Some(Asked::Dynamic) => Shape::Dynamic,
            Some(Asked::Leaf(leaf)) => Shape::Leaf(leaf),
            Some(Asked::Option) => Shape::Option(self.shape(inside, 0).into()),
            Some(Asked::Seq) => Shape::Seq(self.shape(inside, 0).into()),
            Some(Asked::Map) => {
                Shape::Map(self.shape(inside, 0).into(), self.shape(inside, 1).into())
            }
            Some(Asked::Tuple(len)) => tuple(self.shapes(inside, len)),
            Some(Asked::Named(ty)) => Shape::Named(self.number(ty)),
        }
    }
}

/// Arrays ask for a tuple; `[u8; 32]` need not be written down as 32 shapes.
fn tuple(shapes: Vec<Shape>) -> Shape {
    match shapes.first() {
        Some(first) if shapes.len() > 2 && shapes.iter().all(|shape| shape == first) => {
            Shape::Array(shapes.len() as u32, first.clone().into())
        }
        _ => Shape::Tuple(shapes),
    }
}
