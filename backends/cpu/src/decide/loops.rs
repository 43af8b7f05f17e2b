//! Elementwise kernels, reductions over rows, windows, and everything else without a micro-kernel.
//!
//! The axes that all stages share are merged and run in parallel, so that temporaries shrink to the size that
//! one iteration needs. The loops inside run in vectors: along a shared axis (`columns`: elementwise kernels,
//! pooling, reductions over outer dimensions) or along each stage's own axes (`rows`: softmax, layer norm,
//! reductions over the last dimension).

use super::{
    operand::{is_function, is_parallel, vector_axes, widest, work},
    plan::Plan,
    stages::{Stage, shared_axes, stays_affine},
};
use mlcc_ir::{
    Name,
    kernel::{Kernel, Role},
    nest::{
        LoopNest, Mapping, Node, Space,
        names::{AxisName, StageName, is_within},
    },
    scalar::Inst,
};
use mlcc_machine::Machine;
use mlcc_passes::schedule::{MAX_UNROLL, Step};

/// Nanoseconds of a parallel tile if the units of [`work`] were multiply-adds at the peak: about 16 K simple
/// elements of a core with vectors of 512 bits.
const TILE_TIME: u64 = 1_100;
/// Vectors of a block of columns whose partial results stay in registers.
const BLOCK_VECTORS: i64 = 4;
/// Pairs of vectors that an axis must fill.
const FULL_PAIRS: i64 = 2;
/// Most vector operations that unrolling a window may make.
const WINDOW_OPERATIONS: i64 = 200;

/// The plan and the name of its variant.
pub(super) fn plan(kernel: &Kernel, naive: LoopNest, machine: &Machine) -> (&'static str, Plan) {
    let mut plan = Plan::new(kernel, naive);
    let Ok(first) = plan.unmerged() else { return ("serial", plan) };
    let Some(heavy) = heaviest(&first) else { return ("serial", plan) };
    let mut lanes = first.iter().map(|s| machine.lanes(widest(&plan.nest, s))).min().unwrap_or(1);
    let best = vector_axes(&plan.nest, &first[heavy], i64::from(lanes)).into_iter().next();
    let shared = shared_axes(&first);
    let columns = best.as_ref().is_some_and(|b| shared.contains(b));
    if (!columns || first.len() == 1) && pairs_pay(&first, best.as_ref(), lanes, machine) {
        lanes *= 2;
    }
    if columns {
        for c in kernel.computes.iter().filter(|c| c.is_reduction()) {
            // If that is not legal, results are combined in place.
            if let Err(why) = plan.accumulate_output(kernel, c) {
                tracing::trace!("not taken: {why}");
            }
        }
    }
    let tile_work = machine.work_in(TILE_TIME);
    let mut template = Loops { plan, heavy: first[heavy].name.clone(), lanes, tile_work, columns };
    let Some((shared, vector)) = template.prepare(best) else { return ("serial", template.plan) };
    template.run(shared, vector);
    let variant = match (columns, is_parallel(&template.plan.nest) || !template.plan.steps.is_empty()) {
        (_, false) => "serial",
        (true, true) => "columns",
        (false, true) => "rows",
    };
    (variant, template.plan)
}

/// Whether vectors of two registers pay. A function is a long chain of operations, and the machine's
/// schedulers hold too few of its iterations to fill the units. In pairs they are ready twice as early.
fn pairs_pay(stages: &[Stage], vector: Option<&AxisName>, lanes: u32, machine: &Machine) -> bool {
    let long = stages.iter().any(|s| s.store.body.insts.iter().any(|(inst, _)| is_function(inst)));
    let fills = |s: &Stage| {
        s.axes
            .iter()
            .filter(|a| vector == Some(&a.name))
            .all(|a| a.count >= FULL_PAIRS * 2 * i64::from(lanes))
    };
    long && machine.vector_registers >= 32 && lanes > 1 && stages.iter().all(fills)
}

/// Index of the stage with most work.
fn heaviest(stages: &[Stage]) -> Option<usize> {
    (0..stages.len()).max_by_key(|&s| (stages[s].points().saturating_mul(work(&stages[s])), s))
}

struct Loops {
    plan: Plan,
    /// The stage whose names merged axes keep.
    heavy: StageName,
    lanes: u32,
    /// Work of a parallel tile, in the units of [`work`].
    tile_work: i64,
    /// Whether the vector axis is shared.
    columns: bool,
}

impl Loops {
    fn stages(&self) -> Option<Vec<Stage>> {
        self.plan.unmerged().ok()
    }

    fn in_heavy(&self, name: &AxisName) -> Name {
        self.heavy.axis(name)
    }

    /// Brings the shared axes outside, in one order, and fuses contiguous ones. Returns the shared axes, and
    /// the vector axis if it is shared.
    fn prepare(&mut self, best: Option<AxisName>) -> Option<(Vec<AxisName>, Option<AxisName>)> {
        let mut shared = shared_axes(&self.stages()?);
        for stage in self.stages()? {
            let outer = shared.iter().cloned();
            let rest = |reduced: bool| {
                let shared = &shared;
                let own =
                    stage.axes.iter().filter(move |a| a.reduced == reduced && !shared.contains(&a.name));
                own.map(|a| a.name.clone()).collect::<Vec<_>>()
            };
            let order: Vec<AxisName> = outer.chain(rest(false)).chain(rest(true)).collect();
            self.reorder(&stage, &order);
        }
        let mut vector = best.filter(|_| self.columns);
        // Shared axes, from the inside out.
        let mut at = shared.len();
        while at >= 2 {
            at -= 1;
            let (outer, inner) = (shared[at - 1].clone(), shared[at].clone());
            let steps = self.plan.in_each(|s| Step::Fuse { outer: s.axis(&outer), inner: s.axis(&inner) });
            if self.plan.attempt_all(steps, &stays_affine) {
                let fused = outer.fused(&inner);
                if vector.as_ref().is_some_and(|v| *v == outer || *v == inner) {
                    vector = Some(fused.clone());
                }
                shared.splice(at - 1..=at, [fused]);
            }
        }
        // Each stage's own axes.
        for name in self.plan.stages.clone() {
            loop {
                let stage = self.stages()?.into_iter().find(|s| s.name == name)?;
                let own: Vec<_> = stage.axes.iter().filter(|a| !shared.contains(&a.name)).collect();
                let fused = own.windows(2).any(|pair| {
                    let step =
                        Step::Fuse { outer: stage.full(&pair[0].name), inner: stage.full(&pair[1].name) };
                    pair[0].reduced == pair[1].reduced && self.plan.attempt_all(vec![step], &stays_affine)
                });
                if !fused {
                    break;
                }
            }
        }
        Some((shared, vector))
    }

    fn reorder(&mut self, stage: &Stage, order: &[AxisName]) -> bool {
        let current: Vec<&AxisName> = stage.axes.iter().map(|a| &a.name).collect();
        if order.len() < 2 || order.iter().eq(current) {
            return true;
        }
        self.plan.attempt(Step::Reorder { axes: order.iter().map(|a| stage.full(a)).collect() })
    }

    fn run(&mut self, mut shared: Vec<AxisName>, vector: Option<AxisName>) {
        let Some(all) = self.stages() else { return };
        let total = all.iter().fold(0i64, |n, s| n.saturating_add(s.points().saturating_mul(work(s))));
        let extents = |name: &AxisName| all[0].axes.iter().find(|a| a.name == *name).map_or(1, |a| a.count);
        let mut counts: Vec<i64> = shared.iter().map(extents).collect();
        let single = self.plan.stages.len() == 1;
        // The vector axis becomes the innermost shared one.
        if let Some(v) = &vector
            && let Some(at) = shared.iter().position(|s| s == v)
        {
            let (v, count) = (shared.remove(at), counts.remove(at));
            for stage in &all {
                let mut order = shared.clone();
                order.push(v.clone());
                order.extend(
                    stage.axes.iter().map(|a| a.name.clone()).filter(|a| !shared.contains(a) && *a != v),
                );
                if !self.reorder(stage, &order) {
                    return self.vectorize_stages(&[]);
                }
            }
            let block = self.block(single, &all, count);
            if block < count || all[0].axes.iter().any(|a| a.name == v && a.extent.as_const().is_none()) {
                let steps = self.plan.in_each(|s| Step::Split { axis: s.axis(&v), factor: block });
                if self.plan.attempt_all(steps, &|_, _| true) {
                    shared.push(v.outer());
                    counts.push((count + block - 1) / block);
                }
            }
        }
        let merged = self.merge_shared(&shared);
        shared.truncate(merged);
        counts.truncate(merged);
        let points = counts.iter().fold(1i64, |n, c| n.saturating_mul(*c)).max(1);
        let axes: Vec<_> = shared.iter().map(|s| self.in_heavy(s)).zip(counts).collect();
        self.plan.parallelize(&axes, (total / points).max(1), 4 * self.tile_work);
        self.vectorize_stages(&shared);
        self.merge_vectors();
        self.place_small();
    }

    /// Merges two vector loops if the second reads values that the first makes, while these are in registers.
    fn merge_vectors(&mut self) {
        let mut loops = Vec::new();
        vector_loops(&self.plan.nest.body, &mut loops);
        let mut loops = loops.into_iter();
        let Some((mut into, mut made)) = loops.next().map(|l| (l.axis, l.made)) else { return };
        for next in loops {
            let used = next.used.iter().any(|u| made.contains(u));
            if used && self.plan.attempt(Step::Merge { into: into.clone(), from: next.axis.clone() }) {
                made.extend(next.made);
            } else {
                (into, made) = (next.axis, next.made);
            }
        }
    }

    /// Points of the vector axis that one iteration handles.
    fn block(&self, single: bool, all: &[Stage], count: i64) -> i64 {
        let lanes = i64::from(self.lanes);
        if !single {
            return lanes * BLOCK_VECTORS;
        }
        let target = (self.tile_work / work(&all[0])).max(lanes);
        let parts = (count / target).max(1);
        let step = lanes * BLOCK_VECTORS;
        ((count + parts - 1) / parts + step - 1) / step * step
    }

    /// Merges the stages' loops over the shared axes, outermost first; returns the number of merged axes.
    fn merge_shared(&mut self, shared: &[AxisName]) -> usize {
        let Some(heavy) = self.plan.position(&self.heavy) else { return 0 };
        for (at, name) in shared.iter().enumerate() {
            let steps = self.plan.merges(0..self.plan.stages.len(), heavy, name);
            if !self.plan.attempt_all(steps, &|_, _| true) {
                return at;
            }
        }
        shared.len()
    }

    /// Spreads each stage's best inner axis over vector lanes.
    fn vectorize_stages(&mut self, merged: &[AxisName]) {
        for stage in self.inner_stages(merged) {
            for name in vector_axes(&self.plan.nest, &stage, i64::from(self.lanes)) {
                let mut order: Vec<Name> =
                    stage.axes.iter().filter(|a| a.name != name).map(|a| stage.full(&a.name)).collect();
                order.push(stage.full(&name));
                let mut steps = Vec::new();
                if order.len() > 1 && stage.axes.last().is_some_and(|a| a.name != name) {
                    steps.push(Step::Reorder { axes: order });
                }
                steps.push(Step::Vectorize { axis: stage.full(&name), lanes: self.lanes });
                if self.plan.attempt_all(steps, &|_, _| true) {
                    self.unroll_window(&stage, &name);
                    break;
                }
            }
        }
    }

    /// Unrolls a small window around a block of vectors.
    fn unroll_window(&mut self, stage: &Stage, vector: &AxisName) {
        let lanes = i64::from(self.lanes);
        let mut operations = 1i64;
        for a in &stage.axes {
            let count = match a.extent.as_const() {
                Some(e) if a.name == *vector => (e + lanes - 1) / lanes,
                Some(e) if a.reduced => e,
                None if a.name == *vector => BLOCK_VECTORS,
                _ => return,
            };
            operations = operations.saturating_mul(count);
        }
        let window = stage.axes.iter().filter(|a| a.reduced && a.name != *vector);
        let window: Vec<_> =
            window.filter(|a| a.extent.as_const().is_some_and(|e| e <= MAX_UNROLL)).collect();
        if operations <= WINDOW_OPERATIONS {
            for a in window {
                self.plan.attempt(Step::Unroll { axis: stage.full(&a.name) });
            }
        }
    }

    /// The stages inside the merged loops; their axes are the ones that are not merged.
    fn inner_stages(&self, merged: &[AxisName]) -> Vec<Stage> {
        let mut found = self.plan.merged();
        let heavy: Vec<Name> = merged.iter().map(|m| self.in_heavy(m)).collect();
        for stage in &mut found {
            // The merged loops keep the names of one stage.
            let name = stage.name.clone();
            stage.axes.retain(|a| !heavy.iter().any(|h| is_within(&name.axis(&a.name), h)));
        }
        found
    }

    /// Temporaries that shrank to scalars or a block of vectors go to registers.
    fn place_small(&mut self) {
        let limit = i64::from(self.lanes) * BLOCK_VECTORS;
        let small: Vec<Name> = self
            .plan
            .nest
            .buffers
            .iter()
            .filter(|b| b.role == Role::Temporary && b.space == Space::Scratch)
            .filter(|b| match &b.dims[..] {
                [] => true,
                [d] => self.columns && d.as_const().is_some_and(|d| d <= limit),
                _ => false,
            })
            .map(|b| b.name.clone())
            .collect();
        for buffer in small {
            self.plan.attempt(Step::Place { buffer, space: Space::Register });
        }
    }
}

/// A loop over vectors with the buffers that it writes and reads.
struct VectorLoop {
    axis: Name,
    made: Vec<usize>,
    used: Vec<usize>,
}

/// The vector loops of a nest in order.
fn vector_loops(nodes: &[Node], found: &mut Vec<VectorLoop>) {
    for node in nodes {
        let Node::Loop(l) = node else { continue };
        let [Node::Store(store)] = &l.body[..] else {
            vector_loops(&l.body, found);
            continue;
        };
        if matches!(l.mapping, Mapping::Vector(_)) {
            let read = |(inst, _): &(Inst, _)| match inst {
                Inst::Read { tensor, .. } => Some(*tensor),
                _ => None,
            };
            let used = store.body.insts.iter().filter_map(read).collect();
            found.push(VectorLoop { axis: l.axis.clone(), made: vec![store.buffer], used });
        }
    }
}
