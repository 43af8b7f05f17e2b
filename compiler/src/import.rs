//! A model file to the graph level.

use crate::options::{Diagnostics, Options};
use mlcc_ir::{
    attributes::Attrs,
    contract::Verified,
    graph::{Graph, known_elements},
    ops::{self, Operand},
    tensor::Tensor,
};
use mlcc_onnx::{DimSpec, ImportOptions, Imported};
use mlcc_passes::plan;
use std::path::Path;

/// Reads an ONNX model.
///
/// # Errors
/// All problems of the file.
pub fn import(path: &Path, options: &Options) -> Result<Verified<Graph>, Diagnostics> {
    let mut import_options = ImportOptions { fold: Some(&evaluate_constant), ..ImportOptions::default() };
    for shape in &options.shapes {
        let (name, dims) = DimSpec::parse_shape(shape).map_err(|d| vec![d])?;
        import_options.shapes.insert(name, dims);
    }
    let imported = mlcc_onnx::import(path, &import_options).map_err(|d| name_file(d, path))?;
    let Imported { graph, defaults, .. } = imported;
    let graph = Verified::new(graph, "import").map_err(|d| vec![d])?;
    let peak = plan::graph_peak(&graph);
    let known = graph.change("import", |graph| {
        (graph.origin.file_order_peak_bytes, graph.origin.defaults) = (peak, defaults);
        Ok(())
    });
    known.map(|(graph, ())| graph).map_err(|d| vec![d])
}

/// Adds the file's name to problems that name no node.
fn name_file(diagnostics: Diagnostics, path: &Path) -> Diagnostics {
    let named = |mut d: mlcc_ir::diagnostic::Diagnostic| {
        let file = path.display().to_string();
        if d.location.is_none() && !d.message.contains(&file) {
            d.message = format!("'{file}': {}", d.message);
        }
        d
    };
    diagnostics.into_iter().map(named).collect()
}

/// An operator on constants, through the reference interpreter; `None` if it cannot be evaluated.
fn evaluate_constant(op: &str, attrs: &Attrs, operands: &[Option<Tensor>]) -> Option<Vec<Tensor>> {
    let types: Vec<_> = operands.iter().map(|o| o.as_ref().map(Tensor::ty)).collect();
    let known: Vec<_> = operands.iter().map(|o| o.as_ref().and_then(known_elements)).collect();
    let views: Vec<_> = operands
        .iter()
        .zip(&types)
        .zip(&known)
        .map(|((tensor, ty), known)| {
            let (constant, ty) = (tensor.as_ref()?, ty.as_ref()?);
            Some(Operand { ty, known: known.as_deref(), constant: Some(constant) })
        })
        .collect();
    let inferred = ops::infer(op, attrs, &views).ok()?;
    let types: Vec<_> = inferred.into_iter().map(|i| i.ty).collect();
    mlcc_interpreter::graph::evaluate(op, attrs, operands, &types).ok()
}
