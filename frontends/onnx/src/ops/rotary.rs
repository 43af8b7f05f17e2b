//! Rotary position embedding.

use crate::{
    call::{Call, malformed},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[Operator::new("RotaryEmbedding", 23, Function(rotary_embedding))];

/// Rotates pairs of features by the angle of their position, whose cosine and sine are given.
fn rotary_embedding(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (input, cos, sin) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let original = call.dims(input);
    // To batch, sequence, heads, features.
    let x = match &original[..] {
        [_, _, _, _] => call.transpose(input, &[0, 2, 1, 3])?,
        [batch, length, size] => {
            let heads = call.int("num_heads", 0)?;
            if heads < 1 || size.as_const().is_some_and(|n| n % heads != 0) {
                return Err(malformed(format!("{size} features cannot be divided into {heads} heads")));
            }
            let heads = Expr::from(heads);
            call.reshape(input, vec![batch.clone(), length.clone(), heads.clone(), size.floor_div(&heads)])?
        }
        dims => {
            return Err(malformed(format!("the operand has {} dimensions instead of 3 or 4", dims.len())));
        }
    };
    let dims = call.dims(x);
    let size = dims[3].as_const().ok_or_else(|| {
        Diagnostic::unsupported("the size of the heads is symbolic").hint("give the inputs fixed shapes")
    })?;
    let rotated = match call.int("rotary_embedding_dim", 0)? {
        0 => size,
        n if (0..=size).contains(&n) && n % 2 == 0 => n,
        n => return Err(malformed(format!("attribute 'rotary_embedding_dim' is {n} for heads of {size}"))),
    };
    let half = Expr::from(rotated / 2);
    let [cos, sin] = [cos, sin].map(|cache| angles(call, cache));
    let (cos, sin) = (cos?, sin?);
    let interleaved = call.flag("interleaved", false)?;
    let (first, second) = if interleaved {
        let mut every_second = |start: i64| {
            let mut starts = vec![Expr::from(0); 4];
            let mut sizes = dims.clone();
            (starts[3], sizes[3]) = (Expr::from(start), half.clone());
            call.slice(x, starts, sizes, vec![1, 1, 1, 2])
        };
        (every_second(0)?, every_second(1)?)
    } else {
        (
            call.slice_axis(x, 3, Expr::from(0), half.clone())?,
            call.slice_axis(x, 3, half.clone(), half.clone())?,
        )
    };
    let mut product = |a, b| call.binary("mul", a, b);
    let (cos_first, sin_second) = (product(cos, first)?, product(sin, second)?);
    let (sin_first, cos_second) = (product(sin, first)?, product(cos, second)?);
    let real = call.binary("sub", cos_first, sin_second)?;
    let imaginary = call.binary("add", sin_first, cos_second)?;
    let mut y = if interleaved {
        let mut pair = call.dims(real);
        pair.push(Expr::from(1));
        let real = call.reshape(real, pair.clone())?;
        let imaginary = call.reshape(imaginary, pair)?;
        let pairs = call.concat(&[real, imaginary], 4)?;
        let mut shape = dims.clone();
        shape[3] = Expr::from(rotated);
        call.reshape(pairs, shape)?
    } else {
        call.concat(&[real, imaginary], 3)?
    };
    if rotated < size {
        let rest = call.slice_axis(x, 3, Expr::from(rotated), Expr::from(size - rotated))?;
        y = call.concat(&[y, rest], 3)?;
    }
    let y = if original.len() == 4 { call.transpose(y, &[0, 2, 1, 3])? } else { call.reshape(y, original)? };
    Ok(vec![y])
}

/// The cache's rows at the positions (without positions the cache has a row per element of the
/// sequence), with a dimension for the heads.
fn angles(call: &mut Call<'_, '_>, cache: ValueId) -> Result<ValueId> {
    let rows = match call.optional(3) {
        Some(positions) => call.along("gather", &[cache, positions], 0)?,
        None => cache,
    };
    let [batch, length, half] = &call.dims(rows)[..] else {
        return Err(malformed("the cache does not fit the position ids"));
    };
    call.reshape(rows, vec![batch.clone(), length.clone(), Expr::from(1), half.clone()])
}
