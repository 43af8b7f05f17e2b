//! Facts about the model that an IR came from, as attributes of the operation that ends the IR.
//!
//! ```text
//! "graph.return"(%0) <{...}> {graph.last_pass = "rewrite", graph.file_order_peak = 4096 : i64, graph.weight_growth = 640 : i64,
//!                             graph.defaults = [[1, dense<0.5> : tensor<f32>]]} : ...
//! ```

use crate::{
    ffi::{Attribute, Op},
    graph::tensor_data,
    read::{Weights, error, int, name, number, optional, tensor},
    text::{list, quote},
};
use mlcc_ir::{diagnostic::Result, origin::Origin};
use std::collections::BTreeMap;

/// The attributes. Their names begin with the dialect's name.
pub(crate) fn attributes(origin: &Origin, dialect: &str) -> Result<Vec<String>> {
    let mut all = Vec::new();
    if let Some(pass) = &origin.last_pass {
        all.push(format!("{dialect}.last_pass = {}", quote(pass)));
    }
    if let Some(bytes) = origin.file_order_peak_bytes {
        all.push(format!("{dialect}.file_order_peak = {bytes} : i64"));
    }
    if origin.weight_growth != 0 {
        all.push(format!("{dialect}.weight_growth = {} : i64", origin.weight_growth));
    }
    if !origin.defaults.is_empty() {
        let one = |(input, value): (&usize, &mlcc_ir::tensor::Tensor)| {
            Ok(format!("[{input} : i64, {}]", tensor_data(value, &value.ty())?))
        };
        let defaults = origin.defaults.iter().map(one).collect::<Result<Vec<String>>>()?;
        all.push(format!("{dialect}.defaults = [{}]", list(defaults)));
    }
    Ok(all)
}

/// Reads the attributes back.
pub(crate) fn read(end: Op<'_>, dialect: &str, weights: Weights<'_>) -> Result<Origin> {
    let named = |name: &str| format!("{dialect}.{name}");
    let rows = optional(end, &named("defaults"), Attribute::array)?.unwrap_or_default();
    let mut defaults = BTreeMap::new();
    for row in rows {
        let pair = row.array().unwrap_or_default();
        let [input, value] = pair[..] else {
            return Err(error(end, "a default is an input's number and value"));
        };
        let input = number(input).ok_or_else(|| error(end, "a default begins with an input's number"))?;
        let (value, _) = tensor(value, weights).map_err(|e| error(end, e))?;
        defaults.insert(input, value);
    }
    Ok(Origin {
        last_pass: optional(end, &named("last_pass"), name)?,
        file_order_peak_bytes: optional(end, &named("file_order_peak"), int)?,
        weight_growth: optional(end, &named("weight_growth"), int)?.unwrap_or_default(),
        defaults,
    })
}
