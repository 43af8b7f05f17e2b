//! A template as a graph of its own, to be priced or executed.

use super::{
    block::Block,
    cost::Prices,
    extract::Choice,
    facts::{Classes, Leaf},
    origins::Origins,
    shrink::{SMALL, Shrink},
    template::{self, Source, Template, TemplateNode},
};
use egg::Id;
use mlcc_ir::{
    attributes::{Attr, Attrs},
    expr::{Atom, Expr},
    graph::{Def, Graph, Location, Node, ValueId},
    ops::{self, Operand},
    types::TensorType,
};

impl Template {
    /// Seconds of a run; `None` if the template cannot be lowered.
    pub(super) fn price(&self, block: &Block, prices: &dyn Prices) -> Option<f64> {
        // Values computed from weights come behind the leaves.
        let is_weight = |at: usize| block.facts.get(at).is_none_or(|leaf| leaf.weight);
        prices.of_graph(&at_run_time(self, &block.facts)?, &is_weight)
    }
}

/// The graph at its own sizes. Its inputs are the leaves, then the values that are computed when the model is
/// compiled. `None` if the template refers to a value that it lacks.
fn at_run_time(template: &Template, leaves: &[Leaf]) -> Option<Graph> {
    build(template, leaves, &|graph, node, operands| {
        let def = if node.weight { Def::Input(graph.inputs.len()) } else { Def::Node };
        let result = graph.add_value(format!("v{}", graph.values.len()), node.ty.clone(), def);
        if node.weight {
            graph.inputs.push(result);
        } else {
            graph.nodes.push(node_of(node, node.attrs.clone(), operands, result));
        }
        Some(result)
    })
}

/// The graph at other sizes; its inputs are the leaves. `None` if it is ill-typed there.
pub(super) fn at_sizes(template: &Template, leaves: &[Leaf], shrink: &Shrink) -> Option<Graph> {
    let small_leaf = |leaf: &Leaf| {
        let dims = leaf.ty.dims.iter().map(|d| small(d, shrink)).collect();
        Leaf { ty: TensorType::new(leaf.ty.dtype, dims), known: None, ..*leaf }
    };
    let leaves: Vec<Leaf> = leaves.iter().map(small_leaf).collect();
    build(template, &leaves, &|graph, node, operands| {
        let attrs = attributes(&node.op, &node.attrs, shrink);
        let views: Vec<_> = operands.iter().map(|o| o.map(|id| Operand::of(graph, id))).collect();
        let inferred = ops::infer(&node.op, &attrs, &views).ok()?.into_iter().next()?;
        inferred.ty.static_dims()?;
        let result = graph.add_value(format!("v{}", graph.values.len()), inferred.ty, Def::Node);
        graph.value_mut(result).known = inferred.known;
        graph.nodes.push(node_of(node, attrs, operands, result));
        Some(result)
    })
}

/// Terms as a graph over all leaves. Nothing has been united, so each class has one term.
#[must_use]
pub fn graph_of(classes: &Classes, roots: &[Id]) -> Option<Graph> {
    let mut choice = Choice::new();
    for class in classes.classes() {
        choice.insert(class.id, class.nodes.first()?.clone());
    }
    let template = template::template(classes, &choice, roots, &Origins::default())?;
    at_sizes(&template, &classes.analysis.leaves, &Shrink::new())
}

/// Adds a template's node with these operands to a graph.
type Add<'a> = dyn Fn(&mut Graph, &TemplateNode, Vec<Option<ValueId>>) -> Option<ValueId> + 'a;

fn build(template: &Template, leaves: &[Leaf], add: &Add<'_>) -> Option<Graph> {
    let mut graph = Graph { name: "block".into(), ..Graph::default() };
    for (at, leaf) in leaves.iter().enumerate() {
        let id = graph.add_value(format!("x{at}"), leaf.ty.clone(), Def::Input(at));
        graph.value_mut(id).known.clone_from(&leaf.known);
        graph.inputs.push(id);
    }
    let mut values: Vec<ValueId> = Vec::with_capacity(template.nodes.len());
    let source = |graph: &mut Graph, values: &[ValueId], source: &Source| match source {
        Source::Leaf(at) => graph.inputs.get(*at).copied(),
        Source::Constant(tensor) => Some(graph.add_constant("constant", tensor.clone())),
        Source::Node(at) => values.get(*at).copied(),
    };
    for node in &template.nodes {
        let mut operands = Vec::with_capacity(node.operands.len());
        for operand in &node.operands {
            operands.push(match operand {
                Some(o) => Some(source(&mut graph, &values, o)?),
                None => None,
            });
        }
        values.push(add(&mut graph, node, operands)?);
    }
    for (at, output) in template.outputs.iter().enumerate() {
        let id = source(&mut graph, &values, output)?;
        graph.outputs.push((format!("y{at}").as_str().into(), id));
    }
    Some(graph)
}

fn node_of(node: &TemplateNode, attrs: Attrs, operands: Vec<Option<ValueId>>, result: ValueId) -> Node {
    Node {
        op: node.op.clone(),
        attrs,
        operands,
        results: vec![result],
        regions: Vec::new(),
        location: Location { node: "block".into(), op_type: node.op.clone() },
    }
}

fn small(dim: &Expr, shrink: &Shrink) -> Expr {
    match dim.as_const() {
        Some(d) => Expr::from(shrink.get(&d).copied().or_else(|| multiple(d, shrink)).unwrap_or(d)),
        // Symbols of a model become small sizes too, different ones.
        None => dim.substitute(&|atom| match atom {
            Atom::Symbol(name) => {
                let sum: usize = name.bytes().map(usize::from).sum();
                Some(Expr::from(SMALL[sum % SMALL.len()]))
            }
            _ => None,
        }),
    }
}

/// The third of several parts starts at twice their size, and this number is no size itself.
fn multiple(place: i64, shrink: &Shrink) -> Option<i64> {
    const PARTS: std::ops::RangeInclusive<i64> = 2..=8;
    PARTS.filter(|k| place % k == 0).find_map(|k| shrink.get(&(place / k)).map(|size| size * k))
}

/// Attributes with sizes replaced in those that name sizes.
fn attributes(op: &str, attrs: &Attrs, shrink: &Shrink) -> Attrs {
    let mut replaced = Attrs::new();
    for (name, value) in &attrs.0 {
        let names_sizes = matches!(
            (op, &**name),
            ("reshape" | "expand", "shape") | ("slice", "starts" | "sizes") | ("eye", "rows" | "cols")
        );
        let value = match value {
            Attr::Exprs(values) if names_sizes => {
                Attr::Exprs(values.iter().map(|v| small(v, shrink)).collect())
            }
            Attr::Ints(values) if names_sizes => {
                Attr::Exprs(values.iter().map(|&v| small(&Expr::from(v), shrink)).collect())
            }
            Attr::Exprs(values) => Attr::Exprs(values.iter().map(|v| small(v, &Shrink::new())).collect()),
            // A depthwise convolution has as many groups as channels.
            Attr::Int(size) if matches!(&**name, "group" | "rotary_dim") => {
                Attr::Int(shrink.get(size).copied().unwrap_or(*size))
            }
            value => value.clone(),
        };
        replaced = replaced.with(name, value);
    }
    replaced
}
