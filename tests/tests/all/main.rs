//! The whole program, through the binary: what it answers, writes and refuses.
//!
//! | Module | What |
//! |---|---|
//! | `models` | the small networks that the tests compile |
//! | `reference` | the same operators in plain loops of `f64` |
//! | `project` | a folder with a model and its inputs, and calls in it |
//! | `networks` | what the networks compute, against the reference |
//! | `running` | `run` and `bench` |
//! | `symbolic` | sizes that are known when a model runs |
//! | `values` | values that are right to the last bit or element |
//! | `inspection` | `inspect` |
//! | `commands` | options that commands share, advice, and how things are printed |
//! | `rewriting` | what `compile` says of rewrites, and how they are chosen |
//! | `machine` | `machine measure`, and profiles as inputs |
//! | `environment` | variables that decide something, and those that must not |
//! | `conformance` | `test` |
//! | `dumps` | the IR after each pass: its text, and compiling on from it |
//! | `emission` | `--emit`, `--to` and `opt` |
//! | `determinism` | equal bytes from equal input |
//! | `bad_models`, `bad_calls`, `bad_artifacts` | errors: their text and exit code |

mod bad_artifacts;
mod bad_calls;
mod bad_models;
mod commands;
mod conformance;
mod decisions;
mod denormals;
mod determinism;
mod dumps;
mod emission;
mod environment;
mod inspection;
mod machine;
mod models;
mod networks;
mod project;
mod reference;
mod rewriting;
mod running;
mod symbolic;
mod threads;
mod values;
