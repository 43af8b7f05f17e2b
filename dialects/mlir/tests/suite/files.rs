//! Text written by hand: valid text prints as it stands, invalid text is refused at the right place.

use mlcc_mlir::{MlirContext, weights::WeightStore};
use std::path::Path;

pub(crate) fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Compares with a file, or writes the file if `MLCC_BLESS` is set.
fn check(name: &str, printed: &str) {
    if std::env::var_os("MLCC_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
        std::fs::write(path, printed).expect("the sources are writable");
    }
    assert_eq!(printed, read(name));
}

#[test]
fn files_round_trip() {
    let context = MlirContext::new();
    let store = WeightStore::new();
    let graph = context.parse_graph(&read("graph_ops.mlir"), &store).unwrap_or_else(|e| panic!("{e}"));
    check("graph_ops.mlir", &context.print_graph(&graph).unwrap());
    let program = context.parse_program(&read("te_ops.mlir"), &store).unwrap_or_else(|e| panic!("{e}"));
    check("te_ops.mlir", &context.print_program(&program).unwrap());
    let nests = context.parse_nests(&read("loop_ops.mlir")).unwrap_or_else(|e| panic!("{e}"));
    check("loop_ops.mlir", &context.print_nests(&nests).unwrap());
}

/// Every case of `invalid.mlir` begins with a line `// line:column: message`, counted from that line.
#[test]
fn invalid_text_is_refused_where_it_is_wrong() {
    let context = MlirContext::new();
    let file = read("invalid.mlir");
    let cases: Vec<&str> = file.split("// -----\n").collect();
    assert!(cases.len() > 10);
    let mut wrong = Vec::new();
    for case in cases {
        let (first, _) = case.trim_start().split_once('\n').expect("a case has a first line");
        let expected = first.strip_prefix("// ").expect("the first line is a comment");
        let store = WeightStore::new();
        let error = if case.contains("loop.nest") {
            context.parse_nests(case.trim_start()).err()
        } else if case.contains("te.") {
            context.parse_program(case.trim_start(), &store).err()
        } else {
            context.parse_graph(case.trim_start(), &store).err()
        };
        let message = error.map_or("is accepted".into(), |e| e.message);
        let message = message.split_once(':').map_or(message.as_str(), |(_, rest)| rest);
        if !message.starts_with(expected) {
            wrong.push(format!("expected {expected}\n     got {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
