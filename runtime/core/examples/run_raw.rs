//! Runs an artifact on inputs without any file format: `run_raw ARTIFACT THREADS OUTPUT_DIR INPUT...`.
//!
//! Each INPUT is `DIMSxTYPE=FILE` as in `1x3x224x224xf32=image.bin`: a row-major array, little endian.
//! Output I goes to `OUTPUT_DIR/output_I.bin`, and its type and shape are printed in the same form. The
//! program needs nothing but the runtime, so it can be built for machines on which the compiler does not
//! run.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program that talks")]

use mlcc_runtime::{DType, LoadOptions, Model, Tensor};
use std::{error::Error, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [artifact, threads, folder, inputs @ ..] = arguments else {
        return Err("expected ARTIFACT THREADS OUTPUT_DIR INPUT...".into());
    };
    let options = LoadOptions { threads: threads.parse()?, ..LoadOptions::default() };
    let model = Model::load_with(artifact, &options)?;
    let inputs = inputs.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
    let inputs: Vec<_> = inputs.iter().map(Tensor::as_ref).collect();
    for (i, output) in model.run_owned(&inputs)?.iter().enumerate() {
        std::fs::write(Path::new(folder).join(format!("output_{i}.bin")), output.data())?;
        let dims: String = output.dims().iter().map(|d| format!("{d}x")).collect();
        println!("{dims}{}", output.dtype());
    }
    Ok(())
}

fn read(text: &str) -> Result<Tensor, Box<dyn Error>> {
    let (head, path) = text.split_once('=').ok_or("an input is DIMSxTYPE=FILE")?;
    let (dims, dtype) = head.rsplit_once('x').unwrap_or(("", head));
    let dtype = DType::ALL.into_iter().find(|d| d.name() == dtype).ok_or("unknown element type")?;
    let dims = dims.split('x').filter(|d| !d.is_empty()).map(str::parse).collect::<Result<Vec<i64>, _>>()?;
    let bytes = std::fs::read(path)?;
    let mut tensor = Tensor::zeros(dtype, &dims)?;
    if tensor.data().len() != bytes.len() {
        return Err(format!("{path} holds {} bytes, not {}", bytes.len(), tensor.data().len()).into());
    }
    tensor.data_mut().copy_from_slice(&bytes);
    Ok(tensor)
}
