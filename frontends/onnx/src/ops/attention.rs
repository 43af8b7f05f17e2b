//! Scaled dot product attention, decomposed into products, masks and a softmax.

use crate::{
    call::{Call, malformed},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[Operator::new("Attention", 23, Function(attention))];

/// Operands of four dimensions: batch, heads, sequence, features.
struct Heads {
    q: ValueId,
    k: ValueId,
    v: ValueId,
    /// Whether the heads were part of the last dimension.
    packed: bool,
}

/// Queries `y = softmax(q kᵀ scale + bias) v`. The results include `present` keys and values, which a next
/// call takes as its past.
fn attention(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let heads = heads(call)?;
    let past = match (call.optional(4), call.optional(5)) {
        (Some(key), Some(value)) => Some((key, value)),
        (None, None) => None,
        _ => return Err(malformed("past_key and past_value must be given together")),
    };
    let (present_k, present_v) = match past {
        Some((key, value)) => (call.concat(&[key, heads.k], 2)?, call.concat(&[value, heads.v], 2)?),
        None => (heads.k, heads.v),
    };
    let dims = call.dims(heads.q);
    let scale = match call.attributes.float("scale")? {
        Some(scale) => scale,
        None => {
            let size = dims[3].as_const().filter(|&n| n > 0).ok_or_else(|| {
                Diagnostic::unsupported("the size of the heads is symbolic")
                    .hint("give the inputs fixed shapes with --shape")
            })?;
            1.0 / (size as f64).sqrt()
        }
    };
    // Both factors get the square root of the scale, so that half precision does not overflow.
    let q = call.with_scalar("mul", heads.q, scale.sqrt())?;
    let k = call.with_scalar("mul", present_k, scale.sqrt())?;
    let k = repeated_heads(call, heads.q, k)?;
    let v = repeated_heads(call, heads.q, present_v)?;
    let product = call.matmul(q, k, true)?;
    let softcap = call.float("softcap", 0.0)?;
    let mut capped = product;
    if softcap > 0.0 {
        let inner = call.with_scalar("div", product, softcap)?;
        let tanh = call.unary("tanh", inner)?;
        capped = call.with_scalar("mul", tanh, softcap)?;
    }
    let offset = match (past, call.optional(6)) {
        (Some((key, _)), _) => Offset::Same(call.dims(key)[2].clone()),
        (None, Some(lengths)) => Offset::PerBatch(lengths),
        (None, None) => Offset::Same(Expr::from(0)),
    };
    let (q_length, kv_length) = (dims[2].clone(), call.dims(k)[2].clone());
    let bias = bias(call, q, &q_length, &kv_length, &offset)?;
    let biased = match &bias {
        Some(bias) => call.binary("add", capped, bias.value)?,
        None => capped,
    };
    let mut logits = biased;
    if !matches!(call.attributes.int("softmax_precision")?, None | Some(0))
        && let Some(precision) = call.element_type("softmax_precision")?
    {
        logits = call.cast(biased, precision)?;
    }
    let softmax = call.along("softmax", &[logits], 3)?;
    let mut weights = call.cast_like(softmax, q)?;
    if let Some(bias) = bias.filter(|bias| bias.may_mask_rows) {
        weights = without_masked_rows(call, weights, bias.value)?;
    }
    let mut y = call.matmul(weights, v, false)?;
    if heads.packed {
        y = call.transpose(y, &[0, 2, 1, 3])?;
        let [batch, length, count, size] = &call.dims(y)[..] else {
            return Err(Diagnostic::internal("attention does not have four dimensions"));
        };
        y = call.reshape(y, vec![batch.clone(), length.clone(), count.clone() * size.clone()])?;
    }
    let observed = match call.int("qk_matmul_output_mode", 0)? {
        0 => product,
        1 => capped,
        2 => biased,
        3 => weights,
        other => return Err(malformed(format!("attribute 'qk_matmul_output_mode' is {other}"))),
    };
    Ok(vec![y, present_k, present_v, observed])
}

/// Splits the last dimension into heads if the operands have three dimensions.
fn heads(call: &mut Call<'_, '_>) -> Result<Heads> {
    let (q, k, v) = (call.input(0)?, call.input(1)?, call.input(2)?);
    match [q, k, v].map(|x| call.rank(x)) {
        [4, 4, 4] => return Ok(Heads { q, k, v, packed: false }),
        [3, 3, 3] => {}
        ranks => return Err(malformed(format!("operands of {ranks:?} dimensions instead of 3 or 4 each"))),
    }
    let mut split = |x: ValueId, attribute: &str| {
        let count = call.int(attribute, 0)?;
        let [batch, length, size] = &call.dims(x)[..] else { return Err(malformed("not three dimensions")) };
        if count < 1 || size.as_const().is_some_and(|n| n % count != 0) {
            return Err(malformed(format!("{size} features cannot be divided into {count} heads")));
        }
        let count = Expr::from(count);
        let shape = vec![batch.clone(), length.clone(), count.clone(), size.floor_div(&count)];
        let y = call.reshape(x, shape)?;
        call.transpose(y, &[0, 2, 1, 3])
    };
    Ok(Heads {
        q: split(q, "q_num_heads")?,
        k: split(k, "kv_num_heads")?,
        v: split(v, "kv_num_heads")?,
        packed: true,
    })
}

/// Repeats each head of keys or values for the queries that share it.
fn repeated_heads(call: &mut Call<'_, '_>, q: ValueId, x: ValueId) -> Result<ValueId> {
    let (wanted, dims) = (call.dims(q)[1].clone(), call.dims(x));
    let [batch, heads, length, size] = &dims[..] else {
        return Err(malformed("keys and values do not have four dimensions"));
    };
    if wanted == *heads {
        return Ok(x);
    }
    let times = match (wanted.as_const(), heads.as_const()) {
        (Some(w), Some(h)) if h > 0 && w % h == 0 => Expr::from(w / h),
        _ => return Err(malformed(format!("{wanted} heads of queries cannot share {heads} heads of keys"))),
    };
    let one = Expr::from(1);
    let y = call.reshape(x, vec![batch.clone(), heads.clone(), one, length.clone(), size.clone()])?;
    let y = call.expand(y, vec![batch.clone(), heads.clone(), times, length.clone(), size.clone()])?;
    call.reshape(y, vec![batch.clone(), wanted, length.clone(), size.clone()])
}

/// The number of keys before the first query.
enum Offset {
    Same(Expr),
    /// From the number of valid keys in each sequence of the batch.
    PerBatch(ValueId),
}

/// The bias added to the logits.
struct Bias {
    value: ValueId,
    /// Whether all keys may be masked for some query.
    may_mask_rows: bool,
}

fn bias(
    call: &mut Call<'_, '_>,
    q: ValueId,
    q_length: &Expr,
    kv_length: &Expr,
    offset: &Offset,
) -> Result<Option<Bias>> {
    let mask = match call.optional(3) {
        Some(mask) => Some(padded_mask(call, mask, kv_length)?),
        None => None,
    };
    let mut allowed = None;
    let mut may_mask_rows = mask.is_some() || call.optional(6).is_some();
    let causal = call.flag("is_causal", false)?;
    let (left, right) = (call.int("left_window_size", -1)?, call.int("right_window_size", -1)?);
    if causal || left >= 0 || right >= 0 {
        // Distance from each key to each query, of the shape queries x keys, or batch x 1 x queries x keys.
        let query = positions(call, q_length, 1)?;
        let query = match offset {
            Offset::Same(offset) if offset.is(0) => query,
            Offset::Same(offset) => {
                let offset = call.dims_value(vec![offset.clone()], true)?;
                call.binary("add", query, offset)?
            }
            Offset::PerBatch(lengths) => {
                let shape = vec![call.dims(*lengths)[0].clone(), Expr::from(1), Expr::from(1), Expr::from(1)];
                let lengths = call.reshape(*lengths, shape)?;
                let q_length = call.dims_value(vec![q_length.clone()], true)?;
                let offset = call.binary("sub", lengths, q_length)?;
                call.binary("add", query, offset)?
            }
        };
        let key = positions(call, kv_length, 0)?;
        if causal {
            let past = call.binary("less_equal", key, query)?;
            allowed = both(call, allowed, past)?;
        }
        if left >= 0 {
            let bound = call.int_scalar(DType::I64, left);
            let first = call.binary("sub", query, bound)?;
            let near = call.binary("greater_equal", key, first)?;
            allowed = both(call, allowed, near)?;
        }
        if right >= 0 {
            let bound = call.int_scalar(DType::I64, right);
            let last = call.binary("add", query, bound)?;
            let near = call.binary("less_equal", key, last)?;
            allowed = both(call, allowed, near)?;
        }
        may_mask_rows |= left >= 0 || right >= 0;
    }
    if let Some(lengths) = call.optional(6) {
        let shape = vec![call.dims(lengths)[0].clone(), Expr::from(1), Expr::from(1), Expr::from(1)];
        let lengths = call.reshape(lengths, shape)?;
        let key = positions(call, kv_length, 0)?;
        let valid = call.binary("less", key, lengths)?;
        allowed = both(call, allowed, valid)?;
    }
    let mut added = None;
    match mask {
        Some(mask) if call.dtype(mask) == DType::Bool => allowed = both(call, allowed, mask)?,
        mask => added = mask,
    }
    if let Some(allowed) = allowed {
        let (zero, never) = (call.scalar_like(q, 0.0), call.scalar_like(q, f64::NEG_INFINITY));
        let chosen = call.select(allowed, zero, never)?;
        added = Some(match added {
            Some(mask) => call.binary("add", mask, chosen)?,
            None => chosen,
        });
    }
    Ok(added.map(|value| Bias { value, may_mask_rows }))
}

fn both(call: &mut Call<'_, '_>, a: Option<ValueId>, b: ValueId) -> Result<Option<ValueId>> {
    match a {
        Some(a) => call.binary("and", a, b).map(Some),
        None => Ok(Some(b)),
    }
}

/// `0..length`, followed by this number of dimensions of size 1.
fn positions(call: &mut Call<'_, '_>, length: &Expr, behind: usize) -> Result<ValueId> {
    let (start, step) = (call.int_scalar(DType::I64, 0), call.int_scalar(DType::I64, 1));
    let range =
        call.op("range", Attrs::new().with("length", Attr::Exprs(vec![length.clone()])), &[start, step])?;
    let mut shape = vec![length.clone()];
    shape.extend(vec![Expr::from(1); behind]);
    call.reshape(range, shape)
}

/// If a mask covers fewer keys than there are, the other keys are masked.
fn padded_mask(call: &mut Call<'_, '_>, mask: ValueId, kv_length: &Expr) -> Result<ValueId> {
    let dims = call.dims(mask);
    let Some(last) = dims.last() else { return Err(malformed("the mask is a scalar")) };
    if last == kv_length {
        return Ok(mask);
    }
    let mut pads = vec![Expr::from(0); 2 * dims.len()];
    if let Some(end) = pads.last_mut() {
        *end = kv_length.clone() - last.clone();
    }
    let value = match call.dtype(mask) {
        DType::Bool => call.scalar(DType::Bool, 0.0),
        dtype => call.scalar(dtype, f64::NEG_INFINITY),
    };
    let attrs = Attrs::new().with("pads", Attr::Exprs(pads)).with("mode", Attr::Str("constant".into()));
    call.op("pad", attrs, &[mask, value])
}

/// Replaces the NaNs of fully masked rows by zeros; the softmax of such a row is NaN.
fn without_masked_rows(call: &mut Call<'_, '_>, weights: ValueId, bias: ValueId) -> Result<ValueId> {
    let last = call.rank(bias).saturating_sub(1);
    let most = call.reduce("reduce_max", bias, &[last], true)?;
    let never = call.scalar_like(bias, f64::NEG_INFINITY);
    let masked = call.binary("equal", most, never)?;
    let zero = call.scalar_like(weights, 0.0);
    call.select(masked, zero, weights)
}
