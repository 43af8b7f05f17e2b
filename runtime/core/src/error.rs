//! The reasons why a model cannot be loaded or run.

use mlcc_format::FormatError;
use std::borrow::Cow;

/// The reason why a model cannot be loaded or run. Its text states the problem; [`Error::hint`] says what
/// to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not a sound artifact.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The code is for another kind of processor.
    #[error("the artifact is for '{triple}', this machine is {host}")]
    Architecture {
        /// The artifact's target triple.
        triple: String,
        /// The architecture of this machine.
        host: &'static str,
    },
    /// The code needs CPU features that this machine lacks.
    #[error("the artifact is for the CPU '{cpu}', this one lacks {}", missing.join(", "))]
    CpuFeatures {
        /// The CPU that the artifact was compiled for.
        cpu: String,
        /// The features that are missing.
        missing: Vec<String>,
    },
    /// The system gives no executable memory.
    #[error("cannot map the artifact's code for execution: {0}")]
    MapCode(std::io::Error),
    /// More threads than any machine can use.
    #[error("{threads} threads are beyond reason, at most {most} are possible")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// How many are possible.
        most: usize,
        /// How many CPUs the process may use.
        cpus: usize,
    },
    /// The system starts no more threads.
    #[error("cannot start more than {started} of {threads} threads: {source}")]
    Thread {
        /// How many were there, the caller among them.
        started: usize,
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        source: std::io::Error,
    },
    /// A variable of the environment that holds nonsense.
    #[error("the environment's {name} is '{value}', expected {expected}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// Too many or too few inputs or outputs.
    #[error(
        "the model has {expected} {what}{} ({names}) but {got} {} given",
        if *expected == 1 { "" } else { "s" },
        if *got == 1 { "was" } else { "were" }
    )]
    Count {
        /// `input` or `output`.
        what: &'static str,
        /// How many the model has.
        expected: usize,
        /// Their names and shapes.
        names: String,
        /// How many were given.
        got: usize,
    },
    /// A tensor of another type.
    #[error("{what} '{name}' has type {got}, expected {expected} {shape}")]
    DType {
        /// `input` or `output`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The type that the model has.
        expected: &'static str,
        /// The shape that the model has.
        shape: String,
        /// The type that was given.
        got: &'static str,
    },
    /// A tensor of another shape.
    #[error("{what} '{name}' has shape {got}, expected {expected}{}", reason(because))]
    Shape {
        /// `input` or `output`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The shape that the model has, symbolic dimensions by name.
        expected: String,
        /// The shape that was given.
        got: String,
        /// What the symbols stand for, or which dimension is negative; may be empty.
        because: String,
    },
    /// A buffer that does not fit the type and shape that it comes with.
    #[error("{what} '{name}': {problem}")]
    Buffer {
        /// `input` or `output`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The shapes violate a condition of the model.
    #[error("{message} ({values})")]
    Check {
        /// What the condition means.
        message: String,
        /// The values that violate it.
        values: String,
    },
    /// A size that cannot be computed, or is out of bounds, for these shapes.
    #[error("{what}: {problem}")]
    Size {
        /// What has the size.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A shape that is known only during the run, but was needed before it.
    #[error("the shape of output '{name}' depends on the data")]
    DataDependentOutput {
        /// The output.
        name: String,
    },
    /// No memory for it.
    #[error("out of memory: {what} needs {bytes} bytes, {available} are available")]
    OutOfMemory {
        /// What needs it.
        what: String,
        /// How much it needs.
        bytes: u64,
        /// How much there is, as far as is known.
        available: u64,
    },
}

impl Error {
    /// Advice on the problem; none if the text is enough, as for a wrong shape.
    #[must_use]
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        let fixed = match self {
            Error::Format(error) => error.hint()?,
            Error::Architecture { .. } => "compile the model on this machine, or for its target",
            Error::CpuFeatures { .. } => {
                "compile the model on this machine, or with `--target-cpu` for an older CPU"
            }
            Error::MapCode(_) => "a security policy may forbid it",
            Error::Threads { cpus, .. } => {
                let all = format!(
                    "0 takes one for each CPU that the process may use, here {cpus}; more are no faster"
                );
                return Some(all.into());
            }
            Error::Thread { .. } => {
                "use fewer threads, or raise the limits on processes and memory (`ulimit -u`, `ulimit -v`)"
            }
            Error::Variable { .. } => "unset it, or set it right",
            Error::Count { .. } | Error::DType { .. } | Error::Shape { .. } | Error::Buffer { .. } => {
                return None;
            }
            Error::Check { .. } => "the model was compiled for other shapes; see `mlcc inspect`",
            Error::Size { .. } => "the shapes of the inputs are too large, or the artifact is faulty",
            Error::DataDependentOutput { .. } => "let the runtime allocate the outputs",
            Error::OutOfMemory { .. } => "use smaller inputs",
        };
        Some(fixed.into())
    }
}

fn reason(because: &str) -> String {
    match because.is_empty() {
        true => String::new(),
        false => format!(" ({because})"),
    }
}
