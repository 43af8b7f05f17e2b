//===- Movement.td - Operators that move and select elements --------------===//

#ifndef MLCC_GRAPH_MOVEMENT
#define MLCC_GRAPH_MOVEMENT

include "graph/Base.td"

def Graph_ReshapeOp : Graph_Op<"reshape", ["x"], [], [Exprs<"shape">]> {
  let summary = "The same elements in order with other dimensions";
  let description = [{
    `shape` are the final dimensions.

    Example: `%y = graph.reshape %x shape <batch, 64> : (tensor<?x8x8xf32, #graph.dims<batch, 8, 8>>) -> tensor<?x64xf32, #graph.dims<batch, 64>>`
  }];
}

def Graph_TransposeOp : Graph_Op<"transpose", ["x"], [], [Ints<"perm">]> {
  let summary = "Permutation of dimensions";
  let description = [{
    Dimension `d` of the result is dimension `perm[d]` of `x`.

    Example: `%y = graph.transpose %x perm [1, 0] : (tensor<4x8xf32>) -> tensor<8x4xf32>`
  }];
}

def Graph_ConcatOp : Graph_Op<"concat", [], [], [Int<"axis">], ["inputs"]> {
  let summary = "Tensors one after the other";
  let description = [{
    Along `axis`.

    Example: `%y = graph.concat %a, %b axis 0 : (tensor<4x8xf32>, tensor<2x8xf32>) -> tensor<6x8xf32>`
  }];
}

def Graph_SliceOp : Graph_Op<"slice", ["x"], [], [Exprs<"starts">, Exprs<"sizes">, Ints<"steps">]> {
  let summary = "Part of a tensor";
  let description = [{
    Element `i` of a dimension is element `starts + i * steps` of `x`, for `i` in `0..sizes`; steps may be negative.

    Example: `%y = graph.slice %x starts <0, 2> sizes <4, 3> steps [1, 2] : (tensor<4x8xf32>) -> tensor<4x3xf32>`
  }];
}

def Graph_PadOp : Graph_Op<"pad", ["x"], ["value"], [Exprs<"pads">, OptionalStr<"mode">]> {
  let summary = "Adds elements at the borders";
  let description = [{
    `pads` are the elements before each dimension, then those after; negative ones take away. `mode` is
    `constant` (with `value`, default 0), `reflect`, `edge` or `wrap`.

    Example: `%y = graph.pad %x pads <0, 1, 0, 1> mode "edge" : (tensor<4x8xf32>) -> tensor<4x10xf32>`
  }];
}

def Graph_ExpandOp : Graph_Op<"expand", ["x"], [], [Exprs<"shape">]> {
  let summary = "Broadcast to a shape";
  let description = [{
    `shape` are the final dimensions.

    Example: `%y = graph.expand %x shape <4, 8> : (tensor<8xf32>) -> tensor<4x8xf32>`
  }];
}

def Graph_TileOp : Graph_Op<"tile", ["x"], [], [Exprs<"repeats">]> {
  let summary = "Repetition";
  let description = [{
    Dimension `d` is repeated `repeats[d]` times.

    Example: `%y = graph.tile %x repeats <1, 2> : (tensor<4x8xf32>) -> tensor<4x16xf32>`
  }];
}

def Graph_TriluOp : Graph_Op<"trilu", ["x"], [], [A<"upper", BoolAttr>, OptionalInt<"k">]> {
  let summary = "Upper or lower triangle";
  let description = [{
    Keeps the elements of the last two dimensions on and above (below) diagonal `k`; the others become 0.

    Example: `%y = graph.trilu %x upper true k 1 : (tensor<4x4xf32>) -> tensor<4x4xf32>`
  }];
}

def Graph_ReverseSequenceOp : Graph_Op<"reverse_sequence", ["x", "lens"], [],
    [Int<"batch_axis">, Int<"time_axis">]> {
  let summary = "Reverses the beginning of each sequence";
  let description = [{
    The first `lens[b]` elements along `time_axis` of slice `b` along `batch_axis`.

    Example: `%y = graph.reverse_sequence %x, %n batch_axis 0 time_axis 1 : (tensor<4x8xf32>, tensor<4xi64>) -> tensor<4x8xf32>`
  }];
}

def Graph_ResizeOp : Graph_Op<"resize", ["x"], [], [Floats<"scales">, Exprs<"sizes">,
    Str<"mode">, OptionalStr<"coordinate_mode">, OptionalStr<"nearest_mode">,
    OptionalFloat<"cubic_coeff_a">, Flag<"exclude_outside">, OptionalFloat<"extrapolation_value">,
    Flag<"antialias">, OptionalFloats<"roi">, OptionalInts<"ratio">]> {
  let summary = "Interpolation to another size";
  let description = [{
    `sizes` are the final dimensions, `scales` the factors; the modes are ONNX's. A scale of 0 is a quotient of
    integers, in which positions are exact: the final dimension by the operand's, or the two numbers of `ratio`.

    Example: `%y = graph.resize %x scales [1.0, 1.0, 2.0, 2.0] sizes <1, 3, 16, 16> mode "nearest" : (tensor<1x3x8x8xf32>) -> tensor<1x3x16x16xf32>`
  }];
}

def Graph_GridSampleOp : Graph_Op<"grid_sample", ["x", "grid"], [],
    [Str<"mode">, OptionalStr<"padding_mode">, Flag<"align_corners">]> {
  let summary = "Interpolation at given points";
  let description = [{
    `grid` holds coordinates in -1..1, the last spatial dimension first.

    Example: `%y = graph.grid_sample %x, %g mode "linear" : (tensor<1x3x8x8xf32>, tensor<1x4x4x2xf32>) -> tensor<1x3x4x4xf32>`
  }];
}

def Graph_GatherOp : Graph_Op<"gather", ["data", "indices"], [], [Int<"axis">]> {
  let summary = "Slices by index";
  let description = [{
    `result[a, i, b] = data[a, indices[i], b]` with `indices` at dimension `axis`; negative indices count from the end.

    Example: `%y = graph.gather %x, %i axis 0 : (tensor<100x8xf32>, tensor<2x3xi64>) -> tensor<2x3x8xf32>`
  }];
}

def Graph_GatherElementsOp : Graph_Op<"gather_elements", ["data", "indices"], [], [Int<"axis">]> {
  let summary = "Elements by index along one dimension";
  let description = [{
    `result[i, j] = data[indices[i, j], j]` for `axis` 0.

    Example: `%y = graph.gather_elements %x, %i axis 0 : (tensor<4x8xf32>, tensor<2x8xi64>) -> tensor<2x8xf32>`
  }];
}

def Graph_GatherNdOp : Graph_Op<"gather_nd", ["data", "indices"], [], [OptionalInt<"batch_dims">]> {
  let summary = "Slices by index tuples";
  let description = [{
    The last dimension of `indices` holds tuples; the first `batch_dims` dimensions are in common.

    Example: `%y = graph.gather_nd %x, %i batch_dims 0 : (tensor<4x8xf32>, tensor<3x2xi64>) -> tensor<3xf32>`
  }];
}

def Graph_ScatterElementsOp : Graph_Op<"scatter_elements", ["data", "indices", "updates"], [],
    [Int<"axis">, OptionalStr<"reduction">]> {
  let summary = "Writes elements by index along one dimension";
  let description = [{
    A copy of `data` with `[indices[i, j], j]` replaced by `updates[i, j]` for `axis` 0, or combined
    (`reduction`: none, add, mul, max, min).

    Example: `%y = graph.scatter_elements %x, %i, %u axis 0 reduction "add" : (tensor<4x8xf32>, tensor<2x8xi64>, tensor<2x8xf32>) -> tensor<4x8xf32>`
  }];
}

def Graph_ScatterNdOp : Graph_Op<"scatter_nd", ["data", "indices", "updates"], [], [OptionalStr<"reduction">]> {
  let summary = "Writes slices by index tuples";
  let description = [{
    A copy of `data` with the slices that the tuples in the last dimension of `indices` name replaced or
    combined (`reduction`: none, add, mul, max, min).

    Example: `%y = graph.scatter_nd %x, %i, %u reduction "none" : (tensor<4x8xf32>, tensor<3x2xi64>, tensor<3xf32>) -> tensor<4x8xf32>`
  }];
}

def Graph_OneHotOp : Graph_Op<"one_hot", ["indices", "values"], [], [Int<"axis">, Exprs<"depth">]> {
  let summary = "One-hot encoding";
  let description = [{
    A new dimension `axis` of size `depth`, holding `values[1]` at the index and `values[0]` elsewhere.

    Example: `%y = graph.one_hot %i, %v axis 1 depth <10> : (tensor<4xi64>, tensor<2xf32>) -> tensor<4x10xf32>`
  }];
}

def Graph_TopKOp : Graph_Op<"top_k", ["x"], [], [Exprs<"k">, Int<"axis">, Flag<"largest">, Flag<"sorted">],
    [], ["values", "indices"]> {
  let summary = "The greatest (least) elements and their indices";
  let description = [{
    `k` of them along `axis`; of equal ones the first.

    Example: `%v, %i = graph.top_k %x k <5> axis 1 largest true : (tensor<4x8xf32>) -> (tensor<4x5xf32>, tensor<4x5xi64>)`
  }];
}

def Graph_RangeOp : Graph_Op<"range", ["start", "delta"], [], [Exprs<"length">]> {
  let summary = "Arithmetic sequence";
  let description = [{
    `result[i] = start + i * delta` for `i` in `0..length`.

    Example: `%y = graph.range %a, %d length <n> : (tensor<i64>, tensor<i64>) -> tensor<?xi64, #graph.dims<n>>`
  }];
}

def Graph_DimsOp : Graph_Op<"dims", [], [], [Exprs<"values">, Flag<"scalar">]> {
  let summary = "Symbolic integers as a tensor";
  let description = [{
    An `i64` tensor of rank 1, or with `scalar` of rank 0, that holds the values: shapes and what is computed
    from them.

    Example: `%s = graph.dims values <batch, "height * width"> : () -> tensor<2xi64>`
  }];
}

def Graph_EyeOp : Graph_Op<"eye", [], [], [Exprs<"rows">, Exprs<"cols">, OptionalInt<"k">,
    Element<"dtype">]> {
  let summary = "Ones on a diagonal";
  let description = [{
    1 where `column - row = k`, else 0.

    Example: `%e = graph.eye rows <4> cols <4> k 0 dtype f32 : () -> tensor<4x4xf32>`
  }];
}

#endif
