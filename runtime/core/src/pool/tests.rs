//! Tests of the pool: every tile once, barriers between steps, sharing, sleeping.

use super::{Pool, Step};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Runs `steps` and checks that each tile ran once, after all tiles of the steps that it waits for.
fn check(pool: &Pool, steps: &[Step]) {
    let total: i64 = steps.iter().map(|step| step.tiles).sum();
    let firsts: Vec<i64> = steps
        .iter()
        .scan(0, |sum, step| {
            let first = *sum;
            *sum += step.tiles;
            Some(first)
        })
        .collect();
    let ran: Vec<AtomicU32> = (0..total).map(|_| AtomicU32::new(0)).collect();
    // For each step, the tiles before the last waiting step.
    let needed: Vec<u64> = steps
        .iter()
        .zip(&firsts)
        .scan(0, |needed, (step, first)| {
            if step.waits {
                *needed = *first as u64;
            }
            Some(*needed)
        })
        .collect();
    let count = AtomicU64::new(0);
    let body = |step: usize, participant: usize, begin: i64, end: i64| {
        assert!(participant < pool.threads() && begin < end);
        assert!(count.load(Ordering::Relaxed) >= needed[step], "a step began before the last ended");
        for tile in begin..end {
            ran[(firsts[step] + tile) as usize].fetch_add(1, Ordering::Relaxed);
        }
        count.fetch_add((end - begin) as u64, Ordering::Relaxed);
    };
    pool.run(steps, &body);
    assert!(ran.iter().all(|ran| ran.load(Ordering::Relaxed) == 1));
}

fn step(tiles: i64, grain: i64) -> Step {
    Step { tiles, grain, waits: true }
}

fn independent(tiles: i64, grain: i64) -> Step {
    Step { tiles, grain, waits: false }
}

#[test]
fn each_tile_runs_once_and_steps_are_in_order() {
    for threads in [1, 2, 3, 7] {
        let pool = Pool::new(threads).expect("threads");
        check(&pool, &[]);
        check(&pool, &[step(0, 1)]);
        check(&pool, &[step(1, 1)]);
        for round in 0..300 {
            check(&pool, &[step(round % 37, 1), step(5, 1000), step(0, 1), step(100 + round, 1 + round % 9)]);
        }
        let many: Vec<Step> = (0..53).map(|i| step(i % 11, 1 + i % 3)).collect();
        check(&pool, &many);
        for round in 0..300 {
            let waits = |i: i64| (i * 7 + round) % 3 != 0;
            let of = |i| if waits(i) { step(i % 13, 1 + i % 5) } else { independent(i % 13, 1 + i % 5) };
            check(&pool, &(0..40).map(of).collect::<Vec<_>>());
        }
    }
}

#[test]
fn threads_sleep_and_wake() {
    let pool = Pool::with_spin(3, Duration::ZERO).expect("threads");
    for _ in 0..50 {
        check(&pool, &[step(97, 1), step(3, 1)]);
        std::thread::sleep(Duration::from_micros(300));
    }
}

#[test]
fn more_threads_than_reasonable_are_an_error() {
    for threads in [99_999, usize::MAX] {
        let Err(error) = Pool::new(threads) else { panic!("{threads} threads were started") };
        let text = error.to_string();
        assert!(text.starts_with(&format!("{threads} threads are beyond reason")), "{text}");
        assert!(error.hint().is_some_and(|hint| hint.starts_with("0 takes one for each CPU")), "{error:?}");
    }
}

#[test]
fn callers_share_a_pool() {
    let pool = Pool::new(2).expect("threads");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..200).for_each(|i| check(&pool, &[step(i, 1), step(64, 2)])));
        }
    });
}

#[test]
fn independent_steps_run_at_once() {
    // Each of two steps for one thread waits until the other has begun.
    let pool = Pool::with_spin(2, Duration::from_secs(1)).expect("threads");
    let begun = AtomicU32::new(0);
    let body = |_: usize, _: usize, _: i64, _: i64| {
        begun.fetch_add(1, Ordering::SeqCst);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) && begun.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    };
    pool.run(&[step(1, 1), independent(1, 1)], &body);
}

/// Not a check, but measurements: the cost of a fork and join, with empty work and with work that takes 5
/// us on each of two threads, and the cost of each further kernel of a region, shared or for one thread.
/// `cargo test --release -p mlcc-runtime fork_join -- --ignored --nocapture`.
#[test]
#[ignore = "measures; run it on an idle machine"]
#[expect(clippy::print_stderr, reason = "its output is what it is for")]
fn fork_join_latency() {
    let pool = Pool::new(2).expect("threads");
    let median = |steps: &[Step], work: Duration| {
        let body = |_: usize, _: usize, begin: i64, end: i64| {
            let began = Instant::now();
            while began.elapsed() < work * (end - begin) as u32 {
                std::hint::spin_loop();
            }
        };
        let mut times: Vec<u64> = (0..20_000)
            .map(|_| {
                let began = Instant::now();
                pool.run(steps, &body);
                (began.elapsed().saturating_sub(work * steps.len() as u32)).as_nanos() as u64
            })
            .collect();
        times.sort_unstable();
        (times[10_000], times[19_800])
    };
    for work in [Duration::ZERO, Duration::from_micros(5)] {
        let (half, most) = median(&[step(2, 1)], work);
        eprintln!("fork-join beside {work:?}: median {half} ns, p99 {most} ns");
        for (name, kernel) in [("shared", step(2, 1)), ("for one thread", step(1, 1))] {
            let mut steps = vec![kernel; 101];
            steps[0] = step(2, 1);
            let (all, _) = median(&steps, work);
            eprintln!("  each further kernel, {name}: {:.0} ns", (all as f64 - half as f64) / 100.0);
        }
    }
}
