//! What a graph demands of its symbolic sizes that types do not say, so that every run can be checked.
//!
//! Inference takes on trust what it cannot decide: that a reshape keeps the number of elements, that an
//! axis searched for its greatest element has one. With static sizes it refuses what breaks this; with
//! symbolic ones the runtime must. Only nodes that always run demand something: those in the branches
//! of control flow may never see the sizes that would be wrong for them.

use mlcc_ir::{
    Name,
    expr::Expr,
    graph::{Graph, Node},
};

/// A condition on symbolic sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Two sizes are equal.
    Equal(Expr, Expr),
    /// A size is at least 1.
    Positive(Expr),
}

/// What must hold, and what to say where it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// What must hold.
    pub condition: Condition,
    /// What is wrong where it does not hold, and at which node.
    pub message: String,
}

impl Condition {
    /// The symbols on which it depends.
    fn symbols(&self) -> Vec<Name> {
        let mut names = Vec::new();
        match self {
            Condition::Equal(a, b) => {
                a.collect_symbols(&mut names);
                b.collect_symbols(&mut names);
            }
            Condition::Positive(size) => size.collect_symbols(&mut names),
        }
        names
    }
}

/// What the nodes of a graph demand of its symbols, without repetition, in the nodes' order. Sizes that
/// no input binds can only be those of nodes without use.
#[must_use]
pub fn of_graph(graph: &Graph) -> Vec<Requirement> {
    let mut found: Vec<Requirement> = Vec::new();
    let mut bound = Vec::new();
    for &input in &graph.inputs {
        graph.value(input).ty.dims.iter().for_each(|d| d.collect_symbols(&mut bound));
    }
    for node in &graph.nodes {
        if let Some(requirement) = of_node(graph, node)
            && requirement.condition.symbols().iter().all(|s| bound.contains(s))
            && !found.contains(&requirement)
        {
            found.push(requirement);
        }
    }
    found
}

fn of_node(graph: &Graph, node: &Node) -> Option<Requirement> {
    let x = &graph.value(node.operands.first().copied().flatten()?).ty;
    let name = &node.location.node;
    match &*node.op {
        "reshape" => {
            let y = &graph.value(*node.results.first()?).ty;
            let (from, to) = (x.elements(), y.elements());
            let undecided = from != to && (from.as_const().is_none() || to.as_const().is_none());
            undecided.then(|| Requirement {
                message: format!("{from} elements cannot be reshaped to {y} in {name}"),
                condition: Condition::Equal(from, to),
            })
        }
        "arg_max" | "arg_min" => {
            let axis = node.attrs.int("axis", 0);
            let axis = if axis < 0 { axis + x.rank() as i64 } else { axis };
            let size = x.dims.get(usize::try_from(axis).ok()?)?;
            size.as_const().is_none().then(|| Requirement {
                condition: Condition::Positive(size.clone()),
                message: format!("{size} must not be 0 in {name}"),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlcc_ir::{
        attributes::{Attr, Attrs},
        dtype::DType,
        graph::{Def, Location},
        types::TensorType,
    };

    /// The requirements of one node whose operand and result have these dimensions.
    fn required(op: &str, attrs: Attrs, x: &[&str], y: &[&str]) -> Vec<Requirement> {
        let ty =
            |dims: &[&str]| TensorType::new(DType::F32, dims.iter().map(|d| d.parse().unwrap()).collect());
        let mut graph = Graph::default();
        let operand = graph.add_value("x", ty(x), Def::Input(0));
        let result = graph.add_value("y", ty(y), Def::Node);
        graph.inputs.push(operand);
        // Twice, which demands nothing new.
        for _ in 0..2 {
            graph.nodes.push(Node {
                op: op.into(),
                attrs: attrs.clone(),
                operands: vec![Some(operand)],
                results: vec![result],
                regions: Vec::new(),
                location: Location { node: "node_7".into(), op_type: op.into() },
            });
        }
        of_graph(&graph)
    }

    #[test]
    fn a_reshape_must_keep_its_elements() {
        let reshape = |x: &[&str], y: &[&str]| required("reshape", Attrs::new(), x, y);
        assert_eq!(reshape(&["n", "12"], &["n * 3", "4"]), []);
        assert_eq!(reshape(&["n", "m", "8"], &["m * n", "2", "4"]), []);
        assert_eq!(reshape(&["12"], &["3", "4"]), []);
        let found = reshape(&["n", "3"], &["floordiv(n * 3, 4)", "4"]);
        let [Requirement { condition: Condition::Equal(from, to), message }] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(message.contains("in node_7"), "{message}");
        for n in 0..20 {
            let at = |e: &Expr| e.evaluate(&|_| Some(n)).unwrap();
            assert_eq!(at(from) == at(to), n % 4 == 0, "{n}");
        }
    }

    #[test]
    fn sizes_of_unused_nodes_demand_nothing() {
        assert_eq!(required("reshape", Attrs::new(), &["n"], &["unbound", "4"]), []);
    }

    #[test]
    fn an_extreme_element_must_exist() {
        for op in ["arg_max", "arg_min"] {
            let along = |axis: i64, x: &[&str]| {
                required(op, Attrs::new().with("axis", Attr::Int(axis)), x, &["1", "n"])
            };
            assert_eq!(along(0, &["3", "n"]), []);
            let wanted = Requirement {
                condition: Condition::Positive(Expr::symbol("n")),
                message: "n must not be 0 in node_7".into(),
            };
            assert_eq!(along(1, &["3", "n"]), std::slice::from_ref(&wanted));
            assert_eq!(along(-1, &["3", "n"]), [wanted]);
        }
    }
}
