//! Claims about terms, confirmed by executing random terms.

use super::{
    sample::{Hint, Random, Sampler},
    values::{Values, fill},
};
use egg::Id;
use mlcc_ir::{expr::Expr, graph::Graph, tensor::Tensor};
use mlcc_rewriting::{
    facts::{Classes, Facts},
    graph_of,
    properties::Properties,
    rule::{Binding, Pattern},
    term::special,
};

/// Operators of random terms, with their numbers of operands. There are claims about the results of most of
/// them.
const OPERATORS: &[(&str, usize)] = &[
    ("exp", 1),
    ("sigmoid", 1),
    ("softplus", 1),
    ("cosh", 1),
    ("softmax", 1),
    ("abs", 1),
    ("relu", 1),
    ("sqrt", 1),
    ("tanh", 1),
    ("erf", 1),
    ("reciprocal", 1),
    ("floor", 1),
    ("ceil", 1),
    ("round", 1),
    ("sign", 1),
    ("neg", 1),
    ("log", 1),
    ("sin", 1),
    ("gelu", 1),
    (special::SUM, 2),
    (special::SUM, 3),
    (special::PRODUCT, 2),
    (special::PRODUCT, 3),
    ("div", 2),
    ("max", 2),
    ("min", 2),
    ("pow", 2),
    ("clip", 3),
    ("matmul", 2),
    ("conv", 2),
    ("transpose", 1),
    ("reshape", 1),
    ("slice", 1),
    ("expand", 1),
    ("pad", 1),
    ("concat", 2),
    ("reduce_sum", 1),
    ("reduce_mean", 1),
    ("reduce_max", 1),
    ("reduce_min", 1),
    ("max_pool", 1),
];
/// Operators of a random term.
const DEPTH: usize = 10;
/// Number of values that each term is executed with.
const FILLS: usize = 3;

/// Executes random terms and compares the facts about each with its elements; returns how many claims were
/// confirmed.
///
/// # Errors
/// With the first claim that is wrong.
pub fn check_properties(terms: usize) -> Result<usize, String> {
    check_claims(terms, &|facts, _| facts.properties)
}

/// As [`check_properties`], for claims that a function makes about a class from its facts and its operator.
pub(crate) fn check_claims(
    terms: usize,
    claims: &dyn Fn(&Facts, &str) -> Properties,
) -> Result<usize, String> {
    let mut confirmed = 0;
    for term in 0..terms {
        let mut random = Random::new(&format!("term {term}"));
        let classes = random_terms(&mut random);
        let mut ids: Vec<Id> = classes.classes().map(|c| c.id).collect();
        ids.sort_unstable();
        let Some(graph) = graph_of(&classes, &ids) else { continue };
        for values in [Values::Zeros, Values::Special, Values::Extreme].into_iter().cycle().take(FILLS) {
            let inputs = fill(&classes.analysis.leaves, values, false, &mut random);
            let Ok(results) = mlcc_interpreter::graph::run(&graph, &inputs) else { continue };
            for (id, result) in ids.iter().zip(&results) {
                let facts = &classes[*id].data;
                let op = classes[*id].nodes.first().map_or("", |t| &*t.head.op);
                let claimed = claims(facts, op);
                confirmed += confirm(claimed, facts, result)
                    .map_err(|what| format!("{what}: {op} in\n{}", shown(&graph)))?;
            }
        }
    }
    Ok(confirmed)
}

/// Leaves, and operators on terms that exist already.
fn random_terms(random: &mut Random) -> Classes {
    let mut picks = Random::new(&format!("{}", random.next()));
    let mut sampler = Sampler::new(random);
    let mut ids: Vec<Id> = Vec::new();
    for _ in 0..3 {
        ids.extend(
            sampler.build(&Pattern::Variable(format!("x{}", ids.len()).as_str().into()), Hint::default()),
        );
    }
    for _ in 0..DEPTH {
        let (op, count) = picks.pick(OPERATORS);
        sampler.bindings = Default::default();
        let mut operands = Vec::new();
        for at in 0..count {
            let name = format!("x{at}");
            // An unbound variable becomes a leaf that suits the operator. A factor may occur twice.
            if picks.below(4) > 0 && !ids.is_empty() {
                let id = ids[picks.below(ids.len())];
                sampler.bindings.set(&name.as_str().into(), Binding::Class(id));
            }
            let twice = at > 0 && picks.below(4) == 0;
            operands.push(Pattern::Variable(if twice { "x0".into() } else { name.as_str().into() }));
        }
        let pattern = Pattern::Apply {
            op: op.into(),
            attrs: Vec::new(),
            others: Some("a".into()),
            operands,
            tail: None,
        };
        ids.extend(sampler.build(&pattern, Hint::default()));
    }
    sampler.classes
}

fn confirm(claimed: Properties, facts: &Facts, result: &Tensor) -> Result<usize, String> {
    if facts.ty != result.ty() {
        return Err(format!("a result is {}, not {}", result.ty(), facts.ty));
    }
    let values = result.to_f64();
    let all = |holds: fn(f64) -> bool| values.iter().all(|&v| v.is_nan() || holds(v));
    let claims: [(&str, bool, fn(f64) -> bool); 3] = [
        ("is not negative", claimed.not_negative, |v| v >= 0.0),
        ("has no sign", claimed.unsigned, f64::is_sign_positive),
        ("is integral", claimed.integral, |v| v.is_infinite() || v.fract() == 0.0),
    ];
    let mut confirmed = 0;
    for (what, claimed, holds) in claims {
        if claimed && !all(holds) {
            return Err(format!("it is claimed that {what}, but it is {values:?}"));
        }
        confirmed += usize::from(claimed);
    }
    if let Some(uniform) = facts.uniform {
        if !values.iter().all(|v| v.to_bits() == uniform.to_bits() || v.is_nan() && uniform.is_nan()) {
            return Err(format!("all elements are claimed to be {uniform:?}, but are {values:?}"));
        }
        confirmed += 1;
    }
    if let Some(known) = &facts.known {
        let integers = result.to_i64();
        if !known.iter().map(Expr::as_const).eq(integers.iter().map(|&i| Some(i))) {
            return Err(format!("elements are claimed to be {known:?}, but are {integers:?}"));
        }
        confirmed += 1;
    }
    Ok(confirmed)
}

fn shown(graph: &Graph) -> String {
    let operands = |n: &mlcc_ir::graph::Node| {
        let ids = n.operands.iter().map(|o| o.map_or("_".to_owned(), |id| graph.value(id).name.to_string()));
        ids.collect::<Vec<_>>().join(" ")
    };
    graph
        .nodes
        .iter()
        .map(|n| format!("{} = {} {:?} {}\n", graph.value(n.results[0]).name, n.op, n.attrs, operands(n)))
        .collect()
}
