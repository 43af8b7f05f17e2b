//! A schedule in the making: a nest and the steps that led to it.

use super::staged::stage_names;
use mlcc_ir::{
    Name,
    diagnostic::Result,
    expr::{Atom, Expr},
    kernel::Kernel,
    nest::{
        LoopNest, Node,
        names::{Part, StageName},
    },
};
use mlcc_passes::schedule::Step;

/// A nest and the steps taken so far.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) nest: LoopNest,
    pub(super) steps: Vec<Step>,
    /// The stages in order. A stage in front that makes an operand stays apart and is not among them.
    pub(super) stages: Vec<StageName>,
    pub(super) apart: Option<StageName>,
}

impl Plan {
    /// A plan for a kernel from its naive nest.
    pub(super) fn new(kernel: &Kernel, nest: LoopNest) -> Plan {
        Plan { nest, steps: Vec::new(), stages: stage_names(kernel), apart: None }
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

    /// Takes several steps, or none if one of them is not legal or `keep` rejects the result.
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
    /// Runs the outer ones of some nested loops in parallel, in tiles that divide evenly among any number of
    /// threads. `axes` are the loops outermost first with their counts. `inside` is the work of one iteration
    /// of the innermost. `target` is the work of some tens of microseconds; a sixteenth of it is worth a
    /// thread.
    pub(super) fn parallelize(&mut self, axes: &[(Name, i64)], inside: i64, target: i64) {
        let counts = self.counts(axes);
        for Division { at, chunk, .. } in divisions(&counts, inside, target).into_iter().take(ATTEMPTS) {
            let (name, count) = (&axes[at].0, counts[at]);
            let mut steps = Vec::new();
            let mut outer: Vec<Name> = axes[..at].iter().map(|(n, _)| n.clone()).collect();
            if count.fixed && chunk >= count.least {
                if at == 0 {
                    // One tile.
                    return;
                }
            } else if chunk > 1 {
                steps.push(Step::Split { axis: name.clone(), factor: chunk });
                outer.push(Part::Outer.of(name));
            } else {
                outer.push(name.clone());
            }
            steps.extend(outer.into_iter().map(|axis| Step::Parallel { axis }));
            if self.attempt_all(steps, &|_, _| true) {
                return;
            }
        }
    }

    /// The known facts about the loops' numbers of iterations, which are given as estimates.
    pub(super) fn counts(&self, axes: &[(Name, i64)]) -> Vec<Count> {
        let symbolic = |e: &Expr| e.any_atom(&mut |a| matches!(a, Atom::Symbol(_)));
        let mut counts: Vec<Count> = axes.iter().map(|(_, count)| Count::fixed(*count)).collect();
        self.nest.visit(&mut |node| {
            if let Node::Loop(l) = node
                && let Some(at) = axes.iter().position(|(name, _)| *name == l.axis)
                && symbolic(&l.extent)
            {
                let least = self.nest.ranges.sample(0, &l.extent).unwrap_or(1).max(1);
                counts[at] = Count { least, fixed: false };
            }
        });
        counts
    }
}

/// The number of a loop's iterations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    /// The number of iterations; for a symbolic loop the least one.
    pub(super) least: i64,
    /// Whether it is known.
    pub(super) fixed: bool,
}

impl Count {
    fn fixed(count: i64) -> Count {
        Count { least: count, fixed: true }
    }
}

/// Most parts that a loop is divided into for the threads.
const MOST_PARTS: i64 = 256;
/// This many tiles of loops with a known number are enough for all threads, whatever the size of a symbolic
/// loop inside.
const ENOUGH_TILES: i64 = 32;
/// Candidates for parallel loops that are tried; the first is legal unless iterations depend on each
/// other.
const ATTEMPTS: usize = 8;

/// A way to run nested loops in parallel: the loops outside of loop `at` entirely, and loop `at` in parts of
/// `chunk` iterations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Division {
    pub(super) at: usize,
    pub(super) chunk: i64,
    /// Work of a tile.
    pub(super) work: i64,
}

/// Ways to divide nested loops with these counts, outermost first, among threads, the best first. `inside` and
/// `target` are as for [`Plan::parallelize`].
///
/// A symbolic loop is never cut: if it is short, its parts would be few. It runs in parallel as a whole,
/// unless the loops outside of it make enough tiles for any size. The real sizes decide, when the model runs,
/// how many tiles a thread takes at once. Loops inside of it are divided as for its least number of
/// iterations.
pub(super) fn divisions(counts: &[Count], inside: i64, target: i64) -> Vec<Division> {
    let least = |counts: &[Count]| counts.iter().fold(1i64, |n, c| n.saturating_mul(c.least));
    let symbolic = counts.iter().rposition(|c| !c.fixed);
    if let Some(last) = symbolic {
        let mut tiles = 1i64;
        for (at, count) in counts[..last].iter().enumerate().take_while(|(_, c)| c.fixed) {
            tiles = tiles.saturating_mul(count.least);
            if tiles >= ENOUGH_TILES {
                return vec![Division {
                    at,
                    chunk: 1,
                    work: inside.saturating_mul(least(&counts[at + 1..])),
                }];
            }
        }
    }
    let mut candidates = Vec::new();
    let mut inside = inside.max(1);
    for (at, &Count { least: count, fixed }) in counts.iter().enumerate().rev() {
        if symbolic.is_some_and(|last| at < last) {
            break;
        }
        let outer = least(&counts[..at]);
        for parts in 1..=count.min(MOST_PARTS) {
            let chunk = (count + parts - 1) / parts;
            let work = chunk.saturating_mul(inside);
            let tiles = Tiles { outer, parts: (count + chunk - 1) / chunk, work };
            // All of its tiles are there for threads to take.
            let (tiles, division) = if fixed {
                (tiles, Division { at, chunk, work })
            } else {
                (Tiles { outer, parts: count, work: inside }, Division { at, chunk: 1, work: inside })
            };
            candidates.push((tiles.cost((target / 16).max(1)), division));
        }
        inside = inside.saturating_mul(count);
    }
    // Of equal ways the innermost loop's wins, with the largest tiles.
    candidates.sort_by_key(|&(cost, d)| (cost, std::cmp::Reverse((d.at, d.chunk))));
    candidates.dedup();
    candidates.into_iter().map(|(_, division)| division).collect()
}

/// A division of work into tiles.
struct Tiles {
    /// Tiles are `outer` times `parts`.
    outer: i64,
    parts: i64,
    /// Work of a tile.
    work: i64,
}

impl Tiles {
    /// The cost of the division: the time of the thread with most tiles times the threads, summed over
    /// possible numbers of threads. A thread needs `least` work, and each tile costs some more.
    fn cost(&self, least: i64) -> i64 {
        let tiles = self.outer.saturating_mul(self.parts);
        let threads = 1 << (self.work.saturating_mul(tiles) / least).max(1).ilog2().min(3);
        let tile = self.work.saturating_add(least / 16);
        // Work is divided for two threads at least, and they count twice.
        [1, 2, 2, 4, 8]
            .into_iter()
            .map(|t: i64| {
                let t = t.min(threads);
                ((tiles + t - 1) / t).saturating_mul(t).saturating_mul(tile)
            })
            .fold(0, i64::saturating_add)
    }
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

    #[test]
    fn symbolic_loops_are_not_cut() {
        let symbol = |least| Count { least, fixed: false };
        let best = |counts: &[Count], inside| {
            let all = divisions(counts, inside, 1 << 21);
            let cut = |d: &Division| !counts[d.at].fixed && d.chunk > 1;
            assert!(!all.is_empty() && !all.iter().any(cut), "{all:?}");
            (all[0].at, all[0].chunk)
        };
        let fixed = Count::fixed;
        for least in [1, 8, 1000] {
            // One loop, whatever its iterations do; the loops inside of it are too little work.
            assert_eq!(best(&[symbol(least)], 1 << 4), (0, 1));
            assert_eq!(best(&[symbol(least)], 1 << 24), (0, 1));
            assert_eq!(best(&[symbol(least), fixed(16)], 1 << 4), (1, 16));
            // Fixed loops around a symbolic one run in parallel down to it, or until there are enough tiles.
            assert_eq!(best(&[fixed(7), symbol(least)], 1 << 4), (1, 1));
            assert_eq!(best(&[fixed(36), fixed(8), symbol(least)], 1 << 4), (0, 1));
        }
        // Rows of one image, as if it were alone.
        let alone = divisions(&[fixed(56)], 1 << 18, 1 << 21)[0];
        assert_eq!(best(&[symbol(1), fixed(56)], 1 << 18), (1, alone.chunk));
    }
}
