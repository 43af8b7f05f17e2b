//! The context for lowering one node: its operands and attributes, and the program under construction.

use super::{
    kernels::{KernelBuilder, Operand, indices},
    scalars::{Scalars, compute_type},
};
use mlcc_ir::{
    attributes::Attrs,
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    graph::{Def, Graph, Node, ValueId},
    kernel::{Axis, Kernel},
    program::{Program, Step, Storage, TensorId},
    scalar::{self, Constant},
    tensor::{Element, Tensor},
    types::TensorType,
};
use std::{collections::BTreeMap, sync::Arc};

/// A graph, or the body of a control-flow operator, on its way into a program.
pub(super) struct Scope<'g> {
    pub(super) graph: &'g Graph,
    pub(super) program: Program,
    /// The program's tensor for each value of the graph, if it has one by now.
    pub(super) tensors: Vec<Option<TensorId>>,
    /// The program's output that a value is written to directly.
    pub(super) direct_outputs: BTreeMap<ValueId, usize>,
    /// Number of uses of each value.
    pub(super) uses: Vec<usize>,
}

impl<'g> Scope<'g> {
    /// The scope of a graph whose inputs are not bound yet.
    pub(super) fn new(graph: &'g Graph, program: Program) -> Scope<'g> {
        Scope {
            graph,
            program,
            tensors: vec![None; graph.values.len()],
            direct_outputs: BTreeMap::new(),
            uses: graph.use_counts(),
        }
    }

    /// The program's tensor for a value: constants are added when first used, results of nodes when
    /// their node is lowered.
    pub(super) fn tensor(&mut self, value: ValueId) -> Result<TensorId> {
        let at = value.0 as usize;
        if let Some(id) = self.tensors[at] {
            return Ok(id);
        }
        let v = self.graph.value(value);
        let storage = match &v.def {
            Def::Constant(tensor) => Storage::Constant(tensor.clone()),
            Def::Node => match self.direct_outputs.get(&value) {
                Some(&output) => Storage::Output(output),
                None => Storage::Intermediate,
            },
            Def::Input(_) | Def::Captured(_) => {
                return Err(Diagnostic::internal(format!("value '{}' is not bound to a tensor", v.name)));
            }
        };
        let id = self.program.add_tensor(v.name.clone(), v.ty.clone(), storage);
        self.tensors[at] = Some(id);
        Ok(id)
    }
}

/// A kernel of a compute with more points than this would not end within days. The matrix products of the
/// greatest networks have a thousandth of them.
const MAX_POINTS: i64 = 1 << 48;

/// Refuses a kernel with more work than any machine can do.
fn check_points(kernel: &Kernel) -> Result<()> {
    for compute in &kernel.computes {
        let mut sizes = compute.axes.iter().filter_map(|a| a.extent.as_const());
        if sizes.clone().any(|size| size == 0) {
            continue;
        }
        let points = sizes.try_fold(1i64, i64::checked_mul);
        if points.is_none_or(|points| points > MAX_POINTS) {
            let axes: Vec<String> = compute.axes.iter().map(|a| a.extent.to_string()).collect();
            return Err(Diagnostic::user(format!(
                "'{}' would compute {} values, which would never end",
                kernel.name,
                axes.join(" x ")
            ))
            .hint(format!(
                "an operator may have {MAX_POINTS} steps at most: check the sizes of its operands"
            )));
        }
    }
    Ok(())
}

/// One node being lowered.
pub(super) struct Lowering<'a, 'g> {
    pub(super) scope: &'a mut Scope<'g>,
    pub(super) node: &'g Node,
}

impl<'g> Lowering<'_, 'g> {
    /// The operator's mnemonic.
    pub(super) fn name(&self) -> &'g str {
        &self.node.op
    }

    /// The node's attributes.
    pub(super) fn attrs(&self) -> &'g Attrs {
        &self.node.attrs
    }

    /// Operand `i`, which must be there.
    pub(super) fn operand(&self, i: usize) -> Result<ValueId> {
        self.optional(i)
            .ok_or_else(|| Diagnostic::internal(format!("'graph.{}' lacks operand {i}", self.node.op)))
    }

    /// Operand `i`, if present.
    pub(super) fn optional(&self, i: usize) -> Option<ValueId> {
        self.node.operands.get(i).copied().flatten()
    }

    /// Result `i`, which must be there.
    pub(super) fn result(&self, i: usize) -> Result<ValueId> {
        self.node
            .results
            .get(i)
            .copied()
            .ok_or_else(|| Diagnostic::internal(format!("'graph.{}' lacks result {i}", self.node.op)))
    }

    /// Result `i`, if something uses it.
    pub(super) fn used_result(&self, i: usize) -> Option<ValueId> {
        self.node.results.get(i).copied().filter(|r| self.scope.uses[r.0 as usize] > 0)
    }

    /// Type of a value.
    pub(super) fn ty(&self, value: ValueId) -> &'g TensorType {
        &self.scope.graph.value(value).ty
    }

    /// Dimensions of a value.
    pub(super) fn dims(&self, value: ValueId) -> &'g [Expr] {
        &self.ty(value).dims
    }

    /// Element type of a value.
    pub(super) fn dtype(&self, value: ValueId) -> DType {
        self.ty(value).dtype
    }

    /// The constant behind a value, if it is one.
    pub(super) fn constant(&self, value: ValueId) -> Option<&'g Tensor> {
        self.scope.graph.constant(value)
    }

    /// The element of a value that is a constant of one element.
    pub(super) fn scalar(&self, value: ValueId) -> Option<Element> {
        self.constant(value).filter(|t| t.elements() == 1).map(|t| t.get(0))
    }

    /// The value's elements as symbolic integers, if they are known.
    pub(super) fn known(&self, value: ValueId) -> Option<&'g [Expr]> {
        self.scope.graph.value(value).known.as_deref()
    }

    /// The axis attribute `name` of a tensor of that rank.
    pub(super) fn axis(&self, name: &str, default: i64, rank: usize) -> Result<usize> {
        let axis = self.attrs().int(name, default);
        let axis = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(axis).ok().filter(|&a| a < rank).ok_or_else(|| {
            Diagnostic::internal(format!("'graph.{}': axis {axis} of a tensor of rank {rank}", self.node.op))
        })
    }

    /// The list attribute `name` of symbolic integers, which must be there with `count` entries.
    pub(super) fn exprs(&self, name: &str, count: usize) -> Result<Vec<Expr>> {
        self.attrs().exprs(name).filter(|v| v.len() == count).ok_or_else(|| {
            Diagnostic::internal(format!(
                "'graph.{}' needs the attribute '{name}' with {count} entries",
                self.node.op
            ))
        })
    }

    /// The list attribute `name` of integers, with `count` entries, each `default` if it is absent.
    pub(super) fn ints(&self, name: &str, count: usize, default: i64) -> Result<Vec<i64>> {
        match self.attrs().ints(name) {
            None => Ok(vec![default; count]),
            Some(v) if v.len() == count => Ok(v.to_vec()),
            Some(v) => Err(Diagnostic::internal(format!(
                "'graph.{}': the attribute '{name}' has {} entries instead of {count}",
                self.node.op,
                v.len()
            ))),
        }
    }

    /// The error that this form of the operator cannot be compiled, and why.
    pub(super) fn unsupported(&self, why: &str) -> Diagnostic {
        Diagnostic::unsupported(format!("'{}' cannot be compiled: {why}", self.node.location.op_type))
    }

    /// A kernel named after the operator.
    pub(super) fn kernel(&self) -> KernelBuilder {
        KernelBuilder::new(self.node.op.clone(), self.node.location.node.clone())
    }

    /// Reads an element in the type in which it is computed; constants of one element become part of
    /// the body.
    pub(super) fn read(
        &self,
        k: &mut KernelBuilder,
        s: &mut Scalars,
        (value, name): (ValueId, &str),
        index: Vec<Expr>,
    ) -> scalar::ValueId {
        if let Some(element) = self.scalar(value) {
            let stored = Constant::new(self.dtype(value), element);
            return s.constant(Constant::new(compute_type(stored.dtype), stored.element()));
        }
        let tensor = k.input(self, value, name);
        s.read(k, tensor, index)
    }

    /// [`Lowering::read`] of an operand that is broadcast to `dims`, at the point of the axes.
    pub(super) fn read_broadcast(
        &self,
        k: &mut KernelBuilder,
        s: &mut Scalars,
        (value, name): (ValueId, &str),
        (dims, axes): (&[Expr], &[Axis]),
    ) -> scalar::ValueId {
        let index = broadcast_index(self.dims(value), dims, &indices(axes));
        let plain = index.iter().all(|e| e.as_axis().is_some() || e.as_const().is_some());
        if plain {
            return self.read(k, s, (value, name), index);
        }
        // A size that is 1 or the result's, but may be 0 as far as the compiler knows.
        let tensor = k.input(self, value, name);
        s.read_or(k, tensor, index, Element::Int(0))
    }

    /// Adds the kernel to the program.
    pub(super) fn emit(&mut self, kernel: KernelBuilder) -> Result<()> {
        let (kernel, operands) = kernel.finish();
        check_points(&kernel).map_err(|d| d.at(&self.node.location))?;
        let operands = operands
            .into_iter()
            .map(|operand| match operand {
                Operand::Value(value) => self.scope.tensor(value),
                Operand::Tensor(tensor) => Ok(tensor),
                Operand::None => Err(Diagnostic::internal("a temporary is no operand")),
            })
            .collect::<Result<Vec<_>>>()?;
        self.scope.program.steps.push(Step::Kernel { kernel: Arc::new(kernel), operands });
        Ok(())
    }

    /// Makes result `i` the same memory as `source` from element `offset` on.
    pub(super) fn view(&mut self, i: usize, source: ValueId, offset: Expr) -> Result<()> {
        let result = self.result(i)?;
        let source = self.scope.tensor(source)?;
        let value = self.scope.graph.value(result);
        let storage = Storage::View { source, offset };
        let id = self.scope.program.add_tensor(value.name.clone(), value.ty.clone(), storage);
        self.scope.tensors[result.0 as usize] = Some(id);
        Ok(())
    }

    /// Makes result `i` a constant.
    pub(super) fn fold(&mut self, i: usize, tensor: Tensor) -> Result<()> {
        let result = self.result(i)?;
        let value = self.scope.graph.value(result);
        let storage = Storage::Constant(tensor);
        let id = self.scope.program.add_tensor(value.name.clone(), value.ty.clone(), storage);
        self.scope.tensors[result.0 as usize] = Some(id);
        Ok(())
    }
}

/// Index into an operand of dimensions `dims` that is broadcast to `result`, at `point` of the result.
pub(super) fn broadcast_index(dims: &[Expr], result: &[Expr], point: &[Expr]) -> Vec<Expr> {
    let skipped = result.len().saturating_sub(dims.len());
    dims.iter()
        .zip(&result[skipped..])
        .zip(&point[skipped..])
        .map(|((dim, full), at)| {
            if dim == full {
                at.clone()
            } else if dim.is(1) {
                Expr::from(0)
            } else {
                // The sizes are equal or 1, and only a run tells which.
                at.minimum(&(dim.clone() - Expr::from(1)))
            }
        })
        .collect()
}
