//! The functions of a CPU kernel: the entry with the runtime's calling convention, and the body, whose
//! pointers LLVM knows not to overlap.

use super::{
    Inputs,
    builder::{Builder, Cmp, Kind, Val},
    memory::memory_kind,
    platform::Platform,
};
use melior::ir::{
    Attribute, Module, Region, Type, Value,
    attribute::{StringAttribute, TypeAttribute},
    block::BlockLike,
    operation::OperationBuilder,
};
use mlcc_ir::{
    diagnostic::Result,
    expr::{Atom, Expr},
    kernel::Role,
    nest::{LoopNest, Space},
};

/// Alignment of scratch buffers, in bytes.
const SCRATCH_ALIGNMENT: i64 = 64;

/// Bytes of a cache line.
const LINE: i64 = 64;

/// Whether a nest has stores that bypass the caches on this machine.
fn streams(b: &Builder<'_>, nest: &LoopNest) -> bool {
    b.streams() && !nest.streamed.is_empty()
}

/// Offset of each `Scratch` buffer of a nest in the scratch memory, and the memory's size, in bytes.
#[must_use]
pub fn scratch_layout(nest: &LoopNest) -> (Vec<Expr>, Expr) {
    let mut end = Expr::from(0);
    let mut offsets = Vec::new();
    for buffer in nest.buffers.iter().filter(|b| b.space == Space::Scratch) {
        offsets.push(end.clone());
        let bytes = buffer.dims.iter().fold(Expr::from(buffer.dtype.size() as i64), |n, d| n * d.clone());
        let align = Expr::from(SCRATCH_ALIGNMENT);
        end = end + bytes.ceil_div(&align) * align;
    }
    (offsets, end)
}

/// Emits the two functions into a module: `symbol`, which is
/// `void(uint8_t** buffers, const int64_t* sizes, uint8_t* scratch, int64_t begin, int64_t end)`, and
/// `symbol.body`, which is internal.
///
/// # Errors
/// If the nest cannot be emitted.
pub fn kernel<'c>(
    b: &Builder<'c>,
    module: &Module<'c>,
    nest: &LoopNest,
    symbol: &str,
    platform: &dyn Platform,
) -> Result<()> {
    let pointer = b.ty(Kind::Pointer, 1);
    let integer = b.ty(Kind::I64, 1);
    let operands: Vec<_> = nest.buffers.iter().filter(|x| x.space == Space::Global).collect();
    let scratch: Vec<_> = nest.buffers.iter().filter(|x| x.space == Space::Scratch).collect();
    let types: Vec<Type<'c>> = std::iter::repeat_n(pointer, operands.len() + scratch.len())
        .chain(std::iter::repeat_n(integer, nest.symbols.len() + 2))
        .collect();

    // The body.
    let noalias = |extra: &str| {
        Attribute::parse(b.context, &format!("{{llvm.noalias{extra}}}")).expect("a dictionary of attributes")
    };
    let mut attributes: Vec<_> = operands
        .iter()
        .map(|x| noalias(if x.role == Role::Input { ", llvm.readonly" } else { "" }))
        .collect();
    attributes.extend(scratch.iter().map(|_| noalias(", llvm.align = 64 : i64")));
    let none = Attribute::parse(b.context, "{}").expect("an empty dictionary");
    attributes.resize(types.len(), none);

    let value = |raw: &Value<'c, 'c>, kind| Val { raw: *raw, kind, lanes: 1 };
    let emit_body = |nest: &LoopNest, name: &str| -> Result<()> {
        let arguments = b.open(&types);
        let (pointers, integers) = arguments.split_at(operands.len() + scratch.len());
        let (symbols, range) = integers.split_at(nest.symbols.len());
        let pointers: Vec<_> = pointers.iter().map(|p| value(p, Kind::Pointer)).collect();
        let inputs = Inputs {
            operands: pointers[..operands.len()].to_vec(),
            scratch: pointers[operands.len()..].to_vec(),
            symbols: symbols.iter().map(|s| value(s, Kind::I64)).collect(),
            range: Some([value(&range[0], Kind::I64), value(&range[1], Kind::I64)]),
        };
        let emitted = super::emit(b, nest, platform, &inputs);
        if streams(b, nest) {
            b.fence();
        }
        b.op("llvm.return", &[], &[], &[], Vec::new());
        let region = b.close();
        emitted?;
        let attributes = [("arg_attrs", b.array(&attributes))];
        append(b, module, (name, "internal"), (&types, &attributes), region);
        Ok(())
    };
    let body = format!("{symbol}.body");
    emit_body(nest, &body)?;
    // A second body, for the case that a streamed output does not begin at a cache line.
    let unaligned = format!("{symbol}.unaligned");
    if streams(b, nest) {
        emit_body(&LoopNest { streamed: Vec::new(), ..nest.clone() }, &unaligned)?;
    }

    // The entry.
    let entry_types = [pointer, pointer, pointer, integer, integer];
    let arguments = b.open(&entry_types);
    let [buffers, sizes, memory] = [0, 1, 2].map(|i| value(&arguments[i], Kind::Pointer));
    let element = |array: Val<'c>, at: usize, kind: Kind| {
        let at = b.int(Kind::I64, 1, at as i64);
        b.load(b.address(array, at, kind, true), kind, 1)
    };
    let mut call: Vec<Val<'c>> = (0..operands.len()).map(|i| element(buffers, i, Kind::Pointer)).collect();
    let symbols: Vec<_> = (0..nest.symbols.len()).map(|i| element(sizes, i, Kind::I64)).collect();
    for offset in scratch_layout(nest).0 {
        let offset = size(b, nest, &symbols, &offset);
        call.push(b.address(memory, offset, memory_kind(mlcc_ir::dtype::DType::U8), true));
    }
    let call: Vec<_> =
        call.iter().chain(&symbols).map(|v| v.raw).chain(arguments[3..].iter().copied()).collect();
    let calling = |name: &str| {
        let segments = melior::ir::attribute::DenseI32ArrayAttribute::new(b.context, &[call.len() as i32, 0]);
        let bundles = melior::ir::attribute::DenseI32ArrayAttribute::new(b.context, &[]);
        let attributes = [
            ("callee", b.symbol(name)),
            ("operandSegmentSizes", segments.into()),
            ("op_bundle_sizes", bundles.into()),
        ];
        b.op("llvm.call", &call, &[], &attributes, Vec::new());
    };
    if streams(b, nest) {
        let globals = (0..nest.buffers.len()).filter(|&id| nest.buffers[id].space == Space::Global);
        let streamed = globals.enumerate().filter(|(_, id)| nest.streamed.contains(id));
        let addresses = streamed.map(|(operand, _)| {
            let raw = b.op("llvm.ptrtoint", &[call[operand]], &[integer], &[], Vec::new())[0];
            value(&raw, Kind::I64)
        });
        let all = addresses.fold(b.int(Kind::I64, 1, 0), |all, address| b.or(all, address));
        let beyond = b.and(all, b.int(Kind::I64, 1, LINE - 1));
        let aligned = b.compare(Cmp::Eq, beyond, b.int(Kind::I64, 1, 0));
        let branch = |name: &str| {
            b.open(&[]);
            calling(name);
            b.yields(&[]);
            b.close()
        };
        let regions = vec![branch(&body), branch(&unaligned)];
        b.op("scf.if", &[aligned.raw], &[], &[], regions);
    } else {
        calling(&body);
    }
    b.op("llvm.return", &[], &[], &[], Vec::new());
    let region = b.close();
    append(b, module, (symbol, "external"), (&entry_types, &[]), region);
    Ok(())
}

/// A size expression over symbols, as [`Expr::evaluate`] computes it.
fn size<'c>(b: &Builder<'c>, nest: &LoopNest, symbols: &[Val<'c>], expr: &Expr) -> Val<'c> {
    let constant = |v| b.int(Kind::I64, 1, v);
    let mut sum = constant(expr.constant());
    for (product, coefficient) in expr.terms() {
        let mut term = constant(*coefficient);
        for atom in product {
            let factor = match atom {
                Atom::FloorDiv(ab) | Atom::Mod(ab) | Atom::Min(ab) | Atom::Max(ab) => {
                    let x = size(b, nest, symbols, &ab.0);
                    let y = size(b, nest, symbols, &ab.1);
                    match atom {
                        // Sizes and divisors are not negative.
                        Atom::FloorDiv(_) => {
                            b.int_op("arith.divui", x, b.int_op("arith.maxsi", y, constant(1)))
                        }
                        Atom::Mod(_) => b.int_op("arith.remui", x, b.int_op("arith.maxsi", y, constant(1))),
                        Atom::Min(_) => b.int_op("arith.minsi", x, y),
                        _ => b.int_op("arith.maxsi", x, y),
                    }
                }
                Atom::Symbol(name) => {
                    nest.symbols.iter().position(|s| s == name).map_or(constant(0), |at| symbols[at])
                }
                Atom::Axis(_) | Atom::Value(_) => constant(0),
            };
            term = b.mul(term, factor);
        }
        sum = b.add(sum, term);
    }
    sum
}

/// Appends an `llvm.func` without result to a module: its name and linkage, the types of its arguments,
/// further attributes, its body.
pub fn append<'c>(
    b: &Builder<'c>,
    module: &Module<'c>,
    (name, linkage): (&str, &str),
    (arguments, others): (&[Type<'c>], &[(&str, Attribute<'c>)]),
    region: Region<'c>,
) {
    let void = melior::dialect::llvm::r#type::void(b.context);
    let ty = melior::dialect::llvm::r#type::function(void, arguments, false);
    let id = |name: &str| melior::ir::Identifier::new(b.context, name);
    let linkage = Attribute::parse(b.context, &format!("#llvm.linkage<{linkage}>")).expect("a linkage");
    let mut attributes = vec![
        (id("sym_name"), StringAttribute::new(b.context, name).into()),
        (id("function_type"), TypeAttribute::new(ty).into()),
        (id("linkage"), linkage),
    ];
    attributes.extend(others.iter().map(|(name, value)| (id(name), *value)));
    let function = OperationBuilder::new("llvm.func", melior::ir::Location::unknown(b.context))
        .add_attributes(&attributes)
        .add_regions_vec(vec![region])
        .build()
        .expect("a function");
    module.body().append_operation(function);
}
