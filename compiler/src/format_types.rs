//! Converts integer expressions and element types between the compiler and the format; no other place does so. Neither
//! side may import the other, because an artifact must be readable without the compiler.

use mlcc_format as format;
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::{Atom, Expr},
};

/// `expr` over the plan's symbols, which are numbered by their place in `symbols`.
///
/// # Errors
/// If the expression uses an axis, a computed value or an unknown symbol: a bug of an earlier pass.
pub(crate) fn plan_expr(expr: &Expr, symbols: &[Name]) -> Result<format::Expr> {
    let mut sum: Option<format::Expr> = None;
    for (product, coefficient) in expr.terms() {
        let mut term: Option<format::Expr> = None;
        for atom in product {
            let factor = plan_atom(atom, symbols)?;
            term = Some(match term {
                None => factor,
                Some(t) => format::Expr::binary(format::BinaryOp::Mul, t, factor),
            });
        }
        let mut term = term.unwrap_or(format::Expr::Const(1));
        if *coefficient != 1 {
            term = format::Expr::binary(format::BinaryOp::Mul, term, format::Expr::Const(*coefficient));
        }
        sum = Some(match sum {
            None => term,
            Some(s) => format::Expr::binary(format::BinaryOp::Add, s, term),
        });
    }
    let constant = format::Expr::Const(expr.constant());
    Ok(match sum {
        None => constant,
        Some(sum) if expr.constant() == 0 => sum,
        Some(sum) => format::Expr::binary(format::BinaryOp::Add, sum, constant),
    })
}

fn plan_atom(atom: &Atom, symbols: &[Name]) -> Result<format::Expr> {
    let pair = |op, ab: &(Expr, Expr)| {
        Ok(format::Expr::binary(op, plan_expr(&ab.0, symbols)?, plan_expr(&ab.1, symbols)?))
    };
    match atom {
        Atom::Symbol(name) => match symbols.iter().position(|s| s == name) {
            Some(at) => Ok(format::Expr::Symbol(at as u32)),
            None => Err(Diagnostic::internal(format!("symbol '{name}' has no source"))),
        },
        Atom::FloorDiv(ab) => pair(format::BinaryOp::FloorDiv, ab),
        Atom::Mod(ab) => pair(format::BinaryOp::Mod, ab),
        Atom::Min(ab) => pair(format::BinaryOp::Min, ab),
        Atom::Max(ab) => pair(format::BinaryOp::Max, ab),
        Atom::Axis(_) | Atom::Value(_) => {
            Err(Diagnostic::internal(format!("'{atom}' in an expression of the plan")))
        }
    }
}

/// The format's element type.
pub(crate) fn plan_dtype(dtype: DType) -> format::DType {
    match dtype {
        DType::F32 => format::DType::F32,
        DType::F64 => format::DType::F64,
        DType::F16 => format::DType::F16,
        DType::BF16 => format::DType::BF16,
        DType::I8 => format::DType::I8,
        DType::I16 => format::DType::I16,
        DType::I32 => format::DType::I32,
        DType::I64 => format::DType::I64,
        DType::U8 => format::DType::U8,
        DType::U16 => format::DType::U16,
        DType::U32 => format::DType::U32,
        DType::U64 => format::DType::U64,
        DType::Bool => format::DType::Bool,
    }
}

/// The compiler's element type.
///
/// # Panics
/// Never: a test makes sure that each of the format's element types is one of the compiler's.
pub(crate) fn ir_dtype(dtype: format::DType) -> DType {
    DType::ALL.into_iter().find(|d| plan_dtype(*d) == dtype).expect("an element type of the compiler")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_types_convert_both_ways() {
        for dtype in format::DType::ALL {
            let ours = ir_dtype(dtype);
            assert_eq!((plan_dtype(ours), ours.size()), (dtype, dtype.size()));
        }
    }

    #[test]
    fn values_agree() {
        let symbols: Vec<Name> = vec!["a".into(), "b".into()];
        for text in
            ["3", "a * 2 - 5", "floordiv(a * b + 7, 3) * b", "min(a, b) + max(a, 4) - mod(a, 5)", "-a"]
        {
            let expr: Expr = text.parse().unwrap();
            let plan = plan_expr(&expr, &symbols).unwrap();
            for (a, b) in [(0, 0), (13, 4), (5, 90)] {
                let value = |x: &Atom| Some(if *x == Atom::Symbol("a".into()) { a } else { b });
                assert_eq!(Some(plan.eval(&[a, b]).unwrap()), expr.evaluate(&value), "{text}");
            }
        }
        assert!(plan_expr(&Expr::axis("i"), &symbols).is_err());
    }
}
