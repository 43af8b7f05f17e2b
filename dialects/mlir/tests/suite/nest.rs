//! The loop level's text form: nests read back as the same values.

use super::{
    program::{random_body, random_program},
    random::Random,
};
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{Combine, Role},
    nest::{
        Buffer, ContractionTile, Fetch, GatheredRows, Loop, LoopNest, Mapping, Node, Packing, Space, Store,
        TileOperand,
    },
    scalar::{BinaryOp, Body, Constant},
    size_range::SizeRanges,
};
use mlcc_mlir::{MlirContext, weights::WeightStore};

fn random_buffer(random: &mut Random, i: usize) -> Buffer {
    let role = random.pick(&[Role::Input, Role::Output, Role::InOut, Role::Temporary]);
    let spaces = [Space::Global, Space::Scratch, Space::Register, Space::Shared];
    Buffer {
        name: format!("{}#{i}", random.name()).as_str().into(),
        dtype: random.pick(&DType::ALL),
        dims: (0..random.below(4)).map(|_| random.expr(2)).collect(),
        role,
        space: if role == Role::Temporary { random.pick(&spaces) } else { Space::Global },
        packed: random.chance(),
    }
}

fn random_nodes(random: &mut Random, ranks: &[usize], axes: &mut Vec<Name>, depth: usize) -> Vec<Node> {
    let mappings = [
        Mapping::Serial,
        Mapping::Reduction,
        Mapping::Parallel,
        Mapping::Vector(16),
        Mapping::Vector(u32::MAX),
        Mapping::Unrolled,
        Mapping::Block(2),
        Mapping::Thread(0),
    ];
    (0..random.below(3) + usize::from(depth > 0))
        .map(|_| match random.below(if depth == 0 { 3 } else { 5 }) {
            0 => {
                let buffer = random.below(ranks.len());
                Node::Store(Store {
                    buffer,
                    index: (0..ranks[buffer]).map(|_| random.expr(1)).collect(),
                    body: random_body(random, ranks, axes),
                    combine: random.pick(&[None, Some(Combine::Or)]),
                    guards: (0..random.below(3)).map(|_| (random.expr(1), random.expr(2))).collect(),
                    checked: random.chance(),
                })
            }
            1 => {
                let operand = |random: &mut Random| TileOperand {
                    buffer: random.below(ranks.len()),
                    base: random.expr(2),
                    stride: random.expr(0),
                    k_stride: random.expr(1),
                };
                Node::Tile(ContractionTile {
                    acc: random.below(ranks.len()),
                    rows: random.below(15) as u32,
                    cols: 64,
                    k: random.expr(1),
                    a: operand(random),
                    a_gather: random.chance().then(|| gathered(random)),
                    a_rows: random.chance().then(|| random.expr(1)),
                    b: operand(random),
                    b_cols: random.chance().then(|| random.expr(1)),
                })
            }
            2 => Node::Barrier,
            _ => {
                let axis: Name = format!("i{}.o", axes.len()).as_str().into();
                let extent =
                    if axes.is_empty() { random.expr(1) } else { random.expr(1) - Expr::axis(&axes[0]) };
                axes.push(axis.clone());
                let body = random_nodes(random, ranks, axes, depth - 1);
                axes.pop();
                Node::Loop(Loop { axis, extent, mapping: random.pick(&mappings), body })
            }
        })
        .collect()
}

fn gathered(random: &mut Random) -> GatheredRows {
    let axis: Name = "row".into();
    let end = (random.expr(1) * Expr::axis(&axis), random.expr(1));
    let inside = if random.chance() { vec![end] } else { Vec::new() };
    GatheredRows { offset: random.expr(1) + Expr::axis(&axis).floor_div(&3.into()), axis, inside }
}

fn random_nest(random: &mut Random) -> LoopNest {
    let buffers: Vec<Buffer> = (0..1 + random.below(4)).map(|i| random_buffer(random, i)).collect();
    let ranks: Vec<usize> = buffers.iter().map(|b| b.dims.len()).collect();
    let packings = (0..random.below(2))
        .map(|_| Packing {
            target: random.below(ranks.len()),
            source_dims: vec![random.expr(1)],
            index: vec![Expr::axis("p0") * 16.into() + Expr::axis("p1"), random.expr(1)],
        })
        .collect();
    let symbols: Vec<Name> = (0..random.below(3)).map(|i| format!("s{i}").into()).collect();
    let mut ranges = SizeRanges::default();
    for symbol in &symbols {
        if random.chance() {
            ranges.insert(symbol.clone(), random.size_range());
        }
    }
    LoopNest {
        name: random.name().into(),
        nodes: vec![random.name().into()],
        symbols,
        ranges,
        body: random_nodes(random, &ranks, &mut Vec::new(), 3),
        streamed: (0..ranks.len()).filter(|_| random.below(4) == 0).collect(),
        fetches: (0..random.below(3))
            .map(|_| Fetch {
                buffer: random.below(ranks.len()),
                axis: random.name().into(),
                ahead: random.below(9) as u32,
                with: random.name().into(),
            })
            .collect(),
        buffers,
        packings,
    }
}

#[test]
fn random_nests_round_trip() {
    let context = MlirContext::new();
    for seed in 1..300 {
        let mut random = Random::new(seed);
        let nests = vec![random_nest(&mut random), random_nest(&mut random)];
        let text = context.print_nests(&nests).unwrap_or_else(|e| panic!("{e}\n{nests:#?}"));
        let read = context.parse_nests(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert!(read == nests, "{text}\n{read:#?}\n{nests:#?}");
        assert_eq!(context.print_nests(&read).unwrap(), text);
    }
}

#[test]
fn a_program_and_its_nests_share_a_module() {
    let context = MlirContext::new();
    for seed in 1..30 {
        let mut random = Random::new(seed);
        let program = random_program(&mut random);
        let nests = vec![random_nest(&mut random)];
        let text = context.print_loop_module(&program, &nests).unwrap();
        let read = context.parse_loop_module(&text, &WeightStore::of_program(&program)).unwrap();
        assert!(read == (program, nests), "{text}");
    }
}

#[test]
fn a_nest_reads_well() {
    let (m, n) = (Expr::symbol("m"), Expr::from(64));
    let (i, j, r, c) = (Expr::axis("i"), Expr::axis("j"), Expr::axis("r"), Expr::axis("c"));
    let buffer = |name: &str, dims: Vec<Expr>, role, space| Buffer {
        name: name.into(),
        dtype: DType::F32,
        dims,
        role,
        space,
        packed: name == "b",
    };
    let looped = |axis: &str, extent: Expr, mapping, body| {
        Node::Loop(Loop { axis: axis.into(), extent, mapping, body })
    };
    let store = |buffer, index, body, guards| {
        Node::Store(Store { buffer, index, body, combine: None, guards, checked: false })
    };
    let mut zero = Body::default();
    zero.constant(Constant::float(DType::F32, 0.0));
    let mut relu = Body::default();
    let acc = relu.read(3, vec![r.clone(), c.clone()], DType::F32);
    let nought = relu.constant(Constant::float(DType::F32, 0.0));
    relu.binary(BinaryOp::Max, acc, nought);
    let row = i.clone() * 6.into() + r.clone();
    let tile = |body| {
        looped(
            "r",
            6.into(),
            Mapping::Unrolled,
            vec![looped("c", 16.into(), Mapping::Vector(16), vec![body])],
        )
    };
    let contraction = Node::Tile(ContractionTile {
        acc: 3,
        rows: 6,
        cols: 16,
        k: 256.into(),
        a: TileOperand { buffer: 0, base: i.clone() * 1536.into(), stride: 256.into(), k_stride: 1.into() },
        a_gather: None,
        a_rows: Some(m.clone() - i * 6.into()),
        b: TileOperand { buffer: 1, base: j.clone() * 4096.into(), stride: 1.into(), k_stride: 16.into() },
        b_cols: None,
    });
    let nest = LoopNest {
        name: "matmul_relu".into(),
        nodes: vec!["MatMul_3".into(), "Relu_4".into()],
        symbols: vec!["m".into()],
        ranges: SizeRanges::default(),
        buffers: vec![
            buffer("a", vec![m.clone(), 256.into()], Role::Input, Space::Global),
            buffer("b", vec![4.into(), 256.into(), 16.into()], Role::Input, Space::Global),
            buffer("y", vec![m.clone(), n.clone()], Role::Output, Space::Global),
            buffer("acc", vec![6.into(), 16.into()], Role::Temporary, Space::Register),
        ],
        body: vec![looped(
            "i",
            m.ceil_div(&6.into()),
            Mapping::Parallel,
            vec![looped(
                "j",
                4.into(),
                Mapping::Serial,
                vec![
                    tile(store(3, vec![r.clone(), c.clone()], zero, vec![])),
                    contraction,
                    tile(store(2, vec![row.clone(), j * 16.into() + c], relu, vec![(row, m)])),
                ],
            )],
        )],
        streamed: vec![],
        fetches: vec![],
        packings: vec![Packing {
            target: 1,
            source_dims: vec![256.into(), n],
            index: vec![Expr::axis("p1"), Expr::axis("p0") * 16.into() + Expr::axis("p2")],
        }],
    };
    let context = MlirContext::new();
    let text = context.print_nests(std::slice::from_ref(&nest)).unwrap();
    assert_eq!(context.parse_nests(&text).unwrap(), [nest]);
    insta::assert_snapshot!(text);
}
