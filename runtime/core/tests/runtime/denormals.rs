//! Kernels take denormal numbers for zeros unless their model keeps them, on the caller's thread and on the
//! pool's; the caller's thread is left as it was.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

use crate::builder::{Builder, TILE, launch, region};
use mlcc_format::{DType, Expr};
use mlcc_runtime::{KernelFn, Model, TensorMut, TensorRef};
use std::arch::asm;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The control register that decides about denormals.
fn control_register() -> u64 {
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

/// Multiplies in machine code, as a kernel must.
fn product(a: f32, b: f32) -> f32 {
    let mut result = a;
    // SAFETY: multiplies two registers.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("mulss {}, {}", inout(xmm_reg) result, in(xmm_reg) b, options(nomem, nostack));
        #[cfg(target_arch = "aarch64")]
        asm!("fmul {0:s}, {0:s}, {1:s}", inout(vreg) result, in(vreg) b, options(nomem, nostack));
    }
    result
}

/// `y[i] = x[i] * w[i]`, bit for bit as the processor does it.
unsafe extern "C" fn multiply(
    buffers: *const *mut u8,
    sizes: *const i64,
    _scratch: *mut u8,
    begin: i64,
    end: i64,
) {
    // SAFETY: three buffers of as many elements as the one size says.
    unsafe {
        let [x, w, y] = [0, 1, 2].map(|i| (*buffers.add(i)).cast::<f32>());
        for i in (begin * TILE) as usize..(end * TILE).min(*sizes) as usize {
            *y.add(i) = product(*x.add(i), *w.add(i));
        }
    }
}

/// How many threads are in [`multiply_together`], of any test.
static INSIDE: AtomicU32 = AtomicU32::new(0);

/// As [`multiply`], but begins only after two threads are in it.
unsafe extern "C" fn multiply_together(
    buffers: *const *mut u8,
    sizes: *const i64,
    scratch: *mut u8,
    begin: i64,
    end: i64,
) {
    INSIDE.fetch_add(1, Ordering::SeqCst);
    let began = Instant::now();
    while INSIDE.load(Ordering::SeqCst) < 2 && began.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    // SAFETY: as this function's own caller promises.
    unsafe { multiply(buffers, sizes, scratch, begin, end) };
}

fn model(kernel: KernelFn, w: &[f32], keep_denormals: bool, threads: usize) -> Model {
    let mut b = Builder::new();
    b.manifest.keep_denormals = keep_denormals;
    let dims = [Expr::Const(w.len() as i64)];
    let (x, y) = (b.input("x", DType::F32, &dims), b.output("y", DType::F32, &dims));
    let w_id = b.constant("w", w);
    let kernel = b.kernel("multiply", kernel);
    b.push(region(vec![launch(kernel, &[x, w_id, y], 2, w.len() as i64)]));
    b.load(threads)
}

fn run(model: &Model, x: &[f32]) -> Vec<f32> {
    let (dims, mut y) = ([x.len() as i64], vec![f32::NAN; x.len()]);
    model.run(&[TensorRef::new(&dims, x)], &mut [TensorMut::new(&dims, &mut y)]).expect("runs");
    y
}

/// A product that is denormal, one of a denormal, one of neither.
fn operands(n: usize) -> (Vec<f32>, Vec<f32>) {
    let cycle = |values: [f32; 3]| (0..n).map(|i| values[i % 3]).collect();
    (cycle([1e-20, 1e-40, 1.5]), cycle([1e-20, 1e10, 2.0]))
}

#[test]
fn denormals_are_zeros_unless_they_are_kept() {
    for threads in [1, 2, 4] {
        for n in [16, 1000] {
            let (x, w) = operands(n);
            let kept = run(&model(multiply, &w, true, threads), &x);
            let before = control_register();
            let flushed = run(&model(multiply, &w, false, threads), &x);
            assert_eq!(control_register(), before);
            for i in 0..n {
                assert_eq!(kept[i].to_bits(), (x[i] * w[i]).to_bits());
                assert_eq!(flushed[i], if i % 3 == 2 { 3.0 } else { 0.0 }, "{threads} threads, element {i}");
            }
        }
    }
}

#[test]
fn the_threads_of_a_pool_flush_too() {
    let (x, w) = operands(2 * TILE as usize);
    let y = run(&model(multiply_together, &w, false, 2), &x);
    assert_eq!(INSIDE.load(Ordering::SeqCst), 2, "two threads had one tile each");
    assert!(y.iter().enumerate().all(|(i, y)| *y == if i % 3 == 2 { 3.0 } else { 0.0 }), "{y:?}");
}

#[test]
fn an_error_leaves_the_caller_s_register_as_it_was() {
    let (x, w) = operands(16);
    let model = model(multiply, &w, false, 2);
    let before = control_register();
    let (dims, mut y) = ([15], vec![0f32; 15]);
    let outcome = model.run(&[TensorRef::new(&[16], &x)], &mut [TensorMut::new(&dims, &mut y)]);
    outcome.expect_err("another shape");
    assert_eq!(control_register(), before);
}
