//! Numbers for the leaves of an instance, and differences between results.

use super::sample::Random;
use mlcc_ir::{
    dtype::DType,
    tensor::{Element, Tensor, push_element},
};
use mlcc_rewriting::{facts::Leaf, rule::Difference};
use std::collections::BTreeSet;

/// Relative error in norm that rounding to 32 bits after each operator may make.
const TOLERANCE: f64 = 1e-5;
/// Square of the size of results below which most has cancelled.
const CANCELLED: f64 = 0.05;

/// Values that leaves are filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Small integers.
    Integers,
    /// Numbers between -1 and 1.
    Reals,
    /// Numbers between 0.1 and 3: most functions are defined for these.
    Positive,
    /// Small numbers of few kinds, zeros of both signs among them.
    Zeros,
    /// These, infinities and NaN.
    Special,
    /// These, and numbers at which products overflow or vanish: for rules that change no bit.
    Extreme,
}

/// Numbers at which functions saturate; few of them are needed.
const ZEROS: [f64; 12] = [0.0, -0.0, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, -5.0, 7.5, 40.0];
const SPECIAL: [f64; 12] =
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 7.5, -16.75];
/// Numbers at which products overflow or vanish.
const EXTREME: [f64; 4] = [1e-30, -1e-30, 3e30, -3e30];

/// A tensor for each leaf: its one value, if it has one. `wide`: floats of 32 bits become floats of 64 bits.
pub(super) fn fill(leaves: &[Leaf], values: Values, wide: bool, random: &mut Random) -> Vec<Tensor> {
    let mut tensors = Vec::new();
    for leaf in leaves {
        let dims = leaf.ty.static_dims().unwrap_or_default();
        let dtype = if wide { widened(leaf.ty.dtype) } else { leaf.ty.dtype };
        let mut data = Vec::new();
        for _ in 0..dims.iter().product::<i64>() {
            push_element(dtype, &mut data, element(leaf, dtype, values, random));
        }
        tensors.extend(Tensor::new(dtype, dims, data.into()));
    }
    tensors
}

fn element(leaf: &Leaf, dtype: DType, values: Values, random: &mut Random) -> Element {
    if dtype == DType::Bool {
        return Element::Int(random.below(2) as i64);
    }
    if !dtype.is_float() {
        // The whole range: integers wrap, and rules about them hold nonetheless.
        let bits = random.next() as i64;
        let value = match values {
            // The least integer has no negative.
            Values::Extreme if random.below(4) == 0 => i64::MIN >> (64 - 8 * dtype.size()),
            Values::Extreme => bits >> (64 - 8 * dtype.size()),
            _ => bits.rem_euclid(7) - 3,
        };
        return if dtype.is_signed_int() { Element::Int(value) } else { Element::UInt(value.unsigned_abs()) };
    }
    let drawn = match values {
        Values::Integers => random.below(7) as f64 - 3.0,
        Values::Reals => random.unit() * 2.0 - 1.0,
        Values::Positive => 0.1 + 2.9 * random.unit(),
        Values::Zeros => random.pick(&ZEROS),
        Values::Extreme if random.below(4) == 0 => random.pick(&EXTREME),
        Values::Special | Values::Extreme => random.pick(&SPECIAL),
    };
    Element::Float(leaf.uniform.unwrap_or(drawn))
}

/// The element type that computes values of another type without rounding that matters.
pub(super) fn widened(dtype: DType) -> DType {
    if dtype.is_float() { DType::F64 } else { dtype }
}

/// The first element whose bits differ between the sides; all NaN are the same.
pub(super) fn differing_bits(wanted: &Tensor, found: &Tensor) -> Option<String> {
    let same = |i: usize| {
        let (w, f) = (wanted.get(i), found.get(i));
        match (w, f) {
            (Element::Float(a), Element::Float(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
            _ => w == f,
        }
    };
    let at = (0..wanted.elements().min(found.elements())).find(|&i| !same(i))?;
    Some(format!("element {at} is {:?} on the left and {:?} on the right", wanted.get(at), found.get(at)))
}

/// Differences between the sides beyond rounding go into `differences`. A difference of numbers is an error.
/// `error`: the largest difference of numbers, relative to those beyond 1.
pub(super) fn compare(
    wanted: &[f64],
    found: &[f64],
    error: f64,
    differences: &mut BTreeSet<Difference>,
) -> Result<(), String> {
    for (at, (w, f)) in wanted.iter().zip(found).enumerate() {
        if w.is_nan() && f.is_nan() || w == f && (*w != 0.0 || w.is_sign_negative() == f.is_sign_negative()) {
            continue;
        }
        if w.is_nan() || f.is_nan() {
            differences.insert(Difference::Nan);
        } else if w.is_infinite() || f.is_infinite() {
            differences.insert(Difference::Infinite);
        } else if *w == 0.0 && *f == 0.0 {
            differences.insert(Difference::SignedZero);
        } else if (w - f).abs() > error * w.abs().max(1.0) {
            return Err(format!("element {at} is {w:?} on the left and {f:?} on the right"));
        }
    }
    Ok(())
}

/// Compares floats of 32 bits in norm: if the left side is a number, the right side must be about the same
/// number.
pub(super) fn compare_in_norm(wanted: &[f64], found: &[f64]) -> Result<(), String> {
    let (mut error, mut norm) = (0.0, 0.0);
    for (at, (w, f)) in wanted.iter().zip(found).enumerate() {
        if w.is_finite() && f.is_finite() {
            error += (w - f).powi(2);
            norm += w.powi(2);
        } else if w.is_finite() {
            return Err(format!("element {at} is {w:?} on the left and {f:?} on the right"));
        }
    }
    // If most of the sum cancels, rounding is measured against its terms: numbers of about 1.
    let relative = (error / f64::max(norm, CANCELLED * wanted.len() as f64)).sqrt();
    if relative > TOLERANCE { Err(format!("the relative error in norm is {relative:.1e}")) } else { Ok(()) }
}
