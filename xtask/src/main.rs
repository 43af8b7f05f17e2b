//! The project's own commands: `cargo xtask demo`, `cargo xtask test` and the steps they consist of.
//!
//! One file per subcommand, each with its `Args` and `run`. This crate builds with nothing but cargo
//! and a C compiler's linker, since `cargo xtask setup` is what installs the rest.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program that talks")]

mod artifacts;
mod bench;
mod bless;
mod cases;
mod compare;
mod conformance;
mod damage;
mod demo;
mod docs;
mod emulation;
mod fuzz;
mod host;
mod loom;
mod process;
mod ptxas;
mod replay;
mod rules;
mod setup;
mod stamp;
mod steps;
mod test;
mod tidy;
mod unit;
mod workspace;
mod zoo;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Everything done to this repository beyond `cargo build`
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing: LLVM 22 by apt, the tests' Python packages into build/python
    Setup,
    /// Compile and run a real network, with the time of each phase and the dumps of the IR
    Demo(demo::Args),
    /// Check everything that CI checks
    Test(test::Args),
    /// Check the sources against the project's rules
    Tidy,
    /// Write networks of testdata/zoo as ordinary ONNX files
    Zoo(zoo::Args),
    /// Write the ONNX node tests of the pinned onnx package as test directories
    ConformanceData(conformance::DataArgs),
    /// Time mlcc against ONNX Runtime and OpenVINO
    Compare(compare::Args),
    /// Time single kernels against ONNX Runtime, OpenVINO and the memory's bandwidth
    Bench(bench::Args),
    /// Find rewrite rules, and put every rule through its gates
    Rules(rules::Args),
    /// Damage 100 000 artifacts; each must be refused or give the right values
    Damage(cases::Args),
    /// Feed 100 000 damaged texts and models to the parsers; each must give a value or an error
    Fuzz(fuzz::Args),
    /// Check the thread pool in every order of its operations, by loom
    Loom(loom::Args),
    /// Hash what networks compile to for several CPUs, to see whether a change leaves code as it is
    Artifacts(artifacts::Args),
    /// Go on from every dump of networks, and from their decisions: each must end in the same artifact
    Replay(replay::Args),
    /// Fetch NVIDIA's PTX assembler into build/ and print its path
    Ptxas,
    /// Accept all changed snapshots and regenerate the reference pages
    Bless,
    /// Generate the reference pages from the built mlcc
    Docs(docs::Args),
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", process::describe(&error));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    match command {
        Command::Setup => setup::run(&workspace),
        Command::Demo(args) => demo::run(&workspace, &args),
        // Its summary is its last word, whatever came out.
        Command::Test(args) => return test::run(&workspace, &args),
        Command::Tidy => tidy::run(&workspace),
        Command::Zoo(args) => zoo::run(&workspace, &args),
        Command::ConformanceData(args) => conformance::write_data(&workspace, &args),
        Command::Compare(args) => compare::run(&workspace, &args),
        Command::Bench(args) => bench::run(&workspace, &args),
        Command::Rules(args) => rules::run(&workspace, &args),
        Command::Damage(args) => damage::run(&workspace, &args),
        Command::Fuzz(args) => fuzz::run(&workspace, &args),
        Command::Loom(args) => loom::run(&workspace, &args),
        Command::Artifacts(args) => artifacts::run(&workspace, &args),
        Command::Replay(args) => replay::run(&workspace, &args),
        Command::Ptxas => ptxas::run(&workspace),
        Command::Bless => bless::run(&workspace),
        Command::Docs(args) => docs::run(&workspace, &args),
    }?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
