// 3:25: custom op 'graph.softmax' expected 'axis'
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.softmax %x : (tensor<4xf32>) -> tensor<4xf32>
  graph.return %y as ["y"] : tensor<4xf32>
}
// -----
// 3:8: custom op 'graph.convolution' is unknown
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.convolution %x : (tensor<4xf32>) -> tensor<4xf32>
  graph.return %y as ["y"] : tensor<4xf32>
}
// -----
// 3:8: 'graph.relu': type 'tensor<?xf32>': a dynamic dimension needs an expression in #graph.dims
func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = graph.relu %x : (tensor<?xf32>) -> tensor<?xf32>
  graph.return %y as ["y"] : tensor<?xf32>
}
// -----
// 3:8: 'graph.relu': type 'tensor<?x3xf32, #graph.dims<n>>': 1 expressions for 2 dimensions
func.func @f(%x: tensor<?x3xf32, #graph.dims<n>>) -> tensor<4xf32> {
  %y = graph.relu %x : (tensor<?x3xf32, #graph.dims<n>>) -> tensor<4xf32>
  graph.return %y as ["y"] : tensor<4xf32>
}
// -----
// 3:8: 'graph.relu': type 'tensor<4xf32, #graph.dims<"n + ">>': not a list of expressions
func.func @f(%x: tensor<4xf32, #graph.dims<"n + ">>) -> tensor<4xf32> {
  %y = graph.relu %x : (tensor<4xf32, #graph.dims<"n + ">>) -> tensor<4xf32>
  graph.return %y as ["y"] : tensor<4xf32>
}
// -----
// 3:8: 'graph.relu': type 'tensor<4xf80>': unknown element type
func.func @f(%x: tensor<4xf80>) -> tensor<4xf80> {
  %y = graph.relu %x : (tensor<4xf80>) -> tensor<4xf80>
  graph.return %y as ["y"] : tensor<4xf80>
}
// -----
// 3:8: 'graph.reshape': attribute 'shape': '%i' may use symbols only
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.reshape %x shape <"%i"> : (tensor<4xf32>) -> tensor<4xf32>
  graph.return %y as ["y"] : tensor<4xf32>
}
// -----
// 3:3: 'graph.return': 2 names for 1 outputs
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  graph.return %x as ["x", "y"] : tensor<4xf32>
}
// -----
// 3:8: 'graph.if' op region #0 ('then') failed to verify constraint: region with 1 blocks
func.func @f(%x: tensor<4xi1>) -> tensor<4xf32> {
  %y = graph.if %x then {
  } else {
    graph.return as []
  } : (tensor<4xi1>) -> tensor<4xf32>
  graph.return %y as ["y"] : tensor<4xf32>
}
// -----
// 3:8: 'graph.weight': the weights at hand do not hold '00000000000000000000000000000000'
func.func @f() -> tensor<100xf32> {
  %w = graph.weight "w" #graph.weight<"00000000000000000000000000000000"> : tensor<100xf32>
  graph.return %w as ["w"] : tensor<100xf32>
}
// -----
// 5:10: 'te.read': '%j' is not defined here
te.kernel @k nodes [] {
  %x = te.tensor "x" input : tensor<4xf32>
  te.compute "c" (i to 4) into %x {
    %0 = te.read %x["%j"] : f32
    te.yield %0 : f32 at ["%i"]
  }
}
// -----
// 5:10: 'te.read': 2 index expressions for a tensor of rank 1
te.kernel @k nodes [] {
  %x = te.tensor "x" input : tensor<4xf32>
  te.compute "c" (i to 4) into %x {
    %0 = te.read %x["%i", 0] : f32
    te.yield %0 : f32 at ["%i"]
  }
}
// -----
// 5:10: 'te.read': '$0' is not defined here
te.kernel @k nodes [] {
  %x = te.tensor "x" input : tensor<4xf32>
  te.compute "c" (i to 4) into %x {
    %0 = te.read %x["$0"] : f32
    te.yield %0 : f32 at ["%i"]
  }
}
// -----
// 4:3: 'te.compute': a second axis is named 'i'
te.kernel @k nodes [] {
  %x = te.tensor "x" input : tensor<4xf32>
  te.compute "c" (i to 4, i to 5) into %x {
    %0 = te.scalar 0 : i8
    te.yield %0 : i8 at ["%i"]
  }
}
// -----
// 4:25: expected ')'
te.kernel @k nodes [] {
  %x = te.tensor "x" input : tensor<4xf32>
  te.compute "c" (i to 4 diagonal) into %x {
  }
}
// -----
// 7:21: use of value '%1' expects different type than prior uses: 'f32' vs 'i32'
te.kernel @k nodes [] {
  %x = te.tensor "x" input : tensor<4xf32>
  te.compute "c" (i to 4) into %x {
    %0 = te.scalar 1.0 : f32
    %1 = te.scalar 1 : i32
    %2 = te.add %0, %1 : f32
    te.yield %2 : f32 at ["%i"]
  }
}
// -----
// 4:3: 'te.call': there is no kernel '@k'
te.program @p {
  %x = te.input 0 "x" : tensor<4xf32>
  te.call @k(%x) into (%x)
  te.return %x as ["y"]
}
// -----
// 2:1: 'te.program': input 0 is not declared
te.program @p {
  %x = te.input 1 "x" : tensor<4xf32>
  te.return %x as ["y"]
}
// -----
// 3:8: block with no terminator
te.program @p {
  %x = te.input 0 "x" : tensor<4xf32>
}
// -----
// 4:3: 'loop.for': '%j' is not defined here
loop.nest "n" nodes [] symbols [] {
  %x = loop.buffer "x" temporary register [4] : f32
  loop.for i to "%j" serial {
  }
}
// -----
// 4:5: 'loop.for': a loop around has the axis 'i' already
loop.nest "n" nodes [] symbols [] {
  loop.for i to 4 serial {
    loop.for i to 4 vector(8) {
    }
  }
}
// -----
// 3:3: 'loop.for': 'vector', 'block' and 'thread' take a number, the other mappings none
loop.nest "n" nodes [] symbols [] {
  loop.for i to 4 vector {
  }
}
// -----
// 3:8: 'loop.buffer': only a temporary lives elsewhere than in global memory
loop.nest "n" nodes [] symbols [] {
  %x = loop.buffer "x" input shared [4] : f32
}
// -----
// 4:3: 'loop.tile': attribute 'a_at' is of the wrong kind
loop.nest "n" nodes [] symbols [] {
  %x = loop.buffer "x" output global [4] : f32
  loop.tile %x 6 by 16 over 4 a %x[0, 1] b %x[0, 1, 1]
}
