//! Builds the graph: adds operators, infers their results' types, makes names unique.

use crate::{external::ExternalData, options::Fold};
use mlcc_ir::{
    Name,
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::{Atom, Expr},
    graph::{Def, Graph, Location, Node, ValueId},
    ops::{Operand, infer},
    requirement::{Condition, Requirement},
    tensor::{Element, Tensor, push_element},
    types::TensorType,
};
use std::collections::{BTreeMap, HashSet};

/// A graph under construction, with the ONNX node that is being imported.
pub(crate) struct Builder<'m> {
    /// The graph so far.
    pub(crate) graph: Graph,
    /// The ONNX node from which the operators come.
    pub(crate) location: Location,
    /// The node that defines each value, if any.
    pub(super) producers: Vec<Option<u32>>,
    /// Constants found by folding; `None` for a value that is not constant.
    pub(super) folded: BTreeMap<ValueId, Option<Tensor>>,
    /// The caller's evaluator.
    pub(super) fold: Option<&'m Fold<'m>>,
    /// Files of external data.
    pub(crate) external: ExternalData,
    names: HashSet<Name>,
}

impl<'m> Builder<'m> {
    pub(crate) fn new(name: &str, fold: Option<&'m Fold<'m>>, external: ExternalData) -> Builder<'m> {
        Builder {
            graph: Graph { name: name.into(), ..Graph::default() },
            location: Location { node: "".into(), op_type: "".into() },
            producers: Vec::new(),
            folded: BTreeMap::new(),
            fold,
            external,
            names: HashSet::new(),
        }
    }

    /// The name `wanted`; a number is appended if the name is taken.
    pub(crate) fn unique_name(&mut self, wanted: &str) -> Name {
        let mut name: Name = wanted.into();
        let mut n = 1;
        while !self.names.insert(name.clone()) {
            name = format!("{wanted}.{n}").into();
            n += 1;
        }
        name
    }

    /// Adds a value.
    pub(crate) fn value(&mut self, name: &str, ty: TensorType, def: Def) -> ValueId {
        let name = self.unique_name(name);
        self.producers.push(None);
        self.graph.add_value(name, ty, def)
    }

    /// Adds a constant.
    pub(crate) fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        self.value(name, tensor.ty(), Def::Constant(tensor))
    }

    /// Adds a constant made by the importer.
    pub(crate) fn literal(&mut self, tensor: Tensor) -> ValueId {
        let name = format!("{}.constant", self.location.node);
        self.constant(&name, tensor)
    }

    /// A scalar constant.
    pub(crate) fn scalar(&mut self, dtype: DType, value: f64) -> ValueId {
        self.filled(dtype, &[], &[value])
    }

    /// A scalar constant of the element type of `like`.
    pub(crate) fn scalar_like(&mut self, like: ValueId, value: f64) -> ValueId {
        self.scalar(self.dtype(like), value)
    }

    /// A scalar integer constant, exact in every integer type.
    pub(crate) fn int_scalar(&mut self, dtype: DType, value: i64) -> ValueId {
        let mut data = Vec::new();
        push_element(dtype, &mut data, Element::Int(value));
        self.literal(Tensor { dtype, dims: Vec::new(), data: data.into() })
    }

    /// A constant of these dimensions and elements.
    pub(crate) fn filled(&mut self, dtype: DType, dims: &[i64], values: &[f64]) -> ValueId {
        let mut data = Vec::with_capacity(values.len() * dtype.size());
        values.iter().for_each(|&v| push_element(dtype, &mut data, Element::Float(v)));
        self.literal(Tensor { dtype, dims: dims.to_vec(), data: data.into() })
    }

    /// A rank-1 constant of integers.
    pub(crate) fn ints(&mut self, values: &[i64]) -> ValueId {
        self.literal(Tensor::from_i64(&[values.len() as i64], values))
    }

    /// The type of a value.
    pub(crate) fn ty(&self, id: ValueId) -> &TensorType {
        &self.graph.value(id).ty
    }

    /// The element type of a value.
    pub(crate) fn dtype(&self, id: ValueId) -> DType {
        self.ty(id).dtype
    }

    /// The number of dimensions of a value.
    pub(crate) fn rank(&self, id: ValueId) -> usize {
        self.ty(id).rank()
    }

    /// The dimensions of a value.
    pub(crate) fn dims(&self, id: ValueId) -> Vec<Expr> {
        self.ty(id).dims.clone()
    }

    /// Demands a condition on symbolic sizes that no operator of the graph demands.
    pub(crate) fn require(&mut self, condition: Condition, message: impl FnOnce() -> String) {
        if condition.decided() != Some(true) {
            let message = format!("{} in {}", message(), self.location.node);
            self.graph.requirements.push(Requirement { condition, message });
        }
    }

    /// Adds an operator; returns its first `count` results.
    ///
    /// # Errors
    /// The problems that inference finds.
    pub(crate) fn op_results(
        &mut self,
        op: &str,
        attrs: Attrs,
        operands: &[Option<ValueId>],
        count: usize,
    ) -> Result<Vec<ValueId>> {
        let mut inferred = {
            let known: Vec<Option<Operand<'_>>> = operands
                .iter()
                .map(|operand| {
                    operand.map(|id| {
                        let value = self.graph.value(id);
                        Operand {
                            ty: &value.ty,
                            known: value.known.as_deref(),
                            constant: self.graph.constant(id),
                        }
                    })
                })
                .collect();
            infer(op, &attrs, &known)?
        };
        for result in &mut inferred {
            if result.ty.rank() > MAX_RANK || result.ty.dims.iter().any(|d| size(d) > MAX_SIZE) {
                return Err(Diagnostic::unsupported(format!(
                    "the result of '{op}' has more than {MAX_RANK} dimensions, or too complicated ones"
                ))
                .hint("give the inputs fixed shapes with --shape"));
            }
            if result.known.as_ref().is_some_and(|known| known.iter().any(|e| size(e) > MAX_SIZE)) {
                result.known = None;
            }
        }
        let base = format!("{}.{op}", self.location.node);
        let node = self.graph.nodes.len() as u32;
        let mut results = Vec::with_capacity(inferred.len());
        for result in inferred.into_iter().take(count) {
            let id = self.value(&base, result.ty, Def::Node);
            self.graph.value_mut(id).known = result.known;
            self.producers[id.0 as usize] = Some(node);
            results.push(id);
        }
        self.graph.nodes.push(Node {
            op: op.into(),
            attrs,
            operands: operands.to_vec(),
            results: results.clone(),
            regions: Vec::new(),
            location: self.location.clone(),
        });
        Ok(results)
    }

    /// Adds an operator; returns its first result.
    pub(crate) fn op(&mut self, op: &str, attrs: Attrs, operands: &[ValueId]) -> Result<ValueId> {
        let operands: Vec<_> = operands.iter().copied().map(Some).collect();
        self.op_optional(op, attrs, &operands)
    }

    /// Adds an operator with operands that may be absent; returns its first result.
    pub(crate) fn op_optional(
        &mut self,
        op: &str,
        attrs: Attrs,
        operands: &[Option<ValueId>],
    ) -> Result<ValueId> {
        let results = self.op_results(op, attrs, operands, 1)?;
        results.first().copied().ok_or_else(|| Diagnostic::internal(format!("operator '{op}' has no result")))
    }

    /// An elementwise operator without attributes.
    pub(crate) fn unary(&mut self, op: &str, x: ValueId) -> Result<ValueId> {
        self.op(op, Attrs::new(), &[x])
    }

    /// A broadcasting elementwise operator without attributes.
    pub(crate) fn binary(&mut self, op: &str, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.op(op, Attrs::new(), &[a, b])
    }

    /// `x op scalar` with a scalar of the type of `x`.
    pub(crate) fn with_scalar(&mut self, op: &str, x: ValueId, scalar: f64) -> Result<ValueId> {
        let scalar = self.scalar(self.dtype(x), scalar);
        self.binary(op, x, scalar)
    }

    /// `a` if `condition` holds, else `b`, element by element.
    pub(crate) fn select(&mut self, condition: ValueId, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.op("where", Attrs::new(), &[condition, a, b])
    }

    /// Conversion of element type; adds nothing if the value has that type already.
    pub(crate) fn cast(&mut self, x: ValueId, to: DType) -> Result<ValueId> {
        if self.dtype(x) == to {
            return Ok(x);
        }
        self.op("cast", Attrs::new().with("to", Attr::DType(to)), &[x])
    }

    /// Conversion to the element type of `like`.
    pub(crate) fn cast_like(&mut self, x: ValueId, like: ValueId) -> Result<ValueId> {
        self.cast(x, self.dtype(like))
    }

    /// Another shape for the same elements; adds nothing if the value has that shape already.
    pub(crate) fn reshape(&mut self, x: ValueId, shape: Vec<Expr>) -> Result<ValueId> {
        if self.ty(x).dims == shape {
            return Ok(x);
        }
        self.op("reshape", Attrs::new().with("shape", Attr::Exprs(shape)), &[x])
    }

    /// Permuted dimensions.
    pub(crate) fn transpose(&mut self, x: ValueId, perm: &[usize]) -> Result<ValueId> {
        let perm = perm.iter().map(|&p| p as i64).collect();
        self.op("transpose", Attrs::new().with("perm", Attr::Ints(perm)), &[x])
    }

    /// Broadcast to a shape; adds nothing if the value has that shape already.
    pub(crate) fn expand(&mut self, x: ValueId, shape: Vec<Expr>) -> Result<ValueId> {
        if self.ty(x).dims == shape {
            return Ok(x);
        }
        self.op("expand", Attrs::new().with("shape", Attr::Exprs(shape)), &[x])
    }

    /// The part `start..start + size` of dimension `axis`.
    pub(crate) fn slice_axis(&mut self, x: ValueId, axis: usize, start: Expr, size: Expr) -> Result<ValueId> {
        let mut sizes = self.dims(x);
        let mut starts = vec![Expr::from(0); sizes.len()];
        if sizes[axis] == size && start.is(0) {
            return Ok(x);
        }
        (starts[axis], sizes[axis]) = (start, size);
        let steps = vec![1; sizes.len()];
        self.slice(x, starts, sizes, steps)
    }

    /// A strided part: one start, size and step per dimension.
    pub(crate) fn slice(
        &mut self,
        x: ValueId,
        starts: Vec<Expr>,
        sizes: Vec<Expr>,
        steps: Vec<i64>,
    ) -> Result<ValueId> {
        let attrs = Attrs::new()
            .with("starts", Attr::Exprs(starts))
            .with("sizes", Attr::Exprs(sizes))
            .with("steps", Attr::Ints(steps));
        self.op("slice", attrs, &[x])
    }

    /// Concatenation along an axis; adds nothing for a single value.
    pub(crate) fn concat(&mut self, xs: &[ValueId], axis: usize) -> Result<ValueId> {
        if let [x] = xs {
            return Ok(*x);
        }
        self.op("concat", Attrs::new().with("axis", Attr::Int(axis as i64)), xs)
    }

    /// A reduction such as `reduce_sum` over axes.
    pub(crate) fn reduce(&mut self, op: &str, x: ValueId, axes: &[usize], keepdims: bool) -> Result<ValueId> {
        let axes = axes.iter().map(|&a| a as i64).collect();
        let attrs = Attrs::new().with("axes", Attr::Ints(axes)).with("keepdims", Attr::Bool(keepdims));
        self.op(op, attrs, &[x])
    }

    /// An operator with one attribute `axis`.
    pub(crate) fn along(&mut self, op: &str, operands: &[ValueId], axis: usize) -> Result<ValueId> {
        self.op(op, Attrs::new().with("axis", Attr::Int(axis as i64)), operands)
    }

    /// Matrix product.
    pub(crate) fn matmul(&mut self, a: ValueId, b: ValueId, transpose_b: bool) -> Result<ValueId> {
        let attrs =
            Attrs::new().with("transpose_a", Attr::Bool(false)).with("transpose_b", Attr::Bool(transpose_b));
        self.op("matmul", attrs, &[a, b])
    }

    /// A tensor of symbolic integers: rank 1, or a scalar.
    pub(crate) fn dims_value(&mut self, values: Vec<Expr>, scalar: bool) -> Result<ValueId> {
        let attrs = Attrs::new().with("values", Attr::Exprs(values)).with("scalar", Attr::Bool(scalar));
        self.op("dims", attrs, &[])
    }
}

/// More dimensions are considered an attack.
pub(crate) const MAX_RANK: usize = 64;
/// Larger expressions are not followed, because their size may double with every operator.
const MAX_SIZE: usize = 256;

/// Number of atoms in an expression.
fn size(e: &Expr) -> usize {
    let of_atom = |atom: &Atom| match atom {
        Atom::FloorDiv(ab) | Atom::Mod(ab) | Atom::Min(ab) | Atom::Max(ab) => 1 + size(&ab.0) + size(&ab.1),
        Atom::Symbol(_) | Atom::Axis(_) | Atom::Value(_) => 1,
    };
    e.terms().iter().flat_map(|(product, _)| product).map(of_atom).sum()
}

/// Product of dimensions.
pub(crate) fn product(dims: &[Expr]) -> Expr {
    dims.iter().fold(Expr::from(1), |n, d| n * d.clone())
}
