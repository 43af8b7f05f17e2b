//! Tests of the runtime through its public interface. Kernels are functions of the test, so that no
//! compiler is needed; `machine_code` runs real code from a file.

mod builder;
mod concurrency;
mod control_flow;
mod data_dependent;
mod denormals;
mod errors;
mod machine_code;
mod memory;
mod numeric;
mod top_k;
