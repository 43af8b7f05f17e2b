//! Copies whose source and target are contiguous along different axes.
//!
//! ```text
//! for .., u.o, v.o: for v.i in vectors: for u.i: to[u, v] = from[v, u]
//! ```
//!
//! With the source's contiguous axis inside of the vectors, the emitter loads whole vectors along it and
//! transposes squares in registers. A whole vector touches each line of either side once. So lines whose
//! distance is a power of two do not push each other out of the cache before they are used. Blocks of both
//! axes keep the pages in reach.

use super::{
    plan::Plan,
    refusal::{OrRefuse, Planned, refuse},
    stages::{Stage, StageAxis, stays_affine, stride},
};
use mlcc_ir::{
    kernel::Kernel,
    nest::{LoopNest, names::AxisName},
    scalar::{Body, Inst},
};
use mlcc_machine::Machine;
use mlcc_passes::schedule::Step;

/// Size in bytes of the elements whose squares the emitter transposes.
const ELEMENT: usize = 4;
/// Lanes of the smallest square.
const MIN_LANES: i64 = 4;
/// Points of the source's contiguous axis in a block, which is the number of the target's lines.
const LINES: i64 = 64;
/// Most points of an axis that is not split.
const MAX_WHOLE: i64 = 256;
/// Points of the target's contiguous axis in a block, which is the number of the source's lines.
const COLUMNS: i64 = 256;
/// Nanoseconds of a parallel tile, in the units of the machine's work; a point counts as one.
const TILE_TIME: u64 = 1_100;

/// The plan.
pub(super) fn plan(kernel: &Kernel, naive: &LoopNest, machine: &Machine) -> Planned<Plan> {
    const NO_COPY: &str = "it is no plain copy of elements of four bytes";
    const NOT_CONTIGUOUS: &str = "source or target is contiguous along no axis";
    let mut plan = Plan::new(kernel, naive.clone());
    if plan.stages.len() != 1 {
        return refuse(NO_COPY);
    }
    let stage = |plan: &Plan| plan.unmerged()?.pop().or_refuse(NO_COPY);
    read(&stage(&plan)?.store.body, &plan.nest).or_refuse(NO_COPY)?;
    let mut current = stage(&plan)?;
    while fuse_neighbours(&mut plan, &current) {
        current = stage(&plan)?;
    }

    let stage = current;
    let (source, index) = read(&stage.store.body, &plan.nest).or_refuse(NO_COPY)?;
    let contiguous = |buffer: usize, index: &[mlcc_ir::expr::Expr]| -> Option<&StageAxis> {
        let buffer = &plan.nest.buffers[buffer];
        stage.axes.iter().find(|a| stride(buffer, index, &stage.full(&a.name)).is_some_and(|s| s.is(1)))
    };
    let v = contiguous(stage.store.buffer, &stage.store.index).or_refuse(NOT_CONTIGUOUS)?;
    let u = contiguous(source, index).or_refuse(NOT_CONTIGUOUS)?;
    let lanes = lanes(v.count, u.count, i64::from(machine.lanes(ELEMENT)));
    let lanes = lanes.or_refuse("its sides are too short for squares")?;
    let plain = stage.store.combine.is_none() && stage.store.guards.is_empty() && !stage.store.checked;
    if u == v || !plain || stage.axes.iter().any(|a| a.reduced) {
        return refuse("it turns no rows into columns");
    }

    let mut outer: Vec<(AxisName, i64)> =
        stage.axes.iter().filter(|a| *a != u && *a != v).map(|a| (a.name.clone(), a.count)).collect();
    let mut inner = Vec::new();
    for (a, block) in [(v, COLUMNS), (u, LINES)] {
        let count = a.count;
        // A remainder in a block of its own would be too short for squares.
        if count <= block.max(MAX_WHOLE) && a.extent.as_const().is_some() {
            inner.push(a.name.clone());
            continue;
        }
        plan.step(Step::Split { axis: stage.full(&a.name), factor: block })?;
        outer.push((a.name.outer(), (count + block - 1) / block));
        inner.push(a.name.inner());
    }
    let order = outer.iter().map(|(a, _)| a).chain(&inner).map(|a| stage.full(a)).collect::<Vec<_>>();
    if order.len() > 1 {
        plan.step(Step::Reorder { axes: order })?;
    }
    let counts: i64 = outer.iter().fold(1, |n, (_, c)| n.saturating_mul(*c));
    let axes: Vec<_> = outer.iter().map(|(a, count)| (stage.full(a), *count)).collect();
    plan.parallelize(&axes, (stage.points() / counts.max(1)).max(1), 4 * machine.work_in(TILE_TIME));
    plan.step(Step::Vectorize { axis: stage.full(&inner[0]), lanes })?;
    Ok(plan)
}

/// Fuses the first two neighbouring axes that are contiguous in source and target.
fn fuse_neighbours(plan: &mut Plan, stage: &Stage) -> bool {
    stage.axes.windows(2).any(|pair| {
        let step = Step::Fuse { outer: stage.full(&pair[0].name), inner: stage.full(&pair[1].name) };
        plan.attempt_all(vec![step], &stays_affine)
    })
}

/// The read of a body that does nothing but read, if squares of its elements can be transposed.
fn read<'a>(body: &'a Body, nest: &LoopNest) -> Option<(usize, &'a [mlcc_ir::expr::Expr])> {
    match &body.insts[..] {
        [(Inst::Read { tensor, index, outside: None }, dtype)]
            if dtype.size() == ELEMENT && nest.buffers[*tensor].dtype == *dtype =>
        {
            Some((*tensor, index))
        }
        _ => None,
    }
}

/// Lanes of a square: not many more than the points of the target's lines, and no more than those of the
/// source's.
fn lanes(v: i64, u: i64, most: i64) -> Option<u32> {
    let mut lanes = most.min(16);
    while lanes > MIN_LANES && (lanes / 2 >= v || lanes > u) {
        lanes /= 2;
    }
    (lanes >= MIN_LANES && lanes <= u && v > 1).then_some(lanes as u32)
}
