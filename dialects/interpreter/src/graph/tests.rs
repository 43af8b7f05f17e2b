//! Tests of operators: cases checked by hand, one file per group of families, and what holds for all.

mod arithmetic;
mod every;
mod layers;
mod moving;
mod whole;
