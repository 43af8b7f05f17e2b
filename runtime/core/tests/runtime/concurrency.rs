//! One model, and one pool, used by many threads at once.

use crate::builder::{random, relative_error};
use crate::numeric::{static_model, static_reference};
use mlcc_runtime::{Model, TensorMut, TensorRef};

fn run_and_check(model: &Model, w: &[f32], seed: u64) {
    let x = random(seed, w.len());
    let dims = [w.len() as i64];
    let mut y = vec![f32::NAN; w.len()];
    model.run(&[TensorRef::new(&dims, &x)], &mut [TensorMut::new(&dims, &mut y)]).expect("runs");
    let error = relative_error(&y, &static_reference(&x, w));
    assert!(error < 1e-6, "seed {seed}: {error}");
}

#[test]
fn many_threads_run_one_model() {
    for pool_threads in [1, 2, 4] {
        let w = random(7, 5003);
        let model = static_model(5003, &w, pool_threads);
        std::thread::scope(|scope| {
            for thread in 0..6 {
                let (model, w) = (&model, &w);
                scope.spawn(move || (0..60).for_each(|run| run_and_check(model, w, thread * 1000 + run)));
            }
        });
    }
}

#[test]
fn contexts_outlive_their_model() {
    let w = random(7, 100);
    let mut context = {
        let model = static_model(100, &w, 2);
        model.context().expect("memory")
    };
    let x = random(8, 100);
    let y = context.run_owned(&[TensorRef::new(&[100], &x)]).expect("runs").remove(0);
    assert!(relative_error(y.elements().expect("f32"), &static_reference(&x, &w)) < 1e-6);
}
