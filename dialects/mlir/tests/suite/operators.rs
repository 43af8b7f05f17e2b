//! The operators of TableGen and those of `mlcc_ir` are the same.

use mlcc_ir::ops::{Arity, AttrKind, definitions};
use mlcc_mlir::operators::{self, operators};

fn kind(constraint: &str) -> Option<AttrKind> {
    Some(match constraint {
        "BoolAttr" => AttrKind::Bool,
        "I64Attr" => AttrKind::Int,
        "F64Attr" => AttrKind::Float,
        "StrAttr" => AttrKind::Str,
        "TypeAttr" => AttrKind::DType,
        "DenseI64ArrayAttr" => AttrKind::Ints,
        "F64ArrayAttr" => AttrKind::Floats,
        "Graph_ExprsAttr" => AttrKind::Exprs,
        _ => return None,
    })
}

#[test]
fn tablegen_and_inference_agree() {
    let mut differences = Vec::new();
    for def in definitions() {
        let Some(op) = operators::operator(def.name) else {
            differences.push(format!("graph.{} is not in TableGen", def.name));
            continue;
        };
        let places = |places: &[operators::Operand]| -> Vec<Arity> {
            let arity = |a| match a {
                operators::Arity::One => Arity::One,
                operators::Arity::Optional => Arity::Optional,
                operators::Arity::Variadic => Arity::Variadic,
            };
            places.iter().map(|p| arity(p.arity)).collect()
        };
        let expected: Vec<Arity> = def.operands.iter().map(|o| o.arity).collect();
        if places(op.operands) != expected {
            differences.push(format!("graph.{}: operands {:?}", def.name, def.operands));
        }
        let expected: Vec<Arity> = def.results.iter().map(|o| o.arity).collect();
        if places(op.results) != expected {
            differences.push(format!("graph.{}: results {:?}", def.name, def.results));
        }
        for attribute in def.attributes {
            match op.attributes.iter().find(|a| a.name == attribute.name) {
                None => differences.push(format!("graph.{}: no attribute {attribute:?}", def.name)),
                Some(a) if kind(a.kind) != Some(attribute.kind) || a.optional == attribute.required => {
                    differences.push(format!("graph.{}: {a:?} should be {attribute:?}", def.name));
                }
                Some(_) => {}
            }
        }
        for a in op.attributes.iter().filter(|a| def.attribute(a.name).is_none()) {
            differences.push(format!("graph.{}: attribute {} is in TableGen only", def.name, a.name));
        }
    }
    for op in operators().filter(|op| op.regions == 0) {
        if mlcc_ir::ops::definition(op.name).is_none() {
            differences.push(format!("graph.{} is in TableGen only", op.name));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_operation_has_summary_semantics_and_example() {
    let reference = mlcc_mlir::dialect_reference();
    let sections: Vec<(&str, &str)> =
        reference.split("\n#### `").skip(1).filter_map(|section| section.split_once('`')).collect();
    assert!(sections.len() > 190);
    let wanting: Vec<&str> = sections
        .iter()
        .filter(|(name, text)| !(name.contains(':') || text.contains("\n_") && text.contains("Example")))
        .map(|(name, _)| *name)
        .collect();
    assert!(wanting.is_empty(), "{wanting:?}");
    for op in operators() {
        let name = format!("graph.{}", op.name);
        let (_, text) = sections.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("{name}"));
        assert!(text.to_lowercase().contains(&op.summary.to_lowercase()), "{name}");
    }
}
