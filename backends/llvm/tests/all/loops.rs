//! Loop nests of every kind.

use crate::{
    agree::{Random, agrees, agrees_on},
    nests::*,
};
use mlcc_ir::{
    dtype::DType,
    kernel::{Combine, Role},
    nest::{LoopNest, Mapping, Node, Store},
    scalar::{BinaryOp, Body, Constant, Inst, UnaryOp},
    tensor::Tensor,
};
use mlcc_llvm::Target;

fn constant(dtype: DType, value: f64) -> Body {
    let mut body = Body::default();
    body.push(Inst::Const(Constant::float(dtype, value)), dtype);
    body
}

fn padded(tensor: usize, index: &[&str], dtype: DType, outside: f64) -> Body {
    let mut body = Body::default();
    let index = index.iter().map(|i| e(i)).collect();
    let outside = Some(Constant::float(dtype, outside));
    body.push(Inst::Read { tensor, index, outside }, dtype);
    body
}

const VECTOR: Mapping = Mapping::Vector(16);

/// `y[i] = f(x[index])` with a vector axis.
fn copy(name: &str, from: &str, n: &str, index: &str) -> LoopNest {
    let buffers =
        vec![buffer("x", DType::F32, &[from], Role::Input), buffer("y", DType::F32, &[n], Role::Output)];
    nest(name, &[], buffers, vec![axis("i", n, VECTOR, vec![put(1, &["%i"], read(0, &[index], DType::F32))])])
}

#[test]
fn reads_follow_any_index() {
    for n in ["1", "7", "16", "17", "64", "65", "131"] {
        agrees(&copy("contiguous", "140", n, "%i + 3"), &[]);
        agrees(&copy("strided", "300", n, "%i * 2 + 1"), &[]);
        agrees(&copy("reversed", "140", n, "135 - %i"), &[]);
        agrees(&copy("quotient", "60", n, "floordiv(%i, 3)"), &[]);
        agrees(&copy("remainder", "11", n, "mod(%i, 7) + 2"), &[]);
        agrees(&copy("clamped", "40", n, "min(%i, 39)"), &[]);
        agrees(&copy("negative", "60", n, "floordiv(130 - %i - 131, 3) + 45"), &[]);
        agrees(&copy("uniform", "60", n, "5"), &[]);
    }
}

#[test]
fn reads_outside_give_their_value() {
    for (n, width) in [(19, 23), (70, 70), (3, 2), (64, 40)] {
        let (n, width) = (n.to_string(), width.to_string());
        let buffers = vec![
            buffer("x", DType::F32, &["4", &width], Role::Input),
            buffer("y", DType::F32, &["6", &n], Role::Output),
        ];
        for index in
            [["%r - 1", "%i - 2"], ["%r - 1", "%i * 2 - 5"], ["floordiv(%i, 5) - 1", "%r"], ["%r", "%i + 1"]]
        {
            let body = padded(0, &index, DType::F32, -7.5);
            let inner = axis("i", &n, VECTOR, vec![put(1, &["%r", "%i"], body.clone())]);
            agrees(
                &nest("padded", &[], buffers.clone(), vec![axis("r", "6", Mapping::Parallel, vec![inner])]),
                &[],
            );
            let serial = axis("i", &n, Mapping::Serial, vec![put(1, &["%r", "%i"], body)]);
            agrees(
                &nest("padded", &[], buffers.clone(), vec![axis("r", "6", Mapping::Unrolled, vec![serial])]),
                &[],
            );
        }
    }
}

#[test]
fn rows_are_reduced_in_every_way() {
    let combines = [Combine::Add, Combine::Mul, Combine::Max, Combine::Min, Combine::And, Combine::Or];
    for dtype in
        [DType::F32, DType::F64, DType::F16, DType::BF16, DType::I32, DType::U8, DType::I64, DType::Bool]
    {
        for how in combines {
            let logical = matches!(how, Combine::And | Combine::Or);
            if (logical && dtype.is_float()) || (!logical && dtype == DType::Bool) {
                continue;
            }
            for n in [5, 16, 100, 333] {
                // Products of many numbers approach zero.
                let n = if how == Combine::Mul { 5 + n % 16 } else { n };
                let n = n.to_string();
                let buffers = vec![
                    buffer("x", dtype, &["3", &n], Role::Input),
                    buffer("y", dtype, &["3"], Role::Output),
                ];
                let mut start = Body::default();
                start.push(Inst::Const(how.identity(dtype)), dtype);
                let body = vec![
                    put(1, &["%r"], start),
                    axis("i", &n, VECTOR, vec![combine(1, &["%r"], how, read(0, &["%r", "%i"], dtype))]),
                ];
                agrees(&nest("reduce", &[], buffers, vec![axis("r", "3", Mapping::Parallel, body)]), &[]);
            }
        }
    }
}

#[test]
fn lanes_are_combined_after_the_outermost_loop_that_allows_it() {
    // Sum over k and a vector axis inside; and a vector axis outside of the reduction.
    let buffers = vec![
        buffer("x", DType::F32, &["37", "40"], Role::Input),
        buffer("y", DType::F32, &["2"], Role::Output),
    ];
    let sum = |to: &str, mapping| {
        let read = read(0, &["%k", "%i"], DType::F32);
        axis("k", "37", mapping, vec![axis("i", "40", VECTOR, vec![combine(1, &[to], Combine::Add, read)])])
    };
    let clear = axis("z", "2", Mapping::Serial, vec![put(1, &["%z"], constant(DType::F32, 0.0))]);
    agrees(
        &nest(
            "sum",
            &[],
            buffers.clone(),
            vec![clear.clone(), sum("0", Mapping::Reduction), sum("1", Mapping::Unrolled)],
        ),
        &[],
    );
    let read_column = read(0, &["%k", "%i"], DType::F32);
    let column = axis(
        "i",
        "40",
        VECTOR,
        vec![axis("k", "37", Mapping::Reduction, vec![combine(1, &["1"], Combine::Max, read_column)])],
    );
    agrees(&nest("columns", &[], buffers.clone(), vec![clear.clone(), column]), &[]);
    // The element is also read in the loop, so no combination may be deferred.
    let mut body = read(0, &["%k", "%i"], DType::F32);
    body.read(1, vec![e("0")], DType::F32);
    body.binary(BinaryOp::Mul, 0, 1);
    let twice = vec![
        axis("i", "40", VECTOR, vec![combine(1, &["0"], Combine::Add, read(0, &["%k", "%i"], DType::F32))]),
        put(1, &["1"], read(1, &["0"], DType::F32)),
    ];
    agrees(&nest("prefix", &[], buffers, vec![clear, axis("k", "37", Mapping::Serial, twice)]), &[]);
}

fn softmax(symbolic: bool, n: &str) -> LoopNest {
    let n = if symbolic { "n" } else { n };
    let f = DType::F32;
    let buffers = vec![
        buffer("x", f, &["rows", n], Role::Input),
        buffer("y", f, &["rows", n], Role::Output),
        buffer("exp", f, &[n], Role::Temporary),
        register("max", f, &[]),
        register("sum", f, &["1"]),
    ];
    let mut exponential = read(0, &["%r", "%j"], f);
    exponential.read(3, vec![], f);
    exponential.binary(BinaryOp::Sub, 0, 1);
    exponential.unary(UnaryOp::Exp, 2);
    let mut quotient = read(2, &["%l"], f);
    quotient.read(4, vec![e("0")], f);
    quotient.binary(BinaryOp::Div, 0, 1);
    let body = vec![
        put(3, &[], constant(f, f64::NEG_INFINITY)),
        axis("i", n, VECTOR, vec![combine(3, &[], Combine::Max, read(0, &["%r", "%i"], f))]),
        put(4, &["0"], constant(f, 0.0)),
        axis("j", n, VECTOR, vec![put(2, &["%j"], exponential)]),
        axis("k", n, VECTOR, vec![combine(4, &["0"], Combine::Add, read(2, &["%k"], f))]),
        axis("l", n, VECTOR, vec![put(1, &["%r", "%l"], quotient)]),
    ];
    let symbols: &[&str] = if symbolic { &["n", "rows"] } else { &["rows"] };
    nest("softmax", symbols, buffers, vec![axis("r", "rows", Mapping::Parallel, body)])
}

#[test]
fn stages_meet_in_scratch_rows_of_constant_and_symbolic_size() {
    for n in [1, 15, 16, 48, 130, 1000] {
        agrees(&softmax(false, &n.to_string()), &[3]);
        agrees(&softmax(true, ""), &[n, 5]);
    }
    agrees_on(&Target::named("x86-64-v3").unwrap(), &softmax(true, ""), &[77, 2], &[]);
}

#[test]
fn guards_keep_out_what_does_not_exist() {
    for (n, m) in [(13, 70), (16, 16), (1, 1), (9, 33)] {
        let f = DType::F32;
        let dims = [n.to_string(), m.to_string()];
        let dims = [dims[0].as_str(), dims[1].as_str()];
        let buffers = vec![
            buffer("x", f, &dims, Role::Input),
            buffer("b", f, &[dims[0]], Role::Input),
            buffer("y", f, &dims, Role::Output),
        ];
        let mut body = read(0, &["%io * 4 + %ii", "%jo * 32 + %ji"], f);
        body.read(1, vec![e("%io * 4 + %ii")], f);
        body.binary(BinaryOp::Add, 0, 1);
        let mut s: Store = store(2, &["%io * 4 + %ii", "%jo * 32 + %ji"], body);
        s.guards = vec![(e("%io * 4 + %ii"), e(dims[0])), (e("%jo * 32 + %ji"), e(dims[1]))];
        let inner = axis("ii", "4", Mapping::Unrolled, vec![axis("ji", "32", VECTOR, vec![Node::Store(s)])]);
        let (rows, cols) = ((n + 3) / 4 + 1, (m + 31) / 32 + 1);
        let tiles = axis(
            "io",
            &rows.to_string(),
            Mapping::Parallel,
            vec![axis("jo", &cols.to_string(), Mapping::Parallel, vec![inner])],
        );
        agrees(&nest("guarded", &[], buffers, vec![tiles]), &[]);
    }
}

#[test]
fn gathers_and_scatters_follow_values() {
    let indices =
        Tensor::from_i64(&[21], &[3, 0, 9, 9, 4, 4, 4, 1, -3, 12, 7, 2, 9, 0, 5, 6, 3, 100, 8, 9, 4]);
    let buffers = vec![
        buffer("i", DType::I64, &["21"], Role::Input),
        buffer("x", DType::F32, &["10"], Role::Input),
        buffer("y", DType::F32, &["21"], Role::Output),
        buffer("z", DType::F32, &["10"], Role::InOut),
    ];
    for mapping in [VECTOR, Mapping::Serial] {
        let mut gather = read(0, &["%k"], DType::I64);
        gather.push(
            Inst::Read { tensor: 1, index: vec![e("$0")], outside: Some(Constant::float(DType::F32, 0.5)) },
            DType::F32,
        );
        let mut scatter = read(0, &["%s"], DType::I64);
        scatter.read(2, vec![e("%s")], DType::F32);
        let mut scatter = store(3, &["$0"], scatter);
        scatter.checked = true;
        let mut add = scatter.clone();
        add.combine = Some(Combine::Add);
        for how in [add, scatter] {
            let body = vec![
                axis("k", "21", mapping, vec![put(2, &["%k"], gather.clone())]),
                axis("s", "21", mapping, vec![Node::Store(how)]),
            ];
            let nest = nest("scatter", &[], buffers.clone(), body);
            agrees_on(&Target::host().unwrap(), &nest, &[], &[(0, indices.clone())]);
        }
    }
}

#[test]
fn a_convolution_accumulates_in_registers() {
    let f = DType::F32;
    for (stride, out) in [(1, 14), (2, 7), (1, 33)] {
        let (out, stride) = (out.to_string(), stride.to_string());
        let buffers = vec![
            buffer("x", f, &["5", "14", "33"], Role::Input),
            buffer("w", f, &["4", "5", "3", "3"], Role::Input),
            buffer("y", f, &["4", "7", &out], Role::Output),
            register("acc", f, &["4", "16"]),
        ];
        let mut product =
            padded(0, &["%c", "%h * 2 + %kh - 1", &format!("(%wo * 16 + %v) * {stride} + %kw - 1")], f, 0.0);
        product.read(1, vec![e("%o"), e("%c"), e("%kh"), e("%kw")], f);
        product.binary(BinaryOp::Mul, 0, 1);
        let vector = |body| axis("v", "16", VECTOR, body);
        let clear =
            axis("o", "4", Mapping::Unrolled, vec![vector(vec![put(3, &["%o", "%v"], constant(f, 0.0))])]);
        let sum = axis(
            "o",
            "4",
            Mapping::Unrolled,
            vec![vector(vec![combine(3, &["%o", "%v"], Combine::Add, product)])],
        );
        let sum = axis(
            "c",
            "5",
            Mapping::Reduction,
            vec![axis("kh", "3", Mapping::Reduction, vec![axis("kw", "3", Mapping::Unrolled, vec![sum])])],
        );
        let mut write = store(2, &["%o", "%h", "%wo * 16 + %v"], read(3, &["%o", "%v"], f));
        write.guards = vec![(e("%wo * 16 + %v"), e(&out))];
        let write = axis("o", "4", Mapping::Unrolled, vec![vector(vec![Node::Store(write)])]);
        let blocks = (out.parse::<i64>().unwrap() + 15) / 16;
        let body = axis("wo", &blocks.to_string(), Mapping::Serial, vec![clear, sum, write]);
        agrees(&nest("conv", &[], buffers, vec![axis("h", "7", Mapping::Parallel, vec![body])]), &[]);
    }
}

/// A random nest of three axes that copies, transposes, pads and adds.
fn random_nest(random: &mut Random) -> LoopNest {
    let dtype =
        random.pick(&[DType::F32, DType::F32, DType::F64, DType::F16, DType::I32, DType::I8, DType::U16]);
    let extents: Vec<i64> = (0..3).map(|_| random.pick(&[1, 2, 3, 5, 8, 17, 33])).collect();
    let text: Vec<String> = extents.iter().map(i64::to_string).collect();
    let dims: Vec<&str> = text.iter().map(String::as_str).collect();
    let buffers = vec![
        buffer("x", dtype, &["9", "20", "34"], Role::Input),
        buffer("b", dtype, &["34"], Role::Input),
        buffer("y", dtype, &dims, Role::Output),
        buffer("t", dtype, &dims, Role::Temporary),
    ];
    let axes = ["%i", "%j", "%k"];
    let mut index = || {
        let axis = random.pick(&axes);
        match random.below(6) {
            0 => format!("{axis} - 1"),
            1 => format!("{axis} * 2 - 3"),
            2 => format!("floordiv({axis}, 2)"),
            3 => format!("mod({axis} + 1, 3)"),
            4 => format!("{axis} + {}", random.pick(&axes)),
            _ => axis.to_owned(),
        }
    };
    let indices: Vec<String> = (0..4).map(|_| index()).collect();
    let mut body = Body::default();
    let outside = Some(Constant::int(dtype, 1));
    body.push(Inst::Read { tensor: 0, index: indices[..3].iter().map(|i| e(i)).collect(), outside }, dtype);
    body.push(Inst::Read { tensor: 1, index: vec![e(&indices[3])], outside }, dtype);
    let op = random.pick(&[BinaryOp::Add, BinaryOp::Mul, BinaryOp::Max, BinaryOp::Sub]);
    body.binary(op, 0, 1);
    let mut again = read(3, &axes, dtype);
    again.binary(BinaryOp::Add, 0, 0);
    let staged = random.below(2) == 0;
    let mut wrap = |store: Node, parallel: bool| {
        let lanes = Mapping::Vector(random.pick(&[4, 8, 16, 32]));
        let vector = random.below(3) as usize;
        let mut order = [0, 1, 2];
        order.rotate_left(random.below(3) as usize);
        order.iter().enumerate().fold(store, |inner, (depth, &a)| {
            let mapping = match random.below(3) {
                _ if a == vector => lanes,
                0 if extents[a] <= 5 => Mapping::Unrolled,
                _ if parallel && depth == 2 => Mapping::Parallel,
                _ => Mapping::Serial,
            };
            axis(&axes[a][1..], dims[a], mapping, vec![inner])
        })
    };
    let nodes = if staged {
        vec![wrap(put(2, &axes, body), true)]
    } else {
        vec![wrap(put(3, &axes, body), false), wrap(put(2, &axes, again), false)]
    };
    nest("random", &[], buffers, nodes)
}

#[test]
fn random_nests_agree_with_the_interpreter() {
    let mut random = Random(7);
    for _ in 0..60 {
        let mut seeds = Random(random.next());
        agrees(&random_nest(&mut seeds), &[]);
    }
    for _ in 0..20 {
        let mut seeds = Random(random.next());
        agrees_on(&Target::named("x86-64-v3").unwrap(), &random_nest(&mut seeds), &[], &[]);
    }
}

#[test]
fn copies_that_turn_rows_into_columns() {
    for (rows, columns) in [("16", "16"), ("7", "40"), ("33", "19"), ("64", "5"), ("49", "50")] {
        let copied = |r: &str, c: &str, index: &str| {
            let buffers = vec![
                buffer("x", DType::F32, &[rows, columns], Role::Input),
                buffer("y", DType::F32, &[columns, rows], Role::Output),
            ];
            let store = put(1, &["%c", "%r"], read(0, &[index, "%c"], DType::F32));
            let inner = axis("c", c, Mapping::Serial, vec![store]);
            nest("transposed", &[], buffers, vec![axis("r", r, VECTOR, vec![inner])])
        };
        agrees(&copied(rows, columns, "%r"), &[]);
        agrees(&copied(rows, columns, &format!("{rows} - 1 - %r")), &[]);
        for lanes in [4, 8] {
            let mut narrow = copied(rows, columns, "%r");
            let Node::Loop(l) = &mut narrow.body[0] else { panic!("a loop") };
            l.mapping = Mapping::Vector(lanes);
            agrees(&narrow, &[]);
        }
    }
}

#[test]
fn outputs_written_around_the_caches() {
    // Lines that begin at whole vectors, and lines that do not.
    for n in ["64", "70"] {
        let buffers = vec![
            buffer("x", DType::F32, &["6", n], Role::Input),
            buffer("y", DType::F32, &["6", n], Role::Output),
        ];
        let store = put(1, &["%r", "%i"], read(0, &["%r", "%i"], DType::F32));
        let inner = axis("i", n, VECTOR, vec![store]);
        let mut streamed =
            nest("streamed", &[], buffers, vec![axis("r", "6", Mapping::Parallel, vec![inner])]);
        streamed.streamed = vec![1];
        agrees(&streamed, &[]);
    }
}
