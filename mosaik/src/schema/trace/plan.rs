//! What has been learnt in the passes so far, and how the next one will answer.

use std::collections::{HashMap, HashSet};

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

#[derive(Debug, Default)]
pub(super) struct VariantPlan {
    pub(super) asked: Option<VariantAsked>,
    pub(super) state: VariantState,
    /// It was entered for an enum below it, in vain.
    stuck: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum VariantState {
    #[default]
    Untried,
    Built,
    /// Nothing that could be given built a value. It may yet once some enum has a base.
    Failed,
    /// The type has no variant of this number: serde lists aliases among the names.
    Absent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VariantAsked {
    Unit,
    Newtype,
    Tuple(u32),
    Struct(&'static [&'static str]),
}

/// How the fields of a struct, or of a variant, are given.
#[derive(Debug, Default)]
pub(super) struct FieldsPlan {
    /// The visitor takes sequences only.
    pub(super) as_seq: bool,
    /// Fields that cannot be built and are left out.
    refused: HashSet<u32>,
    /// Other names of fields.
    pub(super) aliases: HashSet<u32>,
    /// Is given before all others, so that aliases of it show.
    first: Option<u32>,
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
                self.types[ty].variants[variant as usize].stuck = true;
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

    pub(super) fn leave_empty(&mut self, place: PlaceId) {
        self.change(|plan| plan.places[place].left_empty = true);
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

    // Enums.

    /// Which variant to give: of a type that is explored one that has not been tried, or one that
    /// leads to an enum with such a variant; else one that is known to work.
    pub(super) fn choose_variant(&mut self, ty: TypeId, explore: bool) -> Option<u32> {
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

    pub(super) fn note_variant(&mut self, ty: TypeId, variant: u32, asked: VariantAsked) {
        let known = &mut self.types[ty].variants[variant as usize].asked;
        if known.is_none() {
            *known = Some(asked);
            self.progress = true;
        }
    }

    pub(super) fn variant_absent(&mut self, ty: TypeId, variant: u32) {
        self.change(|plan| {
            plan.types[ty].variants[variant as usize].state = VariantState::Absent;
        });
    }

    pub(super) fn variant_built(&mut self, ty: TypeId, variant: u32) {
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

    pub(super) fn variant_failed(&mut self, ty: TypeId, variant: u32) {
        if self.types[ty].variants[variant as usize].state == VariantState::Untried {
            self.change(|plan| {
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

    // Fields.

    pub(super) fn fields(&mut self, group: Group) -> &mut FieldsPlan {
        self.fields.entry(group).or_default()
    }

    pub(super) fn is_alias(&self, group: Group, field: u32) -> bool {
        self.fields.get(&group).is_some_and(|fields| fields.aliases.contains(&field))
    }

    /// The visitor did not even ask for the first field: it does not take maps.
    pub(super) fn feed_as_seq(&mut self, group: Group) {
        self.change(|plan| plan.fields(group).as_seq = true);
    }

    pub(super) fn field_refused(&mut self, group: Group, field: u32) {
        self.change(|plan| {
            plan.fields(group).refused.insert(field);
        });
    }

    /// `field` turned out to be one that was given before: either this name is an alias or, if it
    /// is the true name, an earlier one was, which shows when the true one is given first.
    pub(super) fn field_given_before(&mut self, group: Group, field: u32, is_true_name: bool) {
        self.change(|plan| {
            let fields = plan.fields(group);
            if is_true_name && fields.first != Some(field) {
                fields.first = Some(field);
            } else {
                fields.aliases.insert(field);
            }
        });
    }
}

impl FieldsPlan {
    /// Which of `count` fields to give, and in which order.
    pub(super) fn order(&self, count: u32) -> Vec<u32> {
        let given = |field: &u32| !self.aliases.contains(field) && !self.refused.contains(field);
        let rest = (0..count).filter(|field| self.first != Some(*field));
        self.first.into_iter().chain(rest).filter(given).collect()
    }
}
