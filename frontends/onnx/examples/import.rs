//! Imports models and counts: `import [-v] FILE_OR_FOLDER...`. From a folder it takes `*/model.onnx` and
//! `*.onnx`. `-v` prints the graphs' operators; `--values` lets import rely on the inputs of a node
//! test's first data set.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use mlcc_onnx::{ImportOptions, Imported, import, input_names, read_tensor_file};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

fn models(path: &Path, into: &mut Vec<PathBuf>) {
    if path.is_file() {
        into.push(path.to_owned());
        return;
    }
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.flatten().map(|e| e.path()) {
        if entry.join("model.onnx").is_file() {
            into.push(entry.join("model.onnx"));
        } else if entry.extension().is_some_and(|e| e == "onnx") {
            into.push(entry);
        }
    }
}

/// Outputs whose inferred type differs from the type of the node test's expected output.
fn mismatches(file: &Path, model: &Imported) -> Vec<String> {
    let mut lines = Vec::new();
    for (i, (name, id)) in model.graph.outputs.iter().enumerate() {
        let path = file.with_file_name("test_data_set_0").join(format!("output_{i}.pb"));
        let Ok(expected) = read_tensor_file(&path) else { continue };
        let ty = &model.graph.value(*id).ty;
        let same = ty.rank() == expected.dims.len()
            && ty.dims.iter().zip(&expected.dims).all(|(d, n)| d.as_const().is_none_or(|d| d == *n));
        if !same || ty.dtype != expected.dtype {
            lines.push(format!("output '{name}' is {ty} but should be {}", expected.ty()));
        }
    }
    lines
}

fn main() {
    let mut files = Vec::new();
    let (mut verbose, mut with_values) = (false, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "-v" => verbose = true,
            "--values" => with_values = true,
            path => models(Path::new(path), &mut files),
        }
    }
    files.sort();
    let (mut imported, mut reasons) = (0, BTreeMap::<String, usize>::new());
    for file in &files {
        let mut options = ImportOptions::default();
        if with_values {
            for (i, name) in input_names(file).unwrap_or_default().into_iter().enumerate() {
                let data = file.with_file_name("test_data_set_0").join(format!("input_{i}.pb"));
                if let Ok(tensor) = read_tensor_file(&data) {
                    options.values.insert(name, tensor);
                }
            }
        }
        match import(file, &options) {
            Ok(model) => {
                imported += 1;
                if with_values {
                    for line in mismatches(file, &model) {
                        println!("MISMATCH {}: {line}", file.display());
                    }
                }
                if verbose {
                    println!("{}: {} nodes", file.display(), model.graph.nodes.len());
                    for node in &model.graph.nodes {
                        let types: Vec<_> =
                            node.results.iter().map(|&r| model.graph.value(r).ty.to_string()).collect();
                        println!("  {} -> {}  {:?}", node.op, types.join(", "), node.attrs.0);
                    }
                }
            }
            Err(diagnostics) => {
                let first = &diagnostics[0];
                println!("{}: {}", file.display(), first.to_string().replace('\n', " "));
                let op = first.location.as_ref().map_or("", |l| &l.op_type);
                *reasons.entry(format!("{:?} {op}", first.fault)).or_default() += 1;
            }
        }
    }
    for (reason, count) in reasons {
        println!("{count:5} {reason}");
    }
    println!("{imported} of {} imported", files.len());
}
