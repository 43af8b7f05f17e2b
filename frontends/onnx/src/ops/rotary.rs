//! Rotary position embedding.

use crate::{
    call::{Call, malformed},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result, count},
    expr::Expr,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[Operator::new("RotaryEmbedding", 23, Function(rotary_embedding))];

/// Turns pairs of features by the angle of their position; the angle's cosine and sine are given.
fn rotary_embedding(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (input, cos, sin) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let original = call.dims(input);
    // Batch, heads, sequence, features, or batch, sequence, heads, features.
    let (x, heads_axis) = match &original[..] {
        [_, _, _, _] => (input, 1),
        [batch, length, size] => {
            let heads = call.int("num_heads", 0)?;
            if heads < 1 || size.as_const().is_some_and(|n| n % heads != 0) {
                return Err(malformed(format!("{size} features cannot be divided into {heads} heads")));
            }
            let heads = Expr::from(heads);
            let dims = vec![batch.clone(), length.clone(), heads.clone(), size.floor_div(&heads)];
            (call.reshape(input, dims)?, 2)
        }
        dims => {
            return Err(malformed(format!(
                "the operand has {} instead of 3 or 4",
                count(dims.len(), "dimension")
            )));
        }
    };
    let size = call.dims(x)[3].as_const().ok_or_else(|| {
        Diagnostic::unsupported("the size of the heads is symbolic")
            .hint("give the inputs fixed shapes with --shape")
    })?;
    let rotated = match call.int("rotary_embedding_dim", 0)? {
        0 if size % 2 == 0 => size,
        n if (1..=size).contains(&n) && n % 2 == 0 => n,
        n => return Err(malformed(format!("attribute 'rotary_embedding_dim' is {n} for heads of {size}"))),
    };
    let [cos, sin] = [cos, sin].map(|cache| angles(call, cache, heads_axis, rotated));
    let (cos, sin) = (cos?, sin?);
    let attrs = Attrs::new()
        .with("rotary_dim", Attr::Int(rotated))
        .with("interleaved", Attr::Bool(call.flag("interleaved", false)?));
    let y = call.op("rotary_embedding", attrs, &[x, cos, sin])?;
    Ok(vec![if original.len() == 4 { y } else { call.reshape(y, original)? }])
}

/// The cache's rows at the positions, with a dimension for the heads. Without positions the cache
/// has a row per element of the sequence.
fn angles(call: &mut Call<'_, '_>, cache: ValueId, heads_axis: usize, rotated: i64) -> Result<ValueId> {
    let rows = match call.optional(3) {
        Some(positions) => call.along("gather", &[cache, positions], 0)?,
        None => cache,
    };
    let mut dims = call.dims(rows);
    if dims.len() != 3 {
        return Err(malformed("the cache does not fit the position ids"));
    }
    match dims[2].as_const() {
        Some(width) if width == rotated / 2 => {}
        Some(width) => {
            let wanted = rotated / 2;
            return Err(malformed(format!("the cache has {width} angles a position instead of {wanted}")));
        }
        None => {
            return Err(Diagnostic::unsupported("the number of angles of a position is symbolic")
                .hint("give the inputs fixed shapes with --shape"));
        }
    }
    dims.insert(heads_axis, Expr::from(1));
    call.reshape(rows, dims)
}
