//! One kernel through decision, interpreters and machine code.

use crate::run;
use mlcc_cpu::schedule;
use mlcc_interpreter::{Symbols, compare, kernel, nest};
use mlcc_ir::{
    contract::Contract,
    dtype::DType,
    expr::Atom,
    kernel::{Kernel, Role},
    nest::LoopNest,
    size_range::SizeRanges,
    tensor::{Element, Tensor, element_count, push_element},
};
use mlcc_llvm::Target;
use mlcc_machine::Machine;
use mlcc_passes::schedule as primitives;
use mlcc_passes::schedule::Decision;

/// Random numbers, the same every time.
fn random(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 40) as f64 / (1u64 << 23) as f64 - 1.0
}

fn tensor(dtype: DType, dims: &[i64], state: &mut u64) -> Tensor {
    let mut bytes = Vec::new();
    for _ in 0..element_count(dims).unwrap() {
        let value = random(state);
        let value =
            if dtype.is_float() { Element::Float(value) } else { Element::Int((value * 50.0) as i64) };
        push_element(dtype, &mut bytes, value);
    }
    Tensor::new(dtype, dims.to_vec(), bytes.into()).unwrap()
}

fn reshaped(t: &Tensor, dims: Vec<i64>) -> Tensor {
    Tensor::new(t.dtype, dims, t.data.clone()).unwrap()
}

/// Checks the decision for a kernel on a machine: text form, contract, both interpreters, machine code.
pub fn check_on(
    machine: &Machine,
    k: &Kernel,
    constants: &[usize],
    sizes: &[(&str, i64)],
) -> (Decision, LoopNest) {
    let symbols: Symbols = sizes.iter().map(|(n, v)| ((*n).into(), *v)).collect();
    let value = |a: &Atom| match a {
        Atom::Symbol(n) => symbols.get(n).copied(),
        _ => None,
    };
    let dims =
        |t: usize| -> Vec<i64> { k.tensors[t].ty.dims.iter().map(|d| d.evaluate(&value).unwrap()).collect() };
    let mut state = 7;
    let inputs: Vec<Tensor> = k
        .with_role(Role::Input)
        .chain(k.with_role(Role::InOut))
        .map(|t| tensor(k.tensors[t].ty.dtype, &dims(t), &mut state))
        .collect();
    let want = kernel::run(k, &symbols, &inputs).unwrap_or_else(|e| panic!("{}: {e}", k.name));

    let (decision, nest) = schedule(k, constants, &SizeRanges::default(), machine).unwrap();
    let text = decision.schedule.to_string();
    let parsed = text.parse::<primitives::Schedule>().unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(parsed, decision.schedule, "the text form is read back");
    let again = primitives::apply(&primitives::naive(k).unwrap(), &parsed, &mut |_, _| {}).unwrap();
    assert_eq!(again, nest, "applying the steps gives the nest");
    nest.check("schedule").unwrap_or_else(|e| panic!("{e}\n{text}"));

    // Schedules may flatten dimensions of operands; the elements stay where they are.
    let flat: Vec<Tensor> = nest
        .buffers
        .iter()
        .enumerate()
        .filter(|(_, b)| matches!(b.role, Role::Input | Role::InOut))
        .map(|(id, b)| {
            (nest.packings.iter().find(|p| p.target == id).map_or(&b.dims, |p| &p.source_dims), b.role)
        })
        .map(|(dims, _)| dims.iter().map(|d| d.evaluate(&value).unwrap()).collect::<Vec<i64>>())
        .zip(&inputs)
        .map(|(dims, t)| reshaped(t, dims))
        .collect();
    let got = nest::run(&nest, &symbols, &flat, 1).unwrap_or_else(|e| panic!("{e}\n{text}"));
    for (g, w) in got.iter().zip(&want) {
        let error = compare(&reshaped(g, w.dims.clone()), w);
        assert!(error <= 1e-5, "{} {}: error {error} of the nest\n{text}", k.name, decision.variant);
    }

    // Machine code: operands as the nest takes them.
    let mut operands = Vec::new();
    let (mut given, mut out) = (inputs.iter(), 0);
    let inout: Vec<&Tensor> = inputs[k.with_role(Role::Input).count()..].iter().collect();
    for (id, b) in nest.buffers.iter().enumerate().filter(|(_, b)| b.role != Role::Temporary) {
        operands.push(match b.role {
            Role::Input => {
                let given = given.next().unwrap();
                match nest.packings.iter().find(|p| p.target == id) {
                    Some(p) => {
                        let dims = p.source_dims.iter().map(|d| d.evaluate(&value).unwrap()).collect();
                        nest::pack(&nest, p, &symbols, &reshaped(given, dims)).unwrap()
                    }
                    None => given.clone(),
                }
            }
            Role::InOut => inout[out].clone(),
            _ => want[out].clone(),
        });
        out += usize::from(b.role != Role::Input);
    }
    // Outputs start with values that differ from the answer.
    let first_output = operands.len() - want.len();
    for t in &mut operands[first_output..] {
        if inout.is_empty() {
            *t = Tensor::new(t.dtype, t.dims.clone(), vec![0x55; t.data.len()].into()).unwrap();
        }
    }
    let sizes: Vec<i64> = nest.symbols.iter().map(|s| symbols[s]).collect();
    let after = run::run(&nest, &operands, &sizes);
    for (g, w) in after.iter().flat_map(|after| &after[first_output..]).zip(&want) {
        let error = compare(g, w);
        assert!(error <= 1e-5, "{} {}: error {error} of the code\n{text}", k.name, decision.variant);
    }
    (decision, nest)
}

/// The machine that code is run on.
pub fn host() -> Machine {
    mlcc_cpu::machine_of(&Target::host().unwrap())
}

/// [`check_on`] the host.
pub fn check(k: &Kernel, constants: &[usize], sizes: &[(&str, i64)]) -> (Decision, LoopNest) {
    check_on(&host(), k, constants, sizes)
}
