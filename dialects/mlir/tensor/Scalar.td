//===- Scalar.td - What is computed for one point -------------------------===//

#ifndef MLCC_TE_SCALAR
#define MLCC_TE_SCALAR

include "tensor/Base.td"

// The instructions are not those of arith and math: here minima keep NaN, a divisor of 0 gives 0, conversions
// saturate, and unsigned types are types.

def Te_ScalarOp : Te_Op<"scalar", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "A constant";
  let description = "Example: `%0 = te.scalar 1.0 : f32`";
  let arguments = (ins TypedAttrInterface:$value);
  let results = (outs Te_Scalar:$result);
  let assemblyFormat = "$value attr-dict";
}

def Te_IndexOp : Te_Op<"index", [Pure]> {
  let summary = "An index expression as a value";
  let description = "Example: `%0 = te.index \"%i * 2 + n\" : i64`";
  let arguments = (ins StrAttr:$expr, Variadic<Te_Scalar>:$values);
  let results = (outs Te_Scalar:$result);
  let assemblyFormat = "$expr (`using` `(` $values^ `:` type($values) `)`)? attr-dict `:` type($result)";
}

def Te_ReadOp : Te_Op<"read", [Pure]> {
  let summary = "An element of a tensor";
  let description = [{
    With `outside`, an index out of bounds gives that value; without, indices are in bounds.

    Example: `%0 = te.read %x["%n", "%h + %r - 1", "$0"] outside 0.0 : f32 using (%i : i64) : f32`
  }];
  let arguments = (ins Te_Tensor:$tensor, ArrayAttr:$index, OptionalAttr<TypedAttrInterface>:$outside,
                       Variadic<Te_Scalar>:$values);
  let results = (outs Te_Scalar:$result);
  let assemblyFormat = [{
    $tensor `` custom<Index>($index) (`outside` $outside^)? (`using` `(` $values^ `:` type($values) `)`)?
    attr-dict `:` type($result)
  }];
}

class Te_Unary<string mnemonic, string what> : Te_Op<mnemonic, [Pure, SameOperandsAndResultType]> {
  let summary = what;
  let description = what # ".\n\nExample: `%1 = te." # mnemonic # " %0 : f32`";
  let arguments = (ins Te_Scalar:$a);
  let results = (outs Te_Scalar:$result);
  let assemblyFormat = "$a attr-dict `:` type($a)";
}

def Te_NegOp : Te_Unary<"neg", "Negation">;
def Te_AbsOp : Te_Unary<"abs", "Absolute value">;
def Te_ExpOp : Te_Unary<"exp", "Exponential">;
def Te_LogOp : Te_Unary<"log", "Natural logarithm">;
def Te_SqrtOp : Te_Unary<"sqrt", "Square root">;
def Te_SinOp : Te_Unary<"sin", "Sine">;
def Te_CosOp : Te_Unary<"cos", "Cosine">;
def Te_TanOp : Te_Unary<"tan", "Tangent">;
def Te_AsinOp : Te_Unary<"asin", "Arc sine">;
def Te_AcosOp : Te_Unary<"acos", "Arc cosine">;
def Te_AtanOp : Te_Unary<"atan", "Arc tangent">;
def Te_SinhOp : Te_Unary<"sinh", "Hyperbolic sine">;
def Te_CoshOp : Te_Unary<"cosh", "Hyperbolic cosine">;
def Te_TanhOp : Te_Unary<"tanh", "Hyperbolic tangent">;
def Te_AsinhOp : Te_Unary<"asinh", "Inverse hyperbolic sine">;
def Te_AcoshOp : Te_Unary<"acosh", "Inverse hyperbolic cosine">;
def Te_AtanhOp : Te_Unary<"atanh", "Inverse hyperbolic tangent">;
def Te_ErfOp : Te_Unary<"erf", "Gauss' error function">;
def Te_FloorOp : Te_Unary<"floor", "Rounding towards negative infinity">;
def Te_CeilOp : Te_Unary<"ceil", "Rounding towards positive infinity">;
def Te_RoundOp : Te_Unary<"round", "Rounding to the nearest integer, halves to even">;
def Te_TruncOp : Te_Unary<"trunc", "Rounding towards zero">;
def Te_SignOp : Te_Unary<"sign", "-1, 0 or 1; NaN stays">;
def Te_NotOp : Te_Unary<"not", "Complement: logical for i1, bitwise for integers">;

def Te_IsNanOp : Te_Op<"is_nan", [Pure]> {
  let summary = "Test for NaN";
  let description = "Example: `%1 = te.is_nan %0 : f32`";
  let arguments = (ins Te_Scalar:$a);
  let results = (outs I1:$result);
  let assemblyFormat = "$a attr-dict `:` type($a)";
}

class Te_Binary<string mnemonic, string what> : Te_Op<mnemonic, [Pure, SameOperandsAndResultType]> {
  let summary = what;
  let description = what # ".\n\nExample: `%2 = te." # mnemonic # " %0, %1 : f32`";
  let arguments = (ins Te_Scalar:$a, Te_Scalar:$b);
  let results = (outs Te_Scalar:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($a)";
}

def Te_AddOp : Te_Binary<"add", "Sum">;
def Te_SubOp : Te_Binary<"sub", "Difference">;
def Te_MulOp : Te_Binary<"mul", "Product">;
def Te_DivOp : Te_Binary<"div", "Quotient; integers truncate, a divisor of 0 gives 0">;
def Te_ModOp : Te_Binary<"mod", "Remainder with the divisor's sign; an integer divisor of 0 gives 0">;
def Te_RemOp : Te_Binary<"rem", "Remainder with the dividend's sign; an integer divisor of 0 gives 0">;
def Te_PowOp : Te_Binary<"pow", "Power">;
def Te_MinOp : Te_Binary<"min", "The smaller one; a NaN operand gives NaN">;
def Te_MaxOp : Te_Binary<"max", "The larger one; a NaN operand gives NaN">;
def Te_AndOp : Te_Binary<"and", "Conjunction: logical for i1, bitwise for integers">;
def Te_OrOp : Te_Binary<"or", "Disjunction: logical for i1, bitwise for integers">;
def Te_XorOp : Te_Binary<"xor", "Exclusive disjunction: logical for i1, bitwise for integers">;
def Te_ShlOp : Te_Binary<"shl", "Shift to the left; by the width or more gives 0">;
def Te_ShrOp : Te_Binary<"shr", "Shift to the right, arithmetic for signed types; by the width or more gives 0, or -1">;

def Te_CompareOp : Te_Op<"compare", [Pure, SameTypeOperands]> {
  let summary = "Comparison";
  let description = "With NaN only `ne` holds.\n\nExample: `%2 = te.compare lt %0, %1 : f32`";
  let arguments = (ins Te_Predicate:$predicate, Te_Scalar:$a, Te_Scalar:$b);
  let results = (outs I1:$result);
  let assemblyFormat = "$predicate $a `,` $b attr-dict `:` type($a)";
}

def Te_SelectOp : Te_Op<"select", [Pure, AllTypesMatch<["a", "b", "result"]>]> {
  let summary = "Choice";
  let description = "`condition ? a : b`.\n\nExample: `%3 = te.select %0, %1, %2 : f32`";
  let arguments = (ins I1:$condition, Te_Scalar:$a, Te_Scalar:$b);
  let results = (outs Te_Scalar:$result);
  let assemblyFormat = "$condition `,` $a `,` $b attr-dict `:` type($result)";
}

def Te_CastOp : Te_Op<"cast", [Pure]> {
  let summary = "Conversion";
  let description = [{
    Floats round to nearest even; float to integer truncates and saturates; integers wrap; to `i1` is `!= 0`.

    Example: `%1 = te.cast %0 : f32 to i8`
  }];
  let arguments = (ins Te_Scalar:$a);
  let results = (outs Te_Scalar:$result);
  let assemblyFormat = "$a attr-dict `:` type($a) `to` type($result)";
}

def Te_YieldOp : Te_Op<"yield", [Terminator]> {
  let summary = "The value of a point, and where it goes";
  let description = [{
    Ends the body of `te.compute` or `loop.store`: the element `at` of the target receives the value, where all
    guards `a < b` hold.

    Example: `te.yield %2 : f32 at ["%i", "$0"] if "%i * 4" < n using (%1 : i64)`
  }];
  let arguments = (ins Te_Scalar:$value, ArrayAttr:$index, OptionalAttr<ArrayAttr>:$guards,
                       Variadic<Te_Scalar>:$values);
  let assemblyFormat = [{
    $value `:` type($value) `at` custom<Index>($index) (`if` custom<Guards>($guards)^)?
    (`using` `(` $values^ `:` type($values) `)`)? attr-dict
  }];
}

#endif
