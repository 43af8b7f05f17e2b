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

/// An axis of a stage: `conv.m`.
pub(super) fn axis(stage: &str, name: &str) -> Name {
    format!("{stage}.{name}").into()
}
