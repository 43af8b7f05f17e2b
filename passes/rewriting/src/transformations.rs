//! Rewrites that a pair of terms cannot express, so they are no rules. They too have names, for reports and
//! for leaving them out.

use super::rule::Exactness;

/// A rewrite that is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transformation {
    /// Its name.
    pub name: &'static str,
    /// Its effect on the bits of a result.
    pub class: Exactness,
    /// One line for the reference.
    pub summary: &'static str,
}

/// Sums of sums, and products of products.
pub const FLATTEN: Transformation = Transformation {
    name: "flatten",
    class: Exactness::Reassociating,
    summary: "a sum of sums becomes one sum, a product of products one product: operands have no order and no brackets",
};

/// Horizontal merges.
pub const MERGE_PRODUCTS: Transformation = Transformation {
    name: "merge-products",
    class: Exactness::Exact,
    summary: "products of one operand with several weights, or convolutions, become one with the weights side by side \
              and a slice for each, where that is cheaper by estimate",
};

/// Strassen's algorithm, a pass of the tensor level.
pub const STRASSEN_PRODUCTS: Transformation = Transformation {
    name: "strassen-products",
    class: Exactness::Reassociating,
    summary: "a large product with weights is computed by seven products of quarters instead of eight; weights grow to \
              7/4, within `--max-weight-growth`",
};

/// All of them.
pub const TRANSFORMATIONS: [Transformation; 3] = [FLATTEN, MERGE_PRODUCTS, STRASSEN_PRODUCTS];
