//! One module a pass: small IR in, checked IR out.

mod assign_layouts;
mod canonicalise;
mod eliminate_common;
mod eliminate_dead;
mod fold_constants;
mod fuse_attention;
mod fuse_epilogue;
mod fuse_operand;
mod fuse_prologue;
mod graph_builder;
mod inline_elementwise;
mod inline_movement;
mod pipeline;
mod place_concatenations;
mod program;
mod recognise;
mod rewrite;
mod rotary;
mod seven_patterns;
mod simplify_scalars;
mod spelling;
mod split_reductions;
mod strassen_products;
mod winograd_convolution;
