//! Seven patterns of algebra, each with its operations before and after.
//!
//! A rewriting compiler is commonly judged by these patterns: distributivity, attention's projections, batch
//! normalisation, matrix chains, common subexpressions, batching of weights, fusion of operators. Operations
//! are counted in the kernels that the passes leave ([`crate::pipeline::work`]), and a multiply-add counts
//! two.

use crate::{
    graph_builder::GraphBuilder,
    pipeline::{assert_computes, compile, kernels, work},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    graph::{Graph, ValueId},
    kernel::Kernel,
    program::Program,
    tensor::Tensor,
};
use mlcc_passes::graph::rewrite::Mode;

/// A pattern under construction, with random weights.
struct Pattern {
    graph: GraphBuilder,
    seed: u64,
}

impl Pattern {
    fn new() -> Pattern {
        Pattern { graph: GraphBuilder::new(), seed: 5 }
    }

    fn weight(&mut self, dims: &[i64]) -> ValueId {
        let count = dims.iter().product::<i64>() as usize;
        let values: Vec<f32> = (0..count)
            .map(|_| {
                self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (self.seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            })
            .collect();
        self.graph.tensor(Tensor::from_f32(dims, &values))
    }

    fn op(&mut self, op: &str, operands: &[ValueId]) -> ValueId {
        self.graph.op(op, operands)
    }

    fn linear(&mut self, x: ValueId, weight: &[i64]) -> ValueId {
        let weight = self.weight(weight);
        self.op("matmul", &[x, weight])
    }
}

/// Operations and kernels of a graph without rewriting and with it; both compute the same as the graph.
struct Comparison {
    before: Program,
    after: Program,
}

impl Comparison {
    fn of(graph: &Graph) -> Comparison {
        let (before, after) = (compile(graph, Mode::Off), compile(graph, Mode::All));
        assert_computes(&before, graph, 1e-5);
        assert_computes(&after, graph, 1e-5);
        Comparison { before, after }
    }

    fn operations(&self) -> (i64, i64) {
        (work(&self.before).0, work(&self.after).0)
    }

    /// How many kernels multiply matrices.
    fn products(&self) -> (usize, usize) {
        let products = |program| kernels(program).iter().filter(|k| is_product(k)).count();
        (products(&self.before), products(&self.after))
    }
}

fn is_product(kernel: &Kernel) -> bool {
    kernel.computes.iter().any(|c| c.is_reduction() && c.reads().count() == 2)
}

#[test]
fn distributivity() {
    let (m, k, n) = (65, 63, 67);
    let mut p = Pattern::new();
    let (a, b, c) = (p.graph.input("a", &[m, k]), p.graph.input("b", &[k, n]), p.graph.input("c", &[k, n]));
    let (ab, ac) = (p.op("matmul", &[a, b]), p.op("matmul", &[a, c]));
    let sum = p.op("add", &[ab, ac]);
    let found = Comparison::of(&p.graph.finish(&[sum]));
    // Two products and a sum of results; one product and a sum of operands.
    assert_eq!(found.operations(), (4 * m * k * n + m * n, 2 * m * k * n + k * n));
    assert_eq!(found.products(), (2, 1));
}

#[test]
fn projections_of_attention() {
    // Few rows, so that each product is bound by its weights and a launch counts.
    let (rows, size) = (5, 48);
    let mut p = Pattern::new();
    let x = p.graph.input("x", &[rows, size]);
    let parts: Vec<ValueId> = (0..3).map(|_| p.linear(x, &[size, size])).collect();
    // The rest of attention is not the point here, so one operator reads all three.
    let weighted = p.op("mul", &[parts[0], parts[1]]);
    let y = p.op("add", &[weighted, parts[2]]);
    let found = Comparison::of(&p.graph.finish(&[y]));
    // The operations stay the same: those of one product instead of three.
    let operations = 3 * 2 * rows * size * size + 2 * rows * size;
    assert_eq!(found.operations(), (operations, operations));
    assert_eq!(found.products(), (3, 1));
}

#[test]
fn batch_normalisation() {
    let (channels, outputs, height, width) = (5, 7, 9, 11);
    let mut p = Pattern::new();
    let x = p.graph.input("x", &[1, channels, height, width]);
    let weight = p.weight(&[outputs, channels, 3, 3]);
    let attrs = Attrs::new().with("group", Attr::Int(1)).with("pads", Attr::Ints(vec![1; 4]));
    let y = p.graph.op_with("conv", &[x, weight], attrs);
    let parameters = [1.0, 0.5, -0.25, 0.75].map(|first: f32| {
        let values: Vec<f32> = (0..outputs).map(|i| (first + 0.1 * i as f32).abs()).collect();
        p.graph.constant(&[outputs], &values)
    });
    let [scale, bias, mean, variance] = parameters;
    let attrs = Attrs::new().with("epsilon", Attr::Float(1e-5));
    let y = p.graph.op_with("batch_norm", &[y, scale, bias, mean, variance], attrs);
    let found = Comparison::of(&p.graph.finish(&[y]));
    let pixels = outputs * height * width;
    let convolution = 2 * pixels * channels * 9;
    // Before: a factor and a shift of each result. After: a bias, with which the convolution starts.
    assert_eq!(found.operations(), (convolution + 2 * pixels, convolution + pixels));
    assert_eq!(kernels(&found.after).len(), 1);
}

#[test]
fn a_chain_of_matrices() {
    // Four square matrices and a vector, from the left: three products of matrices and one with the vector. From the
    // right: four with a vector. With n columns that is (6 n^3 + 2 n^2) / (8 n^2), 667 times fewer from n = 890 on.
    let ratio = |n: i64| {
        let mut p = Pattern::new();
        let mut x = p.graph.input("a", &[n, n]);
        for name in ["b", "c", "d"] {
            let next = p.graph.input(name, &[n, n]);
            x = p.op("matmul", &[x, next]);
        }
        let v = p.graph.input("v", &[n, 1]);
        let y = p.op("matmul", &[x, v]);
        let graph = p.graph.finish(&[y]);
        let (before, after) = (compile(&graph, Mode::Off), compile(&graph, Mode::All));
        // Large matrices are only counted; small ones are executed.
        if n < 100 {
            assert_computes(&before, &graph, 1e-5);
            assert_computes(&after, &graph, 1e-5);
        }
        let (before, after) = (work(&before).0, work(&after).0);
        assert_eq!((before, after), (6 * n.pow(3) + 2 * n * n, 8 * n * n));
        before as f64 / after as f64
    };
    assert!(ratio(41) > 30.0);
    assert!(ratio(890) >= 667.0);
}

#[test]
fn common_subexpressions() {
    let (m, k, n) = (33, 31, 29);
    let mut p = Pattern::new();
    let (a, b) = (p.graph.input("a", &[m, k]), p.graph.input("b", &[k, n]));
    // The same product three times, written out.
    let products: Vec<ValueId> = (0..3).map(|_| p.op("matmul", &[a, b])).collect();
    let tanh = p.op("tanh", &[products[0]]);
    let sigmoid = p.op("sigmoid", &[products[1]]);
    let sum = p.op("add", &[tanh, sigmoid]);
    let y = p.op("mul", &[sum, products[2]]);
    let graph = p.graph.finish(&[y]);
    let found = Comparison::of(&graph);
    let (product, results) = (2 * m * k * n, m * n);
    let (before, after) = found.operations();
    assert_eq!(before - after, 2 * product);
    assert!(after < product + 10 * results, "{after}");
    assert_eq!(found.products(), (3, 1));
}

#[test]
fn batching_of_weights() {
    // Products of one operand by four weights, and a batch of products by one weight.
    let (rows, size, hidden) = (5, 48, 64);
    let mut p = Pattern::new();
    let x = p.graph.input("x", &[rows, size]);
    let parts: Vec<ValueId> = (0..4).map(|_| p.linear(x, &[size, hidden])).collect();
    let (first, second) = (p.op("mul", &parts[..2]), p.op("mul", &parts[2..]));
    let y = p.op("sub", &[first, second]);
    let found = Comparison::of(&p.graph.finish(&[y]));
    assert_eq!(found.products(), (4, 1));
    let operations = 4 * 2 * rows * size * hidden + 3 * rows * hidden;
    assert_eq!(found.operations(), (operations, operations));

    let mut p = Pattern::new();
    let x = p.graph.input("x", &[7, 3, rows, size]);
    let y = p.linear(x, &[size, hidden]);
    let found = Comparison::of(&p.graph.finish(&[y]));
    let operations = 2 * 7 * 3 * rows * size * hidden;
    assert_eq!(found.operations(), (operations, operations));
    assert_eq!(found.products(), (1, 1));
}

#[test]
fn fusion_of_operators() {
    let (rows, size, hidden) = (33, 48, 64);
    let mut p = Pattern::new();
    let x = p.graph.input("x", &[rows, size]);
    let bias = p.weight(&[hidden]);
    let y = p.linear(x, &[size, hidden]);
    let y = p.op("add", &[y, bias]);
    let y = p.op("relu", &[y]);
    let y = p.op("tanh", &[y]);
    let graph = p.graph.finish(&[y]);
    let apart = mlcc_passes::convert::graph_to_tensor(&graph).expect("converts");
    let found = Comparison::of(&graph);
    // Four kernels and seven tensors of results that go through memory, or one kernel and one.
    let (operations, moved) = work(&apart);
    assert_eq!((kernels(&apart).len(), kernels(&found.after).len()), (4, 1));
    assert_eq!(found.operations(), (operations, operations));
    let operands = 4 * (rows * size + size * hidden + hidden);
    let result = 4 * rows * hidden;
    assert_eq!((moved, work(&found.after).1), (operands + 7 * result, operands + result));
}
