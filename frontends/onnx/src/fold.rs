//! Values that are known at import: constants, shapes, and values computed from constants alone.

use crate::builder::Builder;
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    graph::{ValueId, known_elements},
    tensor::{Element, Tensor, element_count, push_element},
};

/// Chains of operators longer than this are not folded.
const MAX_DEPTH: usize = 128;
/// Larger tensors are not folded at import. A pass does so later if it pays.
const MAX_ELEMENTS: usize = 1 << 20;

impl Builder<'_> {
    /// The constant tensor of a value, if import can determine it.
    pub(crate) fn constant_value(&mut self, id: ValueId) -> Option<Tensor> {
        self.constant_at_depth(id, 0)
    }

    fn constant_at_depth(&mut self, id: ValueId, depth: usize) -> Option<Tensor> {
        if let Some(tensor) = self.graph.constant(id) {
            return Some(tensor.clone());
        }
        if let Some(folded) = self.folded.get(&id) {
            return folded.clone();
        }
        let folded = self.known_tensor(id).or_else(|| self.evaluate(id, depth));
        self.folded.entry(id).or_insert(folded).clone()
    }

    /// The tensor of a value, if inference knows its elements as numbers.
    fn known_tensor(&self, id: ValueId) -> Option<Tensor> {
        let value = self.graph.value(id);
        let dims = value.ty.static_dims()?;
        let elements: Vec<i64> = value.known.as_ref()?.iter().map(Expr::as_const).collect::<Option<_>>()?;
        let mut data = Vec::with_capacity(elements.len() * value.ty.dtype.size());
        elements.into_iter().for_each(|e| push_element(value.ty.dtype, &mut data, Element::Int(e)));
        Tensor::new(value.ty.dtype, dims, data.into())
    }

    /// Evaluates the operator that defines a value, if all its operands are constant.
    fn evaluate(&mut self, id: ValueId, depth: usize) -> Option<Tensor> {
        let fold = self.fold?;
        let node = self.producers[id.0 as usize]? as usize;
        let elements = element_count(&self.ty(id).static_dims()?)?;
        if depth >= MAX_DEPTH || elements > MAX_ELEMENTS {
            return None;
        }
        let ids = self.graph.nodes[node].operands.clone();
        let mut operands = Vec::with_capacity(ids.len());
        for operand in ids {
            operands.push(match operand {
                Some(operand) => Some(self.constant_at_depth(operand, depth + 1)?),
                None => None,
            });
        }
        let node = &self.graph.nodes[node];
        let results = fold(&node.op, &node.attrs, &operands)?;
        let mut wanted = None;
        for (&result, tensor) in node.results.iter().zip(results) {
            if result == id {
                wanted = Some(tensor.clone());
            }
            self.folded.insert(result, Some(tensor));
        }
        wanted
    }

    /// Lets import rely on the value of an input.
    ///
    /// # Errors
    /// If the tensor is not of the input's type.
    pub(crate) fn specialise(&mut self, input: ValueId, tensor: &Tensor) -> Result<()> {
        let value = self.graph.value(input);
        let fits = value.ty.dtype == tensor.dtype
            && value.ty.rank() == tensor.dims.len()
            && value.ty.dims.iter().zip(&tensor.dims).all(|(d, n)| d.as_const().is_none_or(|d| d == *n));
        if !fits {
            return Err(Diagnostic::user(format!(
                "input '{}' is of type {} but its value is of type {}",
                value.name,
                value.ty,
                tensor.ty()
            )));
        }
        self.graph.value_mut(input).known = known_elements(tensor);
        self.folded.insert(input, Some(tensor.clone()));
        Ok(())
    }

    /// The elements of a value of rank 0 or 1 as symbolic integers, if import can determine them.
    pub(crate) fn known_ints(&mut self, id: ValueId) -> Option<Vec<Expr>> {
        if let Some(known) = &self.graph.value(id).known {
            return Some(known.clone());
        }
        let tensor = self.constant_value(id)?;
        (tensor.elements() <= MAX_ELEMENTS && !tensor.dtype.is_float())
            .then(|| tensor.to_i64().into_iter().map(Expr::from).collect())
    }

    /// As [`Builder::known_ints`], for an operand that decides shapes; `what` names it.
    pub(crate) fn shape_operand(&mut self, id: ValueId, what: &str) -> Result<Vec<Expr>> {
        self.known_ints(id).ok_or_else(|| data_dependent(what))
    }

    /// As [`Builder::shape_operand`], for operands that must not depend on symbols either.
    pub(crate) fn int_operand(&mut self, id: ValueId, what: &str) -> Result<Vec<i64>> {
        self.shape_operand(id, what)?.iter().map(Expr::as_const).collect::<Option<_>>().ok_or_else(|| {
            Diagnostic::unsupported(format!("operand '{what}' depends on symbolic dimensions"))
                .hint("give the inputs fixed shapes with --shape")
        })
    }
}

/// The error for an operand whose value is computed from the inputs' elements.
pub(crate) fn data_dependent(what: &str) -> Diagnostic {
    Diagnostic::unsupported(format!("operand '{what}' is computed from data, so that shapes depend on data")).hint(
        "simplify the model so that this operand is a constant or computed from shapes, for instance with \
         onnx-simplifier, or export it with fixed shapes",
    )
}
