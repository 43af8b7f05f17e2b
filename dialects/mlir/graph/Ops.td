//===- Ops.td - The graph dialect -----------------------------------------===//

#ifndef MLCC_GRAPH_OPS
#define MLCC_GRAPH_OPS

include "graph/Base.td"
include "graph/Elementwise.td"
include "graph/Contraction.td"
include "graph/Normalisation.td"
include "graph/Movement.td"

def Graph_ConstantOp : Op<Graph_Dialect, "constant", [Pure, RustVerified, AllTypesMatch<["value", "result"]>]> {
  let summary = "A small constant";
  let description = [{
    At most 64 elements, in the text. Floats are printed so that their bits come back.

    Example: `%c = graph.constant "axes" dense<[1, 2]> : tensor<2xi64>`
  }];
  let arguments = (ins StrAttr:$name, TypedAttrInterface:$value);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$name $value attr-dict";
}

def Graph_WeightOp : Op<Graph_Dialect, "weight", [Pure, RustVerified, AllTypesMatch<["value", "result"]>]> {
  let summary = "A large constant";
  let description = [{
    A reference by content to data outside of the text.

    Example: `%w = graph.weight "conv1.weight" #graph.weight<"6c1d00f2a2d0b7c1ad6bb2a01b50a3f4"> : tensor<64x3x7x7xf32>`
  }];
  let arguments = (ins StrAttr:$name, TypedAttrInterface:$value);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$name $value attr-dict";
}

def Graph_ReturnOp : Op<Graph_Dialect, "return", [Pure, Terminator, RustVerified]> {
  let summary = "Outputs of a graph";
  let description = [{
    Ends a model's function or the body of a control-flow operator and names the outputs. `of` holds the
    graph's name where the function's does not.

    Example: `graph.return %y as ["logits"] : tensor<1x1000xf32>`
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$values, StrArrayAttr:$names, OptionalAttr<StrAttr>:$graph);
  let assemblyFormat = "($values^)? `as` $names (`of` $graph^)? attr-dict (`:` type($values)^)?";
}

// Control flow: the bodies use values of the enclosing graph directly.
class Graph_Control<string mnemonic, dag operands>
    : Op<Graph_Dialect, mnemonic, [RustVerified, RecursiveMemoryEffects]> {
  let arguments = operands;
  let results = (outs Variadic<AnyRankedTensor>:$results);
}

def Graph_IfOp : Graph_Control<"if", (ins AnyRankedTensor:$condition)> {
  let summary = "Runs one of two graphs";
  let description = [{
    The results are the outputs of the first graph if the condition, a scalar, holds, else of the second.

    Example: `%y = graph.if %c then { graph.return %a as ["a"] : tensor<4xf32> } else { graph.return %b as ["b"] :
    tensor<4xf32> } : (tensor<i1>) -> tensor<4xf32>`
  }];
  let regions = (region SizedRegion<1>:$then, SizedRegion<1>:$otherwise);
  let assemblyFormat = "$condition `then` $then `else` $otherwise attr-dict `:` functional-type(operands, results)";
}

def Graph_LoopOp : Op<Graph_Dialect, "loop", [RustVerified, RecursiveMemoryEffects, AttrSizedOperandSegments]> {
  let summary = "Runs a graph repeatedly";
  let description = [{
    ONNX's `Loop`: at most `trip_count` times, while `condition` holds. The body takes the iteration's number, the
    condition and the carried values, and gives the next condition, the carried values and the values to collect.

    Example: `%r = graph.loop trip_count(%n) carried(%a) { ... } : (tensor<i64>, tensor<4xf32>) -> tensor<4xf32>`
  }];
  let arguments = (ins Optional<AnyRankedTensor>:$trip_count, Optional<AnyRankedTensor>:$condition,
                       Variadic<AnyRankedTensor>:$carried);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    (`trip_count` `(` $trip_count^ `)`)? (`condition` `(` $condition^ `)`)? (`carried` `(` $carried^ `)`)? $body
    attr-dict `:` functional-type(operands, results)
  }];
}

def Graph_ScanOp : Op<Graph_Dialect, "scan", [RustVerified, RecursiveMemoryEffects]> {
  let summary = "Runs a graph over the slices of tensors";
  let description = [{
    ONNX's `Scan`: the last `num_scan_inputs` operands are sliced, the others are the state.

    Example: `%r = graph.scan %s, %x num_scan_inputs 1 { ... } : (tensor<4xf32>, tensor<8x4xf32>) -> tensor<4xf32>`
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, I64Attr:$num_scan_inputs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $inputs `num_scan_inputs` $num_scan_inputs $body attr-dict `:` functional-type(operands, results)
  }];
}

#endif
