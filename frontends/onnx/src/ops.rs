//! The import of each operator, one file per family.
//!
//! A family lists its operators; [`FAMILIES`] lists the families. A function gets a
//! [`Call`](crate::call::Call), adds graph operators through it and returns the values of the node's
//! outputs.

mod activation;
mod arithmetic;
mod attention;
mod constant;
mod conversion;
mod convolution;
mod generator;
mod indexing;
mod loss;
mod matmul;
mod movement;
mod normalisation;
mod pooling;
mod quantised;
mod reduction;
mod resampling;
mod rotary;
mod shape;
mod slicing;
mod softmax;
mod spectral;
mod unfolding;
mod unsupported;
mod window;

use crate::registry::Operator;

/// All families.
pub(crate) const FAMILIES: &[&[Operator]] = &[
    activation::OPERATORS,
    arithmetic::OPERATORS,
    attention::OPERATORS,
    constant::OPERATORS,
    convolution::OPERATORS,
    conversion::OPERATORS,
    generator::OPERATORS,
    indexing::OPERATORS,
    loss::OPERATORS,
    matmul::OPERATORS,
    movement::OPERATORS,
    normalisation::OPERATORS,
    pooling::OPERATORS,
    quantised::OPERATORS,
    reduction::OPERATORS,
    resampling::OPERATORS,
    rotary::OPERATORS,
    shape::OPERATORS,
    slicing::OPERATORS,
    softmax::OPERATORS,
    spectral::OPERATORS,
    unfolding::OPERATORS,
    unsupported::OPERATORS,
];
