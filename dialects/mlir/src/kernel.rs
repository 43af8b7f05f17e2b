//! Kernels and `te.kernel`.

use crate::{
    ffi::{Attribute, Block, Op},
    read::{error, field, name, names, only_symbols, optional, tensor_type},
    scalar::{self, Scope, TENSOR, Target, case, combine, combine_property, enumeration},
    text::{list, quote, quoted_expr, strings, tensor_type as type_text},
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    kernel::{Axis, AxisKind, Compute, Kernel, KernelTensor, Role},
};
use std::{collections::HashMap, fmt::Write};

/// In the order of TableGen's `Te_Role`.
pub(crate) const ROLES: [Role; 4] = [Role::Input, Role::Output, Role::InOut, Role::Temporary];

const KINDS: [(&str, AxisKind); 3] = [
    ("parallel", AxisKind::Parallel),
    ("reduction", AxisKind::Reduction),
    ("sequential", AxisKind::Sequential),
];

/// A kernel in MLIR's generic form, as `@symbol`.
pub(crate) fn write(kernel: &Kernel, symbol: &str) -> Result<String> {
    let named = match *kernel.name == *symbol {
        true => String::new(),
        false => format!(", name = {}", quote(&kernel.name)),
    };
    let mut text = format!(
        "\"te.kernel\"() <{{sym_name = {}{named}, nodes = {}}}> ({{\n^bb0:\n",
        quote(symbol),
        strings(&kernel.nodes)
    );
    let tensors: Vec<String> = (0..kernel.tensors.len()).map(|i| format!("%t{i}")).collect();
    for (tensor, ssa) in kernel.tensors.iter().zip(&tensors) {
        let (label, role, ty) = (quote(&tensor.name), case(&ROLES, &tensor.role), type_text(&tensor.ty)?);
        writeln!(
            text,
            "{ssa} = \"te.tensor\"() <{{name = {label}, role = {role}, type = {ty}}}> : () -> {TENSOR} loc({label})"
        )
        .expect("strings grow");
    }
    for compute in &kernel.computes {
        text += &write_compute(compute, &tensors)?;
    }
    Ok(text + "}) : () -> ()\n")
}

fn write_compute(compute: &Compute, tensors: &[String]) -> Result<String> {
    let axis = |a: &Axis| -> Result<String> {
        let kind = KINDS.iter().find(|(_, k)| *k == a.kind).map_or("", |(name, _)| name);
        Ok(format!("[{}, {}, {}]", quote(&a.name), quoted_expr(&a.extent)?, quote(kind)))
    };
    let axes: Result<Vec<String>> = compute.axes.iter().map(axis).collect();
    let target = tensors.get(compute.target);
    let target =
        target.ok_or_else(|| Diagnostic::internal(format!("compute '{}' has no target", compute.name)))?;
    let body = scalar::write(&compute.body, Target { index: &compute.write, guards: &[] }, tensors)?;
    Ok(format!(
        "\"te.compute\"({target}) <{{name = {}, axes = [{}]{}}}> ({body}) : ({TENSOR}) -> ()\n",
        quote(&compute.name),
        list(axes?),
        combine_property(compute.combine)
    ))
}

/// Reads a `te.kernel`.
pub(crate) fn read(op: Op<'_>) -> Result<Kernel> {
    let symbol = field(op, "sym_name", name)?;
    let mut kernel = Kernel {
        name: optional(op, "name", name)?.unwrap_or(symbol),
        nodes: field(op, "nodes", names)?,
        tensors: Vec::new(),
        computes: Vec::new(),
    };
    let mut ids = HashMap::new();
    for op in op.block(0).into_iter().flat_map(Block::ops) {
        match op.name().as_str() {
            "te.tensor" => {
                let tensor = read_tensor(op)?;
                if kernel.tensors.iter().any(|t| t.name == tensor.name) {
                    return Err(error(op, format!("a second tensor is named '{}'", tensor.name)));
                }
                let rank = tensor.ty.rank();
                ids.extend(op.results().map(|r| (r.key(), (kernel.tensors.len(), rank))));
                kernel.tensors.push(tensor);
            }
            "te.compute" => kernel.computes.push(read_compute(op, &ids)?),
            _ => return Err(error(op, "a kernel has tensors and computes only")),
        }
    }
    Ok(kernel)
}

fn read_tensor(op: Op<'_>) -> Result<KernelTensor> {
    let ty = tensor_type(field(op, "type", Attribute::ty)?).map_err(|e| error(op, e))?;
    let role = field(op, "role", |a| enumeration(a, &ROLES))?;
    Ok(KernelTensor { name: field(op, "name", name)?, ty, role })
}

fn read_compute(op: Op<'_>, tensors: &HashMap<usize, (usize, usize)>) -> Result<Compute> {
    let mut axes: Vec<Axis> = Vec::new();
    for axis in field(op, "axes", Attribute::array)? {
        let axis = read_axis(axis).ok_or_else(|| error(op, "an axis is a name, an extent and a kind"))?;
        only_symbols(&axis.extent).map_err(|e| error(op, e))?;
        if axes.iter().any(|a| a.name == axis.name) {
            return Err(error(op, format!("a second axis is named '{}'", axis.name)));
        }
        axes.push(axis);
    }
    let around: Vec<Name> = axes.iter().map(|a| a.name.clone()).collect();
    let scope = Scope { tensors, axes: &around };
    let (target, rank) = scope.tensor(op, op.operands().next())?;
    let read = scalar::read(op, &scope, rank)?;
    if !read.guards.is_empty() {
        return Err(error(op, "a compute has no guards"));
    }
    let combine = combine(op)?;
    let label = field(op, "name", name)?;
    Ok(Compute { name: label, axes, target, write: read.index, body: read.body, combine })
}

fn read_axis(attribute: Attribute<'_>) -> Option<Axis> {
    let parts = attribute.array()?;
    let [label, extent, kind] = parts[..] else { return None };
    let kind = kind.string()?;
    let kind = KINDS.iter().find(|(name, _)| *name == kind)?.1;
    Some(Axis { name: name(label)?, extent: crate::read::expr(extent)?, kind })
}
