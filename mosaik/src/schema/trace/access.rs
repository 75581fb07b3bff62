//! The insides of lists, maps, structs and enums, answered with samples.

use serde::de::{
    DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::{
    answer::Scope,
    plan::{Group, TypeId, VariantAsked},
    stop::Stop,
};

type Result<T> = std::result::Result<T, Stop>;

/// The first `left` places of a scope, one after the other.
pub(super) struct Elements<'a> {
    scope: Scope<'a>,
    next: u32,
    end: u32,
}

impl<'a> Elements<'a> {
    pub(super) fn new(scope: Scope<'a>, count: u32) -> Self {
        Self { scope, next: 0, end: count }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.next == self.end {
            return Ok(None);
        }
        self.next += 1;
        self.scope.seed(self.next - 1, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some((self.end - self.next) as usize)
    }
}

/// A map of one pair, or of none.
pub(super) struct Pairs<'a> {
    /// Taken by the key.
    ahead: Option<Scope<'a>>,
    /// Taken by the value.
    begun: Option<Scope<'a>>,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(pair: Option<Scope<'a>>) -> Self {
        Self { ahead: pair, begun: None }
    }
}

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = Stop;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(scope) = self.ahead.take() else { return Ok(None) };
        self.begun = Some(scope);
        scope.seed(0, seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.begun.take().ok_or(Stop::Incomplete)?.seed(1, seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::from(self.ahead.is_some()))
    }
}

/// Gives a visitor the fields of a struct, as a map unless it insists on a sequence.
pub(super) fn read_fields<'de, V: Visitor<'de>>(
    scope: Scope<'_>,
    names: &'static [&'static str],
    visitor: V,
) -> Result<V::Value> {
    let count = names.len() as u32;
    let (as_seq, order) = {
        let mut plan = scope.plan.borrow_mut();
        let fields = plan.fields(scope.group);
        (fields.as_seq, fields.order(count))
    };
    if as_seq {
        return visitor.visit_seq(Elements::new(scope, count));
    }
    let mut fields = Fields { scope, names, ahead: order.into_iter(), given: None, asked: false };
    let result = visitor.visit_map(&mut fields);
    let (given, asked) = (fields.given, fields.asked);
    let mut plan = scope.plan.borrow_mut();
    match (&result, given) {
        (Err(Stop::DuplicateField(name)), Some(field)) => {
            plan.field_given_before(scope.group, field, names[field as usize] == *name);
        }
        (Err(_), _) if !asked => plan.feed_as_seq(scope.group),
        _ => {}
    }
    result
}

/// The fields of a struct as a map from names.
struct Fields<'a> {
    scope: Scope<'a>,
    names: &'static [&'static str],
    ahead: std::vec::IntoIter<u32>,
    /// The field whose name has been given and whose value has not been asked for yet.
    given: Option<u32>,
    /// Whether a name has been asked for.
    asked: bool,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Stop;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        self.asked = true;
        let Some(field) = self.ahead.next() else { return Ok(None) };
        self.given = Some(field);
        let name = self.names[field as usize];
        seed.deserialize(IntoDeserializer::<Stop>::into_deserializer(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let field = self.given.take().ok_or(Stop::Incomplete)?;
        let result = self.scope.seed(field, seed);
        if result.is_err() && self.scope.explore {
            self.scope.plan.borrow_mut().field_refused(self.scope.group, field);
        }
        result
    }
}

/// A variant of an enum, given by its number.
pub(super) struct Variant<'a> {
    scope: Scope<'a>,
    ty: TypeId,
    index: u32,
}

impl<'a> Variant<'a> {
    pub(super) fn new(scope: Scope<'a>, ty: TypeId, index: u32) -> Self {
        Self { scope: scope.with_group(Group::Variant(ty, index)), ty, index }
    }

    fn note(&self, asked: VariantAsked) {
        self.scope.plan.borrow_mut().note_variant(self.ty, self.index, asked);
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self)> {
        let index = IntoDeserializer::<Stop>::into_deserializer(self.index);
        match seed.deserialize(index) {
            Ok(variant) => Ok((variant, self)),
            Err(_) => {
                self.scope.plan.borrow_mut().variant_absent(self.ty, self.index);
                Err(Stop::Incomplete)
            }
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<()> {
        self.note(VariantAsked::Unit);
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        self.note(VariantAsked::Newtype);
        self.scope.seed(0, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.note(VariantAsked::Tuple(len as u32));
        visitor.visit_seq(Elements::new(self.scope, len as u32))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.note(VariantAsked::Struct(fields));
        read_fields(self.scope, fields, visitor)
    }
}
