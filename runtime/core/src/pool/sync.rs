//! The primitives of the pool: those of the standard library and the system, or `loom`'s.
//!
//! `cargo xtask loom` checks the pool's protocol under `cfg(loom)`: [`models`](super::models) run it in
//! every order of its operations that the memory model allows, up to a number of preemptions. `loom`
//! treats a `SeqCst` access as `AcqRel`, so the pool's total orders are fences.

#[cfg(all(test, loom))]
pub(super) use model::*;
#[cfg(not(all(test, loom)))]
pub(super) use system::*;

#[cfg(not(all(test, loom)))]
mod system {
    pub(in super::super) use super::super::thread::Thread;
    pub(in super::super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub(in super::super) use std::sync::{Arc, Condvar, Mutex, PoisonError};
    use std::time::{Duration, Instant};

    /// Number of looks of an idle thread before it reads the clock.
    pub(in super::super) const LOOKS: u32 = 64;
    /// Number of looks of a thread that waits for another before it leaves the CPU to others.
    pub(in super::super) const SPINS: u32 = 4096;

    /// A shared cell with the interface of `loom`'s cell.
    pub(in super::super) struct Cell<T>(std::cell::UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(in super::super) fn new(value: T) -> Cell<T> {
            Cell(std::cell::UnsafeCell::new(value))
        }

        /// Calls `read` with a pointer that is valid while nobody is in [`with_mut`](Self::with_mut).
        pub(in super::super) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
            read(self.0.get())
        }

        /// Calls `write` with a pointer that may be written while nobody else uses the cell.
        pub(in super::super) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }

    /// Fences of one total order.
    pub(in super::super) struct Fence;

    impl Fence {
        pub(in super::super) fn new() -> Fence {
            Fence
        }

        pub(in super::super) fn pass(&self) {
            std::sync::atomic::fence(Ordering::SeqCst);
        }
    }

    /// The time that a thread spins before it sleeps.
    pub(in super::super) struct Patience {
        began: Instant,
        limit: Duration,
    }

    impl Patience {
        pub(in super::super) fn new(limit: Duration) -> Patience {
            Patience { began: Instant::now(), limit }
        }

        pub(in super::super) fn is_over(&self) -> bool {
            self.began.elapsed() > self.limit
        }
    }

    /// The action of a thread between two looks at its condition.
    pub(in super::super) fn spin() {
        std::hint::spin_loop();
    }

    /// As [`spin`], for a long wait: leaves the CPU to others.
    pub(in super::super) fn yield_now() {
        std::thread::yield_now();
    }
}

#[cfg(all(test, loom))]
mod model {
    pub(in super::super) use loom::cell::UnsafeCell as Cell;
    pub(in super::super) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub(in super::super) use loom::sync::{Arc, Condvar, Mutex};
    pub(in super::super) use loom::thread::yield_now;
    pub(in super::super) use std::sync::PoisonError;
    use std::time::Duration;

    /// One look is enough: the time that a thread spins decides which orders are likely, not which are
    /// possible.
    pub(in super::super) const LOOKS: u32 = 1;
    /// A thread that waits in a loop must yield; otherwise loom would run it forever.
    pub(in super::super) const SPINS: u32 = 0;

    /// Does nothing. After a yield loom shows the newest values, and no thread may rely on that.
    pub(in super::super) fn spin() {}

    /// The number makes loom try other threads before the fence. At the fence alone loom would not do
    /// so.
    pub(in super::super) struct Fence(AtomicUsize);

    impl Fence {
        pub(in super::super) fn new() -> Fence {
            Fence(AtomicUsize::new(0))
        }

        pub(in super::super) fn pass(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            loom::sync::atomic::fence(Ordering::SeqCst);
        }
    }

    pub(in super::super) struct Patience;

    impl Patience {
        pub(in super::super) fn new(_: Duration) -> Patience {
            Patience
        }

        pub(in super::super) fn is_over(&self) -> bool {
            true
        }
    }

    pub(in super::super) struct Thread(loom::thread::JoinHandle<()>);

    impl Thread {
        pub(in super::super) fn start(
            _: &str,
            body: impl FnOnce() + Send + 'static,
        ) -> std::io::Result<Thread> {
            Ok(Thread(loom::thread::spawn(body)))
        }

        pub(in super::super) fn join(self) {
            self.0.join().expect("a thread of the model ends");
        }
    }
}
