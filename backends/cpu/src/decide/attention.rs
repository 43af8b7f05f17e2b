//! Attention: scores, softmax over the keys and the weighted sum of values, as one nest.
//!
//! A block of queries runs through all stages while its scores lie in scratch memory. The second cache holds
//! them for some thousand keys, and no tensor of queries by keys is ever in main memory. Lanes are queries
//! throughout. Scores are computed as keys times queries, from the keys where they lie and a small panel of
//! transposed queries. So maximum, exponentials and sum over the keys are vertical, and the second product
//! reads the weights of a key for neighbouring queries as broadcast scalars.
//!
//! ```text
//! parallel batch, heads, blocks of queries
//!   panel[k, q] = queries[q, k]
//!   for blocks of keys: tile scores[key, q] += keys[key, k] * panel[k, q]; scale, mask
//!   max[q], exp[key, q] in the place of the scores, sum[q]
//!   for rows of queries: tile values[q, d] += exp[key, q] * v[key, d]; times 1 / sum[q]
//! ```
//!
//! Source: the blocking over queries of Dao et al., "FlashAttention". Its blocks of keys and their
//! corrections are not needed, since a row of scores fits the cache of a CPU.

use super::{
    operand::work,
    plan::Plan,
    refusal::{OrRefuse, Planned, refuse},
    register_tile::{choose, rows_for},
    stages::{Stage, shared_axes, stride},
};
use mlcc_ir::{
    Name,
    kernel::{Kernel, Role},
    nest::{
        LoopNest, Space,
        names::{AxisName, StageName},
    },
    product::{Element, Product, Side},
    scalar::Inst,
};
use mlcc_machine::Machine;
use mlcc_passes::schedule::Step;

/// Nanoseconds of a parallel tile at the multiply-add peak: many times the cost of handing one out.
const TILE_TIME: u64 = 36_000;
/// Most vectors of queries in a block.
const MAX_VECTORS: i64 = 4;
/// Greatest work per element of an epilogue that is unrolled over a tile's rows.
const LIGHT: i64 = 12;

/// The plan.
pub(super) fn plan(kernel: &Kernel, naive: &LoopNest, machine: &Machine) -> Planned<Plan> {
    let mut template = Attention::recognise(kernel, naive, machine)?;
    template.decide()?;
    Ok(template.plan)
}

struct Attention<'a> {
    machine: &'a Machine,
    plan: Plan,
    /// The two products' positions among the stages.
    scores: usize,
    values: usize,
    /// Number of stages from the first on that make the scores, epilogue included.
    scored: usize,
    batch: Vec<AxisName>,
    query: AxisName,
    key: AxisName,
    /// The reduction of the first product, and the columns of the second.
    depth: AxisName,
    feature: AxisName,
    /// Buffer of the queries.
    queries: Name,
    lanes: i64,
}

/// The stage as a sum of products of two elements that are never out of bounds.
fn sum(stage: &Stage) -> Option<(Product<'_>, [Element<'_>; 2])> {
    let product = stage.product().filter(Product::is_sum)?;
    let elements = product.bare()?.map(|e| *e);
    elements.iter().all(|e| e.outside.is_none()).then_some((product, elements))
}

/// The only axis of a list.
fn only(mut list: Vec<AxisName>) -> Option<AxisName> {
    if list.len() == 1 { list.pop() } else { None }
}

impl<'a> Attention<'a> {
    fn recognise(kernel: &Kernel, naive: &LoopNest, machine: &'a Machine) -> Planned<Attention<'a>> {
        let mut plan = Plan::new(kernel, naive.clone());
        // Scores without further work are summed in a tile of their own and stored as well.
        if plan.stages.get(2).is_some_and(StageName::is_initial) {
            plan.accumulate_in_temporary(kernel, &kernel.computes[0])?;
        }
        let all = plan.unmerged()?;
        let is_product =
            |s: &Stage| sum(s).is_some() && plan.nest.buffers[s.store.buffer].role == Role::Temporary;
        let products: Vec<usize> = (0..all.len()).filter(|&s| is_product(&all[s])).collect();
        let &[scores, values] = &products[..] else { return refuse("it is not two products") };
        // The first product's initialisation is the first stage. The second product's lies right before that
        // product.
        if scores != 1 || values < 3 {
            return refuse("nothing stands between its two products");
        }
        let dtype = plan.nest.buffers[all[scores].store.buffer].dtype;
        let reduced = |s: &Stage| s.axes.iter().filter(|a| a.reduced).map(|a| a.name.clone()).collect();
        let depth =
            only(reduced(&all[scores])).or_refuse("its first product has several axes to sum over")?;
        let key = only(reduced(&all[values])).or_refuse("its second product has several axes to sum over")?;
        let shared = shared_axes(&all);
        let own = |s: &Stage| -> Vec<AxisName> {
            let free = s.axes.iter().filter(|a| !a.reduced && !shared.contains(&a.name));
            free.map(|a| a.name.clone()).collect()
        };
        let feature = only(own(&all[values])).or_refuse("its results have several axes of features")?;
        if only(own(&all[scores])).as_ref() != Some(&key) {
            return refuse("its second product does not sum over the keys of the first");
        }
        // Queries do not depend on the axis of keys, but keys do.
        let s = &all[scores];
        let (product, elements) = sum(s).or_refuse("its first stage is no product")?;
        let keys = product.only(&s.full(&key)).or_refuse("keys and queries are not apart")?;
        let (q, k) = (elements[1 - keys], elements[keys]);
        let query = shared.iter().rfind(|a| product.side(&s.full(a)) == Side::Only(1 - keys));
        let query = query.or_refuse("it has no axis of queries")?.clone();
        let v = &all[values];
        let (product, elements) = sum(v).or_refuse("its last stage is no product")?;
        let values_at = usize::from(!product.depends(0, &v.full(&feature)));
        let (p, w) = (elements[1 - values_at], elements[values_at]);
        let fits = plan.nest.buffers[p.tensor].role == Role::Temporary
            && product.side(&v.full(&query)) == Side::Only(1 - values_at)
            && stride(&plan.nest.buffers[w.tensor], w.index, &v.full(&feature)).is_some_and(|s| s.is(1))
            && [q, k, w].iter().all(|e| plan.nest.buffers[e.tensor].role == Role::Input)
            && [k, w].iter().all(|e| e.tensor != q.tensor)
            && [q, k, w, p].iter().all(|e| e.dtype == dtype);
        if !fits {
            return refuse("its operands are not those of attention");
        }
        let scored = (scores + 1..all.len()).find(|&s| plan.stages[s].is_initial());
        let scored = scored.or_refuse("nothing is summed over the scores")?;
        let batch = shared.iter().filter(|a| **a != query).cloned().collect();
        let queries = plan.nest.buffers[q.tensor].name.clone();
        let lanes = i64::from(machine.lanes(dtype.size()));
        Ok(Attention {
            machine,
            plan,
            scores,
            values,
            scored,
            batch,
            query,
            key,
            depth,
            feature,
            queries,
            lanes,
        })
    }

    fn full(&self, stage: usize, name: &AxisName) -> Name {
        self.plan.stages[stage].axis(name)
    }

    fn count(&self, all: &[Stage], stage: usize, name: &AxisName) -> (i64, bool) {
        let axis = all[stage].axes.iter().find(|a| a.name == *name);
        axis.map_or((1, true), |a| (a.count, a.extent.as_const().is_some()))
    }

    fn step(&mut self, step: Step) -> Planned<()> {
        Ok(self.plan.step(step)?)
    }

    /// Vectors of queries in a block: few lanes beyond the last query, and wide tiles.
    fn vectors(&self, queries: i64, fixed: bool) -> i64 {
        if !fixed {
            return MAX_VECTORS;
        }
        let cost = |v: i64| {
            let block = v * self.lanes;
            (queries + block - 1) / block * block * (16 * v + 1) / v
        };
        (1..=MAX_VECTORS).min_by_key(|&v| (cost(v), -v)).unwrap_or(MAX_VECTORS)
    }

    fn decide(&mut self) -> Planned<()> {
        let all = self.plan.unmerged()?;
        let (queries, fixed) = self.count(&all, self.scores, &self.query);
        let (keys, _) = self.count(&all, self.scores, &self.key);
        let (depth, _) = self.count(&all, self.scores, &self.depth);
        let (features, _) = self.count(&all, self.values, &self.feature);
        let vectors = self.vectors(queries, fixed);
        let block = vectors * self.lanes;
        let counts: Vec<i64> = self.batch.iter().map(|b| self.count(&all, self.scores, b).0).collect();

        self.queries_innermost(&all)?;
        self.block_queries(block)?;
        self.panels()?;
        self.score_tiles(vectors, keys)?;
        self.rows()?;
        self.value_tiles(block.min(queries), features)?;
        let mut axes: Vec<(Name, i64)> =
            self.batch.iter().map(|b| self.full(self.scores, b)).zip(counts).collect();
        let blocks = (queries + block - 1) / block;
        axes.push((self.full(self.scores, &self.query.outer()), blocks));
        self.plan.parallelize(&axes, block * keys * (depth + features), self.machine.work_in(TILE_TIME));
        Ok(())
    }

    /// Makes the query the last dimension of all tensors up to the weights.
    fn queries_innermost(&mut self, all: &[Stage]) -> Planned<()> {
        let values_sum = all[self.values].store.buffer;
        let mut done = vec![values_sum];
        for stage in &all[..self.values] {
            let buffer = stage.store.buffer;
            if done.contains(&buffer) {
                continue;
            }
            done.push(buffer);
            let query = stage.full(&self.query);
            let at = stage.store.index.iter().position(|e| e.as_axis() == Some(&query));
            let at = at.or_refuse("a stage does not write along the queries")?;
            let rank = stage.store.index.len();
            if at + 1 < rank {
                let order = (0..rank).filter(|d| *d != at).chain([at]).map(|d| d as u32).collect();
                let buffer = self.plan.nest.buffers[buffer].name.clone();
                self.step(Step::Permute { buffer, dims: order })?;
            }
        }
        Ok(())
    }

    /// Blocks of queries outside of all stages.
    fn block_queries(&mut self, block: i64) -> Planned<()> {
        self.plan.split(&self.query, block)?;
        let (outer, inner) = (self.query.outer(), self.query.inner());
        for (s, stage) in self.plan.unmerged()?.iter().enumerate() {
            let mut order = self.batch.clone();
            order.push(outer.clone());
            let rest: Vec<AxisName> = stage
                .axes
                .iter()
                .map(|a| a.name.clone())
                .filter(|a| !order.contains(a) && *a != inner)
                .collect();
            // Lanes are queries up to the weights, and features in the second product.
            let lanes_inside = s + 1 < self.values;
            let (before, after): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|a| lanes_inside && *a != self.depth);
            order.extend(before);
            order.push(inner.clone());
            order.extend(after);
            if order.len() > 1 {
                self.step(Step::Reorder { axes: order.iter().map(|a| stage.full(a)).collect() })?;
            }
        }
        let mut shared = self.batch.clone();
        shared.push(outer);
        for name in shared {
            self.merge(&name, 0, self.plan.stages.len(), self.scores)?;
        }
        Ok(())
    }

    /// Merges the stages' loops over an axis into that of the stage `into`.
    fn merge(&mut self, name: &AxisName, from: usize, to: usize, into: usize) -> Planned<()> {
        Ok(self.plan.take(self.plan.merges(from..to, into, name))?)
    }

    /// Operands that lie across the lanes are copied into panels once for each block.
    fn panels(&mut self) -> Planned<()> {
        let at = self.full(self.scores, &self.query.outer());
        let inner = self.query.inner();
        let axes = vec![self.full(self.scores, &self.depth), self.full(self.scores, &inner)];
        self.panel(self.queries.clone(), at.clone(), axes)?;
        // Masks: tensors that the stages before the second product read along the lanes.
        let mut reads: Vec<(StageName, Name)> = Vec::new();
        let all = self.plan.merged();
        for stage in all.iter().filter(|s| self.plan.stages[..self.values].contains(&s.name)) {
            for (inst, _) in &stage.store.body.insts {
                if let Inst::Read { tensor, index, outside: None } = inst {
                    let buffer = &self.plan.nest.buffers[*tensor];
                    let across = stride(buffer, index, &stage.full(&inner));
                    let uses_key = index.iter().any(|e| e.uses_axis(&stage.full(&self.key)));
                    let apart = across.is_none_or(|s| !s.is(0) && !s.is(1));
                    if buffer.role == Role::Input
                        && stage.name != self.plan.stages[self.scores]
                        && apart
                        && uses_key
                    {
                        reads.push((stage.name.clone(), buffer.name.clone()));
                    }
                }
            }
        }
        for (stage, buffer) in reads {
            let axes = vec![stage.axis(&self.key), stage.axis(&inner)];
            // An operand that is read in several ways stays in place.
            let mut trial = self.plan.clone();
            std::mem::swap(&mut trial, &mut self.plan);
            if self.panel(buffer, at.clone(), axes).is_err() {
                self.plan = trial;
            }
        }
        Ok(())
    }

    /// Copies an operand into a panel, so that neighbouring elements go to neighbouring rows.
    fn panel(&mut self, buffer: Name, at: Name, axes: Vec<Name>) -> Planned<()> {
        let copied = self.plan.copy_into_panel(buffer, at, &axes)?;
        let [row, column] = [copied[0].clone(), copied[1].clone()];
        self.step(Step::Reorder { axes: vec![column.clone(), row] })?;
        self.step(Step::Vectorize { axis: column, lanes: self.lanes as u32 })
    }

    /// Tiles of keys by queries, and the stages that work on the scores.
    fn score_tiles(&mut self, vectors: i64, keys: i64) -> Planned<()> {
        let rows = rows_for(self.machine, vectors, keys);
        for s in 0..self.scored {
            self.step(Step::Split { axis: self.full(s, &self.key), factor: rows })?;
        }
        let (outer, row) = (self.key.outer(), self.key.inner());
        self.merge(&outer, 0, self.scored, self.scores)?;
        let lane = self.query.inner();
        self.tile(self.scores, (&row, &lane, &self.depth.clone()), (0, self.scored))
    }

    /// Turns a product into a micro-kernel, and the stages around it into vectors.
    fn tile(
        &mut self,
        product: usize,
        (m, n, k): (&AxisName, &AxisName, &AxisName),
        (from, to): (usize, usize),
    ) -> Planned<()> {
        let stages = self.plan.merged();
        let stage = stages.iter().find(|s| s.name == self.plan.stages[product]);
        let acc = stage.or_refuse("a product is gone")?.store.buffer;
        let buffer = self.plan.nest.buffers[acc].name.clone();
        self.step(Step::Place { buffer, space: Space::Register })?;
        let [m_axis, n_axis, k_axis] = [m, n, k].map(|a| self.full(product, a));
        let lanes = self.lanes as u32;
        self.step(Step::Reorder { axes: vec![m_axis.clone(), n_axis.clone(), k_axis.clone()] })?;
        self.step(Step::Tensorize { m: m_axis, n: n_axis, k: k_axis, lanes })?;
        for s in (from..to).filter(|s| *s != product) {
            let name = self.plan.stages[s].clone();
            let light = stages.iter().find(|s| s.name == name).is_none_or(|s| work(s) <= LIGHT);
            self.plan.beside_tile(&name, (Some(m), n), light, self.lanes)?;
        }
        Ok(())
    }

    /// Maximum, exponentials, sum: vectors of queries, the weights in the place of the scores.
    fn rows(&mut self) -> Planned<()> {
        let lane = self.query.inner();
        for s in self.scored..self.values - 1 {
            self.step(Step::Predicate { axis: self.full(s, &lane), multiple: self.lanes })?;
            self.step(Step::Vectorize { axis: self.full(s, &lane), lanes: self.lanes as u32 })?;
        }
        let all = self.plan.merged();
        let softmax = &self.plan.stages[self.scored..self.values - 1];
        let (rows, others): (Vec<_>, Vec<_>) = all.iter().partition(|s| softmax.contains(&s.name));
        let read_later = |id: usize| {
            let mut insts = others.iter().flat_map(|s| &s.store.body.insts);
            insts.any(|(i, _)| matches!(i, Inst::Read { tensor, .. } if *tensor == id))
        };
        let mut registers: Vec<Name> = Vec::new();
        let mut aliases: Vec<(Name, Name)> = Vec::new();
        for Stage { store, .. } in rows {
            let buffer = &self.plan.nest.buffers[store.buffer];
            if buffer.dims.len() == 1 && !read_later(store.buffer) && !registers.contains(&buffer.name) {
                registers.push(buffer.name.clone());
            }
            for (inst, _) in &store.body.insts {
                if let Inst::Read { tensor, .. } = inst
                    && self.plan.nest.buffers[*tensor].dims == buffer.dims
                    && buffer.dims.len() > 1
                {
                    aliases.push((buffer.name.clone(), self.plan.nest.buffers[*tensor].name.clone()));
                }
            }
        }
        for buffer in registers {
            self.plan.attempt(Step::Place { buffer, space: Space::Register });
        }
        for (buffer, into) in aliases {
            self.plan.attempt(Step::Alias { buffer, into });
        }
        Ok(())
    }

    /// Tiles of queries by features.
    fn value_tiles(&mut self, block: i64, features: i64) -> Planned<()> {
        let tile = choose(self.machine, self.lanes, (&[block], Some(features)), 0);
        let columns = tile.vectors * self.lanes;
        let lane = self.query.inner();
        let (from, to) = (self.values - 1, self.plan.stages.len());
        let (row, column) = (lane.inner(), self.feature.inner());
        let outer = [lane.outer(), self.feature.outer()];
        for s in from..to {
            self.step(Step::Split { axis: self.full(s, &lane), factor: tile.rows })?;
            self.step(Step::Split { axis: self.full(s, &self.feature), factor: columns })?;
            let order = [&outer[1], &outer[0], &row, &column];
            self.step(Step::Reorder { axes: order.iter().map(|a| self.full(s, a)).collect() })?;
        }
        for name in [&outer[1], &outer[0]] {
            self.merge(name, from, to, self.values)?;
        }
        self.tile(self.values, (&row, &column, &self.key.clone()), (from, to))
    }
}
