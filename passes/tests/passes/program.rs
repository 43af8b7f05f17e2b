//! Runs a tensor-level pass on the program of a graph and compares results before and after.

use mlcc_interpreter::program;
use mlcc_ir::{
    contract::Contract,
    dtype::DType,
    graph::Graph,
    kernel::Kernel,
    program::{Program, Step},
    tensor::Tensor,
};
use mlcc_passes::convert::graph_to_tensor;

/// The program of `graph`.
pub(crate) fn of(graph: &Graph) -> Program {
    let program = graph_to_tensor(graph).expect("the graph converts");
    program.check("graph-to-tensor").expect("the program is well formed");
    program
}

/// Names of the kernels in order.
pub(crate) fn kernels(program: &Program) -> Vec<&Kernel> {
    let mut kernels: Vec<&Kernel> = Vec::new();
    for step in &program.steps {
        if let Step::Kernel { kernel, .. } = step {
            kernels.push(kernel);
        }
    }
    kernels
}

/// Sizes of symbols, in turn: one, odd, even.
const SIZES: [i64; 4] = [1, 2, 3, 5];

/// Runs `pass` and demands that the program computes the same as before on random inputs, of several sizes if
/// it has symbols. Returns the number of changes.
pub(crate) fn run_and_compare(program: &mut Program, pass: fn(&mut Program) -> usize) -> usize {
    let before = program.clone();
    let changes = pass(program);
    program.check("the pass").expect("the pass leaves a well-formed program");
    let sizes = if before.symbols.is_empty() { &SIZES[..1] } else { &SIZES[..] };
    for size in sizes {
        let inputs = inputs(&before, *size);
        let want = program::run(&before, &inputs).expect("the program runs before the pass");
        let got = program::run(program, &inputs).expect("the program runs after the pass");
        compare(&want, &got);
    }
    changes
}

/// Random inputs for symbols that all have the same size.
fn inputs(program: &Program, size: i64) -> Vec<Tensor> {
    let mut state = 11u64;
    let input = |&i: &usize| {
        let ty = &program.tensors[i].ty;
        assert_eq!(ty.dtype, DType::F32);
        let dims = ty.dims.iter().map(|d| d.evaluate(&|_| Some(size)));
        let dims: Vec<i64> = dims.collect::<Option<_>>().expect("a shape");
        let values: Vec<f32> = (0..dims.iter().product::<i64>())
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            })
            .collect();
        Tensor::from_f32(&dims, &values)
    };
    program.inputs.iter().map(input).collect()
}

fn compare(before: &[Tensor], after: &[Tensor]) {
    assert_eq!(before.len(), after.len());
    for (want, got) in before.iter().zip(after) {
        assert_eq!(want.dims, got.dims);
        let (want, got) = (want.to_f64(), got.to_f64());
        let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let difference: Vec<f64> = want.iter().zip(&got).map(|(w, g)| w - g).collect();
        assert!(norm(&want) > 0.0, "a result of zeros shows nothing");
        let error = norm(&difference) / norm(&want);
        assert!(error <= 1e-6, "relative error {error}");
    }
}
