//! Damaged text is refused with a message, and never brings the process down.

use super::{program::random_program, random::Random};
use mlcc_ir::{diagnostic::Fault, graph::Graph};
use mlcc_mlir::{MlirContext, weights::WeightStore};

/// Reads any text: reading must return, and a value that it returns must print. Gives whether any level could be read.
fn survive(context: &MlirContext, text: &str, weights: &WeightStore) -> bool {
    let mut is_read = false;
    if let Ok(graph) = context.parse_graph(text, weights) {
        let _ = context.print_graph(&graph);
        is_read = true;
    }
    if let Ok(program) = context.parse_program(text, weights) {
        let _ = context.print_program(&program);
        is_read = true;
    }
    if let Ok(nests) = context.parse_nests(text) {
        context.print_nests(&nests).unwrap();
        // A module without nests has none.
        is_read |= !nests.is_empty();
    }
    is_read
}

/// Texts of all levels with their weights.
fn samples() -> Vec<(String, WeightStore)> {
    let context = MlirContext::new();
    let files = ["graph_ops", "te_ops", "loop_ops"];
    let files = files.map(|name| (super::files::read(&format!("{name}.mlir")), WeightStore::new()));
    let programs = (1..4).map(|seed| {
        let program = random_program(&mut Random::new(seed));
        (context.print_program(&program).unwrap(), WeightStore::of_program(&program))
    });
    files.into_iter().chain(programs).collect()
}

#[test]
fn truncated_text_is_refused() {
    let context = MlirContext::new();
    for (text, weights) in samples() {
        assert!(survive(&context, &text, &weights), "the whole is refused:\n{text}");
        let step = text.len() / 150 + 1;
        for end in (0..text.trim_end().len()).step_by(step).filter(|end| text.is_char_boundary(*end)) {
            let is_read = survive(&context, &text[..end], &weights);
            // Only a text without a module around it may end between two operations and still be read.
            assert!(!is_read || !text.starts_with("module"), "the first {end} bytes are read of\n{text}");
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
    let (mut read, mut all) = (0, 0);
    for (text, weights) in samples() {
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
            read += usize::from(survive(&context, &damaged.concat(), &weights));
            all += 1;
        }
    }
    assert!(0 < read && read < all / 2, "{read} of {all} damaged texts are read");
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
}

#[test]
fn a_use_in_front_of_the_region_that_defines_it_is_refused() {
    // MLIR's parser accepts the use, refuses the second branch, and would write to the freed definition in the first.
    let text = "func.func @f(%c: tensor<i1>) -> tensor<i1> {
  %x = graph.not %a : (tensor<i1>) -> tensor<i1>
  %y = graph.if %c then {
    %a = graph.not %c : (tensor<i1>) -> tensor<i1>
    graph.return %a as [\"a\"] : tensor<i1>
  } else {
    graph.nothing
  } : (tensor<i1>) -> tensor<i1>
  graph.return %y as [\"y\"] : tensor<i1>
}";
    let error = MlirContext::new().parse_graph(text, &WeightStore::new()).unwrap_err();
    assert_eq!(error.message, "graph:2:18: '%a' is not defined in front of this use");
}

#[test]
fn a_name_is_known_in_all_regions_around() {
    // The check for uses before definitions treats a value of an outer region as defined. MLIR's parser must do so too,
    // or it would wait for a later definition. It finds the outer one, and the error is about something else.
    for inner in [
        "func.func @f() {\n te.copy %a to %a\n}",
        "te.kernel @k nodes [] {\n te.copy %a to %a\n}",
        "te.program @p {\n te.copy %a to %a\n te.return as []\n}",
        "loop.nest \"n\" nodes [] symbols [] {\n te.copy %a to %a\n}",
        "module {\n te.copy %a to %a\n}",
        "\"te.kernel\"() <{sym_name = \"k\"}> ({\n te.copy %a to %a\n}) : () -> ()",
    ] {
        let text = format!("%a = te.input 0 \"a\" : tensor<4xf32>\n{inner}");
        let error = MlirContext::new().parse_graph(&text, &WeightStore::new()).unwrap_err();
        assert!(!error.message.contains("undeclared"), "{error}\n{text}");
    }
}

#[test]
fn affine_expressions_are_refused() {
    // MLIR's parser recurses into their terms and signs.
    for long in ["d0 + ", "d0 * ", "- "] {
        let terms = long.repeat(200_000);
        let text = format!("module attributes {{a = affine_map<(d0) -> ({terms}d0)>}} {{}}");
        let error = MlirContext::new().parse_graph(&text, &WeightStore::new()).unwrap_err();
        assert_eq!(error.message, "graph:1:24: no level of the IR has affine maps or sets");
    }
    // A dimension may be called so.
    let text = "module attributes {a = #graph.dims<affine_map, 3>} {}";
    let error = MlirContext::new().parse_graph(text, &WeightStore::new()).unwrap_err();
    assert!(!error.message.contains("affine"), "{error}");
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

#[test]
fn text_ends_where_it_ends() {
    // Memory behind a text is not read, even if the text ends within a token.
    let context = MlirContext::new();
    let whole = super::files::read("graph_ops.mlir");
    let none = WeightStore::new();
    let graph = context.parse_graph(&whole, &none).unwrap();
    for behind in ["", "\"", "}", "x", " garbage", "\n}\n"] {
        let longer = whole.trim_end().to_owned() + behind;
        assert_eq!(context.parse_graph(&longer[..whole.trim_end().len()], &none).unwrap(), graph);
    }
    for (text, behind) in [("module { } \"open", "\" }"), ("module {", "}"), ("module { } // comment", "\nx")]
    {
        let longer = format!("{text}{behind}");
        let message = |text: &str| context.parse_graph(text, &none).unwrap_err().message;
        assert_eq!(message(&longer[..text.len()]), message(text));
    }
}
