//! `mlcc test DIR...`: ONNX test directories through the whole compiler.
//!
//! A test passes if every output has the expected element type, shape and values: NaN and infinities
//! at the same places, and else `|got - want| <= atol + rtol * |want|` with ONNX's own tolerances. What
//! is unsupported is said so; nothing is interpreted.

use super::{Outcome, load, one, output, run::shown};
use crate::{format_types::ir_dtype, options::Options, session};
use mlcc_ir::{
    diagnostic::{Diagnostic, Fault, count},
    tensor::Tensor,
};
use mlcc_runtime::{Error, LoadOptions, Model};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Which tests.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Test directories, or folders of them.
    #[arg(required = true)]
    directories: Vec<PathBuf>,
    /// Relative tolerance.
    #[arg(long, default_value_t = 1e-3)]
    rtol: f64,
    /// Absolute tolerance.
    #[arg(long, default_value_t = 1e-7)]
    atol: f64,
    /// Write one line a test, `NAME: passed|failed ...|unsupported ...`, to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Threads; 0 means one for each CPU.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Print failed tests only.
    #[arg(short, long)]
    quiet: bool,
}

enum Verdict {
    Passed,
    Failed(String),
    Unsupported(String),
    /// This machine cannot execute code for what `host` stands for.
    CompiledOnly(String),
}

pub(super) fn run(args: &Args) -> Outcome {
    let mut tests = Vec::new();
    for directory in &args.directories {
        collect(directory, &mut tests)?;
    }
    let scratch = std::env::temp_dir().join(format!("mlcc-test-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).map_err(|e| super::write_error(&scratch, &e))?;
    let (mut passed, mut failed, mut unsupported, mut compiled_only) = (0, 0, 0, 0);
    let mut report = String::new();
    for test in &tests {
        let name = test.file_name().unwrap_or_default().to_string_lossy();
        let verdict = std::panic::catch_unwind(|| run_test(test, &scratch, args))
            .unwrap_or_else(|_| Verdict::Failed("mlcc panicked".into()));
        let line = match &verdict {
            Verdict::Passed => {
                passed += 1;
                format!("{name}: passed")
            }
            Verdict::Failed(why) => {
                failed += 1;
                format!("{name}: failed: {}", why.replace('\n', " "))
            }
            Verdict::Unsupported(why) => {
                unsupported += 1;
                format!("{name}: unsupported: {}", why.replace('\n', " "))
            }
            Verdict::CompiledOnly(why) => {
                compiled_only += 1;
                format!("{name}: compiled only: {why}")
            }
        };
        if !args.quiet || matches!(verdict, Verdict::Failed(_)) {
            output::line!("{line}")?;
        }
        report += &line;
        report.push('\n');
    }
    let _ = std::fs::remove_dir_all(&scratch);
    if let Some(path) = &args.report {
        std::fs::write(path, report).map_err(|e| super::write_error(path, &e))?;
    }
    let only = if compiled_only > 0 { format!(", {compiled_only} compiled only") } else { String::new() };
    output::line!("{passed} passed, {failed} failed, {unsupported} unsupported{only}")?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `directory` itself if it holds a model, else the tests in it, in alphabetical order.
fn collect(directory: &Path, tests: &mut Vec<PathBuf>) -> Result<(), Vec<Diagnostic>> {
    if directory.join("model.onnx").is_file() {
        tests.push(directory.to_path_buf());
        return Ok(());
    }
    let failed = |e| one(Diagnostic::user(format!("cannot read the folder '{}': {e}", directory.display())));
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .map_err(failed)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("model.onnx").is_file())
        .collect();
    found.sort();
    if found.is_empty() {
        let message = format!("'{}' holds no test directories", directory.display());
        return Err(one(
            Diagnostic::user(message).hint("a test directory holds model.onnx and test_data_set_0")
        ));
    }
    tests.extend(found);
    Ok(())
}

fn run_test(test: &Path, scratch: &Path, args: &Args) -> Verdict {
    let artifact = scratch.join("model.mlcc");
    let threads = args.threads;
    let options = Options { threads, ..Options::default() };
    if let Err(diagnostics) = session::compile(&test.join("model.onnx"), &artifact, &options, &mut ()) {
        return verdict_of(&diagnostics);
    }
    let model = match Model::load_with(&artifact, &LoadOptions { threads, ..LoadOptions::default() }) {
        Ok(model) => model,
        Err(e @ (Error::Architecture { .. } | Error::CpuFeatures { .. })) => {
            return Verdict::CompiledOnly(e.to_string());
        }
        Err(e) => return Verdict::Failed(format!("the artifact does not load: {e}")),
    };
    let mut sets = 0;
    loop {
        let data = test.join(format!("test_data_set_{sets}"));
        if !data.is_dir() {
            break;
        }
        match run_data_set(&model, &data, args) {
            Ok(()) => sets += 1,
            Err(diagnostics) => return verdict_of(&diagnostics),
        }
    }
    if sets == 0 { Verdict::Failed("there is no test_data_set_0".into()) } else { Verdict::Passed }
}

fn verdict_of(diagnostics: &[Diagnostic]) -> Verdict {
    // On one line, where the verdict says whose fault it is.
    let text = diagnostics.first().map_or_else(String::new, |d| match &d.location {
        Some(location) => format!("{} at {location}", d.message),
        None => d.message.clone(),
    });
    match diagnostics.iter().all(|d| d.fault == Fault::Unsupported) {
        true => Verdict::Unsupported(text),
        false => Verdict::Failed(text),
    }
}

fn tensors(data: &Path, kind: &str) -> Result<Vec<Tensor>, Vec<Diagnostic>> {
    let mut tensors = Vec::new();
    loop {
        let path = data.join(format!("{kind}_{}.pb", tensors.len()));
        if !path.is_file() {
            return Ok(tensors);
        }
        tensors.push(mlcc_onnx::read_tensor_file(&path).map_err(one)?);
    }
}

fn run_data_set(model: &Model, data: &Path, args: &Args) -> Result<(), Vec<Diagnostic>> {
    let inputs = load::to_runtime(&tensors(data, "input")?)?;
    let want = tensors(data, "output")?;
    let got = model.run_owned(&load::refs(&inputs)).map_err(|e| super::runtime_error(&e))?;
    if got.len() != want.len() {
        let message = format!("{}, expected {}", count(got.len(), "output"), want.len());
        return Err(one(Diagnostic::user(message)));
    }
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let dtype = ir_dtype(got.dtype());
        let fail = |what: String| Err(one(Diagnostic::user(format!("output {i}: {what}"))));
        if dtype != want.dtype || got.dims() != want.dims {
            let (got_dims, want_dims) = (got.dims(), &want.dims);
            return fail(format!("{dtype} {got_dims:?}, expected {} {want_dims:?}", want.dtype));
        }
        for e in 0..want.elements() {
            let (got, want) = (mlcc_ir::tensor::read_element(dtype, got.data(), e), want.get(e));
            let (g, w) = (got.to_f64(), want.to_f64());
            let equal = g == w || (g.is_nan() && w.is_nan());
            let close = (g - w).abs() <= args.atol + args.rtol * w.abs();
            if !(equal || (g.is_finite() && w.is_finite() && close)) {
                let [got, want] = [got, want].map(|element| shown(dtype, element));
                return fail(format!("element {e} is {got}, expected {want}"));
            }
        }
    }
    Ok(())
}
