//! How kernels treat denormal numbers, those too small for a full mantissa (below 1.2e-38 in `f32`).
//!
//! An Intel core takes some 150 cycles for an operation that reads or makes a denormal number. So kernels
//! take denormals for zeros and give zeros for them, unless their model was compiled with `--keep-denormals`.
//! The processor does so when two bits of the thread's control register are set: flush-to-zero and
//! denormals-are-zero of MXCSR on x86-64, FZ of FPCR on AArch64. FZ16 is left as it is: a 16-bit float is
//! computed as `f32`, where its denormals are normal numbers, and conversions heed neither FZ16 nor MXCSR for
//! their 16-bit side.
//!
//! The bits are set around each call of a kernel, by a function in assembly. Rust assumes that the register
//! is constant: arithmetic that the compiler moves to where the bits are set would go wrong, and setting them
//! between two statements is undefined behaviour. Here no Rust code runs while they are set. So no way out of
//! a run, by an error or a panic, leaves them set, on the caller's thread or a pool's.

use crate::code::KernelFn;

/// How the kernels of a model treat denormal numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denormals {
    /// As zeros.
    Flush,
    /// As IEEE 754 says.
    Keep,
}

impl Denormals {
    /// Calls a kernel.
    ///
    /// # Safety
    /// As [`KernelFn`] demands of its arguments.
    pub(crate) unsafe fn call(
        self,
        kernel: KernelFn,
        (buffers, sizes, scratch): (*const *mut u8, *const i64, *mut u8),
        (begin, end): (i64, i64),
    ) {
        // SAFETY: as the caller promises; `flushed` passes all on as it is.
        unsafe {
            match self {
                Denormals::Flush => flushed(buffers, sizes, scratch, begin, end, kernel),
                Denormals::Keep => kernel(buffers, sizes, scratch, begin, end),
            }
        }
    }
}

/// Calls a kernel with the bits set, then restores the register's former value. This also drops the
/// exceptions that the kernel met.
///
/// # Safety
/// As [`KernelFn`] demands of its arguments.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn flushed(
    buffers: *const *mut u8,
    sizes: *const i64,
    scratch: *mut u8,
    begin: i64,
    end: i64,
    kernel: KernelFn,
) {
    // The first five arguments stay in their registers; the sixth is the function that is called. The stack
    // was aligned to 16 bytes before the return address was pushed, and is aligned again for the call.
    std::arch::naked_asm!(
        ".cfi_startproc",
        "sub rsp, 8",
        ".cfi_adjust_cfa_offset 8",
        "stmxcsr dword ptr [rsp]",
        "mov eax, dword ptr [rsp]",
        "or eax, 0x8040",
        "mov dword ptr [rsp + 4], eax",
        "ldmxcsr dword ptr [rsp + 4]",
        "call r9",
        "ldmxcsr dword ptr [rsp]",
        "add rsp, 8",
        ".cfi_adjust_cfa_offset -8",
        "ret",
        ".cfi_endproc",
    )
}

/// As on x86-64. FPCR's former value is in a register that the kernel preserves.
///
/// # Safety
/// As [`KernelFn`] demands of its arguments.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn flushed(
    buffers: *const *mut u8,
    sizes: *const i64,
    scratch: *mut u8,
    begin: i64,
    end: i64,
    kernel: KernelFn,
) {
    std::arch::naked_asm!(
        ".cfi_startproc",
        "stp x29, x30, [sp, #-32]!",
        ".cfi_def_cfa_offset 32",
        ".cfi_offset x29, -32",
        ".cfi_offset x30, -24",
        "str x19, [sp, #16]",
        ".cfi_offset x19, -16",
        "mov x29, sp",
        "mrs x19, fpcr",
        "orr x9, x19, #0x1000000",
        "msr fpcr, x9",
        "blr x5",
        "msr fpcr, x19",
        "ldr x19, [sp, #16]",
        "ldp x29, x30, [sp], #32",
        ".cfi_def_cfa_offset 0",
        ".cfi_restore x19",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
    )
}

/// There are no artifacts for other architectures; only functions of tests run there.
///
/// # Safety
/// As [`KernelFn`] demands of its arguments.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe extern "C" fn flushed(
    buffers: *const *mut u8,
    sizes: *const i64,
    scratch: *mut u8,
    begin: i64,
    end: i64,
    kernel: KernelFn,
) {
    // SAFETY: as the caller promises.
    unsafe { kernel(buffers, sizes, scratch, begin, end) }
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests;
