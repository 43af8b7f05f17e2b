//! Every primitive: what it refuses, and that what it does keeps the values.
