//! Reads a graph from MLIR's operations, and verifies single operations of the dialect.

use crate::{
    context::provenance,
    ffi::{Attribute, Block, Op, Value},
    operators::{self, Arity, Operator},
    origin,
    read::{Weights, attr, error, field, name, names, only_symbols, optional, tensor, tensor_type},
};
use mlcc_ir::{
    Name,
    attributes::Attrs,
    diagnostic::Result,
    expr::Expr,
    graph::{self, Def, Graph, Location, Node, ValueId},
    requirement::{Condition, Requirement},
    size_range::SizeRanges,
    types::TensorType,
};
use std::collections::HashMap;

/// Attributes that belong to the text form, not to the operator.
const OURS: [&str; 4] = ["graph.known", "graph.known_inputs", "operandSegmentSizes", "resultSegmentSizes"];

/// Verifies the conditions that TableGen's constraints do not cover: types, expressions, constants.
pub(crate) fn verify(op: Op<'_>) -> Result<()> {
    for value in op.operands().chain(op.results()) {
        value_type(op, value)?;
    }
    match op.name().as_str() {
        "graph.constant" | "graph.weight" => constant(op, Weights::Unbound).map(drop),
        "graph.return" => {
            let names = field(op, "names", names)?;
            if names.len() != op.operands().len() {
                let message = format!("{} names for {} outputs", names.len(), op.operands().len());
                return Err(error(op, message));
            }
            Ok(())
        }
        _ => {
            attributes(op, Weights::Unbound)?;
            known(op, "graph.known", op.results().len())?;
            for region in 0..op.region_count() {
                returned(op, op.block(region))?;
            }
            Ok(())
        }
    }
}

/// A function as a graph.
pub(super) fn function(op: Op<'_>, weights: Weights<'_>) -> Result<Graph> {
    let symbol = field(op, "sym_name", name)?;
    let mut reader = Reader { weights, scopes: Vec::new() };
    reader.graph(op, 0, symbol)
}

/// The conditions on sizes that a `graph.return` carries beyond those of the graph's operators.
fn requirements(end: Op<'_>) -> Result<Vec<Requirement>> {
    let rows = optional(end, "graph.requirements", |a| a.array()?.into_iter().map(names).collect())?;
    let rows: Vec<Vec<Name>> = rows.unwrap_or_default();
    let read = |row: &[Name]| {
        let [value, relation, other, message] = row else { return None };
        let symbolic = |text: &Name| text.parse::<Expr>().ok().filter(|e| only_symbols(e).is_ok());
        let condition = match &**relation {
            "equals" => Condition::Equal(symbolic(value)?, symbolic(other)?),
            "at_least" => Condition::AtLeast(symbolic(value)?, other.parse().ok()?),
            _ => return None,
        };
        Some(Requirement { condition, message: message.to_string() })
    };
    rows.iter()
        .map(|row| read(row).ok_or_else(|| error(end, format!("{row:?} is no condition on sizes"))))
        .collect()
}

/// The ranges of symbols that a `graph.return` carries: `[["n", "1..8"]]`.
fn ranges(end: Op<'_>) -> Result<SizeRanges> {
    let rows = optional(end, "graph.ranges", |a| a.array()?.into_iter().map(names).collect())?;
    let rows: Vec<Vec<Name>> = rows.unwrap_or_default();
    let mut ranges = SizeRanges::default();
    for row in rows {
        let [symbol, range] = &row[..] else {
            return Err(error(end, format!("{row:?} is no symbol and its range")));
        };
        ranges.insert(symbol.clone(), range.parse().map_err(|e: String| error(end, e))?);
    }
    Ok(ranges)
}

/// A graph being read, and the ids of its values by MLIR's value.
#[derive(Default)]
struct Scope {
    graph: Graph,
    ids: HashMap<usize, ValueId>,
}

struct Reader<'a> {
    weights: Weights<'a>,
    /// The last scope is the graph being read, those before are the graphs around it.
    scopes: Vec<Scope>,
}

impl Reader<'_> {
    fn graph(&mut self, op: Op<'_>, region: usize, symbol: Name) -> Result<Graph> {
        self.scopes.push(Scope::default());
        let block = op.block(region);
        let end = returned(op, block)?;
        let inputs = block.map(|b| b.arguments().collect::<Vec<_>>()).unwrap_or_default();
        let known = known(end, "graph.known_inputs", inputs.len())?;
        for (i, (input, known)) in inputs.into_iter().zip(known).enumerate() {
            let label = provenance(input.location()).and_then(|(names, _)| names?.into_iter().next());
            let label = label.unwrap_or_else(|| format!("input{i}"));
            let ty = value_type(op, input)?;
            let id = self.define(input, graph::Value { name: label.into(), ty, def: Def::Input(i), known });
            self.scope().graph.inputs.push(id);
        }
        for op in block.into_iter().flat_map(Block::ops) {
            match op.name().as_str() {
                "graph.return" => {}
                "graph.constant" | "graph.weight" => {
                    let (label, tensor) = constant(op, self.weights)?;
                    let result = op.results().next().ok_or_else(|| error(op, "a result is missing"))?;
                    let (ty, known) = (value_type(op, result)?, graph::known_elements(&tensor));
                    self.define(result, graph::Value { name: label, ty, def: Def::Constant(tensor), known });
                }
                _ => self.node(op)?,
            }
        }
        let names = field(end, "names", names)?;
        for (name, value) in names.into_iter().zip(end.operands()) {
            let id = self.lookup(end, value)?;
            self.scope().graph.outputs.push((name, id));
        }
        let label = optional(end, "graph", name)?.unwrap_or(symbol);
        self.scope().graph.ranges = ranges(end)?;
        self.scope().graph.requirements = requirements(end)?;
        self.scope().graph.origin = origin::read(end, "graph", self.weights)?;
        let mut graph = self.scopes.pop().map(|s| s.graph).unwrap_or_default();
        graph.name = label;
        Ok(graph)
    }

    fn scope(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("a graph is being read")
    }

    /// Adds the new value that stands for MLIR's `value` in the graph being read.
    fn define(&mut self, value: Value<'_>, new: graph::Value) -> ValueId {
        let scope = self.scope();
        let id = scope.graph.add_value(new.name, new.ty, new.def);
        scope.graph.value_mut(id).known = new.known;
        scope.ids.insert(value.key(), id);
        id
    }

    /// The id of a value in the graph being read. A value of a graph around it is captured.
    fn lookup(&mut self, op: Op<'_>, value: Value<'_>) -> Result<ValueId> {
        let key = value.key();
        let home = self.scopes.iter().rposition(|s| s.ids.contains_key(&key));
        let home = home.ok_or_else(|| error(op, "an operand is not a value of the graph"))?;
        let mut id = self.scopes[home].ids[&key];
        for level in home + 1..self.scopes.len() {
            let outer = self.scopes[level - 1].graph.value(id).clone();
            let scope = &mut self.scopes[level];
            let captured = scope.graph.add_value(outer.name, outer.ty, Def::Captured(id));
            scope.graph.value_mut(captured).known = outer.known;
            scope.ids.insert(key, captured);
            id = captured;
        }
        Ok(id)
    }

    fn node(&mut self, op: Op<'_>) -> Result<()> {
        let operator = operator_of(op)?;
        let operands = self.operands(op, operator)?;
        let attrs = attributes(op, self.weights)?;
        let mut regions = Vec::new();
        for region in 0..op.region_count() {
            regions.push(self.graph(op, region, "".into())?);
        }
        let results: Vec<Value<'_>> = op.results().collect();
        let known = known(op, "graph.known", results.len())?;
        let place = provenance(op.location());
        let (labels, location) = match place {
            Some((labels, location)) => (labels.unwrap_or_default(), location),
            None => {
                let made = format!("{}_{}", operator.name, self.scope().graph.nodes.len());
                (Vec::new(), Location { node: made.as_str().into(), op_type: operator.name.into() })
            }
        };
        let mut ids = Vec::new();
        for (i, (result, known)) in results.into_iter().zip(known).enumerate() {
            let label = labels.get(i).cloned();
            let made = || if i == 0 { location.node.to_string() } else { format!("{}:{i}", location.node) };
            let name = label.unwrap_or_else(made).into();
            let ty = value_type(op, result)?;
            ids.push(self.define(result, graph::Value { name, ty, def: Def::Node, known }));
        }
        let op = Name::from(operator.name);
        self.scope().graph.nodes.push(Node { op, attrs, operands, results: ids, regions, location });
        Ok(())
    }

    /// Operands in the operator's places; absent operands at the end are omitted.
    fn operands(&mut self, op: Op<'_>, operator: &Operator) -> Result<Vec<Option<ValueId>>> {
        let values: Vec<Value<'_>> = op.operands().collect();
        let sizes = match op.attribute("operandSegmentSizes").and_then(Attribute::ints) {
            Some(sizes) => sizes.into_iter().map(|n| usize::try_from(n).unwrap_or(0)).collect(),
            None => operators::segments(operator.operands, &vec![true; values.len()])
                .ok_or_else(|| error(op, "wrong number of operands"))?,
        };
        let mut rest = values.into_iter();
        let mut operands = Vec::new();
        for (place, size) in operator.operands.iter().zip(sizes) {
            for value in rest.by_ref().take(size) {
                operands.push(Some(self.lookup(op, value)?));
            }
            if size == 0 && place.arity == Arity::Optional {
                operands.push(None);
            }
        }
        while operands.last() == Some(&None) {
            operands.pop();
        }
        Ok(operands)
    }
}

fn operator_of(op: Op<'_>) -> Result<&'static Operator> {
    let name = op.name();
    let operator = name.strip_prefix("graph.").and_then(operators::operator);
    operator.ok_or_else(|| error(op, "not an operator of the graph dialect"))
}

fn value_type(op: Op<'_>, value: Value<'_>) -> Result<TensorType> {
    tensor_type(value.ty()).map_err(|e| error(op, e))
}

fn attributes(op: Op<'_>, weights: Weights<'_>) -> Result<Attrs> {
    let operator = operator_of(op)?;
    let mut attrs = Attrs::new();
    for (name, attribute) in op.attributes() {
        if OURS.contains(&name.as_str()) {
            continue;
        }
        let kind = operator.attributes.iter().find(|a| a.name == name).map_or("", |a| a.kind);
        let attr =
            attr(attribute, kind, weights).map_err(|e| error(op, format!("attribute '{name}': {e}")))?;
        attrs = attrs.with(&name, attr);
    }
    Ok(attrs)
}

/// The known elements of `count` values.
fn known(op: Op<'_>, attribute: &str, count: usize) -> Result<Vec<Option<Vec<Expr>>>> {
    let wrong = || error(op, format!("'{attribute}' is a list of #graph.exprs or unit, one a value"));
    let Some(known) = op.attribute(attribute) else { return Ok(vec![None; count]) };
    let list = known.array().filter(|l| l.len() == count).ok_or_else(wrong)?;
    let element = |a: Attribute<'_>| {
        if a.is_unit() {
            return Ok(None);
        }
        if a.kind() != "graph.exprs" {
            return Err(wrong());
        }
        let values = a.parameters().first().copied().and_then(crate::read::exprs);
        values.map(Some).ok_or_else(wrong)
    };
    list.into_iter().map(element).collect()
}

/// A constant's name and data.
fn constant(op: Op<'_>, weights: Weights<'_>) -> Result<(Name, mlcc_ir::tensor::Tensor)> {
    let label = field(op, "name", name)?;
    let value = field(op, "value", Some)?;
    let (tensor, _) = tensor(value, weights).map_err(|e| error(op, e))?;
    Ok((label, tensor))
}

/// The `graph.return` at a body's end.
fn returned<'m>(op: Op<'m>, block: Option<Block<'m>>) -> Result<Op<'m>> {
    let last = block.and_then(|b| b.ops().last()).filter(|last| last.name() == "graph.return");
    last.ok_or_else(|| error(op, "the body must end with 'graph.return'"))
}
