//! What can be wrong with an artifact file.

use std::path::PathBuf;

/// Why an artifact cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The file system refused.
    #[error("cannot {action} '{}': {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not an artifact at all.
    #[error("not an mlcc artifact: {0}\n\nhint: an artifact is what `mlcc compile MODEL -o FILE` writes")]
    NotAnArtifact(&'static str),
    /// Another version of the format.
    #[error(
        "the artifact has format version {found}, this runtime reads version {supported}\n\n\
         hint: compile the model again with the mlcc that this runtime belongs to"
    )]
    Version {
        /// The version in the file.
        found: u32,
        /// The only version that is read.
        supported: u32,
    },
    /// The file ends early, or goes on after its end.
    #[error(
        "the artifact has {actual} bytes but its header says {expected}\n\n\
         hint: the file was cut off or appended to, perhaps while it was copied; copy or compile it again"
    )]
    Length {
        /// The length that the header names.
        expected: u64,
        /// The length of the file.
        actual: u64,
    },
    /// A part of the file was altered.
    #[error(
        "the artifact is damaged: the checksum of its {part} does not match\n\n\
         hint: the file was altered after it was written; copy or compile it again"
    )]
    Checksum {
        /// The part.
        part: &'static str,
    },
    /// A section that is missing, twice there, or beyond the file's end.
    #[error("the artifact's {section} section {problem}\n\nhint: compile the model again")]
    Section {
        /// The section's name.
        section: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Two sections that share bytes, or one that reaches into the header.
    #[error("the artifact's sections overlap at byte {offset}\n\nhint: compile the model again")]
    Overlap {
        /// Where the second one begins.
        offset: u64,
    },
    /// A byte of no section that was altered.
    #[error(
        "byte {offset} of the artifact lies between its sections but is not zero\n\n\
         hint: the file was altered after it was written; copy or compile it again"
    )]
    Padding {
        /// Where the byte lies in the file.
        offset: u64,
    },
    /// A manifest or plan that does not decode or encode.
    #[error("the artifact's {part} does not decode: {problem}\n\nhint: compile the model again")]
    Decode {
        /// The part.
        part: &'static str,
        /// What the decoder said.
        problem: String,
    },
    /// A plan that is inconsistent; all that is wrong with it.
    #[error("the artifact's plan is invalid: {}\n\nhint: this is a bug of the compiler that wrote it; please report it",
            problems.join("; "))]
    Plan {
        /// What is wrong, at least one entry.
        problems: Vec<String>,
    },
}
