//! Tests of the artifact format through its public interface.

mod artifact_file;
mod common;
mod plan_verifier;
