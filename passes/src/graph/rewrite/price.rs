//! The cost of a graph as the kernels that fusion makes of it. A kernel costs its measured time, or else its
//! roofline on one core of the target.
//!
//! Kernels reach different parts of a core's peak. Products of matrices reach most of it, elementwise kernels
//! wait for caches or memory, and the time of small ones is their launch. Winograd's algorithm has its own
//! estimate.

use crate::{
    config::Config,
    convert, driver, fusion,
    registry::{Context, Trait},
    winograd::winograd_convolution,
};
use mlcc_ir::{
    expr::Expr,
    graph::Graph,
    kernel::{Compute, Kernel},
    program::{Program, Step, Storage, TensorId},
    scalar::{BinaryKind, BinaryOp, Inst, UnaryKind, UnaryOp},
};

use mlcc_machine::KernelRates;
use mlcc_rewriting::cost::{self, PRODUCT_SHARE};

/// Measured seconds of a kernel, where there are any.
pub type Measured<'a> = dyn Fn(&Kernel) -> Option<f64> + 'a;

/// The lesser of a kernel's two bounds adds this part of itself to the greater one.
const OVERLAPPED: f64 = 0.1;

/// The costs of kernels on a machine.
#[derive(Clone, Copy)]
pub(in crate::graph) struct Prices<'a> {
    config: &'a Config,
    measured: &'a Measured<'a>,
}

impl<'a> Prices<'a> {
    pub(in crate::graph) fn new(config: &'a Config, measured: &'a Measured<'a>) -> Prices<'a> {
        Prices { config, measured }
    }

    fn of_program(&self, program: &Program, is_weight: &dyn Fn(usize) -> bool) -> f64 {
        let weight =
            |id: TensorId| matches!(program.tensors[id].storage, Storage::Input(at) if is_weight(at));
        let kernel_start = self.config.rates.kernel;
        program
            .steps
            .iter()
            .map(|step| match step {
                Step::Kernel { kernel, operands } => (self.measured)(kernel)
                    .unwrap_or_else(|| self.of_kernel(kernel, &|operand| weight(operands[operand]))),
                Step::Copy { target, .. } => {
                    let bytes = cost::bytes(&program.tensors[*target].ty);
                    kernel_start + 2.0 * self.traffic(bytes, bytes, false)
                }
                _ => kernel_start,
            })
            .sum()
    }

    /// Seconds to move bytes of a tensor. Weights are read once in a run. They come from memory unless they
    /// stay in a core's own cache from run to run.
    fn traffic(&self, bytes: f64, tensor: f64, weight: bool) -> f64 {
        let rates = &self.config.rates;
        let rate = match rates.caches {
            [near, _] if tensor <= near => rates.cached_bytes[0],
            [_, last] if tensor <= last && !weight => rates.cached_bytes[1],
            _ => rates.memory_bytes,
        };
        bytes / rate
    }

    /// The roofline of a kernel; some of its operands are weights.
    fn of_kernel(&self, kernel: &Kernel, is_weight: &dyn Fn(usize) -> bool) -> f64 {
        let rates = &self.config.rates;
        let winograd = self.winograd(kernel);
        let mut touched = vec![0.0f64; kernel.tensors.len()];
        let mut arithmetic = 0.0;
        for (at, compute) in kernel.computes.iter().enumerate() {
            arithmetic += match winograd {
                Some(operations) if at == 0 => operations,
                _ => of_compute(compute),
            };
            for (tensor, index) in compute.reads() {
                let points = points_of(compute, |axis| index.iter().any(|e| e.uses_axis(axis)));
                let all = cost::elements(&kernel.tensors[tensor].ty);
                touched[tensor] = touched[tensor].max(points.min(all));
            }
            touched[compute.target] = cost::elements(&kernel.tensors[compute.target].ty);
        }
        let moved: f64 = kernel
            .operands()
            .enumerate()
            .map(|(operand, tensor)| {
                let ty = &kernel.tensors[tensor].ty;
                let bytes = touched[tensor] * ty.dtype.size() as f64;
                self.traffic(bytes, cost::bytes(ty), is_weight(operand))
            })
            .sum();
        let computed = arithmetic / rates.flops;
        let launches = if winograd.is_some() { WINOGRAD_KERNELS } else { 1.0 };
        // The lesser bound overlaps only in part.
        launches * rates.kernel + computed.max(moved) + OVERLAPPED * computed.min(moved)
    }

    /// Operations at the peak that take as long as a kernel's convolution by Winograd's algorithm, if the
    /// pass will use it.
    fn winograd(&self, kernel: &Kernel) -> Option<f64> {
        let rates = &self.config.winograd;
        let time = winograd_convolution::time_of(kernel, rates, &|e| Some(cost::size(e) as i64))
            .filter(|_| self.config.runs(&winograd_convolution::SPEC))?;
        Some(2.0 * rates.lanes as f64 * time)
    }
}

impl cost::Prices for Prices<'_> {
    fn rates(&self) -> &KernelRates {
        &self.config.rates
    }

    fn of_graph(&self, graph: &Graph, is_weight: &dyn Fn(usize) -> bool) -> Option<f64> {
        let mut program = convert::graph_to_tensor(graph).ok()?;
        let mut context = Context { config: self.config, events: &mut () };
        driver::try_out(&mut program, &mut context, |pass| !pass.is(Trait::Unpriced)).ok()?;
        Some(self.of_program(&program, is_weight))
    }
}

/// Transform, products, inverse.
const WINOGRAD_KERNELS: f64 = 3.0;

fn points_of(compute: &Compute, mut counts: impl FnMut(&str) -> bool) -> f64 {
    let extent = |e: &Expr| e.evaluate(&|_| Some(64)).unwrap_or(64) as f64;
    compute.axes.iter().filter(|a| counts(&a.name)).map(|a| extent(&a.extent)).product()
}

/// Operations of a compute. An instruction is executed once for each point of the axes that it depends on: the
/// rest is moved out of loops.
fn of_compute(compute: &Compute) -> f64 {
    let mut depends: Vec<u64> = Vec::with_capacity(compute.body.insts.len());
    let mut operations = 0.0;
    let axes = |index: &[Expr]| {
        let uses = |(at, axis): (usize, &mlcc_ir::kernel::Axis)| {
            u64::from(index.iter().any(|e| e.uses_axis(&axis.name))) << at.min(63)
        };
        compute.axes.iter().enumerate().map(uses).fold(0, |a, b| a | b)
    };
    for (inst, _) in &compute.body.insts {
        let of = |id: &u32| depends[*id as usize];
        let (on, price) = match inst {
            Inst::Const(_) => (0, 0.0),
            Inst::Index(e) => (axes(std::slice::from_ref(e)), 0.0),
            Inst::Read { index, .. } => (axes(index), 0.0),
            Inst::Unary(op, a) => (of(a), unary(*op)),
            Inst::Binary(op, a, b) => (of(a) | of(b), binary(*op)),
            Inst::Compare(_, a, b) => (of(a) | of(b), 1.0),
            Inst::Select(c, a, b) => (of(c) | of(a) | of(b), 1.0),
            Inst::Cast(a) => (of(a), 1.0),
        };
        depends.push(on);
        if price > 0.0 {
            let mut at = 0;
            operations += price
                * points_of(compute, |_| {
                    at += 1;
                    on >> (at - 1).min(63) & 1 == 1
                });
        }
    }
    let accumulation = if compute.is_reduction() { points_of(compute, |_| true) } else { 0.0 };
    let share = if fusion::is_contraction(compute) { PRODUCT_SHARE } else { 1.0 };
    (operations + accumulation) / share
}

/// Prices in halves of a multiply-add of vectors.
fn unary(op: UnaryOp) -> f64 {
    match op.kind() {
        UnaryKind::Comparison => 2.0,
        UnaryKind::Rounding if op == UnaryOp::Round => 2.0,
        UnaryKind::Bits | UnaryKind::Rounding => 1.0,
        UnaryKind::Root => 10.0,
        UnaryKind::Series if op == UnaryOp::Exp => 16.0,
        UnaryKind::Series => 24.0,
    }
}

fn binary(op: BinaryOp) -> f64 {
    match op.kind() {
        BinaryKind::Simple => 1.0,
        BinaryKind::Quotient => 10.0,
        BinaryKind::Remainder => 16.0,
        BinaryKind::Power => 40.0,
    }
}

#[cfg(test)]
mod tests {
    use crate::registry::{Level, PASSES, Trait};

    #[test]
    fn prices_see_what_fusion_does() {
        let seen = PASSES.iter().filter(|p| p.level() == Level::Tensor && !p.is(Trait::Unpriced));
        let seen: Vec<&str> = seen.map(|p| p.name).collect();
        let fuses = |name: &&str| ["fuse-", "inline-", "simplify-"].iter().any(|kind| name.starts_with(kind));
        let all: Vec<&str> = PASSES.iter().map(|p| p.name).filter(fuses).collect();
        assert_eq!(seen, all);
    }
}
