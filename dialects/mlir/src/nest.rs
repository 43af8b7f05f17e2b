//! Loop nests and `loop.nest`.

use crate::{
    context::MlirContext,
    ffi::{Attribute, Block, Op},
    kernel::ROLES,
    read::{error, expr, exprs, field, int, name, names, optional},
    scalar::{self, Scope, TENSOR, Target, case, combine, combine_property, enumeration},
    text::{self, quote, quoted_expr, strings},
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
    kernel::Role,
    nest::{
        Buffer, ContractionTile, Fetch, GatheredRows, Loop, LoopNest, Mapping, Node, Packing, Space, Store,
        TileOperand,
    },
    size_range::{SizeRange, SizeRanges},
};
use std::{collections::HashMap, fmt::Write};

/// In the order of TableGen's `Loop_Space`.
const SPACES: [Space; 4] = [Space::Global, Space::Scratch, Space::Register, Space::Shared];

impl MlirContext {
    /// The text of loop nests.
    ///
    /// # Errors
    /// If a nest is malformed.
    pub fn print_nests(&self, nests: &[LoopNest]) -> Result<String> {
        let texts: Result<Vec<String>> = nests.iter().map(write).collect();
        self.pretty(&texts?.concat(), false)
    }

    /// Reads the loop nests of a module, in order; other operations are ignored.
    ///
    /// # Errors
    /// If the text is not MLIR or a nest is malformed, with line and column.
    pub fn parse_nests(&self, text: &str) -> Result<Vec<LoopNest>> {
        let module = self.parse(text, "loop")?;
        module.op().body(0).filter(|op| op.name() == "loop.nest").map(read).collect()
    }
}

/// A nest in MLIR's generic form.
pub(crate) fn write(nest: &LoopNest) -> Result<String> {
    let known = nest.symbols.iter().map(|s| nest.ranges.get(s).to_string().into()).collect::<Vec<Name>>();
    let ranges =
        if nest.ranges.is_empty() { String::new() } else { format!(", ranges = {}", strings(&known)) };
    let mut text = format!(
        "\"loop.nest\"() <{{name = {}, nodes = {}, symbols = {}{ranges}}}> ({{\n^bb0:\n",
        quote(&nest.name),
        strings(&nest.nodes),
        strings(&nest.symbols)
    );
    let writer = Writer { nest, buffers: (0..nest.buffers.len()).map(|i| format!("%t{i}")).collect() };
    for (at, (buffer, ssa)) in nest.buffers.iter().zip(&writer.buffers).enumerate() {
        let label = quote(&buffer.name);
        writeln!(
            text,
            "{ssa} = \"loop.buffer\"() <{{name = {label}, role = {}, space = {}, dims = [{}], dtype = {}{}{}}}> \
             : () -> {TENSOR} loc({label})",
            case(&ROLES, &buffer.role),
            case(&SPACES, &buffer.space),
            text::exprs(&buffer.dims)?,
            buffer.dtype,
            if buffer.packed { ", packed" } else { "" },
            if nest.streamed.contains(&at) { ", streamed" } else { "" },
        )
        .expect("strings grow");
    }
    for packing in &nest.packings {
        writeln!(
            text,
            "\"loop.pack\"({}) <{{source_dims = [{}], index = [{}]}}> : ({TENSOR}) -> ()",
            writer.buffer(packing.target)?,
            text::exprs(&packing.source_dims)?,
            text::exprs(&packing.index)?
        )
        .expect("strings grow");
    }
    for fetch in &nest.fetches {
        writeln!(
            text,
            "\"loop.fetch\"({}) <{{axis = {}, ahead = {} : i32, with = {}}}> : ({TENSOR}) -> ()",
            writer.buffer(fetch.buffer)?,
            quote(&fetch.axis),
            fetch.ahead as i32,
            quote(&fetch.with)
        )
        .expect("strings grow");
    }
    for node in &nest.body {
        writer.node(node, &mut text)?;
    }
    Ok(text + "}) : () -> ()\n")
}

struct Writer<'a> {
    nest: &'a LoopNest,
    buffers: Vec<String>,
}

impl Writer<'_> {
    fn buffer(&self, buffer: usize) -> Result<&String> {
        let nest = &self.nest.name;
        let missing = || Diagnostic::internal(format!("nest '{nest}' has no buffer {buffer}"));
        self.buffers.get(buffer).ok_or_else(missing)
    }

    fn node(&self, node: &Node, text: &mut String) -> Result<()> {
        match node {
            Node::Loop(l) => {
                let (mapping, width) = mapping_cases(l.mapping);
                let width = width.map_or(String::new(), |w| format!(", width = {} : i32", w as i32));
                writeln!(
                    text,
                    "\"loop.for\"() <{{axis = {}, extent = {}, mapping = {mapping} : i32{width}}}> ({{\n^bb0:",
                    quote(&l.axis),
                    quoted_expr(&l.extent)?
                )
                .expect("strings grow");
                for node in &l.body {
                    self.node(node, text)?;
                }
                *text += "}) : () -> ()\n";
            }
            Node::Store(s) => {
                let target = Target { index: &s.index, guards: &s.guards };
                let properties =
                    [combine_property(s.combine), if s.checked { ", checked".into() } else { String::new() }]
                        .concat();
                // MLIR refuses a leading comma, but accepts `<{}>` for an operation with
                // properties.
                writeln!(
                    text,
                    "\"loop.store\"({}) <{{{}}}> ({}) : ({TENSOR}) -> ()",
                    self.buffer(s.buffer)?,
                    properties.trim_start_matches(", "),
                    scalar::write(&s.body, target, &self.buffers)?
                )
                .expect("strings grow");
            }
            Node::Tile(t) => *text += &self.tile(t)?,
            Node::Barrier => *text += "\"loop.barrier\"() : () -> ()\n",
        }
        Ok(())
    }

    fn tile(&self, t: &ContractionTile) -> Result<String> {
        let at = |o: &TileOperand| text::exprs(&[o.base.clone(), o.stride.clone(), o.k_stride.clone()]);
        let bound = |name: &str, e: &Option<Expr>| -> Result<String> {
            e.as_ref().map_or(Ok(String::new()), |e| Ok(format!(", {name} = {}", quoted_expr(e)?)))
        };
        Ok(format!(
            "\"loop.tile\"({}, {}, {}) <{{rows = {} : i64, cols = {} : i64, k = {}, a_at = [{}], b_at = [{}]{}{}{}}}> \
             : ({TENSOR}, {TENSOR}, {TENSOR}) -> ()\n",
            self.buffer(t.acc)?,
            self.buffer(t.a.buffer)?,
            self.buffer(t.b.buffer)?,
            t.rows,
            t.cols,
            quoted_expr(&t.k)?,
            at(&t.a)?,
            at(&t.b)?,
            t.a_gather.as_ref().map(gather).transpose()?.unwrap_or_default(),
            bound("a_rows", &t.a_rows)?,
            bound("b_cols", &t.b_cols)?,
        ))
    }
}

/// Gathered rows as the axis, the offset and the ends of each condition.
fn gather(rows: &GatheredRows) -> Result<String> {
    let head = [Expr::axis(&rows.axis), rows.offset.clone()];
    let ends = rows.inside.iter().flat_map(|(a, b)| [a.clone(), b.clone()]);
    Ok(format!(", a_gather = [{}]", text::exprs(&head.into_iter().chain(ends).collect::<Vec<_>>())?))
}

/// The case of TableGen's `Loop_Mapping`, and lanes or dimension.
fn mapping_cases(mapping: Mapping) -> (u32, Option<u32>) {
    match mapping {
        Mapping::Serial => (0, None),
        Mapping::Reduction => (1, None),
        Mapping::Parallel => (2, None),
        Mapping::Vector(lanes) => (3, Some(lanes)),
        Mapping::Unrolled => (4, None),
        Mapping::Block(d) => (5, Some(d.into())),
        Mapping::Thread(d) => (6, Some(d.into())),
    }
}

/// Reads a `loop.nest`.
pub(crate) fn read(op: Op<'_>) -> Result<LoopNest> {
    let mut nest = LoopNest {
        name: field(op, "name", name)?,
        nodes: field(op, "nodes", names)?,
        symbols: field(op, "symbols", names)?,
        ranges: SizeRanges::default(),
        buffers: Vec::new(),
        body: Vec::new(),
        packings: Vec::new(),
        streamed: Vec::new(),
        fetches: Vec::new(),
    };
    if let Some(ranges) = optional(op, "ranges", names)? {
        if ranges.len() != nest.symbols.len() {
            return Err(error(op, format!("{} ranges for {} symbols", ranges.len(), nest.symbols.len())));
        }
        for (symbol, range) in nest.symbols.iter().zip(&ranges) {
            let range: SizeRange = range.parse().map_err(|e: String| error(op, e))?;
            if !range.is_any() {
                nest.ranges.insert(symbol.clone(), range);
            }
        }
    }
    let mut tensors = HashMap::new();
    let mut rest = Vec::new();
    for op in op.block(0).into_iter().flat_map(Block::ops) {
        match op.name().as_str() {
            "loop.buffer" => {
                let buffer = read_buffer(op)?;
                if nest.buffers.iter().any(|b| b.name == buffer.name) {
                    return Err(error(op, format!("a second buffer is named '{}'", buffer.name)));
                }
                tensors.extend(op.results().map(|r| (r.key(), (nest.buffers.len(), buffer.dims.len()))));
                if op.attribute("streamed").is_some() {
                    nest.streamed.push(nest.buffers.len());
                }
                nest.buffers.push(buffer);
            }
            "loop.pack" => {
                let scope = Scope { tensors: &tensors, axes: &[] };
                let (target, _) = scope.tensor(op, op.operands().next())?;
                let source_dims = field(op, "source_dims", exprs)?;
                nest.packings.push(Packing { target, source_dims, index: field(op, "index", exprs)? });
            }
            "loop.fetch" => {
                let scope = Scope { tensors: &tensors, axes: &[] };
                let (buffer, _) = scope.tensor(op, op.operands().next())?;
                let ahead = field(op, "ahead", |a| int(a).map(|v| v as u32))?;
                let (axis, with) = (field(op, "axis", name)?, field(op, "with", name)?);
                nest.fetches.push(Fetch { buffer, axis, ahead, with });
            }
            _ => rest.push(op),
        }
    }
    let mut reader = Reader { tensors, axes: Vec::new() };
    nest.body = reader.nodes(rest.into_iter())?;
    Ok(nest)
}

fn read_buffer(op: Op<'_>) -> Result<Buffer> {
    let dtype = field(op, "dtype", |a| a.ty()?.dtype())?;
    let role = field(op, "role", |a| enumeration(a, &ROLES))?;
    let space = field(op, "space", |a| enumeration(a, &SPACES))?;
    if space != Space::Global && role != Role::Temporary {
        return Err(error(op, "only a temporary lives elsewhere than in global memory"));
    }
    let dims = field(op, "dims", exprs)?;
    let packed = op.attribute("packed").is_some();
    Ok(Buffer { name: field(op, "name", name)?, dtype, dims, role, space, packed })
}

struct Reader {
    tensors: HashMap<usize, (usize, usize)>,
    /// Axes around, outermost first.
    axes: Vec<Name>,
}

impl Reader {
    fn nodes<'m>(&mut self, ops: impl Iterator<Item = Op<'m>>) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        for op in ops {
            nodes.push(match op.name().as_str() {
                "loop.for" => self.read_loop(op)?,
                "loop.store" => self.store(op)?,
                "loop.tile" => self.tile(op)?,
                "loop.barrier" => Node::Barrier,
                _ => return Err(error(op, "not a node of a loop nest")),
            });
        }
        Ok(nodes)
    }

    fn scope(&self) -> Scope<'_> {
        Scope { tensors: &self.tensors, axes: &self.axes }
    }

    fn checked(&self, op: Op<'_>, e: Expr) -> Result<Expr> {
        self.scope().check(op, &e, 0).map(|()| e)
    }

    fn read_loop(&mut self, op: Op<'_>) -> Result<Node> {
        let axis = field(op, "axis", name)?;
        if self.axes.contains(&axis) {
            return Err(error(op, format!("a loop around has the axis '{axis}' already")));
        }
        let extent = self.checked(op, field(op, "extent", expr)?)?;
        let mapping = read_mapping(op)?;
        self.axes.push(axis.clone());
        let body = self.nodes(op.block(0).into_iter().flat_map(Block::ops))?;
        self.axes.pop();
        Ok(Node::Loop(Loop { axis, extent, mapping, body }))
    }

    fn store(&self, op: Op<'_>) -> Result<Node> {
        let (buffer, rank) = self.scope().tensor(op, op.operands().next())?;
        let read = scalar::read(op, &self.scope(), rank)?;
        let checked = op.attribute("checked").is_some();
        let combine = combine(op)?;
        let (index, body, guards) = (read.index, read.body, read.guards);
        Ok(Node::Store(Store { buffer, index, body, combine, guards, checked }))
    }

    /// The rows of a tile, if they are gathered. They have an axis of their own.
    fn gather(&mut self, op: Op<'_>) -> Result<Option<GatheredRows>> {
        let Some(listed) = optional(op, "a_gather", exprs)? else { return Ok(None) };
        let wrong = || error(op, "gathered rows are an axis, an offset and pairs of expressions");
        let [axis, offset, ends @ ..] = &listed[..] else { return Err(wrong()) };
        let Some(Atom::Axis(axis)) = axis.as_atom() else { return Err(wrong()) };
        if self.axes.contains(axis) || !ends.len().is_multiple_of(2) {
            return Err(wrong());
        }
        self.axes.push(axis.clone());
        let known = listed.iter().try_for_each(|e| self.scope().check(op, e, 0));
        self.axes.pop();
        known?;
        let inside = ends.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        Ok(Some(GatheredRows { axis: axis.clone(), offset: offset.clone(), inside }))
    }

    fn tile(&mut self, op: Op<'_>) -> Result<Node> {
        let a_gather = self.gather(op)?;
        let mut buffers = op.operands();
        let (acc, _) = self.scope().tensor(op, buffers.next())?;
        let mut operand = |at: &str| -> Result<TileOperand> {
            let (buffer, _) = self.scope().tensor(op, buffers.next())?;
            let at: [Expr; 3] = field(op, at, |a| exprs(a)?.try_into().ok())?;
            at.iter().try_for_each(|e| self.scope().check(op, e, 0))?;
            let [base, stride, k_stride] = at;
            Ok(TileOperand { buffer, base, stride, k_stride })
        };
        let (a, b) = (operand("a_at")?, operand("b_at")?);
        let small = |a: Attribute<'_>| int(a).and_then(|v| u32::try_from(v).ok());
        let bound = |name: &str| optional(op, name, expr)?.map(|e| self.checked(op, e)).transpose();
        Ok(Node::Tile(ContractionTile {
            acc,
            rows: field(op, "rows", small)?,
            cols: field(op, "cols", small)?,
            k: self.checked(op, field(op, "k", expr)?)?,
            a,
            a_gather,
            a_rows: bound("a_rows")?,
            b,
            b_cols: bound("b_cols")?,
        }))
    }
}

fn read_mapping(op: Op<'_>) -> Result<Mapping> {
    let case = field(op, "mapping", int)?;
    let width = optional(op, "width", |a| int(a).map(|v| v as u32))?;
    let small = |d: u32| u8::try_from(d).ok();
    let mapping = match (case, width) {
        (0, None) => Some(Mapping::Serial),
        (1, None) => Some(Mapping::Reduction),
        (2, None) => Some(Mapping::Parallel),
        (3, Some(lanes)) => Some(Mapping::Vector(lanes)),
        (4, None) => Some(Mapping::Unrolled),
        (5, Some(d)) => small(d).map(Mapping::Block),
        (6, Some(d)) => small(d).map(Mapping::Thread),
        _ => None,
    };
    mapping.ok_or_else(|| error(op, "'vector', 'block' and 'thread' take a number, the other mappings none"))
}
