//! Peak memory of a graph whose nodes run one by one in their order. The plan of the resulting program is
//! measured against it.

use mlcc_ir::{
    graph::{Def, Graph, ValueId},
    ops::{self, OpTrait},
};

/// Greatest sum of the sizes of results alive at the same time, in bytes. Each result lives from its node
/// until its last use. Inputs, outputs and constants lie elsewhere; a reshaped value is the same memory.
/// `None` if a size is symbolic.
#[must_use]
pub fn graph_peak(graph: &Graph) -> Option<i64> {
    let mut same: Vec<usize> = (0..graph.values.len()).collect();
    let mut life: Vec<Option<(usize, usize)>> = vec![None; graph.values.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        for &ValueId(id) in node.operands.iter().flatten() {
            if let Some(life) = &mut life[same[id as usize]] {
                life.1 = at;
            }
        }
        for &ValueId(id) in &node.results {
            let source = node.operands.first().copied().flatten();
            match source {
                Some(ValueId(source)) if ops::is(&node.op, OpTrait::View) => {
                    same[id as usize] = same[source as usize]
                }
                _ => life[id as usize] = Some((at, at)),
            }
        }
    }
    for (_, ValueId(id)) in &graph.outputs {
        life[same[*id as usize]] = None;
    }
    let mut change = vec![0i64; graph.nodes.len() + 1];
    for (value, life) in graph.values.iter().zip(&life) {
        let Some((first, last)) = life else { continue };
        if matches!(value.def, Def::Constant(_)) {
            continue;
        }
        let bytes = value.ty.bytes().as_const()?;
        change[*first] += bytes;
        change[last + 1] -= bytes;
    }
    let live = change.iter().scan(0i64, |live, change| {
        *live += change;
        Some(*live)
    });
    live.max()
}
