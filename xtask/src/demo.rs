//! `cargo xtask demo`: from a bare machine to a running network, with everything there is to see.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::{self, python};
use crate::workspace::Workspace;
use crate::{process, zoo};

/// How many of the dumped files are named.
const SHOWN_DUMPS: usize = 5;

/// Arguments of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which network of testdata/zoo (a classifier of images)
    #[arg(default_value = "squeezenet1_1")]
    network: String,
    /// How long to measure the latency, in seconds
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// Runs `cargo xtask demo`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    setup::run(workspace)?;
    let mlcc = workspace.build_mlcc()?;
    let names = [args.network.clone()];
    let zoo = zoo::cached(workspace, zoo::Set::Main, &names)?;
    let model = zoo.join(format!("{}.onnx", args.network));
    let inputs = inputs(&zoo.join(&args.network));

    let folder = workspace.build().join("demo");
    // Dumps of an earlier run would be taken for this one's.
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder)?;
    let (artifact, dumps, out) =
        (folder.join(format!("{}.mlcc", args.network)), folder.join("ir"), folder.join("output"));

    heading("compile: the time of each phase");
    let mut compile = Command::new(&mlcc);
    compile.arg("compile").arg(&model).arg("--dump-ir").arg(&dumps).arg("-o").arg(&artifact);
    process::run(&mut compile)?;

    heading("run: the five likeliest classes (the weights are random: see testdata/zoo/README.md)");
    let threads = std::thread::available_parallelism()?.to_string();
    let mut execute = Command::new(&mlcc);
    execute.arg("run").arg(&artifact).args(["--threads", &threads]);
    process::run(with_inputs(&mut execute, &inputs).arg("--output-dir").arg(&out))?;
    let mut show = Command::new(python::ensure(workspace, python::TEST_TOOLS)?);
    show.arg(workspace.root.join("testdata/show_result.py")).arg(&model).arg(out.join("output_0.npy"));
    process::run(show.args(&inputs))?;

    heading("bench: the latency");
    let mut bench = Command::new(&mlcc);
    bench.arg("bench").arg(&artifact).args(["--threads", &threads, "--seconds", &args.seconds.to_string()]);
    let report = process::output(with_inputs(&mut bench, &inputs).arg("--json"))?;
    let report: serde_json::Value = serde_json::from_str(&report).context("`mlcc bench --json`")?;
    let median = report.get("median_ms").and_then(serde_json::Value::as_f64);
    let median = median.context("`mlcc bench --json` gave no median_ms")?;
    println!("median latency: {median:.3} ms on {threads} threads");

    heading("the IR after each pass that changed something");
    let files = dumped(&dumps)?;
    println!("{} files in {}", files.len(), dumps.display());
    for file in files.iter().take(SHOWN_DUMPS) {
        println!("    {file}");
    }
    if files.len() > SHOWN_DUMPS {
        println!("    ...");
    }
    Ok(())
}

fn heading(text: &str) {
    println!("\n== {text}");
}

/// `input_0.npy`, `input_1.npy`, ... as far as they exist.
fn inputs(folder: &Path) -> Vec<PathBuf> {
    (0..).map(|index| folder.join(format!("input_{index}.npy"))).take_while(|file| file.exists()).collect()
}

fn with_inputs<'a>(command: &'a mut Command, inputs: &[PathBuf]) -> &'a mut Command {
    for input in inputs {
        command.arg("--input").arg(input);
    }
    command
}

/// The names of the dumps, in the order of the passes.
fn dumped(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("`mlcc compile --dump-ir` wrote no {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
