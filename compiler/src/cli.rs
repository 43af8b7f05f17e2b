//! The command line. One file per subcommand, each with its `Args` and `run`.
//!
//! Data goes to stdout, talk to stderr. Exit codes: 0, or by whose fault an error is: 1 the user's,
//! 2 unsupported, 3 a bug in mlcc.

mod bench;
mod compile;
mod compiling;
mod docs;
mod dumped;
mod explain;
mod inspect;
mod kind;
mod load;
mod machine;
mod opt;
mod output;
mod run;
mod test;

use clap::{Parser, Subcommand};
use mlcc_ir::diagnostic::{Diagnostic, Fault};
use std::{io::IsTerminal, process::ExitCode};

/// Compiles neural networks: an ONNX model in, one file that a small runtime executes out.
#[derive(Debug, Parser)]
#[command(name = "mlcc", version, arg_required_else_help = true)]
struct Cli {
    /// Log more: -v phases, -vv passes, -vvv everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compile a model to an artifact, or to the IR of a level.
    Compile(compile::Args),
    /// Run an artifact or a model on inputs.
    Run(run::Args),
    /// Time an artifact or a model.
    Bench(bench::Args),
    /// Run ONNX test directories: model.onnx, `test_data_set_K`/{input,output}_I.pb.
    Test(test::Args),
    /// Run passes on a level's text.
    Opt(opt::Args),
    /// Show what is in an artifact.
    Inspect(inspect::Args),
    /// Measure this machine, as an input of decisions.
    Machine(machine::Args),
    /// Write the generated reference of passes and operations.
    #[command(hide = true)]
    Docs(docs::Args),
}

/// Result of a subcommand: the process's exit code, or what went wrong.
type Outcome = Result<ExitCode, Vec<Diagnostic>>;

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    start_logging(cli.verbose);
    let run = || match cli.command {
        Command::Compile(args) => compile::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Opt(args) => opt::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Machine(args) => machine::run(&args),
        Command::Docs(args) => docs::run(&args),
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err(vec![Diagnostic::internal("mlcc panicked; the message above says where")]));
    match outcome {
        Ok(code) => code,
        Err(diagnostics) => report(&diagnostics),
    }
}

/// Prints what clap has to say: help on stdout, or what is wrong with the arguments on stderr. The latter
/// is the user's fault, whereas clap's own exit code for it means something else here.
fn usage(error: &clap::Error) -> ExitCode {
    // There is nobody to tell if the terminal is gone.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(Fault::User.exit_code()) } else { ExitCode::SUCCESS }
}

fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("MLCC_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    // https://no-color.org: set and not empty.
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !no_color);
    // A second subscriber can only come from an embedding program, whose own then stays.
    let _ = subscriber.try_init();
}

/// Prints all diagnostics; the exit code is that of the gravest.
#[expect(clippy::print_stderr, reason = "the command line talks on stderr")]
fn report(diagnostics: &[Diagnostic]) -> ExitCode {
    for diagnostic in diagnostics {
        eprintln!("{diagnostic}");
    }
    if diagnostics.len() > 1 {
        eprintln!("\n{} problems", diagnostics.len());
    }
    let gravest = diagnostics.iter().map(|d| d.fault.exit_code()).max();
    ExitCode::from(gravest.unwrap_or(Fault::Internal.exit_code()))
}

/// A diagnostic alone.
fn one(diagnostic: Diagnostic) -> Vec<Diagnostic> {
    vec![diagnostic]
}

/// An error of the runtime.
fn runtime_error(error: &mlcc_runtime::Error) -> Vec<Diagnostic> {
    one(crate::runtime_error::diagnostic(error))
}

/// A file that cannot be written.
fn write_error(path: &std::path::Path, error: &std::io::Error) -> Vec<Diagnostic> {
    one(Diagnostic::user(format!("cannot write '{}': {error}", path.display())))
}
