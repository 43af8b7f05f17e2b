//! Tensors that do not fit the signature are refused, with a message that states what, where and
//! why.

use crate::builder::{self, Builder, launch, region};
use mlcc_format::{Check, Condition, DType, Expr};
use mlcc_runtime::{Error, Model, TensorMut, TensorRef};

fn model() -> Model {
    let mut b = Builder::new();
    let n = b.input_dim("batch", 0, 0);
    let dims = [n.clone(), Expr::Const(3)];
    let x = b.input("image", DType::F32, &dims);
    let z = b.input("mask", DType::F32, &dims);
    let y = b.output("logits", DType::F32, &dims);
    let add = b.kernel("add", builder::add);
    b.plan.checks.push(Check {
        condition: Condition::Range { value: n, min: 1, max: 8 },
        message: "batch must be in 1..8".into(),
    });
    b.push(region(vec![launch(add, &[x, z, y], 2, Expr::product(dims))]));
    b.load(1)
}

fn refused(inputs: &[TensorRef<'_>], parts: &[&str]) -> Error {
    let error = model().run_owned(inputs).expect_err("refused");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
    error
}

#[test]
fn inputs_are_checked() {
    let data = [0f32; 100];
    let tensor = |dims: &'static [i64]| TensorRef::new(dims, &data[..dims.iter().product::<i64>() as usize]);
    let good = tensor(&[2, 3]);
    model().run_owned(&[good, good]).expect("runs");
    refused(&[good], &["2 inputs", "'image' f32 [batch, 3]", "1 was given"]);
    refused(&[tensor(&[2, 4]), good], &["input 'image'", "[2, 4]", "expected [batch, 3]"]);
    refused(&[good, tensor(&[4, 3])], &["input 'mask'", "[4, 3]", "expected [batch, 3]", "batch = 2"]);
    refused(&[good, tensor(&[6])], &["input 'mask'", "[6]", "1 dimension instead of 2"]);
    let negative = TensorRef { dims: &[-1, 3], ..good };
    refused(&[negative, good], &["input 'image'", "[-1, 3]", "negative"]);
    let ints = [0i32; 6];
    refused(&[TensorRef::new(&[2, 3], &ints), good], &["input 'image'", "i32", "expected f32 [batch, 3]"]);
    let short = TensorRef { data: &good.data[..23], ..good };
    refused(&[short, good], &["input 'image'", "23 bytes", "takes 24"]);
    let crooked = TensorRef { data: &TensorRef::new(&[9], &data[..9]).data[1..25], ..good };
    refused(&[crooked, good], &["input 'image'", "not aligned"]);
    let large = tensor(&[9, 3]);
    let error = refused(&[large, large], &["batch must be in 1..8", "batch = 9"]);
    assert!(matches!(error, Error::Check { .. }));
}

#[test]
fn outputs_are_checked() {
    let (data, mut out) = ([0f32; 6], [0f32; 12]);
    let x = TensorRef::new(&[2, 3], &data);
    let model = model();
    let error = model.run(&[x, x], &mut []).expect_err("no output");
    assert!(error.to_string().contains("1 output ('logits' f32 [batch, 3])"), "{error}");
    let error = model.run(&[x, x], &mut [TensorMut::new(&[4, 3], &mut out)]).expect_err("large");
    assert!(error.to_string().contains("output 'logits' has shape [4, 3]"), "{error}");
    let error = model.output_shapes(&[&[2, 3], &[9, 3]]).expect_err("shapes");
    assert!(error.to_string().contains("batch = 2"), "{error}");
}

#[test]
fn a_failed_run_leaves_the_context_usable() {
    let model = model();
    let mut context = model.context().expect("memory");
    let data = [1f32; 27];
    let (two, nine) = (TensorRef::new(&[2, 3], &data[..6]), TensorRef::new(&[9, 3], &data));
    for _ in 0..3 {
        assert_eq!(context.run_owned(&[two, two]).expect("runs")[0].elements(), Some(&[2f32; 6][..]));
        context.run_owned(&[nine, nine]).expect_err("out of range");
    }
}

#[test]
fn an_unsound_plan_is_refused_at_load() {
    let mut b = Builder::new();
    let x = b.input("x", DType::F32, &[Expr::Const(4)]);
    let add = b.kernel("add", builder::add);
    b.push(region(vec![launch(add, &[x, x, x], 2, 4)]));
    let Err(Error::Format(error)) = b.try_load(1) else { panic!("accepted") };
    assert!(error.to_string().contains("read-only"), "{error}");
}
