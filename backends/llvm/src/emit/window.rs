//! Vectors whose lanes lie in a window of memory no wider than a vector, in another order or several times: for
//! example, neighbours are exchanged, or each element occurs twice. The window is loaded, and its lanes are shuffled,
//! in place of a gather.

use super::{
    Binding, Emitter,
    builder::{Kind, Val},
    memory::memory_kind,
    transpose::shuffle,
};
use mlcc_ir::{
    diagnostic::Result,
    expr::{Expr, Interval},
    nest::{Space, names::Part},
};

/// The window in which lanes lie: its first element, its size, and each lane's place in it.
struct Window {
    first: i64,
    size: u32,
    places: Vec<usize>,
}

impl Window {
    /// The window of an offset, for vectors of `lanes` that begin at multiples of `lanes`. Its size must be a power of
    /// two, so that one load takes the window and nothing beside it.
    fn of(offset: &Expr, axis: &str, lanes: u32) -> Option<Window> {
        let distances = offset.distances_in_block(axis, lanes)?;
        let (first, last) = (*distances.iter().min()?, *distances.iter().max()?);
        let size = u32::try_from(last - first + 1).ok().filter(|s| *s <= lanes && s.is_power_of_two())?;
        let places = distances.iter().map(|d| (d - first) as usize).collect();
        (size > 1).then_some(Window { first, size, places })
    }
}

impl<'c> Emitter<'_, 'c> {
    /// Reads whole vectors at a resolved offset whose lanes lie in a window, in their form in memory.
    pub(super) fn read_window(&mut self, buffer: usize, offset: &Expr) -> Result<Option<Val<'c>>> {
        let Some(step) = self.vector.clone() else { return Ok(None) };
        let storage = &self.storage[buffer];
        let (pointer, kind) = (storage.pointer, memory_kind(storage.dtype));
        if step.mask.is_some() || storage.space == Space::Register || offset.split_axis(&step.axis).is_some()
        {
            return Ok(None);
        }
        let Some(window) = Window::of(offset, &step.axis, step.lanes) else { return Ok(None) };
        // The number of the vector takes the place of the axis.
        let number = Part::Vector.of(&step.axis);
        let lanes = Expr::from(i64::from(step.lanes));
        let start =
            offset.replace_axis(&step.axis, &(Expr::axis(&number) * lanes)) + Expr::from(window.first);
        let count = self.b.int(Kind::I64, 1, i64::from(step.lanes));
        let vector = self.b.int_op("arith.divui", step.base, count);
        let range = Interval { low: Some(0), high: None };
        let start = self.with_axis((&number, Binding::Scalar(vector), range), |e| e.scalar(&start))?;
        let at = self.b.address(pointer, start, kind, false);
        let whole = self.b.load(at, kind, window.size);
        Ok(Some(shuffle(self.b, whole, whole, window.places.into_iter())))
    }
}
