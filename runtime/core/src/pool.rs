//! A fork-join pool of threads.
//!
//! Kernels are short, so a fork must cost less than a microsecond and what lies between two kernels
//! much less: threads wait for work by spinning for a bounded time and only then sleep, and a fork
//! publishes a *job* of many *steps*, which the threads go through together. A step waits for all
//! before it, or, where it is independent of them, for none since the last that waited: threads that
//! find no tile left go on to it while the others finish theirs. Steps that are not worth sharing
//! and follow each other are executed by one thread at a stretch. How tiles are shared out is
//! [`share`]'s matter.
//!
//! The barrier counts finished tiles, not threads: a thread that comes late, or was asleep, delays
//! nobody, for its tiles are taken by the others.
//!
//! **Gate.** An even value is closed, an odd one is open for the job of that number. A worker enters
//! by writing the number to its slot and then reading the gate again; the caller leaves by closing
//! the gate and then reading the slots. Both in one total order (`SeqCst`), so either the worker
//! sees the gate closed and turns back, or the caller sees the worker and waits for it. Hence
//! nobody looks at a job after its `run` returned.

mod share;
mod thread;

use crate::{Error, threads};
use share::{Share, Unit};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use thread::Thread;

/// How long a worker spins before it sleeps, where the caller does not say.
const SPIN: Duration = Duration::from_micros(200);
/// A pool may have so many threads, or one for each CPU where there are more. A greater number is a
/// mistake: it takes the system's threads and memory and makes nothing faster.
const MOST_THREADS: usize = 1024;

/// Tiles `0..tiles`, of which no thread takes fewer than `grain` at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) tiles: i64,
    pub(crate) grain: i64,
    /// Whether all steps before must have ended; otherwise those since the last that waited need not.
    pub(crate) waits: bool,
}

/// What is executed: `(step, participant, begin, end)`.
pub(crate) type Body<'a> = dyn Fn(usize, usize, i64, i64) + Sync + 'a;

/// A pool of threads, which models may share.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<Thread>,
}

/// Two cache lines, since the prefetcher fetches pairs.
#[repr(align(128))]
#[derive(Default)]
struct Padded<T>(T);

/// The job of an open gate; its pointers outlive the gate's closing and no more.
struct Job {
    body: *const Body<'static>,
    steps: *const [Step],
}

struct Shared {
    gate: Padded<AtomicU64>,
    /// For each worker the job that it is in, or 0.
    slots: Box<[Padded<AtomicU64>]>,
    share: Share,
    job: UnsafeCell<Job>,
    sleepers: Padded<AtomicUsize>,
    busy: AtomicBool,
    stop: AtomicBool,
    sleep: Mutex<()>,
    wake: Condvar,
    spin: Duration,
}

// SAFETY: all fields but `job` are Sync. `job` is written by the one caller that holds `busy` while
// the gate is closed and no worker is inside, and read by workers that entered through the gate; the
// gate orders the two (see the module's documentation).
unsafe impl Sync for Shared {}
// SAFETY: the pointers in `job` are to `Sync` data and are only used while a `run` keeps it alive.
unsafe impl Send for Shared {}

impl Pool {
    /// A pool of this many threads, the caller of a run among them; 0 means
    /// [`crate::default_threads`].
    ///
    /// # Errors
    /// More threads than are reasonable (1024, or the CPUs that the process may use), or than the
    /// system starts, or
    /// the environment names no number of them.
    pub fn new(threads: usize) -> Result<Pool, Error> {
        Pool::with_spin(threads, SPIN)
    }

    /// As [`Pool::new`], with the time that idle threads spin before they sleep. Threads beyond the
    /// CPUs that the process may use never spin: that would take the time of those that work.
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
        let shared = Arc::new(Shared {
            gate: Padded::default(),
            slots: (1..threads).map(|_| Padded::default()).collect(),
            share: Share::new(threads),
            job: UnsafeCell::new(Job { body: &|_, _, _, _| {}, steps: &[] }),
            sleepers: Padded::default(),
            busy: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            spin: if threads > cpus { Duration::ZERO } else { spin },
        });
        let mut pool = Pool { shared, workers: Vec::with_capacity(threads - 1) };
        for worker in 0..threads - 1 {
            let shared = Arc::clone(&pool.shared);
            let name = format!("mlcc-{}", worker + 1);
            let thread = Thread::start(&name, move || shared.work(worker));
            // The drop of the pool ends the threads before it.
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

    /// A fork and join without work, for those who want to know what it costs.
    pub fn fork_nothing(&self) {
        let tiles = self.threads() as i64;
        self.run(&[Step { tiles, grain: 1, waits: true }], &|_, _, _, _| {});
    }

    /// Executes the steps, each one's tiles in any order on any of the threads, and one that waits
    /// after all before it. Where another run holds the threads, the caller works alone.
    ///
    /// The body must not unwind: the process aborts where it does.
    pub(crate) fn run(&self, steps: &[Step], body: &Body<'_>) {
        let alone = self.workers.is_empty()
            || !steps.iter().enumerate().any(|(i, step)| step.is_shared() || i > 0 && !step.waits)
            || self.shared.busy.swap(true, Ordering::Acquire);
        if alone {
            for (i, step) in steps.iter().enumerate() {
                if step.tiles > 0 {
                    body(i, 0, 0, step.tiles);
                }
            }
            return;
        }
        let guard = AbortOnUnwind;
        for (i, steps) in steps.chunks(Share::MAX_STEPS).enumerate() {
            let first = i * Share::MAX_STEPS;
            let body = |step: usize, participant: usize, begin: i64, end: i64| {
                body(first + step, participant, begin, end);
            };
            self.shared.fork(steps, &body);
        }
        std::mem::forget(guard);
        self.shared.busy.store(false, Ordering::Release);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // The lock makes sure that a worker on its way to sleep is asleep when it is woken.
        drop(self.shared.sleep.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.wake.notify_all();
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
    /// Executes up to [`Share::MAX_STEPS`] steps on all threads. The caller holds `busy`.
    fn fork(&self, steps: &[Step], body: &Body<'_>) {
        self.share.begin(steps.len());
        // SAFETY: the gate is closed and no worker is inside, so nobody else looks at the job; the
        // lifetimes that are erased here end after this function, which leaves no worker inside.
        unsafe {
            let body = std::mem::transmute::<*const Body<'_>, *const Body<'static>>(body);
            *self.job.get() = Job { body, steps };
        }
        let number = self.gate.0.load(Ordering::Relaxed) + 1;
        self.gate.0.store(number, Ordering::SeqCst);
        if self.sleepers.0.load(Ordering::SeqCst) > 0 {
            drop(self.sleep.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_all();
        }
        let all = self.participate(steps, body, 0);
        wait_until(|| self.share.finished(all));
        self.gate.0.store(number + 1, Ordering::SeqCst);
        for slot in &self.slots {
            wait_until(|| slot.0.load(Ordering::SeqCst) != number);
        }
    }

    /// Goes through the steps and executes what tiles there are to take. Returns how many tiles must
    /// be finished for the job to be.
    fn participate(&self, steps: &[Step], body: &Body<'_>, participant: usize) -> u64 {
        let mut before = 0;
        // Finished here and not yet known to the others.
        let mut finished = 0;
        // One who comes late passes what is over without looking for tiles.
        let mut late = participant != 0;
        let mut at = 0;
        while at < steps.len() {
            let unit = Unit::at(steps, at);
            if steps[at].waits && at > 0 {
                self.share.add_finished(std::mem::take(&mut finished));
                wait_until(|| self.share.finished(before));
            }
            late = late && self.share.finished(before + unit.tiles);
            if !late {
                self.share.take_all(&unit, participant, &mut |begin, end| {
                    if unit.whole {
                        for (i, step) in steps.iter().enumerate().skip(at).take(unit.steps) {
                            if step.tiles > 0 {
                                body(i, participant, 0, step.tiles);
                            }
                        }
                    } else {
                        body(at, participant, begin, end);
                    }
                    finished += (end - begin) as u64;
                });
            }
            before += unit.tiles;
            at += unit.steps;
        }
        self.share.add_finished(finished);
        before
    }

    fn work(&self, worker: usize) {
        let slot = &self.slots[worker].0;
        let mut last = 0;
        while let Some(number) = self.next_job(last) {
            last = number;
            slot.store(number, Ordering::SeqCst);
            if self.gate.0.load(Ordering::SeqCst) == number {
                // SAFETY: this worker is inside an open gate: the job was written before the gate
                // opened, and what it points to lives until the caller saw this slot cleared.
                let (body, steps) = unsafe {
                    let job = &*self.job.get();
                    (&*job.body, &*job.steps)
                };
                let guard = AbortOnUnwind;
                self.participate(steps, body, worker + 1);
                std::mem::forget(guard);
            }
            slot.store(0, Ordering::Release);
        }
    }

    /// Waits for the gate to open for another job than the last; none where the pool ends.
    fn next_job(&self, last: u64) -> Option<u64> {
        loop {
            let began = Instant::now();
            let mut closed = last;
            loop {
                for _ in 0..64 {
                    let gate = self.gate.0.load(Ordering::Acquire);
                    if gate % 2 == 1 && gate != last {
                        return Some(gate);
                    }
                    closed = gate;
                    std::hint::spin_loop();
                }
                if self.stop.load(Ordering::Relaxed) {
                    return None;
                }
                if began.elapsed() > self.spin {
                    break;
                }
            }
            self.sleepers.0.fetch_add(1, Ordering::SeqCst);
            let mut guard = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
            // Once woken it spins again, also where the job is over already: work tends to come in
            // bursts, and this one's next job is near.
            while self.gate.0.load(Ordering::SeqCst) == closed && !self.stop.load(Ordering::SeqCst) {
                guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            drop(guard);
            self.sleepers.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Spins, and yields to other processes where that lasts long.
fn wait_until(condition: impl Fn() -> bool) {
    let mut spins = 0u32;
    while !condition() {
        spins += 1;
        match spins > 4096 {
            true => std::thread::yield_now(),
            false => std::hint::spin_loop(),
        }
    }
}

/// Ends the process where it is dropped by a panic: the other threads would wait forever for tiles
/// that are never finished.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests;
