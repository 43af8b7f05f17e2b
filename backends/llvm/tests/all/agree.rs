//! Compiled nests against the interpreter of loop nests.

use crate::run::run_on;
use mlcc_interpreter::{Symbols, compare};
use mlcc_ir::{
    dtype::DType,
    expr::Atom,
    kernel::Role,
    nest::{LoopNest, Space},
    tensor::{Element, Tensor, push_element},
};
use mlcc_llvm::Target;

/// A small generator, the same every time.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Floats in -2..2, small integers, truth values.
    pub fn tensor(&mut self, dtype: DType, dims: &[i64]) -> Tensor {
        let count: i64 = dims.iter().product();
        let mut data = Vec::new();
        for _ in 0..count {
            let value = if dtype.is_float() {
                Element::Float(self.below(1 << 20) as f64 / f64::from(1 << 18) - 2.0)
            } else if dtype == DType::Bool {
                Element::Int(self.below(2) as i64)
            } else {
                Element::Int(self.below(9) as i64)
            };
            push_element(dtype, &mut data, value);
        }
        Tensor::new(dtype, dims.to_vec(), data.into()).unwrap()
    }
}

fn operands(nest: &LoopNest, sizes: &[i64], random: &mut Random) -> Vec<Tensor> {
    let value = |atom: &Atom| match atom {
        Atom::Symbol(name) => nest.symbols.iter().position(|s| s == name).map(|i| sizes[i]),
        _ => None,
    };
    let global = nest.buffers.iter().filter(|b| b.space == Space::Global);
    global
        .map(|b| {
            let dims: Vec<_> = b.dims.iter().map(|d| d.evaluate(&value).unwrap()).collect();
            random.tensor(b.dtype, &dims)
        })
        .collect()
}

/// Compiles for a target, runs on random operands, compares every result with the interpreter's.
pub fn agrees_on(target: &Target, nest: &LoopNest, sizes: &[i64], given: &[(usize, Tensor)]) {
    let mut random = Random(42);
    let mut operands = operands(nest, sizes, &mut random);
    given.iter().for_each(|(at, t)| operands[*at] = t.clone());
    let global: Vec<_> = nest.buffers.iter().filter(|b| b.space == Space::Global).collect();
    let of = |role| global.iter().zip(&operands).filter(move |(b, _)| b.role == role).map(|(_, t)| t.clone());
    let inputs: Vec<_> = of(Role::Input).chain(of(Role::InOut)).collect();
    let symbols: Symbols = nest.symbols.iter().cloned().zip(sizes.iter().copied()).collect();
    let want = mlcc_interpreter::nest::run(nest, &symbols, &inputs, 1).unwrap();
    let Some(got) = run_on(target, nest, &operands, sizes) else { return };
    let got = global.iter().zip(got).filter(|(b, _)| b.role != Role::Input).map(|(_, t)| t);
    for (i, (got, want)) in got.zip(&want).enumerate() {
        let bound = match want.dtype {
            DType::F64 => 1e-13,
            DType::F32 => 2e-6,
            DType::F16 => 4e-3,
            DType::BF16 => 3e-2,
            _ => 0.0,
        };
        let error = compare(&got, want);
        assert!(
            error <= bound,
            "{} at {sizes:?}: result {i} differs by {error:e}\n{:?}\n{:?}\n{nest:#?}",
            nest.name,
            &got.to_f64()[..got.elements().min(70)],
            &want.to_f64()[..want.elements().min(70)],
        );
    }
}

/// The same for the host.
pub fn agrees(nest: &LoopNest, sizes: &[i64]) {
    agrees_on(&Target::host().unwrap(), nest, sizes, &[]);
}
