//===- Elementwise.td - Functions of single elements ----------------------===//

#ifndef MLCC_GRAPH_ELEMENTWISE
#define MLCC_GRAPH_ELEMENTWISE

include "graph/Base.td"

// y[i] = f(x[i]); the result has the operand's type.
class Graph_Unary<string mnemonic, string what, string formula, list<A> attributes = []>
    : Graph_Op<mnemonic, ["x"], [], attributes> {
  let summary = what;
  let description = "`result[i] = " # formula # "` for every element.\n\nExample: `%y = graph." # mnemonic
      # " %x : (tensor<4x8xf32>) -> tensor<4x8xf32>`";
}

def Graph_NegOp : Graph_Unary<"neg", "Negation", "-x[i]">;
def Graph_AbsOp : Graph_Unary<"abs", "Absolute value", "|x[i]|">;
def Graph_ExpOp : Graph_Unary<"exp", "Exponential", "e^x[i]">;
def Graph_LogOp : Graph_Unary<"log", "Natural logarithm", "ln x[i]">;
def Graph_SqrtOp : Graph_Unary<"sqrt", "Square root", "sqrt(x[i])">;
def Graph_ReciprocalOp : Graph_Unary<"reciprocal", "Reciprocal", "1 / x[i]">;
def Graph_SinOp : Graph_Unary<"sin", "Sine", "sin(x[i])">;
def Graph_CosOp : Graph_Unary<"cos", "Cosine", "cos(x[i])">;
def Graph_TanOp : Graph_Unary<"tan", "Tangent", "tan(x[i])">;
def Graph_AsinOp : Graph_Unary<"asin", "Arc sine", "asin(x[i])">;
def Graph_AcosOp : Graph_Unary<"acos", "Arc cosine", "acos(x[i])">;
def Graph_AtanOp : Graph_Unary<"atan", "Arc tangent", "atan(x[i])">;
def Graph_SinhOp : Graph_Unary<"sinh", "Hyperbolic sine", "sinh(x[i])">;
def Graph_CoshOp : Graph_Unary<"cosh", "Hyperbolic cosine", "cosh(x[i])">;
def Graph_TanhOp : Graph_Unary<"tanh", "Hyperbolic tangent", "tanh(x[i])">;
def Graph_AsinhOp : Graph_Unary<"asinh", "Inverse hyperbolic sine", "asinh(x[i])">;
def Graph_AcoshOp : Graph_Unary<"acosh", "Inverse hyperbolic cosine", "acosh(x[i])">;
def Graph_AtanhOp : Graph_Unary<"atanh", "Inverse hyperbolic tangent", "atanh(x[i])">;
def Graph_ErfOp : Graph_Unary<"erf", "Gauss' error function", "erf(x[i])">;
def Graph_FloorOp : Graph_Unary<"floor", "Rounding towards negative infinity", "floor(x[i])">;
def Graph_CeilOp : Graph_Unary<"ceil", "Rounding towards positive infinity", "ceil(x[i])">;
def Graph_RoundOp : Graph_Unary<"round", "Rounding to the nearest integer, halves to even", "round(x[i])">;
def Graph_SignOp : Graph_Unary<"sign", "Sign", "-1, 0 or 1">;
def Graph_NotOp : Graph_Unary<"not", "Logical negation of bools", "!x[i]">;
def Graph_BitwiseNotOp : Graph_Unary<"bitwise_not", "Bitwise complement of integers", "~x[i]">;
def Graph_ReluOp : Graph_Unary<"relu", "Rectified linear unit", "max(x[i], 0)">;
def Graph_SigmoidOp : Graph_Unary<"sigmoid", "Logistic function", "1 / (1 + e^-x[i])">;
def Graph_SoftplusOp : Graph_Unary<"softplus", "Smooth rectifier", "ln(1 + e^x[i])">;
def Graph_SoftsignOp : Graph_Unary<"softsign", "Soft sign", "x[i] / (1 + |x[i]|)">;
def Graph_HardSwishOp : Graph_Unary<"hard_swish", "Hard swish", "x[i] * max(0, min(1, x[i] / 6 + 0.5))">;
def Graph_MishOp : Graph_Unary<"mish", "Mish", "x[i] * tanh(ln(1 + e^x[i]))">;
def Graph_LeakyReluOp : Graph_Unary<"leaky_relu", "Leaky rectifier", "x[i] < 0 ? alpha * x[i] : x[i]",
    [Float<"alpha">]>;
def Graph_EluOp : Graph_Unary<"elu", "Exponential linear unit", "x[i] < 0 ? alpha * (e^x[i] - 1) : x[i]",
    [Float<"alpha">]>;
def Graph_SeluOp : Graph_Unary<"selu", "Scaled exponential linear unit",
    "gamma * (x[i] <= 0 ? alpha * (e^x[i] - 1) : x[i])", [Float<"alpha">, Float<"gamma">]>;
def Graph_CeluOp : Graph_Unary<"celu", "Continuously differentiable exponential linear unit",
    "max(0, x[i]) + min(0, alpha * (e^(x[i] / alpha) - 1))", [Float<"alpha">]>;
def Graph_ThresholdedReluOp : Graph_Unary<"thresholded_relu", "Thresholded rectifier",
    "x[i] > alpha ? x[i] : 0", [Float<"alpha">]>;
def Graph_HardSigmoidOp : Graph_Unary<"hard_sigmoid", "Piecewise linear sigmoid",
    "max(0, min(1, alpha * x[i] + beta))", [Float<"alpha">, Float<"beta">]>;
def Graph_SwishOp : Graph_Unary<"swish", "Swish", "x[i] * sigmoid(alpha * x[i])", [Float<"alpha">]>;
def Graph_GeluOp : Graph_Unary<"gelu", "Gaussian error linear unit",
    "x[i] / 2 * (1 + erf(x[i] / sqrt(2))), or its `tanh` approximation", [OptionalStr<"approximate">]>;
def Graph_ShrinkOp : Graph_Unary<"shrink", "Shrinkage",
    "x[i] < -lambd ? x[i] + bias : x[i] > lambd ? x[i] - bias : 0",
    [Float<"bias">, Float<"lambd">]>;
def Graph_IdentityOp : Graph_Unary<"identity", "The same tensor", "x[i]">;
def Graph_IsNanOp : Graph_Unary<"is_nan", "Test for NaN; the result is `i1`", "x[i] is NaN">;
def Graph_IsInfOp : Graph_Unary<"is_inf", "Test for infinity; the result is `i1`",
    "x[i] is an infinity of a sign that is looked for", [Flag<"detect_negative">, Flag<"detect_positive">]>;
def Graph_CastOp : Graph_Unary<"cast", "Conversion to another element type",
    "x[i] converted: floats round to nearest even, float to integer truncates and saturates", [Element<"to">]>;
def Graph_BitCastOp : Graph_Unary<"bit_cast", "The same bits as another element type of the same size",
    "bits of x[i]", [Element<"to">]>;

// c[i] = f(a[i], b[i]) with numpy's broadcasting.
class Graph_Binary<string mnemonic, string what, string formula, list<A> attributes = []>
    : Graph_Op<mnemonic, ["a", "b"], [], attributes> {
  let summary = what;
  let description = "`result[i] = " # formula # "`, shapes broadcast as in numpy.\n\nExample: `%c = graph."
      # mnemonic # " %a, %b : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>`";
}

def Graph_AddOp : Graph_Binary<"add", "Sum", "a[i] + b[i]">;
def Graph_SubOp : Graph_Binary<"sub", "Difference", "a[i] - b[i]">;
def Graph_MulOp : Graph_Binary<"mul", "Product", "a[i] * b[i]">;
def Graph_DivOp : Graph_Binary<"div", "Quotient; integers truncate, a divisor of 0 gives 0", "a[i] / b[i]">;
def Graph_PowOp : Graph_Binary<"pow", "Power", "a[i]^b[i]">;
def Graph_ModOp : Graph_Binary<"mod", "Remainder, with the divisor's sign, or with `fmod` the dividend's",
    "a[i] mod b[i]", [Flag<"fmod">]>;
def Graph_MinOp : Graph_Binary<"min", "Smaller one; NaN wins", "min(a[i], b[i])">;
def Graph_MaxOp : Graph_Binary<"max", "Larger one; NaN wins", "max(a[i], b[i])">;
def Graph_PreluOp : Graph_Binary<"prelu", "Rectifier with slopes", "a[i] < 0 ? b[i] * a[i] : a[i]">;
def Graph_AndOp : Graph_Binary<"and", "Logical conjunction of bools", "a[i] && b[i]">;
def Graph_OrOp : Graph_Binary<"or", "Logical disjunction of bools", "a[i] || b[i]">;
def Graph_XorOp : Graph_Binary<"xor", "Exclusive disjunction of bools", "a[i] != b[i]">;
def Graph_BitwiseAndOp : Graph_Binary<"bitwise_and", "Bitwise conjunction", "a[i] & b[i]">;
def Graph_BitwiseOrOp : Graph_Binary<"bitwise_or", "Bitwise disjunction", "a[i] | b[i]">;
def Graph_BitwiseXorOp : Graph_Binary<"bitwise_xor", "Bitwise exclusive disjunction", "a[i] ^ b[i]">;
def Graph_ShiftLeftOp : Graph_Binary<"shift_left", "Shift to the left", "a[i] << b[i]">;
def Graph_ShiftRightOp : Graph_Binary<"shift_right", "Shift to the right", "a[i] >> b[i]">;
def Graph_EqualOp : Graph_Binary<"equal", "Comparison; the result is `i1`", "a[i] == b[i]">;
def Graph_LessOp : Graph_Binary<"less", "Comparison; the result is `i1`", "a[i] < b[i]">;
def Graph_LessEqualOp : Graph_Binary<"less_equal", "Comparison; the result is `i1`", "a[i] <= b[i]">;
def Graph_GreaterOp : Graph_Binary<"greater", "Comparison; the result is `i1`", "a[i] > b[i]">;
def Graph_GreaterEqualOp : Graph_Binary<"greater_equal", "Comparison; the result is `i1`", "a[i] >= b[i]">;

def Graph_WhereOp : Graph_Op<"where", ["condition", "x", "y"]> {
  let summary = "Choice by element";
  let description = [{
    `result[i] = condition[i] ? x[i] : y[i]`, shapes broadcast as in numpy.

    Example: `%z = graph.where %c, %x, %y : (tensor<8xi1>, tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>`
  }];
}

def Graph_ClipOp : Graph_Op<"clip", ["x"], ["min", "max"]> {
  let summary = "Limits elements from below and above";
  let description = [{
    `result[i] = min(max(x[i], min), max)`; both limits are scalars and optional.

    Example: `%y = graph.clip %x min(%lo) max(%hi) : (tensor<8xf32>, tensor<f32>, tensor<f32>) -> tensor<8xf32>`
  }];
}

#endif
