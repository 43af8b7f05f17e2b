//! `mlcc run FILE`: runs an artifact or a model on inputs.

use super::{Outcome, load, one, output, runtime_error, write_error};
use crate::npy;
use std::{path::PathBuf, process::ExitCode};

/// What to run, on what, where the results go.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An artifact, or an ONNX model that is compiled on the fly.
    file: PathBuf,
    /// An input: FILE.npy, FILE.pb or a literal such as 4xf32=1,2,3,4; by position, or NAME=... Repeatable.
    #[arg(long, value_name = "INPUT")]
    input: Vec<String>,
    /// Folder for the outputs, `output_I.npy`; without it they are printed, shortened.
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Threads; 0 means one for each CPU.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Take an artifact's weights as they are, without comparing them with their checksum, which reads all of the file.
    #[arg(long)]
    trust_weights: bool,
}

/// So many elements of an output are printed.
const SHOWN: usize = 8;

pub(super) fn run(args: &Args) -> Outcome {
    let model = load::model(&args.file, args.threads, args.trust_weights)?;
    let inputs = load::to_runtime(&load::inputs(&model, &args.input)?)?;
    let outputs = model.run_owned(&load::refs(&inputs)).map_err(|e| runtime_error(&e))?;
    if let Some(folder) = &args.output_dir {
        std::fs::create_dir_all(folder).map_err(|e| write_error(folder, &e))?;
    }
    for (i, (output, info)) in outputs.iter().zip(&model.signature().outputs).enumerate() {
        let dtype = load::ir_dtype(output.dtype());
        match &args.output_dir {
            Some(folder) => {
                let path = folder.join(format!("output_{i}.npy"));
                npy::write(&path, dtype, output.dims(), output.data()).map_err(one)?;
            }
            None => {
                let elements = output.data().len() / dtype.size();
                let shown: Vec<String> = (0..elements.min(SHOWN))
                    .map(|e| mlcc_ir::tensor::read_element(dtype, output.data(), e).to_f64().to_string())
                    .collect();
                let dots = if elements > SHOWN { ", ..." } else { "" };
                let (dtype, dims) = (info.dtype.name(), output.dims());
                output::line!("{} {dtype} {dims:?}: {}{dots}", info.name, shown.join(", "))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
