//! What a file is, so that a command that is given the wrong kind says so, and what to do with it.

use mlcc_ir::diagnostic::Diagnostic;
use std::{fs::File, io::Read, path::Path};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// What `mlcc compile` writes.
    Artifact,
    /// An ONNX model, by its name.
    Model,
    /// The text of a level.
    Dump,
    /// A NumPy array.
    Array,
    /// A file that is missing or unreadable, or something else.
    Other,
}

impl FileKind {
    /// The kind of a file: by its first bytes, else by its name.
    pub(super) fn of(path: &Path) -> FileKind {
        let mut first = Vec::new();
        let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut first));
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        match extension {
            _ if mlcc_format::begins_artifact(&first) => FileKind::Artifact,
            _ if first.starts_with(crate::npy::MAGIC) => FileKind::Array,
            "onnx" => FileKind::Model,
            "mlir" if read.is_ok() => FileKind::Dump,
            _ => FileKind::Other,
        }
    }

    /// The error where a model was expected in place of a file of this kind; `None` if that is all that can be said.
    pub(super) fn instead_of_model(self, path: &Path) -> Option<Diagnostic> {
        let file = path.display();
        let (what, hint) = match self {
            FileKind::Dump => {
                ("a dump, not a model", "say which level it is of with --from PHASE".to_owned())
            }
            FileKind::Artifact => (
                "an artifact, which is compiled already",
                format!("`mlcc run {file}` runs it, `mlcc inspect` shows it"),
            ),
            FileKind::Array => {
                ("a NumPy array, not a model", "arrays are inputs: `mlcc run FILE --input ARRAY`".to_owned())
            }
            FileKind::Model | FileKind::Other => return None,
        };
        Some(Diagnostic::user(format!("'{file}' is {what}")).hint(hint))
    }

    /// The error where an artifact was expected in place of a file of this kind; `None` if that is all that can be
    /// said.
    pub(super) fn instead_of_artifact(self, path: &Path) -> Option<Diagnostic> {
        let (file, artifact) = (path.display(), path.with_extension("mlcc"));
        let artifact = artifact.display();
        let (what, hint) = match self {
            FileKind::Model => (
                "an ONNX model",
                format!("compile it with `mlcc compile {file}`, then give the artifact {artifact}"),
            ),
            FileKind::Dump => (
                "the text of a level",
                format!("`mlcc compile {file} --from PHASE -o {artifact}` makes an artifact of it"),
            ),
            FileKind::Array => {
                ("a NumPy array", "arrays are inputs: `mlcc run FILE --input ARRAY`".to_owned())
            }
            FileKind::Artifact | FileKind::Other => return None,
        };
        Some(Diagnostic::user(format!("'{file}' is {what}, not an artifact")).hint(hint))
    }
}
