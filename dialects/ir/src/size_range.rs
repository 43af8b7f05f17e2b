//! The sizes that symbols may have, as far as they are known before a model runs.
//!
//! A decision that depends on a symbol uses [samples](SizeRanges::sample) of the symbol if it must be right for all
//! sizes, and the symbol's [typical](SizeRanges::typical) size if it needs one number to calculate with.

use crate::{
    Name,
    expr::{Atom, Expr, Interval},
};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Sizes from `low` to `high`, both included, that are multiples of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeRange {
    /// Least size; at least 0.
    pub low: i64,
    /// Greatest size; `None` if there is none.
    pub high: Option<i64>,
    /// A divisor of every size; at least 1.
    pub multiple: i64,
}

impl SizeRange {
    /// Any size.
    pub const ANY: SizeRange = SizeRange { low: 0, high: None, multiple: 1 };

    /// `low..=high`.
    #[must_use]
    pub fn new(low: i64, high: i64) -> SizeRange {
        SizeRange { low, high: Some(high), multiple: 1 }
    }

    /// The only size in the range, if there is exactly one.
    #[must_use]
    pub fn only(&self) -> Option<i64> {
        let first = self.nearest(self.low);
        let next = first.checked_add(self.multiple);
        self.high.filter(|high| next.is_none_or(|next| next > *high)).map(|_| first)
    }

    /// The sizes that are in both ranges; `None` if there is none.
    #[must_use]
    pub fn both(self, other: SizeRange) -> Option<SizeRange> {
        let (mut a, mut b) = (self.multiple, other.multiple);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let both = SizeRange {
            low: self.low.max(other.low),
            high: self.high.into_iter().chain(other.high).min(),
            multiple: (self.multiple / a).checked_mul(other.multiple)?,
        };
        both.is_possible().then_some(both)
    }

    /// Whether there is such a size.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        let first = || self.low.checked_add(self.multiple - 1).map(|n| n / self.multiple * self.multiple);
        self.low >= 0 && self.multiple >= 1 && first().is_some_and(|n| self.high.is_none_or(|h| n <= h))
    }

    /// Whether every size is in the range.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.low <= 0 && self.high.is_none() && self.multiple == 1
    }

    /// The size in the range that is nearest to another one.
    fn nearest(&self, size: i64) -> i64 {
        let m = self.multiple;
        let size = size.clamp(self.low, self.high.unwrap_or(i64::MAX).max(self.low));
        let down = size / m * m;
        if down >= self.low { down } else { down.saturating_add(m) }
    }
}

/// `1..8`, `64..` or, for multiples of 16 only, `64..512:16`.
impl fmt::Display for SizeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", self.low)?;
        self.high.map_or(Ok(()), |high| write!(f, "{high}"))?;
        if self.multiple == 1 { Ok(()) } else { write!(f, ":{}", self.multiple) }
    }
}

impl FromStr for SizeRange {
    type Err = String;

    fn from_str(text: &str) -> Result<SizeRange, String> {
        let wrong = || format!("'{text}' is no range of sizes such as 1..8, 64.. or 64..512:16");
        let number = |text: &str| text.parse::<i64>().map_err(|_| wrong());
        let (ends, multiple) = match text.split_once(':') {
            Some((ends, multiple)) => (ends, number(multiple)?),
            None => (text, 1),
        };
        let (low, high) = ends.split_once("..").ok_or_else(wrong)?;
        let high = if high.is_empty() { None } else { Some(number(high)?) };
        let range = SizeRange { low: number(low)?, high, multiple };
        range.is_possible().then_some(range).ok_or_else(|| format!("no size is in the range {text}"))
    }
}

/// The known ranges of symbols, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SizeRanges(BTreeMap<Name, SizeRange>);

impl SizeRanges {
    /// Number of sizes that are tried for a decision that must be right for all sizes.
    pub const SAMPLES: usize = 4;

    /// Sets the known range of a symbol.
    pub fn insert(&mut self, symbol: Name, range: SizeRange) {
        self.0.insert(symbol, range);
    }

    /// The range of a symbol.
    #[must_use]
    pub fn get(&self, symbol: &str) -> SizeRange {
        self.0.get(symbol).copied().unwrap_or(SizeRange::ANY)
    }

    /// The symbols with a known range, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &SizeRange)> {
        self.0.iter()
    }

    /// Whether no range is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The known ranges of some of the symbols.
    #[must_use]
    pub fn of(&self, symbols: &[Name]) -> SizeRanges {
        let known = self.0.iter().filter(|(name, _)| symbols.contains(name));
        SizeRanges(known.map(|(name, range)| (name.clone(), *range)).collect())
    }

    /// The values of a symbol.
    #[must_use]
    pub fn interval(&self, symbol: &str) -> Interval {
        let range = self.get(symbol);
        Interval { low: Some(range.low), high: range.high }
    }

    /// One of [`Self::SAMPLES`] values of an expression over symbols. The samples lie between both ends of each
    /// symbol's range, at equal ratios. If a range has no upper end, they go from 1, or from its lower end, to
    /// eight times that value: 1, 2, 4 and 8 are sizes that batches have. `None` if other atoms occur.
    #[must_use]
    pub fn sample(&self, at: usize, e: &Expr) -> Option<i64> {
        let last = (Self::SAMPLES - 1) as f64;
        let of = |symbol: &Name| {
            let range = self.get(symbol);
            let low = range.nearest(1).max(1) as f64;
            let ratio = range.high.map_or(8.0, |high| high as f64 / low).max(1.0);
            range.nearest((low * ratio.powf(at as f64 / last)).round() as i64)
        };
        evaluate(e, &of)
    }

    /// The result of `sizes` for each [sample](Self::sample); equal neighbours are kept once. `None` if one has no
    /// result.
    pub fn samples<T: PartialEq>(
        &self,
        sizes: impl Fn(&dyn Fn(&Expr) -> Option<i64>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let each = |at: usize| sizes(&|e: &Expr| self.sample(at, e));
        let mut samples: Vec<T> = (0..Self::SAMPLES).map(each).collect::<Option<_>>()?;
        samples.dedup();
        Some(samples)
    }

    /// A value of an expression over symbols to calculate with. Each symbol has the size of its range that is
    /// nearest to `nominal`: the upper end of a range of small sizes, the lower end of a range of large ones.
    /// `None` if other atoms occur.
    #[must_use]
    pub fn typical(&self, e: &Expr, nominal: i64) -> Option<i64> {
        evaluate(e, &|symbol| self.get(symbol).nearest(nominal))
    }
}

fn evaluate(e: &Expr, size: &dyn Fn(&Name) -> i64) -> Option<i64> {
    e.evaluate(&|atom| match atom {
        Atom::Symbol(name) => Some(size(name)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(range: &str) -> SizeRanges {
        let mut ranges = SizeRanges::default();
        ranges.insert("n".into(), range.parse().unwrap());
        ranges
    }

    fn samples(ranges: &SizeRanges) -> Vec<i64> {
        (0..SizeRanges::SAMPLES).map(|at| ranges.sample(at, &Expr::symbol("n")).unwrap()).collect()
    }

    #[test]
    fn samples_lie_in_the_range() {
        assert_eq!(samples(&SizeRanges::default()), [1, 2, 4, 8]);
        assert_eq!(samples(&ranges("1..8")), [1, 2, 4, 8]);
        assert_eq!(samples(&ranges("0..1")), [1, 1, 1, 1]);
        assert_eq!(samples(&ranges("3..3")), [3, 3, 3, 3]);
        assert_eq!(samples(&ranges("64..512")), [64, 128, 256, 512]);
        assert_eq!(samples(&ranges("64..")), [64, 128, 256, 512]);
        assert_eq!(samples(&ranges("10..40:16")), [16, 16, 16, 32]);
        assert_eq!(samples(&ranges("0..0")), [0, 0, 0, 0]);
    }

    #[test]
    fn the_typical_size_is_the_nearest_one() {
        let n = Expr::symbol("n") * Expr::from(3);
        for (range, size) in [("1..8", 8), ("1..1000", 64), ("100..200", 100), ("1..100:48", 48)] {
            assert_eq!(ranges(range).typical(&n, 64), Some(3 * size), "{range}");
        }
        assert_eq!(SizeRanges::default().typical(&(n.clone() + Expr::axis("i")), 64), None);
        assert_eq!(SizeRanges::default().typical(&n, 64), Some(192));
    }

    #[test]
    fn ranges_meet() {
        let both = |a: &str, b: &str| {
            let range = |text: &str| text.parse::<SizeRange>().unwrap();
            range(a).both(range(b)).map(|r| r.to_string())
        };
        assert_eq!(both("1..8", "4.."), Some("4..8".into()));
        assert_eq!(both("0..:4", "0..100:6"), Some("0..100:12".into()));
        assert_eq!(both("1..8", "9.."), None);
        assert_eq!(both("1..11:4", "1..11:6"), None);
        assert_eq!("9..17:8".parse::<SizeRange>().unwrap().only(), Some(16));
        assert_eq!("8..16:8".parse::<SizeRange>().unwrap().only(), None);
        assert_eq!("8..".parse::<SizeRange>().unwrap().only(), None);
    }

    #[test]
    fn ranges_are_read_as_they_are_written() {
        for text in ["1..8", "0..", "64..512:16", "5.."] {
            assert_eq!(text.parse::<SizeRange>().unwrap().to_string(), text);
        }
        for text in
            ["", "8", "8..1", "-1..3", "1..15:16", "1..8:0", "a..b", "1...3", "9223372036854775807..:2"]
        {
            assert!(text.parse::<SizeRange>().is_err(), "{text}");
        }
    }
}
