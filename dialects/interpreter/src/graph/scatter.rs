//! Scatters: updates are made in the order of their indices. Of several updates with one index the
//! last stays.

use super::{Call, indexing::tuple_offset, wrap_index};
use crate::{
    array::{count, offsets, strides, tensor},
    scalar::binary,
};
use mlcc_ir::{
    diagnostic::Result,
    scalar::BinaryOp,
    tensor::{Element, Tensor, push_element},
};

/// The data as it is updated.
struct Target {
    tensor: Tensor,
    data: Vec<u8>,
    reduction: Option<BinaryOp>,
}

impl Target {
    fn of(call: &Call<'_>) -> Result<Target> {
        let reduction = match call.attrs.str("reduction", "none") {
            "add" => Some(BinaryOp::Add),
            "mul" => Some(BinaryOp::Mul),
            "max" => Some(BinaryOp::Max),
            "min" => Some(BinaryOp::Min),
            _ => None,
        };
        let tensor = call.operand(0)?.clone();
        Ok(Target { data: tensor.data.to_vec(), tensor, reduction })
    }

    fn update(&mut self, call: &Call<'_>, at: usize, value: Element) -> Result<()> {
        let dtype = self.tensor.dtype;
        let value = match self.reduction {
            Some(op) => {
                let old = mlcc_ir::tensor::read_element(dtype, &self.data, at);
                binary(op, dtype, old, value).ok_or_else(|| call.no_function())?
            }
            None => value,
        };
        let mut bytes = Vec::with_capacity(8);
        push_element(dtype, &mut bytes, value);
        self.data[at * dtype.size()..][..dtype.size()].copy_from_slice(&bytes);
        Ok(())
    }

    fn finish(self, call: &Call<'_>) -> Result<Vec<Tensor>> {
        Ok(vec![tensor(self.tensor.dtype, call.dims(), self.data)?])
    }
}

pub(super) fn scatter_elements(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let (indices, updates) = (call.operand(1)?, call.operand(2)?);
    let mut target = Target::of(call)?;
    let dims = target.tensor.dims.clone();
    let axis = call.axis("axis");
    let mut steps = strides(&dims);
    let along = std::mem::replace(&mut steps[axis], 0);
    for d in (0..dims.len()).filter(|&d| d != axis && indices.dims[d] > dims[d]) {
        wrap_index(Element::Int(indices.dims[d] - 1), dims[d])?;
    }
    for (i, [base]) in offsets(&indices.dims, [&steps]).enumerate() {
        let position = wrap_index(indices.get(i), dims[axis])? as i64;
        target.update(call, (base + along * position) as usize, updates.get(i))?;
    }
    target.finish(call)
}

pub(super) fn scatter_nd(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let (indices, updates) = (call.operand(1)?, call.operand(2)?);
    let mut target = Target::of(call)?;
    let dims = target.tensor.dims.clone();
    let Some((&length, tuple_dims)) = indices.dims.split_last() else { return Err(call.no_function()) };
    let length = length as usize;
    let steps = strides(&dims);
    let run = count(&dims[length..]);
    for tuple in 0..count(tuple_dims) {
        let at = tuple_offset(indices, tuple, &dims[..length], &steps[..length])?;
        for i in 0..run {
            target.update(call, at + i, updates.get(tuple * run + i))?;
        }
    }
    target.finish(call)
}
