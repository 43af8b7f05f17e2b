//! Tests of operators: cases checked by hand, one file per group of families, and the properties that
//! all operators share.

mod arithmetic;
mod every;
mod layers;
mod moving;
mod whole;
