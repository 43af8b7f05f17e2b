//! Random graphs that rules apply to: left sides of rules within left sides of rules.

use super::{
    sample::{Hint, Random, Sampler},
    values::{Values, compare_in_norm, differing_bits, fill},
};
use mlcc_ir::{
    dtype::DType,
    graph::{Def, Graph},
    tensor::Tensor,
};
use mlcc_passes::{
    config::Config,
    graph::{recognise, rewrite},
};
use mlcc_rewriting::{Mode, Report, Rule, Settings, graph_of};

/// The graph of a seed with inputs for it; `None` if the random parts do not fit together.
#[must_use]
pub fn random_graph(rules: &[Rule], seed: u64) -> Option<(Graph, Vec<Tensor>)> {
    draw(rules, seed, Values::Reals)
}

fn draw(rules: &[Rule], seed: u64, values: Values) -> Option<(Graph, Vec<Tensor>)> {
    let mut random = Random::new(&format!("graph {seed}"));
    let rule = &rules[random.below(rules.len())];
    let mut sampler = Sampler::new(&mut random);
    sampler.nested = (rules, 3);
    let root = sampler.build(&rule.left, Hint::default())?;
    let classes = sampler.classes;
    let mut graph = graph_of(&classes, &[root])?;
    let tensors = fill(&classes.analysis.leaves, values, false, &mut random);
    // Weights become constants, and the other leaves inputs.
    let leaves = std::mem::take(&mut graph.inputs);
    let mut inputs = Vec::new();
    for (at, id) in leaves.into_iter().enumerate() {
        let tensor = tensors.get(at)?.clone();
        let def = if classes.analysis.leaves[at].weight {
            Def::Constant(tensor)
        } else {
            inputs.push(tensor);
            graph.inputs.push(id);
            Def::Input(inputs.len() - 1)
        };
        graph.value_mut(id).def = def;
    }
    (!graph.nodes.is_empty()).then_some((graph, inputs))
}

/// The results for random graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Graphs that were compared.
    pub compared: usize,
    /// Graphs of these that were rewritten.
    pub rewritten: usize,
}

/// Rewrites `count` random graphs and compares them with the originals in the interpreter: up to rounding
/// with all rules, and bit for bit with exact rules only, for inputs with NaN, infinities and zeros of both
/// signs.
///
/// # Errors
/// With the first seed whose graphs disagree.
pub fn check_graphs(rules: &[Rule], count: usize, mode: Mode) -> Result<Summary, String> {
    let mut summary = Summary::default();
    let values = if mode == Mode::Exact { Values::Extreme } else { Values::Reals };
    'graphs: for seed in 0.. {
        if summary.compared == count {
            break;
        }
        let Some((graph, inputs)) = draw(rules, seed, values) else { continue };
        let Some(wanted) = mlcc_interpreter::graph::run(&graph, &inputs).ok() else { continue };
        // Infinities (divisions by zero) may become NaN: rules that round are about numbers.
        if mode != Mode::Exact && wanted.iter().any(|t| t.to_f64().iter().any(|v| !v.is_finite())) {
            continue;
        }
        let mut after = graph.clone();
        let config = Config { rewrites: Settings { mode, ..Settings::default() }, ..Config::default() };
        let mut report = Report::default();
        // Recognisers round differently.
        if mode != Mode::Exact {
            report =
                recognise::run(&mut after, &config).map_err(|e| format!("seed {seed}: recognising: {e}"))?;
        }
        let rewritten = rewrite::run(&mut after, &config).map_err(|e| format!("seed {seed}: {e}"))?;
        report.blocks.extend(rewritten.blocks);
        report.dropped.extend(rewritten.dropped);
        let applied: Vec<String> =
            report.blocks.iter().flat_map(|b| b.applied.iter().map(|a| a.rule.to_string())).collect();
        let failed = |what: String| format!("seed {seed}, rules {}: {what}", applied.join(", "));
        if let Some(dropped) = report.dropped.first() {
            if mode != Mode::Exact && jumps(&graph, &inputs, &wanted) {
                continue;
            }
            let rules: Vec<&str> = dropped.applied.iter().map(|a| &*a.rule).collect();
            return Err(format!("seed {seed}: dropped with error {}: {}", dropped.error, rules.join(", ")));
        }
        let found = mlcc_interpreter::graph::run(&after, &inputs).map_err(|e| failed(e.to_string()))?;
        for (w, f) in wanted.iter().zip(&found) {
            if mode == Mode::Exact {
                differing_bits(w, f).map_or(Ok(()), |what| Err(failed(what)))?;
            } else {
                match compare_in_norm(&w.to_f64(), &f.to_f64()) {
                    Err(_) if jumps(&graph, &inputs, &wanted) => continue 'graphs,
                    compared => compared.map_err(failed)?,
                }
            }
        }
        summary.compared += 1;
        summary.rewritten += usize::from(report.changes() > 0);
    }
    Ok(summary)
}

/// Whether the results of a graph change when its inputs move by a few roundings: the floor of a number after
/// cancellation, for example. Such a graph cannot tell a wrong rewrite from rounding.
fn jumps(graph: &Graph, inputs: &[Tensor], wanted: &[Tensor]) -> bool {
    const ATTEMPTS: usize = 8;
    (0..ATTEMPTS).any(|attempt| {
        let moved = |tensor: &Tensor| {
            if tensor.dtype != DType::F32 {
                return tensor.clone();
            }
            let values = tensor.to_f64().into_iter().enumerate().map(|(at, v)| {
                let step = ((at * 7 + attempt * 3) % 5) as f64 - 2.0;
                (v * (1.0 + step * f64::from(f32::EPSILON))) as f32
            });
            Tensor::from_f32(&tensor.dims, &values.collect::<Vec<f32>>())
        };
        let inputs: Vec<Tensor> = inputs.iter().map(moved).collect();
        mlcc_interpreter::graph::run(graph, &inputs).is_ok_and(|found| {
            wanted.iter().zip(&found).any(|(w, f)| compare_in_norm(&w.to_f64(), &f.to_f64()).is_err())
        })
    })
}
