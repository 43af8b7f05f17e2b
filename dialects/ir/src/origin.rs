//! What levels hand down about the model that they came from, since it cannot be seen in themselves.

use crate::{Name, tensor::Tensor};
use std::collections::BTreeMap;

/// About the model as it was imported. It goes with the IR through all levels and their dumps, so that a compilation
/// that is resumed from a dump ends as the one that wrote it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// The pass of the level that ran last: a compilation goes on behind it.
    pub last_pass: Option<Name>,
    /// Most bytes of intermediates that are alive at once when the operators run in the order of the file.
    pub file_order_peak_bytes: Option<i64>,
    /// Bytes by which rewrites have made constants grow so far; negative where they shrank.
    pub weight_growth: i64,
    /// Values that inputs have where a caller gives none, by the input's number.
    pub defaults: BTreeMap<usize, Tensor>,
}
