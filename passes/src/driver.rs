//! Runs passes in the order of the registry, for compilations, single passes and prices alike.

use crate::{
    config::Config,
    registry::{Context, IrRef, Level, PASSES, PassSpec, Run},
};
use mlcc_ir::{
    contract::{Contract, Verified},
    diagnostic::{Diagnostic, Result},
    graph::Graph,
    origin::Origin,
    program::Program,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The IR of a level, which passes change.
pub trait Ir: Contract + Sized {
    /// The level.
    const LEVEL: Level;

    /// Facts about the model that the IR came from.
    fn origin(&self) -> &Origin;

    /// The same, to change.
    fn origin_mut(&mut self) -> &mut Origin;

    /// The IR to look at.
    fn view(&self) -> IrRef<'_>;

    /// Runs a pass; `None` if the pass works at another level.
    fn apply(&mut self, pass: &PassSpec, context: &mut Context<'_>) -> Option<Result<usize>>;
}

impl Ir for Graph {
    const LEVEL: Level = Level::Graph;

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn origin_mut(&mut self) -> &mut Origin {
        &mut self.origin
    }

    fn view(&self) -> IrRef<'_> {
        IrRef::Graph(self)
    }

    fn apply(&mut self, pass: &PassSpec, context: &mut Context<'_>) -> Option<Result<usize>> {
        if let Run::Graph(run) = pass.run { Some(run(self, context)) } else { None }
    }
}

impl Ir for Program {
    const LEVEL: Level = Level::Tensor;

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn origin_mut(&mut self) -> &mut Origin {
        &mut self.origin
    }

    fn view(&self) -> IrRef<'_> {
        IrRef::Program(self)
    }

    fn apply(&mut self, pass: &PassSpec, context: &mut Context<'_>) -> Option<Result<usize>> {
        if let Run::Tensor(run) = pass.run { Some(run(self, context)) } else { None }
    }
}

/// Runs the passes of a level that the configuration wants, from the one behind the last that the IR has been
/// through, and checks the result of each.
///
/// # Errors
/// The first error of a pass or of the events' listener. A pass that panics or breaks the level's contract is
/// an error too, a bug of ours.
pub fn run<I: Ir>(mut ir: Verified<I>, context: &mut Context<'_>) -> Result<Verified<I>> {
    let mut left = PASSES.iter();
    if let Some(last) = &ir.origin().last_pass {
        let position = PASSES.iter().position(|pass| *pass.name == **last && pass.level() == I::LEVEL);
        let position = position.ok_or_else(|| {
            let message = format!("the IR is said to come from pass '{last}', which its level has not");
            Diagnostic::user(message).hint("`mlcc opt --list-passes` lists the passes")
        })?;
        left = PASSES[position + 1..].iter();
    }
    for pass in wanted::<I>(left, context.config) {
        (ir, _) = run_one(ir, pass, context)?;
    }
    Ok(ir)
}

/// Runs the passes that `among` accepts on an IR that is only considered. Nothing is checked.
///
/// # Errors
/// The first error of a pass.
pub fn try_out<I: Ir>(
    ir: &mut I,
    context: &mut Context<'_>,
    among: impl Fn(&PassSpec) -> bool,
) -> Result<()> {
    wanted::<I>(PASSES.iter(), context.config)
        .filter(|pass| among(pass))
        .try_for_each(|pass| ir.apply(pass, context).map_or(Ok(()), |changes| changes.map(drop)))
}

/// The passes of a level that run, in order.
fn wanted<I: Ir>(
    passes: std::slice::Iter<'static, PassSpec>,
    config: &Config,
) -> impl Iterator<Item = &'static PassSpec> {
    passes.filter(|pass| pass.level() == I::LEVEL && config.runs(pass))
}

/// Runs one pass, whether or not the configuration wants it, and checks its result. Also returns the number
/// of changes.
///
/// # Errors
/// As [`run`]; also if the pass is of another level.
pub fn run_one<I: Ir>(
    ir: Verified<I>,
    pass: &PassSpec,
    context: &mut Context<'_>,
) -> Result<(Verified<I>, usize)> {
    let other_level = || {
        let level = if pass.level() == Level::Graph { "graph" } else { "tensor" };
        let message = format!("pass '{}' works on the {level} level, the IR is of another", pass.name);
        Err(Diagnostic::user(message))
    };
    let (ir, changes) = ir.change(pass.name, |ir| {
        let changes = guarded(pass.name, || ir.apply(pass, context).unwrap_or_else(other_level))?;
        ir.origin_mut().last_pass = Some(pass.name.into());
        Ok(changes)
    })?;
    tracing::debug!(pass = pass.name, changes, "pass");
    context.events.after_pass(pass.name, changes, ir.view())?;
    Ok((ir, changes))
}

/// Runs a part of the compiler; a panic in it becomes an internal error that names it.
///
/// # Errors
/// Those of `run`.
pub fn guarded<T>(what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(Diagnostic::internal(format!("'{what}' panicked: {message}")))
    })
}
