//! A schedule in the making: a nest and the steps that led to it.

use mlcc_ir::{Name, diagnostic::Result, nest::LoopNest};
use mlcc_passes::schedule::Step;

/// A nest and the steps taken so far.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) nest: LoopNest,
    pub(super) steps: Vec<Step>,
}

impl Plan {
    pub(super) fn new(nest: LoopNest) -> Plan {
        Plan { nest, steps: Vec::new() }
    }

    /// Takes a step.
    pub(super) fn step(&mut self, step: Step) -> Result<()> {
        self.nest = step.apply(&self.nest)?;
        self.steps.push(step);
        Ok(())
    }

    /// Takes a step if it is legal.
    pub(super) fn attempt(&mut self, step: Step) -> bool {
        let taken = self.step(step);
        if let Err(why) = &taken {
            tracing::trace!("not taken: {why}");
        }
        taken.is_ok()
    }

    /// Takes several steps, or none if one of them is not legal or `keep` does not like the result.
    pub(super) fn attempt_all(
        &mut self,
        steps: Vec<Step>,
        keep: &dyn Fn(&LoopNest, &LoopNest) -> bool,
    ) -> bool {
        let mut trial = self.clone();
        for step in steps {
            if let Err(why) = trial.step(step) {
                tracing::trace!("not taken: {why}");
                return false;
            }
        }
        let kept = keep(&self.nest, &trial.nest);
        if kept {
            *self = trial;
        }
        kept
    }
}

impl Plan {
    /// Runs the outer ones of some nested loops in parallel, in tiles that come out even for any number of
    /// threads. `axes` are the loops outermost first with their counts, `inside` is the work of one
    /// iteration of the innermost, `target` the work of some tens of microseconds: a sixteenth of it is
    /// worth a thread.
    pub(super) fn parallelize(&mut self, axes: &[(Name, i64)], inside: i64, target: i64) {
        let counts: Vec<i64> = axes.iter().map(|(_, count)| *count).collect();
        for Division { at, chunk, .. } in divisions(&counts, inside, target).into_iter().take(ATTEMPTS) {
            let (name, count) = &axes[at];
            let mut steps = Vec::new();
            let mut outer: Vec<Name> = axes[..at].iter().map(|(n, _)| n.clone()).collect();
            if chunk >= *count {
                if at == 0 {
                    // One tile.
                    return;
                }
            } else if chunk > 1 {
                steps.push(Step::Split { axis: name.clone(), factor: chunk });
                outer.push(format!("{name}.o").into());
            } else {
                outer.push(name.clone());
            }
            steps.extend(outer.into_iter().map(|axis| Step::Parallel { axis }));
            if self.attempt_all(steps, &|_, _| true) {
                return;
            }
        }
    }
}

/// Most parts that a loop is divided into for the threads.
const MOST_PARTS: i64 = 256;
/// Candidates for parallel loops that are tried; the first is legal unless iterations depend on each
/// other.
const ATTEMPTS: usize = 8;

/// A way to run nested loops in parallel: those outside of loop `at` entirely, and that one in parts of `chunk`
/// iterations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Division {
    pub(super) at: usize,
    pub(super) chunk: i64,
    /// Work of a tile.
    pub(super) work: i64,
}

/// Ways to divide nested loops with these counts, outermost first, among threads, the best first. `inside` and
/// `target` are as for [`Plan::parallelize`].
pub(super) fn divisions(counts: &[i64], inside: i64, target: i64) -> Vec<Division> {
    let mut candidates = Vec::new();
    let mut inside = inside.max(1);
    for (at, &count) in counts.iter().enumerate().rev() {
        let outer = counts[..at].iter().fold(1i64, |n, count| n.saturating_mul(*count));
        for parts in 1..=count.min(MOST_PARTS) {
            let chunk = (count + parts - 1) / parts;
            let work = chunk.saturating_mul(inside);
            let tiles = Tiles { outer, parts: (count + chunk - 1) / chunk, work };
            candidates.push((tiles.cost((target / 16).max(1)), Division { at, chunk, work }));
        }
        inside = inside.saturating_mul(count);
    }
    // Of equal ones the innermost loop's, with the largest tiles.
    candidates.sort_by_key(|&(cost, d)| (cost, std::cmp::Reverse((d.at, d.chunk))));
    candidates.dedup();
    candidates.into_iter().map(|(_, division)| division).collect()
}

/// How work is divided into tiles.
struct Tiles {
    /// Tiles are `outer` times `parts`.
    outer: i64,
    parts: i64,
    /// Work of a tile.
    work: i64,
}

impl Tiles {
    /// What the division costs: the time of the thread with most tiles times the threads, summed over the
    /// numbers of threads that there may be. A thread needs `least` work; each tile costs some more.
    fn cost(&self, least: i64) -> i64 {
        let tiles = self.outer.saturating_mul(self.parts);
        let threads = 1 << (self.work.saturating_mul(tiles) / least).max(1).ilog2().min(3);
        let tile = self.work.saturating_add(least / 16);
        // Two threads are the least that anything is divided for, and count twice.
        [1, 2, 2, 4, 8]
            .into_iter()
            .map(|t: i64| {
                let t = t.min(threads);
                ((tiles + t - 1) / t).saturating_mul(t).saturating_mul(tile)
            })
            .fold(0, i64::saturating_add)
    }
}

/// An axis of a stage: `conv.m`.
pub(super) fn axis(stage: &str, name: &str) -> Name {
    format!("{stage}.{name}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_come_out_even() {
        let best = |count: i64, inside: i64| {
            let of =
                |chunk: i64| Tiles { outer: 1, parts: (count + chunk - 1) / chunk, work: chunk * inside };
            let chunk = (1..=count).min_by_key(|&chunk| (of(chunk).cost(1 << 17), -chunk)).unwrap();
            (count + chunk - 1) / chunk
        };
        // 55 rows of images: never 3 tiles for two threads.
        for inside in [1 << 12, 1 << 14, 1 << 16, 1 << 20] {
            let tiles = best(55, inside);
            assert!(tiles == 1 || tiles >= 8 || tiles % 2 == 0, "{tiles} tiles of 55 times {inside}");
        }
        assert_eq!(best(16, 1 << 16), 8);
        // Not worth a second thread.
        assert_eq!(best(16, 1 << 12), 1);
    }
}
