//! The MLIR form of each level.
