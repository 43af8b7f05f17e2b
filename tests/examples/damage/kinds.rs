//! The kinds of damage. Each aims at a part of the file first (header, a section, what lies between) and
//! then at a place in it, so that the small parts get as much as the large ones.

#![expect(
    clippy::ptr_arg,
    reason = "the functions of the table have one type, whether the length changes or not"
)]

use std::ops::Range;

use fastrand::Rng;

use crate::models::Sound;

/// A kind of damage.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    apply: fn(&mut Vec<u8>, &Sound, &[Sound], &mut Rng),
}

pub(crate) const KINDS: &[Kind] = &[
    Kind { name: "bits flipped", apply: flip },
    Kind { name: "bytes cut", apply: cut },
    Kind { name: "bytes inserted", apply: insert },
    Kind { name: "range zeroed", apply: zero },
    Kind { name: "range overwritten", apply: overwrite },
    Kind { name: "sections swapped", apply: swap_sections },
    Kind { name: "entries swapped", apply: swap_entries },
    Kind { name: "ranges swapped", apply: swap_ranges },
    Kind { name: "two files joined", apply: join },
];

impl Kind {
    /// The file after this damage. Zeros over zeros and the like are tried again, a few times.
    pub(crate) fn apply(self, sound: &Sound, all: &[Sound], rng: &mut Rng) -> Vec<u8> {
        let mut bytes = sound.bytes.clone();
        for _ in 0..8 {
            (self.apply)(&mut bytes, sound, all, rng);
            if bytes != sound.bytes {
                break;
            }
        }
        bytes
    }
}

/// The fixed part of the header, and a section's entry in its table.
const FIXED: usize = 32;
const ENTRY: usize = 32;

/// The sections' ranges, in the order of the file.
fn sections(sound: &Sound) -> Vec<Range<usize>> {
    let range = |s: &mlcc_format::Section| s.offset as usize..(s.offset + s.len) as usize;
    let mut ranges: Vec<_> = sound.artifact.sections().iter().map(range).collect();
    ranges.sort_by_key(|range| range.start);
    ranges
}

/// A part of the file that is not empty: header, a section, or the bytes between two of them.
fn part(sound: &Sound, rng: &mut Rng) -> Range<usize> {
    let header = 0..FIXED + ENTRY * sound.artifact.sections().len();
    let mut parts = vec![header];
    for section in sections(sound) {
        let end = parts.last().map_or(0, |part| part.end);
        parts.extend([end..section.start, section]);
    }
    parts.retain(|part| !part.is_empty());
    parts.swap_remove(rng.usize(..parts.len()))
}

/// A range that begins in a part; short ones are as likely as long ones.
fn range(sound: &Sound, rng: &mut Rng) -> Range<usize> {
    let part = part(sound, rng);
    let begin = rng.usize(part);
    let most = 1usize << rng.u32(..14);
    begin..(begin + rng.usize(1..=most)).min(sound.bytes.len())
}

fn flip(bytes: &mut Vec<u8>, sound: &Sound, _: &[Sound], rng: &mut Rng) {
    for _ in 0..1usize << rng.u32(..4) {
        let part = part(sound, rng);
        bytes[rng.usize(part)] ^= 1 << rng.u32(..8);
    }
}

fn cut(bytes: &mut Vec<u8>, sound: &Sound, _: &[Sound], rng: &mut Rng) {
    let range = range(sound, rng);
    match rng.bool() {
        true => bytes.truncate(range.start),
        false => drop(bytes.drain(range)),
    }
}

fn insert(bytes: &mut Vec<u8>, sound: &Sound, _: &[Sound], rng: &mut Rng) {
    let range = range(sound, rng);
    let at = if rng.u32(..8) == 0 { bytes.len() } else { range.start };
    let zeros = rng.bool();
    let more: Vec<u8> = range.map(|_| if zeros { 0 } else { rng.u8(..) }).collect();
    bytes.splice(at..at, more);
}

fn zero(bytes: &mut Vec<u8>, sound: &Sound, _: &[Sound], rng: &mut Rng) {
    bytes[range(sound, rng)].fill(0);
}

fn overwrite(bytes: &mut Vec<u8>, sound: &Sound, _: &[Sound], rng: &mut Rng) {
    bytes[range(sound, rng)].fill_with(|| rng.u8(..));
}

/// Exchanges the content of two sections, and all between them moves.
fn swap_sections(bytes: &mut Vec<u8>, sound: &Sound, _: &[Sound], rng: &mut Rng) {
    let sections = sections(sound);
    let (a, b) = two(sections.len(), rng);
    let (a, b) = (sections[a].clone(), sections[b].clone());
    let old = std::mem::take(bytes);
    for part in [0..a.start, b.clone(), a.end..b.start, a, b.end..old.len()] {
        bytes.extend_from_slice(&old[part]);
    }
}

/// Exchanges parts of the header's table: whole entries, or the same field of two.
fn swap_entries(bytes: &mut Vec<u8>, sound: &Sound, _: &[Sound], rng: &mut Rng) {
    let (a, b) = two(sound.artifact.sections().len(), rng);
    let field = [0..4, 4..8, 8..16, 16..24, 24..32, 0..32][rng.usize(..6)].clone();
    for at in field {
        bytes.swap(FIXED + ENTRY * a + at, FIXED + ENTRY * b + at);
    }
}

fn swap_ranges(bytes: &mut Vec<u8>, sound: &Sound, _: &[Sound], rng: &mut Rng) {
    let (a, b) = (range(sound, rng), range(sound, rng));
    for (a, b) in a.zip(b) {
        bytes.swap(a, b);
    }
}

/// The begin of one artifact and the end of another, as a disk's confusion makes them.
fn join(bytes: &mut Vec<u8>, sound: &Sound, all: &[Sound], rng: &mut Rng) {
    let other = &all[rng.usize(..all.len())].bytes;
    let at = if rng.bool() { range(sound, rng).start } else { rng.usize(..bytes.len()) / 4096 * 4096 };
    bytes.truncate(at);
    bytes.extend_from_slice(other.get(at..).unwrap_or_default());
}

/// Two different numbers below `count`, the smaller one first.
fn two(count: usize, rng: &mut Rng) -> (usize, usize) {
    let a = rng.usize(..count - 1);
    (a, rng.usize(a + 1..count))
}
