//! A bound nest as a kernel function: the facts about a GPU that the emitter shared with CPUs needs.

use crate::launch::Launch;
use melior::{
    dialect::llvm::r#type::{array, pointer},
    ir::{
        Attribute, Location, Module, Region, Type, Value,
        attribute::{DenseI32ArrayAttribute, StringAttribute, TypeAttribute},
        block::BlockLike,
        operation::OperationBuilder,
    },
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    kernel::Role,
    nest::{LoopNest, Mapping, Space},
};
use mlcc_llvm::emit::{
    self, Inputs,
    builder::{Builder, Kind, Val},
    function, memory_kind,
    platform::Platform,
};

/// Address spaces of NVPTX.
const GLOBAL: u32 = 1;
const SHARED: u32 = 3;
/// Shared buffers begin at multiples of the widest load, in bytes.
const SHARED_ALIGNMENT: i64 = 16;

/// The GPU, as seen from within the kernel of that name.
struct Gpu<'n> {
    entry: &'n str,
}

impl Gpu<'_> {
    fn shared_name(&self, buffer: usize) -> String {
        format!("{}_shared{buffer}", self.entry)
    }
}

impl Platform for Gpu<'_> {
    fn point<'c>(&self, b: &Builder<'c>, mapping: Mapping) -> Result<Val<'c>> {
        let (register, d) = match mapping {
            Mapping::Block(d) => ("ctaid", d),
            Mapping::Thread(d) => ("tid", d),
            other => return Err(Diagnostic::internal(format!("{other:?} is no axis of a GPU's grid"))),
        };
        let dimension = ["x", "y", "z"].get(usize::from(d)).ok_or_else(|| {
            Diagnostic::internal(format!("an axis is bound to dimension {d} of a GPU's grid, which has 3"))
        })?;
        let name = format!("nvvm.read.ptx.sreg.{register}.{dimension}");
        let raw = b.op(&name, &[], &[b.ty(Kind::I32, 1)], &[], Vec::new())[0];
        Ok(b.resize(Val { raw, kind: Kind::I32, lanes: 1 }, Kind::I64, false))
    }

    fn shared<'c>(&self, b: &Builder<'c>, _: &LoopNest, id: usize) -> Result<Val<'c>> {
        let name = [("global_name", b.symbol(&self.shared_name(id)))];
        let raw = b.op("llvm.mlir.addressof", &[], &[pointer(b.context, SHARED)], &name, Vec::new())[0];
        Ok(generic(b, raw))
    }

    fn barrier(&self, b: &Builder<'_>) -> Result<()> {
        let none = DenseI32ArrayAttribute::new(b.context, &[0, 0, 0]).into();
        b.op("nvvm.barrier", &[], &[], &[("operandSegmentSizes", none)], Vec::new());
        Ok(())
    }

    fn vector_bits(&self) -> u32 {
        32
    }

    fn has_masks(&self) -> bool {
        // A thread has one lane; a mask of it is a predicate.
        true
    }
}

/// A pointer into any address space as a generic one, which all loads and stores take. LLVM infers the space
/// again.
fn generic<'c>(b: &Builder<'c>, raw: Value<'c, 'c>) -> Val<'c> {
    let raw = b.op("llvm.addrspacecast", &[raw], &[b.ty(Kind::Pointer, 1)], &[], Vec::new())[0];
    Val { raw, kind: Kind::Pointer, lanes: 1 }
}

/// Appends the kernel `entry` to a module: its parameters are the addresses of the nest's operands, then
/// the values of its symbols as `i64`.
pub(crate) fn kernel<'c>(
    b: &Builder<'c>,
    module: &Module<'c>,
    nest: &LoopNest,
    entry: &str,
    launch: &Launch,
) -> Result<()> {
    let gpu = Gpu { entry };
    for (id, buffer) in nest.buffers.iter().enumerate() {
        match buffer.space {
            Space::Shared => {
                let elements = buffer.dims.iter().try_fold(1i64, |n, d| n.checked_mul(d.as_const()?));
                let elements = elements.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| {
                    Diagnostic::internal(format!("shared buffer '{}' has no constant size", buffer.name))
                })?;
                let ty = array(b.ty(memory_kind(buffer.dtype), 1), elements.max(1));
                shared_global(b, module, &gpu.shared_name(id), ty);
            }
            Space::Scratch => {
                let what = format!("kernel '{}': buffer '{}' is in a CPU's scratch", nest.name, buffer.name);
                return Err(Diagnostic::internal(what));
            }
            Space::Global | Space::Register => {}
        }
    }

    let operands: Vec<_> = nest.buffers.iter().filter(|x| x.space == Space::Global).collect();
    let types: Vec<Type<'c>> = std::iter::repeat_n(pointer(b.context, GLOBAL), operands.len())
        .chain(std::iter::repeat_n(b.ty(Kind::I64, 1), nest.symbols.len()))
        .collect();
    let parse = |text: &str| Attribute::parse(b.context, text).expect("a valid attribute");
    let argument =
        |role| if role == Role::Input { "{llvm.noalias, llvm.readonly}" } else { "{llvm.noalias}" };
    let mut arguments: Vec<_> = operands.iter().map(|x| parse(argument(x.role))).collect();
    arguments.resize(types.len(), parse("{}"));

    let values = b.open(&types);
    let (pointers, symbols) = values.split_at(operands.len());
    let inputs = Inputs {
        operands: pointers.iter().map(|raw| generic(b, *raw)).collect(),
        scratch: Vec::new(),
        symbols: symbols.iter().map(|raw| Val { raw: *raw, kind: Kind::I64, lanes: 1 }).collect(),
        range: None,
    };
    let emitted = emit::emit(b, nest, &gpu, &inputs);
    b.op("llvm.return", &[], &[], &[], Vec::new());
    let region = b.close();
    emitted?;
    let threads = launch.block.map(|n| n as i32);
    let attributes = [
        ("arg_attrs", b.array(&arguments)),
        ("nvvm.kernel", parse("unit")),
        ("nvvm.reqntid", DenseI32ArrayAttribute::new(b.context, &threads).into()),
    ];
    function::append(b, module, (entry, "external"), (&types, &attributes), region);
    Ok(())
}

/// Appends a variable in shared memory, without a value.
fn shared_global<'c>(b: &Builder<'c>, module: &Module<'c>, name: &str, ty: Type<'c>) {
    let id = |name: &str| melior::ir::Identifier::new(b.context, name);
    let linkage = Attribute::parse(b.context, "#llvm.linkage<internal>").expect("a linkage");
    let global = OperationBuilder::new("llvm.mlir.global", Location::unknown(b.context))
        .add_attributes(&[
            (id("sym_name"), StringAttribute::new(b.context, name).into()),
            (id("global_type"), TypeAttribute::new(ty).into()),
            (id("linkage"), linkage),
            (id("addr_space"), b.int_attr(32, i64::from(SHARED))),
            (id("alignment"), b.int_attr(64, SHARED_ALIGNMENT)),
        ])
        .add_regions_vec(vec![Region::new()])
        .build()
        .expect("a global");
    module.body().append_operation(global);
}
