//! Feeds damaged texts and models to the parsers: `fuzz [--target NAME]`, with the options of [`mlcc_tests::cases`].
//!
//! Each case is one input for one parser, mutated from a valid one. Whatever it holds, the parser returns a value or an
//! error within seconds and without a panic, and a value survives printing and reading.

#![expect(clippy::print_stdout, reason = "a command-line program that talks")]

mod models;
mod mutate;
mod seeds;
mod targets;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fastrand::Rng;
use mlcc_mlir::MlirContext;
use mlcc_tests::cases::{self, Arguments, Cases};
use seeds::Seeds;
use targets::{TARGETS, Target, Tools};

/// So many cases share a context, which keeps every name and type that it has met.
const CONTEXT: usize = 1000;

fn main() -> ExitCode {
    cases::exit_code(run())
}

fn run() -> Result<usize, Box<dyn Error>> {
    let mut target = None;
    let arguments = Arguments::read("build/fuzz", &mut |option, value| {
        let is_target = option == "--target";
        if is_target {
            target = Some(value.to_owned());
        }
        Ok(is_target)
    })?;
    let is_known = |name: &String| TARGETS.iter().any(|target| target.name == name);
    if target.as_ref().is_some_and(|name| !is_known(name)) {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        return Err(format!("the targets are {}", names.join(", ")).into());
    }
    let fuzz = &Fuzz { arguments: &arguments, target, seeds: Seeds::read()? };
    // Mutations of what is refused anyway would test little.
    let worker = fuzz.worker(0)?;
    for target in TARGETS {
        let (accepted, all) = target.check_seeds(&worker.tools)?;
        println!("{:10} {accepted:7} of {all} seeds are accepted", target.name);
    }
    drop(worker);
    let (counts, failures) = arguments.run(&fuzz)?;
    let mut total = BTreeMap::<&str, Counts>::new();
    for (name, counts) in counts.into_iter().flatten() {
        *total.entry(name).or_default() += counts;
    }
    for (name, Counts { accepted, refused, slowest }) in total {
        println!("{name:10} {accepted:7} accepted {refused:7} refused, at most {} ms", slowest.as_millis());
    }
    println!("{failures} failures");
    Ok(failures)
}

struct Fuzz<'a> {
    arguments: &'a Arguments,
    target: Option<String>,
    seeds: Seeds,
}

/// What one thread has.
struct Worker<'a> {
    tools: Tools<'a>,
    /// How many cases the context has met.
    met: usize,
    counts: BTreeMap<&'static str, Counts>,
}

/// What became of a target's cases.
#[derive(Clone, Copy, Default)]
struct Counts {
    accepted: u64,
    refused: u64,
    slowest: Duration,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.slowest = self.slowest.max(other.slowest);
    }
}

impl Fuzz<'_> {
    fn input(&self, case: u64) -> (&'static Target, Vec<u8>) {
        let target = Target::of(case);
        let mut rng = Rng::with_seed(self.arguments.seed_of(case));
        (target, target.input(&self.seeds, &mut rng))
    }
}

impl<'a> Cases for &'a Fuzz<'_> {
    type Worker = Worker<'a>;
    type Counts = BTreeMap<&'static str, Counts>;

    fn worker(&self, thread: usize) -> Result<Worker<'a>, String> {
        let file = self.arguments.keep.join(format!("input-{thread}"));
        let tools = Tools { seeds: &self.seeds, context: MlirContext::new(), file };
        Ok(Worker { tools, met: 0, counts: BTreeMap::new() })
    }

    fn wants(&self, case: u64) -> bool {
        self.target.as_ref().is_none_or(|name| Target::of(case).name == name)
    }

    fn run(&self, worker: &mut Worker<'a>, case: u64) -> Result<(), String> {
        worker.met += 1;
        if worker.met.is_multiple_of(CONTEXT) {
            worker.tools.context = MlirContext::new();
        }
        let (target, input) = self.input(case);
        let began = Instant::now();
        let accepted = target.run(&worker.tools, &input);
        let counts = worker.counts.entry(target.name).or_default();
        counts.slowest = counts.slowest.max(began.elapsed());
        match accepted {
            Ok(true) => counts.accepted += 1,
            Ok(false) => counts.refused += 1,
            Err(problem) => return Err(format!("{}: {problem}", target.name)),
        }
        Ok(())
    }

    fn counts(&self, worker: Worker<'a>) -> Self::Counts {
        let _ = std::fs::remove_file(&worker.tools.file);
        worker.counts
    }

    fn keep(&self, case: u64) {
        let (target, input) = self.input(case);
        self.arguments.keep(target.name, case, &input);
    }
}
