//! Computes products with constant weights by Strassen's algorithm where that takes less time.
//!
//! ```text
//! kernel { acc[m, n] = sum k: x[m, k] * w[k, n]
//!          y[m, n] = gelu(acc[m, n] + bias[n]) }
//!   =>
//! kernel { s[e, m.o, k] = sums of the quarters x[2 m.o + i, k + K/2 j] }
//! kernel { p[e, m.o, n] = sum k: s[e, m.o, k] * u[e, k, n] }
//! kernel { acc[m, n] = sums of p[e, m/2, n]
//!          y[m, n] = gelu(acc[m, n] + bias[n]), for both halves of n }
//! ```
//!
//! `u` are the sums of the weights' quarters, a constant. The number of rows or terms may be odd: elements
//! outside are 0. Products of one matrix with several weights (attention's projections) share the first
//! kernel. Weights grow to 7/4 of their size, and [`super::budget`] limits the growth. All sizes but the
//! rows' must be static. With symbolic rows it must pay for all
//! [samples](mlcc_ir::size_range::SizeRanges::samples) of them, and the least gain counts. Products are
//! rounded differently: sums of quarters cancel, so errors are two to three times the plain product's.

use super::{
    algorithm,
    budget::{self, Candidate},
    computes::Parts,
    cost::{self, Sizes},
    recognise::Product,
};
use crate::registry::{PassSpec, Run, Trait};
use mlcc_ir::{
    Name,
    expr::Expr,
    kernel::{Kernel, Role},
    program::{Program, Step, Storage, TensorId},
    tensor::Tensor,
    types::TensorType,
};
use mlcc_machine::StrassenRates;
use mlcc_rewriting::{STRASSEN_PRODUCTS, weight_growth};
use std::sync::Arc;

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: STRASSEN_PRODUCTS.name,
    summary: "compute products with weights by Strassen's algorithm where that takes less time",
    // Prices leave it out: it needs the weights, which may not be computed yet. Its gain is at most a tenth
    // of a kernel that is a product before and after.
    traits: &[Trait::Variant, Trait::ChangesBits, Trait::Unpriced],
    run: Run::Tensor(|program, context| {
        let config = context.config;
        if !config.rewrites.allows(&STRASSEN_PRODUCTS) {
            return Ok(0);
        }
        let changed = run(program, &config.strassen, config.rewrites.max_weight_growth);
        context.events.products_changed(&changed, config);
        Ok(changed.len())
    }),
};

/// A product that was changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The ONNX nodes of its kernel.
    pub nodes: Vec<Name>,
    /// Rows, columns and terms of a sum.
    pub sizes: [Expr; 3],
    /// Multiply-adds of a vector on one core that it is estimated to save.
    pub gain: f64,
    /// Bytes by which constants have grown.
    pub growth: i64,
}

/// Runs the pass; returns the products changed. `max_weight_growth` limits the bytes of all constants as a
/// multiple of their bytes before. Constants that earlier rewrites added count too.
pub fn run(program: &mut Program, rates: &StrassenRates, max_weight_growth: f64) -> Vec<Changed> {
    let grown = program.origin.weight_growth as f64;
    let before = constant_bytes(program) as f64 - grown;
    let left = weight_growth::allowance(before, max_weight_growth) - grown;
    change(program, left, &|sizes| cost::gain(sizes, rates))
}

/// Runs the pass with another estimate of the gain; returns the number of products changed.
pub fn run_with(program: &mut Program, max_growth: f64, gain: &dyn Fn(&Sizes) -> Option<f64>) -> usize {
    let left = weight_growth::allowance(constant_bytes(program) as f64, max_growth);
    change(program, left, gain).len()
}

/// Changes the products that gain most while constants grow by no more than `left` bytes.
fn change(program: &mut Program, left: f64, gain: &dyn Fn(&Sizes) -> Option<f64>) -> Vec<Changed> {
    let found: Vec<(usize, Candidate)> = (0..program.steps.len())
        .filter_map(|at| Some((at, candidate(program, &program.steps[at], gain)?)))
        .collect();
    let candidates: Vec<Candidate> = found.iter().map(|f| f.1).collect();
    let taken = budget::choose(&candidates, left);
    let mut chosen = found.iter().zip(taken).filter(|(_, taken)| *taken).map(|(f, _)| f).peekable();
    let mut shared = Transformed::default();
    let mut changed = Vec::new();
    let mut steps = Vec::with_capacity(program.steps.len());
    for (at, step) in std::mem::take(&mut program.steps).into_iter().enumerate() {
        let wanted = chosen.next_if(|(step, _)| *step == at);
        let report = wanted.and_then(|(_, candidate)| report(program, &step, candidate));
        match report.and_then(|report| Some((report, rewrite(program, &step, &mut shared)?))) {
            Some((report, stages)) => {
                changed.push(report);
                steps.extend(stages);
            }
            None => {
                shared.forget(&step);
                steps.push(step);
            }
        }
    }
    program.steps = steps;
    changed
}

/// A step's product with the program's tensors as its operands.
fn product_of<'a>(program: &Program, step: &'a Step) -> Option<(&'a Kernel, Product, [TensorId; 2])> {
    let Step::Kernel { kernel, operands } = step else { return None };
    let product = Product::of(kernel)?;
    let bound = |t: usize| kernel.operands().zip(operands).find(|(k, _)| *k == t).map(|(_, id)| *id);
    let (x, w) = (bound(product.x)?, bound(product.w)?);
    let constant = |id: TensorId| matches!(program.tensors[id].storage, Storage::Constant(_));
    (constant(w) && !constant(x)).then_some((kernel, product, [x, w]))
}

/// The report about a changed product.
fn report(program: &Program, step: &Step, candidate: &Candidate) -> Option<Changed> {
    let (kernel, product, _) = product_of(program, step)?;
    let sizes = [&product.rows, &product.columns, &product.terms].map(|axes| Product::count(axes));
    Some(Changed { nodes: kernel.nodes.clone(), sizes, gain: candidate.gain, growth: candidate.growth })
}

fn candidate(program: &Program, step: &Step, gain: &dyn Fn(&Sizes) -> Option<f64>) -> Option<Candidate> {
    let (kernel, product, [_, w]) = product_of(program, step)?;
    let samples = program.ranges.samples(|size| {
        let part = |axes, cut: &super::recognise::Cut| {
            let (count, half) = (size(&Product::count(axes))?, size(&cut.half())?);
            Some([count, count / size(&cut.extent)?.max(1) * half])
        };
        Some(Sizes {
            rows: part(&product.rows, &product.row)?,
            columns: part(&product.columns, &product.column)?,
            terms: part(&product.terms, &product.term)?,
        })
    })?;
    let gains: Vec<f64> = samples.iter().map(gain).collect::<Option<_>>()?;
    let gain = gains.into_iter().min_by(f64::total_cmp)?;
    let quarter = samples.first()?;
    product.weight_halves(&kernel.computes[0], &program.tensors[w].ty)?;
    let transformed =
        (4 * algorithm::PRODUCTS as i64).checked_mul(quarter.columns[1])?.checked_mul(quarter.terms[1])?;
    // Weights that nothing else reads are dropped.
    let stays = uses(program, w) > 1 || Parts { kernel, product: &product }.stays(product.w);
    Some(Candidate { gain, growth: transformed - if stays { 0 } else { bytes_of(program, w) } })
}

/// Steps, views and outputs that have the tensor.
fn uses(program: &Program, id: TensorId) -> usize {
    let mut steps = 0;
    for step in &program.steps {
        step.visit(&mut |step| steps += usize::from(step.tensors().any(|tensor| tensor == id)));
    }
    let views =
        program.tensors.iter().filter(|t| matches!(t.storage, Storage::View { source, .. } if source == id));
    let outputs = program.outputs.iter().filter(|(_, output)| *output == id);
    steps + views.count() + outputs.count()
}

fn bytes_of(program: &Program, id: TensorId) -> i64 {
    match &program.tensors[id].storage {
        Storage::Constant(t) => t.data.len() as i64,
        _ => 0,
    }
}

/// Bytes of all constants that something reads.
fn constant_bytes(program: &Program) -> i64 {
    (0..program.tensors.len())
        .filter(|&id| bytes_of(program, id) > 0 && uses(program, id) > 0)
        .fold(0, |sum: i64, id| sum.saturating_add(bytes_of(program, id)))
}

/// Matrices whose quarters have been summed already.
#[derive(Default)]
struct Transformed(Vec<(TensorId, Arc<Kernel>, TensorId)>);

impl Transformed {
    fn of(&self, x: TensorId, kernel: &Kernel) -> Option<TensorId> {
        let same = |k: &Kernel| k.tensors == kernel.tensors && k.computes == kernel.computes;
        self.0.iter().find(|(id, k, _)| *id == x && same(k)).map(|found| found.2)
    }

    /// Drops the matrices that a step may change.
    fn forget(&mut self, step: &Step) {
        let plain = |k: &Kernel| k.tensors.iter().all(|t| t.role != Role::InOut);
        if !matches!(step, Step::Kernel { kernel, .. } if plain(kernel)) {
            self.0.clear();
        }
    }
}

/// The steps that replace a product's step.
fn rewrite(program: &mut Program, step: &Step, shared: &mut Transformed) -> Option<Vec<Step>> {
    let (kernel, product, [x, w]) = product_of(program, step)?;
    let Step::Kernel { operands, .. } = step else { return None };
    let Storage::Constant(weights) = &program.tensors[w].storage else { return None };
    let (terms, columns) = product.weight_halves(&kernel.computes[0], &program.tensors[w].ty)?;
    let parts = Parts { kernel, product: &product };
    let transformed = algorithm::transform_weights(weights, &terms, &columns)?;
    let weights_type = parts.weights_type();
    let transformed = Tensor { dims: weights_type.static_dims()?, ..transformed };
    let name = program.tensors[w].name.clone();
    let mut add = |part: &str, ty: TensorType, storage: Storage| {
        let name: Name = format!("{name}.{part}").into();
        program.add_tensor(name, ty, storage)
    };
    let u = add("strassen", weights_type, Storage::Constant(transformed));
    let p = add("products", parts.products_type(), Storage::Intermediate);
    let mut steps = Vec::new();
    let transform = parts.transform();
    let s = shared.of(x, &transform).unwrap_or_else(|| {
        let s = add("quarters", parts.left_type(), Storage::Intermediate);
        let kernel = Arc::new(transform);
        shared.0.push((x, kernel.clone(), s));
        steps.push(Step::Kernel { kernel, operands: vec![x, s] });
        s
    });
    steps.push(Step::Kernel { kernel: Arc::new(parts.products()), operands: vec![s, u, p] });
    let others = kernel.operands().zip(operands).filter(|(t, _)| parts.stays(*t)).map(|(_, id)| *id);
    let operands = [p].into_iter().chain(others).collect();
    steps.push(Step::Kernel { kernel: Arc::new(parts.combination()), operands });
    Some(steps)
}
