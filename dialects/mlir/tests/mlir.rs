//! All tests of this crate, in one binary, since each links MLIR.

#[path = "suite"]
mod suite {
    mod graph;
    mod lowering;
    mod operators;
    mod random;
}
