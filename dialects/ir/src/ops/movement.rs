//! Movement: operators that rearrange, repeat, cut and pad.

use super::{
    Inferred,
    call::{Call, result},
    definition::{
        AttrDef, AttrKind, NONE, OpDef, OpTrait, OperandDef, PLAIN, X, Y, attr, one, opt, optional, variadic,
    },
    known,
};
use crate::{diagnostic::Result, expr::Expr, requirement::Condition, types::TensorType};

pub(super) fn define(into: &mut Vec<OpDef>) {
    let mut op =
        |name, summary, operands: &'static [OperandDef], attributes: &'static [AttrDef], traits, infer| {
            into.push(OpDef { name, summary, operands, results: Y, attributes, traits, infer });
        };
    const VIEW: &[OpTrait] = &[OpTrait::View, OpTrait::IdentityByType];
    const BY_TYPE: &[OpTrait] = &[OpTrait::IdentityByType];
    op("identity", "x", X, NONE, VIEW, identity);
    op(
        "reshape",
        "the same elements with other dimensions",
        X,
        const { &[attr("shape", AttrKind::Exprs)] },
        VIEW,
        reshape,
    );
    op(
        "transpose",
        "dimension d of the result is dimension perm[d] of x",
        X,
        const { &[attr("perm", AttrKind::Ints)] },
        PLAIN,
        transpose,
    );
    op(
        "concat",
        "operands one after the other along an axis",
        const { &[variadic("xs")] },
        const { &[attr("axis", AttrKind::Int)] },
        BY_TYPE,
        concat,
    );
    const SLICE: &[AttrDef] =
        &[attr("starts", AttrKind::Exprs), attr("sizes", AttrKind::Exprs), attr("steps", AttrKind::Ints)];
    op("slice", "element i of each dimension is element starts + i * steps of x", X, SLICE, PLAIN, slice);
    op(
        "pad",
        "elements added before and behind each dimension; negative pads remove",
        const { &[one("x"), optional("value")] },
        const { &[attr("pads", AttrKind::Exprs), opt("mode", AttrKind::Str)] },
        PLAIN,
        pad,
    );
    op(
        "expand",
        "x broadcast against a shape",
        X,
        const { &[attr("shape", AttrKind::Exprs)] },
        BY_TYPE,
        expand,
    );
    op(
        "tile",
        "x repeated along each dimension",
        X,
        const { &[attr("repeats", AttrKind::Exprs)] },
        BY_TYPE,
        tile,
    );
    op(
        "trilu",
        "the upper or lower triangle of the last two dimensions, from diagonal k on",
        X,
        const { &[attr("upper", AttrKind::Bool), opt("k", AttrKind::Int)] },
        PLAIN,
        trilu,
    );
    op(
        "reverse_sequence",
        "the first lens[b] elements of each sequence in reverse",
        const { &[one("x"), one("lens")] },
        const { &[attr("batch_axis", AttrKind::Int), attr("time_axis", AttrKind::Int)] },
        PLAIN,
        reverse_sequence,
    );
}

fn identity(call: &Call<'_>) -> Result<Vec<Inferred>> {
    Ok(vec![Inferred { ty: call.ty(0)?.clone(), known: known::of(call, 0) }])
}

fn reshape(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let x = call.ty(0)?;
    let shape = call.exprs("shape").unwrap_or_default();
    let ty = TensorType::new(x.dtype, shape);
    if let (Some(from), Some(to)) = (x.elements().as_const(), ty.elements().as_const())
        && from != to
    {
        return Err(call.error(0, format!("of {from} elements cannot have the shape of {ty}")));
    }
    call.require(Condition::Equal(x.elements(), ty.elements()), || {
        format!("{} elements cannot be reshaped to {ty}", x.elements())
    });
    Ok(vec![Inferred { ty, known: known::of(call, 0) }])
}

fn transpose(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let x = call.ty(0)?;
    let perm = call.axes("perm", x.rank())?;
    if perm.len() != x.rank() {
        return Err(call.attr_error("perm", format!("has {} axes for rank {}", perm.len(), x.rank())));
    }
    let ty = TensorType::new(x.dtype, perm.iter().map(|&d| x.dims[d].clone()).collect());
    Ok(vec![Inferred { ty, known: known::of(call, 0) }])
}

fn concat(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let first = call.ty(0)?;
    let axis = call.axis("axis", first.rank())?;
    let mut dims = first.dims.clone();
    dims[axis] = Expr::from(0);
    for i in 0..call.operands.len() {
        call.expect_same_dtype(0, i)?;
        call.expect_rank(i, first.rank())?;
        for (d, size) in call.ty(i)?.dims.iter().enumerate() {
            dims[d] = if d == axis {
                dims[d].clone() + size.clone()
            } else {
                call.equal(
                    &dims[d],
                    size,
                    &format!("meet in dimension {d} of a concatenation along axis {axis}"),
                )?
            };
        }
    }
    let known = (0..call.operands.len()).map(|i| known::of(call, i)).collect::<Option<Vec<_>>>();
    Ok(vec![Inferred { ty: TensorType::new(first.dtype, dims), known: known.map(|k| k.concat()) }])
}

fn slice(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let x = call.ty(0)?;
    let (starts, sizes) = (call.exprs_of("starts", x.rank())?, call.exprs_of("sizes", x.rank())?);
    let steps = call.ints_of("steps", x.rank(), i64::MIN, 1)?;
    for d in 0..x.rank() {
        let (Some(start), Some(size), Some(dim)) =
            (starts[d].as_const(), sizes[d].as_const(), x.dims[d].as_const())
        else {
            require_inside(call, (&starts[d], &sizes[d], steps[d]), &x.dims[d]);
            continue;
        };
        let last = (size - 1).checked_mul(steps[d]).and_then(|way| way.checked_add(start));
        let inside = |i: i64| (0..dim).contains(&i);
        if size > 0 && !(inside(start) && last.is_some_and(inside)) {
            let slice = format!("{size} elements from {start} on in steps of {}", steps[d]);
            return Err(call.error(0, format!("has no {slice} in dimension {d}")));
        }
    }
    let known = known::of(call, 0).filter(|_| x.rank() == 1).and_then(|elements| {
        let (start, size) = (starts[0].as_const()?, sizes[0].as_const()?);
        let at = |i: i64| {
            elements.get(usize::try_from(i.checked_mul(steps[0])?.checked_add(start)?).ok()?).cloned()
        };
        (0..size.min(known::MAX_KNOWN as i64 + 1)).map(at).collect()
    });
    Ok(vec![Inferred { ty: TensorType::new(x.dtype, sizes), known }])
}

/// Takes on trust that a non-empty slice begins and ends inside of its dimension.
fn require_inside(call: &Call<'_>, (start, size, step): (&Expr, &Expr, i64), dim: &Expr) {
    let last = start.clone() + (size.clone() - Expr::from(1)) * Expr::from(step);
    let (low, high) = if step >= 0 { (start, &last) } else { (&last, start) };
    // -1 if the slice has elements. Otherwise 0, and then the condition always holds.
    let missing = Expr::from(0) - size.minimum(&Expr::from(1));
    for room in [low.clone(), dim.clone() - Expr::from(1) - high.clone()] {
        call.require(Condition::AtLeast(room.maximum(&missing), 0), || {
            format!("a slice of {size} elements from {start} on must be inside of {dim}")
        });
    }
}

fn pad(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let x = call.ty(0)?;
    let mode = call.choice("mode", &["constant", "reflect", "edge", "wrap"])?;
    call.expect_same_dtype(0, 1)?;
    if call.optional(1).is_some_and(|v| !v.ty.elements().is(1)) {
        return Err(call.error(1, "must be a scalar"));
    }
    let pads = call.exprs_of("pads", 2 * x.rank())?;
    let mut dims = Vec::with_capacity(x.rank());
    for d in 0..x.rank() {
        let (begin, end) = (&pads[d], &pads[d + x.rank()]);
        let grows = |e: &Expr| e.as_const().is_some_and(|e| e > 0);
        if mode != "constant" && x.dims[d].is(0) && (grows(begin) || grows(end)) {
            return Err(call.error(0, format!("has no elements in dimension {d} to repeat in mode '{mode}'")));
        }
        dims.push(x.dims[d].clone() + begin.clone() + end.clone());
    }
    Ok(result(x.dtype, dims))
}

fn expand(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let x = call.ty(0)?;
    let shape = call.exprs("shape").unwrap_or_default();
    let dims = call.broadcast(&x.dims, &shape)?;
    let known = known::of(call, 0).and_then(|elements| match (&dims[..], &elements[..]) {
        ([], _) => Some(elements),
        ([n], [e]) => {
            let n = usize::try_from(n.as_const()?).ok().filter(|&n| n <= known::MAX_KNOWN)?;
            Some(vec![e.clone(); n])
        }
        _ => Some(elements),
    });
    Ok(vec![Inferred { ty: TensorType::new(x.dtype, dims), known }])
}

fn tile(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let x = call.ty(0)?;
    let repeats = call.exprs_of("repeats", x.rank())?;
    if repeats.iter().any(|r| r.as_const().is_some_and(|r| r < 0)) {
        return Err(call.attr_error("repeats", "must have elements of at least 0"));
    }
    let known = known::of(call, 0).filter(|_| x.rank() == 1).and_then(|elements| {
        let n = usize::try_from(repeats[0].as_const()?).ok()?;
        (elements.len().checked_mul(n)? <= known::MAX_KNOWN)
            .then(|| (0..n).flat_map(|_| elements.clone()).collect())
    });
    let dims = x.dims.iter().zip(repeats).map(|(d, r)| d.clone() * r).collect();
    Ok(vec![Inferred { ty: TensorType::new(x.dtype, dims), known }])
}

fn trilu(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let x = call.ty(0)?;
    if x.rank() < 2 {
        return Err(call.error(0, "must have rank 2 at least"));
    }
    Ok(result(x.dtype, x.dims.clone()))
}

fn reverse_sequence(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let x = call.ty(0)?;
    let (batch, time) = (call.axis("batch_axis", x.rank())?, call.axis("time_axis", x.rank())?);
    if batch == time {
        return Err(call.attr_error("time_axis", "must differ from 'batch_axis'"));
    }
    call.expect_int(1)?;
    call.expect_rank(1, 1)?;
    call.equal(&call.ty(1)?.dims[0], &x.dims[batch], "be the number of lengths and of sequences")?;
    Ok(result(x.dtype, x.dims.clone()))
}
