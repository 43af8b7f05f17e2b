//! Every family against the graph level's interpreter: one-node graphs on random data.

mod arg;
mod contraction;
mod control;
mod elementwise;
mod generate;
mod harness;
mod indexing;
mod movement;
mod normalisation;
mod program;
mod reduction;
mod resampling;
mod rotary;
