//! The functions of scalar programs and their properties.

/// Functions of one operand; operand and result have one type, except where noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum UnaryOp {
    Neg,
    Abs,
    Exp,
    Log,
    Sqrt,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Erf,
    Floor,
    Ceil,
    /// To the nearest integer, halves to even.
    Round,
    /// Towards zero.
    Trunc,
    /// -1, 0 or 1; NaN stays.
    Sign,
    /// Logical on `Bool`, bitwise on integers.
    Not,
    /// `Bool` result.
    IsNan,
}

/// The cost of a function of one operand, and its effect on small differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryKind {
    /// One operation on the bits.
    Bits,
    /// A comparison or two.
    Comparison,
    /// Rounds to an integer, in an instruction or few.
    Rounding,
    /// An instruction of many cycles.
    Root,
    /// A series, with instructions before and after it.
    Series,
}

impl UnaryOp {
    /// Its kind.
    #[must_use]
    pub fn kind(self) -> UnaryKind {
        match self {
            UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not => UnaryKind::Bits,
            UnaryOp::Sign | UnaryOp::IsNan => UnaryKind::Comparison,
            UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Trunc => UnaryKind::Rounding,
            UnaryOp::Sqrt => UnaryKind::Root,
            UnaryOp::Exp | UnaryOp::Log | UnaryOp::Erf => UnaryKind::Series,
            UnaryOp::Sin | UnaryOp::Cos | UnaryOp::Tan => UnaryKind::Series,
            UnaryOp::Asin | UnaryOp::Acos | UnaryOp::Atan => UnaryKind::Series,
            UnaryOp::Sinh | UnaryOp::Cosh | UnaryOp::Tanh => UnaryKind::Series,
            UnaryOp::Asinh | UnaryOp::Acosh | UnaryOp::Atanh => UnaryKind::Series,
        }
    }

    /// Whether a change in the last bit of the operand may change more than the last bit of the result.
    #[must_use]
    pub fn jumps(self) -> bool {
        match self.kind() {
            UnaryKind::Rounding => true,
            UnaryKind::Bits => self == UnaryOp::Not,
            UnaryKind::Comparison => self == UnaryOp::Sign,
            UnaryKind::Root | UnaryKind::Series => false,
        }
    }
}

/// Functions of two operands of one type. The result has the same type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    /// Integers truncate; a divisor of 0 gives 0.
    Div,
    /// Remainder with the sign of the divisor (Python's `%`); a divisor of 0 gives 0 for integers.
    Mod,
    /// Remainder with the sign of the dividend (C's `fmod`); a divisor of 0 gives 0 for integers.
    Rem,
    Pow,
    /// A NaN operand gives NaN.
    Min,
    /// A NaN operand gives NaN.
    Max,
    And,
    Or,
    Xor,
    /// Shifts by the width or more give 0.
    Shl,
    /// Logical for unsigned, arithmetic for signed; shifts by the width or more give 0 (-1 when negative).
    Shr,
}

/// The cost of a function of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryKind {
    /// One short instruction.
    Simple,
    /// An instruction of many cycles.
    Quotient,
    /// A quotient, its rounding, and the remainder.
    Remainder,
    /// A series, with instructions before and after it.
    Power,
}

impl BinaryOp {
    /// Its kind.
    #[must_use]
    pub fn kind(self) -> BinaryKind {
        match self {
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Min | BinaryOp::Max => {
                BinaryKind::Simple
            }
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => BinaryKind::Simple,
            BinaryOp::Shl | BinaryOp::Shr => BinaryKind::Simple,
            BinaryOp::Div => BinaryKind::Quotient,
            BinaryOp::Mod | BinaryOp::Rem => BinaryKind::Remainder,
            BinaryOp::Pow => BinaryKind::Power,
        }
    }

    /// Whether a change in the last bit of an operand may change more than the last bit of the result.
    #[must_use]
    pub fn jumps(self) -> bool {
        self.kind() == BinaryKind::Remainder
    }
}

/// Comparisons; `Bool` result. With NaN only `Ne` is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Predicate {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}
