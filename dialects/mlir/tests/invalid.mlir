// ?
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.softmax %x : (tensor<4xf32>) -> tensor<4xf32>
  graph.return %y as ["y"] : tensor<4xf32>
}
// -----
// ?
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.convolution %x : (tensor<4xf32>) -> tensor<4xf32>
  graph.return %y as ["y"] : tensor<4xf32>
}
// -----
// ?
func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = graph.relu %x : (tensor<?xf32>) -> tensor<?xf32>
  graph.return %y as ["y"] : tensor<?xf32>
}
// -----
// ?
func.func @f(%x: tensor<?x3xf32, #graph.dims<n>>) -> tensor<4xf32> {
  %y = graph.relu %x : (tensor<?x3xf32, #graph.dims<n>>) -> tensor<4xf32>
  graph.return %y as ["y"] : tensor<4xf32>
}
// -----
// ?
func.func @f(%x: tensor<4xf32, #graph.dims<"n + ">>) -> tensor<4xf32> {
  %y = graph.relu %x : (tensor<4xf32, #graph.dims<"n + ">>) -> tensor<4xf32>
  graph.return %y as ["y"] : tensor<4xf32>
}
// -----
// ?
func.func @f(%x: tensor<4xf80>) -> tensor<4xf80> {
  %y = graph.relu %x : (tensor<4xf80>) -> tensor<4xf80>
  graph.return %y as ["y"] : tensor<4xf80>
}
// -----
// ?
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = graph.reshape %x shape <"%i"> : (tensor<4xf32>) -> tensor<4xf32>
  graph.return %y as ["y"] : tensor<4xf32>
}
// -----
// ?
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  graph.return %x as ["x", "y"] : tensor<4xf32>
}
// -----
// ?
func.func @f(%x: tensor<4xi1>) -> tensor<4xf32> {
  %y = graph.if %x then {
  } else {
    graph.return as []
  } : (tensor<4xi1>) -> tensor<4xf32>
  graph.return %y as ["y"] : tensor<4xf32>
}
// -----
// ?
func.func @f() -> tensor<100xf32> {
  %w = graph.weight "w" #graph.weight<"00000000000000000000000000000000"> : tensor<100xf32>
  graph.return %w as ["w"] : tensor<100xf32>
}
// -----
// ?
te.kernel @k nodes [] {
  %x = te.tensor "x" input : tensor<4xf32>
  te.compute "c" (i to 4) into %x {
    %0 = te.read %x["%j"] : f32
    te.yield %0 : f32 at ["%i"]
  }
}
// -----
// ?
te.kernel @k nodes [] {
  %x = te.tensor "x" input : tensor<4xf32>
  te.compute "c" (i to 4) into %x {
    %0 = te.read %x["%i", 0] : f32
    te.yield %0 : f32 at ["%i"]
  }
}
// -----
// ?
te.kernel @k nodes [] {
  %x = te.tensor "x" input : tensor<4xf32>
  te.compute "c" (i to 4) into %x {
    %0 = te.read %x["$0"] : f32
    te.yield %0 : f32 at ["%i"]
  }
}
// -----
// ?
te.kernel @k nodes [] {
  %x = te.tensor "x" input : tensor<4xf32>
  te.compute "c" (i to 4, i to 5) into %x {
    %0 = te.scalar 0 : i8
    te.yield %0 : i8 at ["%i"]
  }
}
// -----
// ?
te.kernel @k nodes [] {
  %x = te.tensor "x" input : tensor<4xf32>
  te.compute "c" (i to 4 diagonal) into %x {
  }
}
// -----
// ?
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
// ?
te.program @p {
  %x = te.input 0 "x" : tensor<4xf32>
  te.call @k(%x) into (%x)
  te.return %x as ["y"]
}
// -----
// ?
te.program @p {
  %x = te.input 1 "x" : tensor<4xf32>
  te.return %x as ["y"]
}
// -----
// ?
te.program @p {
  %x = te.input 0 "x" : tensor<4xf32>
}
// -----
// ?
loop.nest "n" nodes [] symbols [] {
  %x = loop.buffer "x" temporary register [4] : f32
  loop.for i to "%j" serial {
  }
}
// -----
// ?
loop.nest "n" nodes [] symbols [] {
  loop.for i to 4 serial {
    loop.for i to 4 vector(8) {
    }
  }
}
// -----
// ?
loop.nest "n" nodes [] symbols [] {
  loop.for i to 4 vector {
  }
}
// -----
// ?
loop.nest "n" nodes [] symbols [] {
  %x = loop.buffer "x" input shared [4] : f32
}
// -----
// ?
loop.nest "n" nodes [] symbols [] {
  %x = loop.buffer "x" output global [4] : f32
  loop.tile %x 6 by 16 over 4 a %x[0, 1] b %x[0, 1, 1]
}
