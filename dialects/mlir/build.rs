//! Generates the dialects' C++ from TableGen and compiles the bridge to Rust.

use std::{path::Path, process::Command};

/// C++ that is generated from each dialect: mlir-tblgen's mode and the file's suffix.
const GENERATED: [(&str, &str); 6] = [
    ("gen-dialect-decls", "dialect.h.inc"),
    ("gen-dialect-defs", "dialect.cpp.inc"),
    ("gen-op-decls", "ops.h.inc"),
    ("gen-op-defs", "ops.cpp.inc"),
    ("gen-attrdef-decls", "attributes.h.inc"),
    ("gen-attrdef-defs", "attributes.cpp.inc"),
];

/// The dialects: folder, which is also the prefix of what is generated, and MLIR's name.
const DIALECTS: [(&str, &str); 3] = [("graph", "graph"), ("tensor", "te"), ("loop", "loop")];

fn main() {
    let prefix = std::env::var("MLIR_SYS_220_PREFIX").unwrap_or_else(|_| "/usr/lib/llvm-22".into());
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    println!("cargo:rerun-if-env-changed=MLIR_SYS_220_PREFIX");
    for (folder, dialect) in DIALECTS {
        println!("cargo:rerun-if-changed={folder}");
        let source = format!("{folder}/Ops.td");
        if !Path::new(&source).exists() {
            continue;
        }
        let modes = GENERATED.map(|(mode, suffix)| (mode, format!("{dialect}_{suffix}")));
        let docs = [("gen-dialect-doc", format!("{dialect}.md"))];
        for (mode, file) in modes.into_iter().chain(docs) {
            generate(&prefix, &source, mode, dialect, &format!("{out}/{file}"));
        }
    }
    println!("cargo:rerun-if-changed=bridge.cpp");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .compiler("clang++-22")
        .flag("-fno-rtti")
        .flag("-Wno-unused-parameter")
        .flag("-Wno-deprecated-declarations")
        .include(format!("{prefix}/include"))
        .include(&out)
        .file("bridge.cpp")
        .compile("mlcc_bridge");
}

fn generate(prefix: &str, source: &str, mode: &str, dialect: &str, target: &str) {
    let status = Command::new(format!("{prefix}/bin/mlir-tblgen"))
        .args([&format!("-{mode}"), source, "-I", &format!("{prefix}/include"), "-I", "."])
        .args([&format!("-dialect={dialect}"), "-o", target])
        .status()
        .unwrap_or_else(|e| panic!("mlir-tblgen of LLVM 22 in {prefix}/bin: {e} (set MLIR_SYS_220_PREFIX)"));
    assert!(status.success(), "mlir-tblgen -{mode} {source} failed");
}
