//! Sizes that are known only from the data.

use crate::builder::{self, Builder, launch, random, region};
use mlcc_format::{Call, DType, Expr, Instruction, Place, RuntimeFunction, SymbolDef};
use mlcc_runtime::{Error, Model, TensorMut, TensorRef};

/// `coordinates = NonZero(x)`, `doubled = 2 * reverse(first `count` elements of x)`.
fn model() -> Model {
    let mut b = Builder::new();
    let n = b.input_dim("n", 0, 0);
    let count = b.symbol("count", SymbolDef::Data);
    let bytes = b.symbol("bytes", SymbolDef::Computed(count.clone() * 4));
    let x = b.input("x", DType::F32, &[n, Expr::Const(3)]);
    let counted = b.arena("counted", DType::I64, 1);
    let coordinates = b.output("coordinates", DType::I64, &[Expr::Const(2), count.clone()]);
    let doubled = b.output("doubled", DType::F32, std::slice::from_ref(&count));
    let heap = b.buffer("heap", DType::F32, std::slice::from_ref(&count), Place::Heap);
    let first = b.buffer(
        "first",
        DType::F32,
        std::slice::from_ref(&count),
        Place::View { of: x, byte_offset: Expr::Const(0) },
    );
    let last =
        b.buffer("last", DType::F32, &[Expr::Const(1)], Place::View { of: heap, byte_offset: bytes - 4 });
    let zero = b.constant("zero", &[0.5]);
    let reverse = b.kernel("reverse", builder::reverse);
    let call = |function, buffers: [u32; 2]| {
        Instruction::Call(Call { function, buffers: buffers.to_vec(), attributes: vec![] })
    };
    b.push(call(RuntimeFunction::CountNonZero, [x, counted]));
    b.push(Instruction::ReadSymbol { symbol: 1, buffer: counted, element: 0 });
    b.push(Instruction::Alloc(coordinates));
    b.push(Instruction::Alloc(doubled));
    b.push(Instruction::Alloc(heap));
    b.push(call(RuntimeFunction::NonZero, [x, coordinates]));
    b.push(Instruction::Copy { dst: heap, src: first });
    b.push(Instruction::Copy { dst: last, src: zero });
    b.push(region(vec![launch(reverse, &[heap, doubled], 1, count)]));
    b.load(2)
}

#[test]
fn outputs_take_the_size_that_was_found() {
    let model = model();
    assert_eq!(model.output_shapes(&[&[4, 3]]).expect("shapes"), [None, None]);
    let mut context = model.context().expect("memory");
    for (seed, n) in [(1, 1i64), (2, 40), (3, 7), (4, 40)] {
        let mut x = random(seed, 3 * n as usize);
        x.iter_mut().filter(|x| **x < 0.1).for_each(|x| *x = if *x < -0.5 { 0.0 } else { -0.0 });
        x[0] = f32::NAN;
        let expected: Vec<(i64, i64)> =
            (0..3 * n).filter(|i| x[*i as usize] != 0.0).map(|i| (i / 3, i % 3)).collect();
        let outputs = context.run_owned(&[TensorRef::new(&[n, 3], &x)]).expect("runs");
        let count = expected.len();
        assert_eq!(outputs[0].dims(), [2, count as i64]);
        let coordinates = outputs[0].elements::<i64>().expect("i64");
        let got: Vec<(i64, i64)> = (0..count).map(|i| (coordinates[i], coordinates[count + i])).collect();
        assert_eq!(got, expected);
        let doubled = outputs[1].elements::<f32>().expect("f32");
        assert_eq!((doubled.len(), doubled[0]), (count, 1.0));
        let rest: Vec<f32> = doubled[1..].iter().rev().map(|d| d / 2.0).collect();
        // All elements except the NaN and the replaced one.
        assert!(rest.iter().skip(1).eq(x[..count - 1].iter().skip(1)));
    }
}

#[test]
fn a_caller_who_knows_the_size_may_give_the_memory() {
    let model = model();
    let x = [1f32, 0.0, 2.0];
    let (mut coordinates, mut doubled) = ([0i64; 4], [0f32; 2]);
    let outputs = &mut [TensorMut::new(&[2, 2], &mut coordinates), TensorMut::new(&[2], &mut doubled)];
    model.run(&[TensorRef::new(&[1, 3], &x)], outputs).expect("runs");
    assert_eq!(coordinates, [0, 0, 0, 2]);
    let (mut coordinates, mut doubled) = ([0i64; 2], [0f32; 2]);
    let outputs = &mut [TensorMut::new(&[2, 1], &mut coordinates), TensorMut::new(&[2], &mut doubled)];
    let error = model.run(&[TensorRef::new(&[1, 3], &x)], outputs).expect_err("too small");
    assert!(matches!(&error, Error::Shape { name, .. } if name == "coordinates"), "{error}");
    assert!(error.to_string().contains("count = 2"), "{error}");
}

#[test]
fn a_view_beyond_its_base_is_refused_when_its_size_is_known() {
    // Nothing is found, so `last` would begin before its base.
    let error = model().run_owned(&[TensorRef::new(&[1, 3], &[0f32; 3])]).expect_err("a view at -4");
    assert!(matches!(&error, Error::Size { what, .. } if what.contains("last")), "{error}");
}
