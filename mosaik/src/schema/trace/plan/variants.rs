//! Enums: which variant to give next.

use std::collections::HashSet;

use super::{Asked, Form, Group, PlaceId, Plan, TypeId};

#[derive(Debug, Default)]
pub(crate) struct VariantPlan {
    pub(crate) asked: Option<VariantAsked>,
    pub(crate) state: VariantState,
    /// It was entered for an enum below it, in vain.
    stuck: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum VariantState {
    #[default]
    Untried,
    Built,
    /// Nothing that could be given built a value. It may yet once some enum has a base.
    Failed,
    /// The type has no variant of this number: serde lists aliases among the names.
    Absent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VariantAsked {
    Unit,
    Newtype,
    Tuple(u32),
    Struct(&'static [&'static str]),
}

impl Plan {
    /// Which variant to give: of a type that is explored one that has not been tried, or one that
    /// leads to an enum with such a variant; else one that is known to work.
    pub(crate) fn choose_variant(&mut self, ty: TypeId, explore: bool) -> Option<u32> {
        let variants = &self.types[ty].variants;
        if explore {
            let untried = variants.iter().position(|it| it.state == VariantState::Untried);
            if let Some(variant) = untried {
                return Some(variant as u32);
            }
            let leading = (0..variants.len() as u32).find(|&variant| {
                !variants[variant as usize].stuck
                    && self.leads_to_untried(Group::Variant(ty, variant), &mut HashSet::new())
            });
            if let Some(variant) = leading {
                self.revisited.push((ty, variant));
                return Some(variant);
            }
        }
        self.types[ty].base
    }

    /// Whether exploring the group would come to an enum with an untried variant.
    fn leads_to_untried(&self, group: Group, seen: &mut HashSet<TypeId>) -> bool {
        self.places_of(group).any(|place| match self.places[place].asked {
            Some(Asked::Named(ty)) => {
                self.types[ty].explored_in != self.pass
                    && seen.insert(ty)
                    && self.type_leads_to_untried(ty, seen)
            }
            Some(Asked::Option | Asked::Seq | Asked::Map | Asked::Tuple(_)) => {
                !self.places[place].left_empty && self.leads_to_untried(Group::Inside(place), seen)
            }
            Some(Asked::Leaf(_) | Asked::Dynamic) | None => false,
        })
    }

    fn type_leads_to_untried(&self, ty: TypeId, seen: &mut HashSet<TypeId>) -> bool {
        let variants = &self.types[ty].variants;
        variants.iter().any(|variant| variant.state == VariantState::Untried)
            || self.leads_to_untried(Group::Type(ty), seen)
            || (0..variants.len() as u32)
                .any(|variant| self.leads_to_untried(Group::Variant(ty, variant), seen))
    }

    /// The places of a group come into being in order, one after the other or with gaps where
    /// fields are left out.
    fn places_of(&self, group: Group) -> impl Iterator<Item = PlaceId> {
        (0..self.group_len(group)).filter_map(move |index| self.find_place(group, index))
    }

    fn group_len(&self, group: Group) -> u32 {
        let of_fields = |names: &[&str]| names.len() as u32;
        match group {
            Group::Root => 1,
            Group::Inside(place) => match self.places[place].asked {
                Some(Asked::Tuple(len)) => len,
                _ => 2,
            },
            Group::Type(ty) => match self.types[ty].key.form {
                Form::Newtype => 1,
                Form::Tuple(len) => len,
                Form::Struct(names) => of_fields(names),
                Form::Enum(_) => 0,
            },
            Group::Variant(ty, variant) => match self.types[ty].variants[variant as usize].asked {
                Some(VariantAsked::Newtype) => 1,
                Some(VariantAsked::Tuple(len)) => len,
                Some(VariantAsked::Struct(names)) => of_fields(names),
                Some(VariantAsked::Unit) | None => 0,
            },
        }
    }

    /// Nothing came of entering the variant once more for the enums below it.
    pub(super) fn variant_stuck(&mut self, ty: TypeId, variant: u32) {
        self.types[ty].variants[variant as usize].stuck = true;
    }

    pub(crate) fn note_variant(&mut self, ty: TypeId, variant: u32, asked: VariantAsked) {
        let known = &mut self.types[ty].variants[variant as usize].asked;
        if known.is_none() {
            *known = Some(asked);
            self.progress = true;
        }
    }

    pub(crate) fn variant_absent(&mut self, ty: TypeId, variant: u32) {
        self.change(|plan| {
            plan.types[ty].variants[variant as usize].state = VariantState::Absent;
        });
    }

    pub(crate) fn variant_built(&mut self, ty: TypeId, variant: u32) {
        let plan = &mut self.types[ty].variants[variant as usize];
        if plan.state != VariantState::Built {
            plan.state = VariantState::Built;
            self.progress = true;
        }
        if self.types[ty].base.is_none() {
            self.types[ty].base = Some(variant);
            self.retry_all();
        }
    }

    pub(crate) fn variant_failed(&mut self, ty: TypeId, variant: u32) {
        if self.types[ty].variants[variant as usize].state == VariantState::Untried {
            self.give_up(|plan| {
                plan.types[ty].variants[variant as usize].state = VariantState::Failed;
            });
        }
    }

    /// An enum has its first value: what failed for want of it gets another chance.
    fn retry_all(&mut self) {
        for variant in self.types.iter_mut().flat_map(|ty| &mut ty.variants) {
            if variant.state == VariantState::Failed {
                variant.state = VariantState::Untried;
            }
        }
        self.places.iter_mut().for_each(|place| place.left_empty = false);
        self.fields.values_mut().for_each(|fields| fields.refused.clear());
        self.progress = true;
    }
}
