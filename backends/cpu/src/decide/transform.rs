//! Small linear transforms of tiles: chains of stages over the same tiles and channels, each with short axes
//! of its own (Winograd's input and output transforms, with the elementwise stages behind them).
//!
//! A vector of channels of one tile goes through all stages before the next one: the stages are merged over
//! tiles and channels, their own axes are unrolled, and all values between them are in registers. Images with
//! sides that are no multiple of a tile's are written under guards.

use super::{
    operand::work,
    plan::Plan,
    refusal::{OrRefuse, Planned, refuse},
    stages::{Stage, StageAxis, shared_axes, stride},
};
use mlcc_ir::{
    Name,
    expr::Interval,
    kernel::{Kernel, Role},
    nest::{LoopNest, Mapping, Node, Space, names::AxisName},
    scalar::Inst,
};
use mlcc_machine::Machine;
use mlcc_passes::schedule::Step;

/// Longest axis of a stage's own.
const MAX_OWN: i64 = 8;
/// Fewest stages: shorter chains are elementwise kernels.
const MIN_STAGES: usize = 3;
/// Nanoseconds of a parallel tile if the units of [`work`] were multiply-adds at the peak.
const TILE_TIME: u64 = 18_000;

/// The plan.
pub(super) fn plan(kernel: &Kernel, naive: &LoopNest, machine: &Machine) -> Planned<Plan> {
    let elementwise = kernel.computes.iter().all(|c| !c.is_reduction() && c.combine.is_none());
    if !elementwise || kernel.computes.len() < MIN_STAGES {
        return refuse("it is no chain of elementwise stages");
    }
    let mut plan = Plan::new(kernel, naive.clone());
    // Stages over whole images follow those over tiles.
    for (name, side) in tiled_axes(&plan)? {
        for stage in plan.unmerged()? {
            if stage.axes.iter().any(|a| a.name == name) {
                plan.step(Step::Split { axis: stage.full(&name), factor: side })?;
            }
        }
    }
    let all = plan.unmerged()?;
    let shared = shared_axes(&all);
    let last = all.last().or_refuse("it computes nothing")?;
    let lanes_axis = shared.iter().find(|a| {
        stride(&plan.nest.buffers[last.store.buffer], &last.store.index, &last.full(a))
            .is_some_and(|s| s.is(1))
    });
    let lanes_axis = lanes_axis.or_refuse("its stages share no contiguous axis")?;
    let short = |s: &Stage| {
        let own = s.axes.iter().filter(|a| !shared.contains(&a.name));
        own.clone().count() <= 2 && own.clone().all(|a| most(a) <= MAX_OWN)
    };
    if shared.len() < 2 || !all.iter().all(short) || !all.iter().any(|s| s.axes.len() > shared.len()) {
        return refuse("its stages have no short axes of their own");
    }
    let lanes = i64::from(machine.lanes(plan.nest.buffers[last.store.buffer].dtype.size()));
    let vector = lanes_axis.clone();
    let tiles = shared.iter().filter(|a| **a != vector).cloned().collect();
    let tile_work = machine.work_in(TILE_TIME);
    let mut template = Transform { plan, tiles, vector, lanes, tile_work };
    template.run()?;
    Ok(template.plan)
}

/// Axes along which a stage reads tensors that others write in tiles, with the tile's side: `t[4 o + i]` is
/// written and `t[h]` read.
fn tiled_axes(plan: &Plan) -> Planned<Vec<(AxisName, i64)>> {
    let all = plan.unmerged()?;
    let mut found: Vec<(AxisName, i64)> = Vec::new();
    for reader in &all {
        for (inst, _) in &reader.store.body.insts {
            let Inst::Read { tensor, index, .. } = inst else { continue };
            let temporary = plan.nest.buffers[*tensor].role == Role::Temporary;
            for writer in all.iter().filter(|w| temporary && w.store.buffer == *tensor) {
                for (read, written) in index.iter().zip(&writer.store.index) {
                    let side = writer.axes.iter().find_map(|a| {
                        let side = written.split_axis(&writer.full(&a.name))?.0.as_const()?;
                        (side > 1).then_some(side)
                    });
                    let plain = read.as_axis().and_then(|a| reader.name.own(a));
                    if let (Some(side), Some(name)) = (side, plain)
                        && reader.axes.iter().any(|a| a.name == name && a.count > side)
                        && !found.iter().any(|(n, _)| *n == name)
                    {
                        found.push((name, side));
                    }
                }
            }
        }
    }
    Ok(found)
}

/// The largest number of points of an axis; the last tile may have fewer.
fn most(a: &StageAxis) -> i64 {
    a.extent.interval(&|_| Interval::ALL).high.unwrap_or(a.count)
}

struct Transform {
    plan: Plan,
    /// Shared axes that run outside, outermost first.
    tiles: Vec<AxisName>,
    /// The shared axis that runs in vectors.
    vector: AxisName,
    lanes: i64,
    /// Work of a parallel tile, in the units of [`work`].
    tile_work: i64,
}

impl Transform {
    fn run(&mut self) -> Planned<()> {
        let all = self.plan.unmerged()?;
        let extent = |name: &AxisName| all[0].axes.iter().find(|a| a.name == *name).map_or(1, |a| a.count);
        let mut counts: Vec<i64> = self.tiles.iter().map(extent).collect();
        let channels = extent(&self.vector);
        let points = |s: &Stage| s.axes.iter().fold(1i64, |n, a| n.saturating_mul(most(a)));
        let total = all.iter().fold(0i64, |n, s| n.saturating_add(points(s).saturating_mul(work(s))));
        let own: Vec<Vec<AxisName>> = all
            .iter()
            .map(|s| {
                let shared = |n: &AxisName| self.tiles.contains(n) || *n == self.vector;
                s.axes.iter().map(|a| a.name.clone()).filter(|n| !shared(n)).collect()
            })
            .collect();
        // Vectors of the vector axis inside, blocks of it with the tiles.
        let mut outer = self.tiles.clone();
        let mut inner = self.vector.clone();
        if channels > self.lanes {
            self.plan.split(&self.vector, self.lanes)?;
            outer.push(self.vector.outer());
            inner = self.vector.inner();
            counts.push((channels + self.lanes - 1) / self.lanes);
        }
        let names = self.plan.stages.clone();
        for (name, own) in names.iter().zip(&own) {
            let order = outer.iter().chain(own).chain([&inner]);
            self.plan.step(Step::Reorder { axes: order.map(|a| name.axis(a)).collect() })?;
        }
        let first = &names[0];
        self.plan.merge(&outer, first)?;
        for (name, own) in names.iter().zip(&own) {
            for a in own.iter().chain([&inner]) {
                self.plan.step(Step::Predicate { axis: name.axis(a), multiple: 1 })?;
            }
        }
        self.join_neighbours(&own);
        for (name, own) in names.iter().zip(&own) {
            for a in own {
                // An axis that joined another stage's is gone.
                self.plan.attempt(Step::Unroll { axis: name.axis(a) });
            }
            self.plan.step(Step::Vectorize { axis: name.axis(&inner), lanes: self.lanes as u32 })?;
        }
        self.place();
        let tiles = counts.iter().fold(1i64, |n, c| n.saturating_mul(*c)).max(1);
        let axes: Vec<(Name, i64)> = outer.iter().map(|a| first.axis(a)).zip(counts).collect();
        self.plan.parallelize(&axes, (total / tiles).max(1), self.tile_work);
        if !self.vectors_are_whole() {
            return refuse("what lies between its stages does not fit registers");
        }
        Ok(())
    }

    /// Joins the outermost own axis of neighbouring stages if one needs only values that the other has just
    /// made, so that fewer values are alive.
    fn join_neighbours(&mut self, own: &[Vec<AxisName>]) {
        let mut head = 0;
        for at in 1..self.plan.stages.len() {
            let joined = match (own[head].first(), own[at].first()) {
                (Some(a), Some(b)) if a == b => {
                    let (into, from) = (self.plan.stages[head].axis(a), self.plan.stages[at].axis(b));
                    self.plan.attempt(Step::Merge { into, from })
                }
                _ => false,
            };
            if !joined {
                head = at;
            }
        }
    }

    /// Places the values between the stages in registers.
    fn place(&mut self) {
        let temporaries: Vec<Name> = self
            .plan
            .nest
            .buffers
            .iter()
            .filter(|b| b.role == Role::Temporary && b.space == Space::Scratch)
            .map(|b| b.name.clone())
            .collect();
        for buffer in temporaries {
            self.plan.attempt(Step::Place { buffer, space: Space::Register });
        }
    }

    /// Whether everything inside is unrolled, as registers require.
    fn vectors_are_whole(&self) -> bool {
        let registers = self.plan.nest.buffers.iter().any(|b| b.space == Space::Register);
        let mut serial_inside = false;
        self.plan.nest.visit(&mut |n| {
            if let Node::Loop(l) = n
                && l.mapping == Mapping::Serial
                && l.body
                    .iter()
                    .all(|n| matches!(n, Node::Loop(l) if matches!(l.mapping, Mapping::Vector(_))))
                && l.body.len() == 1
            {
                serial_inside = true;
            }
        });
        registers && !serial_inside
    }
}
