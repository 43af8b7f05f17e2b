module {
  func.func @ops(%x: tensor<1x4x8x8xf32> loc("x"), %n: tensor<?x3xf32, #graph.dims<batch, 3>> loc("n"), %c: tensor<i1> loc("c"), %i: tensor<2xi64> loc("i")) -> (tensor<1x6x8x8xf32>, tensor<?x3xf32, #graph.dims<batch, 3>>) {
    %w = graph.constant "w" dense<[[[[5.000000e-01]], [[1.000000e-01]], [[0x7FC00000]], [[-0.000000e+00]]]]> : tensor<1x4x1x1xf32> loc("w")
    %empty = graph.constant "empty" dense<> : tensor<0x2xi8> loc("empty")
    %bools = graph.constant "bools" dense<[true, false, true]> : tensor<3xi1> loc("bools")
    %conv = graph.conv %x, %w strides [1, 1] pads <0, 0, 0, 0> dilations [1, 1] group 1 : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>) -> tensor<1x1x8x8xf32> loc("conv"("c1"("Conv")))
    %c2 = graph.concat %conv, %conv, %x axis 1 : (tensor<1x1x8x8xf32>, tensor<1x1x8x8xf32>, tensor<1x4x8x8xf32>) -> tensor<1x6x8x8xf32> loc("c2"("Concat"))
    %clip = graph.clip %n max(%n) : (tensor<?x3xf32, #graph.dims<batch, 3>>, tensor<?x3xf32, #graph.dims<batch, 3>>) -> tensor<?x3xf32, #graph.dims<batch, 3>> loc("clip"("Clip"))
    %top, %top_0 = graph.top_k %n k <"min(2, batch)"> axis 0 largest true sorted true : (tensor<?x3xf32, #graph.dims<batch, 3>>) -> (tensor<?x3xf32, #graph.dims<"min(2, batch)", 3>>, tensor<?x3xi64, #graph.dims<"min(2, batch)", 3>>) loc(fused<["v", "k"]>["top"("TopK")])
    %d = graph.dims values <batch, "3"> scalar false {graph.known = [#graph.exprs<batch, "3">]} : () -> tensor<2xi64> loc("d"("Shape"))
    %y = graph.if %c then {
      graph.return %n as ["a"] of "then" : tensor<?x3xf32, #graph.dims<batch, 3>>
    } else {
      %neg = graph.neg %n : (tensor<?x3xf32, #graph.dims<batch, 3>>) -> tensor<?x3xf32, #graph.dims<batch, 3>> loc("neg"("Neg"))
      graph.return %neg as ["b"] of "else" : tensor<?x3xf32, #graph.dims<batch, 3>>
    } : (tensor<i1>) -> tensor<?x3xf32, #graph.dims<batch, 3>> loc("y"("if"("If")))
    %q = graph.quantize_linear %x, %w axis 1 to ui8 saturate true : (tensor<1x4x8x8xf32>, tensor<1x4x1x1xf32>) -> tensor<1x4x8x8xui8, #graph.blocked<[[1, 4]]>> loc("q"("QuantizeLinear"))
    graph.return %c2, %y as ["cat", "y"] : tensor<1x6x8x8xf32>, tensor<?x3xf32, #graph.dims<batch, 3>>
  }
}
