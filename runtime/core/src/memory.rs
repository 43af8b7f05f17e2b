//! Memory that belongs to the runtime: arenas, scratch, owned tensors and the counted heap.

use crate::Error;
use memmap2::MmapMut;
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ptr::NonNull;

/// Every block begins at a cache line, which is the widest vector too.
const ALIGNMENT: usize = 64;
/// From this size on, blocks are mappings that ask for huge pages.
const HUGE: usize = 2 << 20;
/// Bytes on both sides of a mapped block that may be read. Lanes that a masked access leaves out may lie
/// there; processors are slow where such pages do not exist, and emulators stop.
const MARGIN: usize = 64 << 10;

/// A block of memory, zero at first.
pub(crate) struct Block {
    address: NonNull<u8>,
    len: usize,
    /// The mapping that it lies in, or none where it is the allocator's.
    map: Option<MmapMut>,
}

// SAFETY: a block owns its memory as a `Box<[u8]>` does.
unsafe impl Send for Block {}
// SAFETY: through a shared reference it only tells its address and length.
unsafe impl Sync for Block {}

impl Block {
    /// Memory for `what`, which error messages name.
    pub(crate) fn new(len: u64, what: &str) -> Result<Block, Error> {
        let out_of_memory =
            || Error::OutOfMemory { what: what.to_string(), bytes: len, available: physical_memory() };
        if len > physical_memory() {
            return Err(out_of_memory());
        }
        let len = len as usize;
        if len >= HUGE {
            // Huge pages begin at multiples of their size, which mappings as such do not; the pages
            // around the block are never touched and cost nothing.
            let mut map = MmapMut::map_anon(len + HUGE + 2 * MARGIN).map_err(|_| out_of_memory())?;
            #[cfg(target_os = "linux")]
            {
                // Only advice: where the system has no huge pages, small ones serve.
                let _ = map.advise(memmap2::Advice::HugePage);
            }
            let skip = MARGIN + map[MARGIN..].as_ptr().align_offset(HUGE);
            let address = NonNull::from(&mut map[skip..]).cast();
            return Ok(Block { address, len, map: Some(map) });
        }
        let layout = Block::layout(len).ok_or_else(out_of_memory)?;
        // SAFETY: the layout's size is not zero.
        let address = unsafe { std::alloc::alloc_zeroed(layout) };
        Ok(Block { address: NonNull::new(address).ok_or_else(out_of_memory)?, len, map: None })
    }

    fn layout(len: usize) -> Option<Layout> {
        Layout::from_size_align(len.max(1), ALIGNMENT).ok()
    }

    pub(crate) fn as_mut_ptr(&self) -> *mut u8 {
        self.address.as_ptr()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes from `address` are initialised and owned by `self`.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` bytes from `address` are initialised and owned by `self`.
        unsafe { std::slice::from_raw_parts_mut(self.address.as_ptr(), self.len) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.map.is_none()
            && let Some(layout) = Block::layout(self.len)
        {
            // SAFETY: the block came from the allocator with this layout.
            unsafe { std::alloc::dealloc(self.address.as_ptr(), layout) };
        }
    }
}

/// What the heap of a context did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapStatistics {
    /// Blocks that came from the system.
    pub allocated: u64,
    /// Blocks that were there from an earlier use.
    pub reused: u64,
    /// Bytes in use now.
    pub live_bytes: u64,
    /// The most bytes that were in use at once.
    pub peak_bytes: u64,
}

/// The heap of a context: blocks whose sizes are known only when the shapes are. It keeps what is
/// freed for the next run, up to as much as was ever in use at once.
#[derive(Default)]
pub(crate) struct Heap {
    free: BTreeMap<usize, Vec<Block>>,
    cached: u64,
    statistics: HeapStatistics,
}

impl Heap {
    pub(crate) fn allocate(&mut self, bytes: u64, what: &str) -> Result<Block, Error> {
        let class = size_class(bytes);
        let live = self.statistics.live_bytes.saturating_add(class);
        if live > physical_memory() {
            let available = physical_memory().saturating_sub(self.statistics.live_bytes);
            return Err(Error::OutOfMemory { what: what.to_string(), bytes, available });
        }
        // Where a block of its own would drive others out, a larger one serves, so that runs of the same shapes ask the
        // system for nothing. Not one of any size: small tensors that live long would hold ever more large blocks.
        let drives_out = self.cached > self.statistics.peak_bytes.saturating_sub(live);
        let most = (class as usize).saturating_mul(if drives_out { 4 } else { 2 });
        let found = self.free.range_mut(class as usize..=most).find_map(|(_, blocks)| blocks.pop());
        let block = match found {
            Some(block) => {
                self.cached -= block.len() as u64;
                self.statistics.reused += 1;
                block
            }
            None => {
                self.trim(self.statistics.peak_bytes.saturating_sub(live));
                self.statistics.allocated += 1;
                Block::new(class, what)?
            }
        };
        self.statistics.live_bytes += block.len() as u64;
        self.statistics.peak_bytes = self.statistics.peak_bytes.max(self.statistics.live_bytes);
        Ok(block)
    }

    pub(crate) fn release(&mut self, block: Block) {
        self.statistics.live_bytes -= block.len() as u64;
        self.cached += block.len() as u64;
        self.free.entry(block.len()).or_default().push(block);
    }

    pub(crate) fn statistics(&self) -> HeapStatistics {
        self.statistics
    }

    /// Gives blocks back to the system, large ones first, until at most `keep` bytes are cached.
    fn trim(&mut self, keep: u64) {
        while self.cached > keep {
            let Some(mut entry) = self.free.last_entry() else { return };
            match entry.get_mut().pop() {
                Some(block) => self.cached -= block.len() as u64,
                None => drop(entry.remove()),
            }
        }
    }
}

/// Sizes in steps of a quarter of their power of two, so that similar shapes share blocks.
fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(ALIGNMENT as u64);
    let step = (1u64 << (63 - bytes.leading_zeros())) / 4;
    bytes.checked_next_multiple_of(step.max(ALIGNMENT as u64)).unwrap_or(bytes)
}

/// The machine's memory in bytes; nothing larger is ever asked for, since a system that overcommits
/// would grant it and kill the process later.
pub(crate) fn physical_memory() -> u64 {
    // SAFETY: `sysconf` only reads its argument.
    let (pages, page) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    match (u64::try_from(pages), u64::try_from(page)) {
        (Ok(pages), Ok(page)) if pages > 0 => pages.saturating_mul(page),
        _ => isize::MAX as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_zero() {
        for len in [0, 1, 63, 4096, HUGE as u64 - 1, HUGE as u64, 5 * HUGE as u64 + 12_345] {
            let mut block = Block::new(len, "test").expect("memory");
            assert_eq!(block.as_mut_ptr() as usize % ALIGNMENT, 0);
            assert_eq!(block.len() as u64, len);
            assert!(block.bytes().iter().all(|byte| *byte == 0));
            block.bytes_mut().fill(0xff);
        }
    }

    #[test]
    fn too_much_is_an_error() {
        for len in [physical_memory() + 1, u64::MAX] {
            assert!(matches!(Block::new(len, "test"), Err(Error::OutOfMemory { .. })));
            assert!(matches!(Heap::default().allocate(len, "test"), Err(Error::OutOfMemory { .. })));
        }
    }

    #[test]
    fn the_heap_reuses_and_forgets() {
        let mut heap = Heap::default();
        for _ in 0..10 {
            let (a, b) = (heap.allocate(100_000, "a").expect("a"), heap.allocate(3000, "b").expect("b"));
            heap.release(a);
            heap.release(b);
        }
        let statistics = heap.statistics();
        assert_eq!((statistics.allocated, statistics.reused, statistics.live_bytes), (2, 18, 0));
        // Another size in place of the old one: the old block goes.
        let c = heap.allocate(400_000, "c").expect("c");
        assert!(heap.cached + c.len() as u64 <= heap.statistics().peak_bytes);
    }

    #[test]
    fn runs_of_the_same_shapes_keep_their_blocks() {
        let mut heap = Heap::default();
        let mut allocated = 0;
        for run in 0..5 {
            // A large block that is gone before two small ones come, then one between.
            let large = heap.allocate(1_000_000, "large").expect("large");
            heap.release(large);
            let small = [300_000, 320_000].map(|bytes| heap.allocate(bytes, "small").expect("small"));
            small.into_iter().for_each(|block| heap.release(block));
            let middle = heap.allocate(450_000, "middle").expect("middle");
            heap.release(middle);
            let now = heap.statistics().allocated;
            assert!(run < 2 || now == allocated, "run {run} asked for {} blocks", now - allocated);
            allocated = now;
        }
    }

    #[test]
    fn small_tensors_that_stay_hold_no_large_blocks() {
        const LARGE: u64 = 1 << 20;
        let mut heap = Heap::default();
        let mut kept = Vec::new();
        let mut before = heap.allocate(LARGE, "before").expect("before");
        for _ in 0..20 {
            let after = heap.allocate(LARGE, "after").expect("after");
            heap.release(std::mem::replace(&mut before, after));
            kept.push(heap.allocate(1000, "kept").expect("kept"));
        }
        assert!(heap.statistics().peak_bytes < 3 * LARGE, "{:?}", heap.statistics());
    }

    #[test]
    fn size_classes_waste_at_most_a_quarter() {
        for bytes in (0..100_000).step_by(7) {
            let class = size_class(bytes);
            assert!(class >= bytes && class <= 64.max(bytes + bytes / 4 + 64), "{bytes} {class}");
            assert_eq!(size_class(class), class);
        }
    }
}
