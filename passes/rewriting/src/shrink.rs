//! Smaller sizes for a graph that keep its structure, so that it can be executed in milliseconds.
//!
//! A size is replaced wherever it stands. Sizes depend on each other: a reshape needs `56 = 8 * 7`, a
//! concatenation `56 = 53 + 3`. These relations are not derived. Maps that keep many of them are tried, and
//! inference decides whether the graph is still valid. Maps of all sizes at once come first. Then come steps
//! from the current sizes; each step maps a factor to a smaller one wherever it occurs.

use mlcc_ir::{expr::Expr, types::TensorType};
use std::collections::{BTreeMap, BTreeSet};

/// Sizes that replace others, in turn: odd, different, and none divides another.
pub(super) const SMALL: [i64; 8] = [5, 3, 7, 4, 11, 9, 13, 8];
/// A size that is at most this stays: kernels of convolutions, numbers of parts.
const KEPT: i64 = 4;
/// Sizes above this that differ by no more than [`KEPT`] belong together.
const NEAR: i64 = 16;
/// The replacements of a factor, in this order.
const FACTORS: [i64; 4] = [2, 3, 5, 1];
/// Maps that are tried in all.
const ATTEMPTS: usize = 400;

/// A replacement of sizes.
pub(super) type Shrink = BTreeMap<i64, i64>;

/// The sizes of a graph that may be replaced.
pub(super) struct Sizes(Vec<i64>);

impl Sizes {
    /// All sizes of these types but those to be kept.
    pub(super) fn of<'a>(types: impl Iterator<Item = &'a TensorType>, kept: &[i64]) -> Sizes {
        let mut sizes = BTreeSet::new();
        for ty in types {
            sizes.extend(ty.dims.iter().filter_map(Expr::as_const).filter(|&d| d > KEPT));
        }
        sizes.retain(|size| !kept.contains(size));
        Sizes(sizes.into_iter().collect())
    }

    /// A replacement whose price is at most `enough`; `price` is `None` if the graph is not valid any more.
    pub(super) fn shrink_until(&self, enough: f64, price: &dyn Fn(&Shrink) -> Option<f64>) -> Option<Shrink> {
        let fits = |shrink: &Shrink| price(shrink).is_some_and(|p| p <= enough);
        self.at_once().into_iter().find(fits).or_else(|| self.by_steps(enough, price))
    }

    /// Replacements of all sizes, the smallest first; the last one changes nothing.
    fn at_once(&self) -> Vec<Shrink> {
        let mut attempts = vec![self.shrink(&|_| true, true), self.shrink(&|_| true, false)];
        // First without the smallest sizes (heads, windows), then with the largest only.
        for least in [16, 64, 256] {
            attempts.push(self.shrink(&|s| s > least, true));
            attempts.push(self.shrink(&|s| s > least, false));
        }
        // One size alone.
        attempts.extend(self.0.iter().rev().map(|&only| self.shrink(&|s| s == only, false)));
        attempts.push(Shrink::new());
        attempts
    }

    /// Replaces the sizes that are wanted. With `derived`, a size that is the product of two others, or a
    /// small multiple of another, follows their replacements.
    fn shrink(&self, wanted: &dyn Fn(i64) -> bool, derived: bool) -> Shrink {
        let mut shrink = Shrink::new();
        let mut next = 0;
        let near = |size: i64| (1..=KEPT).find(|d| size > NEAR && self.0.contains(&(size + d)));
        for &size in self.0.iter().filter(|s| wanted(**s) && near(**s).is_none()) {
            let small = if derived { self.derive(size, &shrink) } else { None };
            let small = small.unwrap_or_else(|| {
                next += 1;
                SMALL[(next - 1) % SMALL.len()]
            });
            shrink.insert(size, small.min(size));
        }
        // A size after a window or a shift stays smaller than the full size by the same difference, from the
        // largest down.
        for &size in self.0.iter().rev().filter(|s| wanted(**s)) {
            if let Some(difference) = near(size) {
                let whole = shrink.get(&(size + difference)).copied().unwrap_or(size + difference);
                shrink.insert(size, (whole - difference).max(1));
            }
        }
        shrink
    }

    fn derive(&self, size: i64, shrink: &Shrink) -> Option<i64> {
        let of = |s: i64| shrink.get(&s).copied().unwrap_or(s);
        let multiple = shrink.keys().rev().find(|&&s| size % s == 0 && size / s <= KEPT);
        if let Some(&part) = multiple {
            return Some(of(part) * (size / part));
        }
        let factor =
            shrink.keys().rev().find(|&&s| size % s == 0 && (self.0.contains(&(size / s)) || size / s <= 8));
        factor.map(|&part| of(part) * of(size / part))
    }

    /// Steps from no replacement on, each of which keeps the graph well typed and makes it cheaper.
    fn by_steps(&self, enough: f64, price: &dyn Fn(&Shrink) -> Option<f64>) -> Option<Shrink> {
        let mut current: Shrink = self.0.iter().map(|&s| (s, s)).collect();
        let mut best = price(&current)?;
        let mut tried = BTreeSet::new();
        while best > enough {
            tracing::trace!(?current, best, "shrinking");
            let step = steps(&current).into_iter().find_map(|next| {
                let is_new = tried.len() < ATTEMPTS && tried.insert(next.clone());
                let found = if is_new { price(&next) } else { None };
                found.filter(|p| *p < best).map(|p| (next, p))
            });
            (current, best) = step?;
        }
        Some(current)
    }
}

/// Steps from a replacement: each factor, the largest first, becomes a smaller one.
fn steps(current: &Shrink) -> Vec<Shrink> {
    let values: BTreeSet<i64> = current.values().copied().filter(|&v| v > KEPT).collect();
    let mut bases = values.clone();
    bases.extend(values.iter().flat_map(|&v| primes(v)));
    let mut steps = Vec::new();
    for &base in bases.iter().rev() {
        for factor in FACTORS.into_iter().filter(|&f| f < base) {
            for least in [0, NEAR, i64::MAX] {
                let moved = moved(&values, base, factor, least);
                let of = |v: i64| moved.get(&v).copied().unwrap_or(v);
                let next: Shrink = current.iter().map(|(&s, &v)| (s, of(v))).collect();
                if next != *current && !steps.contains(&next) {
                    steps.push(next);
                }
            }
        }
    }
    steps
}

/// Values with `base` as a factor have `factor` in its place, as often as it occurs. Values above `least`
/// that differ little from such a value still do: a size after a window or a shift, or a size with a token
/// added.
fn moved(values: &BTreeSet<i64>, base: i64, factor: i64, least: i64) -> BTreeMap<i64, i64> {
    let scaled = |value: i64| {
        let (mut rest, mut result) = (value, 1);
        while rest % base == 0 {
            rest /= base;
            result *= factor;
        }
        rest * result
    };
    let follows = |value: i64, with: i64| with % base == 0 && value % base != 0 && values.contains(&with);
    let leader = |value: i64| (1..=KEPT).flat_map(|d| [value + d, value - d]).find(|&w| follows(value, w));
    let moved = |value: i64| match leader(value).filter(|_| value > least) {
        Some(leader) => (scaled(leader) - leader + value).max(1),
        None => scaled(value),
    };
    values.iter().map(|&v| (v, moved(v))).collect()
}

/// The prime factors of a size, each once.
fn primes(mut value: i64) -> Vec<i64> {
    let mut found = Vec::new();
    let mut at = 2;
    while at * at <= value {
        if value % at == 0 {
            found.push(at);
            while value % at == 0 {
                value /= at;
            }
        }
        at += 1;
    }
    if value > 1 {
        found.push(value);
    }
    found
}
