//! Tests of the control register: kernels see its bits, and no other code does.

use super::*;
use std::arch::asm;

/// The bits that are set for a kernel.
#[cfg(target_arch = "x86_64")]
const BITS: u64 = 0x8040;
#[cfg(target_arch = "aarch64")]
const BITS: u64 = 1 << 24;

/// The control register of this thread.
fn register() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        let mut value = 0u32;
        // SAFETY: stores four bytes to a place of that size.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack)) };
        u64::from(value)
    }
    #[cfg(target_arch = "aarch64")]
    {
        let value: u64;
        // SAFETY: reads a register that processes may read.
        unsafe { asm!("mrs {}, fpcr", out(reg) value, options(nomem, nostack)) };
        value
    }
}

/// Multiplies as kernels do, in machine code: Rust's own arithmetic may be computed by the compiler.
fn product(a: f32, b: f32) -> f32 {
    let mut result = a;
    // SAFETY: a multiplication of two registers, which heeds the control register and sets its flags.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("mulss {}, {}", inout(xmm_reg) result, in(xmm_reg) b, options(nomem, nostack));
        #[cfg(target_arch = "aarch64")]
        asm!("fmul {0:s}, {0:s}, {1:s}", inout(vreg) result, in(vreg) b, options(nomem, nostack));
    }
    result
}

/// Writes the control register, a product that is denormal and one of a denormal operand to `buffers[0]`,
/// and all arguments to `buffers[1]`.
unsafe extern "C" fn look(
    buffers: *const *mut u8,
    sizes: *const i64,
    scratch: *mut u8,
    begin: i64,
    end: i64,
) {
    let found =
        [register(), u64::from(product(1e-20, 1e-20).to_bits()), u64::from(product(1e-40, 1e10).to_bits())];
    let arguments = [buffers as u64, sizes as u64, scratch as u64, begin as u64, end as u64];
    // SAFETY: the buffers have room for that many numbers.
    unsafe {
        (*buffers).cast::<[u64; 3]>().write(found);
        (*buffers.add(1)).cast::<[u64; 5]>().write(arguments);
    }
}

fn call(denormals: Denormals) -> ([u64; 3], [u64; 5], [u64; 5]) {
    let (mut found, mut arguments) = ([0u64; 3], [0u64; 5]);
    let buffers = [(&raw mut found).cast::<u8>(), (&raw mut arguments).cast()];
    let (sizes, mut scratch) = ([7i64], [0u8; 64]);
    let expected = [buffers.as_ptr() as u64, sizes.as_ptr() as u64, scratch.as_mut_ptr() as u64, 3, u64::MAX];
    // SAFETY: the kernel writes to the two buffers only.
    unsafe { denormals.call(look, (buffers.as_ptr(), sizes.as_ptr(), scratch.as_mut_ptr()), (3, -1)) };
    (found, arguments, expected)
}

#[test]
fn kernels_see_zeros_unless_they_keep_denormals() {
    let ([control, made, read], arguments, expected) = call(Denormals::Flush);
    assert_eq!(arguments, expected);
    assert_eq!((control & BITS, made, read), (BITS, 0, 0));
    let ([control, made, read], arguments, expected) = call(Denormals::Keep);
    assert_eq!(arguments, expected);
    assert_eq!((control & BITS, made), (0, u64::from((1e-20f32 * 1e-20).to_bits())));
    assert_eq!(read, u64::from((1e-40f32 * 1e10).to_bits()));
}

#[test]
fn the_caller_s_register_stays() {
    let before = register();
    call(Denormals::Flush);
    // The flags of the kernel's exceptions are dropped, too.
    assert_eq!(register(), before);
    assert_eq!(before & BITS, 0);
}
