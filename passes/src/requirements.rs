//! The demands of a graph's nodes on its symbolic sizes, so that every run can be checked.
//!
//! Inference takes on trust some facts that it cannot decide ([`mlcc_ir::ops::requirements`]): that a reshape
//! keeps the number of elements, or that a symbol equals the constant it is added to. With static sizes it
//! refuses violations; with symbolic sizes the runtime must. Nodes in the bodies of control flow make demands
//! like others, even if a run never reaches them: a model is refused sizes that would make any part of it
//! wrong.

use mlcc_ir::{
    graph::{Def, Graph, Node, Value},
    ops::{self, Operand},
    requirement::Requirement,
};

/// The demands of a graph's nodes on its symbols, without repetition, in the nodes' order. Demands with a
/// symbol that no input binds are left out: only unused nodes can have them.
#[must_use]
pub fn of_graph(graph: &Graph) -> Vec<Requirement> {
    let mut bound = Vec::new();
    for &input in &graph.inputs {
        graph.value(input).ty.dims.iter().for_each(|d| d.collect_symbols(&mut bound));
    }
    let mut found: Vec<Requirement> = Vec::new();
    collect(graph, &mut |requirement| {
        if requirement.condition.symbols().iter().all(|s| bound.contains(s)) && !found.contains(&requirement)
        {
            found.push(requirement);
        }
    });
    found
}

fn collect(graph: &Graph, found: &mut dyn FnMut(Requirement)) {
    graph.requirements.iter().cloned().for_each(&mut *found);
    for node in &graph.nodes {
        node.regions.iter().for_each(|body| collect(body, found));
        of_node(graph, node).into_iter().for_each(&mut *found);
    }
}

/// Keeps a node's demands, for passes that replace the node by one that demands less.
pub(crate) fn keep(graph: &mut Graph, node: &Node) {
    let demands = of_node(graph, node);
    graph.requirements.extend(demands);
}

/// The demands of one node. There are none if its sizes are all numbers, since inference has checked them.
fn of_node(graph: &Graph, node: &Node) -> Vec<Requirement> {
    fn operand(value: &Value) -> Operand<'_> {
        let constant = match &value.def {
            Def::Constant(tensor) => Some(tensor),
            _ => None,
        };
        Operand { ty: &value.ty, known: value.known.as_deref(), constant }
    }
    let is_symbolic = |value: &Value| value.ty.static_dims().is_none();
    let touched = node.operands.iter().flatten().chain(&node.results);
    if !touched.map(|&v| graph.value(v)).any(is_symbolic) {
        return Vec::new();
    }
    let operands: Vec<_> = node.operands.iter().map(|o| o.map(|v| operand(graph.value(v)))).collect();
    // The table has no nodes with bodies. If inference refuses a node, the passes' contract has reported it.
    let mut requirements = ops::requirements(&node.op, &node.attrs, &operands).unwrap_or_default();
    for requirement in &mut requirements {
        requirement.message = format!("{} in {}", requirement.message, node.location.node);
    }
    requirements
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlcc_ir::{
        attributes::{Attr, Attrs},
        dtype::DType,
        expr::Expr,
        graph::Location,
        requirement::Condition,
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
        // The second round demands nothing new.
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
        let reshape = |x: &[&str], y: &[&str]| {
            let shape = y.iter().map(|d| d.parse().unwrap()).collect();
            required("reshape", Attrs::new().with("shape", Attr::Exprs(shape)), x, y)
        };
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
        let shape = ["unbound", "4"].map(|d| d.parse().unwrap()).to_vec();
        let attrs = Attrs::new().with("shape", Attr::Exprs(shape));
        assert_eq!(required("reshape", attrs, &["n"], &["unbound", "4"]), []);
    }

    #[test]
    fn an_extreme_element_must_exist() {
        for op in ["arg_max", "arg_min"] {
            let along = |axis: i64, x: &[&str]| {
                required(op, Attrs::new().with("axis", Attr::Int(axis)), x, &["1", "n"])
            };
            assert_eq!(along(0, &["3", "n"]), []);
            let wanted = Requirement {
                condition: Condition::AtLeast(Expr::symbol("n"), 1),
                message: "n must not be 0 in node_7".into(),
            };
            assert_eq!(along(1, &["3", "n"]), [wanted]);
        }
    }
}
