//! An artifact with real machine code, from file to result.
#![cfg(target_arch = "x86_64")]

use crate::builder::{Builder, TILE, launch, random, region, relative_error};
use mlcc_format::{Artifact, ArtifactWriter, DType, Expr, FormatError, KernelEntry, Launch, Plan};
use mlcc_runtime::{Error, LoadOptions, Model, TensorRef};
use std::path::Path;

/// What a C compiler makes of `add`, position independent:
/// ```c
/// void add(char *const *buffers, const long long *sizes, char *scratch, long long begin, long long end) {
///     const float *a = (const float *)buffers[0], *b = (const float *)buffers[1];
///     float *y = (float *)buffers[2];
///     long long stop = end * sizes[1] < sizes[0] ? end * sizes[1] : sizes[0];
///     for (long long i = begin * sizes[1]; i < stop; i++) y[i] = a[i] + b[i];
/// }
/// ```
const ADD: [u8; 63] = [
    0x48, 0x8b, 0x46, 0x08, 0x48, 0x8b, 0x16, 0x49, 0x89, 0xca, 0x4c, 0x8b, 0x4f, 0x08, 0x48, 0x8b, 0x0f,
    0x4c, 0x0f, 0xaf, 0xc0, 0x48, 0x8b, 0x7f, 0x10, 0x49, 0x39, 0xd0, 0x4c, 0x0f, 0x4f, 0xc2, 0x49, 0x0f,
    0xaf, 0xc2, 0x4c, 0x39, 0xc0, 0x7d, 0x15, 0xf3, 0x0f, 0x10, 0x04, 0x81, 0xf3, 0x41, 0x0f, 0x58, 0x04,
    0x81, 0xf3, 0x0f, 0x11, 0x04, 0x87, 0x48, 0xff, 0xc0, 0xeb, 0xe6, 0xc3,
];
/// Where it begins: not at the start, so that the offset matters.
const ENTRY: usize = 192;
const N: usize = 1003;

/// Writes `y = x + w` to a file.
fn write(path: &Path, w: &[f32], features: &[&str], triple: &str) {
    let mut b = Builder::new();
    let dims = [Expr::Const(N as i64)];
    let x = b.input("x", DType::F32, &dims);
    let weight = b.constant("w", w);
    let y = b.output("y", DType::F32, &dims);
    let add = b.kernel("add", crate::builder::add);
    let launch = launch(add, &[x, weight, y], 2, N as i64);
    b.push(region(vec![Launch { sizes: vec![Expr::Const(N as i64), Expr::Const(TILE)], ..launch }]));
    b.manifest.target.features = features.iter().map(ToString::to_string).collect();
    b.manifest.target.triple = triple.into();
    let plan = Plan { kernels: vec![KernelEntry { offset: ENTRY as u64 }], ..b.plan };
    let mut writer = ArtifactWriter::create(path).expect("creates");
    writer.add_weight(&b.weights).expect("writes");
    // All other bytes are breakpoints, so that a wrong entry is noticed.
    let mut code = vec![0xcc; ENTRY];
    code.extend(ADD);
    writer.finish(&b.manifest, &plan, &code).expect("finishes");
}

const TRIPLE: &str = "x86_64-unknown-linux-gnu";

fn check(model: &Model, w: &[f32]) {
    let x = random(1, N);
    let y = model.run_owned(&[TensorRef::new(&[N as i64], &x)]).expect("runs").remove(0);
    let expected: Vec<f32> = x.iter().zip(w).map(|(x, w)| x + w).collect();
    assert!(relative_error(y.elements().expect("f32"), &expected) < 1e-7);
}

#[test]
fn code_and_weights_run_from_the_file() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("add.mlcc");
    let w = random(9, N);
    write(&path, &w, &["sse2"], TRIPLE);
    for threads in [1, 2] {
        let model =
            Model::load_with(&path, &LoadOptions { threads, ..LoadOptions::default() }).expect("loads");
        check(&model, &w);
    }
    // An artifact in memory has no file from which the code could be mapped.
    let artifact = Artifact::from_bytes(&std::fs::read(&path).expect("reads")).expect("sound");
    check(
        &Model::from_artifact(artifact, &LoadOptions { threads: 2, ..LoadOptions::default() })
            .expect("loads"),
        &w,
    );
}

#[test]
fn models_share_a_pool() {
    let folder = tempfile::tempdir().expect("folder");
    let pool = std::sync::Arc::new(mlcc_runtime::Pool::new(2).expect("threads"));
    let options = LoadOptions { pool: Some(pool), ..LoadOptions::default() };
    let models: Vec<(Model, Vec<f32>)> = (0..3)
        .map(|i| {
            let (path, w) = (folder.path().join(format!("{i}.mlcc")), random(i, N));
            write(&path, &w, &[], TRIPLE);
            (Model::load_with(&path, &options).expect("loads"), w)
        })
        .collect();
    std::thread::scope(|scope| {
        for (model, w) in &models {
            scope.spawn(move || (0..50).for_each(|_| check(model, w)));
        }
    });
}

#[test]
fn other_machines_and_damaged_files_are_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("add.mlcc");
    let w = random(9, N);
    write(&path, &w, &["sse2", "avx9000"], TRIPLE);
    let error = Model::load(&path).map(drop).expect_err("a feature is missing");
    assert!(matches!(&error, Error::CpuFeatures { missing, .. } if missing == &["avx9000"]), "{error}");
    write(&path, &w, &[], "aarch64-unknown-linux-gnu");
    let error = Model::load(&path).map(drop).expect_err("another architecture");
    assert!(matches!(error, Error::Architecture { .. }), "{error}");

    write(&path, &w, &[], TRIPLE);
    let mut bytes = std::fs::read(&path).expect("reads");
    let code = Artifact::open(&path).expect("sound").code_section();
    bytes[code.offset as usize + ENTRY + 5] ^= 1;
    std::fs::write(&path, &bytes).expect("writes");
    let error = Model::load(&path).map(drop).expect_err("altered code");
    assert!(matches!(error, Error::Format(FormatError::Checksum { part: "code" })), "{error}");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("writes");
    let error = Model::load(&path).map(drop).expect_err("half a file");
    assert!(matches!(error, Error::Format(FormatError::Length { .. })), "{error}");
}

#[test]
fn a_model_keeps_its_file_when_that_is_replaced_or_removed() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("add.mlcc");
    let (old, new) = (random(9, N), random(10, N));
    write(&path, &old, &[], TRIPLE);
    let first = Model::load(&path).expect("loads");
    check(&first, &old);
    // The writer renames a whole file over this one.
    write(&path, &new, &[], TRIPLE);
    let second = Model::load(&path).expect("loads");
    std::fs::remove_file(&path).expect("removes");
    check(&first, &old);
    check(&second, &new);
    // An artifact that was read needs no file.
    write(&path, &old, &[], TRIPLE);
    let bytes = std::fs::read(&path).expect("reads");
    std::fs::write(&path, b"cut").expect("writes");
    let artifact = Artifact::from_bytes(&bytes).expect("sound");
    check(&Model::from_artifact(artifact, &LoadOptions::default()).expect("loads"), &old);
}

#[test]
fn damaged_weights_are_refused_unless_they_are_trusted() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("add.mlcc");
    // Several pieces of weights, so that several threads check them.
    let w: Vec<f32> = random(5, 900_001);
    write(&path, &w, &[], TRIPLE);
    let sound = std::fs::read(&path).expect("reads");
    for threads in [1, 2, 5] {
        let options = LoadOptions { threads, ..LoadOptions::default() };
        Model::load_with(&path, &options).expect("sound");
        for at in [0, 1_048_575, 1_048_576, 3_600_003] {
            let mut damaged = sound.clone();
            damaged[4096 + at] ^= 0x40;
            let load = |options| Model::from_artifact(Artifact::from_bytes(&damaged).expect("maps"), options);
            let error = load(&options).map(drop).expect_err("altered weights");
            assert!(error.to_string().contains("the checksum of its weights"), "{error}");
            load(&LoadOptions { trust_weights: true, ..options.clone() }).expect("trusted");
        }
    }
}

/// Not a check, but measurements: the least time of seven loads, with and without the check of the weights, for a file
/// in the page cache.
/// `cargo test --release -p mlcc-runtime --test runtime load_rate -- --ignored --nocapture`.
#[test]
#[ignore = "measures; run it on an idle machine"]
#[expect(clippy::print_stderr, reason = "its output is what it is for")]
fn load_rate() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("add.mlcc");
    for megabytes in [1usize, 100, 1000] {
        write(&path, &random(5, megabytes * 250_000), &[], TRIPLE);
        for (threads, trust_weights) in [(1, true), (1, false), (2, false), (4, false)] {
            let options = LoadOptions { threads, trust_weights, ..LoadOptions::default() };
            let load = || {
                let began = std::time::Instant::now();
                Model::load_with(&path, &options).expect("sound");
                began.elapsed().as_secs_f64()
            };
            let mut times: Vec<f64> = (0..7).map(|_| load()).collect();
            times.sort_by(f64::total_cmp);
            eprintln!(
                "{megabytes} MB, {threads} threads, trusted {trust_weights}: {:.2} ms, {:.1} GB/s",
                times[0] * 1e3,
                megabytes as f64 / 1e3 / times[0]
            );
        }
    }
}
