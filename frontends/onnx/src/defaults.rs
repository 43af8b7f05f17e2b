//! Inputs with a default, that is, initializers that the graph lists among its inputs.
//!
//! Up to IR version 3 a graph had to list all its weights in this way, and the list has no meaning. From version 4 on a
//! caller may give such an input another value. Some exporters still list every weight, out of habit. This would
//! prevent everything that a compiler does with constants. A default whose value import needs (the shape of a
//! `Reshape`) cannot change without another compilation. Both kinds stay constants.

use crate::proto::{GraphProto, TensorProto};
use std::collections::HashSet;

/// If all initializers are listed among the inputs and hold more bytes than this, they are weights.
const HABIT_BYTES: usize = 64 << 10;
/// The first version of the format in which inputs have defaults.
const FIRST_VERSION: i64 = 4;

/// Sets of inputs with a default to try, by name. The first set with which import succeeds is the right one; the last
/// set is empty.
pub(crate) fn candidates(graph: &GraphProto, ir_version: i64) -> Vec<HashSet<&str>> {
    let inputs: HashSet<&str> = graph.input.iter().map(|i| i.name.as_str()).collect();
    let listed = |t: &&TensorProto| inputs.contains(t.name.as_str());
    let given: Vec<&TensorProto> = graph.initializer.iter().filter(listed).collect();
    let bytes: usize = given.iter().map(|t| size(t)).fold(0, usize::saturating_add);
    let habit = given.len() == graph.initializer.len() && bytes > HABIT_BYTES;
    let mut sets = Vec::new();
    if ir_version >= FIRST_VERSION && !habit && !given.is_empty() {
        let all: HashSet<&str> = given.iter().map(|t| t.name.as_str()).collect();
        // Values that decide shapes are integers, so floats are not among them.
        let is_float = |t: &&&TensorProto| matches!(t.data_type, 1 | 10 | 11 | 16);
        let floats: HashSet<&str> = given.iter().filter(is_float).map(|t| t.name.as_str()).collect();
        let differ = floats.len() != all.len() && !floats.is_empty();
        sets.push(all);
        if differ {
            sets.push(floats);
        }
    }
    sets.push(HashSet::new());
    sets
}

/// Approximate number of bytes of a tensor.
fn size(tensor: &TensorProto) -> usize {
    let elements = tensor.dims.iter().map(|&d| usize::try_from(d).unwrap_or(0));
    elements.fold(4, usize::saturating_mul)
}
