//! Feeds damaged texts and models to the parsers:
//! `fuzz [--cases N] [--seed N] [--target NAME] [--case N] [--keep FOLDER]`.
//!
//! Each case is one input for one parser, mutated from a valid one by the seed and the case's number alone.
//! Whatever it holds, the parser returns a value or an error within seconds and without a panic, and a
//! value survives printing and reading. Panics are counted where they happen, also those that the compiler
//! would catch and report. The folder keeps the number of the case that each thread is at, for whoever
//! finds that this program crashed, and the inputs that failed.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program that talks")]

mod models;
mod mutate;
mod seeds;
mod targets;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use mlcc_mlir::MlirContext;
use seeds::Seeds;
use targets::{TARGETS, Target, Tools};

/// A case that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(10);
/// So many failures are shown.
const SHOWN: usize = 20;
/// So many cases share a context, which keeps every name and type that it has met.
const CONTEXT: usize = 1000;

struct Arguments {
    cases: u64,
    seed: u64,
    target: Option<String>,
    case: Option<u64>,
    keep: PathBuf,
}

/// What became of a target's cases.
#[derive(Clone, Copy, Default)]
struct Counts {
    accepted: u64,
    refused: u64,
    slowest: Duration,
}

/// What a thread is at: its case, and when it began, in milliseconds since the start; 0 where it has none.
#[derive(Default)]
struct At {
    case: AtomicU64,
    since: AtomicU64,
}

thread_local! {
    /// The first panic of this thread's case.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments =
        Arguments { cases: 100_000, seed: 1, target: None, case: None, keep: "build/fuzz".into() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or("an option without its value")?;
        match word.as_str() {
            "--cases" => arguments.cases = value.parse()?,
            "--seed" => arguments.seed = value.parse()?,
            "--target" => arguments.target = Some(value),
            "--case" => arguments.case = Some(value.parse()?),
            "--keep" => arguments.keep = value.into(),
            _ => return Err(format!("there is no option {word}").into()),
        }
    }
    let is_known = |name: &String| TARGETS.iter().any(|target| target.name == name);
    if arguments.target.as_ref().is_some_and(|name| !is_known(name)) {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        return Err(format!("the targets are {}", names.join(", ")).into());
    }
    Ok(arguments)
}

fn run() -> Result<bool, Box<dyn Error>> {
    let arguments = arguments()?;
    let seeds = Seeds::read()?;
    std::fs::create_dir_all(&arguments.keep)?;
    let marker = File::create(arguments.keep.join("marker"))?;
    std::panic::set_hook(Box::new(|panic| {
        PANIC.with_borrow_mut(|first| {
            first.get_or_insert_with(|| panic.to_string());
        });
    }));
    let threads = match arguments.case {
        Some(_) => 1,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let start = Instant::now();
    let fuzz = Fuzz { arguments: &arguments, seeds: &seeds, marker: &marker, start, threads: threads as u64 };
    // Mutations of what is refused anyway would test little.
    let file = arguments.keep.join("seed");
    for target in TARGETS {
        let (accepted, all) = target.check_seeds(&fuzz.tools(&file))?;
        println!("{:10} {accepted:7} of {all} seeds are accepted", target.name);
    }
    let _ = std::fs::remove_file(&file);
    let at: Vec<At> = (0..threads).map(|_| At::default()).collect();
    let total = Mutex::new((BTreeMap::<&str, Counts>::new(), Vec::new()));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (fuzz, at, total) = (&fuzz, &at[thread], &total);
                scope.spawn(move || {
                    let (counts, failures) = fuzz.work(thread as u64, at);
                    let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                    for (name, one) in counts {
                        *total.0.entry(name).or_default() += one;
                    }
                    total.1.extend(failures);
                })
            })
            .collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            at.iter().for_each(|at| fuzz.watch(at));
        }
    });
    let (counts, failures) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(report(&arguments, &counts, failures))
}

struct Fuzz<'a> {
    arguments: &'a Arguments,
    seeds: &'a Seeds,
    marker: &'a File,
    start: Instant,
    threads: u64,
}

impl Fuzz<'_> {
    /// One thread's cases: what became of them, and which failed.
    fn work(&self, thread: u64, at: &At) -> (BTreeMap<&'static str, Counts>, Vec<(u64, String)>) {
        let (mut counts, mut failures) = (BTreeMap::<_, Counts>::new(), Vec::new());
        let file = self.arguments.keep.join(format!("input-{thread}"));
        let cases = match self.arguments.case {
            Some(case) => case..case + 1,
            None => 0..self.arguments.cases,
        };
        let wanted = |case: &u64| {
            let target = self.arguments.target.as_deref();
            (self.threads == 1 || case % self.threads == thread)
                && target.is_none_or(|name| Target::of(*case).name == name)
        };
        let mut tools = self.tools(&file);
        for (i, case) in cases.filter(wanted).enumerate() {
            if i % CONTEXT == CONTEXT - 1 {
                tools = self.tools(&file);
            }
            // Without it a crash is harder to find, and nothing else.
            let _ = self.marker.write_at(&case.to_le_bytes(), thread * 8);
            let (target, input) = self.input(case);
            if self.arguments.case.is_some() {
                self.keep(case, target, &input);
            }
            at.case.store(case, Ordering::Relaxed);
            let began = Instant::now();
            at.since.store((self.start.elapsed().as_millis() as u64).max(1), Ordering::Release);
            let outcome = catch_unwind(AssertUnwindSafe(|| target.run(&tools, &input)));
            at.since.store(0, Ordering::Release);
            let counts = counts.entry(target.name).or_default();
            counts.slowest = counts.slowest.max(began.elapsed());
            // Also one that was caught on the way is a mistake.
            let panic = PANIC.with_borrow_mut(Option::take);
            let problem = match (panic, outcome) {
                (Some(panic), _) => panic,
                (None, Ok(Err(problem))) => problem,
                (None, Ok(Ok(accepted))) => {
                    *if accepted { &mut counts.accepted } else { &mut counts.refused } += 1;
                    continue;
                }
                (None, Err(_)) => "a panic without a message".to_owned(),
            };
            self.keep(case, target, &input);
            failures.push((case, format!("{}: {problem}", target.name)));
        }
        let _ = std::fs::remove_file(&file);
        (counts, failures)
    }

    fn tools<'a>(&'a self, file: &'a std::path::Path) -> Tools<'a> {
        Tools { seeds: self.seeds, context: MlirContext::new(), file }
    }

    fn input(&self, case: u64) -> (&'static Target, Vec<u8>) {
        let target = Target::of(case);
        let seed = self.arguments.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(case);
        (target, target.input(self.seeds, &mut Rng::with_seed(seed)))
    }

    /// Keeps an input where one can look at it.
    fn keep(&self, case: u64, target: &Target, input: &[u8]) {
        let name = format!("{}-{}-{case}", target.name, self.arguments.seed);
        if let Err(error) = std::fs::write(self.arguments.keep.join(name), input) {
            eprintln!("note: cannot keep the input of case {case}: {error}");
        }
    }

    /// Ends the process where a thread hangs, since nothing else ends a thread.
    fn watch(&self, at: &At) {
        let since = at.since.load(Ordering::Acquire);
        let now = self.start.elapsed().as_millis() as u64;
        if since > 0 && now.saturating_sub(since) > LIMIT.as_millis() as u64 {
            let case = at.case.load(Ordering::Relaxed);
            let (target, input) = self.input(case);
            self.keep(case, target, &input);
            let (name, seed) = (target.name, self.arguments.seed);
            println!("case {case} (seed {seed}): {name}: takes more than {} s", LIMIT.as_secs());
            std::process::exit(1);
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.slowest = self.slowest.max(other.slowest);
    }
}

fn report(arguments: &Arguments, counts: &BTreeMap<&str, Counts>, mut failures: Vec<(u64, String)>) -> bool {
    failures.sort();
    for (case, why) in failures.iter().take(SHOWN) {
        println!("case {case} (seed {}): {why}", arguments.seed);
    }
    for (name, Counts { accepted, refused, slowest }) in counts {
        println!("{name:10} {accepted:7} accepted {refused:7} refused, at most {} ms", slowest.as_millis());
    }
    println!("{} failures", failures.len());
    failures.is_empty()
}
