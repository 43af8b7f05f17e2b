//! A pass has a test of its name: `fuse_elementwise.rs` goes with `fuse_elementwise.*` among the tests.

use std::path::{Path, PathBuf};

use crate::tidy::Finding;
use crate::tidy::lexer;

/// Where passes lie, how one is known, and where their tests lie.
struct Pairing {
    /// The folder of the passes.
    sources: &'static str,
    /// What a file must hold to be a pass, as code.
    marker: &'static str,
    /// Folders of which one must hold a file with the pass's name.
    tests: &'static [&'static str],
    /// Files that need none, each with the reason.
    exceptions: &'static [(&'static str, &'static str)],
}

const PAIRINGS: &[Pairing] = &[Pairing {
    sources: "passes/src",
    marker: "const SPEC:",
    tests: &["passes/tests", "tests/passes"],
    exceptions: &[],
}];

/// Checks one source file against the list of all files.
pub(super) fn check(file: &Path, text: &str, files: &[PathBuf]) -> Vec<Finding> {
    let missing = PAIRINGS.iter().filter(|pairing| pairing.lacks_test(file, text, files));
    missing
        .map(|pairing| {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            let message = format!("the pass has no test: add {}/{name}.rs", pairing.tests[0]);
            Finding::new(file, 0, message)
        })
        .collect()
}

impl Pairing {
    fn lacks_test(&self, file: &Path, text: &str, files: &[PathBuf]) -> bool {
        file.starts_with(self.sources)
            && !self.exceptions.iter().any(|(name, _)| Path::new(name) == file)
            && lexer::lines(text).iter().any(|line| line.code.contains(self.marker))
            && !files.iter().any(|other| {
                other.file_stem() == file.file_stem()
                    && self.tests.iter().any(|folder| other.starts_with(folder))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(file: &str, text: &str, files: &[&str]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(PathBuf::from).collect();
        check(Path::new(file), text, &files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_pass_without_a_test_is_named() {
        assert_eq!(
            messages(
                "passes/src/fusion/fuse.rs",
                "pub const SPEC: Spec = x;",
                &["passes/tests/other.rs", "fuse.rs"]
            ),
            ["passes/src/fusion/fuse.rs: the pass has no test: add passes/tests/fuse.rs"]
        );
    }

    #[test]
    fn a_test_of_the_same_name_or_a_file_that_is_no_pass_is_fine() {
        let pass = "pub const SPEC: Spec = x;";
        assert!(messages("passes/src/fuse.rs", pass, &["passes/tests/fusion/fuse.mlir"]).is_empty());
        assert!(messages("passes/src/fuse.rs", "// const SPEC: none", &[]).is_empty());
        assert!(messages("compiler/src/fuse.rs", pass, &[]).is_empty());
    }
}
