//! Simplifies the scalar programs of kernels: division by a constant, chains of constant factors, and unused
//! values.
//!
//! ```text
//! y[i] = x[i] / 1.4142135    becomes    y[i] = x[i] * 0.70710677
//! y[i] = x[i] * 0.5 * 1.7    becomes    y[i] = x[i] * 0.85
//! ```
//!
//! Each replacement may change a float's last bit. That could show in a body that rounds, compares or
//! converts, so there only factors that are powers of two are merged. Where no bit may change, only one
//! replacement is made: a divisor that is a power of two becomes a factor. Even such factors merge inexactly
//! beyond the range of normal numbers.

use super::uses::kernel_of;
use crate::registry::{PassSpec, Run};
use mlcc_ir::{
    dtype::DType,
    kernel::Kernel,
    program::{Program, Step},
    scalar::{BinaryOp, Body, Constant, Inst, ValueId},
};
use std::sync::Arc;

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "simplify-scalars",
    summary: "merge constant factors and divisors in the scalar programs of kernels",
    traits: &[],
    run: Run::Tensor(|program, context| {
        Ok(if context.config.rewrites.is_exact() { run_exact(program) } else { run(program) })
    }),
};

/// Largest binary exponent of a factor, in absolute value: products of two stay far from overflow.
const MAX_EXPONENT: f64 = 30.0;

/// Runs the pass; returns the number of bodies that changed.
pub fn run(program: &mut Program) -> usize {
    run_with(program, false)
}

/// Runs the part of the pass that changes no bit of any value; returns the number of bodies that changed.
pub fn run_exact(program: &mut Program) -> usize {
    run_with(program, true)
}

fn run_with(program: &mut Program, exact: bool) -> usize {
    let mut changed = 0;
    for at in 0..program.steps.len() {
        let Some((kernel, _)) = kernel_of(program, at) else { continue };
        let Some((simple, count)) = simplify(kernel, exact) else { continue };
        if let Step::Kernel { kernel, .. } = &mut program.steps[at] {
            *kernel = Arc::new(simple);
            changed += count;
        }
    }
    changed
}

/// The kernel with simplified bodies and the number of these bodies; `None` if all are simple already.
fn simplify(kernel: &Kernel, exact: bool) -> Option<(Kernel, usize)> {
    let bodies: Vec<_> =
        kernel.computes.iter().map(|c| Some(simplified(&c.body, exact)).filter(|b| *b != c.body)).collect();
    let count = bodies.iter().flatten().count();
    let mut simple = kernel.clone();
    for (compute, body) in simple.computes.iter_mut().zip(bodies) {
        compute.body = body.unwrap_or_else(|| std::mem::take(&mut compute.body));
    }
    (count > 0).then_some((simple, count))
}

/// The body with its factors merged; the body itself if there are none.
fn simplified(body: &Body, exact: bool) -> Body {
    let care = match exact {
        true => Care::Exact,
        false if body.insts.iter().any(|(inst, _)| shows_last_bits(inst)) => Care::PowersOfTwo,
        false => Care::LastBits,
    };
    let mut merged = Body::default();
    let mut map: Vec<ValueId> = Vec::with_capacity(body.insts.len());
    let mut any = false;
    for (inst, dtype) in &body.insts {
        let inst = inst.renumbered(&|v| map[v as usize]);
        let (inst, of_factor) = match factor_of(&merged, &inst, *dtype, care) {
            Some((x, factor)) => (Inst::Binary(BinaryOp::Mul, x, merged.constant(factor)), true),
            None => (inst, false),
        };
        any |= of_factor;
        map.push(merged.push(inst, *dtype));
    }
    if !any {
        return body.clone();
    }
    merged.result = map[body.result as usize];
    merged.without_unused()
}

/// The changes to values that a replacement may make.
#[derive(Clone, Copy, PartialEq)]
enum Care {
    /// Last bits.
    LastBits,
    /// Nothing, for numbers of usual size.
    PowersOfTwo,
    /// Nothing.
    Exact,
}

/// Whether a last bit of an operand may decide about more than a last bit of the result.
fn shows_last_bits(inst: &Inst) -> bool {
    match inst {
        Inst::Unary(op, _) => op.jumps(),
        Inst::Binary(op, ..) => op.jumps(),
        Inst::Compare(..) | Inst::Select(..) | Inst::Cast(_) | Inst::Index(_) => true,
        Inst::Const(_) | Inst::Read { .. } => false,
    }
}

/// `inst` as a product of `x` and one factor, if merging turns it into another instruction.
fn factor_of(body: &Body, inst: &Inst, dtype: DType, care: Care) -> Option<(ValueId, Constant)> {
    if !matches!(dtype, DType::F32 | DType::F64) {
        return None;
    }
    let number = |v: ValueId| match body.insts[v as usize].0 {
        Inst::Const(c) => Some(c.element().to_f64()),
        _ => None,
    };
    let product = |inst: &Inst| match *inst {
        Inst::Binary(BinaryOp::Mul, a, b) => match (number(a), number(b)) {
            (None, Some(factor)) => Some((a, factor)),
            (Some(factor), None) => Some((b, factor)),
            _ => None,
        },
        _ => None,
    };
    let (mut x, mut factor, divides) = match *inst {
        Inst::Binary(BinaryOp::Div, a, b) if number(a).is_none() => (a, 1.0 / number(b)?, true),
        _ => product(inst).map(|(x, factor)| (x, factor, false))?,
    };
    let allowed = |f: f64| {
        f.abs().log2().abs() <= MAX_EXPONENT && (care == Care::LastBits || f.abs().log2().fract() == 0.0)
    };
    if !allowed(factor) {
        return None;
    }
    let merges = |inner: f64| care != Care::Exact && allowed(inner);
    let inner = product(&body.insts[x as usize].0).filter(|(_, inner)| merges(*inner));
    if let Some((of, inner)) = inner {
        (x, factor) = (of, factor * inner);
    }
    (divides || inner.is_some()).then(|| (x, Constant::float(dtype, factor)))
}
