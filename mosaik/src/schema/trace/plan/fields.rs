//! Structs: which fields to give, and how.

use std::collections::HashSet;

use super::{Group, Plan};

/// How the fields of a struct, or of a variant, are given.
#[derive(Debug, Default)]
pub(crate) struct FieldsPlan {
    /// The visitor takes sequences only.
    pub(crate) as_seq: bool,
    /// Fields that cannot be built and are left out.
    pub(super) refused: HashSet<u32>,
    /// Other names of fields.
    aliases: HashSet<u32>,
    /// Is given before all others, so that aliases of it show.
    first: Option<u32>,
}

impl Plan {
    pub(crate) fn fields(&mut self, group: Group) -> &mut FieldsPlan {
        self.fields.entry(group).or_default()
    }

    pub(crate) fn is_alias(&self, group: Group, field: u32) -> bool {
        self.fields.get(&group).is_some_and(|fields| fields.aliases.contains(&field))
    }

    /// The visitor did not even ask for the first field: it does not take maps.
    pub(crate) fn feed_as_seq(&mut self, group: Group) {
        self.change(|plan| plan.fields(group).as_seq = true);
    }

    pub(crate) fn field_refused(&mut self, group: Group, field: u32) {
        self.give_up(|plan| {
            plan.fields(group).refused.insert(field);
        });
    }

    /// `field` turned out to be one that was given before: either this name is an alias or, if it
    /// is the true name, an earlier one was, which shows when the true one is given first.
    pub(crate) fn field_given_before(&mut self, group: Group, field: u32, is_true_name: bool) {
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
    pub(crate) fn order(&self, count: u32) -> Vec<u32> {
        let given = |field: &u32| !self.aliases.contains(field) && !self.refused.contains(field);
        let rest = (0..count).filter(|field| self.first != Some(*field));
        self.first.into_iter().chain(rest).filter(given).collect()
    }
}
