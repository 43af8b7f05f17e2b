//! Integer expressions over symbols: the sizes, offsets and trip counts of a plan.
//!
//! In a file an expression is a list of postfix steps. So reading one never recurses, and a
//! malicious depth is refused before a tree exists.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The greatest depth of an expression; deeper ones are refused.
pub const MAX_EXPR_DEPTH: usize = 64;

/// A binary operation of an [`Expr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BinaryOp {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient, rounded towards negative infinity.
    FloorDiv,
    /// Quotient, rounded towards positive infinity.
    CeilDiv,
    /// Remainder with the sign of the divisor: `a - b * floordiv(a, b)`.
    Mod,
    /// The smaller one.
    Min,
    /// The larger one.
    Max,
}

/// An integer expression over symbols.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<Step>", into = "Vec<Step>")]
pub enum Expr {
    /// A constant.
    Const(i64),
    /// The value of a symbol, by its index in the plan.
    Symbol(u32),
    /// An operation on two expressions.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A result does not fit 64 bits.
    #[error("the value does not fit 64 bits")]
    Overflow,
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A symbol that does not exist.
    #[error("symbol {0} does not exist")]
    UnknownSymbol(u32),
}

impl Expr {
    /// The operation on two expressions, folded if both are constant or if one is neutral.
    pub fn binary(op: BinaryOp, a: Expr, b: Expr) -> Expr {
        use BinaryOp::{Add, CeilDiv, FloorDiv, Max, Min, Mul, Sub};
        match (op, &a, &b) {
            (_, Expr::Const(x), Expr::Const(y)) => {
                if let Ok(value) = apply(op, *x, *y) {
                    return Expr::Const(value);
                }
            }
            (Add, Expr::Const(0), _) | (Mul, Expr::Const(1), _) => return b,
            (Add | Sub, _, Expr::Const(0)) | (Mul | FloorDiv | CeilDiv, _, Expr::Const(1)) => return a,
            (Min | Max, x, y) if x == y => return a,
            _ => {}
        }
        Expr::Binary(op, Box::new(a), Box::new(b))
    }

    /// `self / divisor`, rounded down.
    pub fn floor_div(self, divisor: impl Into<Expr>) -> Expr {
        Expr::binary(BinaryOp::FloorDiv, self, divisor.into())
    }

    /// `self / divisor`, rounded up.
    pub fn ceil_div(self, divisor: impl Into<Expr>) -> Expr {
        Expr::binary(BinaryOp::CeilDiv, self, divisor.into())
    }

    /// `self - divisor * floordiv(self, divisor)`.
    pub fn modulo(self, divisor: impl Into<Expr>) -> Expr {
        Expr::binary(BinaryOp::Mod, self, divisor.into())
    }

    /// The smaller one.
    pub fn min(self, other: impl Into<Expr>) -> Expr {
        Expr::binary(BinaryOp::Min, self, other.into())
    }

    /// The larger one.
    pub fn max(self, other: impl Into<Expr>) -> Expr {
        Expr::binary(BinaryOp::Max, self, other.into())
    }

    /// The product of all; 1 if there are none.
    pub fn product(factors: impl IntoIterator<Item = Expr>) -> Expr {
        factors.into_iter().fold(Expr::Const(1), |product, factor| product * factor)
    }

    /// The value, if the expression is a constant.
    pub fn as_const(&self) -> Option<i64> {
        match self {
            Expr::Const(value) => Some(*value),
            _ => None,
        }
    }

    /// The value under the given symbol values.
    ///
    /// # Errors
    /// Overflow, division by zero and symbols without value.
    pub fn eval(&self, symbols: &[i64]) -> Result<i64, EvalError> {
        match self {
            Expr::Const(value) => Ok(*value),
            Expr::Symbol(id) => symbols.get(*id as usize).copied().ok_or(EvalError::UnknownSymbol(*id)),
            Expr::Binary(op, a, b) => apply(*op, a.eval(symbols)?, b.eval(symbols)?),
        }
    }

    /// The height of the tree; a leaf has 1.
    pub fn depth(&self) -> usize {
        match self {
            Expr::Const(_) | Expr::Symbol(_) => 1,
            Expr::Binary(_, a, b) => 1 + a.depth().max(b.depth()),
        }
    }

    /// Calls `visit` with each symbol that occurs, in order, repetitions included.
    pub fn for_each_symbol(&self, visit: &mut impl FnMut(u32)) {
        match self {
            Expr::Const(_) => {}
            Expr::Symbol(id) => visit(*id),
            Expr::Binary(_, a, b) => {
                a.for_each_symbol(visit);
                b.for_each_symbol(visit);
            }
        }
    }

    /// Whether a symbol occurs for which `predicate` holds.
    pub fn any_symbol(&self, mut predicate: impl FnMut(u32) -> bool) -> bool {
        let mut found = false;
        self.for_each_symbol(&mut |id| found |= predicate(id));
        found
    }

    /// The expression with the names of its symbols; symbols without a name print as `s0`, `s1`.
    pub fn display<'a>(&'a self, names: &'a [String]) -> ExprDisplay<'a> {
        ExprDisplay { expr: self, names }
    }
}

fn apply(op: BinaryOp, a: i64, b: i64) -> Result<i64, EvalError> {
    use BinaryOp::{Add, CeilDiv, FloorDiv, Max, Min, Mod, Mul, Sub};
    if matches!(op, FloorDiv | CeilDiv | Mod) && b == 0 {
        return Err(EvalError::DivisionByZero);
    }
    match op {
        Add => a.checked_add(b),
        Sub => a.checked_sub(b),
        Mul => a.checked_mul(b),
        FloorDiv => floor_div(a, b),
        CeilDiv => a.checked_div(b).map(|q| if a % b != 0 && (a < 0) == (b < 0) { q + 1 } else { q }),
        Mod => floor_div(a, b).map(|q| a.wrapping_sub(b.wrapping_mul(q))),
        Min => Some(a.min(b)),
        Max => Some(a.max(b)),
    }
    .ok_or(EvalError::Overflow)
}

fn floor_div(a: i64, b: i64) -> Option<i64> {
    // `checked_div` fails only for i64::MIN / -1, where the remainder would overflow as well.
    a.checked_div(b).map(|q| if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q })
}

impl From<i64> for Expr {
    fn from(value: i64) -> Expr {
        Expr::Const(value)
    }
}

impl<T: Into<Expr>> std::ops::Add<T> for Expr {
    type Output = Expr;
    fn add(self, other: T) -> Expr {
        Expr::binary(BinaryOp::Add, self, other.into())
    }
}

impl<T: Into<Expr>> std::ops::Sub<T> for Expr {
    type Output = Expr;
    fn sub(self, other: T) -> Expr {
        Expr::binary(BinaryOp::Sub, self, other.into())
    }
}

impl<T: Into<Expr>> std::ops::Mul<T> for Expr {
    type Output = Expr;
    fn mul(self, other: T) -> Expr {
        Expr::binary(BinaryOp::Mul, self, other.into())
    }
}

/// Prints an expression with the names of its symbols; see [`Expr::display`].
pub struct ExprDisplay<'a> {
    expr: &'a Expr,
    names: &'a [String],
}

impl fmt::Display for ExprDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_expr(f, self.expr, self.names, 0)
    }
}

/// Prints `expr` as an operand of an operator with the precedence `outer` (0 outside, 1 sum, 2
/// product).
fn write_expr(f: &mut fmt::Formatter<'_>, expr: &Expr, names: &[String], outer: u8) -> fmt::Result {
    let (op, a, b) = match expr {
        Expr::Const(value) => return write!(f, "{value}"),
        Expr::Symbol(id) => {
            return match names.get(*id as usize) {
                Some(name) => f.write_str(name),
                None => write!(f, "s{id}"),
            };
        }
        Expr::Binary(op, a, b) => (*op, a, b),
    };
    let (infix, binding) = match op {
        BinaryOp::Add => (" + ", 1),
        BinaryOp::Sub => (" - ", 1),
        BinaryOp::Mul => (" * ", 2),
        _ => {
            let name = match op {
                BinaryOp::FloorDiv => "floordiv",
                BinaryOp::CeilDiv => "ceildiv",
                BinaryOp::Mod => "mod",
                BinaryOp::Min => "min",
                _ => "max",
            };
            write!(f, "{name}(")?;
            write_expr(f, a, names, 0)?;
            f.write_str(", ")?;
            write_expr(f, b, names, 0)?;
            return f.write_str(")");
        }
    };
    if binding < outer {
        f.write_str("(")?;
    }
    write_expr(f, a, names, binding)?;
    f.write_str(infix)?;
    // A right operand with the same precedence needs parentheses: a - (b - c).
    write_expr(f, b, names, binding + u8::from(op == BinaryOp::Sub))?;
    if binding < outer {
        f.write_str(")")?;
    }
    Ok(())
}

/// One postfix step of an expression in a file.
#[derive(Clone, Serialize, Deserialize)]
enum Step {
    #[serde(rename = "const")]
    Const(i64),
    #[serde(rename = "symbol")]
    Symbol(u32),
    #[serde(rename = "op")]
    Op(BinaryOp),
}

impl From<Expr> for Vec<Step> {
    fn from(expr: Expr) -> Vec<Step> {
        fn push(expr: &Expr, steps: &mut Vec<Step>) {
            match expr {
                Expr::Const(value) => steps.push(Step::Const(*value)),
                Expr::Symbol(id) => steps.push(Step::Symbol(*id)),
                Expr::Binary(op, a, b) => {
                    push(a, steps);
                    push(b, steps);
                    steps.push(Step::Op(*op));
                }
            }
        }
        let mut steps = Vec::new();
        push(&expr, &mut steps);
        steps
    }
}

impl TryFrom<Vec<Step>> for Expr {
    type Error = String;

    fn try_from(steps: Vec<Step>) -> Result<Expr, String> {
        let mut stack: Vec<(Expr, usize)> = Vec::new();
        for step in steps {
            let (expr, depth) = match step {
                Step::Const(value) => (Expr::Const(value), 1),
                Step::Symbol(id) => (Expr::Symbol(id), 1),
                Step::Op(op) => {
                    let (Some((b, depth_b)), Some((a, depth_a))) = (stack.pop(), stack.pop()) else {
                        return Err("an expression's operation lacks an operand".into());
                    };
                    (Expr::Binary(op, Box::new(a), Box::new(b)), 1 + depth_a.max(depth_b))
                }
            };
            if depth > MAX_EXPR_DEPTH {
                return Err(format!("an expression is deeper than {MAX_EXPR_DEPTH}"));
            }
            stack.push((expr, depth));
        }
        match (stack.pop(), stack.is_empty()) {
            (Some((expr, _)), true) => Ok(expr),
            _ => Err("an expression does not end with one value".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(id: u32) -> Expr {
        Expr::Symbol(id)
    }

    #[test]
    fn divisions_round_as_named() {
        for (a, b) in [(7, 2), (-7, 2), (7, -2), (-7, -2), (6, 3), (-6, 3), (0, 5), (1, 64)] {
            let exact = a as f64 / b as f64;
            assert_eq!(apply(BinaryOp::FloorDiv, a, b), Ok(exact.floor() as i64), "{a} / {b}");
            assert_eq!(apply(BinaryOp::CeilDiv, a, b), Ok(exact.ceil() as i64), "{a} / {b}");
            assert_eq!(apply(BinaryOp::Mod, a, b), Ok(a - b * exact.floor() as i64), "{a} mod {b}");
        }
    }

    #[test]
    fn overflow_and_division_by_zero_are_errors() {
        let values = [i64::MAX, 0, i64::MIN, -1];
        assert_eq!((symbol(0) + 1).eval(&values), Err(EvalError::Overflow));
        assert_eq!((symbol(0) * symbol(0)).eval(&values), Err(EvalError::Overflow));
        assert_eq!(symbol(0).floor_div(symbol(1)).eval(&values), Err(EvalError::DivisionByZero));
        for division in [BinaryOp::FloorDiv, BinaryOp::CeilDiv, BinaryOp::Mod] {
            let expr = Expr::binary(division, symbol(2), symbol(3));
            assert_eq!(expr.eval(&values), Err(EvalError::Overflow));
        }
        assert_eq!(symbol(9).eval(&values), Err(EvalError::UnknownSymbol(9)));
    }

    #[test]
    fn constants_fold_and_print() {
        let names = ["N".to_string(), "L".to_string()];
        let expr = (symbol(0) * 1 + 0) * (symbol(1) + Expr::Const(2) * 3);
        assert_eq!(expr.display(&names).to_string(), "N * (L + 6)");
        let nested = symbol(0) - (symbol(1) - 2) - 1;
        assert_eq!(nested.display(&names).to_string(), "N - (L - 2) - 1");
        assert_eq!(symbol(7).ceil_div(4).display(&names).to_string(), "ceildiv(s7, 4)");
        assert_eq!(Expr::Const(7).ceil_div(4).as_const(), Some(2));
    }

    #[test]
    fn depth_is_limited_when_reading() {
        let mut expr = symbol(0);
        for _ in 1..MAX_EXPR_DEPTH {
            expr = expr + symbol(1);
        }
        let bytes = postcard::to_stdvec(&expr).expect("writes");
        assert_eq!(postcard::from_bytes::<Expr>(&bytes), Ok(expr.clone()));
        let bytes = postcard::to_stdvec(&(expr + symbol(1))).expect("writes");
        assert!(postcard::from_bytes::<Expr>(&bytes).is_err());
        let steps = postcard::to_stdvec(&[Step::Op(BinaryOp::Add)].to_vec()).expect("writes");
        assert!(postcard::from_bytes::<Expr>(&steps).is_err());
    }
}
