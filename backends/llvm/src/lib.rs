//! Loop nests to LLVM.
