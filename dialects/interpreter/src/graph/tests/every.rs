//! Properties of every operator: it can be evaluated, and no call panics, however odd.

use crate::testing::{Random, attrs, f32s, i64s, ints, tensor, text, try_evaluate};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    dtype::DType,
    ops::{self, AttrKind},
    tensor::Tensor,
};

/// Operands and attributes that fit the operator.
fn sample(op: &str) -> (Attrs, Vec<Tensor>) {
    let x = f32s(&[2, 3], &[0.5, -1.0, 2.0, 0.25, 1.0, -0.5]);
    let image = Random(4).tensor(DType::F32, &[1, 2, 4, 4]);
    let integers = i64s(&[2, 3], &[1, 2, 3, 4, 5, 6]);
    let booleans = tensor(DType::Bool, &[2, 3], &[1.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    let two = f32s(&[2], &[1.0, 2.0]);
    let (axis, float) = (("axis", Attr::Int(1)), Attr::Float(0.5));
    let kernel = ("kernel", ints(&[2, 2]));
    let (list, operands): (Vec<(&str, Attr)>, Vec<Tensor>) = match op {
        "bitwise_not" => (vec![], vec![integers]),
        "not" => (vec![], vec![booleans]),
        "cast" => (vec![("to", Attr::DType(DType::I8))], vec![x]),
        "bit_cast" => (vec![("to", Attr::DType(DType::I32))], vec![x]),
        "and" | "or" | "xor" => (vec![], vec![booleans.clone(), booleans]),
        "where" => (vec![], vec![booleans, x.clone(), x]),
        _ if op.starts_with("bitwise") || op.starts_with("shift") => {
            (vec![], vec![integers.clone(), integers])
        }
        "mod" => (vec![], vec![integers.clone(), integers]),
        "matmul" => (vec![("transpose_b", Attr::Bool(true))], vec![x.clone(), x]),
        "einsum" => (vec![("equation", text("ij,kj->ik"))], vec![x.clone(), x]),
        "conv" => (vec![("group", Attr::Int(1))], vec![image, f32s(&[1, 2, 1, 1], &[1.0, 2.0])]),
        "conv_transpose" => (vec![("group", Attr::Int(1))], vec![image, f32s(&[2, 1, 1, 1], &[1.0, 2.0])]),
        "max_pool" | "average_pool" => (vec![kernel], vec![image]),
        "lp_pool" => (vec![kernel, ("p", Attr::Int(2))], vec![image]),
        _ if op.starts_with("reduce") => (vec![("axes", ints(&[1]))], vec![x]),
        "layer_norm" | "rms_norm" => (vec![axis, ("epsilon", float)], vec![x]),
        "rotary_embedding" => (vec![("rotary_dim", Attr::Int(2))], vec![x, f32s(&[2, 1], &[0.8, 0.0]), two]),
        "batch_norm" => (vec![("epsilon", float)], vec![image, two.clone(), two.clone(), two.clone(), two]),
        "instance_norm" => (vec![("epsilon", float)], vec![image, two.clone(), two]),
        "group_norm" => (vec![("epsilon", float), ("groups", Attr::Int(2))], vec![image, two.clone(), two]),
        "lrn" => {
            let list = vec![
                ("size", Attr::Int(2)),
                ("alpha", float.clone()),
                ("beta", float.clone()),
                ("bias", float),
            ];
            (list, vec![image])
        }
        "reshape" => (vec![("shape", ints(&[3, 2]))], vec![x]),
        "transpose" => (vec![("perm", ints(&[1, 0]))], vec![x]),
        "concat" => (vec![axis], vec![x.clone(), x]),
        "slice" => {
            (vec![("starts", ints(&[1, 2])), ("sizes", ints(&[1, 2])), ("steps", ints(&[1, -1]))], vec![x])
        }
        "pad" => (vec![("pads", ints(&[1, 0, 0, 1])), ("mode", text("edge"))], vec![x]),
        "expand" => (vec![("shape", ints(&[2, 2, 3]))], vec![x]),
        "tile" => (vec![("repeats", ints(&[2, 1]))], vec![x]),
        "trilu" => (vec![("upper", Attr::Bool(true))], vec![x]),
        "reverse_sequence" => {
            (vec![("batch_axis", Attr::Int(0)), ("time_axis", Attr::Int(1))], vec![x, i64s(&[2], &[1, 3])])
        }
        "resize" => {
            let scales = Attr::Floats(vec![1.0, 2.0]);
            (vec![("scales", scales), ("sizes", ints(&[2, 6])), ("mode", text("cubic"))], vec![x])
        }
        "grid_sample" => {
            (vec![("mode", text("cubic"))], vec![image, Random(5).tensor(DType::F32, &[1, 2, 3, 2])])
        }
        "gather" => (vec![axis], vec![x, i64s(&[2], &[0, -1])]),
        "gather_elements" => (vec![axis], vec![x, i64s(&[2, 1], &[0, 2])]),
        "gather_nd" => (vec![], vec![x, i64s(&[2, 1], &[1, 0])]),
        "scatter_elements" => (vec![axis], vec![x, i64s(&[2, 1], &[0, 2]), f32s(&[2, 1], &[7.0, 8.0])]),
        "scatter_nd" => (vec![], vec![x, i64s(&[1, 2], &[1, 2]), f32s(&[1], &[7.0])]),
        "one_hot" => (vec![axis, ("depth", ints(&[3]))], vec![i64s(&[2], &[0, 2]), two]),
        "top_k" => (vec![axis, ("k", ints(&[2]))], vec![x]),
        "range" => (vec![("length", ints(&[3]))], vec![f32s(&[], &[0.0]), f32s(&[], &[1.0])]),
        "dims" => (vec![("values", ints(&[3, 4]))], vec![]),
        "eye" => {
            (vec![("rows", Attr::Int(2)), ("cols", Attr::Int(2)), ("dtype", Attr::DType(DType::F32))], vec![])
        }
        "quantize_linear" => (vec![("to", Attr::DType(DType::U8))], vec![x, f32s(&[], &[0.1])]),
        "dequantize_linear" => (vec![], vec![integers, f32s(&[], &[0.1])]),
        _ => {
            // Elementwise and along one axis: floats and float attributes.
            let def = ops::definition(op).unwrap();
            let value = |kind: AttrKind| match kind {
                AttrKind::Int => Attr::Int(1),
                _ => Attr::Float(0.5),
            };
            let required = def.attributes.iter().filter(|a| a.required);
            let list = required.map(|a| (a.name, value(a.kind))).collect();
            (list, vec![x; def.operands.iter().filter(|o| o.arity == ops::Arity::One).count()])
        }
    };
    (attrs(&list), operands)
}

#[test]
fn every_operator_can_be_evaluated() {
    for def in ops::definitions() {
        let (attrs, operands) = sample(def.name);
        let operands: Vec<_> = operands.into_iter().map(Some).collect();
        let results = try_evaluate(def.name, &attrs, &operands);
        let results = results.unwrap_or_else(|e| panic!("{}: {e}", def.name));
        assert_eq!(results.len(), def.results.len(), "{}", def.name);
        assert!(results.iter().all(|r| r.elements() > 0), "{}", def.name);
    }
}

/// Changes types, shapes and attributes at random.
fn disturb(random: &mut Random, attrs: &mut Attrs, operands: &mut [Option<Tensor>]) {
    let small = |random: &mut Random| random.below(6) - 2;
    for operand in operands.iter_mut() {
        match random.below(6) {
            0 => *operand = None,
            1 | 2 => {
                let dims: Vec<i64> = (0..random.below(5)).map(|_| random.below(4)).collect();
                let dtype = operand.as_ref().map_or(DType::F32, |o| o.dtype);
                *operand = Some(random.tensor(dtype, &dims));
            }
            3 => {
                let dtype = DType::ALL[random.below(13) as usize];
                let dims = operand.as_ref().map_or(vec![2], |o| o.dims.clone());
                *operand = Some(random.tensor(dtype, &dims));
            }
            _ => {}
        }
    }
    for value in attrs.0.values_mut() {
        if random.below(3) != 0 {
            continue;
        }
        match value {
            Attr::Int(v) => {
                *v = match random.below(5) {
                    0 => i64::MAX,
                    1 => i64::MIN,
                    _ => small(random),
                }
            }
            Attr::Ints(v) if random.below(2) == 0 => {
                *v = (0..random.below(6)).map(|_| small(random)).collect()
            }
            Attr::Ints(v) => v.iter_mut().for_each(|v| *v = small(random)),
            Attr::Float(v) => *v = [0.0, -1.0, f64::NAN, f64::INFINITY][random.below(4) as usize],
            Attr::Floats(v) => v.iter_mut().for_each(|v| *v = random.float() * 3.0),
            Attr::Str(v) => {
                *v = ["nearest", "linear", "reflect", "wrap", "ij,jk", "...i->...", "i->"]
                    [random.below(7) as usize]
                    .into();
            }
            Attr::Bool(v) => *v = !*v,
            Attr::DType(v) => *v = DType::ALL[random.below(13) as usize],
            _ => {}
        }
    }
}

#[test]
fn no_call_panics() {
    let mut random = Random(6);
    let (mut good, mut bad) = (0, 0);
    for def in ops::definitions() {
        for _ in 0..300 {
            let (mut attrs, operands) = sample(def.name);
            let mut operands: Vec<_> = operands.into_iter().map(Some).collect();
            for optional in def.attributes.iter().filter(|a| !a.required) {
                if random.below(3) != 0 {
                    continue;
                }
                let value = match optional.kind {
                    AttrKind::Bool => Attr::Bool(true),
                    AttrKind::Int => Attr::Int(random.below(4)),
                    AttrKind::Ints | AttrKind::Exprs => ints(&[random.below(3), random.below(3), 1, 0]),
                    _ => continue,
                };
                attrs = attrs.with(optional.name, value);
            }
            disturb(&mut random, &mut attrs, &mut operands);
            match try_evaluate(def.name, &attrs, &operands) {
                Ok(_) => good += 1,
                Err(_) => bad += 1,
            }
        }
    }
    // Both happen often, or the test would say little.
    assert!(good > 2000 && bad > 2000, "{good} succeeded, {bad} failed");
}
