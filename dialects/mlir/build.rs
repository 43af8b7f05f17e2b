//! Generates the dialects' C++, the table of the graph dialect's operators and the reference pages from
//! TableGen, and compiles the bridge to Rust.

use serde_json::Value;
use std::{fmt::Write, process::Command};

/// What mlir-tblgen generates for each dialect: the mode, the option that selects the dialect, the file's suffix.
const GENERATED: [(&str, &str, &str); 8] = [
    ("gen-dialect-decls", "-dialect=", "dialect.h.inc"),
    ("gen-dialect-defs", "-dialect=", "dialect.cpp.inc"),
    ("gen-op-defs", "-op-include-regex=^", "ops.cpp.inc"),
    ("gen-attrdef-decls", "-attrdefs-dialect=", "attributes.h.inc"),
    ("gen-attrdef-defs", "-attrdefs-dialect=", "attributes.cpp.inc"),
    ("gen-typedef-decls", "-typedefs-dialect=", "types.h.inc"),
    ("gen-typedef-defs", "-typedefs-dialect=", "types.cpp.inc"),
    ("gen-dialect-doc", "-dialect=", "reference.md"),
];

/// Files that are generated once for all dialects. Generated for each dialect, they would define helpers twice.
const COMMON: [(&str, &str); 4] = [
    ("gen-op-decls", "ops.h.inc"),
    ("gen-op-defs", "ops.cpp.inc"),
    ("gen-enum-decls", "enums.h.inc"),
    ("gen-enum-defs", "enums.cpp.inc"),
];

/// The dialects' folders and names.
const DIALECTS: [(&str, &str); 3] = [("graph", "graph"), ("tensor", "te"), ("loop", "loop")];

fn main() {
    let prefix = std::env::var("MLIR_SYS_220_PREFIX").unwrap_or_else(|_| "/usr/lib/llvm-22".into());
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    println!("cargo:rerun-if-env-changed=MLIR_SYS_220_PREFIX");
    for (folder, dialect) in DIALECTS {
        println!("cargo:rerun-if-changed={folder}");
        let source = format!("{folder}/Ops.td");
        for (mode, option, suffix) in GENERATED {
            let target = format!("{out}/{dialect}_{suffix}");
            tblgen(
                &prefix,
                "mlir-tblgen",
                &[&format!("-{mode}"), &format!("{option}{dialect}")],
                &source,
                &target,
            );
        }
    }
    println!("cargo:rerun-if-changed=Dialects.td");
    for (mode, suffix) in COMMON {
        let target = format!("{out}/all_{suffix}");
        tblgen(&prefix, "mlir-tblgen", &[&format!("-{mode}")], "Dialects.td", &target);
    }
    let dump = format!("{out}/graph.json");
    tblgen(&prefix, "llvm-tblgen", &["--dump-json"], "graph/Ops.td", &dump);
    let records = serde_json::from_str(&std::fs::read_to_string(dump).expect("just written"));
    let table = operator_table(&records.expect("llvm-tblgen writes JSON"));
    std::fs::write(format!("{out}/operators.rs"), table).expect("OUT_DIR is writable");

    println!("cargo:rerun-if-changed=bridge.cpp");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .compiler("clang++-22")
        // Registration runs once per context, and verification is in Rust. The compiler's time matters more.
        .opt_level(1)
        .flag("-fno-rtti")
        .flag("-ffunction-sections")
        .flag("-Wno-unused-parameter")
        .include(format!("{prefix}/include"))
        .include(&out)
        .file("bridge.cpp")
        .compile("mlcc_bridge");
}

fn tblgen(prefix: &str, tool: &str, arguments: &[&str], source: &str, target: &str) {
    let status = Command::new(format!("{prefix}/bin/{tool}"))
        .args(arguments)
        .args([source, "-I", &format!("{prefix}/include"), "-I", ".", "-o", target])
        .status()
        .unwrap_or_else(|e| panic!("{tool} of LLVM 22 in {prefix}/bin: {e} (set MLIR_SYS_220_PREFIX)"));
    assert!(status.success(), "{tool} {arguments:?} {source} failed");
}

/// The operators as a Rust expression, in alphabetical order of their records.
fn operator_table(records: &Value) -> String {
    let is = |name: &str, class: &str| {
        records["!instanceof"][class].as_array().is_some_and(|all| all.iter().any(|n| n == name))
    };
    let mut table = String::from("&[\n");
    for record in records["!instanceof"]["Op"].as_array().expect("TableGen lists the ops") {
        let record = &records[record.as_str().expect("a name")];
        let (mut operands, mut attributes) = (String::new(), String::new());
        for (name, kind) in fields(&record["arguments"]) {
            if is(&kind, "AttrConstraint") {
                let optional = is(&kind, "OptionalAttr");
                let base = if optional { def_name(&records[&kind]["baseAttr"]) } else { kind };
                writeln!(attributes, "Attribute {{ name: {name:?}, kind: {base:?}, optional: {optional} }},")
            } else {
                writeln!(operands, "Operand {{ name: {name:?}, arity: Arity::{} }},", arity(&is, &kind))
            }
            .expect("strings grow");
        }
        let results: String = fields(&record["results"])
            .map(|(name, kind)| format!("Operand {{ name: {name:?}, arity: Arity::{} }},", arity(&is, &kind)))
            .collect();
        let regions = fields(&record["regions"]).count();
        let (name, summary) = (&record["opName"], &record["summary"]);
        writeln!(
            table,
            "Operator {{ name: {name}, summary: {summary}, regions: {regions}, operands: &[{operands}], \
             attributes: &[{attributes}], results: &[{results}] }},"
        )
        .expect("strings grow");
    }
    table + "]"
}

fn arity(is: &dyn Fn(&str, &str) -> bool, kind: &str) -> &'static str {
    match (is(kind, "Optional"), is(kind, "Variadic")) {
        (true, _) => "Optional",
        (_, true) => "Variadic",
        _ => "One",
    }
}

fn def_name(value: &Value) -> String {
    value["def"].as_str().unwrap_or_default().into()
}

/// Names and kinds of a dag's arguments.
fn fields(dag: &Value) -> impl Iterator<Item = (String, String)> {
    let arguments = dag["args"].as_array().expect("a dag has arguments");
    arguments.iter().map(|a| (a[1].as_str().unwrap_or_default().into(), def_name(&a[0])))
}
