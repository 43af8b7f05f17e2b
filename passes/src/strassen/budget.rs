//! The choice of products where the growth of weights is limited: a transformed matrix has seven quarters.

/// A product that could be taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its gain, in any unit.
    pub gain: f64,
    /// Bytes by which the model's constants grow.
    pub growth: i64,
}

/// For each candidate, in order, whether it is taken. The best by gain for each byte come first, as long as
/// they grow by no more than `left` bytes together. Of equals the first is taken.
#[must_use]
pub fn choose(candidates: &[Candidate], mut left: f64) -> Vec<bool> {
    let density = |c: &Candidate| if c.growth > 0 { c.gain / c.growth as f64 } else { f64::INFINITY };
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|&a, &b| density(&candidates[b]).total_cmp(&density(&candidates[a])).then(a.cmp(&b)));
    let mut taken = vec![false; candidates.len()];
    for at in order {
        let growth = candidates[at].growth.max(0) as f64;
        if growth <= left.max(0.0) {
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

    const MB: i64 = 1 << 20;

    #[test]
    fn the_best_by_gain_for_each_byte_come_first() {
        let all = of(&[(1.0, 10 * MB), (3.0, 20 * MB), (2.0, 10 * MB)]);
        // With 21 MB the last is taken, then the second does not fit, but the first does.
        assert_eq!(choose(&all, (21 * MB) as f64), [true, false, true]);
        assert_eq!(choose(&all, (31 * MB) as f64), [false, true, true]);
        assert_eq!(choose(&all, (41 * MB) as f64), [true, true, true]);
    }

    #[test]
    fn equals_are_taken_in_order() {
        let all = of(&[(1.0, 8 * MB); 4]);
        assert_eq!(choose(&all, (17 * MB) as f64), [true, true, false, false]);
    }

    #[test]
    fn what_does_not_grow_is_always_taken() {
        let all = of(&[(1.0, MB), (1.0, 0), (1.0, -MB)]);
        assert_eq!(choose(&all, 0.0), [false, true, true]);
        assert_eq!(choose(&all, -1.0), [false, true, true]);
    }
}
