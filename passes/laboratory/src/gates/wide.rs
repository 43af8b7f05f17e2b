//! Graphs in double precision, where rounding does not hide a small error of a rule.

use super::values::widened;
use mlcc_ir::{
    attributes::Attr,
    dtype::DType,
    graph::{Def, Graph},
    tensor::{Tensor, push_element},
};

/// The graph with floats of 64 bits instead of all other floats. Constants keep their values.
pub(super) fn widen(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    for value in &mut graph.values {
        value.ty.dtype = widened(value.ty.dtype);
        if let Def::Constant(tensor) = &mut value.def
            && let Some(wide) = widen_tensor(tensor)
        {
            *tensor = wide;
        }
    }
    for attr in graph.nodes.iter_mut().flat_map(|n| n.attrs.0.values_mut()) {
        if let Attr::DType(dtype) = attr {
            *dtype = widened(*dtype);
        }
    }
    graph
}

fn widen_tensor(tensor: &Tensor) -> Option<Tensor> {
    if !tensor.dtype.is_float() {
        return None;
    }
    let mut data = Vec::new();
    (0..tensor.elements()).for_each(|i| push_element(DType::F64, &mut data, tensor.get(i)));
    Tensor::new(DType::F64, tensor.dims.clone(), data.into())
}
