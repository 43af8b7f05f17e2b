//! A thin builder of operations over melior: values carry their machine type in Rust, so that nothing
//! asks MLIR for types while emitting, and scalars broadcast where a vector meets them.
//!
//! Blocks under construction form a stack; an operation with a region is appended once its region is
//! complete. Loop emission relies on that: what a loop needs before it may be found out inside it.

use melior::{
    Context,
    ir::{
        Attribute, Block, Identifier, Location, Region, RegionLike, Type, Value,
        attribute::{
            ArrayAttribute, DenseElementsAttribute, DenseI32ArrayAttribute, FlatSymbolRefAttribute,
            FloatAttribute, IntegerAttribute, TypeAttribute,
        },
        block::BlockLike,
        operation::OperationBuilder,
        r#type::IntegerType,
    },
};
use std::cell::RefCell;

/// Type of a value in a machine register. Integers have no sign; operations do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A truth value.
    I1,
    /// 8-bit integer.
    I8,
    /// 16-bit integer; also how 16-bit floats lie in memory.
    I16,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// IEEE binary16; only between a load or store and its conversion.
    F16,
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
    /// Address.
    Pointer,
}

impl Kind {
    /// Bits of a value.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Kind::I1 => 1,
            Kind::I8 => 8,
            Kind::I16 | Kind::F16 => 16,
            Kind::I32 | Kind::F32 => 32,
            Kind::I64 | Kind::F64 | Kind::Pointer => 64,
        }
    }

    /// Whether values are floats.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Kind::F16 | Kind::F32 | Kind::F64)
    }

    /// The integer of the same size.
    #[must_use]
    pub fn as_int(self) -> Kind {
        match self {
            Kind::F16 => Kind::I16,
            Kind::F32 => Kind::I32,
            Kind::F64 | Kind::Pointer => Kind::I64,
            other => other,
        }
    }

    /// LLVM's spelling in the names of overloaded intrinsics.
    fn intrinsic_name(self) -> String {
        if self.is_float() { format!("f{}", self.bits()) } else { format!("i{}", self.bits()) }
    }
}

/// A value: a scalar (`lanes` 1) or a vector.
#[derive(Clone, Copy)]
pub struct Val<'c> {
    /// MLIR's handle.
    pub raw: Value<'c, 'c>,
    /// Type of a lane.
    pub kind: Kind,
    /// Number of lanes; 1 is a scalar.
    pub lanes: u32,
}

/// Comparisons of integers and floats; floats are ordered except `Ne`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cmp {
    /// Equal.
    Eq,
    /// Not equal, or unordered.
    Ne,
    /// Signed (or float) less.
    Lt,
    /// Signed (or float) at most.
    Le,
    /// Signed (or float) greater.
    Gt,
    /// Signed (or float) at least.
    Ge,
    /// Unsigned less.
    Ult,
    /// Unsigned at most.
    Ule,
    /// Unsigned greater.
    Ugt,
    /// Unsigned at least.
    Uge,
    /// A float is NaN.
    Unordered,
}

/// The builder. It belongs to one function under construction.
pub struct Builder<'c> {
    /// The context.
    pub context: &'c Context,
    location: Location<'c>,
    blocks: RefCell<Vec<Block<'c>>>,
    contract: Attribute<'c>,
    contract_nsz: Attribute<'c>,
    reassoc: Attribute<'c>,
}

impl<'c> Builder<'c> {
    /// A builder without blocks.
    #[must_use]
    pub fn new(context: &'c Context) -> Builder<'c> {
        let flags = |text: &str| {
            Attribute::parse(context, &format!("#arith.fastmath<{text}>")).expect("a fast-math attribute")
        };
        Builder {
            context,
            location: Location::unknown(context),
            blocks: RefCell::default(),
            contract: flags("contract"),
            contract_nsz: flags("nsz,contract"),
            reassoc: flags("reassoc,contract"),
        }
    }

    /// Opens a block with arguments; what follows goes there.
    pub fn open(&self, arguments: &[Type<'c>]) -> Vec<Value<'c, 'c>> {
        let arguments: Vec<_> = arguments.iter().map(|t| (*t, self.location)).collect();
        let block = Block::new(&arguments);
        let values = (0..arguments.len())
            .map(|i| BlockLike::argument(&block, i).expect("an argument just declared").into())
            .collect();
        self.blocks.borrow_mut().push(block);
        values
    }

    /// Closes the innermost block and makes it a region.
    pub fn close(&self) -> Region<'c> {
        let region = Region::new();
        if let Some(block) = self.blocks.borrow_mut().pop() {
            region.append_block(block);
        }
        region
    }

    /// MLIR's type.
    #[must_use]
    pub fn ty(&self, kind: Kind, lanes: u32) -> Type<'c> {
        let scalar = match kind {
            Kind::F16 => Type::float16(self.context),
            Kind::F32 => Type::float32(self.context),
            Kind::F64 => Type::float64(self.context),
            Kind::Pointer => melior::dialect::llvm::r#type::pointer(self.context, 0),
            int => IntegerType::new(self.context, int.bits()).into(),
        };
        if lanes == 1 { scalar } else { Type::vector(&[u64::from(lanes)], scalar) }
    }

    /// An integer attribute.
    #[must_use]
    pub fn int_attr(&self, bits: u32, value: i64) -> Attribute<'c> {
        IntegerAttribute::new(IntegerType::new(self.context, bits).into(), value).into()
    }

    /// Appends any operation.
    pub fn op(
        &self,
        name: &str,
        operands: &[Value<'c, 'c>],
        results: &[Type<'c>],
        attributes: &[(&str, Attribute<'c>)],
        regions: Vec<Region<'c>>,
    ) -> Vec<Value<'c, 'c>> {
        let attributes: Vec<_> =
            attributes.iter().map(|(n, a)| (Identifier::new(self.context, n), *a)).collect();
        let operation = OperationBuilder::new(name, self.location)
            .add_operands(operands)
            .add_results(results)
            .add_attributes(&attributes)
            .add_regions_vec(regions)
            .build()
            .expect("operations with explicit results are always built");
        let blocks = self.blocks.borrow();
        let block = blocks.last().expect("an open block");
        let operation = block.append_operation(operation);
        (0..results.len()).map(|i| operation.result(i).expect("a declared result").into()).collect()
    }

    fn one(
        &self,
        name: &str,
        operands: &[Val<'c>],
        (kind, lanes): (Kind, u32),
        attributes: &[(&str, Attribute<'c>)],
    ) -> Val<'c> {
        let operands: Vec<_> = operands.iter().map(|v| v.raw).collect();
        let raw = self.op(name, &operands, &[self.ty(kind, lanes)], attributes, Vec::new())[0];
        Val { raw, kind, lanes }
    }

    // Constants and shapes

    /// An integer constant.
    pub fn int(&self, kind: Kind, lanes: u32, value: i64) -> Val<'c> {
        let scalar = IntegerAttribute::new(self.ty(kind, 1), value).into();
        self.constant(kind, lanes, scalar)
    }

    /// A float constant.
    pub fn float(&self, kind: Kind, lanes: u32, value: f64) -> Val<'c> {
        let scalar = FloatAttribute::new(self.context, self.ty(kind, 1), value).into();
        self.constant(kind, lanes, scalar)
    }

    fn constant(&self, kind: Kind, lanes: u32, scalar: Attribute<'c>) -> Val<'c> {
        let value = if lanes == 1 {
            scalar
        } else {
            DenseElementsAttribute::splat(self.ty(kind, lanes), scalar).into()
        };
        self.one("arith.constant", &[], (kind, lanes), &[("value", value)])
    }

    /// A float constant of the same type as `x`.
    pub fn like(&self, x: Val<'c>, value: f64) -> Val<'c> {
        self.float(x.kind, x.lanes, value)
    }

    /// An integer constant with as many lanes and bits as `x`.
    pub fn int_like(&self, x: Val<'c>, value: i64) -> Val<'c> {
        self.int(x.kind.as_int(), x.lanes, value)
    }

    /// `0, scale, 2 * scale, ...`.
    pub fn iota(&self, kind: Kind, lanes: u32, scale: i64) -> Val<'c> {
        let ty = self.ty(kind, lanes);
        let values = (0..i64::from(lanes)).map(|i| i * scale);
        let value = if kind == Kind::I32 {
            DenseElementsAttribute::i32_values(ty, &values.map(|v| v as i32).collect::<Vec<_>>())
        } else {
            DenseElementsAttribute::i64_values(ty, &values.collect::<Vec<_>>())
        };
        self.one("arith.constant", &[], (kind, lanes), &[("value", value.into())])
    }

    /// The mask of the first `count` lanes.
    pub fn first_lanes(&self, lanes: u32, count: u32) -> Val<'c> {
        let bits: Vec<i32> = (0..lanes).map(|i| i32::from(i < count)).collect();
        let value = DenseElementsAttribute::bool_values(self.ty(Kind::I1, lanes), &bits);
        self.one("arith.constant", &[], (Kind::I1, lanes), &[("value", value.into())])
    }

    /// `x` in `lanes` lanes.
    pub fn broadcast(&self, x: Val<'c>, lanes: u32) -> Val<'c> {
        if x.lanes == lanes { x } else { self.one("vector.broadcast", &[x], (x.kind, lanes), &[]) }
    }

    /// Lane `lane` of a vector.
    pub fn lane(&self, x: Val<'c>, lane: u32) -> Val<'c> {
        if x.lanes == 1 {
            return x;
        }
        let at = self.int(Kind::I32, 1, i64::from(lane));
        self.one("llvm.extractelement", &[x, at], (x.kind, 1), &[])
    }

    // Arithmetic

    fn binary(&self, name: &str, a: Val<'c>, b: Val<'c>, attributes: &[(&str, Attribute<'c>)]) -> Val<'c> {
        let lanes = a.lanes.max(b.lanes);
        let (a, b) = (self.broadcast(a, lanes), self.broadcast(b, lanes));
        self.one(name, &[a, b], (a.kind, lanes), attributes)
    }

    /// Integer operation `arith.NAME`.
    pub fn int_op(&self, name: &str, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        self.binary(name, a, b, &[])
    }

    /// Float operation `arith.NAME`, which may be contracted.
    pub fn float_op(&self, name: &str, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        self.binary(name, a, b, &[("fastmath", self.contract)])
    }

    /// `a + b`.
    pub fn add(&self, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        if a.kind.is_float() { self.float_op("arith.addf", a, b) } else { self.int_op("arith.addi", a, b) }
    }

    /// `a - b`.
    pub fn sub(&self, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        if a.kind.is_float() { self.float_op("arith.subf", a, b) } else { self.int_op("arith.subi", a, b) }
    }

    /// `a * b`.
    pub fn mul(&self, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        if a.kind.is_float() { self.float_op("arith.mulf", a, b) } else { self.int_op("arith.muli", a, b) }
    }

    /// Float division.
    pub fn div(&self, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        self.float_op("arith.divf", a, b)
    }

    /// Bitwise and.
    pub fn and(&self, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        self.int_op("arith.andi", a, b)
    }

    /// Bitwise or.
    pub fn or(&self, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        self.int_op("arith.ori", a, b)
    }

    /// Bitwise exclusive or.
    pub fn xor(&self, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        self.int_op("arith.xori", a, b)
    }

    /// Bitwise complement.
    pub fn not(&self, a: Val<'c>) -> Val<'c> {
        let ones = self.int(a.kind, a.lanes, -1);
        self.xor(a, ones)
    }

    /// Smaller or larger float, NaN if either is; the sign of a zero is free.
    pub fn float_extremum(&self, larger: bool, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        let name = if larger { "arith.maximumf" } else { "arith.minimumf" };
        self.binary(name, a, b, &[("fastmath", self.contract_nsz)])
    }

    /// `a * b + c`, rounded once.
    pub fn fma(&self, a: Val<'c>, b: Val<'c>, c: Val<'c>) -> Val<'c> {
        let lanes = a.lanes.max(b.lanes).max(c.lanes);
        let [a, b, c] = [a, b, c].map(|x| self.broadcast(x, lanes));
        self.one("math.fma", &[a, b, c], (a.kind, lanes), &[("fastmath", self.contract)])
    }

    /// `math.NAME` of one float.
    pub fn math(&self, name: &str, a: Val<'c>) -> Val<'c> {
        self.one(name, &[a], (a.kind, a.lanes), &[("fastmath", self.contract)])
    }

    /// `-a` of a float.
    pub fn neg(&self, a: Val<'c>) -> Val<'c> {
        self.one("arith.negf", &[a], (a.kind, a.lanes), &[("fastmath", self.contract)])
    }

    /// `a`, which is not negative, with the sign of `b`. Not `math.copysign`: LLVM would move a following
    /// conversion in front of it, and then call a library function to convert the sign.
    pub fn copysign(&self, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        let bits = self.bitcast(b, b.kind.as_int());
        let negative = self.compare(Cmp::Lt, bits, self.int(bits.kind, 1, 0));
        self.select(negative, self.neg(a), a)
    }

    /// Comparison, of integers or of floats by the operands' type.
    pub fn compare(&self, cmp: Cmp, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        let lanes = a.lanes.max(b.lanes);
        let (a, b) = (self.broadcast(a, lanes), self.broadcast(b, lanes));
        let (name, predicate) = if a.kind.is_float() {
            // Numbers of arith's predicates: oeq 1, ogt 2, oge 3, olt 4, ole 5, ugt 9, uge 10, ult 11,
            // ule 12, une 13, uno 14.
            let predicate = match cmp {
                Cmp::Eq => 1,
                Cmp::Gt => 2,
                Cmp::Ge => 3,
                Cmp::Lt => 4,
                Cmp::Le => 5,
                Cmp::Ugt => 9,
                Cmp::Uge => 10,
                Cmp::Ult => 11,
                Cmp::Ule => 12,
                Cmp::Ne => 13,
                Cmp::Unordered => 14,
            };
            ("arith.cmpf", predicate)
        } else {
            // eq 0, ne 1, slt 2, sle 3, sgt 4, sge 5, ult 6, ule 7, ugt 8, uge 9.
            let predicate = match cmp {
                Cmp::Eq => 0,
                Cmp::Ne | Cmp::Unordered => 1,
                Cmp::Lt => 2,
                Cmp::Le => 3,
                Cmp::Gt => 4,
                Cmp::Ge => 5,
                Cmp::Ult => 6,
                Cmp::Ule => 7,
                Cmp::Ugt => 8,
                Cmp::Uge => 9,
            };
            ("arith.cmpi", predicate)
        };
        self.one(name, &[a, b], (Kind::I1, lanes), &[("predicate", self.int_attr(64, predicate))])
    }

    /// `condition ? a : b`.
    pub fn select(&self, condition: Val<'c>, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        let lanes = condition.lanes.max(a.lanes).max(b.lanes);
        let [c, a, b] = [condition, a, b].map(|x| self.broadcast(x, lanes));
        self.one("arith.select", &[c, a, b], (a.kind, lanes), &[])
    }

    // Conversions

    /// `arith.NAME` to another kind.
    pub fn convert(&self, name: &str, a: Val<'c>, kind: Kind) -> Val<'c> {
        if a.kind == kind { a } else { self.one(name, &[a], (kind, a.lanes), &[]) }
    }

    /// The bits as another kind of the same size.
    pub fn bitcast(&self, a: Val<'c>, kind: Kind) -> Val<'c> {
        self.convert("arith.bitcast", a, kind)
    }

    /// An integer widened (by sign or zeros) or cut.
    pub fn resize(&self, a: Val<'c>, kind: Kind, signed: bool) -> Val<'c> {
        match kind.bits().cmp(&a.kind.bits()) {
            std::cmp::Ordering::Less => self.convert("arith.trunci", a, kind),
            std::cmp::Ordering::Equal => a,
            std::cmp::Ordering::Greater if signed => self.convert("arith.extsi", a, kind),
            std::cmp::Ordering::Greater => self.convert("arith.extui", a, kind),
        }
    }

    /// A float converted to an integer: towards zero, saturating, NaN to 0.
    pub fn saturate(&self, a: Val<'c>, kind: Kind, signed: bool) -> Val<'c> {
        let vector = if a.lanes == 1 { String::new() } else { format!("v{}", a.lanes) };
        let name = format!(
            "llvm.fpto{}i.sat.{vector}{}.{vector}{}",
            if signed { 's' } else { 'u' },
            kind.intrinsic_name(),
            a.kind.intrinsic_name()
        );
        let segments = DenseI32ArrayAttribute::new(self.context, &[1, 0]).into();
        let bundles = DenseI32ArrayAttribute::new(self.context, &[]).into();
        let name = melior::ir::attribute::StringAttribute::new(self.context, &name).into();
        self.one(
            "llvm.call_intrinsic",
            &[a],
            (kind, a.lanes),
            &[("intrin", name), ("operandSegmentSizes", segments), ("op_bundle_sizes", bundles)],
        )
    }

    /// Combines the lanes of a vector; `kind` is a `vector.kind`. Floats may be reassociated.
    pub fn reduce(&self, kind: &str, a: Val<'c>) -> Val<'c> {
        let kind = Attribute::parse(self.context, &format!("#vector.kind<{kind}>")).expect("a vector.kind");
        self.one("vector.reduction", &[a], (a.kind, 1), &[("kind", kind), ("fastmath", self.reassoc)])
    }

    // Memory

    /// `base + offset` elements of `bytes` bytes; `offset` may be a vector. In bounds or never used,
    /// unless `in_bounds`.
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

    /// A load of consecutive elements where `mask`, `otherwise` elsewhere.
    pub fn masked_load(&self, pointer: Val<'c>, mask: Val<'c>, otherwise: Val<'c>) -> Val<'c> {
        let align = self.int_attr(32, i64::from(otherwise.kind.bits().div_ceil(8)));
        let shape = (otherwise.kind, otherwise.lanes);
        self.one("llvm.intr.masked.load", &[pointer, mask, otherwise], shape, &[("alignment", align)])
    }

    /// A store of consecutive elements where `mask`.
    pub fn masked_store(&self, value: Val<'c>, pointer: Val<'c>, mask: Val<'c>) {
        let align = self.int_attr(32, i64::from(value.kind.bits().div_ceil(8)));
        let operands = [value.raw, pointer.raw, mask.raw];
        self.op("llvm.intr.masked.store", &operands, &[], &[("alignment", align)], Vec::new());
    }

    /// A load from a vector of addresses where `mask`.
    pub fn gather(&self, pointers: Val<'c>, mask: Val<'c>, otherwise: Val<'c>) -> Val<'c> {
        let align = self.int_attr(32, i64::from(otherwise.kind.bits().div_ceil(8)));
        let shape = (otherwise.kind, otherwise.lanes);
        self.one("llvm.intr.masked.gather", &[pointers, mask, otherwise], shape, &[("alignment", align)])
    }

    /// A store to a vector of addresses where `mask`, in the order of the lanes.
    pub fn scatter(&self, value: Val<'c>, pointers: Val<'c>, mask: Val<'c>) {
        let align = self.int_attr(32, i64::from(value.kind.bits().div_ceil(8)));
        let operands = [value.raw, pointers.raw, mask.raw];
        self.op("llvm.intr.masked.scatter", &operands, &[], &[("alignment", align)], Vec::new());
    }

    // Control flow

    /// Ends a region's block.
    pub fn yields(&self, values: &[Val<'c>]) {
        let values: Vec<_> = values.iter().map(|v| v.raw).collect();
        self.op("scf.yield", &values, &[], &[], Vec::new());
    }

    /// `if condition { then } else { otherwise }` with the same number and types of results.
    pub fn choose<const N: usize>(
        &self,
        condition: Val<'c>,
        then: impl FnOnce() -> [Val<'c>; N],
        otherwise: impl FnOnce() -> [Val<'c>; N],
    ) -> [Val<'c>; N] {
        self.open(&[]);
        let values = then();
        self.yields(&values);
        let then = self.close();
        self.open(&[]);
        self.yields(&otherwise());
        let regions = vec![then, self.close()];
        let types = values.map(|v| self.ty(v.kind, v.lanes));
        let results = self.op("scf.if", &[condition.raw], &types, &[], regions);
        let mut results = results.into_iter();
        values.map(|v| Val { raw: results.next().unwrap_or(v.raw), ..v })
    }

    /// A loop from `low` to `high` by `step` whose region was built by [`Builder::open`] with the axis and
    /// `carried` values as arguments; ends with the values after the last iteration.
    pub fn for_loop(
        &self,
        [low, high, step]: [Val<'c>; 3],
        carried: &[Val<'c>],
        region: Region<'c>,
    ) -> Vec<Val<'c>> {
        let operands: Vec<_> = [low, high, step].iter().chain(carried).map(|v| v.raw).collect();
        let types: Vec<_> = carried.iter().map(|v| self.ty(v.kind, v.lanes)).collect();
        let results = self.op("scf.for", &operands, &types, &[], vec![region]);
        results.into_iter().zip(carried).map(|(raw, v)| Val { raw, ..*v }).collect()
    }

    /// An array attribute.
    #[must_use]
    pub fn array(&self, values: &[Attribute<'c>]) -> Attribute<'c> {
        ArrayAttribute::new(self.context, values).into()
    }

    /// A reference to a function.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Attribute<'c> {
        FlatSymbolRefAttribute::new(self.context, name).into()
    }
}
