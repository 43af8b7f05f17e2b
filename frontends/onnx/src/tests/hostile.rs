//! Damaged files: import returns for any content.

use super::models::{
    BOOL, FLOAT, INT64, float_weight, graph, int, int_weight, ints, model, node, text, value,
};
use crate::{
    ImportOptions, import_bytes, parse_tensor_proto,
    proto::{FunctionProto, GraphProto, ModelProto, OperatorSetIdProto},
};
use prost::Message;

/// A small deterministic generator (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// A model with a bit of everything.
fn sample() -> ModelProto {
    let branch = |op: &str| GraphProto {
        node: vec![node(&format!("b = {op}(x)"), vec![])],
        output: vec![value("b", FLOAT, "n 4 6 6")],
        ..GraphProto::default()
    };
    let graph = GraphProto {
        input: vec![value("x", FLOAT, "n 4 6 6"), value("i", INT64, "3"), value("c", BOOL, "")],
        output: vec![value("y", FLOAT, "n 144"), value("z", FLOAT, "n 2 4 6"), value("t", FLOAT, "n 4 6 2")],
        initializer: vec![
            float_weight("w", &[4, 2, 3, 3], &[0.25; 72]),
            int_weight("shape", &[2], &[0, -1]),
            int_weight("starts", &[1], &[-1]),
            int_weight("ends", &[1], &[i64::MIN]),
            int_weight("axes", &[1], &[1]),
            int_weight("steps", &[1], &[-2]),
            int_weight("k", &[1], &[2]),
            int_weight("true", &[1], &[1]),
        ],
        node: vec![
            node(
                "h = Conv(x, w)",
                vec![int("group", 2), text("auto_pad", "SAME_UPPER"), ints("strides", &[1, 1])],
            ),
            node("m = MaxPool(h)", vec![ints("kernel_shape", &[1, 1])]),
            node("f = F(m)", vec![]),
            node("y = Reshape(f, shape)", vec![]),
            node("cond = Cast(true)", vec![int("to", 9)]),
            node(
                "b = If(cond)",
                vec![graph("then_branch", branch("Relu")), graph("else_branch", branch("Neg"))],
            ),
            node("s = Slice(b, starts, ends, axes, steps)", vec![]),
            node("p q = Split(s)", vec![int("axis", 2), int("num_outputs", 2)]),
            node("r = Transpose(p)", vec![ints("perm", &[0, 1, 2, 3])]),
            node("z = Pad(r, pads)", vec![]),
            node("g = Gather(x, i)", vec![int("axis", 1)]),
            node("t u = TopK(x, k)", vec![]),
        ],
        ..GraphProto::default()
    };
    let mut graph = graph;
    graph.initializer.push(int_weight("pads", &[8], &[0, 0, 0, 0, 0, 0, 1, 0]));
    let mut model = model(18, graph);
    model.functions = vec![FunctionProto {
        name: "F".into(),
        input: vec!["a".into()],
        output: vec!["o".into()],
        node: vec![node("o = Softmax(a)", vec![int("axis", 1)])],
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 12 }],
        ..FunctionProto::default()
    }];
    model
}

fn try_import(bytes: Vec<u8>) -> bool {
    import_bytes(bytes.into(), None, &ImportOptions::default()).is_ok()
}

#[test]
fn the_sample_itself_imports() {
    let result = import_bytes(sample().encode_to_vec().into(), None, &ImportOptions::default());
    assert!(result.is_ok(), "{:?}", result.unwrap_err());
}

#[test]
fn truncated_models_are_refused_without_a_panic() {
    let bytes = sample().encode_to_vec();
    for length in 0..bytes.len() {
        // A file that ends within a field cannot be decoded. A file that ends between two fields
        // lacks its opset or functions.
        assert!(!try_import(bytes[..length].to_vec()), "the first {length} bytes import");
    }
}

#[test]
fn flipped_bits_do_not_panic() {
    let bytes = sample().encode_to_vec();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for _ in 0..6000 {
        let mut damaged = bytes.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(damaged.len());
            damaged[at] ^= 1 << random.below(8);
        }
        refused += usize::from(!try_import(damaged));
    }
    assert!(refused > 3000, "only {refused} of 6000 were refused");
}

#[test]
fn random_bytes_do_not_panic() {
    let mut random = Random(7);
    for length in 0..600 {
        let bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        let _ = parse_tensor_proto(bytes.clone().into());
        let _ = try_import(bytes);
    }
}

#[test]
fn deep_nesting_is_refused() {
    let mut inner = GraphProto::default();
    // Each level is two messages deep; the decoder's limit is a hundred.
    for _ in 0..200 {
        let holder = node("y = If(c)", vec![graph("then_branch", inner)]);
        inner = GraphProto { node: vec![holder], ..GraphProto::default() };
    }
    assert!(!try_import(model(18, inner).encode_to_vec()));
}

#[test]
fn endless_recursion_of_functions_is_refused() {
    let graph = GraphProto {
        input: vec![value("x", FLOAT, "2")],
        output: vec![value("y", FLOAT, "2")],
        node: vec![node("y = F(x)", vec![])],
        ..GraphProto::default()
    };
    let mut model = model(18, graph);
    model.functions = vec![FunctionProto {
        name: "F".into(),
        input: vec!["a".into()],
        output: vec!["o".into()],
        node: vec![node("m = F(a)", vec![]), node("o = F(m)", vec![])],
        ..FunctionProto::default()
    }];
    let errors = import_bytes(model.encode_to_vec().into(), None, &ImportOptions::default()).unwrap_err();
    assert!(errors[0].message.contains("nested more than"), "{errors:?}");
}

#[test]
fn expressions_that_double_do_not_exhaust_memory() {
    let mut nodes = vec![node("s0 = Shape(x)", vec![])];
    for i in 0..200 {
        nodes.push(node(&format!("t{i} = Add(s{i}, r)"), vec![]));
        nodes.push(node(&format!("s{} = Mul(t{i}, t{i})", i + 1), vec![]));
    }
    nodes.push(node("y = Expand(x, s200)", vec![]));
    let graph = GraphProto {
        input: vec![value("x", FLOAT, "n m")],
        output: vec![value("y", FLOAT, "a b")],
        initializer: vec![int_weight("r", &[2], &[1, 2])],
        node: nodes,
        ..GraphProto::default()
    };
    let errors =
        import_bytes(model(18, graph).encode_to_vec().into(), None, &ImportOptions::default()).unwrap_err();
    assert!(errors[0].message.contains("operand 'shape'"), "{errors:?}");
}
