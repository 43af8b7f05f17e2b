//===- Base.td - The te dialect: WHAT each kernel computes ----------------===//

#ifndef MLCC_TE_BASE
#define MLCC_TE_BASE

include "graph/Base.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

def Te_Dialect : Dialect {
  let name = "te";
  let cppNamespace = "::mlcc::te";
  let summary = "Tensor expressions: kernels, and the program that runs them";
  let description = [{
    A `te.kernel` is pure, isolated and destination-passing: a list of `te.compute`, each a perfect nest of axes
    around scalar instructions, executed one after the other. A `te.program` declares the tensors of a model
    and says in which order kernels, copies, runtime calls and control flow use them.

    Index expressions are integers, names of symbols, or quoted expressions over symbols (`n`), axes (`%i`),
    and values of the instruction's `using` list (`$0`).

    ```mlir
    te.kernel @softmax_max nodes ["softmax_0"] {
      %x = te.tensor "x" input : tensor<4x?xf32, #graph.dims<4, n>>
      %m = te.tensor "m" output : tensor<4xf32>
      te.compute "max" (i to 4, k to n reduction) into %m combine max {
        %0 = te.read %x["%i", "%k"] : f32
        te.yield %0 : f32 at ["%i"]
      }
    }
    ```
  }];
  let useDefaultAttributePrinterParser = 0;
  let useDefaultTypePrinterParser = 1;
}

def Te_TensorType : TypeDef<Te_Dialect, "Tensor"> {
  let mnemonic = "tensor";
  let summary = "A tensor in memory";
  let description = [{
    What a declaration (`te.tensor`, `te.input`, `loop.buffer`, ...) makes. Element type, dimensions and layout
    stand there, so that no use repeats them.
  }];
}
def Te_Tensor : Type<Te_TensorType.predicate, "tensor in memory">,
    BuildableType<"$_builder.getType<::mlcc::te::TensorType>()">;

def Te_Scalar : AnyTypeOf<[AnyFloat, AnyInteger], "scalar">;

class Te_Enum<string name, string what, list<string> cases>
    : I32EnumAttr<name, what, !foreach(i, !range(!size(cases)), I32EnumAttrCase<"k_" # cases[i], i, cases[i]>)> {
  let cppNamespace = "::mlcc::te";
}
def Te_Role : Te_Enum<"Role", "what a tensor is to its kernel", ["input", "output", "inout", "temporary"]>;
def Te_Combine : Te_Enum<"Combine", "how values that meet in one element are combined",
    ["add", "mul", "max", "min", "and", "or"]>;
def Te_Predicate : Te_Enum<"Predicate", "comparison", ["eq", "ne", "lt", "le", "gt", "ge"]>;

class Te_Op<string mnemonic, list<Trait> traits = []>
    : Op<Te_Dialect, mnemonic, !listconcat(traits, [RustVerified])>;

#endif
