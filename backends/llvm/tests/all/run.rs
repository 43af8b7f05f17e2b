//! Runs compiled kernels in the test's process.

use mlcc_ir::{
    contract::Verified,
    expr::Atom,
    nest::{LoopNest, Space},
    tensor::Tensor,
};
use mlcc_llvm::{CompiledKernel, Options, Target, compile, image};

use std::{io::Write, ops::Range};

type Kernel = unsafe extern "C" fn(*const *mut u8, *const i64, *mut u8, i64, i64);

/// An image mapped executable.
pub struct Mapped {
    memory: *mut libc::c_void,
    length: usize,
    entry: u64,
    keep_denormals: bool,
}

impl Mapped {
    pub fn new(kernel: &CompiledKernel) -> Mapped {
        let image = image::link(&[&kernel.object]).unwrap();
        let length = image.bytes.len();
        // SAFETY: a fresh anonymous mapping that is filled before it becomes executable.
        unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let memory = libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0);
            assert_ne!(memory, libc::MAP_FAILED);
            std::ptr::copy_nonoverlapping(image.bytes.as_ptr(), memory.cast(), length);
            assert_eq!(libc::mprotect(memory, length, libc::PROT_READ | libc::PROT_EXEC), 0);
            Mapped { memory, length, entry: image.entries[0], keep_denormals: kernel.keep_denormals }
        }
    }

    /// Calls the kernel.
    pub fn call(&self, buffers: &[*mut u8], sizes: &[i64], scratch: *mut u8, range: Range<i64>) {
        // SAFETY: the entry is a kernel's function in the mapped image; the test's buffers are as large
        // as the nest says.
        unsafe {
            let kernel: Kernel = std::mem::transmute(self.memory.cast::<u8>().add(self.entry as usize));
            match self.keep_denormals {
                true => kernel(buffers.as_ptr(), sizes.as_ptr(), scratch, range.start, range.end),
                false => flushed(kernel, buffers, sizes, scratch, range),
            }
        }
    }
}

/// Calls a kernel with denormal numbers taken for zeros, as the runtime does.
///
/// # Safety
/// As the kernel demands of its arguments.
#[cfg(target_arch = "x86_64")]
unsafe fn flushed(kernel: Kernel, buffers: &[*mut u8], sizes: &[i64], scratch: *mut u8, range: Range<i64>) {
    let (usual, flush) = (0x1f80u32, 0x9fc0u32);
    // SAFETY: a call by the C convention with all that it may change given up; the control register is as Rust
    // has it again at the end.
    unsafe {
        std::arch::asm!(
            "ldmxcsr [r12]", "call r13", "ldmxcsr [r14]",
            in("r12") &raw const flush, in("r13") kernel, in("r14") &raw const usual,
            in("rdi") buffers.as_ptr(), in("rsi") sizes.as_ptr(), in("rdx") scratch,
            in("rcx") range.start, in("r8") range.end, clobber_abi("C"),
        );
    }
}

/// Calls a kernel with the processor as it is: the property under test is the same on all processors.
///
/// # Safety
/// As the kernel demands of its arguments.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn flushed(kernel: Kernel, buffers: &[*mut u8], sizes: &[i64], scratch: *mut u8, range: Range<i64>) {
    // SAFETY: as the caller promises.
    unsafe { kernel(buffers.as_ptr(), sizes.as_ptr(), scratch, range.start, range.end) };
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, not used any more.
        unsafe { libc::munmap(self.memory, self.length) };
    }
}

/// Bytes between two pages that cannot be accessed. The data ends right at the second page, or begins right behind
/// the first, so an access out of bounds kills the test.
pub struct Fenced {
    memory: *mut libc::c_void,
    length: usize,
    data: *mut u8,
    bytes: usize,
}

impl Fenced {
    pub fn new(content: &[u8], at_end: bool, align: usize) -> Fenced {
        let page = 4096;
        let middle = content.len().next_multiple_of(page).max(page);
        let length = middle + 2 * page;
        // SAFETY: a fresh anonymous mapping of which the middle is made accessible.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let memory = libc::mmap(std::ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(memory, libc::MAP_FAILED);
            let start = memory.cast::<u8>().add(page);
            assert_eq!(libc::mprotect(start.cast(), middle, libc::PROT_READ | libc::PROT_WRITE), 0);
            let shift = if at_end { (middle - content.len()) / align * align } else { 0 };
            let data = start.add(shift);
            std::ptr::copy_nonoverlapping(content.as_ptr(), data, content.len());
            Fenced { memory, length, data, bytes: content.len() }
        }
    }

    pub fn pointer(&self) -> *mut u8 {
        self.data
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `bytes` bytes at `data` are accessible as long as self lives.
        unsafe { std::slice::from_raw_parts(self.data, self.bytes) }
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, not used any more.
        unsafe { libc::munmap(self.memory, self.length) };
    }
}

/// Whether this machine executes code for a target; the runtime decides it in the same way when it loads an
/// artifact. Otherwise the code is only compiled. The test says so and, if `cargo xtask test` asks for it, counts
/// it.
fn runs_here(target: &Target, nest: &LoopNest) -> bool {
    let described = mlcc_format::Target {
        kind: mlcc_format::TargetKind::Cpu,
        triple: target.triple.clone(),
        cpu: target.cpu.clone(),
        features: target.features.clone(),
    };
    let Err(why) = mlcc_runtime::check_target(&described) else { return true };
    let why = why.to_string();
    let line = format!("compiled only: {}: {}\n", nest.name, why.lines().next().unwrap_or_default());
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(file) = std::env::var_os("MLCC_COMPILED_ONLY") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    false
}

/// Compiles and runs a nest on tensors for its operands, in order. Gives the operands afterwards, or nothing if
/// this machine cannot run the code. Denormal numbers are kept, as the interpreter keeps them.
pub fn run_on(target: &Target, nest: &LoopNest, operands: &[Tensor], sizes: &[i64]) -> Option<Vec<Tensor>> {
    let options = Options { keep_denormals: true, ..Options::default() };
    run_with(target, &options, nest, operands, sizes)
}

/// A nest that is well formed.
pub fn verified(nest: LoopNest) -> Verified<LoopNest> {
    Verified::new(nest, "the test").unwrap()
}

/// As [`run_on`], with options.
pub fn run_with(
    target: &Target,
    options: &Options,
    nest: &LoopNest,
    operands: &[Tensor],
    sizes: &[i64],
) -> Option<Vec<Tensor>> {
    let kernel = compile(&verified(nest.clone()), target, options).unwrap();
    if !runs_here(target, nest) {
        image::link(&[&kernel.object]).unwrap();
        return None;
    }
    let mapped = Mapped::new(&kernel);
    let value = |atom: &Atom| match atom {
        Atom::Symbol(name) => nest.symbols.iter().position(|s| s == name).map(|i| sizes[i]),
        _ => None,
    };
    let tiles = nest.tiles().evaluate(&value).unwrap();
    let scratch = vec![0xa5u8; kernel.scratch_bytes.evaluate(&value).unwrap() as usize];
    let mut results = Vec::new();
    for at_end in [true, false] {
        let fenced: Vec<_> = operands.iter().map(|t| Fenced::new(&t.data, at_end, t.dtype.size())).collect();
        let scratch = Fenced::new(&scratch, at_end, 64);
        let pointers: Vec<_> = fenced.iter().map(Fenced::pointer).collect();
        // Two parts, so that the range is tested.
        let half = tiles / 2;
        mapped.call(&pointers, sizes, scratch.pointer(), half..tiles);
        mapped.call(&pointers, sizes, scratch.pointer(), 0..half);
        let after: Vec<_> = fenced
            .iter()
            .zip(operands)
            .map(|(f, t)| Tensor::new(t.dtype, t.dims.clone(), f.bytes().to_vec().into()).unwrap())
            .collect();
        if !at_end {
            assert_eq!(results, after, "{}: the result depends on where buffers lie", nest.name);
        }
        results = after;
    }
    assert!(nest.buffers.iter().filter(|b| b.space == Space::Global).count() == operands.len());
    Some(results)
}

/// Compiles for the host and runs.
pub fn run(nest: &LoopNest, operands: &[Tensor], sizes: &[i64]) -> Option<Vec<Tensor>> {
    run_on(&Target::host().unwrap(), nest, operands, sizes)
}
