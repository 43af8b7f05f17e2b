//! Addresses, loads and stores.

use super::{Builder, Kind, Val};
use melior::ir::{
    Attribute, Identifier,
    attribute::{DenseI32ArrayAttribute, TypeAttribute},
    block::BlockLike,
    operation::OperationBuilder,
};

impl<'c> Builder<'c> {
    /// `base + offset` elements of kind `element`; `offset` may be a vector. Unless `in_bounds` is set, the
    /// address may be out of bounds if it is never used.
    pub fn address(&self, base: Val<'c>, offset: Val<'c>, element: Kind, in_bounds: bool) -> Val<'c> {
        let lanes = base.lanes.max(offset.lanes);
        let dynamic = DenseI32ArrayAttribute::new(self.context, &[i32::MIN]).into();
        let flags = self.int_attr(32, if in_bounds { 3 } else { 0 });
        let attributes = [
            ("elem_type", TypeAttribute::new(self.ty(element, 1)).into()),
            ("rawConstantIndices", dynamic),
            ("noWrapFlags", flags),
        ];
        self.one("llvm.getelementptr", &[base, offset], (Kind::Pointer, lanes), &attributes)
    }

    /// Memory of the function's frame, 64-byte aligned, for `count` elements. Belongs to the entry block.
    pub fn frame(&self, element: Kind, count: i64) -> Val<'c> {
        let array = melior::dialect::llvm::r#type::array(self.ty(element, 1), count.max(1) as u32);
        let location = self.location;
        let attribute = |name: &str, value| (Identifier::new(self.context, name), value);
        let blocks = self.blocks.borrow();
        let entry = blocks.first().expect("an open function");
        let one = OperationBuilder::new("arith.constant", location)
            .add_results(&[self.ty(Kind::I64, 1)])
            .add_attributes(&[attribute("value", self.int_attr(64, 1))])
            .build()
            .expect("a constant");
        let one = entry.insert_operation(0, one);
        let frame = OperationBuilder::new("llvm.alloca", location)
            .add_operands(&[one.result(0).expect("one result").into()])
            .add_results(&[self.ty(Kind::Pointer, 1)])
            .add_attributes(&[
                attribute("elem_type", TypeAttribute::new(array).into()),
                attribute("alignment", self.int_attr(64, 64)),
            ])
            .build()
            .expect("an alloca");
        let frame = entry.insert_operation_after(one, frame);
        Val { raw: frame.result(0).expect("one result").into(), kind: Kind::Pointer, lanes: 1 }
    }

    /// A load of `lanes` consecutive elements.
    pub fn load(&self, pointer: Val<'c>, kind: Kind, lanes: u32) -> Val<'c> {
        let align = self.int_attr(64, i64::from(kind.bits().div_ceil(8)));
        self.one("llvm.load", &[pointer], (kind, lanes), &[("alignment", align)])
    }

    /// A store of consecutive elements.
    pub fn store(&self, value: Val<'c>, pointer: Val<'c>) {
        let align = self.int_attr(64, i64::from(value.kind.bits().div_ceil(8)));
        self.op("llvm.store", &[value.raw, pointer.raw], &[], &[("alignment", align)], Vec::new());
    }

    /// A store of consecutive elements that bypasses the caches. The address is a multiple of the vector's size,
    /// or of a cache line if that is less.
    pub fn stream(&self, value: Val<'c>, pointer: Val<'c>) {
        const LINE: u32 = 64;
        let align = self.int_attr(64, i64::from((value.kind.bits() / 8 * value.lanes).min(LINE)));
        let past = Attribute::unit(self.context);
        let attributes = [("alignment", align), ("nontemporal", past)];
        self.op("llvm.store", &[value.raw, pointer.raw], &[], &attributes, Vec::new());
    }

    /// Whether the machine has stores that bypass the caches. [`Builder::fence`] must follow them.
    pub fn streams(&self) -> bool {
        self.avx512
    }

    /// Fetches the line of an address into the second cache; the address need not exist.
    pub fn prefetch(&self, pointer: Val<'c>) {
        let attributes = [("rw", 0), ("hint", 2), ("cache", 1)].map(|(n, v)| (n, self.int_attr(32, v)));
        self.op("llvm.intr.prefetch", &[pointer.raw], &[], &attributes, Vec::new());
    }

    /// Makes stores that bypass the caches visible to other threads in order.
    pub fn fence(&self) {
        self.effect("llvm.x86.sse.sfence");
    }

    /// A load of consecutive elements in the lanes of `mask`, with `otherwise` in the other lanes.
    pub fn masked_load(&self, pointer: Val<'c>, mask: Val<'c>, otherwise: Val<'c>) -> Val<'c> {
        let align = self.int_attr(32, i64::from(otherwise.kind.bits().div_ceil(8)));
        let shape = (otherwise.kind, otherwise.lanes);
        self.one("llvm.intr.masked.load", &[pointer, mask, otherwise], shape, &[("alignment", align)])
    }

    /// A store of consecutive elements in the lanes of `mask`.
    pub fn masked_store(&self, value: Val<'c>, pointer: Val<'c>, mask: Val<'c>) {
        let align = self.int_attr(32, i64::from(value.kind.bits().div_ceil(8)));
        let operands = [value.raw, pointer.raw, mask.raw];
        self.op("llvm.intr.masked.store", &operands, &[], &[("alignment", align)], Vec::new());
    }

    /// A load from a vector of addresses in the lanes of `mask`.
    pub fn gather(&self, pointers: Val<'c>, mask: Val<'c>, otherwise: Val<'c>) -> Val<'c> {
        let align = self.int_attr(32, i64::from(otherwise.kind.bits().div_ceil(8)));
        let shape = (otherwise.kind, otherwise.lanes);
        self.one("llvm.intr.masked.gather", &[pointers, mask, otherwise], shape, &[("alignment", align)])
    }

    /// A store to a vector of addresses in the lanes of `mask`, in the order of the lanes.
    pub fn scatter(&self, value: Val<'c>, pointers: Val<'c>, mask: Val<'c>) {
        let align = self.int_attr(32, i64::from(value.kind.bits().div_ceil(8)));
        let operands = [value.raw, pointers.raw, mask.raw];
        self.op("llvm.intr.masked.scatter", &operands, &[], &[("alignment", align)], Vec::new());
    }
}
