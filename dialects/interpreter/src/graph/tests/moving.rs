//! Movement, indexing, generators: exact results.

use crate::testing::{Random, attrs, evaluate, f32s, i64s, ints, numbers, text, try_evaluate};
use mlcc_ir::{attributes::Attr, dtype::DType, expr::Expr, tensor::Tensor};

fn counted(dims: &[i64]) -> Tensor {
    let n: i64 = dims.iter().product();
    i64s(dims, &(0..n).collect::<Vec<_>>())
}

fn elements(op: &str, list: &[(&str, Attr)], operands: &[Tensor]) -> Vec<i64> {
    evaluate(op, list, operands)[0].to_i64()
}

fn message(op: &str, list: &[(&str, Attr)], operands: &[Tensor]) -> String {
    let operands: Vec<_> = operands.iter().cloned().map(Some).collect();
    try_evaluate(op, &attrs(list), &operands).unwrap_err().message
}

#[test]
fn a_reshape_shares_its_bytes() {
    let x = counted(&[2, 3]);
    let y = evaluate("reshape", &[("shape", ints(&[3, 2]))], std::slice::from_ref(&x)).swap_remove(0);
    assert_eq!((y.dims, y.data.as_ptr()), (vec![3, 2], x.data.as_ptr()));
}

#[test]
fn transposes_move_every_element() {
    let x = counted(&[2, 3, 4]);
    let y = evaluate("transpose", &[("perm", ints(&[2, 0, 1]))], &[x]).swap_remove(0);
    assert_eq!(y.dims, [4, 2, 3]);
    for (i, v) in y.to_i64().into_iter().enumerate() {
        let (a, b, c) = (i as i64 / 6, i as i64 / 3 % 2, i as i64 % 3);
        assert_eq!(v, (b * 3 + c) * 4 + a);
    }
}

#[test]
fn slices_and_concatenations() {
    let x = counted(&[2, 5]);
    let slice = |starts: &[i64], sizes: &[i64], steps: &[i64]| {
        elements(
            "slice",
            &[("starts", ints(starts)), ("sizes", ints(sizes)), ("steps", ints(steps))],
            std::slice::from_ref(&x),
        )
    };
    assert_eq!(slice(&[1, 4], &[1, 3], &[1, -2]), [9, 7, 5]);
    assert_eq!(slice(&[1, 0], &[2, 2], &[-1, 3]), [5, 8, 0, 3]);
    assert_eq!(slice(&[0, 5], &[2, 0], &[1, 1]), [0; 0]);
    let y = i64s(&[2, 1], &[-1, -2]);
    let joined = elements("concat", &[("axis", Attr::Int(1))], &[y.clone(), x, y]);
    assert_eq!(joined, [-1, 0, 1, 2, 3, 4, -1, -2, 5, 6, 7, 8, 9, -2]);
}

#[test]
fn pads_of_every_mode() {
    let x = counted(&[4]);
    let pad = |begin: i64, end: i64, mode: &str| {
        let list = [("pads", ints(&[begin, end])), ("mode", text(mode))];
        elements("pad", &list, &[x.clone(), i64s(&[], &[9])])
    };
    assert_eq!(pad(1, 2, "constant"), [9, 0, 1, 2, 3, 9, 9]);
    assert_eq!(pad(-1, 1, "constant"), [1, 2, 3, 9]);
    assert_eq!(pad(2, 1, "edge"), [0, 0, 0, 1, 2, 3, 3]);
    assert_eq!(pad(4, 2, "reflect"), [2, 3, 2, 1, 0, 1, 2, 3, 2, 1]);
    assert_eq!(pad(2, 2, "wrap"), [2, 3, 0, 1, 2, 3, 0, 1]);
    let rows = evaluate("pad", &[("pads", ints(&[0, 1, 1, 0]))], &[counted(&[1, 2])]).swap_remove(0);
    assert_eq!((rows.dims.clone(), rows.to_i64()), (vec![2, 3], vec![0, 0, 1, 0, 0, 0]));
}

#[test]
fn repetition_and_triangles() {
    let x = counted(&[2, 2]);
    assert_eq!(
        elements("tile", &[("repeats", ints(&[1, 2]))], std::slice::from_ref(&x)),
        [0, 1, 0, 1, 2, 3, 2, 3]
    );
    assert_eq!(
        elements("tile", &[("repeats", ints(&[2, 1]))], std::slice::from_ref(&x)),
        [0, 1, 2, 3, 0, 1, 2, 3]
    );
    let expanded = elements("expand", &[("shape", ints(&[2, 2, 2]))], &[i64s(&[2, 1], &[5, 6])]);
    assert_eq!(expanded, [5, 5, 6, 6, 5, 5, 6, 6]);
    let triangle = |upper: bool, k: i64| {
        elements("trilu", &[("upper", Attr::Bool(upper)), ("k", Attr::Int(k))], &[i64s(&[3, 3], &[1; 9])])
    };
    assert_eq!(triangle(true, 1), [0, 1, 1, 0, 0, 1, 0, 0, 0]);
    assert_eq!(triangle(false, 0), [1, 0, 0, 1, 1, 0, 1, 1, 1]);
    let list = [("batch_axis", Attr::Int(0)), ("time_axis", Attr::Int(1))];
    let reversed = elements("reverse_sequence", &list, &[counted(&[2, 3]), i64s(&[2], &[2, 3])]);
    assert_eq!(reversed, [1, 0, 2, 5, 4, 3]);
}

#[test]
fn gathers_check_their_indices() {
    let x = counted(&[3, 2]);
    let axis = |a| [("axis", Attr::Int(a))];
    assert_eq!(elements("gather", &axis(0), &[x.clone(), i64s(&[2], &[-1, 0])]), [4, 5, 0, 1]);
    assert_eq!(elements("gather", &axis(1), &[x.clone(), i64s(&[], &[1])]), [1, 3, 5]);
    assert_eq!(
        message("gather", &axis(1), &[x.clone(), i64s(&[1], &[2])]),
        "index 2 is out of range for 2 elements"
    );
    assert!(message("gather", &axis(0), &[x.clone(), i64s(&[1], &[i64::MIN])]).contains("out of range"));
    assert_eq!(
        elements("gather_elements", &axis(0), &[x.clone(), i64s(&[2, 2], &[2, 0, 0, -1])]),
        [4, 1, 0, 5]
    );
    assert_eq!(elements("gather_nd", &[], &[x.clone(), i64s(&[2, 2], &[0, 1, -1, 0])]), [1, 4]);
    assert_eq!(elements("gather_nd", &[], &[x.clone(), i64s(&[2, 1], &[1, 0])]), [2, 3, 0, 1]);
    let batch = [("batch_dims", Attr::Int(1))];
    assert_eq!(elements("gather_nd", &batch, &[x, i64s(&[3, 1], &[1, 0, 1])]), [1, 2, 5]);
}

#[test]
fn scatters_update_in_order() {
    let zeros = i64s(&[4], &[0; 4]);
    let list = |reduction: &str| [("axis", Attr::Int(0)), ("reduction", text(reduction))];
    let (indices, updates) = (i64s(&[3], &[1, -1, 1]), i64s(&[3], &[5, 6, 7]));
    let operands = [zeros, indices, updates];
    assert_eq!(elements("scatter_elements", &list("none"), &operands), [0, 7, 0, 6]);
    assert_eq!(elements("scatter_elements", &list("add"), &operands), [0, 12, 0, 6]);
    assert_eq!(elements("scatter_elements", &list("max"), &operands), [0, 7, 0, 6]);
    let rows = [counted(&[3, 2]), i64s(&[1, 1], &[1]), i64s(&[1, 2], &[-1, -2])];
    assert_eq!(elements("scatter_nd", &[], &rows), [0, 1, -1, -2, 4, 5]);
    let bad = [counted(&[3]), i64s(&[1, 1], &[3]), i64s(&[1], &[0])];
    assert_eq!(message("scatter_nd", &[], &bad), "index 3 is out of range for 3 elements");
}

#[test]
fn selection_by_value() {
    let list = [("axis", Attr::Int(1)), ("depth", ints(&[3]))];
    let hot = elements("one_hot", &list, &[i64s(&[3], &[1, -1, 7]), i64s(&[2], &[0, 9])]);
    assert_eq!(hot, [0, 9, 0, 0, 0, 9, 0, 0, 0]);
    let x = f32s(&[2, 4], &[1.0, 4.0, 4.0, 2.0, f64::NAN, 3.0, 1.0, 9.0]);
    let top = |largest: bool| [("k", ints(&[2])), ("axis", Attr::Int(1)), ("largest", Attr::Bool(largest))];
    let results = evaluate("top_k", &top(true), std::slice::from_ref(&x));
    assert_eq!(results[1].to_i64(), [1, 2, 0, 3]);
    assert_eq!(results[0].to_f64()[..2], [4.0, 4.0]);
    let results = evaluate("top_k", &top(false), &[x]);
    assert_eq!((results[0].to_f64(), results[1].to_i64()), (vec![1.0, 2.0, 1.0, 3.0], vec![0, 3, 2, 1]));
}

#[test]
fn generators() {
    let length = [("length", ints(&[4]))];
    assert_eq!(numbers("range", &length, &[f32s(&[], &[1.0]), f32s(&[], &[-0.5])]), [1.0, 0.5, 0.0, -0.5]);
    let eye = [
        ("rows", Attr::Int(2)),
        ("cols", Attr::Int(3)),
        ("k", Attr::Int(1)),
        ("dtype", Attr::DType(DType::I8)),
    ];
    assert_eq!(elements("eye", &eye, &[]), [0, 1, 0, 0, 0, 1]);
    assert_eq!(elements("dims", &[("values", ints(&[3, 4]))], &[]), [3, 4]);
    let unbound = [("values", Attr::Exprs(vec![Expr::symbol("n")]))];
    assert!(message("dims", &unbound, &[]).contains("'n' of attribute 'values' is not bound"));
}

#[test]
fn movement_keeps_the_bits_of_every_type() {
    let mut random = Random(3);
    for dtype in DType::ALL {
        let x = random.tensor(dtype, &[3, 4]);
        let turned =
            evaluate("transpose", &[("perm", ints(&[1, 0]))], std::slice::from_ref(&x)).swap_remove(0);
        let back =
            evaluate("transpose", &[("perm", ints(&[1, 0]))], std::slice::from_ref(&turned)).swap_remove(0);
        assert_eq!(back, x);
        let joined = evaluate("concat", &[("axis", Attr::Int(0))], &[x.clone(), x.clone()]).swap_remove(0);
        let half = [("starts", ints(&[3, 0])), ("sizes", ints(&[3, 4])), ("steps", ints(&[1, 1]))];
        assert_eq!(evaluate("slice", &half, &[joined])[0], x);
        // Signalling bits stay as they are: no conversion on the way.
        let nan = Tensor::new(DType::F32, vec![1], vec![1, 0, 0x80, 0x7f].into()).unwrap();
        assert_eq!(
            evaluate("tile", &[("repeats", ints(&[1]))], std::slice::from_ref(&nan))[0].data,
            nan.data
        );
    }
}
