//! Computes 3x3 convolutions by Winograd's algorithm where that takes less time.
//!
//! ```text
//! kernel { acc[n, h, w, f] = sum c, kh, kw: x[n, h + kh - 1, w + kw - 1, c] * w[f, c, kh, kw]
//!          y[n, h, w, f] = relu(acc[n, h, w, f] + bias[f]) }
//!   =>
//! kernel { v[e, tile, c] = the transform of the tile's patch of x }
//! kernel { p[e, tile, f] = sum c: v[e, tile, c] * u[e, c, f] }
//! kernel { acc[n, h, w, f] = the inverse transform of p
//!          y[n, h, w, f] = relu(acc[n, h, w, f] + bias[f]) }
//! ```
//!
//! A tile is a square of outputs. Tiles that reach beyond the image read zeros, and their results there are
//! not read. `u` are the transformed filters, a constant. Sizes, except the batch's, must be static, and
//! filters constant. Where channels are not the last dimension of input and output, copies bring them there.

use super::{
    algorithm::Algorithm,
    channels_last::ChannelsLast,
    computes::Tiles,
    cost::{self, Sizes},
    recognise::Convolution,
};
use crate::registry::{PassSpec, Run, Trait};
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{Compute, Kernel, KernelTensor, Role},
    program::{Program, Step, Storage, TensorId},
    scalar::{Body, Inst},
    tensor::Tensor,
    types::TensorType,
};
use mlcc_machine::WinogradRates;
use std::sync::Arc;

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "winograd-convolution",
    summary: "compute 3x3 convolutions by Winograd's algorithm where that takes less time",
    // Prices use this pass' own estimate: the pass needs the weights, and these may not be computed yet.
    traits: &[Trait::Variant, Trait::ChangesBits, Trait::Unpriced],
    run: Run::Tensor(|program, context| Ok(run(program, &context.config.winograd))),
};

/// Runs the pass; returns the number of convolutions changed.
pub fn run(program: &mut Program, rates: &WinogradRates) -> usize {
    run_with(program, &|sizes| cost::choose(sizes, rates))
}

/// The estimated time of a kernel's convolution as this pass computes it, in multiply-adds of a vector. The
/// filters' values do not matter, and channels count as last, since layouts are chosen before this pass.
/// `size` gives symbolic sizes. The result is `None` if the kernel is no such convolution, or the direct sum
/// is faster.
#[must_use]
pub fn time_of(kernel: &Kernel, rates: &WinogradRates, size: &dyn Fn(&Expr) -> Option<i64>) -> Option<f64> {
    let conv = Convolution::of(kernel).or_else(|| Convolution::of(&ChannelsLast::of(kernel)?.kernel))?;
    cost::time(&conv.sizes(&Expr::from(0), size)?, rates)
}

/// Runs the pass with a choice of the caller's instead of the estimate. The choice receives the sizes that
/// the convolution may have: several if they are symbolic.
pub fn run_with(program: &mut Program, choose: &dyn Fn(&[Sizes]) -> Option<Algorithm>) -> usize {
    let mut changed = 0;
    let mut steps = Vec::with_capacity(program.steps.len());
    for step in std::mem::take(&mut program.steps) {
        match rewrite(program, &step, choose) {
            Some(stages) => {
                changed += 1;
                steps.extend(stages);
            }
            None => steps.push(step),
        }
    }
    program.steps = steps;
    changed
}

/// The steps that replace a convolution's.
fn rewrite(
    program: &mut Program,
    step: &Step,
    choose: &dyn Fn(&[Sizes]) -> Option<Algorithm>,
) -> Option<Vec<Step>> {
    let Step::Kernel { kernel, operands } = step else { return None };
    let found = Convolution::of(kernel);
    let turned = if found.is_none() { ChannelsLast::of(kernel) } else { None };
    let kernel = turned.as_ref().map_or(&**kernel, |turned| &turned.kernel);
    let conv = found.or_else(|| Convolution::of(kernel))?;
    let bound =
        |t: usize, ids: &[TensorId]| kernel.operands().zip(ids).find(|(k, _)| *k == t).map(|(_, id)| *id);
    let w = bound(conv.w, operands)?;
    let Storage::Constant(filters) = &program.tensors[w].storage else { return None };
    let copied = turned.as_ref().map_or(Expr::from(0), ChannelsLast::copied);
    let samples = program.ranges.samples(|size| conv.sizes(&copied, size))?;
    let algorithm = choose(&samples)?;
    let transformed = algorithm.transform_filters(filters, conv.filter_dims)?;
    let (operands, mut steps, behind) = match &turned {
        Some(turned) => turned.surround(program, operands),
        None => (operands.clone(), Vec::new(), Vec::new()),
    };
    let x = bound(conv.x, &operands)?;
    let tiles = Tiles { conv: &conv, algorithm };
    let name = program.tensors[w].name.clone();
    let u = add_constant(program, format!("{name}.winograd"), transformed);
    let lines = |last: &Expr| {
        let mut dims = vec![Expr::from((algorithm.points() * algorithm.points()) as i64)];
        dims.extend(tiles.dims());
        dims.push(last.clone());
        TensorType::new(DType::F32, dims)
    };
    let (v_type, p_type) = (lines(&conv.channel.extent), lines(&conv.filter.extent));
    let v = program.add_tensor(format!("{name}.patches"), v_type.clone(), Storage::Intermediate);
    let p = program.add_tensor(format!("{name}.products"), p_type.clone(), Storage::Intermediate);
    let types =
        Types { x: program.tensors[x].ty.clone(), u: program.tensors[u].ty.clone(), v: v_type, p: p_type };
    let others: Vec<TensorId> = kernel
        .operands()
        .zip(&operands)
        .filter(|(t, _)| stays(kernel, &conv, *t))
        .map(|(_, id)| *id)
        .collect();
    let step = |kernel: Kernel, operands: Vec<TensorId>| Step::Kernel { kernel: Arc::new(kernel), operands };
    let mut restore = vec![p];
    restore.extend(others);
    steps.push(step(transform(kernel, &tiles, &types), vec![x, v]));
    steps.push(step(product(kernel, &tiles, &types), vec![v, u, p]));
    steps.push(step(inverse(kernel, &tiles, &types), restore));
    steps.extend(behind);
    Some(steps)
}

fn add_constant(program: &mut Program, name: String, tensor: Tensor) -> TensorId {
    let ty = tensor.ty();
    program.add_tensor(name, ty, Storage::Constant(tensor))
}

/// Types of the tensors between the kernels.
struct Types {
    x: TensorType,
    u: TensorType,
    v: TensorType,
    p: TensorType,
}

fn tensor(name: &str, ty: &TensorType, role: Role) -> KernelTensor {
    KernelTensor { name: name.into(), ty: ty.clone(), role }
}

/// A temporary over tiles and squares of `rows` by `columns`.
fn squares(name: &str, tiles: &Tiles<'_>, (rows, columns): (usize, usize), last: &Expr) -> KernelTensor {
    let mut dims = tiles.dims();
    dims.extend([Expr::from(rows as i64), Expr::from(columns as i64), last.clone()]);
    tensor(name, &TensorType::new(DType::F32, dims), Role::Temporary)
}

fn named(kernel: &Kernel, part: &str) -> Name {
    format!("{}_{part}", kernel.name).into()
}

fn transform(kernel: &Kernel, tiles: &Tiles<'_>, types: &Types) -> Kernel {
    let (n, channels) = (tiles.algorithm.points(), &tiles.conv.channel.extent);
    let tensors = vec![
        tensor("x", &types.x, Role::Input),
        tensor("v", &types.v, Role::Output),
        squares("patch", tiles, (n, n), channels),
        squares("half", tiles, (n, n), channels),
    ];
    let mut computes = vec![tiles.patches(types.x.rank(), 0, 2)];
    computes.extend(tiles.transform_columns(2, 3));
    computes.extend(tiles.transform_rows(3, 1));
    Kernel { name: named(kernel, "transform"), nodes: kernel.nodes.clone(), tensors, computes }
}

fn product(kernel: &Kernel, tiles: &Tiles<'_>, types: &Types) -> Kernel {
    let tensors = vec![
        tensor("v", &types.v, Role::Input),
        tensor("u", &types.u, Role::Input),
        tensor("p", &types.p, Role::Output),
    ];
    let computes = vec![tiles.product((0, 1), 2)];
    Kernel { name: named(kernel, "products"), nodes: kernel.nodes.clone(), tensors, computes }
}

/// Whether a tensor is still touched behind the convolution. The convolution's operands are touched there
/// only if something else reads them too, such as a residual connection that adds the input to the result.
fn stays(kernel: &Kernel, conv: &Convolution, tensor: usize) -> bool {
    (tensor != conv.x && tensor != conv.w)
        || kernel.computes[1..].iter().any(|c| c.reads().any(|(t, _)| t == tensor))
}

/// The inverse transform, then the work that the kernel did with its result.
fn inverse(kernel: &Kernel, tiles: &Tiles<'_>, types: &Types) -> Kernel {
    let conv = tiles.conv;
    let m = tiles.algorithm.outputs();
    // Whole tiles; elements beyond the image are not read.
    let [rows, columns] = tiles.counts().map(|count| Expr::from(count * m as i64));
    let mut dims: Vec<Expr> = conv.batch.iter().map(|a| a.extent.clone()).collect();
    dims.extend([rows, columns, conv.filter.extent.clone()]);
    let point: Vec<Expr> = conv.output_axes().into_iter().map(|a| Expr::axis(a)).collect();

    // Tensors: the products, the kernel's others, then the temporaries of the transform.
    let mut map = vec![0; kernel.tensors.len()];
    let mut tensors = vec![tensor("products", &types.p, Role::Input)];
    let lone = kernel.computes.len() == 1;
    for (t, old) in kernel.tensors.iter().enumerate() {
        if !stays(kernel, conv, t) || (t == conv.result && !lone) {
            continue;
        }
        map[t] = tensors.len();
        tensors.push(old.clone());
    }
    let sums = tensors.len();
    tensors.push(squares("sums", tiles, (m, tiles.algorithm.points()), &conv.filter.extent));
    let result = tensors.len();
    tensors.push(tensor("tiles", &TensorType::new(DType::F32, dims), Role::Temporary));

    let mut computes = tiles.restore_columns(0, sums);
    computes.extend(tiles.restore_rows(sums, result));
    let first = &kernel.computes[0];
    if lone {
        let mut body = Body::default();
        body.read(result, point, DType::F32);
        let axes =
            first.axes.iter().filter(|a| a.kind == mlcc_ir::kernel::AxisKind::Parallel).cloned().collect();
        computes.push(Compute {
            name: "store".into(),
            axes,
            target: map[conv.result],
            write: first.write.clone(),
            body,
            combine: None,
        });
    } else {
        computes.extend(kernel.computes[1..].iter().map(|c| {
            let mut c = c.clone();
            c.target = map[c.target];
            for (inst, _) in &mut c.body.insts {
                if let Inst::Read { tensor, index, .. } = inst {
                    if *tensor == conv.result {
                        index.clone_from(&point);
                        *tensor = result;
                    } else {
                        *tensor = map[*tensor];
                    }
                }
            }
            c
        }));
    }
    Kernel { name: named(kernel, "inverse"), nodes: kernel.nodes.clone(), tensors, computes }
}
