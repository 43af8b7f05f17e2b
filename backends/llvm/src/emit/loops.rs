//! Loops: serial ones, unrolled ones, the parallel range, vector axes.

use super::{Binding, Emitter, VectorStep, builder::Val, reduction};
use mlcc_ir::{
    diagnostic::Result,
    expr::{Expr, Interval},
    nest::{Loop, Mapping, Node},
};

/// The most copies of a body that unrolling may make.
const MAX_UNROLL: i64 = 1024;
/// Vectors of one vector axis that are emitted one after the other rather than in a loop.
const STRAIGHT_VECTORS: i64 = 4;
/// Accumulators of a long reduction: the latency of an addition times the number of additions that
/// start per cycle.
const ACCUMULATORS: usize = 4;
/// Lanes beyond which LLVM's legalisation explodes.
const MAX_LANES: u32 = 64;

fn upto(extent: &Interval) -> Interval {
    Interval { low: Some(0), high: extent.high.map(|h| h - 1) }
}

impl<'c> Emitter<'_, 'c> {
    /// The part of the outermost parallel loops that the caller asks for.
    pub(super) fn tiles(&mut self, [begin, end]: [Val<'c>; 2]) -> Result<()> {
        let nest = self.nest;
        let (mut loops, mut body) = (Vec::new(), &nest.body[..]);
        while let [Node::Loop(l)] = body
            && l.mapping == Mapping::Parallel
        {
            loops.push(l);
            body = &l.body;
        }
        let one = self.b.int(super::Kind::I64, 1, 1);
        let (region, ()) = self.region(true, |e, tile| match tile {
            Some(tile) => e.tile_axes(&loops, tile, body),
            None => Ok(()),
        })?;
        self.b.for_loop([begin, end, one], &[], region);
        Ok(())
    }

    /// Binds the parallel axes to the parts of the linear index, outermost first.
    fn tile_axes(&mut self, loops: &[&Loop], mut tile: Val<'c>, body: &[Node]) -> Result<()> {
        let mut bound = Vec::new();
        for (at, l) in loops.iter().enumerate().rev() {
            let extent = self.resolve(&l.extent);
            let range = upto(&self.interval(&extent));
            if at == 0 {
                bound.push((l.axis.clone(), Binding::Scalar(tile), range));
                break;
            }
            if extent.is(1) {
                bound.push((l.axis.clone(), Binding::Constant(0), range));
                continue;
            }
            let extent = self.scalar(&extent)?;
            let point = self.b.int_op("arith.remui", tile, extent);
            tile = self.b.int_op("arith.divui", tile, extent);
            bound.push((l.axis.clone(), Binding::Scalar(point), range));
        }
        bound.reverse();
        self.bind_all(&bound, body)
    }

    fn bind_all(&mut self, axes: &[(mlcc_ir::Name, Binding<'c>, Interval)], body: &[Node]) -> Result<()> {
        match axes {
            [] => self.nodes(body),
            [(name, binding, range), rest @ ..] => {
                self.with_axis((name, *binding, *range), |e| e.bind_all(rest, body))
            }
        }
    }

    pub(super) fn loop_node(&mut self, l: &Loop) -> Result<()> {
        let extent = self.resolve(&l.extent);
        if self.varies(&extent) {
            return Err(self.wrong(format!("the extent of '{}' differs between vector lanes", l.axis)));
        }
        let range = upto(&self.interval(&extent));
        match (l.mapping, extent.as_const()) {
            (_, Some(n)) if n <= 0 => Ok(()),
            (Mapping::Block(_) | Mapping::Thread(_), _) => {
                let point = self.platform.point(self.b, l.mapping)?;
                self.with_axis((&l.axis, Binding::Scalar(point), range), |e| e.nodes(&l.body))
            }
            (Mapping::Vector(lanes), _) if lanes > 1 => self.vector_loop(l, &extent, lanes),
            (_, Some(1)) => self.with_axis((&l.axis, Binding::Constant(0), range), |e| e.nodes(&l.body)),
            (Mapping::Unrolled, Some(n)) if n <= MAX_UNROLL => (0..n).try_for_each(|i| {
                let point = (&l.axis, Binding::Constant(i), Interval::new(i, i));
                self.with_axis(point, |e| e.nodes(&l.body))
            }),
            (Mapping::Unrolled, n) => Err(self.wrong(format!(
                "loop '{}' cannot be unrolled: {}",
                l.axis,
                n.map_or("its extent is not a constant".into(), |n| format!("{n} copies are too many"))
            ))),
            _ if self.transposing(l, &extent, range)? => Ok(()),
            _ => {
                let low = self.b.int(super::Kind::I64, 1, 0);
                let one = self.b.int(super::Kind::I64, 1, 1);
                let high = self.scalar(&extent)?;
                self.reductions.push(reduction::Scope::new(l, self.axes.len()));
                let (region, ()) = self.region(true, |e, i| match i {
                    Some(i) => e.with_axis((&l.axis, Binding::Scalar(i), range), |e| e.nodes(&l.body)),
                    None => Ok(()),
                })?;
                let scope = self.reductions.pop();
                self.begin_reductions(scope.as_ref());
                self.b.for_loop([low, high, one], &[], region);
                self.end_reductions(scope)
            }
        }
    }

    fn vector_loop(&mut self, l: &Loop, extent: &Expr, lanes: u32) -> Result<()> {
        if lanes > MAX_LANES {
            return Err(self.wrong(format!("axis '{}' has {lanes} lanes, more than {MAX_LANES}", l.axis)));
        }
        if let Some(outer) = &self.vector {
            let outer = outer.axis.clone();
            return Err(self.wrong(format!("vector axis '{}' inside vector axis '{outer}'", l.axis)));
        }
        let width = i64::from(lanes);
        let range = upto(&self.interval(extent));
        let index = |value| self.b.int(super::Kind::I64, 1, value);
        if let Some(n) = extent.as_const()
            && (n <= width * STRAIGHT_VECTORS || self.unrolls(l, (n + width - 1) / width))
        {
            for first in (0..n).step_by(lanes as usize) {
                let mask = (n - first < width).then(|| self.b.first_lanes(lanes, (n - first) as u32));
                let base = index(first);
                let range = Interval::new(first, (first + width).min(n) - 1);
                self.vector_step(l, (lanes, base, mask, 0), range)?;
            }
            return Ok(());
        }
        self.reductions.push(reduction::Scope::new(l, self.axes.len()));
        let reduces = reduction::reduces_over(l);
        // The first point that no loop over whole vectors reaches. The region of each loop is built
        // before the loop, so that reductions can be set up in front of the first loop.
        let n = self.scalar(extent)?;
        // A vector of several registers is already as many accumulators.
        let registers = (lanes * 32 / self.platform.vector_bits().max(32)).max(1) as usize;
        let accumulators = (ACCUMULATORS / registers).max(1);
        let long = width * accumulators as i64;
        let accumulators =
            if reduces && extent.as_const().is_none_or(|n| n >= 2 * long) { accumulators } else { 1 };
        let chunk = width * accumulators as i64;
        let floor = |e: &Self, to: i64| match extent.as_const() {
            Some(n) => e.b.int(super::Kind::I64, 1, n / to * to),
            None => {
                let to = e.b.int(super::Kind::I64, 1, to);
                let count = e.b.int_op("arith.divui", n, to);
                e.b.mul(count, to)
            }
        };
        let (zero, main_end, whole_end) = (index(0), floor(self, chunk), floor(self, width));
        let main = self.vector_region(l, lanes, accumulators, range)?;
        let rest = match (accumulators, extent.as_const()) {
            (1, _) => None,
            (_, Some(n)) if n / chunk * chunk == n / width * width => None,
            _ => Some(self.vector_region(l, lanes, 1, range)?),
        };
        let tail = match extent.as_const() {
            Some(n) if n % width == 0 => None,
            _ => Some(self.tail_region(l, lanes, (n, whole_end), range)?),
        };
        let scope = self.reductions.pop();
        self.begin_reductions(scope.as_ref());
        let step = self.b.int(super::Kind::I64, 1, chunk);
        self.b.for_loop([zero, main_end, step], &[], main);
        if let Some(rest) = rest {
            let step = self.b.int(super::Kind::I64, 1, width);
            self.b.for_loop([main_end, whole_end, step], &[], rest);
        }
        if let Some(tail) = tail {
            let remains = self.b.compare(super::builder::Cmp::Lt, whole_end, n);
            self.b.op("scf.if", &[remains.raw], &[], &[], vec![tail, melior::ir::Region::new()]);
        }
        self.end_reductions(scope)
    }

    /// Whether a vector axis is emitted without a loop, because register buffers need constant
    /// indices.
    fn unrolls(&self, l: &Loop, vectors: i64) -> bool {
        vectors <= MAX_UNROLL && reduction::indexes_registers(self.nest, l)
    }

    /// The body of a loop over `unroll` whole vectors per step.
    fn vector_region(
        &mut self,
        l: &Loop,
        lanes: u32,
        unroll: usize,
        range: Interval,
    ) -> Result<melior::ir::Region<'c>> {
        let (region, ()) = self.region(true, |e, base| {
            let Some(base) = base else { return Ok(()) };
            for phase in 0..unroll {
                let shift = e.b.int(super::Kind::I64, 1, i64::from(lanes) * phase as i64);
                let base = if phase == 0 { base } else { e.b.add(base, shift) };
                e.vector_step(l, (lanes, base, None, phase), range)?;
            }
            Ok(())
        })?;
        Ok(region)
    }

    /// The last, partial vector.
    fn tail_region(
        &mut self,
        l: &Loop,
        lanes: u32,
        (n, base): (Val<'c>, Val<'c>),
        range: Interval,
    ) -> Result<melior::ir::Region<'c>> {
        let (region, ()) = self.region(false, |e, _| {
            let left = e.b.sub(n, base);
            let left = e.b.resize(left, super::Kind::I32, true);
            let iota = e.b.iota(super::Kind::I32, lanes, 1);
            let mask = e.b.compare(super::builder::Cmp::Lt, iota, left);
            e.vector_step(l, (lanes, base, Some(mask), 0), range)
        })?;
        Ok(region)
    }

    fn vector_step(
        &mut self,
        l: &Loop,
        (lanes, base, mask, phase): (u32, Val<'c>, Option<Val<'c>>, usize),
        range: Interval,
    ) -> Result<()> {
        self.vector = Some(VectorStep { axis: l.axis.clone(), lanes, base, mask, phase });
        self.memo.push(std::collections::BTreeMap::new());
        let result = self.with_axis((&l.axis, Binding::Vector, range), |e| e.nodes(&l.body));
        self.memo.pop();
        self.vector = None;
        result
    }
}
