//! What schedule primitives cost on `LoopNest`: microseconds for each step of a matrix product's decision.
//!
//!     cargo run --release -p mlcc-cpu --example primitive_cost

#![allow(clippy::print_stdout, missing_docs, unreachable_pub, dead_code, reason = "an example")]

#[path = "../tests/all/kernels.rs"]
mod kernels;

use mlcc_cpu::{Machine, decide};
use mlcc_passes::schedule::naive;
use std::{collections::BTreeMap, time::Instant};

/// Repetitions of each step.
const TIMES: u32 = 200;

fn main() {
    let kernel = kernels::matmul("1024", "1024", "1024", false, true);
    let machine = Machine::named("znver4").unwrap_or_else(Machine::host);
    let start = Instant::now();
    for _ in 0..TIMES {
        decide(&kernel, &[1, 2], &machine).unwrap();
    }
    println!("whole decision: {:.0} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES));
    let decision = decide(&kernel, &[1, 2], &machine).unwrap();
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
}
