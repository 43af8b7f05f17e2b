//! The heap of a context: memory for tensors whose sizes are known only when the shapes are.
//!
//! All pieces of a run lie in one region, as large as the last runs needed. So a run of known sizes asks the system for
//! no memory and touches pages that exist already. A piece that finds no room, as in the first run, gets a block of its
//! own, and the region grows by as much before the next run.

use crate::Error;
use crate::memory::{ALIGNMENT, Block, physical_memory};
use std::collections::BTreeMap;

/// Statistics of a context's heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapStatistics {
    /// Blocks that came from the system.
    pub allocated: u64,
    /// Pieces of memory that was there before.
    pub reused: u64,
    /// Bytes in use now.
    pub live_bytes: u64,
    /// The most bytes that were in use at once.
    pub peak_bytes: u64,
}

/// Memory of one tensor. It goes back by [`Heap::release`]; if it is dropped, its bytes stay taken.
pub(crate) struct Piece {
    address: *mut u8,
    bytes: u64,
    place: Place,
}

enum Place {
    /// In the region, from this byte on.
    Region(u64),
    /// In a block of its own, which ends with it.
    Own(#[expect(dead_code, reason = "held for its memory")] Block),
}

impl Piece {
    pub(crate) fn as_mut_ptr(&self) -> *mut u8 {
        self.address
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Heap {
    region: Option<Block>,
    /// The free parts of the region: begins with lengths. No two of them touch.
    holes: BTreeMap<u64, u64>,
    /// Pieces that are handed out.
    pieces: usize,
    /// Bytes that lie in blocks of their own now.
    outside: u64,
    /// The length that the region should have.
    wanted: u64,
    statistics: HeapStatistics,
}

impl Heap {
    /// Memory for `what`, which error messages name.
    pub(crate) fn allocate(&mut self, bytes: u64, what: &str) -> Result<Piece, Error> {
        let asked = bytes;
        let out_of_memory =
            |available| Error::OutOfMemory { what: what.to_string(), bytes: asked, available };
        let bytes = bytes.max(1).checked_next_multiple_of(ALIGNMENT as u64);
        let bytes = bytes.ok_or_else(|| out_of_memory(physical_memory()))?;
        let live = self.statistics.live_bytes.saturating_add(bytes);
        if live > physical_memory() {
            return Err(out_of_memory(physical_memory().saturating_sub(self.statistics.live_bytes)));
        }
        self.grow();
        let piece = match self.take(bytes) {
            Some(piece) => {
                self.statistics.reused += 1;
                piece
            }
            None => {
                let block = Block::new(bytes, what)?;
                self.statistics.allocated += 1;
                self.outside += bytes;
                self.wanted = self.wanted.max(self.region_bytes().saturating_add(self.outside));
                Piece { address: block.as_mut_ptr(), bytes, place: Place::Own(block) }
            }
        };
        self.pieces += 1;
        self.statistics.live_bytes = live;
        self.statistics.peak_bytes = self.statistics.peak_bytes.max(live);
        Ok(piece)
    }

    pub(crate) fn release(&mut self, piece: Piece) {
        self.pieces -= 1;
        self.statistics.live_bytes -= piece.bytes;
        match piece.place {
            Place::Region(begin) => self.give_back(begin, piece.bytes),
            Place::Own(_) => self.outside -= piece.bytes,
        }
    }

    pub(crate) fn statistics(&self) -> HeapStatistics {
        self.statistics
    }

    fn region_bytes(&self) -> u64 {
        self.region.as_ref().map_or(0, |region| region.len() as u64)
    }

    /// Makes the region as long as was needed, if no piece of it is in use. If the system does not give that much at
    /// once, pieces keep getting blocks of their own.
    fn grow(&mut self) {
        if self.pieces > 0 || self.wanted <= self.region_bytes() {
            return;
        }
        // The old region is released first, so that the two never exist at once.
        (self.region, self.holes) = (None, BTreeMap::new());
        if let Ok(region) = Block::new(rounded(self.wanted), "the heap") {
            self.statistics.allocated += 1;
            self.holes = BTreeMap::from([(0, region.len() as u64)]);
            self.region = Some(region);
        }
    }

    /// A piece of the smallest hole that is large enough.
    fn take(&mut self, bytes: u64) -> Option<Piece> {
        let fitting = self.holes.iter().filter(|(_, len)| **len >= bytes);
        let (&begin, &len) = fitting.min_by_key(|(begin, len)| (**len, **begin))?;
        self.holes.remove(&begin);
        if len > bytes {
            self.holes.insert(begin + bytes, len - bytes);
        }
        let address = self.region.as_ref()?.as_mut_ptr().wrapping_add(begin as usize);
        Some(Piece { address, bytes, place: Place::Region(begin) })
    }

    /// Makes a piece a hole again, together with the holes that it touches.
    fn give_back(&mut self, mut begin: u64, mut len: u64) {
        if let Some(behind) = self.holes.remove(&(begin + len)) {
            len += behind;
        }
        if let Some((&before, &before_len)) = self.holes.range(..begin).next_back()
            && before + before_len == begin
        {
            (begin, len) = (before, before_len + len);
        }
        self.holes.insert(begin, len);
    }
}

/// Rounds sizes up in steps of a quarter of their power of two. Shapes that grow a little from run to run, such as
/// those of a decoder's cache, then seldom need another region.
fn rounded(bytes: u64) -> u64 {
    let bytes = bytes.max(ALIGNMENT as u64);
    let step = (1u64 << (63 - bytes.leading_zeros())) / 4;
    bytes.checked_next_multiple_of(step.max(ALIGNMENT as u64)).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Allocates and fills pieces in the order of `events`. An event is a size, or the position of the event whose
    /// piece ends.
    fn run(heap: &mut Heap, events: &[Result<u64, usize>]) {
        let mut pieces: Vec<Option<Piece>> = Vec::new();
        for event in events {
            let piece = match *event {
                Ok(bytes) => {
                    let piece = heap.allocate(bytes, "a piece").expect("memory");
                    assert_eq!(piece.as_mut_ptr() as usize % ALIGNMENT, 0);
                    // SAFETY: the piece has that many bytes.
                    unsafe { piece.as_mut_ptr().write_bytes(pieces.len() as u8, bytes as usize) };
                    Some(piece)
                }
                Err(ended) => {
                    heap.release(pieces[ended].take().expect("alive"));
                    None
                }
            };
            pieces.push(piece);
            for (i, piece) in pieces.iter().enumerate() {
                let (Some(piece), Some(Ok(bytes))) = (piece, events.get(i)) else { continue };
                // SAFETY: the piece is alive, has that many bytes, and was filled above.
                let bytes = unsafe { std::slice::from_raw_parts(piece.as_mut_ptr(), *bytes as usize) };
                assert!(bytes.iter().all(|byte| *byte == i as u8), "piece {i} was overwritten");
            }
        }
        pieces.into_iter().flatten().for_each(|piece| heap.release(piece));
    }

    fn random_events(seed: u64) -> Vec<Result<u64, usize>> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let (mut events, mut alive) = (Vec::new(), Vec::new());
        for i in 0..60 {
            if alive.len() > 2 && random(2) == 0 {
                events.push(Err(alive.swap_remove(random(alive.len()))));
            } else {
                alive.push(i);
                events.push(Ok(random(5000) as u64));
            }
        }
        events
    }

    #[test]
    fn pieces_do_not_overlap_and_runs_settle() {
        for seed in 0..50 {
            let (mut heap, events) = (Heap::default(), random_events(seed));
            let mut allocated = 0;
            for number in 0..8 {
                run(&mut heap, &events);
                let now = heap.statistics();
                assert_eq!(now.live_bytes, 0);
                assert!(number < 5 || now.allocated == allocated, "seed {seed}, run {number}: {now:?}");
                allocated = now.allocated;
                assert!(heap.holes.len() <= 1, "holes that touch are one: {:?}", heap.holes);
            }
            assert!(heap.region_bytes() < 3 * heap.statistics().peak_bytes, "{:?}", heap.statistics());
        }
    }

    #[test]
    fn a_region_is_there_as_soon_as_nothing_is_in_use() {
        let mut heap = Heap::default();
        // A large piece that is gone before two small ones come, then one between.
        let events = [Ok(1_000_000), Err(0), Ok(300_000), Ok(320_000), Err(2), Err(3), Ok(450_000), Err(6)];
        let expected = [2, 2, 2, 2];
        for (number, expected) in expected.into_iter().enumerate() {
            run(&mut heap, &events);
            assert_eq!(heap.statistics().allocated, expected, "run {number}");
        }
        assert_eq!(heap.statistics().peak_bytes, 1_000_000u64.next_multiple_of(64));
        assert!(heap.region_bytes() <= 1_250_000);
    }

    #[test]
    fn sizes_that_grow_a_little_keep_their_region() {
        let mut heap = Heap::default();
        for step in 0..1000u64 {
            run(&mut heap, &[Ok(100_000 + 100 * step), Ok(5000)]);
        }
        assert!(heap.statistics().allocated < 40, "{:?}", heap.statistics());
    }

    #[test]
    fn too_much_is_an_error() {
        for bytes in [physical_memory() + 1, u64::MAX] {
            let mut heap = Heap::default();
            let _piece = heap.allocate(100, "a piece").expect("memory");
            assert!(matches!(heap.allocate(bytes, "test"), Err(Error::OutOfMemory { .. })));
        }
    }

    #[test]
    fn rounding_adds_at_most_a_quarter() {
        for bytes in (0..100_000).step_by(7) {
            let up = rounded(bytes);
            assert!(up >= bytes && up <= 64.max(bytes + bytes / 4 + 64), "{bytes} {up}");
            assert_eq!(rounded(up), up);
        }
    }
}
