//! `mlcc inspect FILE`: what is in an artifact.

use super::{Outcome, one, output};
use mlcc_format::Artifact;
use mlcc_ir::diagnostic::Diagnostic;
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
    /// Print the decisions: the schedule's steps of each kernel.
    #[arg(long)]
    decisions: bool,
    /// Print the plan's instructions.
    #[arg(long)]
    plan: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let failed = |e: mlcc_format::FormatError| super::runtime_error(&e.into());
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
    if !manifest.flags.is_empty() {
        output::line!("flags     {}", manifest.flags.join(" "))?;
    }
    let counts = &manifest.counts;
    output::line!(
        "steps     {} kernel launches, {} views, {} runtime calls",
        counts.kernels,
        counts.views,
        counts.runtime_calls
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
