//! All tests of this crate, in one binary, since each links MLIR.

#[path = "suite"]
mod suite {
    mod files;
    mod graph;
    mod hostile;
    mod lowering;
    mod nest;
    mod operators;
    mod program;
    mod random;
    mod upstream;
}
