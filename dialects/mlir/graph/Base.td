//===- Base.td - The graph dialect: WHICH operators, on whole tensors ------===//

#ifndef MLCC_GRAPH_BASE
#define MLCC_GRAPH_BASE

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Graph_Dialect : Dialect {
  let name = "graph";
  let cppNamespace = "::mlcc::graph";
  let summary = "Operators on whole tensors";
  let description = [{
    The graph level says which operators a model applies, in the order of the model's file. Shapes are
    static or symbolic: a dynamic dimension has an expression over named symbols, and equal names are
    equal sizes. Opset differences, automatic padding, negative axes and defaults are resolved when a
    model is imported, so every attribute means what it says.

    A model is a `func.func` whose arguments are the inputs and whose `graph.return` names the outputs.
    Locations carry the provenance: `loc("node"("Conv"))` is a node of the ONNX file and its operator,
    `loc("value"("node"("Conv")))` also names the result, `loc(fused<["a", "b"]>["node"("TopK")])`
    several ones.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 0;
}

// Verified in Rust, after the structural checks that TableGen generates.
def RustVerified : NativeOpTrait<"RustVerified"> { let cppNamespace = "::mlcc"; }

//===- Attributes ---------------------------------------------------------===//

class Graph_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Graph_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def Graph_DimsAttr : Graph_Attr<"Dims", "dims"> {
  let summary = "Symbolic dimensions of a tensor type";
  let description = [{
    The encoding of a tensor type with dynamic dimensions: one expression a dimension. A static dimension
    is an integer, equal to the type's; a dynamic one (`?`) an expression over symbols.

    Example: `tensor<?x3x?xf32, #graph.dims<batch, 3, "floordiv(height + 1, 2)">>`
  }];
  let parameters = (ins "::mlir::ArrayAttr":$dims);
  let assemblyFormat = "`` custom<Exprs>($dims)";
}

def Graph_BlockedAttr : Graph_Attr<"Blocked", "blocked"> {
  let summary = "A blocked layout, with the symbolic dimensions if there are any";
  let description = [{
    Each `[dimension, factor]` splits a dimension into blocks; the inner parts become the innermost
    physical dimensions, in this order, padded up to whole blocks. Without this encoding a tensor is
    row-major.

    Example: `tensor<1x64x56x56xf32, #graph.blocked<[[1, 16]]>>`
  }];
  let parameters = (ins "::mlir::ArrayAttr":$blocks, OptionalParameter<"::mlcc::graph::DimsAttr">:$dims);
  let assemblyFormat = "`<` $blocks (`,` qualified($dims)^)? `>`";
}

def Graph_ExprsAttr : Graph_Attr<"Exprs", "exprs"> {
  let summary = "A list of symbolic integers";
  let description = [{
    Shapes, slice bounds and padding: expressions over the model's symbols. Integers alone make a list
    of plain integers.

    Example: `graph.reshape %x shape <batch, "height * width", 64> : ...`
  }];
  let parameters = (ins "::mlir::ArrayAttr":$values);
  let assemblyFormat = "`` custom<Exprs>($values)";
}

def Graph_WeightAttr : Graph_Attr<"Weight", "weight", [TypedAttrInterface]> {
  let summary = "A reference to a large constant";
  let description = [{
    The data stays in the model's file or in the dump's weights file, and is found by its content's hash.

    Example: `#graph.weight<"6c1d00f2a2d0b7c1ad6bb2a01b50a3f4"> : tensor<64x3x7x7xf32>`
  }];
  let parameters = (ins "::mlir::StringAttr":$identity, AttributeSelfTypeParameter<"">:$type);
  let assemblyFormat = "`<` $identity `>`";
}

//===- Operators ----------------------------------------------------------===//

// An attribute of an operator: printed as `name value`.
class A<string n, Attr kind, bit optional = 0> {
  string name = n;
  Attr type = !if(optional, OptionalAttr<kind>, kind);
  string format = !if(optional, " (`" # n # "` $" # n # "^)?", " `" # n # "` $" # n);
}

// Kinds of attributes.
class Flag<string n> : A<n, BoolAttr, 1>;
class OptionalInt<string n> : A<n, I64Attr, 1>;
class OptionalFloat<string n> : A<n, F64Attr, 1>;
class OptionalStr<string n> : A<n, StrAttr, 1>;
class OptionalInts<string n> : A<n, DenseI64ArrayAttr, 1>;
class OptionalFloats<string n> : A<n, F64ArrayAttr, 1>;
class OptionalExprs<string n> : A<n, Graph_ExprsAttr, 1>;
class Int<string n> : A<n, I64Attr>;
class Float<string n> : A<n, F64Attr>;
class Ints<string n> : A<n, DenseI64ArrayAttr>;
class Exprs<string n> : A<n, Graph_ExprsAttr>;
class Floats<string n> : A<n, F64ArrayAttr>;
class Element<string n> : A<n, TypeAttr>;
class Str<string n> : A<n, StrAttr>;

// An operator with required operands, then optional ones (printed as `name(%value)`), or variadic ones,
// and attributes; the syntax follows from them.
class Graph_Op<string mnemonic, list<string> required, list<string> optional = [], list<A> attributes = [],
               list<string> variadic = [], list<string> outputs = ["result"], list<string> extra_outputs = [],
               list<Trait> traits = [Pure]>
    : Op<Graph_Dialect, mnemonic, !listconcat(traits, [RustVerified],
        !if(!gt(!add(!size(optional), !size(variadic)), 1), [AttrSizedOperandSegments], []),
        !if(!gt(!size(extra_outputs), 1), [AttrSizedResultSegments], []))> {
  list<A> graphAttributes = attributes;
  dag requiredOperands = !foldl((ins), required, d, n, !con(d, !dag(ins, [AnyRankedTensor], [n])));
  dag optionalOperands = !foldl((ins), optional, d, n,
      !con(d, !dag(ins, [Optional<AnyRankedTensor>], [n])));
  dag variadicOperands = !foldl((ins), variadic, d, n,
      !con(d, !dag(ins, [Variadic<AnyRankedTensor>], [n])));
  dag attributeFields = !foldl((ins), attributes, d, a, !con(d, !dag(ins, [a.type], [a.name])));
  let arguments = !con(requiredOperands, optionalOperands, variadicOperands, attributeFields);
  let results = !con(!foldl((outs), outputs, d, n, !con(d, !dag(outs, [AnyRankedTensor], [n]))),
                     !foldl((outs), extra_outputs, d, n, !con(d, !dag(outs, [Optional<AnyRankedTensor>], [n]))));
  string requiredFormat = !foldl("", required, f, n, f # !if(!empty(f), "$", " `,` $") # n);
  string variadicFormat = !foldl("", variadic, f, n, f # "$" # n);
  string optionalFormat = !foldl("", optional, f, n, f # " (`" # n # "` `(` $" # n # "^ `)`)?");
  string attributeFormat = !foldl("", attributes, f, a, f # a.format);
  let assemblyFormat = requiredFormat # variadicFormat # optionalFormat # attributeFormat
      # " attr-dict `:` functional-type(operands, results)";
}

#endif
