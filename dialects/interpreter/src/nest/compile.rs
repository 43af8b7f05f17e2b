//! Nests, verified and compiled: axes are slots, symbols are folded.

use crate::{
    Symbols,
    body::{CompiledBody, Scope},
    index::Index,
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    kernel::{Combine, Role},
    nest::{ContractionTile, GatheredRows, Loop, LoopNest, Mapping, Node, Space, Store, TileOperand},
};

/// A compiled nest.
pub(super) struct Compiled {
    pub(super) body: Vec<Code>,
    /// Number of axes on the longest path.
    pub(super) slots: usize,
    /// Blocks along each dimension.
    pub(super) grid: [i64; 3],
    /// Threads of a block along each dimension.
    pub(super) threads: [i64; 3],
    pub(super) on_gpu: bool,
}

/// A compiled node.
pub(super) enum Code {
    Loop { slot: usize, extent: Index, mapping: Mapping, tile: bool, body: Vec<Code> },
    Store(Box<StoreCode>),
    Tile(Box<TileCode>),
    Barrier(usize),
}

/// A compiled store.
pub(super) struct StoreCode {
    pub(super) buffer: usize,
    pub(super) index: Vec<Index>,
    pub(super) body: CompiledBody,
    pub(super) combine: Option<Combine>,
    pub(super) guards: Vec<(Index, Index)>,
    pub(super) checked: bool,
}

/// A compiled contraction tile.
pub(super) struct TileCode {
    pub(super) acc: usize,
    pub(super) rows: i64,
    pub(super) cols: i64,
    pub(super) k: Index,
    pub(super) a: Operand,
    pub(super) a_gather: Option<Gather>,
    pub(super) a_rows: Option<Index>,
    pub(super) b: Operand,
    pub(super) b_cols: Option<Index>,
}

/// A compiled operand of a contraction tile.
pub(super) struct Operand {
    pub(super) buffer: usize,
    pub(super) base: Index,
    pub(super) stride: Index,
    pub(super) k_stride: Index,
}

/// Compiled rows with an address each.
pub(super) struct Gather {
    /// The slot of the axis that counts rows.
    pub(super) slot: usize,
    pub(super) offset: Index,
    pub(super) inside: Vec<(Index, Index)>,
}

struct Compiler<'a> {
    nest: &'a LoopNest,
    symbols: &'a Symbols,
    tensors: Vec<(DType, usize)>,
    axes: Vec<Name>,
    slots: usize,
    barriers: usize,
    grid: [i64; 3],
    threads: [i64; 3],
    on_gpu: bool,
}

impl Compiled {
    pub(super) fn new(nest: &LoopNest, symbols: &Symbols) -> Result<Compiled> {
        if let Some(b) = nest.buffers.iter().find(|b| b.role != Role::Temporary && b.space != Space::Global) {
            return Err(Diagnostic::internal(format!("the operand '{}' is not in global memory", b.name)));
        }
        let tensors = nest.buffers.iter().map(|b| (b.dtype, b.dims.len())).collect();
        let mut compiler = Compiler {
            nest,
            symbols,
            tensors,
            axes: Vec::new(),
            slots: 0,
            barriers: 0,
            grid: [1; 3],
            threads: [1; 3],
            on_gpu: false,
        };
        let body = compiler.nodes(&nest.body, true)?;
        Ok(Compiled {
            body,
            slots: compiler.slots,
            grid: compiler.grid,
            threads: compiler.threads,
            on_gpu: compiler.on_gpu,
        })
    }
}

impl Compiler<'_> {
    /// `outermost`: the enclosing loops are all parallel, and each is alone in the body around it.
    fn nodes(&mut self, nodes: &[Node], outermost: bool) -> Result<Vec<Code>> {
        let alone = nodes.len() == 1;
        nodes.iter().map(|node| self.node(node, outermost && alone)).collect()
    }

    fn node(&mut self, node: &Node, outermost: bool) -> Result<Code> {
        match node {
            Node::Loop(l) => self.looped(l, outermost),
            Node::Store(store) => self.store(store),
            Node::Tile(tile) => self.tile(tile),
            Node::Barrier => {
                self.barriers += 1;
                Ok(Code::Barrier(self.barriers))
            }
        }
    }

    fn index(&self, expr: &mlcc_ir::expr::Expr, values: usize) -> Result<Index> {
        let slot = |name: &str| self.axes.iter().position(|a| **a == *name);
        Index::compile(expr, self.symbols, &slot, values)
    }

    fn looped(&mut self, l: &Loop, outermost: bool) -> Result<Code> {
        if self.axes.contains(&l.axis) {
            return Err(Diagnostic::internal(format!("axis '{}' is inside itself", l.axis)));
        }
        let extent = self.index(&l.extent, 0)?;
        if let Mapping::Block(d) | Mapping::Thread(d) = l.mapping {
            let extents =
                if matches!(l.mapping, Mapping::Block(_)) { &mut self.grid } else { &mut self.threads };
            let place = extents.get_mut(d as usize).ok_or_else(|| {
                Diagnostic::internal(format!("axis '{}' is bound to dimension {d} of 3", l.axis))
            })?;
            let size = extent.evaluate(&[], &[]).map_err(|_| {
                Diagnostic::internal(format!("the extent of axis '{}' is not known at launch", l.axis))
            })?;
            *place = size.max(*place);
            self.on_gpu = true;
        }
        let tile = outermost && l.mapping == Mapping::Parallel;
        self.axes.push(l.axis.clone());
        self.slots = self.slots.max(self.axes.len());
        let body = self.nodes(&l.body, tile);
        self.axes.pop();
        Ok(Code::Loop { slot: self.axes.len(), extent, mapping: l.mapping, tile, body: body? })
    }

    fn store(&self, store: &Store) -> Result<Code> {
        let buffer = self.nest.buffers.get(store.buffer);
        let buffer = buffer.ok_or_else(|| Diagnostic::internal("a store into a buffer that is not there"))?;
        if buffer.role == Role::Input {
            return Err(Diagnostic::internal(format!("a store into the input '{}'", buffer.name)));
        }
        let slot = |name: &str| self.axes.iter().position(|a| **a == *name);
        let scope = Scope { symbols: self.symbols, slot: &slot, tensors: &self.tensors };
        let body = CompiledBody::compile(&store.body, &scope)?;
        if body.dtype() != buffer.dtype || store.index.len() != buffer.dims.len() {
            let what = format!(
                "a store of {} at {} indices into '{}'",
                body.dtype(),
                store.index.len(),
                buffer.name
            );
            return Err(Diagnostic::internal(what));
        }
        let index = store.index.iter().map(|e| self.index(e, body.len())).collect::<Result<_>>()?;
        let guard =
            |(a, b): &(mlcc_ir::expr::Expr, mlcc_ir::expr::Expr)| Ok((self.index(a, 0)?, self.index(b, 0)?));
        let guards = store.guards.iter().map(guard).collect::<Result<_>>()?;
        Ok(Code::Store(Box::new(StoreCode {
            buffer: store.buffer,
            index,
            body,
            combine: store.combine,
            guards,
            checked: store.checked,
        })))
    }

    fn gather(&mut self, rows: &GatheredRows) -> Result<Gather> {
        let slot = self.axes.len();
        self.axes.push(rows.axis.clone());
        self.slots = self.slots.max(self.axes.len());
        let compiled = (|| {
            let inside = rows.inside.iter().map(|(a, b)| Ok((self.index(a, 0)?, self.index(b, 0)?)));
            Ok(Gather { slot, offset: self.index(&rows.offset, 0)?, inside: inside.collect::<Result<_>>()? })
        })();
        self.axes.pop();
        compiled
    }

    fn tile(&mut self, tile: &ContractionTile) -> Result<Code> {
        let a_gather = tile.a_gather.as_ref().map(|rows| self.gather(rows)).transpose()?;
        let operand = |o: &TileOperand| -> Result<Operand> {
            if o.buffer >= self.nest.buffers.len() {
                return Err(Diagnostic::internal("a tile of a buffer that is not there"));
            }
            let index = |e| self.index(e, 0);
            Ok(Operand {
                buffer: o.buffer,
                base: index(&o.base)?,
                stride: index(&o.stride)?,
                k_stride: index(&o.k_stride)?,
            })
        };
        if self.nest.buffers.get(tile.acc).is_none_or(|b| b.role == Role::Input) {
            return Err(Diagnostic::internal("a tile is added to no buffer or to an input"));
        }
        let optional = |e: &Option<mlcc_ir::expr::Expr>| e.as_ref().map(|e| self.index(e, 0)).transpose();
        Ok(Code::Tile(Box::new(TileCode {
            acc: tile.acc,
            rows: i64::from(tile.rows),
            cols: i64::from(tile.cols),
            k: self.index(&tile.k, 0)?,
            a: operand(&tile.a)?,
            a_gather,
            a_rows: optional(&tile.a_rows)?,
            b: operand(&tile.b)?,
            b_cols: optional(&tile.b_cols)?,
        })))
    }
}
