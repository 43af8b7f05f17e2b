//! An ONNX node under import, as the functions under `ops` see it.

use crate::{attributes::Attributes, builder::Builder, element_type::element_type};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    graph::ValueId,
};
use std::ops::{Deref, DerefMut};

/// A node: its operator's version, attributes, operands, and the builder that adds operators.
pub(crate) struct Call<'a, 'm> {
    pub(crate) builder: &'a mut Builder<'m>,
    pub(crate) attributes: &'a Attributes<'m>,
    pub(crate) inputs: &'a [Option<ValueId>],
    /// Names of outputs; an unused one is empty.
    pub(crate) outputs: &'m [String],
    pub(crate) opset: i64,
}

impl<'m> Deref for Call<'_, 'm> {
    type Target = Builder<'m>;
    fn deref(&self) -> &Builder<'m> {
        self.builder
    }
}

impl<'m> DerefMut for Call<'_, 'm> {
    fn deref_mut(&mut self) -> &mut Builder<'m> {
        self.builder
    }
}

impl<'m> Call<'_, 'm> {
    /// Operand `i`, which must be present.
    pub(crate) fn input(&self, i: usize) -> Result<ValueId> {
        self.optional(i).ok_or_else(|| malformed(format!("operand {i} is missing")))
    }

    /// Operand `i`, if present.
    pub(crate) fn optional(&self, i: usize) -> Option<ValueId> {
        self.inputs.get(i).copied().flatten()
    }

    /// All operands, which must be present.
    pub(crate) fn all_inputs(&self) -> Result<Vec<ValueId>> {
        (0..self.inputs.len()).map(|i| self.input(i)).collect()
    }

    /// Whether result `i` is used.
    pub(crate) fn wants(&self, i: usize) -> bool {
        self.outputs.get(i).is_some_and(|name| !name.is_empty())
    }

    /// The integer attribute, or `default`.
    pub(crate) fn int(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.attributes.int(name)?.unwrap_or(default))
    }

    /// The flag, or `default`.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.int(name, i64::from(default))? != 0)
    }

    /// The number, or `default`. The default is rounded to single precision, as ONNX's attributes
    /// are.
    pub(crate) fn float(&self, name: &str, default: f32) -> Result<f64> {
        Ok(self.attributes.float(name)?.unwrap_or(f64::from(default)))
    }

    /// The text, or `default`.
    pub(crate) fn text(&self, name: &str, default: &'m str) -> Result<&'m str> {
        Ok(self.attributes.text(name)?.unwrap_or(default))
    }

    /// The element type attribute, if present.
    pub(crate) fn element_type(&self, name: &str) -> Result<Option<DType>> {
        self.attributes.int(name)?.map(|n| element_type(n, &format!("attribute '{name}'"))).transpose()
    }

    /// The axis attribute for a tensor of this rank, not negative.
    pub(crate) fn axis(&self, default: i64, rank: usize) -> Result<usize> {
        normalised_axis(self.int("axis", default)?, rank)
    }

    /// The required axis attribute, for a tensor of this rank.
    pub(crate) fn required_axis(&self, rank: usize) -> Result<usize> {
        let axis = self.attributes.int("axis")?.ok_or_else(|| {
            Diagnostic::user("the attribute 'axis' is missing")
                .hint("the model is malformed; onnx.checker.check_model says where")
        })?;
        normalised_axis(axis, rank)
    }

    /// A list of integers: an attribute, or operand `i` from opset `since` on.
    pub(crate) fn ints_before(&mut self, since: i64, name: &str, i: usize) -> Result<Option<Vec<i64>>> {
        if self.opset < since {
            return Ok(self.attributes.ints(name)?.map(<[i64]>::to_vec));
        }
        self.optional(i).map(|id| self.builder.int_operand(id, name)).transpose()
    }

    /// As [`Call::ints_before`], symbolic.
    pub(crate) fn exprs_before(&mut self, since: i64, name: &str, i: usize) -> Result<Option<Vec<Expr>>> {
        if self.opset < since {
            let ints = self.attributes.ints(name)?;
            return Ok(ints.map(|v| v.iter().map(|&x| Expr::from(x)).collect()));
        }
        self.optional(i).map(|id| self.builder.shape_operand(id, name)).transpose()
    }

    /// A single symbolic integer, from an operand that is a scalar or has one element.
    pub(crate) fn expr_operand(&mut self, i: usize, what: &str) -> Result<Expr> {
        let id = self.input(i)?;
        match &self.builder.shape_operand(id, what)?[..] {
            [one] => Ok(one.clone()),
            many => Err(malformed(format!("operand '{what}' has {} elements instead of one", many.len()))),
        }
    }

    /// A single integer, from an operand that is a scalar or has one element.
    pub(crate) fn one_int(&mut self, i: usize, what: &str) -> Result<i64> {
        let id = self.input(i)?;
        match self.builder.int_operand(id, what)?[..] {
            [one] => Ok(one),
            ref many => {
                Err(malformed(format!("operand '{what}' has {} elements instead of one", many.len())))
            }
        }
    }

    /// Numbers of a constant operand, if it is present and not empty.
    pub(crate) fn constant_floats(&mut self, i: usize, what: &str) -> Result<Option<Vec<f64>>> {
        let Some(id) = self.optional(i) else { return Ok(None) };
        let tensor = self.builder.constant_value(id).ok_or_else(|| crate::fold::data_dependent(what))?;
        if tensor.elements() > 1 << 16 {
            return Err(malformed(format!("operand '{what}' has {} elements", tensor.elements())));
        }
        Ok(Some(tensor.to_f64()).filter(|v| !v.is_empty()))
    }
}

/// An error in the model: a node that ONNX does not allow.
pub(crate) fn malformed(message: impl Into<String>) -> Diagnostic {
    Diagnostic::user(message).hint("the model is malformed; onnx.checker.check_model says more")
}

/// An axis in `0..rank`; a negative one counts from the end.
pub(crate) fn normalised_axis(axis: i64, rank: usize) -> Result<usize> {
    let rank_i = rank as i64;
    let index = if axis < 0 { axis.saturating_add(rank_i) } else { axis };
    if (0..rank_i).contains(&index) {
        return Ok(index as usize);
    }
    Err(malformed(format!("axis {axis} is out of range for {rank} dimensions")))
}

/// Axes in `0..rank`, sorted, each axis once.
pub(crate) fn normalised_axes(axes: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut axes = axes.iter().map(|&a| normalised_axis(a, rank)).collect::<Result<Vec<_>>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}
