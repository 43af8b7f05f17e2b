//===- Base.td - The loop dialect: HOW a kernel computes ------------------===//

#ifndef MLCC_LOOP_BASE
#define MLCC_LOOP_BASE

include "tensor/Base.td"

def Loop_Dialect : Dialect {
  let name = "loop";
  let cppNamespace = "::mlcc::loop";
  let summary = "Loop nests";
  let description = [{
    A `loop.nest` declares its buffers with their place in memory, then holds a tree of loops around stores,
    micro-kernels and barriers. Every axis has a name and a mapping. What a store computes are the scalar
    instructions of `te`.

    ```mlir
    loop.nest "relu" nodes ["relu_0"] symbols ["n"] {
      %x = loop.buffer "x" input global [n, 64] : f32
      %y = loop.buffer "y" output global [n, 64] : f32
      loop.for i to n parallel {
        loop.for j to 64 vector(16) {
          loop.store %y {
            %0 = te.read %x["%i", "%j"] : f32
            %1 = te.scalar 0.0 : f32
            %2 = te.max %0, %1 : f32
            te.yield %2 : f32 at ["%i", "%j"]
          }
        }
      }
    }
    ```
  }];
  let useDefaultAttributePrinterParser = 0;
  let dependentDialects = ["::mlcc::te::TeDialect"];
}

class Loop_Enum<string name, string what, list<string> cases> : Te_Enum<name, what, cases> {
  let cppNamespace = "::mlcc::loop";
}
def Loop_Space : Loop_Enum<"Space", "where a buffer lives", ["global", "scratch", "register", "shared"]>;
def Loop_Mapping : Loop_Enum<"Mapping", "how an axis is executed",
    ["serial", "reduction", "parallel", "vector", "unrolled", "block", "thread"]>;

class Loop_Op<string mnemonic, list<Trait> traits = []>
    : Op<Loop_Dialect, mnemonic, !listconcat(traits, [RustVerified])>;

#endif
