//! Time of each compilation phase for typical kernels, and their speed on one core.
//!
//!     cargo run --release -p mlcc-llvm --example compile_time [asm NAME]

#![allow(clippy::print_stdout, missing_docs, unreachable_pub, dead_code, reason = "an example")]

#[path = "../tests/all/nests.rs"]
mod nests;
#[path = "../tests/all/run.rs"]
mod run;

use mlcc_ir::{
    dtype::DType,
    kernel::{Combine, Role},
    nest::{LoopNest, Mapping},
    scalar::{BinaryOp, Body, Constant, Inst, UnaryOp},
};
use mlcc_llvm::{CompiledKernel, Options, Target, compile};
use nests::*;
use std::time::{Duration, Instant};

const F: DType = DType::F32;
const VECTOR: Mapping = Mapping::Vector(16);

fn elementwise(name: &str, body: Body) -> LoopNest {
    let buffers = vec![
        buffer("x", F, &["64", "1000"], Role::Input),
        buffer("b", F, &["1000"], Role::Input),
        buffer("y", F, &["64", "1000"], Role::Output),
    ];
    let inner = axis("j", "1000", VECTOR, vec![put(2, &["%i", "%j"], body)]);
    nest(name, &[], buffers, vec![axis("i", "64", Mapping::Parallel, vec![inner])])
}

fn row_sum() -> LoopNest {
    let buffers = vec![
        buffer("x", F, &["64", "1000"], Role::Input),
        buffer("b", F, &["1000"], Role::Input),
        buffer("y", F, &["64"], Role::Output),
    ];
    let mut zero = Body::default();
    zero.push(Inst::Const(Constant::float(F, 0.0)), F);
    let body = vec![
        put(2, &["%i"], zero),
        axis("j", "1000", VECTOR, vec![combine(2, &["%i"], Combine::Add, read(0, &["%i", "%j"], F))]),
    ];
    nest("row_sum", &[], buffers, vec![axis("i", "64", Mapping::Parallel, body)])
}

fn main() {
    let target = Target::host().unwrap();
    let mut add_relu = read(0, &["%i", "%j"], F);
    add_relu.read(1, vec![e("%j")], F);
    add_relu.binary(BinaryOp::Add, 0, 1);
    add_relu.push(Inst::Const(Constant::float(F, 0.0)), F);
    add_relu.binary(BinaryOp::Max, 2, 3);
    let mut nests = vec![elementwise("add_relu", add_relu), row_sum()];
    for op in [UnaryOp::Exp, UnaryOp::Log, UnaryOp::Tanh, UnaryOp::Erf, UnaryOp::Sin] {
        let mut body = read(0, &["%i", "%j"], F);
        body.unary(op, 0);
        nests.push(elementwise(&format!("{op:?}").to_lowercase(), body));
    }
    let arguments: Vec<_> = std::env::args().collect();
    for nest in nests.into_iter().map(run::verified) {
        // The fastest of several times, because the machine may be busy.
        let time = |k: &CompiledKernel| k.times.iter().map(|(_, t)| *t).sum::<Duration>();
        let compiled = (0..10).map(|_| compile(&nest, &target, &Options::default()).unwrap());
        let kernel = compiled.min_by_key(time).unwrap();
        if arguments.get(2).is_some_and(|name| *name == *nest.name) {
            let texts = compile(&nest, &target, &Options { texts: true, ..Options::default() })
                .unwrap()
                .texts
                .unwrap();
            println!("{}\n{}\n{}", texts.mlir[0].1, texts.llvm, texts.asm);
        }
        let mapped = run::Mapped::new(&kernel);
        let memory = vec![0x3f40_0000_3f80_0000u64; 3 * 32_032];
        let at = |i: usize| memory[i * 32_032..].as_ptr().cast_mut().cast::<u8>();
        let mut best = f64::MAX;
        for _ in 0..200 {
            let start = Instant::now();
            mapped.call(&[at(0), at(1), at(2)], &[], std::ptr::null_mut(), 0..64);
            best = best.min(start.elapsed().as_secs_f64());
        }
        let total = time(&kernel).as_secs_f64() * 1e3;
        let phases: Vec<_> =
            kernel.times.iter().map(|(n, t)| format!("{n} {:.1}", t.as_secs_f64() * 1e3)).collect();
        println!(
            "{:9} compiled in {total:5.1} ms ({}), {:.3} ns an element",
            nest.name,
            phases.join(", "),
            best * 1e9 / 64_000.0
        );
    }
}
