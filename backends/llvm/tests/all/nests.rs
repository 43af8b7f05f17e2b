//! Builders of loop nests.

use mlcc_ir::{
    dtype::DType,
    expr::Expr,
    kernel::{Combine, Role},
    nest::{Buffer, ContractionTile, Loop, LoopNest, Mapping, Node, Space, Store, TileOperand},
    scalar::Body,
    size_range::SizeRanges,
};

pub fn e(text: &str) -> Expr {
    text.parse().unwrap_or_else(|_| panic!("not an expression: {text}"))
}

pub fn buffer(name: &str, dtype: DType, dims: &[&str], role: Role) -> Buffer {
    let space = if role == Role::Temporary { Space::Scratch } else { Space::Global };
    let dims = dims.iter().map(|d| e(d)).collect();
    Buffer { name: name.into(), dtype, dims, role, space, packed: false }
}

pub fn register(name: &str, dtype: DType, dims: &[&str]) -> Buffer {
    Buffer { space: Space::Register, ..buffer(name, dtype, dims, Role::Temporary) }
}

pub fn axis(name: &str, extent: &str, mapping: Mapping, body: Vec<Node>) -> Node {
    Node::Loop(Loop { axis: name.into(), extent: e(extent), mapping, body })
}

pub fn store(buffer: usize, index: &[&str], body: Body) -> Store {
    let index = index.iter().map(|i| e(i)).collect();
    Store { buffer, index, body, combine: None, guards: Vec::new(), checked: false }
}

pub fn put(buffer: usize, index: &[&str], body: Body) -> Node {
    Node::Store(store(buffer, index, body))
}

pub fn combine(buffer: usize, index: &[&str], how: Combine, body: Body) -> Node {
    Node::Store(Store { combine: Some(how), ..store(buffer, index, body) })
}

pub fn read(tensor: usize, index: &[&str], dtype: DType) -> Body {
    let mut body = Body::default();
    body.read(tensor, index.iter().map(|i| e(i)).collect(), dtype);
    body
}

pub fn nest(name: &str, symbols: &[&str], buffers: Vec<Buffer>, body: Vec<Node>) -> LoopNest {
    LoopNest {
        name: name.into(),
        nodes: Vec::new(),
        symbols: symbols.iter().map(|s| (*s).into()).collect(),
        ranges: SizeRanges::default(),
        buffers,
        body,
        streamed: vec![],
        fetches: vec![],
        packings: Vec::new(),
    }
}

pub fn tile_operand(buffer: usize, base: &str, stride: &str, k_stride: &str) -> TileOperand {
    TileOperand { buffer, base: e(base), stride: e(stride), k_stride: e(k_stride) }
}

/// `c[m, n] = sum over k of a[m, k] * b[k, n]` with B packed as `[n / cols][k][cols]`.
pub fn gemm(dtype: DType, [m, n, k]: [i64; 3], rows: u32, cols: u32) -> LoopNest {
    use mlcc_ir::scalar::{Constant, Inst};
    let (row_tiles, col_tiles) =
        ((m + i64::from(rows) - 1) / i64::from(rows), (n + i64::from(cols) - 1) / i64::from(cols));
    let lanes = if dtype == DType::F64 { 8 } else { 16 };
    let (rows_text, cols_text) = (rows.to_string(), cols.to_string());
    let buffers = vec![
        buffer("a", dtype, &[&m.to_string(), &k.to_string()], Role::Input),
        buffer("b", dtype, &[&col_tiles.to_string(), &k.to_string(), &cols_text], Role::Input),
        buffer("c", dtype, &[&m.to_string(), &n.to_string()], Role::Output),
        register("acc", dtype, &[&rows_text, &cols_text]),
    ];
    let mut zero = Body::default();
    zero.push(Inst::Const(Constant::float(dtype, 0.0)), dtype);
    let clear = axis(
        "zr",
        &rows_text,
        Mapping::Unrolled,
        vec![axis("zc", &cols_text, Mapping::Vector(lanes), vec![put(3, &["%zr", "%zc"], zero)])],
    );
    let a_base = format!("%mt * {}", i64::from(rows) * k);
    let b_base = format!("%nt * {}", k * i64::from(cols));
    let left = e(&format!("{m} - %mt * {rows}"));
    let tile = Node::Tile(ContractionTile {
        acc: 3,
        rows,
        cols,
        k: Expr::from(k),
        a: tile_operand(0, &a_base, &k.to_string(), "1"),
        a_gather: None,
        a_rows: (m % i64::from(rows) != 0).then_some(left),
        b: tile_operand(1, &b_base, "1", &cols.to_string()),
        b_cols: None,
    });
    let (row, col) = (format!("%mt * {rows} + %r"), format!("%nt * {cols} + %c"));
    let mut write = store(2, &[&row, &col], read(3, &["%r", "%c"], dtype));
    write.guards = vec![(e(&row), Expr::from(m)), (e(&col), Expr::from(n))];
    let write = axis(
        "r",
        &rows_text,
        Mapping::Unrolled,
        vec![axis("c", &cols_text, Mapping::Vector(lanes), vec![Node::Store(write)])],
    );
    nest(
        "gemm",
        &[],
        buffers,
        vec![axis(
            "nt",
            &col_tiles.to_string(),
            Mapping::Parallel,
            vec![axis("mt", &row_tiles.to_string(), Mapping::Serial, vec![clear, tile, write])],
        )],
    )
}
