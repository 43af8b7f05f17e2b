//! Which products are taken where weights may grow only so much: a transformed matrix has seven quarters.

/// Growth that is always allowed, in bytes, so that small models are not without.
const FREE_BYTES: f64 = (1 << 20) as f64;

/// A product that could be taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// What it gains, in any unit.
    pub gain: f64,
    /// Bytes by which the model's constants grow.
    pub growth: i64,
}

/// Which candidates are taken, in their order: the best by gain for each byte first, as long as all constants
/// together, `bytes` now, grow to no more than `max_growth` times that, and a megabyte. Ties go to the first.
#[must_use]
pub fn choose(candidates: &[Candidate], bytes: i64, max_growth: f64) -> Vec<bool> {
    let mut left = (bytes as f64 * (max_growth - 1.0)).max(0.0) + FREE_BYTES;
    if max_growth < 1.0 || max_growth.is_nan() {
        left = 0.0;
    }
    let density = |c: &Candidate| if c.growth > 0 { c.gain / c.growth as f64 } else { f64::INFINITY };
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|&a, &b| density(&candidates[b]).total_cmp(&density(&candidates[a])).then(a.cmp(&b)));
    let mut taken = vec![false; candidates.len()];
    for at in order {
        let growth = candidates[at].growth.max(0) as f64;
        if growth <= left {
            left -= growth;
            taken[at] = true;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(candidates: &[(f64, i64)]) -> Vec<Candidate> {
        candidates.iter().map(|&(gain, growth)| Candidate { gain, growth }).collect()
    }

    #[test]
    fn the_best_by_gain_for_each_byte_come_first() {
        let all = of(&[(1.0, 10 << 20), (3.0, 20 << 20), (2.0, 10 << 20)]);
        // 80 MB may grow by 20 and one more: the last, then the second does not fit, but the first does.
        assert_eq!(choose(&all, 80 << 20, 1.25), [true, false, true]);
        assert_eq!(choose(&all, 80 << 20, 1.375), [false, true, true]);
        assert_eq!(choose(&all, 80 << 20, 1.5), [true, true, true]);
    }

    #[test]
    fn equals_are_taken_in_order() {
        let all = of(&[(1.0, 8 << 20); 4]);
        assert_eq!(choose(&all, 64 << 20, 1.25), [true, true, false, false]);
    }

    #[test]
    fn a_megabyte_is_free_unless_nothing_may_grow() {
        let all = of(&[(1.0, 1 << 20), (1.0, 1)]);
        assert_eq!(choose(&all, 0, 1.0), [false, true]);
        assert_eq!(choose(&all[..1], 0, 1.0), [true]);
        assert_eq!(choose(&of(&[(1.0, 1), (1.0, 0)]), 1 << 30, 0.0), [false, true]);
    }
}
