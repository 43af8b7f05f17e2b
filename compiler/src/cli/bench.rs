//! `mlcc bench FILE`: times runs from inputs in memory to outputs in memory.

mod profile;
mod trace;

use super::{Outcome, compiling::Compiling, kind::FileKind, load, one, output, runtime_error};
use crate::{format_types::ir_dtype, machine_profile::Profile, measure::Roofline};
use mlcc_ir::{
    diagnostic::{Diagnostic, count},
    tensor::{Element, push_element},
};
use mlcc_runtime::{Context, Model, Tensor, TensorMut};
use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

/// What to time, for how long.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An artifact, or an ONNX model that is compiled on the fly.
    file: PathBuf,
    /// An input, as for `run`. If none is given and all shapes are known: random numbers between -1 and 1, zeros where the
    /// type is no float.
    #[arg(long, value_name = "INPUT")]
    input: Vec<String>,
    /// Threads; 0 means one for each CPU.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Do not compare an artifact's weights with their checksum, for which the whole file is read.
    #[arg(long)]
    trust_weights: bool,
    /// How long to measure, in seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Measure that many runs, however long they take.
    #[arg(long, conflicts_with = "seconds")]
    runs: Option<usize>,
    /// Print one JSON object with `median_ms` and more.
    #[arg(long)]
    json: bool,
    /// Show each kernel's time, and its rates beside the machine's: measured ones, or those of the profile that `--machine`
    /// names.
    #[arg(long)]
    profile: bool,
    /// Write what each thread did in one run as a Chrome trace, for Perfetto.
    #[arg(long, value_name = "FILE")]
    export_profile: Option<PathBuf>,
    #[command(flatten)]
    compiling: Compiling,
}

pub(super) fn run(args: &Args) -> Outcome {
    if !(args.seconds.is_finite() && args.seconds >= 0.0 && args.seconds <= 86_400.0) {
        return Err(one(Diagnostic::user("--seconds must be between 0 and 86400")));
    }
    let machine = args.compiling.machine.as_deref().map(Profile::read).transpose().map_err(one)?;
    let mut compiling = args.compiling.clone();
    if FileKind::of(&args.file) != FileKind::Model {
        // It is for the comparison only.
        compiling.machine = None;
    }
    let model = load::model(&args.file, args.threads, args.trust_weights, &compiling)?;
    let given = given_or_random(&model, &args.input)?;
    let inputs = load::refs(&given);
    let mut context = model.context().map_err(|e| runtime_error(&e))?;
    let start = Instant::now();
    let mut outputs = context.run_owned(&inputs).map_err(|e| runtime_error(&e))?;
    let first = start.elapsed();
    let seconds = Duration::from_secs_f64(args.seconds);
    let until = |share| args.runs.map_or(Until::Time(seconds / share), Until::Runs);
    let mut times = measure(&mut context, &inputs, &mut outputs, until(1))?;
    times.sort();
    let ms = |q: f64| times[((times.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3;
    let mean = times.iter().sum::<Duration>().as_secs_f64() * 1e3 / times.len() as f64;
    if args.json {
        let json = serde_json::json!({
            "median_ms": ms(0.5), "mean_ms": mean, "min_ms": ms(0.0), "p90_ms": ms(0.9), "max_ms": ms(1.0),
            "first_ms": first.as_secs_f64() * 1e3, "runs": times.len(), "threads": model.pool().threads(),
        });
        output::line!("{json}")?;
    } else {
        output::line!(
            "median {:.3} ms, mean {:.3}, min {:.3}, p90 {:.3}, max {:.3} ({}, {}; first run {:.3} ms)",
            ms(0.5),
            mean,
            ms(0.0),
            ms(0.9),
            ms(1.0),
            count(times.len(), "run"),
            count(model.pool().threads(), "thread"),
            first.as_secs_f64() * 1e3
        )?;
    }
    if args.profile || args.export_profile.is_some() {
        let roofline = match &machine {
            Some(profile) => profile.roofline(model.pool().threads()),
            None => Roofline::measure(model.pool().threads()),
        };
        context.start_profile();
        let runs = measure(&mut context, &inputs, &mut outputs, until(2))?;
        if args.profile {
            profile::print(&model, &context, &roofline, &runs)?;
        }
        if let Some(path) = &args.export_profile {
            trace::write(path, &model, &context, &roofline)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The inputs that are given, or random ones. Zeros would flatter: memory that nobody wrote is one page of
/// zeros, however large the tensor is, and stays in the caches.
fn given_or_random(model: &Model, given: &[String]) -> Result<Vec<Tensor>, Vec<Diagnostic>> {
    if !given.is_empty() || model.signature().inputs.is_empty() {
        return load::to_runtime(&load::inputs(model, given)?);
    }
    let mut random = fastrand::Rng::with_seed(0);
    model
        .signature()
        .inputs
        .iter()
        .filter(|info| info.default.is_none())
        .map(|info| {
            let dims: Option<Vec<i64>> = info.dims.iter().map(|d| d.expr.as_const()).collect();
            let message = format!("input '{}' has the symbolic shape {}", info.name, info.shape_text());
            let hint = "give it with --input; or, where a model is compiled here, its sizes with --shape";
            let dims = dims.ok_or_else(|| one(Diagnostic::user(message).hint(hint)))?;
            let mut tensor = Tensor::zeros(info.dtype, &dims).map_err(|e| runtime_error(&e))?;
            let dtype = ir_dtype(info.dtype);
            if dtype.is_float() {
                let mut element = Vec::with_capacity(dtype.size());
                for place in tensor.data_mut().chunks_exact_mut(dtype.size()) {
                    element.clear();
                    push_element(dtype, &mut element, Element::Float(random.f64() * 2.0 - 1.0));
                    place.copy_from_slice(&element);
                }
            }
            Ok(tensor)
        })
        .collect()
}

/// When to stop measuring.
enum Until {
    /// After that time, and at least three runs.
    Time(Duration),
    /// After that many runs.
    Runs(usize),
}

/// Times runs, in order.
fn measure(
    context: &mut Context,
    inputs: &[mlcc_runtime::TensorRef<'_>],
    outputs: &mut [Tensor],
    until: Until,
) -> Result<Vec<Duration>, Vec<Diagnostic>> {
    let mut times = Vec::new();
    let began = Instant::now();
    loop {
        let over = match until {
            Until::Time(time) => times.len() >= 3 && began.elapsed() >= time,
            Until::Runs(runs) => times.len() >= runs.max(1),
        };
        if over {
            break;
        }
        let start = Instant::now();
        let mut targets: Vec<TensorMut<'_>> = outputs.iter_mut().map(Tensor::as_mut).collect();
        context.run(inputs, &mut targets).map_err(|e| runtime_error(&e))?;
        times.push(start.elapsed());
    }
    Ok(times)
}

/// The variant of a kernel's decision.
fn variant(decision: &str) -> &str {
    decision.split(':').next().unwrap_or_default()
}
