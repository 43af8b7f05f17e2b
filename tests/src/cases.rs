//! Programs that try numbered cases: `[--cases N] [--seed N] [--case N] [--keep FOLDER]`.
//!
//! A case is made from the seed and its number alone, so that one that failed can be tried again by itself. All cores
//! take cases. Panics are counted where they happen, also those that are caught and reported as errors on the way; a
//! case that hangs ends the program. The folder keeps the numbers of the cases that the threads are at, in its
//! file `marker`, for whoever finds that the program crashed.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what programs have in common that talk")]

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A case that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(10);
/// So many failures are shown.
const SHOWN: usize = 20;

/// What is tried.
pub trait Cases: Sync {
    /// What one thread has.
    type Worker;
    /// What a thread has counted in the end.
    type Counts: Send;

    /// What a thread begins with.
    ///
    /// # Errors
    /// If it cannot begin.
    fn worker(&self, thread: usize) -> Result<Self::Worker, String>;

    /// Whether this run is to try a case.
    fn wants(&self, _case: u64) -> bool {
        true
    }

    /// Tries a case.
    ///
    /// # Errors
    /// With what is wrong.
    fn run(&self, worker: &mut Self::Worker, case: u64) -> Result<(), String>;

    /// What a thread ends with.
    fn counts(&self, worker: Self::Worker) -> Self::Counts;

    /// Keeps the input of a case where one can look at it.
    fn keep(&self, case: u64);
}

/// What the command line says.
#[derive(Debug)]
pub struct Arguments {
    /// How many cases there are.
    pub cases: u64,
    /// What cases are made from, with their numbers.
    pub seed: u64,
    /// The only case to try.
    pub case: Option<u64>,
    /// The folder for inputs and the marker.
    pub keep: PathBuf,
}

impl Arguments {
    /// Reads the command line; `other` takes options of the program's own, with their values, or says that it has none
    /// of that name.
    ///
    /// # Errors
    /// If an option is unknown, or its value missing or wrong.
    pub fn read(
        keep: &str,
        other: &mut dyn FnMut(&str, &str) -> Result<bool, Box<dyn Error>>,
    ) -> Result<Arguments, Box<dyn Error>> {
        let mut arguments = Arguments { cases: 100_000, seed: 1, case: None, keep: keep.into() };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().ok_or("an option without its value")?;
            match word.as_str() {
                "--cases" => arguments.cases = value.parse()?,
                "--seed" => arguments.seed = value.parse()?,
                "--case" => arguments.case = Some(value.parse()?),
                "--keep" => arguments.keep = value.into(),
                _ if other(&word, &value)? => {}
                _ => return Err(format!("there is no option {word}").into()),
            }
        }
        std::fs::create_dir_all(&arguments.keep)?;
        Ok(arguments)
    }

    /// What a case's random numbers begin with.
    #[must_use]
    pub fn seed_of(&self, case: u64) -> u64 {
        self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(case)
    }

    /// Keeps the input of a case: a file of a name that says whose it is.
    pub fn keep(&self, kind: &str, case: u64, input: &[u8]) {
        let file = self.keep.join(format!("{kind}-{}-{case}", self.seed));
        if let Err(error) = std::fs::write(file, input) {
            eprintln!("note: cannot keep the input of case {case}: {error}");
        }
    }

    /// Tries the cases, prints those that failed, and returns what the threads counted and the number of failures.
    ///
    /// # Errors
    /// If a thread cannot begin, or the marker cannot be written.
    pub fn run<C: Cases>(&self, cases: &C) -> Result<(Vec<C::Counts>, usize), Box<dyn Error>> {
        let marker = File::create(self.keep.join("marker"))?;
        let threads = match self.case {
            Some(_) => 1,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        note_panics();
        let run = Run { arguments: self, cases, marker, start: Instant::now(), threads };
        let at: Vec<At> = (0..threads).map(|_| At::default()).collect();
        let done = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let spawn = |(thread, at)| {
                let (run, done) = (&run, &done);
                scope.spawn(move || {
                    let outcome = run.work(thread, at);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
                })
            };
            let workers: Vec<_> = at.iter().enumerate().map(spawn).collect();
            while workers.iter().any(|worker| !worker.is_finished()) {
                std::thread::sleep(Duration::from_millis(20));
                at.iter().for_each(|at| run.watch(at));
            }
        });
        let (mut counts, mut failures) = (Vec::new(), Vec::new());
        for outcome in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let (counted, failed) = outcome?;
            counts.push(counted);
            failures.extend(failed);
        }
        failures.sort();
        for (case, why) in failures.iter().take(SHOWN) {
            println!("case {case} (seed {}): {why}", self.seed);
        }
        Ok((counts, failures.len()))
    }
}

/// The exit code of a program that found no failures, or some, or could not begin.
#[must_use]
pub fn exit_code(outcome: Result<usize, Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

thread_local! {
    /// Whether this thread tries a case.
    static TRIES: Cell<bool> = const { Cell::new(false) };
    /// The first panic of this thread's case.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes panics of cases, and leaves others, such as those of the threads of a pool, to who prints them.
fn note_panics() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match TRIES.get() {
        true => PANIC.with_borrow_mut(|first| {
            first.get_or_insert_with(|| panic.to_string());
        }),
        false => others(panic),
    }));
}

/// What a thread is at: its case, and when it began, in milliseconds since the start; 0 where it has none.
#[derive(Default)]
struct At {
    case: AtomicU64,
    since: AtomicU64,
}

struct Run<'a, C> {
    arguments: &'a Arguments,
    cases: &'a C,
    marker: File,
    start: Instant,
    threads: usize,
}

impl<C: Cases> Run<'_, C> {
    /// One thread's cases, and which failed.
    fn work(&self, thread: usize, at: &At) -> Result<(C::Counts, Vec<(u64, String)>), String> {
        let mut worker = self.cases.worker(thread)?;
        let mut failures = Vec::new();
        let all = match self.arguments.case {
            Some(case) => case..case.saturating_add(1),
            None => 0..self.arguments.cases,
        };
        for case in all.skip(thread).step_by(self.threads).filter(|case| self.cases.wants(*case)) {
            // Without it a crash is harder to find, and nothing else.
            let _ = self.marker.write_at(&case.to_le_bytes(), thread as u64 * 8);
            if self.arguments.case.is_some() {
                self.cases.keep(case);
            }
            at.case.store(case, Ordering::Relaxed);
            at.since.store((self.start.elapsed().as_millis() as u64).max(1), Ordering::Release);
            TRIES.set(true);
            let outcome = catch_unwind(AssertUnwindSafe(|| self.cases.run(&mut worker, case)));
            TRIES.set(false);
            at.since.store(0, Ordering::Release);
            // Also one that was caught on the way is a mistake.
            let panic = PANIC.with_borrow_mut(Option::take);
            let problem = match (panic, outcome) {
                (Some(panic), _) => panic,
                (None, Ok(Err(problem))) => problem,
                (None, Ok(Ok(()))) => continue,
                (None, Err(_)) => "a panic without a message".to_owned(),
            };
            self.cases.keep(case);
            failures.push((case, problem));
        }
        Ok((self.cases.counts(worker), failures))
    }

    /// Ends the process where a thread hangs, since nothing else ends a thread.
    fn watch(&self, at: &At) {
        let since = at.since.load(Ordering::Acquire);
        let now = self.start.elapsed().as_millis() as u64;
        if since > 0 && now.saturating_sub(since) > LIMIT.as_millis() as u64 {
            let case = at.case.load(Ordering::Relaxed);
            self.cases.keep(case);
            println!("case {case} (seed {}): takes more than {} s", self.arguments.seed, LIMIT.as_secs());
            std::process::exit(1);
        }
    }
}
