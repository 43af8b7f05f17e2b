//===- Ops.td - Kernels and programs --------------------------------------===//

#ifndef MLCC_TE_OPS
#define MLCC_TE_OPS

include "tensor/Base.td"
include "tensor/Scalar.td"

def Te_KernelOp : Te_Op<"kernel", [IsolatedFromAbove, Symbol, SingleBlock, NoTerminator]> {
  let summary = "A kernel";
  let description = [{
    Declares its tensors, then computes one after the other. Operands are the inputs in order, then the outputs.
    `nodes` are the ONNX nodes that it implements; `named` is its name where the symbol had to differ.

    Example:
    ```mlir
    te.kernel @relu nodes ["relu_0"] {
      %x = te.tensor "x" input : tensor<?x8xf32, #graph.dims<n, 8>>
      %y = te.tensor "y" output : tensor<?x8xf32, #graph.dims<n, 8>>
      te.compute "y" (i to n, j to 8) into %y {
        %0 = te.read %x["%i", "%j"] : f32
        %1 = te.scalar 0.0 : f32
        %2 = te.max %0, %1 : f32
        te.yield %2 : f32 at ["%i", "%j"]
      }
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<StrAttr>:$name, StrArrayAttr:$nodes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name (`named` $name^)? `nodes` $nodes $body attr-dict";
}

def Te_TensorOp : Te_Op<"tensor"> {
  let summary = "A tensor of a kernel";
  let description = [{
    `input` is read, `output` written everywhere, `inout` updated, `temporary` exists only inside of the kernel.

    Example: `%x = te.tensor "x" input : tensor<4x8xf32>`
  }];
  let arguments = (ins StrAttr:$name, Te_Role:$role, TypeAttr:$type);
  let results = (outs Te_Tensor:$result);
  let assemblyFormat = "$name $role attr-dict `:` $type";
}

def Te_ComputeOp : Te_Op<"compute", [SingleBlock]> {
  let summary = "A perfect nest of axes around scalar instructions";
  let description = [{
    For every point of the axes the target's element receives the body's value. Axes are parallel unless marked
    `reduction` (values are combined, from the identity) or `sequential` (points run in order). Without
    reduction axes, `combine` combines with what is there.

    Example: `te.compute "sum" (i to 4, k to n reduction) into %y combine add { ... }`
  }];
  let arguments = (ins StrAttr:$name, ArrayAttr:$axes, Te_Tensor:$target, OptionalAttr<Te_Combine>:$combine);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$name custom<Axes>($axes) `into` $target (`combine` $combine^)? $body attr-dict";
}

def Te_ProgramOp : Te_Op<"program", [IsolatedFromAbove, Symbol, SingleBlock]> {
  let summary = "A model at the tensor level";
  let description = [{
    Declares symbols and tensors, then says what runs, and ends with the outputs.

    Example:
    ```mlir
    te.program @model {
      te.symbol "n" = input 0 dim 1
      %x = te.input 0 "x" : tensor<4x?xf32, #graph.dims<4, n>>
      %y = te.output 0 "y" : tensor<4xf32>
      te.call @softmax_max(%x) into (%y)
      te.return %y as ["y"]
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<StrAttr>:$name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name (`named` $name^)? $body attr-dict";
}

def Te_SymbolOp : Te_Op<"symbol"> {
  let summary = "Binds a symbol to a dimension of an input";
  let description = [{
    Its sizes may have a range, beyond which the program refuses to run: from one number to another, from one on, or
    only multiples of a number.

    Example: `te.symbol "batch" = input 0 dim 0`
    Example: `te.symbol "length" = input 0 dim 1 in "64..512:16"`
  }];
  let arguments = (ins StrAttr:$name, I64Attr:$input, I64Attr:$dim, OptionalAttr<StrAttr>:$range);
  let assemblyFormat = "$name `=` `input` $input `dim` $dim (`in` $range^)? attr-dict";
}

def Te_RequireOp : Te_Op<"require"> {
  let summary = "What must hold of the symbols, or the program refuses to run";
  let description = [{
    The values are expressions over symbols: one equals another, or is no less than a number. The message is what a
    caller is told whose sizes break it.

    Example: `te.require "n" equals "8" or "n must equal 8 in Add_2"`
    Example: `te.require "n" at_least 1 or "n must not be 0 in ArgMax_2"`
  }];
  let arguments = (ins StrAttr:$value, OptionalAttr<StrAttr>:$equals, OptionalAttr<I64Attr>:$least, StrAttr:$message);
  let assemblyFormat = "$value (`equals` $equals^)? (`at_least` $least^)? `or` $message attr-dict";
}

class Te_Declaration<string mnemonic, string what, string example, dag fields, string format>
    : Te_Op<mnemonic> {
  let summary = what;
  let description = "Example: `" # example # "`";
  let arguments = !con(fields, (ins TypeAttr:$type));
  let results = (outs Te_Tensor:$result);
  let assemblyFormat = format # " $type attr-dict";
}
def Te_InputOp : Te_Declaration<"input", "An input of the caller", "%x = te.input 0 \"x\" : tensor<4x8xf32>",
    (ins I64Attr:$number, StrAttr:$name), "$number $name `:`">;
def Te_OutputOp : Te_Declaration<"output", "An output of the caller", "%y = te.output 0 \"y\" : tensor<4x8xf32>",
    (ins I64Attr:$number, StrAttr:$name), "$number $name `:`">;
def Te_IntermediateOp : Te_Declaration<"intermediate", "A tensor that lives while the program runs",
    "%t = te.intermediate \"t\" : tensor<4x8xf32>", (ins StrAttr:$name), "$name `:`">;
def Te_ConstantOp : Te_Op<"constant"> {
  let summary = "A constant of the artifact";
  let description = "Elements, or a weight.\n\nExample: `%c = te.constant \"axes\" dense<[1, 2]> : tensor<2xi64>`";
  let arguments = (ins StrAttr:$name, TypedAttrInterface:$value);
  let results = (outs Te_Tensor:$result);
  let assemblyFormat = "$name $value attr-dict";
}
def Te_ViewOp : Te_Declaration<"view", "Memory of another tensor, contiguous, from an element on",
    "%v = te.view \"v\" of %t at \"n * 4\" : tensor<4x8xf32>",
    (ins StrAttr:$name, Te_Tensor:$source, StrAttr:$offset), "$name `of` $source `at` $offset `:`">;

def Te_CallOp : Te_Op<"call", [AttrSizedOperandSegments]> {
  let summary = "Runs a kernel";
  let description = "Example: `te.call @matmul(%a, %b) into (%c)`";
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<Te_Tensor>:$inputs, Variadic<Te_Tensor>:$outputs);
  let assemblyFormat = "$kernel `(` $inputs `)` `into` `(` $outputs `)` attr-dict";
}

def Te_CopyOp : Te_Op<"copy"> {
  let summary = "Copies all elements";
  let description = "The types are equal but for the layout.\n\nExample: `te.copy %a to %b`";
  let arguments = (ins Te_Tensor:$source, Te_Tensor:$target);
  let assemblyFormat = "$source `to` $target attr-dict";
}

def Te_RuntimeCallOp : Te_Op<"runtime_call", [AttrSizedOperandSegments]> {
  let summary = "Calls a function of the runtime";
  let description = [{
    Example: `te.runtime_call "top_k"(%x) into (%v, %i) with [5, 1] for "node" "TopK"`
  }];
  let arguments = (ins StrAttr:$function, Variadic<Te_Tensor>:$inputs, Variadic<Te_Tensor>:$outputs,
                       DenseI64ArrayAttr:$numbers, StrAttr:$node, StrAttr:$op_type);
  let assemblyFormat = [{
    $function `` `(` $inputs `)` `into` `(` $outputs `)` `with` $numbers `for` $node $op_type attr-dict
  }];
}

def Te_IfOp : Te_Op<"if", [SingleBlock, NoTerminator]> {
  let summary = "Runs one of two blocks";
  let description = "The condition is an `i1` tensor of one element.\n\nExample: `te.if %c { ... } else { ... }`";
  let arguments = (ins Te_Tensor:$condition);
  let regions = (region SizedRegion<1>:$then, SizedRegion<1>:$otherwise);
  let assemblyFormat = "$condition $then `else` $otherwise attr-dict";
}

def Te_LoopOp : Te_Op<"loop", [SingleBlock, NoTerminator, AttrSizedOperandSegments]> {
  let summary = "Runs a block repeatedly";
  let description = [{
    While the trip count (an `i64` tensor of one element) is not reached and the condition (`i1`, tested before
    each iteration) holds; `iteration` receives the iteration's number.

    Example: `te.loop %i trip_count(%n) condition(%c) { ... }`
  }];
  let arguments = (ins Te_Tensor:$iteration, Optional<Te_Tensor>:$trip_count, Optional<Te_Tensor>:$condition);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $iteration (`trip_count` `(` $trip_count^ `)`)? (`condition` `(` $condition^ `)`)? $body attr-dict
  }];
}

def Te_ReturnOp : Te_Op<"return", [Terminator]> {
  let summary = "The program's outputs";
  let description = "Example: `te.return %y as [\"logits\"]`";
  let arguments = (ins Variadic<Te_Tensor>:$tensors, StrArrayAttr:$names);
  let assemblyFormat = "($tensors^)? `as` $names attr-dict";
}

#endif
