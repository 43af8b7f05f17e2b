//! Properties of an operator's result, element by element, that hold for all inputs of the model: signs,
//! integers.
//!
//! The gates confirm these claims by executing random terms ([`super::gates::check_properties`]).

use super::{
    facts::Facts,
    term::{Head, special},
};
use egg::Id;
use mlcc_ir::{dtype::DType, expr::Expr, tensor::Tensor};
use std::collections::BTreeMap;

/// Properties that every element has. A NaN has them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Not less than 0; either zero may occur.
    pub not_negative: bool,
    /// Without a sign: not less than 0, and no zero is -0.
    pub unsigned: bool,
    /// An integer, or infinite.
    pub integral: bool,
}

impl Properties {
    /// The properties of a value about which only the element type is known.
    pub(super) fn of_type(dtype: DType) -> Properties {
        let unsigned = !dtype.is_float() && !dtype.is_signed_int();
        Properties { not_negative: unsigned, unsigned, integral: !dtype.is_float() }
    }

    /// The properties of one number.
    pub(super) fn of_value(value: f64) -> Properties {
        Properties {
            not_negative: value.is_nan() || value >= 0.0,
            unsigned: value.is_nan() || value.is_sign_positive(),
            integral: !value.is_finite() || value.fract() == 0.0,
        }
    }

    /// The properties of a constant.
    pub(super) fn of_tensor(tensor: &Tensor) -> Properties {
        tensor.to_f64().into_iter().map(Properties::of_value).fold(Properties::ALL, Properties::and)
    }

    /// The properties that both have.
    pub(super) fn and(self, other: Properties) -> Properties {
        Properties {
            not_negative: self.not_negative && other.not_negative,
            unsigned: self.unsigned && other.unsigned,
            integral: self.integral && other.integral,
        }
    }

    /// The properties that at least one of two proofs shows.
    pub(super) fn or(self, other: Properties) -> Properties {
        Properties {
            not_negative: self.not_negative || other.not_negative,
            unsigned: self.unsigned || other.unsigned,
            integral: self.integral || other.integral,
        }
    }

    const ALL: Properties = Properties { not_negative: true, unsigned: true, integral: true };
    const NONE: Properties = Properties { not_negative: false, unsigned: false, integral: false };

    fn signs(self) -> Properties {
        Properties { integral: false, ..self }
    }
}

/// The properties of an operator's result. The operands are classes with their facts.
pub(super) fn infer(head: &Head, ids: &[Id], operands: &[&Facts], dtype: DType) -> Properties {
    let places = head.places(operands);
    let of = |i: usize| places.get(i).copied().flatten().map(|f| f.properties);
    let first = of(0).unwrap_or(Properties::NONE);
    let all = || operands.iter().map(|f| f.properties).fold(Properties::ALL, Properties::and);
    let unsigned = Properties { not_negative: true, unsigned: true, integral: false };
    let found = match &*head.op {
        "exp" | "sigmoid" | "softplus" | "cosh" | "softmax" => unsigned,
        "abs" | "relu" => Properties { integral: first.integral, ..unsigned },
        "sqrt" => Properties { not_negative: true, unsigned: first.unsigned, integral: false },
        "tanh" | "erf" | "reciprocal" => {
            Properties { not_negative: first.unsigned, unsigned: first.unsigned, integral: false }
        }
        "floor" | "ceil" | "round" | "sign" => Properties { integral: true, ..first },
        "neg" => Properties { integral: first.integral, ..Properties::NONE },
        special::SUM | "matmul" | "conv" | "min" => all(),
        special::PRODUCT => product(ids, operands),
        "div" => {
            let by = of(1).unwrap_or(Properties::NONE);
            Properties {
                not_negative: first.not_negative && by.unsigned,
                unsigned: first.unsigned && by.unsigned,
                integral: false,
            }
        }
        "max" => {
            let second = of(1).unwrap_or(Properties::NONE);
            Properties { integral: first.integral && second.integral, ..first.or(second) }
        }
        "clip" => {
            let low = of(1).unwrap_or(Properties { integral: true, ..Properties::NONE });
            let above = Properties { integral: first.integral && low.integral, ..first.or(low) };
            above.and(of(2).unwrap_or(Properties::ALL))
        }
        "pow" => Properties { not_negative: first.unsigned, unsigned: first.unsigned, integral: false },
        "where" => of(1).unwrap_or(Properties::NONE).and(of(2).unwrap_or(Properties::NONE)),
        "transpose" | "reshape" | "slice" | "expand" | "gather" | "reduce_sum" | "reduce_min" => first,
        "reduce_mean" => first.signs(),
        "concat" => all(),
        // The greatest element of nothing is minus infinity.
        "reduce_max" if operands[0].ty.dims.iter().all(|d| d.as_const().is_some_and(|d| d > 0)) => first,
        "max_pool" if no_pads(head) => first,
        // Padding adds zeros if no other value is given.
        "pad" if head.attrs.str("mode", "constant") == "constant" => match places.len() {
            0 | 1 => first,
            _ => all(),
        },
        "cast" => match operands.first().map(|f| f.ty.dtype) {
            Some(from) if from.is_float() && !dtype.is_float() => Properties::NONE,
            Some(from) if from == DType::Bool || !from.is_float() && !from.is_signed_int() => {
                if dtype.is_float() { Properties::ALL } else { Properties::NONE }
            }
            Some(_) if dtype.is_float() => first,
            _ => Properties::NONE,
        },
        "eye" => Properties::ALL,
        _ => Properties::NONE,
    };
    match &*head.op {
        _ if dtype.is_float() => found,
        "relu" => Properties::ALL,
        // Integers wrap, so facts about sums and products of numbers do not hold for them.
        _ => Properties::of_type(dtype),
    }
}

/// Factors that occur twice have no effect on the sign.
fn product(ids: &[Id], operands: &[&Facts]) -> Properties {
    let mut counts: BTreeMap<Id, usize> = BTreeMap::new();
    ids.iter().for_each(|id| *counts.entry(*id).or_insert(0) += 1);
    let factor = |(id, facts): (&Id, &&Facts)| {
        let squared = Properties { not_negative: true, unsigned: true, integral: facts.properties.integral };
        if counts[id].is_multiple_of(2) { squared } else { facts.properties }
    };
    ids.iter().zip(operands).map(factor).fold(Properties::ALL, Properties::and)
}

/// Whether every window lies within its operand.
fn no_pads(head: &Head) -> bool {
    !head.attrs.bool("ceil_mode", false)
        && head.attrs.exprs("pads").is_none_or(|pads| pads.iter().all(|p: &Expr| p.is(0)))
}
