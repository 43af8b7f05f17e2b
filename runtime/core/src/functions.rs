//! The functions that plans call by name: operations that have no index map and are not kernels.

mod top_k;

use crate::Error;
use crate::execute::Shared;
use crate::model::Inner;
use crate::state::{Slot, State};
use crate::tensor::byte_size;
use mlcc_format::{Call, DType, RuntimeFunction};

/// Executes a call; the verifier has checked the number of its buffers.
pub(crate) fn call(model: &Inner, state: &mut State, call: &Call) -> Result<(), Error> {
    match call.function {
        RuntimeFunction::CountNonZero | RuntimeFunction::NonZero => find_non_zero(model, state, call),
        RuntimeFunction::TopK => find_best(model, state, call),
    }
}

/// With fewer elements than this per thread, a further thread does not pay.
const ELEMENTS_PER_THREAD: usize = 8192;

fn find_best(model: &Inner, state: &mut State, call: &Call) -> Result<(), Error> {
    let buffer = |i: usize| &model.plan.buffers[call.buffers[i] as usize];
    let fail = |problem: &str| {
        let what = format!("buffer '{}' of {:?}", buffer(1).name, call.function);
        Err(Error::Size { what, problem: problem.into() })
    };
    let (dtype, dims) = (buffer(0).dtype, state.dims(model, call.buffers[0])?);
    let best = state.dims(model, call.buffers[1])?;
    let &[axis, largest] = call.attributes.as_slice() else { return fail("its attributes are not two") };
    let Some(axis) = usize::try_from(axis).ok().filter(|axis| *axis < dims.len()) else {
        return fail("it has no such axis");
    };
    let others_agree = dims.len() == best.len() && (0..dims.len()).all(|d| d == axis || dims[d] == best[d]);
    if !others_agree || !(0..=dims[axis]).contains(&best[axis]) || dims[axis] >= i64::from(u32::MAX) {
        return fail("its shape is not that of its operand, or longer along the axis");
    }
    let slots = [0, 1, 2].map(|i| state.slot(model, call.buffers[i]));
    let [source, values, positions] = slots;
    let (source, values, positions) = (source?, values?, positions?);
    let fits = |slot: &Slot, dtype, dims: &[i64]| byte_size(dtype, dims) == Some(slot.bytes);
    let dense = fits(&source, dtype, &dims)
        && buffer(1).dtype == dtype
        && fits(&values, dtype, &best)
        && buffer(2).dtype == DType::I64
        && fits(&positions, DType::I64, &best);
    if !dense {
        return fail("its operands are not dense, or of another type");
    }
    let apart = |a: &Slot, b: &Slot| {
        let (a, b, sizes) = (a.address as u64, b.address as u64, (a.bytes, b.bytes));
        a.saturating_add(sizes.0) <= b || b.saturating_add(sizes.1) <= a
    };
    if !apart(&source, &values) || !apart(&source, &positions) || !apart(&values, &positions) {
        return fail("its operands share memory");
    }
    // Either all extents fit the memory that holds the operand, or one of them is 0. In the second case there are
    // no lines or no elements.
    let product = |dims: &[i64]| dims.iter().fold(1usize, |n, d| n.saturating_mul(*d as usize));
    let (outer, inner) = (product(&dims[..axis]), product(&dims[axis + 1..]));
    let (size, k) = (dims[axis] as usize, best[axis] as usize);
    if k == 0 || outer == 0 || inner == 0 {
        return Ok(());
    }
    let top = top_k::TopK { size, inner, k, largest: largest != 0 };
    let (data, element) = (bytes(&source), dtype.size());
    let (to_values, to_positions) = (Shared(values.address), Shared(positions.address));
    let body = |_: usize, _: usize, begin: i64, end: i64| {
        top_k::find(top, dtype, data, begin as usize..end as usize, &mut |line, found| {
            for (rank, &at) in found.iter().enumerate() {
                let place = |extent: usize, i: usize| (line / inner * extent + i) * inner + line % inner;
                let from = &data[place(size, at) * element..][..element];
                let to = place(k, rank);
                // SAFETY: both outputs are dense tensors of `outer * k * inner` elements, as was checked, live and
                // writable, as the verifier proved; `rank` is below `k`, and each element is written by the one
                // thread that has its line. They are apart from each other and from the operand, as was checked.
                unsafe {
                    std::ptr::copy_nonoverlapping(from.as_ptr(), to_values.at(to * element), element);
                    to_positions.at(to * 8).cast::<i64>().write_unaligned(at as i64);
                }
            }
        });
    };
    let grain = (ELEMENTS_PER_THREAD / size.max(1)).max(1) as i64;
    model.pool.run(&[crate::pool::Step { tiles: (outer * inner) as i64, grain, waits: true }], &body);
    Ok(())
}

fn find_non_zero(model: &Inner, state: &mut State, call: &Call) -> Result<(), Error> {
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
        RuntimeFunction::TopK => return fail("it finds no elements".into()),
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
        // SAFETY: a slot in use has `bytes` live bytes. Nothing writes to them while they are read: the
        // host executes one instruction at a time, `top_k` has checked that its outputs lie apart, and
        // `find_non_zero` has read all before it writes.
        len => unsafe { std::slice::from_raw_parts(slot.address, len as usize) },
    }
}
