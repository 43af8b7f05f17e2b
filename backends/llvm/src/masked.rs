//! Replaces masked accesses by other instructions, because LLVM 22 selects wrong code for them on x86.
//!
//! **Loads without AVX-512.** LLVM tests only the lanes' sign bits of a mask in vector registers. So it may turn a
//! mask that it finds to hold nowhere into a splat of 1. Another of its steps treats these lanes as true, because
//! they are not 0, and loads the whole register: past the buffer's end, and over the value for masked lanes. It
//! happens to vectors wider than a register, because LLVM simplifies the mask of a part only after it has split them.
//! That load also keeps a masked access's unknown size, and a later step aborts the process because of it.
//!
//! **Stores with AVX-512.** LLVM narrows elements as it stores them. If it knows the mask and one lane holds, it
//! stores that element alone, but before the element is narrowed. The store then overwrites the element's neighbours.

use inkwell::{
    builder::Builder,
    intrinsics::Intrinsic,
    module::Module,
    types::{BasicTypeEnum, VectorType},
    values::{
        AnyValue, BasicValue, BasicValueEnum, CallSiteValue, InstructionValue, Operand, PointerValue,
        VectorValue,
    },
};
use mlcc_ir::diagnostic::{Diagnostic, Result};
use std::fmt::Display;

/// Replaces a module's masked accesses. Runs after LLVM's passes: they would turn some accesses back, and may still
/// find out more about masks.
///
/// # Errors
/// If LLVM refuses an instruction.
pub(crate) fn lower(llvm: &Module<'_>, avx512: bool) -> Result<()> {
    let blocks = llvm.get_functions().flat_map(|f| f.get_basic_block_iter());
    let instructions: Vec<_> = blocks.flat_map(|b| b.get_instructions()).collect();
    let builder = llvm.get_context().create_builder();
    for store in instructions.iter().filter_map(|i| OneLaneStore::of(*i)) {
        builder.position_before(&store.call);
        store.lower(llvm, &builder)?;
        store.call.erase_from_basic_block();
    }
    if avx512 {
        return Ok(());
    }
    for load in instructions.iter().filter_map(|i| MaskedLoad::of(*i)) {
        builder.position_before(&load.call);
        load.result.replace_all_uses_with(load.lower(llvm, &builder)?);
        load.call.erase_from_basic_block();
    }
    Ok(())
}

/// A call of the intrinsic with that name, its type's apart, and its first three operands.
fn operands<'l>(call: InstructionValue<'l>, intrinsic: &str) -> Option<[BasicValueEnum<'l>; 3]> {
    let callee = CallSiteValue::try_from(call).ok()?.get_called_fn_value()?;
    let named = callee.get_name().to_bytes().starts_with(intrinsic.as_bytes());
    let operand = |at| call.get_operand(at).and_then(Operand::value);
    if named { Some([operand(0)?, operand(1)?, operand(2)?]) } else { None }
}

/// A call of `llvm.masked.store` whose mask is constant and holds for one lane.
struct OneLaneStore<'l> {
    call: InstructionValue<'l>,
    value: VectorValue<'l>,
    pointer: PointerValue<'l>,
    lane: u32,
}

impl<'l> OneLaneStore<'l> {
    fn of(call: InstructionValue<'l>) -> Option<OneLaneStore<'l>> {
        let [value, pointer, mask] = operands(call, "llvm.masked.store.")?;
        let mask = mask.into_vector_value();
        if !mask.is_const() {
            return None;
        }
        let index = mask.get_type().get_context().i32_type();
        let holds = |lane: &u32| {
            let bit = mask.const_extract_element(index.const_int(u64::from(*lane), false));
            bit.into_int_value().get_zero_extended_constant() == Some(1)
        };
        let lanes: Vec<_> = (0..mask.get_type().get_size()).filter(holds).collect();
        let [lane] = lanes[..] else { return None };
        Some(OneLaneStore {
            call,
            value: value.into_vector_value(),
            pointer: pointer.into_pointer_value(),
            lane,
        })
    }

    /// The element, then its store.
    fn lower(&self, llvm: &Module<'l>, builder: &Builder<'l>) -> Result<()> {
        let bytes = bits(self.value.get_type()) / 8;
        let index = llvm.get_context().i32_type().const_int(u64::from(self.lane), false);
        let element = builder.build_extract_element(self.value, index, "").map_err(refused)?;
        let pointer = offset(llvm, builder, self.pointer, self.lane * bytes)?;
        let store = builder.build_store(pointer, element).map_err(refused)?;
        store.set_alignment(bytes).map_err(refused)
    }
}

/// A call of `llvm.masked.load`.
struct MaskedLoad<'l> {
    call: InstructionValue<'l>,
    result: VectorValue<'l>,
    pointer: PointerValue<'l>,
    mask: VectorValue<'l>,
    otherwise: VectorValue<'l>,
    instruction: Instruction,
}

/// AVX2's masked load of a register.
#[derive(Clone, Copy)]
struct Instruction {
    intrinsic: &'static str,
    /// Bits of an element.
    bits: u32,
    /// Elements of a register.
    lanes: u32,
}

impl Instruction {
    /// The instruction for a vector or the parts of it. Elements below 32 bits have none; for them, LLVM makes a
    /// branch per lane before it selects instructions.
    fn of(vector: VectorType<'_>) -> Option<Instruction> {
        let bits = bits(vector);
        let intrinsics = match (vector.get_element_type(), bits) {
            (BasicTypeEnum::FloatType(_), 32) => ["llvm.x86.avx.maskload.ps", "llvm.x86.avx.maskload.ps.256"],
            (BasicTypeEnum::FloatType(_), 64) => ["llvm.x86.avx.maskload.pd", "llvm.x86.avx.maskload.pd.256"],
            (BasicTypeEnum::IntType(_), 32) => ["llvm.x86.avx2.maskload.d", "llvm.x86.avx2.maskload.d.256"],
            (BasicTypeEnum::IntType(_), 64) => ["llvm.x86.avx2.maskload.q", "llvm.x86.avx2.maskload.q.256"],
            _ => return None,
        };
        let wide = vector.get_size() * bits > 128;
        let register = if wide { 256 } else { 128 };
        Some(Instruction { intrinsic: intrinsics[usize::from(wide)], bits, lanes: register / bits })
    }
}

impl<'l> MaskedLoad<'l> {
    fn of(call: InstructionValue<'l>) -> Option<MaskedLoad<'l>> {
        let [pointer, mask, otherwise] = operands(call, "llvm.masked.load.")?;
        let result = CallSiteValue::try_from(call).ok()?.try_as_basic_value().basic()?.into_vector_value();
        Some(MaskedLoad {
            call,
            result,
            pointer: pointer.into_pointer_value(),
            mask: mask.into_vector_value(),
            otherwise: otherwise.into_vector_value(),
            instruction: Instruction::of(result.get_type())?,
        })
    }

    /// The same value by [`Instruction`]s.
    fn lower(&self, llvm: &Module<'l>, builder: &Builder<'l>) -> Result<VectorValue<'l>> {
        let (count, Instruction { bits, lanes, .. }) = (self.mask.get_type().get_size(), self.instruction);
        let context = llvm.get_context();
        let integer = if bits == 64 { context.i64_type() } else { context.i32_type() };
        // The mask of all parts is extended at once: LLVM turns a whole comparison into lanes of that size right
        // away, but not a part of one.
        let mask = builder.build_int_s_extend(self.mask, integer.vec_type(count), "").map_err(refused)?;
        let mut parts = Vec::new();
        for first in (0..count).step_by(lanes as usize) {
            // Lanes beyond the vector's end are masked.
            let from: Vec<_> = (first..first + lanes).map(|lane| lane.min(count)).collect();
            let mask = shuffle(builder, mask, mask.get_type().const_zero(), &from)?;
            parts.push(self.part(llvm, builder, first, mask)?);
        }
        while parts.len() > 1 {
            let pairs = parts.chunks(2).map(|pair| {
                let register = pair[0].get_type();
                let second = pair.get(1).copied().unwrap_or_else(|| register.get_poison());
                let both: Vec<_> = (0..2 * register.get_size()).collect();
                shuffle(builder, pair[0], second, &both)
            });
            parts = pairs.collect::<Result<_>>()?;
        }
        let mut value = parts[0];
        if value.get_type().get_size() != count {
            let present: Vec<_> = (0..count).collect();
            value = shuffle(builder, value, value, &present)?;
        }
        // The instruction sets masked lanes to zero.
        if self.otherwise.is_null() || self.otherwise.is_undef() || self.otherwise.is_poison() {
            return Ok(value);
        }
        let value = builder.build_select(self.mask, value, self.otherwise, "").map_err(refused)?;
        Ok(value.into_vector_value())
    }

    /// A register of elements from `first` on, with zeros in the lanes that `mask` excludes.
    fn part(
        &self,
        llvm: &Module<'l>,
        builder: &Builder<'l>,
        first: u32,
        mask: VectorValue<'l>,
    ) -> Result<VectorValue<'l>> {
        let Instruction { intrinsic, bits, lanes } = self.instruction;
        let register = match self.result.get_type().get_element_type() {
            BasicTypeEnum::FloatType(f) => f.vec_type(lanes),
            other => other.into_int_type().vec_type(lanes),
        };
        if mask.is_null() {
            return Ok(register.const_zero());
        }
        let pointer = offset(llvm, builder, self.pointer, first * bits / 8)?;
        let element = mask.get_type().get_element_type().into_int_type();
        if mask == VectorType::const_vector(&vec![element.const_all_ones(); lanes as usize]) {
            let value = builder.build_load(register, pointer, "").map_err(refused)?;
            if let Some(load) = value.as_instruction_value() {
                load.set_alignment(bits / 8).map_err(refused)?;
            }
            return Ok(value.into_vector_value());
        }
        let callee = Intrinsic::find(intrinsic).and_then(|i| i.get_declaration(llvm, &[]));
        let callee = callee.ok_or_else(|| refused(format!("there is no {intrinsic}")))?;
        let call = builder.build_call(callee, &[pointer.into(), mask.into()], "").map_err(refused)?;
        let value = call.try_as_basic_value().basic();
        Ok(value.ok_or_else(|| refused(format!("{intrinsic} gives nothing")))?.into_vector_value())
    }
}

/// Bits of an element.
fn bits(vector: VectorType<'_>) -> u32 {
    match vector.get_element_type() {
        BasicTypeEnum::FloatType(f) => f.get_bit_width(),
        BasicTypeEnum::IntType(i) => i.get_bit_width(),
        _ => 64,
    }
}

/// The address that is `bytes` further on.
fn offset<'l>(
    llvm: &Module<'l>,
    builder: &Builder<'l>,
    pointer: PointerValue<'l>,
    bytes: u32,
) -> Result<PointerValue<'l>> {
    let context = llvm.get_context();
    let index = context.i64_type().const_int(u64::from(bytes), false);
    // SAFETY: one index of bytes, which is what memory behind any pointer is made of.
    unsafe { builder.build_gep(context.i8_type(), pointer, &[index], "") }.map_err(refused)
}

/// Lanes of two vectors, numbered one after the other.
fn shuffle<'l>(
    builder: &Builder<'l>,
    a: VectorValue<'l>,
    b: VectorValue<'l>,
    lanes: &[u32],
) -> Result<VectorValue<'l>> {
    let index = a.get_type().get_context().i32_type();
    let lanes: Vec<_> = lanes.iter().map(|lane| index.const_int(u64::from(*lane), false)).collect();
    builder.build_shuffle_vector(a, b, VectorType::const_vector(&lanes), "").map_err(refused)
}

fn refused(why: impl Display) -> Diagnostic {
    Diagnostic::internal(format!("masked accesses in x86's instructions: {why}"))
}
