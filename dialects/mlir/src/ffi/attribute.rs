//! Attributes and types: the kind is asked for before anything is read.

use super::{Attribute, Type, copied, printed};
use mlcc_ir::dtype::DType;
use mlir_sys::*;
use std::{ffi::c_void, marker::PhantomData};

unsafe extern "C" {
    fn mlccAttributeName(attribute: MlirAttribute) -> MlirStringRef;
    fn mlccAttributeParameters(
        attribute: MlirAttribute,
        visit: unsafe extern "C" fn(MlirAttribute, *mut c_void),
        data: *mut c_void,
    );
}

impl<'m> Attribute<'m> {
    pub(super) fn new(raw: MlirAttribute) -> Option<Attribute<'m>> {
        (!raw.ptr.is_null()).then_some(Attribute { raw, life: PhantomData })
    }

    /// The kind, such as `builtin.array` or `graph.dims`.
    pub(crate) fn kind(self) -> String {
        // SAFETY: the attribute is alive and not null; kinds' names are static.
        unsafe { copied(mlccAttributeName(self.raw)) }
    }

    /// The attributes of which this one is made, in order; types count as attributes.
    pub(crate) fn parameters(self) -> Vec<Attribute<'m>> {
        unsafe extern "C" fn visit(raw: MlirAttribute, data: *mut c_void) {
            // SAFETY: `data` is the vector below; the call cannot unwind but for lack of memory.
            unsafe { (*data.cast::<Vec<MlirAttribute>>()).push(raw) }
        }
        let mut found: Vec<MlirAttribute> = Vec::new();
        // SAFETY: the attribute is alive and `visit` gets the vector that it expects.
        unsafe { mlccAttributeParameters(self.raw, visit, (&raw mut found).cast()) };
        found.into_iter().filter_map(Attribute::new).collect()
    }

    pub(crate) fn string(self) -> Option<String> {
        // SAFETY: the kind is asked for first.
        unsafe { mlirAttributeIsAString(self.raw).then(|| copied(mlirStringAttrGetValue(self.raw))) }
    }

    pub(crate) fn symbol(self) -> Option<String> {
        // SAFETY: the kind is asked for first.
        unsafe {
            mlirAttributeIsAFlatSymbolRef(self.raw).then(|| copied(mlirFlatSymbolRefAttrGetValue(self.raw)))
        }
    }

    pub(crate) fn array(self) -> Option<Vec<Attribute<'m>>> {
        // SAFETY: the kind is asked for first; the positions are below the count.
        unsafe {
            if !mlirAttributeIsAArray(self.raw) {
                return None;
            }
            let count = mlirArrayAttrGetNumElements(self.raw);
            (0..count).map(|i| Attribute::new(mlirArrayAttrGetElement(self.raw, i))).collect()
        }
    }

    pub(crate) fn bool(self) -> Option<bool> {
        // SAFETY: the kind is asked for first.
        unsafe { mlirAttributeIsABool(self.raw).then(|| mlirBoolAttrGetValue(self.raw)) }
    }

    /// Type of an integer or float.
    fn number_type(self) -> Type<'m> {
        // SAFETY: the attribute is alive.
        Type { raw: unsafe { mlirAttributeGetType(self.raw) }, life: PhantomData }
    }

    /// An integer of at most 64 bits with its type; unsigned ones wrap.
    pub(crate) fn int(self) -> Option<(i64, Type<'m>)> {
        // SAFETY: the kinds of attribute and type are asked for first; wider integers are left alone.
        unsafe {
            if !mlirAttributeIsAInteger(self.raw) {
                return None;
            }
            let ty = self.number_type();
            if !mlirTypeIsAInteger(ty.raw) || mlirIntegerTypeGetWidth(ty.raw) > 64 {
                return None;
            }
            let value = if mlirIntegerTypeIsUnsigned(ty.raw) {
                mlirIntegerAttrGetValueUInt(self.raw) as i64
            } else if mlirIntegerTypeIsSigned(ty.raw) {
                mlirIntegerAttrGetValueSInt(self.raw)
            } else {
                mlirIntegerAttrGetValueInt(self.raw)
            };
            Some((value, ty))
        }
    }

    /// A float as `f64`, with its type.
    pub(crate) fn float(self) -> Option<(f64, Type<'m>)> {
        // SAFETY: the kind is asked for first.
        unsafe {
            mlirAttributeIsAFloat(self.raw)
                .then(|| (mlirFloatAttrGetValueDouble(self.raw), self.number_type()))
        }
    }

    pub(crate) fn ty(self) -> Option<Type<'m>> {
        // SAFETY: the kind is asked for first.
        unsafe {
            mlirAttributeIsAType(self.raw)
                .then(|| Type { raw: mlirTypeAttrGetValue(self.raw), life: PhantomData })
        }
    }

    pub(crate) fn is_unit(self) -> bool {
        // SAFETY: the attribute is alive.
        unsafe { mlirAttributeIsAUnit(self.raw) }
    }

    pub(crate) fn ints(self) -> Option<Vec<i64>> {
        // SAFETY: the kind is asked for first; the positions are below the count.
        unsafe {
            if mlirAttributeIsADenseI64Array(self.raw) {
                let count = mlirDenseArrayGetNumElements(self.raw);
                return Some((0..count).map(|i| mlirDenseI64ArrayGetElement(self.raw, i)).collect());
            }
            if mlirAttributeIsADenseI32Array(self.raw) {
                let count = mlirDenseArrayGetNumElements(self.raw);
                return Some((0..count).map(|i| mlirDenseI32ArrayGetElement(self.raw, i).into()).collect());
            }
            None
        }
    }

    /// A dense constant's type and elements: little-endian bytes, a byte each for `i1`.
    pub(crate) fn dense(self) -> Option<(Type<'m>, Vec<u8>)> {
        // SAFETY: the kind is asked for first. The raw data of a dense constant of integers or floats of whole
        // bytes is one element if it is a splat and all of them otherwise, as the host (little endian) has them;
        // single bits are read one by one.
        unsafe {
            let numbers =
                mlirAttributeIsADenseIntElements(self.raw) || mlirAttributeIsADenseFPElements(self.raw);
            if !mlirAttributeIsADenseElements(self.raw) || !numbers {
                return None;
            }
            let ty = self.number_type();
            let count = usize::try_from(mlirElementsAttrGetNumElements(self.raw)).ok()?;
            if count > MAX_DENSE {
                return None;
            }
            let element = ty.element()?;
            let size = element.dtype()?.size();
            if count == 0 {
                return Some((ty, Vec::new()));
            }
            let splat = mlirDenseElementsAttrIsSplat(self.raw);
            if element.dtype() == Some(DType::Bool) {
                let bit = |i| u8::from(mlirDenseElementsAttrGetBoolValue(self.raw, i));
                let bits = if splat {
                    vec![u8::from(mlirDenseElementsAttrGetBoolSplatValue(self.raw) != 0); count]
                } else {
                    (0..count as isize).map(bit).collect()
                };
                return Some((ty, bits));
            }
            let stored = if splat { size } else { size.checked_mul(count)? };
            let data = mlirDenseElementsAttrGetRawData(self.raw).cast::<u8>();
            let bytes = std::slice::from_raw_parts(data, stored);
            Some((ty, if splat { bytes.repeat(count) } else { bytes.to_vec() }))
        }
    }
}

/// A splat's text is short, whatever its number of elements. More elements than these are refused.
const MAX_DENSE: usize = 1 << 22;

impl<'m> Type<'m> {
    /// The element type of a ranked tensor.
    pub(crate) fn element(self) -> Option<Type<'m>> {
        // SAFETY: the kind is asked for first.
        unsafe {
            mlirTypeIsARankedTensor(self.raw)
                .then(|| Type { raw: mlirShapedTypeGetElementType(self.raw), life: PhantomData })
        }
    }

    /// Dimensions of a ranked tensor; `None` for a dynamic one.
    pub(crate) fn dims(self) -> Option<Vec<Option<i64>>> {
        // SAFETY: the kind is asked for first; the positions are below the rank.
        unsafe {
            if !mlirTypeIsARankedTensor(self.raw) {
                return None;
            }
            let dim =
                |d| (!mlirShapedTypeIsDynamicDim(self.raw, d)).then(|| mlirShapedTypeGetDimSize(self.raw, d));
            Some((0..mlirShapedTypeGetRank(self.raw) as isize).map(dim).collect())
        }
    }

    /// The encoding of a ranked tensor.
    pub(crate) fn encoding(self) -> Option<Attribute<'m>> {
        // SAFETY: the kind is asked for first; without an encoding the attribute is null.
        unsafe {
            if !mlirTypeIsARankedTensor(self.raw) {
                return None;
            }
            Attribute::new(mlirRankedTensorTypeGetEncoding(self.raw))
        }
    }

    /// A scalar type as an element type of ours.
    pub(crate) fn dtype(self) -> Option<DType> {
        DType::from_mlir_name(&self.text())
    }

    pub(crate) fn text(self) -> String {
        // SAFETY: the type is alive.
        printed(|callback, data| unsafe { mlirTypePrint(self.raw, callback, data) })
    }
}
