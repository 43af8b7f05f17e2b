//! Simplification of quotients and remainders, and interval arithmetic.

use super::{Atom, Expr};
use crate::size_range::SizeRanges;

/// An inclusive range of integers; an open end is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Least value.
    pub low: Option<i64>,
    /// Greatest value.
    pub high: Option<i64>,
}

impl Interval {
    /// All integers.
    pub const ALL: Interval = Interval { low: None, high: None };

    /// `low..=high`.
    #[must_use]
    pub fn new(low: i64, high: i64) -> Interval {
        Interval { low: Some(low), high: Some(high) }
    }

    fn add(self, other: Interval) -> Interval {
        let add = |a: Option<i64>, b: Option<i64>| a?.checked_add(b?);
        Interval { low: add(self.low, other.low), high: add(self.high, other.high) }
    }

    fn scale(self, by: i64) -> Interval {
        let times = |x: Option<i64>| x.and_then(|x| x.checked_mul(by));
        if by >= 0 {
            Interval { low: times(self.low), high: times(self.high) }
        } else {
            Interval { low: times(self.high), high: times(self.low) }
        }
    }

    fn mul(self, other: Interval) -> Interval {
        // An end that is open stays one-sided under a factor of 1.
        let one = Interval::new(1, 1);
        if self == one {
            return other;
        }
        if other == one {
            return self;
        }
        match (self.low, self.high, other.low, other.high) {
            (Some(a), Some(b), Some(c), Some(d)) => {
                let products = [a.checked_mul(c), a.checked_mul(d), b.checked_mul(c), b.checked_mul(d)];
                match products.into_iter().collect::<Option<Vec<_>>>() {
                    Some(p) => Interval { low: p.iter().min().copied(), high: p.iter().max().copied() },
                    None => Interval::ALL,
                }
            }
            (Some(a), _, Some(c), _) if a >= 0 && c >= 0 => Interval { low: a.checked_mul(c), high: None },
            _ => Interval::ALL,
        }
    }
}

impl Expr {
    /// The range of values, given the ranges of axes; symbols are at least 0, values unknown.
    #[must_use]
    pub fn interval(&self, axis: &dyn Fn(&str) -> Interval) -> Interval {
        self.interval_in(axis, &SizeRanges::default())
    }

    /// The range of values, given the ranges of axes and symbols; values are unknown.
    #[must_use]
    pub fn interval_in(&self, axis: &dyn Fn(&str) -> Interval, sizes: &SizeRanges) -> Interval {
        let mut sum = Interval::new(self.constant, self.constant);
        for (product, coefficient) in &self.terms {
            let factors = product.iter().map(|a| atom_interval(a, axis, sizes));
            let term = factors.fold(Interval::new(1, 1), Interval::mul);
            sum = sum.add(term.scale(*coefficient));
        }
        sum
    }

    /// The expression with quotients and remainders resolved where the axes' ranges decide them.
    #[must_use]
    pub fn simplify(&self, axis: &dyn Fn(&str) -> Interval) -> Expr {
        self.simplify_in(axis, &SizeRanges::default())
    }

    /// The expression with quotients and remainders resolved where the ranges of axes and symbols decide them.
    #[must_use]
    pub fn simplify_in(&self, axis: &dyn Fn(&str) -> Interval, sizes: &SizeRanges) -> Expr {
        let mut sum = Expr::from(self.constant);
        for (product, coefficient) in &self.terms {
            let mut factors = product.iter().map(|atom| simplify_atom(atom, axis, sizes));
            let term =
                factors.try_fold(Expr::from(*coefficient), |term, factor| term.bounded_product(&factor));
            // If atoms turn into sums, the product could become too large; then it stays as it is.
            sum = sum
                + term.unwrap_or_else(|| Expr { terms: vec![(product.clone(), *coefficient)], constant: 0 });
        }
        sum
    }
}

fn atom_interval(atom: &Atom, axis: &dyn Fn(&str) -> Interval, sizes: &SizeRanges) -> Interval {
    let min = |a: Option<i64>, b: Option<i64>| a.zip(b).map(|(a, b)| a.min(b));
    match atom {
        Atom::Symbol(name) => sizes.interval(name),
        Atom::Axis(name) => axis(name),
        Atom::Value(_) => Interval::ALL,
        Atom::FloorDiv(ab) => {
            let a = ab.0.interval_in(axis, sizes);
            match ab.1.as_const() {
                Some(d) if d > 0 => {
                    Interval { low: a.low.map(|x| x.div_euclid(d)), high: a.high.map(|x| x.div_euclid(d)) }
                }
                _ if a.low >= Some(0) => Interval { low: Some(0), high: a.high },
                _ => Interval::ALL,
            }
        }
        Atom::Mod(ab) => {
            let (a, high) =
                (ab.0.interval_in(axis, sizes), ab.1.interval_in(axis, sizes).high.map(|h| h - 1));
            let high = if a.low >= Some(0) { min(a.high, high).or(high).or(a.high) } else { high };
            Interval { low: Some(0), high }
        }
        Atom::Min(ab) => {
            let (a, b) = (ab.0.interval_in(axis, sizes), ab.1.interval_in(axis, sizes));
            Interval { low: min(a.low, b.low), high: min(a.high, b.high).or(a.high).or(b.high) }
        }
        Atom::Max(ab) => {
            let (a, b) = (ab.0.interval_in(axis, sizes), ab.1.interval_in(axis, sizes));
            let max = |a: Option<i64>, b: Option<i64>| a.zip(b).map(|(a, b)| a.max(b));
            Interval { low: max(a.low, b.low).or(a.low).or(b.low), high: max(a.high, b.high) }
        }
    }
}

fn simplify_atom(atom: &Atom, axis: &dyn Fn(&str) -> Interval, sizes: &SizeRanges) -> Expr {
    match atom {
        Atom::Symbol(_) | Atom::Axis(_) | Atom::Value(_) => atom.clone().into(),
        Atom::FloorDiv(ab) => {
            let (a, b) = (ab.0.simplify_in(axis, sizes), ab.1.simplify_in(axis, sizes));
            let Some(d) = b.as_const().filter(|&d| d > 0) else { return a.floor_div(&b) };
            let (whole, part) = split_multiples(&a, d);
            match part.interval_in(axis, sizes) {
                Interval { low: Some(low), high: Some(high) } if low.div_euclid(d) == high.div_euclid(d) => {
                    whole + Expr::from(low.div_euclid(d))
                }
                _ => a.floor_div(&b),
            }
        }
        Atom::Mod(ab) => {
            let (a, b) = (ab.0.simplify_in(axis, sizes), ab.1.simplify_in(axis, sizes));
            let Some(d) = b.as_const().filter(|&d| d > 0) else {
                let (range, room) =
                    (a.interval_in(axis, sizes), (b.clone() - a.clone()).interval_in(axis, sizes));
                return if range.low >= Some(0) && room.low >= Some(1) { a } else { a.modulo(&b) };
            };
            let (_, part) = split_multiples(&a, d);
            let part = without_multiples(part, d, sizes);
            match part.interval_in(axis, sizes) {
                Interval { low: Some(low), high: Some(high) } if low.div_euclid(d) == high.div_euclid(d) => {
                    part - Expr::from(low.div_euclid(d) * d)
                }
                _ => part.modulo(&b),
            }
        }
        Atom::Min(ab) => {
            let (a, b) = (ab.0.simplify_in(axis, sizes), ab.1.simplify_in(axis, sizes));
            match (a.clone() - b.clone()).interval_in(axis, sizes) {
                Interval { high: Some(h), .. } if h <= 0 => a,
                Interval { low: Some(l), .. } if l >= 0 => b,
                _ => a.minimum(&b),
            }
        }
        Atom::Max(ab) => {
            let (a, b) = (ab.0.simplify_in(axis, sizes), ab.1.simplify_in(axis, sizes));
            match (a.clone() - b.clone()).interval_in(axis, sizes) {
                Interval { high: Some(h), .. } if h <= 0 => b,
                Interval { low: Some(l), .. } if l >= 0 => a,
                _ => a.maximum(&b),
            }
        }
    }
}

/// `(q, r)` with `expr = d * q + r`: all multiples of `d` are in `q`, and the constant of `r` is in `0..d`.
fn split_multiples(expr: &Expr, d: i64) -> (Expr, Expr) {
    let (mut whole, mut part) = (Vec::new(), Vec::new());
    for (product, c) in &expr.terms {
        if c % d == 0 {
            whole.push((product.clone(), c / d));
        } else {
            part.push((product.clone(), *c));
        }
    }
    (
        Expr { terms: whole, constant: expr.constant.div_euclid(d) },
        Expr { terms: part, constant: expr.constant.rem_euclid(d) },
    )
}

/// The greatest common divisor of `d` and the coefficients of all terms, if there are terms and the divisor is
/// above 1. It need not divide the constant: `floordiv(2a + 1, 2d) = floordiv(a, d)`.
fn common_factor(expr: &Expr, d: i64) -> Option<i64> {
    let gcd = |mut a: i64, mut b: i64| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let factor = expr.terms.iter().fold(d, |g, (_, c)| gcd(g, (c % g).abs()));
    (factor > 1 && !expr.terms.is_empty()).then_some(factor)
}

/// The expression without the terms that `d` is known to divide, by the known multiples of their symbols.
fn without_multiples(mut e: Expr, d: i64, sizes: &SizeRanges) -> Expr {
    let factor = |atom: &Atom| match atom {
        Atom::Symbol(name) => i128::from(sizes.get(name).multiple),
        _ => 1,
    };
    // The product of two remainders needs twice the bits of a remainder.
    let d = i128::from(d);
    e.terms.retain(|(product, c)| {
        product.iter().fold(i128::from(*c) % d, |rest, a| rest * (factor(a) % d) % d) != 0
    });
    e
}

/// Exact division of every term by a product that all of them contain: `(a*b*n) / (b*n) = a`.
fn divide_exactly(a: &Expr, b: &Expr) -> Option<Expr> {
    let ([(divisor, c)], 0) = (&b.terms[..], b.constant) else { return None };
    if a.constant != 0 {
        return None;
    }
    let mut quotient = Expr::from(0);
    for (product, k) in &a.terms {
        let mut rest = product.clone();
        for atom in divisor {
            let at = rest.iter().position(|x| x == atom)?;
            rest.remove(at);
        }
        if k % c != 0 {
            return None;
        }
        quotient = quotient + Expr::normalised(vec![(rest, k / c)], 0).fold_empty();
    }
    Some(quotient)
}

pub(super) fn floor_div(a: &Expr, b: &Expr) -> Expr {
    if let Some(d) = b.as_const() {
        if d <= 0 {
            return Expr::from(0);
        }
        if d == 1 {
            return a.clone();
        }
        let (whole, part) = split_multiples(a, d);
        if let Some(factor) = common_factor(&part, d) {
            let terms = part.terms.into_iter().map(|(product, c)| (product, c / factor)).collect();
            let part = Expr { terms, constant: part.constant.div_euclid(factor) };
            return whole + part.floor_div(&Expr::from(d / factor));
        }
        return match part.as_const() {
            Some(_) => whole,
            // floordiv(floordiv(x, a), b) = floordiv(x, a * b)
            None => match part.as_atom() {
                Some(Atom::FloorDiv(inner)) if inner.1.as_const().is_some() => {
                    whole + inner.0.floor_div(&(inner.1.clone() * Expr::from(d)))
                }
                _ => whole + Atom::FloorDiv(Box::new((part, b.clone()))).into(),
            },
        };
    }
    if a.is(0) {
        return Expr::from(0);
    }
    if a == b {
        return Expr::from(1);
    }
    divide_exactly(a, b).unwrap_or_else(|| Atom::FloorDiv(Box::new((a.clone(), b.clone()))).into())
}

pub(super) fn modulo(a: &Expr, b: &Expr) -> Expr {
    if let Some(d) = b.as_const() {
        if d <= 1 {
            return Expr::from(0);
        }
        let (_, part) = split_multiples(a, d);
        return match part.as_const() {
            Some(c) => Expr::from(c),
            None => match part.as_atom() {
                Some(Atom::Mod(inner)) if inner.1.as_const().is_some_and(|m| m % d == 0) => inner.0.modulo(b),
                _ => Atom::Mod(Box::new((part, b.clone()))).into(),
            },
        };
    }
    if a.is(0) || a == b || divide_exactly(a, b).is_some() {
        return Expr::from(0);
    }
    Atom::Mod(Box::new((a.clone(), b.clone()))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expr(text: &str) -> Expr {
        text.parse().unwrap()
    }

    /// A small generator, so that the test needs no crate and is the same every time.
    fn next(state: &mut u64) -> i64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as i64
    }

    fn random_expr(state: &mut u64, depth: u32) -> Expr {
        let pick = next(state) % if depth == 0 { 3 } else { 9 };
        match pick {
            0 => Expr::from(next(state) % 13 - 6),
            1 => Expr::axis(["i", "j"][(next(state) % 2) as usize]),
            2 => Expr::symbol("n"),
            3 => random_expr(state, depth - 1) + random_expr(state, depth - 1),
            4 => random_expr(state, depth - 1) * Expr::from(next(state) % 7 - 3),
            5 => random_expr(state, depth - 1).floor_div(&Expr::from(next(state) % 5 + 1)),
            6 => random_expr(state, depth - 1).modulo(&Expr::from(next(state) % 5 + 1)),
            7 => random_expr(state, depth - 1).minimum(&random_expr(state, depth - 1)),
            _ => random_expr(state, depth - 1).maximum(&random_expr(state, depth - 1)),
        }
    }

    #[test]
    fn simplification_keeps_values_and_intervals_hold_them() {
        let range = |a: &str| if a == "i" { Interval::new(0, 6) } else { Interval::new(0, 3) };
        let mut state = 7;
        for _ in 0..2000 {
            let e = random_expr(&mut state, 4);
            let simple = e.simplify(&range);
            let interval = e.interval(&range);
            for (i, j, n) in [(0, 0, 0), (6, 3, 5), (3, 1, 17), (5, 2, 1)] {
                let at = |a: &Atom| match a {
                    Atom::Axis(x) if &**x == "i" => Some(i),
                    Atom::Axis(_) => Some(j),
                    _ => Some(n),
                };
                let value = e.evaluate(&at).unwrap();
                assert_eq!(Some(value), simple.evaluate(&at), "{e} became {simple} at {i} {j} {n}");
                assert!(interval.low.is_none_or(|l| l <= value), "{e} in {interval:?}");
                assert!(interval.high.is_none_or(|h| h >= value), "{e} in {interval:?}");
            }
        }
    }

    #[test]
    fn products_of_what_turns_out_to_be_sums_stay() {
        let range = |_: &str| Interval::new(0, 9);
        let factors: Vec<String> = (0..40).map(|i| format!("min(%a{i} + %b{i}, 99)")).collect();
        let product = expr(&factors.join(" * "));
        assert_eq!(product.simplify(&range), product);
        assert_eq!(expr(&factors[..6].join(" * ")).simplify(&range).terms().len(), 64);
    }

    #[test]
    fn a_split_axis_folds_back() {
        let range = |a: &str| if a == "o" { Interval::new(0, 9) } else { Interval::new(0, 63) };
        assert_eq!(expr("floordiv(%o * 64 + %v, 64)").simplify(&range), expr("%o"));
        assert_eq!(expr("mod(%o * 64 + %v, 64)").simplify(&range), expr("%v"));
        assert_eq!(expr("floordiv(floordiv(%o, 2), 3)"), expr("floordiv(%o, 6)"));
        assert_eq!(expr("floordiv(a * b * 4, b * 2)"), expr("a * 2"));
        assert_eq!(expr("floordiv(%o * 6 - 1, 4)"), expr("floordiv(%o * 3 - 1, 2)"));
    }

    #[test]
    fn ranges_of_symbols_decide() {
        let mut sizes = SizeRanges::default();
        sizes.insert("n".into(), "16..64:16".parse().unwrap());
        sizes.insert("m".into(), "1..8".parse().unwrap());
        let axis = |_: &str| Interval::new(0, 3);
        let simple = |text: &str| expr(text).simplify_in(&axis, &sizes).to_string();
        assert_eq!(simple("mod(n * 3 + %i, 16)"), "%i");
        assert_eq!(simple("mod(n * m, 8)"), "0");
        assert_eq!(simple("mod(m, 16)"), "m");
        assert_eq!(simple("floordiv(m, 9)"), "0");
        assert_eq!(simple("min(n, m)"), "m");
        assert_eq!(simple("max(m - 8, %i)"), "%i");
        // An undecided expression stays as it is.
        for text in ["mod(m, 8)", "mod(n, 32)", "min(l, m)"] {
            assert_eq!(simple(text), text);
        }
        assert_eq!(expr("n * m - 1").interval_in(&axis, &sizes), Interval::new(15, 511));
    }
}
