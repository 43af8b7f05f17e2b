module {
  loop.nest "relu" nodes ["Relu_0"] symbols ["n"] {
    %x = loop.buffer "x" input global [n, 64] : f32
    %w = loop.buffer "w" input global packed [4, 64, 16] : f32
    %y = loop.buffer "y" output global [n, 64] : f32
    %acc = loop.buffer "acc" temporary register [6, 16] : f32
    %s = loop.buffer "s" temporary shared [] : f32
    loop.pack %w from [64, 64] at ["%p1", "%p0 * 16 + %p2"]
    loop.fetch %x of "t" ahead 2 with "v"
    loop.for b to "floordiv(n + 5, 6)" block(0) {
      loop.for t to 4 thread(1) {
        loop.tile %acc 6 by 16 over 64 a %x["%b * 384", 64, 1] a_rows "n - %b * 6" b %w["%t * 1024", 1, 16]
        loop.barrier
        loop.for u to 6 unrolled {
          loop.for v to 16 vector(16) {
            loop.store %y combine max checked {
              %0 = te.read %acc["%u", "%v"] : f32
              te.yield %0 : f32 at ["%b * 6 + %u", "%t * 16 + %v"] if "%b * 6 + %u" < n, "%t" < 4
            }
          }
        }
        loop.for k to n reduction {
          loop.store %s combine add {
            %0 = te.index "%k" : i64
            %1 = te.cast %0 : i64 to f32
            te.yield %1 : f32 at []
          }
        }
      }
    }
  }
}
