//! Pooling: one reduction compute over the window, then what the kind of pooling adds.

use super::{
    conv::{Window, spatial_names},
    kernels::{indices, parallel},
    lowering::Lowering,
    scalars::{Scalars, compute_type},
};
use mlcc_ir::{
    diagnostic::Result,
    expr::Expr,
    graph::ValueId,
    kernel::{Axis, AxisKind, Combine},
    scalar::{self, BinaryOp, Predicate, UnaryOp},
    tensor::Element,
};

/// Lowers a pooling operator; `None` if the operator is none.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    let lower: fn(&mut Lowering<'_, '_>, &Pool) -> Result<()> = match op.name() {
        "max_pool" => lower_max_pool,
        "average_pool" => lower_average_pool,
        "lp_pool" => lower_lp_pool,
        _ => return None,
    };
    Some(Pool::of(op).and_then(|pool| lower(op, &pool)))
}

/// The common parts of all kinds.
struct Pool {
    x: ValueId,
    window: Window,
    names: Vec<(String, String)>,
    /// `n`, `c`, spatial axes, then the window's.
    axes: Vec<Axis>,
    /// The element under a point of the window.
    at: Vec<Expr>,
    /// Whether it can be outside.
    leaves: bool,
}

impl Pool {
    fn of(op: &Lowering<'_, '_>) -> Result<Pool> {
        let (x, result) = (op.operand(0)?, op.dims(op.node.results[0]));
        let dims = op.dims(x);
        if dims.len() < 3 {
            return Err(op.unsupported("it needs at least one spatial dimension"));
        }
        let spatial = dims.len() - 2;
        let kernel = op.ints("kernel", spatial, 1)?.into_iter().map(Expr::from).collect();
        let mut window = Window::of(op, kernel)?;
        window.rounds_up = op.attrs().bool("ceil_mode", false) || window.exceeds(&dims[2..]);
        let names = spatial_names(spatial);
        let mut axes = vec![parallel("n", result[0].clone()), parallel("c", result[1].clone())];
        axes.extend(names.iter().zip(&result[2..]).map(|((name, _), e)| parallel(name, e.clone())));
        axes.extend(window.axes(&names));
        let mut at = vec![Expr::axis("n"), Expr::axis("c")];
        at.extend((0..spatial).map(|d| window.position(d, &names)));
        let leaves = (0..spatial).any(|d| window.leaves(d, &dims[2 + d], &result[2 + d]));
        Ok(Pool { x, window, names, axes, at, leaves })
    }

    fn kept(&self) -> Vec<Axis> {
        self.axes.iter().filter(|a| a.kind == AxisKind::Parallel).cloned().collect()
    }

    fn read(
        &self,
        k: &super::kernels::KernelBuilder,
        s: &mut Scalars,
        input: usize,
        outside: Element,
    ) -> scalar::ValueId {
        if self.leaves {
            s.read_or(k, input, self.at.clone(), outside)
        } else {
            s.read(k, input, self.at.clone())
        }
    }
}

fn lower_max_pool(op: &mut Lowering<'_, '_>, pool: &Pool) -> Result<()> {
    let (x, result) = (pool.x, op.result(0)?);
    let dtype = op.dtype(x);
    let computed = compute_type(dtype);
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let kept = pool.kept();
    let direct = computed == dtype;
    let max = if direct {
        k.output(op, result, "y")
    } else {
        k.temporary("max", computed, op.dims(result).to_vec())
    };
    let mut s = Scalars::default();
    let v = pool.read(&k, &mut s, input, Combine::Max.identity(dtype).element());
    k.reduce("max", pool.axes.clone(), max, s.yields(v).combined(Combine::Max));
    if !direct {
        let target = k.output(op, result, "y");
        let mut s = Scalars::default();
        let v = s.read_raw(&k, max, indices(&kept));
        k.map("convert", kept.clone(), target, s.yields(v));
    }
    if let Some(result) = op.used_result(1) {
        let target = k.output(op, result, "indices");
        let mut s = Scalars::default();
        let v = pool.read(&k, &mut s, input, Combine::Max.identity(dtype).element());
        let best = s.read_raw(&k, max, indices(&kept));
        let mut found = s.compare(Predicate::Eq, v, best);
        if computed.is_float() {
            let nan = s.unary(UnaryOp::IsNan, v);
            found = s.binary(BinaryOp::Or, found, nan);
        }
        if pool.leaves {
            // The least value may also occur in the padding, where there is no index.
            for (d, at) in pool.at.iter().enumerate().skip(2) {
                let position = s.index(at.clone());
                let (zero, size) = (s.int(0), s.index(op.dims(x)[d].clone()));
                let after = s.compare(Predicate::Ge, position, zero);
                let before = s.compare(Predicate::Lt, position, size);
                found = s.binary(BinaryOp::And, found, after);
                found = s.binary(BinaryOp::And, found, before);
            }
        }
        let flat = s.index(flat_index(op, pool));
        let none = s.int(i64::MAX);
        let v = s.select(found, flat, none);
        k.reduce("indices", pool.axes.clone(), target, s.yields(v).combined(Combine::Min));
    }
    op.emit(k)
}

/// The number of the element under a point of the window, in row-major order, or with the spatial
/// dimensions in column-major order.
fn flat_index(op: &Lowering<'_, '_>, pool: &Pool) -> Expr {
    let dims = op.dims(pool.x);
    let mut order: Vec<usize> = (0..dims.len()).collect();
    if op.attrs().int("storage_order", 0) == 1 {
        order[2..].reverse();
    }
    order.into_iter().fold(Expr::from(0), |flat, d| flat * dims[d].clone() + pool.at[d].clone())
}

fn lower_average_pool(op: &mut Lowering<'_, '_>, pool: &Pool) -> Result<()> {
    let (x, result) = (pool.x, op.result(0)?);
    let computed = compute_type(op.dtype(x));
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let kept = pool.kept();
    let sum = k.temporary("sum", computed, op.dims(result).to_vec());
    let mut s = Scalars::default();
    let v = pool.read(&k, &mut s, input, Element::Int(0));
    k.reduce("sum", pool.axes.clone(), sum, s.yields(v).combined(Combine::Add));

    let mut s = Scalars::default();
    let total = s.read_raw(&k, sum, indices(&kept));
    let with_padding = op.attrs().bool("count_include_pad", false);
    let mut count = Expr::from(1);
    for d in 0..pool.names.len() {
        count = count * points_counted(pool, d, &op.dims(x)[2 + d], with_padding);
    }
    let count = s.index_as(count, computed);
    let v = s.div(total, count);
    let target = k.output(op, result, "y");
    k.map("average", kept, target, s.yields(v));
    op.emit(k)
}

/// How many points of the window count along spatial dimension `d`: the points inside the input, or inside
/// the padded input.
fn points_counted(pool: &Pool, d: usize, input: &Expr, with_padding: bool) -> Expr {
    let window = &pool.window;
    let kernel = window.kernel[d].clone();
    let dilation = Expr::from(window.dilations[d]);
    let padded = with_padding && !window.rounds_up;
    if padded || !pool.leaves {
        return kernel;
    }
    let zero = Expr::from(0);
    let start = Expr::axis(&pool.names[d].0) * Expr::from(window.strides[d]) - window.begin[d].clone();
    let limit = if with_padding { input.clone() + window.end[d].clone() } else { input.clone() };
    let before_end = (limit - start.clone()).ceil_div(&dilation).minimum(&kernel);
    if with_padding {
        return before_end;
    }
    let before_start = (zero.clone() - start).ceil_div(&dilation).maximum(&zero);
    before_end - before_start
}

/// `(sum of |x|^p)^(1/p)`.
fn lower_lp_pool(op: &mut Lowering<'_, '_>, pool: &Pool) -> Result<()> {
    let (x, result) = (pool.x, op.result(0)?);
    let p = op.attrs().int("p", 2);
    let computed = compute_type(op.dtype(x));
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let kept = pool.kept();
    let sum = k.temporary("sum", computed, op.dims(result).to_vec());
    let mut s = Scalars::default();
    let v = pool.read(&k, &mut s, input, Element::Int(0));
    let v = match p {
        1 => s.unary(UnaryOp::Abs, v),
        2 => s.mul(v, v),
        _ => {
            let magnitude = s.unary(UnaryOp::Abs, v);
            let power = s.float_like(v, p as f64);
            s.binary(BinaryOp::Pow, magnitude, power)
        }
    };
    k.reduce("sum", pool.axes.clone(), sum, s.yields(v).combined(Combine::Add));
    let mut s = Scalars::default();
    let total = s.read_raw(&k, sum, indices(&kept));
    let v = match p {
        1 => total,
        2 => s.unary(UnaryOp::Sqrt, total),
        _ => {
            let power = s.float_like(total, 1.0 / p as f64);
            s.binary(BinaryOp::Pow, total, power)
        }
    };
    let target = k.output(op, result, "y");
    k.map("root", kept, target, s.yields(v));
    op.emit(k)
}
