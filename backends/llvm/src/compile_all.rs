//! Code of many nests, on several threads.

use crate::{
    compile::{CompiledKernel, Options, compile},
    target::Target,
};
use mlcc_ir::{
    contract::Verified,
    diagnostic::{Diagnostic, Result},
    nest::LoopNest,
};
use mlcc_mlir::lowering;
use std::{
    cmp::Reverse,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Compiles nests on `threads` threads. The results are in the order of the nests, and do not depend on the
/// number of threads. `done` receives the number of nests compiled so far.
pub fn compile_all(
    nests: &[&Verified<LoopNest>],
    target: &Target,
    options: &Options,
    threads: usize,
    done: &(dyn Fn(usize) + Sync),
) -> Vec<Result<CompiledKernel>> {
    lowering::register_passes();
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<CompiledKernel>>>> =
        Mutex::new(nests.iter().map(|_| None).collect());
    // The largest nests come first, so that no thread is left alone with one of them at the end.
    let mut order: Vec<usize> = (0..nests.len()).collect();
    order.sort_by_key(|&i| (Reverse(size(nests[i])), i));
    std::thread::scope(|scope| {
        let work = || {
            while let Some(&i) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                let compiled = catch_unwind(AssertUnwindSafe(|| compile(nests[i], target, options)))
                    .unwrap_or_else(|_| Err(Diagnostic::internal("code generation panicked")));
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results[i] = Some(compiled);
                done(results.iter().flatten().count());
            }
        };
        for _ in 1..threads.min(nests.len()).max(1) {
            // If the system starts no more threads, the existing ones do all the work.
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let left = || Err(Diagnostic::internal("no thread has compiled the kernel"));
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().map(|result| result.unwrap_or_else(left)).collect()
}

fn size(nest: &LoopNest) -> usize {
    let mut size = 0;
    nest.visit(&mut |_| size += 1);
    size
}
