//! The machine code of an artifact, mapped for execution.

use crate::Error;
use crate::denormals::Denormals;
use memmap2::{Mmap, MmapMut, MmapOptions};
use mlcc_format::{Artifact, Manifest};

/// A kernel: executes the tiles `begin..end` of its launch.
///
/// - `buffers`: the addresses of the launch's buffers, in its order;
/// - `sizes`: the values of the launch's sizes, in its order;
/// - `scratch`: memory for this thread alone, 64-byte aligned, of the launch's scratch size;
/// - `begin`, `end`: the tiles, a part of `0..tiles`.
///
/// Kernels never unwind, never call back and hold no state. Unless their model [keeps
/// denormals](mlcc_format::Manifest::keep_denormals), they run with denormal numbers taken for zeros. A
/// kernel that is a function of this process must then do its arithmetic in machine code of its own, because
/// Rust's arithmetic may not run in this mode.
pub type KernelFn =
    unsafe extern "C" fn(buffers: *const *mut u8, sizes: *const i64, scratch: *mut u8, begin: i64, end: i64);

/// The kernels of a model, with the mapping in which they lie.
pub(crate) struct Code {
    kernels: Vec<KernelFn>,
    denormals: Denormals,
    /// None if the kernels are functions of this process.
    _map: Option<Mmap>,
}

impl Code {
    /// Maps an artifact's code section for execution, straight from its file.
    pub(crate) fn map(artifact: &Artifact) -> Result<Code, Error> {
        let section = artifact.code_section();
        if section.len == 0 {
            return Ok(Code::functions(Vec::new(), artifact.manifest()));
        }
        // If the file system is mounted without execution, or the artifact is in memory, a copy is used.
        let map = match map_file(artifact) {
            Some(map) => map,
            None => copy(artifact.code()).map_err(Error::MapCode)?,
        };
        let kernel = |entry: &mlcc_format::KernelEntry| {
            let address = map[entry.offset as usize..].as_ptr();
            // SAFETY: the address lies within executable memory (the plan's verifier bounded the
            // offset) that lives as long as `self`. That a kernel of the stated signature begins
            // there is what the compiler vouches for: an artifact is trusted as an executable is.
            unsafe { std::mem::transmute::<*const u8, KernelFn>(address) }
        };
        let kernels = artifact.plan().kernels.iter().map(kernel).collect();
        Ok(Code { _map: Some(map), ..Code::functions(kernels, artifact.manifest()) })
    }

    /// Kernels that are functions of this process.
    pub(crate) fn functions(kernels: Vec<KernelFn>, manifest: &Manifest) -> Code {
        let denormals = match manifest.keep_denormals {
            true => Denormals::Keep,
            false => Denormals::Flush,
        };
        Code { kernels, denormals, _map: None }
    }

    /// Calls the kernel with this number.
    ///
    /// # Safety
    /// As [`KernelFn`] demands of its arguments.
    pub(crate) unsafe fn call(
        &self,
        kernel: u32,
        memory: (*const *mut u8, *const i64, *mut u8),
        tiles: (i64, i64),
    ) {
        // SAFETY: as the caller promises.
        unsafe { self.denormals.call(self.kernels[kernel as usize], memory, tiles) };
    }
}

fn map_file(artifact: &Artifact) -> Option<Mmap> {
    let section = artifact.code_section();
    let mut options = MmapOptions::new();
    options.offset(section.offset).len(section.len as usize);
    // SAFETY: read-only and private; that nobody alters the file while it is mapped is demanded by
    // `Artifact::open`.
    unsafe { options.map_exec(artifact.file()?) }.ok()
}

fn copy(code: &[u8]) -> std::io::Result<Mmap> {
    let mut map = MmapMut::map_anon(code.len())?;
    map.copy_from_slice(code);
    let map = map.make_exec()?;
    synchronise_instructions(&map);
    Ok(map)
}

/// Makes code that was written as data visible to instruction fetches. Some architectures do not do so by
/// themselves.
#[cfg(target_arch = "aarch64")]
fn synchronise_instructions(code: &[u8]) {
    use std::arch::asm;
    let kinds: u64;
    // SAFETY: reads a register that processes may read.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) kinds, options(nomem, nostack, preserves_flags)) };
    // The smallest lines of data and instructions, as powers of two of words.
    let data_line = 4usize << (kinds >> 16 & 15);
    let instruction_line = 4usize << (kinds & 15);
    let begin = code.as_ptr() as usize;
    let end = begin + code.len();
    let lines = |line: usize| (begin & !(line - 1)..end).step_by(line);
    // SAFETY: writing back and invalidating lines of mapped memory changes nothing of what they hold.
    unsafe {
        for address in lines(data_line) {
            asm!("dc cvau, {}", in(reg) address, options(nostack, preserves_flags));
        }
        asm!("dsb ish", options(nostack, preserves_flags));
        for address in lines(instruction_line) {
            asm!("ic ivau, {}", in(reg) address, options(nostack, preserves_flags));
        }
        asm!("dsb ish", "isb", options(nostack, preserves_flags));
    }
}

/// Instruction fetches see writes on these architectures.
#[cfg(not(target_arch = "aarch64"))]
fn synchronise_instructions(_: &[u8]) {}
