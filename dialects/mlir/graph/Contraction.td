//===- Contraction.td - Products, convolutions, windows, reductions -------===//

#ifndef MLCC_GRAPH_CONTRACTION
#define MLCC_GRAPH_CONTRACTION

include "graph/Base.td"

def Graph_MatmulOp : Graph_Op<"matmul", ["a", "b"], [], [Flag<"transpose_a">, Flag<"transpose_b">]> {
  let summary = "Matrix product";
  let description = [{
    numpy's `matmul`: the last two dimensions are matrices, the others broadcast; a rank of 1 is a row (left)
    or a column (right) that disappears from the result. The flags transpose the last two dimensions first.

    Example: `%c = graph.matmul %a, %b transpose_b true : (tensor<4x8xf32>, tensor<16x8xf32>) -> tensor<4x16xf32>`
  }];
}

def Graph_EinsumOp : Graph_Op<"einsum", [], [], [Str<"equation">], ["inputs"]> {
  let summary = "Sum of products by index letters";
  let description = [{
    Einstein's notation as in numpy's `einsum`, with the result's letters given.

    Example: `%c = graph.einsum %a, %b equation "bij,bjk->bik" : (tensor<2x3x4xf32>, tensor<2x4x5xf32>) -> tensor<2x3x5xf32>`
  }];
}

def Graph_ConvOp : Graph_Op<"conv", ["x", "w"], ["bias"],
    [OptionalInts<"strides">, OptionalExprs<"pads">, OptionalInts<"dilations">, Int<"group">]> {
  let summary = "Convolution";
  let description = [{
    Cross-correlation of `x` (N, C, spatial...) with `w` (M, C / group, kernel...), plus `bias` (M). `pads` are
    the zeros before each spatial dimension, then those after.

    Example: `%y = graph.conv %x, %w bias(%b) strides [2, 2] pads <3, 3, 3, 3> dilations [1, 1] group 1 :
    (tensor<1x3x224x224xf32>, tensor<64x3x7x7xf32>, tensor<64xf32>) -> tensor<1x64x112x112xf32>`
  }];
}

def Graph_ConvTransposeOp : Graph_Op<"conv_transpose", ["x", "w"], ["bias"],
    [OptionalInts<"strides">, OptionalExprs<"pads">, OptionalInts<"dilations">, Int<"group">, OptionalInts<"output_padding">]> {
  let summary = "Transposed convolution";
  let description = [{
    The gradient of a convolution with respect to its input; `w` is (C, M / group, kernel...). `output_padding`
    are elements added after each spatial dimension of the result.

    Example: `%y = graph.conv_transpose %x, %w strides [2, 2] pads <0, 0, 0, 0> dilations [1, 1] group 1
    output_padding [0, 0] : (tensor<1x3x4x4xf32>, tensor<3x6x2x2xf32>) -> tensor<1x6x8x8xf32>`
  }];
}

class Graph_Pool<string mnemonic, string what, string text, list<A> attributes, list<string> indices = []>
    : Graph_Op<mnemonic, ["x"], [], !listconcat([Ints<"kernel">, OptionalInts<"strides">, OptionalExprs<"pads">,
      OptionalInts<"dilations">, Flag<"ceil_mode">], attributes), [], ["result"], indices> {
  let summary = what;
  let description = text # "\n\nWindows of `kernel` elements move over the spatial dimensions of `x` (N, C, "
      # "spatial...); `ceil_mode` keeps a last partial window.\n\nExample: `%y = graph." # mnemonic
      # " %x kernel [2, 2] strides [2, 2] pads <0, 0, 0, 0> dilations [1, 1] : (tensor<1x3x8x8xf32>) -> "
      # "tensor<1x3x4x4xf32>`";
}

def Graph_MaxPoolOp : Graph_Pool<"max_pool", "Largest element of each window",
    "The second result, if asked for, holds the flat index of each maximum; with `storage_order` 1 the "
    # "spatial dimensions are counted column first.",
    [OptionalInt<"storage_order">], ["indices"]>;
def Graph_AveragePoolOp : Graph_Pool<"average_pool", "Mean of each window",
    "Padding counts as zeros with `count_include_pad`, and not at all without.", [Flag<"count_include_pad">]>;
def Graph_LpPoolOp : Graph_Pool<"lp_pool", "p-norm of each window", "`(sum |x|^p)^(1/p)`.", [Int<"p">]>;

class Graph_Reduce<string mnemonic, string what>
    : Graph_Op<mnemonic, ["x"], [], [Ints<"axes">, Flag<"keepdims">]> {
  let summary = what;
  let description = what # " over the dimensions `axes`, which disappear or with `keepdims` become 1."
      # "\n\nExample: `%y = graph." # mnemonic
      # " %x axes [1] keepdims false : (tensor<4x8xf32>) -> tensor<4xf32>`";
}

def Graph_ReduceSumOp : Graph_Reduce<"reduce_sum", "Sum">;
def Graph_ReduceMeanOp : Graph_Reduce<"reduce_mean", "Mean">;
def Graph_ReduceMaxOp : Graph_Reduce<"reduce_max", "Largest element">;
def Graph_ReduceMinOp : Graph_Reduce<"reduce_min", "Smallest element">;
def Graph_ReduceProdOp : Graph_Reduce<"reduce_prod", "Product">;

class Graph_ArgReduce<string mnemonic, string what>
    : Graph_Op<mnemonic, ["x"], [], [Int<"axis">, Flag<"keepdims">, Flag<"select_last">]> {
  let summary = what;
  let description = what # " along `axis`, as `i64`: the first one, or with `select_last` the last one."
      # "\n\nExample: `%y = graph." # mnemonic # " %x axis 1 : (tensor<4x8xf32>) -> tensor<4xi64>`";
}

def Graph_ArgMaxOp : Graph_ArgReduce<"arg_max", "Index of the largest element">;
def Graph_ArgMinOp : Graph_ArgReduce<"arg_min", "Index of the smallest element">;

class Graph_AlongAxis<string mnemonic, string what, string text, list<A> attributes = []>
    : Graph_Op<mnemonic, ["x"], [], !listconcat([Int<"axis">], attributes)> {
  let summary = what;
  let description = text # "\n\nExample: `%y = graph." # mnemonic
      # " %x axis 1 : (tensor<4x8xf32>) -> tensor<4x8xf32>`";
}

def Graph_SoftmaxOp : Graph_AlongAxis<"softmax", "Softmax", "`e^x / sum e^x` along `axis`.">;
def Graph_LogSoftmaxOp : Graph_AlongAxis<"log_softmax", "Logarithm of softmax", "`x - ln sum e^x` along `axis`.">;
def Graph_HardmaxOp : Graph_AlongAxis<"hardmax", "Hardmax", "1 at the first maximum along `axis`, else 0.">;
def Graph_CumsumOp : Graph_AlongAxis<"cumsum", "Running sum",
    "Sums of the elements up to here along `axis`; `exclusive` leaves this one out, `reverse` starts at the end.",
    [Flag<"exclusive">, Flag<"reverse">]>;
def Graph_CumprodOp : Graph_AlongAxis<"cumprod", "Running product",
    "Products of the elements up to here along `axis`; `exclusive` leaves this one out, `reverse` starts at the end.",
    [Flag<"exclusive">, Flag<"reverse">]>;

#endif
