//! The errors of artifact files.

use std::path::PathBuf;

/// The reason why an artifact cannot be written or read. Its text states the problem; [`FormatError::hint`] says what
/// to do about it.
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
    #[error("not an mlcc artifact: {0}")]
    NotAnArtifact(&'static str),
    /// Another version of the format.
    #[error("the artifact has format version {found}, this runtime reads version {supported}")]
    Version {
        /// The version in the file.
        found: u32,
        /// The only version that is read.
        supported: u32,
    },
    /// The file is shorter or longer than its header says.
    #[error("the artifact has {actual} bytes but its header says {expected}")]
    Length {
        /// The length that the header names.
        expected: u64,
        /// The length of the file.
        actual: u64,
    },
    /// A part of the file was altered.
    #[error("the artifact is damaged: the checksum of its {part} does not match")]
    Checksum {
        /// The part.
        part: &'static str,
    },
    /// A section is missing, occurs twice, or reaches beyond the file's end.
    #[error("the artifact's {section} section {problem}")]
    Section {
        /// The section's name.
        section: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Two sections share bytes, or one reaches into the header.
    #[error("the artifact's sections overlap at byte {offset}")]
    Overlap {
        /// Where the second one begins.
        offset: u64,
    },
    /// A byte outside of all sections was altered.
    #[error("byte {offset} of the artifact lies between its sections but is not zero")]
    Padding {
        /// Where the byte lies in the file.
        offset: u64,
    },
    /// A manifest or plan cannot be decoded or encoded.
    #[error("the artifact's {part} does not decode: {problem}")]
    Decode {
        /// The part.
        part: &'static str,
        /// What the decoder said.
        problem: String,
    },
    /// A plan is inconsistent; all of its problems are listed.
    #[error("the artifact's plan is invalid: {}", problems.join("; "))]
    Plan {
        /// What is wrong, at least one entry.
        problems: Vec<String>,
    },
}

impl FormatError {
    /// Advice on the problem; none if the file system's own message is enough.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            FormatError::Io { .. } => None,
            FormatError::NotAnArtifact(_) => Some("an artifact is what `mlcc compile MODEL -o FILE` writes"),
            FormatError::Version { .. } => {
                Some("compile the model again with the mlcc that this runtime belongs to")
            }
            FormatError::Length { .. } => Some(
                "the file was cut off or appended to, perhaps while it was copied; copy or compile it again",
            ),
            FormatError::Checksum { .. } | FormatError::Padding { .. } => {
                Some("the file was altered after it was written; copy or compile it again")
            }
            FormatError::Section { .. } | FormatError::Overlap { .. } | FormatError::Decode { .. } => {
                Some("compile the model again")
            }
            FormatError::Plan { .. } => Some("this is a bug of the compiler that wrote it; please report it"),
        }
    }
}
