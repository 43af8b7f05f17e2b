//! `mlcc inspect FILE`: what is in an artifact.

use super::{Outcome, kind::FileKind, one, output};
use mlcc_format::{Artifact, Condition};
use mlcc_ir::diagnostic::{Diagnostic, count};
use std::{path::PathBuf, process::ExitCode};

/// Which artifact, how much of it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An artifact.
    file: PathBuf,
    /// Check the weights' checksum too.
    #[arg(long)]
    verify: bool,
    /// Print the manifest as JSON.
    #[arg(long)]
    json: bool,
    /// Print the decisions: for each kernel the templates that were tried and why they did not take it, and the
    /// schedule's steps.
    #[arg(long)]
    decisions: bool,
    /// Print the plan's instructions.
    #[arg(long)]
    plan: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let failed = |e: mlcc_format::FormatError| super::runtime_error(&e.into());
    if let Some(diagnostic) = FileKind::of(&args.file).instead_of_artifact(&args.file) {
        return Err(one(diagnostic));
    }
    let artifact = Artifact::open(&args.file).map_err(failed)?;
    if args.verify {
        artifact.verify_weights().map_err(failed)?;
    }
    let manifest = artifact.manifest();
    if args.json {
        let text = serde_json::to_string_pretty(manifest)
            .map_err(|e| one(Diagnostic::internal(format!("the manifest does not serialise: {e}"))))?;
        output::line!("{text}")?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line!("model     {} (compiled by mlcc {})", manifest.model, manifest.compiler)?;
    output::line!("target    {} {}", manifest.target.triple, manifest.target.cpu)?;
    if !manifest.machine.is_empty() {
        output::line!("machine   {}", manifest.machine)?;
    }
    for (kind, values) in [("input", &manifest.signature.inputs), ("output", &manifest.signature.outputs)] {
        for value in values {
            let default = if value.default.is_some() { " with a default" } else { "" };
            output::line!("{kind:<9} {} {} {}{default}", value.name, value.dtype.name(), value.shape_text())?;
        }
    }
    if !manifest.symbols.is_empty() {
        output::line!("symbols   {}", symbols(&artifact).join(", "))?;
    }
    if !manifest.flags.is_empty() {
        output::line!("flags     {}", manifest.flags.join(" "))?;
    }
    let counts = &manifest.counts;
    output::line!(
        "steps     {}, {}, {}",
        count(counts.kernels, "kernel launch"),
        count(counts.views, "view"),
        count(counts.runtime_calls, "runtime call")
    )?;
    let memory = artifact.plan().memory_use();
    output::line!("arena     {} bytes, and {} of scratch for each thread", memory.arena, memory.scratch)?;
    output::line!(
        "          {} alive at most in this order, scratch included{}",
        memory.peak_live,
        manifest
            .file_order_peak_bytes
            .map_or(String::new(), |bytes| format!("; {bytes} in the order of the model's file"))
    )?;
    output::line!(
        "weights   {} bytes{}",
        artifact.weights().len(),
        if args.verify { ", verified" } else { "" }
    )?;
    output::line!("kernels   {}", manifest.kernels.len())?;
    for kernel in &manifest.kernels {
        let (variant, steps) = kernel.decision.split_once(':').unwrap_or((&kernel.decision, ""));
        output::line!("  {}  [{variant}]", kernel.name)?;
        output::line!("      {}", kernel.nodes.join(", "))?;
        if args.decisions {
            for refused in &kernel.refused {
                output::line!("        not {}: {}", refused.template, refused.reason)?;
            }
            for step in steps.lines() {
                output::line!("        {}", step.trim())?;
            }
        }
    }
    if args.plan {
        for (i, block) in artifact.plan().blocks.iter().enumerate() {
            output::line!("block {i}")?;
            for instruction in &block.instructions {
                output::line!("  {instruction:?}")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The symbols, each with the sizes that the artifact runs for.
fn symbols(artifact: &Artifact) -> Vec<String> {
    let checks = &artifact.plan().checks;
    let range = |symbol: usize| {
        let mut bounds = (0, i64::MAX);
        for check in checks {
            if let Condition::Range { value, min, max } = &check.condition
                && *value == mlcc_format::Expr::Symbol(symbol as u32)
            {
                bounds = (bounds.0.max(*min), bounds.1.min(*max));
            }
        }
        bounds
    };
    let text = |(symbol, name): (usize, &String)| match range(symbol) {
        (0, i64::MAX) => format!("{name} any size"),
        (min, i64::MAX) => format!("{name} from {min}"),
        (min, max) => format!("{name} from {min} to {max}"),
    };
    artifact.manifest().symbols.iter().enumerate().map(text).collect()
}
