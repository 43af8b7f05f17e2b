//! `mlcc run FILE`: runs an artifact or a model on inputs.

use super::{Outcome, compiling::Compiling, load, one, output, runtime_error, write_error};
use crate::{format_types::ir_dtype, npy};
use mlcc_ir::{
    dtype::DType,
    tensor::{Element, push_element, read_element},
};
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
    /// Do not compare an artifact's weights with their checksum, for which the whole file is read.
    #[arg(long)]
    trust_weights: bool,
    #[command(flatten)]
    compiling: Compiling,
}

/// So many elements of an output are printed.
const SHOWN: usize = 8;

pub(super) fn run(args: &Args) -> Outcome {
    let model = load::model(&args.file, args.threads, args.trust_weights, &args.compiling)?;
    let inputs = load::to_runtime(&load::inputs(&model, &args.input)?)?;
    let outputs = model.run_owned(&load::refs(&inputs)).map_err(|e| runtime_error(&e))?;
    if let Some(folder) = &args.output_dir {
        std::fs::create_dir_all(folder).map_err(|e| write_error(folder, &e))?;
    }
    for (i, (output, info)) in outputs.iter().zip(&model.signature().outputs).enumerate() {
        let dtype = ir_dtype(output.dtype());
        match &args.output_dir {
            Some(folder) => {
                let path = folder.join(format!("output_{i}.npy"));
                npy::write(&path, dtype, output.dims(), output.data()).map_err(one)?;
            }
            None => {
                let elements = output.data().len() / dtype.size();
                let values: Vec<String> = (0..elements.min(SHOWN))
                    .map(|e| shown(dtype, read_element(dtype, output.data(), e)))
                    .collect();
                let dots = if elements > SHOWN { ", ..." } else { "" };
                let (dtype, dims) = (info.dtype.name(), output.dims());
                output::line!("{} {dtype} {dims:?}: {}{dots}", info.name, values.join(", "))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An element with the digits that its type has: as few as tell it from its neighbours.
pub(super) fn shown(dtype: DType, element: Element) -> String {
    let value = match element {
        Element::Int(value) => return value.to_string(),
        Element::UInt(value) => return value.to_string(),
        Element::Float(value) => value,
    };
    let bits = |value: f64| {
        let mut data = Vec::with_capacity(dtype.size());
        push_element(dtype, &mut data, Element::Float(value));
        data
    };
    let rounded = (0..17).filter_map(|digits| format!("{value:.digits$e}").parse::<f64>().ok());
    let value = rounded.into_iter().find(|r| bits(*r) == bits(value)).unwrap_or(value);
    // Beyond these, digits would drown in zeros.
    let plain = value == 0.0 || !value.is_finite() || (1e-5..1e16).contains(&value.abs());
    if plain { value.to_string() } else { format!("{value:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_of_their_type() {
        let float = |dtype, value| {
            let mut data = Vec::new();
            push_element(dtype, &mut data, Element::Float(value));
            shown(dtype, read_element(dtype, &data, 0))
        };
        for (dtype, text) in [
            (DType::F32, "0.1"),
            (DType::F32, "3.4028235e38"),
            (DType::F32, "1e-45"),
            (DType::F32, "16777216"),
            (DType::F64, "0.1"),
            (DType::F64, "0.30000000000000004"),
            (DType::F16, "0.1"),
            (DType::F16, "65500"),
            (DType::BF16, "0.1"),
            (DType::F32, "-0"),
            (DType::F32, "NaN"),
            (DType::F32, "-inf"),
        ] {
            assert_eq!(float(dtype, text.parse().unwrap()), text, "{dtype}");
        }
        assert_eq!(shown(DType::U64, Element::UInt(u64::MAX)), u64::MAX.to_string());
        assert_eq!(shown(DType::I64, Element::Int(i64::MIN + 1)), (i64::MIN + 1).to_string());
    }
}
