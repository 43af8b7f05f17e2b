//! The greatest or least elements along an axis.
//!
//! Elements become integers of the same order, so that a comparison is one instruction without special cases for NaN
//! and signed zeros. A line is read once. Only elements that come before the worst of the best so far are kept, with
//! their positions, in a buffer. Whenever it is full, it is cut to the `k` best: no more than `n + k log k` steps.

use mlcc_format::DType;
use std::ops::Range;

/// The elements to find.
#[derive(Clone, Copy)]
pub(super) struct TopK {
    /// Extents of the axis, and of the dimensions behind it.
    pub(super) size: usize,
    pub(super) inner: usize,
    /// Number of elements to find in each line.
    pub(super) k: usize,
    pub(super) largest: bool,
}

/// Elements of one type in the order of their keys.
trait Ordered {
    /// An integer type with the order of the elements: NaN is the greatest, both zeros are equal.
    type Key: Copy + Ord + std::ops::Not<Output = Self::Key>;
    /// A key and a position in one number, greater for greater keys and for earlier positions.
    type Entry: Copy + Ord;
    const BYTES: usize;
    fn key(bytes: &[u8]) -> Self::Key;
    fn entry(key: Self::Key, position: usize) -> Self::Entry;
    fn position(entry: Self::Entry) -> usize;
    fn key_of(entry: Self::Entry) -> Self::Key;
}

macro_rules! ordered {
    ($name:ident, $bits:ty, $key:ty, $entry:ty, $position:ty, $to_key:expr) => {
        struct $name;
        impl Ordered for $name {
            type Key = $key;
            type Entry = $entry;
            const BYTES: usize = size_of::<$bits>();
            #[inline(always)]
            fn key(bytes: &[u8]) -> $key {
                let mut own = [0; size_of::<$bits>()];
                own.copy_from_slice(&bytes[..size_of::<$bits>()]);
                let to_key: fn($bits) -> $key = $to_key;
                to_key(<$bits>::from_le_bytes(own))
            }
            #[inline(always)]
            fn entry(key: $key, position: usize) -> $entry {
                (<$entry>::from(key) << <$position>::BITS) | <$entry>::from(!(position as $position))
            }
            #[inline(always)]
            fn position(entry: $entry) -> usize {
                !(entry as $position) as usize
            }
            #[inline(always)]
            fn key_of(entry: $entry) -> $key {
                (entry >> <$position>::BITS) as $key
            }
        }
    };
}

/// A float's bits as an integer of the float's order: both zeros are 0, NaN is the greatest integer.
macro_rules! float_key {
    ($bits:ident, $int:ty, $infinity:expr) => {{
        let signed = $bits as $int;
        let magnitude = signed & <$int>::MAX;
        let ordered = signed ^ ((signed >> (<$int>::BITS - 1)) & <$int>::MAX);
        let ordered = if magnitude == 0 { 0 } else { ordered };
        if magnitude > $infinity { <$int>::MAX } else { ordered }
    }};
}

// Positions have 32 bits: the caller makes sure that lines are shorter.
ordered!(F32, u32, i32, i64, u32, |bits| float_key!(bits, i32, 0x7f80_0000));
ordered!(F16, u16, i32, i64, u32, |bits| i32::from(float_key!(bits, i16, 0x7c00)));
ordered!(BF16, u16, i32, i64, u32, |bits| i32::from(float_key!(bits, i16, 0x7f80)));
ordered!(F64, u64, i64, i128, u32, |bits| float_key!(bits, i64, 0x7ff0_0000_0000_0000));
ordered!(I8, i8, i32, i64, u32, i32::from);
ordered!(I16, i16, i32, i64, u32, i32::from);
ordered!(I32, i32, i32, i64, u32, |v| v);
ordered!(I64, i64, i64, i128, u32, |v| v);
ordered!(U8, u8, i32, i64, u32, i32::from);
ordered!(U16, u16, i32, i64, u32, i32::from);
ordered!(U32, u32, i32, i64, u32, |v| (v ^ (1 << 31)) as i32);
ordered!(U64, u64, i64, i128, u32, |v| (v ^ (1 << 63)) as i64);

/// Finds the best elements of the lines `lines` of `data`. Calls `found(line, positions)` for each line, with the
/// positions along the axis, best first.
pub(super) fn find(top: TopK, dtype: DType, data: &[u8], lines: Range<usize>, found: Found<'_>) {
    match dtype {
        DType::F16 => find_in::<F16>(top, data, lines, found),
        DType::BF16 => find_in::<BF16>(top, data, lines, found),
        DType::F32 => find_in::<F32>(top, data, lines, found),
        DType::F64 => find_in::<F64>(top, data, lines, found),
        DType::I8 => find_in::<I8>(top, data, lines, found),
        DType::I16 => find_in::<I16>(top, data, lines, found),
        DType::I32 => find_in::<I32>(top, data, lines, found),
        DType::I64 => find_in::<I64>(top, data, lines, found),
        DType::U8 | DType::Bool => find_in::<U8>(top, data, lines, found),
        DType::U16 => find_in::<U16>(top, data, lines, found),
        DType::U32 => find_in::<U32>(top, data, lines, found),
        DType::U64 => find_in::<U64>(top, data, lines, found),
    }
}

/// A callback that receives a line and the positions of its best elements.
pub(super) type Found<'a> = &'a mut dyn FnMut(usize, &[usize]);

/// This number of elements is compared before any single one is looked at.
const CHUNK: usize = 32;
/// Before it is cut, the buffer holds this multiple of `k`, and at least `LEAST_ROOM` elements.
const ROOM: usize = 3;
const LEAST_ROOM: usize = 256;
/// This number of neighbouring lines is copied at once.
const COLUMNS: usize = 16;

fn find_in<T: Ordered>(top: TopK, data: &[u8], lines: Range<usize>, found: Found<'_>) {
    match top.largest {
        true => find_best::<T, true>(top, data, lines, found),
        false => find_best::<T, false>(top, data, lines, found),
    }
}

fn find_best<T: Ordered, const LARGEST: bool>(top: TopK, data: &[u8], lines: Range<usize>, found: Found<'_>) {
    let TopK { size, inner, k, .. } = top;
    let line_bytes = size * T::BYTES;
    let mut best = Best::<T>::new(size, k);
    let mut copies = Vec::new();
    let mut line = lines.start;
    while line < lines.end {
        if inner == 1 {
            found(line, best.of::<LARGEST>(&data[line * line_bytes..][..line_bytes]));
            line += 1;
            continue;
        }
        // Lines that lie across rows are copied, several at once.
        let (block, column) = (line / inner, line % inner);
        let width = COLUMNS.min(inner - column).min(lines.end - line);
        copies.resize(width * line_bytes, 0);
        for at in 0..size {
            let row = &data[((block * size + at) * inner + column) * T::BYTES..][..width * T::BYTES];
            for (column, element) in row.chunks_exact(T::BYTES).enumerate() {
                copies[column * line_bytes + at * T::BYTES..][..T::BYTES].copy_from_slice(element);
            }
        }
        for (column, copy) in copies.chunks_exact(line_bytes).enumerate() {
            found(line + column, best.of::<LARGEST>(copy));
        }
        line += width;
    }
}

/// The best elements of one line after another.
struct Best<T: Ordered> {
    k: usize,
    entries: Vec<T::Entry>,
    positions: Vec<usize>,
}

impl<T: Ordered> Best<T> {
    fn new(size: usize, k: usize) -> Best<T> {
        let room = (k * ROOM).max(LEAST_ROOM).min(size) + CHUNK;
        Best { k, entries: Vec::with_capacity(room), positions: vec![0; k] }
    }

    /// Positions of the best elements of a line, best first.
    fn of<const LARGEST: bool>(&mut self, line: &[u8]) -> &[usize] {
        let Best { k, entries, positions } = self;
        entries.clear();
        // Keys above this one may be among the best; while fewer than `k` keys are known, all may be.
        let mut bar: Option<T::Key> = None;
        let mut keys = [T::key(&[0; 8]); CHUNK];
        for (begin, chunk) in (0..).step_by(CHUNK).zip(line.chunks(CHUNK * T::BYTES)) {
            let count = chunk.len() / T::BYTES;
            // A size that is a constant lets the compiler use vectors.
            match chunk.split_at_checked(CHUNK * T::BYTES) {
                Some((whole, _)) => dense_keys::<T, LARGEST>(&mut keys, whole),
                None => dense_keys::<T, LARGEST>(&mut keys[..count], chunk),
            }
            match bar {
                Some(bar) => {
                    // Keys of an earlier chunk behind the end have no effect on the result.
                    if !keys.iter().fold(false, |any, key| any | (*key > bar)) {
                        continue;
                    }
                    let above = keys[..count].iter().enumerate().filter(|(_, key)| **key > bar);
                    entries.extend(above.map(|(i, key)| T::entry(*key, begin + i)));
                }
                None => {
                    entries.extend(keys[..count].iter().enumerate().map(|(i, key)| T::entry(*key, begin + i)))
                }
            }
            if entries.len() + CHUNK > entries.capacity() || (bar.is_none() && entries.len() >= *k) {
                bar = keep::<T>(entries, *k);
            }
        }
        keep::<T>(entries, *k);
        entries.sort_unstable_by(|a, b| b.cmp(a));
        positions.iter_mut().zip(&*entries).for_each(|(at, entry)| *at = T::position(*entry));
        &positions[..entries.len()]
    }
}

/// A key that is greater for elements that come first.
#[inline(always)]
fn ordered_by<T: Ordered, const LARGEST: bool>(bytes: &[u8]) -> T::Key {
    let key = T::key(bytes);
    if LARGEST { key } else { !key }
}

#[inline(always)]
fn dense_keys<T: Ordered, const LARGEST: bool>(keys: &mut [T::Key], bytes: &[u8]) {
    for (key, bytes) in keys.iter_mut().zip(bytes.chunks_exact(T::BYTES)) {
        *key = ordered_by::<T, LARGEST>(bytes);
    }
}

/// Keeps the `k` best; returns the key of the worst of them, if there are `k`.
fn keep<T: Ordered>(best: &mut Vec<T::Entry>, k: usize) -> Option<T::Key> {
    if k == 0 || best.len() < k {
        best.truncate(k);
        return None;
    }
    let (_, last, _) = best.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
    let bar = T::key_of(*last);
    best.truncate(k);
    Some(bar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(dtype: DType, data: &[u8], top: TopK) -> Vec<Vec<usize>> {
        let mut all = Vec::new();
        let lines = data.len() / dtype.size() / top.size.max(1);
        find(top, dtype, data, 0..lines, &mut |_, found| all.push(found.to_vec()));
        all
    }

    fn of_floats(values: &[f32], k: usize, largest: bool) -> Vec<usize> {
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let top = TopK { size: values.len(), inner: 1, k, largest };
        positions(DType::F32, &data, top).remove(0)
    }

    #[test]
    fn ties_nan_zeros_and_infinities() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let values = [0.0, -0.0, nan, 1.0, -inf, -nan, inf, 1.0, f32::from_bits(1)];
        assert_eq!(of_floats(&values, 9, true), [2, 5, 6, 3, 7, 8, 0, 1, 4]);
        assert_eq!(of_floats(&values, 9, false), [4, 0, 1, 8, 3, 7, 6, 2, 5]);
        assert!(of_floats(&values, 0, true).is_empty());
    }

    #[test]
    fn agrees_with_a_stable_sort_whatever_the_order_of_the_elements() {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as f32
        };
        let n = 3001;
        let orders: [Vec<f32>; 4] = [
            (0..n).map(|_| random()).collect(),
            (0..n).map(|i| i as f32).collect(),
            (0..n).map(|i| -(i as f32)).collect(),
            vec![7.0; n],
        ];
        for values in orders {
            for k in [1, 2, 31, 32, 33, 300, 2999, n] {
                for largest in [true, false] {
                    let mut want: Vec<usize> = (0..n).collect();
                    let sign = if largest { 1.0 } else { -1.0 };
                    want.sort_by(|&a, &b| (sign * values[b]).total_cmp(&(sign * values[a])));
                    want.truncate(k);
                    assert_eq!(of_floats(&values, k, largest), want, "{k} {largest}");
                }
            }
        }
    }

    #[test]
    fn every_type_and_an_axis_in_the_middle() {
        // Two blocks of three rows of two columns.
        let top = TopK { size: 3, inner: 2, k: 2, largest: true };
        let values = [3i64, -1, 5, 0, 4, -2, -3, 1, -5, 0, -4, 2];
        let want = [[1, 2], [1, 0], [0, 2], [2, 0]];
        let signed = |to: &dyn Fn(i64) -> Vec<u8>| values.iter().flat_map(|v| to(*v)).collect::<Vec<u8>>();
        assert_eq!(positions(DType::I64, &signed(&|v| v.to_le_bytes().into()), top), want);
        assert_eq!(positions(DType::I32, &signed(&|v| (v as i32).to_le_bytes().into()), top), want);
        assert_eq!(positions(DType::I16, &signed(&|v| (v as i16).to_le_bytes().into()), top), want);
        assert_eq!(positions(DType::I8, &signed(&|v| (v as i8).to_le_bytes().into()), top), want);
        assert_eq!(positions(DType::F64, &signed(&|v| (v as f64).to_le_bytes().into()), top), want);
        let bf16 = |v: i64| (((v as f32).to_bits() >> 16) as u16).to_le_bytes().to_vec();
        assert_eq!(positions(DType::BF16, &signed(&bf16), top), want);
        // 0.5 to 5.5 and below as halves: exponent and fraction grow with the value.
        let f16 = |v: i64| {
            (if v < 0 { 0x8000 | (0x3c00 + (-v as u16) * 64) } else { 0x3c00 + v as u16 * 64 })
                .to_le_bytes()
                .to_vec()
        };
        assert_eq!(positions(DType::F16, &signed(&f16), top), want);
        let large = [255u64, 1, 128, 0, 127, 2, 7, 8, 9, 8, 7, 8];
        let want = [[0, 1], [2, 0], [1, 0], [0, 1]];
        let unsigned = |to: &dyn Fn(u64) -> Vec<u8>| large.iter().flat_map(|v| to(*v)).collect::<Vec<u8>>();
        assert_eq!(positions(DType::U8, &unsigned(&|v| (v as u8).to_le_bytes().into()), top), want);
        assert_eq!(positions(DType::U16, &unsigned(&|v| (v as u16 * 257).to_le_bytes().into()), top), want);
        assert_eq!(positions(DType::U32, &unsigned(&|v| ((v as u32) << 24).to_le_bytes().into()), top), want);
        assert_eq!(positions(DType::U64, &unsigned(&|v| (v << 56).to_le_bytes().into()), top), want);
    }
}
