//! A fork-join pool of threads.
//!
//! Kernels are short, so a fork must cost less than a microsecond, and the way from one kernel to the
//! next much less. So threads wait for work by spinning for a bounded time and only then sleep. A
//! fork publishes a *job* of many *steps*, and the threads go through the steps together. A step
//! waits for all steps before it, or, if it is independent of the steps since the last waiting one,
//! for none of those. Threads that find no tile left go on to such a step while the others finish
//! theirs. Consecutive steps that are not worth sharing are executed by one thread without a break.
//! [`share`] decides how tiles are shared out, [`gate`] how threads come to a job and sleep between
//! jobs.
//!
//! The barrier counts finished tiles, not threads: a thread that comes late, or was asleep, delays no
//! other thread, because the others take its tiles.

mod gate;
mod share;
mod sync;
#[cfg(not(all(test, loom)))]
mod thread;

use crate::{Error, threads};
use gate::Gate;
use share::Share;
use std::time::Duration;
use sync::{Arc, Thread};

/// The time that a worker spins before it sleeps, unless the caller sets another.
const SPIN: Duration = Duration::from_micros(200);
/// The most threads of a pool; a machine with more CPUs may have one thread for each. A greater
/// number is a mistake: it takes the system's threads and memory and makes nothing faster.
const MOST_THREADS: usize = 1024;

/// Tiles `0..tiles`, of which no thread takes fewer than `grain` at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) tiles: i64,
    pub(crate) grain: i64,
    /// Whether all steps before this one must have ended. If not, the steps since the last waiting
    /// one need not have ended.
    pub(crate) waits: bool,
}

/// The function that executes tiles: `(step, participant, begin, end)`.
pub(crate) type Body<'a> = dyn Fn(usize, usize, i64, i64) + Sync + 'a;

/// A pool of threads, which models may share.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<Thread>,
}

/// Two cache lines, because the prefetcher fetches pairs of lines.
#[repr(align(128))]
#[derive(Default)]
struct Padded<T>(T);

struct Shared {
    gate: Gate,
    share: Share,
}

impl Pool {
    /// A pool of this many threads, the caller of a run among them; 0 means
    /// [`crate::default_threads`].
    ///
    /// # Errors
    /// If `threads` is more than is reasonable (1024, or the CPUs that the process may use) or more
    /// than the system starts, or if the environment does not name a valid number of threads.
    pub fn new(threads: usize) -> Result<Pool, Error> {
        Pool::with_spin(threads, SPIN)
    }

    /// As [`Pool::new`], with the time that idle threads spin before they sleep. Threads beyond the
    /// CPUs that the process may use never spin, because they would take time from working threads.
    ///
    /// # Errors
    /// As [`Pool::new`].
    pub fn with_spin(threads: usize, spin: Duration) -> Result<Pool, Error> {
        let cpus = threads::cpus();
        let threads = if threads == 0 { threads::default_threads()? } else { threads };
        let most = MOST_THREADS.max(cpus);
        if threads > most {
            return Err(Error::Threads { threads, most, cpus });
        }
        let spin = if threads > cpus { Duration::ZERO } else { spin };
        let shared = Arc::new(Shared { gate: Gate::new(threads - 1, spin), share: Share::new(threads) });
        let mut pool = Pool { shared, workers: Vec::with_capacity(threads - 1) };
        for worker in 0..threads - 1 {
            let shared = Arc::clone(&pool.shared);
            let name = format!("mlcc-{}", worker + 1);
            let thread = Thread::start(&name, move || shared.work(worker));
            // Dropping the pool ends the threads that were started before.
            pool.workers.push(thread.map_err(|source| Error::Thread {
                started: worker + 1,
                threads,
                source,
            })?);
        }
        Ok(pool)
    }

    /// The number of threads, the caller of a run among them.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// A fork and join without work, to measure its cost.
    pub fn fork_nothing(&self) {
        let tiles = self.threads() as i64;
        self.run(&[Step { tiles, grain: 1, waits: true }], &|_, _, _, _| {});
    }

    /// Executes the steps. The tiles of each step run in any order on any of the threads; a step that
    /// waits runs after all steps before it. If another run holds the threads, the caller works
    /// alone.
    ///
    /// The body must not unwind: the process aborts if it does.
    pub(crate) fn run(&self, steps: &[Step], body: &Body<'_>) {
        let is_shared = !self.workers.is_empty()
            && steps.iter().enumerate().any(|(i, step)| step.is_shared() || i > 0 && !step.waits);
        let Some(mut caller) = is_shared.then(|| self.shared.gate.caller()).flatten() else {
            for (i, step) in steps.iter().enumerate() {
                if step.tiles > 0 {
                    body(i, 0, 0, step.tiles);
                }
            }
            return;
        };
        let share = &self.shared.share;
        for (i, steps) in steps.chunks(Share::MAX_STEPS).enumerate() {
            let first = i * Share::MAX_STEPS;
            let body = |step: usize, participant: usize, begin: i64, end: i64| {
                body(first + step, participant, begin, end);
            };
            share.begin(steps.len());
            caller.admit(steps, &body, || {
                let all = share.participate(steps, &body, 0);
                wait_until(|| share.finished(all));
            });
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.gate.stop();
        for worker in self.workers.drain(..) {
            worker.join();
        }
    }
}

impl Step {
    /// Whether more than one thread may take part.
    fn is_shared(&self) -> bool {
        self.tiles > self.grain.max(1)
    }
}

impl Shared {
    fn work(&self, worker: usize) {
        self.gate.work(worker, |steps, body| {
            self.share.participate(steps, body, worker + 1);
        });
    }
}

/// Spins, and yields to other processes if the wait is long.
fn wait_until(condition: impl Fn() -> bool) {
    let mut spins = 0u32;
    while !condition() {
        spins += 1;
        match spins > sync::SPINS {
            true => sync::yield_now(),
            false => sync::spin(),
        }
    }
}

/// Ends the process if a panic drops it. Otherwise the other threads would wait forever for tiles
/// that are never finished.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
