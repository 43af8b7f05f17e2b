//! PTX of small kernels as snapshots; with `MLCC_PTXAS` set to a `ptxas`, it is assembled too.

use super::{compile_program_to_ptx, compile_to_ptx};
use crate::samples;
use mlcc_ir::kernel::Kernel;
use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Assembles a text without warnings and returns the report of `ptxas` on registers and spills; `None`
/// without a `ptxas`.
fn assemble(text: &str, arch: &str) -> Option<String> {
    let ptxas = std::env::var_os("MLCC_PTXAS")?;
    let mut child = Command::new(ptxas)
        .args(["--warning-as-error", "-v", "-arch", arch, "-o", "/dev/null", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("MLCC_PTXAS runs");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("ptxas reads");
    let output = child.wait_with_output().expect("ptxas ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{text}");
    Some(said)
}

fn kernels() -> Vec<Kernel> {
    vec![
        samples::elementwise(["2", "3", "100"]),
        samples::elementwise(["n", "c", "w"]),
        samples::softmax("3", "1000"),
        samples::softmax("r", "n"),
        samples::layer_norm("n", "768"),
        samples::matmul(["2", "70", "130", "33"]),
        samples::matmul(["1", "1024", "1024", "1024"]),
        samples::matmul(["b", "m", "n", "k"]),
        samples::patches("23", "130", false),
        samples::patches("l", "c", false),
        samples::patches("l", "3", true),
    ]
}

#[test]
fn elementwise_ptx() {
    let text = compile_to_ptx(&samples::elementwise(["2", "3", "100"]), "sm_80").unwrap();
    assemble(&text, "sm_80");
    insta::assert_snapshot!(text);
}

#[test]
fn softmax_ptx() {
    let text = compile_to_ptx(&samples::softmax("r", "n"), "sm_80").unwrap();
    assemble(&text, "sm_80");
    insta::assert_snapshot!(text);
}

#[test]
fn matmul_ptx() {
    let text = compile_to_ptx(&samples::matmul(["1", "64", "64", "32"]), "sm_80").unwrap();
    assemble(&text, "sm_80");
    insta::assert_snapshot!(text);
}

#[test]
fn a_program_is_one_module_with_unique_entries() {
    let kernels = kernels();
    let kernels: Vec<&Kernel> = kernels.iter().collect();
    for arch in ["sm_80", "sm_90"] {
        let module = compile_program_to_ptx(&kernels, arch).unwrap();
        assert_eq!(module, compile_program_to_ptx(&kernels, arch).unwrap(), "the text changed");
        assert_eq!(module.text.matches(".version").count(), 1);
        for (entry, kernel) in module.entries.iter().zip(&kernels) {
            let declaration = format!(".visible .entry {}(", entry.name);
            assert_eq!(module.text.matches(&declaration).count(), 1, "{declaration}");
            assert!(entry.name.starts_with(&format!("mlcc_{}", kernel.name)));
        }
        if let Some(said) = assemble(&module.text, arch) {
            assert!(
                !said
                    .lines()
                    .any(|l| l.contains("spill") && !l.contains("0 bytes spill stores, 0 bytes spill loads")),
                "{said}"
            );
        }
    }
}

#[test]
fn large_products_keep_their_tile_in_registers() {
    let text = compile_to_ptx(&samples::matmul(["1", "1024", "1024", "1024"]), "sm_80").unwrap();
    assert!(text.matches("fma.rn.f32").count() >= 256, "64 products for each of 4 unrolled points");
    assert!(text.contains("ld.shared.v4"), "fragments are read as vectors");
    assert!(!text.contains(".local"), "the tile is in registers");
}

#[test]
fn an_unknown_architecture_is_the_users_error() {
    let error = compile_to_ptx(&samples::softmax("3", "5"), "sm_1").unwrap_err();
    assert_eq!(error.message, "the GPU architecture 'sm_1' is not known");
    assert!(error.hint.unwrap().contains("sm_80"));
}

#[test]
fn machines_of_every_architecture_are_known() {
    for name in super::architectures() {
        assert!(mlcc_machine::KernelRates::knows_gpu(name), "{name}");
    }
}
