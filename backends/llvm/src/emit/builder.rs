//! A thin builder of operations over melior. Values carry their machine type in Rust, so that no step
//! of the emission asks MLIR for types. Scalars are broadcast if they meet a vector.
//!
//! Blocks under construction form a stack; an operation with a region is appended once its region is
//! complete. Loop emission relies on that: operations that a loop needs before it may become known
//! only inside it.

mod arithmetic;
mod control;
mod memory;

use melior::{
    Context,
    ir::{
        Attribute, Block, Identifier, Location, Region, RegionLike, Type, Value,
        attribute::{
            ArrayAttribute, DenseElementsAttribute, FlatSymbolRefAttribute, FloatAttribute, IntegerAttribute,
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
    /// Whether the machine is an x86, whose minima and maxima do not handle NaN.
    x86: bool,
    /// Whether the machine has AVX-512's instructions on vectors of 512 bits.
    avx512: bool,
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
            x86: false,
            avx512: false,
            reassoc: flags("reassoc,nsz,contract"),
        }
    }

    /// The builder for an x86 with or without AVX-512.
    #[must_use]
    pub fn for_x86(self, avx512: bool) -> Builder<'c> {
        Builder { x86: true, avx512, ..self }
    }

    /// Opens a block with arguments; the following operations go there.
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
    #[expect(clippy::too_many_arguments, reason = "the parts of an operation")]
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
