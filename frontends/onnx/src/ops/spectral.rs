//! Fourier transforms, as products with constant matrices of cosines and sines.
//!
//! A complex tensor has a last dimension of 2, real and imaginary part; a real one has 1.

use crate::{
    call::{Call, malformed, normalised_axis},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] =
    &[Operator::new("DFT", 17, Function(dft)), Operator::new("STFT", 17, Function(stft))];

/// A longer transform needs a fast algorithm, because its matrices would be large.
const MAX_LENGTH: i64 = 2048;

/// A transform along the last dimension.
#[derive(Clone, Copy)]
struct Transform {
    /// Number of points of the signal.
    length: i64,
    inverse: bool,
    /// Only the first half of the spectrum is present; the rest is its mirror image.
    onesided: bool,
}

/// Two matrices that map points to bins: cosines and sines.
struct Matrices {
    cos: ValueId,
    sin: ValueId,
}

impl Transform {
    fn half(self) -> i64 {
        self.length / 2 + 1
    }

    /// Number of input points and of output points.
    fn sizes(self) -> (i64, i64) {
        match (self.inverse, self.onesided) {
            (false, true) => (self.length, self.half()),
            (true, true) => (self.half(), self.length),
            _ => (self.length, self.length),
        }
    }

    /// The matrices. An inverse transform's matrices include the division by the length, and count
    /// each bin of a half spectrum as often as it occurs in the whole one.
    fn matrices(self, call: &mut Call<'_, '_>, like: ValueId) -> Matrices {
        let (from, to) = self.sizes();
        let n = self.length;
        let factor = |i: i64| match (self.inverse, self.onesided) {
            (false, _) => 1.0,
            (true, true) if i != 0 && 2 * i != n => 2.0 / n as f64,
            (true, _) => 1.0 / n as f64,
        };
        let matrix = |function: fn(f64) -> f64| -> Vec<f64> {
            let element = |i: i64, j: i64| {
                let turns = (i * j % n) as f64 / n as f64;
                factor(i) * function(std::f64::consts::TAU * turns)
            };
            (0..from).flat_map(|i| (0..to).map(move |j| (i, j))).map(|(i, j)| element(i, j)).collect()
        };
        let dtype = call.dtype(like);
        let cos = call.filled(dtype, &[from, to], &matrix(f64::cos));
        let sin = call.filled(dtype, &[from, to], &matrix(f64::sin));
        Matrices { cos, sin }
    }

    /// The transform of `real + i imaginary` along the last dimension: real and imaginary part. The
    /// inverse of a half spectrum has only the real part.
    fn apply(
        self,
        call: &mut Call<'_, '_>,
        real: ValueId,
        imaginary: Option<ValueId>,
    ) -> Result<(ValueId, Option<ValueId>)> {
        let Matrices { cos, sin } = self.matrices(call, real);
        let real_cos = call.matmul(real, cos, false)?;
        let real_sin = call.matmul(real, sin, false)?;
        let Some(imaginary) = imaginary else {
            let part = if self.inverse { real_sin } else { call.unary("neg", real_sin)? };
            return Ok((real_cos, (!(self.inverse && self.onesided)).then_some(part)));
        };
        let imaginary_cos = call.matmul(imaginary, cos, false)?;
        let imaginary_sin = call.matmul(imaginary, sin, false)?;
        if self.inverse {
            let y = call.binary("sub", real_cos, imaginary_sin)?;
            let part =
                if self.onesided { None } else { Some(call.binary("add", imaginary_cos, real_sin)?) };
            return Ok((y, part));
        }
        let y = call.binary("add", real_cos, imaginary_sin)?;
        Ok((y, Some(call.binary("sub", imaginary_cos, real_sin)?)))
    }
}

/// A length that is known at import and not too large.
fn constant_length(length: &Expr) -> Result<i64> {
    match length.as_const() {
        Some(n) if (1..=MAX_LENGTH).contains(&n) => Ok(n),
        Some(n) if n < 1 => Err(malformed(format!("a transform of {n} points"))),
        _ => Err(Diagnostic::unsupported(format!("a transform of {length} points"))
            .hint(format!("at most {MAX_LENGTH} points are supported, of which the number is a constant"))),
    }
}

/// Real and imaginary part. Each has the signal along the last dimension, with `length` points.
fn parts(
    call: &mut Call<'_, '_>,
    x: ValueId,
    axis: usize,
    length: i64,
) -> Result<(ValueId, Option<ValueId>)> {
    let dims = call.dims(x);
    let last = dims.len() - 1;
    let count = dims[last].as_const().filter(|n| (1..=2).contains(n));
    let count = count.ok_or_else(|| malformed("the last dimension is not 1 (real) or 2 (complex)"))?;
    let mut perm: Vec<usize> = (0..last).filter(|&d| d != axis).collect();
    perm.push(axis);
    let mut part = |i: i64| {
        let y = call.slice_axis(x, last, Expr::from(i), Expr::from(1))?;
        let y = call.reshape(y, dims[..last].to_vec())?;
        let y = call.transpose(y, &perm)?;
        fitted(call, y, &dims[axis], length)
    };
    let real = part(0)?;
    Ok((real, if count == 2 { Some(part(1)?) } else { None }))
}

/// The first `length` elements of the last dimension, filled up with zeros if there are fewer.
fn fitted(call: &mut Call<'_, '_>, x: ValueId, size: &Expr, length: i64) -> Result<ValueId> {
    let size = constant_length(size)?;
    let last = call.rank(x) - 1;
    if size >= length {
        return call.slice_axis(x, last, Expr::from(0), Expr::from(length));
    }
    let mut dims = call.dims(x);
    dims[last] = Expr::from(length - size);
    let zero = call.scalar_like(x, 0.0);
    let zeros = call.expand(zero, dims)?;
    call.concat(&[x, zeros], last)
}

/// Real and imaginary part as a last dimension, with the signal back at `axis`.
fn joined(call: &mut Call<'_, '_>, parts: (ValueId, Option<ValueId>), axis: usize) -> Result<ValueId> {
    let rank = call.rank(parts.0);
    let mut perm: Vec<usize> = (0..rank - 1).collect();
    perm.insert(axis, rank - 1);
    let mut columns = Vec::new();
    for part in [Some(parts.0), parts.1].into_iter().flatten() {
        let part = call.transpose(part, &perm)?;
        let mut dims = call.dims(part);
        dims.push(Expr::from(1));
        columns.push(call.reshape(part, dims)?);
    }
    call.concat(&columns, rank)
}

/// The axis is an attribute before opset 20, an operand afterwards.
fn dft(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let rank = call.rank(x);
    let axis = match call.opset {
        ..20 => call.int("axis", 1)?,
        _ if call.optional(2).is_some() => call.one_int(2, "axis")?,
        _ => -2,
    };
    let axis = normalised_axis(axis, rank)?;
    if rank < 2 || axis + 1 == rank {
        return Err(malformed("the axis is that of real and imaginary part"));
    }
    let (inverse, onesided) = (call.flag("inverse", false)?, call.flag("onesided", false)?);
    let length = if call.optional(1).is_some() {
        call.expr_operand(1, "dft_length")?
    } else if inverse && onesided {
        (call.ty(x).dims[axis].clone() - Expr::from(1)) * Expr::from(2)
    } else {
        call.ty(x).dims[axis].clone()
    };
    let transform = Transform { length: constant_length(&length)?, inverse, onesided };
    let (real, imaginary) = parts(call, x, axis, transform.sizes().0)?;
    let y = transform.apply(call, real, imaginary)?;
    Ok(vec![joined(call, y, axis)?])
}

/// Transforms of windows that slide over the signal.
fn stft(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let signal = call.input(0)?;
    let dims = call.dims(signal);
    if dims.len() != 3 {
        return Err(malformed("the signal does not have three dimensions"));
    }
    let step = call.one_int(1, "frame_step")?;
    let window = call.optional(2);
    let length = match window {
        _ if call.optional(3).is_some() => call.expr_operand(3, "frame_length")?,
        Some(window) => call.ty(window).elements(),
        None => dims[1].clone(),
    };
    let transform = Transform {
        length: constant_length(&length)?,
        inverse: false,
        onesided: call.flag("onesided", true)?,
    };
    let length = transform.length;
    let size = dims[1].as_const().filter(|&n| n >= length && n < 1 << 24 && step > 0).ok_or_else(|| {
        malformed(format!("frames of {length} elements, {step} apart, of a signal of {}", dims[1]))
    })?;
    let frames = (size - length) / step + 1;
    let positions: Vec<i64> = (0..frames).flat_map(|f| (0..length).map(move |i| f * step + i)).collect();
    let positions = call.ints(&positions);
    let shape = vec![Expr::from(frames), Expr::from(length)];
    let positions = call.reshape(positions, shape)?;
    // Batch, frames, elements, parts.
    let mut framed = call.along("gather", &[signal, positions], 1)?;
    if let Some(window) = window {
        let column = call.reshape(window, vec![Expr::from(length), Expr::from(1)])?;
        framed = call.binary("mul", framed, column)?;
    }
    let (real, imaginary) = parts(call, framed, 2, length)?;
    let y = transform.apply(call, real, imaginary)?;
    Ok(vec![joined(call, y, 2)?])
}
