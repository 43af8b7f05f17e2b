//! Speed of decided kernels on one core: a product of matrices and convolutions.
//!
//!     cargo run --release -p mlcc-cpu --example measure [part of a name]

#![allow(clippy::print_stdout, missing_docs, unreachable_pub, dead_code, reason = "an example")]

#[path = "../tests/all/kernels.rs"]
mod kernels;
#[path = "../../llvm/tests/all/run.rs"]
mod run;

use kernels::{Conv, conv, matmul, softmax};
use mlcc_cpu::schedule;
use mlcc_ir::{contract::Verified, expr::Expr, kernel::Kernel, size_range::SizeRanges};
use mlcc_llvm::{Options, Target, compile};
use std::time::Instant;

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let base = Conv { n: "1", groups: 1, m: 64, c: 64, size: ("56", "56"), kernel: 3, stride: 1 };
    let conv_of = |c: Conv<'_>| {
        let name = format!(
            "conv{k}x{k}/{s} {c}->{m} {h}x{w}",
            k = c.kernel,
            s = c.stride,
            c = c.c,
            m = c.m,
            h = c.size.0,
            w = c.size.1
        );
        (name, conv(c), vec![1, 2])
    };
    let cases: Vec<(String, Kernel, Vec<usize>)> = vec![
        ("matmul 1024".into(), matmul("1024", "1024", "1024", false, false), vec![1]),
        ("matmul 197x768x3072".into(), matmul("197", "768", "3072", false, false), vec![1]),
        ("matmul 197x3072x768".into(), matmul("197", "3072", "768", false, false), vec![1]),
        ("matmul 1x1000x2048".into(), matmul("1", "1000", "2048", false, false), vec![1]),
        ("matmul^T 197x197x64".into(), matmul("197", "197", "64", true, false), vec![]),
        conv_of(base),
        conv_of(Conv { kernel: 1, m: 256, ..base }),
        conv_of(Conv { kernel: 1, c: 256, ..base }),
        conv_of(Conv { kernel: 1, m: 128, stride: 2, ..base }),
        conv_of(Conv { m: 128, c: 128, size: ("28", "28"), ..base }),
        conv_of(Conv { m: 256, c: 256, size: ("14", "14"), ..base }),
        conv_of(Conv { m: 512, c: 512, size: ("7", "7"), ..base }),
        conv_of(Conv { kernel: 1, m: 2048, c: 512, size: ("7", "7"), ..base }),
        conv_of(Conv { kernel: 7, c: 3, stride: 2, size: ("224", "224"), ..base }),
        ("softmax 2364x197".into(), softmax("2364", "197"), vec![]),
    ];
    let target = Target::host().unwrap();
    for (name, kernel, constants) in cases.into_iter().filter(|c| c.0.contains(&wanted)) {
        let start = Instant::now();
        let (decision, nest) =
            schedule(&kernel, &constants, &SizeRanges::default(), &mlcc_cpu::machine_of(&target)).unwrap();
        let decided = start.elapsed();
        let start = Instant::now();
        let nest = Verified::new(nest, "schedule").unwrap();
        let compiled = match compile(&nest, &target, &Options::default()) {
            Ok(c) => c,
            Err(e) => {
                println!("{name}: {e}");
                continue;
            }
        };
        let compile_time = start.elapsed();
        let mapped = run::Mapped::new(&compiled);
        let none = |_: &mlcc_ir::expr::Atom| None;
        let size = |e: &Expr| e.evaluate(&none).unwrap() as usize;
        let scratch = vec![0u64; size(&compiled.scratch_bytes) / 8 + 16];
        let mut memory: Vec<Vec<f32>> = nest
            .buffers
            .iter()
            .filter(|b| b.space == mlcc_ir::nest::Space::Global)
            .map(|b| vec![1.0f32; b.dims.iter().map(size).product::<usize>() + 32])
            .collect();
        // On a cache line, as the runtime has it.
        let aligned = |p: usize| p.next_multiple_of(64) as *mut u8;
        let pointers: Vec<*mut u8> = memory.iter_mut().map(|m| aligned(m.as_mut_ptr() as usize)).collect();
        let scratch = aligned(scratch.as_ptr() as usize);
        let tiles = nest.tiles().as_const().unwrap();
        let mut best = f64::MAX;
        let begin = Instant::now();
        while begin.elapsed().as_secs_f64() < 0.3 {
            let start = Instant::now();
            mapped.call(&pointers, &[], scratch, 0..tiles);
            best = best.min(start.elapsed().as_secs_f64());
        }
        let flops = 2.0 * kernel.computes[0].points().as_const().unwrap() as f64;
        println!(
            "{name}: {} tiles={tiles}, {:.1} GFLOP/s, {:.1} us (decided in {:.1} ms, compiled in {:.1} ms)",
            decision.variant,
            flops / best / 1e9,
            best * 1e6,
            decided.as_secs_f64() * 1e3,
            compile_time.as_secs_f64() * 1e3,
        );
    }
}
