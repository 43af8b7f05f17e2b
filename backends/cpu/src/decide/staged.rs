//! Steps on all stages of a nest. The stages stand beside each other at first, and are merged axis by axis
//! into the loops of one of them.

use super::{
    plan::Plan,
    refusal::{OrRefuse, Planned},
    stages::{Stage, StageAxis, estimate},
};
use mlcc_ir::{
    Name,
    diagnostic::Result,
    kernel::{Compute, Kernel, Role},
    nest::{
        Loop, Mapping, Node, Store,
        names::{AxisName, Purpose, StageName, copied},
    },
};
use mlcc_passes::schedule::Step;
use std::ops::Range;

/// Names of the stages that the kernel's naive nest has, in order.
pub(super) fn stage_names(kernel: &Kernel) -> Vec<StageName> {
    let mut names = Vec::new();
    for c in &kernel.computes {
        if c.is_reduction() {
            names.push(StageName::new(&c.name, Purpose::Initial));
        }
        names.push(StageName::new(&c.name, Purpose::Values));
    }
    names
}

impl Plan {
    /// The stages while they stand beside each other as perfect nests. The stage that stays apart comes
    /// first.
    pub(super) fn unmerged(&self) -> Planned<Vec<Stage>> {
        let names = || self.apart.iter().chain(&self.stages);
        let fits = self.nest.body.len() == names().count();
        let perfect = |(name, node)| self.perfect(name, node);
        let all = fits.then(|| names().zip(&self.nest.body).map(perfect).collect::<Option<_>>());
        all.flatten().or_refuse("its stages are no perfect nests")
    }

    fn perfect(&self, name: &StageName, mut node: &Node) -> Option<Stage> {
        let mut axes = Vec::new();
        loop {
            match node {
                Node::Loop(l) => {
                    axes.push(self.axis(name, l)?);
                    let [inner] = &l.body[..] else { return None };
                    node = inner;
                }
                Node::Store(s) => return Some(Stage { name: name.clone(), axes, store: s.clone() }),
                Node::Tile(_) | Node::Barrier => return None,
            }
        }
    }

    fn axis(&self, stage: &StageName, l: &Loop) -> Option<StageAxis> {
        Some(StageAxis {
            name: stage.own(&l.axis)?,
            extent: l.extent.clone(),
            count: estimate(&l.extent, &self.nest.ranges),
            reduced: l.mapping == Mapping::Reduction,
        })
    }

    /// The stages inside of merged loops. The innermost loop around a store tells its stage. The stage's axes
    /// are those of its own that run one after the other.
    pub(super) fn merged(&self) -> Vec<Stage> {
        let mut found = Vec::new();
        self.collect(&self.nest.body, &mut Vec::new(), &mut found);
        found
    }

    fn collect<'n>(&'n self, nodes: &'n [Node], around: &mut Vec<&'n Loop>, found: &mut Vec<Stage>) {
        for node in nodes {
            match node {
                Node::Loop(l) => {
                    around.push(l);
                    self.collect(&l.body, around, found);
                    around.pop();
                }
                Node::Store(store) => found.extend(self.merged_stage(around, store)),
                Node::Tile(_) | Node::Barrier => {}
            }
        }
    }

    fn merged_stage(&self, around: &[&Loop], store: &Store) -> Option<Stage> {
        let of = |l: &Loop| StageName::with_axis(&self.stages, &l.axis);
        let name = of(around.last()?)?;
        let serial = |l: &&&Loop| matches!(l.mapping, Mapping::Serial | Mapping::Reduction);
        let own = around.iter().filter(|l| of(l) == Some(name)).filter(serial);
        let axes = own.filter_map(|l| self.axis(name, l)).collect();
        Some(Stage { name: name.clone(), axes, store: store.clone() })
    }

    /// Lets a reduction accumulate in a temporary, which may then be in registers. A stage behind it stores
    /// the output.
    pub(super) fn accumulate_in_temporary(&mut self, kernel: &Kernel, compute: &Compute) -> Result<()> {
        let target = &kernel.tensors[compute.target].name;
        self.step(Step::CacheWrite { buffer: target.clone() })?;
        if let Some(at) = self.position(&StageName::new(&compute.name, Purpose::Values)) {
            self.stages.insert(at + 1, StageName::new(target, Purpose::Store));
        }
        Ok(())
    }

    /// The same if the reduction's target is an output.
    pub(super) fn accumulate_output(&mut self, kernel: &Kernel, compute: &Compute) -> Result<()> {
        match kernel.tensors[compute.target].role {
            Role::Output => self.accumulate_in_temporary(kernel, compute),
            _ => Ok(()),
        }
    }

    /// The position of a stage among the merged ones.
    pub(super) fn position(&self, stage: &StageName) -> Option<usize> {
        self.stages.iter().position(|s| s == stage)
    }

    /// The same step in all merged stages.
    pub(super) fn in_each(&self, step: impl Fn(&StageName) -> Step) -> Vec<Step> {
        self.stages.iter().map(step).collect()
    }

    /// Takes several steps.
    pub(super) fn take(&mut self, steps: Vec<Step>) -> Result<()> {
        steps.into_iter().try_for_each(|step| self.step(step))
    }

    /// Splits an axis in all stages.
    pub(super) fn split(&mut self, axis: &AxisName, factor: i64) -> Result<()> {
        self.take(self.in_each(|s| Step::Split { axis: s.axis(axis), factor }))
    }

    /// Brings all stages' axes into an order. In the stage `main`, axes that only this stage has come in
    /// front of the last `behind` ones.
    pub(super) fn reorder(
        &mut self,
        order: &[AxisName],
        main: &StageName,
        (own, behind): (&[AxisName], usize),
    ) -> Result<()> {
        let axes_of = |s: &StageName| {
            let (before, after) = order.split_at(order.len() - behind);
            let own = if s == main { own } else { &[] };
            before.iter().chain(own).chain(after).map(|a| s.axis(a)).collect::<Vec<_>>()
        };
        let orders = self.stages.iter().map(axes_of).filter(|axes| axes.len() > 1);
        self.take(orders.map(|axes| Step::Reorder { axes }).collect())
    }

    /// Steps that merge the loops of stages over an axis into that of the stage `into`, the nearest ones first.
    pub(super) fn merges(&self, stages: Range<usize>, into: usize, axis: &AxisName) -> Vec<Step> {
        let others = (stages.start..into).rev().chain(into + 1..stages.end);
        let into = &self.stages[into];
        others.map(|s| Step::Merge { into: into.axis(axis), from: self.stages[s].axis(axis) }).collect()
    }

    /// Merges all stages' loops over axes, which are outermost, into those of the stage `into`.
    pub(super) fn merge(&mut self, axes: &[AxisName], into: &StageName) -> Planned<()> {
        let at = self.position(into).or_refuse("the stage that the others are merged into is gone")?;
        for axis in axes {
            self.take(self.merges(0..self.stages.len(), at, axis))?;
        }
        Ok(())
    }

    /// Copies an operand into a panel inside the loop over `at`, and returns the axes along which it is filled.
    pub(super) fn copy_into_panel(&mut self, buffer: Name, at: Name, axes: &[Name]) -> Planned<Vec<Name>> {
        self.step(Step::CacheRead { buffer, at, axes: axes.to_vec() })?;
        let panel = &self.nest.buffers.last().or_refuse("there is no panel")?.name;
        Ok(axes.iter().map(|a| copied(panel, a)).collect())
    }

    /// Vectors of a stage in front of or behind a register tile, over the tile's columns; its rows are unrolled if they
    /// are `light`.
    pub(super) fn beside_tile(
        &mut self,
        stage: &StageName,
        (row, column): (Option<&AxisName>, &AxisName),
        light: bool,
        lanes: i64,
    ) -> Result<()> {
        if let Some(row) = row {
            self.step(Step::Predicate { axis: stage.axis(row), multiple: 1 })?;
            if light {
                self.attempt(Step::Unroll { axis: stage.axis(row) });
            }
        }
        // The micro-kernel adds to whole vectors, so they begin as the identity.
        let multiple = if stage.is_initial() { lanes } else { 1 };
        self.step(Step::Predicate { axis: stage.axis(column), multiple })?;
        self.step(Step::Vectorize { axis: stage.axis(column), lanes: lanes as u32 })
    }
}
