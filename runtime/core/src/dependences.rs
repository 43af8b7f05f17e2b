//! Finds the launches of a region that must wait for those before them.
//!
//! The decision is based on the memory that launches touch, so tensors that share a place in the
//! arena are dependences like any other.

use mlcc_format::{BufferId, Launch, Place, Plan};

/// Memory that a launch touches: bytes `begin..end` of a space.
#[derive(Clone, Copy)]
struct Memory {
    space: Space,
    begin: i128,
    end: i128,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    Arena,
    /// A buffer with memory of its own.
    Buffer(BufferId),
}

/// For each launch of a region, whether it must wait until all launches before it have ended. If
/// not, the launches since the last waiting one need not have ended.
pub(crate) fn waits(plan: &Plan, launches: &[Launch]) -> Vec<bool> {
    // The memory that was read and written by the launches since the last waiting one.
    let (mut read, mut written): (Vec<Memory>, Vec<Memory>) = (Vec::new(), Vec::new());
    launches
        .iter()
        .map(|launch| {
            let inputs = (launch.inputs as usize).min(launch.buffers.len());
            let touched = |ids: &[BufferId]| ids.iter().filter_map(|id| memory(plan, *id)).collect();
            let (reads, writes): (Vec<_>, Vec<_>) =
                (touched(&launch.buffers[..inputs]), touched(&launch.buffers[inputs..]));
            let waits = meet(&reads, &written) || meet(&writes, &written) || meet(&writes, &read);
            if waits {
                read.clear();
                written.clear();
            }
            read.extend(reads);
            written.extend(writes);
            waits
        })
        .collect()
}

fn meet(a: &[Memory], b: &[Memory]) -> bool {
    a.iter().any(|a| b.iter().any(|b| a.space == b.space && a.begin < b.end && b.begin < a.end))
}

/// The memory of a buffer; none for constants, because they are never written.
fn memory(plan: &Plan, id: BufferId) -> Option<Memory> {
    let buffer = &plan.buffers[id as usize];
    match &buffer.place {
        Place::Constant { .. } => None,
        Place::Arena { offset, reserved } => {
            let (begin, len) = (i128::from(*offset), i128::from(*reserved));
            Some(Memory { space: Space::Arena, begin, end: begin + len })
        }
        Place::View { of, byte_offset } => {
            let base = memory(plan, *of)?;
            // A view of unknown size or place may be all of its base.
            Some(match (byte_offset.as_const(), buffer.bytes.as_const()) {
                (Some(offset), Some(bytes)) => {
                    let begin = base.begin + i128::from(offset);
                    Memory { begin, end: begin + i128::from(bytes), ..base }
                }
                _ => base,
            })
        }
        Place::Input(_) | Place::Output(_) | Place::Heap => {
            Some(Memory { space: Space::Buffer(id), begin: 0, end: i128::MAX })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlcc_format::{BufferDef, DType, Expr};

    fn plan(places: Vec<Place>) -> Plan {
        let buffer = |place| BufferDef {
            name: String::new(),
            dtype: DType::F32,
            dims: vec![Expr::Const(16)],
            bytes: Expr::Const(64),
            place,
        };
        Plan { buffers: places.into_iter().map(buffer).collect(), ..Plan::default() }
    }

    fn launch(inputs: &[BufferId], outputs: &[BufferId]) -> Launch {
        let zero = || Expr::Const(0);
        Launch {
            kernel: 0,
            buffers: [inputs, outputs].concat(),
            inputs: inputs.len() as u32,
            sizes: Vec::new(),
            tiles: zero(),
            scratch_bytes: zero(),
            flops: zero(),
            bytes: zero(),
        }
    }

    #[test]
    fn launches_wait_for_what_they_read_and_for_the_place_they_write() {
        let arena = |offset| Place::Arena { offset, reserved: 64 };
        let view = |offset| Place::View { of: 4, byte_offset: Expr::Const(offset) };
        let places =
            vec![Place::Input(0), arena(0), arena(64), arena(0), Place::Output(0), view(0), view(64)];
        let plan = plan(places);
        // Two launches read the same buffer, and one reads both results.
        let region = [launch(&[0], &[1]), launch(&[0], &[2]), launch(&[1, 2], &[4])];
        assert_eq!(waits(&plan, &region), [false, false, true]);
        // The third launch writes to the memory of the first one's result, which the second reads.
        let region = [launch(&[0], &[1]), launch(&[1], &[2]), launch(&[0], &[3])];
        assert_eq!(waits(&plan, &region), [false, true, true]);
        // Halves of one buffer, then the same half again, then the whole.
        let region = [launch(&[0], &[5]), launch(&[0], &[6]), launch(&[0], &[6]), launch(&[4], &[1])];
        assert_eq!(waits(&plan, &region), [false, false, true, true]);
    }
}
