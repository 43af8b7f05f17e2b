//! Tests of the pool: every tile once, barriers between steps, sharing, sleeping.

use super::{Pool, Step};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Runs `steps` and checks that each tile ran once, after all tiles of the steps before.
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
    let count = AtomicU64::new(0);
    let mut finished = Vec::new();
    let body = |step: usize, participant: usize, begin: i64, end: i64| {
        assert!(participant < pool.threads() && begin < end);
        assert!(count.load(Ordering::Relaxed) >= firsts[step] as u64, "a step began before the last ended");
        for tile in begin..end {
            ran[(firsts[step] + tile) as usize].fetch_add(1, Ordering::Relaxed);
        }
        count.fetch_add((end - begin) as u64, Ordering::Relaxed);
    };
    pool.run(steps, &body, &mut |step| finished.push(step));
    assert!(ran.iter().all(|ran| ran.load(Ordering::Relaxed) == 1));
    assert_eq!(finished, (0..steps.len()).collect::<Vec<_>>());
}

fn step(tiles: i64, grain: i64) -> Step {
    Step { tiles, grain }
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
fn callers_share_a_pool() {
    let pool = Pool::new(2).expect("threads");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..200).for_each(|i| check(&pool, &[step(i, 1), step(64, 2)])));
        }
    });
}

/// Not a check but a figure, of work that is empty and of work that takes 5 us on each of two threads:
/// `cargo test --release -p mlcc-runtime fork_join -- --ignored --nocapture`.
#[test]
#[ignore = "measures; run it on an idle machine"]
#[expect(clippy::print_stderr, reason = "its output is what it is for")]
fn fork_join_latency() {
    let pool = Pool::new(2).expect("threads");
    for work in [Duration::ZERO, Duration::from_micros(5)] {
        let body = |_: usize, _: usize, begin: i64, end: i64| {
            let began = Instant::now();
            while began.elapsed() < work * (end - begin) as u32 {
                std::hint::spin_loop();
            }
        };
        let mut times: Vec<u64> = (0..20_000)
            .map(|_| {
                let began = Instant::now();
                pool.run(&[step(2, 1)], &body, &mut |_| {});
                (began.elapsed() - work).as_nanos() as u64
            })
            .collect();
        times.sort_unstable();
        eprintln!("fork-join beside {work:?}: median {} ns, p99 {} ns", times[10_000], times[19_800]);
    }
}
