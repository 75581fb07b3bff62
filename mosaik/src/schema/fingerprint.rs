//! The digest by which nodes see that they mean the same type.
//!
//! It is the blake3 digest of a canonical text of the schema, in which types are numbered in the
//! order in which they are first mentioned and have no names. Types that look the same count as
//! one type, so that neither their number nor the way in which a recursion is written down matters.
//!
//! The recipe is part of the protocol: golden digests in the tests keep it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::shape::{
    Content, Field, Fingerprint, Leaf, NamedType, Parts, Shape, Variant, VariantContent,
};
use crate::id::UniqueId;

/// Changed whenever the recipe is.
const RECIPE: u8 = 1;

pub(super) fn of(parts: &Parts) -> Fingerprint {
    let classes = classes(parts);
    let mut numbers = HashMap::new();
    let mut mentioned = Vec::new();
    let mut out = vec![RECIPE];
    let mut write_named = |ty: u32, mentioned: &mut Vec<u32>| {
        *numbers.entry(classes[ty as usize]).or_insert_with(|| {
            mentioned.push(ty);
            mentioned.len() as u32 - 1
        })
    };

    Text { out: &mut out, number: &mut |ty| write_named(ty, &mut mentioned) }.shape(&parts.root);
    let mut next = 0;
    while let Some(&ty) = mentioned.get(next) {
        let content = &parts.types[ty as usize].content;
        Text { out: &mut out, number: &mut |ty| write_named(ty, &mut mentioned) }.content(content);
        next += 1;
    }
    UniqueId::hash(&out)
}

/// Gives types that look the same, at every depth, the same number.
///
/// At first those are in one class that look the same but for the types they mention. When some of
/// a class turn out to be others, those that mention them are looked at again. The largest part of
/// a class keeps its number, so that a type is renumbered a logarithmic number of times: the schema
/// may be somebody else's, and made to take long.
fn classes(parts: &Parts) -> Vec<u32> {
    let (mut classes, mentions) = at_first_sight(parts);
    let mut mentioned_by = vec![BTreeSet::new(); classes.len()];
    let mut members =
        vec![BTreeSet::new(); classes.iter().max().map_or(0, |max| *max as usize + 1)];
    for (ty, class) in (0..).zip(&classes) {
        members[*class as usize].insert(ty);
        for mentioned in &mentions[ty as usize] {
            mentioned_by[*mentioned as usize].insert(ty);
        }
    }

    let mut again: BTreeSet<u32> = (0..classes.len() as u32).collect();
    while !again.is_empty() {
        // Those that are not looked at again mention no class that is new, the others do: they
        // differ.
        let mut groups: BTreeMap<u32, BTreeMap<Vec<u32>, Vec<u32>>> = BTreeMap::new();
        for ty in std::mem::take(&mut again) {
            let class = classes[ty as usize];
            if members[class as usize].len() > 1 {
                let mentioned = mentions[ty as usize].iter().map(|ty| classes[*ty as usize]);
                let same = groups.entry(class).or_default().entry(mentioned.collect());
                same.or_default().push(ty);
            }
        }
        for (class, groups) in groups {
            for part in leaving(&members[class as usize], groups.into_values().collect()) {
                for ty in &part {
                    members[class as usize].remove(ty);
                    classes[*ty as usize] = members.len() as u32;
                    again.extend(&mentioned_by[*ty as usize]);
                }
                members.push(part.into_iter().collect());
            }
        }
    }
    classes
}

/// Classes of types that look the same but for the types they mention; and those.
fn at_first_sight(parts: &Parts) -> (Vec<u32>, Vec<Vec<u32>>) {
    let mut texts = HashMap::new();
    let of_type = |ty: &NamedType| {
        let (mut out, mut mentions) = (Vec::new(), Vec::new());
        let mut number = |ty| {
            mentions.push(ty);
            0
        };
        Text { out: &mut out, number: &mut number }.content(&ty.content);
        let next = texts.len() as u32;
        (*texts.entry(out).or_insert(next), mentions)
    };
    parts.types.iter().map(of_type).unzip()
}

/// Which of these groups, and of what is left of their class, do not keep its number: all but the
/// largest.
fn leaving(class: &BTreeSet<u32>, mut groups: Vec<Vec<u32>>) -> Vec<Vec<u32>> {
    groups.sort_by_key(Vec::len);
    let left = class.len() - groups.iter().map(Vec::len).sum::<usize>();
    if groups.last().is_some_and(|largest| largest.len() > left) {
        let largest = groups.pop();
        if left > 0 {
            let in_groups: BTreeSet<&u32> = groups.iter().chain(&largest).flatten().collect();
            groups.push(class.iter().filter(|ty| !in_groups.contains(ty)).copied().collect());
        }
    }
    groups
}

/// Writes shapes as bytes, each beginning with a letter that says what follows.
struct Text<'a> {
    out: &'a mut Vec<u8>,
    /// What stands for a type that is mentioned.
    number: &'a mut dyn FnMut(u32) -> u32,
}

impl Text<'_> {
    fn content(&mut self, content: &Content) {
        match content {
            Content::Newtype(shape) => {
                self.out.push(b'n');
                self.shape(shape);
            }
            Content::Tuple(shapes) => self.tuple(shapes),
            Content::Struct(fields) => self.fields(fields),
            Content::Enum(variants) => {
                self.out.push(b'e');
                self.count(variants.len());
                variants.iter().for_each(|variant| self.variant(variant));
            }
        }
    }

    fn variant(&mut self, variant: &Variant) {
        self.text(&variant.name);
        match &variant.content {
            VariantContent::Unknown => self.out.push(b'?'),
            VariantContent::Unit => self.out.push(b'-'),
            VariantContent::Newtype(shape) => {
                self.out.push(b'n');
                self.shape(shape);
            }
            VariantContent::Tuple(shapes) => self.tuple(shapes),
            VariantContent::Struct(fields) => self.fields(fields),
        }
    }

    fn fields(&mut self, fields: &[Field]) {
        self.out.push(b's');
        self.count(fields.len());
        for field in fields {
            self.text(&field.name);
            self.shape(&field.shape);
        }
    }

    fn tuple(&mut self, shapes: &[Shape]) {
        self.out.push(b't');
        self.count(shapes.len());
        shapes.iter().for_each(|shape| self.shape(shape));
    }

    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Unknown => self.out.push(b'?'),
            Shape::Dynamic => self.out.push(b'*'),
            Shape::Leaf(leaf) => self.out.extend([b'l', letter(*leaf)]),
            Shape::Option(inner) => {
                self.out.push(b'o');
                self.shape(inner);
            }
            Shape::Seq(inner) => {
                self.out.push(b'v');
                self.shape(inner);
            }
            Shape::Map(key, value) => {
                self.out.push(b'm');
                self.shape(key);
                self.shape(value);
            }
            Shape::Tuple(shapes) => self.tuple(shapes),
            Shape::Array(len, inner) => {
                self.out.push(b'a');
                self.out.extend(len.to_le_bytes());
                self.shape(inner);
            }
            Shape::Named(ty) => {
                self.out.push(b'#');
                let number = (self.number)(*ty);
                self.out.extend(number.to_le_bytes());
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.out.extend(text.as_bytes());
    }

    fn count(&mut self, count: usize) {
        self.out.extend((count as u32).to_le_bytes());
    }
}

fn letter(leaf: Leaf) -> u8 {
    match leaf {
        Leaf::Unit => b'-',
        Leaf::Bool => b'?',
        Leaf::I8 => b'a',
        Leaf::I16 => b'b',
        Leaf::I32 => b'c',
        Leaf::I64 => b'd',
        Leaf::I128 => b'e',
        Leaf::U8 => b'A',
        Leaf::U16 => b'B',
        Leaf::U32 => b'C',
        Leaf::U64 => b'D',
        Leaf::U128 => b'E',
        Leaf::F32 => b'f',
        Leaf::F64 => b'F',
        Leaf::Char => b'x',
        Leaf::Str => b's',
        Leaf::Bytes => b'y',
    }
}
