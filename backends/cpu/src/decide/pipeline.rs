//! The choice of reads that begin early: operands that lie beyond the second cache and whose rows several
//! passes use. The first pass brings a row from memory, and the others leave memory idle. The last pass that
//! reads the row fetches the next row meanwhile, if it computes long enough: a function of every element.
//! Passes of a few simple operations are over before memory has answered, and hardware prefetching is all
//! that helps them.

use super::{operand::is_function, plan::Plan};
use mlcc_ir::{
    Name,
    kernel::Role,
    nest::{Buffer, LoopNest, Mapping, Node, Store},
    scalar::Inst,
};
use mlcc_machine::Machine;
use mlcc_passes::schedule::Step;

/// Fewest passes over a row that leave memory idle, so that fetching pays.
const PASSES: usize = 2;

/// Pipelines the operands of a kernel over rows.
pub(super) fn rows(plan: &mut Plan, machine: &Machine) {
    for read in reads(&plan.nest) {
        let bytes = bytes(&plan.nest.buffers[read.buffer]);
        let beyond = bytes.is_some_and(|b| b > i64::try_from(machine.l2_bytes).unwrap_or(i64::MAX));
        if !beyond || read.passes < PASSES || !read.long {
            continue;
        }
        let buffer = plan.nest.buffers[read.buffer].name.clone();
        plan.attempt(Step::Pipeline { buffer, axis: read.row, ahead: 1, with: read.last });
    }
}

fn bytes(buffer: &Buffer) -> Option<i64> {
    buffer.dims.iter().try_fold(buffer.dtype.size() as i64, |n, d| n.checked_mul(d.as_const()?))
}

/// How an operand is read inside a loop over rows.
struct Read {
    buffer: usize,
    /// The loop around the passes.
    row: Name,
    /// Vector loops that read it.
    passes: usize,
    /// The last of these loops.
    last: Name,
    /// Whether the last loop computes a function.
    long: bool,
}

/// The inputs that vector loops right inside a loop read.
fn reads(nest: &LoopNest) -> Vec<Read> {
    let mut found: Vec<Read> = Vec::new();
    nest.visit(&mut |node| {
        let Node::Loop(row) = node else { return };
        let vectors = row.body.iter().filter_map(|node| match node {
            Node::Loop(l) if matches!(l.mapping, Mapping::Vector(_)) => Some(l),
            _ => None,
        });
        for l in vectors {
            let long = computes_function(&l.body);
            for buffer in inputs_read(nest, &l.body) {
                match found.iter_mut().find(|r| r.buffer == buffer && r.row == row.axis) {
                    Some(read) => {
                        (read.passes, read.last, read.long) = (read.passes + 1, l.axis.clone(), long);
                    }
                    None => {
                        let (row, last) = (row.axis.clone(), l.axis.clone());
                        found.push(Read { buffer, row, passes: 1, last, long });
                    }
                }
            }
        }
    });
    found
}

fn computes_function(nodes: &[Node]) -> bool {
    let function = |s: &Store| s.body.insts.iter().any(|(inst, _)| is_function(inst));
    nodes.iter().any(|node| matches!(node, Node::Store(s) if function(s)))
}

/// The inputs that stores read, ascending.
fn inputs_read(nest: &LoopNest, nodes: &[Node]) -> Vec<usize> {
    let mut inputs: Vec<usize> = Vec::new();
    for node in nodes {
        let Node::Store(store) = node else { continue };
        inputs.extend(store.body.insts.iter().filter_map(|(inst, _)| match inst {
            Inst::Read { tensor, .. } => Some(*tensor).filter(|t| nest.buffers[*t].role == Role::Input),
            _ => None,
        }));
    }
    inputs.sort_unstable();
    inputs.dedup();
    inputs
}
