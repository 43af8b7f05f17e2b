//! The effect of rules on graphs: the remaining operators, and that values stay.

use crate::graph_builder::GraphBuilder;
use mlcc_ir::{
    attributes::{Attr, Attrs},
    contract::{Contract, check_types},
    graph::{Graph, ValueId},
    tensor::Tensor,
};
use mlcc_passes::{
    config::Config,
    graph::{
        eliminate_dead, fold_constants,
        rewrite::{self, Settings},
    },
};

/// A graph with random weights under construction.
struct Builder {
    graph: GraphBuilder,
    inputs: usize,
    seed: u64,
}

impl Builder {
    fn new() -> Builder {
        Builder { graph: GraphBuilder::new(), inputs: 0, seed: 1 }
    }

    fn input(&mut self, dims: &[i64]) -> ValueId {
        let name = format!("x{}", self.inputs);
        self.inputs += 1;
        self.graph.input(&name, dims)
    }

    fn weight(&mut self, dims: &[i64]) -> ValueId {
        let tensor = random(dims, &mut self.seed);
        self.graph.tensor(tensor)
    }

    fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.graph.tensor(tensor)
    }

    fn op(&mut self, op: &str, attrs: Attrs, operands: &[ValueId]) -> ValueId {
        self.graph.op_with(op, operands, attrs)
    }

    fn output(self, value: ValueId) -> Graph {
        self.graph.finish(&[value])
    }
}

fn random(dims: &[i64], seed: &mut u64) -> Tensor {
    let count = dims.iter().product::<i64>() as usize;
    let values: Vec<f32> = (0..count)
        .map(|_| {
            *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (*seed >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_f32(dims, &values)
}

/// Rewrites, and compares the outputs on random inputs. Returns the rewritten graph and the rules applied.
fn rewritten(graph: Graph) -> (Graph, Vec<String>) {
    let mut after = graph.clone();
    let report = rewrite::run(&mut after, &Config::default()).expect("rewrites");
    fold_constants::run(&mut after).expect("folds");
    eliminate_dead::run(&mut after);
    after.check("rewrite").expect("well formed");
    check_types(&after).expect("well typed");
    let mut seed = 7;
    let inputs: Vec<Tensor> = graph
        .inputs
        .iter()
        .map(|i| random(&graph.value(*i).ty.static_dims().expect("static"), &mut seed))
        .collect();
    let wanted = mlcc_interpreter::graph::run(&graph, &inputs).expect("runs");
    let found = mlcc_interpreter::graph::run(&after, &inputs).expect("runs");
    for (w, f) in wanted.iter().zip(&found) {
        let (w, f) = (w.to_f64(), f.to_f64());
        let error: f64 = w.iter().zip(&f).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let norm: f64 = w.iter().map(|a| a * a).sum::<f64>().sqrt();
        assert!(error <= 1e-5 * norm, "error {error} of {norm}");
    }
    let rules = report.blocks.iter().flat_map(|b| b.applied.iter().map(|a| a.rule.to_string())).collect();
    (after, rules)
}

fn count(graph: &Graph, op: &str) -> usize {
    graph.nodes.iter().filter(|n| &*n.op == op).count()
}

#[test]
fn sums_of_products_of_one_operand_become_one_product() {
    let mut b = Builder::new();
    let (x, y, z) = (b.input(&[65, 63]), b.input(&[63, 67]), b.input(&[63, 67]));
    let first = b.op("matmul", Attrs::new(), &[x, y]);
    let second = b.op("matmul", Attrs::new(), &[x, z]);
    let sum = b.op("add", Attrs::new(), &[first, second]);
    let (after, rules) = rewritten(b.output(sum));
    assert_eq!(count(&after, "matmul"), 1, "{rules:?}");
    assert!(rules.contains(&"distribute-left".to_owned()), "{rules:?}");
}

#[test]
fn four_products_of_sums_become_two() {
    let mut b = Builder::new();
    let (x, y, z, u) = (b.input(&[96, 96]), b.input(&[96, 96]), b.input(&[96, 96]), b.input(&[96, 96]));
    let product = |b: &mut Builder, l, r| b.op("matmul", Attrs::new(), &[l, r]);
    let (xy, xz, xy2, uy) =
        (product(&mut b, x, y), product(&mut b, x, z), product(&mut b, x, y), product(&mut b, u, y));
    let left = b.op("add", Attrs::new(), &[xy, xz]);
    let right = b.op("sub", Attrs::new(), &[xy2, uy]);
    let sum = b.op("add", Attrs::new(), &[left, right]);
    let (after, rules) = rewritten(b.output(sum));
    assert_eq!(count(&after, "matmul"), 2, "{rules:?}");
}

#[test]
fn a_chain_of_matrices_ends_in_vectors() {
    let mut b = Builder::new();
    let (mut x, v) = (b.input(&[41, 41]), b.input(&[41, 1]));
    for _ in 0..3 {
        let w = b.weight(&[41, 41]);
        x = b.op("matmul", Attrs::new(), &[x, w]);
    }
    let y = b.op("matmul", Attrs::new(), &[x, v]);
    let (after, rules) = rewritten(b.output(y));
    let products: Vec<_> = after.nodes.iter().filter(|n| &*n.op == "matmul").collect();
    // The product of the weights is a weight.
    assert_eq!(products.len(), 2, "{rules:?}");
    for node in products {
        assert!(after.value(node.results[0]).ty.dims[1].is(1), "{rules:?}");
    }
}

#[test]
fn an_adapter_becomes_part_of_the_weights() {
    let mut b = Builder::new();
    let x = b.input(&[33, 48]);
    let (w, down, up) = (b.weight(&[48, 48]), b.weight(&[48, 4]), b.weight(&[4, 48]));
    let scale = b.constant(Tensor::from_f32(&[], &[0.5]));
    let main = b.op("matmul", Attrs::new(), &[x, w]);
    let low = b.op("matmul", Attrs::new(), &[x, down]);
    let adapter = b.op("matmul", Attrs::new(), &[low, up]);
    let scaled = b.op("mul", Attrs::new(), &[adapter, scale]);
    let sum = b.op("add", Attrs::new(), &[main, scaled]);
    let y = b.op("relu", Attrs::new(), &[sum]);
    let (after, rules) = rewritten(b.output(y));
    assert_eq!(count(&after, "matmul"), 1, "{rules:?}");
}

#[test]
fn batch_normalisation_disappears_into_a_convolution() {
    let mut b = Builder::new();
    let x = b.input(&[1, 5, 9, 11]);
    let (w, scale, shift) = (b.weight(&[7, 5, 3, 3]), b.weight(&[7, 1, 1]), b.weight(&[7, 1, 1]));
    let attrs = Attrs::new().with("group", Attr::Int(1)).with("pads", Attr::Ints(vec![1; 4]));
    let conv = b.op("conv", attrs, &[x, w]);
    let scaled = b.op("mul", Attrs::new(), &[conv, scale]);
    let y = b.op("add", Attrs::new(), &[scaled, shift]);
    let (after, rules) = rewritten(b.output(y));
    assert_eq!(after.nodes.len(), 1, "{rules:?}");
}

#[test]
fn branches_of_convolutions_become_one() {
    let mut b = Builder::new();
    let x = b.input(&[1, 8, 9, 11]);
    let (wide, narrow) = (b.weight(&[8, 8, 3, 3]), b.weight(&[8, 8, 1, 1]));
    let (scale, shift) = (b.weight(&[8, 1, 1]), b.weight(&[8, 1, 1]));
    let conv = |pads: i64| Attrs::new().with("group", Attr::Int(1)).with("pads", Attr::Ints(vec![pads; 4]));
    let a = b.op("conv", conv(1), &[x, wide]);
    let c = b.op("conv", conv(0), &[x, narrow]);
    let s = b.op("mul", Attrs::new(), &[x, scale]);
    let s = b.op("add", Attrs::new(), &[s, shift]);
    let right = b.op("add", Attrs::new(), &[c, s]);
    let sum = b.op("add", Attrs::new(), &[a, right]);
    let y = b.op("relu", Attrs::new(), &[sum]);
    let (after, rules) = rewritten(b.output(y));
    assert_eq!((count(&after, "conv"), after.nodes.len()), (1, 2), "{rules:?}");
}

#[test]
fn scales_and_transposes_go_into_weights() {
    let mut b = Builder::new();
    let mut x = b.input(&[33, 48]);
    for _ in 0..2 {
        let (g, w) = (b.weight(&[48]), b.weight(&[48, 48]));
        let c = b.constant(Tensor::from_f32(&[], &[0.3]));
        let perm = || Attrs::new().with("perm", Attr::Ints(vec![1, 0]));
        x = b.op("mul", Attrs::new(), &[x, g]);
        x = b.op("matmul", Attrs::new(), &[x, w]);
        x = b.op("transpose", perm(), &[x]);
        x = b.op("mul", Attrs::new(), &[x, c]);
        x = b.op("transpose", perm(), &[x]);
    }
    let (after, rules) = rewritten(b.output(x));
    // Two linear layers without anything between them are one.
    assert_eq!((count(&after, "matmul"), after.nodes.len()), (1, 1), "{rules:?}");
}

#[test]
fn rows_that_nobody_reads_are_not_computed() {
    let mut b = Builder::new();
    let x = b.input(&[1, 37, 48]);
    let (w, g, bias, shift) = (b.weight(&[48, 64]), b.weight(&[64]), b.weight(&[64]), b.weight(&[64]));
    let product = b.op("matmul", Attrs::new(), &[x, w]);
    let sum = b.op("add", Attrs::new(), &[product, shift]);
    let norm = Attrs::new().with("axis", Attr::Int(2)).with("epsilon", Attr::Float(1e-5));
    let normalised = b.op("layer_norm", norm, &[sum, g, bias]);
    let zero = b.constant(Tensor::from_i64(&[], &[0]));
    let first = b.op("gather", Attrs::new().with("axis", Attr::Int(1)), &[normalised, zero]);
    let (after, rules) = rewritten(b.output(first));
    let product = after.nodes.iter().find(|n| &*n.op == "matmul").expect("a product");
    assert!(after.value(product.results[0]).ty.elements().is(64), "{rules:?}");
}

/// `x1 @ W1`, `x2 @ W1 @ W2` and `x3 @ W2`: one product less with `W1 @ W2`, a third matrix of 4 MiB.
fn products_of_shared_weights() -> Graph {
    let mut b = Builder::new();
    let [x, y, z] = [3, 4, 5].map(|rows| b.input(&[rows, 1024]));
    let (first, second) = (b.weight(&[1024, 1024]), b.weight(&[1024, 1024]));
    let mut product = |x, w| b.op("matmul", Attrs::new(), &[x, w]);
    let through = product(y, first);
    let outputs = [product(x, first), product(through, second), product(z, second)];
    b.graph.finish(&outputs)
}

#[test]
fn weights_grow_no_more_than_allowed() {
    let graph = products_of_shared_weights();
    for (max_weight_growth, products, growth) in [(1.0, 4, 0), (1.25, 4, 0), (1.5, 3, 4 << 20)] {
        let rewrites = Settings { max_weight_growth, ..Settings::default() };
        let config = Config { rewrites, ..Config::default() };
        let mut after = graph.clone();
        let report = rewrite::run(&mut after, &config).expect("rewrites");
        assert_eq!(
            (count(&after, "matmul"), report.weight_growth),
            (products, growth),
            "{max_weight_growth}"
        );
    }
}

/// Three products of one operand with weights of their own.
fn projections() -> Graph {
    let mut b = Builder::new();
    let x = b.input(&[7, 48]);
    let outputs = [0; 3].map(|_| {
        let w = b.weight(&[48, 40]);
        b.op("matmul", Attrs::new(), &[x, w])
    });
    b.graph.finish(&outputs)
}

#[test]
fn prices_are_of_the_target() {
    // One product instead of two of a quarter of its work: if a kernel takes long to start, or arithmetic is
    // free.
    let products = |change: &dyn Fn(&mut mlcc_machine::KernelRates)| {
        let mut b = Builder::new();
        let x = b.input(&[128, 64]);
        let (down, up) = (b.weight(&[64, 8]), b.weight(&[8, 64]));
        let y = b.op("matmul", Attrs::new(), &[x, down]);
        let y = b.op("matmul", Attrs::new(), &[y, up]);
        let mut config = Config::default();
        change(&mut config.rates);
        let mut after = b.output(y);
        rewrite::run(&mut after, &config).expect("rewrites");
        count(&after, "matmul")
    };
    assert_eq!(products(&|_| ()), 2);
    assert_eq!(products(&|rates| rates.kernel = 1e-3), 1);
    assert_eq!(products(&|rates| rates.flops *= 1e6), 1);
}

#[test]
fn what_was_measured_of_a_kernel_is_its_price() {
    // A table of kernels by the columns of their results. The product of all three takes longer than these,
    // or less.
    let products = |table: &[(i64, f64)]| {
        let measured = |kernel: &mlcc_ir::kernel::Kernel| {
            let result = kernel.tensors.iter().find(|t| t.role == mlcc_ir::kernel::Role::Output)?;
            let columns = result.ty.dims.last()?.as_const()?;
            let is_product = kernel.computes.iter().any(mlcc_ir::kernel::Compute::is_reduction);
            table.iter().find(|(c, _)| is_product && *c == columns).map(|(_, seconds)| *seconds)
        };
        let mut after = projections();
        rewrite::run_measured(&mut after, &Config::default(), &measured).expect("rewrites");
        count(&after, "matmul")
    };
    assert_eq!((products(&[]), products(&[(120, 4e-5), (40, 1e-5)])), (3, 3));
    assert_eq!(products(&[(120, 1e-6), (40, 1e-5)]), 1);
}
