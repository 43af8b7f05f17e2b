//===- Ops.td - The loop dialect ------------------------------------------===//

#ifndef MLCC_LOOP_OPS
#define MLCC_LOOP_OPS

include "loop/Base.td"

def Loop_NestOp : Loop_Op<"nest", [IsolatedFromAbove, SingleBlock, NoTerminator]> {
  let summary = "A kernel's loops";
  let description = [{
    Buffers are the kernel's operands in order (inputs, then outputs), then temporaries. `symbols` are the sizes
    that the caller passes, sorted; `ranges` what is known of each of them, if something is.

    Example: `loop.nest "relu" nodes ["relu_0"] symbols ["n"] { ... }`
    Example: `loop.nest "add" nodes ["add_0"] symbols ["m", "n"] ranges ["0..", "1..8"] { ... }`
  }];
  let arguments = (ins StrAttr:$name, StrArrayAttr:$nodes, StrArrayAttr:$symbols,
                       OptionalAttr<StrArrayAttr>:$ranges);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$name `nodes` $nodes `symbols` $symbols (`ranges` $ranges^)? $body attr-dict";
}

def Loop_BufferOp : Loop_Op<"buffer"> {
  let summary = "A buffer";
  let description = [{
    Lives in the caller's memory (`global`), in memory of the thread (`scratch`), in registers (`register`), or in
    memory shared by a block of GPU threads (`shared`). A `packed` buffer comes from the caller in the layout
    that `loop.pack` describes. A `streamed` one is larger than the caches and written around them.

    Example: `%w = loop.buffer "w" input global packed [8, 64, 16] : f32`
  }];
  let arguments = (ins StrAttr:$name, Te_Role:$role, Loop_Space:$space, UnitAttr:$packed, UnitAttr:$streamed, ArrayAttr:$dims,
                       TypeAttr:$dtype);
  let results = (outs Te_Tensor:$result);
  let assemblyFormat = "$name $role $space (`packed` $packed^)? (`streamed` $streamed^)? custom<Index>($dims) attr-dict `:` $dtype";
}

def Loop_PackOp : Loop_Op<"pack"> {
  let summary = "How a constant operand is packed at compile time";
  let description = [{
    `target[%p0, %p1, ...] = source[index]`, 0 where the index is out of bounds.

    Example: `loop.pack %w from [100, 64] at ["%p0 * 16 + %p2", "%p1"]`
  }];
  let arguments = (ins Te_Tensor:$target, ArrayAttr:$source_dims, ArrayAttr:$index);
  let assemblyFormat = "$target `from` custom<Index>($source_dims) `at` custom<Index>($index) attr-dict";
}

def Loop_FetchOp : Loop_Op<"fetch"> {
  let summary = "Begins reads ahead of time";
  let description = [{
    While an iteration of a loop computes, every vector of the loop `with` fetches what `ahead` iterations later is
    read in its place. Nothing is fetched for iterations that do not exist, and no value changes.

    Example: `loop.fetch %x of "exp.i0" ahead 1 with "exp.i1"`
  }];
  let arguments = (ins Te_Tensor:$buffer, StrAttr:$axis, I32Attr:$ahead, StrAttr:$with);
  let assemblyFormat = "$buffer `of` $axis `ahead` $ahead `with` $with attr-dict";
}

def Loop_ForOp : Loop_Op<"for", [SingleBlock, NoTerminator]> {
  let summary = "A loop";
  let description = [{
    Over the integers from 0 up to the extent. Mapping: `serial`, `reduction`, `parallel` (threads of the pool),
    `vector` (of that many lanes), `unrolled`, `block` or `thread` (dimension of the GPU's grid or block).

    Example: `loop.for j to 64 vector(16) { ... }`
  }];
  let arguments = (ins StrAttr:$axis, StrAttr:$extent, Loop_Mapping:$mapping, OptionalAttr<I32Attr>:$width);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "custom<Range>($axis, $extent) $mapping (`(` $width^ `)`)? $body attr-dict";
}

def Loop_StoreOp : Loop_Op<"store", [SingleBlock]> {
  let summary = "Stores the value of a point";
  let description = [{
    `te.yield` says the value, the element and the guards. With `combine` the value is combined with what is
    there; `checked` skips an index out of bounds.

    Example: `loop.store %y combine add { ... te.yield %2 : f32 at ["%i"] }`
  }];
  let arguments = (ins Te_Tensor:$buffer, OptionalAttr<Te_Combine>:$combine, UnitAttr:$checked);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$buffer (`combine` $combine^)? (`checked` $checked^)? $body attr-dict";
}

def Loop_TileOp : Loop_Op<"tile"> {
  let summary = "A contraction micro-kernel";
  let description = [{
    `acc[r, c] += sum over k of a[r, k] * b[k, c]` for a tile of registers. An operand's element `(axis, k)` lies
    at `base + axis * stride + k * k_stride`, given as `[base, stride, k_stride]`. Rows beyond `a_rows` repeat the
    last one; columns beyond `b_cols` are not read. `gather [row, offset, a, b, ...]` gives each row of `a` an offset
    of its own behind the base; where `a < b` does not hold for a pair, the row is 0.

    Example: `loop.tile %acc 6 by 16 over 256 a %a["%i * 256", 256, 1] a_rows m b %b["%j * 16", 1, n]`
  }];
  let arguments = (ins Te_Tensor:$acc, I64Attr:$rows, I64Attr:$cols, StrAttr:$k, Te_Tensor:$a, ArrayAttr:$a_at,
                       OptionalAttr<ArrayAttr>:$a_gather, OptionalAttr<StrAttr>:$a_rows, Te_Tensor:$b, ArrayAttr:$b_at, OptionalAttr<StrAttr>:$b_cols);
  let assemblyFormat = [{
    $acc $rows `by` $cols `over` custom<Expr>($k) `a` $a `` custom<Index>($a_at) (`gather` custom<Index>($a_gather)^)?
    (`a_rows` custom<Expr>($a_rows)^)?
    `b` $b `` custom<Index>($b_at) (`b_cols` custom<Expr>($b_cols)^)? attr-dict
  }];
}

def Loop_BarrierOp : Loop_Op<"barrier"> {
  let summary = "All threads of a block wait for each other (GPU)";
  let description = "Example: `loop.barrier`";
  let assemblyFormat = "attr-dict";
}

#endif
