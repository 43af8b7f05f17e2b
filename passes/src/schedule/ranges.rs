//! Facts about the axes around a node: their extents, and the bounds that follow for index expressions.

use mlcc_ir::{
    Name,
    expr::{Atom, Expr, Interval},
    nest::{Loop, LoopNest},
    size_range::SizeRanges,
};

/// The loops around a node, outermost first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    axes: Vec<(Name, Expr, Interval)>,
    sizes: SizeRanges,
}

impl Ranges {
    /// Outside of all loops of a nest.
    pub(crate) fn outside(nest: &LoopNest) -> Ranges {
        Ranges { axes: Vec::new(), sizes: nest.ranges.clone() }
    }

    /// Enters a loop.
    pub(crate) fn push(&mut self, l: &Loop) {
        self.push_axis(l.axis.clone(), l.extent.clone());
    }

    /// Enters a loop over `0..extent`.
    pub(crate) fn push_axis(&mut self, axis: Name, extent: Expr) {
        let high = self.of(&extent).high.map(|h| h - 1);
        self.axes.push((axis, extent, Interval { low: Some(0), high }));
    }

    /// Leaves the innermost loop.
    pub(crate) fn pop(&mut self) {
        self.axes.pop();
    }

    /// The range of an axis; all integers for an axis that is not around the node.
    pub(crate) fn interval(&self, axis: &str) -> Interval {
        self.axes.iter().rev().find(|(n, ..)| **n == *axis).map_or(Interval::ALL, |(_, _, i)| *i)
    }

    /// The extent of an axis around.
    pub(crate) fn extent(&self, axis: &str) -> Option<Expr> {
        self.axes.iter().rev().find(|(n, ..)| **n == *axis).map(|(_, e, _)| e.clone())
    }

    /// `(axis, end)` with `axis < end`, for axes whose extent is the smaller of two values, as after a split.
    pub(crate) fn ends(&self) -> Vec<(Expr, Expr)> {
        let mut ends = Vec::new();
        for (axis, extent, _) in &self.axes {
            if let ([(product, 1)], 0) = (extent.terms(), extent.constant())
                && let [Atom::Min(sides)] = &product[..]
            {
                ends.extend([&sides.0, &sides.1].map(|end| (Expr::axis(axis), end.clone())));
            }
        }
        ends
    }

    /// Names of the axes around, outermost first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        self.axes.iter().map(|(n, ..)| n)
    }

    /// The range of an expression.
    pub(crate) fn of(&self, e: &Expr) -> Interval {
        e.interval_in(&|a| self.interval(a), &self.sizes)
    }

    /// The expression with everything resolved that the ranges decide.
    pub(crate) fn simplify(&self, e: &Expr) -> Expr {
        e.simplify_in(&|a| self.interval(a), &self.sizes)
    }

    /// A constant that the expression never exceeds.
    pub(crate) fn upper_bound(&self, e: &Expr) -> Option<i64> {
        self.of(e).high
    }

    /// The conditions for an index to be within the dimensions, as pairs `(a, b)` of `a < b`. Conditions that
    /// are certain are left out.
    pub(crate) fn bounds(&self, index: &[Expr], dims: &[Expr]) -> Vec<(Expr, Expr)> {
        let mut bounds = Vec::new();
        for (e, dim) in index.iter().zip(dims).filter(|(e, dim)| !self.in_bounds(e, dim)) {
            for (a, b) in [(Expr::from(-1), e.clone()), (e.clone(), dim.clone())] {
                let room = self.of(&(b.clone() - a.clone() - Expr::from(1))).low;
                if room < Some(0) && !bounds.contains(&(a.clone(), b.clone())) {
                    bounds.push((a, b));
                }
            }
        }
        bounds
    }

    /// Whether `0 <= e < dim` for all points, for symbolic extents too. Every axis is replaced by the end of
    /// its range at which the affine expression is largest.
    pub(crate) fn in_bounds(&self, e: &Expr, dim: &Expr) -> bool {
        if e.uses_values() || self.of(e).low.is_none_or(|l| l < 0) {
            return false;
        }
        let mut last = e.clone();
        for (axis, extent, _) in self.axes.iter().rev() {
            let Some((coefficient, _)) = last.split_axis(axis) else { return false };
            let Some(c) = coefficient.as_const() else { return false };
            let end = if c > 0 { extent.clone() - Expr::from(1) } else { Expr::from(0) };
            last = last.replace_axis(axis, &end);
        }
        self.of(&(dim.clone() - last)).low.is_some_and(|room| room >= 1)
    }
}

/// Joins quotients and remainders: `floordiv(x, d) * d + mod(x, d)` is `x`.
pub(crate) fn recombine(e: &Expr) -> Expr {
    let mut e = e.clone();
    'again: loop {
        for (product, coefficient) in e.terms() {
            for (at, atom) in product.iter().enumerate() {
                let Atom::Mod(xd) = atom else { continue };
                let (x, d) = (&xd.0, &xd.1);
                let others = product.iter().enumerate().filter(|(i, _)| *i != at);
                let factor = others.fold(Expr::from(*coefficient), |f, (_, a)| f * Expr::from(a.clone()));
                let whole = x.floor_div(d) * d.clone() * factor.clone();
                let joined =
                    e.clone() - Expr::from(atom.clone()) * factor.clone() - whole + x.clone() * factor;
                if quotients(&joined) + 1 < quotients(&e) {
                    e = joined;
                    continue 'again;
                }
            }
        }
        return e;
    }
}

/// Number of quotients and remainders in an expression, at any depth.
pub(crate) fn quotients(e: &Expr) -> usize {
    let mut count = 0;
    e.any_atom(&mut |a| {
        count += usize::from(matches!(a, Atom::FloorDiv(_) | Atom::Mod(_)));
        false
    });
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expr(text: &str) -> Expr {
        text.parse().unwrap()
    }

    #[test]
    fn quotient_and_remainder_recombine() {
        assert_eq!(recombine(&expr("floordiv(%f, 7) * 7 + mod(%f, 7) + 3")), expr("%f + 3"));
        assert_eq!(recombine(&expr("floordiv(%f, w) * w + mod(%f, w)")), expr("%f"));
        let nested = "floordiv(%k, 9) * 9 + mod(floordiv(%k, 3), 3) * 3 + mod(%k, 3)";
        assert_eq!(recombine(&expr(nested)), expr("%k"));
        let kept = expr("floordiv(%f, 7) * 8 + mod(%f, 7)");
        assert_eq!(recombine(&kept), kept);
    }

    #[test]
    fn bounds_hold_for_symbolic_extents() {
        let mut ranges = Ranges::default();
        ranges.push_axis("h".into(), expr("height - 2"));
        ranges.push_axis("k".into(), expr("3"));
        assert!(ranges.in_bounds(&expr("%h + %k"), &expr("height")));
        assert!(!ranges.in_bounds(&expr("%h + %k"), &expr("height - 1")));
        assert!(!ranges.in_bounds(&expr("%h + %k - 1"), &expr("height")));
    }
}
