//! Values of the variables, and fingerprints of terms: a term's results on these values.
//!
//! Each space of values has environments of two kinds. In exact ones elements are `f32`. NaN, infinities and
//! zeros of both signs are among them, unless they would make every result NaN. Two terms with the same bits
//! there may be equal exactly. In real environments elements are random `f64` numbers, and nine digits are
//! compared. Two terms that are equal there may be equal over the real numbers. The reference interpreter
//! computes both.

use super::vocabulary::Space;
use crate::gates::sample::Random;
use mlcc_ir::{
    attributes::{Attr, Attrs},
    dtype::DType,
    expr::Expr,
    ops::{self, Operand},
    tensor::{Element, Tensor, push_element},
    types::TensorType,
};
use mlcc_rewriting::{
    attributes::canonical,
    expression::Value,
    facts::{Classes, Known},
    rule::{Binding, Bindings, Pattern},
    term::special,
};

/// NaN, infinities and zeros, and sizes at which functions saturate, overflow or vanish.
const SPECIAL: [f64; 14] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.5,
    -2.5,
    3.0,
    -5.0,
    17.5,
    1e-30,
    -3e30,
];
/// Random elements after all combinations of these.
const RANDOM: usize = 64;

/// Values of all variables.
pub(super) struct Environment {
    /// Values of the variables of attributes.
    pub(super) attributes: Bindings,
    /// Dimensions of tensors.
    pub(super) dims: Vec<i64>,
    /// Whether bits are compared.
    pub(super) exact: bool,
    values: Values,
    seed: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Values {
    /// All combinations of special numbers for three variables, then random ones.
    Combined,
    /// NaN, infinities and zeros as often as numbers.
    Special,
    /// Numbers and a few zeros of both signs.
    Numbers,
    /// `f64` numbers.
    Reals,
}

/// The environments of a space.
pub(super) fn environments(space: Space) -> Vec<Environment> {
    let make = |dims: &[i64], values, seed| Environment {
        attributes: attributes(dims, space),
        dims: dims.to_vec(),
        exact: values != Values::Reals,
        values,
        seed,
    };
    match space {
        Space::Vectors => {
            let all = (SPECIAL.len().pow(3) + RANDOM) as i64;
            vec![make(&[all], Values::Combined, 1), make(&[13], Values::Reals, 2)]
        }
        Space::Cubes => vec![
            make(&[4, 4, 4], Values::Numbers, 3),
            make(&[5, 5], Values::Special, 4),
            make(&[4, 4, 4], Values::Reals, 5),
        ],
        Space::Images => vec![make(&[1, 2, 6, 9], Values::Numbers, 6), make(&[1, 2, 6, 9], Values::Reals, 7)],
    }
}

/// The type of a variable, by its name, for tensors of these dimensions.
pub(super) fn leaf_type(name: &str, dims: &[i64], float: DType) -> TensorType {
    match name {
        "c" => TensorType::of(float, &[]),
        "u" | "v" | "g" => TensorType::of(DType::Bool, dims),
        _ => TensorType::of(float, dims),
    }
}

/// Values of the attributes' variables for tensors of these dimensions.
fn attributes(dims: &[i64], space: Space) -> Bindings {
    let rank = dims.len();
    let mut bindings = Bindings::default();
    let mut list = |name: &str, values: Vec<i64>| {
        let values = values.into_iter().map(Expr::from).collect();
        bindings.set(&name.into(), Binding::Value(Value::List(values)));
    };
    let size = dims[rank - 1];
    let order = |order: &[i64]| order.iter().copied().filter(|&d| d < rank as i64).collect::<Vec<_>>();
    list("p", order(&[1, 2, 0, 3]));
    list("q", order(&[2, 1, 0, 3]));
    let mut swapped: Vec<i64> = (0..rank as i64).collect();
    if rank >= 2 {
        swapped.swap(rank - 1, rank - 2);
    }
    list("w", swapped);
    list("i", (0..rank as i64).collect());
    list("a", vec![0]);
    list("b", vec![rank as i64 - 1]);
    let rows = dims.iter().product::<i64>() / size;
    list("s", vec![rows, size]);
    list("t", vec![rows * size]);
    list("d", dims.to_vec());
    list("e", [&[2][..], dims].concat());
    list("f", vec![0; rank]);
    list("n", dims.to_vec());
    list("h", vec![1; rank]);
    bindings.set(&"k".into(), Binding::Value(Value::Int(Expr::from((rank as i64 - 2).max(0)))));
    let ints = |values: &[i64]| Attr::Exprs(values.iter().map(|&v| Expr::from(v)).collect());
    let slice = Attrs::new()
        .with("starts", ints(&[&vec![0; rank - 1][..], &[1]].concat()))
        .with("sizes", ints(&[&[2][..], &vec![size - 1; rank - 1]].concat()[..rank]))
        .with("steps", ints(&vec![1; rank]));
    // One space keeps dimensions and another one drops them: a rule is about both.
    let reduction =
        Attrs::new().with("axes", Attr::Ints(vec![rank as i64 - 2])).with("keepdims", Attr::Bool(rank == 2));
    let mut set = |name: &str, op, attrs| {
        bindings.set(&name.into(), Binding::Attrs(canonical(op, attrs, rank)));
    };
    set("o", "slice", slice);
    set("r", "reduce_max", reduction);
    if space == Space::Images {
        let window = Attrs::new()
            .with("kernel", Attr::Ints(vec![2, 3]))
            .with("strides", Attr::Ints(vec![2, 1]))
            .with("dilations", Attr::Ints(vec![1, 1]))
            .with("pads", ints(&[0; 4]));
        set("m", "max_pool", window);
    }
    bindings
}

impl Environment {
    /// The element type of tensors and scalars.
    pub(super) fn float(&self) -> DType {
        if self.exact { DType::F32 } else { DType::F64 }
    }

    /// The value of a variable.
    pub(super) fn leaf(&self, name: &str) -> Option<Tensor> {
        let ty = leaf_type(name, &self.dims, self.float());
        let dims = ty.static_dims()?;
        let mut random = Random::new(&format!("{name} {}", self.seed));
        let mut data = Vec::new();
        for at in 0..dims.iter().product::<i64>() {
            let number = random.unit() * 6.0 - 3.0 + bias(&dims, at);
            let drawn = random.below(20);
            let element = match self.values {
                _ if ty.dtype == DType::Bool => Element::Int((drawn % 2) as i64),
                _ if dims.is_empty() => Element::Float(number),
                Values::Combined => Element::Float(combined(name, at).unwrap_or(number)),
                Values::Special if drawn < SPECIAL.len() => Element::Float(SPECIAL[drawn]),
                Values::Numbers if drawn == 0 => Element::Float(0.0),
                Values::Numbers if drawn == 1 => Element::Float(-0.0),
                _ => Element::Float(number),
            };
            push_element(ty.dtype, &mut data, element);
        }
        Tensor::new(ty.dtype, dims, data.into())
    }

    /// The value of a number: a scalar.
    pub(super) fn number(&self, value: f64) -> Option<Tensor> {
        let mut data = Vec::new();
        push_element(self.float(), &mut data, Element::Float(value));
        Tensor::new(self.float(), Vec::new(), data.into())
    }

    /// The attributes of an operator of a template, defaults left out.
    pub(super) fn attrs(&self, template: &Pattern) -> Option<Attrs> {
        let Pattern::Apply { attrs, others, .. } = template else { return None };
        let mut all = match others {
            None => Attrs::new(),
            Some(variable) => match self.attributes.get(variable)? {
                Binding::Attrs(attrs) => attrs.clone(),
                _ => return None,
            },
        };
        let nothing = Classes::new(Known::default());
        for (name, expression) in attrs {
            all = all.with(name, expression.evaluate(&nothing, &self.attributes)?.attribute()?);
        }
        Some(all)
    }
}

/// Element `at` of a variable: the first elements of three variables together are all combinations.
fn combined(name: &str, at: i64) -> Option<f64> {
    let (at, count) = (usize::try_from(at).ok()?, SPECIAL.len());
    let digit = match name {
        "x" => at % count,
        "y" => at / count % count,
        _ => at / count.pow(2),
    };
    (at < count.pow(3)).then(|| SPECIAL[digit])
}

/// A number added to element `at`, so that the largest and smallest elements of a row, a column or a window
/// have either sign.
fn bias(dims: &[i64], at: i64) -> f64 {
    let [first, .., last] = *dims else { return 0.0 };
    let row = at / (dims.iter().product::<i64>() / first).max(1);
    let column = at % last * 4 / last;
    match (row, column) {
        (_, 0) => -3.0,
        (0, 1..) if first == 1 => 3.0,
        (0, _) => -3.0,
        (1, _) | (_, 1) => 3.0,
        _ => 0.0,
    }
}

/// The value of an operator; `None` if it is ill-typed. Attributes may leave defaults out.
pub(super) fn apply(op: &str, attrs: &Attrs, operands: &[Tensor]) -> Option<Tensor> {
    let binary = |op: &str| {
        let (first, rest) = operands.split_first()?;
        rest.iter().try_fold(first.clone(), |sum, next| evaluate(op, attrs, &[sum, next.clone()]))
    };
    match op {
        special::SUM => binary("add"),
        special::PRODUCT => binary("mul"),
        op => evaluate(op, attrs, operands),
    }
}

fn evaluate(op: &str, attrs: &Attrs, operands: &[Tensor]) -> Option<Tensor> {
    // Conditions have an order, but connectives express the same about them.
    const ORDER: &[&str] = &["less", "less_equal", "equal", "greater", "greater_equal", "max", "min"];
    if ORDER.contains(&op) && operands.iter().any(|o| o.dtype == DType::Bool) {
        return None;
    }
    let types: Vec<TensorType> = operands.iter().map(Tensor::ty).collect();
    let attrs = &canonical(op, attrs.clone(), types.first().map_or(0, TensorType::rank));
    let views: Vec<Option<Operand<'_>>> = types
        .iter()
        .zip(operands)
        .map(|(ty, tensor)| Some(Operand { ty, known: None, constant: Some(tensor) }))
        .collect();
    let ty = ops::infer(op, attrs, &views).ok()?.into_iter().next()?.ty;
    let operands: Vec<Option<Tensor>> = operands.iter().cloned().map(Some).collect();
    mlcc_interpreter::graph::evaluate(op, attrs, &operands, &[ty]).ok()?.into_iter().next()
}

/// Bytes of a term that hash to its fingerprint: types and elements in all environments of a kind.
///
/// `None` if it has no value in any of them.
pub(super) fn fingerprint(
    environments: &[Environment],
    values: &[Option<Tensor>],
    exact: bool,
) -> Option<u128> {
    let mut hash = Hash::default();
    let mut is_defined = false;
    for (environment, value) in environments.iter().zip(values) {
        if environment.exact != exact {
            continue;
        }
        let Some(tensor) = value else {
            hash.add(1);
            continue;
        };
        is_defined = true;
        hash.add(tensor.dtype as u64 ^ (tensor.dims.len() as u64) << 8);
        tensor.dims.iter().for_each(|&d| hash.add(d as u64));
        for element in (0..tensor.elements()).map(|i| tensor.get(i)) {
            hash.add(match element {
                Element::Float(v) if v.is_nan() => u64::MAX,
                Element::Float(v) if exact => v.to_bits(),
                Element::Float(v) => rounded(v),
                Element::Int(v) => v as u64,
                Element::UInt(v) => v,
            });
        }
    }
    is_defined.then_some(hash.0)
}

/// Nine digits of a number; a number next to nothing counts as zero.
fn rounded(value: f64) -> u64 {
    const LEFT_OUT: u32 = 23;
    if value.abs() < 1e-9 {
        return 0;
    }
    (value.to_bits() + (1 << (LEFT_OUT - 1))) >> LEFT_OUT
}

/// Fowler, Noll and Vo's hash over words instead of bytes, mixed after each.
struct Hash(u128);

impl Default for Hash {
    fn default() -> Hash {
        Hash(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }
}

impl Hash {
    fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ u128::from(word)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
        self.0 ^= self.0 >> 67;
    }
}
