//! Loop nests: tiles and packing on a CPU, blocks, barriers and races on a GPU.

use super::{pack, run};
use crate::{
    Symbols, compare,
    testing::{Random, evaluate, expr, f32s},
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    kernel::{Combine, Role},
    nest::{Buffer, ContractionTile, Loop, LoopNest, Mapping, Node, Packing, Space, Store, TileOperand},
    scalar::{BinaryOp, Body, Constant, Inst},
    size_range::SizeRanges,
    tensor::Tensor,
};

fn buffer(name: &str, dims: &[&str], role: Role, space: Space) -> Buffer {
    let dims = dims.iter().map(|d| expr(d)).collect();
    Buffer { name: name.into(), dtype: DType::F32, dims, role, space, packed: false }
}

fn at(index: &[&str]) -> Vec<Expr> {
    index.iter().map(|e| expr(e)).collect()
}

fn around(axis: &str, extent: &str, mapping: Mapping, body: Vec<Node>) -> Node {
    Node::Loop(Loop { axis: axis.into(), extent: expr(extent), mapping, body })
}

fn store(buffer: usize, index: &[&str], body: Body, combine: Option<Combine>) -> Node {
    store_where(buffer, index, body, combine, &[])
}

fn store_where(
    buffer: usize,
    index: &[&str],
    body: Body,
    combine: Option<Combine>,
    guards: &[(&str, &str)],
) -> Node {
    let guards = guards.iter().map(|(a, b)| (expr(a), expr(b))).collect();
    Node::Store(Store { buffer, index: at(index), body, combine, guards, checked: false })
}

fn number(value: f64) -> Body {
    let mut body = Body::default();
    body.constant(Constant::float(DType::F32, value));
    body
}

fn copy(tensor: usize, index: &[&str]) -> Body {
    let mut body = Body::default();
    body.read(tensor, at(index), DType::F32);
    body
}

fn nest(buffers: Vec<Buffer>, body: Vec<Node>) -> LoopNest {
    LoopNest {
        name: "test".into(),
        nodes: vec![],
        symbols: vec![],
        ranges: SizeRanges::default(),
        buffers,
        body,
        packings: vec![],
        streamed: vec![],
        fetches: vec![],
    }
}

fn run_on(nest: &LoopNest, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    run(nest, &Symbols::new(), inputs, 1)
}

/// A matrix product of 7 by 5 by 10 with tiles of 4 by 8, B packed into panels of 8 columns.
fn tiled_product() -> LoopNest {
    let mut b = buffer("b", &["2", "5", "8"], Role::Input, Space::Global);
    b.packed = true;
    let buffers = vec![
        buffer("a", &["7", "5"], Role::Input, Space::Global),
        b,
        buffer("y", &["7", "10"], Role::Output, Space::Global),
        buffer("acc", &["4", "8"], Role::Temporary, Space::Register),
    ];
    let each = |body| {
        vec![around("r", "4", Mapping::Unrolled, vec![around("c", "8", Mapping::Vector(8), vec![body])])]
    };
    let operand = |buffer, base: &str, stride: &str, k_stride: &str| TileOperand {
        buffer,
        base: expr(base),
        stride: expr(stride),
        k_stride: expr(k_stride),
    };
    let tile = Node::Tile(ContractionTile {
        acc: 3,
        rows: 4,
        cols: 8,
        k: expr("5"),
        a: operand(0, "%i * 20", "5", "1"),
        a_gather: None,
        a_rows: Some(expr("7 - %i * 4")),
        b: operand(1, "%j * 40", "1", "8"),
        b_cols: None,
    });
    let write = store_where(
        2,
        &["%i * 4 + %r", "%j * 8 + %c"],
        copy(3, &["%r", "%c"]),
        None,
        &[("%i * 4 + %r", "7"), ("%j * 8 + %c", "10")],
    );
    let body = [each(store(3, &["%r", "%c"], number(0.0), None)), vec![tile], each(write)].concat();
    let inner = around("j", "2", Mapping::Parallel, body);
    let mut nest = nest(buffers, vec![around("i", "2", Mapping::Parallel, vec![inner])]);
    nest.packings.push(Packing {
        target: 1,
        source_dims: at(&["5", "10"]),
        index: at(&["%p1", "%p0 * 8 + %p2"]),
    });
    nest
}

#[test]
fn tiles_of_a_packed_product_agree_with_the_operator() {
    let mut random = Random(10);
    let operands = [random.tensor(DType::F32, &[7, 5]), random.tensor(DType::F32, &[5, 10])];
    let product = tiled_product();
    let got = run_on(&product, &operands).unwrap();
    assert!(compare(&got[0], &evaluate("matmul", &[], &operands)[0]) < 1e-7);
    let packed = pack(&product, &product.packings[0], &Symbols::new(), &operands[1]).unwrap().to_f64();
    assert_eq!(packed[40 + 8], operands[1].to_f64()[10 + 8]);
    assert_eq!(packed[40 + 2], 0.0, "columns beyond the last one are filled up with zeros");
    // Without its limit the last row of tiles reads beyond A.
    let mut unlimited = tiled_product();
    unlimited.body = edit_tile(unlimited.body, &|tile| tile.a_rows = None);
    let error = run_on(&unlimited, &operands).unwrap_err();
    assert!(error.message.contains("read out of bounds: 'a' at [35]"), "{error}");
}

fn edit_tile(body: Vec<Node>, edit: &dyn Fn(&mut ContractionTile)) -> Vec<Node> {
    let each = |node| match node {
        Node::Loop(l) => Node::Loop(Loop { body: edit_tile(l.body.clone(), edit), ..l }),
        Node::Tile(mut tile) => {
            edit(&mut tile);
            Node::Tile(tile)
        }
        other => other,
    };
    body.into_iter().map(each).collect()
}

#[test]
fn private_memory_does_not_survive_a_parallel_iteration() {
    let buffers = vec![
        buffer("y", &["4"], Role::Output, Space::Global),
        buffer("s", &[], Role::Temporary, Space::Scratch),
    ];
    let first = store_where(1, &[], number(1.0), None, &[("%i", "1")]);
    let body = vec![first, store(0, &["%i"], copy(1, &[]), None)];
    let error = run_on(&nest(buffers, vec![around("i", "4", Mapping::Parallel, body)]), &[]).unwrap_err();
    assert!(error.message.contains("'s' is read before it is written"), "{error}");
}

#[test]
fn parallel_iterations_must_not_meet() {
    let buffers =
        vec![buffer("x", &["4"], Role::Input, Space::Global), buffer("y", &[], Role::Output, Space::Global)];
    let sum = |combine| {
        nest(
            buffers.clone(),
            vec![around("i", "4", Mapping::Parallel, vec![store(1, &[], copy(0, &["%i"]), combine)])],
        )
    };
    let x = f32s(&[4], &[1.0, 2.0, 3.0, 4.0]);
    let error = run_on(&sum(None), &[x]).unwrap_err();
    assert!(error.message.contains("race on 'y' at []"), "{error}");
}

#[test]
fn checked_stores_skip_what_is_out_of_bounds() {
    let buffers = vec![buffer("y", &["3"], Role::InOut, Space::Global)];
    let scatter = |checked| {
        let mut body = Body::default();
        let i = body.push(Inst::Index(expr("%i * 2 - 1")), DType::I64);
        body.cast(i, DType::F32);
        let index = at(&["$0"]);
        let store = Store { buffer: 0, index, body, combine: Some(Combine::Add), guards: vec![], checked };
        nest(buffers.clone(), vec![around("i", "3", Mapping::Serial, vec![Node::Store(store)])])
    };
    let y = f32s(&[3], &[10.0; 3]);
    let got = run_on(&scatter(true), std::slice::from_ref(&y)).unwrap();
    assert_eq!(got[0].to_f64(), [10.0, 11.0, 10.0]);
    let error = run_on(&scatter(false), &[y]).unwrap_err();
    assert!(error.message.contains("write out of bounds: 'y' at [-1]"), "{error}");
}

/// Sums of rows on a GPU: a block per row, 8 threads, a tree in shared memory. There are four
/// barriers: one after loading, two between the steps of the tree, one at the end. `barrier` says
/// whether each of them is there.
fn row_sums(barrier: &dyn Fn(usize) -> bool) -> LoopNest {
    let buffers = vec![
        buffer("x", &["3", "16"], Role::Input, Space::Global),
        buffer("y", &["3"], Role::Output, Space::Global),
        buffer("partial", &["8"], Role::Temporary, Space::Shared),
        buffer("sum", &[], Role::Temporary, Space::Register),
    ];
    let mut body = vec![
        store(3, &[], number(0.0), None),
        around(
            "k",
            "2",
            Mapping::Serial,
            vec![store(3, &[], copy(0, &["%b", "%k * 8 + %t"]), Some(Combine::Add))],
        ),
        store(2, &["%t"], copy(3, &[]), None),
    ];
    let mut number_of_barrier = 0;
    let mut wait = |body: &mut Vec<Node>| {
        if barrier(number_of_barrier) {
            body.push(Node::Barrier);
        }
        number_of_barrier += 1;
    };
    for half in ["4", "2", "1"] {
        wait(&mut body);
        let mut add = Body::default();
        let a = add.read(2, at(&["%t"]), DType::F32);
        let other = format!("%t + {half}");
        let outside = Some(Constant::float(DType::F32, 0.0));
        let b = add.push(Inst::Read { tensor: 2, index: at(&[&other]), outside }, DType::F32);
        add.binary(BinaryOp::Add, a, b);
        body.push(store_where(2, &["%t"], add, None, &[("%t", half)]));
    }
    wait(&mut body);
    body.push(store_where(1, &["%b"], copy(2, &["0"]), None, &[("%t", "1")]));
    let threads = around("t", "8", Mapping::Thread(0), body);
    nest(buffers, vec![around("b", "3", Mapping::Block(0), vec![threads])])
}

#[test]
fn a_reduction_in_shared_memory_agrees_in_every_order() {
    let x = Random(11).tensor(DType::F32, &[3, 16]);
    let values = x.to_f64();
    let want: Vec<f64> = values.chunks(16).map(|row| row.iter().sum()).collect();
    for seed in 0..20 {
        let got = run(&row_sums(&|_| true), &Symbols::new(), std::slice::from_ref(&x), seed).unwrap();
        assert!(compare(&got[0], &f32s(&[3], &want)) < 1e-6);
    }
}

#[test]
fn a_missing_barrier_is_a_race_in_every_order() {
    let x = Random(12).tensor(DType::F32, &[3, 16]);
    // The last barrier separates only accesses of one thread, so the result does not need it.
    for missing in 0..3 {
        for seed in 0..20 {
            let broken = row_sums(&|b| b != missing);
            let error = run(&broken, &Symbols::new(), std::slice::from_ref(&x), seed).unwrap_err();
            // Without the first barrier a thread may also read an element that no thread has
            // written yet.
            let unwritten = missing == 0 && error.message.contains("before it is written");
            let found = unwritten || error.message.contains("race on 'partial'");
            assert!(found, "barrier {missing}, seed {seed}: {error}");
        }
    }
    assert!(run_on(&row_sums(&|b| b != 3), &[x]).is_ok());
}

#[test]
fn a_barrier_that_only_some_threads_reach_is_an_error() {
    let buffers = vec![buffer("y", &["8"], Role::Output, Space::Global)];
    let part = around("u", "4", Mapping::Thread(0), vec![Node::Barrier]);
    let all = around("t", "8", Mapping::Thread(0), vec![store(0, &["%t"], number(1.0), None)]);
    let error = run_on(&nest(buffers, vec![part, all]), &[]).unwrap_err();
    assert!(error.message.contains("only some threads of block [0, 0, 0] reach a barrier"), "{error}");
}

#[test]
fn blocks_race_on_global_memory_unless_they_combine() {
    let buffers =
        vec![buffer("x", &["4"], Role::Input, Space::Global), buffer("y", &[], Role::InOut, Space::Global)];
    let sum = |combine| {
        let body = vec![store(1, &[], copy(0, &["%b"]), combine)];
        nest(buffers.clone(), vec![around("b", "4", Mapping::Block(1), body)])
    };
    let operands = [f32s(&[4], &[1.0, 2.0, 3.0, 4.0]), f32s(&[], &[0.0])];
    assert_eq!(run_on(&sum(Some(Combine::Add)), &operands).unwrap()[0].to_f64(), [10.0]);
    let error = run_on(&sum(None), &operands).unwrap_err();
    assert!(error.message.contains("race on 'y' at []: written by block"), "{error}");
}

#[test]
fn malformed_nests_are_refused() {
    let buffers = vec![buffer("y", &["n"], Role::Output, Space::Global)];
    let symbols: Symbols = [("n".into(), 3)].into();
    let of = |body: Vec<Node>| run(&nest(buffers.clone(), body), &symbols, &[], 0).unwrap_err().message;
    assert!(of(vec![store(0, &["%i"], number(0.0), None)]).contains("axis 'i', which does not enclose it"));
    assert!(of(vec![store(1, &[], number(0.0), None)]).contains("a buffer that is not there"));
    assert!(of(vec![]).contains("element 0 of 'y' is never written"));
    let double = around("i", "1", Mapping::Serial, vec![around("i", "1", Mapping::Serial, vec![])]);
    assert!(of(vec![double]).contains("axis 'i' is inside itself"));
    let late = around("i", "2", Mapping::Serial, vec![around("t", "%i", Mapping::Thread(0), vec![])]);
    assert!(of(vec![late]).contains("is not known at launch"));
    let beyond = around("i", "n + 1", Mapping::Serial, vec![store(0, &["%i"], number(0.0), None)]);
    assert!(of(vec![beyond]).contains("write out of bounds: 'y' at [3]"));
}
