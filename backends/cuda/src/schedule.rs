//! From kernels to loop nests whose axes are bound to the blocks and threads of a GPU.
//!
//! Four mappings, tried in this order:
//!
//! | Mapping | Kernels | Blocks and threads |
//! |---|---|---|
//! | [`matmul`] | sums of products with rows and columns, and stages that use them | a tile a block, a register tile a thread |
//! | [`rows`] | reductions along rows, of one or more stages | a row a block, whose threads share its elements |
//! | [`points`] | everything whose points are independent | a point a thread |
//! | [`plain`] | everything else | a point of the independent axes a thread, which computes all stages there |
//!
//! If too few axes are independent for the last mapping (a scatter), the second one has a single row: the
//! whole kernel in one block. Every nest is `block axes > thread axes > everything else`, so barriers lie
//! where all threads of a block reach them.

mod build;
mod flatten;
mod matmul;
mod numbers;
mod plain;
mod points;
mod rows;
mod stages;

use crate::launch::{self, MAX_SHARED};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
    kernel::{AxisKind, Compute, Kernel, Role},
    nest::LoopNest,
};
use mlcc_passes::schedule::Decision;
use numbers::Numbers;

/// Reductions of fewer elements stay within a thread.
const MIN_SHARED_REDUCTION: i64 = 64;

/// A nest for the kernel, and the decision that led to it.
///
/// # Errors
/// If no mapping fits, or a tensor has a layout that was not made explicit.
pub fn schedule(kernel: &Kernel) -> Result<(Decision, LoopNest)> {
    refuse_atomics(kernel)?;
    let chosen = &Numbers::default();
    if let Some(found) = matmul::schedule(kernel, chosen)? {
        return Ok(found);
    }
    let kernel = &flatten::flatten(kernel);
    let along_rows = kernel.computes.iter().any(|c| reduces_contiguously(kernel, c));
    let mappings: &[Mapping] = match along_rows {
        true => &[rows::schedule, rest, points::schedule],
        false => &[points::schedule, rows::schedule, rest],
    };
    for mapping in mappings {
        if let Some(found) = mapping(kernel, chosen)? {
            return Ok(found);
        }
    }
    let what = format!("kernel '{}' cannot be mapped to the threads of a GPU", kernel.name);
    let nodes = kernel.nodes.iter().map(|n| &**n).collect::<Vec<_>>().join(", ");
    Err(Diagnostic::unsupported(what)
        .hint(format!("it computes {nodes}; compile the model for the CPU (--target cpu)")))
}

/// Applies a decision given by the caller: another mapping, or other numbers. The mapping chooses the numbers that are
/// left out; the decision that is returned has all of them.
///
/// # Errors
/// If the kernel cannot be mapped so, with the reason.
pub fn replay(kernel: &Kernel, given: &Decision) -> Result<(Decision, LoopNest)> {
    refuse_atomics(kernel)?;
    let refused = |why: String, hint: String| {
        Err(Diagnostic::user(format!("'{given}' cannot be taken: {why}")).hint(hint))
    };
    if !given.schedule.steps.is_empty() {
        let why = "nests of GPUs are built from a variant and its numbers, not from steps".to_owned();
        return refused(why, "leave the steps out".to_owned());
    }
    let numbers = &Numbers::of(given)?;
    let flat = &flatten::flatten(kernel);
    let found = match &*given.variant {
        "matmul" => matmul::schedule(kernel, numbers)?,
        "points" => points::schedule(flat, numbers)?,
        "plain" => plain::Plain::of(flat).map_or(Ok(None), |plain| plain.schedule(numbers))?,
        "rows" => match rows::schedule(flat, numbers)? {
            Some(found) => Some(found),
            None => rows::schedule_whole(flat, numbers)?,
        },
        other => {
            let why = format!("no variant of GPUs is called '{other}'");
            return refused(why, "they are matmul, points, plain and rows".to_owned());
        }
    };
    let Some((built, nest)) = found else {
        let why = format!("kernel '{}' has no such mapping", kernel.name);
        return refused(why, "--dump-decisions FILE shows the one that is taken".to_owned());
    };
    if !given.numbers.iter().all(|number| built.numbers.contains(number)) {
        return refused(
            "these numbers do not fit each other or the kernel".into(),
            format!("give '{built}'"),
        );
    }
    if launch::shared_bytes(&nest).is_none_or(|bytes| bytes > MAX_SHARED) {
        let why = format!("its blocks would share more than the {MAX_SHARED} bytes that GPUs have");
        return refused(why, "give fewer threads".to_owned());
    }
    Ok((Decision { numbers: built.numbers, ..given.clone() }, nest))
}

type Mapping = fn(&Kernel, &Numbers) -> Result<Option<(Decision, LoopNest)>>;

fn refuse_atomics(kernel: &Kernel) -> Result<()> {
    let Some(compute) = kernel.computes.iter().find(|c| stages::needs_atomics(c)) else { return Ok(()) };
    let what =
        format!("compute '{}' of kernel '{}' combines values of several points", compute.name, kernel.name);
    Err(Diagnostic::unsupported(what).hint("compile the model for the CPU (--target cpu)"))
}

/// Kernels without common rows whose points are not all independent. One block's threads run them, or the
/// threads of many blocks if enough of the kernel is independent.
fn rest(kernel: &Kernel, numbers: &Numbers) -> Result<Option<(Decision, LoopNest)>> {
    let plain = plain::Plain::of(kernel);
    let whole = || rows::schedule_whole(kernel, numbers);
    match plain {
        Some(plain) if plain.is_small() => match whole()? {
            Some(found) => Ok(Some(found)),
            None => plain.schedule(numbers),
        },
        Some(plain) => match plain.schedule(numbers)? {
            Some(found) => Ok(Some(found)),
            None => whole(),
        },
        None => whole(),
    }
}

/// Whether a compute reduces many elements that lie side by side. Threads that share a row then read
/// neighbouring elements; with a row for each thread, neighbours would read far apart.
fn reduces_contiguously(kernel: &Kernel, compute: &Compute) -> bool {
    let reduced = |name: &str| compute.axis(name).is_some_and(|a| a.kind == AxisKind::Reduction);
    let size = compute
        .axes
        .iter()
        .filter(|a| a.kind == AxisKind::Reduction)
        .fold(Expr::from(1), |n, a| n * a.extent.clone());
    if !compute.is_reduction() || size.as_const().is_some_and(|n| n < MIN_SHARED_REDUCTION) {
        return false;
    }
    let last_axes = |(_, index): (usize, &[Expr])| {
        let mut axes = Vec::new();
        index.iter().rfind(|e| e.any_atom(&mut |a| matches!(a, Atom::Axis(_))))?.collect_axes(&mut axes);
        Some(axes)
    };
    let from_memory = |(t, _): &(usize, &[Expr])| kernel.tensors[*t].role != Role::Temporary;
    let mut reads = compute.reads().filter(from_memory).filter_map(last_axes).peekable();
    // A kernel's first stage reads its inputs. Later stages read temporaries, and follow the first.
    reads.peek().is_some() && reads.all(|axes| axes.iter().all(|a| reduced(a)))
}

#[cfg(test)]
mod tests;
