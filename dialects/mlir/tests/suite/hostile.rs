//! Text that somebody damaged is refused with a message, and never brings the process down.

use super::{program::random_program, random::Random};
use mlcc_ir::{diagnostic::Fault, graph::Graph};
use mlcc_mlir::{MlirContext, weights::WeightStore};

/// Whatever the text is, reading it returns, and what it returns prints.
fn survive(context: &MlirContext, text: &str) {
    let none = WeightStore::new();
    if let Ok(graph) = context.parse_graph(text, &none) {
        let _ = context.print_graph(&graph);
    }
    if let Ok(program) = context.parse_program(text, &none) {
        let _ = context.print_program(&program);
    }
    if let Ok(nests) = context.parse_nests(text) {
        context.print_nests(&nests).unwrap();
    }
}

fn samples() -> Vec<String> {
    let context = MlirContext::new();
    let mut samples: Vec<String> =
        ["graph_ops", "te_ops", "loop_ops"].map(|name| super::files::read(&format!("{name}.mlir"))).into();
    samples
        .extend((1..4).map(|seed| context.print_program(&random_program(&mut Random::new(seed))).unwrap()));
    samples
}

#[test]
fn truncated_text_is_refused() {
    let context = MlirContext::new();
    for text in samples() {
        let step = text.len() / 150 + 1;
        for end in (0..text.len()).step_by(step).filter(|end| text.is_char_boundary(*end)) {
            survive(&context, &text[..end]);
        }
    }
}

#[test]
fn damaged_text_is_refused() {
    let context = MlirContext::new();
    let mut random = Random::new(99);
    let odd = [
        "-1",
        "99999999999999999999",
        "\"\"",
        "%i",
        "$9",
        "[]",
        "<>",
        "tensor<?xf32>",
        "0x",
        "vector",
        "i128",
        "}",
    ];
    for text in samples() {
        let pieces: Vec<&str> = text.split_inclusive(|c: char| " ,<>()[]{}:\"".contains(c)).collect();
        for _ in 0..250 {
            let mut damaged: Vec<&str> = pieces.clone();
            for _ in 0..1 + random.below(3) {
                let at = random.below(damaged.len());
                match random.below(3) {
                    0 => drop(damaged.remove(at)),
                    1 => damaged.insert(at, random.pick(&odd)),
                    _ => {
                        let other = random.below(damaged.len().min(at + 5));
                        damaged.swap(at, other);
                    }
                }
            }
            survive(&context, &damaged.concat());
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let context = MlirContext::new();
    for (open, close) in
        [("[", "]"), ("(", ")"), ("{a = ", "}"), ("module {", "}"), ("loc(\"a\"(", "))"), ("tuple<", ">")]
    {
        let text =
            format!("module attributes {{a = {}1{}}} {{}}", open.repeat(200_000), close.repeat(200_000));
        let error = context.parse_graph(&text, &WeightStore::new()).unwrap_err();
        assert!(error.message.contains("nested"), "{error}");
    }
    let minus = format!("module attributes {{a = affine_map<(d0) -> ({}d0)>}} {{}}", "- ".repeat(200_000));
    assert!(context.parse_graph(&minus, &WeightStore::new()).unwrap_err().message.contains("nested"));
}

#[test]
fn errors_have_a_place_in_the_text() {
    let context = MlirContext::new();
    let error = context.parse_graph("module {\n  graph.nothing\n}", &WeightStore::new()).unwrap_err();
    assert_eq!(error.fault, Fault::User);
    assert!(error.message.starts_with("graph:2:3: "), "{error}");
    assert!(context.parse_graph("module {}", &WeightStore::new()).unwrap_err().message.contains("func.func"));
    assert!(
        context.parse_program("module {}", &WeightStore::new()).unwrap_err().message.contains("te.program")
    );
}

#[test]
fn values_without_a_text_form_are_refused() {
    let context = MlirContext::new();
    let mut graph = Graph { name: "g".into(), ..Graph::default() };
    graph.outputs.push(("y".into(), mlcc_ir::graph::ValueId(7)));
    let error = context.print_graph(&graph).unwrap_err();
    assert_eq!(error.fault, Fault::Internal);
}
