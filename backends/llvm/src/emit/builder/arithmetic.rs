//! Arithmetic, comparisons, conversions, reductions of lanes.

use super::{Builder, Cmp, Kind, Val};
use melior::ir::{
    Attribute,
    attribute::{DenseElementsAttribute, DenseI32ArrayAttribute, FloatAttribute, StringAttribute},
};

/// Number of table elements among which one instruction looks up.
const TABLE_LANES: u32 = 16;
/// Bits of AVX-512's registers.
const REGISTER_BITS: u32 = 512;

impl<'c> Builder<'c> {
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

    /// The smaller or larger float, NaN if either operand is NaN; the sign of a zero is free.
    pub fn float_extremum(&self, larger: bool, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        let name = if larger { "arith.maximumf" } else { "arith.minimumf" };
        self.binary(name, a, b, &[("fastmath", self.contract_nsz)])
    }

    /// The larger or smaller float in one instruction on an x86; `b` if either operand is NaN.
    pub fn float_extremum_or(&self, larger: bool, a: Val<'c>, b: Val<'c>) -> Val<'c> {
        self.select(self.compare(if larger { Cmp::Gt } else { Cmp::Lt }, a, b), a, b)
    }

    /// Whether `x` is NaN, in [`Builder::unordered_lanes`] lanes. If these are fewer than the lanes of `x`, each
    /// lane of the mask stands for two lanes of `x`.
    pub fn unordered(&self, x: Val<'c>) -> Val<'c> {
        match self.halves(x).filter(|_| self.unordered_lanes(x.kind, x.lanes) < x.lanes) {
            Some([low, high]) => self.compare(Cmp::Unordered, low, high),
            None => self.compare(Cmp::Unordered, x, x),
        }
    }

    /// Number of lanes of the mask of NaNs in a vector. If the vector takes several registers, its two halves are
    /// compared with each other.
    pub fn unordered_lanes(&self, kind: Kind, lanes: u32) -> u32 {
        let several = lanes * kind.bits() > REGISTER_BITS && lanes.is_multiple_of(2);
        if several { lanes / 2 } else { lanes }
    }

    /// The lower and the upper lanes.
    pub fn halves(&self, x: Val<'c>) -> Option<[Val<'c>; 2]> {
        match x.lanes {
            2 => Some([self.lane(x, 0), self.lane(x, 1)]),
            n if n > 2 && n.is_multiple_of(2) => {
                Some([self.shuffle(x, x, 0..n / 2), self.shuffle(x, x, n / 2..n)])
            }
            _ => None,
        }
    }

    /// Whether a maximum should be computed apart from the search for NaN. This is cheaper if comparisons write mask
    /// registers.
    pub fn has_mask_registers(&self) -> bool {
        self.avx512
    }

    /// `x` limited to `low..=high`; NaN stays.
    pub fn clamp(&self, x: Val<'c>, low: f64, high: f64) -> Val<'c> {
        let (low, high) = (self.like(x, low), self.like(x, high));
        if !self.x86 {
            return self.float_extremum(true, self.float_extremum(false, x, high), low);
        }
        self.float_extremum_or(true, low, self.float_extremum_or(false, high, x))
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

    /// `a`, which is not negative, with the sign of `b`. `math.copysign` is not used: LLVM would move a following
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

    /// `arith.NAME` to another kind.
    pub fn convert(&self, name: &str, a: Val<'c>, kind: Kind) -> Val<'c> {
        if a.kind == kind { a } else { self.one(name, &[a], (kind, a.lanes), &[]) }
    }

    /// The same bits as another kind of the same size.
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
        self.intrinsic(&name, &[a], (kind, a.lanes))
    }

    /// Whether the machine has [`Builder::scale_by_power`], [`Builder::limit_magnitude`] and [`Builder::lookup`] for
    /// vectors like `x`.
    pub fn has_tables(&self, x: Val<'c>) -> bool {
        self.avx512 && x.kind == Kind::F32 && x.lanes >= TABLE_LANES && x.lanes.is_multiple_of(TABLE_LANES)
    }

    /// `x * 2^floor(n)`, rounded once.
    pub fn scale_by_power(&self, x: Val<'c>, n: Val<'c>) -> Val<'c> {
        const ROUND_AS_SET: i64 = 4;
        let (all, rounding) = (self.int(Kind::I16, 1, -1), self.int(Kind::I32, 1, ROUND_AS_SET));
        self.by_registers([x, n], |[x, n]| {
            let operands = [x, n, x, all, rounding];
            self.intrinsic("llvm.x86.avx512.mask.scalef.ps.512", &operands, (x.kind, x.lanes))
        })
    }

    /// `x` limited to `-limit..=limit`; `limit` for NaN.
    pub fn limit_magnitude(&self, x: Val<'c>, limit: f64) -> Val<'c> {
        /// Selects the operand of less magnitude, with the sign of the first operand.
        const LESS_MAGNITUDE: i64 = 2;
        const ROUND_AS_SET: i64 = 4;
        let [how, rounding] = [LESS_MAGNITUDE, ROUND_AS_SET].map(|n| self.int(Kind::I32, 1, n));
        let all = self.int(Kind::I16, 1, -1);
        self.by_registers([x], |[x]| {
            let operands = [x, self.like(x, limit), how, x, all, rounding];
            self.intrinsic("llvm.x86.avx512.mask.range.ps.512", &operands, (x.kind, x.lanes))
        })
    }

    /// The elements of a table at the indices in the low 4 bits of `index`.
    pub fn lookup(&self, table: &[f32; TABLE_LANES as usize], index: Val<'c>) -> Val<'c> {
        let shape = (Kind::F32, TABLE_LANES);
        let elements = table
            .map(|value| FloatAttribute::new(self.context, self.ty(Kind::F32, 1), f64::from(value)).into());
        let ty = self.ty(shape.0, shape.1);
        let value = DenseElementsAttribute::new(ty, &elements).expect("as many elements as lanes");
        let table = self.one("arith.constant", &[], shape, &[("value", value.into())]);
        self.by_registers([index], |[index]| {
            self.intrinsic("llvm.x86.avx512.permvar.sf.512", &[table, index], shape)
        })
    }

    /// Applies an operation on vectors of one register to wider vectors, part by part.
    fn by_registers<const N: usize>(
        &self,
        operands: [Val<'c>; N],
        apply: impl Fn([Val<'c>; N]) -> Val<'c>,
    ) -> Val<'c> {
        let lanes = operands[0].lanes;
        let parts = (0..lanes).step_by(TABLE_LANES as usize).map(|first| {
            let part = |x: Val<'c>| self.shuffle(x, x, first..(first + TABLE_LANES).min(lanes));
            apply(operands.map(|x| if lanes == TABLE_LANES { x } else { part(x) }))
        });
        let mut parts: Vec<_> = parts.collect();
        while parts.len() > 1 {
            let join = |pair: &[Val<'c>]| match pair {
                [a, b] => self.shuffle(*a, *b, 0..a.lanes + b.lanes),
                _ => pair[0],
            };
            parts = parts.chunks(2).map(join).collect();
        }
        parts[0]
    }

    /// Lanes of two vectors of one length; the second vector's lanes are numbered after the first's.
    fn shuffle(&self, a: Val<'c>, b: Val<'c>, lanes: std::ops::Range<u32>) -> Val<'c> {
        let mask: Vec<i32> = lanes.map(|lane| lane as i32).collect();
        let attribute = DenseI32ArrayAttribute::new(self.context, &mask).into();
        self.one("llvm.shufflevector", &[a, b], (a.kind, mask.len() as u32), &[("mask", attribute)])
    }

    /// Calls an intrinsic without operands and result.
    pub(super) fn effect(&self, name: &str) {
        let segments = DenseI32ArrayAttribute::new(self.context, &[0, 0]).into();
        let bundles = DenseI32ArrayAttribute::new(self.context, &[]).into();
        let name = StringAttribute::new(self.context, name).into();
        let attributes = [("intrin", name), ("operandSegmentSizes", segments), ("op_bundle_sizes", bundles)];
        self.op("llvm.call_intrinsic", &[], &[], &attributes, Vec::new());
    }

    fn intrinsic(&self, name: &str, operands: &[Val<'c>], shape: (Kind, u32)) -> Val<'c> {
        let segments = DenseI32ArrayAttribute::new(self.context, &[operands.len() as i32, 0]).into();
        let bundles = DenseI32ArrayAttribute::new(self.context, &[]).into();
        let name = StringAttribute::new(self.context, name).into();
        let attributes = [("intrin", name), ("operandSegmentSizes", segments), ("op_bundle_sizes", bundles)];
        self.one("llvm.call_intrinsic", operands, shape, &attributes)
    }

    /// Combines the lanes of a vector; `kind` is a `vector.kind`. Floats may be reassociated.
    pub fn reduce(&self, kind: &str, a: Val<'c>) -> Val<'c> {
        let kind = Attribute::parse(self.context, &format!("#vector.kind<{kind}>")).expect("a vector.kind");
        self.one("vector.reduction", &[a], (a.kind, 1), &[("kind", kind), ("fastmath", self.reassoc)])
    }
}
