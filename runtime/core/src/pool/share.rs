//! How the tiles of a job's steps are shared out among the threads.
//!
//! The tiles of a step are partitioned statically, one range for each thread, so that a thread meets
//! the same data from step to step. A thread that is done with its range takes the rest of the
//! others' ranges. Each thread has one *cursor*: the step for which it was last used, and the next
//! tile of the range. A cursor of an earlier step stands for a whole range, a cursor of a later step
//! for an empty one. So no cursor is ever reset, and a step costs only the taking of its tiles and
//! one addition to the count of finished ones.
//!
//! A cursor of an earlier step may be read as a whole range, because a thread goes on to a step only
//! after all ranges of the step before were taken to their ends, and taken tiles never come back.

use super::sync::{AtomicU64, Ordering};
use super::{Body, Padded, Step, wait_until};

/// Bits of a cursor for the next tile; the bits above are the step's number.
const TILE_BITS: u32 = 40;
const TILE_MASK: u64 = (1 << TILE_BITS) - 1;
/// Number of steps after which the numbers begin again.
const NUMBERS: u64 = 1 << (64 - TILE_BITS);

/// The state that the threads of a job share.
pub(super) struct Share {
    /// For each participant `step number << TILE_BITS | next tile`.
    cursors: Box<[Padded<AtomicU64>]>,
    /// Tiles finished since the pool was made, of all jobs.
    finished: Padded<AtomicU64>,
    /// The value of `finished` when the job began. Written with the gate closed.
    base: AtomicU64,
    /// The number of the job's first step. Written with the gate closed.
    first: AtomicU64,
    /// The number of the first step of the next job.
    next: AtomicU64,
}

/// Steps that are shared out at once: one step, or several that one thread executes in sequence.
pub(super) struct Unit {
    /// The first step, counted from the job's first.
    first: usize,
    /// Number of steps.
    pub(super) steps: usize,
    /// Number of tiles; whole steps count as one tile.
    pub(super) tiles: u64,
    grain: u64,
    /// Whether the one tile is all tiles of all the steps.
    pub(super) whole: bool,
}

impl Unit {
    /// The unit that begins at a step. Other steps join it only if this step waits for all steps
    /// before it. A joined step also waits for all steps before it, but the unit itself has executed
    /// those.
    pub(super) fn at(steps: &[Step], at: usize) -> Unit {
        // A step with more tiles than a cursor counts is taken at once.
        let alone = |step: &Step| !step.is_shared() || step.tiles as u64 > TILE_MASK;
        let step = &steps[at];
        if !alone(step) {
            let (tiles, grain) = (step.tiles as u64, step.grain.max(1) as u64);
            return Unit { first: at, steps: 1, tiles, grain, whole: false };
        }
        let mut count = 1;
        // A step that is independent of this one is better left to another thread, so it does not
        // join.
        while (step.waits || at == 0)
            && steps.get(at + count).is_some_and(|next| next.waits && alone(next))
            && steps.get(at + count + 1).is_none_or(|after| after.waits)
        {
            count += 1;
        }
        Unit { first: at, steps: count, tiles: 1, grain: 1, whole: true }
    }
}

impl Share {
    /// The most steps of a job.
    pub(super) const MAX_STEPS: usize = 1 << 16;

    pub(super) fn new(participants: usize) -> Share {
        Share {
            cursors: (0..participants).map(|_| Padded::default()).collect(),
            finished: Padded::default(),
            base: AtomicU64::new(0),
            first: AtomicU64::new(1),
            next: AtomicU64::new(1),
        }
    }

    /// Prepares a job of that many steps. The gate is closed and no worker inside; the opening of the
    /// gate publishes the values written here.
    pub(super) fn begin(&self, steps: usize) {
        let mut first = self.next.load(Ordering::Relaxed);
        if first + steps as u64 >= NUMBERS {
            // Numbers begin again, so no cursor may keep a number that is used again.
            self.cursors.iter().for_each(|cursor| cursor.0.store(0, Ordering::Relaxed));
            first = 1;
        }
        self.first.store(first, Ordering::Relaxed);
        self.next.store(first + steps as u64, Ordering::Relaxed);
        self.base.store(self.finished.0.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Whether this number of the job's tiles is finished; if so, their results can be read.
    pub(super) fn finished(&self, tiles: u64) -> bool {
        self.finished.0.load(Ordering::Acquire).wrapping_sub(self.base.load(Ordering::Relaxed)) >= tiles
    }

    /// Publishes finished tiles.
    fn add_finished(&self, tiles: u64) {
        if tiles > 0 {
            self.finished.0.fetch_add(tiles, Ordering::Release);
        }
    }

    /// Goes through the steps and executes the tiles that are left to take. Returns the number of
    /// finished tiles at which the job is done.
    pub(super) fn participate(&self, steps: &[Step], body: &Body<'_>, participant: usize) -> u64 {
        let mut before = 0;
        // Tiles finished here that the others do not know of yet.
        let mut finished = 0;
        // A late thread passes finished steps without looking for tiles.
        let mut late = participant != 0;
        let mut at = 0;
        while at < steps.len() {
            let unit = Unit::at(steps, at);
            if steps[at].waits && at > 0 {
                self.add_finished(std::mem::take(&mut finished));
                wait_until(|| self.finished(before));
            }
            late = late && self.finished(before + unit.tiles);
            if !late {
                self.take_all(&unit, participant, &mut |begin, end| {
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
        self.add_finished(finished);
        before
    }

    /// Takes tiles of a unit until none are left, first from its own range, then from the others'.
    fn take_all(&self, unit: &Unit, participant: usize, run: &mut dyn FnMut(i64, i64)) {
        let participants = self.cursors.len() as u64;
        let number = self.first.load(Ordering::Relaxed) + unit.first as u64;
        let parts = (unit.tiles / unit.grain).clamp(1, participants);
        let bound = |p: u64| (u128::from(unit.tiles) * u128::from(p.min(parts)) / u128::from(parts)) as u64;
        for offset in 0..participants {
            let owner = (participant as u64 + offset) % participants;
            let (low, high) = (bound(owner), bound(owner + 1));
            let cursor = &self.cursors[owner as usize].0;
            while let Some((begin, end)) = take(cursor, number, low, high, unit.grain) {
                run(begin as i64, end as i64);
            }
        }
    }
}

/// Takes half of the rest of a range, at least `grain`: large pieces first, small ones at the end to
/// even out the load.
fn take(cursor: &AtomicU64, number: u64, low: u64, high: u64, grain: u64) -> Option<(u64, u64)> {
    let mut seen = cursor.load(Ordering::Relaxed);
    loop {
        let next = match (seen >> TILE_BITS).cmp(&number) {
            std::cmp::Ordering::Less => low,
            std::cmp::Ordering::Equal => seen & TILE_MASK,
            std::cmp::Ordering::Greater => return None,
        };
        if next >= high {
            return None;
        }
        let left = high - next;
        let taken = (left / 2).max(grain).min(left);
        let then = number << TILE_BITS | (next + taken);
        match cursor.compare_exchange_weak(seen, then, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Some((next, next + taken)),
            Err(now) => seen = now,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_begin_again_leave_no_tile_out() {
        let share = Share::new(2);
        let steps = [Step { tiles: 10, grain: 1, waits: true }];
        let run = |expected: u64| {
            share.begin(1);
            let unit = Unit::at(&steps, 0);
            let mut tiles = 0;
            share.take_all(&unit, 0, &mut |begin, end| tiles += end - begin);
            share.add_finished(tiles as u64);
            assert_eq!((tiles, share.first.load(Ordering::Relaxed)), (10, expected));
            assert!(share.finished(10) && !share.finished(11));
        };
        run(1);
        share.next.store(NUMBERS - 2, Ordering::Relaxed);
        run(NUMBERS - 2);
        run(1);
        run(2);
    }

    #[test]
    fn steps_for_one_thread_join_unless_one_is_independent() {
        let step = |tiles, waits| Step { tiles, grain: 4, waits };
        let steps =
            [step(3, true), step(1, true), step(0, true), step(9, true), step(1, true), step(2, false)];
        let units = |at| {
            let unit = Unit::at(&steps, at);
            (unit.steps, unit.tiles)
        };
        assert_eq!(units(0), (3, 1));
        assert_eq!(units(3), (1, 9));
        // Another thread can execute the step after it.
        assert_eq!(units(4), (1, 1));
        assert_eq!(units(5), (1, 1));
        let endless = Unit::at(&[step(i64::MAX, true)], 0);
        assert!(endless.whole && endless.tiles == 1);
    }
}
