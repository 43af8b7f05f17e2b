//! Writes a graph in MLIR's generic form.

use crate::{
    operators::{self, Operator},
    origin,
    text::{float, list, location, quote, quoted_expr, strings, tensor_type},
    weights::{Data, data},
};
use mlcc_ir::{
    Name,
    attributes::Attr,
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    graph::{Def, Graph, Node, Value, ValueId},
    requirement::{Condition, Requirement},
    size_range::SizeRange,
    tensor::Tensor,
    types::TensorType,
};
use std::fmt::Write;

/// A module with the graph as its function.
pub(super) fn module(graph: &Graph) -> Result<String> {
    let mut writer = Writer::default();
    let body = writer.graph(graph, &[], true)?;
    let types = |ids: &mut dyn Iterator<Item = ValueId>| -> Result<String> {
        let types: Result<Vec<String>> = ids.map(|id| tensor_type(&value(graph, id)?.ty)).collect();
        Ok(list(types?))
    };
    let inputs = types(&mut graph.inputs.iter().copied())?;
    let outputs = types(&mut graph.outputs.iter().map(|(_, id)| *id))?;
    let symbol = if graph.name.is_empty() { "main" } else { &graph.name };
    Ok(format!(
        "\"func.func\"() <{{sym_name = {}, function_type = ({inputs}) -> ({outputs})}}> ({body}) : () -> () \
         loc(unknown)",
        quote(symbol)
    ))
}

fn value(graph: &Graph, id: ValueId) -> Result<&Value> {
    let missing = || Diagnostic::internal(format!("graph '{}' has no value {}", graph.name, id.0));
    graph.values.get(id.0 as usize).ok_or_else(missing)
}

#[derive(Default)]
struct Writer {
    /// Values named so far, in all graphs.
    named: usize,
}

impl Writer {
    fn fresh(&mut self) -> String {
        self.named += 1;
        format!("%v{}", self.named - 1)
    }

    /// A graph as a region; `outer` are the names of the enclosing graph's values.
    fn graph(&mut self, graph: &Graph, outer: &[String], top: bool) -> Result<String> {
        let mut names = Vec::with_capacity(graph.values.len());
        for v in &graph.values {
            names.push(match v.def {
                Def::Captured(id) => outer.get(id.0 as usize).cloned().ok_or_else(|| {
                    Diagnostic::internal(format!("value '{}' is captured from nowhere", v.name))
                })?,
                _ => self.fresh(),
            });
        }
        let mut text = String::from("{\n");
        let mut arguments = Vec::new();
        for &id in &graph.inputs {
            let v = value(graph, id)?;
            let loc = quote(&v.name);
            arguments.push(format!("{}: {} loc({loc})", names[id.0 as usize], tensor_type(&v.ty)?));
        }
        if !arguments.is_empty() {
            writeln!(text, "^bb0({}):", list(arguments)).expect("strings grow");
        }
        for (v, name) in graph.values.iter().zip(&names) {
            if let Def::Constant(tensor) = &v.def {
                text += &constant(v, tensor, name)?;
            }
        }
        for node in &graph.nodes {
            let written = self.node(graph, node, &names);
            text += &written.map_err(|e| e.at(&node.location))?;
        }
        text += &end(graph, &names, top)?;
        text.push('}');
        Ok(text)
    }

    fn node(&mut self, graph: &Graph, node: &Node, names: &[String]) -> Result<String> {
        let op = &node.op;
        let operator = operators::operator(op)
            .ok_or_else(|| Diagnostic::internal(format!("operator 'graph.{op}' is not in the dialect")))?;
        let (properties, mut others) = attributes(operator, node)?;
        let known: Result<Vec<Option<&[Expr]>>> =
            node.results.iter().map(|&r| Ok(value(graph, r)?.known.as_deref())).collect();
        if let Some(known) = known_values(&known?)? {
            others.push(format!("graph.known = {known}"));
        }
        let operands: Vec<ValueId> = node.operands.iter().flatten().copied().collect();
        let regions: Result<Vec<String>> =
            node.regions.iter().map(|region| self.graph(region, names, false)).collect();
        let regions = match &regions?[..] {
            [] => String::new(),
            regions => format!(" ({})", list(regions)),
        };
        let result_names: Result<Vec<Name>> =
            node.results.iter().map(|&r| Ok(value(graph, r)?.name.clone())).collect();
        let results = list(node.results.iter().map(|r| &names[r.0 as usize]));
        let types = |ids: &[ValueId]| -> Result<String> {
            let types: Result<Vec<String>> =
                ids.iter().map(|&id| tensor_type(&value(graph, id)?.ty)).collect();
            Ok(list(types?))
        };
        let operand_types = types(&operands)?;
        // MLIR refuses even empty properties for an operation that declares none.
        let properties = match &properties[..] {
            [] => String::new(),
            properties => format!(" <{{{}}}>", list(properties)),
        };
        Ok(format!(
            "{results}{}\"graph.{op}\"({}){properties}{regions} {{{}}} : ({operand_types}) -> ({}) {}\n",
            if results.is_empty() { "" } else { " = " },
            list(operands.iter().map(|o| &names[o.0 as usize])),
            list(others),
            types(&node.results)?,
            location(&node.location, &result_names?),
        ))
    }
}

/// The attributes that the dialect declares, and others.
fn attributes(operator: &Operator, node: &Node) -> Result<(Vec<String>, Vec<String>)> {
    let misfit = |what: &str| {
        Diagnostic::internal(format!("'graph.{}' cannot have these {what}", operator.name))
            .hint("the operands that it takes are in the dialect's reference")
    };
    let (mut declared, mut others) = (Vec::new(), Vec::new());
    for (name, attr) in &node.attrs.0 {
        let known = operator.attributes.iter().find(|a| *a.name == **name);
        let text = format!("{} = {}", quote(name), attribute(attr, known.map_or("", |a| a.kind))?);
        if known.is_some() { &mut declared } else { &mut others }.push(text);
    }
    let mut present: Vec<bool> = node.operands.iter().map(Option::is_some).collect();
    while present.last() == Some(&false) {
        present.pop();
    }
    let sizes = operators::segments(operator.operands, &present).ok_or_else(|| misfit("operands"))?;
    if operators::needs_segments(operator.operands) {
        declared.push(format!("operandSegmentSizes = array<i32: {}>", list(sizes)));
    }
    let present = vec![true; node.results.len()];
    let sizes = operators::segments(operator.results, &present).ok_or_else(|| misfit("results"))?;
    if operators::needs_segments(operator.results) {
        declared.push(format!("resultSegmentSizes = array<i32: {}>", list(sizes)));
    }
    Ok((declared, others))
}

/// An attribute; `kind` is TableGen's constraint on it.
fn attribute(attr: &Attr, kind: &str) -> Result<String> {
    let exprs = kind == "Graph_ExprsAttr";
    Ok(match attr {
        Attr::Bool(v) => v.to_string(),
        Attr::Int(v) if exprs => format!("#graph.exprs<{v}>"),
        Attr::Int(v) if kind == "F64Attr" => format!("{} : f64", float(*v as f64)),
        Attr::Int(v) => format!("{v} : i64"),
        Attr::Float(v) => format!("{} : f64", float(*v)),
        Attr::Str(v) => quote(v),
        Attr::DType(v) => v.mlir_name().into(),
        Attr::Ints(v) if exprs => format!("#graph.exprs<{}>", list(v)),
        Attr::Ints(v) if v.is_empty() => "array<i64>".into(),
        Attr::Ints(v) => format!("array<i64: {}>", list(v)),
        // `array<f64>` is not used, because MLIR prints it with six digits.
        Attr::Floats(v) => format!("[{}]", list(v.iter().map(|x| float(*x) + " : f64"))),
        Attr::Strs(v) => strings(v),
        Attr::Exprs(v) => expr_list(v)?,
        Attr::Tensor(v) => tensor_data(v, &v.ty())?,
    })
}

/// Expressions that stay expressions even if they are constants.
fn expr_list(items: &[Expr]) -> Result<String> {
    let texts: Result<Vec<String>> = items.iter().map(quoted_expr).collect();
    Ok(format!("#graph.exprs<{}>", list(texts?)))
}

/// The known elements of some values; `None` if none are known.
fn known_values(known: &[Option<&[Expr]>]) -> Result<Option<String>> {
    if known.iter().all(Option::is_none) {
        return Ok(None);
    }
    let each: Result<Vec<String>> = known.iter().map(|k| k.map_or(Ok("unit".into()), expr_list)).collect();
    Ok(Some(format!("[{}]", list(each?))))
}

fn constant(v: &Value, tensor: &Tensor, name: &str) -> Result<String> {
    let op = match data(tensor) {
        Data::Inline(_) => "constant",
        Data::Weight(_) => "weight",
    };
    let (label, ty) = (quote(&v.name), tensor_type(&v.ty)?);
    let value = tensor_data(tensor, &v.ty)?;
    Ok(format!("{name} = \"graph.{op}\"() <{{name = {label}, value = {value}}}> : () -> {ty} loc({label})\n"))
}

/// A constant's data, elements or a reference, of type `ty`, which may have a layout.
pub(crate) fn tensor_data(tensor: &Tensor, ty: &TensorType) -> Result<String> {
    if ty.static_dims().as_ref() != Some(&tensor.dims) || ty.dtype != tensor.dtype {
        return Err(Diagnostic::internal(format!("a constant of type {ty} has data of {}", tensor.ty())));
    }
    let ty = tensor_type(ty)?;
    Ok(match data(tensor) {
        Data::Weight(identity) => format!("#graph.weight<{}> : {ty}", quote(&identity)),
        Data::Inline(_) if tensor.elements() == 0 => format!("dense<> : {ty}"),
        Data::Inline(t) if t.dtype == DType::Bool => {
            let mut elements = t.data.iter().map(|b| *b != 0);
            format!("dense<{}> : {ty}", nested(&t.dims, &mut elements))
        }
        Data::Inline(t) => {
            let mut digits = String::new();
            t.data.iter().for_each(|b| write!(digits, "{b:02X}").expect("strings grow"));
            format!("dense<\"0x{digits}\"> : {ty}")
        }
    })
}

fn nested(dims: &[i64], elements: &mut dyn Iterator<Item = bool>) -> String {
    match dims {
        [] => elements.next().unwrap_or_default().to_string(),
        [n, inner @ ..] => format!("[{}]", list((0..*n).map(|_| nested(inner, elements)))),
    }
}

/// The outputs.
fn end(graph: &Graph, names: &[String], top: bool) -> Result<String> {
    let (mut operands, mut types) = (Vec::new(), Vec::new());
    for (_, id) in &graph.outputs {
        types.push(tensor_type(&value(graph, *id)?.ty)?);
        operands.push(&names[id.0 as usize]);
    }
    let mut properties = format!("names = {}", strings(graph.outputs.iter().map(|(name, _)| name)));
    if !top || graph.name.is_empty() {
        write!(properties, ", graph = {}", quote(&graph.name)).expect("strings grow");
    }
    let known: Vec<Option<&[Expr]>> =
        graph.inputs.iter().map(|id| graph.values[id.0 as usize].known.as_deref()).collect();
    let known = known_values(&known)?.map(|known| format!("graph.known_inputs = {known}"));
    let requirements = requirements(&graph.requirements)?;
    let requirements = requirements.map(|all| format!("graph.requirements = {all}"));
    let pairs = |(symbol, range): (&Name, &SizeRange)| format!("[{}, \"{range}\"]", quote(symbol));
    let ranges = (!graph.ranges.is_empty())
        .then(|| format!("graph.ranges = [{}]", list(graph.ranges.iter().map(pairs))));
    let origin = origin::attributes(&graph.origin, "graph")?;
    let others = list(known.into_iter().chain(ranges).chain(requirements).chain(origin));
    Ok(format!(
        "\"graph.return\"({}) <{{{properties}}}> {{{others}}} : ({}) -> () loc(unknown)\n",
        list(operands),
        list(types)
    ))
}

/// `[["n", "equals", "8", "message"], ["n", "at_least", "1", "message"]]`; `None` if there are no
/// requirements.
fn requirements(all: &[Requirement]) -> Result<Option<String>> {
    let texts = all.iter().map(|r| {
        let [value, relation, other] = match &r.condition {
            Condition::Equal(a, b) => [quoted_expr(a)?, quote("equals"), quoted_expr(b)?],
            Condition::AtLeast(value, least) => {
                [quoted_expr(value)?, quote("at_least"), quote(&least.to_string())]
            }
        };
        Ok(format!("[{value}, {relation}, {other}, {}]", quote(&r.message)))
    });
    let texts = texts.collect::<Result<Vec<String>>>()?;
    Ok((!texts.is_empty()).then(|| format!("[{}]", list(texts))))
}
