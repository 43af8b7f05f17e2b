//! The cost of schedule primitives on `LoopNest`: microseconds for each step of a matrix product's decision.
//!
//! The steps that tile a product are those of the example `rewrite_cost` of `mlcc-mlir`, where they are
//! rewrites of MLIR.
//!
//!     cargo run --release -p mlcc-cpu --example primitive_cost

#![allow(clippy::print_stdout, missing_docs, unreachable_pub, dead_code, reason = "an example")]

#[path = "../tests/all/kernels.rs"]
mod kernels;

use mlcc_cpu::decide;
use mlcc_ir::{nest::Node, size_range::SizeRanges};
use mlcc_machine::Machine;
use mlcc_passes::schedule::{Step, naive};
use std::{collections::BTreeMap, time::Instant};

/// The steps that tile a product.
const TILING: [&str; 5] = [
    "split(matmul.m, 6)",
    "split(matmul.n, 64)",
    "split(matmul.k, 256)",
    "reorder(matmul.m.o, matmul.n.o, matmul.k.o, matmul.k.i, matmul.m.i, matmul.n.i)",
    "fuse(matmul.m.o, matmul.n.o)",
];

/// Repetitions of a step that tiles.
const SAMPLES: usize = 3000;

/// Repetitions of each step.
const TIMES: u32 = 200;

fn main() {
    let kernel = kernels::matmul("1024", "1024", "1024", false, true);
    let machine = Machine::named("znver4").unwrap();
    let start = Instant::now();
    for _ in 0..TIMES {
        decide(&kernel, &[1, 2], &SizeRanges::default(), &machine).unwrap();
    }
    println!("whole decision: {:.0} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES));
    let decision = decide(&kernel, &[1, 2], &SizeRanges::default(), &machine).unwrap();
    let mut nest = naive(&kernel).unwrap();
    let mut costs: BTreeMap<String, (f64, u32)> = BTreeMap::new();
    let mut total = 0.0;
    for step in &decision.schedule.steps {
        let start = Instant::now();
        for _ in 0..TIMES {
            step.apply(&nest).unwrap();
        }
        let us = start.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES);
        nest = step.apply(&nest).unwrap();
        let text = step.to_string();
        let name = text.split('(').next().unwrap_or_default().to_owned();
        let entry = costs.entry(name).or_insert((0.0, 0));
        *entry = (entry.0 + us, entry.1 + 1);
        total += us;
    }
    for (name, (us, count)) in &costs {
        println!("{name}: {:.1} us each, {count} steps", us / f64::from(*count));
    }
    let steps = decision.schedule.steps.len();
    println!("{steps} steps: {total:.0} us, {:.1} us a primitive", total / steps as f64);
    tiling();
}

/// The cost of the steps that tile a product. The loops that zero the sums are left out, as in the counterpart.
fn tiling() {
    let mut nest = naive(&kernels::matmul("1024", "1024", "1024", false, false)).unwrap();
    nest.body.remove(0);
    println!("\nmedian of {SAMPLES}, in us:");
    let mut total = 0.0;
    for text in TILING {
        let step: Step = text.parse().unwrap();
        let us = median(|| step.apply(&nest).unwrap());
        nest = step.apply(&nest).unwrap();
        println!("{us:6.2} {text}");
        total += us;
    }
    println!("{total:6.2} all steps");
    println!("{:6.2} clone of the result", median(|| nest.clone()));
    nest.visit(&mut |node| {
        if let Node::Loop(l) = node {
            println!("  for {} in 0..{}", l.axis, l.extent);
        }
    });
}

/// The median of a call's microseconds; its result is dropped within.
fn median<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut times = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let start = Instant::now();
        drop(call());
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    times[SAMPLES / 2]
}
