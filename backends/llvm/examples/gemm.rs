//! Time of each compilation step and speed of a matrix multiplication's micro-kernel on one core.
//!
//!     cargo run --release -p mlcc-llvm --example gemm [asm]

#![allow(clippy::print_stdout, missing_docs, unreachable_pub, dead_code, reason = "an example")]

#[path = "../tests/all/nests.rs"]
mod nests;
#[path = "../tests/all/run.rs"]
mod run;

use mlcc_ir::dtype::DType;
use mlcc_llvm::{Options, Target, compile};
use std::time::Instant;

fn main() {
    let target = Target::host().unwrap();
    let texts = std::env::args().nth(1);
    for ((dtype, rows, cols, m), k) in [
        (DType::F32, 6, 64, 1020),
        (DType::F32, 12, 32, 1020),
        (DType::F32, 14, 32, 1022),
        (DType::F32, 6, 64, 1024),
        (DType::F64, 6, 32, 1020),
    ]
    .into_iter()
    .flat_map(|x| [(x, 1024), (x, 1040)])
    {
        let nest = run::verified(nests::gemm(dtype, [m, 1024, k], rows, cols));
        compile(&nest, &target, &Options::default()).unwrap();
        let start = Instant::now();
        let kernel = compile(&nest, &target, &Options::default()).unwrap();
        let compiled = start.elapsed();
        if texts.as_deref() == Some("asm") {
            let kernel = compile(&nest, &target, &Options { texts: true, ..Options::default() }).unwrap();
            println!("{}", kernel.texts.unwrap().asm);
            return;
        }
        let times: Vec<_> =
            kernel.times.iter().map(|(n, t)| format!("{n} {:.1}", t.as_secs_f64() * 1e3)).collect();
        let mapped = run::Mapped::new(&kernel);
        let size = dtype.size();
        let mut memory = vec![0x3f80_0000_3f80_0000u64; (3 * 1024 * 1040 * size + 8192) / 8];
        let at = |i: usize| {
            let base = memory.as_ptr() as usize;
            (base.next_multiple_of(4096) + i * 1024 * 1040 * size) as *mut u8
        };
        let buffers = [at(0), at(1), at(2)];
        let tiles = i64::from(1024 / cols);
        let mut best = f64::MAX;
        for _ in 0..20 {
            let start = Instant::now();
            mapped.call(&buffers, &[], std::ptr::null_mut(), 0..tiles);
            best = best.min(start.elapsed().as_secs_f64());
        }
        memory[0] = 1;
        let flops = 2.0 * m as f64 * 1024.0 * k as f64;
        println!(
            "{dtype} {rows}x{cols} m={m} k={k}: compiled in {:.1} ms, {:.1} GFLOP/s ({} ms)",
            compiled.as_secs_f64() * 1e3,
            flops / best / 1e9,
            times.join(", ")
        );
    }
}
