//! The arena plan: which intermediate tensors share memory.
//!
//! Every intermediate of static size has a lifetime, from the first step that touches it to the last.
//! Placement is greedy: one tensor after the other goes to a gap in which it overlaps no tensor alive at the
//! same time. Several orders are tried (the largest first, the widest and longest first, by the fullest
//! step), with the lowest gap and with the tightest, until an arena is no larger than the tensors alive at
//! the same time. If none is, the tensor on top of the best arena moves to the front of the order, again and
//! again, as long as that may help. After Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
//! Inference" (2020).

mod graph_peak;

pub use graph_peak::graph_peak;

use mlcc_ir::program::{Program, Step, Storage, TensorId};

/// Alignment of every tensor in the arena, in bytes: a cache line, a full vector.
pub const ALIGNMENT: i64 = 64;

/// Where the intermediates live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArenaPlan {
    /// Byte offset of each tensor in the arena; `None` for tensors that live elsewhere (inputs,
    /// outputs, constants, views, symbolic sizes).
    pub offsets: Vec<Option<i64>>,
    /// Size of the arena in bytes.
    pub bytes: i64,
    /// Greatest sum of the sizes of tensors alive at the same time, in bytes: no plan for this order
    /// of steps can be smaller.
    pub peak_live_bytes: i64,
    /// First and last top-level step that touches each tensor; touching a view touches its source.
    pub lifetimes: Vec<Option<(usize, usize)>>,
}

/// Plans the arena of a program.
#[must_use]
pub fn decide(program: &Program) -> ArenaPlan {
    let lifetimes = lifetimes(program);
    let mut sized: Vec<Sized> = Vec::new();
    for (id, tensor) in program.tensors.iter().enumerate() {
        if tensor.storage == Storage::Intermediate
            && let Some(bytes) = tensor.ty.bytes().as_const()
            && let Some(life) = lifetimes[id]
        {
            let bytes = ((bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT).max(ALIGNMENT);
            sized.push(Sized { id, bytes, life });
        }
    }
    let live = |step: usize| {
        sized.iter().filter(|t| (t.life.0..=t.life.1).contains(&step)).map(|t| t.bytes).sum::<i64>()
    };
    let peak_live_bytes = (0..program.steps.len()).map(live).max().unwrap_or(0);
    let mut plan =
        ArenaPlan { offsets: vec![None; program.tensors.len()], bytes: 0, peak_live_bytes, lifetimes };
    let fullness: Vec<i64> = (0..program.steps.len()).map(live).collect();
    let fullest = |(first, last): (usize, usize)| fullness[first..=last].iter().copied().max().unwrap_or(0);
    type Key<'a> = &'a dyn Fn(&Sized) -> (i64, i64);
    let orders: [Key<'_>; 4] = [
        &|t| (-t.bytes, 0),
        &|t| (-t.bytes.saturating_mul((t.life.1 - t.life.0 + 1) as i64), -t.bytes),
        &|t| (-fullest(t.life), -t.bytes),
        &|t| (t.life.0 as i64, -t.bytes),
    ];
    let mut best: Option<Placement> = None;
    for order in orders {
        let mut sorted = sized.clone();
        sorted.sort_by_key(|t| (order(t), t.id));
        for tightest in [false, true] {
            let placement = lower(&sorted, tightest, peak_live_bytes);
            if best.as_ref().is_none_or(|best| placement.bytes < best.bytes) {
                best = Some(placement);
            }
        }
        if best.as_ref().is_some_and(|best| best.bytes <= peak_live_bytes) {
            break;
        }
    }
    if let Some(best) = best {
        plan.bytes = best.bytes;
        best.offsets.into_iter().for_each(|(id, offset)| plan.offsets[id] = Some(offset));
    }
    plan
}

/// Approximate number of operations for improving one order: a few milliseconds.
const EFFORT: usize = 4_000_000;
/// Most rounds of improving one order.
const ROUNDS: usize = 300;

/// The best placement found from an order by moving the topmost tensor to its front.
fn lower(order: &[Sized], tightest: bool, bound: i64) -> Placement {
    let mut order = order.to_vec();
    let mut best = place(&order, tightest);
    let mut top = best.top;
    for _ in 0..ROUNDS.min(EFFORT / (order.len() * order.len()).max(1)) {
        let Some(at) = top.filter(|_| best.bytes > bound) else { break };
        order[..=at].rotate_right(1);
        let placement = place(&order, tightest);
        top = placement.top;
        if placement.bytes < best.bytes {
            best = placement;
        }
    }
    best
}

/// A tensor to place, with its aligned size.
#[derive(Clone, Copy)]
struct Sized {
    id: TensorId,
    bytes: i64,
    life: (usize, usize),
}

struct Placement {
    offsets: Vec<(TensorId, i64)>,
    bytes: i64,
    /// Position in the order of the tensor that ends where the arena ends.
    top: Option<usize>,
}

/// Places the tensors in their order, each in the lowest gap that is wide enough, or in the tightest.
fn place(tensors: &[Sized], tightest: bool) -> Placement {
    let mut placed: Vec<(i64, Sized)> = Vec::new();
    for tensor in tensors {
        let together = |other: &Sized| other.life.0 <= tensor.life.1 && tensor.life.0 <= other.life.1;
        let mut neighbours: Vec<(i64, i64)> = placed
            .iter()
            .filter(|(_, other)| together(other))
            .map(|(at, other)| (*at, other.bytes))
            .collect();
        neighbours.sort_unstable();
        let mut gap: Option<(i64, i64)> = None;
        let mut end = 0;
        for (at, bytes) in neighbours {
            let room = at - end;
            if room >= tensor.bytes && gap.is_none_or(|(least, _)| tightest && room < least) {
                gap = Some((room, end));
            }
            end = end.max(at + bytes);
        }
        placed.push((gap.map_or(end, |(_, at)| at), *tensor));
    }
    let ends = placed.iter().enumerate().map(|(i, (at, tensor))| (at + tensor.bytes, i));
    let (bytes, top) = ends.max().map_or((0, None), |(end, i)| (end, Some(i)));
    Placement { top, offsets: placed.into_iter().map(|(at, tensor)| (tensor.id, at)).collect(), bytes }
}

fn lifetimes(program: &Program) -> Vec<Option<(usize, usize)>> {
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; program.tensors.len()];
    for (at, step) in program.steps.iter().enumerate() {
        touched(step, &mut |id| {
            let (root, _) = program.resolve_view(id);
            let life = lives[root].get_or_insert((at, at));
            life.1 = at;
        });
    }
    let end = program.steps.len().saturating_sub(1);
    for (_, output) in &program.outputs {
        let (root, _) = program.resolve_view(*output);
        if let Some(life) = &mut lives[root] {
            life.1 = end;
        }
    }
    lives
}

/// Calls `visit` for every tensor that a step touches, in nested blocks too.
pub fn touched(step: &Step, visit: &mut dyn FnMut(TensorId)) {
    step.visit(&mut |step| step.tensors().for_each(&mut *visit));
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlcc_ir::{dtype::DType, types::TensorType};

    #[test]
    fn tensors_alive_together_never_overlap_and_others_share() {
        let mut state = 1u64;
        let mut next = move |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % n
        };
        for _ in 0..50 {
            let mut program = Program::default();
            for i in 0..20 {
                let ty = TensorType::of(DType::F32, &[1 + next(500) as i64]);
                program.add_tensor(format!("t{i}"), ty, Storage::Intermediate);
            }
            for _ in 0..30 {
                let (target, source) = (next(20) as usize, next(20) as usize);
                program.steps.push(Step::Copy { target, source });
            }
            let plan = decide(&program);
            for a in 0..20 {
                for b in 0..a {
                    let (Some(x), Some(y)) = (plan.offsets[a], plan.offsets[b]) else { continue };
                    let (p, q) = (plan.lifetimes[a].unwrap(), plan.lifetimes[b].unwrap());
                    let size = |t: usize| program.tensors[t].ty.bytes().as_const().unwrap();
                    let together = p.0 <= q.1 && q.0 <= p.1;
                    assert!(!together || x + size(a) <= y || y + size(b) <= x);
                    assert!(x % ALIGNMENT == 0);
                }
            }
            assert!(plan.bytes >= plan.peak_live_bytes);
        }
    }
}
