//! Elementwise operators: one compute over the result's dimensions, operands broadcast to them.

use super::{activation, kernels::axes_over, lowering::Lowering, scalars::Scalars};
use mlcc_ir::{
    attributes::Attrs,
    diagnostic::Result,
    graph::ValueId,
    scalar::{self, BinaryOp, Predicate},
};

/// Lowers an elementwise operator; `None` if it is not one.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    Some(match op.name() {
        "where" => lower_where(op),
        "clip" => lower_clip(op),
        "cast" => lower_cast(op),
        "bit_cast" => op.operand(0).and_then(|x| op.view(0, x, 0.into())),
        "pow" => lower_pow(op),
        "identity" => lower_unary(op, |_, _, _, x| Some(x)),
        name if is_binary(name) => lower_binary(op),
        name if is_unary(name) => lower_unary(op, activation::apply),
        _ => return None,
    })
}

fn is_unary(name: &str) -> bool {
    let mut s = Scalars::default();
    let x = s.float(mlcc_ir::dtype::DType::F32, 0.0);
    activation::apply(&mut s, name, &Attrs::new(), x).is_some()
}

/// Whether `name` is an elementwise operator of two operands of one type.
fn is_binary(name: &str) -> bool {
    binary(name, &Attrs::new()).is_some()
}

/// A binary operator's instruction.
enum Binary {
    Arithmetic(BinaryOp),
    Comparison(Predicate),
    /// `x < 0 ? slope * x : x`.
    Prelu,
}

fn binary(name: &str, attrs: &Attrs) -> Option<Binary> {
    use Binary::{Arithmetic, Comparison};
    Some(match name {
        "add" => Arithmetic(BinaryOp::Add),
        "sub" => Arithmetic(BinaryOp::Sub),
        "mul" => Arithmetic(BinaryOp::Mul),
        "div" => Arithmetic(BinaryOp::Div),
        "mod" if attrs.bool("fmod", false) => Arithmetic(BinaryOp::Rem),
        "mod" => Arithmetic(BinaryOp::Mod),
        "min" => Arithmetic(BinaryOp::Min),
        "max" => Arithmetic(BinaryOp::Max),
        "and" | "bitwise_and" => Arithmetic(BinaryOp::And),
        "or" | "bitwise_or" => Arithmetic(BinaryOp::Or),
        "xor" | "bitwise_xor" => Arithmetic(BinaryOp::Xor),
        "shift_left" => Arithmetic(BinaryOp::Shl),
        "shift_right" => Arithmetic(BinaryOp::Shr),
        "equal" => Comparison(Predicate::Eq),
        "less" => Comparison(Predicate::Lt),
        "less_equal" => Comparison(Predicate::Le),
        "greater" => Comparison(Predicate::Gt),
        "greater_equal" => Comparison(Predicate::Ge),
        "prelu" => Binary::Prelu,
        _ => return None,
    })
}

fn lower_unary(
    op: &mut Lowering<'_, '_>,
    apply: fn(&mut Scalars, &str, &Attrs, scalar::ValueId) -> Option<scalar::ValueId>,
) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let (name, attrs) = (op.name(), op.attrs());
    map(op, &[(x, "x")], result, |s, v| apply(s, name, attrs, v[0]).unwrap_or(v[0]))
}

fn lower_binary(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (a, b, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let Some(kind) = binary(op.name(), op.attrs()) else {
        return Err(op.unsupported("it is not a binary operator"));
    };
    map(op, &[(a, "a"), (b, "b")], result, |s, v| match kind {
        Binary::Arithmetic(inst) => s.binary(inst, v[0], v[1]),
        Binary::Comparison(predicate) => s.compare(predicate, v[0], v[1]),
        Binary::Prelu => {
            let zero = s.float_like(v[0], 0.0);
            let negative = s.compare(Predicate::Lt, v[0], zero);
            let scaled = s.mul(v[1], v[0]);
            s.select(negative, scaled, v[0])
        }
    })
}

/// `x ^ y`; small constant exponents become products.
fn lower_pow(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, y, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let exponent = op.scalar(y).map(mlcc_ir::tensor::Element::to_f64);
    map(op, &[(x, "a"), (y, "b")], result, |s, v| match exponent {
        Some(1.0) => v[0],
        Some(2.0) => s.mul(v[0], v[0]),
        Some(3.0) => {
            let square = s.mul(v[0], v[0]);
            s.mul(square, v[0])
        }
        _ => {
            let power = s.cast(v[1], s.dtype(v[0]));
            s.binary(BinaryOp::Pow, v[0], power)
        }
    })
}

fn lower_cast(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let target = k.output(op, result, "y");
    let axes = axes_over(op.dims(result));
    let mut s = Scalars::default();
    // The element as it is stored: a detour through f32 would round twice.
    let v = s.read_raw(&k, input, super::kernels::indices(&axes));
    k.map("cast", axes, target, s.yields(v));
    op.emit(k)
}

/// `condition ? x : y`.
fn lower_where(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (condition, x, y) = (op.operand(0)?, op.operand(1)?, op.operand(2)?);
    let result = op.result(0)?;
    map(op, &[(condition, "condition"), (x, "x"), (y, "y")], result, |s, v| s.select(v[0], v[1], v[2]))
}

/// `min(max(x, low), high)` with optional scalar bounds.
fn lower_clip(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let (low, high) = (op.optional(1), op.optional(2));
    let mut operands = vec![(x, "x")];
    operands.extend(low.map(|v| (v, "low")));
    operands.extend(high.map(|v| (v, "high")));
    map(op, &operands, result, |s, v| {
        let mut bounds = v[1..].iter();
        let mut value = v[0];
        if let Some(&low) = low.and_then(|_| bounds.next()) {
            value = s.max(value, low);
        }
        if let Some(&high) = high.and_then(|_| bounds.next()) {
            value = s.min(value, high);
        }
        value
    })
}

/// One compute over the result's dimensions that applies `f` to the broadcast operands.
fn map(
    op: &mut Lowering<'_, '_>,
    operands: &[(ValueId, &str)],
    result: ValueId,
    f: impl FnOnce(&mut Scalars, &[scalar::ValueId]) -> scalar::ValueId,
) -> Result<()> {
    let mut k = op.kernel();
    let dims = op.dims(result);
    let axes = axes_over(dims);
    let mut s = Scalars::default();
    let values: Vec<_> =
        operands.iter().map(|&o| op.read_broadcast(&mut k, &mut s, o, (dims, &axes))).collect();
    let v = f(&mut s, &values);
    let target = k.output(op, result, "y");
    k.map(op.name(), axes, target, s.yields(v));
    op.emit(k)
}
