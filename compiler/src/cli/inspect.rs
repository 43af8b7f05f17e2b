//! `mlcc inspect FILE`: what is in an artifact.

use super::{Outcome, one};
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
    /// Print the plan's instructions.
    #[arg(long)]
    plan: bool,
}

#[expect(clippy::print_stdout, reason = "the listing is the data that was asked for")]
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
        println!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("model     {} (compiled by mlcc {})", manifest.model, manifest.compiler);
    println!("target    {} {}", manifest.target.triple, manifest.target.cpu);
    for (kind, values) in [("input", &manifest.signature.inputs), ("output", &manifest.signature.outputs)] {
        for value in values {
            println!("{kind:<9} {} {} {}", value.name, value.dtype.name(), value.shape_text());
        }
    }
    if !manifest.flags.is_empty() {
        println!("flags     {}", manifest.flags.join(" "));
    }
    let counts = &manifest.counts;
    println!(
        "steps     {} kernel launches, {} views, {} runtime calls, 0 interpreted",
        counts.kernels, counts.views, counts.runtime_calls
    );
    println!("arena     {} bytes", artifact.plan().arena_bytes);
    println!("weights   {} bytes{}", artifact.weights().len(), if args.verify { ", verified" } else { "" });
    println!("kernels   {}", manifest.kernels.len());
    for kernel in &manifest.kernels {
        println!("  {}  [{}]", kernel.name, kernel.decision);
        println!("      {}", kernel.nodes.join(", "));
    }
    if args.plan {
        for (i, block) in artifact.plan().blocks.iter().enumerate() {
            println!("block {i}");
            for instruction in &block.instructions {
                println!("  {instruction:?}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
