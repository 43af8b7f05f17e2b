//! Accesses to buffers, and whether the iterations of a loop depend on each other.

use super::ranges::{Ranges, recombine};
use mlcc_ir::{
    expr::{Expr, Interval},
    nest::{Buffer, LoopNest, Node, Space},
    scalar::Inst,
    types::row_major_strides,
};

/// One access to a buffer.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) buffer: usize,
    /// Index; `None` for a whole tile.
    pub(crate) index: Option<Vec<Expr>>,
    pub(crate) write: bool,
    /// A store that combines with the old value.
    pub(crate) combines: bool,
    /// Ranges of the axes around, within the nodes that were searched.
    pub(crate) ranges: Ranges,
    /// `a < b` wherever the access happens.
    pub(crate) guards: Vec<(Expr, Expr)>,
}

impl Access {
    /// The range of an expression where the access happens. The axes around give a range, and a guard or the
    /// end of a shorter last block narrows it. For `o * 48 + i` with `o` to 7 and `i` to 48 the axes give
    /// less than 336; `i < 333 - o * 48` gives less than 333.
    fn range_of(&self, e: &Expr) -> Interval {
        let mut range = self.ranges.of(e);
        let ends = self.ranges.ends();
        for (a, b) in self.guards.iter().chain(&ends) {
            // e = (e - a + b) + (a - b), where the second term is at most -1.
            let bound = self.ranges.of(&(e.clone() - a.clone() + b.clone())).high.map(|high| high - 1);
            range.high = match (range.high, bound) {
                (Some(high), Some(bound)) => Some(high.min(bound)),
                (high, bound) => high.or(bound),
            };
        }
        range
    }
}

/// All accesses in the nodes, in program order; a store's reads come before its write.
pub(crate) fn accesses(nodes: &[Node]) -> Vec<Access> {
    fn go(nodes: &[Node], ranges: &mut Ranges, out: &mut Vec<Access>) {
        for node in nodes {
            match node {
                Node::Loop(l) => {
                    ranges.push(l);
                    go(&l.body, ranges, out);
                    ranges.pop();
                }
                Node::Store(s) => {
                    for (inst, _) in &s.body.insts {
                        if let Inst::Read { tensor, index, .. } = inst {
                            out.push(Access {
                                buffer: *tensor,
                                index: Some(index.clone()),
                                write: false,
                                combines: false,
                                ranges: ranges.clone(),
                                guards: s.guards.clone(),
                            });
                        }
                    }
                    out.push(Access {
                        buffer: s.buffer,
                        index: Some(s.index.clone()),
                        write: true,
                        combines: s.combine.is_some(),
                        ranges: ranges.clone(),
                        guards: s.guards.clone(),
                    });
                }
                Node::Tile(t) => {
                    for (buffer, write) in [(t.a.buffer, false), (t.b.buffer, false), (t.acc, true)] {
                        let ranges = ranges.clone();
                        let guards = Vec::new();
                        out.push(Access { buffer, index: None, write, combines: write, ranges, guards });
                    }
                }
                Node::Barrier => {}
            }
        }
    }
    let mut out = Vec::new();
    go(nodes, &mut Ranges::default(), &mut out);
    out
}

/// The offset of an element in its buffer, with quotients and remainders joined.
pub(crate) fn linear(buffer: &Buffer, index: &[Expr]) -> Expr {
    let strides = row_major_strides(&buffer.dims);
    let sum = index.iter().zip(strides).fold(Expr::from(0), |sum, (e, stride)| sum + e.clone() * stride);
    recombine(&sum)
}

/// Whether different iterations over `axis` touch different elements of the buffer, for all these accesses
/// together. The accesses' ranges are those inside the loop. Accesses to parts of the buffer that never meet
/// do not affect each other, and neither do parts that are only read.
pub(crate) fn separates(buffer: &Buffer, axis: &str, accesses: &[&Access]) -> bool {
    all_separate(buffer, axis, accesses) || {
        let parts = parts(accesses);
        parts.len() > 1 && parts.iter().all(|p| p.iter().all(|a| !a.write) || all_separate(buffer, axis, p))
    }
}

/// The accesses in groups. Accesses of different groups touch different elements in any iterations.
fn parts<'a>(accesses: &[&'a Access]) -> Vec<Vec<&'a Access>> {
    let mut parts: Vec<Vec<&Access>> = Vec::new();
    for access in accesses {
        let (apart, met): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|p| p.iter().all(|other| disjoint(access, other)));
        parts = apart;
        parts.push(met.into_iter().flatten().chain([*access]).collect());
    }
    parts
}

/// Whether two accesses are in different ranges of a dimension.
fn disjoint(a: &Access, b: &Access) -> bool {
    let (Some(of_a), Some(of_b)) = (&a.index, &b.index) else { return false };
    of_a.iter().zip(of_b).any(|(x, y)| {
        let (x, y) = (a.range_of(x), b.range_of(y));
        let below = |x: &Interval, y: &Interval| x.high.zip(y.low).is_some_and(|(high, low)| high < low);
        below(&x, &y) || below(&y, &x)
    })
}

fn all_separate(buffer: &Buffer, axis: &str, accesses: &[&Access]) -> bool {
    let indices: Option<Vec<&[Expr]>> = accesses.iter().map(|a| a.index.as_deref()).collect();
    let Some(indices) = indices else { return false };
    let dims = buffer.dims.len();
    (0..dims).any(|d| {
        let at: Vec<Expr> = indices.iter().map(|i| i[d].clone()).collect();
        one_to_one(axis, &at, accesses)
    }) || dims > 1 && {
        let at: Vec<Expr> = indices.iter().map(|i| linear(buffer, i)).collect();
        one_to_one(axis, &at, accesses)
    }
}

/// Whether all expressions are `c * axis + common + rest` with one coefficient `c`, where `rest` varies by
/// less than `c`. Equal values then mean equal iterations.
fn one_to_one(axis: &str, exprs: &[Expr], accesses: &[&Access]) -> bool {
    let mut coefficient: Option<Expr> = None;
    let mut common: Option<Expr> = None;
    let mut spread = Interval { low: None, high: None };
    for (at, (e, access)) in exprs.iter().zip(accesses).enumerate() {
        let ranges = &access.ranges;
        let Some((c, rest)) = e.split_axis(axis) else { return false };
        if c.is(0) || e.uses_values() || coefficient.as_ref().is_some_and(|k| *k != c) {
            return false;
        }
        coefficient = Some(c);
        // A term that does not vary inside the loop is the same for all iterations.
        let mut fixed = rest.clone();
        for name in ranges.names() {
            fixed = fixed.replace_axis(name, &Expr::from(0));
        }
        let base = common.get_or_insert(fixed);
        let varying = access.range_of(&(rest - base.clone()));
        spread = match (at, varying.low, varying.high) {
            (_, None, _) | (_, _, None) => return false,
            (0, ..) => varying,
            (_, low, high) => Interval { low: spread.low.min(low), high: spread.high.max(high) },
        };
    }
    let width = spread.high.zip(spread.low).map(|(h, l)| h - l);
    match (coefficient.as_ref().map(Expr::as_const), width) {
        (Some(Some(c)), Some(width)) => width < c.abs(),
        // A symbolic stride is positive wherever there are elements.
        (Some(None), Some(width)) => width == 0,
        _ => false,
    }
}

/// The dependences between the iterations of a loop that are harmless.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Harmless {
    /// Combining into one element.
    pub(crate) reductions: bool,
    /// A temporary that every iteration makes anew.
    pub(crate) private: bool,
}

/// The reason why the iterations of a loop over `axis` with this body cannot run in any order; `None` if they
/// can.
pub(crate) fn order_matters(
    nest: &LoopNest,
    axis: &str,
    body: &[Node],
    harmless: Harmless,
) -> Option<String> {
    let all = accesses(body);
    let mut seen = Vec::new();
    for access in all.iter().filter(|a| a.write) {
        if seen.contains(&access.buffer) {
            continue;
        }
        seen.push(access.buffer);
        let buffer = &nest.buffers[access.buffer];
        let same: Vec<&Access> = all.iter().filter(|a| a.buffer == access.buffer).collect();
        if separates(buffer, axis, &same) {
            continue;
        }
        let only_combines = same.iter().all(|a| a.write && a.combines);
        let by_value = same.iter().any(|a| a.index.as_ref().is_some_and(|i| i.iter().any(Expr::uses_values)));
        if harmless.reductions && only_combines && !by_value {
            continue;
        }
        // Made anew in every iteration: private.
        let private = harmless.private
            && buffer.space != Space::Global
            && buffer.space != Space::Shared
            && same[0].write
            && !same[0].combines;
        if private {
            continue;
        }
        return Some(format!("iterations over '{axis}' meet in the same elements of '{}'", buffer.name));
    }
    None
}
