//! What has been learnt in the passes so far, and how the next one will answer.

mod fields;
mod variants;

use std::collections::HashMap;

use fields::FieldsPlan;
use variants::VariantPlan;

pub(super) use variants::{VariantAsked, VariantState};

use crate::schema::shape::Leaf;

/// More passes than any sensible type needs: an enum takes about one for each variant.
const MAX_PASSES: u32 = 4096;

/// How many values are given in all passes together before the trace ends with what it has.
const MAX_VALUES: u32 = 1 << 18;

/// A place in a type where a value is asked for.
pub(super) type PlaceId = usize;

/// A struct or an enum.
pub(super) type TypeId = usize;

/// What places belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// The whole.
    Root,
    /// The elements of an unnamed shape: an option, a sequence, a tuple ...
    Inside(PlaceId),
    /// The fields of a struct.
    Type(TypeId),
    /// What a variant of an enum holds.
    Variant(TypeId, u32),
}

/// What a place asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Dynamic,
    Leaf(Leaf),
    Option,
    Seq,
    Map,
    Tuple(u32),
    Named(TypeId),
}

#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) asked: Option<Asked>,
    /// An option or a list whose content cannot be built.
    pub(super) left_empty: bool,
    /// Which sample to give, once the usual one was refused.
    sample: Option<usize>,
}

/// What makes a type the same type. Two impls may build one Rust type from different structs, hence
/// more than its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TypeKey {
    pub(super) rust_name: &'static str,
    pub(super) name: &'static str,
    pub(super) form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Form {
    Newtype,
    Tuple(u32),
    Struct(&'static [&'static str]),
    Enum(&'static [&'static str]),
}

#[derive(Debug)]
pub(super) struct NamedType {
    pub(super) key: TypeKey,
    explored_in: u32,
    pub(super) variants: Vec<VariantPlan>,
    /// The variant of which a value is known to be possible.
    base: Option<u32>,
}

/// The value given last, which is suspected first when something above refuses.
#[derive(Debug, Clone, Copy)]
struct Given {
    place: PlaceId,
    time: u32,
    sample: usize,
    samples: usize,
}

/// Everything that outlives a pass.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) places: Vec<Place>,
    place_ids: HashMap<(Group, u32), PlaceId>,
    pub(super) types: Vec<NamedType>,
    type_ids: HashMap<TypeKey, TypeId>,
    fields: HashMap<Group, FieldsPlan>,
    /// The sample that a Rust type took; it will do at other places too.
    accepted: HashMap<&'static str, usize>,
    /// How many values have been given.
    time: u32,
    pass: u32,
    /// This pass has learnt something: another one is worth while.
    progress: bool,
    /// A failure of this pass has been answered by a change, so those above it must not react.
    changed: bool,
    given: Option<Given>,
    /// Variants that were entered again in this pass for the enums below them.
    revisited: Vec<(TypeId, u32)>,
}

impl Plan {
    /// Whether another pass makes sense; if so, it begins.
    pub(super) fn begin_pass(&mut self) -> bool {
        let revisited = std::mem::take(&mut self.revisited);
        if !self.progress {
            for &(ty, variant) in &revisited {
                self.variant_stuck(ty, variant);
            }
        }
        let worth_while = self.pass == 0 || self.progress || !revisited.is_empty();
        self.pass += 1;
        self.progress = false;
        self.changed = false;
        self.given = None;
        worth_while && self.pass <= MAX_PASSES && self.time < MAX_VALUES
    }

    /// Counts a value that is to be given; `false` when there have been too many.
    pub(super) fn tick(&mut self) -> bool {
        self.time += 1;
        self.time < MAX_VALUES
    }

    pub(super) fn now(&self) -> u32 {
        self.time
    }

    pub(super) fn place(&mut self, group: Group, index: u32) -> PlaceId {
        *self.place_ids.entry((group, index)).or_insert_with(|| {
            self.places.push(Place::default());
            self.places.len() - 1
        })
    }

    pub(super) fn find_place(&self, group: Group, index: u32) -> Option<PlaceId> {
        self.place_ids.get(&(group, index)).copied()
    }

    pub(super) fn note(&mut self, place: PlaceId, asked: Asked) {
        let known = &mut self.places[place].asked;
        if known.is_none() {
            *known = Some(asked);
            self.progress = true;
        }
    }

    /// Reacts to a failure by `change`, unless something below has done so.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        if !self.changed {
            self.changed = true;
            self.progress = true;
            change(self);
        }
    }

    /// Gives something up, but only when passes bring nothing new as it is: what is below may fail
    /// and yet show another variant each time.
    fn give_up(&mut self, change: impl FnOnce(&mut Self)) {
        if !self.progress && self.revisited.is_empty() {
            self.change(change);
        }
    }

    pub(super) fn leave_empty(&mut self, place: PlaceId) {
        self.give_up(|plan| plan.places[place].left_empty = true);
    }

    // Leaves.

    /// Which of the samples to give here, if one is left.
    pub(super) fn choose_sample(
        &mut self,
        place: PlaceId,
        rust_name: &'static str,
        samples: usize,
    ) -> Option<usize> {
        let usual = self.accepted.get(rust_name).copied().unwrap_or(0);
        let sample = self.places[place].sample.unwrap_or(usual);
        if sample >= samples {
            return None;
        }
        self.given = Some(Given { place, time: self.time, sample, samples });
        Some(sample)
    }

    pub(super) fn sample_accepted(&mut self, rust_name: &'static str, sample: usize) {
        self.accepted.entry(rust_name).or_insert(sample);
    }

    /// The type refused the sample: another one next time, or none.
    pub(super) fn sample_refused(&mut self, place: PlaceId, sample: usize) {
        self.change(|plan| plan.places[place].sample = Some(plan.sample_after(place, sample)));
    }

    fn sample_after(&self, place: PlaceId, sample: usize) -> usize {
        match self.places[place].sample {
            // The usual sample of the type was refused, which need not be the first.
            None if sample > 0 => 0,
            _ => sample + 1,
        }
    }

    /// A value was refused above the one that was given last (as `try_from` does), at or after
    /// `time`: that one is to be another next time, if there is another.
    pub(super) fn blame_value_since(&mut self, time: u32) {
        let Some(given) = self.given.filter(|given| given.time >= time) else { return };
        if self.sample_after(given.place, given.sample) < given.samples {
            self.sample_refused(given.place, given.sample);
        }
    }

    /// The type panicked over the value that was given last.
    pub(super) fn panicked(&mut self) {
        if let Some(given) = self.given {
            self.sample_refused(given.place, given.sample);
        }
    }

    // Named types.

    /// Enters a type. The second value tells whether it is to be explored: at its first place in a
    /// pass.
    pub(super) fn enter_type(&mut self, key: TypeKey, explore: bool) -> (TypeId, bool) {
        let id = match self.type_ids.get(&key) {
            Some(&id) => id,
            None => self.add_type(key),
        };
        let ty = &mut self.types[id];
        let explore = explore && ty.explored_in != self.pass;
        if explore {
            ty.explored_in = self.pass;
        }
        (id, explore)
    }

    fn add_type(&mut self, key: TypeKey) -> TypeId {
        let id = self.types.len();
        let variants = match key.form {
            Form::Enum(names) => names.iter().map(|_| VariantPlan::default()).collect(),
            _ => Vec::new(),
        };
        self.types.push(NamedType { key, explored_in: 0, variants, base: None });
        self.type_ids.insert(key, id);
        id
    }
}
