//===- Normalisation.td - Normalisation and quantisation ------------------===//

#ifndef MLCC_GRAPH_NORMALISATION
#define MLCC_GRAPH_NORMALISATION

include "graph/Base.td"

def Graph_LayerNormOp : Graph_Op<"layer_norm", ["x"], ["scale", "bias"],
    [Int<"axis">, Float<"epsilon">], [], ["result"], ["mean", "inv_std"]> {
  let summary = "Layer normalisation";
  let description = [{
    Over the dimensions from `axis` on: `(x - mean) / sqrt(variance + epsilon) * scale + bias`. Mean and
    inverse deviation are results if asked for.

    Example: `%y = graph.layer_norm %x scale(%s) axis 1 epsilon 1.0e-05 : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>`
  }];
}

def Graph_RmsNormOp : Graph_Op<"rms_norm", ["x"], ["scale"], [Int<"axis">, Float<"epsilon">]> {
  let summary = "Root-mean-square normalisation";
  let description = [{
    Over the dimensions from `axis` on: `x / sqrt(mean(x^2) + epsilon) * scale`.

    Example: `%y = graph.rms_norm %x scale(%s) axis 1 epsilon 1.0e-05 : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>`
  }];
}

def Graph_BatchNormOp : Graph_Op<"batch_norm", ["x", "scale", "bias", "mean", "variance"], [],
    [Float<"epsilon">]> {
  let summary = "Batch normalisation with given statistics";
  let description = [{
    By channel, dimension 1: `(x - mean) / sqrt(variance + epsilon) * scale + bias`.

    Example: `%y = graph.batch_norm %x, %s, %b, %m, %v epsilon 1.0e-05 : (tensor<1x3x8x8xf32>, tensor<3xf32>,
    tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<1x3x8x8xf32>`
  }];
}

def Graph_InstanceNormOp : Graph_Op<"instance_norm", ["x", "scale", "bias"], [], [Float<"epsilon">]> {
  let summary = "Normalisation of each channel of each instance";
  let description = [{
    `(x - mean) / sqrt(variance + epsilon) * scale + bias`, the statistics over the spatial dimensions.

    Example: `%y = graph.instance_norm %x, %s, %b epsilon 1.0e-05 : (tensor<1x3x8x8xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<1x3x8x8xf32>`
  }];
}

def Graph_GroupNormOp : Graph_Op<"group_norm", ["x", "scale", "bias"], [], [Int<"groups">, Float<"epsilon">]> {
  let summary = "Normalisation of groups of channels";
  let description = [{
    `(x - mean) / sqrt(variance + epsilon) * scale + bias`, the statistics over a group's channels and the
    spatial dimensions; scale and bias by channel.

    Example: `%y = graph.group_norm %x, %s, %b groups 2 epsilon 1.0e-05 : (tensor<1x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x8x8xf32>`
  }];
}

def Graph_LrnOp : Graph_Op<"lrn", ["x"], [], [Int<"size">, Float<"alpha">, Float<"beta">, Float<"bias">]> {
  let summary = "Local response normalisation";
  let description = [{
    `x / (bias + alpha / size * sum x^2)^beta`, the sum over `size` neighbouring channels.

    Example: `%y = graph.lrn %x size 5 alpha 1.0e-4 beta 0.75 bias 1.0 : (tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>`
  }];
}

def Graph_RotaryEmbeddingOp : Graph_Op<"rotary_embedding", ["x", "cos", "sin"], [],
    [Int<"rotary_dim">, Flag<"interleaved">]> {
  let summary = "Rotary position embedding";
  let description = [{
    Turns pairs of features, the last dimension, by angles whose cosines and sines are given: `(a cos - b sin,
    b cos + a sin)` for a pair `(a, b)`. The first `rotary_dim` features are turned, the others stay. Pair `i` is
    features `i` and `i + rotary_dim / 2`, or `2 i` and `2 i + 1` if `interleaved`. `cos` and `sin` are broadcast to
    all dimensions but the last, which has an element for each pair, or one for each feature that is turned.

    Example: `%y = graph.rotary_embedding %x, %c, %s rotary_dim 64 : (tensor<1x8x128x64xf32>, tensor<128x32xf32>,
    tensor<128x32xf32>) -> tensor<1x8x128x64xf32>`
  }];
}

def Graph_QuantizeLinearOp : Graph_Op<"quantize_linear", ["x", "scale"], ["zero_point"],
    [OptionalInt<"axis">, Element<"to">, OptionalInt<"block_size">, Flag<"saturate">]> {
  let summary = "Quantisation";
  let description = [{
    `saturate(round(x / scale) + zero_point)`; `scale` is a scalar, one a slice along `axis`, or one a block of
    `block_size` elements along it.

    Example: `%q = graph.quantize_linear %x, %s zero_point(%z) axis 1 to ui8 : (tensor<4x8xf32>, tensor<f32>, tensor<ui8>) -> tensor<4x8xui8>`
  }];
}

def Graph_DequantizeLinearOp : Graph_Op<"dequantize_linear", ["x", "scale"], ["zero_point"],
    [OptionalInt<"axis">, OptionalInt<"block_size">]> {
  let summary = "Inverse of quantisation";
  let description = [{
    `(x - zero_point) * scale`.

    Example: `%x = graph.dequantize_linear %q, %s zero_point(%z) axis 1 : (tensor<4x8xui8>, tensor<f32>, tensor<ui8>) -> tensor<4x8xf32>`
  }];
}

#endif
