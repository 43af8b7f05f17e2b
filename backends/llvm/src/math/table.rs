//! Functions by tables that lie in vector registers: AVX-512 looks up 16 elements in one instruction, on other
//! ports than those that multiply. Fewer multiplications are left than in the forms for other machines.
//!
//! The error function is x G(|x|) with a polynomial G around each multiple of 1/4. The coefficients are minimax
//! polynomials of erf(x) / x with the error of the product in units in the last place as weight (Lawson's
//! iteration), then moved by random steps of about their last bits as long as the worst error over the
//! interval's floats fell. Over all floats: 2.6 units, 1.5e-7, and never beyond -1..1.
//!
//! e^x is 2^k 2^(j / 16) e^r with |r| at most ln(2) / 32.

use super::{exponential::LN2_SINGLE, polynomial};
use crate::emit::builder::{Builder, Val};
use std::f64::consts::LOG2_E;

/// The argument from which erf rounds to 1; it rounds to 15 quarters.
const ERF_LIMIT: f64 = 3.874_999_8;

/// Coefficient k of the polynomial around j / 4 at `[k][j]`.
#[expect(clippy::approx_constant, reason = "fitted, not 2 / sqrt(pi)")]
const ERF: [[f32; 16]; 5] = [
    [
        1.128_379_2,
        1.105_305_6,
        1.040_999_8,
        0.948_207_5,
        0.842_700_8,
        0.738_320_1,
        0.644_070_1,
        0.563_812_4,
        0.497_661_1,
        0.443_794_34,
        0.399_837_23,
        0.363_599_78,
        0.333_325_98,
        0.307_690_98,
        0.285_714_06,
        0.266_666_65,
    ],
    [
        0.0,
        -0.181_163_67,
        -0.324_431_18,
        -0.407_032_5,
        -0.427_592_43,
        -0.401_439_82,
        -0.350_094_4,
        -0.292_022_38,
        -0.238_497_66,
        -0.194_067_73,
        -0.159_063_62,
        -0.132_004_9,
        -0.111_062_22,
        -0.094_665_1,
        -0.081_631_035,
        -0.071_110_666,
    ],
    [
        -0.376_132_97,
        -0.335_343_63,
        -0.229_922_82,
        -0.100_212_835,
        0.012_489_228_5,
        0.084_626_24,
        0.114_466_17,
        0.114_095_405,
        0.098_586_895,
        0.079_111_926,
        0.061_446_283,
        0.047_415_193,
        0.036_878_62,
        0.029_099_57,
        0.023_321_157,
        0.018_959_604,
    ],
    [
        0.0,
        0.104_081_01,
        0.165_973_41,
        0.168_613_69,
        0.125_648_56,
        0.066_489_35,
        0.016_515_682,
        -0.013_396_628,
        -0.025_009_904,
        -0.025_443_47,
        -0.021_230_482,
        -0.016_247_313,
        -0.012_047_361,
        -0.008_910_088,
        -0.006_655_606,
        -0.005_068_235_6,
    ],
    [
        0.112_358_5,
        0.088_194_07,
        0.032_890_71,
        -0.024_911_808,
        -0.056_630_51,
        -0.057_621_5,
        -0.040_530_883,
        -0.019_718_604,
        -0.004_942_051,
        0.002_727_674,
        0.005_052_508_3,
        0.004_725_769,
        0.003_839_878_4,
        0.002_599_173,
        0.001_684_140_8,
        0.001_432_449,
    ],
];

/// 2^(j / 16).
#[expect(clippy::approx_constant, reason = "the square root of 2 is one of them")]
const POWERS: [f32; 16] = [
    1.0,
    1.044_273_7,
    1.090_507_7,
    1.138_788_6,
    1.189_207_1,
    1.241_857_8,
    1.296_839_6,
    1.354_255_6,
    1.414_213_5,
    1.476_826_2,
    1.542_210_8,
    1.610_490_3,
    1.681_792_9,
    1.756_252_2,
    1.834_008_1,
    1.915_206_6,
];

/// (e^r - 1) / r: error of e^r 2e-9.
const EXP: [f64; 3] = [1.0, 0.5000161927869697, 0.16667051256876803];

/// Larger than any |r| for which e^x is neither 0 nor infinite.
const EXP_LIMIT: f64 = 1.0 / 32.0;

/// If a number is added to this one, the last bit of the sum stands for `unit`, and the sum's lowest bits count
/// such units.
fn counting(unit: f64) -> f64 {
    1.5 * f64::from(1 << 23) * unit
}

/// The error function.
pub(super) fn erf<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let x = b.clamp(x, -ERF_LIMIT, ERF_LIMIT);
    let a = b.math("math.absf", x);
    let magic = b.like(a, counting(0.25));
    let sum = b.add(a, magic);
    let r = b.sub(a, b.sub(sum, magic));
    let index = b.bitcast(sum, x.kind.as_int());
    let mut terms = ERF.iter().rev().map(|table| b.lookup(table, index));
    let first = terms.next().unwrap_or_else(|| b.like(x, 0.0));
    b.mul(x, terms.fold(first, |sum, c| b.fma(sum, r, c)))
}

/// e^x. No bound on x is needed: if n is not exact, or infinite, the result is 0 or infinite as long as r is
/// bounded. A NaN stays in n.
pub(super) fn exp<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let magic = b.like(x, counting(1.0 / 16.0));
    let sum = b.fma(x, b.like(x, LOG2_E), magic);
    let n = b.sub(sum, magic);
    let r = b.fma(n, b.like(x, -LN2_SINGLE.0), x);
    let r = b.limit_magnitude(b.fma(n, b.like(x, -LN2_SINGLE.1), r), EXP_LIMIT);
    let power = b.lookup(&POWERS, b.bitcast(sum, x.kind.as_int()));
    let less = b.mul(r, polynomial(b, r, &EXP));
    b.scale_by_power(b.fma(power, less, power), n)
}
