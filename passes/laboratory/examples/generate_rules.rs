//! Finds rewrite rules and writes the page of them: `cargo xtask rules`.
//!
//! `generate_rules PAGE [FAMILY ..]`

use mlcc_laboratory::generate;
use std::process::ExitCode;

/// Instances of each rule that the gates compare.
const INSTANCES: usize = 200;

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(page) = arguments.next() else {
        println!("expected the path of a page");
        return ExitCode::FAILURE;
    };
    match run(&page, arguments.collect()) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(page: &str, families: Vec<String>) -> Result<generate::Summary, String> {
    let rules = mlcc_rewriting::rules().map_err(|e| e.to_string())?;
    let axioms = mlcc_laboratory::axioms().map_err(|e| e.to_string())?;
    let settings = generate::Settings { small: false, families, instances: INSTANCES };
    let generated =
        generate::generate(&settings, &axioms.iter().collect::<Vec<_>>()).map_err(|e| e.to_string())?;
    let comparison = generate::compare(&generated, rules, axioms).map_err(|e| e.to_string())?;
    let text = generate::markdown(&generated, &comparison).map_err(|e| e.to_string())?;
    std::fs::write(page, text).map_err(|e| format!("cannot write {page}: {e}"))?;
    Ok(generate::summary(&generated, &comparison))
}
