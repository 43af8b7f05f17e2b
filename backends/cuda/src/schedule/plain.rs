//! The mapping for all other kernels: a thread for each point of the axes along which the whole kernel is
//! provably independent. Everything else runs within the thread, one stage after the other.
//!
//! ```text
//! for block in 0..ceildiv(points, 256) on block 0
//!   for thread in 0..256 on thread 0
//!     for i in 0..6, j in 0..6: patch[i, j] = x[.., h * 4 + i, w * 4 + j]      patch is the thread's own
//!     for i in 0..6, j in 0..6: if block * 256 + thread < points: y[.., i, j] = patch[..] - patch[..]
//! ```
//!
//! Temporaries keep the dimensions that do not number points, so these must be small constants.

use super::{
    build::{Coordinates, NestBuilder, Place, for_each, loops_over, size, unflatten, where_less},
    numbers::Numbers,
    points::reduce_in_thread,
    rows::Rows,
};
use mlcc_ir::{
    diagnostic::Result,
    expr::Expr,
    kernel::{Axis, AxisKind, Kernel, Role},
    nest::{LoopNest, Mapping, Node, Space, Store},
};
use mlcc_passes::schedule::Decision;

const THREADS: i64 = 256;
/// Memory of a thread for temporaries, in bytes.
const THREAD_BYTES: i64 = 16 << 10;

/// A kernel whose points are known.
pub(super) struct Plain(Rows);

impl Plain {
    /// The kernel with the largest possible number of points; `None` if its temporaries are too large for a
    /// thread.
    pub(super) fn of(kernel: &Kernel) -> Option<Plain> {
        let candidates = (0..kernel.computes.len()).map(|c| Rows::separable(kernel, c));
        // The first of those with the most axes.
        let best = candidates.min_by_key(|rows| std::cmp::Reverse(rows.axes.len()))?;
        best.fit(THREAD_BYTES).map(Plain)
    }

    /// Whether a block would not be full.
    pub(super) fn is_small(&self) -> bool {
        size(&self.0.axes).as_const().is_some_and(|n| n < THREADS)
    }

    /// The nest; `None` if a compute has no form in a thread.
    pub(super) fn schedule(&self, numbers: &Numbers) -> Result<Option<(Decision, LoopNest)>> {
        let rows = &self.0;
        let threads = numbers.threads.unwrap_or(THREADS);
        let mut builder = NestBuilder::new(&rows.kernel)?;
        let linear = Expr::axis("block") * Expr::from(threads) + Expr::axis("thread");
        let points = size(&rows.axes);
        let mut nodes = Vec::new();
        for c in 0..rows.kernel.computes.len() {
            let Some(stage) = self.stage(&mut builder, c, &linear, &points) else { return Ok(None) };
            nodes.extend(stage);
        }
        let body = for_each("thread", threads, Mapping::Thread(0), nodes);
        let blocks = points.ceil_div(&Expr::from(threads));
        let body = for_each("block", blocks, Mapping::Block(0), vec![body]);
        Ok(Some((Decision::of_numbers("plain", &[("threads", &threads)]), builder.finish(vec![body]))))
    }

    /// A compute at the point of the thread.
    fn stage(
        &self,
        builder: &mut NestBuilder<'_>,
        c: usize,
        linear: &Expr,
        points: &Expr,
    ) -> Option<Vec<Node>> {
        let rows = &self.0;
        let compute = &rows.kernel.computes[c];
        let target = &rows.kernel.tensors[compute.target];
        let dtype = target.ty.dtype;
        if target.role == Role::Temporary && builder.place(compute.target).is_none() {
            let is_inner = |d: &usize| !rows.dims[compute.target].contains_key(d);
            let kept: Vec<usize> = (0..target.ty.rank()).filter(is_inner).collect();
            let dims: Vec<Expr> = kept.iter().map(|&d| target.ty.dims[d].clone()).collect();
            let buffer = builder.buffer(&target.name, dtype, &dims, Space::Register);
            builder.put(compute.target, Place { buffer, kept, suffix: Vec::new() });
        }
        let mut at_rows = Coordinates::new();
        unflatten(&rows.axes, linear, &mut at_rows);
        let mut at: Coordinates = rows.at[c]
            .iter()
            .map(|(name, row)| (name.clone(), at_rows[&rows.axes[*row].name].clone()))
            .collect();
        let inner = |reduced: bool| -> Vec<Axis> {
            let of_kind = |a: &&Axis| (a.kind == AxisKind::Reduction) == reduced;
            let left = |a: &&Axis| !rows.at[c].contains_key(&a.name);
            compute.axes.iter().filter(of_kind).filter(left).cloned().collect()
        };
        let guarded = |store: Store| Node::Store(where_less(store, linear, points));
        loops_over(&compute.name, &inner(false), Mapping::Serial, &mut at, |at| {
            if compute.is_reduction() {
                return reduce_in_thread(builder, (compute, &inner(true)), dtype, at, &guarded);
            }
            let body = builder.body(&compute.body, at)?;
            Some(vec![guarded(builder.store(compute, body, at)?)])
        })
    }
}
