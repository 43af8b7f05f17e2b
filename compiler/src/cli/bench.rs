//! `mlcc bench FILE`: times runs from inputs in memory to outputs in memory.

use super::{Outcome, load, one, output, runtime_error};
use mlcc_ir::diagnostic::Diagnostic;
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
    /// An input, as for `run`. Inputs that are not given are zeros, if their shape is known.
    #[arg(long, value_name = "INPUT")]
    input: Vec<String>,
    /// Threads; 0 means one for each CPU.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// How long to measure, in seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Print one JSON object with `median_ms` and more.
    #[arg(long)]
    json: bool,
    /// Show the time of each kernel.
    #[arg(long)]
    profile: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    if !(args.seconds.is_finite() && args.seconds >= 0.0 && args.seconds <= 86_400.0) {
        return Err(one(Diagnostic::user("--seconds must be between 0 and 86400")));
    }
    let model = load::model(&args.file, args.threads)?;
    let given = given_or_zeros(&model, &args.input)?;
    let inputs = load::refs(&given);
    let mut context = model.context().map_err(|e| runtime_error(&e))?;
    let start = Instant::now();
    let mut outputs = context.run_owned(&inputs).map_err(|e| runtime_error(&e))?;
    let first = start.elapsed();
    let times = measure(&mut context, &inputs, &mut outputs, Duration::from_secs_f64(args.seconds))?;
    let ms = |q: f64| times[((times.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3;
    if args.json {
        let json = serde_json::json!({
            "median_ms": ms(0.5), "min_ms": ms(0.0), "p90_ms": ms(0.9), "max_ms": ms(1.0),
            "first_ms": first.as_secs_f64() * 1e3, "runs": times.len(), "threads": model.pool().threads(),
        });
        output::line!("{json}")?;
    } else {
        output::line!(
            "median {:.3} ms, min {:.3}, p90 {:.3}, max {:.3} ({} runs, {} threads; first run {:.3} ms)",
            ms(0.5),
            ms(0.0),
            ms(0.9),
            ms(1.0),
            times.len(),
            model.pool().threads(),
            first.as_secs_f64() * 1e3
        )?;
    }
    if args.profile {
        context.start_profile();
        measure(&mut context, &inputs, &mut outputs, Duration::from_secs_f64(args.seconds / 2.0))?;
        print_profile(&model, &context)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn given_or_zeros(model: &Model, given: &[String]) -> Result<Vec<Tensor>, Vec<Diagnostic>> {
    if !given.is_empty() || model.signature().inputs.is_empty() {
        return load::to_runtime(&load::inputs(model, given)?);
    }
    model
        .signature()
        .inputs
        .iter()
        .map(|info| {
            let dims: Option<Vec<i64>> = info.dims.iter().map(|d| d.expr.as_const()).collect();
            let message = format!("input '{}' has the symbolic shape {}", info.name, info.shape_text());
            let dims = dims.ok_or_else(|| one(Diagnostic::user(message).hint("give it with --input")))?;
            Tensor::zeros(info.dtype, &dims).map_err(|e| runtime_error(&e))
        })
        .collect()
}

/// Times runs for `time`, at least three; sorted.
fn measure(
    context: &mut Context,
    inputs: &[mlcc_runtime::TensorRef<'_>],
    outputs: &mut [Tensor],
    time: Duration,
) -> Result<Vec<Duration>, Vec<Diagnostic>> {
    let mut times = Vec::new();
    let end = Instant::now() + time;
    while times.len() < 3 || Instant::now() < end {
        let start = Instant::now();
        let mut targets: Vec<TensorMut<'_>> = outputs.iter_mut().map(Tensor::as_mut).collect();
        context.run(inputs, &mut targets).map_err(|e| runtime_error(&e))?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times)
}

/// Per kernel: time, share, rates, nodes; the slowest first.
fn print_profile(model: &Model, context: &Context) -> Result<(), Vec<Diagnostic>> {
    struct Row {
        kernel: u32,
        ms: f64,
        launches: u64,
        flops: f64,
        bytes: f64,
    }
    let mut rows: Vec<Row> = Vec::new();
    let known = |e: &mlcc_format::Expr| e.as_const().unwrap_or(0) as f64;
    for (profile, launch) in context.profile().iter().zip(model.plan().launches()) {
        let ms = profile.nanoseconds as f64 / 1e6 / profile.calls.max(1) as f64;
        let (flops, bytes) = (known(&launch.flops), known(&launch.bytes));
        match rows.iter_mut().find(|r| r.kernel == launch.kernel) {
            Some(row) => {
                row.ms += ms;
                row.launches += 1;
                row.flops += flops;
                row.bytes += bytes;
            }
            None => rows.push(Row { kernel: launch.kernel, ms, launches: 1, flops, bytes }),
        }
    }
    rows.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    let total: f64 = rows.iter().map(|r| r.ms).sum();
    output::line!("{:>9} {:>6} {:>5} {:>8} {:>7}  kernel", "ms", "share", "runs", "GFLOP/s", "GB/s")?;
    for row in &rows {
        let info = &model.manifest().kernels[row.kernel as usize];
        output::line!(
            "{:9.3} {:5.1}% {:5} {:8.1} {:7.1}  {}  [{}]  {}",
            row.ms,
            row.ms / total * 100.0,
            row.launches,
            row.flops / row.ms / 1e6,
            row.bytes / row.ms / 1e6,
            info.name,
            info.decision.split(':').next().unwrap_or_default(),
            info.nodes.first().map_or("", String::as_str),
        )?;
    }
    Ok(())
}
