//! Memory that belongs to the runtime: arenas, scratch, owned tensors and the blocks of the heap.

use crate::Error;
use memmap2::MmapMut;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// Every block begins at a cache line; the widest vector has the same size.
pub(crate) const ALIGNMENT: usize = 64;
/// From this size on, blocks are mappings that ask for huge pages.
const HUGE: usize = 2 << 20;
/// Readable bytes on both sides of a mapped block. The masked-out lanes of an access may lie there;
/// without such pages processors are slow, and emulators stop.
const MARGIN: usize = 64 << 10;

/// A block of memory, zero at first.
pub(crate) struct Block {
    address: NonNull<u8>,
    len: usize,
    /// The mapping in which the block lies; none if the allocator owns it.
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
            // Huge pages begin at multiples of their size, but mappings need not. The pages around the
            // block are never touched and cost nothing.
            let mut map = MmapMut::map_anon(len + HUGE + 2 * MARGIN).map_err(|_| out_of_memory())?;
            #[cfg(target_os = "linux")]
            {
                // This is only advice: if the system has no huge pages, small ones are used.
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

/// The machine's memory in bytes. A larger block is never requested: a system that overcommits would
/// grant it and kill the process later.
pub(crate) fn physical_memory() -> u64 {
    static BYTES: OnceLock<u64> = OnceLock::new();
    *BYTES.get_or_init(|| {
        // SAFETY: `sysconf` only reads its argument.
        let (pages, page) =
            unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
        match (u64::try_from(pages), u64::try_from(page)) {
            (Ok(pages), Ok(page)) if pages > 0 => pages.saturating_mul(page),
            _ => isize::MAX as u64,
        }
    })
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
        }
    }
}
