//! The pool's protocol in every order of its operations (`cargo xtask loom`).
//!
//! `loom` runs a model again and again, each time with another interleaving of the threads and other values that
//! relaxed loads may see. It fails on a data race, a deadlock or a failed assertion. Tiles keep their results in
//! `loom`'s cells, so that a hand-over without the necessary ordering is a race. The bounds on preemptions keep
//! a model under half a minute. Each mutation of the protocol that was tried is found within one or two
//! preemptions.

use super::{Pool, Step};
use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// Checks a model in all orders with at most this number of preemptions.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 10_000;
    builder.check(model);
}

/// The results of tiles: a count for each tile, in cells that `loom` watches.
struct Results(Vec<UnsafeCell<u32>>);

// SAFETY: a cell is only used through `with` and `with_mut`, where loom panics if two threads use it
// at the same time or without an order between them.
unsafe impl Sync for Results {}

impl Results {
    fn new(tiles: usize) -> Results {
        Results((0..tiles).map(|_| UnsafeCell::new(0)).collect())
    }

    fn add(&self, tile: usize) {
        // SAFETY: loom watches that no other thread uses the cell meanwhile.
        self.0[tile].with_mut(|count| unsafe { *count += 1 });
    }

    fn get(&self, tile: usize) -> u32 {
        // SAFETY: loom watches that no other thread writes the cell meanwhile.
        self.0[tile].with(|count| unsafe { *count })
    }
}

fn step(tiles: i64) -> Step {
    Step { tiles, grain: 1, waits: true }
}

fn independent(tiles: i64) -> Step {
    Step { tiles, grain: 1, waits: false }
}

/// Runs the steps once. A step that waits reads the results of all tiles before it; the caller reads all results
/// in the end.
fn run(pool: &Pool, steps: &[Step]) {
    let first = |step: usize| steps[..step].iter().map(|one| one.tiles as usize).sum::<usize>();
    let all = Results::new(first(steps.len()));
    pool.run(steps, &|step, participant, begin, end| {
        assert!(participant < pool.threads() && begin < end);
        let waited = (1..=step).rev().find(|&one| steps[one].waits).unwrap_or(0);
        for tile in 0..first(waited) {
            assert_eq!(all.get(tile), 1, "a step began before one that it waits for had ended");
        }
        (begin..end).for_each(|tile| all.add(first(step) + tile as usize));
    });
    for tile in 0..all.0.len() {
        assert_eq!(all.get(tile), 1, "a tile runs once");
    }
}

#[test]
fn kernels_hand_over_to_the_next() {
    check(2, || run(&Pool::new(2).expect("threads"), &[step(2), step(2)]));
}

#[test]
fn jobs_follow_each_other() {
    // The worker may sleep before, between and after the runs, or come to a run that is already over.
    check(2, || {
        let pool = Pool::new(2).expect("threads");
        run(&pool, &[step(2)]);
        run(&pool, &[step(2)]);
    });
}

#[test]
fn a_pool_ends_without_work() {
    check(4, || drop(Pool::new(3).expect("threads")));
}

#[test]
fn independent_steps_are_waited_for_together() {
    check(2, || run(&Pool::new(2).expect("threads"), &[step(1), independent(1), step(2)]));
}

#[test]
fn who_sleeps_is_woken_for_work() {
    // Each step waits until the other has begun; otherwise the caller would do without the worker.
    check(3, || {
        let pool = Pool::new(2).expect("threads");
        let begun = AtomicUsize::new(0);
        pool.run(&[step(1), independent(1)], &|_, _, _, _| {
            begun.fetch_add(1, Ordering::Relaxed);
            while begun.load(Ordering::Relaxed) < 2 {
                loom::thread::yield_now();
            }
        });
    });
}

#[test]
fn steps_for_one_thread_are_one_unit() {
    check(2, || run(&Pool::new(2).expect("threads"), &[step(1), step(1), step(2)]));
}

#[test]
fn three_threads_share_tiles() {
    check(1, || run(&Pool::new(3).expect("threads"), &[step(3), step(2)]));
}

#[test]
fn two_callers_share_a_pool() {
    check(2, || {
        let pool = Arc::new(Pool::new(2).expect("threads"));
        let other = Arc::clone(&pool);
        // Twice, so that the second run meets the state that a refused run left behind.
        let caller = loom::thread::spawn(move || {
            run(&other, &[step(2)]);
            run(&other, &[step(2)]);
        });
        run(&pool, &[step(2)]);
        caller.join().expect("the other caller ends");
    });
}
