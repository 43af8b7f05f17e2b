//! The functions that plans call by name: what has no index map and is no kernel.

use crate::Error;
use crate::model::Inner;
use crate::state::{Slot, State};
use crate::tensor::byte_size;
use mlcc_format::{Call, DType, RuntimeFunction};

/// Executes a call; the verifier has checked the number of its buffers.
pub(crate) fn call(model: &Inner, state: &mut State, call: &Call) -> Result<(), Error> {
    let (input, output) = (call.buffers[0], call.buffers[1]);
    let dtype = model.plan.buffers[input as usize].dtype;
    let dims = state.dims(model, input)?;
    let source = state.slot(model, input)?;
    let data = bytes(&source);
    let target = state.slot(model, output)?;
    let fail = |problem: String| {
        let name = &model.plan.buffers[output as usize].name;
        Err(Error::Size { what: format!("buffer '{name}' of {:?}", call.function), problem })
    };
    let dense = byte_size(dtype, &dims) == Some(data.len() as u64);
    let elements = data.len() / dtype.size();
    if !dense || model.plan.buffers[output as usize].dtype != DType::I64 {
        return fail("its operands are not dense, or it is not i64".into());
    }
    let found =
        data.chunks_exact(dtype.size()).enumerate().filter(|(_, e)| is_nonzero(dtype, e)).map(|(i, _)| i);
    match call.function {
        RuntimeFunction::CountNonZero => {
            if target.bytes < 8 {
                return fail("there is no place for a count".into());
            }
            let count = found.count() as i64;
            // SAFETY: the slot has at least 8 live bytes, writable as the verifier proved.
            unsafe { target.address.cast::<i64>().write_unaligned(count) };
        }
        RuntimeFunction::NonZero => {
            let found: Vec<usize> = found.collect();
            let needed = found.len() as u64 * dims.len() as u64 * 8;
            if needed != target.bytes {
                return fail(format!("{needed} bytes of coordinates for {}", target.bytes));
            }
            let mut stride = elements;
            for (axis, dim) in dims.iter().enumerate() {
                stride /= (*dim as usize).max(1);
                for (i, index) in found.iter().enumerate() {
                    let coordinate = (index / stride.max(1)) as i64 % dim;
                    let at = target.address.cast::<i64>().wrapping_add(axis * found.len() + i);
                    // SAFETY: `needed` bytes are there, of which this is one element of 8.
                    unsafe { at.write_unaligned(coordinate) };
                }
            }
        }
    }
    Ok(())
}

/// Whether an element is neither zero nor minus zero.
fn is_nonzero(dtype: DType, element: &[u8]) -> bool {
    let float = matches!(dtype, DType::F16 | DType::BF16 | DType::F32 | DType::F64);
    let (last, rest) = match element.split_last() {
        Some((last, rest)) => (*last, rest),
        None => return false,
    };
    // In little-endian order the last byte has the sign.
    (if float { last & 0x7f } else { last }) != 0 || rest.iter().any(|byte| *byte != 0)
}

/// The bytes of a live buffer.
fn bytes(slot: &Slot) -> &[u8] {
    match slot.bytes {
        0 => &[],
        // SAFETY: a slot in use has `bytes` live bytes; nothing writes while the call reads, for the
        // host executes one instruction at a time and outputs of a call are other buffers.
        len => unsafe { std::slice::from_raw_parts(slot.address, len as usize) },
    }
}
