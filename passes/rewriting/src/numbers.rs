//! Comparison of a model's constant with a number of a rule.

use mlcc_ir::dtype::DType;

/// Whether a constant of that type is the number that a rule says. A number without an exact float (the root
/// of one half) stands for the float next to it, computed in any precision: one step more or less is the same
/// number. -0 is not 0: the least of -1 and -0 has another sign than relu of -1.
#[must_use]
pub(super) fn is_number(constant: f64, wanted: f64, dtype: DType) -> bool {
    let digits = match dtype {
        DType::F16 => 10,
        DType::BF16 => 7,
        DType::F32 => 23,
        _ => 52,
    };
    let is_float = wanted.to_bits() & ((1u64 << (52 - digits)) - 1) == 0;
    let step = wanted.abs() * 0.5f64.powi(digits);
    constant == wanted && constant.is_sign_negative() == wanted.is_sign_negative()
        || !is_float && (constant - wanted).abs() <= step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_float_is_stands_for_the_floats_next_to_it() {
        let root = std::f64::consts::FRAC_1_SQRT_2;
        assert!(is_number(f64::from(root as f32), root, DType::F32));
        assert!(is_number(f64::from((root as f32).next_up()), root, DType::F32));
        assert!(!is_number(0.7072, root, DType::F32));
        assert!(is_number(0.707_031_25, root, DType::F16));
    }

    #[test]
    fn what_is_a_float_stands_for_itself() {
        assert!(is_number(0.5, 0.5, DType::F32));
        assert!(!is_number(f64::from(0.5f32.next_up()), 0.5, DType::F32));
        assert!(!is_number(1e-30, 0.0, DType::F32));
        assert!(is_number(0.0, 0.0, DType::F32) && !is_number(-0.0, 0.0, DType::F32));
    }
}
