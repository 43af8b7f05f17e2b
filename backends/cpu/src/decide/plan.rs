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
    /// Runs the outer ones of some nested loops in parallel, in tiles of about `target` work. `axes` are
    /// the loops outermost first with their counts, `inside` is the work of one iteration of the innermost.
    pub(super) fn parallelize(&mut self, axes: &[(Name, i64)], mut inside: i64, target: i64) {
        for (at, (name, count)) in axes.iter().enumerate().rev() {
            let all = inside.saturating_mul(*count);
            if all <= target {
                inside = all;
                continue;
            }
            let chunk = (target / inside.max(1)).clamp(1, *count);
            // Tiles of equal size.
            let parts = (count + chunk - 1) / chunk;
            let chunk = (count + parts - 1) / parts;
            let mut outer: Vec<Name> = axes[..at].iter().map(|(n, _)| n.clone()).collect();
            if chunk > 1 && self.attempt(Step::Split { axis: name.clone(), factor: chunk }) {
                outer.push(format!("{name}.o").into());
            } else {
                outer.push(name.clone());
            }
            for axis in outer {
                if !self.attempt(Step::Parallel { axis }) {
                    return;
                }
            }
            return;
        }
    }
}

/// An axis of a stage: `conv.m`.
pub(super) fn axis(stage: &str, name: &str) -> Name {
    format!("{stage}.{name}").into()
}
