//! Exact arithmetic for rules about sums, products and quotients: modulo a prime.
//!
//! Two different rational functions are equal at few points of a field: by the Schwartz-Zippel lemma, at a
//! part of d / p of them for functions of degree d modulo the prime p. So one random point almost surely
//! tells them apart. Residues are held in floats of 64 bits, and the interpreter's own operators compute
//! them, one by one. Products of residues below 2^20 stay below 2^40, and thousands of these can be summed
//! exactly.

use super::{sample::Random, wide};
use mlcc_ir::{
    dtype::DType,
    graph::{Graph, Node},
    tensor::{Element, Tensor, push_element},
    types::TensorType,
};
use mlcc_rewriting::facts::Leaf;

/// The greatest prime below 2^20.
const PRIME: i64 = 1_048_573;

/// The results of both sides at one random point, with floats as residues. `None` if a divisor is 0 there, or
/// a fixed value is no rational number.
pub(super) fn run(sides: [&Graph; 2], leaves: &[Leaf], random: &mut Random) -> Option<[Tensor; 2]> {
    let mut inputs = Vec::new();
    for leaf in leaves {
        let dims = leaf.ty.static_dims()?;
        let mut data = Vec::new();
        for _ in 0..dims.iter().product::<i64>() {
            let element = match (leaf.ty.dtype, leaf.uniform) {
                (DType::Bool, _) => Element::Int(random.below(2) as i64),
                (_, Some(value)) => Element::Float(residue(value)? as f64),
                (dtype, None) if dtype.is_float() => Element::Float(random.below(PRIME as usize) as f64),
                _ => return None,
            };
            push_element(super::values::widened(leaf.ty.dtype), &mut data, element);
        }
        inputs.push(Tensor::new(super::values::widened(leaf.ty.dtype), dims, data.into())?);
    }
    let [left, right] = sides;
    Some([evaluate(&wide::widen(left), &inputs)?, evaluate(&wide::widen(right), &inputs)?])
}

fn evaluate(graph: &Graph, inputs: &[Tensor]) -> Option<Tensor> {
    let mut held: Vec<Option<Tensor>> = vec![None; graph.values.len()];
    for (at, value) in graph.values.iter().enumerate() {
        if let mlcc_ir::graph::Def::Constant(tensor) = &value.def {
            held[at] = Some(if tensor.dtype.is_float() { map(tensor, residue)? } else { tensor.clone() });
        }
    }
    for (id, tensor) in graph.inputs.iter().zip(inputs) {
        held[id.0 as usize] = Some(tensor.clone());
    }
    for node in &graph.nodes {
        let operands: Vec<Option<Tensor>> =
            node.operands.iter().map(|o| o.and_then(|id| held[id.0 as usize].clone())).collect();
        let result = *node.results.first()?;
        held[result.0 as usize] = Some(operator(node, &operands, &graph.value(result).ty)?);
    }
    let (_, output) = graph.outputs.first()?;
    held[output.0 as usize].clone()
}

fn operator(node: &Node, operands: &[Option<Tensor>], ty: &TensorType) -> Option<Tensor> {
    let run = |op: &str, operands: &[Option<Tensor>]| {
        let results = std::slice::from_ref(ty);
        mlcc_interpreter::graph::evaluate(op, &node.attrs, operands, results).ok()?.into_iter().next()
    };
    let first = operands.first()?.as_ref();
    let result = match &*node.op {
        "reciprocal" => map(first?, |v| inverse(v as i64))?,
        "div" => {
            let by = map(operands.get(1)?.as_ref()?, |v| inverse(v as i64))?;
            run("mul", &[first.cloned(), Some(by)])?
        }
        "reduce_mean" => {
            let x = first?;
            let count = x.elements() as i64 / ty.elements().as_const().filter(|&n| n > 0)?;
            let factor = inverse(count)?;
            let sum = map(&run("reduce_sum", operands)?, residue)?;
            map(&sum, |v| Some(v as i64 * factor % PRIME))?
        }
        op => run(op, operands)?,
    };
    if result.dtype.is_float() { map(&result, residue) } else { Some(result) }
}

fn map(tensor: &Tensor, function: impl Fn(f64) -> Option<i64>) -> Option<Tensor> {
    let mut data = Vec::new();
    for value in tensor.to_f64() {
        push_element(DType::F64, &mut data, Element::Float(function(value)? as f64));
    }
    Tensor::new(DType::F64, tensor.dims.clone(), data.into())
}

/// The residue of a float, which is an integer times a power of two.
fn residue(value: f64) -> Option<i64> {
    if !value.is_finite() {
        return None;
    }
    let (mut mantissa, mut exponent) = (value, 0u32);
    while mantissa.fract() != 0.0 {
        mantissa *= 2.0;
        exponent += 1;
    }
    let integer = (mantissa % PRIME as f64) as i64;
    let halves = (0..exponent).try_fold(1, |h, _| Some(h * inverse(2)? % PRIME))?;
    Some((integer.rem_euclid(PRIME) * halves).rem_euclid(PRIME))
}

/// The inverse modulo the prime; 0 has none.
fn inverse(value: i64) -> Option<i64> {
    let base = value.rem_euclid(PRIME);
    if base == 0 {
        return None;
    }
    // By Fermat's little theorem.
    let (mut base, mut exponent, mut power) = (base, PRIME - 2, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = power * base % PRIME;
        }
        base = base * base % PRIME;
        exponent >>= 1;
    }
    Some(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modulus_is_prime() {
        assert!((2..1024).all(|d| PRIME % d != 0) && 1024 * 1024 > PRIME);
    }

    #[test]
    fn residues_are_those_of_rational_numbers() {
        assert_eq!(residue(-1.0), Some(PRIME - 1));
        let quarter = residue(0.25).expect("finite");
        assert_eq!(quarter * 4 % PRIME, 1);
        assert_eq!(residue(f64::INFINITY), None);
        assert_eq!(inverse(PRIME), None);
        for value in [1, 2, 3, 1000, PRIME - 1] {
            assert_eq!(inverse(value).expect("not 0") * value % PRIME, 1);
        }
    }
}
