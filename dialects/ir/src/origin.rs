//! Facts about the model that levels hand down, because the levels themselves do not show them.

use crate::{Name, tensor::Tensor};
use std::collections::BTreeMap;

/// About the model as it was imported. It stays with the IR through all levels and their dumps, so that a
/// compilation resumed from a dump ends like the one that wrote the dump.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// The pass of the level that ran last; a resumed compilation goes on after it.
    pub last_pass: Option<Name>,
    /// Most bytes of intermediates that are alive at once when the operators run in the order of the file.
    pub file_order_peak_bytes: Option<i64>,
    /// Bytes by which rewrites have made constants grow so far; negative where they shrank.
    pub weight_growth: i64,
    /// Default values of inputs, by the input's number. They are used if a caller gives no value.
    pub defaults: BTreeMap<usize, Tensor>,
}
