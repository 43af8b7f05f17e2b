//! The `mlcc` command.

fn main() -> std::process::ExitCode {
    mlcc::cli::main()
}
