//! The gate through which threads enter a job, and where they sleep between jobs.
//!
//! An even value means closed; an odd one means open for the job of that number. A worker enters by writing the
//! number to its slot and then reading the gate again; the caller leaves by closing the gate and then reading
//! the slots. Each side has a fence of one total order (`SeqCst`) between its two accesses. So either the
//! worker sees the gate closed and turns back, or the caller sees the worker and waits for it. Hence no thread
//! looks at a job after its call returned. A worker on its way to sleep and a caller that opens the gate meet
//! in the same way: either the worker sees the gate open, or the caller sees that there is a worker to wake.

use super::sync::{
    AtomicBool, AtomicU64, AtomicUsize, Cell, Condvar, Fence, LOOKS, Mutex, Ordering, Patience, PoisonError,
    spin,
};
use super::{AbortOnUnwind, Body, Padded, Step, wait_until};
use std::time::Duration;

/// A gate for one caller at a time and a fixed number of workers.
pub(super) struct Gate {
    value: Padded<AtomicU64>,
    /// For each worker, the job in which it is, or 0.
    slots: Box<[Padded<AtomicU64>]>,
    /// Separates a thread's own announcement from its look at the others.
    fence: Fence,
    job: Cell<Job>,
    /// Whether a caller has the workers.
    busy: AtomicBool,
    sleepers: Padded<AtomicUsize>,
    stop: AtomicBool,
    sleep: Mutex<()>,
    wake: Condvar,
    spin: Duration,
}

/// The job of an open gate; its pointers are valid until the gate is closed, and no longer.
struct Job {
    body: *const Body<'static>,
    steps: *const [Step],
}

// SAFETY: all fields but `job` are Sync. `job` is written by the one caller that holds `busy` while
// the gate is closed and no worker is inside, and read by workers that entered through the gate; the
// gate orders the two (see the module's documentation).
unsafe impl Sync for Gate {}
// SAFETY: all fields but `job` are Send. The pointers in `job` are to `Sync` data and are only used
// while a call keeps it alive.
unsafe impl Send for Gate {}

/// The right to open the gate, for one caller at a time.
pub(super) struct Caller<'a>(&'a Gate);

impl Gate {
    /// A closed gate. Threads that find it closed spin for a time before they sleep.
    pub(super) fn new(workers: usize, spin: Duration) -> Gate {
        Gate {
            value: Padded::default(),
            slots: (0..workers).map(|_| Padded::default()).collect(),
            fence: Fence::new(),
            job: Cell::new(Job { body: &|_, _, _, _| {}, steps: &[] }),
            busy: AtomicBool::new(false),
            sleepers: Padded::default(),
            stop: AtomicBool::new(false),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            spin,
        }
    }

    /// The right to open the gate, unless another caller has it.
    pub(super) fn caller(&self) -> Option<Caller<'_>> {
        // Acquire, because of the previous caller's writes. A caller is made only if the swap succeeds: its
        // drop gives the right back.
        (!self.busy.swap(true, Ordering::Acquire)).then(|| Caller(self))
    }

    /// Lets a worker into one job after the other, until the pool ends. Each number belongs to one thread.
    pub(super) fn work(&self, worker: usize, inside: impl Fn(&[Step], &Body<'_>)) {
        let slot = &self.slots[worker].0;
        let mut last = 0;
        while let Some(number) = self.next_job(last) {
            last = number;
            slot.store(number, Ordering::Relaxed);
            // The fence also acquires the writes that were released when the gate opened, as `next_job` saw.
            self.fence.pass();
            if self.value.0.load(Ordering::Relaxed) == number {
                self.job.with(|job| {
                    // SAFETY: this worker is inside an open gate: the job was written before the gate
                    // opened, which the fence above acquired, and neither it nor what it points to
                    // changes until the caller sees this slot cleared.
                    let (body, steps) = unsafe { (&*(*job).body, &*(*job).steps) };
                    let guard = AbortOnUnwind;
                    inside(steps, body);
                    std::mem::forget(guard);
                });
            }
            // Release, because the next job is written over this one.
            slot.store(0, Ordering::Release);
        }
    }

    /// Ends [`work`](Self::work) on all threads, as soon as they are in no job.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake_all();
    }

    /// Waits for the gate to open for another job than the last; none if the pool ends.
    fn next_job(&self, last: u64) -> Option<u64> {
        loop {
            let patience = Patience::new(self.spin);
            let mut closed = last;
            loop {
                for _ in 0..LOOKS {
                    // Relaxed, because a worker looks again before it enters.
                    let gate = self.value.0.load(Ordering::Relaxed);
                    if gate % 2 == 1 && gate != last {
                        return Some(gate);
                    }
                    closed = gate;
                    spin();
                }
                if self.stop.load(Ordering::Relaxed) {
                    return None;
                }
                if patience.is_over() {
                    break;
                }
            }
            self.sleepers.0.fetch_add(1, Ordering::Relaxed);
            self.fence.pass();
            let mut guard = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
            // Once woken the worker spins again, even if the job is over already: work tends to come in bursts,
            // and the next job is near.
            while self.value.0.load(Ordering::Relaxed) == closed && !self.stop.load(Ordering::Relaxed) {
                guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            drop(guard);
            self.sleepers.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Wakes all sleeping threads, and all threads that looked before the caller's last store and are about to
    /// sleep.
    fn wake_all(&self) {
        // A worker looks and falls asleep under the lock, so each worker has done both or neither.
        drop(self.sleep.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_all();
    }
}

impl Caller<'_> {
    /// Opens the gate for a job while `own` runs. `own` is the caller's part of the job, and must only return
    /// when all work is done. After this function no worker is inside.
    pub(super) fn admit(&mut self, steps: &[Step], body: &Body<'_>, own: impl FnOnce()) {
        let gate = self.0;
        // If the gate stayed open, workers would use a job that no longer exists.
        let guard = AbortOnUnwind;
        gate.job.with_mut(|job| {
            // SAFETY: the lifetime that is erased here ends after this function, which leaves no
            // worker inside.
            let body = unsafe { std::mem::transmute::<*const Body<'_>, *const Body<'static>>(body) };
            // SAFETY: this is the one caller, the gate is closed and no worker is inside, so nobody
            // else looks at the job.
            unsafe { *job = Job { body, steps } };
        });
        let number = gate.value.0.load(Ordering::Relaxed) + 1;
        // Release, because of the job and the caller's earlier writes.
        gate.value.0.store(number, Ordering::Release);
        gate.fence.pass();
        if gate.sleepers.0.load(Ordering::Relaxed) > 0 {
            gate.wake_all();
        }
        own();
        gate.value.0.store(number + 1, Ordering::Relaxed);
        gate.fence.pass();
        for slot in &gate.slots {
            wait_until(|| slot.0.load(Ordering::Acquire) != number);
        }
        std::mem::forget(guard);
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}
