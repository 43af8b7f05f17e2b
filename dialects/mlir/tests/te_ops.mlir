module {
  te.kernel @add nodes ["Add_3", "Relu_4"] {
    %a = te.tensor "a" input : tensor<?x8xf32, #graph.dims<n, 8>>
    %b = te.tensor "b" inout : tensor<?x8xf32, #graph.dims<n, 8>>
    %t = te.tensor "t" temporary : tensor<8xui8>
    te.compute "t" (j to 8) into %t {
      %0 = te.scalar 255 : ui8
      te.yield %0 : ui8 at ["%j"]
    }
    te.compute "sum" (i.o to "floordiv(n + 3, 4)", j to 8, r to 4 reduction) into %b combine add {
      %0 = te.read %a["%i.o * 4 + %r", "%j"] outside 0.000000e+00 : f32 : f32
      %1 = te.scalar true
      %2 = te.not %1 : i1
      %3 = te.read %t["%j"] : ui8
      %4 = te.cast %3 : ui8 to f32
      %5 = te.select %2, %0, %4 : f32
      %6 = te.is_nan %5 : f32
      %7 = te.compare ge %5, %0 : f32
      %8 = te.or %6, %7 : i1
      %9 = te.cast %8 : i1 to f32
      %10 = te.max %9, %5 : f32
      te.yield %10 : f32 at ["%i.o", "%j"]
    }
  }
  te.program @main {
    te.symbol "n" = input 0 dim 0
    te.require "n" equals "8" or "n must equal 8 in Add_2"
    te.require "n * 2 - 1" at_least 1 or "n must not be 0"
    %x = te.input 0 "x" : tensor<?x8xf32, #graph.dims<n, 8>>
    %y = te.output 0 "y" : tensor<?x8xf32, #graph.dims<n, 8>>
    %c = te.constant "c" dense<false> : tensor<i1>
    %i = te.intermediate "i" : tensor<i64>
    te.copy %x to %y
    te.loop %i condition(%c) {
      te.if %c {
        te.call @add(%x) into(%y)
      } else {
        te.runtime_call "sort"(%x) into(%y) with [] for "s" "TopK"
      }
    }
    te.return %y as ["y"]
  }
}
