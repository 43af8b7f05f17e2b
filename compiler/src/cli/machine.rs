//! `mlcc machine measure`: what this machine can do, as a profile that decisions are taken from.

use super::{Outcome, one, output, write_error};
use crate::{
    machine_profile::{Profile, VERSION},
    measure::{Caches, Rates},
    options::Options,
    target,
};
use std::{path::PathBuf, process::ExitCode};

/// What to do with machines.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Measure this machine for a few seconds and write its profile, for `mlcc compile --machine` and
    /// `mlcc bench --machine`. Nothing else should run meanwhile.
    Measure(Measure),
    /// Say whether this machine runs code for a CPU, as is decided when an artifact is loaded.
    Check(Check),
}

#[derive(Debug, clap::Args)]
struct Check {
    /// The CPU, as for `mlcc compile`.
    #[arg(long, default_value = "host", value_name = "CPU")]
    target_cpu: String,
}

#[derive(Debug, clap::Args)]
struct Measure {
    /// Where to write the profile, `-` for stdout.
    #[arg(short, long, default_value = "-")]
    output: PathBuf,
}

pub(super) fn run(args: &Args) -> Outcome {
    let args = match &args.command {
        Command::Measure(args) => args,
        Command::Check(args) => return check(&args.target_cpu),
    };
    let text = measure()?;
    if args.output.as_os_str() == "-" {
        output::line!("{text}")?;
    } else {
        std::fs::write(&args.output, text + "\n").map_err(|e| write_error(&args.output, &e))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check(cpu: &str) -> Outcome {
    let described = target::described(&mlcc_llvm::Target::named(cpu).map_err(one)?);
    mlcc_runtime::check_target(&described).map_err(|e| super::runtime_error(&e))?;
    output::line!("this machine runs code for the CPU '{}'", described.cpu)?;
    Ok(ExitCode::SUCCESS)
}

fn measure() -> Result<String, Vec<mlcc_ir::diagnostic::Diagnostic>> {
    let host = mlcc_llvm::Target::named("host").map_err(one)?;
    let known = target::machine_for(&host, &Options::default()).map_err(one)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let caches = Caches::of_this_machine();
    let one_core = Rates::measure(1);
    let all_cores = if cores == 1 { one_core } else { Rates::measure(cores) };
    let profile = Profile {
        mlcc_machine_profile: VERSION,
        cpu: host.cpu,
        cores: cores as u32,
        vector_bits: known.vector_bits,
        vector_registers: known.vector_registers,
        l1_bytes: caches.l1,
        l1_ways: caches.l1_ways,
        l2_bytes: caches.l2,
        last_cache_bytes: caches.last,
        one_core,
        all_cores,
    };
    profile.text().map_err(one)
}
